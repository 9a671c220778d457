"""A Parquet file on which Polars panics ends in one line. The panic is not shown."""

import os
import select
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from callimport.core import errors
from callimport.extract import parquet, reader, source_file


def _file(folder: Path, *columns: pl.Series) -> Path:
    pl.DataFrame(list(columns)).write_parquet(folder / "calls.parquet")
    return folder / "calls.parquet"


def _message(path: Path) -> str:
    with pytest.raises(errors.SourceError) as caught:
        reader.peek(reader.open_source(path))
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("when", [2**31 - 1], dtype=pl.Int32).cast(pl.Date),
        pl.Series("when", [-(2**63)], dtype=pl.Int64).cast(pl.Datetime("ms")),
        pl.Series("when", [2**63 - 1], dtype=pl.Int64).cast(pl.Datetime("us", "America/Toronto")),
        pl.Series("when", [[2**31 - 1]], dtype=pl.List(pl.Int32)).cast(pl.List(pl.Date)),
        pl.DataFrame({"a": pl.Series([2**63 - 1], dtype=pl.Int64).cast(pl.Duration("ms"))}).to_struct("when"),
    ],
    ids=["date", "instant", "instant in a zone", "dates in a list", "span in a struct"],
)
def test_a_date_that_no_calendar_has_is_refused_with_its_column(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], column: pl.Series
) -> None:
    assert 'column "when" holds a date' in _message(_file(tmp_path, pl.Series("a", ["x"]), column))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63)])
def test_an_instant_that_can_be_shown_is_read(tmp_path: Path, value: int) -> None:
    path = _file(tmp_path, pl.Series("when", [value, None], dtype=pl.Int64).cast(pl.Datetime("ns")))
    assert sum(chunk.frame.height for chunk in reader.read(reader.open_source(path))) == 2


def test_a_process_that_dies_while_it_reads_is_an_error_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of memory, Rust ends the process, and Python can catch nothing."""
    monkeypatch.setattr(parquet, "__name__", "no_such_module")
    assert "it is damaged inside" in _message(_file(tmp_path, pl.Series("a", ["x"])))


def test_the_reading_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """A second Ctrl-C or `kill -9` ends the parent at once. The child still holds `alive` until it ends."""
    path = _file(tmp_path, pl.Series("a", ["x"]))
    script = (
        "import os, sys, threading\n"
        "from pathlib import Path\n"
        "from callimport.core import models\n"
        "from callimport.extract import parquet\n"
        # The child runs this instead of the reading, which may take minutes.
        "code = 'import os, threading; from callimport.extract import parquet;'\n"
        "code += ' parquet._read_all = lambda _: (os.write(1, b\"r\"), threading.Event().wait());'\n"
        "popen = parquet.subprocess.Popen\n"
        "def started(command, **options):\n"
        "    command[3] = command[3].replace('from callimport.extract.parquet import read_for_parent;', code)\n"
        "    command[3] = command[3].replace('read_for_parent()', 'parquet.read_for_parent()')\n"
        "    process = popen(command, **options | {'pass_fds': (int(sys.argv[2]),)})\n"
        "    process.stdout.read(1)\n"
        "    os._exit(0)\n"
        "parquet.subprocess.Popen = started\n"
        "path = Path(sys.argv[1])\n"
        "parquet._refuse_unreadable(models.Source(path, '', path.stat().st_size, 0))\n"
    )
    reading, alive = os.pipe()
    subprocess.run([sys.executable, "-c", script, path, str(alive)], pass_fds=[alive], check=True, timeout=60)
    os.close(alive)
    is_ended = select.select([reading], [], [], 30)[0]
    os.close(reading)
    assert is_ended


def test_the_packages_of_the_working_folder_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(tmp_path, pl.Series("a", ["x"]))
    (tmp_path / "polars.py").write_text("raise SystemExit(1)", "utf-8")
    monkeypatch.chdir(tmp_path)
    assert len(reader.peek(reader.open_source(path)).records) == 2


def test_more_columns_than_a_call_log_has_are_refused(tmp_path: Path) -> None:
    path = _file(tmp_path, *(pl.Series(f"c{number}", ["x"]) for number in range(source_file.MOST_COLUMNS + 1)))
    assert "1,001 columns, more than 1,000" in _message(path)


def test_more_rows_than_the_bytes_can_hold_are_refused(tmp_path: Path) -> None:
    path = _file(tmp_path, pl.zeros(parquet.MOST_ROWS + 1, pl.Int8, eager=True).alias("a"))
    assert path.stat().st_size * parquet.MOST_ROWS_A_BYTE < parquet.MOST_ROWS
    assert "declares 1,000,001 rows" in _message(path)
