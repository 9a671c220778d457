"""A recipe drafted from a file that nobody has seen is one that loads, or asks a person what it could not tell."""

from collections.abc import Sequence

import polars as pl
import pytest

from pipeline import model, profile
from pipeline.profile import drafting, parsing


def _peek(*records: Sequence[str]) -> model.Peek:
    return model.Peek(
        tuple((line, tuple(cells)) for line, cells in enumerate(records, start=1)), is_typed=False, told=""
    )


def _made(peek: model.Peek) -> tuple[list[dict[str, object]], str]:
    """The canonical rows by the recipe as it was drafted."""
    text = drafting.draft(peek, "draft")
    recipe = parsing.parsed(text, "draft.toml")
    match = profile.fit(recipe, peek)
    rows = [(line, cells) for line, cells in peek.records if line >= match.layout.first_row]
    frame = pl.DataFrame(
        [cells for _, cells in rows], schema=dict.fromkeys(match.layout.names, pl.String), orient="row"
    )
    frame = frame.with_columns(
        pl.Series("_row", [line for line, _ in rows], dtype=pl.Int64), pl.lit(None, dtype=pl.String).alias("_ragged")
    )
    return profile.canonical(recipe, frame, profile.Given(region="CA")).to_dicts(), text


def _shown(row: dict[str, object]) -> tuple[object, ...]:
    names = ("direction", "status", "started_at", "duration_seconds", "customer_phone", "call_id", "agent_name")
    return tuple(row[name] for name in names)


def test_an_english_report_needs_no_edit() -> None:
    """The columns of Talkdesk (EXPORTS.md, 12)."""
    rows, _ = _made(_peek(
        ["call_id", "type", "start_at", "talk_time", "contact_phone_number", "user_email", "user_name"],
        ["a1", "inbound", "2024-05-31 14:05:09", "62", "+15145550123", "ana@example.com", "Ana Tremblay"],
        ["a2", "outgoing", "2024-05-31 14:15:09", "0", "+15145550124", "luc@example.com", "Luc Gagnon"],
    ))  # fmt: skip
    assert [_shown(row) for row in rows] == [
        ("incoming", None, "2024-05-31 14:05:09", "62", "+15145550123", "a1", "Ana Tremblay"),
        ("outgoing", None, "2024-05-31 14:15:09", "0", "+15145550124", "a2", "Luc Gagnon"),
    ]


def test_a_french_report_needs_no_edit() -> None:
    rows, text = _made(_peek(
        ["Rapport des appels"],
        ["Date", "Heure", "Sens", "Appelant", "Appelé", "Durée", "Statut", "Usager"],
        ["31/05/2024", "14:05:09", "Entrant", "514 555-0123", "101", "00:01:02", "Répondu", "Ana Tremblay"],
        ["31/05/2024", "14:15:09", "Sortant", "101", "514 555-0124", "00:00:00", "Non répondu", "Luc Gagnon"],
    ))  # fmt: skip
    assert [_shown(row) for row in rows] == [
        ("incoming", "answered", "2024-05-31T14:05:09", "62", "+15145550123", None, "Ana Tremblay"),
        ("outgoing", "unanswered", "2024-05-31T14:15:09", "0", "+15145550124", None, "Luc Gagnon"),
    ]
    assert "555-0123" not in text


def test_a_report_without_direction_gets_a_rule_to_look_at() -> None:
    """The columns of 8x8 (EXPORTS.md, 14), without its direction."""
    rows, text = _made(_peek(
        ["Call ID", "Start Time", "Talk Time", "Caller", "Callee", "Status"],
        ["7", "2024-05-31T14:05:09", "0:01:02", "15145550123", "1001", "Completed"],
        ["8", "2024-05-31T14:15:09", "0:00:09", "1001", "15145550124", "Completed"],
    ))  # fmt: skip
    assert [row["direction"] for row in rows] == ["incoming", "outgoing"]
    assert "# ? No column tells the direction" in text


@pytest.mark.parametrize(
    ("header", "row", "question"),
    [
        (
            ["Date", "From", "To", "Direction", "Duration (s)"],
            ["05/06/2024 14:05", "5145550123", "101", "in", "5"],
            "day/month",
        ),
        (
            ["Date", "From", "To", "Direction", "Length"],
            ["2024-05-31 14:05", "5145550123", "101", "in", "5"],
            "or minutes",
        ),
        (
            ["Date", "From", "To", "Direction"],
            ["2024-05-31 14:05", "5145550123", "101", "in"],
            "no column of durations",
        ),
        (["Date", "Direction", "Duration (s)"], ["2024-05-31 14:05", "in", "5"], "no column of phone numbers"),
        (["From", "To", "Direction", "Duration (s)"], ["5145550123", "101", "in", "5"], "no column of dates"),
    ],
)
def test_what_cannot_be_told_is_asked(header: list[str], row: list[str], question: str) -> None:
    text = drafting.draft(_peek(header, row), "draft")
    asked = [line for line in text.splitlines() if line.startswith("# ?")]
    assert any(question in line for line in asked)


def test_a_word_that_nobody_knows_is_left_for_a_person() -> None:
    text = drafting.draft(
        _peek(["Date", "Way", "Phone", "Secs"],
              ["2024-05-31 14:05", "Inbound", "5145550123", "5"], ["2024-05-31 14:06", "Paging", "5145550123", "5"]),
        "draft",
    )  # fmt: skip
    assert '"Inbound" = "incoming"' in text
    assert '# ? "Paging" = ""' in text


def test_a_file_without_a_header_gets_names_to_change() -> None:
    rows = [["2024-05-31 14:05:09", "5145550123", "x"], ["2024-05-31 14:06:09", "5145550124", "x"]]
    text = drafting.draft(_peek(*rows), "draft")
    assert '"column 1", "column 2", "column 3"' in text
