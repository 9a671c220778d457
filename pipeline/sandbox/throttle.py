"""The limit of requests: a fixed window for each API user, anchored at the first request in it (Laravel's limiter)."""

import dataclasses
import math

from pipeline.sandbox import clock


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may pass. `retry_after_seconds` and `reset_at` (unix seconds) matter for a refusal only.

    `window` is when its window ends, to the fraction, which tells windows apart.
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
    """Counts per API user. Windows do not slide: around an edge twice the limit can pass, as with the real one."""

    def __init__(self, limit: int, window_seconds: float, now: clock.Now) -> None:
        self.limit = limit
        self.window_seconds = window_seconds
        self._now = now
        self._windows: dict[int, _Window] = {}

    def hit(self, user_id: int, at: float | None = None) -> Verdict:
        """Count one request of the user, unless it is refused: a refused one neither counts nor lengthens the wait.

        `at` (unix seconds) is for one that came earlier than now.
        """
        instant = self._now().timestamp() if at is None else at
        window = self._windows.get(user_id)
        if window is None or instant >= window.ends_at:
            window = self._windows[user_id] = _Window(instant + self.window_seconds)
        allowed = window.hits < self.limit
        if allowed:
            window.hits += 1
        return Verdict(
            allowed=allowed,
            limit=self.limit,
            remaining=self.limit - window.hits,
            retry_after_seconds=max(0, math.ceil(window.ends_at - instant)),
            reset_at=math.ceil(window.ends_at),
            window=window.ends_at,
        )

    def reset(self) -> None:
        """Forget every window."""
        self._windows.clear()
