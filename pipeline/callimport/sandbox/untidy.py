"""The same answer as another vendor's release might write it: legal by the documentation, and unlike its examples."""

import random
import re

_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\+00:00", re.ASCII)
_ENDINGS = ("Z", ".000000Z")


def untidy(shape: object) -> object:
    """Keys in another order, properties nobody announced, instants with `Z` or microseconds; always alike for an id."""
    if isinstance(shape, list):
        return [untidy(each) for each in shape]
    if not isinstance(shape, dict):
        return shape
    chance = random.Random(str(shape.get("id")))
    pairs = [(key, _instant(value, chance) if key.endswith("_at") else untidy(value)) for key, value in shape.items()]
    pairs += [("uuid", None), ("links", {"self": f"http://crm.example/v2/{shape.get('id')}"}), ("tags", [])]
    chance.shuffle(pairs)
    return dict(pairs)


def _instant(value: object, chance: random.Random) -> object:
    match = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    return match[1] + chance.choice(_ENDINGS) if match else value
