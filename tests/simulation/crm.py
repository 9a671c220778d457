"""The CRM at the other end of the wire, and its hidden truth: which item's request made each record.

It lives in a nursery of its own, so that it survives the importer and may still store what a dead client sent; and in
the world's time, so that it goes on while the machine of the importer sleeps.
"""

import contextvars
import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import trio

from tests.simulation.clocks import Clocks
from tests.simulation.history import History
from tests.simulation.network import Wire
from tests.simulation.process import Process
from tests.simulation.scenario import START, Scenario

WINDOW_SECONDS = 60.0
UPLOAD_FAULTS = ("dropped", "stored, then dropped", "500", "stored, then 500", "silent", "cut")
# Whose request the current task is making. The importer neither reads nor writes it.
sending: contextvars.ContextVar[str] = contextvars.ContextVar("sending")


class Judging(Protocol):
    def arrived(self, key: str, lead_id: int, process: Process) -> None: ...
    def stored(self, key: str, communication_id: int) -> None: ...
    def turned_away(self, key: str) -> None: ...
    def asked(self, kind: str, lead_id: int | None, process: Process) -> None: ...


@dataclass(frozen=True, slots=True)
class Record:
    """One communication, with its instants as such. `made_by` is the truth that no answer shows: the item, or None for
    somebody of the staff; `sent` is what they asked for, and `altered` the fields that were stored otherwise."""

    id: int
    lead_id: int
    body: dict[str, Any]
    sent: dict[str, Any]
    at: float
    made_by: str | None
    altered: frozenset[str]


@dataclass(slots=True)
class Crm:
    scenario: Scenario
    history: History
    nursery: trio.Nursery
    clocks: Clocks
    rng: random.Random
    judge: Judging
    calm: bool = False
    records: list[Record] = field(default_factory=list)
    recordings: dict[int, bytes] = field(default_factory=dict)
    uploads: int = 0
    _window_began: float = -1e9
    _hits_in_window: int = 0
    _hidden: dict[int, bool] = field(default_factory=dict)
    _wires: int = 0

    def wire_number(self) -> int:
        self._wires += 1
        return self._wires

    def note(self, *what: object) -> None:
        self.history.note(*what)

    def connects_in(self) -> float | None:
        """Seconds until a connection stands; None where it is refused."""
        if not self.calm and self.rng.random() < self.scenario.refused_connections:
            self.history.fault("connection refused")
            return None
        return self.rng.uniform(0, 0.1)

    def receive(self, method: str, target: str, body: bytes, wire: Wire) -> None:
        """A whole request is here. Whatever becomes of it happens in the CRM's own time."""
        path = target.partition("?")[0].removeprefix("/v2")
        lead_id = int(path.removeprefix("/leads/")) if path.startswith("/leads/") else None
        self.history.note("request", method, path, sending.get("") if method == "POST" else "")
        is_upload = path.endswith("/recording")
        self.judge.asked("recording" if is_upload else method, lead_id, wire.process)
        if is_upload:
            self.nursery.start_soon(self._attach, int(path.split("/")[2]), _of_form(body), wire)
        elif method == "POST":
            sent = json.loads(body)
            key = sending.get()
            self.judge.arrived(key, int(sent["lead_id"]), wire.process)
            self.nursery.start_soon(self._create, key, sent, wire)
        elif lead_id is not None:
            self.nursery.start_soon(self._show, lead_id, wire)
        else:
            self.nursery.start_soon(self._account, wire)

    def add_by_staff(self, like: dict[str, Any], *, at: float) -> None:
        """A person types in a call that looks exactly like one of ours, without our reference."""
        self._store({**like, "description": without_reference(like.get("description"))}, at, None)

    async def _create(self, key: str, sent: dict[str, Any], wire: Wire) -> None:
        await self.clocks.pass_in_world(self.rng.uniform(0.01, 0.3))
        limited = self._limited()
        if limited is not None:
            self.history.fault("429")
            self.judge.turned_away(key)
            headers = {"Retry-After": str(int(limited) + 1)} if self.rng.random() < 0.7 else {}
            wire.answer(429, {"message": "Too Many Attempts."}, headers)
            return
        if int(sent["lead_id"]) == self.scenario.refused_lead:
            self.judge.turned_away(key)
            wire.answer(422, {"errors": {"lead_id": ["The selected lead id is invalid."]}})
            return
        if not self.calm and self.rng.random() < self.scenario.look_alikes_meanwhile:
            # The call that is under way, or one of the same lead that was sent before or is still to come.
            this = self.rng.random() < 0.6
            like = sent if this else self.scenario.typed_in(self.rng, int(sent["lead_id"]))
            self.add_by_staff(like, at=self.clocks.world())
        kind = self._drawn(self.scenario.create_faults)
        if kind is None:
            record = self._make(key, sent)
            self._created(record, wire)
            return
        self.history.fault(kind, key)
        await self._create_faultily(kind, key, sent, wire)

    async def _create_faultily(self, kind: str, key: str, sent: dict[str, Any], wire: Wire) -> None:
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
                await self.clocks.pass_in_world(late)
                record = self._make(key, sent)
                self._created(record, wire)
            case "504, then committed late":
                wire.answer(504, b"<html>Gateway Time-out</html>")
                await self.clocks.pass_in_world(late)
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
                self._created(record, wire, cut=self.rng.random())
            case "empty 2xx":
                self._make(key, sent)
                wire.answer(200, b"")
            case "2xx without id":
                self._make(key, sent)
                wire.answer(201, {"data": {"status": "ok"}})
            case "silent":
                pass
            case "slow":
                await self.clocks.pass_in_world(self.rng.uniform(1, 50))
                record = self._make(key, sent)
                self._created(record, wire)

    async def _attach(self, record_id: int, content: bytes, wire: Wire) -> None:
        """A second recording takes the place of the first, whichever request comes last."""
        await self.clocks.pass_in_world(self.rng.uniform(0.01, 0.3))
        self.uploads += 1
        if self._limited() is not None:
            self.history.fault("429")
            wire.answer(429, {"message": "Too Many Attempts."}, {"Retry-After": "20"})
            return
        kind = self._drawn(UPLOAD_FAULTS)
        if kind is not None:
            self.history.fault(f"upload {kind}")
        if kind not in ("dropped", "500"):
            self.history.note("attached", record_id, content)
            self.recordings[record_id] = content
        match kind:
            case "dropped" | "stored, then dropped":
                wire.drop(reset=self.rng.random() < 0.5)
            case "500" | "stored, then 500":
                wire.answer(500, {"message": "Server Error"})
            case "silent":
                pass
            case _:
                wire.answer(200, {"message": "Recording uploaded successfully."}, cut=0.9 if kind == "cut" else None)

    async def _show(self, lead_id: int, wire: Wire) -> None:
        await self.clocks.pass_in_world(self.rng.uniform(0.01, 0.3))
        if self._limited() is not None:
            self.history.fault("429")
            wire.answer(429, {"message": "Too Many Attempts."}, {"Retry-After": "20"})
            return
        until = self.clocks.world() - self.scenario.read_lag
        manner = self.scenario.dialect
        shown = [manner.shown(one.body) for one in self.records if one.lead_id == lead_id and one.at <= until]
        if manner.shuffles:
            self.rng.shuffle(shown)
        kind = self._drawn(self.scenario.read_faults)
        if kind == "incomplete" and self._hidden.get(lead_id):
            # Two reads in a row are never incomplete: absence rests on that, and says so.
            kind = None
        if kind in (None, "slow", "incomplete"):
            # One that nobody got to see is none in the row.
            self._hidden[lead_id] = kind == "incomplete"
        lead: dict[str, Any] = {"id": lead_id, "communications": shown}
        match kind:
            case "incomplete":
                lead["communications"] = [one for one in shown if self.rng.random() < 0.5]
            case "without communications":
                del lead["communications"]
        await self._answer_read(kind, manner.enveloped(lead), wire)

    async def _account(self, wire: Wire) -> None:
        await self.clocks.pass_in_world(self.rng.uniform(0.01, 0.3))
        if self._limited() is not None:
            wire.answer(429, {"message": "Too Many Attempts."}, {"Retry-After": "20"})
            return
        kind = self._drawn(tuple(one for one in self.scenario.read_faults if one in ("dropped", "500", "silent")))
        account = self.scenario.dialect.enveloped({"id": 77, "name": "Garage Tremblay"})
        await self._answer_read(kind, account, wire)

    async def _answer_read(self, kind: str | None, body: object, wire: Wire) -> None:
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
                await self.clocks.pass_in_world(self.rng.uniform(1, 50))
                wire.answer(200, body)
            case _:
                wire.answer(200, body)

    def _drawn(self, kinds: tuple[str, ...]) -> str | None:
        if self.calm or not kinds or self.rng.random() >= self.scenario.fault_rate:
            return None
        return self.rng.choice(kinds)

    def _limited(self) -> float | None:
        """Laravel's fixed window, opened by its first hit; another integration may use up a part of it."""
        now = self.clocks.world()
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
        record = self._store(sent, self.clocks.world(), key)
        self.history.note("stored", record.id, key)
        self.judge.stored(key, record.id)
        return record

    def _created(self, record: Record, wire: Wire, *, cut: float | None = None) -> None:
        manner = self.scenario.dialect
        wire.answer(manner.created_status, manner.echo(record.body), cut=cut)

    def _store(self, sent: dict[str, Any], at: float, made_by: str | None) -> Record:
        body = {"id": 1000 + len(self.records), **self.scenario.dialect.kept(sent)}
        altered = {"user_id"} if sent.get("executed_by") and body["user_id"] is None else set()
        if not self.calm and made_by is not None and self.rng.random() < self.scenario.forgets_reference:
            kept = without_reference(body.get("description"))
            if kept != body.get("description"):
                self.history.fault("reference cut off", made_by)
                body["description"] = kept
                altered.add("description")
        body["created_at"] = (START + timedelta(seconds=at) + self.scenario.skew).replace(microsecond=0)
        body["executed_at"] = datetime.fromisoformat(sent["executed_at"]).astimezone(UTC)
        record = Record(int(body["id"]), int(sent["lead_id"]), body, sent, at, made_by, frozenset(altered))
        self.records.append(record)
        return record


def _of_form(body: bytes) -> bytes:
    """The content of the only part: its boundary is another one each time."""
    boundary = body.split(b"\r\n", 1)[0]
    return body.split(boundary)[1].partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")


def without_reference(description: str | None) -> str | None:
    return (description or "").partition("[ref ")[0].strip() or None
