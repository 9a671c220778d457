"""What the ledger knows about the leads of calls, whatever the CRM said when it was asked."""

import json
from collections.abc import Iterable
from datetime import datetime

from callimport.ledger.database import Database


def last_refused(database: Database, phones: Iterable[str]) -> dict[str, datetime]:
    """When a call of each number was last refused. An earlier answer about the number is void: the lead may have been
    merged into another one. Numbers of which no call was refused are left out."""
    found = database.rows(
        """
        SELECT item.phone, max(outcome.ended_at)
        FROM item JOIN attempt USING (key) JOIN outcome ON outcome.attempt_id = attempt.id
        WHERE item.phone IN (SELECT value FROM json_each(?)) AND outcome.kind = 'refused' GROUP BY item.phone
        """,
        (json.dumps(list(phones)),),
    )
    return {phone: datetime.fromisoformat(ended_at) for phone, ended_at in found}


def pins(database: Database, keys: Iterable[str]) -> dict[str, int]:
    """Of calls that are items, by key, the lead that each has; not of one that the CRM has refused with it."""
    found = database.rows(
        """
        SELECT key, lead_id FROM item WHERE key IN (SELECT value FROM json_each(?)) AND lead_id IS NOT NULL AND (
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
        "AND status NOT IN ('waiting', 'pending', 'refused', 'failed') AND payload IS NOT NULL",
        (json.dumps(list(keys)),),
    )
    return {key for (key,) in found}
