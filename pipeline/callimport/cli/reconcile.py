"""The story of `callimport reconcile`: doubts are looked up without anything being sent, and a person decides the rest.

settle   whose CRM is it → its ledger, held alone → wait until doubts are ripe → verdicts → what is left, and why
decide   what a person says of held calls; no network
"""

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from callimport import importer, report
from callimport.cli import status
from callimport.core import errors, models
from callimport.core import settings as config
from callimport.core.errors import ExitCode
from callimport.core.models import ItemStatus
from callimport.core.signals import Interruption, interruptible
from callimport.crm import account
from callimport.crm.rate_limit import Pacer
from callimport.crm.retry import Courier
from callimport.ledger import Ledger, damage, held_updates, queries
from callimport.load import account_ledger
from callimport.load.reconcile import Reconciliation

KINDS = ("found", "absent", "held")


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the doubts: `verdicts` given now by kind, and where the calls of the whole ledger stand."""

    ledger: str
    verdicts: dict[str, int]
    pending: int
    in_doubt: tuple[models.Listed, ...]
    held: tuple[models.Listed, ...]
    decided: dict[str, int] = field(default_factory=dict)
    interrupted: ExitCode | None = None
    damaged: str | None = None

    @property
    def exit_code(self) -> ExitCode:
        left = ExitCode.IN_DOUBT if self.in_doubt or self.held else ExitCode.OK
        return self.interrupted or (ExitCode.STOPPED if self.damaged else left)

    def for_machines(self) -> dict[str, Any]:
        """As plain values, phones masked."""
        return {
            "exit_code": int(self.exit_code),
            "ledger": self.ledger,
            "verdicts": self.verdicts,
            "decided": self.decided,
            "in_doubt": len(self.in_doubt),
            "held": len(self.held),
            "pending": self.pending,
            "damaged": self.damaged,
            "listed": [status.plain(item) for item in (*self.in_doubt, *self.held)],
        }


async def settle(settings: config.Settings, tools: importer.Tools) -> Settled:
    """Look up every doubt of the account's ledger, as soon as it is ripe. Nothing is sent.

    Raises ImporterError where the CRM or the ledger cannot be used; verdicts given by then stand.
    """
    interruption = Interruption()
    return await interruption.until_asked(
        functools.partial(_settle, settings, tools, interruption), hears_signals=tools.hears_signals
    )


def decide(
    settings: config.Settings, tools: importer.Tools, *, resend: Sequence[str], accept: Sequence[tuple[str, int]]
) -> Settled:
    """Put down what a person says of held calls. ConfigError for a call that is not held; what was said of those before
    it stands."""
    with account_ledger.offline(settings, tools.clock) as ledger:
        for key, communication_id in accept:
            ledger.accept(key, communication_id)
        for key in resend:
            ledger.resend(key)
        return _settled(ledger, {}, decided={"accepted": len(accept), "resent": len(resend)})


async def _settle(settings: config.Settings, tools: importer.Tools, interruption: Interruption) -> Settled:
    with interruptible():
        target = config.target(settings)
    pacer = Pacer(settings.rates, tools.clock.monotonic, tools.rng)
    async with tools.connect(target.base_url, target.token, connections=1) as crm:
        courier = Courier(crm, pacer, tools.rng)
        whose = account.choose(await courier.accounts(), settings.account)
        with account_ledger.of_a_look(settings, tools.clock, target, whose, tools.talk.say) as ledger:
            reconciliation = Reconciliation(ledger, courier, tools.clock, settings.settle)
            run_id = importer.new_run_id(tools)
            ledger.start_run(run_id)
            code = ExitCode.STOPPED
            try:
                with anyio.CancelScope() as waiting:
                    interruption.on_request(waiting.cancel)
                    await reconciliation.settle_all(
                        lambda seconds: tools.talk.say(
                            report.doubts_line(queries.doubt_reasons(ledger.database), seconds, sends=False)
                        )
                    )
                settled = _settled(ledger, reconciliation.verdicts, interrupted=interruption.exit_code)
                code = settled.exit_code
                return settled
            finally:
                with contextlib.suppress(errors.LedgerError):
                    ledger.end_run(run_id, code)


def _settled(
    ledger: Ledger,
    verdicts: dict[str, int],
    *,
    decided: dict[str, int] | None = None,
    interrupted: ExitCode | None = None,
) -> Settled:
    database = ledger.database
    in_doubt = tuple(queries.items(database, ItemStatus.IN_DOUBT))
    held = (*queries.items(database, ItemStatus.HELD), *held_updates.items(database))
    return Settled(
        ledger=database.place,
        verdicts={kind: verdicts.get(kind, 0) for kind in KINDS},
        pending=queries.counts(database)[ItemStatus.PENDING],
        in_doubt=in_doubt,
        held=held,
        decided=decided or {"accepted": 0, "resent": 0},
        interrupted=interrupted,
        damaged=damage.told(database),
    )
