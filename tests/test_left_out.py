"""What is not sent although nothing is wrong with it is told by kind, with the first places."""

from pathlib import Path

import polars as pl

from pipeline import endings, model
from pipeline.left_out import LeftOut
from tests import making


def test_kinds_are_counted_and_their_first_three_places_told() -> None:
    left_out = LeftOut()
    left_out.note("internal", 0, pl.Series([9, 4]))
    left_out.note("fax", 0, pl.Series([5]))
    left_out.note(model.Skip.NO_LEAD, 1, pl.Series([], dtype=pl.Int64))
    left_out.note("internal", 1, pl.Series([2, 3, 4]))
    assert left_out.counts() == {"internal": 5, "fax": 1}
    assert left_out.told((making.source("a.csv"), making.source("b.csv"))) == (
        endings.LeftOut("internal", 5, ("a.csv row 4", "a.csv row 9", "b.csv row 2")),
        endings.LeftOut("fax", 1, ("a.csv row 5",)),
    )


def test_nothing_left_out_is_nothing_told() -> None:
    assert LeftOut().told((model.Source(Path("a.csv"), "0" * 64, 1, 1),)) == ()
