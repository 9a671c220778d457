"""A number is read however it is written; what is not one is called by its name; nothing is guessed."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callimport.core import errors, phones
from callimport.core.phones import Kind

_NUMBER = "+15145550100"
_CANADA = phones.Dialling()


def _read(cell: str | None, region: str = "CA") -> tuple[str | None, str | None, str]:
    """E.164, extension and kind of one cell."""
    e164, extension, kind, _ = phones.read(pl.Series([cell], dtype=pl.String), phones.Dialling(region)).row(0)
    return e164, extension, kind


def _wrong(cell: str) -> str:
    ((wrong,),) = phones.read(pl.Series([cell]), _CANADA).select("wrong").rows()
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
    assert phones.read(cells, _CANADA)["e164"].to_list() == [f"+151455501{line:02}" for line in range(100)]


@pytest.mark.parametrize("cell", ["+33 1 99 00 01 00", "01133199000100", "0033199000100", "+33 (0)1 99 00 01 00"])
def test_a_foreign_number_is_read_with_plus_or_prefix(cell: str) -> None:
    assert _read(cell) == ("+33199000100", None, Kind.NUMBER)


def test_bare_numbers_are_of_the_region() -> None:
    assert _read("01 99 00 01 00", "FR") == ("+33199000100", None, Kind.NUMBER)
    assert _read("0015145550100", "FR") == (_NUMBER, None, Kind.NUMBER)
    assert _read("5145550100", "US") == (_NUMBER, None, Kind.NUMBER)
    assert _read("5145550100", "FR")[2] != Kind.NUMBER


@pytest.mark.parametrize("cell", ["555-0100", "5550100", "*675550100"])
def test_a_number_without_area_code_is_not_completed(cell: str) -> None:
    assert _read(cell) == (None, None, Kind.LOCAL)
    assert "no area code; state it with --area-code" in _wrong(cell)


@pytest.mark.parametrize("cell", ["0550100", "1550100"])
def test_seven_digits_that_no_exchange_begins_with_are_no_local_number(cell: str) -> None:
    assert _read(cell) == (None, None, Kind.UNREADABLE)


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
    frame = phones.read(cells, _CANADA)
    assert frame.schema == pl.Schema(dict.fromkeys(("e164", "extension", "kind", "wrong"), pl.String))
    assert frame["e164"].to_list() == [None, None, _NUMBER, None, None, None, "+15145550101"]
    assert frame["kind"].to_list() == [
        "extension", "missing", "number", "extension", "anonymous", "missing", "number"
    ]  # fmt: skip


def test_an_empty_column_has_the_same_shape() -> None:
    for cells in (pl.Series([], dtype=pl.String), pl.Series([_NUMBER]), pl.Series(["5145550100"])):
        assert phones.read(cells, _CANADA).columns == ["e164", "extension", "kind", "wrong"]
        assert phones.read(cells, _CANADA).height == len(cells)


def test_only_what_cannot_be_used_is_told_to_be_wrong() -> None:
    frame = phones.read(pl.Series(["801", None, "5145550100", "Privé", "5E+09", "client1"]), _CANADA)
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
    assert set(phones.read(cells, _CANADA)["e164"]) == {f"+1{area}{exchange}{line}"}


@settings(deadline=None, derandomize=True, database=None)
@given(st.text(alphabet="0123456789+-. ()", max_size=16))
def test_a_turn_of_python_and_none_come_to_the_same(cell: str) -> None:
    alone = phones.read(pl.Series([cell]), _CANADA).row(0)
    assert alone[:3] == phones._read.__wrapped__(cell, _CANADA)[:3]


@settings(deadline=None, derandomize=True, database=None)
@given(st.text(max_size=40))
def test_any_text_is_of_some_kind_and_only_numbers_have_e164(cell: str) -> None:
    e164, extension, kind = _read(cell)
    assert (e164 is not None) == (kind == Kind.NUMBER)
    assert extension is None or kind in (Kind.NUMBER, Kind.EXTENSION)
    if e164 is not None:
        assert _read(e164) == (e164, None, Kind.NUMBER)


# ── as it is dialled ─────────────────────────────────────────────────────────────────────────────────────────────────

_DESK = phones.Dialling("CA", "9", "514")
_CODES = ("", "*67", "*82", "*70", "*31#", "#31#", "1831", "1167")
_GROUPS = ("{0}{1}{2}", "{0}-{1}-{2}", "({0}) {1}-{2}", "{0} {1} {2}", "{0}.{1}.{2}", "1{0}{1}{2}", "1-{0}-{1}-{2}")
_AREAS = st.sampled_from(sorted(phones._area_codes()))


def _dialled(cell: str, dialling: phones.Dialling = _DESK) -> tuple[str | None, str]:
    """E.164 and kind of one cell."""
    e164, _, kind, _ = phones.read(pl.Series([cell], dtype=pl.String), dialling).row(0)
    return e164, kind


@pytest.mark.parametrize(
    "cell",
    [
        "95145550100",
        "915145550100",
        "9-1-514-555-0100",
        "9 (514) 555-0100",
        "9,5145550100",
        "9w15145550100",
        "9+15145550100",
        "901115145550100",
        "*675145550100",
        "*67 5145550100",
        "*67,5145550100",
        "*67-1-514-555-0100",
        "*679 5145550100",
        "9*675145550100",
        "*31#5145550100",
        "#31#5145550100",
        "18315145550100",
        "118295145550100",
        "<95145550100>",
        "sip:95145550100@pbx.example",
        "Ana (95145550100)",
        "5550100",
        "555-0100",
        "9 555 0100",
        "95550100",
        "*675550100",
    ],
)
def test_a_dialled_number_is_the_public_number_behind_its_prefixes(cell: str) -> None:
    assert _dialled(cell) == (_NUMBER, Kind.NUMBER)


@pytest.mark.parametrize(
    ("cell", "e164"),
    [
        ("905 555 0123", "+19055550123"),
        ("9055550123", "+19055550123"),
        ("18315550126", "+18315550126"),
        ("+95145550125", "+95145550125"),
        ("+915145550125", "+915145550125"),
        ("9011525512345678", "+525512345678"),
    ],
)
def test_what_is_a_number_as_it_stands_keeps_its_first_digit(cell: str, e164: str) -> None:
    assert _dialled(cell) == (e164, Kind.NUMBER)


@pytest.mark.parametrize("cell", ["911", "9911", "*60", "*97", "#70", "*8101", "4003", "600", "*67 101", "123456"])
def test_extensions_and_feature_codes_are_no_numbers(cell: str) -> None:
    assert _dialled(cell) == (None, Kind.EXTENSION)


@pytest.mark.parametrize("cell", ["*725145550100", "*72 5145550100", "*15145550100", "**101", "9 911"])
def test_a_code_that_begins_no_call_makes_no_number(cell: str) -> None:
    assert _dialled(cell) == (None, Kind.UNREADABLE)


def test_a_code_of_digits_takes_a_whole_number_behind_it() -> None:
    """With seven it may as well be a wrong digit in 1 and ten of them."""
    assert _dialled("11675550100") == (None, Kind.UNREADABLE)


def test_no_outside_line_is_taken_off_a_number_within_a_text() -> None:
    assert _dialled("Ana 95145550100")[0] is None


def test_two_readings_of_one_number_are_not_guessed() -> None:
    """Three digits that are an area code, too."""
    dialling = phones.Dialling("CA", "438", "514")
    ((e164, wrong),) = phones.read(pl.Series(["4385550100"]), dialling).select("e164", "wrong").rows()
    assert e164 is None
    assert "may be a number as it stands" in wrong


def test_digits_that_may_be_of_another_country_are_told_beside_the_number() -> None:
    frame = phones.read(pl.Series(["917026123456", "95145550100"]), _DESK)
    assert frame["e164"].to_list() == ["+17026123456", _NUMBER]
    doubtful, sure = frame["wrong"].to_list()
    assert "--outside-line" in doubtful
    assert sure is None


@pytest.mark.parametrize("cell", ["95145550100", "915145550100"])
def test_a_number_that_an_outside_line_would_explain_says_so(cell: str) -> None:
    assert _read(cell)[0] is None
    assert "state that digit with --outside-line" in _wrong(cell)
    for none in (_CANADA.without_outside_line, phones.Dialling(outside_line="")):
        assert "--outside-line" not in str(phones.read(pl.Series([cell]), none)["wrong"].item())


def test_an_outside_line_elsewhere_stands_before_the_prefix_of_the_country() -> None:
    assert _dialled("90199000100", phones.Dialling("FR", "9")) == ("+33199000100", Kind.NUMBER)
    assert _dialled("00199000100", phones.Dialling("FR", "0")) == ("+33199000100", Kind.NUMBER)
    # New York without its country: there is no number of Paris behind the 9.
    assert _dialled("9145550100", phones.Dialling("FR", "9"))[0] is None


@pytest.mark.parametrize("cell", ["0199000100", "33199000100", "491735550100"])
def test_a_number_that_its_country_would_explain_names_the_region(cell: str) -> None:
    assert "or state its country with --region" in _wrong(cell)


@settings(deadline=None, derandomize=True, database=None)
@given(
    area=_AREAS,
    exchange=st.integers(200, 999).map(str),
    line=st.integers(0, 9999).map("{:04}".format),
    before=st.sampled_from(["", "9", "9 ", "9-", "8", "0", "514"]),
    code=st.sampled_from(_CODES),
    group=st.sampled_from(_GROUPS),
    stated=st.sampled_from(["", "9", "8", "0", "514", None]),
    area_code=st.sampled_from(["", "514"]),
)
def test_a_prefix_never_makes_another_number(
    area: str, exchange: str, line: str, before: str, code: str, group: str, stated: str | None, area_code: str
) -> None:
    dialling = phones.Dialling("CA", stated, area_code)
    written = group.format(area, exchange, line)
    found = {_dialled(cell, dialling)[0] for cell in (f"{before}{code}{written}", f"{code} {before}{written}", written)}
    assert found <= {None, f"+1{area}{exchange}{line}"}


@settings(deadline=None, derandomize=True, database=None)
@given(
    extension=st.integers(0, 999_999).map(str), code=st.sampled_from(["", "*", "#", "**", "9", "*67", "*72", "ext. "])
)
def test_an_extension_is_never_a_number(extension: str, code: str) -> None:
    cell = f"{code}{extension}" if len(f"{code}{extension}".strip("*#ext. ")) <= 6 else extension
    assert _dialled(cell)[0] is None


@settings(deadline=None, derandomize=True, database=None)
@given(digits=st.from_regex("[1-9][0-9]{6,14}", fullmatch=True), line=st.sampled_from(["9", "95", "1", "0"]))
def test_a_number_with_its_plus_is_never_changed(digits: str, line: str) -> None:
    assert _dialled(f"+{digits}", phones.Dialling("CA", line, "514")) == _dialled(f"+{digits}", _CANADA)


# ── the region ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_region_is_a_country() -> None:
    assert phones.require_region(" ca ") == "CA"
    with pytest.raises(errors.ConfigError, match='--region "Canada" is no country'):
        phones.require_region("Canada")


def test_an_area_code_is_one_of_north_america_and_for_its_numbers() -> None:
    assert phones.require_area_code(" 514 ", "US") == "514"
    for area, region in (("51", "CA"), ("111", "CA"), ("5145", "CA"), ("514", "FR")):
        with pytest.raises(errors.ConfigError, match="--area-code"):
            phones.require_area_code(area, region)


def test_an_outside_line_is_up_to_three_digits_or_none() -> None:
    assert [phones.require_outside_line(text) for text in ("9", " 12 ", "", "none")] == ["9", "12", "", ""]
    with pytest.raises(errors.ConfigError, match="one to three digits"):
        phones.require_outside_line("9999")
