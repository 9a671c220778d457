"""What check says of rows that are the same call is what a run would say: one rule, judged in two places."""

from contextlib import closing

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import mapping, model
from pipeline.ledger import Ledger
from pipeline.twins import Judged, Twins
from tests import making


def _frame(calls: list[model.Call]) -> pl.DataFrame:
    rows = [
        (
            one.place.row, one.call_id, one.lead_id, one.direction.value, one.status.value, one.started_at,
            one.duration_seconds, one.customer_phone, one.executed_by, one.description, one.recording, one.legs,
        )
        for one in calls
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=mapping.CALL_COLUMNS, orient="row", infer_schema_length=None)
    return frame.cast({"call_id": pl.String, "description": pl.String, "recording": pl.String, "_legs": pl.String})


def _judged(calls: list[model.Call], *, ids: bool = True) -> Judged:
    twins = Twins(id_is_unique=ids)
    for source in sorted({one.place.source for one in calls}):
        twins.see(source, _frame([one for one in calls if one.place.source == source]))
    return twins.judged()


def test_a_file_without_calls_has_no_twins() -> None:
    assert Twins(id_is_unique=True).judged() == Judged(0, ())


def test_of_equal_rows_all_but_the_first_are_duplicates() -> None:
    assert _judged([making.call(row=row) for row in (2, 3, 9)]) == Judged(2, ())


def test_every_twin_names_another_of_its_kind() -> None:
    calls = [making.call(row=2), making.call(row=3, duration_seconds=1), making.call(row=4), making.call("B", row=5)]
    assert [(place.row, other.row) for place, _, other in _judged(calls).twins] == [(2, 3), (3, 2), (4, 3)]


@pytest.mark.parametrize("ids", [True, False])
def test_twins_are_told_by_what_makes_them_twins(ids: bool) -> None:
    ((place, has_id, other), _) = _judged([making.call(row=2), making.call(row=2, source=1, lead_id=1)], ids=ids).twins
    assert (place, has_id, other) == (model.Place(0, 2), ids, model.Place(1, 2))


_CALLS = st.lists(
    st.tuples(
        st.sampled_from([None, "A", "B"]),
        st.sampled_from([95, 96]),
        st.sampled_from([making.PHONE, making.OTHER_PHONE]),
        st.integers(0, 1),
    ),
    max_size=8,
)


@given(_CALLS, st.booleans())
@settings(max_examples=60, deadline=None)
def test_check_and_run_judge_alike(drawn: list[tuple[str | None, int, str, int]], ids: bool) -> None:
    calls = [
        making.call(call_id, row=row, source=source, duration_seconds=seconds, customer_phone=phone)
        for row, (call_id, seconds, phone, source) in enumerate(drawn, start=2)
    ]
    batch = making.batch("a.csv", "b.csv")
    with closing(Ledger.of_nothing(making.clock())) as ledger:
        enrolled = making.enrol(ledger, batch, *calls, ids=ids)
    judged = _judged(calls, ids=ids)
    assert judged.duplicates == enrolled.duplicate
    told = {one.place: one.reasons[0].message for one in judged.rejects(batch.name_beside)}
    assert told.keys() == {one.place for one in enrolled.rejects}
    for one in enrolled.rejects:
        # Of several others either may be named; what makes them twins is told alike.
        assert told[one.place].partition(" row ")[0] == one.reasons[0].message.partition(" row ")[0]
