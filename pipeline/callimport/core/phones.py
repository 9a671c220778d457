"""What a phone system wrote in place of a number → E.164, an extension, nobody, or why it cannot be told.

A number has to be *possible* (as long as numbers of its country are), not *valid* (in a range that somebody has been
given): ranges are opened faster than lists of them are installed, the fictional 555-01xx of our samples are in none
everywhere, and a number that a lead has is a number. Validity only serves to notice that a plus or a country code got
lost. Letters never become digits here, though phones have them on their keys: names stand beside numbers.
"""

import functools
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import unquote

import phonenumbers
import polars as pl

from callimport.core import errors


class Kind(StrEnum):
    """What a cell holds."""

    NUMBER = "number"
    LOCAL = "local"  # seven digits of North America, while no area code is stated
    EXTENSION = "extension"  # inside the house: at most six digits
    ANONYMOUS = "anonymous"  # the caller hid the number, or the network did not say
    MISSING = "missing"
    DAMAGED = "damaged"  # a spreadsheet has been at it, and what it was can only be guessed
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Dialling:
    """How numbers without a country code are dialled.

    `region` (see `require_region`) is their country. `outside_line` has the digits that a desk dials before a public
    number ("": none; None: nobody stated it). `area_code` completes seven digits in North America ("": they stay
    incomplete).
    """

    region: str = "CA"
    outside_line: str | None = None
    area_code: str = ""

    @property
    def without_outside_line(self) -> "Dialling":
        """The same for numbers in a list or in a text: people write them without an outside line."""
        return replace(self, outside_line="")

    def with_default_outside_line(self, outside_line: str) -> "Dialling":
        """The same with the outside line of a profile, unless one was stated."""
        is_stated = self.outside_line is not None
        return self if is_stated or not outside_line else replace(self, outside_line=outside_line)


# E.164 and extension where there are any, the kind, and what is wrong, to be said after the cell.
_Reading = tuple[str | None, str | None, Kind, str | None]

_SCHEMA = {"cell": pl.String, "e164": pl.String, "extension": pl.String, "kind": pl.String, "wrong": pl.String}
_NORTH_AMERICA = 1
_AREA_DIGITS = 3
# Results that are kept for the next chunk: numbers come back, and so do the odd ways of writing them.
_REMEMBERED = 1 << 17
# Characters. No number takes more, whatever is around it; what does need not be searched.
_LONGEST = 120
# Digits of an extension, and of a number with its country code.
_EXTENSION_DIGITS, _E164_DIGITS = 6, 15

_WRITE = "write it with + and the country code"
_AGAIN = "export again and load that column as text"
_SCIENTIFIC = f"is a spreadsheet's short form of a number, in which digits get lost; {_AGAIN}"
_COMPUTED = f"was computed by a spreadsheet, the number is lost; {_AGAIN}"
_NARROW = f"is a spreadsheet's sign for a cell it could not show, the number is lost; {_AGAIN}"
_COUNTRY = f"{_WRITE}, or state its country with --region"
_NO_PLUS = f"seems to have lost its +, as in a spreadsheet; {_COUNTRY}"
_PREFIXED = (
    "may have the digit of an outside line before it, or have lost its +; state that digit with --outside-line, or "
    "write the number with + and the country code"
)
_EITHER = f"may be a number as it stands, or one after the digit of an outside line; {_WRITE}"
_NO_COUNTRY = "has a + but no country code after it; write both"
_NO_AREA = f"has no area code; state it with --area-code, or {_WRITE}"
_NO_NUMBER = f"is not a phone number; {_WRITE}"
_NOT_OF_REGION = "is not a phone number of {region}; " + _COUNTRY

# What people and programs put into a number: blanks of every width, dots, dashes, parentheses, marks nobody sees.
_INVISIBLE = r"\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad"
_FILLING = rf"\s.()\-\u2010-\u2015\u2212{_INVISIBLE}"
_WRAPPING = " \t\r\n'\"=,;"
_CANONICAL = r"^\+1[2-9][0-9]{9}$"
_NATIONAL = r"^(?:\+?1)?([2-9][0-9]{9})$"
_BARE_NATIONAL = r"^[2-9][0-9]{9}$"
_LOCAL = r"^[2-9][0-9]{6}$"
# pandas makes floats of numbers as soon as one is missing; Excel may add two decimals.
_FLOAT = r"^(\+?[0-9]+)[.,]0{1,2}$"

_SCIENTIFIC_FORM = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d{1,2}")
# +1-514-555-0100 typed as a formula is -1168.
_COMPUTED_FORM = re.compile(r"-\d{1,6}(?:[.,]\d+)?")
_SHEET_ERROR = re.compile(
    r"#+|#(?:N/?A|VALUE!|NAME\?|REF!|NUM!|NULL!|DIV/0!|VALEUR!|NOM\s?\?|NOMBRE!|NUL!)", re.IGNORECASE
)
_EXTENSION_FORM = re.compile(r"(?:(?:ext(?:ension)?|poste|x)[.:]*\s*|#)?([*#]?[0-9]{1,6}[*#]?)", re.IGNORECASE)
_NUMBER_FORM = re.compile(
    rf"(?P<number>\+?[0-9{_FILLING}]*[0-9])"
    r"(?:(?:\s*[,;]?\s*(?:ext(?:ension)?|poste|p|x|#)[.:]?\s*|;ext=|,{1,3}\s*)(?P<extension>[0-9]{1,6}))?",
    re.IGNORECASE,
)
# Codes for one call: they hide or show the caller, or turn call waiting off. Other codes, such as *72, begin no call.
_PAUSES = r"\s,;.\-wpWP"
_STAR_CODE = re.compile(rf"(?:\*(?:31|67|70|82)[*#]?|#31#)[{_PAUSES}]*(?P<rest>[+(0-9].*)", re.DOTALL)
# The same codes for a phone without a star, and the codes of Australia.
_DIGIT_CODES = ("1167", "1170", "1182", "1831", "1832")
# What most desks dial for an outside line.
_USUAL_LINE = "9"
_RUN = re.compile(rf"\(?\+?[0-9][0-9{_FILLING}]{{5,}}[0-9]")
_URI = re.compile(
    r"(?:tel|callto|sips?|whatsapp):(?://)?(?P<user>[^@]*)(?:@.*)?|(?P<alone>[^@\s]+)@[^@\s]+", re.IGNORECASE
)
_IN_ANGLES = re.compile(r"(?P<name>.*)<(?P<inside>[^<>]*)>", re.DOTALL)
_IN_PARENTHESES = re.compile(r".*\((?P<inside>[^()]*[0-9][^()]*)\)", re.DOTALL)

_BLANK = {"", "nan", "none", "null", "nil", "<na>", "nat", "na", "n/a", "nd", "n/d"}
# Android writes -1, -2 and -3 for unknown, private and pay phone; to s, h, i and t Asterisk goes without a number.
_NOBODY = {"-", "--", "---", "?", "-1", "-2", "-3", "s", "h", "i", "t"}
_HIDDEN = {
    "anonymous", "unknown", "restricted", "private", "blocked", "unavailable", "withheld", "hidden", "unidentified",
    "payphone", "undisclosed", "anonyme", "anonymes", "inconnu", "inconnue", "restreint", "prive", "privee", "masque",
    "masquee", "bloque", "bloquee", "indisponible", "cache", "cachee", "confidentiel", "secret",
}  # fmt: skip
_AROUND_HIDDEN = {
    "number", "caller", "callerid", "call", "id", "cid", "name", "no", "user",
    "numero", "appel", "appelant", "appelante", "nom", "usager",
}  # fmt: skip
_PHRASES = {
    "no caller id", "no callerid", "no number", "no id", "not available", "out of area", "not provided", "hors zone",
    "non disponible", "non identifie", "pas de numero", "sans numero", "aucun numero",
}  # fmt: skip


def require_region(text: str) -> str:
    """An ISO country such as CA, in capital letters. Raises ConfigError for what is none."""
    region = text.strip().upper()
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise errors.ConfigError(f'--region "{text}" is no country; write two letters such as CA, US or FR')
    return region


def require_outside_line(text: str) -> str:
    """One to three digits; "" for none. Raises ConfigError."""
    line = text.strip()
    if line in ("", "none"):
        return ""
    if not re.fullmatch("[0-9]{1,3}", line):
        raise errors.ConfigError(
            f'--outside-line "{text}" is not what a desk dials before a number; write one to three digits such as 9, '
            "or none"
        )
    return line


def require_area_code(text: str, region: str) -> str:
    """Three digits that are an area code of North America. Raises ConfigError, also if `region` is not there."""
    area = text.strip()
    if area not in _area_codes():
        raise errors.ConfigError(f'--area-code "{text}" is no area code of North America; write three digits as in 514')
    if not _is_north_america(region):
        raise errors.ConfigError(
            f"--area-code completes numbers of North America, and --region is {region}; leave one of them out"
        )
    return area


def read(cells: pl.Series, dialling: Dialling) -> pl.DataFrame:
    """What each cell holds, one row a cell in the same order.

    Columns, all text: `e164`, of a number; `extension`, of an extension and of a number that has one; `kind`, a `Kind`;
    `wrong`, of what is local, damaged or unreadable: what to say after the cell, without a digit of it. `wrong` is also
    set for a number behind an outside line if the whole cell may be a foreign number that lost its plus. Nobody dials
    such a number, but a caller may have it.
    """
    texts = cells.cast(pl.String).alias("cell")
    e164 = _plain(texts, dialling).alias("e164")
    frame = pl.DataFrame([texts, e164])
    odd = texts.filter(e164.is_null()).unique().to_list()
    if not odd:
        nothing = pl.lit(None, dtype=pl.String)
        return frame.select(
            "e164", nothing.alias("extension"), pl.lit(Kind.NUMBER.value).alias("kind"), nothing.alias("wrong")
        )
    readings = [(cell, *(_MISSING if cell is None else _read(cell, dialling))) for cell in odd]
    table = pl.DataFrame(readings, schema=_SCHEMA, orient="row")
    return frame.join(table, on="cell", how="left", nulls_equal=True, maintain_order="left").select(
        pl.coalesce("e164", "e164_right"), "extension", pl.col("kind").fill_null(Kind.NUMBER.value), "wrong"
    )


def _plain(cells: pl.Series, dialling: Dialling) -> pl.Series:
    """E.164 of what looks like a North American number, without a turn of Python; null for others."""
    if not _is_north_america(dialling.region):
        return pl.repeat(None, len(cells), dtype=pl.String, eager=True)
    if cells.str.contains(_CANONICAL).all(ignore_nulls=False):
        return cells
    digits = cells.str.strip_chars(_WRAPPING).str.replace(_FLOAT, "${1}").str.replace_all(f"[{_FILLING}]", "")
    national = digits.str.extract(_NATIONAL)
    # Where nobody has the area code, the ten digits may be those of another country that lost its plus.
    is_home = ~digits.str.contains(_BARE_NATIONAL) | national.str.head(3).is_in(list(_area_codes()))
    if dialling.area_code and len(dialling.outside_line or "") == _AREA_DIGITS:
        # They may also be an outside line and seven digits.
        is_home &= ~digits.str.starts_with(dialling.outside_line or "")
    return ("+1" + national).set(~is_home, None)


def _is_north_america(region: str) -> bool:
    return phonenumbers.country_code_for_region(region) == _NORTH_AMERICA


@functools.cache
def _area_codes() -> frozenset[str]:
    """Those that somebody in North America has."""
    numbers = {str(area): (int(f"{area}5550100"), int(f"{area}2345678")) for area in range(200, 1000)}
    return frozenset(
        area
        for area, examples in numbers.items()
        if any(phonenumbers.is_valid_number(phonenumbers.PhoneNumber(_NORTH_AMERICA, number)) for number in examples)
    )


# ── one odd cell ─────────────────────────────────────────────────────────────────────────────────────────────────────

_MISSING: _Reading = (None, None, Kind.MISSING, None)
_ANONYMOUS: _Reading = (None, None, Kind.ANONYMOUS, None)


@functools.lru_cache(_REMEMBERED)
def _read(cell: str, dialling: Dialling) -> _Reading:
    text = re.sub(f"[{_INVISIBLE}]", "", unicodedata.normalize("NFKC", cell)).strip(_WRAPPING)
    if len(text) > _LONGEST:
        return None, None, Kind.UNREADABLE, _NO_NUMBER
    if (in_angles := _IN_ANGLES.fullmatch(text)) and text.lower() not in _BLANK:
        # "Name" <number>; where the inside is blank the name is all there is.
        text = in_angles["inside"].strip(_WRAPPING) or in_angles["name"].strip(_WRAPPING)
    if uri := _URI.fullmatch(text):
        text = unquote(uri["user"] or uri["alone"] or "").strip(_WRAPPING)
        text = re.sub(r";(?!ext=).*?(?=;|$)", "", text, flags=re.IGNORECASE)
    text = re.sub(_FLOAT, r"\1", text)
    if text.lower() in _BLANK:
        return _MISSING
    if wrong := _damage(text):
        return None, None, Kind.DAMAGED, wrong
    return _ANONYMOUS if _is_hidden(text) else _number(text, dialling)


def _damage(text: str) -> str | None:
    if _SCIENTIFIC_FORM.fullmatch(text):
        return _SCIENTIFIC
    if _SHEET_ERROR.fullmatch(text):
        return _NARROW
    return _COMPUTED if _COMPUTED_FORM.fullmatch(text) and text not in _NOBODY else None


def _is_hidden(text: str) -> bool:
    plain = "".join(mark for mark in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(mark))
    if plain in _NOBODY or not plain.strip("0"):
        return True
    words = re.findall(r"[^\W_]+", plain)
    return " ".join(words) in _PHRASES or (not _HIDDEN.isdisjoint(words) and set(words) <= _HIDDEN | _AROUND_HIDDEN)


def _number(text: str, dialling: Dialling) -> _Reading:
    """An extension or a number, alone, after a code, after a name in parentheses, or as the only one in a text."""
    if extension := _EXTENSION_FORM.fullmatch(text):
        return None, extension[1], Kind.EXTENSION, None
    if code := _STAR_CODE.fullmatch(text):
        return _number(code["rest"], dialling)
    line = dialling.outside_line
    if line and text.startswith(line) and (rest := re.sub(f"^[{_PAUSES}]+", "", text.removeprefix(line))):
        if rest[0] in "*#+":
            return _number(rest, dialling)
        text = line + rest if rest[0].isdigit() else text
    if number := _NUMBER_FORM.fullmatch(text):
        e164, kind, wrong = _international(number["number"], dialling)
        return e164, number["extension"] if e164 else None, kind, wrong
    # Another code with a number is no call: *72 5145550123 forwards calls.
    if text.startswith("*"):
        return None, None, Kind.UNREADABLE, _NO_NUMBER
    if in_parentheses := _IN_PARENTHESES.fullmatch(text):
        inside = _number(in_parentheses["inside"].strip(), dialling)
        if inside[2] in (Kind.NUMBER, Kind.EXTENSION):
            return inside
    runs = _RUN.findall(text)
    if len(runs) == 1 and sum(map(str.isdigit, text)) == sum(map(str.isdigit, runs[0])):
        e164, kind, wrong = _international(runs[0], dialling.without_outside_line)
        return e164, None, kind, wrong
    return None, None, Kind.UNREADABLE, _NO_NUMBER


def _international(text: str, dialling: Dialling) -> tuple[str | None, Kind, str | None]:
    """E.164 of digits that may be grouped, and may begin with +, 011 or 00, an outside line or a code."""
    region, line = dialling.region, dialling.outside_line or ""
    digits = re.sub(f"[{_FILLING}]", "", text)
    if digits.startswith("+"):
        number = _possible(digits, None)
        if number is None:
            return None, Kind.UNREADABLE, _NO_NUMBER
        is_abroad = number.country_code != phonenumbers.country_code_for_region(region)
        if is_abroad and not phonenumbers.is_valid_number(number) and _is_valid(digits[1:], region):
            return None, Kind.UNREADABLE, _NO_COUNTRY
        return _e164(number), Kind.NUMBER, None
    number = _dialled(digits, dialling)
    found = _behind([line], digits, dialling)
    if number is not None:
        found.add(_e164(number))
    else:
        codes = [prefix for code in _DIGIT_CODES for prefix in (code, line + code, code + line)]
        # A code of digits before seven digits is as long as 1 before ten digits.
        found |= _behind(codes, digits, replace(dialling, area_code=""))
    if len(found) > 1:
        return None, Kind.UNREADABLE, _EITHER
    if number is not None and (phonenumbers.is_valid_number(number) or _is_local(digits, region)):
        return _e164(number), Kind.NUMBER, None
    is_foreign = _is_valid(f"+{digits}", None)
    if found and (number is None or not is_foreign):
        return found.pop(), Kind.NUMBER, _PREFIXED if is_foreign else None
    if _is_local(digits, region) or (line and _is_local(digits.removeprefix(line), region)):
        return None, Kind.LOCAL, _NO_AREA
    kind = Kind.DAMAGED if is_foreign else Kind.UNREADABLE
    if dialling.outside_line is None and _behind([_USUAL_LINE], digits, dialling):
        return None, kind, _PREFIXED
    if is_foreign:
        return None, kind, _NO_PLUS
    is_national = _EXTENSION_DIGITS < len(digits) <= _E164_DIGITS and not digits.startswith(("00", "011"))
    return None, kind, _NOT_OF_REGION.format(region=region) if is_national else _NO_NUMBER


def _dialled(digits: str, dialling: Dialling) -> phonenumbers.PhoneNumber | None:
    """The possible number if these digits are dialled without a prefix; None if there is none."""
    if dialling.area_code and _is_local(digits, dialling.region):
        digits = dialling.area_code + digits
    number = _possible(digits, dialling.region)
    return _possible(f"+{digits[2:]}", None) if number is None and digits.startswith("00") else number


def _behind(prefixes: Iterable[str], digits: str, dialling: Dialling) -> set[str]:
    """The public numbers behind each of the prefixes, in E.164."""
    rests = {digits.removeprefix(prefix) for prefix in prefixes if prefix and digits.startswith(prefix)}
    found = [(rest, _dialled(rest, dialling)) for rest in rests]
    return {_e164(number) for rest, number in found if number and _is_public(number, rest, dialling.region)}


def _is_public(number: phonenumbers.PhoneNumber, dialled: str, region: str) -> bool:
    """Whether somebody may have this number and `dialled` reaches it from the region."""
    if number.country_code == _NORTH_AMERICA:
        return phonenumbers.national_significant_number(number)[:_AREA_DIGITS] in _area_codes()
    if number.country_code != phonenumbers.country_code_for_region(region):
        return True
    trunk = phonenumbers.ndd_prefix_for_region(region, True) or ""
    return dialled.startswith(trunk) and phonenumbers.is_valid_number(number)


def _is_local(digits: str, region: str) -> bool:
    return _is_north_america(region) and re.match(_LOCAL, digits) is not None


def _possible(digits: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    # is_possible_number itself also takes local numbers, without their area code.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    # No area code of North America begins with 0 or 1: what does is a number of elsewhere, or made up.
    national = phonenumbers.national_significant_number(number)
    return None if number.country_code == _NORTH_AMERICA and national[0] in "01" else number


def _is_valid(digits: str, region: str | None) -> bool:
    number = _possible(digits, region)
    return number is not None and phonenumbers.is_valid_number(number)


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
