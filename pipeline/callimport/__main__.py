"""The door: light, so that Ctrl-C while the rest is being loaded ends in a line as well."""

import gc
import sys


def main() -> None:
    gc.disable()
    try:
        from callimport.cli import commands
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted before anything began\n")
        sys.exit(130)
    # What was loaded stays to the end: to look through it for garbage, and at the end once more, takes 0.2 s.
    gc.freeze()
    gc.enable()
    commands.main()


if __name__ == "__main__":
    main()
