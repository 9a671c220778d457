"""Look-alikes in a real ledger: what is read of known calls, what a person decides, and two systems in one batch."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from callimport.core import errors, models
from callimport.core.decisions import CALLS
from callimport.core.models import ItemStatus
from callimport.ledger import Ledger
from tests import making, planning
from tests.making import STARTED

KNOWN = making.call("A-1")
HOUR = timedelta(hours=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = making.ledger(tmp_path / "ledger.sqlite3")
    opened.start_run("run-1")
    yield opened
    opened.close()


def _look(ledger: Ledger, seconds: int) -> None:
    """Enter a new call that is so many seconds after a known one."""
    making.enter(ledger, making.batch("a.csv"), making.call("A-1"), run_id="run-1")
    other = making.call("B-1", started_at=STARTED + timedelta(seconds=seconds))
    making.enter(ledger, making.batch("b.csv"), other, run_id="run-1")


# What is read of known calls


def _neighbours(ledger: Ledger, call: models.Call) -> pl.DataFrame:
    asked = pl.DataFrame([planning.row(call)], schema=CALLS, orient="row")
    return ledger.known_calls().view(asked).neighbours


@pytest.mark.parametrize(
    ("changes", "is_near"),
    [
        ({"started_at": STARTED + 26 * HOUR}, True),
        ({"started_at": STARTED - 26 * HOUR}, True),
        ({"started_at": STARTED + 26 * HOUR + timedelta(seconds=1)}, False),
        ({"started_at": STARTED - 26 * HOUR - timedelta(seconds=1)}, False),
        ({"customer_phone": making.OTHER_PHONE}, False),
        ({"direction": models.Direction.OUTGOING}, False),
        ({"system": "other"}, True),
    ],
    ids=str,
)
def test_items_of_the_same_phone_and_direction_within_26_hours_are_read(
    ledger: Ledger, changes: dict[str, Any], is_near: bool
) -> None:
    making.enter(ledger, making.batch("a.csv"), KNOWN)

    assert _neighbours(ledger, making.call("B-1", **changes))["key"].to_list() == [making.key(KNOWN)] * is_near


def test_waiting_item_is_no_neighbour(ledger: Ledger) -> None:
    making.enter(ledger, making.batch("a.csv"), KNOWN._replace(lead_id=0))

    assert _neighbours(ledger, making.call("B-1")).is_empty()


@pytest.mark.parametrize("of_minute", [frozenset(), frozenset({0})])
def test_ledger_remembers_whether_a_file_has_seconds(ledger: Ledger, of_minute: frozenset[int]) -> None:
    making.enter(ledger, making.batch("a.csv"), KNOWN, of_minute=of_minute)

    assert _neighbours(ledger, making.call("B-1"))["is_of_minute"].to_list() == [bool(of_minute)]


# A person decides


def test_a_look_alike_is_held_again_by_no_later_run(ledger: Ledger) -> None:
    """Once a person said that it is another call, it is."""
    _look(ledger, 1)
    other = making.call("B-1", started_at=STARTED + timedelta(seconds=1))
    ledger.resend(str(making.row(ledger, making.key(other))["reference"]))
    making.enter(ledger, making.batch("b.csv"), other, run_id="run-1")
    assert making.status(ledger, making.key(other)) == ItemStatus.PENDING


def test_a_person_gives_a_look_alike_up(ledger: Ledger) -> None:
    _look(ledger, 1)
    key = making.key(making.call("B-1"))
    ledger.withdraw_one(str(making.row(ledger, key)["reference"]))
    assert making.status(ledger, key) == ItemStatus.WITHDRAWN


def test_what_was_held_when_it_was_given_up_is_held_again(ledger: Ledger) -> None:
    """Whoever takes a look-alike back has not said that it is another call."""
    _look(ledger, 1)
    key = making.key(making.call("B-1"))
    reference = str(making.row(ledger, key)["reference"])
    why = making.row(ledger, key)["reason"]
    ledger.withdraw_one(reference)
    assert ledger.retry_one(reference.lower()) == ItemStatus.HELD
    assert (making.row(ledger, key)["status"], making.row(ledger, key)["reason"]) == ("held", why)
    ledger.resend(reference)
    ledger.withdraw(making.batch("b.csv").id)
    assert making.status(ledger, key) == ItemStatus.WITHDRAWN
    assert ledger.retry_one(reference) == ItemStatus.PENDING


@pytest.mark.parametrize("applied", [False, True])
def test_a_held_call_that_was_sent_can_be_given_up_and_is_not_sent_again(ledger: Ledger, applied: bool) -> None:
    """Be it in the CRM or not: nobody can find it, and it must not be on the list for ever."""
    making.enter(ledger, making.batch(), KNOWN, run_id="run-1")
    key = making.key(KNOWN)
    attempt = ledger.intend(key, "run-1")
    ledger.in_doubt(key, attempt, errors.InDoubt("no answer", applied=applied))
    ledger.settle(key, models.Verdict("held", "not shown"))
    reference = str(making.row(ledger, key)["reference"])
    ledger.withdraw_one(reference)
    assert making.status(ledger, key) == ItemStatus.WITHDRAWN
    assert ledger.unsent(reference) is None
    assert ledger.retry_one(reference) == ItemStatus.HELD


def _calls(count: int, *, name: str, shifted: int, shift: timedelta, **changes: Any) -> list[models.Call]:
    """So many calls, of which the first few are the usual ones at an offset."""
    return [
        making.call(
            f"{name}-{number}",
            row=number + 2,
            started_at=STARTED + number * HOUR + (shift if number < shifted else timedelta(seconds=77)),
            customer_phone=f"+1514555{100 + number:04d}",
            **changes,
        )
        for number in range(count)
    ]


# Two systems in one batch

_BOTH = making.batch("main.csv", "east.csv")


def _of_two_systems(ledger: Ledger, *calls: models.Call) -> list[ItemStatus]:
    """Where the calls end; those of the second file are of the system `east`."""
    told = [call._replace(system="east") if call.place.source == 1 else call for call in calls]
    making.enter(ledger, _BOTH, *told, run_id="run-1")
    return [making.status(ledger, making.key(call)) for call in told]


def test_a_look_alike_of_another_system_is_sent_once_a_person_said_so(ledger: Ledger) -> None:
    other = making.call("E-1", source=1, started_at=STARTED + timedelta(seconds=1))
    assert _of_two_systems(ledger, KNOWN, other) == [ItemStatus.PENDING, ItemStatus.HELD]
    key = making.key(other._replace(system="east"))
    ledger.resend(str(making.row(ledger, key)["reference"]))
    assert _of_two_systems(ledger, KNOWN, other) == [ItemStatus.PENDING, ItemStatus.PENDING]


def _in_second_file(calls: list[models.Call]) -> list[models.Call]:
    return [one._replace(place=models.Place(1, one.place.row)) for one in calls]


@pytest.mark.parametrize("count", [20, 60])
def test_two_exports_of_the_same_calls_are_refused_before_anything_is_entered(ledger: Ledger, count: int) -> None:
    """Also where a large export hides that a small one is the same: half of the calls of one system is enough."""
    main = _calls(count, name="m", shifted=count, shift=0 * HOUR)
    east = _in_second_file(_calls(40, name="e", shifted=20, shift=timedelta(seconds=1)))
    with pytest.raises(errors.GuardStopped, match=r"20 of (20|40) new calls of the system .* one of them only"):
        _of_two_systems(ledger, *main, *east)
    assert ledger.database.one("SELECT count(*) FROM item") == 0


@pytest.mark.parametrize(("count", "alike"), [(19, 19), (41, 20)])
def test_fewer_calls_that_two_systems_recorded_are_held_one_by_one(ledger: Ledger, count: int, alike: int) -> None:
    main = _calls(count, name="m", shifted=count, shift=0 * HOUR)
    east = _in_second_file(_calls(count, name="e", shifted=alike, shift=timedelta(seconds=1)))
    assert _of_two_systems(ledger, *main, *east).count(ItemStatus.HELD) == alike


def test_two_exports_of_the_same_calls_in_two_time_zones_are_refused(ledger: Ledger) -> None:
    main = _calls(40, name="m", shifted=40, shift=0 * HOUR)
    east = _in_second_file(_calls(20, name="e", shifted=20, shift=-3 * HOUR))
    with pytest.raises(errors.GuardStopped, match=r"20 of 20 new calls of the system east are 3 h before .* main"):
        _of_two_systems(ledger, *main, *east)


@examples(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 9)), min_size=2, max_size=8))
def test_calls_of_two_systems_that_may_be_one_are_never_both_sent(drawn: list[tuple[int, int, int]]) -> None:
    """And none of one system alone is held. Of two that begin at the same time, the key decides."""
    calls = [
        making.call(
            f"A-{row}",
            row=row,
            source=system,
            system=f"system-{system}",
            customer_phone=f"+1514555012{phone}",
            started_at=STARTED + timedelta(seconds=seconds),
        )
        for row, (system, phone, seconds) in enumerate(drawn, start=2)
    ]
    with contextlib.closing(Ledger.of_nothing(making.clock())) as ledger:
        ledger.start_run("run-1")
        making.enter(ledger, making.batch("0.csv", "1.csv", "2.csv"), *calls, run_id="run-1")
        for call in calls:
            earlier = [
                one
                for one in calls
                if one.system != call.system
                and one.customer_phone == call.customer_phone
                and 0 <= (call.started_at - one.started_at).total_seconds() <= 2
                and (one.started_at, making.key(one)) < (call.started_at, making.key(call))
            ]
            assert making.status(ledger, making.key(call)) == (ItemStatus.HELD if earlier else ItemStatus.PENDING)
