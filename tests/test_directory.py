"""A lead is found by its number alone where that is certain."""

from pathlib import Path

import polars as pl
import pytest

from pipeline import directory, errors, model

_PHONE = "+15145550123"


def _leads(folder: Path, content: str) -> directory.Leads:
    path = folder / "leads.csv"
    path.write_text(content, "utf-8")
    return directory.Leads.from_file(path)


def _calls(lead_id: int | None = None, phone: str = _PHONE, agent_id: int | None = None) -> pl.DataFrame:
    """One call of row 2."""
    cells = {"_row": [2], "lead_id": [lead_id], "customer_phone": [phone], "agent_id": [agent_id]}
    return pl.DataFrame(cells, schema_overrides={"lead_id": pl.Int64, "agent_id": pl.Int64})


def _resolved(leads: directory.Leads, lead_id: int | None, phone: str) -> tuple[int | None, model.Reason | None]:
    calls, several = leads.resolve(_calls(lead_id, phone))
    return calls["lead_id"].item(), several.get(2)


def test_leads_are_read_from_csv_and_parquet(tmp_path: Path) -> None:
    from_csv = _leads(tmp_path, "lead_id,name,phone\n5003,Zoé,+1 (514) 555-0123\n5004,Max, +15145550124 \n")
    pl.DataFrame({"phone": [_PHONE, "+15145550124"], "lead_id": [5003.0, 5004.0]}).write_parquet(
        tmp_path / "leads.parquet"
    )
    from_parquet = directory.Leads.from_file(tmp_path / "leads.parquet")
    assert from_csv.by_phone == from_parquet.by_phone == {_PHONE: (5003,), "+15145550124": (5004,)}
    assert len(from_csv.sha256) == 64
    assert from_csv.sha256 != from_parquet.sha256


def test_the_same_pair_twice_is_one_lead(tmp_path: Path) -> None:
    assert _leads(tmp_path, f"phone,lead_id\n{_PHONE},5003\n{_PHONE},5003\n").find(_PHONE) == (5003,)


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
    assert _leads(tmp_path, "phone,lead_id\n514-555-0123,5003\n").by_phone == {_PHONE: (5003,)}


def test_a_given_lead_wins(tmp_path: Path) -> None:
    leads = _leads(tmp_path, f"phone,lead_id\n{_PHONE},5017\n{_PHONE},5003\n")
    assert _resolved(leads, 9, _PHONE) == (9, None)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("514555,5003", "is not an international number"),
        (",5003", 'phone ""'),
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
