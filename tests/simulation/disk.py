"""What of the ledger is on the disk. Every statement of an importer's connection goes through here.

After a kill -9 the file is as the operating system has it; after a power loss it is as it was when the last synced
COMMIT returned. A commit counts as synced only if the connection asks for it (synchronous FULL or more). A bad disk
fails a statement, before or after it was carried out.
"""

import contextlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from tests.simulation.lives import BadDisk
from tests.simulation.process import living

_SYNCED = 2
_Image = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class OnDisk:
    """An item with a lead as the synced ledger has it."""

    reference: str
    lead_id: int
    payload: str
    status: str
    communication_id: int | None
    reason: str | None
    adopted: int
    existing_id: int | None
    has_intent: int


_EVERY_ITEM = """
    SELECT key, reference, lead_id, payload, status, communication_id, reason, adopted,
        existing_id, EXISTS (SELECT 1 FROM unresolved WHERE unresolved.key = item.key)
    FROM item WHERE payload IS NOT NULL ORDER BY key
"""


@dataclass(slots=True)
class Disk:
    folder: Path
    on_commit: Callable[[dict[str, OnDisk], dict[str, OnDisk]], None]
    items: dict[str, OnDisk]
    was_crash: bool = False
    _may_lose_power: bool = False
    _rows: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    _synced: _Image | None = None
    _left_by_crash: _Image | None = None

    def begin(self, *, may_lose_power: bool) -> None:
        """A new life finds what the one before it left."""
        self.was_crash = self._left_by_crash is not None
        self._restore()
        self._may_lose_power = may_lose_power
        self._synced = self._image() if may_lose_power else None

    def crash(self, kind: str) -> None:
        self._left_by_crash = dict(self._synced or {}) if kind == "power loss" else self._image()

    def is_sound(self) -> bool:
        """Whether a ledger that lies there could be trusted; asked of a copy, for asking would mend it."""
        with self._copied() as copy:
            for path in copy.glob("*.sqlite3"):
                with contextlib.closing(sqlite3.connect(path)) as ledger:
                    if ledger.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                        return False
        return True

    @contextlib.contextmanager
    def copied(self) -> Iterator[Path]:
        """A copy of the ledger, empty where there is none yet."""
        with self._copied() as copy:
            yield min(copy.glob("*.sqlite3"), default=copy / "none.sqlite3")

    @contextlib.contextmanager
    def _copied(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as copy:
            for name, content in self._image().items():
                (Path(copy) / name).write_bytes(content)
            yield Path(copy)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Connections to files in the folder are watched while the block lasts."""
        disk: Disk = self
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect

        class Watched(sqlite3.Connection):
            def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
                process = living.get()
                if process is None:
                    return super().execute(sql, values)
                bad = process.statement()
                if bad is not None and not bad.done:
                    self._fail(bad)
                was_open = self.in_transaction
                cursor = super().execute(sql, values)
                process.statement_done()
                if not self.in_transaction and (was_open or _writes(sql)):
                    disk.committed(self)
                if bad is not None:
                    # An open statement, kept alive by the error's traceback, would keep the file locked.
                    cursor.close()
                    self._fail(bad)
                return cursor

            def executemany(self, sql: str, values: Any, /) -> sqlite3.Cursor:
                process = living.get()
                bad = process.statement() if process is not None else None
                if bad is not None:
                    self._fail(bad)
                return super().executemany(sql, values)

            def _fail(self, bad: BadDisk) -> None:
                if bad.rolls_back and self.in_transaction:
                    super().execute("ROLLBACK")
                raise sqlite3.OperationalError(bad.says)

        def open_watched(path: Any, **options: Any) -> sqlite3.Connection:
            # The lead cache may be lost at any time, so its disk is not watched.
            if Path(str(path)).parent != disk.folder or Path(str(path)).suffix != ".sqlite3":
                return connect(path, **options)
            connection = connect(path, factory=Watched, **options)
            process = living.get()
            if process is not None:
                process.opened.append(connection)
            return connection

        with mock.patch.object(sqlite3, "connect", open_watched):
            yield

    def committed(self, connection: sqlite3.Connection) -> None:
        def ask(sql: str) -> sqlite3.Cursor:
            # Past the watching.
            return sqlite3.Connection.execute(connection, sql)

        if ask("PRAGMA synchronous").fetchone()[0] < _SYNCED:
            return
        if self._may_lose_power:
            self._synced = self._image()
        try:
            rows = ask(_EVERY_ITEM).fetchall()
        except sqlite3.OperationalError:
            # The tables are still being made.
            return
        before, self.items = self.items, {}
        for row in rows:
            # Few change at a time, and there are thousands of commits.
            was = self._rows.get(row[0])
            self.items[row[0]] = before[row[0]] if was == row and row[0] in before else OnDisk(*row[1:])
        self._rows = {row[0]: row for row in rows}
        if self.items != before:
            self.on_commit(before, self.items)

    def _restore(self) -> None:
        """After the dead process has gone: make the files what the crash left."""
        if self._left_by_crash is None:
            return
        for path in self._files():
            path.unlink()
        for name, content in self._left_by_crash.items():
            (self.folder / name).write_bytes(content)
        self._left_by_crash = None

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*.sqlite3*") if path.suffix in (".sqlite3", ".sqlite3-wal"))

    def _image(self) -> _Image:
        return {path.name: path.read_bytes() for path in self._files()}


def _writes(sql: str) -> bool:
    return sql.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE", "CREATE", "PRAGMA JOURNAL_MODE ="))
