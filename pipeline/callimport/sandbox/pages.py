"""What a person looks at after a rehearsal: the leads, and one lead's calls in the order in which they took place.

Read-only and without scripts; whatever was imported is shown as text. Newest first, as in the CRM.
"""

import datetime
import urllib.parse
import zoneinfo
from collections.abc import Sequence
from typing import TypeVar

from starlette import requests, responses

from callimport.sandbox import filters, rehearsal, world
from callimport.sandbox.markup import Markup, element, joined, page, table, void

One = TypeVar("One")

LEADS_A_PAGE = 100
CALLS_A_PAGE = 500
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_LEAD_HEADS = ["Lead", "Name", "Numbers", "Status", "Result", "Calls", "of this rehearsal", "Last changed"]
_CALL_HEADS = [
    "When",
    "Direction",
    "Status",
    "Duration",
    "Agent",
    "Number",
    "Description",
    "Recording",
    "Made by",
    "Id",
]


class Pages:
    """The two pages over what a rehearsal CRM holds."""

    def __init__(self, stage: rehearsal.Rehearsal) -> None:
        self._stage = stage

    async def leads(self, request: requests.Request) -> responses.Response:
        """All leads of the own account, those last changed first; `?find=` is a search as the API has it."""
        state = self._stage.world
        asked = request.query_params.get("find", "").strip()
        own = state.leads_of(state.own_account.id)
        found = [lead for lead in own if not asked or asked == str(lead.id) or filters.found(asked, lead)]
        found.sort(key=lambda lead: (lead.updated_at, lead.id), reverse=True)
        view = _View(request)
        shown, more = view.part(found, LEADS_A_PAGE)
        rows = [self._lead_row(lead, view) for lead in shown]
        heading = f"{state.own_account.name}: the rehearsal CRM"
        return _answer(
            heading,
            element("h1", heading),
            element("p", "Nothing here reaches anybody. Newest change first.", class_="note"),
            view.form(find=asked),
            table(f"{len(found)} leads", _LEAD_HEADS, rows),
            more,
        )

    async def lead(self, request: requests.Request) -> responses.Response:
        """One lead's timeline."""
        state = self._stage.world
        lead = state.any_lead(request.path_params["id"])
        view = _View(request)
        if lead is None or lead.account_id != state.own_account.id:
            missing = element("p", f"There is no lead {request.path_params['id']} here. ", view.link("All leads", "/"))
            return _answer("No such lead", missing, status=404)
        told = state.communications_of(lead.id)
        shown, more = view.part(told, CALLS_A_PAGE)
        heading = f"{_name(lead)}, lead {lead.id}"
        particulars = [", ".join(_numbers(lead)) or "no number"]
        particulars += [f"status {lead.status}"] if lead.status else []
        particulars += [f"result {lead.result or 'none yet'}", f"created {view.time(lead.created_at)}"]
        particulars += ["deleted or merged away"] if lead.deleted else []
        return _answer(
            heading,
            element("nav", view.link("All leads", "/")),
            element("h1", heading),
            element("p", " · ".join(particulars)),
            view.form(),
            table(
                f"{len(told)} communications, the newest first, times in {view.zone_name}",
                _CALL_HEADS,
                [self._call_row(one, view) for one in shown],
            ),
            more,
        )

    def _lead_row(self, lead: world.Lead, view: "_View") -> Markup:
        told = self._stage.world.communications_of(lead.id)
        name = element("span", _name(lead), class_="gone") if lead.deleted else _name(lead)
        return _row(
            view.link(str(lead.id), f"/leads/{lead.id}"),
            name,
            ", ".join(_numbers(lead)),
            lead.status or "",
            lead.result or "",
            str(len(told)),
            str(sum(one.by_api for one in told)),
            view.time(lead.updated_at),
        )

    def _call_row(self, one: world.Communication, view: "_View") -> Markup:
        return _row(
            view.time(one.executed_at),
            one.type or "",
            (one.call_status or "") if one.method == world.Method.PHONE else (one.method or ""),
            _duration(one.call_duration),
            self._agent(one),
            one.call_phone or "",
            one.description or "",
            _recording(one.recording),
            "this rehearsal" if one.by_api else "hand" if one.by_hand else "seed",
            str(one.id),
        )

    def _agent(self, one: world.Communication) -> str:
        if one.user_id is None:
            return "nobody"
        if one.user_id == world.API_USER_ID:
            return "the key's own user"
        user = self._stage.world.users.get(one.user_id)
        return f"{user.first_name} {user.last_name}".strip() if user else f"user {one.user_id}"


class _View:
    """How a page is looked at: which part of it, and in whose time."""

    def __init__(self, request: requests.Request) -> None:
        self._request = request
        self._page = int(text) if (text := request.query_params.get("page", "1")).isascii() and text.isdecimal() else 1
        self.zone_name = request.query_params.get("timezone", "").strip() or "UTC"
        try:
            self._zone: datetime.tzinfo = zoneinfo.ZoneInfo(self.zone_name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            self.zone_name, self._zone = "UTC", datetime.UTC

    def time(self, moment: datetime.datetime) -> str:
        """To the second; the zone stands above the table, the offset beside the time."""
        return moment.astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S %z")

    def link(self, text: str, path: str, **query: str) -> Markup:
        """To another page, in the same time zone."""
        kept = {"timezone": self.zone_name} if self.zone_name != "UTC" else {}
        given = urllib.parse.urlencode(kept | query)
        return element("a", text, href=path + (f"?{given}" if given else ""))

    def form(self, **fields: str) -> Markup:
        """Fields to change the view by; nothing is stored."""
        inputs = [
            element("label", f"{name.capitalize()} ", void("input", name=name, value=value), " ")
            for name, value in (fields | {"timezone": self.zone_name}).items()
        ]
        return element("form", *inputs, element("button", "Show"), method="get")

    def part(self, everything: Sequence[One], length: int) -> tuple[Sequence[One], Markup]:
        """What this page shows, and the way to the others."""
        last = max(-(-len(everything) // length), 1)
        number = min(max(self._page, 1), last)
        query = {name: value for name, value in self._request.query_params.items() if name not in ("page", "timezone")}
        ways = [
            self.link(word, self._request.url.path, **query, page=str(other))
            for word, other in (("newer", number - 1), ("older", number + 1))
            if 1 <= other <= last
        ]
        more = element("nav", f"Page {number} of {last} ", *(joined(way, " ") for way in ways)) if ways else Markup()
        return everything[(number - 1) * length : number * length], more


def _answer(title: str, *body: Markup, status: int = 200) -> responses.Response:
    return responses.HTMLResponse(page(title, *body), status, headers=_HEADERS)


def _row(*cells: str) -> Markup:
    return element("tr", *(element("td", cell) for cell in cells))


def _name(lead: world.Lead) -> str:
    return " ".join(part for part in (lead.first_name, lead.last_name) if part) or "(no name)"


def _numbers(lead: world.Lead) -> list[str]:
    numbers = (phone for phone in lead.phones if phone.number is not None)
    return [f"{phone.number}{f' ext. {phone.extension}' if phone.extension else ''}" for phone in numbers]


def _duration(seconds: int | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _recording(kept: world.Recording | None) -> str:
    if kept is None:
        return "no"
    times = "" if kept.uploads == 1 else f", uploaded {kept.uploads} times"
    size = f"{kept.size_bytes / 1_000_000:.1f} MB" if kept.size_bytes >= 1_000_000 else f"{kept.size_bytes} bytes"
    return f"{kept.format}, {size}{times}"
