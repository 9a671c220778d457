"""Files to read: which they are, what they hold, and their rows in chunks of text cells.

Nothing is guessed and nothing is dropped here but blank lines, and blank cells past the last column. A file that cannot
be read whole is a SourceError in one line: what happened; what to do.
"""

from collections import Counter
from collections.abc import Iterator

import polars as pl

from callimport.core import csv_safety, errors, models, row_origin
from callimport.extract import delimited, excel, formats, headers, parquet
from callimport.extract.delimited_tolerant import FILL_IN, PUT_QUOTES
from callimport.extract.discovery import find
from callimport.extract.headers import count_lines, is_second_header, shortened, trimmed
from callimport.extract.source_file import open_source, refuse_changed
from callimport.extract.swallowed_rows import TOLD as SWALLOWED

__all__ = [
    "CHUNK_ROWS", "FILL_IN", "PEEKED", "PUT_QUOTES", "SWALLOWED", "count_lines", "find", "header", "is_second_header",
    "open_source", "peek", "read", "refuse_fractions", "shortened", "trimmed",
]  # fmt: skip

CHUNK_ROWS = 100_000
PEEKED = 200
_MOST_QUOTED = 8


def peek(source: models.Source) -> models.Peek:
    """The first records as read, and how they were read. Raises SourceError where the file cannot be read."""
    if _kind(source) is formats.Kind.PARQUET:
        return models.Peek(parquet.first_records(source, PEEKED), True, "Parquet")
    if _kind(source) is formats.Kind.WORKBOOK:
        records, told = excel.first_records(source, PEEKED)
        return models.Peek(records, False, told)
    records, _, why_no_table = delimited.first_records(source, PEEKED)
    return models.Peek(records, False, delimited.form(source).told, why_no_table)


def header(source: models.Source) -> tuple[str, ...]:
    """The column names as in the file, blanks around them stripped. Raises SourceError where they cannot be used."""
    return _headed(source).names


def read(
    source: models.Source,
    layout: models.Layout | None = None,
    chunk_rows: int = CHUNK_ROWS,
    lines: models.Lines | None = None,
) -> Iterator[models.Chunk]:
    """The rows in chunks of at most `chunk_rows`, see `models.Chunk` for their shape.

    Without a layout the first record is the header. A line without any text is no row, nor is a repeated header. Once
    the last chunk is read, `lines` counts every line of the file. Text from Parquet: whole
    numbers plain, floats as Polars writes them (NaN is null), instants in ISO 8601 with their offset, naive times
    without one, booleans true and false, spans of time in seconds. From a workbook: as the sheet would be saved as CSV,
    with plain numbers and ISO 8601. Raises SourceError, also after the last chunk when the file is no longer the one
    that was opened.
    """
    its = layout or _headed(source)
    lines = models.Lines() if lines is None else lines
    for frame in headers.without_repeated(source, its, _frames(source, its, chunk_rows, lines), lines):
        # A reject file of ours, come back.
        restored = csv_safety.restored(frame) if row_origin.COLUMN in frame.columns else frame
        yield models.Chunk(source, _still_ragged(restored) if row_origin.CELLS in frame.columns else restored)
    refuse_changed(source)


def _still_ragged(frame: pl.DataFrame) -> pl.DataFrame:
    """A reject file is square: that cells were too many or missing stands in it until a person clears it."""
    stated = pl.col(row_origin.CELLS).str.strip_chars().replace("", None)
    return frame.with_columns(pl.coalesce("_ragged", stated).alias("_ragged"))


def refuse_fractions(source: models.Source, column: str, layout: models.Layout | None = None) -> None:
    """Raise SchemaMismatch where a column of ids holds fractions: 17.1 and 17.10 are one number and two ids.

    Only Parquet and workbooks know numbers; in text both are there as they are.
    """
    kind = _kind(source)
    if kind is formats.Kind.TEXT:
        return
    its = layout or _headed(source)
    if column not in its.names:
        return
    position = its.names.index(column)
    if kind is formats.Kind.PARQUET:
        has_fractions = parquet.has_fractions(source, position)
    else:
        has_fractions = excel.has_fractions(source, position, its.first_row)
    if has_fractions:
        raise errors.SchemaMismatch(
            f"{source.name}: the ids in {shortened(column)} are numbers with fractions, so 17.1 and 17.10 look alike: "
            "export text"
        )


def _kind(source: models.Source) -> formats.Kind:
    known = formats.named(source.path)
    return known.kind if known else formats.Kind.TEXT


def _frames(
    source: models.Source, layout: models.Layout, chunk_rows: int, lines: models.Lines
) -> Iterator[pl.DataFrame]:
    if _kind(source) is formats.Kind.PARQUET:
        return parquet.frames(source, layout.names, chunk_rows, lines)
    if _kind(source) is formats.Kind.WORKBOOK:
        return excel.frames(source, layout, chunk_rows, lines)
    return delimited.frames(source, layout, chunk_rows, lines)


def _first_records(source: models.Source, most: int) -> tuple[tuple[tuple[int, tuple[str, ...]], ...], int]:
    """The first records with the line each starts on, and the line after them."""
    if _kind(source) is formats.Kind.WORKBOOK:
        records, _ = excel.first_records(source, most)
        return records, records[-1][0] + 1
    records, following, _ = delimited.first_records(source, most)
    return records, following


def _headed(source: models.Source) -> models.Layout:
    """The layout of a file whose first record is its header."""
    if _kind(source) is formats.Kind.PARQUET:
        names, first_row = parquet.names(source), 1
    else:
        records, first_row = _first_records(source, 1)
        names = trimmed(records[0][1]) if records else ()
        if not names:
            raise errors.SourceError(f"{source.path} holds no line with text; export it again with its header")
        if any("\x00" in name for name in names):
            raise errors.SourceError(f"{source.path} is no text (NUL in its first line); export it again as CSV")
    layout = models.Layout(tuple(name.strip() for name in names), first_row, names)
    _refuse_names(source, layout.names)
    return layout


def _refuse_names(source: models.Source, names: tuple[str, ...]) -> None:
    for position, name in enumerate(names, start=1):
        if not name:
            raise errors.SourceError(f"{source.path}: column {position} has no name; name it or remove it")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        told = ", ".join(map(shortened, twice[:_MOST_QUOTED])) + (", …" if len(twice) > _MOST_QUOTED else "")
        raise errors.SourceError(f"{source.path}: several columns are called {told}; rename or remove them")
