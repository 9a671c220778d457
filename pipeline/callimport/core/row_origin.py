"""Which rejected row a row stands for: the mark of a row is a digest of its cells as they were.

A reject file has each row's mark in the column `_origin`. Whoever mends the row leaves the mark alone. The ledger keeps
a fingerprint of the mark: of each rejected row that a run has reported, and of each that a mended row has replaced.

- Entering a mended row settles its original. Whenever the original comes again, valid or not, it is a known reject and
  never a call: what a person wrote stands above what the phone system goes on writing.
- A row mended twice: with the same key it is the same item. With another key it would be a second call of one row, so
  it is a reject that names the first; it is let in where that one surely never reached the CRM (refused, failed,
  withdrawn), or where the person clears `_origin`: then it is another call.
- Rows that are equal in all cells have one mark, as they are one call by all other rules, too.
- A row that was corrected at the source has other cells, and hence another mark. With the same key it is the same item;
  with another one, the look-alikes are what finds it.
- A mended row that is rejected again keeps the mark of its original.

A call of several joined rows has the marks of all of them. The mark does not tell the place of a row, nor the order of
its columns, nor blanks: exports shift, and get new columns.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import polars as pl

from callimport.core import models

COLUMN = "_origin"
# In a reject file of several phone systems: the profile that reads the row.
PROFILE = "_profile"
# What was wrong with the number of a row's cells; as a reject file is square, the row itself does not show it there.
CELLS = "_cells"
# Columns that this program adds say nothing of what the row was; what is wrong with the number of cells does.
_NOT_OF_THE_ROW = ("_row", "_reasons", "_source", PROFILE, CELLS, COLUMN)
_MARK = r"^o[0-9a-f]{20}$"
_DIGEST_BYTES = 10
_AFTER_NAME, _AFTER_CELL = "\x1e", "\x1f"
# The lines of a record in its file. They may change, so they are no part of the mark.
_LINES = r" \(lines [0-9]+ to [0-9]+\)(: a quote .* opens on line [0-9]+)?"
_NO_MARK = (
    "_origin is not a mark of callimport; copy it from the reject file again, or clear the cell if this is another call"
)


def marks(frame: pl.DataFrame) -> pl.Series:
    """The mark of each row of a chunk's frame, from its own cells: `o` (no spreadsheet takes it for a number) and 20
    hexadecimal digits."""
    texts = frame.select(
        pl.concat_str([_told(name) for name in sorted(set(frame.columns) - set(_NOT_OF_THE_ROW))])
    ).to_series()
    digest = hashlib.blake2b
    found = ["o" + digest(text.encode(), digest_size=_DIGEST_BYTES).hexdigest() for text in texts.to_list()]
    return pl.Series(COLUMN, found, dtype=pl.String)


def _told(name: str) -> pl.Expr:
    """Name and cell, each with an end that no cell has, so that no two rows are told alike; nothing of a blank cell."""
    cell = pl.col(name).str.replace(_LINES, "") if name == "_ragged" else pl.col(name)
    cell = cell.str.strip_chars().str.replace_all(f"[{_AFTER_NAME}{_AFTER_CELL}]", " ").replace("", None)
    return pl.concat_str(pl.lit(name + _AFTER_NAME), cell, pl.lit(_AFTER_CELL)).fill_null("")


def kept(frame: pl.DataFrame) -> pl.Series:
    """What a reject file says in `_origin` of each row: the mark that it has already, else its own."""
    own = marks(frame)
    if COLUMN not in frame.columns:
        return own
    stated = frame[COLUMN].str.strip_chars()
    return pl.DataFrame({"stated": stated.replace("", None), "own": own}).select(
        pl.coalesce("stated", "own").alias(COLUMN)
    )[COLUMN]


def stated(frame: pl.DataFrame) -> dict[int, str]:
    """The marks of mended rows, by `_row`; empty for a file without the column."""
    return dict(_stated(frame, is_sound=True))


def faults(frame: pl.DataFrame) -> dict[int, models.Reason]:
    """The rows, by `_row`, in whose `_origin` something else stands: which row they replace cannot be told."""
    return {row: models.Reason("origin_unreadable", _NO_MARK) for row, _ in _stated(frame, is_sound=False)}


def _stated(frame: pl.DataFrame, *, is_sound: bool) -> Iterator[tuple[int, str]]:
    if COLUMN not in frame.columns:
        return iter(())
    found = frame.select("_row", pl.col(COLUMN).fill_null("").str.strip_chars().str.to_lowercase())
    is_mark = pl.col(COLUMN).str.contains(_MARK)
    return found.filter(pl.col(COLUMN) != "", is_mark if is_sound else ~is_mark).iter_rows()


@dataclass(frozen=True, slots=True)
class Settled:
    """The rejected rows that mended rows have replaced, by fingerprint. `secret` is the ledger's: without it, nobody
    can tell a row by its fingerprint."""

    secret: str = ""
    fingerprints: frozenset[str] = frozenset()

    def fingerprint(self, system: str, mark: str) -> str:
        """Of a row of a phone system, by its mark."""
        return hashlib.blake2b(f"{system}\n{mark}".encode(), digest_size=16, key=self.secret.encode()).hexdigest()


@dataclass(slots=True)
class Origins:
    """What the rows of a batch tell of marks. `announced` are those that mended rows of the batch state; `mended` has
    them by the place of the mended row. A row's own mark is made only where there is something to compare it with: a
    million of them are two seconds."""

    announced: frozenset[str] = frozenset()
    settled: Settled = field(default_factory=Settled)
    mended: dict[models.Place, str] = field(default_factory=dict)
    _into: dict[models.Place, models.Place] = field(default_factory=dict)
    _copies: dict[models.Place, models.Place] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.mended)

    def see(self, source: int, system: str, frame: pl.DataFrame) -> list[int]:
        """A chunk's frame, as it was read. Returns the rows that are settled."""
        if COLUMN in frame.columns:
            self.mended |= {models.Place(source, row): mark for row, mark in stated(frame).items()}
            return []
        if not self.announced and not self.settled.fingerprints:
            return []
        return [
            row
            for row, mark in zip(frame["_row"], marks(frame), strict=True)
            if mark in self.announced or self.settled.fingerprint(system, mark) in self.settled.fingerprints
        ]

    def joined(self, places: Iterable[tuple[models.Place, models.Place]]) -> None:
        """Rows, each with the row whose call it was joined to."""
        self._into |= {place: into for place, into in places if place in self.mended}

    def copied(self, places: Iterable[tuple[models.Place, models.Place]]) -> None:
        """Calls that are duplicates, each with the call that it equals: a mark of the first is one of the second."""
        self._copies |= dict(places)

    def of_calls(self, system: str) -> pl.DataFrame:
        """The fingerprints of the rows that mended rows of a system replace, by the place of their call. Columns:
        `_source`, `_row`, marks."""
        rows = []
        for place, mark in self.mended.items():
            call = self._into.get(place, place)
            rows.append((*self._copies.get(call, call), self.settled.fingerprint(system, mark)))
        schema = {"_source": pl.Int64, "_row": pl.Int64, "marks": pl.String}
        return pl.DataFrame(rows, schema=schema, orient="row").group_by("_source", "_row").agg(pl.col("marks").sort())
