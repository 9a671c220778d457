"""What a large file costs: time as a ratio to what Polars itself needs for it in the same run, memory, calls a second.

The file is canonical, of about 100 bytes a row. `check` runs as a process of its own, its start included; Polars scans
the same file as text and sinks it to Parquet, in turn with it. Plans are made and entered on a ledger on the disk.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import polars as pl

from callimport.core import models, settings
from callimport.core.decisions import Plan, PlanSettings
from callimport.ledger import Binding, Ledger
from callimport.plan.planner import Planner
from callimport.resolve.inputs import Inputs
from callimport.resolve.resolution import Resolution
from callimport.transform.rejected_calls import InQuestion
from callimport.transform.staging import Staging
from tests.benchmarks.calls_file import write
from tests.rehearsal import ROOT, installed

MOST_FAST, MOST_TOLERANT, MOST_MIB, LEAST_CALLS_A_SECOND, LONGEST_AGAIN = 6.0, 15.0, 700.0, 50_000.0, 30.0
TIMES = 5
_ACCOUNT_ID = 77
# Once in so many rows: a cell that only the csv module reads as it was meant.
ODD_EVERY = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.size", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--skip-entering", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plain, odd = Path(folder) / "plain.csv", Path(folder) / "odd.csv"
        write(plain, given.rows)
        write(odd, given.rows, odd_every=ODD_EVERY)
        good = _told("check, fast path", plain, plain, MOST_FAST)
        good &= _told("check, tolerant path", odd, plain, MOST_TOLERANT)
        if not given.skip_entering:
            good &= _entered(plain, Path(folder) / "ledger.sqlite3", given.rows)
    return 0 if good else 1


def _sink(path: Path) -> None:
    pl.scan_csv(path, infer_schema=False).sink_parquet(path.with_suffix(".parquet"))


def _checked(path: Path) -> tuple[float, float]:
    """Seconds and the highest memory in MiB of `callimport check`, as it is once pip has installed it."""
    command = [sys.executable, "-m", "callimport"]
    # Once over a few rows: what pip compiles when it installs is compiled.
    few = path.parent / "few.csv"
    write(few, 10)
    subprocess.run(
        [*command, "check", str(few), "--quiet", "--json"], cwd=ROOT, env=installed(), stdout=subprocess.DEVNULL
    )
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "check", str(path), "--quiet", "--json"], cwd=ROOT, env=installed(), stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"check of {path} ended with status {status}")
    return time.perf_counter() - began, used.ru_maxrss / 1024


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _told(what: str, path: Path, sunk: Path, most: float) -> bool:
    """Each is done several times, in turn, as no machine is of one mind all the time; the median counts."""
    sinks, checks, peaks = [], [], []
    for _ in range(TIMES):
        sinks.append(_seconds(lambda: _sink(sunk)))
        seconds, mebibytes = _checked(path)
        checks.append(seconds)
        peaks.append(mebibytes)
    seconds, sink_seconds, highest = median(checks), median(sinks), max(peaks)
    ratio = seconds / sink_seconds
    print(
        f"{what}: {seconds:.2f} s ({min(checks):.2f} to {max(checks):.2f}), {ratio:.1f} × the {sink_seconds:.2f} s "
        f"({min(sinks):.2f} to {max(sinks):.2f}) of Polars (at most {most:g}), {highest:.0f} MiB (at most {MOST_MIB:g})"
    )
    return ratio <= most and highest <= MOST_MIB


def _entered(source: Path, place: Path, rows: int) -> bool:
    clock = models.Clock(wall=lambda: datetime.now(UTC), monotonic=time.monotonic)
    binding = Binding("benchmark.example", models.Account(_ACCOUNT_ID, "Benchmark"))
    with closing(Ledger.open(place, clock, binding)) as ledger, Staging(place.parent) as area:
        ledger.start_run("first")
        batch, read = _read(source, area)
        calls = [part.planned for part in read.parts()]
        seconds = _seconds(lambda: ledger.enter("first", _planned(ledger, batch, calls, area)))
        ledger.start_run("second")

        def enter_again() -> None:
            _, again = _read(source, area)
            ledger.enter("second", _planned(ledger, batch, (part.planned for part in again.parts()), area))

        seconds_again = _seconds(enter_again)
    print(f"planning and entering: {rows / seconds:,.0f} calls/s (at least {LEAST_CALLS_A_SECOND:,.0f})")
    print(f"again, with reading: {seconds_again:.1f} s (at most {LONGEST_AGAIN:g} for 1,000,000)")
    return rows / seconds >= LEAST_CALLS_A_SECOND and seconds_again <= LONGEST_AGAIN * rows / 1_000_000


def _read(source: Path, area: Staging) -> tuple[models.Batch, Resolution]:
    inputs = Inputs(settings.Settings(files=(str(source),)), datetime.now(UTC), area)
    for _ in inputs.staged.stage():
        pass
    resolution = inputs.resolution()
    resolution.account_id = _ACCOUNT_ID
    return inputs.batch, resolution


def _planned(ledger: Ledger, batch: models.Batch, calls: Iterable[pl.DataFrame], area: Staging) -> Plan:
    its = PlanSettings(batch, _ACCOUNT_ID, datetime.now(UTC))
    planner, known = Planner(its, area.partitions(), area.partitions(), compares=False), ledger.known_calls()
    for some in calls:
        planner.see(some, known.view(some))
    return planner.plan(InQuestion().rows(()))


if __name__ == "__main__":
    sys.exit(main())
