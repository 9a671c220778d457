"""A CRM on loopback that answers every request correctly, except the requests that a script picks.

It is written with sockets of asyncio alone, so that it can break an exchange at any point: before a connection is made,
before an answer, in the middle of an answer. It keeps what was created, and its reads show it.
"""

import asyncio
import contextlib
import copy
import json
import random
import re
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

ACCOUNT_ID = 301
FIRST_LEAD = 5001
FIRST_ID = 42534452
LEADS_A_PAGE = 20
# More than any client should read.
ENDLESS_BYTES = 32 * 1024 * 1024
CERTIFICATES = Path(__file__).parent / "certificates"
# Below the ports of outgoing connections, so that no other process takes the port while it is closed.
PORTS = range(20000, 32000)
# What the client has to trust, by SSL_CERT_FILE.
AUTHORITY = CERTIFICATES / "trusted.crt"
# A host that no name server knows: it is reached through the proxy alone.
PROXIED_HOST = "crm.invalid"
_HANDSHAKE_FAILURE = b"\x15\x03\x03\x00\x02\x02\x28"


class Ending(Enum):
    """What the CRM does after the bytes that it sends."""

    STAY = "keeps the connection"
    FIN = "closes the connection"
    RST = "resets the connection"
    SILENCE = "sends nothing more"
    ENDLESS = "goes on sending"


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound answer, from which an outcome may be made."""

    status: int
    body: dict[str, Any]

    @property
    def content(self) -> bytes:
        return json.dumps(self.body).encode()

    @property
    def bytes(self) -> bytes:
        return answer(self.status, self.content)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one request that was read whole. `stores` says whether a write takes effect."""

    data: Callable[[Sound], bytes]
    ending: Ending = Ending.STAY
    stores: bool = False


class Before(Enum):
    """What becomes of a connection before a request is read from it."""

    RESET = "reset with the request unread"
    ALERT = "TLS handshake refused"
    CLOSED = "closed during the TLS handshake"
    STRANGER = "certificate that nobody trusts"
    PROXY_503 = "proxy answers 503 to CONNECT"
    PROXY_407 = "proxy answers 407 to CONNECT"
    PROXY_CLOSES = "proxy closes at CONNECT"
    REFUSED = "connection refused"
    TIMEOUT = "no answer to the connection"


@dataclass(slots=True)
class Trouble:
    """`count` requests of one kind (None: all) get `outcome`, from number `first` on. With `follows`, counting starts
    after that other trouble was met."""

    kind: str
    outcome: Outcome
    first: int = 1
    count: int | None = None
    follows: "Trouble | None" = None
    seen: int = 0
    met: int = 0

    def meets(self, kind: str) -> bool:
        if kind != self.kind or (self.follows is not None and not self.follows.met):
            return False
        self.seen += 1
        if self.seen < self.first or (self.count is not None and self.met >= self.count):
            return False
        self.met += 1
        return True


@dataclass(slots=True)
class Script:
    """What goes wrong, and how connections are made.

    `before` fails `count` connections (None: all), from number `first` on.
    """

    troubles: list[Trouble] = field(default_factory=list)
    route: str = "plain"
    before: Before | None = None
    first: int = 0
    count: int | None = None

    @property
    def closes(self) -> bool:
        """Whether each request gets a connection of its own, so that connections can be counted."""
        return self.route != "plain"

    def befalls(self, number: int) -> Before | None:
        is_it = number >= self.first and (self.count is None or number < self.first + self.count)
        return self.before if is_it else None


@dataclass(frozen=True, slots=True)
class Seen:
    """One request. `call` identifies the call or the list. `lead` is the id of the lead or communication."""

    kind: str
    call: str = ""
    lead: int = 0
    met: bool = False


@dataclass(slots=True)
class World:
    """What the CRM keeps."""

    leads: dict[int, dict[str, Any]] = field(default_factory=dict)
    communications: list[dict[str, Any]] = field(default_factory=list)
    uploads: Counter[int] = field(default_factory=Counter)

    @classmethod
    def with_leads(cls, count: int) -> "World":
        return cls({
            FIRST_LEAD + number: {
                "id": FIRST_LEAD + number,
                "account_id": ACCOUNT_ID,
                "created_at": f"2023-01-01T00:{number // 60:02}:{number % 60:02}+00:00",
                "status": None,
                "phones": [{"id": 10 + number, "number": f"+1514555{100 + number:04}", "type": "mobile"}],
            }
            for number in range(count)
        })  # fmt: skip

    def of_lead(self, lead: int) -> list[dict[str, Any]]:
        return [one for one in self.communications if one["lead_id"] == lead]


class Answers:
    """Store the CRM's data and answer requests: correctly, unless the script says otherwise."""

    def __init__(self) -> None:
        self.script = Script()
        self.world = World()
        self.journal: list[Seen] = []
        self.lists_numbers = True

    def respond(self, method: str, target: str, body: bytes) -> tuple[bytes, Ending]:
        """Answer one request. Return the bytes of the answer and what becomes of the connection after them."""
        kind, seen, commit = self._route(method, target, body)
        outcome = next((one.outcome for one in self.script.troubles if one.meets(kind)), None)
        self.journal.append(Seen(kind, met=outcome is not None, **seen))
        if outcome is None:
            data, ending = commit().bytes, Ending.STAY
        else:
            # If the write must not take effect, make the answer from a copy of the data.
            kept = self.world
            if not outcome.stores:
                self.world = copy.deepcopy(kept)
            sound = commit()
            self.world = kept if not outcome.stores else self.world
            data, ending = outcome.data(sound), outcome.ending
        return data, ending

    def _route(self, method: str, target: str, body: bytes) -> tuple[str, dict[str, Any], Callable[[], Sound]]:
        """The kind of a request, what it is about, and what makes its sound answer and its effect."""
        path, _, query = target.partition("?")
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        included = asked.get("include[]", "")
        if path == "/account":
            return ("users", {}, self._users) if included == "users" else ("account", {}, self._account)
        # Of a list, the whole target says what it is about.
        about = {"call": target}
        if path == "/leads/search":
            return "search", about, lambda: self._page(asked, lambda number: _digits(number).endswith(asked["query"]))
        if path == "/leads" and "filter[phone]" in asked:
            wanted = asked["filter[phone]"] if self.lists_numbers else None
            return "leads by number", about, lambda: self._page(asked, lambda number: number == wanted)
        if path == "/leads":
            shows = included == "communications"
            kind = "leads with communications" if shows else "leads"
            return kind, about, lambda: self._page(asked, lambda _: True, shows=shows)
        if path.startswith("/communications") and method not in ("POST", "PUT"):
            return "other", about, lambda: Sound(405, {"message": "Method not allowed."})
        number = int(re.sub(r"\D", "", path) or 0)
        if path.startswith("/leads/"):
            return "lead", {"lead": number}, lambda: self._lead(number)
        if path == "/communications":
            sent = json.loads(body)
            return "create", {"call": _call(sent), "lead": sent["lead_id"]}, lambda: self._create(sent)
        if path.endswith("/recording"):
            return "upload", {"lead": number}, lambda: self._upload(number)
        changes = json.loads(body)
        return "update", {"lead": number}, lambda: self._update(number, changes)

    def _account(self) -> Sound:
        return Sound(200, {"data": [{"id": ACCOUNT_ID, "name": "Concession fictive"}]})

    def _users(self) -> Sound:
        users = [{"id": 101, "email": "luc@dealer.example", "first_name": "Luc", "last_name": "Roy"}]
        return Sound(200, {"data": [{"id": ACCOUNT_ID, "name": "Concession fictive", "users": users}]})

    def _page(self, asked: dict[str, str], fits: Callable[[str], bool], *, shows: bool = False) -> Sound:
        found = [lead for lead in self.world.leads.values() if any(fits(one["number"]) for one in lead["phones"])]
        page = int(asked.get("page", "1"))
        shown = found[(page - 1) * LEADS_A_PAGE : page * LEADS_A_PAGE]
        if shows:
            shown = [{**lead, "communications": self.world.of_lead(lead["id"])} for lead in shown]
        pages = max(1, -(-len(found) // LEADS_A_PAGE))
        return Sound(200, {"data": shown, "meta": {"current_page": page, "last_page": pages, "total": len(found)}})

    def _lead(self, number: int) -> Sound:
        lead = self.world.leads.get(number)
        if lead is None:
            return Sound(404, {"message": "No query results for model"})
        return Sound(200, {"data": {**lead, "communications": self.world.of_lead(number)}})

    def _create(self, sent: dict[str, Any]) -> Sound:
        if sent["lead_id"] not in self.world.leads:
            return Sound(422, {"message": "The given data was invalid.", "errors": {"lead_id": ["Invalid."]}})
        kept = {"id": FIRST_ID + len(self.world.communications), **sent, "user_id": sent.get("executed_by")}
        del kept["user_id" if "executed_by" not in sent else "executed_by"]
        now = _now()
        self.world.communications.append({**kept, "created_at": now, "updated_at": now})
        return Sound(201, {"data": self.world.communications[-1]})

    def _update(self, number: int, changes: dict[str, Any]) -> Sound:
        for one in self.world.communications:
            if one["id"] == number:
                one |= {name: value for name, value in changes.items() if name != "executed_by"}
                return Sound(200, {"data": dict(one)})
        return Sound(404, {"message": "No query results for model"})

    def _upload(self, number: int) -> Sound:
        self.world.uploads[number] += 1
        return Sound(200, {"message": "Recording uploaded successfully."})


class ScriptedCrm(Answers):
    """One CRM on one free port, served by a loop of its own thread. `url` follows from the route of the script."""

    def __init__(self, loop: "Loop") -> None:
        super().__init__()
        self._loop = loop
        self._listener: socket.socket | None = None
        self._port = 0
        self._accepting: asyncio.Task[None] | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._fillers: list[socket.socket] = []
        self._connections = 0
        self._trusted = _context("trusted.pem")
        self._stranger = _context("stranger.pem")
        # How many connections failed as the script says, as far as the CRM can see it.
        self.befallen = 0
        loop.run(self._listen())

    @property
    def url(self) -> str:
        if self.script.route == "proxy":
            return f"https://{PROXIED_HOST}/v2"
        return f"{'https' if self.script.route == 'tls' else 'http'}://127.0.0.1:{self._port}/v2"

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment variables with which the command reaches this CRM."""
        known = {"CALLIMPORT_TOKEN": "baseline-token", "SSL_CERT_FILE": str(AUTHORITY), "NO_PROXY": "", "no_proxy": ""}
        if self.script.route == "proxy":
            known |= {"HTTPS_PROXY": f"http://127.0.0.1:{self._port}", "https_proxy": f"http://127.0.0.1:{self._port}"}
        return known

    def begin(self, script: Script, world: World | None = None) -> None:
        """Clear the journal and follow another script. Without `world`, keep what is stored."""
        self._loop.run(self._end_connections())
        self.script, self.journal, self._connections, self.befallen = script, [], 0, 0
        if world is not None:
            self.world = copy.deepcopy(world)
        self._loop.run(self._listen())

    def stop(self) -> None:
        """Listen no more and end all connections."""
        self._loop.run(self._stop())

    # Connections

    async def _listen(self) -> None:
        """Take connections from now on. A port that stays open cannot be taken by others between two scripts."""
        if self._accepting is None or self._accepting.done():
            self._bind(128)
            self._accepting = asyncio.create_task(self._accept())
        if self.script.first == 0:
            await self._go_away()

    def _bind(self, backlog: int) -> None:
        for port in [self._port] if self._port else random.sample(PORTS, 200):
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setblocking(False)
            try:
                listener.bind(("127.0.0.1", port))
                listener.listen(backlog)
            except OSError:
                listener.close()
                continue
            self._listener, self._port = listener, port
            return
        raise OSError("no free port on loopback")

    async def _end_connections(self) -> None:
        """Close all connections, and the port if it no longer accepts."""
        await _cancelled(self._open)
        for one in self._fillers:
            one.close()
        self._fillers.clear()
        if self._accepting is not None and self._accepting.done():
            self._close()

    async def _stop(self) -> None:
        await self._end_connections()
        if self._accepting is not None:
            await _cancelled([self._accepting])
        self._close()

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _go_away(self) -> None:
        """Close the port, or stop accepting on it. The port number stays the same."""
        if self.script.before not in (Before.REFUSED, Before.TIMEOUT) or self._accepting is None:
            return
        await _cancelled([self._accepting])
        self._close()
        if self.script.before is Before.TIMEOUT:
            self._bind(0)
            for _ in range(3):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", self._port))
                self._fillers.append(filler)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        assert self._listener is not None
        while True:
            accepted, _ = await loop.sock_accept(self._listener)
            task = asyncio.create_task(self._connect(accepted, self._connections))
            self._connections += 1
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def _connect(self, accepted: socket.socket, number: int) -> None:
        before = self.script.befalls(number)
        self.befallen += before is not None
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            context = await self._prepare(accepted, before)
            if context is False:
                accepted.close()
                return
            await self._converse(accepted, context if isinstance(context, ssl.SSLContext) else None)

    async def _prepare(self, accepted: socket.socket, before: Before | None) -> ssl.SSLContext | bool:
        """How the connection goes on: over TLS, in plain text (True) or not at all (False)."""
        loop = asyncio.get_running_loop()
        if before is Before.RESET:
            # Wait for the request: a reset at once could reach the client before or after its first byte.
            await _readable(loop, accepted)
            _linger(accepted)
            return False
        if self.script.route == "proxy":
            head = b""
            while b"\r\n\r\n" not in head:
                head += await _received(loop, accepted)
            if before in (Before.PROXY_503, Before.PROXY_407):
                status = b"503 Unavailable" if before is Before.PROXY_503 else b"407 Proxy Authentication Required"
                await loop.sock_sendall(accepted, b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
                return False
            if before is Before.PROXY_CLOSES:
                return False
            await loop.sock_sendall(accepted, b"HTTP/1.1 200 Connection established\r\n\r\n")
        if before in (Before.ALERT, Before.CLOSED):
            await _received(loop, accepted)
            if before is Before.ALERT:
                await loop.sock_sendall(accepted, _HANDSHAKE_FAILURE)
            return False
        if self.script.route in ("tls", "proxy"):
            return self._stranger if before is Before.STRANGER else self._trusted
        return True

    async def _converse(self, accepted: socket.socket, context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=2**20)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=context)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            while await self._exchange(reader, writer):
                pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer. Return whether the connection stays."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        length = re.search(r"(?im)^content-length: *(\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        data, ending = self.respond(method, target.removeprefix("/v2"), body)
        if self.script.closes:
            data = data.replace(b"\r\nContent-Length", b"\r\nConnection: close\r\nContent-Length", 1)
        if len(self.journal) == self.script.first:
            await self._go_away()
        writer.write(data)
        return await self._end(writer, ending) and not self.script.closes

    async def _end(self, writer: asyncio.StreamWriter, ending: Ending) -> bool:
        if ending is Ending.RST:
            # Send what was written before the reset.
            await writer.drain()
            _linger(writer.get_extra_info("socket"))
            writer.transport.abort()
        elif ending is Ending.SILENCE:
            await asyncio.sleep(600)
        elif ending is Ending.ENDLESS:
            for _ in range(ENDLESS_BYTES // 65536):
                writer.write(b" " * 65536)
                await writer.drain()
        await writer.drain()
        return ending is Ending.STAY


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextlib.contextmanager
def loop() -> Iterator[Loop]:
    """A loop for the length of the block."""
    running = Loop()
    try:
        yield running
    finally:
        running.stop()


def answer(status: int, content: bytes, *headers: str, length: int | None = None) -> bytes:
    """A framed answer; `length` is what its head says, if it is not that of the content."""
    size = len(content) if length is None else length
    lines = [f"HTTP/1.1 {status} Whatever", "Content-Type: application/json", *headers]
    if status != 204:
        lines.append(f"Content-Length: {size}")
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if status == 204 else content)


def _call(sent: dict[str, Any]) -> str:
    """Which of the calls a create is about: calls begin at different times."""
    return str(sent["executed_at"])


def _digits(number: str) -> str:
    return re.sub(r"\D", "", number)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


async def _received(loop: asyncio.AbstractEventLoop, accepted: socket.socket) -> bytes:
    data = await loop.sock_recv(accepted, 65536)
    if not data:
        raise ConnectionError("the client is gone")
    return data


async def _readable(loop: asyncio.AbstractEventLoop, accepted: socket.socket) -> None:
    """Wait until bytes have come, and leave them unread."""
    came = asyncio.Event()
    loop.add_reader(accepted, came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(accepted)


def _linger(one: Any) -> None:
    """Make the next close a reset."""
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _context(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / name)
    return context


async def _cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their ends."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
