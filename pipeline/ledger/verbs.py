"""The guarded moves of an item. Each is one statement that must hit one row, and is on the disk when it returns."""

import contextlib
import json
from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline import canonical, errors, model
from pipeline.ledger import enrolment as enrolling
from pipeline.ledger.database import Database


@dataclass(frozen=True, slots=True)
class Binding:
    """The one account whose calls a ledger remembers."""

    host: str
    account: model.Account


class Ledger:
    """What one run does to the ledger. Held by one run at a time; see lock.py."""

    def __init__(self, database: Database, clock: model.Clock) -> None:
        self.database = database
        self._clock = clock
        self._found_in_flight: list[str] = []
        self._opened_at = clock.monotonic()
        self._batch_id: str | None = None
        self._in_doubt_since: dict[str, float] = {}

    @classmethod
    def open(cls, path: Path, clock: model.Clock, binding: Binding | None = None) -> "Ledger":
        """Open or make the ledger of one account; LedgerError for another account's. None opens whatever is there."""
        ledger = cls(Database.open(path), clock)
        try:
            if binding is not None:
                ledger._bind(binding)
            if ledger.database.one("SELECT ended_at IS NULL FROM run ORDER BY rowid DESC LIMIT 1"):
                ledger.database.check_soundness()
        except BaseException:
            ledger.close()
            raise
        return ledger

    @classmethod
    def copied(cls, path: Path, clock: model.Clock, binding: Binding) -> "Ledger":
        """A copy in memory of the ledger at `path`, to plan on; of nothing where there is none."""
        if not path.exists() or path.stat().st_size == 0:
            return cls.of_nothing(clock)
        ledger = cls(Database.copied(path), clock)
        ledger._bind(binding)
        return ledger

    @classmethod
    def of_nothing(cls, clock: model.Clock) -> "Ledger":
        """An empty ledger in memory, to judge files against one another."""
        return cls(Database.in_memory(), clock)

    def snapshot(self) -> "Ledger":
        """A copy to plan on."""
        return Ledger(self.database.copy(), self._clock)

    def close(self) -> None:
        self.database.close()

    # A run

    def start_run(self, run_id: str) -> int:
        """Record the run. What an earlier one left in flight is now in doubt; returns how many items that were."""
        now = self._now()
        with self.database.transaction():
            self.database.execute("INSERT INTO run (id, started_at) VALUES (?, ?)", (run_id, now))
            self._found_in_flight = [
                row[0] for row in self.database.rows("SELECT key FROM item WHERE status = 'in_flight'")
            ]
            self.database.execute(
                "INSERT INTO outcome SELECT id, 'in_doubt', NULL, 'the run ended before the answer was recorded', ? "
                "FROM unresolved",
                (now,),
            )
            self.database.execute(
                "UPDATE item SET status = 'in_doubt', reason = 'the run ended before the answer was recorded', "
                "moved_at = ? WHERE status = 'in_flight'",
                (now,),
            )
        return len(self._found_in_flight)

    def end_run(self, run_id: str, exit_code: int) -> None:
        with self.database.transaction():
            self._one(
                "UPDATE run SET ended_at = ?, exit_code = ? WHERE id = ? AND ended_at IS NULL",
                (self._now(), exit_code, run_id),
            )

    # Phase one

    @contextlib.contextmanager
    def enrolment(self, run_id: str | None, batch: model.Batch) -> Iterator[enrolling.Enrolment]:
        """Gather and enter the sightings of a batch in this block; what interrupts it leaves the ledger as it was."""
        with self.database.transaction():
            yield enrolling.Enrolment(self.database, batch, self._clock.wall(), self._found_in_flight)
            self._take_up(run_id, batch.id)

    def resume(self, run_id: str | None, batch_id: str) -> enrolling.Enrolled:
        """Go on with a batch from the ledger alone. ConfigError for a batch it does not know."""
        with self.database.transaction():
            enrolled = enrolling.resume(self.database, batch_id, self._found_in_flight)
            self._take_up(run_id, batch_id)
        return enrolled

    # Phase two

    def next_item(self, batch_id: str, busy_leads: frozenset[int]) -> model.Item | None:
        """The oldest pending call of the batch whose lead has nothing in flight and nothing in doubt."""
        marks = ", ".join("?" * len(busy_leads))
        found = self.database.rows(
            f"""
            SELECT key, reference, lead_id, payload FROM item
            WHERE batch_id = ? AND status = 'pending' AND lead_id NOT IN ({marks})
                AND lead_id NOT IN (SELECT lead_id FROM item WHERE status = 'in_doubt')
            ORDER BY started_at, key LIMIT 1
            """,
            (batch_id, *sorted(busy_leads)),
        )
        if not found:
            return None
        key, reference, lead_id, payload = found[0]
        return model.Item(key, reference, lead_id, model.Communication(**json.loads(payload)))

    def stands(self, key: str) -> tuple[model.ItemStatus, int | None]:
        """Where an item stands, and which communication it is."""
        status, communication_id = self.database.rows(
            "SELECT status, communication_id FROM item WHERE key = ?", (key,)
        )[0]
        return model.ItemStatus(status), communication_id

    def intend(self, key: str, run_id: str) -> int:
        """Write down that the first byte is about to leave. Returns the attempt."""
        with self.database.transaction():
            attempt = self.database.insert(
                "INSERT INTO attempt (key, run_id, intended_at) VALUES (?, ?, ?)", (key, run_id, self._now())
            )
            self._move(key, model.ItemStatus.PENDING, model.ItemStatus.IN_FLIGHT)
        return attempt

    def delivered(self, key: str, attempt: int, echo: model.Echo) -> None:
        with self.database.transaction():
            note = "; ".join(echo.differences) or None
            self._land(attempt, "delivered", 201, note or "answered with its id")
            self._move(
                key,
                model.ItemStatus.IN_FLIGHT,
                model.ItemStatus.DELIVERED,
                communication_id=echo.communication_id,
                echo=json.dumps(echo.body, ensure_ascii=False),
                reason=note,
            )

    def not_applied(self, key: str, attempt: int, outcome: errors.NotApplied) -> None:
        """Surely not stored: pending again."""
        with self.database.transaction():
            self._land(attempt, "not_applied", outcome.status, outcome.evidence)
            self._move(key, model.ItemStatus.IN_FLIGHT, model.ItemStatus.PENDING)

    def refused(self, key: str, attempt: int, outcome: errors.Refused) -> None:
        with self.database.transaction():
            self._land(attempt, "refused", outcome.status, outcome.evidence)
            self._move(key, model.ItemStatus.IN_FLIGHT, model.ItemStatus.REFUSED, reason=_why(outcome))

    def in_doubt(self, key: str, attempt: int, outcome: errors.InDoubt) -> None:
        with self.database.transaction():
            self._land(attempt, "in_doubt", outcome.status, outcome.evidence)
            self._move(
                key,
                model.ItemStatus.IN_FLIGHT,
                model.ItemStatus.IN_DOUBT,
                applied=int(outcome.applied),
                reason=outcome.evidence,
            )
        self._in_doubt_since[key] = self._clock.monotonic()

    def failed(self, key: str, reason: str) -> None:
        """Attempts used up, each of them proven not applied."""
        with self.database.transaction():
            self._move(key, model.ItemStatus.PENDING, model.ItemStatus.FAILED, reason=reason)

    # Doubt

    def doubts(self) -> list[model.Doubt]:
        """Every item in doubt, whichever run left it so, in an order that is always the same."""
        found = self.database.rows("""
            SELECT item.key, reference, payload, min(attempt.intended_at), applied,
                (SELECT count(*) FROM verdict WHERE verdict.key = item.key AND kind = 'absent')
            FROM item JOIN attempt ON attempt.key = item.key JOIN outcome ON outcome.attempt_id = attempt.id
            WHERE item.status = 'in_doubt' AND outcome.kind = 'in_doubt'
            GROUP BY item.key ORDER BY item.lead_id, item.key
        """)
        return [
            model.Doubt(
                key=key,
                reference=reference,
                communication=model.Communication(**json.loads(payload)),
                intended_at=datetime.fromisoformat(intended_at),
                since=self._in_doubt_since.get(key, self._opened_at),
                applied=bool(applied),
                times_absent=times_absent,
            )
            for key, reference, payload, intended_at, applied, times_absent in found
        ]

    def communications_of(self, lead_id: int) -> set[int]:
        """The communications of a lead that are ours."""
        found = self.database.rows(
            "SELECT communication_id FROM item WHERE lead_id = ? AND status = 'delivered'", (lead_id,)
        )
        return {row[0] for row in found}

    def taken(self, communication_ids: Set[int]) -> set[int]:
        """Those of them that belong to an item of the ledger, whichever lead it is on."""
        marks = ", ".join("?" * len(communication_ids))
        found = self.database.rows(
            f"SELECT communication_id FROM item WHERE communication_id IN ({marks})", tuple(sorted(communication_ids))
        )
        return {row[0] for row in found}

    def settle(self, key: str, verdict: model.Verdict) -> None:
        """End a doubt: delivered, pending or held. What was parked meanwhile is taken up by what will be sent."""
        with self.database.transaction():
            self._record_verdict(key, verdict.kind, verdict.evidence)
            match verdict.kind:
                case "found" if verdict.found is not None:
                    self._move(
                        key,
                        model.ItemStatus.IN_DOUBT,
                        model.ItemStatus.DELIVERED,
                        communication_id=verdict.found.id,
                        echo=json.dumps(verdict.found.body, ensure_ascii=False),
                        reason="; ".join(self._differences(key, verdict.found)) or None,
                    )
                case "absent":
                    self._back_from_doubt(key, model.ItemStatus.IN_DOUBT)
                case _:
                    self._move(key, model.ItemStatus.IN_DOUBT, model.ItemStatus.HELD, reason=verdict.evidence)

    def resend(self, reference: str) -> str:
        """A person says that a held call is not in the CRM: pending again. ConfigError if it is not held, or if the
        CRM itself said that it stored it."""
        with self.database.transaction():
            key = self._held(reference)
            if self.database.one("SELECT applied FROM item WHERE key = ?", (key,)):
                raise errors.ConfigError(
                    f"the CRM said that it stored {reference}, so it is not sent again: find it there, then say "
                    f"callimport reconcile --accept {reference} ID"
                )
            self._record_verdict(key, "resend", "a person said that it is not in the CRM")
            self._back_from_doubt(key, model.ItemStatus.HELD)
        return key

    def accept(self, reference: str, communication_id: int) -> str:
        """A person says which communication a held call is. ConfigError if it is not held, or another call's."""
        with self.database.transaction():
            key = self._held(reference)
            if self.taken({communication_id}):
                raise errors.ConfigError(f"communication {communication_id} is another call's already: check the id")
            self._record_verdict(key, "accept", f"a person said that it is {communication_id}")
            self._move(key, model.ItemStatus.HELD, model.ItemStatus.DELIVERED, communication_id=communication_id)
        return key

    def _held(self, reference: str) -> str:
        found = self.database.rows(
            "SELECT key FROM item WHERE status = 'held' AND (reference = ? OR key = ?)", (reference.upper(), reference)
        )
        if not found:
            raise errors.ConfigError(f"no held call has the key {reference}: callimport reconcile lists them")
        return str(found[0][0])

    def _differences(self, key: str, stored: model.Stored) -> tuple[str, ...]:
        payload = self.database.one("SELECT payload FROM item WHERE key = ?", (key,))
        return canonical.differences(model.Communication(**json.loads(payload)), stored.body)

    def _record_verdict(self, key: str, kind: str, evidence: str) -> None:
        self.database.execute(
            "INSERT INTO verdict (key, attempt_id, kind, evidence, decided_at) "
            "SELECT ?, max(id), ?, ?, ? FROM attempt WHERE key = ?",
            (key, kind, evidence, self._now(), key),
        )

    def _back_from_doubt(self, key: str, before: model.ItemStatus) -> None:
        self._move(key, before, model.ItemStatus.PENDING)
        self.database.execute(
            "UPDATE item SET facts = next_facts, payload = next_payload, next_facts = NULL, next_payload = NULL, "
            "lead_id = json_extract(next_payload, '$.lead_id') WHERE key = ? AND next_facts IS NOT NULL",
            (key,),
        )
        self._send_with_this_run(key)

    def _send_with_this_run(self, key: str) -> None:
        """Its batch may be an earlier one: a call that this run read, or whose settings it shares, goes with it."""
        if self._batch_id is None:
            return
        self.database.execute(
            """
            UPDATE item SET batch_id = :batch WHERE key = :key AND EXISTS (
                SELECT 1 FROM temp.member WHERE member.key = :key AND (carried = 0 OR (
                    SELECT settings_fingerprint FROM batch WHERE id = item.batch_id
                ) = (SELECT settings_fingerprint FROM batch WHERE id = :batch)))
            """,
            {"batch": self._batch_id, "key": key},
        )

    # A person decides

    def withdraw(self, batch_id: str) -> int:
        """Give up what is pending of a batch. Returns how many items; ConfigError for a batch it does not know."""
        with self.database.transaction():
            known = self.database.execute("UPDATE batch SET withdrawn_at = ? WHERE id = ?", (self._now(), batch_id))
            if not known:
                raise errors.ConfigError(f"the ledger knows no batch {batch_id}: callimport status lists them")
            return self.database.execute(
                "UPDATE item SET status = 'withdrawn', reason = 'withdrawn by a person', moved_at = ? "
                "WHERE batch_id = ? AND status = 'pending'",
                (self._now(), batch_id),
            )

    def retry(self, status: model.ItemStatus) -> int:
        """All refused or all failed items are pending again. Returns how many."""
        with self.database.transaction():
            return self._back_to_pending("status IN ('refused', 'failed') AND status = ?", (status.value,))

    def retry_one(self, reference: str) -> int:
        """One refused, failed or withdrawn item, by its reference, is pending again. ConfigError if there is none."""
        with self.database.transaction():
            moved = self._back_to_pending(
                "status IN ('refused', 'failed', 'withdrawn') AND (reference = ? OR key = ?)",
                (reference.upper(), reference),
            )
        if not moved:
            raise errors.ConfigError(
                f"no refused, failed or withdrawn call has the key {reference}: callimport status lists them"
            )
        return moved

    def _back_to_pending(self, which: str, values: tuple[str, ...]) -> int:
        return self.database.execute(
            f"UPDATE item SET status = 'pending', reason = NULL, moved_at = ? WHERE {which}", (self._now(), *values)
        )

    def _bind(self, binding: Binding) -> None:
        bound = self.database.rows("SELECT host, account_id, account_name FROM binding")
        wanted = (binding.host, binding.account.id)
        if not bound:
            with self.database.transaction():
                self.database.execute(
                    "INSERT INTO binding VALUES (1, ?, ?, ?, ?)", (*wanted, binding.account.name, self._now())
                )
        elif bound[0][:2] != wanted:
            host, account_id, name = bound[0]
            raise errors.LedgerError(
                f"the ledger {self.database.place} belongs to account {account_id} ({name}) at {host}, not to account "
                f"{binding.account.id} at {binding.host}: name that account's ledger with --ledger"
            )

    def _take_up(self, run_id: str | None, batch_id: str) -> None:
        if run_id is not None:
            self._one("UPDATE run SET batch_id = ? WHERE id = ?", (batch_id, run_id))
            self._batch_id = batch_id

    def _land(self, attempt: int, kind: str, status: int | None, evidence: str) -> None:
        self.database.execute(
            "INSERT INTO outcome VALUES (?, ?, ?, ?, ?)", (attempt, kind, status, evidence, self._now())
        )

    def _move(self, key: str, before: model.ItemStatus, after: model.ItemStatus, **columns: str | int | None) -> None:
        columns = {"reason": None, **columns}
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self._one(
            f"UPDATE item SET status = ?, moved_at = ?, {assignments} WHERE key = ? AND status = ?",
            (after.value, self._now(), *columns.values(), key, before.value),
        )

    def _one(self, sql: str, values: tuple[Any, ...]) -> None:
        if self.database.execute(sql, values) != 1:
            raise errors.LedgerError(
                "the ledger is not where this run thought it was: nothing more is sent; run again to go on from it"
            )

    def _now(self) -> str:
        moment: datetime = self._clock.wall()
        return moment.isoformat(timespec="milliseconds")


def _why(outcome: errors.Refused) -> str:
    return "; ".join(outcome.reasons) or outcome.evidence
