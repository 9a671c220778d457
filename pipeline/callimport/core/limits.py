"""How much may go wrong, and how long a run may last: --max-rejects, --max-duration and --fail-on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from callimport.core import errors, models

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
ANY_SKIP = "skipped"
FAILING = (ANY_SKIP, *models.Skip, "duplicate", "changed")


@dataclass(frozen=True, slots=True)
class MaxRejects:
    """So many rejected rows, or so many in a hundred, are still no reason to stop."""

    most: float
    is_share: bool

    def __str__(self) -> str:
        return f"{self.most:g}%" if self.is_share else f"{self.most:g}"

    def guard(self, rejected: int, read: int) -> errors.GuardStopped | None:
        """What stops a run of which `rejected` of the rows `read` are; None where they are few enough."""
        if rejected <= (read * self.most / 100 if self.is_share else self.most):
            return None
        return errors.GuardStopped(
            f"{rejected:,} of {read:,} rows are rejected, more than --max-rejects {self}: nothing was sent; look at "
            "the reasons (--rejects FILE has every row), mend the file or its settings, or allow more"
        )


def max_rejects(text: str) -> MaxRejects:
    """`20` rows or `5%` of them. ConfigError otherwise."""
    found = re.fullmatch(r"(\d{1,12}(?:\.\d+)?)\s*(%?)", text.strip())
    if not found or (found[2] and float(found[1]) > 100) or (not found[2] and "." in found[1]):
        raise errors.ConfigError(f'--max-rejects "{text}" is no number of rows: write it as 20, or as 5% of them')
    return MaxRejects(float(found[1]), bool(found[2]))


def max_duration(text: str) -> timedelta:
    """`90s`, `45min`, `8h`. ConfigError otherwise."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*([a-z]+)", text.strip().lower())
    if not found or found[2] not in _SECONDS or float(found[1]) <= 0:
        raise errors.ConfigError(f'--max-duration "{text}" is no length of time: write it as 45min or 8h')
    return timedelta(seconds=float(found[1]) * _SECONDS[found[2]])


def fail_on(text: str) -> frozenset[str]:
    """Return the endings that `--fail-on` names, such as `no_lead,duplicate`. Raises ConfigError for others."""
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in FAILING:
            raise errors.ConfigError(f'--fail-on "{word}" is not known; use {", ".join(FAILING)}')
    return frozenset(words)


def is_failing(endings: frozenset[str], skipped: Mapping[str, int], *, duplicate: int, changed: int) -> bool:
    """Whether a call has come to one of these endings; `skipped` counts by kind."""
    counts = {**skipped, ANY_SKIP: sum(skipped.values()), "duplicate": duplicate, "changed": changed}
    return any(counts.get(ending) for ending in endings)
