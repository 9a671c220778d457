"""Times without an offset whose zone is known from the file: fixed, named in a column, or told by an epoch beside them.

Such a time becomes an instant in UTC here; where the file cannot tell, it stays as it is, and `--timezone` decides.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import polars as pl

from callimport.profiles import conditions
from callimport.profiles.model import Zone

AmbiguousHour: TypeAlias = Literal["reject", "first", "second"]
_OFFSET = r"(?:[Zz]|[+-]\d{2}:?\d{2})$"
_SECONDS = "%Y-%m-%dT%H:%M:%S"
_INSTANT = pl.Datetime("us", "UTC")
# A call detail record may begin a while after its channel; what lies further from an offset than this tells none.
_LATE_SECONDS = 300
_QUARTER = 900
# Whole hours, and the halves and quarters that a clock on earth shows.
_OFFSETS = sorted(
    [hour * 3600 for hour in range(-12, 15)]
    + [int(hours * 3600) for hours in (-9.5, -3.5, -2.5, 3.5, 4.5, 5.5, 5.75, 6.5, 8.75, 9.5, 10.5, 12.75)]
)


def settled(
    frame: pl.DataFrame, zone: Zone, column: str, ambiguous_hour: AmbiguousHour, stated: str | None = None
) -> pl.DataFrame:
    """Of the ISO texts in `column`: `instant` (UTC, null where the zone is not known) and `fault` (text, a rule of
    `call_log.ZONE_RULES`, null for none). `stated` is the zone from --timezone."""
    told = pl.lit(zone.name) if zone.origin is None else conditions.text(zone.origin)
    parts = frame.select(
        _naive(pl.col(column)).alias("naive"),
        pl.col(column).str.contains(_OFFSET).fill_null(False).alias("has_offset"),
        pl.col(column).alias("text"),
        told.alias("told"),
    )
    exact = parts.select(
        pl.when("has_offset").then(pl.col("text").str.to_datetime("%+", strict=False, time_zone="UTC", time_unit="us"))
    ).to_series()
    settle = _by_epoch(parts, stated) if zone.by == "epoch" else _by_name(parts, ambiguous_hour)
    return settle.select(
        pl.when(parts["has_offset"]).then(exact).otherwise(pl.col("instant")).alias("instant"),
        pl.when(~parts["has_offset"]).then(pl.col("fault")).alias("fault"),
    )


def near_epoch(frame: pl.DataFrame, zone: Zone, readings: Sequence[pl.Series]) -> pl.Series:
    """For each row, the reading (ISO text) that lies near the row's epoch; null if no reading or several different ones
    do. `readings` are of the same times."""
    epoch = frame.select(_epoch(conditions.text(zone.origin) if zone.origin else pl.lit(None))).to_series()
    near = [
        pl.DataFrame({"text": reading, "naive": reading.to_frame("text").select(_naive(pl.col("text"))).to_series()})
        .with_columns(epoch.alias("epoch"))
        .select(pl.when(_offset_near(pl.col("naive"), pl.col("epoch")).is_not_null()).then("text"))
        .to_series()
        .alias(str(position))
        for position, reading in enumerate(readings)
    ]
    found = pl.concat_list(pl.all()).list.drop_nulls().list.unique()
    return pl.DataFrame(near).select(pl.when(found.list.len() == 1).then(found.list.first())).to_series()


def _naive(text: pl.Expr) -> pl.Expr:
    return text.str.slice(0, 19).str.to_datetime(_SECONDS, strict=False, time_unit="us")


def _epoch(text: pl.Expr) -> pl.Expr:
    return pl.from_epoch(text.cast(pl.Int64, strict=False)).cast(pl.Datetime("us"))


def _offset_near(naive: pl.Expr, epoch: pl.Expr) -> pl.Expr:
    """The offset from UTC, in seconds, between a time and its epoch; null if no zone on earth has that offset."""
    apart = (naive - epoch).dt.total_seconds()
    offset = (apart / _QUARTER).round().cast(pl.Int64) * _QUARTER
    return pl.when(((apart - offset).abs() <= _LATE_SECONDS) & offset.is_in(_OFFSETS)).then(offset)


def _by_epoch(parts: pl.DataFrame, stated: str | None) -> pl.DataFrame:
    naive, epoch = pl.col("naive"), _epoch(pl.col("told"))
    rows = parts.select(
        "naive", naive.dt.date().alias("day"), _offset_near(naive, epoch).alias("offset"), epoch.alias("epoch")
    )
    sure = pl.any_horizontal((pl.col("offset") == pl.Series(shown)).fill_null(False) for shown in _usual(rows))
    instant: pl.Expr = pl.when(sure).then((naive - pl.duration(seconds="offset")).dt.replace_time_zone("UTC"))
    if stated is not None:
        # In the hour that happens twice, the call begins at its epoch or a little later.
        first, second = _first_and_second(naive, stated)
        late = [
            (one - pl.col("epoch").dt.replace_time_zone("UTC")).dt.total_seconds().is_between(0, _LATE_SECONDS)
            for one in (first, second)
        ]
        twice = first != second
        instant = pl.coalesce(instant, pl.when(twice & late[0]).then(first).when(twice & late[1]).then(second))
    return rows.select(instant.alias("instant"), pl.lit(None, dtype=pl.String).alias("fault"))


def _usual(rows: pl.DataFrame) -> list[pl.Series]:
    """For each row the offset that most rows of its day show, and of the days beside it (clocks may have changed).

    A record that begins an hour after its channel, such as that of a transfer, seems to be in another zone: alone.
    """
    days = (
        rows.drop_nulls("offset")
        .group_by("day", "offset")
        .len()
        .sort("day", pl.col("len").cast(pl.Int64).neg(), "offset")
        .unique("day", keep="first", maintain_order=True)
        .select("day", "offset")
    )
    return [
        rows.select("day")
        .join(days.with_columns(pl.col("day").dt.offset_by(shift)), on="day", how="left", maintain_order="left")
        .get_column("offset")
        for shift in ("0d", "1d", "-1d")
    ]


def _by_name(parts: pl.DataFrame, ambiguous_hour: AmbiguousHour) -> pl.DataFrame:
    """Zone by zone, of which a file has few."""
    instant, fault = pl.lit(None, dtype=_INSTANT), pl.lit(None, dtype=pl.String)
    naive = pl.col("naive")
    for name in parts["told"].drop_nulls().unique().sort():
        here = (pl.col("told") == name) & naive.is_not_null()
        try:
            first, second = _first_and_second(naive, name)
            parts.head(0).select(first)
        except pl.exceptions.ComputeError:
            fault = pl.when(here).then(pl.lit("started_at_zone")).otherwise(fault)
            continue
        twice = first != second
        chosen = second if ambiguous_hour == "second" else first
        refused = twice & (ambiguous_hour == "reject")
        instant = pl.when(here & ~refused).then(chosen).otherwise(instant)
        fault = (
            pl.when(here & first.is_null())
            .then(pl.lit("started_at_nonexistent"))
            .when(here & refused)
            .then(pl.lit("started_at_ambiguous"))
            .otherwise(fault)
        )
    return parts.select(instant.alias("instant"), fault.alias("fault"))


def _first_and_second(naive: pl.Expr, zone: str) -> tuple[pl.Expr, pl.Expr]:
    """The first and the last instant at which the clocks of a zone show a time; null if they never show it."""
    which: tuple[Literal["earliest"], Literal["latest"]] = ("earliest", "latest")
    first, second = (
        naive.dt.replace_time_zone(zone, ambiguous=hour, non_existent="null").dt.convert_time_zone("UTC")
        for hour in which
    )
    return first, second
