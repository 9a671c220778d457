"""Calls, items and settings for tests of the plan: frames with one fictional call a row, so that a test names only what
it is about."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from callimport.core import models
from callimport.core.decisions import CALLS, ITEMS, NEIGHBOURS, Columns, LedgerView, PlanSettings
from callimport.plan.decide import Decided, decide

BEGAN = 1_717_164_309
PHONE = "+15145550101"
FILE = models.Source(Path("calls.csv"), "a" * 64, 1_000, 0)
SETTINGS = PlanSettings(
    models.Batch("7K3Q-2M9D", (FILE, models.Source(Path("more.csv"), "b" * 64, 1_000, 0)), {}, "f" * 32),
    account_id=301,
    now=datetime(2026, 11, 27, 8, tzinfo=UTC),
    keeps_waiting=True,
)


def payload(
    lead_id: int = 5001, seconds: int = 95, text: str | None = None, began: int = BEGAN, reference: str | None = None
) -> str:
    """The communication of a call as JSON text."""
    at = datetime.fromtimestamp(began, UTC).isoformat()
    mark = f"[ref {reference}]" if reference else None
    return json.dumps(
        {
            "lead_id": lead_id,
            "method": "phone",
            "type": "incoming",
            "executed_at": at,
            "executed_by": 7,
            "description": " ".join(part for part in (text, mark) if part) or None,
            "call_status": "answered",
            "call_duration": seconds,
            "call_phone": PHONE,
        }
    )


def call(key: str = "k1:1", **changes: Any) -> dict[str, Any]:
    """A call with a lead; `lead_id=None` takes it away."""
    made: dict[str, Any] = {
        "source": 0,
        "row": 2,
        "key": key,
        "reference": f"REF-{key[3:]}",
        "system": "pbx",
        "call_id": key[3:],
        "lead_id": 5001,
        "direction": "incoming",
        "phone": PHONE,
        "started_at": BEGAN,
        "duration_seconds": 95,
        "description": None,
        "recording": None,
        "legs": None,
        "marks": [],
    } | changes
    told = (made["started_at"], made["duration_seconds"], made["description"], made["recording"])
    made.setdefault("facts", repr(told))
    if made["lead_id"] is None:
        made |= {"payload": None, "staged": "{}"}
    else:
        made.setdefault("staged", None)
        made.setdefault("payload", _payload_of(made))
    return made


def _payload_of(made: Mapping[str, Any]) -> str:
    return payload(
        made["lead_id"], made["duration_seconds"], made["description"], made["started_at"], made["reference"]
    )


def item(status: str, of: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The item that the call `of` became."""
    source = of or call()
    names = ("key", "reference", "lead_id", "direction", "phone", "started_at", "facts", "payload", "staged", "legs")
    made: dict[str, Any] = dict.fromkeys(ITEMS) | {name: source[name] for name in names}
    made |= {
        "status": status,
        "batch_id": SETTINGS.batch.id,
        "source_name": FILE.name,
        "source_sha256": FILE.sha256,
        "source_row": source["row"],
        "is_damaged": False,
        "retried": [],
        "withdrawn": [],
        "recordings": [source["recording"]] if source["recording"] else [],
    }
    return made | changes


def neighbour(of: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """An item near a new call."""
    made = {name: of.get(name) for name in NEIGHBOURS} | {
        "batch_id": "2222-2222",
        "source_name": "before.csv",
        "source_row": 9,
        "status": "delivered",
        "is_of_minute": False,
    }
    return made | changes


def frame(rows: list[dict[str, Any]], columns: Columns) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=columns, orient="row")


def view(items: list[dict[str, Any]] = (), neighbours: list[dict[str, Any]] = ()) -> LedgerView:  # type: ignore[assignment]
    return LedgerView(frame(list(items), ITEMS), frame(list(neighbours), NEIGHBOURS))


def decided(
    calls: list[dict[str, Any]],
    items: list[dict[str, Any]] = (),  # type: ignore[assignment]
    neighbours: list[dict[str, Any]] = (),  # type: ignore[assignment]
    **settings: Any,
) -> Decided:
    return decide(frame(calls, CALLS), view(items, neighbours), replace(SETTINGS, **settings))


def decision(
    of: Mapping[str, Any],
    item: dict[str, Any] | None = None,
    neighbours: list[dict[str, Any]] = (),  # type: ignore[assignment]
    **settings: Any,
) -> tuple[str, str | None, str]:
    """Decision, entry and reason of one call."""
    found = decided([dict(of)], [item] if item else [], neighbours, **settings).decisions.row(0, named=True)
    return found["decision"], found["entry"], found["why"]
