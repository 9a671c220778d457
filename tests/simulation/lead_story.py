"""One seed of callers: nights of exports whose leads are looked up, crashes in their midst, and calls that wait."""

import contextlib
import os
import random
import sqlite3
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import trio

from callimport import importer, report
from callimport.core import errors, models
from callimport.core.settings import Settings, ledger_path, state_dir
from callimport.ledger import Ledger
from tests.simulation import scheduling
from tests.simulation.callers import DAY, OWN, Callers, Night, Row, draw
from tests.simulation.clocks import Clocks
from tests.simulation.dealer import Dealer
from tests.simulation.disk import Disk
from tests.simulation.fate import Fate
from tests.simulation.history import History
from tests.simulation.judge import Finding, Judge
from tests.simulation.lead_judge import LeadJudge, Seen, names, second
from tests.simulation.lives import CALM, Life
from tests.simulation.network import Network
from tests.simulation.process import Process, living
from tests.simulation.story import _BASE_URL, _CONSOLE, _FOLDER, ACCOUNT, LONGEST_LIFE_SECONDS, _leaves
from tests.simulation.surroundings import connected, prepared

STORMY_LIVES, CALM_LIVES, QUIET_DAYS = 3, 6, 3
_ENDED = ("delivered", "held", "refused", "withdrawn")


@dataclass(slots=True)
class Played:
    """What became of a seed."""

    seed: int
    hash: str = ""
    lines: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)


def play(seed: int) -> Played:
    with tempfile.TemporaryDirectory(dir=_FOLDER, prefix="callimport-leads-") as folder, prepared():
        return scheduling.run(partial(_play, draw(seed), Path(folder)), seed)


async def _play(callers: Callers, folder: Path) -> Played:
    async with trio.open_nursery() as nursery:
        story = _Story(callers, folder, nursery)
        with story.disk.watched():
            await story.tell()
        nursery.cancel_scope.cancel()
    return story.played


class _Story:
    def __init__(self, callers: Callers, folder: Path, nursery: trio.Nursery) -> None:
        seed = callers.world.seed
        self.played = Played(seed)
        self._callers = callers
        self._rng = random.Random(f"lead story {seed}")
        self._history, self._clocks = History(), Clocks()
        self._folder, self._state = folder, folder / "state"
        self._asked_for: dict[str, Any] = {}
        self._lives = 0
        self._write("quiet.csv", Night(0.0, (), (), False))
        for number, night in enumerate(callers.nights):
            self._write(f"night-{number}.csv", night)
        ledger_path(state_dir(self._settings("quiet.csv")), "127.0.0.1", ACCOUNT)
        self.disk = Disk(self._state / "ledgers", self._synced, {})
        self._judge = Judge(callers.world, self._history, self._clocks, lambda: self.disk.items)
        self._leads = LeadJudge(callers, self._judge)
        crm_rng = random.Random(f"dealer {seed}")
        self._crm = Dealer(callers.world, self._history, nursery, self._clocks, crm_rng, self._judge)
        self._crm.callers, self._crm.looked_up = callers, self._leads.looked_up

    async def tell(self) -> None:
        for number, night in enumerate(self._callers.nights):
            await self._wait_until(night.begins)
            await self._night(f"night-{number}.csv", night)
        self._crm.calm = True
        for day in range(QUIET_DAYS):
            await self._wait_until((len(self._callers.nights) + day) * DAY)
            for _ in range(CALM_LIVES):
                self._retry_failed()
                if await self._live(CALM, "quiet.csv", ()) and self._is_over():
                    break
        await trio.sleep(self._callers.world.settle)
        self._judge.judge_end(self._crm.records)
        self._leads.judge_end(self._crm.records, self._seen())
        sent = self._judge.posts
        await self._live(CALM, "quiet.csv", ())
        if self._judge.posts > sent:
            self._judge.find("resent", f"a run after the end sent {self._judge.posts - sent} creates")
        self._close()

    async def _night(self, file: str, night: Night) -> None:
        for life in night.lives:
            await self._live(life, file, night.rows)
        for _ in range(0 if night.gives_up else STORMY_LIVES):
            if await self._live(CALM, file, night.rows) and self._is_over():
                break

    async def _live(self, life: Life, file: str, rows: tuple[Row, ...]) -> bool:
        """Whether it ended by itself, with a result."""
        process = Process(self._history, life, self.disk.crash, self._clocks.world)
        self.disk.begin(may_lose_power=life.crash is not None and life.crash.kind == "power loss")
        if self.disk.was_crash and not self.disk.is_sound():
            self._judge.find("ledger", "the ledger is damaged")
        self._lives += 1
        self._judge.lives += 1
        limit = self._rng.choice((None, None, None, 2)) if not self._crm.calm else None
        self._history.note("life", self._lives, file, limit, life)
        self._leads.begins(rows, self._seen())
        has_result = False
        async with trio.open_nursery() as beside:
            beside.start_soon(Fate(process, self._clocks, _nobody).befall)
            has_result = await self._run(process, self._settings(file, limit))
            beside.cancel_scope.cancel()
        if process.dead:
            self.played.crashes[f"{life.crash.kind} at {life.crash.at}" if life.crash else "Ctrl-C twice"] += 1
        self._judge.judge_delivered(self._crm.records)
        await trio.sleep(self._rng.choice((0.0, 0.5, 60.0, 400.0)))
        return has_result

    async def _run(self, process: Process, settings: Settings) -> bool:
        mark = living.set(process)
        result = None
        try:
            with process.scope, trio.move_on_after(LONGEST_LIFE_SECONDS) as life:
                result = await self._import(process, settings)
            self._judge.ended(process)
            if life.cancelled_caught and not process.dead:
                self._judge.find("stuck", f"a run did not end in {LONGEST_LIFE_SECONDS:g} s")
        except BaseException as error:
            if not process.dead:
                told = "; ".join(f"{type(leaf).__name__}: {leaf}" for leaf in _leaves(error))
                self._judge.find("nameless", self._without_place(told))
                if not isinstance(error, Exception):
                    raise
        finally:
            living.reset(mark)
            process.end()
        if result is None or process.dead:
            return False
        self._leads.told(result, self._seen())
        return True

    async def _import(self, process: Process, settings: Settings) -> Any:
        try:
            result = await importer.run(settings, self._tools(process))
        except errors.ImporterError as error:
            told = self._without_place(str(error))
            self._history.note("ended", type(error).__name__, told)
            self._judge.heard(told)
            if error.exit_code == errors.ExitCode.GUARD:
                self._judge.find("guard", told)
            if isinstance(error, errors.LedgerError) and process.disk_failed_at is None:
                self._judge.find("ledger", told)
            return None
        told = self._without_place(result.error or "")
        self._history.note("ended", result.summary.exit_code, result.summary.calls, told, *result.told)
        if "the ledger" in told and process.disk_failed_at is None:
            self._judge.find("ledger", told)
        for words in (*result.told, *(one.message for one in result.findings)):
            self._judge.heard(words)
        self._judge.told(result, with_files=False)
        return result

    def _seen(self) -> Seen:
        """Of a copy: to look would mend what a crash has left."""
        with self.disk.copied() as path, contextlib.closing(sqlite3.connect(path)) as ledger:
            if not ledger.execute("SELECT 1 FROM sqlite_master WHERE name = 'item'").fetchone():
                return Seen({}, {}, {})
            items = ledger.execute(
                "SELECT call_id, phone, direction, started_at, status FROM item WHERE payload IS NOT NULL"
            ).fetchall()
            waiting = ledger.execute(
                "SELECT call_id, phone, direction, started_at, entered_at FROM item WHERE payload IS NULL"
            ).fetchall()
        asked_at: list[tuple[str, str]] = []
        for path in self.disk.folder.glob("*.leads"):
            with contextlib.closing(sqlite3.connect(path)) as cache:
                asked_at = cache.execute("SELECT phone, looked_up_at FROM answer").fetchall()
        return Seen(
            dict(zip(names([one[:4] for one in items]), (one[4] for one in items), strict=True)),
            dict(zip(names([one[:4] for one in waiting]), (second(one[4]) for one in waiting), strict=True)),
            {phone: second(moment) for phone, moment in asked_at},
        )

    def _synced(self, before: Any, after: Any) -> None:
        self._judge.moved(before, after)
        self._leads.moved(before, after)

    def _retry_failed(self) -> None:
        self.disk.begin(may_lose_power=False)
        for path in sorted(self.disk.folder.glob("*.sqlite3")):
            mark = living.set(Process(self._history, CALM, self.disk.crash, self._clocks.world))
            with contextlib.closing(Ledger.open(path, self._clock())) as ledger:
                ledger.retry(models.ItemStatus.FAILED)
            living.reset(mark)

    def _is_over(self) -> bool:
        return all(item.status in _ENDED for item in self.disk.items.values())

    async def _wait_until(self, moment: float) -> None:
        await trio.sleep(max(0.0, moment - self._clocks.world()))

    def _write(self, file: str, night: Night) -> None:
        path = self._folder / file
        path.write_text(night.csv(), encoding="utf-8")
        os.utime(path, (0, 0))

    def _close(self) -> None:
        if not self.disk.is_sound():
            self._judge.find("ledger", "the ledger is damaged")
        seen, played = self._seen(), self.played
        played.counts.update(f"item {item.status}" for item in self.disk.items.values())
        played.counts["waiting"] = len(seen.waiting)
        played.counts |= Counter(
            calls=len(self._callers.calls()), lives=self._lives, creates=self._judge.posts, asked=self._leads.asked,
            pages=self._crm.pages, given_up=self._leads.given_up, late=self._leads.late,
            untold=self._leads.untold,
        )  # fmt: skip
        self._history.note("end", sorted(played.counts.items()))
        played.hash, played.lines, played.faults = self._history.hash, self._history.lines, self._history.faults
        played.findings = self._judge.findings

    def _without_place(self, words: str) -> str:
        return words.replace(str(self._folder), "")

    def _settings(self, file: str, limit: int | None = None) -> Settings:
        world = self._callers.world
        return Settings(
            files=(str(self._folder / file),),
            profile="canonical",
            destination=_BASE_URL,
            state_dir=self._state,
            rates=(world.rate,),
            concurrency=world.concurrency,
            settle=world.settle,
            limit=limit,
            existing="send",
            find_leads=True,
            several_leads=self._callers.several,
            lead_grace=self._callers.grace,
            own_numbers=(OWN,),
        )

    def _clock(self) -> models.Clock:
        return models.Clock(wall=self._clocks.wall, monotonic=self._clocks.monotonic)

    def _tools(self, process: Process) -> importer.Tools:
        return importer.Tools(
            clock=self._clock(),
            talk=report.Talk(_CONSOLE, self._clocks.wall, quiet=True),
            rng=random.Random(f"importer {self._callers.world.seed} {self._lives}"),
            hears_signals=False,
            connect=partial(connected, Network(self._crm, process)),
        )


async def _nobody(_: bool) -> None:
    """No second process is started beside these."""
