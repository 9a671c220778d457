"""One move of one item: a guarded statement that must hit one row."""

from datetime import datetime
from typing import Any

from callimport.core import errors, models
from callimport.ledger import damage
from callimport.ledger.database import Database


class Moves:
    """What every verb of the ledger is made of."""

    def __init__(self, database: Database, clock: models.Clock) -> None:
        self.database = database
        self._clock = clock

    def _move(self, key: str, before: models.ItemStatus, after: models.ItemStatus, **columns: str | int | None) -> None:
        columns = {"reason": None, **columns}
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self._one(
            f"UPDATE item SET status = ?, moved_at = ?, {assignments} WHERE key = ? AND status = ?",
            (after.value, self._now(), *columns.values(), key, before.value),
        )

    def _one(self, sql: str, values: tuple[Any, ...]) -> None:
        if self.database.execute(sql, values) != 1:
            damage.refuse(self.database)
            raise errors.LedgerError(
                "the ledger is not where this run thought it was: nothing more is sent; run again to go on from it"
            )

    def _now(self) -> str:
        moment: datetime = self._clock.wall()
        return moment.isoformat(timespec="milliseconds")
