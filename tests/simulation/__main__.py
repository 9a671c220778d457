"""Figures of many seeds, or the whole history of one; exit code 1 on a finding. `--help` shows how."""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator

from tests.simulation import profiles
from tests.simulation.figures import Figures, Portion, figures_of, play_drawn
from tests.simulation.scenario import SEEDS_A_FILE

PROGRESS_SECONDS = 30.0
_ALL = "all"


def main() -> int:
    given = _asked()
    if given.seed is not None:
        played = play_drawn(given.seed, profile_of(given.seed, given.profile), given.crm)
        print("\n".join(played.lines))
        print(f"hash       {played.hash}")
        figures = Figures()
        figures.count(played, profile_of(given.seed, given.profile))
        return _tell(figures, 0.0)
    began = time.monotonic()
    figures = Figures()
    told_at = began
    for one in _played(list(_portions(given)), given.jobs):
        figures.add(one)
        for profile, seed, findings in one.broken:
            for finding in findings:
                print(f"{profile} {seed}: {finding}", flush=True)
        if time.monotonic() - told_at >= PROGRESS_SECONDS:
            told_at = time.monotonic()
            line = f"{figures.seeds:,} of {given.seeds:,} seeds, {figures.findings.total():,} findings"
            print(f"{told_at - began:.0f} s: {line}", file=sys.stderr, flush=True)
    return _tell(figures, time.monotonic() - began)


def profile_of(seed: int, profile: str) -> str:
    """With `all`, every file is played with every profile in turn."""
    names = sorted(profiles.PROFILES)
    return names[seed // SEEDS_A_FILE % len(names)] if profile == _ALL else profile


def _asked() -> argparse.Namespace:
    asked = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        epilog="profiles: " + "; ".join(f"{name}: {one.about}" for name, one in profiles.PROFILES.items()),
    )
    asked.add_argument("--seeds", type=int, default=100)
    asked.add_argument("--start", type=int, default=0)
    asked.add_argument("--jobs", type=int, default=1, help="processes; the figures are the same with any number")
    asked.add_argument("--seed", type=int, help="this one only, with its whole history")
    asked.add_argument("--profile", choices=(*profiles.PROFILES, _ALL), default="default")
    asked.add_argument("--crm", choices=("tidy", "sloppy"), help="its manners, instead of as the seed draws them")
    return asked.parse_args()


def _portions(given: argparse.Namespace) -> Iterator[Portion]:
    seed, end = given.start, given.start + given.seeds
    while seed < end:
        following = min(end, (seed // SEEDS_A_FILE + 1) * SEEDS_A_FILE)
        yield Portion(range(seed, following), profile_of(seed, given.profile), given.crm)
        seed = following


def _played(portions: list[Portion], jobs: int) -> Iterator[Figures]:
    if jobs == 1:
        yield from map(figures_of, portions)
        return
    # A forked child would inherit threads of polars in whatever state they are.
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(figures_of, portions)


def _tell(figures: Figures, seconds: float) -> int:
    print("\n".join(figures.told(seconds)))
    for profile, seed, _ in figures.broken:
        print(f"found something: --seed {seed} --profile {profile}", file=sys.stderr)
    return 1 if figures.broken else 0


if __name__ == "__main__":
    sys.exit(main())
