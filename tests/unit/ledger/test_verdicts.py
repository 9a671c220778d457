"""Doubt ends only with a verdict of its last attempt, and the database itself holds to that."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callimport.core import errors, models
from callimport.core.models import ItemStatus, Verdict
from callimport.ledger import Ledger
from tests import making, planning
from tests.shown import stored

CALL = making.call()
KEY = making.key(CALL)
OTHER = making.call("B-1", row=3)
REFERENCE = making.reference(CALL)
_VERDICT = "INSERT INTO verdict (key, attempt_id, kind, evidence, decided_at) VALUES (?, ?, ?, '', '')"
_MOVE = "UPDATE item SET status = ?, communication_id = ? WHERE key = ?"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = making.ledger(tmp_path / "ledger.sqlite3")
    ledger.start_run("run-1")
    making.enter(ledger, making.batch(), CALL, OTHER, run_id="run-1")
    yield ledger
    ledger.close()


@pytest.fixture
def doubtful(ledger: Ledger) -> Ledger:
    making.bring(ledger, KEY, "run-1", ItemStatus.IN_DOUBT)
    return ledger


@pytest.fixture
def held(ledger: Ledger) -> Ledger:
    making.bring(ledger, KEY, "run-1", ItemStatus.HELD)
    return ledger


def _refused(ledger: Ledger, sql: str, *values: Any, why: str) -> None:
    before = making.everything(ledger)
    with pytest.raises(errors.LedgerError, match=why):
        ledger.database.execute(sql, values)
    assert making.everything(ledger) == before


def _found(number: int = 900) -> Verdict:
    payload = planning.row(CALL)["payload"]
    return Verdict("found", "its reference", stored(number, models.Communication(**json.loads(payload))))


def _verdicts(ledger: Ledger) -> list[tuple[Any, ...]]:
    return ledger.database.rows("SELECT key, attempt_id, kind FROM verdict ORDER BY id")


# The triggers, by raw SQL


@pytest.mark.parametrize("after", ["delivered", "pending", "held"])
def test_doubt_does_not_end_without_a_verdict(doubtful: Ledger, after: str) -> None:
    identity = 900 if after == "delivered" else None
    _refused(doubtful, _MOVE, after, identity, KEY, why="only with a verdict")


@pytest.mark.parametrize(
    ("kind", "after"),
    [("found", "pending"), ("found", "held"), ("absent", "delivered"), ("held", "pending"), ("held", "delivered")],
)
def test_a_verdict_allows_its_own_move_and_no_other(doubtful: Ledger, kind: str, after: str) -> None:
    doubtful.database.execute(_VERDICT, (KEY, 1, kind))
    _refused(doubtful, _MOVE, after, 900 if after == "delivered" else None, KEY, why="only with a verdict")


def test_the_verdict_of_an_earlier_attempt_ends_nothing(doubtful: Ledger) -> None:
    doubtful.settle(KEY, Verdict("absent", ""))
    making.bring(doubtful, KEY, "run-1", ItemStatus.IN_DOUBT)
    _refused(doubtful, _MOVE, "pending", None, KEY, why="only with a verdict")


def test_another_calls_verdict_ends_nothing(doubtful: Ledger) -> None:
    making.bring(doubtful, making.key(OTHER), "run-1", ItemStatus.IN_DOUBT)
    doubtful.settle(making.key(OTHER), Verdict("absent", ""))
    _refused(doubtful, _MOVE, "pending", None, KEY, why="only with a verdict")


@pytest.mark.parametrize("kind", ["accept", "resend"])
def test_a_person_decides_only_what_is_held(doubtful: Ledger, kind: str) -> None:
    _refused(doubtful, _VERDICT, KEY, 1, kind, why="where there is something to decide")


@pytest.mark.parametrize("kind", ["found", "absent", "held"])
def test_a_verdict_is_given_only_on_doubt(held: Ledger, kind: str) -> None:
    _refused(held, _VERDICT, KEY, 1, kind, why="where there is something to decide")


@pytest.mark.parametrize("sql", ["DELETE FROM verdict", "UPDATE verdict SET kind = 'resend'"])
def test_verdicts_are_append_only(held: Ledger, sql: str) -> None:
    _refused(held, sql, why="append-only")


def test_a_call_held_before_it_was_ever_sent_can_be_decided(ledger: Ledger) -> None:
    ledger.hold(KEY, "it looks like another one")
    ledger.resend(REFERENCE)
    assert making.status(ledger, KEY) == ItemStatus.PENDING
    assert _verdicts(ledger) == [(KEY, None, "held"), (KEY, None, "resend")]


# The verbs


def test_found_is_delivered_with_its_id_and_echo(doubtful: Ledger) -> None:
    doubtful.settle(KEY, _found())
    item = making.row(doubtful, KEY)
    assert (item["status"], item["communication_id"]) == ("delivered", 900)
    assert '"call_duration": 95' in item["echo"]
    assert _verdicts(doubtful) == [(KEY, 1, "found")]


def test_absent_is_pending_and_counted(doubtful: Ledger) -> None:
    doubtful.settle(KEY, Verdict("absent", "two reads"))
    assert making.status(doubtful, KEY) == ItemStatus.PENDING
    making.bring(doubtful, KEY, "run-1", ItemStatus.IN_DOUBT)
    assert [one.times_absent for one in doubtful.doubts()] == [1]


def test_held_waits_for_a_person_and_says_why(doubtful: Ledger) -> None:
    doubtful.settle(KEY, Verdict("held", "communication 7 could be it"))
    item = making.row(doubtful, KEY)
    assert (item["status"], item["reason"]) == ("held", "communication 7 could be it")


def test_a_communication_found_for_another_call_is_refused_and_nothing_is_left_of_the_verdict(doubtful: Ledger) -> None:
    making.bring(doubtful, making.key(OTHER), "run-1", ItemStatus.DELIVERED, communication_id=900)
    before = making.everything(doubtful)
    with pytest.raises(errors.LedgerError):
        doubtful.settle(KEY, _found(900))
    assert making.everything(doubtful) == before


def test_a_person_resends(held: Ledger) -> None:
    assert held.resend(REFERENCE.lower()) == KEY
    assert making.status(held, KEY) == ItemStatus.PENDING
    assert [kind for _, _, kind in _verdicts(held)] == ["held", "resend"]


def test_a_person_accepts(held: Ledger) -> None:
    assert held.accept(REFERENCE, 901) == KEY
    assert held.stands(KEY) == (ItemStatus.DELIVERED, 901)
    assert [kind for _, _, kind in _verdicts(held)] == ["held", "accept"]


def test_the_id_of_another_call_is_not_accepted(held: Ledger) -> None:
    making.bring(held, making.key(OTHER), "run-1", ItemStatus.DELIVERED, communication_id=901)
    before = making.everything(held)
    with pytest.raises(errors.ConfigError, match="another call's"):
        held.accept(REFERENCE, 901)
    assert making.everything(held) == before


def test_what_is_not_held_is_not_decided(doubtful: Ledger) -> None:
    with pytest.raises(errors.ConfigError, match="no held call has the key"):
        doubtful.resend(REFERENCE)
    with pytest.raises(errors.ConfigError, match="no held call has the key"):
        doubtful.accept(REFERENCE, 901)


def test_what_the_crm_said_that_it_stored_is_not_resent_by_a_person_either(ledger: Ledger) -> None:
    ledger.in_doubt(KEY, ledger.intend(KEY, "run-1"), errors.InDoubt("201 without id", applied=True))
    ledger.settle(KEY, Verdict("held", "not shown"))
    before = making.everything(ledger)
    with pytest.raises(errors.ConfigError, match="--accept"):
        ledger.resend(REFERENCE)
    assert making.everything(ledger) == before


# What was parked meanwhile, and whose batch it is


def _seen_again(ledger: Ledger, name: str = "calls.csv", **changes: Any) -> None:
    making.enter(ledger, making.batch(name), making.call(**changes), run_id="run-1")


@pytest.mark.parametrize("decides", ["absent", "resend"])
def test_a_call_out_of_doubt_takes_its_new_story_and_keeps_its_lead_and_agent(ledger: Ledger, decides: str) -> None:
    making.bring(ledger, KEY, "run-1", ItemStatus.IN_DOUBT if decides == "absent" else ItemStatus.HELD)
    _seen_again(ledger, duration_seconds=99, lead_id=5009, executed_by=None)
    if decides == "absent":
        assert ledger.doubts()[0].communication.call_duration == 95
        ledger.settle(KEY, Verdict("absent", ""))
    else:
        ledger.resend(REFERENCE)
    item = making.row(ledger, KEY)
    told = json.loads(planning.row(CALL)["payload"])
    assert json.loads(item["payload"]) == told | {"call_duration": 99}
    assert item["lead_id"] == told["lead_id"] != 5009
    assert told["executed_by"] is not None
    assert item["next_payload"] is item["next_facts"] is None


@pytest.mark.parametrize("kind", ["found", "held"])
def test_what_was_parked_stays_parked_beside_what_is_not_sent(doubtful: Ledger, kind: str) -> None:
    _seen_again(doubtful, duration_seconds=99)
    doubtful.settle(KEY, _found() if kind == "found" else Verdict("held", ""))
    item = making.row(doubtful, KEY)
    assert '"call_duration":95' in item["payload"]
    assert '"call_duration":99' in item["next_payload"]


def test_absent_goes_with_the_run_that_read_it_whatever_batch_it_came_from(doubtful: Ledger) -> None:
    _seen_again(doubtful, "tomorrow.csv")
    doubtful.settle(KEY, Verdict("absent", ""))
    assert making.row(doubtful, KEY)["batch_id"] == making.batch("tomorrow.csv").id


def test_absent_stays_with_its_batch_where_this_run_has_other_settings_and_did_not_read_it(tmp_path: Path) -> None:
    with_doubt = making.ledger(tmp_path / "ledger.sqlite3")
    with_doubt.start_run("run-1")
    making.enter(with_doubt, making.batch(), CALL, run_id="run-1")
    with_doubt.intend(KEY, "run-1")
    with_doubt.start_run("run-2")
    making.enter(with_doubt, making.batch("b.csv", timezone="Europe/Paris"), OTHER, run_id="run-2")
    with_doubt.settle(KEY, Verdict("absent", ""))
    assert making.row(with_doubt, KEY)["batch_id"] == making.batch().id
    with_doubt.close()


def test_the_send_window_begins_with_the_first_attempt_that_came_into_doubt(doubtful: Ledger) -> None:
    """A late commit may be the first attempt's."""
    first = doubtful.doubts()[0].intended_at
    doubtful.settle(KEY, Verdict("absent", ""))
    doubtful.not_applied(KEY, doubtful.intend(KEY, "run-1"), errors.NotApplied("429"))
    making.bring(doubtful, KEY, "run-1", ItemStatus.IN_DOUBT)
    assert doubtful.doubts()[0].intended_at == first
