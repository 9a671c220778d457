"""The canonical form in which what was sent is compared with what the CRM keeps."""

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from callimport.core import models

_LONGEST_NUMBER = 18


def form(value: object) -> object:
    """A payload value as it is compared: who stores it may trim it, turn blanks into null, write instants anew."""
    if isinstance(value, str):
        text = unicodedata.normalize("NFC", value.replace("\r\n", "\n")).strip()
        for known_form in (_as_instant(text), _as_number(text)):
            if known_form is not None:
                return known_form
        return text or None
    return value


def instant(value: object) -> datetime | None:
    """An instant as somebody else wrote it, in UTC and whole seconds; None if it cannot be read or has no offset."""
    return _as_instant(value.strip()) if isinstance(value, str) else None


def differences(sent: models.Communication, stored: Mapping[str, object]) -> tuple[str, ...]:
    """Names of the fields that the CRM keeps otherwise than they were sent. What it does not show is not compared."""
    wanted = asdict(sent)
    wanted["user_id"] = wanted.pop("executed_by")
    return differing({name: value for name, value in wanted.items() if value is not None}, stored)


def differing(wanted: Mapping[str, object], stored: Mapping[str, object]) -> tuple[str, ...]:
    """Of these fields those that are stored otherwise; what is not shown is not compared."""
    return tuple(name for name, value in wanted.items() if name in stored and form(stored[name]) != form(value))


def _as_instant(text: str) -> datetime | None:
    if "T" not in text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(microsecond=0) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _as_number(text: str) -> int | None:
    # Longer ones are no quantity; Python would refuse the longest.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER else None
