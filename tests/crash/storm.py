"""The weather over the rehearsal CRM: each fault as likely as the next, everything late well below the settle time."""

import json
from pathlib import Path
from typing import Any

_CREATES = {"method": "POST", "path": "/communications"}
_READS = {"method": "GET", "path": "/leads/:id"}
OF_CREATES: tuple[dict[str, Any], ...] = (
    {"kind": "drop_before_commit"},
    {"kind": "drop_before_commit", "reset": True, "name": "reset_before_commit"},
    {"kind": "html_502"},
    {"kind": "html_503"},
    {"kind": "limit_429", "retry_after": 1},
    {"kind": "status_500"},
    {"kind": "late_commit", "seconds": 1.5, "name": "504_then_commit"},
    {"kind": "late_commit", "seconds": 1.0, "answer": "drop", "name": "drop_then_commit"},
    {"kind": "late_commit", "seconds": 0.5, "answer": "wait", "name": "slow_commit"},
    {"kind": "commit_then_drop"},
    {"kind": "commit_then_drop", "reset": True, "name": "commit_then_reset"},
    {"kind": "commit_then_500"},
    {"kind": "commit_then_500", "status": 502, "name": "commit_then_502"},
    {"kind": "commit_then_stall", "seconds": 0.7},
    {"kind": "truncated"},
    {"kind": "empty_2xx"},
)
OF_READS: tuple[dict[str, Any], ...] = (
    {"kind": "drop_before_commit", "name": "read_dropped"},
    {"kind": "html_502", "name": "read_502"},
    {"kind": "truncated", "name": "read_truncated"},
    {"kind": "incomplete_read", "without_key": True, "name": "read_without_communications"},
)


def faults(path: Path, share: float, *, seed: int) -> Path:
    """Write the rules that let this share of the creates, and of the reads, meet one of them."""
    rules = [
        {**rule, **about, "probability": share / len(kinds)}
        for kinds, about in ((OF_CREATES, _CREATES), (OF_READS, _READS))
        for rule in kinds
    ]
    # Every read is a little behind what was stored, by less than it takes to answer: the canary is not kept waiting.
    rules.append({"kind": "read_lag", "seconds": 0.05, **_READS})
    path.write_text(json.dumps({"seed": seed, "rules": rules}), encoding="utf-8")
    return path
