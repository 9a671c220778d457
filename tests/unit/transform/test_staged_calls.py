"""What becomes of the rows of a run does not depend on how many partitions, chunks or files they are in."""

import functools
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callimport.extract import reader
from callimport.resolve.resolution import Resolution
from callimport.transform import staging
from tests import exporting
from tests.exporting import check, write

_NUMBER = itertools.count()
_CANONICAL = "call_id,direction,started_at,duration_seconds,customer_phone,agent_name,_note"
_FREEPBX = "calldate,src,dst,dcontext,dstchannel,lastapp,billsec,disposition,uniqueid,linkedid"
_START = datetime(2024, 5, 31, 14, 5)  # noqa: DTZ001 - as an export has it
_LIMITS = (1, 2, 5, 13)


def _canonical(number: int) -> list[str]:
    """A call, sometimes twice, sometimes with another row that contradicts it, faulty or without a lead."""
    start = f"{_START + timedelta(hours=number):%Y-%m-%dT%H:%M:%S}"
    call_id = f"c{number}" if number % 3 else ""
    row = f"{call_id},incoming,{start},{number},+15145550{100 + number},Ana,"
    kind = number % 6
    other = {1: [row], 2: [row.replace(",Ana,", ",Zoé,")], 4: [row, row, row.replace(",Ana,", ",,")]}.get(kind, [])
    if kind == 5:
        row = row.replace("incoming", "inward")
    return [row.replace("+1514555", "+1438555") if kind == 3 else row, *other]


def _freepbx(number: int) -> list[str]:
    """The rows of a call, sometimes of two customers, sometimes with a faulty row, sometimes an internal one."""
    rows = []
    for leg in range(1 + number % 4):
        start = _START + timedelta(hours=number, seconds=5 * leg)
        src = {3: "5145550199" if leg else "5145550198", 5: "101"}.get(number % 7, f"5145550{100 + number}")
        talk = "soon" if number % 7 == 4 and leg == 1 else str(leg)
        ended = "ANSWERED" if leg else "NO ANSWER"
        rows.append(
            f"{start:%Y-%m-%d %H:%M:%S},{src},600,ext-group,PJSIP/10{leg}-0,Dial,{talk},{ended},"
            f"{1717178700 + 3600 * number + 5 * leg}.{leg},1717178700.{number}"
        )
    return rows


def _seen(of: Resolution) -> dict[str, Any]:
    """All that comes out, with places."""
    found = [tuple(one.values()) for one in exporting.planned(of)]
    of.reject()
    return {
        "calls": found,
        "rejects": dict(sorted(of.tally.rejects.items())),
        "left out": of.tally.left_out(of.exports.sources),
        "counts": (of.tally.read, of.tally.joined, of.tally.calls, of.tally.duplicate),
        "callers": of.unknown_callers.last_calls(),
        "agents": of.agents.told(),
        "contradicted": of.contradicted,
        "told": of.duplicates.told(of.exports.name_of),
    }


def _read(paths: Sequence[Path], limit: int, chunk_rows: int) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "read", functools.partial(reader.read, chunk_rows=chunk_rows))
        patch.setattr(staging, "ROWS_IN_MEMORY", limit)
        return _seen(exporting.resolved(*paths))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chance=st.randoms(use_true_random=False), is_freepbx=st.booleans(), chunk_rows=st.integers(1, 9))
def test_partitions_chunks_and_files_change_nothing(
    tmp_path: Path, chance: random.Random, is_freepbx: bool, chunk_rows: int
) -> None:
    folder = tmp_path / str(next(_NUMBER))
    folder.mkdir()
    header, calls = (_FREEPBX, _freepbx) if is_freepbx else (_CANONICAL, _canonical)
    rows = [row for number in range(chance.randrange(1, 12)) for row in calls(number)]
    whole = _read([write(folder / "all.csv", header, *rows)], 1000, 1000)
    for limit in _LIMITS:
        assert _read([folder / "all.csv"], limit, chunk_rows) == whole
    shuffled = chance.sample(rows, len(rows))
    cut = chance.randrange(len(rows))
    parts = [some for some in (shuffled[:cut], shuffled[cut:]) if some]
    paths = [write(folder / f"{number}.csv", header, *some) for number, some in enumerate(parts)]
    apart = _read(paths, chance.choice(_LIMITS), chunk_rows)
    for name in ("counts", "callers", "agents", "contradicted"):
        assert apart[name] == whole[name]
    assert Counter(one[2:] for one in apart["calls"]) == Counter(one[2:] for one in whole["calls"])
    assert _rules(apart) == _rules(whole)


def _rules(seen: dict[str, Any]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(reason.rule for reason in reasons) for reasons in seen["rejects"].values())


@pytest.mark.parametrize("limit", [1, 1000])
def test_a_file_is_read_once_and_once_more_for_its_rejected_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    opened: list[Path] = []
    read = reader.read

    def counting(source: Any, *given: Any, **more: Any) -> Any:
        opened.append(source.path)
        return read(source, *given, **more)

    monkeypatch.setattr(reader, "read", counting)
    monkeypatch.setattr(staging, "ROWS_IN_MEMORY", limit)
    path = write(tmp_path / "calls.csv", _CANONICAL, *(row for number in range(9) for row in _canonical(number)))
    leads = exporting.leads(tmp_path)
    check(path, leads=leads, state_dir=tmp_path / "state")
    assert opened.count(path) == 1
    check(path, leads=leads, state_dir=tmp_path / "state", rejects=tmp_path / "rejects.csv")
    assert opened.count(path) == 3


def test_a_duplicate_is_found_before_its_lead_is_looked_for(tmp_path: Path) -> None:
    """So two equal calls of a number without a lead are one call without a lead."""
    row = "c1,incoming,2024-05-31T14:05:09,5,+14385550123,Ana,"
    path = write(tmp_path / "calls.csv", _CANONICAL, row, row)
    summary = check(path, leads=exporting.leads(tmp_path)).summary
    assert (summary.calls.duplicate, summary.skipped) == (1, {"no_lead": 1})


def test_calls_that_contradict_each_other_are_rejects_whatever_is_wanted(tmp_path: Path) -> None:
    rows = [f"c1,incoming,2024-05-31T14:05:09,{talk},+15145550123,Ana," for talk in (5, 6)]
    path = write(tmp_path / "calls.csv", _CANONICAL, *rows)
    result = check(path, leads=exporting.leads(tmp_path), only="outgoing")
    assert (exporting.rules(result), result.summary.skipped) == ({"twin": 2}, {})


def test_calls_that_differ_in_their_agent_contradict_each_other(tmp_path: Path) -> None:
    rows = [f"c1,incoming,2024-05-31T14:05:09,5,+15145550123,{name}," for name in ("Ana", "Zoé")]
    path = write(tmp_path / "calls.csv", _CANONICAL, *rows)
    assert exporting.rules(check(path, leads=exporting.leads(tmp_path))) == {"twin": 2}
