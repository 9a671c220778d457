"""The rehearsal CRM's API: what it takes, what it refuses and in which words. Nothing here leaves the process."""

import asyncio
import dataclasses
import datetime
import hashlib
import io
import wave
from typing import Any

import httpx
import pytest

from callimport.sandbox import knobs, rehearsal

TOKEN = "a-key-for-rehearsal"
NOW = datetime.datetime(2026, 11, 22, 15, 0, tzinfo=datetime.UTC)
JSON = {"Accept": "application/json"}
MP3 = b"\xff\xfb\x90\x64" + bytes(400)


@dataclasses.dataclass
class Client:
    """Speaks to a sandbox without a socket."""

    stage: rehearsal.Rehearsal
    token: str = TOKEN

    def send(self, method: str, path: str, headers: dict[str, str] | None = None, **content: Any) -> httpx.Response:
        async def sent() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.stage.api)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                both = {"Authorization": f"Bearer {self.token}"} | JSON | (headers or {})
                return await client.request(method, "/v2" + path, headers=both, **content)

        return asyncio.run(sent())

    def create(self, **changes: Any) -> httpx.Response:
        return self.send("POST", "/communications", json=call(**changes))


def call(**changes: Any) -> dict[str, Any]:
    """A body the CRM takes; a change to `...` leaves the field out."""
    body = {
        "lead_id": 5001,
        "method": "phone",
        "type": "outgoing",
        "executed_at": "2026-11-20T09:30:00-05:00",
        "executed_by": 101,
        "description": "Rappel: essai routier",
        "call_duration": 95,
        "call_phone": "+15145550101",
        "call_status": "answered",
    }
    return {key: value for key, value in (body | changes).items() if value is not ...}


def wav() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8000)
        sound.writeframes(bytes(800))
    return buffer.getvalue()


def made(**settings: Any) -> Client:
    return Client(rehearsal.Rehearsal(token=TOKEN, settings=knobs.Knobs(**settings), now=lambda: NOW))


@pytest.fixture
def crm() -> Client:
    return made()


def test_created_communication_is_echoed_whole_in_utc(crm: Client) -> None:
    answer = crm.create()
    assert answer.status_code == 201
    assert answer.json() == {
        "data": {
            "id": 42534452,
            "lead_id": 5001,
            "user_id": 101,
            "created_at": "2026-11-22T15:00:00+00:00",
            "updated_at": "2026-11-22T15:00:00+00:00",
            "executed_at": "2026-11-20T14:30:00+00:00",
            "method": "phone",
            "type": "outgoing",
            "description": "Rappel: essai routier",
            "call_duration": 95,
            "call_phone": "+15145550101",
            "call_status": "answered",
        }
    }


def test_same_body_twice_makes_two(crm: Client) -> None:
    """The API has no idempotency; an importer that relies on one must be found out."""
    assert [crm.create().json()["data"]["id"] for _ in range(2)] == [42534452, 42534453]


def test_absent_fields_are_null_and_credited_to_the_api_user(crm: Client) -> None:
    made = crm.send("POST", "/communications", json={"lead_id": 5001, "method": "phone", "type": "incoming"}).json()
    assert made["data"]["executed_at"] == "2026-11-22T15:00:00+00:00"
    assert made["data"]["user_id"] not in range(101, 106)
    assert made["data"]["call_phone"] is None


def test_all_faults_are_named_at_once(crm: Client) -> None:
    answer = crm.send("POST", "/communications", json={"call_duration": -1, "executed_by": 105})
    assert answer.status_code == 422
    assert answer.json() == {
        "message": "The lead id field is required. (and 4 more errors)",
        "errors": {
            "lead_id": ["The lead id field is required."],
            "method": ["The method field is required."],
            "type": ["The type field is required."],
            "executed_by": ["The selected executed by is invalid."],
            "call_duration": ["The call duration field must be at least 0."],
        },
    }
    assert crm.stage.world.communications == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lead_id", 900001),  # another dealer's
        ("lead_id", 999),
        ("lead_id", "x"),
        ("lead_id", True),
        ("lead_id", 10**30),
        ("method", "video"),
        ("method", ["phone"]),
        ("type", "inbound"),
        ("executed_at", "2026-11-20T09:30:00"),  # whose midnight?
        ("executed_at", "yesterday"),
        ("executed_at", 1763600000),
        ("executed_at", "2026-02-30T09:30:00Z"),
        ("executed_at", "0001-01-01T00:00:00+14:00"),
        ("executed_at", "2026-11-22T15:00:01+00:00"),  # one second ahead
        ("executed_by", 105),  # has left
        ("executed_by", 201),  # another dealer's
        ("executed_by", 1.5),
        ("call_status", "done"),
        ("call_status", "pending"),
        ("call_status", "unanswered"),
        ("call_status", "interrupted"),  # outgoing
        ("call_duration", "long"),
        ("call_duration", 1.5),
        ("call_phone", "5145550101"),
        ("call_phone", "+1 514 555-0101"),
        ("call_phone", 15145550101),
        ("description", "é" * 32_768),
        ("description", {"text": "no"}),
    ],
)
def test_strict_rules_refuse(crm: Client, field: str, value: object) -> None:
    answer = crm.create(**{field: value})
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]


@pytest.mark.parametrize(
    ("field", "sent", "kept"),
    [
        ("lead_id", "5001", 5001),
        ("executed_at", "2026-11-22T15:00:00Z", "2026-11-22T15:00:00+00:00"),
        ("executed_at", "2026-11-20T09:30:00.75-0500", "2026-11-20T14:30:00+00:00"),
        ("description", "  spaced \n", "spaced"),
        ("description", " \u200b ", None),
        ("description", "é" * 32_767, "é" * 32_767),
        ("call_phone", "", None),
        ("call_duration", 0, 0),
        ("call_status", "error", "error"),
    ],
)
def test_strict_rules_accept(crm: Client, field: str, sent: object, kept: object) -> None:
    assert crm.create(**{field: sent}).json()["data"][field] == kept


def test_interrupted_is_for_incoming_calls(crm: Client) -> None:
    assert crm.create(type="incoming", call_status="interrupted").status_code == 201


def test_unknown_fields_are_taken_and_told_on(crm: Client) -> None:
    """The real one drops them in silence, so a misspelt name would lose data without an error."""
    assert crm.create(excuted_at="2026-11-20T09:30:00Z", email_subject="known").status_code == 201
    assert crm.stage.journal.entries[-1].unknown_fields == ("excuted_at",)


@pytest.mark.parametrize(
    "body", [b'{"lead_id": 5001', b"[]", b"\xff{}", b'{"a": NaN}', b'{"a": "\\ud800"}', b"[" * 10**5]
)
def test_malformed_json_is_no_input_at_all(crm: Client, body: bytes) -> None:
    answer = crm.send("POST", "/communications", {"Content-Type": "application/json"}, content=body)
    assert answer.status_code == 422
    assert sorted(answer.json()["errors"]) == ["lead_id", "method", "type"]


def test_json_of_another_content_type_is_no_input(crm: Client) -> None:
    answer = crm.send("POST", "/communications", {"Content-Type": "text/plain"}, content=b'{"lead_id": 5001}')
    assert answer.status_code == 422


@pytest.mark.parametrize("accept", ["*/*", "text/html, application/json", ""])
def test_refusal_is_a_redirect_for_what_looks_like_a_browser(crm: Client, accept: str) -> None:
    """A client that forgets Accept and follows redirects would take the front page for success."""
    answer = crm.send("POST", "/communications", {"Accept": accept}, json={})
    assert (answer.status_code, answer.headers["location"]) == (302, "/")
    assert "X-RateLimit-Limit" in answer.headers


@pytest.mark.parametrize(("accept", "status"), [("application/json", 401), ("*/*", 302)])
def test_wrong_key_is_refused_and_costs_nothing(crm: Client, accept: str, status: int) -> None:
    stranger = Client(crm.stage, token="another-key")
    answer = stranger.send("GET", "/account", {"Accept": accept})
    assert answer.status_code == status
    assert "X-RateLimit-Limit" not in answer.headers
    assert crm.send("GET", "/account").headers["X-RateLimit-Remaining"] == "199"


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/communications", 405, "POST"),
        ("GET", "/communications/1", 405, "PUT"),
        ("DELETE", "/communications/1", 405, "PUT"),
        ("PUT", "/communications/1/recording", 405, "POST"),
        ("POST", "/leads/5001", 405, "GET, PUT, HEAD"),
        ("GET", "/users", 404, None),
        ("POST", "/leads/5001/notes", 404, None),
    ],
)
def test_what_is_not_served_is_refused_before_the_key_is_looked_at(
    crm: Client, method: str, path: str, status: int, allow: str | None
) -> None:
    answer = Client(crm.stage, token="another-key").send(method, path)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allow)
    assert "X-RateLimit-Limit" not in answer.headers


def test_update_changes_only_what_it_names(crm: Client) -> None:
    before = crm.create(type="incoming").json()["data"]
    answer = crm.send("PUT", "/communications/42534452", json={"call_duration": 120, "executed_at": None})
    assert answer.status_code == 200
    assert answer.json()["data"] == before | {"call_duration": 120}


def test_update_does_not_change_who_made_the_call(crm: Client) -> None:
    crm.create()
    answer = crm.send("PUT", "/communications/42534452", json={"executed_by": 102, "description": "new"})
    assert answer.json()["data"]["user_id"] == 101
    assert crm.stage.journal.entries[-1].ignored_fields == ("executed_by",)


def test_empty_update_changes_nothing(crm: Client) -> None:
    before = crm.create().json()
    assert crm.send("PUT", "/communications/42534452", json={}).json() == before
    assert crm.stage.journal.entries[-1].effect == []


@pytest.mark.parametrize("changes", [{"method": None}, {"type": "sideways"}, {"call_status": "interrupted"}])
def test_update_is_held_to_the_same_rules(crm: Client, changes: dict[str, object]) -> None:
    crm.create()
    assert crm.send("PUT", "/communications/42534452", json=changes).status_code == 422


def test_unknown_communication_is_no_model(crm: Client) -> None:
    answer = crm.send("PUT", "/communications/7", json={"method": "nonsense"})
    assert answer.status_code == 404
    assert answer.json() == {"message": "No query results for model [App\\Models\\Communication] 7"}
    assert answer.headers["X-RateLimit-Remaining"] == "199"


@pytest.mark.parametrize(
    ("statuses", "result"),
    [
        (["answered"], "reached"),
        (["attempted"], "attempted"),
        (["answered", "attempted"], "reached"),
        (["attempted", "answered"], "reached"),
        (["error"], None),
    ],
)
def test_communication_colours_its_lead(crm: Client, statuses: list[str], result: str | None) -> None:
    for status in statuses:
        crm.create(call_status=status)
    lead = crm.send("GET", "/leads/5001").json()["data"]
    assert (lead["result"], lead["updated_at"]) == (result, "2026-11-22T15:00:00+00:00")


def test_lead_shows_arrays_only_when_asked(crm: Client) -> None:
    bare = crm.send("GET", "/leads/5012").json()["data"]
    assert not {"phones", "communications", "account", "emails", "advisor"} & bare.keys()
    query = "?include[]=phones&include%5B%5D=advisor&include[]=account&include[]=emails&include[]=nonsense"
    full = crm.send("GET", f"/leads/5012{query}").json()["data"]
    assert [phone["number"] for phone in full["phones"]] == ["+15145550112", "+15145550130"]
    assert full["phones"][1]["extension"] == 204
    assert full["advisor"]["first_name"] == "Sophie"
    assert full["account"]["name"] == "Rehearsal Motors"
    assert full["emails"][0]["address"] == "lead5012@example.com"
    assert "nonsense" not in full


def test_lead_lists_its_communications_newest_executed_first(crm: Client) -> None:
    for day in ("2026-11-18", "2026-11-20", "2026-11-19"):
        crm.create(executed_at=f"{day}T12:00:00Z")
    crm.create(lead_id=5002)
    listed = crm.send("GET", "/leads/5001?include[]=communications").json()["data"]["communications"]
    assert [one["id"] for one in listed] == [42534453, 42534454, 42534452]


def test_moved_communication_leaves_its_former_lead(crm: Client) -> None:
    crm.create()
    crm.send("PUT", "/communications/42534452", json={"lead_id": 5002})
    listed = [
        crm.send("GET", f"/leads/{lead_id}?include[]=communications").json()["data"]["communications"]
        for lead_id in (5001, 5002)
    ]
    assert [len(each) for each in listed] == [0, 1]


def test_one_customers_leads_are_associated(crm: Client) -> None:
    lead = crm.send("GET", "/leads/5006?include[]=associated_leads").json()["data"]
    assert [one["id"] for one in lead["associated_leads"]] == [5007]


@pytest.mark.parametrize("lead_id", ["900001", "999", "abc", "0", "5001x"])
def test_invisible_lead_is_no_model(crm: Client, lead_id: str) -> None:
    assert crm.send("GET", f"/leads/{lead_id}").status_code == 404


def test_account_is_an_array_with_active_users_where_asked_for(crm: Client) -> None:
    assert list(crm.send("GET", "/account").json()["data"][0]) == ["id", "created_at", "updated_at", "name"]
    account = crm.send("GET", "/account?include[]=users").json()["data"][0]
    assert [user["id"] for user in account["users"]] == [101, 102, 103, 104]
    assert list(account["users"][0]) == ["id", "created_at", "updated_at", "email", "first_name", "last_name"]


def test_any_id_makes_what_is_mentioned_but_uncovers_nobody() -> None:
    crm = made(any_id=True)
    assert crm.create(lead_id=987654, executed_by=4321).json()["data"]["user_id"] == 4321
    assert crm.send("GET", "/leads/123").status_code == 200
    assert crm.send("GET", "/leads/900001").status_code == 404
    assert crm.create(executed_by=105).status_code == 422


@pytest.mark.parametrize(("content", "kind"), [(wav(), "wav"), (MP3, "mp3"), (b"ID3\x04" + bytes(50), "mp3")])
def test_recording_is_judged_by_content(crm: Client, content: bytes, kind: str) -> None:
    crm.create()
    files = {"recording": ("call.bin", content, "application/octet-stream")}
    answer = crm.send("POST", "/communications/42534452/recording", files=files)
    assert (answer.status_code, answer.json()) == (200, {"message": "Recording uploaded successfully."})
    kept = crm.stage.world.communications[42534452].recording
    assert kept is not None
    assert (kept.format, kept.size_bytes, kept.uploads) == (kind, len(content), 1)
    assert kept.sha256 == hashlib.sha256(content).hexdigest()


def test_second_recording_takes_the_place_of_the_first(crm: Client) -> None:
    crm.create()
    for content in (wav(), MP3):
        crm.send("POST", "/communications/42534452/recording", files={"recording": content})
    kept = crm.stage.world.communications[42534452].recording
    assert kept is not None
    assert (kept.format, kept.uploads) == ("mp3", 2)
    assert f"sha256={kept.sha256} uploads=2" in crm.stage.journal.entries[-1].effect[0]


def test_recording_survives_an_update(crm: Client) -> None:
    crm.create()
    crm.send("POST", "/communications/42534452/recording", files={"recording": MP3})
    crm.send("PUT", "/communications/42534452", json={"call_duration": 9})
    assert crm.stage.world.communications[42534452].recording is not None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"json": {}}, "The recording field is required."),
        ({"files": {"audio": MP3}}, "The recording field is required."),
        ({"files": {"x": b"x"}, "data": {"recording": "text"}}, "The recording field must be a file."),
        ({"files": [("recording", MP3), ("recording", MP3)]}, "The recording field must be a file."),
        ({"files": {"recording": ("a.wav", b"not sound", "audio/wav")}}, "of type: wav, mp3."),
        ({"files": {"recording": b""}}, "of type: wav, mp3."),
        ({"files": {"recording": MP3 * 100}}, "The recording failed to upload."),
    ],
)
def test_unfit_recording_is_refused(content: dict[str, Any], message: str) -> None:
    crm = made(upload_bytes=10_000)
    crm.create()
    answer = crm.send("POST", "/communications/42534452/recording", **content)
    assert answer.status_code == 422
    assert message in answer.json()["errors"]["recording"][0]


def test_broken_multipart_is_no_recording(crm: Client) -> None:
    crm.create()
    headers = {"Content-Type": "multipart/form-data"}
    answer = crm.send("POST", "/communications/42534452/recording", headers, content=b"no boundary")
    assert answer.status_code == 422


def test_too_large_a_body_is_refused_by_whom_it_meets_first() -> None:
    crm = made(proxy_bytes=3000, post_bytes=2000)
    by_php, by_proxy = (crm.create(description="x" * size) for size in (2500, 3500))
    assert (by_php.status_code, by_php.json()) == (413, {"message": ""})
    assert (by_proxy.status_code, by_proxy.headers["content-type"]) == (413, "text/html; charset=utf-8")
    assert "X-RateLimit-Limit" not in by_php.headers


def test_latency_is_waited_after_the_work_is_done() -> None:
    """So that a client that gives up early has stored something, as with the real one."""
    seen: list[tuple[float, int]] = []

    async def pause(seconds: float) -> None:
        seen.append((seconds, len(stage.world.communications)))

    stage = rehearsal.Rehearsal(token=TOKEN, settings=knobs.Knobs(latency_seconds=0.25), now=lambda: NOW, pause=pause)
    Client(stage).create()
    assert seen == [(0.25, 1)]
