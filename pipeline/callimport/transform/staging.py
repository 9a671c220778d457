"""Keep the rows of a run in hash partitions: a few rows in memory, many in Parquet files of the state folder.

Polars joins, sorts and windows in memory and does not spill. So rows that belong together get the same hash, and the
work is done on one partition at a time. A file holds the rows of several partitions, sorted by hash.
"""

import contextlib
import io
import math
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import filelock
import polars as pl

from callimport.core import errors, files, readahead

# So many rows stay in memory. If there are more, so many are a partition.
ROWS_IN_MEMORY = 50_000
# The column that says which rows belong together. It is valid within one process: Polars may hash otherwise tomorrow.
HASH = "_hash"
_HASHES = 2**64
_ROW_GROUP = 16_384


class Staging:
    """The staged rows of one process, in a folder of their own. Nobody reads them after the process has ended."""

    def __init__(self, state: Path, rows_in_memory: int | None = None) -> None:
        """`state` is the state folder. It is made when the first rows are written."""
        self._root = state / "staging"
        self._folder: Path | None = None
        self._lock: filelock.BaseFileLock | None = None
        self._written = 0
        self.rows_in_memory = rows_in_memory or ROWS_IN_MEMORY

    def __enter__(self) -> Self:
        """Delete what dead processes left."""
        if self._root.is_dir():
            with contextlib.suppress(OSError, filelock.Timeout), self._alone():
                for folder in self._root.iterdir():
                    if folder.is_dir():
                        _delete_if_dead(folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Delete all staged rows. Can be called twice."""
        if self._folder is not None and self._lock is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._lock.release()
            self._folder = None

    def partitions(self, share: int = 1) -> "Partitions":
        """Return a new, empty place for rows of one schema. A partition has a `share`-th of the usual rows."""
        return Partitions(self, share)

    def write(self, frame: pl.DataFrame) -> Path:
        """Write a file of its own. Raises ImporterError if that fails, such as on a full disk."""
        packed = io.BytesIO()
        frame.write_parquet(packed, compression="uncompressed", row_group_size=_ROW_GROUP)
        try:
            self._written += 1
            path = self._made() / f"{self._written}.parquet"
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(packed.getbuffer())
        except (OSError, filelock.Timeout) as error:
            raise errors.ImporterError(
                f"the calls cannot be staged in {self._root}: {getattr(error, 'strerror', None) or error}; make room "
                "there, or choose another folder with --state-dir"
            ) from error
        return path

    def _made(self) -> Path:
        if self._folder is None:
            files.make_private(self._root)
            with self._alone():
                folder = Path(tempfile.mkdtemp(dir=self._root))
                lock = _lock_of(folder)
                lock.acquire()
            self._folder, self._lock = folder, lock
        return self._folder

    def _alone(self) -> filelock.BaseFileLock:
        """Between making a folder and locking it, nobody may look at it."""
        return filelock.FileLock(self._root / "lock", timeout=10, mode=0o600)


def _lock_of(folder: Path) -> filelock.BaseFileLock:
    return filelock.FileLock(folder / "lock", timeout=0, mode=0o600)


def _delete_if_dead(folder: Path) -> None:
    """The system frees the lock of a process that has died, however it died."""
    with contextlib.suppress(filelock.Timeout), _lock_of(folder):
        shutil.rmtree(folder, ignore_errors=True)


class Partitions:
    """Rows of one schema. Rows with equal hashes come back together, in any order."""

    def __init__(self, staging: Staging, share: int) -> None:
        self._staging = staging
        self._share = share
        self._waiting: list[pl.DataFrame] = []
        self._waiting_rows = self.rows = 0
        self._files: list[Path] = []
        # Of the first frame. None: no frame was added.
        self._schema: pl.Schema | None = None

    def add(self, frame: pl.DataFrame, of: pl.Expr) -> None:
        """Add rows. `of` is an expression of UInt64: the hash of what rows of one partition have in common."""
        frame = frame.with_columns(of.alias(HASH))
        self._schema = self._schema or frame.schema
        if self._waiting_rows + frame.height > self._staging.rows_in_memory // self._share:
            self._spill()
        self._waiting.append(frame)
        self._waiting_rows += frame.height
        self.rows += frame.height

    def read(self) -> Iterator[pl.DataFrame]:
        """See `read_together`."""
        return (part for (part,) in read_together(self))

    @property
    def parts(self) -> int:
        """How many partitions keep memory low: one if all rows are in memory."""
        return math.ceil(self.rows / self._staging.rows_in_memory * self._share) if self._files else 1

    def part(self, number: int, count: int) -> pl.DataFrame | None:
        """Return a partition of `count`, with HASH, in any order. None if no frame was added."""
        if self._schema is None:
            return None
        first, last = number * _HASHES // count, (number + 1) * _HASHES // count - 1
        is_meant = pl.col(HASH).is_between(pl.lit(first, pl.UInt64), pl.lit(last, pl.UInt64))
        found = [frame if count == 1 else frame.filter(is_meant) for frame in self._waiting]
        for path in self._files:
            stored = pl.scan_parquet(path).filter(is_meant).collect()
            blank = [
                pl.lit(None, kind).alias(name) for name, kind in self._schema.items() if name not in stored.columns
            ]
            found.append(stored.with_columns(blank).select(list(self._schema)))
        return pl.concat(found or [pl.DataFrame(schema=self._schema)])

    def clear(self) -> None:
        """Delete all rows."""
        for path in self._files:
            path.unlink(missing_ok=True)
        self._waiting, self._files, self.rows, self._waiting_rows = [], [], 0, 0

    def _spill(self) -> None:
        if self._waiting_rows:
            rows = pl.concat(self._waiting).sort(HASH)
            # A column without a value is not stored.
            filled = [column.name for column in rows if column.null_count() < rows.height]
            self._files.append(self._staging.write(rows.select(filled)))
            self._waiting, self._waiting_rows = [], 0


def read_together(*several: Partitions) -> Iterator[tuple[pl.DataFrame, ...]]:
    """Yield one partition of each at a time: equal hashes come together. The next one is read meanwhile.

    Can be called several times. Yields nothing if to one of them no frame was added.
    """
    return readahead.one_ahead(_parts(several, max(one.parts for one in several)))


def _parts(several: tuple[Partitions, ...], count: int) -> Generator[tuple[pl.DataFrame, ...], None, None]:
    for number in range(count):
        parts = [part for one in several if (part := one.part(number, count)) is not None]
        if len(parts) == len(several):
            yield tuple(parts)
