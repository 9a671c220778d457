"""What is not sent although nothing is wrong with it is told by kind, with the first places."""

from pathlib import Path

import polars as pl

from callimport.core import endings, models, places
from callimport.transform.counts import Tally
from tests import making


def _rows(source: int, *rows: int) -> pl.DataFrame:
    return pl.DataFrame([(source, row) for row in rows], schema=places.SCHEMA, orient="row")


def test_kinds_are_counted_and_their_first_three_places_told() -> None:
    tally = Tally()
    tally.drop("internal", _rows(1, 2, 3, 4))
    tally.drop("fax", _rows(0, 5))
    tally.skip(models.Skip.NO_LEAD, _rows(1))
    # Partitions come in any order.
    tally.drop("internal", _rows(0, 9, 4))
    assert tally.left_out((making.source("a.csv"), making.source("b.csv"))) == (
        endings.LeftOut("internal", 5, ("a.csv row 4", "a.csv row 9", "b.csv row 2")),
        endings.LeftOut("fax", 1, ("a.csv row 5",)),
    )


def test_what_proved_to_be_something_else_is_not_told() -> None:
    tally = Tally()
    tally.skip(models.Skip.NO_LEAD, _rows(0, 2, 3))
    tally.unskip(models.Skip.NO_LEAD, models.Place(0, 2))
    assert tally.left_out((making.source("a.csv"),)) == (endings.LeftOut("no_lead", 1, ("a.csv row 3",)),)
    tally.unskip(models.Skip.NO_LEAD, models.Place(0, 3))
    assert tally.left_out((making.source("a.csv"),)) == ()


def test_nothing_left_out_is_nothing_told() -> None:
    assert Tally().left_out((models.Source(Path("a.csv"), "0" * 64, 1, 1),)) == ()
