"""callimport doctor: before the first run, and whenever something is odd."""

from collections.abc import Callable
from typing import Any

import anyio
import click

from pipeline import doctor, importer, privacy
from pipeline.cli import answers, options
from pipeline.errors import ExitCode

Tools = Callable[[dict[str, Any]], importer.Tools]


def register(commands: click.Group, tools: Tools) -> None:
    """Add the command; `tools` makes what it needs from outside of what was given."""
    commands.add_command(_doctor)
    _doctor.context_settings = {"obj": tools}


@click.command(
    "doctor",
    epilog="""\b
Examples:
  callimport doctor --destination sandbox
  callimport doctor --destination production --account 301
  callimport doctor --destination dev --json

\b
Exit codes: 0 nothing is wrong, 1 something is, 2 a setting or the key is.
""",
)
@options.placing
@options.asking
@options.answering
@click.pass_obj
def _doctor(tools: Tools, /, **given: Any) -> ExitCode:
    """Look at key, CRM, clock, ledger and disk. One read goes to the CRM; nothing is sent."""
    with answers.errors_answered(given["as_json"]):
        settings = options.settings(given)
        examined = anyio.run(doctor.examine, settings, tools(given))
    if given["as_json"]:
        answers.one_object(examined.for_machines())
    else:
        for check in examined.checks:
            click.echo(privacy.scrub(f"{check.state:7}{check.name:14}{check.told}"))
    return examined.exit_code
