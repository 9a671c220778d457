"""A list of numbers is read whole or refused with the line that is wrong: half of one lets calls through in silence."""

from pathlib import Path

import pytest

from callimport.core import errors, number_lists, phones

_ONE, _OTHER = "+15145550100", "+15145550101"


def _file(folder: Path, content: str | bytes) -> Path:
    path = folder / "staff.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _message(path: Path) -> str:
    with pytest.raises(errors.SourceError) as caught:
        number_lists.read(path, phones.Dialling())
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


@pytest.mark.parametrize(
    "content",
    [
        "5145550100\n5145550101",
        "+1 514 555-0100\r\n(514) 555-0101\r\n",
        "5145550100\r5145550101\r",
        "5145550100\n\n  \n5145550101\n5145550100\n",
        "# the desk\n5145550100 # Éloïse\n5145550101\n",
        "number\n5145550100\n5145550101\n",
        "\ufeffNuméro;Nom\n5145550100;Éloïse\n5145550101;Jean\n",
        "id,name,number\n12,Éloïse,5145550100\n801,Jean,5145550101\n",
        'name,number\n"Test, Éloïse","514-555-0100"\nJean\t5145550101\n',
        "5145550100,since,2024-05-31\n5145550101,,\n,,\n",
        "Éloïse (514) 555-0100\n514-555-0101 poste 204\n",
    ],
)
def test_a_number_is_found_on_each_line(tmp_path: Path, content: str) -> None:
    assert number_lists.read(_file(tmp_path, content), phones.Dialling()) == {_ONE, _OTHER}


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig"])
def test_the_encoding_of_the_names_is_no_hindrance(tmp_path: Path, encoding: str) -> None:
    content = "Numéro;Nom\r\n5145550100;Éloïse\r\n".encode(encoding)
    assert number_lists.read(_file(tmp_path, content), phones.Dialling()) == {_ONE}


def test_bare_numbers_are_of_the_region(tmp_path: Path) -> None:
    assert number_lists.read(_file(tmp_path, "01 99 00 01 00\n"), phones.Dialling("FR")) == {"+33199000100"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("5145550100\nÉloïse\n", 'line 2: "Éloïse" is not a phone number'),
        ("5145550100\n\n5.14555E+09\n", 'line 3: "5.14555E+09" is a spreadsheet\'s short form'),
        ("Éloïse,5.14555E+09\n", 'line 1: "Éloïse,5.14555E+09" is a spreadsheet'),
        ("5145550100;5145550101\n", "line 1: "),
        ("5145550100;5145550101\n", "holds several numbers; write one a line"),
        ("5145550100\n204\n", 'line 2: "204" is an extension'),
        ("555-0100\n", 'line 1: "•••" has no area code'),
        ("5145550100\nAnonyme\n", 'line 2: "Anonyme" holds no number; remove the line'),
        ("33199000100\n", "seems to have lost its +"),
        (
            "0199000100\n",
            "is not a phone number of CA; write it with + and the country code, or state its country with",
        ),
        ("", "holds no number; write one a line"),
        ("# nobody yet\nnumber\n", "holds no number; write one a line"),
        (b"PK\x03\x04\x00\x00", "is not text; save it as CSV"),
    ],
)
def test_a_line_without_one_number_is_told(tmp_path: Path, content: str | bytes, said: str) -> None:
    assert said in _message(_file(tmp_path, content))


def test_no_number_is_shown_whole(tmp_path: Path) -> None:
    message = _message(_file(tmp_path, "514 555 0100 / 514 555 0101\n"))
    assert not any(number in message.replace(" ", "") for number in ("5145550100", "5145550101"))


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in _message(tmp_path / "none.txt")


# ── an option that may be repeated ───────────────────────────────────────────────────────────────────────────────────


def test_an_option_takes_numbers_and_files_together(tmp_path: Path) -> None:
    path = _file(tmp_path, "5145550101\n")
    assert number_lists.stated(["(514) 555-0100", str(path)], phones.Dialling(), "--own-number") == {_ONE, _OTHER}
    assert number_lists.stated([], phones.Dialling(), "--own-number") == frozenset()


@pytest.mark.parametrize("value", ["staff.txt", "list-5145550100.txt", "801", "", "5.14555E+09", "Anonyme"])
def test_neither_a_number_nor_a_file_is_refused_by_the_name_of_the_option(value: str) -> None:
    with pytest.raises(errors.ConfigError, match=r"--own-number .* is neither a number nor a file") as caught:
        number_lists.stated([value], phones.Dialling(), "--own-number")
    assert "5145550100" not in str(caught.value)


def test_a_number_of_another_region_names_the_option_that_tells_its_country() -> None:
    with pytest.raises(errors.ConfigError, match=r"neither a number nor a file: it is not .* with --region"):
        number_lists.stated(["514 555 0100"], phones.Dialling("FR"), "--own-number")


def test_no_outside_line_stands_before_a_listed_number(tmp_path: Path) -> None:
    """438 is an area code beside Montreal; 94 is Sri Lanka."""
    path = _file(tmp_path, "94385550100\n")
    with pytest.raises(errors.SourceError, match="line 1"):
        number_lists.read(path, phones.Dialling("CA", "9"))


def test_a_file_whose_name_is_a_number_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("5145550100").write_text("5145550101\n")
    assert number_lists.stated(["5145550100"], phones.Dialling(), "--own-number") == {_OTHER}


@pytest.mark.parametrize("header", ["phone,lead_id", "Lead ID;Téléphone"])
def test_a_leads_file_is_no_list_of_numbers_to_leave_out(tmp_path: Path, header: str) -> None:
    assert "give it with --leads" in _message(_file(tmp_path, f"{header}\n5145550100\n"))


def test_a_line_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "numbers.txt"
    path.write_text("+15145550101\n" + "1," * 501, "utf-8")
    with pytest.raises(errors.SourceError, match=r"line 2: the line is longer than 1,000 characters"):
        number_lists.read(path, phones.Dialling())


def test_an_endless_list_is_refused() -> None:
    with pytest.raises(errors.SourceError, match="larger than 100 MB"):
        number_lists.read(Path("/dev/zero"), phones.Dialling())
