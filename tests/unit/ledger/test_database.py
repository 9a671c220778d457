"""The file under the ledger: copied without being touched, refused where it cannot be trusted."""

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from callimport.core import errors
from callimport.core.models import ItemStatus
from callimport.ledger import Binding, Database, Ledger, queries
from tests import making

CALL = making.call()


def _made(path: Path) -> None:
    with closing(making.ledger(path)) as ledger:
        ledger.start_run("run-1")
        making.enter(ledger, making.batch(), CALL, run_id="run-1")


def test_reader_sees_what_the_ledger_holds_and_leaves_it_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    _made(path)
    before = path.read_bytes()
    with closing(Ledger.reading(path, making.clock(), making.BINDING)) as read:
        assert queries.counts(read.database)[ItemStatus.PENDING] == 1
        with pytest.raises(errors.LedgerError):
            read.start_run("run-2")
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["ledger.sqlite3"]


@pytest.mark.parametrize("content", [None, b""])
def test_reader_takes_a_ledger_that_is_not_there_for_an_empty_one(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ledger.sqlite3"
    if content is not None:
        path.write_bytes(content)
    with closing(Ledger.reading(path, making.clock(), making.BINDING)) as read:
        assert sum(queries.counts(read.database).values()) == 0


def test_ledger_whose_making_was_killed_is_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    for content in (b"", _begun(tmp_path / "begun.sqlite3")):
        path.write_bytes(content)
        with closing(Database.reading(path)) as found:
            assert sum(queries.counts(found).values()) == 0
        assert path.read_bytes() == content


def _begun(path: Path) -> bytes:
    """A file that has got its write-ahead log, and no table yet."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
    return path.read_bytes()


def _killed(path: Path) -> None:
    """As a killed run leaves it: its last commits stand in the log alone."""
    alive = path.with_name("alive.sqlite3")
    with closing(making.ledger(alive)) as ledger:
        ledger.start_run("run-1")
        making.enter(ledger, making.batch(), CALL, run_id="run-1")
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{alive}{suffix}", f"{path}{suffix}")
    alive.unlink()


@pytest.mark.parametrize("make", [_made, _killed])
def test_a_look_sees_every_commit_and_writes_nothing(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "ledger.sqlite3"
    make(path)
    before = {entry.name: (entry.read_bytes(), entry.stat().st_mtime_ns) for entry in tmp_path.iterdir()}
    with closing(Ledger.reading(path, making.clock(), making.BINDING)) as ledger:
        assert queries.counts(ledger.database)[ItemStatus.PENDING] == 1
        ledger.database.check_soundness(with_indexes=True)
    assert {entry.name: (entry.read_bytes(), entry.stat().st_mtime_ns) for entry in tmp_path.iterdir()} == before


def test_a_look_cannot_change_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    _made(path)
    with (
        closing(Ledger.reading(path, making.clock())) as ledger,
        pytest.raises(errors.LedgerError, match="readonly"),
    ):
        ledger.withdraw(making.batch().id)


def test_a_look_at_what_cannot_be_trusted_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"call_id,lead_id\n" * 100)
    with pytest.raises(errors.LedgerError, match="not a database"):
        Ledger.reading(path, making.clock())
    path.unlink()
    _made(path)
    other = Binding("other.example", making.ACCOUNT)
    with pytest.raises(errors.LedgerError, match="belongs to account 77"):
        Ledger.reading(path, making.clock(), other)
    with closing(Database.open(tmp_path / "unbound.sqlite3")):
        pass
    Ledger.reading(tmp_path / "unbound.sqlite3", making.clock(), other).close()


def test_a_look_that_sqlite_does_not_open_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.sqlite3"
    _made(path)

    def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", fail)
    with pytest.raises(errors.LedgerError, match=r"ledger\.sqlite3 cannot be read: unable to open"):
        Ledger.reading(path, making.clock())


def test_a_ledger_that_cannot_be_read_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(errors.LedgerError, match=f"{name} cannot be read"):
            Ledger.reading(tmp_path / name, making.clock(), making.BINDING)
        with pytest.raises(errors.LedgerError, match=f"{name} cannot be read"):
            Database.open(tmp_path / name)


def test_a_ledger_of_another_form_is_damaged_and_no_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    _made(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 0")
    with pytest.raises(errors.LedgerError, match="is damaged or no ledger"):
        Database.open(path)


def _replace(ledger: Path) -> None:
    copy = ledger.with_name("copy")
    shutil.copy(ledger, copy)
    copy.replace(ledger)


@pytest.mark.parametrize(
    "lose",
    [
        Path.unlink,
        lambda ledger: ledger.parent.rename(ledger.parent.with_name("elsewhere")),
        _replace,
        lambda ledger: os.truncate(ledger, 0),
        lambda ledger: Path(f"{ledger}-wal").unlink(),
        lambda ledger: os.truncate(f"{ledger}-wal", 0),
        lambda ledger: _replace(Path(f"{ledger}-wal")),
    ],
    ids=["deleted", "folder moved", "replaced", "emptied", "log deleted", "log emptied", "log replaced"],
)
def test_a_ledger_whose_file_is_lost_takes_no_further_change(tmp_path: Path, lose: Callable[[Path], object]) -> None:
    (tmp_path / "here").mkdir()
    path = tmp_path / "here" / "ledger.sqlite3"
    with closing(Database.open(path)) as database:
        with database.transaction():
            pass
        lose(path)
        with (
            pytest.raises(errors.LedgerError, match=r"ledger\.sqlite3.* was removed or changed"),
            database.transaction(),
        ):
            pass


def test_a_ledger_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(errors.LedgerError, match="cannot be opened"):
        Database.open(tmp_path / "no folder" / "ledger.sqlite3")


def test_a_transaction_that_sqlite_ended_itself_keeps_its_own_error(tmp_path: Path) -> None:
    """A full disk rolls back by itself; a second rollback would hide what happened."""
    with closing(Database.open(tmp_path / "ledger.sqlite3")) as database:

        def end_within() -> None:
            with database.transaction():
                database.execute("ROLLBACK")
                raise errors.LedgerError("the disk is full")

        with pytest.raises(errors.LedgerError, match="the disk is full"):
            end_within()


def test_where_no_write_ahead_log_can_be_kept_there_is_no_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network folder."""
    one = Database.one

    def without_wal(self: Database, sql: str, values: Any = ()) -> Any:
        return "delete" if sql == "PRAGMA journal_mode = WAL" else one(self, sql, values)

    monkeypatch.setattr(Database, "one", without_wal)
    with pytest.raises(errors.LedgerError, match="local disk"):
        Database.open(tmp_path / "ledger.sqlite3")


def test_on_a_mac_a_commit_reaches_the_disk_and_not_only_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with closing(Database.open(tmp_path / "ledger.sqlite3")) as database:
        assert database.one("PRAGMA fullfsync") == 1


def test_doubts_are_counted_by_what_was_seen(tmp_path: Path) -> None:
    other = making.call("B-1", row=3)
    with closing(making.ledger(tmp_path / "ledger.sqlite3")) as ledger:
        ledger.start_run("run-1")
        making.enter(ledger, making.batch(), CALL, other, run_id="run-1")
        for call in (CALL, other):
            making.bring(ledger, making.key(call), "run-1", ItemStatus.IN_DOUBT)
        assert queries.doubt_reasons(ledger.database) == {"no answer in time": 2}
