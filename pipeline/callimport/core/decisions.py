"""What the plan is made of, for the rooms that make it, write it down and tell of it.

A plan decides on every call. Tables of calls travel as polars frames; their columns are listed here.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import polars as pl

from callimport.core import errors, models


class Decision(StrEnum):
    """What becomes of a call.

    create, update   send it, or what changed
    unchanged        the CRM has it, or the row shows only a part of it: nothing to do
    keep             its item stays as it is, and the call counts under the item's status
    skip, reject     never sent: by a rule or a person, or because the row is wrong
    hold             a person decides
    wait             it has no lead yet
    """

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    KEEP = "keep"
    SKIP = "skip"
    HOLD = "hold"
    REJECT = "reject"
    WAIT = "wait"


class Entry(StrEnum):
    """How the ledger takes in a decision.

    insert   a new item
    replace  the item takes over everything that is said of the call now
    reopen   the item is pending again, as it was entered
    park     the new facts are kept beside the item; with evidence, as a held update
    unpark   drop the facts that were parked beside the item; where an update may have arrived, park its own facts
    """

    INSERT = "insert"
    REPLACE = "replace"
    REOPEN = "reopen"
    PARK = "park"
    UNPARK = "unpark"


Columns = dict[str, pl.DataType | type[pl.DataType]]

# A call with lead and agent, as `resolve` hands it over. `call_id` is null where it is no identity. `started_at` is in
# Unix seconds. `description` is without the reference. `lead_id` and `payload` (the communication as JSON text) are
# null where no lead is known; then `staged` has the staged call as JSON text. `marks` are the fingerprints of the
# rejected rows that the call was mended from.
CALLS: Columns = {
    "source": pl.Int64,
    "row": pl.Int64,
    "key": pl.String,
    "reference": pl.String,
    "system": pl.String,
    "call_id": pl.String,
    "lead_id": pl.Int64,
    "direction": pl.String,
    "phone": pl.String,
    "started_at": pl.Int64,
    "duration_seconds": pl.Int64,
    "description": pl.String,
    "recording": pl.String,
    "legs": pl.String,
    "facts": pl.String,
    "payload": pl.String,
    "staged": pl.String,
    "marks": pl.List(pl.String),
}

# An item, as the ledger shows it to the plan. `plan` is the code of the approved plan that it is bound to. What is
# parked beside it begins with `next_`. `is_damaged`: it does not fit its checksum, so nothing may be done with it.
# `unanswered` lists the fields of each update that may have been made, as JSON text (null: there is none).
# `held_facts` are those of its held update, `retried` and `withdrawn` the facts that a person decided on. `recordings`
# are the names that its recording has or had; `uploaded` is the name of the one that the CRM has (null: the CRM has
# none, "": it has no name), `next_recording` the name that is parked.
ITEMS: Columns = {
    "key": pl.String,
    "reference": pl.String,
    "status": pl.String,
    "batch_id": pl.String,
    "plan": pl.String,
    "source_name": pl.String,
    "source_sha256": pl.String,
    "source_row": pl.Int64,
    "lead_id": pl.Int64,
    "direction": pl.String,
    "phone": pl.String,
    "started_at": pl.Int64,
    "facts": pl.String,
    "payload": pl.String,
    "staged": pl.String,
    "legs": pl.String,
    "next_facts": pl.String,
    "next_payload": pl.String,
    "next_batch_id": pl.String,
    "existing_id": pl.Int64,
    "update_refused": pl.String,
    "is_damaged": pl.Boolean,
    "unanswered": pl.String,
    "held_facts": pl.String,
    "retried": pl.List(pl.String),
    "withdrawn": pl.List(pl.String),
    "recordings": pl.List(pl.String),
    "uploaded": pl.String,
    "next_recording": pl.String,
}

# Items near new calls: same phone and direction, within 26 hours. `is_of_minute`: no start of its file has seconds.
NEIGHBOURS: Columns = {
    "key": pl.String,
    "reference": pl.String,
    "batch_id": pl.String,
    "source_name": pl.String,
    "source_row": pl.Int64,
    "system": pl.String,
    "status": pl.String,
    "existing_id": pl.Int64,
    "direction": pl.String,
    "phone": pl.String,
    "started_at": pl.Int64,
    "is_of_minute": pl.Boolean,
}

# Rejected rows that were mended before, by their mark: the call that each has become. `may_be_sent`: the CRM may have
# that call, or will get it.
SETTLED: Columns = {"mark": pl.String, "key": pl.String, "reference": pl.String, "may_be_sent": pl.Boolean}

# What the plan says of each call. `why` is the reason of a skip, the status of an item that is kept, the message of a
# reject, or "update_refused" (the CRM refused these facts before); otherwise "". `evidence` says why a call or update
# is held. `is_new`: the ledger sees the call with a lead for the first time.
DECISIONS: Columns = {
    "source": pl.Int64,
    "row": pl.Int64,
    "key": pl.String,
    "decision": pl.String,
    "entry": pl.String,
    "why": pl.String,
    "evidence": pl.String,
    "is_new": pl.Boolean,
}


@dataclass(frozen=True, slots=True)
class LedgerView:
    """What the ledger knows that matters for one partition of calls."""

    items: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ITEMS))
    neighbours: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=NEIGHBOURS))
    settled: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SETTLED))


def updates_as_text(on_change: str, *, overwrite: bool) -> str:
    """The options that say how a run treats changed calls."""
    return f"--on-change {on_change}{' --overwrite' if overwrite else ''}"


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """What a plan depends on besides the calls and the ledger. `now` is when the run began.

    `of_minute` are the numbers of the sources that state no seconds. `plan` is the code that is to be carried out.
    `shapes` are fingerprints of the settings that make a call what it is, by source; a waiting call is taken up only by
    runs with the same one. `only_recordings`: nothing but recordings is sent. `keeps_waiting`: calls without a lead
    wait for one; `asks_crm`: the CRM was asked for it.
    """

    batch: models.Batch
    account_id: int
    now: datetime
    of_minute: frozenset[int] = frozenset()
    on_change: str = "update"
    overwrite: bool = False
    only_recordings: bool = False
    allow_updates: int | None = None
    shapes: Mapping[int, str] = field(default_factory=dict)
    keeps_waiting: bool = False
    asks_crm: bool = False
    plan: str | None = None

    def source_name(self, source: int) -> str:
        return self.batch.sources[source].name


# The first of several examples, whatever order they come in: a key to sort by, and the text.
Example = tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Totals:
    """What the decisions on some calls add up to. Totals of partitions are added.

    `decisions` counts by decision and `why`. `new` calls have a lead and are unknown to the ledger; `alike` of them
    resemble a known call. `known` calls were delivered before; `changed` of them would be changed in the CRM, in these
    `fields`; `held_updates` are held instead. `parked` calls have other facts than their items; held ones are left out.
    Of the `changed`, earlier runs have parked `left_seen`, and today's files show the calls without telling of changes.
    Earlier runs have also parked `left_empty` stories that change nothing in the CRM, of calls that no file shows.
    `recordings_replaced` counts the calls whose recording in the CRM would be replaced by one of another name.
    `shifts_of_new` counts the new calls that lie beside known ones at one offset (in seconds), `batches_at` the pending
    ones among those, by offset and batch; `shifts_of_known` counts the known calls that begin at another time now.
    `digest` is the sum over the creates and updates, for the plan's code.
    """

    decisions: Counter[tuple[str, str]] = field(default_factory=Counter)
    new: int = 0
    alike: int = 0
    known: int = 0
    parked: int = 0
    changed: int = 0
    held_updates: int = 0
    left_seen: int = 0
    left_empty: int = 0
    recordings_replaced: int = 0
    fields: Counter[str] = field(default_factory=Counter)
    shifts_of_new: Counter[int] = field(default_factory=Counter)
    shifts_of_known: Counter[int] = field(default_factory=Counter)
    batches_at: Counter[tuple[int, str]] = field(default_factory=Counter)
    change_example: Example = None
    held_example: Example = None
    digest: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            decisions=self.decisions + other.decisions,
            new=self.new + other.new,
            alike=self.alike + other.alike,
            known=self.known + other.known,
            parked=self.parked + other.parked,
            changed=self.changed + other.changed,
            held_updates=self.held_updates + other.held_updates,
            left_seen=self.left_seen + other.left_seen,
            left_empty=self.left_empty + other.left_empty,
            recordings_replaced=self.recordings_replaced + other.recordings_replaced,
            fields=self.fields + other.fields,
            shifts_of_new=self.shifts_of_new + other.shifts_of_new,
            shifts_of_known=self.shifts_of_known + other.shifts_of_known,
            batches_at=self.batches_at + other.batches_at,
            change_example=_first(self.change_example, other.change_example),
            held_example=_first(self.held_example, other.held_example),
            digest=(self.digest + other.digest) % DIGESTS,
        )

    def count(self, *decisions: Decision, why: str | None = None) -> int:
        """How many calls got one of these decisions."""
        return sum(
            count
            for (decision, reason), count in self.decisions.items()
            if decision in decisions and why in (None, reason)
        )


# Digests are added modulo this, so that the order of the calls does not matter.
DIGESTS = 1 << 128


def _first(one: Example, other: Example) -> Example:
    return min((example for example in (one, other) if example is not None), default=None)


@dataclass(frozen=True, slots=True)
class PlannedCalls:
    """Some calls (CALLS) and the decisions on them (DECISIONS), in the same order."""

    calls: pl.DataFrame
    decisions: pl.DataFrame


NO_CALLS = PlannedCalls(pl.DataFrame(schema=CALLS), pl.DataFrame(schema=DECISIONS))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do. Nothing of it is written or sent yet.

    `parts` are the calls of the files, partition by partition; they can be gone through several times. `found` are
    calls of earlier files that have found a lead. `totals` are of the calls of the files. `carried` counts the items
    that come along, by status. `rejects` are rows with a lead that cannot be calls after all, `leadless_rejects` those
    without. A guard that stops the plan is `stopped_by`; such a plan is never entered. `is_bound`: the plan was
    approved, so its items belong to it.
    """

    settings: PlanSettings
    code: str
    parts: Iterable[PlannedCalls]
    found: PlannedCalls = NO_CALLS
    totals: Totals = field(default_factory=Totals)
    carried: Counter[str] = field(default_factory=Counter)
    rejects: tuple[models.RejectedRow, ...] = ()
    leadless_rejects: tuple[models.RejectedRow, ...] = ()
    stopped_by: errors.GuardStopped | None = None
    is_bound: bool = False

    def decided(self) -> Iterator[pl.DataFrame]:
        """Yield the calls of the files with the decision on each, partition by partition; then the found ones."""
        for part in itertools.chain(self.parts, (self.found,)):
            yield part.calls.hstack(part.decisions.select("decision", "entry", "why", "evidence"))


@dataclass(frozen=True, slots=True)
class Entered:
    """What the calls of a run came to when its plan was written down.

    `unchanged` calls were known; `changed` of them have other facts now. A person gave up `withdrawn` and `gone` ones;
    `existing` ones are in the CRM already. `carried` are items that came along. `rejects` are rows that cannot be calls
    after all.
    """

    unchanged: int = 0
    changed: int = 0
    withdrawn: int = 0
    existing: int = 0
    gone: int = 0
    carried: int = 0
    rejects: tuple[models.RejectedRow, ...] = ()

    @classmethod
    def by(cls, plan: Plan) -> "Entered":
        """What the plan says of them."""
        totals = plan.totals
        return cls(
            unchanged=totals.count(Decision.UNCHANGED, Decision.UPDATE) + totals.held_updates,
            changed=totals.parked,
            withdrawn=totals.count(Decision.SKIP, why=models.Skip.WITHDRAWN),
            existing=totals.count(Decision.SKIP, why=models.Skip.EXISTING),
            gone=totals.count(Decision.SKIP, why=models.Skip.GONE),
            rejects=plan.rejects,
        )
