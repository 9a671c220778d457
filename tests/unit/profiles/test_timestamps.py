"""An instant is read from every form there is, and one that could be two is a question, not a guess."""

import re
from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callimport.profiles import timestamps
from callimport.profiles.timestamps import Evidence, Form, Order


def _read(form: Form, *cells: str | None) -> list[str | None]:
    read = timestamps.parse(pl.Series(cells, dtype=pl.String), form)
    assert read.dtype == pl.String
    return read.to_list()


def _order(*cells: str | None) -> Order:
    return timestamps.evidence(pl.Series(cells, dtype=pl.String)).order


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ("2024-06-17T05:59:49", "2024-06-17T05:59:49"),
        ("2024-06-17 05:59:49", "2024-06-17T05:59:49"),
        (" 2024-06-17  05:59:49 ", "2024-06-17T05:59:49"),
        ("2024/06/17 05:59:49", "2024-06-17T05:59:49"),
        ("2020/2/10 22:41", "2020-02-10T22:41:00"),
        ("2024.06.17 05:59", "2024-06-17T05:59:00"),
        ("24-06-17 5:59 PM", "2024-06-17T17:59:00"),
        ("2024 6 17 5:59", "2024-06-17T05:59:00"),
        ("2024-06-17T05:59:49Z", "2024-06-17T05:59:49+00:00"),
        ("2024-06-17t05:59:49z", "2024-06-17T05:59:49+00:00"),
        ("2024-06-17 05:59:49+0000", "2024-06-17T05:59:49+00:00"),
        ("2024-06-17T05:59:49-04:00", "2024-06-17T05:59:49-04:00"),
        ("2024-06-17T05:59:49 -0430", "2024-06-17T05:59:49-04:30"),
        ("2024-06-17T05:59:49-04", "2024-06-17T05:59:49-04:00"),
        ("2024-06-17T05:59:49\u221204:00", "2024-06-17T05:59:49-04:00"),
        ("2024-06-17T05:59:49.119-05:00", "2024-06-17T05:59:49-05:00"),
        ("2024-06-17T05:59:49-04:00[America/Toronto]", "2024-06-17T05:59:49-04:00"),
        ("2024-06-17 05:59:49 UTC", "2024-06-17T05:59:49+00:00"),
        ("2024-06-17 05:59:49 (UTC)", "2024-06-17T05:59:49+00:00"),
        ("2024-06-17 05:59:49 EDT", "2024-06-17T05:59:49-04:00"),
        ("2024-06-17 05:59:49 HAE", "2024-06-17T05:59:49-04:00"),
        ("2024-06-17T05_59_49Z", "2024-06-17T05:59:49+00:00"),
        ("2024-06-17, 05:59", "2024-06-17T05:59:00"),
    ],
)
def test_year_first(cell: str, read: str) -> None:
    assert _read(Form.YMD, cell) == [read]


@pytest.mark.parametrize(
    ("form", "cell", "read"),
    [
        (Form.DMY, "1/9/2017 16:33:01", "2017-09-01T16:33:01"),
        (Form.MDY, "1/9/2017 16:33:01", "2017-01-09T16:33:01"),
        (Form.DMY, "24/08/17 09:32", "2017-08-24T09:32:00"),
        (Form.DMY, "17-06-24 5:59", "2024-06-17T05:59:00"),
        (Form.DMY, "17.06.2024 05:59:49", "2024-06-17T05:59:49"),
        (Form.MDY, "6/17/2024 5:59 AM", "2024-06-17T05:59:00"),
        (Form.MDY, "Mon 06/17/2024 9:02 AM", "2024-06-17T09:02:00"),
        (Form.DMY, "lun. 17/06/2024 09:02", "2024-06-17T09:02:00"),
        (Form.DMY, "mardi 18/06/2024, 09:02", "2024-06-18T09:02:00"),
        (Form.DMY, "mar. 18/06/2024 à 9 h 02", "2024-06-18T09:02:00"),
        (Form.DMY, "17/06/2024 14h05", "2024-06-17T14:05:00"),
        (Form.DMY, "17/06/2024 14 h 05 min 09 s", "2024-06-17T14:05:09"),
    ],
)
def test_day_and_month_in_the_order_that_was_decided(form: Form, cell: str, read: str) -> None:
    assert _read(form, cell) == [read]


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ("Mon, 17 Jun 2024 05:59:49 +0000", "2024-06-17T05:59:49+00:00"),
        ("17 Jun 2024 05:59 GMT", "2024-06-17T05:59:00+00:00"),
        ("Mon, 17 Jun 2024 05:59:49 -0400 (EDT)", "2024-06-17T05:59:49-04:00"),
        ("Mon Jun 17 2024 05:59:49 GMT-0400 (Eastern Daylight Time)", "2024-06-17T05:59:49-04:00"),
        ("Jun 17, 2024 5:59:49 AM", "2024-06-17T05:59:49"),
        ("Jun 17, 2024, 5:59:49\u202fPM", "2024-06-17T17:59:49"),
        ("June 17, 2024 at 05:59PM", "2024-06-17T17:59:00"),
        ("Monday, June 17th, 2024 5:59 PM", "2024-06-17T17:59:00"),
        ("17-Jun-2024 05:59:49", "2024-06-17T05:59:49"),
        ("17-juin-24 05:59", "2024-06-17T05:59:00"),
        ("17 juin 2024 à 5 h 59", "2024-06-17T05:59:00"),
        ("lundi 17 juin 2024 05:59", "2024-06-17T05:59:00"),
        ("1er août 2024 05:59", "2024-08-01T05:59:00"),
        ("17 févr. 2024 05:59", "2024-02-17T05:59:00"),
        ("17 fe\u0301vrier 2024 05:59", "2024-02-17T05:59:00"),
        ("17 DÉC. 2024 05:59", "2024-12-17T05:59:00"),
    ],
)
def test_months_by_name_in_english_and_in_french(cell: str, read: str) -> None:
    assert _read(Form.NAMED, cell) == [read]


def test_mar_is_a_tuesday_before_a_date_and_march_in_one() -> None:
    assert _read(Form.NAMED, "mar. 18 juin 2024 05:59", "Mar 17 2024 05:59", "17 mar 2024 05:59") == [
        "2024-06-18T05:59:00", "2024-03-17T05:59:00", "2024-03-17T05:59:00"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("clock", "read"),
    [
        ("12:00:00 AM", "00:00:00"),
        ("12:00:00 PM", "12:00:00"),
        ("1:05 AM", "01:05:00"),
        ("1:05 PM", "13:05:00"),
        ("1:05PM", "13:05:00"),
        ("1:05\u202fPM", "13:05:00"),
        ("1:05\u00a0pm", "13:05:00"),
        ("1:05 p.m.", "13:05:00"),
        ("1:05 p. m.", "13:05:00"),
        ("1:05p", "13:05:00"),
        ("13:05 PM", "13:05:00"),
        ("0:05 AM", "00:05:00"),
    ],
)
def test_clocks_of_twelve_hours(clock: str, read: str) -> None:
    assert _read(Form.MDY, f"6/17/2024 {clock}") == [f"2024-06-17T{read}"]
    assert _read(Form.YMD, f"2024-06-17 {clock} EST") == [f"2024-06-17T{read}-05:00"]


@pytest.mark.parametrize("clock", ["13:05 AM", "0:05 PM", "24:00:00", "25:00", "05:60", "05:59:60", "5", "", "5:9"])
def test_a_time_that_is_none_is_null(clock: str) -> None:
    assert _read(Form.YMD, f"2024-06-17 {clock}") == [None]


@pytest.mark.parametrize(
    ("names", "offset"),
    [
        ("Z UTC GMT UT", "+00:00"),
        ("NDT", "-02:30"),
        ("NST HNT", "-03:30"),
        ("ADT HAA", "-03:00"),
        ("AST HNA EDT HAE", "-04:00"),
        ("EST HNE CDT HAC", "-05:00"),
        ("CST HNC MDT HAR", "-06:00"),
        ("MST HNR PDT HAP", "-07:00"),
        ("PST HNP", "-08:00"),
    ],
)
def test_zones_of_canada_by_name_in_both_languages(names: str, offset: str) -> None:
    cells = [f"2024-06-17 05:59:49 {name}" for name in names.split()]
    assert _read(Form.YMD, *cells) == [f"2024-06-17T05:59:49{offset}"] * len(cells)


def test_columns_that_were_joined_by_a_blank() -> None:
    assert _read(Form.MDY, "06/17/2024  8:46:44 PM") == ["2024-06-17T20:46:44"]
    assert _read(Form.MDY, "5 22 2014 01:43PM") == ["2014-05-22T13:43:00"]
    assert _read(Form.NAMED, "May 22, 2014 at 01:43PM") == ["2014-05-22T13:43:00"]
    assert _read(Form.YMD, "2024-06-17 075959", "2024-06-17 75959") == ["2024-06-17T07:59:59"] * 2


def test_fractions_of_a_second_are_cut_off() -> None:
    cells = ("2024-06-17 05:59:49.999", "2024-06-17 05:59:49,999", "2024-06-17 05:59:49.999999999")
    assert _read(Form.YMD, *cells) == ["2024-06-17T05:59:49"] * 3


def test_a_date_without_a_time_is_no_instant() -> None:
    assert _read(Form.YMD, "2024-06-17") == [None]
    assert _read(Form.DMY, "17/06/2024") == [None]
    assert _read(Form.NAMED, "17 juin 2024") == [None]
    assert _read(Form.EXCEL, "45460") == [None]


@pytest.mark.parametrize("form", list(Form))
def test_blank_and_garbage_are_null(form: Form) -> None:
    cells = (None, "", " ", "abc", "-", "Totals", "9" * 40, "-5", "05:59", "x" * 10_000)
    assert _read(form, *cells) == [None] * len(cells)


@pytest.mark.parametrize(
    ("form", "cell"),
    [
        (Form.YMD, "2024-02-30 05:59"),
        (Form.YMD, "2023-02-29T05:59:49"),
        (Form.YMD, "2024-13-01 05:59"),
        (Form.YMD, "2024-06-17T05:59:49+15:00"),
        (Form.YMD, "2024-06-17T05:59:49+04:60"),
        (Form.YMD, "2024-06-17 05:59:49 XYZ"),
        (Form.DMY, "06/17/2024 05:59"),
        (Form.MDY, "17/06/2024 05:59"),
        (Form.DMY, "2024-06-17 05:59"),
        (Form.NAMED, "17 brumaire 2024 05:59"),
        (Form.NAMED, "31 juin 2024 05:59"),
        (Form.EPOCH_SECONDS, "1.7186E+9"),
        (Form.EPOCH_SECONDS, "1718603989000000"),
    ],
)
def test_what_the_calendar_or_the_form_lacks_is_null(form: Form, cell: str) -> None:
    assert _read(form, cell) == [None]


@pytest.mark.parametrize(
    ("form", "cell"),
    [
        (Form.EPOCH_SECONDS, "1718603989"),
        (Form.EPOCH_SECONDS, "1718603989.9"),
        (Form.EPOCH_MILLISECONDS, "1718603989999"),
        (Form.EPOCH_MILLISECONDS, "1718603989000.0"),
        (Form.EPOCH_MICROSECONDS, "1718603989999999"),
        (Form.EPOCH_2001, "740296789"),
        (Form.EPOCH_2001, "740296789.75"),
    ],
)
def test_counts_of_time_are_in_utc_and_floored(form: Form, cell: str) -> None:
    assert _read(form, cell) == ["2024-06-17T05:59:49+00:00"]
    # Written by a call that was never answered.
    assert _read(form, "0") == [None]


def test_days_of_a_spreadsheet_are_rounded_to_the_second() -> None:
    assert _read(Form.EXCEL, "45460.249872685", "45460,5") == ["2024-06-17T05:59:49", "2024-06-17T12:00:00"]
    assert _read(Form.EXCEL, "45460 075959", "45460 5:59 PM") == ["2024-06-17T07:59:59", "2024-06-17T17:59:00"]
    assert _read(Form.EXCEL, "0.5", "9999999.5") == [None, None]


def test_years_of_two_digits_are_of_this_century_up_to_69() -> None:
    assert _read(Form.DMY, "31/12/69 00:00", "31/12/70 00:00") == ["2069-12-31T00:00:00", "1970-12-31T00:00:00"]


def test_a_column_in_canonical_form_stays_as_it_is() -> None:
    cells = ["2024-06-17T05:59:49", "2024-06-17T05:59:49-04:00", "2024-06-17T05:59:49+00:00"]
    assert _read(Form.YMD, *cells) == cells
    assert _read(Form.YMD, *cells, "2024-06-31T05:59:49") == [*cells, None]
    assert _read(Form.YMD, *cells, None) == [*cells, None]
    assert _read(Form.YMD, "2024-06-17T05:59:49Z") == ["2024-06-17T05:59:49+00:00"]


def test_an_expression_is_read_like_a_column() -> None:
    frame = pl.DataFrame({"When": ["17/06/2024 05:59", None]})
    read = frame.with_columns(timestamps.parse(pl.col("When"), Form.DMY))
    assert read.rows() == [("2024-06-17T05:59:00",), (None,)]


def test_a_column_keeps_its_name_and_may_be_empty() -> None:
    for form in Form:
        read = timestamps.parse(pl.Series("When", [], dtype=pl.String), form)
        assert (read.name, len(read)) == ("When", 0)
        assert timestamps.parse(pl.Series("When", ["?"]), form).name == "When"


# ── the order of day and month ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("cells", "order"),
    [
        (["1/9/2017 16:33:01", "13/9/2017 08:00"], Order.DMY),
        (["1/9/2017 16:33:01", "9/13/2017 08:00"], Order.MDY),
        (["01-09-2017", "13-09-2017"], Order.DMY),
        (["lun. 17/06/2024 05:59"], Order.DMY),
        (["1/9/2017 16:33:01", "12/12/2017 08:00"], Order.OPEN),
        (["13/9/2017", "9/13/2017"], Order.CONTRADICTORY),
        (["32/1/2017"], Order.CONTRADICTORY),
        (["0/5/2017"], Order.CONTRADICTORY),
        (["2017-09-13 08:00", "17 juin 2024 05:59", "1718603989", "", None, "Totals"], Order.ABSENT),
        ([], Order.ABSENT),
        (["13/9/2017", "", None, "Totals"], Order.DMY),
    ],
)
def test_a_number_over_twelve_decides_for_the_column(cells: list[str | None], order: Order) -> None:
    assert _order(*cells) == order


@pytest.mark.parametrize(
    ("cells", "order"),
    [
        (["24/08/17 09:32", "25/08/17 09:32"], Order.OPEN),
        (["08/24/17 09:32", "08/25/17 09:32"], Order.MDY),
        (["17/08/24 09:32", "17/08/25 09:32"], Order.OPEN),
        (["24/08/17 09:32", "24/08/32 09:32"], Order.DMY),
        (["99/08/24 09:32"], Order.YMD),
        (["24/08/17 09:32"], Order.OPEN),
        (["24/08/99 09:32"], Order.DMY),
        (["05/08/17 09:32", "06/08/17 09:32"], Order.OPEN),
        (["24/08/17 09:32", "24/08/2017 09:32"], Order.DMY),
    ],
)
def test_a_year_of_two_digits_may_stand_first(cells: list[str], order: Order) -> None:
    assert _order(*cells) == order


def test_the_date_that_decides_may_come_in_the_last_chunk() -> None:
    first, last = (timestamps.evidence(pl.Series(cells)) for cells in (["1/9/2017", "2/9/2017"], ["13/9/2017"]))
    assert first.order == Order.OPEN
    assert (first | last).order == (last | first).order == Order.DMY
    assert (first | last).told() == "the first number goes up to 13, the second up to 9"
    assert Evidence().order == Order.ABSENT


def test_two_rows_that_contradict_are_named() -> None:
    def seen(row: int, cell: str, source: str = "") -> Evidence:
        return timestamps.evidence(pl.Series([cell]), pl.Series([row]), source)

    files = [
        seen(2, "05/06/2024"),
        seen(3, "05/14/2024", "a.csv"),
        seen(4, "13/05/2024", "b.csv"),
        seen(5, "14/05/2024"),
    ]
    told = "row 3 of a.csv (05/14/2024) has the month first, row 4 of b.csv (13/05/2024) the day first"
    assert (files[0] | files[1] | files[2] | files[3]).contradiction() == told
    years = seen(2, "99/08/24") | seen(3, "24/08/2017")
    assert years.contradiction() == "row 2 (99/08/24) has the year first, row 3 (24/08/2017) the day first"
    assert (seen(2, "1/9/2017") | seen(3, "32/1/2017")).contradiction() == "row 3 (32/1/2017) is no date in any order"


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.dates(datetime(1971, 1, 1, tzinfo=UTC).date()), st.sampled_from("yY")), min_size=1))
def test_the_named_rows_contradict_each_other_for_any_dates(
    dates: list[tuple[date, str]],
) -> None:
    forms = ("%d/%m/%{}", "%m/%d/%{}", "%d/%m/%{}")
    cells = [date.strftime(forms[row % 3].replace("{}", year)) for row, (date, year) in enumerate(dates)]
    seen = Evidence()
    for row, cell in enumerate(cells):
        seen |= timestamps.evidence(pl.Series([cell]), pl.Series([row]))
    assert seen.order == _order(*cells)
    if seen.order is Order.CONTRADICTORY:
        named = [int(row) for row in re.findall(r"row (\d+) ", seen.contradiction())]
        assert len(named) == 2
        assert _order(*(cells[row] for row in named)) is Order.CONTRADICTORY


@settings(deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.dates(datetime(1971, 1, 1, tzinfo=UTC).date(), datetime(2068, 1, 1, tzinfo=UTC).date()), min_size=1),
    st.sampled_from([Order.DMY, Order.MDY, Order.YMD]),
    st.sampled_from("yY"),
)
def test_the_order_that_is_read_is_the_one_that_was_written_or_none(dates: list[date], order: Order, year: str) -> None:
    if order is Order.YMD:
        year = "y"
    parts = {"d": "%d", "m": "%m", "y": f"%{year}"}
    cells = [date.strftime("/".join(parts[letter] for letter in order.value)) for date in dates]
    assert _order(*cells) in (order, Order.OPEN)


_DATES = st.lists(st.dates(min_value=datetime(2000, 1, 1, tzinfo=UTC).date()), min_size=1, max_size=8)


@settings(deadline=None, derandomize=True, database=None)
@given(_DATES)
def test_an_order_that_is_decided_is_never_the_wrong_one(dates: list[datetime]) -> None:
    assert _order(*(f"{date.day}/{date.month}/{date.year:04}" for date in dates)) in (Order.DMY, Order.OPEN)
    assert _order(*(f"{date.month}/{date.day}/{date.year:04}" for date in dates)) in (Order.MDY, Order.OPEN)


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["2024-06-17T05:59:49", "", None], Form.YMD),
        (["2024/06/17 05:59", "2024/06/17 05:59"], Form.YMD),
        (["17/06/2024 05:59", "1/6/2024 05:59"], Form.DMY),
        (["6/17/2024 5:59 AM"], Form.MDY),
        (["1/6/2024 05:59"], None),
        (["17 juin 2024 05:59", "Jun 17, 2024 5:59 AM"], Form.NAMED),
        (["1718603989", "1718603989.0"], Form.EPOCH_SECONDS),
        (["1718603989000"], Form.EPOCH_MILLISECONDS),
        (["1718603989000000"], Form.EPOCH_MICROSECONDS),
        (["740296789.75"], Form.EPOCH_2001),
        (["45460.249872685"], Form.EXCEL),
        (["45460"], None),
        (["2024-06-17 05:59", "Totals"], None),
        (["2024-06-17"], None),
        (["", None], None),
        ([], None),
    ],
)
def test_the_shape_of_a_column(cells: list[str | None], form: Form | None) -> None:
    assert timestamps.shape(pl.Series(cells, dtype=pl.String)) == form


# ── there and back ───────────────────────────────────────────────────────────────────────────────────────────────────

_FRENCH = ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc.")
_ENGLISH = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _written(instant: datetime) -> dict[str, Form]:
    """A time of no stated zone in the forms that keep its seconds."""
    year, month, day = instant.year, instant.month, instant.day
    clock, half = f"{instant:%H:%M:%S}", "AM" if instant.hour < 12 else "PM"
    twelve = f"{instant.hour % 12 or 12}:{instant:%M:%S}"
    serial = (instant - datetime(1899, 12, 30)) / timedelta(days=1)  # noqa: DTZ001
    return {
        f"{year}-{month:02}-{day:02}T{clock}": Form.YMD,
        f"{year}/{month}/{day} {clock}.999": Form.YMD,
        f"{day}/{month}/{year} {clock}": Form.DMY,
        f"{day:02}-{month:02}-{year % 100:02} {twelve} {half}": Form.DMY,
        f"{month}/{day}/{year} {twelve}\u202f{half}": Form.MDY,
        f"{instant:%m/%d/%Y} {instant:%H%M%S}": Form.MDY,
        f"{day} {_FRENCH[month - 1]} {year} à {instant.hour} h {instant:%M} min {instant:%S} s": Form.NAMED,
        f"{_ENGLISH[month - 1]} {day}, {year} at {twelve}{half}": Form.NAMED,
        f"{serial:.9f}": Form.EXCEL,
    }


_INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2069, 12, 31)).map(  # noqa: DTZ001
    lambda instant: instant.replace(microsecond=0)
)
_OFFSETS = st.integers(-56, 56).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))


@settings(deadline=None, derandomize=True, database=None)
@given(_INSTANTS)
def test_any_instant_reads_back_the_same_from_every_form(instant: datetime) -> None:
    for cell, form in _written(instant).items():
        assert _read(form, cell) == [instant.isoformat()], cell


@settings(deadline=None, derandomize=True, database=None)
@given(_INSTANTS, _OFFSETS)
def test_an_offset_stays_in_every_form(instant: datetime, offset: timezone) -> None:
    stated = instant.replace(tzinfo=offset)
    colon, plain = stated.isoformat()[19:], f"{stated:%z}"
    forms = {
        f"{stated:%Y-%m-%dT%H:%M:%S}.5{colon}": Form.YMD,
        f"{stated:%Y-%m-%d %H:%M:%S} {plain}": Form.YMD,
        f"{stated:%d/%m/%Y %H:%M:%S} {colon}": Form.DMY,
        f"{stated.day} {_ENGLISH[stated.month - 1]} {stated:%Y %H:%M:%S} {plain}": Form.NAMED,
    }
    for cell, form in forms.items():
        assert _read(form, cell) == [stated.isoformat()], cell


@settings(deadline=None, derandomize=True, database=None)
@given(_INSTANTS)
def test_any_count_of_time_reads_back_the_same(instant: datetime) -> None:
    stated = instant.replace(tzinfo=UTC)
    count = round(stated.timestamp())
    forms = {
        f"{count}.0": Form.EPOCH_SECONDS,
        f"{count}999": Form.EPOCH_MILLISECONDS,
        f"{count}000001": Form.EPOCH_MICROSECONDS,
    }
    if count > 978_307_200:
        forms[f"{count - 978_307_200}.5"] = Form.EPOCH_2001
    for cell, form in forms.items():
        assert _read(form, cell) == [stated.isoformat()], cell


@settings(deadline=None, derandomize=True, database=None)
@given(st.text(alphabet="0123456789-/:. TZ+apmjuinàhAM,", max_size=30))
def test_whatever_the_text_what_comes_out_is_an_instant_or_nothing(cell: str) -> None:
    for form in Form:
        (read,) = _read(form, cell)
        assert read is None or datetime.fromisoformat(read).isoformat() == read
