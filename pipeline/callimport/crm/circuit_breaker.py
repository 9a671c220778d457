"""Whether creates may leave at all. Five failures in a row: it is the CRM that is ill, and not five calls.

closed ── 5 failures in a row ──▶ open ── a read succeeds ──▶ half open ── one create passes ──▶ closed
                                    ▲                             │
                                    └────────── it fails ─────────┘

Open, the CRM is only asked whose key this is, with ever longer pauses: a read does no harm, while a create that fails
may be one more call in doubt.
"""

import random
from collections.abc import Callable

import anyio

from callimport.core import errors, humanize
from callimport.crm.rate_limit import Pacer
from callimport.crm.retry import Courier

FAILURES_THAT_OPEN = 5
PAUSES_SECONDS = (5.0, 10.0, 20.0, 40.0, 60.0)
LONGEST_UNANSWERED_SECONDS = 5 * 60.0
TRIALS_THAT_STOP = 3


class Breaker:
    """Shared by all workers. `say` is told in plain words when it opens and when it closes."""

    def __init__(
        self,
        courier: Courier,
        pacer: Pacer,
        monotonic: Callable[[], float],
        rng: random.Random,
        say: Callable[[str], None],
    ) -> None:
        self._courier = courier
        self._pacer = pacer
        self._monotonic = monotonic
        self._rng = rng
        self._say = say
        self._turn = anyio.Lock()
        self._changed = anyio.Event()
        self._failures = 0
        self._seen = ""
        self._ill_since: float | None = None
        self._unanswered_since = 0.0
        self._pauses = 0
        self._trial: str | None = None
        self._trials_failed = 0

    def lets(self, key: str) -> bool:
        """Whether the create of this item may leave now."""
        return self._ill_since is None or key == self._trial

    async def admit(self, key: str) -> None:
        """Wait until it may. One of those who wait asks the CRM how it is, and is the one that then goes alone.

        Raises DestinationUnusable where the CRM does not get well, or does not want this key any more.
        """
        # The one on trial may be back for another try; those who wait for its end hold the turn.
        if self.lets(key):
            return
        async with self._turn:
            while not self.lets(key):
                if self._trial is None:
                    await self._until_well()
                    self._trial = key
                else:
                    await self._changed.wait()

    def passed(self, key: str) -> None:
        """A create was answered, with yes or no: the CRM is well."""
        if self._ill_since is None:
            self._failures = 0
        elif key == self._trial:
            self._say(f"the CRM is well again after {self._ill_for()}: going on")
            self._failures, self._trial, self._ill_since = 0, None, None
            self._wake()

    def failed(self, key: str, outcome: errors.Outcome) -> None:
        """A create came to nothing, or to doubt. Raises DestinationUnusable after three trials in a row that did."""
        self._seen = outcome.evidence
        now = self._monotonic()
        if self._ill_since is None:
            self._failures += 1
            if self._failures >= FAILURES_THAT_OPEN:
                self._ill_since = self._unanswered_since = now
                self._pauses = self._trials_failed = 0
                self._say(
                    f"the CRM failed {self._failures} times in a row (last: {self._seen}): no call is sent until it is "
                    "well again"
                )
        elif key == self._trial:
            self._trial, self._unanswered_since = None, now
            self._trials_failed += 1
            self._wake()
            self._give_up_on_creates()
            self._say(f"the CRM answers, but the call that tried it failed ({self._seen}): waiting again")

    async def _until_well(self) -> None:
        while True:
            await anyio.sleep(self._pause())
            # A wait that the CRM itself asked for is not held against it.
            self._unanswered_since += self._pacer.paused_seconds
            try:
                await self._courier.probe()
            except (errors.NotApplied, errors.InDoubt) as outcome:
                self._seen = outcome.evidence
                self._give_up_on_answers()
            else:
                return

    def _pause(self) -> float:
        """The next pause; a CRM whose reads work and whose creates fail does not begin again with the shortest."""
        pause = PAUSES_SECONDS[min(self._pauses, len(PAUSES_SECONDS) - 1)]
        self._pauses += 1
        return self._rng.uniform(pause, pause * 1.2)

    def _give_up_on_answers(self) -> None:
        seconds = self._monotonic() - self._unanswered_since
        if seconds >= LONGEST_UNANSWERED_SECONDS:
            raise errors.DestinationUnusable(
                f"the CRM has not answered for {humanize.told(seconds)} (last: {self._seen}): nothing more is sent; "
                "look whether it is up and can be reached, then run again"
            )

    def _give_up_on_creates(self) -> None:
        if self._trials_failed >= TRIALS_THAT_STOP:
            raise errors.DestinationUnusable(
                f"the CRM can be read, but has taken no call for {self._ill_for()}; {self._trials_failed} sent one by "
                f"one to try it failed too (last: {self._seen}): nothing more is sent; run again when it takes calls"
            )

    def _ill_for(self) -> str:
        return humanize.told(self._monotonic() - (self._ill_since or 0.0))

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
