"""Lines → frame by Polars, where a look at the bytes proves that it reads the same as the csv module.

Polars fills up short rows in silence, knows no physical lines, reads a file of an old Mac as nothing and minds quotes
in another way. So a block of lines is given to it only if every line is one record of exactly so many cells, ends in
the same way, and every quote in it stands where RFC 4180 wants it. Else the answer is None, and csv reads the block.
"""

import csv
from operator import itemgetter

import polars as pl

from callimport.extract import delimited_tolerant

_MARK = b"\x02"
_FIRST, _LAST = itemgetter(0), itemgetter(-1)
_BOM = b"\xef\xbb\xbf"
# Every character that str.strip takes for a blank. Polars alone would leave the four separators of ASCII.
_BLANKS = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())


def frame(block: bytes, names: tuple[str, ...], delimiter: str, first_line: int) -> tuple[pl.DataFrame, int] | None:
    """The frame of a chunk (see `models.Chunk`) of whole lines in UTF-8 and how many they are, or None where it is not
    surely the same. `first_line` is the physical line of the first of them.
    """
    if len(names) < 2 or not block or block.startswith(_BOM):
        return None
    if b"\n" not in block:
        block = block.replace(b"\r", b"\n")  # an old Mac's, or one line
    if not block.endswith(b"\n"):
        block += _first_end(block)
    has_quotes = b'"' in block
    lines = (_quoted_lines if has_quotes else _plain_lines)(block, delimiter.encode(), len(names))
    if not lines:
        return None
    try:
        read = pl.read_csv(
            block,
            has_header=False,
            schema={str(position): pl.String for position in range(len(names))},
            infer_schema=False,
            empty_string_is_null=False,
            separator=delimiter,
            quote_char='"' if has_quotes else None,
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    if read.height != lines or _longest_cell(read) > csv.field_size_limit():
        return None
    kept = [
        pl.col(str(position)).alias(name) for position, name in enumerate(names) if name not in delimited_tolerant.OURS
    ]
    rows = pl.int_range(first_line, first_line + lines, dtype=pl.Int64).alias("_row")
    read = read.with_columns(rows, pl.lit(None, dtype=pl.String).alias("_ragged"))
    return _without_blank_rows(read, len(names)).select(*kept, "_row", "_ragged"), lines


def _plain_lines(block: bytes, delimiter: bytes, width: int) -> int:
    """How many lines without quotes these are, if each has `width` cells and all end alike; else 0."""
    kept = delimiter + b"\r\n"
    structure = block.translate(None, bytes(byte for byte in range(256) if byte not in kept))
    end = _first_end(block)
    line = delimiter * (width - 1) + end
    lines = len(structure) // len(line)
    # A lone CR within a line would look as if it stood before that line's LF.
    return lines if structure == line * lines and block.count(end) == lines else 0


def _first_end(block: bytes) -> bytes:
    first = block.find(b"\n")
    return b"\r\n" if first > 0 and block[first - 1 : first] == b"\r" else b"\n"


def _quoted_lines(block: bytes, delimiter: bytes, width: int) -> int:
    """The same for lines with quotes, where each quote opens or closes a whole cell or is doubled inside one."""
    block = block.replace(b"\r\n", b"\n")
    if b"\r" in block or _MARK in block:
        return 0
    # Doubled quotes out of the way, each one that is left opens or closes, in turn.
    parts = (b"\n" + block).replace(b'""', _MARK).split(b'"')
    if len(parts) % 2 == 0 or b"\n" in b"".join(parts[1::2]):
        return 0
    outside = b'"'.join(parts[0::2])
    while _MARK + b'"' in outside:  # a cell that begins with quotes of its own
        outside = outside.replace(_MARK + b'"', b'"')
    between = {delimiter[0], ord("\n")}
    if not (_stands_alone(outside, b'"', between) and _stands_alone(outside, _MARK, between)):
        return 0
    return _plain_lines(outside[1:], delimiter, width)


def _stands_alone(outside: bytes, mark: bytes, between: set[int]) -> bool:
    """Whether each `mark`, which is a whole quoted cell, has a delimiter or a line end on either side."""
    pieces = outside.split(mark)
    try:
        return between.issuperset(map(_LAST, pieces[:-1])) and between.issuperset(map(_FIRST, pieces[1:]))
    except IndexError:  # two of them side by side
        return False


def _longest_cell(read: pl.DataFrame) -> int:
    longest = read.select(pl.max_horizontal(pl.all().str.len_bytes().max())).item()
    return int(longest or 0)


def _without_blank_rows(read: pl.DataFrame, width: int) -> pl.DataFrame:
    """A line without any text is no row. Looked for column by column, as hardly any row is blank in the first few."""
    blank = read
    for position in range(width):
        blank = blank.filter(pl.col(str(position)).str.strip_chars(_BLANKS) == "")
        if blank.is_empty():
            return read
    return read.filter(~pl.col("_row").is_in(blank["_row"].implode()))
