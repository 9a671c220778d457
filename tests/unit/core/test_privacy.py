"""No token and no full phone number on a screen, in a log, in a summary."""

import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callimport.core import privacy


def test_a_secret_is_not_shown_by_accident() -> None:
    secret = privacy.Secret("s3cr3t")
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", str([secret]), str({"token": secret})):
        assert "s3cr3t" not in shown
    assert not hasattr(secret, "__dict__")
    assert secret.reveal() == "s3cr3t"


def test_a_secret_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("with %s", privacy.Secret("s3cr3t"))
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize(
    ("phone", "masked"),
    [
        ("+15145550123", "+1514•••0123"),
        ("5145550123", "514•••0123"),
        ("+33155501234", "+3315•••1234"),
        ("+123456789", "+12•••6789"),
        ("5550123", "•••"),
        ("", "•••"),
    ],
)
def test_a_masked_number_can_be_recognised_but_not_called(phone: str, masked: str) -> None:
    assert privacy.mask_phone(phone) == masked


@given(st.from_regex(r"\+?[1-9][0-9]{6,14}", fullmatch=True))
def test_at_least_three_digits_are_hidden(phone: str) -> None:
    assert len(privacy.mask_phone(phone).replace("•", "")) <= max(len(phone) - 3, 0)


@pytest.mark.parametrize(
    "text",
    [
        "+15145550123",
        "called +1 514 555 0123.",
        "+1 (514) 555-0123 and (514) 555-0123",
        "514-555-0123 514-555-0123",
        "514.555.0123, 5145550123",
        "2024-05-31 5145550123",
        '"phone":"15145550123"',
        "phone=5145550123;",
        "514\u200b5550123",
        "+1514\n5550123",
    ],
)
def test_no_number_survives(text: str) -> None:
    shown = privacy.scrub(text)
    assert "5550123" not in re.sub(r"\D", "", shown)
    assert "•••" in shown


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-31T14:05:09+00:00",
        "2024-05-31 14:05:09",
        "row 1234567",
        "7K3Q-2M9D",
        "lead 5003, 95 s",
        "20261122T185419Z-0a1b2c",
        "Montréal – « oui »",
    ],
)
def test_what_is_no_number_is_left_alone(text: str) -> None:
    assert privacy.scrub(text) == text


def test_a_number_that_looks_nearly_like_a_time_is_none() -> None:
    for text in ("51-45-5501 23:04", "2024-01-01 10:00:00.5145550123"):
        assert text not in privacy.hide_numbers(f"tel {text}")


def test_a_time_is_no_number_whatever_stands_around_it() -> None:
    said = 'started_at: "soon" is not a time; write it as 2024-05-31T14:05:09-04:00, not 2024-05-31 14:05, 514 555 0123'
    said += ", not 31.06.2025 08:00:00 nor 31/06/2025 8:00"
    assert privacy.hide_numbers(said) == said.replace("514 555 0123", privacy.mask_phone("5145550123"))


@pytest.mark.parametrize(
    "text",
    ["Authorization: Bearer s3cr3t-token", "bearer   s3cr3t-token", "eyJhbGciOi.eyJzdWIiOi.s3cr3t-token"],
)
def test_a_token_in_a_text_is_hidden(text: str) -> None:
    assert "s3cr3t" not in privacy.scrub(text)
    assert "[hidden]" in privacy.scrub(text)


@given(st.text())
def test_what_is_shown_is_one_line_and_moves_no_cursor(text: str) -> None:
    shown = privacy.scrub(text)
    assert len(shown.splitlines()) <= 1
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
