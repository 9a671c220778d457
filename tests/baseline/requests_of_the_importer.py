"""ADAPTER: each kind of request as one function, and one word for what it came to.

This is the only file of `outcomes_of_exceptions` that imports the importer. Rewrite it when the importer changes. The
names in KINDS and the words must stay, and the record must not change.
"""

import io
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from unittest import mock

import httpx

from callimport.core import errors, models, privacy
from callimport.crm import client
from callimport.crm.client import Destination

LEAD, COMMUNICATION = 5001, 42534452
_NOW = datetime(2026, 11, 27, tzinfo=UTC)
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_CALL = models.Communication(
    lead_id=LEAD,
    method="phone",
    type="outgoing",
    executed_at="2026-11-20T09:30:00-05:00",
    executed_by=101,
    description="Rappel",
    call_status="answered",
    call_duration=95,
    call_phone="+15145550101",
)

Client = Destination


@asynccontextmanager
async def connected(transport: httpx.AsyncBaseTransport) -> AsyncIterator[Client]:
    """A client of the CRM over a transport of the caller's."""
    # To read the system's certificates takes longer than everything else.
    with mock.patch.object(client, "_tls", return_value=_NO_TLS):
        async with client.connected("http://127.0.0.1/v2", privacy.Secret("token"), transport=transport) as there:
            yield there


async def read_account_and_lead(there: Client) -> None:
    """After these two reads a 404 is about what was asked for, not about the address."""
    await there.accounts()
    await there.communications_of(LEAD)


async def _account(there: Client) -> object:
    return await there.accounts()


async def _users(there: Client) -> object:
    return await there.users(301)


async def _leads(there: Client) -> object:
    return await there.leads(1, _NOW)


async def _leads_with_communications(there: Client) -> object:
    return await there.leads_with_communications(1, _NOW)


async def _leads_by_number(there: Client) -> object:
    return await there.leads_by_number("+15145550101", 1)


async def _search(there: Client) -> object:
    return await there.search_leads("5145550101", 1)


async def _lead(there: Client) -> object:
    return await there.communications_of(LEAD)


async def _create(there: Client) -> object:
    return await there.create(_CALL, _before_bytes)


async def _update(there: Client) -> object:
    return await there.update(COMMUNICATION, {"call_duration": 9}, _before_bytes)


async def _upload(there: Client) -> object:
    await there.upload_recording(COMMUNICATION, io.BytesIO(b"RIFF"), "recording.wav", "audio/wav")
    return None


def _before_bytes() -> None:
    """The ledger is not part of this table."""


KINDS: dict[str, Callable[[Client], Awaitable[object]]] = {
    "account": _account,
    "users": _users,
    "list of leads": _leads,
    "leads with communications": _leads_with_communications,
    "leads by number": _leads_by_number,
    "search": _search,
    "lead": _lead,
    "create": _create,
    "update": _update,
    "upload": _upload,
}


def word(error: Exception | None) -> str:
    """What one request came to, in the words of the record."""
    match error:
        case None:
            return "taken"
        case errors.Limited():
            return "limited"
        case errors.NotApplied():
            return "not stored: retried"
        case errors.InDoubt(applied=True):
            return "in doubt, stored"
        case errors.InDoubt():
            return "in doubt"
        case errors.Refused():
            return "refused"
        case errors.Incomplete():
            return "incomplete"
        case errors.DestinationUnusable(in_doubt=True):
            return "stops, in doubt"
        case errors.DestinationUnusable():
            return "stops"
        case _:
            return f"not translated: {type(error).__name__}"
