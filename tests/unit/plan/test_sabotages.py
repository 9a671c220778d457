"""Breakages of the planner that must be noticed. A test that passes whatever the planner does proves nothing."""

import inspect
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl
import pytest

from callimport.core import errors
from callimport.core.decisions import CALLS, ITEMS, LedgerView, Plan, PlanSettings, Totals
from callimport.ledger.known_calls import KnownCalls
from callimport.plan import decide
from callimport.plan.planner import Planner
from tests import making, planning
from tests.unit.plan import test_decide as table
from tests.unit.plan.making_plans import BEGAN, SETTINGS, call, frame, item

PARTITIONS = 3
RULES = len(decide._rules(SETTINGS))


# A rule left out


@pytest.fixture(scope="module")
def cases_by_rule() -> dict[int, list[Callable[[], None]]]:
    """The cases of `test_decide` by the number of the rule that decides in them."""
    found = defaultdict[int, list[Callable[[], None]]](list)
    ruled = decide._ruled
    for case in cases_of_the_table():
        met: set[int] = set()

        def noted(known: pl.DataFrame, settings: PlanSettings, met: set[int] = met) -> pl.DataFrame:
            rows = ruled(known, settings)
            met.update(rows["_rule"])
            return rows

        with mock.patch.object(decide, "_ruled", noted):
            assert passes(case)
        for rule in met:
            found[rule].append(case)
    return found


@pytest.mark.parametrize("left_out", range(RULES))
def test_rule_that_is_left_out_is_noticed(
    left_out: int, cases_by_rule: dict[int, list[Callable[[], None]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = decide._rules
    monkeypatch.setattr(
        decide, "_rules", lambda settings: [rule for number, rule in enumerate(rules(settings)) if number != left_out]
    )

    assert not all(passes(case) for case in cases_by_rule[left_out]), rules(SETTINGS)[left_out]


def passes(test: Callable[[], None]) -> bool:
    try:
        test()
    except Exception:  # noqa: BLE001 (however it fails)
        return False
    return True


def cases_of_the_table() -> Iterator[Callable[[], None]]:
    """Each case of `test_decide`."""
    for name, test in inspect.getmembers(table, inspect.isfunction):
        if name.startswith("test_"):
            marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
            for case in itertools.product(*(arguments(*mark.args) for mark in marks)):
                told: dict[str, Any] = {}
                for some in case:
                    told |= some
                yield partial(test, **told)


def arguments(names: str | tuple[str, ...], values: Any) -> list[dict[str, Any]]:
    if isinstance(names, str):
        return [{names: value} for value in values]
    return [dict(zip(names, of, strict=True)) for of in values]


# A wrong partition, and totals of one partition only


class Partitioned:
    """Rows in memory, in partitions by hash."""

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []

    def add(self, rows: pl.DataFrame, of: pl.Expr) -> None:
        self._frames.append(rows.with_columns((of % PARTITIONS).alias("_partition")))

    def read(self) -> Iterator[pl.DataFrame]:
        rows = pl.concat(self._frames)
        for number in range(PARTITIONS):
            yield rows.filter(pl.col("_partition") == number).drop("_partition")


def test_plan_in_partitions_is_the_plan_in_one() -> None:
    assert summed_up(planned(Partitioned)) == summed_up(planned(planning.Stored, partitions=1))


def test_calls_that_are_compared_in_partitions_by_key_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    compare_later = Planner._compare_later

    def by_key(self: Planner, calls: pl.DataFrame) -> None:
        add = self.by_phone.add
        monkeypatch.setattr(self.by_phone, "add", lambda rows, _: add(rows, pl.col("key").hash()), raising=False)
        compare_later(self, calls)
        monkeypatch.setattr(self.by_phone, "add", add)

    monkeypatch.setattr(Planner, "_compare_later", by_key)

    assert summed_up(planned(Partitioned)) != summed_up(planned(planning.Stored, partitions=1))


@pytest.mark.parametrize("kept", [0, 1])
def test_totals_of_one_partition_are_noticed(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = planned(planning.Stored, partitions=1)
    monkeypatch.setattr(Totals, "__add__", lambda self, other: (self, other)[kept])
    broken = planned(Partitioned)

    assert broken.totals != whole.totals
    assert (broken.stopped_by is None, whole.stopped_by is None) == (True, False)


def planned(store: Callable[[], Any], partitions: int = PARTITIONS) -> Plan:
    """A plan for forty known calls that are shown in another zone, a new one, and pairs of calls of two systems."""
    known = [call(f"k1:{number}", started_at=BEGAN + 5_000 * number) for number in range(40)]
    items = [item("delivered", one, batch_id="2222-2222") for one in known]
    moved = [call(one["key"], started_at=one["started_at"] + 3_600) for one in known]
    pairs = [
        call(f"k1:{system}{number}", system=system, phone=f"+151455501{number:02}", row=100 + number)
        for system in ("north", "south")
        for number in range(10)
    ]
    calls = [*moved, *pairs]
    planner = Planner(SETTINGS, store(), store(), compares=True)
    for number in range(partitions):
        part = calls[number::partitions]
        keys = {one["key"] for one in part}
        view = LedgerView(frame([one for one in items if one["key"] in keys], ITEMS))
        planner.see(frame(part, CALLS), view)
    return planner.plan(pl.DataFrame(schema=planning.REJECTED))


def summed_up(plan: Plan) -> tuple[Any, ...]:
    decisions = [row for part in plan.parts for row in part.decisions.iter_rows()]
    return sorted(decisions, key=lambda row: row[2]), plan.totals, plan.code, str(plan.stopped_by)


# A stale view of the ledger


def test_plan_that_does_not_see_what_the_ledger_knows_is_not_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shaped = replace(SETTINGS, shapes={0: "shape", 1: "shape"})
    calls = [call("k1:1"), call("k1:2", started_at=BEGAN + 500)]
    with closing(making.ledger(tmp_path / "ledger.sqlite3")) as ledger:
        ledger.start_run("run-1")
        ledger.enter(None, planning.planned(ledger, calls, shaped))
        before = making.everything(ledger)
        monkeypatch.setattr(KnownCalls, "view", lambda *_: LedgerView())

        with pytest.raises(errors.LedgerError):
            ledger.enter(None, planning.planned(ledger, calls, shaped))
        assert making.everything(ledger) == before
