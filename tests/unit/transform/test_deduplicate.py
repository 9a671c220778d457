"""Of equal rows the first is the call; of rows equal in key alone, none is."""

import pytest

from callimport.core import models
from callimport.transform.deduplicate import Judged, Twins
from tests import making


def _judged(calls: list[models.Call], *, ids: bool = True) -> Judged:
    twins = Twins(id_is_unique=ids)
    for source in sorted({one.place.source for one in calls}):
        twins.see(source, making.frame([one for one in calls if one.place.source == source]))
    return twins.judged()


def test_a_file_without_calls_has_no_twins() -> None:
    assert Twins(id_is_unique=True).judged().twins == ()


def test_of_equal_rows_all_but_the_first_are_duplicates() -> None:
    judged = _judged([making.call(row=row) for row in (2, 3, 9)])
    assert (judged.copies.rows(), judged.twins) == ([(0, 3), (0, 9)], ())


def test_every_twin_names_another_of_its_kind() -> None:
    calls = [making.call(row=2), making.call(row=3, duration_seconds=1), making.call(row=4), making.call("B", row=5)]
    assert [(place.row, other.row) for place, _, other in _judged(calls).twins] == [(2, 3), (3, 2), (4, 3)]


@pytest.mark.parametrize("ids", [True, False])
def test_twins_are_told_by_what_makes_them_twins(ids: bool) -> None:
    ((place, has_id, other), _) = _judged([making.call(row=2), making.call(row=2, source=1, lead_id=1)], ids=ids).twins
    assert (place, has_id, other) == (models.Place(0, 2), ids, models.Place(1, 2))
