"""The files that a run leaves beside its answer: checked before hours of work, written whole.

What is to be gone through by a person, the rejects and the two lists, may be replaced only with --force. But one that
says the same already stays, so that a dry run's file is no obstacle to the run, and one without a row is replaced.
"""

import filecmp
import tempfile
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path

from callimport.core import errors, files, table_file, workbook_writer
from callimport.core.settings import Settings
from callimport.extract import reader
from callimport.profiles.exports import sources_of
from callimport.resolve import agents_draft, unknown_callers
from callimport.resolve.inputs import Inputs
from callimport.resolve.resolution import Resolution
from callimport.transform import rejects

# Of a workbook, the part that says when it was written.
_WHEN_WRITTEN = "docProps/core.xml"


def refuse_unfit(settings: Settings, html: Path | None = None) -> None:
    """Before hours of work: no output may exist already, unless it is one of before that may say the same, or be one
    of the files that are read."""
    if settings.rejects is not None:
        rejects.refuse_unfit(settings.rejects)
    if settings.unknown_callers is not None:
        table_file.refuse_unfit(settings.unknown_callers, "unknown callers")
    if settings.draft_agents is not None:
        table_file.refuse_unfit(settings.draft_agents, "agents")
    answers: dict[Path | None, Collection[str]] = {
        settings.rejects: rejects.COLUMNS,
        settings.unknown_callers: unknown_callers.HEADER,
        settings.draft_agents: agents_draft.HEADER,
    }
    paths = (settings.rejects, settings.unknown_callers, settings.draft_agents, html)
    outputs = [path for path in paths if path is not None]
    others = (
        settings.leads,
        settings.agents,
        settings.ledger,
        settings.exclude_numbers,
        Path(settings.profile) if settings.profile else None,
    )
    files.refuse_same(outputs, [*sources_of(settings), *(path for path in others if path is not None)])
    for path in outputs:
        # Whether one of before is in the way shows when it is known what would be written.
        is_of_before = path in answers and _has_columns(path, answers[path])
        files.refuse_existing(path, force=settings.force or is_of_before, is_table=path != html)


def write(
    settings: Settings,
    inputs: Inputs | None,
    resolution: Resolution | None,
) -> tuple[str, ...]:
    """What to say of them, but for the rejects: those are told with their number."""
    if inputs is None or resolution is None:
        return ()
    told: list[str] = []
    if settings.rejects is not None:
        _place(settings.rejects, lambda path: _write_rejects(path, inputs, resolution), force=settings.force)
    callers = resolution.unknown_callers
    if settings.unknown_callers is not None:
        count = _place(settings.unknown_callers, lambda path: callers.write(path, inputs.zone), force=settings.force)
        told.append(f"unknown callers {settings.unknown_callers}: {count:,} without a lead, most calls first")
    agents = resolution.agents_found
    if settings.draft_agents is not None and agents is not None:
        known = inputs.agents.file
        count = _place(settings.draft_agents, lambda path: agents.write(path, inputs.zone, known), force=settings.force)
        told.append(f"agents {settings.draft_agents}: {count:,}; fill in email or user_id, then give it to --agents")
    return tuple(told)


def _write_rejects(path: Path, inputs: Inputs, resolution: Resolution) -> int:
    return rejects.write(
        path,
        inputs.exports.chunks(),
        resolution.tally.rejects,
        several_sources=len(inputs.sources) > 1,
        profiles=[inputs.exports.of(number).profile for number in range(len(inputs.sources))],
    )


def _has_columns(path: Path, names: Collection[str]) -> bool:
    """Whether what lies there is such a file of ours, perhaps mended or filled in meanwhile."""
    try:
        return set(names) <= set(reader.header(reader.open_source(path)))
    except errors.SourceError:
        return False


def _place(path: Path, make: Callable[[Path], int], *, force: bool) -> int:
    """Have `make` write the file, and return what it returns. Raises ConfigError where another one lies there that may
    have been worked on."""
    if force or not path.exists() or not any(reader.read(reader.open_source(path))):
        return make(path)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        fresh = Path(folder) / path.name
        count = make(fresh)
        if not _is_same(fresh, path):
            raise errors.ConfigError(
                f"{path} has other rows than it would have now, or was worked on; nothing was sent: choose another "
                "name, or allow replacing it with --force"
            )
    return count


def _is_same(fresh: Path, old: Path) -> bool:
    if not workbook_writer.is_one(fresh):
        return filecmp.cmp(fresh, old, shallow=False)
    return _parts(fresh) == _parts(old)


def _parts(workbook: Path) -> dict[str, int]:
    with zipfile.ZipFile(workbook) as parts:
        return {part.filename: part.CRC for part in parts.infolist() if part.filename != _WHEN_WRITTEN}
