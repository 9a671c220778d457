"""In which letters a text export is written, decided on the whole of it, and its bytes as UTF-8.

A byte order mark is believed. Without one: UTF-16 where every second byte of the beginning is NUL; else UTF-8, if the
whole file is; else Windows-1252, if the whole file can be. What can be neither is refused with the line.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

from callimport.core import errors, models
from callimport.extract import compression, source_file

# Tried from 1/2 to 16 MiB: both ways of reading are fastest where a block, and what is made of it, stays in the cache.
BLOCK_BYTES = 2 * 2**20
# Nothing that a phone system writes has a line like this; something that is no text may.
LONGEST_LINE_BYTES = 16 * 2**20
_BEGIN_BYTES = 4096
# The five bytes to which Windows-1252 gives no letter.
_UNDEFINED = b"\x81\x8d\x8f\x90\x9d"
_DISGUISES = (
    (b"PK\x03\x04", 'an Excel workbook or a zip archive; name it .xlsx or .zip, or save it as "CSV UTF-8"'),
    (b"PAR1", "Parquet under another name; rename it to end in .parquet"),
    (b"\x1f\x8b", "packed with gzip under another name; rename it to end in .gz"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd under another name; rename it to end in .zst"),
    (b"\xd0\xcf\x11\xe0", 'an old Excel workbook; save it as .xlsx or as "CSV UTF-8"'),
    (b"%PDF", "a PDF; export the calls as CSV"),
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """`codec` as Python calls it; `told` for a person."""

    codec: str
    told: str


def of(source: models.Source) -> Encoding:
    """The encoding of a text export, after reading all of it. Raises SourceError."""
    with compression.unpacked(source) as stream:
        begin = stream.read(_BEGIN_BYTES)
        _refuse_disguise(source, begin)
        if begin.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
            raise errors.SourceError(f'{source.path} is UTF-32; save it as "CSV UTF-8"')
        if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            found = Encoding("utf-16-le" if begin.startswith(codecs.BOM_UTF16_LE) else "utf-16-be", "UTF-16")
        elif codec := _utf16_without_mark(begin):
            found = Encoding(codec, "UTF-16 without its mark")
        else:
            return _eight_bit(source, begin, stream)
        _decode_all(source, begin, stream, found)
    return found


def _refuse_disguise(source: models.Source, begin: bytes) -> None:
    """Other formats under the name of text, told by their first bytes."""
    for magic, told in _DISGUISES:
        if begin.startswith(magic):
            raise errors.SourceError(f"{source.path} is {told}")


def _utf16_without_mark(begin: bytes) -> str | None:
    pairs = len(begin) // 2
    even, odd = begin[0 : 2 * pairs : 2].count(0), begin[1 : 2 * pairs : 2].count(0)
    if pairs > 1 and odd > 0.6 * pairs and even < 0.1 * pairs:
        return "utf-16-le"
    if pairs > 1 and even > 0.6 * pairs and odd < 0.1 * pairs:
        return "utf-16-be"
    return None


def _decode_all(source: models.Source, block: bytes, stream: compression.Stream, found: Encoding) -> None:
    decoder = codecs.getincrementaldecoder(found.codec)()
    line = 1
    while True:
        is_last = not block
        try:
            text = decoder.decode(block, is_last)
        except UnicodeDecodeError as error:
            line += _line_ends(error.object[: error.start].decode(found.codec, "ignore").encode())
            raise errors.SourceError(
                f'{source.path}, line {line}: damaged {found.told}; save it as "CSV UTF-8"'
            ) from error
        if is_last:
            return
        line += _line_ends(text.encode())
        block = stream.read(BLOCK_BYTES)


def _eight_bit(source: models.Source, block: bytes, stream: compression.Stream) -> Encoding:
    """UTF-8 or Windows-1252. One reading serves for both: where each of them fails is noted."""
    has_mark = block.startswith(codecs.BOM_UTF8)
    decoder = codecs.getincrementaldecoder("utf-8")()
    not_utf8: int | None = None
    not_1252: int | None = None
    offset = since_line_end = 0
    while not_utf8 is None or not_1252 is None:
        is_ascii = block.isascii()
        pending = decoder.getstate()[0]
        if not_utf8 is None and (pending or not is_ascii):
            try:
                decoder.decode(block, not block)
            except UnicodeDecodeError as error:
                not_utf8 = offset - len(pending) + error.start
        if not_1252 is None and not is_ascii:
            places = [place for byte in _UNDEFINED if (place := block.find(byte)) >= 0]
            not_1252 = offset + min(places) if places else None
        if not block:
            break
        since_line_end = 0 if _last_line_end(block) else since_line_end + len(block)
        _refuse_long_line(source, since_line_end)
        offset += len(block)
        block = stream.read(BLOCK_BYTES)
    if not_utf8 is None:
        return Encoding("utf-8", "UTF-8 with BOM" if has_mark else "UTF-8")
    line = _line_at(source, not_utf8)
    if has_mark:
        told = "not UTF-8, as its first bytes say"
    elif not_1252 is None:
        return Encoding("cp1252", f"Windows-1252 (line {line} is not UTF-8)")
    else:
        told = f"not UTF-8, and line {_line_at(source, not_1252)} cannot be Windows-1252 either"
    raise errors.SourceError(f'{source.path}, line {line}: {told}; save it as "CSV UTF-8"')


def _line_at(source: models.Source, offset: int) -> int:
    """The physical line of a byte. Read once more for it: a sound file has not to pay for counting."""
    line = 1
    with compression.unpacked(source) as stream:
        while offset > 0 and (block := stream.read(min(offset, BLOCK_BYTES))):
            line += _line_ends(block)
            offset -= len(block)
    return line


def _line_ends(block: bytes) -> int:
    """How many lines end in it; as on an old Mac where none ends otherwise."""
    return block.count(b"\n") or block.count(b"\r")


def blocks(source: models.Source, codec: str, size: int = BLOCK_BYTES) -> Iterator[tuple[bytes, bool]]:
    """The text of a source in UTF-8 without a mark, in blocks of whole lines, and whether it is the last one.

    `codec` is what `of` found. Of `size` bytes or a little less, unless a line is longer. No line end is split in two.
    Raises SourceError.
    """
    decoder = None if codec == "utf-8" else codecs.getincrementaldecoder(codec)()
    rest = b""
    is_first, is_last = True, False
    with compression.unpacked(source) as stream:
        while not is_last:
            raw = stream.read(size)
            is_last = len(raw) < size
            try:
                block = raw if decoder is None else decoder.decode(raw, is_last).encode()
            except UnicodeError as error:
                source_file.refuse_changed(source)
                raise errors.SourceError(f"{source.path} is not what it was a moment ago; run again") from error
            if is_first:
                block, is_first = block.removeprefix(codecs.BOM_UTF8), False
            block = rest + block
            cut = len(block) if is_last else _last_line_end(block)
            rest = block[cut:]
            _refuse_long_line(source, len(rest))
            if cut or is_last:
                yield block[:cut], is_last


def _refuse_long_line(source: models.Source, size: int) -> None:
    if size > LONGEST_LINE_BYTES:
        raise errors.SourceError(
            f"{source.path} has a line of more than {LONGEST_LINE_BYTES // 2**20} MiB: that is no call log; "
            "export it again"
        )


def _last_line_end(block: bytes) -> int:
    """Where to cut: after the last line feed; where there is none, after a carriage return that surely stands alone."""
    return (block.rfind(b"\n") + 1) or (block.rfind(b"\r", 0, len(block) - 1) + 1)
