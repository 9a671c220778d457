"""Translate errors that nothing else has translated into one line that says what to do."""

import errno
import traceback
from pathlib import Path

import click

from callimport.core import errors
from callimport.core.signal_watch import watch

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_UNUSABLE_PATH = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR}
_TOO_MANY_FILES = {errno.EMFILE, errno.ENFILE}


def translated(error: BaseException) -> errors.ImporterError:
    """Return the error as an ImporterError with a message and an exit code. An ImporterError is returned as it is."""
    if isinstance(error, BaseExceptionGroup):
        # A task group wraps the errors of its tasks.
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
            "no further thread can be started: close other programs or raise the limit (ulimit -u), then run again"
        )
    if isinstance(error, OSError) and error.errno in _UNUSABLE_PATH:
        return errors.ConfigError(f"{_why(error)}: name another path, then run again")
    if isinstance(error, OSError):
        return errors.ImporterError(_system_message(error))
    return errors.ImporterError(
        f"{type(error).__name__}: {error} ({_place(error)}): this is a fault of callimport, please "
        "report it with this line; callimport doctor checks the ledger"
    )


def _why(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def _system_message(error: OSError) -> str:
    why = _why(error)
    if error.errno in _TOO_MANY_FILES:
        return f"{why}: raise the limit of open files (ulimit -n), then run again"
    if error.errno in _DISK_FULL:
        return f"{why}: free disk space or raise the limit (ulimit -f), then run again"
    if "temporary directory" in why:
        return f"{why}: free disk space, or name a folder for temporary files with TMPDIR, then run again"
    if isinstance(error, FileNotFoundError) and not error.filename:
        return f"the working folder does not exist any more ({why}): change to a folder that exists, then run again"
    return f"{why}: free disk space or check the permissions, then run again"


def _place(error: BaseException) -> str:
    """Return file and line of the last frame in callimport, for the bug report."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "callimport" in frame.filename] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "nowhere"
