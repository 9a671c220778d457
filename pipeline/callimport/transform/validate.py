"""Calls as text → calls that may be sent, and for each other row every reason why not.

The rules themselves are `callimport_schemas.call_log`; here text is read leniently, the schema is asked, and its answer
is put into words that somebody with a spreadsheet can act on.
"""

import itertools
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import pandera.config
import pandera.polars as pa
import polars as pl

from callimport.core import errors, models
from callimport.profiles import timestamps
from callimport_schemas import call_log, checks, communication

_INSTANT = (
    r"^(?<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]"
    r"(?<clock>[0-2][0-9]:[0-5][0-9])(?::(?<second>[0-5][0-9])(?:[.,][0-9]+)?)?"
    r" ?(?:(?<utc>[Zz])|(?<sign>[+-])(?<hours>[01][0-9]):?(?<minutes>[0-5][0-9])?)?$"
)
_PLAIN_INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-2][0-9]:[0-5][0-9]:[0-5][0-9][+-][01][0-9]:[0-5][0-9]$"
_WORDED = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ].*[A-Za-z]{2,4}\)?$"
_OFFSET = r"[+-][0-9]{2}:[0-9]{2}$"
_WHOLE = r"^(-?[0-9]+)(?:\.0+)?$"
# Python knows no instant outside of its years, and a zone may carry one there: a day from the end is wrong enough.
_YEARS = (datetime(1, 1, 2), datetime(9999, 12, 30))  # noqa: DTZ001 - clocks without a zone
_SHOWN = 40
_PHONE_DIGITS, _DIGITS_SHOWN = 6, 4
# pandera's context is one for all threads: leaving it in one would take it away under another.
_ONE_AT_A_TIME = threading.Lock()
_WHICH_HOUR: tuple[Literal["earliest"], Literal["latest"]] = ("earliest", "latest")

# What to say of a faulty cell: "<column>: "<value>" " and this; of a missing one: "<column> is missing; " and this.
_WRONG = {
    "lead_id_number": (
        "lead_id",
        "is not a whole number above 0; write the lead's number in the CRM, or leave it blank",
    ),
    "direction_unknown": ("direction", f"is not known; use {' or '.join(call_log.DIRECTIONS)}"),
    "status_unknown": ("status", f"is not known; use {', '.join(call_log.STATUS_WORDS)}, or leave it blank"),
    "status_direction": ("status", "is for incoming calls only; use attempted for an outgoing call"),
    "started_at_unreadable": ("started_at", "is not a time; write it as 2024-05-31T14:05:09-04:00"),
    "started_at_zone": ("started_at", "has no offset and no zone is stated; state it with --timezone"),
    "started_at_ambiguous": (
        "started_at",
        "is in an hour that happens twice (clocks go back); add the offset, or decide with --ambiguous-hour",
    ),
    "started_at_nonexistent": (
        "started_at",
        "is in an hour that never was (clocks go forward); check the time and the zone",
    ),
    "started_at_future": ("started_at", "is in the future; check the date and the zone"),
    "started_at_too_old": ("started_at", "is before 1990; check the date"),
    "duration_number": ("duration_seconds", "is not a whole number; write seconds, such as 95"),
    "duration_range": (
        "duration_seconds",
        f"is not between 0 and {checks.MAX_DURATION_SECONDS} seconds; check the unit",
    ),
    "customer_phone_e164": ("customer_phone", "is not an international number; write it with + and the country code"),
    "agent_id_number": ("agent_id", "is not a whole number above 0; write the user's number in the CRM"),
    "description_length": (
        "description",
        f"is longer than {call_log.MAX_DESCRIPTION} characters; shorten it",
    ),
    "recording_path": ("recording", "is not a path inside the recordings folder; write it as 2024/call-17.wav"),
}
_MISSING = {
    "direction_missing": ("direction", f"use {' or '.join(call_log.DIRECTIONS)}"),
    "started_at_missing": ("started_at", "write when the call began"),
    "duration_missing": ("duration_seconds", "write the seconds of talk, 0 if nobody spoke"),
    "customer_phone_missing": ("customer_phone", "write the customer's number, with + and the country code"),
}
# Which fault explains a missing cell: an unknown status may mean that nobody talked, so no duration is needed. A fault
# that the profile found in a column also explains that the column is missing.
_EXPLAINED = {"duration_missing": "status_unknown"}
# For these rules, what validation says of the start replaces what the profile says of the end of the call.
_OF_THE_START = ("started_at_zone", "started_at_ambiguous", "started_at_nonexistent")
_PAYLOAD = {
    "lead_id_number": ("lead_id", "is not a lead's number"),
    "method_unknown": ("method", f"is not {' or '.join(communication.METHODS)}"),
    "type_unknown": ("type", f"is not {' or '.join(communication.TYPES)}"),
    "executed_at_instant": ("executed_at", "is not an instant in whole seconds"),
    "executed_by_number": ("executed_by", "is not a user's number"),
    "description_length": ("description", f"is longer than {communication.MAX_DESCRIPTION} characters"),
    "call_status_unknown": ("call_status", f"is not one of {', '.join(communication.STATUSES)}"),
    "status_direction": ("call_status", "is for incoming calls only"),
    "duration_range": ("call_duration", f"is not between 0 and {checks.MAX_DURATION_SECONDS} seconds"),
    "call_phone_e164": ("call_phone", "is not E.164"),
}

_ACCEPTED = (
    "_row",
    "call_id",
    "lead_id",
    "direction",
    "status",
    "started_at",
    "duration_seconds",
    "total_seconds",
    "customer_phone",
    "agent_id",
    "agent_email",
    "agent_name",
    "agent_extension",
    "description",
    "recording",
)


@dataclass(frozen=True, slots=True)
class Reading:
    """How text is read. `zone` is the IANA zone of times without an offset (None: not stated); `now` is aware."""

    zone: str | None
    ambiguous_hour: Literal["reject", "first", "second"]
    now: datetime


@dataclass(frozen=True, slots=True)
class Validated:
    """`accepted` as described at `validate`; `rejects` by `_row`. Every row of the frame is in exactly one of them."""

    accepted: pl.DataFrame
    rejects: dict[int, tuple[models.Reason, ...]]


def validate(frame: pl.DataFrame, reading: Reading) -> Validated:
    """Judge the canonical frame that `profile.canonical` makes.

    Accepted columns: `_row`, lead_id, duration_seconds, total_seconds and agent_id Int64; started_at in UTC, whole
    seconds (Datetime "us"); the others text. direction and status are of the canonical words. duration_seconds is talk
    time, so 0 unless answered; total_seconds is the file's duration where that took something away, else null.
    """
    if "_customer_unknown" not in frame.columns:
        frame = frame.with_columns(pl.lit(False).alias("_customer_unknown"))
    typed = _typed(frame, reading)
    broken = _broken_rules(call_log.CALL_LOG, typed)
    faults = _recipe_faults(frame)
    faulty = sorted(broken.keys() | faults.keys())
    rejects = {
        row["_row"]: _reasons(row, broken.get(index, ()), faults.get(index, ()))
        for index, row in zip(faulty, typed[faulty].iter_rows(named=True), strict=True)
    }
    positions = pl.int_range(typed.height, eager=True)
    sound = typed.filter(~positions.is_in(pl.Series(faulty, dtype=pl.Int64).implode()))
    return Validated(_accepted(sound), rejects)


def validate_communications(frame: pl.DataFrame) -> dict[int, tuple[models.Reason, ...]]:
    """What keeps payloads from being sent, by `_row`; empty where all may go.

    Columns: `_row`, lead_id, executed_by, call_duration Int64; executed_at in UTC; method, type, description,
    call_status, call_phone text.
    """
    rejects: dict[int, tuple[models.Reason, ...]] = {}
    for index, rules in sorted(_broken_rules(communication.COMMUNICATION, frame).items()):
        row = frame.row(index, named=True)
        ordered = sorted(rules, key=communication.RULES.index)
        told = [(rule, *_PAYLOAD[rule]) for rule in ordered]
        rejects[row["_row"]] = tuple(
            models.Reason(rule, f"{column}: {_quoted(row[column])} {wrong}") for rule, column, wrong in told
        )
    return rejects


# ── text → typed ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _typed(frame: pl.DataFrame, reading: Reading) -> pl.DataFrame:
    """The frame of `call_log.CALL_LOG`: each text that is read stays beside what was read of it."""
    texts = ("lead_id", "direction", "status", "started_at", "duration_seconds", "customer_phone", "agent_id")
    lead_id, agent_id = pl.col("lead_id"), pl.col("agent_id")
    latest = reading.now.astimezone(UTC) + checks.CLOCK_TOLERANCE
    read = (_whole(frame["lead_id"]), _seconds(frame["duration_seconds"]), _whole(frame["agent_id"]))
    words = (checks.lowered(frame["direction"]), checks.lowered(frame["status"]))
    phones = checks.cleaned_phone(frame["customer_phone"])
    return frame.with_columns(*(pl.col(name).alias(f"{name}_text") for name in texts), *read, *words, phones).select(
        "_row",
        *(f"{name}_text" for name in texts),
        "call_id",
        pl.when(lead_id > 0).then(lead_id).alias("lead_id"),
        "direction",
        "status",
        *_start(frame["started_at"], reading),
        pl.lit(latest, dtype=checks.UTC_SECONDS).alias("latest_start"),
        "duration_seconds",
        "customer_phone",
        pl.col("_customer_unknown").alias("customer_unknown"),
        pl.when(agent_id > 0).then(agent_id).alias("agent_id"),
        "agent_email",
        "agent_name",
        "agent_extension",
        "description",
        "recording",
    )


def _whole(text: pl.Series) -> pl.Series:
    """Whole numbers, null where the text is none. `5003.0` is one: that is how pandas writes ids beside blanks."""
    number = text.cast(pl.Int64, strict=False)
    # Nearly every column is digits alone, and to look at the form of each cell takes ten times as long.
    if number.null_count() == text.null_count() and not text.str.starts_with("+").any():
        return number
    return text.str.extract(_WHOLE).cast(pl.Int64, strict=False)


def _seconds(text: pl.Series) -> pl.Series:
    """The same of a duration. A number too long for Int64 is out of range, not unreadable."""
    number = _whole(text)
    if number.null_count() == text.null_count():
        return number
    return number.set(number.is_null() & text.str.contains(_WHOLE).fill_null(False), checks.MAX_DURATION_SECONDS + 1)


def _start(text: pl.Series, reading: Reading) -> tuple[pl.Series, pl.Series]:
    """`started_at` (instant, whole seconds, fractions cut off) and `started_at_fault` (the rule its text breaks).

    In steps, each of which is computed once: within one expression Polars would read the text anew for each part of it.
    """
    # Nearly every time is written so; of what is fixed in its place slices are enough.
    is_plain = text.str.contains(_PLAIN_INSTANT).fill_null(True).all()
    read = _plain_clock(text) if is_plain else _any_clock(_without_words(text))
    started_at, fault = read.with_columns(text.alias("text")).select(*_instant(reading)).get_columns()
    return started_at, fault


def _plain_clock(text: pl.Series) -> pl.DataFrame:
    """naive and offset (see `_instant`) of times such as 2024-05-31T14:05:09-04:00."""
    cell = pl.col("text")
    hours, minutes = cell.str.slice(20, 2).cast(pl.Int64), cell.str.slice(23, 2).cast(pl.Int64)
    sign = pl.when(cell.str.slice(19, 1) == "-").then(-1).otherwise(1)
    return text.to_frame("text").select(
        cell.str.slice(0, 19).str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False, time_unit="us").alias("naive"),
        (sign * (hours * 60 + minutes)).alias("offset"),
    )


def _without_words(text: pl.Series) -> pl.Series:
    """Replace a zone in words by its offset, as in 2018-08-23 08:12 UTC and 2018-08-23T08:12:00 (EST)."""
    worded = text.str.contains(_WORDED).fill_null(False)
    if not worded.any():
        return text
    read = timestamps.parse(text.set(~worded, None), timestamps.Form.YMD)
    # AM and PM also end a time, but give no offset.
    frame = pl.DataFrame({"text": text, "read": read})
    return frame.select(pl.when(pl.col("read").str.contains(_OFFSET)).then("read").otherwise("text")).to_series()


def _any_clock(text: pl.Series) -> pl.DataFrame:
    """The same of times in any of the forms that are read."""
    minutes = pl.col("hours").cast(pl.Int64) * 60 + pl.col("minutes").cast(pl.Int64).fill_null(0)
    signed = pl.when(pl.col("sign") == "-").then(-minutes).otherwise(minutes)
    clock = pl.concat_str(
        pl.col("date"), pl.lit(" "), pl.col("clock"), pl.lit(":"), pl.col("second").fill_null("00")
    ).str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us")
    return (
        text.str.extract_groups(_INSTANT)
        .struct.unnest()
        .select(clock.alias("naive"), pl.when(pl.col("utc").is_not_null()).then(0).otherwise(signed).alias("offset"))
    )


def _instant(reading: Reading) -> tuple[pl.Expr, pl.Expr]:
    """Of the columns text, naive (Datetime) and offset (minutes, null where the text has none)."""
    naive, offset = pl.col("naive").clip(*_YEARS), pl.col("offset")
    exact = (naive - pl.duration(minutes=offset)).dt.replace_time_zone("UTC")
    unreadable = _faulty(pl.col("text").is_not_null() & naive.is_null(), "started_at_unreadable")
    local = naive.is_not_null() & offset.is_null()
    if reading.zone is None:
        return exact.alias("started_at"), _first_of(unreadable, _faulty(local, "started_at_zone"))
    first, second = (
        naive.dt.replace_time_zone(reading.zone, ambiguous=which, non_existent="null").dt.convert_time_zone("UTC")
        for which in _WHICH_HOUR
    )
    nonexistent = _faulty(local & first.is_null(), "started_at_nonexistent")
    ambiguous = _faulty(local & (first != second) & (reading.ambiguous_hour == "reject"), "started_at_ambiguous")
    chosen = second if reading.ambiguous_hour == "second" else first
    started_at = pl.when(ambiguous.is_null()).then(pl.when(local).then(chosen).otherwise(exact))
    return started_at.alias("started_at"), _first_of(unreadable, nonexistent, ambiguous)


def _faulty(broken: pl.Expr, rule: str) -> pl.Expr:
    return pl.when(broken).then(pl.lit(rule))


def _first_of(*faults: pl.Expr) -> pl.Expr:
    return pl.coalesce(*faults).alias("started_at_fault")


def _accepted(sound: pl.DataFrame) -> pl.DataFrame:
    """The rows that hold every rule, in the canonical words."""
    seconds = pl.col("duration_seconds").fill_null(0)
    nobody = pl.when(pl.col("direction") == "incoming").then(pl.lit("interrupted")).otherwise(pl.lit("attempted"))
    status = (
        pl.when((pl.col("status") == "unanswered") | (pl.col("status").is_null() & (seconds == 0)))
        .then(nobody)
        .otherwise(pl.col("status").fill_null("answered"))
    )
    talk = pl.when(status == "answered").then(seconds).otherwise(0)
    return sound.with_columns(
        status.alias("status"),
        talk.alias("duration_seconds"),
        pl.when(talk < seconds).then(seconds).alias("total_seconds"),
    ).select(pl.col(_ACCEPTED))


# ── the schema's answer → reasons ────────────────────────────────────────────────────────────────────────────────────


def _broken_rules(rules: checks.Rules, frame: pl.DataFrame) -> dict[int, set[str]]:
    """Rules broken, by position of the row in `frame`, which must be collected: on a LazyFrame pandera checks types
    only and lets bad rows pass."""
    if faults := _validate(rules.shape, frame):
        raise errors.SchemaMismatch(f"the frame is not of the schema's shape ({faults[0][0]}); report this")
    # Each rule costs pandera a way through all rows; nearly all of them hold nearly everywhere.
    positions = frame.select((~rules.is_sound).arg_true()).to_series().to_list()
    found: dict[int, set[str]] = {}
    for rule, index in _validate(rules.schema, frame[positions]) if positions else ():
        found.setdefault(positions[index], set()).add(rule)
    return found


def _validate(schema: pa.DataFrameSchema, frame: pl.DataFrame) -> list[tuple[str, int]]:
    """Each rule broken with the position of the row. The context is there because PANDERA_… variables of a machine can
    switch it all off. Raises SchemaMismatch where it is not the frame that the schema is of."""
    everything = pandera.config.config_context(
        validation_enabled=True, validation_depth=pandera.config.ValidationDepth.SCHEMA_AND_DATA
    )
    try:
        with _ONE_AT_A_TIME, everything:
            schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as broken:
        found: list[tuple[str, int]] = broken.failure_cases.select("check", "index").rows()
        for rule, index in found:
            if index is None:
                raise errors.SchemaMismatch(f"the frame is not of the schema's shape ({rule}); report this") from None
        return found
    return []


def _recipe_faults(frame: pl.DataFrame) -> dict[int, list[models.Reason]]:
    """What the recipe found wrong, by position of the row."""
    found = frame.select("_faults").with_row_index("index").filter(pl.col("_faults").list.len() > 0)
    return {index: [models.Reason(**fault) for fault in faults] for index, faults in found.iter_rows()}


def _reasons(
    row: Mapping[str, object], rules: Iterable[str], faults: Iterable[models.Reason]
) -> tuple[models.Reason, ...]:
    """Every fault of a row, one for each cause, in the order of `call_log.RULES`."""
    told = list(faults)
    # Keep the first fault of a rule, which is about the start. The end of the call may have the same fault.
    found = {fault.rule: fault for fault in reversed(told)}
    blamed = {fault.message.partition(":")[0] for fault in told}
    for whole in call_log.WHOLE_ROW:
        if whole in found:
            return (found[whole],)
    for rule in rules:
        if _EXPLAINED.get(rule) in found or (rule in _MISSING and _MISSING[rule][0] in blamed):
            continue
        if rule in _OF_THE_START:
            found[rule] = _reason(rule, row)
        found.setdefault(rule, _reason(rule, row))
    return tuple(sorted(found.values(), key=lambda reason: call_log.RULES.index(reason.rule)))


def _but_the_last_digits(number: str) -> str:
    digits = len(re.findall(r"\d", number))
    if digits < _PHONE_DIGITS:
        return number
    seen = itertools.count(1)
    return re.sub(r"\d", lambda found: found.group() if next(seen) > digits - _DIGITS_SHOWN else "•", number)


def _reason(rule: str, row: Mapping[str, object]) -> models.Reason:
    if rule in _MISSING:
        column, right = _MISSING[rule]
        return models.Reason(rule, f"{column} is missing; {right}")
    column, wrong = _WRONG[rule]
    value = row.get(f"{column}_text", row.get(column))
    if rule == "customer_phone_e164":
        # The cell stands beside it in the reject file; what is said on a screen shows no number whole.
        wrong += _phone_hint(str(value))
        value = _but_the_last_digits(str(value))
    return models.Reason(rule, f"{column}: {_quoted(value)} {wrong}")


def _phone_hint(text: str) -> str:
    digits = "".join(character for character in text if character in "0123456789")
    if len(digits) == 10:
        return f" (in North America: +1{digits})"
    return f" (+{digits}?)" if len(digits) == 11 and digits.startswith("1") else ""


def _quoted(value: object) -> str:
    text = " ".join(str("" if value is None else value).split())
    return f'"{text[: _SHOWN - 1]}…"' if len(text) > _SHOWN else f'"{text}"'
