"""The ledger of an account, found and held by one process alone. Every way to it goes through here."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from callimport.core import errors, models
from callimport.core.settings import Settings, Target, find_ledger, ledger_of, ledger_path, remember_ledger, state_dir
from callimport.crm import account
from callimport.ledger import Binding, Ledger, damage, locking, queries


@contextlib.contextmanager
def of_a_run(
    settings: Settings,
    clock: models.Clock,
    target: Target,
    whose: models.Account,
    say: Callable[[str], None],
) -> Iterator[Ledger]:
    """The ledger to import with, made where there is none. A dry run only reads it, and makes none."""
    folder = state_dir(settings)
    known = ledger_of(folder, target.host, whose)
    path = settings.ledger or known
    binding = Binding(target.host, whose)
    if settings.dry_run:
        # The lock keeps runs away until the end: the reader would see half of what a run writes meanwhile.
        with locking.not_written(path), contextlib.closing(Ledger.reading(path, clock, binding)) as ledger:
            stands = "read only" if path.exists() else "not there yet: the import makes it"
            say(f"ledger {path} (account {whose.id}, {whose.name}), {stands}")
            yield ledger
        return
    account.refuse_missing_ledger(target, whose, path, settings)
    with _held(path, folder, target, whose):
        if os.path.realpath(path) != os.path.realpath(known) and not _takes_its_place(path, known, clock):
            account.refuse_second_ledger(whose, path, known)
        with contextlib.closing(Ledger.open(path, clock, binding)) as ledger:
            remember_ledger(folder, target, whose, path)
            say(f"ledger {path} (account {whose.id}, {whose.name})")
            yield ledger


@contextlib.contextmanager
def of_a_look(
    settings: Settings,
    clock: models.Clock,
    target: Target,
    whose: models.Account,
    say: Callable[[str], None],
) -> Iterator[Ledger]:
    """Open the ledger to look up calls in doubt. ConfigError if there is none."""
    path = _existing(settings, target, whose)
    with (
        _held(path, state_dir(settings), target, whose),
        contextlib.closing(Ledger.open(path, clock, Binding(target.host, whose))) as ledger,
    ):
        say(f"ledger {path} (account {whose.id}, {whose.name})")
        yield ledger


@contextlib.contextmanager
def to_compare(
    settings: Settings,
    clock: models.Clock,
    target: Target,
    whose: models.Account,
    say: Callable[[str], None],
) -> Iterator[Ledger]:
    """The ledger of an account, to read it only."""
    path = _existing(settings, target, whose)
    with (
        locking.not_written(path),
        contextlib.closing(Ledger.reading(path, clock, Binding(target.host, whose))) as ledger,
    ):
        say(f"ledger {path} (account {whose.id}, {whose.name})")
        yield ledger


@contextlib.contextmanager
def reading(settings: Settings, clock: models.Clock) -> Iterator[Ledger]:
    """The ledger that is meant, to read it only, without asking the CRM."""
    path = find_ledger(settings)
    with locking.not_written(path), contextlib.closing(Ledger.reading(path, clock)) as ledger:
        yield ledger


def _existing(settings: Settings, target: Target, whose: models.Account) -> Path:
    path = settings.ledger or ledger_of(state_dir(settings), target.host, whose)
    if not path.is_file():
        raise errors.ConfigError(f"there is no ledger {path}: check --ledger, --account and --state-dir")
    return path


@contextlib.contextmanager
def offline(settings: Settings, clock: models.Clock) -> Iterator[Ledger]:
    """The ledger that is meant, without asking the CRM. LedgerError at the end if a damaged call was meant."""
    path = find_ledger(settings)
    with (
        locking.held(locking.beside(path, "lock"), heartbeat=locking.beside(path, "heartbeat")),
        contextlib.closing(Ledger.open(path, clock)) as ledger,
    ):
        try:
            yield ledger
        except errors.ConfigError:
            # A damaged call does not move, so it looks as if there were no such call.
            damage.refuse(ledger.database)
            raise
        damage.refuse(ledger.database)


@contextlib.contextmanager
def _held(path: Path, folder: Path, target: Target, whose: models.Account) -> Iterator[None]:
    """One run a ledger, and one an account, whatever ledger it names."""
    heartbeat = locking.beside(path, "heartbeat")
    one_an_account = folder / f"{ledger_path(folder, target.host, whose).stem}.lock"
    with (
        locking.held(locking.beside(path, "lock"), heartbeat=heartbeat),
        locking.held(one_an_account, heartbeat=heartbeat),
    ):
        yield


def _takes_its_place(path: Path, known: Path, clock: models.Clock) -> bool:
    """Whether `path` has calls and the remembered ledger has none, because a guard stopped the run that made it."""
    if not known.is_file():
        return True
    with (
        contextlib.closing(Ledger.reading(path, clock)) as named,
        contextlib.closing(Ledger.reading(known, clock)) as remembered,
    ):
        return queries.remembers_calls(named.database) and not queries.remembers_calls(remembered.database)
