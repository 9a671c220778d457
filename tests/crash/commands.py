"""What a person types, in the terms of a scene. A command is typed once more, word by word, when its process died."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from callimport import importer
from callimport.cli import reconcile, status
from callimport.core import errors, models
from callimport.core.settings import Settings
from tests.crash.world import World

BASE_URL = "http://127.0.0.1/v2"
SETTLE_SECONDS = 20.0
RATE = models.Rate(190, 60.0)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended by itself. `adds_up` is False where its own balance does not."""

    code: int
    error: str | None = None
    adds_up: bool = True


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a command is typed."""

    state: Path
    sources: Path
    tools: importer.Tools
    reference: bool
    concurrency: int

    def settings(self, files: tuple[str, ...] = (), **more: Any) -> Settings:
        usual: dict[str, Any] = {
            "profile": "canonical",
            "reference": self.reference,
            "destination": BASE_URL,
            "state_dir": self.state,
            "rates": (RATE,),
            "concurrency": self.concurrency,
            "settle": SETTLE_SECONDS,
            "existing": "send",
        }
        return Settings(files=tuple(str(self.sources / name) for name in files), **(usual | more))


class Command(Protocol):
    def note(self, before: World) -> tuple[Any, ...]:
        """What the person looks up before typing it."""

    async def do(self, desk: Desk, noted: tuple[Any, ...]) -> Ended: ...


@dataclass(frozen=True, slots=True)
class Run:
    """`callimport run FILES`, or without files. `place` is that of another ledger, below the folder of the scene;
    `recorded`: with --recordings, which lie beside the files."""

    files: tuple[str, ...] = ()
    place: str | None = None
    recorded: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def note(self, before: World) -> tuple[Any, ...]:
        return ()

    async def do(self, desk: Desk, noted: tuple[Any, ...]) -> Ended:
        places = {} if self.place is None else {"ledger": desk.state / self.place}
        if self.recorded:
            places["recordings"] = desk.sources
        try:
            result = await importer.run(desk.settings(self.files, **places, **self.options), desk.tools)
        except errors.ImporterError as error:
            return Ended(error.exit_code, str(error))
        summary = result.summary
        adds_up = summary.rows.adds_up() and summary.calls.adds_up(summary.rows)
        return Ended(summary.exit_code, result.error, adds_up)


@dataclass(frozen=True, slots=True)
class Reconcile:
    """`callimport reconcile`"""

    def note(self, before: World) -> tuple[Any, ...]:
        return ()

    async def do(self, desk: Desk, noted: tuple[Any, ...]) -> Ended:
        try:
            settled = await reconcile.settle(desk.settings(), desk.tools)
        except errors.ImporterError as error:
            return Ended(error.exit_code, str(error))
        return Ended(settled.exit_code)


@dataclass(frozen=True, slots=True)
class Offline:
    """A command that asks nobody: `look_up` gives the person's words, `act` is what it does with them."""

    look_up: Callable[[World], tuple[Any, ...]]
    act: Callable[[Desk, tuple[Any, ...]], object]

    def note(self, before: World) -> tuple[Any, ...]:
        return self.look_up(before)

    async def do(self, desk: Desk, noted: tuple[Any, ...]) -> Ended:
        try:
            self.act(desk, noted)
        except errors.ImporterError as error:
            return Ended(error.exit_code, str(error))
        return Ended(0)


def decide(call: str) -> Offline:
    """`callimport reconcile --accept KEY ID` with the id that the person sees in the CRM, else `--resend KEY`."""

    def look_up(before: World) -> tuple[Any, ...]:
        (phone,) = _asked(before, "SELECT phone FROM item WHERE call_id = ?", call)
        shown = [one.id for one in before.crm.records if one.shown["call_phone"] == phone and not one.staff]
        return (_key(before, call), *shown)

    def act(desk: Desk, noted: tuple[Any, ...]) -> object:
        key, *seen = noted
        resent, accepted = ((), ((key, seen[0]),)) if seen else ((key,), ())
        return reconcile.decide(desk.settings(), desk.tools, resend=resent, accept=accepted)

    return Offline(look_up, act)


def resend(call: str) -> Offline:
    """`callimport reconcile --resend KEY`"""
    return Offline(
        lambda before: (_key(before, call),),
        lambda desk, noted: reconcile.decide(desk.settings(), desk.tools, resend=noted, accept=()),
    )


def retry(*statuses: models.ItemStatus) -> Offline:
    """`callimport retry --refused --failed`"""
    return Offline(
        lambda _: (),
        lambda desk, _: status.retry(desk.settings(), desk.tools.clock, statuses=statuses, keys=()),
    )


def retry_one(call: str) -> Offline:
    """`callimport retry KEY`"""
    return Offline(
        lambda before: (_key(before, call),),
        lambda desk, noted: status.retry(desk.settings(), desk.tools.clock, statuses=(), keys=noted),
    )


def withdraw() -> Offline:
    """`callimport withdraw BATCH`, of the batch that was enrolled last."""
    return Offline(
        lambda before: _asked(before, "SELECT id FROM batch ORDER BY rowid DESC LIMIT 1"),
        lambda desk, noted: status.withdraw(desk.settings(), desk.tools.clock, str(noted[0])),
    )


def withdraw_one(call: str) -> Offline:
    """`callimport withdraw KEY`, of a call that was held before it was ever sent."""
    return Offline(
        lambda before: _asked(before, "SELECT reference FROM item WHERE call_id = ?", call),
        lambda desk, noted: status.withdraw(desk.settings(), desk.tools.clock, str(noted[0])),
    )


def lose() -> Offline:
    """Somebody clears the disk up."""

    def act(desk: Desk, _: tuple[Any, ...]) -> None:
        for path in desk.state.rglob("*.*"):
            path.unlink()

    return Offline(lambda _: (), act)


def chance(lives: int) -> random.Random:
    """The importer's own, another one in each life."""
    return random.Random(f"importer {lives}")


def _key(world: World, call: str) -> str:
    return str(_asked(world, "SELECT key FROM item WHERE call_id = ?", call)[0])


def _asked(world: World, sql: str, *values: str) -> tuple[Any, ...]:
    with world.ledger() as ledger:
        found: tuple[Any, ...] | None = ledger.execute(sql, values).fetchone()
    assert found is not None, sql
    return found
