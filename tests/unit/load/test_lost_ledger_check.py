"""Does the CRM hold calls of ours that this ledger has never sent? Asked before the first create of a run."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from callimport.core import errors, mapping, models
from callimport.core.models import ItemStatus
from callimport.ledger import Ledger
from callimport.load import lost_ledger_check
from tests import making
from tests.fake_crm import in_virtual_time
from tests.shown import Shows, ledger_with, lose_answer, stored

BATCH = making.batch().id
CALL = making.call()
OTHER = making.call("B-1", row=3, lead_id=5004, customer_phone=making.OTHER_PHONE)


async def _look(ledger: Ledger, shows: Shows, batch_id: str = BATCH) -> None:
    await lost_ledger_check.look(shows, ledger, batch_id, random.Random(0), lambda _: None)


def _shown(call: models.Call, number: int = 900, *, with_mark: bool = True, **changes: Any) -> models.Stored:
    mark = mapping.reference(making.key(call), making.ACCOUNT.id)
    return stored(number, mapping.communication(call, mark if with_mark else None), **changes)


@in_virtual_time
async def test_a_reference_of_a_call_that_this_ledger_never_sent_stops_the_run(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, OTHER) as ledger:
        shows = Shows()
        shows.answers[5004] = [[_shown(OTHER)]]
        with pytest.raises(errors.GuardStopped, match=r"communication 900 of lead 5004.*--adopt"):
            await _look(ledger, shows)


@in_virtual_time
async def test_a_reference_that_no_call_of_the_ledger_has_stops_the_run(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        shows = Shows()
        shows.answers[5003] = [[_shown(making.call("somebody else's"), call_duration=3)]]
        with pytest.raises(errors.GuardStopped):
            await _look(ledger, shows)


@in_virtual_time
async def test_a_persons_notes_and_what_the_ledger_sent_stop_nothing(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, making.call("A-2", row=3)) as ledger:
        making.bring(ledger, making.key(CALL), "run-1", ItemStatus.DELIVERED, communication_id=900)
        shows = Shows()
        note = replace(_shown(CALL, 901), description="[ref: ask Jean] (REF 12)")
        shows.answers[5003] = [[_shown(CALL), note]]
        await _look(ledger, shows)
        assert len(shows.reads) == 1


@pytest.mark.parametrize("status", [ItemStatus.IN_DOUBT, ItemStatus.HELD])
def test_what_was_sent_and_may_be_there_is_no_news(tmp_path: Path, status: ItemStatus) -> None:
    @in_virtual_time
    async def story() -> None:
        with ledger_with(tmp_path, CALL, making.call("A-2", row=3)) as ledger:
            making.bring(ledger, making.key(CALL), "run-1", status)
            shows = Shows()
            shows.answers[5003] = [[_shown(CALL)]]
            await _look(ledger, shows)

    story()


@in_virtual_time
async def test_what_was_called_absent_and_shows_after_all_stops_the_run(tmp_path: Path) -> None:
    """The CRM was slower than it is said to be: sending it again would make it twice."""
    with ledger_with(tmp_path, CALL) as ledger:
        ledger.settle(lose_answer(ledger, CALL).key, models.Verdict("absent", "two reads"))
        shows = Shows()
        shows.answers[5003] = [[_shown(CALL)]]
        with pytest.raises(errors.GuardStopped):
            await _look(ledger, shows)


@pytest.mark.parametrize(
    ("with_mark", "sent_before", "stops"), [(True, False, True), (False, True, True), (True, True, False)]
)
def test_an_equal_call_stops_a_new_ledger_and_one_without_references(
    tmp_path: Path, with_mark: bool, sent_before: bool, stops: bool
) -> None:
    """Beside references, it is one that a person typed in."""

    @in_virtual_time
    async def story() -> None:
        batch = making.batch(reference="yes" if with_mark else "no")
        with ledger_with(tmp_path, OTHER) as ledger:
            if sent_before:
                making.bring(ledger, making.key(OTHER), "run-1", ItemStatus.DELIVERED, communication_id=800)
            making.enter(ledger, batch, CALL, run_id="run-1")
            shows = Shows()
            shows.answers[5003] = [[_shown(CALL, with_mark=False)]]
            if stops:
                with pytest.raises(errors.GuardStopped):
                    await _look(ledger, shows, batch.id)
            else:
                await _look(ledger, shows, batch.id)

    story()


@pytest.mark.parametrize("answer", [errors.Refused("404", status=404), []])
def test_a_lead_that_cannot_be_seen_is_left_to_its_create(
    tmp_path: Path, answer: Exception | Sequence[models.Stored]
) -> None:
    @in_virtual_time
    async def story() -> None:
        with ledger_with(tmp_path, CALL) as ledger:
            shows = Shows()
            shows.answers[5003] = [answer]
            await _look(ledger, shows)

    story()


@in_virtual_time
async def test_the_leads_of_the_first_twenty_calls_and_of_twenty_others_are_read_once(tmp_path: Path) -> None:
    many = [
        making.call(
            f"M-{number}", row=number + 2, lead_id=6000 + number, started_at=making.STARTED.replace(second=number)
        )
        for number in range(60)
    ]
    with ledger_with(tmp_path, *many) as ledger:
        shows = Shows()
        await _look(ledger, shows)
        read = [lead_id for _, lead_id in shows.reads]
        assert read[:20] == [6000 + number for number in range(20)]
        assert len(read) == len(set(read)) == 40


@in_virtual_time
async def test_nothing_to_send_is_nothing_to_look_at(tmp_path: Path) -> None:
    with ledger_with(tmp_path) as ledger:
        shows = Shows()
        await _look(ledger, shows)
        assert shows.reads == []


@in_virtual_time
async def test_what_it_saw_is_the_floor_of_the_attempts_that_follow(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        shows = Shows()
        shows.answers[5003] = [[_shown(making.call("x"), 4711, with_mark=False, call_duration=1)]]
        await _look(ledger, shows)
        assert lose_answer(ledger, CALL).id_floor == 4711


@in_virtual_time
async def test_what_may_be_a_call_in_doubt_is_no_proof_that_its_twin_is_there(tmp_path: Path) -> None:
    """Without references, two calls equal in everything: the one that is shown is the one that was sent."""
    batch, twin = making.batch(reference="no"), making.call("A-2", row=3)
    with ledger_with(tmp_path) as ledger:
        making.enter(ledger, batch, CALL, twin, run_id="run-1")
        making.bring(ledger, making.key(CALL), "run-1", ItemStatus.IN_DOUBT)
        shows = Shows()
        shows.answers[5003] = [[_shown(CALL, with_mark=False)]]
        await _look(ledger, shows, batch.id)
        assert len(shows.reads) == 1


@pytest.mark.parametrize("answer", [errors.Refused("403", status=403), errors.Incomplete("no communications")])
def test_one_lead_that_cannot_be_read_stops_nothing_and_all_of_them_stop_the_run(
    tmp_path: Path, answer: Exception
) -> None:
    @in_virtual_time
    async def story() -> None:
        with ledger_with(tmp_path, CALL, OTHER) as ledger:
            shows = Shows()
            shows.answers[5003] = [answer]
            await _look(ledger, shows)
            shows.answers[5004] = [answer]
            with pytest.raises(errors.GuardStopped, match="none of 2 leads"):
                await _look(ledger, shows)

    story()


@in_virtual_time
async def test_what_a_person_wants_sent_is_not_looked_for_again(tmp_path: Path) -> None:
    """Without references, the equal one that is there is somebody else's: that was said already."""
    batch = making.batch(reference="no")
    with ledger_with(tmp_path) as ledger:
        making.enter(ledger, batch, CALL, run_id="run-1")
        ledger.hold(making.key(CALL), "the lead shows what could be it")
        ledger.resend(mapping.reference(making.key(CALL), making.ACCOUNT.id))
        shows = Shows()
        shows.answers[5003] = [[_shown(CALL, with_mark=False)]]
        await _look(ledger, shows, batch.id)


@in_virtual_time
async def test_a_mark_that_came_with_the_description_makes_our_own_call_no_strangers(tmp_path: Path) -> None:
    other = mapping.reference(making.key(making.call("elsewhere")), making.ACCOUNT.id)
    with ledger_with(tmp_path, CALL, OTHER) as ledger:
        lose_answer(ledger, CALL)
        mine = mapping.reference(making.key(CALL), making.ACCOUNT.id)
        shows = Shows()
        shows.answers[5003] = [[_shown(CALL, description=f"[ref {other}] [ref {mine}]")]]
        await _look(ledger, shows)
