"""What became of a call, from its row to where it stands now."""

import itertools
from collections.abc import Iterator, Sequence
from datetime import timedelta

from rich.console import Console

from callimport.core import plurals, privacy
from callimport.ledger.history import Attempt, History, Ruling, WithoutLead
from callimport.report.terminal import LISTED_AT_MOST, say

_OUTCOMES = {
    "delivered": "delivered",
    "not_applied": "surely not stored",
    "refused": "the CRM said no",
    "in_doubt": "may or may not be stored",
    None: "no answer is on record",
}
_CHANGES = {
    "updated": "the CRM took the change",
    "refused": "the CRM said no",
    "failed": "no answer told whether it was made",
    "gone": "it was deleted there",
    "asked": "asked whether it is still there",
    None: "no answer is on record",
}
_RULINGS = {
    "found": "looked up: it is there",
    "absent": "looked up: it is not there, pending again",
    "held": "held for a person",
    "resend": "a person had it sent again",
    "accept": "a person named it",
    "adopted": "taken over from what the CRM had",
    "withdraw": "a person gave it up",
    "update held": "its update was held for a person",
    "update retry": "a person said that it is the same call: the CRM is told",
    "update withdraw": "a person said that the call stays as it is",
}


def print_found(
    console: Console, *, histories: Sequence[History], count: int, waiting: Sequence[WithoutLead], grace: timedelta
) -> None:
    """The first of `count` calls, one below the other, then those that wait for a lead, which are tried for `grace`."""
    told = [history_lines(one) for one in histories[:LISTED_AT_MOST]]
    told += [_without_lead_lines(one, grace) for one in waiting[:LISTED_AT_MOST]]
    for line in itertools.chain(*told):
        say(console, line)
    if count > LISTED_AT_MOST:
        say(console, f"{plurals.calls(count)} in all: --json tells more of them")


def history_lines(one: History) -> Iterator[str]:
    """Where it stands, where it came from, why that lead, and what happened when."""
    item = one.item
    where = f", communication {item.communication_id}" if item.communication_id else ""
    stands = "adopted" if one.is_adopted else item.status.replace("_", " ")
    why = f": {item.reason}" if item.reason else ""
    yield f"{item.reference}  {stands}{where}{why}"
    phone = privacy.mask_phone(item.phone)
    yield f"  {item.direction} call of {item.started_at:%Y-%m-%d %H:%M:%S}Z, {phone}"
    yield f"  {item.source} row {item.row}, system {one.system}, batch {one.batch}"
    yield f"  lead {item.lead_id}: {_why_this_lead(one)}"
    if one.update_held:
        yield f"  the update is held: {one.update_held}"
    elif one.has_changed:
        yield "  the source tells it otherwise by now; the CRM has not been told"
    events = [(attempt.intended_at, _attempted(attempt)) for attempt in one.attempts]
    events += [(update.intended_at, _updated(update)) for update in one.updates]
    events += [(ruling.decided_at, _ruled(ruling)) for ruling in one.rulings]
    for moment, told in sorted(events, key=lambda event: event[0]):
        yield f"  {moment[:19].replace('T', ' ')}Z  {told}"


def _without_lead_lines(one: WithoutLead, grace: timedelta) -> Iterator[str]:
    why = "withdrawn: a person gave it up while it waited for a lead"
    yield f"{one.reference}  {why if one.is_withdrawn else 'waits for a lead: none has this number'}"
    yield f"  {one.direction} call of {one.started_at:%Y-%m-%d %H:%M:%S}Z, {privacy.mask_phone(one.phone)}"
    yield f"  {one.source} row {one.row}, system {one.system}, batch {one.batch}"
    tried = f"tried by every run until {one.first_seen_at + grace:%Y-%m-%d} (--lead-grace {grace.days}d)"
    yield f"  without a lead since {one.first_seen_at:%Y-%m-%d}" + ("" if one.is_withdrawn else f", {tried}")


def _why_this_lead(one: History) -> str:
    """In the order in which they come; the ledger does not tell which of them it was."""
    ways = ["named in the row"]
    if leads := one.settings.get("leads"):
        ways.append(f"found by the number in the leads file {leads}")
    if one.was_looked_up:
        ways.append("found by the number in the CRM")
    return ", or ".join(ways)


def _attempted(attempt: Attempt) -> str:
    status = f"{attempt.http_status}, " if attempt.http_status else ""
    why = f" ({status}{attempt.evidence})" if attempt.evidence else ""
    until = f", ended {attempt.ended_at[11:19]}Z" if attempt.ended_at else ""
    return f"sent by run {attempt.run_id}{until}: {_OUTCOMES.get(attempt.outcome, attempt.outcome)}{why}"


def _updated(update: Attempt) -> str:
    status = f"{update.http_status}, " if update.http_status else ""
    why = f" ({status}{update.evidence})" if update.evidence else ""
    return f"changed by run {update.run_id}: {_CHANGES.get(update.outcome, update.outcome)}{why}"


def _ruled(ruling: Ruling) -> str:
    return f"{_RULINGS.get(ruling.kind, ruling.kind)}: {ruling.evidence}"
