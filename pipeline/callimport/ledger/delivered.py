"""What the ledger knows of the calls that are in the CRM: which they are, on which leads, as what they were kept."""

import json
from collections.abc import Set
from dataclasses import asdict, dataclass
from typing import Any

from callimport.core import models
from callimport.ledger import checksum
from callimport.ledger.database import Database

_COLUMNS = "key, reference, lead_id, communication_id, payload, echo"


@dataclass(frozen=True, slots=True)
class Kept:
    """A delivered or adopted call. `fields` is what the CRM last said that it keeps of it, by the vendor's names;
    where it did not say, what was sent."""

    key: str
    reference: str
    lead_id: int
    communication_id: int
    communication: models.Communication
    fields: dict[str, object]


def leads(database: Database) -> list[int]:
    """Every lead that has such a call, each once."""
    found = database.rows(
        # What was adopted, or what the CRM put elsewhere, may lie on another lead than the call was meant for.
        """
        SELECT lead_id FROM item WHERE status = 'delivered'
        UNION SELECT json_extract(echo, '$.lead_id') FROM item
            WHERE status = 'delivered' AND json_type(echo, '$.lead_id') = 'integer'
        ORDER BY 1
        """
    )
    return [row[0] for row in found]


def of_lead(database: Database, lead_id: int) -> list[Kept]:
    """The calls that went to a lead, in the order of their communications. Damaged ones are left out."""
    found = database.rows(
        f"SELECT {_COLUMNS} FROM item WHERE lead_id = ? AND status = 'delivered' AND {checksum.is_sound()} "
        "ORDER BY communication_id",
        (lead_id,),
    )
    return [_kept(row) for row in found]


def among(database: Database, communication_ids: Set[int]) -> list[Kept]:
    """Those calls that are one of these communications, whichever lead they went to."""
    marks = ", ".join("?" * len(communication_ids))
    found = database.rows(
        f"SELECT {_COLUMNS} FROM item WHERE communication_id IN ({marks}) AND status = 'delivered' "
        f"AND {checksum.is_sound()} ORDER BY communication_id",
        tuple(sorted(communication_ids)),
    )
    return [_kept(row) for row in found]


def status_of(database: Database, reference: str) -> models.ItemStatus | None:
    """Where the call of that reference stands."""
    found = database.one("SELECT status FROM item WHERE reference = ?", (reference,))
    return None if found is None else models.ItemStatus(found)


def count(database: Database) -> int:
    """How many such calls there are."""
    return int(database.one("SELECT count(*) FROM item WHERE status = 'delivered'"))


def _kept(row: tuple[Any, ...]) -> Kept:
    key, reference, lead_id, communication_id, payload, echo = row
    communication = models.Communication(**json.loads(payload))
    sent = asdict(communication)
    sent["user_id"] = sent.pop("executed_by")
    said = json.loads(echo) if echo else {}
    fields = {name: said.get(name, value) for name, value in sent.items() if name in said or value is not None}
    return Kept(key, reference, lead_id, communication_id, communication, fields)
