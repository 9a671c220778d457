"""What only the CRM can tell before rows become calls: who its users are, and whose a number is. Asked once a run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import anyio.lowlevel

from callimport import report
from callimport.core import errors, models, plurals, privacy
from callimport.core.settings import Settings
from callimport.crm.retry import Courier
from callimport.ledger import Ledger, known_leads, lead_cache
from callimport.resolve import leads
from callimport.resolve.inputs import Inputs
from callimport.resolve.lead_search import Found, LeadSearch
from callimport.resolve.resolution import Resolution


@dataclass(slots=True)
class Inquiry:
    """The questions of one run, and the answers so far."""

    settings: Settings
    courier: Courier
    account: models.Account
    now: datetime
    talk: report.Talk
    _users: tuple[models.User, ...] | None = None
    _shows_no_users: bool = False
    _leads: dict[str, tuple[models.Lead, ...]] = field(default_factory=dict)
    # Numbers without an answer, and why: asked for again by the next run.
    _undecided: dict[str, str] = field(default_factory=dict)

    async def answer(self, inputs: Inputs, resolution: Resolution, ledger: Ledger, besides: Iterable[str] = ()) -> None:
        """Give the resolution what it needs to know of the CRM; `besides` are numbers that no file of today needs to
        have. What is found is kept in the lead cache. Raises DestinationUnusable."""
        resolution.pins = lambda keys: known_leads.pins(ledger.database, keys)
        resolution.sent = lambda keys: known_leads.sent(ledger.database, keys)
        if inputs.may_need_users and await self._needs_users(inputs, resolution):
            resolution.agents.users = await self._active_users()
        elif inputs.may_check_users:
            resolution.agents.users = await self._users_if_shown()
        if self.settings.find_leads:
            earlier = dict.fromkeys(one for one in besides if not resolution.knows_lead(one))
            # A number is asked for once, however many calls it has; the last of them has to be later than no answer.
            numbers = (await _resolved(resolution)).unknown_callers.last_calls()
            await self._look_up({**earlier, **numbers}, ledger)
            resolution.found = leads.Leads.of_the_crm(self._leads, self.settings.several_leads, self._undecided)

    async def _needs_users(self, inputs: Inputs, resolution: Resolution) -> bool:
        """Where rows may name a user by number as well, whether there is one that does not."""
        if self._users is not None or not inputs.exports.has("agent_id"):
            return True
        return (await _resolved(resolution)).agents.has_open

    async def _active_users(self) -> tuple[models.User, ...]:
        if self._users is None:
            try:
                self._users = await self.courier.users(self.account.id)
            except errors.Incomplete as outcome:
                raise errors.DestinationUnusable(
                    f"the CRM does not show this key its users ({outcome.evidence}): name them by user_id in --agents "
                    "FILE, and leave names and emails out of the export"
                ) from outcome
        return self._users

    async def _users_if_shown(self) -> tuple[models.User, ...] | None:
        """Where the agents file names everybody by user_id, the run can do without."""
        if self._users is None and not self._shows_no_users:
            try:
                self._users = await self.courier.users(self.account.id)
            except errors.Incomplete as outcome:
                self._shows_no_users = True
                self.talk.warn(
                    f"the CRM does not show this key its users ({outcome.evidence}): whether those of the agents file "
                    "are active is not known"
                )
        return self._users

    async def _look_up(self, wanted: Mapping[str, datetime | None], ledger: Ledger) -> None:
        kept = lead_cache.known(ledger.lead_cache, wanted, self.now, self.talk.warn)
        refused = known_leads.last_refused(ledger.database, kept)
        self._leads |= {
            phone: answer.leads
            for phone, answer in kept.items()
            if phone not in refused or refused[phone] < answer.looked_up_at
        }
        if nobodys := sum(not self._leads.get(phone, True) for phone in wanted):
            hours = round(lead_cache.LASTS.total_seconds() / 3600)
            asked = f"{plurals.numbers(nobodys)} without a lead when the CRM was asked last"
            self.talk.say(f"{asked}: asked again {hours} hours after that")

        def keep(found: Found) -> None:
            self._leads.update(found)
            lead_cache.keep(ledger.lead_cache, found, self.now, self.talk.warn)

        search = LeadSearch(self.courier, self.account, self.now, self.settings.region, self.talk.say, keep)
        unknown = [phone for phone in sorted(wanted) if phone not in self._leads and phone not in self._undecided]
        try:
            await search.look_up(unknown)
        except errors.Incomplete as outcome:
            raise errors.DestinationUnusable(
                f"the CRM does not show its leads as documented ({outcome.evidence}): name whose the numbers are in "
                "--leads FILE, or leave --find-leads out"
            ) from outcome
        finally:
            self._undecided |= search.undecided
            for phone, why in search.undecided.items():
                self.talk.warn(
                    f"whose {privacy.mask_phone(phone)} is the CRM does not say ({why}): its calls have no lead in "
                    "this run; name it in a leads file (--leads FILE)"
                )


async def _resolved(resolution: Resolution) -> Resolution:
    """What is known of the staged calls before the CRM is asked."""
    before = resolution.anew()
    for _ in before.parts():
        await anyio.lowlevel.checkpoint()
    return before
