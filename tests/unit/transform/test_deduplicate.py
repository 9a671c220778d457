"""Of equal rows the first is the call; of rows equal in key alone, none is."""

from datetime import timedelta
from pathlib import Path

import pytest

from callimport.core import models
from callimport.transform.deduplicate import Judged, Twins
from tests import exporting, making


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


# ── times without seconds ────────────────────────────────────────────────────────────────────────────────────────────

_MINUTE = making.STARTED.replace(second=0)


def _names(judged: Judged) -> list[str]:
    rejects = judged.rejects(making.batch("a.csv", "b.csv").name_beside)
    return [reason.message for rejected in rejects for reason in rejected.reasons]


def test_where_starts_have_no_seconds_twins_are_of_the_same_minute() -> None:
    twins = [making.call(None, row=row, started_at=_MINUTE, duration_seconds=row) for row in (2, 3)]
    judged = _judged(twins)
    assert len(judged.twins) == 2
    assert all(message.startswith("same minute, direction and number as row") for message in _names(judged))
    exact = making.call(None, row=4, started_at=making.STARTED)
    assert all(message.startswith("same second") for message in _names(_judged([*twins, exact])))
    # The other file has no seconds, so nothing is known of the second of its call.
    other = [making.call(None, row=row, source=1, started_at=_MINUTE + timedelta(hours=row)) for row in (2, 3)]
    mixed = [exact, twins[0], making.call(None, row=9, source=1, started_at=_MINUTE, duration_seconds=9), *other]
    assert all(message.startswith("same minute") for message in _names(_judged(mixed)))


def test_equal_rows_without_seconds_are_duplicates_of_which_a_person_is_told() -> None:
    calls = [making.call(None, row=row, started_at=_MINUTE) for row in (2, 3, 9)]
    judged = _judged(calls)
    assert (judged.copies.rows(), judged.twins) == ([(0, 3), (0, 9)], ())
    (told,) = judged.told(making.batch("a.csv").name_of)
    assert told.startswith("2 calls without an id equal an earlier call and count as duplicates")
    assert "row 3, row 9" in told


@pytest.mark.parametrize(
    "calls",
    [
        [making.call("A", row=row, started_at=_MINUTE) for row in (2, 3)],
        [making.call(None, row=row, started_at=making.STARTED) for row in (2, 3)],
        [making.call(None, row=row, started_at=_MINUTE + timedelta(minutes=row)) for row in (2, 3)],
    ],
    ids=["ids", "seconds", "different"],
)
def test_nobody_is_warned_where_a_duplicate_is_sure(calls: list[models.Call]) -> None:
    assert _judged(calls).told(making.batch("a.csv").name_of) == ()


def test_a_check_warns_of_equal_calls_in_one_minute(tmp_path: Path) -> None:
    header, row = (
        "direction,status,started_at,duration_seconds,customer_phone",
        "incoming,interrupted,2024-05-31 13:50,0,",
    )
    path = exporting.write(tmp_path / "calls.csv", header, *[f"{row}+15145550123"] * 2)
    result = exporting.check(path, leads=exporting.leads(tmp_path))
    assert [line for line in result.told if "have no seconds" in line and "row 3" in line]
    assert result.summary.calls.duplicate == 1
