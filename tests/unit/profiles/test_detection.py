"""A file is known by its header, wherever it stands, or by how its rows look; what that rests on is told."""

from collections.abc import Sequence

import pytest

from callimport.core import errors, models
from callimport.profiles import profile

_THREE_CX = ("Call Time", "Caller ID", "Destination", "Status", "Talking")
_FREEPBX = ("calldate", "src", "dst", "billsec", "disposition")
_CUCM = (
    "globalCallID_callManagerId", "globalCallID_callId", "dateTimeOrigination", "dateTimeConnect", "duration",
    "callingPartyNumber", "finalCalledPartyNumber", "origCause_value", "destCause_value", "origDeviceName",
    "destDeviceName",
)  # fmt: skip
_CANONICAL = ("direction", "started_at", "customer_phone", "duration_seconds")
_DUMP = ("2024-05-31 14:05:09", "Ana", "101", "5145550123", "from-internal", "SIP/101-1", "", "Dial", "x", "9", "7")


def _peek(*records: Sequence[str], first: int = 1, is_typed: bool = False) -> models.Peek:
    return models.Peek(
        tuple((line, tuple(cells)) for line, cells in enumerate(records, start=first)), is_typed, "a test"
    )


def test_the_header_may_stand_behind_a_preamble() -> None:
    match = profile.detect(
        _peek(["Report of calls"], ["From 1 May", "to 31 May"], _THREE_CX, ["2024-05-31"] * 5, first=2)
    )
    assert match.layout == models.Layout(_THREE_CX, 5, _THREE_CX)
    assert match.evidence == (
        "3cx (inbound report) because line 4 has the columns Call Time, Caller ID, Destination, Status, Talking"
    )


def test_upper_and_lower_case_and_blanks_of_a_header_are_of_no_account() -> None:
    match = profile.detect(_peek([" CALL  TIME ", "caller id", "Destination", "STATUS", "talking"]))
    assert match.profile.name == "3cx"
    assert match.layout.names == ("CALL  TIME", "caller id", "Destination", "STATUS", "talking")


def test_a_line_of_types_under_the_header_is_no_row() -> None:
    types = ["INTEGER", "varchar(50)", "UNIQUEIDENTIFIER", *["INTEGER"] * 8]
    assert profile.detect(_peek(_CUCM, types, ["1"] * 11)).layout.first_row == 3
    assert profile.detect(_peek(_CUCM, ["1"] * 11)).layout.first_row == 2


def test_a_file_with_only_a_header_is_known() -> None:
    assert profile.detect(_peek(_FREEPBX)).layout.first_row == 2
    assert profile.detect(_peek(_FREEPBX, first=0, is_typed=True)).layout.first_row == 1


def test_parquet_has_its_names_on_top_or_nowhere() -> None:
    with pytest.raises(errors.SchemaMismatch):
        profile.detect(_peek(["a"], _FREEPBX, first=0, is_typed=True))
    with pytest.raises(errors.SchemaMismatch):
        profile.detect(_peek(*[(*_DUMP, "ANSWERED", "3", "", "1717178709.1")] * 3, first=0, is_typed=True))


def test_columns_without_a_name_or_with_one_twice_get_one() -> None:
    names = ["", *_FREEPBX, "note", "note", "note (2)", " "]
    assert profile.detect(_peek(names)).layout.names == (
        "column 1", *_FREEPBX, "note", "note (3)", "note (2)",
    )  # fmt: skip


def test_a_needed_column_that_is_there_twice_is_refused() -> None:
    with pytest.raises(errors.SchemaMismatch, match="several columns are called src"):
        profile.detect(_peek([*_FREEPBX, "src"]))


def test_long_names_of_columns_are_cut_in_messages() -> None:
    with pytest.raises(errors.SchemaMismatch, match=f"column {'x' * 59}… is not known"):
        profile.detect(_peek([*_CANONICAL, "x" * 900]))


def test_rows_without_a_header_are_known_by_their_looks() -> None:
    rows = [(*_DUMP, "ANSWERED", "3", "", "1717178709.1", "")] * 19
    match = profile.detect(_peek(*rows, ["Total", "19"]))
    assert match.layout.first_row == 1
    assert match.layout.names[:3] == ("calldate", "clid", "src")
    assert len(match.layout.names) == 16
    assert match.evidence == (
        "freepbx (dump of the table cdr) because 19 of its first 20 records have calldate in column 1, "
        "billsec in column 11, disposition in column 12, and no header"
    )


@pytest.mark.parametrize("position", [0, 10, 11])
def test_rows_that_look_otherwise_are_not_taken_for_it(position: int) -> None:
    row = [*_DUMP, "ANSWERED", "3", "", "1717178709.1"]
    row[position] = "x"
    with pytest.raises(errors.SchemaMismatch, match="no profile fits"):
        profile.detect(_peek(*[row] * 5))


def test_what_a_report_lacks_is_told_with_how_to_have_it() -> None:
    said = profile.detect(_peek(_FREEPBX)).notes
    assert [note.split(":")[0] for note in said] == [
        "this report has no linkedid", "this report has no uniqueid", "this report has no lastapp",
    ]  # fmt: skip
    assert all("export" in note for note in said)
    assert profile.detect(_peek([*_FREEPBX, "linkedid", "uniqueid", "lastapp"])).notes == ()


@pytest.mark.parametrize(
    ("header", "option"),
    [(["Phone", "lead_id", "created_at"], "--leads"), (["extension", "name", "email"], "--agents")],
)
def test_a_file_that_stands_beside_the_calls_is_known_as_one(header: list[str], option: str) -> None:
    """Of all recipes some one is always the nearest, and says how to export calls from a phone system nobody has."""
    with pytest.raises(errors.SchemaMismatch, match=f"looks like a file for {option}: ") as caught:
        profile.detect(_peek(header))
    assert "nearest" not in str(caught.value)


def test_a_chosen_recipe_that_does_not_fit_says_how_to_export() -> None:
    with pytest.raises(errors.SchemaMismatch) as caught:
        profile.fit(profile.load("aircall"), _peek(["datetime (utc)", "direction", "from", "to", "answerd", "user"]))
    for said in ("answerd: did you mean answered?", "duration (in call) is missing", "In the Aircall dashboard choose"):
        assert said in str(caught.value)


def test_a_chosen_recipe_without_header_says_whose_rows_they_are_not() -> None:
    with pytest.raises(errors.SchemaMismatch, match=r"its rows are not those of SMDR; .*Have the IP Office send"):
        profile.fit(profile.load("avaya-smdr"), _peek(["a", "b"]))


def test_a_sum_of_calls_is_no_call() -> None:
    """The queue report of 3CX: an aggregate with a preamble."""
    lines = (
        ["Queue report"],
        ["From 8/12/2025 12:00:00 AM To 8/12/2025 11:59:59 PM"],
        ["Agent", "Answered", "Talking"],
    )
    with pytest.raises(errors.SchemaMismatch, match="no profile fits"):
        profile.detect(_peek(*lines, ["Ana", "12", "1:02:03"], ["Total:", "12", "1:02:03"]))


def test_numbers_of_a_file_that_nobody_knows_are_not_shown() -> None:
    with pytest.raises(errors.SchemaMismatch) as caught:
        profile.detect(_peek(["5145550123", "direction", "+15145550124"]))
    assert "555012" not in str(caught.value)


def test_an_unknown_column_of_ours_is_a_slip_also_where_the_recipe_was_detected() -> None:
    with pytest.raises(errors.SchemaMismatch, match="descripton: did you mean description"):
        profile.detect(_peek([*_CANONICAL, "descripton"]))


def test_an_alias_is_as_good_as_the_name() -> None:
    assert profile.detect(_peek(["start", *_FREEPBX[1:]])).profile.name == "freepbx"
    assert profile.resolved(profile.load("freepbx"), ["Start", "SRC"]) == {"calldate": "Start", "src": "SRC"}
