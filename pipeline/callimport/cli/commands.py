"""The command line: parse, call one function, print, exit."""

import contextlib
import logging
import os
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TextIO

import anyio
import click
from rich.console import Console

import callimport
from callimport import importer, report
from callimport.cli import doctor, foreign_errors, json_answers, options, profiles, sandbox, verify_export_find
from callimport.cli import status as ledger_status
from callimport.cli.reconcile import decide, settle
from callimport.core import endings, models, plurals, privacy
from callimport.core import settings as config
from callimport.core.errors import ExitCode
from callimport.core.signal_watch import watch

_EXIT_CODES = """\b
Exit codes:
  0 all well                            5 a file cannot be used; nothing was sent
  1 stopped by an error, run again      6 another run holds the ledger or account
  2 usage or settings                   7 stopped as asked, work is left
  3 some rows rejected or refused       8 stopped by a guard, a person must decide
  4 some calls in doubt or held         130, 143 interrupted and drained
"""


def main() -> NoReturn:
    """The command `callimport`: whatever happens ends in one line and an exit code, never in a traceback."""
    # callimport prints errors itself. Without a handler, Python would also print what libraries log, with tracebacks.
    logging.lastResort = None
    json_answers.begin()
    config.unset_impossible_terminal_size()
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (open until the process ends)
        message = "standard output is closed: send the answer to a file or to /dev/null, then run again"
        sys.exit(_stop(message, ExitCode.USAGE))
    for stream in (sys.stdout, sys.stderr):
        # A terminal that has no é or • shall have a mark in its place, and not the end of the command.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        watch.start_raising()
        code = commands.main(standalone_mode=False, prog_name="callimport")
        watch.stop_raising()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = ExitCode.USAGE
    except click.ClickException as error:
        code = _stop_unparsed(error)
    except BrokenPipeError:
        # Whoever read the answer went away; there is nobody left to tell.
        _throw_away(sys.stdout)
        code = ExitCode.STOPPED
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - the last line of defence: no traceback ever reaches a user
        watch.stop_raising()
        failed = foreign_errors.translated(error)
        if json_answers.asked_for_json():
            json_answers.answer_error(str(failed), failed.exit_code)
        code = _stop(str(failed), failed.exit_code)
        # If stdout cannot be written, Python would print a second error at exit, without the cause.
        _flush_or_throw_away()
    sys.exit(_let_go_of_streams(ExitCode(code or 0)))


def _flush_or_throw_away() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _throw_away(sys.stdout)


def _let_go_of_streams(code: ExitCode) -> ExitCode:
    """Write out what was said. What cannot be written must not fail once more, and nameless, as the program ends."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _throw_away(sys.stdout)
    except OSError as error:
        _throw_away(sys.stdout)
        code = _stop(
            f"the answer could not be written ({error.strerror}): free the disk, then run again", ExitCode.STOPPED
        )
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        _throw_away(sys.stderr)
    return code


def _throw_away(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Commands(click.Group):
    """A group that translates an interruption before click can print an empty line for it."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _interruptions_translated():
            return super().make_context(*args, **kwargs)

    def invoke(self, context: click.Context) -> Any:
        with _interruptions_translated():
            return super().invoke(context)


@contextlib.contextmanager
def _interruptions_translated() -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, EOFError, click.exceptions.Abort) as error:
        watch.stop_raising()
        failed = foreign_errors.translated(error)
        raise failed from error


@click.group(cls=_Commands, epilog=_EXIT_CODES)
@click.version_option(callimport.__version__, prog_name="callimport")
def commands() -> None:
    """Historical call logs into the CRM: right lead, right time, once, provably."""
    talk = _talk({"log_format": "json" if json_answers.asked_for_json_lines() else "text"})
    for told in options.unknown_variables(commands):
        talk.warn(told)


@commands.command(
    epilog=f"""\b
Examples:
  callimport check calls.csv
  callimport check exports/ --timezone America/Toronto --rejects rejects.csv
  callimport check calls.parquet --json
  callimport check exports/ --draft-agents agents.csv

{_EXIT_CODES}"""
)
@click.argument("files", nargs=-1, required=True)
@options.shaping
@options.choosing
@options.reading
@options.judging
@options.hearing
@click.option("--html", type=options.PATH, metavar="FILE", help="Write the report as one page that can be mailed.")
@click.option(
    "--draft-agents", type=options.PATH, metavar="FILE", help="Write everybody named as an agent there, for --agents."
)
@options.state_dir
@options.answering
def check(html: Path | None, **given: Any) -> ExitCode:
    """Say what is wrong with FILES and what an import would send. Files only: no network, no ledger."""
    with json_answers.errors_answered(given["as_json"]):
        settings = options.settings(given)
        result = importer.check(settings, _tools(given), html=html)
        return _answer(result, given, sent=False)


@commands.command(
    epilog=f"""\b
Examples:
  callimport run calls.csv --destination sandbox --leads leads.csv
  callimport run calls.csv --destination sandbox --find-leads --several-leads at-call
  callimport run calls.csv --destination sandbox --dry-run
  callimport run exports/ --profile twilio --leads leads.csv --destination production --account 301
  callimport run --destination production --account 301   (without FILES: the last batch goes on)

{_EXIT_CODES}"""
)
@click.argument("files", nargs=-1)
@options.shaping
@options.choosing
@options.reading
@options.judging
@options.hearing
@options.sending
@options.answering
def run(**given: Any) -> ExitCode:
    """Import FILES. The same command again goes on where it ended; without FILES the last batch goes on."""
    with json_answers.errors_answered(given["as_json"]):
        settings = options.settings(given)
        result = anyio.run(importer.run, settings, _tools(given))
        return _answer(result, given, sent=not settings.dry_run)


@commands.command(
    epilog="""\b
Examples:
  callimport status
  callimport status --json
"""
)
@options.placing
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object on stdout.")
@options.configured
def status(as_json: bool, **given: Any) -> ExitCode:
    """What the ledger says; while a run goes on, how far it is."""
    with json_answers.errors_answered(as_json):
        found = ledger_status.status(options.settings(given), _clock())
    if as_json:
        json_answers.one_object(found.for_machines())
    else:
        report.print_status(
            Console(),
            ledger=found.ledger,
            running=found.running,
            account=found.account,
            items=found.items or {},
            last_run=found.last_run,
            changed=found.changed,
            changed_refused=found.changed_refused,
            updates_held=found.updates_held,
            without_lead=found.without_lead,
            waiting=found.waiting,
            listed=found.listed,
            destination=given["destination"],
            recordings=found.recordings or {},
        )
    return _stop(found.damaged, ExitCode.STOPPED) if found.damaged else ExitCode.OK


@commands.command(
    epilog="""\b
Examples:
  callimport withdraw 7K3Q-2M9D
  callimport withdraw 7K3Q-2M9D-XA
"""
)
@click.argument("what", metavar="BATCH|KEY")
@options.placing
@options.configured
def withdraw(what: str, **given: Any) -> ExitCode:
    """Give up what is pending of BATCH or waits for a lead; or the held, refused, failed, pending or waiting KEY. If
    KEY is delivered, give up its held update: the CRM keeps the call as it is."""
    settings = options.settings(given)
    is_update = ledger_status.is_update_held(settings, _clock(), what)
    count = ledger_status.withdraw(settings, _clock(), what)
    given_up = f"{plurals.calls(count)} given up; no run sends them, from whichever file"
    kept = (
        "the call stays in the CRM as it is; the new facts count as known. They are not sent: if they are those of "
        "another call, give it another call_id in the file and import it"
    )
    report.say(Console(), f"{what.upper()}: {kept if is_update else given_up}")
    return ExitCode.OK


@commands.command(
    epilog="""\b
Examples:
  callimport retry --refused
  callimport retry 7K3Q-2M9D-XA
"""
)
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--refused", is_flag=True, help="All that the CRM refused.")
@click.option("--failed", is_flag=True, help="All that did not reach the CRM.")
@click.option("--refused-recordings", is_flag=True, help="All recordings that were refused.")
@options.placing
@options.configured
def retry(keys: tuple[str, ...], refused: bool, failed: bool, refused_recordings: bool, **given: Any) -> ExitCode:
    """Put refused or failed calls back to pending; by its KEY also a withdrawn call or a held update. The next run
    sends them."""
    chosen = {models.ItemStatus.REFUSED: refused, models.ItemStatus.FAILED: failed}
    statuses = tuple(status for status, wanted in chosen.items() if wanted)
    if not statuses and not keys and not refused_recordings:
        raise click.UsageError("Name what to retry: --refused, --failed, --refused-recordings or a KEY.")
    settings = options.settings(given)
    retried = ledger_status.retry(settings, _clock(), statuses=statuses, keys=keys, of_recordings=refused_recordings)
    where = f" --destination {given['destination']}" if given["destination"] else ""
    if retried.held:
        report.say(
            Console(), f"{plurals.calls(retried.held)} held again, as before: callimport reconcile{where} lists them"
        )
    if retried.pending:
        report.say(Console(), f"{plurals.calls(retried.pending, 'pending')} again")
    if retried.recordings:
        report.say(
            Console(), f"{retried.recordings:,} recordings to upload again: callimport run{where} --recordings DIR"
        )
    if not retried.pending and not retried.held and not retried.recordings:
        report.say(Console(), "nothing to try again")
    for batch in retried.waiting if retried.pending else ():
        report.say(
            Console(),
            f"batch {batch.batch} has {batch.pending} pending: callimport run --resume {batch.batch}{where} sends them",
        )
    return ExitCode.OK


@commands.command(
    epilog=f"""\b
Examples:
  callimport reconcile --destination sandbox
  callimport reconcile --destination production --account 301 --json
  callimport reconcile --accept 7K3Q-2M9D-XA 42534452
  callimport reconcile --resend 7K3Q-2M9D-XA

{_EXIT_CODES}"""
)
@click.option(
    "--accept",
    type=(str, click.IntRange(1, 2**63 - 1)),
    multiple=True,
    metavar="KEY ID",
    help="A held call is in the CRM: it is communication ID. Nothing is looked up.",
)
@click.option(
    "--resend",
    multiple=True,
    metavar="KEY",
    help="A held call is not in the CRM: the next run sends it. It may make a second copy. Nothing is looked up.",
)
@options.placing
@options.looking
@options.answering
def reconcile(accept: tuple[tuple[str, int], ...], resend: tuple[str, ...], **given: Any) -> ExitCode:
    """Look calls in doubt up in the CRM, sending nothing, and list those that a person must decide."""
    with json_answers.errors_answered(given["as_json"]):
        settings = options.settings(given)
        if accept or resend:
            settled = decide(settings, _tools(given), resend=resend, accept=accept)
            for key in resend:
                _talk(given).warn(
                    f"{key} is sent by the next run: if it is in the CRM after all, that is a second copy"
                )
        else:
            settled = anyio.run(settle, settings, _tools(given))
    if given["as_json"]:
        json_answers.one_object(settled.for_machines())
    else:
        report.print_settled(
            Console(),
            verdicts=settled.verdicts,
            decided=settled.decided,
            pending=settled.pending,
            in_doubt=settled.in_doubt,
            held=settled.held,
            destination=given["destination"],
        )
    return _stop(settled.damaged, settled.exit_code) if settled.damaged else settled.exit_code


def _tools(given: dict[str, Any]) -> importer.Tools:
    talk = _talk(given)
    if told := options.too_fast(given):
        talk.warn(told)
    return importer.Tools(
        clock=_clock(),
        talk=talk,
        rng=random.Random(),
        ask=_ask if sys.stdin is not None and sys.stdin.isatty() else None,
    )


def _clock() -> models.Clock:
    return models.Clock(wall=lambda: datetime.now(UTC), monotonic=time.monotonic)


def _talk(given: dict[str, Any] | None = None) -> report.Talk:
    given = given or {}
    return report.Talk(
        report.Stderr(),
        _clock().wall,
        quiet=given.get("quiet", False),
        as_json=given.get("log_format") == "json",
    )


def _ask(question: str) -> str:
    return str(click.prompt(privacy.mask(question), err=True))


def _answer(result: endings.Result, given: dict[str, Any], *, sent: bool) -> ExitCode:
    """The answer on stdout; with --json the talk for people goes to stderr, so that nothing is left unsaid."""
    talk = _talk(given)
    if given["as_json"]:
        told = report.summary_json(
            result.summary, error=result.error, plan=result.plan, pilot=result.pilot, findings=result.findings
        )
        json_answers.print_answer(told)
        for line in report.lists(result):
            talk.say(line)
    else:
        report.print_result(Console(), result, sent=sent)
    if result.error:
        talk.error(result.error)
    return ExitCode(result.summary.exit_code)


def _stop(message: str, code: ExitCode) -> ExitCode:
    _talk().error(message)
    return code


def _stop_unparsed(error: click.ClickException) -> ExitCode:
    """What cannot be read as a command is an answer, too, where it asks for JSON."""
    context, message = getattr(error, "ctx", None), error.format_message()
    if isinstance(error, click.UsageError):
        message += f" See {context.command_path if context else 'callimport'} --help"
    if json_answers.asked_for_json():
        json_answers.answer_error(message, ExitCode.USAGE)
    return _stop(message, ExitCode.USAGE)


commands.add_command(sandbox.command)
profiles.register(commands, lambda: _clock().wall())
verify_export_find.register(commands, _tools)
doctor.register(commands, _tools)
