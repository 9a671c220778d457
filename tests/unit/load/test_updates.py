"""Changed calls: only what the source tells otherwise, only where nobody else changed it, and never a second create.

The real ledger, the real HTTP stack and a CRM in memory, in virtual time.
"""

import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import anyio
import pytest

from callimport.core import errors, mapping, models
from callimport.core.errors import ExitCode
from callimport.core.models import ItemStatus
from callimport.core.settings import Settings
from callimport.crm.client import Destination
from callimport.crm.rate_limit import Pacer
from callimport.crm.retry import Courier
from callimport.ledger import updates
from callimport.ledger.planned import PlannedLedger
from callimport.ledger.updates import Updates
from callimport.load import planned_updates
from tests import fake_crm, making
from tests.fake_crm import NO_REPLY, Reply, Request, in_virtual_time, reply
from tests.nights import HOUSE, SETTINGS, Nights, endings_of, nights, on_put, puts, reads, several
from tests.shown import virtual_clock

TOLD: dict[str, Any] = {"duration_seconds": 120}
LATER = making.STARTED + timedelta(hours=1)
OTHER = making.call("A-2", row=3, lead_id=5004, started_at=LATER)
MARK = making.reference(making.call())


# What is sent


@in_virtual_time
async def test_only_what_the_source_tells_otherwise_is_sent(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        result = await them.tells(making.call(**TOLD)).make()
        assert puts(them.crm) == [(f"/v2/communications/{fake_crm.FIRST_ID}", {"call_duration": 120})]
        assert endings_of(result) == {"updated": 1}
        assert result.summary.exit_code == ExitCode.OK
        assert them.row()["facts"] == mapping.facts(making.call(**TOLD))
        assert them.row()["next_facts"] is None
        requests = len(them.crm.received)
        again = await them.tells(making.call(**TOLD)).make()
        assert endings_of(again) == {"unchanged": 1}
        # Whose key it is, and nothing else.
        assert len(them.crm.received) == requests + 1


@in_virtual_time
async def test_every_fact_that_may_change_is_sent(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        told = making.call(
            status=models.CallStatus.INTERRUPTED, duration_seconds=0, description="Sans suite",
            started_at=making.STARTED + timedelta(seconds=2),
        )  # fmt: skip
        await them.tells(told).make()
        ((_, sent),) = puts(them.crm)
        assert sent == {
            "executed_at": "2024-05-31T14:05:11+00:00",
            "call_status": "interrupted",
            "call_duration": 0,
            "description": f"Sans suite [ref {MARK}]",
        }
        assert them.row()["started_at"] == int(told.started_at.timestamp())


@in_virtual_time
async def test_lead_user_direction_and_phone_are_never_sent(tmp_path: Path) -> None:
    """A newer lead for the same number, or a new agents file, moves no old call."""
    with nights(tmp_path) as them:
        await them.tells(making.call(lead_id=9999, executed_by=13, **TOLD)).make()
        assert [sent for _, sent in puts(them.crm)] == [{"call_duration": 120}]
        kept = json.loads(them.row()["payload"])
        assert (kept["lead_id"], kept["executed_by"]) == (5003, 12)


@pytest.mark.parametrize("changes", [{"lead_id": 9999}, {"executed_by": 13}, {"executed_by": None}])
def test_what_is_ours_is_no_change(tmp_path: Path, changes: dict[str, Any]) -> None:
    """The hash is of what the source tells: lead and agent are looked up anew every night."""

    @in_virtual_time
    async def story() -> None:
        with nights(tmp_path) as them:
            night = them.tells(making.call(**changes), with_mark=False)
            assert (night.entered.changed, updates.waiting_count(them.ledger.database)) == (0, 0)
            assert endings_of(await night.make()) == {"unchanged": 1}
            assert (puts(them.crm), reads(them.crm)) == ([], [])

    story()


@in_virtual_time
async def test_the_reference_is_appended_as_the_call_was_sent_whatever_the_setting_is_now(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        await them.tells(making.call(description=None), with_mark=False).make()
        assert [sent for _, sent in puts(them.crm)] == [{"description": f"[ref {MARK}]"}]


@in_virtual_time
async def test_a_call_without_a_reference_gets_none(tmp_path: Path) -> None:
    with nights(tmp_path, with_mark=False) as them:
        await them.tells(making.call(description="Autre chose")).make()
        assert [sent for _, sent in puts(them.crm)] == [{"description": "Autre chose"}]


@in_virtual_time
async def test_a_story_that_has_nothing_for_the_crm_is_taken_as_known(tmp_path: Path) -> None:
    """A recording that arrived late is a fact of the source, and no field of the communication."""
    with nights(tmp_path) as them:
        result = await them.tells(making.call(recording="late.wav")).make()
        assert (puts(them.crm), reads(them.crm)) == ([], [])
        assert endings_of(result) == {"unchanged": 1}
        assert them.row()["facts"] == mapping.facts(making.call(recording="late.wav"))
        assert them.tells(making.call(recording="late.wav")).entered.changed == 0


@in_virtual_time
async def test_a_lead_is_read_once_for_all_its_changed_calls(tmp_path: Path) -> None:
    calls = [making.call(f"A-{number}", row=number + 2, started_at=making.STARTED + timedelta(hours=number))
             for number in range(5)]  # fmt: skip
    with nights(tmp_path, *calls) as them:
        await them.tells(*(one._replace(duration_seconds=7) for one in calls)).make()
        assert len(puts(them.crm)) == 5
        assert reads(them.crm) == ["/v2/leads/5003"]


# What a person changed


@in_virtual_time
async def test_what_a_person_changed_is_left_told_and_kept_on_record(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        them.crm.stored[0]["call_status"] = "attempted"
        told = making.call(status=models.CallStatus.ERROR, **TOLD)
        result = await them.tells(told).make()
        assert [sent for _, sent in puts(them.crm)] == [{"call_duration": 120}]
        assert endings_of(result) == {"updated": 1}
        assert [(one.reference, one.reason) for one in result.updates.left] == [(MARK, "call_status")]
        assert them.ledger.database.rows("SELECT run_id, field, wanted, found FROM kept_edit") == [
            ("run-2", "call_status", '"error"', '"attempted"')
        ]


@in_virtual_time
async def test_where_all_was_changed_by_a_person_nothing_is_sent(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        them.crm.stored[0]["call_duration"] = 300
        result = await them.tells(making.call(**TOLD)).make()
        assert puts(them.crm) == []
        assert endings_of(result) == {"unchanged": 1}
        assert len(result.updates.left) == 1
        # It is told once, not every night.
        assert (await them.tells(making.call(**TOLD)).make()).updates.left == ()


@in_virtual_time
async def test_what_a_person_changed_stays_theirs_the_next_time(tmp_path: Path) -> None:
    """Of fields that were left, or not sent, the answer to an update is no news of ours."""
    with nights(tmp_path) as them:
        them.crm.stored[0] |= {"call_status": "attempted", "description": "Rappelé par Luc"}
        await them.tells(making.call(status=models.CallStatus.ERROR, **TOLD)).make()
        told = making.call(status=models.CallStatus.INTERRUPTED, description="Autre", duration_seconds=121)
        result = await them.tells(told).make()
        assert [sent for _, sent in puts(them.crm)] == [{"call_duration": 120}, {"call_duration": 121}]
        assert [one.reason for one in result.updates.left] == ["call_status, description"]


@in_virtual_time
async def test_overwrite_sends_over_what_a_person_changed(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        them.crm.stored[0]["description"] = f"Rappelé par Luc, voir [ref {MARK}] au dossier"
        settings = Settings(files=(), overwrite=True)
        result = await them.tells(making.call(description="Sans suite"), settings=settings).make()
        assert [sent for _, sent in puts(them.crm)] == [{"description": f"Sans suite [ref {MARK}]"}]
        assert result.updates.left == ()


@in_virtual_time
async def test_text_that_a_person_wrote_around_the_reference_is_left(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        them.crm.stored[0]["description"] = f"Rappel demandé [ref {MARK}] – fait par Luc"
        result = await them.tells(making.call(description="Sans suite")).make()
        assert puts(them.crm) == []
        assert [one.reason for one in result.updates.left] == ["description"]


@in_virtual_time
async def test_a_reference_that_a_person_took_out_comes_back(tmp_path: Path) -> None:
    """What is described is as we sent it: nobody's words are lost."""
    with nights(tmp_path) as them:
        them.crm.stored[0]["description"] = "Rappel demandé"
        await them.tells(making.call(description="Sans suite")).make()
        assert [sent for _, sent in puts(them.crm)] == [{"description": f"Sans suite [ref {MARK}]"}]


@in_virtual_time
async def test_what_the_crm_writes_its_own_way_is_no_persons_change(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        them.crm.stored[0] |= {
            "executed_at": "2024-05-31T10:05:09.000000-04:00", "call_duration": "95",
            "description": f"  Rappel demandé [ref {MARK}]\r\n",
        }  # fmt: skip
        told = making.call(
            description="Sans suite", started_at=making.STARTED + timedelta(seconds=1), duration_seconds=96
        )
        result = await them.tells(told).make()
        assert [set(sent) for _, sent in puts(them.crm)] == [{"executed_at", "call_duration", "description"}]
        assert result.updates.left == ()


@in_virtual_time
async def test_what_the_crm_has_already_is_not_sent(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        them.crm.stored[0]["call_duration"] = 120
        result = await them.tells(making.call(**TOLD)).make()
        assert puts(them.crm) == []
        assert endings_of(result) == {"unchanged": 1}
        assert them.row()["next_facts"] is None


@in_virtual_time
async def test_a_field_that_the_crm_does_not_show_is_sent(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        del them.crm.stored[0]["call_duration"]
        result = await them.tells(making.call(**TOLD)).make()
        assert [sent for _, sent in puts(them.crm)] == [{"call_duration": 120}]
        assert result.updates.left == ()


@in_virtual_time
async def test_what_the_crm_keeps_otherwise_than_it_was_sent_is_told(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        body = {"id": fake_crm.FIRST_ID, "call_duration": 60}
        on_put(them.crm, reply(200, {"data": body}))
        result = await them.tells(making.call(**TOLD)).make()
        assert result.kept_otherwise == {"call_duration": 1}
        assert them.row()["reason"] == "call_duration"


# Gone, moved, refused, failed


@in_virtual_time
async def test_a_call_that_a_person_deleted_is_gone_for_good(tmp_path: Path) -> None:
    other = OTHER
    with nights(tmp_path, making.call(), other) as them:
        del them.crm.stored[0]
        result = await them.tells(making.call(**TOLD), other).make()
        assert endings_of(result) == {"skipped": 1, "unchanged": 1}
        assert result.summary.skipped == {"gone": 1}
        assert result.summary.exit_code == ExitCode.OK
        assert them.row()["status"] == ItemStatus.GONE
        requests = len(them.crm.received)
        again = await them.tells(making.call(duration_seconds=1), other).make()
        assert again.summary.skipped == {"gone": 1}
        assert len(them.crm.received) == requests + 1


@in_virtual_time
async def test_a_call_deleted_while_it_is_changed_is_gone(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        on_put(them.crm, reply(404))
        assert (await them.tells(making.call(**TOLD)).make()).summary.skipped == {"gone": 1}
        assert them.ledger.database.rows("SELECT kind, http_status FROM update_outcome") == [("gone", 404)]


@in_virtual_time
async def test_where_no_lead_can_be_read_a_404_proves_nothing(tmp_path: Path) -> None:
    """The address may be wrong: nothing is given up for that."""
    calls = several(5)
    with nights(tmp_path, *calls) as them:
        them.crm.answer = lambda _: reply(404)
        result = await them.tells(calls[0]._replace(duration_seconds=1), *calls[1:]).make()
        assert "no such address" in (result.error or "")
        assert result.summary.exit_code == ExitCode.STOPPED
        assert endings_of(result) == {"unchanged": 4, "pending": 1}
        # Its own lead and three others.
        assert len(reads(them.crm)) == 4
        assert them.row(calls[0])["status"] == ItemStatus.DELIVERED


@in_virtual_time
async def test_a_lead_that_is_gone_is_another_matter_where_others_can_be_read(tmp_path: Path) -> None:
    calls = several(4)
    with nights(tmp_path, *calls) as them:
        lost = {6000, 6003}

        def answer(request: Request) -> Reply:
            number = int(request.target.partition("?")[0].rpartition("/")[2])
            return reply(404) if number in lost or number == them.crm.stored[0]["id"] else them.crm.keep(request)

        them.crm.answer = answer
        result = await them.tells(calls[0]._replace(duration_seconds=1), *calls[1:]).make()
        assert result.summary.skipped == {"gone": 1}
        assert reads(them.crm) == ["/v2/leads/6000", "/v2/leads/6003", "/v2/leads/6002"]


@in_virtual_time
async def test_a_call_that_a_person_moved_is_asked_for_by_its_id(tmp_path: Path) -> None:
    """An update that names the method alone changes nothing, and shows all of it."""
    with nights(tmp_path) as them:
        them.crm.stored[0] |= {"lead_id": 7000, "call_status": "attempted"}
        told = making.call(status=models.CallStatus.ERROR, **TOLD)
        result = await them.tells(told).make()
        assert [sent for _, sent in puts(them.crm)] == [{"method": "phone"}, {"call_duration": 120}]
        assert [one.reason for one in result.updates.left] == ["call_status"]
        assert them.crm.stored[0]["lead_id"] == 7000


@in_virtual_time
async def test_where_it_cannot_even_be_asked_for_an_update_failed_and_is_tried_again(tmp_path: Path) -> None:
    """The CRM may require a field of every update: that says nothing of the story."""
    with nights(tmp_path) as them:
        them.crm.stored[0] |= {"lead_id": 7000}
        on_put(them.crm, reply(422, {"errors": {"lead_id": ["The field lead_id is required."]}}))
        result = await them.tells(making.call(**TOLD)).make()
        assert endings_of(result) == {"failed": 1}
        assert "status 422" in (result.updates.failed_ones[0].reason or "")
        assert them.ledger.database.rows("SELECT changes, kind, http_status FROM update_attempt, update_outcome") == [
            ('{"method": "phone"}', "failed", 422)
        ]
        assert endings_of(await them.goes_on().make()) == {"carried": 1, "updated": 1}
        assert them.crm.stored[0]["call_duration"] == 120


@in_virtual_time
async def test_that_a_call_is_there_says_nothing_of_an_update_whose_answer_was_lost(tmp_path: Path) -> None:
    """Else the next run would not know that the CRM may keep a story that is no more."""
    with nights(tmp_path) as them:
        them.crm.stored[0] |= {"lead_id": 7000}
        on_put(them.crm, them.crm.keep, *([NO_REPLY] * 4))
        assert endings_of(await them.tells(making.call(duration_seconds=118)).make()) == {"failed": 1}
        (update,) = [one for one, _ in Updates(them.ledger.database, making.clock(), making.batch("2.csv").id).all()]
        assert update.unanswered == ({"call_duration": 118},)


@in_virtual_time
async def test_a_refused_update_is_told_and_not_tried_every_night(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        on_put(them.crm, reply(422, {"errors": {"call_duration": ["too long"]}}))
        result = await them.tells(making.call(**TOLD)).make()
        assert endings_of(result) == {"refused": 1}
        assert result.summary.exit_code == ExitCode.ROWS_FAILED
        assert [one.reason for one in result.updates.refused_ones] == ["call_duration: too long"]
        assert them.row()["status"] == ItemStatus.DELIVERED
        assert (updates.waiting_count(them.ledger.database), updates.refused_count(them.ledger.database)) == (0, 1)
        # As with a refused call, every run that reads it says so.
        again = await them.tells(making.call(**TOLD)).make()
        assert endings_of(again) == {"refused": 1}
        assert [one.reason for one in again.updates.refused_ones] == ["call_duration: too long"]
        assert len(puts(them.crm)) == 1


@pytest.mark.parametrize("by", ["all", "key", "story"])
def test_a_refused_update_is_made_when_a_person_says_so_or_the_story_changes(tmp_path: Path, by: str) -> None:
    @in_virtual_time
    async def story() -> None:
        with nights(tmp_path) as them:
            on_put(them.crm, reply(422))
            await them.tells(making.call(**TOLD)).make()
            told = making.call(duration_seconds=121) if by == "story" else making.call(**TOLD)
            if by == "all":
                assert them.ledger.retry(ItemStatus.REFUSED) == 1
            elif by == "key":
                assert them.ledger.retry_one(MARK.lower()) is ItemStatus.PENDING
            assert endings_of(await them.tells(told).make()) == {"updated": 1}
            assert them.crm.stored[0]["call_duration"] == told.duration_seconds

    story()


@in_virtual_time
async def test_an_id_that_the_crm_refuses_to_show_is_a_failed_update(tmp_path: Path) -> None:
    other = OTHER
    with nights(tmp_path, making.call(), other) as them:
        them.crm.stored[0]["lead_id"] = 7000
        on_put(them.crm, reply(403))
        result = await them.tells(making.call(**TOLD), other).make()
        assert endings_of(result) == {"failed": 1, "unchanged": 1}


@in_virtual_time
async def test_an_update_is_tried_four_times_and_then_again_the_next_night(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        on_put(them.crm, *[reply(500)] * 4)
        result = await them.tells(making.call(**TOLD)).make()
        assert endings_of(result) == {"failed": 1}
        assert result.summary.exit_code == ExitCode.ROWS_FAILED
        assert [one.reason for one in result.updates.failed_ones] == ["status 500"]
        assert len(puts(them.crm)) == 4
        assert endings_of(await them.tells(making.call(**TOLD)).make()) == {"updated": 1}


@in_virtual_time
async def test_a_lost_answer_is_no_reason_to_stop_or_to_doubt(tmp_path: Path) -> None:
    with nights(tmp_path) as them:

        def stored_and_lost(request: Request) -> Reply:
            them.crm.keep(request)
            return fake_crm.CLOSES

        on_put(them.crm, stored_and_lost)
        assert endings_of(await them.tells(making.call(**TOLD)).make()) == {"updated": 1}
        assert len(puts(them.crm)) == 2
        assert them.ledger.database.one("SELECT count(*) FROM update_attempt") == 1
        assert len(them.crm.stored) == 1


@in_virtual_time
async def test_where_no_connection_stands_nothing_is_on_record(tmp_path: Path) -> None:
    async def refused(*_: object) -> models.Echo:
        raise errors.NotApplied("ConnectError: refused")

    with mock.patch.object(Destination, "update", refused), nights(tmp_path) as them:
        assert endings_of(await them.tells(making.call(**TOLD)).make()) == {"failed": 1}
        assert them.ledger.database.one("SELECT count(*) FROM update_attempt") == 0


@in_virtual_time
async def test_a_crm_that_is_gone_altogether_ends_the_run(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        answers = iter([HOUSE])
        them.crm.account = lambda _: next(answers, reply(500))
        on_put(them.crm, *[reply(500)] * 4)
        result = await them.tells(making.call(**TOLD)).make()
        assert result.summary.exit_code == ExitCode.STOPPED
        assert endings_of(result) == {"pending": 1}


@in_virtual_time
async def test_five_updates_in_a_row_that_fail_end_the_run(tmp_path: Path) -> None:
    calls = several(7)
    settings = Settings(files=(), concurrency=1)
    with nights(tmp_path, *calls) as them:
        on_put(them.crm, *[reply(500)] * 100)
        result = await them.tells(*(one._replace(duration_seconds=7) for one in calls), settings=settings).make()
        assert endings_of(result) == {"failed": 5, "pending": 2}
        assert "5 changed calls in a row" in (result.error or "")


@in_virtual_time
async def test_twenty_refusals_that_are_all_alike_end_the_run(tmp_path: Path) -> None:
    calls = several(22)
    settings = Settings(files=(), concurrency=1)
    with nights(tmp_path, *calls) as them:
        on_put(them.crm, *[reply(422, {"errors": {"method": ["required"]}})] * 100)
        result = await them.tells(*(one._replace(duration_seconds=7) for one in calls), settings=settings).make()
        assert endings_of(result) == {"refused": 20, "pending": 2}
        assert result.summary.exit_code == ExitCode.GUARD


# Kills, doubts


@in_virtual_time
async def test_killed_before_the_answer_it_is_seen_as_made(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        night = them.tells(making.call(**TOLD))
        _intend(them, {"call_duration": 120})
        them.crm.stored[0]["call_duration"] = 120
        assert endings_of(await night.make()) == {"updated": 1}
        assert puts(them.crm) == []


@in_virtual_time
async def test_killed_before_the_crm_had_it_it_is_made_again(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        night = them.tells(making.call(**TOLD))
        _intend(them, {"call_duration": 120})
        assert endings_of(await night.make()) == {"updated": 1}
        assert len(puts(them.crm)) == 1


@in_virtual_time
async def test_what_a_killed_run_may_have_sent_is_no_persons_change(tmp_path: Path) -> None:
    """The story changed again in between: the CRM keeps neither the first nor the last."""
    with nights(tmp_path) as them:
        them.tells(making.call(**TOLD))
        _intend(them, {"call_duration": 120})
        them.crm.stored[0]["call_duration"] = 120
        result = await them.tells(making.call(duration_seconds=130)).make()
        assert endings_of(result) == {"updated": 1}
        assert result.updates.left == ()
        assert them.crm.stored[0]["call_duration"] == 130


@in_virtual_time
async def test_a_person_who_goes_back_to_an_earlier_value_of_ours_has_changed_it(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        await them.tells(making.call(**TOLD)).make()
        them.crm.stored[0]["call_duration"] = 95
        result = await them.tells(making.call(duration_seconds=130)).make()
        assert [one.reason for one in result.updates.left] == ["call_duration"]


@in_virtual_time
async def test_what_a_killed_run_may_have_sent_is_taken_back_with_the_story(tmp_path: Path) -> None:
    """The source tells again what the ledger knows: for all that anybody knows, the CRM keeps the other story."""
    with nights(tmp_path) as them:
        them.tells(making.call(**TOLD))
        _intend(them, {"call_duration": 120})
        them.crm.stored[0]["call_duration"] = 120
        assert endings_of(await them.tells(making.call()).make()) == {"updated": 1}
        assert them.crm.stored[0]["call_duration"] == 95
        assert endings_of(await them.tells(making.call()).make()) == {"unchanged": 1}


@in_virtual_time
async def test_what_a_killed_run_may_have_sent_is_not_stored_after_the_newer_story(tmp_path: Path) -> None:
    """The CRM may be at work on it for as long as --settle; the same story again need not wait for that."""
    with nights(tmp_path) as them:
        them.tells(making.call(**TOLD))
        _intend(them, {"call_duration": 120})
        began = anyio.current_time()
        await them.tells(making.call(duration_seconds=130)).make()
        assert anyio.current_time() - began >= SETTINGS.settle
        assert them.crm.stored[0]["call_duration"] == 130

    with nights(tmp_path / "again") as them:
        them.tells(making.call(**TOLD))
        _intend(them, {"call_duration": 120})
        began = anyio.current_time()
        await them.tells(making.call(**TOLD)).make()
        assert anyio.current_time() - began < 10


@in_virtual_time
async def test_what_was_sent_long_ago_is_not_waited_for(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        them.tells(making.call(**TOLD))
        _intend(them, {"call_duration": 120})
        await anyio.sleep(3600)
        began = anyio.current_time()
        await them.tells(making.call(duration_seconds=130)).make()
        assert anyio.current_time() - began < 10


@in_virtual_time
async def test_a_call_that_cannot_even_be_asked_for_fails(tmp_path: Path) -> None:
    with nights(tmp_path, making.call(), OTHER) as them:
        them.crm.stored[0]["lead_id"] = 7000
        on_put(them.crm, *[reply(500)] * 4)
        result = await them.tells(making.call(**TOLD), OTHER).make()
        assert endings_of(result) == {"failed": 1, "unchanged": 1}
        assert them.ledger.database.rows("SELECT kind, http_status FROM update_outcome") == [("failed", 500)]


def _intend(them: Nights, changes: dict[str, object]) -> None:
    record = updates.Updates(them.ledger.database, virtual_clock(), "")
    record.intend(record.one(making.key(making.call())), f"run-{them.night}", changes)


@in_virtual_time
async def test_a_call_in_doubt_is_changed_after_the_verdict(tmp_path: Path) -> None:
    doubtful = OTHER
    with nights(tmp_path) as them:
        making.enter(them.ledger, making.batch("1.csv"), making.call(), doubtful, run_id="run-1")
        key = making.key(doubtful)
        them.ledger.in_doubt(key, them.ledger.intend(key, "run-1"), errors.InDoubt("no answer in time"))
        night = them.tells(making.call(), doubtful._replace(duration_seconds=120))
        assert endings_of(night.result()) == {"unchanged": 1}
        _find(them, key)
        result = await night.make()
        # It came into the CRM in this run: that is its ending.
        assert endings_of(result) == {"unchanged": 1, "delivered": 1}
        assert them.crm.stored[1]["call_duration"] == 120
        assert them.row(doubtful)["next_facts"] is None


def _find(them: Nights, key: str) -> None:
    """The verdict: it is there."""
    (payload,) = them.ledger.database.rows("SELECT payload FROM item WHERE key = ?", (key,))[0]
    them.crm.create(Request("POST", "/v2/communications", {}, payload.encode(), 0.0, ""))
    body = dict(them.crm.stored[-1])
    stored = models.Stored(body["id"], "phone", body["type"], None, None, body["description"], body)
    them.ledger.settle(key, models.Verdict("found", "its reference stands on it", stored))


@pytest.mark.parametrize(
    ("answer", "ending", "code"), [(reply(422), "delivered", 3), (reply(404), "skipped", 0)], ids=["refused", "gone"]
)
def test_what_becomes_of_such_a_call_is_told(tmp_path: Path, answer: Reply, ending: str, code: int) -> None:
    @in_virtual_time
    async def story() -> None:
        doubtful = making.call("A-2", row=3, started_at=LATER)
        with nights(tmp_path) as them:
            making.enter(them.ledger, making.batch("1.csv"), making.call(), doubtful, run_id="run-1")
            key = making.key(doubtful)
            them.ledger.in_doubt(key, them.ledger.intend(key, "run-1"), errors.InDoubt("no answer in time"))
            night = them.tells(making.call(), doubtful._replace(duration_seconds=120))
            _find(them, key)
            on_put(them.crm, answer)
            result = await night.make()
            assert endings_of(result) == {"unchanged": 1, ending: 1}
            assert result.summary.exit_code == code

    story()


@in_virtual_time
async def test_a_late_story_that_has_nothing_for_the_crm_is_taken_as_known(tmp_path: Path) -> None:
    doubtful = OTHER
    with nights(tmp_path) as them:
        making.enter(them.ledger, making.batch("1.csv"), making.call(), doubtful, run_id="run-1")
        key = making.key(doubtful)
        them.ledger.in_doubt(key, them.ledger.intend(key, "run-1"), errors.InDoubt("no answer in time"))
        night = them.tells(making.call(), doubtful._replace(recording="late.wav"))
        _find(them, key)
        assert endings_of(await night.make()) == {"unchanged": 1, "delivered": 1}
        assert puts(them.crm) == []
        assert them.row(doubtful)["next_facts"] is None


# How many


@pytest.mark.parametrize(
    ("changed", "of", "allowed", "stops"),
    [(49, 100, None, False), (50, 100, None, True), (50, 1000, None, False), (51, 1000, None, True),
     (60, 100, 60, False), (60, 100, 59, True)],
)  # fmt: skip
def test_the_brake(tmp_path: Path, changed: int, of: int, allowed: int | None, stops: bool) -> None:
    """More than 5 % of the known calls, and at least 50."""

    calls = several(of)

    @in_virtual_time
    async def story() -> None:
        with nights(tmp_path, *calls) as them:
            told = [one._replace(status=models.CallStatus.ERROR) for one in calls[:changed]]
            ledger = them.plans(*told, *calls[changed:], allow_updates=allowed)
            assert planned_updates.account(ledger, virtual_clock()).pending == changed
            words = str(ledger.plan.stopped_by or "")
            assert bool(words) is stops
            for part in (
                f"{changed:,} of {of:,} known calls", f"call_status of {changed}", "call_status answered → error",
                f"--allow-updates {changed}",
            ):  # fmt: skip
                assert not stops or part in words
            assert making.PHONE not in words

    story()


@in_virtual_time
async def test_late_recordings_are_nothing_to_brake_for(tmp_path: Path) -> None:
    calls = several(60)
    with nights(tmp_path, *calls) as them:
        result = await them.tells(*(one._replace(recording="late.wav") for one in calls)).make()
        assert endings_of(result) == {"unchanged": 60}


@in_virtual_time
async def test_a_run_without_files_is_braked_too(tmp_path: Path) -> None:
    calls = several(60)
    with nights(tmp_path, *calls) as them:
        them.tells(*(one._replace(description="Jean Tremblay a rappelé") for one in calls))
        plan = them.goes_on_with()
        assert "60 known calls would be changed" in str(plan.stopped_by)
        # What is described may name people.
        assert "Tremblay" not in str(plan.stopped_by)
        ledger = PlannedLedger(them.ledger, virtual_clock(), plan)
        updates = planned_updates.account(ledger, virtual_clock())
        assert (updates.carried, updates.pending, ledger.carried) == (60, 60, 0)
        assert them.goes_on_with(Settings(files=(), allow_updates=60)).stopped_by is None


@in_virtual_time
async def test_at_most_so_many_as_were_asked_for(tmp_path: Path) -> None:
    calls = several(5)
    with nights(tmp_path, *calls) as them:
        result = await them.tells(*(one._replace(duration_seconds=7) for one in calls)).make(limit=2)
        assert endings_of(result) == {"updated": 2, "pending": 3}
        assert result.summary.exit_code == ExitCode.WORK_LEFT
        assert len(puts(them.crm)) == 2
        result = await them.goes_on().make()
        assert endings_of(result) == {"updated": 3, "carried": 3}


@in_virtual_time
async def test_with_nothing_left_of_the_limit_no_lead_is_read(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        assert endings_of(await them.tells(making.call(**TOLD)).make(limit=0)) == {"pending": 1}
        assert reads(them.crm) == []


@in_virtual_time
async def test_the_limit_may_be_met_in_the_midst_of_a_lead(tmp_path: Path) -> None:
    calls = [making.call("A-1"), making.call("A-2", row=3, started_at=LATER)]
    with nights(tmp_path, *calls) as them:
        result = await them.tells(*(one._replace(duration_seconds=7) for one in calls)).make(limit=1)
        assert endings_of(result) == {"updated": 1, "pending": 1}


@in_virtual_time
async def test_a_request_for_an_end_lets_the_update_under_way_end(tmp_path: Path) -> None:
    calls = several(3)
    settings = Settings(files=(), concurrency=1)
    with nights(tmp_path, *calls) as them:
        them.crm.latency_seconds = 5.0

        def interrupting(request: Request) -> Reply:
            them.interruption.request(ExitCode.INTERRUPTED)
            return them.crm.keep(request)

        on_put(them.crm, interrupting)
        result = await them.tells(*(one._replace(duration_seconds=7) for one in calls), settings=settings).make()
        assert endings_of(result) == {"updated": 1, "pending": 2}
        assert len(puts(them.crm)) == 1


@in_virtual_time
async def test_a_ledger_that_cannot_be_written_lets_nothing_leave(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        night = them.tells(making.call(**TOLD))
        them.ledger.database.execute(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON main.update_attempt BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
        result = await night.make()
        assert result.summary.exit_code == ExitCode.STOPPED
        assert puts(them.crm) == []


@in_virtual_time
async def test_hours_of_changes_are_not_silent(tmp_path: Path) -> None:
    calls = several(40)
    settings = Settings(files=(), concurrency=1)
    with nights(tmp_path, *calls) as them:
        them.crm.latency_seconds = 1.0
        await them.tells(*(one._replace(duration_seconds=7) for one in calls), settings=settings).make()
        assert them.said[0] == "40 changed calls on 40 leads: each lead is read, then they are sent"
        assert len(them.said) == 2
        assert "changed calls looked at or changed in the CRM so far" in them.said[1]


# Whose, and whether


@in_virtual_time
async def test_changes_that_are_left_come_along_if_the_settings_are_the_same(tmp_path: Path) -> None:
    other = OTHER
    with nights(tmp_path) as them:
        them.tells(making.call(**TOLD))
        assert endings_of(await them.tells(other, zone="Europe/Paris").make()) == {"pending": 1}
        assert puts(them.crm) == []
        result = await them.tells(other).make()
        assert endings_of(result) == {"pending": 1, "updated": 1, "carried": 1}


@in_virtual_time
async def test_a_withdrawn_batch_takes_its_changes_along(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        night = them.tells(making.call(**TOLD))
        assert them.ledger.withdraw(night.batch.id) == 1
        assert (await them.goes_on().make()).summary.calls.total == 0
        assert them.crm.stored[0]["call_duration"] == 95


@pytest.mark.parametrize("on_change", ["skip", "report"])
def test_changes_that_nobody_wants_sent_are_counted(tmp_path: Path, on_change: Any) -> None:
    @in_virtual_time
    async def story() -> None:
        settings = Settings(files=(), on_change=on_change)
        with nights(tmp_path) as them:
            night = them.tells(making.call(**TOLD, row=7), settings=settings)
            result = await night.make()
            assert (puts(them.crm), reads(them.crm)) == ([], [])
            assert endings_of(result) == {"unchanged": 1}
            assert result.summary.changed == 1
            # With the row that tells it so, and not the one that it was imported from.
            assert [(one.reason, one.source, one.row) for one in result.updates.changed] == (
                [("call_duration 95 → 120", "2.csv", 7)] if on_change == "report" else []
            )
            # They wait for a run that wants them.
            assert updates.waiting_count(them.ledger.database) == 1
            assert endings_of(await them.tells(making.call(**TOLD)).make()) == {"updated": 1}

    story()


@in_virtual_time
async def test_a_row_in_question_today_brings_no_change_of_yesterday(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        them.tells(making.call(**TOLD))
        # Two rows of today contradict one another.
        night = them.tells(questioned=(making.key(making.call()),))
        async with them.crm.reached() as there:
            courier = Courier(there, Pacer((models.Rate(6000, 60.0),), anyio.current_time), random.Random(1))
            await night.updating.run(night.run_id, courier, them.interruption, None)
        assert puts(them.crm) == []


@in_virtual_time
async def test_of_a_long_list_the_first_thousand_are_named(tmp_path: Path) -> None:
    calls = several(3)
    with mock.patch("callimport.load.updates.LISTED_AT_MOST", 2), nights(tmp_path, *calls) as them:
        for one in them.crm.stored:
            one["call_duration"] = 300
        result = await them.tells(*(one._replace(duration_seconds=7) for one in calls)).make()
        assert len(result.updates.left) == 2
        settings = Settings(files=(), on_change="report")
        told = [one._replace(duration_seconds=8) for one in calls]
        assert len((await them.tells(*told, settings=settings).make()).updates.changed) == 2


# Held: probably another call under the same id

ANOTHER = making.call(row=7, description=None, started_at=making.STARTED + timedelta(hours=6), duration_seconds=300)


@pytest.mark.parametrize("on_change", ["update", "report", "skip"])
def test_nothing_is_sent_of_a_held_update_and_it_is_told_whatever_is_done_about_changes(
    tmp_path: Path, on_change: Literal["update", "report", "skip"]
) -> None:
    @in_virtual_time
    async def story() -> None:
        with nights(tmp_path) as them:
            night = them.tells(ANOTHER, settings=Settings(files=(), on_change=on_change))
            result = await night.make()
            assert (puts(them.crm), reads(them.crm)) == ([], [])
            assert (result.summary.calls.held, result.summary.exit_code) == (1, ExitCode.IN_DOUBT)
            assert [(one.reference, one.status) for one in result.held] == [(MARK, ItemStatus.DELIVERED)]
            # It is no change that the CRM is kept from.
            assert (result.summary.changed, result.updates.changed) == (0, ())

    story()


@in_virtual_time
async def test_a_held_update_that_a_person_retries_is_sent_once(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        await them.tells(ANOTHER).make()
        them.ledger.retry_one(MARK)
        assert endings_of(await them.tells(ANOTHER).make()) == {"updated": 1}
        ((_, sent),) = puts(them.crm)
        assert sent == {
            "executed_at": "2024-05-31T20:05:09+00:00",
            "call_duration": 300,
            "description": f"[ref {MARK}]",
        }
        assert endings_of(await them.tells(ANOTHER).make()) == {"unchanged": 1}


@in_virtual_time
async def test_a_run_without_files_counts_what_is_held(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        await them.tells(ANOTHER).make()
        resumed = await them.goes_on().make()
        assert (resumed.summary.calls.held, resumed.summary.calls.carried, puts(them.crm)) == (1, 1, [])


@in_virtual_time
async def test_a_run_without_files_sends_what_a_person_retried(tmp_path: Path) -> None:
    with nights(tmp_path) as them:
        await them.tells(ANOTHER).make()
        them.ledger.retry_one(MARK)
        assert endings_of(await them.goes_on().make()) == {"carried": 1, "updated": 1}


@in_virtual_time
async def test_the_change_brake_counts_no_held_update_and_releases_none(tmp_path: Path) -> None:
    calls = several(100)
    changed = [one._replace(duration_seconds=1) for one in calls[:50]]
    others = [
        one._replace(duration_seconds=2, description=None, started_at=one.started_at + timedelta(hours=5))
        for one in calls[50:60]
    ]
    with nights(tmp_path, *calls) as them:
        ledger = them.plans(*changed, *others, *calls[60:], allow_updates=None)
        assert "50 of 100 known calls would be changed" in str(ledger.plan.stopped_by)
        assert planned_updates.account(ledger, virtual_clock()).pending == 50
        assert ledger.standing("").held_known == 10
        allowed = Settings(files=(), allow_updates=50)
        result = await them.tells(*changed, *others, *calls[60:], settings=allowed).make()
        assert (result.summary.calls.updated, result.summary.calls.held, len(puts(them.crm))) == (50, 10, 50)


def test_every_mix_of_endings_adds_up_beside_held_updates(tmp_path: Path) -> None:
    """Corrections, other calls, calls in doubt, refused and limited ones, night after night, with and without files."""

    @in_virtual_time
    async def story(seed: int) -> None:
        rng = random.Random(f"held {seed}")
        calls = several(8)
        with nights(tmp_path / str(seed), *calls) as them:
            for _ in range(4):
                told = [_told(one, rng) for one in calls if rng.random() < 0.8]
                settings = Settings(files=(), on_change=rng.choice(("update", "update", "report", "skip")))
                on_put(them.crm, *rng.choices((them.crm.keep, reply(422), reply(404), NO_REPLY), k=3))
                # `Night.result` asserts that it adds up.
                result = await them.tells(*told, settings=settings).make(limit=rng.choice((None, 2)))
                held = [one.reference for one in result.held]
                assert (result.summary.calls.held, len(set(held))) == (len(held), len(held))
                for reference in held:
                    rng.choice((lambda _: 0, them.ledger.retry_one, them.ledger.withdraw_one))(reference)

    for seed in range(12):
        story(seed)


def _told(call: models.Call, rng: random.Random) -> models.Call:
    return call._replace(
        duration_seconds=rng.choice((95, 120)),
        description=rng.choice((None, "Rappel demandé", "Sans suite")),
        started_at=call.started_at + timedelta(hours=rng.choice((0, 0, 5))),
    )
