"""A draft of the agents file: everybody named, how often and when, who is known, and a suggestion for the rest."""

import csv
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from callimport import importer
from callimport.core import errors
from callimport.resolve import agents_file
from callimport.resolve.agents_draft import HEADER, AgentsFound
from tests import exporting

_AT = pl.Datetime("us", "UTC")
_SCHEMA = pl.Schema(
    {"agent_email": pl.String(), "agent_name": pl.String(), "agent_extension": pl.String(), "started_at": _AT}
)


def _calls(*calls: tuple[str | None, str | None, str | None, int]) -> pl.DataFrame:
    """Email, name, extension, and a day of May 2024 at 02:00 UTC."""
    rows = [(*agent, datetime(2024, 5, day, 2, 0, tzinfo=UTC)) for *agent, day in calls]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def test_each_agent_is_a_line_with_calls_and_days_most_calls_first(tmp_path: Path) -> None:
    found = AgentsFound()
    found.see(_calls((None, "Bo", "201", 9), ("a@example.com", "Amélie", None, 3), (None, None, None, 4)))
    found.see(_calls((None, "Bo", "201", 5), (None, "=cmd", None, 6)))
    assert found.write(tmp_path / "draft.csv", "America/Toronto", None) == 3
    assert _read(tmp_path / "draft.csv") == [
        list(HEADER),
        ["201", "Bo", "", "", "", "2", "2024-05-04", "2024-05-08", ""],
        ["", "Amélie", "a@example.com", "", "", "1", "2024-05-02", "2024-05-02", ""],
        ["", "'=cmd", "", "", "", "1", "2024-05-05", "2024-05-05", ""],
    ]


def test_what_the_agents_file_knows_is_filled_in_and_what_is_near_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "agents.csv").write_text(
        "extension,name,email,user_id\n201,Bo,,12\n,Amélie Tremblay,at@example.com,\n202,,,13\n202,,,13\n", "utf-8"
    )
    found = AgentsFound()
    found.see(_calls(*((None, name, extension, 1) for name, extension in [
        ("Bo", None), ("Amélie Trembley", None), (None, "202"), ("Zacharie Dubé", "300"), ("Zacharie Dube", None),
        (None, "303"),
    ])))  # fmt: skip
    found.write(tmp_path / "draft.csv", None, agents_file.read(tmp_path / "agents.csv"))
    lines = {row[1] or row[0]: (row[3], row[4], row[8]) for row in _read(tmp_path / "draft.csv")[1:]}
    assert lines == {
        "Bo": ("", "12", ""),
        "202": ("", "13", ""),
        "Amélie Trembley": ("", "", "at@example.com? line 3 of the agents file has nearly this name"),
        "Zacharie Dubé": ("", "", "the same person as Zacharie Dube?"),
        "Zacharie Dube": ("", "", "the same person as Zacharie Dubé?"),
        "303": ("", "", ""),
    }


def test_a_draft_is_an_agents_file(tmp_path: Path) -> None:
    found = AgentsFound()
    found.see(_calls((None, "Bo", "201", 9)))
    found.write(tmp_path / "draft.csv", None, None)
    text = (tmp_path / "draft.csv").read_text("utf-8-sig").replace("201,Bo,,,,", "201,Bo,,,12,")
    (tmp_path / "agents.csv").write_text(text, "utf-8")
    (entry,) = agents_file.read(tmp_path / "agents.csv").entries
    assert (entry.extension, entry.target) == ("201", 12)


def test_check_drafts_the_agents_of_an_export_and_calls_no_reject_what_only_the_crm_knows(tmp_path: Path) -> None:
    rows = [
        f"c{n},5003,incoming,answered,2024-05-31T14:05:0{n}-04:00,9,+15145550123,{name}"
        for n, name in enumerate(["Bo", "Bo", ""])
    ]
    export = exporting.write(
        tmp_path / "calls.csv",
        "call_id,lead_id,direction,status,started_at,duration_seconds,customer_phone,agent_name",
        *rows,
    )
    result = exporting.check(export, draft_agents=tmp_path / "draft.csv", unknown_agent="reject")
    assert result.told[0] == "2 calls of agents to be looked up among the CRM's users: Bo (2)"
    assert exporting.rules(result) == {"agent_unknown": 1}
    assert result.summary.calls.pending == 2
    assert [row[1] for row in _read(tmp_path / "draft.csv")[1:]] == ["Bo"]
    said = f"agents {tmp_path / 'draft.csv'}: 1; fill in email or user_id, then give it to --agents"
    assert result.told[-1] == said


def test_what_check_has_written_is_told(tmp_path: Path) -> None:
    page, callers = tmp_path / "page.html", tmp_path / "callers.csv"
    export = exporting.write(
        tmp_path / "calls.csv",
        "direction,started_at,duration_seconds,customer_phone,agent_id",
        "incoming,2024-05-31T14:05:00-04:00,9,+15145550123,12",
    )
    settings = exporting.settings(export, unknown_callers=callers)
    result = importer.check(settings, exporting.tools(), html=page)
    assert result.told == (
        f"unknown callers {callers}: 1 without a lead, most calls first",
        f"page {page}: the report, for whoever made the export",
    )
    assert page.exists()
    # The same command again, as after a dry run; not over what a person has worked on.
    assert importer.check(settings, exporting.tools()).told == result.told[:1]
    callers.write_text(callers.read_text("utf-8") + "5145550124,1,1,0,,\n", "utf-8")
    with pytest.raises(errors.ConfigError, match="was worked on"):
        importer.check(settings, exporting.tools())


@pytest.mark.parametrize("policy", ["reject", "omit"])
def test_an_agents_file_resolves_offline(tmp_path: Path, policy: str) -> None:
    export = exporting.write(
        tmp_path / "calls.csv",
        "lead_id,direction,started_at,duration_seconds,customer_phone,agent_extension",
        "5003,incoming,2024-05-31T14:05:00-04:00,9,+15145550123,201",
        "soon,incoming,2024-05-31T14:06:00-04:00,9,+15145550123,201",
    )
    agents = exporting.write(tmp_path / "agents.csv", "extension,user_id", "201,12")
    result = exporting.check(export, agents=agents, unknown_agent=policy)
    # The broken row is not told that nobody is named, for somebody is.
    assert exporting.rules(result) == {"lead_id_number": 1}
    (call,) = exporting.calls_of(export, agents=agents, unknown_agent=policy)
    assert call["executed_by"] == 12
