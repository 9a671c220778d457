"""The lists of modules in docstrings name modules that are there."""

import ast
import re
from pathlib import Path

import pytest

from tests.rehearsal import ROOT

PACKAGE = ROOT / "pipeline" / "callimport"
LISTS = ("ledger/__init__.py", "profiles/profile.py", "profiles/draft/__init__.py")


def listed(path: Path) -> set[str]:
    """Return the first words of the lines that look like `name   what the module does`."""
    told = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return set(re.findall(r"^([a-z_]+) {2,}\S", told, re.MULTILINE))


@pytest.mark.parametrize("place", LISTS)
def test_every_listed_module_is_there(place: str) -> None:
    folder = (PACKAGE / place).parent
    there = {path.stem for path in folder.iterdir()}
    assert len(listed(PACKAGE / place)) >= 5
    assert listed(PACKAGE / place) <= there
