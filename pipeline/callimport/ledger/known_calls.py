"""What the ledger knows of the calls of one run, as frames for the plan. It reads by index, and only what the calls
need: on a ledger of millions, a night costs what is new.

It keeps notes in temporary tables, so that a ledger that is opened read-only can be asked, too.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

import polars as pl

from callimport.core import errors
from callimport.core.decisions import ITEMS, NEIGHBOURS, SETTLED, Columns, LedgerView
from callimport.ledger import checksum
from callimport.ledger.database import Database

# From UTC-12 to UTC+14: so far apart may two times be that are one, read in two zones.
FARTHEST_ZONES_SECONDS = 26 * 3600
ROWS_AT_ONCE = 50_000

_ITEM = """
    item.key, item.reference, item.status, item.batch_id, item.plan, source.name, item.source_sha256, item.source_row,
    item.lead_id, item.direction, item.phone, item.started_at, item.facts, item.payload, item.staged, item.legs,
    item.next_facts, item.next_payload, item.next_batch_id, item.existing_id, item.update_refused
"""
# What few items have, see ITEMS.
_REST = {
    name: ITEMS[name]
    for name in ("unanswered", "held_facts", "retried", "withdrawn", "recordings", "uploaded", "next_recording")
}
_FACTS, _NEXT_FACTS = (list(ITEMS).index(name) for name in ("facts", "next_facts"))
_NEIGHBOUR = """
    item.key, item.reference, item.batch_id, source.name, item.source_row, item.system, item.status, item.existing_id,
    item.direction, item.phone, item.started_at, NOT source.has_seconds
"""
_NOT_SHOWN = """
    item.rowid NOT IN (SELECT item FROM temp.seen_item WHERE NOT comes_along)
    AND item.key NOT IN (SELECT key FROM temp.questioned)
"""
# Of settings ?1 and plan ?2. A failed item that comes along is pending again by then.
CARRIED = f"""
    (item.status IN ('pending', 'in_doubt')
        OR item.status = 'failed' AND item.rowid IN (SELECT item FROM temp.seen_item WHERE comes_along))
    AND ifnull(item.plan, ?2) IS ?2
    AND item.batch_id IN (SELECT id FROM batch WHERE settings_fingerprint = ?1) AND {_NOT_SHOWN}
    AND {checksum.is_sound()}
"""
# Delivered items with facts that runs with the settings ?2 have parked, whose update is neither held nor refused.
TO_UPDATE = """
    item.status = 'delivered' AND item.next_facts IS NOT NULL AND item.next_facts IS NOT item.update_refused
    AND item.rowid NOT IN (SELECT item FROM held_story)
    AND item.next_batch_id IN (SELECT id FROM batch WHERE settings_fingerprint = ?2)
"""
# A call that waits for a lead, and where it was seen last.
WAITING: Columns = {
    "key": pl.String,
    "shape": pl.String,
    "staged": pl.String,
    "phone": pl.String,
    "source_name": pl.String,
    "source_row": pl.Int64,
    "is_of_minute": pl.Boolean,
}
_WAITING = "item.key, item.shape, item.staged, item.phone, source.name, item.source_row, NOT source.has_seconds"


def begin(database: Database) -> None:
    """Nothing was shown yet."""
    for table in ("seen_item", "questioned"):
        database.execute(f"DROP TABLE IF EXISTS temp.{table}")
    database.execute(
        "CREATE TEMP TABLE seen_item (item INTEGER PRIMARY KEY, comes_along INTEGER NOT NULL DEFAULT 0) STRICT"
    )
    database.execute("CREATE TEMP TABLE questioned (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID")


class KnownCalls:
    """The reading of one run. Each item that it has shown counts as seen: it is none that comes along besides."""

    def __init__(self, database: Database) -> None:
        self._database = database
        begin(database)
        self._is_empty = database.one("SELECT 1 FROM item LIMIT 1") is None

    def view(self, calls: pl.DataFrame) -> LedgerView:
        """What matters for these calls (CALLS)."""
        settled = self._settled(calls)
        if self._is_empty:
            return LedgerView(settled=settled)
        items = self._items(calls["key"].to_list())
        self._refuse_lost_keys(calls.join(items, on="key", how="anti"))
        unsent = items.filter(pl.col("status") == "waiting")["key"]
        new = calls.filter(pl.col("payload").is_not_null()).join(
            items.filter(~pl.col("key").is_in(unsent.implode())), on="key", how="anti"
        )
        return LedgerView(items, self._neighbours(new), settled)

    def _refuse_lost_keys(self, new: pl.DataFrame) -> None:
        """A damaged index does not find an item by its key: its call would count as new, and be sent again. So new
        calls are looked for by their references, too. Raises LedgerError for one that is there."""
        found = self._database.one(
            "SELECT count(*) FROM json_each(?) AS wanted "
            "CROSS JOIN item ON item.reference = json_extract(wanted.value, '$[0]') "
            "AND +item.key = json_extract(wanted.value, '$[1]')",
            (json.dumps(new.select("reference", "key").rows()),),
        )
        if found:
            raise errors.LedgerError(
                f"an index of the ledger {self._database.place} is damaged ({found} of its calls not found by key): "
                "nothing was entered or sent; restore the ledger from a backup, then run again"
            )

    def question(self, keys: Collection[str]) -> None:
        """Rows of today contradict one another about these calls: their items do not come along."""
        self._database.execute(
            "INSERT OR IGNORE INTO temp.questioned SELECT value FROM json_each(?)", (json.dumps(list(keys)),)
        )

    def bring_along(self, keys: Collection[str]) -> None:
        """Today's calls say nothing of these items, though they have their keys: the items come along as they are."""
        self._database.execute(
            "UPDATE temp.seen_item SET comes_along = 1 WHERE item IN ("
            "SELECT item.rowid FROM json_each(?) CROSS JOIN item ON item.key = value)",
            (json.dumps(list(keys)),),
        )

    def _items(self, keys: list[str]) -> pl.DataFrame:
        found = self._database.rows(
            f"SELECT item.rowid, {_ITEM}, ifnull(NOT {checksum.is_sound(key='wanted.value')}, 1) "
            "FROM json_each(?) AS wanted CROSS JOIN item ON item.key = wanted.value "
            "JOIN source ON source.sha256 = item.source_sha256",
            (json.dumps(keys),),
        )
        # In one statement: outside a transaction, each is one of its own.
        self._database.execute(
            "INSERT OR IGNORE INTO temp.seen_item (item) SELECT value FROM json_each(?)",
            (json.dumps([row[0] for row in found]),),
        )
        return self._with_the_rest([row[1:] for row in found])

    def _with_the_rest(self, items: list[tuple[Any, ...]]) -> pl.DataFrame:
        """ITEMS, from rows of _ITEM and from what other tables tell of few of them."""
        keys = json.dumps([row[0] for row in items])
        unanswered = dict(
            self._among(keys, "unanswered_update", "key, json_group_array(json(changes))", "GROUP BY key")
        )
        held: dict[str, set[str]] = defaultdict(set)
        retried: dict[str, list[str]] = defaultdict(list)
        withdrawn: dict[str, list[str]] = defaultdict(list)
        for key, facts, decision in self._among(keys, "held_update", "key, facts, decision"):
            if decision is None:
                held[key].add(facts)
            else:
                (retried if decision == "retry" else withdrawn)[key].append(facts)
        names: dict[str, set[str]] = defaultdict(set)
        uploaded: dict[str, str] = {}
        in_crm = "iif(sha256 IS NOT NULL AND status <> 'refused', ifnull(name, ''), NULL)"
        for key, name, path, in_the_crm in self._among(keys, "recording", f"key, name, path, {in_crm}"):
            names[key] |= {text for text in (name, path) if text is not None}
            uploaded[key] = in_the_crm
        item_of = {row[0]: row for row in items}
        next_names: dict[str, str] = {}
        for key, facts, name in self._among(keys, "next_recording", "key, facts, name"):
            if facts == item_of[key][_FACTS]:
                names[key].add(name)
            if facts == item_of[key][_NEXT_FACTS]:
                next_names[key] = name
        rest = (
            (
                key,
                unanswered.get(key),
                item_of[key][_NEXT_FACTS] if item_of[key][_NEXT_FACTS] in held.get(key, ()) else None,
                retried.get(key, []),
                withdrawn.get(key, []),
                sorted(names.get(key, ())),
                uploaded.get(key),
                next_names.get(key),
            )
            for key in {*unanswered, *held, *retried, *withdrawn, *names, *uploaded, *next_names}
        )
        own = {name: kind for name, kind in ITEMS.items() if name not in _REST}
        return (
            frame(items, own)
            .join(frame(rest, {"key": pl.String, **_REST}), on="key", how="left", maintain_order="left")
            .with_columns(pl.col("retried", "withdrawn", "recordings").fill_null([]))
        )

    def _among(self, keys: str, table: str, columns: str, order: str = "") -> list[tuple[Any, ...]]:
        """Of a table that has few rows or none, those of these items."""
        if self._database.one(f"SELECT 1 FROM {table} LIMIT 1") is None:
            return []
        which = f"WHERE key IN (SELECT value FROM json_each(?)) {order}"
        return self._database.rows(f"SELECT {columns} FROM {table} {which}", (keys,))

    def _neighbours(self, new: pl.DataFrame) -> pl.DataFrame:
        asked = new.select("phone", "direction", "started_at").unique()
        found = self._database.rows(
            f"""
            SELECT DISTINCT {_NEIGHBOUR}
            FROM json_each(?) AS wanted CROSS JOIN item ON item.phone = json_extract(wanted.value, '$[0]')
                AND item.direction = json_extract(wanted.value, '$[1]')
                AND item.started_at BETWEEN json_extract(wanted.value, '$[2]') - {FARTHEST_ZONES_SECONDS}
                    AND json_extract(wanted.value, '$[2]') + {FARTHEST_ZONES_SECONDS}
                JOIN source ON source.sha256 = item.source_sha256
            WHERE item.payload IS NOT NULL AND {checksum.is_sound()}
            """,
            (json.dumps(asked.rows()),),
        )
        return frame(found, NEIGHBOURS)

    def _settled(self, calls: pl.DataFrame) -> pl.DataFrame:
        marks = calls["marks"].explode().drop_nulls().unique().to_list()
        if not marks:
            return pl.DataFrame(schema=SETTLED)
        found = self._database.rows(
            """
            SELECT fingerprint, item.key, item.reference, item.status NOT IN ('failed', 'refused', 'withdrawn')
                OR (item.status = 'withdrawn' AND (item.existing_id IS NOT NULL
                    OR item.key IN (SELECT key FROM verdict WHERE kind = 'withdraw')))
            FROM rejected_row JOIN item ON item.key = rejected_row.became
            WHERE fingerprint IN (SELECT value FROM json_each(?))
            """,
            (json.dumps(marks),),
        )
        return frame(found, SETTLED)

    # Items that today's files need not show

    def carried(self, settings_fingerprint: str, plan: str | None) -> Iterator[pl.DataFrame]:
        """Items pending and in doubt that were entered with these settings, and that no call of today is; not those
        that are bound to another plan, nor damaged ones."""
        yield from self._besides(CARRIED, (settings_fingerprint, plan))

    def parked(self, settings_fingerprint: str, batch_id: str | None = None) -> Iterator[pl.DataFrame]:
        """Items of TO_UPDATE that no call of today is; with `batch_id` those of this batch alone."""
        yield from self._besides(
            f"{_NOT_SHOWN} AND {checksum.is_sound()} AND {TO_UPDATE} AND ifnull(?1, next_batch_id) = next_batch_id",
            (batch_id, settings_fingerprint),
        )

    def _besides(self, which: str, values: tuple[Any, ...]) -> Iterator[pl.DataFrame]:
        rows = self._database.stream(
            f"SELECT {_ITEM}, 0 FROM item JOIN source ON source.sha256 = item.source_sha256 WHERE {which}", values
        )
        for chunk in chunks(rows):
            yield self._with_the_rest(chunk)

    def waiting(self, shapes: Collection[str]) -> Iterator[pl.DataFrame]:
        """Items that wait for a lead under settings of these shapes, and that no call of today is (WAITING)."""
        rows = self._database.stream(
            f"SELECT {_WAITING} FROM item JOIN source ON source.sha256 = item.source_sha256 "
            f"WHERE item.status = 'waiting' AND item.shape IN (SELECT value FROM json_each(?)) AND {_NOT_SHOWN} "
            f"AND {checksum.is_sound()}",
            (json.dumps(sorted(shapes)),),
        )
        for chunk in chunks(rows):
            yield frame(chunk, WAITING)


def chunks(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    while chunk := list(itertools.islice(rows, ROWS_AT_ONCE)):
        yield chunk


def frame(rows: Any, columns: Columns) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=columns, orient="row", infer_schema_length=None)
