"""A call becomes a communication, with the key that it is known by for ever. Pure: no clock, no file, no network."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import Any

import polars as pl

from callimport.core import models

KEY_VERSION = "k1"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_REFERENCE = re.compile(rf"\s*\[ref ([{_CROCKFORD}]{{4}}-[{_CROCKFORD}]{{4}}-[{_CROCKFORD}]{{2}})\]")
_PAYLOAD_FIELDS = tuple(field.name for field in fields(models.Communication))
# As `_instant` writes it, for Polars.
_INSTANT = "%Y-%m-%dT%H:%M:%S+00:00"
# Of the frame in which calls travel, from resolve to here.
CALL_COLUMNS = (
    "_source", "_row", "call_id", "lead_id", "direction", "status", "started_at", "duration_seconds", "customer_phone",
    "executed_by", "description", "recording", "_legs",
)  # fmt: skip
_PAIRS = tuple(low + high for high in _CROCKFORD for low in _CROCKFORD)


def key(call: models.Call, *, id_is_unique: bool) -> str:
    """The identity of a call, version k1, frozen: what is equal here is the same call, in every file and every run.

    Only what the phone system can never tell otherwise enters it: no duration, agent, lead, file or row number.
    """
    call_id = call.call_id if id_is_unique else None
    return _key(call.system, call_id, _instant(call.started_at), call.direction, call.customer_phone)


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


def facts(call: models.Call) -> str:
    """Equal as long as the source tells the same story: lead, agent and reference are ours and not part of it."""
    return facts_of(
        _instant(call.started_at), call.direction, call.status, call.duration_seconds, call.description, call.recording
    )


def communication(call: models.Call, mark: str | None) -> models.Communication:
    """The payload of a call. `mark` is its reference, None with --no-reference."""
    return models.Communication(
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


def payload(of: models.Communication) -> dict[str, Any]:
    """The fields of a communication by the vendor's names."""
    return {name: getattr(of, name) for name in _PAYLOAD_FIELDS}


def sighting(call: models.Call, *, id_is_unique: bool, account_id: int, with_mark: bool) -> models.Sighting:
    """Everything the ledger keeps of a call, the payload included."""
    row = (
        *call.place, call.call_id, call.lead_id, call.direction.value, call.status.value, call.duration_seconds,
        call.customer_phone, call.executed_by, call.description, call.recording, call.legs,
        _instant(call.started_at), int(call.started_at.timestamp()),
    )  # fmt: skip
    (made,) = _sightings(
        (row,),
        system=call.system,
        id_is_unique=id_is_unique,
        account_id=account_id,
        with_mark=with_mark,
    )
    return made


def sightings(
    frame: pl.DataFrame, *, system: str, id_is_unique: bool, account_id: int, with_mark: bool
) -> Iterator[models.Sighting]:
    """The same of the rows of one system's `frame` (columns: CALL_COLUMNS), with no object made of each on the way."""
    instants = frame["started_at"].dt
    columns = [frame[name].to_list() for name in CALL_COLUMNS if name != "started_at"]
    return _sightings(
        zip(*columns, instants.to_string(_INSTANT).to_list(), instants.epoch("s").to_list(), strict=True),
        system=system,
        id_is_unique=id_is_unique,
        account_id=account_id,
        with_mark=with_mark,
    )


def keys(frame: pl.DataFrame, *, system: str, id_is_unique: bool) -> list[str]:
    """The keys of the rows of one system's `frame`. Columns: call_id, started_at, direction, customer_phone."""
    instants = frame["started_at"].dt.to_string(_INSTANT)
    columns = (frame["call_id"], instants, frame["direction"], frame["customer_phone"])
    return [_key(system, call_id if id_is_unique else None, *told) for call_id, *told in zip(*columns, strict=True)]


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


def numbered(name: str, number: int) -> str:
    """The name of a setting of one profile among several: `system`, `system 2`. A single profile has number 1."""
    return name if number == 1 else f"{name} {number}"


def batch(sources: tuple[models.Source, ...], settings: dict[str, str]) -> models.Batch:
    """Sources × settings. The order of the files does not matter, nor where they lie."""
    fingerprint = settings_fingerprint(settings)
    letters = short_code("/".join([*sorted(source.sha256 for source in sources), fingerprint]), length=8)
    return models.Batch(f"{letters[:4]}-{letters[4:]}", sources, settings, fingerprint)


def plan_code(batch_id: str, account_id: int, digest: int) -> str:
    """The code of a plan: equal only where the very same payloads would go to the very same account. `digest` is of
    what would be created and updated."""
    letters = short_code(f"{batch_id}/{account_id}/{digest:032x}", length=8)
    return f"{letters[:4]}-{letters[4:]}"


def short_code(text: str, *, length: int) -> str:
    """A hash in letters that survive being read aloud (Crockford's base 32: no I, L, O or U)."""
    number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(0, 5 * length, 10)])[:length]


# What is hashed is compact JSON, written out here rather than by json.dumps: a million calls are a minute of it.


def _sightings(
    rows: Iterable[tuple[Any, ...]], *, system: str, id_is_unique: bool, account_id: int, with_mark: bool
) -> Iterator[models.Sighting]:
    """Of rows as CALL_COLUMNS has them, but with the instant as text and in Unix seconds at the end."""
    for (
        source, row, named, lead_id, direction, status, seconds, phone, executed_by, description, recording, legs,
        instant, at,
    ) in rows:  # fmt: skip
        call_id = named if id_is_unique else None
        its_key = _key(system, call_id, instant, direction, phone)
        mark = reference(its_key, account_id)
        sent = with_reference(description, mark) if with_mark else description
        yield models.Sighting(
            source,
            row,
            its_key,
            mark,
            facts_of(instant, direction, status, seconds, description, recording),
            _payload_text(lead_id, direction, instant, executed_by, sent, status, seconds, phone),
            system,
            call_id,
            lead_id,
            direction,
            phone,
            at,
            legs,
            recording,
        )


def _key(system: str, call_id: str | None, instant: str, direction: str, phone: str) -> str:
    if call_id:
        identity = f'["id",{_json(system)},{_json(call_id)}]'
    else:
        identity = f'["at",{_json(system)},"{instant}","{direction}","{phone}"]'
    return f"{KEY_VERSION}:{_digest(identity)}"


def facts_of(
    instant: str, direction: str, status: str, seconds: int, description: str | None, recording: str | None
) -> str:
    return _digest(f'["{instant}","{direction}","{status}",{seconds},{_json(description)},{_json(recording)}]')


def _payload_text(
    lead_id: int,
    direction: str,
    instant: str,
    executed_by: int | None,
    description: str | None,
    status: str,
    seconds: int,
    phone: str,
) -> str:
    """As json.dumps writes the payload of the call's communication."""
    return (
        f'{{"lead_id": {lead_id}, "method": "phone", "type": "{direction}", "executed_at": "{instant}", '
        f'"executed_by": {_number(executed_by)}, "description": {_json(description)}, '
        f'"call_status": "{status}", "call_duration": {seconds}, "call_phone": "{phone}"}}'
    )


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _json(text: str | None) -> str:
    return "null" if text is None else encode_basestring(text)


def _number(number: int | None) -> str:
    return "null" if number is None else str(number)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
