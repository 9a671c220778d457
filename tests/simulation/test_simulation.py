"""A few seeds of the simulation in the gate; `make simulate SEEDS=10000` plays as many as there is time for."""

import pytest

from tests.simulation.sabotage import SABOTAGES
from tests.simulation.story import play

SEEDS = range(30)
# Seeds that once found something, with what it was. They stay.
FOUND = {8: "waited for no time, again and again, for a doubt that was not ripe yet"}
CRASHING = (1, 6, 13)


@pytest.mark.parametrize("seed", [*SEEDS, *(seed for seed in FOUND if seed not in SEEDS)])
def test_nothing_is_lost_or_made_twice(seed: int) -> None:
    assert play(seed).findings == [], f"python -m tests.simulation --seed {seed}"


@pytest.mark.parametrize("seed", CRASHING)
def test_a_seed_is_a_history(seed: int) -> None:
    first, second = play(seed), play(seed)
    assert first.lines == second.lines
    assert first.hash == second.hash


@pytest.mark.parametrize("name", sorted(SABOTAGES))
def test_a_broken_importer_is_caught(name: str) -> None:
    breakage = SABOTAGES[name]
    with breakage.done():
        assert breakage.expected & {one.kind for one in play(breakage.seed, reference=breakage.reference).findings}
