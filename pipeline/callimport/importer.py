"""The story of an import, top to bottom.

check    stage the calls of the files → find lead and agent → report; no network, no ledger
run      open the files → whose CRM is it → its ledger, held by this run alone → plan: stage the calls, find lead and
         agent, decide on each → enter the plan whole → does the CRM know more than the ledger? → deliver → look up what
         came into doubt → change what changed → report
dry run  the same up to the plan, with the ledger read only → does the CRM know more than the ledger? → report
"""

import contextlib
import functools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from callimport import report
from callimport.core import endings, errors, models, plurals
from callimport.core import settings as config
from callimport.core.clock import Drift
from callimport.core.decisions import Entered, Plan, updates_as_text
from callimport.core.errors import ExitCode
from callimport.core.signals import Interruption, interruptible
from callimport.crm import account
from callimport.crm.client import Destination, connected
from callimport.crm.rate_limit import Pacer
from callimport.crm.retry import Courier
from callimport.ledger import Ledger, queries
from callimport.ledger.planned import PlannedLedger
from callimport.load import account_ledger, planned_updates, recordings_due
from callimport.load.audio_check import AudioCheck
from callimport.load.audio_files import Folder
from callimport.load.existing_calls import Existing
from callimport.load.lead_list import Bulk
from callimport.load.load import Sending
from callimport.load.recording_names import Names
from callimport.load.recordings import Uploaded, Uploading
from callimport.load.updates import Updating
from callimport.report import output_files
from callimport.report.summary import Reckoning
from callimport.resolve.crm_questions import Inquiry
from callimport.resolve.inputs import Inputs
from callimport.resolve.planning import Planning
from callimport.resolve.resolution import Resolution
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
        tools.talk.warn(
            "no call can find its lead (no lead_id column, no --leads FILE): only rows are checked; give --leads FILE"
        )
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
        endings.Standing(items=Counter({models.ItemStatus.PENDING: resolution.tally.calls})),
        Entered(),
        inputs.batch.id,
        resolution.tally,
        inputs.sources,
        tools.clock.monotonic() - began,
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
    """Import the files. Without files, go on with the batch of --plan or --resume, or else with the last batch.

    Returns the result. Raises ImporterError if the run stops before anything is sent; later errors are in the result.
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
            now = tools.clock.wall()
            inquiry = Inquiry(settings, Courier(crm, pacer, tools.rng), whose, now, tools.talk)
            planning = Planning(settings, now, area, whose, ledger, inquiry)
            crossing = Crossing(settings, tools, interruption, began, inputs, area, crm, pacer, drift, ledger, planning)
            return await (crossing.look_ahead() if settings.dry_run else crossing.deliver())


def _prepare(settings: config.Settings, tools: Tools, area: Staging) -> tuple[Inputs | None, config.Target]:
    """Check the settings and open the files. Returns the inputs (None without files) and the target."""
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
    crm: Destination
    pacer: Pacer
    drift: Drift
    ledger: Ledger
    planning: Planning
    told: tuple[str, ...] = ()
    existing: Existing = field(init=False)

    async def look_ahead(self) -> endings.Result:
        """Tell what `deliver` would do. Nothing is entered or sent."""
        plan = await self._made_plan(goes_on=self._goes_on_with_the_plan())
        stopped_by = plan.stopped_by or self._too_many_rejects()
        self._write_files()
        return await self._told_of(plan, stopped_by)

    async def deliver(self) -> endings.Result:
        """Plan and enter the plan; then send, and tell what became of every call."""
        goes_on = self._goes_on_with_the_plan()
        if self.inputs is None:
            self._batch_to_go_on_with()
        run_id = new_run_id(self.tools)
        found = self.ledger.start_run(run_id)
        if found:
            self.tools.talk.warn(
                f"{plurals.calls(found)} under way when an earlier run ended: in doubt until they are looked up"
            )
        with self._end_recorded(run_id):
            plan = await self._made_plan(goes_on=goes_on)
            stopped_by = self._refusal(plan)
            result = await (self._told_of(plan, stopped_by, run_id) if stopped_by else self._carry_out(plan, run_id))
            self._note_rejects(ExitCode(result.summary.exit_code))
            self.ledger.end_run(run_id, result.summary.exit_code, result.error)
        return result

    async def _told_of(
        self, plan: Plan, stopped_by: errors.ImporterError | None, run_id: str | None = None
    ) -> endings.Result:
        """Tell of a plan that is not entered. A dry run (`run_id` is None) looks at the CRM as a run does before its
        first call, unless a guard stops it before."""
        ledger, batch_id = PlannedLedger(self.ledger, self.tools.clock, plan), plan.settings.batch.id
        sending = self._sending(ledger, batch_id)
        if stopped_by is None:
            try:
                await sending.look_first(batch_id)
                await self.existing.tell_cost(self.pacer.allowed_per_minute)
            except errors.GuardStopped as error:
                # The counts are worth having all the same.
                stopped_by = error
        uploaded = await self._uploading(ledger, batch_id).run(None)
        self._close_waiting(plan)
        has_files = bool(plan.settings.batch.sources)
        is_code_told = has_files and not (self.settings.adopt or self.settings.recordings_only or stopped_by)
        return self._reckoning(
            ledger, replace(Entered.by(plan), carried=ledger.carried), batch_id,
            planned_updates.account(ledger, self.tools.clock), uploaded, run_id, stopped_by,
        ).result(
            rejects=self._rejects_of(plan),
            plan=plan.code if is_code_told else None,
            destination=self.settings.destination,
        )  # fmt: skip

    async def _carry_out(self, plan: Plan, run_id: str) -> endings.Result:
        """Enter the plan, send what it says, and tell what became of every call."""
        ledger, batch_id, only = self.ledger, plan.settings.batch.id, self.settings.recordings_only
        entered = self._enter(run_id, plan)
        self._write_files()
        # Sending may take days.
        self.area.close()
        updating = Updating(self.settings, self.tools.clock, self.tools.talk.say, ledger, entered, batch_id)
        sending = self._sending(ledger, batch_id)
        stopped_by: errors.ImporterError | None = None
        if only:
            updating.take_up_known()
        else:
            stopped_by = await sending.run(run_id, batch_id, updating)
        if self.settings.adopt and not only:
            ledger.acknowledge_others()
        uploading = self._uploading(ledger, batch_id)
        uploaded = uploading.left_alone() if stopped_by else await uploading.run(run_id)
        self._close_waiting()
        return self._reckoning(
            ledger, entered, batch_id, updating.account(), uploaded, run_id, stopped_by or uploaded.stopped_by
        ).result(rejects=self._rejects_of(plan), destination=self.settings.destination)

    def _rejects_of(self, plan: Plan) -> Path | None:
        """The reject file, if this run has read files to write it from."""
        return self.settings.rejects if plan.settings.batch.sources else None

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

    async def _made_plan(self, *, goes_on: bool = False) -> Plan:
        """The plan for the calls of the files; without files, or for a plan that was begun, to go on with a batch."""
        if self.inputs is None or goes_on:
            return self.planning.of_batch(self._batch_to_go_on_with())
        return await self.planning.of_files(self.inputs)

    def _refusal(self, plan: Plan) -> errors.GuardStopped | None:
        """Why the plan must not be carried out, if a person must look at it first."""
        if plan.stopped_by is not None:
            return plan.stopped_by
        approved = self.settings.plan and self.settings.plan.upper()
        if plan.settings.batch.sources and approved and plan.code != approved:
            return errors.GuardStopped(
                f"the plan is now {plan.code}, not {self.settings.plan}, because files, settings or ledger changed: "
                "look at run --dry-run again, then give the new code"
            )
        if too_many := self._too_many_rejects():
            # Said with every reason at hand.
            self._write_files()
            return too_many
        return None

    def _too_many_rejects(self) -> errors.GuardStopped | None:
        return _too_many_rejects(self.settings, self.planning.resolution)

    def _enter(self, run_id: str, plan: Plan) -> Entered:
        """Write the plan down; or take up a batch of before."""
        if not plan.settings.batch.sources:
            return Entered(carried=self.ledger.resume(run_id, plan.settings.batch.id, plan.settings.plan))
        plan = replace(plan, is_bound=self.settings.plan is not None)
        return replace(Entered.by(plan), carried=self.ledger.enter(run_id, plan))

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
        if batch_id is None:
            return False
        approved = queries.updates_of_plan(self.ledger.database, code)
        if approved != (now := updates_as_text(self.settings.on_change, overwrite=self.settings.overwrite)):
            raise errors.GuardStopped(f"the plan {code} was approved with {approved}, not with {now}: give that again")
        if self.inputs is not None:
            self.tools.talk.say(
                f"the plan {code} goes on from the ledger: the files are not read again, so nothing is said of their "
                "other rows; run without --plan for that"
            )
        self.told += tuple(queries.left_plan(self.ledger.database, code))
        return True

    def _write_files(self) -> None:
        self.told += output_files.write(self.settings, self.inputs, self.planning.resolution)

    def _note_rejects(self, exit_code: ExitCode) -> None:
        """What this run has reported needs no report by the next one."""
        is_reported = exit_code in (ExitCode.ROWS_FAILED, ExitCode.IN_DOUBT)
        self.ledger.note_rejects(self.planning.fingerprints.values(), are_reported=is_reported)

    def _batch_to_go_on_with(self) -> str:
        approved = queries.batch_of_plan(self.ledger.database, (self.settings.plan or "").upper())
        batch_id = approved or (self.settings.resume or "").upper() or queries.last_batch(self.ledger.database)
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

    def _sending(self, ledger: Ledger, batch_id: str) -> Sending:
        tools = self.tools
        courier = Courier(self.crm, self.pacer, tools.rng)
        bulk = Bulk(courier, ledger, tools.clock, tools.rng, tools.talk.say)
        self.existing = Existing(self.settings, ledger, courier, batch_id, tools.talk.warn, tools.clock, bulk)
        return Sending(
            self.settings, tools.clock, tools.talk, tools.rng, self.interruption, self.crm, self.pacer, self.drift,
            ledger, self.existing,
        )  # fmt: skip

    def _uploading(self, ledger: Ledger, batch_id: str) -> Uploading:
        tools, inputs = self.tools, self.inputs
        if inputs is not None:
            naming = {its.system: Names.of(its.profile, its.zone, self.settings.dialling) for its in inputs.by_profile}
        else:
            naming = recordings_due.names_of_batch(ledger.database, batch_id, self.settings.dialling)
        courier = Courier(self.crm, self.pacer, tools.rng)
        return Uploading(self.settings, tools.clock, tools.talk, self.interruption, courier, self.pacer, ledger, naming)

    def _told_of_files(self) -> Iterator[str]:
        resolution = self.planning.resolution
        if self.inputs is not None and resolution is not None:
            yield from self.inputs.unused_told
            yield from resolution.agents.told()
            yield from resolution.duplicates.told(self.inputs.exports.name_of)

    def _told_of_plans(self) -> list[str]:
        """Without files, a batch goes on whole."""
        if self.inputs is None and self.settings.plan is None:
            return []
        return queries.bound_elsewhere(self.ledger.database, self.settings.plan and self.settings.plan.upper())

    def _close_waiting(self, plan: Plan | None = None) -> None:
        """A step of its own, at the end: what was sent by now is accounted for, whatever becomes of this. Whoever is
        killed on the way tells nobody of calls that were given up, and the next run would find nothing to tell of."""
        waiting, resolution = self.planning.waiting, self.planning.resolution
        if waiting is None or resolution is None:
            return
        now, its = self.tools.clock.wall(), self.settings
        try:
            told = waiting.closed(self.ledger, resolution, now, its.lead_grace, asked_crm=its.find_leads, plan=plan)
            self.told = (*told, *self.told)
        except errors.LedgerError as error:
            self.told += (f"calls without a lead could not be counted, and none was given up: {error}",)

    def _reckoning(
        self,
        ledger: Ledger,
        entered: Entered,
        batch_id: str,
        updates: endings.Updates,
        uploaded: Uploaded,
        run_id: str | None,
        stopped_by: errors.ImporterError | None,
    ) -> Reckoning:
        told_of_plans = self._told_of_plans()
        return Reckoning(
            standing=ledger.standing(batch_id, is_pilot=run_id is not None and self.settings.pilot is not None),
            entered=entered,
            batch_id=batch_id,
            tally=self.planning.resolution.tally if self.planning.resolution else Tally(),
            sources=self.inputs.sources if self.inputs else (),
            elapsed_seconds=self.tools.clock.monotonic() - self.began,
            run_id=run_id,
            requests=self.pacer.requests,
            rate_limited=self.pacer.rate_limited,
            work_may_be_left=run_id is not None and (self._stops_early() or bool(self.existing.unread)),
            ledger=ledger.database.place if run_id else None,
            stopped_by=stopped_by,
            interrupted=self.interruption.exit_code,
            fail_on=self.settings.fail_on,
            updates=updates,
            recordings=uploaded.counts,
            unattached=uploaded.unattached,
            told=(
                *self._told_of_files(),
                *self.told,
                *self.existing.told,
                *told_of_plans,
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
