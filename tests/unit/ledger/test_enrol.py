"""Enrolment judges all rows of a batch together, enters them whole, and never makes two items of one call."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from callimport.core import endings, errors, models
from callimport.core.models import ItemStatus
from callimport.ledger import Enrolled, Ledger, enrol, queries, updates
from tests import making

_HOUR = timedelta(hours=1)
_TOLD_OTHERWISE: dict[str, Any] = {"duration_seconds": 300}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(making.ledger(tmp_path / "ledger.sqlite3")) as opened:
        opened.start_run("run-1")
        yield opened


def _counts(enrolled: Enrolled) -> dict[str, int]:
    """Only what is not nothing."""
    names = ("duplicate", "unchanged", "changed", "withdrawn", "gone", "carried")
    return {name: found for name in names if (found := getattr(enrolled, name, 0))} | (
        {"rejects": len(enrolled.rejects)} if enrolled.rejects else {}
    )


def _adds_up(ledger: Ledger, enrolled: Enrolled, batch: models.Batch, *calls: models.Call) -> endings.Calls:
    summary = making.reckoned(ledger, enrolled, batch, *calls)
    assert summary.calls.adds_up(summary.rows)
    assert summary.rows.adds_up()
    return summary.calls


def test_every_call_becomes_one_pending_item(ledger: Ledger) -> None:
    batch, calls = making.batch(), [making.call("A"), making.call("B", row=3, customer_phone=making.OTHER_PHONE)]
    enrolled = making.enrol(ledger, batch, *calls, run_id="run-1")
    assert _counts(enrolled) == {}
    assert _adds_up(ledger, enrolled, batch, *calls).pending == 2
    item = making.row(ledger, making.key(calls[1]))
    assert (item["status"], item["batch_id"], item["source_row"]) == ("pending", batch.id, 3)
    assert item["source_sha256"] == batch.sources[0].sha256
    assert ledger.database.one("SELECT batch_id FROM run") == batch.id


def test_a_header_alone_is_a_batch_of_nothing(ledger: Ledger) -> None:
    batch = making.batch()
    assert _counts(making.enrol(ledger, batch)) == {}
    assert queries.last_batch(ledger.database) == batch.id


# Rows of one batch against one another


def test_of_equal_rows_the_first_is_the_call(ledger: Ledger) -> None:
    batch, calls = making.batch(), [making.call(row=9), making.call(row=4), making.call(row=7)]
    enrolled = making.enrol(ledger, batch, *calls)
    assert _counts(enrolled) == {"duplicate": 2}
    assert making.row(ledger, making.key(calls[0]))["source_row"] == 4
    assert _adds_up(ledger, enrolled, batch, *calls).total == 3


def test_an_overlap_of_two_files_is_a_duplicate_of_the_first(ledger: Ledger) -> None:
    batch, calls = making.batch("a.csv", "b.csv"), [making.call(source=1, row=2), making.call(source=0, row=50)]
    enrolled = making.enrol(ledger, batch, *calls)
    assert _counts(enrolled) == {"duplicate": 1}
    item = making.row(ledger, making.key(calls[0]))
    assert (item["source_sha256"], item["source_row"]) == (batch.sources[0].sha256, 50)


def test_the_same_file_twice_is_all_duplicates(ledger: Ledger) -> None:
    batch, calls = making.batch("a.csv", "a.csv"), [making.call(source=0), making.call(source=1)]
    assert _counts(making.enrol(ledger, batch, *calls)) == {"duplicate": 1}


@pytest.mark.parametrize("ids", [True, False])
def test_twins_are_all_rejected_and_each_names_another(ledger: Ledger, ids: bool) -> None:
    """Equal in key but not in content: which of them is the call is not ours to guess."""
    batch = making.batch("a.csv", "b.csv")
    calls = [
        making.call(row=2),
        making.call(source=1, row=8, **_TOLD_OTHERWISE),
        making.call("B", row=3, customer_phone=making.OTHER_PHONE),
    ]
    if not ids:
        calls[2] = making.call("B", row=3, customer_phone=making.OTHER_PHONE)
    enrolled = making.enrol(ledger, batch, *calls, ids=ids)
    first, second = enrolled.rejects
    assert (first.place, second.place) == (models.Place(0, 2), models.Place(1, 8))
    assert {reason.rule for one in enrolled.rejects for reason in one.reasons} == {"twin"}
    assert "row 8 of b.csv" in first.reasons[0].message
    assert "row 2 of a.csv" in second.reasons[0].message
    assert ("call_id" in first.reasons[0].message) is ids
    assert _adds_up(ledger, enrolled, batch, *calls).pending == 1


def test_an_exact_copy_of_a_twin_is_rejected_too(ledger: Ledger) -> None:
    """Else the copy would be sent as if nothing spoke against it."""
    calls = [making.call(row=2), making.call(row=3, **_TOLD_OTHERWISE), making.call(row=4)]
    enrolled = making.enrol(ledger, batch := making.batch(), *calls)
    assert [one.place.row for one in enrolled.rejects] == [2, 3, 4]
    named = [one.reasons[0].message for one in enrolled.rejects]
    assert "row 3," in named[0]
    assert "row 2," in named[1] or "row 4," in named[1]
    assert "row 3," in named[2]
    assert _adds_up(ledger, enrolled, batch, *calls).total == 0


def test_an_id_that_never_changes_is_told_in_reasonable_time(ledger: Ledger) -> None:
    """A column of zeros as call_id: every row is every other's twin, which must not take the square of their number."""
    looks = 0

    def count() -> int:
        nonlocal looks
        looks += 1
        return 0

    calls = [making.call("0", row=row, duration_seconds=row) for row in range(2, 1002)]
    ledger.database._connection.set_progress_handler(count, 1000)
    enrolled = making.enrol(ledger, making.batch(), *calls)
    ledger.database._connection.set_progress_handler(None, 0)
    assert len(enrolled.rejects) == 1000
    assert looks < 1000


# Against the ledger


@pytest.mark.parametrize(
    "change",
    [
        {"customer_phone": making.OTHER_PHONE},
        {"direction": models.Direction.OUTGOING},
        {"started_at": making.STARTED + 24 * _HOUR + timedelta(seconds=1)},
        {"started_at": making.STARTED - 24 * _HOUR - timedelta(seconds=1)},
    ],
)
@pytest.mark.parametrize("status", [ItemStatus.PENDING, ItemStatus.DELIVERED, ItemStatus.WITHDRAWN])
def test_an_id_used_again_is_a_reject_never_an_update(
    ledger: Ledger, change: dict[str, Any], status: ItemStatus
) -> None:
    known = making.call()
    making.enrol(ledger, making.batch("old.csv"), known)
    making.bring(ledger, making.key(known), "run-1", status)
    before = making.row(ledger, making.key(known))
    batch, again = making.batch("new.csv"), making.call(**change)
    enrolled = making.enrol(ledger, batch, again)
    assert [reason.rule for one in enrolled.rejects for reason in one.reasons] == ["id_reused"]
    after = making.row(ledger, making.key(known))
    # An item that was pending still is: it comes along, as it was.
    assert {**after, "batch_id": before["batch_id"]} == before
    assert _adds_up(ledger, enrolled, batch, again).total == (status == ItemStatus.PENDING)


@pytest.mark.parametrize("hours", [24, -24])
def test_an_id_exactly_a_day_away_is_the_same_call(ledger: Ledger, hours: int) -> None:
    making.enrol(ledger, making.batch("old.csv"), making.call())
    moved = making.call(started_at=making.STARTED + hours * _HOUR)
    assert _counts(making.enrol(ledger, making.batch("new.csv"), moved)) == {}
    assert making.row(ledger, making.key(moved))["started_at"] == int(moved.started_at.timestamp())


# DESIGN 6, "a key is seen again while": status before, told otherwise, status after, counts, ending, parked
_SEEN_AGAIN = [
    (ItemStatus.PENDING, False, ItemStatus.PENDING, {}, "pending", False),
    (ItemStatus.PENDING, True, ItemStatus.PENDING, {}, "pending", False),
    (ItemStatus.IN_FLIGHT, False, ItemStatus.IN_FLIGHT, {}, "in_doubt", False),
    (ItemStatus.IN_FLIGHT, True, ItemStatus.IN_FLIGHT, {"changed": 1}, "in_doubt", True),
    (ItemStatus.IN_DOUBT, False, ItemStatus.IN_DOUBT, {}, "in_doubt", False),
    (ItemStatus.IN_DOUBT, True, ItemStatus.IN_DOUBT, {"changed": 1}, "in_doubt", True),
    (ItemStatus.HELD, False, ItemStatus.HELD, {}, "held", False),
    (ItemStatus.HELD, True, ItemStatus.HELD, {"changed": 1}, "held", True),
    (ItemStatus.DELIVERED, False, ItemStatus.DELIVERED, {"unchanged": 1}, "unchanged", False),
    (ItemStatus.DELIVERED, True, ItemStatus.DELIVERED, {"unchanged": 1, "changed": 1}, "unchanged", True),
    (ItemStatus.FAILED, False, ItemStatus.PENDING, {}, "pending", False),
    (ItemStatus.FAILED, True, ItemStatus.PENDING, {}, "pending", False),
    (ItemStatus.REFUSED, False, ItemStatus.REFUSED, {}, "refused", False),
    (ItemStatus.REFUSED, True, ItemStatus.PENDING, {}, "pending", False),
    (ItemStatus.WITHDRAWN, False, ItemStatus.WITHDRAWN, {"withdrawn": 1}, "skipped", False),
    (ItemStatus.WITHDRAWN, True, ItemStatus.WITHDRAWN, {"withdrawn": 1}, "skipped", False),
    (ItemStatus.GONE, False, ItemStatus.GONE, {"gone": 1}, "skipped", False),
    (ItemStatus.GONE, True, ItemStatus.GONE, {"gone": 1}, "skipped", False),
]


def test_the_table_of_what_is_seen_again_is_whole() -> None:
    assert {(before, otherwise) for before, otherwise, *_ in _SEEN_AGAIN} == {
        (status, otherwise) for status in ItemStatus for otherwise in (False, True)
    }


@pytest.mark.parametrize(("before", "otherwise", "after", "counts", "ending", "parked"), _SEEN_AGAIN)
def test_a_key_that_is_seen_again(
    ledger: Ledger,
    before: ItemStatus,
    otherwise: bool,
    after: ItemStatus,
    counts: dict[str, int],
    ending: str,
    parked: bool,
) -> None:
    old, new = making.batch("old.csv"), making.batch("new.csv")
    first = making.call()
    key = making.key(first)
    making.enrol(ledger, old, first)
    making.bring(ledger, key, "run-1", before)
    stood = making.row(ledger, key)
    again = making.call(row=44, **(_TOLD_OTHERWISE if otherwise else {}))
    enrolled = making.enrol(ledger, new, again)
    assert making.status(ledger, key) == after
    assert _counts(enrolled) == counts
    assert enrolled.parked == parked
    assert getattr(_adds_up(ledger, enrolled, new, again), ending) == 1
    now = making.row(ledger, key)
    told = making.sighting(again)
    if parked:
        assert (now["next_facts"], now["next_payload"]) == (told.facts, told.payload)
        assert now["next_batch_id"] == new.id
    else:
        assert now["next_facts"] is None
    if after == ItemStatus.PENDING:
        # It is the newest story, from the newest place, and the newest batch owns it.
        assert (now["facts"], now["payload"], now["batch_id"]) == (told.facts, told.payload, new.id)
        assert (now["source_sha256"], now["source_row"]) == (new.sources[0].sha256, 44)
        assert now["reason"] is None
    else:
        ours = ("next_facts", "next_payload", "next_batch_id")
        assert {**now, **dict.fromkeys(ours)} == {**stood, **dict.fromkeys(ours)}


def test_a_change_that_was_taken_back_is_no_longer_parked(ledger: Ledger) -> None:
    making.enrol(ledger, making.batch("1.csv"), making.call())
    making.bring(ledger, making.key(making.call()), "run-1", ItemStatus.DELIVERED)
    making.enrol(ledger, making.batch("2.csv"), making.call(**_TOLD_OTHERWISE))
    assert updates.waiting_count(ledger.database) == 1
    assert _counts(making.enrol(ledger, making.batch("3.csv"), making.call())) == {"unchanged": 1}
    assert updates.waiting_count(ledger.database) == 0


def test_rejected_twins_do_not_touch_what_is_parked(ledger: Ledger) -> None:
    making.enrol(ledger, making.batch("1.csv"), making.call())
    making.bring(ledger, making.key(making.call()), "run-1", ItemStatus.DELIVERED)
    making.enrol(ledger, making.batch("2.csv"), making.call(**_TOLD_OTHERWISE))
    before = making.row(ledger, making.key(making.call()))
    twins = [making.call(row=2), making.call(row=3, duration_seconds=1)]
    assert _counts(making.enrol(ledger, making.batch("3.csv"), *twins)) == {"rejects": 2}
    assert making.row(ledger, making.key(making.call())) == before


def test_a_change_of_lead_or_agent_alone_is_no_change(ledger: Ledger) -> None:
    """A new leads file would else rewrite years of calls; the lead of a delivered call is pinned."""
    making.enrol(ledger, making.batch("1.csv"), making.call())
    making.bring(ledger, making.key(making.call()), "run-1", ItemStatus.DELIVERED)
    again = making.call(lead_id=1, executed_by=None)
    assert _counts(making.enrol(ledger, making.batch("2.csv"), again)) == {"unchanged": 1}
    assert making.row(ledger, making.key(again))["lead_id"] == 5003


def test_a_pending_call_takes_the_lead_that_was_mended(ledger: Ledger) -> None:
    making.enrol(ledger, making.batch("1.csv"), making.call())
    making.enrol(ledger, making.batch("1.csv", leads="new"), making.call(lead_id=1))
    item = ledger.next_item(making.batch("1.csv", leads="new").id, frozenset())
    assert item is not None
    assert item.lead_id == item.communication.lead_id == 1


# Batches


def test_pending_calls_of_the_same_settings_are_carried_along(ledger: Ledger) -> None:
    """The nightly case: what yesterday's run left over goes today, although today's window no longer shows it."""
    old, new = making.batch("monday.csv"), making.batch("tuesday.csv")
    left, fresh = making.call("A"), making.call("B", customer_phone=making.OTHER_PHONE)
    making.enrol(ledger, old, left)
    enrolled = making.enrol(ledger, new, fresh)
    assert _counts(enrolled) == {"carried": 1}
    calls = _adds_up(ledger, enrolled, new, fresh)
    assert (calls.total, calls.carried, calls.pending) == (2, 1, 2)
    assert {making.row(ledger, making.key(one))["batch_id"] for one in (left, fresh)} == {new.id}
    # Where it came from is still told.
    assert making.row(ledger, making.key(left))["source_sha256"] == old.sources[0].sha256


def test_pending_calls_of_other_settings_stay_where_they_are(ledger: Ledger) -> None:
    old, new = making.batch("a.csv", system="old"), making.batch("b.csv")
    making.enrol(ledger, old, making.call("A"))
    before = making.row(ledger, making.key(making.call("A")))
    enrolled = making.enrol(ledger, new, making.call("B", customer_phone=making.OTHER_PHONE))
    assert _counts(enrolled) == {}
    assert making.row(ledger, making.key(making.call("A"))) == before
    assert queries.waiting(ledger.database, besides=new.id) == [models.Waiting(old.id, 1, old.settings)]


@pytest.mark.parametrize("status", [one for one in ItemStatus if one != ItemStatus.PENDING])
def test_only_what_may_still_be_sent_is_carried(ledger: Ledger, status: ItemStatus) -> None:
    """A call in doubt, too: proved absent, it is sent by the run that looked it up."""
    making.enrol(ledger, making.batch("monday.csv"), making.call("A"))
    making.bring(ledger, making.key(making.call("A")), "run-1", status)
    other = making.call("B", customer_phone=making.OTHER_PHONE)
    counts = _counts(making.enrol(ledger, making.batch("tuesday.csv"), other))
    assert counts == ({"carried": 1} if status is ItemStatus.IN_DOUBT else {})


def test_the_same_files_again_are_the_same_batch_and_carry_nothing(ledger: Ledger) -> None:
    batch, calls = making.batch(), [making.call("A"), making.call("B", row=3, customer_phone=making.OTHER_PHONE)]
    making.enrol(ledger, batch, *calls)
    making.bring(ledger, making.key(calls[0]), "run-1", ItemStatus.DELIVERED)
    enrolled = making.enrol(ledger, batch, *calls)
    assert _counts(enrolled) == {"unchanged": 1}
    assert _adds_up(ledger, enrolled, batch, *calls).pending == 1


def test_a_row_that_tells_what_it_told_before_touches_nothing(ledger: Ledger) -> None:
    making.enrol(ledger, making.batch(), making.call())
    before = making.row(ledger, making.key(making.call()))
    assert _counts(making.enrol(ledger, making.batch(), making.call())) == {}
    assert making.row(ledger, making.key(making.call())) == before


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({"lead_id": 1}, {}),
        ({"row": 3}, {}),
        ({"executed_by": None}, {}),
        (_TOLD_OTHERWISE, {}),
        ({"legs": "a"}, {"unchanged": 1, "carried": 1}),
        ({"customer_phone": making.OTHER_PHONE}, {"carried": 1, "rejects": 1}),
        ({"direction": models.Direction.OUTGOING}, {"carried": 1, "rejects": 1}),
        ({"started_at": making.STARTED + 25 * _HOUR}, {"carried": 1, "rejects": 1}),
    ],
)
def test_a_row_of_the_same_file_that_tells_anything_else_is_judged(
    ledger: Ledger, change: dict[str, Any], counts: dict[str, int]
) -> None:
    """After a new leads file or a newer importer, one and the same row may come to other things than before."""
    batch, again = making.batch(), making.call(**{"legs": "a\nb", **change})
    making.enrol(ledger, batch, making.call(legs="a\nb"))
    enrolled = making.enrol(ledger, batch, again)
    assert _counts(enrolled) == counts
    assert _adds_up(ledger, enrolled, batch, again).pending == 1
    item, told = making.row(ledger, making.key(again)), making.sighting(again)
    is_news = (item["payload"], item["source_row"]) == (told.payload, told.row)
    assert is_news is (not counts or "legs" in change)


def test_the_same_file_under_other_settings_takes_its_calls_along(ledger: Ledger) -> None:
    """They would else wait in a batch that no run delivers."""
    making.enrol(ledger, making.batch(), making.call())
    making.enrol(ledger, again := making.batch(only="answered"), making.call())
    assert making.row(ledger, making.key(making.call()))["batch_id"] == again.id


def test_a_call_of_two_files_is_of_the_one_that_is_named_first(ledger: Ledger) -> None:
    """The order of the files does not make another batch."""
    making.enrol(ledger, making.batch("a.csv", "b.csv"), making.call())
    making.enrol(ledger, again := making.batch("b.csv", "a.csv"), making.call())
    assert making.row(ledger, making.key(making.call()))["source_sha256"] == again.sources[0].sha256


def test_a_pending_call_no_longer_keeps_what_was_parked_beside_it(ledger: Ledger) -> None:
    making.enrol(ledger, making.batch(), making.call())
    ledger.database.execute("UPDATE item SET next_facts = 'other', next_payload = '{}'")
    making.enrol(ledger, making.batch(), making.call())
    assert making.row(ledger, making.key(making.call()))["next_facts"] is None


def test_after_the_right_zone_nothing_of_the_wrong_one_is_handed_out(ledger: Ledger) -> None:
    """Keys of instants differ between zones: the wrong ones wait in their batch, named, and are not sent."""
    wrong, right = making.batch(timezone="UTC"), making.batch(timezone="America/Toronto")
    making.enrol(ledger, wrong, making.call(None))
    shifted = making.call(None, started_at=making.STARTED + 4 * _HOUR)
    enrolled = making.enrol(ledger, right, shifted)
    assert _counts(enrolled) == {}
    item = ledger.next_item(right.id, frozenset())
    assert item is not None
    assert item.key == making.key(shifted)
    making.bring(ledger, item.key, "run-1", ItemStatus.DELIVERED)
    assert ledger.next_item(right.id, frozenset()) is None
    assert [one.batch for one in queries.waiting(ledger.database, besides=right.id)] == [wrong.id]


def test_after_the_right_zone_calls_with_ids_are_replaced_in_place(ledger: Ledger) -> None:
    wrong, right = making.batch(timezone="UTC"), making.batch(timezone="America/Toronto")
    making.enrol(ledger, wrong, making.call())
    shifted = making.call(started_at=making.STARTED + 4 * _HOUR)
    making.enrol(ledger, right, shifted)
    assert ledger.next_item(wrong.id, frozenset()) is None
    item = ledger.next_item(right.id, frozenset())
    assert item is not None
    assert item.communication.executed_at == "2024-05-31T18:05:09+00:00"
    assert queries.counts(ledger.database)[ItemStatus.PENDING] == 1


# Whole or not at all


@pytest.mark.parametrize("entered", [False, True])
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, errors.SourceError, GeneratorExit])
def test_an_interrupted_enrolment_leaves_the_ledger_as_it_was(
    ledger: Ledger, interruption: type[BaseException], entered: bool
) -> None:
    making.enrol(ledger, making.batch("old.csv"), making.call("A"), run_id="run-1")
    before = making.everything(ledger)
    with (  # noqa: PT012  # the interruption comes from within the block
        pytest.raises(interruption),
        ledger.enrolment("run-1", making.batch("new.csv")) as enrolment,
    ):
        enrolment.see(
            [
                making.sighting(making.call("A", **_TOLD_OTHERWISE)),
                making.sighting(making.call("B", row=3, customer_phone=making.OTHER_PHONE)),
            ]
        )
        if entered:
            enrolment.enter()
        raise interruption
    assert making.everything(ledger) == before
    # And the next one starts over cleanly.
    assert _counts(
        making.enrol(ledger, making.batch("new.csv"), making.call("B", customer_phone=making.OTHER_PHONE))
    ) == {"carried": 1}


def test_an_enrolment_that_was_killed_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    """What a kill leaves is the files as they are at that moment; they are opened by the next run."""
    path, found = tmp_path / "ledger.sqlite3", tmp_path / "found.sqlite3"
    with closing(making.ledger(path)) as killed:
        before = making.everything(killed)
        with killed.enrolment(None, making.batch()) as enrolment:
            enrolment.see([making.sighting(making.call())])
            enrolment.enter()
            for suffix in ("", "-wal"):
                shutil.copy(f"{path}{suffix}", f"{found}{suffix}")
        assert making.everything(killed) != before
    with closing(making.ledger(found)) as reopened:
        assert making.everything(reopened) == before


# Going on without files


def test_a_batch_is_taken_up_without_its_files(ledger: Ledger) -> None:
    batch = making.batch()
    calls = [making.call(name, row=row) for row, name in enumerate("ABCDEF")]
    making.enrol(ledger, batch, *calls)
    stands = (ItemStatus.PENDING, ItemStatus.IN_DOUBT, ItemStatus.HELD, ItemStatus.DELIVERED, ItemStatus.REFUSED)
    for call, status in zip(calls, stands, strict=False):
        making.bring(ledger, making.key(call), "run-1", status)
    enrolled = ledger.resume("run-1", batch.id)
    assert _counts(enrolled) == {"carried": 4}
    counted = _adds_up(ledger, enrolled, batch)
    assert (counted.pending, counted.in_doubt, counted.held, counted.total) == (2, 1, 1, 4)


def test_an_unknown_batch_is_not_taken_up(ledger: Ledger) -> None:
    assert not queries.knows_batch(ledger.database, "7K3Q-2M9D")
    with pytest.raises(errors.LedgerError):
        ledger.resume("run-1", "7K3Q-2M9D")


def test_a_batch_that_was_withdrawn_is_not_the_last(ledger: Ledger) -> None:
    first, second = making.batch("1.csv"), making.batch("2.csv")
    assert queries.last_batch(ledger.database) is None
    making.enrol(ledger, first, making.call("A"))
    making.enrol(ledger, second, making.call("B", customer_phone=making.OTHER_PHONE))
    assert queries.last_batch(ledger.database) == second.id
    ledger.withdraw(second.id)
    assert queries.last_batch(ledger.database) == first.id


@pytest.mark.parametrize("seen_again", [False, True])
@pytest.mark.parametrize("files", [False, True])
def test_what_was_found_in_flight_is_counted_once(ledger: Ledger, seen_again: bool, files: bool) -> None:
    """It belongs to the account of the run that found it, whatever batch it came from."""
    old, new = making.batch("old.csv", system="other"), making.batch("new.csv")
    flying, fresh = making.call("A"), making.call("B", row=3, customer_phone=making.OTHER_PHONE)
    making.enrol(ledger, new, fresh)
    making.enrol(ledger, old, flying)
    making.bring(ledger, making.key(flying), "run-1", ItemStatus.IN_FLIGHT)
    assert ledger.start_run("run-2") == 1
    calls = [fresh, *([flying] if seen_again else [])] if files else []
    enrolled = making.enrol(ledger, new, *calls) if files else ledger.resume("run-2", new.id)
    counted = _adds_up(ledger, enrolled, new, *calls)
    assert (counted.in_doubt, counted.pending, counted.total) == (1, 1, 2)
    assert counted.carried == (0 if seen_again else 1) if files else counted.carried == 2


def test_all_endings_together_add_up(ledger: Ledger) -> None:
    """One call of every kind in one run, and each is counted once."""
    old, new = making.batch("old.csv"), making.batch("new.csv")
    known = {status: making.call(status.value, row=row) for row, status in enumerate(ItemStatus, start=2)}
    making.enrol(ledger, old, *known.values())
    withdrawn = known.pop(ItemStatus.WITHDRAWN)
    for status, call in known.items():
        making.bring(ledger, making.key(call), "run-1", status, communication_id=900 + call.place.row)
    ledger.database.execute("UPDATE item SET status = 'withdrawn' WHERE key = ?", (making.key(withdrawn),))
    fresh = making.call("fresh", row=40, customer_phone=making.OTHER_PHONE)
    left = making.call("left", row=41, customer_phone="+15145550125")
    making.enrol(ledger, old, left)
    twins = [making.call("twin", row=50), making.call("twin", row=51, **_TOLD_OTHERWISE)]
    calls = [fresh, making.call("fresh", row=42, customer_phone=making.OTHER_PHONE), *twins, withdrawn, *known.values()]
    enrolled = making.enrol(ledger, new, *calls)
    counted = _adds_up(ledger, enrolled, new, *calls)
    assert counted == endings.Calls(
        total=12,
        carried=1,
        duplicate=1,
        skipped=2,
        unchanged=1,
        refused=1,
        in_doubt=2,
        held=1,
        pending=4,
    )


def test_many_calls_at_once_leave_every_index_and_guard_as_it_was(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some are dropped and made again around a large first import."""
    monkeypatch.setattr(enrol, "SMALL", 2)
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    before = ledger.database.rows(schema)
    making.enrol(ledger, making.batch(), *(making.call(f"A-{row}", row=row) for row in range(2, 7)), run_id=None)
    assert ledger.database.rows(schema) == before
    assert queries.counts(ledger.database)[ItemStatus.PENDING] == 5
    assert ledger.database.one("PRAGMA integrity_check") == "ok"
