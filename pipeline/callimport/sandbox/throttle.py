"""The limit of requests: a fixed window for each API user, anchored at the first request in it (Laravel's limiter)."""

import dataclasses
import math

from callimport.sandbox import clock

_HOUR_SECONDS = 3600.0


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may pass. `retry_after_seconds` and `reset_at` (unix seconds) matter for a refusal only.

    Of two limits the tighter one speaks. `window` is when the window of the first one ends, to the fraction, which
    tells windows apart.
    """

    allowed: bool
    limit: int
    remaining: int
    retry_after_seconds: int
    reset_at: int
    window: float


@dataclasses.dataclass(slots=True)
class _Window:
    ends_at: float
    hits: int = 0


class Throttle:
    """Counts per API user. Windows do not slide: around an edge twice the limit can pass, as with the real one.

    `hourly` is a second limit, 0 for none. `limit` may be changed while it works; `reset` brings it back.
    """

    def __init__(self, limit: int, window_seconds: float, now: clock.Now, *, hourly: int = 0) -> None:
        self.limit = limit
        self.window_seconds = window_seconds
        self._first_limit = limit
        self._hourly = hourly
        self._now = now
        self._windows: dict[tuple[int, float], _Window] = {}

    def hit(self, user_id: int, at: float | None = None) -> Verdict:
        """Count one request of the user, unless it is refused: a refused one neither counts nor lengthens the wait.

        `at` (unix seconds) is for one that came earlier than now.
        """
        instant = self._now().timestamp() if at is None else at
        first = self._window(user_id, self.window_seconds, instant)
        limits = [(first, self.limit)]
        if self._hourly:
            limits.append((self._window(user_id, _HOUR_SECONDS, instant), self._hourly))
        allowed = all(window.hits < limit for window, limit in limits)
        if allowed:
            for window, _ in limits:
                window.hits += 1
        window, limit = min(limits, key=lambda one: (one[1] - one[0].hits, -one[0].ends_at))
        return Verdict(
            allowed=allowed,
            limit=limit,
            remaining=max(limit - window.hits, 0),
            retry_after_seconds=max(0, math.ceil(window.ends_at - instant)),
            reset_at=math.ceil(window.ends_at),
            window=first.ends_at,
        )

    def reset(self) -> None:
        """Forget every window."""
        self._windows.clear()
        self.limit = self._first_limit

    def _window(self, user_id: int, seconds: float, instant: float) -> _Window:
        window = self._windows.get((user_id, seconds))
        if window is None or instant >= window.ends_at:
            window = self._windows[user_id, seconds] = _Window(instant + seconds)
        return window
