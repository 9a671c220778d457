"""What the ledger can tell, changing nothing."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from callimport.core import models, plurals
from callimport.ledger import checksum, damage
from callimport.ledger.database import Database

_WAITING = models.ItemStatus.WAITING
_NAMED_AT_MOST = 10
_MEMBERS = "temp.member JOIN item ON item.rowid = member.item"


def counts(database: Database) -> dict[models.ItemStatus, int]:
    """Items with a lead by where they stand; every other status is there, 0 where there are none."""
    found = _by_status(database.rows("SELECT status, count(*) FROM item WHERE payload IS NOT NULL GROUP BY status"))
    return {status: count for status, count in found.items() if status is not models.ItemStatus.WAITING}


def member_counts(database: Database) -> dict[models.ItemStatus, int]:
    """The same for the items of this run only."""
    return _by_status(database.rows(f"SELECT status, count(*) FROM {_MEMBERS} GROUP BY status"))


def _by_status(found: Iterable[tuple[str, int]]) -> dict[models.ItemStatus, int]:
    """A status that is no word any more is damaged. Whether such a call is in the CRM is not known."""
    counts = dict.fromkeys(models.ItemStatus, 0)
    for status, count in found:
        counts[models.ItemStatus(status) if status in set(counts) else models.ItemStatus.IN_DOUBT] += count
    return counts


def adopted_members(database: Database) -> int:
    """Of this run's items, those that were taken over from what the CRM had already."""
    which = "adopted = 1 AND status = 'delivered'"
    return int(database.one(f"SELECT count(*) FROM {_MEMBERS} WHERE {which}"))


def members(database: Database, status: models.ItemStatus) -> list[models.Listed]:
    """This run's items that stand so, oldest call first."""
    return _listed(database, "item.rowid IN (SELECT item FROM temp.member) AND item.status = ?", status.value)


def items(database: Database, status: models.ItemStatus) -> list[models.Listed]:
    """All items of the ledger that stand so, oldest call first."""
    return _listed(database, "item.status = ?", status.value)


def of_batch(database: Database, batch_id: str, status: models.ItemStatus) -> list[models.Listed]:
    """The calls of a batch that stand so, oldest first."""
    return _listed(database, "item.batch_id = ? AND item.status = ?", batch_id, status.value)


def handed_out(database: Database) -> list[models.Listed]:
    """The only items that this run may send, see `Ledger.hand_out_only`; oldest call first. None where all may be."""
    if not database.one("SELECT 1 FROM temp.sqlite_master WHERE name = 'chosen'"):
        return []
    return _listed(database, "item.key IN (SELECT key FROM temp.chosen)")


def waiting(database: Database, *, besides: str | None, replaced: Iterable[str] | None = None) -> list[models.Waiting]:
    """Batches that have pending items, other than the one named, newest first. Before a plan is entered, `replaced` are
    the keys of the items that it replaces: these and the items that come along do not count."""
    moves = "item.rowid IN (SELECT item FROM temp.member WHERE carried = 1)" if replaced is not None else "0"
    found = database.rows(
        f"""
        SELECT batch.id, count(*), batch.settings FROM item JOIN batch ON batch.id = item.batch_id
        WHERE item.status = 'pending' AND batch.id IS NOT ? AND {checksum.is_sound("batch")}
            AND NOT {moves} AND item.key NOT IN (SELECT value FROM json_each(?))
        GROUP BY batch.id ORDER BY batch.enrolled_at DESC, batch.id
        """,
        (besides, json.dumps(list(replaced or ()))),
    )
    return [models.Waiting(batch, pending, json.loads(settings)) for batch, pending, settings in found]


def bound_account(database: Database) -> models.Account | None:
    """Whose calls this ledger remembers."""
    found = database.rows("SELECT account_id, account_name FROM binding")
    return models.Account(*found[0]) if found else None


def updates_of_plan(database: Database, code: str) -> str:
    """How an approved plan treats changed calls."""
    return str(database.one("SELECT updates FROM plan WHERE code = ?", (code,)))


def batch_of_plan(database: Database, code: str) -> str | None:
    """The batch that an approved plan is of; None for a plan that was not begun."""
    found: str | None = database.one("SELECT batch_id FROM plan WHERE code = ?", (code,))
    return found


def left_plan(database: Database, code: str) -> list[str]:
    """What to say of items that have left an approved plan, because their files tell of other facts now."""
    found = database.rows("SELECT reference FROM item WHERE left_plan = ? ORDER BY started_at, key", (code,))
    if not found:
        return []
    named = ", ".join(reference for (reference,) in found[:_NAMED_AT_MOST])
    more = ", …" if len(found) > _NAMED_AT_MOST else ""
    calls = f"{plurals.calls(len(found))} {'has' if len(found) == 1 else 'have'} left the plan {code}"
    return [f"{calls}, as a later run has changed what is sent: {named}{more}"]


def bound_elsewhere(database: Database, code: str | None) -> list[str]:
    """What to say of items of this run that are bound to an approved plan other than `code`, so that they stay
    pending."""
    found = database.rows(
        f"SELECT plan, count(*) FROM {_MEMBERS} WHERE status = 'pending' AND plan IS NOT NULL AND plan IS NOT ? "
        "GROUP BY plan ORDER BY plan",
        (code,),
    )
    return [
        f"{plurals.calls(count)} {'belongs' if count == 1 else 'belong'} to the approved plan {plan}: "
        f"run --plan {plan} sends {'it' if count == 1 else 'them'}"
        for plan, count in found
    ]


def has_parked(database: Database) -> bool:
    """Whether new facts lie beside any call."""
    return database.one("SELECT 1 FROM item WHERE next_facts IS NOT NULL LIMIT 1") is not None


def knows_batch(database: Database, batch_id: str) -> bool:
    return database.one("SELECT 1 FROM batch WHERE id = ?", (batch_id,)) is not None


def last_batch(database: Database) -> str | None:
    """The batch that was enrolled last and not withdrawn."""
    found: str | None = database.one(
        # By the order of runs, not by the clock: it may have been set back.
        "SELECT id FROM batch WHERE withdrawn_at IS NULL "
        "ORDER BY (SELECT max(run.rowid) FROM run WHERE run.batch_id = batch.id) DESC, rowid DESC LIMIT 1"
    )
    return found


def last_run(database: Database) -> tuple[str, str | None, str, str | None, int | None, str | None] | None:
    """Id, batch, start, end, exit code and what stopped it, of the newest run."""
    found = database.rows(
        "SELECT id, batch_id, started_at, ended_at, exit_code, stopped_by FROM run ORDER BY rowid DESC LIMIT 1"
    )
    return found[0] if found else None


def remembers_calls(database: Database) -> bool:
    """Whether anything would be sent a second time if this ledger were forgotten."""
    return has_sent(database) or database.one("SELECT 1 FROM item WHERE adopted = 1 LIMIT 1") is not None


def has_sent(database: Database) -> bool:
    """Whether anything ever was about to leave."""
    return database.one("SELECT 1 FROM attempt LIMIT 1") is not None


def is_unmarked(database: Database, batch_id: str) -> bool:
    """Whether the calls of a batch bear no references."""
    return batch_settings(database, batch_id).get("reference") == "no"


def batch_settings(database: Database, batch_id: str) -> dict[str, str]:
    """What shaped the calls of a batch, by name. LedgerError if that is damaged."""
    ((settings, is_sound),) = database.rows(
        f"SELECT settings, {checksum.is_sound('batch')} FROM batch WHERE id = ?", (batch_id,)
    )
    if not is_sound:
        damage.refuse(database)
    found: dict[str, str] = json.loads(settings)
    return found


# Calls of a batch that are sent: those of one plan (null: of none), or of any.
_TO_SEND = "batch_id = ? AND status = 'pending' AND (plan IS ? OR ?)"


def pending_count(database: Database, batch_id: str, plan: str | None, of_any_plan: bool) -> int:
    return int(database.one(f"SELECT count(*) FROM item WHERE {_TO_SEND}", (batch_id, plan, of_any_plan)))


def pending_leads(
    database: Database, batch_id: str, places: Iterable[int], plan: str | None, of_any_plan: bool
) -> list[int]:
    """The leads of the calls to send at these places in the order of sending, counted from 0."""
    found = f"SELECT lead_id FROM item WHERE {_TO_SEND} ORDER BY started_at, key LIMIT 1 OFFSET ?"
    return [int(database.one(found, (batch_id, plan, of_any_plan, place))) for place in places]


def leads_to_adopt_from(database: Database, batch_id: str) -> list[int]:
    """The leads of the calls that were never sent, held ones too; each once, the one with the oldest call first."""
    found = database.rows(
        "SELECT lead_id FROM item WHERE batch_id = ? AND (status = 'pending' OR (status = 'held' "
        "AND NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.key = item.key))) "
        "GROUP BY lead_id ORDER BY min(started_at), lead_id",
        (batch_id,),
    )
    return [row[0] for row in found]


def wanted_by_a_person(database: Database, lead_id: int) -> set[str]:
    """Keys of a lead's calls of which a person said that they are not in the CRM, and of those that were skipped as
    existing until a person took them up again."""
    found = database.rows(
        "SELECT key FROM verdict JOIN item USING (key) WHERE lead_id = :lead AND kind = 'resend' "
        "UNION SELECT key FROM item WHERE lead_id = :lead AND status = 'pending' AND existing_id IS NOT NULL",
        {"lead": lead_id},
    )
    return {row[0] for row in found}


def leads_to_send_to(database: Database, batch_id: str, plan: str | None, of_any_plan: bool) -> set[int]:
    """The leads that have calls to send."""
    found = database.rows(f"SELECT DISTINCT lead_id FROM item WHERE {_TO_SEND}", (batch_id, plan, of_any_plan))
    return {row[0] for row in found}


def existing_on(database: Database, lead_id: int) -> set[int]:
    """The communications of others that calls of a lead were found to be."""
    found = database.rows(
        "SELECT existing_id FROM item WHERE lead_id = ? AND status = 'withdrawn' AND existing_id IS NOT NULL",
        (lead_id,),
    )
    return {row[0] for row in found}


def unclear_of_lead(database: Database, lead_id: int) -> list[models.Communication]:
    """The calls of one lead that may be stored without the ledger knowing as what."""
    found = database.rows(
        "SELECT payload FROM item WHERE lead_id = ? AND (status IN ('in_flight', 'in_doubt') OR (status = 'held' "
        "AND EXISTS (SELECT 1 FROM attempt WHERE attempt.key = item.key))) "
        f"AND {checksum.is_sound()} ORDER BY key",
        (lead_id,),
    )
    return [models.Communication(**json.loads(payload)) for (payload,) in found]


def pending_of_lead(database: Database, batch_id: str, lead_id: int) -> list[models.Item]:
    """The pending calls of one lead, oldest first."""
    found = database.rows(
        # SQLite would rather walk through the whole batch, which is in order already.
        "SELECT key, reference, lead_id, payload FROM item INDEXED BY item_by_lead "
        f"WHERE lead_id = ? AND status = 'pending' AND batch_id = ? AND {checksum.is_sound()} ORDER BY started_at, key",
        (lead_id, batch_id),
    )
    return [
        models.Item(key, mark, lead, models.Communication(**json.loads(payload))) for key, mark, lead, payload in found
    ]


def doubt_reasons(database: Database) -> dict[str, int]:
    """All calls in doubt, counted by the evidence."""
    return dict(
        database.rows("SELECT reason, count(*) FROM item WHERE status = 'in_doubt' GROUP BY reason ORDER BY reason")
    )


def to_send(database: Database, batch_id: str) -> Iterator[tuple[str, str]]:
    """Key and payload of everything pending of a batch, in the order in which it would go."""
    yield from database.stream(
        f"SELECT key, payload FROM item WHERE batch_id = ? AND status = 'pending' AND {checksum.is_sound()} "
        "ORDER BY started_at, key",
        (batch_id,),
    )


def kept_otherwise(database: Database) -> dict[str, int]:
    """Of this run's delivered calls, those that the CRM keeps otherwise than they were sent, by what differs."""
    return dict(
        database.rows(f"""
            SELECT reason, count(*) FROM {_MEMBERS}
            WHERE status = 'delivered' AND reason IS NOT NULL GROUP BY reason ORDER BY reason
        """)
    )


def _listed(database: Database, which: str, *values: str) -> list[models.Listed]:
    return [one for _, one in listed_with_keys(database, which, *values)]


def listed_with_keys(database: Database, which: str, *values: str) -> list[tuple[str, models.Listed]]:
    """Items by an SQL condition, the oldest call first, each with its key."""
    found = database.rows(
        f"""
        SELECT item.key, item.reference, source.name, item.source_row, item.status, item.lead_id, item.direction,
            item.phone, item.started_at, item.communication_id, item.reason,
            EXISTS (SELECT 1 FROM attempt WHERE attempt.key = item.key)
        FROM item JOIN source ON source.sha256 = item.source_sha256 WHERE {which} AND {checksum.is_sound()}
        ORDER BY item.started_at, item.key
        """,
        values,
    )
    return [(key, listed(row)) for key, *row in found]


def listed(row: Sequence[Any]) -> models.Listed:
    """Of a row of: reference, file, row, status, lead, direction, phone, start, communication, reason, was it sent."""
    reference, source, number, status, lead_id, direction, phone, started_at, communication_id, reason, was_sent = row
    return models.Listed(
        reference=reference,
        source=source,
        row=number,
        status=models.ItemStatus(status),
        lead_id=lead_id,
        direction=models.Direction(direction),
        phone=phone,
        started_at=datetime.fromtimestamp(started_at, UTC),
        communication_id=communication_id,
        reason=reason,
        was_sent=bool(was_sent),
    )
