"""Five failures in a row hold every create back until a read, and then one create alone, have shown all to be well."""

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from callimport.core import errors, models
from callimport.core.models import ItemStatus
from callimport.crm import circuit_breaker, rate_limit, retry
from callimport.crm.client import Destination
from tests import fake_crm
from tests.fake_crm import FakeCrm, Line, Reply, Request, in_virtual_time, reply
from tests.unit.load.test_deliver import Least, Most, Stage, stage

WHOSE = reply(200, {"data": {"id": 7, "name": "Concession fictive"}})
ILL = reply(500)
RATE = models.Rate(6000, 60.0)


def crm_that(*fates: Reply, probes: tuple[Reply, ...] = ()) -> FakeCrm:
    """Answers creates with these fates, then well; probes with those, then well."""
    crm, left = FakeCrm(script=deque(fates)), deque(probes)
    crm.account = lambda _: left.popleft() if left else WHOSE
    return crm


def crm_in_waves(*fates: Reply, probes: tuple[Reply, ...] = ()) -> FakeCrm:
    """The same, but what is created is answered together at the next full ten seconds, or as late as its fate says."""
    crm, left = crm_that(probes=probes), deque(fates)

    def answer(request: Request) -> Reply:
        fate = left.popleft() if left else crm.create(request)
        return fate if fate.after_seconds else replace(fate, after_seconds=10.0 - request.at % 10.0)

    crm.answer = answer
    return crm


def waves(crm: FakeCrm) -> list[int]:
    """How many creates were under way together, wave by wave."""
    return [len(list(wave)) for _, wave in itertools.groupby(moments(crm, "POST"), lambda moment: int(moment) // 10)]


def asked(crm: FakeCrm) -> str:
    """P for a create, g for a read, in the order of arrival."""
    return "".join("P" if request.method == "POST" else "g" for request in crm.received)


def moments(crm: FakeCrm, method: str) -> list[float]:
    return [request.at for request in crm.received if request.method == method]


async def stops(play: Stage, said: str, concurrency: int = 8) -> str:
    with pytest.raises(errors.DestinationUnusable, match=said) as caught:
        await play.deliver(concurrency=concurrency)
    assert caught.value.exit_code == errors.ExitCode.STOPPED
    assert "\n" not in str(caught.value)
    assert play.count(ItemStatus.IN_FLIGHT) == 0
    return str(caught.value)


# Open


@in_virtual_time
async def test_after_five_failures_in_a_row_the_next_request_is_a_read(tmp_path: Path) -> None:
    """The CRM is ill, not five calls: every further create would only be one more in doubt."""
    crm = crm_that(*[ILL] * 5)
    async with stage(tmp_path, crm, range(1, 11)) as play:
        await play.deliver(concurrency=1)
        assert asked(crm) == "PPPPP" + "g" + "PPPPP"
        assert moments(crm, "GET") == [pytest.approx(5.0, abs=0.1)]
        assert play.stand() == {"in_doubt": 5, "delivered": 5}
        assert crm.received[5].target == "/v2/account"


@in_virtual_time
async def test_four_failures_and_an_answer_hold_nobody_back(tmp_path: Path) -> None:
    crm = crm_that(*[ILL] * 4, reply(422), *[ILL] * 4)
    async with stage(tmp_path, crm, range(1, 15)) as play:
        await play.deliver(concurrency=1)
        assert asked(crm) == "P" * 14
        assert play.said == []


@pytest.mark.parametrize("failure", [ILL, reply(503), reply(408), fake_crm.RESETS, fake_crm.CLOSES], ids=repr)
def test_whatever_leaves_calls_in_doubt_opens_it(tmp_path: Path, failure: Reply) -> None:
    @in_virtual_time
    async def story() -> None:
        crm = crm_that(*[failure] * 5)
        async with stage(tmp_path, crm, range(1, 8)) as play:
            await play.deliver(concurrency=1)
            assert asked(crm) == "PPPPPgPP"

    story()


@in_virtual_time
async def test_connections_that_fail_open_it_too(tmp_path: Path) -> None:
    crm = crm_that()
    crm.lines.extend([Line.REFUSED] * 6)
    async with stage(tmp_path, crm, range(1, 21)) as play:
        await play.deliver()
        assert asked(crm) == "g" + "P" * 20
        assert len(crm.connections) > 6, "the first probe met the sixth refusal"
        assert play.stand() == {"delivered": 20}


@in_virtual_time
async def test_nobody_who_had_a_slot_or_was_connecting_sends_when_it_opens(tmp_path: Path) -> None:
    """Five connections fail; seven others, among them the second tries of four, stand a moment later."""
    crm = crm_that()
    crm.connect_seconds = 1.0
    crm.lines.extend([Line.REFUSED] * 5)
    async with stage(tmp_path, crm, range(1, 21)) as play:
        await play.deliver()
        assert asked(crm) == "g" + "P" * 20
        assert moments(crm, "GET") == [pytest.approx(1.0 + 5.0 + 1.0, abs=0.1)]
        assert [kind for _, kind, _ in play.attempts()] == ["delivered"] * 20, "who turned back left no attempt"


@in_virtual_time
async def test_a_pause_doubles_from_5_to_60_seconds_and_a_probe_is_one_request(tmp_path: Path) -> None:
    crm = crm_that(*[ILL] * 5, probes=(ILL,) * 6)
    async with stage(tmp_path, crm, range(1, 11)) as play:
        await play.deliver(concurrency=1)
        gaps = [later - earlier for earlier, later in itertools.pairwise([0.0, *moments(crm, "GET")])]
        assert gaps == pytest.approx([5, 10, 20, 40, 60, 60, 60], abs=0.1)
        assert play.stand() == {"in_doubt": 5, "delivered": 5}


@in_virtual_time
async def test_a_pause_is_drawn_and_up_to_a_fifth_longer(tmp_path: Path) -> None:
    """All the machines of a group come back at the same moment otherwise."""
    crm = crm_that(*[ILL] * 5, probes=(ILL,))
    async with stage(tmp_path, crm, range(1, 11), rng=Most()) as play:
        await play.deliver(concurrency=1)
        assert moments(crm, "GET") == [pytest.approx(6.0, abs=0.1), pytest.approx(18.0, abs=0.1)]


@pytest.mark.parametrize("lines", [[], [Line.REFUSED] * 100], ids=["answers 500", "is not there"])
def test_five_minutes_without_a_successful_probe_stop_the_run(tmp_path: Path, lines: list[Line]) -> None:
    @in_virtual_time
    async def story() -> None:
        crm = crm_that(*[ILL] * 5, probes=(ILL,) * 100)
        crm.lines.extend(lines)
        async with stage(tmp_path, crm, range(1, 21)) as play:
            # After 5, 15, 35, 75, 135, 195, 255 and 315 seconds.
            said = await stops(play, "has not answered for 5 min 15 s")
            assert anyio.current_time() == pytest.approx(315.0, abs=0.5)
            assert "run again" in said
            assert ("Connection refused" if lines else "status 500") in said
            assert asked(crm).lstrip("P") == ("" if lines else "g" * 8)
            assert play.count(ItemStatus.FAILED) == 0
            assert play.count(ItemStatus.PENDING) >= 12

    story()


@in_virtual_time
async def test_a_probe_that_hangs_for_a_minute_counts_with_its_minute(tmp_path: Path) -> None:
    crm = crm_that(*[ILL] * 5, probes=(fake_crm.NO_REPLY,) * 100)
    async with stage(tmp_path, crm, range(1, 11)) as play:
        await stops(play, "has not answered for", concurrency=1)
        # 5+60, 10+60, 20+60, 40+60: the fourth probe ends after 315 seconds.
        assert len(moments(crm, "GET")) == 4
        assert anyio.current_time() == pytest.approx(315.0, abs=0.5)


@in_virtual_time
async def test_a_probe_that_finds_the_key_withdrawn_stops_at_once(tmp_path: Path) -> None:
    crm = crm_that(*[ILL] * 5, probes=(reply(401),))
    async with stage(tmp_path, crm, range(1, 21)) as play:
        await stops(play, "CALLIMPORT_TOKEN", concurrency=1)
        assert asked(crm) == "PPPPPg"
        assert play.stand() == {"in_doubt": 5, "pending": 15}


@in_virtual_time
async def test_a_probe_that_is_forbidden_stops_at_once(tmp_path: Path) -> None:
    crm = crm_that(*[ILL] * 5, probes=(reply(403),))
    async with stage(tmp_path, crm, range(1, 21)) as play:
        await stops(play, "does not let this key see its account", concurrency=1)
        assert asked(crm) == "PPPPPg"


@in_virtual_time
async def test_a_probe_keeps_to_the_pace_and_waits_as_long_as_a_429_says(tmp_path: Path) -> None:
    crm = crm_that(*[ILL] * 5, probes=(reply(429, None, [("Retry-After", "100")]), ILL))
    async with stage(tmp_path, crm, range(1, 11)) as play:
        await play.deliver(concurrency=1)
        assert moments(crm, "GET") == pytest.approx([5.0, 105.0, 115.0], abs=0.2)
        assert play.pacer.requests == len(crm.received)
        assert play.stand() == {"in_doubt": 5, "delivered": 5}


@in_virtual_time
async def test_a_pause_that_the_crm_asked_for_is_not_held_against_it(tmp_path: Path) -> None:
    """Half an hour of its own 429, then one probe that fails: it has been given no chance yet."""
    fates = [reply(500, after_seconds=0.5)] * 5 + [reply(429, None, [("Retry-After", "1800")], after_seconds=1.0)]
    crm = crm_that(*fates, probes=(ILL,))
    async with stage(tmp_path, crm, range(1, 7)) as play:
        await play.deliver()
        assert moments(crm, "GET") == pytest.approx([1801.0, 1811.0], abs=0.5)
        assert play.stand() == {"in_doubt": 5, "delivered": 1}


@pytest.mark.parametrize("hangs", [False, True], ids=["between two probes", "within a probe"])
def test_asked_to_stop_it_waits_no_longer(tmp_path: Path, hangs: bool) -> None:
    @in_virtual_time
    async def story() -> None:
        crm = crm_that(*[ILL] * 5, probes=(fake_crm.NO_REPLY if hangs else ILL,) * 100)
        async with stage(tmp_path, crm, range(1, 21)) as play:
            one = play.delivery()
            async with anyio.create_task_group() as group:
                group.start_soon(one.run)
                await anyio.sleep(40.0)
                one.drain()
            assert anyio.current_time() == pytest.approx(40.0)
            assert play.count(ItemStatus.PENDING) >= 12
            assert play.count(ItemStatus.IN_FLIGHT) == 0

    story()


# Half open


@in_virtual_time
async def test_one_create_goes_alone_and_only_its_answer_lets_the_others_go(tmp_path: Path) -> None:
    crm = crm_in_waves(*[ILL] * 8)
    async with stage(tmp_path, crm, range(1, 26)) as play:
        await play.deliver()
        assert waves(crm) == [8, 1, 8, 8]
        assert play.stand() == {"in_doubt": 8, "delivered": 17}


@in_virtual_time
async def test_a_refusal_is_an_answer_and_closes_it(tmp_path: Path) -> None:
    crm = crm_in_waves(*[ILL] * 8, reply(422))
    async with stage(tmp_path, crm, range(1, 18)) as play:
        await play.deliver()
        assert waves(crm) == [8, 1, 8]
        assert play.stand() == {"in_doubt": 8, "refused": 1, "delivered": 8}


@in_virtual_time
async def test_a_create_on_trial_that_fails_opens_it_again_at_once_with_the_next_pause(tmp_path: Path) -> None:
    crm = crm_that(*[ILL] * 7)
    async with stage(tmp_path, crm, range(1, 18)) as play:
        await play.deliver(concurrency=1)
        assert asked(crm) == "PPPPP" + "gP" + "gP" + "g" + "P" * 10
        assert moments(crm, "GET") == pytest.approx([5.0, 15.0, 35.0], abs=0.2)
        assert play.stand() == {"in_doubt": 7, "delivered": 10}


@in_virtual_time
async def test_three_trials_in_a_row_that_fail_stop_the_run(tmp_path: Path) -> None:
    """A CRM whose reads work and whose creates fail: each further try may cost one more call in doubt."""
    crm = crm_that(*[ILL] * 100)
    async with stage(tmp_path, crm, range(1, 31)) as play:
        said = await stops(play, "can be read, but has taken no call for 35 s; 3 sent one by one")
        assert "status 500" in said
        assert "run again when it takes calls" in said
        assert asked(crm).endswith("gPgPgP")
        assert play.count(ItemStatus.IN_DOUBT) <= 8 + 3


@in_virtual_time
async def test_a_create_that_passed_begins_the_count_of_trials_and_the_pauses_anew(tmp_path: Path) -> None:
    crm = crm_that(*[ILL] * 7, reply(422), *[ILL] * 7, reply(422), *[ILL] * 8)
    async with stage(tmp_path, crm, range(1, 41)) as play:
        await stops(play, "has taken no call", concurrency=1)
        gaps = [5.0, 10.0, 20.0] * 3
        assert moments(crm, "GET") == pytest.approx(list(itertools.accumulate(gaps)), abs=0.5)
        assert play.stand() == {"in_doubt": 22, "refused": 2, "pending": 16}


@in_virtual_time
async def test_five_minutes_count_from_the_last_probe_that_succeeded(tmp_path: Path) -> None:
    """4 min 15 s of probes that fail, one that succeeds, a create that fails, and more such probes: it did answer."""
    crm = crm_that(*[ILL] * 6, probes=(*[ILL] * 7, WHOSE, *[ILL] * 3, WHOSE))
    async with stage(tmp_path, crm, range(1, 11)) as play:
        await play.deliver(concurrency=1)
        assert moments(crm, "GET")[-1] == pytest.approx(315.0 + 4 * 60.0, abs=0.5)
        assert play.stand() == {"in_doubt": 6, "delivered": 4}


@in_virtual_time
async def test_a_create_on_trial_that_meets_a_429_stays_on_trial(tmp_path: Path) -> None:
    """It was not tried: nobody goes before it, and it is no failure."""
    limited = reply(429, None, [("Retry-After", "20")])
    crm = crm_in_waves(*[ILL] * 8, limited, limited)
    async with stage(tmp_path, crm, range(1, 18)) as play:
        await play.deliver()
        assert asked(crm) == "P" * 8 + "g" + "PPP" + "P" * 8
        assert len({tuple(sorted(request.json.items())) for request in crm.received[9:12]}) == 1
        assert waves(crm) == [8, 1, 1, 1, 8]
        assert play.pacer.rate_limited == 2
        assert play.stand() == {"in_doubt": 8, "delivered": 9}


@in_virtual_time
async def test_a_create_on_trial_whose_connection_fails_opens_it_again_and_goes_later(tmp_path: Path) -> None:
    crm = crm_that(*[fake_crm.CLOSES] * 5)
    crm.account = lambda _: reply(200, {"data": {"id": 7}}, [("Connection", "close")])
    crm.lines.extend([Line.GOOD] * 6 + [Line.REFUSED])
    async with stage(tmp_path, crm, range(1, 8)) as play:
        await play.deliver(concurrency=1)
        assert asked(crm) == "PPPPPggPP"
        assert play.stand() == {"in_doubt": 5, "delivered": 2}


@pytest.mark.parametrize("late", [reply(201, {"data": {"id": 9}}, after_seconds=58.0), reply(500, after_seconds=58.0)])
def test_the_end_of_a_create_from_before_it_opened_changes_nothing(tmp_path: Path, late: Reply) -> None:
    """Its answer tells how the CRM was a minute ago. Neither does its yes let the others go, nor its no count."""

    @in_virtual_time
    async def story() -> None:
        trial = reply(201, {"data": {"id": 10}}, after_seconds=40.0)
        crm = crm_in_waves(late, *[ILL] * 7, trial, probes=(ILL, ILL))
        async with stage(tmp_path, crm, range(1, 18)) as play:
            await play.deliver()
            # It opens at 10, the third probe succeeds, the trial is under way from 45 to 85, the late end comes at 58.
            assert moments(crm, "GET") == pytest.approx([15.0, 25.0, 45.0], abs=0.5)
            assert moments(crm, "POST")[8:10] == pytest.approx([45.0, 85.0], abs=0.5)
            assert len(play.said) == 2
            assert play.count(ItemStatus.PENDING) == 0

    story()


@in_virtual_time
async def test_a_late_answer_does_not_close_it_before_a_probe_has_succeeded(tmp_path: Path) -> None:
    late = reply(201, {"data": {"id": 9}}, after_seconds=12.0)
    crm = crm_in_waves(late, *[ILL] * 7, probes=(ILL,))
    async with stage(tmp_path, crm, range(1, 18)) as play:
        await play.deliver()
        assert asked(crm).startswith("P" * 8 + "ggP")
        assert moments(crm, "POST")[8] == pytest.approx(25.0, abs=0.5)


# What a person is told


@in_virtual_time
async def test_it_says_when_it_opens_and_when_it_closes(tmp_path: Path) -> None:
    crm = crm_that(*[ILL] * 6)
    async with stage(tmp_path, crm, range(1, 11)) as play:
        await play.deliver(concurrency=1)
        opened, failed, closed = play.said
        assert opened.startswith("the CRM failed 5 times in a row (last: status 500): no call is sent until")
        assert failed.startswith("the CRM answers, but the call that tried it failed (status 500)")
        assert closed == "the CRM is well again after 15 s: going on"


# The parts


async def test_closed_it_lets_everybody_go_without_a_wait() -> None:
    said: list[str] = []
    async with FakeCrm().reached() as there:
        one = _breaker(there, said.append)
        for key in ("a", "b"):
            assert one.lets(key)
            await one.admit(key)
            one.passed(key)
    assert said == []


@in_virtual_time
async def test_who_gives_up_waiting_leaves_the_probing_to_the_next() -> None:
    crm = crm_that(probes=(ILL,))
    admitted: list[str] = []
    async with crm.reached() as there:
        one = _breaker(there, lambda _: None)
        for number in range(circuit_breaker.FAILURES_THAT_OPEN):
            one.failed(str(number), errors.InDoubt("status 500", status=500))

        async def wait(key: str) -> None:
            await one.admit(key)
            admitted.append(key)

        async with anyio.create_task_group() as group:
            with anyio.move_on_after(7.0):
                await wait("first")
            group.start_soon(wait, "second")
            await anyio.sleep(30.0)
            assert admitted == ["second"]
            group.start_soon(wait, "third")
            await anyio.sleep(30.0)
            assert admitted == ["second"]
            one.passed("second")
    assert admitted == ["second", "third"]


def _breaker(there: Destination, say: Callable[[str], None]) -> circuit_breaker.Breaker:
    shared = rate_limit.Pacer((RATE,), anyio.current_time, Least())
    return circuit_breaker.Breaker(retry.Courier(there, shared, Least()), shared, anyio.current_time, Least(), say)
