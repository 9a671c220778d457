"""Verdicts on calls in doubt: strict to find, loose to deny, and anything between is for a person.

found   a communication of the lead bears the call's reference, or, where none is written, exactly as many as are in
        doubt equal the whole payload and were created since
absent  the settle time is over, and in two complete reads, some seconds apart, the lead has no communication of that
        method and direction near the call or made since it was sent, that is not ours already. Only with a reference:
        without one, doubt is never the reason for a second sending
held    anything else
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import anyio

from callimport.core import errors, mapping, models
from callimport.crm import matching
from callimport.crm.retry import Courier
from callimport.ledger import Ledger

BETWEEN_READS_SECONDS = 5.0
NEAR_THE_CALL = timedelta(minutes=15)
# Our clock against the CRM's, and the time a request may be under way.
CLOCK_MARGIN = timedelta(minutes=5)
ROUNDS = 2
# After that, a person decides what no run could look up.
LONGEST_UNREADABLE = timedelta(days=1)
# A sleep may end a rounding error too early: looking again at once would look for ever.
SHORTEST_WAIT_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Look:
    """One read of a lead: what it shows that is no item's yet, how many it does not show of those that are ours or that
    it showed before, and the references on all that it shows."""

    unclaimed: tuple[models.Stored, ...]
    missing: int = 0
    marks: frozenset[str] = frozenset()


def found(doubts: Sequence[models.Doubt], unclaimed: Iterable[models.Stored]) -> dict[str, models.Verdict]:
    """The doubts of one lead whose communication is surely among `unclaimed`, which holds none that is ours already."""
    shown = sorted(unclaimed, key=lambda one: one.id)
    verdicts: dict[str, models.Verdict] = {}
    for doubt in doubts:
        given = {verdict.found.id for verdict in verdicts.values() if verdict.found}
        bearing = [one for one in shown if matching.bears(doubt.reference, one) and one.id not in given]
        if bearing:
            more = f"; the same reference stands on {[one.id for one in bearing[1:]]} too" if bearing[1:] else ""
            verdicts[doubt.key] = models.Verdict("found", f"its reference stands on {bearing[0].id}{more}", bearing[0])
    left = [doubt for doubt in doubts if doubt.key not in verdicts and not _is_marked(doubt)]
    return verdicts | _found_by_payload(left, shown)


def denied(doubt: models.Doubt, first: Look, second: Look) -> models.Verdict:
    """What two complete reads say of a doubt that was not found."""
    if first.missing and second.missing:
        return models.Verdict(
            "held",
            f"the lead does not show {second.missing} communications that are ours or that it showed before (did a "
            "person delete or move them?), so that nothing can be concluded from what else it does not show",
        )
    if doubt.reference in first.marks | second.marks:
        return models.Verdict("held", "its reference stands on a communication of the lead that is another call's")
    since = doubt.intended_at - CLOCK_MARGIN
    near = {
        one.id: one
        for one in (*first.unclaimed, *second.unclaimed)
        if matching.may_be(doubt.communication, one, near=NEAR_THE_CALL, since=since)
    }
    if near:
        shown = matching.told(tuple(near.values()))
        return models.Verdict("held", f"the lead shows what could be it, but does not say so: communication {shown}")
    if doubt.applied:
        return models.Verdict("held", "the CRM said that it stored it, and does not show it")
    if not _is_marked(doubt):
        return models.Verdict("held", "the lead does not show it; without references that is no proof")
    if doubt.times_absent >= ROUNDS:
        return models.Verdict("held", f"sent {ROUNDS + 1} times without an answer, and not shown")
    return models.Verdict("absent", f"two reads of the lead show nothing like it ({len(second.unclaimed)} others)")


class Reconciliation:
    """Looks the doubts of the ledger up, one lead at a time, through the shared pacer."""

    def __init__(self, ledger: Ledger, courier: Courier, clock: models.Clock, settle_seconds: float) -> None:
        self._ledger = ledger
        self._courier = courier
        self._clock = clock
        self._settle_seconds = settle_seconds
        self._unreadable: set[int] = set()
        self.verdicts = Counter[str]()

    def ripe_in_seconds(self) -> float | None:
        """Until the next lead may be looked up; None where there is none left to look up."""
        leads = self._to_look_up()
        if not leads:
            return None
        wait = min(self._ripe_at(doubts) for doubts in leads.values()) - self._clock.monotonic()
        return max(SHORTEST_WAIT_SECONDS, wait) if wait > 0 else 0.0

    async def settle_all(self, say: Callable[[float], None]) -> None:
        """Wait until doubts are ripe and give verdicts, until none is left that can be looked up. `say` is told once,
        for how many seconds it waits at first."""
        is_said = False
        while (seconds := self.ripe_in_seconds()) is not None:
            if not is_said:
                say(seconds)
                is_said = True
            await anyio.sleep(seconds)
            await self.settle_ripe()

    async def settle_ripe(self) -> int:
        """Give a verdict on every doubt whose settle time is over, where the CRM can be read. Returns how many."""
        ripe = self._ripe()
        settled = 0
        first: dict[int, Look] = {}
        for lead_id, doubts in ripe.items():
            look = await self._look_or_hold(lead_id, doubts)
            if look is not None:
                verdicts = found(doubts, look.unclaimed)
                settled += self._record(verdicts)
                if len(verdicts) < len(doubts):
                    first[lead_id] = look
        if first:
            # One wait for all leads: absence takes two reads that lie apart.
            await anyio.sleep(BETWEEN_READS_SECONDS)
        for lead_id, look in first.items():
            settled += await self._settle_the_rest(lead_id, look)
        return settled

    def _ripe(self) -> dict[int, list[models.Doubt]]:
        """The doubts to be looked up now, by lead."""
        now = self._clock.monotonic()
        return {lead_id: doubts for lead_id, doubts in self._to_look_up().items() if self._ripe_at(doubts) <= now}

    def _to_look_up(self) -> dict[int, list[models.Doubt]]:
        by_lead: dict[int, list[models.Doubt]] = defaultdict(list)
        for doubt in self._ledger.doubts():
            if doubt.communication.lead_id not in self._unreadable:
                by_lead[doubt.communication.lead_id].append(doubt)
        return by_lead

    def _ripe_at(self, doubts: Sequence[models.Doubt]) -> float:
        """A lead is ripe when all its doubts are: they are judged together."""
        return max(doubt.since for doubt in doubts) + self._settle_seconds

    async def _settle_the_rest(self, lead_id: int, first: Look) -> int:
        second = await self._look_or_hold(lead_id, self._doubts_of(lead_id))
        if second is None:
            return 0
        settled = self._record(found(self._doubts_of(lead_id), second.unclaimed))
        if bool(first.missing) != bool(second.missing):
            # One of the two did not show everything: the next run looks again.
            self._unreadable.add(lead_id)
            return settled
        first, second = self._without_taken(first), self._without_taken(second)
        return settled + self._record({doubt.key: denied(doubt, first, second) for doubt in self._doubts_of(lead_id)})

    def _doubts_of(self, lead_id: int) -> list[models.Doubt]:
        return [doubt for doubt in self._ledger.doubts() if doubt.communication.lead_id == lead_id]

    def _without_taken(self, look: Look) -> Look:
        """What was found a moment ago is no candidate any more."""
        taken = self._ledger.taken({one.id for one in look.unclaimed})
        return replace(look, unclaimed=tuple(one for one in look.unclaimed if one.id not in taken))

    def _record(self, verdicts: dict[str, models.Verdict]) -> int:
        for key, verdict in verdicts.items():
            self._ledger.settle(key, verdict)
            self.verdicts[verdict.kind] += 1
        return len(verdicts)

    async def _look_or_hold(self, lead_id: int, doubts: Sequence[models.Doubt]) -> Look | None:
        """What the lead shows; None where that proves nothing, or where there is no lead to look at."""
        try:
            return await self._look(lead_id)
        except errors.Refused as outcome:
            if outcome.status == 404:
                self._hold(doubts, outcome)
            else:
                # That this key may not look now says nothing of the lead.
                self._look_again_later(lead_id, doubts, outcome)
        except errors.Incomplete as outcome:
            # Neither found nor absent may be concluded from half a picture.
            self._look_again_later(lead_id, doubts, outcome)
        return None

    def _look_again_later(self, lead_id: int, doubts: Sequence[models.Doubt], outcome: errors.Outcome) -> None:
        """By the next run; but not for ever."""
        self._unreadable.add(lead_id)
        self._hold([one for one in doubts if self._clock.wall() - one.intended_at > LONGEST_UNREADABLE], outcome)

    def _hold(self, doubts: Sequence[models.Doubt], outcome: errors.Outcome) -> None:
        held = models.Verdict("held", f"the lead cannot be read ({outcome.evidence})")
        self._record({doubt.key: held for doubt in doubts})

    async def _look(self, lead_id: int) -> Look:
        stored = await self._courier.communications_of(lead_id)
        shown = {one.id for one in stored}
        missing = self._ledger.saw_on(lead_id, shown)
        marks = frozenset(mark for one in stored for mark in mapping.references_in(one.description))
        return self._without_taken(Look(tuple(stored), len(missing), marks))


def _found_by_payload(doubts: Sequence[models.Doubt], shown: Sequence[models.Stored]) -> dict[str, models.Verdict]:
    """Without references: as many equal payloads as doubts, all made since, are the doubts'; which is whose does not
    matter, since they are equal in everything."""
    verdicts: dict[str, models.Verdict] = {}
    for group in matching.alike([doubt.communication for doubt in doubts], shown):
        theirs = [doubt for doubt in doubts if doubt.communication in group.communications]
        since = min(doubt.intended_at for doubt in theirs) - CLOCK_MARGIN
        floor = min(doubt.id_floor for doubt in theirs)
        made_since = [
            one for one in group.stored if one.id > floor and one.created_at is not None and one.created_at >= since
        ]
        if len(made_since) == len(theirs):
            for doubt, one in zip(theirs, made_since, strict=True):
                verdicts[doubt.key] = models.Verdict("found", f"{one.id} equals it in everything", one)
    return verdicts


def _is_marked(doubt: models.Doubt) -> bool:
    return doubt.reference in (doubt.communication.description or "")
