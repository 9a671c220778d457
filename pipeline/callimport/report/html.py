"""The answer on a page: one file, no scripts, nothing fetched, to be mailed to whoever made the export."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2

from callimport.core import endings, models, privacy
from callimport.core import files as private_files
from callimport.ledger.runs import LastRun
from callimport.report.recordings import recording_lines
from callimport.report.terminal import MEANINGS, meaning_of

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("callimport.report", "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    finalize=lambda value: privacy.mask(value) if isinstance(value, str) else value,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["mask_phone"] = privacy.mask_phone
MOST_LISTED = 200


def write_run(
    path: Path,
    run: LastRun,
    *,
    account: models.Account | None,
    ledger: str,
    listed: Mapping[models.ItemStatus, Sequence[models.Listed]],
) -> None:
    """The page of the last import; of the calls `listed` by where they stand, the first few are shown."""
    page = _ENVIRONMENT.get_template("run.html").render(
        run=run,
        account=account,
        ledger=ledger,
        listed=listed,
        most=MOST_LISTED,
        meanings=MEANINGS,
        ending=meaning_of(run.exit_code),
    )
    with private_files.opened(path) as file:
        file.write(page)


def write_html(path: Path, result: endings.Result, *, files: tuple[str, ...]) -> None:
    page = _ENVIRONMENT.get_template("check.html").render(
        result=result, summary=result.summary, files=files, recordings=tuple(recording_lines(result))
    )
    with private_files.opened(path) as file:
        file.write(page)
