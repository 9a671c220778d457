"""The CRM of the simulation with leads that are looked up: all of them page by page, by a filter, by a search."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from tests.simulation.callers import Callers, Lead
from tests.simulation.crm import Crm
from tests.simulation.network import Wire
from tests.simulation.process import Process

_BOUND = "filter[created_at][lte]"


@dataclass(slots=True)
class Dealer(Crm):
    """`looked_up` hears of every question for one number, and of the trouble with its answer."""

    callers: Callers | None = None
    looked_up: Callable[[str, str, str | None, Process], None] = lambda *_: None
    pages: int = 0
    halved: dict[str, bool] = field(default_factory=dict)

    def receive(self, method: str, target: str, body: bytes, wire: Wire) -> None:
        path, _, query = target.partition("?")
        path = path.removeprefix("/v2")
        if path not in ("/leads", "/leads/search"):
            # By name: a dataclass with slots is made anew, and super() would mean the first one.
            Crm.receive(self, method, target, body, wire)
            return
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        self.history.note("request", method, path, asked.get("filter[phone]", asked.get("query", "")), asked["page"])
        self.judge.asked(method, None, wire.process)
        self.nursery.start_soon(self._list, asked, wire)

    async def _list(self, asked: dict[str, str], wire: Wire) -> None:
        await self.clocks.pass_in_world(self.rng.uniform(0.01, 0.3))
        number = asked.get("filter[phone]") or asked.get("query")
        if self._limited() is not None:
            self.history.fault("429")
            wire.answer(429, {"message": "Too Many Attempts."}, {"Retry-After": "20"})
            return
        now = self.clocks.world() - self.scenario.read_lag
        found = [one for one in self._all(now) if self._is_asked_for(one, asked)]
        page, length = int(asked["page"]), min(self._callers.page_length, int(asked["per_page"]))
        begins = (page - 1) * length
        kind = self._drawn(self.scenario.read_faults)
        if kind == "without communications":
            kind = "a lead slid past" if page > 1 else None
        question = " ".join(asked.values())
        if kind == "incomplete" and self.halved.get(question):
            # As with communications: no two such reads in a row.
            kind = None
        self.halved[question] = kind == "incomplete"
        # Somebody deletes a lead of a page that was read: what follows slides up.
        slid = kind == "a lead slid past"
        shown = found[begins + slid : begins + slid + length]
        total = len(found) - slid
        if kind == "incomplete":
            shown = [one for one in shown if self.rng.random() < 0.5]
        meta = {"current_page": page, "last_page": max(-(-total // length), 1), "total": total}
        body = {"data": [self._shown(one, now) for one in shown], "meta": meta}
        if number is None:
            self.pages += 1
        else:
            what = "search" if "query" in asked else "filter"
            self.looked_up(f"{what} {page}", f"+{number.removeprefix('+')}", kind, wire.process)
        await self._answer_read(kind, body, wire)

    @property
    def _callers(self) -> Callers:
        assert self.callers is not None
        return self.callers

    def _all(self, now: float) -> list[Lead]:
        born = [one for one in self._callers.leads if one.born <= now]
        return sorted(born, key=lambda one: (one.created_at, one.id), reverse=True)

    def _is_asked_for(self, one: Lead, asked: dict[str, str]) -> bool:
        if "query" in asked:
            return _digits(one.phone).endswith(asked["query"])
        if _BOUND in asked:
            return one.created_at <= datetime.fromisoformat(asked[_BOUND])
        match self._callers.filters:
            case "deaf":
                return True
            case "exact":
                return self._written(one) == asked["filter[phone]"]
            case _:
                return one.phone == asked["filter[phone]"]

    def _shown(self, one: Lead, now: float) -> dict[str, Any]:
        phones = [{"id": one.id * 10, "number": self._written(one), "type": "mobile", "valid": True}]
        return {
            "id": one.id,
            "account_id": one.account_id,
            "created_at": one.created_at.isoformat(),
            "status": one.status_at(now) or None,
            "phones": phones,
        }

    def _written(self, one: Lead) -> str:
        if self._callers.writes == "e164":
            return one.phone
        return re.sub(r"\+1(\d{3})(\d{3})(\d{4})", r"(\1) \2-\3", one.phone)


def _digits(text: str) -> str:
    return "".join(one for one in text if one.isdigit())
