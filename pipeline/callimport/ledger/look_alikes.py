"""New calls that the ledger knows under another key: once or twice a coincidence, by the dozen another time zone. New
calls of two systems in one batch are compared in the same way.

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


def judge(database: Database, *, has_several_systems: bool) -> None:
    """Compare new calls with known calls, and new calls of several systems with each other. Raises GuardStopped."""
    database.execute("DROP TABLE IF EXISTS temp.look_alike")
    database.execute("CREATE TEMP TABLE look_alike (key TEXT PRIMARY KEY, evidence TEXT) WITHOUT ROWID")
    new = _count_new(database) if has_several_systems or database.one("SELECT 1 FROM item LIMIT 1") else 0
    if new:
        _refuse_known_shifted(database, new)
        _refuse_shifted(database, new)
        _note_sources_without_seconds(database)
        _find_look_alikes(database, new)
    if new and has_several_systems:
        _compare_systems(database)


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


def _note_sources_without_seconds(database: Database) -> None:
    database.execute("DROP TABLE IF EXISTS temp.without_seconds")
    database.execute(
        """
        CREATE TEMP TABLE without_seconds AS
        SELECT sha256 FROM (SELECT sha256, started_at FROM temp.sighting JOIN temp.batch_source USING (source)
            UNION ALL SELECT source_sha256, started_at FROM item)
        GROUP BY sha256 HAVING max(started_at % 60) = 0
        """
    )


def _find_look_alikes(database: Database, new: int) -> None:
    """Note in temp.look_alike the new calls that resemble one that the ledger knows, and which; before they are
    inserted, so that two calls of one file are never each other's look-alike.

    Raises GuardStopped where that is half of them: these are known calls under other names.
    """
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


def _compare_systems(database: Database) -> None:
    """If two new calls of different systems look like the same call, note the later call in temp.look_alike.

    Raises GuardStopped if half of the new calls of a system look like calls of another system, at the same time or in
    another time zone: the files are two exports of the same calls.
    """
    database.execute("DROP TABLE IF EXISTS temp.new_call")
    database.execute(
        f"""
        CREATE TEMP TABLE new_call AS
        SELECT key, reference, sha256, row, system, phone, direction, started_at,
            row_number() OVER (ORDER BY started_at, source, row) AS place,
            sha256 IN temp.without_seconds AS is_of_a_minute
        FROM temp.sighting JOIN temp.batch_source USING (source) WHERE {_NEW}
        """
    )
    database.execute("CREATE INDEX temp.new_call_by_phone ON new_call (phone, direction, started_at)")
    both = """
        temp.new_call AS later JOIN temp.new_call AS first ON first.phone = later.phone
            AND first.direction = later.direction AND first.system <> later.system AND first.place < later.place
    """
    at_one_offset = f"""{both}
        AND first.started_at BETWEEN later.started_at - {FARTHEST_ZONES_SECONDS} AND later.started_at - 1
        AND (later.started_at - first.started_at) % {QUARTER_HOUR_SECONDS} = 0
    """
    alike = f"""{both}
        AND first.started_at BETWEEN later.started_at - {LOOK_ALIKE_OF_A_MINUTE_SECONDS} AND later.started_at
        AND (first.is_of_a_minute OR later.is_of_a_minute
            OR first.started_at >= later.started_at - {LOOK_ALIKE_SECONDS})
    """
    if found := _half_of_a_system(database, at_one_offset, "shift"):
        calls, new, system, other, shift = found
        raise errors.GuardStopped(
            f"{calls} of {new} new calls of the system {system} are {abs(shift) / 3600:g} h "
            f"{'after' if shift > 0 else 'before'} new calls of the system {other}, with the same numbers: the same "
            "calls in another time zone? State the --timezone of each export, and import the files of one system only "
            "if both recorded the same calls; nothing of these files was entered"
        )
    if found := _half_of_a_system(database, alike, "NULL"):
        calls, new, system, other, _ = found
        raise errors.GuardStopped(
            f"{calls} of {new} new calls of the system {system} have the number, direction and time of new calls of "
            f"the system {other}: two systems that recorded the same calls? Import the files of one of them only; "
            "nothing of these files was entered"
        )
    database.execute(
        f"""
        INSERT INTO temp.look_alike
        SELECT later.key, 'it may be ' || first.reference || ' (row ' || first.row || ' of ' || source.name
            || ') of the system ' || first.system || ': same number and direction, '
            || (later.started_at - first.started_at) || ' s apart'
        FROM {alike} JOIN source ON source.sha256 = first.sha256
        ORDER BY later.place, first.place DESC ON CONFLICT DO NOTHING
        """
    )


def _half_of_a_system(database: Database, pairs: str, shift: str) -> tuple[int, int, str, str, int] | None:
    """Find a system with half of its new calls in `pairs` with calls of one other system, all at one `shift`.

    Returns the number of paired calls and of new calls, both systems, and the shift in seconds; None if there is none.
    """
    found = database.rows(
        f"""
        WITH pair (key, system, other, shift) AS (
            SELECT later.key, later.system, first.system, later.started_at - first.started_at FROM {pairs}
            UNION ALL SELECT first.key, first.system, later.system, first.started_at - later.started_at FROM {pairs})
        SELECT count(DISTINCT key) AS calls,
            (SELECT count(*) FROM temp.new_call WHERE new_call.system = pair.system) AS new, system, other, shift
        FROM pair GROUP BY system, other, {shift} HAVING calls >= {MANY} AND calls * 2 >= new
        ORDER BY calls DESC, system, other, shift LIMIT 1
        """
    )
    return found[0] if found else None


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
