"""--pilot: what goes first is as varied as the batch is, the same every time, and told of where a person can look."""

import itertools
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from callimport.core import models
from callimport.ledger import Ledger, queries, sample
from callimport.ledger.sample import Candidate
from callimport.load import pilot
from tests import making, rehearsal
from tests.rehearsal import Crm, callimport, calls, write_csv

FAST = ("--rate", "60000/min")
DIRECTIONS = ("incoming", "outgoing")
STATUSES = ("answered", "attempted", "interrupted")
AGENTS = (101, 102, 103, 104, None)
# Nine in ten are of one kind, as in real exports.
COMMON = [Candidate(f"k1:c{number:03}", 5001, "incoming", "answered", 101) for number in range(270)]
VARIED = [
    Candidate(f"k1:v{number:03}", 5002 + number, *kind)
    for number, kind in enumerate(itertools.product(DIRECTIONS, STATUSES, AGENTS))
]
BY_KEY = {one.key: one for one in (*COMMON, *VARIED)}


def _chosen(count: int) -> list[Candidate]:
    return [BY_KEY[key] for key in pilot.choose([*COMMON, *VARIED], count)]


def test_every_direction_outcome_and_agent_is_in_it_however_rare() -> None:
    chosen = _chosen(6)
    assert {one.direction for one in chosen} == set(DIRECTIONS)
    assert {one.status for one in chosen} == set(STATUSES)
    assert {one.agent for one in chosen} == set(AGENTS)


def test_of_many_calls_with_a_recording_and_a_few_without_both_are_in_it() -> None:
    recorded = [Candidate(f"k1:r{number:02}", number, "incoming", "answered", 101, True) for number in range(1, 50)]
    silent = Candidate("k1:s", 99, "incoming", "answered", 101)
    assert silent.key in pilot.choose([*recorded, silent], 2)


def test_leads_differ_where_they_can() -> None:
    chosen = _chosen(20)
    assert len({one.lead_id for one in chosen}) == 20


def test_of_equal_calls_those_of_other_leads_go_first() -> None:
    alike = [
        Candidate(f"k1:{key}", lead_id, "incoming", "answered", 101)
        for key, lead_id in zip("abcd", (1, 1, 2, 3), strict=True)
    ]
    assert pilot.choose(alike, 3) == ("k1:a", "k1:c", "k1:d")


def test_the_same_batch_makes_the_same_choice() -> None:
    assert _chosen(20) == _chosen(20)
    assert _chosen(20)[:6] == _chosen(6)


@pytest.mark.parametrize("count", [1, 7, 299, 300, 1000])
def test_as_many_are_chosen_as_were_asked_for_each_once(count: int) -> None:
    keys = pilot.choose([*COMMON, *VARIED], count)
    assert len(keys) == len(set(keys)) == min(count, 300)


def test_of_nothing_nothing_is_chosen() -> None:
    assert pilot.choose([], 20) == ()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Ten answered incoming calls, then one outgoing one."""
    with closing(making.ledger(tmp_path / "ledger.sqlite3")) as ledger:
        ledger.start_run("run-1")
        many = [making.call(f"A-{row}", row=row, lead_id=5000 + row) for row in range(2, 12)]
        other = making.call(
            "B-1", row=20, direction=models.Direction.OUTGOING, status=models.CallStatus.ATTEMPTED, executed_by=None
        )
        making.enter(ledger, making.batch(), *many, other, run_id="run-1")
        yield ledger


def test_of_each_kind_no_more_are_looked_at_than_could_be_chosen(ledger: Ledger) -> None:
    found = sample.candidates(ledger.database, making.batch().id, each=3)
    kinds = [one.kind for one in found]
    assert sorted(map(str, kinds)) == sorted(
        map(str, [*[("incoming", "answered", 12, False)] * 3, ("outgoing", "attempted", None, False)])
    )


def test_the_ledger_hands_out_the_pilot_and_nothing_else(ledger: Ledger) -> None:
    batch_id = making.batch().id
    assert queries.handed_out(ledger.database) == []
    assert pilot.begin(ledger, batch_id, 3) == 3
    given = []
    while (item := ledger.next_item(batch_id, frozenset())) is not None:
        given.append(item.reference)
        ledger.delivered(
            item.key, ledger.intend(item.key, "run-1"), models.Echo(900 + len(given), {"id": 900 + len(given)})
        )
    assert len(given) == 3
    assert {one.reference for one in queries.handed_out(ledger.database)} == set(given)
    assert models.Direction.OUTGOING in {one.direction for one in queries.handed_out(ledger.database)}
    assert queries.counts(ledger.database)[models.ItemStatus.PENDING] == 8


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[Crm]:
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as running:
        yield running


def test_a_pilot_stops_and_says_where_to_look_and_the_rest_goes_later(crm: Crm, tmp_path: Path) -> None:
    rows = calls(30)
    rows[29] |= {"direction": "incoming", "status": "interrupted", "duration_seconds": "0"}
    source = write_csv(tmp_path / "calls.csv", rows)
    ended = crm.run(source, "--pilot", "6", *FAST)
    assert ended.code == 7, ended.said
    assert rehearsal.adds_up(ended.summary)
    assert (ended.summary["calls"]["delivered"], crm.creates()) == (6, 6)
    told, stored = json.loads(ended.out)["pilot"], crm.stored()
    where = {(one["lead_id"], one["id"]) for one in stored}
    assert {(one["lead_id"], one["communication_id"]) for one in told} == where
    assert {one["type"] for one in stored} == {"incoming", "outgoing"}
    assert "interrupted" in {one["call_status"] for one in stored}
    assert len({one["user_id"] for one in stored}) == 4
    assert f"lead {told[0]['lead_id']}" in ended.err
    assert "555" not in ended.said
    rest = crm.run(source, *FAST)
    assert (rest.code, rest.summary["calls"]["delivered"], rest.summary["calls"]["unchanged"]) == (0, 24, 6)
    assert "pilot" not in rest.summary
    assert len({one["executed_at"] for one in crm.stored()}) == crm.creates() == 30


def test_a_pilot_of_all_there_is_leaves_nothing(crm: Crm, tmp_path: Path) -> None:
    ended = crm.run(write_csv(tmp_path / "calls.csv", calls(3)), "--pilot", "20", *FAST)
    assert (ended.code, ended.summary["calls"]["delivered"]) == (0, 3)


def test_a_pilot_on_the_terminal_says_what_to_do_next(crm: Crm, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "calls.csv", calls(9))
    ended = callimport("run", source, "--destination", "sandbox", "--pilot", "2", *FAST, state=crm.state)
    assert ended.code == 7
    assert "run again without --pilot" in ended.out
    assert all(f"communication {one['id']}" in ended.out for one in crm.stored())


def test_a_pilot_and_a_limit_are_one_too_many(crm: Crm, tmp_path: Path) -> None:
    ended = crm.run(write_csv(tmp_path / "calls.csv", calls(3)), "--pilot", "2", "--limit", "1")
    assert (ended.code, crm.creates()) == (2, 0)
    assert "leave one out" in ended.summary["error"]
