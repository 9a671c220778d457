"""Flip one bit in a ledger, and judge what the program makes of it.

    python -m tests.fuzz.ledger_bits --count 1000 --seed 1
    python -m tests.fuzz.ledger_bits --one 17

The ledger has pending, doubtful and delivered calls, parked updates and recordings to upload. Half of the bits are in
the rows of the table `item`. One ledger in four was killed and has a write-ahead log. A reading command, a command that
writes and `doctor` meet each bit, with the CRM and the time of the fuzzer of answers.
"""

import copy
import functools
import json
import os
import random
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from callimport.ledger import Database
from tests import rehearsal
from tests.baseline.scripted_crm import FIRST_LEAD, Answers, Ending, Outcome, Script, Trouble, World
from tests.fuzz import answers, many_cases

CALLS = 12
LEADS = 4
READING = ("verify", "status", "find", "export")
WRITING = ("run", "run files", "reconcile", "dry run")
# Exit codes that say that all is well, or why it is not.
EXIT_CODES = frozenset({0, 1, 2, 3, 4, 7, 8})
_WRITES = ("create", "update", "upload")


class Crm(Answers):
    """A healthy CRM that keeps what was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[tuple[str, str, str]] = []

    def respond(self, method: str, target: str, body: bytes) -> tuple[bytes, Ending]:
        answer = super().respond(method, target, body)
        kind = self.journal[-1].kind
        if kind in _WRITES:
            # Of an upload, the part of the file: the boundary is drawn anew each time.
            start = body.find(answers.WAV)
            content = body[start : start + len(answers.WAV) + 1].hex() if kind == "upload" else body.decode()
            self.writes.append((kind, self._call(target), content))
        return answer

    def _call(self, target: str) -> str:
        """The start of the call that a request is about: ids depend on the order of the creates."""
        number = re.sub(r"\D", "", target)
        return next((one["executed_at"] for one in self.world.communications if str(one["id"]) == number), target)


@dataclass(frozen=True, slots=True)
class Known:
    """What a command does with the intact ledger: exit code, writes, and the calls in the CRM afterwards."""

    code: int
    writes: Counter[tuple[str, str, str]]
    stored: Counter[str]


@dataclass(slots=True)
class Base:
    """A ledger and a CRM to begin with. `files` are the ledger's, by name; `known` is by command."""

    folder: Path
    world: World
    ledger: Path
    files: dict[str, bytes]
    cells: list[range]
    dump: list[str]
    uploads: list[tuple[str, str, str]]
    known: dict[str, Known] = field(default_factory=dict)


@dataclass(slots=True)
class Played:
    """What became of one bit."""

    number: int
    place: str = ""
    is_harmless: bool = False
    ended: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.place


class Player:
    """Runs commands on one folder."""

    def __init__(self, folder: Path, world: World) -> None:
        self.folder = folder
        self._runner = answers._InMemory(folder / "state")
        self.crm = Crm()
        self.crm.world = world
        self._runner.crm = self.crm
        self._runner._network = answers._Network(self.crm)

    def command(self, name: str, *more: str) -> rehearsal.Ended:
        output = self.folder / "export.csv"
        output.unlink(missing_ok=True)
        files = [str(self.folder / "calls.csv")]
        sends = ["--settle", "1", "--recordings", str(self.folder / "recordings"), "--rate", "60000/min"]
        words = {
            "run": ["run", *sends],
            "run files": ["run", *files, *sends],
            "dry run": ["run", "--dry-run", *files, *sends],
            "reconcile": ["reconcile", "--settle", "1", "--rate", "60000/min"],
            "verify": ["verify"],
            "status": ["status"],
            "doctor": ["doctor"],
            "find": ["find", "+15145550101"],
            "export": ["export", "-o", str(output)],
        }[name]
        as_json = [] if name == "export" else ["--json"]
        return self._runner.command(*words, *more, *as_json, "--destination", self._runner.url)

    def stored(self) -> Counter[str]:
        """The calls in the CRM, as it shows them, without what it adds itself."""
        own = ("id", "created_at", "updated_at")
        return Counter(
            json.dumps({name: value for name, value in one.items() if name not in own}, sort_keys=True)
            for one in self.crm.world.communications
        )


def build(folder: Path, *, is_killed: bool) -> Base:
    """Import a part of the calls, with lost answers and changed calls."""
    (folder / "state").mkdir(mode=0o700)
    (folder / "recordings").mkdir()
    for number in range(CALLS):
        recording = folder / "recordings" / f"{number}.wav"
        recording.write_bytes(answers.WAV + bytes([number]))
        os.utime(recording, (0, 0))
    _write_calls(folder, changed=False)
    player = Player(folder, World.with_leads(LEADS))
    ended = [player.command("run files", "--limit", "5")]
    # The first answer is lost after the call was stored, the second before.
    lost = [Trouble("create", Outcome(lambda _: b"", Ending.FIN, stores), count=1) for stores in (True, False)]
    player.crm.script = Script(lost)
    slowly = ("--settle", "3600", "--max-duration", "30s", "--concurrency", "1")
    ended.append(player.command("run files", "--limit", "2", *slowly))
    player.crm.script = Script()
    _write_calls(folder, changed=True)
    ended.append(player.command("run files", "--limit", "1", *slowly))
    (ledger,) = (folder / "state").rglob("*.sqlite3")
    files: dict[str, bytes] = {}
    with closing(Database.open(ledger)) as database:
        if is_killed:
            with database.transaction():
                database.execute("INSERT INTO run (id, started_at) VALUES ('killed', '2024-06-01T00:00:00+00:00')")
            files = _files_of(ledger)
        statuses = dict(database.rows("SELECT status, count(*) FROM item GROUP BY status"))
        parked = database.one("SELECT count(*) FROM item WHERE next_facts IS NOT NULL")
        due = database.one("SELECT count(*) FROM recording WHERE status = 'todo'")
    if not is_killed:
        files = _files_of(ledger)
    is_as_wanted = statuses.get("in_doubt") == 2 and statuses.get("pending", 0) >= 3 and parked and due
    assert is_as_wanted, (statuses, parked, due, [one.said for one in ended])
    Path(f"{ledger}-wal").unlink(missing_ok=True)
    shutil.copytree(folder / "state", folder / "kept")
    uploads = [write for write in player.crm.writes if write[0] == "upload"]
    cells = _cells(files[ledger.name], "item")
    base = Base(folder, player.crm.world, ledger, files, cells, _dump(ledger, files), uploads)
    for name in (*READING, *WRITING, "doctor"):
        intact = _player(base, files)
        code = intact.command(name).code
        base.known[name] = Known(code, Counter(intact.crm.writes), intact.stored())
    return base


def _write_calls(folder: Path, *, changed: bool) -> None:
    rows = rehearsal.calls(CALLS)
    for number, row in enumerate(rows):
        lead = number % LEADS
        row |= {"lead_id": str(FIRST_LEAD + lead), "agent_id": "101", "customer_phone": f"+1514555{100 + lead:04}"}
        row["recording"] = f"{number}.wav"
        if changed and number % 2:
            row["description"] = f"Rappel nº {number}"
    os.utime(rehearsal.write_csv(folder / "calls.csv", rows, tuple(rows[0])), (0, 0))


def _files_of(ledger: Path) -> dict[str, bytes]:
    paths = (ledger, Path(f"{ledger}-wal"))
    return {path.name: path.read_bytes() for path in paths if path.exists() and path.stat().st_size}


def _player(base: Base, files: dict[str, bytes]) -> Player:
    """Begin anew, with these files of the ledger. The state folder remembers where its ledgers lie, so it stays."""
    shutil.rmtree(base.folder / "state")
    shutil.copytree(base.folder / "kept", base.folder / "state")
    for name, content in files.items():
        (base.ledger.parent / name).write_bytes(content)
    return Player(base.folder, copy.deepcopy(base.world))


def _dump(name: Path, files: dict[str, bytes]) -> list[str]:
    """All that SQLite reads from the files of a ledger; what it says if it cannot."""
    with tempfile.TemporaryDirectory(dir=answers._FOLDER) as place:
        for one, content in files.items():
            (Path(place) / one).write_bytes(content)
        with closing(sqlite3.connect(Path(place) / name.name)) as database:
            database.text_factory = bytes
            try:
                tables = [
                    row[0].decode() for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                ]
                told = [repr(row) for table in tables for row in database.execute(f"SELECT * FROM {table}")]  # noqa: S608
                told += [repr(row) for row in database.execute("SELECT sql FROM sqlite_master")]
                pragmas = ("user_version", "application_id", "integrity_check")
                return told + [repr(database.execute(f"PRAGMA {name}").fetchall()) for name in pragmas]
            except (sqlite3.Error, UnicodeError) as error:
                return [repr(error)]


def _cells(content: bytes, table: str) -> list[range]:
    """Where the rows of a table lie in a database file, by the format of SQLite: the leaves of its tree."""
    size = int.from_bytes(content[16:18], "big")
    with tempfile.TemporaryDirectory(dir=answers._FOLDER) as place:
        (Path(place) / "copy").write_bytes(content[:18] + b"\1\1" + content[20:])
        with closing(sqlite3.connect(Path(place) / "copy")) as database:
            (root,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    found: list[range] = []
    pages = [root]
    while pages:
        start = (pages.pop() - 1) * size
        head = start + (100 if start == 0 else 0)
        kind, count = content[head], int.from_bytes(content[head + 3 : head + 5], "big")
        pointers = head + (12 if kind == 5 else 8)
        cells = [start + int.from_bytes(content[pointers + 2 * n : pointers + 2 * n + 2], "big") for n in range(count)]
        if kind == 5:
            pages += [int.from_bytes(content[cell : cell + 4], "big") for cell in cells]
            pages.append(int.from_bytes(content[head + 8 : head + 12], "big"))
        elif cells:
            found.append(range(min(cells), start + size))
    return found


@functools.cache
def base_of(*, is_killed: bool) -> Base:
    """Build a base once in each process."""
    folder = Path(tempfile.mkdtemp(dir=answers._FOLDER, prefix="fuzz-ledger-"))
    return build(folder, is_killed=is_killed)


def play(number: int) -> Played:
    """Flip one bit, run three commands and judge them."""
    rng = random.Random(f"bit {number}")
    base = base_of(is_killed=rng.random() < 0.25)
    played = Played(number)
    files = dict(base.files)
    name, place = _drawn(rng, base)
    bit = rng.randrange(8)
    content = bytearray(files[name])
    content[place] ^= 1 << bit
    files[name] = bytes(content)
    is_cell = name == base.ledger.name and any(place in cells for cells in base.cells)
    played.place = f"bit {bit} of byte {place} of {name}{' (item)' if is_cell else ''}"
    now = _dump(base.ledger, files)
    # The log of a killed ledger holds nothing but a run that had just begun.
    without_log = {base.ledger.name: base.files[base.ledger.name]}
    played.is_harmless = now in (base.dump, _dump(base.ledger, without_log))
    for names in (("doctor", rng.choice(READING)), (rng.choice(WRITING), "run files")):
        player = _player(base, files)
        for turn, command in enumerate(names):
            ended = player.command(command)
            played.ended.append(f"{command}: exit {ended.code}")
            played.said.append(f"--- {command}: exit {ended.code}\n{ended.out}{ended.err}")
            for wrong in _wrong_with(base, player, command, ended, played, is_first=turn == 0):
                played.findings.append(f"{command}: exit {ended.code}: {wrong}")
        if names[0] == "doctor" and _files_of(base.ledger) != files:
            played.findings.append(f"{names}: the ledger was written to")
    return played


def _drawn(rng: random.Random, base: Base) -> tuple[str, int]:
    if rng.random() < 0.5:
        cells = rng.choices(base.cells, [len(one) for one in base.cells])[0]
        return base.ledger.name, rng.choice(cells)
    names = list(base.files)
    name = rng.choices(names, [len(base.files[one]) for one in names])[0]
    return name, rng.randrange(len(base.files[name]))


def _wrong_with(
    base: Base, player: Player, command: str, ended: rehearsal.Ended, played: Played, *, is_first: bool
) -> Iterator[str]:
    if ended.code not in EXIT_CODES:
        yield "exit code"
    for word in ("Traceback", "fault of callimport", answers.TOKEN):
        if word in ended.said:
            yield f'"{word}"'
    if command != "export":
        try:
            summary = json.loads(ended.out)
        except ValueError:
            yield "not one JSON object"
            return
        if "rows" in summary and not rehearsal.adds_up(summary):
            yield "does not add up"
    allowed = base.known["run files"].writes + base.known["run"].writes
    # An upload takes the place of an earlier one: the right recording may go again.
    allowed += Counter(base.uploads)
    for kind, target, content in player.crm.writes:
        if not any(_is_part_of((kind, target, content), one) for one in allowed):
            yield f"wrong {kind} of {target}: {content}"
    twice = [call for call, count in _calls_of(player.crm.world).items() if count > 1]
    if twice:
        yield f"stored twice: {twice}"
    if any(count > base.world.uploads[number] + 1 for number, count in player.crm.world.uploads.items()):
        yield f"uploaded twice: {player.crm.world.uploads}"
    if command == "doctor" and not played.is_harmless and ": sound" in ended.out:
        yield "called sound"
    ends_as_intact = is_first and ended.code == base.known[command].code
    if ends_as_intact and ended.code != 1 and player.stored() != base.known[command].stored:
        yield f"ends as with the intact ledger, but the CRM shows {player.stored() - base.known[command].stored}"


def _is_part_of(write: tuple[str, str, str], known: tuple[str, str, str]) -> bool:
    """Whether a write is one of the intact ledger; an update may leave out fields."""
    if write[:2] != known[:2]:
        return False
    if write[0] != "update":
        return write[2] == known[2]
    return json.loads(write[2]).items() <= json.loads(known[2]).items() or write[2] == '{"method":"phone"}'


def _calls_of(world: World) -> Counter[str]:
    return Counter(str(one["executed_at"]) for one in world.communications)


def played_safely(number: int) -> Played:
    """Play a case; a case that breaks is a finding."""
    try:
        return play(number)
    except Exception as error:  # noqa: BLE001 (a broken case is a finding)
        return Played(number, findings=[f"broken case: {error!r}"])


@click.command()
@click.option("--count", default=1000, help="How many bits.")
@click.option("--seed", type=int, help="The number of the first case. Default: chosen by chance.")
@click.option("--jobs", default=2, help="How many processes.")
@click.option("--one", type=int, help="Play only this case, and show all output.")
def main(count: int, seed: int | None, jobs: int, one: int | None) -> None:
    """Flip bits in ledgers. Exit with 1 if something is found."""
    if one is not None:
        played = play(one)
        click.echo("\n".join([played.place, *played.said, *(played.findings or ["no finding"])]))
        sys.exit(bool(played.findings))
    seed = random.SystemRandom().randrange(10**6) * 1000 if seed is None else seed
    click.echo(f"seed {seed}, {count} bits")
    began = time.monotonic()
    found = many_cases.play_all(played_safely, range(seed, seed + count), jobs, "tests.fuzz.ledger_bits")
    codes: Any = Counter(one for played in found for one in played.ended)
    bad = [played for played in found if played.findings]
    click.echo(", ".join(f"{name}: {times}" for name, times in sorted(codes.items())))
    harmless = sum(played.is_harmless for played in found)
    click.echo(
        f"{len(found)} bits, {harmless} of them harmless, in {time.monotonic() - began:.0f} s: {len(bad)} with findings"
    )
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
