"""A recording on its way: streamed from the open file, tried again where that helps, its refusal about it alone."""

import random
import tracemalloc
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest

from callimport.core import errors, models, privacy
from callimport.crm import client, rate_limit, retry
from callimport.load.audio_files import Audio, Folder
from tests import fake_crm
from tests.fake_crm import FakeCrm, Reply, in_virtual_time, reply
from tests.unit.load.test_audio_files import opened as audio_of
from tests.unit.load.test_audio_files import wav

ID = 42534452
SOUND = wav(3)
ACCOUNT = reply(200, {"data": [{"id": 7, "name": "Concession fictive"}]})


@pytest.fixture
def audio(tmp_path: Path) -> Iterator[Audio]:
    (tmp_path / "call.wav").write_bytes(SOUND)
    found = Folder(tmp_path, 10_000).opened("call.wav")
    assert isinstance(found, Audio)
    with found:
        yield found


def scripted(*replies: Reply) -> FakeCrm:
    return FakeCrm(script=deque(replies), account=lambda _: ACCOUNT)


@asynccontextmanager
async def couriered(crm: FakeCrm) -> AsyncIterator[retry.Courier]:
    async with crm.reached() as there:
        pace = rate_limit.Pacer((models.Rate(190, 60.0),), anyio.current_time, random.Random(1))
        yield retry.Courier(there, pace, random.Random(1))


def uploads(crm: FakeCrm) -> int:
    return sum(request.method == "POST" for request in crm.received)


@in_virtual_time
async def _sent(crm: FakeCrm, audio: Audio) -> None:
    async with couriered(crm) as there:
        await there.upload_recording(ID, audio)


def test_it_arrives_as_the_one_part_of_a_form(audio: Audio) -> None:
    crm = scripted()
    _sent(crm, audio)
    (request,) = crm.received
    head, content = request.part
    assert request.target == f"/v2/communications/{ID}/recording"
    assert request.headers["content-length"] == str(len(request.body))
    assert "transfer-encoding" not in request.headers
    assert 'name="recording"; filename="recording.wav"' in head
    assert "audio/wav" in head
    assert content == SOUND


@pytest.mark.parametrize(
    "failure",
    [fake_crm.RESETS, fake_crm.CLOSES, fake_crm.NO_REPLY, reply(500), reply(503), reply(408)],
    ids=["reset", "closed", "hangs", "500", "503", "408"],
)
def test_what_may_not_have_arrived_is_sent_again_whole(audio: Audio, failure: Reply) -> None:
    """It takes the place of itself: doubt does no harm here."""
    crm = scripted(failure)
    _sent(crm, audio)
    assert uploads(crm) == 2
    assert crm.recordings == {ID: [SOUND]}


@pytest.mark.parametrize("answer", [reply(200), reply(201, {"data": {}}), reply(200, b"{", cut_after=0), reply(204)])
def test_any_yes_is_a_yes(audio: Audio, answer: Reply) -> None:
    crm = scripted(answer)
    _sent(crm, audio)
    assert uploads(crm) == 1


def test_a_web_page_is_no_yes(audio: Audio) -> None:
    with pytest.raises(errors.DestinationUnusable, match="web page"):
        _sent(scripted(reply(200, b"<html>log in</html>")), audio)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (reply(422, {"message": "…", "errors": {"recording": ["The recording must be a file of type: wav, mp3."]}}),
         "must be a file of type"),
        (reply(413, b"<html><h1>413 Request Entity Too Large</h1></html>"), "413"),
        (reply(413, {"message": ""}), "413"),
        (reply(415), "415"),
        (reply(404, {"message": "No query results for model [Communication]."}), "not there any more"),
        (reply(403, {"message": "This action is unauthorized."}), "unauthorized"),
    ],
    ids=["422", "413-page", "413", "415", "404", "403"],
)  # fmt: skip
def test_a_refusal_is_about_this_one_and_is_not_repeated(audio: Audio, answer: Reply, told: str) -> None:
    crm = scripted(answer)
    with pytest.raises(errors.Refused) as caught:
        _sent(crm, audio)
    assert told in "; ".join((*caught.value.reasons, caught.value.evidence))
    assert uploads(crm) == 1


def test_one_that_does_not_get_there_while_the_crm_answers_is_its_own_fault(audio: Audio) -> None:
    """A server that hangs up on big files does not end the run."""
    crm = scripted(*[fake_crm.RESETS] * 4)
    with pytest.raises(errors.InDoubt):
        _sent(crm, audio)
    assert uploads(crm) == 4


def test_a_crm_that_does_not_answer_at_all_ends_the_run(audio: Audio) -> None:
    crm = FakeCrm(script=deque([fake_crm.RESETS] * 4), account=lambda _: fake_crm.RESETS)
    with pytest.raises(errors.DestinationUnusable, match="cannot be reached"):
        _sent(crm, audio)


def test_a_429_is_waited_for(audio: Audio) -> None:
    crm = scripted(reply(429, None, [("Retry-After", "30")]))
    _sent(crm, audio)
    assert crm.received[1].at - crm.received[0].at >= 30
    assert crm.recordings == {ID: [SOUND]}


@in_virtual_time
async def test_a_big_file_is_given_more_time_than_an_answer(tmp_path: Path) -> None:
    """Two minutes to think about it is no fault of an upload; of a small answer it would be."""
    (tmp_path / "big.wav").write_bytes(wav(10_000))
    crm = FakeCrm(script=deque([reply(200, {}, after_seconds=110.0)]))
    audio = Folder(tmp_path, 10**8).opened("big.wav")
    assert isinstance(audio, Audio)
    with audio:
        async with couriered(crm) as there:
            await there.upload_recording(ID, audio)
    assert len(crm.received) == 1


def test_a_file_is_never_in_memory_whole(tmp_path: Path) -> None:
    """Blocks of 64 KiB of a sparse file of 48 MB."""

    async def upload() -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610  no Django here
            async with anyio.create_task_group() as group:
                group.start_soon(listener.serve, _swallow)
                address = f"http://127.0.0.1:{port}/v2"
                async with client.connected(address, privacy.Secret("t")) as there:
                    tracemalloc.start()
                    await there.upload_recording(ID, opened, opened.file_name, opened.media_type)
                group.cancel_scope.cancel()

    big = tmp_path / "big.wav"
    big.write_bytes(wav())
    with big.open("r+b") as file:
        file.truncate(48 * 1024 * 1024)
    with audio_of(Folder(tmp_path, 10**8), "big.wav") as opened:
        try:
            anyio.run(upload)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 4 * 1024 * 1024


async def _swallow(stream: anyio.abc.SocketStream) -> None:
    """A server that reads a whole request of known length and says yes."""
    async with stream:
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive()
        head, _, body = head.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        taken = len(body)
        while taken < length:
            taken += len(await stream.receive())
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
