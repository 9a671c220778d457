"""Whose call a recording is, by what its file name tells, where no row of the export names the file.

A wrong guess would put a stranger's voice on a customer's page. So the number in the name must be the customer's, and
the id must be the call's or a leg's of it; the time counts only in a name that has no id, for an id that is nobody's
may be of a call that is not known yet. And it counts only where one file fits one call and no other.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic
from zoneinfo import ZoneInfo

import polars as pl

from callimport.core import models
from callimport.core import phones as phone_numbers
from callimport.core.models import Key
from callimport.profiles import profile

# From the first ring to the first word, the clocks of two machines included.
NEAR_SECONDS = 120
# A leg may be told as server-id/number.
_BETWEEN_IDS = re.compile(r"[\n/-]")


@dataclass(frozen=True, slots=True)
class Told:
    """What the name of the file at `path` tells; `at` in Unix seconds, `direction` empty where it does not say."""

    path: str
    phone: str
    direction: str
    call_id: str | None
    at: int | None


@dataclass(frozen=True, slots=True)
class Owners(Generic[Key]):
    """Files that fit one call and no other, by the call; those that fit several calls, or a call with several, or a
    call by all but their id."""

    path_of: Mapping[Key, str] = field(default_factory=dict)
    unclear: tuple[str, ...] = ()


class Names:
    """How one phone system names its recordings. `zone` is that of dates in names; without one they tell nothing."""

    def __init__(
        self, patterns: Sequence[profile.FileName], zone: str | None, dialling: phone_numbers.Dialling
    ) -> None:
        self._patterns = [(re.compile(one.pattern), one.direction) for one in patterns]
        self._zone = ZoneInfo(zone) if zone else None
        self._dialling = dialling

    @classmethod
    def of(cls, its: profile.Profile, zone: str | None, dialling: phone_numbers.Dialling) -> "Names":
        """As a profile says; with its outside line, unless one is stated."""
        return cls(its.recordings, zone, dialling.with_default_outside_line(its.outside_line))

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def read(self, paths: Iterable[str]) -> list[Told]:
        """What the names tell; those that tell nothing are left out."""
        found: list[tuple[str, str, re.Match[str]]] = []
        for path in paths:
            for pattern, direction in self._patterns:
                if match := pattern.search(path.rpartition("/")[2]):
                    found.append((path, direction, match))
                    break
        cells = pl.Series([match["number"] for _, _, match in found], dtype=pl.String)
        phones: list[str | None] = phone_numbers.read(cells, self._dialling)["e164"].to_list() if found else []
        return [
            Told(path, phone, direction, match.groupdict().get("id"), self._second(match))
            for (path, direction, match), phone in zip(found, phones, strict=True)
            if phone
        ]

    def _second(self, match: re.Match[str]) -> int | None:
        told = match.groupdict()
        if told.get("epoch"):
            return int(told["epoch"])
        if self._zone is None or not told.get("date") or not told.get("time"):
            return None
        digits = re.sub(r"\D", "", told["date"] + told["time"])
        try:
            return int(datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=self._zone).timestamp())
        except ValueError:
            return None


def owners(files: Iterable[Told], calls: Iterable[models.Nameless[Key]]) -> Owners[Key]:
    """Whose each file is. `calls` is gone through once; it has those, too, that cannot get a recording now, so that
    theirs goes to no other."""
    of_phone: dict[str, list[Told]] = defaultdict(list)
    for one in files:
        of_phone[one.phone].append(one)
    by_id: dict[Key, list[str]] = defaultdict(list)
    by_time: dict[Key, list[str]] = defaultdict(list)
    of_other_id: set[str] = set()
    for call in calls:
        for one in of_phone.get(call.phone, ()):
            if one.direction not in ("", call.direction):
                continue
            is_near = one.at is not None and abs(one.at - call.started_at) <= NEAR_SECONDS
            if one.call_id is not None and one.call_id in _ids(call):
                by_id[call.key].append(one.path)
            elif is_near and one.call_id is None:
                by_time[call.key].append(one.path)
            elif is_near:
                of_other_id.add(one.path)
    settled, of_id = _one_to_one(by_id), {path for paths in by_id.values() for path in paths}
    # An id says more than a time: what it speaks of is out of the question for the others.
    rest = {
        key: left
        for key, paths in by_time.items()
        if key not in by_id and (left := [p for p in paths if p not in of_id])
    }
    settled |= _one_to_one(rest)
    questioned = of_id | of_other_id | {path for paths in rest.values() for path in paths}
    return Owners(settled, tuple(sorted(questioned - set(settled.values()))))


def merge_owners(several: Iterable[Owners[Key]]) -> Owners[Key]:
    """Merge what `owners` found for each system: a file that fits calls of two systems is unclear."""
    found = list(several)
    fitting = Counter(path for one in found for path in {*one.path_of.values(), *one.unclear})
    path_of = {key: path for one in found for key, path in one.path_of.items() if fitting[path] == 1}
    return Owners(path_of, tuple(sorted(set(fitting) - set(path_of.values()))))


def _ids(call: models.Nameless[Key]) -> set[str | None]:
    return {call.call_id, *_BETWEEN_IDS.split(call.legs or "")}


def _one_to_one(fitting: Mapping[Key, Sequence[str]]) -> dict[Key, str]:
    calls_of: dict[str, int] = defaultdict(int)
    for paths in fitting.values():
        for path in paths:
            calls_of[path] += 1
    return {key: paths[0] for key, paths in fitting.items() if len(paths) == 1 and calls_of[paths[0]] == 1}
