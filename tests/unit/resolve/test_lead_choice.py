"""Whose a call is and who made it, over whole runs: decided once, by what the CRM says now, never without a word."""

from datetime import timedelta
from pathlib import Path

from callimport.cli import find
from callimport.report.call_history import history_lines
from tests import exporting, making
from tests.fake_crm import RESETS, FakeDealer, Reply, Request, lead, reply
from tests.unit.resolve.test_find_leads import HEADER, ONE, TWO, Nights, _call, _calls, night_after_night


def _doubtful_once(crm: FakeDealer) -> None:
    """The answer to the first create is lost, and nothing can be read after it; the next call mends the CRM."""
    receive, posted = crm.receive, []

    def lost(request: Request) -> Reply:
        if request.method == "POST":
            posted.append(request)
            crm.received.append(request)
            return RESETS
        if posted and request.target.startswith("/v2/leads/"):
            crm.received.append(request)
            return reply(500, {})
        return receive(request)

    crm.receive = lost  # type: ignore[method-assign]


def _mended(crm: FakeDealer) -> None:
    crm.receive = FakeDealer.receive.__get__(crm)  # type: ignore[method-assign]


@night_after_night
async def test_a_call_out_of_doubt_goes_out_with_its_agent_though_he_has_left(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE)]
    nights.crm.users = [{"id": 101, "first_name": "Sophie", "last_name": "Gendron", "email": None}]
    header, row = HEADER.replace("agent_id", "agent_name"), _call(1).replace(",12", ",Sophie Gendron")
    _doubtful_once(nights.crm)
    await nights.run(row, header=header)
    _mended(nights.crm)
    nights.crm.users = []
    await nights.run(row.replace(",60,", ",90,"), header=header)
    assert [(one["user_id"], one["call_duration"]) for one in nights.crm.stored] == [(101, 90)]


@night_after_night
async def test_a_call_out_of_doubt_goes_to_the_lead_of_its_first_sending(nights: Nights) -> None:
    """There it may be stored yet: on another lead it would be there twice."""
    first, second = (_leads_file(nights.folder, lead_id) for lead_id in (11, 12))
    _doubtful_once(nights.crm)
    await nights.run(_call(1), find_leads=False, leads=first)
    _mended(nights.crm)
    result = await nights.run(_call(1).replace(",60,", ",61,"), find_leads=False, leads=second)
    assert _calls(result) == {"delivered": 1}
    assert nights.leads_of_calls() == [11]


@night_after_night
async def test_no_old_answer_says_whose_a_newer_call_is(nights: Nights) -> None:
    """A lead that was created, or made a duplicate, since the CRM was asked is the customer's now."""
    nights.crm.leads = [lead(11, ONE)]
    await nights.run(_call(1))
    nights.crm.leads.append(lead(12, ONE, created_at="2026-11-22T12:00:00+00:00"))
    undecided = await nights.run(_call(5, day=22))
    assert exporting.rules(undecided) == {"lead_several": 1}
    nights.crm.leads[0]["status"] = "duplicate"
    assert _calls(await nights.run(_call(5, day=22))) == {"delivered": 1}
    assert nights.leads_of_calls() == [11, 12]


@night_after_night
async def test_an_answer_of_the_same_day_is_none_for_a_call_that_began_after_it(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE)]
    await nights.run(_call(1))
    nights.crm.leads = [lead(12, ONE)]
    # In the same night an older call goes by the answer that is there; a call of an hour later does not.
    nights.night -= timedelta(hours=22)
    assert _calls(await nights.run(_call(2))) == {"delivered": 1}
    assert nights.looked_up() == []
    nights.night -= timedelta(hours=22)
    later = _call(3).replace("2026-11-20T14:03", "2026-11-21T22:30")
    assert _calls(await nights.run(later)) == {"delivered": 1}
    assert nights.leads_of_calls() == [11, 11, 12]


@night_after_night
async def test_a_user_who_has_left_is_credited_with_no_new_call(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE)]
    nights.crm.users = [{"id": 101, "first_name": "Sophie", "last_name": "Gendron", "email": None}]
    agents = exporting.write(nights.folder / "agents.txt", "extension,user_id", "12,101")
    header = HEADER.replace("agent_id", "agent_extension")
    assert _calls(await nights.run(_call(1), header=header, agents=agents)) == {"delivered": 1}
    nights.crm.users = [{"id": 102, "first_name": "Max", "last_name": "Roy", "email": None}]
    for dry_run in (True, False):
        later = await nights.run(_call(1), _call(2), header=header, agents=agents, dry_run=dry_run)
        assert _calls(later) == {"unchanged": 1}
        assert exporting.rules(later) == {"agent_unknown": 1}
        assert later.told[-1] == "2 calls of users who are not active in the CRM any more: user 101 (2)"
    assert [one["user_id"] for one in nights.crm.stored] == [101]


@night_after_night
async def test_find_does_not_say_that_the_row_named_a_lead_which_the_crm_did(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE)]
    await nights.run(_call(1))
    await nights.run(_call(2, TWO) + ",12", header=f"{HEADER},lead_id", find_leads=False)
    told = {
        phone: list(history_lines(find.find(nights.settings(), making.clock(), phone).histories[0]))
        for phone in (ONE, TWO)
    }
    assert "  lead 11: named in the row, or found by the number in the CRM" in told[ONE]
    assert "  lead 12: named in the row" in told[TWO]


def _leads_file(folder: Path, lead_id: int) -> Path:
    return exporting.write(folder / f"leads-{lead_id}.txt", "phone,lead_id", f"{ONE},{lead_id}")
