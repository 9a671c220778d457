"""callimport export: the ledger as a table. As the CRM's API has no delete, it is also the list to clean up by.

CSV or a workbook for spreadsheets, Parquet for programs. Customer numbers are masked; the key and the row of the
source tell which call it is.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from callimport.core import errors, files, models, privacy, table_file, workbook_writer
from callimport.core.settings import Settings
from callimport.ledger import Ledger, damage, history, queries
from callimport.load import account_ledger

ROWS_AT_ONCE = 50_000
_FORMATS = (".csv", ".xlsx", ".parquet")
_ISO = "%Y-%m-%dT%H:%M:%S%:z"
_MOMENTS = ("first_attempt_at", "last_attempt_at", "moved_at")
_NUMBERS = ("row", "communication_id", "lead_id", "started_at", "attempts")


@dataclass(frozen=True, slots=True)
class Exported:
    """How many items were written, and where. `damaged` names those that were left out."""

    path: Path
    items: int
    damaged: str | None


def refuse_unfit(path: Path, *, force: bool) -> None:
    """ConfigError for a file that would not be written."""
    if path.suffix.lower() not in _FORMATS:
        raise errors.ConfigError(f"{path}: the ledger is written as .csv, .xlsx or .parquet; call it so")
    if workbook_writer.is_one(path):
        workbook_writer.refuse_missing(path)
    files.refuse_existing(path, force=force, is_table=True)


def export(
    settings: Settings,
    clock: models.Clock,
    path: Path,
    *,
    statuses: Sequence[models.ItemStatus] = (),
    batch_id: str | None = None,
) -> Exported:
    """Write the items of the ledger that is meant, or those of a standing and of a batch. No network.

    Whole or not at all; ConfigError for another format, a file that exists, or a batch that the ledger does not know.
    """
    refuse_unfit(path, force=settings.force)
    with account_ledger.reading(settings, clock) as ledger:
        files.refuse_same((path,), (Path(ledger.database.place),))
        if batch_id is not None and not queries.knows_batch(ledger.database, batch_id):
            raise errors.ConfigError(f"the ledger knows no batch {batch_id}: callimport export without --batch has all")
        frames = _frames(ledger, statuses, batch_id)
        write = _write_parquet if path.suffix.lower() == ".parquet" else _write_table
        items = write(path, frames)
        return Exported(path, items, damage.told(ledger.database))


def _frames(ledger: Ledger, statuses: Sequence[models.ItemStatus], batch_id: str | None) -> Iterator[pl.DataFrame]:
    """The table a piece at a time; at least one, that it has its columns where it has no rows."""
    schema = {name: pl.Int64 if name in _NUMBERS else pl.String for name in history.COLUMNS} | {"adopted": pl.Int64}
    rows = history.rows(ledger.database, statuses, batch_id)
    with contextlib.closing(rows):
        is_first = True
        while (some := list(islice(rows, ROWS_AT_ONCE))) or is_first:
            is_first = False
            yield pl.DataFrame(some, schema=schema, orient="row").with_columns(
                pl.col("adopted").cast(pl.Boolean),
                pl.from_epoch("started_at").dt.replace_time_zone("UTC"),
                pl.col(_MOMENTS).str.to_datetime("%+", time_zone="UTC", time_unit="ms"),
                _each_once("phone", privacy.mask_phone),
                _each_once("source", privacy.mask),
                _each_once("reason", privacy.mask),
            )


def _each_once(name: str, shown: Callable[[str], str]) -> pl.Expr:
    """Few numbers and reasons stand in many rows."""
    return pl.col(name).map_batches(
        lambda cells: cells.replace_strict(
            known := cells.drop_nulls().unique(), [shown(text) for text in known], default=None, return_dtype=pl.String
        ),
        return_dtype=pl.String,
    )


def _write_table(path: Path, frames: Iterator[pl.DataFrame]) -> int:
    told = (
        frame.with_columns(
            pl.col("started_at", *_MOMENTS).dt.strftime(_ISO), pl.when("adopted").then(pl.lit("yes")).alias("adopted")
        )
        for frame in frames
    )
    return table_file.write(path, "Calls", history.COLUMNS, told)


def _write_parquet(path: Path, frames: Iterator[pl.DataFrame]) -> int:
    count = 0
    # Polars puts a file together from parts without ever holding it whole; a generator it would want whole.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        parts = []
        for number, frame in enumerate(frames):
            parts.append(Path(folder) / f"{number}.parquet")
            frame.write_parquet(parts[-1])
            count += frame.height
        with files.opened_binary(path) as file:
            pl.scan_parquet(parts).sink_parquet(file)
    return count
