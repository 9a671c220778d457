"""A quote that was left open takes the rows below it into one cell: such a row is told from a note of several lines."""

import csv
import io
import itertools
import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callimport.core import errors, models
from callimport.extract import reader

_COUNTER = itertools.count()
_HEADER = "direction,started_at,seconds,phone,note,tape"


def _read(folder: Path, content: str) -> pl.DataFrame:
    path = folder / f"{next(_COUNTER)}.csv"
    path.write_bytes(content.encode())
    return pl.concat(chunk.frame for chunk in reader.read(reader.open_source(path)))


def _row(minute: int, note: str = "", phone: str = "") -> str:
    return f"incoming,2024-05-31 14:{minute:02},60,{phone or f'+151455501{minute:02}'},{note},"


def _faults(frame: pl.DataFrame) -> dict[int, str]:
    return dict(frame.filter(pl.col("_ragged").is_not_null()).select("_row", "_ragged").iter_rows())


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("closes", ['said "hi', 'a 6" tire', 'Roy"', '"Roy, Luc"'])
@pytest.mark.parametrize("between", [0, 1, 3])
def test_a_quote_left_open_rejects_the_row_that_swallowed_others(
    tmp_path: Path, end: str, closes: str, between: int
) -> None:
    rows = [_row(1), _row(2, '"Roy called'), *(_row(3 + n) for n in range(between)), _row(8, closes), _row(9)]
    frame = _read(tmp_path, end.join([_HEADER, *rows, ""]))
    last = 4 + between
    assert list(_faults(frame)) == [3]
    assert _faults(frame)[3] == (
        f'a quoted cell that holds whole rows (lines 3 to {last}): a quote (") opens on line 3; close it or remove it '
        "in the export, then import the export again; this row alone lacks the others"
    )
    assert frame["_row"].to_list() == [2, 3, last + 1]


def test_a_row_cut_off_inside_a_quoted_note_is_rejected_with_the_row_it_took(tmp_path: Path) -> None:
    cut = 'incoming,2024-05-31 14:02,60,+15145550102,"Roy ca'
    assert list(_faults(_read(tmp_path, "\n".join([_HEADER, cut, _row(3, 'tire of 6"'), _row(4), ""])))) == [2]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("note,start,phone", '"{}",2024-05-31 14:05,5145550101'),
        ("start,note,phone", '2024-05-31 14:05,"{}",5145550101'),
        ("start,phone,note", '2024-05-31 14:05,5145550101,"{}"'),
        ("phone,note", '5145550101,"{}"'),
        ("start,phone,way,note", '2024-05-31 14:05,5145550101,in,"{}"'),
        ("start;phone;way;note", '2024-05-31 14:05;5145550101;in;"{}"'),
        (_HEADER, 'incoming,2024-05-31 14:05,60,+15145550101,"{}",a.wav'),
    ],
)
@pytest.mark.parametrize(
    "note",
    [
        "Wants a red one, not blue\nCalls back, perhaps",
        "Yes, Tuesday\nor Friday, in the morning\nthanks, Ana",
        "Luc Tremblay\n12, rue Principale, bureau 4\nMontreal, QC, H2X 1Y4\nCanada",
        "Call 514-555-0102, after 5\nor ask for Bob, extension 12, or Anne",
        'He said ""no, never"", then\nhung up, twice',
        "\nred; blue; green, and white\n",
        "a, b, c, d, e, f\n,\n\n",
    ],
)
def test_a_note_of_several_lines_stays_a_note(tmp_path: Path, header: str, row: str, note: str) -> None:
    frame = _read(tmp_path, f"{header}\n{row.format('short')}\n{row.format(note)}\n{row.format('short')}\n")
    assert _faults(frame) == {}
    assert note.replace('""', '"') in frame.row(1)


@pytest.mark.parametrize(
    "rows",
    [
        ["note,start,phone", '"Roy,2024-05-31 14:05,5145550101', 'Ana 6",2024-05-31 14:06,5145550102'],
        ["start,note,phone", '2024-05-31 14:05,"Roy,5145550101', '2024-05-31 14:06,Ana 6",5145550102'],
        ["start,phone,note", '2024-05-31 14:05,5145550101,"Roy', '2024-05-31 14:06,5145550102,Ana 6"'],
        ["phone\tnote", '5145550101\t"Roy', '5145550102\tAna 6"'],
    ],
)
def test_rows_of_few_columns_are_known_by_the_form_of_their_cells(tmp_path: Path, rows: list[str]) -> None:
    assert list(_faults(_read(tmp_path, "\n".join(rows) + "\n"))) == [2]


def test_text_behind_the_closing_quote_of_several_lines_tells_that_it_closes_elsewhere(tmp_path: Path) -> None:
    """Whatever the lines look like: here the row that was swallowed has another form of time and no number."""
    rows = ['2024-05-31 14:05,5145550101,in,"Roy', '31 May 2:06 PM,anonymous,out,said "hi', ""]
    assert list(_faults(_read(tmp_path, "\n".join(["start,phone,way,note", *rows])))) == [2]


@pytest.mark.parametrize(
    "content",
    [
        '"Report\nstart,phone,way,note\n2024-05-31 14:05,51455,in,6"\nstart,phone,way,note\n2024-05-31 14:06,1,in,x\n',
        'start,phone,way,"note\n2024-05-31 14:05,5145550101,in,6"\n2024-05-31 14:06,5145550102,in,x\n',
        'start,phone,way,"note\n2024-05-31 14:05,5145550101,in,said "hi\n2024-05-31 14:06,5145550102,in,x\n',
    ],
)
def test_rows_swallowed_above_the_first_row_refuse_the_file(tmp_path: Path, content: str) -> None:
    """There is no row that could be rejected for it."""
    path = tmp_path / "calls.csv"
    path.write_bytes(content.encode())
    opened = reader.open_source(path)
    records = reader.peek(opened).records
    position = next(number for number, (_, cells) in enumerate(records) if cells[0] == "start")
    layout = models.Layout(("start", "phone", "way", "note"), records[position + 1][0], records[position][1])
    with pytest.raises(errors.SourceError, match=r"lines 1 to \d are a quoted cell that holds whole rows"):
        list(reader.read(opened, layout))


def test_a_name_of_a_column_may_have_two_lines(tmp_path: Path) -> None:
    frame = _read(tmp_path, '"Call\nTime",Phone\n2024-05-31 14:05,5145550101\n')
    assert frame["_row"].to_list() == [3]


_PLAIN = st.text(st.sampled_from("ab é.'-"), max_size=8)


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    columns=st.permutations(["start", "phone", "note", "way", "name", "id"]),
    width=st.integers(3, 6),
    texts=st.lists(_PLAIN, min_size=4, max_size=8),
    opens=st.integers(0, 2),
    closes=st.integers(1, 4),
    stray=st.sampled_from(['{}"', '"{}', '{} "hi', '"{}"', '6" {}']),
    delimiter=st.sampled_from(",;\t|"),
)
def test_no_row_is_swallowed_unseen_wherever_a_quote_opens_and_closes(
    tmp_path: Path,
    columns: list[str],
    width: int,
    texts: list[str],
    opens: int,
    closes: int,
    stray: str,
    delimiter: str,
) -> None:
    """Each row has an id of its own in its phone: a sound row shows no phone but its own."""
    names = [name for place, name in enumerate(columns) if name in ("start", "phone", "note") or place < width]
    rows = []
    for number, text in enumerate(texts):
        cells = {
            "start": f"2024-05-31 14:{number:02}", "phone": f"51455501{number:02}", "note": text, "way": "in",
            "name": "Ana", "id": f"c{number}",
        }  # fmt: skip
        if number == opens:
            cells["note"] = f'"{text}'
        if number == min(opens + closes, len(texts) - 1) and number != opens:
            cells["note"] = stray.format(text)
        rows.append(delimiter.join(cells[name] for name in names))
    content = "\n".join([delimiter.join(names), *rows, ""])
    try:
        frame = _read(tmp_path, content)
    except errors.SourceError:
        return
    for row in frame.drop("_row").iter_rows(named=True):
        shown = set(re.findall("51455501..", " ".join(map(str, row.values()))))
        assert row["_ragged"] is not None or len(shown) == 1


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    notes=st.lists(
        st.lists(
            st.sampled_from(["Wants a red one", "not blue, please", "call back", "yes, ok", "", "12 tires, maybe"])
        ).map("\n".join),
        min_size=1,
        max_size=5,
    ),
    position=st.integers(0, 3),
)
def test_prose_is_never_taken_for_rows(tmp_path: Path, notes: list[str], position: int) -> None:
    table = [["start", "phone", "way"], *(["2024-05-31 14:05", "5145550101", "in"] for _ in notes)]
    for cells, note in zip(table, ["note", *notes], strict=True):
        cells.insert(position, note)
    file = io.StringIO(newline="")
    csv.writer(file).writerows(table)
    frame = _read(tmp_path, file.getvalue())
    assert _faults(frame) == {}
    assert frame["note"].to_list() == notes
