"""Send signals to real commands at many moments, from the first millisecond of the process to its last.

A second signal follows 0.3 s after the first, or none. Each command must end within seconds, with the exit code of a
signal or with its own, and without a traceback. A plain run afterwards must deliver every call once.

    python -m tests.fuzz.signals --count 100 --seed 1
"""

import argparse
import json
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from tests import rehearsal
from tests.rehearsal import Crm, calls, write_csv

COMMANDS = ("check", "dry run", "run", "verify", "status")
FAST = ("--rate", "60000/min")
SECOND_AFTER_SECONDS = 0.3
ENDS_WITHIN_SECONDS = 5.0
PYTHON_STARTS_WITHIN_SECONDS = 0.15
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
CALLS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        faults = play(Path(folder), given.count, given.seed)
    for fault in faults:
        print(fault)
    print(f"{given.count} commands, {len(faults)} faults")
    raise SystemExit(bool(faults))


def play(folder: Path, count: int, seed: int) -> list[str]:
    """Play `count` commands, each with its own signals. Return one line for each fault."""
    rng = random.Random(seed)
    faults: list[str] = []
    with rehearsal.crm(folder / "state", "--limit", "1000000", "--latency-ms", "20") as crm:
        # verify and status need a ledger.
        source = write_csv(folder / "first.csv", rows(0))
        crm.run(source, *FAST)
        durations = {name: _seconds(crm, name, source) for name in COMMANDS}
        for number in range(1, count + 1):
            name = COMMANDS[number % len(COMMANDS)]
            source = write_csv(folder / f"{number}.csv", rows(number))
            moment = rng.uniform(0.0, durations[name] * 1.05)
            first = rng.choice((signal.SIGINT, signal.SIGTERM))
            second = rng.choice((signal.SIGINT, signal.SIGTERM, None))
            told = f"seed {seed}, {number}: {name}, {first.name} after {moment:.3f} s, then {second and second.name}"
            faults += [f"{told}: {fault}" for fault in _command_faults(crm, name, source, moment, first, second)]
            if name == "run":
                faults += [f"{told}: {fault}" for fault in _later_run_faults(crm, source, number)]
    return faults


def rows(number: int) -> list[dict[str, str]]:
    """Return calls of a day that no other number has."""
    return [
        {
            **row,
            "call_id": f"{number}-{row['call_id']}",
            "started_at": (datetime.fromisoformat(row["started_at"]) - timedelta(days=number)).isoformat(),
        }
        for row in calls(CALLS)
    ]


def _started(crm: Crm, name: str, source: Path) -> subprocess.Popen[str]:
    words: dict[str, Sequence[str | Path]] = {
        "check": ("check", source),
        "dry run": ("run", source, "--dry-run", "--destination", "sandbox", *FAST),
        "run": ("run", source, "--destination", "sandbox", *FAST, "--settle", "0.5"),
        "verify": ("verify", "--destination", "sandbox", *FAST),
        "status": ("status", "--destination", "sandbox"),
    }
    return rehearsal.started(*words[name], "--json", state=crm.state)


def _seconds(crm: Crm, name: str, source: Path) -> float:
    began = time.monotonic()
    _started(crm, name, source).communicate(timeout=rehearsal.PATIENCE_SECONDS)
    return time.monotonic() - began


def _command_faults(
    crm: Crm, name: str, source: Path, moment: float, first: signal.Signals, second: signal.Signals | None
) -> list[str]:
    process = _started(crm, name, source)
    faults = []
    time.sleep(moment)
    process.send_signal(first)
    if second is not None:
        time.sleep(SECOND_AFTER_SECONDS)
        process.send_signal(second)
    try:
        out, err = process.communicate(timeout=ENDS_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        faults.append(f"did not end within {ENDS_WITHIN_SECONDS:g} s")
    # Until Python runs the first line of the program, Python itself answers a signal.
    python_alone: tuple[int, ...] = ()
    if moment < PYTHON_STARTS_WITHIN_SECONDS:
        python_alone = (-first,) if "callimport/" in err else (-first, 1)
    expected = {0, 3, *(CODES[one] for one in (first, second) if one is not None), *python_alone}
    if process.returncode not in expected:
        faults.append(f"exit code {process.returncode}")
    if process.returncode not in python_alone:
        if "Traceback" in err or "Exception ignored" in err:
            faults.append(f"a traceback: {err!r}")
        ended_at_once = "second signal" in err
        if not ended_at_once and (fault := _answer_fault(out, process.returncode)):
            faults.append(f"{fault}; stderr {err!r}")
    return faults


def _answer_fault(out: str, code: int) -> str | None:
    try:
        answer = json.loads(out)
    except ValueError:
        return f"stdout is not one JSON object: {out!r}"
    told = answer.get("exit_code", code)
    return None if told == code else f"the answer tells exit code {told}, not {code}"


def _later_run_faults(crm: Crm, source: Path, number: int) -> list[str]:
    ended = crm.run(source, *FAST, "--settle", "0.5")
    day = {datetime.fromisoformat(row["started_at"]).timestamp() for row in rows(number)}
    stored = Counter(datetime.fromisoformat(one["executed_at"]).timestamp() for one in crm.stored())
    wrong = {moment: stored[moment] for moment in day if stored[moment] != 1}
    faults = [f"{len(wrong)} calls are not stored once: {sorted(wrong.values())}"] if wrong else []
    return faults + ([f"the run afterwards ends with {ended.code}: {ended.err!r}"] if ended.code != 0 else [])


if __name__ == "__main__":
    main()
