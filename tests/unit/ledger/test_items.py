"""The ledger allows the moves that never lose and never double a call, and refuses every other, whoever asks."""

import functools
import itertools
import os
import random
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from callimport.core import errors, models
from callimport.core.decisions import Entered
from callimport.core.models import ItemStatus
from callimport.ledger import Binding, Database, Ledger, database, queries
from tests import making, planning

_LEGAL = {
    ItemStatus.WAITING: {ItemStatus.PENDING, ItemStatus.WITHDRAWN},
    ItemStatus.PENDING: {
        ItemStatus.IN_FLIGHT, ItemStatus.FAILED, ItemStatus.HELD, ItemStatus.WITHDRAWN, ItemStatus.DELIVERED,
    },
    ItemStatus.IN_FLIGHT: {
        ItemStatus.DELIVERED, ItemStatus.PENDING, ItemStatus.REFUSED, ItemStatus.FAILED, ItemStatus.IN_DOUBT,
    },
    ItemStatus.IN_DOUBT: {ItemStatus.DELIVERED, ItemStatus.PENDING, ItemStatus.HELD},
    ItemStatus.HELD: {ItemStatus.DELIVERED, ItemStatus.PENDING, ItemStatus.WITHDRAWN},
    ItemStatus.REFUSED: {ItemStatus.PENDING, ItemStatus.DELIVERED},
    ItemStatus.FAILED: {ItemStatus.PENDING, ItemStatus.DELIVERED},
    ItemStatus.DELIVERED: {ItemStatus.GONE},
    ItemStatus.WITHDRAWN: {ItemStatus.PENDING, ItemStatus.WAITING, ItemStatus.DELIVERED, ItemStatus.HELD},
    ItemStatus.GONE: set(),
}  # fmt: skip
_CALL = making.call()
_KEY = making.key(_CALL)
_COLUMNS = (
    "reference, batch_id, source_sha256, source_row, system, lead_id, direction, phone, started_at, facts, payload,"
    " moved_at"
)
_BATCH = making.batch()
_ECHO = models.Echo(900, {"id": 900, "description": "é"})
_TIMEOUT = errors.InDoubt("no answer in time")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with closing(making.ledger(path)) as opened:
        opened.start_run("run-1")
        making.enter(opened, _BATCH, _CALL, run_id="run-1")
        yield opened


def _sql(ledger: Ledger, sql: str, *values: object) -> None:
    ledger.database.execute(sql, values)


def _refused(ledger: Ledger, sql: str, *values: object, why: str) -> None:
    """The database itself refuses, and nothing has changed."""
    before = making.everything(ledger)
    with pytest.raises(errors.LedgerError, match=why):
        _sql(ledger, sql, *values)
    assert making.everything(ledger) == before


def _brought(ledger: Ledger, status: ItemStatus, *, waited: bool = False) -> str:
    """The key of an item that stands so. `waited`: if it is withdrawn, it waited for a lead before."""
    if status is not ItemStatus.WAITING and not (waited and status is ItemStatus.WITHDRAWN):
        making.bring(ledger, _KEY, "run-1", status)
        return _KEY
    call = making.call("W-1", row=9, lead_id=0, customer_phone=making.OTHER_PHONE)
    making.enter(ledger, making.batch("waiting.csv"), call, run_id="run-1")
    making.bring(ledger, making.key(call), "run-1", status)
    return making.key(call)


# The moves


def test_an_attempt_that_is_answered_is_delivered(ledger: Ledger) -> None:
    attempt = ledger.intend(_KEY, "run-1")
    assert making.status(ledger, _KEY) == ItemStatus.IN_FLIGHT
    ledger.delivered(_KEY, attempt, _ECHO)
    item = making.row(ledger, _KEY)
    assert (item["status"], item["communication_id"], item["reason"]) == ("delivered", 900, None)
    assert item["echo"] == '{"id": 900, "description": "é"}'
    assert ledger.database.rows("SELECT attempt_id, kind, http_status FROM outcome") == [(attempt, "delivered", 201)]


def test_what_the_crm_keeps_otherwise_is_noted(ledger: Ledger) -> None:
    ledger.delivered(_KEY, ledger.intend(_KEY, "run-1"), models.Echo(900, {}, ("call_phone", "description")))
    assert making.row(ledger, _KEY)["reason"] == "call_phone; description"


def test_what_was_not_applied_may_be_attempted_again(ledger: Ledger) -> None:
    for _ in range(3):
        ledger.not_applied(_KEY, ledger.intend(_KEY, "run-1"), errors.NotApplied("no connection"))
        assert making.status(ledger, _KEY) == ItemStatus.PENDING
    ledger.failed(_KEY, "no connection")
    assert (making.row(ledger, _KEY)["status"], making.row(ledger, _KEY)["reason"]) == ("failed", "no connection")
    assert ledger.database.one("SELECT count(*) FROM attempt") == 3


def test_a_no_is_kept_in_the_crms_own_words(ledger: Ledger) -> None:
    no = errors.Refused("422", status=422, reasons=("lead_id: unknown", "type: wrong"))
    ledger.refused(_KEY, ledger.intend(_KEY, "run-1"), no)
    assert (making.row(ledger, _KEY)["status"], making.row(ledger, _KEY)["reason"]) == (
        "refused",
        "lead_id: unknown; type: wrong",
    )
    assert ledger.database.rows("SELECT kind, http_status, evidence FROM outcome") == [("refused", 422, "422")]


def test_a_lost_answer_is_in_doubt(ledger: Ledger) -> None:
    ledger.in_doubt(_KEY, ledger.intend(_KEY, "run-1"), _TIMEOUT)
    item = making.row(ledger, _KEY)
    assert (item["status"], item["applied"], item["reason"]) == ("in_doubt", 0, "no answer in time")


_DECIDED = {
    (ItemStatus.IN_DOUBT, ItemStatus.DELIVERED): "found",
    (ItemStatus.IN_DOUBT, ItemStatus.PENDING): "absent",
    (ItemStatus.IN_DOUBT, ItemStatus.HELD): "held",
    (ItemStatus.HELD, ItemStatus.DELIVERED): "accept",
    (ItemStatus.HELD, ItemStatus.PENDING): "resend",
    (ItemStatus.HELD, ItemStatus.WITHDRAWN): "withdraw",
    (ItemStatus.PENDING, ItemStatus.HELD): "held",
    (ItemStatus.PENDING, ItemStatus.DELIVERED): "adopted",
    (ItemStatus.REFUSED, ItemStatus.DELIVERED): "adopted",
    (ItemStatus.FAILED, ItemStatus.DELIVERED): "adopted",
    (ItemStatus.WITHDRAWN, ItemStatus.DELIVERED): "adopted",
    (ItemStatus.WITHDRAWN, ItemStatus.HELD): "held",
}
_FINDS_A_LEAD = ", lead_id = 5003, payload = '{}', staged = NULL, shape = NULL"


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(ItemStatus, 2)))
def test_only_legal_moves_pass_even_by_raw_sql(ledger: Ledger, before: ItemStatus, after: ItemStatus) -> None:
    key = _brought(ledger, before, waited=after is ItemStatus.WAITING)
    # Whatever else a move needs is given, so that the walk meets the rule of the moves and no other.
    if before == ItemStatus.IN_FLIGHT:
        _sql(
            ledger,
            "INSERT INTO outcome SELECT id, 'not_applied', NULL, '', '', NULL FROM attempt",
        )
    if after == ItemStatus.IN_FLIGHT and before == ItemStatus.PENDING:
        _sql(ledger, "INSERT INTO attempt (key, run_id, intended_at) VALUES (?, 'run-1', '')", key)
    kind = _DECIDED.get((before, after))
    if kind is not None:
        verdict = (
            "INSERT INTO verdict (key, attempt_id, kind, evidence, decided_at) "
            "SELECT item.key, max(attempt.id), ?, '', '' FROM item LEFT JOIN attempt USING (key) WHERE item.key = ?"
        )
        _sql(ledger, verdict, kind, key)
    identity = 900 if after in (ItemStatus.DELIVERED, ItemStatus.GONE) else None
    needs_lead = before is ItemStatus.WAITING and after is not ItemStatus.WITHDRAWN
    more = _FINDS_A_LEAD if needs_lead else ""
    move = f"UPDATE item SET adopted = ?, status = ?, communication_id = ?{more} WHERE key = ?"  # noqa: S608
    if after in _LEGAL[before]:
        _sql(ledger, move, int(kind == "adopted"), after.value, identity, key)
        assert making.status(ledger, key) == after
    else:
        _refused(ledger, move, int(kind == "adopted"), after.value, identity, key, why="ledger refused a change")


def test_a_status_that_does_not_exist_is_refused(ledger: Ledger) -> None:
    _refused(ledger, "UPDATE item SET status = 'sent'", why="illegal move")


# What holds the moves


def test_flight_needs_an_intent_on_record(ledger: Ledger) -> None:
    _refused(ledger, "UPDATE item SET status = 'in_flight'", why="only with an intent on record")


def test_landing_needs_an_outcome_on_record(ledger: Ledger) -> None:
    ledger.intend(_KEY, "run-1")
    for status in ("pending", "in_doubt", "refused", "failed"):
        _refused(ledger, "UPDATE item SET status = ?", status, why="only with an outcome on record")


def test_there_is_no_second_unresolved_attempt(ledger: Ledger) -> None:
    ledger.intend(_KEY, "run-1")
    insert = "INSERT INTO attempt (key, run_id, intended_at) VALUES (?, 'run-1', '')"
    _refused(ledger, insert, _KEY, why="only a pending item without an unresolved attempt")
    # Not even where the first was written down and the item not yet moved.
    making.enter(ledger, _BATCH, _CALL, other := making.call("B", row=3, customer_phone=making.OTHER_PHONE))
    _sql(ledger, insert, making.key(other))
    _refused(ledger, insert, making.key(other), why="only a pending item without an unresolved attempt")
    with pytest.raises(errors.LedgerError, match="only a pending item"):
        ledger.intend(_KEY, "run-1")


@pytest.mark.parametrize("status", [one for one in ItemStatus if one != ItemStatus.PENDING])
def test_only_a_pending_item_is_attempted(ledger: Ledger, status: ItemStatus) -> None:
    key = _brought(ledger, status)
    before = making.everything(ledger)
    with pytest.raises(errors.LedgerError, match="only a pending item"):
        ledger.intend(key, "run-1")
    assert making.everything(ledger) == before


def _give_verdict(ledger: Ledger, kind: str) -> None:
    with ledger.database.transaction():
        ledger.database.execute(
            "INSERT INTO verdict (key, attempt_id, kind, evidence, decided_at) "
            "SELECT ?, max(id), ?, 'by hand', '2024-05-31T00:00:00+00:00' FROM attempt WHERE key = ?",
            (_KEY, kind, _KEY),
        )


def test_what_is_known_to_be_stored_is_never_sent_again(ledger: Ledger) -> None:
    """A 2xx whose id could not be read: it is there, only its number is unknown."""
    ledger.in_doubt(_KEY, ledger.intend(_KEY, "run-1"), errors.InDoubt("201 without id", status=201, applied=True))
    assert making.row(ledger, _KEY)["applied"] == 1
    never = "known to be stored cannot be sent again"
    # Not even with a verdict on record.
    _give_verdict(ledger, "absent")
    _refused(ledger, "UPDATE item SET status = 'pending'", why=never)
    _refused(ledger, "UPDATE item SET applied = 0", why=never)
    _refused(ledger, "UPDATE item SET applied = 0, status = 'pending'", why=never)
    ledger.settle(_KEY, models.Verdict("held", "not shown"))
    _give_verdict(ledger, "resend")
    _refused(ledger, "UPDATE item SET status = 'pending'", why=never)
    ledger.accept(_KEY, 900)


def test_a_communication_belongs_to_one_item_for_ever(ledger: Ledger) -> None:
    other = making.call("B", row=3, customer_phone=making.OTHER_PHONE)
    making.enter(ledger, making.batch("b.csv"), other)
    making.bring(ledger, _KEY, "run-1", ItemStatus.DELIVERED)
    _refused(ledger, "UPDATE item SET communication_id = 901 WHERE key = ?", _KEY, why="cannot change")
    _refused(ledger, "UPDATE item SET communication_id = NULL WHERE key = ?", _KEY, why="refused a change")
    attempt = ledger.intend(making.key(other), "run-1")
    before = making.everything(ledger)
    with pytest.raises(errors.InDoubt, match="has already") as found:
        ledger.delivered(making.key(other), attempt, _ECHO)
    assert found.value.applied
    assert making.everything(ledger) == before
    _sql(
        ledger,
        "INSERT INTO outcome VALUES (?, 'delivered', 201, '', '', NULL)",
        attempt,
    )
    taken = "UPDATE item SET communication_id = 900, status = 'delivered' WHERE key = ?"
    _refused(ledger, taken, making.key(other), why="UNIQUE")


def test_delivered_and_a_communication_go_together(ledger: Ledger) -> None:
    attempt = ledger.intend(_KEY, "run-1")
    _sql(
        ledger,
        "INSERT INTO outcome VALUES (?, 'delivered', 201, '', '', NULL)",
        attempt,
    )
    _refused(ledger, "UPDATE item SET status = 'delivered'", why="CHECK")
    _refused(ledger, "UPDATE item SET communication_id = 5", why="CHECK")


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM item",
        "DELETE FROM attempt",
        "DELETE FROM outcome",
        "UPDATE attempt SET intended_at = ''",
        "UPDATE outcome SET kind = 'not_applied'",
        "INSERT INTO outcome SELECT id, 'not_applied', NULL, '', '', NULL FROM attempt",
        "INSERT OR REPLACE INTO outcome SELECT id, 'not_applied', NULL, '', '', NULL FROM attempt",
        "INSERT OR REPLACE INTO attempt SELECT id, key, run_id, '', 0, NULL FROM attempt",
        f"INSERT OR REPLACE INTO item (key, {_COLUMNS}) SELECT key, {_COLUMNS} FROM item",  # noqa: S608
        "UPDATE item SET phone = '+15145550199'",
        "UPDATE item SET direction = 'outgoing'",
        "UPDATE item SET lead_id = 1",
    ],
)
def test_what_happened_cannot_be_rewritten(ledger: Ledger, sql: str) -> None:
    making.bring(ledger, _KEY, "run-1", ItemStatus.DELIVERED)
    _refused(ledger, sql, why="refused a change")


def test_an_item_begins_as_pending(ledger: Ledger) -> None:
    _refused(
        ledger,
        f"INSERT INTO item (key, status, {_COLUMNS}) SELECT 'k1:x', 'withdrawn', {_COLUMNS} FROM item",  # noqa: S608
        why="begins as pending",
    )


def test_a_verb_that_hits_no_row_stops_the_run_and_changes_nothing(ledger: Ledger) -> None:
    making.enter(ledger, _BATCH, _CALL, other := making.call("B", row=3, customer_phone=making.OTHER_PHONE))
    attempt = ledger.intend(making.key(other), "run-1")
    before = making.everything(ledger)
    for verb in (
        lambda: ledger.delivered(_KEY, attempt, _ECHO),
        lambda: ledger.not_applied(_KEY, attempt, errors.NotApplied("no connection")),
        lambda: ledger.refused(_KEY, attempt, errors.Refused("422", status=422)),
        lambda: ledger.in_doubt(_KEY, attempt, _TIMEOUT),
        lambda: ledger.failed(making.key(other), "no connection"),
        lambda: ledger.failed("k1:nobody", "no connection"),
        lambda: ledger.end_run("run-0", 0),
        lambda: ledger.resume("run-0", _BATCH.id),
    ):
        with pytest.raises(errors.LedgerError, match="not where this run thought it was"):
            verb()
        assert making.everything(ledger) == before


def test_an_intent_of_an_unknown_run_is_refused(ledger: Ledger) -> None:
    before = making.everything(ledger)
    with pytest.raises(errors.LedgerError, match="FOREIGN KEY"):
        ledger.intend(_KEY, "run-0")
    assert making.everything(ledger) == before


# Runs


def test_what_a_dead_run_left_in_flight_is_in_doubt_with_the_evidence(path: Path) -> None:
    other = making.call("B", row=3, customer_phone=making.OTHER_PHONE)
    with closing(making.ledger(path)) as dead:
        dead.start_run("run-1")
        making.enter(dead, _BATCH, _CALL, other)
        dead.intend(_KEY, "run-1")
    with closing(making.ledger(path)) as ledger:
        assert ledger.start_run("run-2") == 1
        assert making.status(ledger, _KEY) == ItemStatus.IN_DOUBT
        assert making.row(ledger, _KEY)["reason"] == "the run ended before the answer was recorded"
        assert making.status(ledger, making.key(other)) == ItemStatus.PENDING
        assert ledger.database.rows("SELECT kind, evidence FROM outcome") == [
            ("in_doubt", "the run ended before the answer was recorded")
        ]
        assert ledger.start_run("run-3") == 0


def test_a_run_ends_once(ledger: Ledger) -> None:
    ledger.end_run("run-1", 4)
    assert queries.last_run(ledger.database) == (
        "run-1",
        _BATCH.id,
        "2026-11-22T12:00:02.000+00:00",
        "2026-11-22T12:00:04.000+00:00",
        4,
        None,
    )
    with pytest.raises(errors.LedgerError):
        ledger.end_run("run-1", 0)


def test_the_oldest_call_goes_first_and_never_one_of_a_busy_lead(ledger: Ledger) -> None:
    batch = making.batch("b.csv", system="x")
    old = making.call("old", row=2, started_at=making.STARTED.replace(year=2020), lead_id=1)
    mid = making.call("mid", row=3, started_at=making.STARTED.replace(year=2021), lead_id=1)
    new = making.call("new", row=4, started_at=making.STARTED.replace(year=2022), lead_id=2)
    making.enter(ledger, batch, new, mid, old)
    first = ledger.next_item(batch.id, frozenset())
    assert first is not None
    assert (first.key, first.lead_id, first.communication.executed_at[:4]) == (making.key(old), 1, "2020")
    beside = ledger.next_item(batch.id, frozenset({1}))
    assert beside is not None
    assert beside.key == making.key(new)
    assert ledger.next_item(batch.id, frozenset({1, 2, 3})) is None
    assert list(queries.to_send(ledger.database, batch.id)) == [
        (making.key(one), planning.row(one)["payload"]) for one in (old, mid, new)
    ]


def test_all_calls_of_a_batch_go_in_the_order_of_their_time(ledger: Ledger) -> None:
    batch = making.batch("b.csv", system="x")
    calls = [
        making.call(f"X{year}", row=year, started_at=making.STARTED.replace(year=year)) for year in range(2010, 2024)
    ]
    making.enter(ledger, batch, *reversed(calls))
    sent = []
    while (item := ledger.next_item(batch.id, frozenset())) is not None:
        sent.append(item.key)
        making.bring(ledger, item.key, "run-1", ItemStatus.DELIVERED, communication_id=900 + len(sent))
    assert sent == [making.key(call) for call in calls]


# A person decides


def test_what_is_withdrawn_is_only_what_was_pending(ledger: Ledger) -> None:
    making.enter(ledger, _BATCH, _CALL, making.call("B", row=3, customer_phone=making.OTHER_PHONE))
    making.bring(ledger, _KEY, "run-1", ItemStatus.DELIVERED)
    assert ledger.withdraw(_BATCH.id) == 1
    assert ledger.next_item(_BATCH.id, frozenset()) is None
    assert making.status(ledger, _KEY) == ItemStatus.DELIVERED
    assert ledger.withdraw(_BATCH.id) == 0
    with pytest.raises(errors.ConfigError, match="knows no batch NOBO-DY00"):
        ledger.withdraw("NOBO-DY00")


@pytest.mark.parametrize("status", [ItemStatus.REFUSED, ItemStatus.FAILED])
def test_what_the_crm_refused_or_never_got_can_be_tried_again(ledger: Ledger, status: ItemStatus) -> None:
    making.bring(ledger, _KEY, "run-1", status)
    assert ledger.retry(status) == 1
    assert (making.row(ledger, _KEY)["status"], making.row(ledger, _KEY)["reason"]) == ("pending", None)
    making.bring(ledger, _KEY, "run-1", status)
    reference = making.row(ledger, _KEY)["reference"]
    for name in (reference, reference.lower(), _KEY):
        assert ledger.retry_one(name) == ItemStatus.PENDING
        making.bring(ledger, _KEY, "run-1", status)


def test_a_withdrawn_call_is_taken_back_only_by_name(ledger: Ledger) -> None:
    making.bring(ledger, _KEY, "run-1", ItemStatus.WITHDRAWN)
    assert ledger.retry(ItemStatus.WITHDRAWN) == 0
    assert ledger.retry_one(_KEY) == ItemStatus.PENDING
    assert making.row(ledger, _KEY)["status"] == "pending"


@pytest.mark.parametrize("status", [ItemStatus.REFUSED, ItemStatus.FAILED, ItemStatus.PENDING, ItemStatus.HELD])
def test_a_call_that_comes_along_for_ever_can_be_given_up_by_name(ledger: Ledger, status: ItemStatus) -> None:
    """As one whose lead was merged away: no retry will ever do."""
    making.bring(ledger, _KEY, "run-1", status)
    assert ledger.withdraw_one(making.row(ledger, _KEY)["reference"].lower()) == 1
    assert making.row(ledger, _KEY)["reason"] == "withdrawn by a person"
    assert making.enter(ledger, making.batch("again.csv"), _CALL).withdrawn == 1
    # Taken back, it stands where it can be sent from; what may be in the CRM is held as before.
    taken_back = ItemStatus.HELD if status is ItemStatus.HELD else ItemStatus.PENDING
    assert ledger.retry_one(_KEY) == making.status(ledger, _KEY) == taken_back


@pytest.mark.parametrize("status", [ItemStatus.DELIVERED, ItemStatus.IN_DOUBT, ItemStatus.GONE, ItemStatus.WITHDRAWN])
def test_nothing_else_can_be_given_up(ledger: Ledger, status: ItemStatus) -> None:
    making.bring(ledger, _KEY, "run-1", status)
    before = making.everything(ledger)
    with pytest.raises(errors.ConfigError, match="no held, refused, failed or pending call, nor one that waits"):
        ledger.withdraw_one(_KEY)
    assert making.everything(ledger) == before


_TRIED_AGAIN = (ItemStatus.REFUSED, ItemStatus.FAILED, ItemStatus.WITHDRAWN)


@pytest.mark.parametrize("status", [one for one in ItemStatus if one not in _TRIED_AGAIN])
def test_nothing_else_can_be_tried_again(ledger: Ledger, status: ItemStatus) -> None:
    """What is in doubt or held may be stored already: it takes more than a retry to send it."""
    key = _brought(ledger, status)
    before = making.everything(ledger)
    assert ledger.retry(status) == 0
    with pytest.raises(errors.ConfigError, match="no refused, failed or withdrawn call"):
        ledger.retry_one(key)
    assert making.everything(ledger) == before


# The file


def _pragma(ledger: Ledger, name: str) -> object:
    return ledger.database.one(f"PRAGMA {name}")


def test_the_file_is_private_logged_ahead_and_synced(ledger: Ledger, path: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(f"{path}-wal").stat().st_mode) == 0o600
    assert _pragma(ledger, "journal_mode") == "wal"
    assert _pragma(ledger, "synchronous") == 2
    assert _pragma(ledger, "foreign_keys") == 1
    assert _pragma(ledger, "recursive_triggers") == 1
    assert _pragma(ledger, "locking_mode") == "exclusive"
    assert _pragma(ledger, "application_id") == database.APPLICATION_ID
    assert _pragma(ledger, "user_version") == database.VERSION


@pytest.mark.parametrize("existed", [False, True])
def test_nobody_else_gets_in_from_the_opening_on(path: Path, existed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if existed:
        making.ledger(path).close()
    connect = sqlite3.connect
    with closing(making.ledger(path)):
        with closing(connect(path, timeout=0)) as other, pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("SELECT * FROM item")
        monkeypatch.setattr(sqlite3, "connect", functools.partial(connect, timeout=0))
        with pytest.raises(errors.LedgerError, match="locked"):
            Database.open(path)


def test_a_ledger_can_be_opened_again(ledger: Ledger, path: Path) -> None:
    before = making.everything(ledger)
    ledger.close()
    with closing(making.ledger(path)) as again:
        assert making.everything(again) == before


@pytest.mark.parametrize("statement", ["CREATE TABLE theirs (x)", "PRAGMA application_id = 1"])
def test_a_database_of_another_program_is_refused_and_left_alone(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute(statement)
        other.commit()
    before = path.read_bytes()
    with pytest.raises(errors.LedgerError, match="database of another program"):
        making.ledger(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"call_id,lead_id\n" * 100)
    with pytest.raises(errors.LedgerError, match="not a database"):
        making.ledger(path)


def test_a_folder_that_is_not_there_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(errors.LedgerError, match="cannot be opened"):
        making.ledger(tmp_path / "nowhere" / "ledger.sqlite3")


def test_an_older_ledger_is_refused_and_left_alone(ledger: Ledger, path: Path) -> None:
    _sql(ledger, "PRAGMA user_version = 14")
    ledger.close()
    before = path.read_bytes()
    with pytest.raises(errors.LedgerError, match=r"older callimport .* move the ledger .* --first-run --adopt"):
        making.ledger(path)
    with pytest.raises(errors.LedgerError, match="older callimport"):
        Ledger.reading(path, making.clock())
    assert path.read_bytes() == before


def test_a_newer_ledger_is_refused(ledger: Ledger, path: Path) -> None:
    _sql(ledger, "PRAGMA user_version = 99")
    ledger.close()
    with pytest.raises(errors.LedgerError, match="newer callimport"):
        making.ledger(path)


@pytest.mark.parametrize(
    "binding",
    [Binding("api.crm.example", models.Account(78, "Autre")), Binding("other.example", making.ACCOUNT)],
)
def test_the_ledger_of_another_account_is_refused(ledger: Ledger, path: Path, binding: Binding) -> None:
    ledger.close()
    with pytest.raises(errors.LedgerError, match=r"belongs to account 77 \(Garage Tremblay\) at api.crm.example"):
        Ledger.open(path, making.clock(), binding)
    with closing(Ledger.open(path, making.clock())) as whatever:
        assert queries.bound_account(whatever.database) == making.ACCOUNT


def test_a_renamed_account_keeps_its_ledger(ledger: Ledger, path: Path) -> None:
    ledger.close()
    Ledger.open(path, making.clock(), Binding("api.crm.example", models.Account(77, "Tremblay inc."))).close()


@pytest.mark.parametrize("clean_end", [True, False])
def test_a_damaged_file_is_refused_after_an_unclean_end(path: Path, clean_end: bool) -> None:
    """After a clean end, the look at every page is spared: it takes minutes on a big ledger."""
    with closing(making.ledger(path)) as ledger:
        ledger.start_run("run-1")
        making.enter(ledger, _BATCH, *(making.call(str(row), row=row) for row in range(2, 300)))
        if clean_end:
            ledger.end_run("run-1", 0)
        root = int(ledger.database.one("SELECT rootpage FROM sqlite_master WHERE name = 'item_by_reference'"))
        size = int(ledger.database.one("PRAGMA page_size"))
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    if clean_end:
        making.ledger(path).close()
    else:
        with pytest.raises(errors.LedgerError, match=r"damaged|malformed"):
            making.ledger(path)


def test_a_full_disk_is_a_ledger_error_and_loses_nothing(ledger: Ledger) -> None:
    pages = ledger.database.one("PRAGMA page_count")
    ledger.database.execute(f"PRAGMA max_page_count = {pages}")
    before = making.everything(ledger)
    many = [making.call(str(row), row=row, customer_phone=making.OTHER_PHONE) for row in range(2, 2000)]
    with pytest.raises(errors.LedgerError, match=r"full.*free the disk"):
        making.enter(ledger, making.batch("big.csv"), *many)
    assert making.everything(ledger) == before
    ledger.database.execute(f"PRAGMA max_page_count = {pages + 1000}")
    assert ledger.intend(_KEY, "run-1") == 1


def test_a_commit_that_fails_is_taken_back(ledger: Ledger) -> None:
    """A transaction left open would swallow the outcomes that other workers write down next."""
    with (  # noqa: PT012  # the commit, at the end of the block, is what fails
        pytest.raises(errors.LedgerError, match="FOREIGN KEY"),
        ledger.database.transaction(),
    ):
        ledger.database.execute("PRAGMA defer_foreign_keys = ON")
        ledger.database.execute("UPDATE item SET batch_id = 'nowhere'")
    assert ledger.intend(_KEY, "run-1") == 1
    assert making.row(ledger, _KEY)["batch_id"] == _BATCH.id


def test_a_ledger_of_nothing_is_on_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(Ledger.of_nothing(making.clock())) as ledger:
        making.enter(ledger, _BATCH, _CALL)
        assert queries.member_counts(ledger.database)[ItemStatus.PENDING] == 1
    assert not list(tmp_path.iterdir())


def test_items_are_listed_oldest_first_with_their_place(ledger: Ledger) -> None:
    older = making.call("B", row=3, started_at=making.STARTED.replace(year=2020))
    making.enter(ledger, _BATCH, _CALL, older)
    making.bring(ledger, _KEY, "run-1", ItemStatus.REFUSED)
    making.bring(ledger, making.key(older), "run-1", ItemStatus.REFUSED)
    first, second = queries.items(ledger.database, ItemStatus.REFUSED)
    assert second == models.Listed(
        reference=making.reference(_CALL),
        source="calls.csv",
        row=2,
        status=ItemStatus.REFUSED,
        lead_id=5003,
        direction=models.Direction.INCOMING,
        phone=making.PHONE,
        started_at=making.STARTED,
        communication_id=None,
        reason="lead_id: unknown",
        was_sent=True,
    )
    assert first.row == 3
    assert queries.members(ledger.database, ItemStatus.REFUSED) == [first, second]


# Anything in any order


class Lives(RuleBasedStateMachine):
    """Random lives of a few calls, with kills, against a CRM that knows what it truly stored."""

    ids = st.sampled_from("ABC")
    durations = st.sampled_from([10, 20])

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        print(f"seed {seed}")
        self.rng = random.Random(seed)
        self.folder = Path(tempfile.mkdtemp())
        self.runs = 0
        self.stored: dict[str, int] = {}
        self.known_stored: set[str] = set()
        self.communications = itertools.count(900)
        self.flying: dict[str, int] = {}
        self.counted: tuple[Entered, models.Batch, list[models.Call]] | None = None
        self.ledger = making.ledger(self.folder / "ledger.sqlite3")
        self.start()

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            shutil.rmtree(self.folder)

    def start(self) -> None:
        self.runs += 1
        assert self.ledger.start_run(self.run) == len(self.flying)
        self.flying.clear()
        self.counted = None

    @property
    def run(self) -> str:
        return f"run-{self.runs}"

    @rule(
        names=st.lists(ids, unique=True),
        duration=durations,
        zone=st.sampled_from(["UTC", "Asia/Tokyo"]),
        lead_id=st.sampled_from([0, 5003]),
    )
    def enter_files(self, names: list[str], duration: int, zone: str, lead_id: int) -> None:
        if self.flying:
            return
        calls = [making.call(name, row=row, duration_seconds=duration) for row, name in enumerate(names, start=2)]
        # A call keeps the lead that it has once.
        has_lead = {key for key, status in planning.statuses(self.ledger).items() if status != "waiting"}
        calls = [one if making.key(one) in has_lead else one._replace(lead_id=lead_id) for one in calls]
        batch = making.batch(f"{names}{duration}.csv", timezone=zone)
        self.counted = (making.enter(self.ledger, batch, *calls, run_id=self.run), batch, calls)

    @rule()
    def go_on(self) -> None:
        last = queries.last_batch(self.ledger.database)
        if last is not None and not self.flying:
            batch = making.batch()
            object.__setattr__(batch, "id", last)
            self.counted = (Entered(carried=self.ledger.resume(self.run, last)), batch, [])

    @precondition(lambda self: self.counted is not None)
    @rule()
    def send(self) -> None:
        assert self.counted is not None
        item = self.ledger.next_item(self.counted[1].id, frozenset())
        if item is not None:
            assert not self.stored.get(item.key), "a stored call is about to be sent again"
            self.flying[item.key] = self.ledger.intend(item.key, self.run)

    @precondition(lambda self: self.flying)
    @rule(how=st.sampled_from(["delivered", "not_applied", "refused", "lost", "unreadable"]))
    def land(self, how: str) -> None:
        key, attempt = self.flying.popitem()
        match how:
            case "delivered":
                self.stored[key] = 1
                self.ledger.delivered(key, attempt, models.Echo(next(self.communications), {}))
            case "not_applied":
                self.ledger.not_applied(key, attempt, errors.NotApplied("no connection"))
                if self.rng.random() < 0.5:
                    self.ledger.failed(key, "no connection")
            case "refused":
                self.ledger.refused(key, attempt, errors.Refused("422", status=422))
            case "lost":
                self.stored[key] = self.rng.randrange(2)
                self.ledger.in_doubt(key, attempt, _TIMEOUT)
            case _:
                self.stored[key] = 1
                self.known_stored.add(key)
                self.ledger.in_doubt(key, attempt, errors.InDoubt("201", status=201, applied=True))

    @rule()
    def kill(self) -> None:
        for key in self.flying:
            self.stored[key] = self.rng.randrange(2)
        self.ledger.close()
        self.ledger = making.ledger(self.folder / "ledger.sqlite3")
        self.start()

    @precondition(lambda self: not self.flying)
    @rule(what=st.sampled_from(["withdraw", "refused", "failed", "in_doubt"]))
    def decide(self, what: str) -> None:
        """Between two runs."""
        last = queries.last_batch(self.ledger.database)
        if what != "withdraw":
            self.ledger.retry(ItemStatus(what))
        elif last is not None:
            self.ledger.withdraw(last)
        self.kill()

    @invariant()
    def no_item_has_two_attempts_open(self) -> None:
        unresolved = self.ledger.database.rows("SELECT key FROM unresolved")
        assert sorted(key for (key,) in unresolved) == sorted(self.flying)
        flying = self.ledger.database.rows("SELECT key FROM item WHERE status = 'in_flight'")
        assert sorted(key for (key,) in flying) == sorted(self.flying)

    @invariant()
    def what_is_stored_is_not_pending(self) -> None:
        for (key,) in self.ledger.database.rows(
            "SELECT key FROM item WHERE status IN ('pending', 'failed', 'refused')"
        ):
            assert not self.stored.get(key)

    @invariant()
    def ids_are_unique(self) -> None:
        identities = self.ledger.database.rows("SELECT communication_id FROM item WHERE status = 'delivered'")
        assert len(set(identities)) == len(identities)

    @invariant()
    def counts_add_up(self) -> None:
        if self.counted is not None:
            entered, batch, calls = self.counted
            summary = making.reckoned(self.ledger, entered, batch, *calls)
            assert summary.calls.adds_up(summary.rows)


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=25, stateful_step_count=25, deadline=None, derandomize=True, database=None)


def test_a_ledger_remembers_calls_once_something_was_sent(path: Path) -> None:
    """Looked at in a copy: nothing lies there, and nothing is made."""
    with closing(Ledger.reading(path, making.clock())) as nothing:
        assert not queries.remembers_calls(nothing.database)
    assert not path.exists()
    with closing(making.ledger(path)) as opened:
        opened.start_run("run-1")
        making.enter(opened, _BATCH, _CALL, run_id="run-1")
        assert not queries.remembers_calls(opened.database)
        making.bring(opened, _KEY, "run-1", ItemStatus.REFUSED)
    with closing(Ledger.reading(path, making.clock())) as glimpsed:
        assert queries.remembers_calls(glimpsed.database)
