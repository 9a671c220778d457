"""One seed: lives of the importer, crashes between them, calm at the end, a last run that must send nothing."""

import contextlib
import io
import os
import random
import sqlite3
import tempfile
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import httpcore
import httpx
import polars as pl
import trio
from rich.console import Console

from pipeline import config, delivery, destination, errors, importer, lock, model, report, validation
from pipeline.ledger import Ledger
from tests.fake_crm import _NO_TLS, TOKEN
from tests.simulation import scheduling
from tests.simulation.crm import Crm, Network, sending
from tests.simulation.disk import Disk
from tests.simulation.history import History
from tests.simulation.judge import Finding, Judge
from tests.simulation.process import Process
from tests.simulation.scenario import START, Crash, Scenario, draw

LONGEST_LIFE_SECONDS = 6 * 3600.0
STORMY_LIVES, CALM_LIVES = 3, 4
_BASE_URL = "http://127.0.0.1/v2"
_FOLDER = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112
_CONSOLE = Console(file=io.StringIO(), width=200)


@dataclass(slots=True)
class Played:
    """What became of a seed."""

    scenario: Scenario
    hash: str = ""
    findings: list[Finding] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)
    creates: int = 0
    requests: int = 0
    lives: int = 0
    virtual_seconds: float = 0.0
    lines: list[str] = field(default_factory=list)


def play(seed: int, *, reference: bool | None = None) -> Played:
    """The history of a seed, and what is wrong with it."""
    scenario = draw(seed, reference=reference)
    with tempfile.TemporaryDirectory(dir=_FOLDER, prefix="callimport-simulation-") as folder, _surroundings():
        return scheduling.run(partial(_play, scenario, Path(folder)), seed)


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
        self._state = folder / "state"
        self._file = folder / "calls.csv"
        self._file.write_text(scenario.csv(), encoding="utf-8")
        # A file that was touched a moment ago may still be being written.
        os.utime(self._file, (0, 0))
        config.ledger_path(
            config.state_dir(self._settings(files=())), "127.0.0.1", model.Account(77, "Garage Tremblay")
        )
        self.disk = Disk(self._state / "ledgers", self._synced, {})
        self._judge = Judge(scenario, self._history, lambda: self.disk.items)
        crm_rng = random.Random(f"crm {scenario.seed}")
        self._crm = Crm(scenario, self._history, nursery, crm_rng, self._judge)
        for _ in range(scenario.look_alikes_before):
            self._crm.add_by_staff(_look_alike(scenario, self._rng), at=-7200.0)

    async def tell(self) -> None:
        crashes = [*self._scenario.crashes, *([None] * STORMY_LIVES)]
        for crash in crashes:
            await self._live(crash)
            if self._is_over():
                break
        self._crm.calm = True
        for _ in range(CALM_LIVES):
            self._retry_failed()
            await self._live(None, files=True)
            if self._is_over():
                break
        # Whatever the CRM has begun, it ends.
        await trio.sleep(self._scenario.settle)
        self._judge.judge_end()
        await self._send_nothing_more()
        self._close()

    async def _live(self, crash: Crash | None, *, files: bool = False) -> None:
        with_files = files or not self.disk.items or self._rng.random() < 0.5
        limit = self._rng.choice((None, None, None, 3)) if not files else None
        settings = self._settings((str(self._file),) if with_files else (), limit)
        process = Process(self._history, crash, self.disk.crash)
        self.disk.begin(process)
        self.played.lives += 1
        self._judge.lives = self.played.lives
        self._history.note("life", self.played.lives, crash, with_files, limit)
        tools = self._tools(process)
        async with trio.open_nursery() as beside:
            beside.start_soon(process.wait_for_death)
            with process.scope:
                try:
                    with trio.move_on_after(LONGEST_LIFE_SECONDS) as life:
                        await self._import(settings, tools)
                    if life.cancelled_caught:
                        self._judge.find("stuck", f"a run did not end in {LONGEST_LIFE_SECONDS:g} s")
                except BaseException:
                    # Whatever a dead process still meets, nobody sees.
                    if not process.dead:
                        raise
            beside.cancel_scope.cancel()
        self.disk.process = None
        if process.dead and crash is not None:
            self.played.crashes[f"{crash.kind} at {crash.at}"] += 1
        self._judge.judge_delivered({one.id: (one.lead_id, one.made_by) for one in self._crm.records})
        # A person or a scheduler starts it again, some time later.
        await trio.sleep(self._rng.choice((0.0, 0.5, 60.0, 400.0)))

    async def _import(self, settings: config.Settings, tools: importer.Tools) -> None:
        try:
            result = await importer.run(settings, tools)
        except errors.ImporterError as error:
            self._history.note("ended", type(error).__name__, str(error).replace(str(self._state), ""))
            if isinstance(error, errors.LedgerError):
                self._judge.find("ledger", str(error))
            return
        self._history.note("ended", result.summary.exit_code, result.summary.calls, result.error)
        if result.error and "the ledger" in result.error:
            self._judge.find("ledger", result.error)
        self._judge.told(result)

    async def _send_nothing_more(self) -> None:
        before = self._judge.posts
        await self._live(None, files=True)
        if self._judge.posts > before:
            self._judge.find("resent", f"a run after the end sent {self._judge.posts - before} creates")

    def _retry_failed(self) -> None:
        """What a person does with calls that could not be sent at all."""
        self.disk.begin(Process(self._history, None, self.disk.crash))
        for path in sorted(self.disk.folder.glob("*.sqlite3")):
            with contextlib.closing(Ledger.open(path, self._clock())) as ledger:
                ledger.retry(model.ItemStatus.FAILED)
        self.disk.process = None

    def _is_over(self) -> bool:
        return bool(self.disk.items) and all(
            item.status in ("delivered", "held", "refused") for item in self.disk.items.values()
        )

    def _close(self) -> None:
        (path,) = self.disk.folder.glob("*.sqlite3")
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
            if ledger.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                self._judge.find("ledger", "the ledger is damaged")
        played = self.played
        played.statuses.update(item.status for item in self.disk.items.values())
        self._history.note("end", sorted(played.statuses.items()))
        played.hash, played.lines, played.faults = self._history.hash, self._history.lines, self._history.faults
        played.findings, played.creates = self._judge.findings, self._judge.posts
        played.virtual_seconds = trio.current_time()

    def _synced(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        self._judge.moved(before, after)

    def _settings(self, files: tuple[str, ...], limit: int | None = None) -> config.Settings:
        return config.Settings(
            files=files,
            profile="canonical",
            reference=self._scenario.reference,
            destination=_BASE_URL,
            state_dir=self._state,
            rates=(self._scenario.rate,),
            concurrency=self._scenario.concurrency,
            settle=self._scenario.settle,
            limit=limit,
        )

    def _clock(self) -> model.Clock:
        return model.Clock(wall=_wall, monotonic=trio.current_time)

    def _tools(self, process: Process) -> importer.Tools:
        return importer.Tools(
            clock=self._clock(),
            talk=report.Talk(_CONSOLE, _wall, quiet=True),
            rng=random.Random(f"importer {self._scenario.seed} {self.played.lives}"),
            hears_signals=False,
            connect=partial(_connected, Network(self._crm, process)),
        )


@contextlib.asynccontextmanager
async def _connected(
    network: Network, base_url: str, token: Any, *, connections: int
) -> AsyncIterator[destination.Destination]:
    """The importer's own way to a CRM, over a network of ours."""
    transport = httpx.AsyncHTTPTransport(verify=_NO_TLS)
    transport._pool = httpcore.AsyncConnectionPool(
        network_backend=network,
        max_connections=connections,
        keepalive_expiry=destination.KEEPALIVE_SECONDS,
        ssl_context=_NO_TLS,
    )
    async with destination.connected(base_url, token, connections=connections, transport=transport) as crm:
        yield crm


@contextlib.contextmanager
def _surroundings() -> Iterator[None]:
    """What a run finds around it, and what only costs time here."""
    attempt = delivery.Delivery._attempt

    async def attempt_known_to_the_crm(self: delivery.Delivery, item: model.Item) -> None:
        sending.set(item.key)
        await attempt(self, item)

    with (
        warnings.catch_warnings(),
        mock.patch.dict(os.environ, {"CALLIMPORT_TOKEN": TOKEN}),
        mock.patch.object(destination, "_tls", return_value=_NO_TLS),
        mock.patch.object(delivery.Delivery, "_attempt", attempt_known_to_the_crm),
        # A file a second that nobody here reads.
        mock.patch.object(lock, "write_heartbeat", return_value=None),
        # One file, read by every life anew: to the same end, and with most of the time there is.
        mock.patch.object(validation, "validate", _remembered(validation.validate)),
        mock.patch.object(validation, "validate_communications", _remembered(validation.validate_communications)),
    ):
        # Who is killed in the midst of a request leaves it half read.
        warnings.filterwarnings("ignore", "Async generator", ResourceWarning)
        yield


def _remembered(judge: Callable[..., Any]) -> Callable[..., Any]:
    """Its first answer to each frame."""
    answers: dict[str, Any] = {}

    def remember(frame: pl.DataFrame, *more: Any) -> Any:
        content = repr(frame.rows())
        if content not in answers:
            answers[content] = judge(frame, *more)
        return answers[content]

    return remember


def _wall() -> datetime:
    return START + timedelta(seconds=trio.current_time())


def _look_alike(scenario: Scenario, rng: random.Random) -> dict[str, Any]:
    row = rng.choice(scenario.rows)
    return {
        "lead_id": int(row[1]),
        "method": "phone",
        "type": row[2],
        "executed_at": row[4],
        "executed_by": 106,
        "description": row[9] or None,
        "call_status": "answered",
        "call_duration": int(row[5]),
        "call_phone": row[6],
    }
