"""What is not sent although nothing is wrong with it is told by kind, with the first places."""

from pathlib import Path

import polars as pl

from callimport.core import endings, models
from callimport.transform.counts import Tally
from tests import making


def test_kinds_are_counted_and_their_first_three_places_told() -> None:
    tally = Tally()
    tally.drop("internal", 0, pl.Series([9, 4]))
    tally.drop("fax", 0, pl.Series([5]))
    tally.skip(models.Skip.NO_LEAD, 1, pl.Series([], dtype=pl.Int64))
    tally.drop("internal", 1, pl.Series([2, 3, 4]))
    assert tally.left_out((making.source("a.csv"), making.source("b.csv"))) == (
        endings.LeftOut("internal", 5, ("a.csv row 4", "a.csv row 9", "b.csv row 2")),
        endings.LeftOut("fax", 1, ("a.csv row 5",)),
    )


def test_what_proved_to_be_something_else_is_not_told() -> None:
    tally = Tally()
    tally.skip(models.Skip.NO_LEAD, 0, pl.Series([2, 3]))
    tally.unskip(models.Skip.NO_LEAD, models.Place(0, 2))
    assert tally.left_out((making.source("a.csv"),)) == (endings.LeftOut("no_lead", 1, ("a.csv row 3",)),)
    tally.unskip(models.Skip.NO_LEAD, models.Place(0, 3))
    assert tally.left_out((making.source("a.csv"),)) == ()


def test_nothing_left_out_is_nothing_told() -> None:
    assert Tally().left_out((models.Source(Path("a.csv"), "0" * 64, 1, 1),)) == ()
