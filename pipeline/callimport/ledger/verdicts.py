"""What is concluded of a call whose fate is not known, each verdict on the disk with what it rests on."""

import json
from collections.abc import Iterable, Set
from datetime import datetime

from callimport.core import errors, models, normal_form
from callimport.ledger import checksum, held_updates
from callimport.ledger.database import Database
from callimport.ledger.moves import Moves

# What a call keeps of its first sending, whatever is read of it later.
_PINNED = ("lead_id", "type", "call_phone", "executed_by")


class Verdicts(Moves):
    """The verbs that end a doubt. `_in_doubt_since` is in monotonic seconds of this process."""

    def __init__(self, database: Database, clock: models.Clock) -> None:
        super().__init__(database, clock)
        self._opened_at = clock.monotonic()
        self._in_doubt_since: dict[str, float] = {}
        self._batch_id: str | None = None
        self._highest_id: int = database.one("SELECT max(communication_id) FROM item") or 0
        self._shown: dict[int, set[int]] = {}

    def doubts(self) -> list[models.Doubt]:
        """Every item in doubt, whichever run left it so, in an order that is always the same. Damaged ones are left
        out: they stay in doubt."""
        found = self.database.rows(f"""
            SELECT item.key, reference, payload, min(attempt.intended_at), min(id_floor), applied,
                (SELECT count(*) FROM verdict WHERE verdict.key = item.key AND kind = 'absent')
            FROM item JOIN attempt ON attempt.key = item.key JOIN outcome ON outcome.attempt_id = attempt.id
            WHERE item.status = 'in_doubt' AND outcome.kind = 'in_doubt' AND {checksum.is_sound()}
            GROUP BY item.key HAVING min({checksum.is_sound("attempt")} AND {checksum.is_sound("outcome")})
            ORDER BY item.lead_id, item.key
        """)
        return [
            models.Doubt(
                key=key,
                reference=reference,
                communication=models.Communication(**json.loads(payload)),
                intended_at=datetime.fromisoformat(intended_at),
                id_floor=id_floor,
                since=self._in_doubt_since.get(key, self._opened_at),
                applied=bool(applied),
                times_absent=times_absent,
            )
            for key, reference, payload, intended_at, id_floor, applied, times_absent in found
        ]

    def saw(self, communication_ids: Iterable[int]) -> None:
        """Ids that an answer showed: whatever is made from now on bears a higher one."""
        self._highest_id = max(self._highest_id, max(communication_ids, default=0))

    def saw_on(self, lead_id: int, communication_ids: Set[int]) -> set[int]:
        """What a read of a lead showed. Returns what it ought to have shown besides, so that it was not complete: what
        we made there, and what an earlier read of this process showed."""
        self.saw(communication_ids)
        shown = self._shown.setdefault(lead_id, set())
        shown |= communication_ids
        return (self.communications_of(lead_id) | shown) - communication_ids

    def communications_of(self, lead_id: int) -> set[int]:
        """The communications that we made on a lead."""
        found = self.database.rows(
            # What a person named or another ledger made may lie on another lead than the call was meant for.
            "SELECT communication_id FROM item WHERE lead_id = ? AND status = 'delivered' AND adopted = 0 "
            "AND NOT EXISTS (SELECT 1 FROM verdict WHERE verdict.key = item.key AND kind = 'accept')",
            (lead_id,),
        )
        return {row[0] for row in found}

    def taken(self, communication_ids: Set[int]) -> set[int]:
        """Those of them that belong to an item of the ledger, whichever lead it is on."""
        marks = ", ".join("?" * len(communication_ids))
        found = self.database.rows(
            f"SELECT communication_id FROM item WHERE communication_id IN ({marks})", tuple(sorted(communication_ids))
        )
        return {row[0] for row in found}

    def settle(self, key: str, verdict: models.Verdict) -> None:
        """End a doubt: delivered, pending or held. What was parked meanwhile is taken up by what will be sent."""
        with self.database.transaction():
            self._record_verdict(key, verdict.kind, verdict.evidence)
            match verdict.kind:
                case "found" if verdict.found is not None:
                    self._move(
                        key,
                        models.ItemStatus.IN_DOUBT,
                        models.ItemStatus.DELIVERED,
                        communication_id=verdict.found.id,
                        echo=json.dumps(verdict.found.body, ensure_ascii=False),
                        reason="; ".join(self._differences(key, verdict.found)) or None,
                    )
                case "absent":
                    self._back_from_doubt(key, models.ItemStatus.IN_DOUBT)
                case _:
                    self._move(key, models.ItemStatus.IN_DOUBT, models.ItemStatus.HELD, reason=verdict.evidence)

    def hold(self, key: str, evidence: str) -> None:
        """A call that was to be sent is for a person first."""
        with self.database.transaction():
            self._record_verdict(key, "held", evidence)
            self._move(key, models.ItemStatus.PENDING, models.ItemStatus.HELD, reason=evidence)

    def adopt(self, key: str, stored: models.Stored, evidence: str) -> None:
        """The CRM has it, and not from this ledger: it is never sent. The communication may be on another lead than
        the call was to go to; it stays there."""
        before, _ = self.stands(key)
        with self.database.transaction():
            self._record_verdict(key, "adopted", evidence)
            self._move(
                key,
                before,
                models.ItemStatus.DELIVERED,
                adopted=1,
                communication_id=stored.id,
                echo=json.dumps(stored.body, ensure_ascii=False),
                reason="; ".join(self._differences(key, stored)) or None,
            )

    def acknowledge_others(self) -> None:
        """A person said that the CRM holds calls of another ledger, and that this is as it should be. Ids only grow:
        what another ledger makes from now on is news all the same."""
        with self.database.transaction():
            self.database.execute("INSERT INTO acknowledged VALUES (?, ?, NULL)", (self._highest_id, self._now()))

    def stands(self, key: str) -> tuple[models.ItemStatus, int | None]:
        """Where an item stands, and which communication it is."""
        status, communication_id = self.database.rows(
            "SELECT status, communication_id FROM item WHERE key = ?", (key,)
        )[0]
        return models.ItemStatus(status), communication_id

    def unsent(self, reference: str) -> str | None:
        """The key of the item with that reference, if the ledger knows of no sending that may have stored it."""
        key: str | None = self.database.one(
            """
            SELECT key FROM item WHERE reference = ? AND (status IN ('pending', 'refused', 'failed')
                OR (status IN ('held', 'withdrawn') AND NOT EXISTS (
                    SELECT 1 FROM attempt JOIN outcome ON outcome.attempt_id = attempt.id
                    WHERE attempt.key = item.key AND outcome.kind = 'in_doubt')))
            """,
            (reference,),
        )
        return key

    def is_news(self, communication_id: int, reference: str) -> bool:
        """Whether a communication with a reference of ours is one that this ledger neither sent nor was told of."""
        if self.knows(reference):
            return self.unsent(reference) is not None
        return communication_id > (self.database.one("SELECT max(up_to_id) FROM acknowledged") or 0)

    def knows(self, reference: str) -> bool:
        return self.database.one("SELECT 1 FROM item WHERE reference = ?", (reference,)) is not None

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
            self._back_from_doubt(key, models.ItemStatus.HELD)
        return key

    def accept(self, reference: str, communication_id: int) -> str:
        """A person says which communication a held call is. ConfigError if it is not held, or another call's."""
        with self.database.transaction():
            key = self._held(reference)
            if self.taken({communication_id}):
                raise errors.ConfigError(
                    f"communication {communication_id} is another call's already: check the id; if {reference} is that "
                    f"call under another id, callimport withdraw {reference} gives it up"
                )
            self._record_verdict(key, "accept", f"a person said that it is {communication_id}")
            self._move(key, models.ItemStatus.HELD, models.ItemStatus.DELIVERED, communication_id=communication_id)
        return key

    def _held(self, reference: str) -> str:
        found = self.database.rows(
            "SELECT key FROM item WHERE status = 'held' AND (reference = ? OR key = ?)", (reference.upper(), reference)
        )
        if not found and held_updates.is_held(self.database, reference):
            raise errors.ConfigError(
                f"call {reference} is in the CRM, and its update is held: callimport retry {reference} has the next "
                f"run send the update, callimport withdraw {reference} leaves the call as it is"
            )
        if not found:
            raise errors.ConfigError(f"no held call has the key {reference}: callimport reconcile lists them")
        return str(found[0][0])

    def _differences(self, key: str, stored: models.Stored) -> tuple[str, ...]:
        payload = self.database.one("SELECT payload FROM item WHERE key = ?", (key,))
        return normal_form.differences(models.Communication(**json.loads(payload)), stored.body)

    def _record_verdict(self, key: str, kind: str, evidence: str) -> None:
        self.database.execute(
            "INSERT INTO verdict (key, attempt_id, kind, evidence, decided_at) "
            "SELECT ?, max(id), ?, ?, ? FROM attempt WHERE key = ?",
            (key, kind, evidence, self._now(), key),
        )

    def _back_from_doubt(self, key: str, before: models.ItemStatus) -> None:
        """Make it pending again, with the story that its source told meanwhile, unless that story is held. Its lead and
        its user stay: what was read of a call that may have been sent need name neither."""
        self._move(key, before, models.ItemStatus.PENDING)
        sent, story, is_held = self.database.rows(
            "SELECT payload, next_payload, rowid IN (SELECT item FROM held_story) FROM item WHERE key = ?", (key,)
        )[0]
        if story is not None and not is_held:
            told = json.loads(sent)
            payload = json.loads(story) | {name: told[name] for name in _PINNED}
            self.database.execute(
                "UPDATE item SET facts = next_facts, payload = ?, legs = next_legs, "
                "left_plan = ifnull(plan, left_plan), plan = NULL, "
                "next_facts = NULL, next_payload = NULL, next_legs = NULL WHERE key = ?",
                (json.dumps(payload, ensure_ascii=False), key),
            )
        self._send_with_this_run(key)

    def _send_with_this_run(self, key: str) -> None:
        """Its batch may be an earlier one: a call that this run read, or whose settings it shares, goes with it."""
        if self._batch_id is None:
            return
        self.database.execute(
            """
            UPDATE item SET batch_id = :batch WHERE key = :key AND EXISTS (
                SELECT 1 FROM temp.member WHERE member.item = item.rowid AND (carried = 0 OR (
                    SELECT settings_fingerprint FROM batch WHERE id = item.batch_id
                ) = (SELECT settings_fingerprint FROM batch WHERE id = :batch)))
            """,
            {"batch": self._batch_id, "key": key},
        )
