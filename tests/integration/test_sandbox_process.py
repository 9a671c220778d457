"""The rehearsal CRM as a process: ports, address file, signals, and complaints a person can act on."""

import contextlib
import json
import pathlib
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from callimport.sandbox import __main__, server
from tests import rehearsal

PATIENCE_SECONDS = 20


@contextlib.contextmanager
def running(
    address_file: pathlib.Path, *options: str, **environment: str
) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A sandbox that is ready, and what it said; killed at the end if nobody stopped it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "callimport.sandbox", "--address-file", str(address_file), *options],
        cwd=rehearsal.ROOT,
        env={**rehearsal.installed(), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            # Ends with the fourth line, or with the process: nothing here can wait for ever.
            greeting = "".join(process.stdout.readline() for _ in range(4))
            yield process, greeting
        finally:
            process.kill()


def complaint(tmp_path: pathlib.Path, *options: str) -> str:
    """The one line a sandbox that cannot start leaves on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "callimport.sandbox", "--address-file", str(tmp_path / "a.json"), *options],
        cwd=rehearsal.ROOT,
        env=rehearsal.installed(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "a.json").exists()
    return done.stderr


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_process_serves_both_ports_and_stops_clean(tmp_path: pathlib.Path, stop: signal.Signals) -> None:
    path = tmp_path / "sandbox.json"
    with running(path) as (process, greeting):
        here = json.loads(path.read_text())
        assert here["pid"] == process.pid
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(here["token"]) > 900
        assert len(str(here["account_id"])) >= 6
        headers = {"Authorization": f"Bearer {here['token']}", "Accept": "application/json"}
        with httpx.Client(headers=headers, trust_env=False) as client:
            account = client.get(f"{here['url']}/account").json()["data"][0]
            call = {"lead_id": 5001, "method": "phone", "type": "incoming"}
            assert client.post(f"{here['url']}/communications", json=call).json()["data"]["id"] == 42534452
            counts = client.get(f"{here['control_url']}/counts").json()
            # Stopped with a connection kept alive: it must not wait for us to hang up.
            process.send_signal(stop)
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert (account["id"], account["name"]) == (here["account_id"], here["account_name"])
        assert (counts["requests"], counts["communications"]) == (2, 1)
        assert (process.returncode, errors) == (0, "")
        assert here["token"] not in greeting
        assert str(path) in greeting
    assert not path.exists()


def test_key_and_account_can_be_fixed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "sandbox.json"
    with running(path, "--account-id", "424242", CALLIMPORT_SANDBOX_TOKEN="a-key-of-mine"):
        here = json.loads(path.read_text())
    assert (here["account_id"], here["token"]) == (424242, "a-key-of-mine")


def test_process_misbehaves_as_it_is_told(tmp_path: pathlib.Path) -> None:
    path, rules = tmp_path / "sandbox.json", tmp_path / "faults.json"
    rules.write_text('[{"kind": "commit_then_drop", "method": "POST", "nth": 1}]')
    with running(path, "--faults", str(rules), "--profile", "sloppy"):
        here = json.loads(path.read_text())
        headers = {"Authorization": f"Bearer {here['token']}", "Accept": "application/json"}
        with httpx.Client(headers=headers, trust_env=False) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                client.post(f"{here['url']}/communications", json={"lead_id": 5001})
            made = client.get(f"{here['url']}/leads/5001?include[]=communications").json()["data"]["communications"]
            told = client.get(f"{here['control_url']}/faults").json()["rules"]
            noted = client.get(f"{here['control_url']}/journal").json()["requests"][0]
    assert [one["id"] for one in made] == [42534452]
    assert told == [{"kind": "commit_then_drop", "method": "POST", "nth": 1, "asked": 1, "fired": 1}]
    assert (noted["fault"], noted["status"], noted["effect"]) == (["commit_then_drop"], None, ["CREATED 42534452"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--port", "abc"], "abc is not a port"),
        (["--limit", "0"], "0 is not a whole number from 1"),
        (["--window", "nan"], "nan is not a number"),
        (["--token", "x"], "unrecognized arguments"),
        (["--profile", "lenient"], "invalid choice: 'lenient'"),
        (["--faults", "/nowhere/faults.json"], "cannot be read: No such file or directory; give another with --faults"),
    ],
)
def test_misuse_is_a_complaint(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`main` returns 2, it does not exit: the command that calls it wants its say."""
    assert __main__.main(["--address-file", "unused.json", *options]) == 2
    line = capsys.readouterr().err
    assert words in line
    assert line.count("\n") == 1


def test_unprintable_key_is_a_complaint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CALLIMPORT_SANDBOX_TOKEN", "two words")
    assert __main__.main(["--address-file", "unused.json"]) == 2
    assert "two words" not in capsys.readouterr().err


def test_answers_are_not_held_back_for_an_acknowledgement() -> None:
    """asyncio turns Nagle's algorithm off only on sockets that name TCP; without, 40 ms are lost on each answer."""
    with server.bound(0, "--port") as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_taken_port_is_a_complaint(tmp_path: pathlib.Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = complaint(tmp_path, "--control-port", port)
    assert f"port {port} cannot be used" in line
    assert "--control-port" in line


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read"), ("{", "is not JSON"), ("{}", "has no account")]
)
def test_unfit_seed_is_a_complaint(tmp_path: pathlib.Path, content: str | None, words: str) -> None:
    path = tmp_path / "seed.json"
    if content is not None:
        path.write_text(content)
    assert words in complaint(tmp_path, "--seed", str(path))


def test_a_second_one_does_not_take_over_the_address(tmp_path: pathlib.Path) -> None:
    with rehearsal.crm(tmp_path / "state") as first:
        second = rehearsal.callimport("sandbox", state=tmp_path / "state")
        assert second.code == 2
        assert f"process {first.address['pid']}" in second.err
        assert first.ask("counts")["requests"] == 0


def test_the_importers_settings_are_not_the_rehearsal_crms(tmp_path: pathlib.Path) -> None:
    with rehearsal.crm(tmp_path / "state", CALLIMPORT_LIMIT="7") as crm:
        assert crm.ask("counts")["limit"] == 200


def test_hard_cases_and_habits_are_asked_for_by_option(tmp_path: pathlib.Path) -> None:
    with rehearsal.crm(tmp_path / "state", "--cases", "--knob", "per_page=422", "--knob", "mp3=id3") as crm:
        headers = {"Authorization": f"Bearer {crm.address['token']}", "Accept": "application/json"}
        with httpx.Client(headers=headers, base_url=crm.address["url"], trust_env=False) as client:
            assert client.get("leads/6014").json()["data"]["last_name"] == "O'Neill"
            assert client.get("leads?per_page=101").status_code == 422
        page = httpx.get(f"{crm.address['control_url']}/leads/6014", trust_env=False)
        assert "3000 communications" in page.text


def test_two_seeds_are_a_complaint(tmp_path: pathlib.Path) -> None:
    assert "leave it or --seed out" in complaint(tmp_path, "--cases", "--seed", "crm.json")
