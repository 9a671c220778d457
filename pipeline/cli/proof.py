"""Is it all there? callimport verify."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import click
from rich.console import Console

from pipeline import importer, report, verification
from pipeline.cli import answers, options
from pipeline.errors import ExitCode

Tools = Callable[[dict[str, Any]], importer.Tools]


def register(commands: click.Group, tools: Tools) -> None:
    """Add the commands; `tools` makes what they need from outside of what was given."""
    for command in (_verify,):
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
    with answers.errors_answered(given["as_json"]):
        settings = options.settings(given)
        verified = anyio.run(lambda: verification.verify(settings, tools(given), combined=combined))
    if given["as_json"]:
        answers.one_object(verified.for_machines())
    else:
        report.print_verified(
            Console(),
            counts=verified.counts,
            found=verified.found,
            leads=verified.leads,
            combined=str(combined) if combined else None,
        )
    return verified.exit_code
