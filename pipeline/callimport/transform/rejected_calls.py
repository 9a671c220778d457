"""What the rejected rows of a run tell of the calls that they are, so that these are left alone."""

from collections.abc import Collection, Iterable

import polars as pl

from callimport.core import models

# As near as a call without seconds may lie to another one of the same number.
NEAR_SECONDS = 60
_TOLD = ("call_id", "customer_phone", "started_at")


class InQuestion:
    """Sees rows that are rejected, or may be, as text or typed; as much memory as there are such rows."""

    def __init__(self) -> None:
        self._rows: dict[models.Place, tuple[tuple[str, str | None] | None, str | None, int | None]] = {}

    def see(self, frame: pl.DataFrame, system: str, *, id_is_unique: bool) -> None:
        """Rows of one system. Columns: `_source`, `_row`, call_id, customer_phone and started_at (an instant or text;
        only text with an offset is read)."""
        moment = pl.col("started_at")
        if frame.schema["started_at"] == pl.String:
            moment = moment.str.to_datetime("%+", time_zone="UTC", strict=False)
        told = frame.select("_source", "_row", "call_id", "customer_phone", moment.dt.epoch("s"))
        for source, row, call_id, phone, at in told.iter_rows():
            known_by = (system, call_id) if id_is_unique and call_id is not None else None
            self._rows.setdefault(models.Place(source, row), (known_by, phone, at))

    def among(self, calls: Iterable[models.Sighting], rejected: Collection[models.Place]) -> set[str]:
        """The keys of those that a rejected row may be: by its id, or by its number and about its time."""
        ids: set[tuple[str, str | None] | None] = set()
        times: dict[str | None, list[int | None]] = {}
        for place, (known_by, phone, started_at) in self._rows.items():
            if place in rejected:
                ids.add(known_by)
                times.setdefault(phone, []).append(started_at)
        return {
            call.key
            for call in calls
            if (call.system, call.call_id) in ids
            or any(at is None or abs(at - call.started_at) <= NEAR_SECONDS for at in times.get(call.phone, ()))
        }
