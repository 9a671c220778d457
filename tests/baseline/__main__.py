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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tests.baseline import first_runs, nights, outcomes_of_exceptions, outcomes_on_the_wire, records, sabotages

Observed = Iterator[tuple[str, Any]]


def observed(is_chosen: Callable[[str], bool], jobs: int) -> Observed:
    """The name of each chosen record, and what was observed anew."""
    if is_chosen(sabotages.NAME):
        yield sabotages.NAME, sabotages.observe()
    if is_chosen(outcomes_of_exceptions.NAME):
        yield outcomes_of_exceptions.NAME, outcomes_of_exceptions.observe_exceptions()
    with tempfile.TemporaryDirectory(prefix="callimport-baseline-") as folder:
        yield from first_runs.observe(Path(folder), is_chosen)
    yield from _nights([name for name in nights.STORIES if is_chosen(f"nights/{name}")], jobs)
    if is_chosen(outcomes_on_the_wire.NAME):
        yield (
            outcomes_on_the_wire.NAME,
            outcomes_on_the_wire.observe_wire(say=lambda told: print(f"observed   {told}", flush=True)),
        )


def _nights(names: Sequence[str], jobs: int) -> Observed:
    with ThreadPoolExecutor(jobs) as workers:
        under_way = {workers.submit(_in_a_folder, name): name for name in names}
        for done in as_completed(under_way):
            yield f"nights/{under_way[done]}", done.result()


def _in_a_folder(name: str) -> Any:
    with tempfile.TemporaryDirectory(prefix="callimport-baseline-") as folder:
        return records.observed(functools.partial(nights.play, name, Path(folder)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.baseline", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only records whose name contains one of these")
    parser.add_argument("--record", action="store_true", help="write the records anew instead of comparing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2, help="how many are observed at once")
    given = parser.parse_args()

    def is_chosen(name: str) -> bool:
        return not given.names or any(part in name for part in given.names)

    began, count, different = time.monotonic(), 0, 0
    for name, found in observed(is_chosen, given.jobs):
        count += 1
        different += _tell(name, found, is_recorded=given.record)
    seconds = time.monotonic() - began
    print(f"{count} records, {different} {'written' if given.record else 'different'}, {seconds:.0f} s")
    if not count:
        parser.error(f"no record has {' or '.join(given.names)} in its name")
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
