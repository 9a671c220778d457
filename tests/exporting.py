"""Exports written by a test, and what an import makes of them, seen offline and without a process."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from callimport import importer, report
from callimport.core import endings, errors
from callimport.core.decisions import CALLS
from callimport.core.settings import Settings
from callimport.resolve.inputs import Inputs
from callimport.resolve.resolution import Resolution
from callimport.transform.staging import Staging
from tests import making
from tests.rehearsal import ROOT

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ZONE = "America/Toronto"
# Every export of tests/exports, without what was worked out by hand beside it.
SAMPLES = sorted(path for path in (ROOT / "tests" / "exports").glob("*.csv") if not path.stem.endswith(".calls"))
# Recipes that nobody tried on a real export are not detected.
BY_NAME_ONLY = ("five9", "avaya-smdr")
_SETTINGS = Settings(files=(), timezone=ZONE, unknown_agent="omit")


def settings(*files: Path, **changes: Any) -> Settings:
    """Times are of Toronto and agents of no matter, unless said otherwise."""
    return replace(_SETTINGS, files=tuple(map(str, files)), **changes)


def profile_of(sample: Path) -> str | None:
    """What --profile must say for one of SAMPLES."""
    return next((name for name in BY_NAME_ONLY if sample.stem.startswith(name)), None)


def write(path: Path, *lines: str, end: str = "\n", encoding: str = "utf-8") -> Path:
    path.write_bytes("".join(line + end for line in lines).encode(encoding))
    return path


def leads(folder: Path) -> Path:
    """A lead for every number from 514 555-0100 on: 5000 and the last two digits."""
    path = folder / "leads.txt"
    path.write_text("phone,lead_id\n" + "".join(f"+15145550{n},{4900 + n}\n" for n in range(100, 200)), "utf-8")
    return path


def tools() -> importer.Tools:
    return importer.Tools(clock=making.clock(NOW), talk=report.Talk(Console(file=io.StringIO()), lambda: NOW))


def check(*files: Path, **changes: Any) -> endings.Result:
    """What `callimport check` answers. Every row and every call is counted once, whatever the files hold."""
    result = importer.check(settings(*files, **changes), tools())
    assert_adds_up(result)
    return result


def assert_adds_up(result: endings.Result) -> None:
    rows, calls = result.summary.rows, result.summary.calls
    assert rows.adds_up(), result.summary
    assert calls.adds_up(rows), result.summary
    assert result.error is None or result.summary.exit_code == errors.ExitCode.GUARD


def inputs(*files: Path, **changes: Any) -> Inputs:
    """With a lead for every number, beside the first file. The state folder lies there, too."""
    changes.setdefault("leads", leads(files[0].parent))
    its = settings(*files, **changes)
    return Inputs(its, NOW, Staging(its.state_dir or files[0].parent / "state"))


def resolution(of: Inputs) -> Resolution:
    """A way through the calls of the files, which are read first."""
    for _ in of.staged.stage():
        pass
    return of.resolution()


def resolved(*files: Path, **changes: Any) -> Resolution:
    return resolution(inputs(*files, **changes))


def calls(of: Resolution) -> list[Mapping[str, Any]]:
    """The calls in the order of files and rows, by the columns of `mapping.CALL_COLUMNS`."""
    found = [call for part in of.parts() for call in part.calls.to_dicts()]
    return sorted(found, key=lambda call: (call["_source"], call["_row"]))


def calls_of(*files: Path, **changes: Any) -> list[Mapping[str, Any]]:
    return calls(resolved(*files, **changes))


def planned(of: Resolution, account_id: int = 77) -> list[dict[str, Any]]:
    """The calls as the plan takes them (CALLS; the marks as one text), in the order of files and rows."""
    of.account_id = account_id
    found = pl.concat([pl.DataFrame(schema=CALLS), *(part.planned for part in of.parts())])
    return found.with_columns(pl.col("marks").list.join(" ")).sort("source", "row").to_dicts()


def told(found: Iterable[Mapping[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    """Of each call these columns; instants as text."""
    return [tuple(_plain(call[name]) for name in columns) for call in found]


def rules(result: endings.Result) -> dict[str, int]:
    """Of the rejects: how often each rule was broken."""
    return {finding.rule: finding.count for finding in result.findings}


def _plain(value: Any) -> Any:
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value
