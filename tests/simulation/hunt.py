"""Looks for the first seed that catches each sabotage: `python -m tests.simulation.hunt [--help]`."""

import argparse
import sys

from tests.simulation.profiles import PROFILES
from tests.simulation.sabotage import SABOTAGES, Sabotage
from tests.simulation.story import play

SEEDS = 200


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.simulation.hunt")
    asked.add_argument("names", nargs="*", help="sabotages; all of them if none is named")
    asked.add_argument("--seeds", type=int, default=SEEDS)
    asked.add_argument("--profile", choices=("own", "all", *PROFILES), default="own")
    given = asked.parse_args()
    missed = 0
    for name in given.names or sorted(SABOTAGES):
        breakage = SABOTAGES[name]
        chosen = {"own": [breakage.profile], "all": sorted(PROFILES)}.get(given.profile, [given.profile])
        for profile in chosen:
            first = hunt(breakage, profile, given.seeds)
            missed += given.profile == "own" and breakage.harm not in first
            told = ", ".join(f"{kind} {seed}" for kind, seed in sorted(first.items(), key=lambda one: one[1]))
            print(f"| {name} | {profile} | {told or 'none'} |", flush=True)
    return 1 if missed else 0


def hunt(breakage: Sabotage, profile: str, seeds: int) -> dict[str, int]:
    """The first seed of each kind of finding, up to the one that shows its harm."""
    first: dict[str, int] = {}
    with breakage.done():
        for seed in range(seeds):
            for one in play(seed, profile).findings:
                first.setdefault(one.kind, seed)
            if breakage.harm in first:
                break
    return first


if __name__ == "__main__":
    sys.exit(main())
