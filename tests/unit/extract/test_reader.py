"""Files are read as they are, or refused in one line that says what to do."""

import os
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from callimport.core import errors, models
from callimport.extract import reader


def _csv(folder: Path, content: str | bytes, name: str = "calls.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _frames(path: Path, chunk_rows: int = reader.CHUNK_ROWS) -> pl.DataFrame:
    return pl.concat(chunk.frame for chunk in reader.read(reader.open_source(path), chunk_rows=chunk_rows))


def _message(path: Path) -> str:
    """The one line that opening or reading `path` ends in."""
    with pytest.raises(errors.SourceError) as caught:
        list(reader.read(reader.open_source(path)))
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


# ── which files ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_files_stay_in_the_order_they_were_given(tmp_path: Path) -> None:
    second, first = str(tmp_path / "b.csv"), str(tmp_path / "a.csv")
    assert reader.find([second, first]) == (Path(second), Path(first))


def test_a_folder_stands_for_its_exports_sorted(tmp_path: Path) -> None:
    exports = ["a.CSV", "b.parquet", "c.tsv", "d.txt", "e.xlsx", "f.csv.gz", "g.txt.zst", "h.zip"]
    others = [".hidden.csv", "call.wav", "notes.md", "old.xls", "pbx.log", "tables.tar.gz", "x.gz", "~$e.xlsx"]
    for name in exports + others:
        (tmp_path / name).touch()
    (tmp_path / "folder.csv").mkdir()
    assert [path.name for path in reader.find([str(tmp_path)])] == exports


def test_a_folder_without_exports_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.SourceError, match=r"holds no \.csv, \.tsv"):
        reader.find([str(tmp_path)])


def test_a_pattern_is_expanded_unless_a_file_is_called_that(tmp_path: Path) -> None:
    for name in ("2024-1.csv", "2024-2.csv", "call[1].csv"):
        (tmp_path / name).touch()
    assert [path.name for path in reader.find([str(tmp_path / "2024-*.csv")])] == ["2024-1.csv", "2024-2.csv"]
    assert [path.name for path in reader.find([str(tmp_path / "call[1].csv")])] == ["call[1].csv"]


def test_a_pattern_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.SourceError, match="matches no file"):
        reader.find([str(tmp_path / "*.csv")])


def test_the_same_file_twice_is_taken_once(tmp_path: Path) -> None:
    path = _csv(tmp_path, "a\n1\n")
    (tmp_path / "link.csv").symlink_to(path)
    assert reader.find([str(path), f"{tmp_path}/./calls.csv", str(tmp_path / "link.csv"), str(tmp_path)]) == (path,)


def test_a_source_is_known_by_its_content(tmp_path: Path) -> None:
    one, other = _csv(tmp_path, "a\n1\n"), _csv(tmp_path, "a\n1\n", "copy.csv")
    assert reader.open_source(one).sha256 == reader.open_source(other).sha256
    assert reader.open_source(one).size == 4


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("calls.csv", b"", "is empty (0 bytes)"),
        ("calls.csv", b"\n \n\r\n", "holds no line with text"),
        ("calls.csv", b"a,b\n" + b"1,ok\n" * 5000 + b"1,\xe9\n2,\x81", "line 5002: not UTF-8, and line 5003 cannot be"),
        ("calls.csv", b"\xef\xbb\xbfa,b\n1,\xe9\n", "line 2: not UTF-8, as its first bytes say"),
        ("calls.csv", "a,b\n1,é\n2,".encode("utf-16") + b"\x00\xd8\n\x00", "line 3: damaged UTF-16"),
        ("calls.csv", "a,b\n1,2\n".encode("utf-16") + b"x", "line 3: damaged UTF-16"),
        ("calls.csv", "a,b\n1,2\n".encode("utf-32"), "is UTF-32"),
        ("calls.csv", b"a\x00b,c\n1,2\n", "is no text"),
        ("calls.csv", b"a,b,a\n1,2,3\n", "several columns are called a"),
        ("calls.csv", b"%b,%b\n" % (b"a" * 300, b"a" * 300), f"several columns are called {'a' * 59}…; rename"),
        ("calls.csv", b"a,,b\n1,2,3\n", "column 2 has no name"),
        ("calls.csv", b'a,b\n1,2\n3,"open\n4,5\n', "line 3: a quote"),
        ("calls.csv", b'a,b\n1,2\n3,"' + b"open\n4,5\n" * 50_000, "line 3: field larger than field limit"),
        ("calls.csv", b"PK\x03\x04rest", "Excel workbook"),
        ("calls.csv", b"PAR1rest", "Parquet under another name"),
        ("calls.parquet", b"a,b\n1,2\n", "it is something else under that name"),
        ("calls.xls", b"\xd0\xcf\x11\xe0", "save the sheet as .xlsx or"),
        ("calls.csv", b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
        ("calls.csv", b"\x1f\x8b\x08", "rename it to end in .gz"),
        ("calls.csv", b"\x28\xb5\x2f\xfd", "rename it to end in .zst"),
        ("calls.csv.bz2", b"BZh", "unpack it first"),
        ("calls.tar.gz", b"\x1f\x8b", "unpack it first"),
        ("calls.parquet.gz", b"\x1f\x8b", "unpack it first"),
        ("calls.mp3", b"ID3", "name a .csv, .tsv"),
        ("calls", b"a,b\n", "no suffix"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    assert said in _message(_csv(tmp_path, content, name))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in _message(tmp_path / "none.csv")


def test_a_folder_or_a_pipe_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    assert "is a folder" in _message(tmp_path / "folder.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    assert "not a regular file" in _message(tmp_path / "pipe.csv")


def test_a_file_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _csv(tmp_path, "a\n")

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # root may read everything
    assert "no permission" in _message(path)


def test_a_truncated_parquet_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"a": range(1000)}).write_parquet(tmp_path / "whole.parquet")
    path = _csv(tmp_path, (tmp_path / "whole.parquet").read_bytes()[:-40], "calls.parquet")
    assert "its end is missing" in _message(path)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"calls.{kind}"
    frame = pl.DataFrame({"a": ["1", "2"], "b": ["3", "4"]})
    frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
    opened = reader.open_source(path)
    os.utime(path, ns=(0, opened.modified_ns + 1))
    with pytest.raises(errors.SourceError, match="still being written"):
        list(reader.read(opened))


# ── rows of CSV ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_carry_the_physical_line_they_start_on(tmp_path: Path) -> None:
    path = _csv(tmp_path, 'a,b\r\n1,"two\r\nlines"\r\n\r\n , \r\n2,x\r\n3,y')
    frame = _frames(path)
    assert frame["_row"].to_list() == [2, 6, 7]
    assert frame["b"].to_list() == ["two\r\nlines", "x", "y"]


def test_cells_are_kept_as_they_were(tmp_path: Path) -> None:
    frame = _frames(_csv(tmp_path, '\ufeff a ,b\n" 1 ",\n"User 10" <114>,é\n'))
    assert frame.drop("_row", "_ragged").to_dict(as_series=False) == {"a": [" 1 ", "User 10 <114>"], "b": ["", "é"]}


def test_line_ends_of_an_old_mac_are_read(tmp_path: Path) -> None:
    frame = _frames(_csv(tmp_path, "a,b\r1,2\r3,4\r"))
    assert frame["_row"].to_list() == [2, 3]


def test_a_row_of_another_width_is_kept_and_marked(tmp_path: Path) -> None:
    frame = _frames(_csv(tmp_path, "a,b\n1\n1,2,3,\n1,2\n"))
    assert frame["a"].to_list() == ["1", "1", "1"]
    short, long, sound = frame["_ragged"].to_list()
    assert short.startswith("1 cells where the header has 2")
    assert '"3", ""' in long
    assert sound is None


def test_chunks_hold_every_row_once(tmp_path: Path) -> None:
    path = _csv(tmp_path, "a,b\n" + "".join(f"{i},x\n" for i in range(25)))
    chunks = list(reader.read(reader.open_source(path), chunk_rows=10))
    assert [chunk.frame.height for chunk in chunks] == [10, 10, 5]
    assert pl.concat(chunk.frame for chunk in chunks)["a"].to_list() == [str(i) for i in range(25)]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_only_a_header_is_a_quiet_day(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"calls.{kind}"
    frame = pl.DataFrame({"a": [], "b": []}, schema={"a": pl.String, "b": pl.String})
    frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
    opened = reader.open_source(path)
    assert reader.header(opened) == ("a", "b")
    assert list(reader.read(opened)) == []


def test_our_own_columns_of_a_reject_file_are_not_read(tmp_path: Path) -> None:
    path = _csv(tmp_path, "a,_row,_reasons,_source\n1,77,old,x.csv\n")
    assert reader.header(reader.open_source(path)) == ("a", "_row", "_reasons", "_source")
    assert _frames(path).columns == ["a", "_row", "_ragged"]
    assert _frames(path)["_row"].to_list() == [2]


# ── rows of Parquet ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_parquet_values_become_text(tmp_path: Path) -> None:
    start = datetime(2024, 5, 31, 14, 5, 9, tzinfo=UTC)
    pl.DataFrame(
        {
            "whole": [5145550100, None],
            "float": [5003.0, float("nan")],
            "utc": [start, None],
            "naive": pl.Series([start, start]).dt.replace_time_zone(None),
            "flag": [True, None],
            "span": [timedelta(seconds=95), None],
            "time": [time(14, 5, 9), None],
            "day": [start.date(), None],
            "exact": [Decimal("17.10"), None],
            "kind": pl.Series(["x", None], dtype=pl.Categorical),
            "list": [[1], None],
            "struct": [{"a": 1}, None],
            "bytes": [b"\x01", None],
            " text ": [" é ", ""],
        }
    ).with_columns(zoned=pl.col("utc").dt.convert_time_zone("America/Toronto")).write_parquet(tmp_path / "a.parquet")
    first, second = _frames(tmp_path / "a.parquet").drop("_ragged").iter_rows(named=True)
    assert first == {
        "whole": "5145550100",
        "float": "5003",
        "utc": "2024-05-31T14:05:09+00:00",
        "naive": "2024-05-31T14:05:09",
        "flag": "true",
        "span": "95",
        "time": "14:05:09",
        "day": "2024-05-31",
        "exact": "17.10",
        "kind": "x",
        "list": "[1]",
        "struct": "{'a': 1}",
        "bytes": "01",
        "text": " é ",
        "zoned": "2024-05-31T10:05:09-04:00",
        "_row": 1,
    }
    assert {key for key, value in second.items() if value is not None} == {"naive", "text", "_row"}


def test_parquet_rows_are_counted_across_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "calls[1].parquet"
    pl.DataFrame({"a": range(2500)}).write_parquet(path, row_group_size=700)
    chunks: list[models.Chunk] = list(reader.read(reader.open_source(path), chunk_rows=1000))
    assert max(chunk.frame.height for chunk in chunks) <= 1000
    frame = pl.concat(chunk.frame for chunk in chunks)
    assert frame["_row"].to_list() == list(range(1, 2501))
    assert frame["a"].to_list() == [str(i) for i in range(2500)]


def test_parquet_as_pandas_writes_it_is_text_as_a_csv_would_say(tmp_path: Path) -> None:
    """Phones and ids become numbers there, and floats as soon as one is missing."""
    start = datetime(2024, 5, 31, 14, 5, 9, 120_000)  # noqa: DTZ001 (pandas' datetime64[ns] has no zone)
    frame = pl.DataFrame({"phone": [15145550100, None], "id": [5145550100.0, None], "at": [start, None]})
    frame.with_columns(pl.col("at").cast(pl.Datetime("ns"))).write_parquet(tmp_path / "a.parquet")
    first, second = _frames(tmp_path / "a.parquet").select("phone", "id", "at").rows()
    assert first == ("15145550100", "5145550100", "2024-05-31T14:05:09.120")
    assert second == (None, None, None)


def test_peek_into_parquet_shows_its_names_as_line_0(tmp_path: Path) -> None:
    pl.DataFrame({" a ": range(500), "_row": ["x", None] * 250}).write_parquet(tmp_path / "a.parquet")
    seen = reader.peek(reader.open_source(tmp_path / "a.parquet"))
    assert seen.is_typed
    assert seen.told == "Parquet"
    assert seen.records[:3] == ((0, (" a ", "_row")), (1, ("0", "x")), (2, ("1", "")))
    assert len(seen.records) == reader.PEEKED
