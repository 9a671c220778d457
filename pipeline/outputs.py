"""The files that a run leaves beside its answer: checked before hours of work, written whole."""

from pathlib import Path

from pipeline import config, outfile, rejects
from pipeline.exports import sources_of
from pipeline.intake import Intake
from pipeline.ledger import Enrolled


def refuse_unfit(settings: config.Settings, html: Path | None = None) -> None:
    """Before hours of work: no output may exist already, or be one of the files that are read."""
    if settings.rejects is not None:
        rejects.refuse_unfit(settings.rejects)
    answers = (settings.rejects, settings.unknown_callers, settings.draft_agents, html)
    outputs = [path for path in answers if path is not None]
    others = (
        settings.leads,
        settings.agents,
        settings.ledger,
        settings.exclude_numbers,
        Path(settings.profile) if settings.profile else None,
    )
    outfile.refuse_same(outputs, [*sources_of(settings), *(path for path in others if path is not None)])
    for path in outputs:
        # Whether a reject file of before is in the way shows when it is known what would be written.
        is_of_before = path == settings.rejects and rejects.is_one(path)
        outfile.refuse_existing(path, force=settings.force or is_of_before)


def write(settings: config.Settings, intake: Intake | None, enrolled: Enrolled) -> tuple[str, ...]:
    """What to say of them, but for the rejects: those are told with their number."""
    if intake is None:
        return ()
    told: list[str] = []
    for rejected in enrolled.rejects:
        intake.tally.reject(rejected)
    intake.take_legs_back()
    if settings.rejects is not None:
        rejects.place(settings.rejects, lambda path: _write_rejects(path, intake), force=settings.force)
    if settings.unknown_callers is not None:
        count = intake.unknown_callers.write(settings.unknown_callers, intake.zone)
        told.append(f"unknown callers {settings.unknown_callers}: {count:,} without a lead, most calls first")
    if settings.draft_agents is not None and intake.agents_found is not None:
        count = intake.agents_found.write(settings.draft_agents, intake.zone, intake.agents.file)
        told.append(f"agents {settings.draft_agents}: {count:,}; fill in email or user_id, then give it to --agents")
    return tuple(told)


def _write_rejects(path: Path, intake: Intake) -> None:
    rejects.write(
        path,
        intake.exports.chunks(),
        intake.tally.rejects,
        several_sources=len(intake.sources) > 1,
        recipe=intake.profile,
    )
