"""What must be true of calls that look for their lead, told from what the CRM had at each moment."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from callimport.core import endings
from tests.simulation.callers import ANONYMOUS, DAY, OWN, Call, Callers, Row
from tests.simulation.crm import Record
from tests.simulation.disk import OnDisk
from tests.simulation.judge import Judge
from tests.simulation.process import Process
from tests.simulation.scenario import START

# An answer of the CRM stands for so long.
LASTS = 20 * 3600.0
# Between the moment that a run calls now and its first question, and what a read lags behind.
SLACK = 30.0
# Of an answer that was not whole no page is worth anything.
READ_ANEW = ("incomplete", "a lead slid past")
_CANDIDATES = re.compile(r"leads ([\d, ]+) and (\d+) (?:both|all) have this number")


@dataclass(frozen=True, slots=True)
class Seen:
    """The ledger after a run: which calls are items, which wait and since when, and until when each number is known."""

    items: Mapping[str, str]
    waiting: Mapping[str, float]
    asked_at: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Run:
    """One that came to its end, with the rows of its file."""

    began: float
    ended: float
    rows: tuple[Row, ...]

    def choices(self, callers: Callers, call: Call) -> set[int | None]:
        """Whatever the run may have been right to choose. No answer from before the call is one."""
        return callers.choices(call, max(self.began - LASTS - SLACK, call.at), self.ended)


@dataclass(slots=True)
class LeadJudge:
    """Beside the judge of the simulation. Calls are known by what no id changes: number, direction and time."""

    callers: Callers
    judge: Judge
    runs: list[Run] = field(default_factory=list)
    asked: int = 0
    _began: float = 0.0
    _rows: tuple[Row, ...] = ()
    _known: Mapping[str, float] = field(default_factory=dict)
    _answered: Counter[tuple[int, str, str]] = field(default_factory=Counter)
    _spoilt: Counter[tuple[int, str]] = field(default_factory=Counter)
    _first_lead: dict[str, int] = field(default_factory=dict)
    _waited: dict[str, float] = field(default_factory=dict)
    _given_up: set[str] = field(default_factory=set)
    late: int = 0
    untold: int = 0

    @property
    def given_up(self) -> int:
        return len(self._given_up)

    # At every moment

    def begins(self, rows: tuple[Row, ...], seen: Seen) -> None:
        """A life does, with these rows, where another one may have died."""
        self._began, self._rows = self.judge.clocks.world(), rows
        for one in self._waited.keys() - seen.waiting.keys() - seen.items.keys():
            # Between its last statement and its last word a process may die, too.
            self.untold += 1
            self._judge_time(one, self._began)
        self._waited = dict(seen.waiting)
        self._known = seen.asked_at

    def looked_up(self, what: str, number: str, trouble: str | None, process: Process) -> None:
        self.asked += 1
        if number in (OWN, ANONYMOUS):
            self.judge.find("asked", f"the CRM is asked for {number}")
        if number in self._known:
            last = max((row.call.at for row in self._rows if row.call.phone == number), default=float("-inf"))
            since = self._known[number]
            if last <= since and self._began - since < LASTS - 1:
                self.judge.find("asked", f"{number} is asked for again, {self._began - since:.0f} s after an answer")
        self._spoilt[id(process), number] += trouble in READ_ANEW
        if trouble is None:
            self._answered[id(process), what, number] += 1
            if self._answered[id(process), what, number] > 1 + self._spoilt[id(process), number]:
                self.judge.find("asked", f"{number} is asked for twice in one run ({what})")

    def moved(self, before: Mapping[str, OnDisk], after: Mapping[str, OnDisk]) -> None:
        """The ledger was synced: an item has the lead that was the right one when it became an item, for ever."""
        now = self.judge.clocks.world()
        for key, item in after.items():
            if key in before:
                if item.lead_id != self._first_lead.get(key, item.lead_id):
                    self.judge.find("moved", f"{key} has lead {item.lead_id}, and had {self._first_lead[key]}")
                continue
            self._first_lead.setdefault(key, item.lead_id)
            call = self._call(item.payload)
            right = Run(self._began, now, ()).choices(self.callers, call)
            self.late += any(one in self._waited for one in (self._name(call, each) for each in call.ids))
            if item.lead_id not in right:
                self.judge.find("wrong lead", f"{key} has lead {item.lead_id}, not one of {right}")

    def _call(self, payload: str) -> Call:
        body = json.loads(payload)
        direction, phone = body["type"], body["call_phone"]
        moment = (datetime.fromisoformat(body["executed_at"]) - START).total_seconds()
        return next(
            one
            for one in self.callers.calls()
            if (one.direction, one.phone) == (direction, phone) and abs(one.at - moment) < 1
        )

    # When a run has ended by itself

    def told(self, result: endings.Result, seen: Seen) -> None:
        run = Run(self._began, self.judge.clocks.world(), self._rows)
        self.runs.append(run)
        for finding in result.findings:
            if finding.rule == "lead_several":
                self._judge_candidates(finding.message)
        broken = {row.call_id for row in run.rows if row.is_broken}
        for call in self.callers.calls():
            ids = [self._name(call, call_id) for call_id in call.ids]
            is_decided = None not in run.choices(self.callers, call)
            is_item = any(one in seen.items for one in ids)
            waits = [one for one in ids if one in seen.waiting]
            is_left_alone = call.near or len(ids) > 1 or broken & {*call.ids, ""}
            if waits and is_decided and not is_item and not is_left_alone:
                self.judge.find("forgotten", f"{waits[0]} waits, and its lead is there")
            gone = [one for one in ids if one in self._waited and one not in seen.waiting and one not in seen.items]
            for one in gone:
                self._judge_given_up(call, one)
        self._waited = dict(seen.waiting)

    def _judge_given_up(self, call: Call, one: str) -> None:
        self._judge_time(one, self.judge.clocks.world())
        # However long it has waited: the run that gives it up has looked once more.
        if None not in self.runs[-1].choices(self.callers, call):
            self.judge.find("given up", f"{one} is given up, and its lead has come")

    def _judge_time(self, one: str, now: float) -> None:
        """Whether it may be given up by then."""
        self._given_up.add(one)
        since = self._waited[one]
        if now - since <= self.callers.grace.total_seconds():
            self.judge.find("given up", f"{one} is given up {now - since:.0f} s after it was seen")

    def _judge_candidates(self, message: str) -> None:
        found = _CANDIDATES.search(message)
        named = {int(one) for one in re.findall(r"\d+", " ".join(found.groups()))} if found else set()
        moments = [self._began - LASTS, self.judge.clocks.world(), *(lead.born for lead in self.callers.leads)]
        moments += [lead.turned for lead in self.callers.leads]
        phones = {lead.phone for lead in self.callers.leads}
        if not any({lead.id for lead in self.callers.fit(one, at)} == named for one in phones for at in moments):
            self.judge.find("candidates", message)

    # When all is over

    def judge_end(self, records: Sequence[Record], seen: Seen) -> None:
        made = Counter((one.sent["call_phone"], one.sent["type"], one.sent["executed_at"]) for one in records)
        never = {OWN, ANONYMOUS} & {one.sent["call_phone"] for one in records}
        if never:
            self.judge.find("own", f"calls of {never} were sent")
        by_moment: dict[tuple[str, str, datetime], int] = defaultdict(int)
        for (phone, direction, at), count in made.items():
            by_moment[phone, direction, datetime.fromisoformat(at)] += count
        for call in self.callers.calls():
            count = by_moment[call.phone, call.direction, call.started_at]
            ids = [self._name(call, call_id) for call_id in call.ids]
            if count > 1:
                self.judge.find("twice", f"{ids} is in the CRM {count} times")
            self._judge_ending(call, count, {one: seen.items.get(one) for one in ids}, seen)

    def _judge_ending(self, call: Call, count: int, items: Mapping[str, str | None], seen: Seen) -> None:
        """Delivered once; or held; or it waits, was given up or rejected, and no lead was decided on."""
        stand = Counter(status for status in items.values() if status)
        if call.phone in (OWN, ANONYMOUS):
            if stand:
                self.judge.find("own", f"{items} of {call.phone}")
            return
        if stand["delivered"] > 1 or (count and not stand["delivered"] and not stand["held"]):
            self.judge.find("lost", f"{items}: {count} in the CRM")
        if stand["delivered"] or stand["held"]:
            if stand["held"] and len(items) == 1 and self.judge.scenario.fault_rate == 0.0 and not call.near:
                self.judge.find("held", f"{items} for no reason")
            return
        waits = [one for one in items if one in seen.waiting]
        if waits:
            if None not in self.runs[-1].choices(self.callers, call):
                self.judge.find("lost", f"{waits[0]} waits for ever, and its lead is there")
            return
        if self._given_up & items.keys() or self._is_rejected(call):
            return
        self.judge.find("lost", f"{items} is nowhere")

    def _is_rejected(self, call: Call) -> bool:
        """Whether every run that had it had to reject it: its row was broken, or it is not decided which lead."""
        return all(
            row.is_broken or (None in run.choices(self.callers, call) and self._may_be_several(call, run))
            for run in self.runs
            for row in run.rows
            if row.call == call
        )

    def _may_be_several(self, call: Call, run: Run) -> bool:
        moments = [run.began - LASTS, run.ended]
        moments += [
            at for one in self.callers.leads for at in (one.born, one.turned) if run.began - DAY < at < run.ended
        ]
        return any(len(self.callers.fit(call.phone, at)) > 1 for at in moments)

    def _name(self, call: Call, call_id: str) -> str:
        return name(call_id or None, call.phone, call.direction, call.at)


def name(call_id: str | None, phone: str, direction: str, at: float) -> str:
    """By which a call is known here and in the ledger."""
    return call_id or f"{phone} {direction} {at:.0f}"


def names(rows: Collection[tuple[str | None, str, str, int]]) -> list[str]:
    return [name(one, phone, direction, at - START.timestamp()) for one, phone, direction, at in rows]


def second(moment: str) -> float:
    """Of the world, from an instant of the ledger."""
    return (datetime.fromisoformat(moment) - START) / timedelta(seconds=1)
