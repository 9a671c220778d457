"""The outcomes of requests equal their records."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests import rehearsal
from tests.baseline import outcomes_of_exceptions, outcomes_on_the_wire, records
from tests.baseline.outcomes_on_the_wire import Cell
from tests.baseline.scripted_crm import Seen, World


def recorded() -> dict[str, dict[str, str]]:
    """The cells of the record on the wire."""
    return dict(json.loads((records.FOLDER / f"{outcomes_on_the_wire.NAME}.json").read_text("utf-8")))


def same(name: str, observed: Any) -> None:
    """Fail with the whole diff, which an assertion would cut off."""
    found = records.differences(name, observed)
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def test_outcomes_of_exceptions_equal_the_record() -> None:
    same(outcomes_of_exceptions.NAME, outcomes_of_exceptions.observe_exceptions())


def test_outcomes_on_the_wire_equal_the_record() -> None:
    """The quick part of the table, by the real command; the whole table runs with the baseline."""
    table = recorded()
    found = outcomes_on_the_wire.observe_wire(outcomes_on_the_wire.QUICK, lanes=2)
    for kind, observed in found.items():
        table[kind] = table[kind] | observed
    same(outcomes_on_the_wire.NAME, table)


def cells_by_kind() -> Iterator[tuple[str, str]]:
    yield from ((one.kind, one.label) for one in outcomes_on_the_wire.cells())


def test_the_record_holds_every_cell_of_the_table_and_no_other() -> None:
    there = {(kind, label) for kind, cells in recorded().items() for label in cells}
    assert there == set(cells_by_kind())
    assert set(outcomes_on_the_wire.QUICK) <= there


def test_no_outcome_of_a_single_request_loses_or_duplicates_a_call() -> None:
    """Whatever fault a request meets, the CRM keeps no call twice, and every delivered call is kept.

    In one cell, reads always answer about another lead. They are believed, so the call is sent a second time. The cell
    stays here by name until that is mended.
    """
    wrong = [
        f"{kind}: {label}: {told}"
        for kind, cells in recorded().items()
        for label, told in cells.items()
        if any(word in told for word in ("DUPLICATE", "LOST", "DOES NOT ADD UP", "HANGS", "NOT MET", "BROKEN"))
        and (kind, label) != ("lead, of a call in doubt", "2xx about another, always")
    ]
    assert wrong == []


def test_labels_of_cells_are_unique() -> None:
    labels = list(cells_by_kind())
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize(
    ("code", "out", "expected"),
    [
        (1, "", "exit 1, asked 1, stored 0: stops"),
        (0, '{"calls": {"total": 1, "delivered": 1}}', "exit 0, delivered 1, asked 1, stored 0: LOST"),
        (4, '{"calls": {"held": 1}, "rate_limited": 2}', "exit 4, held 1, asked 1, stored 0: limited, held"),
    ],
    ids=["stopped", "lost", "held"],
)
def test_a_verdict_follows_from_exit_code_counts_and_requests(code: int, out: str, expected: str) -> None:
    kind = outcomes_on_the_wire.KINDS["account"]
    cell = Cell("account", "500", is_always=False, outcome=outcomes_on_the_wire.UNCLEAR["500"])
    seen = Seen("account", met=True)
    nothing = World()
    told = outcomes_on_the_wire.cell_record(cell, kind, rehearsal.Ended(code, out, ""), [seen], nothing, nothing, 1)
    assert told.replace("not retried, ", "") == expected
