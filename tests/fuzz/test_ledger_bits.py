"""Play a small share of the fuzzer of ledgers, and test its judge. `make fuzz` plays more."""

import pytest

from callimport.ledger import checksum
from tests.fuzz import ledger_bits

SEED = 0
BITS = 20


@pytest.mark.parametrize("number", range(SEED, SEED + BITS))
def test_no_flipped_bit_sends_a_wrong_call_or_is_called_sound(number: int) -> None:
    played = ledger_bits.play(number)

    assert played.findings == [], "\n".join([played.place, *played.said])


def test_bits_are_drawn_in_rows_of_items_and_elsewhere() -> None:
    places = [ledger_bits.play(number).place.endswith("(item)") for number in range(SEED, SEED + 6)]

    assert True in places
    assert False in places


def test_checksums_that_are_not_compared_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def believe(connection: object, damaged: checksum.Damaged) -> None:
        right(connection, damaged)  # type: ignore[arg-type]
        connection.create_function("note_damage", 2, lambda *_: 1)  # type: ignore[attr-defined]

    right = checksum.register
    monkeypatch.setattr(checksum, "register", believe)

    assert any(ledger_bits.play(number).findings for number in range(SEED, SEED + BITS))
