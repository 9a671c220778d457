"""Parquet → frame: typed cells as the text that the same export would have as CSV.

Polars panics on some damaged files and on dates that no calendar has. Out of memory, it may end the whole process. So
another process reads every file first, see `_refuse_unreadable`.

A file is refused if it has more than `source_file.MOST_COLUMNS` columns. It is also refused if it has more than
`MOST_ROWS` rows and more than `MOST_ROWS_A_BYTE` rows a byte.
"""

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import polars as pl

from callimport.core import errors, models
from callimport.extract import delimited_tolerant, source_file

_T = TypeVar("_T")

# Equal rows take almost no bytes, but no two calls are equal in all columns.
MOST_ROWS, MOST_ROWS_A_BYTE = 1_000_000, 10
_CHUNK_ROWS = 100_000
_MAGIC = b"PAR1"
_DAMAGED_INSIDE = "it is damaged inside"
_LARGEST_EXACT = 2.0**53


def _scan(source: models.Source) -> tuple[pl.LazyFrame, pl.Schema]:
    _refuse_unreadable(source)
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


@functools.lru_cache(maxsize=1024)
def _refuse_unreadable(source: models.Source) -> None:
    """Raise SourceError if another process cannot read the whole file. What Rust prints about a panic is not shown."""
    # If its first or last mark is missing, the file need not be read.
    if _damage(source) != _DAMAGED_INSIDE:
        raise _unreadable(source, _damage(source))
    # The other process must import the same packages, and no module of the working folder (-P).
    packages = [path for path in sys.path if path]
    code = f"import sys; sys.path = {packages!r}; from {__name__} import read_for_parent; read_for_parent()"
    with subprocess.Popen(
        [sys.executable, "-P", "-c", code, source.path, str(source.size)],
        stdin=subprocess.PIPE,  # closed when this process ends, see `_end_with_parent`
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C goes to this process only
    ) as process:
        told = process.stdout.read().decode(errors="replace") if process.stdout else ""
        returncode = process.wait()
    if returncode:
        source_file.refuse_changed(source)
        raise errors.SourceError(told) if told else _unreadable(source, _DAMAGED_INSIDE)


def read_for_parent() -> None:
    """Read the file named in the arguments of this process. If it cannot be used, print why and exit with 5."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    source = models.Source(Path(sys.argv[1]), "", int(sys.argv[2]), 0)
    try:
        _read_all(source)
    except errors.SourceError as error:
        sys.stdout.buffer.write(str(error).encode(errors="replace"))
        sys.exit(error.exit_code)


def _end_with_parent() -> None:
    """End this process when its parent ends. A parent that was killed can end no other process."""
    os.read(0, 1)
    os._exit(errors.ExitCode.TERMINATED)


def _read_all(source: models.Source) -> None:
    scan = pl.scan_parquet(source.path, glob=False)
    schema = _guarded(source, scan.collect_schema)
    source_file.refuse_wide(source, len(schema), "header")
    height: int = _guarded(source, lambda: scan.select(pl.len()).collect().item())
    if height > max(MOST_ROWS, MOST_ROWS_A_BYTE * source.size):
        raise errors.SourceError(
            f"{source.path} declares {height:,} rows in {source.size:,} bytes: that is no call log; export it again"
        )
    for start in range(0, height, _CHUNK_ROWS):
        piece = _guarded(source, scan.slice(start, _CHUNK_ROWS).collect)
        if piece.height < min(_CHUNK_ROWS, height - start):
            raise _unreadable(source, f"it holds fewer than the {height:,} rows that it declares")
        for column, dtype in schema.items():
            told = f'column "{column}" holds a date that no calendar has, or another value that has no text'
            _guarded(source, functools.partial(piece.select, _as_text(column, dtype)), told)


def _guarded(source: models.Source, action: Callable[[], _T], told: str = "") -> _T:
    """Whatever Polars makes of a damaged file, in one line."""
    try:
        return action()
    except OSError as error:
        raise source_file.unreadable(source.path, error) from error
    except (Exception, pl.exceptions.PanicException) as error:  # Polars raises many kinds of errors
        raise _unreadable(source, told) from error


def _unreadable(source: models.Source, told: str) -> errors.SourceError:
    return errors.SourceError(
        f"{source.path} cannot be read as Parquet: {told or _damage(source)}; correct it, or export or copy it again"
    )


def _damage(source: models.Source) -> str:
    """Return what may be wrong with an unreadable file, judged by its first and last bytes."""
    try:
        with source.path.open("rb") as file:
            begins = file.read(4) == _MAGIC
            file.seek(max(0, source.size - 4))
            ends = file.read(4) == _MAGIC
    except OSError as error:
        raise source_file.unreadable(source.path, error) from error
    if not begins:
        return "it is something else under that name"
    return _DAMAGED_INSIDE if ends else "its end is missing (copied in part, or still being written)"
