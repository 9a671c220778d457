"""Start callimport. This module loads little, so that a signal while the rest is loaded also ends in one line."""

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from typing import NoReturn

from callimport.core.signal_watch import watch


def main() -> None:
    _fill_closed_streams()
    watch.start()
    gc.disable()
    try:
        with _libraries_silenced():
            from callimport.cli import commands
    except BaseException as error:  # noqa: BLE001 - such as too little memory, or a damaged installation
        _exit_after_failed_load(f"{type(error).__name__}: {error}".splitlines()[0])
    # What was loaded stays to the end: to look through it for garbage, and at the end once more, takes 0.2 s.
    gc.freeze()
    gc.enable()
    try:
        commands.main()
    except SystemExit as ended:
        code = ended.code
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # All output is written. A normal exit would wait for every thread, and a thread may wait for ever in a read.
    os._exit(code if isinstance(code, int) else bool(code))


@contextlib.contextmanager
def _libraries_silenced() -> Iterator[None]:
    """Throw away what Rust writes to file handle 2 in a panic. The error that it raises is printed as one line."""
    watch.stderr = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(watch.stderr, 2)
        os.close(nowhere)
        watch.stderr, spare = 2, watch.stderr
        os.close(spare)


def _exit_after_failed_load(why: str) -> NoReturn:
    """Print the error and exit. Use only what is loaded already: any other module may be missing."""
    message = (
        f"callimport cannot be loaded ({why}): give it more memory, files and threads (ulimit -a shows the limits), or "
        "install it again"
    )
    # The module json is not loaded. Without these two characters the message needs no escapes.
    message = message.replace("\\", "/").replace('"', "'")
    with contextlib.suppress(OSError):
        if "--json" in sys.argv:
            os.write(1, f'{{"exit_code": 1, "error": "{message}"}}\n'.encode(errors="replace"))
        os.write(2, f"error: {message}\n".encode(errors="replace"))
    os._exit(1)


def _fill_closed_streams() -> None:
    """Open /dev/null in place of each closed standard stream.

    Otherwise a file that is opened later gets the number of the stream, and output goes into that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 (open until the process ends)


if __name__ == "__main__":
    main()
