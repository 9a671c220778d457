"""Play a story with a program: write its files night by night, run and kill commands, and judge what comes back."""

import json
import signal
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.blackbox import exports, judge
from tests.blackbox.processes import CREATE, Ended, Program, Sandbox, finish, sandbox, wait_until
from tests.blackbox.stories import SETTLE_SECONDS, Kill, Night, Story

# The CRM allows 60 requests a second, counted in short windows so that a story can fill several of them.
LIMIT, WINDOW_SECONDS, RATE = 120, 2, "3000/min"
# A night has at most 14 runs. After 7 of them, the faults are removed.
MOST_RUNS, MOST_RUNS_WITH_FAULTS = 14, 7
_MADE = (CREATE, "PUT /communications/:id", "POST /communications/:id/recording")
_SIGNALS = {"KILL": signal.SIGKILL, "INT": signal.SIGINT, "TERM": signal.SIGTERM}
_ENDS_OF = {"INT": 128 + signal.SIGINT, "TERM": 128 + signal.SIGTERM}
OK, USAGE, GUARD = 0, 2, 8


class BrokenOffError(Exception):
    """The program stopped in a way that ends the story; the message says how."""


@dataclass(slots=True)
class Played:
    """What a story came to. `steps` has an entry for each command, killed ones too: name, exit code, answer."""

    runs: int = 0
    kills: int = 0
    signals: int = 0
    decided: int = 0
    findings: list[str] = field(default_factory=list)
    steps: list[tuple[str, int, Mapping[str, Any] | None]] = field(default_factory=list)
    stored: list[dict[str, Any]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)


def play(story: Story, program: Sequence[str], crm: Sequence[str], folder: Path) -> Played:
    """Play all nights in `folder`, which must be empty, against a rehearsal CRM of its own."""
    state = folder / "state"
    state.mkdir()
    seed = folder / "crm.json"
    seed.write_text(json.dumps(story.crm), "utf-8")
    options = ["--seed", str(seed), "--limit", str(LIMIT), "--window", str(WINDOW_SECONDS)]
    # The account is a part of every reference, so it is the same for two programs.
    options += ["--account-id", "77301", "--latency-ms", str(story.latency_ms), "--state-dir", str(state)]
    with sandbox(crm, folder, state, *options) as running:
        token = running.token if story.by_url else ""
        return _Player(story, Program(program, folder, state, token), running, folder).play()


@dataclass
class _Player:
    story: Story
    program: Program
    crm: Sandbox
    folder: Path
    played: Played = field(default_factory=Played)
    where: str = ""
    mended: tuple[str, ...] = ()
    is_troubled: bool = False

    def play(self) -> Played:
        for name, data in self.story.files.items():
            (self.folder / name).write_bytes(data)
        (self.folder / "recordings").mkdir()
        try:
            for number, night in enumerate(self.story.nights):
                self.where = f"night {number + 1}"
                self._prepare(night)
                self._night(night)
            self._end(self.story.nights[-1])
        except BrokenOffError as error:
            self._find(str(error))
        return self.played

    def _prepare(self, night: Night) -> None:
        for name, data in (*night.files.items(), ("leads.csv", night.leads)):
            if data is not None:
                (self.folder / name).write_bytes(data)
        for name, data in night.recordings.items():
            (self.folder / "recordings" / name).write_bytes(data)

    def _night(self, night: Night) -> None:
        files = (*night.files, *self.mended)
        if night.checks:
            ended = self._command("check", "check", *files, *self.story.options, "--json", "--quiet")
            # check asks no CRM. With --find-leads, it counts each row of an unknown number as one without a lead.
            is_sure = "--find-leads" not in self.story.options
            self._judge_rows(ended, night if is_sure else replace(night, rows=replace(night.rows, duplicate=None)))
        code = self._plan(night, files) if night.dry_run or night.first == "plan" else ""
        if night.faults:
            self.crm.post("/faults", {"seed": self.story.seed, "rules": list(night.faults)})
        if night.first in ("limit", "pilot"):
            self._first(night, files)
        if night.first == "plan" and code:
            ended = self._run("plan", files, "--plan", code)
            if ended.code in (USAGE, GUARD):
                self._find(f"the plan {code} is not accepted: exit code {ended.code}: {_last_line(ended)}")
        for kill in night.kills:
            self._killed(night, files, kill)
        if night.is_finished:
            self._finish(night, files)
        self._count_faults()
        self.crm.clear_faults()
        self.mended = self._mend(night)

    def _plan(self, night: Night, files: Sequence[str]) -> str:
        before = self._made()
        ended = self._run("dry run", files, "--dry-run")
        if self._made() != before:
            self._find("a dry run has sent something")
        self._judge_rows(ended, night)
        answer = ended.answer or {}
        if ended.code not in (0, 3) or not answer.get("plan"):
            self._find(
                f"a dry run ended with exit code {ended.code} and plan {answer.get('plan')}: {_last_line(ended)}"
            )
        other = self._run("wrong plan", files, "--plan", "0000-0000")
        if other.code != GUARD or self._made() != before:
            self._find(f"a plan code that was never shown is accepted: exit code {other.code}")
        return str(answer.get("plan") or "")

    def _first(self, night: Night, files: Sequence[str]) -> None:
        before = self._stored_count()
        ended = self._run(night.first, files, f"--{night.first}", str(night.first_count))
        stored = self._stored_count() - before
        if stored > night.first_count:
            self._find(f"--{night.first} {night.first_count} has stored {stored} calls")
        if ended.code not in (0, 1, 3, 4, 7):
            self._find(f"--{night.first} ended with exit code {ended.code}: {_last_line(ended)}")

    def _killed(self, night: Night, files: Sequence[str], kill: Kill) -> None:
        """Start a run and end it after the drawn number of creates. A run may end by itself before."""
        self.is_troubled = True
        before = self.crm.creates()
        arguments = self._arguments(files)
        process = self.program.start(*arguments)
        try:
            wait_until(lambda: process.poll() is not None or self.crm.creates() >= before + kill.after)
            _wait(process, kill.delay_seconds)
            process.send_signal(_SIGNALS[kill.signal])
        finally:
            if process.poll() is None and kill.signal == "KILL":
                process.kill()
            ended = finish(process, arguments)
        self._note(f"run, {kill.signal} after {kill.after} creates", ended)
        if ended.code == -signal.SIGKILL:
            self.played.kills += 1
        elif ended.code == _ENDS_OF.get(kill.signal):
            self.played.signals += 1
        elif ended.code not in (0, 1, 3, 4, 7):
            self._find(f"after {kill.signal}, the exit code is {ended.code}: {_last_line(ended)}")
        if ended.code >= 0:
            self._judge_answer(ended, night)

    def _finish(self, night: Night, files: Sequence[str]) -> None:
        """Run again until nothing is left to do, as a person would, and decide what is held."""
        for number in range(MOST_RUNS):
            if number == MOST_RUNS_WITH_FAULTS:
                self._count_faults()
                self.crm.clear_faults()
            before = self._stored_count()
            ended = self._run("run", files)
            self._judge_rows(ended, night)
            answer = ended.answer
            if answer is None:
                continue
            if (
                not night.faults
                and not self.is_troubled
                and self._stored_count() - before != answer["calls"]["delivered"]
            ):
                self._find(f"{answer['calls']['delivered']} calls delivered, {self._stored_count() - before} stored")
            if ended.code == judge.DECIDE:
                self._reconcile()
            elif ended.code in (OK, judge.REJECTED) and not _is_open(answer):
                self._find(*judge.finished(answer, night.rows))
                return
            elif ended.code not in (1, 3, 7):
                # Later steps would show nothing more.
                raise BrokenOffError(f"a run ended with exit code {ended.code}: {_last_line(ended)}")
        self._find(f"the night did not end within {MOST_RUNS} runs")

    def _reconcile(self) -> None:
        """Run reconcile. Then decide each held call by what the CRM stores."""
        ended = self._command("reconcile", "reconcile", *self._there(), "--settle", str(SETTLE_SECONDS), "--json")
        answer = ended.answer
        if answer is None or ended.code not in (0, 1, 4):
            self._find(f"reconcile ended with exit code {ended.code}: {_last_line(ended)}")
            return
        self.is_troubled = True
        stored = self.crm.ask("/communications")["data"]
        for item in answer.get("listed", ()):
            if item["status"] != "held":
                continue
            self.played.decided += 1
            here = [
                one["id"]
                for one in stored
                if not one["seeded"]
                and one["lead_id"] == item["lead_id"]
                and one["type"] == item["direction"]
                and datetime.fromisoformat(one["executed_at"]) == datetime.fromisoformat(item["started_at"])
            ]
            said = ("--accept", item["reference"], str(here[0])) if here else ("--resend", item["reference"])
            decided = self._command("decide", "reconcile", *said, *self._there(), "--json")
            if decided.code not in (OK, judge.DECIDE):
                # A second item for one communication: no person could decide it.
                raise BrokenOffError(f"a held call cannot be decided ({said[0]}): {_last_line(decided)}")

    def _mend(self, night: Night) -> tuple[str, ...]:
        """Correct cells of the reject file, and return the name of the mended file."""
        if not night.mends:
            return ()
        path = self.folder / "rejects.csv"
        if not path.exists():
            self._find("there is no reject file to mend")
            return ()
        columns, rows = exports.read_table(path.read_bytes())
        mine = [row | night.mends[row["description"]] for row in rows if row.get("description") in night.mends]
        if len(mine) != len(night.mends):
            self._find(f"the reject file has {len(mine)} of the {len(night.mends)} rows to mend")
        (self.folder / "mended.csv").write_bytes(exports.table(columns, mine))
        return ("mended.csv",)

    def _end(self, night: Night) -> None:
        """Run once more, which must send nothing, and compare the CRM with the truth."""
        self.where = "end"
        before = self._made()
        files = (*night.files, *(name for name in ("mended.csv",) if self._reads_mended()))
        ended = self._run("last run", files)
        after = self._made()
        if after != before:
            self._find(f"the last run has sent something: {dict(after - before)}")
        self._judge_rows(ended, night)
        if ended.answer is not None:
            self._find(*judge.finished(ended.answer, night.rows), *judge.nothing_new(ended.answer, night.rows))
        right = judge.REJECTED if night.rows.rejected or night.rows.refused else OK
        known = (ended.answer or {}).get("known_rejects", 0)
        if ended.code != right and not (ended.code == OK and known and not night.rows.refused):
            self._find(f"the last run ended with exit code {ended.code}, {right} expected: {_last_line(ended)}")
        verified = self._command("verify", "verify", *self._there(), "--rate", RATE, "--json", "--quiet")
        if verified.code != OK:
            self._find(f"verify ended with exit code {verified.code}: {verified.out.strip()[:300]}")
        self._command("status", "status", *self._there())
        # status and find print phone numbers, which must be masked.
        found = self._command("find", "find", self.story.truth.calls[0].phone, *self._there())
        if found.code != OK:
            self._find(f"find ended with exit code {found.code}: {_last_line(found)}")
        self.played.stored = self.crm.ask("/communications")["data"]
        requests = self.crm.ask("/journal")["requests"]
        bodies = [one["body"] for one in requests if one["kind"] == CREATE and isinstance(one["body"], dict)]
        self._find(*judge.store(self.story.truth, self.played.stored), *judge.creates(self.story.truth, bodies))

    def _reads_mended(self) -> bool:
        return len(self.story.nights) > 1 and bool(self.story.nights[-2].mends)

    def _run(self, name: str, files: Sequence[str], *more: str) -> Ended:
        ended = self._command(name, *self._arguments(files, *more))
        self._judge_answer(ended, None, sends="--dry-run" not in more)
        return ended

    def _arguments(self, files: Sequence[str], *more: str) -> tuple[str, ...]:
        story = self.story
        settle = ("--settle", str(SETTLE_SECONDS), "--rate", RATE, "--rejects", "rejects.csv", "--force", "--json")
        return ("run", *files, *self._there(), *story.options, *story.sending, *settle, *more)

    def _there(self) -> tuple[str, ...]:
        return ("--destination", self.crm.url if self.story.by_url else "sandbox")

    def _command(self, name: str, *arguments: str) -> Ended:
        ended = self.program.run(*arguments)
        self._note(name, ended)
        return ended

    def _note(self, name: str, ended: Ended) -> None:
        """Count the command, and judge what holds after every command."""
        self.played.runs += 1
        self.played.codes[ended.code] += 1
        answer = ended.answer
        self.played.steps.append((name, ended.code, answer))
        told = {key: count for key, count in (answer or {}).get("calls", {}).items() if count} if answer else {}
        self.played.log.append(f"{self.where}, {name}: exit code {ended.code} {told} {_last_line(ended)}")
        self._find(*judge.privacy(ended.out + ended.err, self.story.truth.phones, self.crm.token))
        self._find(*judge.crm(self.crm.ask("/assert")))
        if "Traceback" in ended.err or "fault of callimport" in ended.err + ended.out:
            self._find(f"{name} failed: {ended.err.strip()[-300:]}")

    def _judge_answer(self, ended: Ended, _: Night | None, *, sends: bool = True) -> None:
        answer = ended.answer
        if answer is None:
            self._find(f"the command printed no JSON object, exit code {ended.code}: {_last_line(ended)}")
        elif "rows" in answer:
            self._find(*judge.sums(answer), *judge.exit_code(answer, ended.code, sends=sends))

    def _judge_rows(self, ended: Ended, night: Night) -> None:
        answer = ended.answer
        if answer is not None and not answer.get("error") and "rows" in answer:
            self._find(*judge.row_counts(answer, night.rows))

    def _find(self, *findings: str) -> None:
        for finding in findings:
            told = f"{self.where}: {finding}"
            if told not in self.played.findings:
                self.played.findings.append(told)

    def _made(self) -> Counter[str]:
        sent = self.crm.sent()
        return Counter({kind: sent.get(kind, 0) for kind in _MADE})

    def _stored_count(self) -> int:
        return int(self.crm.ask("/counts")["communications"])

    def _count_faults(self) -> None:
        for rule in self.crm.ask("/faults")["rules"]:
            if rule["kind"] != "read_lag" and rule["fired"]:
                self.played.faults[f"{rule['kind']} {rule.get('method', '')}".strip()] += rule["fired"]


def _is_open(answer: Mapping[str, Any]) -> bool:
    calls, recordings = answer["calls"], answer["recordings"]
    left = [calls[name] for name in ("failed", "in_doubt", "held", "pending")]
    return any(left) or bool(recordings["failed"] or recordings["pending"])


def _wait(process: "subprocess.Popen[str]", seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _last_line(ended: Ended) -> str:
    """Return what the command said last, for a person who looks into a finding."""
    error = str((ended.answer or {}).get("error", ""))
    return error or (ended.err.strip().splitlines() or [""])[-1][:200]
