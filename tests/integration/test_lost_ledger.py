"""A ledger that is not the memory it should be: lost, restored from a copy, a second one elsewhere. The real command
against the real rehearsal CRM: whatever happens, nothing is sent twice."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import rehearsal
from tests.rehearsal import Crm, adds_up, calls, write_csv

FAST = ("--rate", "60000/min")


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[Crm]:
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as running:
        yield running


def _twice(crm: Crm) -> list[str]:
    """What is in the CRM more than once, the reference aside."""
    told = Counter(str(one["description"]).partition(" [ref")[0] for one in crm.stored())
    return [description for description, count in told.items() if count > 1]


def _forget(crm: Crm) -> None:
    shutil.rmtree(crm.state / "ledgers")
    (crm.state / "accounts.json").unlink()


@pytest.mark.parametrize("reference", [(), ("--no-reference",)], ids=["reference", "no reference"])
def test_a_lost_ledger_stops_the_run_and_adoption_goes_on(crm: Crm, tmp_path: Path, reference: tuple[str, ...]) -> None:
    rows = calls(60)
    half, whole = write_csv(tmp_path / "half.csv", rows[:30]), write_csv(tmp_path / "whole.csv", rows)
    assert crm.run(half, *FAST, *reference).code == 0
    _forget(crm)

    stopped = crm.run(whole, *FAST, *reference)
    assert stopped.code == 8
    assert "--adopt" in stopped.summary["error"]
    assert stopped.summary["calls"]["pending"] == 60
    assert crm.creates() == 30

    adopted = crm.run(whole, *FAST, *reference, "--adopt")
    assert adopted.code == 0
    assert (adopted.summary["calls"]["adopted"], adopted.summary["calls"]["delivered"]) == (30, 30)
    assert adds_up(adopted.summary)
    assert len(crm.stored()) == 60
    assert _twice(crm) == []
    again = crm.run(whole, *FAST, *reference)
    assert (again.code, again.summary["calls"]["unchanged"]) == (0, 60)


def test_a_plan_to_adopt_writes_nothing(crm: Crm, tmp_path: Path) -> None:
    rows = calls(20)
    assert crm.run(write_csv(tmp_path / "half.csv", rows[:10]), *FAST).code == 0
    _forget(crm)
    planned = crm.run(write_csv(tmp_path / "whole.csv", rows), *FAST, "--adopt", "--dry-run")
    assert (planned.summary["calls"]["adopted"], planned.summary["calls"]["pending"]) == (10, 10)
    assert not list((crm.state / "ledgers").glob("*.sqlite3"))
    assert crm.creates() == 10


def test_adopting_and_keeping_to_a_plan_exclude_each_other(crm: Crm, tmp_path: Path) -> None:
    ended = crm.run(write_csv(tmp_path / "calls.csv", calls(2)), "--adopt", "--plan", "7K3Q-2M9D")
    assert ended.code == 2
    assert crm.creates() == 0


def test_a_ledger_restored_from_yesterdays_copy_sends_nothing_twice(crm: Crm, tmp_path: Path) -> None:
    rows = calls(90)
    yesterday, today = write_csv(tmp_path / "yesterday.csv", rows[:30]), write_csv(tmp_path / "today.csv", rows)
    assert crm.run(yesterday, *FAST).code == 0
    shutil.copytree(crm.state / "ledgers", tmp_path / "copy")
    assert crm.run(today, *FAST, "--limit", "40").code == 7
    shutil.rmtree(crm.state / "ledgers")
    shutil.copytree(tmp_path / "copy", crm.state / "ledgers")

    stopped = crm.run(today, *FAST)
    assert stopped.code == 8
    assert crm.creates() == 70
    adopted = crm.run(today, *FAST, "--adopt")
    assert adopted.code == 0
    assert (adopted.summary["calls"]["adopted"], adopted.summary["calls"]["delivered"]) == (40, 20)
    assert len(crm.stored()) == 90
    assert _twice(crm) == []


def test_cron_under_another_user_sends_nothing_twice(crm: Crm, tmp_path: Path) -> None:
    """Another user has another state folder: no ledger there knows what was sent."""
    source = write_csv(tmp_path / "calls.csv", calls(25))
    assert crm.run(source, *FAST).code == 0
    other = tmp_path / "other-user"
    other.mkdir()
    shutil.copy(crm.state / "sandbox.json", other)
    ended = rehearsal.callimport("run", source, "--destination", "sandbox", "--json", *FAST, state=other)
    assert ended.code == 8
    assert crm.creates() == 25


def test_a_run_that_a_guard_stopped_leaves_no_ledger_in_the_way(crm: Crm, tmp_path: Path) -> None:
    """It made one before it looked; the right one, once found, can be named all the same."""
    source = write_csv(tmp_path / "calls.csv", calls(25))
    right = tmp_path / "kept" / "right.sqlite3"
    right.parent.mkdir()
    assert crm.run(source, *FAST, "--ledger", str(right)).code == 0
    (crm.state / "accounts.json").unlink()
    assert crm.run(source, *FAST).code == 8
    told = rehearsal.callimport("status", state=crm.state)
    assert "it was stopped: the CRM holds calls that this ledger never sent" in " ".join(told.out.split())
    assert crm.run(source, *FAST, "--ledger", str(tmp_path / "stray.sqlite3")).code == 8
    again = crm.run(source, *FAST, "--ledger", str(right))
    assert (again.code, again.summary["calls"]["unchanged"]) == (0, 25)
    assert crm.run(source, *FAST).code == 0
    stray = crm.run(source, *FAST, "--ledger", str(tmp_path / "stray.sqlite3"))
    assert stray.code == 8
    assert "leave --ledger out" in stray.err
    assert crm.creates() == 25


def test_a_plan_that_a_guard_stops_counts_all_the_same(crm: Crm, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "calls.csv", calls(25))
    assert crm.run(source, *FAST).code == 0
    _forget(crm)
    planned = crm.run(source, *FAST, "--dry-run")
    assert planned.code == 8
    assert planned.summary["calls"]["pending"] == 25
    assert "plan" not in planned.summary
    assert "--adopt" in planned.summary["error"]


def test_a_second_ledger_elsewhere_sends_nothing_twice(crm: Crm, tmp_path: Path) -> None:
    """With files that overlap, as two branches of one dealer have them; and the way on is --adopt."""
    rows = calls(40)
    first, second = write_csv(tmp_path / "a.csv", rows[:25]), write_csv(tmp_path / "b.csv", rows[15:])
    assert crm.run(first, *FAST).code == 0
    other = tmp_path / "elsewhere"
    other.mkdir()
    shutil.copy(crm.state / "sandbox.json", other)

    def elsewhere(*options: str) -> rehearsal.Ended:
        return rehearsal.callimport("run", second, "--destination", "sandbox", "--json", *FAST, *options, state=other)

    assert elsewhere().code == 8
    adopted = elsewhere("--adopt")
    assert adopted.code == 0
    assert (adopted.summary["calls"]["adopted"], adopted.summary["calls"]["delivered"]) == (10, 15)
    assert _twice(crm) == []
    assert elsewhere().code == 0


def test_the_same_call_under_another_id_is_held_and_can_be_given_up(crm: Crm, tmp_path: Path) -> None:
    rows = calls(3)
    assert crm.run(write_csv(tmp_path / "a.csv", rows), *FAST).code == 0
    renamed = write_csv(tmp_path / "b.csv", [{**row, "call_id": f"other-{row['call_id']}"} for row in rows])
    held = crm.run(renamed, *FAST)
    assert (held.code, held.summary["calls"]["held"]) == (4, 3)
    assert crm.creates() == 3
    said = next(line for line in held.err.splitlines() if "row 2 of a.csv" in line)
    reference = next(word for word in said.split() if word.count("-") == 2).strip(",:")
    ended = rehearsal.callimport("withdraw", reference, "--destination", "sandbox", state=crm.state)
    assert ended.code == 0, ended.said
    again = crm.run(renamed, *FAST)
    assert (again.summary["calls"]["held"], again.summary["skipped"]) == (2, {"withdrawn": 1})
    assert crm.creates() == 3
    retried = rehearsal.callimport("retry", reference, "--destination", "sandbox", state=crm.state)
    assert retried.code == 0
    assert "1 call held again" in retried.out


def test_a_lost_ledger_of_another_system_name_sends_nothing_twice(crm: Crm, tmp_path: Path) -> None:
    """The system is in the key and so in the reference: what is there bears another one."""
    source = write_csv(tmp_path / "calls.csv", calls(12))
    assert crm.run(source, *FAST, "--system", "east").code == 0
    _forget(crm)
    assert crm.run(source, *FAST).code == 8
    adopted = crm.run(source, *FAST, "--adopt")
    assert (adopted.summary["calls"]["adopted"], adopted.summary["calls"]["delivered"]) == (12, 0)
    assert crm.creates() == 12


def test_a_later_night_after_an_adoption_is_stopped_by_nothing_that_was_there_then(crm: Crm, tmp_path: Path) -> None:
    rows = calls(40)
    assert crm.run(write_csv(tmp_path / "first.csv", rows[:30]), *FAST).code == 0
    _forget(crm)
    # Of the leads of these two, most of what is there is seen; of the others, nothing.
    assert crm.run(write_csv(tmp_path / "second.csv", rows[30:32]), *FAST, "--adopt").code == 0
    assert crm.run(write_csv(tmp_path / "third.csv", rows[32:]), *FAST).code == 0
    assert crm.creates() == 40


def test_references_are_not_left_out_of_what_was_enrolled_with_them(crm: Crm, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "calls.csv", calls(6))
    assert crm.run(source, *FAST, "--limit", "2").code == 7
    ended = crm.run(*FAST, "--no-reference")
    assert (ended.code, crm.creates()) == (2, 2)
    assert "name the files again" in ended.summary["error"]
    assert crm.run(source, *FAST, "--no-reference").code == 0
    assert sum("[ref" in str(one["description"]) for one in crm.stored()) == 2


def test_a_plan_looks_before_it_promises(crm: Crm, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "calls.csv", calls(5))
    assert crm.run(source, *FAST).code == 0
    _forget(crm)
    assert crm.run(source, *FAST, "--dry-run").code == 8
    planned = crm.run(source, *FAST, "--dry-run", "--adopt")
    assert (planned.code, planned.summary["calls"]["adopted"]) == (0, 5)
    assert "plan" not in planned.summary
