"""What people do in the rehearsal CRM meanwhile: what a run then finds, and how a test has it done."""

from typing import Any

import pytest

from callimport.sandbox import acts, plan, rehearsal
from tests.unit.sandbox.test_faults import NOW, TOKEN, Hand


@pytest.fixture
def hand() -> Hand:
    return Hand(rehearsal.Rehearsal(token=TOKEN, now=lambda: NOW))


def act(hand: Hand, kind: str, **given: Any) -> int:
    answer = hand.control("POST", "/acts", json={"act": kind, **given})
    assert answer.status_code == 200, answer.text
    (done,) = answer.json()["done"]
    return int(done)


def with_acts(*rules: dict[str, Any]) -> Hand:
    trouble = plan.parsed([{"kind": "act", **rule} for rule in rules])
    return Hand(rehearsal.Rehearsal(token=TOKEN, now=lambda: NOW, trouble=trouble))


def test_communication_that_a_person_edited_reads_otherwise(hand: Hand) -> None:
    number = hand.create(call_duration=30).json()["data"]["id"]
    act(
        hand, "edit_communication", id=number, changes={"call_duration": 90, "executed_at": "2026-11-20T08:00:00-05:00"}
    )
    (shown,) = hand.api("GET", "/leads/5001?include[]=communications").json()["data"]["communications"]
    assert (shown["call_duration"], shown["executed_at"]) == (90, "2026-11-20T13:00:00+00:00")


def test_communication_that_a_person_deleted_is_no_model(hand: Hand) -> None:
    number = hand.create().json()["data"]["id"]
    act(hand, "delete_communication", id=number)
    assert hand.read() == []
    assert hand.api("PUT", f"/communications/{number}", json={"description": "late"}).status_code == 404
    assert hand.api("POST", f"/communications/{number}/recording", files={"recording": b"ID3"}).status_code == 404
    assert hand.create().json()["data"]["id"] == number + 1


def test_copy_made_by_hand_is_no_misdeed_of_the_importer(hand: Hand) -> None:
    hand.create(call_phone="+15145550101", description="[ref AAAA-BBBB-CC]")
    copied = {"executed_at": "2026-11-20T14:30:00Z", "call_phone": "+15145550101", "description": "[ref AAAA-BBBB-CC]"}
    number = act(hand, "add_communication", lead=5001, communication=copied)
    assert hand.read() == [number, number - 1]
    assert hand.control("GET", "/assert").json()["ok"] is True
    assert hand.control("GET", "/counts").json()["communications"] == 1


def test_copy_of_what_was_made_by_hand_is_one(hand: Hand) -> None:
    made = {"executed_at": "2026-11-20T14:30:00Z", "call_phone": "+15145550101"}
    number = act(hand, "add_communication", lead=5001, communication=made)
    hand.create(call_phone="+15145550101")
    assert hand.control("GET", "/assert").json()["duplicates"] == [{"lead_id": 5001, "ids": [number, number + 1]}]


def test_deleted_lead_is_gone_with_all_that_was_said(hand: Hand) -> None:
    number = hand.create().json()["data"]["id"]
    act(hand, "delete_lead", lead=5001)
    assert hand.api("GET", "/leads/5001").status_code == 404
    assert hand.create().status_code == 422
    assert hand.api("PUT", f"/communications/{number}", json={"call_duration": 1}).status_code == 404
    assert hand.api("GET", "/leads?filter[phone]=%2B15145550101").json()["data"] == []
    assert [each["id"] for each in hand.api("GET", "/leads/search?query=5550101").json()["data"]] == [5001]


def test_merged_lead_leaves_its_communications_to_the_other(hand: Hand) -> None:
    number = hand.create().json()["data"]["id"]
    act(hand, "merge_lead", lead=5001, into=5002)
    assert hand.api("GET", "/leads/5001").status_code == 404
    assert hand.read(5002) == [number]
    assert hand.api("PUT", f"/communications/{number}", json={"call_duration": 7}).json()["data"]["lead_id"] == 5002


def test_number_moves_with_its_owner(hand: Hand) -> None:
    act(hand, "change_phone", lead=5001, **{"from": "+15145550101", "to": "+15145550171"})
    act(hand, "change_phone", lead=5002, **{"from": None, "to": "+15145550101"})
    act(hand, "change_phone", lead=5003, **{"from": "+15145550103", "to": None})
    owners = {
        number: [lead["id"] for lead in hand.api("GET", f"/leads?filter[phone]=%2B{number}").json()["data"]]
        for number in (15145550101, 15145550171, 15145550103)
    }
    assert owners == {15145550101: [5002], 15145550171: [5001], 15145550103: []}


def test_user_who_left_is_not_listed_and_not_taken(hand: Hand) -> None:
    act(hand, "deactivate_user", user=101)
    users = hand.api("GET", "/account?include[]=users").json()["data"][0]["users"]
    assert [user["id"] for user in users] == [102, 103, 104]
    assert hand.create(executed_by=101).status_code == 422


def test_newer_lead_of_a_number_stands_first(hand: Hand) -> None:
    number = act(hand, "new_lead", lead={"phones": ["+15145550101"], "first_name": "Nouvelle"})
    found = hand.api("GET", "/leads?filter[phone]=%2B15145550101").json()["data"]
    assert [lead["id"] for lead in found] == [number, 5001]
    assert found[0]["created_at"] == "2026-11-22T15:00:00+00:00"


def test_lead_made_between_two_pages_shows_one_twice() -> None:
    """Pages drift: whoever reads them has to know leads by id."""
    hand = with_acts({"path": "/leads", "nth": 2, "do": {"act": "new_lead", "lead": {}}})
    pages = [
        [lead["id"] for lead in hand.api("GET", f"/leads?per_page=5&page={page}").json()["data"]] for page in (1, 2)
    ]
    assert pages == [[5020, 5019, 5018, 5017, 5016], [5016, 5015, 5014, 5013, 5012]]
    assert hand.control("GET", "/journal").json()["requests"][1]["fault"] == ["act"]


def test_lead_deleted_between_two_pages_hides_one() -> None:
    hand = with_acts({"path": "/leads", "nth": 2, "do": [{"act": "delete_lead", "lead": 5020}]})
    pages = [
        [lead["id"] for lead in hand.api("GET", f"/leads?per_page=2&page={page}").json()["data"]] for page in (1, 2)
    ]
    assert pages == [[5020, 5019], [5017, 5016]]


def test_lead_is_merged_away_before_the_third_call_to_it() -> None:
    do = {"act": "merge_lead", "lead": 5001, "into": 5002}
    hand = with_acts({"path": "/communications", "lead": 5001, "nth": 3, "do": do})
    statuses = [hand.create().status_code, hand.create(lead_id=5002).status_code]
    assert [*statuses, *(hand.create().status_code for _ in range(2))] == [201, 201, 201, 422]


@pytest.mark.parametrize("answer", ["504", "wait"])
def test_update_that_comes_late_does_not_bring_back_what_a_person_deleted(answer: str) -> None:
    async def pause(seconds: float) -> None:
        stage.world.remove(stage.world.communications[42534452])

    trouble = plan.parsed([{"kind": "late_commit", "method": "PUT", "seconds": 5, "answer": answer}])
    stage = rehearsal.Rehearsal(token=TOKEN, now=lambda: NOW, pause=pause, trouble=trouble)
    hand = Hand(stage)
    number = hand.create().json()["data"]["id"]
    late = hand.api("PUT", f"/communications/{number}", json={"call_duration": 5})
    assert late.status_code == (404 if answer == "wait" else 504)
    assert hand.read() == []


def test_act_that_cannot_be_done_any_more_is_noted_and_harms_nobody() -> None:
    hand = with_acts({"path": "/communications", "do": {"act": "delete_lead", "lead": 999}})
    assert hand.create().status_code == 201
    effect = hand.control("GET", "/journal").json()["requests"][0]["effect"]
    assert effect == ["NOT DONE delete_lead: there is no lead 999", "CREATED 42534452"]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({}, "an act is"),
        ({"act": "fire_user"}, "deactivate_user"),
        ({"act": "delete_lead"}, "needs lead"),
        ({"act": "delete_lead", "lead": "5001"}, "lead cannot be '5001'"),
        ({"act": "delete_lead", "lead": True}, "lead cannot be True"),
        ({"act": "delete_lead", "lead": 5001, "why": "spite"}, "has no why"),
        ({"act": "delete_lead", "lead": 999}, "no lead 999"),
        ({"act": "merge_lead", "lead": 5001, "into": 5001}, "into itself"),
        ({"act": "delete_communication", "id": 1}, "no communication 1"),
        ({"act": "edit_communication", "id": 1, "changes": {"id": 2}}, "changes has no id"),
        ({"act": "edit_communication", "id": 1, "changes": {"executed_at": "2026-11-20"}}, "with its offset"),
        ({"act": "add_communication", "lead": 5001, "communication": {"executed_at": "noon"}}, "with its offset"),
        ({"act": "change_phone", "lead": 5001, "from": "+15145550199", "to": None}, "no such number"),
        ({"act": "deactivate_user", "user": 999}, "no user 999"),
        ({"act": "new_lead", "lead": {"id": 5001}}, "a lead 5001 already"),
        ({"act": "new_lead", "lead": {"phones": [1]}}, "phones must be"),
    ],
)
def test_act_that_is_none_is_refused_and_changes_nothing(hand: Hand, document: object, complaint: str) -> None:
    before = hand.api("GET", "/leads?per_page=100&include[]=phones").json()
    answer = hand.control("POST", "/acts", json=document)
    assert answer.status_code == 422
    assert complaint in answer.json()["message"]
    assert hand.api("GET", "/leads?per_page=100&include[]=phones").json() == before


def test_what_was_done_before_the_wrong_act_is_told(hand: Hand) -> None:
    both = [{"act": "deactivate_user", "user": 101}, {"act": "deactivate_user", "user": 999}]
    answer = hand.control("POST", "/acts", json=both)
    assert (answer.status_code, answer.json()["done"]) == (422, [101])


def test_fault_with_an_act_that_is_none_is_refused() -> None:
    with pytest.raises(plan.FaultError, match=r"rules\[0\]\.do: delete_lead needs lead"):
        plan.parsed([{"kind": "act", "do": {"act": "delete_lead"}}])


def test_every_kind_of_act_is_documented() -> None:
    assert all(f'"act": "{kind}"' in str(acts.__doc__) for kind in acts.Kind)
