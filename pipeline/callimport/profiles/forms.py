"""How the cells of times, durations and numbers are read: the door to the modules that know their forms."""

import polars as pl

from callimport.core import phones
from callimport.profiles import durations, timestamps

_DECIMAL = "decimal_seconds"
# "iso" may have an offset or none; "date" is any date, day and month in the order that the whole column tells.
TIMES = ("iso", "date", *(form.value for form in timestamps.Form))
# Whole seconds are left to validation.
DURATIONS = ("seconds", _DECIMAL, *(form.value for form in durations.Form if form is not durations.Form.SECONDS))
_NUMERIC = {
    timestamps.Order.DMY: timestamps.Form.DMY,
    timestamps.Order.MDY: timestamps.Form.MDY,
    timestamps.Order.YMD: timestamps.Form.YMD,
}
_YEAR_FIRST = "^[0-9]{4}[^0-9]"
# What a cell of each form looks like. Validation says what is wrong with the forms "iso" and "date".
_EXAMPLES = {
    "ymd": "2024/05/31 14:05", "dmy": "31/05/2024 14:05", "mdy": "05/31/2024 14:05", "named": "May 31, 2024 14:05",
    "epoch_s": "seconds since 1970", "epoch_ms": "thousandths of seconds since 1970",
    "epoch_us": "millionths of seconds since 1970", "epoch_2001": "seconds since 2001", "excel": "45443.5868",
}  # fmt: skip


def started(cells: pl.Series, form: str, order: timestamps.Order | None = None) -> pl.Series:
    """ISO 8601 text, with an offset where the cell tells one, null where it cannot be read.

    `order` is that of dates in numbers in the form "date"; None: what these cells tell.
    """
    if form == "iso":
        return timestamps.parse(cells, timestamps.Form.YMD)
    if form != "date":
        return timestamps.parse(cells, timestamps.Form(form))
    year_first = cells.str.contains(_YEAR_FIRST).fill_null(False)
    read = timestamps.parse(cells.set(~year_first, None), timestamps.Form.YMD)
    others = cells.set(year_first, None)
    if others.null_count() < len(others):
        numeric = _NUMERIC.get(order or timestamps.evidence(others).order)
        for one in (timestamps.Form.NAMED, numeric):
            if one is not None:
                read = read.to_frame("read").select(pl.coalesce("read", timestamps.parse(others, one))).to_series()
    return read


def wrong_time(form: str) -> str | None:
    """What to say of a cell that is not of this form; None for "iso" and "date": validation says it."""
    example = _EXAMPLES.get(form)
    return example and f"is not of the form {form} ({example}); check the cell, or time_form in the profile"


def seconds(cells: pl.Expr, form: str) -> pl.Expr:
    """Int64, null where the cell is not of that form."""
    return durations.seconds(cells, durations.Form("seconds" if form == _DECIMAL else form))


def numbers(cells: pl.Series, dialling: phones.Dialling) -> pl.DataFrame:
    """e164, extension, kind and what is wrong of each cell, see `phones.read`."""
    return phones.read(cells, dialling)


def kinds(cells: pl.Series, dialling: phones.Dialling) -> pl.Series:
    """The kind of each cell, as conditions ask for it: seven digits without an area code are a number, too."""
    return numbers(cells, dialling)["kind"].replace(phones.Kind.LOCAL.value, phones.Kind.NUMBER.value)
