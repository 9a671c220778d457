"""callimport find: what became of a call, or of all calls of a customer, told from the ledger alone."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import polars as pl

from callimport.core import errors, models, phones, privacy
from callimport.core.errors import ExitCode
from callimport.core.settings import Settings
from callimport.ledger import damage, history
from callimport.ledger.history import History, WithoutLead
from callimport.load import account_ledger

MOST_TOLD = 200


@dataclass(frozen=True, slots=True)
class Found:
    """The oldest of the calls that were meant, `count` of them in all; and those that wait for a lead, which are tried
    for so long. `damaged` names those that are not told."""

    ledger: str
    count: int
    histories: tuple[History, ...]
    without_lead: tuple[WithoutLead, ...]
    lead_grace: timedelta
    damaged: str | None = None

    def for_machines(self) -> dict[str, Any]:
        """As plain values, phones masked."""
        return {
            "exit_code": int(ExitCode.STOPPED if self.damaged else ExitCode.OK),
            "damaged": self.damaged,
            "ledger": self.ledger,
            "count": self.count,
            "found": list(map(_plain, self.histories)),
            "waiting_for_lead": [_plain_without_lead(one, self.lead_grace) for one in self.without_lead],
        }


def find(settings: Settings, clock: models.Clock, text: str) -> Found:
    """The calls that `text` names: a customer's number as people write it, a call id of the phone system, a KEY, a
    communication or a lead. ConfigError where the ledger knows none."""
    text = text.strip()
    with account_ledger.reading(settings, clock) as ledger:
        phone = _phone(text, settings.region)
        count = history.count_named(ledger.database, text, phone)
        without_lead = history.without_lead(ledger.database, text, phone, limit=MOST_TOLD)
        if not (count or without_lead):
            raise errors.ConfigError(
                f"the ledger knows nothing of {text}, neither as a number nor as an id of call, "
                "communication or lead: callimport check tells whether a file has it, and what is wrong with its row"
            )
        histories = history.named(ledger.database, text, phone, limit=MOST_TOLD, leads=ledger.lead_cache)
        place = ledger.database.place
        damaged = damage.told(ledger.database)
        return Found(place, count, tuple(histories), tuple(without_lead), settings.lead_grace, damaged)


def _phone(text: str, region: str) -> str | None:
    """E.164, None for what is no number."""
    e164, _, kind, _ = phones.read(pl.Series([text], dtype=pl.String), phones.Dialling(region)).row(0)
    return str(e164) if kind == phones.Kind.NUMBER else None


def _plain_without_lead(one: WithoutLead, grace: timedelta) -> dict[str, Any]:
    return asdict(one) | {
        "phone": privacy.mask_phone(one.phone),
        "started_at": one.started_at.isoformat(),
        "first_seen_at": one.first_seen_at.isoformat(),
        "tried_until": None if one.is_withdrawn else (one.first_seen_at + grace).isoformat(),
    }


def _plain(one: History) -> dict[str, Any]:
    item = one.item
    return {
        "reference": item.reference,
        "key": one.key,
        "status": item.status,
        "adopted": one.is_adopted,
        "communication_id": item.communication_id,
        "lead_id": item.lead_id,
        "direction": item.direction,
        "phone": privacy.mask_phone(item.phone),
        "started_at": item.started_at.isoformat(),
        "source": item.source,
        "row": item.row,
        "system": one.system,
        "batch": one.batch,
        "settings": one.settings,
        "moved_at": one.moved_at,
        "changed": one.has_changed,
        "update_held": one.update_held,
        "reason": item.reason,
        "attempts": [asdict(attempt) for attempt in one.attempts],
        "verdicts": [asdict(ruling) for ruling in one.rulings],
    }
