"""The nineteen quirks of phone exports, one test and more for each, from a file to its calls.

They are named after the table of EXPORTS.md: what phone systems write, ranked by how many of them do.
"""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from callimport.core import errors
from tests import exporting
from tests.exporting import calls_of, check, told, write

_TWILIO = "sid,direction,status,start_time,duration,from,to,answered_by"
_CALL_LOG = "Call Time,Call ID,From,To,Direction,Status,Ringing,Talking,Cost"
_FREEPBX = (
    "calldate,clid,src,dst,dcontext,channel,dstchannel,lastapp,lastdata,duration,billsec,disposition,amaflags,"
    "accountcode,uniqueid,userfield,did,recordingfile,linkedid"
)
_CANONICAL = "direction,status,started_at,duration_seconds,customer_phone"
_DIALPAD = (
    "date_started,call_id,operator_id,operator_name,operator_email,direction,external_number,internal_number,"
    "date_connected,date_ended,timezone"
)
_MANY_DAYS = ("05/06/2024 09:00", "31/05/2024 14:05")
_RECIPE = """
version = 1
name = "desk"
title = "Front desk"
system = "desk"
identity = false
other_columns = "ignore"
time_form = "{time}"
duration_form = "{duration}"
optional = ["duration_seconds", "recording"]
[columns]
started_at = {started}
duration_seconds = "length"
customer_phone = "number"
direction = "way"
recording = "tape"
{more}
"""


def _recipe(
    folder: Path, *, time: str = "iso", duration: str = "seconds", started: str = '"when"', more: str = ""
) -> str:
    """A recipe of one's own, in which the test says how times and durations are written."""
    path = folder / "desk.toml"
    path.write_text(_RECIPE.format(time=time, duration=duration, started=started, more=more), "utf-8")
    return str(path)


def _twilio(sid: str, *, way: str = "inbound", **changes: str) -> str:
    row = {
        "sid": sid, "direction": way, "status": "completed", "start_time": "2024-05-31T18:05:09Z", "duration": "95",
        "from": "+15145550123", "to": "+15145550199", "answered_by": "", **changes,
    }  # fmt: skip
    return ",".join(row[name] for name in _TWILIO.split(","))


def _freepbx(uniqueid: str, src: str, dst: str, *, start: str = "2024-05-31 14:05:09", **changes: str) -> str:
    row = {
        "calldate": start, "src": src, "dst": dst, "duration": "75", "billsec": "62", "disposition": "ANSWERED",
        "uniqueid": uniqueid, "linkedid": uniqueid, "lastapp": "Dial", **changes,
    }  # fmt: skip
    return ",".join(row.get(name, "") for name in _FREEPBX.split(","))


def test_quirk_01_customer_side_hangs_on_direction(tmp_path: Path) -> None:
    ours = {"from": "+15145550199", "to": "+15145550124"}
    path = write(tmp_path / "calls.csv", _TWILIO, _twilio("CA1"), _twilio("CA2", way="outbound-api", **ours))
    assert told(calls_of(path), "direction", "customer_phone") == [
        ("incoming", "+15145550123"),
        ("outgoing", "+15145550124"),
    ]


def test_quirk_01_a_column_that_is_always_the_customer_goes_before_the_sides(tmp_path: Path) -> None:
    path = write(
        tmp_path / "calls.csv",
        _DIALPAD,
        "2024-05-31 14:05:09,1,5,Ana,,inbound,+15145550123,15145550199,2024-05-31 14:05:14,2024-05-31 14:06:14,UTC",
        "2024-05-31 15:05:09,2,5,Ana,,outbound,+15145550124,15145550199,,2024-05-31 15:06:14,UTC",
    )
    assert told(calls_of(path), "direction", "customer_phone") == [
        ("incoming", "+15145550123"),
        ("outgoing", "+15145550124"),
    ]


def test_quirk_02_a_time_without_a_zone_is_never_guessed(tmp_path: Path) -> None:
    path = write(
        tmp_path / "calls.csv",
        _CANONICAL,
        "incoming,,2024-05-31 14:05:09,5,+15145550123",
        "incoming,,2024-05-31 14:05:09-04:00,5,+15145550124",
        "incoming,,2024-05-31T18:05:09Z,5,+15145550125",
    )
    assert exporting.rules(check(path, timezone=None)) == {"started_at_zone": 1}
    lead = "lead_id," + _CANONICAL
    lines = [f"5000,{line}" for line in path.read_text("utf-8").splitlines()[1:]]
    stated = write(tmp_path / "stated.csv", lead, *lines)
    assert told(calls_of(stated), "started_at") == [("2024-05-31T18:05:09Z",)] * 3


def test_quirk_02_a_zone_of_the_row_goes_before_the_stated_one(tmp_path: Path) -> None:
    rows = [
        f"2024-05-31 12:00:00,{number},5,Ana,,inbound,+1514555012{number},,,2024-05-31 12:01:00,{zone}"
        for number, zone in enumerate(("America/Mexico_City", "America/Toronto", "UTC"))
    ]
    path = write(tmp_path / "calls.csv", _DIALPAD, *rows)
    assert [hour for (hour,) in told(calls_of(path), "started_at")] == [
        f"2024-05-31T{hour}:00:00Z" for hour in (18, 16, 12)
    ]


def test_quirk_02_the_epoch_in_an_id_tells_the_zone_of_the_server(tmp_path: Path) -> None:
    """In summer and in winter, whatever --timezone says."""
    path = write(
        tmp_path / "calls.csv",
        _FREEPBX,
        _freepbx("1717178709.1", "101", "5145550123", start="2024-05-31 14:05:09"),
        _freepbx("pbx1-1706368044.0", "101", "5145550124", start="2024-01-27 10:07:24"),
    )
    assert told(calls_of(path, timezone="Europe/Paris"), "call_id", "started_at") == [
        ("1717178709.1", "2024-05-31T18:05:09Z"),
        ("1706368044.0", "2024-01-27T15:07:24Z"),
    ]


@pytest.mark.parametrize(
    ("which", "rules", "starts"),
    [
        ("reject", {"started_at_ambiguous": 1, "started_at_nonexistent": 1}, []),
        ("first", {"started_at_nonexistent": 1}, [("2024-11-03T05:30:00Z",)]),
        ("second", {"started_at_nonexistent": 1}, [("2024-11-03T06:30:00Z",)]),
    ],
)
def test_quirk_02_an_hour_that_happens_twice_is_not_decided_in_silence(
    tmp_path: Path, which: str, rules: dict[str, int], starts: list[tuple[str]]
) -> None:
    path = write(
        tmp_path / "calls.csv",
        _CANONICAL,
        "incoming,,2024-11-03 01:30:00,5,+15145550123",
        "incoming,,2024-03-10 02:30:00,5,+15145550124",
    )
    assert exporting.rules(check(path, ambiguous_hour=which)) == rules
    assert told(calls_of(path, ambiguous_hour=which), "started_at") == starts


def test_quirk_03_several_rows_of_one_call_are_one_call(tmp_path: Path) -> None:
    """A ring group: two phones rang, the second was picked up; the call began when the first one rang."""
    group = {"linkedid": "1717178709.1", "did": "5145550199", "dcontext": "ext-group"}
    path = write(
        tmp_path / "calls.csv",
        _FREEPBX,
        _freepbx("1717178709.1", "5145550123", "600", billsec="0", disposition="NO ANSWER", **group),
        _freepbx("1717178712.2", "5145550123", "600", start="2024-05-31 14:05:12", **group),
        _freepbx("1717178720.3", "101", "5145550124", start="2024-05-31 14:05:20"),
    )
    found_in = exporting.resolved(path)
    found = exporting.calls(found_in)
    assert told(found, "call_id", "started_at", "duration_seconds", "status", "_legs") == [
        ("1717178709.1", "2024-05-31T18:05:09Z", 62, "answered", "1717178709.1\n1717178712.2"),
        ("1717178720.3", "2024-05-31T18:05:20Z", 62, "answered", "1717178720.3"),
    ]
    assert (found_in.tally.read, found_in.tally.joined) == (3, 1)


def test_quirk_03_the_same_row_twice_is_one_call_also_over_files(tmp_path: Path) -> None:
    row = "5000,incoming,answered,2024-05-31T14:05:09Z,95,+15145550123"
    paths = [write(tmp_path / f"{name}.csv", f"lead_id,{_CANONICAL}", *[row] * 2) for name in "ab"]
    calls = check(*paths, profile="canonical").summary.calls
    assert (calls.total, calls.duplicate, calls.pending) == (4, 3, 1)


@pytest.mark.parametrize(
    ("form", "text", "seconds"),
    [
        ("seconds", "72", 72),
        ("decimal_seconds", "72.9", 72),
        ("decimal_seconds", '"72,9"', 72),
        ("ms", "72000", 72),
        ("minutes", "1.2", 72),
        ("hms", "1:12", 72),
        ("hms", "0:01:12", 72),
        ("iso", "PT1M12S", 72),
        ("days", "0 days 00:01:12", 72),
        ("words", "1 min 12 s", 72),
        ("seconds", "", 0),
    ],
)
def test_quirk_04_a_duration_is_seconds_in_whichever_form(tmp_path: Path, form: str, text: str, seconds: int) -> None:
    path = write(tmp_path / "calls.csv", "way,when,length,number", f"incoming,2024-05-31T14:05Z,{text},5145550123")
    more = "" if text else '[constants]\nstatus = "unanswered"'
    found = calls_of(path, profile=_recipe(tmp_path, duration=form, more=more))
    assert told(found, "duration_seconds") == [(seconds,)]


def test_quirk_04_a_whole_number_is_never_taken_for_minutes(tmp_path: Path) -> None:
    path = write(tmp_path / "calls.csv", "way,when,length,number", "incoming,2024-05-31T14:05Z,2,5145550123")
    assert told(calls_of(path, profile=_recipe(tmp_path)), "duration_seconds") == [(2,)]


@pytest.mark.parametrize("text", ["1:12", "72.5", "PT72S", "-5", "86401", "soon"])
def test_quirk_04_a_duration_in_another_form_is_a_reject(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "calls.csv", "way,when,length,number", f"incoming,2024-05-31T14:05Z,{text},5145550123")
    result = check(path, profile=_recipe(tmp_path))
    assert result.summary.rows.rejected == 1
    assert set(exporting.rules(result)) <= {"duration_number", "duration_range"}


def test_quirk_05_of_several_durations_talk_is_taken(tmp_path: Path) -> None:
    freepbx = write(
        tmp_path / "cdr.csv", _FREEPBX, _freepbx("1717178709.1", "101", "5145550123", duration="75", billsec="62")
    )
    assert told(calls_of(freepbx), "duration_seconds") == [(62,)]
    log = write(
        tmp_path / "log.csv",
        _CALL_LOG,
        "2024-05-31T11:00:00,A1,5145550123,Ana (137),Inbound,Answered,0:00:09,0:01:12,0",
    )
    assert told(calls_of(log), "duration_seconds") == [(72,)]


@pytest.mark.parametrize(
    "changes",
    [
        {"lastapp": "VoiceMail", "lastdata": "102@default"},
        {"lastapp": "Playback"},
        {"lastapp": "Hangup", "dstchannel": ""},
        {"lastapp": "BackGround"},
    ],
    ids=lambda changes: changes["lastapp"],
)
def test_quirk_06_a_machine_that_answered_is_nobody(tmp_path: Path, changes: dict[str, str]) -> None:
    path = write(tmp_path / "calls.csv", _FREEPBX, _freepbx("1717178709.1", "5145550123", "102", **changes))
    assert told(calls_of(path), "status", "duration_seconds") == [("interrupted", 0)]


def test_quirk_06_an_unanswered_call_has_no_talk_though_its_row_says_seconds(tmp_path: Path) -> None:
    path = write(
        tmp_path / "calls.csv",
        "Call Time,Caller ID,Destination,Did,Status,Ringing,Talking,Total Duration",
        "2024-05-31T09:05:00,5145550123,Service (804),15145550199,Unanswered,0:00:04,0:00:05,0:00:09",
        "2024-05-31T10:05:00,5145550124,Welcome message (801),15145550199,Answered,0:00:00,0:00:10,0:00:10",
        "2024-05-31T11:05:00,5145550125,Ana Tremblay (137),15145550199,Answered,0:00:04,0:00:45,0:00:49",
    )
    assert told(calls_of(path), "status", "duration_seconds") == [
        ("interrupted", 0),
        ("interrupted", 0),
        ("answered", 45),
    ]


def test_quirk_06_an_answering_machine_at_the_customers_end(tmp_path: Path) -> None:
    machine = _twilio(
        "CA1", way="outbound-api", to="+15145550124", **{"from": "+15145550199"}, answered_by="machine_start"
    )
    path = write(tmp_path / "calls.csv", _TWILIO, machine)
    assert told(calls_of(path), "status", "duration_seconds") == [("attempted", 0)]


_SAME_NUMBER = (
    "5145550123", "15145550123", "+15145550123", "(514) 555-0123", "514-555-0123", "1 514 555 0123", "+1 514.555.0123",
    "0015145550123", "tel:+15145550123", "Client (5145550123)", "5145550123.0",
)  # fmt: skip


@pytest.mark.parametrize("text", _SAME_NUMBER)
def test_quirk_07_one_number_however_it_is_written(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "calls.csv", "way,when,length,number", f"incoming,2024-05-31T14:05Z,5,{text}")
    assert told(calls_of(path, profile=_recipe(tmp_path)), "customer_phone") == [("+15145550123",)]


def test_quirk_07_an_extension_is_no_customer(tmp_path: Path) -> None:
    path = write(
        tmp_path / "calls.csv",
        "way,when,length,number",
        *(f"incoming,2024-05-31T14:05Z,5,{text}" for text in ("801", "Ana Tremblay (801)", "Ext.10016")),
    )
    assert exporting.rules(check(path, profile=_recipe(tmp_path))) == {"customer_phone_e164": 3}


def test_quirk_08_direction_is_inferred_where_no_column_tells(tmp_path: Path) -> None:
    path = write(
        tmp_path / "calls.csv",
        _FREEPBX,
        _freepbx("1717178709.1", "101", "5145550123", dcontext="from-internal"),
        _freepbx("1717178719.2", "5145550124", "101", dcontext="from-trunk", start="2024-05-31 14:05:19"),
        _freepbx("1717178729.3", "101", "102", dcontext="from-internal", start="2024-05-31 14:05:29"),
    )
    found_in = exporting.resolved(path)
    assert told(exporting.calls(found_in), "direction", "customer_phone") == [
        ("outgoing", "+15145550123"),
        ("incoming", "+15145550124"),
    ]
    assert found_in.tally.dropped == {"internal": 1}


def test_quirk_08_a_third_word_is_internal_manual_or_a_reject(tmp_path: Path) -> None:
    log = write(
        tmp_path / "log.csv",
        _CALL_LOG,
        "2024-05-31T11:00:00,A1,Ana (137),Luc (138),Internal,Answered,0:00:09,0:01:12,0",
        "2024-05-31T11:10:00,A2,5145550123,Luc (138),Conference,Answered,0:00:09,0:01:12,0",
    )
    result = check(log)
    assert (result.summary.dropped, exporting.rules(result)) == ({"internal": 1}, {"direction_unknown": 1})
    five9 = write(
        tmp_path / "five9.csv",
        "CALL ID,TIMESTAMP,CALL TYPE,AGENT,DISPOSITION,ANI,DNIS,TALK TIME",
        "1,2024-05-31 10:00,Manual,ana@example.com,Sale,,5145550123,00:02:05",
    )
    assert told(calls_of(five9, profile="five9"), "direction") == [("outgoing",)]


@pytest.mark.parametrize("agent", ["Ana Tremblay", "101", "ana@example.com", "SIP/101-0a", "Sales Queue"])
def test_quirk_09_an_agent_is_nobody_before_the_crm_or_a_person_says_who(tmp_path: Path, agent: str) -> None:
    """Whoever the file names is no user of the CRM before somebody has said which; a check can only count them."""
    path = write(
        tmp_path / "calls.csv", f"{_CANONICAL},agent_name", f"incoming,,2024-05-31T14:05Z,5,5145550123,{agent}"
    )
    result = check(path, unknown_agent="reject")
    assert exporting.rules(result) == {}
    assert any("1 call of agents to be looked up" in line for line in result.told)
    assert told(calls_of(path, unknown_agent="omit"), "executed_by") == [(None,)]
    assert told(calls_of(path, unknown_agent="default:12"), "executed_by") == [(12,)]


def test_quirk_10_rows_without_a_header_are_known_by_what_stands_in_them(tmp_path: Path) -> None:
    """Two orders, one file name."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    cdr_csv = write(
        tmp_path / "one" / "Master.csv",
        '"","101","5145550123","from-internal","""Ana"" <101>","PJSIP/101-00","PJSIP/trunk-01","Dial","x",'
        '"2024-01-27 15:07:24","2024-01-27 15:07:30","2024-01-27 15:07:51",27,21,"ANSWERED","DOCUMENTATION",'
        '"1706368044.0","","","1706368044.0",0',
    )
    cdr_custom = write(
        tmp_path / "two" / "Master.csv",
        '"""Ana"" <101>","101","5145550123","from-internal","PJSIP/101-02","PJSIP/trunk-03","Dial","x",'
        '"2024-01-27 15:07:24","2024-01-27 15:07:30","2024-01-27 15:07:51","27","21","ANSWERED","DOCUMENTATION","",'
        '"1706368044.0","",2',
    )
    for path in (cdr_csv, cdr_custom):
        found = told(calls_of(path), "_row", "customer_phone", "started_at", "duration_seconds")
        assert found == [(1, "+15145550123", "2024-01-27T15:07:24Z", 21)]


def test_quirk_10_a_header_may_stand_behind_a_preamble_or_be_two_lines(tmp_path: Path) -> None:
    log = write(
        tmp_path / "log.csv",
        "Call log of Garage Tremblay",
        '"From 5/1/2024 12:00:00 AM To 5/31/2024 11:59:59 PM"',
        "",
        _CALL_LOG,
        "2024-05-31T11:00:00,A1,5145550123,Ana (137),Inbound,Answered,0:00:09,0:01:12,0",
    )
    assert told(calls_of(log), "_row", "customer_phone") == [(5, "+15145550123")]
    header, types, row, *_ = (exporting.SAMPLES[0].parent / "cucm-two-lines.csv").read_text("utf-8").splitlines()
    cucm = write(tmp_path / "cucm.csv", header, types, row)
    found_in = exporting.resolved(cucm)
    assert told(exporting.calls(found_in), "_row", "customer_phone") == [(3, "+15145550123")]
    assert found_in.tally.read == 1


def test_quirk_11_the_order_of_day_and_month_is_told_by_the_whole_column(tmp_path: Path) -> None:
    """The 5th of June, because of the 31st in another file of the run."""
    header = "way,when,length,number"
    recipe = _recipe(tmp_path, time="date")
    paths = [
        write(tmp_path / f"{number}.csv", header, f"incoming,{day},5,514555012{number}")
        for number, day in enumerate(_MANY_DAYS)
    ]
    found = calls_of(*paths, profile=recipe)
    assert told(found, "started_at") == [("2024-06-05T13:00:00Z",), ("2024-05-31T18:05:00Z",)]


@pytest.mark.parametrize("days", [["05/06/2024 09:00"], ["31/05/2024 09:00", "05/31/2024 09:00"]])
def test_quirk_11_an_order_that_nobody_can_tell_is_not_guessed(tmp_path: Path, days: list[str]) -> None:
    """No date of the file tells it, or they contradict one another: all of its rows are rejects."""
    rows = [f"incoming,{day},5,514555012{number}" for number, day in enumerate(days)]
    path = write(tmp_path / "calls.csv", "way,when,length,number", *rows)
    assert exporting.rules(check(path, profile=_recipe(tmp_path, time="date"))) == {"started_at_unreadable": len(days)}


_SAME_TIME = (
    "2024-05-31 14:05", "2024/05/31 14:05:00", "31/5/2024 14:05", "5/31/2024 14:05", "5/31/2024 2:05:00 PM",
    "31/05/2024 2:05 p.m.", "2024-05-31T14:05:00.25", '"May 31, 2024 at 02:05PM"', "31 mai 2024 à 14 h 05",
    "5/31/2024 2:05:00\u202fPM",
)  # fmt: skip


@pytest.mark.parametrize("text", _SAME_TIME)
def test_quirk_11_a_date_in_whichever_form(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "calls.csv", "way,when,length,number", f"incoming,{text},5,5145550123")
    assert told(calls_of(path, profile=_recipe(tmp_path, time="date")), "started_at") == [("2024-05-31T18:05:00Z",)]


def test_quirk_11_date_and_time_in_several_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "calls.csv", "way,date,clock,length,number", "incoming,05/31/2024,02:05 PM,5,5145550123")
    recipe = _recipe(tmp_path, time="date", started='{ text = "{date} {clock}" }')
    assert told(calls_of(path, profile=recipe), "started_at") == [("2024-05-31T18:05:00Z",)]


def test_quirk_12_what_is_no_call_is_dropped_and_counted_by_its_kind(tmp_path: Path) -> None:
    path = write(
        tmp_path / "calls.csv",
        "Session Id,From Number,To Number,Result,Call Length,Call Start Time,Call Direction",
        "s-1,5145550123,101,Answered,00:01:30,2024-05-31T14:00:00Z,Inbound",
        "s-2,5145550124,5145550199,Fax Receipt Error,00:00:50,2024-05-31T14:10:00Z,Inbound",
        "s-3,102,101,Call connected,00:00:50,2024-05-31T14:20:00Z,Outbound",
        "s-4,5145550125,101,Reply,00:00:50,2024-05-31T14:30:00Z,Inbound",
    )
    summary = check(path).summary
    assert summary.dropped == {"fax": 1, "internal": 1, "other": 1}
    assert (summary.rows.calls, summary.rows.dropped) == (1, 3)


def test_quirk_12_the_leg_of_a_recorder_is_dropped(tmp_path: Path) -> None:
    header, row = (exporting.SAMPLES[0].parent / "cucm-one-line.csv").read_text("utf-8").splitlines()[:2]
    names, cells = [name.strip('"') for name in header.split(",")], row.split(",")
    cells[names.index("callingPartyNumber")] = "b002179144511001"
    path = write(tmp_path / "cucm.csv", header, row, ",".join(cells))
    assert check(path).summary.dropped == {"recording": 1}


_FRENCH = "Zoé Côté d’ici"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [("utf-8", ","), ("utf-8-sig", ";"), ("cp1252", ";"), ("utf-16", "\t"), ("utf-16-le", "|")],
)
def test_quirk_13_text_in_whichever_encoding_line_end_and_delimiter(
    tmp_path: Path, encoding: str, delimiter: str, end: str
) -> None:
    header = f"lead_id,{_CANONICAL},description"
    row = f"5000,incoming,,2024-05-31T14:05:09Z,5,+15145550123,{_FRENCH}"
    text = end.join((header, row)).replace(",", delimiter)
    path = tmp_path / "calls.csv"
    # Without a last line end, as four of nine files were.
    path.write_bytes(text.encode(encoding))
    assert told(calls_of(path, leads=None), "_row", "description") == [(2, _FRENCH)]


@pytest.mark.parametrize("text", ["", "Anonymous", "Unknown", "Restricted", "0", "Private", "Inconnu"])
def test_quirk_14_an_anonymous_caller_is_skipped_and_counted(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "calls.csv", _FREEPBX, _freepbx("1717178709.1", text, "101", dcontext="from-trunk"))
    result = check(path)
    assert (result.summary.skipped, result.summary.rows.rejected) == ({"anonymous": 1}, 0)


def test_quirk_15_a_row_of_sums_is_no_call(tmp_path: Path) -> None:
    path = write(
        tmp_path / "calls.csv",
        "Call Time,Caller ID,Destination,Did,Status,Ringing,Talking,Total Duration",
        "2024-05-31T11:05:00,5145550125,Ana Tremblay (137),15145550199,Answered,0:00:04,0:00:45,0:00:49",
        "Totals,1,,,,0:00:04,0:00:45,0:00:49",
    )
    summary = check(path).summary
    assert (summary.dropped, summary.rows.calls) == ({"totals": 1}, 1)


def test_quirk_15_a_report_of_nothing_but_sums_is_refused(tmp_path: Path) -> None:
    path = write(
        tmp_path / "queue.csv",
        "Queue report",
        "From 5/31/2024 12:00:00 AM To 5/31/2024 11:59:59 PM",
        "Agent,Calls,Talk time",
        "Ana Tremblay (137),12,0:45:10",
        "Total:,12,0:45:10",
    )
    with pytest.raises(errors.SchemaMismatch):
        check(path)


def test_quirk_16_the_header_of_another_version_is_the_same_column(tmp_path: Path) -> None:
    renamed = {"start_time": "startTime", "answered_by": "answeredBy"}
    header = ",".join(renamed.get(name, name) for name in _TWILIO.split(","))
    for name, first in (("new", header), ("old", _TWILIO), ("loud", _TWILIO.upper())):
        path = write(tmp_path / f"{name}.csv", first, _twilio("CA1"))
        assert told(calls_of(path), "call_id", "started_at") == [("CA1", "2024-05-31T18:05:09Z")]


def test_quirk_16_two_versions_in_one_run_are_of_one_recipe(tmp_path: Path) -> None:
    """An old and a new export of Aircall, side by side."""
    samples = [path for path in exporting.SAMPLES if path.stem.startswith("aircall")]
    assert len(samples) == 2
    apart = [told(calls_of(path, leads=exporting.leads(tmp_path)), "_row", "customer_phone") for path in samples]
    together = told(calls_of(*samples, leads=exporting.leads(tmp_path)), "_row", "customer_phone")
    assert together == [*apart[0], *apart[1]]


def test_quirk_17_a_quote_closed_in_the_middle_of_a_cell(tmp_path: Path) -> None:
    row = _freepbx("1717178709.1", "101", "5145550123", clid='"Ana, Luc" <101>')
    path = write(tmp_path / "calls.csv", _FREEPBX, row)
    assert told(calls_of(path), "customer_phone") == [("+15145550123",)]


def test_quirk_17_a_row_of_another_width_is_a_reject_that_says_so(tmp_path: Path) -> None:
    sound = "incoming,,2024-05-31T14:05:09Z,5,+15145550123"
    path = write(
        tmp_path / "calls.csv", _CANONICAL, sound, "incoming,,2024-05-31T14:15:09Z,5", f"{sound},x", f"{sound},,"
    )
    result = check(path)
    assert exporting.rules(result) == {"ragged": 2}
    assert result.findings[0].examples == ("calls.csv row 3", "calls.csv row 4")


def test_quirk_17_a_comma_escaped_without_quotes_is_a_reject_and_no_other_call(tmp_path: Path) -> None:
    path = write(
        tmp_path / "calls.csv",
        f"lead_id,description,{_CANONICAL}",
        r"5000,Tremblay\, Ana,incoming,,2024-05-31T14:05:09Z,5,+15145550123",
    )
    assert set(exporting.rules(check(path))) == {"ragged"}


def test_quirk_18_a_recording_is_a_name_and_nothing_is_fetched(tmp_path: Path) -> None:
    name = "out-5145550123-101-20240531-140509-1717178709.1.wav"
    path = write(tmp_path / "calls.csv", _FREEPBX, _freepbx("1717178709.1", "101", "5145550123", recordingfile=name))
    assert told(calls_of(path), "recording") == [(name,)]


@pytest.mark.parametrize("text", ["../secret.wav", "/etc/passwd", "C:\\calls\\1.wav"])
def test_quirk_18_a_recording_outside_its_folder_is_a_reject(tmp_path: Path, text: str) -> None:
    path = write(
        tmp_path / "calls.csv", f"{_CANONICAL},recording", f"incoming,,2024-05-31T14:05Z,5,+15145550123,{text}"
    )
    assert exporting.rules(check(path)) == {"recording_path": 1}


@pytest.mark.parametrize("text", ["5.145550100E+9", "5.15E+09", "1.51455501E+10", "5,14555E+09", "########"])
def test_quirk_19_a_number_that_excel_damaged_is_a_reject_that_says_so(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "calls.csv", "way,when,length,number", f'incoming,2024-05-31T14:05Z,5,"{text}"')
    result = check(path, profile=_recipe(tmp_path))
    assert exporting.rules(result) == {"customer_phone_e164": 1}
    assert "spreadsheet" in result.findings[0].message


def test_quirk_19_a_lost_plus_sign_is_no_other_number(tmp_path: Path) -> None:
    """33145550123 without its plus is not a number of Canada; what it was nobody can tell."""
    path = write(tmp_path / "calls.csv", "way,when,length,number", "incoming,2024-05-31T14:05Z,5,33145550123")
    assert exporting.rules(check(path, profile=_recipe(tmp_path))) == {"customer_phone_e164": 1}


@pytest.mark.parametrize("linkedid", ["1717178709,1", "1,71718E+09"])
def test_quirk_19_an_id_that_excel_cut_short_is_a_reject_that_says_so(tmp_path: Path, linkedid: str) -> None:
    """Two calls of one second would share what is left of their ids."""
    cells = "2024-05-31 14:05:09,,5145550123,101,from-trunk,PJSIP/t-1,PJSIP/101-2,Dial,,20,12,ANSWERED,3,"
    path = write(tmp_path / "cdr.csv", _FREEPBX, f'{cells},"{linkedid}",,5145550199,,"{linkedid}"')
    result = check(path)
    assert exporting.rules(result) == {"damaged": 1}
    assert "spreadsheet" in result.findings[0].message


@pytest.mark.parametrize("mark", ["/", "-"])
def test_quirk_19_lost_seconds_are_whole_minutes(tmp_path: Path, mark: str) -> None:
    """With the year in two digits the dates tell nothing: the 31st and the 30th may be years."""

    def calls(year: str) -> Path:
        return write(
            tmp_path / "cdr.csv",
            "calldate,src,dst,duration,billsec,disposition",
            f"31{mark}08{mark}{year} 09:32,101,5145550123,20,12,ANSWERED",
            f"30{mark}08{mark}{year} 09:40,5145550124,102,20,0,NO ANSWER",
            end="\r",
        )

    assert told(calls_of(calls("2024")), "started_at") == [("2024-08-31T13:32:00Z",), ("2024-08-30T13:40:00Z",)]
    assert exporting.rules(check(calls("24"))) == {"started_at_unreadable": 2}


def test_parquet_with_the_habits_of_pandas(tmp_path: Path) -> None:
    """Phones and ids as numbers, missing ones as NaN, times with and without a zone, spans of time."""
    start = pl.Series([0, 600_000_000], dtype=pl.Int64)
    frame = pl.DataFrame({
        "call_id": [1717178709.0, float("nan")],
        "lead_id": [5001.0, 5002.0],
        "direction": ["incoming", "outgoing"],
        "started_at": start.cast(pl.Datetime("us")) + timedelta(days=19_874, hours=14),
        "duration_seconds": [timedelta(seconds=95), timedelta(0)],
        "customer_phone": [15145550123, 15145550124],
    })  # fmt: skip
    naive, aware = tmp_path / "naive.parquet", tmp_path / "aware.parquet"
    frame.write_parquet(naive)
    frame.with_columns(pl.col("started_at").dt.replace_time_zone("America/Toronto")).write_parquet(aware)
    columns = ("call_id", "lead_id", "started_at", "duration_seconds", "customer_phone")
    found = told(calls_of(naive, leads=None), *columns)
    assert found == [
        ("1717178709", 5001, "2024-05-31T18:00:00Z", 95, "+15145550123"),
        (None, 5002, "2024-05-31T18:10:00Z", 0, "+15145550124"),
    ]
    assert told(calls_of(aware, leads=None, timezone=None), *columns) == found
