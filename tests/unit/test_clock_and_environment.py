"""Time, chance and the environment come in at one door, so that a test can have its own."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rehearsal import ROOT

SOURCES = sorted([*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "schemas").rglob("*.py")])
# Time and chance are injected, so that a test can have its own; here they come in.
CLOCKS = {
    "pipeline/callimport/cli/commands.py",
    # Tests send real signals to processes, so its clock is the real one.
    "pipeline/callimport/core/signal_watch.py",
    "pipeline/callimport/sandbox/clock.py",
    "pipeline/callimport/sandbox/__main__.py",
}
ENVIRONMENT = {"pipeline/callimport/core/settings.py", "pipeline/callimport/sandbox/__main__.py"}
_CLOCK_CALLS = {"time.time", "time.monotonic", "time.sleep", "datetime.now", "datetime.datetime.now", "random.random"}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_time_and_environment_come_in_at_one_door(path: Path) -> None:
    used = set(_calls(ast.parse(path.read_text(encoding="utf-8"))))
    if _name(path) not in CLOCKS:
        assert not used & _CLOCK_CALLS
    if _name(path) not in ENVIRONMENT:
        assert not used & {"os.environ", "os.getenv"}
