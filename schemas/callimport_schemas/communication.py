"""What the CRM takes: its words, and the frame of communications that may be sent to it.

The vocabulary is smaller than the vendor's: `calling` and `pending` are live states and `unanswered` is documented for
click-to-call only, so none of them is ever said of a call of the past.
"""

import pandera.polars as pa
import polars as pl

from callimport_schemas import checks

METHODS = ("phone",)
TYPES = ("outgoing", "incoming")
STATUSES = ("answered", "attempted", "interrupted", "error")
MAX_DESCRIPTION = 2_000
# ISO 8601 in whole seconds, with its offset.
_INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[+-][0-9]{2}:[0-9]{2}$"

# Every rule, in the order in which the faults of a communication are told.
RULES = (
    "lead_id_number",
    "method_unknown",
    "type_unknown",
    "executed_at_instant",
    "executed_by_number",
    "description_length",
    "call_status_unknown",
    "status_direction",
    "duration_range",
    "call_phone_e164",
)


def _needed(column: str, passes: pl.Expr) -> pl.Expr:
    """Unlike a call's cell, a payload's field that is missing breaks its rule."""
    return pl.col(column).is_not_null() & passes


COMMUNICATION = checks.rules(
    {
        "_row": pa.Column(pl.Int64),
        "lead_id": pa.Column(pl.Int64, nullable=True),
        "method": pa.Column(pl.String, nullable=True),
        "type": pa.Column(pl.String, nullable=True),
        "executed_at": pa.Column(pl.String, nullable=True),
        "executed_by": pa.Column(pl.Int64, nullable=True),
        "description": pa.Column(pl.String, nullable=True),
        "call_status": pa.Column(pl.String, nullable=True),
        "call_duration": pa.Column(pl.Int64, nullable=True),
        "call_phone": pa.Column(pl.String, nullable=True),
    },
    {
        "lead_id_number": _needed("lead_id", checks.is_id(pl.col("lead_id"))),
        "method_unknown": _needed("method", pl.col("method").is_in(METHODS)),
        "type_unknown": _needed("type", pl.col("type").is_in(TYPES)),
        "executed_at_instant": _needed("executed_at", pl.col("executed_at").str.contains(_INSTANT)),
        "executed_by_number": checks.is_id(pl.col("executed_by")),
        "description_length": pl.col("description").str.len_chars() <= MAX_DESCRIPTION,
        "call_status_unknown": _needed("call_status", pl.col("call_status").is_in(STATUSES)),
        "status_direction": (pl.col("call_status") != "interrupted") | (pl.col("type") == "incoming"),
        "duration_range": _needed("call_duration", checks.is_duration(pl.col("call_duration"))),
        "call_phone_e164": _needed("call_phone", checks.is_e164(pl.col("call_phone"))),
    },
)
