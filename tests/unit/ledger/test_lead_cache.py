"""What the CRM said about numbers is remembered for a while, in a file that may be lost at any time."""

import sqlite3
import stat
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from callimport.core import models
from callimport.ledger import Ledger, lead_cache
from tests import making

NOW = making.NOW
LEADS = (models.Lead(5003, NOW, "open"), models.Lead(5004))
FOUND = {making.PHONE: LEADS, making.OTHER_PHONE: ()}
ANY_CALL = dict.fromkeys(FOUND)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return lead_cache.beside(tmp_path / "ledger.sqlite3")


@pytest.fixture
def said() -> list[str]:
    return []


def test_answers_are_remembered_for_less_than_a_day_also_that_nobody_has_the_number(
    path: Path, said: list[str]
) -> None:
    lead_cache.keep(path, FOUND, NOW, said.append)
    known = lead_cache.known(path, ANY_CALL, NOW + timedelta(hours=19), said.append)
    assert {phone: answer.leads for phone, answer in known.items()} == FOUND
    assert lead_cache.known(path, ANY_CALL, NOW + timedelta(hours=20), said.append) == {}
    assert lead_cache.known(path, ANY_CALL, NOW - timedelta(seconds=1), said.append) == {}
    assert said == []


def test_newer_answer_takes_the_place_of_an_older_one(path: Path, said: list[str]) -> None:
    lead_cache.keep(path, FOUND, NOW, said.append)
    later = NOW + timedelta(hours=1)
    lead_cache.keep(path, {making.PHONE: ()}, later, said.append)
    known = lead_cache.known(path, ANY_CALL, later, said.append)
    assert known[making.PHONE] == lead_cache.Answer((), later)
    assert known[making.OTHER_PHONE].looked_up_at == NOW


def test_answer_from_before_the_last_call_of_the_number_is_no_answer(path: Path, said: list[str]) -> None:
    lead_cache.keep(path, FOUND, NOW, said.append)
    last_calls = {making.PHONE: NOW + timedelta(seconds=1), making.OTHER_PHONE: NOW}
    assert list(lead_cache.known(path, last_calls, NOW + timedelta(hours=1), said.append)) == [making.OTHER_PHONE]


def test_file_is_open_to_its_owner_only(path: Path, said: list[str]) -> None:
    lead_cache.keep(path, FOUND, NOW, said.append)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_deleted_file_is_made_again(path: Path, said: list[str]) -> None:
    lead_cache.keep(path, FOUND, NOW, said.append)
    path.unlink()
    assert lead_cache.known(path, ANY_CALL, NOW, said.append) == {}
    lead_cache.keep(path, FOUND, NOW, said.append)
    assert len(lead_cache.known(path, ANY_CALL, NOW, said.append)) == 2
    assert said == []


def _another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (x)")


def _another_version(path: Path) -> None:
    lead_cache.keep(path, FOUND, NOW, print)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize(
    "spoil", [lambda path: path.write_bytes(b"no database" * 100), _another_program, _another_version]
)
def test_damaged_or_foreign_file_is_set_aside_with_a_sentence(path: Path, said: list[str], spoil: object) -> None:
    assert callable(spoil)
    spoil(path)
    before = path.read_bytes()
    lead_cache.keep(path, FOUND, NOW, said.append)
    assert len(lead_cache.known(path, ANY_CALL, NOW, said.append)) == 2
    assert path.with_name(f"{path.name}.damaged").read_bytes() == before
    assert len(said) == 1
    assert "is damaged or no lead cache" in said[0]


def test_damaged_answer_is_asked_for_again(path: Path, said: list[str]) -> None:
    lead_cache.keep(path, FOUND, NOW, said.append)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE answer SET leads = replace(leads, '5003', '5002')")
    assert list(lead_cache.known(path, ANY_CALL, NOW, said.append)) == [making.OTHER_PHONE]


def test_file_that_cannot_be_used_is_a_sentence_and_no_error(path: Path, said: list[str]) -> None:
    path.mkdir()
    lead_cache.keep(path, FOUND, NOW, said.append)
    assert lead_cache.known(path, ANY_CALL, NOW, said.append) == {}
    assert lead_cache.asked_for(path, FOUND) == set()
    assert len(said) == 2
    assert "cannot be used" in said[0]


def test_file_that_another_process_is_writing_is_a_sentence_and_no_error(
    path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_cache.keep(path, FOUND, NOW, said.append)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **more: connect(path, timeout=0, **more))
    with closing(connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert lead_cache.known(path, ANY_CALL, NOW, said.append) == {}
        assert lead_cache.asked_for(path, FOUND) == set()
        other.execute("ROLLBACK")
        other.execute("BEGIN IMMEDIATE")
        lead_cache.keep(path, FOUND, NOW, said.append)
    assert len(said) == 2


def test_without_a_folder_nothing_is_remembered(tmp_path: Path, said: list[str]) -> None:
    for path in (None, tmp_path / "nowhere" / "ledger.sqlite3.leads"):
        lead_cache.keep(path, FOUND, NOW, said.append)
        assert lead_cache.known(path, ANY_CALL, NOW, said.append) == {}
        assert lead_cache.asked_for(path, FOUND) == set()
    assert said == []
    assert list(tmp_path.iterdir()) == []


def test_whether_a_number_was_asked_for_is_seen_without_writing(path: Path, said: list[str]) -> None:
    assert lead_cache.asked_for(path, FOUND) == set()
    assert not path.exists()
    lead_cache.keep(path, FOUND, NOW, said.append)
    before = path.stat().st_mtime_ns
    assert lead_cache.asked_for(path, [making.PHONE, "+15145550199"]) == {making.PHONE}
    assert path.stat().st_mtime_ns == before


def test_dry_run_and_import_share_the_file(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite3"
    wanted = lead_cache.beside(ledger)
    with closing(Ledger.reading(ledger, making.clock(), making.BINDING)) as read:
        assert read.lead_cache == wanted
    with closing(making.ledger(ledger)) as imported:
        assert imported.lead_cache == wanted
    with closing(Ledger.reading(ledger, making.clock(), making.BINDING)) as read:
        assert read.lead_cache == wanted
