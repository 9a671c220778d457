"""What a spreadsheet would calculate with is guarded in CSV, and every cell comes back as it was."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callimport.core import csv_safety

_CELLS = st.text(alphabet="=+-@\t\r\n'＝a1 ", max_size=6)


def _frame(*cells: str | None) -> pl.DataFrame:
    return pl.DataFrame({"cell": cells, "_row": range(len(cells))}, schema={"cell": pl.String, "_row": pl.Int64})


@pytest.mark.parametrize(
    "cell", ["=HYPERLINK(A1)", "+15145550123", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x"]
)
def test_a_cell_that_would_be_calculated_has_an_apostrophe_in_csv(cell: str) -> None:
    assert csv_safety.guarded(_frame(cell), in_csv=True)["cell"].item() == "'" + cell


@pytest.mark.parametrize("cell", ["", "5145550123", "'tit Louis", "Tremblay = Gagnon", "'", "a@b.example", " =1"])
def test_other_cells_are_left_alone(cell: str) -> None:
    assert csv_safety.guarded(_frame(cell), in_csv=True)["cell"].item() == cell
    assert csv_safety.restored(_frame(cell))["cell"].item() == cell


def test_a_workbook_needs_no_guard_but_where_a_cell_looks_guarded() -> None:
    guarded = csv_safety.guarded(_frame("=1", "'=1", None), in_csv=False)
    assert guarded["cell"].to_list() == ["=1", "''=1", None]


@given(st.lists(st.none() | _CELLS, max_size=8), st.booleans())
def test_whatever_was_guarded_comes_back_as_it_was(cells: list[str | None], in_csv: bool) -> None:
    frame = _frame(*cells)
    assert csv_safety.restored(csv_safety.guarded(frame, in_csv=in_csv)).equals(frame)
