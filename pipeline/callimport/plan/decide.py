"""What to do with each call: a table of what its item is, what its source says now, and what follows from both.

Pure: from frames to frames, one partition of calls at a time. The order of the calls never matters.
"""

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from callimport.core import humanize, models, privacy
from callimport.core.decisions import DECISIONS, DIGESTS, Decision, Entry, LedgerView, PlanSettings, Totals
from callimport.plan import changes, look_alikes

REUSED_AFTER_SECONDS = 24 * 3600
SAME_START_SECONDS = 60
# The parts of what a digest is of.
_BETWEEN = "\x1f"
# Payloads of so many calls are held as Python texts.
_ROWS_AT_ONCE = 10_000
_ID_REUSED = (
    "this call_id belongs to another call already (other number or direction, or more than 24 hours away); if the "
    "phone system started counting anew, give it another --system name"
)
_MENDED_BEFORE = (
    "the row that it replaces was mended before and is call {}, at another time or of another number; correct that "
    "call in the CRM, or clear the _origin cell if this is another call"
)


@dataclass(frozen=True, slots=True)
class Decided:
    """The decision on each call of a partition (DECISIONS), and what the decisions add up to."""

    decisions: pl.DataFrame
    totals: Totals


def decide(calls: pl.DataFrame, view: LedgerView, settings: PlanSettings) -> Decided:
    """Decide on every call of `calls` (CALLS, each key once) by what the ledger knows of it."""
    items = view.items.rename(lambda name: name if name == "key" else f"item_{name}")
    known = calls.join(items, on="key", how="left", maintain_order="left").join(
        _mended_before(calls, view), on="key", how="left", maintain_order="left"
    )
    rows = _ruled(known.with_columns(*_comparisons(settings)), settings)
    rows = _with_look_alikes(rows, view.neighbours, settings)
    rows = _with_held_updates(rows, settings)
    rows, totals = _with_changes(rows, settings)
    return Decided(rows.select(list(DECISIONS)), totals + _totals(rows, view.neighbours))


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Rule:
    """What follows where `condition` holds. `why` is text, or the column that has it."""

    condition: pl.Expr
    decision: Decision
    entry: Entry | None = None
    why: str | pl.Expr = ""


_STATUS = pl.col("item_status")
_HAS_LEAD = pl.col("payload").is_not_null()
_IS_WHOLE = pl.col("_is_whole")
_IS_SAME = pl.col("_is_same")
_IS_ANOTHER = pl.col("_is_another")
_IS_WITHDRAWN = pl.col("_is_withdrawn")
_IS_PARKED = pl.col("item_next_facts").is_not_null() & (pl.col("item_next_facts") != pl.col("facts"))
_IS_ENTERED = pl.col("_is_entered")
_IS_NO_NEWS = _IS_WITHDRAWN | (~_IS_SAME & ~_IS_ANOTHER & ~_IS_WHOLE)
_IS_REFUSED = pl.col("item_next_facts") == pl.col("item_update_refused")


def _rules(settings: PlanSettings) -> list[_Rule]:
    """The first rule whose condition holds counts; every call meets one."""
    new = _STATUS.is_null()
    waiting, pending = _STATUS == "waiting", _STATUS == "pending"
    failed, refused = _STATUS == "failed", _STATUS == "refused"
    is_open = _STATUS.is_in(["in_flight", "in_doubt", "held"])
    is_given_up = _STATUS == "withdrawn"
    is_bound_elsewhere = pl.col("item_plan").ne_missing(pl.lit(settings.plan)) & pl.col("item_plan").is_not_null()
    return [
        # Nothing that the ledger says of the item can be trusted, and the database lets nobody change it.
        _Rule(pl.col("item_is_damaged"), Decision.KEEP, why=_STATUS),
        _Rule(pl.col("_is_reused"), Decision.REJECT, why=_ID_REUSED),
        _Rule(pl.col("_mended_before").is_not_null(), Decision.REJECT, why=pl.col("_mended_before")),
        # The ledger does not know the call.
        _Rule(new & _HAS_LEAD, Decision.CREATE, Entry.INSERT),
        _Rule(new & pl.lit(settings.keeps_waiting), Decision.WAIT, Entry.INSERT),
        _Rule(new, Decision.SKIP, why=models.Skip.NO_LEAD),
        # A person has decided.
        _Rule(_STATUS.is_in(["gone", "withdrawn"]) & ~_HAS_LEAD, Decision.SKIP, why=models.Skip.NO_LEAD),
        _Rule(_STATUS == "gone", Decision.SKIP, why=models.Skip.GONE),
        _Rule(is_given_up & pl.col("item_existing_id").is_not_null(), Decision.SKIP, why=models.Skip.EXISTING),
        _Rule(is_given_up, Decision.SKIP, why=models.Skip.WITHDRAWN),
        # The call waits for a lead.
        _Rule(waiting & _HAS_LEAD, Decision.CREATE, Entry.REPLACE),
        _Rule(waiting & (_IS_ENTERED | ~_IS_WHOLE | pl.lit(not settings.keeps_waiting)), Decision.WAIT),
        _Rule(waiting, Decision.WAIT, Entry.REPLACE),
        # The CRM does not have it. Its item keeps the lead that it has, and goes with that.
        _Rule((pending | failed | refused) & ~_HAS_LEAD, Decision.SKIP, why=models.Skip.NO_LEAD),
        _Rule(pending & ~_IS_WHOLE, Decision.UNCHANGED),
        _Rule(pending & (pl.col("item_held_facts") == pl.col("facts")), Decision.KEEP, why=_STATUS),
        _Rule(pending & is_bound_elsewhere & pl.col("_is_same_payload"), Decision.KEEP, why=_STATUS),
        _Rule(pending & _IS_ENTERED, Decision.CREATE),
        _Rule(pending, Decision.CREATE, Entry.REPLACE),
        _Rule(failed & is_bound_elsewhere & pl.col("_is_same_payload"), Decision.KEEP, why=_STATUS),
        _Rule(failed & ~_IS_WHOLE, Decision.UNCHANGED, Entry.REOPEN),
        _Rule(failed, Decision.CREATE, Entry.REPLACE),
        _Rule(refused & ~_IS_SAME & _IS_WHOLE, Decision.CREATE, Entry.REPLACE),
        _Rule(refused, Decision.KEEP, why=_STATUS),
        # Nobody knows whether the CRM has it.
        _Rule(is_open & _IS_SAME & _IS_PARKED, Decision.KEEP, Entry.UNPARK, _STATUS),
        _Rule(is_open & (_IS_SAME | _IS_WITHDRAWN | ~_HAS_LEAD), Decision.KEEP, why=_STATUS),
        _Rule(is_open & (_IS_ANOTHER | _IS_WHOLE), Decision.KEEP, Entry.PARK, _STATUS),
        _Rule(is_open, Decision.KEEP, why=_STATUS),
        # The CRM has it. Where it may have been told other facts since, it is told these again.
        _Rule(_IS_SAME & _IS_PARKED & pl.col("item_unanswered").is_not_null(), Decision.UPDATE, Entry.UNPARK),
        _Rule(_IS_SAME & _IS_PARKED, Decision.UNCHANGED, Entry.UNPARK),
        # The file shows a part of the call, or facts that a person withdrew. What is parked beside the item counts.
        _Rule(_HAS_LEAD & _IS_NO_NEWS & pl.col("item_held_facts").is_not_null(), Decision.HOLD),
        _Rule(_HAS_LEAD & _IS_NO_NEWS & _IS_REFUSED, Decision.UNCHANGED, why="update_refused"),
        _Rule(_IS_SAME | _IS_WITHDRAWN | ~_HAS_LEAD, Decision.UNCHANGED),
        _Rule(_IS_ANOTHER & ~pl.col("_is_retried"), Decision.HOLD, Entry.PARK),
        _Rule(~_IS_ANOTHER & ~_IS_WHOLE, Decision.UNCHANGED),
        _Rule(pl.col("facts") == pl.col("item_update_refused"), Decision.UNCHANGED, Entry.PARK, why="update_refused"),
        _Rule(pl.lit(True), Decision.UPDATE, Entry.PARK),
    ]


def _ruled(known: pl.DataFrame, settings: PlanSettings) -> pl.DataFrame:
    """With the columns decision, entry and why."""
    rules = _rules(settings)
    number = pl.coalesce(
        pl.when(rule.condition.fill_null(False)).then(pl.lit(index)) for index, rule in enumerate(rules)
    )
    # A step of its own: within one expression, polars would look for the rule anew for each column.
    met = known.with_columns(number.alias("_rule"))
    of_rule = pl.DataFrame(
        [(index, str(rule.decision), rule.entry and str(rule.entry)) for index, rule in enumerate(rules)],
        schema={"_rule": met.schema["_rule"], "decision": pl.String, "entry": pl.String},
        orient="row",
    )
    why = pl.coalesce(
        *(
            pl.when(pl.col("_rule") == index).then(rule.why if isinstance(rule.why, pl.Expr) else pl.lit(str(rule.why)))
            for index, rule in enumerate(rules)
            if isinstance(rule.why, pl.Expr) or rule.why
        ),
        pl.lit(""),
    )
    is_there_already = (pl.col("entry") == Entry.PARK) & pl.col("_is_parked_already")
    return met.join(of_rule, on="_rule", how="left", maintain_order="left").with_columns(
        pl.when(~is_there_already.fill_null(False)).then("entry").alias("entry"),
        (pl.col("entry") == Entry.PARK).fill_null(False).alias("_is_parked"),
        why.alias("why"),
        pl.lit(None, pl.String).alias("evidence"),
    )


# ── how a call differs from its item ─────────────────────────────────────────────────────────────────────────────────


def _comparisons(settings: PlanSettings) -> list[pl.Expr]:
    apart = (pl.col("started_at") - pl.col("item_started_at")).abs()
    is_reused = (
        (pl.col("item_direction") != pl.col("direction"))
        | (pl.col("item_phone") != pl.col("phone"))
        | (apart > REUSED_AFTER_SECONDS)
    )
    hashes = {number: source.sha256 for number, source in enumerate(settings.batch.sources)}
    sha256 = pl.col("source").replace_strict(hashes, default=None, return_dtype=pl.String)
    is_of_batch = pl.col("item_batch_id") == settings.batch.id
    is_entered = is_of_batch & pl.all_horizontal(
        pl.col("item_source_sha256").eq_missing(sha256),
        pl.col("item_source_row").eq_missing(pl.col("row")),
        *(pl.col(f"item_{name}").eq_missing(pl.col(name)) for name in ("facts", "payload", "staged", "legs")),
        ~_IS_PARKED,
    )
    is_parked_already = (
        (pl.col("item_next_batch_id") == settings.batch.id)
        & (pl.col("item_next_facts") == pl.col("facts"))
        & pl.col("item_next_payload").eq_missing(pl.col("payload"))
    )
    found = {
        "_is_reused": is_reused,
        "_is_entered": is_entered,
        "_is_parked_already": is_parked_already,
        "_is_same": pl.col("facts") == pl.col("item_facts"),
        "_is_same_payload": pl.col("payload") == pl.col("item_payload"),
        "_is_another": _is_another(apart),
        "_is_retried": pl.col("facts").is_in(pl.col("item_retried")),
        "_is_withdrawn": pl.col("facts").is_in(pl.col("item_withdrawn")),
    }
    return [_is_whole().alias("_is_whole"), *(is_so.fill_null(False).alias(name) for name, is_so in found.items())]


def _is_another(apart: pl.Expr) -> pl.Expr:
    """Whether the facts are probably those of another call under the same id: start and talk differ, and no text,
    recording or leg is shared."""
    # To look into the payloads of all known calls takes longer than all else.
    payload = pl.when(apart > SAME_START_SECONDS).then("item_payload")
    talk = payload.str.json_path_match("$.call_duration").cast(pl.Int64, strict=False)
    sent = payload.str.json_path_match("$.description")
    text = sent.str.strip_suffix(pl.format("[ref {}]", pl.col("item_reference"))).str.strip_chars()
    is_text_shared = (pl.col("description").str.strip_chars() == text) & (text != "")
    is_recording_shared = pl.col("recording").is_in(pl.col("item_recordings")) & (pl.col("recording") != "")
    is_leg_shared = _legs("legs").list.set_intersection(_legs("item_legs")).list.len() > 0
    return (
        (apart > SAME_START_SECONDS)
        & (talk != pl.col("duration_seconds"))
        & ~is_text_shared.fill_null(False)
        & ~is_recording_shared.fill_null(False)
        & ~is_leg_shared
        & pl.col("facts").ne_missing(pl.col("item_update_refused"))
    )


def _is_whole() -> pl.Expr:
    """Whether the call shows all legs of its item. A window that cuts a call in two shows some only: no news."""
    missing = _legs("item_legs").list.set_difference(_legs("legs"))
    return missing.list.len() == 0


def _legs(column: str) -> pl.Expr:
    return pl.col(column).fill_null("").str.split("\n").list.filter(pl.element() != "")


def _mended_before(calls: pl.DataFrame, view: LedgerView) -> pl.DataFrame:
    """The message for each call (by key) that the ledger does not know, made of a rejected row that became another call
    before. A row is mended once."""
    marked = calls.filter(pl.col("marks").list.len() > 0).select("key", "marks").explode("marks")
    found = (
        marked.join(view.settled.filter("may_be_sent"), left_on="marks", right_on="mark", suffix="_before")
        .filter(pl.col("key") != pl.col("key_before"))
        .join(view.items, on="key", how="anti")
    )
    return found.group_by("key").agg(pl.format(_MENDED_BEFORE, pl.col("reference").min()).alias("_mended_before"))


# ── calls that are known under another key ───────────────────────────────────────────────────────────────────────────

# A call that waited counts as new once its lead is found.
_IS_NEW = (pl.col("decision") == Decision.CREATE) & (_STATUS.is_null() | (_STATUS == "waiting"))


def _with_look_alikes(rows: pl.DataFrame, neighbours: pl.DataFrame, settings: PlanSettings) -> pl.DataFrame:
    is_of_minute = pl.col("source").is_in(list(settings.of_minute)).alias("is_of_minute")
    new = rows.filter(_IS_NEW).select("key", "phone", "direction", "started_at", is_of_minute)
    alike = look_alikes.of_known(new, neighbours)
    if alike.is_empty():
        return rows.with_columns((_IS_NEW).alias("is_new"), pl.lit(False).alias("_is_alike"))
    joined = rows.join(alike.rename({"evidence": "_alike"}), on="key", how="left", maintain_order="left")
    is_alike = pl.col("_alike").is_not_null()
    return joined.with_columns(
        _IS_NEW.alias("is_new"),
        is_alike.alias("_is_alike"),
        pl.when(is_alike).then(pl.lit(str(Decision.HOLD))).otherwise("decision").alias("decision"),
        pl.coalesce("_alike", "evidence").alias("evidence"),
    ).drop("_alike")


def _with_held_updates(rows: pl.DataFrame, settings: PlanSettings) -> pl.DataFrame:
    """With the evidence for each update that is held."""
    is_held = pl.col("_is_parked") & _IS_ANOTHER & ~pl.col("_is_retried")
    held = rows.filter(is_held)
    if held.is_empty():
        return rows
    told = [
        (row["key"], _held_evidence(settings.source_name(row["source"]), row)) for row in held.iter_rows(named=True)
    ]
    evidence = pl.DataFrame(told, schema={"key": pl.String, "_held": pl.String}, orient="row")
    return (
        rows.join(evidence, on="key", how="left", maintain_order="left")
        .with_columns(pl.coalesce("_held", "evidence").alias("evidence"))
        .drop("_held")
    )


def _held_evidence(source: str, row: dict[str, Any]) -> str:
    known, apart = datetime.fromtimestamp(row["item_started_at"], UTC), row["started_at"] - row["item_started_at"]
    talk = json.loads(row["item_payload"])["call_duration"]
    return (
        f"row {row['row']} of {source} has the id of the call of {known:%Y-%m-%d %H:%M:%S}Z, but begins "
        f"{humanize.told(abs(apart))} {'later' if apart > 0 else 'earlier'} and lasted {row['duration_seconds']} s "
        f"instead of {talk} s, and nothing else is the same: probably another call"
    )


# ── what the CRM would be told ───────────────────────────────────────────────────────────────────────────────────────


def _with_changes(rows: pl.DataFrame, settings: PlanSettings) -> tuple[pl.DataFrame, Totals]:
    """An update that would tell the CRM nothing (only where the recording lies) is none. Returns what the others come
    to, too. The code covers those that are sent, and whether they are sent over what a person has changed."""
    fields: Counter[str] = Counter()
    empty: list[str] = []
    replaced = 0
    example: tuple[str, str] | None = None
    digest = 0
    for row in rows.filter(pl.col("decision") == Decision.UPDATE).iter_rows(named=True):
        sent, story = (models.Communication(**json.loads(row[name])) for name in ("item_payload", "payload"))
        replaced += _is_recording_replaced(row)
        changed = changes.changed(sent, story, json.loads(row["item_unanswered"] or "[]"), row["item_reference"])
        if not changed:
            empty.append(row["key"])
            continue
        fields.update(changed.keys())
        kind = "overwrite" if settings.overwrite else "update"
        digest += _digest(_BETWEEN.join((kind, row["key"], repr(sorted(changed.items())))))
        started_at = datetime.fromtimestamp(row["item_started_at"], UTC)
        told = f"the call of {started_at:%Y-%m-%d %H:%M:%S}Z, {privacy.mask_phone(row['phone'])}: "
        sortable = f"{row['item_started_at']:020d} {row['key']}"
        if example is None or sortable < example[0]:
            example = sortable, told + changes.in_words(sent, changed)
    is_empty = pl.col("key").is_in(empty) & (pl.col("decision") == Decision.UPDATE)
    rows = rows.with_columns(
        pl.when(is_empty).then(pl.lit(str(Decision.UNCHANGED))).otherwise("decision").alias("decision")
    )
    count = rows.filter(pl.col("decision") == Decision.UPDATE).height
    digest = digest % DIGESTS if settings.on_change == "update" else 0
    return rows, Totals(
        changed=count, fields=fields, change_example=example, digest=digest, recordings_replaced=replaced
    )


def _is_recording_replaced(row: Mapping[str, Any]) -> bool:
    """Whether the CRM has a recording of the call, and the new facts name another one."""
    uploaded, named = row["item_uploaded"], row["recording"]
    is_story = row.get("facts") != row["item_facts"]
    return is_story and uploaded is not None and bool(named) and named != uploaded


def digest_of(decisions: pl.DataFrame) -> int:
    """What the code of a plan covers of calls that would be created. Columns: key, payload."""
    told = pl.concat_str(pl.lit("create"), "key", "payload", separator=_BETWEEN)
    some = (part.select(told).to_series().to_list() for part in decisions.iter_slices(_ROWS_AT_ONCE))
    return sum(map(_digest, itertools.chain.from_iterable(some))) % DIGESTS


def parked(items: pl.DataFrame, settings: PlanSettings, seen: Collection[str]) -> Totals:
    """What updates come to that lie beside items already (ITEMS). `seen` are keys of calls that today's files show."""
    rows = items.rename(lambda name: name if name == "key" else f"item_{name}").with_columns(
        pl.lit(str(Decision.UPDATE)).alias("decision"),
        pl.col("item_phone").alias("phone"),
        pl.col("item_next_payload").alias("payload"),
        pl.col("item_next_recording").alias("recording"),
        pl.col("key").is_in(list(seen)).alias("_is_seen"),
    )
    rows, totals = _with_changes(rows, settings)
    is_update = pl.col("decision") == Decision.UPDATE
    return totals + Totals(
        left_seen=rows.filter(is_update & pl.col("_is_seen")).height,
        left_empty=rows.filter(~is_update & ~pl.col("_is_seen")).height,
    )


def rejects(decisions: pl.DataFrame) -> Iterator[models.RejectedRow]:
    """The rows that cannot be calls after all."""
    rejected = decisions.filter(pl.col("decision") == Decision.REJECT)
    for source, row, why in rejected.select("source", "row", "why").iter_rows():
        rule = "id_reused" if why == _ID_REUSED else "mended_before"
        yield models.RejectedRow(models.Place(source, row), (models.Reason(rule, why),))


def _digest(told: str) -> int:
    return int.from_bytes(hashlib.blake2b(told.encode(), digest_size=16).digest(), "big")


# ── totals ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _totals(rows: pl.DataFrame, neighbours: pl.DataFrame) -> Totals:
    new = rows.filter("is_new")
    # Of the known calls, those that the CRM has.
    known = rows.filter((_STATUS == "delivered") & (pl.col("decision") != Decision.REJECT))
    held = known.filter(pl.col("decision") == Decision.HOLD)
    shifts, batches = look_alikes.shifts(new.select("key", "system", "phone", "direction", "started_at"), neighbours)
    return Totals(
        decisions=Counter({(decision, why): count for decision, why, count in _counted(rows)}),
        new=new.height,
        alike=new.filter(pl.col("_is_alike") & _STATUS.is_null()).height,
        known=known.height,
        parked=rows.filter(pl.col("_is_parked") & ~(_IS_ANOTHER & ~pl.col("_is_retried"))).height,
        held_updates=held.height,
        shifts_of_new=shifts,
        batches_at=batches,
        shifts_of_known=look_alikes.moved(known),
        held_example=min(held.select("key", "evidence").drop_nulls().iter_rows(), default=None),
        digest=digest_of(rows.filter(pl.col("decision") == Decision.CREATE)),
    )


def _counted(rows: pl.DataFrame) -> Iterator[tuple[str, str, int]]:
    why = pl.when(pl.col("decision") == Decision.REJECT).then(pl.lit("")).otherwise("why")
    return rows.group_by("decision", why.alias("why")).len().iter_rows()
