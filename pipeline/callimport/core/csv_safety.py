"""Cells that a spreadsheet would calculate with: guarded where we write CSV, and as they were when read back.

A cell that begins with = + - @ (also full-width), a tab or a line end may be run as a formula by whoever opens the
file; and of +15145550123 a spreadsheet makes a number, whose plus is gone when it is saved. So an apostrophe goes
before it, in CSV only: a cell of a workbook says itself that it is text. What begins with an apostrophe before such a
character gets one more, in both, so that there is one way back, whichever of the two a person has saved the file as.
"""

import polars as pl

_DANGEROUS = "=+\\-@\\t\\r\\n＝＋－＠"
_TAKEN_FOR_FORMULA = f"^[{_DANGEROUS}]"
_TAKEN_FOR_GUARDED = f"^'[{_DANGEROUS}']"
_GUARD = "'"


def guarded(frame: pl.DataFrame, *, in_csv: bool) -> pl.DataFrame:
    """The text columns of `frame`, safe to be opened in a spreadsheet."""
    pattern = f"{_TAKEN_FOR_FORMULA}|{_TAKEN_FOR_GUARDED}" if in_csv else _TAKEN_FOR_GUARDED
    cell = pl.col(pl.String)
    return frame.with_columns(pl.when(~cell.str.contains(pattern)).then(cell).otherwise(pl.lit(_GUARD) + cell))


def restored(frame: pl.DataFrame) -> pl.DataFrame:
    """The text columns of `frame` as they were before they were guarded. Only for what we have written: elsewhere an
    apostrophe is an apostrophe."""
    cell = pl.col(pl.String)
    is_guarded = cell.str.contains(_TAKEN_FOR_GUARDED)
    return frame.with_columns(pl.when(is_guarded).then(cell.str.slice(1)).otherwise(cell))
