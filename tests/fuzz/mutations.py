"""Mutate good files: cells of a table, the text around them, the XML of a workbook, and bytes of any file."""

import csv
import gzip
import io
import random
import re
import zipfile
from collections.abc import Callable, Sequence
from typing import Literal

import openpyxl
import polars as pl

Table = list[list[str]]
TableMutation = Callable[[Table, random.Random], None]

ODD_CELLS = (
    "", " ", "0", "-1", "x", "101", "5145550123", "+15145550123", "5.145550100E+9", "Anonymous", "ANSWERED", "Inbound",
    "2024-05-31 14:05:09", "31/05/2024 14:05", "05/06/2024", "1717178709", "1717178709.1", "9999999999999.1", "Mars",
    "00:01:12", "PT5S", "99999999999999999999", "-99999999999999999999", "1e400", "=1+1", "\u0000", "é\u202e", "Totals",
    '"', "\ufeff", "a" * 500, "٣", "0001-01-01 00:00:00", "9999-12-31 23:59:59", "2024-02-30 25:61:61", "{", "\\",
    "10000-01-01T00:00:00Z", "-262143-01-01 00:00:00", "NaN", "inf", "\x1b[31m", "a\tb", "a,b;c|d", "\x1a",
    "\U0010ffff", "(514) 555-0123", "٥١٤ ٥٥٥ ٠١٢٣",
)  # fmt: skip
_ENDS = ("\n", "\r\n", "\r")
_ENCODINGS = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "latin-1", "cp037")


# ── cells ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _swapped(table: Table, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 6)):
        one, other = chance.choice(table), chance.choice(table)
        if one and other:
            at, to = chance.randrange(len(one)), chance.randrange(len(other))
            one[at], other[to] = other[to], one[at]


def _odd(table: Table, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 12)):
        record = chance.choice(table[1:] or table)
        if record:
            record[chance.randrange(len(record))] = chance.choice(ODD_CELLS)


def _column_removed(table: Table, chance: random.Random) -> None:
    narrowest = min(map(len, table))
    if narrowest:
        at = chance.randrange(narrowest)
        for record in table:
            del record[at]


def _column_blank(table: Table, chance: random.Random) -> None:
    narrowest = min(map(len, table))
    if narrowest:
        at, cell = chance.randrange(narrowest), chance.choice(("", chance.choice(ODD_CELLS)))
        for record in table[1:]:
            record[at] = cell


def _column_renamed(table: Table, chance: random.Random) -> None:
    header = table[0]
    if header:
        name = chance.choice((chance.choice(header), chance.choice(ODD_CELLS), "", "_row", "_ragged", "_origin"))
        header[chance.randrange(len(header))] = name


def _rows_shuffled(table: Table, chance: random.Random) -> None:
    rows = [*table[1:], *(list(row) for row in chance.choices(table, k=3))]
    chance.shuffle(rows)
    table[1:] = rows


def _width_changed(table: Table, chance: random.Random) -> None:
    for record in chance.choices(table, k=3):
        if chance.random() < 0.5:
            record += [chance.choice(ODD_CELLS)] * chance.choice((1, 1, 30, 2_000))
        else:
            del record[chance.randrange(len(record) or 1) :]


OF_TABLE: dict[str, TableMutation] = {
    "cells swapped": _swapped,
    "odd cells": _odd,
    "a column removed": _column_removed,
    "a column blank or the same": _column_blank,
    "a column renamed": _column_renamed,
    "rows shuffled and repeated": _rows_shuffled,
    "widths changed": _width_changed,
}


# ── bytes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _bytes_flipped(content: bytes, chance: random.Random) -> bytes:
    flipped = bytearray(content)
    for _ in range(chance.randint(1, 8) if flipped else 0):
        flipped[chance.randrange(len(flipped))] = chance.randrange(256)
    return bytes(flipped)


def _bits_flipped(content: bytes, chance: random.Random) -> bytes:
    flipped = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 40)) if flipped else 0):
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def _end_changed(content: bytes, chance: random.Random) -> bytes:
    """Change bytes near the end: Parquet and zip keep their directory there."""
    at = max(0, len(content) - chance.choice((8, 60, 600)))
    return content[:at] + _bytes_flipped(content[at:], chance)


def _part_cut(content: bytes, chance: random.Random) -> bytes:
    """Cut off the end, cut out a part, or repeat a part."""
    at, until = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    return chance.choice([content[:at], content[:at] + content[until:], content[:until] + content[at:]])


def _parts_swapped(content: bytes, chance: random.Random) -> bytes:
    one, two, three = sorted(chance.randrange(len(content) + 1) for _ in range(3))
    return content[:one] + content[two:three] + content[one:two] + content[three:]


def _bytes_inserted(content: bytes, chance: random.Random) -> bytes:
    odd = chance.choice(
        [b"\x00", b'"', b"\xff\xfe", b"\xef\xbb\xbf", b"\n\n\n", b"\r", b"\x1a", b",,,,", b"\x81", b"'", b'"' * 99]
    )
    at = chance.randrange(len(content) + 1)
    return content[:at] + odd * chance.choice((1, 1, 3, 5_000)) + content[at:]


OF_BYTES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bytes flipped": _bytes_flipped,
    "bits flipped": _bits_flipped,
    "end changed": _end_changed,
    "a part cut or doubled": _part_cut,
    "parts swapped": _parts_swapped,
    "bytes inserted": _bytes_inserted,
}


def _in_csv(change: TableMutation) -> Callable[[bytes, random.Random], bytes]:
    def changed(content: bytes, chance: random.Random) -> bytes:
        table = table_of(content)
        change(table, chance)
        return text(table)

    return changed


# Every mutation of a CSV in UTF-8.
OF_CSV = {"bytes flipped": _bytes_flipped, "lines cut": _part_cut} | {
    name: _in_csv(change) for name, change in OF_TABLE.items()
}


# ── formats ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def table_of(content: bytes) -> Table:
    decoded = content.decode("utf-8-sig")
    first = decoded.partition("\n")[0]
    delimiter = max(",;\t|", key=first.count)
    return list(csv.reader(io.StringIO(decoded, newline=""), delimiter=delimiter))


def text(table: Table, delimiter: str = ",", end: str = "\r\n", *, quotes_all: bool = False) -> bytes:
    file = io.StringIO(newline="")
    quoting: Literal[0, 1] = csv.QUOTE_ALL if quotes_all else csv.QUOTE_MINIMAL
    csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(table)
    return file.getvalue().encode("utf-8", "replace")


def as_text(table: Table, chance: random.Random) -> tuple[str, bytes]:
    """Return the suffix of the file's name, and a CSV in any dialect, encoding and packing."""
    content = text(table, chance.choice(",,,;\t|"), chance.choice(_ENDS), quotes_all=chance.random() < 0.2)
    if chance.random() < 0.3:
        content = content.decode().encode(chance.choice(_ENCODINGS), "replace")
    packing = chance.choice(("", "", "", "", ".gz", ".zip"))
    if packing == ".gz":
        return ".csv.gz", gzip.compress(content, mtime=0)
    if packing == ".zip":
        return ".zip", _zipped({"calls.csv": content}, chance)
    return ".csv", content


def _zipped(members: dict[str, bytes], chance: random.Random) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        if chance.random() < 0.1:
            archive.writestr(
                chance.choice(["__MACOSX/._a", "b.csv", "folder/", "c.zip", "../a.csv"]), b"direction\n1\n"
            )
    return file.getvalue()


def as_parquet(table: Table, chance: random.Random) -> bytes:
    """Return the table as Parquet. One column may hold extreme numbers or times."""
    header, *rows = table
    width = len(header)
    names = [name if header.index(name) == at else f"{name} {at}" for at, name in enumerate(header)]
    columns = [
        pl.Series(name, [row[at] if at < len(row) else None for row in rows], dtype=pl.String)
        for at, name in enumerate(names)
    ]
    if width and rows and chance.random() < 0.6:
        at = chance.randrange(width)
        columns[at] = _extreme(len(rows), chance).rename(names[at])
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file, compression=chance.choice(["zstd", "snappy", "uncompressed", "gzip"]))
    return file.getvalue()


def _extreme(height: int, chance: random.Random) -> pl.Series:
    bits, zone = chance.choice([31, 40, 52, 63]), chance.choice([None, "UTC", "America/Toronto"])
    values = [chance.choice([0, 1, -1, 2**bits - 1, -(2**bits), 1_717_178_709_000]) for _ in range(height)]
    whole = pl.Series(values, dtype=pl.Int64)
    kind = chance.randrange(8)
    if kind == 0:
        return whole.cast(pl.Int32, strict=False).cast(pl.Date)
    if kind == 1:
        return whole.cast(pl.Duration(chance.choice(["ms", "us", "ns"])))
    if kind == 2:
        return pl.Series([[value] for value in values]).cast(pl.List(pl.Datetime("ms")))
    if kind == 3:
        return pl.Series([float(value) * chance.choice([1.0, 0.1, float("inf"), float("nan")]) for value in values])
    if kind == 4:
        return pl.Series([value * 10**15 for value in values], dtype=pl.Int128)
    if kind == 5:
        return pl.Series([bytes(chance.randrange(256) for _ in range(4)) for _ in values])
    if kind == 6:
        return pl.Series([{"a": value, "b": "x"} for value in values])
    return whole.cast(pl.Datetime(chance.choice(["ms", "us", "ns"]), zone))


def _as_workbook_text(cell: str) -> str:
    return re.sub(r"[\x00-\x08\x0b-\x1f]", "", cell)[:32_000]


def as_workbook(table: Table, chance: random.Random) -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in table:
        cells: list[object] = [_as_workbook_text(cell) for cell in row]
        if chance.random() < 0.2:
            cells = [int(str(cell)) if str(cell).isascii() and str(cell).isdigit() else cell for cell in cells]
        book.active.append(cells)
    file = io.BytesIO()
    book.save(file)
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    core = "docProps/core.xml"
    members[core] = re.sub(rb"[0-9-]{10}T[0-9:]{8}Z", b"2024-05-31T14:05:09Z", members[core])
    return _packed(members)


def _packed(members: dict[str, bytes]) -> bytes:
    """Return an archive without the present time, so that a seed always draws the same bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, part in members.items():
            archive.writestr(zipfile.ZipInfo(name), part, zipfile.ZIP_DEFLATED)
    return file.getvalue()


_SHEET = "xl/worksheets/sheet1.xml"
_ROW_NUMBERS = ("0", "1", "2", "3", "-1", "1048576", "1048577", "2000000000", "1e9", "x", "")
_REFERENCES = ("A1", "A2", "B2", "ZZ3", "XFD2", "XFE2", "A", "7", "", "A0", "AAAAAA1")
_PIECES = (
    (r'<row r="\d+"', lambda chance: f'<row r="{chance.choice(_ROW_NUMBERS)}"'),
    (r'<row r="\d+"', lambda _: "<row"),
    (r'<c r="[A-Z]+\d+"', lambda chance: f'<c r="{chance.choice(_REFERENCES)}"'),
    (r'<c r="[A-Z]+\d+"', lambda _: "<c"),
    (r't="\w+"', lambda chance: f't="{chance.choice(["s", "n", "b", "d", "e", "str", "inlineStr", "zz"])}"'),
    (r'ref="[A-Z0-9:]+"', lambda chance: f'ref="{chance.choice(["A1", "A1:XFD1048576", "zz", ""])}"'),
    (r"<v>[^<]*</v>", lambda chance: f"<v>{chance.choice(['1e999', '99999999', '-5', 'nan', '', '9' * 5_000])}</v>"),
    (r"</row>", lambda chance: "<c/>" * chance.choice((1, 900, 16_000)) + "</row>"),
    (r"</sheetData>", lambda chance: "<row/>" * chance.choice((5, 20_000)) + "</sheetData>"),
    (r"<is>", lambda _: "<is><r>"),
)


def workbook_edited(content: bytes, chance: random.Random) -> tuple[bytes, bool]:
    """Change the XML of a sheet, or the parts of the archive. Return whether every row is still in the file.

    No change of `_PIECES` takes the text of a row away.
    """
    keeps_rows = True
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = members[_SHEET].decode()
    for _ in range(chance.randint(1, 3)):
        pattern, made = chance.choice(_PIECES)
        places = list(re.finditer(pattern, sheet))
        if places:
            place = chance.choice(places)
            sheet = sheet[: place.start()] + made(chance) + sheet[place.end() :]
    members[_SHEET] = sheet.encode()
    if chance.random() < 0.2:
        keeps_rows = False
        name = chance.choice(list(members))
        if chance.random() < 0.3:
            del members[name]
        else:
            members[name] = chance.choice(list(OF_BYTES.values()))(members[name], chance)
    return _packed(members), keeps_rows


def count_rows(table: Sequence[Sequence[str]], header: Sequence[str]) -> int | None:
    """Count the rows with text after the header. Return None if the header is changed or repeated."""
    if list(table[0]) != list(header) or list(header) in [list(row) for row in table[1:]]:
        return None
    return sum(any(_as_workbook_text(cell).strip() for cell in row) for row in table[1:])
