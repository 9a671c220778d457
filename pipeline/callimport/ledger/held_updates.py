"""Updates that are held, because the new facts of a known call probably belong to another call under the same id.

`judge` runs inside the enrolment, before new facts are parked beside their items. The table `held_update` keeps what
was held and what a person decided. Facts that a person withdrew count as known. Other facts are compared again with
the facts of the item.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from callimport.core import errors, humanize, models
from callimport.ledger import checksum, queries
from callimport.ledger.database import Database

SAME_START_SECONDS = 60
# A run stops if it would hold so many updates, and more than this share of the known calls.
MANY = 50
MANY_SHARE = 0.05

_IS_HELD = "item.status = 'delivered' AND item.rowid IN (SELECT item FROM held_story)"
_NAMED = "(item.reference = upper(:name) OR item.key = :name)"

# The known calls of the batch whose facts changed, by the row numbers of sighting and item.
_CHANGED = """
    CREATE TEMP TABLE changed (
        sighting INTEGER PRIMARY KEY,
        item INTEGER NOT NULL,
        is_another INTEGER NOT NULL DEFAULT 0,
        is_held INTEGER NOT NULL DEFAULT 0
    ) STRICT
"""
_CHANGED_CALLS = """
    temp.changed CROSS JOIN temp.sighting ON sighting.rowid = changed.sighting
        CROSS JOIN item ON item.rowid = changed.item
"""


def _talk(of: str) -> str:
    return f"json_extract({of}.payload, '$.call_duration')"


def _text(of: str) -> str:
    """The description without our reference, null where that is blank."""
    description = f"ifnull(json_extract({of}.payload, '$.description'), '')"
    return f"nullif(trim(replace({description}, '[ref ' || item.reference || ']', '')), '')"


def _legs(of: str) -> str:
    return f"""SELECT value FROM json_each('["' || replace({of}.legs, char(10), '","') || '"]') WHERE value <> ''"""


_IS_ANOTHER_CALL = f"""
    abs(sighting.started_at - item.started_at) > {SAME_START_SECONDS}
    AND {_talk("sighting")} <> {_talk("item")}
    AND ifnull({_text("sighting")} <> {_text("item")}, 1)
    AND (ifnull(sighting.recording, '') = '' OR sighting.recording NOT IN (
        SELECT ifnull(name, '') FROM recording WHERE recording.key = item.key
        UNION SELECT ifnull(path, '') FROM recording WHERE recording.key = item.key
        UNION SELECT name FROM next_recording AS named WHERE named.key = item.key AND named.facts = item.facts))
    AND NOT EXISTS ({_legs("sighting")} INTERSECT {_legs("item")})
    AND sighting.facts IS NOT item.update_refused
"""
_OF_CALL = f"""
    WHERE decision IS NULL AND (key, facts) IN (
        SELECT item.key, item.next_facts FROM item WHERE item.status = 'delivered' AND {_NAMED})
"""


@dataclass(frozen=True, slots=True)
class HeldUpdate:
    """A delivered call whose update is held; `listed` tells why. `is_of_run`: the item is one of this run, not only a
    known call of its files."""

    listed: models.Listed
    is_of_run: bool
    is_adopted: bool


def judge(database: Database, now: str) -> None:
    """Fill temp.changed with the known calls whose facts changed, and mark the calls that are probably another call.
    Facts that a person withdrew are left out.

    Raises GuardStopped if too many updates would be held.
    """
    database.execute("DROP TABLE IF EXISTS temp.changed")
    database.execute(_CHANGED)
    database.execute("""
        INSERT INTO temp.changed (sighting, item)
        SELECT again.sighting, again.item FROM temp.again CROSS JOIN item ON item.rowid = again.item
        WHERE item.facts <> again.facts AND (again.verdict IS NULL OR again.verdict = 'unchanged')
            AND item.status IN ('delivered', 'in_flight', 'in_doubt', 'held')
            AND NOT EXISTS (SELECT 1 FROM held_update AS known
                WHERE known.key = item.key AND known.facts = again.facts AND known.decision = 'withdraw')
    """)
    database.execute(f"""
        UPDATE temp.changed SET is_another = 1, is_held = NOT found.is_same FROM (
            SELECT changed.sighting, EXISTS (SELECT 1 FROM held_update AS known WHERE known.key = item.key
                AND known.facts = sighting.facts AND known.decision = 'retry') AS is_same
            FROM {_CHANGED_CALLS} WHERE {_IS_ANOTHER_CALL}) AS found
        WHERE changed.sighting = found.sighting
    """)
    _refuse_many(database)
    # Held before, and no longer probably another call: the facts of the item have changed since.
    database.execute(f"""
        DELETE FROM held_update WHERE decision IS NULL
            AND (key, facts) IN (SELECT item.key, sighting.facts FROM {_CHANGED_CALLS} WHERE NOT is_held)
    """)
    database.execute_many(
        "INSERT INTO held_update (key, facts, evidence, held_at) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (key, facts) DO UPDATE SET evidence = excluded.evidence",
        ((key, facts, evidence, now) for key, facts, evidence in _newly_held(database)),
    )


def _refuse_many(database: Database) -> None:
    held = int(database.one("SELECT count(*) FROM temp.changed WHERE is_held"))
    if held < MANY:
        return
    known = int(database.one("SELECT count(*) FROM temp.sighting WHERE verdict = 'unchanged'"))
    if held > MANY_SHARE * known:
        _, _, example = _newly_held(database, limit=1)[0]
        raise errors.GuardStopped(
            f"{held:,} known calls would be held, because their ids seem to belong to other calls now ({example}). If "
            "the phone system restarted its ids, import the new files with another --system name. If they are the "
            "same calls and a profile or a setting changed, undo that change and run again. Nothing of these files was "
            "entered"
        )


def _newly_held(database: Database, limit: int = -1) -> list[tuple[str, str, str]]:
    """Key, new facts and evidence of each update that is to be held."""
    found = database.rows(
        f"""
        SELECT item.key, sighting.facts, sighting.row, source.name, item.started_at, sighting.started_at,
            {_talk("item")}, {_talk("sighting")}
        FROM {_CHANGED_CALLS} CROSS JOIN temp.batch_source ON batch_source.source = sighting.source
            CROSS JOIN source ON source.sha256 = batch_source.sha256
        WHERE is_held ORDER BY sighting.source, sighting.row LIMIT ?
        """,
        (limit,),
    )
    return [(key, facts, _evidence(*told)) for key, facts, *told in found]


def _evidence(row: int, source: str, known_start: int, start: int, known_talk: int, talk: int) -> str:
    known, away = datetime.fromtimestamp(known_start, UTC), humanize.told(abs(start - known_start))
    return (
        f"row {row} of {source} has the id of the call of {known:%Y-%m-%d %H:%M:%S}Z, but begins {away} "
        f"{'later' if start > known_start else 'earlier'} and lasted {talk} s instead of {known_talk} s, and nothing "
        "else is the same: probably another call"
    )


def of_run(database: Database) -> list[HeldUpdate]:
    """The held updates of this run: of its items, and of known calls in its files. Oldest call first."""
    is_of_run = "item.rowid IN (SELECT item FROM temp.member)"
    seen = "item.key IN (SELECT key FROM temp.sighting WHERE verdict = 'unchanged')"
    found = _rows(database, f"({is_of_run} OR {seen})", f", {is_of_run}, item.adopted")
    return [HeldUpdate(queries.listed(row), bool(of_run), bool(adopted)) for *row, of_run, adopted in found]


def items(database: Database, batch_id: str | None = None) -> list[models.Listed]:
    """The calls of the ledger whose update is held; with `batch_id` only updates from that batch. Oldest call first."""
    found = _rows(database, "(:batch IS NULL OR item.next_batch_id = :batch)", batch=batch_id)
    return [queries.listed(row) for row in found]


def _rows(database: Database, which: str, more: str = "", **values: str | None) -> list[tuple[Any, ...]]:
    """Rows for `queries.listed`, with the evidence as the reason."""
    return database.rows(
        f"""
        SELECT item.reference, source.name, item.source_row, item.status, item.lead_id, item.direction, item.phone,
            item.started_at, item.communication_id, evidence, 1 {more}
        FROM held_story CROSS JOIN item ON item.rowid = held_story.item
            JOIN source ON source.sha256 = item.source_sha256
        WHERE item.status = 'delivered' AND {which} AND {checksum.is_sound()} ORDER BY item.started_at, item.key
        """,
        values,
    )


def count(database: Database) -> int:
    """How many calls of the ledger have a held update."""
    return int(database.one(f"SELECT count(*) FROM item WHERE {_IS_HELD}"))


def retry(database: Database, name: str, now: str) -> int:
    """Note that a person says it is the same call: the next run sends the update. Returns how many updates."""
    return database.execute(
        f"UPDATE held_update SET decision = 'retry', decided_at = :now {_OF_CALL}", {"name": name, "now": now}
    )


def withdraw(database: Database, name: str, now: str) -> int:
    """Note that a person says it is another call: its facts count as known. Returns how many updates."""
    # An earlier update may have reached the CRM. The CRM is then told again what the call is.
    told = "EXISTS (SELECT 1 FROM unanswered_update WHERE unanswered_update.key = item.key)"
    keys = [key for (key,) in database.rows(f"SELECT key FROM item WHERE {_IS_HELD} AND {_NAMED}", {"name": name})]
    database.execute(
        f"UPDATE held_update SET decision = 'withdraw', decided_at = :now {_OF_CALL}", {"name": name, "now": now}
    )
    for key in keys:
        database.execute(
            f"UPDATE item SET next_facts = iif({told}, facts, NULL), next_payload = iif({told}, payload, NULL), "
            f"next_legs = iif({told}, legs, NULL), moved_at = ? WHERE key = ?",
            (now, key),
        )
    return len(keys)


def is_held(database: Database, name: str) -> bool:
    """Whether the call of that reference or key has a held update."""
    return bool(database.one(f"SELECT EXISTS (SELECT 1 FROM item WHERE {_IS_HELD} AND {_NAMED})", {"name": name}))
