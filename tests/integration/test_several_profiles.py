"""Exports of two phone systems in one run: the real command, from the plan to the second run."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests import rehearsal
from tests.exporting import write
from tests.rehearsal import Crm, adds_up

_THREE_CX = (
    "Call Time,Call ID,From,To,Direction,Status,Ringing,Talking",
    "2024-05-31 10:00:00,1717164000.1,5145550123,Ana (101),Inbound,Answered,00:00:05,00:01:00",
    "2024-05-31 11:00:00,1717167600.1,Ana (101),5145550124,Outbound,Answered,00:00:05,00:02:00",
    "soon,9,5145550129,Ana (101),Inbound,Answered,00:00:05,00:01:00",
)
_FREEPBX = (
    "calldate,src,dst,dcontext,dstchannel,lastapp,billsec,disposition,uniqueid,linkedid",
    "2024-05-31 10:00:00,5145550125,600,ext-group,PJSIP/101-0,Dial,0,NO ANSWER,1717164000.1,1717164000.1",
    "2024-05-31 10:00:04,5145550125,600,ext-group,PJSIP/102-0,Dial,45,ANSWERED,1717164000.1,1717164000.1",
    "2024-05-31 12:00:00,5145550126,600,ext-group,PJSIP/101-0,Dial,30,ANSWERED,1717171200.1,1717171200.1",
)
_FAST = ("--rate", "60000/min", "--timezone", "America/Toronto", "--unknown-agent", "omit")


def _files(folder: Path) -> tuple[Path, Path, Path]:
    """The export of either system, and a leads file with the leads of the sandbox."""
    leads = write(folder / "leads.csv", "phone,lead_id", *(f"+15145550{123 + n},{5001 + n}" for n in range(7)))
    return write(folder / "a.csv", *_THREE_CX), write(folder / "b.csv", *_FREEPBX), leads


def _keys(crm: Crm) -> set[tuple[str, str]]:
    (ledger,) = (crm.state / "ledgers").glob("*.sqlite3")
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as database:
        return set(database.execute("SELECT key, system FROM item"))


def test_two_systems_in_one_run_are_planned_sent_resumed_and_then_unchanged(tmp_path: Path) -> None:
    three_cx, freepbx, leads = _files(tmp_path)
    both = (three_cx, freepbx, "--leads", leads, *_FAST)
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as crm:
        planned = crm.run(*both, "--dry-run")
        first = crm.run(*both, "--plan", planned.summary["plan"], "--limit", "1")
        rest = crm.run(*both, "--plan", planned.summary["plan"])
        again = crm.run(freepbx, three_cx, "--leads", leads, *_FAST)
        together, stored = _keys(crm), crm.stored()
        refused = crm.run(*both, "--system", "north")

    # Of either system a row, and of FreePBX a second leg, is rejected or joined.
    assert planned.summary["rows"] == {"read": 6, "joined": 1, "dropped": 0, "rejected": 1, "calls": 4}
    assert (planned.code, first.code, rest.code, again.code, refused.code) == (3, 3, 0, 0, 2)
    assert all(adds_up(one.summary) for one in (planned, first, rest, again))
    assert (first.summary["calls"]["delivered"], rest.summary["calls"]["delivered"]) == (1, 3)
    assert (again.summary["calls"]["unchanged"], again.summary["calls"]["delivered"]) == (4, 0)
    assert planned.summary["batch"] == rest.summary["batch"] == again.summary["batch"]
    assert sorted(one["lead_id"] for one in stored) == [5001, 5002, 5003, 5004]
    assert "--system names one installation, and the files are of 2 profiles (3cx, freepbx)" in refused.err

    with rehearsal.crm(tmp_path / "apart", "--limit", "100000") as crm:
        for file in (three_cx, freepbx):
            crm.run(file, "--leads", leads, *_FAST)
        assert _keys(crm) == together


def test_a_call_of_two_systems_that_waits_for_its_lead_goes_with_the_file_of_its_own_system(tmp_path: Path) -> None:
    three_cx, freepbx, leads = _files(tmp_path)
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as crm:
        few = write(tmp_path / "few.csv", "phone,lead_id", "+15145550123,5001")
        waiting = crm.run(three_cx, freepbx, "--leads", few, *_FAST)
        later = crm.run(write(tmp_path / "c.csv", _THREE_CX[0]), "--leads", leads, *_FAST)

    assert (waiting.summary["calls"]["delivered"], waiting.summary["skipped"]) == (1, {"no_lead": 3})
    assert (later.summary["calls"]["carried"], later.summary["calls"]["delivered"]) == (1, 1)


def test_of_a_call_that_two_systems_recorded_the_later_one_is_held(tmp_path: Path) -> None:
    _, freepbx, leads = _files(tmp_path)
    same = "2024-05-31 12:00:02,7,5145550126,Ana (101),Inbound,Answered,00:00:01,00:00:29"
    three_cx = write(tmp_path / "a.csv", *_THREE_CX[:3], same)
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as crm:
        first = crm.run(three_cx, freepbx, "--leads", leads, *_FAST)
        again = crm.run(three_cx, freepbx, "--leads", leads, *_FAST)
        stored = crm.stored()

    assert (first.code, again.code) == (4, 4)
    assert (first.summary["calls"]["held"], first.summary["calls"]["delivered"]) == (1, 4)
    assert (again.summary["calls"]["held"], again.summary["calls"]["unchanged"]) == (1, 4)
    assert len(stored) == 4
    assert "row 4 of b.csv" in first.said


def test_a_placeholder_as_id_updates_no_call(tmp_path: Path) -> None:
    header = "direction,started_at,duration_seconds,customer_phone,lead_id,call_id"
    rows = {hour: f"incoming,2024-06-03T{hour}:00:00-04:00,{hour},+15145550140,5001,none" for hour in (10, 16)}
    nights = [write(tmp_path / f"night{hour}.csv", header, row) for hour, row in rows.items()]
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as crm:
        summaries = [crm.run(night, *_FAST).summary for night in nights]
        stored = crm.stored()
    assert [one["calls"]["delivered"] for one in summaries] == [1, 1]
    assert len(stored) == 2
