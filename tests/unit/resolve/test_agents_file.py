"""The agents file says who is who, on which days; of an agent with two answers for one day no line is used."""

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


@pytest.mark.parametrize("header", ["extension,name", "email,phone", "email", "user_id", "Courriel", "phone,lead_id"])
def test_a_file_that_cannot_say_who_is_who_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(errors.SchemaMismatch, match="is no agents file: it needs extension, name or login"):
        _read(tmp_path, header)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("201,A,x,,,", 'email "x" is not an address'),
        ("201,A,,x,,", 'user_id "x" is not a whole number'),
        ("201,A,,0,,", 'user_id "0"'),
        ("201,A,,99999999999999999999,,", 'user_id "9'),
        ("201,A,,12,soon,", 'from "soon" is not a day'),
        ("201,A,,12,,2024-13-01", 'until "2024-13-01" is not a day'),
        ("201,A,,12,2024-02-01,2024-01-31", "from 2024-02-01 is after until 2024-01-31"),
        ("201,A,,12", "4 cells where the header has 6"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_used(tmp_path: Path, row: str, said: str) -> None:
    file = _read(tmp_path, "extension,name,email,user_id,from,until", "200,Z,,1,,", row)
    (told,) = file.unused
    assert "agents.csv: 1 of 2 rows is not used: line 3: " in told
    assert said in told
    assert [entry.line for entry in file.entries] == [2]


@pytest.mark.parametrize(
    "lines",
    [
        ("201,,1,,", "201,,2,,"),
        ("201,,1,,2024-03-01", "201,,2,2024-03-01,"),
        ("201,,1,2024-01-01,2024-12-31", "201,,1,2024-02-01,2024-02-28", "201,,2,2024-12-01,"),
        (",Jean Roy,1,,", ",jean  roy,2,,"),
    ],
)
def test_no_line_of_an_agent_with_two_users_on_one_day_is_used(tmp_path: Path, lines: tuple[str, ...]) -> None:
    header = "extension,name,user_id,from,until"
    others = [f"{extension},,9,," for extension in range(300, 360)]
    file = _read(tmp_path, header, *lines, *others)
    assert {entry.target for entry in file.entries} == {9}
    (told,) = file.unused
    assert f": {len(lines)} of {len(lines) + 60} rows are not used: line 2: " in told
    assert f"is of two people on the same day (lines 2 and {len(lines) + 1}); give them from and until dates" in told
    with pytest.raises(errors.SourceError, match=r"none of its rows can be used: line 2: .* Mend these rows or remove"):
        _read(tmp_path, header, *lines)


def test_more_than_five_percent_of_bad_lines_refuse_the_file(tmp_path: Path) -> None:
    bad, good = ["200,nobody,"] * 20, [f"{n},,{n}" for n in range(1000, 1379)]
    with pytest.raises(errors.SourceError, match=r"20 of 399 rows cannot be used, more than 5 %: line 2: email"):
        _read(tmp_path, "extension,email,user_id", *bad, *good)
    assert len(_read(tmp_path, "extension,email,user_id", *bad, *good, "1379,,1379").entries) == 380


@pytest.mark.parametrize(
    "header",
    [
        "Ext.,Nom,Courriel,Depuis,Jusqu'à",
        "Numéro de poste,Full Name,E-mail,du,au",
        "POSTE,agent,Adresse courriel,since,to",
        "Extension,NAME,Email Address,From,Until",
    ],
)
def test_columns_are_known_by_their_common_names(tmp_path: Path, header: str) -> None:
    file = _read(tmp_path, header, "201,Ana Roy,ana@example.com,2024-01-01,2024-06-30")
    (entry,) = file.entries
    assert (entry.extension, entry.name, entry.target) == ("201", "ana roy", "ana@example.com")
    assert (entry.since, entry.until) == (date(2024, 1, 1), date(2024, 6, 30))
    assert file.columns_told.count(" as ") == 5 - sum(name in ("name", "from", "until") for name in header.split(","))


@pytest.mark.parametrize("header", ["User Name,CRM User ID", "utilisateur,user_id", "Login,User ID", "User,Activix ID"])
def test_a_login_and_the_users_number_are_known_by_their_common_names(tmp_path: Path, header: str) -> None:
    (entry,) = _read(tmp_path, header, "aroy,12").entries
    assert (entry.login, entry.target) == ("aroy", 12)


def test_two_columns_of_one_meaning_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(errors.SchemaMismatch, match="the columns Courriel and email all mean email; keep one of them"):
        _read(tmp_path, "extension,Courriel,email", "201,a@example.com,b@example.com")


def test_an_extension_may_change_hands_and_a_person_may_have_two(tmp_path: Path) -> None:
    file = _read(
        tmp_path,
        "extension,name,user_id,from,until",
        "201,Amélie,1,,2024-02-29",
        "201,Bo,2,2024-03-01,",
        "305,Amélie,1,,",
    )
    assert len(file.entries) == 3


def test_a_word_for_nothing_in_an_agents_file_is_a_blank(tmp_path: Path) -> None:
    file = _read(tmp_path, "agent_extension,agent_name,agent_id,until", "101,NULL,8,NULL", "NULL,Ana,9,N/A")
    assert [(entry.extension, entry.name, entry.user_id) for entry in file.entries] == [("101", "", 8), ("", "ana", 9)]
    assert file.unused == ()
