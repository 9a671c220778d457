"""Rejected rows that runs have reported, and those that mended rows have replaced; by fingerprints, with no cells."""

import json
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from callimport.core.row_origin import Settled
from callimport.ledger import checksum
from callimport.ledger.database import Database

# A rejected row that no run has seen for so long is forgotten.
KEPT = timedelta(days=365)


def settled(database: Database) -> Settled:
    """Return the fingerprints of the rows that mended rows have replaced, with the ledger's secret."""
    found = database.rows(f"SELECT fingerprint FROM rejected_row WHERE became IS NOT NULL AND {_SOUND}")
    return Settled(database.one("SELECT secret FROM binding") or "", frozenset(fingerprint for (fingerprint,) in found))


def known(database: Database, fingerprints: Collection[str]) -> set[str]:
    """Return the fingerprints that an earlier run has reported or a mended row has replaced."""
    which = "fingerprint IN (SELECT value FROM json_each(?))"
    found = database.rows(
        f"SELECT fingerprint FROM rejected_row WHERE {which} AND {_SOUND}", (json.dumps(list(fingerprints)),)
    )
    return {fingerprint for (fingerprint,) in found}


def note(database: Database, fingerprints: Iterable[str], now: datetime) -> None:
    """Remember that these rows were seen. Forget rows that were not seen for a year, unless settled."""
    database.execute_many(
        "INSERT INTO rejected_row (fingerprint, seen_at) VALUES (?, ?) "
        "ON CONFLICT (fingerprint) DO UPDATE SET seen_at = excluded.seen_at",
        ((fingerprint, now.isoformat(timespec="milliseconds")) for fingerprint in fingerprints),
    )
    database.execute(
        "DELETE FROM rejected_row WHERE became IS NULL AND seen_at < ?",
        ((now - KEPT).isoformat(timespec="milliseconds"),),
    )


_SOUND = checksum.is_sound("rejected_row")
