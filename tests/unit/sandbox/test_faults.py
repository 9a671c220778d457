"""The rehearsal CRM's faults: which requests they strike, what is stored by then, and what the caller is told."""

import asyncio
import dataclasses
import datetime
import pathlib
from typing import Any

import httpx
import pytest

from callimport.sandbox import connection, control, knobs, plan, rehearsal

TOKEN = "a-key-for-rehearsal"
NOW = datetime.datetime(2026, 11, 22, 15, 0, tzinfo=datetime.UTC)
CALL = {"lead_id": 5001, "method": "phone", "type": "outgoing", "executed_at": "2026-11-20T14:30:00Z"}
MP3 = b"ID3\x04" + bytes(50)


@dataclasses.dataclass
class Hand:
    """Speaks to a sandbox without a socket. A pause moves the sandbox's clock and takes no time."""

    stage: rehearsal.Rehearsal
    paused: list[float] = dataclasses.field(default_factory=list)

    def api(self, method: str, path: str, token: str = TOKEN, **content: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        return self._sent(self.stage.api, method, "/v2" + path, headers, content)

    def control(self, method: str, path: str, **content: Any) -> httpx.Response:
        return self._sent(control.app(self.stage), method, path, {}, content)

    def create(self, **changes: Any) -> httpx.Response:
        return self.api("POST", "/communications", json=CALL | changes)

    def status(self, **changes: Any) -> int:
        """Of a create; 0 where the connection was dropped."""
        try:
            return self.create(**changes).status_code
        except connection.Dropped:
            return 0

    def stored(self) -> int:
        return len(self.stage.world.communications)

    def read(self, lead_id: int = 5001) -> list[int]:
        shown = self.api("GET", f"/leads/{lead_id}?include[]=communications").json()["data"]
        return [one["id"] for one in shown["communications"]]

    def _sent(
        self, app: Any, method: str, path: str, headers: dict[str, str], content: dict[str, Any]
    ) -> httpx.Response:
        async def sent() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                return await client.request(method, path, headers=headers, **content)

        return asyncio.run(sent())


def made(*given: dict[str, Any], seed: int = 0, **settings: Any) -> Hand:
    paused: list[float] = []

    async def pause(seconds: float) -> None:
        paused.append(seconds)
        stage.clock.advance(seconds)

    stage = rehearsal.Rehearsal(
        token=TOKEN,
        settings=knobs.Knobs(**settings),
        now=lambda: NOW,
        pause=pause,
        trouble=plan.parsed({"seed": seed, "rules": list(given)}),
    )
    return Hand(stage, paused)


def test_without_rules_nothing_goes_wrong() -> None:
    hand = made()
    assert [hand.status() for _ in range(20)] == [201] * 20
    assert hand.control("GET", "/faults").json() == {"seed": 0, "rules": []}
    assert not any(entry.fault for entry in hand.stage.journal.entries)


@pytest.mark.parametrize(
    ("choice", "struck"),
    [({"nth": 2}, [2]), ({"every": 2}, [2, 4, 6]), ({"first": 2}, [1, 2]), ({}, [1, 2, 3, 4, 5, 6])],
)
def test_rule_chooses_by_number(choice: dict[str, int], struck: list[int]) -> None:
    hand = made({"kind": "status_500"} | choice)
    statuses = [hand.status() for _ in range(6)]
    assert [number for number, status in enumerate(statuses, start=1) if status == 500] == struck


def test_rule_counts_only_requests_that_fit_and_come_to_its_place() -> None:
    """`the second create that is stored` must not move because something else was asked or refused in between."""
    rule = {"kind": "commit_then_500", "method": "POST", "path": "/communications", "lead": [5001, 5003], "nth": 2}
    hand = made(rule)
    assert hand.status() == 201
    assert hand.status(type="sideways") == 422
    assert hand.status(lead_id=5002) == 201
    assert hand.api("GET", "/leads/5001").status_code == 200
    assert hand.status(lead_id=5003) == 500
    assert hand.control("GET", "/faults").json()["rules"] == [rule | {"asked": 2, "fired": 1}]


def test_lead_is_found_in_path_body_and_communication() -> None:
    hand = made()
    hand.create()
    hand.stage.faults.replace(plan.parsed([{"kind": "forbid_lead", "lead": 5001}]))
    requests = [
        hand.create(),
        hand.api("GET", "/leads/5001"),
        hand.api("PUT", "/communications/42534452", json={"call_duration": 5}),
        hand.api("POST", "/communications/42534452/recording", files={"recording": MP3}),
    ]
    assert [answer.status_code for answer in requests] == [403] * 4
    assert requests[0].json() == {"message": "This action is unauthorized."}
    assert hand.status(lead_id=5002) == 201


def test_lots_are_alike_for_a_seed() -> None:
    """A failing history must be had again; and one rule's lots are no other's, so that adding one moves none."""
    rule = {"kind": "status_500", "probability": 0.3}
    other = {"kind": "latency", "seconds": 1, "probability": 0.5}
    histories = [
        [hand.status() for _ in range(40)]
        for hand in (made(rule, seed=7), made(rule, seed=7), made(rule, other, seed=7), made(rule, seed=8))
    ]
    assert histories[0] == histories[1] == histories[2] != histories[3]
    assert 4 <= histories[0].count(500) <= 20


@pytest.mark.parametrize(
    ("kind", "status", "stored"),
    [
        ("drop_before_commit", 0, 0),
        ("status_500", 500, 0),
        ("html_502", 502, 0),
        ("html_503", 503, 0),
        ("limit_429", 429, 0),
        ("redirect", 302, 0),
        ("revoke_key", 401, 0),
        ("commit_then_drop", 0, 1),
        ("commit_then_500", 500, 1),
        ("truncated", 0, 1),
        ("empty_2xx", 201, 1),
        ("html_2xx", 201, 1),
    ],
)
def test_fault_is_told_apart_by_what_is_stored(kind: str, status: int, stored: int) -> None:
    hand = made({"kind": kind, "nth": 1})
    assert (hand.status(), hand.stored()) == (status, stored)
    assert hand.stage.journal.entries[0].fault == [kind]


@pytest.mark.parametrize("kind", ["html_502", "html_503", "html_2xx"])
def test_page_of_a_proxy_is_no_json(kind: str) -> None:
    answer = made({"kind": kind}).create()
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<html>")


def test_empty_success_has_nothing_in_it() -> None:
    assert made({"kind": "empty_2xx"}).create().content == b""


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_error_after_the_commit_may_be_anybodys(status: int) -> None:
    hand = made({"kind": "commit_then_500", "status": status})
    answer = hand.create()
    assert (answer.status_code, hand.stored()) == (status, 1)
    assert answer.headers["content-type"].startswith("application/json" if status == 500 else "text/html")


def test_stalled_answer_comes_after_the_commit() -> None:
    hand = made({"kind": "commit_then_stall", "seconds": 90})
    answer = hand.create()
    assert hand.paused == [90]
    assert answer.json()["data"]["created_at"] == "2026-11-22T15:00:00+00:00"


@pytest.mark.parametrize(("answer", "status"), [("504", 504), ("drop", 0), ("wait", 201)])
def test_late_commit_comes_all_the_same(answer: str, status: int) -> None:
    """The most treacherous one: who looks at once finds nothing, and sends a second."""
    hand = made({"kind": "late_commit", "seconds": 40, "answer": answer})
    assert (hand.status(), hand.paused, hand.stored()) == (status, [40], 1)
    (made_late,) = hand.stage.world.communications.values()
    assert made_late.created_at == NOW + datetime.timedelta(seconds=40)
    assert hand.stage.journal.entries[0].effect == ["CREATED 42534452"]


def test_late_commit_is_announced_before_it_comes() -> None:
    seen: list[int] = []

    async def pause(seconds: float) -> None:
        seen.extend((len(answered), len(stage.world.communications)))

    rules = plan.parsed([{"kind": "late_commit", "seconds": 40}])
    stage = rehearsal.Rehearsal(token=TOKEN, now=lambda: NOW, pause=pause, trouble=rules)
    answered: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def noted(message: Any) -> None:
            answered.append(message)
            await send(message)

        await stage.api(scope, receive, noted)

    async def sent() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
            headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json"}
            return await client.post("/v2/communications", json=CALL, headers=headers)

    assert asyncio.run(sent()).status_code == 504
    assert seen == [2, 0]  # head and body of the answer were out, and nothing was stored
    assert len(stage.world.communications) == 1


def overtaken(late: dict[str, Any], early: dict[str, Any]) -> Hand:
    """A late request of the first kind, during whose wait one of the second kind is served."""
    stage: rehearsal.Rehearsal
    hand: Hand

    async def pause(seconds: float) -> None:
        stage.faults.replace(plan.Plan())
        await asyncio.to_thread(hand.api, **early)

    stage = rehearsal.Rehearsal(token=TOKEN, now=lambda: NOW, pause=pause)
    hand = Hand(stage)
    hand.create(call_duration=1)
    stage.faults.replace(plan.parsed([{"kind": "late_commit", "seconds": 9}]))
    hand.api(**late)
    return hand


def test_late_update_changes_what_is_there_by_then() -> None:
    """Were it to write back what it read when it came, it would undo the update that overtook it."""
    path = "/communications/42534452"
    hand = overtaken(
        {"method": "PUT", "path": path, "json": {"call_duration": 2}},
        {"method": "PUT", "path": path, "json": {"description": "corrected", "lead_id": 5002}},
    )
    (kept,) = hand.stage.world.communications.values()
    assert (kept.call_duration, kept.description, kept.lead_id) == (2, "corrected", 5002)
    assert (hand.read(5001), hand.read(5002)) == ([], [42534452])


def test_late_recording_keeps_the_update_that_overtook_it() -> None:
    path = "/communications/42534452"
    hand = overtaken(
        {"method": "POST", "path": f"{path}/recording", "files": {"recording": MP3}},
        {"method": "PUT", "path": path, "json": {"description": "corrected"}},
    )
    (kept,) = hand.stage.world.communications.values()
    assert kept.description == "corrected"
    assert kept.recording is not None


def test_late_commit_does_not_reach_the_world_after_a_reset() -> None:
    hand: Hand

    async def pause(seconds: float) -> None:
        stage.reset()

    rules = plan.parsed([{"kind": "late_commit", "seconds": 9}])
    stage = rehearsal.Rehearsal(token=TOKEN, now=lambda: NOW, pause=pause, trouble=rules)
    hand = Hand(stage)
    assert (hand.status(), hand.stored()) == (504, 0)


def test_revoked_key_stays_revoked() -> None:
    hand = made({"kind": "revoke_key", "nth": 2})
    assert [hand.status() for _ in range(4)] == [201, 401, 401, 401]
    assert hand.stage.journal.entries[3].fault == ["revoke_key"]
    hand.control("DELETE", "/faults")
    assert hand.status() == 201


@pytest.mark.parametrize("status", [302, 307])
def test_who_follows_a_redirect_with_the_key_is_seen(status: int) -> None:
    """The other host is this one under another name, so the verdict knows who was there."""
    hand = made({"kind": "redirect", "status": status, "nth": 1})
    answer = hand.create()
    assert answer.status_code == status
    assert answer.headers["location"] == "http://127.1:8000/v2/communications"
    assert hand.control("GET", "/assert").json()["foreign_hosts"] == []

    async def follow() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=hand.stage.api)) as client:
            await client.get(answer.headers["location"])

    asyncio.run(follow())
    assert hand.control("GET", "/assert").json()["foreign_hosts"] == [{"request": 2, "host": "127.1:8000"}]


@pytest.mark.parametrize(
    ("given", "header"),
    [
        ({}, None),
        ({"retry_after": 0}, "0"),
        ({"retry_after": -1}, "-1"),
        ({"retry_after": 3600}, "3600"),
        ({"retry_after": "soon"}, "soon"),
        ({"retry_after": 90, "retry_after_as": "date"}, "Sun, 22 Nov 2026 15:01:30 GMT"),
    ],
)
@pytest.mark.parametrize("kind", ["limit_429", "html_503"])
def test_when_to_come_back_takes_every_form(kind: str, given: dict[str, Any], header: str | None) -> None:
    assert made({"kind": kind} | given).create().headers.get("retry-after") == header


@pytest.mark.parametrize(("html", "content_type"), [(True, "text/html"), (False, "application/json")])
def test_refusal_by_the_limit_may_be_a_page(html: bool, content_type: str) -> None:
    answer = made({"kind": "limit_429", "html": html}).create()
    assert answer.headers["content-type"].startswith(content_type)


def test_lagging_read_does_not_show_the_newest() -> None:
    hand = made({"kind": "read_lag", "seconds": 5})
    hand.create()
    assert hand.read() == []
    hand.stage.clock.advance(3)
    hand.create(lead_id=5001)
    hand.stage.clock.advance(2)
    assert hand.read() == [42534452]
    assert "communications" not in hand.api("GET", "/leads/5001").json()["data"]


def test_incomplete_read_leaves_some_out_now_and_then() -> None:
    hand = made({"kind": "incomplete_read", "share": 0.5, "every": 2}, seed=3)
    for _ in range(20):
        hand.create()
    counts = [len(hand.read()) for _ in range(4)]
    assert counts[0] == counts[2] == 20
    assert 0 < counts[1] < 20
    assert hand.stage.journal.entries[-1].fault == ["incomplete_read"]


def test_incomplete_read_may_lack_the_very_key() -> None:
    """Not asked for, not answered, or none there: three things, of which one must not be taken for another."""
    hand = made({"kind": "incomplete_read", "without_key": True})
    answer = hand.api("GET", "/leads/5001?include[]=communications&include[]=phones")
    assert answer.json()["data"].keys() >= {"id", "phones"}
    assert "communications" not in answer.json()["data"]


def test_trimmed_description_is_what_is_echoed_and_kept() -> None:
    hand = made({"kind": "trim_description", "characters": 12})
    assert hand.create(description="essai routier [ref A-B]").json()["data"]["description"] == "essai routie"
    hand.api("PUT", "/communications/42534452", json={"description": "rappel du 3 [ref A-B]"})
    assert hand.stage.world.communications[42534452].description == "rappel du 3"
    hand.api("PUT", "/communications/42534452", json={"call_duration": 5})
    assert hand.stage.journal.entries[-1].fault == []


@pytest.mark.parametrize(
    ("sent", "kept"), [("rappel [ref 7K3Q-2M9D-XA]", "rappel"), ("[ref 7K3Q-2M9D-XA]", None), ("rien", "rien")]
)
def test_reference_is_stripped(sent: str, kept: str | None) -> None:
    hand = made({"kind": "strip_reference"})
    assert hand.create(description=sent).json()["data"]["description"] == kept


def test_second_consumer_of_the_key_uses_up_the_window() -> None:
    hand = made({"kind": "shared_bucket", "per_minute": 60}, limit=40)
    assert hand.create().headers["X-RateLimit-Remaining"] == "39"
    hand.stage.clock.advance(10)
    assert hand.create().headers["X-RateLimit-Remaining"] == "28"
    hand.stage.clock.advance(40)
    assert hand.status() == 429
    assert hand.control("GET", "/assert").json()["over_limit"] == []
    assert hand.control("GET", "/faults").json()["rules"][0]["fired"] == 50


def test_second_consumer_does_not_save_up() -> None:
    """After a pause, only what it took in the window that is open now counts."""
    hand = made({"kind": "shared_bucket", "per_minute": 60}, limit=100)
    hand.stage.clock.advance(86_400)
    assert int(hand.create().headers["X-RateLimit-Remaining"]) >= 39


@pytest.mark.parametrize(("spread", "most"), [("fixed", 2.0), ("uniform", 4.0), ("exponential", 60.0)])
def test_latency_has_its_mean(spread: str, most: float) -> None:
    hand = made({"kind": "latency", "seconds": 2.0, "spread": spread}, limit=1000)
    for _ in range(150):
        hand.api("GET", "/account")
    assert sum(hand.paused) / 150 == pytest.approx(2.0, rel=0.3)
    assert max(hand.paused) <= most


def test_first_rule_that_fits_has_the_request() -> None:
    hand = made({"kind": "html_502", "nth": 2}, {"kind": "html_503"}, {"kind": "latency", "seconds": 1})
    assert [hand.status() for _ in range(3)] == [503, 502, 503]
    assert hand.stage.journal.entries[1].fault == ["html_502", "latency"]


def test_journal_names_the_rule() -> None:
    hand = made({"kind": "status_500", "name": "the second create", "nth": 2})
    hand.create()
    hand.create()
    entries = hand.control("GET", "/journal").json()["requests"]
    assert [entry["fault"] for entry in entries] == [[], ["the second create"]]


def test_dropped_request_has_no_status() -> None:
    hand = made({"kind": "commit_then_drop"})
    hand.status()
    assert (hand.stage.journal.entries[0].status, hand.stage.journal.entries[0].effect) == (None, ["CREATED 42534452"])


def test_what_is_refused_for_another_reason_is_not_struck_after_the_commit() -> None:
    hand = made({"kind": "commit_then_drop"}, limit=1)
    assert hand.api("POST", "/communications", token="another-key", json=CALL).status_code == 401
    assert (hand.status(type="x"), hand.status()) == (422, 429)


def test_rules_are_replaced_shown_and_cleared_over_the_control_port() -> None:
    hand = made({"kind": "html_502"})
    rules = [{"kind": "status_500", "nth": 1}]
    assert hand.control("POST", "/faults", json={"seed": 5, "rules": rules}).status_code == 200
    assert [hand.status(), hand.status()] == [500, 201]
    assert hand.control("GET", "/faults").json() == {"seed": 5, "rules": [rules[0] | {"asked": 2, "fired": 1}]}
    assert hand.control("DELETE", "/faults").json() == {"seed": 0, "rules": []}
    assert hand.status() == 201


def test_reset_brings_back_the_rules_it_began_with() -> None:
    hand = made({"kind": "html_502", "nth": 1})
    assert [hand.status(), hand.status()] == [502, 201]
    hand.control("POST", "/faults", json=[])
    hand.control("POST", "/reset")
    assert [hand.status(), hand.status()] == [502, 201]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (5, "faults must be a list of rules"),
        ({"rules": [], "sed": 1}, "faults must be a list of rules"),
        ({"rules": [], "seed": "x"}, "the seed must be a whole number"),
        ([5], "rules[0] must be a JSON object"),
        ([{"kind": "explode"}], "rules[0].kind must be one of drop_before_commit"),
        ([{"kind": ["html_502"]}], "rules[0].kind must be one of"),
        ([{"kind": "html_502"}, {"kind": "read_lag"}], "rules[1].seconds is missing: it must be a number of seconds"),
        ([{"kind": "read_lag", "seconds": -1}], "rules[0].seconds must be a number of seconds from 0"),
        ([{"kind": "html_502", "seconds": 1}], "rules[0].seconds is nothing that html_502 knows; it takes every,"),
        ([{"kind": "html_502", "nth": 0}], "rules[0].nth must be a whole number from 1"),
        ([{"kind": "html_502", "nth": 1, "first": 2}], "one of nth, every and first"),
        ([{"kind": "html_502", "probability": 1.5}], "rules[0].probability must be a number from 0 to 1"),
        ([{"kind": "html_502", "path": "/v2/leads/5001"}], 'rules[0].path must be "/communications" or'),
        ([{"kind": "html_502", "method": "post"}], 'rules[0].method must be "GET" or "POST" or "PUT"'),
        ([{"kind": "html_502", "lead": [0]}], "rules[0].lead must be the id of a lead"),
        ([{"kind": "html_502", "name": ""}], "rules[0].name must be a text"),
        ([{"kind": "forbid_lead"}], "rules[0].lead is missing"),
        ([{"kind": "redirect", "status": 301}], "rules[0].status must be 302 or 307"),
        ([{"kind": "redirect", "location": "http://a\r\nb"}], "rules[0].location must be a URL"),
        ([{"kind": "limit_429", "html": 1}], "rules[0].html must be false or true"),
        ([{"kind": "limit_429", "retry_after": "x", "retry_after_as": "date"}], "to be shown as a date"),
        ([{"kind": "limit_429", "retry_after": 10**12}], "rules[0].retry_after must be a whole number or a text"),
        ([{"kind": "shared_bucket", "per_minute": 5, "nth": 1}], "rules[0].nth is nothing that shared_bucket knows"),
    ],
)
def test_wrong_rule_is_refused_and_changes_nothing(document: object, complaint: str) -> None:
    """A misspelt rule that never strikes would make every test pass."""
    hand = made({"kind": "html_502"})
    answer = hand.control("POST", "/faults", json=document)
    assert answer.status_code == 422
    assert complaint in answer.json()["message"]
    assert hand.status() == 502


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read"), ("{", "not JSON"), ("[1]", "f.json: rules[0]")]
)
def test_unfit_file_of_rules_is_a_complaint(tmp_path: pathlib.Path, content: str | None, words: str) -> None:
    path = tmp_path / "f.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(plan.FaultError, match=r"f\.json") as complaint:
        plan.from_file(path)
    assert words in str(complaint.value)


def test_rules_name_routes_as_the_journal_does() -> None:
    """A rule for a route nobody serves would never strike."""
    kinds = set()
    for path in plan.PATHS:
        hand = made()
        hand.api("OPTIONS", path.replace(":id", "1"))
        kinds.add(hand.stage.journal.entries[0].kind)
    assert kinds == {f"OPTIONS {path}" for path in plan.PATHS}


def test_limit_shrinks_in_the_midst_of_a_run() -> None:
    hand = made({"kind": "shrink_limit", "limit": 2, "nth": 2})
    assert [hand.status() for _ in range(4)] == [201, 201, 429, 429]
    hand.control("POST", "/reset")
    assert hand.stage.throttle.limit == 200


@pytest.mark.parametrize("retry_after", [None, 120])
def test_crm_under_maintenance_says_so_in_json(retry_after: int | None) -> None:
    hand = made({"kind": "maintenance", "first": 1, "retry_after": retry_after})
    answer = hand.create()
    assert (answer.status_code, answer.json()) == (503, {"message": "Service Unavailable"})
    assert answer.headers.get("retry-after") == (None if retry_after is None else "120")
    assert hand.status() == 201
