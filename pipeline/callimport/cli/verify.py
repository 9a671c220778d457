"""The story of `callimport verify`: whose CRM is it → its ledger, held alone → each lead read once → what was found."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio

from callimport import importer, report
from callimport.core import errors, files
from callimport.core import settings as config
from callimport.core.errors import ExitCode
from callimport.core.signals import Interruption, interruptible
from callimport.crm import account
from callimport.crm.rate_limit import Pacer
from callimport.crm.retry import Courier
from callimport.ledger import damage, delivered
from callimport.load import account_ledger
from callimport.load.verify import READERS, Verification
from callimport.load.verify_results import Kind, Proof

PROGRESS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found: `counts` by kind, and of everything but matches which call it is."""

    ledger: str
    leads: int
    requests: int
    elapsed_seconds: float
    counts: dict[str, int]
    found: tuple[Proof, ...]
    damaged: str | None = None

    @property
    def exit_code(self) -> ExitCode:
        if self.damaged:
            return ExitCode.STOPPED
        return ExitCode.ROWS_FAILED if self.found else ExitCode.OK

    def for_machines(self) -> dict[str, Any]:
        """As plain values; no number of a customer is in them."""
        return {
            "exit_code": int(self.exit_code),
            "ledger": self.ledger,
            "leads": self.leads,
            "requests": self.requests,
            "elapsed_seconds": self.elapsed_seconds,
            "calls": self.counts,
            "found": [asdict(proof) for proof in self.found],
            "damaged": self.damaged,
        }


async def verify(settings: config.Settings, tools: importer.Tools, *, combined: Path | None = None) -> Verified:
    """Compare every delivered call with what the CRM has; `combined` is written with a line for each. Nothing is sent.

    Raises ImporterError where the CRM or the ledger cannot be used, Interrupted where somebody asked for an end.
    """
    if combined is not None:
        files.refuse_existing(combined, force=settings.force)
    return await Interruption().until_asked(
        functools.partial(_verify, settings, tools, combined), hears_signals=tools.hears_signals
    )


async def _verify(settings: config.Settings, tools: importer.Tools, combined: Path | None) -> Verified:
    with interruptible():
        target = config.target(settings)
    began = tools.clock.monotonic()
    pacer = Pacer(settings.rates, tools.clock.monotonic, tools.rng)
    async with tools.connect(target.base_url, target.token, connections=READERS) as crm:
        courier = Courier(crm, pacer, tools.rng)
        whose = account.choose(await courier.accounts(), settings.account)
        with account_ledger.to_compare(settings, tools.clock, target, whose, tools.talk.say) as ledger:
            place = ledger.database.place
            if combined is not None:
                files.refuse_same((combined,), (Path(place),))
            found: list[Proof] = []
            with _lines(combined) as write:

                def note(proof: Proof) -> None:
                    write(proof)
                    if proof.kind is not Kind.MATCH:
                        found.append(proof)

                verification = Verification(ledger, courier, note)
                tools.talk.say(
                    report.verify_line(
                        delivered.count(ledger.database), len(verification.leads), pacer.allowed_per_minute
                    )
                )
                await _run_showing(verification, pacer, tools)
            return Verified(
                place,
                verification.read,
                pacer.requests,
                round(tools.clock.monotonic() - began, 1),
                {str(kind): verification.counts[kind] for kind in Kind},
                tuple(sorted(found, key=lambda proof: (proof.lead_id, proof.communication_id))),
                damage.told(ledger.database),
            )


async def _run_showing(verification: Verification, pacer: Pacer, tools: importer.Tools) -> None:
    """Progress with rate and ETA goes on beside the reading."""
    began = tools.clock.monotonic()

    async def show() -> None:
        while True:
            seconds = tools.clock.monotonic() - began
            told = report.verified_so_far(
                verification.read,
                len(verification.leads),
                verification.counts.total() - verification.counts[Kind.MATCH],
                seconds,
                pacer.allowed_per_minute,
            )
            tools.talk.moves(seconds, told)
            await anyio.sleep(PROGRESS_SECONDS)

    stopped_by: errors.ImporterError | None = None
    async with anyio.create_task_group() as beside:
        with tools.talk.showing_progress():
            beside.start_soon(show)
            try:
                await verification.run()
            except errors.ImporterError as error:
                stopped_by = error
        beside.cancel_scope.cancel()
    if stopped_by is not None:
        raise stopped_by


@contextlib.contextmanager
def _lines(path: Path | None) -> Iterator[Callable[[Proof], None]]:
    """Writes a line for each call into the file at `path`, which is there when all is done and not before."""
    if path is None:
        yield lambda proof: None
        return
    with files.opened(path) as file:

        def write(proof: Proof) -> None:
            file.write(f"{proof.line}\n")

        yield write
