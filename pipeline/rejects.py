"""The reject file: rows that will not be sent, as they were, with every reason; to be mended and fed in again."""

import csv
import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO

import polars as pl

from pipeline import model, outfile

# Columns that this program adds. In a reject file that was fed in again they are of the last time.
_OURS = ("_row", "_ragged", "_reasons", "_source")


def write(
    path: Path,
    chunks: Iterable[tuple[int, model.Chunk]],
    reasons: Mapping[model.Place, tuple[model.Reason, ...]],
    *,
    several_sources: bool,
) -> int:
    """Write the rows of `chunks` (number of the source in the batch, chunk) that have `reasons`; return how many.

    CSV in UTF-8: the input's columns with their cells as they were (of several headers the union, in order of
    appearance), then `_row`, `_reasons` ("rule: message", joined by " | ") and, with several sources, `_source` (the
    file's name). Whole or not at all; raises ConfigError where the file cannot be made.
    """
    names: dict[str, None] = {}
    with (
        outfile.opened(path) as file,
        tempfile.TemporaryFile("w+", encoding="utf-8", newline="", dir=path.parent) as spool,
    ):
        # The header is known only when the last chunk has been seen, and the rows may be too many to be kept.
        count = 0
        for number, chunk in chunks:
            rejected = _rejected(chunk, number, reasons)
            columns = [name for name in chunk.frame.columns if name not in _OURS]
            names.update(dict.fromkeys(columns))
            positions = {name: position for position, name in enumerate(names)}
            for row in rejected.iter_rows(named=True):
                cells: list[str | None] = [None] * len(names)
                for name in columns:
                    cells[positions[name]] = row[name]
                why = " | ".join(
                    f"{reason.rule}: {reason.message}" for reason in reasons[model.Place(number, row["_row"])]
                )
                spool.write(json.dumps([row["_row"], why, chunk.source.name, *cells]) + "\n")
                count += 1
        spool.seek(0)
        _assemble(file, spool, list(names), several_sources)
    return count


def _rejected(chunk: model.Chunk, number: int, reasons: Mapping[model.Place, tuple[model.Reason, ...]]) -> pl.DataFrame:
    wanted = [model.Place(number, row) in reasons for row in chunk.frame["_row"]]
    return chunk.frame.filter(pl.Series(wanted, dtype=pl.Boolean))


def _assemble(file: TextIO, spool: TextIO, names: list[str], several_sources: bool) -> None:
    """Rows written before a later source added columns are shorter: they are filled up."""
    # With this line end csv also quotes a lone CR inside a cell, which would cut the row in two when it is read again.
    out = csv.writer(file, lineterminator="\r\n")
    out.writerow([*names, "_row", "_reasons", *(["_source"] if several_sources else [])])
    for line in spool:
        row, why, source_name, *cells = json.loads(line)
        padding = [""] * (len(names) - len(cells))
        out.writerow([*cells, *padding, row, why, *([source_name] if several_sources else [])])
