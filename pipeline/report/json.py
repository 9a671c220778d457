"""The answer for machines: one object, the same keys in every run."""

import json
from dataclasses import asdict

from pipeline import endings


def summary_json(summary: endings.Summary, *, error: str | None = None, plan: str | None = None) -> str:
    """`summary` as one line of JSON; `error` and `plan` are there only where there is one."""
    answer = asdict(summary)
    if plan is not None:
        answer["plan"] = plan
    if error is not None:
        answer["error"] = error
    return json.dumps(answer, ensure_ascii=False)
