"""New calls that the ledger knows under another key: once or twice a coincidence, by the dozen another time zone.

Judged inside the enrolment, before anything is entered: `temp.sighting` holds the batch, `item` what is known.
"""

from callimport.core import errors
from callimport.ledger.database import Database

LOOK_ALIKE_SECONDS = 2
# Where a whole file has no seconds.
LOOK_ALIKE_OF_A_MINUTE_SECONDS = 60
MANY = 20
QUARTER_HOUR_SECONDS = 900
# From UTC-12 to UTC+14.
FARTHEST_ZONES_SECONDS = 26 * 3600

_NEW = "sighting.verdict IS NULL AND sighting.rowid NOT IN (SELECT sighting FROM temp.known)"


def judge(database: Database) -> None:
    """Both of the following, where there are new calls and known ones. Raises GuardStopped."""
    database.execute("DROP TABLE IF EXISTS temp.look_alike")
    database.execute("CREATE TEMP TABLE look_alike (key TEXT PRIMARY KEY, evidence TEXT) WITHOUT ROWID")
    new = _count_new(database) if database.one("SELECT 1 FROM item LIMIT 1") else 0
    if new:
        _refuse_known_shifted(database, new)
        _refuse_shifted(database, new)
        _find_look_alikes(database, new)


def _refuse_known_shifted(database: Database, new: int) -> None:
    """GuardStopped where half of the delivered calls of the batch now begin at another time, all by one offset of
    quarter-hours: the file is read in another zone, and its new calls would be sent at a wrong time."""
    known = int(database.one("SELECT count(*) FROM temp.sighting WHERE verdict = 'unchanged'"))
    if known < MANY:
        return
    found = database.rows(
        """
        SELECT again.started_at - item.started_at AS shift, count(*) AS calls
        FROM temp.again CROSS JOIN item ON item.rowid = again.item
        WHERE verdict = 'unchanged' AND shift <> 0 AND shift % ? = 0 GROUP BY shift ORDER BY calls DESC, shift LIMIT 1
        """,
        (QUARTER_HOUR_SECONDS,),
    )
    if found and found[0][1] >= MANY and found[0][1] * 2 >= known:
        shift, calls = found[0]
        raise errors.GuardStopped(
            f"{calls} of {known} known calls are {abs(shift) / 3600:g} h {'later' if shift > 0 else 'earlier'} here "
            f"than they were sent, so {new} new ones would go out at a wrong time: use the --timezone of the run "
            "before; or, if that one was wrong, leave the known calls out with --since"
        )


def _refuse_shifted(database: Database, new: int) -> None:
    """GuardStopped where half of the new calls lie beside known ones at one offset of quarter-hours: these are known
    calls, read in another time zone."""
    if new < MANY:
        return
    found = database.rows(
        f"""
        SELECT sighting.started_at - item.started_at AS shift, count(DISTINCT sighting.key) AS calls
        FROM temp.sighting JOIN item ON item.phone = sighting.phone AND item.direction = sighting.direction
            AND item.started_at BETWEEN sighting.started_at - :far AND sighting.started_at + :far
        WHERE {_NEW} AND item.system = sighting.system AND item.status NOT IN ('refused', 'failed')
            AND (item.status <> 'withdrawn' OR item.existing_id IS NOT NULL) AND shift <> 0 AND shift % :quarter = 0
        GROUP BY shift ORDER BY calls DESC, shift LIMIT 1
        """,
        {"far": FARTHEST_ZONES_SECONDS, "quarter": QUARTER_HOUR_SECONDS},
    )
    if found and found[0][1] * 2 >= new:
        shift, calls = found[0]
        batch = _pending_at(database, shift) or "BATCH"
        raise errors.GuardStopped(
            f"{calls} of {new} new calls are {abs(shift) / 3600:g} h {'after' if shift > 0 else 'before'} calls that "
            "the ledger knows, with the same numbers: the same calls in another time zone? Use the --timezone of the "
            f"run before; or, if that one was wrong and its calls are still pending, callimport withdraw {batch} first "
            "(what it delivered stays in the CRM and would come a second time, at the right time: leave those "
            "calls out of the file); if these are other calls, give them another --system name"
        )


def _pending_at(database: Database, shift: int) -> str | None:
    """The batch of the pending calls among those that lie beside new ones at this offset."""
    found: str | None = database.one(
        f"""
        SELECT item.batch_id FROM temp.sighting JOIN item ON item.phone = sighting.phone
            AND item.direction = sighting.direction AND item.started_at = sighting.started_at - ?
        WHERE {_NEW} AND item.status = 'pending' GROUP BY item.batch_id ORDER BY count(*) DESC LIMIT 1
        """,
        (shift,),
    )
    return found


def _find_look_alikes(database: Database, new: int) -> None:
    """Note in temp.look_alike the new calls that resemble one that the ledger knows, and which; before they are
    inserted, so that two calls of one file are never each other's look-alike.

    Raises GuardStopped where that is half of them: these are known calls under other names.
    """
    database.execute("DROP TABLE IF EXISTS temp.without_seconds")
    database.execute(
        """
        CREATE TEMP TABLE without_seconds AS
        SELECT sha256 FROM (SELECT sha256, started_at FROM temp.sighting JOIN temp.batch_source USING (source)
            UNION ALL SELECT source_sha256, started_at FROM item)
        GROUP BY sha256 HAVING max(started_at % 60) = 0
        """
    )
    database.execute(
        f"""
        INSERT INTO temp.look_alike
        SELECT sighting.key, 'it may be ' || item.reference || ' (row ' || item.source_row || ' of ' || source.name
            || ') under another id: same number and direction, '
            || abs(sighting.started_at - item.started_at) || ' s apart' AS evidence
        FROM temp.sighting JOIN temp.batch_source USING (source)
            JOIN item ON item.phone = sighting.phone AND item.direction = sighting.direction
            AND item.started_at BETWEEN sighting.started_at - :minute AND sighting.started_at + :minute
            JOIN source ON source.sha256 = item.source_sha256
        WHERE {_NEW} AND (item.status <> 'withdrawn' OR item.existing_id IS NOT NULL)
            AND abs(sighting.started_at - item.started_at) <= CASE
            WHEN item.source_sha256 IN temp.without_seconds OR batch_source.sha256 IN temp.without_seconds
            THEN :minute ELSE :seconds END
        GROUP BY sighting.key
        """,
        {"seconds": LOOK_ALIKE_SECONDS, "minute": LOOK_ALIKE_OF_A_MINUTE_SECONDS},
    )
    # Those that waited for a lead are held, many or few: no other settings would make them go away.
    alike = int(database.one("SELECT count(*) FROM temp.look_alike WHERE key NOT IN (SELECT key FROM leadless)"))
    if new >= MANY and alike * 2 >= new:
        raise errors.GuardStopped(
            f"{alike} of {new} new calls have the number, direction and time of calls that the ledger knows under "
            "other ids: the same calls from another report, or under another --system name? Import them as before, by "
            "the same recipe and --system; nothing of this file was entered"
        )


def hold_look_alikes(database: Database, now: str) -> None:
    """Once the new items are inserted: those that were found to resemble a known one are for a person."""
    database.execute(
        "INSERT INTO verdict (key, kind, evidence, decided_at) SELECT key, 'held', evidence, ? FROM temp.look_alike",
        (now,),
    )
    database.execute(
        "UPDATE item SET status = 'held', reason = look_alike.evidence, moved_at = ? FROM temp.look_alike "
        "WHERE look_alike.key = item.key",
        (now,),
    )


def _count_new(database: Database) -> int:
    return int(database.one(f"SELECT count(*) FROM temp.sighting WHERE {_NEW}"))
