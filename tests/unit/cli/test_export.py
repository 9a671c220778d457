"""callimport export: every item of the ledger in a table that a spreadsheet and a program can open, phones masked."""

import csv
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from callimport.cli import export
from callimport.core import errors
from callimport.core.models import ItemStatus
from callimport.core.settings import Settings
from callimport.ledger import history
from tests import making

CALLS = {status: making.call(status.value, row=row) for row, status in enumerate(ItemStatus, start=2)}
BATCH = making.batch("=calls.csv")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A ledger with an item of nearly every standing; its source has a name that a spreadsheet would calculate with."""
    path = tmp_path / "ledger.sqlite3"
    with closing(making.ledger(path)) as ledger:
        ledger.start_run("run-1")
        making.enter(ledger, BATCH, *CALLS.values(), run_id="run-1")
        for status, call in CALLS.items():
            if status not in (ItemStatus.WITHDRAWN, ItemStatus.IN_FLIGHT):
                making.bring(ledger, making.key(call), "run-1", status, communication_id=900 + call.place.row)
    return Settings(files=(), ledger=path, state_dir=tmp_path)


def _export(settings: Settings, path: Path, *statuses: ItemStatus, batch_id: str | None = None) -> Path:
    exported = export.export(settings, making.clock(), path, statuses=statuses, batch_id=batch_id)
    assert exported.path == path
    return path


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_every_item_is_in_it_with_all_that_the_ledger_knows(settings: Settings, tmp_path: Path) -> None:
    rows = _rows(_export(settings, tmp_path / "ledger.csv"))
    assert len(rows) == len(CALLS)
    assert tuple(rows[0]) == history.COLUMNS
    call = CALLS[ItemStatus.DELIVERED]
    row = next(one for one in rows if one["status"] == "delivered")
    assert row["key"] == making.key(call)
    assert row["row"] == str(call.place.row)
    assert row["communication_id"] == str(900 + call.place.row)
    assert (row["lead_id"], row["direction"], row["system"], row["batch"]) == ("5003", "incoming", "main", BATCH.id)
    assert row["started_at"] == "2024-05-31T14:05:09+00:00"
    assert (row["attempts"], row["adopted"], row["reason"]) == ("1", "", "")
    assert row["first_attempt_at"] == row["last_attempt_at"] < row["moved_at"]
    refused = next(one for one in rows if one["status"] == "refused")
    assert (refused["communication_id"], refused["reason"]) == ("", "lead_id: unknown")


def test_no_whole_number_and_nothing_to_calculate_is_in_it(settings: Settings, tmp_path: Path) -> None:
    path = _export(settings, tmp_path / "ledger.csv")
    text = path.read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    assert making.PHONE[1:].encode() not in text
    assert {row["phone"] for row in _rows(path)} == {"'+1514•••0123"}
    assert {row["source"] for row in _rows(path)} == {"'=calls.csv"}


def test_a_workbook_has_the_same_as_text(settings: Settings, tmp_path: Path) -> None:
    sheet = openpyxl.load_workbook(_export(settings, tmp_path / "ledger.XLSX"))["Calls"]
    header, *rows = ([cell.value or "" for cell in row] for row in sheet.iter_rows())
    assert all(cell.data_type in "sn" and not isinstance(cell.value, int) for row in sheet.iter_rows() for cell in row)
    in_csv = _rows(_export(settings, tmp_path / "ledger.csv"))
    assert [dict(zip(header, row, strict=True)) for row in rows] == [
        # What has an apostrophe in CSV says itself here that it is text.
        {name: cell.removeprefix("'") for name, cell in row.items()}
        for row in in_csv
    ]


def test_parquet_has_the_same_with_types(settings: Settings, tmp_path: Path) -> None:
    frame = pl.read_parquet(_export(settings, tmp_path / "ledger.parquet"))
    assert tuple(frame.columns) == history.COLUMNS
    assert frame.height == len(CALLS)
    assert frame.schema["communication_id"] == pl.Int64
    assert frame["started_at"][0] == datetime(2024, 5, 31, 14, 5, 9, tzinfo=UTC)
    assert frame.schema["moved_at"] == pl.Datetime("ms", "UTC")
    assert set(frame["phone"]) == {"+1514•••0123"}
    assert frame.schema["adopted"] == pl.Boolean
    assert not list(tmp_path.glob(".ledger*"))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_long_ledger_is_written_a_piece_at_a_time(
    settings: Settings, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _export(settings, tmp_path / f"whole.{suffix}")
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 2)
    pieces = _export(settings, tmp_path / f"pieces.{suffix}")
    if suffix == "csv":
        assert pieces.read_bytes() == whole.read_bytes()
    else:
        assert pl.read_parquet(pieces).equals(pl.read_parquet(whole))


def test_only_what_stands_so_and_is_of_that_batch(settings: Settings, tmp_path: Path) -> None:
    delivered = _rows(_export(settings, tmp_path / "a.csv", ItemStatus.DELIVERED, ItemStatus.GONE))
    assert sorted(row["status"] for row in delivered) == ["delivered", "gone"]
    assert len(_rows(_export(settings, tmp_path / "b.csv", ItemStatus.DELIVERED, batch_id=BATCH.id))) == 1
    with pytest.raises(errors.ConfigError, match="knows no batch"):
        _export(settings, tmp_path / "c.csv", batch_id="NOBO-DY00")
    assert not (tmp_path / "c.csv").exists()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_empty_ledger_still_names_its_columns(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "ledger.sqlite3"
    making.ledger(path).close()
    out = _export(Settings(files=(), ledger=path), tmp_path / f"out.{suffix}")
    if suffix == "csv":
        assert out.read_bytes().decode("utf-8-sig") == ",".join(history.COLUMNS) + "\r\n"
    else:
        assert pl.read_parquet(out).columns == list(history.COLUMNS)


@pytest.mark.parametrize(("name", "says"), [("out.txt", ".csv, .xlsx or .parquet"), ("taken.csv", "--force")])
def test_a_file_that_would_not_do_is_refused_before_anything_is_read(
    settings: Settings, tmp_path: Path, name: str, says: str
) -> None:
    (tmp_path / "taken.csv").write_text("mine")
    with pytest.raises(errors.ConfigError, match=says):
        _export(settings, tmp_path / name)
    assert (tmp_path / "taken.csv").read_text() == "mine"


def test_the_ledger_itself_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "ledger.csv"
    making.ledger(path).close()
    with pytest.raises(errors.ConfigError, match="overwrite"):
        _export(Settings(files=(), ledger=path, force=True), path)
    making.ledger(path).close()
