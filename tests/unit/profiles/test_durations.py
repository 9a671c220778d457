"""A duration is read from every form there is, floored, and null where it is none."""

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callimport.profiles import durations
from callimport.profiles.durations import Form


def _read(form: Form, *cells: str | None) -> list[int | None]:
    frame = pl.DataFrame({"cell": cells}, schema={"cell": pl.String})
    read = frame.select(durations.seconds(pl.col("cell"), form)).to_series()
    assert read.dtype == pl.Int64
    return read.to_list()


@pytest.mark.parametrize(
    ("form", "cell", "seconds"),
    [
        (Form.SECONDS, "72", 72),
        (Form.SECONDS, " 72 ", 72),
        (Form.SECONDS, "72.0", 72),
        (Form.SECONDS, "72,5", 72),
        (Form.MILLISECONDS, "72000", 72),
        (Form.MILLISECONDS, "72000.0", 72),
        (Form.MINUTES, "1.2", 72),
        (Form.MINUTES, "1,2", 72),
        (Form.MINUTES, "2", 120),
        (Form.HMS, "1:12", 72),
        (Form.HMS, "75:00", 4500),
        (Form.HMS, "0:01:12", 72),
        (Form.HMS, "00:01:12", 72),
        (Form.HMS, "00:01:12.000", 72),
        (Form.HMS, "100:00:00", 360_000),
        (Form.HHMMSS, "020512", 7512),
        (Form.HHMMSS, "000145", 105),
        (Form.HHMMSS, "000000", 0),
        # A spreadsheet took the zeros away.
        (Form.HHMMSS, "20512", 7512),
        (Form.HHMMSS, "145", 105),
        (Form.HHMMSS, "145.0", 105),
        (Form.HHMMSS, "5", 5),
        (Form.ISO, "PT1M12S", 72),
        (Form.ISO, "PT72S", 72),
        (Form.ISO, "PT1H", 3600),
        (Form.ISO, "P1DT1M12S", 86_472),
        (Form.ISO, "pt1m12s", 72),
        (Form.DAYS, "0 days 00:01:12", 72),
        (Form.DAYS, "0 days 00:01:12.500000", 72),
        (Form.DAYS, "1 day, 0:01:12", 86_472),
        (Form.DAYS, "1 days +00:01:12", 86_472),
        (Form.DAYS, "1.00:01:12", 86_472),
        (Form.DAYS, "0:01:12", 72),
        (Form.WORDS, "1 min 12 s", 72),
        (Form.WORDS, "1m12s", 72),
        (Form.WORDS, "1\u202fmin\u00a012\u202fs", 72),
        (Form.WORDS, "1 minute and 12 seconds", 72),
        (Form.WORDS, "72 secondes", 72),
        (Form.WORDS, "1 heure, 2 minutes et 3 secondes", 3723),
        (Form.WORDS, "1 hr 2 mins", 3720),
        (Form.WORDS, "1 h 02", 3720),
        (Form.WORDS, "1h02", 3720),
    ],
)
def test_a_duration_is_read_from_its_form(form: Form, cell: str, seconds: int) -> None:
    assert _read(form, cell) == [seconds]


@pytest.mark.parametrize(
    ("form", "cell", "seconds"),
    [
        (Form.SECONDS, "72.9", 72),
        (Form.SECONDS, "0.9", 0),
        (Form.MILLISECONDS, "72999", 72),
        (Form.HMS, "0:01:12.999", 72),
        (Form.ISO, "PT72.9S", 72),
        (Form.DAYS, "0 days 00:01:12.999999", 72),
        (Form.WORDS, "1 min 12.9 s", 72),
    ],
)
def test_a_second_that_is_not_over_does_not_count(form: Form, cell: str, seconds: int) -> None:
    assert _read(form, cell) == [seconds]


def test_decimal_minutes_are_rounded_since_they_were_rounded_before() -> None:
    assert _read(Form.MINUTES, "1.48", "1.49") == [89, 89]
    # As numbers of a computer, 2.05 times 60 is a little under 123.
    assert _read(Form.MINUTES, "2.05") == [123]


@pytest.mark.parametrize("form", list(Form))
def test_zero_is_zero_in_any_form(form: Form) -> None:
    assert _read(form, "0", "0.0", "00", "0,00") == [0, 0, 0, 0]


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize(
    "cell", ["", " ", "-72", "-0:01:12", "-1 days +23:58:48", "-PT72S", "abc", "1e3", "1:2:3:4", "P"]
)
def test_what_is_negative_or_garbage_is_null(form: Form, cell: str) -> None:
    assert _read(form, cell) == [None]


def test_a_blank_row_is_null() -> None:
    assert [_read(form, None, "0") for form in Form] == [[None, 0]] * len(Form)


@pytest.mark.parametrize(
    ("form", "cell"),
    [
        (Form.SECONDS, "1:12"),
        (Form.SECONDS, "PT72S"),
        (Form.SECONDS, "72 s"),
        (Form.HMS, "72"),
        (Form.HMS, "1:60"),
        (Form.HMS, "0:61:00"),
        (Form.ISO, "72"),
        (Form.ISO, "PT"),
        (Form.ISO, "P1M"),
        (Form.ISO, "P2W"),
        (Form.DAYS, "1:12"),
        (Form.WORDS, "72"),
        (Form.WORDS, "1 min 12"),
        (Form.WORDS, "5 ms"),
    ],
)
def test_a_cell_of_another_form_is_null(form: Form, cell: str) -> None:
    assert _read(form, cell) == [None]


@pytest.mark.parametrize("form", [Form.SECONDS, Form.MINUTES, Form.MILLISECONDS])
def test_a_comma_that_may_part_thousands_is_not_read(form: Form) -> None:
    assert _read(form, "1,234") == [None]


@pytest.mark.parametrize("form", list(Form))
def test_a_number_too_long_is_null_and_not_another_number(form: Form) -> None:
    nines = "9" * 30
    cells = [nines, f"{nines}:00", f"{nines}:00:00", f"PT{nines}M1S", f"{nines} days 00:00:01", f"{nines} min 1 s"]
    assert _read(form, *cells) == [None] * len(cells)


# ── what a column shows of itself ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["0:01:12", "1:12"], Form.HMS),
        (["00:01:12", "0", "", None], Form.HMS),
        (["PT1M12S", "PT0S"], Form.ISO),
        (["0 days 00:01:12", "0:00:05"], Form.DAYS),
        (["1 day, 0:01:12", "0:00:05"], Form.DAYS),
        (["1 min 12 s", "12 s"], Form.WORDS),
    ],
)
def test_the_shape_tells_the_form_where_it_can(cells: list[str | None], form: Form) -> None:
    assert durations.shape(pl.Series(cells, dtype=pl.String)) == form


@pytest.mark.parametrize("cells", [["72", "3"], ["1.49"], ["72000"], ["0:01:12", "72"], ["abc"], ["0", ""], []])
def test_a_bare_number_does_not_tell_its_unit(cells: list[str]) -> None:
    assert durations.shape(pl.Series(cells, dtype=pl.String)) is None


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("duration_seconds", Form.SECONDS),
        ("Duration (secs)", Form.SECONDS),
        ("CallDurationInSeconds", Form.SECONDS),
        ("Durée (secondes)", Form.SECONDS),
        ("talk_time_s", Form.SECONDS),
        ("Call Duration (in minutes)", Form.MINUTES),
        ("Durée (min)", Form.MINUTES),
        ("hs_call_duration_ms", Form.MILLISECONDS),
        ("duration", None),
        ("duration (in call)", None),
        ("agent's time", None),
        ("minutes and seconds", None),
    ],
)
def test_a_header_may_state_the_unit(header: str, form: Form | None) -> None:
    assert durations.unit(header) == form


# ── there and back ───────────────────────────────────────────────────────────────────────────────────────────────────


def _written(seconds: int) -> dict[str, Form]:
    """One duration in every form."""
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    day, hour_of_day = divmod(hour, 24)
    return {
        f"{seconds}": Form.SECONDS,
        f"{seconds}.0": Form.SECONDS,
        f"{seconds}.7": Form.SECONDS,
        f"{seconds * 1000}": Form.MILLISECONDS,
        f"{seconds / 60:.2f}": Form.MINUTES,
        f"{seconds / 60:.4f}".replace(".", ","): Form.MINUTES,
        f"{hour}:{minute:02}:{second:02}": Form.HMS,
        f"{hour:02}:{minute:02}:{second:02}.250": Form.HMS,
        f"{minutes}:{second:02}": Form.HMS,
        **({f"{hour:02}{minute:02}{second:02}": Form.HHMMSS} if hour < 100 else {}),
        f"PT{hour}H{minute}M{second}S": Form.ISO,
        f"P{day}DT{hour_of_day}H{minute}M{second}S": Form.ISO,
        f"{timedelta(seconds=seconds)}": Form.DAYS,
        f"{day} days {hour_of_day:02}:{minute:02}:{second:02}": Form.DAYS,
        f"{hour} h {minute} min {second} s": Form.WORDS,
        f"{seconds} secondes": Form.WORDS,
    }


@settings(deadline=None, derandomize=True, database=None)
@given(st.integers(0, 10 * 86_400))
def test_any_duration_reads_back_the_same_from_every_form(seconds: int) -> None:
    for cell, form in _written(seconds).items():
        assert _read(form, cell) == [seconds], cell


@settings(deadline=None, derandomize=True, database=None)
@given(st.text(alphabet="0123456789:.,PTDHMS days-+minh", max_size=16))
def test_whatever_the_text_no_duration_is_negative(cell: str) -> None:
    for form in Form:
        (seconds,) = _read(form, cell)
        assert seconds is None or seconds >= 0


@settings(deadline=None, derandomize=True, database=None)
@given(st.integers(0, 999_999))
def test_digits_that_are_no_clock_are_no_duration(number: int) -> None:
    (seconds,) = _read(Form.HHMMSS, str(number))
    hours, minutes, rest = number // 10_000, number // 100 % 100, number % 100
    assert seconds == (hours * 3600 + minutes * 60 + rest if minutes < 60 and rest < 60 else None)
    assert _read(Form.HHMMSS, f"{number:06}") == [seconds]


@pytest.mark.parametrize(
    ("cells", "may_be"),
    [
        (["020512", "000145", "000000", None], True),
        (["020512", "000175"], False),
        (["20512", "145"], False),
        (["120512", "110145"], False),
        (["000000"], False),
        ([], False),
    ],
)
def test_six_digits_with_zeros_in_front_may_be_a_clock(cells: list[str | None], may_be: bool) -> None:
    texts = pl.Series(cells, dtype=pl.String)
    assert durations.may_be_hhmmss(texts) == may_be
    assert durations.shape(texts) is None
