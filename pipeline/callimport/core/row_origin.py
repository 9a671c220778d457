"""Which rejected row a row stands for: the mark of a row is a digest of its cells as they were.

A reject file has each row's mark in the column `_origin`. Whoever mends the row leaves the mark alone, and so the call
that it becomes is known as the replacement of that row, also when the row itself comes again with tomorrow's export:

- A row whose own mark is that of an item is that call already. Valid or rejected again, it counts as unchanged, and
  it changes nothing: what a person wrote stands above what the phone system goes on writing. Only a row without a time
  is told again, as it may be any call.
- With a call_id the mended row has the key that its original would have had; without one its key is made of what was
  mended. The mark holds either way, within one system: it is looked for beside the key, never instead of it.
- A row mended twice: with the same key it is the same item (a later story replaces a pending one, as ever). With
  another key it would be a second call of one row, so it is a reject that names the first; it is let in where that one
  surely never reached the CRM (refused, failed, withdrawn), or where the person clears `_origin`: then it is another
  call.
- Twins: those that are both mended are two items with a mark each, and the two rows of tomorrow are both unchanged.
  Where one was mended and the other deleted, the deleted one is a reject again for as long as the export shows it:
  nobody has said what it is. It never changes the mended one.
- Rows that are equal in all cells have one mark, as they are one call by all other rules, too.
- Mended and corrected at the source, too: the corrected row has other cells and hence no mark that is known. With the
  same key it is the same item and tells a newer story; with another one, the look-alikes are what finds it.
- Original and mended row in one batch: the original counts as a duplicate (as unchanged, where it is rejected).
- A mended row that is rejected again keeps the mark of its original.

A row of several joined ones has the marks of all of them. The mark does not tell the place of a row, nor the order of
its columns, nor blanks: exports shift, and get new columns.
"""

import hashlib
from collections import defaultdict
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
# Without a time, a row does not tell which of several calls it is.
_TELLS_NO_CALL = ("started_at_missing",)


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


@dataclass(slots=True)
class Origins:
    """What the rows of a batch tell of marks; as much memory as there are mended rows and rows known by their mark.

    `known` are the marks of the items of this system (`Ledger.origins`), `announced` those of the mended rows of the
    batch itself. The rows' own marks are made only where there are any: a million of them are two seconds. `mended` and
    `repeated` hold, by the place of the row, the mark that it states and the mark that it has itself and is known by.
    """

    known: frozenset[str] = frozenset()
    announced: frozenset[str] = frozenset()
    mended: dict[models.Place, str] = field(default_factory=dict)
    repeated: dict[models.Place, str] = field(default_factory=dict)
    _into: dict[models.Place, models.Place] = field(default_factory=dict)
    _copies: dict[models.Place, models.Place] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.mended or self.repeated)

    def see(self, source: int, frame: pl.DataFrame) -> None:
        """A chunk's frame, as it was read; `source` counts the sources of the batch from 0."""
        if COLUMN in frame.columns:
            self.mended |= {models.Place(source, row): mark for row, mark in stated(frame).items()}
        elif wanted := self.known | self.announced:
            own = frame.select("_row").with_columns(marks(frame))
            ours = own.filter(pl.col(COLUMN).is_in(list(wanted)))
            self.repeated |= {models.Place(source, row): mark for row, mark in ours.iter_rows()}

    def joined(self, places: Iterable[tuple[models.Place, models.Place]]) -> None:
        """Rows, each with the row whose call it was joined to."""
        for place, into in places:
            if place in self.mended or place in self.repeated:
                self._into[place] = into

    def copied(self, places: Iterable[tuple[models.Place, models.Place]]) -> None:
        """Calls that are duplicates, each with the call that it equals: a mark of the first is one of the second."""
        self._copies |= dict(places)

    def settles(self, rejected: models.RejectedRow) -> bool:
        """Whether a row that is rejected again is known by its mark: it is a call that is unchanged, and no reject."""
        return rejected.place in self.repeated and not any(reason.rule in _TELLS_NO_CALL for reason in rejected.reasons)

    def mended_calls(self) -> Iterator[tuple[models.Place, str]]:
        """Where a call lies that replaces the row of that mark."""
        for place, mark in self.mended.items():
            call = self._into.get(place, place)
            yield self._copies.get(call, call), mark

    def repeated_calls(self) -> Iterator[tuple[models.Place, str]]:
        """Where a call lies that has a row of that mark in it."""
        return ((self._into.get(place, place), mark) for place, mark in self.repeated.items())

    def replaced(self) -> set[models.Place]:
        """Where calls lie that items of the ledger have replaced."""
        return {place for place, mark in self.repeated_calls() if mark in self.known}

    def stand_ins(self) -> Iterator[tuple[models.Place, models.Place]]:
        """Where calls lie whose mended rows are of this batch, each with such a row's call."""
        mended: dict[str, list[models.Place]] = defaultdict(list)
        for place, mark in self.mended_calls():
            mended[mark].append(place)
        return ((place, instead) for place, mark in self.repeated_calls() for instead in mended.get(mark, ()))
