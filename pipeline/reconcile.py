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
from dataclasses import asdict
from datetime import datetime, timedelta

import anyio

from pipeline import canonical, errors, model
from pipeline.courier import Courier
from pipeline.ledger import Ledger

BETWEEN_READS_SECONDS = 5.0
NEAR_THE_CALL = timedelta(minutes=15)
# Our clock against the CRM's, and the time a request may be under way.
CLOCK_MARGIN = timedelta(minutes=5)
ROUNDS = 2
# A sleep may end a rounding error too early: looking again at once would look for ever.
SHORTEST_WAIT_SECONDS = 0.01
# What must be shown, and equal, before a communication without a reference counts as a call of ours.
_TELLING = ("method", "type", "executed_at", "description", "call_duration", "call_phone")


def found(doubts: Sequence[model.Doubt], stored: Iterable[model.Stored]) -> dict[str, model.Verdict]:
    """The doubts of one lead whose communication is surely among `stored`, which holds none that is ours already."""
    unclaimed = sorted(stored, key=lambda one: one.id)
    verdicts: dict[str, model.Verdict] = {}
    for doubt in doubts:
        bearing = [one for one in unclaimed if doubt.reference in one.description]
        if bearing:
            more = f"; the same reference stands on {[one.id for one in bearing[1:]]} too" if bearing[1:] else ""
            verdicts[doubt.key] = model.Verdict("found", f"its reference stands on {bearing[0].id}{more}", bearing[0])
    left = [doubt for doubt in doubts if doubt.key not in verdicts and not _is_marked(doubt)]
    return verdicts | _found_by_payload(left, unclaimed)


def denied(
    doubt: model.Doubt, first: Sequence[model.Stored], second: Sequence[model.Stored], now: datetime
) -> model.Verdict:
    """What two complete reads say of a doubt that was not found. Both hold no communication that is ours already."""
    near = {one.id: _told(one) for one in (*first, *second) if _may_be(doubt, one, now)}
    if near:
        shown = ", ".join(near[number] for number in sorted(near))
        return model.Verdict("held", f"the lead shows what could be it, but does not say so: communication {shown}")
    if doubt.applied:
        return model.Verdict("held", "the CRM said that it stored it, and does not show it")
    if not _is_marked(doubt):
        return model.Verdict("held", "the lead does not show it; without references that is no proof")
    if doubt.times_absent >= ROUNDS:
        return model.Verdict("held", f"sent {ROUNDS + 1} times without an answer, and not shown")
    return model.Verdict("absent", f"two reads of the lead show nothing like it ({len(second)} others)")


class Reconciliation:
    """Looks the doubts of the ledger up, one lead at a time, through the shared pacer."""

    def __init__(self, ledger: Ledger, courier: Courier, clock: model.Clock, settle_seconds: float) -> None:
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

    async def settle_all(self, say: Callable[[int, float], None]) -> None:
        """Wait until doubts are ripe and give verdicts, until none is left that can be looked up. `say` is told how
        many there are and for how many seconds it waits."""
        while (seconds := self.ripe_in_seconds()) is not None:
            say(sum(map(len, self._to_look_up().values())), seconds)
            await anyio.sleep(seconds)
            await self.settle_ripe()

    async def settle_ripe(self) -> int:
        """Give a verdict on every doubt whose settle time is over, where the CRM can be read. Returns how many."""
        ripe = self._ripe()
        settled = 0
        first: dict[int, list[model.Stored]] = {}
        for lead_id, doubts in ripe.items():
            shown = await self._read_or_hold(lead_id, doubts)
            if shown is not None:
                verdicts = found(doubts, shown)
                settled += self._record(verdicts)
                if len(verdicts) < len(doubts):
                    first[lead_id] = shown
        if first:
            # One wait for all leads: absence takes two reads that lie apart.
            await anyio.sleep(BETWEEN_READS_SECONDS)
        for lead_id, shown in first.items():
            settled += await self._settle_the_rest(lead_id, shown)
        return settled

    def _ripe(self) -> dict[int, list[model.Doubt]]:
        """The doubts to be looked up now, by lead."""
        now = self._clock.monotonic()
        return {lead_id: doubts for lead_id, doubts in self._to_look_up().items() if self._ripe_at(doubts) <= now}

    def _to_look_up(self) -> dict[int, list[model.Doubt]]:
        by_lead: dict[int, list[model.Doubt]] = defaultdict(list)
        for doubt in self._ledger.doubts():
            if doubt.communication.lead_id not in self._unreadable:
                by_lead[doubt.communication.lead_id].append(doubt)
        return by_lead

    def _ripe_at(self, doubts: Sequence[model.Doubt]) -> float:
        """A lead is ripe when all its doubts are: they are judged together."""
        return max(doubt.since for doubt in doubts) + self._settle_seconds

    async def _settle_the_rest(self, lead_id: int, first: Sequence[model.Stored]) -> int:
        doubts = [doubt for doubt in self._ledger.doubts() if doubt.communication.lead_id == lead_id]
        second = await self._read_or_hold(lead_id, doubts)
        if second is None:
            return 0
        settled = self._record(found(doubts, second))
        taken = self._ledger.taken({one.id for one in (*first, *second)})
        reads = [[one for one in read if one.id not in taken] for read in (first, second)]
        left = [doubt for doubt in self._ledger.doubts() if doubt.communication.lead_id == lead_id]
        now = self._clock.wall()
        return settled + self._record({doubt.key: denied(doubt, reads[0], reads[1], now) for doubt in left})

    def _record(self, verdicts: dict[str, model.Verdict]) -> int:
        for key, verdict in verdicts.items():
            self._ledger.settle(key, verdict)
            self.verdicts[verdict.kind] += 1
        return len(verdicts)

    async def _read_or_hold(self, lead_id: int, doubts: Sequence[model.Doubt]) -> list[model.Stored] | None:
        """What the lead shows; None where that proves nothing, or where there is no lead to look at."""
        try:
            return await self._read(lead_id)
        except errors.Refused as outcome:
            if outcome.status != 404:
                # That this key may not look now says nothing of the lead; the next run looks again.
                self._unreadable.add(lead_id)
                return None
            held = model.Verdict("held", f"the lead cannot be read ({outcome.evidence})")
            self._record({doubt.key: held for doubt in doubts})
        except errors.Incomplete:
            # Neither found nor absent may be concluded from half a picture; the next run looks again.
            self._unreadable.add(lead_id)
        return None

    async def _read(self, lead_id: int) -> list[model.Stored]:
        """The communications of a lead that are not ours already. Raises Incomplete where some of ours are missing."""
        stored = await self._courier.communications_of(lead_id)
        ours = self._ledger.communications_of(lead_id)
        shown = {one.id for one in stored}
        if not ours <= shown:
            raise errors.Incomplete(f"{len(ours - shown)} communications that we made are not shown")
        taken = self._ledger.taken(shown)
        return [one for one in stored if one.id not in taken]


def _found_by_payload(doubts: Sequence[model.Doubt], unclaimed: Sequence[model.Stored]) -> dict[str, model.Verdict]:
    """Without references: as many equal payloads as doubts, all made since, are the doubts'; which is whose does not
    matter, since they are equal in everything."""
    verdicts: dict[str, model.Verdict] = {}
    groups: dict[tuple[object, ...], list[model.Doubt]] = defaultdict(list)
    for doubt in doubts:
        groups[tuple(map(canonical.form, asdict(doubt.communication).values()))].append(doubt)
    equals = {alike: [one for one in unclaimed if _equals_one_of(groups[alike], one)] for alike in groups}
    fits = Counter(one.id for equal in equals.values() for one in equal)
    for alike, equal in equals.items():
        # What equals two doubts that are not equal (one names no user) is proof of neither.
        if len(equal) == len(groups[alike]) and all(fits[one.id] == 1 for one in equal):
            for doubt, one in zip(groups[alike], equal, strict=True):
                verdicts[doubt.key] = model.Verdict("found", f"{one.id} equals it in everything", one)
    return verdicts


def _equals_one_of(alike: Sequence[model.Doubt], one: model.Stored) -> bool:
    """Strict: a field that is not shown is not equal, nor is a description where none was sent."""
    sent = alike[0].communication
    since = min(doubt.intended_at for doubt in alike) - CLOCK_MARGIN
    if one.created_at is None or one.created_at < since or not all(name in one.body for name in _TELLING):
        return False
    described = canonical.form(one.body["description"]) == canonical.form(sent.description)
    return described and not canonical.differences(sent, one.body)


def _may_be(doubt: model.Doubt, one: model.Stored, now: datetime) -> bool:
    """Loose on purpose: whatever could be this call keeps it from being called absent."""
    sent = doubt.communication
    said = ((one.method, sent.method), (one.type, sent.type))
    if any(shown and shown.casefold() != wanted.casefold() for shown, wanted in said):
        return False
    call = datetime.fromisoformat(sent.executed_at)
    near_the_call = one.executed_at is None or abs(one.executed_at - call) <= NEAR_THE_CALL
    window = (doubt.intended_at - CLOCK_MARGIN, now + CLOCK_MARGIN)
    made_since = one.created_at is None or window[0] <= one.created_at <= window[1]
    return near_the_call or made_since


def _told(one: model.Stored) -> str:
    """A communication in a few words, for whoever must decide."""
    called = f"{one.executed_at:%Y-%m-%d %H:%M:%S}Z" if one.executed_at else "unknown"
    made = f"{one.created_at:%Y-%m-%d %H:%M:%S}Z" if one.created_at else "unknown"
    return f"{one.id} (call of {called}, stored {made})"


def _is_marked(doubt: model.Doubt) -> bool:
    return doubt.reference in (doubt.communication.description or "")
