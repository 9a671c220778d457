"""callimport verify, the real command against the real rehearsal CRM, in which people delete, change and copy calls."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import rehearsal
from tests.rehearsal import Crm, Ended, callimport, calls, write_csv

FAST = ("--rate", "60000/min")


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[Crm]:
    """With twelve calls of ours on their leads."""
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as running:
        ended = running.run(write_csv(tmp_path / "calls.csv", calls(12)), *FAST)
        assert ended.code == 0, ended.said
        yield running


def _verify(crm: Crm, *options: str | Path) -> Ended:
    return callimport("verify", "--destination", "sandbox", *FAST, *options, state=crm.state)


def _by_hand(crm: Crm, method: str, path: str, body: dict[str, Any]) -> None:
    """What a person does in the CRM."""
    key = {"Authorization": f"Bearer {crm.address['token']}", "Accept": "application/json"}
    answer = httpx.request(method, f"{crm.address['url']}{path}", json=body, headers=key, trust_env=False)
    assert answer.is_success, answer.text


def _body(one: dict[str, Any], **changes: Any) -> dict[str, Any]:
    fields = ("lead_id", "method", "type", "executed_at", "description", "call_status", "call_duration", "call_phone")
    return {**{name: one[name] for name in fields}, "executed_by": one["user_id"], **changes}


def _delete_the_last(crm: Crm) -> dict[str, Any]:
    """As the CRM gives ids in turn, it is made anew with all but one."""
    *others, last = crm.stored()
    httpx.post(f"{crm.address['control_url']}/reset", trust_env=False)
    for one in others:
        _by_hand(crm, "POST", "/communications", _body(one))
    assert [one["id"] for one in crm.stored()] == [one["id"] for one in others]
    return dict(last)


def test_all_that_was_sent_is_there_and_nothing_is_sent_to_see_it(crm: Crm, tmp_path: Path) -> None:
    ledger = next((crm.state / "ledgers").glob("*.sqlite3"))
    before, sent = ledger.read_bytes(), crm.ask("counts")["requests"]
    ended = _verify(crm, "--combined", tmp_path / "verified.txt")
    assert (ended.code, "12 in the CRM as kept" in ended.out) == (0, True), ended.said
    assert crm.creates() == 12
    # Whose key it is, and each of twelve leads once.
    assert crm.ask("counts")["requests"] - sent == 13
    assert ledger.read_bytes() == before
    lines = (tmp_path / "verified.txt").read_text().splitlines()
    assert len(lines) == 12
    assert all(line.startswith("= ") for line in lines)


def test_a_call_deleted_there_is_found(crm: Crm) -> None:
    deleted = _delete_the_last(crm)
    ended = _verify(crm, "--json")
    answer = json.loads(ended.out)
    assert ended.code == answer["exit_code"] == 3, ended.said
    assert answer["calls"] == {"match": 11, "differs": 0, "missing": 1, "extra": 0, "unread": 0}
    assert answer["found"][0]["communication_id"] == deleted["id"]


def test_a_call_edited_there_and_one_copied_by_hand_are_found(crm: Crm, tmp_path: Path) -> None:
    edited, copied, *_ = crm.stored()
    theirs = _body(copied, executed_at="2024-05-01T20:00:00+00:00", description="Autre appel")
    _by_hand(crm, "PUT", f"/communications/{edited['id']}", {"call_duration": 7})
    _by_hand(crm, "POST", "/communications", _body(copied))
    _by_hand(crm, "POST", "/communications", theirs)
    ended = _verify(crm, "--json", "--combined", tmp_path / "verified.txt")
    answer = json.loads(ended.out)
    assert ended.code == answer["exit_code"] == 3, ended.said
    assert answer["calls"] == {"match": 11, "differs": 1, "missing": 0, "extra": 1, "unread": 0}
    found = {one["kind"]: one for one in answer["found"]}
    assert (found["differs"]["communication_id"], found["differs"]["fields"]) == (edited["id"], ["call_duration"])
    assert (found["extra"]["lead_id"], found["extra"]["communication_id"]) == (copied["lead_id"], copied["id"] + 11)
    lines = (tmp_path / "verified.txt").read_text()
    assert sorted(line[0] for line in lines.splitlines()) == sorted("*+" + "=" * 11)
    assert "555" not in ended.said + lines


def test_a_person_is_told_which_calls_and_what_of_them(crm: Crm) -> None:
    edited = crm.stored()[0]
    _by_hand(crm, "PUT", f"/communications/{edited['id']}", {"call_duration": 7})
    ended = _verify(crm)
    assert ended.code == 3
    assert f"{edited['id']} {edited['lead_id']} call_duration {edited['call_duration']}, now 7" in ended.out


def test_a_file_of_lines_is_never_overwritten_without_leave(crm: Crm, tmp_path: Path) -> None:
    kept = tmp_path / "verified.txt"
    kept.write_text("yesterday")
    refused = _verify(crm, "--combined", kept, "--json")
    assert (refused.code, kept.read_text()) == (2, "yesterday")
    assert "--force" in json.loads(refused.out)["error"]
    assert _verify(crm, "--combined", kept, "--force").code == 0
    assert kept.read_text().startswith("= ")


def test_the_ledger_is_never_taken_for_a_file_of_lines(crm: Crm) -> None:
    ledger = next((crm.state / "ledgers").glob("*.sqlite3"))
    assert _verify(crm, "--combined", ledger, "--force").code == 2
    assert _verify(crm).code == 0


def test_without_a_ledger_there_is_nothing_to_verify(crm: Crm, tmp_path: Path) -> None:
    ended = _verify(crm, "--ledger", tmp_path / "none.sqlite3", "--quiet")
    assert ended.code == 2
    assert "there is no ledger" in ended.err
