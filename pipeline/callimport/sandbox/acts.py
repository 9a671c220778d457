"""What a person does in the CRM meanwhile: by hand over the control port, or in the midst of a run by a fault.

    {"act": "edit_communication", "id": 42534452, "changes": {"call_duration": 90}}
    {"act": "delete_communication", "id": 42534452}
    {"act": "add_communication", "lead": 5001, "communication": {"executed_at": "2026-11-20T09:30:00-05:00", ...}}
    {"act": "delete_lead", "lead": 5001}
    {"act": "merge_lead", "lead": 5001, "into": 5002}
    {"act": "change_phone", "lead": 5001, "from": "+15145550101", "to": "+15145550102"}
    {"act": "deactivate_user", "user": 101}
    {"act": "new_lead", "lead": {"phones": ["+15145550101"]}}

`from` and `to` may be null: a number is added, or taken away. A new lead without an id gets the next one, and without
`created_at` it is created now; both are written as a seed writes them.
"""

import dataclasses
import datetime
import enum
from collections.abc import Callable, Mapping
from typing import Any

from callimport.sandbox import seed, world


class ActError(ValueError):
    """It cannot be done so; the message says why."""


class Kind(enum.StrEnum):
    """What a person may do."""

    EDIT_COMMUNICATION = "edit_communication"
    DELETE_COMMUNICATION = "delete_communication"
    ADD_COMMUNICATION = "add_communication"
    DELETE_LEAD = "delete_lead"
    MERGE_LEAD = "merge_lead"
    CHANGE_PHONE = "change_phone"
    DEACTIVATE_USER = "deactivate_user"
    NEW_LEAD = "new_lead"


@dataclasses.dataclass(frozen=True, slots=True)
class Act:
    """One deed; `given` holds what its kind needs, of the right types."""

    kind: Kind
    given: Mapping[str, Any]


_ID = (int,)
_TEXT_OR_NULL = (str, type(None))
_NEEDED: Mapping[Kind, Mapping[str, tuple[type, ...]]] = {
    Kind.EDIT_COMMUNICATION: {"id": _ID, "changes": (dict,)},
    Kind.DELETE_COMMUNICATION: {"id": _ID},
    Kind.ADD_COMMUNICATION: {"lead": _ID, "communication": (dict,)},
    Kind.DELETE_LEAD: {"lead": _ID},
    Kind.MERGE_LEAD: {"lead": _ID, "into": _ID},
    Kind.CHANGE_PHONE: {"lead": _ID, "from": _TEXT_OR_NULL, "to": _TEXT_OR_NULL},
    Kind.DEACTIVATE_USER: {"user": _ID},
    Kind.NEW_LEAD: {"lead": (dict,)},
}
_EDITABLE: Mapping[str, tuple[type, ...]] = {
    "description": _TEXT_OR_NULL,
    "call_status": _TEXT_OR_NULL,
    "call_phone": _TEXT_OR_NULL,
    "method": _TEXT_OR_NULL,
    "type": _TEXT_OR_NULL,
    "executed_at": (str,),
    "call_duration": (int, type(None)),
    "user_id": (int, type(None)),
}


def parsed(document: Any) -> tuple[Act, ...]:
    """One act or a list of them. Raises ActError, also for what no seed would take."""
    return tuple(_parsed(each) for each in (document if isinstance(document, list) else [document]))


def done(act: Act, state: world.World, now: datetime.datetime) -> int:
    """Do it; the id of what it was done to. Raises ActError where there is no such thing, changing nothing."""
    return _DEEDS[act.kind](state, now, act.given)


def _parsed(document: Any) -> Act:
    if not isinstance(document, dict) or document.get("act") not in list(Kind):
        raise ActError(f'an act is {{"act": ..}}, one of {", ".join(Kind)}')
    kind = Kind(document["act"])
    needed = _NEEDED[kind]
    given = {name: value for name, value in document.items() if name != "act"}
    _refuse_others(kind, given, needed)
    for name in needed:
        if name not in given:
            raise ActError(f"{kind} needs {', '.join(needed)}")
    if kind is Kind.EDIT_COMMUNICATION:
        _refuse_others("changes", given["changes"], _EDITABLE)
        if "executed_at" in given["changes"]:
            given["changes"] = given["changes"] | {"executed_at": _instant(given["changes"]["executed_at"])}
    try:
        if kind is Kind.NEW_LEAD:
            seed.lead({"id": 1, **given["lead"]}, "lead", account_id=1)
        if kind is Kind.ADD_COMMUNICATION:
            seed.communication(given["communication"], "communication", lead_id=1, communication_id=1)
    except seed.SeedError as error:
        raise ActError(str(error)) from error
    return Act(kind, given)


def _refuse_others(of: str, given: Mapping[str, Any], known: Mapping[str, tuple[type, ...]]) -> None:
    for name, value in given.items():
        if name not in known:
            raise ActError(f"{of} has no {name}; it takes {', '.join(known)}")
        if not isinstance(value, known[name]) or isinstance(value, bool):
            raise ActError(f"{of}.{name} cannot be {value!r}")


def _instant(text: str) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ActError("executed_at must be an instant with its offset, as 2024-01-15T09:00:00-05:00")
    return moment.astimezone(datetime.UTC).replace(microsecond=0)


def _edit(state: world.World, now: datetime.datetime, given: Mapping[str, Any]) -> int:
    stored = _communication(state, given["id"])
    state.put(dataclasses.replace(stored, updated_at=now, **given["changes"]))
    return stored.id


def _delete(state: world.World, now: datetime.datetime, given: Mapping[str, Any]) -> int:
    state.remove(_communication(state, given["id"]))
    return int(given["id"])


def _add(state: world.World, now: datetime.datetime, given: Mapping[str, Any]) -> int:
    lead = _lead(state, given["lead"])
    made = seed.communication(given["communication"], "communication", lead.id, state.next_id())
    state.put(dataclasses.replace(made, created_at=now, updated_at=now, seeded=False, by_hand=True))
    return made.id


def _delete_lead(state: world.World, now: datetime.datetime, given: Mapping[str, Any]) -> int:
    lead = _lead(state, given["lead"])
    state.put_lead(dataclasses.replace(lead, deleted=True, updated_at=now))
    return lead.id


def _merge(state: world.World, now: datetime.datetime, given: Mapping[str, Any]) -> int:
    """What was said to one is found at the other from now on."""
    lead, other = _lead(state, given["lead"]), _lead(state, given["into"])
    if lead.id == other.id:
        raise ActError("a lead cannot be merged into itself")
    for each in state.communications_of(lead.id):
        state.put(dataclasses.replace(each, lead_id=other.id))
    state.put_lead(dataclasses.replace(lead, deleted=True, status="duplicate", updated_at=now))
    state.put_lead(dataclasses.replace(other, updated_at=now))
    return lead.id


def _change_phone(state: world.World, now: datetime.datetime, given: Mapping[str, Any]) -> int:
    lead, before, after = _lead(state, given["lead"]), given["from"], given["to"]
    place = next((index for index, phone in enumerate(lead.phones) if phone.number == before), None)
    phones = list(lead.phones)
    if before is None:
        phones.append(world.Phone(state.next_part_id(lead), after))
    elif place is None:
        raise ActError(f"lead {lead.id} has no such number")
    elif after is None:
        del phones[place]
    else:
        phones[place] = dataclasses.replace(phones[place], number=after)
    state.put_lead(dataclasses.replace(lead, phones=tuple(phones), updated_at=now))
    return lead.id


def _deactivate(state: world.World, now: datetime.datetime, given: Mapping[str, Any]) -> int:
    user = state.users.get(given["user"])
    if user is None:
        raise ActError(f"there is no user {given['user']}")
    state.users[user.id] = dataclasses.replace(user, active=False)
    return user.id


def _new_lead(state: world.World, now: datetime.datetime, given: Mapping[str, Any]) -> int:
    document = {"id": state.next_lead_id(), "created_at": now.isoformat(), **given["lead"]}
    made = seed.lead(document, "lead", state.own_account.id)
    if state.any_lead(made.id) is not None:
        raise ActError(f"there is a lead {made.id} already")
    state.put_lead(made)
    return made.id


def _communication(state: world.World, communication_id: int) -> world.Communication:
    found = state.communications.get(communication_id)
    if found is None:
        raise ActError(f"there is no communication {communication_id}")
    return found


def _lead(state: world.World, lead_id: int) -> world.Lead:
    found = state.any_lead(lead_id)
    if found is None or found.deleted:
        raise ActError(f"there is no lead {lead_id}")
    return found


_DEEDS: Mapping[Kind, Callable[[world.World, datetime.datetime, Mapping[str, Any]], int]] = {
    Kind.EDIT_COMMUNICATION: _edit,
    Kind.DELETE_COMMUNICATION: _delete,
    Kind.ADD_COMMUNICATION: _add,
    Kind.DELETE_LEAD: _delete_lead,
    Kind.MERGE_LEAD: _merge,
    Kind.CHANGE_PHONE: _change_phone,
    Kind.DEACTIVATE_USER: _deactivate,
    Kind.NEW_LEAD: _new_lead,
}
