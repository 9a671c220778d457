"""Rows of one batch that are the same call: exact copies, of which the first counts, and twins, of which none does.

Equal in key but not in content: which of them is the call is not ours to guess. Of each row only hashes are kept, 35
bytes of them: a million rows are 35 MB, and for a moment three times that when they are judged.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from callimport.core import models, plurals, row_origin

_SEEDS = (1, 2, 3)
_SHOWN = 5
_PLACE = {"source": pl.UInt16, "_row": pl.Int64}


@dataclass(frozen=True, slots=True)
class Judged:
    """`copies` are the places (columns source and _row) of the rows that are exact copies of an earlier one, or have
    another one in their stead; a twin is named with whether both have an id, and with another of its kind. The
    starts in `minute_sources` have no seconds. `minute_copies` are copies in these sources that have no id either."""

    copies: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_PLACE))
    twins: tuple[tuple[models.Place, bool, models.Place], ...] = ()
    minute_sources: frozenset[int] = frozenset()
    minute_copies: tuple[models.Place, ...] = ()

    def __add__(self, other: "Judged") -> "Judged":
        return Judged(
            pl.concat([self.copies, other.copies]),
            self.twins + other.twins,
            self.minute_sources | other.minute_sources,
            self.minute_copies + other.minute_copies,
        )

    def verdicts(self) -> Iterator[tuple[int, int, str]]:
        """Source, row and what it is, of every row that is no call of its own."""
        yield from ((source, row, "duplicate") for source, row in self.copies.iter_rows())
        yield from ((place.source, place.row, "twin") for place, _, _ in self.twins)

    def rejects(self, name: Callable[[models.Place, models.Place], str]) -> tuple[models.RejectedRow, ...]:
        """`name(place, other)` is how the other row is called where the first one is told about."""
        return tuple(
            models.RejectedRow(place, (reason(name(place, other), has_id=has_id, unit=self._unit(place, other)),))
            for place, has_id, other in self.twins
        )

    def told(self, name: Callable[[models.Place], str]) -> tuple[str, ...]:
        """Warn if two calls of one minute may have been taken for one. `name(place)` is how a row is called."""
        if not self.minute_copies:
            return ()
        rows = ", ".join(name(place) for place in self.minute_copies[:_SHOWN])
        more = ", …" if len(self.minute_copies) > _SHOWN else ""
        told = (
            f"{plurals.calls(len(self.minute_copies))} without an id equal an earlier call and count as duplicates: "
            f"{rows}{more}. The starts have no seconds, so there may have been two calls in that minute. Export the "
            "start with its seconds, or the id of the call"
        )
        return (told,)

    def _unit(self, *places: models.Place) -> str:
        return "minute" if any(place.source in self.minute_sources for place in places) else "second"


def reason(other: str, *, has_id: bool, unit: str = "second") -> models.Reason:
    """Why a row is rejected whose twin is called `other`; `unit` is how exact their starts are."""
    same = "the same call_id as" if has_id else f"same {unit}, direction and number as"
    another = ", or give another call an id of its own" if has_id else ""
    return models.Reason("twin", f"{same} {other}, but other content; keep the right one{another}")


class Twins:
    """Sees every call of a batch, then judges."""

    def __init__(self, *, id_is_unique: bool) -> None:
        self._id_is_unique = id_is_unique
        self._seen: list[pl.DataFrame] = []
        self._rows: Counter[int] = Counter()
        self._with_seconds: set[int] = set()

    def see(self, source: int, calls: pl.DataFrame) -> None:
        """`calls` as `Intake.frames` gives them; `source` counts the sources of the batch from 0."""
        self._rows[source] += calls.height
        if (calls["started_at"].dt.second() != 0).any():
            self._with_seconds.add(source)
        has_id = pl.col("call_id").is_not_null() if self._id_is_unique else pl.lit(False)
        by_id, by_instant = pl.struct("call_id"), pl.struct("started_at", "direction", "customer_phone")
        if self._id_is_unique and not calls["call_id"].has_nulls():
            # Nearly every system names all of its calls: nothing is to be looked for in their instants.
            by_instant = by_id
        first, second = (pl.when(has_id).then(by_id.hash(seed)).otherwise(by_instant.hash(seed)) for seed in _SEEDS[:2])
        self._seen.append(
            calls.select(
                pl.lit(source, dtype=pl.UInt16).alias("source"),
                "_row",
                has_id.alias("has_id"),
                first.alias("key"),
                second.alias("key_too"),
                pl.struct(pl.all().exclude("_row")).hash(_SEEDS[2]).alias("content"),
            )
        )

    def judged(self, origins: row_origin.Origins | None = None) -> Judged:
        """Once all calls were seen.

        By `origins`, a row whose mended form is a call of this batch counts as a copy of that; one that an item has
        replaced already is neither copy nor twin, but who differs from it is its twin.
        """
        if not self._seen:
            return Judged()
        seen = pl.concat(self._seen, rechunk=False)
        if seen["key"].n_unique() == seen.height and (origins is None or not origins.repeated):
            return Judged()
        stood_in_for = seen.clear().select(list(_PLACE))
        replaced = stood_in_for
        if origins is not None and origins.repeated:
            stood_in_for = _stood_in_for(seen, origins)
            seen = seen.join(stood_in_for, on=list(_PLACE), how="anti", maintain_order="left")
            replaced = _places(origins.replaced())
        key = ("has_id", "key", "key_too")
        # Most are told apart by the first hash; of all three together, all rows would need several times the memory.
        several = (
            seen.filter(pl.col("key").is_duplicated())
            .filter(pl.struct(key).is_duplicated())
            .sort("source", "_row")
            .with_columns(
                pl.col("content").first().over(key).alias("first_content"),
                (pl.col("content").n_unique().over(key) > 1).alias("is_twin"),
            )
        )
        named = _named(several.filter("is_twin"), key).join(
            replaced, on=list(_PLACE), how="anti", maintain_order="left"
        )
        equal = several.filter(~pl.col("is_twin")).join(replaced, on=list(_PLACE), how="anti", maintain_order="left")
        copies = equal.filter(~pl.struct(key).is_first_distinct())
        in_minutes = [source for source, rows in self._rows.items() if rows > 1 and source not in self._with_seconds]
        of_minutes = copies.filter(~pl.col("has_id") & pl.col("source").is_in(in_minutes)).select(list(_PLACE))
        return Judged(
            pl.concat([copies.select(list(_PLACE)), stood_in_for]),
            tuple(
                (models.Place(source, row), has_id, models.Place(other_source, other_row))
                for source, row, has_id, other_source, other_row in named.iter_rows()
            ),
            frozenset(in_minutes),
            tuple(models.Place(source, row) for source, row in of_minutes.iter_rows()),
        )


def _named(twins: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Source, _row and has_id of each twin, with other_source and other_row of one that differs from it."""
    firsts = twins.unique(key, keep="first", maintain_order=True).select(
        *key, pl.col("source").alias("first_source"), pl.col("_row").alias("first_row")
    )
    others = (
        twins.filter(pl.col("content") != pl.col("first_content"))
        .unique(key, keep="first", maintain_order=True)
        .select(*key, pl.col("source").alias("other_source"), pl.col("_row").alias("other_row"))
    )
    is_as_first = pl.col("content") == pl.col("first_content")
    return twins.join(firsts, on=key).join(others, on=key).select(
        "source", "_row", "has_id",
        pl.when(is_as_first).then("other_source").otherwise("first_source").alias("other_source"),
        pl.when(is_as_first).then("other_row").otherwise("first_row").alias("other_row"),
    ).sort("source", "_row")  # fmt: skip


def _stood_in_for(seen: pl.DataFrame, origins: row_origin.Origins) -> pl.DataFrame:
    """The places of those whose mended row is among the calls, too."""
    pairs = list(origins.stand_ins())
    beside = _places(place for place, _ in pairs).hstack(
        _places(instead for _, instead in pairs).select(pl.all().name.prefix("its_"))
    )
    calls = seen.select(list(_PLACE))
    return (
        beside.join(calls, left_on=["its_source", "its__row"], right_on=list(_PLACE), how="semi")
        .join(calls, on=list(_PLACE), how="semi")
        .select(list(_PLACE))
        .unique(maintain_order=True)
    )


def _places(places: Iterable[models.Place]) -> pl.DataFrame:
    return pl.DataFrame(list(places), schema=_PLACE, orient="row")
