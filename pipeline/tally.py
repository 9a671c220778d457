"""What has been met on the way from rows to calls: every row is counted once."""

from collections import Counter
from dataclasses import dataclass, field

import polars as pl

from pipeline import model
from pipeline.left_out import LeftOut


@dataclass(slots=True)
class Tally:
    """`rejects` are kept whole: they are what the reject file is made of. `calls` are those that go on to the ledger;
    `skipped` ones are calls, too, and so are `replaced` ones: rejected rows that were mended, and sent so, before."""

    read: int = 0
    joined: int = 0
    calls: int = 0
    replaced: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    rejects: dict[model.Place, tuple[model.Reason, ...]] = field(default_factory=dict)
    left_out: LeftOut = field(default_factory=LeftOut)

    def reject(self, rejected: model.RejectedRow) -> None:
        """Note why a row is no call. One that was rejected before keeps what was said of it first."""
        self.rejects.setdefault(rejected.place, rejected.reasons)

    def drop(self, kind: str, source: int, rows: pl.Series) -> None:
        """`rows` of a source (see `model.Place`) are no calls of a customer."""
        self.dropped[kind] += len(rows)
        self.left_out.note(kind, source, rows)

    def skip(self, why: model.Skip, source: int, rows: pl.Series) -> None:
        """The calls in `rows` of a source are not sent."""
        if len(rows):
            self.skipped[why] += len(rows)
            self.left_out.note(why, source, rows)

    def unskip(self, why: model.Skip, place: model.Place) -> None:
        """Something else became of a skipped call."""
        self.skipped -= Counter({str(why): 1})
        self.left_out.forget(why, place)
