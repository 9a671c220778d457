"""Start the program and the rehearsal CRM as processes, and stop them by their process id.

The driver knows the program by its command line only. It imports nothing of it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
# The name of the import package: the one place that changes when the package is renamed.
PACKAGE = "callimport"
TREE = (sys.executable, "-m", PACKAGE)
BASELINE = (str(ROOT / "build" / "baseline" / "bin" / "callimport"),)
LONGEST_COMMAND_SECONDS = 300.0
LONGEST_START_SECONDS = 60.0
POLL_SECONDS = 0.02
CREATE = "POST /communications"


# Every process that was started, by its id.
_started: "dict[int, subprocess.Popen[str]]" = {}


def stop_everything_on_signals() -> None:
    """Let SIGINT and SIGTERM stop every process that was started, then this one. No rehearsal CRM stays behind."""

    def stop(number: int, _: object) -> None:
        for process in list(_started.values()):
            if process.poll() is None:
                process.kill()
        os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended. `code` is negative after a signal that it did not catch."""

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any] | None:
        """Return the JSON object on stdout, or None if stdout holds none."""
        try:
            found = json.loads(self.out)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None


@dataclass(frozen=True, slots=True)
class Program:
    """A command to call, and the folder in which it keeps its state."""

    command: Sequence[str]
    folder: Path
    state: Path
    token: str = ""

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start it with no setting of the developer's and with a home folder of its own."""
        mine = {"CALLIMPORT_STATE_DIR": str(self.state), "HOME": str(self.folder), "NO_COLOR": "1", "TERM": "dumb"}
        if self.token:
            mine["CALLIMPORT_TOKEN"] = self.token
        process = subprocess.Popen(
            [*self.command, *arguments],
            cwd=self.folder,
            env=_environment() | mine,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        _started[process.pid] = process
        return process

    def run(self, *arguments: str) -> Ended:
        """Run it to its end."""
        return finish(self.start(*arguments), arguments)


def finish(process: "subprocess.Popen[str]", arguments: Sequence[str]) -> Ended:
    """Wait for the end of a started command. A command that does not end is killed, and TimeoutExpired is raised."""
    try:
        out, err = process.communicate(timeout=LONGEST_COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ended(tuple(arguments), process.returncode, out, err)


def _environment() -> dict[str, str]:
    # pandera imports all of hypothesis where it finds it. A user has no hypothesis, so a stand-in hides ours.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CALLIMPORT_", "PYTHON", "XDG_")) and name.lower() not in _PROXIES
    }
    return kept | {"PYTHONPATH": str(ROOT / "tests" / "installed"), "PYTHONPYCACHEPREFIX": str(ROOT / "build/compiled")}


_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Sandbox:
    """A running rehearsal CRM, asked over its control address."""

    def __init__(self, address: dict[str, Any], client: httpx.Client) -> None:
        self.url = str(address["url"])
        self.token = str(address["token"])
        self._client = client

    def ask(self, what: str) -> Any:
        return self._client.get(what).json()

    def post(self, what: str, body: Any) -> Any:
        """Post JSON. Raises ValueError if the CRM does not take it."""
        answer = self._client.post(what, json=body)
        if answer.status_code != httpx.codes.OK:
            raise ValueError(f"POST {what}: {answer.status_code} {answer.text}")
        return answer.json()

    def clear_faults(self) -> None:
        self._client.delete("/faults")

    def sent(self) -> dict[str, int]:
        """Return the number of requests that came so far, by method and path."""
        return {str(kind): int(count) for kind, count in self.ask("/counts")["by_kind"].items()}

    def creates(self) -> int:
        return self.sent().get(CREATE, 0)


@contextmanager
def sandbox(command: Sequence[str], folder: Path, state: Path, *options: str) -> Iterator[Sandbox]:
    """Run a rehearsal CRM on free ports for the length of the block. It is stopped by its process id."""
    program = Program(command, folder, state)
    process = program.start("sandbox", "--quiet", *options)
    address = state / "sandbox.json"
    try:
        wait_until(lambda: address.exists() or process.poll() is not None, LONGEST_START_SECONDS)
        if process.poll() is not None:
            raise RuntimeError(f"the rehearsal CRM did not start: {process.communicate()[1].strip()}")
        told = json.loads(address.read_text("utf-8"))
        with httpx.Client(base_url=str(told["control_url"]), trust_env=False, timeout=30) as client:
            yield Sandbox(told, client)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def wait_until(is_true: Callable[[], bool], longest_seconds: float = LONGEST_COMMAND_SECONDS) -> None:
    """Ask again and again until the answer is yes. Raises TimeoutError after `longest_seconds`."""
    deadline = time.monotonic() + longest_seconds
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not come true within {longest_seconds:g} seconds")
        time.sleep(POLL_SECONDS)
