"""callimport probe: it learns what it asks, on the one lead that it was given, and only with consent."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from callimport.cli import probe, silence
from callimport.core import errors, models
from callimport.crm import account, raw_request
from callimport.crm.rate_limit import Pacer
from callimport.load import audio_files
from tests import making, rehearsal
from tests.fake_crm import FIRST_ID, FakeCrm, Line, Reply, Request, in_virtual_time, reply
from tests.rehearsal import Crm, Ended, callimport

LEAD = "5001"


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[Crm]:
    with rehearsal.crm(tmp_path / "state") as running:
        yield running


def _probe(crm: Crm, *options: str) -> Ended:
    return callimport("probe", "--destination", "sandbox", "--rate", "60000/min", *options, state=crm.state)


def _learned(ended: Ended) -> dict[str, str]:
    return {one["question"]: one["answer"] for one in json.loads(ended.out)["learned"]}


def test_it_learns_what_a_call_becomes_and_what_it_does_to_its_lead(crm: Crm) -> None:
    ended = _probe(crm, "--test-lead", LEAD, "--yes", "--json")
    assert ended.code == 0, ended.said
    learned = _learned(ended)
    assert learned["a call is created"] == "201"
    assert learned["kept otherwise than as sent"] == "nothing"
    assert "T19:00:00+00:00" in learned["executed_at 14:00-05:00 comes back as"]
    assert learned["its text comes back unchanged"] == "yes"
    assert learned["the lead's result before and after the call"] == "None, attempted"
    before, after = learned["the lead's updated_at before and after the call"].split(", ")
    assert before < after
    assert learned["a recording is uploaded, a second of WAV"] == learned["the same recording again"] == "200"
    assert learned["the lead's result before and after the recording"] == "attempted, attempted"
    assert "the lead's updated_at before and after the recording" in learned
    assert learned["what the recording changes in its call"] == "nothing"
    assert learned["an MP3 without an ID3 tag"] == "200"
    sizes = {question: answer[:3] for question, answer in learned.items() if question.endswith(" MB")}
    # The rehearsal CRM takes 16.
    assert sizes == {"a recording of 1 MB": "200", "a recording of 5 MB": "200", "a recording of 20 MB": "413"}
    uploads = {one["path"] for one in crm.ask("journal")["requests"] if one["path"].endswith("/recording")}
    assert uploads == {f"/v2/communications/{json.loads(ended.out)['made'][0]}/recording"}
    assert learned["the very same call again makes another communication"] == "201"
    assert "422" in learned["an outgoing call that was interrupted"]
    assert learned["a communication is deleted"] == "405"
    assert learned["leads by the number, as it is: 1 found"] == "200"
    assert learned["an update that names the method alone, call_duration 0"] == "200"
    assert learned["an update of the duration, call_duration 1"] == "200"
    assert learned["a key that is none"].startswith("401")
    assert learned["headers that tell the limit"].startswith(("none", "x-ratelimit-limit"))
    assert any(question.startswith("leads by the number, all but its last digit and a %") for question in learned)
    assert "555" not in ended.said


@in_virtual_time
async def test_recordings_grow_only_until_one_is_refused() -> None:
    """A large one takes minutes on a slow line, and a larger one than was refused would tell nothing new."""
    crm = FakeCrm()

    def answer(request: Request) -> Reply:
        path = request.target.partition("?")[0]
        if path == "/v2/communications" or (request.method == "GET" and path.startswith("/v2/leads/")):
            return crm.keep(request)
        if not path.endswith("/recording"):
            return reply(404, {})
        head, audio = request.part
        if "audio/mpeg" in head:
            return reply(422, {"message": "no", "errors": {"recording": ["wrong type"]}})
        return reply(413, b"<html>Too Large</html>") if len(audio) > 4 * audio_files.MEBIBYTE else crm.upload(request)

    crm.answer = answer
    async with crm.reached() as there:
        pacer = Pacer((models.Rate(60_000, 60.0),), anyio.current_time)
        probed = await probe.Trial(there, pacer, making.NOW, int(LEAD), lambda _: None).run()
    learned = {one.question: one.answer for one in probed.learned}
    assert learned["an MP3 without an ID3 tag"] == "422 recording: wrong type"
    assert learned["a recording of 1 MB"] == "200"
    assert learned["a recording of 5 MB"].startswith("413")
    assert "a recording of 20 MB" not in learned
    assert list(crm.recordings) == [FIRST_ID]
    small, again, large = crm.recordings[FIRST_ID]
    assert (again, audio_files.sniffed(small), len(large)) == (small, "wav", audio_files.MEBIBYTE)
    assert audio_files.sniffed(silence.mp3().read()) == "mp3"


def test_it_writes_to_that_lead_only_and_says_what_is_to_be_deleted(crm: Crm) -> None:
    ended = _probe(crm, "--test-lead", LEAD, "--yes", "--json")
    stored = crm.stored()
    assert {one["lead_id"] for one in stored} == {int(LEAD)}
    assert {one["id"] for one in stored} == set(json.loads(ended.out)["made"])
    assert all("probe" in one["description"] for one in stored)
    assert crm.ask("counts")["popups"] == 0
    told = _probe(crm, "--test-lead", LEAD, "--yes")
    # As they are made: a person who stops it midway knows what to delete.
    for one in crm.stored()[len(stored) :]:
        assert f"made communication {one['id']} on lead {LEAD}" in told.err
    assert "to be deleted in the CRM: 4253" in told.out


def test_nothing_is_written_without_consent(crm: Crm) -> None:
    """The tests' commands have no terminal to ask on."""
    ended = _probe(crm, "--test-lead", LEAD, "--json")
    assert (ended.code, crm.creates()) == (2, 0)
    assert "--yes" in json.loads(ended.out)["error"]


def test_a_lead_that_is_not_there_is_one_line_and_nothing_is_written(crm: Crm) -> None:
    ended = _probe(crm, "--test-lead", "777", "--yes", "--quiet")
    assert (ended.code, crm.creates()) == (2, 0)
    assert "lead 777 cannot be read (404)" in ended.err


def test_consent_is_the_leads_id_typed() -> None:
    account.consent_to_trial(making.ACCOUNT, 5001, lambda question: " 5001 ", given=False)
    account.consent_to_trial(making.ACCOUNT, 5001, None, given=True)
    for answer in ("yes", "5002", ""):
        with pytest.raises(errors.ConfigError, match="nothing was sent"):
            account.consent_to_trial(making.ACCOUNT, 5001, lambda question, said=answer: said, given=False)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fake", "status", "says"),
    [
        (lambda: FakeCrm(answer=lambda request: reply(404, {"message": "none"})), 404, ""),
        (lambda: FakeCrm(answer=lambda request: reply(405, {"message": "none"})), 405, ""),
        (lambda: FakeCrm(answer=lambda request: reply(422, {"errors": {"type": ["wrong"]}})), 422, "type: wrong"),
        (lambda: FakeCrm(answer=lambda request: reply(500, {})), 500, "status 500"),
        (lambda: FakeCrm(answer=lambda request: reply(401, {})), 401, "refused the key"),
        (lambda: _unreachable(), None, "refused"),
    ],
)
def test_whatever_comes_is_a_reply(fake: Any, status: int | None, says: str) -> None:
    @in_virtual_time
    async def story() -> None:
        async with fake().reached() as there:
            answered = await there.ask("DELETE", "/communications/1")
            assert (answered.status, answered.data) == (status, {})
            assert says in answered.told

    story()


def _unreachable() -> FakeCrm:
    crm = FakeCrm()
    crm.lines.append(Line.REFUSED)
    return crm


def test_a_reply_without_an_object_has_no_data() -> None:
    answered = raw_request.Reply
    assert answered(200, {"data": [1]}).data == answered(200, [1]).data == answered(None).data == {}
    assert answered(200, {"data": {"id": 1}}).data == answered(200, {"id": 1}).data == {"id": 1}
    assert probe.TEXT.endswith("]")
