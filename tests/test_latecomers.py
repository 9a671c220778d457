"""Calls that wait for a lead, beside what else a run sees: never one of them twice, none given up unasked, and none
sent in a story that its row does not tell any more."""

from tests.fake_crm import lead
from tests.test_find_leads import HEADER, ONE, Nights, night_after_night

_NO_ID = HEADER.removeprefix("call_id,")


def _call(moment: str = "14:01:01", call_id: str | None = "c1", seconds: str = "60", phone: str = ONE) -> str:
    cells = f"incoming,2026-11-20T{moment}-05:00,{seconds},{phone},12"
    return f"{call_id},{cells}" if call_id else cells


@night_after_night
async def test_one_call_that_waits_under_two_ids_goes_once_and_a_person_decides_on_the_other(nights: Nights) -> None:
    await nights.run(_call())
    await nights.run(_call(call_id="other report"))
    nights.crm.leads = [lead(11, ONE)]
    assert (await nights.run()).summary.calls.delivered == 1
    later = await nights.run()
    assert (later.summary.calls.delivered, later.summary.calls.held) == (0, 1)
    assert len(nights.crm.stored) == 1


@night_after_night
async def test_one_call_without_an_id_that_waits_twice_a_second_apart_goes_once(nights: Nights) -> None:
    await nights.run(_call("14:01:01", None), header=_NO_ID)
    await nights.run(_call("14:01:02", None), header=_NO_ID)
    nights.crm.leads = [lead(11, ONE)]
    assert (await nights.run(header=_NO_ID)).summary.calls.delivered == 1
    assert (await nights.run(header=_NO_ID)).summary.calls.held == 1
    assert len(nights.crm.stored) == 1


@night_after_night
async def test_calls_of_one_number_that_wait_within_a_minute_all_go_in_the_end(nights: Nights) -> None:
    await nights.run(_call("14:01:01", "a"), _call("14:01:31", "b"), _call("14:20:02", "c"))
    nights.crm.leads = [lead(11, ONE)]
    assert (await nights.run()).summary.calls.delivered == 2
    assert (await nights.run()).summary.calls.delivered == 1
    assert len({one["executed_at"] for one in nights.crm.stored}) == 3
