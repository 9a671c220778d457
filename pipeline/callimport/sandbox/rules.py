"""What a communication must look like to be accepted: tables, one for each profile."""

import dataclasses
import datetime
import re
from collections.abc import Callable, Mapping
from typing import Any

from callimport.sandbox import wording, world

LONGEST_DESCRIPTION_BYTES = 65_535

_OFFSET = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)", re.ASCII)
_INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,18})", re.ASCII)
_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_LARGEST_INTEGER = 2**63 - 1
# PHP's trim, and the invisible characters newer versions of Laravel take off as well.
_BLANKS = " \t\n\r\0\x0b\u00a0\ufeff\u200b\u200e"


class _Wrong(Exception):
    """A value breaks a rule; the message is the answer's."""


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """What rules may look at besides the value. `stored` is what an update changes, None for a create."""

    state: world.World
    account_id: int
    now: datetime.datetime
    stored: world.Communication | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Findings:
    """`values` are clean and typed, by field, null included. Nobody reads `unknown`; `ignored` are not for updates.

    `forgiven` were wrong, and are null instead.
    """

    values: dict[str, Any]
    errors: dict[str, list[str]]
    unknown: tuple[str, ...]
    ignored: tuple[str, ...]
    forgiven: frozenset[str] = frozenset()


Check = Callable[[str, object, Context], object]


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """A profile: what a create must have, how each field is read, and what holds between fields.

    With `is_forgiving` an optional field that is wrong is stored as null; with `is_untidy` answers look unlike the
    documentation's examples.
    """

    required: tuple[str, ...]
    checks: Mapping[str, Check]
    not_for_update: frozenset[str]
    across: Callable[[dict[str, object], Context], dict[str, list[str]]]
    is_forgiving: bool = False
    is_untidy: bool = False

    def check(self, fields: Mapping[str, object], context: Context) -> Findings:
        """Every fault of the request at once; an update may leave out anything."""
        values: dict[str, Any] = {}
        errors: dict[str, list[str]] = {}
        forgiven = set()
        for field, check in self.checks.items():
            wanted = field in self.required and (context.stored is None or field in fields)
            value = fields.get(field)
            if value is None:
                if wanted:
                    errors[field] = [wording.required(field)]
                elif field in fields:
                    values[field] = None
                continue
            try:
                values[field] = check(field, value, context)
            except _Wrong as wrong:
                if self.is_forgiving and field not in self.required:
                    values[field] = None
                    forgiven.add(field)
                else:
                    errors[field] = [str(wrong)]
        for field, messages in self.across(values, context).items():
            errors.setdefault(field, []).extend(messages)
        strangers = [name for name in fields if name not in self.checks and not name.startswith("email_")]
        ignored = self.not_for_update & fields.keys() if context.stored is not None else ()
        return Findings(values, errors, tuple(sorted(strangers)), tuple(sorted(ignored)), frozenset(forgiven))


def trimmed(value: object) -> object:
    """Text without blanks around it, and null where nothing is left; lists and objects throughout."""
    if isinstance(value, str):
        return value.strip(_BLANKS) or None
    if isinstance(value, list):
        return [trimmed(item) for item in value]
    if isinstance(value, dict):
        return {key: trimmed(item) for key, item in value.items()}
    return value


def _lead(field: str, value: object, context: Context) -> int:
    lead_id = _whole(field, value)
    if context.state.lead(lead_id, context.account_id, context.now) is None:
        raise _Wrong(wording.selected(field))
    return lead_id


def _user(field: str, value: object, context: Context) -> int:
    user_id = _whole(field, value)
    if context.state.active_user(user_id, context.account_id) is None:
        raise _Wrong(wording.selected(field))
    return user_id


def _method(field: str, value: object, context: Context) -> str:
    return _one_of(field, value, list(world.Method))


def _direction(field: str, value: object, context: Context) -> str:
    return _one_of(field, value, list(world.Direction))


def _any_id(field: str, value: object, context: Context) -> int:
    return _whole(field, value)


def _any_status(field: str, value: object, context: Context) -> str:
    return _one_of(field, value, list(world.CallStatus))


def _any_text(field: str, value: object, context: Context) -> str:
    return _text(field, value)


def _call_status(field: str, value: object, context: Context) -> str:
    status = _any_status(field, value, context)
    if status in (world.CallStatus.PENDING, world.CallStatus.UNANSWERED):
        # Documented for click-to-call only, which a past call never was.
        raise _Wrong(wording.selected(field))
    return status


def _instant(field: str, value: object, context: Context) -> datetime.datetime:
    """Without an offset it is taken for UTC: some zone of the CRM's own, which is rarely the caller's."""
    if not isinstance(value, str):
        raise _Wrong(wording.date(field))
    try:
        moment = datetime.datetime.fromisoformat(value)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
        return aware.astimezone(datetime.UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise _Wrong(wording.date(field)) from None


def _past_instant(field: str, value: object, context: Context) -> datetime.datetime:
    if isinstance(value, str) and not _OFFSET.fullmatch(value):
        # The real one may well take such a value, and read it in a time zone of its own.
        raise _Wrong(wording.offset(field))
    moment = _instant(field, value, context)
    if moment > context.now:
        raise _Wrong(wording.not_future(field))
    return moment


def _seconds(field: str, value: object, context: Context) -> int:
    seconds = _whole(field, value)
    if seconds < 0:
        raise _Wrong(wording.at_least(field, 0))
    return seconds


def _phone(field: str, value: object, context: Context) -> str:
    phone = _text(field, value)
    if not _E164.fullmatch(phone):
        raise _Wrong(wording.shape(field))
    return phone


def _description(field: str, value: object, context: Context) -> str:
    text = _text(field, value)
    if len(text.encode()) > LONGEST_DESCRIPTION_BYTES:
        raise _Wrong(wording.longest(field, LONGEST_DESCRIPTION_BYTES))
    return text


def _whole(field: str, value: object) -> int:
    """Laravel's `integer` takes digits in a string too."""
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _LARGEST_INTEGER:
        raise _Wrong(wording.integer(field))
    return value


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise _Wrong(wording.string(field))
    return value


def _one_of(field: str, value: object, allowed: list[str]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise _Wrong(wording.selected(field))
    return value


def _interrupted_is_incoming(values: dict[str, Any], context: Context) -> dict[str, list[str]]:
    """Only a customer who calls can hang up before a user picks up."""
    stored = context.stored
    if not values.keys() & {"call_status", "type"}:
        return {}
    status = values.get("call_status", stored and stored.call_status)
    direction = values.get("type", stored and stored.type)
    if status == world.CallStatus.INTERRUPTED and direction == world.Direction.OUTGOING:
        return {"call_status": [wording.selected("call_status")]}
    return {}


STRICT = Rules(
    required=("lead_id", "method", "type"),
    checks={
        "lead_id": _lead,
        "method": _method,
        "type": _direction,
        "executed_at": _past_instant,
        "executed_by": _user,
        "description": _description,
        "call_duration": _seconds,
        "call_phone": _phone,
        "call_status": _call_status,
    },
    not_for_update=frozenset({"executed_by"}),
    across=_interrupted_is_incoming,
)
# What the documentation says and no more: a field is looked at only if it is there, and no field at another.
DOCUMENTED = dataclasses.replace(
    STRICT,
    required=("lead_id",),
    checks={
        **STRICT.checks,
        "executed_at": _instant,
        "executed_by": _any_id,
        "call_phone": _any_text,
        "call_status": _any_status,
    },
    across=lambda values, context: {},
)
# Takes what it understands, drops the rest without a word, and answers in its own way.
SLOPPY = dataclasses.replace(
    DOCUMENTED,
    checks={**DOCUMENTED.checks, "executed_by": _user, "call_phone": _phone},
    is_forgiving=True,
    is_untidy=True,
)
PROFILES = {"documented": DOCUMENTED, "strict": STRICT, "sloppy": SLOPPY}


def resulting(
    findings: Findings, context: Context, *, new_id: Callable[[], int], author_id: int
) -> world.Communication:
    """The communication that valid findings make, new or changed. `author_id` is credited where nobody is named."""
    changes = {field: value for field, value in findings.values.items() if field != "executed_by"}
    if changes.get("executed_at") is None:
        changes.pop("executed_at", None)
    if context.stored is not None:
        return dataclasses.replace(context.stored, updated_at=context.now, **changes)
    return world.Communication(
        id=new_id(),
        user_id=findings.values.get("executed_by") or (None if "executed_by" in findings.forgiven else author_id),
        created_at=context.now,
        updated_at=context.now,
        **({"method": None, "type": None, "executed_at": context.now.replace(microsecond=0)} | changes),
    )
