"""Leads that are looked up and calls that wait for theirs, by chance: a few seeds, and breakages that must be noticed.

`python -m tests.simulation.leads --seeds 300` plays as many as there is time for.
"""

import pytest

from tests.simulation.lead_sabotage import SABOTAGES
from tests.simulation.lead_story import play

# Seeds that once found something, with what it was. They stay.
FOUND = {
    0: "a call that could not be taken along on the last night of its grace was given up the next one",
    17: "a page of leads that kept one back was believed",
}


@pytest.mark.parametrize("seed", sorted(FOUND))
def test_every_call_ends_once_at_its_lead_or_waits_for_it(seed: int) -> None:
    assert play(seed).findings == [], f"python -m tests.simulation.leads --start {seed} --seeds 1"


@pytest.mark.parametrize("name", sorted(SABOTAGES))
def test_a_broken_look_up_is_noticed(name: str) -> None:
    breakage = SABOTAGES[name]
    with breakage.done():
        assert breakage.harm in {one.kind for one in play(breakage.seed).findings}
