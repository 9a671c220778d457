"""A workbook is read as its sheet would be saved as CSV, but for what Excel spoils on the way."""

import datetime as dt
import re
import sys
import zipfile
from pathlib import Path

import openpyxl
import pytest

from callimport import extract
from callimport.core import errors, models
from callimport.extract import excel, reader, workbook_xml

START = dt.datetime(2024, 5, 31, 14, 5, 9)  # noqa: DTZ001 (a sheet knows no zones)


def _book(folder: Path, sheets: dict[str, list[list[object]]], *, hidden: str = "") -> Path:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
        sheet.sheet_state = "hidden" if title == hidden else "visible"
    book.save(folder / "calls.xlsx")
    return folder / "calls.xlsx"


def _rows(path: Path, layout: models.Layout | None = None) -> list[tuple[object, ...]]:
    chunks = reader.read(reader.open_source(path), layout, chunk_rows=2)
    return [row for chunk in chunks for row in chunk.frame.rows()]


def _message(path: Path) -> str:
    with pytest.raises(errors.SourceError) as caught:
        list(reader.read(reader.open_source(path)))
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Éloïse", "Éloïse"),
        (5145550100, "5145550100"),
        (5145550100.0, "5145550100"),
        (17.1, "17.1"),
        (1e300, "1e+300"),
        (True, "true"),
        (START, "2024-05-31T14:05:09"),
        (START.replace(microsecond=120_000), "2024-05-31T14:05:09.120000"),
        (dt.datetime(2024, 5, 31), "2024-05-31T00:00:00"),  # noqa: DTZ001
        (dt.date(2024, 5, 31), "2024-05-31"),
        (dt.time(0, 1, 35), "00:01:35"),
        (dt.timedelta(hours=26, seconds=35), "26:00:35"),
        ("#N/A", "#N/A"),
        (None, ""),
    ],
)
def test_cells_become_the_text_that_a_person_sees(tmp_path: Path, value: object, text: str) -> None:
    assert _rows(_book(tmp_path, {"Sheet1": [["a", "b"], [value, "x"]]})) == [(text, "x", 2, None)]


def test_a_second_of_a_fraction_of_a_day_is_whole(tmp_path: Path) -> None:
    """Excel's own files say 45443.58690972222 for 14:05:09."""
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["a", "b"])
    for row in range(24 * 60):
        book.active.append([45443 + (row * 60 + 9) / 86400, row])
        book.active.cell(row + 2, 1).number_format = "yyyy-mm-dd hh:mm:ss"
    book.save(tmp_path / "calls.xlsx")
    assert {str(row[0])[-3:] for row in _rows(tmp_path / "calls.xlsx")} == {":09"}


def test_rows_carry_their_number_in_the_sheet(tmp_path: Path) -> None:
    path = _book(tmp_path, {"S": [["Report"], [], ["a", "b"], ["1", "2"], [" ", ""], ["3"], ["4", "5", None, "x"]]})
    assert reader.peek(reader.open_source(path)).records[:2] == ((1, ("Report",)), (3, ("a", "b")))
    first, second, third = _rows(path, models.Layout(("a", "b"), 4))
    assert (first, second) == (("1", "2", 4, None), ("3", "", 6, None))
    assert third[:3] == ("4", "5", 7)
    assert "too many" in str(third[3])


def test_rows_outside_the_stated_size_are_read(tmp_path: Path) -> None:
    """Some programs write that the sheet ends at A1."""
    path = _book(tmp_path, {"S": [["a", "b"], ["1", "2"]]})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    assert b'ref="A1:B2"' in members[sheet]
    members[sheet] = members[sheet].replace(b'ref="A1:B2"', b'ref="A1"')
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert _rows(path) == [("1", "2", 2, None)]


def _edited(path: Path, *pairs: tuple[str, str]) -> Path:
    """The workbook with other XML in its sheet."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = members["xl/worksheets/sheet1.xml"].decode()
    for old, new in pairs:
        assert old in sheet
        sheet = sheet.replace(old, new)
    members["xl/worksheets/sheet1.xml"] = sheet.encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('<row r="3"', '<row r="2"', "the row after row 2 is numbered 2"),
        ('<row r="3"', '<row r="1"', "the row after row 2 is numbered 1"),
        ('<row r="3"', '<row r="2000000000"', "the row after row 2 is numbered 2000000000"),
        ('<row r="1"', '<row r="0"', "the row after row 0 is numbered 0"),
        ('r="B2"', 'r="A2"', "row 2: two cells stand in one column"),
        ('r="B2"', 'r="XFD2"', "row 2: 16,384 columns, more than 1,000"),
        ("</row>", "<c/>" * 16_000 + "</row>", "columns, more than 1,000"),
        ("</sheetData>", "<row/>" * 2_001 + "</sheetData>", "2,001 blank rows with 0 cells follow row 3"),
    ],
)
def test_a_sheet_that_could_lose_a_row_or_never_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    monkeypatch.setattr(excel, "MOST_BLANK_ROWS", 2_000)
    path = _edited(_book(tmp_path, {"S": [["a", "b"], ["1", "2"], ["3", "4"]]}), (old, new))
    assert said in _message(path)


_CELL = '<c r="B3" t="inlineStr"><is><t>4</t></is></c>'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (_CELL, '<c r="B3"><f>A3</f><v></v></c>', "row 3: a formula has no value yet; open the file in a spreadsheet"),
        (_CELL, '<c r="B3"><f>A3</f></c>', "row 3: a formula has no value yet"),
        (_CELL, '<c r="B3"><v>9_5</v></c>', "row 3: a cell holds no valid number"),
        (_CELL, '<c r="B3"><x:v xmlns:x="urn:x">4</x:v></c>', "near row 3 the sheet holds rows or values where"),
        (_CELL, f'<x:c xmlns:x="urn:x" r="B3">{_CELL}</x:c>', "near row 2 the sheet holds rows or values where"),
        (_CELL, _CELL + '</row><c r="A4"><v>5</v></c><row>', "near row 3 the sheet holds rows or values where"),
        (_CELL, _CELL + '</row><x:row xmlns:x="urn:x"><c/></x:row><row>', "near row 3 the sheet holds rows or values"),
        (_CELL, _CELL + "<row/>", "near row 2 the sheet holds rows or values where"),
        ("</sheetData>", "</sheetData><row/>", "near row 4 the sheet holds rows or values where"),
        ("</sheetData>", '</sheetData><x:sheetData xmlns:x="urn:x"/>', "near row 3 the sheet holds rows or values"),
        ("http://schemas.openxmlformats.org/spreadsheetml/2006/main", workbook_xml.STRICT, "(not Strict)"),
    ],
)
def test_rows_and_values_that_openpyxl_skips_are_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = _edited(_book(tmp_path, {"S": [["a", "b"], ["1", "2"], ["3", "4"]]}), (old, new))
    assert said in _message(path)


def test_the_values_that_formulas_had_are_read(tmp_path: Path) -> None:
    path = _book(tmp_path, {"S": [["a", "b"], ["1", "2"], ["3", "4"], ["5", "6"]]})
    _edited(
        path, (_CELL, '<c r="B3" t="str"><f>A3</f><v></v></c>'), ("<is><t>5</t></is>", "<f>A1</f><is><t>5</t></is>")
    )
    assert _rows(path) == [("1", "2", 2, None), ("3", "", 3, None), ("5", "6", 4, None)]


def test_blank_rows_with_formats_below_the_calls_are_read(tmp_path: Path) -> None:
    row = '<row><c s="0"/><c s="0"/><c s="0"/><c s="0"/><c s="0"/><c s="0"/></row>'
    path = _edited(_book(tmp_path, {"S": [["a", "b"], ["1", "2"]]}), ("</sheetData>", row * 35_000 + "</sheetData>"))
    assert _rows(path) == [("1", "2", 2, None)]


def test_blank_cells_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "MOST_BLANK_CELLS", 30)
    path = _edited(_book(tmp_path, {"S": [["a"]]}), ("</sheetData>", "<row><c/><c/></row>" * 16 + "</sheetData>"))
    assert "16 blank rows with 32 cells follow row 1" in _message(path)


def _with_sheet_99(path: Path, sheets: int, rows: str) -> Path:
    """Add `sheets` names of sheets, all of one part that holds the `rows`."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name).decode() for name in archive.namelist()}
    relation = re.search("<Relationship [^>]*worksheet[^>]*>", members["xl/_rels/workbook.xml.rels"])
    sheet = re.search("<sheet [^>]*>", members["xl/workbook.xml"])
    assert relation
    assert sheet
    of_part = re.sub(' Id="[^"]*"', ' Id="rId99"', relation[0]).replace("sheet1.xml", "sheet99.xml")
    named = re.sub('id="[^"]*"', 'id="rId99"', sheet[0]) * sheets
    members["xl/_rels/workbook.xml.rels"] = members["xl/_rels/workbook.xml.rels"].replace(
        relation[0], relation[0] + of_part
    )
    members["xl/workbook.xml"] = members["xl/workbook.xml"].replace(sheet[0], sheet[0] + named)
    members["xl/worksheets/sheet99.xml"] = re.sub(
        "<sheetData.*</sheetData>", f"<sheetData>{rows}</sheetData>", members["xl/worksheets/sheet1.xml"]
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_blank_rows_of_all_sheets_count_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "MOST_BLANK_ROWS", 1000)
    path = _with_sheet_99(_book(tmp_path, {"S": [["a"], ["1"]]}), 3, "<row/>" * 400)
    assert "1,200 blank rows with 0 cells" in _message(path)
    assert _rows(_with_sheet_99(_book(tmp_path, {"S": [["a"], ["1"]]}), 2, "<row/>" * 400)) == [("1", 2, None)]


def test_sheets_of_one_part_count_as_sheets(tmp_path: Path) -> None:
    path = _with_sheet_99(_book(tmp_path, {"S": [["a"], ["1"]]}), workbook_xml.MOST_SHEETS, "")
    assert "holds 101 sheets, more than 100" in _message(path)


@pytest.mark.parametrize(
    "part", ["xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/styles.xml", "[Content_Types].xml"]
)
def test_a_large_part_that_is_read_whole_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    path = _book(tmp_path, {"S": [["a"], ["1"]]})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[part] += b" " * 2**17
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert _rows(path) == [("1", 2, None)]
    monkeypatch.setattr(workbook_xml, "MOST_PART_BYTES", 2**17)
    assert f"its part {part} unpacks to 0 MiB" in _message(path)


def test_rows_and_cells_without_numbers_and_cells_in_any_order_are_read(tmp_path: Path) -> None:
    path = _book(tmp_path, {"S": [["a", "b"], ["1", "2"], ["3", "4"]]})
    _edited(path, ('<row r="3"', "<row"), ('<c r="A3"', "<c"), ('r="A2"', 'r="C2"'), ('r="B2"', 'r="A2"'), ("C2", "B2"))
    assert _rows(path) == [("2", "1", 2, None), ("3", "4", 3, None)]


def test_a_row_far_below_is_read_without_the_rows_between(tmp_path: Path) -> None:
    path = _edited(_book(tmp_path, {"S": [["a", "b"], ["1", "2"]]}), ('<row r="2"', '<row r="1048576"'))
    assert _rows(path) == [("1", "2", 1_048_576, None)]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_part_that_is_twice_in_the_archive_is_refused(tmp_path: Path) -> None:
    path = _book(tmp_path, {"S": [["a", "b"], ["1", "2"]]})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")
    assert "holds a part of its workbook twice" in _message(path)


def test_more_sheets_than_a_report_has_are_refused(tmp_path: Path) -> None:
    sheets: dict[str, list[list[object]]] = {f"S{number}": [] for number in range(workbook_xml.MOST_SHEETS + 1)}
    assert "holds 101 sheets, more than 100" in _message(_book(tmp_path, sheets))


def test_a_part_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path: Path) -> None:
    path = _book(tmp_path, {"S": [["a", "b"], ["1", "2"]]})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", "<si><t>a</t></si>" * 100_000)
    assert "times its size: that is no call log" in _message(path)


def test_the_sheet_with_the_calls_is_read(tmp_path: Path) -> None:
    rows: list[list[object]] = [["a", "b"], ["1", "2"]]
    path = _book(tmp_path, {"Filters": [["May"]], "Empty": [], "Calls": rows, "Notes": [["x"]]}, hidden="Notes")
    assert _rows(path) == [("1", "2", 2, None)]
    assert reader.peek(reader.open_source(path)).told == "workbook, sheet Calls"
    assert _rows(_book(tmp_path, {"Empty": [], "May": rows, "Old": rows}, hidden="Old")) == [("1", "2", 2, None)]


def test_several_sheets_are_not_guessed_between(tmp_path: Path) -> None:
    message = _message(_book(tmp_path, {"May": [["a"]], "June": [["a"]]}))
    assert "holds several sheets (May, June); call the one that is meant Calls" in message


def test_ids_that_excel_made_numbers_of_are_refused(tmp_path: Path) -> None:
    """Asterisk's 1717.1 and 1717.10 are two calls, and one number."""
    opened = reader.open_source(
        _book(tmp_path, {"S": [[1.5, 1.5], ["a", "b", "c"], [17.1, "17.1", 17], [None], [4.0]]})
    )
    layout = models.Layout(("a", "b", "c"), 3)
    with pytest.raises(errors.SchemaMismatch, match="ids in a are numbers with fractions"):
        reader.refuse_fractions(opened, "a", layout)
    for column in ("b", "c", "d"):
        reader.refuse_fractions(opened, column, layout)


def test_a_workbook_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _book(tmp_path, {"S": [["a", "b"], ["1", "2"]]})
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    assert "cannot be read as a workbook" in _message(path)
    path.write_bytes(b"\xd0\xcf\x11\xe0 a locked one")
    assert "locked with a password?" in _message(path)
    assert "holds no sheet with text" in _message(_book(tmp_path, {"S": []}))
    path.write_bytes(content)
    monkeypatch.setattr(excel, "MOST_BYTES", 1000)
    assert "that is no call log" in _message(path)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _book(tmp_path, {"S": [["a"]]})
    monkeypatch.delitem(sys.modules, workbook_xml.__name__)
    monkeypatch.delattr(extract, "workbook_xml")
    monkeypatch.setitem(sys.modules, "openpyxl.cell.read_only", None)
    assert "pip install openpyxl" in _message(path)
