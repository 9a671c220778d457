"""What the CRM said about numbers, and when: a file of its own beside the ledger, so that no night asks again.

It is safe to delete at any time. Each function opens the file and closes it again. A file that cannot be used is never
an error: a damaged or foreign one is set aside, and the CRM is asked. `warn` is told of it in a sentence.
"""

import contextlib
import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from callimport.core import models

# Less than a day: the next night asks again, though it may begin a little earlier.
LASTS = timedelta(hours=20)
APPLICATION_ID = 0x4C454144  # "LEAD"
VERSION = 1
# `leads` is a JSON list of id, created_at (null where the CRM does not say) and status; an empty list is nobody's.
_TABLE = """
    CREATE TABLE answer (
        phone TEXT PRIMARY KEY,
        leads TEXT NOT NULL,
        looked_up_at TEXT NOT NULL,
        checksum INTEGER NOT NULL
    ) STRICT
"""

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """The leads that have a number; none if it is nobody's."""

    leads: tuple[models.Lead, ...]
    looked_up_at: datetime


class _Unfit(Exception):
    """The file is no lead cache of this version."""


def beside(ledger: Path) -> Path:
    """`ledger.sqlite3.leads`."""
    return ledger.with_name(f"{ledger.name}.leads")


def known(path: Path | None, last_calls: Mapping[str, datetime | None], now: datetime, warn: Warn) -> dict[str, Answer]:
    """Return the kept answers that are still good, by phone.

    `last_calls` has each phone with the start of its last call (None: none is known). An answer older than that call
    does not count, because the phone may have another lead since. Nor does one older than 20 hours.
    """
    found: list[tuple[str, str, str, int]] = []
    with _opened(path, warn) as cache:
        if cache is not None:
            found = cache.execute(
                "SELECT phone, leads, looked_up_at, checksum FROM answer "
                "WHERE phone IN (SELECT value FROM json_each(?)) AND looked_up_at > ? AND looked_up_at <= ?",
                (json.dumps(list(last_calls)), _text(now - LASTS), _text(now)),
            ).fetchall()
    answers = {
        phone: Answer(tuple(_lead(*one) for one in json.loads(leads)), datetime.fromisoformat(looked_up_at))
        for phone, leads, looked_up_at, checksum in found
        if checksum == _checksum(phone, leads, looked_up_at)
    }
    return {
        phone: answer
        for phone, answer in answers.items()
        if (began := last_calls[phone]) is None or began <= answer.looked_up_at
    }


def keep(path: Path | None, found: Mapping[str, tuple[models.Lead, ...]], now: datetime, warn: Warn) -> None:
    """Remember what the CRM said of these numbers."""
    rows = [(phone, json.dumps([_cells(lead) for lead in leads]), _text(now)) for phone, leads in found.items()]
    with _opened(path, warn) as cache:
        if cache is not None:
            cache.executemany(
                "INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?)", ((*row, _checksum(*row)) for row in rows)
            )


def asked_for(path: Path | None, phones: Collection[str]) -> set[str]:
    """Find the numbers that the CRM was asked for. Nothing is written."""
    if path is None or not path.is_file():
        return set()
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as cache:
            found = cache.execute(
                "SELECT phone FROM answer WHERE phone IN (SELECT value FROM json_each(?))", (json.dumps(list(phones)),)
            )
            return {phone for (phone,) in found}
    except sqlite3.Error:
        return set()


@contextlib.contextmanager
def _opened(path: Path | None, warn: Warn) -> Iterator[sqlite3.Connection | None]:
    """A connection in one transaction; None if there is no place for the file, or if it cannot be used."""
    if path is None or not path.parent.is_dir():
        yield None
        return
    try:
        cache = _connected(path, warn)
    except (OSError, sqlite3.Error) as error:
        warn(f"the lead cache {path} cannot be used ({error}): the CRM is asked for every number; check its rights")
        yield None
        return
    with contextlib.closing(cache):
        try:
            with cache:
                yield cache
        except sqlite3.Error as error:
            warn(f"the lead cache {path} cannot be used ({error}): the CRM is asked again; delete the file")


def _connected(path: Path, warn: Warn) -> sqlite3.Connection:
    try:
        return _checked(path)
    except (_Unfit, sqlite3.DatabaseError) as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        aside = path.with_name(f"{path.name}.damaged")
        path.replace(aside)
        warn(f"{path} is damaged or no lead cache: it is now {aside.name}, and the CRM is asked again; delete it")
        return _checked(path)


def _checked(path: Path) -> sqlite3.Connection:
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600))
    cache = sqlite3.connect(path)
    try:
        kind = [cache.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        if kind == [0, 0] and cache.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
            cache.execute(_TABLE)
            cache.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            cache.execute(f"PRAGMA user_version = {VERSION}")
        elif kind != [APPLICATION_ID, VERSION] or cache.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise _Unfit
    except BaseException:
        cache.close()
        raise
    return cache


def _checksum(phone: str, leads: str, looked_up_at: str) -> int:
    return zlib.crc32(f"{phone}\n{leads}\n{looked_up_at}".encode("utf-8", "replace"))


def _cells(lead: models.Lead) -> tuple[int, str | None, str]:
    return lead.id, _text(lead.created_at) if lead.created_at else None, lead.status


def _lead(lead_id: int, created_at: str | None, status: str) -> models.Lead:
    return models.Lead(lead_id, datetime.fromisoformat(created_at) if created_at else None, status)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
