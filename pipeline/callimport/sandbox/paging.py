"""A list in pages, in the envelope that Laravel puts around it."""

import dataclasses
import urllib.parse
from collections.abc import Iterable, Sequence

from starlette import requests

from callimport.sandbox import incoming, knobs, wording

MOST_PER_PAGE = 100
_USUAL_PER_PAGE = 25
# Links are not to be followed with a key: this one leads nowhere, as the vendor's lead to a host without TLS.
_ELSEWHERE = "http://crm.example"


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """Which page of a list, counted from 1, and how long one is. `asked` is `per_page` as it was given."""

    number: int
    length: int
    asked: str | None

    def of(self, total: int) -> slice:
        """Its place in the whole list; past the end it is empty."""
        first = (self.number - 1) * self.length
        return slice(min(first, total), min(first + self.length, total))


def wanted(query: Iterable[tuple[str, str]], settings: knobs.Knobs) -> tuple[Page, dict[str, list[str]]]:
    """The page a query asks for, and what is wrong with it: nothing, unless the knob says so."""
    given = dict(query)
    asked = given.get("per_page")
    length = _whole(asked, _USUAL_PER_PAGE)
    errors = {}
    if settings.per_page == "422" and not 1 <= length <= MOST_PER_PAGE:
        errors["per_page"] = [wording.between("per_page", 1, MOST_PER_PAGE)]
    clamped = min(max(length, 1), MOST_PER_PAGE)
    return Page(max(_whole(given.get("page"), 1), 1), clamped, asked), errors


def envelope(
    shown: Sequence[object], page: Page, total: int, request: requests.Request, *, is_untidy: bool
) -> dict[str, object]:
    """`data`, `links` and `meta`. Links spell includes in a way of their own; untidy ones are of another host."""
    last = max(-(-total // page.length), 1)
    path = _ELSEWHERE + request.url.path if is_untidy else str(request.url.replace(query=""))
    there = page.of(total)

    def link(number: int) -> str | None:
        return f"{path}?{_query(request, number)}" if 1 <= number <= last else None

    meta: dict[str, object] = {
        "current_page": page.number,
        "from": there.start + 1 if shown else None,
        "last_page": last,
        "path": path,
        "per_page": (page.asked or str(page.length)) if is_untidy else page.length,
        "to": there.stop if shown else None,
        "total": total,
    }
    if is_untidy:
        numbers = [
            {"url": link(each), "label": str(each), "active": each == page.number} for each in range(1, last + 1)
        ]
        meta["links"] = numbers
    ways = {"first": link(1), "last": link(last), "prev": link(page.number - 1), "next": link(page.number + 1)}
    return {"data": list(shown), "links": ways, "meta": meta}


def _query(request: requests.Request, number: int) -> str:
    kept, includes = [], 0
    for name, value in urllib.parse.parse_qsl(request.url.query, keep_blank_values=True):
        if incoming.is_include(name):
            kept.append((f"include[{includes}]", "lead" + value.capitalize()))
            includes += 1
        elif name != "page":
            kept.append((name, value))
    return urllib.parse.urlencode([*kept, ("page", str(number))])


def _whole(text: str | None, otherwise: int) -> int:
    """As PHP reads it: what is no number is none, and the usual one is taken."""
    if text is None or not text.lstrip("-").isdecimal() or not text.isascii() or len(text) > 9:
        return otherwise
    return int(text)
