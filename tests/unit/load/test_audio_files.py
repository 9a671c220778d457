"""What is sent as a recording is a file of the one folder, and surely audio."""

import errno
import hashlib
import os
import struct
from pathlib import Path

import pytest

from callimport.core import errors
from callimport.load import audio_files
from callimport.load.audio_files import Audio, File, Folder, Unfit

LARGEST = 1_000


def wav(seconds_of: int = 1, coded_as: int = 1) -> bytes:
    """A RIFF/WAVE file; `coded_as` is its format tag: 1 PCM, 6 A-law, 7 µ-law, 49 GSM."""
    sound = bytes(100 * seconds_of)
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, coded_as, 1, 8000, 8000, 1, 8)
    return b"RIFF" + struct.pack("<I", 4 + len(head) + 8 + len(sound)) + b"WAVE" + head + b"data" + sound


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    (folder / "2024" / "05").mkdir(parents=True)
    (folder / "2024" / "05" / "call-17.wav").write_bytes(wav())
    return folder


def folder(root: Path) -> Folder:
    return Folder(root, LARGEST)


def unfit(found: object) -> str:
    assert isinstance(found, Unfit), found
    return found.kind


def opened(of: Folder, path: str) -> Audio:
    found = of.opened(path)
    assert isinstance(found, Audio), found
    return found


def test_a_path_is_found_where_it_says(root: Path) -> None:
    found = folder(root).look("2024/05/call-17.wav")
    assert isinstance(found, File)
    assert (found.path, found.size) == ("2024/05/call-17.wav", len(wav()))
    assert folder(root).look("2023/05/call-17.wav") is None


def test_a_bare_name_is_found_in_any_subfolder(root: Path) -> None:
    found = folder(root).look("call-17.wav")
    assert isinstance(found, File)
    assert found.path == "2024/05/call-17.wav"
    assert folder(root).look("call-18.wav") is None


def test_two_files_of_one_name_are_an_error(root: Path) -> None:
    """Which one is meant nobody knows, and the wrong one would be somebody else's voice."""
    (root / "call-17.wav").write_bytes(wav(2))
    found = folder(root).look("call-17.wav")
    assert unfit(found) == "ambiguous"
    assert isinstance(found, Unfit)
    assert "2024/05/call-17.wav" in found.reason


def test_an_accent_is_the_same_however_the_disk_spells_it(root: Path) -> None:
    (root / "Rene\u0301.wav").write_bytes(wav())
    assert isinstance(folder(root).look("Ren\u00e9.wav"), File)


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../secret.wav", "2024/../../secret.wav", "\\\\server\\share\\x.wav", "C:\\x.wav", "C:x.wav",
     "https://example.test/x.wav", "2024\\x.wav", "a\x00b.wav"],
)  # fmt: skip
def test_a_name_that_leads_out_is_refused(root: Path, name: str) -> None:
    (root.parent / "secret.wav").write_bytes(wav())
    assert unfit(folder(root).look(name)) == "unsafe"


def test_a_link_that_leaves_the_folder_is_refused(root: Path) -> None:
    (root.parent / "secret.wav").write_bytes(wav())
    (root / "innocent.wav").symlink_to(root.parent / "secret.wav")
    (root / "elsewhere").symlink_to(root.parent)
    for name in ("innocent.wav", "elsewhere/secret.wav"):
        assert unfit(folder(root).look(name)) == "unsafe"
        assert folder(root).opened(name) is None


@pytest.mark.parametrize("name", ["innocent.wav", "elsewhere/secret.wav"])
def test_what_becomes_a_link_between_look_and_opening_is_not_followed(
    root: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root.parent / "secret.wav").write_bytes(wav())
    (root / "innocent.wav").symlink_to(root.parent / "secret.wav")
    (root / "elsewhere").symlink_to(root.parent)
    monkeypatch.setattr(Folder, "_inside", lambda _, path: path)
    assert folder(root).opened(name) is None


def test_a_link_within_the_folder_is_followed(root: Path) -> None:
    (root / "same.wav").symlink_to(root / "2024" / "05" / "call-17.wav")
    assert isinstance(folder(root).look("same.wav"), File)
    with opened(folder(root), "same.wav") as audio:
        assert audio.read() == wav()


def test_the_folder_itself_may_be_a_link(root: Path) -> None:
    (root.parent / "linked").symlink_to(root)
    with opened(folder(root.parent / "linked"), "2024/05/call-17.wav") as audio:
        assert audio.read() == wav()


def test_a_loop_of_links_is_no_file(root: Path) -> None:
    (root / "loop.wav").symlink_to(root / "loop.wav")
    assert not isinstance(folder(root).look("loop.wav"), File)
    assert not isinstance(folder(root).opened("loop.wav"), Audio)


def test_a_pipe_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe.wav")
    assert unfit(folder(root).look("pipe.wav")) == "not a file"
    assert unfit(folder(root).opened("pipe.wav")) == "not a file"


def test_a_folder_is_no_recording(root: Path) -> None:
    assert unfit(folder(root).look("2024/05")) == "not a file"


def test_empty_and_oversized_files_are_told(root: Path) -> None:
    (root / "empty.wav").touch()
    (root / "huge.wav").write_bytes(wav(20))
    assert unfit(folder(root).look("empty.wav")) == "empty"
    found = folder(root).look("huge.wav")
    assert unfit(found) == "too big"
    assert isinstance(found, Unfit)
    assert "--max-recording" in found.reason
    assert unfit(folder(root).opened("huge.wav")) == "too big"


def test_the_recordings_folder_must_be_one(root: Path) -> None:
    with pytest.raises(errors.ConfigError, match="--recordings"):
        Folder(root / "2024" / "05" / "call-17.wav", LARGEST)


@pytest.mark.parametrize("coded_as", [1, 6, 7, 49], ids=["pcm", "a-law", "mu-law", "gsm"])
def test_a_wav_is_a_wav_however_it_is_coded(coded_as: int) -> None:
    assert audio_files.sniffed(wav(coded_as=coded_as)[:12]) == "wav"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"ID3\x04" + bytes(8), "mp3"),
        (b"\xff\xfb\x90\x00" + bytes(8), "mp3"),
        (b"\xff\xf3\x40\xc0" + bytes(8), "mp3"),
        (b"\xff\xf1\x50\x80" + bytes(8), None),  # AAC
        (b"\xff\xfb\xf0\x00" + bytes(8), None),  # no such bit rate
        (b"\xff\xeb\x90\x00" + bytes(8), None),  # no such version
        (b"\xff\xfb\x9c\x00" + bytes(8), None),  # no such sampling rate
        (b"RIFF\x00\x00\x00\x00AVI ", None),
        (b"<!DOCTYPE ht", None),
        (b"\xff\xfb", None),
        (b"", None),
    ],
)
def test_the_content_tells_the_kind(head: bytes, kind: str | None) -> None:
    assert audio_files.sniffed(head) == kind


def test_a_web_page_called_wav_is_not_sent(root: Path) -> None:
    (root / "page.wav").write_bytes(b"<html>not found</html>")
    assert unfit(folder(root).opened("page.wav")) == "not audio"


def test_what_is_read_is_what_is_hashed(root: Path) -> None:
    with opened(folder(root), "2024/05/call-17.wav") as audio:
        expected = hashlib.sha256(wav()).hexdigest()
        assert audio.read_through() == expected
        while audio.read(7):
            pass
        assert audio.sha256 == expected
        # A second try begins anew.
        audio.seek(0)
        audio.read()
        assert audio.sha256 == expected
        assert (audio.file_name, audio.media_type) == ("recording.wav", "audio/wav")


def test_a_file_that_vanished_is_no_file(root: Path) -> None:
    assert folder(root).opened("2024/05/gone.wav") is None


def test_a_file_that_may_not_be_read_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_it = os.open

    def forbid(path: str, *more: int, **where: int) -> int:
        if path == "call-17.wav":
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_it(path, *more, **where)

    monkeypatch.setattr(os, "open", forbid)
    found = folder(root).opened("2024/05/call-17.wav")
    assert unfit(found) == "unreadable"
    assert "Permission denied" in str(found)
    assert isinstance(found, Unfit)
    assert found.may_pass


def test_a_disk_that_is_away_is_told_and_no_missing_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(*_: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    its = folder(root)
    assert its.named
    monkeypatch.setattr(Path, "lstat", stale)
    assert unfit(its.look("call-17.wav")) == "unreadable"
    monkeypatch.setattr(os, "pread", stale)
    assert unfit(its.opened("2024/05/call-17.wav")) == "unreadable"


def test_hidden_files_are_no_recordings(root: Path) -> None:
    """What an interrupted copy leaves behind, or a Mac."""
    (root / "._call-18.wav").write_bytes(wav())
    assert set(folder(root).named) == {"call-17.wav"}
