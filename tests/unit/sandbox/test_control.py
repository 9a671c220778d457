"""The rehearsal CRM's throttle, journal, control port and seed."""

import asyncio
import dataclasses
import datetime
import json
import pathlib
import stat
from typing import Any

import httpx
import pytest

from callimport.sandbox import address, control, knobs, rehearsal, seed, throttle

TOKEN = "eyJhbGci.eyJhdWQi.c2lnbmF0dXJl"
NOW = datetime.datetime(2026, 11, 22, 15, 0, tzinfo=datetime.UTC)
CALL = {"lead_id": 5001, "method": "phone", "type": "outgoing", "executed_at": "2026-11-20T14:30:00Z"}


@dataclasses.dataclass
class Hand:
    """Speaks to both ports of a sandbox without a socket."""

    stage: rehearsal.Rehearsal

    def api(self, method: str, path: str, headers: dict[str, str] | None = None, **content: Any) -> httpx.Response:
        both = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json"} | (headers or {})
        return self._sent(self.stage.api, method, "/v2" + path, both, content)

    def control(self, method: str, path: str, headers: dict[str, str] | None = None, **content: Any) -> httpx.Response:
        return self._sent(control.app(self.stage), method, path, headers or {}, content)

    def create(self, **changes: Any) -> httpx.Response:
        return self.api("POST", "/communications", json=CALL | changes)

    def _sent(
        self, app: Any, method: str, path: str, headers: dict[str, str], content: dict[str, Any]
    ) -> httpx.Response:
        async def sent() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                return await client.request(method, path, headers=headers, **content)

        return asyncio.run(sent())


@pytest.fixture
def hand() -> Hand:
    return Hand(rehearsal.Rehearsal(token=TOKEN, settings=knobs.Knobs(limit=3), now=lambda: NOW))


def test_rejected_request_is_not_counted() -> None:
    """Nor does it lengthen the wait: the window ends when its first request said it would."""
    time = [0.0]
    limiter = throttle.Throttle(2, 0.5, lambda: NOW + datetime.timedelta(seconds=time[0]))
    allowed = []
    for instant in (0.0, 0.25, 0.375, 0.49, 0.5, 0.6, 0.7):
        time[0] = instant
        allowed.append(limiter.hit(1).allowed)
    assert allowed == [True, True, False, False, True, True, False]


def test_users_are_counted_apart() -> None:
    limiter = throttle.Throttle(1, 60, lambda: NOW)
    assert [limiter.hit(user).allowed for user in (1, 2, 1)] == [True, True, False]


def test_twice_the_limit_may_pass_around_an_edge(hand: Hand) -> None:
    """The window does not slide; a pacer that assumes it does is safe, one that relies on it is not."""
    hand.create()
    hand.stage.clock.advance(59)
    statuses = [hand.create().status_code for _ in range(2)]
    hand.stage.clock.advance(1)
    statuses += [hand.create().status_code for _ in range(3)]
    assert statuses == [201] * 5
    assert hand.control("GET", "/counts").json()["max_in_any_window"] == 5


def test_of_two_limits_the_tighter_one_speaks() -> None:
    time = [0.0]
    limiter = throttle.Throttle(3, 60, lambda: NOW + datetime.timedelta(seconds=time[0]), hourly=5)
    told = []
    for instant in (0, 1, 2, 3, 60, 61, 120):
        time[0] = instant
        verdict = limiter.hit(1)
        told.append((verdict.allowed, verdict.limit, verdict.remaining, verdict.retry_after_seconds))
    assert told == [
        (True, 3, 2, 60),
        (True, 3, 1, 59),
        (True, 3, 0, 58),
        (False, 3, 0, 57),
        (True, 5, 1, 3540),
        (True, 5, 0, 3539),
        (False, 5, 0, 3480),
    ]


def test_answers_tell_the_time_of_the_sandboxs_own_clock(hand: Hand) -> None:
    """A clock that is wrong on either side shows in `Date`, and in nothing else."""
    hand.stage.clock.advance(3600)
    assert hand.create().headers["date"] == "Sun, 22 Nov 2026 16:00:00 GMT"


def test_throttle_counts_down_and_says_when_to_come_back(hand: Hand) -> None:
    remaining = [hand.create().headers["X-RateLimit-Remaining"] for _ in range(3)]
    assert remaining == ["2", "1", "0"]
    hand.stage.clock.advance(10.5)
    refused = hand.create()
    assert (refused.status_code, refused.json()) == (429, {"message": "Too Many Attempts."})
    assert refused.headers["Retry-After"] == "50"
    assert refused.headers["X-RateLimit-Reset"] == str(int(NOW.timestamp()) + 60)
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    hand.stage.clock.advance(49.5)
    assert hand.create().status_code == 201


def test_refused_content_counts_as_a_request(hand: Hand) -> None:
    answer = hand.api("POST", "/communications", json={})
    assert (answer.status_code, answer.headers["X-RateLimit-Remaining"]) == (422, "2")


def test_only_too_many_requests_says_when_to_come_back(hand: Hand) -> None:
    assert not {"retry-after", "x-ratelimit-reset"} & hand.create().headers.keys()


def test_journal_tells_what_came_and_what_it_did(hand: Hand) -> None:
    hand.create()
    hand.api("GET", "/leads/5001?include[]=phones")
    first, second = hand.control("GET", "/journal").json()["requests"]
    assert (first["number"], first["method"], first["path"], first["status"]) == (1, "POST", "/v2/communications", 201)
    assert (first["body"], first["effect"]) == (CALL, ["CREATED 42534452"])
    assert first["time"] == "2026-11-22T15:00:00.000+00:00"
    assert (second["kind"], second["path"]) == ("GET /leads/:id", "/v2/leads/5001?include[]=phones")
    assert [entry["number"] for entry in hand.control("GET", "/journal?after=1").json()["requests"]] == [2]


def test_no_key_ever_enters_the_journal(hand: Hand) -> None:
    """Neither ours, wherever it is put, nor somebody else's sent here by mistake."""
    theirs = "eyJmb3JlaWdu.eyJmb3JlaWdu.Zm9yZWlnbg"
    hand.create(description=f"my key is {TOKEN}")
    hand.api("GET", f"/account?api_token={theirs}", {"X-Other": theirs})
    hand.api("POST", "/communications/42534452/recording", files={TOKEN: (f"{theirs}.mp3", b"ID3")})
    json_type = {"Content-Type": "application/json"}
    hand.stage.clock.advance(60)
    hand.api("POST", "/communications", json_type, content=f'{{"broken": "{TOKEN}"')
    text = hand.control("GET", "/journal").text
    assert TOKEN not in text
    assert theirs not in text
    assert text.count("[hidden]") >= 6


def test_counts_add_up(hand: Hand) -> None:
    hand.create(typo=1)
    hand.create(call_status="calling")
    hand.api("POST", "/communications/42534452/recording", files={"recording": b"ID3"})
    hand.create()
    hand.api("GET", "/nowhere")
    assert hand.control("GET", "/counts").json() == {
        "requests": 5,
        "by_kind": {"POST /communications": 3, "POST /communications/:id/recording": 1, "unrouted": 1},
        "by_status": {"201": 2, "200": 1, "429": 1, "404": 1},
        "communications": 2,
        "recordings": 1,
        "rate_limited": 1,
        "unknown_fields": 1,
        "popups": 1,
        "max_in_any_window": 4,
        "limit": 3,
        "window_seconds": 60.0,
    }


def test_verdict_names_each_misdeed(hand: Hand) -> None:
    assert hand.control("GET", "/assert").json()["ok"] is True
    hand.create(call_phone="+15145550101")
    hand.create(call_phone="+15145550101", executed_at="2026-11-20T09:30:00-05:00", typo=1)
    hand.create(call_phone="+15145550101", call_status="calling", lead_id=5002)
    hand.create()
    hand.api("POST", "/call-logs", {"Host": "crm.example"}, json={})
    hand.api("POST", "/screenpop")
    assert hand.control("GET", "/assert").json() == {
        "ok": False,
        "duplicates": [{"lead_id": 5001, "ids": [42534452, 42534453]}],
        "duplicate_references": [],
        "popups": [3, 6],
        "leads_created": [],
        "unasked": [{"request": 5, "kind": "POST /call-logs"}],
        "unknown_fields": [{"request": 2, "fields": ["typo"]}],
        "over_limit": [{"window_ends_at": "2026-11-22T15:01:00+00:00", "requests": 5, "limit": 3}],
        "foreign_hosts": [{"request": 5, "host": "crm.example"}],
    }


def test_one_reference_twice_is_a_duplicate_whatever_else_differs(hand: Hand) -> None:
    """A call sent again after its lead or its time was corrected looks like another call, but for its mark."""
    hand.create(description="rappel [ref 7K3Q-2M9D-XA]")
    hand.create(description="[ref 7K3Q-2M9D-XA]", lead_id=5002, call_phone="+15145550102")
    hand.create(description="[ref AAAA-BBBB-CC]", call_phone="+15145550103")
    found = hand.control("GET", "/assert").json()
    assert found["duplicates"] == []
    assert found["duplicate_references"] == [{"lead_ids": [5001, 5002], "ids": [42534452, 42534453]}]


def test_twice_the_limit_around_an_edge_is_no_burst(hand: Hand) -> None:
    """What the throttle's own windows let pass is nobody's misdeed."""
    hand.create()
    hand.stage.clock.advance(59)
    for seconds in (0, 0, 1, 0, 0):
        hand.stage.clock.advance(seconds)
        hand.create()
    assert hand.control("GET", "/assert").json()["over_limit"] == []


def test_everything_stored_is_shown_with_its_recording(hand: Hand) -> None:
    hand.create()
    hand.api("POST", "/communications/42534452/recording", files={"recording": b"ID3"})
    (stored,) = hand.control("GET", "/communications").json()["data"]
    assert (stored["id"], stored["account_id"], stored["seeded"]) == (42534452, 301, False)
    assert (stored["recording"]["format"], stored["recording"]["uploads"]) == ("mp3", 1)


def test_every_call_may_set_off_a_webhook(hand: Hand) -> None:
    hand.create()
    hand.api("PUT", "/communications/42534452", json={"call_duration": 5})
    told = {"at": "2026-11-22T15:00:00+00:00", "event": "lead.updated", "lead_id": 5001}
    assert hand.control("GET", "/outbox").json() == {"data": [told, told]}
    hand.control("POST", "/reset")
    assert hand.control("GET", "/outbox").json() == {"data": []}


def test_reset_forgets_everything(hand: Hand) -> None:
    hand.create()
    hand.control("POST", "/clock", json={"advance_seconds": 5})
    assert hand.control("POST", "/reset").status_code == 200
    assert hand.control("GET", "/counts").json()["requests"] == 0
    answer = hand.create()
    assert (answer.json()["data"]["id"], answer.headers["X-RateLimit-Remaining"]) == (42534452, "2")
    assert answer.json()["data"]["created_at"] == "2026-11-22T15:00:00+00:00"


def test_advanced_clock_opens_the_next_window(hand: Hand) -> None:
    statuses = [hand.create().status_code for _ in range(4)]
    moved = hand.control("POST", "/clock", json={"advance_seconds": 60})
    assert moved.json() == hand.control("GET", "/clock").json() == {"now": "2026-11-22T15:01:00+00:00"}
    assert [*statuses, hand.create().status_code] == [201, 201, 201, 429, 201]


@pytest.mark.parametrize("body", ["{}", "[]", '{"advance_seconds": -1}', '{"advance_seconds": NaN}', "nonsense"])
def test_clock_refuses_what_is_no_number_of_seconds(hand: Hand, body: str) -> None:
    assert hand.control("POST", "/clock", content=body).status_code == 422


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Host": ""}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
)
def test_control_port_is_not_for_web_pages(hand: Hand, headers: dict[str, str]) -> None:
    """A page may bind its own name to 127.0.0.1, or post here without reading the answer."""
    assert hand.control("POST", "/reset", headers).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost", "[::1]:9"])
def test_control_port_answers_to_loopback_names(hand: Hand, host: str) -> None:
    assert hand.control("GET", "/counts", {"Host": host}).status_code == 200


def test_seed_replaces_everything_but_the_account_id() -> None:
    """The ledger on the other side is bound to the account; a new seed must not look like a new dealer."""
    hand = Hand(rehearsal.Rehearsal(token=TOKEN, account_id=777, now=lambda: NOW))
    lead = {"id": 9, "phones": ["+15145550101"], "communications": [CALL | {"call_phone": "+15145550101"}]}
    document = {"accounts": [{"id": 301, "name": "Autre", "users": [{"id": 5}], "leads": [lead]}]}
    assert hand.control("POST", "/seed", json=document).json() == {"account_id": 777, "account_name": "Autre"}
    hand.control("POST", "/reset")
    shown = hand.api("GET", "/leads/9?include[]=communications").json()["data"]
    assert (shown["account_id"], shown["communications"][0]["id"]) == (777, 40_000_001)
    assert hand.api("GET", "/leads/5001").status_code == 404
    assert hand.control("GET", "/assert").json()["ok"] is True
    hand.create(lead_id=9, call_phone="+15145550101")
    assert hand.control("GET", "/assert").json()["duplicates"] == [{"lead_id": 9, "ids": [40_000_001, 42534452]}]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ([], "the seed must be a JSON object"),
        ({}, "the seed has no account"),
        ({"accounts": [{"id": 0, "name": "x"}]}, "the seed.accounts[0].id must be a whole number"),
        ({"accounts": [{"id": 1}]}, "the seed.accounts[0].name must be a text"),
        ({"accounts": [{"id": 1, "name": "x", "leads": [{"id": 1}, {"id": 1}]}]}, "two leads with the id 1"),
        ({"accounts": [{"id": 1, "name": "x", "leads": [{"id": 1, "phones": [5]}]}]}, ".phones must be a JSON object"),
        ({"accounts": [{"id": 1, "name": "x", "leads": [{"id": 1, "created_at": "2024-01-01"}]}]}, "its offset"),
    ],
)
def test_wrong_seed_is_refused_and_changes_nothing(hand: Hand, document: object, complaint: str) -> None:
    hand.create()
    answer = hand.control("POST", "/seed", json=document)
    assert answer.status_code == 422
    assert complaint in answer.json()["message"]
    assert len(hand.stage.world.communications) == 1


def test_built_in_seed_has_a_number_for_each_lead_in_order() -> None:
    leads = seed.parsed(seed.built_in()).leads
    assert [lead.id for lead in leads] == [*range(5001, 5021), 900001]
    assert [lead.phones[0].number for lead in leads[:20]] == [f"+15145550{number}" for number in range(101, 121)]


def test_address_file_is_private_and_removed_only_by_its_owner(tmp_path: pathlib.Path) -> None:
    """Another sandbox may have started since, and its address must stay."""
    path = tmp_path / "state" / "sandbox.json"
    here = address.Address("http://127.0.0.1:1/v2", "http://127.0.0.1:2", TOKEN, 1, "x", pid=41, started_at=NOW)
    address.write(path, here)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["started_at"] == "2026-11-22T15:00:00+00:00"
    address.remove(path, 42)
    assert path.exists()
    address.remove(path, 41)
    address.remove(path, 41)
    assert list(path.parent.iterdir()) == []
