"""callimport report: the last import on one page, told from the ledger alone."""

from pathlib import Path

from callimport import report
from callimport.cli.status import LISTED
from callimport.core import errors, files, models
from callimport.core.settings import Settings
from callimport.ledger import held_updates, queries, runs
from callimport.load import account_ledger


def write(settings: Settings, clock: models.Clock, path: Path) -> str:
    """Write the page; the id of the run that it is about. ConfigError where there is none, or the file may not be."""
    files.refuse_existing(path, force=settings.force)
    with account_ledger.offline(settings, clock) as ledger:
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
    return run.run_id
