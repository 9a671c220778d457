"""A lead is found by its number alone where that is certain."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from callimport.core import errors, models
from callimport.resolve.leads import Leads

_PHONE = "+15145550123"
_AT = datetime(2024, 5, 31, 16, 0, tzinfo=UTC)


def _leads(folder: Path, content: str, several: str = "reject") -> Leads:
    path = folder / "leads.csv"
    path.write_text(content, "utf-8")
    return Leads.from_file(path, several=several)


def _calls(lead_id: int | None = None, phone: str = _PHONE, at: datetime = _AT) -> pl.DataFrame:
    """One call of row 2."""
    cells = {"_row": [2], "lead_id": [lead_id], "customer_phone": [phone], "started_at": [at]}
    return pl.DataFrame(cells, schema_overrides={"lead_id": pl.Int64})


def _ids(leads: Leads) -> dict[str, list[int]]:
    return {phone: [lead.id for lead in found] for phone, found in leads.by_phone.items()}


def _resolved(leads: Leads, lead_id: int | None, phone: str) -> tuple[int | None, models.Reason | None]:
    calls, several = leads.resolve(_calls(lead_id, phone))
    return calls["lead_id"].item(), several.get(2)


def test_leads_are_read_from_csv_and_parquet(tmp_path: Path) -> None:
    from_csv = _leads(tmp_path, "lead_id,name,phone\n5003,Zoé,+1 (514) 555-0123\n5004,Max, +15145550124 \n")
    pl.DataFrame({"phone": [_PHONE, "+15145550124"], "lead_id": [5003.0, 5004.0]}).write_parquet(
        tmp_path / "leads.parquet"
    )
    from_parquet = Leads.from_file(tmp_path / "leads.parquet")
    assert _ids(from_csv) == _ids(from_parquet) == {_PHONE: [5003], "+15145550124": [5004]}
    assert len(from_csv.sha256) == 64
    assert from_csv.sha256 != from_parquet.sha256


def test_the_same_pair_twice_is_one_lead(tmp_path: Path) -> None:
    assert _ids(_leads(tmp_path, f"phone,lead_id\n{_PHONE},5003\n{_PHONE},5003\n")) == {_PHONE: [5003]}


def test_a_number_with_one_lead_is_that_lead(tmp_path: Path) -> None:
    assert _resolved(_leads(tmp_path, f"phone,lead_id\n{_PHONE},5003\n"), None, _PHONE) == (5003, None)


def test_a_number_without_a_lead_is_nobody_and_no_fault(tmp_path: Path) -> None:
    leads = _leads(tmp_path, f"phone,lead_id\n{_PHONE},5003\n")
    assert _resolved(leads, None, "+15145550199") == (None, None)


def test_a_number_with_several_leads_is_never_a_guess(tmp_path: Path) -> None:
    leads = _leads(tmp_path, f"phone,lead_id\n{_PHONE},5017\n{_PHONE},5003\n")
    lead_id, reason = _resolved(leads, None, _PHONE)
    assert lead_id is None
    assert reason is not None
    assert reason.rule == "lead_several"
    assert reason.message.startswith("leads 5003 and 5017 both have this number; ")


def test_numbers_without_a_country_are_of_the_region(tmp_path: Path) -> None:
    assert _ids(_leads(tmp_path, "phone,lead_id\n514-555-0123,5003\n")) == {_PHONE: [5003]}


def test_a_given_lead_wins(tmp_path: Path) -> None:
    leads = _leads(tmp_path, f"phone,lead_id\n{_PHONE},5017\n{_PHONE},5003\n")
    assert _resolved(leads, 9, _PHONE) == (9, None)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("514555,5003", "is not an international number"),
        (",5003", 'phone ""'),
        ("0199000100,5003", "or state its country with --region"),
        ("555-0123,5003", "state it with --area-code"),
        ("915145550123,5003", "or state its country with --region"),
        (f"{_PHONE},0", 'lead_id "0" is not a whole number'),
        (f"{_PHONE},", 'lead_id ""'),
        (f"{_PHONE},L5", 'lead_id "L5"'),
        (f"{_PHONE}", "1 cells where the header has 2"),
    ],
)
def test_a_wrong_line_is_named_without_showing_the_number(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(errors.SourceError) as caught:
        _leads(tmp_path, f"phone,lead_id\n{_PHONE},5003\n{row}\n")
    assert "leads.csv, line 3: " in str(caught.value)
    assert said in str(caught.value)
    assert "5145550123" not in str(caught.value)


def test_a_leads_file_without_its_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.SchemaMismatch, match="has no column lead_id"):
        _leads(tmp_path, "phone,lead\n")


_THREE = """phone,lead_id,created_at,status
+15145550123,5001,2024-01-10,
+15145550123,5002,2024-05-31T11:59:00-04:00,lost
+15145550123,5003,2024-07-01 00:00:00Z,
+15145550123,5004,2024-05-31T15:59:59Z,Duplicate
+15145550123,5005,,invalid
"""


@pytest.mark.parametrize(
    ("several", "at", "wanted"),
    [
        ("newest", _AT, 5003),
        ("oldest", _AT, 5001),
        ("at-call", _AT, 5002),
        ("at-call", _AT - timedelta(minutes=2), 5001),
        ("at-call", datetime(2025, 1, 1, tzinfo=UTC), 5003),
        ("at-call", datetime(2023, 12, 12, tzinfo=UTC), 5001),
        ("at-call", datetime(2023, 12, 10, tzinfo=UTC), None),
        ("reject", _AT, None),
    ],
)
def test_of_several_leads_one_is_chosen_as_was_decided(
    tmp_path: Path, several: str, at: datetime, wanted: int | None
) -> None:
    """At the call: the last one created before it, else the first within 30 days after it."""
    leads = _leads(tmp_path, _THREE, several)
    resolved, reasons = leads.resolve(_calls(at=at))
    assert resolved["lead_id"].item() == wanted == leads.lead_of(_PHONE, at)
    assert list(reasons) == ([] if wanted else [2])
    assert leads.lead_of("+15145550199", at) is None


def test_of_leads_whose_beginning_is_not_known_none_is_chosen(tmp_path: Path) -> None:
    leads = _leads(tmp_path, f"phone,lead_id,created_at\n{_PHONE},5017,2024-01-01\n{_PHONE},5003,\n", "newest")
    lead_id, reason = _resolved(leads, None, _PHONE)
    assert lead_id is None
    assert reason is not None
    assert "and it is not known when each was created; " in reason.message


def test_of_a_number_whose_leads_are_not_all_shown_none_is_chosen_though_there_are_some() -> None:
    leads = Leads.of_the_crm({}, "newest", {_PHONE: "why"})
    resolved, reasons = leads.resolve(_calls())
    assert (resolved["lead_id"].to_list(), reasons) == ([None], {})
    assert leads.knows(_PHONE)
    assert leads.lead_of(_PHONE, datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_what_is_wrong_with_several_leads_says_what_was_decided() -> None:
    known = tuple(models.Lead(number, _AT + timedelta(days=40)) for number in (3, 1, 2))
    resolved, reasons = Leads.of_the_crm({_PHONE: known}, "at-call").resolve(_calls())
    assert resolved["lead_id"].item() is None
    assert reasons[2].message.startswith(
        "leads 1, 2 and 3 all have this number, and none was created before the call or within 30 days after it; write"
    )


@pytest.mark.parametrize("status", ["duplicate", "Invalid"])
def test_a_duplicate_or_invalid_lead_is_never_chosen(tmp_path: Path, status: str) -> None:
    one = f"phone,lead_id,status\n{_PHONE},5003,{status}\n"
    alone, beside = _leads(tmp_path, one), _leads(tmp_path, one + f"{_PHONE},5017,\n")
    assert _resolved(alone, None, _PHONE) == (None, None)
    assert _resolved(beside, None, _PHONE) == (5017, None)
    assert (alone.knows(_PHONE), beside.knows(_PHONE)) == (False, True)


def test_a_time_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.SourceError, match=r'line 3: created_at "2024-05-31T14:05" is no time; write it as'):
        _leads(tmp_path, f"phone,lead_id,created_at\n{_PHONE},5003,\n{_PHONE},5003,2024-05-31T14:05\n")
