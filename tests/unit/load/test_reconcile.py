"""Strict to find, loose to deny: the rules one by one, then the looking up in virtual time."""

from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from callimport.core import errors, models
from callimport.core.models import ItemStatus
from callimport.ledger import Ledger
from callimport.load.reconcile import Look, Reconciliation, denied, found
from tests import making
from tests.fake_crm import in_virtual_time
from tests.making import NOW, STARTED
from tests.shown import Shows, doubt, ledger_with, lose_answer, stored, virtual_clock

MINUTE = timedelta(minutes=1)
LONG_AGO = datetime.fromisoformat("2024-06-01T00:00:00+00:00")
FAR_OFF = (STARTED + timedelta(days=40)).isoformat()


def _deny(one: models.Doubt, *shown: models.Stored) -> str:
    return denied(one, Look(shown), Look(shown)).kind


# Found


def test_the_reference_finds_the_call_whatever_else_the_crm_changed() -> None:
    one = doubt()
    there = stored(9, one.communication, call_duration=0, executed_at=FAR_OFF, type="incoming", made=None)
    assert found([one], [there])[one.key].found == there


def test_of_two_copies_the_lowest_id_is_the_call_and_the_other_is_named() -> None:
    one = doubt()
    verdict = found([one], [stored(12, one.communication), stored(9, one.communication)])[one.key]
    assert verdict.found is not None
    assert verdict.found.id == 9
    assert "12" in verdict.evidence


def test_another_calls_reference_finds_nothing() -> None:
    one, other = doubt("A-1"), doubt("A-2")
    assert found([one], [stored(9, other.communication)]) == {}


def test_a_call_that_was_sent_with_a_reference_is_not_found_by_its_payload() -> None:
    one = doubt()
    assert found([one], [stored(9, one.communication, description="Rappel demandé")]) == {}


@pytest.mark.parametrize(("doubts", "shown", "are_found"), [(1, 1, 1), (2, 2, 2), (3, 3, 3), (2, 1, 0), (1, 2, 0)])
def test_without_references_exactly_as_many_equals_as_doubts_are_found(doubts: int, shown: int, are_found: int) -> None:
    """Fewer or more, and nobody can say which is whose, or whether one is a person's."""
    unsure = [doubt(f"A-{number}", with_mark=False) for number in range(doubts)]
    there = [stored(9 + number, unsure[0].communication) for number in range(shown)]
    verdicts = found(unsure, there)
    assert len(verdicts) == are_found
    assert len({verdict.found.id for verdict in verdicts.values() if verdict.found}) == are_found


@pytest.mark.parametrize(
    "changes",
    [
        {"call_duration": 96},
        {"call_phone": "+15145550199"},
        {"executed_at": (STARTED + timedelta(seconds=1)).isoformat()},
        {"type": "outgoing"},
        {"description": "Autre chose"},
        {"user_id": 13},
        {"call_duration": ...},
        {"call_phone": ...},
        {"executed_at": ...},
        {"description": ...},
    ],
    ids=str,
)
def test_a_payload_that_differs_or_does_not_show_is_not_the_call(changes: dict[str, Any]) -> None:
    one = doubt(with_mark=False)
    assert found([one], [stored(9, one.communication, **changes)]) == {}


def test_a_description_where_none_was_sent_is_not_the_call() -> None:
    one = doubt(with_mark=False)
    bare = replace(one, communication=replace(one.communication, description=None))
    assert found([bare], [stored(9, one.communication)]) == {}
    assert found([bare], [stored(9, bare.communication, description="")])


@pytest.mark.parametrize(
    ("made", "is_found"),
    [
        (NOW - 5 * MINUTE, True),
        (NOW - 5 * MINUTE - timedelta(seconds=1), False),
        (NOW + timedelta(days=1), True),
        (None, False),
    ],
)
def test_a_payload_counts_only_if_it_was_made_since_the_call_was_sent(made: datetime | None, is_found: bool) -> None:
    one = doubt(with_mark=False)
    assert bool(found([one], [stored(9, one.communication, made=made)])) is is_found


@pytest.mark.parametrize(("number", "is_found"), [(8, False), (9, True)])
def test_a_payload_counts_only_if_its_id_is_higher_than_all_that_were_seen_before(number: int, is_found: bool) -> None:
    """Whatever the clocks say: a person's look-alike from before has a lower id."""
    one = replace(doubt(with_mark=False), id_floor=8)
    assert bool(found([one], [stored(number, one.communication)])) is is_found


def test_equal_in_other_words_is_equal() -> None:
    """Two doubts whose instants are written differently are alike: one communication is not both."""
    one, other = doubt("A-1", with_mark=False), doubt("A-2", with_mark=False)
    moved = datetime.fromisoformat(other.communication.executed_at).astimezone().isoformat()
    other = replace(other, communication=replace(other.communication, executed_at=moved))
    assert found([one, other], [stored(9, one.communication)]) == {}
    assert len(found([one, other], [stored(9, one.communication), stored(10, one.communication)])) == 2


def test_what_equals_two_different_doubts_is_neither() -> None:
    one, other = doubt("A-1", with_mark=False), doubt("A-2", with_mark=False)
    nobodys = replace(other, communication=replace(other.communication, executed_by=None))
    assert found([one, nobodys], [stored(9, one.communication)]) == {}


# Absent, or held


def test_a_lead_that_shows_nothing_proves_absence() -> None:
    assert _deny(doubt()) == "absent"


def test_a_trimmed_description_denies_absence() -> None:
    one = doubt()
    assert _deny(one, stored(9, one.communication, description="Rappel")) == "held"


def test_what_could_be_it_is_shown_to_whoever_decides() -> None:
    one = doubt()
    evidence = denied(one, Look((stored(9, one.communication, description=""),)), Look(())).evidence
    assert "9 (call of 2024-05-31 14:05:09Z, stored 2026-11-22 12:00:01Z)" in evidence


@pytest.mark.parametrize("read", [0, 1])
def test_one_read_is_enough_to_deny_absence(read: int) -> None:
    one = doubt()
    looks = [Look(()), Look(())]
    looks[read] = Look((stored(9, one.communication, description=""),))
    assert denied(one, *looks).kind == "held"


@pytest.mark.parametrize(
    ("apart", "verdict"),
    [
        (timedelta(0), "held"),
        (15 * MINUTE, "held"),
        (-15 * MINUTE, "held"),
        (15 * MINUTE + timedelta(seconds=1), "absent"),
        (-15 * MINUTE - timedelta(seconds=1), "absent"),
    ],
)
def test_a_persons_look_alike_within_15_minutes_of_the_call_denies_absence(apart: timedelta, verdict: str) -> None:
    one = doubt()
    near = stored(9, one.communication, description="note", executed_at=(STARTED + apart).isoformat(), made=LONG_AGO)
    assert _deny(one, near) == verdict


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (NOW - 5 * MINUTE, "held"),
        (NOW - 5 * MINUTE - timedelta(seconds=1), "absent"),
        (NOW + timedelta(days=2), "held"),
        (None, "held"),
    ],
)
def test_whatever_was_made_since_it_was_sent_denies_absence(made: datetime | None, verdict: str) -> None:
    one = doubt()
    assert _deny(one, stored(9, one.communication, description="", executed_at=FAR_OFF, made=made)) == verdict


@pytest.mark.parametrize("changes", [{"type": "outgoing"}, {"method": "email"}], ids=str)
def test_another_direction_or_method_does_not_deny_absence(changes: dict[str, Any]) -> None:
    one = doubt()
    assert _deny(one, stored(9, one.communication, description="", **changes)) == "absent"


@pytest.mark.parametrize(
    "changes", [{"type": ...}, {"method": ...}, {"type": "INCOMING"}, {"executed_at": "soon"}], ids=str
)
def test_what_does_not_say_what_it_is_denies_absence(changes: dict[str, Any]) -> None:
    one = doubt()
    assert _deny(one, stored(9, one.communication, description="", **changes)) == "held"


def test_what_the_crm_said_that_it_stored_is_never_absent() -> None:
    assert _deny(doubt(applied=True)) == "held"


def test_without_a_reference_nothing_is_ever_absent() -> None:
    assert _deny(doubt(with_mark=False)) == "held"


@pytest.mark.parametrize(("times", "verdict"), [(0, "absent"), (1, "absent"), (2, "held"), (3, "held")])
def test_after_two_rounds_a_person_decides(times: int, verdict: str) -> None:
    assert _deny(doubt(times_absent=times)) == verdict


# Looking up

CALL = making.call()
OTHER = making.call("B-1", row=3, lead_id=5004)
THIRD = making.call("C-1", row=4)


def _lookup(ledger: Ledger, shows: Shows, settle_seconds: float = 180.0) -> Reconciliation:
    return Reconciliation(ledger, shows, virtual_clock(), settle_seconds)


async def _settle_all(reconciliation: Reconciliation) -> list[float]:
    said: list[float] = []
    await reconciliation.settle_all(said.append)
    return said


@in_virtual_time
async def test_doubts_that_ripen_one_after_the_other_are_waited_for_and_said_once(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, OTHER) as ledger:
        shows = Shows()
        first = lose_answer(ledger, CALL)
        await anyio.sleep(30)
        second = lose_answer(ledger, OTHER)
        shows.answers[5003] = [[stored(900, first.communication)]]
        shows.answers[5004] = [[stored(901, second.communication)]]
        assert await _settle_all(_lookup(ledger, shows)) == [150.0]
        assert {making.status(ledger, one.key) for one in (first, second)} == {ItemStatus.DELIVERED}


@in_virtual_time
async def test_settle_counts_from_the_end_of_the_attempt_and_is_said(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        await anyio.sleep(50.3)
        lose_answer(ledger, CALL)
        await anyio.sleep(7.7)
        shows = Shows()
        said = await _settle_all(_lookup(ledger, shows))
        assert said[0] == pytest.approx(172.3)
        assert shows.at(5003)[0] >= 230.3
        assert shows.at(5003)[0] < 230.4


@in_virtual_time
async def test_settle_of_an_earlier_runs_doubt_counts_from_taking_the_ledger(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        ledger.intend(making.key(CALL), "run-1")
    await anyio.sleep(1000)
    with closing(Ledger.open(tmp_path / "ledger.sqlite3", virtual_clock(), making.BINDING)) as ledger:
        ledger.start_run("run-2")
        shows = Shows()
        await _settle_all(_lookup(ledger, shows))
        assert shows.at(5003)[0] == pytest.approx(1180)


@in_virtual_time
async def test_absence_takes_two_reads_five_seconds_apart_and_one_wait_for_all_leads(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, OTHER) as ledger:
        lose_answer(ledger, CALL)
        lose_answer(ledger, OTHER)
        shows = Shows()
        reconciliation = _lookup(ledger, shows)
        await anyio.sleep(180)
        assert await reconciliation.settle_ripe() == 2
        for lead_id in (5003, 5004):
            first, second = shows.at(lead_id)
            assert second - first >= 5.0
        assert anyio.current_time() == pytest.approx(185)
        assert reconciliation.verdicts == {"absent": 2}
        assert making.status(ledger, making.key(CALL)) == ItemStatus.PENDING


@in_virtual_time
async def test_nothing_is_looked_up_before_it_is_ripe(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        lose_answer(ledger, CALL)
        shows = Shows()
        await anyio.sleep(179.9)
        assert await _lookup(ledger, shows).settle_ripe() == 0
        assert shows.reads == []


@in_virtual_time
async def test_doubts_of_one_lead_that_ripen_apart_are_judged_together_and_without_a_spin(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, THIRD) as ledger:
        lose_answer(ledger, CALL)
        await anyio.sleep(100.1)
        lose_answer(ledger, THIRD)
        shows = Shows()
        said = await _settle_all(_lookup(ledger, shows))
        assert len(said) <= 2
        assert len(shows.at(5003)) == 2
        assert shows.at(5003)[0] >= 280.1


@in_virtual_time
async def test_a_call_that_only_the_second_read_shows_is_found(tmp_path: Path) -> None:
    """Reads may lag behind writes."""
    with ledger_with(tmp_path, CALL) as ledger:
        there = stored(900, lose_answer(ledger, CALL).communication)
        shows = Shows()
        shows.answers[5003] = [[], [there]]
        await _settle_all(_lookup(ledger, shows))
        assert ledger.stands(making.key(CALL)) == (ItemStatus.DELIVERED, 900)


@in_virtual_time
async def test_a_call_that_the_first_read_shows_needs_no_second(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        shows = Shows()
        shows.answers[5003] = [[stored(900, lose_answer(ledger, CALL).communication)]]
        await _settle_all(_lookup(ledger, shows))
        assert ledger.stands(making.key(CALL)) == (ItemStatus.DELIVERED, 900)
        assert len(shows.reads) == 1


@in_virtual_time
async def test_what_the_ledger_owns_is_never_claimed_and_denies_nothing(tmp_path: Path) -> None:
    """Without references the two calls are equal in everything: the one that is there is the delivered one."""
    with ledger_with(tmp_path, CALL, THIRD, with_mark=False) as ledger:
        making.bring(ledger, making.key(CALL), "run-1", ItemStatus.DELIVERED, communication_id=900)
        shows = Shows()
        shows.answers[5003] = [[stored(900, lose_answer(ledger, THIRD).communication)]]
        await _settle_all(_lookup(ledger, shows))
        assert "without references" in str(making.row(ledger, making.key(THIRD))["reason"])


@pytest.mark.parametrize("incomplete", [errors.Incomplete("no communications"), errors.Refused("403", status=403)])
@pytest.mark.parametrize("second", [False, True])
def test_an_incomplete_read_concludes_nothing(tmp_path: Path, incomplete: Any, second: bool) -> None:
    """The list itself is missing, or this key may not look: that is no picture of the lead."""

    @in_virtual_time
    async def story() -> None:
        with ledger_with(tmp_path, CALL, THIRD) as ledger:
            making.bring(ledger, making.key(CALL), "run-1", ItemStatus.DELIVERED, communication_id=900)
            ours = stored(900, lose_answer(ledger, THIRD).communication, description="ours")
            shows = Shows()
            shows.answers[5003] = [[ours], incomplete] if second else [incomplete]
            await _settle_all(_lookup(ledger, shows))
            assert making.status(ledger, making.key(THIRD)) == ItemStatus.IN_DOUBT
            assert len(shows.reads) == 1 + second

    story()


@pytest.mark.parametrize("missing", [0, 1])
def test_where_one_of_two_reads_misses_some_of_ours_the_next_run_looks_again(tmp_path: Path, missing: int) -> None:
    @in_virtual_time
    async def story() -> None:
        with ledger_with(tmp_path, CALL, THIRD) as ledger:
            making.bring(ledger, making.key(CALL), "run-1", ItemStatus.DELIVERED, communication_id=900)
            reads: list[Any] = [[stored(900, lose_answer(ledger, THIRD).communication, description="ours")]] * 2
            reads[missing] = []
            shows = Shows()
            shows.answers[5003] = reads
            await _settle_all(_lookup(ledger, shows))
            assert making.status(ledger, making.key(THIRD)) == ItemStatus.IN_DOUBT

    story()


@in_virtual_time
async def test_what_a_lead_showed_before_the_doubt_was_looked_up_is_missed_in_later_reads(tmp_path: Path) -> None:
    """A run reads leads before it sends: what it saw there may be the call, whatever later reads leave out."""
    with ledger_with(tmp_path, CALL) as ledger:
        its = lose_answer(ledger, CALL)
        ledger.saw_on(its.communication.lead_id, {900})
        await _settle_all(_lookup(ledger, Shows()))
        assert making.status(ledger, its.key) == ItemStatus.HELD


@in_virtual_time
async def test_a_communication_of_ours_that_stays_missing_leaves_the_doubts_of_its_lead_to_a_person(
    tmp_path: Path,
) -> None:
    """Somebody deleted or moved it: no run would ever see everything, and none may conclude anything."""
    with ledger_with(tmp_path, CALL, THIRD) as ledger:
        making.bring(ledger, making.key(CALL), "run-1", ItemStatus.DELIVERED, communication_id=900)
        lose_answer(ledger, THIRD)
        await _settle_all(_lookup(ledger, Shows()))
        assert making.status(ledger, making.key(THIRD)) == ItemStatus.HELD
        assert "does not show 1 communications that are ours" in str(making.row(ledger, making.key(THIRD))["reason"])


@in_virtual_time
async def test_what_bears_the_reference_is_found_even_where_the_read_is_not_complete(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, THIRD) as ledger:
        making.bring(ledger, making.key(CALL), "run-1", ItemStatus.DELIVERED, communication_id=900)
        shows = Shows()
        shows.answers[5003] = [[stored(901, lose_answer(ledger, THIRD).communication)]]
        await _settle_all(_lookup(ledger, shows))
        assert ledger.stands(making.key(THIRD)) == (ItemStatus.DELIVERED, 901)


@in_virtual_time
async def test_a_reference_on_a_communication_that_is_another_calls_forbids_a_second_sending(tmp_path: Path) -> None:
    """A person merged two notes: the call is there, if not as one of its own."""
    with ledger_with(tmp_path, CALL, THIRD) as ledger:
        making.bring(ledger, making.key(CALL), "run-1", ItemStatus.DELIVERED, communication_id=900)
        its = lose_answer(ledger, THIRD)
        shows = Shows()
        shows.answers[5003] = [[stored(900, its.communication, description=f"both [ref {its.reference}]")]]
        await _settle_all(_lookup(ledger, shows))
        assert making.status(ledger, making.key(THIRD)) == ItemStatus.HELD


@in_virtual_time
async def test_one_communication_is_never_two_calls(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, THIRD) as ledger:
        one, other = lose_answer(ledger, CALL), lose_answer(ledger, THIRD)
        both = stored(900, one.communication, description=f"[ref {one.reference}] [ref {other.reference}]")
        shows = Shows()
        shows.answers[5003] = [[both]]
        await _settle_all(_lookup(ledger, shows))
        found = {making.status(ledger, doubt.key) for doubt in (one, other)}
        assert found == {ItemStatus.DELIVERED, ItemStatus.HELD}


@pytest.mark.parametrize("answer", [errors.Incomplete("no communications"), errors.Refused("403", status=403)])
def test_what_no_run_could_look_up_for_a_day_is_for_a_person(tmp_path: Path, answer: Exception) -> None:
    @in_virtual_time
    async def story() -> None:
        with ledger_with(tmp_path, CALL) as ledger:
            lose_answer(ledger, CALL)
            shows = Shows()
            shows.answers[5003] = [answer]
            await anyio.sleep(23 * 3600)
            await _settle_all(_lookup(ledger, shows))
            assert making.status(ledger, making.key(CALL)) == ItemStatus.IN_DOUBT
            await anyio.sleep(2 * 3600)
            await _settle_all(_lookup(ledger, shows))
            assert making.status(ledger, making.key(CALL)) == ItemStatus.HELD

    story()


@in_virtual_time
async def test_a_lead_that_is_gone_leaves_its_doubts_to_a_person(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, OTHER) as ledger:
        lose_answer(ledger, CALL)
        lose_answer(ledger, OTHER)
        shows = Shows()
        shows.answers[5003] = [errors.Refused("no such lead", status=404)]
        await _settle_all(_lookup(ledger, shows))
        assert making.status(ledger, making.key(CALL)) == ItemStatus.HELD
        assert making.status(ledger, making.key(OTHER)) == ItemStatus.PENDING


@in_virtual_time
async def test_a_crm_that_cannot_be_used_ends_the_looking_up(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        lose_answer(ledger, CALL)
        shows = Shows()
        shows.answers[5003] = [errors.DestinationUnusable("the key is refused")]
        with pytest.raises(errors.DestinationUnusable):
            await _settle_all(_lookup(ledger, shows))
        assert making.status(ledger, making.key(CALL)) == ItemStatus.IN_DOUBT
