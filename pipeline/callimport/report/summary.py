"""What a run came to: every row and every call counted once, and the exit code that follows."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from callimport.core import endings, errors, limits, models, plurals
from callimport.core.decisions import Entered
from callimport.core.errors import ExitCode
from callimport.core.models import ItemStatus, Skip
from callimport.transform.counts import Tally, told_of_blanks

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Reckoning:
    """Everything the counts are made of: of a plan, or of the run that has entered it. `tally` and `sources` are empty
    for a run without files. `ledger` is the path that is shown; None shows none."""

    standing: endings.Standing
    entered: Entered
    batch_id: str
    tally: Tally
    sources: tuple[models.Source, ...]
    elapsed_seconds: float
    run_id: str | None = None
    requests: int = 0
    rate_limited: int = 0
    work_may_be_left: bool = False
    ledger: str | None = None
    stopped_by: errors.ImporterError | None = None
    interrupted: ExitCode | None = None
    fail_on: frozenset[str] = frozenset()
    updates: endings.Updates = field(default_factory=endings.Updates)
    recordings: endings.Recordings = endings.NO_RECORDINGS
    unattached: tuple[endings.Unattached, ...] = ()
    audio: endings.AudioFolder | None = None
    told: tuple[str, ...] = ()

    def result(
        self, *, rejects: Path | None = None, plan: str | None = None, destination: str | None = None
    ) -> endings.Result:
        standing, rows, calls, skipped = self.standing, self._rows(), self._calls(), self._skipped()
        damaged = standing.damaged
        error = str(self.stopped_by) if self.stopped_by else damaged
        if not (rows.adds_up() and calls.adds_up(rows)):
            error = error or "rows and calls do not add up: please report this; callimport doctor checks the ledger"
        summary = endings.Summary(
            run_id=self.run_id,
            batch=self.batch_id,
            exit_code=self._exit_code(rows, calls, skipped, is_damaged=damaged is not None),
            elapsed_seconds=round(self.elapsed_seconds, 1),
            requests=self.requests,
            rate_limited=self.rate_limited,
            rows=rows,
            calls=calls,
            dropped=dict(sorted(self.tally.dropped.items())),
            skipped=skipped,
            known_rejects=len(self.tally.known_rejects),
            changed=self.updates.waiting,
            recordings=self._recordings(),
            lines=self.tally.all_lines().counts(),
        )
        return endings.Result(
            summary=summary,
            findings=findings(self.tally, self.sources),
            left_out=self.tally.left_out(self.sources),
            in_doubt=standing.in_doubt,
            held=standing.held,
            refused=standing.refused,
            failed=standing.failed,
            existing=standing.existing,
            pilot=standing.pilot,
            updates=self.updates,
            waiting=standing.waiting,
            told=(
                *self._not_rows(),
                *self._known_rejects(),
                *told_of_blanks(self.tally.blanked),
                *self.told,
                *self._left(summary),
                *((damaged,) if damaged is not None and damaged != error else ()),
            ),
            kept_otherwise=dict(standing.kept_otherwise + Counter(self.updates.kept_otherwise)),
            unattached=self.unattached,
            audio=self.audio,
            destination=destination,
            ledger=self.ledger,
            rejects=str(rejects) if rejects else None,
            plan=plan,
            error=error,
        )

    def _not_rows(self) -> Iterator[str]:
        """Say which lines were not read as rows, if there are others than the header."""
        lines = self.tally.all_lines()
        kinds = {
            plurals.lines(lines.preamble, "before the header"): lines.preamble,
            f"{lines.blank:,} blank": lines.blank,
            f"{lines.repeated:,} of repeated headers": lines.repeated,
            f"{lines.trailer:,} behind the last row (Ctrl-Z or NUL)": lines.trailer,
        }
        if told := ", ".join(kind for kind, count in kinds.items() if count):
            yield f"not rows: {told}"

    def _known_rejects(self) -> Iterator[str]:
        if known := len(self.tally.known_rejects):
            rows = f"{known:,} row{'' if known == 1 else 's'}"
            yield f"known rejects: {rows} that an earlier run has reported, or that a mended row has replaced"

    def _left(self, summary: endings.Summary) -> Iterator[str]:
        """What is left to do, where the exit code has something graver to tell than that."""
        pending = summary.calls.pending
        if self.work_may_be_left and pending and summary.exit_code in (ExitCode.IN_DOUBT, ExitCode.ROWS_FAILED):
            is_late = self.interrupted is ExitCode.WORK_LEFT
            why = "the time was up (--max-duration)" if is_late else "stopped as asked"
            yield f"{why}, {plurals.calls(pending, 'pending')} left: run again to go on"

    def _recordings(self) -> endings.Recordings:
        """Of a check, those that would be uploaded are pending."""
        if self.audio is None:
            return self.recordings
        return endings.Recordings(missing=self.audio.missing, pending=self.audio.matched)

    def _rows(self) -> endings.Rows:
        """The ledger's rejects, such as reused ids, are in the tally by now."""
        rejected = len(self.tally.rejects)
        tally = self.tally
        calls = tally.calls + tally.duplicate + sum(tally.skipped.values()) - len(self.entered.rejects)
        dropped = sum(self.tally.dropped.values())
        return endings.Rows(self.tally.read, self.tally.joined, dropped, rejected, calls)

    def _calls(self) -> endings.Calls:
        """Count calls by status. A call whose update is held counts as held, in this run or from before."""
        items, adopted, updates = self.standing.items, self.standing.adopted, self.updates
        return endings.Calls(
            total=self._rows().calls + self.entered.carried + updates.carried,
            carried=self.entered.carried + updates.carried,
            duplicate=self.tally.duplicate,
            skipped=sum(self._skipped().values()),
            # Until an update of it ended otherwise, a known call is among these.
            unchanged=self.entered.unchanged - updates.known + updates.unchanged - self.standing.held_known,
            delivered=items[ItemStatus.DELIVERED] - adopted,
            updated=updates.updated,
            adopted=adopted,
            refused=items[ItemStatus.REFUSED] + updates.refused,
            failed=items[ItemStatus.FAILED] + updates.failed,
            in_doubt=items[ItemStatus.IN_DOUBT] + items[ItemStatus.IN_FLIGHT],
            held=items[ItemStatus.HELD] + self.standing.held_known,
            pending=items[ItemStatus.PENDING] + updates.pending,
        )

    def _skipped(self) -> dict[str, int]:
        items = self.standing.items
        skipped = {str(skip): count for skip, count in sorted(self.tally.skipped.items())}
        gone = self.entered.gone + self.updates.gone + items[ItemStatus.GONE]
        # Within a run, nothing else is withdrawn than what was found to be there.
        existing = self.entered.existing + items[ItemStatus.WITHDRAWN]
        given_up = {
            str(Skip.EXISTING): existing,
            str(Skip.WITHDRAWN): self.entered.withdrawn,
            str(Skip.GONE): gone,
        }
        return skipped | {skip: count for skip, count in given_up.items() if count}

    def _exit_code(
        self, rows: endings.Rows, calls: endings.Calls, skipped: Mapping[str, int], *, is_damaged: bool
    ) -> ExitCode:
        earned = [ExitCode.STOPPED if is_damaged else ExitCode.OK]
        # That the time was up counts only where something is left.
        if self.interrupted not in (None, ExitCode.WORK_LEFT):
            earned.append(self.interrupted)
        if self.stopped_by is not None:
            earned.append(self.stopped_by.exit_code)
        if not (rows.adds_up() and calls.adds_up(rows)):
            earned.append(ExitCode.STOPPED)
        if calls.in_doubt or calls.held:
            earned.append(ExitCode.IN_DOUBT)
        troubles = (calls.refused, calls.failed, self.updates.late_troubles)
        if (
            rows.rejected > len(self.tally.known_rejects)
            or any(troubles)
            or self.recordings.refused
            or self.recordings.failed
        ):
            earned.append(ExitCode.ROWS_FAILED)
        if limits.is_failing(self.fail_on, skipped, duplicate=calls.duplicate, changed=self.updates.waiting):
            earned.append(ExitCode.ROWS_FAILED)
        if self.work_may_be_left and (calls.pending or self.recordings.pending):
            earned.append(ExitCode.WORK_LEFT)
        return errors.worst(*earned)


def findings(tally: Tally, sources: tuple[models.Source, ...]) -> tuple[endings.Finding, ...]:
    """The rules that rows broke, the most frequent first. Known rejects were told before."""
    by_rule: dict[str, list[tuple[models.Place, str]]] = defaultdict(list)
    for place in sorted(tally.rejects.keys() - tally.known_rejects):
        for reason in tally.rejects[place]:
            by_rule[reason.rule].append((place, reason.message))
    found = [
        endings.Finding(
            rule,
            len(places),
            places[0][1],
            tuple(f"{sources[place.source].name} row {place.row}" for place, _ in places[:EXAMPLES]),
        )
        for rule, places in by_rule.items()
    ]
    return tuple(sorted(found, key=lambda finding: (-finding.count, finding.rule)))
