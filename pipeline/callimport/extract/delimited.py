"""A text export → its first records, and its rows in chunks: by Polars where that is proved safe, else by csv."""

import functools
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from callimport.core import models
from callimport.extract import delimited_fast, delimited_mixed, delimited_tolerant, dialect, encoding, formats

# Enough for some hundred lines; the first records are asked for again and again.
_SAMPLE_BYTES = 256 * 2**10
_LINE_END = re.compile(rb"\r\n|\r|\n")
_PACKED = {formats.Packing.GZIP: "gzip, ", formats.Packing.ZSTD: "zstd, ", formats.Packing.ZIP: "zip, ", None: ""}


@dataclass(frozen=True, slots=True)
class Form:
    """How the text of a source is to be read; `told` says it to a person."""

    codec: str
    delimiter: str
    told: str


@functools.lru_cache(maxsize=1024)
def form(source: models.Source) -> Form:
    """Found once for a file, as all of it is read for it. Raises SourceError."""
    found = encoding.of(source)
    block, is_whole = next(encoding.blocks(source, found.codec, _SAMPLE_BYTES))
    mark = dialect.delimiter(_lines(block), is_whole=is_whole)
    known = formats.named(source.path)
    packed = _PACKED.get(known.packing if known else None, "")
    return Form(found.codec, mark, f"{packed}{found.told}, {dialect.told(mark)}")


def first_records(source: models.Source, most: int) -> tuple[tuple[tuple[int, tuple[str, ...]], ...], int]:
    """The first `most` records that hold any text, with the physical line each starts on, and the line after them."""
    its = form(source)
    line = 1
    carried = b""
    found: list[tuple[int, tuple[str, ...]]] = []
    for block, is_last in encoding.blocks(source, its.codec, _SAMPLE_BYTES):
        lines = _lines(carried + block)
        records = delimited_tolerant.records(
            source, lines, its.delimiter, line, is_last=is_last, most=most - len(found)
        )
        found += zip(records.starts, map(tuple, records.rows), strict=True)
        line += records.used
        if len(found) == most:
            break
        carried = "".join(lines[records.used :]).encode()
    return tuple(found), line


def frames(source: models.Source, layout: models.Layout, chunk_rows: int) -> Iterator[pl.DataFrame]:
    """The rows of `layout`, in the shape of `models.Chunk`: `chunk_rows` each but for the last. Raises SourceError."""
    waiting: list[pl.DataFrame] = []
    for frame in _frames_of_blocks(source, layout):
        waiting.append(frame)
        if sum(part.height for part in waiting) >= chunk_rows:
            *whole, rest = pl.concat(waiting).iter_slices(chunk_rows)
            yield from whole
            if rest.height == chunk_rows:
                yield rest
            waiting = [rest] if rest.height < chunk_rows else []
    if waiting:
        yield pl.concat(waiting)


def _frames_of_blocks(source: models.Source, layout: models.Layout) -> Iterator[pl.DataFrame]:
    its = form(source)
    line = 1
    carried = b""
    for read, is_last in encoding.blocks(source, its.codec):
        block, skipped = _from_line(carried + read, layout.first_row - line)
        line += skipped
        if line < layout.first_row:
            carried = b""
            continue
        proved = delimited_fast.frame(block, layout.names, its.delimiter, line)
        if proved is not None:
            frame, used = proved
            carried = b""
        else:
            lines = _lines(block)
            frame, used = delimited_mixed.frame(source, lines, layout.names, its.delimiter, line, is_last=is_last)
            carried = "".join(lines[used:]).encode()
        line += used
        if frame.height:
            yield frame


def _lines(block: bytes) -> list[str]:
    """Lines with their ends, be they LF, CRLF or CR."""
    return list(io.StringIO(block.decode(), newline=""))


def _from_line(block: bytes, lines: int) -> tuple[bytes, int]:
    """What follows the first `lines` lines, and how many of them there were."""
    count = 0
    for found in _LINE_END.finditer(block) if lines > 0 else ():
        count += 1
        if count == lines:
            return block[found.end() :], count
    return (b"", count) if lines > 0 else (block, 0)
