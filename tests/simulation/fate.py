"""Brings to a life what is to befall it, from beside it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from tests.simulation.clocks import Clocks
from tests.simulation.lives import CtrlC, Upset
from tests.simulation.process import Process


@dataclass(frozen=True, slots=True)
class Fate:
    """`start_second` starts another process and returns when it has ended."""

    process: Process
    clocks: Clocks
    start_second: Callable[[bool], Awaitable[None]]

    async def befall(self) -> None:
        life = self.process.life
        async with trio.open_nursery() as nursery:
            if life.crash and life.crash.at == "time":
                nursery.start_soon(self._crash, life.crash.kind, life.crash.seconds)
            if life.ctrl_c:
                nursery.start_soon(self._press_ctrl_c, life.ctrl_c)
            if life.upsets:
                nursery.start_soon(self._upset, life.upsets)
            if life.second:
                nursery.start_soon(self._start_second, life.second.after, life.second.own_ledger)

    async def _crash(self, kind: str, seconds: float) -> None:
        await trio.sleep(seconds)
        if not self.process.dead:
            self.process.die(kind)

    async def _press_ctrl_c(self, ctrl_c: CtrlC) -> None:
        if ctrl_c.at == "wire":
            await self.process.turned.wait()
        else:
            await trio.sleep(ctrl_c.seconds)
        if not self.process.dead:
            self.process.press_ctrl_c()
        if ctrl_c.again_after is not None:
            await trio.sleep(ctrl_c.again_after)
            if not self.process.dead:
                self.process.press_ctrl_c()

    async def _upset(self, upsets: tuple[Upset, ...]) -> None:
        for upset in upsets:
            await trio.sleep(upset.after)
            history = self.process.history
            if upset.wrong_by is not None:
                history.fault("wall clock set", f"wrong by {upset.wrong_by:g} s")
                self.clocks.wrong_by = upset.wrong_by
                continue
            history.fault("machine slept", f"{upset.asleep:g} s", "wires cut" if upset.cuts_wires else "")
            if upset.cuts_wires:
                for wire in list(self.process.wires):
                    wire.cut()
            await self.clocks.sleep_machine(upset.asleep)

    async def _start_second(self, after: float, own_ledger: bool) -> None:
        await trio.sleep(after)
        self.process.history.fault("second process", "own ledger" if own_ledger else "")
        # What has begun is seen to its end, even if the first is over by then.
        with trio.CancelScope(shield=True):
            await self.start_second(own_ledger)
