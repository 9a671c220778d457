"""From files to sightings: read, recipe, validate, join legs, find lead and agent, map. Every row is counted."""

import functools
import hashlib
import operator
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from callimport.core import mapping, models, number_lists, readahead, row_origin
from callimport.core.row_origin import Origins
from callimport.core.settings import Settings
from callimport.profiles import blanks, profile, timestamps
from callimport.profiles.exports import Exports, ProfileFiles
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
_UNANSWERED = [word for word in call_log.STATUS_WORDS if word != "answered"]
# Settings that find a lead or an agent, or that leave calls out.
_NOT_OF_A_CALL = ("leads", "several-leads", "agents", "since", "until")


@dataclass(frozen=True, slots=True)
class _LookedAt:
    """Canonical rows of the source at `position`; `kept` has the rows that may be calls of a customer, `validated` what
    validation says of them."""

    position: int
    canonical: pl.DataFrame
    kept: pl.DataFrame
    validated: validate.Validated


@dataclass(slots=True)
class _Rules:
    """How the files of one profile are read. `given` gets the order of day and month once a date needs it."""

    its: ProfileFiles
    reading: validate.Reading
    given: profile.Given
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Rows as they stand in a file, and what they are. `internal` has canonical rows that can be judged only after all
    rows are read, see `legs.attach_internal`. `blanked` counts the words that were read as blank."""

    frame: pl.DataFrame
    looked_at: _LookedAt
    internal: pl.DataFrame
    blanked: blanks.Counts


class Intake:
    """The exports of one run and everything needed to make calls of them."""

    def __init__(self, settings: Settings, now: datetime) -> None:
        """Opens every file and looks at its first rows: whatever is wrong with a file is known before anything is sent.

        Raises SourceError, SchemaMismatch or ConfigError.
        """
        self.exports = Exports(settings)
        self.sources, self.by_profile = self.exports.sources, self.exports.by_profile
        self.tally = Tally(lines=self.exports.lines)
        zones = [its.zone for its in self.by_profile]
        # For the lists that are written beside the answer; their calls may be of several systems.
        self.zone = next(filter(None, zones), None)
        self._leads = (
            leads.Leads.from_file(settings.leads, settings.dialling, settings.several_leads) if settings.leads else None
        )
        # What the CRM knows of leads, and the ledger, by keys, of the leads of calls and of their having been sent.
        self.found: leads.Leads | None = None
        self.pins: Callable[[list[str]], Mapping[str, int]] = _no_pins
        self.sent: Callable[[list[str]], Collection[str]] = _no_pins
        self.keeps_leadless = False
        self._in_question = InQuestion()
        self._leadless: list[tuple[int, pl.DataFrame]] = []
        self.agents = Agents.of(settings, self.zone if all(zones) else None)
        self.agents_found = AgentsFound() if settings.draft_agents else None
        self._own = number_lists.stated(settings.own_numbers, settings.dialling, "--own-number")
        self._rules = [
            _Rules(
                its,
                validate.Reading(its.zone, settings.ambiguous_hour, now),
                profile.Given(settings.dialling, self._own, settings.ambiguous_hour, zone=its.zone),
                Wanted.of(settings, its.zone),
            )
            for its in self.by_profile
        ]
        self._rules_of = {source: rules for rules in self._rules for source in rules.its.sources}
        self._with_reference = settings.reference
        self._agent = settings.agent
        # One for each system: equal ids of two systems are two calls.
        self._twins = {its.system: Twins(id_is_unique=its.profile.identity) for its in self.by_profile}
        self._legs: list[pl.DataFrame] = []
        # By source: rows with an _origin that cannot be read, and internal rows that wait until all rows are read.
        self._unclear: dict[int, dict[int, models.Reason]] = {}
        self._internal: dict[int, list[pl.DataFrame]] = {}
        self.unknown_callers = UnknownCallers()
        self.origins = Origins(announced=self.exports.marks())
        self._shaping = self._shaping_of_all(settings)
        self.batch = mapping.batch(self.sources, self._shaping_of(self.by_profile))
        # What to say before any row is read, and which rows of the leads and agents files are not used.
        beside = [one for one in (self._leads, self.agents.file) if one is not None]
        self.told = (*self.exports.told, *(one.columns_told for one in beside if one.columns_told))
        self.unused_told = tuple(line for one in beside for line in one.unused)
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
        The files of one profile come together, then the files of the next profile.
        """
        for its in self.by_profile:
            if its.profile.legs is None:
                for looked_at in self._looked_at(its):
                    position = looked_at.position
                    sound, _, skipped = self._counted(looked_at)
                    self._skip({position: skipped})
                    yield position, self._calls(position, sound.with_columns(pl.lit(None, pl.String).alias("_legs")))
            else:
                yield from self._joined(its, its.profile.legs)

    def sightings(self, account_id: int, marks: frozenset[str] = frozenset()) -> Iterator[Iterator[models.Sighting]]:
        """The same, ready to be enrolled. `marks` are of the rejected rows that the ledger knows as mended."""
        self.origins.known = marks
        for position, frame in self.frames():
            yield self._mapped(position, frame, account_id)

    def _mapped(self, position: int, frame: pl.DataFrame, account_id: int) -> Iterator[models.Sighting]:
        its = self.exports.of(position)
        return mapping.sightings(
            frame,
            source=position,
            system=its.system,
            id_is_unique=its.profile.identity,
            account_id=account_id,
            with_mark=self._with_reference,
        )

    def shape(self, its: ProfileFiles) -> dict[str, str]:
        """The settings that make a call what it is, its lead and agent aside: not which calls are wanted, either."""
        settings = self._shaping_of((its,))
        return {name: value for name, value in settings.items() if name not in _NOT_OF_A_CALL}

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
        judged = [twins.judged(self.origins) for twins in self._twins.values()]
        return functools.reduce(operator.add, judged)

    # Rows

    def _looked_at(self, its: ProfileFiles) -> Iterator[_LookedAt]:
        """Every chunk, read by the profile and validated. The next one is read while this one is counted and mapped."""
        self._internal = {}
        chunks = self.exports.chunks(its.sources)
        for chunk in readahead.one_ahead(self._read(position, chunk) for position, chunk in chunks):
            position = chunk.looked_at.position
            self.tally.read += chunk.frame.height
            self.tally.blanked += chunk.blanked
            self.origins.see(position, chunk.frame)
            self._unclear.setdefault(position, {}).update(row_origin.faults(chunk.frame))
            self._internal.setdefault(position, []).append(chunk.internal)
            yield chunk.looked_at

    def _read(self, position: int, chunk: models.Chunk) -> _Chunk:
        rules = self._rules_of[position]
        blanked: blanks.Counts = Counter()
        canonical = profile.canonical(rules.its.profile, chunk.frame, self._given_of(rules, chunk), blanked)
        looked_at = self._look_at(position, canonical.filter(~legs.is_internal()))
        return _Chunk(chunk.frame, looked_at, canonical.filter(legs.is_internal()), blanked)

    def _look_at(self, position: int, canonical: pl.DataFrame) -> _LookedAt:
        kept = canonical.filter(pl.col("_drop").is_null() & pl.col("_skip").is_null())
        return _LookedAt(position, canonical, kept, validate.validate(kept, self._rules_of[position].reading))

    def _counted(self, rows: _LookedAt) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """Return the sound rows, typed; the faulty rows, with place and group only; and the rows that are skipped
        because of the caller's number (`_group`, `_skip`). Dropped and rejected rows are counted here."""
        position, canonical, kept = rows.position, rows.canonical, rows.kept
        self._drop(position, canonical)
        rejects = dict(rows.validated.rejects)
        for row, fault in self._unclear[position].items():
            rejects[row] = (*rejects.get(row, ()), fault)
        self._reject_invalid(position, kept, rejects)
        groups = kept.select(legs.OF_LEGS)
        is_faulty = pl.col("_row").is_in(list(rejects))
        accepted = rows.validated.accepted.join(groups, on="_row", maintain_order="left")
        return (
            accepted.filter(~is_faulty) if rejects else accepted,
            groups.filter(is_faulty),
            canonical.filter(pl.col("_drop").is_null() & pl.col("_skip").is_not_null()).select(
                "_row", "_group", "_skip"
            ),
        )

    def _given_of(self, rules: _Rules, chunk: models.Chunk) -> profile.Given:
        """With the order of day and month, once a chunk has dates that could be read in two ways."""
        its = rules.its
        if (
            rules.given.dates is None
            and profile.evidence(its.profile, chunk.frame).order is not timestamps.Order.ABSENT
        ):
            rules.given = replace(rules.given, dates=self.exports.date_order(its))
        return rules.given

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
        status, talk = pl.col("status").str.to_lowercase(), pl.col("duration_seconds").cast(pl.Float64, strict=False)
        is_unanswered = status.is_in(_UNANSWERED) | (status.is_null() & (talk == 0))
        lacks_agent = pl.all_horizontal(pl.col("agent_id", *AGENT_COLUMNS).is_null(), ~is_unanswered.fill_null(False))
        wrong = canonical.filter(pl.col("_row").is_in(list(rejects)))
        faulty = wrong.select("_row", lacks_agent)
        self._note_rejected(position, wrong)
        for row, is_nameless in faulty.iter_rows():
            reasons = rejects[row]
            # A row whose cells do not stand in their columns says nothing about its agent.
            if is_nameless and reasons[0].rule not in call_log.WHOLE_ROW and self.agents.unknown.complaint:
                reasons += (self.agents.unknown.complaint,)
            self._reject(models.RejectedRow(models.Place(position, row), reasons))

    def _note_rejected(self, position: int, rows: pl.DataFrame) -> None:
        if self.keeps_leadless:
            its = self.exports.of(position)
            rows = rows.with_columns(pl.lit(position).alias("_source"))
            self._in_question.see(rows, its.system, id_is_unique=its.profile.identity)

    def _reject(self, rejected: models.RejectedRow) -> None:
        """Unless it is known by its mark: then a person has mended it, and it is a call that was sent so."""
        if self.origins.settles(rejected):
            self.tally.replaced += 1
        else:
            self.tally.reject(rejected)

    # Legs

    def _joined(self, its: ProfileFiles, rule: profile.Legs) -> Iterator[tuple[int, pl.DataFrame]]:
        rows, skipped = self._all_rows(its)
        if rows is None:
            return
        left_out = legs.of_skipped_calls(rows, pl.concat([some["_group"] for some in skipped.values()]))
        self.tally.joined += left_out.height
        rows = rows.join(left_out, on=list(_PLACE), how="anti", maintain_order="left")
        self._skip(skipped, rows["_group"])
        rows = rows.with_columns(pl.col("_leg").str.replace_all(_NOT_IN_IDS, "_"))
        joined = legs.join(rows, rule, _PLACE, agent=self._agent)
        self.tally.joined += joined.joined.height
        self._legs.append(joined.joined)
        self.origins.joined(self._places_of_legs())
        if self.keeps_leadless:
            apart = [at for one in joined.implausible for at in one.places]
            places = pl.DataFrame(apart, schema=dict.fromkeys(_PLACE, pl.Int64), orient="row")
            places = pl.concat([joined.rejected.select(_PLACE), places])
            rejected = rows.join(places, on=list(_PLACE), how="semi", maintain_order="left")
            self._in_question.see(rejected, its.system, id_is_unique=its.profile.identity)
        self._reject_implausible(joined)
        for position, row, into_source, into_row in joined.rejected.iter_rows():
            place, faulty = models.Place(position, row), models.Place(into_source, into_row)
            if place != faulty:
                self._reject(self._with_its_leg(place, faulty))
        as_text = pl.when(pl.col("_legs").list.len() > 0).then(pl.col("_legs").list.join("\n"))
        calls = joined.calls.with_columns(as_text.alias("_legs"))
        for position in its.sources:
            of_source = calls.filter(pl.col("_source") == position)
            if of_source.height:
                yield position, self._calls(position, of_source)

    def _reject_implausible(self, joined: legs.Joined) -> None:
        """Reject all rows of groups that have one id and cannot be one call."""
        for one in joined.implausible:
            named = (models.Place(*one.one), models.Place(*one.other))
            for place in (models.Place(*where) for where in one.places):
                first, second = (self.batch.name_beside(place, other) for other in named)
                why = models.Reason(one.rule, one.told.format(one=first, other=second))
                self._reject(models.RejectedRow(place, (why,)))

    def take_legs_back(self) -> None:
        """A row that was joined to one that proved to be a reject is one, too: mended, the call is whole again."""
        for place, into in self._places_of_legs() if self.tally.rejects else ():
            if into in self.tally.rejects and place not in self.tally.rejects:
                self.tally.joined -= 1
                self._reject(self._with_its_leg(place, into))

    def _places_of_legs(self) -> Iterator[tuple[models.Place, models.Place]]:
        for legs_of_profile in self._legs:
            for source, row, into_source, into_row in legs_of_profile.iter_rows():
                yield models.Place(source, row), models.Place(into_source, into_row)

    def _with_its_leg(self, place: models.Place, faulty: models.Place) -> models.RejectedRow:
        told = f"{self.batch.name_beside(place, faulty)} is a leg of the same call and is wrong; mend that row"
        return models.RejectedRow(place, (models.Reason("leg_rejected", told),))

    def _all_rows(self, its: ProfileFiles) -> tuple[pl.DataFrame | None, dict[int, pl.DataFrame]]:
        """Return the sound and faulty rows of all files of a profile (None: no rows), and the skipped rows by file."""
        pieces: list[pl.DataFrame] = []
        skipped: dict[int, list[pl.DataFrame]] = {}

        def gather(looked_at: _LookedAt) -> None:
            position = looked_at.position
            sound, faulty, left_out = self._counted(looked_at)
            skipped.setdefault(position, []).append(left_out)
            source = pl.lit(position, dtype=pl.Int64).alias("_source")
            for rows, is_faulty in ((sound, False), (faulty, True)):
                pieces.append(rows.with_columns(source, pl.lit(is_faulty).alias("_faulty")))

        for looked_at in self._looked_at(its):
            gather(looked_at)
        if not pieces:
            return None, {}
        groups = pl.concat([rows["_group"] for rows in pieces])
        for position, internal in self._internal.items():
            if (rows := pl.concat(internal)).height:
                gather(self._look_at(position, legs.attach_internal(rows, groups)))
        return pl.concat(pieces, how="diagonal"), {position: pl.concat(rows) for position, rows in skipped.items()}

    # Calls

    def _calls(self, position: int, calls: pl.DataFrame) -> pl.DataFrame:
        calls = self._resolved(position, self._rules_of[position].wanted.of_calls(position, calls, self.tally))
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
        self._twins[self.exports.of(position).system].see(position, known)
        return known

    def _resolved(self, position: int, calls: pl.DataFrame) -> pl.DataFrame:
        """Those whose lead and agent are known, or whose lead nobody is; the others are rejected."""
        calls, no_lead = self._leads.resolve(calls) if self._leads else (calls, {})
        if self.agents_found is not None:
            self.agents_found.see(calls)
        calls, no_agent = self.agents.resolve(calls, self.exports.of(position).zone)
        no_agent = self._but_of_sent_calls(position, calls, no_agent)
        calls, unclear = self._found(position, calls, no_lead)
        reasons = {
            row: tuple(found[row] for found in (unclear, no_agent) if row in found) for row in {**unclear, **no_agent}
        }
        return self._without(position, calls, reasons)

    def _keys(self, position: int, calls: pl.DataFrame) -> list[str]:
        its = self.exports.of(position)
        made = mapping.calls(calls, source=position, system=its.system)
        return [mapping.key(call, id_is_unique=its.profile.identity) for call in made]

    def _but_of_sent_calls(
        self, position: int, calls: pl.DataFrame, faults: dict[int, models.Reason]
    ) -> dict[int, models.Reason]:
        """A call that has gone to the CRM needs no agent any more: whoever made it may have left since."""
        rows = calls.filter(pl.col("_row").is_in(list(faults)))
        if rows.is_empty():
            return faults
        keys = self._keys(position, rows)
        sent = self.sent(keys)
        return {row: faults[row] for row, key in zip(rows["_row"], keys, strict=True) if key not in sent}

    def _found(
        self, position: int, calls: pl.DataFrame, no_lead: Mapping[int, models.Reason]
    ) -> tuple[pl.DataFrame, Mapping[int, models.Reason]]:
        """With the leads that known calls have, and those that the CRM knows. A call keeps the lead it has, whoever
        else has its number by now."""
        nameless = calls.filter(pl.col("lead_id").is_null())
        if nameless.is_empty():
            return calls, no_lead
        keys = self._keys(position, nameless)
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

    def _shaping_of(self, several: Iterable[ProfileFiles]) -> dict[str, str]:
        """The settings that shape calls, by name: runs with the same settings belong together. The names of the second
        profile's settings end in its number, see `mapping.numbered`."""
        shaping = dict(self._shaping)
        ordered = sorted(several, key=lambda its: its.profile.name)
        for number, its in enumerate(ordered, start=1):
            told = f"{its.profile.name} {its.profile.version} {its.profile.fingerprint[:12]}"
            shaping[mapping.numbered("profile", number)] = told
            shaping[mapping.numbered("system", number)] = its.system
            shaping[mapping.numbered("timezone", number)] = its.zone or ""
        return shaping

    def _shaping_of_all(self, settings: Settings) -> dict[str, str]:
        """The settings that shape the calls of every profile."""
        return {
            "pipeline": PIPELINE_VERSION,
            "ambiguous-hour": settings.ambiguous_hour,
            "region": settings.region,
            "since": str(settings.since or ""),
            "until": str(settings.until or ""),
            "only": settings.only or "",
            "min-duration": str(settings.min_duration or ""),
            "own-number": _digest(self._own),
            "exclude-numbers": _digest(self._rules[0].wanted.excluded),
            "leads": self._leads.sha256[:12] if self._leads else "",
            "unknown-agent": settings.unknown_agent,
            "reference": "yes" if settings.reference else "no",
            **({"several-leads": settings.several_leads} if settings.several_leads != "reject" else {}),
            **({"agent": settings.agent} if settings.agent != "last" else {}),
            **({"outside-line": settings.outside_line or "none"} if settings.outside_line is not None else {}),
            **({"area-code": settings.area_code} if settings.area_code else {}),
            **({"agents": self.agents.file.sha256[:12]} if self.agents.file else {}),
        }


def _no_pins(_: list[str]) -> Mapping[str, int]:
    return {}


def _digest(numbers: frozenset[str]) -> str:
    """Of no number in particular: settings are shown."""
    return hashlib.sha256("\n".join(sorted(numbers)).encode()).hexdigest()[:12] if numbers else ""
