"""What many seeds came to, added up."""

import dataclasses
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.simulation import dialect, profiles
from tests.simulation.story import Played, play_out


@dataclass(frozen=True, slots=True)
class Portion:
    """Seeds that share their rows, so that one process judges them once. Any process can be given one."""

    seeds: range
    profile: str
    crm: str | None


@dataclass(slots=True)
class Figures:
    """`broken` are the seeds where something was found, with their profile and every finding."""

    seeds: int = 0
    rows: int = 0
    creates: int = 0
    lives: int = 0
    taken: int = 0
    adopted: int = 0
    virtual_seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[str, int, tuple[str, ...]]] = field(default_factory=list)

    def count(self, played: Played, profile: str) -> None:
        self.seeds += 1
        self.rows += len(played.scenario.rows)
        self.creates += played.creates
        self.lives += played.lives
        self.taken += played.taken
        self.adopted += played.adopted
        self.virtual_seconds += played.virtual_seconds
        self.statuses.update(played.statuses)
        self.faults.update(played.faults)
        self.crashes.update(played.crashes)
        self.findings.update({one.kind for one in played.findings})
        if played.findings:
            told = tuple(f"{one.kind}: {one.what}" for one in played.findings)
            self.broken.append((profile, played.scenario.seed, told))

    def add(self, other: "Figures") -> None:
        self.seeds += other.seeds
        self.rows += other.rows
        self.creates += other.creates
        self.lives += other.lives
        self.taken += other.taken
        self.adopted += other.adopted
        self.virtual_seconds += other.virtual_seconds
        self.statuses.update(other.statuses)
        self.faults.update(other.faults)
        self.crashes.update(other.crashes)
        self.findings.update(other.findings)
        self.broken.extend(other.broken)

    def told(self, seconds: float) -> Iterator[str]:
        """For people. Only the first line depends on anything but the seeds."""
        yield f"seeds      {self.seeds:,} in {seconds:.1f} s ({self.seeds / max(seconds, 1e-9):.1f} a second)"
        yield f"rows       {self.rows:,}"
        yield f"creates    {self.creates:,}"
        yield f"lives      {self.lives:,}"
        yield f"time       {self.virtual_seconds / 3600:,.0f} virtual hours"
        yield f"adopted    {self.adopted:,} calls, as told"
        yield f"taken      {self.taken:,} calls hold a record of the staff that nobody could tell from theirs"
        for name, counted in (("items", self.statuses), ("faults", self.faults), ("crashes", self.crashes)):
            yield f"{name:<10} {counted.total():,}"
            for kind, count in sorted(counted.items()):
                yield f"           {count:>9,}  {kind}"
        yield f"findings   {self.findings.total():,} {dict(sorted(self.findings.items()))}"


def figures_of(portion: Portion) -> Figures:
    figures = Figures()
    for seed in portion.seeds:
        figures.count(play_drawn(seed, portion.profile, portion.crm), portion.profile)
    return figures


def play_drawn(seed: int, profile: str, crm: str | None) -> Played:
    """The history of a seed; `crm` is "tidy" or "sloppy" where it is not to be as the seed draws it."""
    drawn = profiles.draw(seed, profile)
    if crm is not None:
        manner = dialect.TIDY if crm == "tidy" else dialect.sloppy(random.Random(f"manner {seed}"))
        drawn = dataclasses.replace(drawn, dialect=manner)
    return play_out(drawn)
