"""What a person does with the ledger between runs: look, give up, try again. No network."""

from dataclasses import asdict, dataclass
from typing import Any

from callimport.core import models, privacy
from callimport.core.settings import Settings, find_ledger
from callimport.ledger import Ledger, damage, held_updates, locking, queries, recordings, updates, waiting_items
from callimport.load import account_ledger

LISTED = (models.ItemStatus.IN_DOUBT, models.ItemStatus.HELD, models.ItemStatus.REFUSED, models.ItemStatus.FAILED)


@dataclass(frozen=True, slots=True)
class Status:
    """`running` is the heartbeat of the run that holds the ledger; the rest is then not known. `damaged` names the
    damaged calls among those that are listed."""

    ledger: str
    running: dict[str, Any] | None
    account: models.Account | None = None
    items: dict[models.ItemStatus, int] | None = None
    changed: int = 0
    changed_refused: int = 0
    updates_held: int = 0
    without_lead: int = 0
    last_run: dict[str, Any] | None = None
    waiting: tuple[models.Waiting, ...] = ()
    listed: tuple[models.Listed, ...] = ()
    recordings: dict[str, int] | None = None
    damaged: str | None = None

    def for_machines(self) -> dict[str, Any]:
        """As plain values, phones masked."""
        return asdict(self) | {"listed": [plain(item) for item in self.listed]}


@dataclass(frozen=True, slots=True)
class Retried:
    """How many calls are pending again, how many held again, and the batches that have pending calls now."""

    pending: int
    held: int
    waiting: tuple[models.Waiting, ...]
    recordings: int = 0


def plain(item: models.Listed) -> dict[str, Any]:
    """A call as plain values, its phone masked."""
    masked = {"phone": privacy.mask_phone(item.phone), "started_at": item.started_at.isoformat()}
    return asdict(item) | masked


def status(settings: Settings, clock: models.Clock) -> Status:
    """Where everything stands. While a run holds the ledger, its heartbeat speaks."""
    path = find_ledger(settings)
    if locking.is_held(locking.beside(path, "lock")):
        return Status(str(path), locking.read_heartbeat(locking.beside(path, "heartbeat")) or {"state": "starting"})
    with account_ledger.reading(settings, clock) as ledger:
        database = ledger.database
        listed = (
            *(item for status in LISTED for item in queries.items(database, status)),
            *held_updates.items(database),
        )
        return Status(
            ledger=str(path),
            running=None,
            account=queries.bound_account(database),
            items=queries.counts(database),
            changed=updates.waiting_count(database),
            changed_refused=updates.refused_count(database),
            updates_held=held_updates.count(database),
            without_lead=waiting_items.count(database),
            last_run=_last_run(ledger),
            waiting=tuple(queries.waiting(database, besides=None)),
            listed=listed,
            recordings=recordings.counts(database),
            damaged=damage.told(database),
        )


def is_update_held(settings: Settings, clock: models.Clock, key: str) -> bool:
    """Whether KEY is a delivered call whose update is held."""
    with account_ledger.reading(settings, clock) as ledger:
        return held_updates.is_held(ledger.database, key)


def withdraw(settings: Settings, clock: models.Clock, what: str) -> int:
    """Give up what is pending of a batch; or, by its KEY, one call or its held update. Returns how many."""
    with account_ledger.offline(settings, clock) as ledger:
        is_key = what.count("-") > 1 or ":" in what
        return ledger.withdraw_one(what) if is_key else ledger.withdraw(what.upper())


def retry(
    settings: Settings,
    clock: models.Clock,
    *,
    statuses: tuple[models.ItemStatus, ...],
    keys: tuple[str, ...],
    of_recordings: bool = False,
) -> Retried:
    """Put refused, failed or withdrawn calls back to where they were, and refused recordings."""
    with account_ledger.offline(settings, clock) as ledger:
        again = recordings.Recordings(ledger.database, clock).retry() if of_recordings else 0
        pending = sum(ledger.retry(status) for status in statuses)
        held = 0
        for key in keys:
            is_held = ledger.retry_one(key) is models.ItemStatus.HELD
            held, pending = held + is_held, pending + (not is_held)
        return Retried(pending, held, tuple(queries.waiting(ledger.database, besides=None)), again)


def _last_run(ledger: Ledger) -> dict[str, Any] | None:
    found = queries.last_run(ledger.database)
    if found is None:
        return None
    names = ("run_id", "batch", "started_at", "ended_at", "exit_code", "stopped_by")
    return dict(zip(names, found, strict=True))
