"""The next piece is made while the last one is used, and nobody can tell from the outside."""

import threading
from collections.abc import Generator

import pytest

from callimport.core import readahead


def test_pieces_come_in_their_order() -> None:
    assert list(readahead.one_ahead(number for number in range(1, 6))) == [1, 2, 3, 4, 5]


def test_the_next_piece_is_made_while_the_last_one_is_used() -> None:
    second_is_being_made = threading.Event()

    def pieces() -> Generator[str, None, None]:
        yield "first"
        second_is_being_made.set()
        yield "second"

    ahead = readahead.one_ahead(pieces())
    assert next(ahead) == "first"
    assert second_is_being_made.wait(timeout=10)


def test_what_making_a_piece_raises_comes_in_its_place() -> None:
    def pieces() -> Generator[str, None, None]:
        yield "first"
        raise ValueError("the second one is broken")

    ahead = readahead.one_ahead(pieces())
    assert next(ahead) == "first"
    with pytest.raises(ValueError, match="the second one is broken"):
        next(ahead)


def test_who_stops_early_leaves_nothing_open() -> None:
    closed = threading.Event()

    def pieces() -> Generator[int, None, None]:
        try:
            yield from range(1, 100)
        finally:
            closed.set()

    ahead = readahead.one_ahead(pieces())
    assert next(ahead) == 1
    ahead.close()
    assert closed.is_set()


def test_an_interruption_does_not_wait_for_a_piece_that_never_comes() -> None:
    may_end = threading.Event()

    def pieces() -> Generator[str, None, None]:
        yield "first"
        may_end.wait()

    ahead = readahead.one_ahead(pieces())
    next(ahead)
    with pytest.raises(KeyboardInterrupt):
        ahead.throw(KeyboardInterrupt)
    may_end.set()
