"""A word for nothing is a blank: before any rule, in every format, unless the profile says that it is a value."""

from collections import Counter
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from callimport.core import phones
from callimport.profiles import blanks, loading, profile
from tests import exporting

_RECIPE = """
version = 1
name = "x"
title = "x"
system = "x"
identity = true
other_columns = "ignore"
optional = ["call_id", "agent_name", "description", "recording", "lead_id"]
not_blank = {not_blank}
[columns]
call_id = {call_id}
lead_id = "Lead"
started_at = "Start"
direction = "Way"
customer_phone = "Number"
duration_seconds = "Talk"
agent_name = "Agent"
description = "Note"
recording = "File"
[values.direction]
in = "incoming"
none = "outgoing"
[legs]
join = {join}
leg = {{ text = "{{Id}}/{{Part}}" }}
"""
_CELLS = {
    "Id": "a1", "Part": "0", "Lead": "5000", "Start": "2024-05-31T14:05:09-04:00", "Way": "in",
    "Number": "+15145550123", "Talk": "60", "Agent": "Ana", "Note": "called", "File": "a.wav",
}  # fmt: skip
_EVERY_WORD = sorted(
    {*blanks.WORDS, *(word.lower() for word in blanks.WORDS), *(word.upper() for word in blanks.WORDS)}
)


def _recipe(call_id: str = '"Id"', join: str = '"Id"', not_blank: str = "[]") -> profile.Profile:
    return loading.parsed(_RECIPE.format(call_id=call_id, join=join, not_blank=not_blank), "x.toml")


def _made(recipe: profile.Profile, *rows: dict[str, str], counts: blanks.Counts | None = None) -> pl.DataFrame:
    frame = pl.DataFrame([_CELLS | cells for cells in rows]).with_columns(
        pl.int_range(2, 2 + len(rows), dtype=pl.Int64).alias("_row"), pl.lit(None, pl.String).alias("_ragged")
    )
    return profile.canonical(recipe, frame, profile.Given(phones.Dialling()), counts)


@pytest.mark.parametrize("word", _EVERY_WORD)
@pytest.mark.parametrize(
    ("column", "canonical"),
    [("Id", "call_id"), ("Lead", "lead_id"), ("Agent", "agent_name"), ("Note", "description"), ("File", "recording"),
     ("Talk", "duration_seconds"), ("Start", "started_at")],
)  # fmt: skip
def test_a_word_that_means_nothing_is_read_as_a_blank_cell(word: str, column: str, canonical: str) -> None:
    counts: blanks.Counts = Counter()
    made = _made(_recipe(), {column: f" {word} "}, counts=counts)
    assert made.drop("_row").rows() == _made(_recipe(), {column: ""}).drop("_row").rows()
    assert made[canonical].to_list() == [None]
    assert counts == {(column, word): 1}


@pytest.mark.parametrize("word", ["0", "-", "unknown", "Unknown", "UNKNOWN", "none", "--", "?"])
def test_a_placeholder_is_no_id(word: str) -> None:
    counts: blanks.Counts = Counter()
    made = _made(_recipe(), {"Id": word, "Lead": word, "File": word, "Note": word}, counts=counts)
    assert made.select("call_id", "lead_id", "recording", "_group").row(0) == (None, None, None, None)
    assert {column for column, _ in counts} >= {"Id", "Lead", "File"}


def test_a_placeholder_elsewhere_is_what_it_says() -> None:
    made = _made(_recipe(), {"Note": "unknown", "Talk": "0"})
    assert made.select("description", "duration_seconds").row(0) == ("unknown", "0")


def test_an_id_of_several_columns_is_none_if_one_of_them_is_none_and_a_leg_if_all_are() -> None:
    rows = ({"Part": "0", "Id": "7"}, {"Part": "0", "Id": "0"}, {"Part": "NULL", "Id": "7"})
    for join, groups in (("{Part}:{Id}", [None, None, None]), ("{Id} {Part}", ["7 0", None, None])):
        made = _made(_recipe('{ text = "{Part}:{Id}" }', f'{{ text = "{join}" }}'), *rows)
        assert made["call_id"].to_list() == [None, None, None]
        assert made["_group"].to_list() == groups
        assert made["_leg"].to_list() == ["7/0", None, None]


def test_a_placeholder_names_no_agent_and_a_time_that_never_was_is_blank() -> None:
    made = _made(_recipe(), {"Agent": "-"}, {"Agent": "Unknown"}, {"Start": "0000-00-00 00:00:00"})
    assert made["agent_name"].to_list() == [None, None, "Ana"]
    assert made["started_at"].to_list()[2] is None


def test_a_word_is_a_value_where_the_profile_says_so() -> None:
    made = _made(_recipe(), {"Way": "None"}, {"Way": "NULL"})
    assert made["direction"].to_list() == ["outgoing", None]
    kept = _made(_recipe(not_blank='["NULL", "0"]'), {"Agent": "Null", "Id": "0", "Note": "N/A"})
    assert kept.select("agent_name", "call_id", "description").row(0) == ("Null", "0", None)


def _file(folder: Path, name: str, frame: pl.DataFrame) -> Path:
    path = folder / name
    if path.suffix == ".csv":
        frame.write_csv(path)
    elif path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        book = openpyxl.Workbook()
        assert book.active is not None
        for row in (frame.columns, *frame.rows()):
            book.active.append(list(row))
        book.save(path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_calls_are_the_same_with_blanks_and_with_words_whatever_the_format(tmp_path: Path, suffix: str) -> None:
    cells = ("incoming", "2024-05-31T14:01:09-04:00", "60", "+15145550101")
    blank = pl.DataFrame(
        [(*cells, "", "", "", ""), (*cells[:1], "2024-05-31T15:01:09-04:00", *cells[2:], "c2", "7", "note", "a.wav")],
        schema=["direction", "started_at", "duration_seconds", "customer_phone", "call_id", "agent_id", "description",
                "recording"],
        orient="row",
    )  # fmt: skip
    words = blank.with_columns(
        pl.when(pl.col(name) == "").then(pl.lit(word)).otherwise(pl.col(name)).alias(name)
        for name, word in (("call_id", "0"), ("agent_id", "none"), ("description", "#N/A"), ("recording", "\\N"))
    )
    usual = exporting.calls_of(_file(tmp_path, f"blank{suffix}", blank))
    assert len(usual) == 2
    assert exporting.calls_of(_file(tmp_path, f"words{suffix}", words)) == usual


def test_the_report_counts_what_was_read_as_blank(tmp_path: Path) -> None:
    lines = ["direction,started_at,duration_seconds,customer_phone,call_id,description"]
    lines += [f"incoming,2024-05-31T14:0{n}:09-04:00,60,+1514555010{n},0,N/A" for n in range(3)]
    result = exporting.check(exporting.write(tmp_path / "calls.csv", *lines), leads=exporting.leads(tmp_path))
    assert result.summary.calls.pending == 3
    assert result.told[0] == "cells that mean nothing, read as blank: 0 3 (in call_id); N/A 3 (in description)"


# ── ids that a spreadsheet cut short ─────────────────────────────────────────────────────────────────────────────────


def _rules(*ids: str) -> list[list[str]]:
    made = _made(_recipe(), *({"Id": one} for one in ids))
    return [[fault["rule"] for fault in faults] for faults in made["_faults"]]


@pytest.mark.parametrize("cut", ["5.78068E+15", "5,78068E+15", "5.78068e+15", "5.8E15", "1E+12"])
def test_an_id_in_scientific_notation_is_damaged(cut: str) -> None:
    assert _rules(cut, "a2") == [["damaged"], []]


@pytest.mark.parametrize(
    "ids",
    [
        ("5780684011241470", "5780684011252480", "5780684011263490"),
        ("578068401124147000", "578068401125248000", "578068401126349000", "a"),
        ("5780680000000000",) * 3,
        ("57806800000", "57806800000", "57806900000", "17"),
    ],
)
def test_ids_that_all_end_in_zeros_are_damaged(ids: tuple[str, ...]) -> None:
    assert _rules(*ids) == [["damaged"] if one.endswith("0") else [] for one in ids]


@pytest.mark.parametrize(
    "ids",
    [
        ("5780684011241470", "5780684011252481", "5780684011263492", "5780684011263493"),
        ("5780684011241470",) * 9,
        ("1717178709.10", "1717178709.20", "1717178709.30"),
        ("100000", "200000", "300000"),
        ("1e5", "12e10", "ab3e12"),
        ("CA0000000000000000000000000000001e", "CA00000000000000000000000000000000"),
    ],
)
def test_ordinary_ids_are_not_taken_for_damaged_ones(ids: tuple[str, ...]) -> None:
    assert _rules(*ids) == [[] for _ in ids]


# ── where a condition looks at an id ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("word", ["-", "0", "unknown", "null", "None", ""])
def test_a_twilio_call_without_a_parent_is_no_child(tmp_path: Path, word: str) -> None:
    header = "sid,direction,status,start_time,duration,from,to,parent_call_sid"
    rows = (
        f"CA1,inbound,completed,2024-05-31T14:00:00Z,60,+15145550101,+15145550199,{word}",
        "CA2,outbound-dial,completed,2024-05-31T14:00:05Z,50,+15145550101,+15145550177,CA1",
        f"CA3,inbound,completed,2024-05-31T15:00:00Z,30,+15145550102,+15145550199,{word}",
    )
    found = exporting.calls_of(exporting.write(tmp_path / "calls.csv", header, *rows))
    assert [(call["call_id"], call["customer_phone"]) for call in found] == [
        ("CA1", "+15145550101"), ("CA3", "+15145550102")
    ]  # fmt: skip
