"""Streaks and budgets that say that it is the CRM, the mapping or this machine that is wrong, and not one call."""

from collections.abc import Callable

from callimport.core import errors

LONGEST_WITHOUT_PASSING_SECONDS = 15 * 60
FORBIDDEN_THAT_STOP = 3
ALIKE_THAT_STOP = 20
STALE_THAT_STOP = 3
# A small run may be unlucky; a large one whose every fifth create must be repeated has no network.
REPEATS_ALLOWED = 10
REPEATS_ALLOWED_PER_CALL = 0.2


class Patience:
    """Told of what becomes of creates; raises the ImporterError that ends the run where patience is at its end."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._passed_at = monotonic()
        self._longest_pause = 0.0
        self._forbidden = 0
        self._refusal: tuple[int | None, tuple[str, ...]] | None = None
        self._alike = 0
        self._stale = 0
        self._repeats = 0

    def delivered(self) -> None:
        self._passed_at = self._monotonic()
        self._forbidden = self._alike = 0

    def refused(self, outcome: errors.Refused) -> None:
        """Raises DestinationUnusable where it is the key that is refused, GuardStopped where it is the mapping."""
        self._passed_at = self._monotonic()
        self._forbidden = self._forbidden + 1 if outcome.status == 403 else 0
        refusal = (outcome.status, outcome.reasons)
        self._alike = self._alike + 1 if refusal == self._refusal else 1
        self._refusal = refusal
        if self._forbidden >= FORBIDDEN_THAT_STOP:
            raise errors.DestinationUnusable(
                f"the CRM forbade {FORBIDDEN_THAT_STOP} calls in a row (403): ask its support what this key may do, "
                "then callimport retry --refused"
            )
        if self._alike >= ALIKE_THAT_STOP:
            why = "; ".join(outcome.reasons) or outcome.evidence
            raise errors.GuardStopped(
                f"the CRM refused {self._alike} calls in a row for the very same reason ({why}): mend leads, agents or "
                "mapping, then callimport retry --refused and run again"
            )

    def limited(self, pause_seconds: float) -> None:
        """Raises DestinationUnusable where the rate limit has let nothing through for too long."""
        without_passing = self._monotonic() - self._passed_at
        # One long pause that the CRM asked for is obeyed, and not held against it.
        patience = LONGEST_WITHOUT_PASSING_SECONDS + self._longest_pause
        self._longest_pause = max(self._longest_pause, pause_seconds)
        if without_passing > patience:
            raise errors.DestinationUnusable(
                "the CRM has let nothing through for 15 minutes (429): another integration may be using the same key; "
                "run again later, or with a lower --rate"
            )

    def repeats(self, calls_begun: int, outcome: errors.Outcome) -> None:
        """A create that surely did not reach the CRM is to go again. Raises DestinationUnusable where too many do."""
        self._repeats += 1
        allowed = int(REPEATS_ALLOWED + REPEATS_ALLOWED_PER_CALL * calls_begun)
        if self._repeats > allowed:
            raise errors.DestinationUnusable(
                f"of {calls_begun} calls begun, {self._repeats} had to be tried again and {allowed} may (last: "
                f"{outcome.evidence}): nothing more is sent; look at the network between here and the CRM, then run "
                "again"
            )

    def wrote_in_time(self) -> None:
        self._stale = 0

    def wrote_late(self) -> None:
        """An intent took too long to be written. Raises LedgerError where that is how this disk is."""
        self._stale += 1
        if self._stale >= STALE_THAT_STOP:
            raise errors.LedgerError(
                f"the ledger took too long to be written {self._stale} times in a row, and nothing was sent: put it on "
                "a disk of this machine that is not so busy, then run again"
            )
