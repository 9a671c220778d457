"""Everything that can go wrong, classed by what may be done next.

ImporterError
├── ConfigError          exit 2  the command or its settings are wrong: mend them, run again
├── SourceError          exit 5  a file is missing, unreadable or still being written; nothing was sent
│   └── SchemaMismatch   exit 5  a file is not what its profile says; nothing was sent
├── LedgerError          exit 1  the ledger refused or could not be written; nothing further was sent
├── RunInProgress        exit 6  another run holds the ledger or the account
├── GuardStopped         exit 8  a person must decide; the message says how
├── DestinationUnusable  exit 1  key refused, redirected, unreachable: stop at once, do not burn through the rows
└── Interrupted          exit 130, 143  asked to stop before anything was sent

Outcome (what one request came to; met only by load/deliver and crm/retry, never by the command line)
├── NotApplied           surely not stored: may be sent again
│   └── Limited          the rate limit said no before anything ran: costs no attempt
├── Refused              a definite no: another try would get the same answer
├── InDoubt              may or may not be stored: never sent again on a guess
└── Incomplete           a read that does not show everything: nothing may be concluded from it
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What cron sees. Which of several wins is `worst`."""

    OK = 0
    STOPPED = 1
    USAGE = 2
    ROWS_FAILED = 3
    IN_DOUBT = 4
    SOURCE = 5
    LOCKED = 6
    WORK_LEFT = 7
    GUARD = 8
    INTERRUPTED = 130
    TERMINATED = 143


_PRECEDENCE = (
    ExitCode.TERMINATED,
    ExitCode.INTERRUPTED,
    ExitCode.USAGE,
    ExitCode.SOURCE,
    ExitCode.LOCKED,
    ExitCode.GUARD,
    ExitCode.STOPPED,
    ExitCode.IN_DOUBT,
    ExitCode.ROWS_FAILED,
    ExitCode.WORK_LEFT,
    ExitCode.OK,
)


def worst(*codes: ExitCode) -> ExitCode:
    """The one exit code of a run that earned several."""
    return min(codes, key=_PRECEDENCE.index, default=ExitCode.OK)


class ImporterError(Exception):
    """Ends the run. The message says what happened, then what to do next, in one line."""

    exit_code = ExitCode.STOPPED


class ConfigError(ImporterError):
    exit_code = ExitCode.USAGE


class SourceError(ImporterError):
    exit_code = ExitCode.SOURCE


class SchemaMismatch(SourceError):
    pass


class LedgerError(ImporterError):
    exit_code = ExitCode.STOPPED


class RunInProgress(ImporterError):
    exit_code = ExitCode.LOCKED


class GuardStopped(ImporterError):
    exit_code = ExitCode.GUARD


class DestinationUnusable(ImporterError):
    """`in_doubt` says whether the request that showed it may have been stored."""

    exit_code = ExitCode.STOPPED

    def __init__(self, message: str, *, in_doubt: bool = False) -> None:
        super().__init__(message)
        self.in_doubt = in_doubt


class Interrupted(ImporterError):
    def __init__(self, exit_code: ExitCode, message: str | None = None) -> None:
        why = "the time is up (--max-duration)" if exit_code is ExitCode.WORK_LEFT else "interrupted"
        super().__init__(message or f"{why} before anything was sent: the ledger is as it was; run again")
        self.exit_code = exit_code


class Outcome(Exception):
    """What one request came to, when it was not a plain yes.

    `evidence` is for the attempt log: what was seen, without token, phone number or body.
    """

    def __init__(self, evidence: str, *, status: int | None = None) -> None:
        super().__init__(evidence)
        self.evidence = evidence
        self.status = status


class NotApplied(Outcome):
    pass


class Limited(NotApplied):
    """`retry_after` is in seconds, None where the answer named no time."""

    def __init__(self, evidence: str, *, retry_after: float | None, status: int = 429) -> None:
        super().__init__(evidence, status=status)
        self.retry_after = retry_after


class Refused(Outcome):
    """`reasons` are the CRM's own words, one a field."""

    def __init__(self, evidence: str, *, status: int, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(evidence, status=status)
        self.reasons = reasons


class InDoubt(Outcome):
    """`applied` is True where a 2xx came whose id could not be read: stored for sure, where is unknown."""

    def __init__(self, evidence: str, *, status: int | None = None, applied: bool = False) -> None:
        super().__init__(evidence, status=status)
        self.applied = applied


class Incomplete(Outcome):
    pass
