"""From files to calls as a whole: no dialect changes a call, no chunk splits one, whoever is left out is counted."""

import csv
import functools
import gzip
import io
import itertools
import sys
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callimport.core import errors, models
from callimport.extract import reader
from callimport.transform.counts import Tally
from tests import exporting
from tests.exporting import calls, calls_of, check, inputs, resolved, told, write

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_NUMBER = itertools.count()
_COLUMNS = (
    "call_id", "lead_id", "direction", "status", "started_at", "duration_seconds", "customer_phone", "agent_id",
    "description",
)  # fmt: skip


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows a chunk."""
    monkeypatch.setattr(reader, "read", functools.partial(reader.read, chunk_rows=2))


# ── any dialect ──────────────────────────────────────────────────────────────────────────────────────────────────────

# Text that cp1252 knows, too, and that no reader strips.
_TEXT = st.text(st.sampled_from("aé€œ0,;|\t\"'\r\n= "), max_size=8).map(lambda text: text.strip())
_START = st.datetimes(datetime(1991, 1, 1), datetime(2026, 1, 1)).map(lambda moment: moment.replace(microsecond=0))  # noqa: DTZ001


@st.composite
def _tables(draw: st.DrawFn) -> list[dict[str, str]]:
    """Sound rows; one of them twice, perhaps, and one with a fault. Ids differ: calls are told apart by them."""
    rows = [draw(_sound(number)) for number in range(draw(st.integers(0, 6)))]
    is_twice, is_faulty = draw(st.booleans()), draw(st.booleans())
    if rows and is_twice:
        rows.append(draw(st.sampled_from(rows)))
    if rows and is_faulty:
        rows.append(rows[0] | {"call_id": "bad", draw(st.sampled_from(["started_at", "direction", "lead_id"])): "soon"})
    return rows


def _sound(number: int) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries({
        "call_id": st.just(f"c{number}"),
        "lead_id": st.integers(1, 2**40).map(str),
        "direction": st.sampled_from(["incoming", "outgoing"]),
        "status": st.sampled_from(["answered", "attempted", "error", "unanswered", ""]),
        "started_at": st.builds("{}{}".format, _START, st.sampled_from(["Z", "-04:00", "+05:30"])),
        "duration_seconds": st.integers(0, 86_400).map(str),
        "customer_phone": st.integers(100, 199).map("+15145550{}".format),
        "agent_id": st.integers(1, 500).map(str),
        "description": _TEXT,
    })  # fmt: skip


def _text(rows: list[dict[str, str]], delimiter: str, end: str, *, all_quoted: bool) -> str:
    """Unlike the csv module's writer this quotes each line end inside a cell, whatever ends a row."""

    def cell(text: str) -> str:
        is_quoted = all_quoted or any(mark in text for mark in f'"{delimiter}\r\n')
        return '"' + text.replace('"', '""') + '"' if is_quoted else text

    records = [_COLUMNS, *([row[name] for name in _COLUMNS] for row in rows)]
    return "".join(delimiter.join(map(cell, record)) + end for record in records)


def _zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("calls.csv", content)
    return packed.getvalue()


_PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    ".csv": bytes,
    ".csv.gz": gzip.compress,
    ".csv.zst": zstd.compress,
    ".zip": _zipped,
}


def _seen(path: Path) -> tuple[list[tuple[Any, ...]], list[tuple[str, ...]], int]:
    """What becomes of a file: its calls in full but for the physical row, what is wrong with the others, rows read."""
    found = resolved(path, leads=None, timezone=None, profile="canonical")
    some = [tuple(one.values())[2:] for one in exporting.planned(found)]
    rejects = [tuple(reason.rule for reason in reasons) for _, reasons in sorted(found.tally.rejects.items())]
    return some, rejects, found.tally.read


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=_tables(),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"]),
    all_quoted=st.booleans(),
    suffix=st.sampled_from(sorted(_PACKINGS)),
    is_closed=st.booleans(),
)
def test_the_same_calls_come_out_of_every_dialect(
    tmp_path: Path,
    rows: list[dict[str, str]],
    delimiter: str,
    end: str,
    codec: str,
    all_quoted: bool,
    suffix: str,
    is_closed: bool,
) -> None:
    plain = tmp_path / f"{next(_NUMBER)}.csv"
    plain.write_text(_text(rows, ",", "\n", all_quoted=True), "utf-8", newline="")
    written = _text(rows, delimiter, end, all_quoted=all_quoted)
    path = tmp_path / f"{next(_NUMBER)}{suffix}"
    path.write_bytes(_PACKINGS[suffix]((written if is_closed else written.removesuffix(end)).encode(codec)))
    seen = _seen(plain)
    assert _seen(path) == seen
    assert seen[2] == len(rows)
    counted = check(path, timezone=None).summary.rows
    assert (counted.read, counted.rejected) == (len(rows), len(seen[1]))


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=_tables(), as_numbers=st.booleans())
def test_the_same_calls_come_out_of_parquet(tmp_path: Path, rows: list[dict[str, str]], as_numbers: bool) -> None:
    plain, path = tmp_path / f"{next(_NUMBER)}.csv", tmp_path / f"{next(_NUMBER)}.parquet"
    plain.write_text(_text(rows, ",", "\n", all_quoted=True), "utf-8", newline="")
    frame = pl.DataFrame(rows, schema=dict.fromkeys(_COLUMNS, pl.String))
    if as_numbers and not any(row["call_id"] == "bad" for row in rows):
        frame = frame.with_columns(
            pl.col("lead_id", "duration_seconds", "agent_id").cast(pl.Int64),
            pl.col("started_at").str.to_datetime(time_unit="us", time_zone="UTC"),
        )
    frame.write_parquet(path)
    assert _seen(path) == _seen(plain)


def _counted(tally: Tally) -> dict[str, Any]:
    names = ("read", "joined", "calls", "duplicate", "dropped", "skipped", "rejects")
    return {name: getattr(tally, name) for name in names}


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("sample", exporting.SAMPLES, ids=lambda path: path.stem)
def test_chunks_change_nothing(tmp_path: Path, sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, leads = exporting.profile_of(sample), exporting.leads(tmp_path)
    in_chunks = resolved(sample, profile=name, leads=leads)
    found = calls(in_chunks)
    monkeypatch.undo()
    whole = resolved(sample, profile=name, leads=leads)
    assert found == calls(whole)
    assert _counted(in_chunks.tally) == _counted(whole.tally)


# ── legs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

_FREEPBX = "calldate,src,dst,dcontext,dstchannel,lastapp,billsec,disposition,uniqueid,linkedid"


def _leg(number: int, group: int, *, talk: str = "0", src: str = "5145550123") -> str:
    """Of a call that came in at 14:05:00 and rang at one desk after the other, every five seconds."""
    start = datetime(2024, 5, 31, 14, 5, tzinfo=UTC) + timedelta(seconds=5 * number)
    answered = "ANSWERED" if talk != "0" else "NO ANSWER"
    epoch = int(start.timestamp()) + 4 * 3600
    return (
        f"{start:%Y-%m-%d %H:%M:%S},{src},600,ext-group,PJSIP/10{number}-0,Dial,{talk},{answered},{epoch}.{number},"
        f"1717178700.{group}"
    )


@pytest.mark.usefixtures("small_chunks")
def test_a_call_split_over_chunks_is_one(tmp_path: Path) -> None:
    other = _leg(7, 2, talk="9", src="5145550124")
    path = write(tmp_path / "cdr.csv", _FREEPBX, _leg(0, 1), _leg(1, 1), other, _leg(2, 1, talk="40"), _leg(3, 1))
    found = resolved(path)
    assert told(calls(found), "_row", "call_id", "started_at", "duration_seconds") == [
        (4, "1717178700.2", "2024-05-31T18:05:35Z", 9),
        (5, "1717178700.1", "2024-05-31T18:05:00Z", 40),
    ]
    assert (found.tally.read, found.tally.joined, found.tally.calls) == (5, 3, 2)


@pytest.mark.usefixtures("small_chunks")
def test_a_call_split_over_files_is_one(tmp_path: Path) -> None:
    """Midnight falls into it: its first legs are in yesterday's file."""
    one = write(tmp_path / "1.csv", _FREEPBX, _leg(0, 1), _leg(1, 1))
    two = write(tmp_path / "2.csv", _FREEPBX, _leg(2, 1, talk="40"), _leg(7, 2, talk="9", src="5145550124"))
    for paths, at in (((one, two), 1), ((two, one), 0)):
        found = resolved(*paths)
        assert told(calls(found), "_source", "_row", "started_at", "duration_seconds") == [
            (at, 2, "2024-05-31T18:05:00Z", 40),
            (at, 3, "2024-05-31T18:05:35Z", 9),
        ]
        assert found.tally.joined == 2


@pytest.mark.usefixtures("small_chunks")
def test_a_call_that_is_rejected_after_all_takes_its_legs_along(tmp_path: Path) -> None:
    """Mended and fed in again, it would else begin with the one leg that was left of it."""
    leads = write(tmp_path / "leads.csv", "phone,lead_id", "+15145550123,5003", "+15145550123,5004")
    path = write(tmp_path / "cdr.csv", _FREEPBX, _leg(0, 1), _leg(1, 1, talk="40"), _leg(7, 2, src="5145550124"))
    rejects = tmp_path / "rejects.csv"
    result = check(path, leads=leads, rejects=rejects)
    assert exporting.rules(result) == {"lead_several": 1, "leg_rejected": 1}
    assert (result.summary.rows.rejected, result.summary.rows.joined) == (2, 0)
    with rejects.open(encoding="utf-8-sig", newline="") as file:
        assert [row["billsec"] for row in csv.DictReader(file)] == ["0", "40"]


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("several", [False, True])
def test_one_bad_leg_rejects_the_whole_call_with_all_its_rows(tmp_path: Path, several: bool) -> None:
    rows = [_leg(0, 1), _leg(1, 1, talk="soon"), _leg(7, 2, talk="9", src="5145550124"), _leg(2, 1, talk="40")]
    parts = [rows[:1], rows[1:]] if several else [rows]
    paths = [write(tmp_path / f"{number}.csv", _FREEPBX, *part) for number, part in enumerate(parts)]
    rejects = tmp_path / "rejects" / "rejects.csv"
    rejects.parent.mkdir()
    result = check(*paths, rejects=rejects)
    assert exporting.rules(result) == {"leg_rejected": 2, "duration_number": 1}
    assert (result.summary.rows.rejected, result.summary.rows.calls) == (3, 1)
    with rejects.open(encoding="utf-8-sig", newline="") as file:
        kept = list(csv.DictReader(file))
    assert [row["billsec"] for row in kept] == ["0", "soon", "40"]
    # The sound ones say which row is to be mended.
    told = [row["_reasons"].partition(" is a leg")[0].removeprefix("leg_rejected: ") for row in kept]
    assert [told[0], told[2]] == (["row 2 of 1.csv", "row 2"] if several else ["row 3", "row 3"])


@pytest.mark.usefixtures("small_chunks")
def test_an_anonymous_call_of_several_rows_is_skipped_once(tmp_path: Path) -> None:
    rows = [_leg(number, 1, src="Anonymous") for number in range(5)]
    path = write(tmp_path / "cdr.csv", _FREEPBX, *rows, _leg(7, 2, src="Anonymous"))
    summary = check(path).summary
    assert (summary.skipped, summary.rows.joined, summary.rows.calls) == ({"anonymous": 2}, 4, 2)


def test_a_call_of_one_row_and_one_of_several_keep_the_ids_of_their_rows(tmp_path: Path) -> None:
    """Which rows a call was made of is what tomorrow's window is compared with."""
    path = write(tmp_path / "cdr.csv", _FREEPBX, _leg(0, 1), _leg(1, 1, talk="9"), _leg(2, 2, src="5145550124"))
    legs = [one["legs"] for one in exporting.planned(resolved(path))]
    assert legs == ["1717178700.0\n1717178705.1", "1717178710.2"]


# ── who is left out ──────────────────────────────────────────────────────────────────────────────────────────────────

_CANONICAL = "lead_id,direction,status,started_at,duration_seconds,customer_phone"
_FIVE = (
    "5001,incoming,answered,2024-05-31T00:00:00,60,+15145550101",
    "5002,outgoing,answered,2024-05-31T23:59:59,9,+15145550102",
    "5003,incoming,unanswered,2024-06-01T00:00:00,0,+15145550103",
    "5004,outgoing,attempted,2024-06-01T12:00:00,0,+15145550104",
    "5005,outgoing,error,2024-06-02T12:00:00,0,+15145550105",
)


@pytest.mark.parametrize(
    ("asked", "kept", "why"),
    [
        ({}, (1, 2, 3, 4, 5), None),
        ({"own_numbers": ("+1 514 555-0102", "5145550104")}, (1, 3, 5), models.Skip.OWN_NUMBER),
        ({"only": "answered"}, (1, 2), models.Skip.EXCLUDED),
        ({"only": "answered,incoming"}, (1,), models.Skip.EXCLUDED),
        ({"only": "Incoming, outgoing,answered , interrupted"}, (1, 2, 3), models.Skip.EXCLUDED),
        ({"min_duration": 9}, (1, 2), models.Skip.EXCLUDED),
        ({"min_duration": 61}, (), models.Skip.EXCLUDED),
        ({"since": date(2024, 6, 1)}, (3, 4, 5), models.Skip.OUTSIDE_DATES),
        ({"until": date(2024, 6, 1)}, (1, 2, 3, 4), models.Skip.OUTSIDE_DATES),
        ({"since": date(2024, 5, 31), "until": date(2024, 5, 31)}, (1, 2), models.Skip.OUTSIDE_DATES),
        # Half past seven in the evening is another day in London.
        ({"since": date(2024, 6, 1), "timezone": "Europe/London"}, (3, 4, 5), models.Skip.OUTSIDE_DATES),
    ],
    ids=str,
)
def test_what_is_not_wanted_is_skipped_and_counted(
    tmp_path: Path, asked: dict[str, Any], kept: tuple[int, ...], why: models.Skip | None
) -> None:
    path = write(tmp_path / "calls.csv", _CANONICAL, *_FIVE)
    found = resolved(path, leads=None, **asked)
    assert [call["lead_id"] - 5000 for call in calls(found)] == list(kept)
    summary = check(path, **asked).summary
    assert summary.skipped == ({why: 5 - len(kept)} if why else {})
    assert (summary.calls.pending, summary.exit_code) == (len(kept), 0)


def test_numbers_to_leave_out_stand_in_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "calls.csv", _CANONICAL, *_FIVE)
    staff = write(tmp_path / "staff.txt", "number,name", "514-555-0101,Ana", "+15145550105,Garage  # supplier")
    summary = check(path, exclude_numbers=staff).summary
    assert (summary.skipped, summary.calls.pending) == ({models.Skip.EXCLUDED: 2}, 3)


def test_numbers_of_the_house_may_stand_in_a_file_and_beside_one(tmp_path: Path) -> None:
    path = write(tmp_path / "calls.csv", _CANONICAL, *_FIVE)
    house = write(tmp_path / "house.txt", "514-555-0101", "514-555-0102")
    summary = check(path, own_numbers=(str(house), "+15145550103")).summary
    assert (summary.skipped, summary.calls.pending) == ({models.Skip.OWN_NUMBER: 3}, 2)


def test_a_number_of_the_house_is_not_the_customer_on_either_side(tmp_path: Path) -> None:
    path = write(
        tmp_path / "calls.csv",
        "sid,direction,status,start_time,duration,from,to",
        "CA1,inbound,completed,2024-05-31T18:05:09Z,5,+15145550199,+15145550123",
        "CA2,outbound-api,completed,2024-05-31T18:15:09Z,5,+15145550124,+15145550199",
        "CA3,inbound,completed,2024-05-31T18:25:09Z,5,+15145550123,+15145550199",
    )
    found = resolved(path, own_numbers=("5145550199",))
    assert told(calls(found), "call_id", "customer_phone") == [("CA3", "+15145550123")]
    assert found.tally.skipped == {models.Skip.OWN_NUMBER: 2}


@pytest.mark.parametrize(
    ("region", "text", "e164"), [("CA", "(514) 555-0123", "+15145550123"), ("FR", "01 99 00 12 34", "+33199001234")]
)
def test_a_number_without_a_country_is_of_the_region(tmp_path: Path, region: str, text: str, e164: str) -> None:
    path = write(tmp_path / "calls.csv", _CANONICAL, f"5001,incoming,answered,2024-05-31T00:00:00,60,{text}")
    assert told(calls_of(path, leads=None, region=region), "customer_phone") == [(e164,)]
    other = next(name for name in ("CA", "FR") if name != region)
    assert exporting.rules(check(path, region=other)) == {"customer_phone_e164": 1}


def test_a_call_is_left_out_for_one_reason(tmp_path: Path) -> None:
    """Days first; of the house before all."""
    path = write(tmp_path / "calls.csv", _CANONICAL, *_FIVE)
    everything: Mapping[str, Any] = {
        "since": date(2024, 6, 1), "only": "incoming", "min_duration": 1, "own_numbers": ("5145550101",),
    }  # fmt: skip
    summary = check(path, **everything).summary
    assert summary.skipped == {"own_number": 1, "outside_dates": 1, "excluded": 3}
    assert summary.calls.pending == 0


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"only": "answered,missed"}, '--only "missed" is not known; use outgoing, incoming, answered'),
        ({"own_numbers": ("5145550199", "reception")}, '--own-number "reception" is neither a number nor a file'),
        ({"own_numbers": ("101",)}, "--own-number"),
        ({"exclude_numbers": Path("nowhere.txt")}, "nowhere.txt"),
        ({"since": date(2024, 1, 1), "timezone": None}, "state it, as in --timezone America/Toronto"),
        ({"unknown_agent": "guess"}, "--unknown-agent"),
    ],
    ids=str,
)
def test_a_wrong_word_is_one_line(tmp_path: Path, asked: dict[str, Any], says: str) -> None:
    path = write(tmp_path / "calls.csv", _CANONICAL, *_FIVE)
    with pytest.raises(errors.ImporterError) as caught:
        check(path, **asked)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"only": "answered"}, {"only": None}),
        ({"min_duration": 5}, {"min_duration": 6}),
        ({"own_numbers": ("5145550199",)}, {"own_numbers": ("5145550198",)}),
        ({"region": "CA"}, {"region": "FR"}),
        ({"outside_line": "9"}, {"outside_line": None}),
        ({"outside_line": ""}, {"outside_line": None}),
        ({"area_code": "514"}, {"area_code": "438"}),
        ({"since": date(2024, 1, 1)}, {"until": date(2024, 1, 1)}),
    ],
    ids=str,
)
def test_whoever_is_left_out_is_part_of_the_batch(tmp_path: Path, one: dict[str, Any], other: dict[str, Any]) -> None:
    """Another choice is another batch: what is pending of the first is not taken along unasked."""
    path = write(tmp_path / "calls.csv", _CANONICAL, *_FIVE)
    assert inputs(path, leads=None, **one).batch.id != inputs(path, leads=None, **other).batch.id
    assert inputs(path, leads=None, **one).batch.id == inputs(path, leads=None, **one).batch.id


def test_dialling_options_that_are_not_stated_are_no_part_of_the_batch(tmp_path: Path) -> None:
    path = write(tmp_path / "calls.csv", _CANONICAL, *_FIVE)
    assert not {"outside-line", "area-code"} & inputs(path, leads=None).batch.settings.keys()


@pytest.mark.parametrize(
    ("status", "seconds", "rules"),
    [
        ("answered", "5", {"customer_phone_e164": 1, "agent_unknown": 1}),
        ("", "5", {"customer_phone_e164": 1, "agent_unknown": 1}),
        ("", "0", {"customer_phone_e164": 1}),
        ("Unanswered", "5", {"customer_phone_e164": 1}),
        ("error", "", {"customer_phone_e164": 1}),
    ],
)
def test_a_faulty_row_that_nobody_answered_lacks_no_agent(
    tmp_path: Path, status: str, seconds: str, rules: dict[str, int]
) -> None:
    header = "direction,status,started_at,duration_seconds,customer_phone"
    path = write(tmp_path / "calls.csv", header, f"incoming,{status},2024-05-31T14:05:09Z,{seconds},514555")
    assert exporting.rules(check(path, unknown_agent="reject")) == rules


def test_seven_digits_have_the_stated_area_code_in_every_list(tmp_path: Path) -> None:
    header = "direction,status,started_at,duration_seconds,customer_phone"
    rows = [f"incoming,answered,2024-05-31T14:05:0{n}Z,5,555-010{n}" for n in range(3)]
    path = write(tmp_path / "calls.csv", header, *rows)
    house = write(tmp_path / "house.txt", "555-0100")
    lead = write(tmp_path / "lead.csv", "phone,lead_id", "555-0101,5001")
    asked = {"own_numbers": (str(house),), "exclude_numbers": write(tmp_path / "others.txt", "555-0102"), "leads": lead}
    assert told(calls_of(path, area_code="514", **asked), "customer_phone", "lead_id") == [("+15145550101", 5001)]
    with pytest.raises(errors.SourceError, match="--area-code"):
        check(path, **asked)


def test_the_same_numbers_written_otherwise_are_the_same_batch(tmp_path: Path) -> None:
    path = write(tmp_path / "calls.csv", _CANONICAL, *_FIVE)
    house = write(tmp_path / "house.txt", "+15145550198", "(514) 555-0199")
    stated = inputs(path, leads=None, own_numbers=("5145550199", "514 555-0198")).batch
    assert stated.id == inputs(path, leads=None, own_numbers=(str(house),)).batch.id
    assert "0199" not in str(stated.settings)
