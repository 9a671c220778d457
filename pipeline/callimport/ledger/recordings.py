"""Which recording each call should have, and whether the CRM has it. Calls themselves are never moved here.

A recording is *todo* until it is *uploaded*, *refused* (by the CRM, or by us for what the file is), *failed* (it did
not get there) or *missing* (there is no such file yet); each of these may become todo again, and none becomes another.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from callimport.core import models
from callimport.ledger import checksum
from callimport.ledger.database import Database
from callimport.ledger.moves import Moves

TODO, UPLOADED, REFUSED, FAILED, MISSING = "todo", "uploaded", "refused", "failed", "missing"
_COLUMNS = """
    item.key, item.reference, ifnull(item.communication_id, 0), recording.name, recording.status, recording.path,
    recording.size, recording.modified_ns, recording.sha256, recording.reason,
    (item.adopted = 1 OR EXISTS (SELECT 1 FROM verdict WHERE verdict.key = item.key AND verdict.kind = 'accept'))
"""
_TAKES_THE_NAME = """
    ON CONFLICT (key) DO UPDATE SET name = excluded.name, status = 'todo', reason = NULL,
        sha256 = iif(status = 'refused', NULL, sha256), moved_at = excluded.moved_at
        WHERE recording.name IS NOT excluded.name
"""


class Known(NamedTuple):
    """The recording of a delivered call, as the ledger has it. `path`, `size` and `modified_ns` are of the file that
    the status is about; `is_foreign` where the communication was not surely made by this ledger."""

    key: str
    reference: str
    communication_id: int
    name: str | None
    status: str
    path: str | None
    size: int | None
    modified_ns: int | None
    sha256: str | None
    reason: str | None
    is_foreign: bool

    @property
    def wanted(self) -> str:
        """The name to look for."""
        return self.name or self.path or ""

    @property
    def has_audio(self) -> bool:
        """Whether the CRM took a recording of this call before, whatever is to become of it now."""
        return self.sha256 is not None and self.status != REFUSED


class Bearer(NamedTuple):
    """A call, delivered or not, and the file that is said to be its own; `size` and `modified_ns` of that file where
    the CRM has it."""

    key: str
    reference: str
    wanted: str
    size: int | None
    modified_ns: int | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The file that a move is about: path below the folder, size and time it had, SHA-256 where it was read."""

    path: str
    size: int
    modified_ns: int
    sha256: str | None = None


class Recordings(Moves):
    """The verbs. Each is on the disk when it returns; what several share is one commit."""

    def take_up_names(self, *, or_parked: bool = False) -> None:
        """Take up the recordings that parked stories name, once a story is applied. With `or_parked` also the
        recordings of stories that are still parked and not held."""
        parked = "iif(? AND item.rowid NOT IN (SELECT item FROM held_story), item.next_facts, NULL)"
        taken_up = f"next_recording.facts IN (item.facts, {parked})"
        sound = checksum.is_sound("next_recording", key="item.key")
        with self.database.transaction():
            self.database.execute(
                "INSERT INTO recording (key, name, moved_at) SELECT key, name, ? "
                f"FROM next_recording JOIN item USING (key) WHERE {taken_up} AND {sound} {_TAKES_THE_NAME}",
                (self._now(), int(or_parked)),
            )
            self.database.execute(
                "DELETE FROM next_recording WHERE EXISTS (SELECT 1 FROM item WHERE item.key = next_recording.key "
                f"AND {taken_up})",
                (int(or_parked),),
            )

    def of_delivered(self, *, or_pending: bool = False) -> list[Known]:
        """All that are known of delivered calls, the oldest call first; of those to be delivered, too, on demand."""
        found = self.database.rows(
            f"""
            SELECT {_COLUMNS} FROM recording JOIN item USING (key)
            WHERE item.status IN ('delivered', iif(?, 'pending', ''))
                AND {checksum.is_sound("recording")} AND {checksum.is_sound(key="recording.key")}
            ORDER BY item.started_at, item.key
            """,
            (int(or_pending),),
        )
        return [Known._make((*row[:-1], bool(row[-1]))) for row in found]

    def claimed(self) -> frozenset[str]:
        """Names and paths that belong to a call already, delivered or not."""
        found = self.database.rows("SELECT name, path FROM recording")
        return frozenset(text for row in found for text in row if text is not None)

    def bearers(self) -> list[Bearer]:
        """All that are said to have a file of their own."""
        found = self.database.rows("""
            SELECT key, reference, ifnull(name, recording.path), iif(recording.status = 'uploaded', size, NULL),
                iif(recording.status = 'uploaded', modified_ns, NULL)
            FROM recording JOIN item USING (key) ORDER BY item.started_at, key
        """)
        return [Bearer._make(row) for row in found]

    def told_now(self) -> frozenset[str]:
        """The calls of which a row of this run tells, with the very name that is kept."""
        found = self.database.rows("""
            SELECT key FROM temp.told JOIN recording USING (key) WHERE name IS nullif(told.recording, '')
        """)
        return frozenset(key for (key,) in found)

    def nameless(self, system: str) -> Iterator[models.Nameless[str]]:
        """The calls of a phone system that have no recording, oldest first: those, too, that are not delivered or have
        no lead yet, as their recordings are not to be taken for those of others."""
        found = self.database.stream(
            """
            SELECT key, call_id, direction, phone, started_at, ifnull(legs || char(10), '')
                || iif(item.rowid IN (SELECT item FROM held_story), '', ifnull(next_legs, ''))
            FROM item WHERE system = ?1 AND NOT EXISTS (SELECT 1 FROM recording WHERE recording.key = item.key)
            ORDER BY started_at, key
            """,
            (system,),
        )
        for row in found:
            yield models.Nameless(*row)

    def to_claim(self, path_of: Mapping[str, str], *, or_pending: bool = False) -> list[Known]:
        """Of calls that have no recording, those that may get the one at their path; nothing is written down yet."""
        found = self.database.rows(
            f"""
            SELECT {_COLUMNS} FROM item LEFT JOIN recording USING (key)
            WHERE item.status IN ('delivered', iif(?, 'pending', '')) AND item.key IN (SELECT value FROM json_each(?))
                AND {checksum.is_sound()}
            ORDER BY item.started_at, item.key
            """,
            (int(or_pending), json.dumps(list(path_of))),
        )
        return [
            Known(key, reference, communication_id, None, TODO, path_of[key], None, None, None, None, bool(is_foreign))
            for key, reference, communication_id, *_, is_foreign in found
        ]

    def found(self, paths: Iterable[tuple[str, str]]) -> None:
        """Files that are known by their own names for those of calls: key and path of each."""
        with self.database.transaction():
            self.database.execute_many(
                "INSERT INTO recording (key, path, moved_at) VALUES (?, ?, ?)",
                ((key, path, self._now()) for key, path in paths),
            )

    def missing(self, keys: Iterable[str]) -> None:
        """There is no such file in the folder."""
        with self.database.transaction():
            for key in keys:
                self._record(key, TODO, MISSING, reason=None)

    def again(self, known: Iterable[Known]) -> None:
        """To be uploaded, after all or once more. What was refused is nothing that the CRM has."""
        with self.database.transaction():
            for one in known:
                sha256 = None if one.status == REFUSED else one.sha256
                self._record(one.key, one.status, TODO, reason=None, sha256=sha256)

    def still(self, known: Known, seen: Evidence) -> None:
        """The same bytes in a file of another place or time."""
        with self.database.transaction():
            self._record(
                known.key, known.status, known.status, reason=known.reason, path=seen.path, size=seen.size,
                modified_ns=seen.modified_ns,
            )  # fmt: skip

    def uploaded(self, key: str, sent: Evidence) -> None:
        """The CRM took these bytes."""
        self._end(key, UPLOADED, None, sent)

    def refused(self, key: str, reason: str, seen: Evidence | None = None) -> None:
        """Not wanted: the same file is not tried again."""
        self._end(key, REFUSED, reason, seen)

    def failed(self, key: str, reason: str) -> None:
        """It did not get there; the next run tries again."""
        with self.database.transaction():
            self._record(key, TODO, FAILED, reason=reason)

    def retry(self) -> int:
        """A person says that what was refused may be wanted now. Returns how many."""
        with self.database.transaction():
            return self.database.execute(
                "UPDATE recording SET status = 'todo', reason = NULL, sha256 = NULL, moved_at = ? "
                "WHERE status = 'refused'",
                (self._now(),),
            )

    def _end(self, key: str, after: str, reason: str | None, seen: Evidence | None) -> None:
        columns: dict[str, str | int | None] = {"reason": reason}
        if seen is not None:
            columns |= {"path": seen.path, "size": seen.size, "modified_ns": seen.modified_ns, "sha256": seen.sha256}
        with self.database.transaction():
            self._record(key, TODO, after, **columns)

    def _record(self, key: str, before: str, after: str, **columns: str | int | None) -> None:
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self._one(
            f"UPDATE recording SET status = ?, moved_at = ?, {assignments} WHERE key = ? AND status = ?",
            (after, self._now(), *columns.values(), key, before),
        )


def note(database: Database, named: Iterable[tuple[str, str, str]], now: str) -> None:
    """Note the recordings that calls name: key, name and facts of each. A name belongs to the facts that it came with:
    a window that cuts a call in two may name the recording of another leg, and parked facts have their name parked."""
    names = list(named)
    database.execute_many(
        "INSERT INTO recording (key, name, moved_at) SELECT ?1, ?2, ?4 FROM item WHERE key = ?1 AND facts = ?3 "
        f"{_TAKES_THE_NAME}",
        ((*one, now) for one in names),
    )
    database.execute_many(
        "INSERT INTO next_recording (key, name, facts) SELECT ?1, ?2, ?3 FROM item "
        "WHERE key = ?1 AND next_facts = ?3 AND facts <> ?3 "
        "ON CONFLICT (key) DO UPDATE SET facts = excluded.facts, name = excluded.name",
        names,
    )


def counts(database: Database) -> dict[str, int]:
    """Recordings of delivered calls by where they stand, those of none left out."""
    return dict(
        database.rows("""
            SELECT recording.status, count(*) FROM recording JOIN item USING (key) WHERE item.status = 'delivered'
            GROUP BY recording.status ORDER BY recording.status
        """)
    )
