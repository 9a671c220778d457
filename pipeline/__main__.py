"""The door: light, so that Ctrl-C while the rest is being loaded ends in a line as well."""

import sys


def main() -> None:
    try:
        from pipeline import cli
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted before anything began\n")
        sys.exit(130)
    cli.main()


if __name__ == "__main__":
    main()
