"""How a command answers that is no run: one JSON object, also where it failed."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import click

from pipeline import errors, privacy


def one_object(answer: dict[str, Any]) -> None:
    """On stdout, in one line."""
    click.echo(json.dumps(answer, ensure_ascii=False))


@contextlib.contextmanager
def errors_answered(as_json: bool) -> Iterator[None]:
    """With --json an error is an answer, too."""
    try:
        yield
    except errors.ImporterError as error:
        if as_json:
            one_object({"exit_code": int(error.exit_code), "error": privacy.scrub(str(error))})
        raise
