"""A rehearsal in a browser: the calls stand where they belong, and nothing that was imported comes alive."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import rehearsal
from tests.browser import chromium

EVIL = "<script>alert('imported')</script><img src=http://crm.example onerror=alert(1)>"
# In this order in the file; the last took place first, on the day on which the clocks went forward.
CALLS = rehearsal.calls(3, lead_id="5001", agent_id="101", customer_phone="+15145550101")
CALLS[0] |= {"started_at": "2024-05-01T09:00:00-04:00", "duration_seconds": "95", "description": EVIL}
CALLS[1] |= {"started_at": "2024-05-02T18:30:00-04:00", "status": "attempted", "duration_seconds": "0"}
CALLS[2] |= {"started_at": "2024-03-10T03:00:00-04:00", "direction": "incoming", "duration_seconds": "3725"}


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rehearsal.Crm]:
    """A rehearsal that is done: three calls imported by the real command, one with a recording."""
    folder = tmp_path_factory.mktemp("rehearsal")
    with rehearsal.crm(folder / "state", "--limit", "6000") as running:
        export = rehearsal.write_csv(folder / "calls.csv", CALLS)
        ended = running.run(export, "--profile", "canonical", "--rate", "5700/min")
        assert ended.code == 0, ended.said
        first = next(one for one in running.stored() if one["call_duration"] == 95)
        answer = httpx.post(
            f"{running.address['url']}/communications/{first['id']}/recording",
            headers={"Authorization": f"Bearer {running.address['token']}", "Accept": "application/json"},
            files={"recording": ("call.mp3", b"ID3\x04" + bytes(2_000_000))},
            trust_env=False,
        )
        assert answer.status_code == 200
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    if chromium.binary() is None:
        pytest.fail("no Chromium found: apt install chromium chromium-driver")
    with chromium.opened(tmp_path_factory.mktemp("chromium")) as window:
        yield window


def test_person_finds_the_lead_and_sees_its_calls_in_their_order(crm: rehearsal.Crm, browser: chromium.Browser) -> None:
    browser.open(f"{crm.address['control_url']}/")
    assert crm.address["account_name"] in browser.title()
    assert browser.rows()[0][0] == "5001"
    browser.follow("5001")
    assert browser.texts("h1") == ["Amélie Tremblay, lead 5001"]
    shown = browser.rows()
    assert [row[0] for row in shown] == [
        "2024-05-02 22:30:00 +0000",
        "2024-05-01 13:00:00 +0000",
        "2024-03-10 07:00:00 +0000",
    ]
    assert [row[1:4] for row in shown] == [
        ["outgoing", "attempted", "0:00"],
        ["incoming", "answered", "1:35"],
        ["incoming", "answered", "1:02:05"],
    ]
    assert {row[4] for row in shown} == {"Sophie Gendron"}
    assert [row[7] for row in shown] == ["no", "mp3, 2.0 MB", "no"]
    assert browser.complaints() == []


def test_person_reads_the_times_in_their_own_zone(crm: rehearsal.Crm, browser: chromium.Browser) -> None:
    browser.open(f"{crm.address['control_url']}/leads/5001")
    browser.write("input[name=timezone]", "America/Toronto")
    browser.click("button")
    assert [row[0] for row in browser.rows()] == [
        "2024-05-02 18:30:00 -0400",
        "2024-05-01 09:00:00 -0400",
        "2024-03-10 03:00:00 -0400",
    ]
    browser.follow("All leads")
    browser.write("input[name=find]", "5550101")
    browser.click("button")
    assert [row[0] for row in browser.rows()] == ["5001"]
    assert browser.rows()[0][-1].endswith(("-0500", "-0400"))


def test_what_was_imported_is_read_and_not_run(crm: rehearsal.Crm, browser: chromium.Browser) -> None:
    browser.open(f"{crm.address['control_url']}/leads/5001")
    assert any(row[6].startswith(EVIL) for row in browser.rows())
    assert not browser.has_dialog()
    assert browser.script("return [document.scripts.length, document.images.length]") == [0, 0]
    assert browser.script("return performance.getEntriesByType('resource').length") == 0


def test_page_refuses_a_script_that_got_in_all_the_same(crm: rehearsal.Crm, browser: chromium.Browser) -> None:
    browser.open(f"{crm.address['control_url']}/leads/5001")
    intruder = "const one = document.createElement('script'); one.text = 'window.intruded = true';"
    browser.script(f"{intruder} document.body.append(one)")
    assert browser.script("return window.intruded === undefined") is True
    assert any("Content Security Policy" in complaint for complaint in browser.complaints())


def test_report_of_a_check_is_read_without_a_complaint(browser: chromium.Browser, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    sample = rehearsal.SAMPLES / "messy.csv"
    rehearsal.callimport("check", sample, "--profile", "canonical", "--html", page, state=tmp_path / "state")
    browser.complaints()
    browser.open(page.as_uri())
    assert browser.texts("h1")
    assert browser.complaints() == []
