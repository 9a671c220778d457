"""Record one word for each request kind and each exception or status, at each moment of a request. Runs in process.

Words of a create, an update and an upload: `taken`, `not stored: retried` (nothing left), `in doubt` (it may be
stored), `in doubt, stored` (it is stored, and nobody knows as what), `refused`, `limited`, `stops`, `stops, in doubt`
(the run ends; in the second case the request may be stored). Words of a read: `taken`, `retried`, `refused`, `limited`,
`stops`, `incomplete` (an answer that does not show everything).

Exceptions of httpx are raised by a transport. Exceptions of httpcore are raised by a network below the real httpcore,
so that their translation is part of the record. A 404 is recorded twice: before and after an account and a lead were
read.
"""

import json
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import anyio
import anyio.lowlevel
import httpcore
import httpx

from tests.baseline import requests_of_the_importer as importer

NAME = "outcomes_of_exceptions"
Words = dict[str, str]
Raises = Callable[[httpx.Request], Exception]

ROOTS = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)
# The moments at which a transport can fail: whether the request began to leave, and which status came back.
MOMENTS: dict[str, tuple[bool, int | None]] = {
    "before the first byte": (False, None),
    "after the first byte": (True, None),
    "after status 201": (True, 201),
    "after status 302": (True, 302),
    "after status 422": (True, 422),
    "after status 500": (True, 500),
}
IN_A_BODY = "in the body of a 201"
WRITES = ("create", "update", "upload")
# A read stores nothing, so it is never in doubt.
_OF_A_READ = {
    "not stored: retried": "retried",
    "in doubt": "retried",
    "in doubt, stored": "retried",
    "stops, in doubt": "stops",
}
STATUSES = (*range(100, 600), 600, 799, 999)
BODIES: dict[str, bytes | None] = {
    "empty": b"",
    "JSON": b'{"message": "scripted"}',
    "web page": b"<html></html>",
    # What a sound CRM answers to this very request.
    "sound": None,
}
_LEAD = {"id": importer.LEAD, "phones": [], "communications": []}
_ACCOUNT = {"id": 301, "name": "Concession fictive", "users": []}
_SOUND: dict[str, object] = {
    "account": {"data": [_ACCOUNT]},
    "users": {"data": [_ACCOUNT]},
    "list of leads": {"data": [_LEAD], "meta": {"total": 1, "last_page": 1}},
    "leads with communications": {"data": [_LEAD], "meta": {"total": 1, "last_page": 1}},
    "leads by number": {"data": [_LEAD], "meta": {"total": 1, "last_page": 1}},
    "search": {"data": [_LEAD], "meta": {"total": 1, "last_page": 1}},
    "lead": {"data": _LEAD},
    "create": {"data": {"id": importer.COMMUNICATION}},
    "update": {"data": {"id": importer.COMMUNICATION}},
    "upload": {"message": "Recording uploaded successfully."},
}


def observe_exceptions() -> dict[str, Any]:
    """The whole table, by kind of request."""
    return anyio.run(_observe)


def httpx_exceptions() -> list[type[Exception]]:
    """Every class of httpx that can be raised, without the classes that only group others."""
    return sorted(
        {leaf for root in ROOTS for leaf in _leaves(root) if leaf.__module__.startswith("httpx")},
        key=lambda one: one.__name__,
    )


def httpcore_exceptions() -> list[type[Exception]]:
    """Every class that httpcore exports and a network may raise. ConnectionNotAvailable is a signal inside its pool."""
    exported = [one for one in vars(httpcore).values() if isinstance(one, type) and issubclass(one, Exception)]
    exported.remove(httpcore.ConnectionNotAvailable)
    return sorted((one for one in exported if not one.__subclasses__()), key=lambda one: one.__name__)


def _leaves(root: type[Exception]) -> list[type[Exception]]:
    below = root.__subclasses__()
    return [leaf for one in below for leaf in _leaves(one)] if below else [root]


async def _observe() -> dict[str, Any]:
    found: dict[str, Any] = {
        "all": {
            "exceptions of httpx": [one.__name__ for one in httpx_exceptions()],
            "exceptions of httpcore and of the system": list(_of_a_network()),
        }
    }
    for kind in importer.KINDS:
        found[kind] = {
            "exceptions of httpx": await _of_httpx(kind),
            "exceptions of httpcore and of the system": await _of_the_network(kind),
            "statuses, an account and a lead were read": await _of_statuses(kind, STATUSES, is_known=True),
            "status 404, nothing was read": await _of_statuses(kind, (404,), is_known=False),
        }
    return found


# Exceptions of httpx


class _Failing(httpx.AsyncBaseTransport):
    """Sends httpcore's trace events up to one moment, then raises."""

    def __init__(self) -> None:
        self.begins = False
        self.status: int | None = None
        self.raises: Raises = lambda request: httpx.ConnectError("")
        self.is_in_body = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await _trace(request, begins=self.begins, status=self.status)
        error = self.raises(request)
        if self.is_in_body:
            return httpx.Response(201, stream=_BrokenBody(error))
        raise error


class _BrokenBody(httpx.AsyncByteStream):
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"data":'
        raise self._error


async def _trace(request: httpx.Request, *, begins: bool, status: int | None) -> None:
    trace = request.extensions.get("trace")
    if trace is None:
        return
    await trace("connection.connect_tcp.started", {})
    if begins:
        sent = httpcore.Request(request.method, str(request.url))
        await trace("http11.send_request_headers.started", {"request": sent})
    if status is not None:
        await trace("http11.receive_response_headers.complete", {"return_value": (b"HTTP/1.1", status, b"", [])})


async def _of_httpx(kind: str) -> dict[str, Words]:
    transport, found = _Failing(), dict[str, Words]()
    raised = {one.__name__: _raising(one) for one in httpx_exceptions()}
    async with importer.connected(transport) as there:
        for moment, (begins, status) in {**MOMENTS, IN_A_BODY: (True, 201)}.items():
            transport.begins, transport.status, transport.is_in_body = begins, status, moment == IN_A_BODY
            words = {}
            for name, raises in raised.items():
                transport.raises = raises
                words[name] = await _word(kind, there)
            found[moment] = _by_word(words)
    return _alike(found)


def _raising(leaf: type[Exception]) -> Raises:
    if issubclass(leaf, httpx.HTTPStatusError):
        return lambda request: leaf("text", request=request, response=httpx.Response(500))
    if issubclass(leaf, httpx.StreamError):
        return lambda request: leaf()  # type: ignore[call-arg]
    return lambda request: leaf("text")


# Exceptions of httpcore, and of the system below it


class _Network(httpcore.AsyncNetworkBackend):
    """Raises an error when a connection is made, a request is written, or an answer is read."""

    def __init__(self) -> None:
        self.moment = ""
        self.error: Exception = httpcore.ConnectError("")

    async def connect_tcp(self, *given: Any, **more: Any) -> httpcore.AsyncNetworkStream:
        if self.moment == "connecting":
            raise self.error
        return _Wire(self)


class _Wire(httpcore.AsyncNetworkStream):
    def __init__(self, network: _Network) -> None:
        self._network = network
        self._reads = 0

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if self._network.moment == "writing":
            raise self._network.error

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        await anyio.lowlevel.checkpoint()
        self._reads += 1
        if self._network.moment == "reading the body of a 201" and self._reads == 1:
            return b"HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\n{"
        raise self._network.error

    async def aclose(self) -> None:
        """Nothing to close."""

    def get_extra_info(self, info: str) -> Any:
        return None


def _of_a_network() -> dict[str, Exception]:
    """What a network may raise, by name."""
    foreign: list[Exception] = [
        OSError("text"), ConnectionResetError("text"), BrokenPipeError("text"), TimeoutError("text"),
        ssl.SSLError(1, "text"), ssl.SSLCertVerificationError(1, "text"), ssl.SSLEOFError(8, "text"),
    ]  # fmt: skip
    raised = {one.__name__: one("text") for one in httpcore_exceptions()}
    return raised | {type(one).__name__: one for one in foreign}


async def _of_the_network(kind: str) -> dict[str, Words]:
    raised = _of_a_network()
    network, found = _Network(), dict[str, Words]()
    for moment in ("connecting", "writing", "reading", "reading the body of a 201"):
        words = {}
        for name, error in raised.items():
            network.moment, network.error = moment, error
            transport = httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
            transport._pool = httpcore.AsyncConnectionPool(network_backend=network)
            async with importer.connected(transport) as there:
                words[name] = await _word(kind, there)
        found[moment] = _by_word(words)
    return _alike(found)


# Statuses


class _Answering(httpx.AsyncBaseTransport):
    """Answers what it is told to; before that, reads of an account and a lead are sound."""

    def __init__(self) -> None:
        self.answer: tuple[int, bytes] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        kind = "account" if request.url.path.endswith("/account") else "lead"
        status, content = self.answer or (200, json.dumps(_SOUND[kind]).encode())
        await _trace(request, begins=True, status=status)
        return httpx.Response(status, stream=httpx.ByteStream(content))


async def _of_statuses(kind: str, statuses: Iterable[int], *, is_known: bool) -> dict[str, Words]:
    transport, found = _Answering(), defaultdict[str, dict[int, str]](dict)
    async with importer.connected(transport) as there:
        if is_known:
            await importer.read_account_and_lead(there)
        for body, content in BODIES.items():
            for status in statuses:
                transport.answer = (status, json.dumps(_SOUND[kind]).encode() if content is None else content)
                found[body][status] = await _word(kind, there)
    return _alike({body: _by_range(words) for body, words in found.items()})


async def _word(kind: str, there: importer.Client) -> str:
    error: Exception | None = None
    try:
        await importer.KINDS[kind](there)
    except Exception as raised:  # noqa: BLE001  whatever is raised has a word
        error = raised
    word = importer.word(error)
    return word if kind in WRITES else _OF_A_READ.get(word, word)


# Compact forms


def _by_word(words: Words) -> Words:
    """The names of each word on one line; "all" if every name has the same word."""
    if len(set(words.values())) == 1:
        return dict.fromkeys(words.values(), "all")
    return {word: " ".join(name for name in words if words[name] == word) for word in sorted(set(words.values()))}


def _by_range(words: dict[int, str]) -> Words:
    """The statuses of each word, as ranges."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for status, word in words.items():
        ranges = found[word]
        if ranges and ranges[-1][1] == status - 1:
            ranges[-1] = (ranges[-1][0], status)
        else:
            ranges.append((status, status))
    return {
        word: ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
        for word, ranges in found.items()
    }


def _alike(tables: dict[str, Words]) -> dict[str, Words]:
    """Merge equal tables under a joined name."""
    found: dict[str, Words] = {}
    for name, table in tables.items():
        same = next((other for other in found if found[other] == table), None)
        if same is not None:
            found[f"{same} or {name}"] = found.pop(same)
        else:
            found[name] = table
    return found
