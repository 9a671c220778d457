"""What we write is there whole or not at all, private, and never over another file without leave."""

import os
import stat
from pathlib import Path

import pytest

from callimport.core import errors, files


def test_a_file_appears_when_its_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with files.opened(path) as file:
        file.write("é\r\n")
        assert not path.exists()
    assert path.read_bytes() == "é\r\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_a_block_that_breaks_leaves_what_was_there(tmp_path: Path, interruption: type[BaseException]) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old", "utf-8")
    with pytest.raises(interruption), files.opened(path) as file:  # noqa: PT012  # half is written, then it breaks
        file.write("new")
        raise interruption
    assert path.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="No such file"), files.opened(tmp_path / "no" / "out.csv"):
        pytest.fail("opened what is not there")


def test_an_existing_file_is_replaced_only_with_leave(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    files.refuse_existing(path, force=False)
    path.touch()
    with pytest.raises(errors.ConfigError, match=r"exists already.*--force"):
        files.refuse_existing(path, force=False)
    files.refuse_existing(path, force=True)


@pytest.mark.parametrize("force", [True, False])
def test_a_folder_is_never_replaced(tmp_path: Path, force: bool) -> None:
    with pytest.raises(errors.ConfigError, match="is a folder"):
        files.refuse_existing(tmp_path, force=force)


@pytest.mark.parametrize("force", [True, False])
def test_a_missing_folder_is_known_before_hours_of_work(tmp_path: Path, force: bool) -> None:
    with pytest.raises(errors.ConfigError, match="does not exist; make it first"):
        files.refuse_existing(tmp_path / "no" / "out.csv", force=force)


def test_a_folder_of_ours_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    files.make_private(folder)
    files.make_private(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.ConfigError, match=r"cannot be made.*--state-dir"):
        files.make_private(tmp_path / "file" / "b")


@pytest.mark.parametrize("is_kept", [True, False])
def test_what_is_kept_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    """Or a power loss leaves an empty file where the ledgers were listed."""
    steps: list[str] = []
    rename = os.replace

    def replace(before: str, after: Path) -> None:
        steps.append("name")
        rename(before, after)

    monkeypatch.setattr(os, "fsync", lambda _: steps.append("sync"))
    monkeypatch.setattr(os, "replace", replace)
    with files.opened(tmp_path / "kept.json", is_kept=is_kept) as file:
        file.write("{}")
    assert steps == (["sync", "name", "sync"] if is_kept else ["name"])
    assert (tmp_path / "kept.json").read_text() == "{}"


def test_bytes_are_whole_or_not_there_and_private_too(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), files.opened_binary(tmp_path / "a.xlsx") as file:
        file.write(bytes(1 // 0))
    assert list(tmp_path.iterdir()) == []
    with files.opened_binary(tmp_path / "a.xlsx") as file:
        file.write(b"\x00all")
    assert (tmp_path / "a.xlsx").read_bytes() == b"\x00all"
    assert (tmp_path / "a.xlsx").stat().st_mode & 0o777 == 0o600


def test_a_spool_leaves_nothing_behind(tmp_path: Path) -> None:
    with files.spool(tmp_path / "a.csv") as spool:
        spool.write("customers")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(errors.ConfigError, match="cannot be written"), files.spool(tmp_path / "none" / "a.csv"):
        pass
