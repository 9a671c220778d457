"""What stops a plan, so that a person looks at it first."""

import re
from collections import Counter
from dataclasses import replace

import polars as pl
import pytest

from callimport.core import errors
from callimport.core.decisions import Totals
from callimport.plan import guards
from callimport.plan.look_alikes import Compared
from tests.unit.plan.making_plans import SETTINGS

HOUR = 3600
NOTHING_HELD = pl.DataFrame(schema={"key": pl.String, "evidence": pl.String})


def refusal(totals: Totals, compared: Compared | None = None, **settings: object) -> str:
    """What is said, "" where the plan passes."""
    try:
        guards.judge(totals, compared, replace(SETTINGS, **settings))  # type: ignore[arg-type]
    except errors.GuardStopped as error:
        return str(error)
    return ""


def test_ordinary_plan_passes() -> None:
    assert refusal(Totals(new=1_000, known=1_000, changed=10)) == ""


def test_batch_takes_two_million_new_calls() -> None:
    assert refusal(Totals(new=2_000_000)) == ""
    assert "2,000,001 new calls are more than one batch takes" in refusal(Totals(new=2_000_001))


@pytest.mark.parametrize(("new", "beside", "stops"), [(40, 20, True), (41, 20, False), (19, 19, False)])
def test_half_of_the_new_calls_at_one_offset_stop_the_run(new: int, beside: int, stops: bool) -> None:
    totals = Totals(new=new, shifts_of_new=Counter({-4 * HOUR: beside, HOUR: 1}), batches_at=Counter())
    told = refusal(totals)

    assert bool(told) is stops
    assert not stops or f"{beside} of {new} new calls are 4 h before calls that the ledger knows" in told


def test_shifted_calls_are_told_with_the_pending_batch_to_withdraw() -> None:
    batches = Counter({(HOUR, "2222-2222"): 3, (HOUR, "3333-3333"): 9, (2 * HOUR, "4444-4444"): 99})
    totals = Totals(new=30, shifts_of_new=Counter({HOUR: 30}), batches_at=batches)

    assert "callimport withdraw 3333-3333 first" in refusal(totals)


@pytest.mark.parametrize(("known", "moved", "stops"), [(40, 20, True), (41, 20, False), (19, 19, False)])
def test_half_of_the_known_calls_moved_by_one_offset_stop_the_run(known: int, moved: int, stops: bool) -> None:
    totals = Totals(new=3, known=known, shifts_of_known=Counter({HOUR: moved}))

    assert bool(refusal(totals)) is stops
    assert refusal(replace(totals, new=0)) == ""


@pytest.mark.parametrize(("new", "alike", "stops"), [(40, 20, True), (41, 20, False), (19, 19, False)])
def test_half_of_the_new_calls_under_other_ids_stop_the_run(new: int, alike: int, stops: bool) -> None:
    assert bool(refusal(Totals(new=new, alike=alike))) is stops


@pytest.mark.parametrize(("known", "held", "stops"), [(999, 50, True), (1_000, 50, False), (49, 49, False)])
def test_many_held_updates_stop_the_run(known: int, held: int, stops: bool) -> None:
    told = refusal(Totals(known=known, held_updates=held, held_example=("k", "row 2 of calls.csv …")))

    assert bool(told) is stops
    assert not stops or "(row 2 of calls.csv …)" in told


@pytest.mark.parametrize(("known", "changed", "stops"), [(999, 50, True), (1_000, 50, False), (49, 49, False)])
def test_many_changes_stop_the_run(known: int, changed: int, stops: bool) -> None:
    totals = Totals(known=known, changed=changed, fields=Counter(call_duration=changed), change_example=("1", "the …"))
    told = refusal(totals)

    assert bool(told) is stops
    assert not stops or re.search(r"\(call_duration of 50; such as the …\)", told)
    assert refusal(totals, only_recordings=True) == ""
    assert refusal(totals, allow_updates=changed) == ""
    assert refusal(totals, on_change="report") == ""


@pytest.mark.parametrize(("known", "replaced", "stops"), [(999, 50, True), (1_000, 50, False), (49, 49, False)])
def test_many_replaced_recordings_stop_the_run(known: int, replaced: int, stops: bool) -> None:
    totals = Totals(known=known, recordings_replaced=replaced, changed=min(replaced, 40))

    assert bool(refusal(totals)) is stops
    assert not stops or "50 of 999 known calls name another recording than the one that the CRM has" in refusal(totals)
    assert refusal(totals, allow_updates=replaced) == ""
    assert refusal(totals, on_change="report") == ""


@pytest.mark.parametrize(("shift", "told"), [(None, "have the number, direction and time"), (HOUR, "are 1 h after")])
def test_two_exports_of_the_same_calls_stop_the_run(shift: int | None, told: str) -> None:
    pairs = Counter({("crm", "pbx", shift): 20, ("pbx", "crm", shift): 19})
    compared = Compared(NOTHING_HELD, new=Counter(crm=40, pbx=100), pairs=pairs)

    assert told in refusal(Totals(new=140), compared)
    assert refusal(Totals(new=140), replace(compared, new=Counter(crm=41, pbx=100))) == ""
