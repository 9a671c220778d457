"""callimport doctor, probe: before the first run, and whenever something is odd."""

from collections.abc import Callable
from typing import Any

import anyio
import click
from rich.console import Console

from callimport import importer, report
from callimport.cli import doctor_checks, json_answers, options, probe
from callimport.core.errors import ExitCode
from callimport.core.signals import Interruption

Tools = Callable[[dict[str, Any]], importer.Tools]


def register(commands: click.Group, tools: Tools) -> None:
    """Add the commands; `tools` makes what they need from outside of what was given."""
    for command in (_doctor, _probe):
        commands.add_command(command)
        command.context_settings = {"obj": tools}


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
    with json_answers.errors_answered(given["as_json"]):
        settings = options.settings(given)
        examined = anyio.run(
            lambda: Interruption().until_asked(
                lambda: doctor_checks.examine(settings, tools(given)), hears_signals=True
            )
        )
    if given["as_json"]:
        json_answers.one_object(examined.for_machines())
    else:
        for check in examined.checks:
            report.say(Console(), f"{check.state:7}{check.name:14}{check.told}")
    return examined.exit_code


@click.command(
    "probe",
    epilog="""\b
Examples:
  callimport probe --test-lead 5001 --destination sandbox --yes
  callimport probe --test-lead 123456 --destination dev --json

\b
It asks for consent unless --yes is given; production must be confirmed as for callimport run.
""",
)
@click.option(
    "--test-lead",
    type=click.IntRange(1, 2**63 - 1),
    required=True,
    metavar="ID",
    help="A lead made for trials: some calls and a silent recording are written to it, for good.",
)
@click.option("--yes", is_flag=True, help="The lead was made for that: do not ask.")
@options.placing
@options.asking
@options.answering
@click.pass_obj
def _probe(tools: Tools, /, test_lead: int, yes: bool, **given: Any) -> ExitCode:
    """Find out on one test lead what only a real key can tell. It writes to that lead."""
    with json_answers.errors_answered(given["as_json"]):
        settings = options.settings(given)
        probed = anyio.run(
            lambda: Interruption().until_asked(
                lambda: probe.probe(settings, tools(given), test_lead, consent=yes),
                hears_signals=True,
                interrupted="interrupted: look at the lead in the CRM, and delete the communications of the probe",
            )
        )
    if given["as_json"]:
        json_answers.one_object(probed.for_machines())
    else:
        for one in probed.learned:
            report.say(Console(), f"{one.question}: {one.answer}")
        made = " and ".join(map(str, probed.made)) or "none"
        report.say(Console(), f"communications made on lead {probed.lead_id}, to be deleted in the CRM: {made}")
    return ExitCode.OK
