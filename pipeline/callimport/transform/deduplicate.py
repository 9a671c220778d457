"""Remove duplicates among staged calls. Calls with equal keys and different content contradict each other: rejects.

Calls with equal keys have equal hashes, so one partition is judged at a time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from callimport.core import models, plurals
from callimport.core.places import PLACE, SCHEMA
from callimport.profiles.exports import ProfileFiles
from callimport.transform.staging import HASH

_SHOWN = 5
_CONTENT_SEED = 1
_PAIR = {**SCHEMA, **{f"_into{name}": pl.Int64 for name in PLACE}}
# What makes a key: of a call with an id that is unique the first two, of another call all but `_id`.
_KEY = ("_system", "_id", "_at", "_direction", "_phone")


def key_hash(system: str, call_id: pl.Series, *, id_is_unique: bool) -> pl.Expr:
    """Hash the key of staged calls of one system. `call_id` are their ids."""
    by_id = pl.struct(pl.lit(system).alias("_system"), "call_id").hash()
    if id_is_unique and not call_id.has_nulls():
        return by_id
    by_instant = pl.struct(pl.lit(system).alias("_system"), "started_at", "direction", "customer_phone").hash()
    return pl.when(pl.col("call_id").is_not_null()).then(by_id).otherwise(by_instant) if id_is_unique else by_instant


@dataclass(slots=True)
class Sources:
    """What the calls of each file have in common. Starts in a file of several calls without any second are not exact:
    only the minute is known."""

    rows: dict[int, int] = field(default_factory=dict)
    with_seconds: set[int] = field(default_factory=set)

    def see(self, calls: pl.DataFrame) -> None:
        """Columns: `_source`, started_at."""
        seen = calls.group_by("_source").agg(pl.len(), (pl.col("started_at").dt.second() != 0).any().alias("exact"))
        for source, rows, is_exact in seen.iter_rows():
            self.rows[source] = self.rows.get(source, 0) + rows
            if is_exact:
                self.with_seconds.add(source)

    def in_minutes(self) -> frozenset[int]:
        return frozenset(source for source, rows in self.rows.items() if rows > 1 and source not in self.with_seconds)


@dataclass(frozen=True, slots=True)
class Judged:
    """`calls` are calls of their own. `copies` are the places of duplicates, and `_into…`: the place of the call that
    each equals. `contradicting` are the calls that differ from another one of their key, `twins` the places of these
    with whether both have an id, and the place of one that it differs from."""

    calls: pl.DataFrame
    copies: pl.DataFrame
    contradicting: pl.DataFrame
    twins: tuple[tuple[models.Place, bool, models.Place], ...] = ()

    def contradicting_among(self, calls: pl.DataFrame) -> "Judged":
        """Return what is said of these calls alone: of them, only the contradicting ones."""
        contradicting = self.contradicting.join(calls.select(PLACE), on=PLACE, how="semi", maintain_order="left")
        places = set(contradicting.select(PLACE).iter_rows())
        twins = tuple(twin for twin in self.twins if tuple(twin[0]) in places)
        return Judged(self.calls.clear(), self.copies.clear(), contradicting, twins)

    def with_contradicting(self, other: "Judged") -> "Judged":
        """Return this with the contradicting calls of another one, which are then no calls here."""
        return Judged(
            _without(self.calls, other.contradicting),
            self.copies,
            pl.concat([self.contradicting, other.contradicting]),
            self.twins + other.twins,
        )


class Duplicates:
    """Judges the calls of a run, and remembers what to say of them."""

    def __init__(self, in_minutes: frozenset[int] = frozenset()) -> None:
        """`in_minutes` are the sources whose starts have no seconds."""
        self._in_minutes = in_minutes
        self._minute_copies: list[models.Place] = []
        self._minute_count = 0

    def judge(self, calls: pl.DataFrame, by_profile: Iterable[ProfileFiles]) -> Judged:
        """Judge a partition of staged calls. `by_profile` says which system each file is of, and whether its ids are
        unique."""
        suspects = calls.filter(pl.col(HASH).is_duplicated())
        if suspects.is_empty():
            return Judged(calls, pl.DataFrame(schema=_PAIR), suspects)
        several = _keyed(suspects, by_profile)
        named = _named(several.filter("_is_twin"))
        equal = several.filter(~pl.col("_is_twin"))
        kept = [pl.col(name).first().over(_KEY).alias(f"_into{name}") for name in PLACE]
        copies = equal.with_columns(kept).filter(~pl.struct(_KEY).is_first_distinct())
        self._note_minutes(copies.filter(pl.col("_id").is_null() & pl.col("_source").is_in(list(self._in_minutes))))
        return Judged(
            _without(_without(calls, copies), named),
            copies.select(list(_PAIR)),
            calls.join(named, on=PLACE, how="semi", maintain_order="left"),
            tuple(
                (models.Place(source, row), has_id, models.Place(other_source, other_row))
                for source, row, has_id, other_source, other_row in named.iter_rows()
            ),
        )

    def rejects(
        self, judged: Judged, name: Callable[[models.Place, models.Place], str]
    ) -> Iterable[models.RejectedRow]:
        """`name(place, other)` is how the other row is called where the first one is told about."""
        for place, has_id, other in judged.twins:
            unit = "minute" if {place.source, other.source} & self._in_minutes else "second"
            yield models.RejectedRow(place, (reason(name(place, other), has_id=has_id, unit=unit),))

    def told(self, name: Callable[[models.Place], str]) -> tuple[str, ...]:
        """Warn if two calls of one minute may have been taken for one. `name(place)` is how a row is called."""
        if not self._minute_count:
            return ()
        rows = ", ".join(name(place) for place in self._minute_copies)
        more = ", …" if self._minute_count > _SHOWN else ""
        told = (
            f"{plurals.calls(self._minute_count)} without an id equal an earlier call and count as duplicates: "
            f"{rows}{more}. The starts have no seconds, so there may have been two calls in that minute. Export the "
            "start with its seconds, or the id of the call"
        )
        return (told,)

    def _note_minutes(self, copies: pl.DataFrame) -> None:
        self._minute_count += copies.height
        first = copies.select(PLACE).bottom_k(_SHOWN, by=PLACE).iter_rows()
        self._minute_copies = sorted([*self._minute_copies, *(models.Place(*place) for place in first)])[:_SHOWN]


def reason(other: str, *, has_id: bool, unit: str = "second") -> models.Reason:
    """Why a row is rejected whose twin is called `other`; `unit` is how exact their starts are."""
    same = "the same call_id as" if has_id else f"same {unit}, direction and number as"
    another = ", or give another call an id of its own" if has_id else ""
    return models.Reason("twin", f"{same} {other}, but other content; keep the right one{another}")


def _keyed(suspects: pl.DataFrame, by_profile: Iterable[ProfileFiles]) -> pl.DataFrame:
    """The calls that share their key, by place; with the columns of _KEY, `_content`, `_first_content` and
    `_is_twin`."""
    has_no_id = pl.col("_id").is_null()
    content = [name for name in suspects.columns if name not in (*PLACE, HASH)]
    system, known_by = pl.lit(None, pl.String), pl.lit(None, pl.String)
    for its in by_profile:
        is_its = pl.col("_source").is_in(its.sources)
        system = pl.when(is_its).then(pl.lit(its.system)).otherwise(system)
        known_by = pl.when(is_its & its.profile.identity).then("call_id").otherwise(known_by)
    return (
        suspects.with_columns(
            pl.struct(content).hash(_CONTENT_SEED).alias("_content"), system.alias("_system"), known_by.alias("_id")
        )
        .with_columns(
            pl.when(has_no_id).then("started_at").alias("_at"),
            pl.when(has_no_id).then("direction").alias("_direction"),
            pl.when(has_no_id).then("customer_phone").alias("_phone"),
        )
        .filter(pl.struct(_KEY).is_duplicated())
        .sort(PLACE)
        .with_columns(
            pl.col("_content").first().over(_KEY).alias("_first_content"),
            (pl.col("_content").n_unique().over(_KEY) > 1).alias("_is_twin"),
        )
    )


def _named(twins: pl.DataFrame) -> pl.DataFrame:
    """Place and `_has_id` of each twin, and the place of one that differs from it."""
    firsts = twins.unique(_KEY, keep="first", maintain_order=True).select(*_KEY, *_as("_first", PLACE))
    differing = twins.filter(pl.col("_content") != pl.col("_first_content"))
    others = differing.unique(_KEY, keep="first", maintain_order=True).select(*_KEY, *_as("_other", PLACE))
    is_as_first = pl.col("_content") == pl.col("_first_content")
    beside = twins.join(firsts, on=_KEY, nulls_equal=True).join(others, on=_KEY, nulls_equal=True)
    return beside.select(
        *PLACE,
        pl.col("_id").is_not_null().alias("_has_id"),
        *(
            pl.when(is_as_first).then(f"_other{name}").otherwise(f"_first{name}").alias(f"_into{name}")
            for name in PLACE
        ),
    ).sort(PLACE)


def _as(prefix: str, names: Sequence[str]) -> list[pl.Expr]:
    return [pl.col(name).alias(prefix + name) for name in names]


def _without(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    return rows.join(others, on=PLACE, how="anti", maintain_order="left") if others.height else rows
