"""The reject file: rows that will not be sent, as they were, with every reason; to be mended and fed in again.

CSV, or a workbook where the name ends in .xlsx: there all cells are text, so that Excel changes none of them, and those
that the reasons are about are coloured.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import polars as pl

from callimport.core import csv_safety, errors, files, models, row_origin, table_file, workbook_writer
from callimport.extract import reader
from callimport.profiles import profile

# Columns that this program adds. In a reject file that was fed in again they are of the last time.
_OURS = ("_row", "_ragged", "_reasons", "_source", row_origin.PROFILE, row_origin.CELLS, row_origin.COLUMN)
# Of every reject file, whatever its other columns.
COLUMNS = ("_reasons", row_origin.COLUMN)
_CUT = (
    f"cut: a cell was longer than the {workbook_writer.LONGEST_CELL:,} characters that a sheet takes; "
    "copy it from the export"
)
_TO_BE_CLEARED = f"mend the row, then clear {row_origin.CELLS}"
_ADVICE = (reader.FILL_IN, reader.PUT_QUOTES, _TO_BE_CLEARED)
# The cell that is wrong, by how the rule's name begins: the first of these columns that the file has.
_BLAMED = {
    "lead": ("lead_id",),
    "direction": ("direction",),
    "status": ("status",),
    "started_at": ("started_at",),
    "duration": ("duration_seconds",),
    "customer_phone": ("customer_phone",),
    "agent": ("agent_id", "agent_email", "agent_name", "agent_extension"),
    "description": ("description",),
    "recording": ("recording",),
    "id": ("call_id",),
    "twin": ("call_id", "started_at"),
}


def refuse_unfit(path: Path) -> None:
    """Raise ConfigError where a file of that name could not be written; called before hours of work, not after."""
    table_file.refuse_unfit(path, "rejects")


def write(
    path: Path,
    chunks: Iterable[tuple[int, models.Chunk]],
    reasons: Mapping[models.Place, tuple[models.Reason, ...]],
    *,
    several_sources: bool,
    profiles: Sequence[profile.Profile] | None = None,
) -> int:
    """Write the rows of `chunks` (number of the source in the batch, chunk) that have `reasons`; return how many.

    The input's columns with their cells as they were (of several headers the union, in order of appearance), then
    `_row`, `_reasons` ("rule: message", joined by " | "), with several sources `_source` (the file's name), `_cells`
    where rows had too many cells or too few, with those that have no place (until it is cleared, such a row is
    rejected again), and `_origin` (see `row_origin.kept`). In CSV (UTF-8 with its mark) what a spreadsheet would
    calculate with has an apostrophe before it, which is taken away when the file is read. In a workbook the cells that
    the profile of their source in `profiles` (None: the canonical columns) makes a wrong value of are coloured. If
    there are several profiles, `_profile` says which profile reads the row. Writes the whole file or none; raises
    ConfigError if it cannot be written.
    """
    refuse_unfit(path)
    with files.spool(path) as spool:
        # The header is known only when the last chunk has been seen, and the rows may be too many to be kept.
        rows = _Rows(reasons, profiles, in_csv=not workbook_writer.is_one(path))
        count = 0
        for number, chunk in chunks:
            for row in rows.of(number, chunk):
                spool.write(json.dumps(row) + "\n")
                count += 1
        spool.seek(0)
        several_profiles = len({one.name for one in profiles or ()}) > 1
        optional = (
            ("_source", several_sources),
            (row_origin.PROFILE, several_profiles),
            (row_origin.CELLS, rows.any_is_ragged),
        )
        ours = ("_row", "_reasons", *(name for name, is_told in optional if is_told), row_origin.COLUMN)
        told = _Told(list(rows.positions), ours, count)
        (_write_sheet if workbook_writer.is_one(path) else _write_csv)(path, told, spool)
    return count


@dataclass(slots=True)
class _Rows:
    """Rejected rows as they go into the spool: what is ours, which columns are wrong, then the cells by position."""

    reasons: Mapping[models.Place, tuple[models.Reason, ...]]
    profiles: Sequence[profile.Profile] | None
    in_csv: bool
    positions: dict[str, int] = field(default_factory=dict)
    any_is_ragged: bool = False

    def of(self, number: int, chunk: models.Chunk) -> Iterator[list[Any]]:
        is_rejected = [models.Place(number, row) in self.reasons for row in chunk.frame["_row"]]
        rejected = chunk.frame.filter(pl.Series(is_rejected, dtype=pl.Boolean))
        columns = [name for name in rejected.columns if name not in _OURS]
        for name in columns:
            self.positions.setdefault(name, len(self.positions))
        its = self.profiles[number] if self.profiles else None
        fed = _fed(columns, its)
        named = pl.DataFrame({"source": [chunk.source.name]})
        if self.in_csv:
            named = csv_safety.guarded(named, in_csv=True)
        cells_of = csv_safety.guarded(rejected.select(columns), in_csv=self.in_csv)
        marks = row_origin.kept(rejected)
        ragged = [_to_be_cleared(fault) for fault in rejected["_ragged"]]
        self.any_is_ragged |= any(ragged)
        rows = zip(rejected["_row"], marks, ragged, cells_of.iter_rows(), strict=True)
        for row, mark, fault, cells in rows:
            why = self.reasons[models.Place(number, row)]
            told = " | ".join(f"{reason.rule}: {reason.message}" for reason in why)
            wrong = sorted({self.positions[name] for reason in why for name in _blamed(reason.rule, fed)})
            placed: list[str | None] = [None] * len(self.positions)
            for name, cell in zip(columns, cells, strict=True):
                placed[self.positions[name]] = cell
            ours = {"_row": str(row), "_reasons": told, "_source": named.item(), row_origin.CELLS: fault}
            read_by = {row_origin.PROFILE: its.name if its else "", row_origin.COLUMN: mark}
            yield [ours | read_by, wrong, placed]


def _to_be_cleared(ragged: str | None) -> str:
    """What is wrong with the number of cells; what to do about it is another thing in a spreadsheet than in the
    export."""
    if not ragged:
        return ""
    if reader.SWALLOWED in ragged:
        # To clear the cell would send one call and lose the others.
        return ragged
    told, _, advice = ragged.rpartition("; ")
    # What a person noted there instead is kept whole.
    return f"{told if advice in _ADVICE else ragged}; {_TO_BE_CLEARED}"


def _fed(columns: Sequence[str], recipe: profile.Profile | None) -> dict[str, list[str]]:
    """Canonical column → the columns of the file that it is made of."""
    if recipe is None:
        return {name: [name] for name in columns}
    found = profile.resolved(recipe, columns)
    return {name: [found[one] for one in recipe.fed_by(name) if one in found] for name in recipe.columns}


def _blamed(rule: str, fed: Mapping[str, list[str]]) -> list[str]:
    for begin, canonical in _BLAMED.items():
        if rule.startswith(f"{begin}_") or rule == begin:
            return next((fed[name] for name in canonical if fed.get(name)), [])
    return []


@dataclass(frozen=True, slots=True)
class _Told:
    """The header of the file, in two parts, and how many rows follow it."""

    names: list[str]
    ours: tuple[str, ...]
    count: int

    def rows(self, spool: TextIO) -> Iterator[tuple[list[str], list[str], list[int]]]:
        """Cells, what is ours, and which of the cells are wrong. Rows written before a later source added columns are
        shorter: they are filled up."""
        for line in spool:
            ours, wrong, cells = json.loads(line)
            padding = [""] * (len(self.names) - len(cells))
            yield [cell or "" for cell in cells] + padding, [ours[name] for name in self.ours], wrong


def _write_csv(path: Path, told: _Told, spool: TextIO) -> None:
    with files.opened(path, encoding="utf-8-sig") as file:
        # With this line end csv also quotes a lone CR inside a cell, which would cut the row in two when read again.
        out = csv.writer(file, lineterminator="\r\n")
        header = csv_safety.guarded(pl.DataFrame({"name": told.names}, schema={"name": pl.String}), in_csv=True)
        out.writerow([*header["name"], *told.ours])
        for cells, ours, _ in told.rows(spool):
            out.writerow([*cells, *ours])


def _write_sheet(path: Path, told: _Told, spool: TextIO) -> None:
    if told.count > workbook_writer.MOST_ROWS:
        raise errors.ConfigError(f"{path}: {told.count:,} rejects are more than a sheet has rows; call it .csv instead")
    written = workbook_writer.Sheet("Rejects", [*told.names, *told.ours], wide=("_reasons",))
    for cells, ours, wrong in told.rows(spool):
        if not all(map(workbook_writer.fits, cells)):
            ours[told.ours.index("_reasons")] += f" | {_CUT}"
        written.add([*cells, *ours], wrong)
    with files.opened_binary(path) as file:
        written.save(file)
