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
# A record of several lines is read again with each block, until its last line is there.
LONGEST_RECORD_BYTES = 4 * 2**20
# Behind the last row: Ctrl-Z ends a text in DOS, and some systems fill up a file with NULs.
_END_MARKS = b"\x1a\x00"
_PACKED = {formats.Packing.GZIP: "gzip, ", formats.Packing.ZSTD: "zstd, ", formats.Packing.ZIP: "zip, ", None: ""}


@dataclass(frozen=True, slots=True)
class Form:
    """How the text of a source is read. `told` says it to a person, `why_no_table` why it may be no table at all."""

    codec: str
    delimiter: str
    told: str
    why_no_table: str


@functools.lru_cache(maxsize=1024)
def form(source: models.Source) -> Form:
    """Found once for a file, as all of it is read for it. Raises SourceError."""
    found = encoding.of(source)
    block, is_whole = next(encoding.blocks(source, found.codec, _SAMPLE_BYTES))
    lines = _lines(_without_end_mark(block)[0] if is_whole else block)
    mark = dialect.delimiter(lines, is_whole=is_whole)
    known = formats.named(source.path)
    packed = _PACKED.get(known.packing if known else None, "")
    why_no_table = no_table.reason(lines if is_whole else lines[:-1], mark)
    return Form(found.codec, mark, f"{packed}{found.told}, {dialect.told(mark)}", why_no_table)


def first_records(source: models.Source, most: int) -> tuple[tuple[tuple[int, tuple[str, ...]], ...], int, str]:
    """Return the first `most` records that hold any text, each with the physical line that it starts on; the line after
    them; and why the text may be no table of separated cells (blank: nothing is wrong)."""
    its = form(source)
    why_no_table = its.why_no_table
    line = 1
    carried = b""
    found: list[tuple[int, tuple[str, ...]]] = []
    for block, is_last in encoding.blocks(source, its.codec, _SAMPLE_BYTES):
        lines = _lines(_without_end_mark(carried + block)[0] if is_last else carried + block)
        records = delimited_tolerant.records(
            source, lines, its.delimiter, line, is_last=is_last, most=most - len(found)
        )
        why_no_table = why_no_table or no_table.open_quote(records)
        found += zip(records.starts, map(tuple, records.rows), strict=True)
        line += records.used
        if len(found) == most:
            break
        carried = "".join(lines[records.used :]).encode()
        _refuse_long_record(source, carried, line)
    return tuple(found), line, why_no_table


def frames(
    source: models.Source, layout: models.Layout, chunk_rows: int, lines: models.Lines
) -> Iterator[pl.DataFrame]:
    """The rows of `layout` in frames of `chunk_rows`, in the shape of `models.Chunk`; the last frame may be shorter.
    Every line of the file is counted in `lines`. Raises SourceError."""
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
            _refuse_long_record(source, carried, line + used)
        line += used
        lines.blank += blank
        lines.rows += used - blank
        if frame.height:
            yield frame


def _refuse_long_record(source: models.Source, carried: bytes, line: int) -> None:
    if len(carried) > LONGEST_RECORD_BYTES:
        raise errors.SourceError(
            f"{source.path}, line {line}: a row of more than {LONGEST_RECORD_BYTES // 2**20} MiB: that is no call log; "
            'if a quote (") is left open there, close it or remove it'
        )


def _count_before(
    source: models.Source, layout: models.Layout, before: Sequence[str], delimiter: str, lines: models.Lines
) -> None:
    """Count the lines `before` the first row in `lines`. Raises SourceError if a record among them holds rows, which
    would be lost."""
    found = delimited_tolerant.records(source, before, delimiter, 1, is_last=False)
    lines.blank += found.blank
    lines.preamble += len(before) - found.used
    is_after = False
    for position, cells in enumerate(found.rows):
        parts = found.several.get(position, ("",))
        is_header = headers.is_header(cells, layout, is_after_header=is_after)
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
    """Raise SourceError if a record above the first row holds rows."""
    # No row is known yet to compare with. A column name holds no separator, and a remark holds few separators.
    separators = 1 if is_header else len(layout.names) - 1
    first, lines = found.starts[position], found.several[position]
    if swallowed_rows.may_hold_rows(found.rows[position], lines, separators, found.delimiter):
        raise errors.SourceError(f"{source.path}: {swallowed_rows.told(first, first + len(lines) - 1)}")


def _lines(block: bytes) -> list[str]:
    """Lines with their ends, be they LF, CRLF or CR."""
    return list(_lines_one_by_one(block))


def _lines_one_by_one(block: bytes) -> Iterator[str]:
    return iter(io.StringIO(block.decode(), newline=""))


def _without_end_mark(block: bytes) -> tuple[bytes, int]:
    """Return the last block of a file without the marks at its end, and how many lines hold only such marks."""
    text = block.rstrip(_END_MARKS + b"\r\n")
    behind = block[len(text) :]
    marks = [place for mark in _END_MARKS if (place := behind.find(mark)) >= 0]
    if not marks:
        return block, 0
    text += behind[: min(marks)]
    return text, len(_lines(block)) - len(_lines(text))
