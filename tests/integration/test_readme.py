"""README is always true: every command in it is run or, where it names production, parsed."""

import re
import shlex
import shutil
from pathlib import Path

import click
import pytest

from callimport.cli.commands import commands
from callimport.core.errors import ExitCode
from callimport.profiles import profile
from tests import rehearsal

README = (rehearsal.ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
COMMANDS = [shlex.split(line, comments=True) for block in BLOCKS for line in block.splitlines() if line.strip()]
OURS = [words[1:] for words in COMMANDS if words[0] == "callimport"]
# What the examples with broken rows or with a limit end with; all others end well.
EXPECTED = {"sample_data/messy.csv": 3, "--limit": 7}


def test_every_command_is_ours_or_a_make_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (rehearsal.ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for words in COMMANDS:
        assert words[0] == "callimport" or (words[0] == "make" and words[1] in targets)
    assert len(OURS) > 10


@pytest.mark.parametrize("words", OURS, ids=" ".join)
def test_every_command_of_ours_parses(words: list[str]) -> None:
    command = commands.commands[words[0]]
    command.make_context(words[0], list(words[1:])).close()


def test_every_command_that_stays_on_this_machine_works(tmp_path: Path) -> None:
    state = tmp_path / "state"
    shutil.copytree(rehearsal.SAMPLES, tmp_path / "sample_data")
    local = [words for words in OURS if "production" not in words and words[0] != "sandbox"]
    sandbox = next(words for words in OURS if words[0] == "sandbox")
    with rehearsal.crm(state, *sandbox[1:]):
        for words in local:
            ended = rehearsal.callimport(*words, state=state, cwd=tmp_path)
            expected = next((code for word, code in EXPECTED.items() if word in words), 0)
            assert ended.code == expected, (words, ended.said)
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_the_exit_codes_are_the_programs() -> None:
    table = README.split("## Exit codes")[1].split("##")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == {int(code) for code in ExitCode}


def test_the_map_names_every_room_and_nothing_else() -> None:
    package = rehearsal.ROOT / "pipeline" / "callimport"
    rooms = {path.name for path in package.iterdir() if (path / "__init__.py").exists()}
    assert rooms == set(re.findall(r"^\| `(\w+)/` \|", README.split("## A map of the rooms")[1], re.MULTILINE))


def test_every_option_named_exists() -> None:
    known = {
        option
        for command in commands.commands.values()
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }
    assert set(re.findall(r"`(--[a-z-]+)", README)) <= known


def test_every_column_of_the_canonical_recipe_is_explained() -> None:
    table = README.split("## The columns")[1].split("## ")[0]
    explained = {
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert explained == set(profile.load("canonical").columns)
