"""Play a small share of the answer fuzzer. `make fuzz` plays more."""

import pytest

from tests.fuzz import answers

SEED = 13_000
CASES = 30


@pytest.mark.parametrize("number", range(SEED, SEED + CASES))
def test_no_hostile_answer_loses_or_repeats_a_call(number: int) -> None:
    played = answers.play(number, sockets=False)

    assert played.findings == [], "\n".join([*played.troubles, *played.said])
