"""The door: light, so that a signal while the rest is being loaded ends in a line as well."""

import gc
import os
import sys

from callimport.core.signal_watch import watch


def main() -> None:
    _fill_closed_streams()
    watch.start()
    gc.disable()
    from callimport.cli import commands

    # What was loaded stays to the end: to look through it for garbage, and at the end once more, takes 0.2 s.
    gc.freeze()
    gc.enable()
    try:
        commands.main()
    except SystemExit as ended:
        code = ended.code
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # All is written and closed. The interpreter would still wait for threads, and one may wait for ever in a read.
    os._exit(code if isinstance(code, int) else bool(code))


def _fill_closed_streams() -> None:
    """Put /dev/null in place of a closed stream: else a file opened later takes its number, and is written to."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 (as long as the process)


if __name__ == "__main__":
    main()
