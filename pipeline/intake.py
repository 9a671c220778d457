"""From files to sightings: read, recipe, validate, find lead and agent, map. Every row is counted on its way."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from pipeline import config, directory, errors, mapping, model, profile, source, validation
from pipeline.twins import Judged, Twins

PIPELINE_VERSION = "1"


@dataclass(slots=True)
class Tally:
    """What has been met so far. `rejects` are kept whole: they are what the reject file is made of."""

    read: int = 0
    calls: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    rejects: dict[model.Place, tuple[model.Reason, ...]] = field(default_factory=dict)

    def reject(self, rejected: model.RejectedRow) -> None:
        self.rejects[rejected.place] = rejected.reasons


class Intake:
    """The files of one run and everything needed to make calls of them."""

    def __init__(self, settings: config.Settings, now: datetime) -> None:
        """Opens every file and looks at its header: whatever is wrong with a file is known before anything is sent.

        Raises SourceError, SchemaMismatch or ConfigError.
        """
        self.sources = tuple(source.open_source(path) for path in sources_of(settings))
        self.profile = _profile_for(self.sources, settings.profile)
        self.tally = Tally()
        self._system = settings.system or self.profile.system
        self._zone = settings.timezone or self.profile.zone
        self._reading = validation.Reading(self._zone, settings.ambiguous_hour, now)
        self._leads = directory.Leads.from_file(settings.leads) if settings.leads else None
        self._agents = directory.UnknownAgent.parse(settings.unknown_agent)
        self._since = _midnight(settings.since, self._zone)
        self._until = _midnight_after(settings.until, self._zone)
        self._with_reference = settings.reference
        self.batch = mapping.batch(self.sources, self._shaping(settings))
        self.finds_leads = self._leads is not None or self._names_leads()

    def frames(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """The calls of every file, chunk by chunk, each with the number of its source. To be gone through once.

        Columns: `_row`; lead_id, executed_by (null: nobody is named) and duration_seconds Int64; started_at in UTC;
        call_id, direction, status, customer_phone, description and recording text.
        """
        for position, opened in enumerate(self.sources):
            for chunk in source.read(opened):
                yield position, self._calls(position, chunk)

    def sightings(self, account_id: int) -> Iterator[Iterator[model.Sighting]]:
        """The same, ready to be enrolled."""
        for position, frame in self.frames():
            yield (
                mapping.sighting(
                    call, id_is_unique=self.profile.identity, account_id=account_id, with_mark=self._with_reference
                )
                for call in mapping.calls(frame, source=position, system=self._system)
            )

    def judged(self) -> Judged:
        """Go through all calls, for nothing but to judge them together."""
        twins = Twins(id_is_unique=self.profile.identity)
        for position, frame in self.frames():
            twins.see(position, frame)
        return twins.judged()

    def chunks(self) -> Iterator[tuple[int, model.Chunk]]:
        """The files once more, as they are, for the reject file."""
        for position, opened in enumerate(self.sources):
            for chunk in source.read(opened):
                yield position, chunk

    def _calls(self, position: int, chunk: model.Chunk) -> pl.DataFrame:
        canonical = profile.canonical(self.profile, chunk.frame)
        validated = validation.validate(canonical, self._reading)
        self.tally.read += chunk.frame.height
        self._reject_invalid(position, canonical, validated.rejects)
        calls = self._in_dates(self._resolved(position, validated.accepted))
        calls = self._fit_for_the_crm(position, calls)
        self.tally.calls += calls.height
        return calls.select(mapping.CALL_COLUMNS)

    def _reject_invalid(
        self, position: int, canonical: pl.DataFrame, rejects: dict[int, tuple[model.Reason, ...]]
    ) -> None:
        """Note the faulty rows, with what else would be missing once their faults are mended."""
        faulty = canonical.filter(pl.col("_row").is_in(list(rejects))).select("_row", "agent_id")
        for row, agent_id in faulty.iter_rows():
            reasons = rejects[row]
            # A row whose cells do not stand in their columns says nothing about its agent.
            if agent_id is None and reasons[0].rule != "ragged" and self._agents.complaint:
                reasons += (self._agents.complaint,)
            self.tally.reject(model.RejectedRow(model.Place(position, row), reasons))

    def _resolved(self, position: int, calls: pl.DataFrame) -> pl.DataFrame:
        """Those whose lead and agent are known, or whose lead nobody is; the others are rejected."""
        calls, no_lead = self._leads.resolve(calls) if self._leads else (calls, {})
        calls, no_agent = self._agents.resolve(calls)
        return self._without(position, calls, {
            row: tuple(found[row] for found in (no_lead, no_agent) if row in found) for row in {**no_lead, **no_agent}
        })  # fmt: skip

    def _in_dates(self, calls: pl.DataFrame) -> pl.DataFrame:
        """Those of the wanted days that have a lead; the others are skipped and counted."""
        wanted = calls.filter((pl.col("started_at") >= self._since) & (pl.col("started_at") < self._until))
        known = wanted.filter(pl.col("lead_id").is_not_null())
        self._skip(model.Skip.OUTSIDE_DATES, calls.height - wanted.height)
        self._skip(model.Skip.NO_LEAD, wanted.height - known.height)
        return known

    def _skip(self, why: model.Skip, count: int) -> None:
        if count:
            self.tally.skipped[why] += count

    def _fit_for_the_crm(self, position: int, calls: pl.DataFrame) -> pl.DataFrame:
        """Nothing leaves that would break the vendor's rules, whichever part of ours let it through."""
        return self._without(position, calls, validation.validate_communications(mapping.communications(calls)))

    def _without(
        self, position: int, calls: pl.DataFrame, rejects: Mapping[int, tuple[model.Reason, ...]]
    ) -> pl.DataFrame:
        for row, reasons in rejects.items():
            self.tally.reject(model.RejectedRow(model.Place(position, row), reasons))
        return calls.filter(~pl.col("_row").is_in(list(rejects))) if rejects else calls

    def _names_leads(self) -> bool:
        feeding = set(self.profile.fed_by("lead_id"))
        return "lead_id" in self.profile.constants or any(
            feeding & profile.resolved(self.profile, source.header(opened)).keys() for opened in self.sources
        )

    def _shaping(self, settings: config.Settings) -> dict[str, str]:
        """The settings that shape calls, by name: two runs with the same ones belong together."""
        return {
            "pipeline": PIPELINE_VERSION,
            "profile": f"{self.profile.name} {self.profile.version} {self.profile.fingerprint[:12]}",
            "system": self._system,
            "timezone": self._zone or "",
            "ambiguous-hour": settings.ambiguous_hour,
            "since": str(settings.since or ""),
            "until": str(settings.until or ""),
            "leads": self._leads.sha256[:12] if self._leads else "",
            "unknown-agent": settings.unknown_agent,
            "reference": "yes" if settings.reference else "no",
        }


def sources_of(settings: config.Settings) -> tuple[Path, ...]:
    """The exports that are meant. A folder's leads file and reject file are not exports."""
    besides = [path for path in (settings.leads, settings.rejects) if path is not None]
    return source.find(settings.files, besides=besides)


def _profile_for(sources: tuple[model.Source, ...], name: str | None) -> profile.Profile:
    chosen: profile.Profile | None = profile.load(name) if name else None
    for opened in sources:
        header = source.header(opened)
        peek = model.Peek(records=((1, header),), is_typed=False, told="")
        try:
            chosen = (profile.detect(peek) if chosen is None else profile.fit(chosen, peek)).profile
        except errors.SchemaMismatch as error:
            raise errors.SchemaMismatch(f"{opened.name}: {error}") from error
        ids = chosen.columns.get("call_id") if chosen.identity else None
        if isinstance(ids, profile.Cell):
            source.refuse_fractions(opened, profile.resolved(chosen, header).get(ids.column, ""))
    if chosen is None:
        raise errors.SourceError("no file is named; name the exports to read")
    return chosen


def _midnight(day: date | None, zone: str | None) -> datetime:
    if day is None:
        return datetime.min.replace(tzinfo=UTC)
    return datetime(day.year, day.month, day.day, tzinfo=_zone(zone)).astimezone(UTC)


def _midnight_after(day: date | None, zone: str | None) -> datetime:
    if day is None:
        return datetime.max.replace(tzinfo=UTC)
    if day == date.max:
        return datetime.max.replace(tzinfo=UTC)
    return _midnight(date.fromordinal(day.toordinal() + 1), zone)


def _zone(zone: str | None) -> ZoneInfo:
    if zone is None:
        raise errors.ConfigError(
            "--since and --until are days in a time zone, and none is known: state it, as in --timezone America/Toronto"
        )
    return ZoneInfo(zone)
