"""`filter[…]` of `GET /leads`, and what a search for leads finds."""

import datetime
import operator
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping

from callimport.sandbox import knobs, wording, world

Test = Callable[[world.Lead], bool]
Texts = Callable[[world.Lead], Iterable[str]]

_FILTER = re.compile(r"filter\[(\w+)\](?:\[(\w+)\])?", re.ASCII)
_COMPARED = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
_DIVISIONS = ("new", "used", "service")
_LAST_DIGITS = 10
_SHORTEST_POSTAL_CODE = 3


class _Wrong(ValueError):
    """A value that a filter cannot read."""


def chosen(query: Iterable[tuple[str, str]], settings: knobs.Knobs) -> tuple[list[Test], dict[str, list[str]]]:
    """A test for each filter in a query, and what is wrong with the others. All of them must hold of a lead.

    A name that no filter has is passed over, as it probably is there: `unknown` tells which those are.
    """
    tests, errors = [], {}
    for name, value in query:
        match = _FILTER.fullmatch(name)
        if match is None or not _is_known(match):
            continue
        try:
            tests.append(_test(match[1], match[2], value.strip(), settings))
        except _Wrong:
            field = f"filter.{match[1]}" + (f".{match[2]}" if match[2] else "")
            errors[field] = [wording.date(field)]
    return tests, errors


def unknown(query: Iterable[tuple[str, str]], known: Iterable[str]) -> list[str]:
    """Names in a query that nobody reads: neither one of `known` nor a filter there is."""
    plain = frozenset(known)
    strangers = []
    for name, _ in query:
        match = _FILTER.fullmatch(name)
        if name not in plain and (match is None or not _is_known(match)):
            strangers.append(name)
    return strangers


def found(query: str, lead: world.Lead) -> bool:
    """Whether a search for it finds the lead. Digits alone are the end of a number, other text a part of a name."""
    wanted = _folded(query)
    if query.isdecimal():
        return any(_digits(phone.number).endswith(query) for phone in lead.phones)
    exact = {_folded(text) for text in (*_phones(lead), *_emails(lead), *_postal_codes(lead)) if text}
    return wanted in exact or any(wanted in _folded(name) for name in _names(lead))


def _is_known(match: re.Match[str]) -> bool:
    field, comparison = match[1], match[2]
    return (field in _INSTANTS and comparison in (None, *_COMPARED)) or (
        field in (*_TEXTS, "phone", "division") and comparison is None
    )


def _test(field: str, comparison: str | None, value: str, settings: knobs.Knobs) -> Test:
    if field in _INSTANTS:
        return _instant_test(_INSTANTS[field], comparison, value)
    if field == "division":
        wanted = {each.strip() for each in value.split(",")}
        return lambda lead: (lead.division or "none") in wanted
    if field == "phone":
        return _phone_test(value, settings)
    if field == "postal_code" and len(_folded(value).replace(" ", "")) == _SHORTEST_POSTAL_CODE:
        return _text_test(_postal_codes, value + "%")
    return _text_test(_TEXTS[field], value)


def _text_test(texts: Texts, value: str) -> Test:
    """`%` stands for anything, and only at the end; case and accents do not matter to the database."""
    wanted = _folded(value)
    if wanted.endswith("%"):
        return lambda lead: any(_folded(text).startswith(wanted[:-1]) for text in texts(lead))
    return lambda lead: any(_folded(text) == wanted for text in texts(lead))


def _phone_test(value: str, settings: knobs.Knobs) -> Test:
    """The number as it is stored: one whose `+` was lost on the way is another."""
    if settings.phone_filter == "last10" and not value.endswith("%"):
        tail = _digits(value)[-_LAST_DIGITS:]
        return lambda lead: bool(tail) and any(_digits(number)[-_LAST_DIGITS:] == tail for number in _phones(lead))
    if value.endswith("%"):
        return lambda lead: any(number.startswith(value[:-1]) for number in _phones(lead))
    return lambda lead: value in _phones(lead)


def _instant_test(
    instant: Callable[[world.Lead], datetime.datetime | None], comparison: str | None, value: str
) -> Test:
    try:
        moment = datetime.datetime.fromisoformat(value)
    except ValueError:
        raise _Wrong from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    if comparison is None:
        length = datetime.timedelta(days=1) if len(value) == len("2024-01-15") else datetime.timedelta(seconds=1)
        return lambda lead: (at := instant(lead)) is not None and aware <= at < aware + length
    compare = _COMPARED[comparison]
    return lambda lead: (at := instant(lead)) is not None and compare(at.replace(microsecond=0), aware)


def _names(lead: world.Lead) -> list[str]:
    first, last = lead.first_name or "", lead.last_name or ""
    return [name for name in (first, last, f"{first} {last}".strip(), lead.second_contact or "") if name]


def _emails(lead: world.Lead) -> list[str]:
    return [email.address for email in lead.emails]


def _phones(lead: world.Lead) -> list[str]:
    return [phone.number for phone in lead.phones if phone.number is not None]


def _postal_codes(lead: world.Lead) -> list[str]:
    return [lead.postal_code] if lead.postal_code else []


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def _digits(text: str | None) -> str:
    return "".join(letter for letter in text or "" if letter.isdecimal())


_TEXTS: Mapping[str, Texts] = {"name": _names, "email": _emails, "postal_code": _postal_codes}
_INSTANTS: Mapping[str, Callable[[world.Lead], datetime.datetime | None]] = {
    "created_at": lambda lead: lead.created_at,
    "updated_at": lambda lead: lead.updated_at,
    "sale_date": lambda lead: lead.sale_date,
}
