"""Make the plan of a run: stage the calls of its files, find lead and agent, decide on each by what the ledger knows.

Without files, the plan goes on with a batch of the ledger.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

import anyio.lowlevel
import polars as pl

from callimport.core import mapping, models
from callimport.core.decisions import Plan, PlanSettings
from callimport.core.settings import Settings
from callimport.ledger import Ledger, queries
from callimport.plan.planner import Planner
from callimport.resolve.crm_questions import Inquiry
from callimport.resolve.inputs import Inputs
from callimport.resolve.resolution import Resolution
from callimport.resolve.waiting_calls import WaitingCalls
from callimport.transform.staging import Staging


@dataclass(slots=True)
class Planning:
    """The planning of one run. `resolution` and `waiting` tell of its calls afterwards; `fingerprints` are those of the
    rows that it rejects."""

    settings: Settings
    now: datetime
    area: Staging
    account: models.Account
    ledger: Ledger
    inquiry: Inquiry
    resolution: Resolution | None = None
    waiting: WaitingCalls | None = None
    fingerprints: dict[models.Place, str] = field(default_factory=dict)

    async def of_files(self, inputs: Inputs) -> Plan:
        """Return what to do with the calls of the files, and with what waits or comes along."""
        ledger = self.ledger
        for _ in inputs.staged.stage(ledger.settled_rows()):
            # Between two chunks Ctrl-C is heard.
            await anyio.lowlevel.checkpoint()
        resolution = self.resolution = inputs.resolution()
        resolution.account_id = self.account.id
        waiting = self.waiting = self._waiting_calls(inputs)
        numbers = ledger.waiting_numbers(waiting.shapes) if waiting else set()
        await self.inquiry.answer(inputs, resolution, ledger, numbers)
        known = ledger.known_calls()
        settings = self._settings(inputs.batch, inputs.staged.of_minute)
        planner = self._planner(settings, compares=bool(numbers) or len({its.system for its in inputs.by_profile}) > 1)
        for part in resolution.parts():
            view = known.view(part.planned)
            calls = waiting.made_whole(resolution, part.planned, view.items) if waiting else part.planned
            known.bring_along(planner.see(calls, view))
            await anyio.lowlevel.checkpoint()
        known.question(resolution.contradicted)
        for some in known.waiting(waiting.shapes) if waiting else ():
            found = waiting.with_lead(resolution, some) if waiting else None
            if found is not None and found.calls.height:
                planner.find(found.calls, found.places, known.view(found.calls))
        for items in known.carried(settings.batch.settings_fingerprint, settings.plan):
            planner.carry(items)
        for items in known.parked(settings.batch.settings_fingerprint):
            planner.park(items)
        plan = planner.plan(resolution.in_question.rows(resolution.tally.rejects))
        resolution.reject(plan.rejects, plan.leadless_rejects)
        self.fingerprints = resolution.fingerprints()
        known_rejects = ledger.known_rejects(self.fingerprints.values())
        resolution.tally.known_rejects |= {place for place, one in self.fingerprints.items() if one in known_rejects}
        return plan

    def of_batch(self, batch_id: str) -> Plan:
        """Return what to do about calls that the CRM has, where earlier runs have left changes to make. What is pending
        comes along when the plan is entered."""
        shaping = queries.batch_settings(self.ledger.database, batch_id)
        batch = models.Batch(batch_id, (), shaping, mapping.settings_fingerprint(shaping))
        planner = self._planner(self._settings(batch), compares=False)
        approved = self.settings.plan is not None
        for items in self.ledger.known_calls().parked(batch.settings_fingerprint, batch_id if approved else None):
            planner.park(items)
        plan = planner.plan(pl.DataFrame())
        # The guards have judged an approved plan before it was begun.
        return replace(plan, stopped_by=None) if approved else plan

    def _planner(self, settings: PlanSettings, *, compares: bool) -> Planner:
        # A planned call has its payload, so it takes several times the memory of a staged one.
        by_key, by_phone = (self.area.partitions(share=2) for _ in range(2))
        return Planner(settings, by_key, by_phone, compares)

    def _waiting_calls(self, inputs: Inputs) -> WaitingCalls | None:
        """Where leads are looked for, they are also looked for of the calls that wait."""
        if not (self.settings.find_leads or self.settings.leads):
            return None
        return WaitingCalls({mapping.settings_fingerprint(inputs.shape(its)): its for its in inputs.by_profile})

    def _settings(self, batch: models.Batch, of_minute: frozenset[int] = frozenset()) -> PlanSettings:
        its = self.settings
        shapes = self.waiting.shapes if self.waiting else {}
        return PlanSettings(
            batch=batch,
            account_id=self.account.id,
            now=self.now,
            of_minute=of_minute,
            on_change=its.on_change,
            only_recordings=its.recordings_only,
            overwrite=its.overwrite,
            allow_updates=its.allow_updates,
            shapes={source: shape for shape, of in shapes.items() for source in of.sources},
            keeps_waiting=self.waiting is not None and bool(its.lead_grace),
            asks_crm=its.find_leads,
            plan=its.plan.upper() if its.plan else None,
        )
