"""Rejects are written, opened in Excel, mended, saved and fed in again: the calls are those that were meant."""

import csv
import io
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from callimport import report
from callimport.core import errors, models, phones, row_origin, workbook_writer
from callimport.extract import reader
from callimport.profiles import profile
from callimport.transform import rejects, validate
from tests import exporting

_NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
_HEADER = ("call_id", "direction", "started_at", "duration_seconds", "customer_phone", "agent_name", "description")
_EXPORT = (
    _HEADER,
    ("a1", "incoming", "2024-05-31 14:05:09", "95", "+15145550123", "Éloïse Gagnon", "sound"),
    ("a2", "incoming", "2024-05-31 14:06:09", "1:35", "+15145550124", "Éloïse Gagnon", "=HYPERLINK(A1)"),
    ("a3", "outgoing", "2024-06-01 09:00:00", "40", "5,14555E+09", "Ana Tremblay", "-1+1; \"cité\""),
    ("a4", "outgoing", "soon", "0", "+33155550123", "Ana Tremblay", "'+1"),
)  # fmt: skip
_MENDED = {("a2", "duration_seconds"): "95", ("a3", "customer_phone"): "514 555-0125"}


def _write(path: Path, rows: tuple[tuple[str, ...], ...]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def _read(path: Path, output: Path | None = None) -> tuple[pl.DataFrame, dict[models.Place, tuple[models.Reason, ...]]]:
    """Accepted calls of a file and its rejects, which go to `output`."""
    opened, recipe = reader.open_source(path), profile.load("canonical")
    recipe = profile.fit(recipe, reader.peek(opened)).profile
    chunks = list(reader.read(opened))
    (chunk,) = chunks
    given = profile.Given(phones.Dialling(), dates=profile.evidence(recipe, chunk.frame))
    reading = validate.Reading("America/Toronto", "reject", _NOW)
    found = validate.validate(profile.canonical(recipe, chunk.frame, given), reading)
    reasons = {models.Place(0, row): why for row, why in found.rejects.items()}
    if output is not None:
        rejects.write(output, [(0, chunk)], reasons, several_sources=False, profiles=[recipe])
    return found.accepted, reasons


def _calls(accepted: pl.DataFrame) -> dict[str, tuple[Any, ...]]:
    columns = ("call_id", "started_at", "duration_seconds", "customer_phone", "agent_name", "description")
    return {row[0]: row[1:] for row in accepted.select(columns).iter_rows()}


def _cells(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def _mend(records: list[list[str]], changes: Mapping[tuple[str, str], str]) -> list[list[str]]:
    header = records[0]
    for record in records[1:]:
        for (call_id, column), cell in changes.items():
            if record[header.index("call_id")] == call_id:
                record[header.index(column)] = cell
    return records


def _as_french_excel_shows(cell: str) -> str:
    """What it takes for a number, a date or a formula is one from then on, and is saved as it is shown."""
    if told := re.fullmatch(r"(\d{4})-(\d\d)-(\d\d) (\d\d:\d\d)(?::\d\d)?", cell):
        return f"{told[3]}/{told[2]}/{told[1]} {told[4]}"
    if re.fullmatch(r"\+?\d+", cell):
        digits = cell.lstrip("+")
        return digits.lstrip("0") or "0" if len(digits) < 12 else f"{int(digits):.5E}".replace(".", ",")
    if re.match(r"[=+@-]", cell):
        return "#NOM?"
    return {"TRUE": "VRAI", "FALSE": "FAUX"}.get(cell, cell)


def _saved_by_french_excel(records: list[list[str]], codec: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerows([_as_french_excel_shows(cell) for cell in record] for record in records)
    return text.getvalue().encode(codec)


def test_what_is_written_comes_back_unchanged(tmp_path: Path) -> None:
    """The numbers begin with +, the notes with = and - and an apostrophe."""
    _read(_write(tmp_path / "calls.csv", _EXPORT), tmp_path / "rejects.csv")
    written = {record[4] for record in _cells(tmp_path / "rejects.csv")}
    assert {"'+15145550124", "'+33155550123", "5,14555E+09"} < written
    (chunk,) = reader.read(reader.open_source(tmp_path / "rejects.csv"))
    assert chunk.frame.select(_HEADER).rows() == list(_EXPORT[2:])


@pytest.mark.parametrize("codec", ["cp1252", "utf-8-sig"])
def test_what_a_french_excel_does_to_rejects_is_read_back(tmp_path: Path, codec: str) -> None:
    _read(_write(tmp_path / "calls.csv", _EXPORT), tmp_path / "rejects.csv")
    records = _mend(_cells(tmp_path / "rejects.csv"), {**_MENDED, ("a4", "started_at"): "2024-05-31 14:20"})
    (tmp_path / "mended.csv").write_bytes(_saved_by_french_excel(records, codec))
    damaged = (tmp_path / "mended.csv").read_bytes().decode(codec)
    assert "31/05/2024 14:06" in damaged
    assert ";Éloïse Gagnon;" in damaged
    accepted, reasons = _read(tmp_path / "mended.csv")
    assert reasons == {}
    assert _calls(accepted) == {
        # The seconds that Excel does not show are lost.
        "a2": (datetime(2024, 5, 31, 18, 6, tzinfo=UTC), 95, "+15145550124", "Éloïse Gagnon", "=HYPERLINK(A1)"),
        "a3": (datetime(2024, 6, 1, 13, 0, tzinfo=UTC), 40, "+15145550125", "Ana Tremblay", '-1+1; "cité"'),
        "a4": (datetime(2024, 5, 31, 18, 20, tzinfo=UTC), 0, "+33155550123", "Ana Tremblay", "'+1"),
    }


def test_a_date_of_excel_that_can_be_read_in_two_ways_is_a_reject(tmp_path: Path) -> None:
    rows = (_HEADER, ("a1", "incoming", "05/06/2024 14:05", "95", "+15145550123", "Ana", ""))
    accepted, reasons = _read(_write(tmp_path / "calls.csv", rows))
    assert accepted.is_empty()
    assert [reason.rule for reason in reasons[models.Place(0, 2)]] == ["started_at_unreadable"]
    assert "no date of the file tells" in reasons[models.Place(0, 2)][0].message


def test_a_number_that_excel_made_short_is_a_reject_that_says_so(tmp_path: Path) -> None:
    rows = (_HEADER, ("a1", "incoming", "2024-05-31 14:05:09", "95", "5,14555E+09", "Ana", ""))
    _, reasons = _read(_write(tmp_path / "calls.csv", rows))
    assert "a spreadsheet's short form" in reasons[models.Place(0, 2)][0].message


def _sheet_of(path: Path) -> Any:
    return openpyxl.load_workbook(path).active


def _to_sheet(tmp_path: Path) -> Path:
    """Mended in Excel as a workbook."""
    _read(_write(tmp_path / "calls.csv", _EXPORT), tmp_path / "rejects.xlsx")
    book = openpyxl.load_workbook(tmp_path / "rejects.xlsx")
    active: Any = book.active
    header = [cell.value for cell in active[1]]
    for record in active.iter_rows(min_row=2):
        for (call_id, column), cell in {**_MENDED, ("a4", "started_at"): "2024-05-31 14:20:09"}.items():
            if record[0].value == call_id:
                record[header.index(column)].value = cell
    book.save(tmp_path / "mended.xlsx")
    return tmp_path / "mended.xlsx"


def _to_csv(tmp_path: Path) -> Path:
    _read(_write(tmp_path / "calls.csv", _EXPORT), tmp_path / "rejects.csv")
    records = _mend(_cells(tmp_path / "rejects.csv"), {**_MENDED, ("a4", "started_at"): "2024-05-31 14:20:09"})
    _write(tmp_path / "mended.csv", tuple(map(tuple, records)))
    return tmp_path / "mended.csv"


def _sheet_saved_as_csv(tmp_path: Path) -> Path:
    rows = _sheet_of(_to_sheet(tmp_path)).iter_rows(values_only=True)
    return _write(tmp_path / "saved.csv", tuple(tuple(cell or "" for cell in row) for row in rows))


def _csv_saved_as_sheet(tmp_path: Path) -> Path:
    book = openpyxl.Workbook()
    active: Any = book.active
    for record in _cells(_to_csv(tmp_path)):
        active.append(record)
    book.save(tmp_path / "saved.xlsx")
    return tmp_path / "saved.xlsx"


_WAYS: tuple[Callable[[Path], Path], ...] = (_to_sheet, _to_csv, _sheet_saved_as_csv, _csv_saved_as_sheet)


@pytest.mark.parametrize("way", _WAYS)
def test_mended_rows_are_the_calls_that_were_meant_whichever_file_they_are_saved_as(
    tmp_path: Path, way: Callable[[Path], Path]
) -> None:
    accepted, reasons = _read(way(tmp_path))
    assert reasons == {}
    assert _calls(accepted) == {
        "a2": (datetime(2024, 5, 31, 18, 6, 9, tzinfo=UTC), 95, "+15145550124", "Éloïse Gagnon", "=HYPERLINK(A1)"),
        "a3": (datetime(2024, 6, 1, 13, 0, tzinfo=UTC), 40, "+15145550125", "Ana Tremblay", '-1+1; "cité"'),
        "a4": (datetime(2024, 5, 31, 18, 20, 9, tzinfo=UTC), 0, "+33155550123", "Ana Tremblay", "'+1"),
    }


@pytest.mark.parametrize("way", _WAYS)
def test_tomorrows_export_is_known_by_the_marks_of_the_mended_rows(tmp_path: Path, way: Callable[[Path], Path]) -> None:
    told = row_origin.Origins()
    for chunk in reader.read(reader.open_source(way(tmp_path))):
        told.see(0, "main", chunk.frame)
    known = row_origin.Origins(announced=frozenset(told.mended.values()))
    tomorrow = _write(tmp_path / "tomorrow.csv", (_HEADER, _EXPORT[4], _EXPORT[2], _EXPORT[1], _EXPORT[3]))
    settled = [known.see(0, "main", chunk.frame) for chunk in reader.read(reader.open_source(tomorrow))]
    assert settled == [[2, 3, 5]]


def test_a_mended_file_that_is_rejected_again_keeps_marks_and_cells(tmp_path: Path) -> None:
    _read(_write(tmp_path / "calls.csv", _EXPORT), tmp_path / "first.csv")
    _read(tmp_path / "first.csv", tmp_path / "second.csv")
    first, second = _cells(tmp_path / "first.csv"), _cells(tmp_path / "second.csv")
    row = first[0].index("_row")
    assert [record[:row] + record[row + 1 :] for record in second] == [
        record[:row] + record[row + 1 :] for record in first
    ]


@pytest.mark.parametrize("name", ["rejects.csv", "rejects.xlsx"])
def test_a_reject_file_of_before_is_no_obstacle_unless_there_is_something_to_lose(tmp_path: Path, name: str) -> None:
    """The same command again, as after a dry run; a mended file is replaced by --force only."""
    export, output = tmp_path / "calls.csv", tmp_path / name
    _write(export, (_HEADER, _EXPORT[1]))
    quiet = exporting.check(export, rejects=output)
    assert f"rejects {output}: none; the file has only its header, and the next run may replace it" in [
        *report.lists(quiet)
    ]
    _write(export, _EXPORT)
    assert exporting.check(export, rejects=output).summary.rows.rejected == 3
    written = output.read_bytes()
    assert exporting.check(export, rejects=output).summary.rows.rejected == 3
    assert output.read_bytes() == written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calls.csv", name]

    _write(export, _EXPORT[:-1])
    with pytest.raises(errors.ConfigError, match="has other rows than it would have now, or was worked on"):
        exporting.check(export, rejects=output)
    assert output.read_bytes() == written
    assert exporting.check(export, rejects=output, force=True).summary.rows.rejected == 2
    (tmp_path / "notes.csv").write_text("a,b\n")
    with pytest.raises(errors.ConfigError, match="exists already"):
        exporting.check(export, rejects=tmp_path / "notes.csv")


# ── the workbook ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_all_cells_of_a_workbook_are_text_and_the_wrong_ones_coloured(tmp_path: Path) -> None:
    _read(_write(tmp_path / "calls.csv", _EXPORT), tmp_path / "rejects.xlsx")
    rows = list(_sheet_of(tmp_path / "rejects.xlsx").iter_rows())
    assert [cell.value for cell in rows[0]] == [*_HEADER, "_row", "_reasons", "_origin"]
    assert {(cell.data_type, cell.number_format) for row in rows for cell in row} == {("s", "@")}
    assert rows[1][6].value == "=HYPERLINK(A1)"
    assert rows[1][4].value == "+15145550124"
    coloured = [[_HEADER[cell.column - 1] for cell in row if cell.fill.fill_type == "solid"] for row in rows[1:]]
    assert coloured == [["duration_seconds"], ["customer_phone"], ["started_at"]]
    assert (tmp_path / "rejects.xlsx").stat().st_mode & 0o777 == 0o600


def test_the_columns_of_a_phone_system_are_coloured_by_its_recipe(tmp_path: Path) -> None:
    frame = pl.DataFrame({"start_time": ["soon"], "from": [""], "to": ["x"], "duration": ["9"]})
    frame = frame.with_columns(_row=pl.lit(2, dtype=pl.Int64), _ragged=pl.lit(None, dtype=pl.String))
    chunk = models.Chunk(models.Source(Path("=calls.csv"), "0" * 64, 1, 1), frame)
    why = (models.Reason("started_at_unreadable", "x"), models.Reason("customer_phone_missing", "x"))
    twilio = profile.load("twilio")
    rejects.write(tmp_path / "r.xlsx", [(0, chunk)], {models.Place(0, 2): why}, several_sources=True, profiles=[twilio])
    header, row = _sheet_of(tmp_path / "r.xlsx").iter_rows()
    coloured = {name.value for name, cell in zip(header, row, strict=True) if cell.fill.fill_type == "solid"}
    assert coloured == {"start_time", "from", "to"}
    assert row[-2].value == "=calls.csv"


def test_a_cell_that_a_sheet_cannot_take_is_cut_and_the_row_says_so(tmp_path: Path) -> None:
    frame = pl.DataFrame({"description": ["x" * 40_000, "\x00nul", "🙂" * 17_000]})
    frame = frame.with_columns(_row=pl.int_range(2, 5), _ragged=pl.lit(None, dtype=pl.String))
    chunk = models.Chunk(models.Source(Path("calls.csv"), "0" * 64, 1, 1), frame)
    why = {models.Place(0, row): (models.Reason("description_length", "long"),) for row in (2, 3, 4)}
    rejects.write(tmp_path / "r.xlsx", [(0, chunk)], why, several_sources=False)
    _, *rows = _sheet_of(tmp_path / "r.xlsx").iter_rows(values_only=True)
    assert [row[0] for row in rows] == [
        "x" * workbook_writer.LONGEST_CELL,
        "\ufffdnul",
        "🙂" * (workbook_writer.LONGEST_CELL // 2),
    ]
    assert [" | cut: a cell was longer" in str(row[2]) for row in rows] == [True, False, True]


def test_more_rejects_than_a_sheet_has_rows_are_for_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook_writer, "MOST_ROWS", 2)
    with pytest.raises(errors.ConfigError, match=r"3 rejects are more than a sheet has rows; call it \.csv"):
        _read(_write(tmp_path / "calls.csv", _EXPORT), tmp_path / "rejects.xlsx")
    assert not (tmp_path / "rejects.xlsx").exists()


def test_a_name_that_cannot_be_written_is_refused_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rejects.csv", "rejects.XLSX", "rejects.txt"):
        rejects.refuse_unfit(Path(name))
    for name in ("rejects.xls", "rejects.pdf", "rejects", "rejects.csv.gz"):
        with pytest.raises(errors.ConfigError, match=r"as \.csv or \.xlsx"):
            rejects.refuse_unfit(Path(name))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(errors.ConfigError, match="pip install openpyxl"):
        rejects.refuse_unfit(Path("rejects.xlsx"))
    rejects.refuse_unfit(Path("rejects.csv"))


def test_every_rule_of_a_cell_knows_its_cell(tmp_path: Path) -> None:
    from callimport_schemas import call_log

    every = (*call_log.RULES, "lead_several", "agent_unknown", "id_reused", "twin")
    columns = [*call_log.TEXT_COLUMNS, "started_at"]
    frame = pl.DataFrame(dict.fromkeys(columns, [""] * len(every)))
    frame = frame.with_columns(_row=pl.int_range(2, 2 + len(every)), _ragged=pl.lit(None, dtype=pl.String))
    chunk = models.Chunk(models.Source(Path("calls.csv"), "0" * 64, 1, 1), frame)
    why = {models.Place(0, row): (models.Reason(rule, "x"),) for row, rule in enumerate(every, start=2)}
    rejects.write(tmp_path / "r.xlsx", [(0, chunk)], why, several_sources=False)
    _, *rows = _sheet_of(tmp_path / "r.xlsx").iter_rows()
    bare = [rule for rule, row in zip(every, rows, strict=True) if not any(c.fill.fill_type == "solid" for c in row)]
    # Neither is the fault of one cell of ours: of `damaged` only the recipe knows which it is.
    assert bare == ["swallowed_rows", "ragged", "damaged"]


def test_a_reject_file_with_a_row_of_too_few_cells_is_read_again(tmp_path: Path) -> None:
    header = "direction,started_at,duration_seconds,customer_phone"
    rows = ("incoming,2024-05-31T14:05:09-04:00,60,+15145550123", "incoming,soon,60,+15145550124", "Page 1 of 2")
    calls = exporting.write(tmp_path / "calls.csv", header, *rows)
    rejects = tmp_path / "rejects.csv"
    assert exporting.check(calls, rejects=rejects).summary.rows.rejected == 2
    assert exporting.check(rejects).summary.rows.rejected == 2
