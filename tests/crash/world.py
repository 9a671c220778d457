"""What outlives a process: its files, the CRM's memory, and the time. All of it is a value, to be kept and compared."""

import contextlib
import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

from tests.crash.crm import Memory

FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None
# A person needs a moment to notice and to type; the same moment for whole stretches of points keeps worlds comparable.
_LOOKS_EVERY_SECONDS = 10.0
_DAY_SECONDS = 86400.0
Files = tuple[tuple[str, bytes], ...]
# A ledger is up to three files: itself, its log, and the journal by which it came to have a log.
_SUFFIXES = ("", "-wal", "-journal")
_Image = tuple[bytes | None, ...]
connect = sqlite3.connect


@dataclass(frozen=True)
class World:
    """`files` by their path below the folder of the scene, `now` in virtual seconds, `lives` how many were lived."""

    files: Files
    crm: Memory
    now: float = 0.0
    lives: int = 0

    @cached_property
    def digest(self) -> str:
        """Equal for worlds that no process can tell apart: the salt of a write-ahead log tells it nothing."""
        told = hashlib.sha256(repr((self.crm, self.now, self.lives)).encode())
        for name, content in self.files:
            if not is_ledger(name):
                told.update(name.encode() + content)
        for name in self.ledgers:
            told.update(name.encode() + contents(self._image(name)).encode())
        return told.hexdigest()[:16]

    @property
    def ledgers(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.files if name.endswith(".sqlite3"))

    def later(self, days: int = 0) -> "World":
        """When somebody comes back to it. What the CRM was about to do by then, it has done."""
        now = (self.now // _LOOKS_EVERY_SECONDS + 1) * _LOOKS_EVERY_SECONDS + days * _DAY_SECONDS
        return replace(self, now=now, crm=self.crm.at(now))

    def faults(self) -> list[str]:
        """What SQLite itself has against the ledgers."""
        found = (_soundness(self._image(name)) for name in self.ledgers)
        return [fault for fault in found if fault != "ok"]

    @contextlib.contextmanager
    def ledger(self) -> Iterator[sqlite3.Connection]:
        """The only ledger there is, to look at."""
        (name,) = self.ledgers
        with _opened(self._image(name)) as database:
            yield database

    def _image(self, name: str) -> _Image:
        found = dict(self.files)
        return tuple(found.get(f"{name}{suffix}") for suffix in _SUFFIXES)


def put(files: Files, folder: Path) -> None:
    """Make the folder what the files say, and nothing else."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    for name, content in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def taken(folder: Path) -> Files:
    """The files as the operating system has them. Locks die with their holder."""
    found = ((Path(place) / name) for place, _, names in os.walk(folder) for name in names)
    kept = sorted(path for path in found if path.suffix not in (".lock", ".heartbeat"))
    return tuple((path.relative_to(folder).as_posix(), path.read_bytes()) for path in kept)


def is_ledger(name: str) -> bool:
    return ".sqlite3" in name


@contextlib.contextmanager
def _opened(image: _Image) -> Iterator[sqlite3.Connection]:
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix="callimport-image-") as folder:
        for suffix, content in zip(_SUFFIXES, image, strict=True):
            if content is not None:
                (Path(folder) / f"image.sqlite3{suffix}").write_bytes(content)
        with contextlib.closing(connect(Path(folder) / "image.sqlite3")) as database:
            yield database


@lru_cache(maxsize=512)
def contents(image: _Image) -> str:
    """Every row of every table, whatever pages they lie on."""
    with _opened(image) as database:
        try:
            return "\n".join([*database.iterdump(), str(database.execute("PRAGMA user_version").fetchone())])
        except sqlite3.DatabaseError as error:
            return f"unreadable: {error}"


@lru_cache(maxsize=512)
def _soundness(image: _Image) -> str:
    with _opened(image) as database:
        try:
            verdict = str(database.execute("PRAGMA integrity_check").fetchone()[0])
            dangling = database.execute("PRAGMA foreign_key_check").fetchall()
        except sqlite3.DatabaseError as error:
            return str(error)
    return verdict if not dangling else f"dangling {dangling}"
