"""Mutate files, give them to the real command line, and judge the answers. `--help` shows the options."""

import argparse
import contextlib
import csv
import json
import multiprocessing
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from tests import exporting
from tests.fuzz import mutations
from tests.rehearsal import ROOT
from tests.whole_numbers import plain, shown

# Processor time for one file. Wall time would depend on other work of the machine.
MOST_SECONDS = 10.0
_HANGS_SECONDS = 90.0
_FAULTS = ("Traceback", "panicked", "fault of callimport", "RUST_BACKTRACE")
_ALLOWED = {"check": {0, 3, 5}, "test": {0, 3, 5}, "new": {0, 5}, "show": {0, 2, 5}}
_NUMBER = re.compile(r"\+1[2-9][0-9]{9}(?![0-9])|(?<![0-9])\(?[2-9][0-9]{2}\)?[-. ] ?[0-9]{3}[-.][0-9]{4}(?![0-9])")
_ODD_NUMBER = "5145550123"
_NUMBERS = "+15145550101\n+15145550102  # desk\n# a list\n(514) 555-0103\n"
_CONFIG = 'timezone = "America/Toronto"\nunknown-agent = "omit"\nregion = "CA"\n'
_AGENTS = (
    "extension,name,email,user_id,from,until\n101,Ana Roy,ana@example.com,,2024-01-01,\n102,Bo,bo@example.com,7,,\n"
)


@dataclass(frozen=True, slots=True)
class Case:
    """A mutated file and the command that gets it.

    `rows` is how many rows the file holds, None if unknown. The program reads all of them, or refuses the file.
    """

    number: int
    told: str
    name: str
    content: bytes
    command: str
    options: tuple[str, ...]
    as_json: bool
    rows: int | None
    # The option that names the file; "" if the file is the export.
    role: str
    numbers: frozenset[str]

    def arguments(self, folder: Path) -> list[str]:
        path = folder / self.name
        path.write_bytes(self.content)
        if self.command == "show":
            return ["profiles", "show", str(path)]
        export = str(path) if not self.role else str(ROOT / "sample_data" / "calls.csv")
        role = [self.role, str(path)] if self.role else []
        json_asked = ["--json"] if self.as_json else []
        if self.command != "check":
            return ["profiles", self.command, export, *self.options, *role, *json_asked]
        return ["check", export, *self.options, *role, *json_asked, "--rejects", str(folder / "rejects.csv"), "--force"]


@dataclass(frozen=True, slots=True)
class Ended:
    """`code` is text if the process did not end by itself."""

    code: int | str
    out: str
    err: str
    seconds: float


# ── cases ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def drawn(seed: int, number: int) -> Case:
    """Draw a case. The same seed and number always draw the same case."""
    chance = random.Random(f"{seed} {number}")
    role = chance.choice(["", "", "", "", "", "", "", "--leads", "--agents", "list", "--profile", "--config"])
    if role:
        return _beside(number, role, chance)
    # The count of rows is known for the canonical format only.
    canonical = [sample for sample in exporting.SAMPLES if sample.stem.startswith("canonical")]
    sample = chance.choice([*exporting.SAMPLES, *canonical * (len(exporting.SAMPLES) // len(canonical))])
    content = sample.read_bytes()
    name, rows, steps = sample.name, None, [sample.stem]
    # Parquet is rare, because each file starts a process.
    kind = chance.choice(["csv", "csv", "csv", "text", "text", "xlsx", "xlsx", "parquet"])
    if kind == "csv":
        step = chance.choice(list(mutations.OF_CSV))
        header = mutations.table_of(content)[0]
        content = mutations.OF_CSV[step](content, chance)
        steps.append(step)
        if step in mutations.OF_TABLE and sample in canonical:
            rows = mutations.count_rows(mutations.table_of(content), header)
    else:
        table = mutations.table_of(content)
        header = list(table[0])
        for step in chance.sample(list(mutations.OF_TABLE), chance.choice((0, 1, 1, 2))):
            mutations.OF_TABLE[step](table, chance)
            steps.append(step)
        if kind == "xlsx":
            name, content = "calls.xlsx", mutations.as_workbook(table, chance)
        elif kind == "parquet":
            name, content = "calls.parquet", mutations.as_parquet(table, chance)
        else:
            end, content = mutations.as_text(table, chance)
            name = f"calls{end}"
        steps.append(kind)
        keeps_rows = kind == "xlsx" or steps == [sample.stem, "parquet"]
        if kind == "xlsx" and chance.random() < 0.5:
            content, keeps_rows = mutations.workbook_edited(content, chance)
            steps.append("XML edited")
        if keeps_rows and sample in canonical:
            rows = mutations.count_rows(table, header)
    if chance.random() < 0.3:
        step = chance.choice(list(mutations.OF_BYTES))
        content, rows = mutations.OF_BYTES[step](content, chance), None
        steps.append(step)
    command = chance.choice(["check"] * 8 + ["test", "new"])
    chosen = exporting.profile_of(sample) or chance.choice([None, profile_named(sample.stem)])
    options = ["--profile", chosen] if chosen and command != "new" else []
    if command != "new":
        options += ["--timezone", exporting.ZONE]
    if command == "check":
        options += ["--unknown-agent", "omit"]
    as_json = command != "new" and (rows is not None or chance.random() < 0.6)
    numbers = numbers_of(sample.read_bytes())
    return Case(number, ", ".join(steps), name, content, command, tuple(options), as_json, rows, "", numbers)


def _beside(number: int, role: str, chance: random.Random) -> Case:
    """Draw a case whose mutated file goes with an export, such as a leads file."""
    profiles = sorted((ROOT / "schemas" / "callimport_schemas" / "profiles").glob("*.toml"))
    good = {
        "--leads": (ROOT / "sample_data" / "leads.csv").read_bytes(),
        "--agents": _AGENTS.encode(),
        "list": _NUMBERS.encode(),
        "--profile": chance.choice(profiles).read_bytes(),
        "--config": _CONFIG.encode(),
    }[role]
    steps = [role]
    name, content = {"list": "numbers.txt", "--profile": "mine.toml", "--config": "conf.toml"}.get(role, "x.csv"), good
    if role in ("--leads", "--agents"):
        table = mutations.table_of(good)
        for step in chance.sample(list(mutations.OF_TABLE), chance.choice((0, 1, 2))):
            mutations.OF_TABLE[step](table, chance)
            steps.append(step)
        kind = chance.choice(["text", "text", "xlsx", "parquet"])
        if kind == "text":
            end, content = mutations.as_text(table, chance)
            name = f"x{end}"
        elif kind == "xlsx":
            name, content = "x.xlsx", mutations.workbook_edited(mutations.as_workbook(table, chance), chance)[0]
        else:
            name, content = "x.parquet", mutations.as_parquet(table, chance)
        steps.append(kind)
    if len(steps) == 1 or chance.random() < 0.4:
        step = chance.choice(list(mutations.OF_BYTES))
        content = mutations.OF_BYTES[step](content, chance)
        steps.append(step)
    command = "show" if role == "--profile" and chance.random() < 0.3 else "check"
    option = chance.choice(["--own-number", "--exclude-numbers"]) if role == "list" else role
    options = () if role == "--config" else ("--timezone", exporting.ZONE, "--unknown-agent", "omit")
    as_json = command == "check" and chance.random() < 0.6
    numbers = numbers_of(good)
    return Case(number, ", ".join(steps), name, content, command, options, as_json, None, option, numbers)


def numbers_of(content: bytes) -> frozenset[str]:
    """Return the ten digits of each number in a good file, and those that mutations put into files."""
    found = _NUMBER.findall(content.decode("utf-8", "replace"))
    return frozenset({_ODD_NUMBER, *(re.sub("[^0-9]", "", number)[-10:] for number in found)})


def profile_named(stem: str) -> str:
    """Return the name of the profile for a sample of tests/exports."""
    names = ("3cx", "aircall", "avaya-smdr", "canonical", "cucm", "dialpad", "five9", "freepbx", "twilio")
    return next((name for name in names if stem.startswith(name)), "ringcentral-analytics")


# ── judge ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def judged(case: Case, ended: Ended, rejects: Path) -> Iterator[str]:
    """Yield what is wrong with the answer, one line for each finding."""
    if isinstance(ended.code, str):
        yield ended.code
        return
    said = ended.out + ended.err
    yield from (f"says {fault!r}" for fault in _FAULTS if fault in said)
    # A fault in a list of numbers, a profile or a configuration file counts as a fault in an option.
    allowed = _ALLOWED[case.command] | ({2} if case.role not in ("", "--leads", "--agents") else set[int]())
    if ended.code not in allowed:
        yield f"exit code {ended.code}"
    if ended.seconds > MOST_SECONDS:
        yield f"took {ended.seconds:.0f} s"
    yield from (f"shows the number that ends in {number[-4:]}" for number in whole_numbers(case, said))
    if ended.code in (2, 5) and not ended.err.strip():
        yield "does not say why it stopped"
    if case.as_json:
        yield from _of_json(case, ended, rejects)


def whole_numbers(case: Case, said: str) -> set[str]:
    """Return the numbers of the good file that are shown whole.

    A profile is printed for copying: `show` prints all of it, and `new` names the columns outside its comments.
    """
    if case.command == "show":
        return set()
    if case.command == "new":
        said = "\n".join(line for line in said.splitlines() if line.startswith(("#", "error:", "warning:")))
    text = plain(said)
    return {number for number in case.numbers if shown(number, text)}


def _of_json(case: Case, ended: Ended, rejects: Path) -> Iterator[str]:
    try:
        answer = json.loads(ended.out)
    except ValueError:
        yield f"answers with no single JSON object: {ended.out[:80]!r}"
        return
    if answer.get("exit_code", ended.code) != ended.code:
        yield f"exit code {ended.code}, and {answer['exit_code']} in JSON"
    rows = answer.get("rows") if case.command == "check" else None
    if rows is None:
        return
    if rows["read"] != rows["joined"] + rows["dropped"] + rows["rejected"] + rows["calls"]:
        yield f"rows do not add up: {rows}"
    if ended.code in (0, 3):
        if case.rows is not None and rows["read"] != case.rows:
            yield f"{case.rows} rows are in the file, {rows['read']} were read"
        with rejects.open(encoding="utf-8-sig", newline="") as file:
            kept = len(list(csv.reader(file))) - 1
        if kept != rows["rejected"]:
            yield f"{rows['rejected']} rows were rejected, {kept} stand in the reject file"


# ── play ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Player:
    """Run the real command line in one process for many files. If the process dies, start another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: multiprocessing.process.BaseProcess | None = None

    def play(self, case: Case) -> list[str]:
        """Play one case and return its findings."""
        for path in self._folder.iterdir():
            path.unlink()
        return list(judged(case, self._ended(case.arguments(self._folder)), self._folder / "rejects.csv"))

    def _ended(self, arguments: list[str]) -> Ended:
        if self._process is None or not self._process.is_alive():
            self._start()
        self._ours.send(arguments)
        try:
            if self._ours.poll(_HANGS_SECONDS):
                return Ended(*self._ours.recv())
        except EOFError:
            assert self._process is not None
            self._process.join()
            return Ended(f"the process died ({self._process.exitcode})", "", "", 0.0)
        self.close()
        return Ended(f"hangs for more than {_HANGS_SECONDS:.0f} s", "", "", _HANGS_SECONDS)

    def _start(self) -> None:
        fresh = multiprocessing.get_context("spawn")
        self._ours, theirs = fresh.Pipe()
        self._process = fresh.Process(target=_serve, args=(theirs,))
        self._process.start()
        theirs.close()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._ours.close()


def _serve(asked: Connection) -> None:
    from callimport.cli import commands

    os.environ |= {"HOME": tempfile.gettempdir(), "COLUMNS": "120"}
    while True:
        try:
            arguments = asked.recv()
        except EOFError:
            return
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            # Rust writes to the file descriptors, not to sys.stdout and sys.stderr.
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.argv = ["callimport", *arguments]
            began = time.process_time()
            code: int | str
            try:
                commands.main()
            except SystemExit as ended:
                code = int(ended.code or 0)
            except BaseException as error:  # noqa: BLE001 (what escapes is the finding)
                code = f"{type(error).__name__} escaped"
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            seconds = time.process_time() - began
            out.seek(0)
            err.seek(0)
            told = (code, out.read().decode("utf-8", "replace"), err.read().decode("utf-8", "replace"), seconds)
        asked.send(told)


def play(seed: int, numbers: range, jobs: int, keep: Path | None = None) -> Iterator[str]:
    """Play many cases. Yield each finding with the command that plays it again. Keep files of findings in `keep`."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, ThreadPoolExecutor(jobs) as threads:

        def played(share: range) -> Iterator[str]:
            own = Path(folder) / f"{share.start}"
            own.mkdir()
            player = Player(own)
            try:
                for number in share:
                    case = drawn(seed, number)
                    for finding in player.play(case):
                        yield f"{number}: {finding} ({case.command} {case.role}, {case.told}); {_again(seed, number)}"
                        if keep is not None:
                            keep.mkdir(parents=True, exist_ok=True)
                            (keep / f"{seed}-{number}-{case.name}").write_bytes(case.content)
            finally:
                player.close()

        shares = [numbers[start::jobs] for start in range(jobs)]
        for findings in threads.map(lambda share: list(played(share)), shares):
            yield from findings


def _again(seed: int, number: int) -> str:
    return f"again: python -m tests.fuzz.files --seed {seed} --one {number} --keep DIR"


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz.files", description=__doc__)
    asked.add_argument("--count", type=int, default=3000)
    asked.add_argument("--seed", type=int, help="default: drawn and printed")
    asked.add_argument("--jobs", type=int, default=2)
    asked.add_argument("--one", type=int, metavar="K", help="play only the file with this number")
    asked.add_argument("--keep", type=Path, metavar="DIR", help="keep the files of findings there")
    given = asked.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed}", flush=True)
    began, found = time.monotonic(), 0
    numbers = range(given.count) if given.one is None else range(given.one, given.one + 1)
    step = 100 * given.jobs
    for start in range(0, len(numbers), step):
        for finding in play(seed, numbers[start : start + step], min(given.jobs, len(numbers)), given.keep):
            found += 1
            print(finding, flush=True)
    print(f"{len(numbers):,} files, {found:,} findings, {time.monotonic() - began:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
