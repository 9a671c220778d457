"""What has been met on the way from rows to calls: every row is counted once."""

from collections import Counter
from dataclasses import dataclass, field

from pipeline import model


@dataclass(slots=True)
class Tally:
    """`rejects` are kept whole: they are what the reject file is made of. `calls` are those that go on to the ledger;
    `skipped` ones are calls, too."""

    read: int = 0
    joined: int = 0
    calls: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    rejects: dict[model.Place, tuple[model.Reason, ...]] = field(default_factory=dict)

    def reject(self, rejected: model.RejectedRow) -> None:
        """Note why a row is no call. One that was rejected before keeps what was said of it first."""
        self.rejects.setdefault(rejected.place, rejected.reasons)

    def skip(self, why: model.Skip, count: int) -> None:
        if count:
            self.skipped[why] += count
