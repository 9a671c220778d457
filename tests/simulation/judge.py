"""What must be true at every moment, told from the CRM's hidden truth and from the synced ledger."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from pipeline import model
from tests.simulation.disk import OnDisk
from tests.simulation.history import History
from tests.simulation.scenario import Scenario

# Written down here once more, so that the ledger's own table is not asked about itself.
LEGAL = {
    ("pending", "in_flight"), ("pending", "failed"), ("in_flight", "delivered"), ("in_flight", "pending"),
    ("in_flight", "refused"), ("in_flight", "in_doubt"), ("in_doubt", "delivered"), ("in_doubt", "pending"),
    ("in_doubt", "held"), ("failed", "pending"),
}  # fmt: skip
ENDED = {"delivered", "held", "refused"}


@dataclass(frozen=True, slots=True)
class Finding:
    kind: str
    what: str


@dataclass(slots=True)
class Judge:
    """`made` counts, by item, the records that its requests have made."""

    scenario: Scenario
    history: History
    items: Callable[[], dict[str, OnDisk]]
    findings: list[Finding] = field(default_factory=list)
    made: Counter[str] = field(default_factory=Counter)
    posts: int = 0
    lives: int = 1
    _arrived_at: dict[str, float] = field(default_factory=dict)
    _reads: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    _recent: deque[float] = field(default_factory=deque)

    def find(self, kind: str, what: str) -> None:
        self.history.note("FINDING", kind, what)
        self.findings.append(Finding(kind, what))

    # At every moment

    def asked(self, _method: str, lead_id: int | None) -> None:
        now, rate = trio.current_time(), self.scenario.rate
        if lead_id is not None:
            self._reads[lead_id].append(now)
        self._recent.append(now)
        while self._recent[0] <= now - rate.seconds:
            self._recent.popleft()
        # A slot is used when it is given; connections take a moment, and each new life begins a window.
        if len(self._recent) > rate.limit + self.scenario.concurrency + self.lives:
            self.find("rate", f"{len(self._recent)} requests in {rate.seconds:g} s, {rate.limit} allowed")

    def arrived(self, key: str, lead_id: int) -> None:
        self.posts += 1
        self._arrived_at[key] = trio.current_time()
        item = self.items().get(key)
        if item is None or item.status != "in_flight" or not item.has_intent:
            self.find("undurable", f"a create of {key} arrived while the disk says {item and item.status}")
        elif item.lead_id != lead_id:
            self.find("wrong lead", f"a create of {key} arrived for lead {lead_id}")

    def stored(self, key: str) -> None:
        self.made[key] += 1
        if self.made[key] > 1:
            self.find("duplicated", f"{key} is in the CRM {self.made[key]} times")

    def moved(self, before: dict[str, OnDisk], after: dict[str, OnDisk]) -> None:
        """The ledger was synced."""
        for key, item in after.items():
            was = before[key].status if key in before else "pending"
            if item.status == was:
                continue
            self.history.note("moved", key, was, item.status)
            if (was, item.status) not in LEGAL:
                self.find("illegal", f"{key} went from {was} to {item.status}")
            if (was, item.status) == ("in_doubt", "pending"):
                self._judge_absence(key, item)

    def _judge_absence(self, key: str, item: OnDisk) -> None:
        now, arrived = trio.current_time(), self._arrived_at.get(key)
        if arrived is None:
            return
        if now - arrived < self.scenario.settle:
            self.find("hasty", f"{key} called absent {now - arrived:.1f} s after it was sent")
        if len([moment for moment in self._reads[item.lead_id] if moment > arrived]) < 2:
            self.find("hasty", f"{key} called absent without two reads of its lead")

    # When a life ends

    def told(self, result: model.Result) -> None:
        rows, calls = result.summary.rows, result.summary.calls
        if not (rows.adds_up() and calls.adds_up(rows)):
            self.find("unbalanced", f"{rows} {calls}")

    def judge_delivered(self, truth: dict[int, tuple[int, str | None]]) -> None:
        """`truth` says of each communication which lead it is on and which item made it."""
        items = self.items()
        for key, item in items.items():
            if item.status != "delivered":
                continue
            lead_id, made_by = truth.get(item.communication_id or 0, (0, None))
            # Without references, calls that are equal in everything may stand for one another.
            alike = made_by == key or (
                made_by is not None and not self.scenario.reference and items[made_by].payload == item.payload
            )
            if lead_id != item.lead_id or not alike:
                self.find("wrong id", f"{key} holds communication {item.communication_id}, made by {made_by}")

    # When all is over

    def judge_end(self) -> None:
        for key, item in self.items().items():
            if item.status not in ENDED:
                self.find("stuck", f"{key} is {item.status} for good ({item.reason})")
            if item.status == "held" and not item.reason:
                self.find("lost", f"{key} is held without evidence")
            if item.status == "refused" and item.lead_id != self.scenario.refused_lead:
                self.find("lost", f"{key} is refused, and the CRM never did")
            if item.status == "refused" and self.made[key]:
                self.find("wrong id", f"{key} is refused, and the CRM has it")
        by_payload: Counter[str] = Counter()
        for key, item in self.items().items():
            # Twins without references: which of them holds the id does not matter, their number does.
            by_payload[item.payload] += (item.status == "delivered") - min(self.made[key], 1)
            by_payload[item.payload] += item.status == "held" and self.made[key] > 0
        for payload, too_many in sorted(by_payload.items()):
            if too_many > 0:
                self.find("lost", f"{too_many} delivered of {payload} are not in the CRM")
