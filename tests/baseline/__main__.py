"""Compare what the program does today with the records: `python -m tests.baseline`. Exit code 1 on a difference.

`--record` writes the records anew; `git diff tests/baseline/records` then shows what changed. Record only a difference
that you can name and want.
"""

import argparse
import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tests.baseline import nights, records, sabotages

Observe = Callable[[], Any]


def observations() -> Iterator[tuple[str, Observe]]:
    """The name of each record, and what observes it anew."""
    yield sabotages.NAME, sabotages.observe
    for name in nights.STORIES:
        yield f"nights/{name}", functools.partial(_in_a_folder, name)


def _in_a_folder(name: str) -> Any:
    with tempfile.TemporaryDirectory(prefix="callimport-baseline-") as folder:
        return nights.play(name, Path(folder))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.baseline", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only records whose name contains one of these")
    parser.add_argument("--record", action="store_true", help="write the records anew instead of comparing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2, help="how many are observed at once")
    given = parser.parse_args()
    chosen = {
        name: observe
        for name, observe in observations()
        if not given.names or any(part in name for part in given.names)
    }
    began, different = time.monotonic(), 0
    with ThreadPoolExecutor(given.jobs) as workers:
        under_way = {workers.submit(observe): name for name, observe in chosen.items()}
        for done in as_completed(under_way):
            different += _tell(under_way[done], done.result(), is_recorded=given.record)
    seconds = time.monotonic() - began
    print(f"{len(chosen)} records, {different} {'written' if given.record else 'different'}, {seconds:.0f} s")
    return 1 if different and not given.record else 0


def _tell(name: str, observed: Any, *, is_recorded: bool) -> bool:
    """Whether the record differed."""
    lines = records.differences(name, observed)
    if lines and is_recorded:
        records.save(name, observed)
        print(f"written    {name}", flush=True)
    else:
        print("\n".join([f"different  {name}", *lines] if lines else [f"the same   {name}"]), flush=True)
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main())
