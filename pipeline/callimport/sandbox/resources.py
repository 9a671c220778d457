"""How the API shows what it holds: every key always there, null when blank, arrays only when asked for."""

import datetime
from collections.abc import Collection

from callimport.sandbox import clock, world

Shape = dict[str, object]

_SINGLE = (
    "bdc",
    "commercial",
    "service_advisor",
    "service_agent",
    "takeover_director",
    "delivered_by",
)
_EMPTY_LISTS = ("custom_fields", "events", "products", "tasks", "vehicles")
_ACCOUNT_LISTS = ("automations", "custom_fields", "sources")
_SINCE = clock.iso(datetime.datetime(2019, 5, 6, 13, 0, tzinfo=datetime.UTC))


def communication(one: world.Communication) -> Shape:
    """As answered to a create or an update. A recording is never shown."""
    return {
        "id": one.id,
        "lead_id": one.lead_id,
        "user_id": one.user_id,
        "created_at": clock.iso(one.created_at),
        "updated_at": clock.iso(one.updated_at),
        "executed_at": clock.iso(one.executed_at),
        "method": one.method,
        "type": one.type,
        "description": one.description,
        "call_duration": one.call_duration,
        "call_phone": one.call_phone,
        "call_status": one.call_status,
    }


def stored_communication(one: world.Communication, account_id: int) -> Shape:
    """As the control port shows it: with what the API hides."""
    recording = one.recording
    return communication(one) | {
        "account_id": account_id,
        "seeded": one.seeded,
        "by_hand": one.by_hand,
        "recording": recording
        and {
            "format": recording.format,
            "sha256": recording.sha256,
            "size_bytes": recording.size_bytes,
            "uploads": recording.uploads,
        },
    }


def lead(one: world.Lead, state: world.World, includes: Collection[str]) -> Shape:
    """A lead, with the nested objects that `includes` names; a name we do not know is passed over.

    Communications are the caller's to add: which of them a read sees is not a matter of form.
    """
    unsubscribed_at = clock.iso(one.unsubscribed_at) if one.unsubscribed_at else None
    shape: Shape = {
        "id": one.id,
        "account_id": one.account_id,
        "customer_id": one.customer_id,
        "source_id": None,
        "created_at": clock.iso(one.created_at),
        "updated_at": clock.iso(one.updated_at),
        "appointment_date": None,
        "sale_date": clock.iso(one.sale_date) if one.sale_date else None,
        "unsubscribe_all_date": unsubscribed_at,
        "unsubscribe_call_date": unsubscribed_at,
        "civility": None,
        "created_method": one.created_method,
        "division": one.division,
        "first_name": one.first_name,
        "last_name": one.last_name,
        "locale": one.locale,
        "postal_code": one.postal_code,
        "result": one.result,
        "second_contact": one.second_contact,
        "source": None,
        "status": one.status,
        "type": one.type,
    }
    if "account" in includes:
        shape["account"] = _account(state.accounts[one.account_id])
    if "advisor" in includes:
        advisor = state.users.get(one.advisor_id) if one.advisor_id is not None else None
        shape["advisor"] = _user(advisor) if advisor is not None else None
    if "phones" in includes:
        shape["phones"] = [phone(each, one) for each in one.phones]
    if "emails" in includes:
        shape["emails"] = [_email(email, one) for email in one.emails]
    if "associated_leads" in includes:
        shape["associated_leads"] = [lead(other, state, ()) for other in state.associated(one)]
    shape |= {name: None for name in _SINGLE if name in includes}
    shape |= {name: [] for name in _EMPTY_LISTS if name in includes}
    return shape


def account(one: world.Account, state: world.World, includes: Collection[str]) -> Shape:
    """An account; `users` are the active ones, and only where asked for."""
    shape = _account(one)
    if "users" in includes:
        members = [user for user in state.users.values() if user.account_id == one.id and user.active]
        shape["users"] = [_user(user) for user in sorted(members, key=lambda user: user.id)]
    shape |= {name: [] for name in _ACCOUNT_LISTS if name in includes}
    return shape


def _account(one: world.Account) -> Shape:
    return {"id": one.id, "created_at": _SINCE, "updated_at": _SINCE, "name": one.name}


def _user(one: world.User) -> Shape:
    return {
        "id": one.id,
        "created_at": _SINCE,
        "updated_at": _SINCE,
        "email": one.email,
        "first_name": one.first_name,
        "last_name": one.last_name,
    }


def phone(one: world.Phone, owner: world.Lead) -> Shape:
    """A number of a lead."""
    return {
        "id": one.id,
        "lead_id": owner.id,
        "created_at": clock.iso(owner.created_at),
        "updated_at": clock.iso(owner.created_at),
        "extension": one.extension,
        "number": one.number,
        "type": one.type,
        "valid": one.valid,
    }


def _email(one: world.Email, owner: world.Lead) -> Shape:
    return {
        "id": one.id,
        "lead_id": owner.id,
        "created_at": clock.iso(owner.created_at),
        "updated_at": clock.iso(owner.created_at),
        "address": one.address,
        "type": one.type,
    }
