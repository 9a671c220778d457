"""How much may go wrong before a run stops or counts as failed, and how long it may last."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from callimport.core import errors, limits
from callimport.core.errors import ExitCode
from callimport.core.signals import Interruption
from tests import rehearsal
from tests.rehearsal import Crm, callimport, calls, write_csv

FAST = ("--rate", "60000/min")
BROKEN = {"started_at": "not a time"}


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[Crm]:
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as running:
        yield running


@pytest.mark.parametrize(
    ("text", "rejected", "stops"),
    [
        ("0", 0, False), ("0", 1, True), ("20", 20, False), ("20", 21, True),
        ("5%", 10, False), ("5%", 11, True), ("0.5 %", 1, False), ("0.5%", 2, True),
    ],
)  # fmt: skip
def test_more_rejects_than_were_allowed_stop(text: str, rejected: int, stops: bool) -> None:
    assert (limits.max_rejects(text).guard(rejected, 200) is not None) is stops


@pytest.mark.parametrize("text", ["", "many", "-1", "101%", "1.5", "5%%", "1e3"])
def test_what_is_no_number_of_rows_is_refused(text: str) -> None:
    with pytest.raises(errors.ConfigError, match="write it as 20, or as 5% of them"):
        limits.max_rejects(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("45min", 2700), ("45 m", 2700), ("8h", 28800), ("1.5h", 5400), ("2d", 172800)]
)
def test_a_length_of_time_is_read(text: str, seconds: int) -> None:
    assert limits.max_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "8", "h", "0h", "8 weeks", "-1h"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(errors.ConfigError, match="write it as 45min or 8h"):
        limits.max_duration(text)


def test_a_word_that_is_no_ending_is_refused() -> None:
    assert limits.fail_on(" No_lead, duplicate ,") == {"no_lead", "duplicate"}
    with pytest.raises(errors.ConfigError, match='"nolead" is not known; use skipped, '):
        limits.fail_on("nolead")


def test_with_too_many_rejects_nothing_is_sent_or_entered(crm: Crm, tmp_path: Path) -> None:
    rows = calls(10)
    rows[3] |= BROKEN
    file, rejects = write_csv(tmp_path / "calls.csv", rows), tmp_path / "rejects.csv"
    plan = crm.run(file, *FAST, "--max-rejects", "5%", "--dry-run")
    assert plan.code == ExitCode.GUARD
    assert plan.summary["rows"]["rejected"] == 1
    stopped = crm.run(file, *FAST, "--max-rejects", "5%", "--rejects", rejects)
    assert stopped.code == ExitCode.GUARD
    assert "1 of 10 rows are rejected, more than --max-rejects 5%: nothing was sent" in stopped.said
    assert rejects.exists()
    assert crm.creates() == 0
    # Not even entered: a run without files has nothing to go on with.
    assert crm.run(*FAST).code == ExitCode.USAGE
    allowed = crm.run(file, *FAST, "--max-rejects", "1")
    assert (allowed.code, crm.creates()) == (ExitCode.ROWS_FAILED, 9)


def test_a_check_says_that_a_run_would_stop(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "calls.csv", [*calls(3), calls(1)[0] | BROKEN])
    ended = callimport("check", file, "--max-rejects", "0", "--json", state=tmp_path)
    assert ended.code == ExitCode.GUARD
    assert "more than --max-rejects 0" in ended.summary["error"]


def test_skipped_calls_are_well_unless_a_person_says_otherwise(crm: Crm, tmp_path: Path) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text("phone,lead_id\n+15145550100,5001\n", "utf-8")
    file = write_csv(tmp_path / "calls.csv", [row | {"lead_id": ""} for row in calls(2)])
    assert crm.run(file, *FAST, "--leads", leads).code == ExitCode.OK
    for word in ("no_lead", "skipped"):
        assert crm.run(file, *FAST, "--leads", leads, "--fail-on", word).code == ExitCode.ROWS_FAILED
    assert crm.run(file, *FAST, "--leads", leads, "--fail-on", "anonymous,duplicate").code == ExitCode.OK


def test_when_the_time_is_up_what_is_left_waits(tmp_path: Path) -> None:
    with rehearsal.crm(tmp_path / "state", "--limit", "100000", "--latency-ms", "100") as crm:
        file = write_csv(tmp_path / "calls.csv", calls(400))
        ended = crm.run(file, "--rate", "1200/min", "--max-duration", "4s")
        assert ended.code == ExitCode.WORK_LEFT, ended.said
        counts = ended.summary["calls"]
        assert (counts["in_doubt"], counts["delivered"] + counts["pending"]) == (0, 400)
        assert len(crm.stored()) == counts["delivered"]
        assert crm.run(*FAST).code == ExitCode.OK
        assert len(crm.stored()) == crm.creates() == 400


def test_a_run_that_is_done_before_its_time_is_well(crm: Crm, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "calls.csv", calls(3))
    assert crm.run(file, *FAST, "--max-duration", "1h").code == ExitCode.OK


async def test_that_the_time_is_up_is_no_persons_request() -> None:
    """Ctrl-C after it asks for a clean end as ever, and does not end the process."""
    asked: list[str] = []
    one = Interruption()
    one.on_request(lambda: asked.append("drain"))
    await one.after(0)
    one.request(ExitCode.INTERRUPTED)
    assert (asked, one.exit_code) == (["drain", "drain"], ExitCode.INTERRUPTED)


async def test_a_persons_request_stays_when_the_time_is_up() -> None:
    one = Interruption()
    one.request(ExitCode.TERMINATED)
    await one.after(0)
    assert one.exit_code is ExitCode.TERMINATED


@pytest.mark.parametrize("option", ["--settle", "--max-recording"])
@pytest.mark.parametrize("number", ["nan", "inf"])
def test_a_number_that_is_none_is_refused(tmp_path: Path, option: str, number: str) -> None:
    """Nothing is ever later than nan: a run would wait for it for good."""
    ended = callimport("run", "calls.csv", option, number, state=tmp_path)
    assert ended.code == ExitCode.USAGE
    assert "is no number of anything" in ended.err
