"""The CRM over HTTP, and what each answer proves. Nothing above this file has heard of httpx.

What was seen                                                      is                   and then
-----------------------------------------------------------------  -------------------  -------------------------------
an error before the request's first byte left (name, connection,
  TLS, proxy, pool)                                                 NotApplied           again, after a backoff
  of these: a certificate that cannot be trusted                    DestinationUnusable  stop
any error after that (reset, timeout, half an answer)               InDoubt              never again on a guess
  of these: after a 2xx status line                                 InDoubt, applied     looked up, never sent again
2xx, JSON, with an id                                               Echo                 delivered; differences noted
2xx, JSON without an id, or cut off                                 InDoubt, applied     looked up, never sent again
2xx, a web page (a captive portal, a proxy)                         DestinationUnusable  stop; that one item in doubt
3xx                                                                 DestinationUnusable  stop; that one item in doubt
401                                                                 DestinationUnusable  stop; the item stays pending
405, 415, 419                                                       DestinationUnusable  stop; the item stays pending
404 of a create, before an account and a lead were read here        DestinationUnusable  stop; the item stays pending
404 of a create, once both were                                     Refused              reported: no such lead
404 of a lead's read                                                Refused              there is no such lead
404 of anything else                                                DestinationUnusable  stop
403                                                                 Refused              three in a row stop the run
400, 402, 409, 413, 422, 423, 451, any other 4xx                    Refused              reported with the CRM's reasons
408, 421, 425                                                       InDoubt              never again on a guess
429                                                                 Limited              the gate closes for everybody
5xx, 1xx, anything unheard of                                       InDoubt              never again on a guess

The proof that nothing left is httpcore's own word: the trace event `send_request_headers.started` comes right before
the first byte. The intent is written to the ledger inside that event, after the connection stands: so nothing can leave
without an intent on the disk, and an intent can never be older than its bytes.
"""

import codecs
import email.utils
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx

from pipeline import canonical, errors, model, privacy

# From the first byte out to the last byte in: a server that answers a byte a minute holds nobody up.
LONGEST_ANSWER_SECONDS = 150.0
TIMEOUTS = httpx.Timeout(connect=10.0, read=60.0, write=30.0, pool=None)
# Shorter than any server's patience: a connection closed under a request is the commonest way into doubt.
KEEPALIVE_SECONDS = 2.0
LARGEST_ANSWER_BYTES = 5 * 1024 * 1024

NO_ADDRESS = "the destination is no http address: name it as https://host/v2"
# What the ledger can hold; no CRM counts so far.
LARGEST_ID = 2**63 - 1

IN_DOUBT_STATUSES = frozenset({408, 421, 425})
ROUTE_STATUSES = frozenset({404, 405, 415, 419})

BeforeBytes = Callable[[], None]


def _nothing_to_write_down() -> None:
    """For requests that may be repeated freely."""


class Destination:
    """One CRM, one key. Every failure is an Outcome or DestinationUnusable of pipeline.errors."""

    def __init__(self, client: httpx.AsyncClient, base_url: str, token: privacy.Secret) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._token = token
        # Both read, the address is right and the key is good: a 404 is then about what was asked for.
        self._account_was_read = False
        self._lead_was_read = False

    async def accounts(self) -> tuple[model.Account, ...]:
        """GET /account: whose key this is. A group's key answers with several."""
        body = await self._send("GET", "/account")
        found = tuple(_account(one) for one in _as_list(body))
        self._account_was_read = True
        return found

    async def create(self, communication: model.Communication, before_bytes: BeforeBytes) -> model.Echo:
        """POST /communications. `before_bytes` is called once, right before the first byte leaves; if it raises,
        nothing has left."""
        payload = {name: value for name, value in asdict(communication).items() if value is not None}
        missing = None
        if self._account_was_read and self._lead_was_read:
            missing = errors.Refused("no such lead or address (status 404)", status=404)
        body = await self._send("POST", "/communications", payload, before_bytes, missing)
        data = body.get("data") if isinstance(body, dict) else None
        if not isinstance(data, dict) or not _is_id(data.get("id")):
            raise errors.InDoubt("a 2xx answer without an id", applied=True)
        return model.Echo(int(data["id"]), data, canonical.differences(communication, data))

    async def communications_of(self, lead_id: int) -> tuple[model.Stored, ...]:
        """GET /leads/:id with its communications, all of them. Refused (404) where the lead is not there, Incomplete
        where the answer shows no communications at all, which is not the same as none."""
        path = f"/leads/{lead_id}?include%5B%5D=communications"
        body = await self._send("GET", path, missing=errors.Refused("no such lead (status 404)", status=404))
        lead = _as_list(body)[0] if _as_list(body) else None
        shown = lead.get("communications") if isinstance(lead, dict) else None
        if not isinstance(shown, list):
            raise errors.Incomplete("the lead was shown without its communications")
        self._lead_was_read = True
        return tuple(_stored(one) for one in shown)

    async def _send(
        self,
        method: str,
        path: str,
        payload: Mapping[str, Any] | None = None,
        before_bytes: BeforeBytes = _nothing_to_write_down,
        missing: errors.Refused | None = None,
    ) -> Any:
        """`missing` is what a 404 means where it can mean a thing that is not there, and not only a wrong address."""
        evidence = _Evidence(before_bytes)
        try:
            request = self._client.build_request(
                method,
                f"{self._base_url}{path}",
                json=payload,
                headers={
                    "Authorization": f"Bearer {self._token.reveal()}",
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                },
                extensions={"trace": evidence.trace},
            )
            with anyio.fail_after(LONGEST_ANSWER_SECONDS):
                response = await self._client.send(request, stream=True, follow_redirects=False)
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
        if missing is not None and response.status_code == 404:
            raise missing
        return _judge_answer(response, content)


@asynccontextmanager
async def connected(
    base_url: str,
    token: privacy.Secret,
    *,
    connections: int = 8,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[Destination]:
    """A destination with its connections open; `transport` is for tests."""
    try:
        loopback = httpx.URL(base_url).host in ("127.0.0.1", "localhost", "::1")
    except httpx.InvalidURL as error:
        raise errors.DestinationUnusable(NO_ADDRESS) from error
    async with httpx.AsyncClient(
        transport=transport,
        verify=_tls(),
        http2=False,
        timeout=TIMEOUTS,
        limits=httpx.Limits(max_connections=connections, keepalive_expiry=KEEPALIVE_SECONDS),
        # Proxies of the environment are for the way out, never for a rehearsal on this machine.
        trust_env=not loopback,
    ) as client:
        yield Destination(client, base_url, token)


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
            f"the destination's certificate cannot be trusted ({privacy.scrub(str(error))}): check the address, the "
            "clock, and SSL_CERT_FILE behind a company proxy"
        )
    return errors.NotApplied(f"{name}: {privacy.scrub(str(error)) or 'no connection'}")


def _judge_answer(response: httpx.Response, content: bytes) -> Any:
    status = response.status_code
    if 200 <= status < 300:
        return _parsed(response, content)
    if 300 <= status < 400:
        raise errors.DestinationUnusable(
            f"the CRM answered {status}, a redirect; a key follows none: check the destination's address",
            in_doubt=True,
        )
    if status == 401:
        raise errors.DestinationUnusable("the CRM refused the key (401): check CALLIMPORT_TOKEN, then run again")
    if status in ROUTE_STATUSES:
        raise errors.DestinationUnusable(
            f"the CRM has no such address ({status}): the destination must end in its version, as in https://host/v2"
        )
    if status == 429:
        raise errors.Limited(f"status {status}", retry_after=_retry_after(response), status=status)
    if status in IN_DOUBT_STATUSES or status < 200 or status >= 500:
        raise errors.InDoubt(f"status {status}", status=status)
    raise errors.Refused(f"status {status}", status=status, reasons=_reasons(content))


def _parsed(response: httpx.Response, content: bytes) -> Any:
    status = response.status_code
    if content.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"<":
        raise errors.DestinationUnusable(
            f"a web page came instead of the CRM's answer ({status}): is a proxy or a login page in the way?",
            in_doubt=True,
        )
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise errors.InDoubt(f"status {status} with an unreadable body", status=status, applied=True) from None


async def _read(response: httpx.Response) -> bytes:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise _TooLarge("an encoded answer that was not asked for")
    content = bytearray()
    async for part in response.aiter_raw():
        content += part
        if len(content) > LARGEST_ANSWER_BYTES:
            raise _TooLarge("an answer of more than 5 MB")
    return bytes(content)


def _reasons(content: bytes) -> tuple[str, ...]:
    """The CRM's own words by field, fit to be shown."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(body, dict):
        return ()
    by_field = body.get("errors")
    if isinstance(by_field, dict) and by_field:
        return tuple(privacy.hide_numbers(f"{field}: {_first(said)}")[:200] for field, said in by_field.items())
    message = body.get("message")
    return (privacy.hide_numbers(message)[:200],) if isinstance(message, str) and message else ()


def _first(said: object) -> object:
    return said[0] if isinstance(said, list) and said else said


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, from a number or a date; a date counts from the CRM's own clock, not from ours."""
    value = response.headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return seconds if abs(seconds) < float("inf") else None
    try:
        return (_http_date(value) - _http_date(response.headers.get("Date", ""))).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None


def _http_date(value: str) -> datetime:
    # The oldest of the three forms names no zone; it means GMT as the others do.
    moment = email.utils.parsedate_to_datetime(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _as_list(body: Any) -> list[Any]:
    """`{"data": […]}`, `{"data": {…}}` and `{…}` were all seen in the vendor's pages."""
    data = body.get("data", body) if isinstance(body, dict) else body
    return data if isinstance(data, list) else [data]


def _stored(one: Any) -> model.Stored:
    if not isinstance(one, dict) or not _is_id(one.get("id")):
        raise errors.Incomplete("a communication was shown without its id")
    return model.Stored(
        id=int(one["id"]),
        method=str(one.get("method") or ""),
        type=str(one.get("type") or ""),
        executed_at=canonical.instant(one.get("executed_at")),
        created_at=canonical.instant(one.get("created_at")),
        description=str(one.get("description") or ""),
        body=one,
    )


def _account(one: Any) -> model.Account:
    if not isinstance(one, dict) or not _is_id(one.get("id")):
        raise errors.DestinationUnusable("the CRM did not say whose key this is: check the destination's address")
    return model.Account(int(one["id"]), privacy.scrub(str(one.get("name") or "")))


def _is_id(value: object) -> bool:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_ID


def _is_certificate(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _tls() -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
