"""What a run came to: the endings of its rows and calls, and all that is told of them."""

from dataclasses import dataclass, field

from pipeline import model


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
class Result:
    """Everything that is told of a run, a dry run or a check. The JSON answer is made of `summary` alone."""

    summary: Summary
    findings: tuple[Finding, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    in_doubt: tuple[model.Listed, ...] = ()
    held: tuple[model.Listed, ...] = ()
    refused: tuple[model.Listed, ...] = ()
    failed: tuple[model.Listed, ...] = ()
    waiting: tuple[model.Waiting, ...] = ()
    told: tuple[str, ...] = ()
    kept_otherwise: dict[str, int] = field(default_factory=dict)
    destination: str | None = None
    ledger: str | None = None
    rejects: str | None = None
    plan: str | None = None
    error: str | None = None
