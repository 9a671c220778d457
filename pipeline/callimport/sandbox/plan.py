"""What is to go wrong, and when: a list of rules, as JSON in a file or over the control port.

    {"seed": 7, "rules": [
      {"kind": "commit_then_drop", "method": "POST", "path": "/communications", "probability": 0.04},
      {"kind": "late_commit", "seconds": 20, "lead": [5001, 5002], "nth": 3},
      {"kind": "limit_429", "every": 50, "retry_after": 0},
      {"kind": "act", "path": "/leads", "nth": 2, "do": {"act": "new_lead", "lead": {"phones": ["+15145550101"]}}}
    ]}

`Rule` says how requests are chosen, `Kind` what there is, `_SETTINGS` what each kind may be told. An `act` is what a
person does just before the request is looked at: see `acts`.
"""

import dataclasses
import enum
import json
import math
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from callimport.sandbox import acts

METHODS = ("GET", "POST", "PUT")
PATHS = (
    *("/communications", "/communications/:id", "/communications/:id/recording"),
    *("/leads", "/leads/search", "/leads/:id", "/account"),
    *("/lead-phones", "/lead-phones/:id", "/call-logs", "/call-logs/:id"),
)


class FaultError(ValueError):
    """A rule is not what it should be; the message says which, and what would be right."""


class Kind(enum.StrEnum):
    """What goes wrong. Each acts at one place of a request's way, and only requests that come so far count for it."""

    DROP_BEFORE_COMMIT = "drop_before_commit"
    HTML_502 = "html_502"
    HTML_503 = "html_503"
    MAINTENANCE = "maintenance"
    LIMIT_429 = "limit_429"
    REDIRECT = "redirect"
    REVOKE_KEY = "revoke_key"
    STATUS_500 = "status_500"
    FORBID_LEAD = "forbid_lead"
    LATE_COMMIT = "late_commit"
    COMMIT_THEN_DROP = "commit_then_drop"
    COMMIT_THEN_500 = "commit_then_500"
    COMMIT_THEN_STALL = "commit_then_stall"
    TRUNCATED = "truncated"
    EMPTY_2XX = "empty_2xx"
    HTML_2XX = "html_2xx"
    TRIM_DESCRIPTION = "trim_description"
    STRIP_REFERENCE = "strip_reference"
    READ_LAG = "read_lag"
    INCOMPLETE_READ = "incomplete_read"
    LATENCY = "latency"
    SHARED_BUCKET = "shared_bucket"
    SHRINK_LIMIT = "shrink_limit"
    SLOW_READ = "slow_read"
    ACT = "act"


ON_ARRIVAL = frozenset(
    {
        Kind.DROP_BEFORE_COMMIT,
        Kind.HTML_502,
        Kind.HTML_503,
        Kind.MAINTENANCE,
        Kind.LIMIT_429,
        Kind.REDIRECT,
        Kind.REVOKE_KEY,
    }
)
BEFORE_COMMIT = frozenset({Kind.STATUS_500, Kind.FORBID_LEAD, Kind.LATE_COMMIT})
AFTER_COMMIT = frozenset(
    {
        Kind.COMMIT_THEN_DROP,
        Kind.COMMIT_THEN_500,
        Kind.COMMIT_THEN_STALL,
        Kind.TRUNCATED,
        Kind.EMPTY_2XX,
        Kind.HTML_2XX,
    }
)
WHEN_RECEIVED = frozenset({Kind.SLOW_READ})
WHEN_STORED = frozenset({Kind.TRIM_DESCRIPTION, Kind.STRIP_REFERENCE})
WHEN_READ = frozenset({Kind.READ_LAG, Kind.INCOMPLETE_READ})


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """Which requests, which of those, and what happens to them. `given` is the rule as it was written.

    A request fits by `method`, `path` (a route, as `/leads/:id`) and lead. Of those that fit, `nth`, `every` and
    `first` choose by number, counted from 1, and `probability` by lot among the chosen. `settings` have their defaults.
    """

    kind: Kind
    name: str
    given: Mapping[str, object]
    settings: Mapping[str, Any]
    method: str | None = None
    path: str | None = None
    leads: frozenset[int] | None = None
    nth: int | None = None
    every: int | None = None
    first: int | None = None
    probability: float = 1.0

    def chooses(self, number: int) -> bool:
        """Whether the request of that number, among those that fit, is meant."""
        if self.nth is not None:
            return number == self.nth
        if self.every is not None:
            return number % self.every == 0
        return self.first is None or number <= self.first


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Rules in the order in which they are asked, and the seed of their lots."""

    rules: tuple[Rule, ...] = ()
    seed: int = 0


Check = Callable[[Any], bool]


@dataclasses.dataclass(frozen=True, slots=True)
class _Setting:
    check: Check
    wanted: str
    default: Any = None
    needed: bool = False


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_whole(value) and value >= 1


def _is_amount(value: Any) -> bool:
    return (_is_whole(value) or (isinstance(value, float) and math.isfinite(value))) and 0 <= value <= 10**9


def _is_share(value: Any) -> bool:
    return _is_amount(value) and value <= 1


def _is_moderate(value: Any) -> bool:
    return _is_whole(value) and abs(value) <= 10**9


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and value.isascii() and bool(value)


def _choice(*allowed: object, default: object = None) -> _Setting:
    """One of them, by type as well: JSON's `true` is no 1."""
    wanted = " or ".join(json.dumps(each) for each in allowed)
    return _Setting(lambda value: any(value == one and type(value) is type(one) for one in allowed), wanted, default)


_SWITCH = _choice(False, True, default=False)
_SECONDS = _Setting(_is_amount, "a number of seconds from 0", needed=True)
_RETRY_AFTER = {
    "retry_after": _Setting(lambda value: _is_moderate(value) or _is_text(value), "a whole number or a text"),
    "retry_after_as": _choice("seconds", "date", default="seconds"),
}
_SETTINGS: Mapping[Kind, Mapping[str, _Setting]] = {
    Kind.DROP_BEFORE_COMMIT: {"reset": _SWITCH},
    Kind.COMMIT_THEN_DROP: {"reset": _SWITCH},
    Kind.MAINTENANCE: _RETRY_AFTER,
    Kind.HTML_503: _RETRY_AFTER,
    Kind.LIMIT_429: _RETRY_AFTER | {"html": _SWITCH},
    Kind.REDIRECT: {"status": _choice(302, 307, default=302), "location": _Setting(_is_text, "a URL")},
    Kind.COMMIT_THEN_500: {"status": _choice(500, 502, 503, 504, default=500)},
    Kind.COMMIT_THEN_STALL: {"seconds": _SECONDS},
    Kind.LATE_COMMIT: {"seconds": _SECONDS, "answer": _choice("504", "drop", "wait", default="504")},
    Kind.TRIM_DESCRIPTION: {"characters": _Setting(_is_count, "a whole number from 1", needed=True)},
    Kind.READ_LAG: {"seconds": _SECONDS},
    Kind.INCOMPLETE_READ: {"share": _Setting(_is_share, "a number from 0 to 1", 0.5), "without_key": _SWITCH},
    Kind.LATENCY: {"seconds": _SECONDS, "spread": _choice("fixed", "uniform", "exponential", default="fixed")},
    Kind.SHRINK_LIMIT: {"limit": _Setting(_is_count, "a whole number from 1", needed=True)},
    Kind.SLOW_READ: {"bytes_per_second": _Setting(_is_count, "a whole number from 1", needed=True)},
    Kind.ACT: {"do": _Setting(lambda value: isinstance(value, dict | list), "an act, or a list of some", needed=True)},
    Kind.SHARED_BUCKET: {"per_minute": _Setting(_is_count, "a whole number from 1", needed=True)},
}
_MATCH: Mapping[str, _Setting] = {
    "method": _choice(*METHODS),
    "path": _choice(*PATHS),
    "nth": _Setting(_is_count, "a whole number from 1"),
    "every": _Setting(_is_count, "a whole number from 1"),
    "first": _Setting(_is_count, "a whole number from 1"),
    "probability": _Setting(_is_share, "a number from 0 to 1", 1.0),
}


def from_file(path: pathlib.Path) -> Plan:
    """The rules in a file. Raises FaultError."""
    try:
        return parsed(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise FaultError(f"the faults {path} cannot be read: {error.strerror}; give another with --faults") from error
    except FaultError as error:
        raise FaultError(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise FaultError(f"the faults {path} are not JSON: {error}; correct them or leave --faults out") from error


def parsed(document: Any) -> Plan:
    """A list of rules, or `{"seed": 7, "rules": [...]}`. Raises FaultError."""
    top = {"rules": document} if isinstance(document, list) else document
    if not isinstance(top, dict) or not isinstance(top.get("rules"), list) or top.keys() - {"rules", "seed"}:
        raise FaultError('faults must be a list of rules, or {"seed":1,"rules":[{"kind":..},..]}')
    seed = top.get("seed", 0)
    if not _is_whole(seed):
        raise FaultError("the seed must be a whole number")
    return Plan(tuple(_rule(given, f"rules[{index}]") for index, given in enumerate(top["rules"])), seed)


def _rule(given: Any, place: str) -> Rule:
    if not isinstance(given, dict):
        raise FaultError(f"{place} must be a JSON object")
    if given.get("kind") not in list(Kind):
        raise FaultError(f"{place}.kind must be one of {', '.join(Kind)}")
    kind = Kind(given["kind"])
    about = {} if kind is Kind.SHARED_BUCKET else _MATCH
    own = _SETTINGS.get(kind, {})
    allowed = {"kind", "name", *about, *own} | ({"lead"} if about else set())
    for key in given:
        if key not in allowed:
            raise FaultError(f"{place}.{key} is nothing that {kind} knows; it takes {', '.join(sorted(allowed))}")
    if len({"nth", "every", "first"} & given.keys()) > 1:
        raise FaultError(f"{place} may have one of nth, every and first")
    leads = _leads(given.get("lead"), place)
    if kind is Kind.FORBID_LEAD and leads is None:
        raise FaultError(f"{place}.lead is missing: {kind} needs the id of a lead, or a list of some")
    name = given.get("name", kind.value)
    if not _is_text(name):
        raise FaultError(f"{place}.name must be a text")
    settings = _values(given, own, place)
    if settings.get("retry_after_as") == "date" and not _is_moderate(settings["retry_after"]):
        raise FaultError(f"{place}.retry_after must be a whole number of seconds from now, to be shown as a date")
    if kind is Kind.ACT:
        settings["do"] = _acts(settings["do"], place)
    return Rule(kind, name, dict(given), settings, leads=leads, **_values(given, about, place))


def _values(given: Mapping[str, Any], known: Mapping[str, _Setting], place: str) -> dict[str, Any]:
    """Every setting, given or by default; an absent one and null are the same."""
    values = {}
    for key, setting in known.items():
        value = given.get(key)
        if value is None and setting.needed:
            raise FaultError(f"{place}.{key} is missing: it must be {setting.wanted}")
        if value is not None and not setting.check(value):
            raise FaultError(f"{place}.{key} must be {setting.wanted}")
        values[key] = setting.default if value is None else value
    return values


def _acts(given: Any, place: str) -> tuple[acts.Act, ...]:
    try:
        return acts.parsed(given)
    except acts.ActError as error:
        raise FaultError(f"{place}.do: {error}") from error


def _leads(given: Any, place: str) -> frozenset[int] | None:
    if given is None:
        return None
    ids = given if isinstance(given, list) else [given]
    if not ids or not all(_is_count(each) for each in ids):
        raise FaultError(f"{place}.lead must be the id of a lead, or a list of some")
    return frozenset(ids)
