"""A recording belongs to one call for ever, and moves only through todo; the calls themselves are never touched."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callimport.core import errors, mapping
from callimport.core.models import ItemStatus
from callimport.ledger import Ledger, recordings
from callimport.ledger.recordings import Evidence, Known, Recordings
from callimport.ledger.updates import Updates
from tests import making
from tests.shown import stored

CALL = making.call(recording="a.wav")
OTHER = making.call("B-1", row=3)
KEY, OTHER_KEY = making.key(CALL), making.key(OTHER)
SHA, OTHER_SHA = "a" * 64, "b" * 64
SEEN = Evidence("2024/a.wav", 100, 1, SHA)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = making.ledger(tmp_path / "ledger.sqlite3")
    ledger.start_run("run-1")
    making.enter(ledger, making.batch(), CALL, OTHER, run_id="run-1")
    yield ledger
    ledger.close()


@pytest.fixture
def book(ledger: Ledger) -> Recordings:
    making.bring(ledger, KEY, "run-1", ItemStatus.DELIVERED)
    return Recordings(ledger.database, making.clock())


def known(book: Recordings) -> Known:
    (found,) = book.of_delivered()
    return found


def enrol_again(ledger: Ledger, name: str, **changes: Any) -> None:
    making.enter(ledger, making.batch(name), making.call(**{"recording": "a.wav", **changes}), OTHER)


def take_up(ledger: Ledger, book: Recordings, *keys: str) -> None:
    Updates(ledger.database, making.clock(), "").taken_as_known(keys)
    book.take_up_names()


def test_what_a_source_names_is_kept_with_the_call(book: Recordings) -> None:
    found = known(book)
    assert (found.key, found.name, found.status, found.communication_id) == (KEY, "a.wav", "todo", 900)
    assert not found.is_foreign


def test_a_plain_run_writes_no_statement_more(tmp_path: Path) -> None:
    with_none = making.ledger(tmp_path / "plain.sqlite3")
    said: list[str] = []
    with_none.database._connection.set_trace_callback(said.append)
    making.enter(with_none, making.batch(), OTHER)
    assert not [one for one in said if "INTO recording" in one]
    with_none.close()


def test_a_call_that_is_not_delivered_has_nothing_to_upload_yet(ledger: Ledger) -> None:
    book = Recordings(ledger.database, making.clock())
    assert book.of_delivered() == []
    assert [one.key for one in book.of_delivered(or_pending=True)] == [KEY]


def test_only_a_delivered_call_has_a_recording_uploaded(ledger: Ledger) -> None:
    with pytest.raises(errors.LedgerError, match="only a delivered call"):
        Recordings(ledger.database, making.clock()).uploaded(KEY, SEEN)


def test_uploaded_is_remembered_with_what_was_sent(book: Recordings) -> None:
    book.uploaded(KEY, SEEN)
    found = known(book)
    assert (found.status, found.path, found.size, found.modified_ns, found.sha256) == (
        "uploaded", "2024/a.wav", 100, 1, SHA,
    )  # fmt: skip
    assert making.status(Ledger(book.database, making.clock()), KEY) is ItemStatus.DELIVERED


def test_the_same_name_the_next_night_changes_nothing(ledger: Ledger, book: Recordings) -> None:
    book.uploaded(KEY, SEEN)
    enrol_again(ledger, "tuesday.csv")
    assert known(book).status == "uploaded"


def test_another_name_is_to_be_uploaded(ledger: Ledger, book: Recordings) -> None:
    book.uploaded(KEY, SEEN)
    enrol_again(ledger, "tuesday.csv", recording="b.wav")
    take_up(ledger, book, KEY)
    found = known(book)
    assert (found.name, found.status, found.sha256) == ("b.wav", "todo", SHA)


def test_the_name_of_a_parked_story_is_parked_with_it(ledger: Ledger, book: Recordings) -> None:
    book.uploaded(KEY, SEEN)
    enrol_again(ledger, "tuesday.csv", recording="b.wav")
    book.take_up_names()
    assert known(book).name == "a.wav"
    enrol_again(ledger, "wednesday.csv")
    book.take_up_names()
    assert (known(book).name, known(book).status) == ("a.wav", "uploaded")


def test_a_name_that_comes_later_is_taken_up(ledger: Ledger, book: Recordings) -> None:
    making.bring(ledger, OTHER_KEY, "run-1", ItemStatus.DELIVERED, communication_id=901)
    making.enter(ledger, making.batch("tuesday.csv"), making.call("B-1", row=3, recording="late.wav"))
    take_up(ledger, book, OTHER_KEY)
    assert {one.name for one in book.of_delivered()} == {"a.wav", "late.wav"}


def test_a_window_that_cuts_a_call_in_two_names_nothing(tmp_path: Path) -> None:
    """The legs it shows may be the ones with another recording."""
    ledger = making.ledger(tmp_path / "legs.sqlite3")
    ledger.start_run("run-1")
    making.enter(ledger, making.batch(), making.call(recording="a.wav", legs="1\n2"), run_id="run-1")
    making.bring(ledger, KEY, "run-1", ItemStatus.DELIVERED)
    making.enter(ledger, making.batch("cut.csv"), making.call(recording="b.wav", legs="2", duration_seconds=3))
    assert known(Recordings(ledger.database, making.clock())).name == "a.wav"
    ledger.close()


@pytest.mark.parametrize("after", ["uploaded", "refused", "failed", "missing"])
def test_every_ending_may_be_taken_up_again(book: Recordings, after: str) -> None:
    end(book, after)
    assert known(book).status == after
    book.again([known(book)])
    assert known(book).status == "todo"


def end(book: Recordings, after: str) -> None:
    match after:
        case "uploaded":
            book.uploaded(KEY, SEEN)
        case "refused":
            book.refused(KEY, "too long", SEEN)
        case "failed":
            book.failed(KEY, "reset")
        case _:
            book.missing([KEY])


@pytest.mark.parametrize("before", ["uploaded", "refused", "failed", "missing"])
@pytest.mark.parametrize("after", ["uploaded", "refused", "failed", "missing"])
def test_no_ending_becomes_another(book: Recordings, before: str, after: str) -> None:
    end(book, before)
    with pytest.raises(errors.LedgerError, match="not where this run thought"):
        end(book, after)
    if before != after:
        with pytest.raises(errors.LedgerError, match="illegal move of a recording"):
            book.database.execute(
                "UPDATE recording SET status = ?, path = 'x', size = 1, sha256 = ?, reason = 'x'", (after, SHA)
            )


def test_what_was_refused_is_nothing_that_the_crm_has(book: Recordings) -> None:
    book.refused(KEY, "must be a file of type: wav, mp3", SEEN)
    assert known(book).sha256 == SHA
    book.again([known(book)])
    assert known(book).sha256 is None


def test_another_name_of_what_was_refused_is_nothing_that_the_crm_has(ledger: Ledger, book: Recordings) -> None:
    book.refused(KEY, "must be a file of type: wav, mp3", SEEN)
    enrol_again(ledger, "tuesday.csv", recording="b.wav")
    take_up(ledger, book, KEY)
    assert (known(book).name, known(book).sha256) == ("b.wav", None)


def test_what_was_uploaded_stays_known_while_a_newer_one_is_on_its_way(book: Recordings) -> None:
    book.uploaded(KEY, SEEN)
    book.again([known(book)])
    assert known(book).sha256 == SHA


def test_the_same_bytes_elsewhere_move_nothing(book: Recordings) -> None:
    book.uploaded(KEY, SEEN)
    book.still(known(book), Evidence("b.wav", 100, 2))
    found = known(book)
    assert (found.status, found.path, found.modified_ns, found.sha256) == ("uploaded", "b.wav", 2, SHA)


def test_a_file_known_by_its_own_name_begins_as_todo(ledger: Ledger, book: Recordings) -> None:
    making.bring(ledger, OTHER_KEY, "run-1", ItemStatus.DELIVERED, communication_id=901)
    assert [one.key for one in book.nameless("main")] == [OTHER_KEY]
    assert [one.key for one in book.nameless("elsewhere")] == []
    (claim,) = book.to_claim({OTHER_KEY: "2024/b.wav"})
    assert (claim.key, claim.communication_id, claim.path, claim.status) == (OTHER_KEY, 901, "2024/b.wav", "todo")
    book.found([(OTHER_KEY, "2024/b.wav")])
    assert [(one.name, one.path, one.status) for one in book.of_delivered() if one.key == OTHER_KEY] == [
        (None, "2024/b.wav", "todo")
    ]
    assert list(book.nameless("main")) == []
    assert book.claimed() == {"a.wav", "2024/b.wav"}


def test_a_call_that_is_not_delivered_vies_for_a_file_and_gets_none(book: Recordings) -> None:
    """The one that is delivered is not its neighbour's heir."""
    assert [one.key for one in book.nameless("main")] == [OTHER_KEY]
    assert book.to_claim({OTHER_KEY: "2024/b.wav"}) == []
    assert [one.key for one in book.to_claim({OTHER_KEY: "2024/b.wav"}, or_pending=True)] == [OTHER_KEY]


def test_a_call_that_waits_for_its_lead_vies_for_a_file(ledger: Ledger, book: Recordings) -> None:
    waits = making.call("C-1", row=4, lead_id=0, customer_phone=making.OTHER_PHONE)
    making.enter(ledger, making.batch(), waits)
    assert {one.key for one in book.nameless("main")} == {OTHER_KEY, making.key(waits)}
    assert book.to_claim({making.key(waits): "2024/b.wav"}, or_pending=True) == []


@pytest.mark.parametrize("how", ["adopted", "accepted"])
def test_a_communication_that_we_did_not_make_is_foreign(ledger: Ledger, how: str) -> None:
    """Somebody may have put a recording there already."""
    if how == "adopted":
        ledger.adopt(KEY, stored(900, mapping.communication(CALL, None)), "equal")
    else:
        making.bring(ledger, KEY, "run-1", ItemStatus.HELD)
        ledger.accept(making.reference(CALL), 900)
    assert known(Recordings(ledger.database, making.clock())).is_foreign


def test_a_person_may_have_the_refused_ones_tried_again(book: Recordings) -> None:
    book.refused(KEY, "too long", SEEN)
    assert book.retry() == 1
    assert (known(book).status, known(book).sha256) == ("todo", None)
    assert book.retry() == 0


def test_recordings_are_kept(book: Recordings) -> None:
    for sql in ("DELETE FROM recording", "UPDATE recording SET key = 'k1:another'"):
        with pytest.raises(errors.LedgerError, match="refused a change"):
            book.database.execute(sql)


def test_a_recording_begins_as_todo(book: Recordings) -> None:
    with pytest.raises(errors.LedgerError, match="begins as one to upload"):
        book.database.execute(
            "INSERT INTO recording (key, name, status, reason, moved_at) VALUES (?, 'x', 'failed', 'x', '')",
            (OTHER_KEY,),
        )


def test_counts_are_of_delivered_calls(ledger: Ledger, book: Recordings) -> None:
    assert recordings.counts(ledger.database) == {"todo": 1}
    book.uploaded(KEY, SEEN)
    assert recordings.counts(ledger.database) == {"uploaded": 1}
