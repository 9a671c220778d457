"""The CRM over HTTP, and what each answer proves. Nothing above this file has heard of httpx.

What was seen                                                      is                   and then
-----------------------------------------------------------------  -------------------  -------------------------------
an error before the request's first byte left (name, connection,
  TLS, proxy, pool)                                                 NotApplied           again, after a backoff
  of these: a certificate that cannot be trusted                    DestinationUnusable  stop
any error after that (reset, timeout, half an answer)               InDoubt              never again on a guess
  of these: after a 2xx status line                                 InDoubt, applied     looked up, never sent again
2xx, JSON, with an id                                               Echo                 delivered; differences noted
2xx, JSON that has no id, is cut off or cannot be stored            InDoubt, applied     looked up, never sent again
2xx with another call's reference, or another call's id (ledger)    InDoubt, applied     looked up, never sent again
2xx, a web page (a captive portal, a proxy)                         DestinationUnusable  stop; that one item in doubt
3xx                                                                 DestinationUnusable  stop; that one item in doubt
401                                                                 DestinationUnusable  stop; the item stays pending
405, 415, 419                                                       DestinationUnusable  stop; the item stays pending
404 of a create, before an account and a lead were read here        DestinationUnusable  stop; the item stays pending
404 of a create, once both were                                     Refused              reported: no such lead
404 of a lead's read                                                Refused              there is no such lead
404 of the list of leads with what they hold                        Refused              each lead is read by itself
404 of an update, once an account and a lead were read here         Refused              it was deleted there
404 of an upload                                                    Refused              the communication is gone
415 of an upload                                                    Refused              reported: that one file
2xx of an upload, whatever its body                                 done                 but for a web page: stop
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

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from http import cookiejar
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

import httpx

from callimport.core import errors, mapping, models, normal_form, privacy, settings
from callimport.crm import handshake, raw_request, vendor_json
from callimport.crm.transport import NO_ADDRESS, BeforeBytes, Exchange, Part

TIMEOUTS = httpx.Timeout(connect=10.0, read=60.0, write=30.0, pool=None)
# Shorter than any server's patience: a connection closed under a request is the commonest way into doubt.
KEEPALIVE_SECONDS = 2.0
# The most that the vendor allows.
LEADS_A_PAGE = 100


class Destination:
    """One CRM, one key. Every failure is an Outcome or DestinationUnusable of callimport.core.errors."""

    def __init__(
        self, reads: httpx.AsyncClient, writes: httpx.AsyncClient, base_url: str, token: privacy.Secret
    ) -> None:
        self._exchange = Exchange(reads, writes, base_url, token)
        # Both read, the address is right and the key is good: a 404 is then about what was asked for.
        self._account_was_read = False
        self._lead_was_read = False

    async def accounts(self) -> tuple[models.Account, ...]:
        """GET /account: whose key this is. A group's key answers with several."""
        body = await self._exchange.send("GET", "/account")
        found = tuple(vendor_json.account(one) for one in vendor_json.as_list(body))
        self._account_was_read = True
        return found

    async def handshake(self) -> handshake.Handshake:
        """GET /account with its users, once, and all that its answer shows besides. Raises nothing: what went wrong is
        part of the answer."""
        look = self._exchange.look = handshake.Look()
        try:
            body = vendor_json.as_list(await self._exchange.send("GET", "/account?include%5B%5D=users"))
            accounts = tuple(vendor_json.account(one) for one in body)
            return handshake.Handshake(**look.seen, accounts=accounts, users=handshake.users_in(body))
        except errors.DestinationUnusable as error:
            return handshake.Handshake(**look.seen, error=str(error))
        except errors.Outcome as outcome:
            return handshake.Handshake(**look.seen, error=handshake.why(outcome))

    async def ask(
        self, method: str, path: str, payload: Mapping[str, Any] | None = None, part: Part | None = None
    ) -> raw_request.Reply:
        """Any request, once, with an object or a file. Raises nothing: whatever it comes to is the reply."""
        look = self._exchange.look = handshake.Look()
        try:
            body = await self._exchange.send(method, path, payload, part=part)
        except (errors.Outcome, errors.DestinationUnusable) as error:
            status = look.seen.get("status")
            return raw_request.Reply(status, told=raw_request.told(error, status))
        return raw_request.Reply(look.seen["status"], body)

    async def users(self, account_id: int) -> tuple[models.User, ...]:
        """GET /account with its active users. Incomplete where the answer shows no users of this account at all."""
        body = await self._exchange.send("GET", "/account?include%5B%5D=users")
        for one in vendor_json.as_list(body):
            if vendor_json.account(one).id == account_id and isinstance(one.get("users"), list):
                return tuple(vendor_json.user(each) for each in one["users"])
        raise errors.Incomplete("the account was shown without its users")

    async def leads(self, page: int, created_until: datetime) -> models.LeadPage:
        """GET /leads with their phones, newest first, a hundred a page. Those created later than `created_until` would
        push the others from page to page while they are read."""
        return vendor_json.lead_page(await self._page("/leads", page, _all("phones", created_until)))

    async def leads_with_communications(self, page: int, created_until: datetime) -> models.ShownPage:
        """GET /leads with their communications, in the same order and under the same bound. Raises Refused (404) if the
        CRM has no such list; callers then read the leads one by one."""
        none = errors.Refused("no such list (status 404)", status=404)
        return vendor_json.shown_page(await self._page("/leads", page, _all("communications", created_until), none))

    async def leads_by_number(self, number: str, page: int) -> models.LeadPage:
        """GET /leads with this very number, in E.164, says the filter; who asks looks whether they have it."""
        return vendor_json.lead_page(await self._page("/leads", page, {"include[]": "phones", "filter[phone]": number}))

    async def search_leads(self, text: str, page: int) -> models.LeadPage:
        """GET /leads/search: everything in which the text is found, with its phones."""
        return vendor_json.lead_page(await self._page("/leads/search", page, {"query": text}))

    async def _page(self, path: str, page: int, asked: Mapping[str, str], missing: errors.Refused | None = None) -> Any:
        # The links of an answer are never followed: they name http, and may name another host.
        query = urlencode({**asked, "per_page": LEADS_A_PAGE, "page": page}, quote_via=quote)
        return await self._exchange.send("GET", f"{path}?{query}", missing=missing)

    async def create(self, communication: models.Communication, before_bytes: BeforeBytes) -> models.Echo:
        """POST /communications. `before_bytes` is called once, right before the first byte leaves; if it raises,
        nothing has left."""
        payload = {name: value for name, value in asdict(communication).items() if value is not None}
        missing = None
        if self._account_was_read and self._lead_was_read:
            missing = errors.Refused("no such lead or address (status 404)", status=404)
        body = await self._exchange.send("POST", "/communications", payload, before_bytes, missing)
        data = body.get("data") if isinstance(body, dict) else None
        if not isinstance(data, dict) or not vendor_json.is_id(data.get("id")):
            raise errors.InDoubt("a 2xx answer without an id", applied=True)
        sent = set(mapping.references_in(str(communication.description)))
        shown = set(mapping.references_in(str(data.get("description"))))
        if sent and shown and not sent & shown:
            raise errors.InDoubt("a 2xx answer about another call", applied=True)
        return models.Echo(int(data["id"]), data, normal_form.differences(communication, data))

    async def update(
        self, communication_id: int, changes: Mapping[str, object], before_bytes: BeforeBytes
    ) -> models.Echo:
        """PUT /communications/:id with these fields only; the others stay as they are, as the vendor documents it.
        Refused with status 404 where there is no such communication. Made twice, it comes to the same."""
        missing = None
        if self._account_was_read and self._lead_was_read:
            missing = errors.Refused("no such communication (status 404)", status=404)
        path = f"/communications/{communication_id}"
        body = await self._exchange.send("PUT", path, changes, before_bytes, missing)
        data = body.get("data") if isinstance(body, dict) else None
        if not isinstance(data, dict) or not vendor_json.is_id(data.get("id")):
            raise errors.InDoubt("a 2xx answer without an id", applied=True)
        if int(data["id"]) != communication_id:
            raise errors.InDoubt("a 2xx answer about another communication", applied=True)
        return models.Echo(communication_id, data, normal_form.differing(changes, data))

    async def communications_of(self, lead_id: int) -> tuple[models.Stored, ...]:
        """GET /leads/:id with its communications, all of them. Refused (404) where the lead is not there, Incomplete
        where the answer shows no communications at all, which is not the same as none."""
        path = f"/leads/{lead_id}?include%5B%5D=communications"
        body = await self._exchange.send("GET", path, missing=errors.Refused("no such lead (status 404)", status=404))
        found = vendor_json.communications_of(body, lead_id)
        self._lead_was_read = True
        return found

    async def upload_recording(self, communication_id: int, file: BinaryIO, file_name: str, media_type: str) -> None:
        """POST /communications/:id/recording. Takes the place of an earlier one, so it may be repeated; httpx reads the
        file in blocks of 64 KiB, from its start and as they leave. Refused (404) where there is no such call."""
        part = Part("recording", file_name, media_type, file)
        gone = errors.Refused("the communication is not there any more (status 404)", status=404)
        try:
            await self._exchange.send("POST", f"/communications/{communication_id}/recording", missing=gone, part=part)
        except errors.InDoubt as outcome:
            # The answer says nothing that is needed: that it was taken is in its status.
            if not outcome.applied:
                raise


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
    except (httpx.InvalidURL, UnicodeError) as error:
        raise errors.DestinationUnusable(NO_ADDRESS) from error
    tls = _tls()
    if not loopback:
        settings.check_proxies()

    def client(most_kept_alive: int | None) -> httpx.AsyncClient:
        limits = httpx.Limits(
            max_connections=connections, max_keepalive_connections=most_kept_alive, keepalive_expiry=KEEPALIVE_SECONDS
        )
        try:
            # A rehearsal on this machine must not go through a proxy of the environment.
            client = httpx.AsyncClient(
                transport=transport, verify=tls, http2=False, timeout=TIMEOUTS, limits=limits, trust_env=not loopback
            )
        except (httpx.InvalidURL, ValueError, ImportError):
            # The CRM's address was read above, so the fault is a proxy's. The error itself would show its password.
            raise errors.ConfigError(
                f"a proxy in {settings.proxy_variables() or 'this system'} cannot be used: write it as "
                "http://host:port (SOCKS is not supported), or unset it"
            ) from None
        # Keep no cookies: the CRM knows us by the key, and an odd cookie would damage every later request.
        client.cookies.jar.set_policy(cookiejar.DefaultCookiePolicy(allowed_domains=()))
        return client

    # Each write gets a connection of its own. Otherwise a second answer to an earlier request would be taken as the
    # answer to the next request.
    async with client(None) as reads, client(0) as writes:
        yield Destination(reads, writes, base_url, token)


def _all(included: str, created_until: datetime) -> dict[str, str]:
    bound = created_until.astimezone(UTC).isoformat(timespec="seconds")
    return {"include[]": included, "filter[created_at][lte]": bound}


def _tls() -> ssl.SSLContext:
    try:
        context = httpx.create_ssl_context()
    except OSError as error:
        named = settings.certificate_variables()
        advice = f"check {named}, or unset it" if named else "install certifi again"
        raise errors.ConfigError(
            f"the certificates to trust cannot be read ({error.strerror or error}): {advice}"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
