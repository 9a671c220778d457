"""Numbers without a lead: who called, or was called, and is nobody in the CRM. For a person to go through."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from callimport.core import table_file

HEADER = ("number", "calls", "answered", "missed", "last_call", "last_was")
# Rows that are waiting to be added up; beside them, as much memory as there are numbers.
_WAITING_ROWS = 100_000
_LAST = pl.col("last_call")


class UnknownCallers:
    """Adds up the calls of each number, chunk by chunk."""

    def __init__(self) -> None:
        self._numbers: list[pl.DataFrame] = []

    def see(self, calls: pl.DataFrame) -> None:
        """Calls without a lead. Columns: customer_phone in E.164, started_at in UTC, status of the canonical words."""
        if calls.is_empty():
            return
        is_answered = pl.col("status") == "answered"
        one_each = calls.select(
            pl.col("customer_phone").alias("number"),
            pl.lit(1, dtype=pl.Int64).alias("calls"),
            is_answered.cast(pl.Int64).alias("answered"),
            pl.col("started_at").alias("last_call"),
            pl.when(is_answered).then(pl.lit("answered")).otherwise(pl.lit("missed")).alias("last_was"),
        )
        self._numbers.append(_added_up(one_each))
        if sum(part.height for part in self._numbers[1:]) > _WAITING_ROWS:
            self._numbers = [_added_up(pl.concat(self._numbers))]

    def numbers(self) -> set[str]:
        """All of them."""
        return set(self.last_calls())

    def last_calls(self) -> dict[str, datetime]:
        """When the last call of each number began, in UTC."""
        found: dict[str, datetime] = {}
        for part in self._numbers:
            for number, began in part.select("number", "last_call").iter_rows():
                found[number] = max(began, found.get(number, began))
        return found

    def write(self, path: Path, zone: str | None = None) -> int:
        """One row a number, most calls first, then the latest; times in `zone` (None: UTC). Returns how many there are.

        A table as `table_file.write` makes it. Raises ConfigError where the file cannot be made.
        """
        found = _added_up(pl.concat(self._numbers)) if self._numbers else pl.DataFrame(schema=["number"])
        there = ZoneInfo(zone) if zone else UTC
        rows: list[tuple[str, ...]] = []
        if found.height:
            ordered = found.sort("calls", "last_call", "number", descending=[True, True, False])
            for number, calls, answered, last_call, last_was in ordered.iter_rows():
                missed = calls - answered
                rows.append((number, str(calls), str(answered), str(missed), _told(last_call, there), last_was))
        told = pl.DataFrame(rows, schema=dict.fromkeys(HEADER, pl.String()), orient="row")
        # Numbers keep their +: a person copies them from here.
        return table_file.write(path, "Unknown callers", HEADER, [told], is_guarded=False)


def _added_up(parts: pl.DataFrame) -> pl.DataFrame:
    latest = pl.col("last_was").sort_by(_LAST, "last_was").last()
    return parts.group_by("number").agg(pl.col("calls", "answered").sum(), _LAST.max(), latest)


def _told(instant: datetime, there: ZoneInfo | object) -> str:
    return instant.astimezone(there).isoformat(sep=" ", timespec="seconds")  # type: ignore[arg-type]
