"""Calls of earlier files that had no lead, and may have one now. They are kept in the ledger for as long as it may take
a salesperson to enter a lead, and go to the CRM with the first run that finds it, whatever files that one has."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from callimport.core import mapping, models, plurals, privacy
from callimport.ledger import Enrolled, Enrolment, Ledger, row_origins, waiting_items
from callimport.resolve.inputs import Inputs
from callimport.resolve.resolution import Resolution

# So many numbers of several leads are told one by one.
_TOLD_AT_MOST = 10


class Latecomers:
    """Of one run, for one enrolment."""

    def __init__(
        self,
        ledger: Ledger,
        inputs: Inputs,
        resolution: Resolution,
        now: datetime,
        grace: timedelta,
        *,
        asks_crm: bool,
    ) -> None:
        self._database = ledger.database
        self._inputs = inputs
        self._resolution = resolution
        self._now = now
        self._grace = grace
        self._asks_crm = asks_crm
        # By profile: its calls wait for a run with files of this profile. That run may have files of other profiles.
        self._sources_of = {mapping.settings_fingerprint(inputs.shape(its)): its.sources for its in inputs.by_profile}
        self._shapes = tuple(self._sources_of)
        waiting_items.begin(self._database)

    @property
    def numbers(self) -> Iterator[str]:
        """Of those that wait; however long: none is given up by a run that has not looked for its lead once more."""
        return waiting_items.numbers(self._database, self._shapes) if self._grace else iter(())

    def batch(self) -> models.Batch:
        """What is enrolled: the files of this run, and those that the calls came from which have found their lead."""
        if self._grace:
            waiting_items.find(self._database, self._shapes, self._whose)
        files = self._inputs.batch.sources
        known = {source.sha256 for source in files}
        more = (
            models.Source(Path(name), sha256, size, 0)
            for sha256, (name, size) in waiting_items.sources(self._database).items()
        )
        return replace(self._inputs.batch, sources=(*files, *(one for one in more if one.sha256 not in known)))

    def _whose(self, phone: str, started_at: int) -> int | None:
        leads = self._resolution.leads_with(phone)
        if leads is None or not leads.knows(phone):
            return None
        return leads.lead_of(phone, datetime.fromtimestamp(started_at, UTC)) or waiting_items.SEVERAL

    def gather(self, leadless: Iterable[models.Sighting]) -> None:
        """Take calls of today's files that have no lead."""
        waiting_items.see(self._database, leadless)

    def see(self, enrolment: Enrolment, batch: models.Batch) -> None:
        """Bring in those that have found their lead, after the calls of the files: what these have, or reject, is
        theirs. Of those that may be one call only the first comes now: by the next run it is known, and the others are
        held beside it.
        """
        places = places_in(batch)
        waiting_items.pass_over(self._database, self._resolution.origins.replaced())
        if self._grace:
            waiting_items.make_whole(self._database, self._shapes)
        waiting_items.stand_back_today(self._database)
        coming = waiting_items.coming(self._database, places)
        rejects = self._resolution.tally.rejects
        waiting_items.stand_back(self._database, self._resolution.in_question.among(coming, rejects))
        waiting_items.stand_apart(self._database)
        enrolment.see(waiting_items.coming(self._database, places))
        self._sift()
        enrolment.note_origins(waiting_items.marks(self._database, places), ())

    def _sift(self) -> None:
        """Those of today's files that begin to wait: none that is a row known under another key."""
        waiting_items.sift(self._database)
        marks = list(self._resolution.origins.mended_calls())
        mended = waiting_items.mended_today(self._database)
        rejects = [
            rejected
            for its in self._inputs.by_profile
            for rejected in row_origins.rejects_of_leadless(
                self._database, mended, [one for one in marks if one[0].source in its.sources], its.system
            )
        ]
        for rejected in rejects:
            self._resolution.reject_leadless(rejected)
        waiting_items.pass_over(self._database, (rejected.place for rejected in rejects))
        waiting_items.drop_passed_over(self._database)

    def entered(self, enrolled: Enrolled, batch: models.Batch) -> Enrolled:
        """Once all is entered: keep the calls of today's files that have no lead. Those of earlier files are counted as
        carried along, as they are no rows of this run."""
        if self._grace:
            for shape, sources in self._sources_of.items():
                waiting_items.keep(self._database, batch, shape, sources, self._now, asks_crm=self._asks_crm)
        waiting_items.forget_items(self._database)
        return replace(enrolled, carried=enrolled.carried + waiting_items.came_along(self._database))

    def close(self, *, is_plan: bool) -> tuple[str, ...]:
        """At the end of the run: give up those whose time is over, and say what became of all; a plan says what would.
        Not before: who is killed on the way tells nobody, and the next run would find nothing to tell of."""
        over = self._now - self._grace
        found = self._resolution.found
        undecided = found.undecided if found is not None and self._grace else ()
        given_up = waiting_items.give_up(
            self._database, self._shapes, over, asked_crm=self._asks_crm, undecided=undecided
        )
        would = "would be " if is_plan else ""
        along = "would come along" if is_plan else "came along"
        back = "it may be the same as one of today's or a rejected row; tried again by the next run"
        in_time, beyond = waiting_items.left(self._database, self._shapes, over)
        lines = (
            (waiting_items.came_along(self._database), f"of earlier files found a lead and {along}"),
            (waiting_items.stood_back(self._database), f"with a lead by now {would}held back: {back}"),
            (in_time, f"without a lead {would}kept: tried again for {self._grace.days} days, whatever files a run has"),
            (beyond, f"without a lead {would}kept until a run asks the CRM once more (--find-leads)"),
            (given_up, f"{would}given up: no lead has come within --lead-grace"),
        )
        return (*(f"{plurals.calls(count)} {what}" for count, what in lines if count), *self._undecided(would))

    def _undecided(self, would: str) -> Iterator[str]:
        """Nobody is given up for having too many leads: a person decides, however late."""
        found = waiting_items.undecided(self._database)
        for phone, calls in found[:_TOLD_AT_MOST]:
            leads = self._resolution.leads_with(phone)
            why = leads.why_undecided(phone) if leads is not None else "several leads have this number"
            yield f"{plurals.calls(calls)} of {privacy.mask_phone(phone)} {would}kept: {why}"
        if more := found[_TOLD_AT_MOST:]:
            calls = sum(count for _, count in more)
            yield f"{plurals.calls(calls)} of {len(more):,} more numbers {would}kept: several leads have each of these"


def places_in(batch: models.Batch) -> Callable[[str, int], models.Place]:
    """Where a row lies of the file with that hash."""
    position = {source.sha256: number for number, source in enumerate(batch.sources)}
    return lambda sha256, row: models.Place(position[sha256], row)
