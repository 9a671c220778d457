"""Rows that are dropped and calls that are skipped: of each kind a count, and the first places for whoever wonders."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from pipeline import endings, model

EXAMPLES = 3


@dataclass(slots=True)
class LeftOut:
    """Gathers them, chunk by chunk; of each kind it remembers three places."""

    _counts: dict[str, int] = field(default_factory=dict)
    _first: dict[str, list[model.Place]] = field(default_factory=dict)

    def note(self, kind: str, source: int, rows: pl.Series) -> None:
        """`rows` are the physical rows of that kind in a chunk of the source of that number."""
        if len(rows):
            self._counts[kind] = self._counts.get(kind, 0) + len(rows)
            first = self._first.setdefault(kind, [])
            first += [model.Place(source, row) for row in rows.sort().head(EXAMPLES - len(first))]

    def forget(self, kind: str, place: model.Place) -> None:
        """One that was noted proved to be of another kind."""
        self._counts[kind] -= 1
        self._first[kind] = [one for one in self._first[kind] if one != place]
        if not self._counts[kind]:
            del self._counts[kind], self._first[kind]

    def counts(self) -> dict[str, int]:
        return dict(self._counts)

    def told(self, sources: Sequence[model.Source]) -> tuple[endings.LeftOut, ...]:
        """The most frequent first."""
        ordered = sorted(self._counts, key=lambda kind: (-self._counts[kind], kind))
        return tuple(
            endings.LeftOut(
                str(kind),
                self._counts[kind],
                tuple(f"{sources[place.source].name} row {place.row}" for place in self._first[kind]),
            )
            for kind in ordered
        )
