"""What many leads hold, read from the list of all leads, a hundred a request, where that costs less than one each.

A list is less sure than a lead: its pages slide while they are read, and it may show less of a lead than the lead
itself. So a lead counts as seen whole only where all this is so; every other lead is to be read by itself:
- its page shows all that is ours on it;
- it shows fewer communications of it than of another that was read by itself and held no more: a list that shows so
  many of a lead at most shows that many of every full one;
- its page shows fewer in all than another page: so is one that shows so many on a page at most.
And on every page one wanted lead, of those that show fewest, is read by itself, too: what a list leaves out by another
rule (old ones, those of one kind) is found out by chance only. One lead that shows less than it holds, and nothing of
the list is believed.
"""

import random
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime

from callimport.core import errors, models, plurals
from callimport.crm.retry import Courier
from callimport.ledger import Ledger

# For so few leads it is not worth asking how many there are.
FEW = 10
# People and other systems go on working in the CRM: later than this a lead is looked at anew.
GOOD_FOR_SECONDS = 3600.0

Shown = tuple[models.Stored, ...]
Keep = Callable[[int, Shown], Shown]


@dataclass(frozen=True, slots=True)
class Sight:
    """When something was seen, by both clocks: one stands still while the machine sleeps, the other may be set."""

    monotonic: float
    wall: datetime

    @classmethod
    def now(cls, clock: models.Clock) -> "Sight":
        return cls(clock.monotonic(), clock.wall())

    def is_good(self, clock: models.Clock) -> bool:
        """Whether it may still be gone by."""
        seconds = max(clock.monotonic() - self.monotonic, (clock.wall() - self.wall).total_seconds())
        return seconds < GOOD_FOR_SECONDS


@dataclass(frozen=True, slots=True)
class Choice:
    """How so many leads are read: from the list that begins with `first`, or one by one, and `why`."""

    leads: int
    first: models.ShownPage | None = None
    why: str = ""

    @property
    def requests(self) -> int:
        return self.leads if self.first is None else _in_bulk(self.first.pages, self.leads)

    @property
    def told(self) -> str:
        if self.first is None:
            return f"{plurals.requests(self.leads)}, one for each lead" + (f" ({self.why})" if self.why else "")
        return (
            f"about {plurals.requests(self.requests)} in bulk, for all {self.first.total:,} leads of the CRM, fewer "
            "than one for each; what the list does not show whole is read by itself"
        )


class Bulk:
    """The readings of one run. `began` is when the last list was begun, as old as all that was read of it; None for a
    list that is not gone by."""

    def __init__(
        self, courier: Courier, ledger: Ledger, clock: models.Clock, rng: random.Random, say: Callable[[str], None]
    ) -> None:
        self._courier = courier
        self._ledger = ledger
        self._clock = clock
        self._rng = rng
        self.say = say
        self.began: Sight | None = None
        self._created_until = datetime.fromtimestamp(0, UTC)

    @property
    def is_good(self) -> bool:
        """Whether what was read last may still be gone by."""
        return self.began is not None and self.began.is_good(self._clock)

    async def choose(self, wanted: Set[int], most: int | None, per_minute: float) -> Choice:
        """The way to read these leads, `most` of them at most. Raises DestinationUnusable."""
        leads = len(wanted) if most is None else min(len(wanted), most)
        if leads <= FEW:
            return Choice(leads)
        self.began = Sight.now(self._clock)
        self._created_until = self.began.wall
        try:
            first = await self._page(1)
        except errors.Incomplete as outcome:
            return Choice(leads, why=f"the CRM does not list what they hold: {outcome.evidence}")
        if all(held is None for _, held in first.leads):
            return Choice(leads, why="the CRM does not list what they hold")
        if first.total is None or first.total < leads:
            return Choice(leads, why="the CRM does not list them all")
        # More than that will not be looked at before the list is too old.
        soon = min(leads, int(per_minute * GOOD_FOR_SECONDS / 60))
        if (about := _in_bulk(first.pages, leads)) >= soon:
            return Choice(leads, why=f"in bulk it would be about {about:,}, for all {first.total:,} leads of the CRM")
        return Choice(leads, first)

    async def read(
        self, first: models.ShownPage, wanted: Set[int], known: Mapping[int, Sequence[models.Stored]], keep: Keep
    ) -> dict[int, Shown]:
        """What those of the wanted leads hold that were seen whole, as far as `keep` wants it; nothing where the list
        cannot be trusted. Where a page is not to be had, it ends before that. `known` are leads that were just read by
        themselves. Raises DestinationUnusable."""
        reading = _Reading(self._courier, self._ledger, self._rng, wanted, known, keep)
        number, page = 1, first
        try:
            while True:
                seen_before = len(reading.seen)
                await reading.take(page)
                if not self.is_good:
                    raise errors.Incomplete("it takes longer than what it shows is good for")
                # A page without a new lead: leads are missing, or the list never ends.
                if number >= page.pages or len(reading.seen) == seen_before or wanted <= reading.seen:
                    break
                number += 1
                try:
                    page = await self._page(number)
                except errors.Incomplete as outcome:
                    # As one that is too large: what the others have cost is not thrown away.
                    self.say(f"page {number:,} of the list cannot be read ({outcome.evidence}): it ends there")
                    break
        except errors.Incomplete as outcome:
            self.say(f"leads cannot be read in bulk ({outcome.evidence}): each is read by itself")
            self.began = None
            return {}
        found = reading.whole()
        self.say(f"{len(found):,} of {len(wanted):,} leads read in bulk; the others are read by themselves")
        return found

    async def _page(self, number: int) -> models.ShownPage:
        """Raises Incomplete where it is not to be had, although the key is good."""
        try:
            return await self._courier.leads_with_communications(number, self._created_until)
        except errors.Refused as outcome:
            raise errors.Incomplete(outcome.evidence) from outcome
        except errors.DestinationUnusable as error:
            raise _no_answer(error) or error from error


@dataclass(frozen=True, slots=True)
class _Listed:
    """How many communications the list shows of a lead, and in all on its page, and what is kept of the lead's."""

    count: int
    of_page: int
    kept: Shown


class _Reading:
    """One way through the list."""

    def __init__(
        self,
        courier: Courier,
        ledger: Ledger,
        rng: random.Random,
        wanted: Set[int],
        known: Mapping[int, Sequence[models.Stored]],
        keep: Keep,
    ) -> None:
        self._courier = courier
        self._ledger = ledger
        self._rng = rng
        self._wanted = wanted
        self._known = known
        self._keep = keep
        self._listed: dict[int, _Listed] = {}
        self._alone: dict[int, Shown] = {}
        self._whole_below = 0
        self._most_on_a_page = 0
        self.seen: set[int] = set()

    async def take(self, page: models.ShownPage) -> None:
        """Raises Incomplete where the page shows less of a lead than the lead does, and DestinationUnusable."""
        shown = {lead_id: held for lead_id, held in page.leads if held is not None}
        for lead_id, held in shown.items():
            self._ledger.saw(one.id for one in held)
            if lead_id in self._known:
                self._compare(lead_id, held, self._known[lead_id])
        fullest = max(shown, key=lambda lead_id: len(shown[lead_id]), default=None)
        if fullest is not None and len(shown[fullest]) > self._whole_below:
            await self._read_alone(fullest, shown[fullest])
        sample = self._one_of_the_emptiest(shown)
        if sample is not None:
            await self._read_alone(sample, shown[sample])
        of_page = sum(map(len, shown.values()))
        self._most_on_a_page = max(self._most_on_a_page, of_page)
        for lead_id in self._wanted & shown.keys():
            # Of one that slid to the next page the later sight is the truer one.
            self._listed.pop(lead_id, None)
            if self._ledger.communications_of(lead_id) <= {one.id for one in shown[lead_id]}:
                held = shown[lead_id]
                self._listed[lead_id] = _Listed(len(held), of_page, self._keep(lead_id, held))
        self.seen |= {lead_id for lead_id, _ in page.leads}

    def whole(self) -> dict[int, Shown]:
        """What a list that is cut shows the same number of may be cut: below what one was proved to show none is."""
        listed = {
            lead_id: one.kept
            for lead_id, one in self._listed.items()
            if one.count < self._whole_below and one.of_page < self._most_on_a_page
        }
        return listed | self._alone

    def _one_of_the_emptiest(self, shown: Mapping[int, Shown]) -> int | None:
        """By chance, so that it is another one an hour later."""
        wanted = sorted((self._wanted & shown.keys()) - self._alone.keys())
        fewest = min((len(shown[lead_id]) for lead_id in wanted), default=0)
        return self._rng.choice([one for one in wanted if len(shown[one]) == fewest]) if wanted else None

    async def _read_alone(self, lead_id: int, listed: Shown) -> None:
        try:
            alone = await self._courier.communications_of(lead_id)
        except errors.Refused:
            # It went meanwhile, or may not be read: nothing is proved by it.
            return
        except errors.DestinationUnusable as error:
            raise _no_answer(error) or error from error
        self._ledger.saw(one.id for one in alone)
        self._compare(lead_id, listed, alone)
        if lead_id in self._wanted:
            self._alone[lead_id] = self._keep(lead_id, alone)

    def _compare(self, lead_id: int, listed: Shown, alone: Sequence[models.Stored]) -> None:
        missing = {one.id for one in alone} - {one.id for one in listed}
        if missing:
            raise errors.Incomplete(
                f"the list shows less than there is: of lead {lead_id} {len(missing):,} of {len(alone):,} "
                "communications are missing"
            )
        self._whole_below = max(self._whole_below, len(listed))


def _in_bulk(pages: int, leads: int) -> int:
    """So many requests, about: the list, one lead of each page, and the leads of the page that shows most."""
    return pages + min(pages, leads) + -(-leads // pages)


def _no_answer(error: errors.DestinationUnusable) -> errors.Incomplete | None:
    """Leads that are read by themselves wait for a CRM that does not answer; a list is not worth it."""
    why = error.__cause__
    if isinstance(why, errors.NotApplied | errors.InDoubt) and not isinstance(why, errors.Limited):
        return errors.Incomplete(why.evidence)
    return None
