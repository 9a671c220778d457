"""What a run, and a person between runs, does to items. Each verb is on the disk when it returns."""

import json
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from callimport.core import errors, models
from callimport.core.decisions import Plan
from callimport.core.endings import Standing
from callimport.core.row_origin import Settled
from callimport.ledger import (
    checksum,
    entry,
    held_updates,
    lead_cache,
    queries,
    rejected_rows,
    standing,
    updates,
    waiting_items,
)
from callimport.ledger.database import Database
from callimport.ledger.known_calls import KnownCalls
from callimport.ledger.verdicts import Verdicts

LEFT_IN_FLIGHT = "the run ended before the answer was recorded"


@dataclass(frozen=True, slots=True)
class Binding:
    """The one account whose calls a ledger remembers."""

    host: str
    account: models.Account


class Ledger(Verdicts):
    """What one run does to the ledger. Held by one run at a time; see ledger/locking.py."""

    def __init__(self, database: Database, clock: models.Clock) -> None:
        super().__init__(database, clock)
        self._found_in_flight: list[str] = []
        # Where the lead cache lies; None for a ledger of no file.
        self.lead_cache: Path | None = None
        # What hands out items: all of them, or those that were chosen.
        self._shelf = "item"
        # The plan whose items are handed out; None hands out those that are bound to none, or, on demand, all.
        self._shelf_of_plan: str | None = None
        self._hands_out_bound = False

    @classmethod
    def open(cls, path: Path, clock: models.Clock, binding: Binding | None = None) -> "Ledger":
        """Open or make the ledger of one account; LedgerError for another account's. None opens whatever is there."""
        database = Database.open(path)
        try:
            ledger = cls(database, clock)
            ledger.lead_cache = lead_cache.beside(path)
            if binding is not None:
                ledger._bind(binding)
            if database.one("SELECT ended_at IS NULL FROM run ORDER BY rowid DESC LIMIT 1"):
                database.check_soundness()
        except BaseException:
            database.close()
            raise
        return ledger

    @classmethod
    def reading(cls, path: Path, clock: models.Clock, binding: Binding | None = None) -> "Ledger":
        """Open what lies at `path` to look at it; an empty ledger if there is none. LedgerError for another account's.
        No process may write to it meanwhile."""
        if not path.exists() or (path.is_file() and path.stat().st_size == 0):
            ledger = cls.of_nothing(clock)
            ledger.lead_cache = lead_cache.beside(path)
            return ledger
        database = Database.reading(path)
        try:
            ledger = cls(database, clock)
            ledger.lead_cache = lead_cache.beside(path)
            if binding is not None:
                ledger._is_bound_to(binding)
        except BaseException:
            database.close()
            raise
        return ledger

    @classmethod
    def of_nothing(cls, clock: models.Clock) -> "Ledger":
        """An empty ledger in memory, whose run has no items."""
        ledger = cls(Database.in_memory(), clock)
        entry.begin(ledger.database)
        return ledger

    def close(self) -> None:
        self.database.close()

    # A run

    def start_run(self, run_id: str) -> int:
        """Record the run. What an earlier one left in flight is now in doubt; returns how many items that were."""
        now = self._now()
        with self.database.transaction():
            self.database.execute("INSERT INTO run (id, started_at) VALUES (?, ?)", (run_id, now))
            self._found_in_flight = self._in_flight()
            self.database.execute(
                "INSERT INTO outcome SELECT id, 'in_doubt', NULL, ?, ?, NULL FROM unresolved",
                (LEFT_IN_FLIGHT, now),
            )
            self.database.execute(
                "UPDATE item SET status = 'in_doubt', reason = ?, moved_at = ? WHERE status = 'in_flight'",
                (LEFT_IN_FLIGHT, now),
            )
        return len(self._found_in_flight)

    def left_in_flight(self) -> list[str]:
        """Keys of the items that an earlier run has left in flight, before this run begins and after."""
        return [*self._found_in_flight, *self._in_flight()]

    def _in_flight(self) -> list[str]:
        return [key for (key,) in self.database.rows("SELECT key FROM item WHERE status = 'in_flight'")]

    def end_run(self, run_id: str, exit_code: int, stopped_by: str | None = None) -> None:
        """Record the end, and in one line what stopped it, if anything did."""
        with self.database.transaction():
            self._one(
                "UPDATE run SET ended_at = ?, exit_code = ?, stopped_by = ? WHERE id = ? AND ended_at IS NULL",
                (self._now(), exit_code, stopped_by, run_id),
            )

    # Phase one

    def known_calls(self) -> KnownCalls:
        """What the ledger knows of the calls of a run, read anew."""
        return KnownCalls(self.database)

    def waiting_numbers(self, shapes: Collection[str]) -> set[str]:
        """The numbers of the calls that wait for a lead under settings of these shapes."""
        return waiting_items.numbers(self.database, shapes)

    def settled_rows(self) -> Settled:
        """The rejected rows that mended rows have replaced."""
        return rejected_rows.settled(self.database)

    def known_rejects(self, fingerprints: Iterable[str]) -> set[str]:
        """Of these rejected rows, those that an earlier run has reported, or that a mended row has replaced."""
        return rejected_rows.known(self.database, list(fingerprints))

    def note_rejects(self, fingerprints: Iterable[str], *, are_reported: bool = True) -> None:
        """Remember rejected rows that a run has reported; of a run that has not, only those that are known already.
        Forget rows that no run has seen for a year."""
        with self.database.transaction():
            of_run = set(fingerprints)
            seen = of_run if are_reported else self.known_rejects(of_run)
            rejected_rows.note(self.database, seen, self._clock.wall())

    def enter(self, run_id: str | None, plan: Plan) -> int:
        """Write a plan down, whole or not at all. Returns how many items came along that no call of the files is.

        LedgerError where the ledger is not as the plan has seen it.
        """
        with self.database.transaction():
            entry.Entering(self.database, plan, self._now(), self._found_in_flight).enter()
            self._take_up(run_id, plan.settings.batch.id)
        self._shelf_of_plan = plan.code if plan.is_bound else None
        return int(self.database.one("SELECT count(*) FROM temp.member WHERE carried = 1"))

    def resume(self, run_id: str | None, batch_id: str, plan: str | None = None) -> int:
        """Go on with a batch from the ledger alone; with the code of an approved plan only with what is bound to it.
        Returns how many calls come along."""
        with self.database.transaction():
            carried = entry.resume(self.database, batch_id, plan, self._found_in_flight)
            self._take_up(run_id, batch_id)
        self._hands_out_bound, self._shelf_of_plan = True, plan
        return carried

    def standing(self, batch_id: str, *, is_pilot: bool = False) -> Standing:
        """Where the calls of this run stand."""
        return standing.of_run(self.database, batch_id, is_pilot=is_pilot)

    # What is to be sent

    @property
    def _plan_to_send(self) -> tuple[str | None, bool]:
        """The approved plan whose calls are sent (None: calls of no plan), and whether calls of any plan are."""
        return self._shelf_of_plan, self._hands_out_bound and self._shelf_of_plan is None

    def is_unmarked(self, batch_id: str) -> bool:
        """Whether the calls of a batch bear no references."""
        return queries.is_unmarked(self.database, batch_id)

    def pending_count(self, batch_id: str) -> int:
        """How many calls of a batch are to be sent."""
        return queries.pending_count(self.database, batch_id, *self._plan_to_send)

    def pending_leads(self, batch_id: str, places: Sequence[int]) -> list[int]:
        """The leads of the pending calls at these places in the order of sending, counted from 0."""
        return queries.pending_leads(self.database, batch_id, places, *self._plan_to_send)

    def leads_to_send_to(self, batch_id: str) -> set[int]:
        """The leads that have pending calls."""
        return queries.leads_to_send_to(self.database, batch_id, *self._plan_to_send)

    def leads_to_adopt_from(self, batch_id: str) -> list[int]:
        """The leads of the calls that were never sent, held ones too; each once, the one with the oldest call first."""
        return queries.leads_to_adopt_from(self.database, batch_id)

    def pending_of_lead(self, batch_id: str, lead_id: int) -> list[models.Item]:
        """The pending calls of one lead, oldest first."""
        return queries.pending_of_lead(self.database, batch_id, lead_id)

    # Phase two

    def hand_out_only(self, keys: Iterable[str]) -> None:
        """From now on `next_item` gives these and no others."""
        with self.database.transaction():
            self.database.execute("DROP TABLE IF EXISTS temp.chosen")
            self.database.execute("CREATE TEMP TABLE chosen (key TEXT PRIMARY KEY) STRICT")
            self.database.execute_many("INSERT INTO temp.chosen VALUES (?)", ((key,) for key in keys))
        # In this order: few were chosen, and each is looked up.
        self._shelf = "temp.chosen CROSS JOIN item USING (key)"

    def next_item(self, batch_id: str, busy_leads: frozenset[int]) -> models.Item | None:
        """The oldest pending call of the batch whose lead has nothing in flight and nothing in doubt."""
        marks = ", ".join("?" * len(busy_leads))
        found = self.database.rows(
            f"""
            SELECT key, reference, lead_id, payload FROM {self._shelf}
            WHERE batch_id = ? AND status = 'pending' AND (plan IS ? OR ?) AND {checksum.is_sound()}
                AND lead_id NOT IN ({marks}) AND lead_id NOT IN (SELECT lead_id FROM item WHERE status = 'in_doubt')
            ORDER BY started_at, key LIMIT 1
            """,
            (batch_id, *self._plan_to_send, *sorted(busy_leads)),
        )
        if not found:
            return None
        key, reference, lead_id, payload = found[0]
        return models.Item(key, reference, lead_id, models.Communication(**json.loads(payload)))

    def intend(self, key: str, run_id: str) -> int:
        """Write down that the first byte is about to leave. Returns the attempt."""
        with self.database.transaction():
            attempt = self.database.insert(
                "INSERT INTO attempt (key, run_id, intended_at, id_floor) VALUES (?, ?, ?, ?)",
                (key, run_id, self._now(), self._highest_id),
            )
            self._move(key, models.ItemStatus.PENDING, models.ItemStatus.IN_FLIGHT)
        return attempt

    def delivered(self, key: str, attempt: int, echo: models.Echo) -> None:
        """Record that the CRM stored the call. Raise InDoubt if another call has its communication id."""
        with self.database.transaction():
            other = self.database.one("SELECT reference FROM item WHERE communication_id = ?", (echo.communication_id,))
            if other is not None:
                raise errors.InDoubt(
                    f"a 2xx answer with the id {echo.communication_id}, which call {other} has already", applied=True
                )
            note = "; ".join(echo.differences) or None
            self._land(attempt, "delivered", 201, note or "answered with its id")
            self._move(
                key,
                models.ItemStatus.IN_FLIGHT,
                models.ItemStatus.DELIVERED,
                communication_id=echo.communication_id,
                echo=json.dumps(echo.body, ensure_ascii=False),
                reason=note,
            )
        self.saw((echo.communication_id,))

    def not_applied(self, key: str, attempt: int, outcome: errors.NotApplied) -> None:
        """Surely not stored: pending again."""
        with self.database.transaction():
            self._land(attempt, "not_applied", outcome.status, outcome.evidence)
            self._move(key, models.ItemStatus.IN_FLIGHT, models.ItemStatus.PENDING)

    def refused(self, key: str, attempt: int, outcome: errors.Refused) -> None:
        with self.database.transaction():
            self._land(attempt, "refused", outcome.status, outcome.evidence)
            self._move(key, models.ItemStatus.IN_FLIGHT, models.ItemStatus.REFUSED, reason=_why(outcome))

    def in_doubt(self, key: str, attempt: int, outcome: errors.InDoubt) -> None:
        with self.database.transaction():
            self._land(attempt, "in_doubt", outcome.status, outcome.evidence)
            self._move(
                key,
                models.ItemStatus.IN_FLIGHT,
                models.ItemStatus.IN_DOUBT,
                applied=int(outcome.applied),
                reason=outcome.evidence,
            )
        self._in_doubt_since[key] = self._clock.monotonic()

    def failed(self, key: str, reason: str) -> None:
        """Attempts used up, each of them proven not applied."""
        with self.database.transaction():
            self._move(key, models.ItemStatus.PENDING, models.ItemStatus.FAILED, reason=reason)

    def skip_existing(self, found: Mapping[str, int]) -> None:
        """Calls that somebody else has brought to the CRM, by key with the communication: never sent, unless a person
        takes them up again."""
        with self.database.transaction():
            for key, communication_id in found.items():
                self._move(
                    key,
                    models.ItemStatus.PENDING,
                    models.ItemStatus.WITHDRAWN,
                    existing_id=communication_id,
                    reason=f"existing: communication {communication_id}",
                )

    # A person decides

    def withdraw(self, batch_id: str) -> int:
        """Give up what is pending of a batch, or waits for a lead. Returns how many calls; ConfigError for a batch it
        does not know."""
        with self.database.transaction():
            known = self.database.execute("UPDATE batch SET withdrawn_at = ? WHERE id = ?", (self._now(), batch_id))
            if not known:
                raise errors.ConfigError(
                    f"the ledger knows no batch {batch_id}: callimport status lists those that have pending calls"
                )
            withdrawn = self.database.execute(
                "UPDATE item SET status = 'withdrawn', existing_id = NULL, reason = 'withdrawn by a person', "
                "moved_at = ? WHERE batch_id = ? AND status IN ('pending', 'waiting')",
                (self._now(), batch_id),
            )
            return withdrawn + updates.withdraw(self.database, batch_id)

    def withdraw_one(self, reference: str) -> int:
        """Give up a call that is held, refused, failed or pending, or waits for a lead: no run sends it, be it in the
        CRM or not. If the call is delivered, give up its held update. Raises ConfigError for any other call."""
        with self.database.transaction():
            found = self.database.rows(
                "SELECT key, status FROM item WHERE status IN ('held', 'refused', 'failed', 'pending', 'waiting') "
                "AND (reference = ? OR key = ?)",
                (reference.upper(), reference),
            )
            if not found and held_updates.withdraw(self.database, reference, self._now()):
                return 1
            if not found:
                raise errors.ConfigError(
                    f"no held, refused, failed or pending call, nor one that waits for a lead, has the key "
                    f"{reference}: callimport find shows what became of it"
                )
            key, before = str(found[0][0]), models.ItemStatus(found[0][1])
            if before is models.ItemStatus.HELD:
                # By this, a retry finds it held again.
                self._record_verdict(key, "withdraw", "a person gave it up")
            elif before in (models.ItemStatus.REFUSED, models.ItemStatus.FAILED):
                self._move(key, before, models.ItemStatus.PENDING)
                before = models.ItemStatus.PENDING
            why = "withdrawn by a person"
            self._move(key, before, models.ItemStatus.WITHDRAWN, existing_id=None, reason=why)
        return 1

    def retry(self, status: models.ItemStatus) -> int:
        """All refused or all failed items are pending again, and so are refused updates. Returns how many."""
        with self.database.transaction():
            again = updates.retry(self.database) if status is models.ItemStatus.REFUSED else 0
            return again + self._back_to_pending("status IN ('refused', 'failed') AND status = ?", (status.value,))

    def retry_one(self, reference: str) -> models.ItemStatus:
        """One refused, failed or withdrawn item, or a refused or held update, by its reference, is pending again; or
        held, where it was held when it was given up. ConfigError if there is none."""
        with self.database.transaction():
            if self._is_held_again(reference):
                return models.ItemStatus.HELD
            moved = self._back_to_pending(
                "status IN ('refused', 'failed', 'withdrawn') AND (reference = ? OR key = ?)",
                (reference.upper(), reference),
            )
            moved = moved or updates.retry(self.database, reference)
            moved = moved or held_updates.retry(self.database, reference, self._now())
        if not moved:
            raise errors.ConfigError(
                f"no refused, failed or withdrawn call has the key {reference}, and no held update: "
                "callimport status lists them"
            )
        return models.ItemStatus.PENDING

    def _is_held_again(self, reference: str) -> bool:
        """What was in question when a person gave it up is in question still."""
        found = self.database.rows(
            """
            SELECT item.key, held.evidence FROM item JOIN verdict AS held USING (key)
            WHERE (item.reference = ? OR item.key = ?) AND item.status = 'withdrawn' AND held.kind = 'held'
                AND (SELECT kind FROM verdict WHERE verdict.key = item.key ORDER BY id DESC LIMIT 1) = 'withdraw'
            ORDER BY held.id DESC LIMIT 1
            """,
            (reference.upper(), reference),
        )
        for key, evidence in found:
            self._record_verdict(key, "held", evidence)
            self._move(key, models.ItemStatus.WITHDRAWN, models.ItemStatus.HELD, reason=evidence)
        return bool(found)

    def _back_to_pending(self, which: str, values: tuple[str, ...]) -> int:
        return self.database.execute(
            "UPDATE item SET status = iif(payload IS NULL, 'waiting', 'pending'), reason = NULL, moved_at = ? "
            f"WHERE {which}",
            (self._now(), *values),
        )

    def _bind(self, binding: Binding) -> None:
        if not self._is_bound_to(binding):
            with self.database.transaction():
                self.database.execute(
                    "INSERT INTO binding VALUES (1, ?, ?, ?, ?, ?, NULL)",
                    (binding.host, binding.account.id, binding.account.name, self._now(), secrets.token_hex(32)),
                )

    def _is_bound_to(self, binding: Binding) -> bool:
        """False if it is bound to no account yet. LedgerError if it is bound to another one."""
        bound = self.database.rows("SELECT host, account_id, account_name FROM binding")
        if bound and bound[0][:2] != (binding.host, binding.account.id):
            host, account_id, name = bound[0]
            raise errors.LedgerError(
                f"the ledger {self.database.place} belongs to account {account_id} ({name}) at {host}, not to account "
                f"{binding.account.id} at {binding.host}: name that account's ledger with --ledger"
            )
        return bool(bound)

    def _take_up(self, run_id: str | None, batch_id: str) -> None:
        if run_id is not None:
            self._one("UPDATE run SET batch_id = ? WHERE id = ?", (batch_id, run_id))
            self._batch_id = batch_id

    def _land(self, attempt: int, kind: str, status: int | None, evidence: str) -> None:
        self.database.execute(
            "INSERT INTO outcome VALUES (?, ?, ?, ?, ?, NULL)",
            (attempt, kind, status, evidence, self._now()),
        )


def _why(outcome: errors.Refused) -> str:
    return "; ".join(outcome.reasons) or outcome.evidence
