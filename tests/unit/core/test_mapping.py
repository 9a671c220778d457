"""The key is frozen: what it was yesterday it is for ever, or every call is sent a second time."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callimport.core import mapping, models
from callimport.resolve import payload
from tests import making

_OUTGOING = models.Direction.OUTGOING

# call, whether its id is unique, key, reference in account 77, facts: as they were on the day k1 was frozen.
_GOLDEN = [
    (
        making.call("A-1"),
        True,
        "k1:d31dbb409b2a4bd0e319b8a8dba45f2f",
        "S874-3S3M-PZ",
        "e16407d16478330787c0f59e94a134d2",
    ),
    (
        making.call("A-1", system="branch"),
        True,
        "k1:ea5dd213beda756219672d3665cf4f75",
        "HWQ9-A2C7-5R",
        "e16407d16478330787c0f59e94a134d2",
    ),
    (
        making.call("A-1"),
        False,
        "k1:8250101b44a20a2e3de3ebf082171cc3",
        "QFCD-T6Z6-CX",
        "e16407d16478330787c0f59e94a134d2",
    ),
    (
        making.call(None, direction=_OUTGOING),
        True,
        "k1:31b1a2f4e01f3ec9f9ad036aa5e0ae85",
        "JDXX-Z0D0-D3",
        "9a91dddbb452345be32439985e8d8458",
    ),
    (
        making.call('é"1', system="Montréal"),
        True,
        "k1:d340efde767c1e78c585e8c95e37cf93",
        "NWXX-9BJ9-73",
        "e16407d16478330787c0f59e94a134d2",
    ),
    (
        making.call(
            None,
            description=None,
            recording="a/b.mp3",
            status=models.CallStatus.INTERRUPTED,
            duration_seconds=0,
        ),
        True,
        "k1:8250101b44a20a2e3de3ebf082171cc3",
        "QFCD-T6Z6-CX",
        "112199eef7ead8435f9b570db5d6874e",
    ),
]


@pytest.mark.parametrize(("call", "id_is_unique", "key", "reference", "facts"), _GOLDEN)
def test_key_reference_and_facts_are_frozen(
    call: models.Call, id_is_unique: bool, key: str, reference: str, facts: str
) -> None:
    """If this fails, do not mend the table: ledgers out there hold these keys. Make a k2."""
    assert mapping.key(call, id_is_unique=id_is_unique) == key
    assert mapping.reference(key, 77) == reference
    assert mapping.facts(call) == facts


@pytest.mark.parametrize("id_is_unique", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        {"duration_seconds": 96},
        {"status": models.CallStatus.ERROR},
        {"executed_by": None},
        {"lead_id": 1},
        {"description": "autre"},
        {"recording": "x.mp3"},
        {"place": models.Place(3, 99)},
    ],
)
def test_what_may_be_told_otherwise_is_no_part_of_the_key(change: dict[str, Any], id_is_unique: bool) -> None:
    one = making.call()
    other = one._replace(**change)
    assert mapping.key(one, id_is_unique=id_is_unique) == mapping.key(other, id_is_unique=id_is_unique)


@pytest.mark.parametrize(
    "change",
    [
        {"started_at": making.STARTED + timedelta(seconds=1)},
        {"direction": _OUTGOING},
        {"customer_phone": making.OTHER_PHONE},
    ],
)
def test_instant_direction_and_phone_identify_only_where_ids_do_not(change: dict[str, Any]) -> None:
    one = making.call()
    other = one._replace(**change)
    assert mapping.key(one, id_is_unique=True) == mapping.key(other, id_is_unique=True)
    assert mapping.key(one, id_is_unique=False) != mapping.key(other, id_is_unique=False)


def test_an_id_means_something_only_within_its_system() -> None:
    for ids in (True, False):
        assert making.key(making.call(), ids=ids) != making.key(making.call(system="branch"), ids=ids)


def test_an_id_that_is_not_unique_is_not_used() -> None:
    assert making.key(making.call("1"), ids=False) == making.key(making.call("2"), ids=False)
    (made,) = _made([making.call("1")], ids=False)
    assert made["call_id"] is None


@pytest.mark.parametrize("call_id", [None, ""])
def test_a_call_without_id_is_known_by_its_instant(call_id: str | None) -> None:
    assert making.key(making.call(call_id)) == making.key(making.call(), ids=False)


@pytest.mark.parametrize("hours", [-4, 5.5, 14])
def test_the_same_instant_in_another_offset_is_the_same_call(hours: float) -> None:
    there = making.STARTED.astimezone(timezone(timedelta(hours=hours)))
    one, other = making.call(None), making.call(None, started_at=there)
    assert mapping.key(one, id_is_unique=False) == mapping.key(other, id_is_unique=False)
    assert mapping.facts(one) == mapping.facts(other)


@pytest.mark.parametrize(
    "change",
    [
        {"started_at": making.STARTED + timedelta(seconds=1)},
        {"direction": _OUTGOING},
        {"status": models.CallStatus.ERROR},
        {"duration_seconds": 96},
        {"description": None},
        {"recording": "x.mp3"},
    ],
)
def test_another_story_of_the_source_is_a_change(change: dict[str, Any]) -> None:
    assert mapping.facts(making.call()) != mapping.facts(making.call()._replace(**change))


@pytest.mark.parametrize("change", [{"lead_id": 1}, {"executed_by": None}, {"call_id": "B"}, {"system": "branch"}])
def test_what_is_ours_is_no_change(change: dict[str, Any]) -> None:
    """Another leads file or a new agent must not make thousands of updates."""
    assert mapping.facts(making.call()) == mapping.facts(making.call()._replace(**change))


def test_a_reference_can_be_read_aloud_and_depends_on_the_account() -> None:
    key = making.key(making.call())
    letters = "[0-9A-HJKMNP-TV-Z]"
    first, second = mapping.reference(key, 77), mapping.reference(key, 78)
    assert first != second
    for reference in (first, second):
        assert re.fullmatch(f"{letters}{{4}}-{letters}{{4}}-{letters}{{2}}", reference)


def test_the_communication_is_the_call_in_the_vendors_words() -> None:
    (made,) = _made([making.call()])
    assert json.loads(made["payload"]) == {
        "lead_id": 5003,
        "method": "phone",
        "type": "incoming",
        "executed_at": "2024-05-31T14:05:09+00:00",
        "executed_by": 12,
        "description": "Rappel demandé [ref S874-3S3M-PZ]",
        "call_status": "answered",
        "call_duration": 95,
        "call_phone": "+15145550123",
    }


@pytest.mark.parametrize(
    ("description", "mark", "sent"),
    [
        ("Rappel", "7K3Q-2M9D-XA", "Rappel [ref 7K3Q-2M9D-XA]"),
        (None, "7K3Q-2M9D-XA", "[ref 7K3Q-2M9D-XA]"),
        ("Rappel", None, "Rappel"),
        (None, None, None),
    ],
)
def test_the_reference_ends_the_description_unless_unwanted(
    description: str | None, mark: str | None, sent: str | None
) -> None:
    assert mapping.communication(making.call(description=description), mark).description == sent


def test_a_batch_is_its_contents_and_settings_not_its_names() -> None:
    one, two = making.source("a.csv"), making.source("b.csv")
    settings = {"timezone": "UTC", "system": "main"}
    known = mapping.batch((one, two), settings)
    moved = replace(two, path=Path("/elsewhere/c.csv"), modified_ns=9)
    assert mapping.batch((moved, one), dict(reversed(settings.items()))).id == known.id
    assert known.settings_fingerprint == mapping.batch((one,), settings).settings_fingerprint
    assert mapping.batch((one,), settings).id != known.id
    assert mapping.batch((one, making.source("c.csv")), settings).id != known.id


def test_every_setting_makes_another_batch() -> None:
    settings = {"timezone": "UTC", "system": "main", "leads": ""}
    sources = (making.source("a.csv"),)
    known = mapping.batch(sources, settings)
    for name in settings:
        changed = mapping.batch(sources, settings | {name: "other"})
        assert changed.id != known.id
        assert changed.settings_fingerprint != known.settings_fingerprint


def test_a_batch_id_is_frozen() -> None:
    assert making.batch("a.csv", "b.csv").id == "D09N-XBM6"


def test_code_of_a_plan_tells_of_its_batch_its_account_and_what_is_sent() -> None:
    code = mapping.plan_code("7K3Q-2M9D", 77, 12)
    assert code == "3BJ3-69P6"
    others = [
        mapping.plan_code("7K3Q-2M9E", 77, 12),
        mapping.plan_code("7K3Q-2M9D", 78, 12),
        mapping.plan_code("7K3Q-2M9D", 77, 13),
    ]
    assert len({code, *others}) == 4


def test_a_fraction_of_a_second_is_cut_off() -> None:
    precise = datetime(2024, 5, 31, 14, 5, 9, 999_999, tzinfo=UTC)
    assert making.key(making.call(None, started_at=precise)) == making.key(making.call(None))


# What escaping and empty cells could be got wrong in.
_TEXT = st.none() | st.text(max_size=12) | st.sampled_from(["", 'a"b', "\\", "\x00\x1f\x7f\n", "\u2028é😀", "null"])
_CALLS = st.builds(
    making.call,
    _TEXT,
    row=st.integers(1, 10**7),
    system=st.just("Montréal"),
    lead_id=st.integers(1, 2**53),
    direction=st.sampled_from(models.Direction),
    status=st.sampled_from(models.CallStatus),
    started_at=st.integers(-6 * 10**10, 2 * 10**11).map(lambda seconds: making.STARTED + timedelta(seconds=seconds)),
    duration_seconds=st.integers(0, 86_400),
    customer_phone=st.sampled_from([making.PHONE, making.OTHER_PHONE]),
    executed_by=st.none() | st.integers(1, 2**53),
    description=_TEXT,
    recording=_TEXT,
    legs=_TEXT,
)


@settings(deadline=None)
@given(calls=st.lists(_CALLS, min_size=1, max_size=5), ids=st.booleans(), with_mark=st.booleans())
def test_what_is_made_of_a_frame_is_what_is_made_of_each_call(
    calls: list[models.Call], ids: bool, with_mark: bool
) -> None:
    """Byte by byte: a key that came out otherwise is a call sent a second time."""
    frame = making.frame(calls)
    keys = [mapping.key(call, id_is_unique=ids) for call in calls]
    assert mapping.keys(frame, system="Montréal", id_is_unique=ids) == keys
    made = _made(calls, ids=ids, system="Montréal", with_reference=with_mark)
    for call, one in zip(calls, made, strict=True):
        key = mapping.key(call, id_is_unique=ids)
        mark = mapping.reference(key, 77)
        sent = mapping.communication(call, mark if with_mark else None)
        assert (one["key"], one["reference"], one["facts"]) == (key, mark, mapping.facts(call))
        assert json.loads(one["payload"]) == mapping.payload(sent)
        assert one["payload"] == payload.text_of(sent)
        assert (one["legs"], one["recording"]) == (call.legs, call.recording)


def _made(
    calls: list[models.Call], *, ids: bool = True, system: str = "main", with_reference: bool = True
) -> list[dict[str, Any]]:
    """The calls as the plan takes them."""
    known = payload.identified(making.frame(calls), system=system, id_is_unique=ids, account_id=77)
    return payload.for_plan(
        known, payload.as_text(payload.communications(known, with_reference=with_reference))
    ).to_dicts()
