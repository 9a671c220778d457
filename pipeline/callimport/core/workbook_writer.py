"""An Excel workbook of one sheet in which every cell is text, so that Excel changes none. Needs `callimport[xlsx]`."""

import importlib.util
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from callimport.core import errors

MOST_ROWS = 2**20 - 1
# What a cell takes, counted as Excel counts: in halves of UTF-16.
LONGEST_CELL = 2**15 - 1
_TEXT = "@"
_WRONG_COLOUR = "FFFFC7CE"
_WIDTH, _WIDEST = 20.0, 80.0


def is_one(path: Path) -> bool:
    """Whether a file of that name is meant to be such a workbook."""
    return path.suffix.lower() == ".xlsx"


def refuse_missing(path: Path) -> None:
    """Raise ConfigError where workbooks cannot be written on this machine."""
    if importlib.util.find_spec("openpyxl") is None:
        raise errors.ConfigError(f"{path} is an Excel workbook: pip install openpyxl, or call it .csv")


def fits(cell: str) -> bool:
    return len(cell) <= LONGEST_CELL // 2 or len(cell.encode("utf-16-le")) // 2 <= LONGEST_CELL


class Sheet:
    """Takes row after row; what was taken lies in a temporary file until it is saved."""

    def __init__(self, title: str, header: Sequence[str], wide: Collection[str]) -> None:
        from openpyxl import Workbook
        from openpyxl.styles import Font, PatternFill
        from openpyxl.utils import get_column_letter

        self._book = Workbook(write_only=True)
        self._sheet = self._book.create_sheet(title)
        self._wrong = PatternFill("solid", fgColor=_WRONG_COLOUR)
        self._bold = Font(bold=True)
        self._sheet.freeze_panes = "A2"
        for number, name in enumerate(header, start=1):
            width = _WIDEST if name in wide else _WIDTH
            self._sheet.column_dimensions[get_column_letter(number)].width = width
        self._append(header, (), is_header=True)

    def add(self, cells: Sequence[str], wrong: Collection[int] = ()) -> None:
        """`wrong` are the positions, from 0, of the cells to be coloured. What does not fit a cell is cut off."""
        self._append(cells, wrong, is_header=False)

    def save(self, file: BinaryIO) -> None:
        self._book.save(file)

    def _append(self, cells: Sequence[str], wrong: Collection[int], *, is_header: bool) -> None:
        from openpyxl.cell import WriteOnlyCell
        from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

        row: list[Any] = []
        for position, text in enumerate(cells):
            if not text and position not in wrong:
                row.append(None)
                continue
            if not fits(text):
                text = text.encode("utf-16-le")[: 2 * LONGEST_CELL].decode("utf-16-le", "ignore")
            # XML has no way to write most control characters.
            cell = WriteOnlyCell(self._sheet, value=ILLEGAL_CHARACTERS_RE.sub("\ufffd", text))
            # Else "=…" would be a formula and "#N/A" an error.
            cell.data_type = "s"
            cell.number_format = _TEXT
            if is_header:
                cell.font = self._bold
            if position in wrong:
                cell.fill = self._wrong
            row.append(cell)
        self._sheet.append(row)
