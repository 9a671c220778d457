"""Leads read a hundred a request before their first call goes: only where that is cheaper, and never believed more
than a read of one lead would be."""

import random
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
import pytest

from callimport.core import settings
from callimport.core.models import ItemStatus
from callimport.crm.retry import Courier
from callimport.load import lead_list
from callimport.load.existing_calls import Existing
from tests import making
from tests.fake_crm import FakeDealer, Reply, in_virtual_time, lead, reply
from tests.unit.load.test_deliver import BATCH, Stage, stage
from tests.unit.load.test_existing_calls import _executed_at, _row, _run, _typed, nights

__all__ = ["nights"]  # a fixture
LEADS = range(1, 31)
PER_MINUTE = 190.0
# The fullest lead, and one that shows nothing of each page that has a wanted one.
PROOFS = [500, 30, 20]


class _Last(random.Random):
    """Chance for whom the last is as good as any."""

    def choice(self, seq: Any) -> Any:
        return seq[-1]


class Play:
    """A CRM of leads, the newest the highest, and pending calls to thirty; lead 500 has three communications. Of three
    pages the first has none of the thirty, the second ten."""

    def __init__(self, play: Stage, crm: FakeDealer) -> None:
        self.crm, self.stage, self.said = crm, play, list[str]()
        self.woken_after = timedelta(0)
        clock = replace(play.clock, wall=lambda: play.clock.wall() + self.woken_after)
        courier = Courier(play.there, play.pacer, play.rng)
        self.existing = Existing(
            settings.Settings(files=()), play.ledger, courier, BATCH.id, self.said.append, clock,
            lead_list.Bulk(courier, play.ledger, clock, _Last(), self.said.append),
        )  # fmt: skip

    def typed(self, lead_id: int, number: int) -> None:
        """Somebody has entered the call of that lead."""
        moment = _executed_at(self.stage.ledger, f"k1:{lead_id - 1:05}")
        self.crm.stored.append(_typed(lead_id, moment, number))

    async def read_ahead(self, most: int | None = None) -> None:
        await self.existing.read_ahead(most, PER_MINUTE)

    async def look(self, lead_ids: Iterable[int] = LEADS) -> dict[int, int]:
        """How many calls of each lead are there already; leads without are left out."""
        found = {lead_id: len(await self.existing.look(lead_id)) for lead_id in lead_ids}
        return {lead_id: count for lead_id, count in found.items() if count}

    def fill_first_page(self) -> None:
        """It shows more than any other, and no lead of it more than lead 500."""
        self.crm.stored += [_other(lead_id, 2000 + lead_id) for lead_id in range(150, 200)]

    def list_slowly(self, page: int) -> None:
        """That page takes half a minute."""
        usual = self.crm._listed

        def listed(path: str, asked: dict[str, str]) -> Reply:
            return replace(usual(path, asked), after_seconds=30.0 if int(asked["page"]) == page else 0.0)

        self.crm._listed = listed  # type: ignore[method-assign]

    def pages(self) -> int:
        return len(self.crm.asked("/leads?"))

    def alone(self) -> list[int]:
        """The leads that were read by themselves."""
        return [int(re.findall(r"\d+", one.partition("leads/")[2])[0]) for one in self.crm.asked("/leads/")]


def played(story: Callable[[Play], Awaitable[None]], leads: int = 220) -> Callable[[Path], None]:
    @in_virtual_time
    async def test(tmp_path: Path) -> None:
        crm = FakeDealer(leads=[lead(number) for number in (*range(1, leads), 500)])
        crm.stored += [_other(500, number) for number in (1, 2, 3)]
        async with stage(tmp_path, crm, [*LEADS, 1]) as play:
            await story(Play(play, crm))

    return lambda tmp_path: test(tmp_path)


def _other(lead_id: int, number: int) -> dict[str, Any]:
    return _typed(lead_id, "2020-01-01T00:00:00+00:00", number)


@played
async def test_leads_are_read_in_bulk_where_that_takes_fewer_requests(play: Play) -> None:
    play.typed(7, 901)
    await play.read_ahead()
    assert play.existing.reads_left == 0
    assert await play.look() == {7: 1}
    # The list, and whoever proves that it shows what the leads hold.
    assert (play.pages(), play.alone()) == (3, PROOFS)
    told, done = play.said
    assert told == (
        "30 leads to read before their first call goes (--existing): about 16 requests in bulk, for all 220 leads of "
        "the CRM, fewer than one for each; what the list does not show whole is read by itself"
    )
    assert done == "30 of 30 leads read in bulk; the others are read by themselves"


def test_each_lead_is_read_by_itself_where_that_takes_fewer_requests(tmp_path: Path) -> None:
    async def story(play: Play) -> None:
        play.typed(7, 901)
        await play.read_ahead()
        assert play.said[0].endswith(
            "30 requests, one for each lead (in bulk it would be about 31, for all 1,400 leads of the CRM)"
        )
        assert await play.look() == {7: 1}
        assert (play.pages(), play.alone()) == (1, list(LEADS))

    played(story, leads=1400)(tmp_path)


@played
async def test_for_few_leads_nobody_asks_how_many_there_are(play: Play) -> None:
    await play.read_ahead(most=lead_list.FEW)
    assert (play.crm.received, play.said) == ([], [])


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        (lambda there: there[:2], "of lead 500 1 of 3 communications are missing"),
        (lambda there: [], None),
        (lambda there: None, "does not list what they hold"),
        (lambda there: [{**one, "id": None} for one in there] or None, "does not list what they hold"),
    ],
    ids=["cut", "empty", "left out", "without ids"],
)
def test_a_list_that_shows_less_than_the_leads_is_not_gone_by(
    tmp_path: Path, lists: Callable[[list[Any]], object], why: str | None
) -> None:
    """An empty list may mean that there is nothing, or that lists do not show it."""

    async def story(play: Play) -> None:
        play.typed(7, 901)
        play.crm.stored += [_other(7, 902), _other(7, 903)]
        play.crm.lists = lists
        await play.read_ahead()
        assert why is None or why in "".join(play.said)
        assert await play.look() == {7: 1}
        assert set(play.alone()) >= set(LEADS)

    played(story)(tmp_path)


@played
async def test_a_lead_that_shows_as_many_as_the_fullest_is_read_by_itself(play: Play) -> None:
    """So would a list show every lead that it cuts."""
    for lead_id, number in ((7, 901), (8, 911), (9, 921)):
        play.typed(lead_id, number)
    play.crm.stored += [_other(7, 902), _other(7, 903), _other(8, 912)]
    play.fill_first_page()
    await play.read_ahead()
    assert await play.look() == {7: 1, 8: 1, 9: 1}
    assert play.alone() == [*PROOFS, 7]


@played
async def test_a_list_that_shows_so_many_on_a_page_at_most_is_not_gone_by_where_it_does(play: Play) -> None:
    """As one that is loaded with a limit: the fullest lead comes first, and those after it seem to be empty."""
    play.crm.stored += [_other(25, 902), _other(24, 903), _other(23, 904)]
    play.typed(22, 905)
    play.typed(7, 901)
    usual, left = play.crm._listed, [0]

    def listed(path: str, asked: dict[str, str]) -> Reply:
        left[0] = 3
        return usual(path, asked)

    def lists(there: list[Any]) -> list[Any]:
        shown = there[: left[0]]
        left[0] -= len(shown)
        return shown

    play.crm._listed, play.crm.lists = listed, lists  # type: ignore[method-assign]
    await play.read_ahead()
    assert await play.look() == {7: 1, 22: 1}
    # The last page shows one, and so all that there is.
    assert (play.pages(), sorted(play.alone())) == (3, [20, *range(21, 31), 500])


def test_what_a_list_leaves_out_by_another_rule_is_found_by_chance(tmp_path: Path) -> None:
    """It shows the newest well, and of all others nothing: one of each page is read by itself, before and an hour
    later."""

    async def story(play: Play) -> None:
        for lead_id in LEADS:
            play.typed(lead_id, 1000 + lead_id)
        play.crm.lists = lambda there: [one for one in there if one["lead_id"] == 500]
        await play.read_ahead()
        assert "of lead 30 1 of 1 communications are missing" in play.said[-1]
        assert await play.look() == dict.fromkeys(LEADS, 1)

    played(story)(tmp_path)


@played
async def test_what_was_read_alone_before_is_held_against_the_list(play: Play) -> None:
    """A proof that costs nothing."""
    play.crm.stored += [_other(40, number) for number in (902, 903, 904)]
    play.crm.lists = lambda there: [one for one in there if one["lead_id"] != 40]
    courier = Courier(play.stage.there, play.stage.pacer)
    play.existing.heard(40, await courier.communications_of(40))
    await play.read_ahead()
    assert "of lead 40 3 of 3 communications are missing" in play.said[-1]
    assert play.existing.reads_left == len(LEADS)


@played
async def test_a_lead_that_does_not_show_what_is_ours_is_read_by_itself(play: Play) -> None:
    making.bring(play.stage.ledger, "k1:00030", "run-1", ItemStatus.DELIVERED, communication_id=42)
    await play.read_ahead()
    await play.look()
    assert play.alone() == [*PROOFS, 1]


@played
async def test_a_lead_that_slid_past_is_read_by_itself(play: Play) -> None:
    play.typed(20, 901)

    def goes(page: int) -> None:
        # The newest one goes, and the first of the last page becomes the last of the one before.
        if page == 2:
            play.crm.leads = [one for one in play.crm.leads if one["id"] != 219]

    play.crm.on_page = goes
    await play.read_ahead()
    assert await play.look() == {20: 1}
    assert play.alone() == [500, 30, 19, 20]


@played
async def test_a_lead_that_is_shown_half_is_read_by_itself(play: Play) -> None:
    play.typed(7, 901)
    play.crm.lists = lambda there: [{**one, "id": None} if one["id"] == 901 else one for one in there]
    await play.read_ahead()
    assert await play.look() == {7: 1}
    assert play.alone() == [*PROOFS, 7]


@pytest.mark.parametrize("status", [403, 404, 422, 500])
@pytest.mark.parametrize("page", [1, 2])
def test_where_the_list_is_not_to_be_had_each_lead_is_read_by_itself(tmp_path: Path, status: int, page: int) -> None:
    async def story(play: Play) -> None:
        play.typed(7, 901)
        usual = play.crm._listed

        def listed(path: str, asked: dict[str, str]) -> Any:
            return reply(status, {"message": "no"}) if int(asked["page"]) == page else usual(path, asked)

        play.crm._listed = listed  # type: ignore[method-assign]
        await play.read_ahead()
        assert await play.look() == {7: 1}
        assert set(play.alone()) >= set(LEADS)

    played(story)(tmp_path)


@played
async def test_of_a_list_with_a_page_that_is_not_to_be_had_what_came_before_counts(play: Play) -> None:
    """As with one that is larger than an answer may be: the pages before it were paid for."""
    for lead_id, number in ((7, 901), (27, 902)):
        play.typed(lead_id, number)
    usual = play.crm._listed

    def listed(path: str, asked: dict[str, str]) -> Reply:
        return reply(500) if int(asked["page"]) == 3 else usual(path, asked)

    play.crm._listed = listed  # type: ignore[method-assign]
    await play.read_ahead()
    assert "page 3 of the list cannot be read (the list cannot be read: status 500" in play.said[-2]
    assert play.said[-1] == "10 of 30 leads read in bulk; the others are read by themselves"
    assert await play.look() == {7: 1, 27: 1}
    assert play.alone() == [500, 30, *range(1, 21)]


@played
async def test_a_list_is_good_for_an_hour_and_then_read_again(play: Play) -> None:
    await play.read_ahead()
    assert await play.look([1]) == {}
    await anyio.sleep(lead_list.GOOD_FOR_SECONDS)
    play.typed(7, 901)
    assert await play.look([7]) == {7: 1}
    assert (play.pages(), play.alone()) == (6, 2 * PROOFS)
    # For the last few it is not worth it.
    await play.look(range(1, 25))
    await anyio.sleep(lead_list.GOOD_FOR_SECONDS)
    play.typed(30, 902)
    assert await play.look() == {30: 1}
    assert (play.pages(), play.alone()[6:]) == (6, list(range(25, 31)))


@played
async def test_whoever_comes_while_the_list_is_read_again_waits_for_it(play: Play) -> None:
    await play.read_ahead()
    await anyio.sleep(lead_list.GOOD_FOR_SECONDS)
    for lead_id, number in ((7, 901), (8, 902)):
        play.typed(lead_id, number)
    found: list[dict[int, int]] = []

    async def look(lead_id: int) -> None:
        found.append(await play.look([lead_id]))

    async with anyio.create_task_group() as beside:
        for lead_id in (7, 8, 9):
            beside.start_soon(look, lead_id)
    assert sorted(found, key=str) == [{7: 1}, {8: 1}, {}]
    assert (play.pages(), play.alone()) == (6, 2 * PROOFS)


@played
async def test_whoever_comes_later_while_the_list_is_read_again_waits_as_well(play: Play) -> None:
    """One after the other, as workers do: not only those who saw that it was old."""
    await play.read_ahead()
    await anyio.sleep(lead_list.GOOD_FOR_SECONDS)
    play.list_slowly(page=2)

    async def look(lead_id: int) -> None:
        await anyio.sleep(lead_id)
        await play.look([lead_id])

    async with anyio.create_task_group() as beside:
        for lead_id in range(1, 9):
            beside.start_soon(look, lead_id)
    assert (play.pages(), play.alone()) == (6, 2 * PROOFS)


@played
async def test_a_list_grows_old_however_few_calls_may_go(play: Play) -> None:
    await play.read_ahead(most=25)
    assert await play.look([1, 2]) == {}
    await anyio.sleep(lead_list.GOOD_FOR_SECONDS)
    play.typed(7, 901)
    assert await play.look([7]) == {7: 1}
    assert (play.pages(), play.alone()) == (6, 2 * PROOFS)
    # For the few calls that are left of 25 it is not worth it.
    await play.look(range(8, 21))
    await anyio.sleep(lead_list.GOOD_FOR_SECONDS)
    play.typed(30, 902)
    assert await play.look([29, 30]) == {30: 1}
    assert (play.pages(), play.alone()[6:]) == (6, [29, 30])


@played
async def test_a_list_that_takes_longer_to_read_than_it_is_good_for_is_not_gone_by(play: Play) -> None:
    play.list_slowly(page=2)
    with mock.patch.object(lead_list, "GOOD_FOR_SECONDS", 20.0):
        await play.read_ahead()
        play.typed(7, 901)
        assert await play.look([7]) == {7: 1}
    assert "it takes longer than what it shows is good for" in play.said[-1]
    assert play.alone() == [500, 30, 7]


@played
async def test_what_others_have_read_grows_old_as_well(play: Play) -> None:
    play.existing.heard(7, ())
    play.existing.heard(8, ())
    assert await play.look([8]) == {}
    assert play.alone() == []
    await anyio.sleep(lead_list.GOOD_FOR_SECONDS)
    play.typed(7, 901)
    assert await play.look([7]) == {7: 1}


@played
async def test_what_was_read_before_the_machine_slept_is_old(play: Play) -> None:
    """The one clock stood still."""
    await play.read_ahead()
    play.typed(7, 901)
    play.woken_after = timedelta(hours=5)
    assert await play.look([7]) == {7: 1}


@played
async def test_nothing_is_marked_that_the_run_does_not_come_to(play: Play) -> None:
    play.typed(7, 901)
    await play.read_ahead()
    assert play.stage.count(ItemStatus.PENDING) == len(LEADS) + 1


def test_a_plan_says_what_reading_in_bulk_costs_and_the_run_does_so(nights: Any) -> None:
    @in_virtual_time
    async def story() -> None:
        nights.crm.leads = [lead(number) for number in range(90, 450)]
        nights.crm.stored += [_typed(159, "2026-11-20T19:40:00+00:00"), _other(449, 2), _other(449, 3)]
        rows = [_row(number) for number in range(100, 160)]
        planned = await _run(nights, *rows, dry_run=True)
        (told,) = (line for line in planned.told if "--existing" in line)
        assert told.startswith(
            "20 leads are read before their first call goes (--existing): about 13 requests in bulk, for all 360 leads"
        )
        ended = await _run(nights, *rows, plan=planned.plan)
        assert (ended.summary.calls.delivered, ended.summary.skipped) == (59, {"existing": 1})
        # Forty to see whether the ledger is the right one, the canary's once more, the fullest and one of each page
        # that has a wanted one as proofs.
        assert len([one for one in nights.asked[-1] if one.startswith("/v2/leads/")]) in (42, 43, 44, 45)
        assert len([one for one in nights.asked[-1] if one.startswith("/v2/leads?")]) in (3, 4)

    story()
