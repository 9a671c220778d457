"""E.164, instants and durations: the tests that calls and communications share, and how they become named checks.

A check's name is the rule it holds, the word that reject files and summaries count by. Every test answers true, false
or null for a row; null passes (a missing cell is another rule's business).
"""

from collections.abc import Callable
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
_EXPLICIT_OFFSET = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"


def on_column(rule: str, test: Callable[[pl.Expr], pl.Expr]) -> pa.Check:
    """A rule on one column: `test` gets the column and answers for each row."""

    def check(data: pa.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(test(pl.col(data.key)))

    return pa.Check(check, name=rule)


def on_row(rule: str, passes: pl.Expr) -> pa.Check:
    """A rule on several columns of one row."""

    def check(data: pa.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(passes.alias("passes"))

    return pa.Check(check, name=rule)


def cleaned_phone(text: pl.Expr) -> pl.Expr:
    """A number that begins with + without what stands between its digits; any other text as it is."""
    return pl.when(text.str.starts_with("+")).then(text.str.replace_all(_PHONE_FILLING, "")).otherwise(text)


def is_e164(phone: pl.Expr) -> pl.Expr:
    return phone.str.contains(_E164)


def is_explicit_instant(text: pl.Expr) -> pl.Expr:
    """ISO 8601 in whole seconds with an offset, of a day and an hour that exist."""
    # The offset is of a pattern that leaves nothing to be read.
    clock = text.str.slice(0, 19).str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False, time_unit="us")
    return text.str.contains(_EXPLICIT_OFFSET) & (clock.is_not_null() | text.is_null())


def is_duration(seconds: pl.Expr) -> pl.Expr:
    return seconds.is_between(0, MAX_DURATION_SECONDS)


def is_id(number: pl.Expr) -> pl.Expr:
    return number > 0
