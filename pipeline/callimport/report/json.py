"""The answer for machines: one object, the same keys in every run."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from callimport.core import endings, models, privacy


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
                "message": privacy.hide_numbers(finding.message),
                "examples": [privacy.scrub(example) for example in finding.examples],
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
    return json.dumps(answer, ensure_ascii=False)
