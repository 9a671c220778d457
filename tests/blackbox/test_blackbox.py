"""The judge finds what is wrong, and the driver plays a story to its end. The baseline is not needed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.blackbox import comparison, judge
from tests.blackbox.playing import Played, play
from tests.blackbox.processes import TREE
from tests.blackbox.stories import FEATURES, draw
from tests.blackbox.truth import Call, Facts, Rows, Truth

STARTED = datetime(2024, 6, 10, 14, 5, 9, tzinfo=UTC)
FACTS = Facts("incoming", "answered", STARTED, 65, "story call 1")
CALL = Call("call 1", 5001, "+15145550101", 101, (FACTS,))
OTHER = Call("call 2", 5002, "+15145550102", 102, (replace(FACTS, started_at=STARTED + timedelta(hours=3)),))
TRUTH = Truth((CALL, OTHER), phones=("+15145550101",))


def stored(call: Call, mark: str = "7K3Q-2M9D-XA", **changes: Any) -> dict[str, Any]:
    facts = call.facts
    return {
        "id": 42534452, "account_id": 301, "lead_id": call.lead_id, "user_id": call.user_id, "method": "phone",
        "type": facts.direction, "call_status": facts.status, "executed_at": facts.started_at.isoformat(),
        "call_duration": facts.duration_seconds, "call_phone": call.phone, "recording": None, "seeded": False,
        "by_hand": False, "description": f"{facts.description} [ref {mark}]",
    } | changes  # fmt: skip


SECOND = stored(OTHER, "7K3Q-2M9D-XB", id=42534453)


def answer(**calls: int) -> dict[str, Any]:
    """Return the answer of a run over two rows, with these endings of calls."""
    endings = {"duplicate": 0, "skipped": 0, "unchanged": 0, "delivered": 0, "updated": 0, "adopted": 0, "refused": 0}
    endings |= {"failed": 0, "in_doubt": 0, "held": 0, "pending": 0} | calls
    return {
        "exit_code": 0, "rows": {"read": 2, "joined": 0, "dropped": 0, "rejected": 0, "calls": 2},
        "calls": {"total": 2, "carried": 0, **endings}, "skipped": {}, "dropped": {}, "changed": 0,
        "recordings": {"uploaded": 0, "refused": 0, "failed": 0, "missing": 0, "pending": 0},
    }  # fmt: skip


def test_correct_communications_give_no_finding() -> None:
    by_staff = stored(CALL, id=40000001, seeded=True)
    assert judge.store(TRUTH, [by_staff, stored(CALL), SECOND]) == []


def test_a_call_stored_twice_is_found() -> None:
    (finding,) = judge.store(TRUTH, [stored(CALL), stored(CALL, "7K3Q-2M9D-XC", id=42534460), SECOND])
    assert finding == "call 1 is doubled: stored 2 times, as [42534452, 42534460]"


def test_a_call_that_is_not_stored_is_found() -> None:
    assert judge.store(TRUTH, [SECOND]) == ["call 1 is lost: it is not stored"]


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"lead_id": 5002}, "call 1 has another lead: 5002 is stored, 5001 expected"),
        ({"executed_at": (STARTED + timedelta(hours=1)).isoformat()}, "call 1 has another start: 2024-06-10T15:05:09"),
        ({"type": "outgoing"}, "call 1 has another direction: 'outgoing' is stored"),
        ({"call_status": "interrupted"}, "call 1 has another status: 'interrupted' is stored"),
        ({"call_duration": 66}, "call 1 has another duration: 66 is stored, 65 expected"),
        ({"call_phone": "+15145550103"}, "call 1 has another phone"),
        ({"user_id": 104}, "call 1 has another user: 104 is stored, 101 expected"),
        ({"description": "another text [ref 7K3Q-2M9D-XA]"}, "call 1 has another description"),
        ({"description": "story call 1"}, "call 1 has no reference"),
        ({"recording": {"sha256": "00"}}, "call 1 has a recording that is not its own"),
    ],
)
def test_a_call_stored_with_a_wrong_field_is_found(changes: dict[str, Any], finding: str) -> None:
    (found,) = judge.store(TRUTH, [stored(CALL, **changes), SECOND])
    assert found.startswith(finding)


def test_a_communication_that_is_no_call_is_found() -> None:
    strange = stored(CALL, "7K3Q-2M9D-XD", id=42534470, lead_id=5009, call_phone="+15145550109", call_duration=1,
        executed_at="2024-01-01T00:00:00+00:00", description=None)  # fmt: skip
    assert judge.store(TRUTH, [stored(CALL), SECOND, strange]) == [
        "communication 42534470 on lead 5009 matches no expected call"
    ]


def test_one_reference_on_two_communications_is_found() -> None:
    assert judge.store(TRUTH, [stored(CALL), stored(OTHER, id=42534453)]) == [
        "two communications have the same reference"
    ]


def test_a_create_with_facts_that_no_export_shows_is_found() -> None:
    sent = {
        "lead_id": 5001, "call_phone": CALL.phone, "type": "incoming", "call_status": "answered",
        "executed_at": "2024-06-10T10:05:09-04:00", "call_duration": 65,
    }  # fmt: skip
    assert judge.creates(TRUTH, [sent]) == []
    assert len(judge.creates(TRUTH, [sent | {"lead_id": 5003}, sent | {"executed_at": "2024-06-10 10:05"}])) == 2


def test_an_answer_that_does_not_add_up_is_found() -> None:
    assert judge.sums(answer(delivered=2)) == []
    assert len(judge.sums(answer(delivered=1))) == 1
    assert len(judge.sums(answer(delivered=2) | {"skipped": {"no_lead": 1}})) == 1


@pytest.mark.parametrize(
    ("calls", "right"),
    [({"delivered": 2}, 0), ({"refused": 2}, 3), ({"held": 1, "refused": 1}, 4), ({"delivered": 1, "pending": 1}, 7)],
)
def test_an_exit_code_that_contradicts_the_counts_is_found(calls: dict[str, int], right: int) -> None:
    assert judge.exit_code(answer(**calls) | {"exit_code": right}, right) == []
    for code in {0, 3, 4, 7} - {right}:
        assert judge.exit_code(answer(**calls) | {"exit_code": code}, code)


def test_a_last_run_that_sends_or_forgets_is_found() -> None:
    rows = Rows(read=2)
    assert judge.nothing_new(answer(unchanged=2), rows) == []
    assert judge.nothing_new(answer(unchanged=1, delivered=1), rows)
    assert judge.finished(answer(unchanged=1, pending=1), rows)


def test_a_full_number_and_a_token_are_found_however_they_are_written() -> None:
    token = "eyJ0eXAiOiJKV1QiLCJhbGciOi.x" * 3
    for text in ("+15145550101", "(514) 555-0101", "514.555.0101", f"Bearer {token}"):
        assert judge.privacy(text, TRUTH.phones, token)
    assert not judge.privacy("+1514•••0101, 5145550102 rows", TRUTH.phones, token)


def test_differences_between_two_programs_are_found() -> None:
    grown = answer(delivered=2) | {"run_id": "a", "lines": {"total": 3}}
    mine = Played(steps=[("run", 0, grown)], stored=[stored(CALL)])
    same = Played(steps=[("run", 0, answer(delivered=2) | {"run_id": "b"})], stored=[stored(CALL, id=7)])
    assert comparison.differences(mine, same) == []
    other = Played(steps=[("run", 3, answer(delivered=1, refused=1))], stored=[stored(CALL, call_duration=1)])
    assert len(comparison.differences(mine, other)) == 4
    assert len(comparison.differences(same, mine)) == 1


def test_one_seed_gives_one_story_and_many_seeds_cover_every_feature() -> None:
    assert draw(7) == draw(7)
    told = {feature for seed in range(60) for feature in draw(seed).features}
    assert told == set(FEATURES)


def test_a_story_with_a_kill_ends_without_findings(tmp_path: Path) -> None:
    played = play(draw(3, is_short=True), TREE, TREE, tmp_path)
    assert played.findings == []
    assert played.kills + played.signals
