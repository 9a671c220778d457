"""What an installation rests on: the locks, the top level, and the one gate."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

import callimport

TOP = Path(__file__).parents[2]
LOCKS = ("requirements.txt", "requirements-dev.txt")


def project() -> dict[str, Any]:
    return tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))


def canonical(requirement: str) -> str:
    """`pandera[polars]>=0.29` as `pandera`: the name that two spellings of it share."""
    name = re.match(r"[\w.-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def entries(lock: str) -> list[str]:
    """One logical line a requirement, comments away."""
    text = (TOP / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def pins(lock: str) -> dict[str, str]:
    return {canonical(entry): entry.split()[0].partition("==")[2] for entry in entries(lock)}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_requirement_has_one_version_and_hashes(lock: str) -> None:
    assert entries(lock)
    for entry in entries(lock):
        assert re.match(r"[\w.-]+==[\w.!+]+ .*--hash=sha256:[0-9a-f]{64}", entry), entry


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_index(lock: str) -> None:
    """Each machine installs from the index that it trusts; the hashes see to it that it is the same file."""
    text = (TOP / lock).read_text(encoding="utf-8")
    for unwanted in ("http:", "https:", "file:", "--index", "--extra-index", "--find-links", "--trusted-host"):
        assert unwanted not in text


@pytest.mark.parametrize("lock", LOCKS)
def test_what_an_installation_needs_is_locked(lock: str) -> None:
    """The keyring extra is not: who wants it brings what his desktop needs."""
    needed = {
        *project()["project"]["dependencies"],
        *project()["project"]["optional-dependencies"]["sandbox"],
        *project()["build-system"]["requires"],
        *project()["dependency-groups"]["build"],
    }
    assert {canonical(requirement) for requirement in needed} <= pins(lock).keys()


def test_what_the_tests_need_is_locked() -> None:
    needed = [entry for entry in project()["dependency-groups"]["dev"] if isinstance(entry, str)]
    assert {canonical(requirement) for requirement in needed} <= pins("requirements-dev.txt").keys()


def test_tests_run_against_the_versions_that_are_installed() -> None:
    runtime, dev = pins("requirements.txt"), pins("requirements-dev.txt")
    assert runtime == {name: dev.get(name) for name in runtime}


def test_version_has_one_place_and_a_changelog_entry() -> None:
    assert "version" not in project()["project"]
    assert f"## {callimport.__version__}" in (TOP / "CHANGELOG.md").read_text(encoding="utf-8")


def ci(folder: Path, *there: str, make: str = "exit 0") -> tuple[int, list[str], str]:
    """What CI does on a machine with those programs and a `make` that only notes what it is asked for."""
    for name in ("bash", "dirname"):
        (folder / name).symlink_to(shutil.which(name) or name)
    for name, does in (("make", f'echo "$@" >> {folder}/asked; {make}'), *((each, "exit 0") for each in there)):
        (folder / name).write_text(f"#!{folder}/bash\n{does}\n")
        (folder / name).chmod(0o755)
    done = subprocess.run([TOP / ".ci" / "run"], env={"PATH": str(folder)}, capture_output=True, text=True, check=False)
    return done.returncode, (folder / "asked").read_text().splitlines(), done.stderr


def test_ci_runs_the_gate_and_then_the_browser_where_there_is_one(tmp_path: Path) -> None:
    assert ci(tmp_path, "chromium", "chromedriver") == (0, ["test", "test-browser"], "")


@pytest.mark.parametrize("there", [[], ["chromium"], ["chromedriver"]])
def test_ci_says_loudly_that_no_browser_was_run_and_does_not_fail(there: list[str], tmp_path: Path) -> None:
    code, asked, said = ci(tmp_path, *there)
    assert (code, asked) == (0, ["test"])
    assert "NOT RUN: the tests in a browser" in said


def test_ci_fails_with_the_gate(tmp_path: Path) -> None:
    code, asked, _ = ci(tmp_path, "chromium", "chromedriver", make="exit 2")
    assert (code, asked) == (2, ["test"])


def test_make_alone_lists_what_can_be_made() -> None:
    shown = subprocess.run(["make"], cwd=TOP, capture_output=True, text=True, check=True).stdout  # noqa: S607 (make is wherever the machine has it)
    for target in ("demo", "test", "check", "lock", "clean"):
        assert f"make {target}" in shown


def test_gate_runs_every_check_in_order() -> None:
    plan = subprocess.run(["make", "--dry-run", "check"], cwd=TOP, capture_output=True, text=True, check=True).stdout  # noqa: S607
    steps = ("ruff format --check", "ruff check", "lint-imports", "mypy", "pytest")
    places = [plan.index(step) for step in steps]
    assert places == sorted(places)
