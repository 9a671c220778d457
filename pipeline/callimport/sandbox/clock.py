"""The sandbox's time: the caller's, plus whatever a test has advanced it by."""

import datetime
from collections.abc import Callable

Now = Callable[[], datetime.datetime]


def utc_now() -> datetime.datetime:
    """The machine's time, aware, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def iso(moment: datetime.datetime) -> str:
    """As the CRM writes instants: UTC, whole seconds, `+00:00`."""
    return moment.astimezone(datetime.UTC).isoformat(timespec="seconds")


class Clock:
    """Tells the time of `source`, moved forward by what `advance` was given, so that no test has to wait."""

    def __init__(self, source: Now = utc_now) -> None:
        self._source = source
        self._ahead = datetime.timedelta()

    def now(self) -> datetime.datetime:
        """Aware, in UTC."""
        return self._source() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`."""
        self._ahead += datetime.timedelta(seconds=seconds)

    def reset(self) -> None:
        """Back to the source's own time."""
        self._ahead = datetime.timedelta()
