"""What goes on beside a delivery, and what its troubles come to."""

import io
from pathlib import Path
from typing import Any

import anyio
import pytest
from rich.console import Console

from callimport import report
from callimport.core import errors, models
from callimport.ledger import Ledger, locking
from callimport.load import deliver
from callimport.load.heartbeat import Watch
from callimport.load.reconcile import Reconciliation
from tests import making
from tests.fake_crm import in_virtual_time
from tests.making import NOW
from tests.shown import Shows, ledger_with, lose_answer, stored, virtual_clock

CALL = making.call()
NOTHING = models.Progress(
    to_do=1,
    delivered=0,
    refused=0,
    failed=0,
    in_doubt=0,
    elapsed_seconds=0.0,
    achieved_per_minute=0.0,
    allowed_per_minute=190.0,
    requests=0,
    rate_limited=0,
)


class Sending(deliver.Delivery):
    """A delivery that only remembers what stopped it."""

    def __init__(self) -> None:
        self.stopped_by: list[errors.ImporterError] = []

    def progress(self) -> models.Progress:
        return NOTHING

    def stop(self, error: errors.ImporterError) -> None:
        self.stopped_by.append(error)


def _watch(ledger: Ledger, shows: Shows, said: io.StringIO) -> tuple[Watch, Sending]:
    sending = Sending()
    task = deliver.Task("run-1", making.batch().id, 1, None, 1)
    reconciliation = Reconciliation(ledger, shows, virtual_clock(), 180.0)
    talk = report.Talk(Console(file=said, width=500), lambda: NOW)
    return Watch(sending, task, ledger, reconciliation, virtual_clock(), talk), sending


@in_virtual_time
async def test_doubts_are_looked_up_beside_the_delivery_as_they_ripen(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        shows = Shows()
        shows.answers[5003] = [[stored(900, lose_answer(ledger, CALL).communication)]]
        watch, sending = _watch(ledger, shows, io.StringIO())
        async with watch.kept():
            await anyio.sleep(179)
            assert shows.reads == []
            await anyio.sleep(10)
        assert making.status(ledger, making.key(CALL)) == models.ItemStatus.DELIVERED
        assert sending.stopped_by == []


@pytest.mark.parametrize("where", ["ripe_in_seconds", "settle_ripe"])
def test_a_ledger_that_fails_beside_the_delivery_stops_it_with_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def fail(*_: Any) -> Any:
        raise errors.LedgerError("the ledger could not be used (disk I/O error)")

    monkeypatch.setattr(Reconciliation, where, fail)

    @in_virtual_time
    async def story() -> None:
        with ledger_with(tmp_path, CALL) as ledger:
            watch, sending = _watch(ledger, Shows(), io.StringIO())
            async with watch.kept():
                await anyio.sleep(10)
            assert [str(error) for error in sending.stopped_by] == ["the ledger could not be used (disk I/O error)"]

    story()


@in_virtual_time
async def test_a_crm_that_cannot_be_read_beside_the_delivery_is_said_and_left_to_it(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        lose_answer(ledger, CALL)
        shows, said = Shows(), io.StringIO()
        shows.answers[5003] = [errors.DestinationUnusable("the CRM cannot be reached")]
        watch, sending = _watch(ledger, shows, said)
        async with watch.kept():
            await anyio.sleep(400)
        assert sending.stopped_by == []
        assert said.getvalue().count("the CRM cannot be reached") == 1


@in_virtual_time
async def test_the_heartbeat_says_when_it_ended(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        heartbeat = locking.beside(Path(ledger.database.place), "heartbeat")
        watch, _ = _watch(ledger, Shows(), io.StringIO())
        async with watch.kept():
            await anyio.sleep(1)
            assert (locking.read_heartbeat(heartbeat) or {})["state"] == "sending"
        assert (locking.read_heartbeat(heartbeat) or {})["state"] == "ended"


@in_virtual_time
async def test_a_heartbeat_that_cannot_be_written_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(locking, "write_heartbeat", refuse)
    with ledger_with(tmp_path, CALL) as ledger:
        watch, sending = _watch(ledger, Shows(), io.StringIO())
        async with watch.kept():
            await anyio.sleep(3)
        assert sending.stopped_by == []
