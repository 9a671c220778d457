"""What is played: acts of a person, troubles of the CRM, and how every call must end.

A scene begins with a ledger that one quiet day has made, unless it is the making of the ledger that is played. The
calls are few and an hour apart, each with a number of its own, by which the CRM's troubles and the comparison know it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from callimport.core.errors import ExitCode
from callimport.core.models import ItemStatus
from tests.crash.commands import Command, Reconcile, Run, decide, lose, resend, retry, retry_one, withdraw, withdraw_one
from tests.crash.crm import ALL_LEADS, FOR_EVER, Kind, Lead, Trouble

COLUMNS = (
    "call_id", "lead_id", "direction", "status", "started_at", "duration_seconds", "customer_phone", "agent_id",
    "agent_name", "description", "recording",
)  # fmt: skip
QUIET = "quiet.csv"
_FIRST = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
_DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Act:
    """A command, what the CRM does to it, and the exit code it ends with when nobody dies. `leads` are those that the
    CRM then finds by their numbers; `days` pass before it, beside the moment that a person takes."""

    command: Command
    troubles: tuple[Trouble, ...] = ()
    code: int = 0
    leads: tuple[Lead, ...] = ()
    days: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """`ends` says where each call of the sources stands at last; `staff` are calls that a person typed in before."""

    name: str
    files: Mapping[str, str]
    acts: tuple[Act, ...]
    ends: Mapping[str, str]
    reference: bool = True
    concurrency: int = 1
    staff: tuple[str, ...] = ()
    is_new: bool = False
    again: Command | None = None

    @property
    def last_run(self) -> Command:
        """What is typed once more when all is over, and must send nothing."""
        return self.again or next(act.command for act in reversed(self.acts) if isinstance(act.command, Run))


def phone(call: str) -> str:
    """The customer's number of a call; a twin (`A2`) has the number of its first."""
    return f"+1514555{100 + ord(call[0]) - ord('A'):04}"


def lead(call: str) -> int:
    """Calls of the same row of the alphabet's grid are on one lead: A, D, G … and B, E, H … and C, F, I …"""
    return 5001 + (ord(call[0]) - ord("A")) % 3


def started(call: str) -> datetime:
    return _FIRST + timedelta(hours=ord(call[0]) - ord("A"))


def recording(call: str) -> str:
    """A file that is this call's and no other's."""
    return f"RIFF----WAVE{call}"


def csv(*calls: str, recorded: str = "", leadless: str = "", **changed: str) -> str:
    """A file of these calls; `changed` gives some of them another duration, `recorded` have a recording, of those that
    are `leadless` only the CRM knows the lead."""
    rows = [
        (
            call, "" if call[0] in leadless else str(lead(call)), "incoming", "answered", started(call).isoformat(),
            changed.get(call, "60"), phone(call), "106", "Jean", "Rappel", f"{call}.wav" if call in recorded else "",
        )
        for call in calls
    ]  # fmt: skip
    return "\n".join(",".join(row) for row in (COLUMNS, *rows)) + "\n"


def _another_call(file: str, call: str) -> str:
    """The same file on a day when the phone system gives the id of `call` to another one of that customer."""
    then, later = (moment.isoformat() for moment in (started(call), started(call) + timedelta(hours=5)))
    return file.replace(f"{then},60,{phone(call)},106,Jean,Rappel", f"{later},300,{phone(call)},106,Jean,")


def typed_in(call: str) -> dict[str, Any]:
    """Much the same call, as a person of the staff has it in the CRM."""
    return {
        "lead_id": lead(call),
        "method": "phone",
        "type": "incoming",
        "executed_at": started(call).isoformat(),
        "executed_by": 106,
        "description": "Rappel",
        "call_status": "answered",
        "call_duration": 45,
        "call_phone": phone(call),
    }


def _all(calls: str, status: str = _DELIVERED) -> dict[str, str]:
    return dict.fromkeys(calls, status)


def _one_run(name: str, calls: str, *troubles: Trouble, code: int = 0, **more: object) -> Scene:
    """One file, one command."""
    ends = more.pop("ends", None) or _all(calls)
    act = Act(Run(("calls.csv",)), troubles, code)
    return Scene(name, {"calls.csv": csv(*calls)}, (act,), ends, **more)  # type: ignore[arg-type]


def _lost(kind: Kind, call: str = "B", times: int = 1) -> Trouble:
    return Trouble(kind, phone(call), times=times)


def _unchanged(kind: Kind, times: int = FOR_EVER) -> tuple[Trouble, ...]:
    """What becomes of the first changes of B."""
    return (Trouble(kind, changing=phone("B"), times=times),)


def _stopped_at(call: str) -> Trouble:
    """A key that is refused from this call on stops the run there: what is left is pending."""
    return Trouble(Kind.UNAUTHORIZED, phone(call), times=FOR_EVER)


def _unreadable(call: str) -> Trouble:
    """Once it was lost. Before, a run would not send it: a key that reads no lead at all is a guard's business."""
    return Trouble(Kind.FORBIDDEN, lead=lead(call), once=phone(call), times=FOR_EVER)


_STOPPED, _GUARD = int(ExitCode.STOPPED), int(ExitCode.GUARD)
_DOUBT, _ROWS = int(ExitCode.IN_DOUBT), int(ExitCode.ROWS_FAILED)
_LEFT = int(ExitCode.WORK_LEFT)
_CALLS = ("calls.csv",)


def _of_one_run() -> list[Scene]:
    always = partial(_lost, Kind.REFUSED, times=FOR_EVER)
    refused = "refused"
    looking = Run(_CALLS, options={"existing": "skip"})
    return [
        _one_run("one call", "A"),
        _one_run("first run of all", "AB", is_new=True),
        _one_run("three leads", "ABC"),
        _one_run("one lead", "ADG"),
        _one_run("four workers", "ABCDEFGH", concurrency=4),
        _one_run("canary refused", "AB", always("A"), code=_ROWS, ends={"A": refused, "B": _DELIVERED}),
        _one_run("422", "AB", always("B"), code=_ROWS, ends={"A": _DELIVERED, "B": refused}),
        _one_run("429", "AB", _lost(Kind.LIMITED)),
        _one_run("429 with a time", "AB", _lost(Kind.LIMITED_FOR)),
        _one_run("connection refused", "AB", Trouble(Kind.UNCONNECTED, once=phone("A"))),
        _one_run("canary lost", "AB", _lost(Kind.STORED_DROPPED, "A")),
        _one_run("lost and found", "AB", _lost(Kind.STORED_DROPPED)),
        _one_run("lost and absent", "AB", _lost(Kind.DROPPED)),
        _one_run("absent twice", "AB", _lost(Kind.DROPPED, times=2)),
        _one_run("500", "AB", _lost(Kind.FAILED)),
        _one_run("stored and 500", "AB", _lost(Kind.STORED_FAILED)),
        _one_run("late commit", "AB", _lost(Kind.LATE)),
        _one_run("half an answer", "AB", _lost(Kind.CUT)),
        _one_run("no id", "AB", _lost(Kind.NO_ID)),
        _one_run("silence", "AB", _lost(Kind.SILENT)),
        _one_run("doubts of two leads", "ABC", _lost(Kind.STORED_DROPPED), _lost(Kind.DROPPED, "C"), concurrency=2),
        _one_run("look-alike of the staff", "AB", staff=("B",)),
        _one_run(
            "look-alike and a lost call", "AB", _lost(Kind.DROPPED), code=_DOUBT, staff=("B",),
            ends={"A": _DELIVERED, "B": "held"},
        ),
        Scene(
            "in the CRM already", {"calls.csv": csv("A", "B")}, (Act(looking),),
            {"A": _DELIVERED, "B": "withdrawn"}, staff=("B",),
        ),
        Scene(
            "in the CRM already, and wanted all the same", {"calls.csv": csv("A", "B")},
            (Act(looking), Act(retry_one("B")), Act(looking)), _all("AB"), staff=("B",),
        ),
    ]  # fmt: skip


def _without_references() -> list[Scene]:
    held = {"A": _DELIVERED, "B": "held"}
    run = Run(_CALLS)
    return [
        _one_run("no reference, found by payload", "AB", _lost(Kind.STORED_DROPPED), reference=False),
        Scene(
            "no reference, twins",
            {"calls.csv": csv("A", "B", "B2")},
            (Act(run, (_lost(Kind.STORED_DROPPED),)),),
            {"A": _DELIVERED, "B": _DELIVERED, "B2": _DELIVERED},
            reference=False,
        ),
        _one_run("no reference, held", "AB", _lost(Kind.DROPPED), code=_DOUBT, ends=held, reference=False),
        Scene(
            "sent again by a person",
            {"calls.csv": csv("A", "B")},
            (Act(run, (_lost(Kind.DROPPED),), _DOUBT), Act(resend("B")), Act(run)),
            _all("AB"),
            reference=False,
        ),
        Scene(
            "decided by a person",
            {"calls.csv": csv("A", "B")},
            (Act(run, (_lost(Kind.MANGLED),), _DOUBT), Act(decide("B")), Act(run)),
            _all("AB"),
            reference=False,
        ),
    ]


def _of_several_commands() -> list[Scene]:
    run = Act(Run(_CALLS))
    stopped = Act(Run(_CALLS), (_stopped_at("B"),), _STOPPED)
    refused = Act(Run(_CALLS), (_lost(Kind.REFUSED, "B", FOR_EVER),), _ROWS)
    unconnected = Act(Run(_CALLS), (Trouble(Kind.UNCONNECTED, once=phone("A"), times=3),), _ROWS)
    lost, dropped = (
        Act(Run(_CALLS), (_lost(kind), _unreadable("B")), _DOUBT) for kind in (Kind.STORED_DROPPED, Kind.DROPPED)
    )
    page = Act(Run(_CALLS), (_lost(Kind.PAGE),), _STOPPED)
    stripped = tuple(Trouble(Kind.STRIPPED, phone(call), times=FOR_EVER) for call in "AB")
    guarded, unmarked = Act(Run(_CALLS), stripped, _GUARD), Act(Run(_CALLS, options={"reference": False}), stripped)
    scenes: dict[str, tuple[Act, ...]] = {
        "gone on without files": (stopped, Act(Run())),
        "a pilot, then the rest": (Act(Run(_CALLS, options={"pilot": 1}), code=_LEFT), run),
        "withdrawn": (stopped, Act(withdraw()), run),
        "withdrawn and wanted again": (stopped, Act(withdraw()), Act(retry_one("B")), run),
        "refused and tried again": (refused, Act(retry(ItemStatus.REFUSED)), run),
        "found by reconcile": (lost, Act(Reconcile()), run),
        "absent by reconcile": (dropped, Act(Reconcile()), run),
        "a web page": (page, run),
        "references not kept": (guarded, unmarked),
        "failed and tried again": (unconnected, Act(retry(ItemStatus.FAILED)), run),
    }
    ends = {"withdrawn": {"A": _DELIVERED, "B": "withdrawn"}}
    files = {"calls.csv": csv("A", "B")}
    return [Scene(name, files, acts, ends.get(name, _all("AB"))) for name, acts in scenes.items()]


def _of_changes() -> list[Scene]:
    """Night after night B is told otherwise; whatever happens, the CRM ends with the last story, and with one B."""
    run, tomorrow, later = (Act(Run((name,))) for name in ("calls.csv", "tomorrow.csv", "later.csv"))
    files = {"calls.csv": csv("A", "B"), "tomorrow.csv": csv("A", "B", B="75"), "later.csv": csv("A", "B", B="90")}
    in_doubt = Act(run.command, (_lost(Kind.STORED_DROPPED), _unreadable("B")), _DOUBT)
    failed = Act(tomorrow.command, _unchanged(Kind.STORED_FAILED), _ROWS)
    late = Act(tomorrow.command, _unchanged(Kind.LATE), _ROWS)
    scenes: dict[str, tuple[Act, ...]] = {
        "changed when delivered": (run, tomorrow),
        "changed while stored in doubt": (in_doubt, tomorrow),
        "changed twice": (run, tomorrow, later),
        "changed and changed back": (run, tomorrow, run),
        "a change dropped": (run, replace(tomorrow, troubles=_unchanged(Kind.DROPPED, 1))),
        "a change made and dropped": (run, replace(tomorrow, troubles=_unchanged(Kind.STORED_DROPPED, 1))),
        "a change made, half an answer": (run, replace(tomorrow, troubles=_unchanged(Kind.CUT, 2))),
        "a change limited": (run, replace(tomorrow, troubles=_unchanged(Kind.LIMITED_FOR, 2))),
        "a change that failed": (run, failed, tomorrow),
        "a change that failed, then another": (run, failed, later),
        "a change that failed, then changed back": (run, failed, run),
        "a change stored late, then another": (run, late, later),
        "a change refused": (
            run, Act(tomorrow.command, _unchanged(Kind.REFUSED), _ROWS), Act(retry(ItemStatus.REFUSED)), tomorrow,
        ),
        "a change of what was deleted": (run, replace(tomorrow, troubles=_unchanged(Kind.MISSING)), later),
    }  # fmt: skip
    another = Act(Run(("another.csv",)), (), _DOUBT)
    decided = replace(another, code=0)
    scenes |= {
        "another call held, then retried": (run, another, Act(retry_one("B")), decided),
        "another call held, then withdrawn": (run, another, Act(withdraw_one("B")), decided),
        "another call held beside a doubt": (in_doubt, another, Act(withdraw_one("B")), decided),
    }
    files["another.csv"] = _another_call(csv("A", "B"), "B")
    ends = {"a change of what was deleted": {"A": _DELIVERED, "B": "gone"}}
    return [Scene(name, files, acts, ends.get(name, _all("AB"))) for name, acts in scenes.items()]


def _of_several_files() -> list[Scene]:
    run, tomorrow = Run(("calls.csv",)), Run(("tomorrow.csv",))
    adopting = Run(("tomorrow.csv",), options={"adopt": True})
    return [
        Scene("two files", {"a.csv": csv("A"), "b.csv": csv("B", "A")}, (Act(Run(("a.csv", "b.csv"))),), _all("AB")),
        Scene(
            "carried along", {"calls.csv": csv("A", "B"), "tomorrow.csv": csv("C")},
            # In doubt since the first night, B goes with the second once it is proved absent.
            (Act(run, (_stopped_at("B"),), _STOPPED), Act(tomorrow)), _all("ABC"),
        ),
        Scene(
            "overlapping nights", {"calls.csv": csv("A", "B"), "tomorrow.csv": csv("B", "C")},
            (Act(run, (_lost(Kind.DROPPED), _unreadable("B")), _DOUBT), Act(tomorrow)), _all("ABC"),
        ),
        Scene(
            "changed while pending", {"calls.csv": csv("A", "B"), "tomorrow.csv": csv("A", "B", B="75")},
            (Act(run, (_stopped_at("B"),), _STOPPED), Act(tomorrow)), _all("AB"),
        ),
        Scene(
            "changed while in doubt", {"calls.csv": csv("A", "B"), "tomorrow.csv": csv("A", "B", B="75")},
            (Act(run, (_lost(Kind.DROPPED), _unreadable("B")), _DOUBT), Act(tomorrow)), _all("AB"),
        ),
        Scene(
            "changed when refused", {"calls.csv": csv("A", "B"), "tomorrow.csv": csv("A", "B", B="75")},
            (Act(run, (_lost(Kind.REFUSED, "B", FOR_EVER),), _ROWS), Act(tomorrow)), _all("AB"),
        ),
        # The first ledger sent A and D; the second is told to adopt: A it knows, D it never heard of, C could be the
        # call that somebody of the staff typed in, and B is sent.
        Scene(
            "a lost ledger", {"calls.csv": csv("A", "D"), "tomorrow.csv": csv("A", "B", "C")},
            (
                Act(run), Act(lose()), Act(tomorrow, code=_GUARD), Act(adopting, code=_DOUBT),
                Act(withdraw_one("C")), Act(tomorrow),
            ),
            _all("AB") | {"C": "withdrawn"}, is_new=True, staff=("C",), again=tomorrow,
        ),
        Scene(
            "a ledger elsewhere", {"calls.csv": csv("A"), "tomorrow.csv": csv("A", "B")},
            (Act(Run(("calls.csv",), place="elsewhere.sqlite3")), Act(tomorrow)), _all("AB"), is_new=True,
        ),
    ]  # fmt: skip


def _of_recordings() -> list[Scene]:
    run, hearing = Run(_CALLS), Run(_CALLS, recorded=True)
    files = {"calls.csv": csv("A", "B", recorded="AB"), "A.wav": recording("A"), "B.wav": recording("B")}
    only = Run(_CALLS, recorded=True, options={"recordings_only": True})
    lost = tuple(Trouble(kind, upload=phone("A")) for kind in (Kind.STORED_DROPPED, Kind.DROPPED))
    refused = Trouble(Kind.REFUSED, upload=phone("A"), times=FOR_EVER)
    return [
        Scene("recordings", files, (Act(hearing),), _all("AB"), concurrency=2),
        Scene("recordings a night later", files, (Act(run), Act(only)), _all("AB")),
        Scene("a recording lost twice", files, (Act(hearing, lost),), _all("AB")),
        Scene("a recording refused", files, (Act(hearing, (refused,), _ROWS), Act(hearing)), _all("AB")),
    ]


def _of_look_ups() -> list[Scene]:
    """B and its like are found by their numbers, when they are found at all."""
    finding: dict[str, Any] = {"find_leads": True, "lead_grace": timedelta(days=2), "several_leads": "newest"}
    run, tomorrow, quiet = (Run((name,), options=finding) for name in ("calls.csv", "tomorrow.csv", QUIET))
    there, newer = (Lead(lead("B"), phone("B")),), (Lead(lead("B"), phone("B")), Lead(6002, phone("B")))
    files = {"calls.csv": csv("A", "B", leadless="B"), "tomorrow.csv": csv("B2", leadless="B")}
    many = csv(*"ABCDE", leadless="ABCDE")
    four = tuple(Lead(lead(call), phone(call)) for call in "ABCE")
    lost = tuple(Trouble(kind, looking=phone("B")) for kind in (Kind.DROPPED, Kind.CUT, Kind.LIMITED_FOR, Kind.FAILED))
    pages = tuple(Trouble(kind, looking=ALL_LEADS) for kind in (Kind.CUT, Kind.DROPPED))
    doubt = (_lost(Kind.DROPPED), _unreadable("B"))
    scenes: dict[str, tuple[Act, ...]] = {
        "a lead looked up": (Act(run, lost, leads=there),),
        "all leads read": (Act(run, pages, leads=four),),
        "a lead a day later": (Act(run), Act(quiet, (_lost(Kind.DROPPED),), leads=there, days=1)),
        "two ids wait": (
            Act(run), Act(tomorrow), Act(quiet, code=_DOUBT, leads=there, days=1), Act(quiet, leads=there),
        ),
        "a newer lead": (Act(run, doubt, _DOUBT, leads=there), Act(run, leads=newer, days=1)),
        "no lead in time": (Act(run), Act(quiet, days=3), Act(quiet, leads=there, days=1)),
        "withdrawn while it waits": (Act(run), Act(withdraw()), Act(run, leads=there, days=1)),
    }  # fmt: skip
    only = {"A": _DELIVERED}
    ends = {
        "all leads read": _all("ABCE"),
        # Which of them goes is for their keys to say, which come in no order.
        "two ids wait": {"A": _DELIVERED, "B": "held", "B2": _DELIVERED},
        "no lead in time": only,
        "withdrawn while it waits": only,
    }
    its_files = {"all leads read": {"calls.csv": many}}
    return [Scene(name, its_files.get(name, files), acts, ends.get(name, _all("AB"))) for name, acts in scenes.items()]


SCENES = {
    scene.name: scene
    for scene in (
        *_of_one_run(),
        *_without_references(),
        *_of_several_commands(),
        *_of_several_files(),
        *_of_recordings(),
        *_of_changes(),
        *_of_look_ups(),
    )
}  # fmt: skip
