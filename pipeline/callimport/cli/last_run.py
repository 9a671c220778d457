"""callimport report: the last import on one page, told from the ledger alone."""

from dataclasses import dataclass
from pathlib import Path

from callimport import report
from callimport.cli.status import LISTED
from callimport.core import errors, files, models
from callimport.core.settings import Settings
from callimport.ledger import damage, held_updates, queries, runs
from callimport.load import account_ledger


@dataclass(frozen=True, slots=True)
class Written:
    """The run that the page is about. `damaged` names the calls that are not on it."""

    run_id: str
    damaged: str | None


def write(settings: Settings, clock: models.Clock, path: Path) -> Written:
    """Write the page. ConfigError where there is none, or the file may not be."""
    files.refuse_existing(path, force=settings.force)
    with account_ledger.reading(settings, clock) as ledger:
        database = ledger.database
        files.refuse_same((path,), (Path(database.place),))
        run = runs.last(database)
        if run is None:
            raise errors.ConfigError(f"nothing was imported with the ledger {database.place} yet: run an import first")
        listed = {status: queries.of_batch(database, run.batch, status) for status in LISTED}
        listed[models.ItemStatus.HELD] += held_updates.items(database, run.batch)
        report.write_run(
            path,
            run,
            account=queries.bound_account(database),
            ledger=database.place,
            listed=listed,
        )
        return Written(run.run_id, damage.told(database))
