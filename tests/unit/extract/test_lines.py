"""Every line of a file lies in the span of one row, or is counted as what else it is."""

import itertools
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callimport.core import errors, models
from callimport.extract import delimited_fast, encoding, reader
from callimport.profiles import profile

_COUNTER = itertools.count()
_TYPES = r"(?i)^(?:INTEGER|VARCHAR\(\d+\))$"


def _opened(folder: Path, content: str | bytes) -> models.Source:
    path = folder / f"{next(_COUNTER)}.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return reader.open_source(path)


def _layout(opened: models.Source, first: str = "start", second: str | None = None) -> models.Layout:
    """The layout as detection finds it: the header is the record that begins with `first`."""
    peek = reader.peek(opened)
    position = next(number for number, (_, cells) in enumerate(peek.records) if cells[0].strip() == first)
    return profile.headed(peek, position, second)


def _read(opened: models.Source, layout: models.Layout | None = None) -> tuple[pl.DataFrame, models.Lines]:
    lines = models.Lines()
    chunks = [chunk.frame for chunk in reader.read(opened, layout, lines=lines)]
    empty = pl.DataFrame(schema={"_row": pl.Int64, "_ragged": pl.String})
    return pl.concat(chunks) if chunks else empty, lines


# ── headers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_ROWS = "2024-05-31 14:05,5145550101,x\n2024-05-31 14:06,5145550102,y\n"


@pytest.mark.parametrize(
    "header",
    [
        "start,phone,note",
        " Start ,PHONE,Note",
        "start,phone,note,,",
        "\ufeffstart,phone,note",
        '"start","phone","note"',
    ],
)
def test_a_repeated_header_is_not_a_row(tmp_path: Path, header: str) -> None:
    """Files put together, with the mark of byte order that each of them began with; pages of a report."""
    frame, lines = _read(_opened(tmp_path, f"start,phone,note\n{_ROWS}{header}\n{_ROWS}\n{header}\n"))
    assert frame["_row"].to_list() == [2, 3, 5, 6]
    assert frame["_ragged"].null_count() == 4
    assert lines == models.Lines(rows=4, blank=1, header=1, repeated=2)


@pytest.mark.parametrize("size", [16, 64, encoding.BLOCK_BYTES])
def test_the_second_line_of_a_header_goes_with_it(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encoding.blocks
    monkeypatch.setattr(encoding, "blocks", lambda opened, codec, size=size: whole(opened, codec, size))
    header = "start,phone,note\nINTEGER,VARCHAR(50),VARCHAR(99)\n"
    opened = _opened(tmp_path, f"{header}{_ROWS}{header}\n{_ROWS}{header}")
    frame, lines = _read(opened, _layout(opened, second=_TYPES))
    assert frame["start"].to_list() == ["2024-05-31 14:05", "2024-05-31 14:06"] * 2
    assert lines == models.Lines(rows=4, blank=1, header=2, repeated=4)


def test_a_second_header_line_counts_only_behind_a_header(tmp_path: Path) -> None:
    opened = _opened(tmp_path, f"start,phone,note\n{_ROWS}INTEGER,INTEGER,INTEGER\n")
    assert _read(opened, _layout(opened, second=_TYPES))[0].height == 3


@pytest.mark.parametrize(
    "header", ["phone,start,note", "start,phone,note,tape", "start,phone", "Phone,START,memo", "id,start,phone,note"]
)
def test_a_header_of_other_columns_among_the_rows_refuses_the_file(tmp_path: Path, header: str) -> None:
    with pytest.raises(errors.SourceError, match=r"line 4: a header with other columns .*would be read wrongly"):
        _read(_opened(tmp_path, f"start,phone,note\n{_ROWS}{header}\n{_ROWS}"))


@pytest.mark.parametrize(
    "row", ["2024-05-31 14:05,phone,note", "start,5145550101,", "note,Ana,Luc", ",,note", "x,,start"]
)
def test_a_row_with_a_word_of_the_header_is_a_row(tmp_path: Path, row: str) -> None:
    frame, lines = _read(_opened(tmp_path, f"start,phone,note\n{_ROWS}{row}\n"))
    assert frame["_row"].to_list() == [2, 3, 4]
    assert lines.repeated == 0


def test_a_repeated_header_in_a_sheet_is_not_a_row(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (["Report"], [], ["start", "phone"], ["2024", "1"], ["Start", "Phone "], [], ["2025", "2"]):
        book.active.append(row)
    book.save(tmp_path / "calls.xlsx")
    opened = reader.open_source(tmp_path / "calls.xlsx")
    frame, lines = _read(opened, _layout(opened))
    assert frame["_row"].to_list() == [4, 7]
    assert lines == models.Lines(rows=2, blank=2, preamble=1, header=1, repeated=1)


def test_the_rows_of_parquet_are_all_rows(tmp_path: Path) -> None:
    pl.DataFrame({"start": ["1", "2"], "phone": ["3", None]}).write_parquet(tmp_path / "calls.parquet")
    assert _read(reader.open_source(tmp_path / "calls.parquet"))[1] == models.Lines(rows=2)


# ── what stands behind the last column, and behind the last row ──────────────────────────────────────────────────────


@pytest.mark.parametrize("in_header", ["", ",", ", ,"])
@pytest.mark.parametrize("in_rows", ["", ",", ",, "])
def test_a_separator_behind_the_last_column_is_no_column(tmp_path: Path, in_header: str, in_rows: str) -> None:
    content = f"start,phone,note{in_header}\n" + "".join(line + in_rows + "\n" for line in _ROWS.splitlines())
    opened = _opened(tmp_path, content)
    for layout in (None, _layout(opened)):
        frame, _ = _read(opened, layout)
        assert frame.columns == ["start", "phone", "note", "_row", "_ragged"]
        assert frame["_ragged"].to_list() == [None, None]


@pytest.mark.parametrize("in_header", ["", ",", ",,"])
def test_text_behind_the_last_column_is_never_left_out(tmp_path: Path, in_header: str) -> None:
    opened = _opened(tmp_path, f"start,phone,note{in_header}\n{_ROWS}2024-05-31 14:07,5145550103,z,,more\n")
    frame, _ = _read(opened, _layout(opened))
    assert frame["_ragged"].to_list()[:2] == [None, None]
    assert 'too many: "", "more"' in frame["_ragged"][2]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("behind", "trailer"),
    [
        ("\x1a", 0),
        ("{}\x1a", 1),
        ("{}\x1a{}", 1),
        ("{}{}\x1a", 1),
        ("\x1a\x1a\x1a", 0),
        ("{}\x00\x00\x00", 1),
        ("\x00" * 9, 0),
    ],
)
def test_a_mark_behind_the_last_row_is_no_row_and_no_part_of_one(
    tmp_path: Path, end: str, behind: str, trailer: int
) -> None:
    rows = ["start,phone", "2024-05-31 14:05,5145550101", "2024-05-31 14:06,5145550102"]
    opened = _opened(tmp_path, end.join(rows) + behind.replace("{}", end))
    frame, lines = _read(opened)
    assert frame.rows() == [(*rows[1].split(","), 2, None), (*rows[2].split(","), 3, None)]
    assert (lines.rows, lines.header, lines.trailer) == (2, 1, trailer)
    assert len(reader.peek(opened).records) == 3


def test_a_mark_inside_the_file_is_text(tmp_path: Path) -> None:
    frame, _ = _read(_opened(tmp_path, "start,phone\n1,a\x1a\n2,b\n"))
    assert frame["phone"].to_list() == ["a\x1a", "b"]


def test_a_file_with_only_a_header_and_a_mark_has_no_row(tmp_path: Path) -> None:
    for content in ("start,phone\r\n\x1a", "start,phone\x1a"):
        frame, lines = _read(_opened(tmp_path, content))
        assert frame.height == 0
        assert lines.counts()["total"] == 1 + lines.trailer


# ── any file ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_WORD = st.text(st.sampled_from("ab é.'-"), min_size=1, max_size=5).filter(lambda word: bool(word.strip()))
_ITEM = st.sampled_from(
    ["row", "row", "row", "quoted", "trailing", "note", "blank", "empty", "header", "short", "swallowed"]
)


@st.composite
def _files(draw: st.DrawFn) -> tuple[str, dict[int, bool], models.Lines]:
    """The text of a file; the lines that its rows begin on, and whether each is sound; what its lines are."""
    mark, end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    lines, rows, text = models.Lines(), {}, ""
    header = mark.join(["start", "phone", "note", "way", "name"])

    def add(written: str, kind: str) -> None:
        nonlocal text
        count = written.count("\n") + 1
        text += written.replace("\n", end) + end
        setattr(lines, kind, getattr(lines, kind) + count)

    for word in draw(st.lists(_WORD, max_size=2)):
        add(word, "preamble")
    for _ in range(draw(st.integers(0, 2))):
        add("", "blank")
    add(header + draw(st.sampled_from(["", mark])), "header")
    for number, item in enumerate(draw(st.lists(_ITEM, max_size=14))):
        word = draw(_WORD)
        cells = [f"2024-05-31 14:{number:02}", f"51455501{number:02}", word, "in", "Ana"]
        if item in ("blank", "empty"):
            add("" if item == "blank" else mark * 4, "blank")
            continue
        if item == "header":
            add(
                draw(st.sampled_from([header, header.upper(), header.replace(mark, f" {mark}"), header + mark])),
                "repeated",
            )
            continue
        rows[lines.counts()["total"] + 1] = item not in ("short", "swallowed")
        if item == "note":
            cells[2] = f'"{word}, {word}\n\n""{word}"" {number}, {word}"'
        elif item == "quoted":
            cells[2] = f'"{word}{mark}{word}"'
        elif item == "swallowed":
            other = mark.join(["2024-05-31 15:00", "5145550199", f'a 6" {word}'])
            cells[2] = f'"{word}{mark}in{mark}Ana\n{other}'
        written = mark.join(cells[:3] if item == "short" else cells)
        add(written + (mark if item == "trailing" else ""), "rows")
    closing = draw(st.sampled_from(["", "", "glued", "alone"]))
    if closing == "alone":
        lines.trailer += 1
        text += "\x1a"
    elif closing == "glued" and not text.endswith(end + end):
        text = text.removesuffix(end) + "\x1a"
    return text, rows, lines


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=_files(), size=st.sampled_from([16, 64, encoding.BLOCK_BYTES]))
def test_every_line_lies_in_one_row_or_is_counted(
    tmp_path: Path, file: tuple[str, dict[int, bool], models.Lines], size: int
) -> None:
    text, rows, expected = file
    opened = _opened(tmp_path, text)
    whole = encoding.blocks
    frames = {}
    for name, patched in (("any", delimited_fast.frame), ("tolerant", lambda *_: None)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(encoding, "blocks", lambda opened, codec, size=size: whole(opened, codec, size))
            patch.setattr(delimited_fast, "frame", patched)
            frames[name], lines = _read(opened, _layout(opened))
        assert lines == expected
    frame = frames["any"]
    assert frame.equals(frames["tolerant"])
    assert dict(zip(frame["_row"], frame["_ragged"].is_null(), strict=True)) == rows
    for row in frame.filter(pl.col("_ragged").is_null()).iter_rows(named=True):
        minute = row["start"].removeprefix("2024-05-31 14:")
        assert row["phone"] == f"51455501{minute}"
        assert (row["way"], row["name"]) == ("in", "Ana")
