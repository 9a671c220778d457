"""Files to read: which they are, what they hold, and their rows in chunks of text cells.

Nothing is guessed and nothing is dropped here but blank lines. A file that cannot be read whole is a SourceError in one
line: what happened; what to do.
"""

import csv
import glob
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import polars as pl

from pipeline import errors, model, privacy

_T = TypeVar("_T")

CHUNK_ROWS = 10_000
SUFFIXES = (".csv", ".parquet")

# Columns that this program adds: in a reject file that is fed in again they are stale, so they are not read.
_OURS = ("_row", "_ragged", "_reasons", "_source")
_GLOB_CHARACTERS = frozenset("*?[")
_PARQUET_MAGIC = b"PAR1"
_LARGEST_EXACT = 2.0**53
_ZIP_MAGIC = b"PK\x03\x04"
# Read by csv after the last line. Where it does not come back as a row of its own, a quote was left open.
_END = "\x00end of file\x00"


def find(arguments: Sequence[str], *, besides: Iterable[Path] = ()) -> tuple[Path, ...]:
    """The files meant by `arguments`, in their order, each once.

    A folder stands for its .csv and .parquet files, sorted; a pattern that no file is called stands for what it
    matches, sorted; neither for the files `besides`, which have another part in the same command. A file that is not
    there is passed on: `open_source` says so. Raises SourceError where a folder or a pattern yields nothing.
    """
    found: dict[str, Path] = {}
    left_out = {os.path.realpath(path) for path in besides}
    for argument in arguments:
        for path in _expanded(argument):
            place = os.path.realpath(path)
            if str(path) == argument or place not in left_out:
                found.setdefault(place, path)
    return tuple(found.values())


def _expanded(argument: str) -> Iterator[Path]:
    path = Path(argument)
    if path.is_dir():
        yield from _exports_in(path)
    elif path.exists() or not _GLOB_CHARACTERS & set(argument):
        yield path
    else:
        matches = [Path(match) for match in sorted(glob.glob(argument, recursive=True))]
        if not matches:
            raise errors.SourceError(f"{argument} matches no file; check the folder and the pattern")
        for match in matches:
            yield from _exports_in(match) if match.is_dir() else (match,)


def _exports_in(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise _unreadable(folder, error) from error
    exports = [
        entry
        for entry in entries
        if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".") and entry.is_file()
    ]
    if not exports:
        raise errors.SourceError(f"{folder} holds no .csv or .parquet file; name the folder the exports lie in")
    return exports


def open_source(path: Path) -> model.Source:
    """The identity of a file: its SHA-256 (read in a stream), size and time of change. Raises SourceError."""
    _refuse_suffix(path)
    try:
        before = path.stat()
        if stat.S_ISDIR(before.st_mode):
            raise errors.SourceError(f"{path} is a folder, not a file; name a file in it")
        if not stat.S_ISREG(before.st_mode):
            raise errors.SourceError(f"{path} is not a regular file; save the export to a file first")
        if before.st_size == 0:
            raise errors.SourceError(f"{path} is empty (0 bytes); export it again, even a quiet day has a header")
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            after = os.fstat(file.fileno())
    except OSError as error:
        raise _unreadable(path, error) from error
    opened = model.Source(path, sha256, before.st_size, before.st_mtime_ns)
    if (after.st_size, after.st_mtime_ns) != (opened.size, opened.modified_ns):
        raise _changed(opened)
    return opened


def _refuse_suffix(path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix in SUFFIXES or path.is_dir():
        return
    if suffix in (".txt", ".tsv", ".tab"):
        advice = "export with commas and name it .csv"
    elif suffix in (".xlsx", ".xls", ".ods", ".numbers"):
        advice = 'save the sheet as "CSV UTF-8"'
    elif suffix in (".gz", ".zip", ".bz2", ".zst", ".7z"):
        advice = "unpack it first"
    else:
        advice = "name a .csv or .parquet file"
    raise errors.SourceError(f"{path} is of a kind that is not read ({suffix or 'no suffix'}); {advice}")


def header(source: model.Source) -> tuple[str, ...]:
    """The column names as in the file, blanks around them stripped. Raises SourceError where they cannot be used."""
    if _is_parquet(source):
        names = tuple(name.strip() for name in _parquet_scan(source)[1])
    else:
        records = _csv_records(source)
        names = _csv_header(source, records)
        records.close()
    for position, name in enumerate(names, start=1):
        if not name:
            raise errors.SourceError(f"{source.path}: column {position} has no name; name it or remove it")
    twice = [privacy.scrub(name) for name, count in Counter(names).items() if count > 1]
    if twice:
        raise errors.SourceError(f"{source.path}: several columns are called {', '.join(twice)}; rename or remove them")
    return names


def read(source: model.Source, chunk_rows: int = CHUNK_ROWS) -> Iterator[model.Chunk]:
    """The rows in chunks of at most `chunk_rows`, see `model.Chunk` for their shape.

    A CSV line without any text is no row. Text from Parquet: whole numbers plain, floats as Polars writes them (NaN is
    null), instants in ISO 8601 with their offset, naive times without one, booleans true and false, spans of time in
    seconds. Raises SourceError, also after the last chunk when the file is no longer the one that was opened.
    """
    names = header(source)
    frames = _parquet_frames(source, names, chunk_rows) if _is_parquet(source) else _csv_frames(source, chunk_rows)
    for frame in frames:
        yield model.Chunk(source, frame)
    _refuse_changed(source)


# ── CSV ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _csv_records(source: model.Source) -> Generator[tuple[int, list[str]], None, None]:
    """Physical line a record starts on (from 1) and its cells, for every record that holds any text."""
    _refuse_disguise(source)
    start = 1
    try:
        with source.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(_with_end(file))
            for cells in reader:
                if cells == [_END]:
                    return
                if cells and cells[-1].endswith(_END):
                    raise errors.SourceError(
                        f'{source.path}, line {start}: a quote (") opens and never closes; close it or remove it'
                    )
                if any(cells) and any(map(str.strip, cells)):
                    yield start, cells
                start = reader.line_num + 1
    except csv.Error as error:
        raise errors.SourceError(
            f'{source.path}, line {start}: {error}; a quote (") may be left open there: close it or remove it'
        ) from error
    except UnicodeDecodeError as error:
        raise _not_utf8(source) from error
    except OSError as error:
        raise _unreadable(source.path, error) from error


def _with_end(lines: Iterator[str]) -> Iterator[str]:
    yield from lines
    yield _END


def _csv_header(source: model.Source, records: Iterator[tuple[int, list[str]]]) -> tuple[str, ...]:
    _, cells = next(records, (1, []))
    names = tuple(cell.strip() for cell in cells)
    if not names:
        raise errors.SourceError(f"{source.path} holds no line with text; export it again with its header")
    if any("\x00" in name for name in names):
        raise _not_utf8(source)
    if len(names) == 1:
        for mark, word in ((";", '";"'), ("\t", "tabs"), ("|", '"|"')):
            if mark in names[0]:
                raise errors.SourceError(f"{source.path} looks separated by {word}; export with commas")
    return names


def _csv_frames(source: model.Source, chunk_rows: int) -> Iterator[pl.DataFrame]:
    records = _csv_records(source)
    names = _csv_header(source, records)
    width = len(names)
    starts: list[int] = []
    rows: list[list[str]] = []
    ragged: list[str | None] = []
    for start, cells in records:
        fault = None
        if len(cells) != width:
            fault = _ragged(cells, width)
            cells = (cells + [""] * width)[:width]
        starts.append(start)
        rows.append(cells)
        ragged.append(fault)
        if len(rows) == chunk_rows:
            yield _text_frame(names, starts, rows, ragged)
            starts, rows, ragged = [], [], []
    if rows:
        yield _text_frame(names, starts, rows, ragged)


def _ragged(cells: list[str], width: int) -> str:
    """What is wrong with the number of cells. Cells past the last column are told here: they have no other place."""
    if len(cells) < width:
        return f"{len(cells)} cells where the header has {width}; fill in the missing ones"
    extra = ", ".join(f'"{cell}"' for cell in cells[width:])
    return f"{len(cells)} cells where the header has {width}, too many: {extra}; put quotes around text with a comma"


def _text_frame(
    names: tuple[str, ...], starts: list[int], rows: list[list[str]], ragged: list[str | None]
) -> pl.DataFrame:
    columns = [
        pl.Series(name, cells, dtype=pl.String)
        for name, cells in zip(names, zip(*rows, strict=True), strict=True)
        if name not in _OURS
    ]
    marks = (pl.Series("_row", starts, dtype=pl.Int64), pl.Series("_ragged", ragged, dtype=pl.String))
    return pl.DataFrame([*columns, *marks])


# ── Parquet ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _parquet_scan(source: model.Source) -> tuple[pl.LazyFrame, pl.Schema]:
    scan = pl.scan_parquet(source.path, glob=False)
    return scan, _guarded(source, scan.collect_schema)


def _parquet_frames(source: model.Source, names: tuple[str, ...], chunk_rows: int) -> Iterator[pl.DataFrame]:
    scan, stored = _parquet_scan(source)
    columns = [
        _as_text(column, dtype).alias(name)
        for (column, dtype), name in zip(stored.items(), names, strict=True)
        if name not in _OURS
    ]
    height: int = _guarded(source, lambda: scan.select(pl.len()).collect().item())
    for start in range(0, height, chunk_rows):
        # Slices, not collect_batches: that one reads ahead of its reader, and its memory grows with the file.
        piece = _guarded(source, scan.slice(start, chunk_rows).collect)
        numbers = pl.int_range(start + 1, start + 1 + piece.height, dtype=pl.Int64).alias("_row")
        yield piece.select(*columns, numbers, pl.lit(None, dtype=pl.String).alias("_ragged"))


def _as_text(column: str, dtype: pl.DataType) -> pl.Expr:
    cell = pl.col(column)
    if isinstance(dtype, pl.Datetime):
        return cell.dt.to_string("%Y-%m-%dT%H:%M:%S%.f%:z" if dtype.time_zone else "%Y-%m-%dT%H:%M:%S%.f")
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


def refuse_fractions(source: model.Source, column: str) -> None:
    """Raise SchemaMismatch where a Parquet column of ids holds fractions: 17.1 and 17.10 are one number and two ids."""
    if source.path.suffix.lower() != ".parquet" or column not in header(source):
        return
    scan = pl.scan_parquet(source.path, glob=False)
    if not _guarded(source, scan.collect_schema)[column].is_float():
        return
    number = pl.col(column).fill_nan(None)
    if _guarded(source, scan.select((number != number.floor()).any()).collect).item():
        raise errors.SchemaMismatch(
            f"{source.name}: the ids in {column} are numbers with fractions, so 17.1 and 17.10 look alike: export text"
        )


def _nested_text(value: object) -> str:
    """Lists and structs: of no use to a call, but a reject file shows them."""
    return str(value.to_list() if isinstance(value, pl.Series) else value)


def _guarded(source: model.Source, action: Callable[[], _T]) -> _T:
    """Whatever Polars makes of a damaged file, in one line."""
    try:
        return action()
    except OSError as error:
        raise _unreadable(source.path, error) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        _refuse_changed(source)
        raise errors.SourceError(
            f"{source.path} cannot be read as Parquet: {_damage(source)}; export or copy it again"
        ) from error


def _damage(source: model.Source) -> str:
    with source.path.open("rb") as file:
        begins = file.read(4) == _PARQUET_MAGIC
        file.seek(max(0, source.size - 4))
        ends = file.read(4) == _PARQUET_MAGIC
    if not begins:
        return "it is something else under that name"
    return "it is damaged inside" if ends else "its end is missing (copied in part, or still being written)"


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


def _is_parquet(source: model.Source) -> bool:
    return source.path.suffix.lower() == ".parquet"


def _refuse_disguise(source: model.Source) -> None:
    """Other formats under the name .csv, told by their first bytes."""
    try:
        with source.path.open("rb") as file:
            begin = file.read(4)
    except OSError as error:
        raise _unreadable(source.path, error) from error
    if begin == _ZIP_MAGIC:
        raise errors.SourceError(f'{source.path} is an Excel workbook or a zip archive; save it as "CSV UTF-8"')
    if begin == _PARQUET_MAGIC:
        raise errors.SourceError(f"{source.path} is Parquet under another name; rename it to end in .parquet")
    if begin[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise errors.SourceError(f'{source.path} is UTF-16; save it as "CSV UTF-8"')


def _not_utf8(source: model.Source) -> errors.SourceError:
    """Found again line by line: the decoder that failed had read ahead and knows no line."""
    with source.path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if b"\x00" in line:
                return errors.SourceError(f'{source.path}, line {number}: looks like UTF-16; save it as "CSV UTF-8"')
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return errors.SourceError(
                    f"{source.path}, line {number}: not UTF-8 (Windows-1252, as Excel's plain CSV?); "
                    'save it as "CSV UTF-8"'
                )
    return errors.SourceError(f'{source.path} is not UTF-8; save it as "CSV UTF-8"')


def _refuse_changed(source: model.Source) -> None:
    try:
        now = source.path.stat()
    except OSError as error:
        raise _unreadable(source.path, error) from error
    if (now.st_size, now.st_mtime_ns) != (source.size, source.modified_ns):
        raise _changed(source)


def _changed(source: model.Source) -> errors.SourceError:
    return errors.SourceError(
        f"{source.path} changed while it was read: still being written? Start again when it is complete"
    )


def _unreadable(path: Path, error: OSError) -> errors.SourceError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return errors.SourceError(f"{path} does not exist; check the name and the folder")
    if isinstance(error, PermissionError):
        return errors.SourceError(f"{path} may not be read (no permission); allow it, or run as its owner")
    return errors.SourceError(f"{path} cannot be read: {error.strerror or error}; check the disk, then try again")
