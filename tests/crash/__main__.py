"""The table of all scenes, or of those named; exit code 1 on a finding. `--help` shows how."""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from tests.crash.exploration import Explored, explored
from tests.crash.scenes import SCENES

COLUMNS = ("ledger", "wire", "singles", "worlds", "died", "doubles", "covered", "worlds", "held", "findings")


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.crash")
    asked.add_argument("scenes", nargs="*", metavar="SCENE", help="these only")
    asked.add_argument(
        "--pairs-every", type=int, default=1, metavar="N", help="every Nth world of a second crash; 0: none"
    )
    asked.add_argument("--no-deaths", action="store_true", help="show what a death would leave, without dying for it")
    asked.add_argument("--workers", type=int, default=2)
    given = asked.parse_args()
    if unknown := set(given.scenes) - SCENES.keys():
        asked.error(f"no scene is called {', '.join(sorted(unknown))}; there are: {', '.join(SCENES)}")
    began, done = time.monotonic(), dict[str, Explored]()
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as workers:
        names = {
            workers.submit(explored, name, pairs_every=given.pairs_every, dies=not given.no_deaths): name
            for name in given.scenes or SCENES
        }
        for future in as_completed(names):
            done[names[future]] = future.result()
            print(f"{len(done)}/{len(names)} {names[future]}", file=sys.stderr, flush=True)
    return _tell([done[name] for name in given.scenes or SCENES], time.monotonic() - began)


def _tell(all_explored: list[Explored], seconds: float) -> int:
    print(f"{'':<32}" + "".join(f"{name:>12}" for name in COLUMNS))
    for one in all_explored:
        print(f"{one.scene:<32}" + "".join(f"{figure:>12,}" for figure in _figures(one)))
    total = [sum(figures) for figures in zip(*map(_figures, all_explored), strict=True)]
    print(f"{'all':<32}" + "".join(f"{figure:>12,}" for figure in total))
    held = sum((one.held for one in all_explored), Counter[str]())
    pairs = sum(one.pairs for one in all_explored)
    covered = sum(one.pairs_covered for one in all_explored) / max(pairs, 1)
    print(f"\n{len(all_explored)} scenes in {seconds:.0f} s; single crashes 100 %, double crashes {covered:.1%}")
    print(f"lives      {sum(one.lives for one in all_explored):,}")
    print(f"held       {dict(sorted((str(why), count) for why, count in held.items()))}")
    for one in all_explored:
        kinds = Counter(broken.finding.kind for broken in one.broken)
        for kind, count in kinds.items():
            first = next(broken for broken in one.broken if broken.finding.kind == kind)
            crashes = ", then ".join(map(str, first.crashes)) or "nobody died"
            print(f"FINDING: {one.scene}: {count} × {kind}, first after {crashes}: {first.finding.what}")
    return 1 if any(one.broken for one in all_explored) else 0


def _figures(one: Explored) -> list[int]:
    return [
        one.points["ledger"], one.points["wire"], one.singles, one.worlds, one.died, one.pairs, one.pairs_covered,
        one.pair_worlds, one.held.total(), len(one.broken),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
