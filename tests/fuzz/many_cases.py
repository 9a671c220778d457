"""Play many cases in several processes, and say what they find."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Protocol, TypeVar

import click


class Played(Protocol):
    """What became of a case."""

    findings: list[str]

    @property
    def title(self) -> str:
        """What the case was."""


P = TypeVar("P", bound=Played)


def play_all(play: Callable[[int], P], numbers: Sequence[int], jobs: int, module: str) -> list[P]:
    """Play these cases of a module, and say each finding with the command that plays its case again."""
    found: list[P] = []
    # Polars has threads of its own. A forked process would wait for them for ever.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for number, played in zip(numbers, pool.map(play, numbers, chunksize=4), strict=True):
            found.append(played)
            if played.findings:
                click.echo(f"case {number}: {played.title}")
                for finding in played.findings:
                    click.echo(f"    {finding}")
                click.echo(f"    play it again: python -m {module} --one {number}")
    return found
