"""What a whole answer proves, by its status and body."""

import codecs
import email.utils
import json
from datetime import UTC, datetime
from typing import Any

import httpx

from callimport.core import errors, privacy

IN_DOUBT_STATUSES = frozenset({408, 421, 425})
ROUTE_STATUSES = frozenset({404, 405, 415, 419})
# Nested JSON. The vendor's own answers have five levels; SQLite and Python fail at about a thousand.
MOST_LEVELS = 50
# No run waits longer, so larger numbers are cut to this.
LONGEST_RETRY_AFTER_SECONDS = 10 * 365 * 86_400.0


def judge(response: httpx.Response, content: bytes) -> Any:
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
        return read_json(content)
    except ValueError:
        raise errors.InDoubt(f"status {status} with an unreadable body", status=status, applied=True) from None


def read_json(content: bytes) -> Any:
    """Parse an answer. Raise ValueError if it cannot be compared, stored and shown.

    It must be JSON with Unicode text, finite numbers and at most `MOST_LEVELS` levels.
    """
    try:
        body = json.loads(content)
    except RecursionError as error:
        raise ValueError("too many levels") from error
    level = [body] if isinstance(body, dict | list) else []
    for _ in range(MOST_LEVELS):
        inside = (one.values() if isinstance(one, dict) else one for one in level)
        level = [one for values in inside for one in values if isinstance(one, dict | list)]
    if level:
        raise ValueError("too many levels")
    # Raises ValueError for NaN, infinite numbers and text that is not Unicode.
    json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    return body


def _reasons(content: bytes) -> tuple[str, ...]:
    """The CRM's own words by field, fit to be shown."""
    try:
        body = read_json(content)
    except ValueError:
        return ()
    if not isinstance(body, dict):
        return ()
    by_field = body.get("errors")
    if isinstance(by_field, dict) and by_field:
        return tuple(privacy.mask(f"{field}: {_first(said)}")[:200] for field, said in by_field.items())
    message = body.get("message")
    return (privacy.mask(message)[:200],) if isinstance(message, str) and message else ()


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
        return min(seconds, LONGEST_RETRY_AFTER_SECONDS) if abs(seconds) < float("inf") else None
    until, now = http_date(value), http_date(response.headers.get("Date", ""))
    return (until - now).total_seconds() if until and now else None


def http_date(value: str) -> datetime | None:
    """Read the date of a header, in UTC; None if it is no date."""
    try:
        moment = email.utils.parsedate_to_datetime(value)
        # The oldest of the three forms names no zone; it means GMT as the others do.
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
