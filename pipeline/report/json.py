"""The answer for machines: one object, the same keys in every run."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from pipeline import endings, model


def summary_json(
    summary: endings.Summary,
    *,
    error: str | None = None,
    plan: str | None = None,
    pilot: Sequence[model.Listed] = (),
) -> str:
    """`summary` as one line of JSON; `error`, `plan` and `pilot` are there only where there is one."""
    answer = asdict(summary)
    if plan is not None:
        answer["plan"] = plan
    if pilot:
        answer["pilot"] = [
            {
                "reference": item.reference,
                "lead_id": item.lead_id,
                "communication_id": item.communication_id,
                "started_at": item.started_at.isoformat(),
                "status": item.status,
            }
            for item in pilot
        ]
    if error is not None:
        answer["error"] = error
    return json.dumps(answer, ensure_ascii=False)
