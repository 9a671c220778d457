"""What the plan decides on one call, by what its item is and what its source says now."""

from typing import Any

import polars as pl
import pytest

from callimport.core.decisions import CALLS, SETTLED, Decision, LedgerView
from callimport.plan.decide import decide
from tests.unit.plan.making_plans import BEGAN, SETTINGS, call, decided, decision, frame, item, neighbour, payload

OTHER_TALK = call(duration_seconds=120)
NO_LEAD = call(lead_id=None)


def test_new_call_is_created() -> None:
    assert decision(call()) == ("create", "insert", "")


def test_new_call_without_lead_waits() -> None:
    assert decision(NO_LEAD) == ("wait", "insert", "")


def test_new_call_without_lead_is_skipped_where_nothing_waits() -> None:
    assert decision(NO_LEAD, keeps_waiting=False) == ("skip", None, "no_lead")


@pytest.mark.parametrize(
    ("status", "same", "other"),
    [
        ("waiting", ("create", "replace", ""), ("create", "replace", "")),
        ("pending", ("create", None, ""), ("create", "replace", "")),
        ("in_flight", ("keep", None, "in_flight"), ("keep", "park", "in_flight")),
        ("in_doubt", ("keep", None, "in_doubt"), ("keep", "park", "in_doubt")),
        ("held", ("keep", None, "held"), ("keep", "park", "held")),
        ("delivered", ("unchanged", None, ""), ("update", "park", "")),
        ("failed", ("create", "replace", ""), ("create", "replace", "")),
        ("refused", ("keep", None, "refused"), ("create", "replace", "")),
        ("withdrawn", ("skip", None, "withdrawn"), ("skip", None, "withdrawn")),
        ("gone", ("skip", None, "gone"), ("skip", None, "gone")),
    ],
)
def test_known_call_is_decided_by_status_and_facts(
    status: str, same: tuple[str, str | None, str], other: tuple[str, str | None, str]
) -> None:
    assert (decision(call(), item(status)), decision(OTHER_TALK, item(status))) == (same, other)


def test_call_found_in_the_crm_is_skipped_as_existing() -> None:
    assert decision(call(), item("withdrawn", existing_id=42)) == ("skip", None, "existing")


@pytest.mark.parametrize("status", ["pending", "failed", "refused", "withdrawn", "gone"])
@pytest.mark.parametrize("seconds", [95, 120])
def test_known_call_that_the_crm_does_not_have_is_skipped_while_no_lead_is_known(status: str, seconds: int) -> None:
    assert decision(call(lead_id=None, duration_seconds=seconds), item(status)) == ("skip", None, "no_lead")


def test_waiting_call_without_lead_waits_on_with_its_newest_facts() -> None:
    assert decision(NO_LEAD, item("waiting", NO_LEAD)) == ("wait", None, "")
    later = call(lead_id=None, duration_seconds=120)
    assert decision(later, item("waiting", NO_LEAD)) == ("wait", "replace", "")
    # A run that looks for no lead has no settings to keep beside it.
    assert decision(later, item("waiting", NO_LEAD), keeps_waiting=False) == ("wait", None, "")


@pytest.mark.parametrize("status", ["waiting", "pending", "delivered", "failed"])
def test_damaged_item_is_left_alone(status: str) -> None:
    for now in (call(), OTHER_TALK, call(phone="+15145550102")):
        assert decision(now, item(status, is_damaged=True)) == ("keep", None, status)


# An item of another batch, row or lead


@pytest.mark.parametrize(
    "changed",
    [{"batch_id": "2222-2222"}, {"source_row": 3}, {"source_sha256": "b" * 64}, {"payload": payload(lead_id=5002)}],
)
def test_pending_item_takes_over_what_is_said_now(changed: dict[str, Any]) -> None:
    assert decision(call(), item("pending", **changed)) == ("create", "replace", "")


def test_item_bound_to_another_plan_is_left_alone() -> None:
    assert decision(call(), item("pending", batch_id="2222-2222", plan="EYQM-8T9W")) == ("keep", None, "pending")


def test_failed_item_bound_to_another_plan_is_left_alone_unless_its_payload_changes() -> None:
    bound = item("failed", batch_id="2222-2222", plan="EYQM-8T9W")

    assert decision(call(), bound) == ("keep", None, "failed")
    assert decision(call(), bound, plan="EYQM-8T9W") == ("create", "replace", "")
    assert decision(OTHER_TALK, bound) == ("create", "replace", "")


def test_item_bound_to_another_plan_leaves_it_when_its_payload_changes() -> None:
    assert decision(OTHER_TALK, item("pending", plan="EYQM-8T9W")) == ("create", "replace", "")


def test_item_bound_to_this_plan_is_part_of_it() -> None:
    assert decision(call(), item("pending", plan="EYQM-8T9W"), plan="EYQM-8T9W") == ("create", None, "")


@pytest.mark.parametrize("status", ["pending", "delivered", "in_doubt", "withdrawn"])
def test_nothing_is_done_with_a_damaged_item(status: str) -> None:
    assert decision(OTHER_TALK, item(status, is_damaged=True)) == ("keep", None, status)


# Ids that are used again


@pytest.mark.parametrize(
    "changed",
    [
        {"direction": "outgoing"},
        {"phone": "+15145550102"},
        {"started_at": BEGAN + 24 * 3600 + 1},
        {"started_at": BEGAN - 24 * 3600 - 1},
    ],
)
@pytest.mark.parametrize("status", ["waiting", "pending", "delivered", "withdrawn", "refused"])
def test_id_of_another_call_is_rejected(status: str, changed: dict[str, Any]) -> None:
    assert decision(call(**changed), item(status))[:2] == ("reject", None)


def test_same_id_a_day_apart_is_the_same_call() -> None:
    assert decision(call(started_at=BEGAN + 24 * 3600, duration_seconds=95), item("delivered"))[0] == "update"


# Updates that are held


LATER: dict[str, Any] = {"started_at": BEGAN + 61, "duration_seconds": 120}


def test_update_is_held_where_nothing_but_the_id_is_shared() -> None:
    found = decided([call(**LATER)], [item("delivered")]).decisions.row(0, named=True)

    assert (found["decision"], found["entry"]) == ("hold", "park")
    assert found["evidence"] == (
        "row 2 of calls.csv has the id of the call of 2024-05-31 14:05:09Z, but begins 1 min 01 s later and lasted "
        "120 s instead of 95 s, and nothing else is the same: probably another call"
    )


@pytest.mark.parametrize(
    ("now", "known"),
    [
        (LATER | {"started_at": BEGAN + 60}, {}),
        (LATER | {"duration_seconds": 95}, {}),
        (LATER | {"description": "asked for a test drive"}, {"description": "asked for a test drive"}),
        (LATER | {"recording": "a.wav"}, {"recording": "a.wav"}),
        (LATER | {"legs": "1\n2"}, {"legs": "2"}),
    ],
)
def test_update_is_sent_where_start_talk_text_recording_or_leg_is_shared(
    now: dict[str, Any], known: dict[str, Any]
) -> None:
    assert decision(call(**now), item("delivered", call(**known)))[:2] == ("update", "park")


def test_text_that_neither_has_is_not_shared() -> None:
    assert decision(call(**LATER, description=" "), item("delivered"))[0] == "hold"


def test_update_that_a_person_wants_is_sent() -> None:
    now = call(**LATER)

    assert decision(now, item("delivered", retried=[now["facts"]]))[:2] == ("update", "park")


def test_facts_that_a_person_withdrew_count_as_known() -> None:
    now = call(**LATER)

    assert decision(now, item("delivered", withdrawn=[now["facts"]])) == ("unchanged", None, "")


def test_doubtful_call_with_facts_of_another_call_parks_them_as_held() -> None:
    found = decided([call(**LATER)], [item("in_doubt")]).decisions.row(0, named=True)

    assert (found["decision"], found["entry"], found["evidence"] is not None) == ("keep", "park", True)


def test_pending_call_keeps_the_facts_that_it_will_be_sent_with_while_an_update_is_held() -> None:
    now = call(**LATER)
    known = item("pending", next_facts=now["facts"], held_facts=now["facts"])

    assert decision(now, known) == ("keep", None, "pending")


# Parked facts


@pytest.mark.parametrize(("status", "decided_as"), [("delivered", "unchanged"), ("in_doubt", "keep"), ("held", "keep")])
def test_facts_that_are_taken_back_are_no_change(status: str, decided_as: str) -> None:
    assert decision(call(), item(status, next_facts="others"))[:2] == (decided_as, "unpark")


def test_update_that_the_crm_refused_is_not_sent_again() -> None:
    known = item("delivered", next_facts=OTHER_TALK["facts"], update_refused=OTHER_TALK["facts"])

    assert decision(OTHER_TALK, known) == ("unchanged", "park", "update_refused")


def test_update_that_tells_the_crm_nothing_is_none() -> None:
    assert decision(call(recording="b.wav"), item("delivered", call(recording="a.wav"))) == ("unchanged", "park", "")


def test_update_that_may_have_been_made_is_told_again() -> None:
    known = item("delivered", call(recording="a.wav"), unanswered='[{"call_duration": 120}]')

    assert decision(call(recording="b.wav"), known)[0] == "update"


# Legs


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("waiting", ("create", "replace", "")),
        ("pending", ("unchanged", None, "")),
        ("failed", ("unchanged", "reopen", "")),
        ("refused", ("keep", None, "refused")),
        ("in_doubt", ("keep", None, "in_doubt")),
        ("delivered", ("unchanged", None, "")),
    ],
)
def test_part_of_a_call_is_no_news(status: str, expected: tuple[str, str | None, str]) -> None:
    part = call(legs="2\n3", duration_seconds=40)

    assert decision(part, item(status, call(legs="1\n2\n3"))) == expected


def test_part_of_a_waiting_call_leaves_it_as_it_is() -> None:
    known = item("waiting", call(legs="1\n2", lead_id=None))

    assert decision(call(legs="2", lead_id=None, duration_seconds=40), known) == ("wait", None, "")


def test_more_legs_are_news() -> None:
    assert decision(call(legs="1\n2", duration_seconds=120), item("delivered", call(legs="1")))[0] == "update"


# Calls that resemble known ones


@pytest.mark.parametrize(("apart", "expected"), [(0, "hold"), (2, "hold"), (-2, "hold"), (3, "create"), (-3, "create")])
def test_new_call_within_two_seconds_of_a_known_one_is_held(apart: int, expected: str) -> None:
    known = neighbour(call("k1:2", started_at=BEGAN + apart))

    assert decision(call(), neighbours=[known])[:2] == (expected, "insert")


@pytest.mark.parametrize(("apart", "expected"), [(60, "hold"), (61, "create")])
def test_new_call_within_a_minute_is_held_where_a_file_states_no_seconds(apart: int, expected: str) -> None:
    known = neighbour(call("k1:2", started_at=BEGAN + apart))

    assert decision(call(), neighbours=[known], of_minute=frozenset({0}))[0] == expected
    assert decision(call(), neighbours=[known | {"is_of_minute": True}])[0] == expected


@pytest.mark.parametrize("changed", [{"direction": "outgoing"}, {"phone": "+15145550102"}])
def test_call_of_another_number_or_direction_is_another_call(changed: dict[str, Any]) -> None:
    assert decision(call(), neighbours=[neighbour(call("k1:2", **changed))])[0] == "create"


@pytest.mark.parametrize("changed", [{"lead_id": 5009}, {"system": "crm"}, {"duration_seconds": 1}])
def test_other_lead_system_or_talk_make_no_other_call(changed: dict[str, Any]) -> None:
    assert decision(call(), neighbours=[neighbour(call("k1:2", **changed))])[0] == "hold"


@pytest.mark.parametrize(("existing_id", "expected"), [(None, "create"), (42, "hold")])
def test_withdrawn_call_is_no_look_alike_unless_the_crm_has_it(existing_id: int | None, expected: str) -> None:
    known = neighbour(call("k1:2"), status="withdrawn", existing_id=existing_id)

    assert decision(call(), neighbours=[known])[0] == expected


def test_look_alike_is_told_with_the_nearest_known_call() -> None:
    near = [neighbour(call("k1:2", started_at=BEGAN - 2)), neighbour(call("k1:3", started_at=BEGAN + 1))]
    found = decided([call()], neighbours=near).decisions["evidence"].item()

    assert found == "it may be REF-3 (row 9 of before.csv) under another id: same number and direction, 1 s apart"


def test_waiting_call_that_finds_its_lead_beside_a_known_one_is_held() -> None:
    found = decision(call(), item("waiting", NO_LEAD), [neighbour(call("k1:2"))])

    assert found == ("hold", "replace", "")


def test_known_call_is_never_a_look_alike() -> None:
    assert decision(call(), item("pending"), [neighbour(call("k1:2"))])[0] == "create"


# Mended rows


def test_row_is_mended_once() -> None:
    settled = [{"mark": "o1", "key": "k1:0", "reference": "REF-0", "may_be_sent": True}]
    calls = frame([call(marks=["o1"])], CALLS)

    def of(rows: list[dict[str, object]]) -> str:
        found = decide(calls, LedgerView(settled=pl.DataFrame(rows, schema=SETTLED)), SETTINGS)
        return str(found.decisions["decision"].item())

    assert of(settled) == Decision.REJECT
    assert of([settled[0] | {"may_be_sent": False}]) == Decision.CREATE
    assert of([settled[0] | {"key": "k1:1"}]) == Decision.CREATE


# Totals


def test_new_calls_alike_and_beside_known_ones_are_added_up() -> None:
    near = [neighbour(call("k1:8")), neighbour(call("k1:9", phone="+15145550102", started_at=BEGAN - 3600))]
    totals = decided([call("k1:1"), call("k1:2", phone="+15145550102")], neighbours=near).totals

    assert (totals.new, totals.alike, dict(totals.shifts_of_new)) == (2, 1, {3600: 1})


def test_known_calls_that_changed_moved_or_are_held_are_added_up() -> None:
    now = [call("k1:1"), call("k1:2", started_at=BEGAN + 3600), call("k1:3", **LATER), call("k1:4")]
    items = [item("delivered", call(f"k1:{number}")) for number in (1, 2, 3)] + [item("pending", call("k1:4"))]
    totals = decided(now, items).totals

    assert (totals.known, totals.changed, totals.held_updates, totals.parked) == (3, 1, 1, 1)
    assert (dict(totals.shifts_of_known), dict(totals.fields)) == ({3600: 1}, {"executed_at": 1})
    assert totals.change_example is not None
    assert totals.change_example[1] == (
        "the call of 2024-05-31 14:05:09Z, +1514•••0101: executed_at 2024-05-31T14:05:09+00:00 → "
        "2024-05-31T15:05:09+00:00"
    )


def test_code_covers_each_update_that_is_sent() -> None:
    def digest(now: dict[str, Any], **settings: Any) -> int:
        return decided([now], [item("delivered", call(recording="a.wav"))], **settings).totals.digest

    told, other = call(recording="a.wav", duration_seconds=120), call(recording="a.wav", duration_seconds=121)
    assert len({digest(told), digest(other), digest(told, overwrite=True), 0}) == 4
    # What has nothing for the CRM, or is not sent, is no part of it.
    assert digest(call(recording="b.wav")) == 0
    assert digest(told, on_change="skip") == digest(told, on_change="report") == 0


def test_code_covers_each_create_with_its_payload() -> None:
    digests = [decided([now]).totals.digest for now in (call(), OTHER_TALK, call(lead_id=5002), call("k1:2"), NO_LEAD)]

    assert len(set(digests)) == 5
    assert digests[-1] == 0


# What is parked beside a delivered item


PARKED: dict[str, Any] = {"next_facts": "other facts", "next_payload": payload(seconds=120)}


def test_old_facts_are_told_again_where_an_update_may_have_told_others() -> None:
    assert decision(call(), item("delivered", **PARKED, unanswered='[{"call_duration": 120}]')) == (
        "update",
        "unpark",
        "",
    )
    assert decision(call(), item("delivered", **PARKED)) == ("unchanged", "unpark", "")


def test_part_of_a_call_leaves_its_update_held() -> None:
    whole = call(legs="1\n2", duration_seconds=120)
    known = item("delivered", whole, **PARKED, held_facts="other facts")

    assert decision(call(legs="1"), known) == ("hold", None, "")
    assert decision(call(legs="1"), item("delivered", whole, **PARKED)) == ("unchanged", None, "")


def test_part_of_a_call_leaves_its_update_refused() -> None:
    whole = call(legs="1\n2", duration_seconds=120)
    known = item("delivered", whole, **PARKED, update_refused="other facts")

    assert decision(call(legs="1"), known) == ("unchanged", None, "update_refused")
