"""Request kind × outcome, seen from outside: the real command as a process against a CRM that breaks exchanges.

A cell runs one command. Requests of one kind meet one outcome: "once" (one request meets it) or "always" (all of them
do). A cell records the exit code, the calls by their endings, how many requests of that kind the CRM received, how many
communications it keeps at the end, and a verdict that follows from these. It records no message and no Python name.

Verdict words, in this order, as far as they apply:
stops, guard        exit 1, exit 8
limited             the CRM answered 429, and the run waited
in doubt, held, refused, failed, pending    calls that ended so
retried             a request was sent again; for a create: without a look at its lead in between
looked up, sent again    a create was sent again after its lead had been read
looked up           a create was sent once, and a read of its lead proved that it is stored
taken               the answer was taken as it came
not retried         the request was not sent again, and the run went on
DUPLICATE, LOST     the CRM keeps a call twice; a call counts as delivered and the CRM does not keep it

If a create, update or upload stops the run, the same command runs again against a CRM without faults: "again".

Left out, and why:
- a silent CRM, "always": 60 seconds for each try, and the same path as "once"
- 429, "always", without a pause that is too long: a run waits 15 minutes before it stops
- a connection that the CRM closes while it is idle: whether the client sees it before it sends is chance
- failures before the first byte for reads other than the account: they belong to the connection, not to the request
- the rarer statuses for reads and uploads: `outcomes_of_exceptions` records every status for every kind
- "stored" for requests other than creates: a second update or upload changes nothing
- "connection refused" and "no answer to the connection", once: nobody sees such a try, so nobody can count it. The
  refused TLS handshakes and the refused CONNECT show the same.
"""

import json
import queue
import shutil
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import rehearsal
from tests.baseline import scripted_crm
from tests.baseline.scripted_crm import (
    Before,
    Ending,
    Outcome,
    Script,
    ScriptedCrm,
    Seen,
    Sound,
    Trouble,
    World,
    answer,
)  # fmt: skip

NAME = "outcomes_on_the_wire"
LANES = 8
LONGEST_SECONDS = 420.0
COMMON = ("--rate", "60000/min", "--settle", "1", "--json")
ONE_BY_ONE = ("--concurrency", "1")
NO_LOOK = (*ONE_BY_ONE, "--existing", "send")
WAV = b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x08\0\0\0" + bytes(8)
LOST = Outcome(lambda sound: b"", Ending.FIN, stores=True)


# Outcomes


def _json(body: object) -> bytes:
    return json.dumps(body).encode()


def _status(status: int, *headers: str) -> Callable[[Sound], bytes]:
    said = {"message": f"scripted {status}", "errors": {"scripted": [f"scripted {status}"]}}
    return lambda sound: answer(status, _json(said), *headers)


def _head(sound: Sound) -> bytes:
    return sound.bytes.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def _with(change: Callable[[Any], Any]) -> Callable[[Sound], bytes]:
    """The sound answer with another body."""
    return lambda sound: answer(sound.status, _json(change(deepcopy(sound.body))))


def _of_another(body: Any) -> Any:
    """The same kind of answer about something that was not asked for, which exists nowhere."""
    shown = body.get("data")
    if isinstance(shown, dict):
        return {"data": {**shown, "id": shown.get("id", 0) + 900_000, "communications": []}}
    if isinstance(shown, list):
        return {**body, "data": [{**one, "id": one["id"] + 900_000} for one in shown]}
    return {"data": {"id": 900_000}}


def _of_the_first(body: Any) -> Any:
    """A create's answer with the id of the communication that the run created first."""
    return {"data": {**body["data"], "id": scripted_crm.FIRST_ID}}


# The answer does not say whether the write took effect.
NO_READABLE_ANSWER: dict[str, Outcome] = {
    "FIN without an answer": Outcome(lambda sound: b"", Ending.FIN),
    "RST without an answer": Outcome(lambda sound: b"", Ending.RST),
    "half a status line": Outcome(lambda sound: b"HTTP/1.1 20", Ending.FIN),
    "103, then FIN": Outcome(lambda sound: b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", Ending.FIN),
    "no HTTP at all": Outcome(lambda sound: b"SSH-2.0-OpenSSH_9.6\r\n\r\n", Ending.FIN),
}
SILENT = {"silence": Outcome(lambda sound: b"", Ending.SILENCE)}
# The write took effect, but its answer is damaged or unusual.
DONE: dict[str, Outcome] = {
    "2xx head only": Outcome(_head, Ending.FIN, stores=True),
    "2xx body cut": Outcome(lambda sound: sound.bytes[:-5], Ending.FIN, stores=True),
    "2xx unreadable JSON": Outcome(lambda sound: answer(sound.status, sound.content[:-3]), stores=True),
    "2xx without an id": Outcome(_with(lambda body: {"data": {}}), stores=True),
    "2xx empty body": Outcome(lambda sound: answer(sound.status, b""), stores=True),
    "204": Outcome(lambda sound: answer(204, b""), stores=True),
    "2xx encoded body": Outcome(lambda sound: answer(200, sound.content, "Content-Encoding: gzip"), stores=True),
    "2xx endless body": Outcome(lambda sound: answer(200, b"", length=2**40), Ending.ENDLESS, stores=True),
    "2xx about another": Outcome(_with(_of_another), stores=True),
    "2xx after 100 Continue": Outcome(lambda sound: b"HTTP/1.1 100 Continue\r\n\r\n" + sound.bytes, stores=True),
}
WEB_PAGE = {"2xx web page": Outcome(lambda sound: answer(200, b"<!DOCTYPE html><html></html>"))}
CUT_4XX = {
    "422 body cut": Outcome(lambda sound: answer(422, b'{"mes', length=60), Ending.FIN),
    "422 web page": Outcome(lambda sound: answer(422, b"<html></html>")),
}
CREATED_ANOTHER = {"2xx with the id of another call": Outcome(_with(_of_the_first), stores=True)}


def _statuses(*statuses: int) -> dict[str, Outcome]:
    return {str(status): Outcome(_status(status)) for status in statuses}


WAITS = {
    "429": Outcome(_status(429)),
    "429, Retry-After 1": Outcome(_status(429, "Retry-After: 1")),
}
TOO_LONG = {"429, Retry-After 7200": Outcome(_status(429, "Retry-After: 7200"))}
REFUSED = _statuses(400, 402, 403, 404, 409, 413, 422, 423, 451)
STOPPING = _statuses(301, 302, 303, 307, 308, 401, 405, 415, 419)
UNCLEAR = _statuses(408, 421, 425, 500, 502, 504, 520, 599, 600, 999) | {
    "503, Retry-After 1": Outcome(_status(503, "Retry-After: 1"))
}


def _stored(outcomes: dict[str, Outcome]) -> dict[str, Outcome]:
    return {f"{name}, stored": Outcome(one.data, one.ending, stores=True) for name, one in outcomes.items()}


# Kinds


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request, and the command that causes it. `prepare` runs once, and all cells start from its state.
    `once` is the number of the request that meets the outcome in a "once" cell."""

    request: str
    files: Callable[[Path], tuple[str, ...]]
    leads: int = 4
    once: int = 1
    command: str = "run"
    prepare: Callable[[Path], tuple[str, ...]] | None = None
    prepared_by: tuple[tuple[str, Outcome], ...] = ()
    follows_a_lost_create: bool = False
    lists_numbers: bool = True
    is_write: bool = False


def _calls(folder: Path, count: int, *drop: str, name: str = "calls.csv", **changes: str) -> Path:
    rows = rehearsal.calls(count)
    for number, row in enumerate(rows):
        row |= {"lead_id": str(scripted_crm.FIRST_LEAD + number), "agent_id": "101", **changes}
    columns = [one for one in (*rehearsal.COLUMNS, *changes) if one not in drop]
    kept = [{column: row[column] for column in columns} for row in rows]
    return rehearsal.write_csv(folder / name, kept, tuple(dict.fromkeys(columns)))


def _plain(folder: Path) -> tuple[str, ...]:
    return (str(_calls(folder, 4)), *NO_LOOK)


def _by_email(folder: Path) -> tuple[str, ...]:
    return (str(_calls(folder, 4, "agent_id", agent_email="luc@dealer.example")), *NO_LOOK)


def _without_leads(count: int) -> Callable[[Path], tuple[str, ...]]:
    return lambda folder: (str(_calls(folder, count, "lead_id")), "--find-leads", *NO_LOOK)


def _many(folder: Path) -> tuple[str, ...]:
    return (str(_calls(folder, 55)), *ONE_BY_ONE, "--existing", "skip")


def _changed(folder: Path) -> tuple[str, ...]:
    path = _calls(folder, 4)
    text = path.read_text("utf-8")
    for number in range(3):
        text = text.replace(f"Essai routier nº {number}", f"Rappel nº {number}")
    path.write_text(text, "utf-8")
    return (str(path), *NO_LOOK)


def _with_recordings(folder: Path) -> tuple[str, ...]:
    recordings = folder / "recordings"
    recordings.mkdir(exist_ok=True)
    rows = rehearsal.calls(3)
    for number, row in enumerate(rows):
        row |= {"lead_id": str(scripted_crm.FIRST_LEAD + number), "agent_id": "101", "recording": f"{number}.wav"}
        (recordings / f"{number}.wav").write_bytes(WAV[:-1] + bytes([number]))
    path = rehearsal.write_csv(folder / "calls.csv", rows, (*rehearsal.COLUMNS, "recording"))
    return (str(path), "--recordings", str(recordings), *NO_LOOK)


def _nothing(folder: Path) -> tuple[str, ...]:
    return ()


KINDS: dict[str, Kind] = {
    "account": Kind("account", _plain),
    "users": Kind("users", _by_email),
    "list of leads": Kind("leads", _without_leads(4)),
    "leads by number": Kind("leads by number", _without_leads(3)),
    "search": Kind("search", _without_leads(3), lists_numbers=False),
    "leads with communications": Kind("leads with communications", _many, leads=55),
    "lead, before the first call": Kind("lead", _plain),
    "lead, of a call in doubt": Kind("lead", _plain, follows_a_lost_create=True),
    "lead, by reconcile": Kind(
        "lead", _nothing, command="reconcile", prepare=_plain,
        prepared_by=(("create", LOST), ("lead", Outcome(_with(lambda body: {"data": {}})))),
    ),
    "create": Kind("create", _plain, once=2, is_write=True),
    "update": Kind("update", _changed, prepare=_plain, is_write=True),
    "upload": Kind("upload", _with_recordings, is_write=True),
}  # fmt: skip


# Cells


@dataclass(frozen=True, slots=True)
class Cell:
    """One command. With `before`, connections fail before their first byte, and `outcome` is not used."""

    kind: str
    name: str
    is_always: bool
    outcome: Outcome | None = None
    before: Before | None = None
    route: str = "plain"
    more: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.name}, {'always' if self.is_always else 'once'}"

    @property
    def is_slow(self) -> bool:
        return self.name.startswith("silence") or self.before is Before.TIMEOUT


def cells() -> list[Cell]:
    """The whole table, slow cells first."""
    found: list[Cell] = []
    for kind in KINDS:
        found += _cells_of(kind)
    return sorted(found, key=lambda one: not one.is_slow)


def _cells_of(kind: str) -> Iterable[Cell]:
    once, always = _outcomes_of(kind)
    for name, outcome in once.items():
        yield Cell(kind, name, is_always=False, outcome=outcome)
    for name, outcome in always.items():
        yield Cell(kind, name, is_always=True, outcome=outcome)
    if kind in ("account", "create", "update", "upload"):
        is_short = kind == "upload"
        for before in (Before.ALERT, Before.STRANGER) if is_short else (Before.ALERT, Before.CLOSED, Before.STRANGER):
            yield from _before(kind, before, "tls")
        some = (Before.PROXY_503, Before.PROXY_407, Before.PROXY_CLOSES)
        for before in some[:1] if is_short else some:
            yield from _before(kind, before, "proxy")
        yield Cell(kind, Before.RESET.value, is_always=False, before=Before.RESET, route="closing")
        yield Cell(kind, Before.REFUSED.value, True, before=Before.REFUSED, route="closing", more=_one_create(kind))
    if kind in ("account", "create"):
        yield Cell(kind, Before.TIMEOUT.value, True, before=Before.TIMEOUT, route="closing", more=_one_create(kind))


def _one_create(kind: str) -> tuple[str, ...]:
    """After five failed creates the run waits five minutes for the CRM: one create shows the same."""
    return ("--limit", "1") if kind == "create" else ()


def _before(kind: str, before: Before, route: str) -> Iterable[Cell]:
    for is_always in (False, True):
        # An untrusted certificate stops the run at once.
        if not (is_always and before is Before.STRANGER):
            more = _one_create(kind) if is_always else ()
            yield Cell(kind, before.value, is_always, before=before, route=route, more=more)


def _outcomes_of(kind: str) -> tuple[dict[str, Outcome], dict[str, Outcome]]:
    """What a kind meets once, and what it meets always."""
    if kind == "create":
        clear = DONE | CREATED_ANOTHER | WEB_PAGE | CUT_4XX | REFUSED | STOPPING | WAITS | TOO_LONG
        unclear = NO_READABLE_ANSWER | UNCLEAR | SILENT
        once = clear | unclear | _stored(unclear | WEB_PAGE | _statuses(302, 307))
        always = NO_READABLE_ANSWER | DONE | REFUSED | TOO_LONG | WEB_PAGE | _statuses(302, 401, 405, 408, 500, 600)
        return once, always | _stored(
            {"FIN without an answer": NO_READABLE_ANSWER["FIN without an answer"]} | _statuses(500)
        )
    some = {
        name: NO_READABLE_ANSWER[name] for name in ("FIN without an answer", "RST without an answer", "no HTTP at all")
    }
    whole = DONE | WEB_PAGE | SILENT | WAITS | TOO_LONG
    told = {name: DONE[name] for name in ("2xx body cut", "2xx unreadable JSON", "2xx without an id")}
    told |= {name: DONE[name] for name in ("2xx endless body", "2xx about another")}
    if kind in ("update", "upload"):
        statuses = _statuses(302, 400, 401, 403, 404, 405, 408, 409, 413, 415, 419, 422, 425, 500, 503, 600)
        always = {name: told[name] for name in ("2xx without an id", "2xx about another")}
        always |= {"RST without an answer": NO_READABLE_ANSWER["RST without an answer"]}
        if kind == "upload":
            whole, statuses = (
                told | WEB_PAGE | SILENT | TOO_LONG,
                _statuses(302, 401, 403, 404, 408, 413, 415, 422, 500),
            )
        return some | whole | CUT_4XX | statuses, always | _statuses(302, 403, 404, 409, 422, 500)
    always = {name: told[name] for name in ("2xx without an id", "2xx about another")} | WEB_PAGE
    always |= {"RST without an answer": NO_READABLE_ANSWER["RST without an answer"]}
    if kind == "account":
        statuses = _statuses(302, 401, 403, 404, 405, 408, 409, 415, 422, 425, 500, 600)
        return some | whole | statuses, always | _statuses(401, 403, 404, 422, 500)
    once = some | told | WEB_PAGE | SILENT | {"429": WAITS["429"]} | TOO_LONG
    return once | _statuses(302, 401, 403, 404, 408, 422, 500), always | _statuses(403, 404, 500)


# The quick part: one cell of each verdict that matters.
QUICK = (
    ("account", "500, once"),
    ("account", "401, always"),
    ("leads by number", "500, once"),
    ("lead, of a call in doubt", "2xx without an id, always"),
    ("create", "TLS handshake refused, once"),
    ("create", "FIN without an answer, stored, once"),
    ("create", "500, once"),
    ("create", "409, once"),
    ("create", "2xx without an id, once"),
    ("create", "302, once"),
    ("create", "429, once"),
    ("update", "500, once"),
    ("upload", "RST without an answer, once"),
)


# Lanes


@dataclass(slots=True)
class Prepared:
    """The state folder and the CRM as a first command left them."""

    state: Path
    world: World


@dataclass(slots=True)
class Lane:
    """One CRM on one port, and the cells that run against it one after the other."""

    crm: ScriptedCrm
    folder: Path
    sequences: "Sequences"
    prepared: dict[tuple[str, str], Prepared] = field(default_factory=dict)

    def observe(self, cell: Cell) -> str:
        """Run a cell. Return its record."""
        kind = KINDS[cell.kind]
        before = self._restore(cell.kind, cell.route)
        script, trouble, failed = self._script(cell, kind)
        self.crm.begin(script)
        arguments = self._arguments(kind)
        ended = self._command(*arguments, *cell.more)
        again = ""
        met = trouble.met if trouble else self.crm.befallen
        journal = list(self.crm.journal)
        told = cell_record(cell, kind, ended, journal, before, self.crm.world, met, failed)
        if kind.is_write and ended.code == 1:
            self.crm.begin(Script(route=cell.route))
            second = self._command(*arguments)
            again = f"; again: {_ending(second)}, {_kept(second, before, self.crm.world)}"
        return told + again

    def sequence(self, kind: str, route: str) -> list[Seen]:
        """The requests of a kind's command if nothing goes wrong."""
        self._restore(kind, route)
        self.crm.begin(Script(route=route))
        self._command(*self._arguments(KINDS[kind]))
        return list(self.crm.journal)

    def _script(self, cell: Cell, kind: Kind) -> tuple[Script, Trouble | None, Seen | None]:
        count = None if cell.is_always else 1
        if cell.outcome is None:
            requests = self.sequences.of(self, cell.kind, cell.route)
            self._restore(cell.kind, cell.route)
            numbers = [number for number, one in enumerate(requests) if one.kind == kind.request]
            first = numbers[0 if cell.is_always else kind.once - 1]
            return Script([], cell.route, cell.before, first, count), None, requests[first]
        lost = [Trouble("create", LOST, first=2, count=1)] if kind.follows_a_lost_create else []
        first = 1 if cell.is_always else kind.once
        trouble = Trouble(kind.request, cell.outcome, first, count, follows=lost[0] if lost else None)
        return Script([*lost, trouble], cell.route), trouble, None

    def _arguments(self, kind: Kind) -> tuple[str, ...]:
        return (kind.command, *kind.files(self.folder), *COMMON)

    def _restore(self, name: str, route: str) -> World:
        """Put the state folder and the CRM into the state before a kind's command."""
        kind = KINDS[name]
        self._forget()
        self.crm.lists_numbers = kind.lists_numbers
        if kind.prepare is None:
            self.crm.begin(Script(route=route), World.with_leads(kind.leads))
            return deepcopy(self.crm.world)
        prepared = self.prepared.get((name, route))
        if prepared is None:
            prepared = self.prepared[name, route] = self._prepare(name, kind, route)
        self._forget()
        shutil.copytree(prepared.state, self._state, dirs_exist_ok=True)
        self.crm.begin(Script(route=route), prepared.world)
        return deepcopy(prepared.world)

    def _prepare(self, name: str, kind: Kind, route: str) -> Prepared:
        assert kind.prepare is not None
        self.crm.begin(Script(route=route), World.with_leads(kind.leads))
        troubles: list[Trouble] = []
        for request, outcome in kind.prepared_by:
            follows = troubles[-1] if troubles else None
            troubles.append(Trouble(request, outcome, 1 if follows else 2, None if follows else 1, follows))
        self.crm.begin(Script(troubles, route))
        self._command("run", *kind.prepare(self.folder), *COMMON)
        kept = self.folder / f"prepared {name} {route}"
        shutil.copytree(self._state, kept)
        return Prepared(kept, deepcopy(self.crm.world))

    @property
    def _state(self) -> Path:
        return self.folder / "state"

    def _forget(self) -> None:
        shutil.rmtree(self._state, ignore_errors=True)
        self._state.mkdir(mode=0o700)

    def _command(self, *arguments: str) -> rehearsal.Ended:
        environment: Any = self.crm.environment
        process = rehearsal.started(*arguments, "--destination", self.crm.url, state=self._state, **environment)
        try:
            out, err = process.communicate(timeout=LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return rehearsal.Ended(-9, out, err)
        return rehearsal.Ended(process.returncode, out, err)


class Sequences:
    """The order of requests of each kind's command, recorded from a run without faults."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], list[Seen]] = {}
        self._turn = threading.Lock()

    def of(self, lane: Lane, kind: str, route: str) -> list[Seen]:
        """The requests in their order."""
        with self._turn:
            if (kind, route) not in self._known:
                self._known[kind, route] = lane.sequence(kind, route)
            return self._known[kind, route]


# What a cell records


def cell_record(
    cell: Cell,
    kind: Kind,
    ended: rehearsal.Ended,
    journal: list[Seen],
    before: World,
    after: World,
    met: int,
    failed: Seen | None = None,
) -> str:
    """One line. `met` is how many requests or connections met the outcome; `failed` is the request that would have gone
    over the first connection that failed."""
    asked = sum(one.kind == kind.request for one in journal)
    tries = f", asked {asked}" if cell.before is None else f", failed connections {met}" if met else ""
    if not met and cell.before not in (Before.REFUSED, Before.TIMEOUT):
        tries += " (NOT MET)"
    words = list(_verdict(kind, ended, journal, before, after))
    if cell.before and met and (met > 1 or (not cell.is_always and ended.code == 0)):
        words = [_again(journal, failed), *(one for one in words if one not in ("taken", "not retried", "looked up"))]
    verdict = ", ".join(words) or "nothing seen"
    return f"{_ending(ended)}{tries}, {_kept(ended, before, after)}: {verdict}"


def _again(journal: list[Seen], failed: Seen | None) -> str:
    """Return how a request was repeated after its connection had failed."""
    again = next((number for number, one in enumerate(journal) if failed and one.call == failed.call != ""), None)
    if again is None or failed is None or failed.kind != "create":
        return "retried"
    creates = [number for number, one in enumerate(journal[:again]) if one.kind == "create"]
    since = creates[0] if creates else again
    is_looked_up = any(one.kind == "lead" and one.lead == failed.lead for one in journal[since:again])
    return "looked up, sent again" if is_looked_up else "retried"


def _ending(ended: rehearsal.Ended) -> str:
    calls = {name: count for name, count in _calls_of(ended).items() if count and name != "total"}
    more = [f"{name} {count}" for name, count in calls.items()]
    recordings = _summary(ended).get("recordings") or {}
    more += [f"recordings {name} {count}" for name, count in recordings.items() if count]
    verdicts = _summary(ended).get("verdicts") or {}
    more += [f"verdict {name} {count}" for name, count in verdicts.items() if count]
    wrong = [] if "rows" not in _summary(ended) or rehearsal.adds_up(_summary(ended)) else ["DOES NOT ADD UP"]
    return ", ".join([f"exit {ended.code}", *more, *wrong])


def _kept(ended: rehearsal.Ended, before: World, after: World) -> str:
    changed = sum(
        old["description"] != new["description"]
        for old, new in zip(before.communications, after.communications, strict=False)
    )
    new = len(after.communications) - len(before.communications)
    told = [f"stored {new}"] if new or not before.communications else []
    told += [f"changed {changed}"] if before.communications and (changed or not told) else []
    told += [f"recordings kept {len(after.uploads)}"] if after.uploads else []
    return ", ".join(told)


def _verdict(kind: Kind, ended: rehearsal.Ended, journal: list[Seen], before: World, after: World) -> Iterable[str]:
    calls, summary = _calls_of(ended), _summary(ended)
    stopped = {1: "stops", 8: "guard", -9: "HANGS"}.get(ended.code)
    if stopped:
        yield stopped
    if summary.get("rate_limited"):
        yield "limited"
    endings = [name for name in ("in_doubt", "held", "refused", "failed", "pending") if calls.get(name)]
    yield from (name.replace("_", " ") for name in endings)
    yield from _troubled_recordings(summary)
    if kind.request == "create":
        found = _verdict_of_creates(journal, calls)
        yield from found
        if not found and not endings and not stopped:
            yield "taken"
    elif _is_asked_again(kind, journal):
        yield "retried"
    elif not endings and not stopped:
        yield "not retried"
    copies = Counter(one["executed_at"] for one in after.communications)
    if any(count > 1 for count in copies.values()):
        yield "DUPLICATE"
    if calls.get("delivered", 0) > len(after.communications) - len(before.communications):
        yield "LOST"


def _troubled_recordings(summary: dict[str, Any]) -> Iterable[str]:
    found = summary.get("recordings") or {}
    yield from (f"recording {name}" for name in ("refused", "failed", "pending") if found.get(name))


def _verdict_of_creates(journal: list[Seen], calls: dict[str, int]) -> list[str]:
    """Return how creates were repeated or looked up: those that met a fault, and those that were sent again."""
    told: list[str] = []
    creates = [(number, one) for number, one in enumerate(journal) if one.kind == "create"]
    sent = Counter(one.call for _, one in creates)
    for call in dict.fromkeys(one.call for _, one in creates if one.met or sent[one.call] > 1):
        numbers = [number for number, one in creates if one.call == call]
        lead = next(one.lead for _, one in creates if one.call == call)
        is_looked_up = any(one.kind == "lead" and one.lead == lead for one in journal[numbers[0] : numbers[-1]])
        if sent[call] > 1:
            told.append("looked up, sent again" if is_looked_up else "retried")
        elif calls.get("delivered") and ("lead", lead) in {(one.kind, one.lead) for one in journal[numbers[0] :]}:
            told.append("looked up")
    return list(dict.fromkeys(told))


def _is_asked_again(kind: Kind, journal: list[Seen]) -> bool:
    """Return whether the next request after a failed one has the same kind and is about the same call."""
    met = [number for number, one in enumerate(journal) if one.met and one.kind == kind.request]
    return any(
        (later.kind, later.call, later.lead) == (kind.request, journal[number].call, journal[number].lead)
        for number in met
        for later in journal[number + 1 : number + 2]
    )


def _summary(ended: rehearsal.Ended) -> dict[str, Any]:
    try:
        return dict(json.loads(ended.out))
    except ValueError:
        return {}


def _calls_of(ended: rehearsal.Ended) -> dict[str, int]:
    summary = _summary(ended)
    return dict(summary.get("calls") or {name: summary.get(name, 0) for name in ("in_doubt", "held", "pending")})


# The whole table


def observe_wire(
    only: Iterable[tuple[str, str]] | None = None, lanes: int = LANES, say: Callable[[str], None] = lambda _: None
) -> dict[str, dict[str, str]]:
    """Run the cells, or only those named by kind and label. Return the record of each, by kind and label."""
    wanted = None if only is None else set(only)
    left: queue.SimpleQueue[Cell] = queue.SimpleQueue()
    chosen = [one for one in cells() if wanted is None or (one.kind, one.label) in wanted]
    for cell in chosen:
        left.put(cell)
    found: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory(prefix="outcomes-") as folder, scripted_crm.loop() as loop:
        sequences = Sequences()

        def work(number: int) -> None:
            place = Path(folder) / f"lane-{number}"
            place.mkdir()
            lane = Lane(ScriptedCrm(loop), place, sequences)
            try:
                while True:
                    try:
                        cell = left.get_nowait()
                    except queue.Empty:
                        return
                    try:
                        told = lane.observe(cell)
                    except Exception as error:  # noqa: BLE001  a cell that breaks must show in the record
                        told = f"BROKEN CELL: {error!r}"
                    found.setdefault(cell.kind, {})[cell.label] = told
                    say(f"{cell.kind}: {cell.label}: {told}")
            finally:
                lane.crm.stop()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(min(lanes, len(chosen)))]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    return found
