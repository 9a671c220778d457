"""Whose CRM it is, and whether this run may write to it."""

from collections.abc import Callable
from pathlib import Path

from callimport.core import errors, models
from callimport.core.settings import Settings, Target


def choose(accounts: tuple[models.Account, ...], wanted: str | None) -> models.Account:
    """The one account that the key opens, or, of several, the one that was named. ConfigError otherwise."""
    if wanted is not None:
        accounts = tuple(one for one in accounts if _is(one, wanted))
        if not accounts:
            raise errors.ConfigError(f'this key does not open the account "{wanted}": check --account and the key')
    if len(accounts) == 1:
        return accounts[0]
    if not accounts:
        raise errors.DestinationUnusable("the CRM did not say whose key this is: check the destination's address")
    names = ", ".join(f"{one.id} ({one.name})" for one in accounts)
    raise errors.ConfigError(f"this key opens several accounts: name one with --account: {names}")


def confirm(target: Target, whose: models.Account, settings: Settings, ask: Callable[[str], str] | None) -> None:
    """Production is written to only if a person or the command line names the account. ConfigError otherwise."""
    if not target.is_production or settings.dry_run or settings.account is not None:
        return
    if ask is None:
        raise errors.ConfigError(
            f"this is production, account {whose.id} ({whose.name}): confirm it with --account {whose.id}"
        )
    question = f"This is production, and there is no undo. Type the account's name ({whose.name}) to go on"
    if ask(question).strip() != whose.name:
        raise errors.ConfigError("the account's name was not typed: nothing was sent")


def consent_to_trial(whose: models.Account, lead_id: int, ask: Callable[[str], str] | None, *, given: bool) -> None:
    """Trial calls are written to a lead only if somebody says so, each time. ConfigError otherwise."""
    if given:
        return
    if ask is None:
        raise errors.ConfigError(
            f"trial calls and a silent recording would be written to lead {lead_id}: say --yes if it was made for that"
        )
    question = (
        f"Some trial calls, one with a silent recording, are written to a lead of {whose.name}, for good. Type its id "
        f"({lead_id}) to go on"
    )
    if ask(question).strip() != str(lead_id):
        raise errors.ConfigError("the lead's id was not typed: nothing was sent")


def refuse_missing_ledger(target: Target, whose: models.Account, path: Path, settings: Settings) -> None:
    """GuardStopped where production would be written to without the memory of what was sent before."""
    if target.is_production and not path.exists() and not settings.first_run:
        raise errors.GuardStopped(
            f"no ledger of account {whose.id} ({whose.name}) lies at {path}: if calls were ever imported there, find "
            "it and name it with --ledger, or they are sent a second time; if this is the first import, say --first-run"
        )


def refuse_second_ledger(whose: models.Account, path: Path, known: Path) -> None:
    """GuardStopped: another ledger remembers this account's calls, and what it knows would be sent again."""
    raise errors.GuardStopped(
        f"the calls of account {whose.id} ({whose.name}) are remembered in {known}, not in {path}: leave --ledger out; "
        f"or, if {path.name} is the right one, move the other away first"
    )


def _is(one: models.Account, wanted: str) -> bool:
    return wanted == str(one.id) or wanted.casefold() == one.name.casefold()
