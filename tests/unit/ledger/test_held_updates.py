"""An update is held where the new facts of a known call are probably another call's under the same id."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from callimport.core import errors, models
from callimport.core.decisions import Entered
from callimport.core.models import ItemStatus
from callimport.ledger import Ledger, held_updates, history, recordings, updates
from callimport.ledger.recordings import Recordings
from callimport.ledger.updates import Updates
from tests import making, planning
from tests.making import STARTED

AFTERNOON = STARTED + timedelta(hours=6)
KNOWN = making.call(description=None)
OTHER = making.call(row=7, description=None, started_at=AFTERNOON, duration_seconds=300)
KEY = making.key(KNOWN)
REFERENCE = making.reference(KNOWN)
NEXT = making.batch("night2.csv")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(making.ledger(tmp_path / "ledger.sqlite3")) as opened:
        opened.start_run("run-1")
        yield opened


def _deliver(ledger: Ledger, *calls: models.Call) -> None:
    making.enter(ledger, making.batch("night1.csv"), *calls, run_id="run-1")
    for number, call in enumerate(calls):
        making.bring(ledger, making.key(call), "run-1", ItemStatus.DELIVERED, communication_id=900 + number)


def _again(ledger: Ledger, *calls: models.Call, batch: models.Batch = NEXT) -> Entered:
    return making.enter(ledger, batch, *calls, run_id="run-1")


def _held(ledger: Ledger) -> list[str | None]:
    return [one.reason for one in held_updates.items(ledger.database)]


def _waiting(ledger: Ledger, batch: models.Batch = NEXT) -> list[tuple[str, int]]:
    return Updates(ledger.database, making.clock(), batch.id).waiting()


# What is probably another call


def test_another_call_under_a_known_id_is_held_and_told(ledger: Ledger) -> None:
    _deliver(ledger, KNOWN)
    entered = _again(ledger, OTHER)
    assert (entered.unchanged, entered.changed) == (1, 0)
    (evidence,) = _held(ledger)
    assert evidence == (
        "row 7 of night2.csv has the id of the call of 2024-05-31 14:05:09Z, but begins 6 h 00 min later and lasted "
        "300 s instead of 95 s, and nothing else is the same: probably another call"
    )
    assert making.status(ledger, KEY) == ItemStatus.DELIVERED
    assert (_waiting(ledger), updates.waiting_count(ledger.database)) == ([], 0)
    summary = making.reckoned(ledger, entered, NEXT, OTHER)
    assert summary.calls.adds_up(summary.rows)
    assert (summary.calls.held, summary.calls.unchanged, summary.exit_code) == (1, 0, errors.ExitCode.IN_DOUBT)


@pytest.mark.parametrize(
    "changes",
    [
        {"started_at": AFTERNOON},
        {"duration_seconds": 300},
        {"started_at": STARTED + timedelta(seconds=60), "duration_seconds": 300},
        {"started_at": STARTED - timedelta(seconds=60), "duration_seconds": 300},
    ],
    ids=str,
)
def test_start_or_talk_alone_is_a_correction(ledger: Ledger, changes: dict[str, Any]) -> None:
    _deliver(ledger, KNOWN)
    assert _again(ledger, KNOWN._replace(**changes)).changed == 1
    assert (_held(ledger), _waiting(ledger)) == ([], [(KEY, 5003)])


@pytest.mark.parametrize("seconds", [61, -61])
def test_over_a_minute_and_another_talk_is_probably_another_call(ledger: Ledger, seconds: int) -> None:
    _deliver(ledger, KNOWN)
    _again(ledger, OTHER._replace(started_at=STARTED + timedelta(seconds=seconds)))
    assert len(_held(ledger)) == 1


@pytest.mark.parametrize(
    ("known", "now", "is_held"),
    [
        ({"description": "Rappel"}, {"description": "Rappel"}, False),
        ({"description": "Rappel"}, {"description": "Rappel demandé"}, True),
        ({"description": "Rappel"}, {"description": None}, True),
        ({"description": None}, {"description": "Rappel"}, True),
        ({"recording": "a.wav"}, {"recording": "a.wav"}, False),
        ({"recording": "a.wav"}, {"recording": "b.wav"}, True),
        ({"recording": "a.wav"}, {"recording": None}, True),
        ({"legs": "1\n2"}, {"legs": "2\n3"}, False),
        ({"legs": "1\n2"}, {"legs": "3\n4"}, True),
        ({"legs": None}, {"legs": "1"}, True),
    ],
    ids=str,
)
def test_what_is_shared_makes_it_the_same_call_and_blanks_share_nothing(
    ledger: Ledger, known: dict[str, Any], now: dict[str, Any], is_held: bool
) -> None:
    _deliver(ledger, KNOWN._replace(**known))
    _again(ledger, OTHER._replace(**now))
    assert (len(_held(ledger)) == 1) is is_held


def test_the_reference_is_ours_and_no_text_that_is_shared(ledger: Ledger) -> None:
    """Both descriptions are the mark alone; with it, they would be equal."""
    _deliver(ledger, KNOWN)
    _again(ledger, OTHER)
    assert REFERENCE in str(making.row(ledger, KEY)["payload"])
    assert REFERENCE in str(making.row(ledger, KEY)["next_payload"])
    assert len(_held(ledger)) == 1


def test_a_cut_group_of_legs_is_no_other_call(ledger: Ledger) -> None:
    _deliver(ledger, KNOWN._replace(legs="1\n2"))
    cut = OTHER._replace(legs="2")
    assert _again(ledger, cut).unchanged == 1
    assert (_held(ledger), making.row(ledger, KEY)["next_facts"]) == ([], None)


# Night after night


def test_the_same_facts_are_held_again_without_a_second_record(ledger: Ledger) -> None:
    _deliver(ledger, KNOWN)
    _again(ledger, OTHER)
    before = ledger.database.rows("SELECT key, facts, held_at FROM held_update")
    entered = _again(ledger, OTHER, batch=making.batch("night3.csv"))
    assert ledger.database.rows("SELECT key, facts, held_at FROM held_update") == before
    assert making.reckoned(ledger, entered, NEXT, OTHER).calls.held == 1
    assert ledger.database.one("SELECT count(*) FROM verdict") == 0
    assert "row 7 of night3.csv" in str(_held(ledger))


def test_the_old_facts_clear_a_held_update(ledger: Ledger) -> None:
    _deliver(ledger, KNOWN)
    _again(ledger, OTHER)
    entered = _again(ledger, KNOWN)
    assert (_held(ledger), making.row(ledger, KEY)["next_facts"]) == ([], None)
    assert making.reckoned(ledger, entered, NEXT, KNOWN).calls.unchanged == 1


def test_a_part_of_the_known_call_releases_nothing(ledger: Ledger) -> None:
    """The edge of a window shows one leg of the known call: what is held beside it stays held."""
    _deliver(ledger, KNOWN._replace(legs="1\n2"))
    _again(ledger, OTHER._replace(legs="3"))
    _again(ledger, KNOWN._replace(legs="2", duration_seconds=40))
    assert (len(_held(ledger)), _waiting(ledger)) == (1, [])


def test_a_correction_takes_the_place_of_what_was_held(ledger: Ledger) -> None:
    _deliver(ledger, KNOWN)
    _again(ledger, OTHER)
    assert _again(ledger, KNOWN._replace(duration_seconds=96)).changed == 1
    assert (_held(ledger), _waiting(ledger)) == ([], [(KEY, 5003)])


def test_a_run_without_the_call_leaves_its_held_update(ledger: Ledger) -> None:
    _deliver(ledger, KNOWN)
    _again(ledger, OTHER)
    stranger = making.call("B-1", row=9, customer_phone=making.OTHER_PHONE)
    entered = _again(ledger, stranger, batch=making.batch("night3.csv"))
    assert making.reckoned(ledger, entered, making.batch("night3.csv"), stranger).calls.held == 0


def test_a_run_without_files_counts_what_its_batch_has_held(ledger: Ledger) -> None:
    _deliver(ledger, KNOWN)
    _again(ledger, OTHER)
    entered = Entered(carried=ledger.resume("run-1", NEXT.id))
    summary = making.reckoned(ledger, entered, NEXT)
    assert summary.calls.adds_up(summary.rows)
    assert (summary.calls.carried, summary.calls.held) == (1, 1)
    assert ledger.resume("run-1", making.batch("night1.csv").id) == 0


# A person decides


def test_retry_has_the_update_sent_and_it_is_not_held_again(ledger: Ledger) -> None:
    _deliver(ledger, KNOWN)
    _again(ledger, OTHER)
    assert ledger.retry_one(REFERENCE.lower()) is ItemStatus.PENDING
    assert (_held(ledger), _waiting(ledger)) == ([], [(KEY, 5003)])
    assert _again(ledger, OTHER, batch=making.batch("night3.csv")).changed == 1
    assert _waiting(ledger, making.batch("night3.csv")) == [(KEY, 5003)]
    with pytest.raises(errors.ConfigError, match="no refused"):
        ledger.retry_one(REFERENCE)


def test_retry_of_all_refused_releases_no_held_update(ledger: Ledger) -> None:
    _deliver(ledger, KNOWN)
    _again(ledger, OTHER)
    assert ledger.retry(ItemStatus.REFUSED) == 0
    assert len(_held(ledger)) == 1


def test_withdraw_leaves_the_call_and_counts_the_new_facts_as_known(ledger: Ledger) -> None:
    _deliver(ledger, KNOWN)
    _again(ledger, OTHER)
    assert ledger.withdraw_one(REFERENCE) == 1
    row = making.row(ledger, KEY)
    assert (row["status"], row["facts"], row["next_facts"]) == ("delivered", planning.row(KNOWN)["facts"], None)
    for night in ("night3.csv", "night4.csv"):
        entered = _again(ledger, OTHER, batch=making.batch(night))
        calls = making.reckoned(ledger, entered, making.batch(night), OTHER).calls
        assert (calls.unchanged, calls.held, entered.changed, _held(ledger)) == (1, 0, 0, [])


def test_facts_that_nobody_withdrew_are_compared_with_the_calls_own(ledger: Ledger) -> None:
    """Not with those that were withdrawn: of these nothing is known but that they are another call's."""
    _deliver(ledger, KNOWN)
    _again(ledger, OTHER)
    ledger.withdraw_one(REFERENCE)
    _again(ledger, OTHER._replace(duration_seconds=301))
    assert len(_held(ledger)) == 1
    _again(ledger, KNOWN._replace(duration_seconds=96))
    assert (_held(ledger), _waiting(ledger)) == ([], [(KEY, 5003)])


def test_withdraw_tells_the_crm_again_what_an_update_without_an_answer_may_have_changed(ledger: Ledger) -> None:
    _deliver(ledger, KNOWN)
    _again(ledger, KNOWN._replace(duration_seconds=96))
    record = Updates(ledger.database, making.clock(), NEXT.id)
    record.intend(record.one(KEY), "run-1", {"call_duration": 96})
    _again(ledger, OTHER)
    ledger.withdraw_one(REFERENCE)
    assert making.row(ledger, KEY)["next_facts"] == planning.row(KNOWN)["facts"]
    assert [one.unanswered for one, _ in record.all()] == [({"call_duration": 96},)]


@pytest.mark.parametrize(
    "decide",
    [lambda ledger: ledger.resend(REFERENCE), lambda ledger: ledger.accept(REFERENCE, 7)],
    ids=["resend", "accept"],
)
def test_reconcile_decides_nothing_of_a_held_update_and_says_what_does(
    ledger: Ledger, decide: Callable[[Ledger], object]
) -> None:
    _deliver(ledger, KNOWN)
    _again(ledger, OTHER)
    with pytest.raises(errors.ConfigError, match=f"callimport retry {REFERENCE} .* callimport withdraw {REFERENCE}"):
        decide(ledger)
    assert len(_held(ledger)) == 1


def test_a_batch_that_is_withdrawn_takes_its_held_updates_along(ledger: Ledger) -> None:
    _deliver(ledger, KNOWN)
    _again(ledger, OTHER)
    assert ledger.withdraw(NEXT.id) == 1
    assert _held(ledger) == []


# While its fate is not known


@pytest.mark.parametrize("status", [ItemStatus.IN_DOUBT, ItemStatus.HELD])
def test_another_call_waits_beside_a_doubt_and_is_held_once_that_is_delivered(
    ledger: Ledger, status: ItemStatus
) -> None:
    making.enter(ledger, making.batch("night1.csv"), KNOWN, run_id="run-1")
    making.bring(ledger, KEY, "run-1", status)
    entered = _again(ledger, OTHER)
    assert (making.status(ledger, KEY), _held(ledger), entered.changed) == (status, [], 0)
    if status is ItemStatus.HELD:
        ledger.accept(REFERENCE, 900)
    else:
        stored = models.Stored(900, "phone", "incoming", STARTED, STARTED, "", {"id": 900})
        ledger.settle(KEY, models.Verdict("found", "shown twice", stored))
    assert (len(_held(ledger)), _waiting(ledger)) == (1, [])
    summary = making.reckoned(ledger, entered, NEXT, OTHER)
    assert summary.calls.adds_up(summary.rows)
    assert (summary.calls.held, summary.calls.delivered) == (1, 0)


def test_what_proves_to_be_absent_is_sent_as_it_was_and_not_as_the_other_call(ledger: Ledger) -> None:
    making.enter(ledger, making.batch("night1.csv"), KNOWN, run_id="run-1")
    making.bring(ledger, KEY, "run-1", ItemStatus.IN_DOUBT)
    _again(ledger, OTHER)
    ledger.settle(KEY, models.Verdict("absent", "shown by neither read"))
    for _ in range(2):
        row = making.row(ledger, KEY)
        assert (row["status"], row["facts"]) == ("pending", planning.row(KNOWN)["facts"])
        # Killed before it was sent, the next run reads the other call again.
        _again(ledger, OTHER, batch=making.batch("night3.csv"))
    making.bring(ledger, KEY, "run-1", ItemStatus.DELIVERED)
    assert len(_held(ledger)) == 1


def test_a_call_that_was_never_sent_takes_the_newest_facts(ledger: Ledger) -> None:
    """A mended recipe, say: there is nothing in the CRM to write over."""
    making.enter(ledger, making.batch("night1.csv"), KNOWN, run_id="run-1")
    _again(ledger, OTHER)
    assert (making.row(ledger, KEY)["facts"], _held(ledger)) == (planning.row(OTHER)["facts"], [])


# What the database refuses, and what it tells


def test_the_database_lets_no_held_update_leave(ledger: Ledger) -> None:
    _deliver(ledger, KNOWN)
    _again(ledger, OTHER)
    record = Updates(ledger.database, making.clock(), NEXT.id)
    with pytest.raises(errors.LedgerError, match="only after a person said so"):
        record.intend(record.one(KEY), "run-1", {"call_duration": 300})
    with pytest.raises(errors.LedgerError, match="only after a person said so"):
        record.taken_as_known([KEY])
    ledger.withdraw_one(REFERENCE)
    for change in ("UPDATE held_update SET decision = 'retry'", "DELETE FROM held_update"):
        with pytest.raises(errors.LedgerError, match="a decision on a held update"):
            ledger.database.execute(change)


def test_the_recording_of_a_held_update_is_not_the_calls_own(ledger: Ledger) -> None:
    _deliver(ledger, KNOWN)
    _again(ledger, OTHER._replace(recording="other.wav", legs="3"))
    book = Recordings(ledger.database, making.clock())
    book.take_up_names(or_parked=True)
    assert (book.claimed(), recordings.counts(ledger.database)) == (frozenset(), {})
    assert [one.legs for one in book.nameless("main")] == [""]
    ledger.retry_one(REFERENCE)
    book.take_up_names(or_parked=True)
    assert book.claimed() == {"other.wav"}


def test_find_and_export_show_a_held_update(ledger: Ledger) -> None:
    _deliver(ledger, KNOWN)
    _again(ledger, OTHER)
    (row,) = history.rows(ledger.database, (), None)
    assert "probably another call" in row[-1]
    ledger.withdraw_one(REFERENCE)
    (found,) = history.named(ledger.database, REFERENCE, None, limit=1)
    assert [one.kind for one in found.rulings] == ["update held", "update withdraw"]
    assert (found.update_held, found.has_changed) == (None, False)


# A phone system that counts anew


def _many(count: int) -> list[models.Call]:
    return [
        KNOWN._replace(call_id=f"A-{number}", place=models.Place(0, number + 2), customer_phone=f"+1514555{number:04d}")
        for number in range(100, 100 + count)
    ]


def _reused(calls: list[models.Call], count: int) -> list[models.Call]:
    others = [one._replace(started_at=AFTERNOON, duration_seconds=300) for one in calls[:count]]
    return [*others, *calls[count:]]


def test_a_phone_system_that_counts_anew_stops_before_anything_is_entered(ledger: Ledger) -> None:
    calls = _many(60)
    _deliver(ledger, *calls)
    before = making.everything(ledger)
    with pytest.raises(
        errors.GuardStopped, match=r"50 known calls would be held.*row 1[0-9]+ of night2.csv.*another --system name"
    ):
        _again(ledger, *_reused(calls, 50))
    assert making.everything(ledger) == before


@pytest.mark.parametrize(("count", "held"), [(49, 49), (1000, 50)])
def test_fewer_or_a_small_share_are_held_one_by_one(ledger: Ledger, count: int, held: int) -> None:
    calls = _many(count)
    _deliver(ledger, *calls)
    assert _again(ledger, *_reused(calls, held)).changed == 0
    assert held_updates.count(ledger.database) == held


# Whatever the facts are

_FACTS = st.fixed_dictionaries(
    {
        "started_at": st.sampled_from([0, 1, 60, 61, 3600, 23 * 3600]).map(lambda s: STARTED + timedelta(seconds=s)),
        "duration_seconds": st.sampled_from([0, 95, 300]),
        "status": st.sampled_from([models.CallStatus.ANSWERED, models.CallStatus.ERROR]),
        "description": st.sampled_from([None, "Rappel", "Sans suite"]),
        "recording": st.sampled_from([None, "a.wav", "b.wav"]),
        "legs": st.sampled_from([None, "1", "2", "1\n2", "3"]),
    }
)


def _is_probably_another(known: models.Call, now: models.Call, recording: str | None) -> bool:
    """The rule, told once more and in other words; `recording` is the one that the known call has."""
    legs = [set((one.legs or "").split()) for one in (known, now)]
    return not (
        abs((known.started_at - now.started_at).total_seconds()) <= 60
        or known.duration_seconds == now.duration_seconds
        or (known.description and known.description == now.description)
        or (recording and recording == now.recording)
        or legs[0] & legs[1]
    )


@examples(max_examples=50, deadline=None)
@given(known=_FACTS, nights=st.lists(st.tuples(_FACTS, st.sampled_from(["", "retry", "withdraw"])), max_size=4))
def test_an_update_is_sent_exactly_if_it_is_not_probably_another_call(
    known: dict[str, Any], nights: list[tuple[dict[str, Any], str]]
) -> None:
    """Of one delivered call, whose updates are made as soon as they may be; every night adds up."""
    with closing(Ledger.of_nothing(making.clock())) as ledger:
        ledger.start_run("run-1")
        call = making.call(**known)
        recording = call.recording
        _deliver(ledger, call)
        decided: dict[str, str] = {}
        for number, (told, decision) in enumerate(nights):
            now, batch = making.call(**told), making.batch(f"{number}.csv")
            facts = planning.row(now)["facts"]
            entered = _again(ledger, now, batch=batch)
            is_known = facts == planning.row(call)["facts"] or decided.get(facts) == "withdraw"
            is_another = not is_known and _is_probably_another(call, now, recording)
            is_held = is_another and facts not in decided
            is_cut = not set((call.legs or "").split()) <= set((now.legs or "").split())
            is_sent = not is_known and not is_held and (is_another or not is_cut)
            assert (len(_held(ledger)), len(_waiting(ledger, batch))) == (is_held, is_sent)
            summary = making.reckoned(ledger, entered, batch, now)
            assert summary.calls.adds_up(summary.rows)
            assert summary.calls.held == is_held
            if is_held and decision:
                decided[facts] = decision
                assert ledger.retry_one(KEY) if decision == "retry" else ledger.withdraw_one(KEY)
            if is_sent or (is_held and decision == "retry"):
                record = Updates(ledger.database, making.clock(), batch.id)
                update = record.one(KEY)
                record.taken(update, update.story, models.Echo(900, {"id": 900}), run_id="run-1")
                Recordings(ledger.database, making.clock()).take_up_names()
                call, recording = now, now.recording or recording
            elif is_held:
                _again(ledger, call, batch=batch)
