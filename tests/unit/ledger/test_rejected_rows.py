"""A mended row settles its original, and is mended once; what a run has reported is known for a year."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from callimport.core import errors, models
from callimport.core.decisions import Plan
from callimport.core.models import ItemStatus
from callimport.ledger import Ledger, rejected_rows
from tests import exporting, making, planning

X, Y = "a" * 32, "b" * 32
LATER = making.STARTED + timedelta(hours=1)
NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(making.ledger(tmp_path / "ledger.sqlite3")) as opened:
        opened.start_run("run-1")
        yield opened


def enter(ledger: Ledger, name: str, *calls: tuple[models.Call, list[str]]) -> Plan:
    """Enter calls without ids, each with the fingerprints of the rows that it was mended from."""
    rows = [planning.row(call, ids=False) | {"marks": marks} for call, marks in calls]
    plan = planning.planned(ledger, rows, planning.settings_of(making.batch(name)))
    ledger.enter(None, plan)
    return plan


def rules(plan: Plan) -> list[str]:
    return [reason.rule for rejected in plan.rejects for reason in rejected.reasons]


def key(call: models.Call) -> str:
    return making.key(call, ids=False)


def items(ledger: Ledger) -> int:
    return int(ledger.database.one("SELECT count(*) FROM item"))


# What is settled


def test_mended_row_that_is_entered_settles_its_original(ledger: Ledger) -> None:
    assert ledger.settled_rows().fingerprints == frozenset()
    enter(ledger, "mended.csv", (making.call(), [X]))

    assert ledger.settled_rows().fingerprints == {X}


def test_call_of_several_mended_rows_settles_all_of_them(ledger: Ledger) -> None:
    enter(ledger, "mended.csv", (making.call(), [X, Y]))

    assert ledger.settled_rows().fingerprints == {X, Y}


@pytest.mark.parametrize("statement", ["DELETE FROM rejected_row", "UPDATE rejected_row SET became = NULL"])
def test_settled_row_stays_settled(ledger: Ledger, statement: str) -> None:
    enter(ledger, "mended.csv", (making.call(), [X]))

    with pytest.raises(errors.LedgerError, match="stays settled"):
        ledger.database.execute(statement)


def test_row_of_a_waiting_call_that_is_given_up_is_settled_no_longer(ledger: Ledger) -> None:
    enter(ledger, "mended.csv", (making.call(lead_id=0), [X]))
    assert ledger.settled_rows().fingerprints == {X}
    ledger.database.execute("DELETE FROM item WHERE status = 'waiting'")

    assert ledger.settled_rows().fingerprints == frozenset()


def test_known_call_that_a_mended_row_tells_again_settles_it(ledger: Ledger) -> None:
    """The source had corrected the row before the mended one came."""
    call = making.call()
    enter(ledger, "export.csv", (call, []))
    making.bring(ledger, key(call), "run-1", ItemStatus.DELIVERED)
    enter(ledger, "mended.csv", (call, [X]))

    assert ledger.settled_rows().fingerprints == {X}
    assert making.row(ledger, key(call))["next_facts"] is None


def test_mended_row_that_is_rejected_settles_nothing(ledger: Ledger) -> None:
    enter(ledger, "a.csv", (making.call(), [X]))
    assert rules(enter(ledger, "b.csv", (making.call(started_at=LATER), [X, Y]))) == ["mended_before"]

    assert ledger.settled_rows().fingerprints == {X}


def test_mended_row_with_the_id_of_another_call_settles_nothing(ledger: Ledger) -> None:
    making.enter(ledger, making.batch("a.csv"), making.call())
    reused = planning.row(making.call(customer_phone=making.OTHER_PHONE)) | {"marks": [X]}
    plan = planning.planned(ledger, [reused], planning.settings_of(making.batch("b.csv")))
    ledger.enter(None, plan)

    assert rules(plan) == ["id_reused"]
    assert ledger.settled_rows().fingerprints == frozenset()


def test_fingerprint_is_of_a_system_and_of_this_ledger(ledger: Ledger, tmp_path: Path) -> None:
    with closing(making.ledger(tmp_path / "other.sqlite3")) as other:
        known, elsewhere = ledger.settled_rows(), other.settled_rows()
    found = {
        known.fingerprint("main", "o" * 21),
        known.fingerprint("east", "o" * 21),
        elsewhere.fingerprint("main", "o" * 21),
    }

    assert len(found) == 3


def test_call_of_a_mended_row_bears_the_fingerprint_that_its_original_has(ledger: Ledger, tmp_path: Path) -> None:
    header = "call_id,started_at,direction,status,duration_seconds,customer_phone"
    first = "A-1,2024-05-31T14:05:09Z,incoming,answered,95,5145550123"
    mark = "o" + "c" * 20
    path = exporting.write(tmp_path / "mended.csv", f"{header},_origin", f"{first},{mark}")
    read = exporting.inputs(path)
    for _ in read.staged.stage(ledger.settled_rows()):
        pass
    (call,) = exporting.planned(read.resolution())

    assert call["marks"] == ledger.settled_rows().fingerprint(call["system"], mark)


# Mended more than once


@pytest.mark.parametrize("status", [ItemStatus.PENDING, ItemStatus.IN_DOUBT, ItemStatus.DELIVERED, ItemStatus.GONE])
def test_row_mended_to_another_call_is_a_reject_that_names_the_first(ledger: Ledger, status: ItemStatus) -> None:
    first = making.call()
    enter(ledger, "a.csv", (first, [X]))
    making.bring(ledger, key(first), "run-1", status)
    plan = enter(ledger, "b.csv", (making.call(started_at=LATER), [X]))

    assert rules(plan) == ["mended_before"]
    assert making.row(ledger, key(first))["reference"] in plan.rejects[0].reasons[0].message
    assert items(ledger) == 1


@pytest.mark.parametrize("status", [ItemStatus.REFUSED, ItemStatus.FAILED, ItemStatus.WITHDRAWN])
def test_second_mending_is_let_in_where_the_first_surely_never_reached_the_crm(
    ledger: Ledger, status: ItemStatus
) -> None:
    first = making.call()
    enter(ledger, "a.csv", (first, [X]))
    making.bring(ledger, key(first), "run-1", status)

    assert rules(enter(ledger, "b.csv", (making.call(customer_phone=making.OTHER_PHONE), [X]))) == []
    assert items(ledger) == 2


def test_second_mending_of_a_call_that_was_given_up_in_doubt_is_not_sent(ledger: Ledger) -> None:
    """A person wanted to hear no more of it; but it may be in the CRM."""
    first = making.call()
    enter(ledger, "a.csv", (first, [X]))
    making.bring(ledger, key(first), "run-1", ItemStatus.HELD)
    ledger.withdraw_one(key(first))

    assert rules(enter(ledger, "b.csv", (making.call(started_at=LATER), [X]))) == ["mended_before"]
    assert items(ledger) == 1


def test_second_mending_of_a_call_that_the_crm_had_is_not_sent(ledger: Ledger) -> None:
    first = making.call()
    enter(ledger, "a.csv", (first, [X]))
    ledger.skip_existing({key(first): 900})

    assert rules(enter(ledger, "b.csv", (making.call(started_at=LATER), [X]))) == ["mended_before"]


def test_row_mended_twice_to_the_same_call_is_one_item_with_the_newest_facts(ledger: Ledger) -> None:
    for name, seconds in (("a.csv", 95), ("b.csv", 96)):
        assert rules(enter(ledger, name, (making.call(duration_seconds=seconds), [X]))) == []

    assert items(ledger) == 1
    assert '"call_duration":96' in making.row(ledger, key(making.call()))["payload"]


def test_same_mended_file_again_changes_nothing(ledger: Ledger) -> None:
    """Two rows that were equal, mended to two calls, have one mark; a second run of the file must not reject them."""
    for _ in range(2):
        calls = (making.call(), [X]), (making.call(row=3, started_at=LATER), [X])
        assert rules(enter(ledger, "mended.csv", *calls)) == []

    assert items(ledger) == 2


# What a run has reported


def test_reported_row_is_known_for_a_year(ledger: Ledger) -> None:
    rejected_rows.note(ledger.database, [X, Y], NOW)
    rejected_rows.note(ledger.database, [Y], NOW + timedelta(days=300))
    assert rejected_rows.known(ledger.database, [X, Y, "c" * 32]) == {X, Y}

    rejected_rows.note(ledger.database, [], NOW + timedelta(days=366))
    assert rejected_rows.known(ledger.database, [X, Y]) == {Y}


def test_quiet_run_keeps_known_rejects_and_learns_no_others(ledger: Ledger) -> None:
    ledger.note_rejects([X])
    ledger.database.execute("UPDATE rejected_row SET seen_at = '2001-01-01'")
    ledger.note_rejects([X, Y], are_reported=False)

    assert rejected_rows.known(ledger.database, [X, Y]) == {X}
    assert ledger.database.one("SELECT seen_at > '2001-01-01' FROM rejected_row")


def test_row_that_was_only_reported_is_not_settled(ledger: Ledger) -> None:
    ledger.note_rejects([X])

    assert ledger.settled_rows().fingerprints == frozenset()


def test_settled_row_is_known_for_good(ledger: Ledger) -> None:
    enter(ledger, "mended.csv", (making.call(), [X]))
    rejected_rows.note(ledger.database, [], NOW + timedelta(days=3_660))

    assert ledger.settled_rows().fingerprints == {X}
    assert rejected_rows.known(ledger.database, [X]) == {X}
