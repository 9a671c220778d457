"""The ledger as it would be once a plan is entered. A dry run and the checks before the first call read it.

Nothing is written to the ledger. The plan stays in memory; temporary tables say which items belong to the run.
"""

import bisect
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from callimport.core import models, normal_form
from callimport.core.decisions import Columns, Decision, Entry, Plan
from callimport.core.endings import Standing
from callimport.core.models import ItemStatus
from callimport.ledger import checksum, damage, entry, held_updates, known_calls, queries
from callimport.ledger.items import LEFT_IN_FLIGHT, Ledger

# The payloads of so many leads are read from the plan at once.
LEADS_AT_ONCE = 500
_TO_SEND: Columns = {"key": pl.String, "lead_id": pl.Int64, "started_at": pl.Int64}
_ENTERED: Columns = {**_TO_SEND, "reference": pl.String, "entry": pl.String, "status": pl.String}
_STATUS = {Decision.CREATE: ItemStatus.PENDING, Decision.HOLD: ItemStatus.HELD, Decision.WAIT: ItemStatus.WAITING}
_IS_ENTERED = pl.col("entry").is_in([Entry.INSERT, Entry.REPLACE]).fill_null(False)
_MEMBERS = "temp.member JOIN item ON item.rowid = member.item"
# A failed item comes along only to be tried again.
_IS_TO_SEND = "(item.status = 'pending' OR item.status = 'failed' AND carried = 1)"


class PlannedLedger(Ledger):
    """A ledger and the plan of a run. `entered` are the items that the plan would write, `carried` is how many would
    come along. `held_updates` has the evidence of each held update by the key of its call (None: the ledger has it),
    `refused_updates` the keys of calls whose update the CRM has refused before."""

    def __init__(self, ledger: Ledger, clock: models.Clock, plan: Plan) -> None:
        """A plan without sources goes on with its batch: everything of it that has not ended comes along."""
        super().__init__(ledger.database, clock)
        self.plan = plan
        # What was concluded of calls before the first one goes: where each stands now, and why.
        self._moved: dict[str, tuple[ItemStatus, str | None]] = {}
        self._taken: set[int] = set()
        self._held_now: list[tuple[str, models.Listed]] = []
        self._items: dict[str, models.Item] = {}
        self._read_leads: frozenset[int] = frozenset()
        self.held_updates: dict[str, str | None] = {}
        self.refused_updates: list[str] = []
        in_flight = ledger.left_in_flight()
        if plan.settings.batch.sources:
            entry.begin(self.database)
            self.entered = pl.concat([pl.DataFrame(schema=_ENTERED), *self._noted_parts()])
            entry.join_carried(self.database, plan.settings)
            entry.join(self.database, in_flight, carried=True)
        else:
            self.entered = pl.DataFrame(schema=_ENTERED)
            entry.take_along(self.database, plan.settings.batch.id, plan.settings.plan, in_flight)
        self.carried = plan.found.calls.height + int(
            self.database.one("SELECT count(*) FROM temp.member WHERE carried = 1")
        )

    # What the plan says

    def _noted_parts(self) -> Iterator[pl.DataFrame]:
        """Yield the items that would be entered, part by part, and note what else the plan says of calls."""
        for calls in self.plan.decided():
            decision = pl.col("decision")
            entry.join(self.database, calls.filter(entry.IS_OF_RUN & ~_IS_ENTERED)["key"].to_list())
            self._note_told(calls.filter(pl.col("source") >= 0))
            self._held_now += self._listed(calls.filter(_IS_ENTERED & (decision == Decision.HOLD)))
            beside = calls.filter(~_IS_ENTERED & (decision == Decision.HOLD))
            self.held_updates.update(beside.select("key", "evidence").iter_rows())
            self.refused_updates += calls.filter(pl.col("why") == "update_refused")["key"].to_list()
            status = decision.replace_strict(_STATUS, default=None, return_dtype=pl.String)
            yield calls.filter(_IS_ENTERED).with_columns(status.alias("status")).select(list(_ENTERED))

    def _note_told(self, calls: pl.DataFrame) -> None:
        """What the files tell of known calls."""
        names = dict(enumerate(source.name for source in self.plan.settings.batch.sources))
        told = calls.filter(entry.IS_TOLD & (pl.col("entry") != Entry.INSERT).fill_null(True)).select(
            "key", pl.col("source").replace_strict(names, return_dtype=pl.String), "row", "recording",
            (~entry.IS_OF_RUN).cast(pl.Int64),
        )  # fmt: skip
        self.database.execute_many("INSERT INTO temp.told VALUES (?, ?, ?, ?, ?)", told.iter_rows())

    def _listed(self, held: pl.DataFrame) -> Iterator[tuple[str, models.Listed]]:
        for row in held.iter_rows(named=True):
            source, number = self._place(row)
            yield (
                row["key"],
                models.Listed(
                    reference=row["reference"],
                    source=source,
                    row=number,
                    status=ItemStatus.HELD,
                    lead_id=row["lead_id"],
                    direction=models.Direction(row["direction"]),
                    phone=row["phone"],
                    started_at=datetime.fromtimestamp(row["started_at"], UTC),
                    communication_id=None,
                    reason=row["evidence"],
                    was_sent=False,
                ),
            )

    def _place(self, row: dict[str, Any]) -> tuple[str, int]:
        """A call that has found its lead is in no file of today."""
        if row["source"] >= 0:
            return self.plan.settings.source_name(row["source"]), row["row"]
        ((source, number),) = self.database.rows(
            "SELECT name, source_row FROM item JOIN source ON sha256 = source_sha256 WHERE key = ?", (row["key"],)
        )
        return source, number

    # What is to be sent

    def is_unmarked(self, batch_id: str) -> bool:
        return self.plan.settings.batch.settings.get("reference") == "no"

    def pending_count(self, batch_id: str) -> int:
        return self._to_send().height

    def pending_leads(self, batch_id: str, places: Sequence[int]) -> list[int]:
        return self._to_send().sort("started_at", "key")["lead_id"].gather(list(places)).to_list()

    def leads_to_send_to(self, batch_id: str) -> set[int]:
        return set(self._to_send()["lead_id"].unique())

    def leads_to_adopt_from(self, batch_id: str) -> list[int]:
        held = self.entered.filter(pl.col("status") == ItemStatus.HELD).select(list(_TO_SEND))
        never_sent = "item.status = 'held' AND NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.key = item.key)"
        both = pl.concat([self._to_send(), held, self._of_members(never_sent)])
        by_lead = both.group_by("lead_id").agg(pl.col("started_at").min()).sort("started_at", "lead_id")
        return by_lead["lead_id"].to_list()

    def pending_of_lead(self, batch_id: str, lead_id: int) -> list[models.Item]:
        if lead_id not in self._read_leads:
            self._read_leads_from(lead_id)
        found = [one for key, one in self._items.items() if one.lead_id == lead_id and key not in self._moved]
        return sorted(found, key=lambda one: (datetime.fromisoformat(one.communication.executed_at), one.key))

    def _to_send(self) -> pl.DataFrame:
        new = self.entered.filter(pl.col("status") == ItemStatus.PENDING).select(list(_TO_SEND))
        both = pl.concat([new, self._of_members(_IS_TO_SEND)])
        return both.filter(~pl.col("key").is_in(list(self._moved))) if self._moved else both

    def _of_members(self, which: str) -> pl.DataFrame:
        rows = self.database.stream(f"SELECT key, lead_id, started_at FROM {_MEMBERS} WHERE {which}")
        return pl.concat(
            [pl.DataFrame(schema=_TO_SEND), *(known_calls.frame(one, _TO_SEND) for one in known_calls.chunks(rows))]
        )

    def _read_leads_from(self, lead_id: int) -> None:
        """Read what would be sent to this lead and to the next ones, in one go through the plan."""
        leads = sorted(self.leads_to_send_to(""))
        first = bisect.bisect_left(leads, lead_id)
        wanted = {lead_id, *leads[first : first + LEADS_AT_ONCE]}
        self._read_leads = frozenset(wanted)
        self._items = {item.key: item for item in self._planned_items(pl.col("lead_id").is_in(list(wanted)))}
        members = self.database.rows(
            f"SELECT key, reference, lead_id, payload FROM {_MEMBERS} WHERE {_IS_TO_SEND} AND {checksum.is_sound()} "
            "AND lead_id IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted(wanted)),),
        )
        self._items |= {row[0]: _item(row) for row in members}

    def _planned_items(self, which: pl.Expr) -> Iterator[models.Item]:
        for calls in self.plan.decided():
            is_new = _IS_ENTERED & (pl.col("decision") == Decision.CREATE)
            yield from map(
                _item, calls.filter(is_new & which).select("key", "reference", "lead_id", "payload").iter_rows()
            )

    # What is concluded before the first call goes

    def unsent(self, reference: str) -> str | None:
        status = [ItemStatus.PENDING, ItemStatus.HELD]
        ours = self.entered.filter((pl.col("reference") == reference) & pl.col("status").is_in(status))["key"]
        key = ours[0] if len(ours) else super().unsent(reference)
        return None if key is not None and self.concluded(key) is ItemStatus.DELIVERED else key

    def knows(self, reference: str) -> bool:
        return super().knows(reference) or reference in self.entered["reference"]

    def taken(self, communication_ids: Set[int]) -> set[int]:
        return super().taken(communication_ids) | (self._taken & communication_ids)

    def hold(self, key: str, evidence: str) -> None:
        self._moved[key] = ItemStatus.HELD, evidence

    def adopt(self, key: str, stored: models.Stored, evidence: str) -> None:
        planned = self._items.get(key) or next(self._planned_items(pl.col("key") == key), None)
        kept = normal_form.differences(planned.communication, stored.body) if planned else ()
        self._moved[key] = ItemStatus.DELIVERED, "; ".join(kept) or None
        self._taken.add(stored.id)

    def acknowledge_others(self) -> None:
        """Nothing would come of it before the run."""

    # What is told

    def standing(self, batch_id: str, *, is_pilot: bool = False) -> Standing:
        before = self._before_moves()
        adopted = [key for key in before if self._moved[key][0] is ItemStatus.DELIVERED]
        of_items = [one for one in held_updates.of_run(self.database) if one.is_of_run]
        items = Counter(queries.member_counts(self.database))
        items.update({ItemStatus(status): count for status, count in self.entered["status"].value_counts().iter_rows()})
        # A call without a lead is no item of the run.
        del items[ItemStatus.WAITING]
        again = int(self.database.one(f"SELECT count(*) FROM {_MEMBERS} WHERE status = 'failed' AND carried = 1"))
        items.update({ItemStatus.FAILED: -again, ItemStatus.PENDING: again})
        items.update({ItemStatus.DELIVERED: -len(of_items), ItemStatus.HELD: len(of_items)})
        items.subtract(before.values())
        items.update(self._moved[key][0] for key in before)
        held_now = [
            one
            for one in (*self._held_now, *self._newly_held(before))
            if self.concluded(one[0]) is not ItemStatus.DELIVERED
        ]
        return Standing(
            items=items,
            adopted=queries.adopted_members(self.database) + len(adopted),
            held_known=len(self.held_updates),
            in_doubt=_oldest_first([*self._members(ItemStatus.IN_DOUBT), *self._left_in_flight()]),
            held=(
                *_oldest_first([*self._members(ItemStatus.HELD), *held_now]),
                *_oldest_first([*((one.listed.reference, one.listed) for one in of_items), *self._held_updates()]),
            ),
            refused=_oldest_first(self._members(ItemStatus.REFUSED)),
            failed=_oldest_first(self._members(ItemStatus.FAILED)),
            waiting=tuple(queries.waiting(self.database, besides=batch_id, replaced=self.replaced)),
            kept_otherwise=Counter(queries.kept_otherwise(self.database))
            + Counter(why for key in adopted if (why := self._moved[key][1])),
            damaged=damage.told(self.database),
        )

    @property
    def replaced(self) -> list[str]:
        """Keys of the items that take over what the files say of them now."""
        return self.entered.filter(pl.col("entry") == Entry.REPLACE)["key"].to_list()

    def listed(self, keys: Iterable[str]) -> list[tuple[str, models.Listed]]:
        """Items as they stand in the ledger, by key, the oldest call first."""
        which = "item.key IN (SELECT value FROM json_each(?))"
        return queries.listed_with_keys(self.database, which, json.dumps(list(keys)))

    def concluded(self, key: str) -> ItemStatus | None:
        """Where a call stands after a conclusion. None if nothing was concluded of it."""
        return self._moved.get(key, (None, None))[0]

    def _before_moves(self) -> dict[str, ItemStatus]:
        """Where the moved calls of this run stood before, by key."""
        keys = list(self._moved)
        planned = self.entered.filter(pl.col("key").is_in(keys)).select("key", "status").iter_rows()
        known = self.database.rows(
            f"SELECT key, iif({_IS_TO_SEND}, 'pending', status) FROM {_MEMBERS} "
            "WHERE key IN (SELECT value FROM json_each(?))",
            (json.dumps(keys),),
        )
        return {key: ItemStatus(status) for key, status in (*known, *planned)}

    def _members(self, status: ItemStatus) -> list[tuple[str, models.Listed]]:
        """Items of the ledger that are of this run and stand so."""
        which = "item.rowid IN (SELECT item FROM temp.member) AND item.status = ?"
        is_again = "item.rowid NOT IN (SELECT item FROM temp.member WHERE carried = 1)"
        which += f" AND {is_again}" if status is ItemStatus.FAILED else ""
        found = queries.listed_with_keys(self.database, which, status.value)
        return [one for one in found if self.concluded(one[0]) is not ItemStatus.DELIVERED]

    def _newly_held(self, before: Iterable[str]) -> Iterator[tuple[str, models.Listed]]:
        """Calls that were held after a look at the CRM."""
        keys = [key for key in before if self.concluded(key) is ItemStatus.HELD]
        planned = [self._listed(calls.filter(pl.col("key").is_in(keys))) for calls in self.plan.decided() if keys]
        for key, one in dict([*self.listed(keys), *itertools.chain(*planned)]).items():
            yield key, replace(one, status=ItemStatus.HELD, reason=self._moved[key][1])

    def _left_in_flight(self) -> Iterator[tuple[str, models.Listed]]:
        """Calls that an earlier run has left under way: in doubt by the time that a run begins."""
        for key, one in self._members(ItemStatus.IN_FLIGHT):
            yield key, replace(one, status=ItemStatus.IN_DOUBT, reason=LEFT_IN_FLIGHT)

    def _held_updates(self) -> Iterator[tuple[str, models.Listed]]:
        parked = dict(self.database.rows("SELECT key, evidence FROM held_story"))
        for key, one in self.listed(self.held_updates):
            yield key, replace(one, reason=self.held_updates[key] or parked.get(key), was_sent=True)


def _item(row: tuple[Any, ...]) -> models.Item:
    key, reference, lead_id, payload = row
    return models.Item(key, reference, lead_id, models.Communication(**json.loads(payload)))


def _oldest_first(listed: Iterable[tuple[str, models.Listed]]) -> tuple[models.Listed, ...]:
    return tuple(one for _, one in sorted(listed, key=lambda one: (one[1].started_at, one[0])))
