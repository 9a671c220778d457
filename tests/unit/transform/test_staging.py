"""Rows in hash partitions: rows that belong together come back together, and no file outlives its process."""

import itertools
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callimport.core import errors
from callimport.transform import staging
from callimport.transform.staging import Partitions, Staging, read_together
from tests.rehearsal import ROOT

_HASH = pl.col("group").hash()


def _rows(*groups: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"group": groups, "blank": [None] * len(groups)}, schema={"group": pl.Int64, "blank": pl.String}
    )


def _filled(area: Staging) -> Partitions:
    """Two files of two rows each, and one row in memory."""
    store = area.partitions()
    for number in range(5):
        store.add(_rows(number), _HASH)
    return store


@pytest.fixture
def area(tmp_path: Path) -> Staging:
    return Staging(tmp_path, rows_in_memory=2)


@settings(deadline=None, max_examples=40)
@given(
    chunks=st.lists(st.lists(st.integers(0, 5), max_size=4), min_size=1, max_size=6),
    limit=st.integers(1, 8),
)
def test_each_row_comes_back_once_and_equal_hashes_together(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[list[int]], limit: int
) -> None:
    with Staging(tmp_path_factory.mktemp("state"), limit) as area:
        store = area.partitions()
        for chunk in chunks:
            store.add(_rows(*chunk), _HASH)
        for _ in range(2):
            parts = [part["group"].to_list() for part in store.read()]
            added = list(itertools.chain(*chunks))
            assert sorted(itertools.chain(*parts)) == sorted(added)
            assert sum(len(set(part)) for part in parts) == len(set(added))


def test_partitions_of_several_stores_belong_together(area: Staging) -> None:
    with area:
        many, few = _filled(area), area.partitions()
        few.add(_rows(3), _HASH)
        both = [(set(one["group"]), set(other["group"])) for one, other in read_together(many, few)]
        assert len(both) > 1
        assert [{3} <= one for one, other in both if other] == [True]


def test_a_blank_column_comes_back_with_its_type(area: Staging) -> None:
    with area:
        assert {part.schema["blank"] for part in _filled(area).read()} == {pl.String()}


def test_a_store_without_a_frame_has_no_partition(area: Staging) -> None:
    with area:
        assert list(area.partitions().read()) == []


def test_few_rows_touch_no_disk(tmp_path: Path) -> None:
    with Staging(tmp_path / "state", rows_in_memory=5) as area:
        assert len(list(_filled(area).read())) == 1
        assert not (tmp_path / "state").exists()


def test_staged_rows_are_private(tmp_path: Path, area: Staging) -> None:
    with area:
        _filled(area)
        found = list((tmp_path / "staging").rglob("*"))
        assert {path.stat().st_mode & 0o777 for path in found if path.is_dir()} == {0o700}
        assert {path.stat().st_mode & 0o777 for path in found if path.suffix == ".parquet"} == {0o600}
        assert (tmp_path / "staging").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_nothing_is_left_however_the_work_ends(
    tmp_path: Path, area: Staging, error: type[BaseException] | None
) -> None:
    def work() -> None:
        with area:
            _filled(area)
            assert _folders(tmp_path) != []
            if error is not None:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(error):
            work()
    assert _folders(tmp_path) == []


def test_deleted_rows_leave_no_file(tmp_path: Path, area: Staging) -> None:
    with area:
        _filled(area).clear()
        assert list((tmp_path / "staging").rglob("*.parquet")) == []


def test_the_next_command_deletes_what_a_killed_process_left_and_nothing_else(tmp_path: Path, area: Staging) -> None:
    code = """
        import sys, time
        from pathlib import Path
        import polars as pl
        from callimport.transform.staging import Staging
        with Staging(Path(sys.argv[1]), 1) as area:
            for number in range(3):
                store = area.partitions()
                store.add(pl.DataFrame({"group": [number]}), pl.col("group").hash())
                store.add(pl.DataFrame({"group": [number]}), pl.col("group").hash())
            print("staged", flush=True)
            sys.stdin.read()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "staged\n"
    with area:
        _filled(area)
        with Staging(tmp_path):
            # Both live.
            assert len(_folders(tmp_path)) == 2
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with Staging(tmp_path):
            assert len(_folders(tmp_path)) == 1
        assert len(list(_filled(area).read())) > 1
    assert _folders(tmp_path) == []


def test_a_state_folder_that_cannot_be_written_is_said_in_one_line(tmp_path: Path, area: Staging) -> None:
    (tmp_path / "staging").write_text("a file in the way", "utf-8")
    with area, pytest.raises(errors.ImporterError, match=r"staging.*--state-dir"):
        _filled(area)


def test_a_full_disk_is_said_in_one_line(area: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with area:
        monkeypatch.setattr(os, "fdopen", full)
        with pytest.raises(errors.ImporterError) as caught:
            _filled(area)
    assert caught.value.exit_code is errors.ExitCode.STOPPED
    assert "No space left on device; make room there, or choose another folder with --state-dir" in str(caught.value)


def _folders(state: Path) -> list[Path]:
    return [path for path in (state / "staging").iterdir() if path.is_dir()]


def test_the_limit_is_one_constant() -> None:
    assert staging.Staging(Path("state")).rows_in_memory == staging.ROWS_IN_MEMORY == 50_000
