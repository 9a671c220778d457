"""Make the plan of a run: decide on its calls partition by partition, compare them, add up, and let the guards judge.

Nothing is written and nothing is sent. What is kept between partitions lies in the stores that are given.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import polars as pl

from callimport.core import errors, mapping, models
from callimport.core.decisions import (
    CALLS,
    DECISIONS,
    DIGESTS,
    Decision,
    Entry,
    LedgerView,
    Plan,
    PlannedCalls,
    PlanSettings,
    Totals,
)
from callimport.plan import guards, look_alikes
from callimport.plan.decide import decide, digest_of, parked, rejects
from callimport.plan.look_alikes import BATCH_CALLS, Compared

_ROWS_AT_ONCE = 10_000
# A key is a hash in hexadecimal digits already. Many calls are entered in their order, so that the ledger's index of
# keys grows at its end.
_ORDER_OF_KEYS = pl.col("key").str.slice(3, 15).str.to_integer(base=16, strict=False).fill_null(0).cast(pl.UInt64) * 16
_OF_DECISION = [name for name in DECISIONS if name not in ("source", "row", "key")]


class Store(Protocol):
    """Rows of one schema, on disk where they are many. Rows with equal hashes come back in one partition."""

    def add(self, frame: pl.DataFrame, of: pl.Expr) -> None:
        """Add rows; `of` is their hash."""

    def read(self) -> Iterator[pl.DataFrame]:
        """The rows, one partition at a time; as often as wanted."""


@dataclass(slots=True)
class Planner:
    """A plan in the making. `by_key` and `by_phone` are empty stores. `compares`: calls of the batch may have to be
    compared with one another, as there are several systems, or calls that wait for a lead."""

    settings: PlanSettings
    by_key: Store
    by_phone: Store
    compares: bool
    _totals: Totals = field(default_factory=Totals)
    _carried: Counter[str] = field(default_factory=Counter)
    _rejects: list[models.RejectedRow] = field(default_factory=list)
    _leadless_rejects: list[models.RejectedRow] = field(default_factory=list)
    _found: list[pl.DataFrame] = field(default_factory=list)
    # Keys of calls of the files that tell of no change, though earlier runs have parked one.
    _left: set[str] = field(default_factory=set)

    def see(self, calls: pl.DataFrame, view: LedgerView) -> list[str]:
        """Decide on calls of the files (CALLS). Returns the keys of items that come along as they are: a call shows a
        part of such an item only, or is another call under its id."""
        decided = decide(calls, view, self.settings)
        self._totals += decided.totals
        both = calls.hstack(decided.decisions.select(_OF_DECISION))
        has_lead = pl.col("payload").is_not_null()
        self._rejects += rejects(both.filter(has_lead))
        self._leadless_rejects += rejects(both.filter(~has_lead))
        self.by_key.add(both, _ORDER_OF_KEYS)
        if self.compares:
            of_minute = pl.col("source").is_in(list(self.settings.of_minute))
            names = {number: source.name for number, source in enumerate(self.settings.batch.sources)}
            named = both.with_columns(
                pl.col("source").replace_strict(names, return_dtype=pl.String).alias("source_name"),
                of_minute.alias("is_of_minute"),
                pl.lit(False).alias("is_found"),
            )
            self._compare_later(named.filter(pl.col("payload").is_not_null()))
        decision, entry, status = pl.col("decision"), pl.col("entry"), pl.col("status")
        is_part = (decision == Decision.UNCHANGED) & (entry.is_null() | (entry == Entry.REOPEN))
        is_other_call = (decision == Decision.REJECT) & ~status.is_in(["waiting", "failed"])
        known = decided.decisions.join(view.items.select("key", "status", "next_facts"), on="key")
        has_story = (decision == Decision.UNCHANGED) & entry.is_null() & pl.col("next_facts").is_not_null()
        self._left |= set(known.filter(has_story).join(calls.filter(has_lead), on="key", how="semi")["key"])
        return known.filter(is_part | is_other_call)["key"].to_list()

    def find(self, calls: pl.DataFrame, places: pl.DataFrame, view: LedgerView) -> None:
        """Decide on calls of earlier files that have found a lead. `places` says where each was seen last, in the same
        order: source_name, source_row, is_of_minute."""
        decided = decide(calls, view, self.settings)
        found = calls.hstack(decided.decisions.select(_OF_DECISION))
        self._found.append(found)
        self._totals += replace(decided.totals, decisions=Counter(), digest=0)
        named = found.hstack(places).with_columns(pl.col("source_row").alias("row"), pl.lit(True).alias("is_found"))
        self._compare_later(named)

    def carry(self, items: pl.DataFrame) -> None:
        """Take along items that no call of today is (ITEMS)."""
        self._carried.update(dict(items["status"].value_counts().iter_rows()))
        self._totals += Totals(digest=digest_of(items.filter(pl.col("status").is_in(["pending", "failed"]))))

    def park(self, items: pl.DataFrame) -> None:
        """Take along updates that earlier runs have left (ITEMS)."""
        self._totals += parked(items, self.settings, self._left)

    def plan(self, rejected: pl.DataFrame) -> Plan:
        """The plan, once everything was seen. `rejected` are rows that may be calls that waited, see `within_batch`."""
        compared = self._compared(rejected)
        found = self._entered_found(compared)
        held = dict(compared.held.iter_rows())
        if held:
            self._hold(held)
        self._totals += Totals(digest=digest_of(found.filter(pl.col("decision") == Decision.CREATE)))
        stopped_by: errors.GuardStopped | None = None
        try:
            guards.judge(self._totals, compared, self.settings)
        except errors.GuardStopped as error:
            stopped_by = error
        return Plan(
            settings=self.settings,
            code=mapping.plan_code(self.settings.batch.id, self.settings.account_id, self._totals.digest),
            parts=_Parts(self.by_key, held),
            found=_split(found),
            totals=self._totals,
            carried=self._carried,
            rejects=tuple(self._rejects),
            leadless_rejects=tuple(self._leadless_rejects),
            stopped_by=stopped_by,
        )

    def _compare_later(self, calls: pl.DataFrame) -> None:
        is_held = pl.col("decision") != Decision.CREATE
        self.by_phone.add(
            calls.with_columns(is_held.alias("is_held")).select(list(BATCH_CALLS)), pl.col("phone").hash()
        )

    def _compared(self, rejected: pl.DataFrame) -> Compared:
        compared = Compared(pl.DataFrame(schema={"key": pl.String, "evidence": pl.String}))
        for calls in self.by_phone.read():
            compared += look_alikes.within_batch(calls.select(list(BATCH_CALLS)), rejected)
        return compared

    def _entered_found(self, compared: Compared) -> pl.DataFrame:
        """The calls that have found a lead, without those that wait on; the look-alikes among them are held."""
        nothing = pl.DataFrame(schema={**CALLS, **{name: DECISIONS[name] for name in _OF_DECISION}})
        found = pl.concat([nothing, *self._found]).filter(~pl.col("key").is_in(list(compared.waiting)))
        return _held(found, dict(compared.held.iter_rows()))

    def _hold(self, held: dict[str, str]) -> None:
        """What would be created is held: counts and code say so."""
        for part in self.by_key.read():
            moved = part.filter(pl.col("key").is_in(list(held)) & (pl.col("decision") == Decision.CREATE))
            counts = Counter({(str(Decision.CREATE), ""): -moved.height, (str(Decision.HOLD), ""): moved.height})
            counts.update(self._totals.decisions)
            self._totals = replace(
                self._totals, decisions=counts, digest=(self._totals.digest - digest_of(moved)) % DIGESTS
            )


@dataclass(frozen=True, slots=True)
class _Parts:
    """The calls of the files with the last word on each."""

    by_key: Store
    held: dict[str, str]

    def __iter__(self) -> Iterator[PlannedCalls]:
        for part in self.by_key.read():
            # Who writes them down makes copies of them.
            ordered = part.sort("key") if part.height > _ROWS_AT_ONCE else part
            for some in ordered.iter_slices(_ROWS_AT_ONCE):
                yield _split(_held(some, self.held))


def _held(calls: pl.DataFrame, held: dict[str, str]) -> pl.DataFrame:
    if not held:
        return calls
    evidence = pl.col("key").replace_strict(held, default=None, return_dtype=pl.String)
    is_held = (pl.col("decision") == Decision.CREATE) & evidence.is_not_null()
    return calls.with_columns(
        pl.when(is_held).then(pl.lit(str(Decision.HOLD))).otherwise("decision").alias("decision"),
        pl.when(is_held).then(evidence).otherwise("evidence").alias("evidence"),
    )


def _split(both: pl.DataFrame) -> PlannedCalls:
    return PlannedCalls(both.select(list(CALLS)), both.select(list(DECISIONS)))
