"""Whose a file is where names are used again: what the CRM has is not replaced by a stranger's."""

import errno
import unicodedata
from datetime import timedelta
from pathlib import Path

import pytest

from callimport.core import phones
from callimport.core.errors import ExitCode
from callimport.core.models import ItemStatus
from callimport.ledger.recordings import Recordings
from callimport.load.audio_files import Audio, Folder
from callimport.load.recording_names import Names
from callimport.load.recordings_due import unclaimed
from callimport.profiles import profile
from tests import fake_crm, making
from tests.fake_crm import in_virtual_time
from tests.making import STARTED
from tests.unit.load.test_audio_files import wav
from tests.unit.load.test_recordings import Nights, calls, nights

MONDAY, TUESDAY = (one._replace(recording="call-0001.wav") for one in calls(2))


def tuesday(of: Nights, *also: object) -> None:
    making.enter(of.ledger, making.batch("tuesday.csv"), TUESDAY, *also)  # type: ignore[arg-type]
    making.bring(of.ledger, making.key(TUESDAY), "run-1", ItemStatus.DELIVERED, communication_id=901)


def statuses(of: Nights) -> list[str]:
    return [one.status for one in Recordings(of.ledger.database, making.clock()).of_delivered()]


@in_virtual_time
async def test_a_name_that_is_used_again_leaves_the_older_call_its_own(tmp_path: Path) -> None:
    with nights(tmp_path, MONDAY) as of:
        of.put("call-0001.wav", wav(1))
        await of.run()
        tuesday(of)
        of.put("call-0001.wav", wav(2), age=1)
        assert of.counts(await of.run()) == {"uploaded": 1}
        assert of.crm.recordings == {900: [wav(1)], 901: [wav(2)]}
        assert "left alone; name the export" in of.said.getvalue()
        assert of.counts(await of.run(overwrite=True)) == {}
        assert of.crm.recordings == {900: [wav(1)], 901: [wav(2)]}


@in_virtual_time
async def test_a_file_that_another_call_has_already_is_not_a_second_ones(tmp_path: Path) -> None:
    """The folder of the day before, given once more."""
    with nights(tmp_path, MONDAY) as of:
        of.put("call-0001.wav", wav(1))
        await of.run()
        tuesday(of)
        first = await of.run()
        assert (of.counts(first), of.crm.recordings) == ({"refused": 1}, {900: [wav(1)]})
        assert "is said to have the file of that name, too" in first.unattached[0].reason
        assert of.counts(await of.run()) == {}
        of.put("call-0001.wav", wav(2), age=1)
        assert of.counts(await of.run()) == {"uploaded": 1}
        assert of.crm.recordings == {900: [wav(1)], 901: [wav(2)]}


@in_virtual_time
async def test_a_name_that_two_rows_of_a_run_bear_is_nobodys(tmp_path: Path) -> None:
    with nights(tmp_path, MONDAY) as of:
        tuesday(of, MONDAY)
        of.put("call-0001.wav")
        assert of.counts(await of.run()) == {"refused": 2}
        assert (of.crm.recordings, statuses(of)) == ({}, ["refused", "refused"])


@in_virtual_time
async def test_of_two_that_wait_the_one_that_this_run_tells_of_gets_it(tmp_path: Path) -> None:
    with nights(tmp_path, MONDAY) as of:
        await of.run()
        tuesday(of)
        of.put("archive/call-0001.wav")
        assert of.counts(await of.run()) == {"uploaded": 1, "refused": 1}
        assert of.crm.recordings == {901: [wav()]}


@in_virtual_time
async def test_a_path_and_a_bare_name_may_mean_the_same_file(tmp_path: Path) -> None:
    with nights(tmp_path, MONDAY._replace(recording="archive/call-0001.wav")) as of:
        of.put("archive/call-0001.wav", wav(1))
        await of.run()
        tuesday(of)
        of.put("archive/call-0001.wav", wav(2), age=1)
        assert of.counts(await of.run()) == {"uploaded": 1}
        assert of.crm.recordings == {900: [wav(1)], 901: [wav(2)]}


@in_virtual_time
async def test_what_no_row_of_the_run_names_is_not_replaced(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(1)) as of:
        of.put("0.wav")
        await of.run()
        making.enter(of.ledger, making.batch("other.csv"), calls(2)[1])
        of.put("0.wav", wav(2), age=1)
        assert of.counts(await of.run()) == {}
        assert of.crm.recordings == {900: [wav()]}
        assert of.counts(await of.run(overwrite=True)) == {"uploaded": 1}
        assert of.crm.recordings == {900: [wav(), wav(2)]}


@in_virtual_time
async def test_a_file_is_not_a_neighbours_because_its_own_call_is_still_to_be_sent(tmp_path: Path) -> None:
    """The customer called twice within a minute, and --limit ended the run between the two."""
    epoch = int(STARTED.timestamp())
    missed = making.call(f"{epoch}.11", row=2)
    taken = making.call(f"{epoch + 60}.12", row=3, started_at=STARTED + timedelta(seconds=60))
    with nights(tmp_path, missed) as of:
        making.enter(of.ledger, making.batch("two.csv"), missed, taken)
        of.names = Names((profile.FileName(r"-(?P<number>\d{10})-(?P<epoch>\d{10})"),), None, phones.Dialling())
        of.put(f"in-5145550123-{epoch + 60}.wav")
        assert of.counts(await of.run()) == {}
        assert "fit several calls by their names" in of.said.getvalue()
        of.names = Names(profile.load("freepbx").recordings, None, phones.Dialling())
        name = f"in-101-5145550123-20240531-100609-{epoch + 60}.12.wav"
        of.put(name)
        assert (of.counts(await of.run()), of.crm.recordings) == ({}, {})
        making.bring(of.ledger, making.key(taken), "run-1", ItemStatus.DELIVERED, communication_id=901)
        assert of.counts(await of.run()) == {"uploaded": 1}
        assert list(of.crm.recordings) == [901]


@in_virtual_time
async def test_an_interruption_leaves_no_claim_to_a_file(tmp_path: Path) -> None:
    """A file that is written down as a call's is not asked about again."""
    epoch = int(STARTED.timestamp())
    call = making.call(f"{epoch}.11", row=2)
    with nights(tmp_path, call) as of:
        of.names = Names(profile.load("freepbx").recordings, None, phones.Dialling())
        of.put(f"in-101-5145550123-20240531-100509-{epoch}.11.wav")
        of.interruption.request(ExitCode.INTERRUPTED)
        await of.run()
        assert Recordings(of.ledger.database, making.clock()).of_delivered() == []


def away(*_: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("where", ["at", "_handle"])
def test_a_disk_that_is_away_for_a_night_ends_no_recording(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @in_virtual_time
    async def story() -> None:
        with nights(tmp_path, *calls(2)) as of:
            of.put("0.wav")
            of.put("1.wav")
            with monkeypatch.context() as patch:
                patch.setattr(Folder if where == "_handle" else Path, {"at": "lstat"}.get(where, where), away)
                for _ in range(2):
                    found = await of.run()
                    assert of.counts(found) == {"failed": 2}
                    assert "cannot be read (Input/output error)" in found.unattached[0].reason
            assert of.counts(await of.run()) == {"uploaded": 2}

    story()


@in_virtual_time
async def test_a_disk_that_goes_away_in_the_midst_of_a_file_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nights(tmp_path, *calls(1)) as of:
        of.put("0.wav")
        with monkeypatch.context() as patch:
            patch.setattr(Audio, "read", away)
            assert of.counts(await of.run()) == {"failed": 1}
        assert of.counts(await of.run()) == {"uploaded": 1}
        of.put("0.wav", wav(2), age=1)
        with monkeypatch.context() as patch:
            patch.setattr(Audio, "read_through", away)
            assert of.counts(await of.run()) == {}
        assert statuses(of) == ["uploaded"]
        of.crm.script.extend([fake_crm.RESETS] * 4)
        assert of.counts(await of.run()) == {"failed": 1}
        with monkeypatch.context() as patch:
            patch.setattr(Audio, "read_through", away)
            assert of.counts(await of.run()) == {"failed": 1}
        assert of.counts(await of.run()) == {"uploaded": 1}


def test_a_file_that_a_call_names_is_no_other_calls_however_its_accents_are_spelt(tmp_path: Path) -> None:
    (tmp_path / "Été").mkdir()
    for name in ("appelé.wav", "Été/reçu.wav", "Été/à_nul.wav"):
        (tmp_path / name).write_bytes(wav())
    apart = [unicodedata.normalize("NFD", name) for name in ("appelé.wav", "Été/reçu.wav")]
    assert unclaimed(Folder(tmp_path, 10**6), apart) == ["Été/à_nul.wav"]
