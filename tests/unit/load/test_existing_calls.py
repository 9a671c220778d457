"""Calls that somebody else has brought to the CRM: looked for before a lead's first call goes, and not made twice."""

import json
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from callimport import report
from callimport.cli import status
from callimport.core import endings, errors, mapping, models
from callimport.core.models import ItemStatus
from callimport.core.settings import PREFIX, Settings
from callimport.crm.retry import Courier
from callimport.ledger import Ledger
from callimport.load import existing_calls
from callimport.load.existing_calls import Existing
from tests import making, rehearsal
from tests.fake_crm import NO_REPLY, TOKEN, FakeDealer, Reply, Request, in_virtual_time, reply
from tests.shown import Shows, ledger_with, lose_answer, stored
from tests.unit.load.test_deliver import BATCH as OF_STAGE
from tests.unit.load.test_deliver import Stage, numbers, stage
from tests.unit.resolve.test_find_leads import Nights

CALL = making.call()
KEY = making.key(CALL)
BATCH = making.batch().id
TWO_MINUTES = timedelta(minutes=2)


def _later(call_id: str, seconds: int, **changes: Any) -> models.Call:
    started = making.STARTED + timedelta(seconds=seconds)
    return making.call(call_id, row=int(call_id[2:]) + 1, started_at=started, **changes)


def _theirs(number: int = 900, seconds: float = 0, **changes: Any) -> models.Stored:
    """What a person has typed in, so many seconds after the call."""
    moment = (making.STARTED + timedelta(seconds=seconds)).isoformat()
    typed = {"executed_at": moment, "description": "Rappelé", "call_duration": 60, **changes}
    return stored(number, mapping.communication(CALL, None), **typed)


def _looking(
    ledger: Ledger, shows: Shows, choice: Any = "skip", *, batch: str = BATCH, said: list[str] | None = None
) -> Existing:
    settings = Settings(files=(), existing=choice)
    return Existing(settings, ledger, shows, batch, (said if said is not None else list[str]()).append, making.clock())


@contextmanager
def _looked_at(
    folder: Path, *calls: models.Call, theirs: list[models.Stored]
) -> Iterator[tuple[Ledger, Callable[[], Awaitable[Any]]]]:
    """A ledger with these calls pending, and the look at their lead."""
    with ledger_with(folder, *calls) as ledger:
        shows = Shows()
        shows.answers[5003] = [theirs]
        yield ledger, lambda: _looking(ledger, shows).look(5003)


# Which communication is which call


def _items(*calls: models.Call) -> list[models.Item]:
    return [models.Item(one.call_id or "", "", one.lead_id, mapping.communication(one, None)) for one in calls]


@pytest.mark.parametrize(("seconds", "is_it"), [(0, True), (-120, True), (120, True), (121, False), (-3600, False)])
def test_a_communication_within_two_minutes_is_the_call(seconds: int, is_it: bool) -> None:
    assert existing_calls.explained(_items(CALL), [_theirs(seconds=seconds)]) == ({"A-1": 900} if is_it else {})


@pytest.mark.parametrize(
    "changes", [{"method": "email"}, {"type": "outgoing"}, {"executed_at": None}], ids=lambda given: next(iter(given))
)
def test_what_is_of_another_kind_or_of_no_time_is_not_the_call(changes: dict[str, Any]) -> None:
    assert existing_calls.explained(_items(CALL), [_theirs(**changes)]) == {}


def test_one_communication_stands_for_one_call_the_nearest() -> None:
    calls = _items(CALL, _later("A-2", 50), _later("A-3", 100))
    assert existing_calls.explained(calls, [_theirs(900, 60)]) == {"A-2": 900}
    assert existing_calls.explained(calls, [_theirs(900, 60), _theirs(901, 10)]) == {"A-1": 901, "A-2": 900}
    assert existing_calls.explained(calls, [_theirs(900, 1), _theirs(901, 2)]) == {"A-1": 900, "A-2": 901}


def test_of_calls_that_are_equally_near_none_is_sent() -> None:
    calls = _items(CALL, _later("A-2", 60))
    assert existing_calls.explained(calls, [_theirs(900, 30)]) == {"A-1": 900, "A-2": 900}
    assert existing_calls.explained(calls, [_theirs(900, 30), _theirs(901, 61)]) == {"A-1": 900, "A-2": 901}


# What the look does


@in_virtual_time
async def test_a_call_that_is_there_is_skipped_with_its_id(tmp_path: Path) -> None:
    with _looked_at(tmp_path, CALL, _later("A-2", 600), theirs=[_theirs(900, 45)]) as (ledger, look):
        assert set(await look()) == {KEY}
        row = making.row(ledger, KEY)
        assert (row["status"], row["existing_id"]) == ("withdrawn", 900)
        assert row["reason"] == "existing: communication 900"
        assert making.status(ledger, making.key(_later("A-2", 600))) is ItemStatus.PENDING


@in_virtual_time
async def test_what_is_ours_is_no_other_call(tmp_path: Path) -> None:
    """By its id, by a reference of ours whoever made it, or as the one that a call in doubt has perhaps become."""
    second, third = _later("A-2", 20), _later("A-3", 40)
    with ledger_with(tmp_path, CALL, second, third, with_mark=False) as ledger:
        making.bring(ledger, making.key(second), "run-1", ItemStatus.DELIVERED, communication_id=900)
        ledger.settle(lose_answer(ledger, third).key, models.Verdict("held", "may be there"))
        shows = Shows()
        mark = mapping.reference("k1:another", making.ACCOUNT.id)
        shows.answers[5003] = [
            [
                _theirs(900),
                replace(_theirs(901), description=f"Rappel [ref {mark}]"),
                stored(902, mapping.communication(third, None)),
            ]
        ]
        assert not await _looking(ledger, shows).look(5003)
        assert making.status(ledger, KEY) is ItemStatus.PENDING


@in_virtual_time
async def test_what_stands_for_one_call_stands_for_no_other_on_later_nights(tmp_path: Path) -> None:
    with _looked_at(tmp_path, CALL, theirs=[_theirs(900, 10)]) as (ledger, look):
        await look()
        later, batch = _later("A-2", 30), making.batch("2.csv")
        making.enter(ledger, batch, later, run_id="run-1")
        shows = Shows()
        shows.answers[5003] = [[_theirs(900, 10)]]
        assert not await _looking(ledger, shows, batch=batch.id).look(5003)
        assert making.status(ledger, making.key(later)) is ItemStatus.PENDING


@in_virtual_time
async def test_a_person_has_the_last_word(tmp_path: Path) -> None:
    """What was taken up again, or was said not to be there, is not looked for any more."""
    other = _later("A-2", 600)
    theirs = [_theirs(900, 10), _theirs(901, 605)]
    with _looked_at(tmp_path, CALL, other, theirs=theirs) as (ledger, look):
        ledger.hold(making.key(other), "looks like another")
        assert set(await look()) == {KEY}
        assert ledger.retry_one(making.row(ledger, KEY)["reference"]) is ItemStatus.PENDING
        ledger.resend(making.row(ledger, making.key(other))["reference"])
        assert not await look()
        assert making.status(ledger, KEY) is ItemStatus.PENDING


@in_virtual_time
async def test_a_lead_is_read_once_a_run_and_not_at_all_where_it_was_read_before(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, making.call("B-1", row=3, lead_id=5004)) as ledger:
        shows = Shows()
        looking = _looking(ledger, shows)
        assert looking.reads_to_come() == 2
        assert looking.reads_to_come(most=1) == 1
        looking.heard(5004, [])
        assert looking.reads_to_come() == looking.reads_left == 1
        for lead_id in (5003, 5004, 5003):
            await looking.look(lead_id)
        assert [lead_id for _, lead_id in shows.reads] == [5003]
        assert looking.reads_left == looking.reads_to_come() == 0


@in_virtual_time
async def test_send_looks_at_nothing(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        shows = Shows()
        looking = _looking(ledger, shows, "send")
        looking.heard(5003, [_theirs()])
        assert not await looking.look(5003)
        assert (looking.reads_to_come(), shows.reads) == (0, [])
        assert making.status(ledger, KEY) is ItemStatus.PENDING


@in_virtual_time
async def test_report_names_what_is_there_and_has_it_sent(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, _later("A-2", 600)) as ledger:
        shows, said = Shows(), list[str]()
        shows.answers[5003] = [[_theirs(900, 10)]]
        assert not await _looking(ledger, shows, "report", said=said).look(5003)
        assert making.status(ledger, KEY) is ItemStatus.PENDING
        (line,) = said
        assert line.startswith(making.row(ledger, KEY)["reference"])
        assert "communication 900" in line


@pytest.mark.parametrize("answer", [errors.Incomplete("half a lead"), errors.Refused("403", status=403)], ids=repr)
def test_a_lead_that_does_not_show_what_it_holds_is_sent_nothing(tmp_path: Path, answer: Exception) -> None:
    @in_virtual_time
    async def story() -> None:
        with ledger_with(tmp_path, CALL) as ledger:
            shows, said = Shows(), list[str]()
            shows.answers[5003] = [answer]
            looking = _looking(ledger, shows, said=said)
            assert not await looking.look(5003)
            assert looking.unread == {5003}
            assert "stay pending" in said[0]

    story()


@in_virtual_time
async def test_a_lead_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        shows = Shows()
        shows.answers[5003] = [errors.Refused("no such lead", status=404)]
        looking = _looking(ledger, shows)
        assert not await looking.look(5003)
        assert looking.unread == set()


def _unusable(why: Exception) -> errors.DestinationUnusable:
    error = errors.DestinationUnusable("the CRM cannot be reached")
    error.__cause__ = why
    return error


@in_virtual_time
async def test_a_crm_that_does_not_answer_is_waited_for(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        shows = Shows()
        down = _unusable(errors.NotApplied("refused"))
        shows.answers[5003] = [down, down, [_theirs()]]
        assert set(await _looking(ledger, shows).look(5003)) == {KEY}
        assert anyio.current_time() == 60


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (_unusable(errors.InDoubt("no answer")), 300),
        (_unusable(errors.Limited("429", retry_after=None)), 0),
        (errors.DestinationUnusable("401"), 0),
    ],
)
def test_a_crm_that_does_not_get_well_ends_the_run(tmp_path: Path, error: Exception, seconds: int) -> None:
    @in_virtual_time
    async def story() -> None:
        with ledger_with(tmp_path, CALL) as ledger:
            shows = Shows()
            shows.answers[5003] = [error]
            with pytest.raises(errors.DestinationUnusable):
                await _looking(ledger, shows).look(5003)
            assert anyio.current_time() == seconds
            assert making.status(ledger, KEY) is ItemStatus.PENDING

    story()


# How it is counted, that night and later


def _night(ledger: Ledger, *calls: models.Call, name: str = "2.csv") -> dict[str, int]:
    batch = making.batch(name)
    summary = making.reckoned(ledger, making.enter(ledger, batch, *calls, run_id="run-1"), batch, *calls)
    assert summary.calls.adds_up(summary.rows)
    return summary.skipped


@in_virtual_time
async def test_it_is_existing_on_every_later_night_until_a_person_says_otherwise(tmp_path: Path) -> None:
    with _looked_at(tmp_path, CALL, theirs=[_theirs()]) as (ledger, look):
        await look()
        assert _night(ledger, CALL) == {"existing": 1}
        changed = making.call(duration_seconds=7)
        assert _night(ledger, changed, name="3.csv") == {"existing": 1}
        reference = making.row(ledger, KEY)["reference"]
        ledger.retry_one(reference)
        ledger.withdraw(str(making.row(ledger, KEY)["batch_id"]))
        assert _night(ledger, CALL, name="4.csv") == {"withdrawn": 1}


@in_virtual_time
async def test_a_held_call_that_is_given_up_is_not_existing_any_more(tmp_path: Path) -> None:
    with _looked_at(tmp_path, CALL, theirs=[_theirs()]) as (ledger, look):
        await look()
        reference = making.row(ledger, KEY)["reference"]
        ledger.retry_one(reference)
        ledger.hold(KEY, "in question")
        ledger.withdraw_one(reference)
        assert _night(ledger, CALL) == {"withdrawn": 1}


@in_virtual_time
async def test_the_same_call_under_another_id_is_held(tmp_path: Path) -> None:
    """Else it would be sent: what is there stands for the first one."""
    with _looked_at(tmp_path, CALL, theirs=[_theirs()]) as (ledger, look):
        await look()
        again = making.call("A-9")
        making.enter(ledger, making.batch("2.csv"), again, run_id="run-1")
        assert making.status(ledger, making.key(again)) is ItemStatus.HELD


# In a delivery


def _typed(lead_id: int, moment: str, number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": number, "lead_id": lead_id, "method": "phone", "type": "outgoing", "executed_at": moment,
        "description": "Rappelé", **changes,
    }  # fmt: skip


def _executed_at(ledger: Ledger, key: str) -> str:
    return str(json.loads(making.row(ledger, key)["payload"])["executed_at"])


def _existing(play: Stage) -> Existing:
    courier = Courier(play.there, play.pacer, play.rng)
    return Existing(Settings(files=()), play.ledger, courier, OF_STAGE.id, play.said.append, play.clock)


class Hiding(FakeDealer):
    """Shows some leads without their communications."""

    hidden: Collection[int] = ()

    def receive(self, request: Request) -> Reply:
        if any(request.target.startswith(f"/v2/leads/{lead_id}?") for lead_id in self.hidden):
            self.received.append(request)
            return reply(200, {"data": {"id": 1}})
        return super().receive(request)


@in_virtual_time
async def test_what_is_skipped_does_not_count_for_the_limit(tmp_path: Path) -> None:
    crm = FakeDealer()
    async with stage(tmp_path, crm, [1, 2, 3, 4]) as play:
        for number in (0, 1):
            crm.stored.append(_typed(number + 1, _executed_at(play.ledger, f"k1:{number:05}"), number + 1))
        sending = play.delivery(limit=1, concurrency=2, existing=_existing(play))
        await sending.run()
        assert numbers(crm) == [2]
        assert play.stand() == {"delivered": 1, "pending": 1, "withdrawn": 2}
        assert sending.progress().to_do == 4


@in_virtual_time
async def test_other_leads_go_on_where_one_cannot_be_read(tmp_path: Path) -> None:
    crm = Hiding()
    crm.hidden = {1}
    async with stage(tmp_path, crm, [1, 2, 1, 3]) as play:
        looking = _existing(play)
        sending = play.delivery(concurrency=1, existing=looking)
        assert looking.reads_to_come() == sending.progress().reads_left == 3
        await sending.run()
        assert numbers(crm) == [1, 3]
        assert play.stand() == {"delivered": 2, "pending": 2}
        assert looking.unread == {1}
        assert len(play.said) == 1


@in_virtual_time
async def test_who_waits_for_a_lead_is_heard_asking_for_an_end(tmp_path: Path) -> None:
    crm = FakeDealer()
    crm.script.append(NO_REPLY)
    async with stage(tmp_path, crm, [1, 2]) as play:
        sending = play.delivery(concurrency=1, existing=_existing(play))
        async with anyio.create_task_group() as beside:
            beside.start_soon(sending.run)
            await anyio.sleep(1)
            sending.drain()
        assert anyio.current_time() == 1
        assert play.stand() == {"pending": 2}


# A whole run


HEADER = "call_id,lead_id,direction,started_at,duration_seconds,customer_phone,agent_id"


def _row(lead_id: int, call_id: str | None = None) -> str:
    moment = f"2026-11-20T14:{lead_id % 60:02}:07-05:00"
    return f"{call_id or f'c{lead_id}'},{lead_id},outgoing,{moment},60,+1514555{lead_id:04},12"


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nights:
    monkeypatch.setenv(f"{PREFIX}TOKEN", TOKEN)
    return Nights(tmp_path, FakeDealer())


async def _run(nights: Nights, *rows: str, **changes: Any) -> endings.Result:
    return await nights.run(*rows, header=HEADER, find_leads=False, **changes)


def test_a_plan_says_what_the_look_costs_and_a_run_sends_that_plan(nights: Nights) -> None:
    @in_virtual_time
    async def story() -> None:
        rows = [_row(number) for number in range(100, 160)]
        nights.crm.stored.append(_typed(159, "2026-11-20T19:40:00+00:00"))
        planned = await _run(nights, *rows, dry_run=True)
        assert (planned.summary.calls.pending, planned.summary.skipped) == (60, {})
        (told,) = (line for line in planned.told if "--existing" in line)
        assert told.startswith("20 leads are read before their first call goes (--existing): 20 requests")
        without = await _run(nights, *rows, dry_run=True, existing="send")
        assert not any("--existing" in line for line in without.told)
        assert planned.plan == without.plan

        ended = await _run(nights, *rows, plan=planned.plan)
        assert (ended.summary.calls.delivered, ended.summary.skipped) == (59, {"existing": 1})
        assert [one.reason for one in ended.existing] == ["existing: communication 1"]
        assert any("callimport retry KEY" in line for line in report.lists(ended))
        leads = [one.partition("?")[0] for one in nights.asked[-1] if one.startswith("/v2/leads/")]
        # The canary's lead is read once more.
        assert (len(leads), len(set(leads))) == (61, 60)

        again = await _run(nights, *rows)
        assert (again.summary.exit_code, again.summary.skipped, again.existing) == (0, {"existing": 1}, ())
        status.retry(nights.settings(), making.clock(), statuses=(), keys=(ended.existing[0].reference,))
        # It is of the plan still, so another run leaves it alone.
        assert (await _run(nights, *rows)).summary.calls.pending == 1
        assert (await _run(nights, *rows, plan=planned.plan)).summary.calls.delivered == 1

    story()


def test_a_run_that_could_not_look_says_so_and_goes_on_the_next_night(nights: Nights) -> None:
    @in_virtual_time
    async def story() -> None:
        nights.crm = crm = Hiding()
        crm.hidden = {101}
        ended = await _run(nights, _row(100), _row(101))
        assert (ended.summary.calls.delivered, ended.summary.calls.pending) == (1, 1)
        assert ended.summary.exit_code == errors.ExitCode.WORK_LEFT
        assert any(line.startswith("leads that did not show their communications: 1;") for line in ended.told)
        crm.hidden = ()
        after = await _run(nights, _row(100), _row(101))
        assert (after.summary.exit_code, after.summary.calls.delivered) == (0, 1)

    story()


def _type_in(crm: rehearsal.Crm, lead_id: int, direction: str, moment: str) -> int:
    typed = {
        "executed_at": f"2024-05-01T{moment}-04:00", "method": "phone", "type": direction, "description": "Noté",
    }  # fmt: skip
    act = {"act": "add_communication", "lead": lead_id, "communication": typed}
    answer = httpx.post(f"{crm.address['control_url']}/acts", json=act, trust_env=False)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["done"][0])


def test_the_real_command_leaves_out_what_a_person_has_typed_in(tmp_path: Path) -> None:
    source = rehearsal.write_csv(tmp_path / "calls.csv", rehearsal.calls(8))
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as crm:
        # Call 2 of lead 5003 came in at 9:14, call 3 of lead 5004 went out at 9:21.
        number = _type_in(crm, 5003, "incoming", "09:15:30")
        _type_in(crm, 5004, "incoming", "09:21:00")
        ended = crm.run(source, "--rate", "60000/min")
        again = crm.run(source, "--rate", "60000/min")
        plain = rehearsal.callimport("run", source, "--destination", "sandbox", state=crm.state)
        exported = tmp_path / "withdrawn.csv"
        rehearsal.callimport(
            "export", "-o", exported, "--status", "withdrawn", "--destination", "sandbox", state=crm.state
        )
        (line,) = exported.read_text(encoding="utf-8").splitlines()[1:]
        assert f"existing: communication {number}" in line
        key = next(cell for cell in line.split(",") if cell.count("-") == 2 and len(cell) == 12)
        assert rehearsal.callimport("retry", key, "--destination", "sandbox", state=crm.state).code == 0
        wanted = crm.run(source, "--rate", "60000/min")

    assert (ended.code, ended.summary["calls"]["delivered"], ended.summary["skipped"]) == (0, 7, {"existing": 1})
    assert rehearsal.adds_up(ended.summary)
    assert f"existing: communication {number}" in ended.said
    assert (again.summary["calls"]["unchanged"], again.summary["skipped"]) == (7, {"existing": 1})
    assert "1 existing" in plain.out
    assert (wanted.code, wanted.summary["calls"]["delivered"], wanted.summary["skipped"]) == (0, 1, {})
