"""A seed of everything about leads and users that is hard to get right: `callimport sandbox --cases`.

| lead | what is hard about it |
|---|---|
| 6001, 6002 | two people at one number, +15145550101 |
| 6003, 6004, 6005 | one customer with three leads, of 2022, 2023 and 2025, all with +15145550103 |
| 6006, 6009 | a duplicate, and the lead that it is one of; both with +15145550106 |
| 6007, 6008 | lost; invalid |
| 6010 | a number with an extension |
| 6011 | a number that is known to be wrong (`valid` is false) |
| 6012 | a number that is null, beside none |
| 6013 | the dealership's own number, +15145550100, beside the customer's |
| 6014 | 3,000 communications |
| 6015 | a call that a person has entered already: EXISTING |
| 6016 | unsubscribed from everything |
| 6017 | accents, an apostrophe and a hyphen |
| 6018 | deleted, with a number that nobody else has |
| 6019 | what another release may add: a method and a status that no client knows yet |
| 900101 | another dealer's, with +15145550190, which no lead of our own has |

User 105 has left, and is in no list; 106 and 107 are both called Marc Roy.
"""

import datetime
from typing import Any

OWN_NUMBER = "+15145550100"
EXISTING = {
    "executed_at": "2025-03-04T10:15:00-05:00",
    "method": "phone",
    "type": "outgoing",
    "user_id": 101,
    "call_status": "answered",
    "call_duration": 185,
    "call_phone": "+15145550115",
    "description": "Rappelé, rendez-vous pris",
}
UNHEARD_OF = [
    {"executed_at": "2025-03-05T10:00:00-05:00", "method": "video", "type": "outgoing"},
    {"executed_at": "2025-03-06T10:00:00-05:00", "method": "phone", "type": "incoming", "call_status": "transferred"},
]
MANY = 3000
_FIRST_OF_MANY = datetime.datetime(2021, 1, 4, 14, 0, tzinfo=datetime.UTC)


def document() -> dict[str, Any]:
    """The seed, as JSON: always the same."""
    users = [
        _user(101, "Sophie", "Gendron"),
        _user(102, "Mark", "Ellison"),
        _user(103, "Frédéric", "Pâquet"),
        _user(105, "Benoît", "Lafleur") | {"active": False},
        _user(106, "Marc", "Roy"),
        _user(107, "Marc", "Roy"),
    ]
    elsewhere = {"id": 900101, "first_name": "Olga", "last_name": "Ailleurs", "phones": ["+15145550190"]}
    return {
        "accounts": [
            {"id": 301, "name": "Garage des Cas Difficiles", "users": users, "leads": _leads()},
            {"id": 302, "name": "Automobiles Ailleurs", "users": [_user(201, "Marc", "Roy")], "leads": [elsewhere]},
        ]
    }


def _leads() -> list[dict[str, Any]]:
    one_customer = {"customer_id": 7101, "phones": ["+15145550103"]}
    return [
        _lead(6001, "Gaétan", "Nadeau", "2023-02-01", phones=["+15145550101"]),
        _lead(6002, "Lucie", "Nadeau", "2024-06-01", phones=["+15145550101"]),
        _lead(6003, "Priya", "Ramanathan", "2022-03-01", status="lost", division="used", **one_customer),
        _lead(6004, "Priya", "Ramanathan", "2023-09-01", division="service", **one_customer),
        _lead(6005, "Priya", "Ramanathan", "2025-05-01", division="new", **one_customer),
        _lead(6006, "Daniel", "Okafor", "2024-04-02", status="duplicate", phones=["+15145550106"]),
        _lead(6007, "Susan", "Kowalchuk", "2024-04-03", status="lost", phones=["+15145550107"]),
        _lead(6008, "Test", "Test", "2024-04-04", status="invalid", phones=["+15145550108"]),
        _lead(6009, "Daniel", "Okafor", "2024-04-01", phones=["+15145550106"]),
        _lead(6010, "Kevin", "Prescott", phones=[{"number": "+15145550110", "type": "work", "extension": 204}]),
        _lead(6011, "Grace", "Villanueva", phones=[{"number": "+15145550111", "valid": False}]),
        _lead(6012, "Robert", "MacIsaac", phones=[{"number": None, "type": "home"}]),
        _lead(6013, "Liam", "Hargreaves", phones=["+15145550113", {"number": OWN_NUMBER, "type": "work"}]),
        _lead(6014, "Margaret", "O'Neill", phones=["+15145550114"], communications=_many()),
        _lead(6015, "John", "Whitfield", phones=["+15145550115"], communications=[EXISTING]),
        _lead(6016, "Zoé", "Thériault", phones=["+15145550116"], unsubscribed_at="2024-11-05T09:00:00-05:00"),
        _lead(6017, "Maïté-Hélène", "D'Amours Lachapelle", phones=["+15145550117"], second_contact="Noël Bérubé"),
        _lead(6019, "François", "Lévesque", phones=["+15145550119"], communications=UNHEARD_OF),
        _lead(6018, "Chloé", "Bélanger", phones=["+15145550118"], deleted=True),
    ]


def _user(user_id: int, first_name: str, last_name: str) -> dict[str, Any]:
    return {"id": user_id, "first_name": first_name, "last_name": last_name, "email": f"user{user_id}@example.com"}


def _lead(lead_id: int, first_name: str, last_name: str, day: str = "2024-01-15", **others: Any) -> dict[str, Any]:
    names = {"id": lead_id, "first_name": first_name, "last_name": last_name}
    return names | {"created_at": f"{day}T09:00:00-05:00", "advisor_id": 101} | others


def _many() -> list[dict[str, Any]]:
    """Every eleven hours since 2021, so that no two are within the same minutes."""
    return [
        {
            "executed_at": (_FIRST_OF_MANY + datetime.timedelta(hours=11 * number)).isoformat(),
            "type": "incoming" if number % 3 else "outgoing",
            "call_status": "answered",
            "call_duration": 30 + number % 600,
            "call_phone": "+15145550114",
            "user_id": 101 + number % 3,
            "description": f"Appel nº {number + 1}",
        }
        for number in range(MANY)
    ]
