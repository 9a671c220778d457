"""One request and what became of it: whether its bytes began to leave, and what came back."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import anyio
import httpx

from callimport.core import errors, privacy
from callimport.crm import responses

# From the first byte out to the last byte in: a server that answers a byte a minute holds nobody up.
LONGEST_ANSWER_SECONDS = 150.0
LARGEST_ANSWER_BYTES = 5 * 1024 * 1024
# A file may take its time on a slow line (32 kB/s: 16 MB in nine minutes), and the CRM its own with what it got.
SLOWEST_UPLOAD_BYTES_A_SECOND = 32 * 1024
UPLOAD_TIMEOUTS = httpx.Timeout(connect=10.0, read=120.0, write=30.0, pool=None)

NO_ADDRESS = "the destination is no http address: name it as https://host/v2"

BeforeBytes = Callable[[], None]


def nothing_to_write_down() -> None:
    """For requests that may be repeated freely."""


@dataclass(frozen=True, slots=True)
class Part:
    """The one file of a multipart body. `file` is read from its start in blocks, as the bytes leave."""

    field: str
    file_name: str
    media_type: str
    file: BinaryIO


class Exchange:
    """Requests to one CRM with one key."""

    def __init__(
        self, reads: httpx.AsyncClient, writes: httpx.AsyncClient, base_url: str, token: privacy.Secret
    ) -> None:
        self._reads = reads
        self._writes = writes
        self._base_url = base_url.rstrip("/")
        self._token = token
        # Whoever wants to see more of an answer than its body.
        self.look: Callable[[httpx.Response], None] = lambda response: None

    async def send(
        self,
        method: str,
        path: str,
        payload: Mapping[str, Any] | None = None,
        before_bytes: BeforeBytes = nothing_to_write_down,
        missing: errors.Refused | None = None,
        part: Part | None = None,
    ) -> Any:
        """`missing` is what a 404 means where it can mean a thing that is not there, and not only a wrong address."""
        evidence = _Evidence(before_bytes)
        client = self._reads if method == "GET" else self._writes
        try:
            request = client.build_request(
                method,
                f"{self._base_url}{path}",
                json=payload,
                files={part.field: (part.file_name, part.file, part.media_type)} if part else None,
                headers={
                    "Authorization": f"Bearer {self._token.reveal()}",
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                },
                timeout=UPLOAD_TIMEOUTS if part else httpx.USE_CLIENT_DEFAULT,
                extensions={"trace": evidence.trace},
            )
            with anyio.fail_after(_longest_seconds(request)):
                response = await client.send(request, stream=True, follow_redirects=False)
                try:
                    content = await _read(response)
                finally:
                    await response.aclose()
        # OSError: a TLS error after the handshake passes through httpx as it is.
        except (
            httpx.HTTPError,
            httpx.InvalidURL,
            httpx.StreamError,
            httpx.CookieConflict,
            OSError,
            _TooLarge,
        ) as error:
            raise _judge_error(error, evidence) from error
        self.look(response)
        if missing is not None and response.status_code == 404:
            raise missing
        if part is not None and response.status_code == 415:
            raise errors.Refused("not a kind of file that the CRM takes (status 415)", status=415)
        return responses.judge(response, content)


def _longest_seconds(request: httpx.Request) -> float:
    size = int(request.headers.get("Content-Length", "0"))
    return LONGEST_ANSWER_SECONDS + size / SLOWEST_UPLOAD_BYTES_A_SECOND


class _TooLarge(Exception):
    """An answer that no CRM gives."""


@dataclass(slots=True)
class _Evidence:
    """What is known for sure of one request: whether its bytes began to leave, and which status came back."""

    before_bytes: BeforeBytes
    started: bool = False
    status: int | None = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
            self.before_bytes()
            self.started = True
        elif event.endswith(".receive_response_headers.complete") and self.started:
            self.status = int(info["return_value"][1])


def _judge_error(error: Exception, evidence: _Evidence) -> errors.Outcome | errors.DestinationUnusable:
    name = type(error).__name__
    if evidence.started:
        applied = evidence.status is not None and 200 <= evidence.status < 300
        seen = f" after status {evidence.status}" if evidence.status else " after the request began to leave"
        return errors.InDoubt(f"{name}{seen}", status=evidence.status, applied=applied)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return errors.DestinationUnusable(NO_ADDRESS)
    if _is_certificate(error):
        return errors.DestinationUnusable(
            f"the destination's certificate cannot be trusted ({privacy.mask(str(error))}): check the address, the "
            "clock, and SSL_CERT_FILE behind a company proxy"
        )
    return errors.NotApplied(f"{name}: {privacy.mask(str(error)) or 'no connection'}")


async def _read(response: httpx.Response) -> bytes:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise _TooLarge("an encoded answer that was not asked for")
    content = bytearray()
    async for part in response.aiter_raw():
        content += part
        if len(content) > LARGEST_ANSWER_BYTES:
            raise _TooLarge("an answer of more than 5 MB")
    return bytes(content)


def _is_certificate(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
