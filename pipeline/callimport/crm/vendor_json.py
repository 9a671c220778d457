"""The vendor's JSON, read tolerantly: what is unknown is let be, what is needed must be there."""

from typing import Any

from callimport.core import errors, models, normal_form, privacy

# What the ledger can hold; no CRM counts so far.
LARGEST_ID = 2**63 - 1
# An account's name is shown in many messages, so a longer one is cut.
LONGEST_NAME = 200


def as_list(body: Any) -> list[Any]:
    """`{"data": […]}`, `{"data": {…}}` and `{…}` were all seen in the vendor's pages."""
    data = body.get("data", body) if isinstance(body, dict) else body
    return data if isinstance(data, list) else [data]


def stored(one: Any) -> models.Stored:
    if not isinstance(one, dict) or not is_id(one.get("id")):
        raise errors.Incomplete("a communication was shown without its id")
    return models.Stored(
        id=int(one["id"]),
        method=_text(one.get("method")),
        type=_text(one.get("type")),
        executed_at=normal_form.instant(one.get("executed_at")),
        created_at=normal_form.instant(one.get("created_at")),
        description=_text(one.get("description")),
        body=one,
    )


def account(one: Any) -> models.Account:
    if not isinstance(one, dict) or not is_id(one.get("id")):
        raise errors.DestinationUnusable("the CRM did not say whose key this is: check the destination's address")
    return models.Account(int(one["id"]), privacy.mask(_text(one.get("name"))[:LONGEST_NAME]))


def user(one: Any) -> models.User:
    if not isinstance(one, dict) or not is_id(one.get("id")):
        raise errors.Incomplete("a user was shown without an id")
    name = " ".join(_text(one.get(part)) for part in ("first_name", "last_name"))
    return models.User(int(one["id"]), _text(one.get("email")), " ".join(name.split()))


def lead(one: Any) -> models.Lead:
    if not isinstance(one, dict) or not is_id(one.get("id")):
        raise errors.Incomplete("a lead was shown without its id")
    phones = one.get("phones")
    shown = phones if isinstance(phones, list) else []
    written = (phone.get("number") for phone in shown if isinstance(phone, dict))
    return models.Lead(
        id=int(one["id"]),
        created_at=normal_form.instant(one.get("created_at")),
        status=_text(one.get("status")).lower(),
        numbers=tuple(number for number in map(_text, written) if number),
        account_id=int(one["account_id"]) if is_id(one.get("account_id")) else None,
    )


def lead_page(body: Any) -> models.LeadPage:
    shown, total, pages = _listed(body)
    return models.LeadPage(tuple(lead(one) for one in shown), total, pages)


def shown_page(body: Any) -> models.ShownPage:
    shown, total, pages = _listed(body)
    return models.ShownPage(tuple((lead(one).id, _communications(one)) for one in shown), total, pages)


def _communications(one: dict[str, Any]) -> tuple[models.Stored, ...] | None:
    """Of a lead in a list; None where it does not show all of them well."""
    try:
        return tuple(stored(each) for each in one["communications"])
    except (errors.Incomplete, KeyError, TypeError):
        return None


def _listed(body: Any) -> tuple[list[Any], int | None, int]:
    """What a page of a list shows, how many there are in all, and on how many pages."""
    shown = body.get("data") if isinstance(body, dict) else None
    if not isinstance(shown, list):
        raise errors.Incomplete("a list of leads was shown without its leads")
    meta = body["meta"] if isinstance(body.get("meta"), dict) else {}
    total, pages = meta.get("total"), meta.get("last_page")
    return (
        shown,
        int(str(total)) if is_id(total) or total in (0, "0") else None,
        int(str(pages)) if is_id(pages) else 1,
    )


def communications_of(body: Any, lead_id: int) -> tuple[models.Stored, ...]:
    """Return the communications that the answer to the read of a lead shows.

    Raises Incomplete if the answer is about another lead, shows no list, or shows two communications with the same id.
    """
    shown = as_list(body)
    one = shown[0] if shown and isinstance(shown[0], dict) else {}
    if is_id(one.get("id")) and int(one["id"]) != lead_id:
        raise errors.Incomplete("the CRM showed another lead instead")
    if not isinstance(one.get("communications"), list):
        raise errors.Incomplete("the lead was shown without its communications")
    found = tuple(map(stored, one["communications"]))
    if len({each.id for each in found}) < len(found):
        raise errors.Incomplete("the lead was shown with two communications that have the same id")
    return found


def _text(value: object) -> str:
    """Return text, or a number as text. Return "" for anything else."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def is_id(value: object) -> bool:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_ID
