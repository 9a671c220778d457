"""Calls that are in the CRM already, typed in by a person or brought by another system (--existing).

Each lead is read once a run: right before its first call goes, or with all others where that takes fewer requests. A
communication of the same method and direction within two minutes, that is none of ours, is the call: it is skipped, and
its id is kept.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

import anyio

from callimport.core import errors, humanize, mapping, models
from callimport.core.settings import Settings
from callimport.crm import matching
from callimport.crm.retry import Courier
from callimport.ledger import Ledger, queries
from callimport.load.lead_list import FEW, GOOD_FOR_SECONDS, Bulk, Choice, Shown, Sight

NEAR = timedelta(minutes=2)
PAUSE_SECONDS = 30.0
PAUSES = 10


class Existing:
    """Of one run. `unread` are the leads of which nobody can say what they hold: their calls stay pending. `reads_left`
    is how many leads will be read yet, as far as it is known. Without `bulk` each is read by itself."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        courier: Courier,
        batch_id: str,
        warn: Callable[[str], None],
        clock: models.Clock,
        bulk: Bulk | None = None,
    ) -> None:
        self._settings = settings
        self._choice = settings.existing
        self._ledger = ledger
        self._courier = courier
        self._batch_id = batch_id
        self._warn = warn
        self._clock = clock
        self._bulk = bulk
        # What was read of leads before their turn, and when.
        self._seen: dict[int, tuple[Sight, Shown]] = {}
        # At what pace, as long as the list may be worth reading again.
        self._per_minute: float | None = None
        # How many calls may go yet; None for all.
        self._most: int | None = None
        self._reading = anyio.Lock()
        self._looked_at: set[int] = set()
        self.unread: set[int] = set()
        self.reads_left = 0
        self._cost: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[str, ...]:
        """What a person should know of it at the end."""
        unread = (
            f"leads that did not show their communications: {len(self.unread):,}; their calls stay pending: run again"
        )
        return (*self._cost, unread) if self.unread else self._cost

    async def tell_cost(self, per_minute: float) -> None:
        """Of a plan: how many requests it will take, which way is chosen, and how long. Raises DestinationUnusable."""
        most = self._settings.pilot or self._settings.limit
        if self._settings.recordings_only or not self.reads_to_come(most):
            return
        choice = await self._choose(most, per_minute)
        about = humanize.told(choice.requests * 60 / per_minute)
        pending = self._ledger.pending_count(self._batch_id)
        calls = pending if most is None else min(pending, most)
        lasts = calls * 60 / per_minute > GOOD_FOR_SECONDS
        again = ", and again every hour while that is cheaper" if choice.first and lasts else ""
        cost = f"{choice.leads:,} leads are read before their first call goes (--existing): {choice.told}"
        self._cost = (f"{cost}; about {about}{again}; --existing send does without",)

    async def read_ahead(self, most: int | None, per_minute: float) -> None:
        """Before so many calls at most go: read many leads a request, where that costs less. Raises DestinationUnusable
        or LedgerError."""
        self._most = most
        # Not before it is read: who comes meanwhile would read the lead alone.
        self._per_minute = per_minute if await self._read_list(most, per_minute) else None

    async def _read_list(self, most: int | None, per_minute: float) -> bool:
        """Whether it was read, and may be gone by."""
        if self._bulk is None or self.reads_to_come(most) <= FEW:
            return False
        choice = await self._choose(most, per_minute)
        self._bulk.say(f"{choice.leads:,} leads to read before their first call goes (--existing): {choice.told}")
        if choice.first is None:
            return False
        # What was read by itself an hour ago proves nothing of a list of now.
        self._seen = {lead_id: one for lead_id, one in self._seen.items() if one[0].is_good(self._clock)}
        known = {lead_id: shown for lead_id, (_, shown) in self._seen.items()}
        found = await self._bulk.read(choice.first, self._unread_leads(), known, self._near_its_calls)
        if self._bulk.began is not None:
            self._seen |= {lead_id: (self._bulk.began, shown) for lead_id, shown in found.items()}
        self.reads_to_come(most)
        return self._bulk.is_good

    def heard(self, lead_id: int, shown: Sequence[models.Stored]) -> None:
        """What somebody else has just read of a lead need not be read again, unless it is old when its turn comes."""
        if self._choice != "send":
            self._seen[lead_id] = Sight.now(self._clock), tuple(shown)

    def reads_to_come(self, most: int | None = None) -> int:
        """How many leads are to be read before so many calls at most can go."""
        if self._choice == "send":
            return 0
        new = len(self._unread_leads())
        self.reads_left = new if most is None else min(new, most)
        return self.reads_left

    async def look(self, lead_id: int) -> Collection[str]:
        """Skip what the lead holds already; the keys of those calls. Raises DestinationUnusable or LedgerError."""
        if self._choice == "send" or lead_id in self._looked_at:
            return ()
        shown = self._seen_before(lead_id)
        if shown is None and self._per_minute is not None:
            await self._renew(self._per_minute)
            shown = self._seen_before(lead_id)
        try:
            shown = await self._read(lead_id) if shown is None else shown
        except (errors.Refused, errors.Incomplete) as outcome:
            self._leave(lead_id, outcome)
            shown = ()
        self._looked_at.add(lead_id)
        if self._most is not None:
            self._most = max(0, self._most - 1)
        return self._judge(lead_id, shown)

    def _unread_leads(self) -> set[int]:
        leads = self._ledger.leads_to_send_to(self._batch_id)
        seen = {lead_id for lead_id, (seen, _) in self._seen.items() if seen.is_good(self._clock)}
        return leads - self._looked_at - seen

    def _seen_before(self, lead_id: int) -> Shown | None:
        """What was read of the lead, given once; None where nothing was, or so long ago that somebody may have typed
        the call in since."""
        seen, shown = self._seen.pop(lead_id, (None, ()))
        return shown if seen is not None and seen.is_good(self._clock) else None

    async def _choose(self, most: int | None, per_minute: float) -> Choice:
        if self._bulk is None:
            return Choice(self.reads_to_come(most))
        return await self._bulk.choose(self._unread_leads(), most, per_minute)

    async def _renew(self, per_minute: float) -> None:
        """The list, once it is too old: whoever comes meanwhile waits for it."""
        async with self._reading:
            if self._bulk is not None and not self._bulk.is_good and self._per_minute is not None:
                await self.read_ahead(self._most, per_minute)

    def _near_its_calls(self, lead_id: int, shown: Sequence[models.Stored]) -> tuple[models.Stored, ...]:
        """What may be a call of the lead that is to be sent: all that needs to be kept of it."""
        sent = [item.communication for item in self._ledger.pending_of_lead(self._batch_id, lead_id)]
        dated = (one for one in shown if one.executed_at is not None)
        return tuple(one for one in dated if any(matching.may_be(each, one, near=NEAR) for each in sent))

    async def _read(self, lead_id: int) -> tuple[models.Stored, ...]:
        try:
            shown = await self._patiently(lead_id)
        except errors.Refused as outcome:
            if outcome.status != 404:
                raise
            # A lead that is not there holds nothing; its create will tell.
            shown = ()
        self.reads_left = max(0, self.reads_left - 1)
        self._ledger.saw(one.id for one in shown)
        return shown

    async def _patiently(self, lead_id: int) -> tuple[models.Stored, ...]:
        """A CRM that does not answer is waited for, as it is by creates."""
        for _ in range(PAUSES):
            try:
                return await self._courier.communications_of(lead_id)
            except errors.DestinationUnusable as error:
                why = error.__cause__
                if not isinstance(why, errors.NotApplied | errors.InDoubt) or isinstance(why, errors.Limited):
                    raise
            await anyio.sleep(PAUSE_SECONDS)
        return await self._courier.communications_of(lead_id)

    def _leave(self, lead_id: int, outcome: errors.Outcome) -> None:
        self.unread.add(lead_id)
        self._warn(
            f"lead {lead_id} does not show its communications ({outcome.evidence}), so nobody can say which of its "
            "calls are there already: they stay pending; run again, or say --existing send"
        )

    def _judge(self, lead_id: int, shown: Sequence[models.Stored]) -> Collection[str]:
        others = [one for one in shown if one.executed_at is not None and not mapping.references_in(one.description)]
        if not others:
            return ()
        database = self._ledger.database
        unclear = queries.unclear_of_lead(database, lead_id)
        taken = self._ledger.taken({one.id for one in others}) | queries.existing_on(database, lead_id)
        # What may be a call in doubt is left to the verdict on that one.
        free = [one for one in others if one.id not in taken and not matching.equals_one_of(unclear, one)]
        wanted = queries.wanted_by_a_person(database, lead_id)
        pending = self._ledger.pending_of_lead(self._batch_id, lead_id)
        found = explained([item for item in pending if item.key not in wanted], free)
        if self._choice == "report":
            self._report([item for item in pending if item.key in found], found)
            return ()
        if found:
            self._ledger.skip_existing(found)
        return found.keys()

    def _report(self, items: Sequence[models.Item], found: dict[str, int]) -> None:
        for item in items:
            self._warn(
                f"{item.reference} of lead {item.lead_id} is in the CRM already as communication {found[item.key]}: "
                "sent all the same, as asked (--existing report)"
            )


def explained(calls: Sequence[models.Item], shown: Sequence[models.Stored]) -> dict[str, int]:
    """Which communication each of the calls is, by key: the nearest first, and each explains one call. Of two that are
    equally near nobody can tell which one it is, so it stands for both: neither comes a second time."""
    apart = {(item.key, one.id): _apart(item.communication, one) for item in calls for one in shown}
    near = {pair: seconds for pair, seconds in apart.items() if seconds is not None}
    found: dict[str, int] = {}
    explains: dict[int, float] = {}
    for (key, number), seconds in sorted(near.items(), key=lambda one: (one[1], one[0])):
        if key not in found and number not in explains:
            found[key], explains[number] = number, seconds
    for (key, number), seconds in sorted(near.items()):
        if explains.get(number) == seconds:
            found.setdefault(key, number)
    return found


def _apart(sent: models.Communication, one: models.Stored) -> float | None:
    """Seconds between a call and what could be it; None for what could not."""
    if one.executed_at is None or not matching.may_be(sent, one, near=NEAR):
        return None
    return abs((one.executed_at - datetime.fromisoformat(sent.executed_at)).total_seconds())
