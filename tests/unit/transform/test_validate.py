"""Each rule of a call, one test a rule; every fault of a row at once, and one fault for each cause."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import pandera.config
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callimport.core import errors, models
from callimport.profiles import profile
from callimport.transform import validate
from callimport_schemas import call_log

_NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
_SOUND: dict[str, str | None] = {
    "call_id": "c-1",
    "lead_id": "5003",
    "direction": "incoming",
    "status": "answered",
    "started_at": "2024-05-31T14:05:09-04:00",
    "duration_seconds": "95",
    "customer_phone": "+15145550123",
    "agent_id": "12",
    "description": "Essai routier",
    "recording": "2024/call-17.wav",
}


def _canonical(*rows: dict[str, str | None]) -> pl.DataFrame:
    frame = pl.DataFrame(
        [dict.fromkeys(call_log.TEXT_COLUMNS) | row for row in rows],
        schema=dict.fromkeys(call_log.TEXT_COLUMNS, pl.String),
    )
    marks = {"_row": pl.int_range(2, 2 + len(rows)), "_ragged": pl.lit(None, dtype=pl.String)}
    return profile.canonical(profile.load("canonical"), frame.with_columns(**marks))


def _validate(
    *rows: dict[str, str | None],
    zone: str | None = None,
    ambiguous_hour: Literal["reject", "first", "second"] = "reject",
) -> validate.Validated:
    return validate.validate(_canonical(*rows), validate.Reading(zone, ambiguous_hour, _NOW))


def _reasons(
    changed: dict[str, str | None] | None = None,
    *,
    zone: str | None = None,
    ambiguous_hour: Literal["reject", "first", "second"] = "reject",
    **cells: str | None,
) -> dict[str, str]:
    """Rule → message of one row that is sound but for `changed` and `cells`."""
    found = _validate(_SOUND | (changed or {}) | cells, zone=zone, ambiguous_hour=ambiguous_hour)
    assert found.accepted.height + len(found.rejects) == 1
    return {reason.rule: reason.message for reason in found.rejects.get(2, ())}


def _accepted(
    *, zone: str | None = None, ambiguous_hour: Literal["reject", "first", "second"] = "reject", **cells: str | None
) -> dict[str, object]:
    found = _validate(_SOUND | cells, zone=zone, ambiguous_hour=ambiguous_hour)
    assert found.rejects == {}
    return found.accepted.row(0, named=True)


@pytest.mark.parametrize("zone", ["America/Toronto", "Asia/Tokyo"])
def test_an_instant_that_a_zone_carries_out_of_the_calendar_is_a_reject(zone: str) -> None:
    """9999-12-31 23:59 in Toronto is in the year 10000, of which Python knows nothing."""
    for text in ("9999-12-31 23:59:59", "9999-12-31T23:59:59-04:00"):
        assert list(_reasons(started_at=text, zone=zone)) == ["started_at_future"]
    for text in ("0001-01-01 00:00:00", "0001-01-01T00:00:00+04:00", "0000-01-01 00:00:00"):
        assert list(_reasons(started_at=text, zone=zone)) == ["started_at_too_old"]


def test_a_sound_call_is_accepted_in_its_types() -> None:
    assert _accepted() == {
        "_row": 2,
        "call_id": "c-1",
        "lead_id": 5003,
        "direction": "incoming",
        "status": "answered",
        "started_at": datetime(2024, 5, 31, 18, 5, 9, tzinfo=UTC),
        "duration_seconds": 95,
        "total_seconds": None,
        "customer_phone": "+15145550123",
        "agent_id": 12,
        "agent_email": None,
        "agent_name": None,
        "agent_extension": None,
        "description": "Essai routier",
        "recording": "2024/call-17.wav",
    }


def test_an_empty_frame_has_the_same_columns() -> None:
    found = _validate()
    assert found.rejects == {}
    assert found.accepted.schema == _validate(_SOUND).accepted.schema


@pytest.mark.parametrize(("enabled", "depth"), [(False, None), (True, "SCHEMA_ONLY")])
def test_no_setting_of_the_machine_switches_validation_off(enabled: bool, depth: str | None) -> None:
    """What PANDERA_VALIDATION_ENABLED and PANDERA_VALIDATION_DEPTH in a crontab would do: send everything."""
    with pandera.config.config_context(validation_enabled=enabled, validation_depth=depth):
        assert list(_reasons(lead_id="x")) == ["lead_id_number"]
        assert validate.validate_communications(_payloads({"lead_id": 0})).keys() == {2}


# ── one rule, one test ───────────────────────────────────────────────────────────────────────────────────────────────

_RULES: list[tuple[str, dict[str, str | None]]] = [
    ("lead_id_number", {"lead_id": "L-5003"}),
    ("lead_id_number", {"lead_id": "-0"}),
    ("lead_id_number", {"lead_id": "-3"}),
    ("lead_id_number", {"lead_id": "5003.5"}),
    ("lead_id_number", {"lead_id": "9" * 40}),
    ("lead_id_number", {"lead_id": "∞"}),
    ("direction_missing", {"direction": None}),
    ("direction_missing", {"direction": " "}),
    ("direction_missing", {"direction": None, "status": "interrupted"}),
    ("direction_unknown", {"direction": "internal"}),
    ("status_unknown", {"status": "calling"}),
    ("status_unknown", {"status": "pending"}),
    ("status_direction", {"status": "interrupted", "direction": "outgoing"}),
    ("started_at_missing", {"started_at": None}),
    ("started_at_unreadable", {"started_at": "05/06/2024 14:05"}),
    ("started_at_unreadable", {"started_at": "2024-05-31"}),
    ("started_at_unreadable", {"started_at": "2024-02-30T10:00:00Z"}),
    ("started_at_unreadable", {"started_at": "2024-05-31T24:00:00Z"}),
    ("started_at_unreadable", {"started_at": "2024-05-31T10:00:60Z"}),
    ("started_at_unreadable", {"started_at": "1717164309"}),
    ("started_at_zone", {"started_at": "2024-05-31T14:05:09"}),
    ("started_at_future", {"started_at": "2026-11-22T12:05:01Z"}),
    ("started_at_too_old", {"started_at": "1989-12-31T23:59:59Z"}),
    ("duration_missing", {"duration_seconds": None}),
    ("duration_missing", {"duration_seconds": None, "status": None}),
    ("duration_number", {"duration_seconds": "1:35"}),
    ("duration_number", {"duration_seconds": "95.5"}),
    ("duration_range", {"duration_seconds": "-1"}),
    ("duration_range", {"duration_seconds": "86401"}),
    ("duration_range", {"duration_seconds": "9" * 40}),
    ("customer_phone_missing", {"customer_phone": None}),
    ("customer_phone_e164", {"customer_phone": "5145550123"}),
    ("customer_phone_e164", {"customer_phone": "+0145550123"}),
    ("customer_phone_e164", {"customer_phone": "+151455"}),
    ("customer_phone_e164", {"customer_phone": "+1234567890123456"}),
    ("customer_phone_e164", {"customer_phone": "+1 514 555-0123 #4"}),
    ("customer_phone_e164", {"customer_phone": "anonymous"}),
    ("agent_id_number", {"agent_id": "Éloïse"}),
    ("agent_id_number", {"agent_id": "-0"}),
    ("description_length", {"description": "é" * 1001}),
    ("recording_path", {"recording": "/srv/a.wav"}),
    ("recording_path", {"recording": "../a.wav"}),
    ("recording_path", {"recording": "2024/../../a.wav"}),
    ("recording_path", {"recording": "C:a.wav"}),
    ("recording_path", {"recording": "2024\\a.wav"}),
    ("recording_path", {"recording": "a\x07.wav"}),
    ("recording_path", {"recording": "https://example.test/a.wav"}),
]


@pytest.mark.parametrize(("rule", "cells"), _RULES)
def test_a_row_that_breaks_one_rule_is_rejected_for_that_rule_alone(rule: str, cells: dict[str, str | None]) -> None:
    reasons = _reasons(cells)
    assert list(reasons) == [rule]
    assert "; " in reasons[rule]


def test_every_rule_has_its_test() -> None:
    elsewhere = {"swallowed_rows", "ragged", "damaged", "started_at_ambiguous", "started_at_nonexistent"}
    assert {rule for rule, _ in _RULES} | elsewhere == set(call_log.RULES)


def test_every_fault_of_a_row_is_told_at_once_in_a_stable_order() -> None:
    reasons = _reasons(lead_id="x", direction="x", status="x", started_at="x", duration_seconds="x", customer_phone="x")
    assert list(reasons) == [
        "lead_id_number",
        "direction_unknown",
        "status_unknown",
        "started_at_unreadable",
        "duration_number",
        "customer_phone_e164",
    ]


def test_a_message_quotes_the_value_and_says_what_would_be_right() -> None:
    assert _reasons(lead_id="L-5003") == {
        "lead_id_number": 'lead_id: "L-5003" is not a whole number above 0; '
        "write the lead's number in the CRM, or leave it blank"
    }
    assert _reasons(customer_phone=None)["customer_phone_missing"].startswith("customer_phone is missing; ")
    assert "state it with --timezone" in _reasons(started_at="2024-05-31 14:05")["started_at_zone"]


def test_a_long_value_is_cut_and_stays_on_one_line() -> None:
    message = _reasons(description="ab\n" * 400)["description_length"]
    assert message.startswith('description: "ab ab ab ')
    assert "\n" not in message
    assert len(message.split('"')[1]) == 40


def test_a_ten_digit_number_is_given_its_likely_form() -> None:
    assert "+15145550123" in _reasons(customer_phone="(514) 555-0123")["customer_phone_e164"]
    assert "+15145550123" in _reasons(customer_phone="1-514-555-0123")["customer_phone_e164"]


# ── one fault for each cause ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_direction_is_not_also_the_wrong_one() -> None:
    assert list(_reasons(direction="internal", status="interrupted")) == ["direction_unknown"]


def test_a_fault_of_the_recipe_is_not_also_a_missing_cell() -> None:
    recipe = profile.load("twilio")
    cells = {"sid": "c", "direction": "sideways", "status": "ringing", "start_time": "2024-05-31T14:05:09Z"}
    frame = pl.DataFrame({name: [text] for name, text in (cells | {"duration": "", "from": "", "to": ""}).items()})
    frame = frame.with_columns(pl.lit(2).cast(pl.Int64).alias("_row"), pl.lit(None, dtype=pl.String).alias("_ragged"))
    found = validate.validate(profile.canonical(recipe, frame), validate.Reading("UTC", "reject", _NOW))
    assert [reason.rule for reason in found.rejects[2]] == ["direction_unknown", "status_unknown"]


def test_a_row_of_another_width_is_told_only_that() -> None:
    fault = pl.lit([{"rule": "ragged", "message": "3 cells"}], dtype=_canonical(_SOUND).schema["_faults"])
    frame = _canonical(_SOUND | {"direction": "x", "lead_id": "x"}).with_columns(fault.alias("_faults"))
    found = validate.validate(frame, validate.Reading(None, "reject", _NOW))
    assert found.rejects == {2: (models.Reason("ragged", "3 cells"),)}


# ── times ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-31T18:05:09Z",
        "2024-05-31 18:05:09z",
        "2024-05-31T18:05:09.999Z",
        "2024-05-31T14:05:09-04:00",
        "2024-05-31T14:05:09.123456-0400",
        "2024-05-31 14:05:09 -04",
        "2024-05-31T23:35:09+05:30",
    ],
)
def test_an_instant_is_read_in_whole_seconds(text: str) -> None:
    assert _accepted(started_at=text)["started_at"] == datetime(2024, 5, 31, 18, 5, 9, tzinfo=UTC)


def test_a_time_without_seconds_is_read() -> None:
    assert _accepted(started_at="2024-05-31T18:05Z")["started_at"] == datetime(2024, 5, 31, 18, 5, tzinfo=UTC)


def test_a_stated_zone_is_for_times_without_an_offset() -> None:
    winter = _accepted(started_at="2024-01-31 13:05:09", zone="America/Toronto")["started_at"]
    summer = _accepted(started_at="2024-05-31 14:05:09", zone="America/Toronto")["started_at"]
    explicit = _accepted(started_at="2024-05-31T18:05:09Z", zone="America/Toronto")["started_at"]
    assert winter == datetime(2024, 1, 31, 18, 5, 9, tzinfo=UTC)
    assert summer == explicit == datetime(2024, 5, 31, 18, 5, 9, tzinfo=UTC)


def test_an_hour_that_happens_twice_is_rejected_unless_decided() -> None:
    text = "2024-11-03T01:30:00"
    assert list(_reasons(started_at=text, zone="America/Toronto")) == ["started_at_ambiguous"]
    first = _accepted(started_at=text, zone="America/Toronto", ambiguous_hour="first")["started_at"]
    second = _accepted(started_at=text, zone="America/Toronto", ambiguous_hour="second")["started_at"]
    assert first == datetime(2024, 11, 3, 5, 30, tzinfo=UTC)
    assert second == datetime(2024, 11, 3, 6, 30, tzinfo=UTC)


@pytest.mark.parametrize("ambiguous_hour", ["reject", "first", "second"])
def test_an_hour_that_never_was_is_rejected(ambiguous_hour: Literal["reject", "first", "second"]) -> None:
    reasons = _reasons(started_at="2024-03-10 02:30:00", zone="America/Toronto", ambiguous_hour=ambiguous_hour)
    assert list(reasons) == ["started_at_nonexistent"]


def test_an_offset_settles_an_hour_that_happens_twice() -> None:
    assert _reasons(started_at="2024-11-03T01:30:00-05:00", zone="America/Toronto") == {}


def test_five_minutes_ahead_are_a_clock_that_is_off() -> None:
    assert _reasons(started_at=(_NOW + timedelta(minutes=5)).isoformat()) == {}


# ── status and duration ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("direction", "status", "seconds", "becomes", "talk", "total"),
    [
        ("incoming", "answered", "95", "answered", 95, None),
        ("incoming", "ANSWERED", "0", "answered", 0, None),
        ("incoming", None, "95", "answered", 95, None),
        ("incoming", None, "0", "interrupted", 0, None),
        ("outgoing", None, "0", "attempted", 0, None),
        ("incoming", "unanswered", "30", "interrupted", 0, 30),
        ("outgoing", "Unanswered", "30", "attempted", 0, 30),
        ("incoming", "attempted", "30", "attempted", 0, 30),
        ("incoming", "interrupted", None, "interrupted", 0, None),
        ("outgoing", "error", None, "error", 0, None),
        ("outgoing", "error", "7", "error", 0, 7),
        ("Outgoing", "answered", "86400", "answered", 86400, None),
        ("outgoing", "answered", "95.0", "answered", 95, None),
    ],
)
def test_status_and_talk_time_follow_from_the_file(
    direction: str, status: str | None, seconds: str | None, becomes: str, talk: int, total: int | None
) -> None:
    row = _accepted(direction=direction, status=status, duration_seconds=seconds)
    assert (row["status"], row["duration_seconds"], row["total_seconds"]) == (becomes, talk, total)


# ── numbers and texts ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["+1 (514) 555-0123", "+1.514.555.0123", "+1\u00a0514\u00a0555\u20110123\u202c"])
def test_filling_is_taken_out_of_an_international_number(text: str) -> None:
    assert _accepted(customer_phone=text)["customer_phone"] == "+15145550123"


def test_ids_as_pandas_writes_them_beside_blanks_are_whole() -> None:
    row = _accepted(lead_id="5003.0", agent_id="12.0")
    assert (row["lead_id"], row["agent_id"]) == (5003, 12)


def test_lead_and_agent_may_be_absent() -> None:
    row = _accepted(lead_id=None, agent_id=None, description=None, recording=None, call_id=None)
    assert {row["lead_id"], row["agent_id"], row["description"], row["recording"], row["call_id"]} == {None}


def test_length_is_counted_in_characters() -> None:
    assert _reasons(description="é" * 1000) == {}


def test_dots_inside_a_name_are_no_way_out() -> None:
    assert _reasons(recording="2024/a..b.wav") == {}


_TEXT = st.one_of(
    st.none(),
    st.text(max_size=30),
    st.sampled_from(["incoming", "answered", "unanswered", "95", "+15145550123", "5003", "1e999", "nan", "inf"]),
    st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{4})?", fullmatch=True),
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    rows=st.lists(st.fixed_dictionaries(dict.fromkeys(call_log.TEXT_COLUMNS, _TEXT)), max_size=6),
    zone=st.sampled_from([None, "UTC", "America/Toronto"]),
)
def test_any_text_is_accepted_or_rejected_with_a_reason(rows: list[dict[str, str | None]], zone: str | None) -> None:
    found = _validate(*rows, zone=zone, ambiguous_hour="first")
    assert sorted([*found.accepted["_row"], *found.rejects]) == list(range(2, 2 + len(rows)))
    assert all(found.rejects.values())


# ── communications ───────────────────────────────────────────────────────────────────────────────────────────────────

_PAYLOAD: dict[str, object] = {
    "_row": 2,
    "lead_id": 5003,
    "method": "phone",
    "type": "outgoing",
    "executed_at": "2024-05-31T18:05:09+00:00",
    "executed_by": 12,
    "description": "Essai routier",
    "call_status": "answered",
    "call_duration": 95,
    "call_phone": "+15145550123",
}
_WHOLE = ("_row", "lead_id", "executed_by", "call_duration")


def _payloads(*rows: dict[str, object]) -> pl.DataFrame:
    schema = {name: pl.Int64 if name in _WHOLE else pl.String for name in _PAYLOAD}
    return pl.DataFrame([_PAYLOAD | row for row in rows], schema=schema)


def test_a_sound_payload_may_go() -> None:
    absent: dict[str, object] = {"executed_by": None, "description": None}
    assert validate.validate_communications(_payloads({}, absent)) == {}


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ("lead_id_number", {"lead_id": 0}),
        ("lead_id_number", {"lead_id": None}),
        ("method_unknown", {"method": "sms"}),
        ("type_unknown", {"type": "internal"}),
        ("executed_at_instant", {"executed_at": "2024-05-31T18:05:09.500000+00:00"}),
        ("executed_at_instant", {"executed_at": "2024-05-31T18:05:09"}),
        ("executed_at_instant", {"executed_at": "2024-05-31T18:05:09Z"}),
        ("executed_at_instant", {"executed_at": "2024-05-31T18:05:09+00:00\n"}),
        ("executed_at_instant", {"executed_at": None}),
        ("executed_by_number", {"executed_by": 0}),
        ("description_length", {"description": "x" * 2001}),
        ("call_status_unknown", {"call_status": "calling"}),
        ("call_status_unknown", {"call_status": "pending"}),
        ("call_status_unknown", {"call_status": "unanswered"}),
        ("status_direction", {"call_status": "interrupted"}),
        ("duration_range", {"call_duration": 86401}),
        ("duration_range", {"call_duration": -1}),
        ("call_phone_e164", {"call_phone": "5145550123"}),
        ("call_phone_e164", {"call_phone": None}),
    ],
)
def test_a_payload_that_breaks_a_rule_of_the_vendor_stays(rule: str, fields: dict[str, object]) -> None:
    found = validate.validate_communications(_payloads({"_row": 9}, {"_row": 7} | fields))
    assert {row: [reason.rule for reason in reasons] for row, reasons in found.items()} == {7: [rule]}


def test_a_frame_of_other_types_is_no_frame_of_payloads() -> None:
    instants = _payloads({}).with_columns(pl.col("executed_at").str.to_datetime("%Y-%m-%dT%H:%M:%S%z"))
    with pytest.raises(errors.SchemaMismatch):
        validate.validate_communications(instants)
