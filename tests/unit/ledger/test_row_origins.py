"""A mended row is the call that its original was meant to be: neither comes in beside the other, whichever is first."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from callimport.core import errors, models, row_origin
from callimport.core.models import ItemStatus
from callimport.ledger import Enrolled, Ledger, queries
from tests import making

_X, _Y = "o" + "a" * 20, "o" + "b" * 20
_LATER = making.STARTED + timedelta(hours=1)
_Noted = Iterable[tuple[models.Call, str]]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(making.ledger(tmp_path / "ledger.sqlite3")) as opened:
        opened.start_run("run-1")
        yield opened


def _enrol(
    ledger: Ledger, name: str, *calls: models.Call, mended: _Noted = (), repeated: _Noted = (), ids: bool = True
) -> making.Entered:
    batch = making.batch(name)
    told = row_origin.Origins(
        known=ledger.origins("main"),
        mended={call.place: mark for call, mark in mended},
        repeated={call.place: mark for call, mark in repeated},
    )
    with ledger.enrolment("run-1", batch) as enrolment:
        enrolled = making.enter(enrolment, *calls, ids=ids, origins=told)
    summary = making.reckoned(ledger, enrolled, batch, *calls)
    assert summary.calls.adds_up(summary.rows)
    assert summary.rows.adds_up()
    return enrolled


def _rules(enrolled: Enrolled) -> list[str]:
    return [reason.rule for rejected in enrolled.rejects for reason in rejected.reasons]


def _items(ledger: Ledger) -> int:
    return int(ledger.database.one("SELECT count(*) FROM item"))


def test_a_ledger_knows_what_its_mended_rows_have_replaced_by_system(ledger: Ledger) -> None:
    assert ledger.origins("main") == frozenset()
    call = making.call()
    _enrol(ledger, "mended.csv", call, mended=[(call, _X)])
    assert ledger.origins("main") == {_X}
    assert ledger.origins("other") == frozenset()


@pytest.mark.parametrize("status", [ItemStatus.PENDING, ItemStatus.DELIVERED, ItemStatus.HELD, ItemStatus.REFUSED])
@pytest.mark.parametrize("ids", [True, False])
def test_the_original_of_a_mended_row_is_unchanged_whatever_it_tells(
    ledger: Ledger, status: ItemStatus, ids: bool
) -> None:
    mended = making.call()
    _enrol(ledger, "mended.csv", mended, mended=[(mended, _X)], ids=ids)
    key = making.key(mended, ids=ids)
    making.bring(ledger, key, "run-1", status)
    before = making.row(ledger, key)
    original = making.call("A-1", customer_phone=making.OTHER_PHONE, duration_seconds=1)
    enrolled = _enrol(ledger, "export.csv", original, repeated=[(original, _X)], ids=ids)
    assert (enrolled.unchanged, enrolled.changed, _rules(enrolled), _items(ledger)) == (1, 0, [], 1)
    after = making.row(ledger, key)
    kept = ("facts", "payload", "next_facts", "phone", "status", "source_row", "lead_id")
    assert [after[name] for name in kept] == [before[name] for name in kept]


def test_a_pending_call_does_not_take_the_story_of_its_original_back(ledger: Ledger) -> None:
    mended = making.call()
    _enrol(ledger, "mended.csv", mended, mended=[(mended, _X)])
    original = making.call(duration_seconds=1)
    assert _enrol(ledger, "export.csv", original, repeated=[(original, _X)]).unchanged == 1
    assert '"call_duration": 95' in making.row(ledger, making.key(mended))["payload"]


@pytest.mark.parametrize(("status", "ending"), [(ItemStatus.WITHDRAWN, "withdrawn"), (ItemStatus.GONE, "gone")])
def test_what_a_person_gave_up_is_given_up_for_its_original_too(
    ledger: Ledger, status: ItemStatus, ending: str
) -> None:
    mended = making.call()
    _enrol(ledger, "mended.csv", mended, mended=[(mended, _X)])
    making.bring(ledger, making.key(mended), "run-1", status)
    original = making.call("B", started_at=_LATER)
    enrolled = _enrol(ledger, "export.csv", original, repeated=[(original, _X)])
    assert (getattr(enrolled, ending), enrolled.unchanged, _items(ledger)) == (1, 0, 1)


def test_what_the_crm_had_is_there_for_its_original_and_for_a_second_mending_too(ledger: Ledger) -> None:
    """Mended to another call, it would be looked for again, and what is there stands for the first one already."""
    mended = making.call(None)
    _enrol(ledger, "mended.csv", mended, mended=[(mended, _X)], ids=False)
    ledger.skip_existing({making.key(mended, ids=False): 900})
    original = making.call(None, started_at=_LATER)
    enrolled = _enrol(ledger, "export.csv", original, repeated=[(original, _X)], ids=False)
    assert (enrolled.existing, enrolled.withdrawn, _items(ledger)) == (1, 0, 1)
    assert _rules(_enrol(ledger, "b.csv", original, mended=[(original, _X)], ids=False)) == ["mended_before"]


def test_the_row_of_another_system_is_another_call(ledger: Ledger) -> None:
    mended = making.call()
    _enrol(ledger, "mended.csv", mended, mended=[(mended, _X)])
    other = making.call("B", system="other", started_at=_LATER)
    assert _enrol(ledger, "export.csv", other, repeated=[(other, _X)]).unchanged == 0
    assert _items(ledger) == 2


# Mended more than once


def test_a_second_mending_of_what_was_given_up_in_doubt_is_not_sent(ledger: Ledger) -> None:
    """A person wished no more to be known of it; but it may be in the CRM."""
    first = making.call(None)
    _enrol(ledger, "a.csv", first, mended=[(first, _X)], ids=False)
    making.bring(ledger, making.key(first, ids=False), "run-1", ItemStatus.HELD)
    ledger.withdraw_one(making.key(first, ids=False))
    second = making.call(None, started_at=_LATER)
    assert _rules(_enrol(ledger, "b.csv", second, mended=[(second, _X)], ids=False)) == ["mended_before"]
    assert _items(ledger) == 1


def test_a_row_mended_twice_alike_is_one_item(ledger: Ledger) -> None:
    call = making.call()
    for name, seconds in (("a.csv", 95), ("b.csv", 96)):
        told = call._replace(duration_seconds=seconds)
        assert _rules(_enrol(ledger, name, told, mended=[(told, _X)])) == []
    assert _items(ledger) == 1
    assert '"call_duration": 96' in making.row(ledger, making.key(call))["payload"]


@pytest.mark.parametrize("status", [ItemStatus.PENDING, ItemStatus.IN_DOUBT, ItemStatus.DELIVERED, ItemStatus.GONE])
def test_a_row_mended_to_another_call_is_a_reject_that_names_the_first(ledger: Ledger, status: ItemStatus) -> None:
    first = making.call(None)
    _enrol(ledger, "a.csv", first, mended=[(first, _X)], ids=False)
    making.bring(ledger, making.key(first, ids=False), "run-1", status)
    second = making.call(None, started_at=_LATER)
    enrolled = _enrol(ledger, "b.csv", second, mended=[(second, _X)], ids=False)
    assert _rules(enrolled) == ["mended_before"]
    assert making.row(ledger, making.key(first, ids=False))["reference"] in enrolled.rejects[0].reasons[0].message
    assert _items(ledger) == 1


@pytest.mark.parametrize("status", [ItemStatus.REFUSED, ItemStatus.FAILED, ItemStatus.WITHDRAWN])
def test_it_is_let_in_where_the_first_surely_never_reached_the_crm(ledger: Ledger, status: ItemStatus) -> None:
    first = making.call(None)
    _enrol(ledger, "a.csv", first, mended=[(first, _X)], ids=False)
    making.bring(ledger, making.key(first, ids=False), "run-1", status)
    second = making.call(None, customer_phone=making.OTHER_PHONE)
    assert _rules(_enrol(ledger, "b.csv", second, mended=[(second, _X)], ids=False)) == []
    assert _items(ledger) == 2


def test_the_same_mended_file_again_changes_nothing(ledger: Ledger) -> None:
    """Two rows that were equal, mended to two calls, have one mark; a second run of the file must not reject them."""
    one, other = making.call("A"), making.call("B", row=3, started_at=_LATER)
    noted = [(one, _X), (other, _X)]
    for _ in range(2):
        assert _rules(_enrol(ledger, "mended.csv", one, other, mended=noted)) == []
    assert _items(ledger) == 2


# Twins


def test_twins_that_were_both_mended_are_both_unchanged_tomorrow(ledger: Ledger) -> None:
    one, other = making.call("A"), making.call("B", row=3, started_at=_LATER)
    _enrol(ledger, "mended.csv", one, other, mended=[(one, _X), (other, _Y)])
    again, too = making.call("A"), making.call("A", row=3, duration_seconds=7)
    enrolled = _enrol(ledger, "export.csv", again, too, repeated=[(again, _X), (too, _Y)])
    assert (enrolled.unchanged, _rules(enrolled)) == (2, [])


def test_a_deleted_twin_never_changes_the_mended_one(ledger: Ledger) -> None:
    right = making.call()
    _enrol(ledger, "mended.csv", right, mended=[(right, _X)])
    making.bring(ledger, making.key(right), "run-1", ItemStatus.DELIVERED)
    again, wrong = making.call(), making.call(row=3, duration_seconds=7)
    enrolled = _enrol(ledger, "export.csv", again, wrong, repeated=[(again, _X)])
    assert (enrolled.unchanged, enrolled.changed) == (1, 0)
    assert [(rejected.place.row, rejected.reasons[0].rule) for rejected in enrolled.rejects] == [(3, "twin")]
    assert making.row(ledger, making.key(right))["next_facts"] is None


# In one batch


def test_an_original_beside_its_mended_row_is_a_duplicate_and_no_twin(ledger: Ledger) -> None:
    original, mended = making.call(), making.call(row=3, duration_seconds=300)
    enrolled = _enrol(ledger, "both.csv", original, mended, mended=[(mended, _X)], repeated=[(original, _X)])
    assert (enrolled.duplicate, _rules(enrolled), _items(ledger)) == (1, [], 1)
    assert '"call_duration": 300' in making.row(ledger, making.key(mended))["payload"]


def test_an_original_whose_mended_row_is_no_call_stands_for_itself(ledger: Ledger) -> None:
    original, rejected = making.call(), making.call(row=3)
    enrolled = _enrol(ledger, "both.csv", original, mended=[(rejected, _X)], repeated=[(original, _X)])
    assert (enrolled.duplicate, enrolled.unchanged, _items(ledger)) == (0, 0, 1)


# What is kept


def test_a_call_that_was_known_takes_the_mark_of_the_row_that_it_replaces(ledger: Ledger) -> None:
    """The source had corrected the row before the mended one came."""
    call = making.call()
    _enrol(ledger, "export.csv", call)
    making.bring(ledger, making.key(call), "run-1", ItemStatus.DELIVERED)
    assert _enrol(ledger, "mended.csv", call, mended=[(call, _X)]).unchanged == 1
    assert ledger.origins("main") == {_X}


def test_a_call_of_several_mended_rows_has_all_their_marks(ledger: Ledger) -> None:
    call, leg = making.call(), models.Place(0, 3)
    told = row_origin.Origins(mended={call.place: _X, leg: _Y})
    told.joined([(leg, call.place)])
    with ledger.enrolment("run-1", making.batch("mended.csv")) as enrolment:
        enrolment.see([making.sighting(call)])
        enrolment.note_origins(told.mended_calls(), told.repeated_calls())
        enrolment.enter()
    assert ledger.origins("main") == {_X, _Y}


def test_a_rejected_mended_row_leaves_no_mark(ledger: Ledger) -> None:
    one, other = making.call(), making.call(row=3, duration_seconds=7)
    assert _rules(_enrol(ledger, "mended.csv", one, other, mended=[(one, _X), (other, _Y)])) == ["twin", "twin"]
    assert ledger.origins("main") == frozenset()


def test_origins_are_for_ever(ledger: Ledger) -> None:
    call = making.call()
    _enrol(ledger, "mended.csv", call, mended=[(call, _X)])
    for statement in ("DELETE FROM origin", "UPDATE origin SET mark = key"):
        with pytest.raises(errors.LedgerError, match="origins are kept"):
            ledger.database.execute(statement)


def test_a_batch_that_notes_nothing_is_as_before(ledger: Ledger) -> None:
    call = making.call()
    _enrol(ledger, "mended.csv", call, mended=[(call, _X)])
    making.bring(ledger, making.key(call), "run-1", ItemStatus.DELIVERED)
    enrolled = _enrol(ledger, "export.csv", making.call(duration_seconds=7))
    assert (enrolled.unchanged, enrolled.changed) == (1, 1)
    assert queries.last_batch(ledger.database) == making.batch("export.csv").id
