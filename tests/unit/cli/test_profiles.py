"""callimport profiles: what is printed can be used, and a draft with a question in it cannot."""

import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from callimport.cli.commands import commands
from callimport.core import errors
from callimport.profiles import profile
from tests.rehearsal import callimport

_SUBCOMMANDS = commands.commands["profiles"]
RECIPE = """\
version = 1
name = "desk"
title = "Front desk"
system = "desk"
identity = false
{asked}

[columns]
started_at = "Date"
customer_phone = "Number"
direction = "Way"
duration_seconds = "Talk"
"""


def profiles(*arguments: str | Path) -> Result:
    return CliRunner().invoke(commands, ["profiles", *map(str, arguments)], standalone_mode=False)


def test_every_recipe_is_listed_with_its_title() -> None:
    lines = profiles("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(profile.available())
    assert [profile.load(line.split()[0]).title in line for line in lines] == [True] * len(lines)
    assert [line.split()[0] for line in lines if "only by --profile" in line] == ["avaya-smdr", "five9"]


@pytest.mark.parametrize("name", profile.available())
def test_what_is_shown_is_the_recipe_still(name: str, tmp_path: Path) -> None:
    shown = profiles("show", name).stdout
    assert shown.startswith(profile.text_of(name).rstrip("\n"))
    assert tomllib.loads(shown) == tomllib.loads(profile.text_of(name))
    assert ("# How to export it:" in shown) == bool(profile.load(name).export)
    mine = tmp_path / "mine.toml"
    mine.write_text(shown, encoding="utf-8")
    assert profiles("show", mine).stdout.startswith(profile.text_of(name).rstrip("\n"))


@pytest.mark.parametrize("command", ["show", "test"])
def test_a_recipe_that_is_not_there_is_one_line_and_a_guess(command: str, tmp_path: Path) -> None:
    (tmp_path / "calls.csv").write_text("a,b\n1,2\n")
    words = ("show", "twillio") if command == "show" else ("test", tmp_path / "calls.csv", "--profile", "twillio")
    ended = callimport("profiles", *words, state=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.strip().splitlines()) == 1
    assert "did you mean twilio?" in ended.err


@pytest.mark.parametrize("name", sorted(getattr(_SUBCOMMANDS, "commands", {})))
def test_every_help_has_examples(name: str) -> None:
    assert isinstance(_SUBCOMMANDS, click.Group)
    command = _SUBCOMMANDS.commands[name]
    text = command.get_help(click.Context(command, info_name=name))
    assert "Example" in text
    assert f"callimport profiles {name}" in text


def _load(folder: Path, asked: str) -> profile.Profile:
    path = folder / "desk.toml"
    path.write_text(RECIPE.format(asked=asked), encoding="utf-8")
    return profile.load(str(path))


def test_a_recipe_with_an_open_question_is_refused_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        _load(tmp_path, '# Which comes first?\n# ? time_form = "dmy"\n\n  # ? zone = "UTC"')
    assert "desk.toml line 7 is an open question: time_form = " in str(caught.value)
    assert "lines 9" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_question_that_is_answered_or_taken_away_is_none(tmp_path: Path) -> None:
    assert _load(tmp_path, '# Which comes first?\ntime_form = "dmy"').time_form == "dmy"
    assert _load(tmp_path, "# Which comes first?").time_form == "iso"
