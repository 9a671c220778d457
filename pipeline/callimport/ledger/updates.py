"""What is done to a delivered call whose source tells another story: each verb on the disk when it returns.

The story lies beside the item, parked, until the CRM has been told. An update is written down before its first byte;
one without an outcome may have been made, which does no harm: made again, it comes to the same.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from callimport.core import errors, models
from callimport.ledger import checksum, queries
from callimport.ledger.database import Database
from callimport.ledger.moves import Moves

_WAITS = """
    item.status = 'delivered' AND item.next_facts IS NOT NULL AND item.next_facts IS NOT item.update_refused
    AND item.rowid NOT IN (SELECT item FROM held_story)
"""
# As with what is pending: another run's stories come along only if the very same settings made them.
_OF_THIS_RUN = f"""
    FROM item JOIN source ON source.sha256 = item.source_sha256 JOIN batch ON batch.id = item.next_batch_id
    WHERE {_WAITS} AND batch.settings_fingerprint = :fingerprint AND ifnull(:only, batch.id) = batch.id
        AND item.key NOT IN (SELECT key FROM temp.questioned)
        AND {checksum.is_sound()}
        AND NOT EXISTS (
            SELECT 1 FROM update_attempt
            WHERE update_attempt.key = item.key AND NOT {checksum.is_sound("update_attempt")})
        AND NOT EXISTS (
            SELECT 1 FROM held_update
            WHERE held_update.key = item.key AND NOT {checksum.is_sound("held_update")})
"""
_IS_AMONG = "item.key IN (SELECT value FROM json_each(?))"
_IS_TOLD = "item.key IN (SELECT key FROM temp.told WHERE is_known)"
_UPDATE = """
    item.key, item.reference, communication_id, payload, next_payload, next_facts, echo, source.name, source_row,
    lead_id, direction, phone, started_at, (
        SELECT json_group_array(json(changes)) FROM (
            SELECT changes FROM unanswered_update WHERE unanswered_update.key = item.key ORDER BY id)),
    (SELECT max(intended_at) FROM unanswered_update WHERE unanswered_update.key = item.key)
"""


class Updates(Moves):
    """The verbs of one run on the calls of its batch, and on those of earlier ones with the same settings."""

    def __init__(
        self,
        database: Database,
        clock: models.Clock,
        batch_id: str,
        fingerprint: str | None = None,
        *,
        is_alone: bool = False,
    ) -> None:
        """`fingerprint` is of the settings of a batch that is not entered yet. `is_alone`: no update of another batch
        is made."""
        super().__init__(database, clock)
        of_batch = database.one("SELECT settings_fingerprint FROM batch WHERE id = ?", (batch_id,))
        self._settings = {"fingerprint": fingerprint or of_batch, "only": batch_id if is_alone else None}

    def waiting(self) -> list[tuple[str, int]]:
        """Keys and leads of the calls that the CRM is to be told anew, the oldest call first."""
        return self.database.rows(
            f"SELECT item.key, item.lead_id {_OF_THIS_RUN} ORDER BY item.started_at, item.key", self._settings
        )

    def all(self) -> Iterator[tuple[models.Update, bool]]:
        """Yield each update that is to be sent, with whether a row of this run shows the call."""
        for *row, is_seen in self.database.stream(
            f"SELECT {_UPDATE}, {_IS_TOLD} {_OF_THIS_RUN} ORDER BY item.started_at, item.key", self._settings
        ):
            yield _update(row), bool(is_seen)

    def as_told_now(self, listed: Iterable[models.Listed]) -> list[models.Listed]:
        """Return the calls with source and row of this run's files, where they show the call."""
        calls = list(listed)
        found = self.database.rows(
            """
            SELECT reference, told.source_name, told.row FROM temp.told JOIN item USING (key)
            WHERE is_known AND reference IN (SELECT value FROM json_each(?))
            """,
            (_json([one.reference for one in calls]),),
        )
        rows = {reference: (name, row) for reference, name, row in found}
        places = (rows.get(one.reference, (one.source, one.row)) for one in calls)
        return [replace(one, source=name, row=row) for one, (name, row) in zip(calls, places, strict=True)]

    def refused_before(self, keys: Iterable[str] | None = None) -> list[models.Listed]:
        """Calls of this run's rows of which the CRM refused to be told just this story, with its reasons. `keys` are
        those calls, if the plan that tells of them is not entered yet."""
        told = f"item.next_facts = item.update_refused AND {_IS_TOLD}" if keys is None else _IS_AMONG
        found = queries.listed_with_keys(
            self.database, f"item.status = 'delivered' AND {told}", *(() if keys is None else (_json(list(keys)),))
        )
        return [replace(one, reason=self._refusal(key), was_sent=True) for key, one in found]

    def _refusal(self, key: str) -> str | None:
        why: str | None = self.database.one(
            "SELECT evidence FROM update_attempt AS made JOIN update_outcome ON attempt_id = made.id "
            "WHERE made.key = ? AND kind = 'refused' ORDER BY made.id DESC LIMIT 1",
            (key,),
        )
        return why

    def oldest(self, keys: Iterable[str], most: int) -> list[str]:
        """Of these calls the oldest ones."""
        which = f"WHERE {_IS_AMONG} ORDER BY item.started_at, item.key LIMIT ?"
        return [key for (key,) in self.database.rows(f"SELECT key FROM item {which}", (_json(list(keys)), most))]

    def one(self, key: str, story: str | None = None) -> models.Update:
        """The update of a call. `story` is the new payload, if the plan that has it is not entered yet."""
        found = self.database.rows(
            f"SELECT {_UPDATE} FROM item JOIN source ON source.sha256 = item.source_sha256 WHERE key = ?", (key,)
        )
        return _update(found[0], story)

    def intend(self, update: models.Update, run_id: str, changes: Mapping[str, object]) -> int:
        """Write down what is about to leave. Returns the attempt."""
        with self.database.transaction():
            return self.database.insert(
                "INSERT INTO update_attempt (key, run_id, facts, changes, intended_at) VALUES (?, ?, ?, ?, ?)",
                (update.key, run_id, update.facts, _json(changes), self._now()),
            )

    def taken(
        self,
        update: models.Update,
        sent: models.Communication,
        echo: models.Echo,
        *,
        run_id: str,
        attempt: int | None = None,
        left: Mapping[str, tuple[object, object]] | None = None,
    ) -> None:
        """The story is the item's own from now on. `sent` is the communication by it, `echo` what the CRM keeps;
        without an attempt nothing had to be sent. `left` are fields that a person has changed in the CRM, each with
        what the source wants and what was found there."""
        with self.database.transaction():
            note = "; ".join(echo.differences) or None
            if attempt is not None:
                self._end(attempt, "updated", 200, note or "answered with its id")
            for name, (wanted, found) in (left or {}).items():
                self.database.execute(
                    "INSERT INTO kept_edit (key, run_id, field, wanted, found, noted_at) VALUES (?, ?, ?, ?, ?, ?)",
                    (update.key, run_id, name, _json(wanted), _json(found), self._now()),
                )
            self._one(
                "UPDATE item SET facts = next_facts, payload = ?, legs = next_legs, started_at = ?, echo = ?, "
                "reason = ?, next_facts = NULL, next_payload = NULL, next_legs = NULL, moved_at = ? "
                "WHERE key = ? AND status = 'delivered' AND next_facts = ?",
                (
                    _json({name: getattr(sent, name) for name in sent.__dataclass_fields__}),
                    int(datetime.fromisoformat(sent.executed_at).timestamp()),
                    _json(echo.body),
                    note,
                    self._now(),
                    update.key,
                    update.facts,
                ),
            )

    def taken_as_known(self, keys: Iterable[str]) -> None:
        """Stories that tell nothing of what the CRM keeps, such as where the recording lies."""
        with self.database.transaction():
            for key in keys:
                self._one(
                    "UPDATE item SET facts = next_facts, legs = next_legs, next_facts = NULL, next_payload = NULL, "
                    "next_legs = NULL, moved_at = ? WHERE key = ? AND status = 'delivered' AND next_facts IS NOT NULL",
                    (self._now(), key),
                )

    def refused(self, update: models.Update, attempt: int | None, outcome: errors.Refused) -> None:
        """The CRM keeps what it has; the story is not told again unless it changes or a person says so."""
        with self.database.transaction():
            if attempt is not None:
                self._end(attempt, "refused", outcome.status, "; ".join(outcome.reasons) or outcome.evidence)
            self._one(
                "UPDATE item SET update_refused = next_facts, moved_at = ? "
                "WHERE key = ? AND status = 'delivered' AND next_facts = ?",
                (self._now(), update.key, update.facts),
            )

    def failed(self, attempt: int, outcome: errors.Outcome) -> None:
        """It did not come through, or no answer told so: the next run tells the story again."""
        with self.database.transaction():
            self._end(attempt, "failed", outcome.status, outcome.evidence)

    def seen(self, attempt: int) -> None:
        """Record that the communication of the call is still in the CRM."""
        with self.database.transaction():
            self._end(attempt, "updated", 200, "it is there")

    def gone(self, update: models.Update, attempt: int | None, outcome: errors.Refused) -> None:
        """A person has deleted it in the CRM. It is never sent again."""
        with self.database.transaction():
            if attempt is not None:
                self._end(attempt, "gone", outcome.status, outcome.evidence)
            self._one(
                "UPDATE item SET status = 'gone', reason = ?, next_facts = NULL, next_payload = NULL, "
                "next_legs = NULL, moved_at = ? WHERE key = ? AND status = 'delivered'",
                (outcome.evidence, self._now(), update.key),
            )

    def leads_of_others(self, lead_id: int, most: int) -> list[int]:
        """Leads besides this one on which we have calls, those of the latest calls first."""
        found = self.database.rows(
            "SELECT lead_id FROM item WHERE status = 'delivered' AND lead_id <> ? "
            "GROUP BY lead_id ORDER BY max(started_at) DESC, lead_id LIMIT ?",
            (lead_id, most),
        )
        return [row[0] for row in found]

    def _end(self, attempt: int, kind: str, status: int | None, evidence: str) -> None:
        self.database.execute(
            "INSERT INTO update_outcome VALUES (?, ?, ?, ?, ?, NULL)",
            (attempt, kind, status, evidence, self._now()),
        )


def waiting_count(database: Database) -> int:
    """Calls of the whole ledger whose source tells another story, which the CRM is still to be told."""
    return int(database.one(f"SELECT count(*) FROM item WHERE {_WAITS}"))


def refused_count(database: Database) -> int:
    """Calls of the whole ledger of which the CRM refused to be told another story."""
    return int(database.one("SELECT count(*) FROM item WHERE status = 'delivered' AND next_facts = update_refused"))


def withdraw(database: Database, batch_id: str) -> int:
    """Give up the stories that a batch told of delivered calls. Returns how many."""
    return database.execute(
        "UPDATE item SET next_facts = NULL, next_payload = NULL, next_legs = NULL "
        "WHERE next_batch_id = ? AND status = 'delivered' AND next_facts IS NOT NULL",
        (batch_id,),
    )


def retry(database: Database, reference: str | None = None) -> int:
    """Refused updates, of one call or of all, are to be tried again. Returns how many."""
    return database.execute(
        "UPDATE item SET update_refused = NULL WHERE status = 'delivered' AND next_facts = update_refused "
        "AND (:reference IS NULL OR reference = upper(:reference) OR key = :reference)",
        {"reference": reference},
    )


def _update(row: list[Any] | tuple[Any, ...], told: str | None = None) -> models.Update:
    (
        key, reference, communication_id, payload, story, facts, echo, source, source_row, lead_id, direction, phone,
        started_at, unanswered, unanswered_at,
    ) = row  # fmt: skip
    sent = json.loads(payload)
    return models.Update(
        key=key,
        reference=reference,
        communication_id=communication_id,
        sent=models.Communication(**sent),
        story=models.Communication(**json.loads(told or story)),
        facts=facts,
        # Of what the CRM never said, what it was told is all that is known.
        kept=sent | json.loads(echo or "{}"),
        unanswered=tuple(json.loads(unanswered)),
        unanswered_at=datetime.fromisoformat(unanswered_at) if unanswered_at else None,
        listed=models.Listed(
            reference=reference,
            source=source,
            row=source_row,
            status=models.ItemStatus.DELIVERED,
            lead_id=lead_id,
            direction=models.Direction(direction),
            phone=phone,
            started_at=datetime.fromtimestamp(started_at, UTC),
            communication_id=communication_id,
            reason=None,
            was_sent=True,
        ),
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
