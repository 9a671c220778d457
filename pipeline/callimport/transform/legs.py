"""Several rows of one call → one row: which of them stands for it, when it began, how long was talked.

Pure and vectorised; the rule is data of a recipe (`profile.Legs`). All rows of a group are needed at once: whoever
reads in chunks gathers the rows that have a group first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from callimport.profiles import profile

# Where a row lies; what it is joined to is told by the same columns, each with this before its name.
PLACE = ("_row",)
INTO = "_into"


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of the rows; each is in exactly one of the three.

    `calls`: the columns that were given, one row a call, in the order of the rows that stand for them, plus `_legs`, a
    sorted list of the different leg ids (empty for a row that has none). `joined`: the place of each other row, and
    `_into` + each column of the place: the row that it is joined to. `rejected`: the place of each row of a group with
    a faulty row in it, and `_into…`: the (first) faulty one, which may be itself.
    """

    calls: pl.DataFrame
    joined: pl.DataFrame
    rejected: pl.DataFrame


def join(rows: pl.DataFrame, rule: profile.Legs, place: Sequence[str] = PLACE) -> Joined:
    """Join the rows that have the same `_group`; a row without one is a call of its own.

    Columns that are looked at: those of `place`; `_group` and `_leg` (text or null); `_faulty` (true or false); status
    (text or null); started_at (instant or null) and duration_seconds (Int64 or null); where the rule has a chain, also
    `_chain` (text or null) and `_length` (Int64 or null). Others are the winner's.
    A call begins with the earliest of its rows. Its talk is the winner's, or the sum of all rows that were answered.
    """
    numbered = rows.with_row_index("_at")
    # A row alone is a group of its own, under a name that no group has.
    names = [pl.lit("g") + pl.col("_group"), pl.lit("r") + pl.col("_at").cast(pl.String)]
    if rule.chain is not None:
        numbered = _chained(numbered, rule.chain.within)
        names.insert(1, pl.col("_run"))
    numbered = numbered.with_columns(pl.coalesce(names).alias("_call"))
    bad = pl.col("_faulty").any().over("_call")
    numbered = numbered.with_columns(bad.alias("_bad"))
    sound = _ranked(numbered.filter(~pl.col("_bad")), rule)
    calls = sound.filter("_wins")
    rejected = numbered.filter("_bad").sort("_call", pl.col("_faulty").not_(), "_at")
    into = [pl.col(name).first().over("_call").alias(INTO + name) for name in place]
    return Joined(
        _called(sound, calls, rule).select(*rows.columns, "_legs"),
        sound.with_columns(into).filter(~pl.col("_wins")).sort("_at").select(*place, *(INTO + name for name in place)),
        rejected.with_columns(into).sort("_at").select(*place, *(INTO + name for name in place)),
    )


def _chained(rows: pl.DataFrame, within: int) -> pl.DataFrame:
    """With `_run`: the same text for rows of a chain, null where there is none."""
    started = pl.col("started_at")
    ended = started + pl.duration(seconds=pl.col("_length").fill_null(0))
    links = rows.filter(pl.col("_group").is_null() & pl.col("_chain").is_not_null() & started.is_not_null())
    links = links.sort("_chain", "started_at", "_at").with_columns(
        ended.cum_max().shift().over("_chain").alias("_before")
    )
    breaks = (started > pl.col("_before") + pl.duration(seconds=within)).fill_null(True)
    runs = links.with_columns(breaks.cum_sum().over("_chain").alias("_number")).select(
        "_at", (pl.lit("c") + pl.col("_number").cast(pl.String) + " " + pl.col("_chain")).alias("_run")
    )
    return rows.join(runs, on="_at", how="left", maintain_order="left")


def _ranked(rows: pl.DataFrame, rule: profile.Legs) -> pl.DataFrame:
    """The rows, those of a call together and the best of them first, that one marked in `_wins`."""
    keys = {
        "answered": pl.col("status").eq_missing(pl.lit("answered")).not_(),
        "earliest": pl.col("started_at"),
        "latest": pl.lit(0) - pl.col("started_at").dt.timestamp("us"),
        "longest": pl.lit(0) - pl.col("duration_seconds"),
    }
    ordered = rows.sort("_call", *(keys[word] for word in rule.winner), "_at", nulls_last=True)
    return ordered.with_columns((pl.int_range(pl.len()).over("_call") == 0).alias("_wins"))


def _called(rows: pl.DataFrame, calls: pl.DataFrame, rule: profile.Legs) -> pl.DataFrame:
    """The winners, with what all rows of their call have a say in."""
    answered = pl.col("status").eq_missing(pl.lit("answered"))
    shared = rows.filter(pl.len().over("_call") > 1)
    of_call = shared.group_by("_call").agg(
        pl.col("started_at").min().alias("_began"),
        pl.col("duration_seconds").filter(answered).sum().alias("_talk"),
        pl.col("_leg").drop_nulls().unique().sort().alias("_together"),
    )
    alone = pl.concat_list("_leg").list.drop_nulls()
    talk = pl.col("duration_seconds")
    if rule.talk == "sum":
        talk = pl.when(answered & pl.col("_talk").is_not_null()).then("_talk").otherwise(talk)
    return (
        calls.join(of_call, on="_call", how="left")
        .with_columns(
            pl.coalesce("_began", "started_at").alias("started_at"),
            talk.alias("duration_seconds"),
            pl.coalesce("_together", alone).alias("_legs"),
        )
        .sort("_at")
    )
