"""The quick part of the nights; `make baseline` plays them all."""

from pathlib import Path

import pytest

from tests.baseline import nights, records

QUICK = ("changed_calls", "late_legs", "lead_comes_with_the_leads_file", "lost_answers", "mended_rejects")


@pytest.mark.parametrize("name", QUICK)
def test_nights_decide_and_send_what_the_record_says(name: str, tmp_path: Path) -> None:
    assert records.differences(f"nights/{name}", nights.play(name, tmp_path)) == []


def test_every_story_has_a_record_and_every_record_a_story() -> None:
    assert {path.stem for path in (records.FOLDER / "nights").glob("*.json")} == nights.STORIES.keys()
