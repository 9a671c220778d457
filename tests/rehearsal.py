"""The real command against the real rehearsal CRM: processes, HTTP and SQLite, nothing in between."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_data"
COLUMNS = (
    "call_id", "lead_id", "direction", "status", "started_at", "duration_seconds", "customer_phone", "agent_id",
    "description",
)  # fmt: skip
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        return dict(json.loads(self.out))

    @property
    def said(self) -> str:
        return self.out + self.err


@dataclass(frozen=True, slots=True)
class Crm:
    """A rehearsal CRM that is running, and the state folder it shares with the importer."""

    state: Path
    address: dict[str, Any]

    def ask(self, what: str) -> Any:
        return httpx.get(f"{self.address['control_url']}/{what}", trust_env=False).json()

    def stored(self) -> list[dict[str, Any]]:
        return list(self.ask("communications")["data"])

    def creates(self) -> int:
        return int(self.ask("counts")["by_kind"].get("POST /communications", 0))

    def run(self, *arguments: str | Path, **environment: Any) -> Ended:
        return callimport("run", *arguments, "--destination", "sandbox", "--json", state=self.state, **environment)

    def start(self, *arguments: str | Path, **environment: Any) -> subprocess.Popen[str]:
        return started("run", *arguments, "--destination", "sandbox", "--json", state=self.state, **environment)

    def wait_for_creates(self, count: int) -> None:
        wait_until(lambda: self.creates() >= count)


@contextmanager
def crm(state: Path, *options: str, **environment: Any) -> Iterator[Crm]:
    """A rehearsal CRM for the length of the block. Started past the command line, which loads the importer."""
    address = state / "sandbox.json"
    process = _process("callimport.sandbox", "--quiet", "--address-file", address, *options, environment=environment)
    try:
        wait_until(lambda: address.exists() or process.poll() is not None)
        yield Crm(state, json.loads(address.read_text()))
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_SECONDS)


def callimport(*arguments: str | Path, state: Path, cwd: Path = ROOT, **environment: Any) -> Ended:
    process = started(*arguments, state=state, cwd=cwd, **environment)
    try:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ended(process.returncode, out, err)


def started(
    *arguments: str | Path, state: Path, cwd: Path = ROOT, stdout: Any = subprocess.PIPE, **environment: str
) -> subprocess.Popen[str]:
    """The command as a process of its own, as a user has it installed: with nothing of the developer's."""
    its = {"CALLIMPORT_STATE_DIR": str(state), "NO_COLOR": "1", **environment}
    return _process("callimport", *arguments, environment=its, cwd=cwd, stdout=stdout)


def _process(
    module: str,
    *arguments: str | Path,
    environment: dict[str, str],
    cwd: Path = ROOT,
    stdout: Any = subprocess.PIPE,
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=cwd,
        env={**installed(), **environment},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def installed() -> dict[str, str]:
    """The environment of a process that has what pip installs for a user: no settings of the developer's, none of the
    libraries of tests (pandera imports all of hypothesis where it finds it), and modules that are compiled."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CALLIMPORT_", "PYTHON"))}
    stand_ins = Path(__file__).parent / "installed"
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join([str(stand_ins), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONPYCACHEPREFIX": str(ROOT / "build" / "compiled"),
    }


def wait_until(true: Any) -> None:
    """Look again and again, for a minute at most: for things that other processes do in their own time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come true within a minute")
        time.sleep(0.02)


def calls(count: int, **changes: str) -> list[dict[str, str]]:
    """`count` sound rows in the canonical columns, no two of them alike; leads 5001 to 5018 of the built-in seed."""
    first = datetime(2024, 5, 1, 9, 0, tzinfo=timezone(timedelta(hours=-4)))
    return [
        {
            "call_id": f"call-{number}",
            "lead_id": str(5001 + number % 18),
            "direction": "outgoing" if number % 2 else "incoming",
            "status": "answered",
            "started_at": (first + timedelta(minutes=7 * number)).isoformat(),
            "duration_seconds": str(30 + number % 300),
            "customer_phone": f"+1514555{100 + number % 100:04}",
            "agent_id": str(101 + number % 4),
            "description": f"Essai routier nº {number}",
            **changes,
        }
        for number in range(count)
    ]


def write_csv(path: Path, rows: Sequence[dict[str, str]], columns: Sequence[str] = COLUMNS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def adds_up(summary: dict[str, Any]) -> bool:
    """Conservation, from the outside: nothing is dropped silently."""
    rows, calls = summary["rows"], summary["calls"]
    endings = sum(count for name, count in calls.items() if name not in ("total", "carried"))
    return bool(
        rows["read"] == rows["joined"] + rows["dropped"] + rows["rejected"] + rows["calls"]
        and calls["total"] == rows["calls"] + calls["carried"] == endings
    )
