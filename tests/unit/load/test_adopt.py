"""--adopt: what the CRM has already is taken over, and only what surely is not there is sent."""

from pathlib import Path
from typing import Any

import pytest

from callimport.core import errors, mapping, models
from callimport.core.models import ItemStatus
from callimport.ledger import Ledger
from callimport.load.adopt import Adoption
from tests import making
from tests.fake_crm import in_virtual_time
from tests.making import NOW
from tests.shown import Shows, ledger_with, stored
from tests.unit.load.test_lost_ledger_check import _look

BATCH = making.batch().id
CALL = making.call()
AGAIN = making.call("A-2", row=3)
OTHER = making.call("B-1", row=4, lead_id=5004)


def _shown(call: models.Call, number: int = 900, *, with_mark: bool = True, **changes: Any) -> models.Stored:
    mark = mapping.reference(making.key(call), making.ACCOUNT.id)
    return stored(number, mapping.communication(call, mark if with_mark else None), **changes)


async def _adopt(ledger: Ledger, shows: Shows) -> Adoption:
    adoption = Adoption(ledger, shows, BATCH)
    await adoption.run()
    return adoption


@in_virtual_time
async def test_what_bears_its_reference_is_adopted_whatever_else_a_person_changed(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        shows = Shows()
        shows.answers[5003] = [[_shown(CALL, call_duration=1)]]
        adoption = await _adopt(ledger, shows)
        assert ledger.stands(making.key(CALL)) == (ItemStatus.DELIVERED, 900)
        assert making.row(ledger, making.key(CALL))["adopted"] == 1
        assert adoption.endings == {"adopted": 1}
        assert len(shows.reads) == 1


@pytest.mark.parametrize(("shown", "adopted"), [(1, 1), (2, 2), (3, 2)])
def test_of_equal_calls_as_many_are_adopted_as_are_there(tmp_path: Path, shown: int, adopted: int) -> None:
    @in_virtual_time
    async def story() -> None:
        with ledger_with(tmp_path, CALL, AGAIN) as ledger:
            shows = Shows()
            shows.answers[5003] = [[_shown(CALL, 900 + number, with_mark=False) for number in range(shown)]]
            await _adopt(ledger, shows)
            found = [making.status(ledger, making.key(one)) for one in (CALL, AGAIN)]
            assert found.count(ItemStatus.DELIVERED) == adopted
            assert found.count(ItemStatus.PENDING) == 2 - adopted

    story()


@in_virtual_time
async def test_a_lead_that_shows_nothing_like_it_has_it_sent_after_two_reads(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, OTHER) as ledger:
        shows = Shows()
        await _adopt(ledger, shows)
        assert making.status(ledger, making.key(CALL)) == ItemStatus.PENDING
        first, second = shows.at(5003)
        assert second - first >= 5
        assert len(shows.reads) == 4


@in_virtual_time
async def test_what_only_the_second_read_shows_is_adopted(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        shows = Shows()
        shows.answers[5003] = [[], [_shown(CALL)]]
        await _adopt(ledger, shows)
        assert ledger.stands(making.key(CALL)) == (ItemStatus.DELIVERED, 900)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"call_duration": 96}, ItemStatus.HELD),
        ({"description": ""}, ItemStatus.HELD),
        ({"executed_at": "2024-05-31T14:06:09+00:00"}, ItemStatus.HELD),
        ({"executed_at": "2024-05-31T14:06:10+00:00"}, ItemStatus.PENDING),
        ({"type": "outgoing"}, ItemStatus.PENDING),
    ],
    ids=str,
)
def test_what_could_be_it_and_does_not_say_so_is_for_a_person(
    tmp_path: Path, changes: dict[str, Any], status: ItemStatus
) -> None:
    @in_virtual_time
    async def story() -> None:
        with ledger_with(tmp_path, CALL) as ledger:
            shows = Shows()
            shows.answers[5003] = [[_shown(CALL, with_mark=False, **changes)]]
            await _adopt(ledger, shows)
            assert making.status(ledger, making.key(CALL)) == status

    story()


@in_virtual_time
async def test_a_lead_that_does_not_show_everything_leaves_its_calls_to_a_person(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, OTHER) as ledger:
        shows = Shows()
        shows.answers[5003] = [errors.Incomplete("no communications")]
        shows.answers[5004] = [[], errors.Incomplete("no communications")]
        await _adopt(ledger, shows)
        assert making.status(ledger, making.key(CALL)) == ItemStatus.HELD
        assert making.status(ledger, making.key(OTHER)) == ItemStatus.HELD


@in_virtual_time
async def test_what_was_held_for_that_is_adopted_by_the_next_try(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        shows = Shows()
        shows.answers[5003] = [errors.Incomplete("no communications"), [_shown(CALL)]]
        await _adopt(ledger, shows)
        await _adopt(ledger, shows)
        assert ledger.stands(making.key(CALL)) == (ItemStatus.DELIVERED, 900)


@in_virtual_time
async def test_a_key_that_may_not_read_a_lead_ends_the_adoption_and_holds_nothing(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        shows = Shows()
        shows.answers[5003] = [errors.Refused("403", status=403)]
        with pytest.raises(errors.DestinationUnusable, match="may read"):
            await _adopt(ledger, shows)
        assert making.status(ledger, making.key(CALL)) == ItemStatus.PENDING


@pytest.mark.parametrize(("changes", "status"), [({}, ItemStatus.DELIVERED), ({"call_duration": 1}, ItemStatus.HELD)])
def test_the_same_call_under_another_systems_reference_is_never_sent_again(
    tmp_path: Path, changes: dict[str, Any], status: ItemStatus
) -> None:
    """The lost ledger knew it under another name, so that its reference is another one."""

    @in_virtual_time
    async def story() -> None:
        with ledger_with(tmp_path, CALL) as ledger:
            shows = Shows()
            shows.answers[5003] = [[_shown(making.call(system="east"), **changes)]]
            await _adopt(ledger, shows)
            assert making.status(ledger, making.key(CALL)) == status

    story()


@in_virtual_time
async def test_a_communication_that_bears_two_calls_is_one_of_them_and_the_other_is_for_a_person(
    tmp_path: Path,
) -> None:
    marks = [mapping.reference(making.key(one), making.ACCOUNT.id) for one in (CALL, AGAIN)]
    with ledger_with(tmp_path, CALL, AGAIN) as ledger:
        shows = Shows()
        shows.answers[5003] = [[_shown(CALL, description=" ".join(f"[ref {mark}]" for mark in marks))]]
        await _adopt(ledger, shows)
        found = {making.status(ledger, making.key(one)) for one in (CALL, AGAIN)}
        assert found == {ItemStatus.DELIVERED, ItemStatus.HELD}


@in_virtual_time
async def test_what_a_person_wants_sent_is_held_for_no_look_alike_again(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        ledger.hold(making.key(CALL), "the lead shows what could be it")
        ledger.resend(mapping.reference(making.key(CALL), making.ACCOUNT.id))
        shows = Shows()
        shows.answers[5003] = [[_shown(CALL, with_mark=False, call_duration=1)]]
        await _adopt(ledger, shows)
        assert making.status(ledger, making.key(CALL)) == ItemStatus.PENDING


@in_virtual_time
async def test_what_was_adopted_from_another_lead_is_not_missed_on_its_own(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, OTHER) as ledger:
        shows = Shows()
        shows.answers[5003] = [[_shown(OTHER)]]
        await _adopt(ledger, shows)
        assert ledger.stands(making.key(OTHER)) == (ItemStatus.DELIVERED, 900)
        assert ledger.communications_of(5004) == set()


@in_virtual_time
async def test_a_lead_that_misses_some_of_ours_leaves_its_calls_to_a_person(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, AGAIN) as ledger:
        making.bring(ledger, making.key(CALL), "run-1", ItemStatus.DELIVERED, communication_id=900)
        await _adopt(ledger, Shows())
        assert making.status(ledger, making.key(AGAIN)) == ItemStatus.HELD


@in_virtual_time
async def test_a_lead_that_is_not_there_has_nothing_to_adopt(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        shows = Shows()
        shows.answers[5003] = [errors.Refused("404", status=404)]
        await _adopt(ledger, shows)
        assert making.status(ledger, making.key(CALL)) == ItemStatus.PENDING


@pytest.mark.parametrize("status", [ItemStatus.REFUSED, ItemStatus.FAILED, ItemStatus.WITHDRAWN])
def test_what_this_ledger_gave_up_and_another_one_sent_is_adopted_too(tmp_path: Path, status: ItemStatus) -> None:
    @in_virtual_time
    async def story() -> None:
        with ledger_with(tmp_path, CALL) as ledger:
            making.bring(ledger, making.key(CALL), "run-1", status)
            making.enter(ledger, making.batch("b.csv"), making.call("C-1", row=9, customer_phone="+15145550177"))
            shows = Shows()
            shows.answers[5003] = [[_shown(CALL)]]
            await Adoption(ledger, shows, making.batch("b.csv").id).run()
            assert ledger.stands(making.key(CALL)) == (ItemStatus.DELIVERED, 900)

    story()


@in_virtual_time
async def test_what_another_ledger_made_is_noted_and_stops_no_later_run(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        shows = Shows()
        shows.answers[5003] = [
            [_shown(making.call("not of this file"), call_duration=1, executed_at="2020-01-01T00:00:00Z")]
        ]
        adoption = await _adopt(ledger, shows)
        # Once a read.
        assert adoption.endings == {"strangers": 2}
        await _look(ledger, shows)


@in_virtual_time
async def test_what_another_ledger_makes_after_the_adoption_is_news(tmp_path: Path) -> None:
    old, new = making.call("not of this file", started_at=NOW), making.call("nor this one", started_at=NOW)
    with ledger_with(tmp_path, CALL, OTHER) as ledger:
        shows = Shows()
        shows.answers[5003] = [[_shown(old, 900)]]
        await _adopt(ledger, shows)
        shows.answers[5004] = [[_shown(old, 899)]]
        await _look(ledger, shows)
        shows.answers[5004] = [[_shown(new, 901)]]
        with pytest.raises(errors.GuardStopped):
            await _look(ledger, shows)


@in_virtual_time
async def test_a_noted_stranger_whose_call_comes_along_later_is_news_again(tmp_path: Path) -> None:
    late = making.call("late", row=9, customer_phone="+15145550177")
    with ledger_with(tmp_path, CALL) as ledger:
        shows = Shows()
        shows.answers[5003] = [[_shown(late, call_duration=1)]]
        await _adopt(ledger, shows)
        making.enter(ledger, making.batch("b.csv"), late, run_id="run-1")
        with pytest.raises(errors.GuardStopped):
            await _look(ledger, shows, making.batch("b.csv").id)


@in_virtual_time
async def test_a_second_copy_of_a_known_call_is_nobody_elses_call(tmp_path: Path) -> None:
    """Two communications bear the same reference: one is taken, the other is no other call's."""
    with ledger_with(tmp_path, CALL, AGAIN) as ledger:
        shows = Shows()
        shows.answers[5003] = [[_shown(CALL, 900), _shown(CALL, 901)]]
        await _adopt(ledger, shows)
        assert ledger.stands(making.key(CALL)) == (ItemStatus.DELIVERED, 900)
        assert making.status(ledger, making.key(AGAIN)) == ItemStatus.PENDING


@in_virtual_time
async def test_what_may_be_a_call_in_doubt_is_not_adopted_as_its_twin(tmp_path: Path) -> None:
    """It is left to the verdict on that one; the twin is for a person, since one of them may be there."""
    with ledger_with(tmp_path, CALL, AGAIN, with_mark=False) as ledger:
        making.bring(ledger, making.key(CALL), "run-1", ItemStatus.IN_DOUBT)
        shows = Shows()
        shows.answers[5003] = [[_shown(CALL, with_mark=False)]]
        adoption = await _adopt(ledger, shows)
        assert adoption.endings == {"held": 1}
        assert making.status(ledger, making.key(AGAIN)) == ItemStatus.HELD
