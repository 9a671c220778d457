"""An end against the end in which nobody died, told from the CRM's hidden truth.

An item may end `held` where it otherwise ends well in these cases only, each as the design has it:

no reference   the call was sent without one, and a process died with it in flight, and the CRM never got it: doubt is
               then never the reason for a second sending
rounds         two verdicts say that it was absent, and the third sending is lost, too
not kept       the CRM takes the references away: what came into doubt is there, and nothing says that it is ours
look-alike     a person typed in a call of the same hour on the same lead, and a process died with ours in flight
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from string import ascii_uppercase
from typing import Any

from tests.crash.scenes import Scene, phone, recording, started
from tests.crash.world import World

_ROUNDS = 2
_DESCRIBED = ("lead_id", "call_phone", "type", "executed_at", "call_duration", "call_status")


class Allowed(StrEnum):
    """Why a call may be held."""

    NO_REFERENCE = "no reference"
    ROUNDS = "rounds"
    NOT_KEPT = "not kept"
    LOOK_ALIKE = "look-alike"


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the ledger. `doubted`: an attempt of it came into doubt; `marked`: it bears its reference."""

    call: str
    status: str
    lead_id: int
    phone: str
    communication_id: int | None
    duration: int
    parked: str | None
    reason: str | None
    absent: int
    doubted: int
    marked: int


@dataclass(frozen=True, slots=True)
class Finding:
    kind: str
    what: str


def items(world: World) -> dict[str, Item]:
    """The items that have a lead, by the phone system's id."""
    with world.ledger() as ledger:
        found = ledger.execute("""
            SELECT call_id, status, lead_id, phone, communication_id, json_extract(payload, '$.call_duration'),
                json_extract(next_payload, '$.call_duration'), reason,
                (SELECT count(*) FROM verdict WHERE verdict.key = item.key AND kind = 'absent'),
                EXISTS (SELECT 1 FROM attempt JOIN outcome ON outcome.attempt_id = attempt.id
                    WHERE attempt.key = item.key AND outcome.kind = 'in_doubt'),
                instr(json_extract(payload, '$.description'), reference) > 0
            FROM item WHERE payload IS NOT NULL ORDER BY call_id
        """).fetchall()
    return {row[0]: Item(*row) for row in found}


def stored(world: World) -> Counter[tuple[Any, ...]]:
    """What the importer has made in the CRM, however often: without its id, of the description only the reference."""
    shown = [one.shown for one in world.crm.records if not one.staff]
    return Counter((*(one.get(name) for name in _DESCRIBED), _reference(one["description"])) for one in shown)


def _reference(description: str | None) -> str:
    return (description or "").partition("[ref ")[2]


def judged(scene: Scene, end: World, undisturbed: World | None = None) -> tuple[list[Finding], Counter[Allowed]]:
    """What is wrong with an end, and why calls are held that need not be."""
    if len(end.ledgers) != 1:
        several = Finding("ledgers", f"there are {len(end.ledgers)}: {', '.join(end.ledgers)}")
        return [several, *_too_many(end, undisturbed or end)], Counter()
    findings = [Finding("ledger", fault) for fault in end.faults()]
    now = items(end)
    ends = {call: item.status for call, item in now.items()}
    held = Counter[Allowed]()
    spared = set[str]()
    for call, status in scene.ends.items():
        if ends.get(call) == status:
            continue
        why = _why_held(scene, now[call], end) if ends.get(call) == "held" else None
        if why is None:
            reason = now[call].reason if call in now else None
            findings.append(Finding("ended otherwise", f"{call} is {ends.get(call)} ({reason}), not {status}"))
        else:
            held[why] += 1
            spared.add(call)
    findings += [Finding("unknown", f"{call} is in no source") for call in ends.keys() - scene.ends.keys()]
    findings += _ids(now, end)
    findings += _recordings(end, undisturbed or end)
    findings += _told(now, end)
    findings += _waiting(end, undisturbed or end)
    findings += _truth(now, end, undisturbed or end, spared)
    return findings, held


def _why_held(scene: Scene, item: Item, end: World) -> Allowed | None:
    ours = [one for one in end.crm.records if one.shown["call_phone"] == item.phone and not one.staff]
    owned = [one for one in items(end).values() if one.phone == item.phone and one.communication_id is not None]
    if not item.reason or not item.doubted:
        return None
    if ours and not any(_reference(one.shown["description"]) for one in ours) and item.marked:
        return Allowed.NOT_KEPT
    # What the CRM has got and nobody owns had to be found.
    if len(ours) > len(owned):
        return None
    if item.absent >= _ROUNDS:
        return Allowed.ROUNDS
    if any(started(call) == started(item.call) for call in scene.staff):
        return Allowed.LOOK_ALIKE
    return None if item.marked else Allowed.NO_REFERENCE


def _ids(now: dict[str, Item], end: World) -> list[Finding]:
    """Every delivered call holds the communication that was made of it, and no other does."""
    truth = {one.id: (one.shown["lead_id"], one.shown["call_phone"]) for one in end.crm.records if not one.staff}
    return [
        Finding("wrong id", f"{call} holds communication {item.communication_id}")
        for call, item in now.items()
        if item.communication_id is not None and truth.get(item.communication_id) != (item.lead_id, item.phone)
    ]


def _recordings(end: World, undisturbed: World) -> list[Finding]:
    """Every call has the recording that it has in the undisturbed end, and that one is its own."""
    wanted, found = _heard(undisturbed), _heard(end)
    strange = [number for number, content in found.items() if content not in map(recording, _calls_of(number))]
    findings = [Finding("strange recording", f"{number} has {found[number]}") for number in strange]
    if found != wanted:
        findings.append(Finding("recordings", f"{found}, not {wanted}"))
    return findings


def _heard(world: World) -> dict[str, str]:
    phones = {one.id: str(one.shown["call_phone"]) for one in world.crm.records}
    return {phones[record_id]: content for record_id, content in world.crm.recordings}


def _calls_of(number: str) -> list[str]:
    return [call for call in ascii_uppercase if phone(call) == number]


def _told(now: dict[str, Item], end: World) -> list[Finding]:
    """Every delivered call is in the CRM as its source told it last."""
    there = {one.id: one.shown["call_duration"] for one in end.crm.records}
    return [
        Finding(
            "not told", f"{call} is of {there[item.communication_id]} s in the CRM, {item.duration} s in the ledger"
        )
        for call, item in now.items()
        if item.status == "delivered"
        and item.communication_id in there
        and (there[item.communication_id] != item.duration or item.parked is not None)
    ]


def _waiting(end: World, undisturbed: World) -> list[Finding]:
    """Who waits for a lead in the undisturbed end does so here, and nobody else."""
    wanted, found = _leadless(undisturbed), _leadless(end)
    return [] if found == wanted else [Finding("waiting", f"{found}, not {wanted}")]


def _leadless(world: World) -> list[tuple[str, bool]]:
    """Those that wait, and those that a person gave up."""
    with world.ledger() as ledger:
        return ledger.execute("""
            SELECT call_id, status = 'withdrawn' FROM item WHERE payload IS NULL ORDER BY 1
        """).fetchall()


def _too_many(end: World, undisturbed: World) -> list[Finding]:
    more = stored(end) - stored(undisturbed)
    return [Finding("duplicated", f"{call} is there {count} times more") for call, count in more.items()]


def _truth(now: dict[str, Item], end: World, undisturbed: World, spared: set[str]) -> list[Finding]:
    """Every call is in the CRM as often as in the undisturbed end, and as it is there."""
    wanted, found = stored(undisturbed), stored(end)
    phones = {now[call].phone for call in spared}
    findings = _too_many(end, undisturbed)
    lacking = wanted - found
    findings += [
        Finding("lost", f"{call} is there {count} times less")
        for call, count in lacking.items()
        if call[1] not in phones
    ]
    before = items(undisturbed)
    for call, item in now.items():
        was = before.get(call)
        if call not in spared and was and (item.duration, item.parked) != (was.duration, was.parked):
            findings.append(Finding("told otherwise", f"{call}: {item.duration}, parked {item.parked}"))
    return findings
