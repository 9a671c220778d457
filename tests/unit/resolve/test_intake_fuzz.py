"""Whatever stands in a file: one line says why it cannot be used, or every row of it is accounted for."""

import csv
import io
import itertools
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callimport.core import errors
from tests import exporting
from tests.exporting import SAMPLES

_NUMBER = itertools.count()
_ODD_CELLS = (
    "", " ", "0", "-1", "x", "101", "5145550123", "+15145550123", "5.145550100E+9", "Anonymous", "ANSWERED", "Inbound",
    "2024-05-31 14:05:09", "31/05/2024 14:05", "05/06/2024", "1717178709", "1717178709.1", "9999999999999.1", "Mars",
    "00:01:12", "PT5S", "99999999999999999999", "-99999999999999999999", "1e400", "=1+1", "\u0000", "é\u202e", "Totals",
    '"', "\ufeff", "a" * 500, "٣", "0001-01-01 00:00:00", "9999-12-31 23:59:59", "2024-02-30 25:61:61", "{", "\\",
)  # fmt: skip


def _conserved(path: Path, folder: Path, **changes: str | None) -> bool:
    """Whether the file could be used. Any exception but ours fails the test, and so does a row that is lost."""
    refusal: errors.ImporterError | None = None
    rejects = folder / "rejects.csv"
    try:
        result = exporting.check(path, rejects=rejects, force=True, **changes)
        with rejects.open(encoding="utf-8-sig", newline="") as file:
            assert len(list(csv.reader(file))) == 1 + result.summary.rows.rejected
    except errors.ImporterError as error:
        refusal = error
    assert "\n" not in str(refusal)
    return refusal is None


def _bytes_flipped(content: bytes, chance: random.Random) -> bytes:
    flipped = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        flipped[chance.randrange(len(flipped))] = chance.randrange(256)
    return bytes(flipped)


def _lines_cut(content: bytes, chance: random.Random) -> bytes:
    """In the middle of a line, or a part of the file is missing, or it stands there twice."""
    at, until = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    return chance.choice([content[:at], content[:at] + content[until:], content[:until] + content[at:]])


def _cells(change: Callable[[list[list[str]], random.Random], None]) -> Callable[[bytes, random.Random], bytes]:
    def changed(content: bytes, chance: random.Random) -> bytes:
        records = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        change(records, chance)
        file = io.StringIO(newline="")
        csv.writer(file).writerows(records)
        return file.getvalue().encode()

    return changed


def _swapped(records: list[list[str]], chance: random.Random) -> None:
    for _ in range(chance.randint(1, 6)):
        one, other = chance.choice(records), chance.choice(records)
        at, to = chance.randrange(len(one)), chance.randrange(len(other))
        one[at], other[to] = other[to], one[at]


def _odd(records: list[list[str]], chance: random.Random) -> None:
    for _ in range(chance.randint(1, 12)):
        record = chance.choice(records[1:])
        record[chance.randrange(len(record))] = chance.choice(_ODD_CELLS)


def _column_removed(records: list[list[str]], chance: random.Random) -> None:
    at = chance.randrange(min(map(len, records)))
    for record in records:
        del record[at]


def _column_blank(records: list[list[str]], chance: random.Random) -> None:
    at = chance.randrange(min(map(len, records)))
    for record in records[1:]:
        record[at] = chance.choice(("", chance.choice(_ODD_CELLS)))


def _rows_shuffled(records: list[list[str]], chance: random.Random) -> None:
    rows = [*records[1:], *chance.choices(records, k=3)]
    chance.shuffle(rows)
    records[1:] = rows


def _width_changed(records: list[list[str]], chance: random.Random) -> None:
    for record in chance.choices(records, k=3):
        if chance.random() < 0.5:
            record.append(chance.choice(_ODD_CELLS))
        else:
            del record[chance.randrange(len(record) or 1) :]


_MUTATIONS = {
    "bytes flipped": _bytes_flipped,
    "lines cut": _lines_cut,
    "cells swapped": _cells(_swapped),
    "odd cells": _cells(_odd),
    "a column removed": _cells(_column_removed),
    "a column blank or the same": _cells(_column_blank),
    "rows shuffled and repeated": _cells(_rows_shuffled),
    "widths changed": _cells(_width_changed),
}


# Every kind meets every third export; all of them together are a matter of minutes.
_DAMAGED = [
    pytest.param(sample, kind, id=f"{sample.stem}, {kind}")
    for number, sample in enumerate(SAMPLES)
    for turn, kind in enumerate(_MUTATIONS)
    if (number + turn) % 3 == 0
]


@pytest.mark.parametrize(("sample", "kind"), _DAMAGED)
def test_a_damaged_export_loses_no_row_in_silence(tmp_path: Path, sample: Path, kind: str) -> None:
    """The recipe is named half of the time: what is no longer detected shall be read, too."""
    chance = random.Random(f"{sample.stem} {kind}")
    name = exporting.profile_of(sample) or chance.choice([None, _recipe_of(sample)])
    path = tmp_path / "calls.csv"
    path.write_bytes(_MUTATIONS[kind](sample.read_bytes(), chance))
    _conserved(path, tmp_path, profile=name)


def _recipe_of(sample: Path) -> str:
    names = ("3cx", "aircall", "avaya-smdr", "canonical", "cucm", "dialpad", "five9", "freepbx", "twilio")
    return next((name for name in names if sample.stem.startswith(name)), "ringcentral-analytics")


def test_an_export_that_is_whole_is_read(tmp_path: Path) -> None:
    """Else the tests above would hold for a program that refuses everything."""
    for sample in SAMPLES:
        assert _conserved(sample, tmp_path, profile=exporting.profile_of(sample)), sample.name


_LINE = st.lists(
    st.sampled_from(
        [*_ODD_CELLS, "direction", "status", "started_at", "duration_seconds", "customer_phone", "call_id"]
    ),
    min_size=1,
    max_size=7,
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(min_size=1, max_size=400),
        st.lists(_LINE.map(",".join), min_size=1, max_size=6).map(lambda lines: "\n".join(lines).encode()),
    ),
    suffix=st.sampled_from([".csv", ".txt", ".csv.gz", ".csv.zst", ".zip", ".parquet", ".xlsx"]),
    name=st.sampled_from([None, "canonical", "freepbx", "3cx", "avaya-smdr", "cucm"]),
)
def test_any_bytes_are_calls_or_one_line_of_refusal(
    tmp_path: Path, content: bytes, suffix: str, name: str | None
) -> None:
    path = tmp_path / f"{next(_NUMBER)}{suffix}"
    path.write_bytes(content)
    _conserved(path, tmp_path, profile=name)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(st.sampled_from(_ODD_CELLS), min_size=5, max_size=5), max_size=12))
def test_any_cells_under_the_canonical_header_are_accounted_for(tmp_path: Path, rows: list[list[str]]) -> None:
    path = tmp_path / f"{next(_NUMBER)}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["direction", "status", "started_at", "duration_seconds", "customer_phone"])
        writer.writerows(rows)
    assert _conserved(path, tmp_path, profile="canonical")
