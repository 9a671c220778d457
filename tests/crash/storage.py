"""What of the files is where: in the operating system, and safely on the disk.

Every statement of the importer's connection is a step. A statement that ends outside a transaction is synced only if
the connection asks for it (synchronous FULL, NORMAL for its close); another file only if somebody synced it.
"""

import contextlib
import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from tests.crash import world
from tests.crash.life import Life

_FULL, _NORMAL = 2, 1
_LEDGER_CODE = f"{os.sep}callimport{os.sep}ledger{os.sep}"
_TABLE = re.compile(r"(?:INTO|UPDATE|FROM|TABLE(?: IF EXISTS)?|INDEX|TRIGGER|VIEW)\s+([\w.]+)")


@dataclass(slots=True)
class Storage:
    """What one life does to the files of its folder."""

    life: Life
    _taken: world.Files = ()
    _synced: dict[str, bytes] = field(default_factory=dict)
    _is_stale: bool = True

    def __post_init__(self) -> None:
        self._synced = dict(self.life.began.files)

    def taken(self) -> world.Files:
        if self._is_stale:
            self._taken, self._is_stale = world.taken(self.life.folder), False
        return self._taken

    def synced(self) -> world.Files:
        """Of a file whose name is on the disk and whose content is not, nothing is left."""
        there = {name: self._synced.get(name, b"") for name, _ in self.taken()}
        ledgers = {name: content for name, content in self._synced.items() if world.is_ledger(name)}
        files = {name: content for name, content in there.items() if not world.is_ledger(name)} | ledgers
        return tuple(sorted(files.items()))

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Connections to files in the folder are watched while the block lasts."""
        fsync, move = os.fsync, os.replace
        watched = _watched_by(self)

        def open_watched(path: Any, **options: Any) -> sqlite3.Connection:
            if Path(str(path)).is_relative_to(self.life.folder):
                self._is_stale = True
                options["factory"] = watched
            connection: sqlite3.Connection = world.connect(path, **options)
            return connection

        def sync(handle: int) -> None:
            fsync(handle)
            self._note_synced(handle)

        def replace(source: Any, target: Any) -> None:
            move(source, target)
            self._note_moved(Path(source), Path(target))

        with (
            mock.patch.object(sqlite3, "connect", open_watched),
            mock.patch.object(os, "fsync", sync),
            mock.patch.object(os, "replace", replace),
        ):
            yield

    def wrote(self, connection: sqlite3.Connection) -> None:
        """A statement ended outside a transaction."""
        self._is_stale = True
        if self.life.is_watched and sqlite3.Connection.execute(connection, "PRAGMA synchronous").fetchone()[0] >= _FULL:
            self._ledger_is_synced()

    def closed(self, synchronous: int) -> None:
        """The log went into the ledger and away."""
        self._is_stale = True
        if self.life.is_watched and synchronous >= _NORMAL:
            self._ledger_is_synced()

    def _ledger_is_synced(self) -> None:
        others = {name: content for name, content in self._synced.items() if not world.is_ledger(name)}
        self._synced = others | {name: content for name, content in self.taken() if world.is_ledger(name)}

    def _note_synced(self, handle: int) -> None:
        self._is_stale = True
        for name, content in self.taken():
            if _is_same(self.life.folder / name, handle):
                self._synced[name] = content

    def _note_moved(self, source: Path, target: Path) -> None:
        """The name is taken to be on the disk at once, the content only if it was synced: the worst that may be."""
        self._is_stale = True
        if target.is_relative_to(self.life.folder):
            before = source.relative_to(self.life.folder).as_posix()
            self._synced[target.relative_to(self.life.folder).as_posix()] = self._synced.pop(before, b"")


def _is_same(path: Path, handle: int) -> bool:
    return os.path.samestat(path.stat(), os.fstat(handle))


def _watched_by(storage: Storage) -> type[sqlite3.Connection]:
    life = storage.life

    class Watched(sqlite3.Connection):
        def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
            with life.step(_named(sql)):
                cursor = super().execute(sql, values)
                if not self.in_transaction and not sql.lstrip().upper().startswith("SELECT"):
                    storage.wrote(self)
            return cursor

        def executemany(self, sql: str, values: Any, /) -> sqlite3.Cursor:
            with life.step(_named(sql)):
                return super().executemany(sql, values)

        def close(self) -> None:
            if life.dead:
                super().close()
                return
            with life.step("ledger close"):
                synchronous = int(super().execute("PRAGMA synchronous").fetchone()[0])
                super().close()
                storage.closed(synchronous)

    return Watched


def _named(sql: str) -> str:
    """`ledger intend: INSERT attempt`: the verb that is at work, and what it says to the database."""
    words = sql.split()
    table = _TABLE.search(sql)
    said = " ".join(words[:4]) if words[0] in ("PRAGMA", "BEGIN", "COMMIT", "ROLLBACK") else words[0]
    return f"ledger {_verb()}: {said}{f' {table[1]}' if table and said == words[0] else ''}"


def _verb() -> str:
    """The outermost function of the ledger that is at work."""
    found, frame = "", sys._getframe(2)
    at: Any = frame
    while at is not None:
        if _LEDGER_CODE in at.f_code.co_filename:
            found = at.f_code.co_name
        at = at.f_back
    return found
