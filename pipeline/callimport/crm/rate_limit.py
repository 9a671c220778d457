"""One shared pace and one gate for every request of every kind: workers, reads, retries.

The pace is even (burst 1): a fixed window of the CRM's, wherever it begins, then never sees more than the rate. Behind
it stand the windows the user named, each kept exactly. The gate is closed by a 429, or held by whoever has a reason,
and read again after every wait.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence

import anyio

from callimport.core import errors, humanize, models

SLOWER_AFTER_LIMIT = 0.7
FASTER_PER_WINDOW = 0.025
LONGEST_CATCH_UP_SECONDS = 0.05
FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 60.0
LONGEST_OBEDIENCE_SECONDS = 3600.0
MOST_DOUBLINGS = 10
_ACHIEVED_OVER_SECONDS = 60.0


class Pacer:
    """`rates` are all kept at once; `monotonic` is in seconds."""

    def __init__(
        self, rates: Sequence[models.Rate], monotonic: Callable[[], float], rng: random.Random | None = None
    ) -> None:
        self._windows = [(rate, deque[float]()) for rate in rates]
        self._pace = min(rates, key=lambda rate: rate.seconds)
        self._monotonic = monotonic
        self._rng = rng or random.Random()
        self._turn = anyio.Lock()
        self._next = 0.0
        self._open_at = 0.0
        self._factor = 1.0
        self._factor_since = monotonic()
        self._limited_in_a_row = 0
        self._too_long: errors.DestinationUnusable | None = None
        self._recent = deque[float]()
        self.requests = 0
        self.rate_limited = 0

    async def slot(self) -> None:
        """Wait until one request may be sent, and count it as sent. Raises DestinationUnusable where the CRM asked for
        more patience than a run has."""
        if self._too_long is not None and self.paused_seconds > 0:
            raise self._too_long
        async with self._turn:
            while (wait := self._wait_seconds()) > 0:
                await anyio.sleep(wait)
            self._take()

    def limited(self, retry_after: float | None) -> float:
        """A 429 came: close the gate for everybody and slow down. Returns for how many seconds.

        Raises DestinationUnusable where the CRM asks for more than an hour; the gate is closed all the same.
        """
        self.rate_limited += 1
        now = self._monotonic()
        if now >= self._open_at:
            # Requests that were under way when the gate closed are refused too; that is one refusal, not several.
            self._limited_in_a_row = min(self._limited_in_a_row + 1, MOST_DOUBLINGS)
            self._factor = max(0.1, self._factor * SLOWER_AFTER_LIMIT)
        if retry_after is None:
            pause = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** max(0, self._limited_in_a_row - 1))
        else:
            pause = max(1.0, retry_after)
        pause += self._rng.uniform(0, 1)
        self.hold(pause)
        # A closed gate proves nothing: windows count as clean only once requests pass again.
        self._factor_since = self._open_at
        if retry_after is not None and retry_after > LONGEST_OBEDIENCE_SECONDS:
            self._too_long = errors.DestinationUnusable(
                f"the CRM asks for a pause of {humanize.told(retry_after)} (429), longer than a run waits: nothing "
                f"more is sent; run again in {humanize.told(pause)}"
            )
            raise self._too_long
        return pause

    def hold(self, seconds: float) -> None:
        """Close the gate for everybody for that long at least."""
        self._open_at = max(self._open_at, self._monotonic() + seconds)

    def passed(self) -> None:
        """A request was let through: the next 429 without a time starts its backoff anew."""
        self._limited_in_a_row = 0

    @property
    def allowed_per_minute(self) -> float:
        """What the pace allows now; below the configured rate for a while after a 429."""
        named = min(rate.limit * 60 / rate.seconds for rate, _ in self._windows)
        return named * self._factor

    @property
    def achieved_per_minute(self) -> float:
        """Requests of the last minute, scaled up while the first minute is not over."""
        now = self._monotonic()
        recent = [moment for moment in self._recent if moment > now - _ACHIEVED_OVER_SECONDS]
        if len(recent) < 2:
            return 0.0
        span = now - recent[0]
        return (len(recent) - 1) * 60 / span if span > 0 else 0.0

    @property
    def paused_seconds(self) -> float:
        """For how long the gate stays closed."""
        return max(0.0, self._open_at - self._monotonic())

    def _wait_seconds(self) -> float:
        now = self._monotonic()
        self._recover(now)
        waits = [self._next - now, self._open_at - now]
        for rate, sent in self._windows:
            while sent and sent[0] <= now - rate.seconds:
                sent.popleft()
            if len(sent) >= rate.limit:
                waits.append(sent[0] + rate.seconds - now)
        return max(waits)

    def _take(self) -> None:
        now = self._monotonic()
        # Slowed down, all windows are: the pace then follows the slowest of them.
        interval = self._pace.seconds / self._pace.limit if self._factor == 1 else 60 / self.allowed_per_minute
        # A wake-up that came late is made up for; a longer silence is not, or it would end in a burst.
        catch_up = min(interval, LONGEST_CATCH_UP_SECONDS)
        self._next = max(self._next, now - catch_up) + interval
        for _, sent in self._windows:
            sent.append(now)
        self._recent.append(now)
        while self._recent[0] <= now - _ACHIEVED_OVER_SECONDS:
            self._recent.popleft()
        self.requests += 1

    def _recover(self, now: float) -> None:
        while self._factor < 1 and now - self._factor_since >= self._pace.seconds:
            self._factor = min(1.0, self._factor + FASTER_PER_WINDOW)
            self._factor_since += self._pace.seconds
