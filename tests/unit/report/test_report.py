"""What people and machines are told while a run goes on, and at its end."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from callimport import report
from callimport.core import endings, models
from callimport.profiles import loading
from callimport.report import progress

NOW = datetime(2024, 5, 31, 18, 0, tzinfo=UTC)


def _talk(*, quiet: bool = False, as_json: bool = False) -> tuple[report.Talk, io.StringIO]:
    said = io.StringIO()
    return report.Talk(Console(file=said, width=200), lambda: NOW, quiet=quiet, as_json=as_json), said


def _progress(elapsed_seconds: float, **changes: float) -> models.Progress:
    figures = {"to_do": 2000, "delivered": 900, "refused": 3, "failed": 1, "in_doubt": 2, "requests": 907}
    rates = {"achieved_per_minute": 188.4, "allowed_per_minute": 190.0, "rate_limited": 0}
    return models.Progress(**{"elapsed_seconds": elapsed_seconds, **figures, **rates, **changes})  # type: ignore[arg-type]


def _summary(**changes: object) -> endings.Summary:
    rows, calls = endings.Rows(read=3, rejected=1, calls=2), endings.Calls(total=2, delivered=1, in_doubt=1)
    return endings.Summary("run-1", "7K3Q-2M9D", 4, 12.3, 3, 0, rows, calls, **changes)  # type: ignore[arg-type]


def _listed() -> models.Listed:
    return models.Listed(
        reference="7K3Q-2M9D-XA",
        source="calls.csv",
        row=12,
        status=models.ItemStatus.IN_DOUBT,
        lead_id=5001,
        direction=models.Direction.INCOMING,
        phone="+15145550123",
        started_at=NOW,
        communication_id=None,
        reason="ReadTimeout after the request began to leave",
        was_sent=True,
    )


def test_elsewhere_than_on_a_terminal_a_line_comes_every_thirty_seconds() -> None:
    speaker, said = _talk()
    for second in range(100):
        speaker.progress(_progress(second))
    lines = said.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0] == "906 of 2,000 · 188/min of 190 allowed · 5 min 45 s left · 3 refused · 2 in doubt"


def test_quiet_keeps_warnings_and_errors() -> None:
    speaker, said = _talk(quiet=True)
    speaker.say("ledger here")
    speaker.forecast(2000, 190, NOW)
    speaker.warn("look at this")
    speaker.error("and at this")
    assert said.getvalue() == "warning: look at this\nerror: and at this\n"


def test_a_long_wait_that_the_crm_asked_for_is_said() -> None:
    assert "waiting 1 h 00 min as the CRM asked" in progress.progress_line(_progress(40, paused_seconds=3600))


def test_the_forecast_comes_before_the_start() -> None:
    speaker, said = _talk()
    speaker.forecast(2000, 190.0, NOW)
    assert said.getvalue().startswith("2,000 calls to send at 190/min: about 10 min 32 s, until 2024-05-31 ")


def test_the_forecast_counts_the_leads_that_are_read_first() -> None:
    speaker, said = _talk()
    speaker.forecast(2000, 190.0, NOW, reads=1900)
    told = said.getvalue()
    assert told.startswith(
        "2,000 calls to send and 1,900 leads to read first (--existing) at 190/min: about 20 min 32 s"
    )
    one, other = _progress(40), _progress(40, reads_left=190)
    assert round((other.eta_seconds - one.eta_seconds) * one.allowed_per_minute) == 190 * 60


def test_talk_for_machines_is_a_json_object_a_line() -> None:
    speaker, said = _talk(as_json=True)
    speaker.warn("call +1 (514) 555-0123 back")
    assert json.loads(said.getvalue()) == {
        "time": "2024-05-31T18:00:00+00:00",
        "level": "warning",
        "message": "call +1514•••0123 back",
    }


def test_the_answer_for_a_person_names_every_ending_and_what_to_do() -> None:
    out = io.StringIO()
    findings = (endings.Finding("started_at_future", 1, "started_at is in the future; check", ("calls.csv row 3",)),)
    waiting = (models.Waiting("AAAA-BBBB", 7, {"timezone": "UTC", "pipeline": "1"}),)
    result = endings.Result(_summary(changed=2), findings=findings, in_doubt=(_listed(),), waiting=waiting, ledger="L")
    report.print_result(Console(file=out, width=200), result, sent=True)
    text = out.getvalue()
    assert "never sent again on a guess" in text
    assert "7K3Q-2M9D-XA" in text
    assert "+1514•••0123" in text
    assert "5145550123" not in text
    assert "1  started_at_future        calls.csv row 3\n" in text
    assert "callimport withdraw AAAA-BBBB" in text
    assert "2 delivered calls changed" in text
    assert "(exit 4, 12 s)" in text


@pytest.mark.parametrize(
    ("pending", "changed", "meaning"),
    [
        (5, 0, "would be sent"),
        (5, 3, "2 would be sent, 3 would be changed in the CRM"),
        (3, 3, "would be changed in the CRM"),
    ],
)
def test_a_plan_tells_new_calls_from_changed_ones(pending: int, changed: int, meaning: str) -> None:
    out, calls = io.StringIO(), endings.Calls(total=pending, pending=pending)
    updates = endings.Updates(known=changed)
    result = endings.Result(replace(_summary(), calls=calls), updates=updates)
    report.print_result(Console(file=out, width=200), result, sent=False)
    assert f"{pending}  pending    {meaning}" in [line.strip() for line in out.getvalue().splitlines()]


def test_the_answer_for_machines_is_the_contract() -> None:
    answer = json.loads(report.summary_json(_summary(skipped={"no_lead": 2})))
    assert "reasons" not in answer
    assert list(answer)[:8] == [
        "run_id", "batch", "exit_code", "elapsed_seconds", "requests", "rate_limited", "rows", "calls",
    ]  # fmt: skip
    assert answer["skipped"] == {"no_lead": 2}
    assert "error" not in answer
    assert "plan" not in answer


def test_what_was_left_out_is_told_by_kind_with_examples_and_what_to_do() -> None:
    left_out = (
        endings.LeftOut("no_lead", 12, ("calls.csv row 3", "calls.csv row 4", "calls.csv row 9")),
        endings.LeftOut("fax", 1, ("calls.csv row 5",)),
    )
    what_to_do = (
        "--leads FILE may name it, --find-leads asks the CRM; --unknown-callers FILE lists them, most calls first"
    )
    assert list(report.lists(endings.Result(_summary(), left_out=left_out))) == [
        "left out:",
        "     12  no_lead                  calls.csv row 3, calls.csv row 4, calls.csv row 9, …",
        f"         no lead found for the number: {what_to_do}",
        "      1  fax                      calls.csv row 5",
        "         no voice call",
    ]


def test_every_kind_of_what_is_left_out_is_explained() -> None:
    for kind in (*loading.DROPS, *models.Skip):
        told = list(report.lists(endings.Result(_summary(), left_out=(endings.LeftOut(kind, 1, ()),))))
        assert len(told) == 3, kind


def test_what_was_not_changed_in_the_crm_is_named_with_its_fields(tmp_path: Path) -> None:
    left = replace(_listed(), reason="call_duration, description")
    updates = endings.Updates(
        left=(left,), refused_ones=(replace(_listed(), reason="call_duration: too long"),), failed_ones=(_listed(),)
    )
    result = endings.Result(_summary(), updates=updates)
    told = "\n".join(report.lists(result))
    assert "these fields are left as they are:\n  7K3Q-2M9D-XA" in told
    assert "call_duration, description" in told
    assert "changed in the source, refused by the CRM: callimport retry --refused" in told
    assert "changed in the source, not yet in the CRM: the next run tries again" in told
    assert "5145550123" not in told
    page = tmp_path / "report.html"
    report.write_html(page, result, files=("calls.csv",))
    html = page.read_text(encoding="utf-8")
    assert "Left as a person has it in the CRM" in html
    assert "<td>call_duration, description</td>" in html
    assert "5145550123" not in html


def test_changes_that_are_not_sent_are_listed_where_a_person_asked_for_that() -> None:
    updates = endings.Updates(waiting=1, changed=(replace(_listed(), reason="call_status"),))
    told = list(report.lists(endings.Result(_summary(changed=1), updates=updates)))
    assert told[0].startswith("1 delivered call changed in the source since")
    assert told[1] == "what changed, as it was → as the file has it now:"
    assert told[2].endswith("call_status")


def test_machines_are_told_why_rows_are_rejected() -> None:
    """With --quiet --json in a cron job this is all that anybody sees."""
    finding = endings.Finding("duration_range", 2, "duration_seconds: +15145550123 is odd", ("calls.csv row 2",))
    answer = json.loads(report.summary_json(_summary(), findings=(finding,)))
    assert answer["reasons"] == [{
        "rule": "duration_range", "count": 2, "message": "duration_seconds: +1514•••0123 is odd",
        "examples": ["calls.csv row 2"],
    }]  # fmt: skip
