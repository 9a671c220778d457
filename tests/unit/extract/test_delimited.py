"""Text is read as it was written, in whatever letters and with whatever between its cells; or refused."""

import csv
import gzip
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callimport.core import errors, models
from callimport.extract import delimited, delimited_fast, delimited_mixed, delimited_tolerant, encoding, source_file
from callimport.extract import reader as source

SMALL_BLOCK = 64
NAMES = ("call_id", "name", "note")


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few lines, so that what goes wrong between two of them goes wrong here."""
    whole = encoding.blocks

    def blocks(opened: models.Source, codec: str, size: int = SMALL_BLOCK) -> Iterator[tuple[bytes, bool]]:
        return whole(opened, codec, size)

    monkeypatch.setattr(encoding, "blocks", blocks)


@pytest.fixture
def no_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited_fast, "frame", lambda *_: None)


def _opened(folder: Path, content: bytes, name: str = "calls.csv") -> models.Source:
    path = folder / name
    path.write_bytes(content)
    return source.open_source(path)


def _rows(opened: models.Source, layout: models.Layout | None = None) -> pl.DataFrame:
    return pl.concat(chunk.frame for chunk in source.read(opened, layout))


def _cells(opened: models.Source) -> list[tuple[str, ...]]:
    return _rows(opened).drop("_row", "_ragged").rows()


# ── letters ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("codec", "told"),
    [
        ("utf-8", "UTF-8, separated by commas"),
        ("utf-8-sig", "UTF-8 with BOM, separated by commas"),
        ("cp1252", "Windows-1252 (line 2 is not UTF-8), separated by commas"),
        ("utf-16", "UTF-16, separated by commas"),
        ("utf-16-le", "UTF-16 without its mark, separated by commas"),
        ("utf-16-be", "UTF-16 without its mark, separated by commas"),
    ],
)
def test_letters_are_read_in_every_encoding(tmp_path: Path, codec: str, told: str) -> None:
    opened = _opened(tmp_path, "call_id,name\r\nA-1,Éloïse Côté\r\nA-2,Zoé\r\n".encode(codec))
    assert _cells(opened) == [("A-1", "Éloïse Côté"), ("A-2", "Zoé")]
    assert source.header(opened) == ("call_id", "name")
    assert source.peek(opened).told == told


def test_a_big_endian_mark_is_believed(tmp_path: Path) -> None:
    assert _cells(_opened(tmp_path, b"\xfe\xff" + "a,b\n1,é\n".encode("utf-16-be"))) == [("1", "é")]


def test_letters_are_decided_on_the_whole_file(tmp_path: Path) -> None:
    """One name at the very end decides how the first one is read."""
    lines = "a,b\n" + "1,ok\n" * 300_000
    assert _cells(_opened(tmp_path, lines.encode() + "2,é\n".encode()))[-1] == ("2", "é")
    assert _cells(_opened(tmp_path, lines.encode() + "2,é\n".encode("cp1252")))[-1] == ("2", "é")


def test_a_letter_cut_in_two_by_a_block_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "BLOCK_BYTES", 1)
    opened = _opened(tmp_path, "a,b\n1,é€😀\n".encode())
    assert source.peek(opened).told.startswith("UTF-8,")
    assert _cells(opened) == [("1", "é€😀")]


@pytest.mark.usefixtures("small_blocks")
def test_the_line_that_is_neither_is_named_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "BLOCK_BYTES", SMALL_BLOCK)
    opened = _opened(tmp_path, b"a,b\n" + b"1,x\n" * 100 + b"2,\xe9\n" + b"1,x\n" * 100 + b"3,\x9d\n")
    with pytest.raises(errors.SourceError, match="line 102: not UTF-8, and line 203 cannot be Windows-1252"):
        source.header(opened)


# ── what separates cells and rows ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_every_delimiter_and_line_end_is_read(tmp_path: Path, delimiter: str, end: str, last: bool) -> None:
    lines = [["call_id", "name"], ["A-1", "Tremblay, Luc; fils"], ["A-2", ""]]
    written = end.join(delimiter.join(f'"{cell}"' for cell in line) for line in lines) + (end if last else "")
    frame = _rows(_opened(tmp_path, written.encode()))
    assert frame.rows() == [("A-1", "Tremblay, Luc; fils", 2, None), ("A-2", "", 3, None)]


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        ("phone;name\n+15145550100;Tremblay, Luc, fils\n+15145550101;Roy, Anne, mère\n", ";"),
        ("a,b,c\n1,x;y,2\n3,x;y,4\n", ","),
        ("Chain;one;a,b,c,d,e\nChain;one;a,b,c,d,e\n", ","),
        ("Call report\nfrom May\n\na;b;c\n1;2;3\n4;5;6\n", ";"),
        ("alone\n1\n", ","),
        ("a|b\n", "|"),
        ('"a,b";c\n"d,e";f\n', ";"),
    ],
)
def test_the_delimiter_that_explains_most_is_taken(tmp_path: Path, content: str, delimiter: str) -> None:
    assert delimited.form(_opened(tmp_path, content.encode())).delimiter == delimiter


def test_quotes_are_read_as_csv_reads_them(tmp_path: Path) -> None:
    content = '"User 10" <114>,a"b"c,"say ""hi"""\n"""Luc"" <105>","",x "y"\n'
    opened = _opened(tmp_path, ("a,b,c\n" + content).encode())
    assert _cells(opened) == list(map(tuple, csv.reader(io.StringIO(content))))


@pytest.mark.usefixtures("small_blocks")
def test_a_quote_left_open_is_refused_with_its_line(tmp_path: Path) -> None:
    for content in (b'a,b\n1,2\n3,"open\n' + b"4,5\n" * 50, b'a,b\n1,2\n"', b'a,b\n1,2\n"\n'):
        with pytest.raises(errors.SourceError, match="line 3: a quote"):
            list(source.read(_opened(tmp_path, content)))


def test_blank_cells_past_the_last_column_are_no_fault(tmp_path: Path) -> None:
    """Spreadsheets write them. A cell too few is one: a line that was cut off looks the same."""
    frame = _rows(_opened(tmp_path, b"a,b\n1,2,, \n3\n4,5,,x\n"))
    assert frame["b"].to_list() == ["2", "", "5"]
    sound, short, long = frame["_ragged"].to_list()
    assert sound is None
    assert short.startswith("1 cells")
    assert '"", "x"' in long


def test_lines_without_text_are_no_rows_whichever_way_they_are_read(tmp_path: Path) -> None:
    frame = _rows(_opened(tmp_path, "a,b\n,\n1,\n \t,\u00a0\n\x1c,\x1f\n,2\n".encode()))
    assert frame["_row"].to_list() == [3, 6]


# ── layouts ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("width", [2, 3])
def test_a_layout_says_where_rows_begin_and_what_cells_are_called(tmp_path: Path, width: int) -> None:
    """Preamble, two header lines, and a file of many blocks behind them."""
    content = 'Report "May"\n\n"of\nus"\nx,y\nVARCHAR,INT\n' + "1,2\n" * 5
    layout = models.Layout(NAMES[:width], 7)
    frame = _rows(_opened(tmp_path, content.encode()), layout)
    assert frame.columns == [*NAMES[:width], "_row", "_ragged"]
    assert frame["_row"].to_list() == [7, 8, 9, 10, 11]
    assert frame["_ragged"].null_count() == (5 if width == 2 else 0)


@pytest.mark.usefixtures("small_blocks")
def test_a_layout_may_begin_blocks_away(tmp_path: Path) -> None:
    content = "a,b\r" * 100 + "x\n" * 100 + "1,2\n3,4\n"
    assert _rows(_opened(tmp_path, content.encode()), models.Layout(("a", "b"), 201))["_row"].to_list() == [201, 202]


def test_a_layout_past_the_end_has_no_rows(tmp_path: Path) -> None:
    assert list(source.read(_opened(tmp_path, b"a,b\n1,2\n"), models.Layout(("a", "b"), 3))) == []


def test_peek_shows_the_first_records_with_their_lines(tmp_path: Path) -> None:
    content = 'Report\n\n;;\na;"b\nc"\n' + "1;2\n" * 300
    seen = source.peek(_opened(tmp_path, content.encode()))
    assert seen.records[:4] == ((1, ("Report",)), (4, ("a", "b\nc")), (6, ("1", "2")), (7, ("1", "2")))
    assert len(seen.records) == source.PEEKED
    assert not seen.is_typed
    assert seen.told == "UTF-8, separated by ;"


@pytest.mark.parametrize("rows", [0, 5, 10, 25])
@pytest.mark.usefixtures("small_blocks")
def test_chunks_are_full_however_blocks_fall(tmp_path: Path, rows: int) -> None:
    opened = _opened(tmp_path, b"a,b\n" + b"".join(b'%d,"x\ny"\n%d,z\n' % (i, i) for i in range(rows)))
    frames = [chunk.frame for chunk in source.read(opened, chunk_rows=10)]
    assert [frame.height for frame in frames] == [10] * (2 * rows // 10)
    assert [cell for frame in frames for cell in frame["a"]] == [str(i // 2) for i in range(2 * rows)]


def test_a_cell_too_long_for_csv_is_refused_without_quotes_too(tmp_path: Path) -> None:
    """Polars would read it; whether a file can be used must not hang on the path that its blocks take."""
    with pytest.raises(errors.SourceError, match="line 2: field larger than field limit"):
        list(source.read(_opened(tmp_path, b"a,b\n1," + b"x" * 140_000 + b"\n")))


# ── the same by both paths ───────────────────────────────────────────────────────────────────────────────────────────

_CELL = st.text(
    st.sampled_from("aé€😀 0,;|\t\"'\r\n\x00\x02\x1c\x85\u2028\ufeff\\#=") | st.characters(codec="utf-8"), max_size=6
)


def _usual(cell: str) -> bool:
    return not any(mark in cell for mark in '",;|\t\r\n')


@st.composite
def _tables(draw: st.DrawFn, cell: st.SearchStrategy[str] = _CELL) -> list[list[str]]:
    width = draw(st.integers(2, 4))
    rows = draw(st.lists(st.lists(cell, min_size=width, max_size=width), max_size=12))
    return [[f"column {position}" for position in range(width)], *rows]


def _written(table: list[list[str]], delimiter: str, end: str, quoting: int, *, closed: bool) -> str:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(table)  # type: ignore[arg-type]
    return file.getvalue() if closed else file.getvalue().removesuffix(end)


def _expected(table: list[list[str]], written: str, delimiter: str) -> list[tuple[object, ...]]:
    """The rows with their physical lines, as the csv module alone counts them."""
    reader = csv.reader(io.StringIO(written, newline=""), delimiter=delimiter)
    starts = [1, *(reader.line_num + 1 for _ in reader)]
    return [
        (*row, start, None) for start, row in list(zip(starts, table, strict=False))[1:] if any(map(str.strip, row))
    ]


_COUNTER = itertools.count()


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=_tables(),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    closed=st.booleans(),
    size=st.sampled_from([16, 64, encoding.BLOCK_BYTES]),
)
def test_any_table_in_any_dialect_reads_back_the_same(
    tmp_path: Path, table: list[list[str]], delimiter: str, end: str, codec: str, closed: bool, size: int
) -> None:
    """Through whichever path its blocks take, and all through the tolerant one; physical lines too."""
    written = _written(table, delimiter, end, csv.QUOTE_ALL, closed=closed)
    opened = _opened(tmp_path, written.encode(codec), f"{next(_COUNTER)}.csv")
    whole = encoding.blocks
    frames = {}
    for name, patched in (("any", delimited_fast.frame), ("tolerant", lambda *_: None)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(encoding, "blocks", lambda opened, codec, size=size: whole(opened, codec, size))
            patch.setattr(delimited_fast, "frame", patched)
            chunks = [chunk.frame for chunk in source.read(opened)]
            frames[name] = pl.concat(chunks) if chunks else pl.DataFrame()
    assert frames["any"].equals(frames["tolerant"])
    assert frames["any"].rows() == _expected(table, written, delimiter)


@settings(deadline=None, max_examples=300)
@given(
    table=_tables(st.text(st.characters(codec="utf-8", exclude_characters='",\r\n'), max_size=6)),
    end=st.sampled_from(["\n", "\r\n"]),
    closed=st.booleans(),
)
def test_the_fast_path_takes_a_plain_grid_and_reads_it_as_csv_does(
    table: list[list[str]], end: str, closed: bool
) -> None:
    written = _written(table, ",", end, csv.QUOTE_MINIMAL, closed=closed)
    read = delimited_fast.frame(written.encode(), tuple(table[0]), ",", 1)
    assert read is not None
    assert read[1] == len(table)
    assert read[0].rows() == [(*table[0], 1, None), *_expected(table, written, ",")]


_LINES = st.lists(st.text(st.sampled_from('ab,,""\n\r \x02'), max_size=12), min_size=1, max_size=6)


@settings(deadline=None, max_examples=2000)
@given(lines=_LINES, end=st.sampled_from(["\n", "\r\n", "\r"]), width=st.integers(2, 4))
def test_the_fast_path_says_nothing_rather_than_something_else_than_csv(lines: list[str], end: str, width: int) -> None:
    """However quotes stand: if it reads a block, then exactly as the csv module does, line by line."""
    content = end.join(lines) + end
    read = delimited_fast.frame(content.encode(), tuple("wxyz"[:width]), ",", 1)
    if read is None:
        return
    reader = csv.reader(io.StringIO(content, newline=""))
    rows = [(*cells, reader.line_num, None) for cells in reader if any(map(str.strip, cells))]
    assert read[0].rows() == rows
    assert read[1] == reader.line_num


def test_the_fast_path_takes_what_phone_systems_quote(tmp_path: Path) -> None:
    """Else the biggest exports, FreePBX with quotes around every cell, would all be read slowly."""
    for content in (
        b'"2024-05-31 14:05:09","""Luc"" <105>","","s"\r\n' * 3,
        b'a,"b, c",,d\n"e",f,"",g\n',
        b'"""Luc"" <105>",a,b,"""Zoe"" <106>"\n',
    ):
        read = delimited_fast.frame(content, ("a", "b", "c", "d"), ",", 1)
        assert read is not None
        assert read[0].drop("_row", "_ragged").rows() == list(map(tuple, csv.reader(io.StringIO(content.decode()))))


@pytest.mark.parametrize(
    "block",
    [
        b'a"b",c\n',
        b'"a"b,c\n',
        b'a,"b" \n',
        b'a, "b"\n',
        b'""a,b\n',
        b'a"",b\n',
        b'a,"""" \n',
        b'\x02"b",c\n',
        b'"a\nb",c\n',
        b'"a\rb",c\n',
        b'"a",b\r\n"c",d\re,f\n',
        b'"a,b\nc",d\n',
        b'"a",b\n"c\n',
        b'"a",b,c\n',
        b'"a"\n',
        b"a,b\n\nc,d\n",
        b"a,b\nc\n",
        b"a,b\nc,d,e\n",
        b"a,b\r\nc,d\n",
        b"a,b\nc,d\r\n",
        b"a,b\rc,d\n",
        b"\xef\xbb\xbfa,b\n",
    ],
)
def test_polars_is_not_asked_where_the_bytes_prove_nothing(block: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it makes of such lines today is no promise."""
    monkeypatch.setattr(pl, "read_csv", lambda *_, **__: pytest.fail("asked"))
    assert delimited_fast.frame(block, ("a", "b"), ",", 1) is None


def test_a_mark_of_byte_order_inside_a_file_is_text(tmp_path: Path) -> None:
    """Polars would leave it out wherever its input begins."""
    assert _cells(_opened(tmp_path, "a,b\n\ufeff1,2\n".encode())) == [("\ufeff1", "2")]


def test_both_paths_take_turns_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that only csv reads right costs its block, not the rest of the file; lines stay right behind it."""
    monkeypatch.setattr(encoding, "BLOCK_BYTES", 40)
    taken: list[bool] = []
    whole, blocks = delimited_fast.frame, encoding.blocks

    def noting(
        block: bytes, names: tuple[str, ...], delimiter: str, first_line: int
    ) -> tuple[pl.DataFrame, int] | None:
        read = whole(block, names, delimiter, first_line)
        taken.append(read is not None)
        return read

    monkeypatch.setattr(delimited_fast, "frame", noting)
    monkeypatch.setattr(encoding, "blocks", lambda opened, codec, size=40: blocks(opened, codec, size))
    content = "a,b\n" + "1,2\n" * 30 + '3,"x\ny"\n' + "1,2\n" * 30
    frame = _rows(_opened(tmp_path, content.encode()))
    assert frame["_row"].to_list() == [*range(2, 33), *range(34, 64)]
    assert taken[0]
    assert not all(taken)
    assert taken[-2]


@settings(deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.sampled_from(["a,b", "1,2", "a", "", 'a,"b', 'b",c', '"a,b"', 'a"b,c', '"Zoé" <1>,b', "a,b,c"])),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    first_line=st.integers(1, 9),
)
def test_odd_records_among_plain_ones_are_read_as_by_csv_alone(
    tmp_path: Path, lines: list[str], end: str, first_line: int
) -> None:
    opened = _opened(tmp_path, b"a,b\n", f"{next(_COUNTER)}.csv")
    ended = [line + end for line in lines]
    found = delimited_tolerant.records(opened, ended, ",", first_line, is_last=False)
    frame, used, _ = delimited_mixed.frame(opened, ended, ("x", "y"), ",", first_line, is_last=False)
    assert used == found.used
    assert frame.equals(delimited_tolerant.frame(("x", "y"), found))


def test_an_odd_record_costs_itself_and_not_its_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    whole = delimited_tolerant.frame

    def noting(names: tuple[str, ...], found: delimited_tolerant.Records) -> pl.DataFrame:
        taken.append(len(found.rows))
        return whole(names, found)

    monkeypatch.setattr(delimited_tolerant, "frame", noting)
    content = "a,b\n" + "1,2\n" * 500 + '"Zoé" <101>,2\n' + "1,2\n" * 500
    frame = _rows(_opened(tmp_path, content.encode()))
    assert frame["_row"].to_list() == list(range(2, 1003))
    assert frame["a"][500] == "Zoé <101>"
    assert taken == [1]


# ── whatever comes ───────────────────────────────────────────────────────────────────────────────────────────────────

_NASTY = st.lists(
    st.sampled_from(
        [b"a", b",", b";", b"\t", b'"', b"\n", b"\r", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe9", b"\x81", b"a,b\n"]
    )
    | st.binary(max_size=4),
    max_size=40,
).map(b"".join)
_SUFFIXES = [".csv", ".tsv", ".txt", ".parquet", ".csv.gz", ".csv.zst", ".zip", ".xlsx"]


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400) | _NASTY, suffix=st.sampled_from(_SUFFIXES))
def test_any_bytes_are_rows_or_one_line_of_refusal(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"{next(_COUNTER)}{suffix}"
    path.write_bytes(content)
    for act in (source.peek, source.header, lambda opened: list(source.read(opened))):
        try:
            act(source.open_source(path))
        except errors.SourceError as error:
            assert "\n" not in str(error)  # noqa: PT017 (rows are right as well)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=_NASTY)
def test_no_text_is_dropped_in_silence(tmp_path: Path, content: bytes) -> None:
    """Every record of the file that holds any text is a row, told by nothing but the csv module."""
    opened_path = tmp_path / f"{next(_COUNTER)}.csv.gz"
    opened_path.write_bytes(gzip.compress(content))
    opened = source.open_source(opened_path)
    try:
        its = delimited.form(opened)
        read = sum(chunk.frame.height for chunk in source.read(opened, models.Layout(("a", "b"), 1)))
    except errors.SourceError:
        return
    decoded = content.decode(its.codec).removeprefix("\ufeff")
    text = re.sub(r"[\x1a\x00][\x1a\x00\r\n]*\Z", "", decoded)  # marks behind the last row are no text
    records = csv.reader(io.StringIO(text, newline=""), delimiter=its.delimiter)
    assert read == sum(any(map(str.strip, cells)) for cells in records)


@pytest.mark.parametrize("row", [0, 1, 400])
def test_a_row_of_more_columns_than_a_call_log_has_is_refused(tmp_path: Path, row: int) -> None:
    lines = ["a,b"] + ["1,2"] * 500
    lines[row] += "," * source_file.MOST_COLUMNS
    opened = _opened(tmp_path, "\n".join(lines).encode())
    with pytest.raises(errors.SourceError, match=rf"line {row + 1}: 1,002 columns, more than 1,000"):
        list(source.read(opened))


@pytest.mark.usefixtures("small_blocks")
def test_a_row_that_never_ends_is_refused_before_all_of_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its cells is short, so only the row as a whole is too long."""
    monkeypatch.setattr(delimited, "LONGEST_RECORD_BYTES", 1000)
    opened = _opened(tmp_path, b"a,b\n1,2\n" + b'"x\n",' * 500)
    with pytest.raises(errors.SourceError, match="line 3: a row of more than"):
        list(source.read(opened))


def test_a_line_that_never_ends_is_refused_before_all_of_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "LONGEST_LINE_BYTES", 1000)
    monkeypatch.setattr(encoding, "BLOCK_BYTES", 300)
    opened = _opened(tmp_path, b"a,b\n1,2\n" + b"x" * 9000)
    with pytest.raises(errors.SourceError, match="has a line of more than"):
        encoding.of(opened)
