"""The lists that a run leaves: real workbooks where they are called so, and refused before any work where not."""

import importlib.util
from pathlib import Path

import openpyxl
import pytest

from callimport import importer
from callimport.core import errors
from callimport.resolve import agents_file, unknown_callers
from tests import exporting
from tests.exporting import check, write

_LISTS = ("draft_agents", "unknown_callers", "rejects")


def _export(folder: Path) -> Path:
    header = "direction,started_at,duration_seconds,customer_phone,agent_name,agent_extension"
    rows = [f"incoming,2024-05-31T14:0{n}:09-04:00,60,+1514555012{n},{name}" for n, name in enumerate(_NAMES)]
    return write(folder / "calls.csv", header, *rows, "incoming,soon,60,+15145550129,Bo,201")


_NAMES = ("Amélie,201", "=Bo,0202", "Zoé,#7")


@pytest.mark.parametrize("name", _LISTS)
def test_a_list_with_the_name_of_a_workbook_is_one(tmp_path: Path, name: str) -> None:
    export = _export(tmp_path)
    for ending in (".csv", ".xlsx"):
        check(export, **{name: tmp_path / f"list{ending}"})
        # The same command again, as after a dry run.
        check(export, **{name: tmp_path / f"list{ending}"})
    sheet = openpyxl.load_workbook(tmp_path / "list.xlsx").worksheets[0]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row if cell.value is not None} == {"s"}
    lines = (tmp_path / "list.csv").read_text("utf-8-sig").splitlines()
    assert ",".join(str(cell.value) for cell in next(sheet.iter_rows())) == lines[0]
    assert sheet.max_row == len(lines) > 1


def test_a_draft_in_a_workbook_is_an_agents_file_once_it_is_filled_in(tmp_path: Path) -> None:
    export, path = _export(tmp_path), tmp_path / "agents.xlsx"
    check(export, draft_agents=path)
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    column = [cell.value for cell in next(sheet.iter_rows())].index("user_id") + 1
    for row in range(2, sheet.max_row + 1):
        sheet.cell(row, column, 10 + row)
    book.save(path)
    entries = {entry.name: (entry.extension, entry.user_id) for entry in agents_file.read(path).entries}
    assert {name: extension for name, (extension, _) in entries.items()} == {
        "amélie": "201", "=bo": "0202", "zoé": "#7",
    }  # fmt: skip
    assert {user for _, user in entries.values()} == {12, 13, 14}


def test_unknown_callers_in_a_workbook_keep_their_numbers(tmp_path: Path) -> None:
    check(_export(tmp_path), unknown_callers=tmp_path / "callers.xlsx")
    header, *rows = openpyxl.load_workbook(tmp_path / "callers.xlsx").worksheets[0].iter_rows(values_only=True)
    assert header == unknown_callers.HEADER
    assert {row[0] for row in rows} == {f"+1514555012{n}" for n in range(3)}


@pytest.mark.parametrize("name", _LISTS)
@pytest.mark.parametrize("ending", [".ods", ".xls", ".parquet", ".xlsx.gz", ""])
def test_a_list_that_cannot_be_what_its_name_says_is_refused_before_any_work(
    tmp_path: Path, name: str, ending: str
) -> None:
    path = tmp_path / f"list{ending}"
    with pytest.raises(errors.ConfigError, match=r"are written as \.csv or \.xlsx; give it one of these endings"):
        check(tmp_path / "no such file.csv", **{name: path})
    assert not path.exists()


@pytest.mark.parametrize("name", _LISTS)
def test_without_openpyxl_a_workbook_is_refused_before_any_work(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(errors.ConfigError, match=r"is an Excel workbook: pip install openpyxl, or call it \.csv"):
        check(tmp_path / "no such file.csv", **{name: tmp_path / "list.xlsx"})


def test_a_page_may_not_have_the_name_of_a_workbook(tmp_path: Path) -> None:
    settings = exporting.settings(_export(tmp_path))
    with pytest.raises(errors.ConfigError, match=r"page.xlsx would be text, not a .xlsx file: choose another ending"):
        importer.check(settings, exporting.tools(), html=tmp_path / "page.xlsx")
