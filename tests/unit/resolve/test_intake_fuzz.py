"""Whatever stands in a file: one line says why it cannot be used, or every row of it is accounted for."""

import csv
import itertools
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callimport.core import errors
from tests import exporting
from tests.exporting import SAMPLES
from tests.fuzz import mutations
from tests.fuzz.files import profile_named

_NUMBER = itertools.count()


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


# Every kind meets every third export; all of them together are a matter of minutes.
_DAMAGED = [
    pytest.param(sample, kind, id=f"{sample.stem}, {kind}")
    for number, sample in enumerate(SAMPLES)
    for turn, kind in enumerate(mutations.OF_CSV)
    if (number + turn) % 3 == 0
]


@pytest.mark.parametrize(("sample", "kind"), _DAMAGED)
def test_a_damaged_export_loses_no_row_in_silence(tmp_path: Path, sample: Path, kind: str) -> None:
    """The recipe is named half of the time: what is no longer detected shall be read, too."""
    chance = random.Random(f"{sample.stem} {kind}")
    name = exporting.profile_of(sample) or chance.choice([None, profile_named(sample.stem)])
    path = tmp_path / "calls.csv"
    path.write_bytes(mutations.OF_CSV[kind](sample.read_bytes(), chance))
    _conserved(path, tmp_path, profile=name)


def test_an_export_that_is_whole_is_read(tmp_path: Path) -> None:
    """Else the tests above would hold for a program that refuses everything."""
    for sample in SAMPLES:
        assert _conserved(sample, tmp_path, profile=exporting.profile_of(sample)), sample.name


_LINE = st.lists(
    st.sampled_from(
        [*mutations.ODD_CELLS, "direction", "status", "started_at", "duration_seconds", "customer_phone", "call_id"]
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
@given(rows=st.lists(st.lists(st.sampled_from(mutations.ODD_CELLS), min_size=5, max_size=5), max_size=12))
def test_any_cells_under_the_canonical_header_are_accounted_for(tmp_path: Path, rows: list[list[str]]) -> None:
    path = tmp_path / f"{next(_NUMBER)}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["direction", "status", "started_at", "duration_seconds", "customer_phone"])
        writer.writerows(rows)
    assert _conserved(path, tmp_path, profile="canonical")
