"""Two real kills in the gate; `make kill KILLS=200` kills as often as there is time for."""

from tests.crash import kills


def test_killed_for_real_every_call_arrives_once() -> None:
    assert (
        kills.main(
            ["--kills", "2", "--rows", "60", "--each", "2", "--fault-share", "0", "--settle", "1", "--seed", "1"]
        )
        == 0
    )
