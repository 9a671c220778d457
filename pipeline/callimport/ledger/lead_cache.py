"""Whose a number is, as the CRM said when it was asked: remembered for a while, so that nobody asks every night."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from callimport.core import models
from callimport.ledger.database import Database

# Less than a day: the next night asks again, though it may begin a little earlier.
LASTS = timedelta(hours=20)


def known(
    database: Database, last_calls: Mapping[str, datetime | None], now: datetime
) -> dict[str, tuple[models.Lead, ...]]:
    """Of these numbers those that need not be looked up again; () is nobody's. Each comes with the beginning of its
    last call, None where that was asked for before: what was said earlier is no answer, as whose the number is may have
    changed since. Nor is what was said before a call of it was refused: the lead may have been merged into another."""
    found = database.rows(
        """
        SELECT phone, leads, looked_up_at FROM lookup WHERE phone IN (SELECT value FROM json_each(?))
            AND looked_up_at > ? AND looked_up_at <= ?
            AND NOT EXISTS (SELECT 1 FROM item JOIN attempt USING (key) JOIN outcome ON outcome.attempt_id = attempt.id
                WHERE item.phone = lookup.phone AND outcome.kind = 'refused' AND outcome.ended_at > looked_up_at)
        """,
        (json.dumps(list(last_calls)), _text(now - LASTS), _text(now)),
    )
    return {
        phone: tuple(_lead(*one) for one in json.loads(leads))
        for phone, leads, looked_up_at in found
        if (began := last_calls[phone]) is None or began <= datetime.fromisoformat(looked_up_at)
    }


def keep(database: Database, found: Mapping[str, tuple[models.Lead, ...]], now: datetime) -> None:
    """Remember what the CRM said of these numbers."""
    with database.transaction():
        database.execute_many(
            "INSERT INTO lookup VALUES (?, ?, ?) ON CONFLICT (phone) DO UPDATE SET leads = excluded.leads, "
            "looked_up_at = excluded.looked_up_at",
            ((phone, json.dumps([_cells(lead) for lead in leads]), _text(now)) for phone, leads in found.items()),
        )


def pins(database: Database, keys: Iterable[str]) -> dict[str, int]:
    """Of calls that are items, by key, the lead that each has; not of one that the CRM has refused with it."""
    found = database.rows(
        """
        SELECT key, lead_id FROM item WHERE key IN (SELECT value FROM json_each(?)) AND (
            status NOT IN ('pending', 'refused', 'failed')
            OR NOT EXISTS (SELECT 1 FROM attempt JOIN outcome ON outcome.attempt_id = attempt.id
                WHERE attempt.key = item.key AND outcome.kind = 'refused'))
        """,
        (json.dumps(list(keys)),),
    )
    return dict(found)


def sent(database: Database, keys: Iterable[str]) -> set[str]:
    """Of these calls those that went to the CRM, or may have, or that a person decides on: no run makes them anew."""
    found = database.rows(
        "SELECT key FROM item WHERE key IN (SELECT value FROM json_each(?)) "
        "AND status NOT IN ('pending', 'refused', 'failed')",
        (json.dumps(list(keys)),),
    )
    return {key for (key,) in found}


def _cells(lead: models.Lead) -> tuple[int, str | None, str]:
    return lead.id, _text(lead.created_at) if lead.created_at else None, lead.status


def _lead(lead_id: int, created_at: str | None, status: str) -> models.Lead:
    return models.Lead(lead_id, datetime.fromisoformat(created_at) if created_at else None, status)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
