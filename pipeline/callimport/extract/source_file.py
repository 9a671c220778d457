"""The identity of a file, and what is said of one that cannot be read or does not hold still."""

import hashlib
import os
import stat
from pathlib import Path

from callimport.core import errors, models
from callimport.extract import formats

# The widest call log that we know has about 150 columns.
MOST_COLUMNS = 1_000


def open_source(path: Path) -> models.Source:
    """The identity of a file as it lies on the disk: its SHA-256 (read in a stream), size and time of change.

    Raises SourceError.
    """
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
        raise unreadable(path, error) from error
    opened = models.Source(path, sha256, before.st_size, before.st_mtime_ns)
    if (after.st_size, after.st_mtime_ns) != (opened.size, opened.modified_ns):
        raise _changed(opened)
    return opened


def _refuse_suffix(path: Path) -> None:
    if not path.exists():
        raise errors.SourceError(f"{path} does not exist: check the name, or whether its share is mounted")
    if formats.named(path) is None and not path.is_dir():
        suffix = path.suffix.lower() or "no suffix"
        raise errors.SourceError(f"{path} is of a kind that is not read ({suffix}); {formats.advice(path)}")


def refuse_changed(source: models.Source) -> None:
    """Raise SourceError where the file is no longer the one that was opened."""
    try:
        now = source.path.stat()
    except OSError as error:
        raise unreadable(source.path, error) from error
    if (now.st_size, now.st_mtime_ns) != (source.size, source.modified_ns):
        raise _changed(source)


def _changed(source: models.Source) -> errors.SourceError:
    return errors.SourceError(
        f"{source.path} changed while it was read: still being written? Start again when it is complete"
    )


def unreadable(path: Path, error: OSError) -> errors.SourceError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return errors.SourceError(f"{path} does not exist; check the name and the folder")
    if isinstance(error, PermissionError):
        return errors.SourceError(f"{path} may not be read (no permission); allow it, or run as its owner")
    return errors.SourceError(f"{path} cannot be read: {error.strerror or error}; check the disk, then try again")


def refuse_wide(source: models.Source, width: int, where: str) -> None:
    """Raise SourceError if a header or a row (`where`) has more than `MOST_COLUMNS` columns."""
    if width > MOST_COLUMNS:
        raise errors.SourceError(
            f"{source.path}, {where}: {width:,} columns, more than {MOST_COLUMNS:,}: that is no call log; if it is "
            "one, delete the columns that are not needed (also blank ones at the right)"
        )
