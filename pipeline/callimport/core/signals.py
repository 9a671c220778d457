"""Signals in a command that waits for the CRM: the first asks for a clean end, a second ends the process."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import anyio
from anyio.abc import TaskStatus

from callimport.core import errors
from callimport.core.errors import ExitCode
from callimport.core.signal_watch import watch

Result = TypeVar("Result")


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted at the first signal within this block.

    For work before anything is sent that may wait outside the event loop, such as for a file or a typed answer.
    """
    try:
        with watch.raising():
            yield
    except KeyboardInterrupt:
        raise errors.Interrupted(ExitCode(watch.asked or ExitCode.INTERRUPTED)) from None


class _LookUpThreads(ThreadPoolExecutor):
    """The threads that look names up. A look-up can take minutes, nothing can end it, and an end must not wait."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=True)


class Interruption:
    """`exit_code` is None until somebody asked. What a clean end is changes along the run; see `on_request`."""

    def __init__(self) -> None:
        self.exit_code: ExitCode | None = None
        self._act: Callable[[], None] = lambda: None

    def on_request(self, act: Callable[[], None]) -> None:
        """From now on a request for an end calls `act`; at once, if it came already."""
        self._act = act
        if self.exit_code is not None:
            act()

    def request(self, exit_code: ExitCode) -> None:
        if self.exit_code not in (None, ExitCode.WORK_LEFT):
            # Whatever is under way stays in flight in the ledger, and the next run finds it there.
            os._exit(exit_code)
        self.exit_code = exit_code
        self._act()

    async def until_asked(
        self,
        work: Callable[[], Awaitable[Result]],
        *,
        hears_signals: bool,
        at_most_seconds: float | None = None,
        interrupted: str | None = None,
    ) -> Result:
        """What `work` comes to. Whoever asks for an end, or the time, ends it, unless it has said what else to do.

        Raises Interrupted, with the message `interrupted`, if `work` was ended so. Raises what `work` raises.
        """
        ended: Result | Exception | None = None
        async with anyio.create_task_group() as beside:
            if hears_signals:
                await beside.start(self.listen)
            if at_most_seconds is not None:
                beside.start_soon(self.after, at_most_seconds)
            with anyio.CancelScope() as working:
                self.on_request(working.cancel)
                try:
                    ended = await work()
                except Exception as error:  # noqa: BLE001 - as a value, past the task group, which would wrap it
                    ended = error
            beside.cancel_scope.cancel()
        if ended is None:
            raise errors.Interrupted(self.exit_code or ExitCode.INTERRUPTED, interrupted)
        if isinstance(ended, Exception):
            raise ended
        return ended

    async def after(self, seconds: float) -> None:
        """Ask for an end when so much time has gone, unless somebody has asked before."""
        await anyio.sleep(seconds)
        if self.exit_code is None:
            self.request(ExitCode.WORK_LEFT)

    async def listen(self, *, task_status: TaskStatus[None]) -> None:
        """Make a request of the first signal of the process, until cancelled. `watch` answers a second signal."""
        # Another event loop than asyncio's waits for no thread.
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().set_default_executor(_LookUpThreads())
        reading, writing = socket.socketpair()
        with reading, writing:

            def wake() -> None:
                with contextlib.suppress(OSError):
                    writing.send(b"!")

            with watch.notifying(wake):
                task_status.started()
                await anyio.wait_readable(reading)
                if watch.asked is not None:
                    self.request(ExitCode(watch.asked))
                await anyio.sleep_forever()
