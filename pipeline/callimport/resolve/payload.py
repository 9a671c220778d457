"""Build the communication of a call, once: what pandera validates is what is sent.

Here is what is specific to the CRM's payload. Lead and agent of the calls are known.
"""

import json

import polars as pl

from callimport.core import mapping, models
from callimport.core.decisions import CALLS
from callimport.transform.staged_calls import CONTENT

_INSTANT = "%Y-%m-%dT%H:%M:%S+00:00"
_FIELDS = (
    "lead_id", "method", "type", "executed_at", "executed_by", "description", "call_status", "call_duration",
    "call_phone",
)  # fmt: skip


def identified(
    calls: pl.DataFrame, *, system: str, id_is_unique: bool, account_id: int, marks: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Add key, reference, facts and marks to calls of one system (columns: PLACE, CONTENT and others).

    `marks` has the fingerprints of the rows that a call was mended from: `_source`, `_row` and a list of them.
    """
    keys = pl.Series("key", mapping.keys(calls, system=system, id_is_unique=id_is_unique), dtype=pl.String)
    found = calls.with_columns(
        keys,
        mapping.references(keys, account_id),
        mapping.facts_of_calls(calls),
        pl.lit(system).alias("system"),
        (pl.col("call_id") if id_is_unique else pl.lit(None, pl.String)).alias("_identity"),
    )
    if marks is None:
        return found.with_columns(pl.lit([], pl.List(pl.String)).alias("marks"))
    joined = found.join(marks, on=["_source", "_row"], how="left", maintain_order="left")
    return joined.with_columns(pl.col("marks").fill_null([]))


def communications(calls: pl.DataFrame, *, with_reference: bool) -> pl.DataFrame:
    """The communications of calls with lead and agent, with `_row`: the frame of the communication schema.

    `with_reference`: descriptions end in the call's reference.
    """
    description = pl.col("description")
    if with_reference:
        text = pl.when(description != "").then(description)
        description = pl.concat_str(text, pl.format("[ref {}]", "reference"), separator=" ", ignore_nulls=True)
    return calls.select(
        "_row",
        "lead_id",
        pl.lit("phone").alias("method"),
        pl.col("direction").alias("type"),
        pl.col("started_at").dt.to_string(_INSTANT).alias("executed_at"),
        "executed_by",
        description.alias("description"),
        pl.col("status").alias("call_status"),
        pl.col("duration_seconds").alias("call_duration"),
        pl.col("customer_phone").alias("call_phone"),
    )


def as_text(communications: pl.DataFrame) -> pl.Series:
    """Each communication as JSON text, as it is sent."""
    return communications.select(pl.struct(_FIELDS).struct.json_encode().alias("payload")).to_series()


def text_of(communication: models.Communication) -> str:
    """The same of one communication."""
    fields = {name: getattr(communication, name) for name in _FIELDS}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def for_plan(calls: pl.DataFrame, payload: pl.Series | None) -> pl.DataFrame:
    """The calls as the plan takes them (CALLS); without a payload they have no lead."""
    staged = pl.struct(*CONTENT).struct.json_encode()
    nothing = pl.lit(None, pl.String)
    return calls.select(
        pl.col("_source").alias("source"),
        pl.col("_row").alias("row"),
        "key",
        "reference",
        "system",
        pl.col("_identity").alias("call_id"),
        "lead_id",
        "direction",
        pl.col("customer_phone").alias("phone"),
        pl.col("started_at").dt.epoch("s").alias("started_at"),
        "duration_seconds",
        "description",
        "recording",
        pl.col("_legs").alias("legs"),
        "facts",
        nothing.alias("payload") if payload is None else payload.alias("payload"),
        (staged if payload is None else nothing).alias("staged"),
        "marks",
    ).cast(CALLS)  # type: ignore[arg-type]
