"""What a check tells of lines that are no rows, and of files that are no table."""

from pathlib import Path

import pytest

from callimport.core import errors
from callimport.extract import reader
from callimport.profiles import draft, profile
from tests import exporting
from tests.exporting import check, rules, write

_HEADER = "direction,started_at,duration_seconds,customer_phone,description"


def _row(minute: int, note: str = "", phone: str = "") -> str:
    return f"incoming,2024-05-31T14:{minute:02}:09-04:00,60,{phone or f'+151455501{minute:02}'},{note}"


def test_a_row_that_swallowed_others_is_a_reject_and_stays_one_when_it_is_fed_in_again(tmp_path: Path) -> None:
    rows = [_row(1), _row(2, '"Roy called'), _row(3), _row(4, 'a 6" tire'), _row(5)]
    export, leads = write(tmp_path / "calls.csv", _HEADER, *rows), exporting.leads(tmp_path)
    once = check(export, leads=leads, rejects=tmp_path / "rejects.csv")
    assert rules(once) == {"swallowed_rows": 1}
    assert "(lines 3 to 5)" in once.findings[0].message
    again = check(tmp_path / "rejects.csv", leads=leads, rejects=tmp_path / "again.csv")
    assert rules(again) == {"swallowed_rows": 1}
    assert again.summary.rows.calls == 0
    third = check(tmp_path / "again.csv", leads=leads)
    assert rules(third) == {"swallowed_rows": 1}
    assert third.summary.lines["rows"] == 3


@pytest.mark.parametrize("caller", ["anonymous", "+15145550199"])
def test_a_row_whose_cells_stand_elsewhere_is_not_skipped(tmp_path: Path, caller: str) -> None:
    rows = [_row(2, '"Roy called', caller), _row(3), _row(4, 'a 6" tire'), f"{_row(5, 'x', caller)},more"]
    export = write(tmp_path / "calls.csv", _HEADER, *rows)
    result = check(export, leads=exporting.leads(tmp_path), own_numbers=("+15145550199",))
    assert rules(result) == {"swallowed_rows": 1, "ragged": 1}
    assert result.summary.calls.skipped == 0


def test_a_sum_that_swallowed_rows_is_not_dropped(tmp_path: Path) -> None:
    header = "Call Time,Caller ID,Destination,Status,Talking"
    rows = ['Total,2,3,4,"Roy', '2024-05-31T14:01:09,5145550101,102,answered,6"', "Total,2"]
    result = check(write(tmp_path / "calls.csv", header, *rows), profile="3cx", leads=exporting.leads(tmp_path))
    assert rules(result) == {"swallowed_rows": 1}
    assert result.summary.dropped == {"totals": 1}


def test_lines_that_are_no_rows_are_told_once_however_often_a_file_is_read(tmp_path: Path) -> None:
    """Dates of which no one knows the order, and a reject file: each has the files read once more."""
    header = "direction,started_at,customer_phone,duration_seconds"
    rows = [f"incoming,{day:02}/05/2024 14:05,+15145550101,60" for day in (13, 14)]
    lines = ["Report", "", header, rows[0], "", header.upper(), rows[1], "incoming,soon,+15145550101,60", "\x1a"]
    export, leads = write(tmp_path / "calls.csv", *lines), exporting.leads(tmp_path)
    result = check(export, leads=leads, rejects=tmp_path / "rejects.csv")
    assert result.summary.lines == {"total": 9, "rows": 3, "blank": 2, "preamble": 1, "header": 2, "trailer": 1}
    assert result.told[0] == (
        "not rows: 1 line before the header, 2 blank, 1 of repeated headers, 1 behind the last row (Ctrl-Z or NUL)"
    )


def test_a_header_alone_is_not_reported_and_lines_of_all_files_add_up(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.csv", _HEADER, _row(minute)) for minute, name in enumerate("ab", start=1)]
    result = check(*files, leads=exporting.leads(tmp_path))
    assert result.summary.lines == {"total": 4, "rows": 2, "blank": 0, "preamble": 0, "header": 2, "trailer": 0}
    assert not any(line.startswith("not rows") for line in result.told)


_TABLE = [
    ("direction", "started_at", "customer_phone", "duration_seconds"),
    ("incoming", "2024-05-31T14:01:09-04:00", "+15145550101", "60"),
    ("outgoing", "2024-05-31T14:02:09-04:00", "+15145550102", "0"),
]  # fmt: skip
_WRAPPED = [f'"{",".join(row)}"' for row in _TABLE]
_FIXED = [f"{a:12}{b:30}{c:16}{d}" for a, b, c, d in _TABLE]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (_WRAPPED, "every line is wrapped in quotes"),
        ([f'"{";".join(row)}"' for row in _TABLE], "every line is wrapped in quotes"),
        ([f'"{",".join(row)}",,' for row in _TABLE], "every line is wrapped in quotes"),
        ([",".join(_TABLE[0]), *_WRAPPED[1:]], None),
        ([_WRAPPED[0], '"incoming,2024-05-31,""Roy, Ana"",answered"'], "every line is wrapped in quotes"),
        ([_WRAPPED[0], '"incoming,2024-05-31,"Roy, Ana",answered"'], "every line is wrapped in quotes"),
        (_FIXED, "set apart by blanks"),
        (["Call report", "", *_FIXED], "set apart by blanks"),
        (["direction started_at phone id agent", "incoming 2024-05-31 +15145550101 c1 7"], "set apart by blanks"),
        ([_FIXED[0], "-" * 12 + "  " + "-" * 28, *(line + "  Roy, Ana" for line in _FIXED[1:])], "set apart by blanks"),
        (['"Report', *(",".join(row) for row in _TABLE), '6"'], "lines 1 to 5 are a quoted cell that holds whole rows"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_says_why_and_what_to_do(tmp_path: Path, lines: list[str], told: str | None) -> None:
    export = write(tmp_path / "calls.csv", *lines)
    if told is None:  # The header says what it is: its rows are rejected.
        assert rules(check(export, leads=exporting.leads(tmp_path))) == {"ragged": 2}
        return
    with pytest.raises(errors.SourceError, match=f"calls.csv: it cannot be read as a table: .*{told}") as caught:
        check(export, leads=exporting.leads(tmp_path))
    assert "nearest" not in str(caught.value)
    with pytest.raises(errors.SourceError, match=told):
        check(export, leads=exporting.leads(tmp_path), profile="canonical")
    with pytest.raises(errors.SourceError, match=told):
        draft.layout(reader.peek(reader.open_source(export)))


def test_a_file_that_is_quoted_cell_by_cell_is_a_table(tmp_path: Path) -> None:
    rows = [",".join(f'"{cell}"' for cell in row) for row in _TABLE]
    assert check(write(tmp_path / "calls.csv", *rows), leads=exporting.leads(tmp_path)).summary.rows.calls == 2
    opened = reader.open_source(write(tmp_path / "other.csv", '"Report, of May"', '"Day","Time"', '"31","14"'))
    assert reader.peek(opened).why_no_table == ""
    with pytest.raises(errors.SchemaMismatch, match="no profile fits"):
        profile.detect(reader.peek(opened))
