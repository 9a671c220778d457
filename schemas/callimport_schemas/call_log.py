"""A call, canonically: the frame that validation makes of text cells, and every rule a call must hold.

A column that is read from text has that text beside it, as `<column>_text`; the typed one is null where the text says
nothing that could be read, so that each rule can tell "missing" from "unreadable". Three columns help the rules:

- `started_at_fault`: the rule that the text of the start breaks as a text (unreadable, no zone, an hour that happens
  twice or never), null when it was read;
- `latest_start`: the last instant a call can have started at, a little after now;
- `customer_unknown`: true where the file has the customer on one side or the other and the direction is not known, so
  that a blank number says nothing.
"""

import pandera.polars as pa
import polars as pl

from callimport_schemas import checks

DIRECTIONS = ("outgoing", "incoming")
STATUSES = ("answered", "attempted", "interrupted", "error")
# `unanswered` is what phone systems say; which of two it becomes depends on the direction.
STATUS_WORDS = (*STATUSES, "unanswered")
MAX_DESCRIPTION = 1_000

TEXT_COLUMNS = (
    "call_id",
    "lead_id",
    "direction",
    "status",
    "started_at",
    "duration_seconds",
    "customer_phone",
    "agent_id",
    "agent_email",
    "agent_name",
    "agent_extension",
    "description",
    "recording",
)  # fmt: skip
ZONE_RULES = ("started_at_unreadable", "started_at_zone", "started_at_ambiguous", "started_at_nonexistent")

# The cells stand under the wrong names, or are not what was written. Other faults of the row follow from that.
WHOLE_ROW = ("swallowed_rows", "ragged", "damaged")
# Every rule, in the order in which the faults of a row are told.
RULES = (
    *WHOLE_ROW,
    "lead_id_number",
    "direction_missing",
    "direction_unknown",
    "status_unknown",
    "status_direction",
    "started_at_missing",
    *ZONE_RULES,
    "started_at_future",
    "started_at_too_old",
    "duration_missing",
    "duration_number",
    "duration_range",
    "customer_phone_missing",
    "customer_phone_e164",
    "agent_id_number",
    "description_length",
    "recording_path",
)

_UNSAFE_PATH = r"^[/\\]|^[A-Za-z]:|://|(^|/)\.\.(/|$)|\\|[\x00-\x1f\x7f-\x9f]"


def _present(column: str) -> pl.Expr:
    return pl.col(f"{column}_text").is_not_null()


def _readable(column: str) -> pl.Expr:
    """Where there is a text, it could be read."""
    return ~_present(column) | pl.col(column).is_not_null()


_blank_means_zero = _present("status") & (pl.col("status") != "answered")

CALL_LOG = checks.rules(
    {
        "_row": pa.Column(pl.Int64),
        **{f"{column}_text": pa.Column(pl.String, nullable=True) for column in ("lead_id", "direction", "status")},
        **{f"{column}_text": pa.Column(pl.String, nullable=True) for column in ("started_at", "duration_seconds")},
        **{f"{column}_text": pa.Column(pl.String, nullable=True) for column in ("customer_phone", "agent_id")},
        "call_id": pa.Column(pl.String, nullable=True),
        "lead_id": pa.Column(pl.Int64, nullable=True),
        "direction": pa.Column(pl.String, nullable=True),
        "status": pa.Column(pl.String, nullable=True),
        "started_at": pa.Column(checks.UTC_SECONDS, nullable=True),
        "started_at_fault": pa.Column(pl.String, nullable=True),
        "latest_start": pa.Column(checks.UTC_SECONDS),
        "duration_seconds": pa.Column(pl.Int64, nullable=True),
        "customer_phone": pa.Column(pl.String, nullable=True),
        "customer_unknown": pa.Column(pl.Boolean),
        "agent_id": pa.Column(pl.Int64, nullable=True),
        "agent_email": pa.Column(pl.String, nullable=True),
        "agent_name": pa.Column(pl.String, nullable=True),
        "agent_extension": pa.Column(pl.String, nullable=True),
        "description": pa.Column(pl.String, nullable=True),
        "recording": pa.Column(pl.String, nullable=True),
    },
    {
        "lead_id_number": _readable("lead_id"),
        "direction_missing": _present("direction"),
        "direction_unknown": pl.col("direction").is_in(DIRECTIONS),
        "status_unknown": pl.col("status").is_in(STATUS_WORDS),
        "status_direction": (pl.col("status") != "interrupted") | (pl.col("direction") != "outgoing"),
        "started_at_missing": _present("started_at"),
        **{rule: ~pl.col("started_at_fault").eq_missing(pl.lit(rule)) for rule in ZONE_RULES},
        "started_at_future": pl.col("started_at") <= pl.col("latest_start"),
        "started_at_too_old": pl.col("started_at") >= checks.EARLIEST_START,
        "duration_missing": _present("duration_seconds") | _blank_means_zero,
        "duration_number": _readable("duration_seconds"),
        "duration_range": checks.is_duration(pl.col("duration_seconds")),
        "customer_phone_missing": _present("customer_phone") | pl.col("customer_unknown"),
        "customer_phone_e164": checks.is_e164(pl.col("customer_phone")),
        "agent_id_number": _readable("agent_id"),
        "description_length": pl.col("description").str.len_chars() <= MAX_DESCRIPTION,
        "recording_path": ~pl.col("recording").str.contains(_UNSAFE_PATH),
    },
)
