"""Who called and is nobody in the CRM: one row a number, most calls first."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from callimport.core import errors
from callimport.resolve import unknown_callers
from callimport.resolve.unknown_callers import HEADER, UnknownCallers

_START = datetime(2024, 5, 31, 18, 0, tzinfo=UTC)
_ONE, _TWO, _THREE = "+15145550121", "+15145550122", "+15145550123"


def _calls(*calls: tuple[str, int, str]) -> pl.DataFrame:
    """Number, minute, status."""
    rows = [(phone, _START + timedelta(minutes=minute), status) for phone, minute, status in calls]
    schema = {"customer_phone": pl.String(), "started_at": pl.Datetime("us", "UTC"), "status": pl.String()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _read(path: Path) -> list[tuple[str, ...]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [tuple(record) for record in csv.reader(file)]


def _gathered(*chunks: pl.DataFrame) -> UnknownCallers:
    callers = UnknownCallers()
    for chunk in chunks:
        callers.see(chunk)
    return callers


def test_each_number_is_told_once_most_calls_first_then_the_latest(tmp_path: Path) -> None:
    callers = _gathered(
        _calls((_ONE, 0, "answered"), (_TWO, 1, "interrupted"), (_THREE, 5, "attempted")),
        _calls((_TWO, 9, "answered"), (_TWO, 3, "attempted")),
    )
    assert callers.write(tmp_path / "u.csv") == 3
    assert _read(tmp_path / "u.csv") == [
        HEADER,
        (_TWO, "3", "1", "2", "2024-05-31 18:09:00+00:00", "answered"),
        (_THREE, "1", "0", "1", "2024-05-31 18:05:00+00:00", "missed"),
        (_ONE, "1", "1", "0", "2024-05-31 18:00:00+00:00", "answered"),
    ]


def test_times_are_told_in_the_zone_of_the_run(tmp_path: Path) -> None:
    _gathered(_calls((_ONE, 0, "answered"))).write(tmp_path / "u.csv", "America/Toronto")
    assert _read(tmp_path / "u.csv")[1][4] == "2024-05-31 14:00:00-04:00"


def test_how_the_chunks_were_cut_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown_callers, "_WAITING_ROWS", 2)
    calls = [(f"+15145550{100 + minute % 7}", minute, ("answered", "interrupted")[minute % 2]) for minute in range(40)]
    _gathered(_calls(*calls)).write(tmp_path / "whole.csv")
    _gathered(*(_calls(call) for call in reversed(calls))).write(tmp_path / "pieces.csv")
    assert _read(tmp_path / "whole.csv") == _read(tmp_path / "pieces.csv")


def test_memory_goes_with_the_numbers_and_not_with_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown_callers, "_WAITING_ROWS", 10)
    callers = _gathered(*(_calls((_ONE, minute, "answered"), (_TWO, minute, "error")) for minute in range(200)))
    assert sum(part.height for part in callers._numbers) <= 2 + 10


def test_nobody_unknown_is_a_header_alone(tmp_path: Path) -> None:
    assert _gathered(_calls()).write(tmp_path / "u.csv") == 0
    assert _read(tmp_path / "u.csv") == [HEADER]


def test_numbers_are_for_their_owner_only(tmp_path: Path) -> None:
    _gathered(_calls((_ONE, 0, "answered"))).write(tmp_path / "u.csv")
    assert (tmp_path / "u.csv").stat().st_mode & 0o777 == 0o600
    with pytest.raises(errors.ConfigError, match="cannot be written"):
        _gathered().write(tmp_path / "none" / "u.csv")
