"""What an update of a call would say. Pure: from what its source told before and tells now, and what the CRM keeps.

wanted   the fields of which the source tells another story now, the description with its reference again; and
         those that an update since may have told otherwise, for all that anybody knows
edited   of these, the ones that the CRM keeps otherwise than it last told us: a person has changed them

Lead, method, direction and phone are pinned: naming them could move a communication that a person has moved. The user
is documented for a create only. A field that the source tells as before is nobody's business, whatever the CRM keeps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from callimport.core import mapping, models, normal_form

FIELDS = ("executed_at", "call_status", "call_duration", "description")


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is to be sent, by field; what is left because a person has changed it, as (wanted, found); and the names of
    the fields that the CRM keeps already as they are wanted."""

    send: dict[str, object]
    left: dict[str, tuple[object, object]]
    there: tuple[str, ...]


def wanted(update: models.Update) -> dict[str, Any]:
    """The new value of each field of which the source tells otherwise than the CRM was told, or may have been."""
    return changed(update.sent, update.story, update.unanswered, update.reference)


def changed(
    sent: models.Communication,
    story: models.Communication,
    unanswered: Sequence[Mapping[str, object]],
    reference: str,
) -> dict[str, Any]:
    """The same of a call that was sent as `sent`, where `unanswered` updates may have been made since."""
    found: dict[str, Any] = {}
    for name in FIELDS:
        now = getattr(story, name)
        told = (getattr(sent, name), *(one[name] for one in unanswered if name in one))
        if any(_without_mark(one, reference) != _without_mark(now, reference) for one in told):
            found[name] = _with_mark(now, sent, reference) if name == "description" else now
    return found


def in_words(sent: models.Communication, new: Mapping[str, object]) -> str:
    """Return each field with its old and new value, as text. Leave out the text of descriptions: it may name people."""
    return ", ".join(
        name if name == "description" else f"{name} {getattr(sent, name)} → {value}" for name, value in new.items()
    )


def is_overtaken(update: models.Update) -> bool:
    """Whether an update that may still arrive says something else than the update that is to be sent now."""
    return any(
        _without_mark(value, update.reference) != _without_mark(getattr(update.story, name), update.reference)
        for one in update.unanswered
        for name, value in one.items()
    )


def compare(update: models.Update, shown: Mapping[str, object], *, overwrite: bool = False) -> Comparison:
    """What is left to send to a CRM that shows the communication so. `overwrite` sends over what a person changed."""
    send: dict[str, object] = {}
    left: dict[str, tuple[object, object]] = {}
    there: list[str] = []
    for name, value in wanted(update).items():
        if name in shown and normal_form.form(shown[name]) == normal_form.form(value):
            there.append(name)
        elif overwrite or name not in shown or not _is_edited(update, name, value, shown[name]):
            send[name] = value
        else:
            left[name] = (value, shown[name])
    return Comparison(send, left, tuple(there))


def told(update: models.Update) -> models.Communication:
    """The communication by the new story; what is pinned stays."""
    return replace(update.sent, **wanted(update))


def kept(update: models.Update, body: Mapping[str, object], comparison: Comparison) -> dict[str, object]:
    """What the CRM is known to keep now, from its answer. Of fields that were left or not sent, what it kept before: so
    that what a person changed there shows the next time, too."""
    settled = {*comparison.send, *comparison.there}
    before = {name: update.kept[name] for name in FIELDS if name not in settled}
    sent = {name: value for name, value in comparison.send.items() if name not in body}
    return {**body, **sent, **before}


def _is_edited(update: models.Update, name: str, value: object, shown: object) -> bool:
    """Neither what the CRM last told us, nor what it may have been told since."""
    ours = (update.kept[name], value, *(one[name] for one in update.unanswered if name in one))
    return all(_without_mark(shown, update.reference) != _without_mark(one, update.reference) for one in ours)


def _without_mark(value: object, reference: str) -> object:
    """As it is compared; a person who takes our reference out has not changed what is described."""
    if isinstance(value, str):
        value = value.replace(mapping.with_reference(None, reference), "")
    return normal_form.form(value)


def _with_mark(description: str | None, sent: models.Communication, reference: str) -> str | None:
    """The text with the reference, where the call was sent with one, whatever this run's setting is."""
    mark = mapping.with_reference(None, reference)
    text = (description or "").replace(mark, "").strip() or None
    return mapping.with_reference(text, reference) if mark in (sent.description or "") else text


@dataclass(slots=True)
class Plan:
    """What a run would change: calls by key, each with whether a row of this run tells of it. `listed` shows some to a
    person. `nothing` are calls whose new story has nothing for the CRM, `refused` those of which it refused this very
    story before."""

    to_make: dict[str, bool] = field(default_factory=dict)
    nothing: dict[str, bool] = field(default_factory=dict)
    listed: list[models.Listed] = field(default_factory=list)
    refused: list[models.Listed] = field(default_factory=list)
