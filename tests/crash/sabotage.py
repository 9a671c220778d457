"""Breakages of the importer that must be found; an exploration that never finds anything proves nothing."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from callimport.core import models
from callimport.core.decisions import PlannedCalls
from callimport.ledger import Database, Ledger
from callimport.ledger.entry import Entering
from callimport.ledger.recordings import Evidence, Recordings
from callimport.load import lost_ledger_check
from callimport.load.audio_files import Audio
from callimport.load.recordings import Uploading
from callimport.load.recordings_due import Errand
from callimport.plan import changes
from tests.crash import commands


@dataclass(frozen=True, slots=True)
class Sabotage:
    """`scene` is a small one that shows it, `expected` what it is found as. `resends` says that it makes calls twice
    unless the look before the first call of a run stops it, which is a defence of its own."""

    patches: Callable[[], list[Any]]
    scene: str
    expected: str
    resends: bool = False

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
                "INSERT INTO outcome SELECT id, 'not_applied', NULL, 'the run ended', ?, NULL FROM unresolved",
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


def without_the_look() -> Any:
    """Nobody looks whether the CRM holds what the ledger never sent."""

    async def look(*_: object) -> None:
        return None

    return mock.patch.object(lost_ledger_check, "look", look)


def _no_transactions() -> list[Any]:
    return [mock.patch.object(Database, "transaction", lambda self: self._translating())]


def _unanswered_updates_forgotten() -> list[Any]:
    """What a dead process may have told the CRM is as if it had never been."""
    wanted, is_edited = changes.wanted, changes._is_edited

    def forgotten(update: models.Update) -> models.Update:
        return replace(update, unanswered=())

    return [
        mock.patch.object(changes, "wanted", lambda update: wanted(forgotten(update))),
        mock.patch.object(changes, "_is_edited", lambda update, *more: is_edited(forgotten(update), *more)),
    ]


def _no_wait_for_updates() -> list[Any]:
    return [mock.patch.object(changes, "is_overtaken", return_value=False)]


def _no_settle() -> list[Any]:
    return [mock.patch.object(commands, "SETTLE_SECONDS", 0.0)]


def _uploaded_before_it_is() -> list[Any]:
    async def send(self: Uploading, errand: Errand, book: Recordings, audio: Audio) -> None:
        seen = audio.seen
        book.uploaded(errand.key, Evidence(seen.path, seen.size, seen.modified_ns, audio.read_through()))
        await self.courier.upload_recording(errand.communication_id, audio)

    return [mock.patch.object(Uploading, "_send", send)]


def _forgotten_when_found() -> list[Any]:
    """A waiting call is struck off before it is pending."""
    enter = Entering._enter_found

    def struck_off(self: Entering, found: PlannedCalls) -> None:
        waiting = self._database.rows("SELECT * FROM item WHERE status = 'waiting'")
        self._database.execute("DELETE FROM item WHERE status = 'waiting'")
        self._database.execute("COMMIT")
        self._database.execute("BEGIN IMMEDIATE")
        for item in waiting:
            self._database.execute(f"INSERT INTO item VALUES ({', '.join('?' * len(item))})", item)  # noqa: S608
        enter(self, found)

    return [mock.patch.object(Entering, "_enter_found", struck_off)]


SABOTAGES = {
    "intent after the answer": Sabotage(_intent_after_the_answer, "one call", "duplicated", resends=True),
    "in flight is pending again": Sabotage(_in_flight_is_pending_again, "one call", "duplicated", resends=True),
    "commits not synced": Sabotage(_commits_not_synced, "one call", "duplicated", resends=True),
    "no transactions": Sabotage(_no_transactions, "one call", "ended otherwise"),
    "uploaded before it is": Sabotage(_uploaded_before_it_is, "recordings", "recordings"),
    "unanswered updates forgotten": Sabotage(
        _unanswered_updates_forgotten, "a change that failed, then changed back", "not told"
    ),
    "taken for a person's change": Sabotage(
        _unanswered_updates_forgotten, "a change that failed, then another", "not told"
    ),
    "no wait for updates": Sabotage(_no_wait_for_updates, "a change stored late, then another", "not told"),
    "forgotten when found": Sabotage(_forgotten_when_found, "a lead a day later", "ended otherwise"),
    "no settle": Sabotage(_no_settle, "late commit", "duplicated"),
}
