"""Parquet → frame: typed cells as the text that the same export would have as CSV."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import polars as pl

from callimport.core import errors, models
from callimport.extract import delimited_tolerant, source_file

_T = TypeVar("_T")

_MAGIC = b"PAR1"
_LARGEST_EXACT = 2.0**53


def _scan(source: models.Source) -> tuple[pl.LazyFrame, pl.Schema]:
    scan = pl.scan_parquet(source.path, glob=False)
    return scan, _guarded(source, scan.collect_schema)


def names(source: models.Source) -> tuple[str, ...]:
    """The column names as stored. Raises SourceError."""
    return tuple(_scan(source)[1])


def first_records(source: models.Source, most: int) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """The names as line 0 and the first rows, `most` records in all. A null is a blank cell."""
    stored = names(source)
    columns = tuple(f"{position}" for position in range(len(stored)))
    rows = next(frames(source, columns, most - 1, models.Lines()), pl.DataFrame())
    cells = rows.select(columns).fill_null("").rows() if rows.height else []
    return ((0, stored), *enumerate(cells, start=1))


def frames(
    source: models.Source, names: tuple[str, ...], chunk_rows: int, lines: models.Lines
) -> Iterator[pl.DataFrame]:
    scan, stored = _scan(source)
    columns = [
        _as_text(column, dtype).alias(name)
        for (column, dtype), name in zip(stored.items(), names, strict=True)
        if name not in delimited_tolerant.OURS
    ]
    height: int = _guarded(source, lambda: scan.select(pl.len()).collect().item())
    for start in range(0, height, chunk_rows):
        # Slices, not collect_batches: that one reads ahead of its reader, and its memory grows with the file.
        piece = _guarded(source, scan.slice(start, chunk_rows).collect)
        numbers = pl.int_range(start + 1, start + 1 + piece.height, dtype=pl.Int64).alias("_row")
        lines.rows += piece.height
        yield piece.select(*columns, numbers, pl.lit(None, dtype=pl.String).alias("_ragged"))


def _as_text(column: str, dtype: pl.DataType) -> pl.Expr:
    cell = pl.col(column)
    if isinstance(dtype, pl.Datetime):
        return cell.dt.to_string("%Y-%m-%dT%H:%M:%S%.f%:z" if dtype.time_zone else "%Y-%m-%dT%H:%M:%S%.f")
    if isinstance(dtype, pl.Time):
        return cell.dt.to_string("%H:%M:%S%.f")
    if isinstance(dtype, pl.Duration):
        return cell.dt.total_seconds().cast(pl.String)
    if dtype.is_float():
        # pandas makes floats of whole numbers as soon as one is missing: 12.0 is the 12 that the CSV says.
        number = cell.fill_nan(None)
        is_whole = (number == number.floor()) & (number.abs() < _LARGEST_EXACT)
        plain = number.cast(pl.Int64, strict=False).cast(pl.String)
        return pl.when(is_whole).then(plain).otherwise(number.cast(pl.String))
    if isinstance(dtype, pl.Binary):
        return cell.bin.encode("hex")
    if dtype.is_nested():
        return cell.map_elements(_nested_text, return_dtype=pl.String)
    return cell.cast(pl.String)


def has_fractions(source: models.Source, position: int) -> bool:
    """Whether the column at `position`, counted from 0, holds numbers that are not whole."""
    scan, schema = _scan(source)
    name, dtype = list(schema.items())[position]
    if not dtype.is_float():
        return False
    number = pl.col(name).fill_nan(None)
    return bool(_guarded(source, scan.select((number != number.floor()).any()).collect).item())


def _nested_text(value: object) -> str:
    """Lists and structs: of no use to a call, but a reject file shows them."""
    return str(value.to_list() if isinstance(value, pl.Series) else value)


def _guarded(source: models.Source, action: Callable[[], _T]) -> _T:
    """Whatever Polars makes of a damaged file, in one line."""
    try:
        return action()
    except OSError as error:
        raise source_file.unreadable(source.path, error) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        source_file.refuse_changed(source)
        raise errors.SourceError(
            f"{source.path} cannot be read as Parquet: {_damage(source)}; export or copy it again"
        ) from error


def _damage(source: models.Source) -> str:
    with source.path.open("rb") as file:
        begins = file.read(4) == _MAGIC
        file.seek(max(0, source.size - 4))
        ends = file.read(4) == _MAGIC
    if not begins:
        return "it is something else under that name"
    return "it is damaged inside" if ends else "its end is missing (copied in part, or still being written)"
