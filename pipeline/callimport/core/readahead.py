"""The next piece is made while the last one is used."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

Piece = TypeVar("Piece")


def one_ahead(pieces: Generator[Piece, None, None]) -> Generator[Piece, None, None]:
    """The same pieces in the same order, each made in a thread of its own: at most two of them are there at a time.

    What making a piece raises is raised where the piece would have come.
    """
    with closing(pieces), ThreadPoolExecutor(1) as maker:
        ahead = maker.submit(next, pieces, None)
        while (piece := ahead.result()) is not None:
            ahead = maker.submit(next, pieces, None)
            yield piece
