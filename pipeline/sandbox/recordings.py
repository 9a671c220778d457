"""What an upload must be: one part named `recording` holding a WAV or an MP3, judged by content, never by name."""

import dataclasses
import hashlib
from collections.abc import AsyncGenerator

from starlette import datastructures, formparsers

from pipeline.sandbox import knobs, wording

PART = "recording"
FORMATS = ("wav", "mp3")


@dataclasses.dataclass(frozen=True, slots=True)
class Upload:
    """One file part: its name, its file's name, and particulars of its bytes. `format` is None for neither kind."""

    part: str
    filename: str | None
    size_bytes: int
    sha256: str
    format: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """A multipart body: its files, and the names of its plain fields. Both empty where it could not be read."""

    files: tuple[Upload, ...] = ()
    fields: tuple[str, ...] = ()


class _InMemory(formparsers.MultiPartParser):
    # A spooled file that never reaches the disk needs no thread to write it.
    spool_max_size = 1024 * knobs.MEBIBYTE


async def read(headers: datastructures.Headers, body: bytes) -> Form:
    """The parts of a body; as PHP does it, what is not multipart or is broken has none."""
    if not headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return Form()
    try:
        form = await _InMemory(headers, _whole(body)).parse()
    except formparsers.MultiPartException:
        return Form()
    try:
        return await _described(form)
    finally:
        await form.close()


def faults(form: Form, upload_bytes: int) -> dict[str, list[str]]:
    """Errors by field, empty where the form holds just what it should."""
    files = [file for file in form.files if file.part == PART]
    if not files and PART not in form.fields:
        return {PART: [wording.required(PART)]}
    if len(files) != 1 or PART in form.fields:
        return {PART: [wording.file(PART)]}
    if files[0].size_bytes > upload_bytes:
        return {PART: [wording.not_uploaded(PART)]}
    if files[0].format is None:
        return {PART: [wording.wrong_type(PART, FORMATS)]}
    return {}


def sniffed(start: bytes) -> str | None:
    """`wav`, `mp3` or None, from the first bytes."""
    if start[:4] == b"RIFF" and start[8:12] == b"WAVE":
        return "wav"
    if start[:3] == b"ID3" or _is_mpeg_frame(start[:4]):
        return "mp3"
    return None


def _is_mpeg_frame(header: bytes) -> bool:
    """Eleven bits of sync, then no reserved version, layer III, and a bit rate and sampling rate there are."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return False
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bit_rate, sampling = header[2] >> 4, header[2] >> 2 & 3
    return version != 1 and layer == 1 and bit_rate not in (0, 15) and sampling != 3


async def _described(form: datastructures.FormData) -> Form:
    files, fields = [], []
    for name, value in form.multi_items():
        if isinstance(value, str):
            fields.append(name)
            continue
        content = await value.read()
        digest = hashlib.sha256(content).hexdigest()
        files.append(Upload(name, value.filename, len(content), digest, sniffed(content[:12])))
    return Form(tuple(files), tuple(fields))


async def _whole(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
