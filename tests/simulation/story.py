"""One seed: lives of the importer, crashes between them, calm at the end, a last run that must send nothing."""

import contextlib
import io
import os
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

import trio
from rich.console import Console

from callimport import importer, report
from callimport.core import errors, models
from callimport.core.settings import Settings, ledger_path, state_dir
from callimport.ledger import Ledger
from callimport.ledger.recordings import Recordings
from tests.simulation import profiles, scheduling
from tests.simulation.clocks import Clocks
from tests.simulation.crm import Crm
from tests.simulation.disk import Disk
from tests.simulation.fate import Fate
from tests.simulation.history import History
from tests.simulation.judge import Finding, Judge
from tests.simulation.lives import CALM, Life
from tests.simulation.network import Network
from tests.simulation.process import Process, living
from tests.simulation.scenario import Scenario, recording
from tests.simulation.surroundings import connected, prepared

LONGEST_LIFE_SECONDS = 6 * 3600.0
STORMY_LIVES, CALM_LIVES = 3, 6
ACCOUNT = models.Account(77, "Garage Tremblay")
_BASE_URL = "http://127.0.0.1/v2"
_FOLDER = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112
_CONSOLE = Console(file=io.StringIO(), width=200)


@dataclass(slots=True)
class Played:
    """What became of a seed. `taken` counts calls that hold a record of the staff which equals them in everything, and
    was made while theirs was under way; those that were adopted are counted apart."""

    scenario: Scenario
    hash: str = ""
    findings: list[Finding] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)
    creates: int = 0
    lives: int = 0
    taken: int = 0
    adopted: int = 0
    virtual_seconds: float = 0.0
    lines: list[str] = field(default_factory=list)


def play(seed: int, profile: str = "default") -> Played:
    """The history of a seed, and what is wrong with it."""
    return play_out(profiles.draw(seed, profile))


def play_out(scenario: Scenario) -> Played:
    with tempfile.TemporaryDirectory(dir=_FOLDER, prefix="callimport-simulation-") as folder, prepared():
        return scheduling.run(partial(_play, scenario, Path(folder)), scenario.seed)


async def _play(scenario: Scenario, folder: Path) -> Played:
    # A nursery of the CRM's own: what it has begun outlives the importer.
    async with trio.open_nursery() as nursery:
        story = _Story(scenario, folder, nursery)
        with story.disk.watched():
            await story.tell()
        nursery.cancel_scope.cancel()
    return story.played


class _Story:
    def __init__(self, scenario: Scenario, folder: Path, nursery: trio.Nursery) -> None:
        self.played = Played(scenario)
        self._scenario = scenario
        self._rng = random.Random(f"story {scenario.seed}")
        self._history = History()
        self._clocks = Clocks()
        self._state = folder / "state"
        self._other_ledger = folder / "other.sqlite3"
        self._file = folder / "calls.csv"
        self._file.write_text(scenario.csv(), encoding="utf-8")
        # A file that was touched a moment ago may still be being written.
        os.utime(self._file, (0, 0))
        self._recordings = folder / "recordings" if scenario.recorded else None
        if self._recordings is not None:
            self._recordings.mkdir()
            for row in scenario.rows:
                (self._recordings / row[-1]).write_bytes(recording(row[-1]))
        # What a person says at the next start, after a guard asked for it.
        self._asked_for: dict[str, Any] = {"reference": scenario.reference, "existing": scenario.existing}
        ledger_path(state_dir(self._settings(files=())), "127.0.0.1", ACCOUNT)
        self.disk = Disk(self._state / "ledgers", self._synced, {})
        self._judge = Judge(scenario, self._history, self._clocks, lambda: self.disk.items)
        crm_rng = random.Random(f"crm {scenario.seed}")
        self._crm = Crm(scenario, self._history, nursery, self._clocks, crm_rng, self._judge)
        for _ in range(scenario.look_alikes_before):
            self._crm.add_by_staff(scenario.typed_in(self._rng), at=-7200.0)

    async def tell(self) -> None:
        for life in (*self._scenario.lives, *([CALM] * STORMY_LIVES)):
            await self._live(life)
            if self._is_over():
                break
        self._crm.calm = True
        self._clocks.wrong_by = 0.0
        for _ in range(CALM_LIVES):
            self._retry_failed()
            await self._live(CALM, files=True)
            if self._is_over():
                break
        # Whatever the CRM has begun, it ends.
        await trio.sleep(self._scenario.settle)
        self._judge.judge_end(self._crm.records)
        if self._recordings is not None:
            self._judge_recordings()
        await self._send_nothing_more()
        self._close()

    async def _live(self, life: Life, *, files: bool = False) -> None:
        with_files = files or not self.disk.items or self._rng.random() < 0.5
        limit = self._rng.choice((None, None, None, 3)) if not files else None
        process = Process(self._history, life, self.disk.crash, self._clocks.world)
        self.disk.begin(may_lose_power=life.crash is not None and life.crash.kind == "power loss")
        self._note_life(life, with_files, limit)
        fate = Fate(process, self._clocks, self._start_second)
        settings = self._settings((str(self._file),) if with_files else (), limit)
        async with trio.open_nursery() as beside:
            beside.start_soon(fate.befall)
            await self._run(process, settings)
            beside.cancel_scope.cancel()
        if process.dead:
            self.played.crashes[f"{life.crash.kind} at {life.crash.at}" if life.crash else "Ctrl-C twice"] += 1
        self._judge.judge_delivered(self._crm.records)
        # A person or a scheduler starts it again, some time later.
        await trio.sleep(self._rng.choice((0.0, 0.5, 60.0, 400.0)))

    async def _run(self, process: Process, settings: Settings) -> None:
        mark = living.set(process)
        try:
            with process.scope, trio.move_on_after(LONGEST_LIFE_SECONDS) as life:
                await self._import(process, settings)
            self._judge.ended(process)
            if life.cancelled_caught and not process.dead:
                self._judge.find("stuck", f"a run did not end in {LONGEST_LIFE_SECONDS:g} s")
        except BaseException as error:
            # Whatever a dead process still meets, nobody sees.
            if not process.dead:
                told = "; ".join(f"{type(leaf).__name__}: {leaf}" for leaf in _leaves(error))
                self._judge.find("nameless", self._without_place(told))
                if not isinstance(error, Exception):
                    raise
        finally:
            living.reset(mark)
            process.end()

    async def _import(self, process: Process, settings: Settings) -> None:
        try:
            result = await importer.run(settings, self._tools(process))
        except errors.ImporterError as error:
            told = self._without_place(str(error))
            self._history.note("ended", type(error).__name__, told)
            self._judge.heard(told)
            self._hear_guard(error.exit_code, told)
            if isinstance(error, errors.LedgerError) and process.disk_failed_at is None:
                self._judge.find("ledger", told)
            return
        told = self._without_place(result.error or "")
        self._history.note("ended", result.summary.exit_code, result.summary.calls, told)
        self._hear_guard(result.summary.exit_code, told)
        if "the ledger" in told and process.disk_failed_at is None:
            self._judge.find("ledger", told)
        self._judge.told(result, with_files=bool(settings.files))

    def _without_place(self, words: str) -> str:
        """A seed is the same history wherever it is played."""
        return words.replace(str(self._state.parent), "")

    def _hear_guard(self, exit_code: int, words: str) -> None:
        """A person reads what is asked of them, and says so at the next start."""
        if exit_code != errors.ExitCode.GUARD:
            return
        if "--no-reference" in words:
            self._asked_for["reference"] = False
        elif "adopt" in words:
            self._asked_for["adopt"] = True

    async def _start_second(self, own_ledger: bool) -> None:
        """Another process on the same machine, while the first is alive or just after."""
        if own_ledger and not any(self.disk.folder.glob("*.sqlite3")):
            # Then it would be the first.
            return
        self._judge.lives += 1
        process = Process(self._history, CALM, self.disk.crash, self._clocks.world)
        settings = self._settings((str(self._file),), ledger=self._other_ledger if own_ledger else None)
        await self._run(process, settings)

    async def _send_nothing_more(self) -> None:
        before, uploads = self._judge.posts, self._crm.uploads
        await self._live(CALM, files=True)
        if self._crm.uploads > uploads:
            self._judge.find("resent", f"a run after the end sent {self._crm.uploads - uploads} recordings")
        if self._judge.posts > before:
            self._judge.find("resent", f"a run after the end sent {self._judge.posts - before} creates")

    def _judge_recordings(self) -> None:
        """Every delivered call that is surely ours has its own recording, and nobody else has any."""
        known = [one for ledger in self._opened() for one in Recordings(ledger.database, self._clock()).of_delivered()]
        for one in known:
            heard = self._crm.recordings.get(one.communication_id)
            wanted = None if one.is_foreign else recording(one.name or "")
            if heard != wanted or (wanted is not None and one.status != "uploaded"):
                self._judge.find("recording", f"{one.key} is {one.status}: {heard!r} instead of {wanted!r}")
        for stray in self._crm.recordings.keys() - {one.communication_id for one in known}:
            self._judge.find("recording", f"communication {stray} has one and is no call of the ledger")

    def _retry_failed(self) -> None:
        """What a person does with calls that could not be sent at all."""
        for ledger in self._opened():
            ledger.retry(models.ItemStatus.FAILED)

    def _opened(self) -> Iterator[Ledger]:
        """As a person does between two runs."""
        self.disk.begin(may_lose_power=False)
        mark = living.set(Process(self._history, CALM, self.disk.crash, self._clocks.world))
        for path in sorted(self.disk.folder.glob("*.sqlite3")):
            with contextlib.closing(Ledger.open(path, self._clock())) as ledger:
                yield ledger
        living.reset(mark)

    def _is_over(self) -> bool:
        return bool(self.disk.items) and all(
            item.status in ("delivered", "held", "refused", "withdrawn") for item in self.disk.items.values()
        )

    def _note_life(self, life: Life, with_files: bool, limit: int | None) -> None:
        if self.disk.was_crash and not self.disk.is_sound():
            self._judge.find("ledger", "the ledger is damaged")
        self.played.lives += 1
        self._judge.lives += 1
        befalls = [getattr(life, one.name) for one in fields(life) if getattr(life, one.name)]
        self._history.note("life", self.played.lives, with_files, limit, self._asked_for, *befalls)

    def _close(self) -> None:
        if not self.disk.is_sound():
            self._judge.find("ledger", "the ledger is damaged")
        if self._other_ledger.exists():
            self._judge.find("second ledger", "a second ledger was made for the account")
        played = self.played
        played.statuses.update(item.status for item in self.disk.items.values())
        self._history.note("end", sorted(played.statuses.items()))
        played.hash, played.lines, played.faults = self._history.hash, self._history.lines, self._history.faults
        played.findings, played.creates = self._judge.findings, self._judge.posts
        played.adopted = sum(item.adopted for item in self.disk.items.values())
        played.taken = sum(not self.disk.items[key].adopted for key in self._judge.theirs)
        played.virtual_seconds = self._clocks.world()

    def _synced(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        self._judge.moved(before, after)

    def _settings(self, files: tuple[str, ...], limit: int | None = None, ledger: Path | None = None) -> Settings:
        return Settings(
            files=files,
            profile="canonical",
            destination=_BASE_URL,
            state_dir=self._state,
            rates=(self._scenario.rate,),
            concurrency=self._scenario.concurrency,
            settle=self._scenario.settle,
            limit=limit,
            ledger=ledger,
            recordings=self._recordings,
            **self._asked_for,
        )

    def _clock(self) -> models.Clock:
        return models.Clock(wall=self._clocks.wall, monotonic=self._clocks.monotonic)

    def _tools(self, process: Process) -> importer.Tools:
        return importer.Tools(
            clock=self._clock(),
            talk=report.Talk(_CONSOLE, self._clocks.wall, quiet=True),
            rng=random.Random(f"importer {self._scenario.seed} {self._judge.lives}"),
            hears_signals=False,
            connect=partial(connected, Network(self._crm, process)),
        )


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
