"""The schemas and the words that are used elsewhere say the same."""

from datetime import UTC, datetime
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest

from callimport.core import models
from callimport_schemas import call_log, checks, communication


def _names(schema: pa.DataFrameSchema) -> list[str]:
    of_columns = [check.name for column in schema.columns.values() for check in column.checks]
    return [str(name) for name in (*of_columns, *(check.name for check in schema.checks))]


def test_every_check_of_a_call_is_a_rule_by_name() -> None:
    names = _names(call_log.CALL_LOG.schema)
    assert len(names) == len(set(names))
    assert {*names, *call_log.WHOLE_ROW} == set(call_log.RULES)


def test_every_check_of_a_communication_is_a_rule_by_name() -> None:
    assert sorted(_names(communication.COMMUNICATION.schema)) == sorted(communication.RULES)


def test_the_words_are_those_of_the_model() -> None:
    assert set(call_log.DIRECTIONS) == set(communication.TYPES) == set(models.Direction)
    assert set(call_log.STATUSES) == set(communication.STATUSES) == set(models.CallStatus)


def test_live_and_click_to_call_states_are_never_sent() -> None:
    assert not {"calling", "pending", "unanswered"} & set(communication.STATUSES)


def test_a_frame_of_another_shape_is_not_a_call_log() -> None:
    with pytest.raises(pa.errors.SchemaErrors):
        call_log.CALL_LOG.schema.validate(pl.DataFrame({"_row": [1]}), lazy=True)


def test_a_null_passes_every_shared_test() -> None:
    schema: dict[str, Any] = {"text": pl.String, "number": pl.Int64, "instant": checks.UTC_SECONDS}
    frame = pl.DataFrame({"text": [None], "number": [None], "instant": [None]}, schema=schema)
    answers = frame.select(
        phone=checks.is_e164(pl.col("text")),
        instant=checks.is_whole_second(pl.col("instant")),
        duration=checks.is_duration(pl.col("number")),
        id=checks.is_id(pl.col("number")),
    )
    assert answers.row(0) == (None, None, None, None)


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        ("+15145550123", True),
        ("+1234567", True),
        ("+123456", False),
        ("+1514555012३", False),  # a digit, but not of ours
        ("+15145550123\n", False),
        ("15145550123", False),
    ],
)
def test_e164_is_plus_and_seven_to_fifteen_plain_digits(text: str, sound: bool) -> None:
    assert pl.select(checks.is_e164(pl.lit(text))).item() is sound


def test_only_numbers_that_begin_with_plus_are_cleaned() -> None:
    texts = pl.Series("phone", ["+1 (514) 555-0123", "(514) 555-0123"])
    assert checks.cleaned_phone(texts).to_list() == ["+15145550123", "(514) 555-0123"]


def test_numbers_without_anything_between_their_digits_stay_as_they_are() -> None:
    texts = pl.Series("phone", ["+15145550123", None, "15145550123", "++15145550123"])
    assert checks.cleaned_phone(texts).equals(texts, null_equal=True)


def test_the_limits_are_those_of_the_design() -> None:
    assert checks.MAX_DURATION_SECONDS == 86_400
    assert datetime(1990, 1, 1, tzinfo=UTC) == checks.EARLIEST_START
    assert (call_log.MAX_DESCRIPTION, communication.MAX_DESCRIPTION) == (1_000, 2_000)
