"""callimport doctor: every check says that all is well, or what to do; one that fails keeps none of the others back."""

import json
import shutil
import stat
from collections import deque, namedtuple
from collections.abc import Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from rich.console import Console

from callimport import importer, report
from callimport.cli import doctor_checks
from callimport.cli.doctor_checks import Check, Examined, State
from callimport.core import errors, models, privacy
from callimport.core.settings import Settings
from callimport.crm import handshake
from callimport.crm.client import Destination
from callimport.ledger import locking
from tests import making, rehearsal
from tests.fake_crm import BASE_URL, TOKEN, FakeCrm, Line, Reply, reply
from tests.rehearsal import callimport

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BODY = {"data": [{"id": 77, "name": "Garage Tremblay", "users": [{"id": 101}, {"id": 102}]}]}
WELL = (("Date", format_datetime(NOW, usegmt=True)), ("X-RateLimit-Limit", "200"), ("X-RateLimit-Remaining", "199"))
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("CALLIMPORT_TOKEN", TOKEN)
    monkeypatch.setattr(doctor_checks, "MOUNTS", tmp_path / "no mounts are told")
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    return Settings(files=(), destination=BASE_URL, state_dir=state)


def _examined(settings: Settings, crm: FakeCrm) -> Examined:
    @asynccontextmanager
    async def connect(base_url: str, token: privacy.Secret, *, connections: int) -> Any:
        there: Destination
        async with crm.reached(base_url, connections=connections) as there:
            yield there

    talk = report.Talk(Console(quiet=True), lambda: NOW)
    tools = importer.Tools(models.Clock(lambda: NOW, lambda: 0.0), talk, hears_signals=False, connect=connect)
    return anyio.run(doctor_checks.examine, settings, tools)


def _answers(body: object = BODY, status: int = 200, headers: Any = WELL) -> FakeCrm:
    return FakeCrm(account=lambda request: reply(status, body, headers), answer=lambda request: _asked(body, headers))


def _asked(body: object, headers: Any) -> Reply:
    return reply(200, body, headers)


def _check(examined: Examined, name: str) -> Check:
    return next(check for check in examined.checks if check.name == name)


def test_where_all_is_well_every_line_says_so(settings: Settings) -> None:
    crm = _answers()
    examined = _examined(settings, crm)
    states = {check.name: check.state for check in examined.checks}
    # The key of the tests is no JWT, and there is no ledger yet.
    assert {name for name, state in states.items() if state is not State.OK} == {"key"}
    assert set(states) == {
        "key", "answer", "encryption", "limit", "clock", "account", "users", "state folder", "disk", "file system",
        "ledger",
    }  # fmt: skip
    assert examined.exit_code == 0
    assert len(crm.received) == 1
    assert _check(examined, "users").told == "2 active"
    assert _check(examined, "limit").told == "x-ratelimit-limit 200, x-ratelimit-remaining 199"
    assert TOKEN not in json.dumps(examined.for_machines())


def test_a_key_of_the_crms_shape_is_known_as_such(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLIMPORT_TOKEN", "eyJ0eXAi.eyJhdWQi.c2lnbmF0dXJl")
    key = _check(_examined(settings, _answers()), "key")
    assert key.state is State.OK
    assert "eyJ" not in key.told


@pytest.mark.parametrize(
    ("seconds", "state", "says"),
    [
        (0, State.OK, "within 1 s"),
        (-20, State.OK, "within 20 s"),
        (90, State.LOOK, "90 s behind"),
        (-90, State.LOOK, "90 s ahead of"),
        (3600, State.WRONG, "3,600 s behind"),
    ],
)
def test_a_clock_that_is_off_is_told(settings: Settings, seconds: int, state: State, says: str) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    examined = _examined(settings, _answers(headers=(("Date", date),)))
    assert _check(examined, "clock").state is state
    assert says in _check(examined, "clock").told
    assert examined.exit_code == (1 if state is State.WRONG else 0)


def test_what_the_crm_does_not_tell_is_no_fault(settings: Settings) -> None:
    examined = _examined(settings, _answers({"data": {"id": 77, "name": "Garage"}}, headers=(("Date", "yesterday"),)))
    assert _check(examined, "clock").state is State.LOOK
    assert _check(examined, "users").state is State.LOOK
    assert "200 requests a minute" in _check(examined, "limit").told
    assert examined.exit_code == 0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: _only(reply(401, {"message": "Unauthenticated."}, WELL)), "refused the key"),
        (lambda: _only(reply(403, {}, WELL)), "403"),
        (lambda: _only(reply(429, {}, WELL)), "429"),
        (lambda: _only(reply(500, {}, WELL)), "500"),
        (lambda: _only(reply(200, b"<html>log in</html>", WELL)), "web page"),
        (lambda: FakeCrm(lines=_lines(Line.REFUSED)), "refused"),
        (lambda: FakeCrm(lines=_lines(Line.DEAF)), "any proxy"),
    ],
)
def test_a_crm_that_gives_no_answer_is_told_and_the_rest_is_looked_at(
    settings: Settings, make: Callable[[], FakeCrm], says: str
) -> None:
    examined = _examined(settings, make())
    answer = _check(examined, "answer")
    assert (answer.state, examined.exit_code) == (State.WRONG, 1)
    assert says in answer.told
    assert _check(examined, "disk").state is State.OK
    assert TOKEN not in json.dumps(examined.for_machines())


def _only(answer: Reply) -> FakeCrm:
    return FakeCrm(answer=lambda request: answer)


def _lines(*lines: Line) -> Any:
    return deque(lines)


class Tls:
    """What httpcore says of a connection."""

    def get_extra_info(self, info: str) -> Any:
        return self if info == "ssl_object" else None

    def version(self) -> str:
        return "TLSv1.3"


def test_the_encryption_is_told(settings: Settings) -> None:
    look = handshake.Look()
    look(httpx.Response(200, extensions={"network_stream": Tls()}))
    assert look.seen["tls"] == "TLSv1.3"
    assert _check(_examined(settings, _answers()), "encryption").told.startswith("none")


def test_a_redirect_is_named_and_not_followed(settings: Settings) -> None:
    crm = _only(reply(302, None, [*WELL, ("Location", "https://login.example/?next=secret-7")]))
    examined = _examined(settings, crm)
    assert "login.example" in _check(examined, "redirect").told
    assert "secret-7" not in json.dumps(examined.for_machines())
    assert len(crm.received) == 1


@pytest.mark.parametrize(("location", "says"), [("/login", "another path"), ("https://[", "an address that is none")])
def test_a_redirect_to_nowhere_in_particular_is_told_too(settings: Settings, location: str, says: str) -> None:
    examined = _examined(settings, _only(reply(302, None, [("Location", location)])))
    assert says in _check(examined, "redirect").told


def test_a_key_to_several_accounts_asks_for_one(settings: Settings) -> None:
    body = {"data": [{"id": 77, "name": "Garage A"}, {"id": 78, "name": "Garage B"}]}
    examined = _examined(settings, _answers(body))
    assert _check(examined, "account").state is State.WRONG
    assert examined.exit_code == 2
    assert _check(_examined(replace(settings, account="78"), _answers(body)), "account").told == "78 (Garage B)"


@pytest.mark.parametrize("named", [None, "nowhere"])
def test_without_a_destination_this_machine_is_looked_at_all_the_same(settings: Settings, named: str | None) -> None:
    examined = _examined(replace(settings, destination=named), FakeCrm())
    assert _check(examined, "destination").state is State.WRONG
    assert _check(examined, "state folder").state is State.OK
    assert examined.exit_code == 2


def test_without_a_key_it_is_said_how_to_give_one(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALLIMPORT_TOKEN")
    assert "CALLIMPORT_TOKEN" in _check(_examined(settings, FakeCrm()), "destination").told


def test_a_state_folder_that_others_can_read_is_told(settings: Settings) -> None:
    assert settings.state_dir is not None
    settings.state_dir.chmod(0o755)
    assert "chmod 700" in _check(_examined(settings, _answers()), "state folder").told
    assert stat.S_IMODE(settings.state_dir.stat().st_mode) == 0o755


@pytest.mark.parametrize(("free", "state"), [(10**7, State.WRONG), (5 * 10**8, State.LOOK), (10**11, State.OK)])
def test_a_disk_that_fills_up_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, free: int, state: State
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**12, 0, free))
    assert _check(_examined(settings, _answers()), "disk").state is state


MOUNTS = "/dev/sda1 / ext4 rw 0 0\nnas:/home /home nfs4 rw 0 0\n/dev/sdb /home/a\\040b xfs rw 0 0\nbroken\n"


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib", "ext4"),
        ("/home/me/state", "nfs4"),
        ("/home", "nfs4"),
        ("/home/a b/state", "xfs"),
        ("/homes", "ext4"),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_the_nearest_mount(folder: str, kind: str) -> None:
    assert doctor_checks.file_system_of(Path(folder), MOUNTS) == kind
    assert doctor_checks.file_system_of(Path(folder), "") is None


@pytest.mark.parametrize(
    ("kind", "state"), [("ext4", State.OK), ("nfs4", State.LOOK), ("cifs", State.LOOK), ("fuse.sshfs", State.LOOK)]
)
def test_a_ledger_on_a_network_is_warned_of(settings: Settings, tmp_path: Path, kind: str, state: State) -> None:
    doctor_checks.MOUNTS.write_text(f"it / {kind} rw 0 0\n")
    assert _check(_examined(settings, _answers()), "file system").state is state


def _ledger(folder: Path, settings: Settings) -> Settings:
    path = folder / "ledger.sqlite3"
    with closing(making.ledger(path)) as ledger:
        making.enter(ledger, making.batch(), making.call())
    return replace(settings, ledger=path)


def test_a_sound_ledger_is_said_to_be_so(settings: Settings, tmp_path: Path) -> None:
    told = _check(_examined(_ledger(tmp_path, settings), _answers()), "ledger")
    assert told.state is State.OK
    assert "sound" in told.told
    assert "1 call," in told.told


def test_a_damaged_ledger_is_told(settings: Settings, tmp_path: Path) -> None:
    named = _ledger(tmp_path, settings)
    assert named.ledger is not None
    content = bytearray(named.ledger.read_bytes())
    content[4096 * 3 : 4096 * 30] = b"\xff" * (4096 * 27)
    named.ledger.write_bytes(content)
    examined = _examined(named, _answers())
    assert _check(examined, "ledger").state is State.WRONG
    assert "backup" in _check(examined, "ledger").told
    assert examined.exit_code == 1


def test_another_accounts_ledger_is_told(settings: Settings, tmp_path: Path) -> None:
    named = _ledger(tmp_path, settings)
    examined = _examined(named, _answers({"data": [{"id": 78, "name": "Another"}]}))
    assert (_check(examined, "ledger").state, examined.exit_code) == (State.WRONG, 2)


def test_a_ledger_that_a_run_holds_is_left_alone(settings: Settings, tmp_path: Path) -> None:
    named = _ledger(tmp_path, settings)
    assert named.ledger is not None
    with locking.held(locking.beside(named.ledger, "lock")):
        told = _check(_examined(named, _answers()), "ledger")
    assert (told.state, "held by a run" in told.told) == (State.OK, True)


def test_the_rehearsal_crm_is_found_well_and_gets_one_read(tmp_path: Path) -> None:
    with rehearsal.crm(tmp_path / "state") as crm:
        ended = callimport("doctor", "--destination", "sandbox", "--json", state=crm.state)
        checks = {check["name"]: check for check in json.loads(ended.out)["checks"]}
        assert ended.code == 0, ended.said
        assert {name for name, check in checks.items() if check["state"] == "wrong"} == set()
        assert checks["key"]["state"] == "ok"
        assert "x-ratelimit-limit 200" in checks["limit"]["told"]
        assert crm.address["token"] not in ended.said
        assert crm.ask("counts")["requests"] == 1
        shown = callimport("doctor", "--destination", "sandbox", state=crm.state)
        assert all(line.split()[0] in ("ok", "look") for line in shown.out.splitlines())


def test_every_error_ends_with_its_own_code() -> None:
    wrong = [
        Check("a", State.WRONG, "", errors.ExitCode.STOPPED),
        Check("b", State.WRONG, "", errors.ExitCode.USAGE),
        Check("c", State.OK, ""),
    ]
    assert Examined(tuple(wrong)).exit_code == 2
    assert Examined(tuple(wrong[:1])).exit_code == 1
    assert Examined(()).exit_code == 0
