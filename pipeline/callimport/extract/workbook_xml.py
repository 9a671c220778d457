"""The parts and the XML of an Excel workbook. Needs openpyxl.

openpyxl reads what it knows and skips the rest. Here a sheet is refused if a row or a value would be skipped.
"""

import zipfile
from collections.abc import Generator
from typing import Any
from xml.etree.ElementTree import Element

from openpyxl.cell.read_only import ReadOnlyCell
from openpyxl.reader.excel import ExcelReader
from openpyxl.styles.stylesheet import apply_stylesheet
from openpyxl.workbook import Workbook
from openpyxl.worksheet import _reader
from openpyxl.worksheet._read_only import ReadOnlyWorksheet
from openpyxl.xml.constants import SHEET_MAIN_NS
from openpyxl.xml.functions import iterparse

from callimport.core import errors, models
from callimport.extract import source_file

__all__ = [
    "MOST_PART_BYTES",
    "MOST_ROWS",
    "MOST_SHEETS",
    "STRICT",
    "ReadOnlyCell",
    "Sheet",
    "Workbook",
    "open_book",
    "rows",
]

# Excel has no row with a higher number.
MOST_ROWS = 1_048_576
# Each sheet is opened to see whether it holds text.
MOST_SHEETS = 100
# Parts that are read whole, such as styles and the list of sheets. Real ones have some 100 KiB.
MOST_PART_BYTES = 4 * 2**20
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
_SAVE_AGAIN = 'open the file in a spreadsheet and save it again, or save it as "CSV UTF-8"'
_MAIN = f"{{{SHEET_MAIN_NS}}}"
_EXTENSION = f"{_MAIN}extLst"
_IN_CELL = {f"{_MAIN}{name}" for name in ("c", "v", "f", "is", "t", "r", "rPr", "rPh")}


class _Archive(zipfile.ZipFile):
    """Refuse large parts that openpyxl reads whole. It opens sheets and shared strings as streams instead."""

    source: models.Source

    def read(self, name: str | zipfile.ZipInfo, pwd: bytes | None = None) -> bytes:
        size = (name if isinstance(name, zipfile.ZipInfo) else self.getinfo(name)).file_size
        if size > MOST_PART_BYTES:
            raise errors.SourceError(
                f"{self.source.path}: its part {str(name)[:60]} unpacks to {size / 2**20:.0f} MiB, more than "
                f"{MOST_PART_BYTES / 2**20:.0f}; copy the calls into a new workbook, or save the sheet as "
                '"CSV UTF-8"'
            )
        content = super().read(name, pwd)
        if STRICT.encode() in content:
            _refuse_strict(self.source)
        return content


class Sheet(ReadOnlyWorksheet):
    """A sheet as openpyxl makes it, without its stated size. To find the size, openpyxl may read all rows."""

    def _get_size(self) -> None:
        pass


def open_book(source: models.Source) -> Workbook:
    """Return the workbook with its worksheets. Only the parts that rows need are read."""
    its: Any = ExcelReader(source.path, read_only=True, data_only=True, keep_links=False)
    its.archive.close()
    its.archive = _Archive(source.path)
    its.archive.source = source
    its.read_manifest()
    its.read_strings()
    its.read_workbook()
    apply_stylesheet(its.archive, its.wb)
    _refuse_many_sheets(source, len(its.parser.sheets))
    for entry, related in its.parser.find_sheets():
        if related.Type.endswith("/worksheet") and related.target in its.valid_files:
            sheet: Any = Sheet(its.wb, entry.name, related.target, its.shared_strings)
            sheet.sheet_state = entry.state
            its.wb._sheets.append(sheet)
    book: Workbook = its.wb
    return book


def _refuse_many_sheets(source: models.Source, sheets: int) -> None:
    if sheets > MOST_SHEETS:
        raise errors.SourceError(
            f"{source.path} holds {sheets:,} sheets, more than {MOST_SHEETS}; save the sheet with the calls as a "
            "workbook of its own"
        )


def rows(source: models.Source, sheet: Sheet) -> Generator[tuple[int, int, list[ReadOnlyCell]], None, None]:
    """Read the rows of the sheet's XML: the number of each row, how many cells it has, and its cells in any order.

    A row without text comes without its cells. openpyxl's own `iter_rows` adds a blank row for each missing number,
    leaves out a row whose number does not rise, and ends where the sheet says that it ends. Raises SourceError where
    a row or a value could be lost, and any error that openpyxl raises.
    """
    its: Any = sheet  # openpyxl's own reader uses these attributes; they are not public
    with its._get_source() as xml:
        parser: Any = _reader.WorkSheetParser(
            xml,
            its._shared_strings,
            data_only=True,
            epoch=its.parent.epoch,
            date_formats=its.parent._date_formats,
            timedelta_formats=its.parent._timedelta_formats,
        )
        last = found_cells = found_rows = 0
        has_table = False
        for _, element in iterparse(xml):
            tag = element.tag
            if tag == _reader.CELL_TAG:
                found_cells += 1
            elif tag == _reader.ROW_TAG:
                _refuse_others(source, element, _reader.CELL_TAG, found_cells, last)
                found_cells, found_rows = 0, found_rows + 1
                width = len(element)
                has_text = any(map(str.strip, element.itertext()))
                number, cells = _row(source, parser, element if has_text else Element(tag, element.attrib))
                if not last < number <= MOST_ROWS:
                    raise errors.SourceError(
                        f"{source.path}: the row after row {last} is numbered {str(number)[:12]}; row numbers must "
                        f"rise, to {MOST_ROWS:,} at most; {_SAVE_AGAIN}"
                    )
                last = number
                yield number, width, [ReadOnlyCell(sheet, **cell) for cell in cells]
                element.clear()
            elif tag == _reader.DATA_TAG:
                _refuse_others(source, element, _reader.ROW_TAG, found_rows, last)
                found_rows, has_table = 0, True
                element.clear()
            elif tag.startswith(f"{{{STRICT}}}"):
                _refuse_strict(source)
            elif tag.endswith("}sheetData"):
                _refuse_structure(source, last)
            elif tag not in _IN_CELL and tag.startswith(_MAIN):
                element.clear()
        if found_cells or found_rows or not has_table:
            _refuse_structure(source, last)


def _row(source: models.Source, parser: Any, element: Element) -> tuple[int, list[dict[str, Any]]]:
    number, cells = parser.parse_row(element)
    columns = {cell["column"] for cell in cells}
    source_file.refuse_wide(source, max(columns, default=0), f"row {number}")
    if len(columns) < len(cells):
        raise errors.SourceError(f"{source.path}, row {number}: two cells stand in one column; {_SAVE_AGAIN}")
    for cell, xml in zip(cells, element, strict=True):
        if len(xml) or xml.text:
            _refuse_unread(source, number, cell["value"], xml)
    return number, cells


def _refuse_unread(source: models.Source, number: int, value: object, cell: Element) -> None:
    """Raise SourceError if a cell says something other than the `value` that openpyxl reads."""
    kind, stated = cell.get("t", "n"), cell.findtext(_reader.VALUE_TAG)
    if value is None or value == "":
        if cell.find(_reader.FORMULA_TAG) is not None and (not stated and kind != "str"):
            raise errors.SourceError(
                f"{source.path}, row {number}: a formula has no value yet; open the file in a spreadsheet and save it, "
                'or save it as "CSV UTF-8"'
            )
        is_empty_formula = kind == "str" and stated == ""
        if not is_empty_formula and any(map(str.strip, cell.itertext())):
            _refuse_structure(source, number)
    elif stated and kind in ("n", "s", "b") and ("_" in stated or (kind == "s" and "-" in stated)):
        raise errors.SourceError(f"{source.path}, row {number}: a cell holds no valid number; {_SAVE_AGAIN}")


def _refuse_others(source: models.Source, parent: Element, tag: str, found: int, last: int) -> None:
    """Raise SourceError if the children of `parent` are not those `found` since the last one, all of them `tag`."""
    for extension in parent.findall(_EXTENSION):
        parent.remove(extension)
    if len(parent) != found or any(child.tag != tag for child in parent):
        _refuse_structure(source, last)


def _refuse_structure(source: models.Source, last: int) -> None:
    raise errors.SourceError(
        f"{source.path}: near row {last} the sheet holds rows or values where a spreadsheet program puts none; "
        f"{_SAVE_AGAIN}"
    )


def _refuse_strict(source: models.Source) -> None:
    raise errors.SourceError(f"{source.path} is a Strict Open XML workbook; save it as .xlsx (not Strict)")
