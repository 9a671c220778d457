"""After the calls: each delivered call gets its recording. What fails here loses and repeats no call.

An upload takes the place of an earlier one, so there is no doubt to settle: whatever was not acknowledged goes again,
be it after a kill -9. A refusal is about one file, which is not tried again until it changes or a person says so.
"""

import contextlib
import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from callimport import report
from callimport.core import endings, errors, models, signals
from callimport.core.settings import Settings
from callimport.crm.rate_limit import Pacer
from callimport.crm.retry import Courier
from callimport.ledger import Ledger, locking
from callimport.ledger.planned import PlannedLedger
from callimport.ledger.planned_recordings import PlannedRecordings
from callimport.ledger.recordings import FAILED, REFUSED, Evidence, Recordings
from callimport.load.audio_files import MEBIBYTE, Audio, Folder, Unfit, unreadable
from callimport.load.recording_names import Names
from callimport.load.recordings_due import Due, Errand, Looking, standing

WORKERS_AT_MOST = 4
DRAIN_SECONDS = 20.0
HEARTBEAT_SECONDS = 5.0
FORBIDDEN_THAT_STOP = 3
ALIKE_THAT_STOP = 20


@dataclass(slots=True)
class Uploaded:
    """What the stage came to."""

    counts: endings.Recordings = endings.NO_RECORDINGS
    unattached: tuple[endings.Unattached, ...] = ()
    stopped_by: errors.ImporterError | None = None


@dataclass(slots=True)
class Uploading:
    """The recordings of one run. `names` says how each system names its recordings, where that is known."""

    settings: Settings
    clock: models.Clock
    talk: report.Talk
    interruption: signals.Interruption
    courier: Courier
    pacer: Pacer
    ledger: Ledger
    names: Mapping[str, Names]
    _queue: deque[Errand] = field(default_factory=deque)
    _unattached: list[endings.Unattached] = field(default_factory=list)
    _uploaded: int = 0
    _missing: int = 0
    _ended: int = 0
    _is_broken_off: bool = True
    _to_do: int = 0
    _stopped_by: errors.ImporterError | None = None
    _is_draining: bool = False
    _refusals: list[tuple[int | None, str]] = field(default_factory=list)
    _beat_at: float = float("-inf")

    def left_alone(self) -> Uploaded:
        """The stage, where what went before ended the run."""
        if self.settings.recordings is None:
            return Uploaded()
        return self._account(0, standing(Recordings(self.ledger.database, self.clock)))

    async def run(self, run_id: str | None) -> Uploaded:
        """Upload what is due, until nothing is left, somebody asks for an end, or the CRM cannot be used. Only count it
        if the plan of the run is not entered. Without --recordings there is nothing to do."""
        if self.settings.recordings is None:
            return Uploaded()
        ledger, is_plan = self.ledger, isinstance(self.ledger, PlannedLedger)
        book = (
            PlannedRecordings(ledger, self.clock)
            if isinstance(ledger, PlannedLedger)
            else Recordings(ledger.database, self.clock)
        )
        folder = Folder(self.settings.recordings, round(self.settings.max_recording * MEBIBYTE))
        due = Due()
        try:
            with anyio.CancelScope() as scope:
                self.interruption.on_request(lambda: self._drain(scope))
                or_parked = is_plan and self.settings.on_change == "update"
                looking = Looking(book, folder, self.settings.overwrite, or_pending=is_plan, or_parked=or_parked)
                due = await looking.look(self.names, lambda: self._is_draining)
                self._unattached += due.not_sent
                self._say_what_is_due(due)
                self._is_broken_off = self._is_draining
                if not is_plan and not self._is_draining:
                    await self._work(run_id, book, folder, due)
        except errors.ImporterError as error:
            self._stopped_by = error
        # Where the look was broken off, nobody knows but the ledger.
        pending = standing(book) if self._is_broken_off else len(due.errands) - self._ended
        return self._account(due.missing, pending)

    async def _work(self, run_id: str | None, book: Recordings, folder: Folder, due: Due) -> None:
        self._queue.extend(due.errands)
        self._to_do = len(due.errands)
        workers = min(self.settings.concurrency, WORKERS_AT_MOST, self._to_do)
        async with anyio.create_task_group() as group:
            for _ in range(workers):
                group.start_soon(self._keep_uploading, run_id, book, folder)

    async def _keep_uploading(self, run_id: str | None, book: Recordings, folder: Folder) -> None:
        while self._queue and not self._is_draining and self._stopped_by is None:
            self._beat(run_id)
            try:
                await self._upload(self._queue.popleft(), book, folder)
            except errors.ImporterError as error:
                # As a value, past the task group of the workers.
                self._stop(error)

    async def _upload(self, errand: Errand, book: Recordings, folder: Folder) -> None:
        audio = folder.opened(errand.file.path)
        if errand.is_claim:
            # Not before it is this file's turn: a call that comes to be known meanwhile may turn out to be its own.
            book.found([(errand.key, errand.file.path)])
        if isinstance(audio, Unfit) and audio.may_pass:
            self._fail(book, errand, audio.reason)
            return
        if isinstance(audio, Unfit):
            self._refuse(book, errand, audio.reason, _evidence(errand))
            return
        if audio is None:
            book.missing([errand.key])
            self._missing += 1
            self._ended += 1
            return
        with audio:
            try:
                await self._send(errand, book, audio)
            except OSError as error:
                self._fail(book, errand, unreadable(error).reason)

    async def _send(self, errand: Errand, book: Recordings, audio: Audio) -> None:
        seen = Evidence(audio.seen.path, audio.seen.size, audio.seen.modified_ns)
        if errand.sha256 is not None and audio.read_through() == errand.sha256:
            book.uploaded(errand.key, _with(seen, errand.sha256))
            self._ended += 1
            return
        try:
            await self.courier.upload_recording(errand.communication_id, audio)
        except errors.Refused as outcome:
            why = "; ".join(outcome.reasons) or outcome.evidence
            self._refuse(book, errand, why, _with(seen, audio.read_through()))
            self._lose_patience(outcome, why)
        except (errors.NotApplied, errors.InDoubt) as outcome:
            self._fail(book, errand, outcome.evidence)
        else:
            # The hash of the bytes that were sent; the file may have changed since.
            book.uploaded(errand.key, _with(seen, audio.sha256))
            self._ended += 1
            self._uploaded += 1
            self._refusals.clear()

    def _stop(self, error: errors.ImporterError) -> None:
        self._stopped_by = self._stopped_by or error

    def _fail(self, book: Recordings, errand: Errand, why: str) -> None:
        book.failed(errand.key, why)
        self._ended += 1
        self._unattached.append(endings.Unattached(FAILED, errand.reference, errand.file.path, why))

    def _refuse(self, book: Recordings, errand: Errand, why: str, seen: Evidence) -> None:
        book.refused(errand.key, why, seen)
        self._ended += 1
        self._unattached.append(endings.Unattached(REFUSED, errand.reference, errand.file.path, why))

    def _lose_patience(self, outcome: errors.Refused, why: str) -> None:
        """Raises where it is the key or the CRM that does not want recordings, and not this file."""
        self._refusals.append((outcome.status, why))
        forbidden = self._refusals[-FORBIDDEN_THAT_STOP:]
        if len(forbidden) == FORBIDDEN_THAT_STOP and all(status == 403 for status, _ in forbidden):
            raise errors.DestinationUnusable(
                f"the CRM forbade {FORBIDDEN_THAT_STOP} recordings in a row (403): ask its support what this key may "
                "do, then callimport retry --refused-recordings"
            )
        alike = self._refusals[-ALIKE_THAT_STOP:]
        if len(alike) == ALIKE_THAT_STOP and len(set(alike)) == 1:
            raise errors.GuardStopped(
                f"the CRM refused {ALIKE_THAT_STOP} recordings in a row for the very same reason ({why}); the calls "
                "are not touched: mend the files, then callimport retry --refused-recordings and run again"
            )

    def _drain(self, scope: anyio.CancelScope) -> None:
        """What is under way may end; what takes longer is broken off, as it goes again anyhow."""
        self._is_draining = True
        scope.deadline = anyio.current_time() + DRAIN_SECONDS

    def _say_what_is_due(self, due: Due) -> None:
        for line in report.due_lines(
            len(due.errands), due.bytes, self.pacer.allowed_per_minute, foreign=due.foreign, kept=due.kept,
            unclear=due.unclear,
        ):  # fmt: skip
            self.talk.say(line)
        if self.settings.recordings_only and not due.errands:
            self.talk.say("no recording is due: whatever the calls name was uploaded, was refused or has no file here")

    def _beat(self, run_id: str | None) -> None:
        now = self.clock.monotonic()
        if now - self._beat_at < HEARTBEAT_SECONDS:
            return
        self._beat_at = now
        done = self._to_do - len(self._queue)
        figures: dict[str, Any] = {
            "run_id": run_id,
            "pid": os.getpid(),
            "updated_at": self.clock.wall().isoformat(timespec="seconds"),
            "state": "uploading",
            "recordings_to_do": self._to_do,
            "recordings_done": done,
            "requests": self.pacer.requests,
        }
        self.talk.upload_progress(done, self._to_do, self.pacer.allowed_per_minute, now)
        with contextlib.suppress(errors.ImporterError, OSError):
            locking.write_heartbeat(locking.beside(Path(self.ledger.database.place), "heartbeat"), figures)

    def _account(self, missing: int, pending: int) -> Uploaded:
        by_ending = [one.ending for one in self._unattached]
        counts = endings.Recordings(
            uploaded=self._uploaded,
            refused=by_ending.count(REFUSED),
            failed=by_ending.count(FAILED),
            missing=missing + self._missing,
            pending=pending,
        )
        return Uploaded(counts, tuple(self._unattached), self._stopped_by)


def _evidence(errand: Errand) -> Evidence:
    return Evidence(errand.file.path, errand.file.size, errand.file.modified_ns)


def _with(seen: Evidence, sha256: str) -> Evidence:
    return Evidence(seen.path, seen.size, seen.modified_ns, sha256)
