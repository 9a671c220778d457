"""A text export → its first records, and its rows in chunks: by Polars where that is proved safe, else by csv."""

import functools
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from callimport.core import errors, models
from callimport.extract import (
    delimited_fast,
    delimited_mixed,
    delimited_tolerant,
    dialect,
    encoding,
    formats,
    headers,
    no_table,
    swallowed_rows,
)

# Enough for some hundred lines; the first records are asked for again and again.
_SAMPLE_BYTES = 256 * 2**10
# Behind the last row: Ctrl-Z, which ends a text in DOS, and the NULs with which some systems fill up a file.
_END_MARKS = b"\x1a\x00"
_PACKED = {formats.Packing.GZIP: "gzip, ", formats.Packing.ZSTD: "zstd, ", formats.Packing.ZIP: "zip, ", None: ""}


@dataclass(frozen=True, slots=True)
class Form:
    """How the text of a source is to be read; `told` says it to a person, `doubt` why it may be no table at all."""

    codec: str
    delimiter: str
    told: str
    doubt: str


@functools.lru_cache(maxsize=1024)
def form(source: models.Source) -> Form:
    """Found once for a file, as all of it is read for it. Raises SourceError."""
    found = encoding.of(source)
    block, is_whole = next(encoding.blocks(source, found.codec, _SAMPLE_BYTES))
    lines = _lines(_without_end_mark(block)[0] if is_whole else block)
    mark = dialect.delimiter(lines, is_whole=is_whole)
    known = formats.named(source.path)
    packed = _PACKED.get(known.packing if known else None, "")
    doubt = no_table.doubt(lines if is_whole else lines[:-1], mark)
    return Form(found.codec, mark, f"{packed}{found.told}, {dialect.told(mark)}", doubt)


def first_records(source: models.Source, most: int) -> tuple[tuple[tuple[int, tuple[str, ...]], ...], int, str]:
    """The first `most` records that hold any text, with the physical line each starts on; the line after them; and
    why the text may be no table of separated cells, blank where nothing speaks for that."""
    its = form(source)
    doubt = its.doubt
    line = 1
    carried = b""
    found: list[tuple[int, tuple[str, ...]]] = []
    for block, is_last in encoding.blocks(source, its.codec, _SAMPLE_BYTES):
        lines = _lines(_without_end_mark(carried + block)[0] if is_last else carried + block)
        records = delimited_tolerant.records(
            source, lines, its.delimiter, line, is_last=is_last, most=most - len(found)
        )
        doubt = doubt or no_table.swallowed(records)
        found += zip(records.starts, map(tuple, records.rows), strict=True)
        line += records.used
        if len(found) == most:
            break
        carried = "".join(lines[records.used :]).encode()
    return tuple(found), line, doubt


def frames(
    source: models.Source, layout: models.Layout, chunk_rows: int, lines: models.Lines
) -> Iterator[pl.DataFrame]:
    """The rows of `layout`, in the shape of `models.Chunk`: `chunk_rows` each but for the last. What every line of the
    file is, is added to `lines`. Raises SourceError."""
    waiting: list[pl.DataFrame] = []
    for frame in _frames_of_blocks(source, layout, lines):
        waiting.append(frame)
        if sum(part.height for part in waiting) >= chunk_rows:
            *whole, rest = pl.concat(waiting).iter_slices(chunk_rows)
            yield from whole
            if rest.height == chunk_rows:
                yield rest
            waiting = [rest] if rest.height < chunk_rows else []
    if waiting:
        yield pl.concat(waiting)


def _frames_of_blocks(source: models.Source, layout: models.Layout, lines: models.Lines) -> Iterator[pl.DataFrame]:
    its = form(source)
    line = 1
    carried = b""
    before: list[str] = []
    for read, is_last in encoding.blocks(source, its.codec):
        block = carried + read
        if is_last:
            block, lines.trailer = _without_end_mark(block)
        if line < layout.first_row:
            head = list(itertools.islice(_lines_one_by_one(block), layout.first_row - line))
            before += head
            line += len(head)
            block = block[len("".join(head).encode()) :]
            if line < layout.first_row and not is_last:
                carried = b""
                continue
            _count_before(source, layout, before, its.delimiter, lines)
        proved = delimited_fast.frame(block, layout.names, its.delimiter, line)
        if proved is not None:
            frame, used = proved
            blank = used - frame.height
            carried = b""
        else:
            given = _lines(block)
            frame, used, blank = delimited_mixed.frame(
                source, given, layout.names, its.delimiter, line, is_last=is_last
            )
            carried = "".join(given[used:]).encode()
        line += used
        lines.blank += blank
        lines.rows += used - blank
        if frame.height:
            yield frame


def _count_before(
    source: models.Source, layout: models.Layout, before: Sequence[str], delimiter: str, lines: models.Lines
) -> None:
    """Add the lines `before` the rows. Raises SourceError where a record of them holds others: those would be lost."""
    found = delimited_tolerant.records(source, before, delimiter, 1, is_last=False)
    lines.blank += found.blank
    lines.preamble += len(before) - found.used
    is_after = False
    for position, cells in enumerate(found.rows):
        parts = found.several.get(position, ("",))
        is_header = headers.is_repeated(cells, layout) or (is_after and headers.is_second(cells, layout))
        if is_header:
            lines.header += len(parts)
        else:
            lines.preamble += len(parts)
        if len(parts) > 1:
            _refuse_swallowed(source, layout, found, position, is_header=is_header)
        is_after = is_header


def _refuse_swallowed(
    source: models.Source, layout: models.Layout, found: delimited_tolerant.Records, position: int, *, is_header: bool
) -> None:
    """Above the rows there is no row to compare with: a name of a column holds no separator, a remark few of them."""
    first, lines = found.starts[position], found.several[position]
    separators = 1 if is_header else len(layout.names) - 1
    for cell in found.rows[position]:
        pieces = swallowed_rows.LINE_END.split(cell)
        has_rows = any(swallowed_rows.is_row_of(piece, separators, found.delimiter) for piece in pieces)
        if len(pieces) > 1 and (has_rows or not swallowed_rows.is_closed(cell, "".join(lines))):
            raise errors.SourceError(f"{source.path}: {no_table.of_one_cell(first, first + len(lines) - 1)}")


def _lines(block: bytes) -> list[str]:
    """Lines with their ends, be they LF, CRLF or CR."""
    return list(_lines_one_by_one(block))


def _lines_one_by_one(block: bytes) -> Iterator[str]:
    return iter(io.StringIO(block.decode(), newline=""))


def _without_end_mark(block: bytes) -> tuple[bytes, int]:
    """The last block of a file without the mark behind its text, and how many lines hold nothing but such marks."""
    text = block.rstrip(_END_MARKS + b"\r\n")
    behind = block[len(text) :]
    marks = [place for mark in _END_MARKS if (place := behind.find(mark)) >= 0]
    if not marks:
        return block, 0
    text += behind[: min(marks)]
    return text, len(_lines(block)) - len(_lines(text))
