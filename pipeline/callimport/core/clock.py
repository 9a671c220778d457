"""The wall against the monotonic clock. The one stands still while the machine sleeps, the other does not."""

from dataclasses import dataclass
from datetime import datetime

from callimport.core import errors, humanize, models

# What a clock that is kept in time is ever put right by is far less.
SLEEP_SECONDS = 20.0
BACK_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Moment:
    """What both clocks said at once."""

    wall: datetime
    monotonic: float

    @classmethod
    def now(cls, clock: models.Clock) -> "Moment":
        return cls(clock.wall(), clock.monotonic())

    def seconds_until(self, later: "Moment") -> float:
        """Return the larger of the two clocks' differences. A sleep or a clock that was set cannot make it shorter."""
        return max((later.wall - self.wall).total_seconds(), later.monotonic - self.monotonic)


class Drift:
    """Remembers where the clocks stood when they were last looked at."""

    def __init__(self, clock: models.Clock) -> None:
        self._clock = clock
        self._last = Moment.now(clock)

    def slept_seconds(self) -> float:
        """For how long the machine slept since this was last asked, or how far its clock was set ahead; 0 for little.

        Raises GuardStopped, each time it is asked, where the clock was set back by more than an hour.
        """
        now = Moment.now(self._clock)
        ahead = (now.wall - self._last.wall).total_seconds() - (now.monotonic - self._last.monotonic)
        if ahead < -BACK_SECONDS:
            raise errors.GuardStopped(
                f"the clock was set back by {humanize.told(-ahead)} while this run went on: look at the clock, then "
                "run again"
            )
        self._last = now
        return ahead if ahead > SLEEP_SECONDS else 0.0
