"""The names of the sabotages stay what they are."""

from tests.baseline import records, sabotages


def test_no_sabotage_is_dropped_or_caught_as_something_else() -> None:
    assert records.differences(sabotages.NAME, sabotages.observe()) == []
