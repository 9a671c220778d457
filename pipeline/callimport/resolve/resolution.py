"""Find lead and agent of staged calls: calls with a lead are ready for the ledger, others wait for one."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from callimport.core import mapping, models
from callimport.core.decisions import CALLS
from callimport.core.places import numbered, placed
from callimport.profiles.exports import ProfileFiles
from callimport.resolve import leads, payload
from callimport.resolve.agents import Agents
from callimport.resolve.agents_draft import AgentsFound
from callimport.resolve.unknown_callers import UnknownCallers
from callimport.transform import validate
from callimport.transform.staged_calls import StagedCalls

Reasons = Mapping[int, tuple[models.Reason, ...]]


@dataclass(frozen=True, slots=True)
class Resolved:
    """Calls of one profile's files: with a lead, and without. Columns: PLACE, CONTENT and executed_by (null: nobody is
    named). `planned` are all of them as the plan takes them (CALLS), where it is known whose CRM it is."""

    its: ProfileFiles
    calls: pl.DataFrame
    leadless: pl.DataFrame
    planned: pl.DataFrame


class Resolution:
    """One way through the staged calls, with counts of its own. What is known of leads and agents is set before."""

    def __init__(
        self, staged: StagedCalls, in_file: leads.Leads | None, agents: Agents, *, drafts_agents: bool, with_mark: bool
    ) -> None:
        """`in_file` are the leads of the leads file. `with_mark`: descriptions carry the reference."""
        self._given = staged, in_file, agents, drafts_agents, with_mark
        self._staged = staged
        self.exports = staged.exports
        self._in_file = in_file
        self._with_mark = with_mark
        self.agents = agents.anew()
        # Whose CRM it is; without it there is no key to a call, and none is planned.
        self.account_id: int | None = None
        # What the CRM knows of leads, and the ledger, by keys, of the leads of calls and of their having been sent.
        self.found: leads.Leads | None = None
        self.pins: Callable[[list[str]], Mapping[str, int]] = _no_pins
        self.sent: Callable[[list[str]], Collection[str]] = _no_pins
        self.tally = staged.tally.copy()
        self.origins = staged.origins
        self.in_question = staged.in_question.copy()
        self.duplicates = staged.duplicates()
        self.unknown_callers = UnknownCallers()
        self.agents_found = AgentsFound() if drafts_agents else None
        # The keys of calls that contradict another call.
        self.contradicted: set[str] = set()

    def anew(self) -> "Resolution":
        """Return another way through the calls, with the same knowledge of users and of the ledger."""
        staged, in_file, agents, drafts_agents, with_mark = self._given
        one = Resolution(staged, in_file, agents, drafts_agents=drafts_agents, with_mark=with_mark)
        one.agents.users, one.pins, one.sent = self.agents.users, self.pins, self.sent
        one.found, one.account_id = self.found, self.account_id
        return one

    def parts(self) -> Iterator[Resolved]:
        """Yield all calls, one partition at a time. To be gone through once."""
        for part in self._staged.calls(self.tally, self.in_question, self.duplicates):
            self.contradicted.update(self._keys(part.its, part.contradicting))
            yield self.resolved(part.its, part.calls)

    def knows_lead(self, phone: str) -> bool:
        """Whether the leads file says whose a number is, or that it is of several."""
        return self._in_file is not None and self._in_file.knows(phone)

    def leads_with(self, phone: str) -> leads.Leads | None:
        """Who tells whose a number is: the leads file, or else the CRM where it was asked."""
        return self._in_file if self.knows_lead(phone) else self.found

    def reject(self, by_plan: Iterable[models.RejectedRow] = (), leadless: Iterable[models.RejectedRow] = ()) -> None:
        """Count the rejects of the plan, then reject the rows that were joined to a reject. Call it once, last."""
        for rejected in leadless:
            self.tally.unskip(models.Skip.NO_LEAD, rejected.place)
        for rejected in (*by_plan, *leadless):
            self.tally.reject(rejected)
        self._staged.reject_legs(self.tally)

    def fingerprints(self) -> dict[models.Place, str]:
        """Of the rejected rows: by these the ledger knows them again. The files are read once more."""
        settled = self._staged.origins.settled
        return {
            place: settled.fingerprint(self.exports.of(place.source).system, mark)
            for place, mark in self.exports.marks_of(self.tally.rejects.keys())
        }

    def resolved(self, its: ProfileFiles, staged: pl.DataFrame) -> Resolved:
        """Find lead and agent of staged calls of one profile's files (PLACE, CONTENT), and make their payloads."""
        calls, places = numbered(staged)
        calls = self._with_lead_and_agent(its, calls, places)
        has_lead = pl.col("lead_id").is_not_null()
        known, leadless = calls.filter(has_lead), placed(calls.filter(~has_lead), places)
        self.tally.skip(models.Skip.NO_LEAD, leadless)
        self.unknown_callers.see(leadless)
        known, messages = self._with_payload(its, known, places)
        self.tally.calls += known.height
        return Resolved(its, known, leadless, self._planned(its, known, messages, leadless))

    def _with_payload(
        self, its: ProfileFiles, calls: pl.DataFrame, places: pl.DataFrame
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The calls that are fit to be sent, placed, and what would be sent of each."""
        identified = self._identified(its, placed(calls, places)).with_columns(calls["_row"].alias("_row"))
        messages = payload.communications(identified, with_reference=self._with_mark and self.account_id is not None)
        # Nothing leaves that would break the vendor's rules, whichever part of ours let it through.
        unfit = validate.validate_communications(messages)
        self._without(its, calls, places, unfit)
        is_fit = ~pl.col("_row").is_in(list(unfit))
        return placed(identified.filter(is_fit), places), messages.filter(is_fit)

    def _planned(
        self, its: ProfileFiles, calls: pl.DataFrame, messages: pl.DataFrame, leadless: pl.DataFrame
    ) -> pl.DataFrame:
        if self.account_id is None:
            return pl.DataFrame(schema=CALLS)
        payloads = payload.as_text(messages)
        return pl.concat([payload.for_plan(calls, payloads), payload.for_plan(self._identified(its, leadless), None)])

    def _identified(self, its: ProfileFiles, calls: pl.DataFrame) -> pl.DataFrame:
        if self.account_id is None:
            return calls
        return payload.identified(
            calls,
            system=its.system,
            id_is_unique=its.profile.identity,
            account_id=self.account_id,
            marks=self.origins.of_calls(its.system) if self.origins else None,
        )

    def _with_lead_and_agent(self, its: ProfileFiles, calls: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
        """The calls whose lead and agent are known, or whose lead nobody is; the others are rejected."""
        calls, no_lead = self._in_file.resolve(calls) if self._in_file else (calls, {})
        if self.agents_found is not None:
            self.agents_found.see(calls)
        calls, no_agent = self.agents.resolve(calls, its.zone)
        no_agent = self._but_of_sent_calls(its, calls, places, no_agent)
        calls, unclear = self._found(its, calls, places, no_lead)
        reasons = {
            row: tuple(found[row] for found in (unclear, no_agent) if row in found) for row in {**unclear, **no_agent}
        }
        return self._without(its, calls, places, reasons)

    def _but_of_sent_calls(
        self, its: ProfileFiles, calls: pl.DataFrame, places: pl.DataFrame, faults: dict[int, models.Reason]
    ) -> dict[int, models.Reason]:
        """Drop the missing-agent faults of calls that may be in the CRM: their user is not changed any more."""
        rows = calls.filter(pl.col("_row").is_in(list(faults)))
        keys = self._keys(its, placed(rows, places))
        sent = self.sent(keys) if keys else ()
        return {row: faults[row] for row, key in zip(rows["_row"], keys, strict=True) if key not in sent}

    def _found(
        self, its: ProfileFiles, calls: pl.DataFrame, places: pl.DataFrame, no_lead: Mapping[int, models.Reason]
    ) -> tuple[pl.DataFrame, Mapping[int, models.Reason]]:
        """With the leads that known calls have, and those that the CRM knows. A call keeps the lead it has, whoever
        else has its number by now."""
        nameless = calls.filter(pl.col("lead_id").is_null())
        if nameless.is_empty():
            return calls, no_lead
        keys = self._keys(its, placed(nameless, places))
        pins = self.pins(keys)
        pinned = {row: pins[key] for row, key in zip(nameless["_row"], keys, strict=True) if key in pins}
        of_row = pl.col("_row").replace_strict(pinned, default=None, return_dtype=pl.Int64)
        calls = calls.with_columns(pl.coalesce("lead_id", of_row))
        calls, unclear = self.found.resolve(calls) if self.found else (calls, {})
        return calls, {row: why for row, why in no_lead.items() if row not in pinned} | unclear

    def _without(self, its: ProfileFiles, calls: pl.DataFrame, places: pl.DataFrame, rejects: Reasons) -> pl.DataFrame:
        if not rejects:
            return calls
        is_rejected = pl.col("_row").is_in(list(rejects))
        self.in_question.see(placed(calls.filter(is_rejected), places), its.system, id_is_unique=its.profile.identity)
        for row, reasons in rejects.items():
            self.tally.reject(models.RejectedRow(models.Place(*places.row(row)), reasons))
        return calls.filter(~is_rejected)

    def _keys(self, its: ProfileFiles, calls: pl.DataFrame) -> list[str]:
        return mapping.keys(calls, system=its.system, id_is_unique=its.profile.identity)


def _no_pins(_: list[str]) -> Mapping[str, int]:
    return {}
