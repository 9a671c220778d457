"""The three readings of a documentation that leaves much open; an importer has to live with each."""

from typing import Any

import pytest

from callimport.sandbox import rules
from tests.unit.sandbox.test_api import Client, made

WRONG_OPTIONAL = {
    "executed_at": "yesterday",
    "executed_by": 105,  # has left
    "call_status": "done",
    "call_duration": -1,
    "call_phone": "514 555",
    "method": "fax",
    "type": "inbound",
}


def create(profile: str, **changes: Any) -> tuple[Client, Any]:
    crm = made(profile=profile)
    return crm, crm.create(**changes)


@pytest.mark.parametrize("profile", rules.PROFILES)
def test_every_profile_takes_a_good_call(profile: str) -> None:
    _, answer = create(profile)
    data = answer.json()["data"]
    assert answer.status_code == 201
    assert (data["id"], data["lead_id"], data["user_id"], data["call_status"]) == (42534452, 5001, 101, "answered")


@pytest.mark.parametrize("profile", rules.PROFILES)
@pytest.mark.parametrize("lead_id", [..., 999, 900001, "x"])
def test_every_profile_wants_a_lead(profile: str, lead_id: Any) -> None:
    _, answer = create(profile, lead_id=lead_id)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["lead_id"])


@pytest.mark.parametrize("profile", rules.PROFILES)
def test_every_profile_tells_on_unknown_fields(profile: str) -> None:
    crm, answer = create(profile, excuted_at="2026-11-20T09:30:00Z")
    assert answer.status_code == 201
    assert crm.stage.journal.entries[0].unknown_fields == ("excuted_at",)


@pytest.mark.parametrize("profile", ["documented", "sloppy"])
def test_only_a_lead_is_required_beyond_strict(profile: str) -> None:
    crm = made(profile=profile)
    data = crm.send("POST", "/communications", json={"lead_id": 5001}).json()["data"]
    assert (data["method"], data["type"], data["call_status"]) == (None, None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"call_status": "interrupted"},  # outgoing
        {"call_status": "unanswered"},
        {"call_phone": "514 555-0101"},
        {"executed_at": "2027-01-01T00:00:00Z"},
        {"executed_at": "2026-11-20 09:30:00"},
        {"executed_by": 105},
    ],
)
def test_documented_enforces_nothing_undocumented(changes: dict[str, Any]) -> None:
    assert create("strict", **changes)[1].status_code == 422
    _, answer = create("documented", **changes)
    assert answer.status_code == 201
    data = answer.json()["data"]
    (field, value), *_ = changes.items()
    assert field not in ("call_status", "call_phone") or data[field] == value


def test_documented_reads_a_time_without_offset_in_a_zone_of_its_own() -> None:
    """Sent without an offset, a call of 9:30 in Montréal is kept as one of 4:30; only the echo tells."""
    _, answer = create("documented", executed_at="2026-11-20 09:30:00")
    assert answer.json()["data"]["executed_at"] == "2026-11-20T09:30:00+00:00"


@pytest.mark.parametrize("field", ["method", "type", "call_status", "call_duration", "executed_at"])
def test_documented_still_looks_at_what_is_there(field: str) -> None:
    _, answer = create("documented", **{field: WRONG_OPTIONAL[field]})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])


def test_sloppy_drops_what_it_does_not_understand_without_a_word() -> None:
    _, answer = create("sloppy", **WRONG_OPTIONAL)
    data = answer.json()["data"]
    assert answer.status_code == 201
    assert {data[field] for field in ("user_id", "call_status", "call_duration", "call_phone", "method", "type")} == {
        None
    }
    assert data["executed_at"].startswith("2026-11-22T15:00:00")  # not understood: now


def test_sloppy_credits_the_api_user_only_where_nobody_is_named() -> None:
    _, answer = create("sloppy", executed_by=...)
    assert answer.json()["data"]["user_id"] not in (None, 101)


def test_sloppy_writes_like_nobody_else() -> None:
    """Another order, more properties, other forms of an instant: all legal, and the same again for the same id."""
    tidy, untidy = (create(profile)[1].json()["data"] for profile in ("strict", "sloppy"))
    assert untidy.keys() - tidy.keys() == {"uuid", "links", "tags"}
    assert [key for key in untidy if key in tidy] != list(tidy)
    assert not untidy["executed_at"].endswith("+00:00")
    assert list(create("sloppy")[1].json()["data"]) == list(untidy)


def test_sloppy_uses_both_other_forms_of_an_instant() -> None:
    crm = made(profile="sloppy")
    texts = [crm.create().json()["data"][key] for _ in range(10) for key in ("created_at", "executed_at")]
    assert {text[19:] for text in texts} == {"Z", ".000000Z"}


def test_sloppy_account_is_an_object() -> None:
    account = made(profile="sloppy").send("GET", "/account?include[]=users").json()["data"]
    assert account["name"] == "Rehearsal Motors"
    assert {user["id"] for user in account["users"]} == {101, 102, 103, 104}


def test_sloppy_lead_still_lists_its_communications() -> None:
    crm, _ = create("sloppy")
    lead = crm.send("GET", "/leads/5001?include[]=communications").json()["data"]
    assert [one["id"] for one in lead["communications"]] == [42534452]
