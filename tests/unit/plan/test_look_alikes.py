"""When two calls of one batch may be the same, and what follows."""

from collections import Counter
from typing import Any

import polars as pl
import pytest

from callimport.core.decisions import CALLS, NEIGHBOURS
from callimport.plan import look_alikes
from callimport.plan.look_alikes import BATCH_CALLS, Compared
from tests.unit.plan.making_plans import BEGAN, PHONE, call, frame, neighbour

HOUR = 3600
REJECTED = {"system": pl.String, "call_id": pl.String, "phone": pl.String, "started_at": pl.Int64}


def one(key: str, apart: int = 0, **changes: Any) -> dict[str, Any]:
    """A new call of the batch."""
    return {
        "key": key,
        "reference": f"REF-{key}",
        "system": "pbx",
        "call_id": key,
        "source_name": "calls.csv",
        "row": 2,
        "phone": PHONE,
        "direction": "incoming",
        "started_at": BEGAN + apart,
        "is_of_minute": False,
        "is_new": True,
        "is_found": False,
        "is_held": False,
    } | changes


def found(key: str, apart: int = 0, **changes: Any) -> dict[str, Any]:
    """A call that waited and has found its lead."""
    return one(key, apart, is_found=True, **changes)


def compared(*calls: dict[str, Any], rejected: list[dict[str, Any]] | None = None) -> Compared:
    return look_alikes.within_batch(frame(list(calls), BATCH_CALLS), pl.DataFrame(rejected or [], schema=REJECTED))


def held(of: Compared) -> list[str]:
    return of.held["key"].sort().to_list()


def test_two_calls_of_one_system_are_two_calls() -> None:
    assert held(compared(one("a"), one("b"))) == []


def test_of_two_calls_of_different_systems_the_later_is_held() -> None:
    of = compared(one("a", 2), one("b", 0, system="crm", source_name="more.csv", row=7))

    assert of.held.to_dicts() == [
        {
            "key": "a",
            "evidence": ("it may be REF-b (row 7 of more.csv) of the system crm: same number and direction, 2 s apart"),
        }
    ]


def test_two_systems_are_compared_within_two_seconds_or_a_minute() -> None:
    assert held(compared(one("a", 3), one("b", system="crm"))) == []
    assert held(compared(one("a", 60), one("b", system="crm", is_of_minute=True))) == ["a"]
    assert held(compared(one("a", 61), one("b", system="crm", is_of_minute=True))) == []


def test_call_of_another_number_or_direction_is_another_call() -> None:
    others = one("b", system="crm", phone="+15145550102"), one("c", system="crm", direction="outgoing")

    assert held(compared(one("a"), *others)) == []


def test_at_the_same_time_the_key_decides() -> None:
    calls = [one("a"), one("b", system="crm")]

    assert held(compared(*calls)) == held(compared(*reversed(calls))) == ["b"]


def test_known_call_of_another_system_holds_nothing_here() -> None:
    assert held(compared(one("a", 2), one("b", system="crm", is_new=False))) == []


def test_found_call_beside_a_call_of_the_batch_waits_on() -> None:
    assert compared(found("a", 60), one("b")).waiting == {"a"}
    assert compared(found("a", 60), one("b", is_new=False)).waiting == {"a"}
    assert compared(found("a", 61), one("b")).waiting == frozenset()


def test_found_call_beside_a_rejected_row_waits_on() -> None:
    for started_at, expected in ((BEGAN + 60, {"a"}), (None, {"a"}), (BEGAN + 61, frozenset())):
        assert compared(found("a"), rejected=[{"phone": PHONE, "started_at": started_at}]).waiting == expected
    assert compared(found("a"), rejected=[{"phone": "+15145550102", "started_at": None}]).waiting == frozenset()


def test_found_call_with_the_id_of_a_rejected_row_waits_on() -> None:
    row = {"system": "pbx", "call_id": "a", "phone": None, "started_at": BEGAN + 9_000}

    assert compared(found("a"), rejected=[row]).waiting == {"a"}
    assert compared(found("a"), rejected=[row | {"system": "crm"}]).waiting == frozenset()


def test_of_two_found_calls_within_a_minute_the_later_is_held() -> None:
    of = compared(found("a", 60), found("b"))

    assert (held(of), of.waiting) == (["a"], frozenset())
    assert held(compared(found("a", 61), found("b"))) == []


def test_found_call_that_waits_on_holds_no_other() -> None:
    of = compared(one("c", -60), found("a"), found("b", 50))

    assert of.waiting == {"a"}
    assert held(of) == []


def test_calls_of_two_systems_are_counted_by_offset() -> None:
    of = compared(one("a"), one("b", 3600, system="crm"), one("c", 3601, system="crm"))

    assert of.new == {"pbx": 1, "crm": 2}
    assert of.pairs == {("crm", "pbx", 3600): 1, ("pbx", "crm", -3600): 1}


def test_numbers_that_call_often_are_compared_in_no_time() -> None:
    """Each with each would be 400 million pairs."""
    calls = [one(f"a{number}", 60 * number) for number in range(20_000)]
    others = [one(f"b{number}", 60 * number + 7, system="crm") for number in range(20_000)]

    assert held(compared(*calls, *others)) == []


# Calls beside known ones at one offset


def shifts(apart: int, **known: Any) -> tuple[Counter[int], Counter[tuple[int, str]]]:
    """The offsets of one new call beside one known call that begins `apart` seconds earlier."""
    there = neighbour(call("k1:2", started_at=BEGAN - apart), **known)
    return look_alikes.shifts(frame([call()], CALLS), frame([there], NEIGHBOURS))


@pytest.mark.parametrize(("apart", "counts"), [(4 * HOUR, 1), (-5 * HOUR, 1), (900, 1), (26 * HOUR, 1), (0, 0)])
def test_new_call_is_counted_at_its_offset_of_quarter_hours(apart: int, counts: int) -> None:
    assert shifts(apart)[0] == Counter({apart: counts} if counts else {})


@pytest.mark.parametrize("apart", [14 * 60, 901, 26 * HOUR + 900])
def test_uneven_or_farther_offset_is_no_time_zone(apart: int) -> None:
    assert shifts(apart)[0] == Counter()


@pytest.mark.parametrize(
    ("known", "counts"),
    [
        ({"system": "crm"}, 0),
        ({"status": "withdrawn"}, 0),
        ({"status": "withdrawn", "existing_id": 42}, 1),
        ({"status": "refused"}, 0),
        ({"status": "failed"}, 0),
        ({"status": "in_doubt"}, 1),
    ],
    ids=str,
)
def test_offset_counts_only_beside_calls_of_the_same_system_that_may_be_in_the_crm(
    known: dict[str, Any], counts: int
) -> None:
    assert shifts(HOUR, **known)[0].total() == counts


def test_pending_calls_at_an_offset_are_counted_by_batch() -> None:
    assert shifts(HOUR, status="pending", batch_id="3333-3333")[1] == Counter({(HOUR, "3333-3333"): 1})
    assert shifts(HOUR, status="delivered")[1] == Counter()


def test_new_call_beside_several_known_ones_counts_once_at_each_offset() -> None:
    there = [neighbour(call(f"k1:{hours}", started_at=BEGAN - hours * HOUR)) for hours in (1, 1, 2)]
    found, _ = look_alikes.shifts(frame([call("k1:9")], CALLS), frame(there, NEIGHBOURS))

    assert found == Counter({HOUR: 1, 2 * HOUR: 1})


def test_known_calls_that_moved_are_counted_by_offset() -> None:
    moves = (0, HOUR, HOUR, -900, 60)
    rows = [{"started_at": BEGAN + shift, "item_started_at": BEGAN} for shift in moves]

    assert look_alikes.moved(pl.DataFrame(rows)) == Counter({HOUR: 2, -900: 1})
