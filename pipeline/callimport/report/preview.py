"""What a recipe makes of the first rows of a file: for a person side by side, for machines as one object."""

from collections.abc import Iterable, Iterator, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from callimport.core import privacy
from callimport.report.json import one_line
from callimport.report.terminal import say
from callimport.transform import preview


def print_trial(console: Console, trial: preview.Trial) -> None:
    for line in _head(trial):
        say(console, line)
    if trial.rows:
        table = Table("row", "before", "after", show_lines=True)
        for row in trial.rows:
            table.add_row(str(row.row), Text(_told(row.before)), Text(_after(row)))
        console.print(table)
    for line in _tail(trial):
        say(console, line)


def trial_json(trial: preview.Trial) -> str:
    """One line: profile, because, notes, whole, rows read by their ending, the rules broken, and the rows shown."""
    answer = {
        "exit_code": int(trial.exit_code),
        "profile": trial.profile,
        "because": trial.because,
        "notes": trial.notes,
        "whole": trial.is_whole,
        "counts": {"read": sum(trial.counts.values())}
        | {ending.value: trial.counts.get(ending, 0) for ending in preview.Ending},
        "reasons": {rule: {"row": row, "message": message} for rule, (row, message) in trial.reasons.items()},
        "rows": [
            {"row": row.row, "ending": row.ending, "why": row.why, "before": row.before, "after": row.after}
            for row in trial.rows
        ],
    }
    return one_line(answer)


def _head(trial: preview.Trial) -> Iterator[str]:
    yield trial.because
    yield from trial.notes


def _tail(trial: preview.Trial) -> Iterator[str]:
    read = sum(trial.counts.values())
    endings = ", ".join(f"{trial.counts[ending]:,} {ending}" for ending in preview.Ending if trial.counts.get(ending))
    where = "" if trial.is_whole else "the first "
    yield f"{where}{read:,} rows: {endings}" if read else "no rows"
    for rule, (row, message) in trial.reasons.items():
        yield f"  rejected, as row {row}: {rule}: {message}"


def _after(row: preview.Row) -> str:
    ending = f"{row.ending}: {privacy.mask(row.why)}" if row.why else row.ending.value
    return "\n".join((ending, _told(row.after))) if row.ending is preview.Ending.CALL else ending


def _told(cells: Mapping[str, privacy.Masked]) -> str:
    return "\n".join(_lines(cells.items()))


def _lines(cells: Iterable[tuple[str, privacy.Masked]]) -> Iterator[str]:
    for name, text in cells:
        yield f"{privacy.mask(name)}: {text}"
