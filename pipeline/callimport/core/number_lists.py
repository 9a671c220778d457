"""Numbers that a person lists: the house's own, which are never the customer, and those whose calls are left out."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from callimport.core import errors, files, phones, privacy

_COMMENT = re.compile(r"(?:^|\s)#(?![0-9]).*")
_BETWEEN_CELLS = re.compile(r"[,;\t|]")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SHOWN = 40
# Characters: enough for a number and notes. Each cell of a line is read as a number, so a long line is slow.
LONGEST_LINE = 1_000
MOST_BYTES = 100_000_000
_OF_LEADS = re.compile(r"\blead[ _]?id\b", re.IGNORECASE)
_SEVERAL = "holds several numbers; write one a line"
_SHORT = "is an extension, from which nobody calls in; write whole numbers"


def stated(values: Iterable[str], dialling: phones.Dialling, option: str) -> frozenset[str]:
    """E.164 of what was given with an option that may be repeated: each value is a number, or a file of numbers.

    Raises ConfigError naming `option` for what is neither, and SourceError as `read` does.
    """
    found: set[str] = set()
    for value in values:
        if Path(value).is_file():
            found |= read(Path(value), dialling)
            continue
        e164, _, kind, wrong = phones.read(pl.Series([value], dtype=pl.String), dialling.without_outside_line).row(0)
        # "list-5145550100.txt" is a file that is not there, not a number with a name.
        if kind != phones.Kind.NUMBER or re.search("[A-Za-z]", value):
            told = f": it {wrong}" if wrong else "; write it with + and the country code"
            raise errors.ConfigError(f"{option} {_quoted(value)} is neither a number nor a file{told}")
        found.add(e164)
    return frozenset(found)


def read(path: Path, dialling: phones.Dialling) -> frozenset[str]:
    """E.164 of a text or CSV file with one number a line, among other cells or not; the order of lines says nothing.

    Left out: blank lines, what follows a #, and a first line without a digit, which is a header. Bare numbers are of
    the region. Raises SourceError with the first line that holds no number or several: half a list would let calls
    through in silence, and so would an empty one. So it does for a leads file, by which every customer would be left
    out.
    """
    lines = list(_lines(path))
    texts = pl.Series([text for _, text in lines], dtype=pl.String)
    # Read all lines in one call. Only a line that holds more than a number is read by itself, which is slow.
    readings = phones.read(texts, dialling.without_outside_line).rows()
    found = {
        str(e164)
        if kind == phones.Kind.NUMBER and not _BETWEEN_CELLS.search(text)
        else _only_number(path, line, text, dialling.without_outside_line)
        for (line, text), (e164, _, kind, _) in zip(lines, readings, strict=True)
    }
    if not found:
        raise errors.SourceError(f"{path} holds no number; write one a line, with + and the country code")
    return frozenset(found)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line, counted from 1, and text of each line that ought to hold a number."""
    is_first = True
    for line, raw in enumerate(_text(path).splitlines(), start=1):
        if len(raw) > LONGEST_LINE:
            raise errors.SourceError(
                f"{path}, line {line}: the line is longer than {LONGEST_LINE:,} characters; write one number a line"
            )
        text = _COMMENT.sub("", raw).strip()
        if text.strip(",;\t| "):
            if not is_first or re.search("[0-9]", text):
                yield line, text
            elif _OF_LEADS.search(text):
                raise errors.SourceError(
                    f"{path} names leads, so it is a list of customers: give it with --leads, and here the "
                    "numbers that are nobody's customer"
                )
            is_first = False


def _text(path: Path) -> str:
    try:
        content = files.read_bytes(path, MOST_BYTES)
    except OSError as error:
        raise errors.SourceError(f"{path} cannot be read: {error.strerror}; check the path") from error
    if content.startswith(_UTF16_MARKS):
        return content.decode("utf-16", "replace")
    if b"\x00" in content:
        raise errors.SourceError(f"{path} is not text; save it as CSV, with one number a line")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Names beside the numbers, as an older Excel writes them. They are not read.
        return content.decode("cp1252", "replace")


def _only_number(path: Path, line: int, text: str, dialling: phones.Dialling) -> str:
    cells = [text, *_BETWEEN_CELLS.split(text)]
    readings = phones.read(pl.Series(cells, dtype=pl.String), dialling).rows()
    listed = {e164 for e164, _, kind, _ in readings if kind == phones.Kind.NUMBER}
    if len(listed) == 1:
        return str(listed.pop())
    if listed:
        told = _SEVERAL
    else:
        # The cell that comes nearest to a number says what is wrong with it.
        nearest = (phones.Kind.DAMAGED, phones.Kind.LOCAL, phones.Kind.EXTENSION, phones.Kind.UNREADABLE)
        faults = {kind: wrong or _SHORT for _, _, kind, wrong in reversed(readings)}
        told = next((faults[kind] for kind in nearest if kind in faults), "holds no number; remove the line")
    raise errors.SourceError(f"{path}, line {line}: {_quoted(text)} {told}")


def _quoted(text: str) -> str:
    shown = privacy.mask(text)
    return f'"{shown[: _SHOWN - 1]}…"' if len(shown) > _SHOWN else f'"{shown}"'
