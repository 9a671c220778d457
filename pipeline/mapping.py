"""A call becomes a communication, with the key that it is known by for ever. Pure: no clock, no file, no network."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import Any

import polars as pl

from pipeline import model

KEY_VERSION = "k1"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_REFERENCE = re.compile(rf"\s*\[ref ([{_CROCKFORD}]{{4}}-[{_CROCKFORD}]{{4}}-[{_CROCKFORD}]{{2}})\]")
_PAYLOAD_FIELDS = tuple(field.name for field in fields(model.Communication))
_DIRECTIONS = {one.value: one for one in model.Direction}
_STATUSES = {one.value: one for one in model.CallStatus}
# Of the frame in which calls travel, from intake to here.
CALL_COLUMNS = (
    "_row", "call_id", "lead_id", "direction", "status", "started_at", "duration_seconds", "customer_phone",
    "executed_by", "description", "recording", "_legs",
)  # fmt: skip
_PAIRS = tuple(low + high for high in _CROCKFORD for low in _CROCKFORD)


def key(call: model.Call, *, id_is_unique: bool) -> str:
    """The identity of a call, version k1, frozen: what is equal here is the same call, in every file and every run.

    Only what the phone system can never tell otherwise enters it: no duration, agent, lead, file or row number.
    """
    return _key(call, _instant(call.started_at), id_is_unique=id_is_unique)


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
    return _facts(call, _instant(call.started_at))


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
    instant = _instant(call.started_at)
    its_key = _key(call, instant, id_is_unique=id_is_unique)
    mark = reference(its_key, account_id)
    return model.Sighting(
        call.place,
        its_key,
        mark,
        _facts(call, instant),
        _payload_text(call, instant, mark if with_mark else None),
        call.system,
        call.call_id if id_is_unique else None,
        call.lead_id,
        call.direction,
        call.customer_phone,
        call.started_at,
        call.legs,
    )


def calls(frame: pl.DataFrame, *, source: int, system: str) -> list[model.Call]:
    """The rows of one source's `frame` (see `Intake.frames`) as calls."""
    columns = (frame[name].to_list() for name in CALL_COLUMNS)
    return [
        model.Call(
            model.Place(source, row), system, call_id, lead_id, _DIRECTIONS[direction], _STATUSES[status], started_at,
            seconds, phone, executed_by, description, recording, legs,
        )
        for row, call_id, lead_id, direction, status, started_at, seconds, phone, executed_by, description, recording,
        legs in zip(*columns, strict=True)
    ]  # fmt: skip


def communications(frame: pl.DataFrame) -> pl.DataFrame:
    """The payloads of such a frame, by the vendor's names and without references, with `_row`; executed_at still an
    instant in UTC."""
    return frame.select(
        "_row",
        "lead_id",
        pl.lit("phone").alias("method"),
        pl.col("direction").alias("type"),
        pl.col("started_at").alias("executed_at"),
        "executed_by",
        "description",
        pl.col("status").alias("call_status"),
        pl.col("duration_seconds").alias("call_duration"),
        pl.col("customer_phone").alias("call_phone"),
    )


def settings_fingerprint(settings: dict[str, str]) -> str:
    return _digest(json.dumps(sorted(settings.items()), ensure_ascii=False, separators=(",", ":")))


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
    pairs = (_PAIRS[number >> shift & 1023] for shift in range(0, 5 * length, 10))
    return "".join(pairs)[:length]


# What is hashed is compact JSON, written out here rather than by json.dumps: a million calls are a minute of it.


def _key(call: model.Call, instant: str, *, id_is_unique: bool) -> str:
    if id_is_unique and call.call_id:
        identity = f'["id",{_json(call.system)},{_json(call.call_id)}]'
    else:
        identity = f'["at",{_json(call.system)},"{instant}","{call.direction}","{call.customer_phone}"]'
    return f"{KEY_VERSION}:{_digest(identity)}"


def _facts(call: model.Call, instant: str) -> str:
    return _digest(
        f'["{instant}","{call.direction}","{call.status}",{call.duration_seconds},{_json(call.description)},'
        f"{_json(call.recording)}]"
    )


def _payload_text(call: model.Call, instant: str, mark: str | None) -> str:
    """As json.dumps writes the payload of the call's communication."""
    description = with_reference(call.description, mark) if mark else call.description
    return (
        f'{{"lead_id": {call.lead_id}, "method": "phone", "type": "{call.direction}", "executed_at": "{instant}", '
        f'"executed_by": {_number(call.executed_by)}, "description": {_json(description)}, '
        f'"call_status": "{call.status}", "call_duration": {call.duration_seconds}, '
        f'"call_phone": "{call.customer_phone}"}}'
    )


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _json(text: str | None) -> str:
    return "null" if text is None else encode_basestring(text)


def _number(number: int | None) -> str:
    return "null" if number is None else str(number)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
