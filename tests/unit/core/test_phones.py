"""A number is read however it is written; what is not one is called by its name; nothing is guessed."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callimport.core import errors, phones
from callimport.core.phones import Kind

_NUMBER = "+15145550100"


def _read(cell: str | None, region: str = "CA") -> tuple[str | None, str | None, str]:
    """E.164, extension and kind of one cell."""
    e164, extension, kind, _ = phones.read(pl.Series([cell], dtype=pl.String), region).row(0)
    return e164, extension, kind


def _wrong(cell: str) -> str:
    ((wrong,),) = phones.read(pl.Series([cell]), "CA").select("wrong").rows()
    return str(wrong)


@pytest.mark.parametrize(
    "cell",
    [
        "5145550100",
        "15145550100",
        "+15145550100",
        "(514) 555-0100",
        "+1 (514) 555-0100",
        "1-514-555-0100",
        "514.555.0100",
        "514 555 0100",
        "514\u202f555\u20110100",
        "\u202a+1 514 555-0100\u202c",
        " 5145550100 ",
        "５１４５５５０１００",
        "*675145550100",
    ],
)
def test_a_number_of_the_region_is_read_however_it_is_grouped(cell: str) -> None:
    assert _read(cell) == (_NUMBER, None, Kind.NUMBER)


@pytest.mark.parametrize("cell", ["5145550100.0", "15145550100.0", "+15145550100.0", "5145550100.00", "5145550100,00"])
def test_a_number_that_became_a_float_is_that_number(cell: str) -> None:
    assert _read(cell) == (_NUMBER, None, Kind.NUMBER)


@pytest.mark.parametrize("cell", ['="5145550100"', "'+15145550100", '"5145550100"', "5145550100;"])
def test_what_keeps_a_spreadsheet_from_counting_is_taken_off(cell: str) -> None:
    assert _read(cell) == (_NUMBER, None, Kind.NUMBER)


@pytest.mark.parametrize(
    "cell",
    [
        "tel:+1-514-555-0100",
        "tel:5145550100",
        "tel:%2B15145550100",
        "callto:5145550100",
        "sip:5145550100@pbx.example",
        "sip:+15145550100@pbx.example;user=phone",
        "<sips:5145550100@pbx.example>",
        "5145550100@pbx.example",
    ],
)
def test_a_number_in_a_uri(cell: str) -> None:
    assert _read(cell) == (_NUMBER, None, Kind.NUMBER)


@pytest.mark.parametrize(
    "cell",
    [
        '"User" <5145550100>',
        "User 10 <5145550100>",
        "Sales (+1 514 555-0100)",
        "Garage (Nord) (514) 555-0100",
        "Éloïse 514 555-0100",
        "514 555-0100 Éloïse",
        "(514) 555-0100 (Éloïse)",
    ],
)
def test_a_name_beside_the_number_is_no_part_of_it(cell: str) -> None:
    assert _read(cell) == (_NUMBER, None, Kind.NUMBER)


@pytest.mark.parametrize(
    "cell",
    [
        "514-555-0100 ext. 204",
        "514-555-0100 x204",
        "514-555-0100 poste 204",
        "514-555-0100 #204",
        "5145550100,204",
        "5145550100;ext=204",
        "tel:+1-514-555-0100;ext=204",
    ],
)
def test_an_extension_after_a_number_is_split_off(cell: str) -> None:
    assert _read(cell) == (_NUMBER, "204", Kind.NUMBER)


@pytest.mark.parametrize(
    ("cell", "extension"),
    [
        ("801", "801"),
        ("801.0", "801"),
        ("123456", "123456"),
        ("Name (801)", "801"),
        ("Test, Info (830)", "830"),
        ("Éloïse (poste 12)", "12"),
        ("Ext.100", "100"),
        ("ext 100", "100"),
        ("poste 100", "100"),
        ("x100", "100"),
        ('"User 10" <114>', "114"),
        ("sip:801@pbx.example", "801"),
        ("*60", "*60"),
    ],
)
def test_up_to_six_digits_are_an_extension(cell: str, extension: str) -> None:
    assert _read(cell) == (None, extension, Kind.EXTENSION)


@pytest.mark.parametrize(
    "cell",
    [
        "Anonymous",
        "anonymous",
        "Unknown",
        "UNKNOWN CALLER",
        "Restricted",
        "Private Number",
        "PRIVATE NAME",
        "Blocked",
        "Unavailable",
        "No Caller ID",
        "Anonyme",
        "Inconnu",
        "Appel privé",
        "PRIVÉ",
        "Prive\u0301",
        "Numéro masqué",
        "masque",
        "Hors zone",
        "(Unknown)",
        "[Inconnu]",
        '"Anonymous" <anonymous>',
        '"Privé" <>',
        "sip:anonymous@anonymous.invalid",
        "0",
        "0.0",
        "0000000000",
        "-",
        "s",
        "-1",
    ],
)
def test_who_hides_is_anonymous_in_english_and_in_french(cell: str) -> None:
    assert _read(cell) == (None, None, Kind.ANONYMOUS)


def test_a_number_beside_unknown_is_a_number() -> None:
    assert _read("Unknown <5145550100>") == (_NUMBER, None, Kind.NUMBER)


@pytest.mark.parametrize("cell", ["Unknown Tremblay", "Garage Secret"])
def test_a_name_that_holds_such_a_word_is_not_anonymous(cell: str) -> None:
    assert _read(cell) == (None, None, Kind.UNREADABLE)


@pytest.mark.parametrize("cell", [None, "", "  ", "\u200b", "nan", "NaN", "none", "<NA>", "N/A", '""', '"" <>'])
def test_nothing_is_missing(cell: str | None) -> None:
    assert _read(cell) == (None, None, Kind.MISSING)


# ── what a spreadsheet does ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cell", ["5.145550100E+9", "5,14555E+09", "5.14555e9", "1.51E+10", "5E+09", '"5.14555E+09"'])
def test_a_number_in_short_form_is_damaged_even_with_all_its_digits(cell: str) -> None:
    assert _read(cell) == (None, None, Kind.DAMAGED)
    assert "short form" in _wrong(cell)


@pytest.mark.parametrize("cell", ["########", "#N/A", "#VALUE!", "#NOM?"])
def test_an_error_of_a_spreadsheet_is_damage(cell: str) -> None:
    assert _read(cell) == (None, None, Kind.DAMAGED)


def test_a_number_that_was_typed_as_a_sum_is_damaged() -> None:
    assert 1 - 514 - 555 - 100 == -1168
    assert _read("-1168") == (None, None, Kind.DAMAGED)
    assert "computed" in _wrong("-1168")


@pytest.mark.parametrize("cell", ["33199000100", "61491570006", "442079460000"])
def test_a_foreign_number_that_lost_its_plus_is_damaged(cell: str) -> None:
    assert _read(cell) == (None, None, Kind.DAMAGED)
    assert "lost its +" in _wrong(cell)


def test_ten_digits_that_are_nobodys_here_but_somebodys_elsewhere_are_damaged() -> None:
    assert _read("+4985550100")[2] == Kind.NUMBER
    assert _read("4985550100") == (None, None, Kind.DAMAGED)


# ── what is possible ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cell", ["+16005550100", "16005550100", "6005550100", "+16005550195"])
def test_a_number_need_only_be_possible(cell: str) -> None:
    digits = cell.removeprefix("+").removeprefix("1")
    assert _read(cell) == (f"+1{digits}", None, Kind.NUMBER)


def test_every_fictional_number_passes() -> None:
    cells = pl.Series([f"514-555-01{line:02}" for line in range(100)])
    assert phones.read(cells, "CA")["e164"].to_list() == [f"+151455501{line:02}" for line in range(100)]


@pytest.mark.parametrize("cell", ["+33 1 99 00 01 00", "01133199000100", "0033199000100", "+33 (0)1 99 00 01 00"])
def test_a_foreign_number_is_read_with_plus_or_prefix(cell: str) -> None:
    assert _read(cell) == ("+33199000100", None, Kind.NUMBER)


def test_bare_numbers_are_of_the_region() -> None:
    assert _read("01 99 00 01 00", "FR") == ("+33199000100", None, Kind.NUMBER)
    assert _read("0015145550100", "FR") == (_NUMBER, None, Kind.NUMBER)
    assert _read("5145550100", "US") == (_NUMBER, None, Kind.NUMBER)
    assert _read("5145550100", "FR")[2] != Kind.NUMBER


@pytest.mark.parametrize("cell", ["555-0100", "5550100"])
def test_a_number_without_area_code_is_not_completed(cell: str) -> None:
    assert _read(cell) == (None, None, Kind.UNREADABLE)
    assert "no area code" in _wrong(cell)


def test_a_plus_does_not_make_a_country_code() -> None:
    assert _read("+5145550100") == (None, None, Kind.UNREADABLE)
    assert "no country code" in _wrong("+5145550100")


@pytest.mark.parametrize(
    "cell",
    [
        "1145550100",
        "0145550100",
        "+1514555010",
        "+801",
        "1234567890123456",
        "+999145550100",
        "5145550100 5145550101",
        "514-555-0100 / 514-555-0101",
        "client1",
        "SIP/114-000000c4",
        "b002179144511001",
        "1-800-FLOWERS",
        "2024-06-17 05:59:49",
        "x" * 100_000,
        "x" * 200 + " 5145550100",
        "5145550100" * 10_000,
        " (" * 50_000 + "1",
    ],
)
def test_what_is_no_number_is_unreadable(cell: str) -> None:
    assert _read(cell) == (None, None, Kind.UNREADABLE)


# ── a whole column ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_stay_in_their_order_however_often_a_cell_comes() -> None:
    cells = pl.Series(["801", None, "5145550100", "801", "Privé", None, "5145550101"])
    frame = phones.read(cells, "CA")
    assert frame.schema == pl.Schema(dict.fromkeys(("e164", "extension", "kind", "wrong"), pl.String))
    assert frame["e164"].to_list() == [None, None, _NUMBER, None, None, None, "+15145550101"]
    assert frame["kind"].to_list() == [
        "extension", "missing", "number", "extension", "anonymous", "missing", "number"
    ]  # fmt: skip


def test_an_empty_column_has_the_same_shape() -> None:
    for cells in (pl.Series([], dtype=pl.String), pl.Series([_NUMBER]), pl.Series(["5145550100"])):
        assert phones.read(cells, "CA").columns == ["e164", "extension", "kind", "wrong"]
        assert phones.read(cells, "CA").height == len(cells)


def test_only_what_cannot_be_used_is_told_to_be_wrong() -> None:
    frame = phones.read(pl.Series(["801", None, "5145550100", "Privé", "5E+09", "client1"]), "CA")
    is_faulty = frame["kind"].is_in([Kind.DAMAGED.value, Kind.UNREADABLE.value])
    assert (frame["wrong"].is_not_null() == is_faulty).all()


_FORMS = (
    "{0}{1}{2}",
    "1{0}{1}{2}",
    "+1{0}{1}{2}",
    "({0}) {1}-{2}",
    "+1 ({0}) {1}-{2}",
    "{0}.{1}.{2}",
    "{0}{1}{2}.0",
    "1-{0}-{1}-{2}",
    "tel:+1-{0}-{1}-{2}",
    "sip:{0}{1}{2}@pbx.example",
    '"Éloïse 2" <{0}{1}{2}>',
    "Éloïse (+1 {0} {1}-{2})",
    "011 1 {0} {1} {2}",
    "00 1 {0} {1} {2}",
    "{0}-{1}-{2} poste 204",
)


@settings(deadline=None, derandomize=True, database=None)
@given(
    area=st.sampled_from(["514", "438", "450", "418", "819", "613", "416", "800", "212"]),
    exchange=st.integers(200, 999).map(str),
    line=st.integers(0, 9999).map("{:04}".format),
)
def test_any_number_reads_the_same_in_every_form(area: str, exchange: str, line: str) -> None:
    cells = pl.Series([form.format(area, exchange, line) for form in _FORMS])
    assert set(phones.read(cells, "CA")["e164"]) == {f"+1{area}{exchange}{line}"}


@settings(deadline=None, derandomize=True, database=None)
@given(st.text(alphabet="0123456789+-. ()", max_size=16))
def test_a_turn_of_python_and_none_come_to_the_same(cell: str) -> None:
    alone = phones.read(pl.Series([cell]), "CA").row(0)
    assert alone[:3] == phones._read.__wrapped__(cell, "CA")[:3]


@settings(deadline=None, derandomize=True, database=None)
@given(st.text(max_size=40))
def test_any_text_is_of_some_kind_and_only_numbers_have_e164(cell: str) -> None:
    e164, extension, kind = _read(cell)
    assert (e164 is not None) == (kind == Kind.NUMBER)
    assert extension is None or kind in (Kind.NUMBER, Kind.EXTENSION)
    if e164 is not None:
        assert _read(e164) == (e164, None, Kind.NUMBER)


# ── the region ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_region_is_a_country() -> None:
    assert phones.require_region(" ca ") == "CA"
    with pytest.raises(errors.ConfigError, match='--region "Canada" is no country'):
        phones.require_region("Canada")
