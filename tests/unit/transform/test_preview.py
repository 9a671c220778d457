"""What `profiles test` shows: every row ends, as an import would end it, and no number is shown whole."""

import csv
import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from callimport import report
from callimport.core import errors, phones
from callimport.extract import reader
from callimport.profiles import profile
from callimport.transform import preview, validate
from tests.rehearsal import ROOT, callimport

EXPORTS = sorted(path for path in (ROOT / "tests" / "exports").glob("*.csv") if not path.stem.endswith(".calls"))
_READING = validate.Reading("America/Toronto", "reject", datetime(2026, 11, 22, tzinfo=UTC))
_BY_NAME_ONLY = ("five9", "avaya-smdr")
RECIPE = """\
version = 1
name = "desk"
title = "Front desk"
system = "desk"
identity = false
time_form = "date"
[columns]
started_at = "Date"
customer_phone = "Number"
direction = "Way"
duration_seconds = "Talk"
"""


def _tried(path: Path, recipe: str | None = None, shown: int = 1_000) -> preview.Trial:
    chosen = profile.load(recipe) if recipe else None
    return preview.trial(reader.open_source(path), chosen, _READING, dialling=phones.Dialling(), shown=shown)


def _desk(folder: Path, *dates: str) -> tuple[Path, str]:
    recipe, calls = folder / "desk.toml", folder / "calls.csv"
    recipe.write_text(RECIPE, encoding="utf-8")
    rows = "".join(f"{date},5145550123,incoming,12\n" for date in dates)
    calls.write_text(f"Date,Number,Way,Talk\n{rows}", encoding="utf-8")
    return calls, str(recipe)


@pytest.mark.parametrize("path", EXPORTS, ids=lambda path: path.stem)
def test_rows_end_as_they_end_in_an_import(path: Path) -> None:
    tried = _tried(path, next((name for name in _BY_NAME_ONLY if path.stem.startswith(name)), None))
    with path.with_suffix(".calls.csv").open(encoding="utf-8", newline="") as file:
        expected = [(int(row["row"]), row["ending"].split()[0]) for row in csv.DictReader(file)]
    assert [(row.row, row.ending.value) for row in tried.rows] == expected
    assert Counter(ending for _, ending in expected) == Counter({e.value: n for e, n in tried.counts.items()})
    assert tried.exit_code == (errors.ExitCode.ROWS_FAILED if "rejected" in dict(expected).values() else 0)


@pytest.mark.parametrize("path", EXPORTS, ids=lambda path: path.stem)
def test_no_number_is_shown_whole(path: Path) -> None:
    tried = _tried(path, next((name for name in _BY_NAME_ONLY if path.stem.startswith(name)), None))
    assert not re.search(r"5145550\d{3}|514[ -]555[ -]0\d{3}", report.trial_json(tried))


def test_a_call_is_shown_beside_its_cells(tmp_path: Path) -> None:
    (row,) = _tried(*_desk(tmp_path, "31/05/2024 14:05")).rows
    assert row.before == {"Date": "31/05/2024 14:05", "Number": "514•••0123", "Way": "incoming", "Talk": "12"}
    assert row.after == {
        "direction": "incoming",
        "status": "answered",
        "started_at": "2024-05-31T14:05:00-04:00",
        "duration_seconds": "12",
        "customer_phone": "+1514•••0123",
    }


@pytest.mark.parametrize("number", ["5550123", "555-0123", "55501234", "ext 5550123", "5145550123"])
def test_a_number_without_its_area_code_is_masked(tmp_path: Path, number: str) -> None:
    calls, recipe = _desk(tmp_path, "31/05/2024 14:05")
    calls.write_text(calls.read_text("utf-8").replace("5145550123", number), "utf-8")
    (row,) = _tried(calls, recipe).rows
    assert "•••" in row.before["Number"]
    assert "5550123" not in row.before["Number"]


@pytest.mark.parametrize(
    "cell", ["1717178709", "1717178709000", "24/08/17 09:32", "17 juin 2024 à 5 h 59", "45443.58681"]
)
def test_a_time_is_shown_as_it_is_written(tmp_path: Path, cell: str) -> None:
    (row,) = _tried(*_desk(tmp_path, cell)).rows
    assert row.before["Date"] == cell


@pytest.mark.parametrize("cell", ["5145550123", "514-555-0123", "2045550123", "2024-05-31 14:05 514 555 0123"])
def test_a_number_in_the_column_of_times_is_masked(tmp_path: Path, cell: str) -> None:
    tried = _tried(*_desk(tmp_path, cell))
    assert not re.search("555[ -]?0123", report.trial_json(tried))


def test_the_last_date_of_the_file_decides_how_the_first_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "LOOKED_AT", 2)
    monkeypatch.setattr(reader, "read", lambda opened, layout, read=reader.read: read(opened, layout, 2))
    tried = _tried(*_desk(tmp_path, "03/05/2024 14:05", "04/05/2024 14:05", "31/05/2024 14:05"))
    assert [row.after["started_at"][:10] for row in tried.rows] == ["2024-05-03", "2024-05-04"]
    assert (tried.is_whole, sum(tried.counts.values())) == (False, 2)


def test_a_date_that_nobody_can_read_says_so(tmp_path: Path) -> None:
    tried = _tried(*_desk(tmp_path, "03/05/2024 14:05"))
    assert tried.exit_code == errors.ExitCode.ROWS_FAILED
    (row,) = tried.rows
    assert row.ending is preview.Ending.REJECTED
    assert "time_form" in row.why
    assert tried.reasons["started_at_unreadable"] == (2, row.why)


def test_a_file_with_only_its_header_has_no_rows(tmp_path: Path) -> None:
    tried = _tried(*_desk(tmp_path))
    assert (tried.rows, dict(tried.counts), tried.is_whole) == ((), {}, True)


def test_the_command_shows_both_sides(tmp_path: Path) -> None:
    calls, recipe = _desk(tmp_path, "31/05/2024 14:05", "soon")
    words = ("profiles", "test", calls, "--profile", recipe, "--timezone", "America/Toronto")
    ended = callimport(*words, state=tmp_path)
    assert ended.code == 3, ended.said
    assert ended.err == ""
    for told in ("desk because line 1", "31/05/2024 14:05", "2024-05-31T14:05:00-04:00", "2 rows: 1 call, 1 rejected"):
        assert told in ended.out
    as_json = callimport(*words, "--json", "--rows", "1", state=tmp_path)
    answer = json.loads(as_json.out)
    assert answer["counts"] == {"read": 2, "call": 1, "joined": 0, "dropped": 0, "skipped": 0, "rejected": 1}
    assert [row["row"] for row in answer["rows"]] == [2]


def test_an_error_is_an_answer_for_machines_too(tmp_path: Path) -> None:
    calls, recipe = _desk(tmp_path, "31/05/2024 14:05")
    calls.write_text("a,b\n1,2\n", encoding="utf-8")
    ended = callimport("profiles", "test", calls, "--profile", recipe, "--json", state=tmp_path)
    assert ended.code == 5
    assert json.loads(ended.out)["error"] in ended.err
