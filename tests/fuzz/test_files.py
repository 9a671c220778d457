"""Play a small share of the file fuzzer, and test its judge."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fuzz import files

_CASE = files.Case(0, "", "calls.csv", b"", "check", (), True, 2, "", frozenset({"5145550101"}))
_ROWS = {"read": 2, "joined": 0, "dropped": 0, "rejected": 1, "calls": 1}


def test_mutated_files_end_in_an_answer() -> None:
    """The seed is fixed; `make fuzz` draws one."""
    assert not list(files.play(13, range(40), 1))


def test_the_same_seed_draws_the_same_cases() -> None:
    assert [files.drawn(7, number) for number in range(20)] == [files.drawn(7, number) for number in range(20)]


def test_the_count_of_rows_is_known_for_many_workbooks() -> None:
    known = [case.told for case in (files.drawn(7, number) for number in range(200)) if case.rows is not None]
    assert len(known) > 8
    assert any("XML edited" in told for told in known)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({}, ""),
        ({"err": "thread 'polars-0' panicked at x.rs"}, "says 'panicked'"),
        ({"err": "error: KeyError: this is a fault of callimport"}, "says 'fault of callimport'"),
        ({"code": 1}, "exit code 1"),
        ({"code": "the process died (-6)"}, "the process died"),
        ({"seconds": 11.0}, "took 11 s"),
        ({"err": "row 2: +15145550101"}, "shows the number that ends in 0101"),
        ({"err": "row 2: (514) 555-0101"}, "shows the number that ends in 0101"),
        ({"err": "row 2: ٥١٤٥٥٥٠١٠١"}, "shows the number that ends in 0101"),
        ({"out": ""}, "no single JSON object"),
        ({"out": "{} {}"}, "no single JSON object"),
        ({"out": json.dumps({"exit_code": 0, "rows": _ROWS})}, "exit code 3, and 0 in JSON"),
        ({"out": json.dumps({"exit_code": 3, "rows": _ROWS | {"read": 3}})}, "rows do not add up"),
        ({"out": json.dumps({"exit_code": 3, "rows": _ROWS | {"read": 1, "calls": 0}})}, "2 rows are in the file"),
        ({"out": json.dumps({"exit_code": 3, "rows": _ROWS | {"rejected": 2, "calls": 0}})}, "in the reject file"),
    ],
)
def test_the_judge_sees_every_fault(tmp_path: Path, changes: dict[str, object], finding: str) -> None:
    rejects = tmp_path / "rejects.csv"
    rejects.write_text("direction,_reasons\nx,y\n", "utf-8")
    good = files.Ended(3, json.dumps({"exit_code": 3, "rows": _ROWS}), "1 row rejected", 0.1)
    found = list(files.judged(_CASE, replace(good, **changes), rejects))  # type: ignore[arg-type]
    assert bool(found) == bool(finding)
    assert finding in "; ".join(found)
