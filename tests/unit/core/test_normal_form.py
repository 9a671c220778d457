"""What the CRM stores is compared as it means, so that an echo is neither praised nor blamed for its form."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callimport.core import endings, mapping, models, normal_form
from tests import making

_SENT = mapping.communication(making.call(), "7K3Q-2M9D-XA")
_STORED = {
    "id": 900,
    "lead_id": 5003,
    "user_id": 12,
    "method": "phone",
    "type": "incoming",
    "executed_at": "2024-05-31T14:05:09+00:00",
    "description": "Rappel demandé [ref 7K3Q-2M9D-XA]",
    "call_status": "answered",
    "call_duration": 95,
    "call_phone": "+15145550123",
}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0, "0"),
        (95, "95"),
        ("  a ", "a"),
        ("", None),
        ("   ", None),
        ("a\r\nb", "a\nb"),
        ("e\u0301", "é"),
        ("2024-05-31T14:05:09Z", "2024-05-31T10:05:09-04:00"),
        ("2024-05-31T14:05:09.000000Z", "2024-05-31T14:05:09+00:00"),
    ],
)
def test_two_forms_of_the_same_value_are_equal(one: object, other: object) -> None:
    assert normal_form.form(one) == normal_form.form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0, None),
        ("0", ""),
        (95, 96),
        ("a", "b"),
        ("2024-05-31T14:05:09Z", "2024-05-31T14:05:09-04:00"),
        ("2024-05-31T14:05:09", "2024-05-31T14:05:09Z"),
        ("+15145550123", "+15145550124"),
        ("²", "2"),
        ("2024-05-31T14:05:09Z", "2024-05-31T14:05:10Z"),
    ],
)
def test_two_values_are_not_equal_by_form(one: object, other: object) -> None:
    assert normal_form.form(one) != normal_form.form(other)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "9" * 5000, "T", "20T"])
def test_a_value_that_only_looks_like_something_is_text(text: str) -> None:
    assert normal_form.form(text) == text


@given(st.text())
def test_any_text_can_be_compared(text: str) -> None:
    assert normal_form.form(text) == normal_form.form(text)


def test_an_instant_is_compared_in_whole_seconds_of_utc() -> None:
    assert normal_form.form("2024-05-31T10:05:09.9-04:00") == datetime(2024, 5, 31, 14, 5, 9, tzinfo=UTC)


def test_a_faithful_echo_shows_no_difference() -> None:
    assert normal_form.differences(_SENT, _STORED) == ()
    rewritten = {"call_duration": "95", "executed_at": "2024-05-31T10:05:09.000000-04:00", "lead_id": "5003"}
    assert normal_form.differences(_SENT, _STORED | rewritten) == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lead_id", 5004),
        ("user_id", 1),
        ("user_id", None),
        ("type", "outgoing"),
        ("executed_at", "2024-05-31T14:05:10+00:00"),
        ("description", None),
        ("description", "Rappel demandé"),
        ("call_status", None),
        ("call_duration", 0),
        ("call_phone", "5145550123"),
    ],
)
def test_every_field_that_is_kept_otherwise_is_named(field: str, value: object) -> None:
    assert normal_form.differences(_SENT, _STORED | {field: value}) == (field,)


def test_what_is_not_shown_or_was_not_sent_is_not_compared() -> None:
    assert normal_form.differences(_SENT, {"id": 900}) == ()
    nobody = mapping.communication(making.call(executed_by=None, description=None), None)
    assert normal_form.differences(nobody, _STORED | {"user_id": 1, "description": "by the CRM"}) == ()


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (models.Rate(190, 60.0), "190/min"),
        (models.Rate(3, 1.0), "3/s"),
        (models.Rate(2000, 3600.0), "2000/h"),
        (models.Rate(50, 10.0), "50/10s"),
    ],
)
def test_a_rate_is_written_as_it_is_given(rate: models.Rate, text: str) -> None:
    assert str(rate) == text


def test_rows_and_calls_add_up_only_if_every_one_has_its_ending() -> None:
    rows = endings.Rows(read=10, joined=1, dropped=2, rejected=3, calls=4)
    assert rows.adds_up()
    assert not endings.Rows(read=10, joined=1, dropped=2, rejected=3, calls=5).adds_up()
    names = ("duplicate", "skipped", "unchanged", "delivered", "updated", "adopted", "refused", "failed", "in_doubt")
    for ending in (*names, "held", "pending"):
        assert endings.Calls(total=5, carried=1, **{ending: 5}).adds_up(rows)
        assert not endings.Calls(total=5, carried=1, **{ending: 4}).adds_up(rows)
        assert not endings.Calls(total=5, carried=0, **{ending: 5}).adds_up(rows)


def test_values_are_frozen() -> None:
    with pytest.raises(AttributeError):
        making.call().lead_id = 1  # type: ignore[misc]
