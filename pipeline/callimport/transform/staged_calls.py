"""From files to staged calls: read each file once, validate, join legs, remove duplicates, apply filters.

Files and settings alone decide. Every row is counted once. No state grows with the files but rejects and counters.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from callimport.core import models, number_lists, readahead, row_origin
from callimport.core.places import PLACE, SCHEMA, numbered, of_source, placed
from callimport.core.row_origin import Origins, Settled
from callimport.core.settings import Settings
from callimport.profiles import blanks, profile, timestamps
from callimport.profiles.exports import Exports, ProfileFiles
from callimport.transform import deduplicate, legs, staging, validate
from callimport.transform.counts import Tally
from callimport.transform.deduplicate import Duplicates
from callimport.transform.filters import Wanted
from callimport.transform.rejected_calls import InQuestion
from callimport.transform.staging import HASH, Partitions, Staging
from callimport_schemas import call_log

# What a file tells of a call. `_legs`: the ids of the rows that were joined, one a line; null where no legs are joined.
CONTENT = (
    "call_id", "lead_id", "direction", "status", "started_at", "duration_seconds", "customer_phone", "agent_id",
    "agent_email", "agent_name", "agent_extension", "description", "recording", "_legs",
)  # fmt: skip
# The same with types, as the ledger keeps it of a call that waits for a lead.
STAGED: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(CONTENT, pl.String),
    **dict.fromkeys(("lead_id", "duration_seconds", "agent_id"), pl.Int64),
    "started_at": pl.Datetime("us", "UTC"),
}
_AGENT = ("agent_id", "agent_email", "agent_name", "agent_extension")
# The ledger keeps the ids of rows one a line and compares them as JSON; what is in a file's cell may be anything.
_NOT_IN_IDS = r'[\x00-\x1f"\\]'
_UNANSWERED = [word for word in call_log.STATUS_WORDS if word != "answered"]
_SETTLED = models.Reason("settled", "a mended row was imported in place of this row; leave this row out")
_BY_PLACE = pl.struct(PLACE).hash()
_BY_GROUP = pl.when(pl.col("_group").is_not_null()).then(pl.col("_group").hash()).otherwise(_BY_PLACE)
_BY_CHAIN = (
    pl.when(pl.col("_group").is_null() & pl.col("_chain").is_not_null())
    .then(pl.col("_chain").hash())
    .otherwise(_BY_GROUP)
)


@dataclass(slots=True)
class _Rules:
    """How the files of one profile are read. `given` gets the order of day and month once a date needs it."""

    its: ProfileFiles
    reading: validate.Reading
    given: profile.Given
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class _Validated:
    """Canonical rows, numbered; `kept` has the rows that may be calls of a customer, `validated` what validation says
    of them. `places` says where each row lies."""

    canonical: pl.DataFrame
    kept: pl.DataFrame
    validated: validate.Validated
    places: pl.DataFrame

    @property
    def sound(self) -> pl.DataFrame:
        """The valid calls of a profile that joins no legs."""
        return placed(self.validated.accepted, self.places).with_columns(pl.lit(None, pl.String).alias("_legs"))


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Rows of a file, and what they are. `internal` has canonical rows that can be judged only beside all rows of their
    group, see `legs.attach_internal`. `settled` rows are mended already; `settled_calls` are the valid ones, for a
    profile that joins no legs. `blanked` counts the words that were read as blank."""

    source: int
    height: int
    settled: list[int]
    settled_calls: pl.DataFrame | None
    validated: _Validated
    internal: pl.DataFrame
    blanked: blanks.Counts


@dataclass(frozen=True, slots=True)
class CallsOfSystem:
    """Calls of one profile's files that are wanted, and those that contradict another call. Columns: PLACE, CONTENT.
    started_at is in UTC; lead_id, duration_seconds and agent_id are Int64, the others text."""

    its: ProfileFiles
    calls: pl.DataFrame
    contradicting: pl.DataFrame


class StagedCalls:
    """The calls of the exports of one run."""

    def __init__(
        self,
        exports: Exports,
        settings: Settings,
        now: datetime,
        area: Staging,
        no_agent: models.Reason | None,
    ) -> None:
        """`no_agent` is what is wrong with an answered row that names nobody; None if that is no fault.

        Raises ConfigError or SourceError for wrong settings.
        """
        self.exports = exports
        self.own = number_lists.stated(settings.own_numbers, settings.dialling, "--own-number")
        self._rules = [
            _Rules(
                its,
                validate.Reading(its.zone, settings.ambiguous_hour, now),
                profile.Given(settings.dialling, self.own, settings.ambiguous_hour, zone=its.zone),
                Wanted.of(settings, its.zone),
            )
            for its in exports.by_profile
        ]
        self.excluded = self._rules[0].wanted.excluded
        self._no_agent = no_agent
        self._agent = settings.agent
        self._area = area
        self._calls, self._joined = area.partitions(), area.partitions()
        self._settled_calls: list[pl.DataFrame] = []
        self._sources = deduplicate.Sources()
        # Rows with an _origin that cannot be read.
        self._unclear: dict[models.Place, models.Reason] = {}
        self.origins = Origins(announced=exports.marks())
        # Counted on the way to the staged calls; `calls` and what comes after it go on with copies.
        self.tally = Tally(lines=exports.lines)
        self.in_question = InQuestion()

    def stage(self, settled: Settled | None = None) -> Iterator[None]:
        """Read all files, chunk by chunk. `settled` are the rejected rows that the ledger knows as mended."""
        self.origins.settled = settled or Settled()
        for rules in self._rules:
            if rules.its.profile.legs is None:
                for validated in self._validated(rules):
                    self._count(validated)
                    self._skip(_skipped(validated))
                    self._stage(rules.its, validated.sound)
                    yield
            else:
                yield from self._stage_joined(rules, rules.its.profile.legs)

    def calls(self, tally: Tally, in_question: InQuestion, duplicates: Duplicates) -> Iterator[CallsOfSystem]:
        """Yield the wanted calls, one partition at a time: no duplicate, no contradiction. Each way through counts in
        the `tally` that is given."""
        for partition in self._calls.read():
            judged = self._without_twins_of_settled(duplicates.judge(partition, self.exports.by_profile))
            tally.duplicate += judged.copies.height
            if self.origins:
                self.origins.copied(_pairs(judged.copies))
            for rejected in duplicates.rejects(judged, self.exports.name_beside):
                tally.reject(rejected)
            for rules in self._rules:
                its = rules.its
                calls, contradicting = (
                    frame.filter(pl.col("_source").is_in(its.sources)) if len(self._rules) > 1 else frame
                    for frame in (judged.calls, judged.contradicting)
                )
                in_question.see(contradicting, its.system, id_is_unique=its.profile.identity)
                yield CallsOfSystem(its, rules.wanted.of_calls(calls, tally), contradicting)

    def _without_twins_of_settled(self, judged: deduplicate.Judged) -> deduplicate.Judged:
        """A settled row is no call, but calls of its key still contradict it. Of two rows that contradicted each other,
        a person has imported one: the other one stays a reject. A mended row does not contradict its original."""
        if not self._settled_calls:
            return judged
        settled = pl.concat(self._settled_calls)
        mended = pl.DataFrame(list(self.origins.mended), schema=SCHEMA, orient="row")
        calls = judged.calls.filter(pl.col(HASH).is_in(settled[HASH].implode()))
        calls = calls.join(mended, on=PLACE, how="anti", maintain_order="left")
        beside = self.duplicates().judge(pl.concat([settled, calls]), self.exports.by_profile)
        return judged.with_contradicting(beside.contradicting_among(calls))

    def duplicates(self) -> Duplicates:
        """Return the judge of all staged calls."""
        return Duplicates(self.of_minute)

    @property
    def of_minute(self) -> frozenset[int]:
        """The sources whose starts have no seconds."""
        return self._sources.in_minutes()

    def reject_legs(self, tally: Tally) -> None:
        """Reject the rows that were joined to a row that proved to be a reject: mended, the call is whole again."""
        if not tally.rejects:
            return
        rejected = pl.DataFrame(list(tally.rejects), schema=SCHEMA, orient="row")
        for joined in self._joined.read():
            legs_of = joined.join(rejected, left_on=["_into_source", "_into_row"], right_on=PLACE, how="semi")
            for place, into in _pairs(legs_of):
                if place not in tally.rejects:
                    tally.joined -= 1
                    tally.reject(self._with_its_leg(place, into))

    # Rows

    def _validated(self, rules: _Rules, internal: Partitions | None = None) -> Iterator[_Validated]:
        """Every chunk, read by the profile and validated. The next one is read while this one is counted and staged."""
        chunks = self.exports.chunks(rules.its.sources)
        for chunk in readahead.one_ahead(self._read(rules, source, chunk) for source, chunk in chunks):
            self.tally.read += chunk.height
            self.tally.blanked += chunk.blanked
            for row in chunk.settled:
                self.tally.settle(models.Place(chunk.source, row), _SETTLED)
            if chunk.settled_calls is not None:
                staged, key_hash = _staged(rules.its, chunk.settled_calls)
                self._settled_calls.append(staged.with_columns(key_hash.alias(HASH)))
            if internal is not None:
                internal.add(chunk.internal, _BY_GROUP)
            yield chunk.validated

    def _read(self, rules: _Rules, source: int, chunk: models.Chunk) -> _Chunk:
        blanked: blanks.Counts = Counter()
        settled = self.origins.see(source, rules.its.system, chunk.frame)
        is_settled = pl.col("_row").is_in(settled)
        rows = chunk.frame.filter(~is_settled) if settled else chunk.frame
        given = self._given_of(rules, chunk)
        canonical = of_source(profile.canonical(rules.its.profile, rows, given, blanked), source)
        for row, fault in row_origin.faults(rows).items():
            self._unclear[models.Place(source, row)] = fault
        validated = self._validate(rules, canonical.filter(~legs.is_internal()))
        internal = canonical.filter(legs.is_internal())
        settled_calls = None
        if settled and rules.its.profile.legs is None:
            left_out = profile.canonical(rules.its.profile, chunk.frame.filter(is_settled), given, Counter())
            settled_calls = self._validate(rules, of_source(left_out, source)).sound
        return _Chunk(source, chunk.frame.height, settled, settled_calls, validated, internal, blanked)

    def _validate(self, rules: _Rules, canonical: pl.DataFrame) -> _Validated:
        canonical, places = numbered(canonical)
        kept = canonical.filter(pl.col("_drop").is_null() & pl.col("_skip").is_null())
        validated = validate.validate(kept, rules.reading)
        if self._unclear:
            rejects = dict(validated.rejects)
            for number in kept["_row"]:
                if fault := self._unclear.get(models.Place(*places.row(number))):
                    rejects[number] = (*rejects.get(number, ()), fault)
            accepted = validated.accepted.filter(~pl.col("_row").is_in(list(rejects)))
            validated = validate.Validated(accepted, rejects)
        return _Validated(canonical, kept, validated, places)

    def _given_of(self, rules: _Rules, chunk: models.Chunk) -> profile.Given:
        """With the order of day and month, once a chunk has dates that could be read in two ways."""
        its = rules.its
        if (
            rules.given.dates is None
            and profile.evidence(its.profile, chunk.frame).order is not timestamps.Order.ABSENT
        ):
            rules.given = replace(rules.given, dates=self.exports.date_order(its))
        return rules.given

    def _count(self, rows: _Validated) -> None:
        """Count dropped rows, and reject the faulty ones."""
        dropped = placed(rows.canonical.filter(pl.col("_drop").is_not_null()).select("_row", "_drop"), rows.places)
        for (kind,), some in dropped.partition_by("_drop", as_dict=True).items():
            self.tally.drop(str(kind), some)
        if rows.validated.rejects:
            self._reject_invalid(rows, rows.validated.rejects)

    def _reject_invalid(self, rows: _Validated, rejects: Mapping[int, tuple[models.Reason, ...]]) -> None:
        """Note the faulty rows, with what else would be missing once their faults are mended."""
        status, talk = pl.col("status").str.to_lowercase(), pl.col("duration_seconds").cast(pl.Float64, strict=False)
        is_unanswered = status.is_in(_UNANSWERED) | (status.is_null() & (talk == 0))
        lacks_agent = pl.all_horizontal(pl.col(_AGENT).is_null(), ~is_unanswered.fill_null(False))
        faulty = rows.kept.filter(pl.col("_row").is_in(list(rejects)))
        wrong = placed(
            faulty.with_columns(lacks_agent.alias("_nameless"), pl.col("_row").alias("_number")), rows.places
        )
        its = self.exports.of(wrong["_source"][0])
        self.in_question.see(wrong, its.system, id_is_unique=its.profile.identity)
        for number, source, row, is_nameless in wrong.select("_number", *PLACE, "_nameless").iter_rows():
            reasons = rejects[number]
            # A row whose cells do not stand in their columns says nothing about its agent.
            if is_nameless and reasons[0].rule not in call_log.WHOLE_ROW and self._no_agent:
                reasons += (self._no_agent,)
            self.tally.reject(models.RejectedRow(models.Place(source, row), reasons))

    def _skip(self, rows: pl.DataFrame, groups: pl.Series | None = None) -> None:
        """Of several rows of one call the first stands for it, unless the call is in `groups` and has better ones."""
        known = rows["_group"].is_in(groups.drop_nulls().implode()) if groups is not None else pl.Series([False])
        alone = rows.filter(~known.fill_null(False)).filter(
            pl.col("_group").is_null() | pl.col("_group").is_first_distinct()
        )
        self.tally.joined += rows.height - alone.height
        for (why,), calls in alone.partition_by("_skip", as_dict=True).items():
            self.tally.skip(models.Skip(str(why)), calls)

    def _stage(self, its: ProfileFiles, calls: pl.DataFrame) -> None:
        staged, key_hash = _staged(its, calls)
        self._sources.see(staged)
        self._calls.add(staged, key_hash)

    # Legs

    def _stage_joined(self, rules: _Rules, rule: profile.Legs) -> Iterator[None]:
        """Gather the rows of all files of a profile by call, then join one partition at a time."""
        # To join rows takes several times their memory.
        stores = rows, skipped, internal = tuple(self._area.partitions(share=2) for _ in range(3))
        for validated in self._validated(rules, internal):
            self._count(validated)
            rows.add(_legs(validated), _BY_CHAIN)
            skipped.add(_skipped(validated), _BY_GROUP)
            yield
        for parts in staging.read_together(*stores):
            of_rows, of_skipped, of_internal = (part.drop(HASH).sort(PLACE) for part in parts)
            if of_internal.height:
                attached = legs.attach_internal(of_internal, of_rows["_group"]).sort(PLACE)
                validated = self._validate(rules, attached)
                self._count(validated)
                of_rows = pl.concat([of_rows, _legs(validated)])
                of_skipped = pl.concat([of_skipped, _skipped(validated)]).sort(PLACE)
            self._join(rules.its, rule, of_rows, of_skipped)
            yield
        for store in stores:
            store.clear()

    def _join(self, its: ProfileFiles, rule: profile.Legs, rows: pl.DataFrame, skipped: pl.DataFrame) -> None:
        left_out = legs.of_skipped_calls(rows, skipped["_group"])
        self.tally.joined += left_out.height
        rows = rows.join(left_out, on=PLACE, how="anti", maintain_order="left")
        self._skip(skipped, rows["_group"])
        rows = rows.with_columns(pl.col("_leg").str.replace_all(_NOT_IN_IDS, "_"))
        joined = legs.join(rows, rule, PLACE, agent=self._agent)
        self.tally.joined += joined.joined.height
        self._joined.add(joined.joined, _BY_PLACE)
        if self.origins:
            self.origins.joined(_pairs(joined.joined))
        self._reject_unjoined(its, rows, joined)
        as_text = pl.when(pl.col("_legs").list.len() > 0).then(pl.col("_legs").list.join("\n"))
        self._stage(its, joined.calls.with_columns(as_text.alias("_legs")))

    def _reject_unjoined(self, its: ProfileFiles, rows: pl.DataFrame, joined: legs.Joined) -> None:
        """Reject all rows of groups that cannot be one call, and the sound rows of groups with a faulty row."""
        apart = [place for one in joined.implausible for place in one.places]
        places = pl.concat([joined.rejected.select(PLACE), pl.DataFrame(apart, schema=SCHEMA, orient="row")])
        rejected = rows.join(places, on=PLACE, how="semi", maintain_order="left")
        self.in_question.see(rejected, its.system, id_is_unique=its.profile.identity)
        for one in joined.implausible:
            named = (models.Place(*one.one), models.Place(*one.other))
            for place in (models.Place(*where) for where in one.places):
                first, second = (self.exports.name_beside(place, other) for other in named)
                why = models.Reason(one.rule, one.told.format(one=first, other=second))
                self.tally.reject(models.RejectedRow(place, (why,)))
        for place, faulty in _pairs(joined.rejected):
            if place != faulty:
                self.tally.reject(self._with_its_leg(place, faulty))

    def _with_its_leg(self, place: models.Place, faulty: models.Place) -> models.RejectedRow:
        told = f"{self.exports.name_beside(place, faulty)} is a leg of the same call and is wrong; mend that row"
        return models.RejectedRow(place, (models.Reason("leg_rejected", told),))


def _staged(its: ProfileFiles, calls: pl.DataFrame) -> tuple[pl.DataFrame, pl.Expr]:
    """The columns of staged calls, and the hash of their keys."""
    staged = calls.select(*PLACE, *CONTENT)
    return staged, deduplicate.key_hash(its.system, staged["call_id"], id_is_unique=its.profile.identity)


def _legs(rows: _Validated) -> pl.DataFrame:
    return placed(legs.rows_of(rows.kept, rows.validated), rows.places)


def _skipped(rows: _Validated) -> pl.DataFrame:
    """Rows that are skipped because of the caller's number. Columns: PLACE, `_group`, `_skip`."""
    is_skipped = pl.col("_drop").is_null() & pl.col("_skip").is_not_null()
    return placed(rows.canonical.filter(is_skipped).select("_row", "_group", "_skip"), rows.places)


def _pairs(rows: pl.DataFrame) -> Iterator[tuple[models.Place, models.Place]]:
    into = [f"_into{name}" for name in PLACE]
    for source, row, into_source, into_row in rows.select(*PLACE, *into).iter_rows():
        yield models.Place(source, row), models.Place(into_source, into_row)
