"""No token and no full phone number on a screen, in a log, in a summary."""

import json
import logging
import re
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
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
    shown = privacy.mask(text)
    assert "5550123" not in re.sub(r"\D", "", shown)
    assert "•••" in shown


_SCRIPTS = ("0123456789", "٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９", "⁰¹²³⁴⁵⁶⁷⁸⁹", "०१२३४५६७८९", "⓪①②③④⑤⑥⑦⑧⑨")
_MARKS = st.text(st.sampled_from(" -./_()[]{}<>,;:=+*#'\"|~–—\u00a0\u2009\u200b\u2011\n\t•·∙ーـ"), max_size=6)
_AROUND = st.sampled_from(["", "x", "_", "Tel", "+", "é", "№", "(", "no. ", "row 3: ", "lead 7 "])


@settings(deadline=None, derandomize=True, database=None, max_examples=2000)
@given(
    st.sampled_from(
        ["5145550123", "15145550123", "33155501234", "315550123", "0015145550199", "0612241345", "1632960123"]
    ),
    st.sampled_from(_SCRIPTS),
    _MARKS,
    st.lists(st.integers(1, 5), min_size=13, max_size=13),
    _AROUND,
    _AROUND,
)
def test_no_number_survives_however_it_is_spelled(
    number: str, script: str, mark: str, sizes: list[int], before: str, behind: str
) -> None:
    groups, rest = [], "".join(script[int(digit)] for digit in number)
    for size in sizes:
        groups.append(rest[:size])
        rest = rest[size:]
    text = f"{before}{mark.join(filter(None, groups))}{behind}"
    shown = unicodedata.normalize("NFKC", privacy.mask(text))
    assert "•••" in shown
    assert number not in re.sub(r"\D", "", shown.replace("•", "x")).translate(str.maketrans(_SCRIPTS[1], _SCRIPTS[0]))


@pytest.mark.parametrize(
    "text",
    [
        "514555•••0123",
        "1632960123.0",
        "06_12_24_13_45",
        "line 514 - 555 - 0123",
        "row 514  555  0123",
        "http://33.612.345.678",
        "14:05:09,612345678",
        "00000000-0000-0000-0000-015145550123",
        "514&nbsp;555&nbsp;0123",
        "514%2D555%2D0123",
        "፭፩፬፭፭፭፩፪፫፩",
    ],
)
def test_a_number_is_masked_although_it_resembles_something_else(text: str) -> None:
    digits = [mark for mark in privacy.mask(text) if mark.isdigit()]
    assert len(digits) < sum(mark.isdigit() for mark in text)


def test_a_line_without_end_is_cut_off() -> None:
    shown = privacy.mask("x5145550123 " * 1_000_000)
    assert len(shown) <= privacy.LONGEST_LINE + 1
    assert shown.endswith("…")


def test_masked_text_is_not_masked_again() -> None:
    line = f"{privacy.mask_phone('+525155501234')} 4711, {privacy.mask_phone('5145550123')}, 12 s"
    assert privacy.mask(line) == line


def test_every_text_in_an_answer_is_masked_except_our_own_ids() -> None:
    answer = {"error": "5145550123", "rows": {"514 555 0123": ["x5145550123", 5145550123, None]}, "key": "12345678901"}
    told = json.dumps(privacy.mask_values(answer), ensure_ascii=False)
    assert told == (
        '{"error": "514•••0123", "rows": {"514•••0123": ["x514•••0123", 5145550123, null]}, "key": "12345678901"}'
    )


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-31T14:05:09+00:00",
        "http://127.0.0.1:54321/v2",
        "the ledger of Rehearsal Motors at 127.0.0.1:46289",
        "lead 5003  communication 142534452  7K3Q-2M9D-XA",
        "lead 42534452  20240531.csv row 1234567",
        "the ledger /var/lib/callimport/ledgers/127.0.0.1-38355-75505169.sqlite3-wal",
        "calls_20240531_140509.csv",
        "2024-05-31-14.csv",
        "cdr-2024-05-31_14-05.csv row 3",
        "20240531-1405.csv",
        "20240531T14.csv",
        "20240101-20241231.csv",
        "1717178709.1234",
        "550e8400-e29b-41d4-a716-446655440000",
        "CA0123456789abcdef0123456789abcdef",
        "7123-4567-8K",
        "2024-05-31 14:05:09",
        "row 1234567",
        "7K3Q-2M9D",
        "lead 5003, 95 s",
        "20261122T185419Z-0a1b2c",
        "Montréal – « oui »",
    ],
)
def test_what_is_no_number_is_left_alone(text: str) -> None:
    assert privacy.mask(text) == text


def test_a_number_that_looks_nearly_like_a_time_is_none() -> None:
    for text in ("51-45-5501 23:04", "2024-01-01 10:00:00.5145550123"):
        assert text not in privacy.mask(f"tel {text}")


def test_a_time_is_no_number_whatever_stands_around_it() -> None:
    said = 'started_at: "soon" is not a time; write it as 2024-05-31T14:05:09-04:00, not 2024-05-31 14:05, 514 555 0123'
    said += ", not 31.06.2025 08:00:00 nor 31/06/2025 8:00"
    assert privacy.mask(said) == said.replace("514 555 0123", privacy.mask_phone("5145550123"))


@pytest.mark.parametrize(
    "text",
    ["Authorization: Bearer s3cr3t-token", "bearer   s3cr3t-token", "eyJhbGciOi.eyJzdWIiOi.s3cr3t-token"],
)
def test_a_token_in_a_text_is_hidden(text: str) -> None:
    assert "s3cr3t" not in privacy.mask(text)
    assert "[hidden]" in privacy.mask(text)


@given(st.text())
def test_what_is_shown_is_one_line_and_moves_no_cursor(text: str) -> None:
    shown = privacy.mask(text)
    assert len(shown.splitlines()) <= 1
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)


_INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2039, 12, 31))  # noqa: DTZ001 - clocks without a zone
_MONTHS = ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juillet", "août", "sept.", "oct.", "nov.", "déc.")
_PHONES: tuple[str, ...] = (
    "5145550123",
    "514-555-0123",
    "(514) 555-0123",
    "514.555.0123",
    "514 555 0123",
    "1-514-555-0123",
)
_PHONES += ("+1 514 555 0123", "+15145550123", "+1 (514) 555-0123", "15145550123", "24-08-17 0123", "2045550123")


def _dates(at: datetime, mark: str) -> list[str]:
    in_numbers = ("%Y %m %d", "%d %m %Y", "%m %d %Y", "%d %m %y", "%m %d %y", "%y %m %d")
    dates = [at.strftime(form).replace(" ", mark) for form in in_numbers]
    dates += [f"{at.year}{mark}{at.month}{mark}{at.day}", f"{at.day}{mark}{at.month}{mark}{at.year}"]
    return [*dates, f"{at.day} {_MONTHS[at.month - 1]} {at.year}", f"{at:%b} {at.day}, {at.year}", f"{at:%d-%b-%Y}"]


def _clocks(at: datetime) -> list[str]:
    twelve = f"{at.hour % 12 or 12}:{at:%M:%S}"
    return [
        f"{at:%H:%M}", f"{at:%H:%M:%S}", f"{at:%H:%M:%S}.119", f"{at:%H:%M:%S}.119000000", f"{twelve} PM",
        f"{twelve}\u202fa.m.", f"{at.hour} h {at:%M}", f"{at:%H}h{at:%M} min {at:%S} s", f"{at:%H:%M:%S}-04:00",
        f"{at:%H:%M:%S} +0000", f"{at:%H:%M:%S}Z", f"{at:%H:%M} UTC",
    ]  # fmt: skip


@settings(deadline=None, derandomize=True, database=None, max_examples=30)
@given(_INSTANTS, st.sampled_from("-/. "), st.sampled_from([" ", ", ", " at ", " à ", " - ", "  "]))
def test_a_time_stays_readable_and_a_number_beside_it_does_not(at: datetime, mark: str, joint: str) -> None:
    for date in _dates(at, mark):
        for clock in _clocks(at):
            time = f"{date}{joint}{clock}"
            for around in ("{}", 'started_at: "{}" is not a time', "{} - {}", "row 3 ({}), row 12 ({})", "tel {}"):
                text = around.replace("{}", time)
                assert privacy.mask(text) == text
            for phone in _PHONES:
                for both in (f"{phone} {time}", f"{time} {phone}", f"{phone}, {time}", f"{time};{phone}"):
                    assert phone not in privacy.mask(both), both


@given(_INSTANTS.map(lambda at: int(at.replace(tzinfo=UTC).timestamp())).filter(lambda count: count < 2_000_000_000))
def test_a_count_of_time_is_shown_where_a_time_is_known_to_be(count: int) -> None:
    counts = [str(count), f"{count}.119", f"{25_569 + count / 86_400:.9f}"]
    if count >= 1_000_000_000:
        counts += [f"{count}119", f"{count}119000"]
    for text in counts:
        assert privacy.show_time(text) == text
        told = f'started_at: "{text}" is not of the form dmy'
        assert privacy.mask(told) == told
        if len(text) > 10 and "." not in text:
            assert text not in privacy.mask(f'customer_phone: "{text}"')


@pytest.mark.parametrize("phone", _PHONES)
def test_a_number_that_slipped_into_a_column_of_times_is_masked(phone: str) -> None:
    assert phone not in privacy.show_time(phone)
    assert phone not in privacy.mask(f'started_at: "{phone}" is not a time')
    assert phone not in privacy.show_time(f"2024-05-31 14:05 {phone}")


def test_ranges_of_times_stay_readable() -> None:
    for text in (
        "2024-05-31 14:05:09 - 14:06:10",
        "14:05:09 - 14:06:10",
        "2024-05-31 - 2024-06-30",
        "2024-06-17 075959",
    ):
        assert privacy.mask(text) == text
