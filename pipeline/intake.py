"""From files to sightings: read, recipe, validate, join legs, find lead and agent, map. Every row is counted."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime

import polars as pl

from pipeline import config, directory, legs, mapping, model, numbers_file, profile, validation
from pipeline.exports import Exports
from pipeline.tally import Tally
from pipeline.twins import Judged, Twins
from pipeline.wanted import Wanted

PIPELINE_VERSION = "2"
_PLACE = ("_source", "_row")
_OF_LEGS = ("_row", "_group", "_leg", "_chain", "_length")


class Intake:
    """The exports of one run and everything needed to make calls of them."""

    def __init__(self, settings: config.Settings, now: datetime) -> None:
        """Opens every file and looks at its first rows: whatever is wrong with a file is known before anything is sent.

        Raises SourceError, SchemaMismatch or ConfigError.
        """
        self.exports = Exports(settings)
        self.sources, self.profile = self.exports.sources, self.exports.profile
        self.tally = Tally()
        self._system = settings.system or self.profile.system
        zone = settings.timezone or self.profile.zone
        self._reading = validation.Reading(zone, settings.ambiguous_hour, now)
        self._leads = directory.Leads.from_file(settings.leads) if settings.leads else None
        self._agents = directory.UnknownAgent.parse(settings.unknown_agent)
        self._wanted = Wanted.of(settings, zone)
        self._own = numbers_file.stated(settings.own_numbers, settings.region, "--own-number")
        self._given = profile.Given(settings.region, self._own, settings.ambiguous_hour)
        self._with_reference = settings.reference
        self._twins = Twins(id_is_unique=self.profile.identity)
        self.batch = mapping.batch(self.sources, self._shaping(settings))
        self.finds_leads = self._leads is not None or self.exports.has("lead_id")

    def frames(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """The calls of every file, chunk by chunk, each with the number of its source. To be gone through once.

        Columns: those of `mapping.CALL_COLUMNS`: `_row`; lead_id, executed_by (null: nobody is named) and
        duration_seconds Int64; started_at in UTC; call_id, direction, status, customer_phone, description and recording
        text; `_legs`, the ids of the rows that were joined (null where the recipe joins none).

        A recipe that joins legs needs all rows at once: about 300 bytes of memory a row. Otherwise a chunk at a time.
        """
        order = self.exports.date_order()
        self._given = profile.Given(self._given.region, self._own, self._given.ambiguous_hour, order)
        if self.profile.legs is None:
            for position, chunk in self.exports.chunks():
                sound, _ = self._validated(position, chunk)
                yield position, self._calls(position, sound.with_columns(pl.lit(None, pl.String).alias("_legs")))
        else:
            yield from self._joined(self.profile.legs)

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
        """What the calls are to one another, once `frames` or `sightings` has gone through all of them."""
        return self._twins.judged()

    # Rows

    def _validated(self, position: int, chunk: model.Chunk) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The sound rows of a chunk, typed, and the faulty ones, of which only place and group are known; those that
        are nobody's call or nobody's to call back are counted here."""
        self.tally.read += chunk.frame.height
        canonical = profile.canonical(self.profile, chunk.frame, self._given)
        self._drop(canonical)
        kept = canonical.filter(pl.col("_drop").is_null() & pl.col("_skip").is_null())
        self._skip(canonical.filter(pl.col("_drop").is_null() & pl.col("_skip").is_not_null()))
        validated = validation.validate(kept, self._reading)
        self._reject_invalid(position, kept, validated.rejects)
        groups = kept.select(_OF_LEGS)
        is_faulty = pl.col("_row").is_in(list(validated.rejects))
        return validated.accepted.join(groups, on="_row", maintain_order="left"), groups.filter(is_faulty)

    def _drop(self, canonical: pl.DataFrame) -> None:
        for kind, count in canonical.filter(pl.col("_drop").is_not_null()).group_by("_drop").len().iter_rows():
            self.tally.dropped[kind] += count

    def _skip(self, skipped: pl.DataFrame) -> None:
        """Of several rows of one call the first stands for it."""
        alone = skipped.filter(pl.col("_group").is_null() | pl.col("_group").is_first_distinct())
        self.tally.joined += skipped.height - alone.height
        for why, count in alone.group_by("_skip").len().iter_rows():
            self.tally.skip(model.Skip(why), count)

    def _reject_invalid(
        self, position: int, canonical: pl.DataFrame, rejects: Mapping[int, tuple[model.Reason, ...]]
    ) -> None:
        """Note the faulty rows, with what else would be missing once their faults are mended."""
        faulty = canonical.filter(pl.col("_row").is_in(list(rejects))).select("_row", "agent_id")
        for row, agent_id in faulty.iter_rows():
            reasons = rejects[row]
            # A row whose cells do not stand in their columns says nothing about its agent.
            if agent_id is None and reasons[0].rule != "ragged" and self._agents.complaint:
                reasons += (self._agents.complaint,)
            self.tally.reject(model.RejectedRow(model.Place(position, row), reasons))

    # Legs

    def _joined(self, rule: profile.Legs) -> Iterator[tuple[int, pl.DataFrame]]:
        rows = self._all_rows()
        if rows is None:
            return
        joined = legs.join(rows, rule, _PLACE)
        self.tally.joined += joined.joined.height
        for position, row, into_source, into_row in joined.rejected.iter_rows():
            place, faulty = model.Place(position, row), model.Place(into_source, into_row)
            told = f"{self.batch.name_beside(place, faulty)} is a leg of the same call and is wrong; mend that row"
            if place != faulty:
                self.tally.reject(model.RejectedRow(place, (model.Reason("leg_rejected", told),)))
        as_text = pl.when(pl.col("_legs").list.len() > 0).then(pl.col("_legs").list.join("\n"))
        calls = joined.calls.with_columns(as_text.alias("_legs"))
        for position in range(len(self.sources)):
            of_source = calls.filter(pl.col("_source") == position)
            if of_source.height:
                yield position, self._calls(position, of_source)

    def _all_rows(self) -> pl.DataFrame | None:
        pieces = []
        for position, chunk in self.exports.chunks():
            for rows, is_faulty in zip(self._validated(position, chunk), (False, True), strict=True):
                pieces.append(
                    rows.with_columns(
                        pl.lit(position, dtype=pl.Int64).alias("_source"), pl.lit(is_faulty).alias("_faulty")
                    )
                )
        return pl.concat(pieces, how="diagonal") if pieces else None

    # Calls

    def _calls(self, position: int, calls: pl.DataFrame) -> pl.DataFrame:
        calls = self._resolved(position, self._wanted.of_calls(calls, self.tally))
        known = calls.filter(pl.col("lead_id").is_not_null())
        self.tally.skip(model.Skip.NO_LEAD, calls.height - known.height)
        # Nothing leaves that would break the vendor's rules, whichever part of ours let it through.
        unfit = validation.validate_communications(mapping.communications(known))
        known = self._without(position, known, unfit).select(mapping.CALL_COLUMNS)
        self.tally.calls += known.height
        self._twins.see(position, known)
        return known

    def _resolved(self, position: int, calls: pl.DataFrame) -> pl.DataFrame:
        """Those whose lead and agent are known, or whose lead nobody is; the others are rejected."""
        calls, no_lead = self._leads.resolve(calls) if self._leads else (calls, {})
        calls, no_agent = self._agents.resolve(calls)
        reasons = {
            row: tuple(found[row] for found in (no_lead, no_agent) if row in found) for row in {**no_lead, **no_agent}
        }
        return self._without(position, calls, reasons)

    def _without(
        self, position: int, calls: pl.DataFrame, rejects: Mapping[int, tuple[model.Reason, ...]]
    ) -> pl.DataFrame:
        for row, reasons in rejects.items():
            self.tally.reject(model.RejectedRow(model.Place(position, row), reasons))
        return calls.filter(~pl.col("_row").is_in(list(rejects))) if rejects else calls

    def _shaping(self, settings: config.Settings) -> dict[str, str]:
        """The settings that shape calls, by name: two runs with the same ones belong together."""
        return {
            "pipeline": PIPELINE_VERSION,
            "profile": f"{self.profile.name} {self.profile.version} {self.profile.fingerprint[:12]}",
            "system": self._system,
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
        }


def _digest(numbers: frozenset[str]) -> str:
    """Of no number in particular: settings are shown."""
    return hashlib.sha256("\n".join(sorted(numbers)).encode()).hexdigest()[:12] if numbers else ""
