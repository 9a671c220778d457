"""The seed of what is hard to get right: each case is there, and looks to an importer as it should."""

import re
from typing import Any

import pytest

from callimport.sandbox import cases, rehearsal, seed
from tests.unit.sandbox.test_api import NOW, TOKEN, Client


@pytest.fixture(scope="module")
def crm() -> Client:
    return Client(rehearsal.Rehearsal(token=TOKEN, document=cases.document(), now=lambda: NOW))


def lead(crm: Client, lead_id: int, *includes: str) -> dict[str, Any]:
    query = "&".join(f"include[]={name}" for name in includes)
    return dict(crm.send("GET", f"/leads/{lead_id}?{query}").json()["data"])


def owners(crm: Client, number: str) -> list[int]:
    found = crm.send("GET", "/leads", params={"filter[phone]": number}).json()["data"]
    return [one["id"] for one in found]


def test_every_lead_of_the_table_is_there_and_no_other() -> None:
    table = re.findall(r"^\| ([\d, ]+) \|", str(cases.__doc__), re.MULTILINE)
    named = {int(each) for row in table for each in row.split(", ")}
    assert named == {one.id for one in seed.parsed(cases.document()).leads}


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("+15145550101", [6002, 6001]),
        ("+15145550103", [6005, 6004, 6003]),
        ("+15145550106", [6006, 6009]),
        ("+15145550110", [6010]),
        ("+15145550111", [6011]),
        (cases.OWN_NUMBER, [6013]),
        ("+15145550118", []),  # deleted
        ("+15145550190", []),  # another dealer's
    ],
)
def test_number_leads_to_these(crm: Client, number: str, found: list[int]) -> None:
    assert owners(crm, number) == found


def test_one_customers_leads_know_of_each_other(crm: Client) -> None:
    assert [one["id"] for one in lead(crm, 6004, "associated_leads")["associated_leads"]] == [6003, 6005]


@pytest.mark.parametrize(("lead_id", "status"), [(6006, "duplicate"), (6007, "lost"), (6008, "invalid"), (6009, None)])
def test_some_leads_are_no_good(crm: Client, lead_id: int, status: str | None) -> None:
    assert lead(crm, lead_id)["status"] == status


def test_numbers_have_their_oddities(crm: Client) -> None:
    assert lead(crm, 6010, "phones")["phones"][0]["extension"] == 204
    assert lead(crm, 6011, "phones")["phones"][0]["valid"] is False
    assert lead(crm, 6012, "phones")["phones"][0]["number"] is None


def test_one_who_left_is_not_listed_and_two_have_one_name(crm: Client) -> None:
    users = crm.send("GET", "/account?include[]=users").json()["data"][0]["users"]
    assert [user["id"] for user in users] == [101, 102, 103, 106, 107]
    assert len({(user["first_name"], user["last_name"]) for user in users}) == 4


def test_one_lead_has_three_thousand_communications(crm: Client) -> None:
    told = lead(crm, 6014, "communications")["communications"]
    assert len({one["id"] for one in told}) == cases.MANY == 3000
    assert [one["executed_at"] for one in told] == sorted((one["executed_at"] for one in told), reverse=True)


def test_one_call_is_in_the_crm_already(crm: Client) -> None:
    (told,) = lead(crm, 6015, "communications")["communications"]
    assert told["executed_at"] == "2025-03-04T15:15:00+00:00"
    assert all(told[name] == value for name, value in cases.EXISTING.items() if name != "executed_at")


def test_some_may_not_be_called_and_some_have_names_of_more_than_ascii(crm: Client) -> None:
    assert lead(crm, 6016)["unsubscribe_call_date"] == "2024-11-05T14:00:00+00:00"
    assert lead(crm, 6017)["first_name"] == "Maïté-Hélène"
    found = crm.send("GET", "/leads/search", params={"query": "maite-helene d'amours"}).json()["data"]
    assert [one["id"] for one in found] == [6017]


@pytest.mark.parametrize("lead_id", [6018, 900101])
def test_what_is_deleted_or_another_dealers_is_no_model(crm: Client, lead_id: int) -> None:
    assert crm.send("GET", f"/leads/{lead_id}").status_code == 404
    assert crm.create(lead_id=lead_id).status_code == 422
