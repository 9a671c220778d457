"""The last line of defence: an error that no door has translated becomes one line that says what to do."""

import errno
import traceback
from pathlib import Path

import click

from callimport.core import errors
from callimport.core.signal_watch import watch

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NAMES = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR}
_HANDLES = {errno.EMFILE, errno.ENFILE}


def translated(error: BaseException) -> errors.ImporterError:
    """What to say of an error, and with which exit code. An ImporterError says it already."""
    if isinstance(error, BaseExceptionGroup):
        # A task group wraps what is raised in it.
        return translated(error.exceptions[0])
    if isinstance(error, errors.Interrupted) or (isinstance(error, errors.ImporterError) and not watch.has_raised):
        return error
    if isinstance(error, KeyboardInterrupt | click.exceptions.Abort) or watch.has_raised:
        # A library may have turned the KeyboardInterrupt into an error of its own.
        code = errors.ExitCode(watch.asked or errors.ExitCode.INTERRUPTED)
        return errors.Interrupted(code, "interrupted: callimport status shows where it stands")
    if isinstance(error, MemoryError):
        return errors.ImporterError(
            "out of memory: close other programs, raise the limit (ulimit -v), or split the files; then run again"
        )
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return errors.ImporterError(
            "the system allows no further thread: end other programs or raise the limit (ulimit -u), then run again"
        )
    if isinstance(error, OSError) and error.errno in _NAMES:
        return errors.ConfigError(f"{_why(error)}: name another path, then run again")
    if isinstance(error, OSError):
        return errors.ImporterError(_of_the_system(error))
    return errors.ImporterError(
        f"{type(error).__name__}: {error} ({_place(error)}): this is a fault of callimport, please "
        "report it with this line; callimport doctor checks the ledger"
    )


def _why(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def _of_the_system(error: OSError) -> str:
    why = _why(error)
    if error.errno in _HANDLES:
        return f"{why}: raise the limit of open files (ulimit -n), then run again"
    if error.errno in _DISK:
        return f"{why}: free the disk or raise the limit (ulimit -f), then run again"
    if "temporary directory" in why:
        return f"{why}: free the disk, or name a folder for temporary files with TMPDIR, then run again"
    if isinstance(error, FileNotFoundError) and not error.filename:
        return f"the working folder is gone ({why}): change to a folder that exists, then run again"
    return f"{why}: free the disk or check the rights, then run again"


def _place(error: BaseException) -> str:
    """Where it was raised, for whoever mends it: the last line of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "callimport" in frame.filename] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "nowhere"
