"""The answer for machines: one object, the same keys in every run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from callimport.core import endings, models, privacy


def one_line(answer: Mapping[str, Any]) -> str:
    """Return the answer as one line of JSON, with every text masked."""
    return json.dumps(privacy.mask_values(answer), ensure_ascii=False)


def summary_json(
    summary: endings.Summary,
    *,
    error: str | None = None,
    plan: str | None = None,
    pilot: Sequence[models.Listed] = (),
    findings: Sequence[endings.Finding] = (),
) -> str:
    """`summary` as one line of JSON; `error`, `plan`, `pilot` and the `reasons` of rejected rows are there only where
    there is one."""
    answer = asdict(summary)
    if findings:
        answer["reasons"] = [
            {
                "rule": finding.rule,
                "count": finding.count,
                "message": finding.message,
                "examples": finding.examples,
            }
            for finding in findings
        ]
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
    return one_line(answer)
