"""The CRM's memory as a value, and what troubles it: by rule, never by chance."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import parse_qs

import trio

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ACCOUNT = {"id": 77, "name": "Garage Tremblay"}
FIRST_ID = 1000
LATENCY_SECONDS = 0.05
# Later than anybody comes back who is not kept waiting, sooner than the settle time of a scene.
LATE_SECONDS = 14.0


class Kind(StrEnum):
    """What becomes of a request: what is stored of it, if anything, and what is answered."""

    REFUSED = "422"
    UNAUTHORIZED = "401"
    LIMITED = "429"
    LIMITED_FOR = "429 with a time"
    DROPPED = "dropped"
    STORED_DROPPED = "stored, then dropped"
    FAILED = "500"
    STORED_FAILED = "stored, then 500"
    LATE = "504, stored late"
    CUT = "stored, then half an answer"
    NO_ID = "stored, then an answer without an id"
    SILENT = "stored, then silence"
    MANGLED = "stored otherwise, then dropped"
    STRIPPED = "stored without its reference"
    PAGE = "stored, then a web page"
    FORBIDDEN = "403"
    UNCONNECTED = "no connection"
    MISSING = "404"


STORED = {
    Kind.STORED_DROPPED, Kind.STORED_FAILED, Kind.CUT, Kind.NO_ID, Kind.SILENT, Kind.MANGLED, Kind.STRIPPED, Kind.PAGE,
}  # fmt: skip
# What the CRM makes of a description.
_KEPT = {Kind.MANGLED: "(voir le dossier)", Kind.STRIPPED: "Rappel"}


@dataclass(frozen=True, slots=True)
class Trouble:
    """The first `times` creates of one call (its phone), changes of one call or reads of one lead meet it, or the first
    connections that are asked for once a call is stored. That of a lead may wait until `once` a create of that call met
    trouble of its own. `upload` is the phone of a call whose recording meets it, `looking` the number whose leads are
    looked up, or ALL_LEADS where they are read page by page."""

    kind: Kind
    phone: str | None = None
    lead: int | None = None
    once: str | None = None
    times: int = 1
    upload: str | None = None
    changing: str | None = None
    looking: str | None = None


FOR_EVER = 10**6
ALL_LEADS = "all leads"


@dataclass(frozen=True, slots=True)
class Lead:
    """A lead that is found by its number; the younger the higher its id."""

    id: int
    phone: str

    @property
    def shown(self) -> dict[str, Any]:
        phones = [{"id": self.id, "number": self.phone}]
        created_at = START + timedelta(seconds=self.id - 10**6)
        return {"id": self.id, "account_id": 77, "created_at": created_at.isoformat(), "status": None, "phones": phones}


@dataclass(frozen=True, slots=True)
class Record:
    """One communication. `staff` says that a person typed it in; no answer shows that."""

    id: int
    at: float
    body: str
    staff: bool = False

    @property
    def shown(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A create, or a change of the communication `changes`, that the CRM has read whole and not stored yet."""

    due: float
    sent: str
    kept: str | None = None
    changes: int | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """`counted` names every trouble a request was asked about, once for each time. `recordings` are what was uploaded
    to each communication last, as text."""

    records: tuple[Record, ...] = ()
    recordings: tuple[tuple[int, str], ...] = ()
    under_way: tuple[UnderWay, ...] = ()
    counted: tuple[str, ...] = ()

    def at(self, now: float) -> "Memory":
        """With everything stored that was due by then."""
        due = sorted((one for one in self.under_way if one.due <= now), key=lambda one: one.due)
        memory = replace(self, under_way=tuple(one for one in self.under_way if one not in due))
        for one in due:
            sent = json.loads(one.sent)
            if one.changes is None:
                memory = memory.with_record(sent, one.due, kept=one.kept)
            else:
                memory = memory.with_change(one.changes, sent)
        return memory

    def with_change(self, number: int, sent: dict[str, Any]) -> "Memory":
        records = (
            replace(one, body=json.dumps(one.shown | sent, sort_keys=True)) if one.id == number else one
            for one in self.records
        )
        return replace(self, records=tuple(records))

    def with_record(self, sent: dict[str, Any], at: float, *, kept: str | None = None, staff: bool = False) -> "Memory":
        called = datetime.fromisoformat(sent["executed_at"]).astimezone(UTC)
        body = {
            "id": FIRST_ID + len(self.records),
            **{name: value for name, value in sent.items() if name != "executed_by"},
            "user_id": sent.get("executed_by"),
            "created_at": (START + timedelta(seconds=at)).isoformat(timespec="seconds"),
            "executed_at": called.strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        }
        if kept is not None:
            body["description"] = kept
        return replace(self, records=(*self.records, Record(body["id"], at, json.dumps(body, sort_keys=True), staff)))

    def with_recording(self, record_id: int, content: str) -> "Memory":
        return replace(self, recordings=tuple(sorted({**dict(self.recordings), record_id: content}.items())))


class Answering(Protocol):
    def answer(
        self, status: int, body: object, headers: dict[str, str] | None = None, *, cut: bool = False
    ) -> None: ...
    def drop(self) -> None: ...


@dataclass(slots=True)
class Crm:
    """The CRM for the length of one life; what it remembers goes on."""

    memory: Memory
    troubles: tuple[Trouble, ...]
    act: int
    nursery: trio.Nursery
    now: Callable[[], float]
    leads: tuple[Lead, ...] = ()
    requests: list[str] = field(default_factory=list)

    def go_on(self) -> None:
        """With what an earlier life has sent."""
        for one in self.memory.under_way:
            self.nursery.start_soon(self._store_when_due, one)

    def refuses_connection(self) -> bool:
        stored = {record.shown["call_phone"] for record in self.memory.records}
        return self._meets(lambda trouble: trouble.lead is None and trouble.once in stored) is not None

    def receive(self, method: str, target: str, body: bytes, wire: Answering) -> None:
        """A whole request is here. Whatever becomes of it happens in the CRM's own time."""
        path, _, query = target.removeprefix("/v2").partition("?")
        self.requests.append(f"{method} {path}")
        if path.endswith("/recording"):
            self.nursery.start_soon(self._attach, int(path.split("/")[2]), body, wire)
        elif method == "POST":
            self.nursery.start_soon(self._create, json.loads(body), wire)
        elif method == "PUT":
            self.nursery.start_soon(self._change, int(path.removeprefix("/communications/")), json.loads(body), wire)
        elif path == "/leads":
            self.nursery.start_soon(self._list, parse_qs(query).get("filter[phone]", [ALL_LEADS])[0], wire)
        elif path == "/leads/search":
            self.nursery.start_soon(self._list, f"+{parse_qs(query)['query'][0]}", wire)
        elif path.startswith("/leads/"):
            self.nursery.start_soon(self._show, int(path.removeprefix("/leads/")), wire)
        else:
            self.nursery.start_soon(self._answer, wire, 200, {"data": ACCOUNT})

    async def _create(self, sent: dict[str, Any], wire: Answering) -> None:
        trouble = self._meets(lambda one: one.phone == sent["call_phone"])
        kind = None if trouble is None else trouble.kind
        if kind in STORED or kind is None or kind is Kind.LATE:
            seconds = LATE_SECONDS if kind is Kind.LATE else LATENCY_SECONDS
            self._begin(UnderWay(self.now() + seconds, json.dumps(sent), _KEPT.get(kind) if kind else None))
        # Stored first, answered then: tasks that wake at the same moment run in an order of their own.
        await trio.sleep(LATENCY_SECONDS * 2)
        self._answer_write(kind, 201, lambda one: _is_of(one, sent), wire)

    async def _change(self, number: int, sent: dict[str, Any], wire: Answering) -> None:
        its_phone = next(one.shown["call_phone"] for one in self.memory.records if one.id == number)
        trouble = self._meets(lambda one: one.changing == its_phone)
        kind = None if trouble is None else trouble.kind
        if kind in STORED or kind is None or kind is Kind.LATE:
            seconds = LATE_SECONDS if kind is Kind.LATE else LATENCY_SECONDS
            self._begin(UnderWay(self.now() + seconds, json.dumps(sent), changes=number))
        await trio.sleep(LATENCY_SECONDS * 2)
        self._answer_write(kind, 200, lambda one: one.id == number, wire)

    def _answer_write(self, kind: Kind | None, status: int, is_it: Callable[[Record], bool], wire: Answering) -> None:
        match kind:
            case None | Kind.CUT | Kind.STRIPPED:
                made = next(one for one in reversed(self.memory.records) if is_it(one))
                wire.answer(status, {"data": made.shown}, cut=kind is Kind.CUT)
            case Kind.MISSING:
                wire.answer(404, {"message": "No query results for model."})
            case Kind.REFUSED:
                wire.answer(422, {"errors": {"lead_id": ["The selected lead id is invalid."]}})
            case Kind.UNAUTHORIZED:
                wire.answer(401, {"message": "Unauthenticated."})
            case Kind.LIMITED | Kind.LIMITED_FOR:
                wire.answer(429, {"message": "Too Many Attempts."}, {"Retry-After": "4"} if "time" in kind else {})
            case Kind.DROPPED | Kind.STORED_DROPPED | Kind.MANGLED:
                wire.drop()
            case Kind.FAILED | Kind.STORED_FAILED:
                wire.answer(500, {"message": "Server Error"})
            case Kind.LATE:
                wire.answer(504, {"message": "Gateway Time-out"})
            case Kind.PAGE:
                wire.answer(200, "<html>Connexion</html>")
            case Kind.NO_ID:
                wire.answer(201, {"data": {"status": "ok"}})

    async def _attach(self, record_id: int, body: bytes, wire: Answering) -> None:
        (record,) = (one for one in self.memory.records if one.id == record_id)
        trouble = self._meets(lambda one: one.upload == record.shown["call_phone"])
        kind = None if trouble is None else trouble.kind
        if kind in (None, Kind.STORED_DROPPED):
            # At once: the CRM has it, whoever still hears of it.
            self.memory = self.memory.with_recording(record_id, _of_form(body))
        await trio.sleep(LATENCY_SECONDS)
        match kind:
            case None:
                wire.answer(200, {"message": "Recording uploaded successfully."})
            case Kind.REFUSED:
                wire.answer(422, {"errors": {"recording": ["The recording must be a file of type: wav, mp3."]}})
            case _:
                wire.drop()

    async def _show(self, lead_id: int, wire: Answering) -> None:
        trouble = self._meets(lambda one: one.lead == lead_id and (one.once is None or self._was_met(one.once)))
        if trouble is None:
            await trio.sleep(LATENCY_SECONDS)
            shown = [one.shown for one in self.memory.records if one.shown["lead_id"] == lead_id]
            # The next request then needs a connection of its own.
            shown_whole = {"data": {"id": lead_id, "communications": shown}}
            wire.answer(200, shown_whole, {"Connection": "close"})
        elif trouble.kind is Kind.FORBIDDEN:
            await self._answer(wire, 403, {"message": "Forbidden."})
        else:
            await trio.sleep(LATENCY_SECONDS)
            wire.drop()

    async def _list(self, number: str, wire: Answering) -> None:
        """All of them on one page, or those of a number."""
        trouble = self._meets(lambda one: one.looking == number)
        shown = [one.shown for one in self.leads if number in (one.phone, ALL_LEADS)]
        body = {"data": shown, "meta": {"current_page": 1, "last_page": 1, "total": len(shown)}}
        await trio.sleep(LATENCY_SECONDS)
        match None if trouble is None else trouble.kind:
            case None | Kind.CUT:
                wire.answer(200, body, {"Connection": "close"}, cut=trouble is not None)
            case Kind.LIMITED_FOR:
                wire.answer(429, {"message": "Too Many Attempts."}, {"Retry-After": "4"})
            case Kind.FAILED:
                wire.answer(500, {"message": "Server Error"})
            case _:
                wire.drop()

    async def _answer(self, wire: Answering, status: int, body: object) -> None:
        await trio.sleep(LATENCY_SECONDS)
        wire.answer(status, body)

    def _begin(self, one: UnderWay) -> None:
        self.memory = replace(self.memory, under_way=(*self.memory.under_way, one))
        self.nursery.start_soon(self._store_when_due, one)

    async def _store_when_due(self, one: UnderWay) -> None:
        await trio.sleep(max(0.0, one.due - self.now()))
        # By the sum of two floats it may not be due yet, by a hair.
        self.memory = self.memory.at(max(self.now(), one.due))

    def _was_met(self, phone: str) -> bool:
        return any(
            trouble.phone == phone and f"{self.act}/{index}" in self.memory.counted
            for index, trouble in enumerate(self.troubles)
        )

    def _meets(self, is_for: Callable[[Trouble], bool]) -> Trouble | None:
        """The first trouble of the act that is for such a request and has its number."""
        for index, trouble in enumerate(self.troubles):
            if is_for(trouble):
                name = f"{self.act}/{index}"
                self.memory = replace(self.memory, counted=(*self.memory.counted, name))
                if self.memory.counted.count(name) <= trouble.times:
                    return trouble
        return None


def _of_form(body: bytes) -> str:
    """The content of the only part: its boundary is another one each time."""
    boundary = body.split(b"\r\n", 1)[0]
    return body.split(boundary)[1].partition(b"\r\n\r\n")[2].removesuffix(b"\r\n").decode()


def _is_of(record: Record, sent: dict[str, Any]) -> bool:
    shown = record.shown
    return all(shown[name] == sent[name] for name in ("lead_id", "call_phone", "type")) and not record.staff
