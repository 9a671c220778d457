"""An Excel workbook (.xlsx) → rows of text, as the sheet would be saved as CSV. Needs the extra `callimport[xlsx]`.

Numbers are plain (5145550100, never 5.14555E+9), instants are ISO 8601 without an offset, times and spans H:MM:SS.
"""

import datetime as dt
import itertools
import warnings
import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import polars as pl

from callimport.core import errors, models
from callimport.extract import compression, delimited_tolerant, headers, source_file

if TYPE_CHECKING:
    from openpyxl.cell import Cell, MergedCell
    from openpyxl.workbook import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

# Unpacked. What a sheet can hold at most, a million rows, is about a third of this.
MOST_BYTES = 2 * 2**30
# Reports come with other sheets beside the calls (RingCentral: Filters, Users, Queues, Calls).
_CALL_SHEETS = ("calls", "call log", "call logs", "call details", "cdr", "appels", "journal des appels")
_LARGEST_EXACT = 2**53


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
    with _sheet(source) as sheet, _guarded(source):
        cells = sheet.iter_rows(first_row, None, position + 1, position + 1, values_only=True)
        return any(isinstance(value, float) and not value.is_integer() for (value,) in cells)


@contextmanager
def _sheet(source: models.Source) -> Iterator["Worksheet"]:
    """The sheet with the calls. Raises SourceError where it cannot be told which that is."""
    try:
        import openpyxl
    except ImportError as error:
        raise errors.SourceError(
            f'{source.path} is an Excel workbook: pip install openpyxl to read it, or save it as "CSV UTF-8"'
        ) from error
    _refuse_bomb(source)
    with _guarded(source):
        book = openpyxl.load_workbook(source.path, read_only=True, data_only=True, keep_links=False)
    try:
        yield _chosen(source, book)
    finally:
        book.close()


def _chosen(source: models.Source, book: "Workbook") -> "Worksheet":
    visible = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    for sheet in visible:
        # What a sheet says of its own size is not always true, and what lies outside would be lost.
        sheet.reset_dimensions()
    filled = [sheet for sheet in visible if next(_rows(source, sheet), None)]
    if not filled:
        raise errors.SourceError(f"{source.path} holds no sheet with text; export it again")
    calls = [sheet for sheet in filled if sheet.title.strip().casefold() in _CALL_SHEETS]
    if len(filled) > 1 and len(calls) != 1:
        names = ", ".join(sheet.title for sheet in filled)
        raise errors.SourceError(
            f"{source.path} holds several sheets ({names}); call the one that is meant Calls, or save it as CSV"
        )
    return calls[0] if len(calls) == 1 else filled[0]


def _rows(source: models.Source, sheet: "Worksheet") -> Generator[tuple[int, list[str]], None, None]:
    """Every row that holds any text, with its number in the sheet."""
    with _guarded(source):
        rows = sheet.iter_rows()
    number = 0
    while True:
        with _guarded(source):
            taken = [[_text(cell) for cell in row] for row in itertools.islice(rows, 500)]
        if not taken:
            return
        for cells in taken:
            number += 1
            if any(map(str.strip, cells)):
                yield number, cells


def _text(cell: "Cell | MergedCell") -> str:
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


def _refuse_bomb(source: models.Source) -> None:
    with _guarded(source), zipfile.ZipFile(source.path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    times = size / source.size
    if size > MOST_BYTES or (size > compression.HARMLESS_BYTES and times > compression.MOST_TIMES):
        raise errors.SourceError(
            f"{source.path} unpacks to {size // 2**20} MiB, {times:.0f} times its size: that is no call log; "
            'if it is one, save it as "CSV UTF-8"'
        )


@contextmanager
def _guarded(source: models.Source) -> Iterator[None]:
    """Whatever openpyxl makes of a damaged workbook, in one line, and nothing of what it only remarks."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except OSError as error:
        raise source_file.unreadable(source.path, error) from error
    except Exception as error:  # it raises whatever it stumbles over in XML, zip and numbers
        source_file.refuse_changed(source)
        raise errors.SourceError(
            f"{source.path} cannot be read as a workbook (damaged, or locked with a password?); "
            'save it as .xlsx again, or as "CSV UTF-8"'
        ) from error
