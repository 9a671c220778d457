"""How the cells of times, durations and numbers are read: the door to the modules that know their forms."""

import polars as pl

from pipeline import numbers as reading

TIMES = ("iso", "epoch", "date")
DURATIONS = ("seconds", "hms")
_HMS = r"^(?:(?<hours>[0-9]{1,4}):(?<minutes>[0-5]?[0-9])|(?<only>[0-9]{1,5})):(?<seconds>[0-5][0-9])$"


def started(cells: pl.Series, form: str) -> pl.Series:
    """ISO 8601 text, with an offset where the cell tells one, null where it cannot be read."""
    if form == "epoch":
        seconds = cells.str.extract(r"^([0-9]{9,11})(?:\.\d+)?$", 1).cast(pl.Int64)
        return pl.from_epoch(seconds).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return cells.str.replace(" ", "T")


def seconds(cells: pl.Expr, form: str) -> pl.Expr:
    """Int64, null where the cell is not of that form."""
    parts = cells.str.extract_groups(_HMS).struct
    hours, minutes, only, rest = (
        parts.field(part).cast(pl.Int64).fill_null(0) for part in ("hours", "minutes", "only", "seconds")
    )
    return pl.when(cells.str.contains(_HMS)).then(hours * 3600 + (minutes + only) * 60 + rest)


def numbers(cells: pl.Series, region: str) -> pl.DataFrame:
    """e164, extension, kind and what is wrong of each cell, see `numbers.read`."""
    return reading.read(cells, region)
