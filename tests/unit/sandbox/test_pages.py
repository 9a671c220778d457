"""The page on which a person checks a rehearsal: everything is there, as text, and nothing can be done with it."""

import html
import re

import pytest

from callimport.sandbox import knobs, markup, rehearsal
from tests.unit.sandbox.test_control import NOW, TOKEN, Hand

EVIL = "<script>alert('x')</script> & \"<img src=http://crm.example>"


@pytest.fixture
def hand() -> Hand:
    return Hand(rehearsal.Rehearsal(token=TOKEN, settings=knobs.Knobs(), now=lambda: NOW))


def rows(hand: Hand, path: str) -> list[list[str]]:
    answer = hand.control("GET", path)
    assert answer.status_code == 200
    found = re.findall(r"<tr>(<td>.*?)</tr>", answer.text, re.DOTALL)
    return [
        [html.unescape(re.sub(r"<[^>]*>", "", cell)) for cell in re.findall(r"<td>(.*?)</td>", row, re.DOTALL)]
        for row in found
    ]


def test_lead_page_shows_calls_in_the_order_in_which_they_took_place(hand: Hand) -> None:
    for day, status in (("18", "answered"), ("20", "attempted"), ("19", "answered")):
        hand.create(executed_at=f"2026-11-{day}T12:00:00Z", call_status=status, executed_by=101, call_duration=95)
    hand.create(lead_id=5002)
    assert [row[0][:10] for row in rows(hand, "/leads/5001")] == ["2026-11-20", "2026-11-19", "2026-11-18"]


def test_call_is_shown_with_all_that_is_known_of_it(hand: Hand) -> None:
    hand.create(
        executed_by=101,
        call_duration=95,
        call_status="answered",
        call_phone="+15145550101",
        description="Rappel: essai routier",
    )
    hand.api("POST", "/communications/42534452/recording", files={"recording": b"ID3" + bytes(1_900_000)})
    assert rows(hand, "/leads/5001?timezone=America/Toronto") == [
        [
            *("2026-11-20 09:30:00 -0500", "outgoing", "answered", "1:35", "Sophie Gendron", "+15145550101"),
            *("Rappel: essai routier", "mp3, 1.9 MB", "this rehearsal", "42534452"),
        ]
    ]


def test_what_is_missing_of_a_call_is_shown_as_missing(hand: Hand) -> None:
    hand.create()
    hand.control("POST", "/acts", json={"act": "add_communication", "lead": 5001, "communication": {"method": "sms"}})
    by_hand, by_api = sorted(rows(hand, "/leads/5001"), key=lambda row: row[8])
    assert by_api[2:8] == ["", "", "the key's own user", "", "", "no"]
    assert (by_hand[2], by_hand[4], by_hand[8]) == ("sms", "nobody", "hand")


def test_all_leads_are_listed_last_changed_first(hand: Hand) -> None:
    hand.stage.clock.advance(60)
    hand.create(lead_id=5007, call_status="answered")
    listed = rows(hand, "/")
    assert [row[0] for row in listed[:2]] == ["5007", "5020"]
    assert listed[0][1:7] == ["Jean-Sébastien Côté", "+15145550107", "", "reached", "1", "1"]
    assert len(listed) == 20


@pytest.mark.parametrize(("asked", "found"), [("5550107", ["5007"]), ("nadeau", ["5020", "5019"]), ("5003", ["5003"])])
def test_leads_are_found_by_number_name_and_id(hand: Hand, asked: str, found: list[str]) -> None:
    assert [row[0] for row in rows(hand, f"/?find={asked}")] == found


@pytest.mark.parametrize("path", ["/leads/900001", "/leads/1", "/leads/99999999999999999999"])
def test_lead_that_is_not_ours_is_not_shown(hand: Hand, path: str) -> None:
    assert hand.control("GET", path).status_code == 404


def test_lead_that_was_merged_away_says_so(hand: Hand) -> None:
    hand.control("POST", "/acts", json={"act": "merge_lead", "lead": 5001, "into": 5002})
    assert "deleted or merged away" in hand.control("GET", "/leads/5001").text


def test_what_was_imported_is_text_and_nothing_else(hand: Hand) -> None:
    hand.create(description=EVIL)
    hand.control("POST", "/acts", json={"act": "new_lead", "lead": {"first_name": EVIL, "phones": [EVIL]}})
    for path in ("/leads/5001", "/", "/leads/900002", "/?find=%22%3E%3Cscript%3E&timezone=%22%3E%3Cscript%3E"):
        shown = hand.control("GET", path).text
        assert "<script" not in shown
        assert "<img" not in shown
    assert rows(hand, "/leads/5001")[0][6] == EVIL


@pytest.mark.parametrize("path", ["/", "/leads/5001", "/leads/1"])
def test_page_may_load_nothing_and_run_nothing(hand: Hand, path: str) -> None:
    answer = hand.control("GET", path)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "script-src" not in policy
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"<script|javascript:|\son\w+=", answer.text)


@pytest.mark.parametrize("path", ["/", "/leads/5001"])
def test_page_only_reads(hand: Hand, path: str) -> None:
    assert hand.control("POST", path).status_code == 405
    assert hand.control("GET", path, {"Host": "evil.example"}).status_code == 403


def test_long_timeline_comes_in_parts() -> None:
    communications = [{"executed_at": f"2025-01-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z"} for n in range(1200)]
    lead = {"id": 9, "communications": communications}
    document = {"accounts": [{"id": 301, "name": "Rehearsal Motors", "leads": [lead]}]}
    hand = Hand(rehearsal.Rehearsal(token=TOKEN, document=document, now=lambda: NOW))
    ids = [row[-1] for page in (1, 2, 3) for row in rows(hand, f"/leads/9?page={page}")]
    assert len(ids) == len(set(ids)) == 1200
    assert rows(hand, "/leads/9?page=99") == rows(hand, "/leads/9?page=3")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "", "\0"])
def test_zone_that_is_none_is_utc(hand: Hand, zone: str) -> None:
    hand.create()
    answer = hand.control("GET", "/leads/5001", params={"timezone": zone})
    assert "times in UTC" in answer.text
    assert "2026-11-20 14:30:00 +0000" in answer.text


def test_element_escapes_what_is_not_markup() -> None:
    inner = markup.element("b", "a<b")
    assert markup.element("p", inner, '"<', class_='"x') == '<p class="&quot;x"><b>a&lt;b</b>&quot;&lt;</p>'
