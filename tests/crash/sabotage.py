"""Breakages of the importer that must be found; an exploration that never finds anything proves nothing."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

from pipeline.ledger import Database, Ledger
from tests.crash import commands


@dataclass(frozen=True, slots=True)
class Sabotage:
    """`scene` is a small one that shows it, `expected` what it is found as."""

    patches: Callable[[], list[Any]]
    scene: str
    expected: frozenset[str]

    @contextlib.contextmanager
    def done(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for patch in self.patches():
                stack.enter_context(patch)
            yield


def _intent_after_the_answer() -> list[Any]:
    intend, waiting = Ledger.intend, dict[str, str]()

    def only_remember(self: Ledger, key: str, run_id: str) -> int:
        waiting[key] = run_id
        return 0

    def after_it(verb: Callable[..., None]) -> Callable[..., None]:
        def land(self: Ledger, key: str, attempt: int, *more: Any) -> None:
            verb(self, key, intend(self, key, waiting.pop(key)), *more)

        return land

    landings = ("delivered", "not_applied", "refused", "in_doubt")
    return [
        mock.patch.object(Ledger, "intend", only_remember),
        *(mock.patch.object(Ledger, name, after_it(getattr(Ledger, name))) for name in landings),
    ]


def _in_flight_is_pending_again() -> list[Any]:
    start_run = Ledger.start_run

    def start(self: Ledger, run_id: str) -> int:
        with self.database.transaction():
            self.database.execute(
                "INSERT INTO outcome SELECT id, 'not_applied', NULL, 'the run ended', ? FROM unresolved",
                (self._now(),),
            )
            self.database.execute("UPDATE item SET status = 'pending' WHERE status = 'in_flight'")
        return start_run(self, run_id)

    return [mock.patch.object(Ledger, "start_run", start)]


def _commits_not_synced() -> list[Any]:
    execute = Database.execute

    def unsynced(self: Database, sql: str, values: Any = ()) -> int:
        return execute(self, sql.replace("synchronous = FULL", "synchronous = NORMAL"), values)

    return [mock.patch.object(Database, "execute", unsynced)]


def _no_transactions() -> list[Any]:
    return [mock.patch.object(Database, "transaction", lambda self: self._translating())]


def _no_settle() -> list[Any]:
    return [mock.patch.object(commands, "SETTLE_SECONDS", 0.0)]


SABOTAGES = {
    "intent after the answer": Sabotage(_intent_after_the_answer, "one call", frozenset({"duplicated"})),
    "in flight is pending again": Sabotage(_in_flight_is_pending_again, "one call", frozenset({"duplicated"})),
    "commits not synced": Sabotage(_commits_not_synced, "one call", frozenset({"duplicated"})),
    "no transactions": Sabotage(_no_transactions, "one call", frozenset({"ended otherwise"})),
    "no settle": Sabotage(_no_settle, "late commit", frozenset({"duplicated"})),
}
