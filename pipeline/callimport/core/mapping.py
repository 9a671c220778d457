"""A call becomes a communication, with the key that it is known by for ever. Pure: no clock, no file, no network."""

import hashlib
import json
import re
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
    instant, description, recording = _instant(call.started_at), _json(call.description), _json(call.recording)
    return _digest(
        f'["{instant}","{call.direction}","{call.status}",{call.duration_seconds},{description},{recording}]'
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


# The same of millions of calls: polars writes what is hashed.


def keys(frame: pl.DataFrame, *, system: str, id_is_unique: bool) -> list[str]:
    """The keys of the rows of one system's `frame`. Columns: call_id, started_at, direction, customer_phone."""
    of_system = pl.lit(_json(system))
    instant = pl.col("started_at").dt.to_string(_INSTANT)
    identity = pl.format('["at",{},"{}","{}","{}"]', of_system, instant, "direction", "customer_phone")
    if id_is_unique:
        by_id = pl.format('["id",{},{}]', of_system, _as_json("call_id"))
        identity = pl.when(pl.col("call_id") != "").then(by_id).otherwise(identity)
    return [f"{KEY_VERSION}:{digest}" for digest in _digests(frame, identity)]


def references(of_keys: pl.Series, account_id: int) -> pl.Series:
    """The reference of each key."""
    text = pl.format("{}/{}", pl.lit(account_id), pl.col("key"))
    digests = pl.Series("digest", _digests(of_keys.alias("key").to_frame(), text), dtype=pl.String)
    # Ten letters of five bits each.
    number = pl.col("digest").str.slice(32 - 14).str.to_integer(base=16)
    pairs = (pl.lit(pl.Series(_PAIRS)).gather(number // (1 << shift) % len(_PAIRS)) for shift in range(0, 50, 10))
    return digests.to_frame().select(pl.format("{}{}-{}{}-{}", *pairs).alias("reference")).to_series()


def facts_of_calls(frame: pl.DataFrame) -> pl.Series:
    """The facts of each row. Columns: started_at, direction, status, duration_seconds, description, recording."""
    told = pl.format(
        '["{}","{}","{}",{},{},{}]', pl.col("started_at").dt.to_string(_INSTANT), "direction", "status",
        "duration_seconds", _as_json("description"), _as_json("recording"),
    )  # fmt: skip
    return pl.Series("facts", _digests(frame, told), dtype=pl.String)


def _as_json(column: str) -> pl.Expr:
    """The text of a column as `_json` writes it."""
    return pl.struct(pl.col(column).alias("_")).struct.json_encode().str.slice(len('{"_":')).str.head(-len("}"))


def _digests(frame: pl.DataFrame, text: pl.Expr) -> list[str]:
    hashed = frame.select(text.alias("text")).to_series().to_list()
    return [hashlib.blake2b(one.encode(), digest_size=16).hexdigest() for one in hashed]


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


def _key(system: str, call_id: str | None, instant: str, direction: str, phone: str) -> str:
    if call_id:
        identity = f'["id",{_json(system)},{_json(call_id)}]'
    else:
        identity = f'["at",{_json(system)},"{instant}","{direction}","{phone}"]'
    return f"{KEY_VERSION}:{_digest(identity)}"


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _json(text: str | None) -> str:
    return "null" if text is None else encode_basestring(text)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
