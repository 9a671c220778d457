"""What goes on beside a delivery: the progress is shown, a heartbeat kept for whoever asks from elsewhere, and what was
in doubt before is looked up as it ripens. Delivery keeps away from leads that have a call in doubt."""

import contextlib
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from callimport import report
from callimport.core import errors, models
from callimport.ledger import Ledger, locking
from callimport.load import deliver
from callimport.load.reconcile import Reconciliation

HEARTBEAT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Watch:
    """Over one delivery."""

    sending: deliver.Delivery
    task: deliver.Task
    ledger: Ledger
    reconciliation: Reconciliation
    clock: models.Clock
    talk: report.Talk

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """For as long as the block lasts."""
        who = {
            "run_id": self.task.run_id,
            "batch": self.task.batch_id,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started_at": self._now(),
        }
        async with anyio.create_task_group() as beside:
            beside.start_soon(self._keep_beating, who)
            beside.start_soon(self._keep_settling)
            with self.talk.showing_progress():
                yield
                self._beat(who, "ended")
            beside.cancel_scope.cancel()

    async def _keep_beating(self, who: dict[str, Any]) -> None:
        while True:
            self._beat(who, "sending")
            await anyio.sleep(HEARTBEAT_SECONDS)

    async def _keep_settling(self) -> None:
        while True:
            try:
                seconds = self.reconciliation.ripe_in_seconds()
                await anyio.sleep(HEARTBEAT_SECONDS if seconds is None else seconds)
                await self.reconciliation.settle_ripe()
            except errors.LedgerError as error:
                self.sending.stop(error)
                return
            except errors.ImporterError as error:
                # Delivery meets the same trouble and knows what to do about it.
                self.talk.warn(str(error))
                return

    def _beat(self, who: dict[str, Any], state: str) -> None:
        progress = self.sending.progress()
        self.talk.progress(progress)
        figures = {**who, "updated_at": self._now(), "state": state, **report.progress_figures(progress)}
        # A heartbeat that cannot be written is no reason to stop sending.
        with contextlib.suppress(errors.ImporterError, OSError):
            locking.write_heartbeat(locking.beside(Path(self.ledger.database.place), "heartbeat"), figures)

    def _now(self) -> str:
        return self.clock.wall().isoformat(timespec="seconds")
