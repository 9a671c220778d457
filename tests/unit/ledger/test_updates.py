"""What may be done to a delivered call whose source tells another story: the database refuses everything else."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from callimport.core import errors, models
from callimport.core.models import ItemStatus
from callimport.ledger import Ledger, updates
from callimport.ledger.updates import Updates
from tests import making, planning

_CALL = making.call()
_KEY = making.key(_CALL)
_TOLD = making.call(duration_seconds=120)
_BATCH = making.batch("2.csv")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """One call delivered, and another story of it."""
    with closing(making.ledger(tmp_path / "ledger.sqlite3")) as opened:
        opened.start_run("run-1")
        making.enter(opened, making.batch("1.csv"), _CALL)
        making.bring(opened, _KEY, "run-1", ItemStatus.DELIVERED)
        making.enter(opened, _BATCH, _TOLD, run_id="run-1")
        yield opened


@pytest.fixture
def record(ledger: Ledger) -> Updates:
    return Updates(ledger.database, making.clock(), _BATCH.id)


def _echo(**body: object) -> models.Echo:
    return models.Echo(900, {"id": 900, **body})


def test_the_story_that_waits_is_told_in_full(record: Updates) -> None:
    ((update, is_seen),) = record.all()
    assert is_seen
    assert record.waiting() == [(_KEY, 5003)]
    assert record.one(_KEY) == update
    assert (update.sent.call_duration, update.story.call_duration) == (95, 120)
    assert update.facts == planning.row(_TOLD)["facts"]
    assert (update.listed.source, update.listed.row, update.listed.communication_id) == ("1.csv", 2, 900)
    # The CRM said its id only: of the rest, what it was told is all that is known.
    assert update.kept["call_duration"] == 95
    assert update.unanswered == ()


def test_a_story_that_was_taken_is_the_calls_own(ledger: Ledger, record: Updates) -> None:
    update = record.one(_KEY)
    attempt = record.intend(update, "run-1", {"call_duration": 120})
    record.taken(update, update.story, _echo(call_duration=120), run_id="run-1", attempt=attempt)
    row = making.row(ledger, _KEY)
    assert (row["facts"], json.loads(row["payload"])["call_duration"]) == (update.facts, 120)
    assert (row["next_facts"], row["next_payload"], row["next_legs"]) == (None, None, None)
    assert (row["status"], row["communication_id"]) == ("delivered", 900)
    assert json.loads(row["echo"]) == {"id": 900, "call_duration": 120}
    assert ledger.database.rows("SELECT kind, http_status, evidence FROM update_outcome") == [
        ("updated", 200, "answered with its id")
    ]
    assert record.waiting() == []


def test_updates_without_an_answer_are_told_until_one_is_made(record: Updates) -> None:
    update = record.one(_KEY)
    record.intend(update, "run-1", {"call_duration": 118})
    record.failed(record.intend(update, "run-1", {"call_duration": 119}), errors.InDoubt("no answer in time"))
    assert record.one(_KEY).unanswered == ({"call_duration": 118}, {"call_duration": 119})
    refused = record.intend(update, "run-1", {"call_duration": 120})
    record.refused(update, refused, errors.Refused("status 422", status=422, reasons=("call_duration: no",)))
    # What was refused was surely not stored.
    assert len(record.one(_KEY).unanswered) == 2


def test_after_one_was_made_the_earlier_ones_do_not_matter(ledger: Ledger, record: Updates) -> None:
    update = record.one(_KEY)
    record.intend(update, "run-1", {"call_duration": 118})
    attempt = record.intend(update, "run-1", {"call_duration": 120})
    record.taken(update, update.story, _echo(), run_id="run-1", attempt=attempt)
    making.enter(ledger, making.batch("3.csv"), making.call(duration_seconds=130), run_id="run-1")
    record.intend(record.one(_KEY), "run-1", {"call_duration": 130})
    assert record.one(_KEY).unanswered == ({"call_duration": 130},)


def test_of_a_call_that_a_person_accepted_the_crm_said_nothing(tmp_path: Path) -> None:
    with closing(making.ledger(tmp_path / "ledger.sqlite3")) as ledger:
        ledger.start_run("run-1")
        making.enter(ledger, making.batch("1.csv"), _CALL)
        making.bring(ledger, _KEY, "run-1", ItemStatus.HELD)
        ledger.accept(making.reference(_CALL), 900)
        making.enter(ledger, _BATCH, _TOLD)
        update = Updates(ledger.database, making.clock(), _BATCH.id).one(_KEY)
        assert update.kept["call_duration"] == 95


def test_a_refused_story_waits_no_more_until_a_person_says_so(ledger: Ledger, record: Updates) -> None:
    record.refused(record.one(_KEY), None, errors.Refused("status 403", status=403))
    assert record.waiting() == []
    assert (updates.waiting_count(ledger.database), updates.refused_count(ledger.database)) == (0, 1)
    assert ledger.retry(ItemStatus.FAILED) == 0
    assert ledger.retry(ItemStatus.REFUSED) == 1
    assert record.waiting() == [(_KEY, 5003)]
    with pytest.raises(errors.ConfigError):
        ledger.retry_one(making.reference(_CALL))


def test_what_is_gone_has_no_story_to_wait(ledger: Ledger, record: Updates) -> None:
    update = record.one(_KEY)
    outcome = errors.Refused("no such communication (status 404)", status=404)
    record.gone(update, record.intend(update, "run-1", {"call_duration": 120}), outcome)
    row = making.row(ledger, _KEY)
    assert (row["status"], row["next_facts"], row["reason"]) == ("gone", None, outcome.evidence)
    assert ledger.database.one("SELECT kind FROM update_outcome") == "gone"


def test_each_verb_needs_the_story_that_it_was_given(ledger: Ledger, record: Updates) -> None:
    """Another process, or a fault of ours: nothing is done to a call that is not where it was thought to be."""
    update = record.one(_KEY)
    record.taken_as_known([_KEY])
    before = making.everything(ledger)
    refused = errors.Refused("status 422", status=422)
    for verb in (
        lambda: record.intend(update, "run-1", {}),
        lambda: record.taken(update, update.story, _echo(), run_id="run-1"),
        lambda: record.taken_as_known([_KEY]),
        lambda: record.refused(update, None, refused),
    ):
        with pytest.raises(errors.LedgerError):
            verb()
    assert making.everything(ledger) == before
    record.gone(update, None, refused)
    with pytest.raises(errors.LedgerError):
        record.gone(update, None, refused)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE item SET facts = 'another' WHERE status = 'delivered'",
        "INSERT INTO update_attempt SELECT 99, key, 'run-1', 'another', '{}', '', NULL FROM item",
        "DELETE FROM update_attempt",
        "UPDATE update_attempt SET changes = '{}'",
        "DELETE FROM update_outcome",
        "UPDATE update_outcome SET kind = 'gone'",
        "DELETE FROM kept_edit",
        "UPDATE kept_edit SET field = 'another'",
    ],
)
def test_the_database_itself_refuses(ledger: Ledger, record: Updates, statement: str) -> None:
    update = record.one(_KEY)
    record.failed(record.intend(update, "run-1", {}), errors.InDoubt("no answer"))
    left = {"call_duration": (120, 300)}
    if "kept_edit" in statement:
        record.taken(update, update.story, _echo(), run_id="run-1", left=left)
    before = making.everything(ledger)
    with pytest.raises(errors.LedgerError):
        ledger.database.execute(statement)
    assert making.everything(ledger) == before


def test_leads_that_prove_the_address_are_others_of_ours(ledger: Ledger, record: Updates) -> None:
    assert record.leads_of_others(5003, 3) == []
    assert record.leads_of_others(1, 3) == [5003]
    assert record.leads_of_others(1, 0) == []


def test_a_withdrawn_batch_gives_up_the_stories_that_it_told(ledger: Ledger) -> None:
    assert ledger.withdraw(making.batch("1.csv").id) == 0
    assert updates.waiting_count(ledger.database) == 1
    assert ledger.withdraw(_BATCH.id) == 1
    assert updates.waiting_count(ledger.database) == 0
