"""The story of an import, top to bottom.

check  stage the calls of the files → find lead and agent → report; no network, no ledger
run    open the files → whose CRM is it → its ledger, held by this run alone → stage the calls → find lead and agent →
       enrol whole → does the CRM know more than the ledger? → deliver → look up what came into doubt → change what
       changed → report
plan   run without the delivery, on a copy of the ledger
"""

import contextlib
import functools
import itertools
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
from callimport.core.signals import Interruption, interruptible
from callimport.crm import account
from callimport.crm.client import Destination, connected
from callimport.crm.rate_limit import Pacer
from callimport.crm.retry import Courier
from callimport.ledger import Enrolled, Ledger, queries
from callimport.load import account_ledger, recordings_due
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
from callimport.resolve.resolution import Resolution
from callimport.resolve.waiting_calls import Latecomers
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
    enrolled = Enrolled()
    too_many = _too_many_rejects(settings, resolution, enrolled)
    written = output_files.write(settings, inputs, resolution, enrolled)
    reckoning = Reckoning(
        Ledger.of_nothing(tools.clock),
        enrolled,
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
    late: Latecomers | None = None
    told: tuple[str, ...] = ()
    existing: Existing = field(init=False)

    async def plan(self) -> endings.Result:
        """What `deliver` would do. The ledger of a dry run is a copy already."""
        enrolled, batch_id = await self._enrol(self.ledger, None)
        stopped_by = _too_many_rejects(self.settings, self.resolution, enrolled)
        self._write_files(enrolled)
        updating = self._updating(self.ledger, enrolled, batch_id)
        sending = self._sending(updating, batch_id)
        try:
            updating.brake()
            await sending.look_first(batch_id)
            await self.existing.tell_cost(self.pacer.allowed_per_minute)
        except errors.GuardStopped as error:
            # The counts are worth having all the same.
            stopped_by = stopped_by or error
        uploading = self._uploading(self.ledger, batch_id)
        uploaded = await uploading.run(None, plan_only=True)
        self._close_latecomers(is_plan=True)
        code = self._code(self.ledger, updating, uploading.due, batch_id)
        return self._reckoning(self.ledger, enrolled, batch_id, updating, uploaded, stopped_by=stopped_by).result(
            rejects=self.settings.rejects,
            plan=None if self.settings.adopt or self.settings.recordings_only or stopped_by else code,
            destination=self.settings.destination,
        )

    async def deliver(self) -> endings.Result:
        """Enrol whole, then send, and tell what became of every call."""
        await self._hold_to_the_plan()
        if self.inputs is None:
            self._batch_to_go_on_with()
        run_id = new_run_id(self.tools)
        found = self.ledger.start_run(run_id)
        if found:
            self.tools.talk.warn(
                f"{plurals.calls(found)} under way when an earlier run ended: in doubt until they are looked up"
            )
        with self._end_recorded(run_id):
            enrolled, batch_id = await self._enrol(self.ledger, run_id)
            self._write_files(enrolled)
            # Sending may take days.
            self.area.close()
            only = self.settings.recordings_only
            updating = self._updating(self.ledger, enrolled, batch_id)
            sending = self._sending(updating, batch_id)
            stopped_by = sending.names_only() if only else await sending.run(run_id, batch_id)
            if self.settings.adopt and not only:
                self.ledger.acknowledge_others()
            uploading = self._uploading(self.ledger, batch_id)
            uploaded = uploading.left_alone() if stopped_by else await uploading.run(run_id)
            stopped_by = stopped_by or uploaded.stopped_by
            self._close_latecomers(is_plan=False)
            reckoning = self._reckoning(self.ledger, enrolled, batch_id, updating, uploaded, run_id, stopped_by)
            result = reckoning.result(rejects=self.settings.rejects, destination=self.settings.destination)
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

    def _write_files(self, enrolled: Enrolled) -> None:
        self.told += output_files.write(self.settings, self.inputs, self.resolution, enrolled)

    async def _enrol(self, ledger: Ledger, run_id: str | None) -> tuple[Enrolled, str]:
        inputs = self.inputs
        if inputs is None:
            batch_id = self._batch_to_go_on_with()
            return ledger.resume(run_id, batch_id), batch_id
        marks = frozenset[str]().union(*(ledger.origins(its.system) for its in inputs.by_profile))
        for _ in inputs.staged.stage(marks):
            # Between two chunks Ctrl-C is heard.
            await anyio.lowlevel.checkpoint()
        resolution = self.resolution = inputs.resolution()
        late = self.late = None
        if self.settings.find_leads or self.settings.leads:
            now, grace = self.tools.clock.wall(), self.settings.lead_grace
            asks_crm = self.settings.find_leads
            late = self.late = Latecomers(ledger, inputs, resolution, now, grace, asks_crm=asks_crm)
        await self.inquiry.answer(inputs, resolution, ledger, late.numbers if late else ())
        batch = late.batch() if late else inputs.batch
        with ledger.enrolment(run_id, batch) as enrolment:
            for part in resolution.parts():
                enrolment.see(resolution.sightings(part, self.account.id))
                if late is not None:
                    late.gather(resolution.leadless(part, self.account.id))
                # Ctrl-C is heard here, too; the ledger is then as it was before.
                await anyio.lowlevel.checkpoint()
            enrolment.note_origins(resolution.origins.mended_calls(), resolution.origins.repeated_calls())
            enrolment.note_contradicted(resolution.contradicted)
            if late is not None:
                late.see(enrolment, batch)
            enrolled = enrolment.enter()
            if run_id is not None and (too_many := _too_many_rejects(self.settings, resolution, enrolled)):
                # Said with every reason at hand, and the ledger is as it was.
                self._write_files(enrolled)
                raise too_many
            if late is not None:
                enrolled = late.entered(enrolled, batch)
            return enrolled, batch.id

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

    async def _hold_to_the_plan(self) -> None:
        """With --plan: nothing but that plan is sent."""
        if self.settings.plan is None:
            return
        copy = self.ledger.snapshot()
        enrolled, batch_id = await self._enrol(copy, None)
        due = await self._uploading(copy, batch_id).look()
        code = self._code(copy, self._updating(copy, enrolled, batch_id), due, batch_id)
        if code != self.settings.plan.upper():
            raise errors.GuardStopped(
                f"the plan is {code} now, not {self.settings.plan}: files, settings or ledger changed since, or "
                "the plan was begun: look at run --dry-run again, then give the new code"
            )

    def _stops_early(self) -> bool:
        its = self.settings
        return any((its.limit, its.pilot, its.recordings_only, its.max_duration))

    def _code(self, ledger: Ledger, updating: Updating, due: recordings_due.Due, batch_id: str) -> str:
        """Of a plan: what it would create, what it would change and upload, and over what it would write."""
        its = self.settings
        planned = itertools.chain(
            queries.to_send(ledger.database, batch_id),
            updating.to_send(),
            due.planned(),
            [("known calls", f"{its.on_change} overwrite={its.overwrite}")],
        )
        return mapping.plan_code(batch_id, self.account.id, planned)

    def _updating(self, ledger: Ledger, enrolled: Enrolled, batch_id: str) -> Updating:
        return Updating(self.settings, self.tools.clock, self.tools.talk.say, ledger, enrolled, batch_id)

    def _sending(self, updating: Updating, batch_id: str) -> Sending:
        tools = self.tools
        courier = Courier(self.crm, self.pacer, tools.rng)
        bulk = Bulk(courier, self.ledger, tools.clock, tools.rng, tools.talk.say)
        self.existing = Existing(self.settings, self.ledger, courier, batch_id, tools.talk.warn, tools.clock, bulk)
        return Sending(
            self.settings, tools.clock, tools.talk, tools.rng, self.interruption, self.crm, self.pacer, self.drift,
            self.ledger, updating, self.existing,
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
        if self.inputs is not None and self.resolution is not None:
            yield from self.inputs.unused_told
            yield from self.resolution.agents.told()
            yield from self.resolution.duplicates.told(self.inputs.exports.name_of)

    def _close_latecomers(self, *, is_plan: bool) -> None:
        """A step of its own: what was sent by now is accounted for, whatever becomes of this."""
        if self.late is not None:
            try:
                self.told = (*self.late.close(is_plan=is_plan), *self.told)
            except errors.LedgerError as error:
                self.told += (f"which calls wait for a lead is not known, and none was given up: {error}",)

    def _reckoning(
        self,
        ledger: Ledger,
        enrolled: Enrolled,
        batch_id: str,
        updating: Updating,
        uploaded: Uploaded,
        run_id: str | None = None,
        stopped_by: errors.ImporterError | None = None,
    ) -> Reckoning:
        return Reckoning(
            ledger=ledger,
            enrolled=enrolled,
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
            ),
        )


def _too_many_rejects(
    settings: config.Settings, resolution: Resolution | None, enrolled: Enrolled
) -> errors.GuardStopped | None:
    if settings.max_rejects is None or resolution is None:
        return None
    return settings.max_rejects.guard(len(resolution.tally.rejects) + len(enrolled.rejects), resolution.tally.read)


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
