"""A few seeds of the simulation in the gate; `make simulate SEEDS=10000` plays as many as there is time for."""

import pytest

from tests.simulation.profiles import PROFILES
from tests.simulation.sabotage import SABOTAGES
from tests.simulation.story import play

SEEDS = range(9)
TWICE = 2
# Seeds that once found something, with what it was. They stay.
FOUND: dict[tuple[str, int], str] = {
    ("no-reference-live", 23): "a record of the staff, made before the call was sent, was taken for it",
    ("bad-disk", 0): "a ledger error met beside the delivery ended the run as a group of errors, without a word",
    ("bad-disk", 42): "the same, with a full disk",
    ("default", 52): "the same",
    ("trimming", 4045): "a call adopted the record of its twin in doubt, which was then sent again",
    ("trimming", 4223): "the same",
    ("default", 323): "a stray ledger took the place of one that had sent nothing yet, but had calls to send",
    ("default", 428): "the same",
    ("default", 6102): "two reads left out what a read at the start of the run had shown",
}


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_or_made_twice(profile: str, seed: int) -> None:
    assert play(seed, profile).findings == [], f"make simulate SEED={seed} PROFILE={profile}"


@pytest.mark.parametrize(("profile", "seed"), sorted(FOUND))
def test_what_was_found_once_is_not_found_again(profile: str, seed: int) -> None:
    assert play(seed, profile).findings == []


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("seed", range(TWICE))
def test_a_seed_is_a_history(seed: int, profile: str) -> None:
    first, second = play(seed, profile), play(seed, profile)
    assert first.lines == second.lines
    assert first.hash == second.hash


@pytest.mark.parametrize("name", sorted(SABOTAGES))
def test_a_broken_importer_is_caught(name: str) -> None:
    breakage = SABOTAGES[name]
    with breakage.done():
        assert breakage.harm in {one.kind for one in play(breakage.seed, breakage.profile).findings}
