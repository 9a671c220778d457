"""The language of recipes: its page is complete and true, every operator does what it says there."""

import dataclasses
import re
import typing
from pathlib import Path

import polars as pl
import pytest

from callimport.core import errors, phones
from callimport.profiles import forms, loading, model, profile
from tests.rehearsal import ROOT

PAGE = (ROOT / "schemas" / "callimport_schemas" / "profiles" / "README.md").read_text("utf-8")
_BARE = """
version = 1
name = "desk"
title = "Front desk"
system = "desk"
identity = true
other_columns = "ignore"
{top}

[[headers]]
name = "report"
needs = ["When"]
may = ["A", "B", "C"]

[columns]
started_at = "When"
customer_phone = "Number"
{columns}

{tables}
"""


def _recipe(folder: Path, *, top: str = "", columns: str = 'direction = "Way"', tables: str = "") -> profile.Profile:
    path = folder / "desk.toml"
    path.write_text(_BARE.format(top=top, columns=columns, tables=tables), "utf-8")
    return profile.load(str(path))


def _frame(**columns: list[str | None]) -> pl.DataFrame:
    height = len(next(iter(columns.values())))
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    return frame.with_columns(_row=pl.int_range(2, 2 + height), _ragged=pl.lit(None, dtype=pl.String))


def _column(of: profile.Profile, name: str, **cells: list[str | None]) -> list[object]:
    return profile.canonical(of, _frame(**cells))[name].to_list()


def _rules(of: profile.Profile, **cells: list[str | None]) -> list[list[str]]:
    faults = profile.canonical(of, _frame(**cells))["_faults"].to_list()
    return [[fault["rule"] for fault in row] for row in faults]


# ── the page ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_blocks_of_the_page_are_one_recipe() -> None:
    blocks = "\n".join(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
    shown = loading.parsed(blocks, "README.md")
    given = {entry.name for entry in dataclasses.fields(shown) if getattr(shown, entry.name) not in ((), {}, None, "")}
    assert {entry.name for entry in dataclasses.fields(model.Profile)} - given == {"zone"}


_WORDS = {
    *typing.get_args(model.Test), *loading.DROPS, *loading.MACHINES, *loading.WINNERS, *forms.TIMES, *forms.DURATIONS,
    "number", "extension", "anonymous", "instant", "extract", "text", "since", "until", "fixed", "epoch",
}  # fmt: skip


@pytest.mark.parametrize("word", sorted(_WORDS))
def test_every_word_of_the_language_stands_on_its_page(word: str) -> None:
    assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", PAGE)


# ── conditions ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("condition", "cell", "holds"),
    [
        ('equals = "Fax"', " FAX ", True),
        ('equals = "Fax"', "Faxes", False),
        ('equals = "Fax"', None, False),
        ('in = ["Fax", "Paging"]', "paging", True),
        ('in = ["Fax", "Paging"]', "call", False),
        ('in = ["Fax", "Paging"]', None, False),
        ("matches = '^V\\d'", "V9501", True),
        ("matches = '^V\\d'", "xV9501", False),
        ("matches = '^V\\d'", None, False),
        ("blank = true", "  ", True),
        ("blank = true", "x", False),
        ("blank = false", "x", True),
        ("blank = false", None, False),
        ("positive = true", "00:00:09", True),
        ("positive = true", "0.5", True),
        ("positive = true", "0:00:00", False),
        ("positive = true", "-5", False),
        ("positive = true", None, False),
        ("positive = false", "0:00:00", True),
        ("positive = false", None, True),
        ("longest = 4", "1234", True),
        ("longest = 4", "12345", False),
        ("longest = 4", None, False),
        ('is = "extension"', "801", True),
        ('is = "extension"', "5145550123", False),
        ('is = "extension"', None, False),
        ('is = "number"', "(514) 555-0123", True),
        ('is = "number"', "801", False),
        ('is = "anonymous"', "Anonymous", True),
        ('is = "anonymous"', None, False),
        ('is = "instant"', "2024-05-31 14:05:09", True),
        ('is = "instant"', "31/5/2024 14:05", True),
        ('is = "instant"', "14:05", False),
        ('is = "instant"', None, False),
    ],
)
def test_a_condition_on_a_column(tmp_path: Path, condition: str, cell: str | None, holds: bool) -> None:
    for test, expected in (
        (f'{{ column = "A", {condition} }}', holds),
        (f'{{ not = {{ column = "A", {condition} }} }}', not holds),
    ):
        of = _recipe(tmp_path, tables=f'[[drop]]\nis = "other"\nwhen = {test}')
        assert _column(of, "_drop", When=["x"], Way=["incoming"], A=[cell]) == (["other"] if expected else [None])


@pytest.mark.parametrize(
    ("condition", "dropped"),
    [
        ('{ all = [{ column = "A", equals = "x" }, { column = "B", equals = "x" }] }', [True, False, False]),
        ('{ any = [{ column = "A", equals = "x" }, { column = "B", equals = "x" }] }', [True, True, False]),
        ('{ has = "A" }', [True, True, True]),
        ('{ has = "C" }', [False, False, False]),
        ('{ not = { has = "C" } }', [True, True, True]),
        ('{ direction = "incoming" }', [True, False, False]),
        ('{ not = { direction = "incoming" } }', [False, True, True]),
        ('{ column = "C", blank = true }', [True, True, True]),
    ],
)
def test_a_condition_on_the_row(tmp_path: Path, condition: str, dropped: list[bool]) -> None:
    of = _recipe(tmp_path, tables=f'[[drop]]\nis = "other"\nwhen = {condition}')
    cells: dict[str, list[str | None]] = {
        "A": ["x", "x", "y"],
        "B": ["x", "y", "y"],
        "Way": ["incoming", "outgoing", None],
    }
    assert _column(of, "_drop", When=["x"] * 3, **cells) == ["other" if drop else None for drop in dropped]


# ── origins ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("origin", "texts"),
    [
        ('"A"', ["SIP/113-0c", None, None]),
        ("{ column = \"A\", extract = '^SIP/(\\d+)-' }", ["113", None, None]),
        ('["A", "B"]', ["SIP/113-0c", "b", None]),
        ('{ text = "{A}: {B}!" }', ["SIP/113-0c: b!", None, None]),
        ('{ incoming = "A", outgoing = "B" }', ["SIP/113-0c", "b", None]),
        ('[{ incoming = "C", outgoing = "B" }, "A"]', ["SIP/113-0c", "b", None]),
    ],
)
def test_an_origin(tmp_path: Path, origin: str, texts: list[str | None]) -> None:
    of = _recipe(tmp_path, columns=f'direction = "Way"\ndescription = {origin}')
    cells: dict[str, list[str | None]] = {"A": [" SIP/113-0c ", " ", None], "B": ["b", "b", None]}
    assert _column(of, "description", When=["x"] * 3, Way=["incoming", "outgoing", None], **cells) == texts


def test_a_span_is_the_seconds_from_one_time_to_another(tmp_path: Path) -> None:
    of = _recipe(tmp_path, columns='direction = "Way"\nduration_seconds = { since = "A", until = "B" }')
    ends: list[str | None] = ["2024-05-31 14:06:11", "2024-06-01 00:00:01", None]
    starts: list[str | None] = ["2024-05-31 14:05:09", "2024-05-31 23:59:59", "2024-05-31 14:05:09"]
    assert _column(of, "duration_seconds", When=["x"] * 3, Way=["incoming"] * 3, A=starts, B=ends) == ["62", "2", None]


def test_a_span_over_the_change_of_clocks_is_as_long_as_it_was(tmp_path: Path) -> None:
    columns = 'direction = "Way"\nduration_seconds = { since = "A", until = "B" }'
    of = _recipe(tmp_path, top='zone = { column = "Zone" }', columns=columns)
    row: dict[str, list[str | None]] = {
        "A": ["2024-03-10 01:59:00"],
        "B": ["2024-03-10 03:01:00"],
        "Zone": ["America/Toronto"],
    }
    assert _column(of, "duration_seconds", When=["2024-03-10 01:59:00"], Way=["incoming"], **row) == ["120"]


# ── direction, status, machine ───────────────────────────────────────────────────────────────────────────────────────


def test_the_first_rule_of_direction_counts_and_goes_before_words(tmp_path: Path) -> None:
    tables = """
[[direction]]
is = "outgoing"
when = { column = "A", equals = "x" }
[[direction]]
is = "incoming"
when = { column = "A", in = ["x", "y"] }
[values.direction]
In = "incoming"
"""
    of = _recipe(tmp_path, tables=tables)
    cells: dict[str, list[str | None]] = {"A": ["x", "y", "z", "z"], "Way": ["In", None, "in", "sideways"]}
    assert _column(of, "direction", When=["t"] * 4, **cells) == ["outgoing", "incoming", "incoming", None]
    assert _rules(of, When=["t"] * 4, **cells) == [[], [], [], ["direction_unknown"]]


def test_a_direction_that_no_rule_tells_is_a_fault(tmp_path: Path) -> None:
    of = _recipe(tmp_path, columns="", tables='[[direction]]\nis = "incoming"\nwhen = { column = "A", blank = false }')
    assert _rules(of, When=["t", "t"], A=["x", None]) == [[], ["direction_unknown"]]


def test_a_status_by_rules_then_by_words_then_by_default(tmp_path: Path) -> None:
    tables = """
[[status]]
is = "unanswered"
when = { column = "A", positive = false }
[values.status]
Talked = "answered"
"*" = "error"
"""
    of = _recipe(tmp_path, columns='direction = "Way"\nstatus = "B"', tables=tables)
    cells: dict[str, list[str | None]] = {"A": ["0", "5", "5", "5"], "B": ["Talked", "talked", "odd", None]}
    assert _column(of, "status", When=["t"] * 4, Way=["incoming"] * 4, **cells) == [
        "unanswered",
        "answered",
        "error",
        None,
    ]
    assert _rules(of, When=["t"] * 4, Way=["incoming"] * 4, **cells) == [[], [], [], []]


def test_a_machine_that_answered_is_nobody(tmp_path: Path) -> None:
    tables = """
[[machine]]
is = "voicemail"
when = { column = "A", equals = "V" }
[[machine]]
is = "ivr"
when = { column = "A", equals = "M" }
"""
    of = _recipe(tmp_path, columns='direction = "Way"\nstatus = "B"\nagent_name = "C"', tables=tables)
    cells: dict[str, list[str | None]] = {
        "A": ["V", "M", "P", "V"], "B": ["answered", None, "answered", "error"], "C": ["Ana", "Menu", "Ana", "Ana"],
    }  # fmt: skip
    made = profile.canonical(of, _frame(When=["t"] * 4, Way=["incoming"] * 4, **cells))
    assert made["_machine"].to_list() == ["voicemail", "ivr", None, None]
    assert made["status"].to_list() == ["unanswered", "unanswered", "answered", "error"]
    assert made["agent_name"].to_list() == ["Ana", None, "Ana", "Ana"]


def test_a_row_that_was_damaged_on_its_way_is_a_fault_in_the_words_of_the_recipe(tmp_path: Path) -> None:
    tables = """
[[damaged]]
is = "A went through a spreadsheet; export again"
when = { column = "A", matches = '^\\d+,\\d+$' }
"""
    of = _recipe(tmp_path, columns='direction = "Way"', tables=tables)
    made = profile.canonical(of, _frame(When=["t"] * 3, Way=["incoming"] * 3, A=["17,1", "17.1", None]))
    assert made["_faults"].to_list() == [
        [{"rule": "damaged", "message": "A went through a spreadsheet; export again"}], [], [],
    ]  # fmt: skip


def test_a_queue_is_no_agent(tmp_path: Path) -> None:
    tables = '[no_agent]\ncolumn = "A"\nmatches = "(?i)queue"'
    of = _recipe(tmp_path, columns='direction = "Way"\nagent_name = "A"', tables=tables)
    assert _column(of, "agent_name", When=["t", "t"], Way=["incoming"] * 2, A=["Sales Queue", "Ana"]) == [None, "Ana"]


def test_a_row_of_another_width_is_dropped_only_as_a_sum(tmp_path: Path) -> None:
    tables = """
[[drop]]
is = "totals"
when = { column = "When", equals = "Total" }
[[drop]]
is = "fax"
when = { column = "A", equals = "Fax" }
"""
    of = _recipe(tmp_path, tables=tables)
    frame = _frame(When=["Total", "t"], Way=[None, "incoming"], A=[None, "Fax"]).with_columns(_ragged=pl.lit("3 cells"))
    assert profile.canonical(of, frame)["_drop"].to_list() == ["totals", None]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("C\u00c3\u00a9line C\u00c3\u00b4t\u00c3\u00a9", "Céline Côté"),
        ("C\u221a\u00a9line", "Céline"),
        ("Céline", "Céline"),
        ("Ãngela", "Ãngela"),
        (None, None),
    ],
)
def test_a_name_read_in_the_wrong_encoding_is_put_right(tmp_path: Path, written: str | None, meant: str | None) -> None:
    of = _recipe(tmp_path, columns='direction = "Way"\nagent_name = "A"\ndescription = "A"')
    made = profile.canonical(of, _frame(When=["t"], Way=["incoming"], A=[written]))
    assert made.select("agent_name", "description").rows() == [(meant, written)]


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_CANADA = profile.Given(phones.Dialling(), own_numbers=frozenset({"+15145550199"}))


@pytest.mark.parametrize(
    ("number", "way", "phone", "skip", "rules"),
    [
        ("(514) 555-0123", "incoming", "+15145550123", None, []),
        ("Ana (+1 514 555-0123)", "incoming", "+15145550123", None, []),
        ("Anonymous", "incoming", None, "anonymous", []),
        (None, "incoming", None, "anonymous", []),
        (None, "outgoing", None, None, []),
        ("5145550199", "incoming", "+15145550199", "own_number", []),
        ("5145550198", "incoming", "+15145550198", "own_number", []),
        ("801", "incoming", "801", None, ["customer_phone_e164"]),
        ("5.145550100E+9", "incoming", "5.145550100E+9", None, ["customer_phone_e164"]),
    ],
)
def test_the_customer_is_a_number_hidden_or_a_fault(
    tmp_path: Path, number: str | None, way: str, phone: str | None, skip: str | None, rules: list[str]
) -> None:
    of = _recipe(tmp_path, top='blank_caller = "anonymous"\nown_numbers = ["A"]')
    frame = _frame(When=["t"], Way=[way], Number=[number], A=["1 514 555 0198"])
    (row,) = profile.canonical(of, frame, _CANADA).to_dicts()
    assert (row["customer_phone"], row["_skip"], [fault["rule"] for fault in row["_faults"]]) == (phone, skip, rules)
    assert not re.search(r"\d{6}", " ".join(fault["message"] for fault in row["_faults"]))


# ── zones ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("zone", "when", "told", "instant", "rules"),
    [
        ('{ fixed = "UTC" }', "2024-05-31 14:05:09", None, "2024-05-31T14:05:09Z", []),
        ('{ fixed = "America/Toronto" }', "2024-05-31 14:05:09", None, "2024-05-31T18:05:09Z", []),
        ('{ fixed = "UTC" }', "2024-05-31T14:05:09-04:00", None, "2024-05-31T18:05:09Z", []),
        ('{ column = "A" }', "2024-05-31 14:05:09", "America/Toronto", "2024-05-31T18:05:09Z", []),
        ('{ column = "A" }', "2024-01-31 14:05:09", "America/Toronto", "2024-01-31T19:05:09Z", []),
        ('{ column = "A" }', "2024-05-31 14:05:09", "Mars/Base", None, ["started_at_zone"]),
        ('{ column = "A" }', "2024-11-03 01:30:00", "America/Toronto", None, ["started_at_ambiguous"]),
        ('{ column = "A" }', "2024-03-10 02:30:00", "America/Toronto", None, ["started_at_nonexistent"]),
        ('{ column = "A" }', "2024-05-31T14:05:09", None, "2024-05-31T14:05:09", []),
        ('{ epoch = "A" }', "2024-05-31 14:05:09", "1717178709", "2024-05-31T18:05:09Z", []),
        ('{ epoch = "A" }', "2024-05-31 14:05:12", "1717178709", "2024-05-31T18:05:12Z", []),
        # A quarter of an hour late is a zone that no clock on earth shows, and less is none at all: nothing is told.
        ('{ epoch = "A" }', "2024-05-31T14:20:09", "1717178709", "2024-05-31T14:20:09", []),
        ('{ epoch = "A" }', "2024-05-31T14:12:09", "1717178709", "2024-05-31T14:12:09", []),
        ('{ epoch = "A" }', "2024-05-31T14:05:09", None, "2024-05-31T14:05:09", []),
    ],
)  # fmt: skip
def test_a_zone_that_the_file_tells(
    tmp_path: Path, zone: str, when: str, told: str | None, instant: str | None, rules: list[str]
) -> None:
    of = _recipe(tmp_path, top=f"zone = {zone}")
    row: dict[str, list[str | None]] = {"When": [when], "Way": ["incoming"], "A": [told]}
    assert _column(of, "started_at", **row) == [instant]
    assert _rules(of, **row) == [rules]


def test_a_record_that_begins_an_hour_after_its_channel_does_not_tell_the_zone(tmp_path: Path) -> None:
    of = _recipe(tmp_path, top='zone = { epoch = "A" }')
    when: list[str | None] = ["2024-05-31T14:05:09", "2024-05-31T14:06:09", "2024-05-31T15:05:09"]
    told: list[str | None] = ["1717178709", "1717178769", "1717178709"]
    assert _column(of, "started_at", When=when, Way=["incoming"] * 3, A=told) == [
        "2024-05-31T18:05:09Z", "2024-05-31T18:06:09Z", "2024-05-31T15:05:09",
    ]  # fmt: skip


@pytest.mark.parametrize(("which", "instant"), [("first", "2024-11-03T05:30:00Z"), ("second", "2024-11-03T06:30:00Z")])
def test_the_hour_that_happens_twice_may_be_decided(tmp_path: Path, which: str, instant: str) -> None:
    of = _recipe(tmp_path, top='zone = { fixed = "America/Toronto" }')
    given = profile.Given(ambiguous_hour="first" if which == "first" else "second")
    made = profile.canonical(of, _frame(When=["2024-11-03 01:30:00"], Way=["incoming"]), given)
    assert made["started_at"].to_list() == [instant]


def test_dates_in_an_order_that_nobody_can_tell_are_faults_that_say_so(tmp_path: Path) -> None:
    of = _recipe(tmp_path, top='time_form = "date"')
    (row,) = profile.canonical(of, _frame(When=["05/06/2024 14:05"], Way=["incoming"])).to_dicts()
    (fault,) = row["_faults"]
    assert fault["rule"] == "started_at_unreadable"
    assert "has the day or the month first, no date of the file tells" in fault["message"]
    assert row["started_at"] == "05/06/2024 14:05"


def test_a_date_over_12_decides_for_the_whole_file_also_from_another_chunk(tmp_path: Path) -> None:
    of = _recipe(tmp_path, top='time_form = "date"')
    first, second = (
        _frame(When=["05/06/2024 14:05"], Way=["incoming"]),
        _frame(When=["17/06/2024 09:00"], Way=["incoming"]),
    )
    dates = profile.evidence(of, first) | profile.evidence(of, second)
    assert profile.canonical(of, first, profile.Given(dates=dates))["started_at"].to_list() == ["2024-06-05T14:05:00"]


# ── complaints ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("top", "columns", "tables", "said"),
    [
        ('zone = { colum = "A" }', "", "", "zone.colum is not a known key; did you mean column?"),
        ('zone = { fixed = "Montreal" }', "", "", '"Montreal" is no IANA time zone'),
        ('time_form = "soon"', "", "", "time_form must be one of"),
        ('blank_caller = "x"', "", "", 'blank_caller must be one of "missing", "anonymous"'),
        ('own_numbers = "A"', "", "", "own_numbers must be a list of texts"),
        ('own_numbers = ["D"]', "", "", 'column "D" is asked for and named nowhere'),
        ("second_header = '('", "", "", "second_header is not a regular expression"),
        ("", "call_id = {}", "", "columns.call_id must be a column as in"),
        ("", "call_id = []", "", "columns.call_id must be a column as in"),
        ("", 'call_id = { column = "A", extrct = "x" }', "", "did you mean extract?"),
        ("", "call_id = { column = \"A\", extract = 'x' }", "", "columns.call_id.extract has no group"),
        ("", 'call_id = { text = "A" }', "", "must name columns in braces"),
        ("", 'call_id = ["A", 3]', "", "call_id entry 2 must be a column as in"),
        ("", 'call_id = { incoming = "A" }', "", "call_id.outgoing must be a column as in"),
        ("", 'call_id = { since = "A", until = "B" }', "", "call_id is no duration"),
        ("", "", '[[drop]]\nis = "spam"\nwhen = { has = "A" }', 'drop[1].is must be one of "internal"'),
        ("", "", '[[drop]]\nis = "fax"', "drop[1].when must be a condition"),
        ("", "", '[[drop]]\nis = "fax"\nwhen = { column = "A" }', "drop[1].when. must be one test"),
        ("", "", '[[drop]]\nis = "fax"\nwhen = { column = "A", blank = "yes" }', "when.blank must be true or false"),
        ("", "", '[[drop]]\nis = "fax"\nwhen = { column = "A", longest = 0 }', "when.longest must be a whole number"),
        ("", "", '[[drop]]\nis = "fax"\nwhen = { column = "A", is = "fax" }', 'when.is must be one of "number"'),
        ("", "", '[[drop]]\nis = "fax"\nwhen = { column = "A", matches = "(?=x)" }', "look-ahead is not known"),
        ("", "", '[[drop]]\nis = "fax"\nwhen = { column = "A", equal = "x" }', "did you mean equals?"),
        ("", "", '[[drop]]\nis = "fax"\nwhen = { column = "A", in = [] }', "when.in must be a list of at"),
        ("", "", '[[drop]]\nis = "fax"\nwhen = { all = [] }', "when.all must be a list of at least one condition"),
        ("", "", '[[drop]]\nis = "fax"\nwhen = { any = [{ has = "A" }, { column = "AA" }] }', "when.any[2]."),
        ("", "", '[[drop]]\nis = "fax"\nwhen = { column = "Number2", blank = true }', "did you mean Number?"),
        ("", "", '[[direction]]\nis = "in"\nwhen = { has = "A" }', 'direction[1].is must be one of "outgoing"'),
        ("", "", '[[direction]]\nis = "incoming"\nwhen = { direction = "incoming" }', "cannot ask for the direction"),
        ("", "", "[legs]\njoin = 3", "legs.join must be a column as in"),
        ("", "", '[legs]\njoin = "A"\nwinner = ["first"]', "legs.winner must be a list of answered"),
        ("", "", '[legs]\njoin = "A"\ntalk = "all"', 'legs.talk must be one of "winner", "sum"'),
        ("", "", '[[missing]]\ncolumn = "A"', "missing[1].says must be text"),
        ("", "", '[[headerless]]\nname = "x"\ncolumns = ["A", "A"]', "headerless[1].columns must be the names"),
        ("", "", '[[headerless]]\nname = "x"\ncolumns = ["A"]\nat_least = 2', "at_least must be at most 1"),
        ("", "", '[[headerless]]\nname = "x"\ncolumns = ["A"]', "recognised_by must be a list of conditions"),
        (
            "", "",
            '[[headerless]]\nname = "x"\ncolumns = ["A", "B"]\nat_least = 1\nrecognised_by = [{ has = "C" }]',
            "recognised_by looks at C",
        ),
    ],
)  # fmt: skip
def test_a_faulty_recipe_says_where_and_what_is_allowed(
    tmp_path: Path, top: str, columns: str, tables: str, said: str
) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        _recipe(tmp_path, top=top, columns=f'direction = "Way"\n{columns}', tables=tables)
    assert "desk.toml: " in str(caught.value)
    assert said in str(caught.value)
