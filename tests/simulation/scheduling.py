"""Trio with everything that is left to chance decided by a seed, in the one place that touches its private parts."""

import contextlib
import gc
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import TypeVar
from unittest import mock

import httpcore._async.http11
import trio
import trio._core._run as runner
from trio.testing import MockClock

Answer = TypeVar("Answer")


def run(story: Callable[[], Awaitable[Answer]], seed: int) -> Answer:
    """Run `story` so that the same seed always takes the same turns, on a clock that jumps while everybody waits."""
    for name in ("_ALLOW_DETERMINISTIC_SCHEDULING", "_r"):
        assert hasattr(runner, name), f"this trio has no {name}: the order of tasks would be left to chance"
    runner._r.seed(seed)
    # httpcore measures keep-alive by the real clock, which stands still here.
    virtual = SimpleNamespace(monotonic=trio.current_time)
    with (
        mock.patch.object(runner, "_ALLOW_DETERMINISTIC_SCHEDULING", True),
        mock.patch.object(httpcore._async.http11, "time", virtual),
        _no_collection(),
    ):
        return trio.run(story, clock=MockClock(autojump_threshold=0))


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """A collection in the midst of a story would have trio close what it finds: at a moment of no seed's choosing."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
