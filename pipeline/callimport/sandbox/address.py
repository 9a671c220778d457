"""The address file: how the importer finds a running sandbox, its key included; hence readable by its owner only."""

import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import tempfile

from callimport.sandbox import clock


class AddressError(Exception):
    """The file cannot be written; the message says what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Where a sandbox answers, and as whom."""

    url: str
    control_url: str
    token: str = dataclasses.field(repr=False)
    account_id: int
    account_name: str
    pid: int
    started_at: datetime.datetime


def refuse_another(path: pathlib.Path) -> None:
    """Raise AddressError where the sandbox that the file names still runs: the importer could not find two."""
    try:
        pid = json.loads(path.read_text(encoding="utf-8"))["pid"]
        os.kill(pid, 0)
    except (OSError, ValueError, KeyError, TypeError):
        return
    raise AddressError(f"a rehearsal CRM runs already (process {pid}): stop it, or name another --state-dir")


def write(path: pathlib.Path, address: Address) -> None:
    """Whole or not at all, mode 0600, in place of an older one. Raises AddressError."""
    text = json.dumps(dataclasses.asdict(address) | {"started_at": clock.iso(address.started_at)}, indent=2)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise _unwritable(path, error) from error


def remove(path: pathlib.Path, pid: int) -> None:
    """Take the file away, unless it is gone or another sandbox's by now."""
    try:
        is_ours = json.loads(path.read_text(encoding="utf-8")).get("pid") == pid
    except (OSError, ValueError, AttributeError):
        return
    if is_ours:
        with contextlib.suppress(OSError):
            path.unlink()


def _unwritable(path: pathlib.Path, error: OSError) -> AddressError:
    return AddressError(f"the address file {path} cannot be written: {error.strerror}; choose another --address-file")
