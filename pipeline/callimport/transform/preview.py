"""What a recipe makes of the first rows of a file, importing none: before and after, and what becomes of each."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

import polars as pl

from callimport.core import errors, models, phones, privacy
from callimport.extract import reader
from callimport.profiles import blanks, profile, timestamps
from callimport.transform import counts, legs, validate
from callimport_schemas import call_log

# So many rows are judged; only the order of day and month is looked for in the whole file.
LOOKED_AT = 10_000
_CELL = 60
# A phone number without its area code. Outside the column of the customer's number it may be an id.
_LOCAL_NUMBER = re.compile(r"(?<!\d)\d{7,8}(?!\d)")


class Ending(StrEnum):
    CALL = "call"
    JOINED = "joined"
    DROPPED = "dropped"
    SKIPPED = "skipped"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Row:
    """A row: the cells that the recipe looks at, by the names of the file; what they become, by canonical column; how
    the row ends and why. No cell shows a whole number."""

    row: int
    ending: Ending
    why: str
    before: Mapping[str, privacy.Masked]
    after: Mapping[str, privacy.Masked]


@dataclass(frozen=True, slots=True)
class Trial:
    """`because`: why the recipe fits. `is_whole`: all rows of the file were judged, not only the first `LOOKED_AT`.
    `counts` are the rows judged by their ending, `reasons` by rule one rejected row with what is said of it."""

    profile: str
    because: str
    notes: tuple[str, ...]
    is_whole: bool
    counts: Mapping[Ending, int]
    reasons: Mapping[str, tuple[int, str]]
    rows: tuple[Row, ...]

    @property
    def exit_code(self) -> errors.ExitCode:
        return errors.ExitCode.ROWS_FAILED if self.counts.get(Ending.REJECTED) else errors.ExitCode.OK


def trial(
    opened: models.Source,
    chosen: profile.Profile | None,
    reading: validate.Reading,
    *,
    dialling: phones.Dialling,
    shown: int,
) -> Trial:
    """Try a recipe, or the one that is detected, on a file. `reading.zone` counts before the recipe's default; `shown`
    is the number of rows to show. Raises SourceError and SchemaMismatch."""
    peek = reader.peek(opened)
    try:
        match = profile.detect(peek) if chosen is None else profile.fit(chosen, peek)
    except errors.SchemaMismatch as error:
        raise errors.SchemaMismatch(f"{opened.name}: {error}") from error
    frame, dates, is_whole = _first_rows(opened, match)
    reading = validate.Reading(reading.zone or match.profile.zone, reading.ambiguous_hour, reading.now)
    given = profile.Given(dialling, ambiguous_hour=reading.ambiguous_hour, dates=dates, zone=reading.zone)
    blanked: blanks.Counts = Counter()
    made = legs.attach_all_internal(profile.canonical(match.profile, frame, given, blanked))
    judged = _judged(made, match.profile, reading)
    zone = ZoneInfo(reading.zone or "UTC")
    return Trial(
        profile=match.profile.name,
        because=match.evidence,
        notes=(*match.notes, *counts.told_of_blanks(blanked)),
        is_whole=is_whole,
        counts=Counter(ending for ending, _ in judged.endings.values()),
        reasons=judged.reasons,
        rows=tuple(_shown(match.profile, frame.head(shown), made.head(shown), judged, zone)),
    )


def _first_rows(opened: models.Source, match: profile.Match) -> tuple[pl.DataFrame, timestamps.Evidence | None, bool]:
    """The rows to judge, what the whole file tells of the order of day and month, and whether these are all rows."""
    frame, evidence, is_whole = None, timestamps.Evidence(), True
    for chunk in reader.read(opened, match.layout):
        if frame is None:
            frame = chunk.frame.head(LOOKED_AT)
            is_whole = chunk.frame.height <= LOOKED_AT
        else:
            is_whole = False
        if match.profile.time_form != "date":
            break
        evidence |= profile.evidence(match.profile, chunk.frame)
    if frame is None:
        frame = pl.DataFrame(schema=dict.fromkeys((*match.layout.names, "_ragged"), pl.String) | {"_row": pl.Int64})
    return frame, evidence if match.profile.time_form == "date" else None, is_whole


# ── what becomes of each ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Judged:
    """By row: how it ends and why, and the calls; by rule one reject with its message."""

    endings: dict[int, tuple[Ending, str]]
    calls: dict[int, dict[str, object]]
    reasons: dict[str, tuple[int, str]]


def _judged(made: pl.DataFrame, its: profile.Profile, reading: validate.Reading) -> _Judged:
    endings: dict[int, tuple[Ending, str]] = {}
    for row, drop, skip in made.select("_row", "_drop", "_skip").iter_rows():
        if drop or skip:
            endings[row] = (Ending.DROPPED, drop) if drop else (Ending.SKIPPED, skip)
    kept = made.filter(~pl.col("_row").is_in(list(endings)))
    validated = validate.validate(kept, reading)
    reasons: dict[str, tuple[int, str]] = {}
    for row, faults in sorted(validated.rejects.items()):
        endings[row] = (Ending.REJECTED, "; ".join(fault.message for fault in faults))
        for fault in faults:
            reasons.setdefault(fault.rule, (row, fault.message))
    calls = validated.accepted
    if its.legs is not None:
        rows = legs.rows_of(kept, validated)
        left_out = legs.of_skipped_calls(rows, made.filter(pl.col("_skip").is_not_null())["_group"])["_row"]
        endings |= dict.fromkeys(left_out, (Ending.JOINED, "to a call that is skipped"))
        joined = legs.join(rows.filter(~pl.col("_row").is_in(left_out.implode())), its.legs)
        calls = joined.calls
        for row, into in joined.joined.iter_rows():
            endings[row] = (Ending.JOINED, f"to row {into}")
        for one in joined.implausible:
            message = one.told.format(one=f"row {one.one[0]}", other=f"row {one.other[0]}")
            endings |= {row: (Ending.REJECTED, message) for (row,) in one.places}
            reasons.setdefault(one.rule, (one.places[0][0], message))
        for row, into in joined.rejected.iter_rows():
            endings.setdefault(row, (Ending.REJECTED, f"is of one call with row {into}, which is rejected"))
    machines = dict(made.select("_row", "_machine").iter_rows())
    found = {call["_row"]: call for call in calls.iter_rows(named=True)}
    endings |= {row: (Ending.CALL, f"{machines[row]} answered" if machines[row] else "") for row in found}
    return _Judged(endings, found, reasons)


# ── before and after ─────────────────────────────────────────────────────────────────────────────────────────────────


def _shown(
    its: profile.Profile, frame: pl.DataFrame, made: pl.DataFrame, judged: _Judged, zone: ZoneInfo
) -> Iterator[Row]:
    found = profile.resolved(its, frame.columns)
    looked_at = list(dict.fromkeys(found[name] for name in its.used if name in found))
    times = {found[name] for name in its.times if name in found}
    numbers = {found[name] for name in its.fed_by("customer_phone") if name in found}
    for cells, canonical in zip(frame.iter_rows(named=True), made.iter_rows(named=True), strict=True):
        row = cells["_row"]
        ending, why = judged.endings[row]
        after = judged.calls.get(row, canonical)
        started_at = after["started_at"]
        if isinstance(started_at, datetime):
            after = after | {"started_at": started_at.astimezone(zone).isoformat(timespec="seconds")}
        yield Row(
            row,
            ending,
            why,
            {name: _masked(cells[name], name in times, name in numbers) for name in looked_at if cells[name]},
            {
                name: _masked(after[name], name == "started_at", name == "customer_phone")
                for name in call_log.TEXT_COLUMNS
                if after[name] is not None
            },
        )


def _masked(value: object, is_time: bool, is_number: bool) -> privacy.Masked:
    text = (privacy.show_time if is_time else privacy.mask)(str(value))
    if is_number:
        text = privacy.Masked(_LOCAL_NUMBER.sub("•••", text))
    return privacy.Masked(f"{text[: _CELL - 1]}…") if len(text) > _CELL else text
