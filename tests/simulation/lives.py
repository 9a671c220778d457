"""What befalls the lives of a seed: how they end, what their disk and their clocks do, who starts beside them."""

import random
from dataclasses import dataclass
from typing import Literal

Place = Literal["statement", "wire", "time"]

HOUR, DAY = 3600.0, 86400.0
LIVES = (0, 1, 2, 3, 5)


@dataclass(frozen=True, slots=True)
class Crash:
    """Where a life ends: before or after the nth ledger statement, at the nth turn on the wire, or after so long."""

    kind: Literal["kill -9", "power loss"]
    at: Place
    count: int
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CtrlC:
    """Somebody wants an end, at the nth turn on the wire or after so long; once more later, if they are impatient."""

    at: Literal["wire", "time"]
    count: int
    seconds: float
    again_after: float | None


@dataclass(frozen=True, slots=True)
class BadDisk:
    """The nth ledger statement of a life fails, and maybe all that follow. It may have been `done` all the same, and
    SQLite may have rolled the transaction back by itself."""

    statement: int
    says: Literal["disk I/O error", "database or disk is full"]
    for_ever: bool
    done: bool
    rolls_back: bool


@dataclass(frozen=True, slots=True)
class Upset:
    """Of the clocks, some time into a life: the machine sleeps, or its wall clock is set wrong by so much."""

    after: float
    asleep: float = 0.0
    wrong_by: float | None = None
    cuts_wires: bool = False


@dataclass(frozen=True, slots=True)
class Second:
    """Another process is started beside the first, on the same ledger or on one of its own."""

    after: float
    own_ledger: bool


@dataclass(frozen=True, slots=True)
class Life:
    crash: Crash | None = None
    ctrl_c: CtrlC | None = None
    bad_disk: BadDisk | None = None
    upsets: tuple[Upset, ...] = ()
    second: Second | None = None


CALM = Life()


def draw(rng: random.Random) -> tuple[Life, ...]:
    return tuple(life(rng) for _ in range(rng.choice(LIVES)))


def life(rng: random.Random) -> Life:
    ending = rng.random()
    upsets = tuple(upset(rng) for _ in range(rng.choice((1, 1, 2)))) if rng.random() < 0.2 else ()
    if ending < 0.55:
        return Life(crash=crash(rng), upsets=upsets)
    # Beside a life that crashes nobody starts another: the crash takes what of the ledger is not on the disk.
    second = Second(_soon(rng), rng.random() < 0.3) if rng.random() < 0.3 else None
    if ending < 0.7:
        return Life(ctrl_c=ctrl_c(rng), upsets=upsets, second=second)
    if ending < 0.85:
        return Life(bad_disk=bad_disk(rng), upsets=upsets)
    return Life(upsets=upsets, second=second)


def crash(rng: random.Random, *, power_loss: float = 0.4) -> Crash:
    kind: Literal["kill -9", "power loss"] = "power loss" if rng.random() < power_loss else "kill -9"
    at = rng.choice(("statement", "statement", "wire", "wire", "time"))
    if at == "statement":
        return Crash(kind, "statement", _nth_statement(rng))
    if at == "wire":
        return Crash(kind, "wire", rng.choice((rng.randint(1, 12), rng.randint(4, 120))))
    return Crash(kind, "time", 0, _soon(rng))


def ctrl_c(rng: random.Random) -> CtrlC:
    again = rng.choice((None, None, 0.0, rng.uniform(0, 1), rng.uniform(0, 60)))
    if rng.random() < 0.5:
        return CtrlC("wire", rng.choice((rng.randint(1, 12), rng.randint(4, 120))), 0.0, again)
    return CtrlC("time", 0, _soon(rng), again)


def bad_disk(rng: random.Random) -> BadDisk:
    if rng.random() < 0.5:
        return BadDisk(_nth_statement(rng), "database or disk is full", rng.random() < 0.5, False, rng.random() < 0.5)
    return BadDisk(_nth_statement(rng), "disk I/O error", rng.random() < 0.5, rng.random() < 0.3, rng.random() < 0.5)


def upset(rng: random.Random) -> Upset:
    if rng.random() < 0.5:
        return Upset(_soon(rng), asleep=rng.choice((30.0, 600.0, HOUR, 8 * HOUR)), cuts_wires=rng.random() < 0.7)
    return Upset(_soon(rng), wrong_by=rng.choice((0.0, -HOUR, HOUR, -DAY, DAY, rng.uniform(-90, 90))))


def _nth_statement(rng: random.Random) -> int:
    return rng.choice((rng.randint(1, 80), rng.randint(40, 400)))


def _soon(rng: random.Random) -> float:
    return rng.choice((rng.uniform(0, 5), rng.uniform(0, 300)))
