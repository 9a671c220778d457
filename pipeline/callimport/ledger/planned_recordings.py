"""Which recording each call would have once a plan is entered. Nothing is written."""

import json
from collections.abc import Iterable, Iterator, Mapping

import polars as pl

from callimport.core import models
from callimport.core.decisions import Decision, Entry
from callimport.core.models import ItemStatus
from callimport.ledger import checksum
from callimport.ledger.entry import IS_TOLD
from callimport.ledger.planned import PlannedLedger
from callimport.ledger.recordings import REFUSED, TODO, Bearer, Evidence, Known, Recordings

_IS_NAMED = pl.col("recording").fill_null("") != ""


class PlannedRecordings(Recordings):
    """The recordings of a ledger, with those that a plan names. Methods that would write do nothing."""

    def __init__(self, ledger: PlannedLedger, clock: models.Clock) -> None:
        super().__init__(ledger.database, clock)
        self._ledger = ledger
        self._status = dict(ledger.entered.select("key", "status").iter_rows())
        self._references = dict(ledger.entered.select("key", "reference").iter_rows())
        # The name that each call takes.
        self._names: dict[str, str] = {}

    def take_up_names(self, *, or_parked: bool = False) -> None:
        parked_anew: set[str] = set()
        for calls in self._ledger.plan.decided():
            parked_anew.update(calls.filter(pl.col("entry").is_in([Entry.PARK, Entry.UNPARK]))["key"])
            named = calls.filter(IS_TOLD & _IS_NAMED)
            facts = self._facts(named["key"].to_list())
            for key, name, told, decision, entry, evidence in named.select(
                "key", "recording", "facts", "decision", "entry", "evidence"
            ).iter_rows():
                own, parked = (told, None) if key in self._status else facts[key]
                is_parked = entry == Entry.PARK or parked == told
                is_held = decision == Decision.HOLD or evidence is not None
                if told == own or (or_parked and is_parked and not is_held):
                    self._names[key] = name
        for key, name in self._parked_names(or_parked=or_parked):
            if key not in parked_anew:
                self._names.setdefault(key, name)

    def of_delivered(self, *, or_pending: bool = False) -> list[Known]:
        known = [self._renamed(one) for one in super().of_delivered(or_pending=or_pending)]
        seen = {one.key for one in known}
        missing = {key: name for key, name in self._names.items() if key not in seen}
        in_ledger = super().to_claim(missing, or_pending=or_pending)
        known += [one._replace(name=missing[one.key], path=None) for one in in_ledger if one.key not in self._status]
        known += [self._new(key, name=name) for key, name in missing.items() if key in self._status]
        return list(self._judged(known))

    def claimed(self) -> frozenset[str]:
        found = self.database.rows("SELECT key, name, path FROM recording")
        kept = [(self._names.get(key, name), path) for key, name, path in found]
        return frozenset(text for row in kept for text in row if text is not None).union(self._names.values())

    def bearers(self) -> list[Bearer]:
        known = super().bearers()
        kept = [
            one._replace(wanted=name, size=None, modified_ns=None)
            if (name := self._names.get(one.key, one.wanted)) != one.wanted
            else one
            for one in known
        ]
        new = self._names.keys() - {one.key for one in known}
        references = self._references | {key: one.reference for key, one in self._ledger.listed(new)}
        return [*kept, *(Bearer(key, references[key], self._names[key], None, None) for key in sorted(new))]

    def told_now(self) -> frozenset[str]:
        found = self.database.rows(
            "SELECT told.key, nullif(told.recording, ''), recording.name, recording.key IS NOT NULL "
            "FROM temp.told LEFT JOIN recording USING (key)"
        )
        known = {
            key
            for key, told, name, is_there in found
            if (is_there or key in self._names) and told == self._names.get(key, name)
        }
        return frozenset(known | (self._names.keys() & self._status.keys()))

    def nameless(self, system: str) -> Iterator[models.Nameless[str]]:
        of_plan: dict[str, models.Nameless[str]] = {}
        next_legs: dict[str, str] = {}
        columns = ("key", "call_id", "direction", "phone", "started_at", "legs")
        for calls in self._ledger.plan.decided():
            mine = calls.filter(pl.col("system") == system)
            entered = mine.filter(~_IS_NAMED & pl.col("entry").is_in([Entry.INSERT, Entry.REPLACE]))
            of_plan |= {row[0]: models.Nameless(*row) for row in entered.select(columns).iter_rows()}
            parked = mine.filter((pl.col("entry") == Entry.PARK) & pl.col("evidence").is_null())
            next_legs |= dict(parked.select("key", pl.col("legs").fill_null("")).iter_rows())
        for one in super().nameless(system):
            if one.key not in of_plan and one.key not in self._names:
                yield one._replace(legs=f"{one.legs or ''}\n{next_legs.get(one.key, '')}")
        yield from of_plan.values()

    def to_claim(self, path_of: Mapping[str, str], *, or_pending: bool = False) -> list[Known]:
        known = [one for one in super().to_claim(path_of, or_pending=or_pending) if one.key not in self._status]
        new = [self._new(key, path=path) for key, path in path_of.items() if key in self._status]
        return list(self._judged([*known, *new]))

    def found(self, paths: Iterable[tuple[str, str]]) -> None:
        pass

    def missing(self, keys: Iterable[str]) -> None:
        pass

    def again(self, known: Iterable[Known]) -> None:
        pass

    def still(self, known: Known, seen: Evidence) -> None:
        pass

    def refused(self, key: str, reason: str, seen: Evidence | None = None) -> None:
        pass

    def failed(self, key: str, reason: str) -> None:
        pass

    def _facts(self, keys: list[str]) -> dict[str, tuple[str, str | None]]:
        """The facts of items, and those that are parked."""
        found = self.database.rows(
            "SELECT key, facts, next_facts FROM item WHERE key IN (SELECT value FROM json_each(?))", (json.dumps(keys),)
        )
        return {key: (facts, parked) for key, facts, parked in found}

    def _parked_names(self, *, or_parked: bool) -> list[tuple[str, str]]:
        """Names that earlier runs have parked, and that would be taken up."""
        return self.database.rows(
            "SELECT key, name FROM next_recording JOIN item USING (key) WHERE next_recording.facts IN (item.facts, "
            "iif(? AND item.rowid NOT IN (SELECT item FROM held_story), item.next_facts, NULL)) "
            f"AND {checksum.is_sound('next_recording', key='item.key')}",
            (int(or_parked),),
        )

    def _renamed(self, one: Known) -> Known:
        name = self._names.get(one.key, one.name)
        if name == one.name:
            return one
        sha256 = None if one.status == REFUSED else one.sha256
        return one._replace(name=name, status=TODO, reason=None, sha256=sha256)

    def _new(self, key: str, *, name: str | None = None, path: str | None = None) -> Known:
        return Known(key, self._references[key], 0, name, TODO, path, None, None, None, None, is_foreign=False)

    def _judged(self, known: Iterable[Known]) -> Iterator[Known]:
        """Those that are delivered, or would be."""
        for one in known:
            status = self._ledger.concluded(one.key) or self._status.get(one.key, ItemStatus.PENDING)
            if status in (ItemStatus.PENDING, ItemStatus.DELIVERED):
                yield one._replace(is_foreign=one.is_foreign or status is ItemStatus.DELIVERED)
