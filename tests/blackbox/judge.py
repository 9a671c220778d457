"""Compare what the CRM stores and what commands answer with the truth of a story. Nothing here starts or asks anything.

Each function returns findings in plain words, and an empty list if all is well.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tests.blackbox.truth import Call, Rows, Truth

Stored = Mapping[str, Any]
# A stored communication matches a call if at least this many of the compared fields are equal.
LEAST_EQUAL_FIELDS = 4
_REFERENCE = re.compile(r"\s*\[ref [0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{2}\]")
_NOT_ENDINGS = ("total", "carried")
_UNFINISHED = ("failed", "in_doubt", "held", "pending")
STOPPED, REJECTED, DECIDE, WORK_LEFT = 1, 3, 4, 7


def store(truth: Truth, stored: Sequence[Stored]) -> list[str]:
    """Every call is stored once, with its own facts, and nothing else is stored by a request."""
    mine = [one for one in stored if not one["seeded"] and not one["by_hand"]]
    found: dict[str, list[Stored]] = {call.name: [] for call in truth.calls}
    findings = []
    for one in mine:
        call = _nearest(truth.calls, one)
        if call is None:
            findings.append(f"communication {one['id']} on lead {one['lead_id']} matches no expected call")
        else:
            found[call.name].append(one)
    for call in truth.calls:
        here = found[call.name]
        if not here:
            findings.append(f"{call.name} is lost: it is not stored")
        elif len(here) > 1:
            findings.append(f"{call.name} is doubled: stored {len(here)} times, as {[one['id'] for one in here]}")
        else:
            findings += _differences(call, here[0], has_reference=truth.has_references)
    references = [mark for one in mine for mark in _REFERENCE.findall(str(one["description"] or ""))]
    if len(set(references)) < len(references):
        findings.append("two communications have the same reference")
    return findings


def creates(truth: Truth, bodies: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every create that was sent, stored or not, was a call of the truth with facts that an export has shown."""
    right = {
        (call.lead_id, call.phone, facts.direction, facts.status, facts.started_at, facts.duration_seconds)
        for call in (*truth.calls, *truth.refused)
        for facts in call.versions
    }
    return [
        f"a create matches no expected call: lead {body.get('lead_id')}, {body.get('executed_at')}"
        for body in bodies
        if _sent(body) not in right
    ]


def _sent(body: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        body.get("lead_id"), body.get("call_phone"), body.get("type"), body.get("call_status"),
        _instant(body.get("executed_at")), body.get("call_duration"),
    )  # fmt: skip


def _compared(call: Call, one: Stored) -> dict[str, tuple[Any, Any]]:
    facts = call.facts
    return {
        "lead": (one["lead_id"], call.lead_id),
        "start": (_instant(one["executed_at"]), facts.started_at),
        "direction": (one["type"], facts.direction),
        "status": (one["call_status"], facts.status),
        "duration": (one["call_duration"], facts.duration_seconds),
        "phone": (one["call_phone"], call.phone),
        "description": (_REFERENCE.sub("", one["description"] or ""), facts.description),
    }


def _nearest(calls: Sequence[Call], one: Stored) -> Call | None:
    """Return the call with the most equal fields. If two calls tie, return the one that began nearer in time."""

    def likeness(call: Call) -> tuple[int, float]:
        fields = _compared(call, one)
        there, here = fields["start"]
        apart = abs((there - here).total_seconds()) if there else float("inf")
        return sum(found == right for found, right in fields.values()), -apart

    best = max(calls, key=likeness, default=None)
    return best if best is not None and likeness(best)[0] >= LEAST_EQUAL_FIELDS else None


def _differences(call: Call, one: Stored, *, has_reference: bool) -> Iterator[str]:
    for name, (there, here) in _compared(call, one).items():
        if there != here:
            yield f"{call.name} has another {name}: {_told(there)} is stored, {_told(here)} expected"
    if one["user_id"] != call.user_id:
        yield f"{call.name} has another user: {one['user_id']} is stored, {call.user_id} expected"
    if one["method"] != "phone":
        yield f"{call.name} has method {one['method']}"
    if bool(_REFERENCE.search(one["description"] or "")) != has_reference:
        yield f"{call.name} {'has no' if has_reference else 'has a'} reference"
    kept = one["recording"]["sha256"] if one["recording"] else None
    if kept != call.recording_sha256:
        yield (
            f"{call.name} has {'another' if kept else 'no'} recording"
            if call.recording_sha256
            else (f"{call.name} has a recording that is not its own")
        )


def _instant(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None


def _told(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def sums(answer: Mapping[str, Any]) -> list[str]:
    """Rows and calls add up, at every exit."""
    rows, calls = answer["rows"], answer["calls"]
    findings = []
    if rows["read"] != rows["joined"] + rows["dropped"] + rows["rejected"] + rows["calls"]:
        findings.append(f"rows do not add up: {dict(rows)}")
    endings = sum(count for name, count in calls.items() if name not in _NOT_ENDINGS)
    if not calls["total"] == rows["calls"] + calls["carried"] == endings:
        findings.append(f"calls do not add up: {dict(calls)} of {rows['calls']} rows that are calls")
    if sum(answer["skipped"].values()) != calls["skipped"] or sum(answer["dropped"].values()) != rows["dropped"]:
        findings.append(f"kinds do not add up: {answer['skipped']} skipped, {answer['dropped']} dropped")
    return findings


def exit_code(answer: Mapping[str, Any], code: int, *, sends: bool = True) -> list[str]:
    """Check the exit code against the answer and its counts. A command that only plans may leave calls pending."""
    findings = []
    if answer["exit_code"] != code:
        findings.append(f"exit code {code}, but the answer says {answer['exit_code']}")
    rows, calls, recordings = answer["rows"], answer["calls"], answer["recordings"]
    troubles = rows["rejected"] - answer.get("known_rejects", 0) + calls["refused"] + calls["failed"]
    troubles += recordings["refused"] + recordings["failed"]
    doubts = calls["in_doubt"] + calls["held"]
    wrong = {
        0: bool(troubles or doubts or (sends and calls["pending"])),
        REJECTED: bool(not troubles or doubts),
        DECIDE: not doubts,
        WORK_LEFT: not (calls["pending"] or recordings["pending"]) or bool(doubts or troubles),
    }
    if wrong.get(code, False):
        findings.append(f"exit code {code} does not agree with the counts: {dict(calls)}, {rows['rejected']} rejected")
    return findings


def row_counts(answer: Mapping[str, Any], rows: Rows) -> list[str]:
    """Check the counts of rows, rejects and duplicates."""
    there = answer["rows"]
    findings = [
        f"{there[name]} rows {name}, {right} expected"
        for name, right in (("read", rows.read), ("joined", rows.joined), ("dropped", rows.dropped))
        if there[name] != right
    ]
    if there["rejected"] not in {rows.rejected, rows.rejected + rows.settled}:
        findings.append(f"{there['rejected']} rows rejected, {rows.rejected} expected")
    if rows.duplicate is not None and answer["calls"]["duplicate"] != rows.duplicate:
        findings.append(f"{answer['calls']['duplicate']} duplicates, {rows.duplicate} expected")
    return findings


def finished(answer: Mapping[str, Any], rows: Rows) -> list[str]:
    """A night that has come to its end left no call open, and named every call that is not stored."""
    calls = answer["calls"]
    findings = [f"{calls[name]} calls {name} at the end of a night" for name in _UNFINISHED if calls[name]]
    if answer["skipped"] != rows.skipped:
        findings.append(f"skipped are {answer['skipped']}, {rows.skipped} expected")
    if calls["refused"] < rows.refused:
        findings.append(f"{calls['refused']} calls refused, {rows.refused} expected")
    return findings


def nothing_new(answer: Mapping[str, Any], rows: Rows) -> list[str]:
    """The last run knows every call of its files."""
    calls = answer["calls"]
    findings = [
        f"the last run counts {calls[name]} calls {name}"
        for name in ("delivered", "updated", "adopted", "carried")
        if calls[name]
    ]
    # A broken row that a mended one has replaced counts as an unchanged call, or as a reject that is known.
    right = rows.known - (answer["rows"]["rejected"] - rows.rejected)
    if calls["unchanged"] != right:
        findings.append(f"{calls['unchanged']} calls unchanged in the last run, {right} expected")
    if answer["changed"] != rows.changed:
        findings.append(f"{answer['changed']} calls changed in the last run, {rows.changed} expected")
    pending = answer["recordings"]["pending"] + answer["recordings"]["uploaded"]
    return findings + ([f"{pending} recordings were still pending or uploaded in the last run"] if pending else [])


def crm(verdict: Mapping[str, Any]) -> list[str]:
    """Return each problem that the CRM reports about the requests it received."""
    return [f"the CRM reports {name}: {str(found)[:200]}" for name, found in verdict.items() if name != "ok" and found]


def privacy(text: str, phones: Sequence[str], token: str) -> list[str]:
    """Check that no full phone number and no token is printed."""
    findings = []
    for phone in phones:
        area, office, line = phone[-10:-7], phone[-7:-4], phone[-4:]
        if re.search(rf"{area}[ .)/\-]{{0,2}}{office}[ .\-]?{line}", text):
            findings.append(f"a full phone number is printed; it ends in {line}")
    if len(token) >= 20 and any(part in text for part in (token, token[-40:])):
        findings.append("the token is printed")
    return findings
