"""callimport sandbox: starts the rehearsal CRM, which is a program of its own."""

import importlib
from pathlib import Path
from typing import Any

import click

from callimport.cli import options
from callimport.core import errors, settings
from callimport.core.errors import ExitCode


@click.command(
    "sandbox",
    epilog="""\b
Examples:
  callimport sandbox
  callimport sandbox --any-id --limit 6000
  callimport sandbox --seed crm.json
  callimport sandbox --cases --knob per_page=422
""",
)
@click.option("--seed", type=options.PATH, metavar="FILE", help="JSON with accounts, users and leads.")
@click.option("--cases", is_flag=True, help="Instead, leads and users that are hard to get right.")
@click.option("--any-id", is_flag=True, help="Every lead and user that is mentioned exists.")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True, help="Requests in a window.")
@click.option("--window", type=click.FloatRange(0.1), default=60.0, show_default=True, help="Seconds of a window.")
@click.option("--latency-ms", type=click.FloatRange(0), default=0.0, show_default=True, help="Delay of every answer.")
@click.option(
    "--crm-profile",
    type=click.Choice(["documented", "strict", "sloppy"]),
    default="strict",
    show_default=True,
    help="How it judges what it is sent.",
)
@click.option("--faults", type=options.PATH, metavar="FILE", help="JSON with what is to go wrong, and when.")
@click.option(
    "--knob", multiple=True, metavar="NAME=VALUE", help="Another habit, as per_page=422 (one that is none lists all)."
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the API (default: a free one).")
@click.option("--control-port", type=click.IntRange(0, 65535), default=0, help="Port of journal and counts.")
@click.option("--account-id", type=click.IntRange(1), help="The account's id (default: another one every time).")
@click.option("--state-dir", type=options.PATH, metavar="DIR", help="Where the address file is kept.")
@click.option("--quiet", is_flag=True, help="Do not say where it listens.")
@options.configured
def command(state_dir: Path | None, **given: Any) -> ExitCode:
    """A CRM to rehearse against, on this machine only. Stop it with Ctrl-C."""
    folder = settings.state_dir(settings.Settings(files=(), state_dir=state_dir))
    arguments = ["--address-file", str(settings.address_file(folder)), "--profile", given.pop("crm_profile")]
    for name, value in given.items():
        if value is True:
            arguments.append(f"--{name.replace('_', '-')}")
        elif name == "knob":
            arguments += [text for each in value for text in ("--knob", each)]
        elif value not in (None, False):
            arguments += [f"--{name.replace('_', '-')}", str(value)]
    try:
        # By name, not by import: the rehearsal CRM and the importer must not be able to share a fault.
        rehearsal = importlib.import_module("callimport.sandbox.__main__")
    except ModuleNotFoundError as error:
        raise errors.ConfigError(f"the rehearsal CRM needs {error.name}: pip install 'callimport[sandbox]'") from None
    return ExitCode(rehearsal.main(arguments))
