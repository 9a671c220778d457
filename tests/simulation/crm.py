"""The CRM at the other end of the wire, and its hidden truth: which item's request made each record.

It lives in a nursery of its own, so that it survives the importer and may still store what a dead client sent.
"""

import contextvars
import json
import random
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import httpcore
import trio

from tests.simulation.history import History
from tests.simulation.process import Process
from tests.simulation.scenario import START, Scenario

WINDOW_SECONDS = 60.0
# Whose request the current task is making. The importer neither reads nor writes it.
sending: contextvars.ContextVar[str] = contextvars.ContextVar("sending")


class Judging(Protocol):
    def arrived(self, key: str, lead_id: int) -> None: ...
    def stored(self, key: str) -> None: ...
    def asked(self, kind: str, lead_id: int | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Record:
    """One communication. `made_by` is the truth that no answer shows: the item, or None for somebody of the staff."""

    id: int
    lead_id: int
    body: dict[str, Any]
    at: float
    made_by: str | None


@dataclass(slots=True)
class Crm:
    scenario: Scenario
    history: History
    nursery: trio.Nursery
    rng: random.Random
    judge: Judging
    calm: bool = False
    records: list[Record] = field(default_factory=list)
    hits: deque[float] = field(default_factory=deque)
    _window_began: float = -1e9
    _hits_in_window: int = 0
    _hidden: dict[int, bool] = field(default_factory=dict)
    _wires: int = 0

    def wire_number(self) -> int:
        self._wires += 1
        return self._wires

    def receive(self, method: str, target: str, body: bytes, wire: "Wire") -> None:
        """A whole request is here. Whatever becomes of it happens in the CRM's own time."""
        path = target.partition("?")[0].removeprefix("/v2")
        lead_id = int(path.removeprefix("/leads/")) if path.startswith("/leads/") else None
        self.history.note("request", method, path, sending.get("") if method == "POST" else "")
        self.judge.asked(method, lead_id)
        if method == "POST":
            sent = json.loads(body)
            key = sending.get()
            self.judge.arrived(key, int(sent["lead_id"]))
            self.nursery.start_soon(self._create, key, sent, wire)
        elif lead_id is not None:
            self.nursery.start_soon(self._show, lead_id, wire)
        else:
            self.nursery.start_soon(self._account, wire)

    def add_by_staff(self, like: dict[str, Any], *, at: float) -> None:
        """A person types in a call that looks exactly like one of ours, without our reference."""
        kept = {**like, "description": (like.get("description") or "").partition("[ref ")[0].strip() or None}
        self._store(kept, at, None)

    async def _create(self, key: str, sent: dict[str, Any], wire: "Wire") -> None:
        await trio.sleep(self.rng.uniform(0.01, 0.3))
        limited = self._limited()
        if limited is not None:
            self.history.fault("429")
            headers = {"Retry-After": str(int(limited) + 1)} if self.rng.random() < 0.7 else {}
            wire.answer(429, {"message": "Too Many Attempts."}, headers)
            return
        if int(sent["lead_id"]) == self.scenario.refused_lead:
            wire.answer(422, {"errors": {"lead_id": ["The selected lead id is invalid."]}})
            return
        if not self.calm and self.rng.random() < self.scenario.look_alikes_meanwhile:
            self.add_by_staff(sent, at=trio.current_time())
        kind = self._drawn(self.scenario.create_faults)
        if kind is None:
            record = self._make(key, sent)
            wire.answer(201, {"data": record.body})
            return
        self.history.fault(kind, key)
        await self._create_faultily(kind, key, sent, wire)

    async def _create_faultily(self, kind: str, key: str, sent: dict[str, Any], wire: "Wire") -> None:
        # The assumption that the importer states: nothing is stored, and nothing shown, later than the settle time.
        late = self.rng.uniform(0, self.scenario.settle - self.scenario.read_lag - 3)
        match kind:
            case "dropped before":
                wire.drop(reset=self.rng.random() < 0.5)
            case "committed, then dropped":
                self._make(key, sent)
                wire.drop(reset=self.rng.random() < 0.5)
            case "committed late":
                if self.rng.random() < 0.5:
                    wire.drop(reset=True)
                await trio.sleep(late)
                record = self._make(key, sent)
                wire.answer(201, {"data": record.body})
            case "504, then committed late":
                wire.answer(504, b"<html>Gateway Time-out</html>")
                await trio.sleep(late)
                self._make(key, sent)
            case "500 before":
                wire.answer(500, {"message": "Server Error"})
            case "500 after":
                self._make(key, sent)
                wire.answer(500, {"message": "Server Error"})
            case "502 before":
                wire.answer(502, b"<html>Bad Gateway</html>")
            case "truncated 2xx":
                record = self._make(key, sent)
                wire.answer(201, {"data": record.body}, cut=self.rng.random())
            case "empty 2xx":
                self._make(key, sent)
                wire.answer(200, b"")
            case "2xx without id":
                self._make(key, sent)
                wire.answer(201, {"data": {"status": "ok"}})
            case "silent":
                pass
            case "slow":
                await trio.sleep(self.rng.uniform(1, 50))
                record = self._make(key, sent)
                wire.answer(201, {"data": record.body})

    async def _show(self, lead_id: int, wire: "Wire") -> None:
        await trio.sleep(self.rng.uniform(0.01, 0.3))
        if self._limited() is not None:
            self.history.fault("429")
            wire.answer(429, {"message": "Too Many Attempts."}, {"Retry-After": "20"})
            return
        until = trio.current_time() - self.scenario.read_lag
        shown = [one.body for one in self.records if one.lead_id == lead_id and one.at <= until]
        kind = self._drawn(self.scenario.read_faults)
        if kind == "incomplete" and self._hidden.get(lead_id):
            # Two reads in a row are never incomplete: absence rests on that, and says so.
            kind = None
        self._hidden[lead_id] = kind == "incomplete"
        lead: dict[str, Any] = {"id": lead_id, "communications": shown}
        match kind:
            case "incomplete":
                lead["communications"] = [one for one in shown if self.rng.random() < 0.5]
            case "without communications":
                del lead["communications"]
        await self._answer_read(kind, {"data": lead}, wire)

    async def _account(self, wire: "Wire") -> None:
        await trio.sleep(self.rng.uniform(0.01, 0.3))
        if self._limited() is not None:
            wire.answer(429, {"message": "Too Many Attempts."}, {"Retry-After": "20"})
            return
        kind = self._drawn(tuple(one for one in self.scenario.read_faults if one in ("dropped", "500", "silent")))
        await self._answer_read(kind, {"data": {"id": 77, "name": "Garage Tremblay"}}, wire)

    async def _answer_read(self, kind: str | None, body: object, wire: "Wire") -> None:
        if kind is not None:
            self.history.fault(f"read {kind}")
        match kind:
            case "dropped":
                wire.drop(reset=True)
            case "500":
                wire.answer(500, {"message": "Server Error"})
            case "truncated":
                wire.answer(200, body, cut=self.rng.random())
            case "empty":
                wire.answer(200, b"")
            case "silent":
                pass
            case "slow":
                await trio.sleep(self.rng.uniform(1, 50))
                wire.answer(200, body)
            case _:
                wire.answer(200, body)

    def _drawn(self, kinds: tuple[str, ...]) -> str | None:
        if self.calm or not kinds or self.rng.random() >= self.scenario.fault_rate:
            return None
        return self.rng.choice(kinds)

    def _limited(self) -> float | None:
        """Laravel's fixed window, opened by its first hit; another integration may use up a part of it."""
        now = trio.current_time()
        if now >= self._window_began + WINDOW_SECONDS:
            self._window_began, self._hits_in_window = now, 0
        limit = 200 if self.calm else max(2, int(200 * (1 - self.scenario.foreign_share)) // 10)
        if self.scenario.foreign_share == 0.0:
            limit = 200
        if self._hits_in_window >= limit:
            return self._window_began + WINDOW_SECONDS - now
        self._hits_in_window += 1
        return None

    def _make(self, key: str, sent: dict[str, Any]) -> Record:
        record = self._store(sent, trio.current_time(), key)
        self.history.note("stored", record.id, key)
        self.judge.stored(key)
        return record

    def _store(self, sent: dict[str, Any], at: float, made_by: str | None) -> Record:
        body = {"id": 1000 + len(self.records), **sent, "user_id": sent.get("executed_by")}
        body.pop("executed_by", None)
        moment = START + timedelta(seconds=at) + self.scenario.skew
        body["created_at"] = moment.isoformat(timespec="seconds")
        body["executed_at"] = datetime.fromisoformat(sent["executed_at"]).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        record = Record(int(body["id"]), int(sent["lead_id"]), body, at, made_by)
        self.records.append(record)
        return record


@dataclass(slots=True)
class Network(httpcore.AsyncNetworkBackend):
    """The way to the CRM for one life of the importer."""

    crm: Crm
    process: Process

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the signature is httpcore's
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        crm = self.crm
        self.process.turn()
        await trio.sleep(crm.rng.uniform(0, 0.1))
        self.process.turn()
        if not crm.calm and crm.rng.random() < crm.scenario.refused_connections:
            crm.history.fault("connection refused")
            raise httpcore.ConnectError("[Errno 111] Connection refused")
        return Wire(crm, self.process)


class Wire(httpcore.AsyncNetworkStream):
    """One connection. What a dead process writes never arrives, what it reads never comes."""

    def __init__(self, crm: Crm, process: Process) -> None:
        self._crm = crm
        self._process = process
        self._number = crm.wire_number()
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._ended: str | None = None
        self._news = trio.Event()
        process.wires.append(self)

    def wake(self) -> None:
        self._news.set()
        self._news = trio.Event()

    def answer(
        self, status: int, body: object, headers: dict[str, str] | None = None, *, cut: float | None = None
    ) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        whole = "\r\n".join([*lines, "", ""]).encode() + content
        self._crm.history.note("answer", self._number, status)
        # From within the status line to just before the last byte.
        self._outgoing += whole if cut is None else whole[: int(cut * len(whole))]
        if cut is not None:
            self._ended = "FIN"
        self.wake()

    def drop(self, *, reset: bool) -> None:
        self._ended = "RST" if reset else "FIN"
        self._crm.history.note("drop", self._number, self._ended)
        self.wake()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self._process.turn()
        await trio.lowlevel.checkpoint()
        if not buffer:
            return
        self._incoming += buffer
        head, end, body = bytes(self._incoming).partition(b"\r\n\r\n")
        if end:
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            if len(body) >= int(headers.get("content-length", "0")):
                self._incoming.clear()
                # Whoever dies in here died before its last byte left.
                self._process.live()
                method, target, _ = first.split(" ")
                self._crm.receive(method, target, body, self)
        self._process.turn()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        self._process.turn()
        with trio.move_on_after(float("inf") if timeout is None else timeout) as waiting:
            await trio.lowlevel.checkpoint()
            while not self._outgoing and self._ended is None and not self._process.dead:
                await self._news.wait()
        self._process.turn()
        if waiting.cancelled_caught:
            raise httpcore.ReadTimeout("timed out")
        if self._outgoing:
            data = bytes(self._outgoing[:max_bytes])
            del self._outgoing[:max_bytes]
            return data
        if self._ended == "RST":
            raise httpcore.ReadError("[Errno 104] Connection reset by peer")
        return b""

    async def aclose(self) -> None:
        if self in self._process.wires:
            self._process.wires.remove(self)

    def get_extra_info(self, info: str) -> Any:
        return (self._ended is not None or bool(self._outgoing)) if info == "is_readable" else None
