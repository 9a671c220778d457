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


_SECRET = "s"


def _settled(*marks: str, system: str = "main", secret: str = _SECRET) -> row_origin.Settled:
    none = row_origin.Settled(secret)
    return row_origin.Settled(secret, frozenset(none.fingerprint(system, mark) for mark in marks))


def _marks_of_calls(known: row_origin.Origins, system: str = "main") -> dict[models.Place, list[str]]:
    return {models.Place(source, row): marks for source, row, marks in known.of_calls(system).iter_rows()}


def test_row_that_a_mended_row_of_the_batch_or_of_before_replaces_is_settled() -> None:
    rows = _frame({**_ROW, "Id": "1"}, _ROW)
    assert row_origin.Origins(announced=frozenset({_mark()})).see(0, "main", rows) == [3]
    assert row_origin.Origins(settled=_settled(_mark())).see(0, "main", rows) == [3]
    assert row_origin.Origins(settled=_settled(_mark())).see(0, "other", rows) == []


def test_mended_row_is_never_settled_and_names_the_row_that_it_replaces() -> None:
    known = row_origin.Origins(announced=frozenset({_mark()}), settled=_settled(_mark()))
    assert known.see(1, "main", _frame({**_ROW, "_origin": _mark()}, {**_ROW, "_origin": None})) == []
    assert _marks_of_calls(known) == {models.Place(1, 2): list(_settled(_mark()).fingerprints)}


def test_fingerprint_tells_the_system_and_nobody_has_it_without_the_secret() -> None:
    told = {_settled(_mark(), system=system, secret=secret).fingerprints for system, secret in _OF_LEDGERS}
    assert len(told) == len(_OF_LEDGERS)


_OF_LEDGERS = (("main", _SECRET), ("other", _SECRET), ("main", "t"))


def test_where_no_mark_is_known_none_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million digests are seconds, and most ledgers know of no mended row."""
    monkeypatch.setattr(row_origin, "marks", lambda frame: pytest.fail("made for nothing"))
    nothing = row_origin.Origins()
    assert nothing.see(0, "main", _frame(_ROW)) == []
    assert not nothing


def test_call_has_the_marks_of_the_rows_that_were_joined_to_it_and_of_its_duplicates() -> None:
    known = row_origin.Origins()
    known.see(1, "main", _frame(*({**_ROW, "_origin": "o" + digit * 20} for digit in "abc")))
    leg, copy, call = (models.Place(1, row) for row in (2, 3, 4))
    known.joined([(leg, call), (models.Place(3, 3), call)])
    known.copied([(copy, call)])
    expected = _settled(*("o" + digit * 20 for digit in "abc")).fingerprints
    known.settled = _settled()
    assert {place: set(marks) for place, marks in _marks_of_calls(known).items()} == {call: set(expected)}
