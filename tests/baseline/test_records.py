"""A record that differs, is missing or cannot be observed shows."""

from pathlib import Path
from typing import Any

import pytest

from tests.baseline import __main__ as command
from tests.baseline import records

OBSERVED = {"calls": {"delivered": 3, "total": 3}, "rows": ["a.csv 3: twin"]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    return tmp_path


def test_an_equal_record_shows_no_difference(folder: Path) -> None:
    records.save("one", OBSERVED)
    assert records.differences("one", OBSERVED) == []


@pytest.mark.parametrize(
    "changed", [OBSERVED | {"calls": {"delivered": 2, "total": 3}}, OBSERVED | {"rows": []}, OBSERVED | {"more": 1}, {}]
)
def test_a_changed_value_is_a_difference(folder: Path, changed: dict[str, Any]) -> None:
    records.save("one", OBSERVED)
    assert records.differences("one", changed)


def test_a_missing_record_is_a_difference(folder: Path) -> None:
    assert records.differences("one", OBSERVED)


def test_an_observation_that_breaks_off_is_a_difference(folder: Path) -> None:
    def broken() -> Any:
        raise TimeoutError("no answer")

    records.save("one", OBSERVED)
    assert records.observed(broken) == {"BROKE OFF": "TimeoutError: no answer"}
    assert records.differences("one", records.observed(broken))


@pytest.mark.parametrize(("found", "code"), [(OBSERVED, 0), ({}, 1)])
def test_the_command_fails_on_a_difference(
    folder: Path, monkeypatch: pytest.MonkeyPatch, found: dict[str, Any], code: int
) -> None:
    records.save("one", OBSERVED)
    monkeypatch.setattr(command, "observed", lambda *_: iter([("one", found)]))
    monkeypatch.setattr("sys.argv", ["baseline"])
    assert command.main() == code
