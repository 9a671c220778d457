"""The bytes of a text export, unpacked where it is packed. Nothing is trusted about how large they are inside.

Read in a stream, so that memory does not grow with what is inside. A bomb is told by two limits: how many times the
packed size comes out (text of calls packs 5 to 40 times smaller), and an absolute one.
"""

import gzip
import lzma
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import PurePosixPath
from typing import Protocol

from callimport.core import errors, models
from callimport.extract import formats, source_file

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MOST_TIMES = 200
MOST_BYTES = 32 * 2**30
# Below this the ratio means nothing: one line repeated is a small file, not a bomb.
HARMLESS_BYTES = 64 * 2**20
# zstd lets a file ask for a window of 2 GiB; 128 MiB is what its own command line grants unasked.
_WINDOW_LOG = 27
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile, zstd.ZstdError)
_UNSUPPORTED = (NotImplementedError, RuntimeError)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Stream:
    """Bytes from the inside of a source. Raises SourceError, whatever went wrong below."""

    def __init__(self, source: models.Source, file: _Readable, *, is_packed: bool) -> None:
        self._source = source
        self._file = file
        self._is_packed = is_packed
        self._given = 0

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer only at the end."""
        with _translated(self._source):
            block = self._file.read(size)
            while len(block) < size and (more := self._file.read(size - len(block))):
                block += more
        self._given += len(block)
        if self._is_packed:
            self._refuse_bomb()
        return block

    def _refuse_bomb(self) -> None:
        times = self._given / self._source.size
        if self._given > MOST_BYTES or (self._given > HARMLESS_BYTES and times > MOST_TIMES):
            raise errors.SourceError(
                f"{self._source.path} unpacks to more than {self._given // 2**20} MiB, {times:.0f} times its size: "
                "that is no call log; if it is one, unpack it and name the file inside"
            )


@contextmanager
def unpacked(source: models.Source) -> Iterator[Stream]:
    """The bytes of the export in `source`, whatever it is packed with. Raises SourceError."""
    known = formats.named(source.path)
    packing = known.packing if known else formats.Packing.NONE
    with ExitStack() as stack:
        with _translated(source):
            file: _Readable
            if packing is formats.Packing.GZIP:
                file = stack.enter_context(gzip.open(source.path, "rb"))
            elif packing is formats.Packing.ZSTD:
                limits: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
                file = stack.enter_context(zstd.ZstdFile(source.path, "rb", options=limits))
            elif packing is formats.Packing.ZIP:
                archive = stack.enter_context(zipfile.ZipFile(source.path))
                file = stack.enter_context(archive.open(_only_export(source, archive)))
            else:
                file = stack.enter_context(source.path.open("rb", buffering=0))
        yield Stream(source, file, is_packed=packing is not formats.Packing.NONE)


def _only_export(source: models.Source, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The one export in a .zip. What a Mac puts beside it (__MACOSX, .DS_Store) is none."""
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir()
        and not member.filename.startswith("__MACOSX/")
        and not PurePosixPath(member.filename).name.startswith(".")
    ]
    names = ", ".join(member.filename for member in members[:5]) + (", …" if len(members) > 5 else "")
    if not members:
        raise errors.SourceError(f"{source.path} holds no file; pack the export again")
    if len(members) > 1:
        raise errors.SourceError(
            f"{source.path} holds several files ({names}); unpack it and name the exports that are meant, or the folder"
        )
    inside = formats.named(source.path.with_name(PurePosixPath(members[0].filename).name or "_"))
    if inside is None or inside != formats.Named(formats.Kind.TEXT, formats.Packing.NONE):
        raise errors.SourceError(f"{source.path} holds no text export but {names}; unpack it first")
    if members[0].flag_bits & 0x1:
        raise errors.SourceError(f"{source.path} is locked with a password; unpack it first")
    return members[0]


@contextmanager
def _translated(source: models.Source) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        source_file.refuse_changed(source)
        told = str(error) or "its end is missing"
        raise errors.SourceError(f"{source.path} cannot be unpacked: {told}; export or copy it again") from error
    except _UNSUPPORTED as error:
        raise errors.SourceError(f"{source.path} cannot be unpacked ({error}); unpack it first") from error
    except OSError as error:
        raise source_file.unreadable(source.path, error) from error
