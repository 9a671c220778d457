"""E.164, instants and durations: the tests that calls and communications share, and how they become named checks.

A check's name is the rule it holds, the word that reject files and summaries count by. Every test answers true, false
or null for a row; null passes (a missing cell is another rule's business).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandera.polars as pa
import polars as pl

MAX_DURATION_SECONDS = 86_400
EARLIEST_START = datetime(1990, 1, 1, tzinfo=UTC)
CLOCK_TOLERANCE = timedelta(minutes=5)
UTC_SECONDS = pl.Datetime("us", "UTC")

_E164 = r"^\+[1-9][0-9]{6,14}$"
# What people and spreadsheets put into a number: blanks of every width, dots, dashes, parentheses, invisible marks.
_PHONE_FILLING = (
    r"[\s.()\-\u{2010}-\u{2015}\u{2212}\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2060}\u{2066}-\u{2069}\u{feff}]"
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a frame must look like: `shape` is its columns and their types, `schema` every rule as well. Of a row that
    `is_sound` the schema finds nothing wrong."""

    shape: pa.DataFrameSchema
    schema: pa.DataFrameSchema
    is_sound: pl.Expr


def rules(columns: dict[str, pa.Column], passes: Mapping[str, pl.Expr]) -> Rules:
    """Of the frame's columns, all of them, and the rules by name."""
    return Rules(
        pa.DataFrameSchema(columns, strict=True),
        pa.DataFrameSchema(columns, checks=[_check(rule, test) for rule, test in passes.items()], strict=True),
        pl.all_horizontal(test.fill_null(True) for test in passes.values()),
    )


def _check(rule: str, passes: pl.Expr) -> pa.Check:
    def check(data: pa.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(passes.alias("passes"))

    return pa.Check(check, name=rule)


def cleaned_phone(text: pl.Series) -> pl.Series:
    """A number that begins with + without what stands between its digits; any other text as it is."""
    # Nearly every column is + and digits alone, and to look at the form of each cell takes four times as long.
    if text.str.slice(1).cast(pl.UInt64, strict=False).null_count() == text.null_count():
        return text
    cell = pl.col(text.name)
    cleaned = pl.when(cell.str.starts_with("+")).then(cell.str.replace_all(_PHONE_FILLING, "")).otherwise(cell)
    return text.to_frame().select(cleaned).to_series()


def lowered(words: pl.Series) -> pl.Series:
    """In small letters. A column has a handful of words: to look at those is quicker than to write all anew."""
    known = words.unique()
    return words if known.str.to_lowercase().equals(known, null_equal=True) else words.str.to_lowercase()


def is_e164(phone: pl.Expr) -> pl.Expr:
    return phone.str.contains(_E164)


def is_whole_second(instant: pl.Expr) -> pl.Expr:
    return instant.dt.microsecond() == 0


def is_duration(seconds: pl.Expr) -> pl.Expr:
    return seconds.is_between(0, MAX_DURATION_SECONDS)


def is_id(number: pl.Expr) -> pl.Expr:
    return number > 0
