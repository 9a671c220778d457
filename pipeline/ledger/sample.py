"""Pending calls of every kind, for who wants to see a few of each before the rest goes."""

from dataclasses import dataclass

from pipeline.ledger.database import Database


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pending call and its kind; `agent` is the CRM user, None where none is named."""

    key: str
    lead_id: int
    direction: str
    status: str
    agent: int | None

    @property
    def kind(self) -> tuple[str, str, int | None]:
        return self.direction, self.status, self.agent


def candidates(database: Database, batch_id: str, *, each: int) -> list[Candidate]:
    """The pending calls of a batch, but of each kind at most `each`, in an order that is always the same and has
    nothing to do with time: keys are hashes."""
    found = database.rows(
        """
        SELECT key, lead_id, direction, status, agent FROM (
            SELECT key, lead_id, direction, status, agent,
                row_number() OVER (PARTITION BY direction, status, agent ORDER BY key) AS turn
            FROM (
                SELECT key, lead_id, direction, json_extract(payload, '$.call_status') AS status,
                    json_extract(payload, '$.executed_by') AS agent
                FROM item WHERE batch_id = ? AND item.status = 'pending'))
        WHERE turn <= ? ORDER BY key
        """,
        (batch_id, each),
    )
    return [Candidate(*row) for row in found]
