"""What must be true at every moment, told from the CRM's hidden truth and from the synced ledger."""

import json
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import trio

from callimport.core import endings
from tests.fake_crm import TOKEN
from tests.simulation.clocks import Clocks
from tests.simulation.crm import without_reference
from tests.simulation.disk import OnDisk
from tests.simulation.history import History
from tests.simulation.process import Process
from tests.simulation.scenario import Scenario

# Written down here once more, so that the ledger's own table is not asked about itself.
LEGAL = {
    ("pending", "in_flight"), ("pending", "failed"), ("pending", "held"), ("in_flight", "delivered"),
    ("in_flight", "pending"), ("in_flight", "refused"), ("in_flight", "in_doubt"), ("in_doubt", "delivered"),
    ("in_doubt", "pending"), ("in_doubt", "held"), ("failed", "pending"), ("pending", "withdrawn"),
}  # fmt: skip
ENDED = {"delivered", "held", "refused", "withdrawn"}
NEAR_SECONDS = 120.0
# What a read that waits for its connection may take, once the gate is closed; a create looks at the gate again.
CONNECTING_SECONDS = 0.11
# The first sending, and two after a verdict of absence.
MOST_SENDINGS = 3
# The longest answer, and then some.
LONGEST_DRAIN_SECONDS = 200.0


class Stored(Protocol):
    """A communication as the CRM has it, and the item whose request made it."""

    @property
    def id(self) -> int: ...
    @property
    def lead_id(self) -> int: ...
    @property
    def sent(self) -> dict[str, Any]: ...
    @property
    def at(self) -> float: ...
    @property
    def made_by(self) -> str | None: ...
    @property
    def altered(self) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class Finding:
    kind: str
    what: str


@dataclass(slots=True)
class Judge:
    """`made` names, by item, the records that its requests have made; `theirs` are items that hold a record of the
    staff: they were adopted, or nobody could tell it from their own."""

    scenario: Scenario
    history: History
    clocks: Clocks
    items: Callable[[], dict[str, OnDisk]]
    findings: list[Finding] = field(default_factory=list)
    made: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    theirs: set[str] = field(default_factory=set)
    posts: int = 0
    lives: int = 1
    _sent: Counter[str] = field(default_factory=Counter)
    _arrived_at: dict[str, float] = field(default_factory=dict)
    _intended_at: dict[str, float] = field(default_factory=dict)
    _reads: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    _recent: deque[float] = field(default_factory=deque)

    def find(self, kind: str, what: str) -> None:
        self.history.note("FINDING", kind, what)
        self.findings.append(Finding(kind, what))

    # At every moment

    def asked(self, method: str, lead_id: int | None, process: Process) -> None:
        now, rate = self.clocks.world(), self.scenario.rate
        if lead_id is not None:
            self._reads[lead_id].append(now)
        self._recent.append(now)
        while self._recent[0] <= now - rate.seconds:
            self._recent.popleft()
        # A slot is used when it is given; connections take a moment, and each new life begins a window.
        if len(self._recent) > rate.limit + self.scenario.concurrency + self.lives:
            self.find("rate", f"{len(self._recent)} requests in {rate.seconds:g} s, {rate.limit} allowed")
        open_for = 0.0 if method == "POST" else CONNECTING_SECONDS
        if process.closed_since + open_for < trio.current_time() < process.closed_until:
            self.find("gate", f"a {method} arrived while the CRM had asked for silence")

    def arrived(self, key: str, lead_id: int, process: Process) -> None:
        self.posts += 1
        self._sent[key] += 1
        self._arrived_at[key] = now = self.clocks.world()
        item = self.items().get(key)
        if item is None or item.status != "in_flight" or not item.has_intent:
            self.find("undurable", f"a create of {key} arrived while the disk says {item and item.status}")
        elif item.lead_id != lead_id:
            self.find("wrong lead", f"a create of {key} arrived for lead {lead_id}")
        if self._sent[key] > MOST_SENDINGS:
            self.find("tried", f"{key} was sent {self._sent[key]} times")
        for since, why in (
            (process.stop_asked_at, "an end was asked for"),
            (process.disk_failed_at, "the disk failed"),
        ):
            if since is not None and now > since:
                self.find("deaf", f"a create of {key} arrived {now - since:.3f} s after {why}")

    def turned_away(self, key: str) -> None:
        """A create was answered by a definite no."""
        self._sent[key] -= 1

    def stored(self, key: str, communication_id: int) -> None:
        self.made[key].append(communication_id)
        if len(self.made[key]) > 1:
            self.find("duplicated", f"{key} is in the CRM {len(self.made[key])} times")

    def moved(self, before: dict[str, OnDisk], after: dict[str, OnDisk]) -> None:
        """The ledger was synced."""
        for key, item in after.items():
            was = before[key].status if key in before else "pending"
            if item.status == was:
                continue
            self.history.note("moved", key, was, item.status)
            if (was, item.status) not in LEGAL and not (was == "pending" and item.adopted):
                self.find("illegal", f"{key} went from {was} to {item.status}")
            if item.status == "in_flight":
                self._intended_at.setdefault(key, self.clocks.world())
            if (was, item.status) == ("in_doubt", "pending"):
                self._judge_absence(key, item)

    def _judge_absence(self, key: str, item: OnDisk) -> None:
        now, arrived = self.clocks.world(), self._arrived_at.get(key)
        if arrived is None:
            return
        if now - arrived < self.scenario.settle:
            self.find("hasty", f"{key} called absent {now - arrived:.1f} s after it was sent")
        if len([moment for moment in self._reads[item.lead_id] if moment > arrived]) < 2:
            self.find("hasty", f"{key} called absent without two reads of its lead")

    # When a life ends

    def told(self, result: endings.Result, *, with_files: bool) -> None:
        rows, calls = result.summary.rows, result.summary.calls
        if not (rows.adds_up() and calls.adds_up(rows)):
            self.find("unbalanced", f"{rows} {calls}")
        stand = Counter(item.status for item in self.items().values())
        said = {"pending": calls.pending, "in_doubt": calls.in_doubt, "held": calls.held, "delivered": calls.delivered}
        on_disk = {**stand, "in_doubt": stand["in_doubt"] + stand["in_flight"]}
        for status, count in said.items():
            if count > on_disk.get(status, 0):
                self.find("report", f"{count} {status} in the report, {on_disk.get(status, 0)} in the ledger")
        of_each = calls.total - calls.duplicate - calls.skipped + result.summary.skipped.get("existing", 0)
        if with_files and of_each != len(self.items()):
            self.find("report", f"{of_each} calls in the report, {len(self.items())} in the ledger")
        self.heard(result.error or "")

    def heard(self, words: str) -> None:
        """What is said to people never holds the key, nor a whole phone number."""
        if TOKEN in words or any(row[6] in words for row in self.scenario.rows):
            self.find("secret", words)

    def ended(self, process: Process) -> None:
        if process.stop_asked_at is None or process.dead:
            return
        took = self.clocks.world() - process.stop_asked_at
        if took > LONGEST_DRAIN_SECONDS + sum(upset.asleep for upset in process.life.upsets):
            self.find("stuck", f"it ended {took:.0f} s after it was asked to")

    def judge_delivered(self, records: Sequence[Stored]) -> None:
        items, by_id = self.items(), {one.id: one for one in records}
        for key, item in items.items():
            if item.status != "delivered":
                continue
            one = by_id.get(item.communication_id or 0)
            if one is None or one.lead_id != item.lead_id or not self._is_right(key, item, one):
                made_by = one and one.made_by
                self.find("wrong id", f"{key} holds communication {item.communication_id}, made by {made_by}")

    def _is_right(self, key: str, item: OnDisk, one: Stored) -> bool:
        if one.made_by == key:
            return True
        # What was adopted was taken over as it is: of what staff wrote, or the CRM cut off, a reference is no part.
        plain = item.adopted > 0
        if one.made_by is not None:
            # Calls that are equal in everything may stand for one another.
            return _says(self.items()[one.made_by].payload, plain=plain) == _says(item.payload, plain=plain)
        if _says(json.dumps(one.sent)) != _says(item.payload, plain=plain):
            return False
        # Nobody can tell a staff record from ours that equals it in everything and was made while ours was under way.
        if not item.adopted and not (key in self._intended_at and one.at >= self._intended_at[key]):
            return False
        self.theirs.add(key)
        return True

    # When all is over

    def judge_end(self, records: Sequence[Stored]) -> None:
        for key, item in self.items().items():
            if item.status not in ENDED:
                self.find("stuck", f"{key} is {item.status} for good ({item.reason})")
            if item.status == "held" and not item.reason:
                self.find("lost", f"{key} is held without evidence")
            if item.status == "refused" and item.lead_id != self.scenario.refused_lead:
                self.find("lost", f"{key} is refused, and the CRM never did")
            if item.status == "refused" and self.made[key]:
                self.find("wrong id", f"{key} is refused, and the CRM has it")
        self._judge_guesses(records)
        self._judge_existing(records)
        self._judge_losses()
        self._judge_alterations({one.id: one for one in records})

    def _judge_guesses(self, records: Sequence[Stored]) -> None:
        """Of two that are alike nobody takes the one that is not theirs: the call is held."""
        claimed = {item.communication_id for item in self.items().values()}
        for one in records:
            item = self.items().get(one.made_by or "")
            if one.made_by in self.theirs and one.id not in claimed and item is not None and not item.adopted:
                self.find("guessed", f"{one.made_by} holds a record of the staff, and its own, {one.id}, is nobody's")

    def _judge_existing(self, records: Sequence[Stored]) -> None:
        """A call is skipped for a record of the staff that is near it; and where one is near, none is made besides."""
        stand_for: dict[int, list[float]] = defaultdict(list)
        staff = {one.id: one for one in records if one.made_by is None}
        items = self.items()
        for key, item in items.items():
            if item.status != "withdrawn":
                continue
            one = staff.get(item.existing_id or 0)
            seconds = self._apart(item.payload, one) if one else None
            if seconds is None or seconds > NEAR_SECONDS:
                self.find("lost", f"{key} is skipped for {item.existing_id}, which is another call")
            else:
                stand_for[item.existing_id or 0].append(seconds)
        for number, apart in stand_for.items():
            if len(set(apart)) > 1:
                self.find("lost", f"{number} stands for {len(apart)} calls, not all of them equally near")
        if self.scenario.existing == "skip":
            held = {item.communication_id for item in items.values()}
            for one in (one for number, one in staff.items() if number not in stand_for and number not in held):
                for key in self.made:
                    seconds = self._apart(items[key].payload, one)
                    if seconds is not None and seconds <= NEAR_SECONDS:
                        self.find("doubled", f"{key} was sent, and may be {one.id} of the staff")

    def _apart(self, payload: str, one: Stored) -> float | None:
        """Seconds between two calls of the same lead, method and direction, as far as the CRM shows these; None for
        others."""
        body, hidden = json.loads(payload), self.scenario.dialect.read_without
        if any(body[name] != one.sent[name] for name in ("lead_id", "method", "type") if name not in hidden):
            return None
        moments = [datetime.fromisoformat(each["executed_at"]) for each in (body, one.sent)]
        return abs(moments[0] - moments[1]).total_seconds()

    def _judge_losses(self) -> None:
        too_many: Counter[tuple[object, ...]] = Counter()
        for key, item in self.items().items():
            # Twins: which of them holds the id does not matter, their number does.
            there = len(self.made[key]) + (key in self.theirs)
            too_many[_says(item.payload, plain=True)] += (item.status == "delivered") - there
        for call, count in too_many.items():
            if count > 0:
                self.find("lost", f"{count} delivered of {call} are not in the CRM")

    def _judge_alterations(self, records: dict[int, Stored]) -> None:
        """What the CRM keeps otherwise, and shows, is told."""
        manner = self.scenario.dialect
        shown = manner.echo_without | manner.read_without
        for key, item in self.items().items():
            one = records.get(item.communication_id or 0)
            if item.status != "delivered" or item.adopted or one is None or manner.without_nulls:
                continue
            for name in sorted(one.altered - shown):
                if name not in (item.reason or ""):
                    self.find("silent", f"{name} of {key} is kept otherwise, and nobody is told")


def _says(payload: str, *, plain: bool = False) -> tuple[object, ...]:
    """A communication as it is compared: by what it says, not how; without its reference if `plain`."""
    body = json.loads(payload)
    about = (body.get("description") or "").strip()
    at = datetime.fromisoformat(body["executed_at"])
    names = ("lead_id", "method", "type", "executed_by", "call_status", "call_duration", "call_phone")
    return ((without_reference(about) or "") if plain else about, at, *(body.get(name) for name in names))
