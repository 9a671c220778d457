"""Breakages of the importer that the judge must notice; a judge that never finds anything proves nothing.

`python -m tests.simulation.sabotage [NAME]` looks for the first seed that catches each of them.
"""

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

from pipeline import canonical, delivery, model, reconcile
from pipeline.ledger import Database, Ledger
from tests.simulation.story import play

SEEDS = 200


@dataclass(frozen=True, slots=True)
class Sabotage:
    """`seed` is the first that catches it, `expected` what it is caught as."""

    patches: Callable[[], list[Any]]
    seed: int
    expected: frozenset[str]
    reference: bool | None = None

    @contextlib.contextmanager
    def done(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for patch in self.patches():
                stack.enter_context(patch)
            yield


def _no_settle() -> list[Any]:
    def ripe_at(_: reconcile.Reconciliation, doubts: Sequence[model.Doubt]) -> float:
        return max(doubt.since for doubt in doubts)

    return [mock.patch.object(reconcile.Reconciliation, "_ripe_at", ripe_at)]


def _blind_retry() -> list[Any]:
    async def settle_ripe(self: reconcile.Reconciliation) -> int:
        return self._record(
            {one.key: model.Verdict("absent", "no answer") for one in self._ledger.doubts() if not one.applied}
            | {one.key: model.Verdict("held", "no id") for one in self._ledger.doubts() if one.applied}
        )

    return [mock.patch.object(reconcile.Reconciliation, "settle_ripe", settle_ripe)]


def _in_flight_sent_again() -> list[Any]:
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


def _one_read() -> list[Any]:
    async def settle_the_rest(self: reconcile.Reconciliation, lead_id: int, first: reconcile.Look) -> int:
        return self._record({doubt.key: reconcile.denied(doubt, first, first) for doubt in self._doubts_of(lead_id)})

    return [mock.patch.object(reconcile.Reconciliation, "_settle_the_rest", settle_the_rest)]


def _commits_not_synced() -> list[Any]:
    execute = Database.execute

    def unsynced(self: Database, sql: str, values: Any = ()) -> int:
        return execute(self, sql.replace("synchronous = FULL", "synchronous = NORMAL"), values)

    return [mock.patch.object(Database, "execute", unsynced)]


def _intent_after_the_answer() -> list[Any]:
    intent = delivery._Intent
    write_down = intent.write_down

    def late(self: delivery._Intent) -> int:
        if self._attempt is None:
            write_down(self)
        assert self._attempt is not None
        return self._attempt

    return [
        mock.patch.object(intent, "write_down", return_value=None),
        mock.patch.object(intent, "attempt", property(late)),
    ]


def _taken_not_excluded() -> list[Any]:
    async def look(self: reconcile.Reconciliation, lead_id: int) -> reconcile.Look:
        return reconcile.Look(tuple(await self._courier.communications_of(lead_id)))

    return [mock.patch.object(reconcile.Reconciliation, "_look", look)]


def _set_instead_of_multiset() -> list[Any]:
    def by_payload(doubts: Sequence[model.Doubt], unclaimed: Sequence[model.Stored]) -> dict[str, model.Verdict]:
        return {
            doubt.key: model.Verdict("found", "looks like it", one)
            for doubt in doubts
            for one in unclaimed
            if not canonical.differences(doubt.communication, one.body)
        }

    return [mock.patch.object(reconcile, "_found_by_payload", by_payload)]


SABOTAGES = {
    "no settle": Sabotage(_no_settle, 10, frozenset({"duplicated"})),
    "blind retry": Sabotage(_blind_retry, 1, frozenset({"duplicated"})),
    "in flight sent again": Sabotage(_in_flight_sent_again, 7, frozenset({"duplicated"})),
    "one read": Sabotage(_one_read, 3, frozenset({"duplicated", "hasty"})),
    "commits not synced": Sabotage(_commits_not_synced, 0, frozenset({"undurable", "duplicated"})),
    "intent after the answer": Sabotage(_intent_after_the_answer, 0, frozenset({"undurable", "duplicated"})),
    "taken not excluded": Sabotage(_taken_not_excluded, 19, frozenset({"ledger", "wrong id"}), reference=False),
    "look-alikes claimed": Sabotage(_set_instead_of_multiset, 2, frozenset({"wrong id", "lost"}), reference=False),
}


def main() -> int:
    missed = 0
    for name in sys.argv[1:] or sorted(SABOTAGES):
        breakage, first, kinds = SABOTAGES[name], dict[str, int](), Counter[str]()
        with breakage.done():
            for seed in range(SEEDS):
                found = {one.kind for one in play(seed, reference=breakage.reference).findings}
                kinds.update(found)
                for kind in found:
                    first.setdefault(kind, seed)
                if breakage.expected & set(first):
                    break
        caught = min((first[kind] for kind in breakage.expected if kind in first), default=None)
        missed += caught is None
        print(f"{name:<26} {'MISSED' if caught is None else caught!s:>6}  {dict(sorted(first.items()))}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
