"""Calls that wait for a lead, beside what else a run sees: never one of them twice, none given up unasked, and none
sent in a story that its row does not tell any more."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl
import pytest
from rich.console import Console

from callimport import report
from callimport.cli import find, status
from callimport.core import endings, errors, limits
from callimport.ledger import Ledger, known_calls, waiting_items
from callimport.resolve import waiting_calls
from callimport.resolve.resolution import Resolution
from tests import exporting, making
from tests.fake_crm import lead
from tests.unit.resolve.test_find_leads import HEADER, ONE, TWO, Nights, night_after_night

_HELD_BACK = (
    "1 call with a lead by now held back: it may be the same as one of today's or a rejected row; tried again by the "
    "next run"
)
_NO_ID = HEADER.removeprefix("call_id,")


def _call(moment: str = "14:01:01", call_id: str | None = "c1", seconds: str = "60", phone: str = ONE) -> str:
    cells = f"incoming,2026-11-20T{moment}-05:00,{seconds},{phone},12"
    return cells if call_id is None else f"{call_id},{cells}"


@night_after_night
async def test_one_call_that_waits_under_two_ids_goes_once_and_a_person_decides_on_the_other(nights: Nights) -> None:
    await nights.run(_call())
    await nights.run(_call(call_id="other report"))
    nights.crm.leads = [lead(11, ONE)]
    found = await nights.run()
    assert (found.summary.calls.delivered, found.summary.calls.held, found.summary.exit_code) == (1, 1, 4)
    assert (await nights.run()).summary.calls.total == 0
    assert len(nights.crm.stored) == 1


@night_after_night
async def test_one_call_without_an_id_that_waits_twice_a_second_apart_goes_once(nights: Nights) -> None:
    await nights.run(_call("14:01:01", None), header=_NO_ID)
    await nights.run(_call("14:01:02", None), header=_NO_ID)
    nights.crm.leads = [lead(11, ONE)]
    found = await nights.run(header=_NO_ID)
    assert (found.summary.calls.delivered, found.summary.calls.held) == (1, 1)
    assert [one["executed_at"] for one in nights.crm.stored] == ["2026-11-20T19:01:01+00:00"]


@night_after_night
async def test_of_calls_that_wait_within_a_minute_the_later_is_held_and_goes_when_a_person_says_so(
    nights: Nights,
) -> None:
    await nights.run(_call("14:01:01", "a"), _call("14:01:31", "b"), _call("14:20:02", "c"))
    nights.crm.leads = [lead(11, ONE)]
    found = await nights.run()
    assert (found.summary.calls.delivered, found.summary.calls.held) == (2, 1)
    with closing(Ledger.open(nights.folder / "ledger.sqlite3", making.clock(nights.night))) as ledger:
        ledger.resend(str(ledger.database.one("SELECT reference FROM item WHERE status = 'held'")))
    assert (await nights.run()).summary.calls.delivered == 1
    assert len({one["executed_at"] for one in nights.crm.stored}) == 3


@night_after_night
async def test_a_call_that_was_held_back_on_the_last_night_of_its_grace_goes_the_next_one(nights: Nights) -> None:
    grace = timedelta(days=1)
    await nights.run(_call("14:01:31", "b"), lead_grace=grace)
    nights.crm.leads = [lead(11, ONE)]
    today = await nights.run(_call("14:01:01", "a"), lead_grace=grace)
    assert (today.summary.calls.delivered, today.told) == (1, (_HELD_BACK,))
    delivered = [(await nights.run(lead_grace=grace)).summary.calls.delivered for _ in range(2)]
    assert delivered == [1, 0]


@night_after_night
async def test_withdrawing_a_batch_gives_up_its_calls_that_wait_for_a_lead(nights: Nights) -> None:
    batch = (await nights.run(_call())).summary.batch
    assert batch is not None
    assert status.withdraw(nights.settings(), making.clock(nights.night), batch) == 1
    assert status.withdraw(nights.settings(), making.clock(nights.night), batch) == 0
    assert status.status(nights.settings(), making.clock()).without_lead == 0
    again = await nights.run(_call())
    assert again.told == ()
    nights.crm.leads = [lead(11, ONE)]
    assert (await nights.run()).summary.calls.delivered == 0
    # From whichever file, as is promised of every call that was given up.
    assert (await nights.run(_call())).summary.skipped == {"withdrawn": 1}
    leads = exporting.write(nights.folder / "leads.txt", "phone,lead_id", f"{ONE},12")
    assert (await nights.run(_call(), find_leads=False, leads=leads)).summary.skipped == {"withdrawn": 1}
    assert nights.crm.stored == []
    with closing(Ledger.reading(nights.folder / "ledger.sqlite3", making.clock())) as ledger:
        reference = str(ledger.database.one("SELECT reference FROM item"))
    status.retry(nights.settings(), making.clock(nights.night), statuses=(), keys=(reference,))
    assert (await nights.run()).summary.calls.delivered == 1


@night_after_night
async def test_a_call_that_waits_belongs_to_the_last_batch_that_showed_it(nights: Nights) -> None:
    first = (await nights.run(_call())).summary.batch
    second = (await nights.run(_call(), _call("15:00:00", "c2"))).summary.batch
    assert first is not None
    assert second is not None
    assert status.withdraw(nights.settings(), making.clock(nights.night), first) == 0
    assert status.withdraw(nights.settings(), making.clock(nights.night), second) == 2


def _leg(at: datetime, talk: int, sequence: int, extension: int) -> str:
    moment, disposition = f"{at:%Y-%m-%d %H:%M:%S}", "ANSWERED" if talk else "NO ANSWER"
    return (
        f"{moment},5145550123,5145550123,{extension},from-internal,SIP/trunk-1,SIP/{extension}-{sequence},Dial,x,"
        f"{talk + 5},{talk},{disposition},3,,1795201200.{sequence},,1795201200.11,{sequence},"
    )


_SWITCHBOARD = (
    "calldate,clid,src,dst,dcontext,channel,dstchannel,lastapp,lastdata,duration,billsec,disposition,amaflags,"
    "accountcode,uniqueid,userfield,linkedid,sequence,recordingfile"
)
_RANG = _leg(datetime(2026, 11, 20, 14, 0, 0, tzinfo=UTC), 0, 11, 101)
_TALKED = _leg(datetime(2026, 11, 20, 14, 0, 10, tzinfo=UTC), 50, 12, 102)
_LEGS: dict[str, Any] = {
    "header": _SWITCHBOARD,
    "unknown_agent": "omit",
    "profile": "freepbx",
    "timezone": "America/Toronto",
}


def _told(nights: Nights) -> list[tuple[str, int]]:
    return [(one["call_status"], one["call_duration"]) for one in nights.crm.stored]


@night_after_night
async def test_a_part_of_a_call_that_waits_does_not_change_its_story(nights: Nights) -> None:
    await nights.run(_RANG, _TALKED, **_LEGS)
    await nights.run(_RANG, **_LEGS)
    nights.crm.leads = [lead(11, ONE)]
    await nights.run(**_LEGS)
    assert _told(nights) == [("answered", 50)]


@night_after_night
async def test_a_whole_call_that_waits_takes_the_place_of_the_part_that_is_seen_when_its_lead_comes(
    nights: Nights,
) -> None:
    await nights.run(_RANG, _TALKED, **_LEGS)
    nights.crm.leads = [lead(11, ONE)]
    assert (await nights.run(_RANG, **_LEGS)).summary.calls.delivered == 1
    assert _told(nights) == [("answered", 50)]
    assert (await nights.run(_RANG, **_LEGS)).summary.calls.unchanged == 1


@night_after_night
async def test_more_of_a_call_that_waits_is_its_story_from_then_on(nights: Nights) -> None:
    await nights.run(_RANG, **_LEGS)
    await nights.run(_RANG, _TALKED, **_LEGS)
    nights.crm.leads = [lead(11, ONE)]
    await nights.run(**_LEGS)
    assert _told(nights) == [("answered", 50)]


def _mended(nights: Nights, rejects: Path, *, at: str = "14:01:01") -> tuple[str, str]:
    """Header and row of the reject file, as a person has mended it."""
    header, row = rejects.read_text(encoding="utf-8-sig").splitlines()[:2]
    return header, row.replace("abc", "60").replace("14:01:01", at)


def _settled(result: endings.Result) -> tuple[int, int, int]:
    """Rejected rows, the known ones of them, and the exit code."""
    return result.summary.rows.rejected, result.summary.known_rejects, result.summary.exit_code


@night_after_night
async def test_a_mended_row_that_waits_for_a_lead_is_its_original_however_that_goes_on(nights: Nights) -> None:
    rejects, broken = nights.folder / "rejects.csv", _call(call_id="", seconds="abc")
    await nights.run(broken, rejects=rejects)
    header, row = _mended(nights, rejects, at="14:05:01")
    await nights.run(row, header=header)
    nights.crm.leads = [lead(12, TWO)]
    assert _settled(await nights.run(broken)) == (1, 1, 0)
    nights.crm.leads = [lead(11, ONE)]
    found = await nights.run(broken)
    assert (_settled(found), found.summary.calls.delivered) == ((1, 1, 0), 1)
    # Valid by now, the original is no call all the same.
    assert _settled(await nights.run(broken)) == (1, 1, 0)
    assert [one["executed_at"] for one in nights.crm.stored] == ["2026-11-20T19:05:01+00:00"]


@pytest.mark.parametrize("comes_late", [True, False])
def test_a_row_mended_twice_is_one_call_though_it_waits_for_a_lead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes_late: bool
) -> None:
    @night_after_night
    async def story(nights: Nights) -> None:
        rejects = nights.folder / "rejects.csv"
        await nights.run(_call(call_id="", seconds="abc"), rejects=rejects)
        header, row = _mended(nights, rejects)
        await nights.run(row, header=header)
        if not comes_late:
            nights.crm.leads = [lead(11, ONE)]
            nights.night += timedelta(days=1)
        other = await nights.run(_mended(nights, rejects, at="14:05:01")[1], header=header)
        assert exporting.rules(other) == {"mended_before": 1}
        assert other.summary.skipped == {}
        assert other.left_out == ()
        assert not comes_late or other.told == (
            "1 call without a lead kept: tried again for 30 days, whatever files a run has",
        )
        nights.crm.leads = [lead(11, ONE)]
        await nights.run(header=header)
        assert [one["executed_at"] for one in nights.crm.stored] == ["2026-11-20T19:01:01+00:00"]

    story(tmp_path, monkeypatch)


@night_after_night
async def test_a_mended_row_whose_first_form_was_sent_does_not_wait_beside_it(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE)]
    rejects = nights.folder / "rejects.csv"
    await nights.run(_call(call_id="", seconds="abc"), rejects=rejects)
    header, row = _mended(nights, rejects)
    assert (await nights.run(row, header=header)).summary.calls.delivered == 1
    other = await nights.run(row.replace(ONE, TWO), header=header)
    assert (exporting.rules(other), other.told) == ({"mended_before": 1}, ())


@night_after_night
async def test_a_mended_row_gets_its_lead_while_its_original_is_in_the_file_and_valid_by_now(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE), lead(12, ONE)]
    rejects = nights.folder / "rejects.csv"
    await nights.run(_call(), rejects=rejects)
    header, row = _mended(nights, rejects)
    await nights.run(row.replace(ONE, TWO), header=header)
    nights.crm.leads = [lead(11, ONE), lead(21, TWO)]
    nights.night += timedelta(days=7)
    both = await nights.run(_call())
    assert (_settled(both), both.summary.calls.delivered) == ((1, 1, 0), 1)
    assert nights.leads_of_calls() == [21]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(_call(seconds="abc"), id="the same id"),
        pytest.param(_call(call_id="other report", seconds="abc"), id="another id, the same time"),
        pytest.param(_call("14:01", "other report", "abc").replace("-05:00", ""), id="a time that cannot be told"),
        pytest.param(_call("19:59:00", phone="12"), id="the same id and hardly more"),
    ],
)
def test_a_call_whose_row_is_rejected_today_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    @night_after_night
    async def story(nights: Nights) -> None:
        await nights.run(_call())
        nights.crm.leads = [lead(11, ONE)]
        today = await nights.run(broken)
        assert (today.summary.rows.rejected, today.summary.calls.delivered) == (1, 0)
        assert today.told == (_HELD_BACK,)
        assert (await nights.run()).summary.calls.delivered == 1

    story(tmp_path, monkeypatch)


@night_after_night
async def test_a_call_does_not_wait_for_a_rejected_row_that_is_another_one(nights: Nights) -> None:
    await nights.run(_call())
    nights.crm.leads = [lead(11, ONE)]
    assert (await nights.run(_call("16:00:00", "c2", "abc"))).summary.calls.delivered == 1


@night_after_night
async def test_a_call_whose_agent_is_not_known_today_waits(nights: Nights) -> None:
    """Rejected once its values are sound; nothing of its old story is sent before somebody has seen to it."""
    await nights.run(_call())
    nights.crm.leads = [lead(11, ONE)]
    header = HEADER.replace("agent_id", "agent_name")
    assert (await nights.run(_call().replace(",12", ",Nobody"), header=header)).summary.calls.delivered == 0


class _Killed(BaseException):
    """kill -9, as those meet it who go on."""


# Who is killed in the midst of a request leaves it half read.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Async generator:ResourceWarning")
@night_after_night
async def test_a_call_is_given_up_by_a_run_that_lives_to_tell_of_it(nights: Nights) -> None:
    await nights.run(_call())
    nights.crm.leads = [lead(12, TWO)]
    later, at_once = _call("15:00:00", "c2", phone=TWO), timedelta(0)
    with mock.patch.object(nights.crm, "create", side_effect=_Killed), pytest.raises(BaseExceptionGroup):
        await nights.run(later, lead_grace=at_once)
    assert "1 call given up: no lead has come within --lead-grace" in (await nights.run(later, lead_grace=at_once)).told


@night_after_night
async def test_a_call_that_was_sent_is_not_called_given_up_for_want_of_grace(nights: Nights) -> None:
    await nights.run(_call(), _call("15:00:00", "c2", phone=TWO))
    nights.crm.leads = [lead(11, ONE)]
    over = await nights.run(_call(), lead_grace=timedelta(0))
    assert over.summary.calls.delivered == 1
    assert over.told == ("1 call given up: no lead has come within --lead-grace",)


def _found(nights: Nights, text: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    found = find.find(nights.settings(), making.clock(nights.night), text)
    report.print_found(
        Console(width=200),
        histories=found.histories,
        count=found.count,
        waiting=found.without_lead,
        grace=found.lead_grace,
    )
    return capsys.readouterr().out.splitlines()


def test_find_tells_of_a_call_that_waits_for_a_lead_where_it_is_from_and_until_when_it_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @night_after_night
    async def story(nights: Nights) -> None:
        batch = (await nights.run(_call())).summary.batch
        told = _found(nights, "5145550123", capsys)
        assert told[0].endswith("  waits for a lead: none has this number")
        assert told[1:] == [
            "  incoming call of 2026-11-20 19:01:01Z, +1514•••0123",
            f"  2026-11-22-03.csv row 2, system default, batch {batch}",
            "  without a lead since 2026-11-22, tried by every run until 2026-12-22 (--lead-grace 30d)",
        ]
        assert _found(nights, "c1", capsys) == _found(nights, told[0][:12], capsys) == told
        answer = find.find(nights.settings(), making.clock(nights.night), "c1").for_machines()
        assert (answer["count"], answer["found"]) == (0, [])
        (one,) = answer["waiting_for_lead"]
        assert (one["phone"], one["row"], one["tried_until"][:19]) == ("+1514•••0123", 2, "2026-12-22T03:00:00")
        assert batch is not None
        status.withdraw(nights.settings(), making.clock(nights.night), batch)
        assert _found(nights, "c1", capsys)[0].endswith("  withdrawn: a person gave it up while it waited for a lead")
        nights.crm.leads = [lead(11, ONE)]
        status.retry(nights.settings(), making.clock(nights.night), statuses=(), keys=(told[0][:12],))
        await nights.run()
        assert "  delivered, communication" in _found(nights, "c1", capsys)[0]
        assert not any("without a lead" in line for line in _found(nights, "c1", capsys))

    story(tmp_path, monkeypatch)


@night_after_night
async def test_a_call_that_a_run_without_look_ups_has_sent_waits_no_more(nights: Nights) -> None:
    await nights.run(_call())
    leads = exporting.write(nights.folder / "leads.txt", "phone,lead_id", f"{ONE},12")
    sent = await nights.run(_call(), find_leads=False, leads=leads)
    assert sent.summary.batch is not None
    assert status.status(nights.settings(), making.clock()).without_lead == 0
    nights.crm.leads = [lead(11, ONE)]
    assert (await nights.run()).summary.calls.delivered == 0
    assert nights.leads_of_calls() == [12]


@night_after_night
async def test_many_calls_that_waited_under_two_ids_are_held_and_stop_no_run(nights: Nights) -> None:
    phones = [f"+151455501{number:02}" for number in range(25)]
    for report_name in ("a", "b"):
        await nights.run(*(_call(call_id=f"{report_name}{phone}", phone=phone) for phone in phones))
    nights.crm.leads = [lead(100 + number, phone) for number, phone in enumerate(phones)]
    found = await nights.run()
    assert (found.summary.calls.delivered, found.summary.calls.held) == (25, 25)
    assert len(nights.crm.stored) == 25


def _leads(nights: Nights, *lines: str) -> Path:
    """The leads file of that night."""
    return exporting.write(nights.folder / f"leads-{nights.night:%d}.txt", "phone,lead_id", *lines)


@night_after_night
async def test_with_a_leads_file_alone_calls_without_a_lead_wait_for_a_file_that_has_one(nights: Nights) -> None:
    first = await nights.run(_call(), find_leads=False, leads=_leads(nights, f"{TWO},12"))
    assert first.summary.skipped == {"no_lead": 1}
    assert first.told == ("1 call without a lead kept: tried again for 30 days, whatever files a run has",)
    later = await nights.run(find_leads=False, leads=_leads(nights, f"{TWO},12", f"{ONE},11"))
    assert (later.summary.calls.carried, later.summary.calls.delivered) == (1, 1)
    assert (nights.leads_of_calls(), nights.looked_up()) == ([11], [])


@night_after_night
async def test_a_waiting_call_that_was_withdrawn_is_not_sent_by_a_run_without_look_ups(nights: Nights) -> None:
    """Its row names the lead by now."""
    batch = (await nights.run(_call())).summary.batch
    assert batch is not None
    status.withdraw(nights.settings(), making.clock(nights.night), batch)
    row = _call() + ",11"
    for _ in range(2):
        again = await nights.run(row, row, header=HEADER + ",lead_id", find_leads=False)
        assert (again.summary.skipped, again.summary.calls.duplicate) == ({"withdrawn": 1}, 1)
    assert nights.crm.stored == []


_TWO_DAYS = timedelta(days=2)


@pytest.mark.parametrize("held_back", ["guard", "limit", "pilot", "no run"])
def test_a_call_held_back_on_the_last_night_of_its_grace_has_its_chance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_back: str
) -> None:
    @night_after_night
    async def story(nights: Nights) -> None:
        await nights.run(_call(), _call("15:00:00", "c2"), lead_grace=_TWO_DAYS)
        nights.crm.leads = [lead(11, ONE)]
        nights.night += timedelta(days=1)
        if held_back == "guard":
            stopped = await nights.run("broken", lead_grace=_TWO_DAYS, max_rejects=limits.max_rejects("0"))
            assert stopped.summary.exit_code == errors.ExitCode.GUARD
        elif held_back != "no run":
            changes: dict[str, Any] = {held_back: 1}
            last = await nights.run(lead_grace=_TWO_DAYS, **changes)
            assert (last.summary.calls.delivered, last.summary.calls.pending) == (1, 1)
        nights.night += timedelta(days=1)
        over = await nights.run(lead_grace=_TWO_DAYS)
        assert over.summary.calls.delivered == (1 if held_back in ("limit", "pilot") else 2)
        assert not any("given up" in line for line in over.told)

    story(tmp_path, monkeypatch)


@night_after_night
async def test_a_call_that_stands_back_behind_one_that_may_be_it_is_not_given_up(nights: Nights) -> None:
    await nights.run(_call("14:01:31", "b"), _call("15:00:00", "c"), lead_grace=_TWO_DAYS)
    nights.crm.leads = [lead(11, ONE)]
    nights.night += timedelta(days=5)
    first = await nights.run(_call("14:01:01", "a"), lead_grace=_TWO_DAYS)
    assert first.summary.calls.delivered == 2
    assert first.told == ("1 call of earlier files found a lead and came along", _HELD_BACK)
    assert (await nights.run(lead_grace=_TWO_DAYS)).summary.calls.delivered == 1


@night_after_night
async def test_a_run_of_other_settings_never_gives_up_what_it_has_not_looked_for(nights: Nights) -> None:
    await nights.run(_call(), lead_grace=_TWO_DAYS, system="east")
    assert (await nights.run(lead_grace=timedelta(0), system="west")).told == ()
    nights.night += timedelta(days=60)
    assert (await nights.run(lead_grace=_TWO_DAYS, system="west")).told == ()
    nights.crm.leads = [lead(11, ONE)]
    assert (await nights.run(lead_grace=_TWO_DAYS, system="east")).summary.calls.delivered == 1


@night_after_night
async def test_a_run_with_a_leads_file_alone_gives_up_no_call_that_waits_for_the_crm(nights: Nights) -> None:
    await nights.run(_call(), lead_grace=_TWO_DAYS)
    nights.crm.leads = [lead(11, ONE)]
    nights.night += _TWO_DAYS
    # In its own files, too: whoever waits for the CRM does so whichever run has seen the call since.
    for rows in ((), (_call(),)):
        file_alone = await nights.run(
            *rows, find_leads=False, leads=_leads(nights, f"{TWO},12"), lead_grace=timedelta(0)
        )
        assert file_alone.told == ("1 call without a lead kept until a run asks the CRM once more (--find-leads)",)
    assert (await nights.run(lead_grace=_TWO_DAYS)).summary.calls.delivered == 1


@night_after_night
async def test_a_run_with_a_leads_file_alone_gives_up_what_waits_for_such_a_file(nights: Nights) -> None:
    alone: dict[str, Any] = {"find_leads": False, "lead_grace": _TWO_DAYS}
    await nights.run(_call(), leads=_leads(nights, f"{TWO},12"), **alone)
    nights.night += _TWO_DAYS
    over = await nights.run(leads=_leads(nights, f"{TWO},12"), **alone)
    assert over.told == ("1 call given up: no lead has come within --lead-grace",)


@night_after_night
async def test_withdrawing_a_key_gives_up_the_one_call_that_waits_for_a_lead(nights: Nights) -> None:
    await nights.run(_call(), _call("15:00:00", "c2"))
    clock = making.clock(nights.night)
    with closing(Ledger.reading(nights.folder / "ledger.sqlite3", clock)) as ledger:
        reference = str(ledger.database.one("SELECT reference FROM item WHERE call_id = 'c1'"))
    assert status.withdraw(nights.settings(), clock, reference) == 1
    with pytest.raises(errors.ConfigError, match="nor one that waits for a lead"):
        status.withdraw(nights.settings(), clock, reference)
    nights.crm.leads = [lead(11, ONE)]
    assert (await nights.run(_call(), _call("15:00:00", "c2"))).summary.skipped == {"withdrawn": 1}
    status.retry(nights.settings(), clock, statuses=(), keys=(reference,))
    assert (await nights.run()).summary.calls.delivered == 1


@night_after_night
async def test_an_account_stands_though_the_ledger_fails_when_calls_are_given_up(nights: Nights) -> None:
    nights.crm.leads = [lead(12, TWO)]
    with mock.patch.object(waiting_items, "give_up", side_effect=errors.LedgerError("the disk is full")):
        result = await nights.run(_call(), _call("15:00:00", "c2", phone=TWO))
    assert (result.summary.calls.delivered, result.summary.exit_code) == (1, 0)
    assert result.told == ("calls without a lead could not be counted, and none was given up: the disk is full",)


@night_after_night
async def test_a_call_whose_number_got_several_leads_is_not_given_up_but_told_of_with_them(nights: Nights) -> None:
    await nights.run(_call(), _call("15:00:00", "c2"), lead_grace=_TWO_DAYS)
    nights.crm.leads = [lead(11, ONE), lead(12, ONE)]
    nights.night += timedelta(days=5)
    for _ in range(2):
        over = await nights.run(lead_grace=_TWO_DAYS)
        (told,) = over.told
        assert told.startswith("2 calls of +1514•••0123 kept: leads 11 and 12 both have this number; write the right ")
    assert (await nights.run(lead_grace=_TWO_DAYS, several_leads="newest")).summary.calls.delivered == 2


@night_after_night
async def test_of_many_numbers_with_several_leads_the_first_ten_are_told(nights: Nights) -> None:
    phones = [f"+151455501{number:02}" for number in range(12)]
    await nights.run(*(_call(call_id=phone, phone=phone) for phone in phones))
    nights.crm.leads = [lead(100 + number, phones[number % 12]) for number in range(24)]
    told = (await nights.run()).told
    assert len(told) == 11
    assert told[-1] == "2 calls of 2 more numbers kept: several leads have each of these"


@night_after_night
async def test_calls_that_wait_are_read_in_parts_however_many_they_are(nights: Nights) -> None:
    rows = [_call(f"{10 + n // 60}:{n % 60:02}:07", f"c{n}", phone=f"+151455501{n % 100:02}") for n in range(400)]
    read: list[int] = []
    with_lead = waiting_calls.WaitingCalls.with_lead

    def counting(of: waiting_calls.WaitingCalls, resolution: Resolution, waiting: pl.DataFrame) -> waiting_calls.Found:
        read.append(waiting.height)
        return with_lead(of, resolution, waiting)

    await nights.run(*rows, find_leads=False, leads=_leads(nights, f"{TWO},12"))
    leads = _leads(nights, *(f"+151455501{n:02},{n + 1}" for n in range(100)))
    with (
        mock.patch.object(known_calls, "ROWS_AT_ONCE", 100),
        mock.patch.object(waiting_calls.WaitingCalls, "with_lead", counting),
    ):
        last = await nights.run(*rows[:1], find_leads=False, leads=leads, dry_run=True)
    # Four have had a lead from the first night on, and one is in today's file.
    assert last.summary.calls.carried == 395
    assert read == [100, 100, 100, 95]


@night_after_night
async def test_a_call_whose_number_the_crm_does_not_decide_is_not_given_up_under_other_settings(nights: Nights) -> None:
    grace = timedelta(days=2)
    await nights.run(_call(), lead_grace=grace)
    nights.night += timedelta(days=5)
    nights.crm.leads = [lead(number, ONE) for number in range(100, 701)]
    told = (await nights.run(_call(), lead_grace=grace, timezone="UTC")).told
    assert not any("given up" in line for line in told)
    nights.crm.leads = [lead(11, ONE)]
    assert (await nights.run(_call(), lead_grace=grace, timezone="UTC")).summary.calls.delivered == 1
