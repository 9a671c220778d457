"""A CRM in memory behind the real httpx, httpcore and h11: the network is scripted, the client is not.

A transport of httpx would not do: it ignores timeouts and never tells when the first byte leaves (RELIABILITY 2.2).
Time is anyio's, so that a test in virtual time sees an hour pass at once.
"""

import functools
import json
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ParamSpec
from unittest import mock
from urllib.parse import parse_qs

import anyio
import anyio.lowlevel
import httpcore
import httpx
from trio.testing import MockClock

from callimport.core import privacy
from callimport.crm import client

BASE_URL = "http://127.0.0.1/v2"
TOKEN = "canary-7f3a9b-token"
FIRST_ID = 42534452
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

Story = ParamSpec("Story")


def in_virtual_time(story: Callable[Story, Awaitable[None]]) -> Callable[Story, None]:
    """Run an async test on trio with a clock that jumps whenever everybody waits."""

    @functools.wraps(story)
    def test(*args: Story.args, **kwargs: Story.kwargs) -> None:
        clock = MockClock(autojump_threshold=0)
        anyio.run(functools.partial(story, *args, **kwargs), backend="trio", backend_options={"clock": clock})

    return test


class Line(Enum):
    """What a connection is like, from its first moment on."""

    GOOD = "good"
    REFUSED = "refused"
    SILENT = "no answer to the connection at all"
    DISTRUSTED = "its certificate cannot be verified"
    DEAF = "accepted, then reset before anything was read"
    STUCK = "accepted, then nothing more is taken"


class Ending(Enum):
    """What the server does when it has sent what it had to send."""

    STAY = "keeps the connection"
    CLOSE = "FIN"
    RESET = "RST"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the server read it; `at` is the virtual second of its last byte."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float
    host: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def part(self) -> tuple[str, bytes]:
        """Head and content of the one part of a multipart body."""
        boundary = self.headers["content-type"].partition("boundary=")[2].encode()
        _, part, rest = self.body.split(b"--" + boundary)
        assert rest == b"--\r\n"
        head, _, content = part.partition(b"\r\n\r\n")
        return head.decode().strip(), content[:-2]


@dataclass(frozen=True, slots=True)
class Reply:
    """The bytes that come back, whole or not."""

    data: bytes
    ending: Ending = Ending.STAY
    after_seconds: float = 0.0


NO_REPLY = Reply(b"")
CLOSES = Reply(b"", Ending.CLOSE)
RESETS = Reply(b"", Ending.RESET)


def reply(
    status: int,
    body: object = None,
    headers: Iterable[tuple[str, str]] = (),
    *,
    cut_after: int | None = None,
    ending: Ending | None = None,
    after_seconds: float = 0.0,
) -> Reply:
    """A framed answer; `cut_after` bytes of the body the connection ends, by FIN if not said otherwise."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    if status < 200 or status in (204, 304):
        content = b""
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers)]
    if status >= 200 and status not in (204, 304):
        lines.append(f"Content-Length: {len(content)}")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    if cut_after is not None:
        return Reply(head + content[:cut_after], ending or Ending.CLOSE, after_seconds)
    return Reply(head + content, ending or Ending.STAY, after_seconds)


@dataclass
class FakeCrm(httpcore.AsyncNetworkBackend):
    """`script` and `lines` are used up first; then every connection is good and every call is created. Whose key it is
    is answered by `account`, where there is one, whatever the script."""

    script: deque[Reply] = field(default_factory=deque)
    lines: deque[Line] = field(default_factory=deque)
    answer: Callable[[Request], Reply] | None = None
    account: Callable[[Request], Reply] | None = None
    on_first_byte: Callable[[], None] = lambda: None
    connect_seconds: float = 0.0
    latency_seconds: float = 0.0
    keepalive_seconds: float = 3600.0
    connections: list[str] = field(default_factory=list)
    received: list[Request] = field(default_factory=list)
    stored: list[dict[str, Any]] = field(default_factory=list)
    recordings: dict[int, list[bytes]] = field(default_factory=dict)
    bytes_seen: int = 0

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the signature is httpcore's
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        self.connections.append(host)
        line = self.lines.popleft() if self.lines else Line.GOOD
        await anyio.sleep(self.connect_seconds)
        if line is Line.REFUSED:
            raise httpcore.ConnectError("[Errno 111] Connection refused")
        if line is Line.SILENT:
            await _nothing_for(timeout, httpcore.ConnectTimeout)
        return Wire(self, line, host)

    def receive(self, request: Request) -> Reply:
        self.received.append(request)
        if self.account is not None and request.target.endswith("/account"):
            return self.account(request)
        if self.script:
            return self.script.popleft()
        return (self.answer or self.create)(request)

    def create(self, request: Request) -> Reply:
        """Store the call, or the recording of one, and answer as the vendor documents it."""
        if request.target.endswith("/recording"):
            return self.upload(request)
        sent = request.json
        kept = {"id": FIRST_ID + len(self.stored), **sent, "user_id": sent.get("executed_by")}
        kept.pop("executed_by", None)
        self.stored.append(kept)
        return reply(201, {"data": kept}, after_seconds=self.latency_seconds)

    def upload(self, request: Request) -> Reply:
        """Keep every upload of each communication, the last of which is its recording."""
        communication_id = int(request.target.split("/")[-2])
        self.recordings.setdefault(communication_id, []).append(request.part[1])
        said = {"message": "Recording uploaded successfully."}
        return reply(200, said, after_seconds=self.latency_seconds)

    def keep(self, request: Request) -> Reply:
        """Create, update and show what is stored, as the vendor documents it; an `answer` of a test that needs more."""
        path = request.target.partition("?")[0].removeprefix("/v2")
        if request.method == "POST":
            return self.create(request)
        number = int(path.rpartition("/")[2])
        if request.method == "GET":
            of_lead = [one for one in self.stored if one["lead_id"] == number]
            return reply(200, {"data": {"id": number, "communications": of_lead}})
        for one in self.stored:
            if one["id"] == number:
                one |= {name: value for name, value in request.json.items() if name != "executed_by"}
                return reply(200, {"data": one}, after_seconds=self.latency_seconds)
        return reply(404, {"message": "No query results for model"})

    def transport(self, connections: int = 8, proxy: str | None = None) -> httpx.AsyncHTTPTransport:
        """The real transport of httpx over this network."""
        transport = httpx.AsyncHTTPTransport(verify=_NO_TLS)
        # httpcore measures keep-alive in real time, which stands still here: connections stay, unless a test gives it
        # the virtual one.
        if proxy is None:
            transport._pool = httpcore.AsyncConnectionPool(
                network_backend=self,
                max_connections=connections,
                keepalive_expiry=self.keepalive_seconds,
                ssl_context=_NO_TLS,
            )
        else:
            transport._pool = httpcore.AsyncHTTPProxy(
                proxy, network_backend=self, max_connections=connections, keepalive_expiry=3600, ssl_context=_NO_TLS
            )
        return transport

    @asynccontextmanager
    async def reached(
        self, base_url: str = BASE_URL, *, connections: int = 8, proxy: str | None = None
    ) -> AsyncIterator[client.Destination]:
        """The importer's destination, with this CRM at the other end."""
        async with connected_over(self.transport(connections, proxy), base_url) as there:
            yield there


@asynccontextmanager
async def connected_over(
    transport: httpx.AsyncBaseTransport, base_url: str = BASE_URL
) -> AsyncIterator[client.Destination]:
    """The importer's destination over a transport of the test's."""
    # To read the system's certificates takes longer than the test, and nobody here shows one.
    with mock.patch.object(client, "_tls", return_value=_NO_TLS):
        async with client.connected(base_url, privacy.Secret(TOKEN), transport=transport) as there:
            yield there


class Wire(httpcore.AsyncNetworkStream):
    """One connection, seen from the client."""

    def __init__(self, crm: FakeCrm, line: Line, host: str) -> None:
        self._crm = crm
        self._line = line
        self._host = host
        self._incoming = bytearray()
        self._reply: Reply | None = None
        self._closed = False

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await anyio.lowlevel.checkpoint()
        if not buffer:
            return
        self._crm.bytes_seen += len(buffer)
        if self._line is Line.DEAF:
            raise httpcore.WriteError("[Errno 32] Broken pipe")
        if self._line is Line.STUCK:
            await _nothing_for(timeout, httpcore.WriteTimeout)
        if not self._incoming and not buffer.startswith(b"CONNECT"):
            self._crm.on_first_byte()
        self._incoming += buffer
        request = self._whole_request()
        if request is None:
            return
        self._incoming.clear()
        if request.method == "CONNECT":
            self._reply = Reply(b"HTTP/1.1 200 Connection established\r\n\r\n")
            if self._crm.script and self._crm.script[0].data.startswith(b"HTTP/1.1 407"):
                self._reply = self._crm.script.popleft()
        else:
            self._reply = self._crm.receive(request)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if self._line is Line.DEAF:
            raise httpcore.ReadError("[Errno 104] Connection reset by peer")
        answer = self._reply or NO_REPLY
        wait = answer.after_seconds
        if timeout is not None and wait > timeout:
            await _nothing_for(timeout, httpcore.ReadTimeout)
        await anyio.sleep(wait)
        data = answer.data
        if not data:
            if answer.ending is Ending.STAY:
                await _nothing_for(timeout, httpcore.ReadTimeout)
            self._closed = True
            if answer.ending is Ending.RESET:
                raise httpcore.ReadError("[Errno 104] Connection reset by peer")
            return b""
        self._reply = Reply(data[max_bytes:], answer.ending)
        return data[:max_bytes]

    async def aclose(self) -> None:
        self._closed = True

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        if self._line is Line.DISTRUSTED:
            try:
                raise ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
            except ssl.SSLError as error:
                raise httpcore.ConnectError(str(error)) from error
        return self

    def get_extra_info(self, info: str) -> Any:
        return self._closed if info == "is_readable" else None

    def _whole_request(self) -> Request | None:
        head, end, body = bytes(self._incoming).partition(b"\r\n\r\n")
        if not end:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if len(body) < int(headers.get("content-length", "0")):
            return None
        return Request(method, target, headers, body, anyio.current_time(), self._host)


async def _nothing_for(timeout: float | None, then: type[Exception]) -> None:  # noqa: ASYNC109
    if timeout is None:
        await anyio.sleep_forever()
    else:
        await anyio.sleep(timeout)
    raise then("timed out")


class FakeDealer(FakeCrm):
    """A CRM with an account, its users and its leads, as the vendor documents the reads of them."""

    def __init__(
        self, users: Iterable[dict[str, Any]] = (), leads: Iterable[dict[str, Any]] = (), **other: Any
    ) -> None:
        super().__init__(**other)
        self.users = list(users)
        self.leads = list(leads)
        self.merged_away: set[int] = set()
        # How a number is compared with those of a lead; None: the filter is not heard.
        self.filters_phones: Callable[[str, list[str]], bool] | None = lambda wanted, numbers: wanted in numbers
        self.on_page: Callable[[int], None] = lambda page: None
        # What a list shows of the communications of a lead.
        self.lists: Callable[[list[dict[str, Any]]], object] = lambda there: there

    def receive(self, request: Request) -> Reply:
        self.received.append(request)
        if self.script:
            return self.script.popleft()
        path, _, query = request.target.removeprefix("/v2").partition("?")
        asked = parse_qs(query)
        if request.method == "POST":
            if request.json["lead_id"] in self.merged_away:
                return reply(422, {"message": "The given data was invalid.", "errors": {"lead_id": ["Invalid."]}})
            return self.create(request)
        if path == "/account":
            users = {"users": self.users} if "users" in asked.get("include[]", ()) else {}
            return reply(200, {"data": [{"id": 7, "name": "Concession fictive", **users}]})
        if path.startswith("/leads/") and path != "/leads/search":
            lead_id = int(path.removeprefix("/leads/"))
            return reply(200, {"data": {"id": lead_id, "communications": self._of_lead(lead_id)}})
        return self._listed(path, {name: values[0] for name, values in asked.items()})

    def _listed(self, path: str, asked: dict[str, str]) -> Reply:
        """GET /leads with the filters that the importer uses, or GET /leads/search."""
        leads = sorted(self.leads, key=lambda lead: (lead["created_at"], lead["id"]), reverse=True)
        if path == "/leads/search":
            leads = [lead for lead in leads if any(_ends_with(asked["query"], one) for one in _numbers(lead))]
        elif "filter[phone]" in asked and self.filters_phones is not None:
            leads = [lead for lead in leads if self.filters_phones(asked["filter[phone]"], _numbers(lead))]
        elif "filter[created_at][lte]" in asked:
            leads = [lead for lead in leads if lead["created_at"] <= asked["filter[created_at][lte]"]]
        page, length = int(asked["page"]), int(asked["per_page"])
        self.on_page(page)
        meta = {"current_page": page, "last_page": max(-(-len(leads) // length), 1), "total": len(leads)}
        links = {"next": "http://crm.example/v2/leads?page=2"}
        shown = leads[(page - 1) * length : page * length]
        if asked.get("include[]") == "communications":
            shown = [{**one, "communications": self.lists(self._of_lead(one["id"]))} for one in shown]
        return reply(200, {"data": shown, "links": links, "meta": meta})

    def _of_lead(self, lead_id: int) -> list[dict[str, Any]]:
        return [one for one in self.stored if one["lead_id"] == lead_id]

    def asked(self, path: str) -> list[str]:
        """The targets of the reads that begin with a path."""
        return [one.target for one in self.received if one.method == "GET" and one.target.startswith(f"/v2{path}")]


def lead(
    lead_id: int, *numbers: str | None, created_at: str = "2024-01-01T00:00:00+00:00", **more: Any
) -> dict[str, Any]:
    """As the vendor shows one; its instants are all in UTC."""
    phones = [{"id": lead_id * 10, "number": number, "type": "mobile", "valid": True} for number in numbers]
    return {"id": lead_id, "account_id": 7, "created_at": created_at, "status": None, "phones": phones, **more}


def _numbers(lead: dict[str, Any]) -> list[str]:
    return [phone["number"] for phone in lead["phones"] if phone["number"]]


def _ends_with(digits: str, number: str) -> bool:
    return "".join(one for one in number if one.isdigit()).endswith(digits)
