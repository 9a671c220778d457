"""The real command against the real rehearsal CRM, killed for real: SIGKILL at moments that a seed draws.

Each import goes on, killed again and again, until it ends by itself; then the CRM's own count decides. A kill counts if
it met a living process that had asked the CRM about a lead or sent it a call. Exit code 1 on a finding.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from callimport.ledger import locking
from tests import rehearsal
from tests.crash import tally
from tests.crash.storm import faults
from tests.rehearsal import Crm

RATE_A_SECOND = 60
# For the first call, which goes alone and is looked at.
CANARY_SECONDS = 0.5
# So that several calls are under way at any moment.
LATENCY_MS = "60"
LEADS = 499
# The CRM may stop a run as often as it fails; a person has this much patience with it.
MOST_RUNS_AFTER_THE_KILLS = 25
LONGEST_RUN_SECONDS = 600.0
# Some die before they have sent anything: while they read, enrol and look the account up. They are not counted.
EARLY_SHARE, EARLIEST_SECONDS, LATEST_SECONDS = 0.1, 0.2, 2.0


@dataclass(frozen=True, slots=True)
class Asked:
    kills: int
    rows: int
    each: int
    seed: int
    fault_share: float
    settle: float


@dataclass(slots=True)
class Figures:
    """Of one import, or of all of them."""

    calls: int = 0
    kills: int = 0
    early: int = 0
    runs: int = 0
    in_flight: int = 0
    hit_in_flight: int = 0
    in_doubt: int = 0
    creates: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    exit_codes: Counter[int] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    stored: int = 0
    duplicated: int = 0
    lost: int = 0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)

    def add(self, other: "Figures") -> None:
        for name in self.__slots__:
            mine, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, mine + theirs)


def main(arguments: list[str] | None = None) -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.crash.kills")
    asked.add_argument("--kills", type=int, default=20)
    asked.add_argument("--rows", type=int, default=2000, help="calls of one import")
    asked.add_argument("--each", type=int, default=20, help="kills of one import, at most")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--fault-share", type=float, default=0.04, help="of creates that meet trouble")
    asked.add_argument("--settle", type=float, default=3.0)
    given = Asked(**vars(asked.parse_args(arguments)))
    total = Figures()
    print("import  calls  kills  early  runs  in flight  in doubt  creates  stored  duplicated  lost  held  seconds")
    for number in _numbers(given, total):
        figures = _import(given, number, min(given.each, given.kills - total.kills))
        total.add(figures)
        print(_row(str(number), figures), flush=True)
    print(_row("all", total))
    return _tell(total)


def _numbers(given: Asked, total: Figures) -> Iterator[int]:
    number = 0
    while total.kills < given.kills:
        number += 1
        yield number


def _import(given: Asked, number: int, kills: int) -> Figures:
    """One import of new calls into a new CRM."""
    began, figures = time.monotonic(), Figures(calls=given.rows)
    chance = random.Random(f"{given.seed} {number}")
    with tempfile.TemporaryDirectory(prefix="callimport-kills-") as folder:
        place = Path(folder)
        rows = [row | {"lead_id": str(20001 + index % LEADS)} for index, row in enumerate(rehearsal.calls(given.rows))]
        source = rehearsal.write_csv(place / "calls.csv", rows)
        plan = faults(place / "faults.json", given.fault_share, seed=chance.getrandbits(31))
        options = ("--any-id", "--limit", "1000000", "--latency-ms", LATENCY_MS, "--faults", str(plan))
        with rehearsal.crm(place / "state", *options) as crm:
            _kill_again_and_again(crm, source, chance, kills, given, figures)
            _end(crm, source, given, figures)
            tally.compare(crm, rows, figures.findings).fill(figures)
            figures.faults.update(tally.faults_met(crm))
    figures.runs = figures.exit_codes.total() + figures.kills + figures.early
    figures.seconds = time.monotonic() - began
    figures.findings = [f"import {number}: {finding}" for finding in figures.findings]
    return figures


def _kill_again_and_again(
    crm: Crm, source: Path, chance: random.Random, kills: int, given: Asked, figures: Figures
) -> None:
    """Until the kills are spent, or the import has come to its end before them."""
    longest = CANARY_SECONDS + 2 * given.rows / (given.each + 1) / RATE_A_SECOND
    while figures.kills < kills:
        is_early = chance.random() < EARLY_SHARE
        before = _asked_of(crm)
        process = _start(crm, source, given)
        if is_early:
            _wait(process, chance.uniform(EARLIEST_SECONDS, LATEST_SECONDS))
        else:
            _wait_for_heartbeat(crm, process)
            _wait(process, chance.uniform(0, longest))
        process.kill()
        process.communicate()
        if process.returncode >= 0:
            figures.exit_codes[process.returncode] += 1
            if process.returncode == 0:
                return
            continue
        _count_kill(crm, figures, is_counted=_asked_of(crm) > before)


def _count_kill(crm: Crm, figures: Figures, *, is_counted: bool) -> None:
    left = tally.ledger(crm.state)
    if left is not None:
        figures.findings += left.faults
        figures.in_flight += left.statuses["in_flight"]
        figures.hit_in_flight += left.statuses["in_flight"] > 0
        figures.in_doubt += left.statuses["in_doubt"]
    figures.kills += is_counted
    figures.early += not is_counted
    print(f"  kill {figures.kills}: {dict(left.statuses) if left else 'no ledger yet'}", file=sys.stderr, flush=True)


def _end(crm: Crm, source: Path, given: Asked, figures: Figures) -> None:
    """Run again as long as the command says so, then once more, which must send nothing."""
    for _ in range(MOST_RUNS_AFTER_THE_KILLS):
        code = _run(crm, source, given)
        figures.exit_codes[code] += 1
        left = tally.ledger(crm.state)
        is_decided = left is not None and not left.statuses.keys() & {"pending", "in_flight", "in_doubt", "failed"}
        if code == 0 or (code == 4 and is_decided):
            break
    else:
        figures.findings.append(f"did not end in {MOST_RUNS_AFTER_THE_KILLS} runs")
    before = crm.creates()
    _run(crm, source, given)
    if crm.creates() > before:
        figures.findings.append(f"a run after the end sent {crm.creates() - before} creates")


def _start(crm: Crm, source: Path, given: Asked) -> "subprocess.Popen[str]":
    return crm.start(source, "--quiet", "--rate", f"{RATE_A_SECOND}/s", "--settle", str(given.settle))


def _run(crm: Crm, source: Path, given: Asked) -> int:
    process = _start(crm, source, given)
    out, err = process.communicate(timeout=LONGEST_RUN_SECONDS)
    if process.returncode not in (0, 1, 4):
        print(out, err, file=sys.stderr)
    return int(process.returncode)


def _asked_of(crm: Crm) -> int:
    """Calls sent and leads read, whether answered or not."""
    kinds: dict[str, Any] = crm.ask("counts")["by_kind"]
    return sum(int(kinds.get(kind, 0)) for kind in ("POST /communications", "GET /leads/:id"))


def _wait_for_heartbeat(crm: Crm, process: "subprocess.Popen[str]") -> None:
    """Its own: one that was killed left its last."""

    def is_there() -> bool:
        beats = [locking.read_heartbeat(path) or {} for path in crm.state.glob("ledgers/*.heartbeat")]
        return process.poll() is not None or process.pid in [beat.get("pid") for beat in beats]

    rehearsal.wait_until(is_there)


def _wait(process: "subprocess.Popen[str]", seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _row(name: str, one: Figures) -> str:
    return (
        f"{name:>6}{one.calls:>7,}{one.kills:>7,}{one.early:>7,}{one.runs:>6,}{one.in_flight:>11,}{one.in_doubt:>10,}"
        f"{one.creates:>9,}{one.stored:>8,}{one.duplicated:>12,}{one.lost:>6,}{one.statuses['held']:>6,}{one.seconds:>9.0f}"
    )


def _tell(total: Figures) -> int:
    print(f"\nkills that met calls in flight  {total.hit_in_flight:,} of {total.kills + total.early:,}")
    print(f"exit codes of runs that ended   {dict(sorted(total.exit_codes.items()))}")
    print(f"items of the ledgers            {dict(sorted(total.statuses.items()))}")
    print(f"faults met                      {total.faults.total():,} {dict(sorted(total.faults.items()))}")
    for finding in total.findings:
        print(f"FINDING: {finding}")
    return 1 if total.findings else 0


if __name__ == "__main__":
    sys.exit(main())
