"""What the rehearsal CRM serves only to see that nobody asks for it: leads made or changed, and call logs."""

from typing import Any

import pytest

from tests.unit.sandbox.test_api import Client, made
from tests.unit.sandbox.test_control import TOKEN as CONTROL_TOKEN
from tests.unit.sandbox.test_control import Hand

LOG = {
    "status": "answered",
    "direction": "incoming",
    "start_at": "2026-11-20T09:30:00-05:00",
    "end_at": "2026-11-20T09:31:00-05:00",
    "duration": 60,
    "from": "+15145550101",
    "to": "+15145550100",
}


@pytest.fixture
def crm() -> Client:
    return made()


def effects(crm: Client) -> list[str]:
    return crm.stage.journal.entries[-1].effect


def log(crm: Client, **changes: Any) -> Any:
    body = {key: value for key, value in (LOG | changes).items() if value is not ...}
    return crm.send("POST", "/call-logs", json=body)


def test_lead_that_is_made_counts_as_made(crm: Client) -> None:
    answer = crm.send("POST", "/leads", json={"type": "web", "phones": [{"number": "+15145550177", "type": "work"}]})
    lead = answer.json()["data"]
    assert (answer.status_code, lead["created_method"], lead["phones"][0]["number"]) == (201, "api", "+15145550177")
    assert effects(crm) == ["LEAD_CREATED"]
    assert crm.send("GET", f"/leads/{lead['id']}").status_code == 200
    assert crm.send("POST", "/leads", json={"first_name": "Zoé"}).status_code == 422


def test_lead_that_is_changed_gets_numbers_and_never_loses_one(crm: Client) -> None:
    changes = {"first_name": "Zoé", "phones": [{"number": "+15145550177", "type": "work"}]}
    lead = crm.send("PUT", "/leads/5001", json=changes).json()["data"]
    assert lead["first_name"] == "Zoé"
    assert [phone["number"] for phone in lead["phones"]] == ["+15145550101", "+15145550177"]
    assert effects(crm) == ["LEAD_CHANGED 5001"]
    assert crm.send("PUT", "/leads/900001", json=changes).status_code == 404


def test_second_number_of_a_type_is_refused(crm: Client) -> None:
    answer = crm.send("POST", "/lead-phones", json={"lead_id": 5001, "number": "+15145550177", "type": "mobile"})
    assert (answer.status_code, answer.json()) == (403, {"message": "Duplicate phone."})
    other = crm.send("POST", "/lead-phones", json={"lead_id": 5001, "number": "+15145550177", "type": "home"})
    assert other.status_code == 201
    phone_id = other.json()["data"]["id"]
    changed = crm.send("PUT", f"/lead-phones/{phone_id}", json={"number": "+15145550178"})
    assert changed.json()["data"]["number"] == "+15145550178"
    assert crm.send("PUT", "/lead-phones/1", json={}).status_code == 404


def test_call_log_finds_the_newest_lead_of_the_customers_number(crm: Client) -> None:
    data = log(crm).json()["data"]
    assert (data["lead_id"], data["lead"]["id"], data["communication_id"]) == (5001, 5001, 42534452)
    assert log(crm, direction="outgoing", to="+15145550150").json()["data"]["lead_id"] == 5020
    assert effects(crm) == ["CREATED 42534453"]


def test_call_log_without_a_lead_makes_one(crm: Client) -> None:
    data = log(crm, **{"from": "+15145550177"}).json()["data"]
    assert effects(crm) == ["LEAD_CREATED", "CREATED 42534452"]
    assert data["lead"]["phones"][0]["number"] == "+15145550177"


def test_call_log_without_an_end_pops_up_on_a_screen(crm: Client) -> None:
    number = log(crm, duration=..., end_at=...).json()["data"]["id"]
    assert effects(crm) == ["CREATED 42534452", "LIVE_POPUP"]
    crm.send("PUT", f"/call-logs/{number}", json={"duration": 5})
    assert effects(crm) == ["LIVE_POPUP"]
    crm.send("PUT", f"/call-logs/{number}", json={"end_at": "2026-11-20T09:31:00-05:00"})
    assert effects(crm) == []


@pytest.mark.parametrize("changes", [{"direction": ...}, {"start_at": "noon"}, {"from": ""}, {"to": ...}])
def test_unfit_call_log_is_refused(crm: Client, changes: dict[str, Any]) -> None:
    assert log(crm, **changes).status_code == 422
    assert crm.stage.world.communications == {}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/leads", {"type": "web"}),
        ("POST", "/leads", {}),
        ("PUT", "/leads/5001", {}),
        ("POST", "/lead-phones", {}),
        ("PUT", "/lead-phones/1", {}),
        ("POST", "/call-logs", LOG),
        ("PUT", "/call-logs/1", {}),
    ],
)
def test_verdict_names_whoever_asks_whatever_the_answer(method: str, path: str, body: dict[str, Any]) -> None:
    hand = Hand(made().stage)
    assert hand.control("GET", "/assert").json()["unasked"] == []
    hand.api(method, path, {"Authorization": f"Bearer {CONTROL_TOKEN}"}, json=body)
    found = hand.control("GET", "/assert").json()
    assert found["ok"] is False
    assert [one["kind"].split("/")[0] for one in found["unasked"]] == [f"{method} "]
