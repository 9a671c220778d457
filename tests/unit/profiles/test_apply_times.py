"""Times and durations as a recipe reads them: across clock changes, in two forms, in the order that an epoch tells."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callimport.core import phones
from callimport.profiles import forms, profile
from callimport.transform import validate

_TORONTO = "America/Toronto"
_NOW = datetime(2026, 11, 22, tzinfo=UTC)
_ZONE_COLUMN = 'zone = { column = "Zone" }'
_RECIPE = """
version = 1
name = "desk"
title = "Front desk"
system = "desk"
identity = false
time_form = "{form}"
{top}

[columns]
started_at = "When"
customer_phone = "Number"
direction = "Way"
status = "Status"
duration_seconds = {duration}
"""
_SPAN = '{ since = "From", until = "To" }'
AmbiguousHour = Literal["reject", "first", "second"]


def _recipe(folder: Path, form: str = "ymd", *, duration: str = _SPAN, top: str = "") -> profile.Profile:
    path = folder / "desk.toml"
    path.write_text(_RECIPE.format(form=form, duration=duration, top=top), "utf-8")
    return profile.load(str(path))


def _judge(
    of: profile.Profile,
    *rows: dict[str, str | None],
    zone: str | None = _TORONTO,
    hour: AmbiguousHour = "reject",
) -> validate.Validated:
    sound: dict[str, str | None] = {"Number": "+15145550123", "Way": "incoming", "Status": "answered"}
    whole = [dict.fromkeys(of.used) | sound | row for row in rows]
    frame = pl.DataFrame(whole, schema=dict.fromkeys(whole[0], pl.String)).with_columns(
        _row=pl.int_range(2, 2 + len(rows)), _ragged=pl.lit(None, dtype=pl.String)
    )
    made = profile.canonical(of, frame, profile.Given(phones.Dialling(), ambiguous_hour=hour, zone=zone))
    return validate.validate(made, validate.Reading(zone, hour, _NOW))


def _told(found: validate.Validated, row: int = 2) -> dict[str, str]:
    return {reason.rule: reason.message for reason in found.rejects.get(row, ())}


def _seconds(found: validate.Validated) -> list[int]:
    return found.accepted["duration_seconds"].to_list()


def _starts(found: validate.Validated) -> list[str]:
    return [f"{start:%Y-%m-%dT%H:%M:%SZ}" for start in found.accepted["started_at"]]


# ── from one time to another ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("since", "until", "seconds"),
    [
        ("2024-03-10 01:50:00", "2024-03-10 03:10:00", 1200),
        ("2024-11-03 00:50:00", "2024-11-03 02:10:00", 8400),
        ("2024-05-31 23:50:00", "2024-06-01 00:10:00", 1200),
        ("2024-03-10T06:50:00Z", "2024-03-10 03:10:00", 1200),
    ],
)
@pytest.mark.parametrize("top", ["", 'zone = "America/Toronto"', 'zone = { fixed = "America/Toronto" }'])
def test_a_span_is_the_time_between_two_instants(
    tmp_path: Path, since: str, until: str, seconds: int, top: str
) -> None:
    of = _recipe(tmp_path, top=top)
    assert _seconds(_judge(of, {"When": since, "From": since, "To": until})) == [seconds]


@settings(deadline=None, derandomize=True, database=None, max_examples=60)
@given(
    st.sampled_from([datetime(2024, 3, 10, 4, tzinfo=UTC), datetime(2024, 11, 3, 3, tzinfo=UTC)]),
    st.integers(0, 6 * 3600),
    st.integers(0, 6 * 3600),
    st.sampled_from(["reject", "first", "second"]),
)
def test_a_span_on_the_nights_of_the_clock_change_is_right_or_a_reject(
    night: datetime, since: int, length: int, hour: AmbiguousHour
) -> None:
    of = profile.load("dialpad")
    begins = night + timedelta(seconds=since)
    ends = begins + timedelta(seconds=length)
    shown = [f"{at.astimezone(ZoneInfo(_TORONTO)):%Y-%m-%d %H:%M:%S}" for at in (begins, ends)]
    row: dict[str, str | None] = {
        "date_started": begins.isoformat(), "call_id": "1", "direction": "inbound", "external_number": "+15145550123",
        "date_connected": shown[0], "date_ended": shown[1], "timezone": _TORONTO,
    }  # fmt: skip
    found = _judge(of, row, hour=hour)
    folds = [at.astimezone(ZoneInfo(_TORONTO)).replace(fold=0).utcoffset() for at in (begins, ends)]
    lies_twice = [
        at.astimezone(ZoneInfo(_TORONTO)).replace(fold=1).utcoffset() != fold
        for at, fold in zip((begins, ends), folds, strict=True)
    ]
    if not any(lies_twice):
        assert _seconds(found) == [length]
    elif hour == "reject":
        assert list(_told(found)) == ["started_at_ambiguous"]
    else:
        # What was decided is what counts, and no call ends before it begins.
        first = 0 if hour == "first" else 1
        zone = ZoneInfo(_TORONTO)
        meant = [
            at.astimezone(zone).replace(fold=first).astimezone(UTC) if twice else at
            for at, twice in zip((begins, ends), lies_twice, strict=True)
        ]
        apart = round((meant[1] - meant[0]).total_seconds())
        assert (_seconds(found) == [apart]) if apart >= 0 else (list(_told(found)) == ["duration_range"])


def test_a_call_that_ends_before_it_begins_is_rejected_and_both_times_are_told(tmp_path: Path) -> None:
    row: dict[str, str | None] = {"From": "2024-05-31 23:50:00", "To": "2024-05-31 00:10:00"}
    told = _told(_judge(_recipe(tmp_path), {"When": "2024-05-31 23:50:00", **row}))
    assert list(told) == ["duration_range"]
    assert "the call ends (2024-05-31 00:10:00) before it begins (2024-05-31 23:50:00)" in told["duration_range"]


@pytest.mark.parametrize(
    ("when", "zone", "rule", "top"),
    [
        ("2024-11-03 01:20:00", _TORONTO, "started_at_ambiguous", ""),
        ("2024-03-10 02:20:00", _TORONTO, "started_at_nonexistent", ""),
        ("05/06/2024 14:05:00", _TORONTO, "started_at_unreadable", ""),
        ("2024-11-03 01:20:00", _TORONTO, "started_at_ambiguous", _ZONE_COLUMN),
        ("2024-03-10 02:20:00", _TORONTO, "started_at_nonexistent", _ZONE_COLUMN),
        ("05/06/2024 14:05:00", _TORONTO, "started_at_unreadable", _ZONE_COLUMN),
        # Only a column can name a zone that there is not.
        ("2024-05-31 14:05:00", "Mars/Base", "started_at_zone", _ZONE_COLUMN),
    ],
)
def test_a_start_that_is_not_clear_adds_no_second_fault(
    tmp_path: Path, when: str, zone: str, rule: str, top: str
) -> None:
    of = _recipe(tmp_path, "date", top=top)
    row: dict[str, str | None] = {"When": when, "From": when, "To": when.replace(":00", ":40")}
    told = _told(_judge(of, row | ({"Zone": zone} if top else {})))
    assert list(told) == [rule]
    assert told[rule].startswith(f'started_at: "{when}"') or "T" in told[rule]


def test_an_unclear_end_is_the_only_fault_of_a_clear_start(tmp_path: Path) -> None:
    row = {"When": "2024-11-03 00:50:00", "From": "2024-11-03 00:50:00", "To": "2024-11-03 01:10:00"}
    told = _told(_judge(_recipe(tmp_path), dict(row)))
    assert list(told) == ["started_at_ambiguous"]
    assert told["started_at_ambiguous"].startswith('duration_seconds: "2024-11-03 01:10:00" is in an hour that happens')
    assert _seconds(_judge(_recipe(tmp_path), dict(row), hour="second")) == [4800]


def test_ends_without_a_zone_do_not_become_a_duration(tmp_path: Path) -> None:
    row = {"When": "2024-05-31T14:00:00Z", "From": "2024-05-31 10:00:00", "To": "2024-05-31 10:05:00"}
    told = _told(_judge(_recipe(tmp_path), dict(row), zone=None))
    assert list(told) == ["started_at_zone"]
    assert "--timezone" in told["started_at_zone"]


# ── what the form does not know ──────────────────────────────────────────────────────────────────────────────────────

_WRITTEN = {
    "ymd": "2024/05/31 14:05",
    "dmy": "31/05/2024 14:05",
    "mdy": "05/31/2024 14:05",
    "named": "31 May 2024 14:05",
    "epoch_s": "1717178700",
    "epoch_ms": "1717178700000",
    "epoch_us": "1717178700000000",
    "excel": "45443.58681",
}


@pytest.mark.parametrize(
    ("form", "other"),
    [
        (form, other)
        for form in forms.TIMES
        for other in _WRITTEN
        # Any number is a count of seconds since 2001.
        if form not in ("iso", "date") and (form, other) != ("epoch_2001", "excel")
    ],
)
def test_a_time_of_another_form_is_the_same_instant_or_a_reject_that_names_the_form(
    tmp_path: Path, form: str, other: str
) -> None:
    found = _judge(_recipe(tmp_path, form, duration='"Talk"'), {"When": _WRITTEN[other], "Talk": "5"})
    if found.rejects:
        assert form != other
        # Seconds read as thousandths lie in 1970, and seconds since 1970 read as since 2001 are to come.
        ((rule, message),) = _told(found).items()
        assert rule in ("started_at_too_old", "started_at_future") or f"is not of the form {form}" in message
    else:
        assert form == other
        assert _starts(found) == ["2024-05-31T18:05:00Z"]


def test_a_column_of_epochs_takes_no_date(tmp_path: Path) -> None:
    rows: list[dict[str, str | None]] = [
        {"When": "1717178700", "Talk": "5"},
        {"When": "2024-05-31 10:00:00", "Talk": "5"},
    ]
    found = _judge(_recipe(tmp_path, "epoch_s", duration='"Talk"'), *rows)
    assert found.accepted["_row"].to_list() == [2]
    assert list(_told(found, 3)) == ["started_at_unreadable"]


@pytest.mark.parametrize(
    ("form", "cell", "named"),
    [
        ("hms", "75", "hms"),
        ("seconds", "0:01:15", "seconds"),
        ("hhmmss", "0:01:15", "hhmmss"),
        ("hhmmss", "175", "hhmmss"),
    ],
)
def test_a_duration_of_another_form_is_a_reject_that_names_the_form(
    tmp_path: Path, form: str, cell: str, named: str
) -> None:
    of = _recipe(tmp_path, duration='"Talk"', top=f'duration_form = "{form}"')
    told = _told(_judge(of, {"When": "2024-05-31 14:05:00", "Talk": cell}))
    assert list(told) == ["duration_number"]
    assert named in told["duration_number"]


def test_a_date_column_is_read_row_by_row(tmp_path: Path) -> None:
    cells = ("2024-05-31 14:05:00", "31 mai 2024 14:05", "05/14/2024 14:05", "13/05/2024 14:05")
    rows: list[dict[str, str | None]] = [{"When": cell, "Talk": "5"} for cell in cells]
    found = _judge(_recipe(tmp_path, "date", duration='"Talk"'), *rows)
    assert found.accepted["_row"].to_list() == [2, 3]
    for row in (4, 5):
        assert "row 4 (05/14/2024 14:05) has the month first, row 5 (13/05/2024 14:05) the day first" in "".join(
            _told(found, row).values()
        )


# ── nobody answered ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("cell", "form"),
    [
        *itertools.product(
            [None, "-", "--:--", "--:--:--", "–", "N/A", "n/a", "0"], ["hms", "seconds", "words", "minutes"]
        ),
        ("00:00", "hms"),
        ("0:00:00", "hms"),
    ],
)
@pytest.mark.parametrize(("way", "word"), [("incoming", "interrupted"), ("outgoing", "attempted")])
def test_a_call_that_nobody_answered_lasted_no_second(
    tmp_path: Path, cell: str | None, form: str, way: str, word: str
) -> None:
    of = _recipe(tmp_path, duration='"Talk"', top=f'duration_form = "{form}"')
    row = {"When": "2024-05-31 14:05:00", "Talk": cell, "Way": way}
    for status in ("unanswered", word, "error"):
        assert _seconds(_judge(of, row | {"Status": status})) == [0], status
    if cell is None or not cell.startswith("0"):
        assert list(_told(_judge(of, row | {"Status": "answered"}))) == ["duration_missing"]


@pytest.mark.parametrize("never", [None, "-", "--:--", "N/A", "0000-00-00 00:00:00", "2024-05-31 --:--:--"])
@pytest.mark.parametrize("ends", [("From",), ("To",), ("From", "To")])
def test_a_span_without_an_end_is_no_time_of_a_call_that_nobody_answered(
    tmp_path: Path, never: str | None, ends: tuple[str, ...]
) -> None:
    when = "2024-05-31 14:05:00"
    row = {"When": when, "From": when, "To": when, "Status": "unanswered", **dict.fromkeys(ends, never)}
    assert _seconds(_judge(_recipe(tmp_path), row)) == [0]
    assert list(_told(_judge(_recipe(tmp_path), row | {"Status": "answered"}))) == ["duration_missing"]


def test_an_end_that_is_only_a_clock_is_not_read(tmp_path: Path) -> None:
    row = {"When": "2024-05-31 14:05:00", "From": "2024-05-31 14:05:00", "To": "14:06:00"}
    told = _told(_judge(_recipe(tmp_path), dict(row)))
    assert list(told) == ["duration_number"]


# ── a word for the offset ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("cell", "instant"),
    [
        ("2018-08-23 08:12 UTC", "2018-08-23T08:12:00Z"),
        ("2018-08-23T08:12:09 GMT", "2018-08-23T08:12:09Z"),
        ("2018-08-23 08:12 EST", "2018-08-23T13:12:00Z"),
        ("2018-08-23 08:12:09 (PDT)", "2018-08-23T15:12:09Z"),
        ("2018-01-23 08:12 HNE", "2018-01-23T13:12:00Z"),
        ("2018-08-23 8:12 PM EDT", "2018-08-24T00:12:00Z"),
    ],
)
@pytest.mark.parametrize("zone", [None, _TORONTO, "Europe/Paris"])
def test_a_word_tells_the_offset_of_an_iso_time(tmp_path: Path, cell: str, instant: str, zone: str | None) -> None:
    rows: list[dict[str, str | None]] = [
        {"When": cell, "Talk": "5"},
        {"When": "2018-08-23T08:12:00-04:00", "Talk": "5"},
    ]
    found = _judge(_recipe(tmp_path, "iso", duration='"Talk"'), *rows, zone=zone)
    assert _starts(found) == [instant, "2018-08-23T12:12:00Z"]


@pytest.mark.parametrize("word", ["XYZ", "LUNE", "ab"])
def test_a_word_that_names_no_zone_is_not_read(tmp_path: Path, word: str) -> None:
    row: dict[str, str | None] = {"When": f"2018-08-23 08:12 {word}", "Talk": "5"}
    assert list(_told(_judge(_recipe(tmp_path, "iso", duration='"Talk"'), row))) == ["started_at_unreadable"]


# ── the epoch beside a time ──────────────────────────────────────────────────────────────────────────────────────────


def _by_epoch(folder: Path, *rows: tuple[str, str | None], zone: str | None = None) -> validate.Validated:
    of = _recipe(folder, "date", duration='"Talk"', top='zone = { epoch = "Epoch" }')
    return _judge(of, *({"When": when, "Epoch": epoch, "Talk": "5"} for when, epoch in rows), zone=zone)


@pytest.mark.parametrize(
    ("when", "epoch", "instant"),
    [
        ("1/9/2017 16:33:01", "1504297981", "2017-09-01T20:33:01Z"),
        ("9/1/2017 16:33:01", "1504297981", "2017-09-01T20:33:01Z"),
        ("01/09/17 16:33:01", "1504297981", "2017-09-01T20:33:01Z"),
        ("17-09-01 16:33:04", "1504297981", "2017-09-01T20:33:04Z"),
        ("9/9/2017 16:33:01", "1504989181", "2017-09-09T20:33:01Z"),
    ],
)
def test_the_epoch_tells_day_and_month_of_its_row(tmp_path: Path, when: str, epoch: str, instant: str) -> None:
    assert _starts(_by_epoch(tmp_path, (when, epoch))) == [instant]


@pytest.mark.parametrize("epoch", [None, "1510000000"])
def test_an_epoch_that_is_near_no_reading_leaves_the_order_open(tmp_path: Path, epoch: str | None) -> None:
    told = _told(_by_epoch(tmp_path, ("1/9/2017 16:33:01", epoch)))
    assert list(told) == ["started_at_unreadable"]
    assert "no date of the file tells" in told["started_at_unreadable"]


def test_an_epoch_of_one_row_says_nothing_of_another(tmp_path: Path) -> None:
    found = _by_epoch(tmp_path, ("1/9/2017 16:33:01", "1504297981"), ("2/9/2017 10:00:00", None))
    assert (_starts(found), list(found.rejects)) == (["2017-09-01T20:33:01Z"], [3])


@pytest.mark.parametrize(
    ("epoch", "instant"),
    [(1730611800, "2024-11-03T05:30:00Z"), (1730615400, "2024-11-03T06:30:00Z"), (1730615390, "2024-11-03T06:30:00Z")],
)
def test_the_epoch_tells_which_of_two_hours_it_was(tmp_path: Path, epoch: int, instant: str) -> None:
    # Many calls of the day are of the later offset, none of the earlier one, and the file has no other day.
    later = [(f"2024-11-03 1{hour}:00:00", str(1730646000 + 3600 * hour)) for hour in range(3)]
    found = _by_epoch(tmp_path, ("2024-11-03 01:30:00", str(epoch)), *later, zone=_TORONTO)
    assert _starts(found)[0] == instant


@pytest.mark.parametrize("zone", [None, _TORONTO])
def test_an_epoch_an_hour_away_leaves_the_hour_open(tmp_path: Path, zone: str | None) -> None:
    later = [(f"2024-11-03 1{hour}:00:00", str(1730646000 + 3600 * hour)) for hour in range(3)]
    found = _by_epoch(tmp_path, ("2024-11-03 01:30:00", str(1730608200)), *later, zone=zone)
    assert list(_told(found)) == ["started_at_ambiguous" if zone else "started_at_zone"]


_NIGHTS = st.sampled_from([datetime(2024, 3, 10, tzinfo=UTC), datetime(2024, 11, 3, tzinfo=UTC), _NOW])


@settings(deadline=None, derandomize=True, database=None, max_examples=150)
@given(
    _NIGHTS,
    st.integers(0, 86_400),
    st.sampled_from(["%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%y/%m/%d"]),
    st.integers(0, 299),
)
def test_beside_an_epoch_a_time_is_the_instant_it_was_or_a_reject(
    night: datetime, second: int, written: str, late: int
) -> None:
    instant = night + timedelta(seconds=second)
    cell = f"{instant.astimezone(ZoneInfo(_TORONTO)):{written} %H:%M:%S}"
    row: dict[str, str | None] = {
        "calldate": cell, "src": "5145550123", "dst": "101", "billsec": "5", "disposition": "ANSWERED", "did": "x",
        "uniqueid": f"{round(instant.timestamp()) - late}.7",
    }  # fmt: skip
    found = _judge(profile.load("freepbx"), row)
    assert found.rejects or found.accepted["started_at"].to_list() == [instant]


# ── a call that was connected ────────────────────────────────────────────────────────────────────────────────────────


def test_a_call_that_cucm_connected_and_that_has_no_duration_is_a_reject() -> None:
    row: dict[str, str | None] = {
        "globalCallID_callManagerId": "1", "globalCallID_callId": "7", "dateTimeOrigination": "1717178700",
        "dateTimeConnect": "1717178710", "duration": None, "callingPartyNumber": "5145550123",
        "finalCalledPartyNumber": "2101", "origCause_value": "16", "destCause_value": "0", "origDeviceName": "GW1",
        "destDeviceName": "SEP001122334455",
    }  # fmt: skip
    of = profile.load("cucm")
    assert list(_told(_judge(of, row))) == ["duration_missing"]
    assert _seconds(_judge(of, row | {"duration": "0"})) == [0]
    assert _seconds(_judge(of, row | {"dateTimeConnect": "0"})) == [0]
    assert _seconds(_judge(of, row | {"duration": "33"})) == [33]
