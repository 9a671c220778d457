"""The answer for a person: what was read, what became of it, and what to do about the rest."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from callimport.core import endings, humanize, models, plurals, privacy
from callimport.core.errors import ExitCode
from callimport.report.recordings import recording_lines, status_line

LISTED_AT_MOST = 20

_ENDINGS = {
    "duplicate": "the same row again",
    "skipped": "not sent, by policy",
    "unchanged": "delivered before",
    "delivered": "in the CRM now",
    "updated": "changed in the CRM",
    "adopted": "were there already",
    "refused": "the CRM said no; callimport retry --refused tries again, callimport withdraw KEY gives one up",
    "failed": "did not reach the CRM; callimport retry --failed tries again",
    "in_doubt": "may or may not be in the CRM; never sent again on a guess",
    "held": "a person decides",
    "pending": "not sent yet",
}
# Why rows are dropped and calls skipped, and what to do about it where that may be unwanted.
_LEFT_OUT = {
    "internal": "between colleagues, so no customer's call",
    "fax": "no voice call",
    "totals": "a sum at the end of a report, no call",
    "recording": "the recording of a call that has a row of its own",
    "other": "the recipe says that these are no customer's calls: callimport profiles show tells why",
    models.Skip.ANONYMOUS: "the caller hid the number, so nobody can say whose call it was",
    models.Skip.NO_LEAD: "no lead found for the number: --leads FILE may name it, --find-leads asks the CRM; "
    "--unknown-callers FILE lists them, most calls first",
    models.Skip.OWN_NUMBER: "the other side is a number of the house, see --own-number",
    models.Skip.EXCLUDED: "left out as asked: --exclude-numbers, --only or --min-duration",
    models.Skip.OUTSIDE_DATES: "outside --since and --until",
    models.Skip.EXISTING: "in the CRM before; callimport retry KEY takes one up again",
    models.Skip.WITHDRAWN: "given up by a person; callimport retry KEY takes one up again",
    models.Skip.GONE: "deleted in the CRM by a person; not sent again",
}
_TO_DO = {
    models.ItemStatus.IN_DOUBT: ": callimport reconcile{where} looks them up",
    models.ItemStatus.REFUSED: ": callimport retry --refused{where} tries them again, once the reason is mended; "
    "callimport withdraw KEY{where} gives one up, as where its lead is gone",
    models.ItemStatus.FAILED: ": callimport retry --failed{where} tries them again",
}
_MEANING = {
    ExitCode.OK: "all well",
    ExitCode.STOPPED: "stopped by an error; run again to go on",
    ExitCode.ROWS_FAILED: "finished; some rows were rejected or refused, or ended as --fail-on names",
    ExitCode.IN_DOUBT: "finished; some calls are in doubt or held",
    ExitCode.WORK_LEFT: "stopped as asked; work is left, run again to go on",
    ExitCode.GUARD: "stopped by a guard: a person must decide",
    ExitCode.INTERRUPTED: "interrupted and drained; run again to go on",
    ExitCode.TERMINATED: "terminated and drained; run again to go on",
}


# Of a call, by where it stands.
MEANINGS = _ENDINGS | {
    "waiting": "no lead found for the number yet; later runs look again",
    "in_flight": "under way when the run ended",
    "withdrawn": "given up by a person, or in the CRM before",
    "gone": "deleted in the CRM by a person",
}


def meaning_of(exit_code: int | None) -> str:
    """What a run ended with, in words."""
    if exit_code is None:
        return "its end is not recorded: it goes on, or was killed"
    return _MEANING.get(ExitCode(exit_code), "stopped")


def say(console: Console, text: str) -> None:
    """Print a line of the answer, masked."""
    console.print(Text(privacy.mask(text)), soft_wrap=True)


def print_result(console: Console, result: endings.Result, *, sent: bool) -> None:
    """A run's account of itself; `sent` is False for a check or a plan, where pending means 'would be sent'."""
    _print_counts(console, result.summary, pending="not sent yet" if sent else _planned(result))
    for line in lists(result):
        say(console, line)
    code = ExitCode(result.summary.exit_code)
    say(console, f"{_MEANING.get(code, 'stopped')} (exit {int(code)}, {humanize.told(result.summary.elapsed_seconds)})")


def lists(result: endings.Result) -> Iterator[str]:
    """What a summary has no place for: which rows and calls, why, and what to do about them, line by line."""
    yield from _piloted(result)
    yield from _findings(result)
    yield from _left_out(result.left_out)
    yield from _items(
        "in doubt: the next run, or callimport reconcile, looks them up; none is sent again before", result.in_doubt
    )
    where = f" --destination {result.destination}" if result.destination else ""
    yield from _held(result.held, where)
    yield from _items("refused by the CRM" + _TO_DO[models.ItemStatus.REFUSED].format(where=where), result.refused)
    yield from _items("failed", result.failed)
    yield from _items(
        f"in the CRM already, so not sent: look there; if one is another call, callimport retry KEY{where} has the "
        "next run send it",
        result.existing,
    )
    yield from recording_lines(result)
    yield from _updates(result.updates)
    if result.summary.changed:
        yield (
            f"{plurals.calls(result.summary.changed, 'delivered')} changed in the source since; as asked "
            "(--on-change), the CRM keeps what it has"
        )
    yield from _items("what changed, as it was → as the file has it now", result.updates.changed)
    yield from result.told
    for names, count in result.kept_otherwise.items():
        kept = plurals.calls(count, "delivered")
        yield f"the CRM keeps {kept} otherwise than as sent ({names}): look at one there"
    for batch in result.waiting:
        pending = plurals.calls(batch.pending, "pending")
        yield (
            f"batch {batch.batch} still has {pending} that this run does not send ({_settings(batch)}): "
            f"send them with callimport run --resume {batch.batch}{where}, or give them up with callimport withdraw "
            f"{batch.batch}{where}"
        )
    if result.plan and result.summary.calls.pending:
        yield f"plan {result.plan}: the same command, with --plan {result.plan} in place of --dry-run, sends only this"
    if result.rejects and result.summary.rows.rejected:
        yield f"rejects {result.rejects}: mend them there and import that file; what was sent is not sent again"
    elif result.rejects:
        yield f"rejects {result.rejects}: none; the file has only its header, and the next run may replace it"


def print_settled(
    console: Console,
    *,
    verdicts: Mapping[str, int],
    decided: Mapping[str, int],
    pending: int,
    in_doubt: Sequence[models.Listed],
    held: Sequence[models.Listed],
    destination: str | None,
) -> None:
    """What became of the doubts, or what was `decided` of held calls, and what a person must decide still, with what
    either side shows."""
    where = f" --destination {destination}" if destination else ""
    if any(decided.values()):
        say(
            console,
            f"recorded: {plurals.calls(decided['accepted'])} named as in the CRM, "
            f"{plurals.calls(decided['resent'])} for the next run to send",
        )
    else:
        say(
            console,
            f"{verdicts['found']} found in the CRM, {verdicts['absent']} proved absent and pending again, "
            f"{verdicts['held']} now held",
        )
    for line in _items(f"in doubt: not looked up yet; callimport reconcile{where} does", in_doubt):
        say(console, line)
    for line in _held(held, where):
        say(console, line)
    if pending:
        say(console, f"{plurals.calls(pending, 'pending')}: callimport run{where} sends them")
    if not in_doubt and not held:
        say(console, "no call is in doubt or held")


def print_status(
    console: Console,
    *,
    ledger: str,
    running: Mapping[str, Any] | None,
    account: models.Account | None,
    items: Mapping[models.ItemStatus, int],
    last_run: Mapping[str, Any] | None,
    changed: int,
    changed_refused: int,
    updates_held: int,
    without_lead: int,
    waiting: Iterable[models.Waiting],
    listed: Iterable[models.Listed],
    destination: str | None,
    recordings: Mapping[str, int],
) -> None:
    """What the ledger says, or, while a run holds it, what its heartbeat says."""
    where = f" --destination {destination}" if destination else ""
    say(console, f"ledger {ledger}" + (f" (account {account.id}, {account.name})" if account else ""))
    if running is not None:
        say(console, "a run is going on:")
        for name, value in running.items():
            say(console, f"  {name.replace('_', ' ')}: {value}")
        return
    if last_run is not None:
        ended, batch = last_run["ended_at"], last_run["batch"]
        how = f"ended {ended[:19]}Z, exit {last_run['exit_code']}" if ended else "was killed; its end is not recorded"
        say(console, f"last run {last_run['run_id']} {how}" + (f", batch {batch}" if batch else ""))
        if why := last_run["stopped_by"]:
            say(console, f"  it was stopped: {why}")
    for status, count in items.items():
        if count:
            say(console, f"  {count:,} {status.replace('_', ' ')}")
    if changed:
        say(console, f"  {plurals.calls(changed, 'delivered')} changed in the source: the next run changes them")
    if changed_refused:
        say(
            console,
            f"  {plurals.calls(changed_refused, 'delivered')} changed in the source, which the CRM refused: callimport "
            f"retry --refused{where} has the next run try again",
        )
    if updates_held:
        say(
            console,
            f"  {plurals.calls(updates_held, 'delivered')} with a held update: probably another call under the same id",
        )
    if recordings:
        say(console, status_line(recordings, where))
    if without_lead:
        say(console, f"  {plurals.calls(without_lead)} without a lead, tried again by the next run with files")
    for batch in waiting:
        pending = plurals.calls(batch.pending, "pending")
        say(console, f"batch {batch.batch} has {pending}: callimport run --resume {batch.batch}{where} sends them")
    for status, group in groupby(listed, key=lambda item: item.status):
        title, calls = status.replace("_", " ") + _TO_DO.get(status, "").format(where=where), tuple(group)
        is_held = status in (models.ItemStatus.HELD, models.ItemStatus.DELIVERED)
        for line in _held(calls, where) if is_held else _items(title, calls):
            say(console, line)


def _planned(result: endings.Result) -> str:
    """What a plan would do with what is pending."""
    changed = result.updates.pending
    new = result.summary.calls.pending - changed
    if not changed:
        return "would be sent"
    return f"{new:,} would be sent, {changed:,} would be changed in the CRM" if new else "would be changed in the CRM"


def _print_counts(console: Console, summary: endings.Summary, *, pending: str) -> None:
    rows, calls = summary.rows, summary.calls
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    from_the_ledger = not rows.read and calls.carried
    if not from_the_ledger:
        table.add_row(f"{rows.read:,}", "rows read", f"(batch {summary.batch})")
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in summary.dropped.items())
    for name, meaning in (("joined", "to another row's call"), ("dropped", kinds), ("rejected", "")):
        if count := getattr(rows, name):
            table.add_row(f"{count:,}", name, meaning)
    told = f"left of batch {summary.batch}" if from_the_ledger else ""
    if calls.carried and not from_the_ledger:
        told = f"{calls.carried:,} of them left from earlier batches with the same settings"
    table.add_row(f"{calls.total:,}", "calls", told)
    for name, meaning in _ENDINGS.items():
        if count := getattr(calls, name):
            if name == "pending":
                meaning = pending
            if name == "skipped":
                meaning += ": " + ", ".join(f"{count} {skip}" for skip, count in summary.skipped.items())
            table.add_row(f"{count:,}", name.replace("_", " "), meaning)
    console.print(table)


def _piloted(result: endings.Result) -> Iterator[str]:
    """Where a person finds the pilot's calls in the CRM."""
    if result.pilot:
        yield (
            "the pilot: look at each in the CRM (time, side, outcome, salesperson, text, and what it did to the lead), "
            "then run again without --pilot"
        )
    for item in result.pilot:
        stands = item.status.replace("_", " ")
        where = f"communication {item.communication_id}" if item.communication_id else stands
        yield (
            f"  lead {item.lead_id}  {item.started_at:%Y-%m-%d %H:%M:%S}Z  {item.direction}  "
            f"{privacy.mask_phone(item.phone)}  {where}  {item.reference}"
        )


def _findings(result: endings.Result) -> Iterator[str]:
    if result.findings:
        yield "rejected:"
    for finding in result.findings:
        more = ", …" if finding.count > len(finding.examples) else ""
        yield f"{finding.count:7,}  {finding.rule:24} {', '.join(finding.examples)}{more}"
        yield f"         {finding.message}"


def _left_out(kinds: Sequence[endings.LeftOut]) -> Iterator[str]:
    if kinds:
        yield "left out:"
    for one in kinds:
        more = ", …" if one.count > len(one.examples) else ""
        yield f"{one.count:7,}  {one.kind:24} {', '.join(one.examples)}{more}".rstrip()
        if told := _LEFT_OUT.get(one.kind):
            yield f"         {told}"


def _updates(updates: endings.Updates) -> Iterator[str]:
    """Changed calls that the CRM does not keep as their source tells them."""
    yield from _items(
        "changed in the source, refused by the CRM: callimport retry --refused has the next run try again",
        updates.refused_ones,
    )
    yield from _items("changed in the source, not yet in the CRM: the next run tries again", updates.failed_ones)
    yield from _items(
        "changed in the source, and by a person in the CRM: these fields are left as they are",
        updates.left,
    )


def _held(items: Sequence[models.Listed], where: str) -> Iterator[str]:
    """Held calls by what a person has to find out, with the words that end it."""
    updates = tuple(item for item in items if item.status == models.ItemStatus.DELIVERED)
    calls = tuple(item for item in items if item.status != models.ItemStatus.DELIVERED)
    sent = tuple(item for item in calls if item.was_sent)
    unsent = tuple(item for item in calls if not item.was_sent)
    yield from _items(
        f"held, the CRM keeps the call as it is: callimport retry KEY{where} if it is the same call, and the next run "
        f"sends the new facts; callimport withdraw KEY{where} if it is another call, which needs an id of its own",
        updates,
    )
    yield from _items(
        f"held, may be in the CRM: look there, then callimport reconcile{where} --accept KEY ID if it is, --resend KEY "
        f"if it is not; callimport withdraw KEY{where} gives it up",
        sent,
    )
    yield from _items(
        f"held, not sent: callimport withdraw KEY{where} if it is the call it resembles, callimport reconcile{where} "
        "--resend KEY if it is another one",
        unsent,
    )


def _items(title: str, items: Sequence[models.Listed]) -> Iterator[str]:
    if items:
        yield f"{title}:"
    for item in items[:LISTED_AT_MOST]:
        yield (
            f"  {item.reference}  {item.started_at:%Y-%m-%d %H:%M:%S}Z  {item.direction}  "
            f"{privacy.mask_phone(item.phone)}  lead {item.lead_id}  {item.source} row {item.row}"
            + (f"  {item.reason}" if item.reason else "")
        )
    if len(items) > LISTED_AT_MOST:
        yield f"  and {len(items) - LISTED_AT_MOST} more"


def _settings(batch: models.Waiting) -> str:
    return ", ".join(f"{name} {value}" for name, value in batch.settings.items() if value and name != "pipeline")
