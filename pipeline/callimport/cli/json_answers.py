"""How a command answers that was asked for JSON: one object, also where it failed."""

import contextlib
import itertools
import sys
from collections.abc import Iterator
from typing import Any

import click

from callimport import report
from callimport.cli import foreign_errors
from callimport.core import endings, errors
from callimport.core.signal_watch import watch

# Their answers tell of rows and calls, and have the same keys whatever happens.
_OF_ROWS = ("check", "run", "reconcile")
_is_answered = False


def begin() -> None:
    """Forget the answer of an earlier command in this process."""
    global _is_answered
    _is_answered = False


def asked_for_json() -> bool:
    """Before the command line could be read whole."""
    return "--json" in sys.argv


def asked_for_json_lines() -> bool:
    """The same, of the talk on stderr."""
    return "--log-format=json" in sys.argv or ("--log-format", "json") in itertools.pairwise(sys.argv)


def one_object(answer: dict[str, Any]) -> None:
    """On stdout, in one line."""
    print_answer(report.one_line(answer))


def print_answer(answer: str) -> None:
    """Print the answer of the command. A signal while it is written must not cause a second answer."""
    global _is_answered
    watch.stop_raising()
    _is_answered = True
    click.echo(answer)


def answer_error(message: str, code: errors.ExitCode) -> None:
    """Why there is no other answer, and the exit code, with nothing else in it."""
    if _is_answered:
        return
    context = click.get_current_context(silent=True)
    # There is no context before click has read the command line, and none after the command has ended.
    name = context.info_name if context else next((word for word in sys.argv[1:] if word in _OF_ROWS), None)
    if name in _OF_ROWS:
        nothing = endings.Summary(None, "", code, 0.0, 0, 0, endings.Rows(), endings.Calls())
        print_answer(report.summary_json(nothing, error=message))
    else:
        one_object({"exit_code": int(code), "error": message})


@contextlib.contextmanager
def errors_answered(as_json: bool) -> Iterator[None]:
    """With --json an error is an answer, too."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, SystemExit, BrokenPipeError):
        raise
    except BaseException as error:
        # A signal must not interrupt the answer that tells the error.
        watch.stop_raising()
        failed = foreign_errors.translated(error)
        if as_json:
            answer_error(str(failed), failed.exit_code)
        if failed is error:
            raise
        raise failed from error
