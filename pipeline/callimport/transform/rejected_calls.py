"""What the rejected rows of a run tell of the calls that they are, so that these are left alone."""

from collections.abc import Collection, Iterable
from typing import Self

import polars as pl

from callimport.core import models

# As near as a call without seconds may lie to another one of the same number.
NEAR_SECONDS = 60


class InQuestion:
    """Sees rows that are rejected, or may be, as text or typed; as much memory as there are such rows."""

    def __init__(self) -> None:
        self._rows: list[pl.DataFrame] = []

    def copy(self) -> Self:
        """Return what was seen, to see more apart from this one."""
        one = type(self)()
        one._rows = [*self._rows]
        return one

    def see(self, rows: pl.DataFrame, system: str, *, id_is_unique: bool) -> None:
        """Rows of one system. Columns: `_source`, `_row`, call_id, customer_phone and started_at (an instant or text;
        only text with an offset is read)."""
        if rows.is_empty():
            return
        moment = pl.col("started_at")
        if rows.schema["started_at"] == pl.String:
            moment = moment.str.to_datetime("%+", time_zone="UTC", strict=False)
        call_id = pl.col("call_id") if id_is_unique else pl.lit(None, pl.String)
        self._rows.append(
            rows.select(
                "_source",
                "_row",
                pl.lit(system).alias("system"),
                call_id.alias("call_id"),
                "customer_phone",
                moment.dt.epoch("s"),
            )
        )

    def among(self, calls: Iterable[models.Sighting], rejected: Collection[models.Place]) -> set[str]:
        """The keys of those that a rejected row may be: by its id, or by its number and about its time."""
        ids: set[tuple[str, str | None]] = set()
        times: dict[str | None, list[int | None]] = {}
        for rows in self._rows:
            for source, row, system, call_id, phone, at in rows.iter_rows():
                if models.Place(source, row) in rejected:
                    if call_id is not None:
                        ids.add((system, call_id))
                    times.setdefault(phone, []).append(at)
        return {
            call.key
            for call in calls
            if (call.system, call.call_id) in ids
            or any(at is None or abs(at - call.started_at) <= NEAR_SECONDS for at in times.get(call.phone, ()))
        }
