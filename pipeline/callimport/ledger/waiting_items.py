"""Calls that wait for a lead: items without a payload, tried again by later runs, whatever files these have."""

import json
from collections.abc import Collection, Iterable
from datetime import datetime

from callimport.ledger.database import Database

_OF_SHAPES = "status = 'waiting' AND shape IN (SELECT value FROM json_each(?))"


def numbers(database: Database, shapes: Collection[str]) -> set[str]:
    """The numbers of the calls that wait under settings of these shapes."""
    return {phone for (phone,) in database.rows(f"SELECT DISTINCT phone FROM item WHERE {_OF_SHAPES}", _shapes(shapes))}


def count(database: Database) -> int:
    """How many calls wait for a lead, whatever settings made them."""
    return int(database.one("SELECT count(*) FROM item WHERE status = 'waiting'"))


def count_of(database: Database, shapes: Collection[str], phones: Collection[str]) -> int:
    """How many of these numbers' calls wait under settings of these shapes."""
    return int(
        database.one(
            f"SELECT count(*) FROM item WHERE {_OF_SHAPES} AND phone IN (SELECT value FROM json_each(?))",
            (*_shapes(shapes), json.dumps(sorted(phones))),
        )
    )


def give_up(
    database: Database, shapes: Collection[str], before: datetime, *, asked_crm: bool, undecided: Iterable[str]
) -> int:
    """Delete the waiting calls of these shapes that were first seen before `before`. Returns how many.

    Calls of other shapes stay: they wait for a run with their own settings. Calls that wait for the CRM stay until a
    run has asked it (`asked_crm`). So do the calls of `undecided` numbers: several leads have them, or nobody can tell.
    """
    with database.transaction():
        return database.execute(
            f"DELETE FROM item WHERE {_OF_SHAPES} AND entered_at < ? AND asks_crm <= ? "
            "AND phone NOT IN (SELECT value FROM json_each(?))",
            (*_shapes(shapes), _text(before), asked_crm, json.dumps(sorted(undecided))),
        )


def left(database: Database, shapes: Collection[str], before: datetime, besides: Collection[str]) -> tuple[int, int]:
    """How many calls of these shapes still wait, but for those of the numbers `besides`: first seen since `before`, and
    earlier."""
    ((in_time, beyond),) = database.rows(
        "SELECT count(*) FILTER (WHERE entered_at >= ?2), count(*) FILTER (WHERE entered_at < ?2) FROM item "
        "WHERE status = 'waiting' AND shape IN (SELECT value FROM json_each(?1)) "
        "AND phone NOT IN (SELECT value FROM json_each(?3))",
        (*_shapes(shapes), _text(before), json.dumps(sorted(besides))),
    )
    return in_time, beyond


def _shapes(shapes: Collection[str]) -> tuple[str]:
    return (json.dumps(sorted(shapes)),)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
