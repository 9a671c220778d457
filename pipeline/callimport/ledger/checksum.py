"""A checksum in each row of the ledger: a damaged call is neither changed, nor sent, nor shown as proof.

SQLite notices a damaged page only if its structure is damaged: a flipped bit in a payload would be sent as it is. So
each row has the CRC-32 of its other columns, written as a JSON array. Triggers write it after each INSERT and UPDATE,
and check it before each UPDATE. An INSERT of items states it, because there are millions of them: entry.py makes the
same array with polars. Queries that send a call, change it or show it as proof filter with `is_sound`.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator

# Tables and row numbers.
Damaged = set[tuple[str, int]]

# The columns of each table but the checksum itself.
COLUMNS = {
    "binding": ("one", "host", "account_id", "account_name", "bound_at", "secret"),
    "acknowledged": ("up_to_id", "noted_at"),
    "source": ("sha256", "name", "size", "has_seconds"),
    "batch": ("id", "settings", "settings_fingerprint", "enrolled_at", "withdrawn_at"),
    "plan": ("code", "batch_id", "updates", "approved_at"),
    "run": ("id", "batch_id", "started_at", "ended_at", "exit_code", "stopped_by"),
    "item": (
        "key", "reference", "batch_id", "source_sha256", "source_row", "system", "call_id", "lead_id", "direction",
        "phone", "started_at", "facts", "payload", "staged", "shape", "asks_crm", "legs", "entered_at", "plan",
        "left_plan", "status", "applied", "communication_id", "echo", "adopted", "existing_id", "reason", "next_facts",
        "next_payload", "next_legs", "next_batch_id", "update_refused", "moved_at",
    ),
    "attempt": ("id", "key", "run_id", "intended_at", "id_floor"),
    "outcome": ("attempt_id", "kind", "http_status", "evidence", "ended_at"),
    "verdict": ("id", "key", "attempt_id", "kind", "evidence", "decided_at"),
    "update_attempt": ("id", "key", "run_id", "facts", "changes", "intended_at"),
    "update_outcome": ("attempt_id", "kind", "http_status", "evidence", "ended_at"),
    "kept_edit": ("id", "key", "run_id", "field", "wanted", "found", "noted_at"),
    "held_update": ("key", "facts", "evidence", "held_at", "decision", "decided_at"),
    "recording": ("key", "name", "status", "path", "size", "modified_ns", "sha256", "reason", "moved_at"),
    "next_recording": ("key", "facts", "name"),
    "rejected_row": ("fingerprint", "seen_at", "became"),
}  # fmt: skip
# The values, as JSON, that an item has besides null where an INSERT does not state them.
DEFAULTS_OF_ITEM = {"status": '"pending"', "applied": "0", "adopted": "0", "asks_crm": "0"}


def is_sound(table: str = "item", *, key: str | None = None) -> str:
    """SQL: whether the row of a table, by that name in the query, fits its checksum. A damaged row is noted.

    With `key`, an SQL expression, it must also be the row of that key: a damaged index may lead to another one. The row
    is read again by its row number, because SQLite fills in columns from the rest of the WHERE clause.
    """
    is_its = "1" if key is None else f"checked.key = {key}"
    fits = f"CASE WHEN {is_its} THEN {_fits(table, 'checked')} ELSE note_damage('{table}', checked.rowid) END"
    return f"(SELECT {fits} FROM {table} AS checked WHERE checked.rowid = {table}.rowid)"


def triggers() -> Iterator[str]:
    """The statements that make a connection write and check the checksums. RAISE(IGNORE) leaves out a damaged row
    alone: a move of many items goes on with the others."""
    for table, columns in COLUMNS.items():
        seal = f"BEGIN UPDATE {table} SET checksum = {_crc32(_columns(table, 'NEW'))} WHERE rowid = NEW.rowid; END"
        changed = f"UPDATE OF {', '.join(columns)} ON main.{table}"
        if table != "item":
            yield f"CREATE TEMP TRIGGER new_{table}_gets_a_checksum AFTER INSERT ON main.{table} {seal}"
        yield f"CREATE TEMP TRIGGER changed_{table}_gets_a_checksum AFTER {changed} {seal}"
        yield f"""
            CREATE TEMP TRIGGER damaged_{table}_stays BEFORE {changed}
            WHEN NOT {_fits(table, "OLD")}
            BEGIN SELECT RAISE(IGNORE); END
        """


def register(connection: sqlite3.Connection, damaged: Damaged) -> None:
    """Give a connection the functions that the statements here use. Damaged rows that are met go to `damaged`."""

    def note_damage(table: str, row: int) -> int:
        damaged.add((table, row))
        return False

    connection.create_function("crc32", 1, zlib.crc32, deterministic=True)
    connection.create_function("note_damage", 2, note_damage)


def _fits(table: str, row: str) -> str:
    crc32 = _crc32(_columns(table, row))
    return f"CASE WHEN {row}.checksum IS {crc32} THEN 1 ELSE note_damage('{table}', {row}.rowid) END"


def _columns(table: str, row: str) -> Iterator[str]:
    return (f"{row}.{column}" for column in COLUMNS[table])


def _crc32(values: Iterable[str]) -> str:
    # JSON keeps the types apart, but takes no BLOB, which a damaged row may have for a text: a BLOB sorts after all
    # else. CRC-32 is of bytes, as a damaged text need not be UTF-8. One json_array takes half the time of printf.
    values = tuple(values)
    has_blob = " OR ".join(f"x'' <= {value}" for value in values)
    return f"CASE WHEN {has_blob} THEN -1 ELSE crc32(CAST(json_array({', '.join(values)}) AS BLOB)) END"
