"""Phase one: every valid call of all sources becomes an item of the batch, whole or not at all.

It is one transaction. Whoever kills it finds the ledger as it was before, and the next run starts over. Sightings are
kept in a temporary table on disk, so that a million of them need no memory.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from callimport.core import models
from callimport.ledger import checksum, held_updates, look_alikes, recordings, row_origins, waiting_items
from callimport.ledger.database import Database

REUSED_AFTER_SECONDS = 24 * 3600
# So many rows are entered in no time either way.
SMALL = 10_000

# The columns of models.Sighting, and what a sighting was found to be.
_SIGHTING = """
    CREATE TEMP TABLE sighting (
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
        recording TEXT,
        verdict TEXT
    ) STRICT
"""
_BATCH_SOURCE = "CREATE TEMP TABLE batch_source (source INTEGER PRIMARY KEY, sha256 TEXT NOT NULL) STRICT"
# The sightings whose key an item has, by the row numbers of both. Keys are looked up once, here: they are random, and
# to look up a million of them in a large ledger takes longer than all that is then asked about them.
_KNOWN = """
    CREATE TEMP TABLE known (
        sighting INTEGER PRIMARY KEY,
        item INTEGER NOT NULL,
        is_as_entered INTEGER NOT NULL
    ) STRICT
"""
# Those of them that there is something to judge about, with the rows of their items. (CROSS JOIN is a join in the order
# as written: SQLite knows nothing of the sizes of these tables and might begin at the wrong end.)
_AGAIN = """
    CREATE TEMP VIEW again AS
    SELECT sighting.*, sighting.rowid AS sighting, batch_source.sha256, known.item
    FROM temp.known CROSS JOIN temp.sighting ON sighting.rowid = known.sighting
        CROSS JOIN temp.batch_source USING (source)
    WHERE NOT known.is_as_entered
"""
# The items of this run by their row numbers, counted at its end by where they then stand.
_MEMBER = "CREATE TEMP TABLE member (item INTEGER PRIMARY KEY, carried INTEGER NOT NULL) STRICT"
_CONTRADICTED = "CREATE TEMP TABLE contradicted (key TEXT PRIMARY KEY) STRICT"
_ID_REUSED = models.Reason(
    "id_reused",
    "this call_id belongs to another call already (other number or direction, or more than 24 hours away); if the "
    "phone system started counting anew, give it another --system name",
)
_STORY_OF_SIGHTING = """
    batch_id = :batch, source_sha256 = again.sha256, source_row = again.row, reference = again.reference,
    lead_id = again.lead_id, started_at = again.started_at, facts = again.facts, payload = again.payload,
    legs = again.legs, next_facts = NULL, next_payload = NULL, next_legs = NULL, moved_at = :now
"""
_SHOWS_ALL_LEGS = waiting_items.shows_all_legs("item", "again")
_SHOWS_ALL_LEGS_OF_SIGHTING = waiting_items.shows_all_legs("item", "sighting")


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What became of the sightings: counts by ending, and the rows that cannot be calls after all. `parked` counts the
    calls of the whole ledger beside which another story lies."""

    unchanged: int = 0
    changed: int = 0
    withdrawn: int = 0
    existing: int = 0
    gone: int = 0
    carried: int = 0
    parked: int = 0
    rejects: tuple[models.RejectedRow, ...] = ()


class Enrolment:
    """Gathers the sightings of one batch, judges them together, enters them together."""

    def __init__(self, database: Database, batch: models.Batch, now: datetime, in_flight: Iterable[str]) -> None:
        """`in_flight` are the keys that this run found in flight: they belong to its account of itself, whatever
        batch they came from."""
        self._database = database
        self._batch = batch
        self._now = now.isoformat(timespec="milliseconds")
        self._in_flight = in_flight
        self._names_recordings = False
        self._systems: set[str] = set()
        begin(database)
        database.execute_many(
            "INSERT INTO temp.batch_source VALUES (?, ?)",
            ((number, source.sha256) for number, source in enumerate(batch.sources)),
        )

    def see(self, sightings: Iterable[models.Sighting]) -> None:
        """Take a chunk of sightings; nothing is entered yet."""
        given = ", ".join("?" * len(models.Sighting._fields))
        self._database.execute_many(f"INSERT INTO temp.sighting VALUES ({given}, NULL)", self._noticed(sightings))

    def _noticed(self, sightings: Iterable[models.Sighting]) -> Iterator[tuple[object, ...]]:
        for one in sightings:
            if one.recording is not None:
                self._names_recordings = True
            self._systems.add(one.system)
            # Of a million, a fifth of the time: sqlite3 takes plain tuples by a shorter way than those with names.
            yield tuple(one)

    def note_origins(
        self, mended: Iterable[tuple[models.Place, str]], repeated: Iterable[tuple[models.Place, str]]
    ) -> None:
        """Where rows lie that replace rejected ones, and where rows that are known by their own mark; see `Origins`."""
        row_origins.note(self._database, mended, repeated)

    def note_contradicted(self, keys: Iterable[str]) -> None:
        """Rows that contradict one another have these keys: items with these keys stay as they are."""
        self._database.execute_many("INSERT INTO temp.contradicted VALUES (?)", ((key,) for key in keys))

    def enter(self) -> Enrolled:
        """Judge, then enter what is left. Once, as the last thing in the transaction.

        Raises GuardStopped where the calls are known ones in another time zone.
        """
        if self._database.one("SELECT EXISTS (SELECT 1 FROM leadless WHERE withdrawn_at IS NOT NULL)"):
            waiting_items.judge_withdrawn(self._database)
        row_origins.judge_repeated(self._database)
        self._find_known()
        self._judge_reused_ids()
        row_origins.judge_mended(self._database)
        self._enter_batch()
        self._judge_known()
        self._judge_parts()
        changed = self._park_changes()
        self._replace_pending()
        look_alikes.judge(self._database, has_several_systems=len(self._systems) > 1)
        self._join_known()
        self._insert_new()
        row_origins.keep(self._database)
        if self._names_recordings:
            recordings.note(self._database, self._now)
        look_alikes.hold_look_alikes(self._database, self._now)
        carried = _carry_pending(self._database, self._batch.id)
        found, parked = _carry_keys(self._database, self._in_flight)
        by_verdict = "SELECT verdict, count(*) FROM temp.sighting WHERE verdict IS NOT NULL GROUP BY verdict"
        counts = dict(self._database.rows(by_verdict))
        return Enrolled(
            unchanged=counts.get("unchanged", 0) + counts.get("replaced", 0),
            changed=changed,
            withdrawn=counts.get("withdrawn", 0),
            existing=counts.get("existing", 0),
            gone=counts.get("gone", 0),
            carried=carried + found,
            parked=parked,
            rejects=(*self._reused_ids(), *row_origins.rejects(self._database)),
        )

    def _find_known(self) -> None:
        """Nothing needs to be done about a pending item of this very batch whose row tells what it told before: a
        payload names direction, number and time of its call, too. Nothing is done about a damaged item."""
        self._run(f"""
            INSERT INTO temp.known
            SELECT sighting.rowid, item.rowid, NOT {checksum.is_sound()} OR (
                item.status = 'pending' AND item.next_facts IS NULL
                AND item.batch_id = :batch AND item.source_sha256 = batch_source.sha256
                AND (item.source_row, item.facts, item.payload) = (sighting.row, sighting.facts, sighting.payload)
                AND item.legs IS sighting.legs)
            FROM temp.sighting CROSS JOIN temp.batch_source USING (source) CROSS JOIN item USING (key)
            WHERE sighting.verdict IS NULL
        """)

    def _judge_reused_ids(self) -> None:
        self._run(
            """
            UPDATE temp.sighting SET verdict = 'id_reused' FROM temp.again CROSS JOIN item ON item.rowid = again.item
            WHERE sighting.rowid = again.sighting AND (
                item.direction <> again.direction OR item.phone <> again.phone
                OR abs(item.started_at - again.started_at) > :seconds)
            """,
            seconds=REUSED_AFTER_SECONDS,
        )

    def _enter_batch(self) -> None:
        for source in self._batch.sources:
            self._run(
                "INSERT INTO source VALUES (:sha256, :name, :size, NULL) ON CONFLICT DO NOTHING",
                sha256=source.sha256,
                name=source.name,
                size=source.size,
            )
        self._run(
            """
            INSERT INTO batch (id, settings, settings_fingerprint, enrolled_at)
            VALUES (:batch, :settings, :fingerprint, :now)
            ON CONFLICT (id) DO UPDATE SET enrolled_at = excluded.enrolled_at, withdrawn_at = NULL
            """,
            settings=json.dumps(self._batch.settings, ensure_ascii=False, sort_keys=True),
            fingerprint=self._batch.settings_fingerprint,
        )

    def _judge_known(self) -> None:
        """The calls that this run has nothing to do for: delivered before, found to be there, given up by a person."""
        self._run("""
            UPDATE temp.sighting SET verdict = CASE WHEN item.status = 'delivered' THEN 'unchanged'
                WHEN item.status = 'withdrawn' AND item.existing_id IS NOT NULL THEN 'existing' ELSE item.status END
            FROM temp.again CROSS JOIN item ON item.rowid = again.item
            WHERE sighting.rowid = again.sighting AND again.verdict IS NULL
                AND item.status IN ('delivered', 'withdrawn', 'gone')
        """)

    def _judge_parts(self) -> None:
        """Of a call that was not sent yet some rows only: it keeps its story, which is carried along if it may be."""
        part = f"again.verdict IS NULL AND NOT {_SHOWS_ALL_LEGS}"
        self._run(f"""
            UPDATE item SET status = 'pending', reason = NULL, moved_at = :now FROM temp.again
            WHERE item.rowid = again.item AND item.status = 'failed' AND {part}
        """)
        self._run(f"""
            UPDATE temp.sighting SET verdict = 'unchanged' FROM temp.again CROSS JOIN item ON item.rowid = again.item
            WHERE sighting.rowid = again.sighting AND item.status = 'pending' AND {part}
        """)

    def _park_changes(self) -> int:
        """Another hash while the call is delivered or not ours to touch: kept beside it until it may be applied.
        Returns how many calls changed, without the held updates."""
        # Taken back, it is no change any more; unless the CRM may have been told, so that it must be told again.
        told = "EXISTS (SELECT 1 FROM unanswered_update WHERE unanswered_update.key = item.key)"
        self._run(f"""
            UPDATE item SET next_facts = iif({told}, again.facts, NULL), next_batch_id = :batch,
                next_payload = iif({told}, again.payload, NULL), next_legs = iif({told}, again.legs, NULL)
            FROM temp.again
            WHERE item.rowid = again.item AND item.facts = again.facts AND item.next_facts IS NOT NULL
                AND (again.verdict IS NULL OR again.verdict = 'unchanged')
        """)
        held_updates.judge(self._database, self._now)
        parked = self._run(f"""
            UPDATE item SET next_facts = sighting.facts, next_payload = sighting.payload, next_legs = sighting.legs,
                next_batch_id = :batch
            FROM temp.changed CROSS JOIN temp.sighting ON sighting.rowid = changed.sighting
            WHERE item.rowid = changed.item AND (is_another OR {_SHOWS_ALL_LEGS_OF_SIGHTING})
        """)
        return parked - int(self._database.one("SELECT count(*) FROM temp.changed WHERE is_held"))

    def _replace_pending(self) -> None:
        """What never reached the CRM takes the newest story, except a story that was held while the call was in doubt.
        What the CRM refused takes the newest story only if it changed."""
        self._run(f"""
            UPDATE item SET {_STORY_OF_SIGHTING} FROM temp.again
            WHERE item.rowid = again.item AND again.verdict IS NULL AND item.status = 'pending'
                AND NOT (item.rowid IN (SELECT item FROM held_story) AND item.next_facts = again.facts)
                AND (item.batch_id <> :batch OR item.facts <> again.facts OR item.payload <> again.payload
                    OR (item.source_sha256, item.source_row) <> (again.sha256, again.row))
        """)
        self._run(f"""
            UPDATE item SET status = 'pending', reason = NULL, {_STORY_OF_SIGHTING} FROM temp.again
            WHERE item.rowid = again.item AND again.verdict IS NULL
                AND (item.status = 'failed'
                    OR (item.status = 'refused' AND item.facts <> again.facts AND {_SHOWS_ALL_LEGS}))
        """)

    def _join_known(self) -> None:
        self._run("""
            INSERT INTO temp.member SELECT known.item, 0
            FROM temp.known CROSS JOIN temp.sighting ON sighting.rowid = known.sighting WHERE verdict IS NULL
        """)

    def _insert_new(self) -> None:
        last = int(self._database.one("SELECT ifnull(max(rowid), 0) FROM item"))
        with self._indexes_made_afterwards():
            self._insert()
        self._run("INSERT INTO temp.member SELECT rowid, 0 FROM item WHERE rowid > :last", last=last)

    @contextlib.contextmanager
    def _indexes_made_afterwards(self) -> Iterator[None]:
        """A million items put into five indexes one by one take minutes; of all at once each index takes seconds.

        The trigger that a new item is pending makes SQLite write all of them down once more before the first is
        entered; what enters them names no status, so they are, and the trigger stands again with the indexes.
        """
        entered = int(self._database.one("SELECT ifnull(max(rowid), 0) FROM temp.sighting"))
        known = int(self._database.one("SELECT count(*) FROM item"))
        set_aside = self._database.rows(
            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name = 'item' "
            # A partial index has next to nothing of new items.
            "AND ((type = 'index' AND instr(sql, ' WHERE ') = 0) OR name = 'items_begin_pending')"
        )
        is_large = entered > max(known, SMALL)
        for kind, name, _ in set_aside if is_large else ():
            self._database.execute(f"DROP {kind} {name}")
        yield
        for _, _, creation in set_aside if is_large else ():
            self._database.execute(creation)

    def _insert(self) -> None:
        values = {name: name for name in ("key", "reference", "system", "call_id", "lead_id", "direction", "phone")}
        values |= {name: name for name in ("started_at", "facts", "payload", "legs")}
        values |= {"batch_id": ":batch", "source_sha256": "sha256", "source_row": "row", "moved_at": ":now"}
        self._run(f"""
            INSERT INTO item ({", ".join(values)}, checksum)
            SELECT {", ".join(values.values())}, {checksum.of_new_item(values)}
            FROM temp.sighting CROSS JOIN temp.batch_source USING (source)
            WHERE verdict IS NULL AND sighting.rowid NOT IN (SELECT sighting FROM temp.known)
        """)

    def _reused_ids(self) -> Iterator[models.RejectedRow]:
        found = self._database.stream(
            "SELECT source, row FROM temp.sighting WHERE verdict = 'id_reused' ORDER BY source, row"
        )
        for source, row in found:
            yield models.RejectedRow(models.Place(source, row), (_ID_REUSED,))

    def _run(self, sql: str, **values: Any) -> int:
        named = {"batch": self._batch.id, "now": self._now, **values}
        return self._database.execute(sql, {name: named[name] for name in named if f":{name}" in sql})


def resume(database: Database, batch_id: str, in_flight: Iterable[str]) -> Enrolled:
    """Take up a batch without its sources: everything of it that has not ended is carried."""
    begin(database)
    carried = database.execute(
        "INSERT INTO temp.member SELECT rowid, 1 FROM item WHERE batch_id = :batch AND status IN ('in_doubt', 'held') "
        "OR next_batch_id = :batch AND status = 'delivered' AND rowid IN (SELECT item FROM held_story)",
        {"batch": batch_id},
    )
    carried += _carry_pending(database, batch_id)
    found, parked = _carry_keys(database, in_flight)
    return Enrolled(carried=carried + found, parked=parked)


def _carry_pending(database: Database, batch_id: str) -> int:
    """Pending items come along if the very same settings shaped them, unless their row is in question today; those in
    doubt, too: proved absent, they are sent by this run."""
    carried = database.execute(
        """
        INSERT INTO temp.member SELECT item.rowid, 1 FROM item JOIN batch ON batch.id = item.batch_id
        WHERE item.status IN ('pending', 'in_doubt')
            AND batch.settings_fingerprint = (SELECT settings_fingerprint FROM batch WHERE id = ?)
            AND item.rowid NOT IN (SELECT item FROM temp.member)
            AND key NOT IN (SELECT key FROM temp.contradicted)
        """,
        (batch_id,),
    )
    database.execute(
        "UPDATE item SET batch_id = ? "
        "WHERE rowid IN (SELECT item FROM temp.member WHERE carried = 1) AND status = 'pending'",
        (batch_id,),
    )
    return carried


def begin(database: Database) -> None:
    """Nothing was seen yet, and no item is of this run."""
    database.execute("DROP VIEW IF EXISTS temp.again")
    for table in ("sighting", "batch_source", "known", "member", "contradicted"):
        database.execute(f"DROP TABLE IF EXISTS temp.{table}")
    for creation in (_SIGHTING, _BATCH_SOURCE, _KNOWN, _AGAIN, _MEMBER, _CONTRADICTED):
        database.execute(creation)
    row_origins.begin(database)


def _carry_keys(database: Database, keys: Iterable[str]) -> tuple[int, int]:
    """How many more come along; and, asked in the same breath, beside how many calls another story lies."""
    before = int(database.one("SELECT count(*) FROM temp.member"))
    database.execute_many(
        "INSERT INTO temp.member SELECT rowid, 1 FROM item WHERE key = ? ON CONFLICT DO NOTHING",
        ((key,) for key in keys),
    )
    members, parked = database.rows(
        "SELECT (SELECT count(*) FROM temp.member), (SELECT count(*) FROM item WHERE next_facts IS NOT NULL)"
    )[0]
    return members - before, parked
