"""The machine sleeps, somebody sets the clock, the disk dawdles: no byte leaves on what was true before."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import anyio
import pytest
import trio
from trio.testing import MockClock

from callimport.core import errors, models
from callimport.core.clock import Drift, Moment
from callimport.crm import client
from callimport.ledger import Ledger
from tests.fake_crm import FakeCrm, in_virtual_time
from tests.unit.load.test_deliver import BEGAN, Stage, stage

NIGHT = timedelta(hours=8)
# httpcore then lets idle connections grow old in virtual time, as they do in real time while the machine is awake.
OLD_IN_VIRTUAL_TIME = mock.patch("httpcore._async.http11.time", SimpleNamespace(monotonic=anyio.current_time))


class Clocks:
    """Both, set by hand."""

    def __init__(self) -> None:
        self.wall = BEGAN
        self.monotonic = 100.0

    def go(self, wall: float, monotonic: float) -> None:
        self.wall += timedelta(seconds=wall)
        self.monotonic += monotonic

    @property
    def clock(self) -> models.Clock:
        return models.Clock(lambda: self.wall, lambda: self.monotonic)


# The two clocks


@pytest.mark.parametrize(
    ("wall", "monotonic", "slept"),
    [
        (0.0, 0.0, 0.0),
        (3600.0, 3600.0, 0.0),
        (3620.0, 3600.0, 0.0),
        (3620.5, 3600.0, 20.5),
        (28800.0, 3.0, 28797.0),
        (0.0, 3600.0, 0.0),
        (-3599.0, 1.0, 0.0),
    ],
)
def test_the_wall_that_ran_ahead_by_more_than_20_seconds_tells_of_a_sleep(
    wall: float, monotonic: float, slept: float
) -> None:
    both = Clocks()
    one = Drift(both.clock)
    both.go(wall, monotonic)
    assert one.slept_seconds() == slept
    assert one.slept_seconds() == 0.0, "a sleep is told of once"


def test_a_clock_that_is_a_little_fast_never_adds_up_to_a_sleep() -> None:
    both = Clocks()
    one = Drift(both.clock)
    for _ in range(100):
        both.go(61.0, 60.0)
        assert one.slept_seconds() == 0.0


def test_a_clock_set_back_by_more_than_an_hour_stops_whoever_looks() -> None:
    both = Clocks()
    one = Drift(both.clock)
    both.go(-7200.0, 1800.0)
    for _ in range(8):
        with pytest.raises(errors.GuardStopped, match=r"set back by 2 h 30 min .*look at the clock, then run again"):
            one.slept_seconds()


@pytest.mark.parametrize(("wall", "monotonic", "seconds"), [(6, 1, 6), (1, 6, 6), (-50, 6, 6), (6, 0, 6)])
def test_between_two_moments_lies_what_the_faster_clock_says(wall: float, monotonic: float, seconds: float) -> None:
    both = Clocks()
    began = Moment.now(both.clock)
    both.go(wall, monotonic)
    assert began.seconds_until(Moment.now(both.clock)) == seconds


# A machine that sleeps


@in_virtual_time
async def test_after_a_sleep_no_byte_leaves_on_a_connection_from_before(tmp_path: Path) -> None:
    """Such a connection is dead and looks a second old: what is sent over it comes into doubt."""
    crm = FakeCrm(keepalive_seconds=client.KEEPALIVE_SECONDS, latency_seconds=0.1)
    with OLD_IN_VIRTUAL_TIME:
        async with stage(tmp_path, crm, range(1, 4), rate=models.Rate(60, 60.0)) as play:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: play.deliver(concurrency=1))
                await anyio.sleep(1.5)
                assert (len(crm.connections), len(crm.received)) == (1, 2)
                play.wall.ahead += NIGHT
            assert len(crm.connections) == 2
            assert crm.received[2].at > 2.0 + client.KEEPALIVE_SECONDS
            assert play.stand() == {"delivered": 3}
            assert [kind for _, kind, _ in play.attempts()] == ["delivered"] * 3


@in_virtual_time
async def test_a_connection_that_was_being_made_when_the_machine_slept_is_not_used(tmp_path: Path) -> None:
    crm = FakeCrm(connect_seconds=2.0)
    async with stage(tmp_path, crm, [1]) as play:
        async with anyio.create_task_group() as group:
            group.start_soon(play.deliver)
            await anyio.sleep(1.0)
            play.wall.ahead += NIGHT
        assert len(crm.connections) == 2
        assert crm.received[0].at > 2.0 + client.KEEPALIVE_SECONDS
        assert play.attempts() == [("k1:00000", "delivered", 201)]


@in_virtual_time
async def test_a_sleep_is_noticed_by_one_and_heeded_by_all_and_said_once(tmp_path: Path) -> None:
    crm = FakeCrm(connect_seconds=2.0)
    async with stage(tmp_path, crm, range(1, 21)) as play:
        async with anyio.create_task_group() as group:
            group.start_soon(play.deliver)
            await anyio.sleep(1.0)
            play.wall.ahead += NIGHT
        assert len(crm.connections) == 16
        assert min(request.at for request in crm.received) > 2.0 + client.KEEPALIVE_SECONDS
        assert play.said == [
            "this machine slept for 8 h 00 min, or its clock was set ahead: going on over new connections"
        ]
        assert play.stand() == {"delivered": 20}
        assert play.pacer.rate_limited == 0


@in_virtual_time
async def test_a_request_under_way_in_a_sleep_is_left_to_its_own_end(tmp_path: Path) -> None:
    crm = FakeCrm(latency_seconds=10.0)
    async with stage(tmp_path, crm, [1, 2]) as play:
        async with anyio.create_task_group() as group:
            group.start_soon(play.deliver)
            await anyio.sleep(5.0)
            play.wall.ahead += NIGHT
        assert play.stand() == {"delivered": 2}
        assert anyio.current_time() == pytest.approx(10.0, abs=0.1)


@in_virtual_time
async def test_a_sleep_from_before_the_delivery_began_counts_where_the_caller_looked(tmp_path: Path) -> None:
    """A connection that asked whose key this is may be as dead as any other."""
    async with stage(tmp_path, FakeCrm(), [1]) as play:
        before = Drift(play.clock)
        play.wall.ahead += NIGHT
        await play.delivery(since=before).run()
        assert play.crm.received[0].at > client.KEEPALIVE_SECONDS


# A clock that is set back


@pytest.mark.parametrize("connecting", [False, True])
def test_a_clock_set_back_while_the_run_goes_on_stops_it(tmp_path: Path, connecting: bool) -> None:
    """What was sent when, and which doubt is ripe, could no longer be told: a person looks at the clock first."""

    @in_virtual_time
    async def story() -> None:
        crm = FakeCrm(connect_seconds=2.0 if connecting else 0.0, latency_seconds=0.0 if connecting else 2.0)
        async with stage(tmp_path, crm, range(1, 31)) as play:

            async def deliver() -> None:
                with pytest.raises(errors.GuardStopped, match="the clock was set back by 2 h 00 min") as caught:
                    await play.deliver()
                assert caught.value.exit_code == errors.ExitCode.GUARD

            async with anyio.create_task_group() as group:
                group.start_soon(deliver)
                await anyio.sleep(1.0)
                play.wall.ahead -= timedelta(hours=2)
            sent = 0 if connecting else 8
            assert len(crm.received) == sent
            assert play.stand() == ({"delivered": sent} if sent else {}) | {"pending": 30 - sent}

    story()


@in_virtual_time
async def test_a_clock_put_right_by_less_than_an_hour_stops_nothing(tmp_path: Path) -> None:
    crm = FakeCrm(latency_seconds=2.0)
    async with stage(tmp_path, crm, range(1, 31)) as play:
        async with anyio.create_task_group() as group:
            group.start_soon(play.deliver)
            await anyio.sleep(1.0)
            play.wall.ahead -= timedelta(minutes=59)
        assert play.stand() == {"delivered": 30}
        assert play.said == []


# An intent that took too long


class Dawdling(Ledger):
    """Something happens right after an intent was written: a slow disk, a machine that sleeps."""

    late: list[Callable[[], None]] = []  # noqa: RUF012  set by each test

    def intend(self, key: str, run_id: str) -> int:
        attempt = super().intend(key, run_id)
        if self.late:
            self.late.pop(0)()
        return attempt


def dawdling(play: Stage, *late: Callable[[], None]) -> None:
    assert isinstance(play.ledger, Dawdling)
    play.ledger.late = list(late)


def jump(seconds: float) -> None:
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)
    clock.jump(seconds)


@pytest.mark.parametrize("by", ["the wall", "the monotonic clock"])
def test_an_intent_older_than_5_seconds_lets_no_byte_leave(tmp_path: Path, by: str) -> None:
    """When this is looked at later, an intent must say when its bytes left."""

    @in_virtual_time
    async def story() -> None:
        crm = FakeCrm()
        async with stage(tmp_path, crm, [1], ledger_class=Dawdling) as play:

            def late() -> None:
                assert crm.bytes_seen == 0
                if by == "the wall":
                    play.wall.ahead += timedelta(seconds=5.1)
                else:
                    jump(5.1)

            dawdling(play, late)
            await play.deliver()
            assert play.attempts() == [("k1:00000", "not_applied", None), ("k1:00000", "delivered", 201)]
            assert len(crm.received) == 1
            assert len(crm.connections) == 2
            assert play.ledger.database.one("SELECT evidence FROM outcome ORDER BY attempt_id LIMIT 1") == (
                "nothing was sent: the intent took too long to be written"
            )

    story()


@in_virtual_time
async def test_an_intent_of_5_seconds_is_sent_on(tmp_path: Path) -> None:
    async with stage(tmp_path, FakeCrm(), [1], ledger_class=Dawdling) as play:
        dawdling(play, lambda: jump(5.0))
        await play.deliver()
        assert play.attempts() == [("k1:00000", "delivered", 201)]


@in_virtual_time
async def test_an_intent_that_took_too_long_costs_no_attempt_and_is_no_failure(tmp_path: Path) -> None:
    async with stage(tmp_path, FakeCrm(), [1, 1, 1, 1], ledger_class=Dawdling) as play:
        slow, quick = (lambda: jump(6.0)), (lambda: None)
        dawdling(play, *[slow, slow, quick] * 4)
        progress = await play.deliver()
        assert play.stand() == {"delivered": 4}
        assert progress.in_doubt == progress.failed == 0
        assert play.said == []


@in_virtual_time
async def test_a_disk_on_which_every_intent_takes_too_long_stops_the_run(tmp_path: Path) -> None:
    """Else it would write intents for ever and send nothing."""
    crm = FakeCrm()
    async with stage(tmp_path, crm, [1, 1], ledger_class=Dawdling) as play:
        dawdling(play, *[lambda: jump(6.0)] * 100)
        with pytest.raises(errors.LedgerError, match="3 times in a row"):
            await play.deliver()
        assert crm.received == []
        assert play.stand() == {"pending": 2}
        assert play.ledger.database.rows("SELECT * FROM unresolved") == []


@in_virtual_time
async def test_a_machine_that_slept_between_intent_and_first_byte_sends_nothing_on_that_connection(
    tmp_path: Path,
) -> None:
    crm = FakeCrm()
    async with stage(tmp_path, crm, [1], ledger_class=Dawdling) as play:

        def sleeps() -> None:
            play.wall.ahead += NIGHT

        dawdling(play, sleeps)
        await play.deliver()
        assert [kind for _, kind, _ in play.attempts()] == ["not_applied", "delivered"]
        assert crm.received[0].at > client.KEEPALIVE_SECONDS
        assert len(play.said) == 1
