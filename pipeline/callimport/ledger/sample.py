"""Pending calls of every kind, for who wants to see a few of each before the rest goes."""

from dataclasses import dataclass

from callimport.ledger import checksum
from callimport.ledger.database import Database


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pending call and its kind; `agent` is the CRM user, None where none is named, and `is_recorded` says whether it
    should have a recording."""

    key: str
    lead_id: int
    direction: str
    status: str
    agent: int | None
    is_recorded: bool = False

    @property
    def kind(self) -> tuple[str, str, int | None, bool]:
        return self.direction, self.status, self.agent, self.is_recorded


def candidates(database: Database, batch_id: str, *, each: int) -> list[Candidate]:
    """The pending calls of a batch, but of each kind at most `each`, in an order that is always the same and has
    nothing to do with time: keys are hashes."""
    found = database.rows(
        f"""
        SELECT key, lead_id, direction, status, agent, is_recorded FROM (
            SELECT key, lead_id, direction, status, agent, is_recorded,
                row_number() OVER (PARTITION BY direction, status, agent, is_recorded ORDER BY key) AS turn
            FROM (
                SELECT key, lead_id, direction, json_extract(payload, '$.call_status') AS status,
                    json_extract(payload, '$.executed_by') AS agent,
                    EXISTS (SELECT 1 FROM recording WHERE recording.key = item.key) AS is_recorded
                FROM item WHERE batch_id = ? AND item.status = 'pending' AND {checksum.is_sound()}))
        WHERE turn <= ? ORDER BY key
        """,
        (batch_id, each),
    )
    return [
        Candidate(key, lead_id, direction, status, agent, bool(is_recorded))
        for key, lead_id, direction, status, agent, is_recorded in found
    ]
