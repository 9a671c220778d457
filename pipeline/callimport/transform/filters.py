"""Which of the valid calls are wanted: by day, number and outcome. The others are skipped and counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import polars as pl

from callimport.core import errors, models, number_lists
from callimport.core.settings import Settings
from callimport.transform.counts import Tally

_DIRECTIONS = tuple(one.value for one in models.Direction)
_STATUSES = tuple(one.value for one in models.CallStatus)


@dataclass(frozen=True, slots=True)
class Wanted:
    """`since` is inclusive and `until` exclusive, in UTC. Empty `directions` or `statuses` leave nothing out."""

    since: datetime
    until: datetime
    excluded: frozenset[str] = frozenset()
    directions: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    min_seconds: int = 0

    @classmethod
    def of(cls, settings: Settings, zone: str | None) -> "Wanted":
        """What was asked for. Raises ConfigError or SourceError."""
        words = only(settings.only)
        return cls(
            since=_midnight(settings.since, zone),
            until=_midnight_after(settings.until, zone),
            excluded=number_lists.read(settings.exclude_numbers, settings.dialling)
            if settings.exclude_numbers
            else frozenset(),
            directions=tuple(word for word in words if word in _DIRECTIONS),
            statuses=tuple(word for word in words if word in _STATUSES),
            min_seconds=settings.min_duration,
        )

    def of_calls(self, calls: pl.DataFrame, tally: Tally) -> pl.DataFrame:
        """`calls` (canonical, valid) without those that are not wanted."""
        is_in_time = (pl.col("started_at") >= self.since) & (pl.col("started_at") < self.until)
        tally.skip(models.Skip.OUTSIDE_DATES, calls.filter(~is_in_time))
        in_time = calls.filter(is_in_time)
        left_out = pl.col("customer_phone").is_in(list(self.excluded)) | (pl.col("duration_seconds") < self.min_seconds)
        for column, words in (("direction", self.directions), ("status", self.statuses)):
            if words:
                left_out |= ~pl.col(column).is_in(words)
        tally.skip(models.Skip.EXCLUDED, in_time.filter(left_out))
        return in_time.filter(~left_out)


def only(text: str | None) -> Sequence[str]:
    """The words of `--only`, such as `answered,incoming`. Raises ConfigError."""
    words = [word.strip().lower() for word in (text or "").split(",") if word.strip()]
    for word in words:
        if word not in (*_DIRECTIONS, *_STATUSES):
            raise errors.ConfigError(f'--only "{word}" is not known; use {", ".join((*_DIRECTIONS, *_STATUSES))}')
    return words


def _midnight(day: date | None, zone: str | None) -> datetime:
    if day is None:
        return datetime.min.replace(tzinfo=UTC)
    return datetime(day.year, day.month, day.day, tzinfo=_zone(zone)).astimezone(UTC)


def _midnight_after(day: date | None, zone: str | None) -> datetime:
    if day is None or day == date.max:
        return datetime.max.replace(tzinfo=UTC)
    return _midnight(date.fromordinal(day.toordinal() + 1), zone)


def _zone(zone: str | None) -> ZoneInfo:
    if zone is None:
        raise errors.ConfigError(
            "--since and --until are days in a time zone, and none is known: state it, as in --timezone America/Toronto"
        )
    return ZoneInfo(zone)
