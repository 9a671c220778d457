"""Everybody whom the exports name as an agent: a draft of an agents file, for a person to fill in."""

import difflib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from callimport.core import table_file
from callimport.resolve.agents import AGENT_COLUMNS
from callimport.resolve.agents_file import AgentsFile, Entry, known_as

HEADER = ("extension", "name", "login", "email", "user_id", "calls", "first_call", "last_call", "suggestion")
_ALIKE = 0.75
_SCHEMA = pl.Schema({
    **dict.fromkeys(AGENT_COLUMNS, pl.String()),
    "calls": pl.Int64(),
    "first_call": pl.Datetime("us", "UTC"),
    "last_call": pl.Datetime("us", "UTC"),
})  # fmt: skip


class AgentsFound:
    """Adds them up, chunk by chunk; in memory are as many rows as there are people."""

    def __init__(self) -> None:
        self._found = pl.DataFrame(schema=_SCHEMA)

    def see(self, calls: pl.DataFrame) -> None:
        """Columns: those of AGENT_COLUMNS, text; started_at in UTC. Who is not named at all is nobody."""
        named = calls.filter(pl.any_horizontal(pl.col(AGENT_COLUMNS).is_not_null())).select(
            *AGENT_COLUMNS,
            pl.lit(1, dtype=pl.Int64).alias("calls"),
            pl.col("started_at").alias("first_call"),
            pl.col("started_at").alias("last_call"),
        )
        self._found = (
            pl.concat([self._found, named.cast(_SCHEMA)])
            .group_by(AGENT_COLUMNS)
            .agg(pl.col("calls").sum(), pl.col("first_call").min(), pl.col("last_call").max())
        )

    def write(self, path: Path, zone: str | None, file: AgentsFile | None) -> int:
        """One row a person, most calls first; days in `zone` (None: UTC). Of `file` come those known already, and the
        suggestions. Returns how many rows there are.

        A table as `table_file.write` makes it. It can be given to --agents once email or user_id is filled in; a line
        in which both are blank says nothing. Raises ConfigError where the file cannot be made.
        """
        rows = list(self._rows(zone, file.entries if file else ()))
        drafted = pl.DataFrame(rows, schema=dict.fromkeys(HEADER, pl.String()), orient="row")
        return table_file.write(path, "Agents", HEADER, [drafted])

    def _rows(self, zone: str | None, entries: tuple[Entry, ...]) -> Iterator[tuple[str, ...]]:
        there = ZoneInfo(zone) if zone else UTC
        ordered = self._found.sort("calls", *AGENT_COLUMNS, descending=[True, False, False, False], nulls_last=True)
        for email, name, extension, calls, first, last in ordered.iter_rows():
            known = _known(email, name, extension, entries)
            yield (
                extension or "",
                name or "",
                email or "",
                known.email if known else "",
                str(known.user_id or "") if known else "",
                str(calls),
                _day(first, there),
                _day(last, there),
                "" if known else self._suggestion(name, entries),
            )

    def _suggestion(self, name: str | None, entries: tuple[Entry, ...]) -> str:
        """Whose name is nearly the same; a guess for a person, never taken by itself."""
        if not name:
            return ""
        by_name = {entry.name: entry for entry in entries if entry.name}
        for alike in difflib.get_close_matches(known_as(name), list(by_name), n=1, cutoff=_ALIKE):
            entry = by_name[alike]
            return f"{entry.target}? line {entry.line} of the agents file has nearly this name"
        others = {other: known_as(other) for other in self._found["agent_name"].unique() if other and other != name}
        for alike in difflib.get_close_matches(known_as(name), sorted(others.values()), n=1, cutoff=_ALIKE):
            other = min(other for other, known in others.items() if known == alike)
            return f"the same person as {other}?"
        return ""


def _known(email: str | None, name: str | None, extension: str | None, entries: tuple[Entry, ...]) -> Entry | None:
    """The line that tells who it is, where only one person is told, whenever."""
    words = {"login": known_as(email), "name": known_as(name), "extension": known_as(extension)}
    told = [entry for entry in entries if any(word and getattr(entry, kind) == word for kind, word in words.items())]
    return told[0] if len({entry.target for entry in told}) == 1 else None


def _day(instant: datetime, there: ZoneInfo | object) -> str:
    return f"{instant.astimezone(there):%Y-%m-%d}"  # type: ignore[arg-type]
