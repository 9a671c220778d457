"""Reads the JSON a world begins with, and holds the small built-in one."""

import dataclasses
import datetime
import json
import pathlib
from typing import Any

from callimport.sandbox import world

_FIRST_SEEDED_COMMUNICATION_ID = 40_000_001
_SINCE = datetime.datetime(2024, 1, 15, 14, 0, tzinfo=datetime.UTC)

_PEOPLE = (
    ("Amélie", "Tremblay"),
    ("John", "Whitfield"),
    ("François", "Lévesque"),
    ("Margaret", "O'Neill"),
    ("Chloé", "Bélanger"),
    ("Daniel", "Okafor"),
    ("Jean-Sébastien", "Côté"),
    ("Priya", "Ramanathan"),
    ("Noémie", "Gagné"),
    ("Robert", "MacIsaac"),
    ("Étienne", "Dubé"),
    ("Susan", "Kowalchuk"),
    ("Maïté", "Lachapelle-Roy"),
    ("Kevin", "Prescott"),
    ("Hélène", "D'Amours"),
    ("Grace", "Villanueva"),
    ("Zoé", "Thériault"),
    ("Liam", "Hargreaves"),
    ("Gaétan", "Nadeau"),
    ("Lucie", "Nadeau"),
)
_USERS = (
    (101, "Sophie", "Gendron", True),
    (102, "Mark", "Ellison", True),
    (103, "Frédéric", "Pâquet", True),
    (104, "Karen", "Stoddard", True),
    (105, "Benoît", "Lafleur", False),
)
_HOUSEHOLD = {"number": "+15145550150", "type": "home"}
_PARTICULARS: dict[int, dict[str, Any]] = {
    5004: {"status": "lost"},
    5006: {"customer_id": 7001},
    5007: {"customer_id": 7001, "division": "service"},
    5010: {"status": "duplicate"},
    5011: {"advisor_id": 103},
    5012: {"phones": ["+15145550112", {"number": "+15145550130", "type": "work", "extension": 204}]},
    5014: {"phones": ["+15145550114", {"number": "+15145550131", "type": "home", "valid": False}]},
    5015: {"phones": ["+15145550115", {"number": None, "type": "home"}]},
    5019: {"phones": ["+15145550119", _HOUSEHOLD]},
    5020: {"phones": ["+15145550120", _HOUSEHOLD]},
}


class SeedError(ValueError):
    """The seed is not what it should be; the message says where and what would be right."""


def built_in() -> dict[str, Any]:
    """Leads 5001 to 5020 with numbers +15145550101 to +15145550120 in that order, users 101 to 105 (105 has left).

    5019 and 5020 share a second number; 900001 belongs to another dealer and must stay invisible.
    """
    leads = []
    for lead_id, (first_name, last_name) in enumerate(_PEOPLE, start=5001):
        person = {"id": lead_id, "first_name": first_name, "last_name": last_name}
        person |= {"phones": [f"+1514555{lead_id - 4900:04}"], "advisor_id": 101}
        person |= {"emails": [f"lead{lead_id}@example.com"], "locale": "en" if lead_id % 2 == 0 else "fr"}
        leads.append(person | _PARTICULARS.get(lead_id, {}))
    users = [
        {"id": user_id, "first_name": first, "last_name": last, "email": f"user{user_id}@example.com", "active": active}
        for user_id, first, last, active in _USERS
    ]
    stranger = {"id": 900001, "first_name": "Invisible", "last_name": "Ailleurs", "phones": ["+15145550199"]}
    other_user = {"id": 201, "first_name": "Olga", "last_name": "Marchetti", "email": "user201@example.com"}
    return {
        "accounts": [
            {"id": 301, "name": "Rehearsal Motors", "users": users, "leads": leads},
            {"id": 302, "name": "Automobiles Ailleurs", "users": [other_user], "leads": [stranger]},
        ]
    }


def nobody() -> dict[str, Any]:
    """The account alone, for a rehearsal in which every id that is mentioned exists: nobody stands in its way."""
    return {"accounts": [{"id": 301, "name": "Rehearsal Motors"}]}


def from_file(path: pathlib.Path) -> Any:
    """The JSON in a file, not yet checked. Raises SeedError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SeedError(f"the seed {path} cannot be read: {error.strerror}; give another with --seed") from error
    except (ValueError, RecursionError) as error:
        raise SeedError(f"the seed {path} is not JSON: {error}; correct it or leave --seed out") from error


def parsed(document: Any, *, account_id: int | None = None) -> world.Seed:
    """Values from the JSON; `account_id` takes the place of the first account's own id. Raises SeedError."""
    top = _Node(document, "the seed")
    accounts, users, leads, communications = [], [], [], []
    for position, node in enumerate(top.nodes("accounts")):
        own_id = account_id if account_id is not None and position == 0 else node.whole("id")
        accounts.append(world.Account(own_id, node.text("name")))
        users += [_user(each, own_id) for each in node.nodes("users")]
        for each in node.nodes("leads"):
            made = lead(each.value, each.place, own_id)
            leads.append(made)
            communications += [(made.id, called) for called in each.nodes("communications")]
    if not accounts:
        raise SeedError('the seed has no account: it needs {"accounts":[{"id":..,"name":..,"users":[],"leads":[]}]}')
    for name, ids in (("account", accounts), ("user", users), ("lead", leads)):
        _refuse_twins(name, [one.id for one in ids])
    stored = (
        communication(called.value, called.place, lead_id, number)
        for number, (lead_id, called) in enumerate(communications, start=_FIRST_SEEDED_COMMUNICATION_ID)
    )
    return world.Seed(tuple(accounts), tuple(users), tuple(leads), tuple(stored))


@dataclasses.dataclass(frozen=True, slots=True)
class _Node:
    """A JSON object and where it stands, so that a complaint can say which."""

    value: Any
    place: str

    def __post_init__(self) -> None:
        if not isinstance(self.value, dict):
            raise SeedError(f"{self.place} must be a JSON object")

    def nodes(self, key: str) -> "list[_Node]":
        return [_Node(item, f"{self.place}.{key}[{index}]") for index, item in enumerate(self.items(key))]

    def items(self, key: str) -> list[Any]:
        found = self.value.get(key, [])
        if not isinstance(found, list):
            raise SeedError(f"{self.place}.{key} must be a list")
        return found

    def whole(self, key: str) -> int:
        found = self.value.get(key)
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            raise SeedError(f"{self.place}.{key} must be a whole number above 0")
        return found

    def whole_or_none(self, key: str) -> int | None:
        return None if self.value.get(key) is None else self.whole(key)

    def text(self, key: str) -> str:
        found = self.text_or_none(key)
        if not found:
            raise SeedError(f"{self.place}.{key} must be a text")
        return found

    def text_or_none(self, key: str) -> str | None:
        found = self.value.get(key)
        if found is not None and not isinstance(found, str):
            raise SeedError(f"{self.place}.{key} must be a text or null")
        return found

    def moment_or_none(self, key: str) -> datetime.datetime | None:
        return None if self.value.get(key) is None else self.moment(key)

    def moment(self, key: str) -> datetime.datetime:
        complaint = f"{self.place}.{key} must be an instant with its offset, as 2024-01-15T09:00:00-05:00"
        try:
            moment = datetime.datetime.fromisoformat(self.text_or_none(key) or _SINCE.isoformat())
        except ValueError:
            raise SeedError(complaint) from None
        if moment.tzinfo is None:
            raise SeedError(complaint)
        return moment.astimezone(datetime.UTC)


def _user(node: _Node, account_id: int) -> world.User:
    return world.User(
        id=node.whole("id"),
        account_id=account_id,
        first_name=node.text_or_none("first_name") or "",
        last_name=node.text_or_none("last_name") or "",
        email=node.text_or_none("email"),
        active=node.value.get("active", True) is True,
    )


def lead(document: Any, place: str, account_id: int) -> world.Lead:
    """A lead as it stands in a seed; `place` is where, for complaints. Raises SeedError."""
    node = _Node(document, place)
    lead_id = node.whole("id")
    phones = tuple(
        _phone(item, f"{node.place}.phones", lead_id * 10 + i) for i, item in enumerate(node.items("phones"))
    )
    emails = tuple(world.Email(lead_id * 10 + i, str(item)) for i, item in enumerate(node.items("emails")))
    created_at = node.moment("created_at")
    return world.Lead(
        id=lead_id,
        account_id=account_id,
        first_name=node.text_or_none("first_name"),
        last_name=node.text_or_none("last_name"),
        created_at=created_at,
        updated_at=created_at,
        phones=phones,
        emails=emails,
        customer_id=node.whole_or_none("customer_id"),
        advisor_id=node.whole_or_none("advisor_id"),
        type=node.text_or_none("type") or "phone",
        status=node.text_or_none("status"),
        result=node.text_or_none("result"),
        division=node.text_or_none("division"),
        locale=node.text_or_none("locale"),
        postal_code=node.text_or_none("postal_code"),
        second_contact=node.text_or_none("second_contact"),
        sale_date=node.moment_or_none("sale_date"),
        unsubscribed_at=node.moment_or_none("unsubscribed_at"),
        deleted=node.value.get("deleted", False) is True,
    )


def _phone(item: Any, place: str, phone_id: int) -> world.Phone:
    if isinstance(item, str):
        return world.Phone(phone_id, item)
    node = _Node(item, place)
    return world.Phone(
        id=phone_id,
        number=node.text_or_none("number"),
        type=node.text_or_none("type") or "mobile",
        extension=node.whole_or_none("extension"),
        valid=node.value.get("valid", True) is True,
    )


def communication(document: Any, place: str, lead_id: int, communication_id: int) -> world.Communication:
    """A communication as it stands in a seed under its lead. Raises SeedError."""
    node = _Node(document, place)
    executed_at = node.moment("executed_at")
    duration = node.value.get("call_duration")
    return world.Communication(
        id=communication_id,
        lead_id=lead_id,
        user_id=node.whole_or_none("user_id"),
        created_at=executed_at,
        updated_at=executed_at,
        executed_at=executed_at,
        method=node.text_or_none("method") or world.Method.PHONE.value,
        type=node.text_or_none("type") or world.Direction.OUTGOING.value,
        description=node.text_or_none("description"),
        call_duration=duration if isinstance(duration, int) else None,
        call_phone=node.text_or_none("call_phone"),
        call_status=node.text_or_none("call_status"),
        seeded=True,
    )


def _refuse_twins(name: str, ids: list[int]) -> None:
    seen: set[int] = set()
    for each in ids:
        if each in seen:
            raise SeedError(f"the seed has two {name}s with the id {each}; ids must differ")
        seen.add(each)
