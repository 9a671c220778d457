"""A recording column that slipped by a row must not give every call its neighbour's recording."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from callimport.core import endings, errors
from callimport.ledger import Ledger
from tests import making
from tests.fake_crm import FakeDealer, Reply, Request, lead
from tests.unit.load.test_audio_files import wav
from tests.unit.resolve.test_find_leads import HEADER, ONE, Nights, night_after_night
from tests.unit.resolve.test_find_leads import _call as call

COUNT = 59


def wired(crm: FakeDealer) -> None:
    """It takes updates and recordings, too."""
    crm.leads = [lead(11, ONE)]
    others = crm.receive

    def receive(request: Request) -> Reply | Any:
        is_recording = request.target.endswith("/recording")
        if request.method != "PUT" and not is_recording:
            return others(request)
        crm.received.append(request)
        return crm.upload(request) if is_recording else crm.keep(request)

    crm.receive = receive  # type: ignore[method-assign]


def folder(nights: Nights) -> Path:
    found = nights.folder / "recordings"
    if found.exists():
        return found
    found.mkdir()
    for number in range(COUNT + 1):
        (found / f"{number}.wav").write_bytes(wav(3) + bytes([number]) * 7)
    return found


def rows(slipped_by: int = 0, seconds: int = 60, count: int = COUNT) -> list[str]:
    return [f"{call(n).replace(',60,', f',{seconds},')},{n + slipped_by}.wav" for n in range(count)]


def uploads(nights: Nights) -> int:
    return sum(map(len, nights.crm.recordings.values()))


async def night(nights: Nights, *its_rows: str, **changes: Any) -> endings.Result:
    return await nights.run(*its_rows, header=f"{HEADER},recording", recordings=folder(nights), **changes)


async def stopped(nights: Nights, *its_rows: str, **changes: Any) -> str:
    result = await night(nights, *its_rows, **changes)
    assert result.summary.calls.adds_up(result.summary.rows)
    assert result.summary.exit_code == errors.ExitCode.GUARD
    assert uploads(nights) == COUNT
    return result.error or ""


@night_after_night
async def test_a_column_that_slipped_replaces_no_recording(nights: Nights) -> None:
    wired(nights.crm)
    await night(nights, *rows())
    assert uploads(nights) == COUNT
    said = await stopped(nights, *rows(slipped_by=1))
    assert "59 of 59 known calls name another recording than the one that the CRM has" in said
    # What was stopped comes again with its file, and with nothing else.
    assert (await night(nights, recordings_only=True)).summary.exit_code == 0
    await stopped(nights, *rows(slipped_by=1), recordings_only=True)
    assert uploads(nights) == COUNT
    # Mended, all is as it was.
    assert (await night(nights, *rows())).summary.exit_code == 0
    assert uploads(nights) == COUNT
    assert (await night(nights, *rows(slipped_by=1), allow_updates=COUNT)).summary.exit_code == 0
    assert uploads(nights) == 2 * COUNT


@night_after_night
async def test_run_that_a_guard_stops_tells_what_its_dry_run_tells_and_writes_no_call(nights: Nights) -> None:
    wired(nights.crm)
    await night(nights, *rows())
    before = items(nights)
    planned = await night(nights, *rows(slipped_by=1, seconds=61, count=55), dry_run=True)
    result = await night(nights, *rows(slipped_by=1, seconds=61, count=55))
    assert planned.error
    assert planned.error == result.error
    assert (planned.summary.rows, planned.summary.calls) == (result.summary.rows, result.summary.calls)
    assert (planned.summary.recordings, planned.updates) == (result.summary.recordings, result.updates)
    assert result.summary.calls.pending == 55
    assert items(nights) == before


def items(nights: Nights) -> list[tuple[Any, ...]]:
    with closing(Ledger.reading(nights.folder / "ledger.sqlite3", making.clock())) as ledger:
        return ledger.database.rows("SELECT * FROM item ORDER BY key")


@night_after_night
async def test_recording_names_of_changes_that_were_stopped_are_not_used(nights: Nights) -> None:
    wired(nights.crm)
    await night(nights, *rows())
    said = await stopped(nights, *rows(slipped_by=1, seconds=61))
    assert "59 of 59 known calls would be changed" in said
    assert (await night(nights, recordings_only=True)).summary.exit_code in (0, 7)
    assert uploads(nights) == COUNT


@night_after_night
async def test_some_other_names_are_nothing_to_stop_for(nights: Nights) -> None:
    wired(nights.crm)
    await night(nights, *rows(count=9))
    assert (await night(nights, *rows(slipped_by=1, count=9))).summary.recordings.uploaded == 9
    assert (await night(nights, *rows(slipped_by=2, count=9), on_change="report")).summary.recordings.uploaded == 0


@pytest.mark.parametrize("only", [True, False])
def test_names_that_the_first_export_lacked_are_taken_up(
    only: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @night_after_night
    async def story(nights: Nights) -> None:
        wired(nights.crm)
        await nights.run(*(call(n) for n in range(COUNT)))
        planned = await night(nights, *rows(), dry_run=True)
        assert planned.summary.recordings.pending == COUNT
        assert (await night(nights, *rows(), recordings_only=only)).summary.recordings.uploaded == COUNT

    story(tmp_path, monkeypatch)
