"""The next piece is made while the last one is used."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Piece = TypeVar("Piece")


def one_ahead(pieces: Generator[Piece, None, None]) -> Generator[Piece, None, None]:
    """The same pieces in the same order, each made in a thread of its own: at most two of them are there at a time.

    What making a piece raises is raised where the piece would have come.
    """
    maker = ThreadPoolExecutor(1)
    try:
        ahead = maker.submit(next, pieces, None)
        while (piece := ahead.result()) is not None:
            ahead = maker.submit(next, pieces, None)
            yield piece
    except KeyboardInterrupt:
        # Do not wait for the next piece: it may never come, such as from a pipe that nobody writes to.
        maker.shutdown(wait=False, cancel_futures=True)
        raise
    except BaseException:
        _finish(maker, pieces)
        raise
    _finish(maker, pieces)


def _finish(maker: ThreadPoolExecutor, pieces: Generator[Piece, None, None]) -> None:
    maker.shutdown(cancel_futures=True)
    pieces.close()
