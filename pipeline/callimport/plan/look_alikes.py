"""Whether two calls are the same, though their keys differ: same number, same direction, about the same time.

Once or twice it is a coincidence, so a person decides. By the dozen at one offset of quarter-hours, it is the same file
read in another time zone. Pure: from frames to frames. Numbers that call often have thousands of calls, so calls are
compared only within a stretch of time, never each with each.
"""

from collections import Counter
from dataclasses import dataclass, field

import polars as pl

from callimport.core.decisions import Columns

NEAR_SECONDS = 2
# Where a file states no seconds.
NEAR_OF_MINUTE_SECONDS = 60
QUARTER_HOUR_SECONDS = 900
# From UTC-12 to UTC+14.
FARTHEST_ZONES_SECONDS = 26 * 3600

_WHOSE = ["phone", "direction"]
# A call that was given up before it was sent is none that could come twice; one that was found in the CRM could.
_MAY_BE_IN_CRM = (pl.col("status") != "withdrawn") | pl.col("existing_id").is_not_null()


def of_known(new: pl.DataFrame, neighbours: pl.DataFrame) -> pl.DataFrame:
    """Key and evidence of each new call that resembles an item of another key.

    `new`: key, phone, direction, started_at, is_of_minute. `neighbours`: NEIGHBOURS.
    """
    known = neighbours.filter(_MAY_BE_IN_CRM)
    pairs = _near(new, known).filter(pl.col("key") != pl.col("known_key"))
    evidence = pl.format(
        "it may be {} (row {} of {}) under another id: same number and direction, {} s apart",
        "known_reference", "known_source_row", "known_source_name", "apart",
    )  # fmt: skip
    return _nearest(pairs).select("key", evidence.alias("evidence"))


def shifts(new: pl.DataFrame, neighbours: pl.DataFrame) -> tuple[Counter[int], Counter[tuple[int, str]]]:
    """How many new calls lie beside known calls of their system at each offset of quarter-hours, in seconds; and, by
    offset and batch, how many of those known calls are pending."""
    known = neighbours.filter(_MAY_BE_IN_CRM & ~pl.col("status").is_in(["refused", "failed"]))
    pairs = _at_quarter_hours(new, known).filter(pl.col("system") == pl.col("known_system"))
    at = pairs.group_by("shift").agg(pl.col("key").n_unique())
    pending = pairs.filter(pl.col("known_status") == "pending").group_by("shift", "known_batch_id").len()
    return (
        Counter(dict(at.iter_rows())),
        Counter({(shift, batch): count for shift, batch, count in pending.iter_rows()}),
    )


def moved(known: pl.DataFrame) -> Counter[int]:
    """How many known calls begin at another time now, by the offset, of whole quarter-hours. Columns: started_at and
    item_started_at."""
    shift = pl.col("started_at") - pl.col("item_started_at")
    found = known.select(shift.alias("shift")).filter(
        (pl.col("shift") != 0) & (pl.col("shift") % QUARTER_HOUR_SECONDS == 0)
    )
    return Counter(dict(found.group_by("shift").len().iter_rows()))


# ── calls of one batch, by phone ─────────────────────────────────────────────────────────────────────────────────────

# A call of the batch, or one that waited and has found its lead (`is_found`). `is_new`: it would be created, unless it
# is held already.
BATCH_CALLS: Columns = {
    "key": pl.String,
    "reference": pl.String,
    "system": pl.String,
    "call_id": pl.String,
    "source_name": pl.String,
    "row": pl.Int64,
    "phone": pl.String,
    "direction": pl.String,
    "started_at": pl.Int64,
    "is_of_minute": pl.Boolean,
    "is_new": pl.Boolean,
    "is_found": pl.Boolean,
    "is_held": pl.Boolean,
}


@dataclass(frozen=True, slots=True)
class Compared:
    """Calls of one batch compared with one another. `held` has key and evidence; `waiting` are the keys of calls that
    have found a lead and wait on all the same. `new` counts new calls by system; `pairs` counts the new calls of one
    system that lie beside new calls of another one: by system, other system and offset in seconds (None: alike)."""

    held: pl.DataFrame
    waiting: frozenset[str] = frozenset()
    new: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str, int | None]] = field(default_factory=Counter)

    def __add__(self, other: "Compared") -> "Compared":
        return Compared(
            pl.concat([self.held, other.held]),
            self.waiting | other.waiting,
            self.new + other.new,
            self.pairs + other.pairs,
        )


def within_batch(calls: pl.DataFrame, rejected: pl.DataFrame) -> Compared:
    """Compare all calls of some phones (BATCH_CALLS) with one another.

    A found call beside a call of the batch waits on. So does one that a rejected row may be, by its id or by its number
    and about its time (`rejected`: system, call_id, phone, and started_at in Unix seconds, null where it is unknown).
    Of two new calls of different systems, and of two found calls, the later one is held.
    """
    found = calls.filter("is_found")
    waiting = frozenset(_beside_batch(found, calls.filter(~pl.col("is_found"))) + _beside_rejected(found, rejected))
    new = calls.filter(pl.col("is_new") & ~pl.col("key").is_in(list(waiting)))
    others = pl.col("system") != pl.col("known_system")
    alike = _later(_near(new, new)).filter(others)
    found_twice = _later(_within_a_minute(new, new)).filter(pl.col("is_found") & pl.col("known_is_found"))
    evidence = pl.format(
        "it may be {} (row {} of {}) of the system {}: same number and direction, {} s apart",
        "known_reference", "known_row", "known_source_name", "known_system", "apart",
    )  # fmt: skip
    free = pl.concat([alike, found_twice]).filter(~pl.col("is_held"))
    shifted = _later(_at_quarter_hours(new, new)).filter(others)
    return Compared(
        held=_nearest(free).select("key", evidence.alias("evidence")),
        waiting=waiting,
        new=Counter(dict(new.group_by("system").len().iter_rows())),
        pairs=_pairs_of_systems(shifted, pl.col("shift")) + _pairs_of_systems(alike, pl.lit(None, pl.Int64)),
    )


def _beside_batch(found: pl.DataFrame, batch: pl.DataFrame) -> list[str]:
    return _within_a_minute(found, batch)["key"].to_list()


def _beside_rejected(found: pl.DataFrame, rejected: pl.DataFrame) -> list[str]:
    """A rejected row whose time cannot be read may be any call of its number."""
    apart = (pl.col("started_at") - pl.col("started_at_right")).abs()
    near = found.join(rejected, on="phone").filter((apart <= NEAR_OF_MINUTE_SECONDS).fill_null(True))
    by_id = found.join(rejected, on=["system", "call_id"])
    return [*near["key"], *by_id["key"]]


def _pairs_of_systems(pairs: pl.DataFrame, shift: pl.Expr) -> Counter[tuple[str, str, int | None]]:
    """Of each two systems, the calls of the first that have a pair in the second; and the other way round."""
    found = pairs.select("key", "known_key", "system", "known_system", shift.alias("shift"))
    back = found.select(
        pl.col("known_key").alias("key"), pl.col("key").alias("known_key"), pl.col("known_system").alias("system"),
        pl.col("system").alias("known_system"), -pl.col("shift"),
    )  # fmt: skip
    counts = pl.concat([found, back]).group_by("system", "known_system", "shift").agg(pl.col("key").n_unique())
    return Counter({(system, other, at): count for system, other, at, count in counts.iter_rows()})


# ── pairs ────────────────────────────────────────────────────────────────────────────────────────────────────────────

# All of these give the columns of the new calls, those of the known ones with `known_` before their names, and `apart`
# (seconds) or `shift` (seconds, positive where the new call is later).


def _near(new: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Pairs within 2 seconds, or within 60 where a file states no seconds."""
    is_of_minute = pl.col("is_of_minute") | pl.col("known_is_of_minute")
    return _within_a_minute(new, known).filter(is_of_minute | (pl.col("apart") <= NEAR_SECONDS))


def _within_a_minute(new: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    pairs = _within(new, known, NEAR_OF_MINUTE_SECONDS)
    return pairs.with_columns(pl.col("shift").abs().alias("apart")).filter(pl.col("apart") <= NEAR_OF_MINUTE_SECONDS)


def _at_quarter_hours(new: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Pairs at an offset that two time zones may have."""
    within_quarter = (pl.col("started_at") % QUARTER_HOUR_SECONDS).alias("_within_quarter")
    pairs = _within(new.with_columns(within_quarter), known.with_columns(within_quarter), FARTHEST_ZONES_SECONDS)
    return pairs.filter((pl.col("shift") != 0) & (pl.col("shift").abs() <= FARTHEST_ZONES_SECONDS))


def _within(new: pl.DataFrame, known: pl.DataFrame, seconds: int) -> pl.DataFrame:
    """Pairs of the same phone and direction that lie in the same or in neighbouring stretches of `seconds`, and hence
    all that are so near; of the same second within a quarter of an hour, where both say which that is."""
    stretch = pl.col("started_at") // seconds
    on = [*_WHOSE, "_stretch", *(name for name in ("_within_quarter",) if name in new.columns)]
    # Each of these calls takes three rows; most calls have numbers that no known one has.
    around = (
        new.join(known, on=_WHOSE, how="semi")
        .with_columns(pl.concat_list(stretch - 1, stretch, stretch + 1).alias("_stretch"))
        .explode("_stretch")
    )
    there = known.with_columns(stretch.alias("_stretch")).rename(lambda name: name if name in on else f"known_{name}")
    return around.join(there, on=on).with_columns((pl.col("started_at") - pl.col("known_started_at")).alias("shift"))


def _later(pairs: pl.DataFrame) -> pl.DataFrame:
    """Of each pair of a frame with itself, once: the later call as the new one. At the same time, the key decides."""
    is_later = (pl.col("shift") > 0) | ((pl.col("shift") == 0) & (pl.col("key") > pl.col("known_key")))
    return pairs.filter(is_later)


def _nearest(pairs: pl.DataFrame) -> pl.DataFrame:
    """Of each new call the nearest pair."""
    return pairs.sort("key", "apart", "known_started_at", "known_key").unique("key", keep="first", maintain_order=True)
