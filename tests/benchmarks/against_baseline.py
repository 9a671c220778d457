"""Compare time and memory of this tree with the baseline, and print a table. It does not judge the figures.

Each figure is of a process from its start to its end: wall time, processor time, and peak memory. On a machine
that does other work, compare the processor time. `--rows` makes all files smaller, for trying. The rehearsal CRM is the
baseline's. Each program has a state folder and a CRM of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.blackbox.processes import BASELINE, ROOT, TREE, Program, sandbox, stop_everything_on_signals

NEW_ROWS = 300
# Moves the calls of the small files. A constant offset of quarter-hours would look like a wrong zone.
SHIFT_SECONDS = 7
WORK_LEFT = 7
_SENDS = ("--destination", "sandbox", "--existing", "send", "--rate", "60000/min", "--json", "--quiet")


@dataclass(frozen=True, slots=True)
class Measured:
    seconds: float
    processor_seconds: float
    mebibytes: float
    answer: Mapping[str, Any]


class Runner:
    """One of the two programs, with its files and its state."""

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.state = folder / "state"
        self.state.mkdir(parents=True)
        self.program = Program(command, folder, self.state)

    def measure(self, *arguments: str, code: int = 0) -> Measured:
        """Run the command and return its figures. Exit if its exit code is not `code`."""
        began = time.perf_counter()
        process = self.program.start(*arguments)
        # The answer is one short line, so it waits in the pipe until the process has ended.
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out, err = process.communicate()
        if process.returncode != code:
            sys.exit(f"{self.name}: {' '.join(arguments)} ended with exit code {process.returncode}: {err}{out}")
        unit = 1024 * 1024 if sys.platform == "darwin" else 1024
        return Measured(
            seconds,
            used.ru_utime + used.ru_stime,
            used.ru_maxrss / unit,
            json.loads(out) if out.startswith("{") else {},
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.against_baseline", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the large file")
    parser.add_argument("--times", type=int, default=3, help="how often each line is measured; the median counts")
    parser.add_argument("--program", metavar="PATH", help="the program to measure (default: the one of this tree)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    given = parser.parse_args()
    if not Path(BASELINE[0]).exists():
        parser.error(f"{BASELINE[0]} does not exist. Build it: make build/baseline/bin/callimport")
    stop_everything_on_signals()
    tree = (str(Path(given.program).absolute()),) if given.program else TREE
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="callimport-timings-")))
        runners = [Runner(name, command, folder / name) for name, command in (("baseline", BASELINE), ("tree", tree))]
        for runner in runners:
            options = ("--any-id", "--limit", "1000000", "--account-id", "77301", "--state-dir", str(runner.state))
            stack.enter_context(sandbox(BASELINE, runner.folder, runner.state, *options))
        table = _measure(runners, folder, given.rows, given.times)
    if given.json:
        figures = {
            what: {
                name: [[one.seconds, one.processor_seconds, one.mebibytes] for one in found]
                for name, found in of.items()
            }
            for what, of in table.items()
        }
        given.json.write_text(json.dumps({"rows": given.rows, "figures": figures}, indent=2) + "\n", "utf-8")
    return 0


Table = dict[str, dict[str, list[Measured]]]


def _measure(runners: Sequence[Runner], folder: Path, rows: int, times: int) -> Table:
    large, small = folder / "large.csv", folder / "few.csv"
    _write(large, rows)
    _write(small, 10)
    for runner in runners:
        # Run once on a few rows first, so that compiled files exist for both programs.
        runner.measure("check", str(small), "--json", "--quiet")
    table: Table = {}
    print(f"{'baseline / tree':<38}{'wall time':^28}{'processor time':^28}{'peak memory':^23}", flush=True)
    million, new = f"{rows:,}", f"{NEW_ROWS:,}"

    def measure(what: str, commands: Sequence[Sequence[str]], code: int = 0) -> None:
        found: dict[str, list[Measured]] = {runner.name: [] for runner in runners}
        for arguments in commands:
            # Take turns, because the load of the machine changes over time.
            for runner in runners:
                found[runner.name].append(runner.measure(*arguments, code=code))
        table[what] = found
        print(_row(what, found), flush=True)

    measure(f"check {million} rows", [("check", str(large), "--json", "--quiet")] * times)
    nights = [folder / f"night-{number}.csv" for number in range(2 * times)]
    for number, path in enumerate(nights):
        _write(path, NEW_ROWS, first=rows + number * NEW_ROWS, shift_seconds=SHIFT_SECONDS)
    fresh, known = nights[:times], nights[times:]
    measure(f"run {new} new rows, hardly any known", [("run", str(path), *_SENDS) for path in fresh])
    measure(f"run --limit 1, {million} new rows", [("run", str(large), *_SENDS, "--limit", "1")], code=WORK_LEFT)
    for runner in runners:
        _withdraw(runner, table[f"run --limit 1, {million} new rows"][runner.name][0])
    measure(f"dry run {new} new rows, {million} known", [("run", str(known[0]), *_SENDS, "--dry-run")] * times)
    measure(f"run {new} new rows, {million} known", [("run", str(path), *_SENDS) for path in known])
    return table


def _withdraw(runner: Runner, entered: Measured) -> None:
    """Withdraw the pending calls. The ledger then knows them, and no later run sends them."""
    runner.measure("withdraw", str(entered.answer["batch"]), "--destination", "sandbox")


def _write(path: Path, rows: int, *, first: int = 0, shift_seconds: int = 0) -> None:
    """Write the file in a separate process: memory of this one would count for the processes that it starts."""
    arguments = [str(path), str(rows), "--first", str(first), "--shift-seconds", str(shift_seconds)]
    subprocess.run([sys.executable, "-m", "tests.benchmarks.calls_file", *arguments], cwd=ROOT, check=True)


def _row(what: str, found: Mapping[str, Sequence[Measured]]) -> str:
    here, there = found["tree"], found["baseline"]
    text = f"{what:<38}"
    for name in ("seconds", "processor_seconds"):
        old, new = (median(getattr(one, name) for one in of) for of in (there, here))
        text += f"{old:>8.2f} s{new:>8.2f} s{new / old:>6.2f}  "
    old, new = (max(one.mebibytes for one in of) for of in (there, here))
    return f"{text}{old:>6.0f} MiB{new:>6.0f} MiB"


if __name__ == "__main__":
    sys.exit(main())
