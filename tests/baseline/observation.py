"""What an import did, seen from outside: the answer of the command, the tables that it wrote, the requests that the
rehearsal CRM received.

Nothing here opens a ledger or imports the importer, so that a record stays comparable when the importer is rebuilt.
"""

import csv
import re
from collections import Counter
from pathlib import Path
from typing import Any

from tests import rehearsal
from tests.rehearsal import Crm, Ended

ACCOUNT_ID = 301
# Parts of the JSON answer that are the same each time. Names may be added to the answer, so only these are kept.
_ANSWER = ("rows", "calls", "dropped", "skipped", "changed", "recordings")
_ITEM = (
    "reference", "key", "source", "row", "system", "status", "adopted", "lead_id", "direction", "phone", "started_at",
    "attempts",
)  # fmt: skip
_RULE = re.compile(r"(?:^| \| )([a-z0-9_]+): ")


def crm_options(*more: str) -> tuple[str, ...]:
    """Options of a rehearsal CRM for a record: references depend on the account, so the account is always the same."""
    return ("--account-id", str(ACCOUNT_ID), "--limit", "100000", *more)


def answer(ended: Ended) -> dict[str, Any]:
    """The exit code and the counts of a command that was run with --json. Zeros are left out."""
    told: dict[str, Any] = {"exit": ended.code}
    if not ended.out.strip():
        return told
    summary = ended.summary
    for name in _ANSWER:
        found = summary.get(name)
        kept = {key: value for key, value in found.items() if value} if isinstance(found, dict) else found
        if kept:
            told[name] = kept
    told["reasons"] = {
        one["rule"]: {"count": one["count"], "rows": one["examples"]} for one in summary.get("reasons", [])
    }
    return {name: value for name, value in told.items() if value != {}}


def rejects(path: Path) -> list[str]:
    """Of each row of a reject file its place and the rules that it broke: "messy.csv 3: lead_id_number"."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [
            " ".join([one.get("_source", ""), f"{one['_row']}:", *_RULE.findall(one["_reasons"])]).strip()
            for one in csv.DictReader(file)
        ]


def items(crm: Crm, folder: Path) -> list[dict[str, str]]:
    """The items of the ledger, as `callimport export` writes them, in the order of their keys."""
    return [{name: one[name] for name in _ITEM if one[name]} for one in exported(crm, folder)]


def exported(crm: Crm, folder: Path) -> list[dict[str, str]]:
    """The whole table of `callimport export`; empty if there is no ledger yet."""
    path = folder / "exported.csv"
    command = ("export", "-o", path, "--destination", "sandbox", "--force")
    ended = rehearsal.callimport(*command, state=crm.state)
    if ended.code:
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        return sorted(csv.DictReader(file), key=lambda one: one["key"])


def sent(crm: Crm, after: int = 0) -> list[dict[str, Any]]:
    """Return the creates, updates and uploads after request number `after`, sorted: the order does not depend on the
    workers. Ids of communications are left out, because they depend on the workers."""
    found = [
        {"request": entry["kind"], "status": entry["status"], "body": _body(entry)}
        for entry in requests(crm, after)
        if entry["method"] != "GET"
    ]
    return sorted(found, key=repr)


def _body(entry: dict[str, Any]) -> Any:
    """Return the JSON body, or None for an upload: `stored` shows the hash of its file."""
    return entry["body"] if isinstance(entry["body"], dict) and "recording" not in entry["kind"] else None


def stored(crm: Crm) -> list[dict[str, Any]]:
    """What the CRM keeps of each communication, without ids and times of its own."""
    kept = []
    for one in crm.stored():
        recording = one["recording"]
        shown = {name: value for name, value in one.items() if name not in ("id", "created_at", "updated_at")}
        kept.append(shown | {"recording": recording and recording["sha256"]})
    return sorted(kept, key=repr)


def reads(crm: Crm, after: int = 0) -> dict[str, int]:
    """How many requests of each kind only read. A later change may save some of them, so they stand apart."""
    return dict(sorted(Counter(one["kind"] for one in requests(crm, after) if one["method"] == "GET").items()))


def requests(crm: Crm, after: int = 0) -> list[dict[str, Any]]:
    """The CRM's journal after the request of that number."""
    return list(crm.ask(f"journal?after={after}")["requests"])
