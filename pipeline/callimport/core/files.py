"""Write files whole or not at all, for their owner only, and never over another without leave. Read small files."""

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from callimport.core import errors

_OF_TABLES = (".xlsx", ".parquet")


def read_text(path: Path) -> str:
    """Read a UTF-8 text of at most 1 MB that a person wrote, such as settings, a key or a profile.

    Raises OSError, also for a larger file, and UnicodeDecodeError.
    """
    return read_bytes(path, 1_000_000).decode("utf-8")


def read_bytes(path: Path, most: int) -> bytes:
    """Read a file of at most `most` bytes. Raises OSError for a larger one: a device or a pipe may have no end."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most // 1_000_000} MB")
    return content


def read_json(path: Path) -> Any:
    """Return what a file of callimport's own holds.

    Raises OSError or ValueError. Nobody waits for a pipe that stands in its place.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no file")
    try:
        return json.loads(read_text(path))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def refuse_existing(path: Path, *, force: bool, is_table: bool = False) -> None:
    """Raise ConfigError where `path` exists and may not be replaced; called before hours of work, not after.

    Also for a text that is no table (a page, a profile) under the name of a workbook or Parquet file: no program could
    open it.
    """
    if not is_table and path.suffix.lower() in _OF_TABLES:
        raise errors.ConfigError(f"{path} would be text, not a {path.suffix.lower()} file: choose another ending")
    if path.is_dir():
        raise errors.ConfigError(f"{path} is a folder: name a file in it")
    if path.exists() and not force:
        raise errors.ConfigError(f"{path} exists already: choose another name, or allow replacing it with --force")
    if not path.parent.is_dir():
        raise errors.ConfigError(f"{path} cannot be written: the folder {path.parent} does not exist; make it first")


def refuse_same(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise ConfigError where an output is a file that is read as well, or another output; --force is no leave."""
    taken = {os.path.realpath(path): path for path in inputs}
    for output in outputs:
        place = os.path.realpath(output)
        if place in taken:
            raise errors.ConfigError(f"{output} would overwrite {taken[place]}, which this command uses: name another")
        taken[place] = output


def opened(path: Path, *, encoding: str = "utf-8", is_kept: bool = True) -> contextlib.AbstractContextManager[TextIO]:
    """A text file that appears under `path` when the block ends well, and not at all when it does not. Mode 0600. What
    `is_kept` is there after a power loss, too."""
    return _opened(path, is_kept=is_kept, mode="w", encoding=encoding, newline="")


def opened_binary(path: Path) -> contextlib.AbstractContextManager[BinaryIO]:
    """The same for bytes, and there after a power loss."""
    return _opened(path, is_kept=True, mode="w+b")


@contextlib.contextmanager
def spool(path: Path) -> Iterator[TextIO]:
    """A text file without a name, on the disk where `path` will be, gone when the block ends."""
    try:
        file = tempfile.TemporaryFile("w+", encoding="utf-8", newline="", dir=path.parent)  # noqa: SIM115 (closed below)
    except OSError as error:
        raise _unwritable(path, error) from error
    with file:
        yield file


@contextlib.contextmanager
def _opened(path: Path, *, is_kept: bool, **how: Any) -> Iterator[Any]:
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with os.fdopen(handle, **how) as file:
            yield file
            if is_kept:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
        if is_kept:
            _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise _unwritable(path, error) from error
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _unwritable(path: Path, error: OSError) -> errors.ConfigError:
    return errors.ConfigError(f"{path} cannot be written: {error.strerror}; choose another place")


def _sync_folder(folder: Path) -> None:
    """Its name is what makes a file found; where folders cannot be synced (Windows), the system does it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_private(folder: Path) -> None:
    """A folder of ours (0700), with its parents."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise errors.ConfigError(
            f"the folder {folder} cannot be made: {error.strerror}; choose another with --state-dir"
        ) from error
