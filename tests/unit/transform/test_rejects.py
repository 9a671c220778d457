"""A reject file is the input as it was, with every reason, and can be mended and fed in again."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from callimport.core import errors, models
from callimport.extract import reader
from callimport.profiles import profile
from callimport.transform import rejects, validate

_NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
_HEADER = "direction,started_at,duration_seconds,customer_phone,description\n"
_SOUND = "incoming,2024-05-31T14:05:09Z,95,+15145550123,ok\n"


def _chunk(path: Path, frame: dict[str, list[str | None]], *rows: int) -> models.Chunk:
    marks = (pl.Series("_row", rows, dtype=pl.Int64), pl.Series("_ragged", [None] * len(rows), dtype=pl.String))
    columns = pl.DataFrame(frame, schema=dict.fromkeys(frame, pl.String))
    return models.Chunk(models.Source(path, "0" * 64, 1, 1), columns.with_columns(*marks))


def _read(path: Path) -> list[list[str]]:
    """The records, without the marks of the rows; those have tests of their own."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        records = list(csv.reader(file))
    assert [len(record) for record in records] == [len(records[0])] * len(records)
    assert records[0][-1] == "_origin"
    return [record[:-1] for record in records]


def _check(path: Path, output: Path) -> tuple[int, int]:
    """Rows accepted and rows written to the reject file."""
    opened, recipe = reader.open_source(path), profile.load("canonical")
    profile.fit(recipe, reader.peek(opened))
    accepted = 0
    reasons: dict[models.Place, tuple[models.Reason, ...]] = {}
    for chunk in reader.read(opened):
        found = validate.validate(profile.canonical(recipe, chunk.frame), validate.Reading(None, "reject", _NOW))
        accepted += found.accepted.height
        reasons |= {models.Place(0, row): why for row, why in found.rejects.items()}
    chunks = ((0, chunk) for chunk in reader.read(opened))
    return accepted, rejects.write(output, chunks, reasons, several_sources=False)


def test_rows_are_as_they_were_with_row_and_reasons(tmp_path: Path) -> None:
    chunk = _chunk(Path("a.csv"), {"b": [" é ", 'say "x"\r\n', None], "a": ["1", "2", "3"]}, 2, 3, 5)
    reasons = {
        models.Place(0, 3): (models.Reason("one", "first"), models.Reason("two", "second")),
        models.Place(0, 5): (models.Reason("one", "first"),),
        models.Place(1, 2): (models.Reason("one", "of another source"),),
    }
    assert rejects.write(tmp_path / "r.csv", [(0, chunk)], reasons, several_sources=False) == 2
    assert _read(tmp_path / "r.csv") == [
        ["b", "a", "_row", "_reasons"],
        ['say "x"\r\n', "2", "3", "one: first | two: second"],
        ["", "3", "5", "one: first"],
    ]


def test_several_sources_are_told_apart_and_their_headers_united(tmp_path: Path) -> None:
    one = _chunk(Path("one.csv"), {"a": ["1"], "b": ["2"]}, 2)
    other = _chunk(Path("other.csv"), {"c": ["3"], "a": ["4"]}, 2)
    reasons = {models.Place(number, 2): (models.Reason("r", "m"),) for number in (0, 1)}
    assert rejects.write(tmp_path / "r.csv", [(0, one), (1, other)], reasons, several_sources=True) == 2
    assert _read(tmp_path / "r.csv") == [
        ["a", "b", "c", "_row", "_reasons", "_source"],
        ["1", "2", "", "2", "r: m", "one.csv"],
        ["4", "", "3", "2", "r: m", "other.csv"],
    ]


def test_a_cell_of_any_length_and_line_end_is_kept(tmp_path: Path) -> None:
    cells: list[str | None] = ["x" * 200_000, "old\rmac", "nul\x00", "\ufeff"]
    chunk = _chunk(Path("a.parquet"), {"a": cells}, 1, 2, 3, 4)
    reasons = {models.Place(0, row): (models.Reason("r", "m"),) for row in (1, 2, 3, 4)}
    rejects.write(tmp_path / "r.csv", [(0, chunk)], reasons, several_sources=False)
    limit = csv.field_size_limit(1_000_000)
    try:
        assert [row[0] for row in _read(tmp_path / "r.csv")[1:]] == cells
    finally:
        csv.field_size_limit(limit)


def test_nothing_rejected_is_a_header_alone(tmp_path: Path) -> None:
    chunk = _chunk(Path("a.csv"), {"a": ["1"]}, 2)
    assert rejects.write(tmp_path / "r.csv", [(0, chunk)], {}, several_sources=False) == 0
    assert _read(tmp_path / "r.csv") == [["a", "_row", "_reasons"]]


def test_the_file_is_private_and_whole_or_not_there(tmp_path: Path) -> None:
    chunk = _chunk(Path("a.csv"), {"a": ["1"]}, 2)

    def breaks() -> Iterator[tuple[int, models.Chunk]]:
        yield 0, chunk
        raise errors.SourceError("gone")

    with pytest.raises(errors.SourceError):
        rejects.write(tmp_path / "r.csv", breaks(), {}, several_sources=False)
    assert list(tmp_path.iterdir()) == []
    rejects.write(tmp_path / "r.csv", [(0, chunk)], {}, several_sources=False)
    assert (tmp_path / "r.csv").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_not_there_is_an_error_of_the_command(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="cannot be written"):
        rejects.write(tmp_path / "none" / "r.csv", [], {}, several_sources=False)


def test_a_mended_reject_file_is_accepted(tmp_path: Path) -> None:
    bad = 'outgoing,2024-05-31 14:05,1:35,5145550123,"Rappel, Éloïse"\n'
    (tmp_path / "calls.csv").write_text(_HEADER + _SOUND + bad, "utf-8")
    assert _check(tmp_path / "calls.csv", tmp_path / "r1.csv") == (1, 1)
    head, row = (tmp_path / "r1.csv").read_text("utf-8-sig").splitlines()
    assert head.endswith(",_row,_reasons,_origin")
    # Still wrong: the next file tells the row and the reasons of this time, once.
    assert _check(tmp_path / "r1.csv", tmp_path / "r2.csv") == (0, 1)
    assert (tmp_path / "r2.csv").read_text("utf-8-sig").splitlines()[0] == head
    for old, new in (
        ("2024-05-31 14:05,", "2024-05-31T14:05Z,"),
        (",1:35,", ",95,"),
        (",5145550123,", ",+15145550123,"),
    ):
        row = row.replace(old, new, 1)
    (tmp_path / "mended.csv").write_text(f"{head}\n{row}\n", "utf-8")
    assert _check(tmp_path / "mended.csv", tmp_path / "r3.csv") == (1, 0)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (
            "incoming,2024-05-31T14:05:09Z,95,+15145550123,Rappel, Éloïse",
            '6 cells where the header has 5, too many: " ',
        ),
        ("incoming,2024-05-31T14:05:09Z,95,+15145550123", "4 cells where the header has 5; "),
    ],
)
def test_a_row_with_a_wrong_number_of_cells_is_rejected_again_until_a_person_has_seen_to_it(
    tmp_path: Path, row: str, fault: str
) -> None:
    """A reject file is square, and fed back as it is the row would look sound: what was cut off would be lost."""
    (tmp_path / "calls.csv").write_text(f"{_HEADER}{row}\nincoming,soon,95,+15145550124,ok\n", "utf-8")
    assert _check(tmp_path / "calls.csv", tmp_path / "r1.csv") == (0, 2)
    # As it is, twice: still a reject, still with what was cut off.
    assert _check(tmp_path / "r1.csv", tmp_path / "r2.csv") == (0, 2)
    assert _check(tmp_path / "r2.csv", tmp_path / "r3.csv") == (0, 2)
    with (tmp_path / "r3.csv").open(encoding="utf-8-sig", newline="") as file:
        its, other = csv.DictReader(file)
    assert its["_cells"].startswith(fault)
    assert its["_cells"].endswith("; mend the row, then clear _cells")
    assert its["_reasons"] == f"ragged: the row has {its['_cells']}"
    assert other["_cells"] == ""
    mended = (tmp_path / "r3.csv").read_text("utf-8").replace(its["_cells"].replace('"', '""'), "")
    (tmp_path / "mended.csv").write_text(mended, "utf-8")
    assert _check(tmp_path / "mended.csv", tmp_path / "r4.csv") == (1, 1)


def test_a_note_in_place_of_what_was_wrong_with_the_cells_is_kept_whole(tmp_path: Path) -> None:
    (tmp_path / "calls.csv").write_text(f"{_HEADER}incoming,2024-05-31T14:05:09Z,95,+15145550123,ok,more\n", "utf-8")
    assert _check(tmp_path / "calls.csv", tmp_path / "r1.csv") == (0, 1)
    with (tmp_path / "r1.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    noted = (tmp_path / "r1.csv").read_text("utf-8").replace(row["_cells"].replace('"', '""'), "more; ask Zoé")
    (tmp_path / "noted.csv").write_text(noted, "utf-8")
    assert _check(tmp_path / "noted.csv", tmp_path / "r2.csv") == (0, 1)
    with (tmp_path / "r2.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["_cells"] == "more; ask Zoé; mend the row, then clear _cells"
