"""Lines → frame where some records are odd: csv reads those, Polars all the others.

A line without a quote is a record of its own wherever no quote is open before it. So csv is shown the lines of records
that have a quote in them or another number of cells, and what is left is a plain grid for the fast path.
"""

from collections.abc import Sequence

import polars as pl

from callimport.core import models
from callimport.extract import delimited_fast, delimited_tolerant


def frame(
    source: models.Source,
    lines: Sequence[str],
    names: tuple[str, ...],
    delimiter: str,
    first_line: int,
    *,
    is_last: bool,
) -> tuple[pl.DataFrame, int, int]:
    """Return the frame of the complete records in `lines` (see `models.Chunk`), how many lines these records take, and
    how many of these lines are blank.

    `first_line` is the physical line of the first of them; `is_last` says that the file ends after them. Raises
    SourceError.
    """
    others = len(names) - 1

    def is_plain(line: str) -> bool:
        return '"' not in line and line.count(delimiter) == others

    found = delimited_tolerant.records(source, lines, delimiter, first_line, is_last=is_last, is_plain=is_plain)
    if not found.left:
        return delimited_tolerant.frame(names, found), found.used, found.blank
    read = delimited_fast.frame("".join(lines[position] for position in found.left).encode(), names, delimiter, 0)
    if read is None:
        found = delimited_tolerant.records(source, lines, delimiter, first_line, is_last=is_last)
        return delimited_tolerant.frame(names, found), found.used, found.blank
    plain, _ = read
    line = pl.Series("_row", found.left, dtype=pl.Int64).gather(plain["_row"]) + first_line
    both = pl.concat([plain.with_columns(line), delimited_tolerant.frame(names, found)]).sort("_row")
    return both, found.used, found.blank + len(found.left) - plain.height
