"""A dealership with its exports, its state folder and its CRM: the stories in `nights.py` use it.

Every step goes through the command. The record of a story has, for each step, the answer of the command, the requests
that changed something in the CRM, and how many requests only read; at the end, the items of the ledger as `export`
writes them and what the CRM stores.
"""

import csv
import json
import os
import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx

from tests import rehearsal
from tests.baseline import observation
from tests.rehearsal import Crm, Ended

Row = dict[str, str]
LATER = "CALLIMPORT_TEST_LATER"
CLOCK = Path(__file__).parent / "clock"
FIRST = datetime(2024, 5, 6, 9, 0, tzinfo=timezone(timedelta(hours=-4)))
# One request at a time, so that "the second create" is the same call each time.
USUAL = ("--rate", "60000/min", "--concurrency", "1", "--settle", "1")


def call(number: int, **changes: str) -> Row:
    """Return a valid canonical row of lead 5001 to 5009, different for each number."""
    return {
        "call_id": f"call-{number}",
        "lead_id": str(5001 + number % 9),
        "direction": "outgoing" if number % 2 else "incoming",
        "status": "answered",
        "started_at": (FIRST + timedelta(minutes=7 * number)).isoformat(),
        "duration_seconds": str(30 + number),
        "customer_phone": f"+1514555{101 + number % 9:04}",
        "agent_id": str(101 + number % 4),
        "description": f"Essai routier nº {number}",
        **changes,
    }


def calls(count: int, start: int = 0, **changes: str) -> list[Row]:
    return [call(number, **changes) for number in range(start, start + count)]


def without(rows: Sequence[Row], *columns: str) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in columns} for row in rows]


class Dealership:
    """Records every step. `hours` is how far the clocks of the importer and of the CRM are ahead."""

    def __init__(self, crm: Crm, folder: Path) -> None:
        self.crm = crm
        self.folder = folder
        self.steps: list[dict[str, Any]] = []
        self.hours = 0.0

    def file(self, name: str, rows: Sequence[Row]) -> Path:
        """Write rows as a CSV file; a later file of the same name takes its place."""
        return rehearsal.write_csv(self.folder / name, rows, list(rows[0]))

    def leads(self, known: Mapping[str, int], name: str = "leads.csv") -> Path:
        return self.file(name, [{"phone": phone, "lead_id": str(lead)} for phone, lead in known.items()])

    def recording(self, name: str, content: bytes) -> Path:
        """Write a WAV file of that content into the folder of recordings."""
        path = self.folder / "recordings" / name
        path.parent.mkdir(exist_ok=True)
        form = struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)
        head = struct.pack("<4sI8sI16s4sI", b"RIFF", 36 + len(content), b"WAVEfmt ", 16, form, b"data", len(content))
        path.write_bytes(head + content)
        return path

    def run(self, what: str, *arguments: str | Path) -> Ended:
        """A `callimport run` with --json and --rejects."""
        rejects = self.folder / "rejects.csv"
        rejects.unlink(missing_ok=True)
        return self.command(what, "run", *arguments, *USUAL, "--json", "--rejects", rejects, rejects=rejects)

    def resume(self, what: str, *arguments: str | Path) -> Ended:
        """A `callimport run` without files."""
        return self.command(what, "run", *arguments, *USUAL, "--json")

    def command(self, what: str, name: str, *arguments: str | Path, rejects: Path | None = None) -> Ended:
        """Run any command on this ledger, and note what it came to."""
        before = self._last_request()
        ended = rehearsal.callimport(
            name, *arguments, "--destination", "sandbox", state=self.crm.state, **self._environment()
        )
        step = {"step": what, "answer": _answer(ended, name)}
        told = {
            "rejects": observation.rejects(rejects) if rejects else [],
            "sent": observation.sent(self.crm, before),
            "reads": observation.reads(self.crm, before),
        }
        self.steps.append(step | {key: value for key, value in told.items() if value})
        return ended

    def note(self, what: str, is_true: bool) -> None:
        """Record a fact that no single answer shows."""
        self.steps.append({"step": what, "answer": is_true})

    def hours_pass(self, hours: float) -> None:
        self.hours += hours
        self._post("clock", {"advance_seconds": hours * 3600})

    def in_the_crm(self, *acts: dict[str, Any]) -> None:
        """Let people work in the CRM."""
        self._post("acts", list(acts))

    def faults(self, *rules: dict[str, Any]) -> None:
        """Replace the fault rules of the CRM. Without arguments, remove all faults."""
        self._post("faults", list(rules))

    def lose_the_ledger(self) -> None:
        shutil.rmtree(self.crm.state / "ledgers")

    def stored(self, number: int) -> dict[str, Any]:
        """Return what the CRM keeps of call `number`."""
        at = FIRST + timedelta(minutes=7 * number)
        (found,) = (one for one in self.crm.stored() if datetime.fromisoformat(one["executed_at"]) == at)
        return found

    def reference(self, number: int) -> str:
        """Return the reference of call `number`, as a person reads it in the exported table."""
        at = (FIRST + timedelta(minutes=7 * number)).timestamp()
        rows = observation.exported(self.crm, self.folder)
        (found,) = (one for one in rows if datetime.fromisoformat(one["started_at"]).timestamp() == at)
        return found["reference"]

    def mend(self, name: str, changes: Mapping[str, Mapping[str, str]]) -> Path:
        """Correct cells of the last reject file, by call id, and save it under another name."""
        with (self.folder / "rejects.csv").open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        return self.file(
            name, [row | dict(changes.get(row["call_id"], {})) for row in rows if row["call_id"] in changes]
        )

    def record(self) -> dict[str, Any]:
        return {
            "steps": self.steps,
            "items": observation.items(self.crm, self.folder),
            "stored": observation.stored(self.crm),
            "judged by the CRM": self.crm.ask("assert"),
        }

    def _environment(self) -> dict[str, Any]:
        if not self.hours:
            return {}
        paths = (str(CLOCK), rehearsal.installed()["PYTHONPATH"])
        return {LATER: str(self.hours * 3600), "PYTHONPATH": os.pathsep.join(paths)}

    def _last_request(self) -> int:
        return int(self.crm.ask("counts")["requests"])

    def _post(self, what: str, body: object) -> None:
        answered = httpx.post(f"{self.crm.address['control_url']}/{what}", json=body, trust_env=False)
        if answered.status_code != 200:
            raise ValueError(answered.text)


def _answer(ended: Ended, name: str) -> dict[str, Any]:
    """Return the counts of `run`, the numbers of `reconcile` and `verify`, and the exit code of all."""
    if name == "run":
        return observation.answer(ended)
    try:
        told = json.loads(ended.out)
    except ValueError:
        return {"exit": ended.code}
    kept = {key: value for key, value in told.items() if key in ("verdicts", "decided", "calls", "in_doubt", "held")}
    return {"exit": ended.code, **kept}


@contextmanager
def opened(folder: Path, *options: str) -> Iterator[Dealership]:
    """A dealership with an empty state folder and the built-in rehearsal CRM: leads 5001 to 5020 with the numbers
    +1 514 555-0101 to 0120 in that order, users 101 to 105."""
    with rehearsal.crm(folder / "state", *observation.crm_options(*options)) as crm:
        yield Dealership(crm, folder)
