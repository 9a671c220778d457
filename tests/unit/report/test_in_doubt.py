"""What is in doubt, why, and what will be done: in words for whoever reads the terminal."""

import pytest

from callimport.report.in_doubt import doubts_line


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        ("ReadTimeout after the request began to leave", "no answer in time (1)"),
        ("ReadError after the request began to leave", "the connection broke before the answer (1)"),
        ("status 504", "an error of the CRM's (1)"),
        ("RemoteProtocolError after status 201", "stored, but the answer came damaged (1)"),
        ("a 2xx answer without an id", "stored, but the answer came damaged (1)"),
        ("status 201 with an unreadable body", "stored, but the answer came damaged (1)"),
        ("the run ended before the answer was recorded", "under way when a run ended (1)"),
        ("status 408", "an answer that proves nothing (1)"),
    ],
)
def test_doubt_is_told_in_plain_words(evidence: str, said: str) -> None:
    assert said in doubts_line({evidence: 1}, 0, sends=True)


def test_how_many_why_when_and_what_then_stand_in_one_line() -> None:
    reasons = {"status 502": 1, "status 504": 2, "ReadTimeout after the request began to leave": 1}
    line = doubts_line(reasons, 180, sends=True)
    assert line.startswith(
        "4 calls may or may not be in the CRM (in doubt): an error of the CRM's (3), no answer in time (1)."
    )
    assert "looked up in 3 min 00 s" in line
    assert "proved absent is sent again" in line
    assert "\n" not in line


def test_reconcile_says_that_it_sends_nothing() -> None:
    assert "left to the next run" in doubts_line({"status 504": 1}, 0, sends=False)
