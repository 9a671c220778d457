"""Every option of `check` may be a flag, a variable of the environment or a line of the settings file, all alike."""

import json
import os
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click
import pytest

from callimport import importer
from callimport.cli import options
from callimport.cli.commands import commands
from callimport.core import errors, limits
from callimport.core.settings import PREFIX, Settings

# Option, its words on the command line, as a variable, in TOML, and what becomes of it in the settings.
_GIVEN: list[tuple[str, Sequence[str], str, str, Any]] = [
    ("profile", ["twilio"], "twilio", '"twilio"', "twilio"),
    ("system", ["main"], "main", '"main"', "main"),
    ("timezone", ["America/Toronto"], "America/Toronto", '"America/Toronto"', "America/Toronto"),
    ("ambiguous-hour", ["first"], "first", '"first"', "first"),
    ("since", ["2024-05-31"], "2024-05-31", "2024-05-31", date(2024, 5, 31)),
    ("until", ["2024-05-31"], "2024-05-31", '"2024-05-31"', date(2024, 5, 31)),
    ("leads", ["my leads.csv"], "my leads.csv", '"my leads.csv"', Path("my leads.csv")),
    ("find-leads", [], "1", "true", True),
    ("several-leads", ["at-call"], "at-call", '"at-call"', "at-call"),
    ("agent", ["first"], "first", '"first"', "first"),
    ("agents", ["who.csv"], "who.csv", '"who.csv"', Path("who.csv")),
    ("draft-agents", ["draft.csv"], "draft.csv", '"draft.csv"', Path("draft.csv")),
    ("state-dir", ["there"], "there", '"there"', Path("there")),
    ("unknown-agent", ["omit"], "omit", '"omit"', "omit"),
    ("no-reference", [], "1", "true", False),
    ("region", ["FR"], "FR", '"FR"', "FR"),
    ("outside-line", ["9"], "9", "9", "9"),
    ("area-code", ["514"], "514", "514", "514"),
    ("own-number", ["+15145550198"], "+15145550198", '"+15145550198"', ("+15145550198",)),
    ("exclude-numbers", ["staff.txt"], "staff.txt", '"staff.txt"', Path("staff.txt")),
    ("only", ["answered,incoming"], "answered,incoming", '"answered,incoming"', "answered,incoming"),
    ("min-duration", ["5"], "5", "5", 5),
    ("unknown-callers", ["callers.csv"], "callers.csv", '"callers.csv"', Path("callers.csv")),
    ("rejects", ["out.csv"], "out.csv", '"out.csv"', Path("out.csv")),
    ("force", [], "true", "true", True),
    ("recordings", ["my calls"], "my calls", '"my calls"', Path("my calls")),
    ("max-recording", ["5"], "5", "5", 5.0),
    ("max-rejects", ["5%"], "5%", '"5%"', limits.MaxRejects(5.0, is_share=True)),
    ("fail-on", ["no_lead,duplicate"], "no_lead,duplicate", '"no_lead,duplicate"', frozenset({"no_lead", "duplicate"})),
]
_FIELDS = {"no-reference": "reference", "own-number": "own_numbers"}
# What is no part of the settings: how it answers, and where the others come from.
_ELSEWHERE = {"config", "help", "html", "json", "log-format", "quiet"}


class _Asked(errors.ImporterError):
    """Raised in place of the work, with what was asked for."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("asked; nothing was done")
        self.settings = settings


@pytest.fixture(autouse=True)
def only_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No work, no variable of the developer's, and no file of theirs."""

    def check(settings: Settings, *_: Any, **__: Any) -> None:
        raise _Asked(settings)

    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.setattr(importer, "check", check)
    monkeypatch.chdir(tmp_path)


def _asked(*words: str) -> Settings:
    with pytest.raises(_Asked) as caught:
        commands.main(["check", "calls.csv", *words], standalone_mode=False)
    return caught.value.settings


def _toml(text: str) -> str:
    Path("callimport.toml").write_text(text, "utf-8")
    return "callimport.toml"


def test_every_option_of_check_is_tried_here() -> None:
    with click.Context(commands) as context:
        command = commands.get_command(context, "check")
        assert command is not None
        shown = {word[2:] for parameter in command.get_params(context) for word in parameter.opts if word[:2] == "--"}
    assert shown == {option for option, *_ in _GIVEN} | _ELSEWHERE


@pytest.mark.parametrize(("option", "words", "variable", "line", "wanted"), _GIVEN, ids=[one[0] for one in _GIVEN])
def test_an_option_is_the_same_from_wherever_it_comes(
    monkeypatch: pytest.MonkeyPatch, option: str, words: Sequence[str], variable: str, line: str, wanted: Any
) -> None:
    field = _FIELDS.get(option, option.replace("-", "_"))
    by_default = _asked()
    assert getattr(by_default, field) != wanted
    by_flag = _asked(f"--{option}", *words)
    assert getattr(by_flag, field) == wanted
    for name in (option, option.replace("-", "_")):
        assert _asked("--config", _toml(f"{name} = {line}")) == by_flag
    monkeypatch.setenv(f"CALLIMPORT_{option.replace('-', '_').upper()}", variable)
    assert _asked() == by_flag
    assert by_flag != by_default


def test_a_number_of_the_house_is_repeated_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    two = ("+15145550198", "house.txt")
    assert _asked("--own-number", two[0], "--own-number", two[1]).own_numbers == two
    assert _asked("--config", _toml('own-number = ["+15145550198", "house.txt"]')).own_numbers == two
    assert _asked("--config", _toml("own-number = [15145550198, 15145550199]")).own_numbers == (
        "15145550198",
        "15145550199",
    )
    monkeypatch.setenv("CALLIMPORT_OWN_NUMBER", " ".join(two))
    assert _asked().own_numbers == two


def test_a_number_with_blanks_in_it_is_one_number_in_a_list() -> None:
    """In a variable blanks stand between several."""
    assert _asked("--config", _toml('own-number = ["(514) 555-0198"]')).own_numbers == ("(514) 555-0198",)


def test_a_flag_wins_over_a_variable_and_that_over_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    path = _toml('only = "answered"\nown-number = ["+15145550197"]\nmin-duration = 1\n')
    monkeypatch.setenv("CALLIMPORT_ONLY", "incoming")
    monkeypatch.setenv("CALLIMPORT_OWN_NUMBER", "+15145550198")
    asked = _asked("--config", path)
    assert (asked.only, asked.own_numbers, asked.min_duration) == ("incoming", ("+15145550198",), 1)
    asked = _asked("--config", path, "--only", "outgoing", "--own-number", "+15145550199", "--min-duration", "2")
    assert (asked.only, asked.own_numbers, asked.min_duration) == ("outgoing", ("+15145550199",), 2)


@pytest.mark.parametrize(
    ("option", "text", "says"),
    [
        ("region", "Quebec", "Quebec"),
        ("outside-line", "nine", "one to three digits"),
        ("outside-line", "9999", "one to three digits"),
        ("area-code", "51", "three digits as in 514"),
        ("area-code", "111", "three digits as in 514"),
        ("min-duration", "-1", "-1"),
        ("min-duration", "a minute", "a minute"),
        ("since", "yesterday", "yesterday"),
        ("ambiguous-hour", "third", "third"),
        ("timezone", "Montreal", "America/Toronto"),
    ],
)
def test_a_wrong_word_is_told_from_wherever_it_comes(
    monkeypatch: pytest.MonkeyPatch, option: str, text: str, says: str
) -> None:
    path = _toml(f'{option} = "{text}"')
    for words in ([f"--{option}", text], ["--config", path]):
        _refused(words, says)
    monkeypatch.setenv(f"CALLIMPORT_{option.replace('-', '_').upper()}", text)
    _refused([], says)


@pytest.mark.parametrize(
    "line", ["min-duration = [1, 2]", "since = [2024-05-31]", 'profile = ["twilio"]', "find-leads = [true]"]
)
def test_a_list_for_an_option_of_one_value_is_told(line: str) -> None:
    _refused(["--config", _toml(line)], f'sets "{line.split(" ")[0]}" to a list')


def _refused(words: Sequence[str], says: str) -> None:
    with pytest.raises((click.UsageError, errors.ConfigError)) as caught:
        commands.main(["check", "calls.csv", *words], standalone_mode=False)
    error = caught.value
    told = error.format_message() if isinstance(error, click.UsageError) else str(error)
    assert says in told
    assert "\n" not in told


def test_a_misspelt_variable_is_warned_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One of another program may begin so, too; its value may be a key, and is never shown."""
    for name in ("TOKEN", "CONFIG", "SANDBOX_TOKEN", "ONLY", "KNOB"):
        monkeypatch.setenv(f"CALLIMPORT_{name}", "")
    _asked()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("CALLIMPORT_TOKN", "abcdef")
    monkeypatch.setenv("CALLIMPORT_NO_REFERNCE", "true")
    _asked("--quiet")
    first, second = capsys.readouterr().err.splitlines()
    ignored = "is no setting of callimport, so it is ignored: did you mean"
    assert first == f"warning: CALLIMPORT_NO_REFERNCE {ignored} CALLIMPORT_NO_REFERENCE?"
    assert second == f"warning: CALLIMPORT_TOKN {ignored} CALLIMPORT_TOKEN?"


def test_a_warning_of_a_variable_is_a_line_of_json_where_the_talk_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CALLIMPORT_15145550123", "")
    monkeypatch.setattr(sys, "argv", ["callimport", "run", "--log-format", "json"])
    _asked("--log-format", "json")
    told = json.loads(capsys.readouterr().err)
    assert told["level"] == "warning"
    assert "callimport run --help lists the options" in told["message"]
    assert "5145550123" not in told["message"]


def test_a_day_is_told_how_it_is_written() -> None:
    _refused(["--since", "05/01/2024"], "'05/01/2024' is no day: write it as year, month, day, such as 2024-05-31")


@pytest.mark.parametrize(
    ("destination", "rates", "is_told"),
    [
        ("production", ["300/min"], True),
        ("https://crm.example/v2", ["4/s"], True),
        ("production", ["300/min", "2000/h"], False),
        ("production", ["200/min"], False),
        ("sandbox", ["6000/min"], False),
    ],
)
def test_a_rate_above_what_the_crm_allows_is_warned_of(destination: str, rates: list[str], is_told: bool) -> None:
    told = options.too_fast({"destination": destination, "rates": rates})
    assert (told is not None) is is_told
