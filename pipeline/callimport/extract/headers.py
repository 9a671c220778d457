"""Find headers that are repeated among the rows, as in files that were put together and in reports with pages."""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from callimport.core import errors, models
from callimport.extract import delimited_tolerant, swallowed_rows

# A file that begins with a byte order mark keeps it when it is appended to another file.
_AROUND = "\ufeff \t\r\n\u00a0"
_DIGITS = "0123456789"
# A column name has no run of so many digits; a row of data has one somewhere.
_LONG_NUMBER = r"[0-9]{4}"
# A name in a damaged header may be a whole file.
_QUOTED = 60


def is_repeated(cells: Sequence[str], layout: models.Layout) -> bool:
    """Whether a record is the file's header; case, blanks around the names and blank cells at the end do not count."""
    return bool(layout.header) and _plain(cells) == _plain(layout.header)


def is_header(cells: Sequence[str], layout: models.Layout, *, is_after_header: bool) -> bool:
    """Whether a record above the rows is the header or, right after a header, its second line."""
    return is_repeated(cells, layout) or (is_after_header and is_second_header(cells, layout))


def is_second_header(cells: Sequence[str], layout: models.Layout) -> bool:
    """Whether a record may be the second line of a header, as the profile describes it."""
    texts = [cell.strip() for cell in cells if cell.strip()]
    if layout.second_header is None or not texts:
        return False
    return bool(pl.Series(texts).str.contains(layout.second_header).all())


def without_repeated(
    source: models.Source, layout: models.Layout, frames: Iterator[pl.DataFrame], lines: models.Lines
) -> Iterator[pl.DataFrame]:
    """Remove repeated headers from the frames of a file, and count them in `lines`.

    Raises SourceError if a header among the rows has other columns than the first header, or another order. The rows
    behind it would be read wrongly.
    """
    is_after = False
    for frame in frames:
        # Columns that callimport added to a reject file are not read: `_row` and `_ragged` are of this reading.
        columns = [name for name in layout.names if name in frame.columns and name not in delimited_tolerant.OURS]
        rows = frame["_row"]
        repeated: dict[int, int] = {}
        for row in _candidates(frame, columns, layout):
            if not _is_same(layout, columns, row):
                raise errors.SourceError(
                    f"{source.path}, line {row['_row']}: a header with other columns than the first one, or in another "
                    "order, stands among the rows; what follows it would be read wrongly. Save the lines from there on "
                    "as a file of their own, then import both"
                )
            repeated[row["_row"]] = count_lines([row[name] for name in columns])
        behind = [rows.search_sorted(row) + 1 for row in repeated] + ([0] if is_after else [])
        for position in behind if layout.second_header else ():
            row = frame.row(position, named=True) if position < frame.height else {}
            if row and is_second_header([row[name] or "" for name in columns], layout):
                repeated[row["_row"]] = count_lines([row[name] for name in columns])
        is_after = rows[-1] in repeated
        lines.rows -= sum(repeated.values())
        lines.repeated += sum(repeated.values())
        kept = frame.filter(~pl.col("_row").is_in(list(repeated))) if repeated else frame
        if kept.height:
            yield kept


def _candidates(frame: pl.DataFrame, columns: Sequence[str], layout: models.Layout) -> Iterator[dict[str, Any]]:
    """Rows that may be headers: at least two cells, and half of the filled cells, are names of the header."""
    wanted = [name for name in _plain(layout.header) if name]
    few = min(2, len(wanted))
    if not few or frame.is_empty():
        return iter(())
    if not any(name[0] in _DIGITS for name in wanted):
        # In a column of times or numbers the first letter tells a name from a cell: fast for a million rows.
        first = frame.row(0, named=True)
        for name in columns:
            if frame.height and (first[name] or " ")[0] in _DIGITS:
                frame = frame.filter((pl.col(name) < "0") | (pl.col(name) >= ":"))
    cells = pl.col(columns).fill_null("").str.strip_chars(_AROUND)
    plain = frame.select(cells.str.to_lowercase()) if frame.height else frame
    if plain.is_empty():
        return iter(())
    hits = pl.sum_horizontal(pl.all().is_in(wanted))
    filled = pl.sum_horizontal(pl.all() != "")
    has_data = pl.any_horizontal(pl.all().str.contains(_LONG_NUMBER))
    is_like = plain.select((hits >= few) & (2 * hits >= filled) & ~has_data).to_series()
    return frame.filter(is_like).iter_rows(named=True)


def _is_same(layout: models.Layout, columns: Sequence[str], row: dict[str, Any]) -> bool:
    first = dict(zip(layout.names, layout.header, strict=True))
    names, cells = [first[name] for name in columns], [row[name] or "" for name in columns]
    return row["_ragged"] is None and _plain(cells) == _plain(names)


def shortened(name: str) -> str:
    """The name as messages quote it, cut after 60 characters."""
    return name if len(name) <= _QUOTED else f"{name[: _QUOTED - 1]}…"


def trimmed(cells: Sequence[str]) -> tuple[str, ...]:
    """Cells without the blank cells at the end, which come from a separator behind the last cell."""
    filled = [position for position, cell in enumerate(cells, start=1) if cell.strip()]
    return tuple(cells[: filled[-1]]) if filled else ()


def _plain(cells: Sequence[str]) -> tuple[str, ...]:
    return trimmed([cell.strip(_AROUND).lower() for cell in cells])


def count_lines(cells: Sequence[str | None]) -> int:
    """How many physical lines a record of these cells has."""
    return 1 + sum(len(swallowed_rows.LINE_END.findall(cell or "")) for cell in cells)
