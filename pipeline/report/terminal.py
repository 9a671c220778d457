"""The answer for a person: what was read, what became of it, and what to do about the rest."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline import model, privacy
from pipeline.errors import ExitCode
from pipeline.report.talk import duration

LISTED_AT_MOST = 20

_ENDINGS = {
    "duplicate": "the same row again",
    "skipped": "not sent, by policy",
    "unchanged": "delivered before",
    "delivered": "in the CRM now",
    "updated": "changed in the CRM",
    "adopted": "were there already",
    "refused": "the CRM said no; callimport retry --refused tries again",
    "failed": "did not reach the CRM; callimport retry --failed tries again",
    "in_doubt": "may or may not be in the CRM; never sent again on a guess",
    "held": "a person decides",
    "pending": "not sent yet",
}
_MEANING = {
    ExitCode.OK: "all well",
    ExitCode.STOPPED: "stopped by an error; the ledger is sound, run again to go on",
    ExitCode.ROWS_FAILED: "finished; some rows were rejected or refused",
    ExitCode.IN_DOUBT: "finished; some calls are in doubt or held",
    ExitCode.WORK_LEFT: "stopped as asked; work is left, run again to go on",
    ExitCode.GUARD: "stopped by a guard: a person must decide",
    ExitCode.INTERRUPTED: "interrupted and drained; run again to go on",
    ExitCode.TERMINATED: "terminated and drained; run again to go on",
}


def print_result(console: Console, result: model.Result, *, sent: bool) -> None:
    """A run's account of itself; `sent` is False for a check or a plan, where pending means 'would be sent'."""
    summary = result.summary
    _print_counts(console, summary, sent=sent)
    print_lists(console, result)
    code = ExitCode(summary.exit_code)
    _say(console, f"{_MEANING.get(code, 'stopped')} (exit {int(code)}, {duration(summary.elapsed_seconds)})")


def print_lists(console: Console, result: model.Result) -> None:
    """The part of the answer that a summary has no place for: which calls, and why."""
    _print_findings(console, result)
    _print_items(console, "in doubt (look for them in the CRM; they are not sent again)", result.in_doubt)
    _print_items(console, "held", result.held)
    _print_items(console, "refused by the CRM", result.refused)
    _print_items(console, "failed", result.failed)
    if result.summary.changed:
        _say(
            console,
            f"{result.summary.changed} delivered calls have changed in the source since. This version does not send "
            "changes: the CRM keeps what it has",
        )
    for batch in result.waiting:
        _say(
            console,
            f"batch {batch.batch} still has {batch.pending} pending calls of other settings ({_settings(batch)}): "
            f"callimport run --resume {batch.batch}, or callimport withdraw {batch.batch}",
        )
    _print_places(console, result)


def print_status(
    console: Console,
    *,
    ledger: str,
    running: Mapping[str, Any] | None,
    account: model.Account | None,
    items: Mapping[model.ItemStatus, int],
    last_run: Mapping[str, Any] | None,
    changed: int,
    waiting: Iterable[model.Waiting],
    listed: Iterable[model.Listed],
) -> None:
    """What the ledger says, or, while a run holds it, what its heartbeat says."""
    _say(console, f"ledger {ledger}" + (f" (account {account.id}, {account.name})" if account else ""))
    if running is not None:
        _say(console, "a run is going on:")
        for name, value in running.items():
            _say(console, f"  {name.replace('_', ' ')}: {value}")
        return
    if last_run is not None:
        ended = last_run["ended_at"] or "killed, its end was not recorded"
        _say(
            console, f"last run {last_run['run_id']}: {ended}, exit {last_run['exit_code']}, batch {last_run['batch']}"
        )
    for status, count in items.items():
        if count:
            _say(console, f"  {count:,} {status.replace('_', ' ')}")
    if changed:
        _say(console, f"  {changed:,} delivered calls have changed in the source since")
    for batch in waiting:
        _say(console, f"batch {batch.batch} has {batch.pending} pending calls: callimport run --resume {batch.batch}")
    by_status = groupby(listed, key=lambda item: item.status)
    for status, group in by_status:
        _print_items(console, status.replace("_", " "), tuple(group))


def _print_counts(console: Console, summary: model.Summary, *, sent: bool) -> None:
    rows, calls = summary.rows, summary.calls
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_row(f"{rows.read:,}", "rows read", f"(batch {summary.batch})")
    for name in ("joined", "dropped", "rejected"):
        if count := getattr(rows, name):
            table.add_row(f"{count:,}", name, "")
    carried = f", {calls.carried:,} of them carried along" if calls.carried else ""
    table.add_row(f"{calls.total:,}", "calls", f"of which{carried}:" if calls.total else "")
    for name, meaning in _ENDINGS.items():
        if count := getattr(calls, name):
            if name == "pending" and not sent:
                meaning = "would be sent"
            if name == "skipped":
                meaning += ": " + ", ".join(f"{count} {skip}" for skip, count in summary.skipped.items())
            table.add_row(f"{count:,}", name.replace("_", " "), meaning)
    console.print(table)


def _print_findings(console: Console, result: model.Result) -> None:
    for finding in result.findings:
        places = ", ".join(finding.examples) + (", …" if finding.count > len(finding.examples) else "")
        _say(console, f"rejected, {finding.rule}: {finding.count} ({places}), such as {finding.message}")


def _print_items(console: Console, title: str, items: tuple[model.Listed, ...]) -> None:
    if not items:
        return
    _say(console, f"{title}:")
    for item in items[:LISTED_AT_MOST]:
        _say(
            console,
            f"  {item.reference}  {item.started_at:%Y-%m-%d %H:%M:%S}Z  {item.direction}  "
            f"{privacy.mask_phone(item.phone)}  lead {item.lead_id}  {item.source} row {item.row}"
            + (f"  {item.reason}" if item.reason else ""),
        )
    if len(items) > LISTED_AT_MOST:
        _say(console, f"  and {len(items) - LISTED_AT_MOST} more")


def _print_places(console: Console, result: model.Result) -> None:
    if result.plan:
        _say(
            console,
            f"plan {result.plan}: callimport run --plan {result.plan} with the same files sends this and nothing else",
        )
    if result.rejects and result.summary.rows.rejected:
        _say(
            console,
            f"rejects {result.rejects}: mend them there and import that file; rows that were sent are not sent again",
        )
    if result.ledger:
        _say(console, f"ledger {result.ledger}")


def _settings(batch: model.Waiting) -> str:
    return ", ".join(f"{name} {value}" for name, value in batch.settings.items() if value and name != "pipeline")


def _say(console: Console, text: str) -> None:
    console.print(Text(privacy.scrub(text)), soft_wrap=True)
