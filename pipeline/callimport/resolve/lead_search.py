"""Which leads have a number: asked of the CRM, number by number or by reading all leads, whichever costs less."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from callimport.core import errors, models, plurals
from callimport.core import phones as phone_numbers
from callimport.crm.retry import Courier

# For so few numbers it is not worth asking how many leads there are.
FEW = 3
# A number with more leads than this many pages is no customer's: it is not read to its end.
MOST_PAGES_A_NUMBER = 5
# So often it is asked in all, where it counts more of them than it shows.
READINGS = 3
# If the filter finds nobody at all, the search is asked as well for so many numbers: it may read numbers otherwise.
DOUBTED = 3
# For more numbers than these the CRM shows no answer that can be used, and they are more than a few odd ones.
MOST_UNDECIDED = 10

Found = Mapping[str, tuple[models.Lead, ...]]


@dataclass(frozen=True, slots=True)
class LeadSearch:
    """The questions of one run. `keep` is given every answer as it comes; () is that of a number without a lead. Those
    `undecided` got none, and why: the CRM does not show all their leads, so that not one is certain."""

    courier: Courier
    account: models.Account
    now: datetime
    region: str
    say: Callable[[str], None]
    keep: Callable[[Found], None]
    undecided: dict[str, str] = field(default_factory=dict)

    async def look_up(self, wanted: Sequence[str]) -> None:
        """Ask for each of these numbers, in E.164, once. Raises DestinationUnusable and Incomplete."""
        if len(wanted) > FEW:
            first = await self.courier.leads(1, self.now)
            count = f"{len(wanted):,} numbers to look up in the CRM, which has {first.total or 0:,} leads"
            if first.total is not None and first.pages - 1 < len(wanted):
                self.say(
                    f"{count}: reading them all takes {plurals.requests(first.pages)}, fewer than one for each number"
                )
                if await self._found_in_all(first, wanted):
                    return
                await self._one_by_one(wanted)
                return
            why = f"reading them all takes {first.pages:,}" if first.total is not None else "how many it does not say"
            self.say(f"{count}: {plurals.requests(len(wanted))}, one for each number ({why})")
        elif wanted:
            self.say(f"{len(wanted):,} numbers to look up in the CRM: one request for each")
        await self._one_by_one(wanted)

    async def _found_in_all(self, first: models.LeadPage, wanted: Sequence[str]) -> bool:
        """Whether all leads were read and so every number is answered. Of a reading that was not whole nothing is kept:
        the lead that slid past may be another one of a number that was found."""
        found = await self._read_all(first, wanted)
        if found is None:
            self.say("leads went or came while they were read: they are read once more")
            found = await self._read_all(await self.courier.leads(1, self.now), wanted)
        if found is None:
            self.say("and again: each number is asked for instead")
            return False
        self.keep(found)
        return True

    async def _read_all(self, page: models.LeadPage, wanted: Sequence[str]) -> Found | None:
        """The leads of each number; None where not every lead was shown, and shown once."""
        found: dict[str, dict[int, models.Lead]] = {phone: {} for phone in wanted}
        seen: set[int] = set()
        number, most, shown = 1, 0, 0
        while True:
            for lead, phones in self._of_this_account(page.leads):
                for phone in phones & found.keys():
                    found[phone][lead.id] = lead
            seen_before = len(seen)
            seen |= {lead.id for lead in page.leads}
            shown += len(page.leads)
            most = max(most, page.total or 0)
            # A page without a new lead: leads are missing, or the list never ends.
            if number >= page.pages or len(seen) == seen_before:
                break
            number += 1
            page = await self.courier.leads(number, self.now)
        if not len(seen) == shown == most:
            return None
        return {phone: tuple(leads.values()) for phone, leads in found.items()}

    async def _one_by_one(self, wanted: Sequence[str]) -> None:
        """By the filter, as long as it does what it says; else by the search, which finds more."""
        nobodys: list[str] = []
        is_proved = False
        for position, phone in enumerate(wanted):
            try:
                leads = await self._filtered(phone)
            except _NotAllShown as answer:
                self._leave(phone, answer)
                continue
            if leads is None:
                await self._searched([*nobodys, *wanted[position:]])
                return
            is_proved |= bool(leads)
            if leads:
                self.keep({phone: leads})
            else:
                nobodys.append(phone)
            if is_proved and nobodys:
                self.keep(dict.fromkeys(nobodys, ()))
                nobodys.clear()
        tried = {phone: await self._search(phone) for phone in nobodys[:DOUBTED]}
        if any(found is None or found for found in tried.values()):
            self.keep({phone: found for phone, found in tried.items() if found is not None})
            await self._searched(nobodys[DOUBTED:])
        elif nobodys:
            self.keep(dict.fromkeys(nobodys, ()))

    async def _filtered(self, phone: str) -> tuple[models.Lead, ...] | None:
        """None where the filter shows leads that do not have the number: it is not heard. Raises _NotAllShown."""
        try:
            shown = await self._pages(lambda page: self.courier.leads_by_number(phone, page))
        except _NotAllShown as answer:
            if self._all_have(phone, answer.shown):
                raise
            return None
        return self._with(phone, shown) if self._all_have(phone, shown) else None

    def _all_have(self, phone: str, leads: Sequence[models.Lead]) -> bool:
        return all(phone in phones for _, phones in self._with_numbers(leads))

    async def _searched(self, wanted: Iterable[str]) -> None:
        self.say("the CRM's filter does not find numbers as they are: its search is asked instead")
        for phone in wanted:
            found = await self._search(phone)
            if found is not None:
                self.keep({phone: found})

    async def _search(self, phone: str) -> tuple[models.Lead, ...] | None:
        """None where that is not decided."""
        try:
            return self._with(phone, await self._pages(lambda page: self.courier.search_leads(phone[1:], page)))
        except _NotAllShown as answer:
            self._leave(phone, answer)
            return None

    def _leave(self, phone: str, answer: "_NotAllShown") -> None:
        self.undecided[phone] = str(answer)
        if len(self.undecided) > MOST_UNDECIDED:
            raise errors.Incomplete(f"{answer}, and so for {MOST_UNDECIDED} others")

    async def _pages(self, ask: Callable[[int], Awaitable[models.LeadPage]]) -> list[models.Lead]:
        """The leads of an answer, all of them: one that is not shown may be the number's own. Raises _NotAllShown."""
        shown: list[models.Lead] = []
        most = 0
        for _ in range(READINGS):
            shown, most = [], 0
            for number in range(1, MOST_PAGES_A_NUMBER + 1):
                page = await ask(number)
                shown += page.leads
                most = max(most, page.total or 0)
                if number >= page.pages:
                    break
            else:
                raise _NotAllShown(f"it finds more than {MOST_PAGES_A_NUMBER} pages of leads for a number", shown)
            if len(shown) >= most:
                return shown
        raise _NotAllShown(f"of {most:,} leads that it counts for a number it shows {len(shown):,}", shown)

    def _with(self, phone: str, shown: Sequence[models.Lead]) -> tuple[models.Lead, ...]:
        found = {lead.id: lead for lead, phones in self._of_this_account(shown) if phone in phones}
        return tuple(found.values())

    def _of_this_account(self, leads: Sequence[models.Lead]) -> list[tuple[models.Lead, set[str]]]:
        """Those that are the account's own, as far as they say, each with its numbers in E.164."""
        own = [lead for lead in leads if lead.account_id in (None, self.account.id)]
        return self._with_numbers(own)

    def _with_numbers(self, leads: Sequence[models.Lead]) -> list[tuple[models.Lead, set[str]]]:
        written = sorted({number for lead in leads for number in lead.numbers})
        e164 = phone_numbers.read(pl.Series(written, dtype=pl.String), phone_numbers.Dialling(self.region))[
            "e164"
        ].to_list()
        read = dict(zip(written, e164, strict=True))
        return [(lead, {read[number] for number in lead.numbers if read[number]}) for lead in leads]


class _NotAllShown(Exception):
    """Of the leads of one number."""

    def __init__(self, evidence: str, shown: Sequence[models.Lead]) -> None:
        super().__init__(evidence)
        self.shown = shown
