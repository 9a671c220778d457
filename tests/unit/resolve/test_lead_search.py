"""Whose a number is: each asked for once, in as few requests as it takes, and what the CRM shows is looked at."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from callimport.core import errors, models
from callimport.crm.retry import Courier
from callimport.resolve import lead_search
from callimport.resolve.lead_search import LeadSearch
from tests.fake_crm import FakeDealer, Reply, in_virtual_time, lead, reply
from tests.unit.crm.test_retry import pace

WHOSE = models.Account(7, "Concession fictive")
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def _number(number: int) -> str:
    return f"+1514555{number:04}"


async def _look_up(crm: FakeDealer, wanted: Sequence[str]) -> tuple[dict[str, list[int]], list[str]]:
    """The lead ids of each number that was answered, and what was said."""
    said: list[str] = []
    found: dict[str, list[int]] = {}

    def keep(answers: Mapping[str, tuple[models.Lead, ...]]) -> None:
        assert not answers.keys() & found.keys()
        found.update({phone: [one.id for one in leads] for phone, leads in answers.items()})

    async with crm.reached() as there:
        search = LeadSearch(Courier(there, pace()), WHOSE, NOW, "CA", said.append, keep)
        await search.look_up(wanted)
    assert search.undecided.keys() == set(wanted) - found.keys()
    return found, [*said, *search.undecided.values()]


@in_virtual_time
async def test_a_few_numbers_are_asked_for_one_by_one() -> None:
    crm = FakeDealer(leads=[lead(1, _number(100)), lead(2, _number(100)), lead(3, _number(101))])
    found, said = await _look_up(crm, [_number(100), _number(101), _number(102)])
    assert found == {_number(100): [2, 1], _number(101): [3], _number(102): []}
    assert said == ["3 numbers to look up in the CRM: one request for each"]
    assert len(crm.received) == 3
    assert crm.received[0].target == (
        "/v2/leads?include%5B%5D=phones&filter%5Bphone%5D=%2B15145550100&per_page=100&page=1"
    )


def _page(*leads: dict[str, Any], total: int) -> Reply:
    return reply(200, {"data": leads, "meta": {"current_page": 1, "last_page": 1, "total": total}})


@in_virtual_time
async def test_an_answer_that_shows_fewer_leads_than_it_counts_is_none() -> None:
    """The one that it keeps back may be the number's own."""
    crm = FakeDealer(leads=[lead(1, _number(100)), lead(2, _number(100))])
    crm.script.extend([_page(total=2), _page(lead(1, _number(100)), total=2)])
    assert await _look_up(crm, [_number(100)]) == (
        {_number(100): [2, 1]},
        ["1 numbers to look up in the CRM: one request for each"],
    )
    crm.script.extend([_page(lead(1, _number(100)), total=2)] * lead_search.READINGS)
    found, said = await _look_up(crm, [_number(100), _number(101)])
    assert found == {_number(101): []}
    assert said[-1] == "of 2 leads that it counts for a number it shows 1"


@in_virtual_time
async def test_a_crm_that_shows_all_leads_of_hardly_any_number_ends_the_search() -> None:
    crm = FakeDealer()
    wanted = [_number(number) for number in range(100, 101 + lead_search.MOST_UNDECIDED)]
    crm.script.append(reply(200, {"data": [], "meta": {"total": 200_000, "last_page": 2000}}))
    for number in wanted:
        crm.script.extend([_page(lead(1, number), total=2)] * lead_search.READINGS)
    with pytest.raises(errors.Incomplete, match="of 2 leads that it counts for a number it shows 1, and so for 10 "):
        await _look_up(crm, wanted)


@in_virtual_time
async def test_no_number_costs_nothing() -> None:
    crm = FakeDealer()
    assert await _look_up(crm, []) == ({}, [])
    assert crm.received == []


@in_virtual_time
async def test_all_leads_are_read_where_that_is_cheaper_and_no_link_is_followed() -> None:
    crm = FakeDealer(leads=[lead(number + 1, _number(number % 300)) for number in range(450)])
    wanted = [_number(number) for number in range(280, 330)]
    found, said = await _look_up(crm, wanted)
    assert found[_number(299)] == [300]
    assert found[_number(329)] == []
    assert len(found) == 50
    (line,) = said
    assert line == (
        "50 numbers to look up in the CRM, which has 450 leads: reading them all takes 5 requests, fewer than one for "
        "each number"
    )
    assert len(crm.received) == 5
    assert {one.host for one in crm.received} == {"127.0.0.1"}
    assert "filter%5Bcreated_at%5D%5Blte%5D=2026-11-22T12%3A00%3A00%2B00%3A00" in crm.received[-1].target
    assert crm.received[-1].target.endswith("&page=5")


@in_virtual_time
async def test_where_there_are_many_leads_each_number_is_asked_for() -> None:
    crm = FakeDealer(leads=[lead(number + 1, _number(number)) for number in range(2000)])
    found, said = await _look_up(crm, [_number(number) for number in range(10)])
    assert found == {_number(number): [number + 1] for number in range(10)}
    (line,) = said
    assert line == (
        "10 numbers to look up in the CRM, which has 2,000 leads: 10 requests, one for each number (reading them all "
        "takes 20)"
    )
    assert len(crm.received) == 11


@in_virtual_time
async def test_a_crm_that_does_not_say_how_many_leads_it_has_is_asked_one_by_one() -> None:
    crm = FakeDealer(leads=[lead(1, _number(1))])
    crm.script.append(reply(200, {"data": []}))
    found, said = await _look_up(crm, [_number(number) for number in range(4)])
    assert found[_number(1)] == [1]
    assert "(how many it does not say)" in said[0]
    assert len(crm.received) == 5


@pytest.mark.parametrize("leads", [6000, 200_000])
def test_fifteen_hundred_numbers_cost_at_most_so_many_look_ups_or_sixty_pages(leads: int) -> None:
    """The figures of the brief: 10,000 calls from 1,500 numbers."""

    @in_virtual_time
    async def story() -> None:
        crm = FakeDealer(leads=[lead(number + 1, _number(number)) for number in range(min(leads, 6000))])
        if leads > 6000:
            crm.script.append(reply(200, {"data": [], "meta": {"total": leads, "last_page": leads // 100}}))
        found, _ = await _look_up(crm, [_number(number) for number in range(1500)])
        assert len(found) == 1500
        assert all(found.values())
        assert len(crm.received) <= (60 if leads == 6000 else 1501)
        assert len([one for one in crm.received if "filter%5Bphone" in one.target]) == (0 if leads == 6000 else 1500)

    story()


@in_virtual_time
async def test_leads_that_come_while_pages_are_read_shift_nothing() -> None:
    crm = FakeDealer(leads=[lead(number, _number(number)) for number in range(1, 251)])

    def another(page: int) -> None:
        crm.leads.append(lead(900 + page, _number(900 + page), created_at="2026-11-22T12:00:01+00:00"))

    crm.on_page = another
    found, _ = await _look_up(crm, [_number(number) for number in range(1, 251)])
    assert found == {_number(number): [number] for number in range(1, 251)}


def _loses_its_newest(crm: FakeDealer, times: int) -> None:
    """After the first page of so many readings a lead of it goes, and one of the second page slides past."""
    left = [None] * times

    def one_less(page: int) -> None:
        if page == 1 and left:
            left.pop()
            crm.leads = sorted(crm.leads, key=lambda one: -int(one["id"]))[1:]

    crm.on_page = one_less


@in_virtual_time
async def test_where_leads_went_while_pages_were_read_all_are_read_once_more() -> None:
    crm = FakeDealer(leads=[lead(number, _number(number)) for number in range(1, 251)])
    # The one that slides past is another lead of a number that is found.
    crm.leads[149] |= {"phones": lead(150, _number(200))["phones"]}
    _loses_its_newest(crm, 1)
    found, said = await _look_up(crm, [_number(number) for number in range(190, 252)])
    assert found[_number(200)] == [200, 150]
    assert found[_number(250)] == found[_number(251)] == []
    assert said[-1] == "leads went or came while they were read: they are read once more"
    assert len(crm.received) == 6


@in_virtual_time
async def test_where_leads_go_all_the_time_each_number_is_asked_for() -> None:
    crm = FakeDealer(leads=[lead(number, _number(number)) for number in range(1, 251)])
    _loses_its_newest(crm, 2)
    found, said = await _look_up(crm, [_number(number) for number in range(200, 252)])
    assert found == {_number(number): [number] if number <= 248 else [] for number in range(200, 252)}
    assert said[-1] == "and again: each number is asked for instead"
    assert len(crm.received) == 6 + 52


@in_virtual_time
async def test_a_filter_that_is_not_heard_is_noticed_and_the_search_asked() -> None:
    """It would show whoever is newest, for every number."""
    crm = FakeDealer(leads=[lead(1, _number(100)), lead(2, "+1 (514) 555-0101"), lead(3, "+4415145550100")])
    crm.filters_phones = None
    found, said = await _look_up(crm, [_number(100), _number(101), _number(102)])
    assert found == {_number(100): [1], _number(101): [2], _number(102): []}
    assert said[-1].startswith("the CRM's filter does not find numbers as they are")
    searched = [one.partition("&")[0] for one in crm.asked("/leads/search")]
    assert searched == [f"/v2/leads/search?query={_number(number)[1:]}" for number in (100, 101, 102)]


@in_virtual_time
async def test_a_filter_that_finds_nobody_is_doubted() -> None:
    crm = FakeDealer(leads=[lead(1, _number(100))])
    crm.filters_phones = lambda wanted, numbers: False
    assert (await _look_up(crm, [_number(101), _number(100)]))[0] == {_number(101): [], _number(100): [1]}
    crm = FakeDealer()
    found, _ = await _look_up(crm, [_number(100), _number(101)])
    assert found == {_number(100): [], _number(101): []}
    assert len(crm.received) == 4


@in_virtual_time
async def test_numbers_that_showed_the_filter_to_be_wrong_are_not_searched_again() -> None:
    crm = FakeDealer(leads=[lead(number, f"+1 (514) 555-{number:04}") for number in range(100, 103)])
    found, _ = await _look_up(crm, [_number(number) for number in range(100, 103)])
    assert found == {_number(number): [number] for number in range(100, 103)}
    assert len(crm.asked("/leads/search")) == 3


@in_virtual_time
async def test_once_the_filter_has_found_somebody_it_is_believed() -> None:
    crm = FakeDealer(leads=[lead(1, _number(102)), lead(2, _number(99))])
    found, _ = await _look_up(crm, [_number(100), _number(102), _number(103)])
    assert found == {_number(100): [], _number(102): [1], _number(103): []}
    assert len(crm.received) == 3


@in_virtual_time
async def test_what_is_no_lead_of_this_account_with_this_number_is_left_out() -> None:
    hard: list[dict[str, Any]] = [
        lead(1, _number(100), account_id=8),
        lead(2, _number(100), None, account_id=None),
        lead(3, _number(100) + "9"),
        lead(4, phones=None),
    ]
    crm = FakeDealer()
    # Once for the filter, which is not believed then, once for the search.
    crm.script += [reply(200, {"data": [*hard, hard[1]], "meta": {"total": 5, "last_page": 1}})] * 2
    assert (await _look_up(crm, [_number(100)]))[0] == {_number(100): [2]}


@in_virtual_time
async def test_a_number_with_pages_of_leads_is_left_undecided() -> None:
    crm = FakeDealer(leads=[lead(number, _number(100)) for number in range(1, 701)])
    found, said = await _look_up(crm, [_number(100)])
    assert len(crm.received) == lead_search.MOST_PAGES_A_NUMBER
    assert (found, said[-1]) == ({}, "it finds more than 5 pages of leads for a number")


@in_virtual_time
async def test_no_lead_is_chosen_of_a_search_that_was_not_read_to_its_end() -> None:
    """The one on the first page is not the only one."""
    crm = FakeDealer(leads=[lead(number, "+44" + _number(100)[1:]) for number in range(2, 601)])
    crm.leads += [lead(1, _number(100)), lead(900, _number(100))]
    crm.filters_phones = lambda wanted, numbers: False
    assert (await _look_up(crm, [_number(100)]))[0] == {}
    crm.filters_phones = None
    found, said = await _look_up(crm, [_number(100)])
    assert (found, said[-1]) == ({}, "it finds more than 5 pages of leads for a number")


@pytest.mark.parametrize("body", [{"data": {"id": 1}}, [], {"data": [{"phones": []}]}])
def test_what_is_no_list_of_leads_is_not_read_as_nobody(body: object) -> None:
    @in_virtual_time
    async def story() -> None:
        crm = FakeDealer()
        crm.script.append(reply(200, body))
        with pytest.raises(errors.Incomplete):
            await _look_up(crm, [_number(100)])

    story()


@in_virtual_time
async def test_a_key_that_may_not_list_leads_ends_in_one_line() -> None:
    crm = FakeDealer()
    crm.script.append(reply(403, {"message": "Forbidden."}))
    with pytest.raises(errors.DestinationUnusable, match="does not let this key see its leads"):
        await _look_up(crm, [_number(100)])


@in_virtual_time
async def test_an_endless_list_of_leads_is_not_read_on() -> None:
    crm = FakeDealer(leads=[lead(number, _number(number)) for number in range(1, 6)])
    meta = {"total": 200, "last_page": 2}
    endless = {"total": 2**62, "last_page": 2**62}
    crm.script.append(reply(200, {"data": crm.leads[:3], "meta": meta}))
    crm.script.extend(reply(200, {"data": crm.leads[:3], "meta": endless}) for _ in range(3))
    found, _ = await _look_up(crm, [_number(number) for number in range(1, 6)])
    assert len(crm.received) < 12
    assert found[_number(1)] == [1]
