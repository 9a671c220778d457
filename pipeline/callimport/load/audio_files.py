"""Audio files under one folder, found by the name that a call gives them and opened without harm.

What a source names is a stranger's word: it may point anywhere. So a name is followed only below the folder, through no
link that leaves it, to a regular file that is not too big; and what is sent is read from the file that was looked at.
Content tells the kind: a WAV is one whatever it is coded in (PCM, µ-law, A-law, GSM), an MP3 has an ID3 tag or a frame.
"""

import errno
import hashlib
import io
import os
import posixpath
import re
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from callimport.core import errors

MEBIBYTE = 1024 * 1024
# Enough to tell both kinds.
_HEAD_BYTES = 12
_BLOCK_BYTES = 1024 * 1024
# A link or a pipe in its place is never followed or waited for; the flags are nothing where the system has them not.
_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_LEADS_OUT = re.compile(r"^[/\\]|^[A-Za-z]:|://|\\|(^|/)\.\.(/|$)|[\x00-\x1f]")
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EMLINK)
_BY_HAND = "--max-recording allows"


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was seen: `path` is below the folder, with slashes; it has changed when size or time has."""

    path: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Unfit:
    """A file that is there and is not to be sent. `kind` is a word to count by, `reason` is for a person; one that
    `may_pass` says nothing about the file itself, which is tried again."""

    kind: str
    reason: str
    may_pass: bool = False


class Audio(io.FileIO):
    """An open recording, read from its start as often as need be; `sha256` is of what was read since the last start."""

    def __init__(self, handle: int, seen: File, kind: str) -> None:
        super().__init__(handle, "rb")
        self.seen = seen
        self.kind = kind
        self._digest = hashlib.sha256()

    @property
    def file_name(self) -> str:
        """A name that tells nobody's number."""
        return f"recording.{self.kind}"

    @property
    def media_type(self) -> str:
        return "audio/wav" if self.kind == "wav" else "audio/mpeg"

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if (offset, whence) == (0, os.SEEK_SET):
            self._digest = hashlib.sha256()
        return super().seek(offset, whence)

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(-1 if size is None else size) or b""
        self._digest.update(found)
        return found

    def read_through(self) -> str:
        """The SHA-256 of the whole file, a block at a time; afterwards it stands at its start again."""
        self.seek(0)
        while self.read(_BLOCK_BYTES):
            pass
        found = self.sha256
        self.seek(0)
        return found


class Folder:
    """The one folder that recordings are taken from. Raises ConfigError where it is none."""

    def __init__(self, root: Path, largest_bytes: int) -> None:
        if not root.is_dir():
            raise errors.ConfigError(f"{root} is no folder: name the one that holds the recordings with --recordings")
        self._root = os.path.realpath(root)
        self._largest_bytes = largest_bytes
        self._names: dict[str, list[str]] | None = None

    def look(self, name: str) -> File | Unfit | None:
        """The file that is meant, None where there is none. A bare name is looked for in all subfolders, a path with
        folders is found where it says or not at all."""
        if _LEADS_OUT.search(name):
            return Unfit("unsafe", "the name leads out of the recordings folder")
        if "/" in name:
            return self.at(name)
        found = self.named.get(folded(name), [])
        if len(found) > 1:
            return Unfit("ambiguous", f"{len(found)} files of that name: {found[0]} and {found[1]}")
        return self.at(found[0]) if found else None

    def meant(self, name: str) -> str:
        """Equal for names that mean the same file, whether it is there or not."""
        plain = folded(posixpath.normpath(name))
        found = self.named.get(plain, ())
        return folded(found[0]) if len(found) == 1 else plain

    @property
    def named(self) -> dict[str, list[str]]:
        """Every file below the folder by its bare name; looked up once."""
        if self._names is None:
            names: dict[str, list[str]] = defaultdict(list)
            for path in sorted(self._walk(self._root)):
                names[folded(path.rpartition("/")[2])].append(path)
            self._names = dict(names)
        return self._names

    def opened(self, path: str) -> Audio | Unfit | None:
        """The file at that path, to be read; close it. What it is was asked of the open file, not of its name."""
        real = self._inside(path)
        try:
            handle = self._handle(real) if real else None
        except OSError as error:
            return unreadable(error)
        if handle is None:
            return None
        kind: str | Unfit | None = None
        try:
            found = os.fstat(handle)
            seen = File(path, found.st_size, found.st_mtime_ns)
            kind = self._fault(found) or sniffed(os.pread(handle, _HEAD_BYTES, 0))
            if isinstance(kind, str):
                return Audio(handle, seen, kind)
        except OSError as error:
            kind = unreadable(error)
        finally:
            if not isinstance(kind, str):
                os.close(handle)
        return kind or Unfit("not audio", "neither a WAV nor an MP3, whatever its name says")

    def at(self, path: str) -> File | Unfit | None:
        """The file at that very path."""
        real = self._inside(path)
        if real is None:
            return Unfit("unsafe", "a link on its path leads out of the recordings folder")
        try:
            found = Path(self._root, real).lstat()
        except OSError as error:
            return None if error.errno in _NOT_THERE else unreadable(error)
        return self._fault(found) or File(path, found.st_size, found.st_mtime_ns)

    def _inside(self, path: str) -> str | None:
        """Where the path really ends, from the root on; None where that is not below it."""
        real = os.path.realpath(Path(self._root, path))
        is_inside = os.path.commonpath([self._root, real]) == self._root
        return os.path.relpath(real, self._root) if is_inside else None

    def _fault(self, found: os.stat_result) -> Unfit | None:
        if not stat.S_ISREG(found.st_mode):
            return Unfit("not a file", "not a regular file")
        if found.st_size == 0:
            return Unfit("empty", "the file is empty")
        if found.st_size > self._largest_bytes:
            size, limit = found.st_size / MEBIBYTE, self._largest_bytes / MEBIBYTE
            return Unfit("too big", f"{size:.1f} MB, more than the {limit:g} MB that {_BY_HAND}")
        return None

    def _handle(self, path: str) -> int | None:
        """None where it is not there, or a link by now. Folder by folder, so that none of them can be turned into a
        link between the look and the opening."""
        folder = os.open(self._root, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            *folders, name = Path(path).parts or (path,)
            for step in folders:
                below = os.open(step, _OPEN | getattr(os, "O_DIRECTORY", 0), dir_fd=folder)
                os.close(folder)
                folder = below
            return os.open(name, _OPEN, dir_fd=folder)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise
        finally:
            os.close(folder)

    def _walk(self, folder: str) -> Iterator[str]:
        try:
            entries = list(os.scandir(folder))
        except OSError:
            # A folder that may not be read holds nothing for us.
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(entry.path)
            elif not entry.name.startswith("."):
                yield os.path.relpath(entry.path, self._root).replace(os.sep, "/")


def unreadable(error: OSError) -> Unfit:
    """As where the disk or the share it lies on is away for a while, or its rights are mended later."""
    return Unfit("unreadable", f"cannot be read ({error.strerror}): check its rights, and its disk", may_pass=True)


def sniffed(head: bytes) -> str | None:
    """`wav`, `mp3`, or None for what is neither, by its first bytes."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    return "mp3" if head[:3] == b"ID3" or _is_mpeg_frame(head) else None


def _is_mpeg_frame(head: bytes) -> bool:
    """The sync bits of an MPEG audio frame of layer III, with a version, a bit rate and a sampling rate that exist."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    is_layer_three = head[1] & 0x06 == 0x02
    return is_layer_three and head[1] & 0x18 != 0x08 and head[2] >> 4 not in (0, 15) and head[2] & 0x0C != 0x0C


def folded(name: str) -> str:
    """Equal for names that a person sees as the same: macOS keeps them with their accents apart."""
    return unicodedata.normalize("NFC", name)
