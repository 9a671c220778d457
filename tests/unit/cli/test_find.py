"""callimport find: by whatever a person has in hand, the whole story of a call."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from callimport import report
from callimport.cli import find
from callimport.core import errors, mapping, models, settings
from callimport.ledger import Ledger
from tests import making

CALL = making.call("A-1", row=2)
OTHER = making.call("B-1", row=3, lead_id=5004, customer_phone=making.OTHER_PHONE)
MARK = mapping.reference(making.key(CALL), making.ACCOUNT.id)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """One call that was in doubt, was proved absent, and was delivered; another that is pending."""
    with closing(making.ledger(tmp_path / "ledger.sqlite3")) as ledger:
        ledger.start_run("run-1")
        making.enter(ledger, making.batch(leads="3f2a9c01d4e5"), CALL, OTHER, run_id="run-1")
        key = making.key(CALL)
        ledger.in_doubt(key, ledger.intend(key, "run-1"), errors.InDoubt("no answer in time"))
        ledger.settle(key, models.Verdict("absent", "two reads show nothing of it"))
        ledger.delivered(key, ledger.intend(key, "run-1"), models.Echo(900, {"id": 900}))
        yield ledger


def _find(ledger: Ledger, text: str) -> find.Found:
    path = Path(ledger.database.place)
    ledger.close()
    return find.find(settings.Settings(files=(), ledger=path, state_dir=path.parent), making.clock(), text)


@pytest.mark.parametrize(
    "text",
    [
        MARK,
        MARK.lower(),
        making.key(CALL),
        "A-1",
        "900",
        "5003",
        making.PHONE,
        "514-555-0123",
        "(514) 555 0123",
        " 900 ",
    ],
)
def test_a_call_is_found_by_whatever_names_it(ledger: Ledger, text: str) -> None:
    found = _find(ledger, text)
    assert (found.count, [one.item.reference for one in found.histories]) == (1, [MARK])


def test_the_story_is_told_from_the_row_to_the_communication(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    found = _find(ledger, MARK)
    report.print_found(
        Console(width=200), histories=found.histories, count=found.count, waiting=(), grace=found.lead_grace
    )
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"{MARK}  delivered, communication 900"
    assert told[1] == "  incoming call of 2024-05-31 14:05:09Z, +1514•••0123"
    assert told[2].startswith("  calls.csv row 2, system main, batch ")
    assert told[3] == "  lead 5003: named in the row, or found by the number in the leads file 3f2a9c01d4e5"
    assert [line.partition("Z  ")[2].partition(",")[0].partition(":")[0] for line in told[4:]] == [
        "sent by run run-1",
        "looked up",
        "sent by run run-1",
    ]
    assert "may or may not be stored (no answer in time)" in told[4]
    assert "two reads show nothing of it" in told[5]
    assert "delivered (201, answered with its id)" in told[6]


def test_for_machines_it_is_plain_and_phones_are_masked(ledger: Ledger) -> None:
    answer = json.dumps(_find(ledger, "5145550124").for_machines())
    assert making.OTHER_PHONE[1:] not in answer
    (one,) = json.loads(answer)["found"]
    assert (one["status"], one["phone"], one["attempts"], one["communication_id"]) == (
        "pending",
        "+1514•••0124",
        [],
        None,
    )


def test_attempts_and_verdicts_have_their_times(ledger: Ledger) -> None:
    (one,) = _find(ledger, MARK).for_machines()["found"]
    assert [attempt["outcome"] for attempt in one["attempts"]] == ["in_doubt", "delivered"]
    assert [verdict["kind"] for verdict in one["verdicts"]] == ["absent"]
    moments = [one["attempts"][0]["ended_at"], one["verdicts"][0]["decided_at"], one["attempts"][1]["intended_at"]]
    assert moments == sorted(moments)


def test_all_calls_of_a_lead_are_counted_and_the_first_are_told(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    making.enter(ledger, making.batch("more.csv"), *(making.call(f"C-{row}", row=row) for row in range(2, 7)))
    monkeypatch.setattr(find, "MOST_TOLD", 3)
    found = _find(ledger, "5003")
    assert (found.count, len(found.histories)) == (6, 3)


@pytest.mark.parametrize("text", ["+15145550199", "7K3Q-2M9D-XA", "A-9", "5145550199", "99999999999999999999"])
def test_a_search_that_finds_nothing_is_an_error(ledger: Ledger, text: str) -> None:
    with pytest.raises(errors.ConfigError, match="knows nothing of"):
        _find(ledger, text)
