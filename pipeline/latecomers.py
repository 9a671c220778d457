"""Calls of earlier files that had no lead, and may have one now. They are kept in the ledger for as long as it may take
a salesperson to enter a lead, and go to the CRM with the first run that finds it, whatever files that one has."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline import counted, mapping, model
from pipeline.intake import Intake
from pipeline.ledger import Enrolled, Enrolment, Ledger, leadless, origins


class Latecomers:
    """Of one run, for one enrolment."""

    def __init__(self, ledger: Ledger, intake: Intake, now: datetime, grace: timedelta, *, asks_crm: bool) -> None:
        self._database = ledger.database
        self._intake = intake
        self._now = now
        self._grace = grace
        self._asks_crm = asks_crm
        intake.keeps_leadless = True
        self._shape = mapping.settings_fingerprint(intake.shape)
        # However long they have waited: none is given up by a run that has not looked for its lead once more.
        self._waiting = leadless.waiting(self._database, self._shape) if grace else []
        self._found: list[tuple[leadless.Leadless, int]] = []
        self._held_back: set[str] = set()
        self._today: list[model.Sighting] = []

    @property
    def numbers(self) -> set[str]:
        return {one.call.phone for one in self._waiting}

    def batch(self) -> model.Batch:
        """What is enrolled: the files of this run, and those that the calls came from which have found their lead."""
        for one in self._waiting:
            lead_id = self._intake.lead_of(one.call.phone, datetime.fromtimestamp(one.call.started_at, UTC))
            if lead_id is not None:
                self._found.append((one, lead_id))
        self._held_back = {one.call.key for one, _ in self._found}
        earlier = leadless.sources(self._database, (one.source_sha256 for one, _ in self._found))
        files = self._intake.batch.sources
        known = {source.sha256 for source in files}
        more = (model.Source(Path(name), sha256, size, 0) for sha256, (name, size) in earlier.items())
        return replace(self._intake.batch, sources=(*files, *(one for one in more if one.sha256 not in known)))

    def see(self, enrolment: Enrolment, batch: model.Batch, account_id: int) -> None:
        """Bring in those that have found their lead, after the calls of the files: what these have, or reject, is
        theirs. Of those that may be one call only the first comes now: by the next run it is known, and the others are
        held beside it.
        """
        leadless.make_whole(self._database, self._waiting)
        place = {source.sha256: position for position, source in enumerate(batch.sources)}
        replaced = self._intake.origins.replaced()
        theirs = leadless.seen_today(self._database, (one for one, _ in self._found), replaced)
        theirs |= self._intake.in_question(one.call for one, _ in self._found)
        self._found = leadless.apart([(one, lead_id) for one, lead_id in self._found if one.call.key not in theirs])
        places = {one.call.key: model.Place(place[one.source_sha256], one.call.row) for one, _ in self._found}
        enrolment.see(one.with_lead(lead_id, places[one.call.key]) for one, lead_id in self._found)
        enrolment.note_origins(leadless.marks(self._database, places), ())
        self._see_leadless(account_id)

    def _see_leadless(self, account_id: int) -> None:
        """Those of today's files that begin to wait: none that is a row known under another key."""
        replaced = self._intake.origins.replaced()
        found = [one for one in self._intake.leadless(account_id) if model.Place(one.source, one.row) not in replaced]
        keys = {model.Place(one.source, one.row): one.key for one in found}
        marks = self._intake.origins.mended_calls()
        rejects = list(origins.rejects_of_leadless(self._database, keys, marks, self._intake.system))
        for rejected in rejects:
            self._intake.reject_leadless(rejected)
        places = {rejected.place for rejected in rejects}
        self._today = [one for one in found if model.Place(one.source, one.row) not in places]

    def entered(self, enrolled: Enrolled, batch: model.Batch) -> Enrolled:
        """Once all is entered: keep the calls of today's files that have no lead. Those of earlier files are counted as
        carried along, as they are no rows of this run."""
        if self._grace:
            leadless.keep(self._database, batch, self._shape, self._today, self._now, asks_crm=self._asks_crm)
            keys = {model.Place(one.source, one.row): one.key for one in self._today}
            leadless.keep_marks(self._database, keys, self._intake.origins.mended_calls())
        leadless.forget_items(self._database)
        return replace(enrolled, carried=enrolled.carried + len(self._found))

    def close(self, *, is_plan: bool) -> tuple[str, ...]:
        """At the end of the run: give up those whose time is over, and say what became of all; a plan says what would.
        Not before: who is killed on the way tells nobody, and the next run would find nothing to tell of."""
        over = self._now - self._grace
        given_up = leadless.give_up(self._database, self._shape, over, self._held_back, asked_crm=self._asks_crm)
        left = len(leadless.waiting(self._database, self._shape))
        would = "would be " if is_plan else ""
        along = "would come along" if is_plan else "came along"
        lines = (
            (len(self._found), f"of earlier files found a lead and {along}"),
            (left, f"without a lead {would}kept: tried again for {self._grace.days} days, whatever files a run has"),
            (given_up, f"{would}given up: no lead has come within --lead-grace"),
        )
        return tuple(f"{counted.calls(count)} {what}" for count, what in lines if count)
