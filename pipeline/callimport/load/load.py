"""Phase two of a run: what the ledger holds pending goes to the CRM, what came into doubt is looked up, and what proved
to be absent goes again, until nothing is left to do. Then delivered calls that changed since are changed there."""

import random
from dataclasses import dataclass

import anyio

from callimport import report
from callimport.core import errors, models
from callimport.core.clock import Drift
from callimport.core.settings import Settings
from callimport.core.signals import Interruption
from callimport.crm.client import Destination
from callimport.crm.rate_limit import Pacer
from callimport.crm.retry import Courier
from callimport.ledger import Ledger, queries
from callimport.load import deliver, lost_ledger_check, pilot
from callimport.load.adopt import Adoption
from callimport.load.existing_calls import Existing
from callimport.load.heartbeat import Watch
from callimport.load.reconcile import Reconciliation
from callimport.load.updates import Updating


@dataclass(frozen=True, slots=True)
class Sending:
    """Of one run, from its ledger to its CRM."""

    settings: Settings
    clock: models.Clock
    talk: report.Talk
    rng: random.Random
    interruption: Interruption
    crm: Destination
    pacer: Pacer
    drift: Drift
    ledger: Ledger
    existing: Existing

    async def run(self, run_id: str, batch_id: str, updating: Updating) -> errors.ImporterError | None:
        """Deliver, look up what came into doubt, and deliver what proved to be absent, until nothing is left to do."""
        reconciliation = Reconciliation(self.ledger, self._courier(), self.clock, self.settings.settle)
        with_canary = True
        try:
            if not await self.look_first(batch_id):
                return None
            left = self._most(batch_id)
            if not await self._read_ahead(left):
                return None
            while True:
                sending = await self._deliver_pending(run_id, batch_id, left, reconciliation, with_canary=with_canary)
                left = None if left is None else left - sending.taken
                # Until one was seen in the CRM, the next pass begins with one that goes alone, too.
                with_canary = not sending.proved
                if self.interruption.exit_code is not None or not await self._look_up_doubts(reconciliation):
                    return None
                # Asked of the ledger, not of the verdicts: those given beside the delivery may have come at its end.
                if left == 0 or not self._is_anything_to_send(batch_id):
                    break
            await updating.run(run_id, self._courier(), self.interruption, left)
        except errors.ImporterError as error:
            return error
        return None

    def _most(self, batch_id: str) -> int | None:
        """How many calls this run may send, None for as many as there are."""
        if self.settings.pilot is None:
            return self.settings.limit
        return pilot.begin(self.ledger, batch_id, self.settings.pilot)

    async def look_first(self, batch_id: str) -> bool:
        """Take over what the CRM has already, or see that there is nothing. False where somebody asked for an end."""
        with anyio.CancelScope() as looking:
            self.interruption.on_request(looking.cancel)
            if self.settings.adopt:
                await self._adopt(batch_id)
            else:
                await lost_ledger_check.look(
                    self._courier(), self.ledger, batch_id, self.rng, self.talk.say, self.existing.heard
                )
        return self.interruption.exit_code is None

    async def _read_ahead(self, most: int | None) -> bool:
        """See what the leads hold, where that is cheaper at once. False where somebody asked for an end."""
        with anyio.CancelScope() as reading:
            self.interruption.on_request(reading.cancel)
            await self.existing.read_ahead(most, self.pacer.allowed_per_minute)
        return self.interruption.exit_code is None

    async def _adopt(self, batch_id: str) -> None:
        adoption = Adoption(self.ledger, self._courier(), batch_id)
        self.talk.say(report.adoption_line(adoption.leads, self.pacer.allowed_per_minute))
        await adoption.run()
        self.talk.say(report.adopted_line(adoption.endings, is_plan=self.settings.dry_run))

    def _courier(self) -> Courier:
        return Courier(self.crm, self.pacer, self.rng)

    async def _deliver_pending(
        self, run_id: str, batch_id: str, limit: int | None, reconciliation: Reconciliation, *, with_canary: bool
    ) -> deliver.Delivery:
        """One pass over what is pending; the delivery that made it."""
        to_do = self._pending() if limit is None else min(limit, self._pending())
        task = deliver.Task(run_id, batch_id, to_do, limit, self.settings.concurrency, with_canary)
        reads = self.existing.reads_to_come(limit)
        self.talk.forecast(task.to_do, self.pacer.allowed_per_minute, self.clock.wall(), reads)
        sending = deliver.Delivery(
            task, self.ledger, self.crm, self.pacer, self.clock, self.rng, say=self.talk.say, drift=self.drift,
            existing=self.existing,
        )  # fmt: skip
        self.interruption.on_request(sending.drain)
        stopped_by: errors.ImporterError | None = None
        watch = Watch(sending, task, self.ledger, reconciliation, self.clock, self.talk)
        async with watch.kept():
            try:
                await sending.run()
            except errors.ImporterError as error:
                # As a value, past the task group of the watchers.
                stopped_by = error
        if stopped_by is not None:
            raise stopped_by
        return sending

    async def _look_up_doubts(self, reconciliation: Reconciliation) -> bool:
        """Wait until they are ripe and give verdicts. False where somebody asked for an end."""
        with anyio.CancelScope() as waiting:
            self.interruption.on_request(waiting.cancel)
            await reconciliation.settle_all(
                lambda seconds: self.talk.say(
                    report.doubts_line(queries.doubt_reasons(self.ledger.database), seconds, sends=True)
                )
            )
        return self.interruption.exit_code is None

    def _is_anything_to_send(self, batch_id: str) -> bool:
        return self.ledger.next_item(batch_id, frozenset(self.existing.unread)) is not None

    def _pending(self) -> int:
        return queries.member_counts(self.ledger.database)[models.ItemStatus.PENDING]
