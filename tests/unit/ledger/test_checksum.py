"""A call whose row was damaged in the file is neither sent, nor changed, nor shown; the others are."""

import json
import sqlite3
import zlib
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callimport.core import errors
from callimport.core.errors import ExitCode
from callimport.core.models import ItemStatus
from callimport.ledger import Ledger, checksum, damage, delivered, history, queries
from callimport.ledger.database import Database
from callimport.ledger.recordings import Recordings
from callimport.ledger.updates import Updates
from tests import making

_CALLS = [making.call(f"A-{number}", row=number + 2, lead_id=5000 + number) for number in range(3)]
_KEYS = [making.key(call) for call in _CALLS]
_BATCH = making.batch("calls.csv")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with three pending calls."""
    path = tmp_path / "ledger.sqlite3"
    with closing(making.ledger(path)) as ledger:
        ledger.start_run("run-1")
        making.enter(ledger, _BATCH, *_CALLS, run_id="run-1")
    return path


def _damage(path: Path, sql: str, *values: object) -> None:
    """Change a row without the triggers that write its checksum."""
    with closing(sqlite3.connect(path)) as other, other:
        assert other.execute(sql, values).rowcount == 1


def _flip_payload(path: Path, key: str) -> None:
    _damage(path, "UPDATE item SET payload = replace(payload, '95', '94') WHERE key = ?", key)


def test_checksums_cover_every_column_of_every_table_that_changes(path: Path) -> None:
    with closing(making.ledger(path)) as ledger:
        tables = [name for (name,) in ledger.database.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {
            table: {name for _, name, *_ in ledger.database.rows(f"PRAGMA table_info({table})")} - {"checksum"}
            for table in tables
        }
    constant = {"item_status", "legal_move"}
    assert {table: set(names) for table, names in checksum.COLUMNS.items()} == {
        table: names for table, names in columns.items() if table not in constant
    }


def test_damaged_call_is_not_sent_and_the_others_are(path: Path) -> None:
    _flip_payload(path, _KEYS[0])
    with closing(making.ledger(path)) as ledger:
        first = ledger.next_item(_BATCH.id, frozenset())
        assert first is not None
        second = ledger.next_item(_BATCH.id, frozenset({first.lead_id}))
        assert second is not None
        assert {first.key, second.key} == set(_KEYS[1:])
        assert ledger.next_item(_BATCH.id, frozenset({first.lead_id, second.lead_id})) is None


def test_run_names_the_damaged_call_counts_it_and_ends_with_1(path: Path) -> None:
    _flip_payload(path, _KEYS[0])
    with closing(making.ledger(path)) as ledger:
        ledger.start_run("run-2")
        entered = making.enter(ledger, _BATCH, *_CALLS, run_id="run-2")
        reference = making.row(ledger, _KEYS[0])["reference"]
        told = damage.told(ledger.database)
        summary = making.reckoned(ledger, entered, _BATCH, *_CALLS)
    assert told is not None
    assert told.startswith(f"1 call is damaged in the ledger {path} ({reference}, row 2 of calls.csv,")
    assert "restore the ledger from a backup" in told
    assert summary.exit_code == ExitCode.STOPPED
    assert summary.calls.pending == 3
    assert summary.calls.adds_up(summary.rows)


def test_damaged_call_never_gets_a_new_checksum(path: Path) -> None:
    _flip_payload(path, _KEYS[0])
    with closing(making.ledger(path)) as ledger:
        before = making.row(ledger, _KEYS[0])
        assert ledger.withdraw(_BATCH.id) == 2
        assert making.row(ledger, _KEYS[0]) == before
        with pytest.raises(errors.LedgerError, match="is damaged in the ledger"):
            ledger.withdraw_one(before["reference"])
        damage.check_all(ledger.database)
        assert len(ledger.database.damaged) == 1


@pytest.mark.parametrize("status", [ItemStatus.IN_DOUBT, ItemStatus.DELIVERED])
def test_damaged_call_is_not_looked_up_compared_or_listed(path: Path, status: ItemStatus) -> None:
    with closing(making.ledger(path)) as ledger:
        for number, key in enumerate(_KEYS[:2]):
            making.bring(ledger, key, "run-1", status, communication_id=900 + number)
    _flip_payload(path, _KEYS[0])
    with closing(Ledger.reading(path, making.clock())) as ledger:
        reference = making.row(ledger, _KEYS[0])["reference"]
        assert [doubt.key for doubt in ledger.doubts()] == ([_KEYS[1]] if status is ItemStatus.IN_DOUBT else [])
        assert delivered.of_lead(ledger.database, 5000) == []
        assert [one.lead_id for one in queries.items(ledger.database, status)] == [5001]
        assert history.named(ledger.database, reference, None, limit=9) == []
        assert [row[1] for row in history.rows(ledger.database, (), None)] == _KEYS[1:]
        assert ledger.database.damaged == {("item", 1)}


def test_nothing_is_uploaded_to_a_damaged_call_or_from_a_damaged_name(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    calls = [call._replace(recording=f"{call.call_id}.wav") for call in _CALLS]
    with closing(making.ledger(path)) as ledger:
        ledger.start_run("run-1")
        making.enter(ledger, _BATCH, *calls, run_id="run-1")
        for number, key in enumerate(_KEYS):
            making.bring(ledger, key, "run-1", ItemStatus.DELIVERED, communication_id=900 + number)
    _damage(path, "UPDATE item SET echo = '{}' WHERE key = ?", _KEYS[0])
    _damage(path, "UPDATE recording SET name = 'A-0.wav' WHERE key = ?", _KEYS[1])
    with closing(making.ledger(path)) as ledger:
        assert [one.key for one in Recordings(ledger.database, making.clock()).of_delivered()] == [_KEYS[2]]
        told = damage.told(ledger.database)
    assert told is not None
    assert f"{_KEYS[1]}, row 2 of the table recording" in told


def test_damaged_call_is_not_updated(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with closing(making.ledger(path)) as ledger:
        ledger.start_run("run-1")
        making.enter(ledger, _BATCH, *_CALLS, run_id="run-1")
        for number, key in enumerate(_KEYS):
            making.bring(ledger, key, "run-1", ItemStatus.DELIVERED, communication_id=900 + number)
        new = making.batch("new.csv")
        making.enter(ledger, new, *(call._replace(description="Autre") for call in _CALLS), run_id="run-1")
        assert len(Updates(ledger.database, making.clock(), new.id).waiting()) == 3
    _damage(path, "UPDATE item SET next_payload = replace(next_payload, 'Autre', 'Autrf') WHERE key = ?", _KEYS[0])
    with closing(making.ledger(path)) as ledger:
        making.enter(ledger, new, *(call._replace(description="Autre") for call in _CALLS), run_id="run-1")
        waiting = Updates(ledger.database, making.clock(), new.id).waiting()
        assert {key for key, _ in waiting} == set(_KEYS[1:])


def test_text_that_is_no_utf_8_any_more_is_damage_and_no_other_error(path: Path) -> None:
    _damage(path, "UPDATE item SET reference = CAST(x'ff41' AS TEXT) WHERE key = ?", _KEYS[0])
    with closing(Ledger.reading(path, making.clock())) as ledger:
        damage.check_all(ledger.database)
        with pytest.raises(errors.LedgerError, match="\ufffdA, row 2"):
            damage.refuse(ledger.database)


def test_blob_with_the_bytes_of_a_text_is_damage_and_no_other_error(path: Path) -> None:
    """A flipped bit in the header of a row makes the one of the other."""
    # Only a table that is not STRICT takes it.
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA writable_schema = ON")
        ((schema,),) = other.execute("SELECT sql FROM sqlite_master WHERE name = 'item'")
        other.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'item'", (schema.removesuffix(" STRICT"),))
    _damage(path, "UPDATE item SET facts = CAST(facts AS BLOB) WHERE key = ?", _KEYS[0])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'item'", (schema,))
    with closing(Ledger.reading(path, making.clock())) as ledger:
        damage.check_all(ledger.database)
        with pytest.raises(errors.LedgerError, match="1 call is damaged"):
            damage.refuse(ledger.database)


_ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("'\"\\\0\n"), max_size=20)


@settings(deadline=None, max_examples=25)
@given(_ANY_TEXT, st.none() | _ANY_TEXT, st.integers(-(2**63), 2**63 - 1))
def test_checksum_is_the_crc_32_of_the_row_as_json_whatever_it_says(
    text: str, perhaps: str | None, number: int
) -> None:
    rows = {"acknowledged": (number, text), "batch": ("7K3Q-2M9D", text, text, text, perhaps)}
    with closing(Database.in_memory()) as database:
        for table, values in rows.items():
            columns = ", ".join(checksum.COLUMNS[table])
            marks = ", ".join("?" * len(values))
            database.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", values)  # noqa: S608
            as_json = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
            assert database.rows(f"SELECT checksum FROM {table}") == [(zlib.crc32(as_json.encode()),)]  # noqa: S608
        damage.check_all(database)
        assert database.damaged == set()


@settings(deadline=None, max_examples=25)
@given(
    call_id=_ANY_TEXT.filter(bool),
    description=st.none() | _ANY_TEXT,
    legs=st.none() | _ANY_TEXT,
    seconds=st.integers(-(10**10), 10**10),
)
def test_new_item_is_sound_whatever_it_says(
    tmp_path_factory: pytest.TempPathFactory, call_id: str, description: str | None, legs: str | None, seconds: int
) -> None:
    call = making.call(call_id, description=description, legs=legs, started_at=datetime.fromtimestamp(seconds, UTC))
    with closing(making.ledger(tmp_path_factory.mktemp("new") / "ledger.sqlite3")) as ledger:
        making.enter(ledger, _BATCH, call)
        damage.check_all(ledger.database)
        assert ledger.database.one("SELECT count(*) FROM item") == 1
        assert ledger.database.damaged == set()


def test_status_that_is_no_word_any_more_is_counted_as_in_doubt() -> None:
    """Whether the CRM has such a call is not known."""
    counts = queries._by_status([("pendinf", 3), ("pending", 1)])
    assert (counts[ItemStatus.PENDING], counts[ItemStatus.IN_DOUBT]) == (1, 3)


def test_damaged_name_in_the_schema_is_damage_and_no_other_error(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b"kept_edit_by_key", b"kept_e\xe4it_by_key"))
    for opened in (Ledger.open, Ledger.reading):
        with pytest.raises(errors.LedgerError, match="damaged or no ledger"):
            opened(path, making.clock())


def test_many_damaged_calls_are_named_by_a_few_and_counted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(damage, "EXAMPLES", 1)
    for key in _KEYS:
        _flip_payload(path, key)
    _damage(path, "UPDATE batch SET settings = '{'")
    with closing(Ledger.reading(path, making.clock())) as ledger:
        damage.check_all(ledger.database)
        with pytest.raises(errors.LedgerError, match=r"4 calls are damaged .*row 1 of the table batch; and 3 more\)"):
            damage.refuse(ledger.database)
        with pytest.raises(errors.LedgerError, match="damaged in the ledger"):
            queries.batch_settings(ledger.database, _BATCH.id)


def test_row_that_is_gone_is_named_by_its_number(path: Path) -> None:
    with closing(Ledger.reading(path, making.clock())) as ledger:
        ledger.database.damaged.add(("item", 99))
        assert "(row 99 of the table item)" in (damage.told(ledger.database) or "")


def test_ledger_whose_triggers_were_changed_is_refused(path: Path) -> None:
    content = path.read_bytes()
    assert b"WHEN OLD.applied = 1" in content
    path.write_bytes(content.replace(b"WHEN OLD.applied = 1", b"WHEN OLD.applied = 3"))
    for opened in (Ledger.open, Ledger.reading):
        with pytest.raises(errors.LedgerError, match="its tables or triggers are not as they were made"):
            opened(path, making.clock())
