"""What the ledger tells of its last import."""

from dataclasses import dataclass, field

from callimport.core import models
from callimport.ledger import queries
from callimport.ledger.database import Database


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run that had a batch. Moments are ISO 8601 in UTC; `sources` counts the calls of the batch by file,
    `calls` by where they stand now, `requests` the creates of this run by what each came to."""

    run_id: str
    batch: str
    started_at: str
    ended_at: str | None
    exit_code: int | None
    stopped_by: str | None
    settings: dict[str, str]
    sources: dict[str, int] = field(default_factory=dict)
    calls: dict[models.ItemStatus, int] = field(default_factory=dict)
    adopted: int = 0
    requests: dict[str, int] = field(default_factory=dict)


def last(database: Database) -> LastRun | None:
    """None where nothing was ever imported."""
    found = database.rows(
        "SELECT run.id, batch.id, started_at, ended_at, exit_code, stopped_by "
        "FROM run JOIN batch ON batch.id = run.batch_id ORDER BY run.rowid DESC LIMIT 1"
    )
    if not found:
        return None
    run_id, batch_id, started_at, ended_at, exit_code, stopped_by = found[0]
    stand = dict(database.rows("SELECT status, count(*) FROM item WHERE batch_id = ? GROUP BY status", (batch_id,)))
    return LastRun(
        run_id=run_id,
        batch=batch_id,
        started_at=started_at,
        ended_at=ended_at,
        exit_code=exit_code,
        stopped_by=stopped_by,
        settings=queries.batch_settings(database, batch_id),
        sources=dict(
            database.rows(
                "SELECT name, count(*) FROM item JOIN source ON source.sha256 = item.source_sha256 "
                "WHERE batch_id = ? GROUP BY name ORDER BY name",
                (batch_id,),
            )
        ),
        calls={status: stand[status.value] for status in models.ItemStatus if status.value in stand},
        adopted=int(database.one("SELECT count(*) FROM item WHERE batch_id = ? AND adopted = 1", (batch_id,))),
        requests=dict(
            database.rows(
                "SELECT ifnull(kind, 'under way'), count(*) FROM attempt LEFT JOIN outcome ON attempt_id = attempt.id "
                "WHERE run_id = ? GROUP BY kind ORDER BY 2 DESC, 1",
                (run_id,),
            )
        ),
    )
