"""Between runs a person looks, gives up and tries again; beside a run, only its heartbeat is looked at."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest

from callimport.cli import status as ledger_status
from callimport.core import errors, models
from callimport.core.models import ItemStatus
from callimport.core.settings import Settings
from callimport.ledger import Ledger, locking, queries
from tests import making

_BATCH = making.batch()
_CALLS = {
    status: making.call(status.value, row=row, lead_id=0 if status is ItemStatus.WAITING else 5003)
    for row, status in enumerate(ItemStatus, start=2)
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A ledger with an item of every standing that a finished run leaves."""
    path = tmp_path / "ledger.sqlite3"
    with closing(making.ledger(path)) as ledger:
        ledger.start_run("run-1")
        making.enter(ledger, _BATCH, *_CALLS.values(), run_id="run-1")
        for status, call in _CALLS.items():
            if status not in (ItemStatus.WITHDRAWN, ItemStatus.IN_FLIGHT):
                making.bring(ledger, making.key(call), "run-1", status, communication_id=900 + call.place.row)
        ledger.end_run("run-1", 4)
    return Settings(files=(), ledger=path, state_dir=tmp_path)


@pytest.fixture
def held(settings: Settings) -> Iterator[Path]:
    """As if a run held the ledger; the path of its heartbeat."""
    assert settings.ledger is not None
    with locking.held(locking.beside(settings.ledger, "lock")):
        yield locking.beside(settings.ledger, "heartbeat")


def _look(settings: Settings) -> Ledger:
    assert settings.ledger is not None
    return Ledger.open(settings.ledger, making.clock())


def test_status_tells_everything_of_a_ledger_at_rest(settings: Settings) -> None:
    status = ledger_status.status(settings, making.clock())
    assert (status.running, status.account, status.changed) == (None, making.ACCOUNT, 0)
    with_lead = [one for one in ItemStatus if one is not ItemStatus.WAITING]
    assert status.items == {**dict.fromkeys(with_lead, 1), ItemStatus.PENDING: 3, ItemStatus.IN_FLIGHT: 0} | {
        ItemStatus.WITHDRAWN: 0
    }
    assert status.without_lead == 1
    assert status.last_run is not None
    assert (status.last_run["run_id"], status.last_run["batch"], status.last_run["exit_code"]) == (
        "run-1",
        _BATCH.id,
        4,
    )
    assert status.waiting == (models.Waiting(_BATCH.id, 3, _BATCH.settings),)
    assert [one.status for one in status.listed] == list(ledger_status.LISTED)


def test_status_for_machines_is_plain_and_masks_the_numbers(settings: Settings) -> None:
    text = json.dumps(ledger_status.status(settings, making.clock()).for_machines())
    assert making.PHONE not in text
    first = json.loads(text)["listed"][0]
    assert (first["phone"], first["started_at"]) == ("+1514•••0123", "2024-05-31T14:05:09+00:00")
    assert json.loads(text)["items"]["pending"] == 3


def test_status_changes_nothing(settings: Settings) -> None:
    with closing(_look(settings)) as ledger:
        before = making.everything(ledger)
    ledger_status.status(settings, making.clock())
    with closing(_look(settings)) as ledger:
        assert making.everything(ledger) == before


def test_status_of_an_empty_ledger_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    making.ledger(path).close()
    status = ledger_status.status(Settings(files=(), ledger=path), making.clock())
    assert (status.last_run, status.waiting, status.listed) == (None, (), ())
    json.dumps(status.for_machines())


def test_while_a_run_holds_the_ledger_its_heartbeat_speaks(settings: Settings, held: Path) -> None:
    assert ledger_status.status(settings, making.clock()).running == {"state": "starting"}
    locking.write_heartbeat(held, {"run_id": "run-2", "state": "sending"})
    status = ledger_status.status(settings, making.clock())
    assert status.running == {"run_id": "run-2", "state": "sending"}
    assert status.items is None
    json.dumps(status.for_machines())


def test_nothing_is_decided_while_a_run_holds_the_ledger(
    settings: Settings, held: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locking.write_heartbeat(held, {"run_id": "run-2", "pid": 7, "host": "nas", "started_at": "noon"})
    impatient = locking.held
    monkeypatch.setattr(locking, "held", lambda path, **named: impatient(path, **{**named, "patience_seconds": 0}))
    with pytest.raises(errors.RunInProgress, match="run run-2"):
        ledger_status.withdraw(settings, making.clock(), _BATCH.id)
    with pytest.raises(errors.RunInProgress, match="run run-2"):
        ledger_status.retry(settings, making.clock(), statuses=(ItemStatus.FAILED,), keys=())


def test_withdrawing_gives_up_what_is_pending_or_waits_and_nothing_else(settings: Settings) -> None:
    assert ledger_status.withdraw(settings, making.clock(), _BATCH.id.lower()) == 4
    status = ledger_status.status(settings, making.clock())
    assert status.items is not None
    assert (status.items[ItemStatus.WITHDRAWN], status.items[ItemStatus.PENDING]) == (3, 0)
    assert status.without_lead == 0
    assert status.waiting == ()
    with pytest.raises(errors.ConfigError, match="knows no batch"):
        ledger_status.withdraw(settings, making.clock(), "NOBO-DY00")


def test_what_was_refused_or_failed_is_tried_again(settings: Settings) -> None:
    both = (ItemStatus.REFUSED, ItemStatus.FAILED)
    assert ledger_status.retry(settings, making.clock(), statuses=both, keys=()).pending == 2
    assert ledger_status.retry(settings, making.clock(), statuses=both, keys=()).pending == 0
    with closing(_look(settings)) as ledger:
        assert queries.counts(ledger.database)[ItemStatus.PENDING] == 5


def test_one_call_is_tried_again_by_its_reference(settings: Settings) -> None:
    reference = making.reference(_CALLS[ItemStatus.REFUSED])
    assert ledger_status.retry(settings, making.clock(), statuses=(), keys=(reference,)).pending == 1
    in_doubt = making.reference(_CALLS[ItemStatus.IN_DOUBT])
    with pytest.raises(errors.ConfigError, match=f"no refused, failed or withdrawn call has the key {in_doubt}"):
        ledger_status.retry(settings, making.clock(), statuses=(), keys=(in_doubt,))


def test_a_held_call_that_was_given_up_is_held_again(settings: Settings) -> None:
    reference = making.reference(_CALLS[ItemStatus.HELD])
    assert ledger_status.withdraw(settings, making.clock(), reference) == 1
    retried = ledger_status.retry(settings, making.clock(), statuses=(), keys=(reference,))
    assert (retried.pending, retried.held) == (0, 1)


def test_the_ledger_is_let_go_of_after_every_look(settings: Settings) -> None:
    assert settings.ledger is not None
    ledger_status.status(settings, making.clock())
    with pytest.raises(errors.ConfigError):
        ledger_status.withdraw(settings, making.clock(), "NOBO-DY00")
    assert not locking.is_held(locking.beside(settings.ledger, "lock"))
    assert asdict(ledger_status.status(settings, making.clock()))["running"] is None
