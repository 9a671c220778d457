"""Play a small share of the answer fuzzer. `make fuzz` plays more."""

import json

import pytest

from callimport.core import errors
from callimport.crm import responses
from callimport.ledger.items import Ledger
from tests.fuzz import answers

SEED = 13_000
CASES = 30


@pytest.mark.parametrize("number", range(SEED, SEED + CASES))
def test_no_hostile_answer_loses_or_repeats_a_call(number: int) -> None:
    played = answers.play(number, sockets=False)

    assert played.findings == [], "\n".join([*played.troubles, *played.said])


def test_a_run_that_ends_at_a_lone_surrogate_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger cannot store such a text."""
    monkeypatch.setattr(responses, "read_json", json.loads)

    assert "hostile run: one answer to one create stopped the run" in answers.play(61_488, sockets=False).findings


def test_a_run_that_ends_at_the_id_of_another_call_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Ledger.delivered

    def delivered(*known: object) -> None:
        try:
            right(*known)  # type: ignore[arg-type]
        except errors.InDoubt as outcome:
            raise errors.LedgerError(outcome.evidence) from outcome

    monkeypatch.setattr(Ledger, "delivered", delivered)

    assert "hostile run: one answer to one create stopped the run" in answers.play(61_644, sockets=False).findings
