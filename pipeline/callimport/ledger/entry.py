"""Write a plan down: one transaction, before anything is sent. From then on its files are not needed.

If it is killed, the ledger stays as it was. Each move must change exactly the planned number of items.
"""

import contextlib
import json
import zlib
from collections.abc import Iterable, Iterator

import polars as pl

from callimport.core import errors
from callimport.core.decisions import Decision, Entry, Plan, PlannedCalls, PlanSettings, updates_as_text
from callimport.ledger import checksum, known_calls, recordings
from callimport.ledger.database import Database

# Up to so many rows, dropping the indexes saves no time.
SMALL = 10_000
# Items of a run, counted at its end by where they then stand; and what its files tell of known calls.
_TABLES = {
    "member": "CREATE TEMP TABLE member (item INTEGER PRIMARY KEY, carried INTEGER NOT NULL) STRICT",
    "told": (
        "CREATE TEMP TABLE told (key TEXT PRIMARY KEY, source_name TEXT NOT NULL, row INTEGER NOT NULL, "
        "recording TEXT, is_known INTEGER NOT NULL) STRICT, WITHOUT ROWID"
    ),
}
_COLUMNS = (
    "key", "reference", "batch_id", "source_sha256", "source_row", "system", "call_id", "lead_id", "direction", "phone",
    "started_at", "facts", "payload", "staged", "shape", "asks_crm", "legs", "status", "entered_at", "moved_at",
)  # fmt: skip
_REPLACED = (
    "reference", "batch_id", "source_sha256", "source_row", "lead_id", "started_at", "facts", "payload", "staged",
    "shape", "legs",
)  # fmt: skip
_UNTOLD = "NOT EXISTS (SELECT 1 FROM unanswered_update WHERE unanswered_update.key = item.key)"


def begin(database: Database) -> None:
    """Empty the temporary tables of the run."""
    for name, creation in _TABLES.items():
        database.execute(f"DROP TABLE IF EXISTS temp.{name}")
        database.execute(creation)


def resume(database: Database, batch_id: str, plan: str | None, in_flight: Iterable[str]) -> int:
    """Take up a batch without its files. Returns how many items come along."""
    carried = take_along(database, batch_id, plan, in_flight)
    database.execute(
        "UPDATE item SET status = 'pending', reason = NULL WHERE status = 'failed' "
        "AND rowid IN (SELECT item FROM temp.member)"
    )
    database.execute(
        "UPDATE item SET batch_id = ?1 WHERE batch_id <> ?1 AND status = 'pending' "
        "AND rowid IN (SELECT item FROM temp.member)",
        (batch_id,),
    )
    return carried


def take_along(database: Database, batch_id: str, plan: str | None, in_flight: Iterable[str]) -> int:
    """Note, in temporary tables alone, which items come along with a batch without its files: everything of it that has
    not ended, or, with the code of an approved plan, everything that is bound to it. Returns how many."""
    begin(database)
    known_calls.begin(database)
    carried = database.execute(
        "INSERT INTO temp.member SELECT rowid, 1 FROM item WHERE (?2 IS NULL OR plan = ?2) AND ("
        "batch_id = ?1 AND status IN ('in_doubt', 'held') "
        "OR next_batch_id = ?1 AND status = 'delivered' AND rowid IN (SELECT item FROM held_story))",
        (batch_id, plan),
    )
    carried += database.execute(
        """
        INSERT INTO temp.member SELECT rowid, 1 FROM item
        WHERE (status IN ('pending', 'in_doubt') OR status = 'failed' AND plan = ?2)
            AND rowid NOT IN (SELECT item FROM temp.member) AND iif(?2 IS NULL,
            batch_id IN (SELECT id FROM batch WHERE settings_fingerprint = (
                SELECT settings_fingerprint FROM batch WHERE id = ?1))
            AND (plan IS NULL OR batch_id = ?1), plan = ?2)
        """,
        (batch_id, plan),
    )
    for key in in_flight:
        carried += database.execute(
            "INSERT INTO temp.member SELECT rowid, 1 FROM item WHERE key = ? ON CONFLICT DO NOTHING", (key,)
        )
    return carried


def join(database: Database, keys: Iterable[str], *, carried: bool = False) -> None:
    """Note, in a temporary table, that these items are of the run."""
    database.execute(
        "INSERT INTO temp.member SELECT item.rowid, ? FROM json_each(?) CROSS JOIN item ON item.key = value "
        "WHERE true ON CONFLICT DO NOTHING",
        (int(carried), json.dumps(list(keys))),
    )


def join_carried(database: Database, settings: PlanSettings) -> int:
    """Note that the items come along which no call of the files is. Returns how many."""
    return database.execute(
        f"INSERT INTO temp.member SELECT item.rowid, 1 FROM item WHERE {known_calls.CARRIED} "
        "AND item.rowid NOT IN (SELECT item FROM temp.member)",
        (settings.batch.settings_fingerprint, settings.plan),
    )


class Entering:
    """The entry of one plan, inside a transaction."""

    def __init__(self, database: Database, plan: Plan, now: str, in_flight: Iterable[str] = ()) -> None:
        """`in_flight` are the keys of the items that an earlier run left in flight."""
        self._database = database
        self._in_flight = in_flight
        self._plan = plan
        self._batch = plan.settings.batch
        self._now = now
        begin(database)

    def enter(self) -> None:
        """Write everything down. Raises LedgerError where the ledger is not as the plan has seen it."""
        self._enter_batch()
        last = int(self._database.one("SELECT ifnull(max(rowid), 0) FROM item"))
        with self._indexes_made_afterwards():
            for part in self._plan.parts:
                self._enter_part(part)
        self._database.execute(
            "INSERT INTO temp.member SELECT rowid, 0 FROM item WHERE rowid > ? AND payload IS NOT NULL", (last,)
        )
        self._enter_found(self._plan.found)
        self._carry()
        if self._plan.is_bound:
            self._bind()

    def _enter_batch(self) -> None:
        settings = self._plan.settings
        self._database.execute_many(
            "INSERT INTO source (sha256, name, size, has_seconds) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                (source.sha256, source.name, source.size, number not in settings.of_minute)
                for number, source in enumerate(self._batch.sources)
            ),
        )
        self._database.execute(
            """
            INSERT INTO batch (id, settings, settings_fingerprint, enrolled_at) VALUES (?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET enrolled_at = excluded.enrolled_at, withdrawn_at = NULL
            """,
            (
                self._batch.id,
                json.dumps(self._batch.settings, ensure_ascii=False, sort_keys=True),
                self._batch.settings_fingerprint,
                self._now,
            ),
        )

    # Calls of the files

    def _enter_part(self, part: PlannedCalls) -> None:
        calls = self._placed(part.calls).hstack(part.decisions.select("decision", "entry", "why", "evidence"))
        self._insert(calls.filter(pl.col("entry") == Entry.INSERT))
        self._replace(calls.filter(pl.col("entry") == Entry.REPLACE), _REPLACED)
        self._reopen(calls.filter(pl.col("entry") == Entry.REOPEN))
        self._park(calls.filter(pl.col("entry") == Entry.PARK))
        self._unpark(calls.filter(pl.col("entry") == Entry.UNPARK))
        self._hold(calls)
        self._note(calls)

    def _placed(self, calls: pl.DataFrame) -> pl.DataFrame:
        """With what an item has besides, under the names of its columns."""
        sources = pl.DataFrame(
            [
                (number, source.sha256, source.name, self._plan.settings.shapes.get(number))
                for number, source in enumerate(self._batch.sources)
            ],
            schema={"source": pl.Int64, "source_sha256": pl.String, "source_name": pl.String, "_shape": pl.String},
            orient="row",
        )
        return calls.join(sources, on="source", how="left", maintain_order="left").with_columns(
            pl.col("row").alias("source_row"),
            pl.lit(self._batch.id).alias("batch_id"),
            pl.when(pl.col("staged").is_not_null()).then("_shape").alias("shape"),
            pl.lit(int(self._plan.settings.asks_crm)).alias("asks_crm"),
            pl.when(pl.col("payload").is_null()).then(pl.lit("waiting")).otherwise(pl.lit("pending")).alias("status"),
            pl.lit(self._now).alias("entered_at"),
            pl.lit(self._now).alias("moved_at"),
        )

    def _insert(self, calls: pl.DataFrame) -> None:
        names, marks = ", ".join(_COLUMNS), ", ".join("?" * len(_COLUMNS))
        items = calls.select(_COLUMNS)
        self._database.execute_many(
            f"INSERT INTO item ({names}, checksum) VALUES ({marks}, ?)",
            items.with_columns(_checksums(items)).iter_rows(),
        )

    def _replace(self, calls: pl.DataFrame, columns: tuple[str, ...]) -> None:
        """An item that was never stored takes over what is said of its call now, and leaves a plan that it is bound
        to."""
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self._exactly(
            f"UPDATE item SET {assignments}, status = ?, asks_crm = max(asks_crm, ?), "
            "left_plan = ifnull(plan, left_plan), plan = NULL, reason = NULL, "
            "next_facts = NULL, next_payload = NULL, next_legs = NULL, next_batch_id = NULL, moved_at = ? "
            "WHERE key = ? AND status IN ('waiting', 'pending', 'failed', 'refused')",
            calls.select(*columns, "status", "asks_crm", "moved_at", "key"),
        )

    def _reopen(self, calls: pl.DataFrame) -> None:
        self._exactly(
            "UPDATE item SET status = 'pending', reason = NULL, moved_at = ? WHERE key = ? AND status = 'failed'",
            calls.select("moved_at", "key"),
        )

    def _park(self, calls: pl.DataFrame) -> None:
        """Keep the new facts beside the item; with evidence, as a held update that a person decides on."""
        self._exactly(
            "UPDATE item SET next_facts = ?, next_payload = ?, next_legs = ?, next_batch_id = ? "
            "WHERE key = ? AND status IN ('delivered', 'in_flight', 'in_doubt', 'held')",
            calls.select("facts", "payload", "legs", "batch_id", "key"),
        )
        held = pl.col("evidence").is_not_null()
        # Held before, and no longer probably another call: the facts of the item have changed since.
        self._database.execute_many(
            "DELETE FROM held_update WHERE key = ? AND facts = ? AND decision IS NULL",
            calls.filter(~held).select("key", "facts").iter_rows(),
        )
        self._database.execute_many(
            "INSERT INTO held_update (key, facts, evidence, held_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (key, facts) DO UPDATE SET evidence = excluded.evidence",
            calls.filter(held).select("key", "facts", "evidence", "moved_at").iter_rows(),
        )

    def _unpark(self, calls: pl.DataFrame) -> None:
        """The facts are as they were. Where the CRM may have been told others, it is told these again."""
        self._exactly(
            f"UPDATE item SET next_facts = iif({_UNTOLD}, NULL, ?), next_payload = iif({_UNTOLD}, NULL, ?), "
            f"next_legs = iif({_UNTOLD}, NULL, ?), next_batch_id = ? WHERE key = ? AND next_facts IS NOT NULL",
            calls.select("facts", "payload", "legs", "batch_id", "key"),
        )

    def _hold(self, calls: pl.DataFrame) -> None:
        """Calls that were just entered, and may be known ones: a person decides."""
        is_entered = pl.col("entry").is_in([Entry.INSERT, Entry.REPLACE])
        held = calls.filter((pl.col("decision") == Decision.HOLD) & is_entered)
        self._database.execute_many(
            "INSERT INTO verdict (key, kind, evidence, decided_at) VALUES (?, 'held', ?, ?)",
            held.select("key", "evidence", "moved_at").iter_rows(),
        )
        self._exactly(
            "UPDATE item SET status = 'held', reason = ?, moved_at = ? WHERE key = ? AND status = 'pending'",
            held.select("evidence", "moved_at", "key"),
        )

    def _note(self, calls: pl.DataFrame) -> None:
        """Which items are of this run, what its files tell of known calls, which recordings they name, and which
        rejected rows are settled."""
        is_new = (pl.col("entry") == Entry.INSERT).fill_null(False)
        join(self._database, calls.filter(IS_OF_RUN & ~is_new)["key"].to_list())
        told = calls.filter(IS_TOLD)
        is_named = pl.col("recording").fill_null("") != ""
        self._database.execute_many(
            "INSERT INTO temp.told VALUES (?, ?, ?, ?, ?)",
            told.filter(~is_new | is_named)
            .select("key", "source_name", "row", "recording", (~IS_OF_RUN).cast(pl.Int64))
            .iter_rows(),
        )
        recordings.note(
            self._database, told.filter(is_named).select("key", "recording", "facts").iter_rows(), self._now
        )
        is_mended = (pl.col("marks").list.len() > 0) & (pl.col("decision") != Decision.REJECT)
        settled = calls.filter(is_mended).explode("marks")
        self._database.execute_many(
            "INSERT INTO rejected_row (fingerprint, seen_at, became) SELECT ?1, ?2, key FROM item WHERE key = ?3 "
            "ON CONFLICT (fingerprint) DO UPDATE SET became = excluded.became",
            settled.select("marks", "moved_at", "key").iter_rows(),
        )

    # Calls that the files need not show

    def _enter_found(self, found: PlannedCalls) -> None:
        """Calls that waited and have found a lead. They keep the place where they were last seen."""
        calls = found.calls.hstack(found.decisions.select("decision", "entry", "evidence"))
        entered = calls.with_columns(pl.lit(self._batch.id).alias("batch_id"), pl.lit(self._now).alias("moved_at"))
        self._exactly(
            "UPDATE item SET lead_id = ?, payload = ?, batch_id = ?, staged = NULL, shape = NULL, status = 'pending', "
            "moved_at = ? WHERE key = ? AND status = 'waiting'",
            entered.select("lead_id", "payload", "batch_id", "moved_at", "key"),
        )
        self._hold(entered)
        join(self._database, entered["key"].to_list(), carried=True)
        is_named = pl.col("recording").fill_null("") != ""
        recordings.note(
            self._database, entered.filter(is_named).select("key", "recording", "facts").iter_rows(), self._now
        )

    def _carry(self) -> None:
        """Items that were entered with the same settings come along, and those that an earlier run left in flight."""
        self._expect(self._plan.carried.total(), join_carried(self._database, self._plan.settings))
        self._database.execute(
            "UPDATE item SET batch_id = ? WHERE status = 'pending' AND batch_id <> ? "
            "AND rowid IN (SELECT item FROM temp.member WHERE carried = 1)",
            (self._batch.id, self._batch.id),
        )
        join(self._database, self._in_flight, carried=True)

    def _bind(self) -> None:
        """What the plan would send is bound to it, however it came into the plan."""
        its = self._plan.settings
        self._database.execute(
            "INSERT INTO plan (code, batch_id, updates, approved_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (self._plan.code, self._batch.id, updates_as_text(its.on_change, overwrite=its.overwrite), self._now),
        )
        # Updates have no code of a plan. Those that are left belong to the batch of the plan that covers them.
        self._database.execute(
            f"UPDATE item SET next_batch_id = ?1 WHERE next_batch_id <> ?1 AND {known_calls.TO_UPDATE}",
            (self._batch.id, self._batch.settings_fingerprint),
        )
        self._database.execute(
            "UPDATE item SET plan = ?1 WHERE status = 'pending' AND plan IS NULL "
            "AND rowid IN (SELECT item FROM temp.member)",
            (self._plan.code,),
        )

    # Statements

    def _exactly(self, sql: str, rows: pl.DataFrame) -> None:
        """Run a move for each row. Every one must hit one item."""
        if rows.height:
            self._expect(rows.height, self._database.execute_many(sql, rows.iter_rows()))

    def _expect(self, planned: int, moved: int) -> None:
        if moved != planned:
            raise errors.LedgerError(
                f"the ledger is not as the plan has seen it ({moved:,} calls moved instead of {planned:,}): nothing "
                "was entered; run again"
            )

    @contextlib.contextmanager
    def _indexes_made_afterwards(self) -> Iterator[None]:
        """A million items put into five indexes one by one take minutes; of all at once each index takes seconds."""
        new = self._plan.totals.count(Decision.CREATE, Decision.HOLD, Decision.WAIT)
        is_large = new > SMALL and new > int(self._database.one("SELECT count(*) FROM item"))
        set_aside = self._database.rows(
            # A partial index has next to nothing of new items.
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'item' AND sql IS NOT NULL "
            "AND instr(sql, ' WHERE ') = 0"
        )
        for name, _ in set_aside if is_large else ():
            self._database.execute(f"DROP INDEX {name}")
        yield
        for _, creation in set_aside if is_large else ():
            self._database.execute(creation)


def _checksums(items: pl.DataFrame) -> pl.Series:
    """The checksum of each new item, see checksum.py. Columns: those of _COLUMNS."""
    values = (
        # JSON of an object with this column alone, without its name and its braces.
        pl.struct(name).struct.json_encode().str.slice(len(f'{{"{name}":')).str.head(-len("}"))
        if name in items.columns
        else pl.lit(checksum.DEFAULTS_OF_ITEM.get(name, "null"))
        for name in checksum.COLUMNS["item"]
    )
    rows = items.select(pl.format("[{}]", pl.concat_str(values, separator=","))).to_series()
    return pl.Series("checksum", [zlib.crc32(row.encode()) for row in rows.to_list()], dtype=pl.Int64)


# Items that the run answers for: it sends them, or looks them up, or leaves them to a person.
IS_OF_RUN = pl.col("decision").is_in([Decision.CREATE, Decision.KEEP]) | (
    (pl.col("decision") == Decision.HOLD) & pl.col("entry").is_in([Entry.INSERT, Entry.REPLACE])
).fill_null(False)
# Calls of the files that the CRM has, or may get.
IS_TOLD = pl.col("payload").is_not_null() & ~pl.col("decision").is_in([Decision.REJECT, Decision.SKIP, Decision.WAIT])
