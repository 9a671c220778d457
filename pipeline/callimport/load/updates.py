"""Changed calls: what the source tells otherwise now is changed in the CRM, and nothing else.

The plan says what would change, and stops where that is too much. Updates are made after the creates, lead by lead:
the lead is read once, each field is compared with what the CRM last told us, and what is left is sent. An update that
is made twice comes to the same, so that nothing need be looked up: after a kill it is made again.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import anyio

from callimport.core import endings, errors, models, plurals
from callimport.core.decisions import Entered
from callimport.core.settings import Settings
from callimport.core.signals import Interruption
from callimport.crm.failure_budget import Patience
from callimport.crm.retry import Courier
from callimport.ledger import Ledger, queries
from callimport.ledger.updates import Updates
from callimport.plan import changes

FAILED_THAT_STOP = 5
LEADS_THAT_PROVE_THE_ADDRESS = 3
# A dead process may have been at it for so long; what it sent is stored within the settle time after that.
LONGEST_UNDER_WAY = timedelta(minutes=15)
SAID_EVERY_SECONDS = 30.0
# Names what no person can change, since a body may have to name something: it changes nothing.
ASK: dict[str, object] = {"method": "phone"}
# What is shown of a list is less; what is beyond is counted all the same.
LISTED_AT_MOST = 1_000


@dataclass(slots=True)
class _Came:
    """What became of updates, by ending. `late` ones are of calls that came out of doubt in this very run: these count
    as delivered."""

    to: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)
    lists: dict[str, list[models.Listed]] = field(default_factory=lambda: defaultdict(list))
    kept_otherwise: Counter[str] = field(default_factory=Counter)

    def note(self, which: str, update: models.Update, why: str) -> None:
        if len(self.lists[which]) < LISTED_AT_MOST:
            self.lists[which].append(replace(update.listed, reason=why))


class Updating:
    """The changed calls of one run, from its ledger to its CRM."""

    def __init__(
        self,
        settings: Settings,
        clock: models.Clock,
        say: Callable[[str], None],
        ledger: Ledger,
        entered: Entered,
        batch_id: str,
    ) -> None:
        """Makes the plan from the ledger alone; where no other story lies there, without asking it."""
        self._settings = settings
        self._clock = clock
        self._say = say
        self._entered = entered
        self._opened_at = clock.monotonic()
        self._record = Updates(ledger.database, clock, batch_id, is_alone=settings.plan is not None)
        self._has_parked = queries.has_parked(ledger.database)
        self._plan = self._made_plan() if self._has_parked and settings.on_change != "skip" else changes.Plan()
        self._came = _Came()

    def take_up_known(self) -> None:
        """Take up the stories that change nothing in the CRM but the recording, for a run that changes nothing else."""
        if self._is_asked_for and self._plan.nothing:
            self._record.taken_as_known(self._plan.nothing)

    def account(self) -> endings.Updates:
        """What became of them so far; what was not taken up is pending."""
        if not self._is_asked_for:
            return endings.Updates(waiting=self._entered.changed, changed=tuple(self._plan.listed))
        came, planned = self._came, [*self._plan.to_make.values(), *self._plan.nothing.values()]
        return endings.Updates(
            known=sum(planned) + len(self._plan.refused),
            carried=len(planned) - sum(planned),
            updated=came.to["updated"],
            unchanged=came.to["unchanged"] + len(self._plan.nothing),
            refused=came.to["refused"] + len(self._plan.refused),
            failed=came.to["failed"],
            gone=came.to["gone"],
            late_troubles=came.late["refused"] + came.late["failed"],
            left=tuple(came.lists["left"]),
            refused_ones=(*self._plan.refused, *came.lists["refused"]),
            failed_ones=tuple(came.lists["failed"]),
            kept_otherwise=dict(came.kept_otherwise),
        )

    async def run(self, run_id: str, courier: Courier, interruption: Interruption, limit: int | None) -> None:
        """Make the updates, at most `limit` of them, until all are made or somebody wants an end.

        Raises the ImporterError that made it stop; what was under way then has ended and is on the disk.
        """
        if not self._is_asked_for or not self._has_parked:
            return
        self._record.taken_as_known(self._plan.nothing)
        by_lead: dict[int, list[str]] = defaultdict(list)
        # Asked anew: a call that came out of doubt meanwhile may have another story, too.
        for key, lead_id in self._record.waiting():
            by_lead[lead_id].append(key)
        if not by_lead:
            return
        count = sum(map(len, by_lead.values()))
        self._say(
            f"{plurals.calls(count, 'changed')} on {plurals.leads(len(by_lead))}: each lead is read, then they are sent"
        )
        maker = _Maker(
            record=self._record,
            courier=courier,
            came=self._came,
            planned=frozenset(self._plan.to_make),
            run_id=run_id,
            settings=self._settings,
            left=limit,
            settled_at=self._opened_at + self._settings.settle,
            clock=self._clock,
            say=self._say,
            patience=Patience(self._clock.monotonic),
            said_at=self._clock.monotonic(),
        )
        leads = iter(by_lead.items())
        with anyio.CancelScope() as scope:
            interruption.on_request(scope.cancel)
            async with anyio.create_task_group() as workers:
                for _ in range(min(self._settings.concurrency, len(by_lead))):
                    workers.start_soon(maker.work, leads, scope)
        if maker.stopped_by is not None:
            raise maker.stopped_by

    @property
    def _is_asked_for(self) -> bool:
        return self._settings.on_change == "update"

    def _made_plan(self) -> changes.Plan:
        plan = changes.Plan(refused=self._record.refused_before())
        for update, is_seen in self._record.all():
            wanted = changes.wanted(update)
            if not wanted:
                plan.nothing[update.key] = is_seen
                continue
            plan.to_make[update.key] = is_seen
            if len(plan.listed) < LISTED_AT_MOST:
                plan.listed.append(replace(update.listed, reason=changes.in_words(update.sent, wanted)))
        if self._settings.on_change == "report":
            plan.listed = self._record.as_told_now(plan.listed)
        return plan


@dataclass(slots=True)
class _Maker:
    """Makes updates, each lead's one after the other. `left` is how many more may be sent, None for any number; at
    `settled_at`, on the monotonic clock, the CRM has finished with what earlier runs sent."""

    record: Updates
    courier: Courier
    came: _Came
    planned: frozenset[str]
    run_id: str
    settings: Settings
    left: int | None
    settled_at: float
    clock: models.Clock
    say: Callable[[str], None]
    patience: Patience
    said_at: float
    stopped_by: errors.ImporterError | None = None
    _failed_in_a_row: int = 0
    _ended: int = 0
    _knows_address: bool = False

    async def work(self, leads: Iterator[tuple[int, list[str]]], scope: anyio.CancelScope) -> None:
        """Take lead after lead until there is none, the limit is reached, or something ends it for all."""
        try:
            for lead_id, keys in leads:
                await self._change_those_of(lead_id, keys)
        except _LimitReached:
            pass
        except errors.ImporterError as error:
            self.stopped_by = self.stopped_by or error
            scope.cancel()

    async def _change_those_of(self, lead_id: int, keys: Sequence[str]) -> None:
        updates = [self.record.one(key) for key in keys]
        await self._let_earlier_ones_end(updates)
        shown = await self._shown(lead_id)
        for update in updates:
            await self._change(update, shown.get(update.communication_id))
            self._tell()

    async def _let_earlier_ones_end(self, updates: Sequence[models.Update]) -> None:
        """One of an earlier run that tells another story must not be stored after ours."""
        begun = [one.unanswered_at for one in updates if one.unanswered_at and changes.is_overtaken(one)]
        if begun and self.clock.wall() - max(begun) < LONGEST_UNDER_WAY + timedelta(seconds=self.settings.settle):
            await anyio.sleep(max(0.0, self.settled_at - self.clock.monotonic()))

    async def _shown(self, lead_id: int) -> dict[int, dict[str, object]]:
        """What the lead shows, by id; what it does not show, for whatever reason, is asked for one by one."""
        if self.left == 0:
            raise _LimitReached
        try:
            shown = await self.courier.communications_of(lead_id)
        except (errors.Refused, errors.Incomplete):
            await self._prove_the_address(lead_id)
            return {}
        self._knows_address = True
        return {one.id: one.body for one in shown}

    async def _prove_the_address(self, lead_id: int) -> None:
        """A 404 tells that a communication is gone only where some lead was read at this address."""
        for other in [] if self._knows_address else self.record.leads_of_others(lead_id, LEADS_THAT_PROVE_THE_ADDRESS):
            try:
                await self.courier.communications_of(other)
            except (errors.Refused, errors.Incomplete):
                continue
            self._knows_address = True
            return

    async def _change(self, update: models.Update, shown: dict[str, object] | None) -> None:
        """One call."""
        if not changes.wanted(update):
            self.record.taken_as_known([update.key])
            return
        if shown is None:
            shown = await self._asked_for(update)
        if shown is None:
            return
        comparison = changes.compare(update, shown, overwrite=self.settings.overwrite)
        if comparison.send:
            await self._send(update, comparison)
            return
        # Killed after the CRM had made it, it is seen as made.
        is_made = bool(comparison.there and update.unanswered)
        self._take(update, comparison, models.Echo(update.communication_id, shown), None)
        self._end(update, "updated" if is_made else "unchanged")

    async def _asked_for(self, update: models.Update) -> dict[str, object] | None:
        """A person may have moved it. The API reads no single communication, but answers an update with the whole of
        it; None where it did not, and the call has its ending."""
        attempt = _Attempt(self.record, update, self.run_id, ASK)
        try:
            echo = await self.courier.update(update.communication_id, ASK, attempt.write_down)
        except (errors.Refused, errors.NotApplied, errors.InDoubt) as outcome:
            if isinstance(outcome, errors.Refused) and outcome.status == 404:
                self._end_refused(update, attempt.number, outcome)
            else:
                # Whatever was refused here, it was not the story.
                self._end_failed(update, attempt.number, outcome)
            return None
        if attempt.number is not None:
            self.record.seen(attempt.number)
        return echo.body

    async def _send(self, update: models.Update, comparison: changes.Comparison) -> None:
        if self.left == 0:
            raise _LimitReached
        self.left = None if self.left is None else self.left - 1
        attempt = _Attempt(self.record, update, self.run_id, comparison.send)
        try:
            echo = await self.courier.update(update.communication_id, comparison.send, attempt.write_down)
        except errors.Refused as outcome:
            self._end_refused(update, attempt.number, outcome)
        except (errors.NotApplied, errors.InDoubt) as outcome:
            self._end_failed(update, attempt.number, outcome)
        else:
            self._take(update, comparison, echo, attempt.number)
            self._end(update, "updated")
            self.came.kept_otherwise.update(filter(None, ["; ".join(echo.differences)]))
            self.patience.delivered()
            self._failed_in_a_row = 0

    def _take(
        self, update: models.Update, comparison: changes.Comparison, echo: models.Echo, attempt: int | None
    ) -> None:
        kept = replace(echo, body=changes.kept(update, echo.body, comparison))
        self.record.taken(update, changes.told(update), kept, run_id=self.run_id, attempt=attempt, left=comparison.left)
        if comparison.left:
            self.came.note("left", update, ", ".join(comparison.left))

    def _end_refused(self, update: models.Update, attempt: int | None, outcome: errors.Refused) -> None:
        self._failed_in_a_row = 0
        if outcome.status == 404:
            self.record.gone(update, attempt, outcome)
            self._end(update, "gone")
            return
        self.record.refused(update, attempt, outcome)
        self._end(update, "refused")
        self.came.note("refused", update, "; ".join(outcome.reasons) or outcome.evidence)
        self.patience.refused(outcome)

    def _end_failed(self, update: models.Update, attempt: int | None, outcome: errors.Outcome) -> None:
        if attempt is not None:
            self.record.failed(attempt, outcome)
        self._end(update, "failed")
        self.came.note("failed", update, outcome.evidence)
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= FAILED_THAT_STOP:
            raise errors.DestinationUnusable(
                f"{FAILED_THAT_STOP} changed calls in a row could not be changed in the CRM (last: "
                f"{outcome.evidence}), which answers otherwise: ask its support, then run again"
            )

    def _end(self, update: models.Update, ending: str) -> None:
        which = self.came.to if update.key in self.planned else self.came.late
        which[ending] += 1
        self._ended += 1

    def _tell(self) -> None:
        now = self.clock.monotonic()
        if now - self.said_at >= SAID_EVERY_SECONDS:
            self.said_at = now
            self.say(f"{plurals.calls(self._ended, 'changed')} looked at or changed in the CRM so far")


class _LimitReached(Exception):
    """As many as were asked for."""


class _Attempt:
    """The record of one update, written down once, before the first byte of its first try."""

    def __init__(self, record: Updates, update: models.Update, run_id: str, send: dict[str, object]) -> None:
        self._record = record
        self._update = update
        self._run_id = run_id
        self._send = send
        self.number: int | None = None

    def write_down(self) -> None:
        if self.number is None:
            self.number = self._record.intend(self._update, self._run_id, self._send)
