"""Play small imports against a CRM that gives hostile answers, and judge what the program makes of them.

    python -m tests.fuzz.answers --count 500
    python -m tests.fuzz.answers --one 17

The number of a case draws an import, some hostile answers and the commands that meet them. Then the CRM is healthy, and
`run` and `reconcile` follow. Time is virtual, so nothing waits. One case in 25 uses real sockets and processes instead.
"""

import contextlib
import io
import json
import os
import random
import re
import signal
import sqlite3
import sys
import tempfile
import time
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
import click
import httpcore
import trio
from trio.testing import MockClock

from callimport.cli import commands, probe
from callimport.core import models
from callimport.crm import client
from tests import fake_crm, rehearsal
from tests.baseline import scripted_crm
from tests.baseline.scripted_crm import (
    FIRST_LEAD,
    Answers,
    Ending,
    Outcome,
    Script,
    ScriptedCrm,
    Sound,
    Trouble,
    World,
)
from tests.fuzz import hostile_answers, many_cases
from tests.fuzz.hostile_answers import NUMBERS_OF_ANSWERS, WRITES

TOKEN = "fuzz-token-5d1c"
URL = "http://127.0.0.1/v2"
LEADS = 5
WAV = b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x08\0\0\0" + bytes(7)
EXIT_CODES = {0, 1, 3, 4, 7, 8}
# With a healthy CRM. 8 is allowed: a person must decide about calls that the hostile answers left in doubt.
LATER_EXIT_CODES = {0, 3, 4, 7, 8}
ONE_IN_SOCKETS = 25
ONE_IN_SINGLE = 3
# The answers to a create that may stop a run, see the table in crm/client.py: statuses that stop, a web page, and a
# long wait. Earlier 1xx answers are skipped.
_STOPS_A_RUN = re.compile(
    rb"(?:HTTP/1\.. 1(?!01)\d\d(?:(?!\r\n\r\n).)*+\r\n\r\n)*+HTTP/1\.. "
    rb"(?:(?:3\d\d|401|404|405|415|419)\b|2.*?\r\n\r\n(?:\xef\xbb\xbf)?\s*<|429.*?\r\nRetry-After:)",
    re.DOTALL,
)
LONGEST_VIRTUAL_SECONDS = 24 * 3600.0
LONGEST_REAL_SECONDS = 60
COMMANDS = ("run", "reconcile", "verify", "doctor", "probe", "dry run")
# In memory, if there is such a folder.
_FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None


@dataclass(slots=True)
class Case:
    """A case drawn from its number. `second` is the command after `run`, None for no command."""

    number: int
    calls: int
    has_leads: bool
    by_email: bool
    has_recordings: bool
    is_changed: bool
    options: tuple[str, ...]
    second: str | None
    uses_sockets: bool

    @classmethod
    def draw(cls, number: int, *, sockets: bool) -> "Case":
        rng = random.Random(f"case {number}")
        options: list[tuple[str, ...]] = [
            ("--existing", rng.choice(("send", "skip"))),
            ("--concurrency", rng.choice("124")),
        ]
        options += [("--no-reference",)] * (rng.random() < 0.1)
        return cls(
            number=number,
            calls=rng.randint(6, 10),
            has_leads=rng.random() < 0.7,
            by_email=rng.random() < 0.2,
            has_recordings=rng.random() < 0.3,
            is_changed=rng.random() < 0.35,
            options=tuple(word for option in options for word in option),
            second=rng.choice((None, *COMMANDS)),
            uses_sockets=sockets and number % ONE_IN_SOCKETS == 0,
        )

    def troubles(self, crm: Answers) -> list[tuple[str, Trouble]]:
        """Draw the hostile answers, each with a line: kind, first request, number of requests, answer.

        One case in three has one hostile answer to one create.
        """
        rng = random.Random(f"troubles {self.number}")
        found = []
        kinds = ["account", "lead", "lead", "create", "create", "create", "create"]
        kinds += ["users"] * self.by_email + ["update"] * 3 * self.is_changed + ["upload"] * 2 * self.has_recordings
        kinds += [] if self.has_leads else ["leads", "leads", "leads by number", "search"]
        is_single = self.number % ONE_IN_SINGLE == 0
        for _ in range(1 if is_single else rng.choice((1, 2, 3, 4))):
            kind = "create" if is_single else rng.choice(kinds)
            hostile = hostile_answers.draw(rng, kind, crm)
            count = None if rng.random() < 0.2 and not self.uses_sockets else rng.choice((1, 1, 1, 2, 3))
            count = 1 if is_single else count
            first = 1 if kind in ("account", "users", "leads") else rng.randint(1, 3)
            outcome = Outcome(hostile.data, hostile.ending, hostile.stores or kind not in WRITES)
            found.append((f"{kind} {first}+{count}: {hostile.name}", Trouble(kind, outcome, first, count)))
        return found


@dataclass(slots=True)
class Played:
    """What became of a case."""

    case: Case
    troubles: list[str] = field(default_factory=list)
    met: int = 0
    ended: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)

    @property
    def title(self) -> str:
        return "; ".join(self.troubles)


def play(number: int, *, sockets: bool = True) -> Played:
    """Play one case and judge it."""
    case = Case.draw(number, sockets=sockets)
    with (
        tempfile.TemporaryDirectory(dir=_FOLDER, prefix="fuzz-answers-") as folder,
        _runner(case, Path(folder)) as runner,
    ):
        player = _CasePlayer(case, Path(folder), runner)
        player.play()
    return player.played


class _CasePlayer:
    def __init__(self, case: Case, folder: Path, runner: "Runner") -> None:
        self.played = Played(case)
        self._case = case
        self._folder = folder
        self._runner = runner
        self._crm = runner.crm
        self._answers: list[bytes] = []

    def play(self) -> None:
        case = self._case
        self._write(changed=False)
        if case.is_changed:
            # The first half is imported now, and the rest after the change.
            self._run("before", "run", "--limit", str(case.calls // 2))
            self._write(changed=True)
        troubles = case.troubles(self._crm)
        self.played.troubles = [told for told, _ in troubles]
        for _, one in troubles:
            one.outcome = replace(one.outcome, data=self._recorded(one.outcome.data))
        self._runner.follow(Script([one for _, one in troubles]))
        code = self._run("hostile", "run")
        if [one.kind for _, one in troubles] == ["create"] and len(self._answers) == 1:
            self._judge_single(code)
        if case.second is not None:
            self._run("hostile", case.second)
        self.played.met = sum(one.met for _, one in troubles)
        self._runner.follow(Script())
        self._run("after", "run")
        self._run("after", "reconcile")
        self._judge_calls()

    def _recorded(self, data: Callable[[Sound], bytes]) -> Callable[[Sound], bytes]:
        def recorded(sound: Sound) -> bytes:
            self._answers.append(data(sound))
            return self._answers[-1]

        return recorded

    # Commands

    def _run(self, when: str, command: str, *more: str) -> int:
        words = {
            "run": ["run", *self._import()],
            "dry run": ["run", "--dry-run", *self._import()],
            "reconcile": ["reconcile", "--settle", "1"],
            "verify": ["verify"],
            "doctor": ["doctor"],
            "probe": ["probe", "--test-lead", str(FIRST_LEAD), "--yes"],
        }[command]
        has_rate = command in ("run", "dry run", "reconcile", "probe")
        rate = ["--rate", "60000/min"] if has_rate else []
        ended = self._runner.command(*words, *more, "--json", "--destination", self._runner.url, *rate)
        told = f"{when} {command}: exit {ended.code}"
        self.played.ended.append(told)
        self.played.codes[f"{when} {command} {ended.code}"] += 1
        self.played.said.append(f"--- {told}\n{ended.out}{ended.err}")
        for wrong in self._wrong_with(when, command, ended):
            self.played.findings.append(f"{told}: {wrong}")
        return ended.code

    def _wrong_with(self, when: str, command: str, ended: rehearsal.Ended) -> Iterator[str]:
        allowed = LATER_EXIT_CODES if when != "hostile" else EXIT_CODES
        if ended.code not in allowed | ({2} if when == "hostile" and command != "run" else set()):
            yield "exit code"
        for word in ("Traceback", "fault of callimport", TOKEN):
            if word in ended.said:
                yield f'"{word}"'
        for number in (*self._numbers(), *NUMBERS_OF_ANSWERS):
            if _digits(number)[-10:] in _without_separators(ended.said):
                yield f"whole number {number}"
        try:
            summary = json.loads(ended.out)
        except ValueError:
            yield "not one JSON object"
            return
        if not isinstance(summary, dict):
            yield "not one JSON object"
        elif summary.get("exit_code") != ended.code:
            yield f"exit_code {summary.get('exit_code')} in JSON"
        elif "rows" in summary and not rehearsal.adds_up(summary):
            yield "does not add up"
        if any(count > 1 for count in self._stored().values()):
            yield f"stored twice: {[call for call, count in self._stored().items() if count > 1]}"

    # Calls

    def _judge_single(self, code: int) -> None:
        """After one hostile answer to one create, the run delivers all other calls."""
        # 8: each run looks at its first call in the CRM. If the answer named a wrong id, a person must decide.
        if _STOPS_A_RUN.match(self._answers[0]) or code == 8:
            return
        if code == 1:
            self.played.findings.append("hostile run: one answer to one create stopped the run")
        delivered = list(self._standing().values()).count("delivered")
        if delivered < self._case.calls - 1:
            self.played.findings.append(f"hostile run: {delivered} of {self._case.calls - 1} other calls are delivered")

    def _judge_calls(self) -> None:
        """Each call is stored once, or the ledger says why not."""
        stored = self._stored()
        standing = self._standing()
        # A guard stopped the run: a person must decide first.
        waits = {"pending"} if "after run: exit 8" in self.played.ended else set[str]()
        for row in rehearsal.calls(self._case.calls):
            call, key = _instant(row["started_at"]), row["call_id"]
            status = standing.get(key, "unknown to the ledger")
            allowed = {1: {"delivered", "gone", "in_doubt", "held", "refused", "withdrawn"}}.get(
                stored[call], {"in_doubt", "held", "refused", "failed", "waiting", "withdrawn"}
            )
            if status not in allowed | (waits if not stored[call] else set()):
                self.played.findings.append(f"call {key} is stored {stored[call]} times, and {status}")

    def _stored(self) -> Counter[str]:
        imported = [one for one in self._crm.world.communications if "callimport probe" not in str(one["description"])]
        return Counter(_instant(one["executed_at"]) for one in imported)

    def _standing(self) -> dict[str, str]:
        ledgers = list((self._folder / "state").rglob("*.sqlite3"))
        found: dict[str, str] = {}
        # A wrong account id in an answer makes another ledger.
        for path in ledgers:
            with contextlib.closing(sqlite3.connect(path)) as database:
                found |= dict(database.execute("SELECT call_id, status FROM item"))
        return found

    # Files

    def _import(self) -> list[str]:
        words = [str(self._folder / "calls.csv"), *self._case.options, "--settle", "1"]
        words += [] if self._case.has_leads else ["--find-leads"]
        words += ["--recordings", str(self._folder / "recordings")] if self._case.has_recordings else []
        return words

    def _numbers(self) -> list[str]:
        return [row["customer_phone"] for row in self._rows(changed=False)]

    def _rows(self, *, changed: bool) -> list[dict[str, str]]:
        rows = rehearsal.calls(self._case.calls)
        for number, row in enumerate(rows):
            lead = number % LEADS
            row |= {"lead_id": str(FIRST_LEAD + lead), "agent_id": "101", "customer_phone": f"+1514555{100 + lead:04}"}
            if changed and number % 2:
                row["description"] = f"Rappel nº {number}"
            if self._case.by_email:
                row["agent_email"] = "luc@dealer.example"
                del row["agent_id"]
            if not self._case.has_leads:
                del row["lead_id"]
            if self._case.has_recordings:
                row["recording"] = f"{number}.wav"
        return rows

    def _write(self, *, changed: bool) -> None:
        rows = self._rows(changed=changed)
        path = rehearsal.write_csv(self._folder / "calls.csv", rows, tuple(rows[0]))
        # A file that was changed a moment ago counts as still being written.
        os.utime(path, (0, 0))
        if self._case.has_recordings:
            (self._folder / "recordings").mkdir(exist_ok=True)
            for number in range(len(rows)):
                recording = self._folder / "recordings" / f"{number}.wav"
                recording.write_bytes(WAV + bytes([number]))
                os.utime(recording, (0, 0))


def _instant(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).isoformat()


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _without_separators(text: str) -> str:
    """Return the text without the separators between digits."""
    return re.sub(r"(?<=\d)[ ().\-/]{1,2}(?=\d)", "", text)


# Ways to run a command


class Runner(ABC):
    """Run commands against one CRM."""

    crm: Answers
    url = URL

    @abstractmethod
    def command(self, *words: str) -> rehearsal.Ended:
        """Run one command and return how it ended."""

    def follow(self, script: Script) -> None:
        self.crm.script = script


@contextmanager
def _runner(case: Case, folder: Path) -> Iterator[Runner]:
    state = folder / "state"
    state.mkdir(mode=0o700)
    if case.uses_sockets:
        with scripted_crm.loop() as loop:
            crm = ScriptedCrm(loop)
            try:
                yield _Sockets(crm, state)
            finally:
                crm.stop()
    else:
        yield _InMemory(state)


class _Sockets(Runner):
    def __init__(self, crm: ScriptedCrm, state: Path) -> None:
        self.crm = self._scripted = crm
        self._state = state
        crm.begin(Script(), World.with_leads(LEADS))

    @property
    def url(self) -> str:  # type: ignore[override]
        return self._scripted.url

    def follow(self, script: Script) -> None:
        self._scripted.begin(script)

    def command(self, *words: str) -> rehearsal.Ended:
        environment: Any = {**self._scripted.environment, "CALLIMPORT_TOKEN": TOKEN}
        process = rehearsal.started(*words, state=self._state, **environment)
        try:
            out, err = process.communicate(timeout=LONGEST_REAL_SECONDS * 4)
        except Exception:
            process.kill()
            process.communicate()
            raise
        return rehearsal.Ended(process.returncode, out, err)


class _InMemory(Runner):
    """The real command line with the real httpx, httpcore and h11, in this process and in virtual time."""

    def __init__(self, state: Path) -> None:
        self.crm = Answers()
        self.crm.world = World.with_leads(LEADS)
        self._network = _Network(self.crm)
        self._state = state
        self._now = datetime(2024, 6, 1, 12, 0, tzinfo=UTC)
        self._elapsed: Callable[[], float] = lambda: 0.0

    def command(self, *words: str) -> rehearsal.Ended:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        environment = {"CALLIMPORT_STATE_DIR": str(self._state), "CALLIMPORT_TOKEN": TOKEN, "NO_COLOR": "1"}
        self._now += timedelta(hours=1)
        with (
            mock.patch.dict(os.environ, environment),
            mock.patch.object(sys, "argv", ["callimport", *words]),
            mock.patch.object(sys, "stdout", out),
            mock.patch.object(sys, "stderr", err),
            mock.patch.object(anyio, "run", self._run),
            mock.patch.object(commands, "_clock", self._clock),
            mock.patch.object(probe, "SIZES_MB", (1,)),
            mock.patch.object(client, "_tls", return_value=fake_crm._NO_TLS),
            mock.patch.object(httpcore._async.connection_pool, "AutoBackend", return_value=self._network),
            warnings.catch_warnings(),
            _alarm(),
        ):
            warnings.simplefilter("ignore", ResourceWarning)
            try:
                commands.main()
            except SystemExit as ended:
                code = int(ended.code or 0)
            except _Hangs:
                code = -9
        said = [stream.buffer.getvalue().decode("utf-8", "replace") for stream in (out, err)]
        return rehearsal.Ended(code, said[0], said[1])

    def _run(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        async def bounded() -> Any:
            with trio.fail_after(LONGEST_VIRTUAL_SECONDS):
                try:
                    return await function(*arguments)
                finally:
                    self._now += timedelta(seconds=trio.current_time())

        self._elapsed = trio.current_time
        try:
            return trio.run(bounded, clock=MockClock(autojump_threshold=0))
        finally:
            self._elapsed = lambda: 0.0

    def _clock(self) -> models.Clock:
        def monotonic() -> float:
            try:
                return self._elapsed()
            except RuntimeError:  # outside the event loop
                return 0.0

        return models.Clock(wall=lambda: self._now + timedelta(seconds=monotonic()), monotonic=monotonic)


_ENDINGS = {Ending.FIN: fake_crm.Ending.CLOSE, Ending.RST: fake_crm.Ending.RESET}


class _Network(fake_crm.FakeCrm):
    """A network with one CRM at its other end."""

    def __init__(self, crm: Answers) -> None:
        super().__init__()
        self._crm = crm

    def receive(self, request: fake_crm.Request) -> fake_crm.Reply:
        data, ending = self._crm.respond(request.method, request.target.removeprefix("/v2"), request.body)
        return fake_crm.Reply(data, _ENDINGS.get(ending, fake_crm.Ending.STAY))


class _Hangs(BaseException):
    """A command takes too long."""


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise _Hangs

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(LONGEST_REAL_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# Many cases


def played_safely(number: int) -> Played:
    """Play a case; a case that breaks is a finding."""
    try:
        return play(number)
    except Exception as error:  # noqa: BLE001 (a broken case is a finding)
        return Played(Case.draw(number, sockets=True), findings=[f"broken case: {error!r}"])


@click.command()
@click.option("--count", default=500, help="How many cases.")
@click.option("--seed", type=int, help="The number of the first case. Default: chosen by chance.")
@click.option("--jobs", default=2, help="How many processes.")
@click.option("--one", type=int, help="Play only this case, and show all output.")
def main(count: int, seed: int | None, jobs: int, one: int | None) -> None:
    """Play imports against a CRM that gives hostile answers. Exit with 1 if something is found."""
    if one is not None:
        played = play(one)
        click.echo("\n".join([str(played.case), *played.troubles, *played.said, *(played.findings or ["no finding"])]))
        sys.exit(bool(played.findings))
    seed = random.SystemRandom().randrange(10**6) * 1000 if seed is None else seed
    click.echo(f"seed {seed}, {count} cases")
    began = time.monotonic()
    found = many_cases.play_all(played_safely, range(seed, seed + count), jobs, "tests.fuzz.answers")
    codes = sum((played.codes for played in found), Counter[str]())
    bad = [played for played in found if played.findings]
    click.echo(", ".join(f"{name}: {times}" for name, times in sorted(codes.items())))
    click.echo(
        f"{len(found)} cases with {sum(played.met for played in found)} hostile answers in "
        f"{time.monotonic() - began:.0f} s: {len(bad)} with findings"
    )
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
