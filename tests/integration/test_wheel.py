"""Install the wheel alone and use it: nothing is missing, and no common package name is taken."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from callimport.profiles import profile
from tests import rehearsal

_IMPORTED = """
import importlib.util, json, sys
import callimport, callimport_schemas
from callimport.profiles import profile
print(json.dumps({
    "files": [callimport.__file__, callimport_schemas.__file__],
    "common": [name for name in ("pipeline", "schemas") if importlib.util.find_spec(name)],
    "profiles": [profile.load(name).name for name in profile.available()],
    "path": sys.path,
}))
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with the wheel in it, and a folder elsewhere from which it is used."""

    environment: Path
    elsewhere: Path

    def start(self, program: str, *arguments: str | Path) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CALLIMPORT_", "PYTHON"))}
        return subprocess.Popen(
            [self.environment / "bin" / program, *map(str, arguments)],
            cwd=self.elsewhere,
            env={**kept, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, program: str, *arguments: str | Path) -> rehearsal.Ended:
        process = self.start(program, *arguments)
        out, err = process.communicate(timeout=rehearsal.PATIENCE_SECONDS)
        return rehearsal.Ended(process.returncode, out, err)

    @contextmanager
    def sandbox(self, state: Path) -> Iterator[rehearsal.Crm]:
        address = state / "sandbox.json"
        process = self.start("python", "-m", "callimport.sandbox", "--quiet", "--address-file", address)
        try:
            rehearsal.wait_until(lambda: address.exists() or process.poll() is not None)
            yield rehearsal.Crm(state, json.loads(address.read_text("utf-8")))
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=rehearsal.PATIENCE_SECONDS)


def _done(*words: str | Path) -> None:
    done = subprocess.run(list(map(str, words)), cwd=rehearsal.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    _done(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Nothing is downloaded. Links lead to the libraries of this environment, but only to those that requirements.txt
    names: a library that the program needs and does not declare is missing."""
    environment = tmp_path_factory.mktemp("installed") / "environment"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    _done(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", wheel)
    (packages,) = (environment / "lib").glob("python*/site-packages")
    for top in sorted(_runtime_libraries()):
        (packages / top).symlink_to(Path(sysconfig.get_path("purelib")) / top)
    return Installed(environment, tmp_path_factory.mktemp("elsewhere"))


def _runtime_libraries() -> set[str]:
    """Return the files and folders in site-packages that belong to the locked requirements of a user."""
    lock = (rehearsal.ROOT / "requirements.txt").read_text("utf-8")
    found: set[str] = set()
    for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE):
        # A requirement of another system or of another version of Python is not installed.
        with contextlib.suppress(metadata.PackageNotFoundError):
            found |= {file.parts[0] for file in metadata.distribution(name).files or ()}
    return found - {"..", "__pycache__"}


def _imported(installed: Installed) -> dict[str, Any]:
    ended = installed.run("python", "-c", _IMPORTED)
    assert ended.code == 0, ended.said
    return ended.summary


def test_the_wheel_holds_only_callimport_and_callimport_schemas(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = {name.partition("/")[0] for name in packed.namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"callimport", "callimport_schemas"}


def test_imports_come_from_the_wheel(installed: Installed) -> None:
    seen = _imported(installed)
    assert all(Path(file).is_relative_to(installed.environment) for file in seen["files"])
    assert str(rehearsal.ROOT / "pipeline") not in seen["path"]
    assert seen["common"] == []


def test_the_packaged_profiles_are_found(installed: Installed) -> None:
    assert _imported(installed)["profiles"] == list(profile.available())
    ended = installed.run("callimport", "profiles", "show", "freepbx")
    assert ended.code == 0, ended.said
    assert 'name = "freepbx"' in ended.out


def test_a_check_and_an_import_work_from_another_folder(installed: Installed, tmp_path: Path) -> None:
    calls = rehearsal.write_csv(tmp_path / "calls.csv", rehearsal.calls(20))
    page = tmp_path / "page.html"
    checked = installed.run("callimport", "check", calls, "--json", "--html", page)
    assert checked.code == 0, checked.said
    assert checked.summary["rows"]["calls"] == 20
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")
    with installed.sandbox(tmp_path) as crm:
        ended = installed.run(
            "python", "-m", "callimport", "run", calls, "--destination", "sandbox", "--state-dir", tmp_path, "--json"
        )
        assert ended.code == 0, ended.said
        assert ended.summary["calls"]["delivered"] == len(crm.stored()) == 20
        assert rehearsal.adds_up(ended.summary)
