"""Of equal rows the first is the call; of rows equal in key alone, none is."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from callimport.core import models
from callimport.transform import staging
from callimport.transform.deduplicate import Duplicates, Judged, Sources
from tests import exporting, making


def _judge(calls: list[models.Call], *, ids: bool = True) -> tuple[Duplicates, Judged]:
    its, sources = making.files(0, 1, ids=ids), Sources()
    staged = making.staged(calls, its)
    sources.see(staged)
    duplicates = Duplicates(sources.in_minutes())
    return duplicates, duplicates.judge(staged, [its])


def _copies(judged: Judged) -> list[int]:
    return judged.copies["_row"].to_list()


def _beside(place: models.Place, other: models.Place) -> str:
    return f"row {other.row}"


def _name(place: models.Place) -> str:
    return f"row {place.row}"


def test_of_equal_rows_all_but_the_first_are_duplicates() -> None:
    _, judged = _judge([making.call(row=row) for row in (2, 3, 9)])
    assert (_copies(judged), judged.twins, judged.calls["_row"].to_list()) == ([3, 9], (), [2])
    assert judged.copies.select("_into_source", "_into_row").rows() == [(0, 2), (0, 2)]


def test_calls_with_one_key_and_other_content_are_all_rejects() -> None:
    calls = [making.call(row=2), making.call(row=3, duration_seconds=1), making.call(row=4), making.call("B", row=5)]
    _, judged = _judge(calls)
    assert [(place.row, other.row) for place, _, other in judged.twins] == [(2, 3), (3, 2), (4, 3)]
    assert (judged.calls["_row"].to_list(), _copies(judged)) == ([5], [])
    assert judged.contradicting["_row"].to_list() == [2, 3, 4]


def test_calls_of_two_systems_are_never_compared() -> None:
    north, south = making.files(0, system="north"), making.files(1, system="south")
    staged = making.staged([making.call(row=2), making.call(row=2, source=1, duration_seconds=1)], north, south)
    one_partition = staged.with_columns(pl.lit(7, pl.UInt64).alias(staging.HASH))
    assert Duplicates().judge(one_partition, [north, south]).calls.height == 2


@pytest.mark.parametrize("ids", [True, False])
def test_a_reject_says_what_the_two_calls_share(ids: bool) -> None:
    _, judged = _judge([making.call(row=2), making.call(row=2, source=1, status=models.CallStatus.ERROR)], ids=ids)
    ((place, has_id, other), _) = judged.twins
    assert (place, has_id, other) == (models.Place(0, 2), ids, models.Place(1, 2))


# ── times without seconds ────────────────────────────────────────────────────────────────────────────────────────────

_MINUTE = making.STARTED.replace(second=0)


def _names(calls: list[models.Call]) -> list[str]:
    duplicates, judged = _judge(calls)
    return [reason.message for rejected in duplicates.rejects(judged, _beside) for reason in rejected.reasons]


def test_where_starts_have_no_seconds_twins_are_of_the_same_minute() -> None:
    twins = [making.call(None, row=row, started_at=_MINUTE, duration_seconds=row) for row in (2, 3)]
    assert len(_names(twins)) == 2
    assert all(message.startswith("same minute, direction and number as row") for message in _names(twins))
    exact = making.call(None, row=4, started_at=making.STARTED)
    assert all(message.startswith("same second") for message in _names([*twins, exact]))
    # The other file has no seconds, so nothing is known of the second of its call.
    other = [making.call(None, row=row, source=1, started_at=_MINUTE + timedelta(hours=row)) for row in (2, 3)]
    mixed = [exact, twins[0], making.call(None, row=9, source=1, started_at=_MINUTE, duration_seconds=9), *other]
    assert all(message.startswith("same minute") for message in _names(mixed))


def test_equal_rows_without_seconds_are_duplicates_of_which_a_person_is_told() -> None:
    duplicates, judged = _judge([making.call(None, row=row, started_at=_MINUTE) for row in (2, 3, 9)])
    assert (_copies(judged), judged.twins) == ([3, 9], ())
    (told,) = duplicates.told(_name)
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
    duplicates, _ = _judge(calls)
    assert duplicates.told(_name) == ()


def test_a_check_warns_of_equal_calls_in_one_minute(tmp_path: Path) -> None:
    header, row = (
        "direction,status,started_at,duration_seconds,customer_phone",
        "incoming,interrupted,2024-05-31 13:50,0,",
    )
    path = exporting.write(tmp_path / "calls.csv", header, *[f"{row}+15145550123"] * 2)
    result = exporting.check(path, leads=exporting.leads(tmp_path))
    assert [line for line in result.told if "have no seconds" in line and "row 3" in line]
    assert result.summary.calls.duplicate == 1
