"""What a first import makes of each input: how its rows end, which keys and references calls get, what is sent.

`observe(FOLDER)` gives the name of each record and what was observed. Two rehearsal CRMs serve all inputs, each one
input at a time. Each input has a state folder of its own.
"""

import contextlib
import csv
import queue
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests import rehearsal
from tests.baseline import generated_exports, observation, records
from tests.rehearsal import ROOT, SAMPLES, Crm

GOLDEN = ROOT / "tests" / "exports"
# Profiles that were never tried on a real export are chosen by name only.
BY_NAME_ONLY = ("avaya-smdr", "five9")
# So many inputs at a time, each with a rehearsal CRM: as many as a small machine has cores.
WORKERS = 2
PACE = ("--rate", "60000/min")
ZONE = ("--timezone", "America/Toronto")
LEADS = ("--leads", "{files}/besides/leads.csv")
OMIT = ("--unknown-agent", "omit")
HOUSE = ("--own-number", generated_exports.HOUSE)
USUAL = (*ZONE, *LEADS, *OMIT)

Seed = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FirstRun:
    """One input. `files` and `options` may name `{files}`, the folder of generated files.

    `options` go to check and run, `run_options` to run alone. `later` lists further runs on the same ledger: the files
    of each, or () for the files of the first run. With `is_checked`, check runs first. With `reads_are_sure`, reads are
    recorded. They are not sure if leads are read at random, or if the run stops early. `seed` is what the CRM holds
    besides leads of any id.
    """

    name: str
    files: tuple[str, ...]
    options: tuple[str, ...] = USUAL
    run_options: tuple[str, ...] = ()
    later: tuple[tuple[str, ...], ...] = ()
    is_checked: bool = True
    reads_are_sure: bool = True
    seed: Seed = field(default_factory=dict)


def _users() -> list[Seed]:
    names = ((agent.name.split(" ", 1), agent) for agent in generated_exports.AGENTS)
    return [
        {"id": agent.user_id, "first_name": first, "last_name": last, "email": agent.email, "active": True}
        for (first, last), agent in names
    ]


def _lead(lead_id: int, phone: str, created_at: str, **more: Any) -> Seed:
    return {"id": lead_id, "first_name": "Client", "phones": [phone], "created_at": created_at, **more}


def _leads_in_crm() -> list[Seed]:
    """A lead for most numbers, two for some of them, and calls that somebody else brought to the CRM."""
    found = [_lead(8000 + last, f"+15145550{last}", "2023-01-05T10:00:00-05:00") for last in range(100, 180)]
    found += [_lead(lead["id"] + 500, lead["phones"][0], "2024-06-15T10:00:00-04:00") for lead in found[:20:2]]
    # What somebody else brought to the CRM: a minute after the incoming call of 2:00 in canonical.csv.
    there = {"executed_at": "2024-11-03T02:01:00-05:00", "type": "incoming", "call_duration": 95}
    found[50]["communications"] = [there]
    return found


def _document(seed: Seed) -> Seed:
    account = {"id": observation.ACCOUNT_ID, "name": "Garage Tremblay & Fils", "users": _users(), "leads": []}
    return {"accounts": [account | seed]}


def inputs() -> list[FirstRun]:
    """All inputs in the order of their records."""
    return [*_samples(), *_golden(), *_generated(), *_options(), *_several_files()]


def _samples() -> Iterator[FirstRun]:
    calls = f"{SAMPLES}/calls.csv"
    yield FirstRun("sample_data/calls", (calls,), ZONE, later=((f"{SAMPLES}/calls.parquet",), (calls,)))
    yield FirstRun("sample_data/parquet", (f"{SAMPLES}/calls.parquet",), ("--since", "2025-10-01", *ZONE))
    messy = ("--profile", "canonical", *ZONE, "--leads", f"{SAMPLES}/leads.csv")
    yield FirstRun("sample_data/messy", (f"{SAMPLES}/messy.csv",), messy)


def _chosen(stem: str) -> tuple[str, ...]:
    return ("--profile", stem) if stem in BY_NAME_ONLY else ()


def _golden() -> Iterator[FirstRun]:
    for path in sorted(GOLDEN.glob("*.csv")):
        if not path.stem.endswith(".calls"):
            options = (*_chosen(path.stem), *ZONE, *OMIT, "--leads", f"{GOLDEN}/leads.txt")
            yield FirstRun(f"golden/{path.stem}", (str(path),), options)


def _generated() -> Iterator[FirstRun]:
    for name in generated_exports.EXPORTS:
        stem = Path(name).stem
        # The same run again sends nothing: shown for two systems.
        later = ((),) if stem in ("twilio", "freepbx-linkedid") else ()
        yield FirstRun(f"generated/{stem}", (f"{{files}}/{name}",), (*_chosen(stem), *USUAL, *HOUSE), later=later)


def _options() -> Iterator[FirstRun]:
    """Other options, each on the canonical file or on a system that they matter to."""
    canonical, twilio, freepbx = ("{files}/canonical.csv",), ("{files}/twilio.csv",), ("{files}/freepbx-report.csv",)
    agents = ("--agents", "{files}/besides/agents.csv")
    several = {
        "several-leads-newest": (*USUAL, "--several-leads", "newest", "--only", "answered"),
        "several-leads-at-call": (*USUAL, "--several-leads", "at-call", "--only", "answered,incoming"),
        "excluded-and-short": (*USUAL, "--exclude-numbers", "{files}/besides/excluded.txt", "--min-duration", "60"),
        "days": (*USUAL, "--since", "2024-03-10", "--until", "2024-08-05"),
        "first-hour": (*USUAL, "--ambiguous-hour", "first", "--since", "2024-11-01", "--until", "2024-11-05"),
        "second-hour": (*USUAL, "--ambiguous-hour", "second", "--since", "2024-11-01", "--until", "2024-11-05"),
        "no-zone": (*LEADS, *OMIT, "--only", "outgoing,answered"),
        "agents-file": (*ZONE, *LEADS, *agents, "--unknown-agent", "reject", "--only", "outgoing"),
        "default-agent": (*ZONE, *LEADS, "--unknown-agent", "default:104", "--only", "attempted"),
        "no-reference": (*USUAL, "--no-reference", "--only", "attempted"),
        "other-system": (*USUAL, "--system", "second desk", "--only", "attempted"),
        "other-region": (*ZONE, "--leads", f"{GOLDEN}/leads.txt", *OMIT, "--region", "FR", "--only", "attempted"),
    }
    for name, options in several.items():
        yield FirstRun(f"options/{name}", canonical, options, is_checked=name == "no-zone")
    found = (*ZONE, *OMIT, "--find-leads", "--min-duration", "60")
    at_call = (*found, "--several-leads", "at-call")
    in_crm = {"leads": _leads_in_crm()}
    yield FirstRun("options/find-leads", canonical, found, is_checked=False, reads_are_sure=False, seed=in_crm)
    yield FirstRun("options/find-leads-at-call", twilio, at_call, is_checked=False, reads_are_sure=False, seed=in_crm)
    yield FirstRun(
        "options/agents-of-freepbx", freepbx, (*ZONE, *LEADS, *agents, "--only", "answered"), is_checked=False
    )
    cut_short = partial(FirstRun, files=twilio, options=(*LEADS, *OMIT), is_checked=False, reads_are_sure=False)
    yield cut_short("options/limit", run_options=("--limit", "5"), later=((),))
    yield cut_short("options/dry-run", run_options=("--dry-run",))
    yield FirstRun("options/max-rejects", twilio, (*LEADS, *OMIT, "--max-rejects", "5%"))
    yield FirstRun("options/fail-on", ("{files}/pair/first.csv",), (*USUAL, "--fail-on", "no_lead,duplicate"))


def _several_files() -> Iterator[FirstRun]:
    containers = tuple(f"{{files}}/containers/{name}" for name in sorted(generated_exports.containers()))
    yield FirstRun("files/containers", containers)
    yield FirstRun("files/folder", ("{files}/containers",), (*USUAL, "--only", "attempted"))
    yield FirstRun("files/two-equal", ("{files}/pair/first.csv", "{files}/pair/second.csv"), later=(("{files}/pair",),))
    yield FirstRun("files/mixed-folder", ("{files}/mixed",))
    versions = ("{files}/aircall-v1.csv", "{files}/aircall-v3.csv")
    yield FirstRun("files/two-versions", versions, (*USUAL, "--only", "attempted"))
    yield FirstRun("files/missing", ("{files}/no-such-file.csv",))
    yield FirstRun("files/aggregate", ("{files}/besides/agents.csv",))


def observe(folder: Path, only: Callable[[str], bool] = lambda name: True) -> Iterator[tuple[str, Any]]:
    """Name and observation of each record whose name `only` accepts; `folder` is empty and takes all files."""
    files = folder / "files"
    generated_exports.write_all(files)
    chosen = [one for one in inputs() if only(f"first_runs/{one.name}")]
    with contextlib.ExitStack() as stack:
        free: queue.SimpleQueue[Crm] = queue.SimpleQueue()
        for number in range(min(WORKERS, len(chosen))):
            service = folder / f"crm-{number}"
            service.mkdir()
            free.put(stack.enter_context(rehearsal.crm(service, *observation.crm_options("--any-id"))))
        pool = stack.enter_context(futures.ThreadPoolExecutor(WORKERS))

        def next_free(one: FirstRun) -> Any:
            crm = free.get()
            try:
                return records.observed(partial(observed, one, crm, files, folder / "states" / one.name))
            finally:
                free.put(crm)

        names = (f"first_runs/{one.name}" for one in chosen)
        yield from zip(names, pool.map(next_free, chosen), strict=True)


def observed(one: FirstRun, crm: Crm, files: Path, state: Path) -> dict[str, Any]:
    """Check the input and import it into a CRM that holds only the seed."""
    state.mkdir(parents=True)
    shutil.copy(crm.state / "sandbox.json", state)
    own = Crm(state, crm.address)
    answer = httpx.post(f"{crm.address['control_url']}/seed", json=_document(one.seed), trust_env=False)
    answer.raise_for_status()
    options, paths = _placed(one.options, files), _placed(one.files, files)
    told: dict[str, Any] = {"command": [_unplaced(text, files) for text in (*paths, *options, *one.run_options)]}
    check_rejects, run_rejects = state / "check.csv", state / "run.csv"
    if one.is_checked:
        check = rehearsal.callimport("check", *paths, *options, "--json", "--rejects", check_rejects, state=state)
        told["check"] = observation.answer(check)
    run = own.run(*paths, *options, *_placed(one.run_options, files), *PACE, "--rejects", run_rejects)
    told |= {
        "run": observation.answer(run),
        "rejects": observation.rejects(run_rejects),
        "rejected_cells": _cells(run_rejects) if one.name in _WITH_CELLS else [],
        "items": observation.items(own, state),
        **_sent(own),
        "reads": _reads(one, own),
    }
    if one.is_checked and observation.rejects(check_rejects) != told["rejects"]:
        told["rejects_of_check"] = observation.rejects(check_rejects)
    for number, more in enumerate(one.later, 2):
        told[f"run_{number}"] = _later(one, own, _placed(more, files) or paths, options)
    return {name: value for name, value in told.items() if value not in ([], {})}


# Of these the reject file is recorded cell by cell.
_WITH_CELLS = ("sample_data/messy", "generated/canonical")


def _later(one: FirstRun, crm: Crm, paths: Sequence[str], options: Sequence[str]) -> dict[str, Any]:
    after = max((entry["number"] for entry in observation.requests(crm)), default=0)
    run = crm.run(*paths, *options, *PACE, "--rejects", crm.state / "later.csv", "--force")
    told = {"run": observation.answer(run), **_sent(crm, after), "reads": _reads(one, crm, after)}
    return {name: value for name, value in told.items() if value not in ([], {})}


def _reads(one: FirstRun, crm: Crm, after: int = 0) -> dict[str, int]:
    """Return the reads of each kind without those of the list of all leads: a run chooses leads at random."""
    found = observation.reads(crm, after) if one.reads_are_sure else {}
    return {kind: count for kind, count in found.items() if kind != "GET /leads"}


def _sent(crm: Crm, after: int = 0) -> dict[str, list[Any]]:
    """The bodies of the creates that the CRM took, apart from all other requests that are no reads."""
    found = observation.sent(crm, after)
    taken = [entry for entry in found if (entry["request"], entry["status"]) == ("POST /communications", 201)]
    others = [entry for entry in found if entry not in taken]
    bodies = sorted((entry["body"] for entry in taken), key=lambda body: (body["executed_at"], repr(body)))
    return {"created": bodies, "other_requests": others}


def _cells(path: Path) -> list[list[str]]:
    """Return the cells of a reject file without `_reasons` (messages may change) and `_origin` (one ledger's mark)."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name not in ("_reasons", "_origin")]
    return [names, *([row[name] for name in names] for row in rows)]


def _placed(texts: Sequence[str], files: Path) -> list[str]:
    return [text.replace("{files}", str(files)) for text in texts]


def _unplaced(text: str, files: Path) -> str:
    return text.replace(str(files), "{files}").replace(f"{ROOT}/", "")
