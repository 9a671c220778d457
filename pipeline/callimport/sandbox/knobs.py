"""What a person or a test may set: the limits and habits of the rehearsal CRM."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

MEBIBYTE = 1024 * 1024

# Where the vendor's documentation is silent, the first is our guess and the others are what we may find instead.
HABITS: Mapping[str, tuple[str, ...]] = {
    "missing_lead": ("422", "404", "403"),
    "foreign": ("404", "403"),
    "unknown_include": ("ignore", "400", "422"),
    "per_page": ("clamp", "422"),
    "phone_filter": ("exact", "last10"),
    "bare_search": ("422", "all"),
    "order": ("newest", "shuffled"),
    "mp3": ("any", "id3"),
    "recording_of": ("any", "phone"),
    "executed_by": ("create", "always"),
    "lead_result": ("changes", "stays"),
    "scope": ("all", "read"),
    "key_of": ("dealer", "group"),
    "laravel": ("10", "5.6", "8", "9", "12"),
    "locale": ("en", "fr"),
}


class KnobError(ValueError):
    """There is no such knob, or it has no such position; the message says what there is."""


@dataclasses.dataclass(frozen=True, slots=True)
class Knobs:
    """Settings of one sandbox; the defaults are what the vendor documents, or our best guess of it.

    `limit` requests an API user may make in `window_seconds`, counted from the first. `any_id` makes every lead and
    user that is mentioned exist. `latency_seconds` is waited before each answer, after the work is done.
    `profile` names how strictly a communication is judged, one of rules.PROFILES.
    The sizes answer differently: above `upload_bytes` 422, above `post_bytes` JSON 413, above `proxy_bytes` HTML 413.

    The rest are habits, each one of HABITS: how a lead that is missing from a create is answered (`missing_lead`), and
    another dealer's in a path (`foreign`), an include nobody knows, a `per_page` out of range, what `filter[phone]`
    compares, a search for nothing, the order of a lead's communications, which MP3 is taken, of which methods
    recordings are taken, whether `executed_by` can be changed later, whether a call changes the result of its lead,
    what the key is good for and whose it is (a group's lists all accounts), and in which dialect refusals are worded
    (`laravel`, `locale`). `hourly` is a second limit, 0 for none.
    """

    limit: int = 200
    window_seconds: float = 60.0
    any_id: bool = False
    latency_seconds: float = 0.0
    profile: str = "strict"
    proxy_bytes: int = 20 * MEBIBYTE
    post_bytes: int = 18 * MEBIBYTE
    upload_bytes: int = 16 * MEBIBYTE
    missing_lead: str = "422"
    foreign: str = "404"
    unknown_include: str = "ignore"
    per_page: str = "clamp"
    phone_filter: str = "exact"
    bare_search: str = "422"
    order: str = "newest"
    mp3: str = "any"
    recording_of: str = "any"
    executed_by: str = "create"
    lead_result: str = "changes"
    scope: str = "all"
    key_of: str = "dealer"
    laravel: str = "10"
    locale: str = "en"
    hourly: int = 0


_NUMBERS = ("proxy_bytes", "post_bytes", "upload_bytes", "hourly")


def turned(settings: Knobs, texts: Iterable[str]) -> Knobs:
    """The settings with other habits and sizes, from texts as `per_page=422` or `upload_bytes=9`. Raises KnobError."""
    found: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name in _NUMBERS:
            if not (value.isdecimal() and value.isascii() and 0 < len(value) < 13):
                raise KnobError(f"{name} is a whole number, as {name}={2 * MEBIBYTE}")
            found[name] = int(value)
        elif value in HABITS.get(name, ()):
            found[name] = value
        else:
            there = [f"{habit}={'|'.join(values)}" for habit, values in HABITS.items()]
            there += [f"{number}=N" for number in _NUMBERS]
            raise KnobError(f"no knob is {text}; there are {', '.join(there)}")
    return dataclasses.replace(settings, **found)
