"""What a run came to: the endings of its rows and calls, and all that is told of them."""

from collections import Counter
from dataclasses import dataclass, field

from callimport.core import models


@dataclass(frozen=True, slots=True)
class Rows:
    """Endings of the physical rows of a run."""

    read: int = 0
    joined: int = 0
    dropped: int = 0
    rejected: int = 0
    calls: int = 0

    def adds_up(self) -> bool:
        return self.read == self.joined + self.dropped + self.rejected + self.calls


@dataclass(frozen=True, slots=True)
class Calls:
    """Endings of the calls of a run. `carried` are pending items of an earlier batch that this run took along."""

    total: int = 0
    carried: int = 0
    duplicate: int = 0
    skipped: int = 0
    unchanged: int = 0
    delivered: int = 0
    updated: int = 0
    adopted: int = 0
    refused: int = 0
    failed: int = 0
    in_doubt: int = 0
    held: int = 0
    pending: int = 0

    def adds_up(self, rows: Rows) -> bool:
        endings = (
            self.duplicate, self.skipped, self.unchanged, self.delivered, self.updated, self.adopted,
            self.refused, self.failed, self.in_doubt, self.held, self.pending,
        )  # fmt: skip
        return self.total == rows.calls + self.carried == sum(endings)


@dataclass(frozen=True, slots=True)
class Recordings:
    """What became of recordings. Uploaded, refused and failed were so by this run; missing ones are named and have no
    file, pending ones are still to be uploaded."""

    uploaded: int = 0
    refused: int = 0
    failed: int = 0
    missing: int = 0
    pending: int = 0


NO_RECORDINGS = Recordings()


@dataclass(frozen=True, slots=True)
class Updates:
    """What became of the known calls whose source tells another story now. `known` of them are of this run's rows,
    `carried` are left from earlier ones; `late_troubles` counts refused and failed updates of calls that came out of
    doubt in this very run and count as delivered. Where changes are not sent, `waiting` counts what is known and not
    told, and `changed` lists it with the fields."""

    known: int = 0
    carried: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    failed: int = 0
    gone: int = 0
    late_troubles: int = 0
    waiting: int = 0
    left: tuple[models.Listed, ...] = ()
    refused_ones: tuple[models.Listed, ...] = ()
    failed_ones: tuple[models.Listed, ...] = ()
    changed: tuple[models.Listed, ...] = ()
    kept_otherwise: dict[str, int] = field(default_factory=dict)

    @property
    def pending(self) -> int:
        ended = self.updated + self.unchanged + self.refused + self.failed + self.gone
        return self.known + self.carried - ended


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the calls of a run stand: by its plan before it is entered, by the ledger from then on.

    `items` counts the items of the run by status; one with a held update counts as held. `adopted` of the delivered
    ones were in the CRM before. `held_known` counts the known calls of the files that are no items of the run and whose
    update is held. The lists have the oldest call first. `pilot` are the only calls that the run may send, if a few
    were chosen. `waiting` are other batches that have pending calls. `damaged` tells of damaged calls that were met.
    """

    items: Counter[models.ItemStatus] = field(default_factory=Counter)
    adopted: int = 0
    held_known: int = 0
    in_doubt: tuple[models.Listed, ...] = ()
    held: tuple[models.Listed, ...] = ()
    refused: tuple[models.Listed, ...] = ()
    failed: tuple[models.Listed, ...] = ()
    existing: tuple[models.Listed, ...] = ()
    pilot: tuple[models.Listed, ...] = ()
    waiting: tuple[models.Waiting, ...] = ()
    kept_otherwise: Counter[str] = field(default_factory=Counter)
    damaged: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run, a dry run or a check came to. The JSON answer is made of this and nothing else."""

    run_id: str | None
    batch: str
    exit_code: int
    elapsed_seconds: float
    requests: int
    rate_limited: int
    rows: Rows
    calls: Calls
    dropped: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    changed: int = 0
    known_rejects: int = 0
    recordings: Recordings = NO_RECORDINGS
    lines: dict[str, int] = field(default_factory=lambda: models.Lines().counts())


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that rows broke: how many, and the first few of them as `file row`, with what was said of the first."""

    rule: str
    count: int
    message: str
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One kind of dropped rows or skipped calls: how many, and the first few of them as `file row`."""

    kind: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unattached:
    """A recording that did not get to its call: the call's reference, the file, and why."""

    ending: str
    reference: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class AudioFolder:
    """What a check found in the recordings folder. `matched` files are of a call and fit to be sent, with `bytes` in
    all; `missing` are named and not there; `orphan` files are no call's; `unfit` counts files of calls by what is wrong
    with them, with the first few of them."""

    matched: int
    bytes: int
    missing: int
    orphan: int
    unfit: dict[str, int]
    seconds: float
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that is told of a run, a dry run or a check. The JSON answer is made of `summary` alone."""

    summary: Summary
    findings: tuple[Finding, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    in_doubt: tuple[models.Listed, ...] = ()
    held: tuple[models.Listed, ...] = ()
    refused: tuple[models.Listed, ...] = ()
    failed: tuple[models.Listed, ...] = ()
    existing: tuple[models.Listed, ...] = ()
    pilot: tuple[models.Listed, ...] = ()
    updates: Updates = field(default_factory=Updates)
    waiting: tuple[models.Waiting, ...] = ()
    told: tuple[str, ...] = ()
    kept_otherwise: dict[str, int] = field(default_factory=dict)
    unattached: tuple[Unattached, ...] = ()
    audio: AudioFolder | None = None
    destination: str | None = None
    ledger: str | None = None
    rejects: str | None = None
    plan: str | None = None
    error: str | None = None
