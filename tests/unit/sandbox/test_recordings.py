"""Recordings at the rehearsal CRM: read as they arrive and never kept, judged by content, refused for a reason."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator

import httpx
import pytest

from callimport.sandbox import knobs, plan, rehearsal
from tests.unit.sandbox.test_api import JSON, MP3, NOW, TOKEN, Client, made, wav

UPLOAD = "/communications/42534452/recording"
FORM = {"Content-Type": "multipart/form-data; boundary=cut"}
HEAD = b'--cut\r\nContent-Disposition: form-data; name="recording"; filename="a.mp3"\r\n\r\n'
TAIL = b"\r\n--cut--\r\n"
TAGGED = b"ID3\x04" + bytes(60)


def test_recording_is_not_kept_in_memory() -> None:
    """A thousand of them come in one rehearsal."""
    crm = made()
    crm.create()
    piece, pieces = MP3 * 160, 120
    size = len(piece) * pieces

    async def body() -> AsyncIterator[bytes]:
        yield HEAD
        for _ in range(pieces):
            # Another object each time, or keeping them all would cost nothing.
            yield bytes(bytearray(piece))
        yield TAIL

    async def sent() -> int:
        transport = httpx.ASGITransport(app=crm.stage.api)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            headers = {"Authorization": f"Bearer {TOKEN}"} | JSON | FORM
            tracemalloc.start()
            answer = await client.post("/v2" + UPLOAD, headers=headers, content=body())
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert answer.status_code == 200
            return peak

    assert asyncio.run(sent()) < size / 4
    kept = crm.stage.world.communications[42534452].recording
    assert kept is not None
    assert (kept.size_bytes, kept.sha256) == (size, hashlib.sha256(piece * pieces).hexdigest())


@pytest.mark.parametrize("cut", [1, 7, 64, 10_000])
def test_pieces_of_any_size_make_the_same_recording(cut: int) -> None:
    crm = made()
    crm.create()
    whole = HEAD + wav() + TAIL

    async def body() -> AsyncIterator[bytes]:
        for first in range(0, len(whole), cut):
            yield whole[first : first + cut]

    async def sent() -> None:
        transport = httpx.ASGITransport(app=crm.stage.api)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            await client.post(
                "/v2" + UPLOAD, headers={"Authorization": f"Bearer {TOKEN}"} | JSON | FORM, content=body()
            )

    asyncio.run(sent())
    kept = crm.stage.world.communications[42534452].recording
    assert kept is not None
    assert (kept.format, kept.sha256) == ("wav", hashlib.sha256(wav()).hexdigest())


@pytest.mark.parametrize(
    "body",
    [
        HEAD + MP3,  # the end is missing
        HEAD.replace(b'name="recording"; ', b"") + MP3 + TAIL,
        b"nothing of the kind",
        b"",
    ],
)
def test_form_that_is_broken_holds_no_recording(body: bytes) -> None:
    crm = made()
    crm.create()
    answer = crm.send("POST", UPLOAD, FORM, content=body)
    assert answer.json()["errors"] == {"recording": ["The recording field is required."]}
    assert crm.stage.world.communications[42534452].recording is None


@pytest.mark.parametrize(("content", "status"), [(MP3, 422), (TAGGED, 200), (wav(), 200)])
def test_odd_mp3_may_be_taken_for_something_else(content: bytes, status: int) -> None:
    """PHP's libmagic errs on valid files: a recording may be refused for no fault of the importer's."""
    crm = made(mp3="id3")
    crm.create()
    assert crm.send("POST", UPLOAD, files={"recording": ("a.mp3", content)}).status_code == status


@pytest.mark.parametrize(("knob", "status"), [("any", 200), ("phone", 422)])
def test_recording_of_what_is_no_call(knob: str, status: int) -> None:
    crm = made(recording_of=knob)
    crm.create(method="email", call_status=...)
    assert crm.send("POST", UPLOAD, files={"recording": ("a.mp3", MP3)}).status_code == status


def test_slow_reader_takes_its_time_for_each_piece() -> None:
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    slowly = plan.parsed([{"kind": "slow_read", "path": "/communications/:id/recording", "bytes_per_second": 100}])
    crm = Client(rehearsal.Rehearsal(token=TOKEN, now=lambda: NOW, pause=pause, trouble=slowly))
    crm.create()
    assert waited == []
    answer = crm.send("POST", UPLOAD, FORM, content=HEAD + MP3 + TAIL)
    assert answer.status_code == 200
    assert sum(waited) == pytest.approx(len(HEAD + MP3 + TAIL) / 100)
    assert crm.stage.journal.entries[-1].fault == ["slow_read"]


@pytest.mark.parametrize(("knob", "user_id"), [("create", 101), ("always", 102)])
def test_who_made_the_call_may_be_changed_later(knob: str, user_id: int) -> None:
    crm = made(executed_by=knob)
    crm.create()
    assert crm.send("PUT", "/communications/42534452", json={"executed_by": 102}).json()["data"]["user_id"] == user_id


def test_knobs_are_turned_by_name() -> None:
    turned = knobs.turned(knobs.Knobs(limit=9), ["mp3=id3", "upload_bytes=2097152"])
    assert (turned.limit, turned.mp3, turned.upload_bytes) == (9, "id3", 2097152)


@pytest.mark.parametrize("text", ["mp3=odd", "limit=3", "upload_bytes=2M", "mp3", "=x"])
def test_knob_that_does_not_exist_is_a_complaint_that_lists_them(text: str) -> None:
    with pytest.raises(knobs.KnobError, match=r"any\|id3|a whole number"):
        knobs.turned(knobs.Knobs(), [text])


def test_every_habit_is_a_setting_and_begins_with_its_default() -> None:
    for name, positions in knobs.HABITS.items():
        assert getattr(knobs.Knobs(), name) == positions[0]
