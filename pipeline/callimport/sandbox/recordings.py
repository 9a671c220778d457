"""What an upload must be: one part named `recording` holding a WAV or an MP3, judged by content, never by name."""

import codecs
import dataclasses
import hashlib

from python_multipart import exceptions, multipart
from starlette import datastructures

from callimport.sandbox import knobs, wording

PART = "recording"
FORMATS = ("wav", "mp3")
_SNIFFED_BYTES = 12


@dataclasses.dataclass(frozen=True, slots=True)
class Upload:
    """One file part: its name, its file's name, and particulars of its bytes. `format` is None for neither kind.

    `has_tag` says that it begins with an ID3 tag.
    """

    part: str
    filename: str | None
    size_bytes: int
    sha256: str
    format: str | None
    has_tag: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """A multipart body: its files, and the names of its plain fields. Both empty where it could not be read."""

    files: tuple[Upload, ...] = ()
    fields: tuple[str, ...] = ()


class _Part:
    """One part on its way: nothing of it is kept but its first bytes and its digest."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.name = ""
        self.filename: str | None = None
        self.size_bytes = 0
        self.start = b""
        self.digest = hashlib.sha256()

    def take(self, data: bytes) -> None:
        if len(self.start) < _SNIFFED_BYTES:
            self.start += data[: _SNIFFED_BYTES - len(self.start)]
        self.size_bytes += len(data)
        self.digest.update(data)

    def described(self) -> Upload:
        kind, has_tag = sniffed(self.start), self.start[:3] == b"ID3"
        return Upload(self.name, self.filename, self.size_bytes, self.digest.hexdigest(), kind, has_tag)


class Reader:
    """Takes a multipart body in pieces as they arrive; a thousand recordings leave no more behind than one.

    As PHP does it, what is not multipart or is broken has no parts at all.
    """

    def __init__(self, headers: datastructures.Headers) -> None:
        self._files: list[Upload] = []
        self._fields: list[str] = []
        self._part = _Part()
        self._header = b""
        self._value = b""
        self._parser: multipart.MultipartParser | None = None
        kind, options = multipart.parse_options_header(headers.get("content-type", ""))
        if kind == b"multipart/form-data" and options.get(b"boundary"):
            self._parser = multipart.MultipartParser(options[b"boundary"], self._callbacks())

    def feed(self, data: bytes) -> None:
        """The next piece."""
        if self._parser is not None:
            try:
                self._parser.write(data)
            except (exceptions.FormParserError, KeyError):
                self._parser = None

    def form(self) -> Form:
        """What it was, once it is whole."""
        if self._parser is not None:
            try:
                self._parser.finalize()
            except exceptions.FormParserError:
                self._parser = None
        return Form() if self._parser is None else Form(tuple(self._files), tuple(self._fields))

    def _callbacks(self) -> "multipart.MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._name,
            "on_header_value": self._content,
            "on_header_end": self._header_ended,
            "on_headers_finished": self._headers_ended,
            "on_part_data": lambda data, start, end: self._part.take(data[start:end]),
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._part = _Part()

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _content(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ended(self) -> None:
        self._part.headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _headers_ended(self) -> None:
        """Raises KeyError where the part has no name."""
        _, options = multipart.parse_options_header(self._part.headers.get(b"content-disposition", b""))
        self._part.name = _text(options[b"name"])
        filename = options.get(b"filename")
        self._part.filename = None if filename is None else _text(filename)

    def _end(self) -> None:
        if self._part.filename is None:
            self._fields.append(self._part.name)
        else:
            self._files.append(self._part.described())


def faults(form: Form, settings: knobs.Knobs) -> dict[str, list[str]]:
    """Errors by field, empty where the form holds just what it should."""
    files = [file for file in form.files if file.part == PART]
    if not files and PART not in form.fields:
        return {PART: [wording.required(PART)]}
    if len(files) != 1 or PART in form.fields:
        return {PART: [wording.file(PART)]}
    if files[0].size_bytes > settings.upload_bytes:
        return {PART: [wording.not_uploaded(PART)]}
    # PHP's libmagic takes an MP3 without a tag for arbitrary bytes now and then.
    is_odd = settings.mp3 == "id3" and files[0].format == "mp3" and not files[0].has_tag
    if files[0].format is None or is_odd:
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


def _text(raw: bytes) -> str:
    return codecs.decode(raw, "utf-8", "replace")
