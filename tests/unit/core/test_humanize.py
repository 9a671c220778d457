"""Durations as people read them."""

import pytest

from callimport.core import humanize


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (0.4, "0 s"), (59, "59 s"), (59.6, "1 min 00 s"), (90, "1 min 30 s"), (15000, "4 h 10 min")],
)
def test_durations_are_read_by_people(seconds: float, text: str) -> None:
    assert humanize.told(seconds) == text
