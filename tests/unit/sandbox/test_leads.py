"""Leads of the rehearsal CRM: one, a page of them, what a filter or a search finds, and how to be wrong about it."""

import datetime
import urllib.parse
from typing import Any

import pytest

from callimport.sandbox import knobs, rehearsal, rules
from tests.unit.sandbox.test_api import NOW, TOKEN, Client, made


def crowd(count: int = 60, leads: list[dict[str, Any]] | None = None, **settings: Any) -> Client:
    """A CRM with `count` leads from 1 on, a later one created later; those of `leads` in their place."""
    given = {lead["id"]: lead for lead in leads or []}
    since = NOW.replace(year=2025, month=1, day=1, hour=0)
    everybody = [
        {"id": n, "created_at": (since + datetime.timedelta(minutes=n)).isoformat(), **given.get(n, {})}
        for n in range(1, count + 1)
    ]
    document = {
        "accounts": [
            {"id": 301, "name": "Rehearsal Motors", "leads": everybody},
            {"id": 302, "name": "Elsewhere", "leads": [{"id": 900, "phones": ["+15145550101"], "last_name": "Roy"}]},
        ]
    }
    stage = rehearsal.Rehearsal(token=TOKEN, settings=knobs.Knobs(**settings), document=document, now=lambda: NOW)
    return Client(stage)


def ids(crm: Client, query: str = "") -> list[int]:
    answer = crm.send("GET", f"/leads{query}")
    assert answer.status_code == 200
    return [lead["id"] for lead in answer.json()["data"]]


def filtered(crm: Client, **filters: str) -> list[int]:
    query = urllib.parse.urlencode({f"filter[{name}]": value for name, value in filters.items()})
    return sorted(ids(crm, f"?{query}&per_page=100"))


def test_leads_come_newest_created_first_in_pages_of_25() -> None:
    crm = crowd()
    assert ids(crm) == list(range(60, 35, -1))
    assert ids(crm, "?page=3") == list(range(10, 0, -1))


def test_pages_stand_in_laravels_envelope() -> None:
    found = crowd().send("GET", "/leads?page=2&per_page=20&include[]=phones").json()
    assert found["meta"] == {
        "current_page": 2,
        "from": 21,
        "last_page": 3,
        "path": "http://127.0.0.1/v2/leads",
        "per_page": 20,
        "to": 40,
        "total": 60,
    }
    assert list(found["links"]) == ["first", "last", "prev", "next"]
    assert found["data"][0]["phones"] == []


def test_links_are_not_to_be_followed() -> None:
    """They ask for other includes than the request did, as the vendor's own examples do."""
    following = crowd().send("GET", "/leads?include[]=phones").json()["links"]["next"]
    assert urllib.parse.unquote(following).endswith("?include[0]=leadPhones&page=2")


@pytest.mark.parametrize("query", ["?page=9", "?filter[name]=nobody"])
def test_page_without_leads_is_empty_and_no_error(query: str) -> None:
    found = crowd().send("GET", f"/leads{query}").json()
    assert (found["data"], found["meta"]["from"], found["meta"]["to"]) == ([], None, None)
    assert found["meta"]["last_page"] == (3 if "page" in query else 1)
    assert found["links"]["next"] is None


@pytest.mark.parametrize("page", ["0", "-1", "abc", ""])
def test_page_that_is_none_is_the_first(page: str) -> None:
    assert crowd().send("GET", f"/leads?page={page}").json()["meta"]["current_page"] == 1


@pytest.mark.parametrize(("asked", "length"), [("0", 1), ("101", 100), ("abc", 25), ("7", 7), ("-3", 1)])
def test_page_length_is_clamped(asked: str, length: int) -> None:
    assert crowd(1).send("GET", f"/leads?per_page={asked}").json()["meta"]["per_page"] == length


@pytest.mark.parametrize(("asked", "status"), [("100", 200), ("101", 422), ("0", 422)])
def test_page_length_is_refused_where_the_knob_says_so(asked: str, status: int) -> None:
    assert crowd(1, per_page="422").send("GET", f"/leads?per_page={asked}").status_code == status


def test_untidy_pages_lead_elsewhere_and_count_in_text() -> None:
    found = crowd(profile="sloppy").send("GET", "/leads?per_page=30").json()
    assert found["links"]["next"].startswith("http://crm.example/v2/leads?")
    assert found["meta"]["per_page"] == "30"
    assert [link["label"] for link in found["meta"]["links"]] == ["1", "2"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"phone": "+15145550101"}, [1, 2]),
        ({"phone": "+1514555010%"}, [1, 2, 3]),
        ({"phone": "%"}, [1, 2, 3]),
        ({"phone": "15145550101"}, []),  # its + was lost on the way
        ({"phone": "5145550101"}, []),
        ({"email": "zoe@example.com"}, [3]),
        ({"email": "ZOE%"}, [3]),
        ({"name": "zoe"}, [3]),
        ({"name": "Thériault"}, [3]),
        ({"name": "zoé theriault"}, [3]),
        ({"name": "theri%"}, [3]),
        ({"name": "%ault"}, []),  # only at the end
        ({"postal_code": "H3C 1A1"}, [4]),
        ({"postal_code": "h3c"}, [4]),
        ({"division": "new"}, [1]),
        ({"division": "new,used"}, [1, 2]),
        ({"division": "none"}, [3, 4, 5, 6]),
        ({"phone": "+15145550101", "division": "used"}, [2]),
        ({"created_at": "2025-01-01"}, [1, 2, 3, 4, 5]),
        ({"created_at": "2025-01-01T00:03:00Z"}, [3]),
        ({"created_at][gt": "2025-01-01T00:04:00Z"}, [5, 6]),
        ({"created_at][gte": "2024-12-31T19:04:00-05:00"}, [4, 5, 6]),
        ({"created_at][lt": "2025-01-01T00:02:00Z"}, [1]),
        ({"created_at][lte": "2025-01-01T00:02:00Z", "created_at][gt": "2025-01-01T00:01:00Z"}, [2]),
        ({"sale_date][gte": "2025-02-01"}, [4]),
    ],
)
def test_filters_hold_together(filters: dict[str, str], found: list[int]) -> None:
    crm = crowd(
        6,
        [
            {"id": 1, "phones": ["+15145550101"], "division": "new"},
            {"id": 2, "phones": ["+15145550199", "+15145550101"], "division": "used"},
            {"id": 3, "phones": ["+15145550103"], "emails": ["zoe@example.com"], "first_name": "Zoé"}
            | {"last_name": "Thériault"},
            {"id": 4, "postal_code": "H3C 1A1", "sale_date": "2025-02-03T00:00:00Z"},
            {"id": 6, "created_at": "2025-06-01T00:00:00Z"},
        ],
    )
    assert filtered(crm, **filters) == found


@pytest.mark.parametrize("profile", rules.PROFILES)
def test_every_profile_finds_the_same_leads(profile: str) -> None:
    crm = made(profile=profile)
    for path in ("/leads?filter[phone]=%2B15145550150&include[]=phones", "/leads/search?query=5145550150"):
        found = crm.send("GET", path).json()
        assert [lead["id"] for lead in found["data"]] == [5020, 5019]
        assert [phone["number"] for phone in found["data"][0]["phones"]] == ["+15145550120", "+15145550150"]
        assert found["meta"]["total"] == 2


@pytest.mark.parametrize(("knob", "status"), [("404", 404), ("403", 403)])
def test_another_dealers_communication_is_not_to_be_changed(knob: str, status: int) -> None:
    told = [{"executed_at": "2025-01-01T10:00:00Z"}]
    document = {
        "accounts": [
            {"id": 301, "name": "Rehearsal Motors"},
            {"id": 302, "name": "Elsewhere", "leads": [{"id": 900, "communications": told}]},
        ]
    }
    crm = Client(rehearsal.Rehearsal(token=TOKEN, settings=knobs.Knobs(foreign=knob), document=document))
    assert crm.send("PUT", "/communications/40000001", json={"description": "mine"}).status_code == status
    assert crm.send("PUT", "/communications/40000002", json={"description": "mine"}).status_code == 404


def test_plus_that_was_not_encoded_finds_nobody() -> None:
    assert ids(made(), "?filter[phone]=+15145550101") == []
    assert ids(made(), "?filter[phone]=%2B15145550101") == [5001]


@pytest.mark.parametrize("value", ["+15145550101", "5145550101", "(514) 555-0101"])
def test_phones_may_match_by_their_last_digits(value: str) -> None:
    assert filtered(made(phone_filter="last10"), phone=value) == [5001]


def test_filter_by_no_date_is_refused() -> None:
    answer = made().send("GET", "/leads?filter[created_at][gt]=yesterday")
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["filter.created_at.gt"])


def test_filter_nobody_knows_finds_everybody_and_is_told_on() -> None:
    """As the real one does, probably: a misspelt name would take the first lead there is for the caller's."""
    crm = made()
    assert len(ids(crm, "?filter[phones]=%2B15145550101&filter[created][lte]=2020-01-01&per_page=100")) == 20
    assert crm.stage.journal.entries[-1].unknown_fields == ("filter[created][lte]", "filter[phones]")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("5550150", [5020, 5019]),
        ("+15145550101", [5001]),
        ("nadeau", [5020, 5019]),
        ("gaetan nad", [5019]),
        ("lead5003@example.com", [5003]),
        ("5550112", [5012]),
        ("900001", []),
        ("Invisible", []),
    ],
)
def test_search_finds_names_addresses_and_ends_of_numbers(query: str, found: list[int]) -> None:
    answer = made().send("GET", "/leads/search", params={"query": query})
    assert [lead["id"] for lead in answer.json()["data"]] == found


def test_search_shows_more_than_was_asked_for() -> None:
    lead = made().send("GET", "/leads/search?query=5550112").json()["data"][0]
    assert {"account", "advisor", "emails", "phones", "vehicles"} < lead.keys()
    assert "communications" not in lead


def test_search_for_nothing_is_refused_or_finds_all() -> None:
    assert made().send("GET", "/leads/search").status_code == 422
    found = made(bare_search="all").send("GET", "/leads/search?query=").json()
    assert found["meta"]["total"] == 20


def test_list_shows_each_leads_communications_where_asked_for() -> None:
    crm = made()
    crm.create(lead_id=5002)
    shown = crm.send("GET", "/leads?include[]=communications&per_page=100").json()["data"]
    assert {lead["id"]: len(lead["communications"]) for lead in shown if lead["communications"]} == {5002: 1}


def test_another_dealers_leads_are_in_no_list() -> None:
    assert 900 not in filtered(crowd(), phone="+15145550101")
    assert crowd().send("GET", "/leads/900").status_code == 404
    assert crowd(foreign="403").send("GET", "/leads/900").status_code == 403
    assert crowd(foreign="403").send("GET", "/leads/901").status_code == 404


@pytest.mark.parametrize(("knob", "status"), [("ignore", 200), ("400", 400), ("422", 422)])
@pytest.mark.parametrize("path", ["/leads", "/leads/5001", "/leads/search"])
def test_include_nobody_knows(path: str, knob: str, status: int) -> None:
    crm = made(unknown_include=knob)
    assert crm.send("GET", f"{path}?query=x&include[]=phones&include[]=phone").status_code == status
    assert "include[]=phone" in crm.stage.journal.entries[-1].unknown_fields


@pytest.mark.parametrize(("knob", "status"), [("422", 422), ("404", 404), ("403", 403)])
def test_create_for_a_lead_that_is_not_there(knob: str, status: int) -> None:
    assert made(missing_lead=knob).create(lead_id=999).status_code == status
    assert made(missing_lead=knob).create(lead_id=...).status_code == 422


def test_communications_may_come_in_any_order() -> None:
    crm = made(order="shuffled")
    for day in range(1, 20):
        crm.create(executed_at=f"2026-10-{day:02}T12:00:00Z")
    shown = crm.send("GET", "/leads/5001?include[]=communications").json()["data"]["communications"]
    days = [one["executed_at"] for one in shown]
    assert len(set(days)) == 19
    assert days != sorted(days, reverse=True)
