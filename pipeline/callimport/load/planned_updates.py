"""What would become of changed calls, by the plan alone: told before anything is entered or sent."""

from dataclasses import replace
from typing import Final

import polars as pl

from callimport.core import endings, models
from callimport.core.decisions import Decision, Entry
from callimport.ledger.planned import PlannedLedger
from callimport.ledger.updates import Updates
from callimport.load import updates as running
from callimport.plan import changes

_PARKED_ANEW: Final = [Entry.PARK, Entry.UNPARK]


def account(ledger: PlannedLedger, clock: models.Clock) -> endings.Updates:
    """Count the updates that a run would begin with, as `Updating.account` does."""
    totals, settings = ledger.plan.totals, ledger.plan.settings
    record = Updates(ledger.database, clock, settings.batch.id, settings.batch.settings_fingerprint)
    if settings.on_change != "update":
        changed = _listed(ledger, record) if settings.on_change == "report" else ()
        return endings.Updates(waiting=totals.parked, changed=changed)
    refused = tuple(record.refused_before(ledger.refused_updates))
    seen = totals.count(Decision.UPDATE) + totals.left_seen
    return endings.Updates(
        known=seen + len(refused),
        carried=totals.changed - seen + totals.left_empty,
        unchanged=totals.left_empty,
        refused=len(refused),
        refused_ones=refused,
    )


def _listed(ledger: PlannedLedger, record: Updates) -> tuple[models.Listed, ...]:
    """The first changed calls, each with what changed; in the order of their old starts."""
    told: set[str] = set()
    parked_anew: set[str] = set()
    for calls in ledger.plan.decided():
        told.update(calls.filter(pl.col("decision") == Decision.UPDATE)["key"])
        parked_anew.update(calls.filter(pl.col("entry").is_in(_PARKED_ANEW))["key"])
    first = record.oldest(told, running.LISTED_AT_MOST)
    stories = {
        key: payload
        for calls in ledger.plan.decided()
        for key, payload in calls.filter(pl.col("key").is_in(first)).select("key", "payload").iter_rows()
    }
    updates = [record.one(key, stories[key]) for key in first]
    updates += [update for update, _ in record.all() if update.key not in parked_anew]
    updates.sort(key=lambda one: (one.listed.started_at, one.key))
    listed = [
        replace(one.listed, reason=changes.in_words(one.sent, wanted))
        for one in updates
        if (wanted := changes.wanted(one))
    ]
    return tuple(record.as_told_now(listed[: running.LISTED_AT_MOST]))
