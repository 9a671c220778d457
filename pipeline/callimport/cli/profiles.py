"""callimport profiles: the recipes there are, and what one makes of a file."""

import textwrap
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

import click
from rich.console import Console

from callimport import report
from callimport.cli import json_answers, options
from callimport.core import files, settings
from callimport.core.errors import ExitCode
from callimport.extract import reader
from callimport.profiles import draft as drafting
from callimport.profiles import profile
from callimport.transform import preview, validate

_WIDTH = 100


def register(commands: click.Group, now: Callable[[], datetime]) -> None:
    """Add the commands; `now` tells the time, which nobody but the command line knows."""
    commands.add_command(_profiles)
    _profiles.context_settings = {"obj": now}


@click.group(
    "profiles",
    epilog="""\b
Examples:
  callimport profiles list
  callimport profiles show twilio
  callimport profiles test calls.csv --timezone America/Toronto
  callimport profiles new calls.csv -o mine.toml
""",
)
def _profiles() -> None:
    """The recipes of phone systems: how an export becomes calls."""


@_profiles.command("list", epilog="\b\nExample:\n  callimport profiles list\n")
def _list() -> ExitCode:
    """Name the recipes that come with the program."""
    for name in profile.available():
        its = profile.load(name)
        told = "  (never tried on a real export: only by --profile)" if its.unverified else ""
        report.say(Console(), f"{name:24}{its.title}{told}")
    return ExitCode.OK


@_profiles.command(
    "show",
    epilog="""\b
Examples:
  callimport profiles show twilio
  callimport profiles show twilio > mine.toml   (to be changed, then --profile mine.toml)
""",
)
@click.argument("name", metavar="NAME|PATH")
def _show(name: str) -> ExitCode:
    """Print a recipe, and how to export what it is for."""
    its = profile.load(name)
    click.echo(profile.text_of(name).rstrip("\n"))
    if its.export:
        # As comments, so that what is printed is a recipe still.
        click.echo("\n# How to export it:")
        for line in textwrap.wrap(its.export, _WIDTH, break_long_words=False, break_on_hyphens=False):
            click.echo(f"#   {line}")
    return ExitCode.OK


@_profiles.command(
    "new",
    epilog="""\b
Examples:
  callimport profiles new calls.csv
  callimport profiles new calls.csv -o mine.toml
  callimport profiles new calls.csv -o mine.toml --force
""",
)
@click.argument("file", type=options.PATH)
@click.option("-o", "--output", type=options.PATH, metavar="RECIPE.toml", help="Write the recipe there.")
@click.option("--force", is_flag=True, help="Replace RECIPE.toml if it exists.")
@options.configured
def _new(file: Path, output: Path | None, force: bool) -> ExitCode:
    """Draft a recipe for FILE, an export that none is for. What is not sure stands in it as a question."""
    if output is not None:
        files.refuse_existing(output, force=force)
        files.refuse_same((output,), (file,))
    opened = reader.open_source(file)
    peek = reader.peek(opened)
    draft = drafting.draft(opened.name, peek, (chunk.frame for chunk in reader.read(opened, drafting.layout(peek))))
    if output is None:
        click.echo(draft.text, nl=False)
    else:
        with files.opened(output) as written:
            written.write(draft.text)
        report.say(Console(), f"{output}: {_asked(draft.questions)}")
        report.say(Console(), f"see what becomes of the first rows: callimport profiles test {file} --profile {output}")
    return ExitCode.OK


def _asked(questions: int) -> str:
    if not questions:
        return "drafted, no question is open; look at every guess"
    what = "1 question is" if questions == 1 else f"{questions} questions are"
    return f'drafted, {what} open: lines that begin with "{profile.QUESTION}"; answer them there'


@_profiles.command(
    "test",
    epilog="""\b
Examples:
  callimport profiles test calls.csv --timezone America/Toronto
  callimport profiles test calls.csv --profile mine.toml --rows 20
  callimport profiles test calls.csv --profile mine.toml --json
""",
)
@click.argument("file", type=options.PATH)
@click.option("--profile", "name", metavar="NAME|PATH", help="The recipe to try (default: detected).")
@click.option("--timezone", metavar="ZONE", help="Zone of times without an offset, such as America/Toronto.")
@click.option(
    "--ambiguous-hour",
    type=click.Choice(["reject", "first", "second"]),
    default="reject",
    show_default=True,
    help="Which one is meant by the hour that happens twice in autumn.",
)
@options.dialling
@click.option("--rows", type=click.IntRange(0), default=5, show_default=True, help="How many rows to show.")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object on stdout.")
@options.configured
@click.pass_obj
def _test(
    now: Callable[[], datetime],
    file: Path,
    name: str | None,
    timezone: str | None,
    ambiguous_hour: Literal["reject", "first", "second"],
    region: str,
    outside_line: str | None,
    area_code: str | None,
    rows: int,
    as_json: bool,
) -> ExitCode:
    """Show the first rows of FILE as they are and as the calls they become; nothing is sent, nothing kept."""
    with json_answers.errors_answered(as_json):
        reading = validate.Reading(settings.timezone(timezone), ambiguous_hour, now())
        chosen = profile.load(name) if name else None
        opened = reader.open_source(file)
        tried = preview.trial(
            opened, chosen, reading, dialling=options.dialling_of(region, outside_line, area_code), shown=rows
        )
    if as_json:
        json_answers.print_answer(report.trial_json(tried))
    else:
        report.print_trial(Console(), tried)
    return tried.exit_code
