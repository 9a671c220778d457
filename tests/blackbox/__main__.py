"""Play whole imports from outside. Print one line for each seed, then totals. Exit code 1 if there is a finding."""

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from tests.blackbox import comparison
from tests.blackbox.playing import Played, play
from tests.blackbox.processes import BASELINE, TREE, stop_everything_on_signals
from tests.blackbox.stories import FEATURES, Story, draw

# Two stories with kills, then one comparison with the baseline.
KILLS_IN_A_ROW = 2
# In so many stories with kills, at least one kill must meet a process.
ENOUGH_STORIES = 10
MOST_FINDINGS_SHOWN = 6
MODES = ("mixed", "kills", "compare")


@dataclass(slots=True)
class Outcome:
    """What one seed came to."""

    story: Story
    mode: str
    played: list[Played]
    findings: list[str]
    seconds: float


@dataclass(slots=True)
class Figures:
    stories: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    runs: int = 0
    kills: int = 0
    signals: int = 0
    decided: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    features: Counter[str] = field(default_factory=Counter)
    findings: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.blackbox", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many stories to play")
    parser.add_argument("--start", type=int, default=1, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this one story and show every command")
    parser.add_argument(
        "--mode",
        choices=MODES,
        default="mixed",
        help="kills: stop runs by signals; compare: play with the baseline, too; mixed: two with kills, one compared",
    )
    parser.add_argument("--program", metavar="PATH", help="the program to play with (default: the one of this tree)")
    parser.add_argument("--crm", metavar="PATH", help="the program whose rehearsal CRM is used (default: the baseline)")
    parser.add_argument("--without", action="append", default=[], choices=FEATURES, help="leave a feature out")
    parser.add_argument("--jobs", type=int, default=(os.cpu_count() or 1) + 1, help="stories at a time")
    given = parser.parse_args(arguments)
    crm = (str(Path(given.crm).absolute()),) if given.crm else BASELINE
    if not Path(crm[0]).exists():
        parser.error(f"{crm[0]} does not exist. Build it: make build/baseline/bin/callimport")
    stop_everything_on_signals()
    program = (str(Path(given.program).absolute()),) if given.program else TREE
    seeds = [given.seed] if given.seed is not None else range(given.start, given.start + given.seeds)
    began, figures = time.monotonic(), Figures()
    with ThreadPoolExecutor(given.jobs) as pool:
        waiting = [pool.submit(_one, seed, given, program, crm) for seed in seeds]
        for each in as_completed(waiting):
            _tell(each.result(), given, figures)
    used = os.times()
    busy = used.user + used.system + used.children_user + used.children_system
    print(f"\n{len(seeds)} seeds in {time.monotonic() - began:.0f} s, {busy:.0f} s of processor time")
    print(f"stories {dict(sorted(figures.stories.items()))}")
    print(f"calls {figures.calls:,}, commands {figures.runs:,}, kills {figures.kills}, signals {figures.signals}")
    print(f"held calls that the driver decided {figures.decided}")
    print(f"exit codes {dict(sorted(figures.codes.items()))}")
    print(f"faults met {figures.faults.total()}: {dict(sorted(figures.faults.items()))}")
    print(f"features {dict(sorted(figures.features.items()))}")
    if figures.stories["kills"] >= ENOUGH_STORIES and not figures.kills:
        figures.findings += 1
        print("FINDING: no story met a kill, so nothing was shown about kills")
    print(f"findings {figures.findings}")
    return 1 if figures.findings else 0


def _one(seed: int, given: argparse.Namespace, program: Sequence[str], crm: Sequence[str]) -> Outcome:
    began = time.monotonic()
    compares = given.mode == "compare" or (given.mode == "mixed" and seed % (KILLS_IN_A_ROW + 1) == 0)
    story = draw(seed, compares=compares, without=given.without)
    programs = {"tree": program, "baseline": crm} if compares else {"tree": program}
    played, findings = [], []
    with tempfile.TemporaryDirectory(prefix="callimport-blackbox-") as folder:
        for name, command in programs.items():
            place = Path(folder) / name
            place.mkdir()
            try:
                one = play(story, command, crm, place)
            except Exception as error:  # noqa: BLE001 - one story that breaks off must not take the others along
                findings.append(f"{name}: the story broke off: {type(error).__name__}: {error}")
                continue
            played.append(one)
            findings += [f"{name}, {finding}" for finding in one.findings]
    if len(played) > 1:
        findings += comparison.differences(played[0], played[1])
    return Outcome(story, "compare" if compares else "kills", played, findings, time.monotonic() - began)


def _tell(outcome: Outcome, given: argparse.Namespace, figures: Figures) -> None:
    story, played = outcome.story, outcome.played
    figures.stories[outcome.mode] += 1
    figures.calls += story.calls
    figures.runs += sum(one.runs for one in played)
    figures.kills += sum(one.kills for one in played)
    figures.signals += sum(one.signals for one in played)
    figures.decided += sum(one.decided for one in played)
    figures.findings += len(outcome.findings)
    figures.features.update(story.features)
    for one in played:
        figures.faults.update(one.faults)
        figures.codes.update(one.codes)
    print(
        f"seed {story.seed:>4}  {outcome.mode:<8}{story.kind:<10}{len(story.nights)} nights {story.calls:>3} calls "
        f"{sum(one.runs for one in played):>3} commands {sum(one.kills + one.signals for one in played):>2} stops "
        f"{sum(one.faults.total() for one in played):>3} faults {outcome.seconds:>5.0f} s  "
        f"{len(outcome.findings) or 'no'} findings",
        flush=True,
    )
    if given.seed is not None:
        print(f"  {', '.join(story.features)}")
        for one in played:
            print("\n".join(f"  {line}" for line in one.log))
    most = len(outcome.findings) if given.seed is not None else MOST_FINDINGS_SHOWN
    for finding in outcome.findings[:most]:
        print(f"  FINDING: {finding}")
    if len(outcome.findings) > most:
        print(f"  and {len(outcome.findings) - most} more")
    if outcome.findings:
        print(f"  again: {_again(story.seed, given)}", flush=True)


def _again(seed: int, given: argparse.Namespace) -> str:
    words = ["python", "-m", "tests.blackbox", "--seed", str(seed), "--mode", given.mode]
    for name in ("program", "crm"):
        if getattr(given, name):
            words += [f"--{name}", getattr(given, name)]
    for feature in given.without:
        words += ["--without", feature]
    return shlex.join(words)


if __name__ == "__main__":
    sys.exit(main())
