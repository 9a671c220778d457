"""Calls of earlier files that had no lead, and may have one now.

They wait in the ledger for as long as it may take a salesperson to enter a lead, and go to the CRM with the first run
that finds it, whatever files that run has.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from callimport.core import plurals, privacy
from callimport.core.decisions import CALLS, Decision, Entry, Plan
from callimport.ledger import Ledger, waiting_items
from callimport.ledger.waiting_items import WaitingItem
from callimport.profiles.exports import ProfileFiles
from callimport.resolve.resolution import Resolution
from callimport.transform.staged_calls import STAGED

# So many numbers of several leads are told one by one.
_TOLD_AT_MOST = 10
_PLACES = ("source_name", "source_row", "is_of_minute")


@dataclass(frozen=True, slots=True)
class Found:
    """Waiting calls that have a lead now: as the plan takes them (CALLS), and where each was seen last."""

    calls: pl.DataFrame
    places: pl.DataFrame


@dataclass(slots=True)
class WaitingCalls:
    """The waiting calls of one run. `shapes` tells of the fingerprint of the settings that made a call, by which of the
    run's profiles it is read. `several` counts the calls of each number that several leads have; `found` are the
    numbers that have a lead."""

    shapes: Mapping[str, ProfileFiles]
    several: Counter[str] = field(default_factory=Counter)
    found: set[str] = field(default_factory=set)
    found_keys: set[str] = field(default_factory=set)

    def with_lead(self, resolution: Resolution, waiting: pl.DataFrame) -> Found:
        """Those of some waiting calls that have a lead by now. Columns: key, shape, staged, phone and _PLACES."""
        parts = [
            self._resolved(resolution, self.shapes[str(shape)], calls)
            for (shape,), calls in waiting.partition_by("shape", as_dict=True).items()
        ]
        calls = pl.concat([pl.DataFrame(schema=CALLS), *parts])
        self.found |= set(calls["phone"])
        self.found_keys |= set(calls["key"])
        places = calls.select("key").join(waiting, on="key", how="left", maintain_order="left").select(_PLACES)
        return Found(calls, places)

    def made_whole(self, resolution: Resolution, calls: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
        """Calls of today (CALLS) that show a part of a call that waits (`items`: ITEMS) tell of the whole call, with
        the lead that it has found."""
        waiting = items.filter(pl.col("status") == "waiting").select("key", "staged", pl.col("legs").alias("_legs"))
        parts = calls.filter(pl.col("payload").is_not_null()).join(waiting, on="key", suffix="_known")
        parts = parts.filter(_lacks_legs())
        if parts.is_empty():
            return calls
        of_source = {source: its for its in self.shapes.values() for source in its.sources}
        whole = pl.concat(
            self._resolved(
                resolution, of_source[int(str(source))], rows.with_columns(pl.col("staged_known").alias("staged"))
            )
            for (source,), rows in parts.partition_by("source", as_dict=True).items()
        )
        kept = parts.select("key", "source", "row", "marks")
        whole = whole.drop("source", "row", "marks").join(kept, on="key").select(list(CALLS))
        return pl.concat([calls.filter(~pl.col("key").is_in(whole["key"].implode())), whole])

    def closed(
        self,
        ledger: Ledger,
        resolution: Resolution,
        now: datetime,
        grace: timedelta,
        *,
        asked_crm: bool,
        plan: Plan | None = None,
    ) -> tuple[str, ...]:
        """At the end of the run: give up the calls whose time is over, and say what became of all. For a `plan` that is
        not entered, say what would."""
        over, undecided = now - grace, resolution.found.undecided if resolution.found is not None else ()
        waiting = self._planned(ledger, plan, now) if plan else waiting_items.read(ledger.database, self.shapes)
        overdue = waiting_items.overdue(
            waiting, over, asked_crm=asked_crm, undecided={*undecided, *self.several, *self.found}
        )
        if plan is None:
            waiting_items.give_up(ledger.database, overdue)
        would = "would be " if plan else ""
        along = "would come along" if plan else "came along"
        back = "it may be the same as one of today's or a rejected row; tried again by the next run"
        stood_back = sum(one.phone in self.found for one in waiting)
        kept = [
            one.entered_at >= over
            for one in waiting
            if one.key not in overdue and one.phone not in self.found and one.phone not in self.several
        ]
        in_time, beyond, given_up = kept.count(True), kept.count(False), len(overdue)
        lines = (
            (len(self.found_keys) - stood_back, f"of earlier files found a lead and {along}"),
            (stood_back, f"with a lead by now {would}held back: {back}"),
            (in_time, f"without a lead {would}kept: tried again for {grace.days} days, whatever files a run has"),
            (beyond, f"without a lead {would}kept until a run asks the CRM once more (--find-leads)"),
            (given_up, f"{would}given up: no lead has come within --lead-grace"),
        )
        return (*(f"{plurals.calls(count)} {what}" for count, what in lines if count), *self._told(resolution, would))

    def _planned(self, ledger: Ledger, plan: Plan, now: datetime) -> list[WaitingItem]:
        """The calls that would wait once the plan is entered."""
        kept, left = set[str](), set[str]()
        new: list[WaitingItem] = []
        for calls in plan.decided():
            waits = pl.col("decision") == Decision.WAIT
            is_new = pl.col("entry") == Entry.INSERT
            kept |= set(calls.filter(waits & (pl.col("entry") == Entry.REPLACE))["key"])
            left |= set(calls.filter(~waits & (pl.col("entry") == Entry.REPLACE))["key"])
            rows = calls.filter(waits & is_new).select("key", "phone").iter_rows()
            new += [WaitingItem(key, phone, now, plan.settings.asks_crm) for key, phone in rows]
        known = waiting_items.read(ledger.database, self.shapes, kept)
        return [*(one for one in known if one.key not in left), *new]

    def _told(self, resolution: Resolution, would: str) -> Iterator[str]:
        """Nobody is given up for having too many leads: a person decides, however late."""
        ordered = sorted(self.several.items(), key=lambda one: (-one[1], one[0]))
        for phone, calls in ordered[:_TOLD_AT_MOST]:
            leads = resolution.leads_with(phone)
            why = leads.why_undecided(phone) if leads is not None else "several leads have this number"
            yield f"{plurals.calls(calls)} of {privacy.mask_phone(phone)} {would}kept: {why}"
        if more := ordered[_TOLD_AT_MOST:]:
            calls = sum(count for _, count in more)
            yield f"{plurals.calls(calls)} of {len(more):,} more numbers {would}kept: several leads have each of these"

    def _resolved(self, resolution: Resolution, its: ProfileFiles, waiting: pl.DataFrame) -> pl.DataFrame:
        """CALLS with a lead. What else a call lacks by now, such as an agent, leaves it waiting."""
        apart = resolution.anew()
        staged = waiting.select(pl.col("staged").str.json_decode(pl.Struct(STAGED)).struct.unnest()).with_columns(
            pl.lit(_NO_SOURCE, pl.Int64).alias("_source"), pl.int_range(pl.len(), dtype=pl.Int64).alias("_row")
        )
        calls = apart.resolved(its, staged).planned.filter(pl.col("payload").is_not_null())
        phones = waiting["phone"].to_list()
        for place, reasons in apart.tally.rejects.items():
            if any(reason.rule == "lead_several" for reason in reasons):
                self.several[phones[place.row]] += 1
        return calls


# Waiting calls lie in no file of this run.
_NO_SOURCE = -1


def _lacks_legs() -> pl.Expr:
    known = pl.col("_legs").fill_null("").str.split("\n").list.filter(pl.element() != "")
    return known.list.set_difference(pl.col("legs").fill_null("").str.split("\n")).list.len() > 0
