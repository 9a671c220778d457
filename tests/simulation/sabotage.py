"""Breakages of the importer that the judge must notice; a judge that never finds anything proves nothing.

`python -m tests.simulation.hunt` looks for the first seed that catches each of them.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest import mock

import anyio

from callimport.core import errors, models, normal_form
from callimport.crm import client, matching, rate_limit
from callimport.ledger import Database, Ledger, database
from callimport.ledger.recordings import Evidence, Recordings
from callimport.load import deliver, existing_calls, reconcile
from callimport.load.audio_files import Audio
from callimport.load.recordings import Uploading
from callimport.load.recordings_due import Errand


@dataclass(frozen=True, slots=True)
class Sabotage:
    """`seed` of `profile` is the first that catches it as what it does."""

    patches: Callable[[], list[Any]]
    profile: str
    seed: int
    harm: str

    @contextlib.contextmanager
    def done(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for patch in self.patches():
                stack.enter_context(patch)
            yield


def _no_settle() -> list[Any]:
    def ripe_at(_: reconcile.Reconciliation, doubts: Sequence[models.Doubt]) -> float:
        return max(doubt.since for doubt in doubts)

    return [mock.patch.object(reconcile.Reconciliation, "_ripe_at", ripe_at)]


def _blind_retry() -> list[Any]:
    async def settle_ripe(self: reconcile.Reconciliation) -> int:
        return self._record(
            {one.key: models.Verdict("absent", "no answer") for one in self._ledger.doubts() if not one.applied}
            | {one.key: models.Verdict("held", "no id") for one in self._ledger.doubts() if one.applied}
        )

    return [mock.patch.object(reconcile.Reconciliation, "settle_ripe", settle_ripe)]


def _in_flight_sent_again() -> list[Any]:
    start_run = Ledger.start_run

    def start(self: Ledger, run_id: str) -> int:
        with self.database.transaction():
            self.database.execute(
                "INSERT INTO outcome SELECT id, 'not_applied', NULL, 'the run ended', ?, NULL FROM unresolved",
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
    intent = deliver._Intent
    write_down = intent.write_down

    def late(self: deliver._Intent) -> int:
        if self._attempt is None:
            write_down(self)
        assert self._attempt is not None
        return self._attempt

    return [
        mock.patch.object(intent, "write_down", return_value=None),
        mock.patch.object(intent, "attempt", property(late)),
    ]


def _ledger_errors_ignored() -> list[Any]:
    write_down = deliver._Intent.write_down

    def whatever(self: deliver._Intent) -> None:
        with contextlib.suppress(errors.LedgerError):
            write_down(self)

    return [mock.patch.object(deliver._Intent, "write_down", whatever)]


def _taken_not_excluded() -> list[Any]:
    async def look(self: reconcile.Reconciliation, lead_id: int) -> reconcile.Look:
        return reconcile.Look(tuple(await self._courier.communications_of(lead_id)))

    return [mock.patch.object(reconcile.Reconciliation, "_look", look)]


def _taken_twice() -> list[Any]:
    """As above, in a ledger that lets two items hold one communication."""
    schema = database._SCHEMA.read_text(encoding="utf-8")
    lax = schema.replace("communication_id INTEGER UNIQUE", "communication_id INTEGER")
    return [
        *_taken_not_excluded(),
        mock.patch.object(database, "_SCHEMA", SimpleNamespace(read_text=lambda encoding: lax)),
        mock.patch.object(database, "_objects_of_schema", database._objects_of_schema.__wrapped__),
    ]


def _set_instead_of_multiset() -> list[Any]:
    def by_payload(doubts: Sequence[models.Doubt], shown: Sequence[models.Stored]) -> dict[str, models.Verdict]:
        return {
            doubt.key: models.Verdict("found", "looks like it", one)
            for doubt in doubts
            for one in reversed(shown)
            if one.id > doubt.id_floor and matching.is_equal(doubt.communication, one)
        }

    return [mock.patch.object(reconcile, "_found_by_payload", by_payload)]


def _no_id_floor() -> list[Any]:
    by_payload = reconcile._found_by_payload

    def from_anywhere(doubts: Sequence[models.Doubt], shown: Sequence[models.Stored]) -> dict[str, models.Verdict]:
        return by_payload([dataclasses.replace(one, id_floor=0) for one in doubts], shown)

    return [mock.patch.object(reconcile, "_found_by_payload", from_anywhere)]


def _reference_ignored() -> list[Any]:
    def found(doubts: Sequence[models.Doubt], stored: Sequence[models.Stored]) -> dict[str, models.Verdict]:
        verdicts: dict[str, models.Verdict] = {}
        unclaimed = sorted(stored, key=lambda one: one.id)
        for doubt in doubts:
            bare = dataclasses.replace(doubt.communication, description=None)
            alike = [one for one in unclaimed if not normal_form.differences(bare, one.body)]
            if alike:
                verdicts[doubt.key] = models.Verdict("found", "looks like it", alike[0])
                unclaimed.remove(alike[0])
        return verdicts

    return [mock.patch.object(reconcile, "found", found)]


def _strict_denial() -> list[Any]:
    def is_it(sent: models.Communication, one: models.Stored, **_: Any) -> bool:
        return not normal_form.differences(sent, one.body)

    return [mock.patch.object(matching, "may_be", is_it)]


def _echo_not_checked() -> list[Any]:
    deaf = SimpleNamespace(instant=normal_form.instant, differences=lambda *_: ())
    return [mock.patch.object(client, "normal_form", deaf)]


def _gate_not_read_again() -> list[Any]:
    async def slot(self: rate_limit.Pacer) -> None:
        async with self._turn:
            await anyio.sleep(max(0.0, self._wait_seconds()))
            self._take()

    return [
        mock.patch.object(rate_limit.Pacer, "slot", slot),
        mock.patch.object(rate_limit.Pacer, "paused_seconds", property(lambda _: 0.0)),
    ]


def _deaf_to_ctrl_c() -> list[Any]:
    return [mock.patch.object(deliver.Delivery, "drain", return_value=None)]


def _uploaded_before_it_is() -> list[Any]:
    async def send(self: Uploading, errand: Errand, book: Recordings, audio: Audio) -> None:
        seen = audio.seen
        book.uploaded(errand.key, Evidence(seen.path, seen.size, seen.modified_ns, audio.read_through()))
        await self.courier.upload_recording(errand.communication_id, audio)

    return [mock.patch.object(Uploading, "_send", send)]


def _existing_not_seen() -> list[Any]:
    async def look(*_: Any) -> tuple[str, ...]:
        return ()

    return [mock.patch.object(existing_calls.Existing, "look", look)]


def _one_stands_for_all() -> list[Any]:
    def explained(calls: Sequence[models.Item], shown: Sequence[models.Stored]) -> dict[str, int]:
        return {
            item.key: one.id
            for item in calls
            for one in shown
            if existing_calls._apart(item.communication, one) is not None
        }

    return [mock.patch.object(existing_calls, "explained", explained)]


SABOTAGES = {
    "blind retry": Sabotage(_blind_retry, "default", 1, "duplicated"),
    "commits not synced": Sabotage(_commits_not_synced, "power-loss", 16, "duplicated"),
    "deaf to Ctrl-C": Sabotage(_deaf_to_ctrl_c, "default", 38, "deaf"),
    "echo not checked": Sabotage(_echo_not_checked, "sloppy", 0, "silent"),
    "existing not seen": Sabotage(_existing_not_seen, "existing", 0, "doubled"),
    "gate not read again": Sabotage(_gate_not_read_again, "default", 21, "gate"),
    "in flight sent again": Sabotage(_in_flight_sent_again, "late", 16, "duplicated"),
    "intent after the answer": Sabotage(_intent_after_the_answer, "late", 16, "duplicated"),
    "ledger errors ignored": Sabotage(_ledger_errors_ignored, "bad-disk", 17, "undurable"),
    "no id floor": Sabotage(_no_id_floor, "no-reference-live", 41, "lost"),
    "no settle": Sabotage(_no_settle, "late", 5, "duplicated"),
    "one read": Sabotage(_one_read, "incomplete-reads", 10, "duplicated"),
    "one stands for all": Sabotage(_one_stands_for_all, "existing", 1, "lost"),
    "reference ignored": Sabotage(_reference_ignored, "live-look-alikes", 15, "lost"),
    "set, not multiset": Sabotage(_set_instead_of_multiset, "no-reference-live", 8, "guessed"),
    "strict denial": Sabotage(_strict_denial, "trimming", 7, "duplicated"),
    "taken twice": Sabotage(_taken_twice, "no-reference-live", 191, "lost"),
    "taken not excluded": Sabotage(_taken_not_excluded, "no-reference-live", 191, "ledger"),
    "uploaded before it is": Sabotage(_uploaded_before_it_is, "recordings", 6, "recording"),
}
