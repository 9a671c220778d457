"""The story of an import, top to bottom.

check  stage the calls of the files → find lead and agent → report; no network, no ledger
run    open the files → whose CRM is it → its ledger, held by this run alone → stage the calls → find lead and agent →
       enrol whole → does the CRM know more than the ledger? → deliver → look up what came into doubt → change what
       changed → report
plan   run without the delivery, on a copy of the ledger
"""

import contextlib
import functools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import anyio.lowlevel

from callimport import report
from callimport.core import endings, errors, mapping, models, plurals
from callimport.core import settings as config
from callimport.core.clock import Drift
from callimport.core.decisions import Entered, Plan, PlanSettings
from callimport.core.errors import ExitCode
from callimport.core.signals import Interruption, interruptible
from callimport.crm import account
from callimport.crm.client import Destination, connected
from callimport.crm.rate_limit import Pacer
from callimport.crm.retry import Courier
from callimport.ledger import Ledger, queries
from callimport.load import account_ledger, recordings_due
from callimport.load.audio_check import AudioCheck
from callimport.load.audio_files import Folder
from callimport.load.existing_calls import Existing
from callimport.load.lead_list import Bulk
from callimport.load.load import Sending
from callimport.load.recording_names import Names
from callimport.load.recordings import Uploaded, Uploading
from callimport.load.updates import Updating
from callimport.plan.planner import Planner
from callimport.report import output_files
from callimport.report.summary import Reckoning
from callimport.resolve.crm_questions import Inquiry
from callimport.resolve.inputs import Inputs
from callimport.resolve.resolution import Resolution
from callimport.resolve.waiting_calls import WaitingCalls
from callimport.transform.counts import Tally
from callimport.transform.staging import Staging

_USUAL_RATE = config.rate(config.DEFAULT_RATE)


@dataclass(frozen=True, slots=True)
class Tools:
    """What a run needs from outside: time, chance, somebody to talk to, a person to ask if there is one."""

    clock: models.Clock
    talk: report.Talk
    rng: random.Random = field(default_factory=random.Random)
    ask: Callable[[str], str] | None = None
    hears_signals: bool = True
    connect: Callable[..., contextlib.AbstractAsyncContextManager[Destination]] = connected


def check(settings: config.Settings, tools: Tools, *, html: Path | None = None) -> endings.Result:
    """What an import would make of these files, seen offline. Raises ImporterError where they cannot be read."""
    with Staging(config.state_path(settings)) as area:
        return _check(settings, tools, area, html)


def _check(settings: config.Settings, tools: Tools, area: Staging, html: Path | None) -> endings.Result:
    output_files.refuse_unfit(settings, html)
    began = tools.clock.monotonic()
    inputs = Inputs(settings, tools.clock.wall(), area)
    _say_what_it_is(inputs, tools)
    if not inputs.finds_leads:
        tools.talk.warn("no lead_id column and no --leads FILE: the rows are checked, but no call could find its lead")
    hearing = AudioCheck.of(settings, inputs.by_profile)
    for _ in inputs.staged.stage():
        pass
    resolution = inputs.resolution()
    for part in resolution.parts():
        if hearing is not None:
            hearing.see(part.calls)
    resolution.reject()
    too_many = _too_many_rejects(settings, resolution)
    written = output_files.write(settings, inputs, resolution)
    reckoning = Reckoning(
        Ledger.of_nothing(tools.clock),
        Entered(),
        inputs.batch.id,
        resolution.tally,
        inputs.sources,
        tools.clock.monotonic() - began,
        would_be_sent=resolution.tally.calls,
        audio=hearing.found(settings.rates or (_USUAL_RATE,)) if hearing else None,
        told=(
            *inputs.unused_told,
            *resolution.agents.told(),
            *resolution.duplicates.told(inputs.exports.name_of),
            *_numbers_to_look_up(settings, resolution),
            *written,
        ),
        stopped_by=too_many,
        fail_on=settings.fail_on,
    )
    result = reckoning.result(rejects=settings.rejects)
    if html is not None:
        report.write_html(html, result, files=tuple(opened.name for opened in inputs.sources))
        result = replace(result, told=(*result.told, f"page {html}: the report, for whoever made the export"))
    return result


async def run(settings: config.Settings, tools: Tools) -> endings.Result:
    """Import the files, or go on with what is pending of the last batch where there are none.

    Raises ImporterError for whatever shows before anything is sent; what comes later is part of the result.
    """
    interruption = Interruption()
    return await interruption.until_asked(
        functools.partial(_run, settings, tools, interruption),
        hears_signals=tools.hears_signals,
        at_most_seconds=settings.max_duration.total_seconds() if settings.max_duration is not None else None,
    )


async def _run(settings: config.Settings, tools: Tools, interruption: Interruption) -> endings.Result:
    with Staging(config.state_path(settings)) as area:
        return await _run_staged(settings, tools, interruption, area)


async def _run_staged(
    settings: config.Settings, tools: Tools, interruption: Interruption, area: Staging
) -> endings.Result:
    began = tools.clock.monotonic()
    with interruptible():
        inputs, target = _prepare(settings, tools, area)
    pacer, drift = Pacer(settings.rates, tools.clock.monotonic, tools.rng), Drift(tools.clock)
    async with tools.connect(target.base_url, target.token, connections=settings.concurrency) as crm:
        whose = account.choose(await Courier(crm, pacer, tools.rng).accounts(), settings.account)
        with interruptible():
            account.confirm(target, whose, settings, tools.ask)
        with account_ledger.of_a_run(settings, tools.clock, target, whose, tools.talk.say) as ledger:
            inquiry = Inquiry(settings, Courier(crm, pacer, tools.rng), whose, tools.clock.wall(), tools.talk)
            crossing = Crossing(
                settings, tools, interruption, began, inputs, area, whose, crm, pacer, drift, ledger, inquiry
            )
            return await (crossing.plan() if settings.dry_run else crossing.deliver())


def _prepare(settings: config.Settings, tools: Tools, area: Staging) -> tuple[Inputs | None, config.Target]:
    """Check the settings and open the files: all work that needs neither the CRM nor the ledger."""
    output_files.refuse_unfit(settings)
    if settings.resume and settings.files:
        raise errors.ConfigError("--resume goes on with a batch from the ledger: leave the files out")
    if settings.recordings_only and settings.recordings is None:
        raise errors.ConfigError("--recordings-only uploads recordings: name their folder with --recordings DIR")
    if settings.recordings is not None:
        # Before the first call, not after the last.
        Folder(settings.recordings, 0)
    if settings.pilot is not None and settings.limit is not None:
        raise errors.ConfigError("--pilot says how many calls are sent, and so does --limit: leave one out")
    if settings.adopt and settings.plan:
        raise errors.ConfigError("--adopt changes what is left to send: adopt without --plan, then plan the rest")
    inputs = Inputs(settings, tools.clock.wall(), area) if settings.files else None
    if inputs is not None and not inputs.finds_leads:
        raise errors.SchemaMismatch(
            f"{inputs.sources[0].name} has no lead_id column, so no call can find its lead: "
            "give --leads FILE with the columns phone and lead_id, or --find-leads"
        )
    if inputs is not None:
        _say_what_it_is(inputs, tools)
    return inputs, config.target(settings)


@dataclass(slots=True)
class Crossing:
    """One run, once it is known which calls, whose CRM and which ledger."""

    settings: config.Settings
    tools: Tools
    interruption: Interruption
    began: float
    inputs: Inputs | None
    area: Staging
    account: models.Account
    crm: Destination
    pacer: Pacer
    drift: Drift
    ledger: Ledger
    inquiry: Inquiry
    resolution: Resolution | None = None
    waiting: WaitingCalls | None = None
    # Of the rows that this run rejects.
    fingerprints: dict[models.Place, str] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    existing: Existing = field(init=False)

    async def plan(self) -> endings.Result:
        """What `deliver` would do. The ledger of a dry run is a copy."""
        plan = await self._made_plan()
        entered, batch_id = self._enter(None, plan)
        stopped_by = (plan.stopped_by if plan else None) or _too_many_rejects(self.settings, self.resolution)
        self._write_files()
        updating = self._updating(entered, batch_id)
        sending = self._sending(updating, batch_id)
        try:
            updating.brake()
            await sending.look_first(batch_id)
            await self.existing.tell_cost(self.pacer.allowed_per_minute)
        except errors.GuardStopped as error:
            # The counts are worth having all the same.
            stopped_by = stopped_by or error
        uploaded = await self._uploading(batch_id).run(None, plan_only=True)
        self._close_waiting(is_plan=True)
        has_code = not (self.settings.adopt or self.settings.recordings_only or stopped_by)
        return self._reckoning(entered, batch_id, updating, uploaded, stopped_by=stopped_by).result(
            rejects=self.settings.rejects,
            plan=plan.code if plan and has_code else None,
            destination=self.settings.destination,
        )

    async def deliver(self) -> endings.Result:
        """Plan and write the plan down; then send, and tell what became of every call."""
        goes_on = self._goes_on_with_the_plan()
        if self.inputs is None and not goes_on:
            self._batch_to_go_on_with()
        run_id = new_run_id(self.tools)
        found = self.ledger.start_run(run_id)
        if found:
            self.tools.talk.warn(
                f"{plurals.calls(found)} under way when an earlier run ended: in doubt until they are looked up"
            )
        with self._end_recorded(run_id):
            plan = None if goes_on else await self._made_plan()
            if plan is not None:
                self._refuse(plan)
            entered, batch_id = self._enter(run_id, plan)
            self._write_files()
            # Sending may take days.
            self.area.close()
            only = self.settings.recordings_only
            updating = self._updating(entered, batch_id)
            sending = self._sending(updating, batch_id)
            stopped_by = sending.names_only() if only else await sending.run(run_id, batch_id)
            if self.settings.adopt and not only:
                self.ledger.acknowledge_others()
            uploading = self._uploading(batch_id)
            uploaded = uploading.left_alone() if stopped_by else await uploading.run(run_id)
            stopped_by = stopped_by or uploaded.stopped_by
            self._close_waiting(is_plan=False)
            reckoning = self._reckoning(entered, batch_id, updating, uploaded, run_id, stopped_by)
            result = reckoning.result(rejects=self.settings.rejects, destination=self.settings.destination)
            self._note_rejects(ExitCode(result.summary.exit_code))
            self.ledger.end_run(run_id, result.summary.exit_code, result.error)
        return result

    @contextlib.contextmanager
    def _end_recorded(self, run_id: str) -> Iterator[None]:
        """However the block is left, short of being killed, the ledger says that the run has ended."""
        try:
            yield
        except BaseException as error:
            code = error.exit_code if isinstance(error, errors.ImporterError) else self.interruption.exit_code
            with contextlib.suppress(errors.LedgerError):
                why = str(error) if isinstance(error, errors.ImporterError) else None
                self.ledger.end_run(run_id, code or errors.ExitCode.STOPPED, why)
            raise

    # Plan

    async def _made_plan(self) -> Plan | None:
        """Stage the calls of the files, find lead and agent, and decide on each. None for a run without files."""
        inputs = self.inputs
        if inputs is None:
            return None
        for _ in inputs.staged.stage(self.ledger.settled_rows()):
            # Between two chunks Ctrl-C is heard.
            await anyio.lowlevel.checkpoint()
        resolution = self.resolution = inputs.resolution()
        resolution.account_id = self.account.id
        waiting = self.waiting = self._waiting_calls(inputs)
        numbers = self.ledger.waiting_numbers(waiting.shapes) if waiting else set()
        await self.inquiry.answer(inputs, resolution, self.ledger, numbers)
        known = self.ledger.known_calls()
        settings = self._plan_settings(inputs)
        compares = bool(numbers) or len({its.system for its in inputs.by_profile}) > 1
        planner = Planner(settings, self.area.partitions(), self.area.partitions(), compares)
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
        known_rejects = self.ledger.known_rejects(self.fingerprints.values())
        resolution.tally.known_rejects |= {place for place, one in self.fingerprints.items() if one in known_rejects}
        return plan

    def _waiting_calls(self, inputs: Inputs) -> WaitingCalls | None:
        """Where leads are looked for, they are also looked for of the calls that wait."""
        if not (self.settings.find_leads or self.settings.leads):
            return None
        return WaitingCalls({mapping.settings_fingerprint(inputs.shape(its)): its for its in inputs.by_profile})

    def _plan_settings(self, inputs: Inputs) -> PlanSettings:
        its = self.settings
        shapes = self.waiting.shapes if self.waiting else {}
        return PlanSettings(
            batch=inputs.batch,
            account_id=self.account.id,
            now=self.tools.clock.wall(),
            of_minute=inputs.staged.of_minute,
            on_change=its.on_change,
            overwrite=its.overwrite,
            allow_updates=its.allow_updates,
            shapes={source: shape for shape, of in shapes.items() for source in of.sources},
            keeps_waiting=self.waiting is not None and bool(its.lead_grace),
            asks_crm=its.find_leads,
            plan=its.plan.upper() if its.plan else None,
        )

    def _refuse(self, plan: Plan) -> None:
        """Raise GuardStopped where the plan must not be carried out; the ledger is as it was."""
        if plan.stopped_by is not None:
            raise plan.stopped_by
        if self.settings.plan is not None and plan.code != self.settings.plan.upper():
            raise errors.GuardStopped(
                f"the plan is {plan.code} now, not {self.settings.plan}: files, settings or ledger changed since, or "
                "the plan was begun: look at run --dry-run again, then give the new code"
            )
        if too_many := _too_many_rejects(self.settings, self.resolution):
            # Said with every reason at hand.
            self._write_files()
            raise too_many

    def _enter(self, run_id: str | None, plan: Plan | None) -> tuple[Entered, str]:
        """Write the plan down; or take up a batch of before. Returns what the calls came to, and the batch."""
        if plan is None:
            approved = self.settings.plan.upper() if self.settings.plan else None
            batch_id = (queries.batch_of_plan(self.ledger.database, approved) if approved else None) or (
                self._batch_to_go_on_with()
            )
            return Entered(carried=self.ledger.resume(run_id, batch_id, approved)), batch_id
        plan = replace(plan, is_bound=self.settings.plan is not None)
        return replace(Entered.by(plan), carried=self.ledger.enter(run_id, plan)), plan.settings.batch.id

    def _goes_on_with_the_plan(self) -> bool:
        """Whether the plan that is asked for was begun: it goes on from the ledger. Raises GuardStopped where other
        files or settings are given."""
        if self.settings.plan is None:
            return False
        code = self.settings.plan.upper()
        batch_id = queries.batch_of_plan(self.ledger.database, code)
        if batch_id is None and self.inputs is None:
            raise errors.ConfigError(f"the ledger knows no plan {code}: name the files that it is of")
        if batch_id is not None and self.inputs is not None and self.inputs.batch.id != batch_id:
            raise errors.GuardStopped(
                f"the plan {code} was approved for other files or other settings (batch {batch_id}): give the same "
                "ones, or no files at all; for these, look at run --dry-run and give its code"
            )
        if batch_id is not None:
            self.told += tuple(queries.left_plan(self.ledger.database, code))
        return batch_id is not None

    def _write_files(self) -> None:
        self.told += output_files.write(self.settings, self.inputs, self.resolution)

    def _note_rejects(self, exit_code: ExitCode) -> None:
        """What this run has reported needs no report by the next one."""
        if exit_code in (ExitCode.ROWS_FAILED, ExitCode.IN_DOUBT):
            self.ledger.note_rejects(self.fingerprints.values())

    def _batch_to_go_on_with(self) -> str:
        batch_id = (self.settings.resume or "").upper() or queries.last_batch(self.ledger.database)
        if batch_id is None:
            raise errors.ConfigError("the ledger holds no batch to go on with: name the files to import")
        if not queries.knows_batch(self.ledger.database, batch_id):
            raise errors.ConfigError(
                f"the ledger knows no batch {batch_id}: callimport status lists those that have pending calls"
            )
        if not self.settings.reference and not queries.is_unmarked(self.ledger.database, batch_id):
            raise errors.ConfigError(
                "the calls of this batch were enrolled with their references: to send what is left without, name the "
                "files again with --no-reference"
            )
        return batch_id

    def _stops_early(self) -> bool:
        its = self.settings
        return any((its.limit, its.pilot, its.recordings_only, its.max_duration))

    def _updating(self, entered: Entered, batch_id: str) -> Updating:
        return Updating(self.settings, self.tools.clock, self.tools.talk.say, self.ledger, entered, batch_id)

    def _sending(self, updating: Updating, batch_id: str) -> Sending:
        tools = self.tools
        courier = Courier(self.crm, self.pacer, tools.rng)
        bulk = Bulk(courier, self.ledger, tools.clock, tools.rng, tools.talk.say)
        self.existing = Existing(self.settings, self.ledger, courier, batch_id, tools.talk.warn, tools.clock, bulk)
        return Sending(
            self.settings, tools.clock, tools.talk, tools.rng, self.interruption, self.crm, self.pacer, self.drift,
            self.ledger, updating, self.existing,
        )  # fmt: skip

    def _uploading(self, batch_id: str) -> Uploading:
        tools, inputs, ledger = self.tools, self.inputs, self.ledger
        if inputs is not None:
            naming = {its.system: Names.of(its.profile, its.zone, self.settings.dialling) for its in inputs.by_profile}
        else:
            naming = recordings_due.names_of_batch(ledger.database, batch_id, self.settings.dialling)
        courier = Courier(self.crm, self.pacer, tools.rng)
        return Uploading(self.settings, tools.clock, tools.talk, self.interruption, courier, self.pacer, ledger, naming)

    def _told_of_files(self) -> Iterator[str]:
        if self.inputs is not None and self.resolution is not None:
            yield from self.inputs.unused_told
            yield from self.resolution.agents.told()
            yield from self.resolution.duplicates.told(self.inputs.exports.name_of)

    def _told_of_plans(self) -> list[str]:
        """Without files, a batch goes on whole."""
        if self.inputs is None and self.settings.plan is None:
            return []
        return queries.bound_elsewhere(self.ledger.database, self.settings.plan and self.settings.plan.upper())

    def _close_waiting(self, *, is_plan: bool) -> None:
        """A step of its own, at the end: what was sent by now is accounted for, whatever becomes of this. Whoever is
        killed on the way tells nobody of calls that were given up, and the next run would find nothing to tell of."""
        if self.waiting is None or self.resolution is None:
            return
        now, grace = self.tools.clock.wall(), self.settings.lead_grace
        try:
            told = self.waiting.closed(
                self.ledger, self.resolution, now, grace, asked_crm=self.settings.find_leads, is_plan=is_plan
            )
            self.told = (*told, *self.told)
        except errors.LedgerError as error:
            self.told += (f"which calls wait for a lead is not known, and none was given up: {error}",)

    def _reckoning(
        self,
        entered: Entered,
        batch_id: str,
        updating: Updating,
        uploaded: Uploaded,
        run_id: str | None = None,
        stopped_by: errors.ImporterError | None = None,
    ) -> Reckoning:
        return Reckoning(
            ledger=self.ledger,
            entered=entered,
            batch_id=batch_id,
            tally=self.resolution.tally if self.resolution else Tally(),
            sources=self.inputs.sources if self.inputs else (),
            elapsed_seconds=self.tools.clock.monotonic() - self.began,
            run_id=run_id,
            requests=self.pacer.requests,
            rate_limited=self.pacer.rate_limited,
            work_may_be_left=run_id is not None and (self._stops_early() or bool(self.existing.unread)),
            is_pilot=run_id is not None and self.settings.pilot is not None,
            stopped_by=stopped_by,
            interrupted=self.interruption.exit_code,
            fail_on=self.settings.fail_on,
            updates=updating.account(),
            recordings=uploaded.counts,
            unattached=uploaded.unattached,
            told=(
                *self._told_of_files(),
                *self.told,
                *self.existing.told,
                *self._told_of_plans(),
            ),
        )


def _too_many_rejects(settings: config.Settings, resolution: Resolution | None) -> errors.GuardStopped | None:
    if settings.max_rejects is None or resolution is None:
        return None
    return settings.max_rejects.guard(len(resolution.tally.rejects), resolution.tally.read)


def _numbers_to_look_up(settings: config.Settings, resolution: Resolution) -> tuple[str, ...]:
    numbers = len(resolution.unknown_callers.numbers()) if settings.find_leads else 0
    leadless = plurals.calls(resolution.tally.skipped[models.Skip.NO_LEAD])
    told = f"{leadless} of {numbers:,} numbers have no lead in the files"
    return (f"{told}: run looks them up in the CRM (--find-leads)",) if numbers else ()


def _say_what_it_is(inputs: Inputs, tools: Tools) -> None:
    for line in inputs.told:
        tools.talk.say(line)


def new_run_id(tools: Tools) -> str:
    return f"{tools.clock.wall():%Y%m%dT%H%M%SZ}-{tools.rng.getrandbits(24):06x}"
