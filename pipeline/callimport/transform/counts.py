"""What has been met on the way from rows to calls: every row is counted once."""

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Self

import polars as pl

from callimport.core import endings, models, places

# So many places of each kind are remembered of what is left out, for whoever wonders.
EXAMPLES = 3


@dataclass(slots=True)
class Tally:
    """`rejects` are kept whole: they are what the reject file is made of. `known_rejects` are those of them that an
    earlier run has reported, or that a mended row has replaced. `calls` are those that go on to the ledger; `skipped`
    and `duplicate` ones are calls, too. `blanked` counts, by column and word, the cells that were read as blank because
    the word means nothing. `lines` counts the lines of each source; a source that is read again is not counted again.
    """

    read: int = 0
    joined: int = 0
    calls: int = 0
    duplicate: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    blanked: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejects: dict[models.Place, tuple[models.Reason, ...]] = field(default_factory=dict)
    known_rejects: set[models.Place] = field(default_factory=set)
    lines: dict[int, models.Lines] = field(default_factory=dict)
    _first: dict[str, list[models.Place]] = field(default_factory=dict)

    def copy(self) -> Self:
        """Return counts that can grow apart from these."""
        return type(self)(*(copy.copy(getattr(self, one.name)) for one in fields(self)))

    def reject(self, rejected: models.RejectedRow) -> None:
        """Note why a row is no call. One that was rejected before keeps what was said of it first."""
        self.rejects.setdefault(rejected.place, rejected.reasons)

    def settle(self, place: models.Place, why: models.Reason) -> None:
        """Note a row that a mended row has replaced."""
        self.rejects[place] = (why,)
        self.known_rejects.add(place)

    def drop(self, kind: str, rows: pl.DataFrame) -> None:
        """`rows` (columns `_source`, `_row`) are no calls of a customer."""
        self.dropped[kind] += rows.height
        self._note(kind, rows)

    def skip(self, why: models.Skip, rows: pl.DataFrame) -> None:
        """The calls in `rows` (columns `_source`, `_row`) are not sent."""
        if rows.height:
            self.skipped[why] += rows.height
            self._note(why, rows)

    def unskip(self, why: models.Skip, place: models.Place) -> None:
        """Something else became of a skipped call."""
        self.skipped -= Counter({str(why): 1})
        self._first[why] = [one for one in self._first[why] if one != place]

    def left_out(self, sources: Sequence[models.Source]) -> tuple[endings.LeftOut, ...]:
        """Each kind of dropped rows and skipped calls, the most frequent first."""
        counts = self.dropped + self.skipped
        ordered = sorted(counts, key=lambda kind: (-counts[kind], kind))
        return tuple(
            endings.LeftOut(
                str(kind),
                counts[kind],
                tuple(f"{sources[place.source].name} row {place.row}" for place in self._first[kind]),
            )
            for kind in ordered
        )

    def all_lines(self) -> models.Lines:
        """The lines of all sources together."""
        return sum(self.lines.values(), start=models.Lines())

    def _note(self, kind: str, rows: pl.DataFrame) -> None:
        """Keep the first places by file and row, in whatever order they come."""
        first = rows.select(places.PLACE).bottom_k(EXAMPLES, by=places.PLACE).iter_rows()
        known = self._first.get(kind, [])
        self._first[kind] = sorted([*known, *(models.Place(*place) for place in first)])[:EXAMPLES]


def told_of_blanks(blanked: Counter[tuple[str, str]]) -> tuple[str, ...]:
    """One line on the words that were read as blank, most frequent first; empty if there were none."""
    by_word: dict[str, list[tuple[str, int]]] = {}
    for (column, word), count in sorted(blanked.items(), key=lambda one: (-one[1], one[0])):
        by_word.setdefault(word, []).append((column, count))
    if not by_word:
        return ()
    words = [
        f"{word} {sum(count for _, count in columns):,} (in {', '.join(column for column, _ in columns)})"
        for word, columns in by_word.items()
    ]
    return (f"cells that mean nothing, read as blank: {'; '.join(words)}",)
