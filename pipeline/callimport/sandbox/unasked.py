"""What an importer of past calls has no business with: leads made or changed, their numbers, and call logs.

Served as the real CRM serves it, with what follows from it, so that a test can see that nobody calls it: the journal
notes each request, and the verdict on the control port names them all, whatever they were answered with.
"""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any

from starlette import responses

from callimport.sandbox import answers, clock, controllers, incoming, journal, resources, rules, untidy, wording, world

KINDS = frozenset(
    {
        *("POST /leads", "PUT /leads/:id", "POST /lead-phones", "PUT /lead-phones/:id"),
        *("POST /call-logs", "PUT /call-logs/:id"),
    }
)
_SHOWN = ("account", "advisor", "emails", "phones", "vehicles")
_LEAD_TEXTS = ("first_name", "last_name", "status", "division", "locale", "postal_code", "second_contact", "type")
_LOG_FIELDS = ("status", "duration", "end_at", "media_url", "user_did", "user_email")
_NEW_LOG_FIELDS = (*_LOG_FIELDS, "direction", "start_at", "from", "to", "description")


class Unasked:
    """The endpoints, given the CRM's state."""

    def __init__(self, state: world.World, profile: rules.Rules, now: clock.Now) -> None:
        self._state = state
        self._is_untidy = profile.is_untidy
        self._now = now

    async def make_lead(self, call: incoming.Call) -> controllers.Commit:
        """POST /leads."""
        given = _given(call, "type")

        def commit() -> responses.Response:
            made = self._new_lead(call, **_texts(given))
            return self._changed(call, made, given, journal.LEAD_CREATED, 201)

        return commit

    async def change_lead(self, call: incoming.Call) -> controllers.Commit:
        """PUT /leads/:id. Numbers are only ever added."""
        given, lead = _given(call), self._lead(call, call.target)
        changed = dataclasses.replace(lead, updated_at=self._now(), **_texts(given))
        return lambda: self._changed(call, changed, given, f"LEAD_CHANGED {lead.id}", 200)

    async def add_phone(self, call: incoming.Call) -> controllers.Commit:
        """POST /lead-phones. A lead has one number of a type."""
        given = _given(call, "lead_id", "number", "type")
        lead = self._lead(call, str(given["lead_id"]))

        def commit() -> responses.Response:
            kept = self._with_phones(call, lead, [given])
            call.entry.effect.append(f"LEAD_CHANGED {lead.id}")
            return self._data(resources.phone(kept.phones[-1], kept), 201)

        return commit

    async def change_phone(self, call: incoming.Call) -> controllers.Commit:
        """PUT /lead-phones/:id."""
        given, phone_id = _given(call), controllers.number(call.target)
        own = [lead for lead in self._state.leads_of(self._state.own_account.id) if not lead.deleted]
        owner = next((lead for lead in own if any(phone.id == phone_id for phone in lead.phones)), None)
        if owner is None:
            raise answers.Refused(answers.no_model(call.request, "LeadPhone", call.target))
        changes = {name: given[name] for name in ("number", "type") if isinstance(given.get(name), str)}
        phones = [dataclasses.replace(one, **changes) if one.id == phone_id else one for one in owner.phones]
        kept = dataclasses.replace(owner, phones=tuple(phones), updated_at=self._now())

        def commit() -> responses.Response:
            self._state.put_lead(kept)
            call.entry.effect.append(f"LEAD_CHANGED {kept.id}")
            return self._data(resources.phone(next(one for one in kept.phones if one.id == phone_id), kept))

        return commit

    async def log_call(self, call: incoming.Call) -> controllers.Commit:
        """POST /call-logs. Without an end it pops up on a screen; without a lead that fits it makes one."""
        given = _given(call, "direction", "start_at", "from", "to")
        started_at = _instant(call, "start_at", given["start_at"])
        lead = self._lead(call, str(given["lead_id"])) if given.get("lead_id") is not None else None

        def commit() -> responses.Response:
            owner = lead or self._owner(call, given)
            made = world.Communication(
                id=self._state.next_id(),
                lead_id=owner.id,
                user_id=world.API_USER_ID,
                created_at=self._now(),
                updated_at=self._now(),
                executed_at=started_at,
                method=world.Method.PHONE,
                type=str(given["direction"]),
                call_phone=str(given[_customer_side(given)]),
                call_duration=given["duration"] if isinstance(given.get("duration"), int) else None,
                call_status=None if given.get("status") is None else str(given["status"]),
            )
            self._state.store(made, self._now())
            call.entry.effect.append(f"CREATED {made.id}")
            log = {name: given.get(name) for name in _NEW_LOG_FIELDS}
            log |= {"id": made.id, "communication_id": made.id, "lead_id": owner.id}
            self._state.call_logs[made.id] = log
            return self._logged(call, log, 201)

        return commit

    async def change_log(self, call: incoming.Call) -> controllers.Commit:
        """PUT /call-logs/:id."""
        given = _given(call)
        kept = self._state.call_logs.get(controllers.number(call.target) or 0)
        if kept is None:
            raise answers.Refused(answers.no_model(call.request, "CallLog", call.target))

        def commit() -> responses.Response:
            kept.update({name: given[name] for name in _LOG_FIELDS if name in given})
            return self._logged(call, kept, 200)

        return commit

    def _logged(self, call: incoming.Call, log: Mapping[str, Any], status: int) -> responses.Response:
        if log["duration"] is None or log["end_at"] is None:
            call.entry.effect.append(journal.LIVE_POPUP)
        owner = self._lead(call, str(log["lead_id"]))
        times = {"created_at": clock.iso(self._now()), "updated_at": clock.iso(self._now())}
        return self._data({**log, **times, "lead": resources.lead(owner, self._state, _SHOWN)}, status)

    def _owner(self, call: incoming.Call, given: Mapping[str, Any]) -> world.Lead:
        """The newest lead with the customer's number, or a new one."""
        number = str(given[_customer_side(given)])
        own = [lead for lead in self._state.leads_of(self._state.own_account.id) if not lead.deleted]
        fitting = [lead for lead in own if any(phone.number == number for phone in lead.phones)]
        if fitting:
            return max(fitting, key=lambda lead: (lead.created_at, lead.id))
        call.entry.effect.append(journal.LEAD_CREATED)
        made = self._new_lead(call, type="phone")
        return self._with_phones(call, made, [{"number": number, "type": "mobile"}])

    def _new_lead(self, call: incoming.Call, **texts: Any) -> world.Lead:
        names = {"first_name": None, "last_name": None} | texts
        own, now = self._state.own_account.id, self._now()
        return world.Lead(
            self._state.next_lead_id(), own, created_at=now, updated_at=now, created_method="api", **names
        )

    def _changed(
        self, call: incoming.Call, lead: world.Lead, given: Mapping[str, Any], effect: str, status: int
    ) -> responses.Response:
        phones = given.get("phones")
        kept = self._with_phones(call, lead, phones if isinstance(phones, list) else [])
        call.entry.effect.append(effect)
        return self._data(resources.lead(kept, self._state, _SHOWN), status)

    def _with_phones(self, call: incoming.Call, lead: world.Lead, phones: list[Any]) -> world.Lead:
        for each in phones:
            given = each if isinstance(each, dict) else {}
            kind = str(given.get("type") or "mobile")
            if any(phone.type == kind for phone in lead.phones):
                raise answers.Refused(answers.duplicate_phone(call.request))
            new = world.Phone(self._state.next_part_id(lead), _text(given.get("number")), kind)
            lead = dataclasses.replace(lead, phones=(*lead.phones, new))
        self._state.put_lead(lead)
        return lead

    def _lead(self, call: incoming.Call, target: str) -> world.Lead:
        wanted = controllers.number(target)
        found = wanted and self._state.lead(wanted, self._state.own_account.id, self._now())
        if not found:
            raise answers.Refused(answers.no_model(call.request, "Lead", target))
        return found

    def _data(self, shape: object, status: int = 200) -> responses.Response:
        return answers.data(untidy.untidy(shape) if self._is_untidy else shape, status)


def _given(call: incoming.Call, *required: str) -> dict[str, Any]:
    given = {name: rules.trimmed(value) for name, value in call.fields.items()}
    errors = {name: [wording.required(name)] for name in required if given.get(name) is None}
    if errors:
        raise answers.Refused(answers.invalid(call.request, errors))
    return given


def _instant(call: incoming.Call, field: str, value: object) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(str(value))
    except ValueError:
        raise answers.Refused(answers.invalid(call.request, {field: [wording.date(field)]})) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)


def _texts(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in _LEAD_TEXTS if isinstance(given.get(name), str)}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _customer_side(given: Mapping[str, Any]) -> str:
    return "from" if given["direction"] == world.Direction.INCOMING else "to"
