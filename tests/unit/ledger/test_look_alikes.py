"""New calls that the ledger knows under another key."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from callimport.core import errors, models
from callimport.core.models import ItemStatus
from callimport.ledger import Ledger
from tests import making
from tests.making import STARTED

KNOWN = making.call("A-1")
HOUR = timedelta(hours=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = making.ledger(tmp_path / "ledger.sqlite3")
    opened.start_run("run-1")
    yield opened
    opened.close()


def _look(ledger: Ledger, seconds: int, *, at: Any = STARTED, **changes: Any) -> ItemStatus:
    """Where a new call ends that is so many seconds after a known one."""
    making.enrol(ledger, making.batch("a.csv"), making.call("A-1", started_at=at), run_id="run-1")
    other = making.call("B-1", started_at=at + timedelta(seconds=seconds), **changes)
    making.enrol(ledger, making.batch("b.csv"), other, run_id="run-1")
    return making.status(ledger, making.key(other))


@pytest.mark.parametrize(
    ("seconds", "status"), [(0, "held"), (2, "held"), (-2, "held"), (3, "pending"), (-3, "pending")]
)
def test_a_new_call_within_two_seconds_of_a_known_one_is_for_a_person(
    ledger: Ledger, seconds: int, status: str
) -> None:
    assert _look(ledger, seconds) == status


@pytest.mark.parametrize(("seconds", "status"), [(9, "held"), (60, "held"), (-60, "held"), (61, "pending")])
def test_a_time_without_seconds_resembles_whatever_lies_within_its_minute(
    ledger: Ledger, seconds: int, status: str
) -> None:
    assert _look(ledger, seconds, at=STARTED.replace(second=0)) == status


@pytest.mark.parametrize(
    "changes", [{"customer_phone": making.OTHER_PHONE}, {"direction": models.Direction.OUTGOING}], ids=str
)
def test_another_number_or_direction_is_another_call(ledger: Ledger, changes: dict[str, Any]) -> None:
    assert _look(ledger, 0, **changes) == "pending"


@pytest.mark.parametrize("changes", [{"lead_id": 5009}, {"system": "other"}, {"duration_seconds": 1}], ids=str)
def test_lead_system_and_duration_make_no_other_call(ledger: Ledger, changes: dict[str, Any]) -> None:
    assert _look(ledger, 1, **changes) == "held"


def test_two_calls_of_one_file_are_never_each_others_look_alike(ledger: Ledger) -> None:
    calls = [making.call("A-1"), making.call("B-1", row=3)]
    making.enrol(ledger, making.batch(), *calls, run_id="run-1")
    assert {making.status(ledger, making.key(one)) for one in calls} == {ItemStatus.PENDING}


def test_a_withdrawn_call_resembles_nothing(ledger: Ledger) -> None:
    making.enrol(ledger, making.batch("a.csv"), KNOWN, run_id="run-1")
    ledger.withdraw(making.batch("a.csv").id)
    other = making.call("B-1")
    making.enrol(ledger, making.batch("b.csv"), other, run_id="run-1")
    assert making.status(ledger, making.key(other)) == ItemStatus.PENDING


def test_a_look_alike_names_what_it_resembles(ledger: Ledger) -> None:
    _look(ledger, 1)
    reason = str(making.row(ledger, making.key(making.call("B-1")))["reason"])
    assert str(making.row(ledger, making.key(KNOWN))["reference"]) in reason
    assert "row 2 of a.csv" in reason
    assert "1 s apart" in reason


def test_a_look_alike_is_held_again_by_no_later_run(ledger: Ledger) -> None:
    """Once a person said that it is another call, it is."""
    _look(ledger, 1)
    other = making.call("B-1", started_at=STARTED + timedelta(seconds=1))
    ledger.resend(str(making.row(ledger, making.key(other))["reference"]))
    making.enrol(ledger, making.batch("b.csv"), other, run_id="run-1")
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
    making.enrol(ledger, making.batch(), KNOWN, run_id="run-1")
    key = making.key(KNOWN)
    attempt = ledger.intend(key, "run-1")
    ledger.in_doubt(key, attempt, errors.InDoubt("no answer", applied=applied))
    ledger.settle(key, models.Verdict("held", "not shown"))
    reference = str(making.row(ledger, key)["reference"])
    ledger.withdraw_one(reference)
    assert making.status(ledger, key) == ItemStatus.WITHDRAWN
    assert ledger.unsent(reference) is None
    assert ledger.retry_one(reference) == ItemStatus.HELD


# Another time zone


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


def _enrol_shifted(ledger: Ledger, count: int, shifted: int, shift: timedelta, **changes: Any) -> list[models.Call]:
    known = _calls(count, name="known", shifted=count, shift=timedelta(0))
    making.enrol(ledger, making.batch("a.csv"), *known, run_id="run-1")
    again = _calls(count, name="again", shifted=shifted, shift=shift, **changes)
    making.enrol(ledger, making.batch("b.csv"), *again, run_id="run-1")
    return again


def _deliver(ledger: Ledger, calls: list[models.Call]) -> None:
    making.enrol(ledger, making.batch("a.csv"), *calls, run_id="run-1")
    for number, call in enumerate(calls):
        making.bring(ledger, making.key(call), "run-1", ItemStatus.DELIVERED, communication_id=900 + number)


@pytest.mark.parametrize("new", [0, 1])
def test_known_calls_at_one_offset_stop_new_ones_from_going_out_at_a_wrong_time(ledger: Ledger, new: int) -> None:
    """With ids they are known, and would only count as changed. Where nothing is new, nothing would go out wrong."""
    known = _calls(20, name="A", shifted=20, shift=timedelta(0))
    _deliver(ledger, known)
    again = [call._replace(started_at=call.started_at + 3 * HOUR) for call in known]
    others = [making.call(f"B-{number}", row=900 + number, customer_phone="+15145550199") for number in range(new)]
    if new:
        with pytest.raises(errors.GuardStopped, match=r"20 of 20 known calls are 3 h later .* 1 new .* --timezone"):
            making.enrol(ledger, making.batch("b.csv"), *again, *others, run_id="run-1")
    else:
        assert making.enrol(ledger, making.batch("b.csv"), *again, run_id="run-1").changed == 20


@pytest.mark.parametrize(("known", "shifted"), [(19, 19), (41, 20)])
def test_fewer_known_calls_at_one_offset_are_corrections(ledger: Ledger, known: int, shifted: int) -> None:
    calls = _calls(known, name="A", shifted=known, shift=timedelta(0))
    _deliver(ledger, calls)
    again = [
        call._replace(started_at=call.started_at + (HOUR if at < shifted else 0 * HOUR))
        for at, call in enumerate(calls)
    ]
    other = making.call("B-1", row=900, customer_phone="+15145550199")
    assert making.enrol(ledger, making.batch("b.csv"), *again, other, run_id="run-1").changed == shifted


@pytest.mark.parametrize("hours", [4, -5, 0.25, 26])
def test_half_of_the_new_calls_at_one_offset_is_another_time_zone(ledger: Ledger, hours: float) -> None:
    with pytest.raises(errors.GuardStopped, match="time zone") as stopped:
        _enrol_shifted(ledger, 20, 10, hours * HOUR)
    assert f"10 of 20 new calls are {abs(hours):g} h {'after' if hours > 0 else 'before'}" in str(stopped.value)
    assert ledger.database.one("SELECT count(*) FROM item") == 20


@pytest.mark.parametrize(
    ("count", "shifted", "shift"),
    [
        (19, 19, 4 * HOUR),
        (20, 9, 4 * HOUR),
        (20, 20, timedelta(minutes=14)),
        (20, 20, 26.25 * HOUR),
    ],
)
def test_fewer_less_even_or_farther_offsets_are_other_calls(
    ledger: Ledger, count: int, shifted: int, shift: timedelta
) -> None:
    again = _enrol_shifted(ledger, count, shifted, shift)
    assert {making.status(ledger, making.key(one)) for one in again} == {ItemStatus.PENDING}


def test_another_system_is_the_way_past_the_shift_guard(ledger: Ledger) -> None:
    again = _enrol_shifted(ledger, 20, 20, 4 * HOUR, system="other")
    assert {making.status(ledger, making.key(one)) for one in again} == {ItemStatus.PENDING}


def test_what_was_withdrawn_is_no_other_time_zone(ledger: Ledger) -> None:
    making.enrol(
        ledger, making.batch("a.csv"), *_calls(20, name="known", shifted=20, shift=timedelta(0)), run_id="run-1"
    )
    ledger.withdraw(making.batch("a.csv").id)
    again = _calls(20, name="again", shifted=20, shift=4 * HOUR)
    making.enrol(ledger, making.batch("b.csv"), *again, run_id="run-1")
    assert {making.status(ledger, making.key(one)) for one in again} == {ItemStatus.PENDING}


@pytest.mark.parametrize("count", [19, 20])
def test_many_known_calls_under_other_ids_are_refused_before_anything_is_entered(ledger: Ledger, count: int) -> None:
    """Another report of the same calls, or a mistyped system: nobody could decide them one by one."""
    known = _calls(count, name="known", shifted=count, shift=timedelta(0))
    making.enrol(ledger, making.batch("a.csv"), *known, run_id="run-1")
    again = _calls(count, name="again", shifted=count // 2 + 1, shift=timedelta(0), system="east")
    if count == 20:
        with pytest.raises(errors.GuardStopped, match="--system"):
            making.enrol(ledger, making.batch("b.csv"), *again, run_id="run-1")
        assert ledger.database.one("SELECT count(*) FROM item") == 20
    else:
        making.enrol(ledger, making.batch("b.csv"), *again, run_id="run-1")
        assert ledger.database.one("SELECT count(*) FROM item WHERE status = 'held'") == 10


def test_a_redial_on_the_full_minute_is_another_call_where_its_file_has_seconds(ledger: Ledger) -> None:
    first, later = STARTED.replace(second=5), STARTED.replace(second=0) + timedelta(minutes=1)
    making.enrol(ledger, making.batch("a.csv"), making.call("A-1", started_at=first), run_id="run-1")
    redial = making.call("B-1", row=3, started_at=later)
    other = making.call("B-2", row=4, started_at=later + timedelta(seconds=7), customer_phone=making.OTHER_PHONE)
    making.enrol(ledger, making.batch("b.csv"), redial, other, run_id="run-1")
    assert making.status(ledger, making.key(redial)) == ItemStatus.PENDING


# Two systems in one batch

_BOTH = making.batch("main.csv", "east.csv")


def _of_two_systems(ledger: Ledger, *calls: models.Call) -> list[ItemStatus]:
    """Where the calls end; those of the second file are of the system `east`."""
    told = [call._replace(system="east") if call.place.source == 1 else call for call in calls]
    making.enrol(ledger, _BOTH, *told, run_id="run-1")
    return [making.status(ledger, making.key(call)) for call in told]


@pytest.mark.parametrize(
    ("seconds", "status"), [(0, ["pending", "held"]), (2, ["pending", "held"]), (-1, ["held", "pending"])]
)
def test_the_later_of_two_calls_that_two_systems_recorded_is_held(
    ledger: Ledger, seconds: int, status: list[str]
) -> None:
    first = making.call("A-1")
    other = making.call("E-1", row=9, source=1, started_at=STARTED + timedelta(seconds=seconds))
    assert _of_two_systems(ledger, first, other) == status
    held, sent = (other, first) if seconds >= 0 else (first, other)
    reason = str(making.row(ledger, making.key(held._replace(system="main" if held is first else "east")))["reason"])
    key = making.key(sent._replace(system="main" if sent is first else "east"))
    assert str(making.row(ledger, key)["reference"]) in reason
    assert f"row {sent.place.row} of {'main.csv' if sent is first else 'east.csv'}" in reason


def test_three_seconds_another_number_or_another_direction_is_another_call_of_another_system(ledger: Ledger) -> None:
    calls = [
        making.call("A-1"),
        making.call("E-1", row=3, source=1, started_at=STARTED + timedelta(seconds=3)),
        making.call("E-2", row=4, source=1, customer_phone=making.OTHER_PHONE),
        making.call("E-3", row=5, source=1, direction=models.Direction.OUTGOING),
    ]
    assert set(_of_two_systems(ledger, *calls)) == {ItemStatus.PENDING}


@pytest.mark.parametrize(("seconds", "status"), [(60, "held"), (61, "pending")])
def test_a_system_without_seconds_resembles_another_within_its_minute(
    ledger: Ledger, seconds: int, status: str
) -> None:
    minute = STARTED.replace(second=0)
    first = making.call("A-1", started_at=minute)
    other = making.call("E-1", source=1, started_at=minute + timedelta(seconds=seconds))
    exact = making.call("E-2", row=3, source=1, started_at=STARTED, customer_phone=making.OTHER_PHONE)
    assert _of_two_systems(ledger, first, other, exact)[:2] == [ItemStatus.PENDING, status]


def test_a_look_alike_of_another_system_is_sent_once_a_person_said_so(ledger: Ledger) -> None:
    other = making.call("E-1", source=1)
    _of_two_systems(ledger, KNOWN, other)
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
    """And none of one system alone is held."""
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
        making.enrol(ledger, making.batch("0.csv", "1.csv", "2.csv"), *calls, run_id="run-1")
        for call in calls:
            earlier = [
                one
                for one in calls
                if one.system != call.system
                and one.customer_phone == call.customer_phone
                and 0 <= (call.started_at - one.started_at).total_seconds() <= 2
                and (one.started_at, one.place) < (call.started_at, call.place)
            ]
            assert making.status(ledger, making.key(call)) == (ItemStatus.HELD if earlier else ItemStatus.PENDING)
