"""Recordings of a size under the rate: memory flat; kill -9 in the middle; each ends at its own call, bytes identical.

The real command against the real rehearsal CRM, which keeps of each upload its SHA-256 and how often it came. The run
is killed as often as asked, evenly over the uploads, and typed again. Its memory is looked at from its first upload on;
growth is the most it ever had above what it had then, so that files kept would show.

Windows are six seconds long instead of sixty, limit and rate as the vendor's, so that a thousand take a minute. Exit
code 1 on a finding.

Measured on two cores that had other work (load 5): a thousand of 2 MB, their calls and three kills in 70 seconds,
no upload twice, 141 MB of memory at the first upload and no more at any later one.
"""

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import rehearsal
from tests.rehearsal import Crm

LIMIT, RATE, WINDOW_SECONDS = 200, 190, 6
MOST_GROWTH_MB = 12.0
WORKERS = 4
LONGEST_RUN_SECONDS = 3600.0
_LOOK_EVERY_SECONDS = 0.1


@dataclass(slots=True)
class Seen:
    """What was seen of one life of the command."""

    code: int | None = None
    growth_mb: float = 0.0
    at_first_mb: float = 0.0


@dataclass(slots=True)
class Figures:
    lives: list[Seen] = field(default_factory=list)
    uploads: int = 0
    again: int = 0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--megabytes", type=float, default=2.0)
    parser.add_argument("--kills", type=int, default=3)
    asked = parser.parse_args(given)
    with tempfile.TemporaryDirectory() as folder:
        figures = _measured(Path(folder), asked.count, round(asked.megabytes * 1_000_000), asked.kills)
    growth = max(life.growth_mb for life in figures.lives)
    print(
        f"{asked.count} recordings of {asked.megabytes:g} MB, {asked.kills} kills: {figures.uploads} uploads, "
        f"{figures.again} of them again after a kill; {figures.seconds:.0f} s; memory at the first upload "
        f"{max(life.at_first_mb for life in figures.lives):.0f} MB, at most {growth:.1f} MB more; "
        f"{len(figures.findings)} findings"
    )
    for finding in figures.findings:
        print(f"  {finding}")
    return 1 if figures.findings else 0


def _measured(place: Path, count: int, size: int, kills: int) -> Figures:
    folder = place / "recordings"
    expected = _make_recordings(folder, count, size)
    rows = rehearsal.calls(count)
    for number, row in enumerate(rows):
        row["recording"] = f"{number}.wav"
    source = rehearsal.write_csv(place / "calls.csv", rows, (*rehearsal.COLUMNS, "recording"))
    figures = Figures()
    with rehearsal.crm(place / "state", "--limit", str(LIMIT), "--window", str(WINDOW_SECONDS)) as crm:
        began = time.monotonic()
        for kill in range(kills + 1):
            # The last life goes to its end.
            until = count * (kill + 1) // (kills + 1) if kill < kills else None
            figures.lives.append(_life(crm, source, folder, until))
        figures.seconds = time.monotonic() - began
        _judge(crm, expected, figures, kills)
    return figures


def _make_recordings(folder: Path, count: int, size: int) -> list[str]:
    """WAV files, no two alike; the SHA-256 of each."""
    hashes = []
    for number in range(count):
        path = folder / f"{number % 7}" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = b"RIFF\0\0\0\0WAVE" + random.Random(number).randbytes(size - 12)
        path.write_bytes(content)
        hashes.append(hashlib.sha256(content).hexdigest())
    return hashes


def _life(crm: Crm, source: Path, folder: Path, until: int | None) -> Seen:
    """One start of the command, killed once the CRM has `until` recordings, or waited for."""
    process = crm.start(source, "--recordings", folder, "--rate", f"{RATE}/{WINDOW_SECONDS}s", "--quiet")
    seen, deadline = Seen(), time.monotonic() + LONGEST_RUN_SECONDS
    before = crm.ask("counts")["recordings"]
    while process.poll() is None and time.monotonic() < deadline:
        counts = crm.ask("counts")
        if counts["recordings"] > before:
            _weigh(process, seen)
        if until is not None and counts["recordings"] >= until:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(_LOOK_EVERY_SECONDS)
    process.communicate(timeout=rehearsal.PATIENCE_SECONDS)
    seen.code = process.returncode
    return seen


def _weigh(process: subprocess.Popen[str], seen: Seen) -> None:
    """Its resident memory, where the system tells (Linux)."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    sizes = [int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS:")]
    if sizes:
        seen.at_first_mb = seen.at_first_mb or sizes[0]
        seen.growth_mb = max(seen.growth_mb, sizes[0] - seen.at_first_mb)


def _judge(crm: Crm, expected: list[str], figures: Figures, kills: int) -> None:
    kept: list[dict[str, Any]] = [one for one in crm.stored() if "Essai routier" in (one["description"] or "")]
    findings = figures.findings
    if len(kept) != len(expected):
        findings.append(f"{len(kept)} calls are there instead of {len(expected)}")
    for one in kept:
        number, recording = int(one["description"].split("nº ")[1].split()[0]), one["recording"]
        if recording is None or recording["sha256"] != expected[number]:
            findings.append(f"call {number} has {recording} instead of its own recording")
            continue
        figures.uploads += recording["uploads"]
    figures.again = figures.uploads - len(expected)
    if figures.again > kills * WORKERS:
        findings.append(f"{figures.again} uploads too many: a kill costs {WORKERS} at most")
    counts = crm.ask("counts")
    if counts["rate_limited"] or counts["max_in_any_window"] > LIMIT:
        findings.append(
            f"the limit was met: {counts['rate_limited']} of 429, {counts['max_in_any_window']} in a window"
        )
    if figures.lives[-1].code != 0:
        findings.append(f"the last run ended with {figures.lives[-1].code}")
    growth = max(life.growth_mb for life in figures.lives)
    if growth > MOST_GROWTH_MB:
        findings.append(f"memory grew by {growth:.1f} MB, more than {MOST_GROWTH_MB:g}")


if __name__ == "__main__":
    sys.exit(main())
