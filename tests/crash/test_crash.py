"""The smallest scenes exhaustively, the others at some of their points; `make crash` plays every point of all."""

import functools
import inspect

import pytest

from callimport.ledger import Ledger
from tests.crash import sabotage
from tests.crash.exploration import Explored, explored
from tests.crash.sabotage import SABOTAGES
from tests.crash.scenes import SCENES

# With the share of the worlds of a second crash.
EXHAUSTIVELY = {"one call": 1, "422": 4, "lost and found": 4}
# Another share of the worlds in each scene would do as well; together they meet every verb and every phase.
EVERY = 10
PHASES = {
    "wire connect", "wire close", "wire GET account write 1", "wire GET account read 1", "wire GET account read 2",
    "wire GET leads write 1", "wire GET leads read 1", "wire GET leads read 2", "wire POST communications write 1",
    "wire POST communications write 2", "wire POST communications read 1", "wire POST communications read 2",
    "wire PUT communications write 1", "wire PUT communications write 2", "wire PUT communications read 1",
    "wire PUT communications read 2",
}  # fmt: skip


@functools.cache
def _sampled(name: str) -> Explored:
    """Asked for by several tests, played once."""
    return explored(name, worlds_every=EVERY)


@pytest.mark.parametrize(("name", "pairs_every"), EXHAUSTIVELY.items(), ids=str)
def test_a_crash_at_any_point_and_another_during_the_recovery_change_no_end(name: str, pairs_every: int) -> None:
    found = explored(name, pairs_every=pairs_every)
    assert found.broken == []
    assert found.singles == 4 * (found.points["ledger"] + found.points["wire"])
    assert (found.pairs_covered == found.pairs > found.singles) == (pairs_every == 1)


@pytest.mark.parametrize("name", sorted(SCENES.keys() - set(EXHAUSTIVELY)))
def test_a_crash_changes_no_end(name: str) -> None:
    assert _sampled(name).broken == [], f'python -m tests.crash "{name}"'


def test_a_death_leaves_what_was_shown() -> None:
    """The exploration goes on from what a life shows of its points; here each of them is died at, too."""
    found = explored("one call", dies=True)
    assert found.broken == []
    assert found.died * 2 == found.singles


@pytest.fixture(scope="module")
def steps() -> set[str]:
    """Those of all scenes, when nobody dies."""
    return {step for name in SCENES for step in _sampled(name).steps}


def test_every_verb_that_writes_is_a_point(steps: set[str]) -> None:
    verbs = {name for name, verb in inspect.getmembers(Ledger, inspect.isfunction) if ".transaction()" in _text(verb)}
    public = {name for name in verbs if not name.startswith("_")}
    assert {"intend", "delivered", "in_doubt", "settle", "enter"} <= public
    # The verbs on delivered calls have names of other verbs, some of them.
    assert {f"ledger {verb}: INSERT update_outcome" for verb in ("taken", "refused", "failed", "gone")} <= steps
    assert "ledger intend: INSERT update_attempt" in steps
    assert {f"ledger {verb}: COMMIT" for verb in public} | {"ledger open: COMMIT", "ledger close"} <= steps


def _text(verb: object) -> str:
    assert inspect.isfunction(verb)
    return inspect.getsource(inspect.unwrap(verb))


def test_every_phase_of_a_request_is_a_point(steps: set[str]) -> None:
    assert steps >= PHASES


@pytest.mark.parametrize("name", sorted(SABOTAGES))
def test_a_broken_importer_is_found(name: str) -> None:
    breakage = SABOTAGES[name]
    with breakage.done(), sabotage.without_the_look():
        assert breakage.expected in {one.finding.kind for one in explored(breakage.scene).broken}


@pytest.mark.parametrize("name", sorted(name for name, one in SABOTAGES.items() if one.resends))
def test_the_look_before_the_first_call_stops_a_broken_importer(name: str) -> None:
    breakage = SABOTAGES[name]
    with breakage.done():
        found = {one.finding.kind for one in explored(breakage.scene).broken}
    assert "exit code" in found
    assert "duplicated" not in found
