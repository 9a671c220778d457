"""One run at a time, even where the one before was shot; and who asks is told who holds it."""

import json
import os
import select
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from callimport.core import errors
from callimport.ledger import locking

_ROOT = Path(__file__).parents[3]
_PATIENCE_SECONDS = 20.0
_HOLDER = """
import sys
from pathlib import Path
from callimport.ledger import locking
with locking.held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def _another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until it is told to end, or killed."""
    command = [sys.executable, "-c", _HOLDER, str(path)]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert select.select([other.stdout], [], [], _PATIENCE_SECONDS)[0]
            assert other.stdout.readline() == "held\n"
            yield other
        finally:
            other.kill()


def test_a_second_process_is_kept_out_and_told_who_is_in(tmp_path: Path) -> None:
    path, heartbeat = tmp_path / "l.lock", tmp_path / "l.heartbeat"
    with _another_process(path) as other:
        beat = {"run_id": "R-1", "pid": other.pid, "host": "nas", "started_at": "2026-11-22T12:00:00+00:00"}
        locking.write_heartbeat(heartbeat, beat)
        with (
            pytest.raises(errors.RunInProgress) as caught,
            locking.held(path, heartbeat=heartbeat, patience_seconds=0),
        ):
            pytest.fail("two runs at once")
        assert f"run R-1 (process {other.pid} on nas, since 2026-11-22T12:00:00+00:00)" in str(caught.value)
        assert locking.read_heartbeat(heartbeat) == beat
        assert locking.is_held(path)


def test_a_killed_holder_leaves_the_lock_free(tmp_path: Path) -> None:
    path = tmp_path / "l.lock"
    with _another_process(path) as other:
        assert locking.is_held(path)
        other.kill()
        other.wait(_PATIENCE_SECONDS)
        with locking.held(path, patience_seconds=0):
            assert locking.is_held(path)
    assert not locking.is_held(path)


def test_a_holder_that_has_no_heartbeat_yet_is_told_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "l.lock"
    with (
        locking.held(path),
        pytest.raises(errors.RunInProgress, match=r"another run holds .*l.lock: wait"),
        locking.held(path, heartbeat=tmp_path / "none", patience_seconds=0),
    ):
        pytest.fail("two runs at once")


def test_the_lock_is_freed_at_the_end_whatever_the_end(tmp_path: Path) -> None:
    path = tmp_path / "l.lock"
    with pytest.raises(KeyboardInterrupt), locking.held(path):
        raise KeyboardInterrupt
    assert not locking.is_held(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_heartbeat_of_a_dead_run_is_not_shown_for_the_next(tmp_path: Path) -> None:
    path, heartbeat = tmp_path / "l.lock", tmp_path / "l.heartbeat"
    locking.write_heartbeat(heartbeat, {"run_id": "dead"})
    with locking.held(path, heartbeat=heartbeat):
        assert locking.read_heartbeat(heartbeat) is None


def test_asking_whether_it_is_held_leaves_the_heartbeat(tmp_path: Path) -> None:
    locking.write_heartbeat(tmp_path / "l.heartbeat", {"run_id": "R-1"})
    assert not locking.is_held(tmp_path / "l.lock")
    assert locking.read_heartbeat(tmp_path / "l.heartbeat") == {"run_id": "R-1"}


def test_a_lock_that_cannot_be_made_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(errors.ConfigError, match="does not exist: make it first"),
        locking.held(tmp_path / "file" / "l.lock"),
    ):
        pytest.fail("held what is not there")


def test_a_beat_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read while it is written, every second, for hours."""
    path = tmp_path / "l.heartbeat"
    locking.write_heartbeat(path, {"done": 1})
    seen = []
    replace = os.replace

    def watched(source: str, target: Path) -> None:
        seen.append((json.loads(Path(source).read_text("utf-8")), locking.read_heartbeat(path)))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    locking.write_heartbeat(path, {"done": 2})
    assert seen == [({"done": 2}, {"done": 1})]
    assert locking.read_heartbeat(path) == {"done": 2}
    assert [one.name for one in tmp_path.iterdir()] == ["l.heartbeat"]


@pytest.mark.parametrize("content", [b"", b'{"run_id": "R', b"[1]", b"\xff\xfe", b"null", b"[" * 100_000, None])
def test_a_heartbeat_that_cannot_be_read_is_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "l.heartbeat"
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    assert locking.read_heartbeat(path) is None


def test_no_heartbeat_is_none(tmp_path: Path) -> None:
    assert locking.read_heartbeat(tmp_path / "l.heartbeat") is None


def test_lock_and_heartbeat_lie_beside_the_ledger() -> None:
    assert locking.beside(Path("/d/x.sqlite3"), "lock") == Path("/d/x.sqlite3.lock")
