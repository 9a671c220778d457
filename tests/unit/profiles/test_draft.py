"""A recipe drafted from an export that none is for: with at most ten edited lines its calls come out right.

The layouts are those of systems without a recipe; calls, people and numbers are invented.
"""

import csv
import itertools
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import hypothesis
import polars as pl
import pytest
from hypothesis import strategies as st

from callimport.core import errors, models, phones
from callimport.extract import reader
from callimport.profiles import draft as drafting
from callimport.profiles import profile
from callimport.profiles.loading import parsed
from callimport.transform import validate
from tests.rehearsal import callimport

LOCAL = timezone(timedelta(hours=-4))
_READING = validate.Reading("America/Toronto", "reject", datetime(2026, 11, 22, tzinfo=UTC))
_MOST_EDITS = 10


@dataclass(frozen=True, slots=True)
class Call:
    """What the file tells of a call, however it is laid out. `at` is aware; `talk` in seconds, 0: nobody answered."""

    number: int
    incoming: bool
    at: datetime
    talk: int
    customer: str
    agent: str
    extension: str


def _calls(count: int = 20, step: timedelta = timedelta(hours=9, minutes=7, seconds=11)) -> list[Call]:
    people = (("Ana Roy", "101"), ("Luc Gagné", "102"), ("Zoé Côté", "103"))
    first = datetime(2024, 5, 27, 9, 1, 5, tzinfo=LOCAL)
    return [
        Call(
            number=number,
            incoming=number % 3 != 1,
            at=first + number * step,
            talk=0 if number % 4 == 3 else 31 + 7 * number,
            customer=f"+1514555{100 + number:04}",
            agent=people[number % 3][0],
            extension=people[number % 3][1],
        )
        for number in range(count)
    ]


def _written(path: Path, rows: Iterable[Mapping[str, object]], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    listed = list(rows)
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, list(listed[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(listed)
    return path


def _draft(path: Path) -> drafting.Draft:
    opened = reader.open_source(path)
    peek = reader.peek(opened)
    frames = (chunk.frame for chunk in reader.read(opened, drafting.layout(peek)))
    return drafting.draft(opened.name, peek, frames)


def _edited(text: str, edits: Mapping[str, str]) -> str:
    """The draft with lines replaced that begin with a key of `edits`, of which each must be there."""
    assert len(edits) <= _MOST_EDITS
    for old, new in edits.items():
        found = [line for line in text.splitlines() if line.startswith(old)]
        assert len(found) == 1, (old, text)
        text = text.replace(found[0], new)
    return text


def _imported(path: Path, recipe: str) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """The calls that a recipe makes of a file, and what becomes of the other rows."""
    its = path.with_suffix(".toml")
    its.write_text(recipe, encoding="utf-8")
    opened = reader.open_source(path)
    match = profile.fit(profile.load(str(its)), reader.peek(opened))
    frame = pl.concat([chunk.frame for chunk in reader.read(opened, match.layout)])
    made = profile.canonical(match.profile, frame, profile.Given(phones.Dialling(), zone=_READING.zone))
    told = made.select("_row", pl.coalesce("_drop", "_skip").alias("why")).drop_nulls()
    validated = validate.validate(made.filter(~pl.col("_row").is_in(told["_row"].to_list())), _READING)
    others = dict(told.iter_rows()) | {row: faults[0].rule for row, faults in validated.rejects.items()}
    return validated.accepted.to_dicts(), others


def _expected(calls: Sequence[Call]) -> list[dict[str, object]]:
    return [
        {
            "direction": "incoming" if call.incoming else "outgoing",
            "status": "answered" if call.talk else "interrupted" if call.incoming else "attempted",
            "started_at": call.at.astimezone(UTC),
            "duration_seconds": call.talk,
            "customer_phone": call.customer,
        }
        for call in calls
    ]


def _facts(calls: Iterable[Mapping[str, Any]], *more: str) -> list[dict[str, object]]:
    names = ("direction", "status", "started_at", "duration_seconds", "customer_phone", *more)
    return [{name: call[name] for name in names} for call in calls]


def _bare(number: str) -> str:
    return f"{number[2:5]} {number[5:8]}-{number[8:]}"


def _8x8(call: Call) -> dict[str, object]:
    ends = (call.customer, call.extension)
    answered = call.at + timedelta(seconds=6)
    return {
        "Call ID": f"17{call.number:011}",
        "Leg ID": 1,
        "Start Time": f"{call.at:%Y-%m-%d %H:%M:%S}",
        "Answer Time": f"{answered:%Y-%m-%d %H:%M:%S}" if call.talk else "",
        "Stop Time": f"{answered + timedelta(seconds=call.talk):%Y-%m-%d %H:%M:%S}",
        "Talk Time": str(timedelta(seconds=call.talk)),
        "Caller": ends[not call.incoming],
        "Callee": ends[call.incoming],
        "Direction": "incoming" if call.incoming else "outgoing",
        "Cause": "Normal",
        # Whether or not somebody answered.
        "Status": "Completed",
        "Parent Call ID": "",
        "Transfer to Call ID": "",
        "Caller Name": "" if call.incoming else call.agent,
        "Callee Name": call.agent if call.incoming else "",
    }


def _teams(call: Call) -> dict[str, object]:
    ends = (call.customer, "+15145550199")
    kinds = ("user_in", "conf_in") if call.incoming else ("user_out", "user_out_conf")
    return {
        "Time stamp (UTC)": f"{call.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        "Display name": call.agent,
        "Username": f"agent{call.extension}@garage.example",
        "Phone number": "+15145550199",
        "Call type": kinds[call.number % 2],
        "Called to": ends[call.incoming],
        "Called from": ends[not call.incoming],
        "Charge": "0.02",
        "Duration": call.talk,
        "Call ID": f"6f1f0b5e-0000-4000-8000-{call.number:012}",
    }


def _callrail(call: Call) -> dict[str, object]:
    return {
        "id": f"CAL{call.number:05}",
        "start_time": call.at.isoformat(timespec="milliseconds"),
        "direction": "inbound" if call.incoming else "outbound",
        "duration": call.talk,
        "answered": "true" if call.talk else "false",
        "voicemail": "false",
        "customer_name": f"Client {call.number}",
        "customer_phone_number": call.customer,
        "tracking_phone_number": "+15145550198",
        "agent_email": f"agent{call.extension}@garage.example",
        "recording": "https://calls.example/recording" if call.talk else "",
    }


def _zoom(call: Call) -> dict[str, object]:
    ends = ((call.customer, f"Client {call.number}"), (call.extension, call.agent))
    caller, callee = ends[not call.incoming], ends[call.incoming]
    unanswered = itertools.cycle(("No Answer", "Busy", "Voicemail"))
    return {
        "id": f"z{call.number}",
        "call_id": 7_000_000_000_000_000_000 + call.number,
        "caller_number": caller[0],
        "caller_name": caller[1],
        "callee_number": callee[0],
        "callee_name": callee[1],
        "direction": "inbound" if call.incoming else "outbound",
        "duration": call.talk,
        "result": "Call connected" if call.talk else next(unanswered),
        "date_time": f"{call.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "has_recording": "false",
    }


def _french(call: Call) -> dict[str, object]:
    ends = (_bare(call.customer), "514 555-0199")
    return {
        "Date": f"{call.at:%d/%m/%Y}",
        "Heure": f"{call.at:%H:%M:%S}",
        "Sens": "Entrant" if call.incoming else "Sortant",
        "Numéro appelant": ends[not call.incoming],
        "Numéro appelé": ends[call.incoming],
        "Poste": call.extension,
        "Agent": call.agent,
        "Durée": str(timedelta(seconds=call.talk)),
        "État": "Répondu" if call.talk else "Manqué" if call.incoming else "Sans réponse",
    }


def _small(call: Call) -> dict[str, object]:
    return {
        "Date": f"{call.at.month}/{call.at.day}/{call.at.year}",
        "Phone Number": call.customer[2:],
        "Time": f" {call.at:%I:%M:%S %p}",
        "EXT.": call.extension,
        "Employee": call.agent,
        "State": "QC",
    }


SECONDS = {"# ? duration_form": 'duration_form = "seconds"'}
LAYOUTS = {
    "8x8 Work": (_8x8, {}),
    "Teams PSTN": (_teams, SECONDS),
    "CallRail": (_callrail, SECONDS),
    "Zoom Phone": (_zoom, SECONDS),
    "French": (_french, {}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_header_never_seen_imports_with_few_edits(layout: str, tmp_path: Path) -> None:
    row, edits = LAYOUTS[layout]
    calls = _calls()
    french = {"delimiter": ";", "encoding": "cp1252"} if layout == "French" else {}
    path = _written(tmp_path / "calls.csv", map(row, calls), **french)
    draft = _draft(path)
    assert draft.questions == len(edits)
    found, others = _imported(path, _edited(draft.text, edits))
    assert others == {}
    assert _facts(found) == _expected(calls)
    agents = [call["agent_name"] or call["agent_email"] for call in found]
    assert agents in ([call.agent for call in calls], [f"agent{call.extension}@garage.example" for call in calls])


def test_a_list_without_direction_and_duration_asks_for_both(tmp_path: Path) -> None:
    """As small key systems write it: seven lines say that it is a list of calls that came in and were answered."""
    calls = [call for call in _calls(40) if call.incoming]
    path = _written(tmp_path / "calls.csv", map(_small, calls))
    draft = _draft(path)
    assert 'time_form = "mdy"' in draft.text
    edits = {
        "# ? direction": 'direction = "incoming"',
        "# ? duration_seconds": 'duration_seconds = "0"',
        "# ? status": 'status = "answered"',
    }
    assert draft.questions == len(edits)
    found, others = _imported(path, _edited(draft.text, edits))
    assert others == {}
    expected = [{**call, "status": "answered", "duration_seconds": 0} for call in _expected(calls)]
    assert _facts(found) == expected
    assert [call["agent_extension"] for call in found] == [call.extension for call in calls]


def test_a_draft_with_a_question_is_refused_by_the_line_of_the_question(tmp_path: Path) -> None:
    path = _written(tmp_path / "calls.csv", map(_small, _calls()))
    recipe, state = tmp_path / "mine.toml", tmp_path / "state"
    drafted = callimport("profiles", "new", path, "-o", recipe, state=state)
    assert drafted.code == 0, drafted.said
    lines = recipe.read_text(encoding="utf-8").splitlines()
    asked = [number for number, line in enumerate(lines, start=1) if line.startswith("# ?")]
    assert f"{len(asked)} questions are open" in drafted.out
    for command in (("check", path), ("profiles", "test", path)):
        ended = callimport(*command, "--profile", recipe, "--timezone", "America/Toronto", state=state)
        assert (ended.code, ended.out) == (2, "")
        assert f"mine.toml line {asked[0]} is an open question" in ended.err
        assert f"lines {', '.join(map(str, asked[1:]))})" in ended.err


def test_a_draft_is_written_over_another_only_with_leave(tmp_path: Path) -> None:
    path, recipe = _written(tmp_path / "calls.csv", map(_french, _calls())), tmp_path / "mine.toml"
    recipe.write_text("mine", encoding="utf-8")
    refused = callimport("profiles", "new", path, "-o", recipe, state=tmp_path)
    assert (refused.code, recipe.read_text(encoding="utf-8")) == (2, "mine")
    assert "--force" in refused.err
    assert callimport("profiles", "new", path, "-o", path, "--force", state=tmp_path).code == 2
    assert callimport("profiles", "new", path, "-o", recipe, "--force", state=tmp_path).code == 0
    printed = callimport("profiles", "new", path, state=tmp_path)
    assert printed.out == recipe.read_text(encoding="utf-8")


# ── what is decided, and what is asked ───────────────────────────────────────────────────────────────────────────────


def _changed(change: Any, row: Any = _french, count: int = 20) -> list[dict[str, object]]:
    """The rows of a layout, each with what `change` says of its call."""
    return [{**row(call), **change(call)} for call in _calls(count)]


def _lines(draft: drafting.Draft) -> list[str]:
    return [re.sub(r"   #.*$", "", line) for line in draft.text.splitlines()]


def test_the_order_of_day_and_month_is_asked_where_no_date_tells(tmp_path: Path) -> None:
    days = _changed(lambda call: {"Date": f"0{1 + call.number % 9}/06/2024"})
    assert '# ? time_form = "dmy"' in _lines(_draft(_written(tmp_path / "calls.csv", days)))


def test_the_last_date_of_the_file_tells_the_order(tmp_path: Path) -> None:
    days = _changed(lambda call: {"Date": "06/28/2024" if call.number == 19 else "06/05/2024"})
    assert 'time_form = "mdy"' in _lines(_draft(_written(tmp_path / "calls.csv", days)))


@pytest.mark.parametrize(
    ("header", "cell", "line"),
    [
        ("Durée", "72", '# ? duration_form = "seconds"'),
        ("Durée", "1.2", '# ? duration_form = "minutes"'),
        ("Durée (secondes)", "72", 'duration_form = "seconds"'),
        ("Durée (minutes)", "1,2", 'duration_form = "minutes"'),
        ("call_duration_ms", "72000", 'duration_form = "ms"'),
        ("Durée", "1:12", 'duration_form = "hms"'),
        ("Durée", "1 min 12 s", 'duration_form = "words"'),
        ("Duration", "PT1M12S", 'duration_form = "iso"'),
        ("Duration", "0 days 00:01:12", 'duration_form = "days"'),
    ],
)
def test_the_unit_of_a_bare_number_is_never_guessed(tmp_path: Path, header: str, cell: str, line: str) -> None:
    rows = [
        {header if name == "Durée" else name: cell if name == "Durée" else value for name, value in row.items()}
        for row in map(_french, _calls())
    ]
    lines = _lines(_draft(_written(tmp_path / "calls.csv", rows, delimiter=";")))
    assert line in lines


def test_talk_counts_and_waiting_does_not(tmp_path: Path) -> None:
    more = {"Total Duration": "0:09:00", "Ring Time": "0:00:20", "Talk Time": "0:01:00"}
    rows = [{name: value for name, value in {**_french(call), **more}.items() if name != "Durée"} for call in _calls()]
    assert 'duration_seconds = "Talk Time"' in _lines(_draft(_written(tmp_path / "calls.csv", rows)))


def test_from_answer_to_end_is_the_duration_where_there_is_no_other(tmp_path: Path) -> None:
    calls = _calls()
    rows = [{name: value for name, value in _8x8(call).items() if name != "Talk Time"} for call in calls]
    path = _written(tmp_path / "calls.csv", rows)
    found, others = _imported(path, _draft(path).text)
    assert (others, _facts(found)) == ({}, _expected(calls))


def test_words_that_nobody_knows_are_asked_one_by_one(tmp_path: Path) -> None:
    rows = _changed(lambda call: {"État": "Kappa"} if call.number == 2 else {})
    lines = _lines(_draft(_written(tmp_path / "calls.csv", rows)))
    assert '# ? "kappa" = "unanswered"' in lines
    assert '"manqué" = "unanswered"' in lines
    assert '"répondu" = "answered"' in lines


def test_customers_on_both_sides_are_told_apart_by_direction(tmp_path: Path) -> None:
    path = _written(tmp_path / "calls.csv", map(_french, _calls()))
    sides = 'customer_phone = { incoming = "Numéro appelant", outgoing = "Numéro appelé" }'
    assert sides in _lines(_draft(path))


def test_a_side_with_cells_that_are_no_numbers_is_asked_about(tmp_path: Path) -> None:
    """Else the house's number would be every caller's."""
    rows = [
        {
            "Sens": "Entrant" if number % 2 else "Sortant",
            "Date": f"2024-05-{number + 10} 14:05:09",
            "Durée": f"0:00:{number:02}",
            "Appelant": f"51455501{number:02}" if number else "514 555 01",
            "Appelé": "5145550199",
        }
        for number in range(10)
    ]
    path = _written(tmp_path / "export.csv", rows)
    draft = _draft(path)
    assert any(line.startswith("# ? customer_phone") for line in draft.text.splitlines())
    assert 'incoming = "Appelant"' in draft.text


def test_sides_that_the_numbers_speak_against_are_asked(tmp_path: Path) -> None:
    """As in systems that write the customer into one column whichever the direction."""
    rows = _changed(lambda call: {"Numéro appelant": _bare(call.customer), "Numéro appelé": "514 555-0199"}, _french)
    lines = _lines(_draft(_written(tmp_path / "calls.csv", rows)))
    assert '# ? customer_phone = { incoming = "Numéro appelant", outgoing = "Numéro appelé" }' in lines


def test_columns_of_numbers_without_a_telling_name_are_asked(tmp_path: Path) -> None:
    names = {"Numéro appelant": "Phone A", "Numéro appelé": "Phone B"}
    rows = [{names.get(name, name): value for name, value in _french(call).items()} for call in _calls()]
    draft = _draft(_written(tmp_path / "calls.csv", rows))
    assert '# ? customer_phone = { incoming = "Phone A", outgoing = "Phone B" }' in _lines(draft)


def test_without_a_column_of_directions_extensions_tell(tmp_path: Path) -> None:
    calls = _calls()
    rows = [{name: value for name, value in _8x8(call).items() if name != "Direction"} for call in calls]
    rows.append({**rows[0], "Call ID": "9", "Caller": "101", "Callee": "102"})
    path = _written(tmp_path / "calls.csv", rows)
    draft = _draft(path)
    assert draft.questions == 0
    found, others = _imported(path, draft.text)
    assert (others, _facts(found)) == ({len(rows) + 1: "internal"}, _expected(calls))


@pytest.mark.parametrize("told", ["In Call Trunk", "from-internal"])
def test_a_trunk_or_a_context_is_no_direction(tmp_path: Path, told: str) -> None:
    """In FreePBX calls that go out come from-internal, too: to drop them all would be a loss that nobody sees."""
    rows = [
        {name: value for name, value in {**_teams(call), "Trunk": told}.items() if name != "Call type"}
        for call in _calls()
    ]
    lines = _lines(_draft(_written(tmp_path / "calls.csv", rows)))
    assert '# ? direction = "incoming"' in lines
    assert "[[drop]]" not in lines


def test_a_number_of_the_house_is_not_taken_for_the_customers(tmp_path: Path) -> None:
    names = {"tracking_phone_number": "internal_number"}
    rows = [
        {names.get(name, name): value for name, value in _callrail(call).items() if name != "customer_phone_number"}
        for call in _calls()
    ]
    lines = _lines(_draft(_written(tmp_path / "calls.csv", rows)))
    assert '# ? customer_phone = "internal_number"' in lines


def test_a_time_that_tells_its_zone_is_taken_before_one_that_does_not(tmp_path: Path) -> None:
    rows = _changed(lambda call: {"Call start time": f"{call.at:%d/%m/%Y %H:%M}"}, _teams)
    assert 'started_at = "Time stamp (UTC)"' in _lines(_draft(_written(tmp_path / "calls.csv", rows)))


def test_an_id_that_is_met_twice_asks_whether_its_rows_are_one_call(tmp_path: Path) -> None:
    rows = _changed(lambda call: {"Call ID": f"17{call.number // 2:011}"}, _8x8)
    assert '# ? legs = { join = "Call ID" }' in _lines(_draft(_written(tmp_path / "calls.csv", rows)))


def test_ids_that_count_the_rows_are_not_trusted(tmp_path: Path) -> None:
    rows = _changed(lambda call: {"id": call.number + 1}, _callrail)
    assert "identity = false" in _lines(_draft(_written(tmp_path / "calls.csv", rows)))
    assert "identity = true" in _lines(_draft(_written(tmp_path / "others.csv", map(_callrail, _calls()))))


def test_a_sum_below_the_rows_is_dropped(tmp_path: Path) -> None:
    calls = _calls()
    rows: list[dict[str, object]] = [
        *map(_french, calls),
        {**dict.fromkeys(_french(calls[0]), ""), "Date": "Total", "Durée": "9:59:59"},
    ]
    path = _written(tmp_path / "calls.csv", rows)
    found, others = _imported(path, _draft(path).text)
    assert (others, _facts(found)) == ({len(rows) + 1: "totals"}, _expected(calls))


def test_hidden_callers_faxes_and_internal_calls_are_no_calls(tmp_path: Path) -> None:
    special = {0: {"Numéro appelant": "Anonyme"}, 2: {"Sens": "Interne"}, 3: {"Sens": "Télécopie"}, 5: {"Sens": ""}}
    rows = _changed(lambda call: special.get(call.number, {}))
    path = _written(tmp_path / "calls.csv", rows)
    _, others = _imported(path, _draft(path).text)
    assert others == {2: "anonymous", 4: "internal", 5: "fax", 7: "direction_missing"}


def test_a_machine_that_answered_is_nobody(tmp_path: Path) -> None:
    rows = _changed(lambda call: {"voicemail": "true"} if call.number == 0 else {}, _callrail)
    path = _written(tmp_path / "calls.csv", rows)
    found, _ = _imported(path, _edited(_draft(path).text, SECONDS))
    assert (found[0]["status"], found[0]["duration_seconds"]) == ("interrupted", 0)


def test_a_header_below_a_preamble_is_found(tmp_path: Path) -> None:
    calls = _calls()
    path = _written(tmp_path / "calls.csv", map(_french, calls), ";")
    path.write_text("Journal des appels;;\nPériode du 2024-05-27;;\n\n" + path.read_text("utf-8"), encoding="utf-8")
    found, others = _imported(path, _draft(path).text)
    assert (others, _facts(found)) == ({}, _expected(calls))


def test_a_column_of_zones_is_taken_for_the_zone(tmp_path: Path) -> None:
    rows = _changed(lambda _: {"Fuseau": "America/Toronto"})
    assert 'zone = { column = "Fuseau" }' in _lines(_draft(_written(tmp_path / "calls.csv", rows)))


def test_utc_in_the_header_is_the_zone(tmp_path: Path) -> None:
    draft = _draft(_written(tmp_path / "calls.csv", map(_teams, _calls())))
    assert 'zone = { fixed = "UTC" }' in _lines(draft)


def test_a_file_without_a_header_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    rows = ("2024-05-31 14:05:09", "5145550123", "ANSWERED", "12"), ("2024-05-31 15:05:09", "101", "ANSWERED", "15")
    path.write_text("".join(",".join(cells) + "\n" for cells in rows), encoding="utf-8")
    with pytest.raises(errors.SchemaMismatch, match="write one above the rows"):
        _draft(path)


# ── what is written ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("row", [_8x8, _teams, _callrail, _zoom, _french, _small])
def test_no_number_stands_whole_in_a_draft(row: Any, tmp_path: Path) -> None:
    rows = [{**row(call), "Note": "au 5 1 4 5 5 5 0 1 2 3", "Tel 2": "5550123"} for call in _calls()]
    digits = re.sub(r"[^\w\n]", "", _draft(_written(tmp_path / "5145550123.csv", rows)).text)
    assert not re.search(r"51455501\d\d|5550123", digits)


def test_every_guess_stands_below_its_values_and_every_column_is_named(tmp_path: Path) -> None:
    draft = _draft(_written(tmp_path / "calls.csv", map(_8x8, _calls())))
    lines = draft.text.splitlines()
    at = lines.index('duration_seconds = "Talk Time"')
    assert lines[at - 1] == "# Talk Time: 0:00:31, 0:00:38, 0:00:45"
    comment = " ".join(line.removeprefix("# ") for line in lines[: lines.index('other_columns = "ignore"')])
    for name in ("Leg ID (1)", "Cause (Normal)", "Parent Call ID (blank in every row)"):
        assert name in comment


def test_the_same_file_makes_the_same_draft(tmp_path: Path) -> None:
    path = _written(tmp_path / "calls.csv", map(_zoom, _calls()))
    assert _draft(path) == _draft(path)


def test_chunks_make_the_same_draft_as_the_whole_file(tmp_path: Path) -> None:
    opened = reader.open_source(_written(tmp_path / "calls.csv", map(_french, _calls())))
    peek = reader.peek(opened)
    layout = drafting.layout(peek)
    whole, pieces = (
        drafting.draft("calls.csv", peek, [chunk.frame for chunk in reader.read(opened, layout, size)])
        for size in (1_000, 7)
    )
    assert pieces.questions == whole.questions
    assert tomllib.loads(pieces.text) == tomllib.loads(whole.text)


_HEADERS = re.findall(r"\S+", "Date Heure Start Duration Direction From To Status Call_ID Phone Agent ?x {y} ^.*$ _row")
_TEXTS = re.findall(
    r"\S+", "2024-05-31T14:05 31/05/2024 14:05:09 72 1:12 in out 5145550123 101 * ? answered Total \" \\ # ''' {x} ^a$"
)
_NAMES = st.sampled_from(_HEADERS) | st.text(min_size=1, max_size=12)
_CELLS = st.sampled_from(_TEXTS) | st.text(max_size=12)


@hypothesis.settings(max_examples=100, deadline=None, derandomize=True)
@hypothesis.given(st.data())
def test_whatever_the_file_holds_the_draft_is_a_recipe_or_says_what_is_open(data: st.DataObject) -> None:
    header = data.draw(st.lists(_NAMES, min_size=1, max_size=6))
    rows = data.draw(st.lists(st.lists(_CELLS, min_size=len(header), max_size=len(header)), max_size=5))
    records = tuple(enumerate(map(tuple, [header, *rows]), start=1))
    peek = models.Peek(records, is_typed=False, told="a test")
    try:
        layout = drafting.layout(peek)
    except errors.SchemaMismatch:
        return
    # A column without a name, at the end of the header, is no column.
    below = [cells[: len(layout.names)] for line, cells in records if line >= layout.first_row]
    frame = pl.DataFrame(below, schema=dict.fromkeys(layout.names, pl.String), orient="row").with_columns(
        pl.Series("_row", range(len(below)), dtype=pl.Int64), pl.lit(None, dtype=pl.String).alias("_ragged")
    )
    draft = drafting.draft("calls.csv", peek, [frame])
    tomllib.loads(draft.text)
    asked = [number for number, line in enumerate(draft.text.splitlines(), 1) if line.lstrip().startswith("# ?")]
    assert len(asked) == draft.questions
    answered = "".join(line.removeprefix("# ? ") for line in draft.text.splitlines(keepends=True))
    its = parsed(answered, "answered")
    profile.canonical(its, frame, profile.Given(phones.Dialling()))
    if asked:
        with pytest.raises(errors.ConfigError, match=f"line {asked[0]} is an open question"):
            parsed(draft.text, "draft")
