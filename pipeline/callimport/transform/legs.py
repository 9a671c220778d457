"""Join the rows of one call: which row stands for the call, when it began, how long was talked, who talked.

Pure and vectorised; the rule is data of a profile (`profile.Legs`). All rows of a group are needed at once: a caller
that reads in chunks gathers the rows that have a group first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

import polars as pl

from callimport.core import privacy
from callimport.profiles import profile
from callimport.transform import validate

Agent: TypeAlias = Literal["first", "last", "longest"]

# Where a row lies; what it is joined to is told by the same columns, each with this before its name.
PLACE = ("_row",)
INTO = "_into"
# What the canonical frame tells of a row as a leg.
OF_LEGS = ("_row", "_group", "_leg", "_role", "_chain", "_length")
_AGENT = ("agent_id", "agent_email", "agent_name", "agent_extension")
# A transferred call may go on for hours. A longer gap between two rows means two calls under one id.
LONGEST_GAP = timedelta(hours=4)
MOST_ANSWERED = 50


@dataclass(frozen=True, slots=True)
class Implausible:
    """Rows that share a call id and cannot be one call. `rule` and `told` say why. `{one}` and `{other}` in `told`
    stand for the names of the two places."""

    places: tuple[tuple[int, ...], ...]
    rule: str
    told: str
    one: tuple[int, ...]
    other: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of the rows; each row is in exactly one of the four fields.

    `calls`: the columns that were given, one row a call, in the order of the rows that stand for them, plus `_legs`, a
    sorted list of the different leg ids (empty for a row that has none). `joined`: the place of each other row, and
    `_into` + each column of the place: the row that it is joined to. `rejected`: the place of each row of a group with
    a faulty row in it, and `_into…`: the (first) faulty one, which may be itself. `implausible`: groups that cannot be
    one call, so they are not joined.
    """

    calls: pl.DataFrame
    joined: pl.DataFrame
    rejected: pl.DataFrame
    implausible: tuple[Implausible, ...]


def is_internal() -> pl.Expr:
    """Whether a canonical row is internal and has a group: it may be a leg of a customer's call."""
    return ((pl.col("_role") == "internal") & pl.col("_group").is_not_null()).fill_null(False)


def attach_internal(canonical: pl.DataFrame, groups: pl.Series) -> pl.DataFrame:
    """Make an internal row a leg of the customer's call if its group is in `groups`. Others lose their role.

    `groups` are the groups of customers' calls. The leg names no customer, and its direction does not count.
    """
    is_leg = is_internal() & pl.col("_group").is_in(groups.drop_nulls().unique().implode()).fill_null(False)
    if not canonical.select(is_internal().any()).item():
        return canonical
    nothing = pl.lit(None, pl.String)
    legs = canonical.filter(is_leg).with_columns(
        pl.col("direction").fill_null("incoming"),
        nothing.alias("customer_phone"),
        nothing.alias("_drop"),
        pl.lit(True).alias("_customer_unknown"),
        pl.col("_faults").list.head(0),
    )
    others = canonical.filter(~is_leg).with_columns(
        pl.when(pl.col("_role") != "internal").then(pl.col("_role")).alias("_role")
    )
    return pl.concat([legs, others]).sort("_row")


def attach_all_internal(canonical: pl.DataFrame) -> pl.DataFrame:
    """The same for a frame that has all rows of each group."""
    others = canonical.filter(~is_internal(), pl.col("_drop").is_null(), pl.col("_skip").is_null())
    return attach_internal(canonical, others["_group"])


def rows_of(kept: pl.DataFrame, validated: validate.Validated) -> pl.DataFrame:
    """The rows of a canonical frame that may be calls, with the result of validation, as `join` needs them."""
    rows = kept.select(OF_LEGS).join(validated.accepted, on="_row", how="left", maintain_order="left")
    return rows.with_columns(pl.col("_row").is_in(list(validated.rejects)).alias("_faulty"))


def of_skipped_calls(rows: pl.DataFrame, skipped: pl.Series) -> pl.DataFrame:
    """Rows with a number that a call was sent on to, where the call itself is skipped for whoever called: they name no
    customer. `skipped` are the groups of skipped rows."""
    own = rows.filter(pl.col("_role").is_null())["_group"].drop_nulls()
    is_of_skipped = pl.col("_group").is_in(skipped.drop_nulls().implode()) & ~pl.col("_group").is_in(own.implode())
    return rows.filter(is_of_skipped & (pl.col("_role") == "forwarded"))


def join(rows: pl.DataFrame, rule: profile.Legs, place: Sequence[str] = PLACE, *, agent: Agent = "last") -> Joined:
    """Join the rows that have the same `_group`; a row without one is a call of its own.

    Columns that are looked at: those of `place`; `_group` and `_leg` (text or null); `_faulty` (true or false); status
    and customer_phone (text or null); started_at (instant or null), duration_seconds and total_seconds (Int64 or null);
    `_role` (null, or "internal" or "forwarded": a row that names no customer, see `profile.Legs`); where the rule has a
    chain, also `_chain` (text or null) and `_length` (Int64 or null). Others are the winner's.
    A call begins with the earliest of its rows. Its talk is the winner's, or the sum of all rows that were answered.
    Its agent is the first or the last person who talked, or the person who talked longest: see `agent`.
    """
    numbered = rows.with_row_index("_at")
    # A row alone is a group of its own, under a name that no group has.
    names = [pl.lit("g") + pl.col("_group"), pl.lit("r") + pl.col("_at").cast(pl.String)]
    if rule.chain is not None:
        numbered = _chained(numbered, rule.chain.within)
        names.insert(1, pl.col("_run"))
    numbered = numbered.with_columns(pl.coalesce(names).alias("_call"))
    numbered = numbered.with_columns(
        pl.col("_faulty").any().over("_call").alias("_bad"), (pl.len().over("_call") > 1).alias("_shared")
    )
    implausible = _implausible(numbered.filter(~pl.col("_bad") & pl.col("_shared")), place)
    if implausible:
        places = [dict(zip(place, where, strict=True)) for one in implausible for where in one.places]
        schema = {name: numbered.schema[name] for name in place}
        numbered = numbered.join(pl.DataFrame(places, schema=schema), on=list(place), how="anti", maintain_order="left")
    sound = _ranked(numbered.filter(~pl.col("_bad")), rule)
    rejected = numbered.filter("_bad").sort("_call", pl.col("_faulty").not_(), "_at")
    into = [pl.col(name).first().over("_call").alias(INTO + name) for name in place]
    return Joined(
        _called(sound, rule, agent).select(*rows.columns, "_legs"),
        sound.with_columns(into).filter(~pl.col("_wins")).sort("_at").select(*place, *(INTO + name for name in place)),
        rejected.with_columns(into).sort("_at").select(*place, *(INTO + name for name in place)),
        implausible,
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


# ── is it one call? ──────────────────────────────────────────────────────────────────────────────────────────────────


def _implausible(rows: pl.DataFrame, place: Sequence[str]) -> tuple[Implausible, ...]:
    """The groups that cannot be one call. `rows` are sound rows of groups with several rows."""
    if rows.is_empty():
        return ()
    seconds = pl.max_horizontal(pl.col("duration_seconds", "total_seconds").fill_null(0))
    ordered = (
        _customers(rows)
        .with_columns((pl.col("started_at") + pl.duration(seconds=seconds)).alias("_ended"))
        .sort("_call", "started_at", "_at")
        .with_columns(pl.col("_ended").cum_max().shift().over("_call").alias("_ended_before"))
    )
    gap = pl.col("started_at") - pl.col("_ended_before")
    seen = ordered.group_by("_call", maintain_order=True).agg(
        pl.col("_customer").drop_nulls().n_unique().alias("customers"),
        gap.max().alias("gap"),
        (pl.col("status") == "answered").sum().alias("answered"),
    )
    wrong = seen.filter(
        (pl.col("customers") > 1) | (pl.col("gap") > LONGEST_GAP) | (pl.col("answered") > MOST_ANSWERED)
    )
    groups = ordered.join(wrong, on="_call", how="semi", maintain_order="left").partition_by("_call", as_dict=True)
    return tuple(_why(groups[call,], customers, answered, place) for call, customers, _, answered in wrong.iter_rows())


def _customers(rows: pl.DataFrame) -> pl.DataFrame:
    """Add `_customer`: the customer's number in a row, or null. The number in a forwarded row counts only if no other
    row of the call names a customer."""
    named = pl.when(pl.col("_role").is_null()).then(pl.col("customer_phone"))
    only = pl.when(pl.col("_role").eq_missing(pl.lit("internal")).not_()).then(pl.col("customer_phone"))
    return rows.with_columns(
        pl.when(named.is_not_null().any().over("_call")).then(named).otherwise(only).alias("_customer")
    )


def _why(group: pl.DataFrame, customers: int, answered: int, place: Sequence[str]) -> Implausible:
    """Say why a group cannot be one call. `group` is in the order of time."""
    rows = group.rows(named=True)
    one, other = rows[0], rows[1]
    if customers > 1:
        naming = [row for row in rows if row["_customer"]]
        one, other = naming[0], next(row for row in naming if row["_customer"] != naming[0]["_customer"])
        numbers = " and ".join(privacy.mask_phone(row["_customer"]) for row in (one, other))
        rule, told = (
            "legs_customers",
            f"{{one}} and {{other}} have the same call id and different customers ({numbers})",
        )
    elif answered > MOST_ANSWERED:
        rule = "legs_many"
        told = (
            f"{answered} answered rows, such as {{one}} and {{other}}, have the same call id, and a call has at most "
            f"{MOST_ANSWERED}"
        )
    else:
        other = next(row for row in rows if row["_ended_before"] and _gap(row) > LONGEST_GAP)
        one = next(row for row in rows if row["_ended"] == other["_ended_before"])
        rule = "legs_apart"
        told = f"{{other}} has the call id of {{one}} and begins {_in_words(_gap(other))} after that row ended"
    return Implausible(
        tuple(_place(row, place) for row in sorted(rows, key=lambda row: row["_at"])),
        rule,
        f"{told}: not joined; check the id, or clear it if these are different calls",
        _place(one, place),
        _place(other, place),
    )


def _gap(row: dict[str, Any]) -> timedelta:
    started, ended = row["started_at"], row["_ended_before"]
    return started - ended if isinstance(started, datetime) else timedelta()


def _in_words(gap: timedelta) -> str:
    minutes = gap // timedelta(minutes=1)
    days, hours = minutes // 1440, minutes // 60
    return f"{days} days" if days > 1 else f"{hours} h {minutes % 60:02d} min"


def _place(row: dict[str, Any], place: Sequence[str]) -> tuple[int, ...]:
    return tuple(row[name] for name in place)


# ── which row stands for the call ─────────────────────────────────────────────────────────────────────────────────────


def _ranked(rows: pl.DataFrame, rule: profile.Legs) -> pl.DataFrame:
    """The rows, those of a call together and the best of them first, that one marked in `_wins`."""
    keys = {
        "answered": pl.col("status").eq_missing(pl.lit("answered")).not_(),
        "earliest": pl.col("started_at"),
        "latest": pl.lit(0) - pl.col("started_at").dt.timestamp("us"),
        "longest": pl.lit(0) - pl.col("duration_seconds"),
    }
    # A row that names no customer stands for the call only if the call has no other row.
    ordered = rows.sort(
        "_call", pl.col("_role").is_not_null(), *(keys[word] for word in rule.winner), "_at", nulls_last=True
    )
    return ordered.with_columns((pl.int_range(pl.len()).over("_call") == 0).alias("_wins"))


def _called(rows: pl.DataFrame, rule: profile.Legs, agent: Agent) -> pl.DataFrame:
    """The winners, with what all rows of their call have a say in."""
    answered = pl.col("status").eq_missing(pl.lit("answered"))
    shared = rows.filter("_shared")
    outside = shared.filter(pl.col("_role").eq_missing(pl.lit("internal")).not_())
    # Count the talk of a row that stands twice in a file once.
    once = outside.unique([name for name in outside.columns if name not in ("_at", "_row", "_source", "_wins")])
    of_call = (
        outside.group_by("_call")
        .agg(pl.col("started_at").min().alias("_began"), pl.col("_leg").drop_nulls().unique().sort().alias("_together"))
        .join(
            once.group_by("_call").agg(pl.col("duration_seconds").filter(answered).sum().alias("_talk")),
            on="_call",
            how="left",
        )
    )
    alone = pl.concat_list("_leg").list.drop_nulls()
    talk = pl.col("duration_seconds")
    if rule.talk == "sum":
        talk = pl.when(answered & pl.col("_talk").is_not_null()).then("_talk").otherwise(talk)
    return (
        _with_agents(rows.filter("_wins"), shared.filter(answered), agent)
        .join(of_call, on="_call", how="left")
        .with_columns(
            pl.coalesce("_began", "started_at").alias("started_at"),
            talk.alias("duration_seconds"),
            pl.coalesce("_together", alone).alias("_legs"),
        )
        .sort("_at")
    )


def _with_agents(calls: pl.DataFrame, talked: pl.DataFrame, agent: Agent) -> pl.DataFrame:
    """Give each of `calls` the agent of its first, last or longest row in `talked`, as `agent` says."""
    names = [name for name in _AGENT if name in calls.columns]
    if not names:
        return calls
    first = [pl.col("started_at"), pl.lit(0) - pl.col("duration_seconds"), pl.col("_at")]
    order = {
        "first": first,
        "last": [pl.lit(0) - pl.col("started_at").dt.timestamp("us"), *first[1:]],
        "longest": [pl.lit(0) - pl.col("duration_seconds"), *first],
    }
    meant = (
        talked.filter(pl.any_horizontal(pl.col(names).is_not_null()))
        .sort("_call", *order[agent], nulls_last=True)
        .unique("_call", keep="first", maintain_order=True)
        .select("_call", pl.struct(names).alias("_agent"))
    )
    joined = calls.join(meant, on="_call", how="left", maintain_order="left")
    is_named = pl.col("_agent").is_not_null()
    return joined.with_columns(
        pl.when(is_named).then(pl.col("_agent").struct.field(name)).otherwise(pl.col(name)).alias(name)
        for name in names
    ).drop("_agent")
