"""Looking up by every run and by `callimport reconcile`: the real command, the real rehearsal CRM, its faults."""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import rehearsal
from tests.rehearsal import Crm, Ended, adds_up, callimport, calls, write_csv

FAST = ("--rate", "60000/min")
SOON = ("--settle", "0.3")


@contextmanager
def _faulty(folder: Path, *rules: dict[str, Any]) -> Iterator[Crm]:
    faults = folder / "faults.json"
    creates = {"method": "POST", "path": "/communications"}
    faults.write_text(json.dumps({"seed": 1, "rules": [creates | rule for rule in rules]}))
    with rehearsal.crm(folder / "state", "--limit", "100000", "--faults", str(faults)) as crm:
        yield crm


def _reconcile(crm: Crm, *options: str) -> Ended:
    destination = () if "--accept" in options or "--resend" in options else (*FAST, *SOON)
    return callimport("reconcile", "--destination", "sandbox", *destination, *options, state=crm.state)


def _in_doubt(crm: Crm, source: Path) -> None:
    """A run that is interrupted while it waits for its doubts to ripen."""
    running = crm.start(source, *FAST, "--settle", "600")
    assert running.stderr is not None
    while "are looked up in" not in running.stderr.readline():
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=rehearsal.PATIENCE_SECONDS)
    assert running.returncode == 130
    assert adds_up(json.loads(out))
    assert json.loads(out)["calls"]["in_doubt"] > 0


def _once_each(crm: Crm, count: int) -> bool:
    stored = Counter(one["executed_at"] for one in crm.stored())
    return (len(stored), max(stored.values())) == (count, 1)


def test_a_lost_answer_is_found_by_the_same_run(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "calls.csv", calls(12))
    with _faulty(tmp_path, {"kind": "commit_then_drop", "nth": 4}) as crm:
        ended = crm.run(source, *FAST, *SOON)
        assert ended.code == 0, ended.said
        assert ended.summary["calls"]["delivered"] == 12
        assert crm.creates() == 12
        assert _once_each(crm, 12)


def test_a_dropped_request_is_sent_again_by_the_same_run(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "calls.csv", calls(12))
    with _faulty(tmp_path, {"kind": "drop_before_commit", "nth": 4}) as crm:
        ended = crm.run(source, *FAST, *SOON)
        assert ended.code == 0, ended.said
        assert ended.summary["calls"]["delivered"] == 12
        assert crm.creates() == 13
        assert _once_each(crm, 12)


def test_a_limit_that_is_used_up_leaves_no_doubt_behind(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "calls.csv", calls(12))
    with _faulty(tmp_path, {"kind": "commit_then_drop", "nth": 2}) as crm:
        ended = crm.run(source, *FAST, *SOON, "--limit", "3")
        assert ended.code == 7, ended.said
        assert (ended.summary["calls"]["delivered"], ended.summary["calls"]["in_doubt"]) == (3, 0)


def test_ctrl_c_while_waiting_for_settle_ends_at_once_and_the_command_settles_later(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "calls.csv", calls(12))
    rules = ({"kind": "commit_then_drop", "nth": 4}, {"kind": "drop_before_commit", "nth": 7})
    with _faulty(tmp_path, *rules) as crm:
        _in_doubt(crm, source)
        looked_up = _reconcile(crm, "--json")
        answer = json.loads(looked_up.out)
        assert looked_up.code == answer["exit_code"] == 0, looked_up.said
        assert answer["verdicts"] == {"found": 1, "absent": 1, "held": 0}
        assert (answer["in_doubt"], answer["held"]) == (0, 0)
        assert answer["pending"] >= 1
        assert crm.creates() == 12 - (answer["pending"] - 1)
        assert crm.run(*FAST, *SOON).code == 0
        assert _once_each(crm, 12)


def test_a_call_of_an_earlier_batch_that_proves_absent_is_sent_by_the_run_that_reads_it_again(tmp_path: Path) -> None:
    """The nightly windows overlap: the batch is another one, the call is the same."""
    rows = calls(12)
    with _faulty(tmp_path, {"kind": "drop_before_commit", "nth": 4}) as crm:
        _in_doubt(crm, write_csv(tmp_path / "tonight.csv", rows[:8]))
        ended = crm.run(write_csv(tmp_path / "tomorrow.csv", rows), *FAST, *SOON)
        assert ended.code == 0, ended.said
        assert ended.summary["calls"]["pending"] == 0
        assert _once_each(crm, 12)


def test_the_first_call_lost_is_looked_up_and_all_arrive(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "calls.csv", calls(40))
    with _faulty(tmp_path, {"kind": "drop_before_commit", "nth": 1}) as crm:
        ended = crm.run(source, *FAST, *SOON)
        assert ended.code == 0, ended.said
        assert _once_each(crm, 40)


def _held_one(crm: Crm, folder: Path) -> tuple[str, Ended]:
    """Sent without references, a lost answer is held. Its key, and what is said of it."""
    run = crm.run(write_csv(folder / "calls.csv", calls(2)[:1]), "--no-reference", *FAST, *SOON)
    assert run.code == 4, run.said
    listed = _reconcile(crm, "--json")
    answer = json.loads(listed.out)
    assert listed.code == answer["exit_code"] == 4
    return answer["listed"][0]["reference"], listed


def test_a_held_call_is_listed_then_sent_again_by_a_person(tmp_path: Path) -> None:
    with _faulty(tmp_path, {"kind": "drop_before_commit", "nth": 1}) as crm:
        key, listed = _held_one(crm, tmp_path)
        assert "without references that is no proof" in listed.out
        assert "5550100" not in listed.said
        resent = _reconcile(crm, "--resend", key)
        assert resent.code == 0, resent.said
        assert "second copy" in resent.err
        assert "1 call for the next run to send" in resent.out
        assert "1 pending call: callimport run" in resent.out
        assert crm.creates() == 1
        assert crm.run(*FAST, "--no-reference").code == 0
        assert _once_each(crm, 1)


def test_a_held_call_is_accepted_by_a_person_and_never_sent_again(tmp_path: Path) -> None:
    with _faulty(tmp_path, {"kind": "drop_before_commit", "nth": 1}) as crm:
        key, _ = _held_one(crm, tmp_path)
        accepted = _reconcile(crm, "--accept", key, "42534452", "--json")
        assert accepted.code == 0, accepted.said
        assert json.loads(accepted.out)["decided"] == {"accepted": 1, "resent": 0}
        again = crm.run(tmp_path / "calls.csv", "--no-reference", *FAST)
        assert again.summary["calls"]["unchanged"] == 1
        assert crm.creates() == 1


def test_deciding_what_is_not_held_is_an_error_in_one_line(tmp_path: Path) -> None:
    with _faulty(tmp_path) as crm:
        crm.run(write_csv(tmp_path / "calls.csv", calls(1)), *FAST)
        for option in (("--resend", "7K3Q-2M9D-XA"), ("--accept", "7K3Q-2M9D-XA", "5")):
            ended = _reconcile(crm, *option, "--quiet")
            assert ended.code == 2
            assert "no held call has the key 7K3Q-2M9D-XA" in ended.err
        assert _reconcile(crm).code == 0


def test_without_a_ledger_there_is_nothing_to_settle(tmp_path: Path) -> None:
    with _faulty(tmp_path) as crm:
        ended = _reconcile(crm)
        assert ended.code == 2
        assert "there is no ledger" in ended.err
        assert not list(crm.state.rglob("*.sqlite3"))
