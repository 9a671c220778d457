"""A call becomes a communication, with the key that it is known by for ever. Pure: no clock, no file, no network."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from pipeline import model

KEY_VERSION = "k1"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_REFERENCE = re.compile(rf"\s*\[ref ([{_CROCKFORD}]{{4}}-[{_CROCKFORD}]{{4}}-[{_CROCKFORD}]{{2}})\]")
_PAYLOAD_FIELDS = tuple(field.name for field in fields(model.Communication))
_CALL_FIELDS = tuple(field.name for field in fields(model.Call) if field.name != "place")


def key(call: model.Call, *, id_is_unique: bool) -> str:
    """The identity of a call, version k1, frozen: what is equal here is the same call, in every file and every run.

    Only what the phone system can never tell otherwise enters it: no duration, agent, lead, file or row number.
    """
    if id_is_unique and call.call_id:
        identity = ["id", call.system, call.call_id]
    else:
        identity = ["at", call.system, _instant(call.started_at), call.direction, call.customer_phone]
    return f"{KEY_VERSION}:{_digest(identity)}"


def reference(of_key: str, account_id: int) -> str:
    """The short mark in the description by which the CRM's copy is found again, such as `7K3Q-2M9D-XA`."""
    letters = short_code(f"{account_id}/{of_key}", length=10)
    return f"{letters[:4]}-{letters[4:8]}-{letters[8:]}"


def with_reference(description: str | None, mark: str) -> str:
    return f"{description} [ref {mark}]" if description else f"[ref {mark}]"


def references_in(description: str) -> tuple[str, ...]:
    """The marks of ours that stand in a description, whichever ledger wrote them."""
    return tuple(_REFERENCE.findall(description))


def without_reference(description: str) -> str:
    return _REFERENCE.sub("", description)


def facts(call: model.Call) -> str:
    """Equal as long as the source tells the same story: lead, agent and reference are ours and not part of it."""
    return _digest(
        [
            _instant(call.started_at),
            call.direction,
            call.status,
            call.duration_seconds,
            call.description,
            call.recording,
        ]
    )


def communication(call: model.Call, mark: str | None) -> model.Communication:
    """The payload of a call. `mark` is its reference, None with --no-reference."""
    return model.Communication(
        lead_id=call.lead_id,
        method="phone",
        type=call.direction,
        executed_at=_instant(call.started_at),
        executed_by=call.executed_by,
        description=with_reference(call.description, mark) if mark else call.description,
        call_status=call.status,
        call_duration=call.duration_seconds,
        call_phone=call.customer_phone,
    )


def payload(of: model.Communication) -> dict[str, Any]:
    """The fields of a communication by the vendor's names."""
    return {name: getattr(of, name) for name in _PAYLOAD_FIELDS}


def sighting(call: model.Call, *, id_is_unique: bool, account_id: int, with_mark: bool) -> model.Sighting:
    """Everything the ledger keeps of a call, the payload included."""
    its_key = key(call, id_is_unique=id_is_unique)
    mark = reference(its_key, account_id)
    its_communication = communication(call, mark if with_mark else None)
    return model.Sighting(
        place=call.place,
        key=its_key,
        reference=mark,
        content=_content(call),
        facts=facts(call),
        payload=json.dumps(payload(its_communication), ensure_ascii=False),
        system=call.system,
        call_id=call.call_id if id_is_unique else None,
        lead_id=call.lead_id,
        direction=call.direction,
        phone=call.customer_phone,
        started_at=call.started_at,
    )


def settings_fingerprint(settings: dict[str, str]) -> str:
    return _digest(sorted(settings.items()))


def batch(sources: tuple[model.Source, ...], settings: dict[str, str]) -> model.Batch:
    """Sources × settings. The order of the files does not matter, nor where they lie."""
    fingerprint = settings_fingerprint(settings)
    letters = short_code("/".join([*sorted(source.sha256 for source in sources), fingerprint]), length=8)
    return model.Batch(f"{letters[:4]}-{letters[4:]}", sources, settings, fingerprint)


def plan_code(batch_id: str, account_id: int, items: Iterable[tuple[str, str]]) -> str:
    """The code of a plan: equal only where the very same payloads would go to the very same account."""
    digest = hashlib.blake2b(f"{batch_id}/{account_id}".encode(), digest_size=16)
    for its_key, payload in items:
        digest.update(f"\n{its_key} {payload}".encode())
    letters = short_code(digest.hexdigest(), length=8)
    return f"{letters[:4]}-{letters[4:]}"


def short_code(text: str, *, length: int) -> str:
    """A hash in letters that survive being read aloud (Crockford's base 32: no I, L, O or U)."""
    number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")
    letters = []
    for _ in range(length):
        number, index = divmod(number, 32)
        letters.append(_CROCKFORD[index])
    return "".join(letters)


def _content(call: model.Call) -> str:
    cells = {name: getattr(call, name) for name in _CALL_FIELDS}
    return _digest({**cells, "started_at": _instant(call.started_at)})


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _digest(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
