"""Files of several phone systems in one run: each is read by its own profile, and nothing of one system is compared
with what another system calls the same."""

import csv
import itertools
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callimport.core import errors
from callimport.resolve.resolution import Resolution
from tests import exporting
from tests.exporting import check, inputs, resolved, write
from tests.rehearsal import ROOT

_NUMBER = itertools.count()
# By profile: exports whose first line is their header.
_EXPORTS = {
    "3cx": ("3cx-call-log",),
    "canonical": ("canonical",),
    "dialpad": ("dialpad",),
    "freepbx": ("freepbx-linkedid", "freepbx-dump"),
    "twilio": ("twilio",),
}
_THREE_CX = "Call Time,Call ID,From,To,Direction,Status,Ringing,Talking"
_FREEPBX = "calldate,src,dst,dcontext,dstchannel,lastapp,billsec,disposition,uniqueid,linkedid"
_CANONICAL = "call_id,direction,started_at,duration_seconds,customer_phone"


def _three_cx(number: int, at: str = "14:05:09", call_id: str = "7") -> str:
    return f"2024-05-31 {at},{call_id},5145550{number},Ana (101),Inbound,Answered,00:00:05,00:01:00"


def _freepbx(number: int, at: str = "14:05:09", group: str = "1717178709.1") -> str:
    return f"2024-05-31 {at},5145550{number},600,ext-group,PJSIP/101-0,Dial,60,ANSWERED,{group},{group}"


def _canonical(number: int, at: str = "14:05:09", call_id: str = "7") -> str:
    return f"{call_id},incoming,2024-05-31T{at}-04:00,60,+15145550{number}"


def _seen(of: Resolution) -> Counter[tuple[Any, ...]]:
    """Keys and payloads of the calls, each with the file and the row that it comes from."""
    found = [tuple(one.values()) for one in exporting.planned(of)]
    return Counter((of.exports.sources[source].name, *told) for source, *told in found)


def _keys(of: Resolution) -> set[str]:
    return {one["key"] for one in exporting.planned(of)}


def _told(runs: Iterable[Resolution]) -> tuple[int, int, Counter[str], Counter[str], Counter[Any]]:
    """The counts of one run or several, and the rejects."""
    tallies = [(of, of.tally) for of in runs]
    return (
        sum(tally.read for _, tally in tallies),
        sum(tally.joined for _, tally in tallies),
        sum((tally.dropped for _, tally in tallies), Counter()),
        sum((tally.skipped for _, tally in tallies), Counter()),
        Counter(
            (of.exports.sources[place.source].name, place.row, reasons)
            for of, tally in tallies
            for place, reasons in tally.rejects.items()
        ),
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(profiles=st.sets(st.sampled_from(sorted(_EXPORTS)), min_size=2), chance=st.randoms(use_true_random=False))
def test_a_run_of_several_systems_makes_the_calls_that_runs_of_their_own_make(
    tmp_path: Path, profiles: set[str], chance: random.Random
) -> None:
    folder = tmp_path / str(next(_NUMBER))
    folder.mkdir()
    files = {name: _split(name, folder, chance) for name in sorted(profiles)}
    all_files = [path for some in files.values() for path in some]
    chance.shuffle(all_files)
    leads = exporting.leads(folder)
    together = resolved(*all_files, leads=leads)
    apart = [resolved(*some, leads=leads) for some in files.values()]
    assert _seen(together) == sum((_seen(one) for one in apart), Counter())
    assert _told([together]) == _told(apart)


def _split(name: str, folder: Path, chance: random.Random) -> list[Path]:
    """The rows of an export, in files of their own by chance."""
    with (ROOT / "tests" / "exports" / f"{chance.choice(_EXPORTS[name])}.csv").open(
        newline="", encoding="utf-8"
    ) as file:
        header, *rows = csv.reader(file)
    parts: dict[int, list[list[str]]] = {}
    for row in rows:
        parts.setdefault(chance.randrange(3), []).append(row)
    paths = []
    for number, part in parts.items():
        paths.append(folder / f"{name}-{number}.csv")
        with paths[-1].open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *part])
    return paths


def test_one_report_counts_the_rows_of_all_systems(tmp_path: Path) -> None:
    ours = write(tmp_path / "a.csv", _THREE_CX, _three_cx(123), "soon,8,5145550124,101,Inbound,Answered,0:05,1:00")
    theirs = write(tmp_path / "b.csv", _FREEPBX, _freepbx(125), _freepbx(126, group="1717178709.2"))
    result = check(ours, theirs, leads=exporting.leads(tmp_path))
    assert (result.summary.rows.read, result.summary.rows.rejected, result.summary.calls.pending) == (4, 1, 3)


def test_equal_ids_of_two_systems_are_two_calls(tmp_path: Path) -> None:
    """Equal in all that a call is known by but the system: neither copies nor twins nor legs."""
    ours = write(tmp_path / "a.csv", _THREE_CX, _three_cx(123, call_id="1717178709.1"))
    theirs = write(tmp_path / "b.csv", _FREEPBX, _freepbx(124))
    canonical = write(tmp_path / "c.csv", _CANONICAL, _canonical(125, call_id="1717178709.1"))
    calls = check(ours, theirs, canonical, leads=exporting.leads(tmp_path)).summary.calls
    assert (calls.total, calls.duplicate, calls.pending) == (3, 0, 3)


def test_day_and_month_are_told_by_the_files_of_one_system_alone(tmp_path: Path) -> None:
    theirs = write(tmp_path / "b.csv", _FREEPBX, _freepbx(123).replace("2024-05-31", "05/06/2024"))
    other = write(tmp_path / "t.csv", _TWILIO, "CA1,inbound,completed,31/05/2024 18:05:09,60,+15145550124,+15145550199")
    together, alone = (
        exporting.rules(check(*files, leads=exporting.leads(tmp_path))) for files in ((theirs, other), (theirs,))
    )
    assert together == alone


_TWILIO = "sid,direction,status,start_time,duration,from,to"


def test_system_cannot_name_the_installations_of_two_profiles(tmp_path: Path) -> None:
    ours, theirs = write(tmp_path / "a.csv", _THREE_CX, _three_cx(123)), write(tmp_path / "b.csv", _FREEPBX)
    with pytest.raises(
        errors.ConfigError, match=r"of 2 profiles \(3cx, freepbx\): import each system in a run of its own"
    ):
        inputs(ours, theirs, system="north")
    assert inputs(ours, write(tmp_path / "c.csv", _THREE_CX), system="north").by_profile[0].system == "north"


def test_a_file_that_no_profile_knows_refuses_the_run(tmp_path: Path) -> None:
    ours = write(tmp_path / "a.csv", _THREE_CX, _three_cx(123))
    with pytest.raises(errors.SchemaMismatch, match=r"^odd.csv: no profile fits"):
        inputs(ours, write(tmp_path / "odd.csv", "when,who", "2024-05-31,Ana"))


def test_profile_says_that_all_files_are_of_one(tmp_path: Path) -> None:
    ours, theirs = write(tmp_path / "a.csv", _THREE_CX, _three_cx(123)), write(tmp_path / "b.csv", _FREEPBX)
    with pytest.raises(errors.SchemaMismatch, match=r"^b.csv: it is not what profile 3cx says"):
        inputs(ours, theirs, profile="3cx")


def test_the_batch_of_one_profile_is_named_as_before_and_that_of_several_does_not_hang_on_the_order(
    tmp_path: Path,
) -> None:
    ours, theirs = write(tmp_path / "a.csv", _THREE_CX, _three_cx(123)), write(tmp_path / "b.csv", _FREEPBX)
    alone, two, too = inputs(ours), inputs(ours, theirs), inputs(theirs, ours)
    assert two.batch.id == too.batch.id
    assert {name for name in alone.batch.settings if name[-1].isdigit()} == set()
    assert (two.batch.settings["system"], two.batch.settings["system 2"]) == ("3cx", "freepbx")
    assert two.shape(two.by_profile[0]) == alone.shape(alone.by_profile[0])


def test_a_stated_zone_in_place_of_a_profiles_own_is_told(tmp_path: Path) -> None:
    ours = write(tmp_path / "a.csv", _THREE_CX, _three_cx(123))
    other = write(tmp_path / "t.csv", _TWILIO)
    (told,) = [line for line in inputs(ours, other).exports.told if "--timezone" in line]
    assert told.startswith("twilio: times without an offset are read in America/Toronto (--timezone), not in UTC")


# ── rejects ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_reject_file_of_several_systems_is_mended_and_read_again(tmp_path: Path) -> None:
    ours = write(tmp_path / "a.csv", _THREE_CX, _three_cx(123, "soon"), _three_cx(126, call_id="8"))
    theirs = write(tmp_path / "b.csv", _FREEPBX, _freepbx(124, "late"))
    canonical = write(tmp_path / "c.csv", _CANONICAL, _canonical(125, "then"), _canonical(127, "never", "9"))
    leads, rejects = exporting.leads(tmp_path), tmp_path / "rejects.csv"
    first = check(ours, theirs, canonical, leads=leads, rejects=rejects)
    assert first.summary.rows.rejected == 4

    text = rejects.read_text("utf-8-sig")
    for slip in ("soon", "late", "then"):
        text = text.replace(slip, "14:05:09")
    rejects.write_text(text, "utf-8")
    mended = resolved(rejects, leads=leads)
    wanted = resolved(
        write(tmp_path / "a2.csv", _THREE_CX, _three_cx(123)),
        write(tmp_path / "b2.csv", _FREEPBX, _freepbx(124)),
        write(tmp_path / "c2.csv", _CANONICAL, _canonical(125)),
        leads=leads,
    )
    assert _keys(mended) == _keys(wanted)
    assert (mended.tally.read, len(mended.tally.rejects)) == (4, 1)
    check(rejects, leads=leads, rejects=tmp_path / "again.csv")
    assert "started_at" in (tmp_path / "again.csv").read_text("utf-8-sig")


def test_a_row_of_a_reject_file_that_names_no_profile_refuses_the_file(tmp_path: Path) -> None:
    ours = write(tmp_path / "a.csv", _THREE_CX, _three_cx(123, "soon"))
    theirs = write(tmp_path / "b.csv", _FREEPBX, _freepbx(124, "late"))
    rejects = tmp_path / "rejects.csv"
    check(ours, theirs, leads=exporting.leads(tmp_path), rejects=rejects)
    rejects.write_text(rejects.read_text("utf-8-sig").replace(",freepbx,", ",,"), "utf-8")
    with pytest.raises(errors.SchemaMismatch, match=r"rejects.csv: row 3: _profile names no profile; copy it"):
        inputs(rejects)
