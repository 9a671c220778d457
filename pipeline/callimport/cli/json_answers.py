"""How a command answers that was asked for JSON: one object, also where it failed."""

import contextlib
import itertools
import sys
from collections.abc import Iterator
from typing import Any

import click

from callimport import report
from callimport.core import endings, errors

# Their answers tell of rows and calls, and have the same keys whatever happens.
_OF_ROWS = ("check", "run", "reconcile")


def asked_for_json() -> bool:
    """Before the command line could be read whole."""
    return "--json" in sys.argv


def asked_for_json_lines() -> bool:
    """The same, of the talk on stderr."""
    return "--log-format=json" in sys.argv or ("--log-format", "json") in itertools.pairwise(sys.argv)


def one_object(answer: dict[str, Any]) -> None:
    """On stdout, in one line."""
    click.echo(report.one_line(answer))


def error(context: click.Context | None, message: str, code: errors.ExitCode) -> None:
    """Why there is no other answer, and the exit code, with nothing else in it."""
    if context is not None and context.info_name in _OF_ROWS:
        nothing = endings.Summary(None, "", code, 0.0, 0, 0, endings.Rows(), endings.Calls())
        click.echo(report.summary_json(nothing, error=message))
    else:
        one_object({"exit_code": int(code), "error": message})


@contextlib.contextmanager
def errors_answered(as_json: bool) -> Iterator[None]:
    """With --json an error is an answer, too."""
    try:
        yield
    except errors.ImporterError as failed:
        if as_json:
            error(click.get_current_context(), str(failed), failed.exit_code)
        raise
