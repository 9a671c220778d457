"""What a seed draws of callers whose leads only the CRM knows: numbers, leads that come to be, nights of exports."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tests.simulation import lives, scenario
from tests.simulation.scenario import COLUMNS, START, Scenario

DAY = 86400.0
ACCOUNT_ID, OTHER_ACCOUNT_ID = 77, 78
OWN, ANONYMOUS = "+15145550199", "anonymous"
NEVER_CHOSEN = ("duplicate", "invalid")
LATEST_AFTER_THE_CALL = timedelta(days=30)
# How the CRM writes numbers, and what it makes of a filter by one.
MANNERS = (("e164", "exact"), ("e164", "exact"), ("national", "by digits"), ("e164", "deaf"), ("national", "deaf"))


@dataclass(frozen=True, slots=True)
class Lead:
    """`born` and `turned` are seconds of the world; from `turned` on its status is `later`."""

    id: int
    phone: str
    born: float
    status: str = ""
    turned: float = float("inf")
    later: str = ""
    account_id: int = ACCOUNT_ID

    def status_at(self, moment: float) -> str:
        return self.later if moment >= self.turned else self.status

    @property
    def created_at(self) -> datetime:
        return (START + timedelta(seconds=self.born)).replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it took place, `at` a second of the world. `lead_id` is what its rows name, if they do; `near`: there
    is another one of its number within a minute."""

    ids: tuple[str, ...]
    phone: str
    direction: str
    at: float
    lead_id: int | None = None
    near: bool = False

    @property
    def started_at(self) -> datetime:
        return START + timedelta(seconds=self.at)


@dataclass(frozen=True, slots=True)
class Row:
    """A call as a night's file has it: under one of its ids, or in a way that no call can be made of."""

    call: Call
    call_id: str
    is_broken: bool

    def cells(self) -> tuple[str, ...]:
        call = self.call
        lead_id = "" if call.lead_id is None else str(call.lead_id)
        duration = "x" if self.is_broken else "60"
        moment = call.started_at.isoformat()
        return (self.call_id, lead_id, call.direction, "answered", moment, duration, call.phone, "106", "Jean", "", "")


@dataclass(frozen=True, slots=True)
class Night:
    """`lives` are those that something befalls; with `gives_up`, nobody comes back to what they leave undone."""

    begins: float
    rows: tuple[Row, ...]
    lives: tuple[lives.Life, ...]
    gives_up: bool

    def csv(self) -> str:
        return "\n".join(",".join(row) for row in (COLUMNS, *(one.cells() for one in self.rows))) + "\n"


@dataclass(frozen=True, slots=True)
class Callers:
    world: Scenario
    leads: tuple[Lead, ...]
    nights: tuple[Night, ...]
    several: str
    grace: timedelta
    writes: str
    filters: str
    page_length: int

    def calls(self) -> tuple[Call, ...]:
        return tuple(dict.fromkeys(row.call for night in self.nights for row in night.rows))

    def choices(self, call: Call, since: float, until: float) -> set[int | None]:
        """Which lead is the right one, by what the CRM had from then to then; None where none is, or none is decided
        on."""
        if call.lead_id is not None:
            return {call.lead_id}
        moments = {since, until, *(m for one in self.leads for m in (one.born, one.turned) if since < m <= until)}
        return {self._choice(call, moment) for moment in moments}

    def fit(self, phone: str, moment: float) -> list[Lead]:
        """The leads that may be chosen for a number, the oldest first."""
        fit = [one for one in self.leads if one.phone == phone and one.born <= moment and one.account_id == ACCOUNT_ID]
        fit = [one for one in fit if one.status_at(moment) not in NEVER_CHOSEN]
        return sorted(fit, key=lambda one: (one.created_at, one.id))

    def _choice(self, call: Call, moment: float) -> int | None:
        fit = self.fit(call.phone, moment)
        if len(fit) < 2:
            return fit[0].id if fit else None
        match self.several:
            case "newest":
                return fit[-1].id
            case "oldest":
                return fit[0].id
            case "at-call":
                before = [one for one in fit if one.created_at <= call.started_at]
                soon = [one for one in fit if one.created_at <= call.started_at + LATEST_AFTER_THE_CALL]
                return before[-1].id if before else soon[0].id if soon else None
            case _:
                return None


def draw(seed: int) -> Callers:
    rng = random.Random(f"callers {seed}")
    numbers = [f"+1514555{100 + index:04d}" for index in range(rng.choice((2, 3, 5, 8)))]
    count = rng.randint(3, 5)
    nights = _nights(rng, _calls(rng, numbers, count), count)
    world = replace(
        scenario.draw(seed),
        # What is said to people is compared with the numbers in here.
        rows=tuple(row.cells() for night in nights for row in night.rows if row.call.phone.startswith("+")),
        reference=True,
        refused_lead=None,
        look_alikes_before=0,
        look_alikes_meanwhile=0.0,
        lives=(),
    )
    writes, filters = rng.choice(MANNERS)
    return Callers(
        world=world,
        leads=tuple(_leads(rng, numbers, count)),
        nights=nights,
        several=rng.choice(("reject", "at-call", "newest", "oldest")),
        grace=timedelta(days=rng.choice((1, 2, 2, 30))),
        writes=writes,
        filters=filters,
        page_length=rng.choice((2, 3, 100)),
    )


def _leads(rng: random.Random, numbers: Sequence[str], nights: int) -> list[Lead]:
    leads: list[Lead] = []
    for phone in numbers:
        before = [-DAY * rng.uniform(1, 400) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
        later = [_some_time(rng, nights) for _ in range(rng.choice((0, 1, 1, 1, 2)))]
        for born in (*before, *later):
            one = Lead(6001 + len(leads), phone, born, rng.choice(("", "", "", "", "duplicate", "invalid")))
            if rng.random() < 0.15:
                one = replace(one, turned=_some_time(rng, nights), later="duplicate")
            if rng.random() < 0.1:
                one = replace(one, account_id=OTHER_ACCOUNT_ID)
            leads.append(one)
    return leads


def _some_time(rng: random.Random, nights: int) -> float:
    """Between two nights, or in one while the importer is at work."""
    night = rng.randint(0, nights) * DAY
    return night + (rng.uniform(5, 900) if rng.random() < 0.3 else -rng.uniform(3600, 60000))


def _calls(rng: random.Random, numbers: Sequence[str], nights: int) -> list[tuple[int, Call]]:
    """Each with the night that has it first. Seconds are told, so that only two of the same moment look alike."""
    calls: list[tuple[int, Call]] = []
    slots = [(phone, slot) for phone in numbers for slot in range(150)]
    for night in range(nights):
        for phone, slot in rng.sample(slots, rng.randint(2, 8)):
            chance = rng.random()
            at = night * DAY - 4000.0 - 480 * slot + 7
            number = OWN if chance < 0.06 else ANONYMOUS if chance < 0.1 else phone
            names_its_own = number == phone and rng.random() < 0.08
            near = number == phone and not names_its_own and rng.random() < 0.15
            call_id = "" if rng.random() < 0.1 else f"S-{len(calls)}"
            ids = (call_id, f"T-{len(calls)}") if number == phone and not near and rng.random() < 0.2 else (call_id,)
            direction = rng.choice(("incoming", "outgoing"))
            call = Call(ids, number, direction, at, 9000 + len(calls) if names_its_own else None, near)
            calls.append((night, call))
            if near:
                another = replace(call, ids=(f"S-{len(calls)}",), at=at + rng.randint(3, 50))
                calls.append((night, another))
    return calls


def _nights(rng: random.Random, calls: Sequence[tuple[int, Call]], count: int) -> tuple[Night, ...]:
    rows: list[list[Row]] = [[] for _ in range(count)]
    for first, call in calls:
        shown = [first, *(night for night, share in ((first + 1, 0.5), (first + 2, 0.2)) if rng.random() < share)]
        anew = rng.choice((first + 1, first + 2)) if len(call.ids) > 1 else -1
        for night in sorted({*shown, *([anew] if anew > 0 else [])}):
            if night < count:
                rows[night].append(Row(call, call.ids[night == anew], rng.random() < 0.05))
    return tuple(
        Night(night * DAY + rng.uniform(-1800, 1800), tuple(those), _befalling(rng), rng.random() < 0.1)
        for night, those in enumerate(rows)
    )


def _befalling(rng: random.Random) -> tuple[lives.Life, ...]:
    return tuple(_life(rng) for _ in range(rng.choice((0, 1, 1, 2, 3))))


def _life(rng: random.Random) -> lives.Life:
    chance = rng.random()
    if chance < 0.7:
        return lives.Life(crash=lives.crash(rng, power_loss=0.4))
    return lives.Life(ctrl_c=lives.ctrl_c(rng)) if chance < 0.85 else lives.Life(bad_disk=lives.bad_disk(rng))
