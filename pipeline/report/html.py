"""The answer on a page: one file, no scripts, nothing fetched, to be mailed to whoever made the export."""

from pathlib import Path

import jinja2

from pipeline import endings, outfile, privacy
from pipeline.report.recordings import recording_lines

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("pipeline.report", "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["hide_numbers"] = privacy.hide_numbers


def write_html(path: Path, result: endings.Result, *, files: tuple[str, ...]) -> None:
    page = _ENVIRONMENT.get_template("check.html").render(
        result=result, summary=result.summary, files=files, recordings=tuple(recording_lines(result))
    )
    with outfile.opened(path) as file:
        file.write(page)
