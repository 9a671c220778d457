"""Faults of the environment end in one line that names them, never in a traceback. Each test runs a real process."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callimport.core import errors, settings
from callimport.profiles import profile
from tests import rehearsal
from tests.fuzz import signals
from tests.rehearsal import Crm, Ended, callimport, calls, write_csv

FAST = ("--rate", "60000/min")
ELSEWHERE = ("--destination", "https://crm.invalid/v2")
KEY: dict[str, Any] = {"CALLIMPORT_TOKEN": "a.b.c"}
SECRET = "hunter2"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("files") / "calls.csv", calls(3))


@pytest.fixture
def slow_crm(tmp_path: Path) -> Iterator[Crm]:
    with rehearsal.crm(tmp_path / "state", "--limit", "100000", "--latency-ms", "30") as running:
        yield running


def _assert_refused(ended: Ended, code: int, says: str) -> None:
    """Assert that stderr has one line, and that stdout has one JSON object with the same message."""
    assert ended.code == ended.summary["exit_code"] == code, ended.said
    assert says in ended.summary["error"]
    assert ended.err == f"error: {ended.summary['error']}\n"
    assert SECRET not in ended.said


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"HTTPS_PROXY": f"socks5://user:{SECRET}@127.0.0.1:9"}, "the proxy in HTTPS_PROXY"),
        ({"SSL_CERT_FILE": "/dev/null"}, "SSL_CERT_FILE=/dev/null"),
        ({"SSLKEYLOGFILE": "/dev/null/keys"}, "SSLKEYLOGFILE=/dev/null/keys"),
    ],
)
def test_a_variable_that_blocks_the_crm_is_named(
    source: Path, tmp_path: Path, variables: dict[str, Any], says: str
) -> None:
    _assert_refused(
        callimport("run", source, "--quiet", "--json", *ELSEWHERE, state=tmp_path, **KEY, **variables), 2, says
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", f"http://user:{SECRET}@127.0.0.1:99999"), ("https_proxy", f"http://user:{SECRET}@[::1")],
)
def test_a_proxy_that_cannot_be_is_named_and_its_password_is_not(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(errors.ConfigError, match=f"the proxy in {name} cannot be used") as caught:
        settings.check_proxies()
    assert SECRET not in str(caught.value)


def test_a_panic_while_libraries_are_loaded_is_told_in_one_line(source: Path, tmp_path: Path) -> None:
    """As where a process may open few files. Rust writes pages to file handle 2 by itself."""
    ended = callimport("check", source, "--json", state=tmp_path, POLARS_MAX_THREADS="0")
    assert ended.code == ended.summary["exit_code"] == 1
    assert ended.err == f"error: {ended.summary['error']}\n"


@pytest.mark.parametrize("options", [(), ("--max-duration", "0.1s")])
def test_an_end_does_not_wait_for_a_look_up_of_a_name(source: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import pathlib, socket, threading\n"
        "def never(*_, **__):\n"
        f"    pathlib.Path({str(tmp_path)!r}, 'asked').touch()\n"
        "    threading.Event().wait()\n"
        "socket.getaddrinfo = never\n"
    )
    environment: dict[str, Any] = {**rehearsal.installed(), **KEY}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environment["PYTHONPATH"]])
    process = rehearsal.started(
        "run", source, "--quiet", "--json", *options, *ELSEWHERE, state=tmp_path / "state", **environment
    )
    rehearsal.wait_until(lambda: (tmp_path / "asked").exists() or process.poll() is not None)
    if not options:
        process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=rehearsal.PATIENCE_SECONDS)
    assert process.returncode == json.loads(out)["exit_code"] == (7 if options else 143)


def test_a_file_of_settings_without_end_is_not_read_to_its_end(source: Path, tmp_path: Path) -> None:
    ended = callimport("run", source, "--quiet", "--json", "--config", "/dev/zero", *ELSEWHERE, state=tmp_path)
    _assert_refused(ended, 2, "settings file /dev/zero cannot be read: it is larger than 1 MB")
    with pytest.raises(errors.ConfigError, match="profile /dev/zero cannot be read: it is larger than 1 MB"):
        profile.load("/dev/zero")


def test_a_closed_standard_stream_causes_no_traceback(source: Path, tmp_path: Path) -> None:
    """A closed stdout is refused. A file that is opened later must not take the number of a closed stream."""
    closed = {(0, 2): 0, (1,): 2}
    for numbers, code in closed.items():
        closing = " ".join(f"{number}>&-" for number in numbers)
        process = subprocess.run(
            ["/bin/sh", "-c", f'exec "$0" "$@" {closing}', sys.executable, "-m", "callimport", "check", str(source)],
            env={**rehearsal.installed(), "CALLIMPORT_STATE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=rehearsal.PATIENCE_SECONDS,
        )
        assert process.returncode == code, process.stderr
        assert "Traceback" not in process.stderr
        assert ("standard output is closed" in process.stderr) is (numbers == (1,))


def test_a_full_disk_under_stdout_is_reported_once(source: Path, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        process = rehearsal.started("check", source, "--json", "--quiet", state=tmp_path, stdout=full)
        _, err = process.communicate(timeout=rehearsal.PATIENCE_SECONDS)
    assert process.returncode == 1
    assert len(err.splitlines()) == 1, err


def test_an_impossible_width_of_the_terminal_hides_no_message(tmp_path: Path) -> None:
    ended = callimport("status", state=tmp_path, COLUMNS="0")
    assert (ended.code, len(ended.err.splitlines())) == (2, 1), ended.said


def test_a_program_that_cannot_be_loaded_says_so_in_one_line(source: Path, tmp_path: Path) -> None:
    """Such as with too little memory, or a damaged installation."""
    (tmp_path / "click.py").write_text("raise MemoryError")
    environment: dict[str, Any] = {**rehearsal.installed(), "PYTHONPATH": str(tmp_path)}
    process = rehearsal.started("check", source, "--json", state=tmp_path, **environment)
    out, err = process.communicate(timeout=rehearsal.PATIENCE_SECONDS)
    assert process.returncode == json.loads(out)["exit_code"] == 1
    assert err == f"error: {json.loads(out)['error']}\n"
    assert "memory" in err


def test_a_run_whose_ledger_is_lost_sends_nothing_more(slow_crm: Crm, tmp_path: Path) -> None:
    """SQLite goes on writing to a file that was deleted, and the next run would send the same calls once more."""
    source = write_csv(tmp_path / "calls.csv", calls(300))
    running = slow_crm.start(source, *FAST, "--quiet")
    slow_crm.wait_for_creates(20)
    (ledger,) = (slow_crm.state / "ledgers").glob("*.sqlite3")
    ledger.unlink()
    _, err = running.communicate(timeout=rehearsal.PATIENCE_SECONDS)
    assert running.returncode == 1
    assert "Traceback" not in err
    assert str(ledger) in err
    # Some calls were on their way, or were taken while the file was being removed.
    assert slow_crm.creates() < 100


def test_signals_at_any_moment_end_each_command_cleanly(tmp_path: Path) -> None:
    """A small share of `python -m tests.fuzz.signals`."""
    assert signals.play(tmp_path, count=2, seed=5) == []


@pytest.mark.parametrize("option", ["--token-file", "--leads"])
def test_one_signal_ends_the_wait_for_a_pipe_that_nobody_writes_to(source: Path, tmp_path: Path, option: str) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    process = rehearsal.started(
        "run", source, "--quiet", "--json", option, tmp_path / "pipe", *ELSEWHERE, state=tmp_path / "state"
    )
    writing: list[int] = []
    rehearsal.wait_until(lambda: process.poll() is not None or _opened(tmp_path / "pipe", writing))
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=rehearsal.PATIENCE_SECONDS)
    for each in writing:
        os.close(each)
    assert "Traceback" not in err
    # A leads file must not be a pipe, so it is refused at once.
    assert process.returncode == json.loads(out)["exit_code"] == (5 if option == "--leads" else 143)


def _opened(pipe: Path, writing: list[int]) -> bool:
    """Open the pipe for writing, and write nothing. This succeeds once the command waits for the pipe."""
    with contextlib.suppress(OSError):
        writing.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    return bool(writing)
