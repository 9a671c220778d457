"""What many calls have in common is not any one call's fault: streaks and budgets end the run, with a reason."""

from collections import deque
from pathlib import Path

import pytest

from callimport.core import errors
from callimport.crm import failure_budget
from tests.fake_crm import FakeCrm, Line, Reply, Request, in_virtual_time, reply
from tests.unit.load.test_deliver import stage

INVALID = {"message": "no", "errors": {"lead_id": ["The selected lead id is invalid."]}}
NO_CONNECTION = errors.NotApplied("ConnectError: refused")


def refused(reason: str = "lead_id: invalid", status: int = 422) -> errors.Refused:
    return errors.Refused(f"status {status}", status=status, reasons=(reason,) if reason else ())


def patient() -> failure_budget.Patience:
    return failure_budget.Patience(lambda: 0.0)


# Refusals that are all alike


@in_virtual_time
async def test_twenty_calls_in_a_row_refused_for_the_very_same_reason_stop_the_run(tmp_path: Path) -> None:
    """The leads are another account's, or the mapping is wrong: the other nine thousand would fare no better."""
    crm = FakeCrm(answer=lambda _: reply(422, INVALID))
    async with stage(tmp_path, crm, range(1, 41)) as play:
        with pytest.raises(errors.GuardStopped) as caught:
            await play.deliver(concurrency=1)
        assert caught.value.exit_code == errors.ExitCode.GUARD
        said = str(caught.value)
        assert "refused 20 calls in a row" in said
        assert "lead_id: The selected lead id is invalid." in said
        assert "callimport retry --refused and run again" in said
        assert "\n" not in said
        assert play.stand() == {"refused": 20, "pending": 20}


@in_virtual_time
async def test_calls_of_leads_that_are_all_missing_stop_the_run_too(tmp_path: Path) -> None:
    """Once account and lead were read a 404 is the call's own; twenty of them are not."""
    crm = FakeCrm()

    def answer(request: Request) -> Reply:
        if request.method == "POST":
            return reply(404, {"message": f"No query results for model [Lead] {request.json['lead_id']}"})
        return reply(200, {"data": {"id": 7, "communications": []}})

    crm.answer = answer
    async with stage(tmp_path, crm, range(1, 41)) as play:
        await play.there.accounts()
        await play.there.communications_of(7)
        with pytest.raises(errors.GuardStopped, match="no such lead or address"):
            await play.deliver(concurrency=1)
        assert play.stand() == {"refused": 20, "pending": 20}


@in_virtual_time
async def test_one_call_in_twenty_that_is_taken_lets_the_others_be_refused(tmp_path: Path) -> None:
    crm = FakeCrm()
    crm.answer = lambda request: crm.create(request) if len(crm.received) % 20 == 0 else reply(422, INVALID)
    async with stage(tmp_path, crm, range(1, 61)) as play:
        await play.deliver(concurrency=1)
        assert play.stand() == {"refused": 57, "delivered": 3}


def test_nineteen_alike_stop_nothing_and_an_answer_of_another_kind_begins_anew() -> None:
    one = patient()
    for other in (None, refused("phone: invalid"), refused("lead_id: invalid", 423), refused("")):
        for _ in range(19):
            one.refused(refused())
        if other is None:
            one.delivered()
        else:
            one.refused(other)
    for _ in range(19):
        one.refused(refused())
    with pytest.raises(errors.GuardStopped):
        one.refused(refused())


def test_refusals_without_a_reason_are_alike_by_their_status() -> None:
    one = patient()
    for _ in range(19):
        one.refused(refused(""))
    with pytest.raises(errors.GuardStopped, match="status 422"):
        one.refused(refused(""))


def test_three_times_forbidden_is_the_keys_fault_and_not_the_mappings() -> None:
    one = patient()
    for _ in range(2):
        one.refused(refused("x", 403))
        one.refused(refused("x", 403))
        one.delivered()
    one.refused(refused("x", 403))
    one.refused(refused("y", 403))
    with pytest.raises(errors.DestinationUnusable, match="403"):
        one.refused(refused("z", 403))


# Creates that must be repeated


@in_virtual_time
async def test_a_run_whose_every_call_needs_a_second_try_stops(tmp_path: Path) -> None:
    """Every first connection fails and every second stands: no streak, and yet no network for years of calls."""
    crm = FakeCrm(lines=deque([Line.REFUSED, Line.GOOD] * 40))
    crm.answer = lambda request: closing(crm, request)
    async with stage(tmp_path, crm, range(1, 41)) as play:
        with pytest.raises(errors.DestinationUnusable) as caught:
            await play.deliver(concurrency=1)
        said = str(caught.value)
        assert caught.value.exit_code == errors.ExitCode.STOPPED
        assert said.startswith("of 13 calls begun, 13 had to be tried again and 12 may (last: ConnectError")
        assert "run again" in said
        assert "\n" not in said
        assert play.stand() == {"delivered": 12, "pending": 28}, "the thirteenth did not fail: it is pending"


@in_virtual_time
async def test_a_run_whose_every_sixth_call_needs_a_second_try_goes_on(tmp_path: Path) -> None:
    crm = FakeCrm(lines=deque(([Line.REFUSED] + [Line.GOOD] * 6) * 20))
    crm.answer = lambda request: closing(crm, request)
    async with stage(tmp_path, crm, range(1, 121)) as play:
        await play.deliver(concurrency=1)
        assert play.stand() == {"delivered": 120}
        assert len(crm.connections) == 140


@in_virtual_time
async def test_a_429_costs_nothing_of_the_budget_for_repeats(tmp_path: Path) -> None:
    crm = FakeCrm(script=deque([reply(429, None, [("Retry-After", "1")])] * 40))
    async with stage(tmp_path, crm, range(1, 4)) as play:
        await play.deliver(concurrency=1)
        assert play.stand() == {"delivered": 3}


@pytest.mark.parametrize(("begun", "allowed"), [(1, 10), (4, 10), (5, 11), (50, 20), (1000, 210)])
def test_ten_and_a_fifth_of_the_calls_begun_may_be_repeated(begun: int, allowed: int) -> None:
    one = patient()
    for _ in range(allowed):
        one.repeats(begun, NO_CONNECTION)
    with pytest.raises(errors.DestinationUnusable, match=f"of {begun} calls begun, {allowed + 1} had .* {allowed} may"):
        one.repeats(begun, NO_CONNECTION)


@in_virtual_time
async def test_the_last_try_of_a_call_is_no_repeat_that_is_still_to_come(tmp_path: Path) -> None:
    """Three tries are two repeats: the third failure ends the call, and costs nothing."""
    crm = FakeCrm(lines=deque([*[Line.REFUSED] * 3, Line.GOOD] * 5))
    crm.answer = lambda request: closing(crm, request)
    async with stage(tmp_path, crm, range(1, 11)) as play:
        await play.deliver(concurrency=1)
        assert play.stand() == {"failed": 5, "delivered": 5}


def closing(crm: FakeCrm, request: Request) -> Reply:
    """Created, and the connection closed after it."""
    crm.create(request)
    return reply(201, {"data": crm.stored[-1]}, [("Connection", "close")])


# 429 after 429


def test_a_quarter_of_an_hour_and_the_longest_pause_asked_for_are_waited_for() -> None:
    now = 0.0
    one = failure_budget.Patience(lambda: now)
    one.limited(3600.0)
    now = 3600.0 + 900.0
    one.limited(10.0)
    now += 0.1
    with pytest.raises(errors.DestinationUnusable, match="15 minutes"):
        one.limited(10.0)


@pytest.mark.parametrize("answered", ["delivered", "refused"])
def test_whatever_is_let_through_begins_the_quarter_of_an_hour_anew(answered: str) -> None:
    now = 0.0
    one = failure_budget.Patience(lambda: now)
    now = 900.0
    one.delivered() if answered == "delivered" else one.refused(refused())
    now = 1800.0
    one.limited(10.0)
    now = 1811.0
    with pytest.raises(errors.DestinationUnusable):
        one.limited(10.0)


# A ledger that is slow


def test_three_intents_in_a_row_that_took_too_long_are_the_disks_fault() -> None:
    one = patient()
    for _ in range(3):
        one.wrote_late()
        one.wrote_late()
        one.wrote_in_time()
    one.wrote_late()
    one.wrote_late()
    with pytest.raises(errors.LedgerError, match=r"3 times in a row.*disk"):
        one.wrote_late()
