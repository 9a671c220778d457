"""What the rejected rows of a run tell of the calls that they are, so that these are left alone."""

from collections.abc import Collection
from typing import Self

import polars as pl

from callimport.core import models
from callimport.core.places import PLACE, SCHEMA

_NOTHING = pl.DataFrame(schema={"system": pl.String, "call_id": pl.String, "phone": pl.String, "started_at": pl.Int64})


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

    def rows(self, rejected: Collection[models.Place]) -> pl.DataFrame:
        """The rows that were rejected after all. Columns: system, call_id (null: no identity), phone, and started_at in
        Unix seconds, null where it cannot be read."""
        places = pl.DataFrame(list(rejected), schema=SCHEMA, orient="row")
        found = [rows.join(places, on=PLACE, how="semi") for rows in self._rows]
        columns = ("system", "call_id", pl.col("customer_phone").alias("phone"), "started_at")
        return pl.concat([_NOTHING, *(rows.select(columns) for rows in found)])
