"""Which files are meant by what stands on the command line."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from callimport.core import errors
from callimport.extract import formats, source_file

_GLOB_CHARACTERS = frozenset("*?[")


def find(arguments: Sequence[str], *, besides: Iterable[Path] = ()) -> tuple[Path, ...]:
    """The files meant by `arguments`, in their order, each once.

    A folder stands for its exports (.csv, .tsv, .txt, text packed as .gz or .zst, .zip, .parquet, .xlsx), sorted; a
    pattern that no file is called stands for what it matches, sorted; neither for the files `besides`, which have
    another part in the same command. A file that is not there is passed on: `open_source` says so. Raises SourceError
    where a folder or a pattern yields nothing.
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
        raise source_file.unreadable(folder, error) from error
    exports = [entry for entry in entries if formats.is_export(entry) and entry.is_file()]
    if not exports:
        raise errors.SourceError(
            f"{folder} holds no .csv, .tsv, .txt, .parquet, .xlsx or packed text export; "
            "name the folder the exports lie in"
        )
    return exports
