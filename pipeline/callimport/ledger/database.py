"""The SQLite file itself: private, opened exclusively, and safe against power loss at every commit.

One connection only: SQLite before 3.51.3 can corrupt a WAL file under two, and two would mean two runs anyway.
Calls block the event loop on purpose: a commit takes about a millisecond, at most seven are made a second, and a
ledger that is always in step with the code that drives it needs no queue, no thread and no explanation.
"""

import contextlib
import functools
import importlib.resources
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from callimport.core import errors
from callimport.ledger import checksum

APPLICATION_ID = 0x43414C4C  # "CALL"
# The version of schema.sql, kept in user_version. Before the first release, no ledger of another version is read.
VERSION = 16
CACHE_KIB = 64 * 1024
_MEMORY = ":memory:"
_OBJECTS = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
_SCHEMA = importlib.resources.files("callimport.ledger") / "schema.sql"

Values = tuple[Any, ...] | dict[str, Any]


class Database:
    """A connection whose every failure is a LedgerError."""

    def __init__(self, connection: sqlite3.Connection, path: str, *, named: str | None = None) -> None:
        self._connection = connection
        self._path = path
        # The damaged rows that this process came across, see damage.py.
        self.damaged: checksum.Damaged = set()
        checksum.register(connection, self.damaged)
        # A damaged text need not be UTF-8.
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        # The path in messages. For a copy, this is the path of the original.
        self.place = named or path
        # Device, inode and last known size of each file of the ledger, by path.
        self._files: dict[str, tuple[int, int, int]] = {}

    @classmethod
    def open(cls, path: Path, *, named: Path | None = None) -> "Database":
        """Open the ledger at `path`, or create it. For a copy, `named` is the path of the original, for messages.

        Raises LedgerError if the file is no ledger of callimport or cannot be trusted.
        """
        _refuse_special_file(path)
        try:
            _create_private(path)
            connection = sqlite3.connect(path, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise errors.LedgerError(
                f"the ledger {named or path} cannot be opened: {error}; check the folder's rights"
            ) from None
        database = cls(connection, str(path), named=str(named or path))
        try:
            with database._translating():
                database._prepare()
            database._refuse_lost_file()
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def in_memory(cls) -> "Database":
        """A ledger for one look only: nothing of it is ever written to a disk."""
        database = cls(sqlite3.connect(_MEMORY, isolation_level=None), _MEMORY)
        database._set_up()
        return database

    @classmethod
    def reading(cls, path: Path) -> "Database":
        """Open the ledger at `path` where it lies, to look at it. Neither it nor its folder is written to.

        No process may write to it meanwhile. A ledger that was killed has commits in its write-ahead log alone. SQLite
        cannot read them without writing into the folder, so that such a ledger is copied to a temporary folder.
        """
        _refuse_special_file(path)
        log = Path(f"{path}-wal")
        if log.exists() and log.stat().st_size:
            return cls._of_a_copy(path)
        try:
            connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None
            )
        except sqlite3.Error as error:
            raise errors.LedgerError(f"the ledger {path} cannot be read: {error}; check its rights") from None
        database = cls(connection, str(path))
        try:
            with database._translating():
                database._refuse_other_programs()
                if database.one("SELECT 1 FROM sqlite_master") is None:
                    # The process that began to make it was killed: nothing is in it.
                    database.close()
                    database = cls(sqlite3.connect(_MEMORY, isolation_level=None), _MEMORY, named=str(path))
                    database._set_up()
                else:
                    database._set_up(is_new_allowed=False)
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def _of_a_copy(cls, path: Path) -> "Database":
        """Open a copy of the ledger and its log. It is deleted at once: it lives while it is open."""
        with tempfile.TemporaryDirectory() as folder:
            twin = Path(folder) / path.name
            try:
                for suffix in ("", "-wal"):
                    if Path(f"{path}{suffix}").exists():
                        shutil.copyfile(f"{path}{suffix}", f"{twin}{suffix}")
            except OSError as error:
                raise errors.LedgerError(
                    f"the ledger {path} cannot be read: {error.strerror}; check its rights"
                ) from None
            return cls.open(twin, named=path)

    def close(self) -> None:
        self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; when the block has ended, it is on the disk."""
        self._refuse_lost_file()
        with self._translating():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def execute(self, sql: str, values: Values = ()) -> int:
        """Run one statement; the number of rows it changed."""
        with self._translating():
            return self._connection.execute(sql, values).rowcount

    def execute_many(self, sql: str, values: Iterable[tuple[Any, ...]]) -> int:
        """Run one statement for each of the values; the number of rows that were changed in all."""
        with self._translating():
            return self._connection.executemany(sql, values).rowcount

    def insert(self, sql: str, values: Values) -> int:
        """Run one INSERT; the id of the new row."""
        with self._translating():
            return int(self._connection.execute(sql, values).lastrowid or 0)

    def rows(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        with self._translating():
            return self._connection.execute(sql, values).fetchall()

    def stream(self, sql: str, values: Values = ()) -> Iterator[tuple[Any, ...]]:
        """As `rows`, one at a time, for answers that may be as long as the ledger."""
        with self._translating():
            yield from self._connection.execute(sql, values)

    def one(self, sql: str, values: Values = ()) -> Any:
        """The single value that the query asks for, None if there is none."""
        found = self.rows(sql, values)
        return found[0][0] if found else None

    def check_soundness(self, *, with_indexes: bool = False) -> None:
        """LedgerError if a page of the file is damaged; `with_indexes` also if an index does not fit its table, which
        takes longer. For the contents of items see damage.py."""
        verdict = self.one("PRAGMA integrity_check" if with_indexes else "PRAGMA quick_check")
        if verdict != "ok":
            raise errors.LedgerError(
                f"the ledger {self.place} is damaged ({verdict}): restore it from a backup; sending without it could "
                "make calls twice"
            )

    def _prepare(self) -> None:
        # Before the first read: only then does opening an existing ledger already shut everybody else out.
        self.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._refuse_other_programs()
        if self.one("PRAGMA journal_mode = WAL") != "wal":
            raise errors.LedgerError(
                f"the ledger {self.place} cannot keep a write-ahead log there: put it on a local disk with --ledger"
            )
        self.execute("PRAGMA synchronous = FULL")
        if sys.platform == "darwin":
            self.execute("PRAGMA fullfsync = 1")
        self._set_up()

    def _refuse_other_programs(self) -> None:
        application = self.one("PRAGMA application_id")
        if application not in (0, APPLICATION_ID) or (application == 0 and self.one("SELECT 1 FROM sqlite_master")):
            raise errors.LedgerError(f"{self.place} is a database of another program: name another file with --ledger")

    def _set_up(self, *, is_new_allowed: bool = True) -> None:
        """Set the connection up, and create the tables if the file is new. LedgerError for another version."""
        self.execute("PRAGMA foreign_keys = ON")
        self.execute("PRAGMA trusted_schema = OFF")
        # Else a million items are entered through 2 MB, each page of an index written again and again.
        self.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        # Where SQLite was built to wipe what it deletes: the rows of an enrolment are wiped with their file.
        self.execute("PRAGMA temp.secure_delete = OFF")
        # Without it, INSERT OR REPLACE would delete past the triggers that keep items, attempts and outcomes.
        self.execute("PRAGMA recursive_triggers = ON")
        version = int(self.one("PRAGMA user_version"))
        if version == 0 and is_new_allowed:
            with self.transaction():
                for statement in _statements(_SCHEMA.read_text(encoding="utf-8")):
                    self.execute(statement)
                self.execute(f"PRAGMA user_version = {VERSION}")
                self.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        elif version != VERSION:
            raise self._of_another_version(version)
        elif self.rows(_OBJECTS) != _objects_of_schema():
            # A flipped bit in a trigger would switch off a guard.
            raise self._damaged(sqlite3.DatabaseError("its tables or triggers are not as they were made"))
        for trigger in checksum.triggers():
            self.execute(trigger)

    def _of_another_version(self, version: int) -> errors.LedgerError:
        if version > VERSION:
            return errors.LedgerError(
                f"the ledger {self.place} was written by a newer callimport: upgrade with pip install -U callimport"
            )
        return errors.LedgerError(
            f"the ledger {self.place} was written by an older callimport (version {version} of the ledger, not "
            f"{VERSION}): go on with that callimport until its status shows no call pending or in doubt, then move the "
            "ledger to another folder and import with --first-run --adopt: that begins a new ledger"
        )

    def _refuse_lost_file(self) -> None:
        """Raise LedgerError if a file of the ledger was removed, replaced or cut off.

        SQLite goes on writing to a file that was deleted. What it writes there is lost, and the next run would send the
        same calls once more.
        """
        if self._path == _MEMORY:
            return
        for path in (self._path, f"{self._path}-wal"):
            before = self._files.get(path)
            try:
                now = Path(path).stat()
            except OSError as error:
                if before is None and isinstance(error, FileNotFoundError):
                    # SQLite creates the write-ahead log with the first write.
                    continue
                raise self._lost_file_error(path, error.strerror or "gone") from None
            if before is not None and before[:2] != (now.st_dev, now.st_ino):
                raise self._lost_file_error(path, "replaced by another file")
            if before is not None and before[2] > now.st_size:
                raise self._lost_file_error(path, "cut off")
            self._files[path] = (now.st_dev, now.st_ino, now.st_size)

    @staticmethod
    def _lost_file_error(path: str, what: str) -> errors.LedgerError:
        return errors.LedgerError(
            f"the ledger's file {path} was removed or changed by another program ({what}): nothing more is sent; put "
            "it back or restore it from a backup, then run again"
        )

    @contextlib.contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise errors.LedgerError(
                f"the ledger refused a change ({error}): nothing more is sent; run again"
            ) from error
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
                # A table that it should have is missing, or one is there already.
                raise self._damaged(error) from error
            raise errors.LedgerError(
                f"the ledger {self.place} could not be used ({error}): free the disk, check the file's rights, or "
                "close what holds it; then run again"
            ) from error
        except (sqlite3.Error, UnicodeDecodeError) as error:
            # A message of SQLite may quote a damaged name.
            raise self._damaged(error) from error

    def _damaged(self, error: sqlite3.Error | UnicodeDecodeError) -> errors.LedgerError:
        return errors.LedgerError(
            f"{self.place} is damaged or no ledger ({error}): restore it from a backup, or name another one"
        )


def _refuse_special_file(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise errors.LedgerError(
            f"the ledger {path} cannot be read: it is a folder, a pipe or a device; name a file with --ledger"
        )


def _create_private(path: Path) -> None:
    # sqlite3 alone would make it readable for everybody under the usual umask.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600))


@functools.cache
def _objects_of_schema() -> list[tuple[Any, ...]]:
    """The tables, indexes, views and triggers of a new ledger."""
    with contextlib.closing(sqlite3.connect(_MEMORY)) as new:
        new.executescript(_SCHEMA.read_text(encoding="utf-8"))
        return new.execute(_OBJECTS).fetchall()


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: sqlite3's executescript would commit half of them."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
