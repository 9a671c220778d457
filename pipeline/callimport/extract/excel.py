"""An Excel workbook (.xlsx) → rows of text, as the sheet would be saved as CSV. Needs the extra `callimport[xlsx]`.

Numbers are plain (5145550100, never 5.14555E+9), instants are ISO 8601 without an offset, times and spans H:MM:SS.

A workbook is refused if a row or a cell could be lost:

- a row number does not rise, or is above `workbook_xml.MOST_ROWS`
- two cells of a row stand in one column
- the XML holds a row or a value where openpyxl does not read it
- a formula has no value
- the archive holds a part twice

A workbook is also refused above these limits:

- `source_file.MOST_COLUMNS` columns in a row
- `MOST_BLANK_ROWS` blank rows or `MOST_BLANK_CELLS` cells in blank rows, after a row with text
- `workbook_xml.MOST_SHEETS` sheets
- `MOST_BYTES` bytes unpacked, or `MOST_TIMES` times the size of the file
- `workbook_xml.MOST_PART_BYTES` bytes unpacked of a part that is read whole
"""

import datetime as dt
import itertools
import warnings
import zipfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from callimport.core import errors, models
from callimport.extract import delimited_tolerant, headers, source_file

if TYPE_CHECKING:
    from callimport.extract.workbook_xml import ReadOnlyCell, Sheet, Workbook

# Unpacked. What a sheet can hold at most, a million rows, is about a third of this.
MOST_BYTES = 2 * 2**30
# Real sheets, whose rows and cells all have numbers, pack 5 to 20 times smaller.
MOST_TIMES = 100
HARMLESS_BYTES = 2**20
# Rows that hold only formats take nearly as long to read as rows with text. Their cells take less.
MOST_BLANK_ROWS = 200_000
MOST_BLANK_CELLS = 500_000
# Reports come with other sheets beside the calls (RingCentral: Filters, Users, Queues, Calls).
_CALL_SHEETS = ("calls", "call log", "call logs", "call details", "cdr", "appels", "journal des appels")
_LARGEST_EXACT = 2**53


@dataclass(slots=True)
class _Blank:
    """How many rows without text were read one after another, and how many cells these rows have."""

    rows: int = 0
    cells: int = 0


def first_records(source: models.Source, most: int) -> tuple[tuple[tuple[int, tuple[str, ...]], ...], str]:
    """The first `most` rows that hold any text, without blank cells at their end, by their numbers in the sheet; and
    which sheet that is, for a person."""
    with _sheet(source) as sheet:
        rows = itertools.islice(_rows(source, sheet), most)
        records = tuple((row, headers.trimmed(cells)) for row, cells in rows)
        return records, f"workbook, sheet {sheet.title}"


def frames(
    source: models.Source, layout: models.Layout, chunk_rows: int, lines: models.Lines
) -> Iterator[pl.DataFrame]:
    """The rows of `layout`, in the shape of `models.Chunk`. A cell that a sheet leaves out is blank, never a fault.

    Every row of the sheet, up to the last row with text, is counted in `lines`.
    """
    width = len(layout.names)
    with _sheet(source) as sheet:
        rows = _counted(_rows(source, sheet), layout, lines)
        while taken := list(itertools.islice(rows, chunk_rows)):
            padded = [cells + [""] * (width - len(cells)) for _, cells in taken]
            yield delimited_tolerant.frame(
                layout.names, delimited_tolerant.Records([row for row, _ in taken], padded, len(taken))
            )


def _counted(
    rows: Iterator[tuple[int, list[str]]], layout: models.Layout, lines: models.Lines
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of `layout` and count all `rows` of the sheet in `lines`; `rows` are the rows with text."""
    last, is_header = 0, False
    for row, cells in rows:
        lines.blank += row - last - 1
        last = row
        if row >= layout.first_row:
            lines.rows += 1
            yield row, cells
            continue
        is_header = headers.is_header(cells, layout, is_after_header=is_header)
        if is_header:
            lines.header += 1
        else:
            lines.preamble += 1


def has_fractions(source: models.Source, position: int, first_row: int) -> bool:
    """Whether the column at `position`, counted from 0, holds numbers that are not whole, from that row on."""
    with _sheet(source) as sheet:
        return any(
            cell.column == position + 1 and isinstance(cell.value, float) and not cell.value.is_integer()
            for row, _, cells in _rows_with_cells(source, sheet, _Blank())
            for cell in cells
            if row >= first_row
        )


@contextmanager
def _sheet(source: models.Source) -> Iterator["Sheet"]:
    """The sheet with the calls. Raises SourceError where it cannot be told which that is."""
    try:
        from callimport.extract import workbook_xml
    except ImportError as error:
        raise errors.SourceError(
            f'{source.path} is an Excel workbook: pip install openpyxl to read it, or save it as "CSV UTF-8"'
        ) from error
    _refuse_archive(source)
    with _guarded(source):
        book = workbook_xml.open_book(source)
    try:
        yield _chosen(source, book)
    finally:
        book.close()


def _chosen(source: models.Source, book: "Workbook") -> "Sheet":
    blank = _Blank()

    def with_text(sheets: list["Sheet"]) -> list["Sheet"]:
        return [sheet for sheet in sheets if next(_rows_with_cells(source, sheet, blank), None)]

    sheets: Iterable[Any] = book.worksheets
    visible: list[Sheet] = [sheet for sheet in sheets if sheet.sheet_state == "visible"]
    calls = with_text([sheet for sheet in visible if sheet.title.strip().casefold() in _CALL_SHEETS])
    if len(calls) == 1:
        return calls[0]
    filled = calls or with_text(visible)
    if not filled:
        raise errors.SourceError(f"{source.path} holds no sheet with text; export it again")
    if len(filled) > 1:
        names = ", ".join(sheet.title for sheet in filled)
        raise errors.SourceError(
            f"{source.path} holds several sheets ({names}); call the one that is meant Calls, or save it as CSV"
        )
    return filled[0]


def _rows(source: models.Source, sheet: "Sheet") -> Iterator[tuple[int, list[str]]]:
    """Every row that holds any text, with its number in the sheet."""
    return ((number, texts) for number, texts, _ in _rows_with_cells(source, sheet, _Blank()))


def _rows_with_cells(
    source: models.Source, sheet: "Sheet", blank: _Blank
) -> Generator[tuple[int, list[str], list["ReadOnlyCell"]], None, None]:
    """Every row that holds any text: its number in the sheet, its texts, and its cells. Count other rows in `blank`."""
    from callimport.extract import workbook_xml

    rows = workbook_xml.rows(source, sheet)
    last = 0
    while True:
        with _guarded(source):
            taken = [(number, width, _texts(cells), cells) for number, width, cells in itertools.islice(rows, 500)]
        if not taken:
            return
        for number, width, texts, cells in taken:
            if any(map(str.strip, texts)):
                last = number
                yield number, texts, cells
                # Only after the caller took another row: a search for the first text counts blank rows of all sheets.
                blank.rows = blank.cells = 0
            else:
                blank.rows += 1
                blank.cells += width
        if blank.rows > MOST_BLANK_ROWS or blank.cells > MOST_BLANK_CELLS:
            raise errors.SourceError(
                f"{source.path}: {blank.rows:,} blank rows with {blank.cells:,} cells follow row {last}, more than "
                f"{MOST_BLANK_ROWS:,} rows or {MOST_BLANK_CELLS:,} cells; delete these rows, or save the sheet as "
                '"CSV UTF-8"'
            )


def _texts(cells: list["ReadOnlyCell"]) -> list[str]:
    texts = [""] * max((cell.column for cell in cells), default=0)
    for cell in cells:
        texts[cell.column - 1] = _text(cell)
    return texts


def _text(cell: "ReadOnlyCell") -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        is_whole = value.is_integer() and abs(value) < _LARGEST_EXACT
        return str(int(value)) if is_whole else repr(value)
    if isinstance(value, dt.datetime):
        instant = _to_milliseconds(value)
        is_day = instant.time() == dt.time() and "h" not in (cell.number_format or "").lower()
        return instant.date().isoformat() if is_day else instant.isoformat()
    if isinstance(value, dt.time):
        # Calculated with, as a time of day is the fraction of a day that Excel keeps it as.
        return _to_milliseconds(dt.datetime.combine(dt.date.min, value)).time().isoformat()
    if isinstance(value, dt.timedelta):
        return _span(value)
    return str(value)


def _to_milliseconds(value: dt.datetime) -> dt.datetime:
    """Excel keeps instants as fractions of a day: 14:05:09 comes back as 14:05:08.999997."""
    milliseconds = (value.microsecond + 500) // 1000
    try:
        return value.replace(microsecond=0) + dt.timedelta(milliseconds=milliseconds)
    except OverflowError:
        return value


def _span(value: dt.timedelta) -> str:
    seconds = round(value.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _refuse_archive(source: models.Source) -> None:
    """Raise SourceError for an archive that holds too much, or a part twice."""
    with _guarded(source), zipfile.ZipFile(source.path) as archive:
        members = archive.infolist()
    size = sum(member.file_size for member in members)
    times = size / source.size
    if size > MOST_BYTES or (size > HARMLESS_BYTES and times > MOST_TIMES):
        raise errors.SourceError(
            f"{source.path} unpacks to {size // 2**20} MiB, {times:.0f} times its size: that is no call log; "
            'if it is one, save it as "CSV UTF-8"'
        )
    names = [member.filename for member in members]
    if len(set(names)) < len(names):
        raise errors.SourceError(
            f"{source.path} holds a part of its workbook twice, and only one can be read; open it in a spreadsheet and "
            "save it again"
        )


@contextmanager
def _guarded(source: models.Source) -> Iterator[None]:
    """Whatever openpyxl makes of a damaged workbook, in one line, and nothing of what it only remarks."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except errors.SourceError:
        raise
    except OSError as error:
        raise source_file.unreadable(source.path, error) from error
    except Exception as error:  # it raises whatever it stumbles over in XML, zip and numbers
        source_file.refuse_changed(source)
        raise errors.SourceError(
            f"{source.path} cannot be read as a workbook (damaged, or locked with a password?); "
            'save it as .xlsx again, or as "CSV UTF-8"'
        ) from error
