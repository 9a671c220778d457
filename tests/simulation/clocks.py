"""The world's time, and what the machine that the importer runs on makes of it.

Trio's clock is the machine's monotonic one: it stands still while the machine sleeps. The world's goes on, and whatever
the world waits for comes in its own order, seen by a machine that wakes for no time and falls asleep again. The wall
clock of the machine is the world's time, wrong by so much.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import trio
from trio.testing import wait_all_tasks_blocked

from tests.simulation.scenario import START


@dataclass(slots=True, eq=False)
class _Sleeper:
    until: float
    scope: trio.CancelScope


@dataclass(slots=True)
class Clocks:
    slept: float = 0.0
    wrong_by: float = 0.0
    _sleepers: list[_Sleeper] = field(default_factory=list)

    def world(self) -> float:
        """Seconds since the beginning."""
        return trio.current_time() + self.slept

    def wall(self) -> datetime:
        return START + timedelta(seconds=self.world() + self.wrong_by)

    def monotonic(self) -> float:
        return trio.current_time()

    async def pass_in_world(self, seconds: float) -> None:
        """What the CRM waits for goes on while the machine sleeps."""
        with self._listed(seconds) as scope, scope:
            await trio.sleep_forever()

    async def sleep_machine(self, seconds: float) -> None:
        """Nothing of the importer runs; the world goes on."""
        end = self.world() + seconds
        while (due := min((one.until for one in self._sleepers), default=end)) < end:
            self._skip_to(due)
            for one in [one for one in self._sleepers if one.until <= due]:
                one.scope.cancel()
            await wait_all_tasks_blocked()
        self._skip_to(end)

    @contextlib.contextmanager
    def _listed(self, seconds: float) -> Iterator[trio.CancelScope]:
        sleeper = _Sleeper(self.world() + seconds, trio.CancelScope(deadline=trio.current_time() + seconds))
        self._sleepers.append(sleeper)
        try:
            yield sleeper.scope
        finally:
            self._sleepers.remove(sleeper)

    def _skip_to(self, moment: float) -> None:
        skipped = max(0.0, moment - self.world())
        self.slept += skipped
        for one in self._sleepers:
            one.scope.deadline -= skipped
