"""Phase two: workers take items from the ledger, oldest call first, and create each of them once.

One item in flight for each lead. The policy of the unsafe POST: what surely did not reach the CRM is tried again, three
times; what may have reached it is in doubt and left alone; a 429 costs no attempt. Asked to stop, it drains: what is
under way ends, what waits is left pending.

Before each create: breaker (is the CRM well?) → slot of the pacer → connection → all of it looked at again → intent on
the disk → bytes. Whatever says no on that way turns the create back, and nothing has left.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

import anyio
import tenacity

from callimport.core import errors, humanize, models
from callimport.core.clock import Drift, Moment
from callimport.crm.circuit_breaker import Breaker
from callimport.crm.client import KEEPALIVE_SECONDS, Destination
from callimport.crm.failure_budget import Patience
from callimport.crm.rate_limit import Pacer
from callimport.crm.retry import Courier
from callimport.ledger import Ledger
from callimport.load import canary
from callimport.load.existing_calls import Existing

ATTEMPTS = 3
LONGEST_BACKOFF_SECONDS = 60.0
OLDEST_INTENT_SECONDS = 5.0
# After a sleep: until every connection from before it counts as too old to be used.
NEW_CONNECTIONS_AFTER_SECONDS = KEEPALIVE_SECONDS + 1.0


@dataclass(frozen=True, slots=True)
class Task:
    """What one delivery sets out to do."""

    run_id: str
    batch_id: str
    to_do: int
    limit: int | None
    concurrency: int
    with_canary: bool = True


class _Drained(Exception):
    """This worker was told to stop while it waited."""


class _TurnedBack(Exception):
    """Something came up after this create got its slot: nothing has left, and it gets in line again."""


@dataclass(slots=True)
class _Tally:
    delivered: int = 0
    refused: int = 0
    failed: int = 0
    in_doubt: int = 0


def _silent(_: str) -> None:
    """For who does not want to be told."""


class Delivery:
    """Delivers what is pending of one batch. The ledger is told of every step before the next is made.

    `say` gets messages for the user. Pass the `drift` of an earlier delivery of the same process. With `existing`,
    calls that the CRM has already are not sent.
    """

    def __init__(
        self,
        task: Task,
        ledger: Ledger,
        destination: Destination,
        pacer: Pacer,
        clock: models.Clock,
        rng: random.Random | None = None,
        *,
        say: Callable[[str], None] = _silent,
        drift: Drift | None = None,
        existing: Existing | None = None,
    ) -> None:
        self._task = task
        self._ledger = ledger
        self._destination = destination
        self._pacer = pacer
        self._clock = clock
        self._rng = rng or random.Random()
        self._say = say
        self._drift = drift or Drift(clock)
        self._courier = Courier(destination, pacer, self._rng)
        self._breaker = Breaker(self._courier, pacer, clock.monotonic, self._rng, say)
        self._patience = Patience(clock.monotonic)
        self._busy_leads: set[int] = set()
        self._existing = existing
        self._taken = 0
        self._passed_over = 0
        self._released = anyio.Event()
        self._waits: set[anyio.CancelScope] = set()
        self._workers = task.concurrency
        self._stopping = False
        self._stopped_by: errors.ImporterError | None = None
        self._tally = _Tally()
        self._began = clock.monotonic()
        self.proved = not task.with_canary

    @property
    def taken(self) -> int:
        """How many calls it took up; what --limit counts."""
        return self._taken

    async def run(self) -> None:
        """Deliver until nothing is pending, the limit is reached or it is told to drain.

        Raises the ImporterError that made it stop, after what was under way has ended and is on the disk.
        """
        if self._task.with_canary:
            await self._until_stopped(self._send_canary)
        async with anyio.create_task_group() as workers:
            for _ in range(self._workers):
                workers.start_soon(self._until_stopped, self._work)
        if self._stopped_by is not None:
            raise self._stopped_by

    def drain(self) -> None:
        """Take nothing more; let what is under way end."""
        self._stopping = True
        for scope in list(self._waits):
            scope.cancel()
        self._wake()

    def progress(self) -> models.Progress:
        return models.Progress(
            # Of more than it may send, others take the place of what is skipped.
            to_do=self._task.to_do - (self._passed_over if self._task.limit is None else 0),
            delivered=self._tally.delivered,
            refused=self._tally.refused,
            failed=self._tally.failed,
            in_doubt=self._tally.in_doubt,
            elapsed_seconds=self._clock.monotonic() - self._began,
            achieved_per_minute=self._pacer.achieved_per_minute,
            allowed_per_minute=self._pacer.allowed_per_minute,
            requests=self._pacer.requests,
            rate_limited=self._pacer.rate_limited,
            paused_seconds=self._pacer.paused_seconds,
            reads_left=self._existing.reads_left if self._existing else 0,
        )

    async def _until_stopped(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except _Drained:
            pass
        except errors.ImporterError as error:
            self.stop(error)

    async def _work(self) -> None:
        while (item := await self._take()) is not None:
            await self._bring(item)

    async def _send_canary(self) -> None:
        """The first call alone; one that is refused has the next one go alone, until three were."""
        for _ in range(canary.REFUSED_THAT_STOP):
            item = await self._take()
            if item is None:
                return
            await self._bring(item)
            stands, communication_id = self._ledger.stands(item.key)
            if stands is not models.ItemStatus.REFUSED:
                break
        else:
            raise canary.refused(canary.REFUSED_THAT_STOP)
        if communication_id is not None:
            await self._patiently(canary.look(self._courier, item, communication_id))
            self.proved = True
        else:
            # Nothing is proved yet: one at a time until this run is over.
            self._workers = 1

    async def _bring(self, item: models.Item) -> None:
        try:
            await self._deliver(item)
        finally:
            self._release(item.lead_id)

    async def _take(self) -> models.Item | None:
        """The next item, waiting while every pending one belongs to a lead that is being served; None at the end."""
        while not self._stopping and (self._task.limit is None or self._taken < self._task.limit):
            unread = self._existing.unread if self._existing else ()
            item = self._ledger.next_item(self._task.batch_id, frozenset(self._busy_leads.union(unread)))
            if item is not None:
                self._taken += 1
                self._busy_leads.add(item.lead_id)
                if self._existing is None or await self._is_missing(item, self._existing):
                    return item
                self._taken -= 1
                self._release(item.lead_id)
            elif not self._busy_leads:
                return None
            else:
                await self._released.wait()
        return None

    async def _is_missing(self, item: models.Item, existing: Existing) -> bool:
        """Whether the CRM does not have the call already, as far as its lead tells."""
        skipped: set[str] = set()

        async def look() -> None:
            skipped.update(await existing.look(item.lead_id))

        await self._patiently(look())
        self._passed_over += len(skipped)
        return item.key not in skipped and item.lead_id not in existing.unread

    def _release(self, lead_id: int) -> None:
        self._busy_leads.discard(lead_id)
        self._wake()

    async def _deliver(self, item: models.Item) -> None:
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=self._backoff,
            retry=tenacity.retry_if_exception_type(errors.NotApplied),
            before_sleep=self._spend_a_repeat,
            sleep=self._pause,
            reraise=True,
        )
        try:
            await retrying(self._attempt_when_allowed, item)
        except errors.NotApplied as outcome:
            self._ledger.failed(item.key, outcome.evidence)
            self._tally.failed += 1

    async def _attempt_when_allowed(self, item: models.Item) -> None:
        while True:
            await self._patiently(self._breaker.admit(item.key))
            await self._patiently(self._pacer.slot())
            # A request that began is brought to its end, whoever asks for a stop meanwhile.
            with anyio.CancelScope(shield=True):
                try:
                    return await self._attempt(item)
                except errors.Limited as outcome:
                    self._patience.limited(self._pacer.limited(outcome.retry_after))
                except _TurnedBack:
                    continue

    async def _attempt(self, item: models.Item) -> None:
        intent = _Intent(self._ledger, item.key, self._task.run_id)

        def before_bytes() -> None:
            self._look_again(item)
            began = Moment.now(self._clock)
            intent.write_down()
            if began.seconds_until(Moment.now(self._clock)) > OLDEST_INTENT_SECONDS:
                raise _TurnedBack
            self._patience.wrote_in_time()

        self._look_again(item)
        try:
            echo = await self._destination.create(item.communication, before_bytes)
            self._ledger.delivered(item.key, intent.attempt, echo)
        except _TurnedBack:
            if intent.is_written:
                intent.was_not_applied(errors.NotApplied("nothing was sent: the intent took too long to be written"))
                self._patience.wrote_late()
            raise
        except errors.NotApplied as outcome:
            intent.was_not_applied(outcome)
            if not isinstance(outcome, errors.Limited):
                self._breaker.failed(item.key, outcome)
            raise
        except errors.Refused as outcome:
            self._ledger.refused(item.key, intent.attempt, outcome)
            self._tally.refused += 1
            self._answered(item)
            self._patience.refused(outcome)
        except errors.InDoubt as outcome:
            self._ledger.in_doubt(item.key, intent.attempt, outcome)
            self._tally.in_doubt += 1
            self._breaker.failed(item.key, outcome)
        except errors.DestinationUnusable as error:
            intent.ended_unusable(error)
            self._tally.in_doubt += error.in_doubt
            raise
        else:
            self._tally.delivered += 1
            self._answered(item)
            self._patience.delivered()

    def _look_again(self, item: models.Item) -> None:
        """After a wait, and right before the first byte: may it still leave?"""
        if (slept := self._drift.slept_seconds()) > 0:
            # Connections from before are dead, and look as if they had been used a moment ago.
            self._pacer.hold(NEW_CONNECTIONS_AFTER_SECONDS)
            how_long = humanize.told(slept)
            self._say(f"this machine slept for {how_long}, or its clock was set ahead: going on over new connections")
        if self._stopping:
            raise _Drained
        if self._pacer.paused_seconds > 0 or not self._breaker.lets(item.key):
            raise _TurnedBack

    def _answered(self, item: models.Item) -> None:
        self._pacer.passed()
        self._breaker.passed(item.key)

    def _spend_a_repeat(self, state: tenacity.RetryCallState) -> None:
        outcome = cast("errors.NotApplied", state.outcome and state.outcome.exception())
        self._patience.repeats(self._taken, outcome)

    def _backoff(self, state: tenacity.RetryCallState) -> float:
        return self._rng.uniform(0, min(LONGEST_BACKOFF_SECONDS, 2.0**state.attempt_number))

    async def _pause(self, seconds: float) -> None:
        await self._patiently(anyio.sleep(seconds))

    async def _patiently(self, waiting: Awaitable[None]) -> None:
        """Wait, unless told to drain; after the wait, look again whether it still may go on."""
        with anyio.CancelScope() as scope:
            self._waits.add(scope)
            try:
                if self._stopping:
                    scope.cancel()
                await waiting
            finally:
                self._waits.discard(scope)
        if self._stopping:
            raise _Drained

    def stop(self, error: errors.ImporterError) -> None:
        """Drain, and let `run` end with this."""
        self._stopped_by = self._stopped_by or error
        self.drain()

    def _wake(self) -> None:
        self._released.set()
        self._released = anyio.Event()


class _Intent:
    """The record of one attempt, begun by the destination right before the first byte."""

    def __init__(self, ledger: Ledger, key: str, run_id: str) -> None:
        self._ledger = ledger
        self._key = key
        self._run_id = run_id
        self._attempt: int | None = None

    @property
    def attempt(self) -> int:
        if self._attempt is None:
            raise errors.LedgerError("an answer came to a request that was never written down: nothing more is sent")
        return self._attempt

    @property
    def is_written(self) -> bool:
        return self._attempt is not None

    def write_down(self) -> None:
        self._attempt = self._ledger.intend(self._key, self._run_id)

    def was_not_applied(self, outcome: errors.NotApplied) -> None:
        if self._attempt is not None:
            self._ledger.not_applied(self._key, self._attempt, outcome)

    def ended_unusable(self, error: errors.DestinationUnusable) -> None:
        if self._attempt is None:
            return
        if error.in_doubt:
            self._ledger.in_doubt(self._key, self._attempt, errors.InDoubt(str(error)))
        else:
            self._ledger.not_applied(self._key, self._attempt, errors.NotApplied(str(error)))
