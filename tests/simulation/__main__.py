"""Figures of many seeds, or the whole history of one; exit code 1 on a finding. `--help` shows how."""

import argparse
import sys
import time
from collections import Counter

from tests.simulation.story import Played, play


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.simulation")
    asked.add_argument("--seeds", type=int, default=100)
    asked.add_argument("--start", type=int, default=0)
    asked.add_argument("--seed", type=int, help="this one only, with its whole history")
    asked.add_argument("--reference", choices=("on", "off"), help="instead of as the seed draws it")
    given = asked.parse_args()
    reference = None if given.reference is None else given.reference == "on"
    if given.seed is not None:
        played = play(given.seed, reference=reference)
        print("\n".join(played.lines))
        return _tell([played], 0.0)
    began = time.monotonic()
    all_played = []
    for seed in range(given.start, given.start + given.seeds):
        played = play(seed, reference=reference)
        played.lines = []
        all_played.append(played)
        for finding in played.findings:
            print(f"seed {seed}: {finding.kind}: {finding.what}", flush=True)
    return _tell(all_played, time.monotonic() - began)


def _tell(all_played: list[Played], seconds: float) -> int:
    faults, crashes, statuses, findings = (Counter[str]() for _ in range(4))
    for played in all_played:
        faults.update(played.faults)
        crashes.update(played.crashes)
        statuses.update(played.statuses)
        findings.update({finding.kind for finding in played.findings})
    print(f"seeds      {len(all_played):,} in {seconds:.1f} s ({len(all_played) / max(seconds, 1e-9):.1f} a second)")
    print(f"rows       {sum(len(played.scenario.rows) for played in all_played):,}")
    print(f"creates    {sum(played.creates for played in all_played):,}")
    print(f"lives      {sum(played.lives for played in all_played):,}")
    print(f"time       {sum(played.virtual_seconds for played in all_played) / 3600:,.0f} virtual hours")
    for name, counted in (("items", statuses), ("faults", faults), ("crashes", crashes)):
        print(f"{name:<10} {counted.total():,}")
        for kind, count in sorted(counted.items()):
            print(f"           {count:>9,}  {kind}")
    broken = sorted(played.scenario.seed for played in all_played if played.findings)
    print(f"findings   {sum(findings.values()):,} {dict(sorted(findings.items()))}")
    if broken:
        print(f"seeds with findings: {' '.join(map(str, broken))}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
