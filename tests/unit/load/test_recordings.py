"""After the calls, their recordings: each to its own call, once, and again only where its bytes changed."""

import io
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from rich.console import Console

from callimport import report
from callimport.core import endings, errors, mapping, models, phones
from callimport.core.errors import ExitCode
from callimport.core.models import ItemStatus
from callimport.core.settings import Settings
from callimport.core.signals import Interruption
from callimport.crm.rate_limit import Pacer
from callimport.crm.retry import Courier
from callimport.ledger import Ledger
from callimport.ledger.planned import PlannedLedger
from callimport.ledger.recordings import Recordings
from callimport.ledger.updates import Updates
from callimport.load.recording_names import Names
from callimport.load.recordings import Uploaded, Uploading
from callimport.profiles import profile
from tests import fake_crm, making, planning
from tests.fake_crm import FakeCrm, Reply, in_virtual_time, reply
from tests.making import STARTED
from tests.shown import stored
from tests.unit.load.test_audio_files import wav

ACCOUNT = reply(200, {"data": [{"id": 77, "name": "Garage Tremblay"}]})
NO_NAMES = Names((), None, phones.Dialling())


@dataclass
class Nights:
    """A ledger of delivered calls, a folder, and a CRM that is run against as often as a test likes."""

    ledger: Ledger
    root: Path
    crm: FakeCrm = field(default_factory=lambda: FakeCrm(account=lambda _: ACCOUNT))
    names: Names = NO_NAMES
    interruption: Interruption = field(default_factory=Interruption)
    said: io.StringIO = field(default_factory=io.StringIO)

    def put(self, name: str, content: bytes = b"", *, age: int = 0) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content or wav())
        os.utime(path, ns=(10**18 + age, 10**18 + age))

    async def run(self, **changes: object) -> Uploaded:
        settings = replace(Settings(files=(), recordings=self.root), **changes)  # type: ignore[arg-type]
        clock = models.Clock(wall=making.Ticking(), monotonic=anyio.current_time)
        pacer = Pacer((models.Rate(190, 60.0),), anyio.current_time, random.Random(1))
        talk = report.Talk(Console(file=self.said, width=200), clock.wall)
        async with self.crm.reached() as there:
            stage = Uploading(
                settings, clock, talk, self.interruption, Courier(there, pacer, random.Random(1)), pacer, self.ledger,
                {"main": self.names},
            )  # fmt: skip
            return await stage.run("run-1")

    def counts(self, uploaded: Uploaded) -> dict[str, int]:
        found = uploaded.counts
        return {
            name: count
            for name in ("uploaded", "refused", "failed", "missing", "pending")
            if (count := getattr(found, name))
        }


def calls(count: int) -> list[models.Call]:
    """One a minute, so that their order is known."""
    return [
        making.call(
            f"A-{number}", row=number + 2, recording=f"{number}.wav", started_at=STARTED + timedelta(minutes=number)
        )
        for number in range(count)
    ]


@contextmanager
def nights(folder: Path, *its_calls: models.Call, delivered: bool = True) -> Iterator[Nights]:
    ledger = making.ledger(folder / "ledger.sqlite3")
    ledger.start_run("run-1")
    making.enter(ledger, making.batch(), *its_calls, run_id="run-1")
    for number, call in enumerate(its_calls if delivered else ()):
        making.bring(ledger, making.key(call), "run-1", ItemStatus.DELIVERED, communication_id=900 + number)
    root = folder / "recordings"
    root.mkdir()
    yield Nights(ledger, root)
    ledger.close()


@in_virtual_time
async def test_each_recording_goes_to_its_own_call(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(5)) as of:
        for number in range(5):
            of.put(f"2024/{number}.wav", wav(number + 1))
        assert of.counts(await of.run()) == {"uploaded": 5}
        assert of.crm.recordings == {900 + number: [wav(number + 1)] for number in range(5)}


@in_virtual_time
async def test_where_nothing_is_due_a_run_for_recordings_alone_says_so(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(1)) as of:
        of.put("0.wav")
        await of.run(recordings_only=True)
        assert "no recording is due" not in of.said.getvalue()
        await of.run()
        assert "no recording is due" not in of.said.getvalue()
        await of.run(recordings_only=True)
        assert "no recording is due" in of.said.getvalue()


@in_virtual_time
async def test_without_a_folder_nothing_is_done(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(1)) as of:
        before = making.everything(of.ledger)
        of.put("0.wav")
        clock = models.Clock(wall=making.Ticking(), monotonic=anyio.current_time)
        pacer = Pacer((models.Rate(190, 60.0),), anyio.current_time)
        async with of.crm.reached() as there:
            stage = Uploading(
                Settings(files=()), clock, report.Talk(Console(file=of.said), clock.wall), of.interruption,
                Courier(there, pacer), pacer, of.ledger, {"main": NO_NAMES},
            )  # fmt: skip
            assert await stage.run("run-1") == stage.left_alone() == Uploaded()
        assert making.everything(of.ledger) == before


@in_virtual_time
async def test_the_same_file_does_not_go_twice(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(2)) as of:
        of.put("0.wav")
        of.put("1.wav")
        await of.run()
        # Copied anew: another time, the same bytes.
        of.put("1.wav", age=7)
        before = len(of.crm.received)
        assert of.counts(await of.run()) == {}
        assert len(of.crm.received) == before


@in_virtual_time
async def test_a_file_whose_bytes_changed_goes_again(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(1)) as of:
        of.put("0.wav", wav())
        await of.run()
        of.put("0.wav", wav(2))
        assert of.counts(await of.run()) == {"uploaded": 1}
        assert of.crm.recordings == {900: [wav(), wav(2)]}
        assert of.counts(await of.run()) == {}


@in_virtual_time
async def test_another_name_for_the_same_bytes_sends_nothing(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(1)) as of:
        of.put("0.wav")
        await of.run()
        making.enter(of.ledger, making.batch("renamed.csv"), calls(1)[0]._replace(recording="renamed.wav"))
        Updates(of.ledger.database, making.clock(), "").taken_as_known([making.key(calls(1)[0])])
        of.put("renamed.wav")
        assert of.counts(await of.run()) == {}
        assert of.crm.recordings == {900: [wav()]}
        (known,) = Recordings(of.ledger.database, making.clock()).of_delivered()
        assert (known.status, known.name, known.path) == ("uploaded", "renamed.wav", "renamed.wav")


@in_virtual_time
async def test_what_the_crm_took_is_not_taken_back_by_a_worse_file(tmp_path: Path) -> None:
    """Such as one that is being copied anew."""
    with nights(tmp_path, *calls(1)) as of:
        of.put("0.wav")
        await of.run()
        for content in (b"<html>", bytes(17 * 2**20)):
            of.put("0.wav", content)
            assert of.counts(await of.run()) == {}
        assert Recordings(of.ledger.database, making.clock()).of_delivered()[0].status == "uploaded"


@in_virtual_time
async def test_one_that_failed_and_is_gone_is_missing(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(1)) as of:
        of.put("0.wav")
        of.crm.script.extend([fake_crm.RESETS] * 4)
        assert of.counts(await of.run()) == {"failed": 1}
        (of.root / "0.wav").unlink()
        assert of.counts(await of.run()) == {"missing": 1}


@in_virtual_time
async def test_a_file_that_vanishes_on_its_way_is_missing(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(2)) as of:
        of.put("0.wav")
        of.put("1.wav")

        def vanish(request: fake_crm.Request) -> Reply:
            (of.root / "1.wav").unlink()
            return of.crm.create(request)

        of.crm.answer = vanish
        assert of.counts(await of.run(concurrency=1)) == {"uploaded": 1, "missing": 1}


@in_virtual_time
async def test_one_that_arrives_nights_later_is_attached(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(1)) as of:
        assert of.counts(await of.run()) == {"missing": 1}
        assert of.counts(await of.run()) == {"missing": 1}
        of.put("archive/2024/0.wav")
        assert of.counts(await of.run()) == {"uploaded": 1}


@in_virtual_time
async def test_a_folder_that_was_cleared_takes_nothing_back(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(1)) as of:
        of.put("0.wav")
        await of.run()
        (of.root / "0.wav").unlink()
        assert of.counts(await of.run()) == {}


@in_virtual_time
async def test_only_delivered_calls_get_one(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(2), delivered=False) as of:
        of.put("0.wav")
        assert of.counts(await of.run()) == {}
        assert of.crm.recordings == {}


@in_virtual_time
async def test_a_call_that_we_did_not_make_keeps_what_it_has(tmp_path: Path) -> None:
    call = calls(1)[0]
    with nights(tmp_path, call, delivered=False) as of:
        of.ledger.adopt(making.key(call), stored(900, mapping.communication(call, None)), "equal")
        of.put("0.wav")
        assert of.counts(await of.run()) == {}
        assert "left alone; --overwrite uploads them" in of.said.getvalue()
        assert of.crm.recordings == {}
        assert of.counts(await of.run(overwrite=True)) == {"uploaded": 1}


@in_virtual_time
async def test_a_refusal_is_reported_with_its_reason_and_not_repeated(tmp_path: Path) -> None:
    no = reply(422, {"message": "…", "errors": {"recording": ["The recording must be a file of type: wav, mp3."]}})
    with nights(tmp_path, *calls(2)) as of:
        of.put("0.wav")
        of.put("1.wav")
        of.crm.script.append(no)
        first = await of.run(concurrency=1)
        assert of.counts(first) == {"uploaded": 1, "refused": 1}
        (told,) = first.unattached
        assert (told.ending, told.name) == ("refused", "0.wav")
        assert "must be a file of type" in told.reason
        assert of.counts(await of.run()) == {}
        of.put("0.wav", wav(2))
        assert of.counts(await of.run()) == {"uploaded": 1}


@in_virtual_time
async def test_what_a_person_has_tried_again_goes_again(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(1)) as of:
        of.put("0.wav")
        of.crm.script.append(reply(413, b"<html>too large</html>"))
        assert of.counts(await of.run()) == {"refused": 1}
        assert Recordings(of.ledger.database, making.clock()).retry() == 1
        assert of.counts(await of.run()) == {"uploaded": 1}


@pytest.mark.parametrize(
    ("content", "kind"), [(b"<html>", "neither a WAV nor an MP3"), (bytes(17 * 2**20), "more than the 16 MB")]
)
def test_what_is_not_fit_is_refused_here_once(tmp_path: Path, content: bytes, kind: str) -> None:
    @in_virtual_time
    async def story() -> None:
        with nights(tmp_path, *calls(1)) as of:
            of.put("0.wav", content)
            first = await of.run()
            assert of.counts(first) == {"refused": 1}
            assert kind in first.unattached[0].reason
            assert of.counts(await of.run()) == {}
            assert of.crm.received == []
            of.put("0.wav", age=9)
            assert of.counts(await of.run()) == {"uploaded": 1}

    story()


@in_virtual_time
async def test_two_files_of_one_name_are_told_and_neither_is_sent(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(1)) as of:
        of.put("a/0.wav")
        of.put("b/0.wav", wav(2))
        first = await of.run()
        assert of.counts(first) == {"refused": 1}
        assert "2 files of that name" in first.unattached[0].reason
        (of.root / "b" / "0.wav").unlink()
        assert of.counts(await of.run()) == {"uploaded": 1}


@in_virtual_time
async def test_one_that_does_not_get_there_is_tried_by_the_next_run(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(2)) as of:
        of.put("0.wav")
        of.put("1.wav")
        of.crm.script.extend([fake_crm.RESETS] * 4)
        first = await of.run(concurrency=1)
        assert of.counts(first) == {"uploaded": 1, "failed": 1}
        assert first.stopped_by is None
        assert of.counts(await of.run()) == {"uploaded": 1}


@in_virtual_time
async def test_a_crm_that_is_gone_ends_the_stage_and_loses_nothing(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(3)) as of:
        for number in range(3):
            of.put(f"{number}.wav")
        of.crm.account = lambda _: fake_crm.RESETS
        of.crm.script.extend([fake_crm.RESETS] * 40)
        first = await of.run()
        assert isinstance(first.stopped_by, errors.DestinationUnusable)
        assert of.counts(first) == {"pending": 3}
        of.crm.script.clear()
        assert of.counts(await of.run()) == {"uploaded": 3}


@pytest.mark.parametrize(
    ("answer", "after", "error"),
    [
        (reply(403, {"message": "This action is unauthorized."}), 3, errors.DestinationUnusable),
        (reply(422, {"message": "The recording failed to upload."}), 20, errors.GuardStopped),
    ],
    ids=["forbidden", "alike"],
)
def test_a_crm_that_wants_no_recordings_is_not_asked_a_thousand_times(
    tmp_path: Path, answer: Reply, after: int, error: type[Exception]
) -> None:
    @in_virtual_time
    async def story() -> None:
        with nights(tmp_path, *calls(30)) as of:
            for number in range(30):
                of.put(f"{number}.wav")
            of.crm.answer = lambda _: answer
            first = await of.run(concurrency=1)
            assert isinstance(first.stopped_by, error)
            assert of.counts(first) == {"refused": after, "pending": 30 - after}

    story()


@in_virtual_time
async def test_an_interruption_drains(tmp_path: Path) -> None:
    """What is under way ends; the rest is for the next run."""
    with nights(tmp_path, *calls(9)) as of:
        for number in range(9):
            of.put(f"{number}.wav")
        of.crm.latency_seconds = 5.0

        def interrupt(request: fake_crm.Request) -> Reply:
            of.interruption.request(ExitCode.INTERRUPTED)
            of.crm.answer = None
            return of.crm.create(request)

        of.crm.answer = interrupt
        first = await of.run()
        done = first.counts.uploaded
        assert 1 <= done <= 4
        assert of.counts(first) == {"uploaded": done, "pending": 9 - done}
        of.interruption = Interruption()
        assert of.counts(await of.run()) == {"uploaded": 9 - done}
        assert sorted(map(len, of.crm.recordings.values())) == [1] * 9


@in_virtual_time
async def test_after_an_interruption_nothing_begins(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(2)) as of:
        of.put("0.wav")
        of.interruption.request(ExitCode.INTERRUPTED)
        assert of.counts(await of.run()) == {"pending": 2}
        assert of.crm.received == []


@in_virtual_time
async def test_an_interruption_waits_for_no_gate(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(1)) as of:
        of.put("0.wav")

        def limited(_: fake_crm.Request) -> Reply:
            of.interruption.request(ExitCode.INTERRUPTED)
            return reply(429, None, [("Retry-After", "3000")])

        of.crm.answer = limited
        assert of.counts(await of.run()) == {"pending": 1}
        assert anyio.current_time() < 60


@in_virtual_time
async def test_a_file_that_no_row_names_is_known_by_its_own_name(tmp_path: Path) -> None:
    epoch = int(making.STARTED.timestamp())
    mine = making.call(f"{epoch}.7", row=2)
    other = making.call("1600000000.1", row=3, customer_phone=making.OTHER_PHONE)
    name = f"2024/05/31/in-4505550100-5145550123-20240531-100509-{epoch}.7.wav"
    with nights(tmp_path, mine, other) as of:
        of.names = Names(profile.load("freepbx").recordings, None, phones.Dialling())
        of.put(name)
        of.put("2024/05/31/hold-music.wav")
        assert of.counts(await of.run()) == {"uploaded": 1}
        assert of.crm.recordings == {900: [wav()]}
        of.put(name, wav(2))
        making.enter(of.ledger, making.batch("again.csv"), mine, other, run_id="run-1")
        assert of.counts(await of.run()) == {"uploaded": 1}


@in_virtual_time
async def test_the_rate_holds_for_uploads(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(20)) as of:
        for number in range(20):
            of.put(f"{number}.wav")
        await of.run()
        assert anyio.current_time() == pytest.approx(19 * 60 / 190, abs=0.1)
        assert "20 recordings to upload" in of.said.getvalue()


@in_virtual_time
async def test_a_plan_uploads_nothing_and_counts_what_it_would(tmp_path: Path) -> None:
    with nights(tmp_path, *calls(2), delivered=False) as of:
        of.put("0.wav")
        clock = models.Clock(wall=making.Ticking(), monotonic=anyio.current_time)
        pacer = Pacer((models.Rate(190, 60.0),), anyio.current_time)
        settings = Settings(files=(), recordings=of.root)
        rows = [planning.row(one) for one in calls(2)]
        plan = planning.planned(of.ledger, rows, planning.settings_of(making.batch()))
        ledger = PlannedLedger(of.ledger, clock, plan)
        async with of.crm.reached() as there:
            stage = Uploading(
                settings, clock, report.Talk(Console(file=of.said), clock.wall), of.interruption,
                Courier(there, pacer), pacer, ledger, {"main": NO_NAMES},
            )  # fmt: skip
            planned = await stage.run(None)
        assert planned.counts == endings.Recordings(missing=1, pending=1)
        assert of.crm.received == []
