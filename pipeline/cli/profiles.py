"""callimport profiles: the recipes there are, and what one makes of a file."""

import textwrap
from collections.abc import Callable
from datetime import datetime

import click

from pipeline import profile
from pipeline.errors import ExitCode

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
        click.echo(f"{name:24}{its.title}{told}")
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
