"""What of the ledger is on the disk. Every statement of the importer's connection goes through here.

After a kill -9 the file is as the operating system has it; after a power loss it is as it was when the last synced
COMMIT returned. A commit counts as synced only if the connection asks for it (synchronous FULL or more).
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from tests.simulation.process import Process
from tests.simulation.scenario import Crash

_SYNCED = 2
_Image = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class OnDisk:
    """An item as the synced ledger has it."""

    reference: str
    lead_id: int
    payload: str
    status: str
    communication_id: int | None
    reason: str | None
    has_intent: int


@dataclass(slots=True)
class Disk:
    folder: Path
    on_commit: Callable[[dict[str, OnDisk], dict[str, OnDisk]], None]
    items: dict[str, OnDisk]
    process: Process | None = None
    _synced: _Image | None = None
    _left_by_crash: _Image | None = None

    def begin(self, process: Process) -> None:
        """A new life finds what the one before it left."""
        self._restore()
        self._synced = self._image()
        self.process = process

    def crash(self, crash: Crash) -> None:
        self._left_by_crash = self._image() if crash.kind == "kill -9" else dict(self._synced or {})

    def _restore(self) -> None:
        """After the dead process has gone: make the files what the crash left."""
        if self._left_by_crash is None:
            return
        for path in self._files():
            path.unlink()
        for name, content in self._left_by_crash.items():
            (self.folder / name).write_bytes(content)
        self._left_by_crash = None

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Connections to files in the folder are watched while the block lasts."""
        disk: Disk = self
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect

        class Watched(sqlite3.Connection):
            def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
                process = disk.process
                if process is None:
                    return super().execute(sql, values)
                process.statement()
                was_open = self.in_transaction
                cursor = super().execute(sql, values)
                process.statement()
                if not self.in_transaction and (was_open or _writes(sql)):
                    disk.committed(self)
                return cursor

            def executemany(self, sql: str, values: Any, /) -> sqlite3.Cursor:
                if disk.process is not None:
                    disk.process.statement()
                return super().executemany(sql, values)

        def open_watched(path: Any, **options: Any) -> sqlite3.Connection:
            if Path(str(path)).parent != disk.folder:
                return connect(path, **options)
            return connect(path, factory=Watched, **options)

        with mock.patch.object(sqlite3, "connect", open_watched):
            yield

    def committed(self, connection: sqlite3.Connection) -> None:
        def ask(sql: str) -> sqlite3.Cursor:
            # Past the watching.
            return sqlite3.Connection.execute(connection, sql)

        if ask("PRAGMA synchronous").fetchone()[0] < _SYNCED:
            return
        if self.process and self.process.crash and self.process.crash.kind == "power loss":
            self._synced = self._image()
        if not ask("SELECT 1 FROM sqlite_master WHERE name = 'item'").fetchone():
            return
        before = self.items
        self.items = {
            row[0]: OnDisk(*row[1:])
            for row in ask(
                "SELECT key, reference, lead_id, payload, status, communication_id, reason, "
                "EXISTS (SELECT 1 FROM unresolved WHERE unresolved.key = item.key) FROM item ORDER BY key"
            )
        }
        self.on_commit(before, self.items)

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*.sqlite3*") if path.suffix in (".sqlite3", ".sqlite3-wal"))

    def _image(self) -> _Image:
        return {path.name: path.read_bytes() for path in self._files()}


def _writes(sql: str) -> bool:
    return sql.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE", "CREATE", "PRAGMA JOURNAL_MODE ="))
