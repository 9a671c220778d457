"""Number the rows of a frame that has rows of several files, so that one number names a row."""

import polars as pl

PLACE = ("_source", "_row")
SCHEMA = {"_source": pl.Int64, "_row": pl.Int64}


def numbered(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return `frame` with numbers from 0 in `_row` and without `_source`; and the places, one row a number."""
    return (
        frame.drop("_source").with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("_row")),
        frame.select(PLACE),
    )


def placed(frame: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Turn the numbers in `_row` back into `_source` and `_row`."""
    return frame.with_columns(places[frame["_row"]].get_columns())


def of_source(frame: pl.DataFrame, source: int) -> pl.DataFrame:
    """Add `_source` to rows of one file."""
    return frame.with_columns(pl.lit(source, dtype=pl.Int64).alias("_source"))
