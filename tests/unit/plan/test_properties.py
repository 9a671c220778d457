"""What holds of every plan, whatever the calls and the ledger are."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from callimport.core.decisions import CALLS, ITEMS, NEIGHBOURS, Decision, Entry, LedgerView, PlanSettings, Totals
from callimport.plan.decide import Decided, decide
from tests.unit.plan.making_plans import BEGAN, PHONE, SETTINGS, call, frame, item

STATUSES = ("pending", "in_flight", "in_doubt", "held", "delivered", "failed", "refused", "withdrawn", "gone")
STARTS = (BEGAN, BEGAN + 2, BEGAN + 61, BEGAN + 900, BEGAN + 90_000)
ATTRIBUTES = {
    "started_at": st.sampled_from(STARTS),
    "duration_seconds": st.sampled_from((0, 95, 120)),
    "lead_id": st.sampled_from((None, 5001, 5002)),
    "phone": st.sampled_from((PHONE, "+15145550102")),
    "description": st.sampled_from((None, "asked for a test drive")),
    "recording": st.sampled_from((None, "a.wav")),
    "legs": st.sampled_from((None, "1", "1\n2")),
    "source": st.sampled_from((0, 1)),
}
KEYS = [f"k1:{number}" for number in range(12)]
A_CALL = st.fixed_dictionaries(ATTRIBUTES)
CALLS_BY_KEY = st.dictionaries(st.sampled_from(KEYS), A_CALL, max_size=8)
ITEMS_BY_KEY = st.dictionaries(
    st.sampled_from(KEYS), st.tuples(st.sampled_from((*STATUSES, "waiting")), A_CALL), max_size=8
)
SOME_SETTINGS = st.fixed_dictionaries(
    {"keeps_waiting": st.booleans(), "of_minute": st.sampled_from((frozenset(), frozenset({1})))}
)


def made_calls(by_key: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [call(key, row=2 + number, **told) for number, (key, told) in enumerate(sorted(by_key.items()))]


def made_items(by_key: Mapping[str, tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    found = []
    for key, (status, told) in sorted(by_key.items()):
        is_waiting = status == "waiting"
        told = dict(told) | ({"lead_id": None} if is_waiting else {"lead_id": told["lead_id"] or 5001})
        found.append(item(status, call(key, **told), batch_id="2222-2222"))
    return found


def near(items: list[dict[str, Any]]) -> pl.DataFrame:
    """All items as neighbours: more than the ledger would show."""
    known = [
        {name: one.get(name) for name in NEIGHBOURS} | {"system": "pbx", "is_of_minute": False}
        for one in items
        if one["status"] != "waiting"
    ]
    return frame(known, NEIGHBOURS)


def planned(calls: list[dict[str, Any]], items: list[dict[str, Any]], of: PlanSettings) -> Decided:
    return decide(frame(calls, CALLS), LedgerView(frame(items, ITEMS), near(items)), of)


def settings_with(told: Mapping[str, Any]) -> PlanSettings:
    return PlanSettings(SETTINGS.batch, SETTINGS.account_id, SETTINGS.now, **told)


def told(of: Decided) -> dict[str, tuple[Any, ...]]:
    return {row[2]: row for row in of.decisions.iter_rows()}


@settings(max_examples=150, deadline=None)
@given(CALLS_BY_KEY, ITEMS_BY_KEY, SOME_SETTINGS)
def test_every_call_gets_exactly_one_decision(
    calls: dict[str, Any], items: dict[str, Any], chosen: dict[str, Any]
) -> None:
    found = planned(made_calls(calls), made_items(items), settings_with(chosen))

    assert sorted(found.decisions["key"]) == sorted(calls)
    assert set(found.decisions["decision"]) <= set(Decision)
    assert found.totals.decisions.total() == len(calls)


@settings(max_examples=150, deadline=None)
@given(CALLS_BY_KEY, ITEMS_BY_KEY, SOME_SETTINGS, st.randoms(use_true_random=False))
def test_order_of_calls_and_items_changes_nothing(
    calls: dict[str, Any], items: dict[str, Any], chosen: dict[str, Any], rng: Any
) -> None:
    rows, known, of = made_calls(calls), made_items(items), settings_with(chosen)
    first = planned(rows, known, of)
    rng.shuffle(rows)
    rng.shuffle(known)
    second = planned(rows, known, of)

    assert (told(first), first.totals) == (told(second), second.totals)


@settings(max_examples=150, deadline=None)
@given(CALLS_BY_KEY, ITEMS_BY_KEY, SOME_SETTINGS, st.integers(1, 4))
def test_partitions_change_nothing(
    calls: dict[str, Any], items: dict[str, Any], chosen: dict[str, Any], partitions: int
) -> None:
    rows, known, of = made_calls(calls), made_items(items), settings_with(chosen)
    whole = planned(rows, known, of)
    totals = Totals()
    found: dict[str, tuple[Any, ...]] = {}
    for number in range(partitions):
        part = [row for row in rows if int(row["key"][3:]) % partitions == number]
        one = planned(part, known, of)
        totals, found = totals + one.totals, found | told(one)

    assert (found, totals) == (told(whole), whole.totals)


@settings(max_examples=200, deadline=None)
@given(CALLS_BY_KEY, ITEMS_BY_KEY, SOME_SETTINGS)
def test_planning_again_on_what_a_plan_leaves_gives_nothing_to_do(
    calls: dict[str, Any], items: dict[str, Any], chosen: dict[str, Any]
) -> None:
    rows, known, of = made_calls(calls), made_items(items), settings_with(chosen)
    first = planned(rows, known, of)
    again = planned(rows, entered(first, rows, known), of)

    assert again.decisions["entry"].null_count() == len(calls)
    # What is held stays held; what is to be sent stays to be sent.
    assert again.totals.digest == first.totals.digest


def entered(plan: Decided, calls: list[dict[str, Any]], items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items after the ledger has taken in a plan."""
    by_key = {one["key"]: dict(one) for one in items}
    of_call = {one["key"]: one for one in calls}
    for row in plan.decisions.iter_rows(named=True):
        key, told = row["key"], of_call[row["key"]]
        status = {"create": "pending", "hold": "held", "wait": "waiting"}.get(row["decision"], "")
        match row["entry"]:
            case Entry.INSERT | Entry.REPLACE:
                source = SETTINGS.batch.sources[told["source"]]
                kept = by_key.get(key, {})
                by_key[key] = item(status, told, source_sha256=source.sha256) | {
                    name: kept[name] for name in ("recordings", "retried", "withdrawn") if name in kept
                }
            case Entry.REOPEN:
                by_key[key]["status"] = "pending"
            case Entry.PARK:
                by_key[key] |= {
                    "next_facts": told["facts"],
                    "next_payload": told["payload"],
                    "next_batch_id": SETTINGS.batch.id,
                }
            case Entry.UNPARK:
                by_key[key] |= {"next_facts": None, "next_payload": None, "next_batch_id": None}
    return list(by_key.values())
