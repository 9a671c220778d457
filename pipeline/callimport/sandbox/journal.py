"""Every request that came, what it brought and what it did; and what can be counted from that. No token ever enters."""

import dataclasses
import datetime
import re
import urllib.parse
from collections import Counter
from collections.abc import Iterable, Mapping

from callimport.sandbox import clock

LIVE_POPUP = "LIVE_POPUP"
LEAD_CREATED = "LEAD_CREATED"
_HIDDEN = "[hidden]"
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")


LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def host(url: str) -> str | None:
    """The name in a URL, None where there is none."""
    try:
        return urllib.parse.urlsplit(url).hostname
    except ValueError:
        return None


@dataclasses.dataclass(slots=True)
class Entry:
    """One request. Begun when it arrives, finished when it is answered: `status` None is still under way, or dropped.

    `kind` is the method and the route, or `unrouted`. `effect` lists what changed, `fault` the rules that were applied.
    `window` is the end of the throttle's window it fell into, None where it did not come as far as the throttle.
    """

    number: int
    time: datetime.datetime
    method: str
    path: str
    kind: str
    headers: Mapping[str, str]
    body: object = None
    status: int | None = None
    effect: list[str] = dataclasses.field(default_factory=list)
    unknown_fields: tuple[str, ...] = ()
    ignored_fields: tuple[str, ...] = ()
    window: float | None = None
    fault: list[str] = dataclasses.field(default_factory=list)

    def shape(self) -> dict[str, object]:
        """For JSON."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)} | {
            "time": self.time.astimezone(datetime.UTC).isoformat(timespec="milliseconds")
        }


class Journal:
    """All entries, in order of arrival. `secret` is the key, cut out wherever it turns up."""

    def __init__(self, secret: str, now: clock.Now) -> None:
        self.entries: list[Entry] = []
        self._secret = secret
        self._now = now

    def open(self, method: str, path: str, kind: str, headers: Iterable[tuple[str, str]]) -> Entry:
        """An entry for a request that has just arrived; `path` may carry a query."""
        redacted = {name: self.redacted(value) if name not in _SECRET_HEADERS else _HIDDEN for name, value in headers}
        number = self.entries[-1].number + 1 if self.entries else 1
        entry = Entry(number, self._now(), method, self.redacted(path), kind, redacted)
        self.entries.append(entry)
        return entry

    def redacted(self, text: str) -> str:
        """Text without our key, and without anything that looks like somebody's."""
        return _JWT.sub(_HIDDEN, text.replace(self._secret, _HIDDEN))

    def reset(self) -> None:
        """Forget all."""
        self.entries.clear()

    def popups(self) -> list[Entry]:
        """Requests that opened a dialog on a salesperson's screen."""
        return [entry for entry in self.entries if LIVE_POPUP in entry.effect]

    def leads_created(self) -> list[Entry]:
        """Requests that make a lead, which nobody asked for."""
        return [entry for entry in self.entries if LEAD_CREATED in entry.effect]

    def strangers(self) -> list[Entry]:
        """Requests that were meant for another host, and so took the key there."""
        return [entry for entry in self.entries if host(f"//{entry.headers.get('host', '')}") not in LOOPBACK]

    def bursts(self, limit: int) -> dict[float, int]:
        """How many came in each of the throttle's windows, refused ones included, where that was more than `limit`."""
        windows = Counter(entry.window for entry in self.entries if entry.window is not None)
        return {ends_at: count for ends_at, count in windows.items() if count > limit}

    def with_unknown_fields(self) -> list[Entry]:
        """Requests with fields nobody reads, which the real CRM would lose without a word."""
        return [entry for entry in self.entries if entry.unknown_fields]

    def rate_limited(self) -> int:
        """How many were turned away by the throttle."""
        return sum(entry.status == 429 for entry in self.entries)

    def most_in_any_window(self, window_seconds: float) -> int:
        """The most requests that reached the throttle, refused ones included, in any stretch of that length."""
        times = [entry.time.timestamp() for entry in self.entries if entry.window is not None]
        most = first = 0
        for last, time in enumerate(times):
            while times[first] <= time - window_seconds:
                first += 1
            most = max(most, last - first + 1)
        return most

    def by_kind(self) -> dict[str, int]:
        """Requests by method and route."""
        return dict(Counter(entry.kind for entry in self.entries))

    def by_status(self) -> dict[str, int]:
        """Requests by the status they were answered with."""
        return dict(Counter(str(entry.status) for entry in self.entries if entry.status is not None))
