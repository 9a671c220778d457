"""Figures of many seeds of callers whose leads are looked up, or the whole history of one; exit code 1 on a finding.

`python -m tests.simulation.leads --seeds 300`; `--history` tells everything; `--hunt` looks for the first seed that
notices each sabotage.
"""

import argparse
import sys
import time
from collections import Counter

from tests.simulation.lead_sabotage import SABOTAGES
from tests.simulation.lead_story import play


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.simulation.leads")
    asked.add_argument("--seeds", type=int, default=100)
    asked.add_argument("--start", type=int, default=0)
    asked.add_argument("--history", action="store_true")
    asked.add_argument("--hunt", action="store_true")
    given = asked.parse_args()
    seeds = range(given.start, given.start + given.seeds)
    return _hunt(seeds) if given.hunt else _tell(seeds, history=given.history)


def _tell(seeds: range, *, history: bool) -> int:
    counts, faults, crashes, found = Counter[str](), Counter[str](), Counter[str](), 0
    began = time.monotonic()
    for seed in seeds:
        played = play(seed)
        counts.update(played.counts)
        faults.update(played.faults)
        crashes.update(played.crashes)
        for line in played.lines if history else ():
            print(line)
        for finding in played.findings:
            found += 1
            print(f"{seed}: {finding.kind}: {finding.what}", flush=True)
    print(f"{len(seeds):,} seeds in {time.monotonic() - began:.0f} s, {found} findings")
    for name, counted in (("counts", counts), ("faults", faults), ("crashes", crashes)):
        print(f"{name:<8} {counted.total():,}", dict(sorted(counted.items())))
    return 1 if found else 0


def _hunt(seeds: range) -> int:
    missed = 0
    for name, breakage in sorted(SABOTAGES.items()):
        first: dict[str, int] = {}
        with breakage.done():
            for seed in seeds:
                for finding in play(seed).findings:
                    first.setdefault(finding.kind, seed)
                if breakage.harm in first:
                    break
        missed += breakage.harm not in first
        print(f"{name}: {first}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
