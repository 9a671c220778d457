"""A row is known again by the mark of its cells, wherever it stands and whatever is written about it."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from callimport.core import models, row_origin

_ROW: dict[str, str | None] = {"Id": "17.1", "From": "+15145550123", "When": "2024-05-31 14:05:09", "Note": ""}


def _frame(*rows: dict[str, str | None], first: int = 2, ragged: Sequence[str | None] = ()) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))
    return frame.with_columns(
        pl.int_range(first, first + len(rows), dtype=pl.Int64).alias("_row"),
        pl.Series("_ragged", ragged or [None] * len(rows), dtype=pl.String),
    )


def _mark(**changes: Any) -> str:
    return str(row_origin.marks(_frame({**_ROW, **changes})).item())


def _rejected(place: models.Place, *rules: str) -> models.RejectedRow:
    return models.RejectedRow(place, tuple(models.Reason(rule, "told") for rule in rules))


def test_the_mark_is_frozen_and_no_spreadsheet_takes_it_for_a_number() -> None:
    """Ledgers hold these for years; a digest alone may be 12e4567890, which Excel calculates."""
    assert _mark() == "o2443ad859120ac713ce9"


def test_place_and_order_and_blank_columns_and_spaces_do_not_tell() -> None:
    turned = dict(reversed(_ROW.items()))
    assert row_origin.marks(_frame(turned, first=90)).item() == _mark()
    assert _mark(Queue=None, Note="  ", Id=" 17.1 ") == _mark()


@pytest.mark.parametrize("changes", [{"Id": "17.2"}, {"Note": "x"}, {"From": None}, {"Queue": "Sales"}])
def test_every_cell_tells(changes: dict[str, str | None]) -> None:
    assert _mark(**changes) != _mark()


def test_no_two_rows_are_told_alike() -> None:
    pairs: tuple[tuple[dict[str, str | None], dict[str, str | None]], ...] = (
        ({"a": "1\x1fb\x1e2", "b": None}, {"a": "1", "b": "2"}),
        ({"a": "x", "ab": None}, {"a": None, "ab": "x"}),
        ({"a": "xy", "b": "z"}, {"a": "x", "b": "yz"}),
    )
    for one, other in pairs:
        assert row_origin.marks(_frame(one)).item() != row_origin.marks(_frame(other)).item()


def test_cells_past_the_last_column_are_cells_of_the_row() -> None:
    assert row_origin.marks(_frame(_ROW, ragged=['5 cells where the header has 4, too many: "x"'])).item() != _mark()


def test_what_this_program_wrote_about_a_row_is_not_of_the_row() -> None:
    told = {"_reasons": "twin: x", "_source": "a.csv", "_origin": "o" + "0" * 20}
    assert _mark(**told) == _mark()


def test_a_mended_row_that_is_rejected_again_keeps_the_mark_of_its_original() -> None:
    frame = _frame({**_ROW, "_origin": " o" + "a" * 20}, {**_ROW, "_origin": None})
    assert row_origin.kept(frame).to_list() == ["o" + "a" * 20, _mark()]


def test_only_marks_are_taken_for_marks() -> None:
    frame = _frame(*({**_ROW, "_origin": cell} for cell in ("O" + "A" * 20, "", None, "1,2E+10", "o12")))
    assert row_origin.stated(frame) == {2: "o" + "a" * 20}
    assert list(row_origin.faults(frame)) == [5, 6]
    assert "clear the cell" in row_origin.faults(frame)[5].message
    assert not row_origin.stated(_frame(_ROW))
    assert not row_origin.faults(_frame(_ROW))


# ── what a batch tells ───────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_are_known_by_their_own_marks_and_by_those_they_state() -> None:
    known = row_origin.Origins(frozenset({_mark()}))
    known.see(0, _frame({**_ROW, "Id": "1"}, _ROW))
    known.see(1, _frame({**_ROW, "_origin": "o" + "b" * 20}))
    assert list(known.repeated_calls()) == [(models.Place(0, 3), _mark())]
    assert list(known.mended_calls()) == [(models.Place(1, 2), "o" + "b" * 20)]


def test_where_no_mark_is_known_none_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million digests are seconds, and most ledgers know of no mended row."""
    monkeypatch.setattr(row_origin, "marks", lambda frame: pytest.fail("made for nothing"))
    nothing = row_origin.Origins()
    nothing.see(0, _frame(_ROW))
    assert not nothing.repeated
    assert not nothing.mended


def test_a_row_that_is_rejected_again_is_settled_but_one_without_a_time_is_told_again() -> None:
    known = row_origin.Origins(frozenset({_mark()}))
    known.see(0, _frame(_ROW, {**_ROW, "Id": "1"}))
    assert known.settles(_rejected(models.Place(0, 2), "customer_phone_e164", "agent_unknown"))
    assert not known.settles(_rejected(models.Place(0, 3), "customer_phone_e164"))
    assert not known.settles(_rejected(models.Place(0, 2), "started_at_missing"))


def test_a_joined_row_tells_of_the_call_that_it_was_joined_to() -> None:
    known = row_origin.Origins(frozenset({_mark()}))
    known.see(0, _frame(_ROW))
    known.see(1, _frame({**_ROW, "_origin": "o" + "b" * 20}))
    call = models.Place(1, 9)
    known.joined([(models.Place(0, 2), call), (models.Place(1, 2), call), (models.Place(3, 3), call)])
    assert [place for place, _ in (*known.mended_calls(), *known.repeated_calls())] == [call, call]
