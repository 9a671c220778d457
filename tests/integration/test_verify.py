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


def _by_hand(crm: Crm, act: str, **given: Any) -> None:
    """What a person does in the CRM."""
    answer = httpx.post(f"{crm.address['control_url']}/acts", json={"act": act, **given}, trust_env=False)
    assert answer.is_success, answer.text


def _copy(one: dict[str, Any], **changes: Any) -> dict[str, Any]:
    fields = ("method", "type", "executed_at", "description", "call_status", "call_duration", "call_phone")
    return {name: one[name] for name in fields} | changes


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


def test_a_deleted_an_edited_and_a_copied_call_are_each_found(crm: Crm, tmp_path: Path) -> None:
    deleted, edited, copied, *_ = crm.stored()
    theirs = _copy(copied, executed_at="2024-05-01T20:00:00+00:00", description="Autre appel")
    _by_hand(crm, "delete_communication", id=deleted["id"])
    _by_hand(crm, "edit_communication", id=edited["id"], changes={"call_duration": 7})
    _by_hand(crm, "add_communication", lead=copied["lead_id"], communication=_copy(copied))
    _by_hand(crm, "add_communication", lead=copied["lead_id"], communication=theirs)
    ended = _verify(crm, "--json", "--combined", tmp_path / "verified.txt")
    answer = json.loads(ended.out)
    assert ended.code == answer["exit_code"] == 3, ended.said
    assert answer["calls"] == {"match": 10, "differs": 1, "missing": 1, "extra": 1, "unread": 0}
    found = {one["kind"]: one for one in answer["found"]}
    assert found["missing"]["communication_id"] == deleted["id"]
    assert (found["differs"]["communication_id"], found["differs"]["fields"]) == (edited["id"], ["call_duration"])
    assert found["extra"]["lead_id"] == copied["lead_id"]
    assert found["extra"]["communication_id"] > copied["id"]
    lines = (tmp_path / "verified.txt").read_text()
    assert sorted(line[0] for line in lines.splitlines()) == sorted("*-+" + "=" * 10)
    assert "555" not in ended.said + lines


def test_after_a_merge_of_leads_it_is_told_where_a_call_went(crm: Crm) -> None:
    gone, kept = crm.stored()[:2]
    _by_hand(crm, "merge_lead", lead=gone["lead_id"], into=kept["lead_id"])
    answer = json.loads(_verify(crm, "--json").out)
    (found,) = answer["found"]
    assert (found["communication_id"], found["kind"]) == (gone["id"], "differs")
    assert found["told"].startswith(f"lead_id {gone['lead_id']}, now {kept['lead_id']} (merged into it, or moved")


def test_a_person_is_told_which_calls_and_what_of_them(crm: Crm) -> None:
    edited = crm.stored()[0]
    _by_hand(crm, "edit_communication", id=edited["id"], changes={"call_duration": 7})
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
