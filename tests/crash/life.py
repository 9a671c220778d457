"""One process of the importer, from its start to its end or to its death at a point.

A point is the moment before or after a step: a statement of the ledger, or what is done to a connection. At each point
a life can show the two worlds that its death there would leave; that a death leaves just these is a test of its own.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import trio

from tests.crash import world
from tests.crash.crm import Crm


class Dead(BaseException):
    """What a process meets when it goes on after its death: nothing it does counts any more."""


class Side(StrEnum):
    BEFORE = "before"
    AFTER = "after"


class Death(StrEnum):
    """`KILL` leaves what the operating system has, `POWER` only what was synced."""

    KILL = "kill -9"
    POWER = "power loss"


@dataclass(frozen=True, slots=True)
class Point:
    """`step` counts from 1 within its life."""

    step: int
    side: Side


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of a life, the name of its step, and what a death there would leave."""

    point: Point
    name: str
    left: dict[Death, world.World]

    @property
    def is_of_ledger(self) -> bool:
        return self.name.startswith("ledger ")


class Wakes(Protocol):
    def wake(self) -> None: ...


class Images(Protocol):
    """The files as they are, and as a power loss would leave them."""

    def taken(self) -> world.Files: ...
    def synced(self) -> world.Files: ...


@dataclass(slots=True)
class Life:
    """`shows` fills `marks`; `dies_at` ends it there."""

    began: world.World
    folder: Path
    dies_at: Point | None = None
    shows: bool = False
    crm: Crm | None = None
    images: Images | None = None
    steps: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    dead: bool = False
    left: dict[Death, world.World] = field(default_factory=dict)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    wires: list[Wakes] = field(default_factory=list)

    @property
    def is_watched(self) -> bool:
        """Whether anybody will ask what it leaves."""
        return self.shows or self.dies_at is not None

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.live()
        self.steps.append(name)
        number = len(self.steps)
        self._pass(Point(number, Side.BEFORE), name)
        yield
        self.live()
        self._pass(Point(number, Side.AFTER), name)

    def live(self) -> None:
        """Whatever a process does, it does alive."""
        if self.dead:
            raise Dead

    def now(self) -> float:
        return self.began.now + trio.current_time()

    def leaves(self, files: world.Files) -> world.World:
        """The world as it is at this moment, with these files."""
        assert self.crm is not None
        return replace(self.began, files=files, crm=self.crm.memory, now=self.now(), lives=self.began.lives + 1)

    def _pass(self, point: Point, name: str) -> None:
        if self.shows:
            self.marks.append(Mark(point, name, self._both()))
        if point == self.dies_at:
            self.left = self._both()
            self._die()
            raise Dead

    def _both(self) -> dict[Death, world.World]:
        assert self.images is not None
        return {
            Death.KILL: self.leaves(self.images.taken()),
            Death.POWER: self.leaves(self.images.synced()),
        }

    def _die(self) -> None:
        self.dead = True
        self.scope.cancel()
        # A request under way is shielded from cancellation; no shield helps against this.
        for wire in self.wires:
            wire.wake()
