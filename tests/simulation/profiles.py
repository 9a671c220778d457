"""Named sets of what a scenario draws, for faults that a seed by itself draws too seldom to be sure of."""

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation import dialect, lives, scenario
from tests.simulation.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Profile:
    """`change` makes of what the seed drew what this profile is about; it draws from a generator of its own."""

    about: str
    change: Callable[[Scenario, random.Random], Scenario]


def draw(seed: int, profile: str) -> Scenario:
    return PROFILES[profile].change(scenario.draw(seed), random.Random(f"{profile} {seed}"))


def _default(drawn: Scenario, _: random.Random) -> Scenario:
    return drawn


def _no_reference(drawn: Scenario, _: random.Random) -> Scenario:
    return dataclasses.replace(drawn, reference=False, look_alikes_meanwhile=0.0)


def _live_look_alikes(drawn: Scenario, rng: random.Random) -> Scenario:
    return dataclasses.replace(drawn, reference=True, look_alikes_meanwhile=rng.choice((0.1, 0.3, 0.6)))


def _no_reference_live(drawn: Scenario, rng: random.Random) -> Scenario:
    # Of a read that hides ours and shows theirs nobody could tell.
    reads = tuple(kind for kind in drawn.read_faults if kind != "incomplete")
    return dataclasses.replace(_live_look_alikes(drawn, rng), reference=False, read_faults=reads)


def _sloppy(drawn: Scenario, rng: random.Random) -> Scenario:
    return dataclasses.replace(drawn, dialect=dialect.sloppy(rng))


def _power_loss(drawn: Scenario, rng: random.Random) -> Scenario:
    befall = tuple(lives.Life(crash=lives.crash(rng, power_loss=1.0)) for _ in range(rng.randint(2, 5)))
    return dataclasses.replace(drawn, lives=befall)


def _late(drawn: Scenario, rng: random.Random) -> Scenario:
    befall = tuple(lives.Life(crash=lives.crash(rng, power_loss=0.2)) for _ in range(rng.randint(3, 6)))
    return dataclasses.replace(
        drawn,
        fault_rate=rng.choice((0.3, 0.5)),
        create_faults=("504, then committed late", "committed late", "slow"),
        read_faults=("dropped",),
        lives=befall,
    )


def _incomplete_reads(drawn: Scenario, rng: random.Random) -> Scenario:
    return dataclasses.replace(
        drawn,
        reference=True,
        fault_rate=rng.choice((0.3, 0.5)),
        create_faults=("committed late", "committed, then dropped"),
        read_faults=("incomplete",),
        refused_lead=None,
    )


def _trimming(drawn: Scenario, rng: random.Random) -> Scenario:
    return dataclasses.replace(
        drawn,
        reference=True,
        look_alikes_meanwhile=0.0,
        fault_rate=rng.choice((0.15, 0.3)),
        forgets_reference=rng.choice((0.1, 0.3, 0.6)),
        dialect=dataclasses.replace(drawn.dialect, trims=True, read_without=frozenset()),
    )


def _clocks(drawn: Scenario, rng: random.Random) -> Scenario:
    befall = tuple(
        dataclasses.replace(one, upsets=tuple(lives.upset(rng) for _ in range(rng.randint(1, 3))))
        for one in (*drawn.lives, lives.life(rng))
    )
    return dataclasses.replace(drawn, lives=befall)


def _bad_disk(drawn: Scenario, rng: random.Random) -> Scenario:
    befall = tuple(lives.Life(bad_disk=lives.bad_disk(rng)) for _ in range(rng.randint(2, 5)))
    return dataclasses.replace(drawn, lives=befall)


def _recordings(drawn: Scenario, rng: random.Random) -> Scenario:
    """Equal rows name the same file: they are the same call."""
    first: dict[tuple[str, ...], int] = {}
    rows = tuple((*row[:-1], f"{first.setdefault(row, number)}.wav") for number, row in enumerate(drawn.rows))
    befall = tuple(lives.Life(crash=lives.crash(rng, power_loss=0.3)) for _ in range(rng.randint(1, 3)))
    return dataclasses.replace(
        drawn, rows=rows, recorded=True, fault_rate=rng.choice((0.0, 0.15, 0.3)), lives=(*drawn.lives, *befall)
    )


def _existing(drawn: Scenario, rng: random.Random) -> Scenario:
    """The staff has brought some of the calls by then. Of a read that hides theirs nobody could tell."""
    reads = tuple(kind for kind in drawn.read_faults if kind != "incomplete")
    befall = tuple(lives.Life(crash=lives.crash(rng, power_loss=0.3)) for _ in range(rng.randint(0, 2)))
    return dataclasses.replace(
        drawn,
        existing="skip",
        reference=True,
        look_alikes_before=rng.choice((1, 3, 6)),
        look_alikes_meanwhile=0.0,
        read_faults=reads,
        lives=(*drawn.lives, *befall),
    )


PROFILES = {
    "default": Profile("everything below but lost references, each now and then", _default),
    "no-reference": Profile("no references; nobody types a call in meanwhile", _no_reference),
    "live-look-alikes": Profile("references; staff type in many of the calls that are under way", _live_look_alikes),
    "no-reference-live": Profile("no references, and staff who type in many of the calls", _no_reference_live),
    "sloppy": Profile("a CRM with manners of its own", _sloppy),
    "power-loss": Profile("every life ends with a power loss", _power_loss),
    "late": Profile("answers are lost, calls stored a minute later, and every life crashes", _late),
    "incomplete-reads": Profile("answers are lost, and reads leave out half", _incomplete_reads),
    "trimming": Profile("a CRM that cuts the reference off, of some calls", _trimming),
    "clocks": Profile("the machine sleeps and its wall clock jumps in every life", _clocks),
    "recordings": Profile("every call has a recording; uploads are lost and crashed at as creates are", _recordings),
    "existing": Profile("the staff has typed some of the calls in before; those are skipped", _existing),
    "bad-disk": Profile("every life meets a disk that fails or is full", _bad_disk),
}
