"""One run a ledger, one run an account; and the heartbeat by which others see how the run is doing.

The kernel frees the locks when their holder dies, however it dies. What the heartbeat says is for messages only.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock

from callimport.core import errors, files

PATIENCE_SECONDS = 2.0


def beside(ledger: Path, what: str) -> Path:
    """`ledger.sqlite3.lock`, `ledger.sqlite3.heartbeat`."""
    return ledger.with_name(f"{ledger.name}.{what}")


@contextlib.contextmanager
def held(
    path: Path,
    *,
    heartbeat: Path | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
    keeps_heartbeat: bool = False,
) -> Iterator[None]:
    """Hold the lock for the length of the block. RunInProgress, saying who holds it, if another process does.

    Whoever gets it takes the old heartbeat away: it is of a run that ended, and would be shown as if it still ran.
    """
    if not path.parent.is_dir():
        raise errors.ConfigError(f"the folder {path.parent} does not exist: make it first, or name another place")
    lock = filelock.FileLock(path, timeout=patience_seconds, mode=0o600)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise errors.RunInProgress(_who(path, heartbeat)) from None
    except OSError as error:
        raise errors.ConfigError(
            f"the lock {path} cannot be made: {error.strerror}; check the folder's rights"
        ) from None
    try:
        if heartbeat is not None and not keeps_heartbeat:
            with contextlib.suppress(OSError):
                heartbeat.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def not_written(ledger: Path) -> Iterator[None]:
    """Keep runs away from a ledger for the length of the block, to look at it. RunInProgress if one holds it. Nothing
    is written into its folder: a ledger without a lock is not of this machine's runs."""
    lock = beside(ledger, "lock")
    if not lock.exists():
        yield
        return
    with held(lock, heartbeat=beside(ledger, "heartbeat"), keeps_heartbeat=True):
        yield


def is_held(path: Path) -> bool:
    """Whether a run holds it now."""
    if not path.exists():
        return False
    try:
        with held(path, patience_seconds=0):
            return False
    except errors.RunInProgress:
        return True


def write_heartbeat(path: Path, beat: dict[str, Any]) -> None:
    with files.opened(path, is_kept=False) as file:
        json.dump(beat, file)


def read_heartbeat(path: Path) -> dict[str, Any] | None:
    """The last beat, None where there is none that can be read."""
    try:
        beat = files.read_json(path)
    except (OSError, ValueError):
        return None
    return beat if isinstance(beat, dict) else None


def _who(path: Path, heartbeat: Path | None) -> str:
    beat = read_heartbeat(heartbeat) if heartbeat else None
    if beat is None:
        return f"another run holds {path}: wait for it to end (callimport status shows it), then run again"
    return (
        f"run {beat.get('run_id')} (process {beat.get('pid')} on {beat.get('host')}, since {beat.get('started_at')}) "
        "holds this ledger: wait for it to end (callimport status shows it), then run again"
    )
