"""What each answer proves, row by row of the table on top of crm/client.py, through the real HTTP stack."""

import contextlib
import json
import re
import ssl
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
import httpcore
import httpx
import pytest
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSStream

from callimport.core import errors, models, privacy
from callimport.crm import client
from tests import fake_crm
from tests.fake_crm import TOKEN, Ending, FakeCrm, Line, Reply, in_virtual_time, reply

CALL = models.Communication(
    lead_id=5001,
    method="phone",
    type="outgoing",
    executed_at="2026-11-20T09:30:00-05:00",
    executed_by=101,
    description="Rappel: essai routier · ref 7K3Q-2M9D-XA",
    call_status="answered",
    call_duration=95,
    call_phone="+15145550101",
)
# httpx leaves a generator half read where a transfer is broken off: trio warns of it, and we ship on asyncio.
ASYNCIO_ONLY = pytest.mark.parametrize("anyio_backend", ["asyncio"])
KEPT = {"id": 42534452, "lead_id": 5001, "user_id": 101, "method": "phone", "type": "outgoing"}


def nothing() -> None:
    """For requests whose intent nobody asks for."""


async def outcome(crm: FakeCrm, before_bytes: Callable[[], None] = nothing, **reached: Any) -> Any:
    """What one create comes to: an Echo, or the exception as a value."""
    async with crm.reached(**reached) as there:
        try:
            return await there.create(CALL, before_bytes)
        except (errors.Outcome, errors.ImporterError) as error:
            return error


def scripted(*replies: Reply) -> FakeCrm:
    return FakeCrm(script=deque(replies))


def in_doubt(found: Any) -> tuple[int | None, bool]:
    assert isinstance(found, errors.InDoubt), repr(found)
    return found.status, found.applied


# The rows of errors


def leaves(root: type[Exception]) -> list[type[Exception]]:
    below = root.__subclasses__()
    return [leaf for one in below for leaf in leaves(one)] if below else [root]


ROOTS = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)
STOPS = errors.DestinationUnusable
BEFORE_THE_FIRST_BYTE: dict[str, type[Exception]] = {
    "ConnectTimeout": errors.NotApplied,
    "ReadTimeout": errors.NotApplied,
    "WriteTimeout": errors.NotApplied,
    "PoolTimeout": errors.NotApplied,
    "ConnectError": errors.NotApplied,
    "ReadError": errors.NotApplied,
    "WriteError": errors.NotApplied,
    "CloseError": errors.NotApplied,
    "LocalProtocolError": errors.NotApplied,
    "RemoteProtocolError": errors.NotApplied,
    "ProxyError": errors.NotApplied,
    "UnsupportedProtocol": STOPS,
    "DecodingError": errors.NotApplied,
    "TooManyRedirects": errors.NotApplied,
    "HTTPStatusError": errors.NotApplied,
    "InvalidURL": STOPS,
    "CookieConflict": errors.NotApplied,
    "StreamConsumed": errors.NotApplied,
    "StreamClosed": errors.NotApplied,
    "ResponseNotRead": errors.NotApplied,
    "RequestNotRead": errors.NotApplied,
}


def raised(leaf: type[Exception], request: httpx.Request) -> Exception:
    if issubclass(leaf, httpx.HTTPStatusError):
        return leaf("some text", request=request, response=httpx.Response(500))
    return leaf() if issubclass(leaf, httpx.StreamError) else leaf("some text")  # type: ignore[call-arg]


class Failing(httpx.AsyncBaseTransport):
    """Traces as far as it is told, then fails."""

    def __init__(self, leaf: type[Exception], *, begins: bool, status: int | None) -> None:
        self.leaf, self.begins, self.status = leaf, begins, status

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        trace = request.extensions["trace"]
        await trace("connection.connect_tcp.started", {})
        if self.begins:
            await trace("http11.send_request_headers.started", {"request": httpx.Request("POST", request.url)})
        if self.status is not None:
            await trace(
                "http11.receive_response_headers.complete", {"return_value": (b"HTTP/1.1", self.status, b"", [])}
            )
        raise raised(self.leaf, request)


ALL_LEAVES = sorted({leaf for root in ROOTS for leaf in leaves(root) if leaf.__module__.startswith("httpx")}, key=str)


def test_every_exception_that_httpx_exports_hangs_below_a_root_that_is_walked() -> None:
    exported = [one for one in vars(httpx).values() if isinstance(one, type) and issubclass(one, Exception)]
    assert [one for one in exported if not issubclass(one, ROOTS)] == []
    assert {leaf.__name__ for leaf in ALL_LEAVES} == set(BEFORE_THE_FIRST_BYTE)


@pytest.mark.parametrize("leaf", ALL_LEAVES, ids=lambda leaf: leaf.__name__)
async def test_every_exception_of_httpx_has_its_place(leaf: type[Exception]) -> None:
    """The class proves nothing, the trace does (RELIABILITY 1.4): each class, at each moment it could come."""
    expected: list[tuple[bool, int | None, type[Exception], bool | None]] = [
        (False, None, BEFORE_THE_FIRST_BYTE[leaf.__name__], None),
        (True, None, errors.InDoubt, False),
        (True, 201, errors.InDoubt, True),
        (True, 422, errors.InDoubt, False),
        (True, 500, errors.InDoubt, False),
    ]
    for begins, status, placed, applied in expected:
        async with fake_crm.connected_over(Failing(leaf, begins=begins, status=status)) as there:
            with pytest.raises(placed) as caught:
                await there.create(CALL, nothing)
        assert type(caught.value) is placed
        if isinstance(caught.value, errors.InDoubt):
            assert (caught.value.status, caught.value.applied) == (status, applied)
        if isinstance(caught.value, STOPS):
            assert not caught.value.in_doubt


@pytest.mark.parametrize("line", [Line.REFUSED, Line.SILENT], ids=str)
def test_no_connection_is_surely_not_applied_and_leaves_no_intent(line: Line) -> None:
    @in_virtual_time
    async def story() -> None:
        crm, intents = FakeCrm(lines=deque([line])), list[int]()
        found = await outcome(crm, lambda: intents.append(1))
        assert type(found) is errors.NotApplied
        assert (intents, crm.bytes_seen) == ([], 0)
        assert anyio.current_time() == (10.0 if line is Line.SILENT else 0.0)

    story()


@pytest.mark.parametrize(
    ("crm", "seconds"),
    [
        (FakeCrm(lines=deque([Line.DEAF])), 0.0),
        (FakeCrm(lines=deque([Line.STUCK])), 30.0),
        (scripted(fake_crm.RESETS), 0.0),
        (scripted(fake_crm.CLOSES), 0.0),
        (scripted(fake_crm.NO_REPLY), 60.0),
        (scripted(Reply(b"HTTP/1.1 201 Cre")), 60.0),
        (scripted(Reply(b"HTTP/1.1 201 Cre", Ending.CLOSE)), 0.0),
        (scripted(Reply(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", Ending.CLOSE)), 0.0),
        (scripted(Reply(b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n", Ending.RESET)), 0.0),
    ],
    ids=[
        "reset unread", "nothing is taken", "reset after the request", "closed after the request", "hangs",
        "half a status line", "half a status line, closed", "no http at all", "early hints, then reset",
    ],
)  # fmt: skip
def test_a_lost_answer_is_in_doubt(crm: FakeCrm, seconds: float) -> None:
    """A server that read the request and died, and one that never read it, look the same from here."""

    @in_virtual_time
    async def story() -> None:
        intents: list[int] = []
        assert in_doubt(await outcome(crm, lambda: intents.append(1))) == (None, False)
        assert intents == [1]
        assert anyio.current_time() == seconds

    story()


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET, Ending.STAY], ids=str)
@pytest.mark.parametrize("cut_after", [0, 1, 40])
def test_a_2xx_that_is_cut_off_was_applied(ending: Ending, cut_after: int) -> None:
    @in_virtual_time
    async def story() -> None:
        crm = scripted(reply(201, {"data": KEPT}, cut_after=cut_after, ending=ending))
        assert in_doubt(await outcome(crm)) == (201, True)

    story()


async def test_a_refusal_that_is_cut_off_is_in_doubt_but_not_applied() -> None:
    crm = scripted(reply(422, {"message": "no"}, cut_after=3))
    assert in_doubt(await outcome(crm)) == (422, False)


# The rows of answers


def expected_place(status: int) -> str:
    if 200 <= status < 300:
        return "applied, no body" if status == 204 else "echo"
    if 300 <= status < 400:
        return "stop, in doubt"
    if status in (401, 404, 405, 415, 419):
        return "stop, pending"
    if status in (408, 421, 425):
        return "in doubt"
    if status == 429:
        return "limited"
    return "refused" if 400 <= status < 500 else "in doubt"


def place(found: Any) -> str:
    match found:
        case models.Echo():
            return "echo"
        case errors.Limited():
            return "limited"
        case errors.InDoubt(applied=applied):
            return "applied, no body" if applied else "in doubt"
        case errors.Refused():
            return "refused"
        case errors.DestinationUnusable(in_doubt=doubt):
            return "stop, in doubt" if doubt else "stop, pending"
        case _:
            return repr(found)


@pytest.mark.parametrize("hundreds", [2, 3, 4, 5])
async def test_every_status_code_has_its_place(hundreds: int) -> None:
    crm = FakeCrm()
    async with crm.reached() as there:
        for status in range(hundreds * 100, hundreds * 100 + 100):
            crm.script.append(reply(status, {"data": KEPT, "message": "so it is"}, ending=Ending.CLOSE))
            found: Any
            try:
                found = await there.create(CALL, nothing)
            except (errors.Outcome, errors.ImporterError) as error:
                found = error
            assert place(found) == expected_place(status), status
            if isinstance(found, errors.Outcome):
                assert found.status == status


ACCOUNT_READ = reply(200, {"data": {"id": 7, "name": "Concession fictive"}})
LEAD_READ = reply(200, {"data": {"id": 5001, "communications": []}})


async def after_reads(*replies: Reply) -> Any:
    """What a create comes to that is answered with the last reply, after reads answered with those before it."""
    crm = FakeCrm(answer=lambda request: next(answers))
    answers = iter(replies)
    async with crm.reached() as there:
        for one in replies[:-1]:
            with contextlib.suppress(errors.Outcome):
                await (there.accounts() if one is ACCOUNT_READ else there.communications_of(5001))
        try:
            return await there.create(CALL, nothing)
        except (errors.Outcome, errors.ImporterError) as error:
            return error


@pytest.mark.parametrize(
    "reads",
    [
        (),
        (ACCOUNT_READ,),
        (LEAD_READ,),
        (ACCOUNT_READ, reply(404)),
        (ACCOUNT_READ, reply(500)),
        (ACCOUNT_READ, reply(200, {"data": {"id": 5001}})),
    ],
    ids=["nothing read", "account", "lead", "lead not there", "lead failed", "lead not shown whole"],
)
async def test_a_404_is_of_the_address_until_an_account_and_a_lead_were_read(reads: tuple[Reply, ...]) -> None:
    """A wrong address must not burn ten thousand calls one by one."""
    found = await after_reads(*reads, reply(404))
    assert place(found) == "stop, pending"
    assert "no such address" in str(found)


@pytest.mark.parametrize("reads", [(ACCOUNT_READ, LEAD_READ), (LEAD_READ, reply(404), ACCOUNT_READ)], ids=len)
async def test_a_404_is_the_calls_own_once_an_account_and_a_lead_were_read(reads: tuple[Reply, ...]) -> None:
    """One lead that somebody deleted is no reason to stop the others."""
    found = await after_reads(*reads, reply(404, {"message": "No query results for model [Lead] 5001"}))
    assert isinstance(found, errors.Refused)
    assert (found.status, found.reasons) == (404, ())
    assert "no such lead or address" in found.evidence


@pytest.mark.parametrize("status", [405, 415, 419])
async def test_what_the_address_cannot_do_stops_the_run_whatever_was_read(status: int) -> None:
    assert place(await after_reads(ACCOUNT_READ, LEAD_READ, reply(status))) == "stop, pending"


async def test_an_account_that_is_not_there_is_of_the_address_whatever_was_read() -> None:
    crm = scripted(ACCOUNT_READ, LEAD_READ, reply(404))
    async with crm.reached() as there:
        await there.accounts()
        await there.communications_of(5001)
        with pytest.raises(errors.DestinationUnusable, match="no such address"):
            await there.accounts()


# Updates


async def updated(*replies: Reply, reads: bool = True) -> Any:
    crm = FakeCrm(script=deque([*([ACCOUNT_READ, LEAD_READ] if reads else []), *replies]))
    async with crm.reached() as there:
        if reads:
            await there.accounts()
            await there.communications_of(5001)
        try:
            return await there.update(42534452, {"call_duration": 9, "description": None}, nothing)
        except (errors.Outcome, errors.ImporterError) as error:
            return error


async def test_an_update_names_what_changes_and_nothing_else() -> None:
    crm = scripted(reply(200, {"data": {"id": "42534452", "call_duration": 8, "description": ""}}))
    async with crm.reached() as there:
        echo = await there.update(42534452, {"call_duration": 9, "description": None}, nothing)
    (sent,) = crm.received
    assert (sent.method, sent.target) == ("PUT", "/v2/communications/42534452")
    # Blank on purpose, so that a null is sent.
    assert sent.json == {"call_duration": 9, "description": None}
    assert (echo.communication_id, echo.differences) == (42534452, ("call_duration",))


async def test_the_404_of_an_update_is_of_the_address_until_an_account_and_a_lead_were_read() -> None:
    assert place(await updated(reply(404), reads=False)) == "stop, pending"
    found = await updated(reply(404))
    assert isinstance(found, errors.Refused)
    assert (found.status, found.evidence) == (404, "no such communication (status 404)")


@pytest.mark.parametrize("body", [[], {}, {"data": []}, {"data": {"call_duration": 9}}, {"data": {"id": 7}}])
async def test_an_update_that_answers_of_nothing_or_of_another_proves_nothing(body: object) -> None:
    assert in_doubt(await updated(reply(200, body))) == (None, True)


async def test_an_interim_answer_without_a_final_one_is_in_doubt() -> None:
    crm = FakeCrm()
    async with crm.reached() as there:
        for status in range(100, 200):
            crm.script.append(reply(status, ending=Ending.CLOSE))
            with pytest.raises(errors.InDoubt) as caught:
                await there.create(CALL, nothing)
            assert in_doubt(caught.value) == (None, False), status


@pytest.mark.parametrize("status", [100, 101, 199])
async def test_an_interim_answer_that_comes_as_the_final_one_is_in_doubt(status: int) -> None:
    """h11 lets none through; another client under httpx might."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, stream=httpx.ByteStream(b"")))
    async with fake_crm.connected_over(transport) as there:
        with pytest.raises(errors.InDoubt) as caught:
            await there.create(CALL, nothing)
    assert in_doubt(caught.value) == (status, False)


async def test_an_answer_after_an_interim_one_counts() -> None:
    hints = Reply(b"HTTP/1.1 100 Continue\r\n\r\n" + reply(201, {"data": KEPT}).data)
    assert (await outcome(scripted(hints))).communication_id == 42534452


@pytest.mark.parametrize("status", [600, 799, 999])
async def test_a_status_unheard_of_is_in_doubt(status: int) -> None:
    assert in_doubt(await outcome(scripted(reply(status, {"data": KEPT})))) == (status, False)


NO_ID = [
    b"", b"null", b"[]", b"{}", b'"ok"', b'{"data":null}', b'{"data":[]}', b'{"data":{}}', b'{"data":{"id":null}}',
    b'{"data":{"id":0}}', b'{"data":{"id":"0"}}', b'{"data":{"id":-4}}', b'{"data":{"id":true}}',
    b'{"data":{"id":1.5}}', b'{"data":{"id":"x1"}}', b'{"data":{"id":"\xd9\xa1"}}',
    b'{"data":{"id":9223372036854775808}}',
    b'{"data":{"id":"' + b"9" * 5000 + b'"}}', b"1" * 5000, b"\xff\xfe{", b"created", b'{"data":{"id":4',
    b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("body", NO_ID, ids=lambda body: repr(body[:30]))
async def test_a_2xx_without_a_readable_id_was_applied_and_is_never_sent_again(body: bytes) -> None:
    """Nor may an id pass that the ledger could not keep: the run would end with the call in flight."""
    status, applied = in_doubt(await outcome(scripted(reply(201, body))))
    assert applied
    assert status in (201, None)


@pytest.mark.parametrize("given", [42534452, "42534452", 2**63 - 1], ids=repr)
async def test_an_id_is_a_number_or_the_text_of_one(given: object) -> None:
    found = await outcome(scripted(reply(200, {"data": {"id": given}})))
    assert found.communication_id == int(str(given))


@pytest.mark.parametrize("page", [b"<html>", b"\r\n  <!DOCTYPE html>", b"\xef\xbb\xbf<html>"], ids=repr)
async def test_a_web_page_instead_of_an_answer_stops_the_run(page: bytes) -> None:
    """The login page of a hotel's network answers 200 to everything."""
    assert place(await outcome(scripted(reply(200, page)))) == "stop, in doubt"


async def test_an_encoded_answer_is_not_unpacked() -> None:
    """It was not asked for, and a bomb unpacks to any size."""
    crm = scripted(reply(201, b"\x1f\x8b" + bytes(30), [("Content-Encoding", "gzip")]))
    assert in_doubt(await outcome(crm)) == (201, True)
    assert crm.received[0].headers["accept-encoding"] == "identity"


@ASYNCIO_ONLY
async def test_an_endless_answer_is_given_up_after_5_mb() -> None:
    crm = scripted(reply(201, json.dumps({"data": KEPT}).encode() + b" " * (6 * 1024 * 1024)))
    assert in_doubt(await outcome(crm)) == (201, True)


async def test_an_answer_of_just_under_5_mb_is_read() -> None:
    crm = scripted(reply(201, json.dumps({"data": KEPT}).encode() + b" " * (5 * 1024 * 1024 - 500)))
    assert (await outcome(crm)).communication_id == 42534452


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(status: int) -> None:
    """The other host would be handed the key and the call."""
    crm = scripted(reply(status, None, [("Location", "http://elsewhere.test/v2/communications")]))
    found = await outcome(crm)
    assert place(found) == "stop, in doubt"
    assert (crm.connections, len(crm.received)) == (["127.0.0.1"], 1)


async def test_a_refused_key_stops_and_says_where_to_look() -> None:
    found = await outcome(scripted(reply(401, {"message": "Unauthenticated."})))
    assert place(found) == "stop, pending"
    assert "CALLIMPORT_TOKEN" in str(found)


async def test_the_crms_reasons_are_kept_by_field() -> None:
    body = {
        "message": "The lead id field is required. (and 1 more error)",
        "errors": {
            "lead_id": ["Le champ lead id est obligatoire."],
            "call_phone": ["The number +1 (514) 555-0123 is invalid.", "second"],
            "executed_by": "as text",
        },
    }
    found = await outcome(scripted(reply(422, body)))
    assert isinstance(found, errors.Refused)
    assert found.status == 422
    assert found.reasons[0] == "lead_id: Le champ lead id est obligatoire."
    assert found.reasons[1].startswith("call_phone: The number +1514•••0123")
    assert found.reasons[2] == "executed_by: as text"
    assert "5550123" not in re.sub(r"\D", "", "".join(found.reasons))


@pytest.mark.parametrize(
    ("body", "reasons"),
    [
        (b'{"message":"Duplicate lead."}', ("Duplicate lead.",)),
        (b'{"message":"no","errors":{}}', ("no",)),
        (b'{"message":"no","errors":[]}', ("no",)),
        (b'{"message":"","errors":null}', ()),
        (b'{"message":5}', ()),
        (b"<html>413</html>", ()),
        (b"[1]", ()),
        (b"\xff", ()),
        (b"", ()),
        (b'{"errors":{"a":[]}}', ("a: []",)),
        (b"[" * 100_000, ()),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_a_refusal_in_whatever_form_stays_a_refusal(body: bytes, reasons: tuple[str, ...]) -> None:
    found = await outcome(scripted(reply(422, body)))
    assert isinstance(found, errors.Refused)
    assert found.reasons == reasons


async def test_a_reason_cannot_write_over_the_terminal_or_fill_it() -> None:
    body = {"errors": {"description": ["\x1b[2J\x07wiped\n" + "x" * 5000]}}
    (reason,) = (await outcome(scripted(reply(422, body)))).reasons
    assert reason.isprintable()
    assert len(reason) <= 200


DATE = datetime(1999, 12, 31, 23, 59, 0, tzinfo=UTC)
LATER = DATE + timedelta(seconds=95)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("37", 37.0), ("0", 0.0), ("-4", -4.0), ("3600", 3600.0), (" 12 ", 12.0), ("1.5", 1.5),
        (format_datetime(LATER, usegmt=True), 95.0),
        (LATER.strftime("%A, %d-%b-%y %H:%M:%S GMT"), 95.0),
        (LATER.strftime("%a %b %d %H:%M:%S %Y"), 95.0),
        (format_datetime(DATE - timedelta(seconds=5), usegmt=True), -5.0),
        ("soon", None), ("", None), ("nan", None), ("inf", None), ("1e999", None), ("-inf", None), ("12, 13", None),
        ("Fri, 31 Dec 99999999999 23:59:59 GMT", None), ("Fri, 99 Foo 1999 99:99:99 GMT", None), ("\xe9", None),
    ],
)  # fmt: skip
async def test_retry_after_is_read_in_every_form(value: str, seconds: float | None) -> None:
    """A date counts from the CRM's clock (its Date header), not from ours, which may be years off."""
    headers = [("Date", format_datetime(DATE, usegmt=True)), ("Retry-After", value)]
    found = await outcome(scripted(reply(429, {"message": "Too Many Attempts."}, headers)))
    assert isinstance(found, errors.Limited)
    assert (found.status, found.retry_after) == (429, seconds)


@pytest.mark.parametrize("headers", [[], [("Retry-After", format_datetime(LATER, usegmt=True))]], ids=repr)
async def test_a_429_that_names_no_usable_time_names_none(headers: list[tuple[str, str]]) -> None:
    found = await outcome(scripted(reply(429, b"Too Many Attempts.", headers)))
    assert isinstance(found, errors.Limited)
    assert found.retry_after is None


# Order: connection, intent, bytes


async def test_the_intent_comes_once_after_the_connection_and_before_any_byte() -> None:
    crm, seen = FakeCrm(), list[tuple[int, int]]()
    async with crm.reached() as there:
        for turn in (1, 2):
            await there.create(CALL, lambda: seen.append((len(crm.connections), crm.bytes_seen)))
            assert len(seen) == turn
    assert seen == [(1, 0), (1, seen[1][1])], "the second went over the same connection"
    assert len(crm.received) == 2


class NoDisk(errors.LedgerError):
    pass


async def test_an_intent_that_cannot_be_written_holds_every_byte_back() -> None:
    crm, error = FakeCrm(), NoDisk("disk full")

    def fails() -> None:
        raise error

    async with crm.reached() as there:
        with pytest.raises(NoDisk) as caught:
            await there.create(CALL, fails)
        assert caught.value is error
        assert (len(crm.connections), crm.bytes_seen) == (1, 0)
        await there.create(CALL, nothing)
    assert len(crm.received) == 1, "the destination stays usable"


async def test_a_proxys_connect_is_not_the_first_byte() -> None:
    """The proxy is asked first; it may refuse or die, and the CRM then has seen nothing."""
    crm, intents = FakeCrm(), list[int]()
    crm.script.append(reply(407, ending=Ending.CLOSE))
    at = {"base_url": "https://127.0.0.1/v2", "proxy": "http://127.0.0.1:3128"}
    found = await outcome(crm, lambda: intents.append(1), **at)
    assert type(found) is errors.NotApplied
    assert (intents, crm.received) == ([], [])
    found = await outcome(crm, lambda: intents.append(len(crm.received)), **at)
    assert isinstance(found, models.Echo)
    assert intents == [0]


async def test_a_proxys_200_is_no_answer_of_the_crms() -> None:
    """A 200 to the CONNECT and then silence: in doubt, but nothing says that it was applied."""
    crm = scripted(fake_crm.CLOSES)
    found = await outcome(crm, base_url="https://127.0.0.1/v2", proxy="http://127.0.0.1:3128")
    assert in_doubt(found) == (None, False)


# Certificates


async def test_a_certificate_that_cannot_be_trusted_stops_the_run() -> None:
    crm, intents = FakeCrm(lines=deque([Line.DISTRUSTED])), list[int]()
    found = await outcome(crm, lambda: intents.append(1), base_url="https://127.0.0.1/v2")
    assert place(found) == "stop, pending"
    assert "certificate" in str(found)
    assert intents == []


# Self-signed for 127.0.0.1 until 2126; it guards nothing.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBkDCCATagAwIBAgIUBUI/ebzeymyiMgkvg6faOW8iPKMwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyMjE5MDc1OFoYDzIxMjYxMDI5
MTkwNzU4WjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAT6DlZolRwYyG2gVE/eaFRVF3mp3eh8ROuxYnG7On8eInNTiyIuzxHk
x2iJSKtoL71sh8T730u43oeN6p7JwS22o2QwYjAdBgNVHQ4EFgQUD9zjEjKo+kdt
v0KavdVLTvk8V1AwHwYDVR0jBBgwFoAUD9zjEjKo+kdtv0KavdVLTvk8V1AwDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0gAMEUC
IAouKqQMlAFuZiqGMUflPq7Qu2Pt5t+KKRZAl1CTirJZAiEAkaVKQn4Ip5BT7us2
63w8hCj/osu0deVKlwWlz7tpDvY=
-----END CERTIFICATE-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIFZgdL7NjaKFT63FSFHTpi9d1VnSuy+di0H4ePjdMUaNoAoGCCqGSM49
AwEHoUQDQgAE+g5WaJUcGMhtoFRP3mhUVRd5qd3ofETrsWJxuzp/HiJzU4siLs8R
5MdoiUiraC+9bIfE+99LuN6HjeqeycEttg==
-----END EC PRIVATE KEY-----
"""


@asynccontextmanager
async def tls_server(folder: Path) -> AsyncIterator[tuple[str, Path]]:
    """A real TLS server on loopback that answers in plain text; its address and its certificate."""
    pem = folder / "server.pem"
    pem.write_text(CERTIFICATE)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)

    async def serve(stream: Any) -> None:
        async with stream:
            try:
                wrapped = await TLSStream.wrap(stream, server_side=True, ssl_context=context)
                await wrapped.receive()
                await stream.send(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
                await stream.receive()
            except (anyio.BrokenResourceError, anyio.EndOfStream, ssl.SSLError):
                return

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610  an attribute of a socket, no query
        yield f"https://127.0.0.1:{port}/v2", pem
        group.cancel_scope.cancel()


async def test_a_self_signed_certificate_stops_the_run(tmp_path: Path) -> None:
    """Real TLS on both event loops: each wraps the error in its own way."""
    intents: list[int] = []
    async with tls_server(tmp_path) as (address, _), client.connected(address, privacy.Secret(TOKEN)) as there:
        with pytest.raises(errors.DestinationUnusable, match="certificate cannot be trusted"):
            await there.create(CALL, lambda: intents.append(1))
    assert intents == []


@ASYNCIO_ONLY
async def test_a_tls_stream_that_breaks_after_the_first_byte_is_in_doubt(tmp_path: Path) -> None:
    """A box in between gives up and writes over the stream. httpx lets the error of TLS through as it is."""
    async with tls_server(tmp_path) as (address, pem):
        transport = httpx.AsyncHTTPTransport(verify=ssl.create_default_context(cafile=pem))
        async with client.connected(address, privacy.Secret(TOKEN), transport=transport) as there:
            with pytest.raises(errors.InDoubt) as caught:
                await there.create(CALL, nothing)
    assert not caught.value.applied
    assert "SSLError" in caught.value.evidence


# What is sent


async def test_the_payload_has_the_vendors_fields_and_no_nulls() -> None:
    crm = FakeCrm()
    async with crm.reached() as there:
        await there.create(CALL, nothing)
        await there.create(replace(CALL, executed_by=None, description=None), nothing)
    full, bare = (request.json for request in crm.received)
    assert full == asdict(CALL)
    assert set(full) == {
        "lead_id", "method", "type", "executed_at", "executed_by", "description", "call_status", "call_duration",
        "call_phone",
    }  # fmt: skip
    assert set(full) - set(bare) == {"executed_by", "description"}
    assert bare["call_duration"] == 95


async def test_the_request_says_who_asks_and_for_json() -> None:
    """Without a JSON Accept the CRM would answer a refusal with a redirect to its login page."""
    crm = FakeCrm()
    await outcome(crm)
    (sent,) = crm.received
    assert (sent.method, sent.target) == ("POST", "/v2/communications")
    assert sent.headers["authorization"] == f"Bearer {TOKEN}"
    assert sent.headers["accept"] == sent.headers["content-type"] == "application/json"
    assert TOKEN not in sent.target + sent.body.decode()


@pytest.mark.parametrize(
    ("change", "differences"),
    [
        ({}, ()),
        ({"description": f"  {CALL.description}\r\n"}, ()),
        ({"executed_at": "2026-11-20T14:30:00Z"}, ()),
        ({"executed_at": "2026-11-20T14:30:00+00:00"}, ()),
        ({"executed_at": "2026-11-20T14:30:00.000000Z"}, ()),
        ({"call_duration": "95", "lead_id": "5001"}, ()),
        ({"executed_at": "2026-11-20T09:30:00Z"}, ("executed_at",)),
        ({"executed_at": "2026-11-20T14:30:01Z"}, ("executed_at",)),
        ({"user_id": 7}, ("user_id",)),
        ({"description": None}, ("description",)),
        ({"description": "cut"}, ("description",)),
        ({"call_status": "attempted", "call_duration": 0}, ("call_duration", "call_status")),
        ({"a_new_property": {"of": "theirs"}}, ()),
    ],
)
async def test_what_the_crm_keeps_otherwise_is_noted(change: dict[str, object], differences: tuple[str, ...]) -> None:
    kept = {"id": 5, **asdict(CALL)} | {"user_id": 101} | change
    del kept["executed_by"]
    found = await outcome(scripted(reply(201, {"data": kept})))
    assert sorted(found.differences) == sorted(differences)
    assert found.body == kept


async def test_what_the_crm_does_not_show_is_no_difference() -> None:
    assert (await outcome(scripted(reply(201, {"data": {"id": 5}})))).differences == ()


# Whose key it is


@pytest.mark.parametrize(
    "body",
    [
        {"data": [{"id": 7, "name": "Concession fictive"}]},
        {"data": {"id": "7", "name": "Concession fictive"}},
        {"id": 7, "name": "Concession fictive"},
    ],
)
async def test_the_account_is_read_in_every_shape_that_was_seen(body: object) -> None:
    async with scripted(reply(200, body)).reached() as there:
        assert await there.accounts() == (models.Account(7, "Concession fictive"),)


@pytest.mark.parametrize("body", [{"data": [{}]}, {"data": 5}, {"data": None}, [None], "x", {"data": [{"id": "0"}]}])
async def test_an_answer_without_an_account_stops_the_run(body: object) -> None:
    async with scripted(reply(200, body)).reached() as there:
        with pytest.raises(errors.DestinationUnusable, match="whose key"):
            await there.accounts()


async def test_a_group_key_shows_all_its_accounts() -> None:
    async with scripted(reply(200, {"data": [{"id": 1, "name": "A"}, {"id": 2, "name": None}]})).reached() as there:
        assert await there.accounts() == (models.Account(1, "A"), models.Account(2, ""))


@pytest.mark.parametrize("address", ["http://[::1/v2", "nonsense", "ftp://127.0.0.1/v2"])
async def test_an_address_that_is_none_is_said_to_be_none(address: str) -> None:
    with pytest.raises(errors.DestinationUnusable, match="no http address"):
        async with client.connected(address, privacy.Secret(TOKEN)) as there:
            await there.accounts()


# What a lead shows


def lead_showing(*communications: object) -> FakeCrm:
    return scripted(reply(200, {"data": {"id": 5001, "communications": list(communications)}}))


async def test_all_that_a_lead_shows_is_read() -> None:
    one = {"id": "8", "method": "phone", "type": None, "executed_at": "2026-11-20T14:30:00Z", "created_at": "soon"}
    async with lead_showing(one, {"id": 9}).reached() as there:
        first, second = await there.communications_of(5001)
    assert (first.id, first.method, first.type, first.created_at, first.description) == (8, "phone", "", None, "")
    assert first.executed_at == datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
    assert (first.body, second.id, second.executed_at) == (one, 9, None)


@pytest.mark.parametrize("shown", [{}, {"id": None}, {"id": 0}, None, 5, [], "x"], ids=repr)
async def test_a_communication_without_an_id_makes_the_whole_read_incomplete(shown: object) -> None:
    """It could be the one that is looked for; what cannot be told apart proves nothing absent."""
    async with lead_showing({"id": 8}, shown).reached() as there:
        with pytest.raises(errors.Incomplete, match="without its id"):
            await there.communications_of(5001)


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"id": 5001}},
        {"data": {"id": 5001, "communications": None}},
        {"data": {"id": 5001, "communications": {}}},
        {"data": []},
        {"data": None},
        [],
        5,
    ],
    ids=repr,
)
async def test_a_lead_that_does_not_show_its_communications_is_incomplete(body: object) -> None:
    """A key that is missing is not the same as none."""
    async with scripted(reply(200, body)).reached() as there:
        with pytest.raises(errors.Incomplete, match="without its communications"):
            await there.communications_of(5001)


async def test_a_lead_without_any_communication_shows_none() -> None:
    async with lead_showing().reached() as there:
        assert await there.communications_of(5001) == ()


# Secrecy


def echoing(status: int) -> Reply:
    return reply(status, {"message": f"Bearer {TOKEN}", "errors": {"authorization": [f"Bearer {TOKEN} is bad"]}})


@pytest.mark.parametrize(
    "crm",
    [
        *(FakeCrm(lines=deque([line])) for line in Line if line is not Line.GOOD),
        *(scripted(one) for one in (fake_crm.RESETS, fake_crm.CLOSES, fake_crm.NO_REPLY)),
        *(scripted(reply(status, {"message": f"Bearer {TOKEN}"})) for status in (400, 403, 422)),
        *(scripted(echoing(status)) for status in (200, 301, 400, 401, 403, 404, 408, 422, 429, 500, 503)),
        scripted(reply(200, b"<html>")),
        scripted(reply(201, {"data": KEPT}, cut_after=5)),
    ],
)
def test_no_failure_ever_tells_the_key(crm: FakeCrm) -> None:
    """Not in its text, nor in that of any cause a traceback would print, even if the CRM itself repeats the key."""

    @in_virtual_time
    async def story() -> None:
        found = await outcome(crm, base_url="https://127.0.0.1/v2")
        assert isinstance(found, Exception)
        shown = "".join(traceback.format_exception(found)) + repr(vars(found))
        assert TOKEN not in shown

    story()


# Unexpected answers


@pytest.mark.parametrize(
    "text",
    [
        '{"data": {"id": 7, "description": "\\ud800"}}',
        '{"data": {"id": 7, "\\udfff": 1}}',
        '{"data": {"id": 7, "call_duration": NaN}}',
        '{"data": {"id": 7, "call_duration": 1e400}}',
        '{"data": {"id": 7, "user_id": ' + "9" * 5000 + "}}",
        '{"data": {"id": 7, "more": ' + "[" * 60 + "]" * 60 + "}}",
        '{"data": {"id": 7, "more": ' + "[" * 100_000 + "]" * 100_000 + "}}",
    ],
    ids=["surrogate", "surrogate in a name", "NaN", "infinite", "5,000 digits", "60 levels", "100,000 levels"],
)
@in_virtual_time
async def test_a_2xx_that_cannot_be_stored_was_applied_and_is_never_sent_again(text: str) -> None:
    found = await outcome(scripted(reply(201, text.encode())))

    assert isinstance(found, errors.InDoubt)
    assert found.applied
    assert found.evidence == "status 201 with an unreadable body"


@in_virtual_time
async def test_a_refusal_that_cannot_be_shown_stays_a_refusal() -> None:
    deep = b'{"errors": {"lead_id": ' + b"[" * 900 + b"]" * 900 + b"}}"

    found = await outcome(scripted(reply(422, deep)))

    assert isinstance(found, errors.Refused)
    assert found.reasons == ()


@in_virtual_time
async def test_a_2xx_with_the_reference_of_another_call_was_applied_and_is_never_sent_again() -> None:
    call = replace(CALL, description="Rappel [ref 7K3Q-2M9D-XA]")
    crm = scripted(reply(201, {"data": {**KEPT, "description": "Rappel [ref Y104-BZA8-XA]"}}))

    async with crm.reached() as there:
        with pytest.raises(errors.InDoubt, match="about another call") as found:
            await there.create(call, nothing)

    assert found.value.applied


@in_virtual_time
async def test_an_answer_about_another_lead_is_incomplete() -> None:
    crm = scripted(reply(200, {"data": {"id": 5002, "communications": []}}))

    async with crm.reached() as there:
        with pytest.raises(errors.Incomplete, match="another lead"):
            await there.communications_of(5001)


@in_virtual_time
async def test_an_answer_with_two_communications_of_the_same_id_is_incomplete() -> None:
    crm = scripted(reply(200, {"data": {"id": 5001, "communications": [KEPT, {**KEPT, "type": "incoming"}]}}))

    async with crm.reached() as there:
        with pytest.raises(errors.Incomplete, match="the same id"):
            await there.communications_of(5001)


@pytest.mark.parametrize("value", ["1e308", "99999999999999999999"])
@in_virtual_time
async def test_the_longest_retry_after_is_ten_years(value: str) -> None:
    found = await outcome(scripted(reply(429, headers=[("Retry-After", value)])))

    assert found.retry_after == 10 * 365 * 86_400


@pytest.mark.parametrize("date", ["Wed, 21 Oct 2015 07:28:00 +9999", "Fri, 31 Dec 9999 23:59:59 -1400", "\xff", ""])
@in_virtual_time
async def test_an_odd_date_of_the_crm_is_no_date(date: str) -> None:
    async with scripted(reply(200, {"data": [{"id": 7}]}, [("Date", date)])).reached() as there:
        found = await there.handshake()

    assert found.error is None
    assert found.date is None


@in_virtual_time
async def test_a_second_answer_is_not_taken_as_the_answer_of_the_next_create() -> None:
    extra = reply(201, {"data": {**KEPT, "id": 999}}).data
    crm = FakeCrm()
    crm.answer = lambda request: Reply(crm.create(request).data + extra)

    with mock.patch.object(httpcore._async.connection_pool, "AutoBackend", return_value=crm):
        async with client.connected(fake_crm.BASE_URL, privacy.Secret(TOKEN)) as there:
            echoes = [await there.create(CALL, nothing) for _ in range(3)]

    assert [echo.communication_id for echo in echoes] == [one["id"] for one in crm.stored]


@in_virtual_time
async def test_a_cookie_is_not_kept() -> None:
    crm = scripted(reply(200, {"data": [{"id": 7}]}, [("Set-Cookie", "odd=\xe9\xff")]))

    async with crm.reached() as there:
        await there.accounts()
        await there.create(CALL, nothing)

    assert "cookie" not in crm.received[1].headers
