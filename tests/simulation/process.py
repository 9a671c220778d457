"""One life of an importer's process."""

import contextvars
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import trio

from callimport.core.errors import ExitCode
from callimport.core.signals import Interruption
from tests.simulation.history import History
from tests.simulation.lives import BadDisk, Life

# Enrolling the largest file takes some hundreds.
MOST_STATEMENTS_IN_A_MOMENT = 5000


class Dead(BaseException):
    """What a process meets when it goes on after its death: nothing it does counts any more."""


class Wire(Protocol):
    def wake(self) -> None: ...
    def cut(self) -> None: ...


class Closes(Protocol):
    def close(self) -> None: ...


@dataclass(slots=True)
class Process:
    """Alive until something in its life ends it. `on_death` saves what a crash of that kind leaves.

    `stop_asked_at` and `disk_failed_at` are moments of the world after which it must send nothing new; `closed_until`
    is when the gate may open again that the last 429 closed, on the monotonic clock.
    """

    history: History
    life: Life
    on_death: Callable[[str], None]
    world: Callable[[], float]
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    dead: bool = False
    statements: int = 0
    turns: int = 0
    wires: list[Wire] = field(default_factory=list)
    opened: list[Closes] = field(default_factory=list)
    turned: trio.Event = field(default_factory=trio.Event)
    interruption: Interruption | None = None
    stop_asked_at: float | None = None
    disk_failed_at: float | None = None
    closed_since: float = 0.0
    closed_until: float = 0.0
    _moment: float = -1.0
    _statements_in_moment: int = 0

    def live(self) -> None:
        """Whatever a process does, it does alive."""
        if self.dead:
            raise Dead

    def statement(self) -> BadDisk | None:
        """Before each statement of the ledger: what the disk makes of it."""
        self.live()
        self._refuse_to_spin()
        self.statements += 1
        self._meet_crash("statement", self.statements)
        bad = self.life.bad_disk
        if bad is None or self.statements < bad.statement or (self.disk_failed_at is not None and not bad.for_ever):
            return None
        if self.disk_failed_at is None:
            self.disk_failed_at = self.world()
            self.history.fault(bad.says, self.statements, "for ever" if bad.for_ever else "once", bad.done)
        return bad

    def statement_done(self) -> None:
        self.live()
        self.statements += 1
        self._meet_crash("statement", self.statements)

    def turn(self) -> None:
        """Before and after each step on the wire."""
        self.live()
        self.turns += 1
        self._meet_crash("wire", self.turns)
        ctrl_c = self.life.ctrl_c
        if ctrl_c and ctrl_c.at == "wire" and self.turns >= ctrl_c.count:
            self.turned.set()

    def close_gate(self, seconds: float) -> None:
        """A 429 was read: for so long nothing may be sent, from the next moment on."""
        self.closed_since = trio.current_time()
        self.closed_until = max(self.closed_until, self.closed_since + seconds)

    def press_ctrl_c(self) -> None:
        """The first time it drains, the second time it is gone, as it is when nothing listens yet."""
        self.history.fault("Ctrl-C")
        if self.interruption is None:
            self.die("kill -9")
            return
        try:
            self.interruption.request(ExitCode.INTERRUPTED)
        except Dead:
            self.die("kill -9")
            return
        self.stop_asked_at = self.world()

    def end(self) -> None:
        """Whatever it left open, the kernel closes."""
        for connection in self.opened:
            connection.close()

    def die(self, kind: str) -> None:
        self.dead = True
        self.history.note("crash", kind, self.statements, self.turns)
        if self.life.second is None:
            # Where another process may have the ledger by the time this one is buried, its files stay as they are.
            self.on_death(kind)
        self.scope.cancel()
        # A request under way is shielded from cancellation; no shield helps against this.
        for wire in self.wires:
            wire.wake()

    def _refuse_to_spin(self) -> None:
        """Who waits for no time, again and again, would do so for ever on a clock that jumps only while all wait."""
        now = trio.current_time()
        self._statements_in_moment = self._statements_in_moment + 1 if now == self._moment else 1
        self._moment = now
        if self._statements_in_moment > MOST_STATEMENTS_IN_A_MOMENT:
            raise RuntimeError("the ledger is asked again and again, and no time passes")

    def _meet_crash(self, at: str, count: int) -> None:
        crash = self.life.crash
        if crash and crash.at == at and count >= crash.count:
            self.die(crash.kind)
            raise Dead


# Whose code is running. The importer neither reads nor writes it.
living: contextvars.ContextVar[Process | None] = contextvars.ContextVar("living", default=None)
