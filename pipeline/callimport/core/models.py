"""The values that travel between the parts: frozen, slotted, named, with their units."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import polars as pl

Key = TypeVar("Key")


class Direction(StrEnum):
    OUTGOING = "outgoing"
    INCOMING = "incoming"


class CallStatus(StrEnum):
    ANSWERED = "answered"
    ATTEMPTED = "attempted"
    INTERRUPTED = "interrupted"
    ERROR = "error"


class Skip(StrEnum):
    """Why a valid call is not sent, by policy."""

    ANONYMOUS = "anonymous"
    NO_LEAD = "no_lead"
    OWN_NUMBER = "own_number"
    EXCLUDED = "excluded"
    OUTSIDE_DATES = "outside_dates"
    EXISTING = "existing"
    WITHDRAWN = "withdrawn"
    GONE = "gone"


class ItemStatus(StrEnum):
    """Where an item stands on its way. The moves between them are the ledger's to allow."""

    WAITING = "waiting"
    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    IN_DOUBT = "in_doubt"
    HELD = "held"
    DELIVERED = "delivered"
    REFUSED = "refused"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, injected. `wall` gives aware UTC instants; `monotonic` gives seconds that never jump back."""

    wall: Callable[[], datetime]
    monotonic: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read, known by its content. `modified_ns` and `size` tell whether it is still being written."""

    path: Path
    sha256: str
    size: int
    modified_ns: int

    @property
    def name(self) -> str:
        # A name that is no text on this machine is still shown.
        return self.path.name.encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class Peek:
    """The first records of a file: the physical line each starts on, its cells as read. `is_typed` (Parquet): the first
    one is the column names, at line 0, so that no question of a header is open. `told` says how the file was read."""

    records: tuple[tuple[int, tuple[str, ...]], ...]
    is_typed: bool
    told: str
    # Why the text may be no table of separated cells. It is told if no header is found; blank if nothing is wrong.
    why_no_table: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a file, by names that are unique and not blank, and the physical line that its rows begin on.

    `header` has the cells of the file's header (blank: it has none). A repeated header is recognised by them.
    `second_header` is the pattern of the cells in the line that may follow a header.
    """

    names: tuple[str, ...]
    first_row: int
    header: tuple[str, ...] = ()
    second_header: str | None = None


@dataclass(slots=True)
class Lines:
    """Count the lines of a text file by kind; every line is of one kind. For a sheet or a Parquet file, count its rows.

    `header` counts the lines of the first header, `repeated` the lines of later headers. `trailer` counts the lines
    with the marks that an old system writes behind the end (Ctrl-Z, NUL).
    """

    rows: int = 0
    blank: int = 0
    preamble: int = 0
    header: int = 0
    repeated: int = 0
    trailer: int = 0

    def __add__(self, other: "Lines") -> "Lines":
        return Lines(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def counts(self) -> dict[str, int]:
        """The number of lines of each kind, and `total`. `header` includes the repeated headers."""
        counts = {
            "rows": self.rows,
            "blank": self.blank,
            "preamble": self.preamble,
            "header": self.header + self.repeated,
            "trailer": self.trailer,
        }
        return {"total": sum(counts.values()), **counts}


@dataclass(frozen=True, slots=True)
class Chunk:
    """A slice of a source, for memory only. `frame` holds its columns as text, cells as they were (null where Parquet
    has null), plus `_row` (Int64, from 1: the physical line a row of text starts on, the row of a sheet or of a Parquet
    file) and `_ragged` (text, null for a sound row: what is wrong with the number of cells)."""

    source: Source
    frame: pl.DataFrame


class Place(NamedTuple):
    """Where a row lies: `source` counts the sources of the batch from 0, `row` is the physical row."""

    source: int
    row: int


@dataclass(frozen=True, slots=True)
class Reason:
    """One fault of one row. `rule` is a stable word to count by; `message` says what is wrong and what is right."""

    rule: str
    message: str


class Call(NamedTuple):
    """One valid call; a tuple, as there are millions of them. `started_at` is aware UTC, in whole seconds; `legs` are
    the sorted ids of the rows it was joined from, one a line."""

    place: Place
    system: str
    call_id: str | None
    lead_id: int
    direction: Direction
    status: CallStatus
    started_at: datetime
    duration_seconds: int
    customer_phone: str
    executed_by: int | None
    description: str | None
    recording: str | None
    legs: str | None = None


@dataclass(frozen=True, slots=True)
class Communication:
    """The payload of POST /communications. `executed_at` is ISO 8601 with an explicit offset."""

    lead_id: int
    method: str
    type: str
    executed_at: str
    executed_by: int | None
    description: str | None
    call_status: str
    call_duration: int
    call_phone: str


@dataclass(frozen=True, slots=True)
class Echo:
    """What the CRM answered to a create: the new communication as it keeps it."""

    communication_id: int
    body: dict[str, object]
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A call on its way, as the ledger hands it to a worker."""

    key: str
    reference: str
    lead_id: int
    communication: Communication


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` requests in any `seconds`."""

    limit: int
    seconds: float

    def __str__(self) -> str:
        unit = {1.0: "s", 60.0: "min", 3600.0: "h"}.get(self.seconds, f"{self.seconds:g}s")
        return f"{self.limit}/{unit}"


@dataclass(frozen=True, slots=True)
class Account:
    """Whose CRM it is."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class User:
    """One of an account's active users. `name` is first and last name; "" is what the CRM does not say."""

    id: int
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Lead:
    """A lead as the CRM or a leads file describes it. `created_at` is aware, `status` "" where there is none; `numbers`
    are as written there, `account_id` is None where that is not said."""

    id: int
    created_at: datetime | None = None
    status: str = ""
    numbers: tuple[str, ...] = ()
    account_id: int | None = None


@dataclass(frozen=True, slots=True)
class LeadPage:
    """Some leads of a list. `total` are those of the whole list, None where the CRM does not say; `pages` its pages."""

    leads: tuple[Lead, ...]
    total: int | None
    pages: int


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that will not be sent, with every fault found in it at once."""

    place: Place
    reasons: tuple[Reason, ...]


class Nameless(NamedTuple, Generic[Key]):
    """A call of which no source names a recording; `started_at` in Unix seconds, `legs` the ids of its
    rows, one a line."""

    key: Key
    call_id: str | None
    direction: str
    phone: str
    started_at: int
    legs: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Sources × settings: what one plan covers. `settings` is what shapes its calls, by name, for people to read."""

    id: str
    sources: tuple[Source, ...]
    settings: dict[str, str]
    settings_fingerprint: str


@dataclass(frozen=True, slots=True)
class Listed:
    """An item as it is shown to a person: where it came from, where it stands, and why."""

    reference: str
    source: str
    row: int
    status: ItemStatus
    lead_id: int
    direction: Direction
    phone: str
    started_at: datetime
    communication_id: int | None
    reason: str | None
    was_sent: bool


@dataclass(frozen=True, slots=True)
class Update:
    """A delivered call of which its source tells another story now. `sent` is the story that the CRM was last told,
    `story` the new one, known by its `facts`. `kept` is what the CRM last said that it keeps, by field; `unanswered`
    holds the fields of each update since of which no answer told whether it was made, the last of them begun at
    `unanswered_at`. `listed` shows it to a person."""

    key: str
    reference: str
    communication_id: int
    sent: Communication
    story: Communication
    facts: str
    kept: dict[str, object]
    unanswered: tuple[dict[str, object], ...]
    unanswered_at: datetime | None
    listed: Listed


@dataclass(frozen=True, slots=True)
class Waiting:
    """A batch with pending items that this run does not send."""

    batch: str
    pending: int
    settings: dict[str, str]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a delivery is. `to_do` counts what it set out to send, `reads_left` the leads still to be read first;
    rates are requests a minute."""

    to_do: int
    delivered: int
    refused: int
    failed: int
    in_doubt: int
    elapsed_seconds: float
    achieved_per_minute: float
    allowed_per_minute: float
    requests: int
    rate_limited: int
    paused_seconds: float = 0.0
    reads_left: int = 0

    @property
    def done(self) -> int:
        return self.delivered + self.refused + self.failed + self.in_doubt

    @property
    def eta_seconds(self) -> float:
        return self.paused_seconds + (self.to_do - self.done + self.reads_left) * 60 / self.allowed_per_minute


@dataclass(frozen=True, slots=True)
class Stored:
    """A communication as the CRM shows it on a lead. `method` and `type` are empty if it does not say; `executed_at`
    and `created_at` are aware, None if unreadable."""

    id: int
    method: str
    type: str
    executed_at: datetime | None
    created_at: datetime | None
    description: str
    body: dict[str, object]


@dataclass(frozen=True, slots=True)
class ShownPage:
    """Some leads of a list, by id, with the communications of each, None where these are not shown. `total` are the
    leads of the whole list, None where the CRM does not say; `pages` its pages."""

    leads: tuple[tuple[int, tuple[Stored, ...] | None], ...]
    total: int | None
    pages: int


@dataclass(frozen=True, slots=True)
class Doubt:
    """An item that may or may not be stored. `intended_at` is when the first of the attempts that came into doubt was
    about to leave: each of them may have stored it, under an id above `id_floor`. `since` is in monotonic seconds of
    this process: when its attempt ended, or, for one of an earlier run, when this process took the ledger."""

    key: str
    reference: str
    communication: Communication
    intended_at: datetime
    id_floor: int
    since: float
    applied: bool
    times_absent: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is concluded of a doubt: `found` with the communication it is, `absent`, or `held` for a person."""

    kind: str
    evidence: str
    found: Stored | None = None
