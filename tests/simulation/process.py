"""One life of the importer's process."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import trio

from tests.simulation.history import History
from tests.simulation.scenario import Crash


class Dead(BaseException):
    """What a process meets when it goes on after its death: nothing it does counts any more."""


class Wakes(Protocol):
    def wake(self) -> None: ...


@dataclass(slots=True)
class Process:
    """Alive until its crash comes, if it has one. `on_death` saves what the crash leaves."""

    history: History
    crash: Crash | None
    on_death: Callable[[Crash], None]
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    dead: bool = False
    statements: int = 0
    turns: int = 0
    wires: list[Wakes] = field(default_factory=list)

    def live(self) -> None:
        """Whatever a process does, it does alive."""
        if self.dead:
            raise Dead

    def statement(self) -> None:
        """Before and after each statement of the ledger."""
        self.live()
        self.statements += 1
        if self.crash and self.crash.at == "statement" and self.statements >= self.crash.count:
            self.die()
            raise Dead

    def turn(self) -> None:
        """Before and after each step on the wire."""
        self.live()
        self.turns += 1
        if self.crash and self.crash.at == "wire" and self.turns >= self.crash.count:
            self.die()
            raise Dead

    async def wait_for_death(self) -> None:
        if self.crash and self.crash.at == "time":
            await trio.sleep(self.crash.seconds)
            if not self.dead:
                self.die()

    def die(self) -> None:
        assert self.crash is not None
        self.dead = True
        self.history.note("crash", self.crash.kind, self.crash.at, self.statements, self.turns)
        self.on_death(self.crash)
        self.scope.cancel()
        # A request under way is shielded from cancellation; no shield helps against this.
        for wire in self.wires:
            wire.wake()
