"""A lead is found by its number alone where that is certain."""

import os
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callimport.core import errors, models
from callimport.resolve.leads import Leads
from tests import exporting

_PHONE = "+15145550123"
_OTHER = "+15145550124"
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


def test_a_pipe_is_no_leads_file(tmp_path: Path) -> None:
    """Nobody may ever write to the pipe, so it is not opened for reading."""
    os.mkfifo(tmp_path / "leads.csv")
    with pytest.raises(errors.SourceError, match="not a regular file"):
        Leads.from_file(tmp_path / "leads.csv")


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
        ("514555,5003", "phone is an extension or too short"),
        ("0199000100,5003", "or state its country with --region"),
        ("555-0124,5003", "state it with --area-code"),
        ("5550124,5003", "phone has no area code"),
        ("915145550124,5003", "or state its country with --region"),
        ("5.14555E+09,5003", "phone is a spreadsheet's short form of a number"),
        (f"{_OTHER},0", 'lead_id "0" is not a whole number'),
        (f"{_OTHER},", 'lead_id ""'),
        (f"{_OTHER},L5", 'lead_id "L5"'),
        (f"{_OTHER}", "1 cells where the header has 2"),
    ],
)
def test_a_bad_row_is_named_without_its_number_and_the_others_are_used(tmp_path: Path, row: str, said: str) -> None:
    leads = _leads(tmp_path, f"phone,lead_id\n{_PHONE},5003\n{row}\n")
    (told,) = leads.unused
    assert "leads.csv: 1 of 2 rows is not used: line 3: " in told
    assert said in told
    assert not re.search(r"\d{7}", told.replace("-", "").partition("leads.csv")[2])
    assert _ids(leads) == {_PHONE: [5003]}


@pytest.mark.parametrize("phone", ["", "n/a", "-", "unknown", "anonymous", "Inconnu", " "])
def test_a_lead_without_a_phone_is_counted_and_is_no_bad_row(tmp_path: Path, phone: str) -> None:
    rows = f"{phone},5001\n" * 40
    leads = _leads(tmp_path, f"phone,lead_id\n{rows}{_PHONE},5003\n")
    assert _ids(leads) == {_PHONE: [5003]}
    assert leads.unused[0].endswith(
        "leads.csv: 40 of 41 rows are not used: no phone in line 2, line 3, line 4, line 5, line 6, …"
    )


@pytest.mark.parametrize(
    ("bad", "good", "is_refused"), [(2, 1, False), (3, 57, False), (10, 200, False), (3, 56, True)]
)
def test_more_than_two_bad_rows_and_five_percent_refuse_the_file(
    tmp_path: Path, bad: int, good: int, is_refused: bool
) -> None:
    rows = "555-0124,5001\n" * bad + "".join(f"+1514555{1000 + n},{n + 1}\n" for n in range(good))
    if is_refused:
        with pytest.raises(errors.SourceError, match=r"3 of 59 rows cannot be used, more than 5 %: line 2: phone has"):
            _leads(tmp_path, f"phone,lead_id\n{rows}")
    else:
        leads = _leads(tmp_path, f"phone,lead_id\n{rows}")
        assert len(leads.by_phone) == good
        assert f"{bad} of {bad + good} rows are not used" in leads.unused[0]
        assert leads.unused[0].count("line ") == min(bad, 5)
        assert leads.unused[0].endswith("; and 5 more") == (bad == 10)


@pytest.mark.parametrize("row", ["n/a,5001", "555-0124,5001", f"{_PHONE},none"])
def test_a_leads_file_of_which_no_row_can_be_used_is_refused(tmp_path: Path, row: str) -> None:
    with pytest.raises(errors.SourceError, match=r"none of its rows can be used: line 2: .* Mend these rows or remove"):
        _leads(tmp_path, f"phone,lead_id\n{row}\n")
    assert _ids(_leads(tmp_path, "phone,lead_id\n")) == {}


_GOOD = st.tuples(st.integers(100, 199).map(lambda n: f"+15145550{n}"), st.integers(1, 9).map(str), st.just(""))
_BAD = st.one_of(
    st.tuples(st.sampled_from(["555-0124", "5145", "12", "x", "1.5E+09", "+999"]), st.just("7"), st.just("")),
    st.tuples(st.just(_PHONE), st.sampled_from(["", "0", "-4", "1.5", "L5", "9" * 30]), st.just("")),
    st.tuples(st.just(_PHONE), st.just("7"), st.sampled_from(["soon", "2024-13-01", "31/05/2024"])),
    st.tuples(st.just(_PHONE), st.just("7")),
)
_BLANK = st.tuples(
    st.sampled_from(["", "n/a", "#N/A", "NULL", "-", "unknown", "anonymous"]), st.sampled_from(["7", "x"]), st.just("")
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    good=st.lists(_GOOD, max_size=60), bad=st.lists(_BAD, max_size=30), blank=st.lists(_BLANK, max_size=9),
    chance=st.randoms(use_true_random=False),
)  # fmt: skip
def test_good_rows_resolve_as_in_a_file_of_their_own_or_the_file_is_refused(
    tmp_path: Path,
    good: list[tuple[str, ...]],
    bad: list[tuple[str, ...]],
    blank: list[tuple[str, ...]],
    chance: random.Random,
) -> None:
    def content(rows: list[tuple[str, ...]]) -> str:
        return "".join(",".join(row) + "\n" for row in [("phone", "lead_id", "created_at"), *rows])

    mixed = [*good, *bad, *blank]
    chance.shuffle(mixed)
    too_many = len(bad) > 2 and len(bad) > 0.05 * len(mixed)
    if too_many or (mixed and not good):
        with pytest.raises(errors.SourceError, match="Mend these rows or remove them"):
            _leads(tmp_path, content(mixed))
        return
    leads = _leads(tmp_path, content(mixed))
    assert leads.by_phone == _leads(tmp_path, content(good)).by_phone
    counted = [int(re.search(r": (\d+) of (\d+) rows", line)[1]) for line in leads.unused]  # type: ignore[index]
    assert counted == [len(some) for some in (bad, blank) if some]


# ── headers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name",
    [
        "Phone", "PHONE NUMBER", "telephone", "Téléphone", "mobile", "Cell", "Cellulaire", "Home Phone", "work-phone",
        "phones", "Phone #", "Numéro de téléphone", "No de téléphone", "Tél.", "Téléphone (domicile)", "customer_phone",
    ],
)  # fmt: skip
def test_a_column_of_phones_is_known_by_its_common_names(tmp_path: Path, name: str) -> None:
    leads = _leads(tmp_path, f"{name},lead_id\n{_PHONE},5003\n")
    assert _ids(leads) == {_PHONE: [5003]}
    assert leads.columns_told.endswith(f"leads.csv: read {name} as phone")


@pytest.mark.parametrize(
    "name", ["Lead ID", "LEAD-ID", "LeadId", "id_lead", "Activix ID", "Lead #", "Numéro de lead", "id", "ID"]
)
def test_the_lead_is_known_by_its_common_names(tmp_path: Path, name: str) -> None:
    assert _ids(_leads(tmp_path, f"phone,{name}\n{_PHONE},5003\n")) == {_PHONE: [5003]}


def test_an_id_beside_a_lead_id_is_not_the_lead(tmp_path: Path) -> None:
    leads = _leads(tmp_path, f"id,phone,Lead ID\n9,{_PHONE},5003\n")
    assert _ids(leads) == {_PHONE: [5003]}
    assert "ID as lead_id" in leads.columns_told
    assert "id as" not in leads.columns_told


def test_exact_column_names_are_not_reported(tmp_path: Path) -> None:
    assert _leads(tmp_path, f"phone,lead_id,created_at,status\n{_PHONE},5003,,\n").columns_told == ""


def test_every_column_of_phones_counts_for_the_lead(tmp_path: Path) -> None:
    header = "Lead ID,Phone,Mobile Phone,Work phone,Fax"
    content = (
        f"{header}\n1,514-555-0101,,(514) 555-0102,514-555-0103\n2,n/a,5145550104,-,\n3,,,,5145550105\n"
        "4,5145550106,555-0107,,\n5,5145550108 / 514-555-0109,,,\n"
    )
    leads = _leads(tmp_path, content)
    wanted = {101: 1, 102: 1, 104: 2, 106: 4, 108: 5, 109: 5}
    assert _ids(leads) == {f"+15145550{phone}": [lead] for phone, lead in wanted.items()}
    blank, cells = leads.unused
    assert blank.endswith("1 of 5 rows is not used: no phone in line 4")
    assert "1 row used without cells that cannot be read: line 5: Mobile Phone has no area code" in cells


def test_a_lead_and_its_day_are_found_under_french_names(tmp_path: Path) -> None:
    content = f"Téléphone,ID du lead,Date de création,Statut\n{_PHONE},5003,2024-01-10,Duplicate\n"
    (lead,) = _leads(tmp_path, content).by_phone[_PHONE]
    assert lead == models.Lead(5003, datetime(2024, 1, 10, tzinfo=UTC), "duplicate")


@pytest.mark.parametrize("pair", ["Lead ID,lead_id", "lead_id,Activix ID"])
def test_two_columns_that_name_the_lead_are_refused_by_name(tmp_path: Path, pair: str) -> None:
    with pytest.raises(
        errors.SchemaMismatch, match=f"the columns {pair.replace(',', ' and ')} all mean lead_id; keep one"
    ):
        _leads(tmp_path, f"phone,{pair}\n{_PHONE},1,2\n")


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


def test_a_row_whose_time_is_none_is_named_and_not_used(tmp_path: Path) -> None:
    leads = _leads(tmp_path, f"phone,lead_id,created_at\n{_PHONE},5003,\n{_OTHER},5004,2024-05-31T14:05\n")
    assert 'line 3: created_at "2024-05-31T14:05" is no time; write it as 2024-05-31T14:05:09-04:00' in leads.unused[0]
    assert _ids(leads) == {_PHONE: [5003]}


def test_a_report_lists_the_rows_that_are_not_used_and_their_calls_have_no_lead(tmp_path: Path) -> None:
    header = "direction,started_at,duration_seconds,customer_phone"
    rows = [f"incoming,2024-05-31T14:0{n}:09-04:00,60,+15145550{123 + n}" for n in range(3)]
    calls = exporting.write(tmp_path / "calls.csv", header, *rows)
    leads = exporting.write(
        tmp_path / "leads.csv", "Phone,lead_id", "5145550123,1000", "555-0124,1001", "n/a,1005", "5145550125,1002"
    )
    result = exporting.check(calls, leads=leads)
    assert (result.summary.calls.pending, result.summary.skipped) == (2, {"no_lead": 1})
    bad, blank = (line for line in result.told if "leads.csv" in line)
    assert "1 of 4 rows is not used: line 3: Phone has no area code; state it with --area-code, or write it" in bad
    assert blank.endswith("1 of 4 rows is not used: no phone in line 4")
    assert exporting.inputs(calls, leads=leads).told[-1].endswith("leads.csv: read Phone as phone")


def test_a_leads_file_in_which_a_quote_takes_in_other_rows_is_refused(tmp_path: Path) -> None:
    rows = [f"+15145550{n},{n},2024-05-01,note" for n in range(100, 200)]
    rows[10], rows[60] = rows[10].replace("note", '"note'), rows[60].replace("note", 'note"')
    with pytest.raises(
        errors.SourceError, match=r"line 12: the row has a quoted cell that holds whole rows \(lines 12"
    ):
        _leads(tmp_path, "phone,lead_id,created_at,note\n" + "\n".join(rows) + "\n")


def test_a_word_for_nothing_in_a_leads_file_is_a_blank(tmp_path: Path) -> None:
    leads = _leads(tmp_path, f"phone,lead_id,created_at,status\n{_PHONE},5003,NULL,N/A\nNULL,5004,,\n")
    assert _ids(leads) == {_PHONE: [5003]}
    assert leads.unused[0].endswith("no phone in line 3")
