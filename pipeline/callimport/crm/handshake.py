"""What one harmless request shows of the CRM besides its body: for `callimport doctor`."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from callimport.core import errors, models, privacy
from callimport.crm import responses

_RATE_HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after")
_LONGEST_VALUE = 40


@dataclass(frozen=True, slots=True)
class Handshake:
    """`error` is why there is no answer, in one line; `status` is None where nothing came back at all. `tls` is such as
    `TLSv1.3`, None without TLS; `date` is the CRM's clock; `rate` holds the headers about the limit that were there;
    `redirected_to` is a host; `users` is None where the CRM names none."""

    status: int | None = None
    http: str = ""
    tls: str | None = None
    date: datetime | None = None
    rate: tuple[tuple[str, str], ...] = ()
    redirected_to: str | None = None
    accounts: tuple[models.Account, ...] = ()
    users: int | None = None
    error: str | None = None


@dataclass(slots=True)
class Look:
    """Takes from the answer what a handshake tells, before it is judged."""

    seen: dict[str, Any] = field(default_factory=dict)

    def __call__(self, response: httpx.Response) -> None:
        stream = response.extensions.get("network_stream")
        ssl_object = stream.get_extra_info("ssl_object") if stream is not None else None
        self.seen = {
            "status": response.status_code,
            "http": response.http_version,
            "tls": ssl_object.version() if ssl_object is not None else None,
            "date": responses.http_date(response.headers.get("Date", "")),
            "rate": tuple(
                (name, privacy.mask(response.headers[name])[:_LONGEST_VALUE])
                for name in _RATE_HEADERS
                if name in response.headers
            ),
            "redirected_to": _host(response.headers.get("Location", "")) if response.is_redirect else None,
        }


def why(outcome: errors.Outcome) -> str:
    """What went wrong, and what to do about it."""
    if isinstance(outcome, errors.Limited):
        return f"{outcome.evidence}: the limit is used up, perhaps by another program with this key; look again later"
    if isinstance(outcome, errors.Refused):
        return f"{outcome.evidence}: ask the CRM's support what this key may do"
    if outcome.status is not None:
        return f"{outcome.evidence}: the CRM is not well, or another program answers in its place; look again later"
    return f"{outcome.evidence}: check the address, the network and any proxy"


def users_in(accounts: list[Any]) -> int | None:
    """How many users the accounts name between them."""
    lists = [one["users"] for one in accounts if isinstance(one, dict) and isinstance(one.get("users"), list)]
    return sum(map(len, lists)) if lists else None


def _host(location: str) -> str:
    """No more of it: the rest may hold anything."""
    try:
        return privacy.mask(urlsplit(location).hostname or "another path of the same host")
    except ValueError:
        return "an address that is none"
