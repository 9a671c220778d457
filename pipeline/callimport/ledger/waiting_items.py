"""Calls whose number has no lead yet: kept, and tried again by later runs, whatever files these have.

There may be as many as a file has rows. `temp.leadless_today` takes those of the files of a run, `temp.latecomer` those
that waited and have a lead now, so that none of either need memory.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime

from callimport.core import models
from callimport.ledger import checksum
from callimport.ledger.database import Database

# As near as a call without seconds may lie to another one of the same number.
NEAR_SECONDS = 60
# In place of a lead: several have the number, and it is not decided which is meant.
SEVERAL = 0
_NO_LEAD = '{"lead_id": 0,'
_WAITS = "withdrawn_at IS NULL"
_OF_SHAPES = "shape IN (SELECT value FROM json_each(?))"
_IS_NO_ITEM = "NOT EXISTS (SELECT 1 FROM item WHERE item.key = leadless.key)"
_COLUMNS = "reference, facts, payload, system, call_id, direction, phone, started_at, legs, recording"

# The columns of models.Sighting.
_TODAY = """
    CREATE TEMP TABLE leadless_today (
        source INTEGER NOT NULL,
        row INTEGER NOT NULL,
        key TEXT NOT NULL,
        reference TEXT NOT NULL,
        facts TEXT NOT NULL,
        payload TEXT NOT NULL,
        system TEXT NOT NULL,
        call_id TEXT,
        lead_id INTEGER NOT NULL,
        direction TEXT NOT NULL,
        phone TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        legs TEXT,
        recording TEXT
    ) STRICT
"""
_LATECOMER = """
    CREATE TEMP TABLE latecomer (
        key TEXT PRIMARY KEY,
        phone TEXT NOT NULL,
        direction TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        lead_id INTEGER NOT NULL,
        stands_back INTEGER NOT NULL DEFAULT 0
    ) STRICT
"""
_PASSED_OVER = "CREATE TEMP TABLE passed_over (source INTEGER NOT NULL, row INTEGER NOT NULL) STRICT"
_COMES_ALONG = f"lead_id <> {SEVERAL} AND NOT stands_back"


def shows_all_legs(known: str, now: str) -> str:
    """A window that cuts a known call in two shows some of its legs only: what it tells of the call is not news."""
    return f"""
        ({known}.legs IS NULL OR {known}.legs IS {now}.legs OR NOT EXISTS (
            SELECT value FROM json_each('["' || replace({known}.legs, char(10), '","') || '"]')
            EXCEPT SELECT value FROM json_each('["' || replace(ifnull({now}.legs, ''), char(10), '","') || '"]')))
    """


def begin(database: Database) -> None:
    """Nothing was seen yet, and none has found its lead."""
    for table in ("leadless_today", "latecomer", "passed_over"):
        database.execute(f"DROP TABLE IF EXISTS temp.{table}")
    for creation in (_TODAY, _LATECOMER, _PASSED_OVER):
        database.execute(creation)


# Those that waited


def numbers(database: Database, shapes: Collection[str]) -> Iterator[str]:
    """The numbers of calls that wait for a lead under settings of these shapes and are no items yet."""
    found = database.stream(
        f"SELECT DISTINCT phone FROM leadless WHERE {_WAITS} AND {_OF_SHAPES} AND {_IS_NO_ITEM}", _shapes(shapes)
    )
    for (phone,) in found:
        yield phone


def find(database: Database, shapes: Collection[str], whose: Callable[[str, int], int | None]) -> None:
    """Note which of those calls have a lead now, by what `whose` says of number and start (in Unix seconds): the lead,
    SEVERAL, or None where there is none."""
    found = database.stream(
        f"SELECT key, phone, direction, started_at FROM leadless WHERE {_WAITS} AND {_OF_SHAPES} AND {_IS_NO_ITEM}",
        _shapes(shapes),
    )
    with database.transaction():
        database.execute_many(
            "INSERT INTO temp.latecomer VALUES (?, ?, ?, ?, ?, 0)",
            (
                (key, phone, direction, started_at, lead_id)
                for key, phone, direction, started_at in found
                if (lead_id := whose(phone, started_at)) is not None
            ),
        )
        database.execute("CREATE INDEX temp.latecomer_by_phone ON latecomer (phone, direction, started_at, key)")


def sources(database: Database) -> dict[str, tuple[str, int]]:
    """Name and size of the files that those which have found their lead came from, by hash."""
    rows = database.rows(f"""
        SELECT DISTINCT sha256, name, size FROM temp.latecomer CROSS JOIN leadless USING (key)
            JOIN source ON sha256 = source_sha256
        WHERE {_COMES_ALONG} ORDER BY sha256
    """)
    return {sha256: (name, size) for sha256, name, size in rows}


def make_whole(database: Database, shapes: Collection[str]) -> None:
    """Inside an enrolment: where the files of today show a part of a call only, its row tells the whole story that is
    kept, with the lead that it has found."""
    parts = database.rows(
        f"""
        SELECT sighting.rowid, sighting.lead_id, leadless.facts, leadless.payload, leadless.legs, leadless.started_at,
            leadless.recording
        FROM temp.sighting CROSS JOIN leadless USING (key)
        WHERE {_WAITS} AND {_OF_SHAPES} AND {_IS_NO_ITEM} AND NOT {shows_all_legs("leadless", "sighting")}
        """,
        _shapes(shapes),
    )
    database.execute_many(
        "UPDATE temp.sighting SET facts = ?, payload = ?, legs = ?, started_at = ?, recording = ? WHERE rowid = ?",
        (
            (facts, _payload(payload, lead_id), legs, started_at, recording, rowid)
            for rowid, lead_id, facts, payload, legs, started_at, recording in parts
        ),
    )


def pass_over(database: Database, places: Iterable[models.Place]) -> None:
    """Inside an enrolment: the rows there are no calls of their own."""
    database.execute_many("INSERT INTO temp.passed_over VALUES (?, ?)", places)


def stand_back_today(database: Database) -> None:
    """Inside an enrolment: those stand back that the files of today have as well, or have something so near that it may
    be the same call under another id."""
    if database.one("SELECT 1 FROM temp.latecomer") is None:
        return
    counts = "(sighting.source, sighting.row) NOT IN (SELECT source, row FROM temp.passed_over)"
    database.execute(f"""
        UPDATE temp.latecomer SET stands_back = 1 WHERE key IN (
            SELECT key FROM temp.sighting CROSS JOIN temp.latecomer USING (key) WHERE {counts}
            UNION ALL
            SELECT latecomer.key FROM temp.sighting CROSS JOIN temp.latecomer
                ON latecomer.phone = sighting.phone AND latecomer.direction = sighting.direction
                AND latecomer.started_at BETWEEN sighting.started_at - {NEAR_SECONDS}
                AND sighting.started_at + {NEAR_SECONDS}
            WHERE {counts})
    """)


def stand_back(database: Database, keys: Iterable[str]) -> None:
    """Inside an enrolment: these do not come along with this run."""
    database.execute_many("UPDATE temp.latecomer SET stands_back = 1 WHERE key = ?", ((key,) for key in keys))


def stand_apart(database: Database) -> None:
    """Inside an enrolment: those stand back that are so near to one that comes along (the oldest comes first) that they
    may be the same call."""
    rows = database.stream(
        f"SELECT phone, direction, started_at, key FROM temp.latecomer WHERE {_COMES_ALONG} "
        "ORDER BY phone, direction, started_at, key"
    )
    near, last, whose = [], 0, None
    for phone, direction, started_at, key in rows:
        if whose == (phone, direction) and started_at - last <= NEAR_SECONDS:
            near.append(key)
        else:
            whose, last = (phone, direction), started_at
    stand_back(database, near)


def coming(database: Database, places: Callable[[str, int], models.Place]) -> Iterator[models.Sighting]:
    """Those that come along, the oldest first, each with its lead; `places` tells of a file's hash and a row where that
    is in this run."""
    found = database.stream(
        "SELECT latecomer.lead_id, source_sha256, source_row, key, reference, facts, payload, system, call_id, "
        "leadless.direction, leadless.phone, leadless.started_at, legs, recording "
        f"FROM temp.latecomer CROSS JOIN leadless USING (key) WHERE {_COMES_ALONG} "
        f"AND {checksum.is_sound('leadless')} ORDER BY leadless.started_at, key"
    )
    for lead_id, sha256, row, key, reference, facts, payload, system, call_id, *what in found:
        place = places(sha256, row)
        yield models.Sighting(
            place.source, place.row, key, reference, facts, _payload(payload, lead_id), system, call_id, lead_id, *what
        )


def marks(database: Database, places: Callable[[str, int], models.Place]) -> list[tuple[models.Place, str]]:
    """The marks of those that come along, and their places now."""
    found = database.rows(
        "SELECT source_sha256, source_row, mark FROM temp.latecomer CROSS JOIN leadless_origin USING (key) "
        f"CROSS JOIN leadless USING (key) WHERE {_COMES_ALONG}"
    )
    return [(places(sha256, row), mark) for sha256, row, mark in found]


def came_along(database: Database) -> int:
    """How many do."""
    return int(database.one(f"SELECT count(*) FROM temp.latecomer WHERE {_COMES_ALONG}"))


# Those of today


def see(database: Database, calls: Iterable[models.Sighting]) -> None:
    """Inside an enrolment: take a chunk of the calls of today that have no lead."""
    given = ", ".join("?" * len(models.Sighting._fields))
    database.execute_many(f"INSERT INTO temp.leadless_today VALUES ({given})", (tuple(one) for one in calls))


def sift(database: Database) -> None:
    """Once all were seen: of rows that tell two things of one call none is kept, of equal ones the first, and none that
    is passed over."""
    if database.one("SELECT 1 FROM temp.leadless_today") is None:
        return
    database.execute("CREATE INDEX temp.leadless_today_by_key ON leadless_today (key, facts)")
    database.execute("""
        DELETE FROM temp.leadless_today WHERE key IN (
            SELECT key FROM temp.leadless_today GROUP BY key HAVING min(facts) <> max(facts))
    """)
    database.execute("""
        DELETE FROM temp.leadless_today WHERE EXISTS (SELECT 1 FROM temp.leadless_today AS earlier
            WHERE earlier.key = leadless_today.key AND earlier.rowid < leadless_today.rowid)
    """)
    drop_passed_over(database)


def drop_passed_over(database: Database) -> None:
    """Inside an enrolment: what lies there does not begin to wait."""
    database.execute(
        "DELETE FROM temp.leadless_today WHERE (source, row) IN (SELECT source, row FROM temp.passed_over)"
    )


def mended_today(database: Database) -> dict[models.Place, str]:
    """The keys of those that mended rows have become, by their places; see core/row_origin.py."""
    found = database.rows(
        "SELECT DISTINCT source, row, key FROM temp.leadless_today JOIN temp.mended USING (source, row)"
    )
    return {models.Place(source, row): key for source, row, key in found}


def keep(
    database: Database, batch: models.Batch, shape: str, sources: Iterable[int], now: datetime, *, asks_crm: bool
) -> None:
    """Inside an enrolment, once it has entered its batch: remember the calls of these files that have no lead. One that
    is known keeps the day it was first seen on, and its story where the rows of today are a part of it only; it waits
    for the CRM once it does."""
    database.execute(
        f"""
        INSERT INTO leadless (key, shape, batch_id, source_sha256, source_row, {_COLUMNS}, first_seen_at, asks_crm)
        SELECT key, ?, ?, sha256, row, {_COLUMNS}, ?, ?
        FROM temp.leadless_today CROSS JOIN temp.batch_source USING (source)
        WHERE source IN (SELECT value FROM json_each(?)) ORDER BY leadless_today.rowid
        ON CONFLICT (key) DO UPDATE SET shape = excluded.shape, batch_id = excluded.batch_id,
            source_sha256 = excluded.source_sha256, source_row = excluded.source_row, facts = excluded.facts,
            payload = excluded.payload, legs = excluded.legs, started_at = excluded.started_at,
            direction = excluded.direction, phone = excluded.phone, recording = excluded.recording,
            asks_crm = max(asks_crm, excluded.asks_crm)
        WHERE {shows_all_legs("leadless", "excluded")}
        """,
        (shape, batch.id, _text(now), int(asks_crm), json.dumps(list(sources))),
    )
    database.execute("""
        INSERT INTO leadless_origin
        SELECT mark, key, NULL FROM temp.mended JOIN temp.leadless_today USING (source, row)
        WHERE EXISTS (SELECT 1 FROM leadless WHERE leadless.key = leadless_today.key) ON CONFLICT DO NOTHING
    """)


# At the end


def count(database: Database) -> int:
    """How many calls wait for a lead, whatever settings made them."""
    return int(database.one(f"SELECT count(*) FROM leadless WHERE {_WAITS} AND key NOT IN (SELECT key FROM item)"))


def forget_items(database: Database) -> None:
    """Inside an enrolment, once it has entered its batch: those that have become items wait no more."""
    database.execute("DELETE FROM leadless WHERE key IN (SELECT key FROM item)")


def give_up(
    database: Database,
    shapes: Collection[str],
    before: datetime,
    *,
    asked_crm: bool,
    undecided: Iterable[str] = (),
) -> int:
    """Forget the waiting calls of these shapes that were first seen before `before` and have no lead. Returns how many.

    Calls of other shapes stay: they wait for a run with their own settings. Calls that wait for the CRM stay until a
    run has asked it (`asked_crm`) and had an answer for their number (not in `undecided`).
    """
    with database.transaction():
        return database.execute(
            f"DELETE FROM leadless WHERE {_WAITS} AND {_OF_SHAPES} AND first_seen_at < ? AND asks_crm <= ? "
            "AND NOT EXISTS (SELECT 1 FROM temp.latecomer WHERE latecomer.key = leadless.key) "
            "AND phone NOT IN (SELECT value FROM json_each(?))",
            (*_shapes(shapes), _text(before), asked_crm, json.dumps(sorted(undecided))),
        )


def left(database: Database, shapes: Collection[str], before: datetime) -> tuple[int, int]:
    """How many calls of these shapes still have no lead: first seen since `before`, and earlier."""
    ((in_time, beyond),) = database.rows(
        "SELECT count(*) FILTER (WHERE first_seen_at >= ?1), count(*) FILTER (WHERE first_seen_at < ?1) FROM leadless "
        f"WHERE {_WAITS} AND shape IN (SELECT value FROM json_each(?2)) AND {_IS_NO_ITEM} "
        "AND NOT EXISTS (SELECT 1 FROM temp.latecomer WHERE latecomer.key = leadless.key)",
        (_text(before), *_shapes(shapes)),
    )
    return in_time, beyond


def stood_back(database: Database) -> int:
    """How many wait on though their lead is found."""
    return int(
        database.one(
            "SELECT count(*) FROM temp.latecomer CROSS JOIN leadless USING (key) "
            f"WHERE lead_id <> {SEVERAL} AND {_WAITS} AND {_IS_NO_ITEM}"
        )
    )


def undecided(database: Database) -> list[tuple[str, int]]:
    """The numbers that several leads have, most waiting calls first, with how many these are."""
    return database.rows(f"""
        SELECT latecomer.phone, count(*) AS calls FROM temp.latecomer CROSS JOIN leadless USING (key)
        WHERE lead_id = {SEVERAL} AND {_WAITS} AND {_IS_NO_ITEM} GROUP BY latecomer.phone ORDER BY calls DESC, 1
    """)


def withdraw(database: Database, batch_id: str, now: str) -> int:
    """A person gives up the calls of a batch that wait for a lead; how many they were."""
    return database.execute(
        f"UPDATE leadless SET withdrawn_at = ? WHERE {_WAITS} AND batch_id = ? AND key NOT IN (SELECT key FROM item)",
        (now, batch_id),
    )


def withdraw_one(database: Database, reference: str, now: str) -> int:
    """The same of one call, by its reference or key."""
    return database.execute(
        f"UPDATE leadless SET withdrawn_at = ? WHERE {_WAITS} AND (reference = ? OR key = ?) "
        "AND key NOT IN (SELECT key FROM item)",
        (now, reference.upper(), reference),
    )


def retry(database: Database, reference: str) -> int:
    """One that a person gave up, by its reference or key, waits again; 0 where there is none."""
    return database.execute(
        f"UPDATE leadless SET withdrawn_at = NULL WHERE NOT ({_WAITS}) AND (reference = ? OR key = ?)",
        (reference.upper(), reference),
    )


def judge_withdrawn(database: Database) -> None:
    """Inside an enrolment, whether it looks for leads or not: what a person gave up while it waited for a lead stays
    so, now that its number has one."""
    database.execute(
        "UPDATE temp.sighting SET verdict = 'withdrawn' WHERE verdict IS NULL AND key IN (SELECT key FROM leadless "
        f"WHERE NOT ({_WAITS}) AND NOT EXISTS (SELECT 1 FROM item WHERE item.key = leadless.key))"
    )


def _shapes(shapes: Collection[str]) -> tuple[str]:
    return (json.dumps(sorted(shapes)),)


def _payload(payload: str, lead_id: int) -> str:
    return payload.replace(_NO_LEAD, f'{{"lead_id": {lead_id},', 1)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
