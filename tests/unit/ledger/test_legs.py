"""A window that cuts a call in two shows some of its rows only: what it tells of the call is not news.

Tonight's export ends in the middle of a call, tomorrow's begins in the middle of it; whichever of them comes last, the
story with all rows is the one that counts.
"""

import csv
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from callimport.core import models
from callimport.core.decisions import Entered
from callimport.core.models import ItemStatus
from callimport.ledger import Ledger, updates
from tests import exporting, making, planning
from tests.rehearsal import ROOT

_SETTLED = [ItemStatus.DELIVERED, ItemStatus.IN_FLIGHT, ItemStatus.IN_DOUBT, ItemStatus.HELD]
_WHOLE = making.call(legs="a\nb", duration_seconds=95)
_CUT = making.call(legs="b", row=7, duration_seconds=12)
_MORE = making.call(legs="a\nb\nc", row=8, duration_seconds=240)
_OTHER = making.call(legs="b\nc", row=9, duration_seconds=60)
_NAMELESS = making.call(row=10, duration_seconds=33)
_KEY = making.key(_WHOLE)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(making.ledger(tmp_path / "ledger.sqlite3")) as opened:
        opened.start_run("run-1")
        yield opened


def _known(ledger: Ledger, status: ItemStatus) -> None:
    making.enter(ledger, making.batch("monday.csv"), _WHOLE)
    making.bring(ledger, _KEY, "run-1", status)


def _seen(ledger: Ledger, call: models.Call, name: str = "tuesday.csv", **settings: str) -> Entered:
    """Entered as the run of another night does, and every call counted once."""
    batch = making.batch(name, **settings)
    entered = making.enter(ledger, batch, call)
    counted = making.reckoned(ledger, entered, batch, call)
    assert counted.calls.adds_up(counted.rows)
    return entered


def _story(ledger: Ledger) -> tuple[object, ...]:
    row = making.row(ledger, _KEY)
    return row["facts"], row["payload"], row["legs"]


def _told(call: models.Call) -> tuple[object, ...]:
    told = planning.row(call)
    return told["facts"], told["payload"], told["legs"]


@pytest.mark.parametrize("status", _SETTLED)
@pytest.mark.parametrize("call", [_CUT, _OTHER, _NAMELESS], ids=["a part", "another part", "rows without ids"])
def test_a_part_of_a_known_call_is_no_change(ledger: Ledger, status: ItemStatus, call: models.Call) -> None:
    _known(ledger, status)
    assert _seen(ledger, call).changed == 0
    assert updates.waiting_count(ledger.database) == 0
    assert _story(ledger) == _told(_WHOLE)


@pytest.mark.parametrize("status", _SETTLED)
def test_more_rows_of_a_known_call_are_a_change(ledger: Ledger, status: ItemStatus) -> None:
    _known(ledger, status)
    assert _seen(ledger, _MORE).changed == 1
    row = making.row(ledger, _KEY)
    assert (row["next_facts"], row["next_payload"], row["next_legs"]) == _told(_MORE)
    assert _story(ledger) == _told(_WHOLE)


def test_the_same_rows_with_another_story_are_a_change(ledger: Ledger) -> None:
    _known(ledger, ItemStatus.DELIVERED)
    assert _seen(ledger, making.call(legs="a\nb", duration_seconds=96)).changed == 1


def test_the_first_night_cuts_and_the_second_shows_the_whole(ledger: Ledger) -> None:
    making.enter(ledger, making.batch("monday.csv"), _CUT)
    making.bring(ledger, _KEY, "run-1", ItemStatus.DELIVERED)
    assert _seen(ledger, _WHOLE).changed == 1
    # Nor does a part that comes in afterwards take the change back.
    assert _seen(ledger, making.call(legs="a", duration_seconds=1), "wednesday.csv").changed == 0
    assert making.row(ledger, _KEY)["next_legs"] == "a\nb"


@pytest.mark.parametrize("call", [_CUT, _OTHER, _NAMELESS], ids=["a part", "another part", "rows without ids"])
def test_a_part_while_pending_does_not_replace_the_whole(ledger: Ledger, call: models.Call) -> None:
    _known(ledger, ItemStatus.PENDING)
    _seen(ledger, call)
    assert _story(ledger) == _told(_WHOLE)


def test_a_pending_call_of_which_a_part_is_seen_is_sent_by_the_run_that_saw_it(ledger: Ledger) -> None:
    """It must not stay behind in yesterday's batch, counted as pending and never handed out."""
    _known(ledger, ItemStatus.PENDING)
    _seen(ledger, _CUT)
    item = ledger.next_item(making.batch("tuesday.csv").id, frozenset())
    assert item is not None
    assert item.communication.call_duration == 95


def test_a_part_does_not_bring_along_what_other_settings_made(ledger: Ledger) -> None:
    """Its story is of a zone, or of leads, that nobody stands by today; its own batch sends it, or nobody."""
    _known(ledger, ItemStatus.PENDING)
    entered = _seen(ledger, _CUT, timezone="America/Toronto")
    assert (entered.unchanged, entered.carried) == (1, 0)
    assert making.row(ledger, _KEY)["batch_id"] == making.batch("monday.csv").id


def test_the_whole_while_pending_replaces_a_part(ledger: Ledger) -> None:
    making.enter(ledger, making.batch("monday.csv"), _CUT)
    _seen(ledger, _WHOLE)
    assert _story(ledger) == _told(_WHOLE)


def test_a_part_of_a_failed_call_has_it_tried_again_as_it_was(ledger: Ledger) -> None:
    _known(ledger, ItemStatus.FAILED)
    _seen(ledger, _CUT)
    assert _story(ledger) == _told(_WHOLE)
    item = ledger.next_item(making.batch("tuesday.csv").id, frozenset())
    assert item is not None
    assert item.communication.call_duration == 95
    assert making.row(ledger, _KEY)["reason"] is None


def test_a_part_of_a_refused_call_is_no_reason_to_try_again(ledger: Ledger) -> None:
    _known(ledger, ItemStatus.REFUSED)
    _seen(ledger, _CUT)
    assert making.status(ledger, _KEY) == ItemStatus.REFUSED
    assert _story(ledger) == _told(_WHOLE)
    _seen(ledger, _MORE, "wednesday.csv")
    assert making.status(ledger, _KEY) == ItemStatus.PENDING
    assert _story(ledger) == _told(_MORE)


def test_a_call_that_was_not_made_of_rows_changes_as_ever(ledger: Ledger) -> None:
    making.enter(ledger, making.batch("monday.csv"), making.call())
    making.bring(ledger, _KEY, "run-1", ItemStatus.DELIVERED)
    assert _seen(ledger, _WHOLE).changed == 0
    assert _seen(ledger, making.call(duration_seconds=1), "wednesday.csv").changed == 1


@pytest.mark.parametrize("ident", ['a"b', "a\\b", "a\\u0041", "a\tb", "é'", 'a","b', "a\x00b", "a\nb"])
def test_ids_of_rows_may_hold_any_character(ledger: Ledger, tmp_path: Path, ident: str) -> None:
    """They come out of the file as they are; in the ledger they are one text."""
    nights = {"monday.csv": (1, 2), "tuesday.csv": (2,), "wednesday.csv": (1, 2, 3)}
    changes = []
    for name, rows in nights.items():
        call = _call(tmp_path, ident, rows)
        plan = planning.planned(ledger, [call], planning.settings_of(making.batch(name)))
        ledger.enter(None, plan)
        changes.append(Entered.by(plan).changed)
        if name == "monday.csv":
            making.bring(ledger, call["key"], "run-1", ItemStatus.DELIVERED)
    assert changes == [0, 0, 1]


def _call(folder: Path, ident: str, rows: tuple[int, ...]) -> dict[str, Any]:
    """A call whose rows are called by `ident` and a number; the longest of them is the last one."""
    path, recipe = folder / "calls.csv", folder / "own.toml"
    header = ("sid", "parent_call_sid", "direction", "status", "start_time", "duration", "from", "to")
    start = "2024-05-31T18:05:09Z"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(header)
        for number in rows:
            name = f"{ident}{number}"
            writer.writerow([name, "CA0", "inbound", "completed", start, number, making.PHONE, making.OTHER_PHONE])
    twilio = (ROOT / "schemas" / "callimport_schemas" / "profiles" / "twilio.toml").read_text("utf-8")
    recipe.write_text(twilio.replace('call_id = "sid"', 'call_id = "parent_call_sid"'), "utf-8")
    (one,) = exporting.planned(exporting.resolved(path, profile=str(recipe)))
    return dict(one)
