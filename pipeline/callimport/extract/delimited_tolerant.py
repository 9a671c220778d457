"""Lines → records by the csv module, which takes whatever a phone system calls CSV. The slow and sure path."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from callimport.core import errors, models
from callimport.extract import source_file, swallowed_rows

# Columns that this program adds: in a reject file that is fed in again they are stale, so they are not read.
OURS = ("_row", "_ragged", "_reasons", "_source")
# What to do about a wrong number of cells in the export itself.
FILL_IN, PUT_QUOTES = "fill in the missing ones", "put quotes around text with a comma"
# Shown to csv after the last line: in a record that had begun before it, a quote was left open.
_END = "end of lines"


def _none_is_plain(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Records:
    """Records that hold any text: the physical lines they start on, their cells.

    `used` counts the lines that belong to complete records; the others open a quote that does not close in them.
    `left` has the positions of the lines that were not read, because each is a plain record. `several` has the lines of
    each record of several lines, by its position. `blank` counts the lines without any text.
    """

    starts: list[int]
    rows: list[list[str]]
    used: int
    left: list[int] = field(default_factory=list)
    several: dict[int, Sequence[str]] = field(default_factory=dict)
    blank: int = 0
    delimiter: str = ","

    def swallowed(self, names: Sequence[str]) -> dict[int, str]:
        """What is wrong with each record that holds rows, by position."""
        found = {
            position: swallowed_rows.fault(self.rows[position], lines, names, self.delimiter, self.starts[position])
            for position, lines in self.several.items()
        }
        return {position: fault for position, fault in found.items() if fault}


def records(
    source: models.Source,
    lines: Sequence[str],
    delimiter: str,
    first_line: int,
    *,
    is_last: bool,
    most: int | None = None,
    is_plain: Callable[[str], bool] = _none_is_plain,
) -> Records:
    """The records of `lines`, the first of which is the physical line `first_line`; at most `most` of them.

    `is_last` says that the file ends after them; a line of which `is_plain` says so is left where no quote is open
    before it. Raises SourceError.
    """
    starts: list[int] = []
    rows: list[list[str]] = []
    several: dict[int, Sequence[str]] = {}
    blank = 0
    shown = _Shown(lines, is_plain)
    try:
        for cells in csv.reader(shown, delimiter=delimiter):
            if shown.is_over:
                break
            if any(cells) and any(map(str.strip, cells)):
                if shown.lines > 1:
                    several[len(rows)] = lines[shown.start : shown.start + shown.lines]
                source_file.refuse_wide(source, len(cells), f"line {first_line + shown.start}")
                starts.append(first_line + shown.start)
                rows.append(cells)
            else:
                blank += shown.lines
            shown.is_between_records = True
            if len(rows) == most:
                break
    except csv.Error as error:
        raise errors.SourceError(
            f'{source.path}, line {first_line + shown.start}: {error}; a quote (") may be left open there: '
            "close it or remove it"
        ) from error
    if is_last and not shown.is_between_records:
        raise errors.SourceError(
            f'{source.path}, line {first_line + shown.start}: a quote (") opens and never closes; close it or remove it'
        )
    return Records(starts, rows, shown.used, shown.left, several, blank, delimiter)


class _Shown:
    """Lines on their way to csv, which asks for as many as a record has."""

    def __init__(self, lines: Sequence[str], is_plain: Callable[[str], bool]) -> None:
        self._lines, self._is_plain = lines, is_plain
        self.left: list[int] = []
        self.start = self._next = 0
        self.is_between_records = True
        self.is_over = False

    @property
    def lines(self) -> int:
        """How many lines the last record has had so far."""
        return self._next - self.start

    @property
    def used(self) -> int:
        return self._next if self.is_between_records else self.start

    def __iter__(self) -> Iterator[str]:
        for position, line in enumerate(self._lines):
            self._next = position + 1
            if self.is_between_records:
                if self._is_plain(line):
                    self.left.append(position)
                    continue
                self.start, self.is_between_records = position, False
            yield line
        self.is_over = True
        yield _END


def frame(names: Sequence[str], found: Records) -> pl.DataFrame:
    """The frame of a chunk, see `models.Chunk`."""
    width = len(names)
    rows = found.rows
    ragged: list[str | None] = [None] * len(rows)
    if any(len(cells) != width for cells in rows):
        rows, ragged = _squared(rows, width)
    for position, fault in found.swallowed(names).items():
        ragged[position] = fault
    cells_of = zip(*rows, strict=True) if rows else [()] * width
    columns = [
        pl.Series(name, cells, dtype=pl.String) for name, cells in zip(names, cells_of, strict=True) if name not in OURS
    ]
    marks = (pl.Series("_row", found.starts, dtype=pl.Int64), pl.Series("_ragged", ragged, dtype=pl.String))
    return pl.DataFrame([*columns, *marks])


def _squared(rows: list[list[str]], width: int) -> tuple[list[list[str]], list[str | None]]:
    """Rows of `width` cells, and what is wrong with each. Blank cells past the last column are no fault."""
    ragged = [_ragged(cells, width) for cells in rows]
    return [cells if len(cells) == width else (cells + [""] * width)[:width] for cells in rows], ragged


def _ragged(cells: list[str], width: int) -> str | None:
    """What is wrong with the number of cells. Cells past the last column are told here: they have no other place.

    A row that is too short is a fault although what it lacks may be blank: a line that was cut off looks the same.
    """
    if len(cells) < width:
        return f"{len(cells)} cells where the header has {width}; {FILL_IN}"
    if not any(map(str.strip, cells[width:])):
        return None
    extra = ", ".join(f'"{cell}"' for cell in cells[width:])
    return f"{len(cells)} cells where the header has {width}, too many: {extra}; {PUT_QUOTES}"
