"""From files to sightings: read, recipe, validate, join legs, find lead and agent, map. Every row is counted."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from callimport.core import mapping, models, number_lists, readahead, row_origin
from callimport.core.row_origin import Origins
from callimport.core.settings import Settings
from callimport.profiles import profile, timestamps
from callimport.profiles.exports import Exports
from callimport.resolve import leads
from callimport.resolve.agents import AGENT_COLUMNS, Agents
from callimport.resolve.agents_draft import AgentsFound
from callimport.resolve.unknown_callers import UnknownCallers
from callimport.transform import legs, validate
from callimport.transform.counts import Tally
from callimport.transform.deduplicate import Judged, Twins
from callimport.transform.filters import Wanted
from callimport.transform.rejected_calls import InQuestion
from callimport_schemas import call_log

PIPELINE_VERSION = "2"
_PLACE = ("_source", "_row")
# The ledger keeps the ids of rows one a line and compares them as JSON; what is in a file's cell may be anything.
_NOT_IN_IDS = r'[\x00-\x1f"\\]'
# Settings that find a lead or an agent, or that leave calls out.
_NOT_OF_A_CALL = ("leads", "several-leads", "agents", "since", "until")
_OF_LEGS = ("_row", "_group", "_leg", "_chain", "_length")


@dataclass(frozen=True, slots=True)
class _LookedAt:
    """A chunk of the source at `position`: its cells, what the recipe made of them, what of that may be a call of a
    customer, and what validation says of those."""

    position: int
    frame: pl.DataFrame
    canonical: pl.DataFrame
    kept: pl.DataFrame
    validated: validate.Validated


class Intake:
    """The exports of one run and everything needed to make calls of them."""

    def __init__(self, settings: Settings, now: datetime) -> None:
        """Opens every file and looks at its first rows: whatever is wrong with a file is known before anything is sent.

        Raises SourceError, SchemaMismatch or ConfigError.
        """
        self.exports = Exports(settings)
        self.sources, self.profile = self.exports.sources, self.exports.profile
        self.tally = Tally(lines=self.exports.lines)
        self.system = settings.system or self.profile.system
        self.zone = settings.timezone or self.profile.zone
        self._reading = validate.Reading(self.zone, settings.ambiguous_hour, now)
        self._leads = (
            leads.Leads.from_file(settings.leads, settings.region, settings.several_leads) if settings.leads else None
        )
        # What the CRM knows of leads, and the ledger, by keys, of the leads of calls and of their having been sent.
        self.found: leads.Leads | None = None
        self.pins: Callable[[list[str]], Mapping[str, int]] = _no_pins
        self.sent: Callable[[list[str]], Collection[str]] = _no_pins
        self.keeps_leadless = False
        self._in_question = InQuestion(id_is_unique=self.profile.identity)
        self._leadless: list[tuple[int, pl.DataFrame]] = []
        self.agents = Agents.of(settings, self.zone)
        self.agents_found = AgentsFound() if settings.draft_agents else None
        self._wanted = Wanted.of(settings, self.zone)
        self._own = number_lists.stated(settings.own_numbers, settings.region, "--own-number")
        self._given = profile.Given(settings.region, self._own, settings.ambiguous_hour)
        self._with_reference = settings.reference
        self._twins = Twins(id_is_unique=self.profile.identity)
        self._order: timestamps.Order | None = None
        self._legs = pl.DataFrame()
        self.unknown_callers = UnknownCallers()
        self.origins = Origins(announced=self.exports.marks())
        self.batch = mapping.batch(self.sources, self._shaping(settings))
        self.finds_leads = self._leads is not None or self.exports.has("lead_id") or settings.find_leads
        named = [name for name in AGENT_COLUMNS if self.exports.has(name)]
        self.may_need_users = self.agents.may_need_users(named)
        self.may_check_users = self.agents.may_check_users(named)

    def frames(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """The calls of every file, chunk by chunk, each with the number of its source. To be gone through once.

        Columns: those of `mapping.CALL_COLUMNS`: `_row`; lead_id, executed_by (null: nobody is named) and
        duration_seconds Int64; started_at in UTC; call_id, direction, status, customer_phone, description and recording
        text; `_legs`, the ids of the rows that were joined (null where the recipe joins none).

        A recipe that joins legs needs all rows at once: about 300 bytes of memory a row. Otherwise a chunk at a time.
        """
        if self.profile.legs is None:
            for looked_at in self._looked_at():
                position = looked_at.position
                sound, _, skipped = self._counted(looked_at)
                self._skip({position: skipped})
                yield position, self._calls(position, sound.with_columns(pl.lit(None, pl.String).alias("_legs")))
        else:
            yield from self._joined(self.profile.legs)

    def sightings(self, account_id: int, marks: frozenset[str] = frozenset()) -> Iterator[Iterator[models.Sighting]]:
        """The same, ready to be enrolled. `marks` are of the rejected rows that the ledger knows as mended."""
        self.origins.known = marks
        for position, frame in self.frames():
            yield self._mapped(position, frame, account_id)

    def _mapped(self, position: int, frame: pl.DataFrame, account_id: int) -> Iterator[models.Sighting]:
        return mapping.sightings(
            frame,
            source=position,
            system=self.system,
            id_is_unique=self.profile.identity,
            account_id=account_id,
            with_mark=self._with_reference,
        )

    @property
    def shape(self) -> dict[str, str]:
        """The settings that make a call what it is, its lead and agent aside: not which calls are wanted, either."""
        return {name: value for name, value in self.batch.settings.items() if name not in _NOT_OF_A_CALL}

    def knows_lead(self, phone: str) -> bool:
        """Whether the leads file says whose a number is, or that it is of several."""
        return self._leads is not None and self._leads.knows(phone)

    def leads_with(self, phone: str) -> leads.Leads | None:
        """Who tells whose a number is: the leads file, or else the CRM where it was asked."""
        return self._leads if self.knows_lead(phone) else self.found

    def leadless(self, account_id: int) -> Iterator[models.Sighting]:
        """The calls without a lead that `sightings` has come by since it was last asked for them, if they are kept;
        `lead_id` is 0."""
        found, self._leadless = self._leadless, []
        for position, frame in found:
            yield from self._mapped(position, frame.with_columns(pl.lit(0).alias("lead_id")), account_id)

    def in_question(self, calls: Iterable[models.Sighting]) -> set[str]:
        """The keys of those that a rejected row may be; known where calls without a lead are kept."""
        return self._in_question.among(calls, self.tally.rejects)

    def reject_leadless(self, rejected: models.RejectedRow) -> None:
        """One of those may not wait after all."""
        self.tally.unskip(models.Skip.NO_LEAD, rejected.place)
        self.tally.reject(rejected)

    def judged(self) -> Judged:
        """What the calls are to one another, once `frames` or `sightings` has gone through all of them."""
        return self._twins.judged(self.origins)

    # Rows

    def _looked_at(self) -> Iterator["_LookedAt"]:
        """Every chunk, read by the recipe and validated; the next one while the last one is counted and mapped."""
        return readahead.one_ahead(self._look_at(position, chunk) for position, chunk in self.exports.chunks())

    def _look_at(self, position: int, chunk: models.Chunk) -> "_LookedAt":
        canonical = profile.canonical(self.profile, chunk.frame, self._given_of(chunk))
        kept = canonical.filter(pl.col("_drop").is_null() & pl.col("_skip").is_null())
        return _LookedAt(position, chunk.frame, canonical, kept, validate.validate(kept, self._reading))

    def _counted(self, chunk: "_LookedAt") -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """The sound rows of a chunk, typed; the faulty ones, of which only place and group are known; and those that
        are skipped for whoever called, `_group` and `_skip`. Those that are nobody's call are counted here."""
        position, canonical, kept = chunk.position, chunk.canonical, chunk.kept
        self.tally.read += chunk.frame.height
        self.origins.see(position, chunk.frame)
        self._drop(position, canonical)
        rejects = dict(chunk.validated.rejects)
        for row, fault in row_origin.faults(chunk.frame).items():
            rejects[row] = (*rejects.get(row, ()), fault)
        self._reject_invalid(position, kept, rejects)
        groups = kept.select(_OF_LEGS)
        is_faulty = pl.col("_row").is_in(list(rejects))
        accepted = chunk.validated.accepted.join(groups, on="_row", maintain_order="left")
        return (
            accepted.filter(~is_faulty) if rejects else accepted,
            groups.filter(is_faulty),
            canonical.filter(pl.col("_drop").is_null() & pl.col("_skip").is_not_null()).select(
                "_row", "_group", "_skip"
            ),
        )

    def _given_of(self, chunk: models.Chunk) -> profile.Given:
        """With the order of day and month, once a chunk has dates that could be read in two ways."""
        if self._order is None and profile.evidence(self.profile, chunk.frame).order is not timestamps.Order.ABSENT:
            self._order = self.exports.date_order()
        return replace(self._given, order=self._order)

    def _drop(self, position: int, canonical: pl.DataFrame) -> None:
        dropped = canonical.filter(pl.col("_drop").is_not_null()).select("_row", "_drop")
        for (kind,), rows in dropped.partition_by("_drop", as_dict=True).items():
            self.tally.drop(str(kind), position, rows["_row"])

    def _skip(self, skipped: Mapping[int, pl.DataFrame], groups: pl.Series | None = None) -> None:
        """Of several rows of one call the first stands for it, unless the call is in `groups` and has better ones."""
        pieces = [frame.with_columns(pl.lit(position).alias("_source")) for position, frame in skipped.items()]
        rows = pl.concat(pieces)
        known = rows["_group"].is_in(groups.drop_nulls().implode()) if groups is not None else pl.Series([False])
        alone = rows.filter(~known.fill_null(False)).filter(
            pl.col("_group").is_null() | pl.col("_group").is_first_distinct()
        )
        self.tally.joined += rows.height - alone.height
        for (position, why), calls in alone.partition_by("_source", "_skip", as_dict=True).items():
            self.tally.skip(models.Skip(str(why)), int(str(position)), calls["_row"])

    def _reject_invalid(
        self, position: int, canonical: pl.DataFrame, rejects: Mapping[int, tuple[models.Reason, ...]]
    ) -> None:
        """Note the faulty rows, with what else would be missing once their faults are mended."""
        nobody = pl.all_horizontal(pl.col("agent_id", *AGENT_COLUMNS).is_null())
        faulty = canonical.filter(pl.col("_row").is_in(list(rejects))).select("_row", nobody)
        self._note_rejected(position, canonical.filter(pl.col("_row").is_in(list(rejects))))
        for row, is_nameless in faulty.iter_rows():
            reasons = rejects[row]
            # A row whose cells do not stand in their columns says nothing about its agent.
            if is_nameless and reasons[0].rule not in call_log.WHOLE_ROW and self.agents.unknown.complaint:
                reasons += (self.agents.unknown.complaint,)
            self._reject(models.RejectedRow(models.Place(position, row), reasons))

    def _note_rejected(self, position: int, rows: pl.DataFrame) -> None:
        if self.keeps_leadless:
            self._in_question.see(rows.with_columns(pl.lit(position).alias("_source")))

    def _reject(self, rejected: models.RejectedRow) -> None:
        """Unless it is known by its mark: then a person has mended it, and it is a call that was sent so."""
        if self.origins.settles(rejected):
            self.tally.replaced += 1
        else:
            self.tally.reject(rejected)

    # Legs

    def _joined(self, rule: profile.Legs) -> Iterator[tuple[int, pl.DataFrame]]:
        rows, skipped = self._all_rows()
        if rows is None:
            return
        self._skip(skipped, rows["_group"])
        rows = rows.with_columns(pl.col("_leg").str.replace_all(_NOT_IN_IDS, "_"))
        joined = legs.join(rows, rule, _PLACE)
        self.tally.joined += joined.joined.height
        self._legs = joined.joined
        self.origins.joined(self._places_of_legs())
        if self.keeps_leadless:
            self._in_question.see(rows.join(joined.rejected, on=list(_PLACE), how="semi"))
        for position, row, into_source, into_row in joined.rejected.iter_rows():
            place, faulty = models.Place(position, row), models.Place(into_source, into_row)
            if place != faulty:
                self._reject(self._with_its_leg(place, faulty))
        as_text = pl.when(pl.col("_legs").list.len() > 0).then(pl.col("_legs").list.join("\n"))
        calls = joined.calls.with_columns(as_text.alias("_legs"))
        for position in range(len(self.sources)):
            of_source = calls.filter(pl.col("_source") == position)
            if of_source.height:
                yield position, self._calls(position, of_source)

    def take_legs_back(self) -> None:
        """A row that was joined to one that proved to be a reject is one, too: mended, the call is whole again."""
        for place, into in self._places_of_legs() if self.tally.rejects else ():
            if into in self.tally.rejects and place not in self.tally.rejects:
                self.tally.joined -= 1
                self._reject(self._with_its_leg(place, into))

    def _places_of_legs(self) -> Iterator[tuple[models.Place, models.Place]]:
        for source, row, into_source, into_row in self._legs.iter_rows():
            yield models.Place(source, row), models.Place(into_source, into_row)

    def _with_its_leg(self, place: models.Place, faulty: models.Place) -> models.RejectedRow:
        told = f"{self.batch.name_beside(place, faulty)} is a leg of the same call and is wrong; mend that row"
        return models.RejectedRow(place, (models.Reason("leg_rejected", told),))

    def _all_rows(self) -> tuple[pl.DataFrame | None, dict[int, pl.DataFrame]]:
        """The sound and faulty rows of all files, None where there are none, and the skipped ones by file."""
        pieces: list[pl.DataFrame] = []
        skipped: dict[int, pl.DataFrame] = {}
        for looked_at in self._looked_at():
            position = looked_at.position
            sound, faulty, left_out = self._counted(looked_at)
            skipped[position] = pl.concat([skipped[position], left_out]) if position in skipped else left_out
            for rows, is_faulty in ((sound, False), (faulty, True)):
                source = pl.lit(position, dtype=pl.Int64).alias("_source")
                pieces.append(rows.with_columns(source, pl.lit(is_faulty).alias("_faulty")))
        return pl.concat(pieces, how="diagonal") if pieces else None, skipped

    # Calls

    def _calls(self, position: int, calls: pl.DataFrame) -> pl.DataFrame:
        calls = self._resolved(position, self._wanted.of_calls(position, calls, self.tally))
        known, nobodys = (calls.filter(has) for has in (pl.col("lead_id").is_not_null(), pl.col("lead_id").is_null()))
        self.tally.skip(models.Skip.NO_LEAD, position, nobodys["_row"])
        self.unknown_callers.see(nobodys)
        if self.keeps_leadless:
            of_any_lead = mapping.communications(nobodys.with_columns(pl.lit(1, pl.Int64).alias("lead_id")))
            broken = list(validate.validate_communications(of_any_lead))
            self._leadless.append((position, nobodys.filter(~pl.col("_row").is_in(broken))))
        # Nothing leaves that would break the vendor's rules, whichever part of ours let it through.
        unfit = validate.validate_communications(mapping.communications(known))
        known = self._without(position, known, unfit).select(mapping.CALL_COLUMNS)
        self.tally.calls += known.height
        self._twins.see(position, known)
        return known

    def _resolved(self, position: int, calls: pl.DataFrame) -> pl.DataFrame:
        """Those whose lead and agent are known, or whose lead nobody is; the others are rejected."""
        calls, no_lead = self._leads.resolve(calls) if self._leads else (calls, {})
        if self.agents_found is not None:
            self.agents_found.see(calls)
        calls, no_agent = self.agents.resolve(calls)
        no_agent = self._but_of_sent_calls(calls, no_agent)
        calls, unclear = self._found(calls, no_lead)
        reasons = {
            row: tuple(found[row] for found in (unclear, no_agent) if row in found) for row in {**unclear, **no_agent}
        }
        return self._without(position, calls, reasons)

    def _keys(self, calls: pl.DataFrame) -> list[str]:
        made = mapping.calls(calls, source=0, system=self.system)
        return [mapping.key(call, id_is_unique=self.profile.identity) for call in made]

    def _but_of_sent_calls(self, calls: pl.DataFrame, faults: dict[int, models.Reason]) -> dict[int, models.Reason]:
        """A call that has gone to the CRM needs no agent any more: whoever made it may have left since."""
        rows = calls.filter(pl.col("_row").is_in(list(faults)))
        if rows.is_empty():
            return faults
        keys = self._keys(rows)
        sent = self.sent(keys)
        return {row: faults[row] for row, key in zip(rows["_row"], keys, strict=True) if key not in sent}

    def _found(
        self, calls: pl.DataFrame, no_lead: Mapping[int, models.Reason]
    ) -> tuple[pl.DataFrame, Mapping[int, models.Reason]]:
        """With the leads that known calls have, and those that the CRM knows. A call keeps the lead it has, whoever
        else has its number by now."""
        nameless = calls.filter(pl.col("lead_id").is_null())
        if nameless.is_empty():
            return calls, no_lead
        keys = self._keys(nameless)
        pins = self.pins(keys)
        pinned = {row: pins[key] for row, key in zip(nameless["_row"], keys, strict=True) if key in pins}
        of_row = pl.col("_row").replace_strict(pinned, default=None, return_dtype=pl.Int64)
        calls = calls.with_columns(pl.coalesce("lead_id", of_row))
        calls, unclear = self.found.resolve(calls) if self.found else (calls, {})
        return calls, {row: why for row, why in no_lead.items() if row not in pinned} | unclear

    def _without(
        self, position: int, calls: pl.DataFrame, rejects: Mapping[int, tuple[models.Reason, ...]]
    ) -> pl.DataFrame:
        self._note_rejected(position, calls.filter(pl.col("_row").is_in(list(rejects))))
        for row, reasons in rejects.items():
            self._reject(models.RejectedRow(models.Place(position, row), reasons))
        return calls.filter(~pl.col("_row").is_in(list(rejects))) if rejects else calls

    def _shaping(self, settings: Settings) -> dict[str, str]:
        """The settings that shape calls, by name: two runs with the same ones belong together."""
        return {
            "pipeline": PIPELINE_VERSION,
            "profile": f"{self.profile.name} {self.profile.version} {self.profile.fingerprint[:12]}",
            "system": self.system,
            "timezone": self._reading.zone or "",
            "ambiguous-hour": settings.ambiguous_hour,
            "region": settings.region,
            "since": str(settings.since or ""),
            "until": str(settings.until or ""),
            "only": settings.only or "",
            "min-duration": str(settings.min_duration or ""),
            "own-number": _digest(self._own),
            "exclude-numbers": _digest(self._wanted.excluded),
            "leads": self._leads.sha256[:12] if self._leads else "",
            "unknown-agent": settings.unknown_agent,
            "reference": "yes" if settings.reference else "no",
            **({"several-leads": settings.several_leads} if settings.several_leads != "reject" else {}),
            **({"agents": self.agents.file.sha256[:12]} if self.agents.file else {}),
        }


def _no_pins(_: list[str]) -> Mapping[str, int]:
    return {}


def _digest(numbers: frozenset[str]) -> str:
    """Of no number in particular: settings are shown."""
    return hashlib.sha256("\n".join(sorted(numbers)).encode()).hexdigest()[:12] if numbers else ""
