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
    """Return the lead of each known call, by key. Leaves out a call that the CRM refused with its lead."""
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
    """Return the keys of calls that may be in the CRM or that a person decides on. No run makes them again."""
    found = database.rows(
        "SELECT key FROM item WHERE key IN (SELECT value FROM json_each(?)) "
        "AND status NOT IN ('waiting', 'pending', 'refused', 'failed') AND payload IS NOT NULL",
        (json.dumps(list(keys)),),
    )
    return {key for (key,) in found}
