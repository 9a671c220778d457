"""The agents file says who is who, on which days; two answers for one day are an error that names both lines."""

from datetime import date
from pathlib import Path

import pytest

from callimport.core import errors
from callimport.resolve import agents_file
from callimport.resolve.agents_file import AgentsFile


def _read(folder: Path, *lines: str) -> AgentsFile:
    path = folder / "agents.csv"
    path.write_text("".join(line + "\n" for line in lines), "utf-8")
    return agents_file.read(path)


def test_a_line_says_by_what_somebody_is_known_and_who_that_is(tmp_path: Path) -> None:
    file = _read(
        tmp_path,
        "extension,name,login,email,user_id,from,until,note",
        "201.0,Amélie  TREMBLAY,atremblay,Amelie@Example.com,,2024-01-01,2024-06-30,x",
        "202,,,,12,,,",
    )
    first, second = file.entries
    assert (first.line, first.extension, first.name, first.login) == (2, "201", "amélie tremblay", "atremblay")
    assert (first.email, first.user_id, first.target) == ("amelie@example.com", None, "amelie@example.com")
    assert first.holds_on(date(2024, 6, 30))
    assert not first.holds_on(date(2024, 7, 1))
    assert (second.user_id, second.target, second.since, second.until) == (12, 12, date.min, date.max)
    assert (file.has_periods, file.names_emails, len(file.sha256)) == (True, True, 64)


def test_a_draft_may_be_given_half_done(tmp_path: Path) -> None:
    file = _read(tmp_path, "extension,name,email,user_id", "201,Amélie,,", "202,Bo,,12.0", ",,who@example.com,", ",,,7")
    assert [entry.line for entry in file.entries] == [3]
    assert (file.has_periods, file.names_emails) == (False, False)


@pytest.mark.parametrize("header", ["extension,name", "email,user", "email", "user_id", "phone,lead_id"])
def test_a_file_that_cannot_say_who_is_who_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(errors.SchemaMismatch, match="is no agents file: it needs extension, name or login"):
        _read(tmp_path, header)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("201,A,x,,,", "email"),
        ("201,A,,x,,", 'user_id "x" is not a whole number'),
        ("201,A,,0,,", 'user_id "0"'),
        ("201,A,,99999999999999999999,,", 'user_id "9'),
        ("201,A,,12,soon,", 'from "soon" is not a day'),
        ("201,A,,12,,2024-13-01", 'until "2024-13-01" is not a day'),
        ("201,A,,12,2024-02-01,2024-01-31", "from 2024-02-01 is after until 2024-01-31"),
        ("201,A,,12", "4 cells where the header has 6"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(errors.SourceError, match=r"agents.csv, line 3: ") as caught:
        _read(tmp_path, "extension,name,email,user_id,from,until", "200,Z,,1,,", row)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "lines",
    [
        ("201,,1,,", "201,,2,,"),
        ("201,,1,,2024-03-01", "201,,2,2024-03-01,"),
        ("201,,1,2024-01-01,2024-12-31", "201,,1,2024-02-01,2024-02-28", "201,,2,2024-12-01,"),
        (",Jean Roy,1,,", ",jean  roy,2,,"),
    ],
)
def test_one_extension_of_two_people_on_one_day_is_an_error_naming_the_lines(
    tmp_path: Path, lines: tuple[str, ...]
) -> None:
    with pytest.raises(errors.SourceError, match=rf"lines 2 and {len(lines) + 1}: .* of two people on the same day"):
        _read(tmp_path, "extension,name,user_id,from,until", *lines)


def test_an_extension_may_change_hands_and_a_person_may_have_two(tmp_path: Path) -> None:
    file = _read(
        tmp_path,
        "extension,name,user_id,from,until",
        "201,Amélie,1,,2024-02-29",
        "201,Bo,2,2024-03-01,",
        "305,Amélie,1,,",
    )
    assert len(file.entries) == 3
