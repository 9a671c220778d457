"""Whose a call is and who made it, over whole runs: decided once, by what the CRM says now, never without a word."""

from pathlib import Path

from tests import exporting
from tests.fake_crm import RESETS, FakeDealer, Reply, Request, lead, reply
from tests.test_find_leads import HEADER, ONE, Nights, _call, _calls, night_after_night


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


def _leads_file(folder: Path, lead_id: int) -> Path:
    return exporting.write(folder / f"leads-{lead_id}.txt", "phone,lead_id", f"{ONE},{lead_id}")
