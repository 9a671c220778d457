"""The options that several commands share, and how what was given becomes Settings."""

import dataclasses
import difflib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from callimport.cli import json_answers
from callimport.core import errors, limits, phones
from callimport.core.settings import (
    ALLOWED_PER_MINUTE,
    DEFAULT_RATE,
    LARGEST_RECORDING_MB,
    PREFIX,
    SANDBOX,
    Settings,
    days,
    defaults,
    rate,
    timezone,
    variables,
)

Command = TypeVar("Command", bound=Callable[..., Any])


class _Finite(click.FloatRange):
    """A number that is one: nothing is ever later than `nan`, and `inf` never comes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number of anything.", param, ctx)
        return number


class _Day(click.DateTime):
    """A calendar day, in the one order that nobody reads otherwise."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, None, None)
        except click.BadParameter:
            self.fail(f"{value!r} is no day: write it as year, month, day, such as 2024-05-31", param, ctx)


FINITE, FINITE_ABOVE_ZERO = _Finite(0), _Finite(0, min_open=True)
PATH = click.Path(path_type=Path)
# Variables of ours that stand for no option.
_NO_OPTIONS = ("CALLIMPORT_TOKEN", "CALLIMPORT_CONFIG", "CALLIMPORT_SANDBOX_TOKEN")
_LIKE = 0.8
_DAY = _Day(["%Y-%m-%d"])


def _take_defaults(context: click.Context, _: click.Parameter, config_file: str | None) -> None:
    """Before any other option is looked at: what the settings file and the environment give stands behind the flags."""
    root = context.find_root().command
    every = root.commands.values() if isinstance(root, click.Group) else [root]
    known = {name for command in every for name in _names(command)}
    context.default_map = {}
    with json_answers.errors_answered(json_answers.asked_for_json()):
        given = defaults(config_file, known)
        one_value = [one for one in context.command.params if not getattr(one, "multiple", False)]
        for name in (name for one in one_value for name in _long_names(one)):
            if isinstance(given.get(name), list):
                raise errors.ConfigError(f'the settings file sets "{name}" to a list: give it one value')
    for parameter in context.command.params:
        for name in _long_names(parameter):
            # The rehearsal CRM is another program: its --limit is not the importer's.
            if name in given and (context.info_name != "sandbox" or name == "state-dir"):
                value = given[name]
                is_list = isinstance(parameter, click.Option) and parameter.multiple
                context.default_map[parameter.name or name] = (
                    value.split() if is_list and isinstance(value, str) else value
                )


def unknown_variables(root: click.Group) -> Iterator[str]:
    """What to say of each. No error, as other programs may have variables that begin so; but a misspelt one would
    change nothing."""
    options = {name for command in root.commands.values() for name in _names(command)}
    known = {*_NO_OPTIONS, *(PREFIX + name.upper().replace("-", "_") for name in options)}
    for name in variables():
        if name.upper() not in known:
            nearest = difflib.get_close_matches(name.upper(), sorted(known), n=1, cutoff=_LIKE)
            meant = f"did you mean {nearest[0]}?" if nearest else "callimport run --help lists the options"
            yield f"{name} is no setting of callimport, so it is ignored: {meant}"


def _names(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in _long_names(parameter)}


def _long_names(parameter: click.Parameter) -> list[str]:
    return [option.removeprefix("--") for option in parameter.opts if option.startswith("--")]


def _together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


state_dir = click.option(
    "--state-dir",
    type=PATH,
    metavar="DIR",
    help="Where ledgers and locks lie by default, and calls while they are read.",
)


def shaping(command: Command) -> Command:
    """What makes calls of rows: two runs with the same ones belong together."""
    return _together(
        click.option("--profile", metavar="NAME|PATH", help="The phone system's recipe (default: detected)."),
        click.option("--system", metavar="NAME", help="This installation, if there are several of one phone system."),
        click.option("--timezone", metavar="ZONE", help="Zone of times without an offset, such as America/Toronto."),
        click.option(
            "--ambiguous-hour",
            type=click.Choice(["reject", "first", "second"]),
            default="reject",
            show_default=True,
            help="Which one is meant by the hour that happens twice in autumn.",
        ),
        click.option("--since", type=_DAY, metavar="DATE", help="Only calls from this day on (in the zone)."),
        click.option("--until", type=_DAY, metavar="DATE", help="Only calls up to and including this day."),
        click.option(
            "--leads", type=PATH, metavar="FILE", help="CSV or Parquet of phone,lead_id (and created_at,status)."
        ),
        click.option(
            "--find-leads", is_flag=True, help="Look numbers without a lead up in the CRM; check only counts them."
        ),
        click.option(
            "--several-leads",
            type=click.Choice(["reject", "at-call", "newest", "oldest"]),
            default="reject",
            show_default=True,
            help="Which lead is meant by a number of several; at-call: the last one created before the call.",
        ),
        click.option(
            "--agents",
            type=PATH,
            metavar="FILE",
            help="CSV of extension, name or login → email or user_id, with from and until dates if it changed.",
        ),
        click.option(
            "--agent",
            type=click.Choice(["first", "last", "longest"]),
            default="last",
            show_default=True,
            help="Whose a transferred call is: of the first or last person who talked, or of who talked longest.",
        ),
        click.option(
            "--unknown-agent",
            metavar="reject|omit|default:ID",
            default="reject",
            show_default=True,
            help="What to do with an answered call whose agent is not known.",
        ),
        click.option("--no-reference", is_flag=True, help="Do not append the short mark to the description."),
    )(command)


def reading(command: Command) -> Command:
    return _together(
        click.option("--rejects", type=PATH, metavar="FILE", help="Write the rejected rows there, to be mended."),
        click.option(
            "--unknown-callers",
            type=PATH,
            metavar="FILE",
            help="Write the numbers without a lead there, most calls first.",
        ),
        click.option("--force", is_flag=True, help="Replace output files that exist."),
    )(command)


def placing(command: Command) -> Command:
    """Which ledger is meant."""
    return _together(
        click.option("--destination", metavar="sandbox|dev|production|URL", help="The CRM; none is assumed."),
        click.option("--account", metavar="NAME|ID", help="The account that the key must open."),
        click.option(
            "--ledger", type=PATH, metavar="PATH", help="The ledger (default: one an account, in the state folder)."
        ),
        state_dir,
    )(command)


def asking(command: Command) -> Command:
    """With which key, and how fast, the CRM is asked."""
    return _together(
        click.option(
            "--token-file", metavar="PATH", help="File with the key, - for stdin (default: CALLIMPORT_TOKEN)."
        ),
        click.option(
            "--rate",
            "rates",
            multiple=True,
            default=[DEFAULT_RATE],
            show_default=True,
            metavar="N/min",
            help="Highest rate; repeat for several windows, as in --rate 190/min --rate 2000/h.",
        ),
    )(command)


def looking(command: Command) -> Command:
    """How the CRM is asked, and when about doubts."""
    return _together(
        asking,
        click.option(
            "--settle",
            type=FINITE,
            default=180.0,
            show_default=True,
            metavar="SECONDS",
            help="How long the CRM may still be at work on a request; calls in doubt are looked up after that.",
        ),
    )(command)


def dialling(command: Command) -> Command:
    """How numbers are written."""
    return _together(
        click.option(
            "--region",
            default="CA",
            show_default=True,
            metavar="COUNTRY",
            help="Country of numbers written without one.",
        ),
        click.option(
            "--outside-line",
            metavar="DIGITS",
            help="Digits that desks dial before a public number, such as 9, or none (default: as the profile says).",
        ),
        click.option("--area-code", metavar="DIGITS", help="Area code of numbers with seven digits, such as 514."),
    )(command)


def choosing(command: Command) -> Command:
    """Which numbers are whose, and which calls are wanted."""
    return _together(
        dialling,
        click.option(
            "--own-number",
            "own_numbers",
            multiple=True,
            metavar="NUMBER|FILE",
            help="A number of the house, or a file of them: never the customer. Repeatable.",
        ),
        click.option(
            "--exclude-numbers", type=PATH, metavar="FILE", help="Numbers whose calls are not wanted, one a line."
        ),
        click.option(
            "--only", metavar="WORDS", help="Only calls of these words, as in answered,incoming; others are skipped."
        ),
        click.option(
            "--min-duration",
            type=click.IntRange(0),
            default=0,
            metavar="SECONDS",
            help="Skip calls with less talk than this.",
        ),
    )(command)


def hearing(command: Command) -> Command:
    """Where recordings are."""
    return _together(
        click.option("--recordings", type=PATH, metavar="DIR", help="The folder of the calls' recordings."),
        click.option(
            "--max-recording",
            type=FINITE_ABOVE_ZERO,
            default=LARGEST_RECORDING_MB,
            show_default=True,
            metavar="MB",
            help="Larger recordings are not sent, but reported.",
        ),
    )(command)


def sending(command: Command) -> Command:
    return _together(
        placing,
        looking,
        click.option(
            "--recordings-only", is_flag=True, help="With --recordings: upload what is due, and send no call."
        ),
        click.option(
            "--concurrency", type=click.IntRange(1, 64), default=8, show_default=True, help="Requests at once."
        ),
        click.option("--limit", type=click.IntRange(1), metavar="N", help="Send at most N calls, then stop (exit 7)."),
        click.option(
            "--lead-grace",
            metavar="DAYS",
            default="30d",
            show_default=True,
            help="With --leads or --find-leads: how long calls without a lead are kept and tried again.",
        ),
        click.option(
            "--pilot",
            type=click.IntRange(1, 1000),
            metavar="N",
            help="Send N calls of every kind, then stop (exit 7) and say where to look at them in the CRM.",
        ),
        click.option(
            "--max-duration", metavar="TIME", help="Begin nothing after so long, as in 8h; what is left waits (exit 7)."
        ),
        click.option("--dry-run", is_flag=True, help="Make the plan only: nothing is written to CRM or ledger."),
        click.option("--plan", metavar="CODE", help="Send nothing but the plan that --dry-run printed."),
        click.option("--resume", metavar="BATCH", help="Without FILES: go on with this batch instead of the last."),
        click.option(
            "--adopt",
            is_flag=True,
            help="Take over what the CRM has already, as after the loss of a ledger: reads every lead first.",
        ),
        click.option(
            "--existing",
            type=click.Choice(["skip", "report", "send"]),
            default="skip",
            show_default=True,
            help="What to do with a call that somebody else brought to the CRM already; send: do not look (no reads).",
        ),
        click.option(
            "--on-change",
            type=click.Choice(["update", "skip", "report"]),
            default="update",
            show_default=True,
            help="What to do with a delivered call that its source tells otherwise now.",
        ),
        click.option(
            "--overwrite",
            is_flag=True,
            help="Change calls even where a person has changed them, and upload to those that were in the CRM before.",
        ),
        click.option(
            "--allow-updates", type=click.IntRange(1), metavar="N", help="Change up to N calls, even if that is many."
        ),
        click.option("--first-run", is_flag=True, help="Production has no ledger yet, and that is right."),
    )(command)


def judging(command: Command) -> Command:
    return _together(
        click.option(
            "--max-rejects", metavar="N|P%", help="Send nothing (exit 8) if more rows than this are rejected, as in 5%."
        ),
        click.option(
            "--fail-on",
            metavar="WORDS",
            help="Exit 3 also if calls ended so: skipped or a kind of it, as no_lead; duplicate; changed.",
        ),
    )(command)


def answering(command: Command) -> Command:
    return _together(
        click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object on stdout."),
        click.option("--quiet", is_flag=True, help="Say nothing on stderr but warnings and errors."),
        click.option(
            "--log-format",
            type=click.Choice(["text", "json"]),
            default="text",
            show_default=True,
            help="Form of stderr.",
        ),
        configured,
    )(command)


def configured(command: Command) -> Command:
    """The settings file and the environment stand behind every option of the command."""
    return click.option(
        "--config",
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_take_defaults,
        help="TOML file with any of these options.",
    )(command)


def settings(given: dict[str, Any]) -> Settings:
    """What was given on the command line, typed. ConfigError for a rate or a zone that is none."""
    fields = Settings.__dataclass_fields__
    known = {name: value for name, value in given.items() if name in fields}
    for day in ("since", "until"):
        known[day] = known[day].date() if known.get(day) else None
    if known["since"] and known["until"] and known["since"] > known["until"]:
        raise errors.ConfigError(f"--since {known['since']} is after --until {known['until']}: no call lies between")
    known["files"] = tuple(given.get("files", ()))
    known["own_numbers"] = tuple(given.get("own_numbers", ()))
    dialling = dialling_of(given.get("region"), given.get("outside_line"), given.get("area_code"))
    known |= dataclasses.asdict(dialling)
    known["rates"] = tuple(rate(text) for text in given.get("rates", ()))
    known["timezone"] = timezone(given.get("timezone"))
    known["lead_grace"] = days(given.get("lead_grace") or "30d")
    for name, read in (
        ("max_rejects", limits.max_rejects), ("max_duration", limits.max_duration), ("fail_on", limits.fail_on)
    ):  # fmt: skip
        if known.pop(name, None) is not None:
            known[name] = read(given[name])
    known["reference"] = not given.get("no_reference", False)
    return Settings(**known)


def dialling_of(region: str | None, outside_line: str | None, area_code: str | None) -> phones.Dialling:
    """Check the values of the options of `dialling`: how numbers are written. Raises ConfigError."""
    country = phones.require_region(region or "CA")
    line = None if outside_line is None else phones.require_outside_line(outside_line)
    return phones.Dialling(country, line, phones.require_area_code(area_code, country) if area_code else "")


def too_fast(given: dict[str, Any]) -> str | None:
    """What to say of a rate that the real CRM does not allow; a rehearsal may allow another one."""
    rates = [rate(text) for text in given.get("rates", ())]
    highest = min((one.limit / one.seconds * 60 for one in rates), default=0.0)
    if highest <= ALLOWED_PER_MINUTE or given.get("destination") in (None, SANDBOX):
        return None
    return (
        f"--rate allows {highest:g} requests a minute and the CRM {ALLOWED_PER_MINUTE}: it will often say no, "
        "and everything waits then; leave --rate out"
    )
