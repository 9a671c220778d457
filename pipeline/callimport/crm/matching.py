"""Whether a communication that the CRM shows is a call of ours: strict to say yes, loose to say perhaps."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from callimport.core import mapping, models, normal_form

# What must be shown, and equal, before a communication without a reference counts as a call of ours.
_TELLING = ("method", "type", "executed_at", "description", "call_duration", "call_phone")


@dataclass(frozen=True, slots=True)
class Alike:
    """Calls that are equal in everything, and the communications that equal them and nobody else."""

    communications: tuple[models.Communication, ...]
    stored: tuple[models.Stored, ...]


def bears(reference: str, one: models.Stored) -> bool:
    return reference in one.description


def alike(sent: Iterable[models.Communication], stored: Iterable[models.Stored]) -> list[Alike]:
    """The calls of one lead in groups that only their number tells apart, each with what equals it. What equals two
    groups at once (one of them names no user, say) is proof of neither."""
    groups: dict[tuple[object, ...], list[models.Communication]] = defaultdict(list)
    for one in sent:
        groups[tuple(map(normal_form.form, asdict(without_reference(one)).values()))].append(one)
    shown = sorted(stored, key=lambda one: one.id)
    equals = [[one for one in shown if is_equal(group[0], one)] for group in groups.values()]
    fits = Counter(one.id for equal in equals for one in equal)
    return [
        Alike(tuple(group), tuple(one for one in equal if fits[one.id] == 1))
        for group, equal in zip(groups.values(), equals, strict=True)
    ]


def is_equal(sent: models.Communication, one: models.Stored) -> bool:
    """Strict: a field that is not shown is not equal, nor is a description where none was sent. References aside."""
    if not all(name in one.body for name in _TELLING):
        return False
    plain = without_reference(sent)
    shown = {**one.body, "description": mapping.without_reference(one.description)}
    described = normal_form.form(shown["description"]) == normal_form.form(plain.description)
    return described and not normal_form.differences(plain, shown)


def equals_one_of(sent: Iterable[models.Communication], one: models.Stored) -> bool:
    return any(is_equal(communication, one) for communication in sent)


def may_be(sent: models.Communication, one: models.Stored, *, near: timedelta, since: datetime | None = None) -> bool:
    """Loose: of the same method and direction, as far as it is said, and near the call or stored since."""
    said = ((one.method, sent.method), (one.type, sent.type))
    if any(shown and shown.casefold() != wanted.casefold() for shown, wanted in said):
        return False
    call = datetime.fromisoformat(sent.executed_at)
    if one.executed_at is None or abs(one.executed_at - call) <= near:
        return True
    return since is not None and (one.created_at is None or one.created_at >= since)


def without_reference(sent: models.Communication) -> models.Communication:
    return replace(sent, description=mapping.without_reference(sent.description or "") or None)


def told(stored: Sequence[models.Stored]) -> str:
    """Communications in a few words, for whoever must decide."""
    return ", ".join(
        f"{one.id} (call of {_moment(one.executed_at)}, stored {_moment(one.created_at)})"
        for one in sorted(stored, key=lambda one: one.id)
    )


def _moment(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}Z" if instant else "unknown"
