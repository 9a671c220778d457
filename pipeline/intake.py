"""From files to sightings: read, recipe, validate, find lead and agent, map. Every row is counted on its way."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from pipeline import config, directory, errors, mapping, model, profile, source, validation

PIPELINE_VERSION = "1"
_PAYLOAD = {
    "_row": pl.Int64,
    "lead_id": pl.Int64,
    "method": pl.String,
    "type": pl.String,
    "executed_at": pl.String,
    "executed_by": pl.Int64,
    "description": pl.String,
    "call_status": pl.String,
    "call_duration": pl.Int64,
    "call_phone": pl.String,
}


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

    def sightings(self, account_id: int) -> Iterator[list[model.Sighting]]:
        """The calls of every file, chunk by chunk, ready to be enrolled. To be gone through once."""
        for position, opened in enumerate(self.sources):
            for chunk in source.read(opened):
                yield [
                    mapping.sighting(
                        call,
                        id_is_unique=self.profile.identity,
                        account_id=account_id,
                        with_mark=self._with_reference,
                    )
                    for call in self._calls(position, chunk)
                ]

    def chunks(self) -> Iterator[tuple[int, model.Chunk]]:
        """The files once more, as they are, for the reject file."""
        for position, opened in enumerate(self.sources):
            for chunk in source.read(opened):
                yield position, chunk

    def _calls(self, position: int, chunk: model.Chunk) -> list[model.Call]:
        canonical = profile.canonical(self.profile, chunk.frame)
        validated = validation.validate(canonical, self._reading)
        self.tally.read += chunk.frame.height
        self._reject(position, canonical, validated.rejects)
        calls = [
            call for row in validated.accepted.iter_rows(named=True) if (call := self._call(position, row)) is not None
        ]
        calls = self._fit_for_the_crm(calls)
        self.tally.calls += len(calls)
        return calls

    def _reject(self, position: int, canonical: pl.DataFrame, rejects: dict[int, tuple[model.Reason, ...]]) -> None:
        """Note the faulty rows, with what else would be missing once their faults are mended."""
        faulty = canonical.filter(pl.col("_row").is_in(list(rejects)))
        for cells in faulty.iter_rows(named=True):
            reasons = rejects[cells["_row"]]
            # A row whose cells do not stand in their columns says nothing about its agent.
            if cells["agent_id"] is None and reasons[0].rule != "ragged":
                _, no_agent = self._agents.resolve(None)
                reasons += (no_agent,) if no_agent else ()
            self.tally.reject(model.RejectedRow(model.Place(position, cells["_row"]), reasons))

    def _call(self, position: int, row: dict[str, object]) -> model.Call | None:
        """A valid row as a call; None if it is skipped or, with its reasons noted, rejected."""
        place = model.Place(position, _int(row["_row"]))
        phone = str(row["customer_phone"])
        lead_id, no_lead = self._lead(_int_or_none(row["lead_id"]), phone)
        executed_by, no_agent = self._agents.resolve(_int_or_none(row["agent_id"]))
        reasons = tuple(reason for reason in (no_lead, no_agent) if reason is not None)
        if reasons:
            self.tally.reject(model.RejectedRow(place, reasons))
            return None
        started_at = _instant(row["started_at"])
        if not self._since <= started_at < self._until:
            self.tally.skipped[model.Skip.OUTSIDE_DATES] += 1
            return None
        if lead_id is None:
            self.tally.skipped[model.Skip.NO_LEAD] += 1
            return None
        return model.Call(
            place=place,
            system=self._system,
            call_id=_text_or_none(row["call_id"]),
            lead_id=lead_id,
            direction=model.Direction(str(row["direction"])),
            status=model.CallStatus(str(row["status"])),
            started_at=started_at,
            duration_seconds=_int(row["duration_seconds"]),
            customer_phone=phone,
            executed_by=executed_by,
            description=_text_or_none(row["description"]),
            recording=_text_or_none(row["recording"]),
        )

    def _lead(self, lead_id: int | None, phone: str) -> tuple[int | None, model.Reason | None]:
        return self._leads.resolve(lead_id, phone) if self._leads else (lead_id, None)

    def _fit_for_the_crm(self, calls: list[model.Call]) -> list[model.Call]:
        """Nothing leaves that would break the vendor's rules, whichever part of ours let it through."""
        if not calls:
            return calls
        frame = pl.DataFrame(
            [{"_row": index, **mapping.payload(mapping.communication(call, None))} for index, call in enumerate(calls)],
            schema=_PAYLOAD,
        )
        faults = validation.validate_communications(frame)
        for index, reasons in faults.items():
            self.tally.reject(model.RejectedRow(calls[index].place, reasons))
        return [call for index, call in enumerate(calls) if index not in faults]

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
    return datetime(day.year, day.month, day.day, tzinfo=_zone(zone))


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


def _instant(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError("a validated started_at is an instant")
    return value


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("a validated number is a number")
    return value


def _int_or_none(value: object) -> int | None:
    return None if value is None else _int(value)


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)
