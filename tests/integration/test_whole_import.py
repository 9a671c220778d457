"""The main job, end to end: every valid row in the CRM once, whatever happens on the way."""

import csv
import json
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from tests import rehearsal
from tests.rehearsal import SAMPLES, Crm, adds_up, calls, write_csv

FAST = ("--rate", "60000/min")


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[Crm]:
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as running:
        yield running


@pytest.fixture
def slow_crm(tmp_path: Path) -> Iterator[Crm]:
    """Slow enough that a signal finds requests under way."""
    with rehearsal.crm(tmp_path / "state", "--limit", "100000", "--latency-ms", "40") as running:
        yield running


def _ids(crm: Crm) -> Counter[str]:
    return Counter(one["description"] for one in crm.stored())


def test_sample_data_arrives_once_and_every_broken_row_is_named(tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"
    files = (SAMPLES / "calls.csv", SAMPLES / "messy.csv")
    options = ("--leads", SAMPLES / "leads.csv", "--timezone", "America/Toronto", *FAST, "--rejects", rejects)
    with rehearsal.crm(tmp_path / "state", "--limit", "100000", "--seed", str(SAMPLES / "crm.json")) as crm:
        first = crm.run(*files, *options)
        stored = crm.stored()
        again = crm.run(*files, *options, "--force")
        parquet = crm.run(SAMPLES / "calls.parquet", *FAST)
        sent = crm.creates()

    # The broken rows were reported by the first run.
    assert (first.code, again.code) == (3, 0)
    assert again.summary["known_rejects"] == first.summary["rows"]["rejected"] == again.summary["rows"]["rejected"]
    assert adds_up(first.summary)
    assert adds_up(again.summary)
    assert adds_up(parquet.summary)
    assert first.summary["calls"]["delivered"] == first.summary["rows"]["calls"] == len(stored) == sent
    assert again.summary["calls"]["delivered"] == 0
    assert again.summary["calls"]["unchanged"] == len(stored)
    assert parquet.code == 0
    assert parquet.summary["calls"]["unchanged"] == parquet.summary["rows"]["read"]
    with rejects.open(encoding="utf-8-sig", newline="") as file:
        rejected = list(csv.DictReader(file))
    assert len(rejected) == first.summary["rows"]["rejected"]
    for row in rejected:
        assert row["call_id"].removeprefix("messy-") == row["_reasons"].split(":")[0]
    assert _right_lead_and_time(stored)


def _right_lead_and_time(stored: list[dict[str, object]]) -> bool:
    with (SAMPLES / "calls.csv").open(encoding="utf-8", newline="") as file:
        wanted = {(int(row["lead_id"]), row["customer_phone"], int(row["agent_id"])) for row in csv.DictReader(file)}
    return wanted <= {(one["lead_id"], one["call_phone"], one["user_id"]) for one in stored}


def test_a_mended_reject_file_is_accepted(crm: Crm, tmp_path: Path) -> None:
    rows = calls(3)
    rows[1]["started_at"] = "soon"
    source, rejects = write_csv(tmp_path / "calls.csv", rows), tmp_path / "rejects.csv"
    first = crm.run(source, "--rejects", rejects, *FAST)
    rejects.write_text(rejects.read_text(encoding="utf-8").replace("soon", "2024-05-01T09:07:00-04:00"), "utf-8")
    second = crm.run(rejects, *FAST)

    assert (first.code, second.code) == (3, 0)
    assert second.summary["calls"]["delivered"] == 1
    assert len(crm.stored()) == 3


def test_kill_in_the_middle_loses_nothing_and_sends_nothing_twice(slow_crm: Crm, tmp_path: Path) -> None:
    """What was under way at the kill is looked up, and sent only if it is not there."""
    source = write_csv(tmp_path / "calls.csv", calls(300))
    running = slow_crm.start(source, *FAST)
    slow_crm.wait_for_creates(60)
    running.kill()
    running.communicate()
    again = slow_crm.run(source, *FAST, "--settle", "0.5")

    stored = _ids(slow_crm)
    assert again.code == 0
    assert adds_up(again.summary)
    assert "in doubt until they are looked up" in again.err
    assert (len(stored), max(stored.values())) == (300, 1)


def test_doubt_that_nobody_looked_up_is_listed_and_left_alone(slow_crm: Crm, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "calls.csv", calls(60))
    running = slow_crm.start(source, *FAST)
    slow_crm.wait_for_creates(20)
    running.kill()
    running.communicate()
    second = slow_crm.start(source, *FAST)
    assert second.stderr is not None
    while "are looked up in" not in second.stderr.readline():
        assert second.poll() is None
    second.send_signal(signal.SIGINT)
    out, err = second.communicate(timeout=rehearsal.PATIENCE_SECONDS)
    summary = json.loads(out)

    assert second.returncode == 130
    assert adds_up(summary)
    assert summary["calls"]["in_doubt"] > 0
    assert err.count("the run ended before the answer was recorded") == summary["calls"]["in_doubt"]
    assert max(_ids(slow_crm).values()) == 1


def test_four_percent_of_faults_and_a_kill_make_no_duplicate(tmp_path: Path) -> None:
    """Lost answers, answers that never were, and commits that come after the client has given up."""
    faults = tmp_path / "faults.json"
    kinds = ("commit_then_drop", "drop_before_commit", "commit_then_500", "truncated")
    rules = [{"kind": kind, "method": "POST", "path": "/communications", "probability": 0.02} for kind in kinds]
    faults.write_text(json.dumps({"seed": 7, "rules": rules}))
    source = write_csv(tmp_path / "calls.csv", calls(200))
    options = ("--limit", "100000", "--latency-ms", "20", "--faults", str(faults))
    with rehearsal.crm(tmp_path / "state", *options) as crm:
        running = crm.start(source, *FAST, "--settle", "1")
        crm.wait_for_creates(50)
        running.kill()
        running.communicate()
        ends = [crm.run(source, *FAST, "--settle", "1") for _ in range(3)]
        stored, verdict = _ids(crm), crm.ask("assert")

    assert verdict["duplicates"] == verdict["duplicate_references"] == []
    assert max(stored.values()) == 1
    held = ends[-1].summary["calls"]["held"]
    assert len(stored) + held >= 200
    assert all(adds_up(end.summary) for end in ends)


def test_kill_while_enrolling_starts_over(crm: Crm, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "calls.csv", calls(15_000))
    running = crm.start(source, *FAST)
    assert running.stderr is not None
    assert any(line.startswith("ledger ") for line in running.stderr)
    running.kill()
    running.communicate()
    assert crm.creates() == 0
    again = crm.run(source, "--limit", "3", *FAST)

    assert again.code == 7
    assert again.summary["rows"]["calls"] == 15_000
    assert again.summary["calls"]["pending"] == 14_997
    assert crm.creates() == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_asked_to_stop_it_drains(slow_crm: Crm, tmp_path: Path, number: signal.Signals, code: int) -> None:
    source = write_csv(tmp_path / "calls.csv", calls(300))
    running = slow_crm.start(source, *FAST)
    slow_crm.wait_for_creates(30)
    running.send_signal(number)
    out, err = running.communicate(timeout=rehearsal.PATIENCE_SECONDS)
    summary = json.loads(out)

    assert running.returncode == summary["exit_code"] == code
    assert "Traceback" not in err
    assert adds_up(summary)
    assert summary["calls"]["in_doubt"] == 0
    assert summary["calls"]["delivered"] == len(slow_crm.stored())
    assert summary["calls"]["pending"] > 0
    finished = slow_crm.run(*FAST)
    assert finished.code == 0
    assert finished.summary["calls"]["carried"] == finished.summary["calls"]["delivered"] == summary["calls"]["pending"]
    assert max(_ids(slow_crm).values()) == 1


@pytest.mark.parametrize("with_ids", [True, False])
def test_what_was_pending_under_the_wrong_zone_is_not_sent(slow_crm: Crm, tmp_path: Path, with_ids: bool) -> None:
    rows = [{**row, "started_at": row["started_at"][:19]} for row in calls(200)]
    if not with_ids:
        rows = [{**row, "call_id": ""} for row in rows]
    source = write_csv(tmp_path / "calls.csv", rows)
    running = slow_crm.start(source, "--timezone", "UTC", *FAST)
    slow_crm.wait_for_creates(20)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=rehearsal.PATIENCE_SECONDS)
    sent_wrongly = len(slow_crm.stored())
    right = slow_crm.run(source, "--timezone", "America/Toronto", *FAST, "--allow-updates", "200")
    if not with_ids:
        # Nothing tells that these are the same calls but their even distance from the ones that are known.
        assert right.code == 8
        assert "200 of 200 new calls are 4 h after calls that the ledger knows" in right.err
        assert len(slow_crm.stored()) == sent_wrongly
        status = rehearsal.callimport("status", "--destination", "sandbox", "--json", state=slow_crm.state)
        (waiting,) = json.loads(status.out)["waiting"]
        withdraw = ("withdraw", waiting["batch"], "--destination", "sandbox")
        assert rehearsal.callimport(*withdraw, state=slow_crm.state).code == 0
        right = slow_crm.run(source, "--timezone", "America/Toronto", *FAST)

    # From 09:00 local time on, written 13:00 in the CRM's UTC; under the wrong zone it was written as 09:00.
    later = slow_crm.stored()[sent_wrongly:]
    wanted = {row["started_at"] for row in calls(200)}
    assert {_local(str(one["executed_at"])) for one in later} <= wanted
    assert adds_up(right.summary)
    if with_ids:
        # Those that were sent under the wrong zone are known by their ids, and are put right.
        assert right.summary["calls"]["updated"] == sent_wrongly
        assert {_local(str(one["executed_at"])) for one in slow_crm.stored()} == wanted


def _local(instant: str) -> str:
    return datetime.fromisoformat(instant).astimezone(ZoneInfo("America/Toronto")).isoformat()


def test_nothing_above_the_limit_of_a_fixed_window_is_sent(tmp_path: Path) -> None:
    """200 in 60 s and 190/min, with a window twenty times as short: the rule is the same, the test is not as long."""
    source = write_csv(tmp_path / "calls.csv", calls(240))
    with rehearsal.crm(tmp_path / "state", "--limit", "200", "--window", "3") as crm:
        ended = crm.run(source, "--rate", "190/3s")
    assert ended.code == 0
    assert ended.summary["rate_limited"] == 0
    assert ended.summary["calls"]["delivered"] == 240


def test_the_limit_leaves_the_rest_for_the_next_run(crm: Crm, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "calls.csv", calls(20))
    first = crm.run(source, "--limit", "5", *FAST)
    source.unlink()
    second = crm.run("--limit", "100", *FAST)
    third = crm.run(*FAST)

    assert (first.code, second.code, third.code) == (7, 0, 0)
    assert first.summary["calls"]["delivered"] == 5
    assert second.summary["rows"]["read"] == 0
    assert second.summary["calls"]["carried"] == second.summary["calls"]["delivered"] == 15
    assert third.summary["calls"]["total"] == 0
    instants = [one["executed_at"] for one in crm.stored()]
    assert sorted(instants[:5]) == sorted(instants)[:5]


def test_a_dry_run_writes_nothing_and_its_plan_is_kept_to(crm: Crm, tmp_path: Path) -> None:
    rows = calls(6)
    source = write_csv(tmp_path / "calls.csv", rows)
    dry = crm.run(source, "--dry-run", *FAST)
    assert dry.code == 0
    assert "Rehearsal Motors), not there yet: the import makes it" in dry.err
    assert dry.summary["calls"]["pending"] == 6
    assert crm.creates() == 0
    assert not list((crm.state / "ledgers").glob("*.sqlite3"))

    write_csv(source, rows[:5])
    other = crm.run(source, "--plan", dry.summary["plan"], *FAST)
    assert (other.code, crm.creates()) == (8, 0)
    write_csv(source, rows)
    same = crm.run(source, "--plan", dry.summary["plan"], *FAST)
    assert (same.code, crm.creates()) == (0, 6)


def test_a_dry_run_touches_no_ledger(crm: Crm, tmp_path: Path) -> None:
    """Neither the one it is pointed at, nor which one later runs take for theirs."""
    source, other = write_csv(tmp_path / "calls.csv", calls(5)), tmp_path / "other.sqlite3"
    crm.run(source, *FAST)
    other.touch()
    before = sorted(tmp_path.iterdir())
    # It knows nothing of what the CRM has; the plan of it looks, and says so.
    assert crm.run(source, "--ledger", other, "--dry-run", *FAST).code == 8
    assert other.stat().st_size == 0
    assert [path for path in sorted(tmp_path.iterdir()) if path.suffix != ".lock"] == before
    assert crm.run(source, "--dry-run", *FAST).summary["calls"]["unchanged"] == 5
    assert crm.run(source, *FAST).summary["calls"]["unchanged"] == 5
    assert crm.creates() == 5


def test_a_second_ledger_of_the_same_account_is_turned_away(crm: Crm, tmp_path: Path) -> None:
    """It knows nothing of what the first one sent, and would send it again."""
    source = write_csv(tmp_path / "calls.csv", calls(5))
    crm.run(source, *FAST)
    second = crm.run(source, "--ledger", tmp_path / "second.sqlite3", *FAST)
    assert second.code == 8
    assert "are remembered in" in second.err
    assert crm.creates() == 5
    assert not (tmp_path / "second.sqlite3").exists()


def test_the_same_call_in_csv_and_parquet_is_one(crm: Crm, tmp_path: Path) -> None:
    """pandas writes whole numbers as floats as soon as one of them is missing."""
    rows = [{**row, "call_id": str(number)} for number, row in enumerate(calls(3), start=12)]
    crm.run(write_csv(tmp_path / "calls.csv", rows), *FAST)
    frame = pl.DataFrame(rows).with_columns(pl.col("call_id").cast(pl.Float64), pl.col("lead_id").cast(pl.Float64))
    frame.write_parquet(tmp_path / "calls.parquet")
    again = crm.run(tmp_path / "calls.parquet", *FAST)
    assert again.summary["calls"]["unchanged"] == 3
    frame.with_columns(pl.col("call_id") + 0.1).write_parquet(tmp_path / "fractions.parquet")
    lossy = crm.run(tmp_path / "fractions.parquet", *FAST)
    assert lossy.code == 5
    assert "fractions" in lossy.err
    assert crm.creates() == 3


def test_nobody_listening_is_no_reason_to_stop(slow_crm: Crm, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "calls.csv", calls(80))
    running = slow_crm.start(source, *FAST)
    assert running.stderr is not None
    running.stderr.close()
    out, _ = running.communicate(timeout=rehearsal.PATIENCE_SECONDS)
    assert running.returncode == 0
    assert json.loads(out)["calls"]["delivered"] == len(slow_crm.stored()) == 80


def test_a_reject_of_a_phone_system_can_be_mended(crm: Crm, tmp_path: Path) -> None:
    """Twilio's exports have no column for the lead; its reject file may be given one."""
    columns = ("sid", "from", "to", "status", "start_time", "duration", "direction", "lead_id")
    values = ("CA1", "+15145550101", "+15145550199", "completed", "2024-05-01T13:00:00Z", "60", "inbound", "")
    row = dict(zip(columns, values, strict=True))
    leads = tmp_path / "leads.csv"
    leads.write_text("phone,lead_id\n+15145550101,5001\n+15145550101,5002\n")
    options = ("--profile", "twilio", "--leads", leads, "--unknown-agent", "omit", *FAST)
    assert (
        crm.run(
            write_csv(tmp_path / "a.csv", [{name: row[name] for name in columns[:-1]}], columns[:-1]), *options
        ).summary["rows"]["rejected"]
        == 1
    )
    mended = crm.run(write_csv(tmp_path / "b.csv", [{**row, "lead_id": "5002"}], columns), *options)
    assert mended.code == 0
    assert crm.stored()[-1]["lead_id"] == 5002


def test_what_the_crm_keeps_otherwise_is_said(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "calls.csv", [{**calls(1)[0], "agent_id": "4711"}])
    with rehearsal.crm(tmp_path / "state", "--limit", "100000", "--profile", "sloppy") as crm:
        ended = crm.run(source, *FAST)
    assert ended.code == 0
    assert "otherwise than as sent (user_id)" in ended.err


def test_a_changed_call_is_changed_and_not_sent_again(crm: Crm, tmp_path: Path) -> None:
    rows = calls(4)
    crm.run(write_csv(tmp_path / "calls.csv", rows), *FAST)
    rows[2]["duration_seconds"] = "999"
    changed = crm.run(write_csv(tmp_path / "calls.csv", rows), *FAST)

    assert changed.code == 0
    assert changed.summary["changed"] == 0
    assert (changed.summary["calls"]["unchanged"], changed.summary["calls"]["updated"]) == (3, 1)
    assert [one["call_duration"] for one in crm.stored()].count(999) == 1
    assert crm.creates() == 4


def test_nightly_windows_that_overlap_send_each_call_once(crm: Crm, tmp_path: Path) -> None:
    rows = calls(30)
    windows = [write_csv(tmp_path / f"night-{night}.csv", rows[night * 5 : night * 5 + 20]) for night in range(3)]
    nights = [crm.run(window, *FAST) for window in windows]
    assert [night.code for night in nights] == [0, 0, 0]
    assert [night.summary["calls"]["unchanged"] for night in nights] == [0, 15, 15]
    assert set(_ids(crm).values()) == {1}
    assert len(crm.stored()) == 30


def test_days_are_counted_in_the_zone_and_both_ends_are_in(crm: Crm, tmp_path: Path) -> None:
    times = ["2024-04-30T23:59:59", "2024-05-01T00:00:00", "2024-05-02T23:59:59", "2024-05-03T00:00:00"]
    rows = [{**row, "started_at": time} for row, time in zip(calls(4), times, strict=True)]
    source = write_csv(tmp_path / "calls.csv", rows)
    days = ("--timezone", "America/Toronto", "--since", "2024-05-01", "--until", "2024-05-02")
    ended = crm.run(source, *days, *FAST)

    assert ended.code == 0
    assert ended.summary["skipped"] == {"outside_dates": 2}
    assert ended.summary["calls"]["delivered"] == 2


def test_refused_calls_wait_for_retry(crm: Crm, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "calls.csv", [*calls(2), {**calls(3)[2], "lead_id": "4999"}])
    first = crm.run(source, *FAST)
    second = crm.run(source, *FAST)
    assert (first.code, second.code) == (3, 3)
    assert crm.creates() == 3
    assert "lead_id" in first.err

    retried = rehearsal.callimport("retry", "--refused", "--destination", "sandbox", state=crm.state)
    assert retried.out.startswith("1 pending call again")
    assert f"callimport run --resume {first.summary['batch']} --destination sandbox sends them" in retried.out
    assert crm.run(*FAST).summary["calls"]["refused"] == 1
    assert crm.creates() == 4


def test_a_second_run_on_the_same_ledger_is_turned_away(slow_crm: Crm, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "calls.csv", calls(300))
    first = slow_crm.start(source, "--rate", "600/min")
    slow_crm.wait_for_creates(10)
    second = slow_crm.run(source, *FAST)
    status = rehearsal.callimport("status", "--destination", "sandbox", "--json", state=slow_crm.state)
    # Another ledger does not help: it is the same account, and the same limit.
    third = slow_crm.run(source, "--ledger", tmp_path / "other.sqlite3", *FAST)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=rehearsal.PATIENCE_SECONDS)

    assert (second.code, third.code) == (6, 6)
    assert str(first.pid) in second.err
    assert json.loads(status.out)["running"]["pid"] == first.pid
    assert json.loads(status.out)["running"]["to_do"] == 300
    rested = json.loads(rehearsal.callimport("status", "--destination", "sandbox", "--json", state=slow_crm.state).out)
    assert rested["running"] is None
    assert rested["items"]["delivered"] == len(slow_crm.stored())


def test_no_token_and_no_full_phone_number_is_ever_shown(crm: Crm, tmp_path: Path) -> None:
    rows = [*calls(3), {**calls(4)[3], "lead_id": "4999"}, {**calls(5)[4], "customer_phone": "5145550177"}]
    source = write_csv(tmp_path / "calls.csv", rows)
    said = [crm.run(source, "--log-format", "json", *FAST).said]
    said.append(rehearsal.callimport("run", source, "--destination", "sandbox", state=crm.state).said)
    said.append(rehearsal.callimport("status", "--destination", "sandbox", state=crm.state).said)
    said.append(rehearsal.callimport("status", "--destination", "sandbox", "--json", state=crm.state).said)
    said.append(rehearsal.callimport("check", source, state=crm.state).said)
    wrong_key = crm.address["token"][:-3] + "abc"
    refused = rehearsal.callimport(
        "run", source, "--destination", crm.address["url"], state=crm.state, CALLIMPORT_TOKEN=wrong_key
    )
    said.append(refused.said)

    assert refused.code == 1
    for text in said:
        assert crm.address["token"] not in text
        assert wrong_key not in text
        assert "5145550" not in text
    assert all(path.stat().st_mode & 0o077 == 0 for path in crm.state.rglob("*"))
