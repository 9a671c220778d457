"""callimport doctor: is everything fit for an import? Each check is a line that says it is, or what to do.

One request goes to the CRM, a read. Nothing is sent, and no key is shown.
"""

import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from callimport import importer
from callimport.core import errors, models, plurals
from callimport.core import settings as config
from callimport.core.errors import ExitCode
from callimport.core.signals import interruptible
from callimport.crm import account
from callimport.crm.handshake import Handshake
from callimport.ledger import damage, locking, queries
from callimport.load import account_ledger

# Calls of the future are rejects from five minutes on.
SKEW_TO_LOOK_AT_SECONDS = 30
SKEW_TOO_LARGE_SECONDS = 300
DISK_TO_LOOK_AT_BYTES = 1_000_000_000
DISK_TOO_FULL_BYTES = 100_000_000
MOUNTS = Path("/proc/self/mounts")
_NETWORK = re.compile(r"nfs\d?|cifs|smb\w*|9p|afs|ceph|fuse\.(sshfs|glusterfs|ceph\w*|s3fs|rclone)|lustre|ncpfs|davfs")
_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")


class State(StrEnum):
    OK = "ok"
    LOOK = "look"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Check:
    """One line. `exit_code` is what the command ends with if it is wrong."""

    name: str
    state: State
    told: str
    exit_code: ExitCode = ExitCode.OK


@dataclass(frozen=True, slots=True)
class Examined:
    """Everything that was looked at."""

    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> ExitCode:
        return errors.worst(*(check.exit_code for check in self.checks))

    def for_machines(self) -> dict[str, Any]:
        return {"exit_code": int(self.exit_code), "checks": [asdict(check) for check in self.checks]}


async def examine(settings: config.Settings, tools: importer.Tools) -> Examined:
    """Look at key, CRM, ledger and the place where it lies. Raises nothing that a check can tell."""
    checks: list[Check] = []
    whose: models.Account | None = None
    target: config.Target | None = None
    try:
        with interruptible():
            target = config.target(settings)
    except errors.Interrupted:
        raise
    except errors.ImporterError as error:
        checks.append(_wrong("destination", error))
    if target is not None:
        before = tools.clock.wall()
        try:
            async with tools.connect(target.base_url, target.token, connections=1) as crm:
                seen = await crm.handshake()
        except errors.ImporterError as error:
            seen = Handshake(error=str(error))
        moment = before + (tools.clock.wall() - before) / 2
        checks += [_key(target), *_of_the_crm(target, seen, moment)]
        if seen.error is None:
            try:
                whose = account.choose(seen.accounts, settings.account)
                checks.append(_ok("account", f"{whose.id} ({whose.name})"))
                checks.append(_users(seen))
            except errors.ImporterError as error:
                checks.append(_wrong("account", error))
    return Examined((*checks, *_of_this_machine(settings, tools.clock, target, whose)))


def _key(target: config.Target) -> Check:
    value = target.token.reveal()
    if _JWT.fullmatch(value):
        return _ok("key", f"looks like one of the CRM's: three parts, {len(value):,} characters")
    return _look("key", f"{len(value):,} characters, but not the three parts with dots of the CRM's: copied whole?")


def _of_the_crm(target: config.Target, seen: Handshake, moment: datetime) -> Iterator[Check]:
    if seen.error is None:
        yield _ok("answer", f"{target.host} answered {seen.status} ({seen.http})")
    else:
        yield Check("answer", State.WRONG, f"{target.host}: {seen.error}", ExitCode.STOPPED)
    if seen.status is None:
        return
    if seen.redirected_to:
        yield _look("redirect", f"it points to {seen.redirected_to}: a key follows none; check the destination")
    if seen.tls:
        yield _ok("encryption", seen.tls)
    else:
        yield _ok("encryption", "none, and none is needed on this machine's own loopback")
    yield _rate(seen)
    yield _clock(seen, moment)


def _rate(seen: Handshake) -> Check:
    if not seen.rate:
        return _ok("limit", "no header tells it: 200 requests a minute are documented; leave --rate below that")
    return _ok("limit", ", ".join(f"{name} {value}" for name, value in seen.rate))


def _clock(seen: Handshake, moment: datetime) -> Check:
    if seen.date is None:
        return _look("clock", "the CRM does not tell its time: see yourself that this machine's clock is right")
    skew = round((moment - seen.date).total_seconds())
    if abs(skew) <= SKEW_TO_LOOK_AT_SECONDS:
        return _ok("clock", f"within {max(abs(skew), 1)} s of the CRM's")
    told = f"{abs(skew):,} s {'ahead of' if skew > 0 else 'behind'} the CRM's: set this machine's clock by the network"
    if abs(skew) <= SKEW_TOO_LARGE_SECONDS:
        return _look("clock", told)
    return Check("clock", State.WRONG, told, ExitCode.STOPPED)


def _users(seen: Handshake) -> Check:
    if not seen.users:
        return _look("users", "the CRM names none: calls then need agent_id or --unknown-agent omit; ask its support")
    return _ok("users", f"{seen.users:,} active")


def _of_this_machine(
    settings: config.Settings, clock: models.Clock, target: config.Target | None, whose: models.Account | None
) -> Iterator[Check]:
    try:
        folder = config.state_dir(settings)
    except errors.ImporterError as error:
        yield _wrong("state folder", error)
        return
    yield _permissions(folder)
    try:
        path = _ledger_path(settings, folder, target, whose)
    except errors.ImporterError as error:
        yield _look("ledger", str(error))
        path = None
    place = path.parent if path is not None and path.parent.is_dir() else folder
    yield _disk(place)
    yield _file_system(place)
    if path is not None:
        yield _ledger(replace(settings, ledger=path), clock, path, whose)


def _ledger_path(
    settings: config.Settings, folder: Path, target: config.Target | None, whose: models.Account | None
) -> Path:
    if settings.ledger is not None or target is None or whose is None:
        return config.find_ledger(settings)
    return config.ledger_of(folder, target.host, whose)


def _permissions(folder: Path) -> Check:
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return _look("state folder", f"{folder} is open to others, and ledgers hold customers' numbers: chmod 700")
    return _ok("state folder", f"{folder}, open to you only")


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    told = f"{free / 1e9:,.1f} GB free in {folder}"
    if free < DISK_TOO_FULL_BYTES:
        return Check("disk", State.WRONG, f"{told}: free some before importing", ExitCode.STOPPED)
    if free < DISK_TO_LOOK_AT_BYTES:
        return _look("disk", f"{told}: a million calls take about 1 GB")
    return _ok("disk", told)


def _file_system(folder: Path) -> Check:
    kind = file_system_of(Path(os.path.realpath(folder)), _mounts())
    if kind is None:
        return _ok("file system", "of what kind cannot be told here; a ledger belongs on a local disk")
    if _NETWORK.fullmatch(kind):
        told = f"{folder} lies on a network ({kind}), where locks and syncs may not hold: --state-dir on a local disk"
        return _look("file system", told)
    return _ok("file system", f"local ({kind})")


def file_system_of(folder: Path, mounts: str) -> str | None:
    """The kind of the file system that holds a folder, by `/proc/self/mounts`; None where that does not say."""
    found: dict[Path, str] = {}
    for line in mounts.splitlines():
        _, where, kind, *_ = [*line.split(" "), "", "", ""]
        # A blank in a name is written as \040.
        point = Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), where))
        if where and (point == folder or point in folder.parents):
            found[point] = kind
    return found[max(found, key=lambda point: len(point.parts))] if found else None


def _mounts() -> str:
    try:
        return MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _ledger(settings: config.Settings, clock: models.Clock, path: Path, whose: models.Account | None) -> Check:
    if not path.is_file():
        return _ok("ledger", f"none yet: the first run makes {path}")
    try:
        if locking.is_held(locking.beside(path, "lock")):
            return _ok("ledger", f"{path} is held by a run: callimport status shows how far it is; not looked into now")
        with account_ledger.reading(settings, clock) as ledger:
            ledger.database.check_soundness(with_indexes=True)
            damage.check_all(ledger.database)
            damage.refuse(ledger.database)
            calls = sum(queries.counts(ledger.database).values())
            version = ledger.database.one("PRAGMA user_version")
            bound = queries.bound_account(ledger.database)
    except errors.RunInProgress as error:
        return _ok("ledger", str(error))
    except errors.ImporterError as error:
        return _wrong("ledger", error)
    if whose is not None and bound is not None and bound.id != whose.id:
        told = f"{path} is of account {bound.id} ({bound.name}): name that of account {whose.id} with --ledger"
        return Check("ledger", State.WRONG, told, ExitCode.USAGE)
    return _ok("ledger", f"{path}: sound, form {version}, {plurals.calls(calls)}, nobody holds it")


def _ok(name: str, told: str) -> Check:
    return Check(name, State.OK, told)


def _look(name: str, told: str) -> Check:
    return Check(name, State.LOOK, told)


def _wrong(name: str, error: errors.ImporterError) -> Check:
    return Check(name, State.WRONG, str(error), error.exit_code)
