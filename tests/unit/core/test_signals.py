"""The first Ctrl-C asks, a second one ends. Each test signals only its own process."""

import os
import signal
from collections.abc import Iterator

import anyio
import pytest

from callimport.core import errors, signals
from callimport.core.errors import ExitCode
from callimport.core.signal_watch import EXIT_CODES, SignalWatch
from callimport.core.signals import Interruption


class Ended(BaseException):
    """The process would be gone."""


@pytest.fixture(autouse=True)
def _no_real_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr(os, "_exit", end)


# The program runs on asyncio. trio takes signals differently.
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[SignalWatch]:
    """A watch as `callimport` starts it, for the length of a test."""
    before = {number: signal.getsignal(number) for number in EXIT_CODES}
    monkeypatch.setattr("sys.unraisablehook", lambda _: None)
    its, fd = SignalWatch(), signal.set_wakeup_fd(-1)
    monkeypatch.setattr(signals, "watch", its)
    its.start()
    yield its
    for number, handler in before.items():
        signal.signal(number, handler)
    signal.set_wakeup_fd(fd)


def test_nobody_asked_is_no_exit_code() -> None:
    assert Interruption().exit_code is None


def test_a_first_request_asks_for_a_clean_end() -> None:
    asked: list[str] = []
    one = Interruption()
    one.on_request(lambda: asked.append("drain"))
    assert asked == []
    one.request(ExitCode.INTERRUPTED)
    assert asked == ["drain"]
    assert one.exit_code is ExitCode.INTERRUPTED


def test_a_request_before_there_is_anything_to_end_is_not_lost() -> None:
    asked: list[str] = []
    one = Interruption()
    one.request(ExitCode.TERMINATED)
    one.on_request(lambda: asked.append("drain"))
    assert asked == ["drain"]


def test_what_a_clean_end_is_changes_along_the_run() -> None:
    """While files are read it is to leave at once; while calls are sent it is to bring them to their end."""
    asked: list[str] = []
    one = Interruption()
    one.on_request(lambda: asked.append("leave"))
    one.on_request(lambda: asked.append("drain"))
    one.request(ExitCode.INTERRUPTED)
    assert asked == ["drain"]


@pytest.mark.parametrize("second", [ExitCode.INTERRUPTED, ExitCode.TERMINATED])
def test_a_second_request_ends_the_process_at_once(second: ExitCode) -> None:
    one = Interruption()
    one.request(ExitCode.INTERRUPTED)
    with pytest.raises(Ended) as ended:
        one.request(second)
    assert ended.value.args == (second,)


@on_asyncio
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
async def test_a_signal_is_a_request_with_its_exit_code(watch: SignalWatch, number: signal.Signals, code: int) -> None:
    one, heard = Interruption(), anyio.Event()
    one.on_request(heard.set)
    async with anyio.create_task_group() as group:
        await group.start(one.listen)
        os.kill(os.getpid(), number)
        with anyio.fail_after(5):
            await heard.wait()
        group.cancel_scope.cancel()
    assert one.exit_code == watch.asked == code


@on_asyncio
async def test_a_signal_that_came_before_the_work_ends_it(watch: SignalWatch) -> None:
    os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(errors.Interrupted) as ended:
        await Interruption().until_asked(anyio.sleep_forever, hears_signals=True)
    assert ended.value.exit_code == watch.asked == ExitCode.TERMINATED


@on_asyncio
async def test_a_signal_ends_a_wait_outside_the_event_loop(watch: SignalWatch) -> None:
    reading, writing = os.pipe()

    async def work() -> None:
        with signals.interruptible():
            os.kill(os.getpid(), signal.SIGINT)
            os.read(reading, 1)

    with pytest.raises(errors.Interrupted) as ended:
        await Interruption().until_asked(work, hears_signals=True)
    assert ended.value.exit_code == ExitCode.INTERRUPTED
    os.close(reading)
    os.close(writing)


async def test_what_work_comes_to_is_what_is_told() -> None:
    async def work() -> str:
        return "done"

    assert await Interruption().until_asked(work, hears_signals=True) == "done"


async def test_an_error_of_the_work_arrives_as_itself() -> None:
    async def work() -> str:
        raise errors.ConfigError("no")

    with pytest.raises(errors.ConfigError):
        await Interruption().until_asked(work, hears_signals=True, at_most_seconds=60)


async def test_whoever_asks_for_an_end_ends_the_work() -> None:
    one = Interruption()

    async def work() -> str:
        one.request(ExitCode.TERMINATED)
        await anyio.sleep_forever()
        return "never"

    with pytest.raises(errors.Interrupted) as ended:
        await one.until_asked(work, hears_signals=False)
    assert ended.value.exit_code == ExitCode.TERMINATED
