"""Calls that wait for a lead: items without a payload, tried again by later runs, whatever files these have."""

import json
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from callimport.ledger.database import Database

_OF_SHAPES = "status = 'waiting' AND shape IN (SELECT value FROM json_each(?))"


def numbers(database: Database, shapes: Collection[str]) -> set[str]:
    """The numbers of the calls that wait under settings of these shapes."""
    return {phone for (phone,) in database.rows(f"SELECT DISTINCT phone FROM item WHERE {_OF_SHAPES}", _shapes(shapes))}


def count(database: Database) -> int:
    """How many calls wait for a lead, whatever settings made them."""
    return int(database.one("SELECT count(*) FROM item WHERE status = 'waiting'"))


class WaitingItem(NamedTuple):
    """A call that waits. `entered_at` is when a run saw it first. With `asks_crm`, only a run that has asked the CRM
    for its lead may give it up."""

    key: str
    phone: str
    entered_at: datetime
    asks_crm: bool


def read(database: Database, shapes: Collection[str], keys: Iterable[str] = ()) -> list[WaitingItem]:
    """The calls that wait under settings of these shapes, and those of these keys that wait."""
    found = database.rows(
        "SELECT key, phone, entered_at, asks_crm FROM item WHERE status = 'waiting' AND "
        "(shape IN (SELECT value FROM json_each(?)) OR key IN (SELECT value FROM json_each(?)))",
        (*_shapes(shapes), json.dumps(list(keys))),
    )
    return [
        WaitingItem(key, phone, datetime.fromisoformat(entered_at), bool(asks_crm))
        for key, phone, entered_at, asks_crm in found
    ]


def overdue(
    waiting: Iterable[WaitingItem], before: datetime, *, asked_crm: bool, undecided: Collection[str]
) -> set[str]:
    """Keys of the calls that are given up: those that were first seen before `before`.

    Calls that wait for the CRM stay until a run has asked it (`asked_crm`). So do the calls of `undecided` numbers:
    several leads have them, or nobody can tell.
    """
    return {
        one.key
        for one in waiting
        if one.entered_at < before and one.asks_crm <= asked_crm and one.phone not in undecided
    }


def give_up(database: Database, keys: Iterable[str]) -> None:
    """Delete these waiting calls."""
    with database.transaction():
        database.execute_many("DELETE FROM item WHERE key = ? AND status = 'waiting'", ((key,) for key in keys))


def _shapes(shapes: Collection[str]) -> tuple[str]:
    return (json.dumps(sorted(shapes)),)
