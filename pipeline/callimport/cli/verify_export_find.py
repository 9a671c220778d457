"""Is it all there, and what became of what? callimport verify, export, report, find."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import click
from rich.console import Console

from callimport import importer, report
from callimport.cli import export, find, json_answers, last_run, options, verify
from callimport.core import errors, models, plurals
from callimport.core.errors import ExitCode

Tools = Callable[[dict[str, Any]], importer.Tools]


def register(commands: click.Group, tools: Tools) -> None:
    """Add the commands; `tools` makes what they need from outside of what was given."""
    for command in (_verify, _export, _report, _find):
        commands.add_command(command)
        command.context_settings = {"obj": tools}


@click.command(
    "verify",
    epilog="""\b
Examples:
  callimport verify --destination sandbox
  callimport verify --destination production --account 301 --combined verified.txt
  callimport verify --destination sandbox --json

\b
Lines of --combined: sign, KEY, communication, lead, what was found.
  =  in the CRM as it was kept          -  not there any more
  *  there, and changed since           +  there, of ours, and unknown to the ledger: as a second copy
  !  its lead could not be read

\b
Exit codes: 0 all are there, once; 3 anything else was found; others as of callimport run.
""",
)
@click.option("--combined", type=options.PATH, metavar="FILE", help="Write a line for each call, as rclone check does.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@options.placing
@options.asking
@options.answering
@click.pass_obj
def _verify(tools: Tools, /, combined: Path | None, **given: Any) -> ExitCode:
    """Read every lead that got calls and compare them with the ledger, sending nothing."""
    with json_answers.errors_answered(given["as_json"]):
        settings = options.settings(given)
        verified = anyio.run(lambda: verify.verify(settings, tools(given), combined=combined))
    if given["as_json"]:
        json_answers.one_object(verified.for_machines())
    else:
        report.print_verified(
            Console(),
            counts=verified.counts,
            found=verified.found,
            leads=verified.leads,
            combined=str(combined) if combined else None,
        )
    return _ended(tools(given), verified.exit_code, verified.damaged)


@click.command(
    "export",
    epilog="""\b
Examples:
  callimport export -o ledger.csv
  callimport export -o delivered.parquet --status delivered --destination production
  callimport export -o wrong.csv --batch 7K3Q-2M9D --status delivered

\b
The API has no delete: of a batch that should not have been sent, this is the list to clean up by.
""",
)
@click.option(
    "-o", "--output", type=options.PATH, required=True, metavar="FILE", help="Write there: .csv, .xlsx or .parquet."
)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([status.value for status in models.ItemStatus]),
    help="Only calls that stand so. Repeatable.",
)
@click.option("--batch", metavar="BATCH", help="Only calls of this batch.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@options.placing
@options.configured
@click.pass_obj
def _export(tools: Tools, /, output: Path, statuses: tuple[str, ...], batch: str | None, **given: Any) -> ExitCode:
    """Write the ledger as a table: each call, its row, where it stands, and as which communication on which lead.
    Offline, and not while a run goes on (exit 6)."""
    exported = export.export(
        options.settings(given),
        tools(given).clock,
        output,
        statuses=tuple(map(models.ItemStatus, statuses)),
        batch_id=batch.upper() if batch else None,
    )
    report.say(Console(), f"{exported.path}: {plurals.calls(exported.items)}")
    return _ended(tools(given), ExitCode.OK, exported.damaged)


@click.command(
    "report",
    epilog="""\b
Examples:
  callimport report -o report.html
  callimport report -o report.html --destination production --account 301 --force
""",
)
@click.option("-o", "--output", type=options.PATH, required=True, metavar="FILE", help="Write the page there.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@options.placing
@options.configured
@click.pass_obj
def _report(tools: Tools, /, output: Path, **given: Any) -> ExitCode:
    """Write the last import as one page: how it ended, where its calls stand now, and which need a person. Offline,
    and not while a run goes on (exit 6)."""
    written = last_run.write(options.settings(given), tools(given).clock, output)
    report.say(Console(), f"{output}: run {written.run_id}")
    return _ended(tools(given), ExitCode.OK, written.damaged)


@click.command(
    "find",
    epilog="""\b
Examples:
  callimport find "514 555-0123"
  callimport find 7K3Q-2M9D-XA
  callimport find 42534452 --destination production --json
""",
)
@click.argument("what", metavar="PHONE|CALL|ID")
@click.option("--region", default="CA", show_default=True, help="Country of numbers written without one.")
@options.placing
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object on stdout.")
@options.configured
@click.pass_obj
def _find(tools: Tools, /, what: str, as_json: bool, **given: Any) -> ExitCode:
    """What became of a call: its row, its lead, each attempt. By a customer's number, the phone system's call id, KEY,
    communication or lead. Offline, and not while a run goes on (exit 6)."""
    with json_answers.errors_answered(as_json):
        found = find.find(options.settings(given), tools(given).clock, what)
    if as_json:
        json_answers.one_object(found.for_machines())
    else:
        report.print_found(
            Console(),
            histories=found.histories,
            count=found.count,
            waiting=found.without_lead,
            grace=found.lead_grace,
        )
    return _ended(tools(given), ExitCode.OK, found.damaged)


def _ended(tools: importer.Tools, code: ExitCode, damaged: str | None) -> ExitCode:
    """Say which calls are damaged, if any: they are not in the answer."""
    if damaged is None:
        return code
    tools.talk.error(damaged)
    return errors.worst(code, ExitCode.STOPPED)
