"""What became of an import, by the CRM's own count and by the ledger's."""

import contextlib
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from tests.rehearsal import Crm

# Everything else that the CRM's verdict lists is a finding, too; its limit is not this test's.
_MISDEEDS = ("duplicates", "duplicate_references", "popups", "leads_created", "unknown_fields", "foreign_hosts")
Call = tuple[int, datetime, str]


class Fills(Protocol):
    statuses: Counter[str]
    creates: int
    stored: int
    duplicated: int
    lost: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A ledger as it lies on the disk."""

    statuses: Counter[str]
    ids: dict[Call, int | None]
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    statuses: Counter[str]
    creates: int
    stored: int
    duplicated: int
    lost: int

    def fill(self, figures: Fills) -> None:
        figures.statuses = self.statuses
        figures.creates, figures.stored = self.creates, self.stored
        figures.duplicated, figures.lost = self.duplicated, self.lost


def ledger(state: Path) -> Kept | None:
    """Of a copy, so that the look changes nothing; None before there is one."""
    paths = list(state.glob("ledgers/*.sqlite3"))
    if not paths:
        return None
    with tempfile.TemporaryDirectory() as folder:
        for path in state.glob("ledgers/*.sqlite3*"):
            if path.suffix not in (".lock", ".heartbeat"):
                shutil.copyfile(path, Path(folder) / path.name)
        with contextlib.closing(sqlite3.connect(Path(folder) / paths[0].name)) as database:
            verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'item'").fetchone():
                return Kept(Counter(), {}, () if verdict == "ok" else (f"the ledger is damaged: {verdict}",))
            rows = database.execute(
                "SELECT lead_id, json_extract(payload, '$.executed_at'), phone, status, communication_id FROM item"
            ).fetchall()
    return Kept(
        Counter(row[3] for row in rows),
        {(row[0], datetime.fromisoformat(row[1]), row[2]): row[4] for row in rows},
        () if verdict == "ok" else (f"the ledger is damaged: {verdict}",),
    )


def compare(crm: Crm, rows: Sequence[dict[str, str]], findings: list[str]) -> Tally:
    """Every call once, on its lead, and the ledger of the same mind; what is wrong goes to `findings`."""
    calls = [(int(row["lead_id"]), datetime.fromisoformat(row["started_at"]), row["customer_phone"]) for row in rows]
    stored = _stored(crm)
    kept = ledger(crm.state)
    assert kept is not None, "there is no ledger"
    held = kept.statuses["held"]
    duplicated = sum(len(ids) - 1 for ids in stored.values())
    strange = [call for call in stored if call not in set(calls)]
    absent = [call for call in calls if call not in stored]
    lost = [call for call in absent if kept.ids.get(call) is not None]
    findings += kept.faults
    findings += [f"{call} is stored {len(ids)} times" for call, ids in stored.items() if len(ids) > 1]
    findings += [f"{call} is stored and in no source" for call in strange]
    findings += [f"{call} is delivered and not stored" for call in lost]
    if len(absent) > held:
        findings.append(f"{len(absent)} calls are not in the CRM, and {held} are held")
    for call, communication_id in kept.ids.items():
        if communication_id is not None and communication_id not in stored.get(call, ()):
            findings.append(f"{call} holds communication {communication_id}, which is not it")
    if unended := {name: count for name, count in kept.statuses.items() if name not in ("delivered", "held")}:
        findings.append(f"not ended: {unended}")
    if len(stored) - held > kept.statuses["delivered"] or sum(kept.statuses.values()) != len(calls):
        findings.append(f"the ledger has {dict(kept.statuses)}, the CRM {len(stored)}, the source {len(calls)}")
    verdict = crm.ask("assert")
    findings += [f"{name}: {len(verdict[name])}" for name in _MISDEEDS if verdict[name]]
    return Tally(kept.statuses, crm.creates(), sum(map(len, stored.values())), duplicated, len(absent))


def faults_met(crm: Crm) -> dict[str, int]:
    """How often each rule was applied; the lag of reads is always there and left out."""
    rules: list[dict[str, Any]] = crm.ask("faults")["rules"]
    return {str(rule.get("name", rule["kind"])): int(rule["fired"]) for rule in rules if rule["kind"] != "read_lag"}


def _stored(crm: Crm) -> dict[Call, list[int]]:
    stored: dict[Call, list[int]] = {}
    for one in crm.stored():
        if not one["seeded"]:
            call = (int(one["lead_id"]), datetime.fromisoformat(one["executed_at"]), str(one["call_phone"]))
            stored.setdefault(call, []).append(int(one["id"]))
    return stored
