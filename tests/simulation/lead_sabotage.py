"""Breakages of what finds leads and keeps calls that wait, which the judge of leads must notice."""

from datetime import timedelta
from typing import Any
from unittest import mock

import polars as pl

from callimport.ledger import known_leads, lead_cache, waiting_items
from callimport.plan import look_alikes
from callimport.resolve import lead_search, leads
from tests.simulation.sabotage import Sabotage

_PROFILE = "leads"


def _none_remembered_for_ever() -> list[Any]:
    return [mock.patch.object(lead_cache, "LASTS", timedelta(days=365))]


def _chosen_anew_each_night() -> list[Any]:
    def nothing(*_: object) -> dict[str, int]:
        return {}

    return [mock.patch.object(known_leads, "pins", nothing)]


def _near_ones_all_at_once() -> list[Any]:
    def as_different_ones(calls: pl.DataFrame, rejected: pl.DataFrame) -> look_alikes.Compared:
        return look_alikes.Compared(pl.DataFrame(schema={"key": pl.String, "evidence": pl.String}))

    return [mock.patch.object(look_alikes, "within_batch", as_different_ones)]


def _held_back_not_spared() -> list[Any]:
    real = waiting_items.overdue

    def all_of_them(*those: Any, **told: Any) -> set[str]:
        return real(*those, **{**told, "undecided": ()})

    return [mock.patch.object(waiting_items, "overdue", all_of_them)]


def _half_pages_believed() -> list[Any]:
    async def pages(self: lead_search.LeadSearch, ask: Any) -> list[Any]:
        page = await ask(1)
        shown = list(page.leads)
        for number in range(2, min(page.pages, lead_search.MOST_PAGES_A_NUMBER) + 1):
            shown += (await ask(number)).leads
        return shown

    return [mock.patch.object(lead_search.LeadSearch, "_pages", pages)]


def _duplicates_chosen() -> list[Any]:
    return [mock.patch.object(leads, "NEVER_CHOSEN", ())]


SABOTAGES = {
    "chosen anew each night": Sabotage(_chosen_anew_each_night, _PROFILE, 89, "moved"),
    "duplicates chosen": Sabotage(_duplicates_chosen, _PROFILE, 1, "wrong lead"),
    "half pages believed": Sabotage(_half_pages_believed, _PROFILE, 52, "forgotten"),
    "held back, not spared": Sabotage(_held_back_not_spared, _PROFILE, 50, "given up"),
    "none remembered for ever": Sabotage(_none_remembered_for_ever, _PROFILE, 0, "forgotten"),
    "waiting calls all at once": Sabotage(_near_ones_all_at_once, _PROFILE, 15, "twice"),
}
