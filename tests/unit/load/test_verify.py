"""Ledger against CRM: a call that was deleted, changed or copied there is found; what was known before is no news."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from callimport.core import errors, mapping, models
from callimport.ledger import Ledger, delivered
from callimport.load.verify import Verification
from callimport.load.verify_results import Kind, Proof
from tests import making
from tests.fake_crm import in_virtual_time
from tests.shown import Shows, ledger_with, lose_answer, stored

CALL = making.call()
AGAIN = making.call("A-2", row=3, started_at=making.STARTED.replace(hour=16))
OTHER = making.call("B-1", row=4, lead_id=5004)
STRANGER = making.call("Z-9", row=9, started_at=making.STARTED.replace(hour=20))


def _mark(call: models.Call) -> str:
    return mapping.reference(making.key(call), making.ACCOUNT.id)


def _sent(call: models.Call, **changes: Any) -> models.Communication:
    return replace(mapping.communication(call, _mark(call)), **changes)


def _deliver(ledger: Ledger, call: models.Call, number: int, **changes: Any) -> models.Stored:
    """Send it; the CRM answers with what it keeps, `changes` included. Returns that."""
    key, kept = making.key(call), stored(number, _sent(call), **changes)
    ledger.delivered(key, ledger.intend(key, "run-1"), models.Echo(number, kept.body))
    return kept


async def _verify(ledger: Ledger, lead: Sequence[models.Stored] | Exception, **leads: Any) -> dict[Kind, list[Proof]]:
    """What is found where lead 5003 answers so, and others as named."""
    shows = Shows()
    shows.answers[5003] = [lead]
    for name, answer in leads.items():
        shows.answers[int(name.removeprefix("lead_"))] = [answer]
    found: list[Proof] = []
    verification = Verification(ledger, shows, found.append)
    before = making.everything(ledger)
    await verification.run()
    assert making.everything(ledger) == before
    assert sorted(lead_id for _, lead_id in shows.reads) == verification.leads
    assert verification.counts.total() == len(found)
    found.sort(key=lambda one: one.communication_id)
    return {kind: [one for one in found if one.kind is kind] for kind in Kind if verification.counts[kind]}


@in_virtual_time
async def test_what_is_there_as_it_was_kept_matches(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, AGAIN, OTHER) as ledger:
        shown = [_deliver(ledger, CALL, 900), _deliver(ledger, AGAIN, 901)]
        found = await _verify(ledger, shown, lead_5004=[_deliver(ledger, OTHER, 902)])
        assert found.keys() == {Kind.MATCH}
        assert found[Kind.MATCH][0].line == f"= {_mark(CALL)} 900 5003"


@in_virtual_time
async def test_a_call_deleted_in_the_crm_is_missing(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, AGAIN) as ledger:
        shown = [_deliver(ledger, CALL, 900), _deliver(ledger, AGAIN, 901)]
        found = await _verify(ledger, shown[:1])
        assert found.keys() == {Kind.MATCH, Kind.MISSING}
        assert [(one.reference, one.communication_id, one.lead_id) for one in found[Kind.MISSING]] == [
            (_mark(AGAIN), 901, 5003)
        ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"call_duration": 5}, "call_duration"),
        ({"call_status": "attempted"}, "call_status"),
        ({"type": "outgoing"}, "type"),
        ({"executed_at": "2024-05-31T15:05:09+00:00"}, "executed_at"),
        ({"user_id": 13}, "user_id"),
        ({"description": "Rappel demandé"}, "description"),
        ({"description": None}, "description"),
        ({"call_phone": "+15145550199"}, "call_phone"),
    ],
    ids=str,
)
def test_a_field_that_a_person_changed_differs(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    @in_virtual_time
    async def story() -> None:
        with ledger_with(tmp_path, CALL) as ledger:
            _deliver(ledger, CALL, 900)
            found = await _verify(ledger, [stored(900, _sent(CALL), **changes)])
            assert found.keys() == {Kind.DIFFERS}
            assert found[Kind.DIFFERS][0].fields == (field,)
            told = found[Kind.DIFFERS][0].line
            assert told.startswith(f"* {_mark(CALL)} 900 5003 {field}")
            assert making.PHONE not in told
            assert "5550199" not in told
            assert "Rappel" not in told

    story()


@in_virtual_time
async def test_a_form_that_the_crm_writes_anew_is_no_change(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        _deliver(ledger, CALL, 900)
        other_form = stored(
            900, _sent(CALL), executed_at="2024-05-31T10:05:09.000000-04:00", call_duration="95", user_id="12"
        )
        assert (await _verify(ledger, [other_form])).keys() == {Kind.MATCH}


@in_virtual_time
async def test_what_the_crm_kept_otherwise_from_the_start_is_no_news(tmp_path: Path) -> None:
    """It was recorded when the CRM answered; that somebody mends it afterwards is news."""
    with ledger_with(tmp_path, CALL) as ledger:
        kept = _deliver(ledger, CALL, 900, user_id=1, description=None)
        assert (await _verify(ledger, [kept])).keys() == {Kind.MATCH}
        mended = await _verify(ledger, [stored(900, _sent(CALL), description=None)])
        assert mended[Kind.DIFFERS][0].fields == ("user_id",)


@in_virtual_time
async def test_what_the_crm_filled_in_itself_is_compared_too(tmp_path: Path) -> None:
    nobodys = making.call(executed_by=None)
    with ledger_with(tmp_path, nobodys) as ledger:
        kept = _deliver(ledger, nobodys, 900, user_id=1)
        assert (await _verify(ledger, [kept])).keys() == {Kind.MATCH}
        given_to_another = stored(900, _sent(nobodys), user_id=2)
        assert (await _verify(ledger, [given_to_another]))[Kind.DIFFERS][0].fields == ("user_id",)


@in_virtual_time
async def test_what_the_crm_does_not_show_is_not_compared(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        _deliver(ledger, CALL, 900)
        assert (await _verify(ledger, [stored(900, _sent(CALL), call_duration=..., user_id=...)])).keys() == {
            Kind.MATCH
        }


@in_virtual_time
async def test_a_call_named_by_a_person_is_compared_with_what_was_sent(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        lose_answer(ledger, CALL)
        ledger.settle(making.key(CALL), models.Verdict("held", "nothing is sure"))
        ledger.accept(_mark(CALL), 900)
        assert (await _verify(ledger, [stored(900, _sent(CALL))])).keys() == {Kind.MATCH}
        assert (await _verify(ledger, [stored(900, _sent(CALL), call_duration=1)])).keys() == {Kind.DIFFERS}


@pytest.mark.parametrize("with_mark", [True, False])
def test_a_copy_made_by_hand_is_extra(tmp_path: Path, with_mark: bool) -> None:
    """With the reference that it was copied with, or without it; the user is whoever made it."""

    @in_virtual_time
    async def story() -> None:
        with ledger_with(tmp_path, CALL) as ledger:
            kept = _deliver(ledger, CALL, 900)
            copy = stored(950, mapping.communication(CALL, _mark(CALL) if with_mark else None), user_id=13)
            found = await _verify(ledger, [kept, copy])
            assert found.keys() == {Kind.MATCH, Kind.EXTRA}
            assert (found[Kind.EXTRA][0].reference, found[Kind.EXTRA][0].communication_id) == (_mark(CALL), 950)
            assert "second copy" in found[Kind.EXTRA][0].told

    story()


@in_virtual_time
async def test_a_copy_of_a_call_that_was_changed_is_extra_too(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        _deliver(ledger, CALL, 900)
        changed = [stored(number, mapping.communication(CALL, None), call_duration=7) for number in (900, 950)]
        assert (await _verify(ledger, changed)).keys() == {Kind.DIFFERS, Kind.EXTRA}


@in_virtual_time
async def test_what_people_and_other_programs_make_is_none_of_ours(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        kept = _deliver(ledger, CALL, 900)
        theirs = [
            stored(951, mapping.communication(STRANGER, None)),
            stored(952, mapping.communication(CALL, None), call_duration=94),
            stored(953, mapping.communication(CALL, None), method="email"),
        ]
        assert (await _verify(ledger, [kept, *theirs])).keys() == {Kind.MATCH}


@in_virtual_time
async def test_a_reference_that_no_call_here_has_is_extra_until_a_person_took_it_as_right(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        shown = [_deliver(ledger, CALL, 900), stored(950, _sent(STRANGER))]
        found = await _verify(ledger, shown)
        assert found[Kind.EXTRA][0].reference == _mark(STRANGER)
        ledger.saw({950})
        ledger.acknowledge_others()
        assert (await _verify(ledger, shown)).keys() == {Kind.MATCH}


@in_virtual_time
async def test_a_call_that_is_pending_here_and_there_already_is_extra(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, AGAIN) as ledger:
        found = await _verify(ledger, [_deliver(ledger, CALL, 900), stored(950, _sent(AGAIN))])
        assert (found[Kind.EXTRA][0].communication_id, found[Kind.EXTRA][0].told) == (
            950,
            "bears the reference of a call that is pending here",
        )


@pytest.mark.parametrize(("with_mark", "changes"), [(True, {}), (True, {"call_duration": 9}), (False, {})])
def test_what_may_be_a_call_in_doubt_is_left_to_reconcile(
    tmp_path: Path, with_mark: bool, changes: dict[str, Any]
) -> None:
    """Even where it equals another call in everything: the phone system has both."""

    @in_virtual_time
    async def story() -> None:
        twin = making.call("A-2", row=3)
        with ledger_with(tmp_path, CALL, twin) as ledger:
            kept = _deliver(ledger, CALL, 900)
            lose_answer(ledger, twin)
            shown = stored(950, mapping.communication(twin, _mark(twin) if with_mark else None), **changes)
            assert (await _verify(ledger, [kept, shown])).keys() == {Kind.MATCH}

    story()


@in_virtual_time
async def test_a_lead_that_is_gone_has_its_calls_missing(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, OTHER) as ledger:
        _deliver(ledger, CALL, 900)
        other = _deliver(ledger, OTHER, 901)
        found = await _verify(ledger, errors.Refused("no such lead (status 404)", status=404), lead_5004=[other])
        assert found[Kind.MISSING][0].told == "there is no such lead any more"
        assert len(found[Kind.MATCH]) == 1


@in_virtual_time
async def test_nothing_is_missing_while_a_lead_that_may_have_it_cannot_be_read(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, OTHER) as ledger:
        _deliver(ledger, CALL, 900)
        _deliver(ledger, OTHER, 901)
        found = await _verify(ledger, [], lead_5004=errors.Incomplete("the answer was cut short"))
        assert set(found) == {Kind.UNREAD}
        (one,) = [one for one in found[Kind.UNREAD] if one.lead_id == 5003]
        assert one.told == "the lead does not show it; 1 lead that may have it by now could not be read"


@in_virtual_time
async def test_a_call_that_another_lead_shows_has_moved_and_is_not_missing(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, OTHER) as ledger:
        moved = _deliver(ledger, CALL, 900)
        other = _deliver(ledger, OTHER, 901)
        found = await _verify(ledger, errors.Refused("no such lead", status=404), lead_5004=[moved, other])
        assert found.keys() == {Kind.MATCH, Kind.DIFFERS}
        assert found[Kind.DIFFERS][0].told == (
            "lead_id 5003, now 5004 (merged into it, or moved there by a person: nothing to do if that is right)"
        )


@in_virtual_time
async def test_what_was_adopted_from_another_lead_is_right_there(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, OTHER) as ledger:
        there = stored(900, _sent(CALL), lead_id=6001)
        ledger.adopt(making.key(CALL), there, "its reference stands on 900")
        found = await _verify(ledger, [], lead_6001=[there])
        assert found.keys() == {Kind.MATCH}


@in_virtual_time
async def test_what_the_crm_put_on_another_lead_from_the_start_is_right_there(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL) as ledger:
        there = _deliver(ledger, CALL, 900, lead_id=6001)
        assert (await _verify(ledger, [], lead_6001=[there])).keys() == {Kind.MATCH}


@pytest.mark.parametrize("outcome", [errors.Refused("status 403", status=403), errors.Incomplete("not everything")])
def test_a_lead_that_cannot_be_read_is_told_and_proves_nothing(tmp_path: Path, outcome: errors.Outcome) -> None:
    @in_virtual_time
    async def story() -> None:
        with ledger_with(tmp_path, CALL, OTHER) as ledger:
            _deliver(ledger, CALL, 900)
            found = await _verify(ledger, outcome, lead_5004=[_deliver(ledger, OTHER, 901)])
            assert found.keys() == {Kind.MATCH, Kind.UNREAD}
            assert found[Kind.UNREAD][0].line.startswith(f"! {_mark(CALL)} 900 5003 the lead cannot be read")

    story()


@in_virtual_time
async def test_a_crm_that_cannot_be_reached_ends_it(tmp_path: Path) -> None:
    calls = [making.call(f"C-{number}", row=number, lead_id=6000 + number) for number in range(2, 9)]
    with ledger_with(tmp_path, *calls) as ledger:
        for number, call in enumerate(calls):
            _deliver(ledger, call, 900 + number)
        shows = Shows()
        for call in calls:
            shows.answers[call.lead_id] = [errors.DestinationUnusable("the CRM cannot be reached")]
        with pytest.raises(errors.DestinationUnusable):
            await Verification(ledger, shows, lambda proof: None).run()


@in_virtual_time
async def test_only_leads_that_got_calls_are_read(tmp_path: Path) -> None:
    with ledger_with(tmp_path, CALL, OTHER) as ledger:
        kept = _deliver(ledger, CALL, 900)
        ledger.failed(making.key(OTHER), "refused connections three times")
        assert Verification(ledger, Shows(), lambda proof: None).leads == [5003]
        assert delivered.count(ledger.database) == 1
        assert json.dumps(asdict((await _verify(ledger, [kept]))[Kind.MATCH][0]))
