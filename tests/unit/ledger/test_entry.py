"""A plan is written down whole, and exactly as it was decided: every call is one item, and no call is two."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from callimport.core import endings, errors, models
from callimport.core.decisions import Entered, Plan, PlannedCalls, PlanSettings
from callimport.core.models import ItemStatus
from callimport.ledger import Ledger, entry, queries, updates
from tests import making, planning
from tests.planning import members, statuses
from tests.unit.plan.making_plans import BEGAN, SETTINGS, call
from tests.unit.plan.test_properties import CALLS_BY_KEY, made_calls

HOUR = timedelta(hours=1)
CODE = "EYQM-8T9W"
SHAPED = replace(SETTINGS, shapes={0: "shape", 1: "shape"})
ANOTHER_BATCH = replace(SHAPED, batch=replace(SETTINGS.batch, id="3333-3333"))
OTHER_SETTINGS = replace(SHAPED, batch=replace(SETTINGS.batch, id="4444-4444", settings_fingerprint="e" * 32))
OTHER_TALK: dict[str, Any] = {"duration_seconds": 300}
NO_LEAD = 0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(making.ledger(tmp_path / "ledger.sqlite3")) as opened:
        opened.start_run("run-1")
        yield opened


def planned(ledger: Ledger, calls: list[dict[str, Any]], of: PlanSettings = SHAPED, *, partitions: int = 1) -> Plan:
    return planning.planned(ledger, calls, of, partitions=partitions)


def bound(plan: Plan) -> Plan:
    """The plan as a person approved it."""
    return replace(plan, code=CODE, is_bound=True)


def counts(entered: Entered) -> dict[str, int]:
    """Only what is not nothing."""
    names = ("unchanged", "changed", "withdrawn", "existing", "gone", "carried")
    return {name: found for name in names if (found := getattr(entered, name))} | (
        {"rejects": len(entered.rejects)} if entered.rejects else {}
    )


def adds_up(ledger: Ledger, entered: Entered, batch: models.Batch, *calls: models.Call) -> endings.Calls:
    summary = making.reckoned(ledger, entered, batch, *calls)
    assert summary.calls.adds_up(summary.rows)
    assert summary.rows.adds_up()
    return summary.calls


def test_new_calls_become_items_of_the_run(ledger: Ledger) -> None:
    ledger.enter(None, planned(ledger, [call("k1:1"), call("k1:2", lead_id=None, phone="+15145550102")]))

    assert statuses(ledger) == {"k1:1": "pending", "k1:2": "waiting"}
    assert members(ledger) == {"k1:1": 0}


def test_item_tells_its_batch_and_place_and_the_run_its_batch(ledger: Ledger) -> None:
    batch, calls = making.batch(), [making.call("A"), making.call("B", row=3, customer_phone=making.OTHER_PHONE)]
    entered = making.enter(ledger, batch, *calls, run_id="run-1")

    assert counts(entered) == {}
    assert adds_up(ledger, entered, batch, *calls).pending == 2
    item = making.row(ledger, making.key(calls[1]))
    assert (item["status"], item["batch_id"], item["source_row"]) == ("pending", batch.id, 3)
    assert item["source_sha256"] == batch.sources[0].sha256
    assert ledger.database.one("SELECT batch_id FROM run") == batch.id


def test_header_alone_is_a_batch_of_nothing(ledger: Ledger) -> None:
    assert counts(making.enter(ledger, making.batch())) == {}
    assert queries.last_batch(ledger.database) == making.batch().id


def test_same_calls_again_change_nothing(ledger: Ledger) -> None:
    calls = [call("k1:1"), call("k1:2", lead_id=None, phone="+15145550102")]
    ledger.enter(None, planned(ledger, calls))
    before = ledger.database.rows("SELECT * FROM item")
    again = planned(ledger, calls)
    ledger.enter(None, again)

    assert all(part.decisions["entry"].null_count() == part.calls.height for part in again.parts)
    assert ledger.database.rows("SELECT * FROM item") == before
    assert members(ledger) == {"k1:1": 0}


def test_look_alike_is_entered_as_held_with_its_evidence(ledger: Ledger) -> None:
    ledger.enter(None, planned(ledger, [call("k1:1")]))
    ledger.enter(None, planned(ledger, [call("k1:2", row=3)], OTHER_SETTINGS))

    assert statuses(ledger) == {"k1:1": "pending", "k1:2": "held"}
    assert "may be REF-1 (row 2 of calls.csv)" in ledger.database.one("SELECT reason FROM item WHERE status = 'held'")
    assert ledger.database.one("SELECT kind FROM verdict WHERE key = 'k1:2'") == "held"
    assert members(ledger) == {"k1:2": 0}


# A key is seen again


@dataclass(frozen=True, slots=True)
class Seen:
    """What becomes of an item whose call comes again: where it stands then, how the run counts it, and whether the new
    facts are parked."""

    after: ItemStatus
    counts: dict[str, int]
    ending: str
    is_parked: bool = False


_PENDING = Seen(ItemStatus.PENDING, {}, "pending")
SEEN_AGAIN = {
    (ItemStatus.WAITING, False): _PENDING,
    (ItemStatus.WAITING, True): _PENDING,
    (ItemStatus.PENDING, False): _PENDING,
    (ItemStatus.PENDING, True): _PENDING,
    (ItemStatus.IN_FLIGHT, False): Seen(ItemStatus.IN_FLIGHT, {}, "in_doubt"),
    (ItemStatus.IN_FLIGHT, True): Seen(ItemStatus.IN_FLIGHT, {"changed": 1}, "in_doubt", is_parked=True),
    (ItemStatus.IN_DOUBT, False): Seen(ItemStatus.IN_DOUBT, {}, "in_doubt"),
    (ItemStatus.IN_DOUBT, True): Seen(ItemStatus.IN_DOUBT, {"changed": 1}, "in_doubt", is_parked=True),
    (ItemStatus.HELD, False): Seen(ItemStatus.HELD, {}, "held"),
    (ItemStatus.HELD, True): Seen(ItemStatus.HELD, {"changed": 1}, "held", is_parked=True),
    (ItemStatus.DELIVERED, False): Seen(ItemStatus.DELIVERED, {"unchanged": 1}, "unchanged"),
    (ItemStatus.DELIVERED, True): Seen(
        ItemStatus.DELIVERED, {"unchanged": 1, "changed": 1}, "unchanged", is_parked=True
    ),
    (ItemStatus.FAILED, False): _PENDING,
    (ItemStatus.FAILED, True): _PENDING,
    (ItemStatus.REFUSED, False): Seen(ItemStatus.REFUSED, {}, "refused"),
    (ItemStatus.REFUSED, True): _PENDING,
    (ItemStatus.WITHDRAWN, False): Seen(ItemStatus.WITHDRAWN, {"withdrawn": 1}, "skipped"),
    (ItemStatus.WITHDRAWN, True): Seen(ItemStatus.WITHDRAWN, {"withdrawn": 1}, "skipped"),
    (ItemStatus.GONE, False): Seen(ItemStatus.GONE, {"gone": 1}, "skipped"),
    (ItemStatus.GONE, True): Seen(ItemStatus.GONE, {"gone": 1}, "skipped"),
}


def test_table_of_what_is_seen_again_is_whole() -> None:
    assert set(SEEN_AGAIN) == {(status, is_other) for status in ItemStatus for is_other in (False, True)}


@pytest.mark.parametrize(("before", "is_other", "expected"), [(*key, seen) for key, seen in SEEN_AGAIN.items()])
def test_item_that_is_seen_again_moves_and_counts_as_the_table_says(
    ledger: Ledger, before: ItemStatus, is_other: bool, expected: Seen
) -> None:
    old, new = making.batch("old.csv"), making.batch("new.csv")
    first = making.call(lead_id=NO_LEAD if before is ItemStatus.WAITING else 5003)
    key = making.key(first)
    making.enter(ledger, old, first)
    making.bring(ledger, key, "run-1", before)
    stood = making.row(ledger, key)
    again = making.call(row=44, **(OTHER_TALK if is_other else {}))
    entered = making.enter(ledger, new, again)

    assert making.status(ledger, key) == expected.after
    assert counts(entered) == expected.counts
    assert getattr(adds_up(ledger, entered, new, again), expected.ending) == 1
    now, told = making.row(ledger, key), planning.row(again)
    if expected.is_parked:
        assert (now["next_facts"], now["next_payload"]) == (told["facts"], told["payload"])
        assert now["next_batch_id"] == new.id
    else:
        assert now["next_facts"] is None
    if expected.after == ItemStatus.PENDING:
        # It has the newest facts, from the newest place, and is of the newest batch.
        assert (now["facts"], now["payload"], now["batch_id"]) == (told["facts"], told["payload"], new.id)
        assert (now["source_sha256"], now["source_row"]) == (new.sources[0].sha256, 44)
        assert (now["reason"], now["staged"], now["shape"]) == (None, None, None)
    else:
        parked = ("next_facts", "next_payload", "next_batch_id")
        assert {**now, **dict.fromkeys(parked)} == {**stood, **dict.fromkeys(parked)}


def test_change_that_was_taken_back_is_no_longer_parked(ledger: Ledger) -> None:
    making.enter(ledger, making.batch("1.csv"), making.call())
    making.bring(ledger, making.key(making.call()), "run-1", ItemStatus.DELIVERED)
    making.enter(ledger, making.batch("2.csv"), making.call(**OTHER_TALK))
    assert updates.waiting_count(ledger.database) == 1
    assert counts(making.enter(ledger, making.batch("3.csv"), making.call())) == {"unchanged": 1}
    assert updates.waiting_count(ledger.database) == 0


def test_other_lead_or_agent_of_a_delivered_call_is_no_change(ledger: Ledger) -> None:
    """A new leads file would else rewrite years of calls; the lead of a delivered call is pinned."""
    making.enter(ledger, making.batch("1.csv"), making.call())
    making.bring(ledger, making.key(making.call()), "run-1", ItemStatus.DELIVERED)
    again = making.call(lead_id=1, executed_by=None)

    assert counts(making.enter(ledger, making.batch("2.csv"), again)) == {"unchanged": 1}
    assert making.row(ledger, making.key(again))["lead_id"] == 5003


def test_pending_call_takes_the_lead_of_a_mended_leads_file(ledger: Ledger) -> None:
    making.enter(ledger, making.batch("1.csv"), making.call())
    making.enter(ledger, making.batch("1.csv", leads="new"), making.call(lead_id=1))
    item = ledger.next_item(making.batch("1.csv", leads="new").id, frozenset())

    assert item is not None
    assert item.lead_id == item.communication.lead_id == 1


@pytest.mark.parametrize(
    "change",
    [
        {"customer_phone": making.OTHER_PHONE},
        {"direction": models.Direction.OUTGOING},
        {"started_at": making.STARTED + 24 * HOUR + timedelta(seconds=1)},
    ],
)
@pytest.mark.parametrize("status", [ItemStatus.PENDING, ItemStatus.DELIVERED, ItemStatus.WITHDRAWN])
def test_id_used_again_leaves_the_item_as_it_is(ledger: Ledger, change: dict[str, Any], status: ItemStatus) -> None:
    known = making.call()
    making.enter(ledger, making.batch("old.csv"), known)
    making.bring(ledger, making.key(known), "run-1", status)
    before = making.row(ledger, making.key(known))
    batch, again = making.batch("new.csv"), making.call(**change)
    entered = making.enter(ledger, batch, again)

    assert [reason.rule for one in entered.rejects for reason in one.reasons] == ["id_reused"]
    # An item that was pending still is: it comes along, as it was.
    assert {**making.row(ledger, making.key(known)), "batch_id": before["batch_id"]} == before
    assert adds_up(ledger, entered, batch, again).total == (status == ItemStatus.PENDING)


# Batches


def test_pending_items_with_the_same_settings_come_along(ledger: Ledger) -> None:
    """The nightly case: what yesterday's run left over goes today, although today's window no longer shows it."""
    old, new = making.batch("monday.csv"), making.batch("tuesday.csv")
    left, fresh = making.call("A"), making.call("B", customer_phone=making.OTHER_PHONE)
    making.enter(ledger, old, left)
    entered = making.enter(ledger, new, fresh)

    assert counts(entered) == {"carried": 1}
    calls = adds_up(ledger, entered, new, fresh)
    assert (calls.total, calls.carried, calls.pending) == (2, 1, 2)
    assert {making.row(ledger, making.key(one))["batch_id"] for one in (left, fresh)} == {new.id}
    # Where it came from is still told.
    assert making.row(ledger, making.key(left))["source_sha256"] == old.sources[0].sha256


def test_pending_items_of_other_settings_stay(ledger: Ledger) -> None:
    old, new = making.batch("a.csv", system="old"), making.batch("b.csv")
    making.enter(ledger, old, making.call("A"))
    before = making.row(ledger, making.key(making.call("A")))
    entered = making.enter(ledger, new, making.call("B", customer_phone=making.OTHER_PHONE))

    assert counts(entered) == {}
    assert making.row(ledger, making.key(making.call("A"))) == before
    assert queries.waiting(ledger.database, besides=new.id) == [models.Waiting(old.id, 1, old.settings)]


@pytest.mark.parametrize("status", [one for one in ItemStatus if one != ItemStatus.PENDING])
def test_only_items_that_may_be_sent_come_along(ledger: Ledger, status: ItemStatus) -> None:
    """An item in doubt, too: proved absent, it is sent by the run that looked it up."""
    known = making.call("A", lead_id=NO_LEAD if status is ItemStatus.WAITING else 5003)
    making.enter(ledger, making.batch("monday.csv"), known)
    making.bring(ledger, making.key(known), "run-1", status)
    other = making.call("B", customer_phone=making.OTHER_PHONE)
    entered = making.enter(ledger, making.batch("tuesday.csv"), other)

    assert counts(entered) == ({"carried": 1} if status is ItemStatus.IN_DOUBT else {})


def test_items_whose_rows_contradict_one_another_do_not_come_along(ledger: Ledger) -> None:
    ledger.enter(None, planned(ledger, [call("k1:1"), call("k1:2", started_at=BEGAN + 500)]))
    ledger.enter(None, planning.planned(ledger, [], ANOTHER_BATCH, questioned=["k1:1"]))

    assert members(ledger) == {"k1:2": 1}


@pytest.mark.parametrize(
    "again",
    [call("k1:1", legs="2", duration_seconds=7), call("k1:1", legs="1\n2", direction="outgoing")],
    ids=["a part", "another call under its id"],
)
def test_update_of_yesterday_comes_along_if_today_says_nothing_of_its_call(
    ledger: Ledger, again: dict[str, Any]
) -> None:
    ledger.enter(None, planned(ledger, [call("k1:1", legs="1\n2")]))
    making.bring(ledger, "k1:1", "run-1", ItemStatus.DELIVERED)
    told = planned(ledger, [call("k1:1", legs="1\n2", duration_seconds=120)])
    ledger.enter(None, told)

    assert planned(ledger, [again], ANOTHER_BATCH).totals.changed == told.totals.changed == 1


def test_same_files_again_are_the_same_batch_and_carry_nothing(ledger: Ledger) -> None:
    batch, calls = making.batch(), [making.call("A"), making.call("B", row=3, customer_phone=making.OTHER_PHONE)]
    making.enter(ledger, batch, *calls)
    making.bring(ledger, making.key(calls[0]), "run-1", ItemStatus.DELIVERED)
    entered = making.enter(ledger, batch, *calls)

    assert counts(entered) == {"unchanged": 1}
    assert adds_up(ledger, entered, batch, *calls).pending == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"lead_id": 1}, {}),
        ({"row": 3}, {}),
        ({"executed_by": None}, {}),
        (OTHER_TALK, {}),
        ({"legs": "a"}, {"unchanged": 1, "carried": 1}),
        ({"customer_phone": making.OTHER_PHONE}, {"carried": 1, "rejects": 1}),
        ({"direction": models.Direction.OUTGOING}, {"carried": 1, "rejects": 1}),
        ({"started_at": making.STARTED + 25 * HOUR}, {"carried": 1, "rejects": 1}),
    ],
)
def test_row_of_the_same_file_that_says_anything_else_is_judged(
    ledger: Ledger, change: dict[str, Any], expected: dict[str, int]
) -> None:
    """After a new leads file or a newer importer, one and the same row may come to other things than before."""
    batch, again = making.batch(), making.call(**{"legs": "a\nb", **change})
    making.enter(ledger, batch, making.call(legs="a\nb"))
    entered = making.enter(ledger, batch, again)

    assert counts(entered) == expected
    assert adds_up(ledger, entered, batch, again).pending == 1
    item, told = making.row(ledger, making.key(again)), planning.row(again)
    is_news = (item["payload"], item["source_row"]) == (told["payload"], told["row"])
    assert is_news is (not expected or "legs" in change)


def test_same_file_under_other_settings_takes_its_calls_along(ledger: Ledger) -> None:
    """They would else wait in a batch that no run delivers."""
    making.enter(ledger, making.batch(), making.call())
    making.enter(ledger, again := making.batch(only="answered"), making.call())

    assert making.row(ledger, making.key(making.call()))["batch_id"] == again.id


def test_call_of_two_files_is_of_the_one_that_is_named_first(ledger: Ledger) -> None:
    """The order of the files does not make another batch."""
    making.enter(ledger, making.batch("a.csv", "b.csv"), making.call())
    making.enter(ledger, again := making.batch("b.csv", "a.csv"), making.call())

    assert making.row(ledger, making.key(making.call()))["source_sha256"] == again.sources[0].sha256


def test_pending_call_does_not_keep_facts_that_were_parked_beside_it(ledger: Ledger) -> None:
    making.enter(ledger, making.batch(), making.call())
    ledger.database.execute("UPDATE item SET next_facts = 'other', next_payload = '{}'")
    making.enter(ledger, making.batch(), making.call())

    assert making.row(ledger, making.key(making.call()))["next_facts"] is None


def test_after_the_right_zone_no_call_of_the_wrong_one_is_handed_out(ledger: Ledger) -> None:
    """Keys of instants differ between zones: the wrong ones stay in their batch, named, and are not sent."""
    wrong, right = making.batch(timezone="UTC"), making.batch(timezone="America/Toronto")
    making.enter(ledger, wrong, making.call(None))
    shifted = making.call(None, started_at=making.STARTED + 4 * HOUR)
    assert counts(making.enter(ledger, right, shifted)) == {}

    item = ledger.next_item(right.id, frozenset())
    assert item is not None
    assert item.key == making.key(shifted)
    making.bring(ledger, item.key, "run-1", ItemStatus.DELIVERED)
    assert ledger.next_item(right.id, frozenset()) is None
    assert [one.batch for one in queries.waiting(ledger.database, besides=right.id)] == [wrong.id]


def test_after_the_right_zone_calls_with_ids_are_replaced_in_place(ledger: Ledger) -> None:
    wrong, right = making.batch(timezone="UTC"), making.batch(timezone="America/Toronto")
    making.enter(ledger, wrong, making.call())
    making.enter(ledger, right, making.call(started_at=making.STARTED + 4 * HOUR))

    assert ledger.next_item(wrong.id, frozenset()) is None
    item = ledger.next_item(right.id, frozenset())
    assert item is not None
    assert item.communication.executed_at == "2024-05-31T18:05:09+00:00"
    assert queries.counts(ledger.database)[ItemStatus.PENDING] == 1


# Approved plans


def test_items_of_an_approved_plan_are_bound_to_it(ledger: Ledger) -> None:
    ledger.enter(None, planned(ledger, [call("k1:1")]))
    ledger.enter(None, bound(planned(ledger, [call("k1:2", started_at=BEGAN + 500)], ANOTHER_BATCH)))

    assert ledger.database.rows("SELECT key, plan FROM item ORDER BY key") == [("k1:1", CODE), ("k1:2", CODE)]
    assert ledger.database.rows("SELECT DISTINCT batch_id FROM item") == [("3333-3333",)]


def test_another_run_leaves_bound_items_alone_unless_their_payload_changes(ledger: Ledger) -> None:
    calls = [call("k1:1"), call("k1:2", started_at=BEGAN + 500)]
    ledger.enter(None, bound(planned(ledger, calls)))
    ledger.enter(None, planned(ledger, [calls[0], call("k1:2", started_at=BEGAN + 500, duration_seconds=7)]))

    assert ledger.database.rows("SELECT key, plan FROM item ORDER BY key") == [("k1:1", CODE), ("k1:2", None)]
    assert members(ledger) == {"k1:1": 0, "k1:2": 0}
    batch = SHAPED.batch.id
    assert (ledger.pending_count(batch), ledger.pending_leads(batch, [0])) == (1, [calls[1]["lead_id"]])


def test_failed_call_of_an_approved_plan_is_tried_again_when_the_plan_goes_on(ledger: Ledger) -> None:
    ledger.enter(None, bound(planned(ledger, [call("k1:1")])))
    ledger.database.execute("UPDATE item SET status = 'failed'")

    assert ledger.resume(None, SHAPED.batch.id, CODE) == 1
    assert statuses(ledger) == {"k1:1": "pending"}


def test_call_in_doubt_leaves_its_plan_when_it_is_absent_and_has_other_facts_by_now(ledger: Ledger) -> None:
    first = call("k1:1")
    ledger.enter("run-1", bound(planned(ledger, [first])))
    making.bring(ledger, "k1:1", "run-1", ItemStatus.IN_DOUBT)
    ledger.enter(None, planned(ledger, [first | call("k1:1", **OTHER_TALK)], ANOTHER_BATCH))
    ledger.settle("k1:1", models.Verdict("absent", "two reads"))

    assert ledger.database.rows("SELECT status, plan, left_plan FROM item") == [("pending", None, CODE)]


def test_item_that_an_index_does_not_find_stops_the_plan(tmp_path: Path) -> None:
    path = tmp_path / "damaged.sqlite3"
    with closing(making.ledger(path)) as opened:
        opened.start_run("run-1")
        opened.enter(None, planned(opened, [call("k1:1"), call("k1:2", started_at=BEGAN + 500)]))
    with closing(sqlite3.connect(path)) as connection:
        # The index of keys as it was before the item came into the table.
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_item_1'")
        page, size = root.fetchone()[0], connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    start = content.index(b"k1:1", (page - 1) * size, page * size)
    content[start + 3] ^= 0x40
    path.write_bytes(content)
    with closing(making.ledger(path)) as opened, pytest.raises(errors.LedgerError, match="an index of the ledger"):
        planned(opened, [call("k1:1")])


# Whole or not at all


class Interrupted:
    """The parts of a plan, with something that happens after the last one is entered."""

    def __init__(self, plan: Plan, happens: Callable[[], None]) -> None:
        self._parts, self._happens = plan.parts, happens

    def __iter__(self) -> Iterator[PlannedCalls]:
        yield from self._parts
        self._happens()


def test_plan_that_saw_another_ledger_enters_nothing(ledger: Ledger) -> None:
    ledger.enter(None, planned(ledger, [call("k1:1")]))
    stale = planned(ledger, [call("k1:1", duration_seconds=7)])
    ledger.database.execute("UPDATE item SET status = 'withdrawn'")
    before = making.everything(ledger)

    with pytest.raises(errors.LedgerError, match="0 calls moved instead of 1"):
        ledger.enter(None, stale)
    assert making.everything(ledger) == before


def test_plan_with_one_call_twice_enters_nothing(ledger: Ledger) -> None:
    plan = planned(ledger, [call("k1:1")])

    with pytest.raises(errors.LedgerError):
        ledger.enter(None, replace(plan, parts=[*plan.parts, *plan.parts]))
    assert ledger.database.one("SELECT count(*) FROM item") == 0


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, errors.SourceError, GeneratorExit])
def test_interrupted_entry_leaves_the_ledger_as_it_was(ledger: Ledger, interruption: type[BaseException]) -> None:
    calls = [call("k1:1"), call("k1:2", started_at=BEGAN + 500)]
    ledger.enter(None, planned(ledger, calls[:1]))
    before = making.everything(ledger)
    plan = planned(ledger, [call("k1:1", duration_seconds=7), calls[1]], ANOTHER_BATCH)

    def interrupt() -> None:
        assert making.everything(ledger) != before
        raise interruption

    with pytest.raises(interruption):
        ledger.enter(None, replace(plan, parts=Interrupted(plan, interrupt)))
    assert making.everything(ledger) == before
    # And the next one starts over cleanly.
    ledger.enter(None, planned(ledger, calls[1:], ANOTHER_BATCH))
    assert members(ledger) == {"k1:1": 1, "k1:2": 0}


def test_killed_entry_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    """A kill leaves the files as they are at that moment; the next run opens these."""
    path, found = tmp_path / "ledger.sqlite3", tmp_path / "found.sqlite3"
    with closing(making.ledger(path)) as killed:
        before = making.everything(killed)
        plan = planned(killed, [call("k1:1")])

        def copy() -> None:
            for suffix in ("", "-wal"):
                shutil.copy(f"{path}{suffix}", f"{found}{suffix}")

        killed.enter(None, replace(plan, parts=Interrupted(plan, copy)))
        assert making.everything(killed) != before
    with closing(making.ledger(found)) as reopened:
        assert making.everything(reopened) == before


def test_many_calls_at_once_leave_every_index_and_guard_as_it_was(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some are dropped and made again around a large first import."""
    monkeypatch.setattr(entry, "SMALL", 2)
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    before = ledger.database.rows(schema)
    making.enter(ledger, making.batch(), *(making.call(f"A-{row}", row=row) for row in range(2, 7)))

    assert ledger.database.rows(schema) == before
    assert queries.counts(ledger.database)[ItemStatus.PENDING] == 5
    assert ledger.database.one("PRAGMA integrity_check") == "ok"


# Without files


def test_batch_goes_on_without_its_files(ledger: Ledger) -> None:
    batch = making.batch()
    calls = [making.call(name, row=row) for row, name in enumerate("ABCDEF")]
    making.enter(ledger, batch, *calls)
    stands = (ItemStatus.PENDING, ItemStatus.IN_DOUBT, ItemStatus.HELD, ItemStatus.DELIVERED, ItemStatus.REFUSED)
    for one, status in zip(calls, stands, strict=False):
        making.bring(ledger, making.key(one), "run-1", status)
    entered = Entered(carried=ledger.resume("run-1", batch.id))

    assert counts(entered) == {"carried": 4}
    counted = adds_up(ledger, entered, batch)
    assert (counted.pending, counted.in_doubt, counted.held, counted.total) == (2, 1, 1, 4)


def test_waiting_calls_do_not_go_on_without_files(ledger: Ledger) -> None:
    making.enter(ledger, making.batch(), making.call(lead_id=NO_LEAD))

    assert ledger.resume("run-1", making.batch().id) == 0
    assert members(ledger) == {}


def test_unknown_batch_does_not_go_on(ledger: Ledger) -> None:
    assert not queries.knows_batch(ledger.database, "7K3Q-2M9D")
    with pytest.raises(errors.LedgerError):
        ledger.resume("run-1", "7K3Q-2M9D")


def test_withdrawn_batch_is_not_the_last(ledger: Ledger) -> None:
    first, second = making.batch("1.csv"), making.batch("2.csv")
    assert queries.last_batch(ledger.database) is None
    making.enter(ledger, first, making.call("A"))
    making.enter(ledger, second, making.call("B", customer_phone=making.OTHER_PHONE))
    assert queries.last_batch(ledger.database) == second.id
    ledger.withdraw(second.id)
    assert queries.last_batch(ledger.database) == first.id


@pytest.mark.parametrize("is_seen_again", [False, True])
@pytest.mark.parametrize("has_files", [False, True])
def test_item_left_in_flight_is_counted_once(ledger: Ledger, is_seen_again: bool, has_files: bool) -> None:
    """The run that found it answers for it, whatever batch it came from."""
    old, new = making.batch("old.csv", system="other"), making.batch("new.csv")
    flying, fresh = making.call("A"), making.call("B", row=3, customer_phone=making.OTHER_PHONE)
    making.enter(ledger, new, fresh)
    making.enter(ledger, old, flying)
    making.bring(ledger, making.key(flying), "run-1", ItemStatus.IN_FLIGHT)
    assert ledger.start_run("run-2") == 1
    calls = [fresh, *([flying] if is_seen_again else [])] if has_files else []
    entered = making.enter(ledger, new, *calls) if has_files else Entered(carried=ledger.resume("run-2", new.id))

    counted = adds_up(ledger, entered, new, *calls)
    assert (counted.in_doubt, counted.pending, counted.total) == (1, 1, 2)
    assert counted.carried == (0 if is_seen_again else 1) if has_files else counted.carried == 2


# Whatever comes


def test_all_endings_together_add_up(ledger: Ledger) -> None:
    """One call of every kind in one run, and each is counted once."""
    old, new = making.batch("old.csv"), making.batch("new.csv")
    known = {
        status: making.call(status.value, row=row, lead_id=NO_LEAD if status is ItemStatus.WAITING else 5003)
        for row, status in enumerate(ItemStatus, start=2)
    }
    making.enter(ledger, old, *known.values())
    for status, one in known.items():
        if status is not ItemStatus.WITHDRAWN:
            making.bring(ledger, making.key(one), "run-1", status, communication_id=900 + one.place.row)
    ledger.withdraw_one(making.key(known[ItemStatus.WITHDRAWN]))
    making.enter(ledger, old, making.call("left", row=41, customer_phone="+15145550125"))
    fresh = making.call("fresh", row=40, customer_phone=making.OTHER_PHONE)
    reused = making.call("delivered", row=50, direction=models.Direction.OUTGOING)
    del known[ItemStatus.DELIVERED]
    calls = [fresh, reused, *(one._replace(lead_id=5003) for one in known.values())]
    entered = making.enter(ledger, new, *calls)

    assert adds_up(ledger, entered, new, *calls) == endings.Calls(
        total=11, carried=1, skipped=2, refused=1, in_doubt=2, held=2, pending=4
    )


@settings(max_examples=60, deadline=None)
@given(CALLS_BY_KEY, CALLS_BY_KEY)
def test_planning_again_after_any_two_runs_gives_nothing_to_enter(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    with closing(Ledger.of_nothing(making.clock())) as ledger:
        ledger.enter(None, planned(ledger, made_calls(first), partitions=2))
        ledger.enter(None, planned(ledger, made_calls(second), OTHER_SETTINGS))
        again = planned(ledger, made_calls(second), OTHER_SETTINGS, partitions=3)

        assert all(part.decisions["entry"].null_count() == part.calls.height for part in again.parts)
        assert set(statuses(ledger)) >= set(first)
