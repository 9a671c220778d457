"""What may be shown: no token and no full phone number ever reaches a screen, a log or a summary."""

import re
from collections.abc import Mapping
from typing import Any

# Names in JSON whose texts callimport makes itself. These texts hold no phone number, so they are not masked.
_OURS = frozenset(("batch", "key", "ledger", "plan", "reference", "run_id"))
# Every time that profiles/timestamps.py reads. A clock has a colon or an h; no phone number has one. Six digits are a
# clock only behind a date with a year of four digits.
_YEAR, _SHORT = r"(?:19|20)\d\d", r"\d\d"
_DAY, _MONTH = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])"
_HOUR, _SIXTY = r"(?:[01]?\d|2[0-3])", r"[0-5]\d"
_FRACTION = r"(?:\.\d{1,9}|,\d{1,6})?"
_LONG_CLOCK = rf"{_HOUR}[:_]{_SIXTY}[:_]{_SIXTY}{_FRACTION}"
_CLOCK = rf"(?:{_LONG_CLOCK}|{_HOUR}(?:[:_]|\s?h\s?){_SIXTY}(?:\s?min\s?{_SIXTY})?)"
_OFFSET = r"(?:\s?[AaPp]\.?\s?[Mm]\.?)?(?:\s?(?:Z|UTC|GMT))?(?:\s?[+\-\u2212]\d\d:?\d\d)?"
_JOINT = r"(?:[Tt]|,?\s{1,3}(?:(?:at|à|@|-|\|)\s)?)"


def _date(year: str, mark: str) -> str:
    """A date in numbers, in any order of day, month and year, with the same mark twice."""
    orders = ((year, _MONTH, _DAY), (_DAY, _MONTH, year), (_MONTH, _DAY, year))
    return "|".join(f"{first}(?:{mark}){second}(?:{mark}){third}" for first, second, third in orders)


_LONG_DATE = "|".join(_date(_YEAR, mark) for mark in ("-", "/", r"\.", r"\s"))
_SHORT_DATE = "|".join(_date(_SHORT, mark) for mark in ("-", "/", r"\.", r"\s"))
# Behind the name of a month: the day, if it follows, and the year, as in 17 juin 2024 05:59.
_NAMED_DATE = rf"(?<=[^\W\d_])(?:[.,]?[-\s]{_DAY}(?:st|nd|rd|th|er?)?,?)?[.,]?[-\s](?:{_YEAR}|{_SHORT})"
# In the name of a file: 20240531, 20240531140509, 20240531_1405, 2024-05-31-14. A second number may follow only as
# the end of a range.
_COMPACT_DATE = rf"{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_TWO_HOUR = r"(?:[01]\d|2[0-3])"
_MARKED_CLOCK = rf"[-_T]{_TWO_HOUR}(?:[-_]?{_SIXTY}){{0,2}}(?!\d)"
_COMPACT = (
    rf"(?<![\d+]){_COMPACT_DATE}(?:{_TWO_HOUR}{_SIXTY}{_SIXTY}(?!\d)|{_MARKED_CLOCK}"
    rf"|(?=[-_]{_COMPACT_DATE}(?!\d))|(?![\W_]{{0,4}}\d))"
    rf"|(?<![\d+:]){_YEAR}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]){_MARKED_CLOCK}"
)
_TIME = (
    rf"(?<![\d+:])(?:(?:{_LONG_DATE}){_JOINT}{_HOUR}{_SIXTY}{_SIXTY}(?!\d)"
    rf"|(?:{_LONG_DATE}|{_SHORT_DATE}){_JOINT}{_CLOCK}{_OFFSET}(?![:_]?\d)"
    rf"|{_HOUR}:{_SIXTY}:{_SIXTY}{_FRACTION}{_OFFSET}(?!:?\d)"
    rf"|(?<!\d[-/.])(?:{'|'.join(_date(_YEAR, mark) for mark in ('-', '/', r'[.]'))})(?![-/.]?\d))"
    rf"|{_NAMED_DATE}{_JOINT}{_CLOCK}{_OFFSET}(?!:?\d)|{_COMPACT}"
)
# In a cell that is a time: seconds since 1970 (and thousandths, millionths), seconds since 2001 or days since 1900. Ten
# digits that begin with 1 are no number of North America. Seconds after 2033 are masked.
_COUNT = r"(?:1\d{9}(?:\d{3}|\d{6})?|[1-9]\d{8})(?:[.,]\d*)?|(?:32[89]|3[3-9]\d|4\d\d|50\d|51[0-4])\d\d[.,]\d+"
_STARTS = 'started_at: "'
# Not phone numbers: a masked number, an id behind a word such as lead or row, a reference, a UUID, a hash, a channel id
# of Asterisk (a second and a number), the address of a server.
_MASK = r"(?<![\d•])(?:\+\d{2,4}|\d{3,5})•••\d{4}(?![\d•])"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IDS = (
    rf"{_MASK}|\b(?:communication|lead|line|row) \d{{1,9}}(?=[,;:.)]?(?:  (?!\d\d\d?\b)| [^\W\d]|$)|\)(?!\s*\d))"
    r"|(?<![\w-])(?=[\w-]*[A-Z])[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{2}(?![\w-])"
    r"|(?<![\w-])(?=[\d-]*[A-Fa-f])(?i:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![\w-])"
    r"|(?<![\w-])(?:[A-Z]{2})?(?=\d*[a-f])[0-9a-f]{32,64}(?![\w-])"
    r"|(?<![\w.+-])1\d{9}\.(?!0+\b)\d{1,6}(?![\w.-])"
    r"|(?<=/)[\w.-]{1,200}\.sqlite3(?![\w])"
    rf"|(?:(?<=//)|(?<![\w.])(?=127\.))(?:{_OCTET}\.){{3}}{_OCTET}(?::\d{{1,5}})?(?!\d)"
)
_KNOWN = rf"(?P<known>(?<={_STARTS})(?:{_COUNT})(?=\")|{_TIME}|{_IDS})"
# Every digit in Unicode. Superscript and encircled digits are not in \d.
_DIGIT = r"[\d⁰¹²³⁴-⁹₀-₉①-⑨⑴-⑼⒈-⒐⓪⓵-⓽⓿❶-❾➀-➈➊-➒፩-፱᧚𐩀-𐩃𐹠-𐹨𑁒-𑁚🄀-🄊]"
# What may stand between two digits: marks and blanks, dashes that Unicode counts as letters, and marks in the spelling
# of HTML and of addresses.
_BETWEEN = r"(?:[\W_ーｰـᐧㆍ・ʰ-˿]|&\w{1,8};|%[0-9A-F]{2}){0,6}"
# Nine digits or more, in any grouping, next to any character; a time may follow. Or 555-0123.
_NUMBER = re.compile(
    rf"{_KNOWN}|\+?{_DIGIT}(?:{_BETWEEN}(?!{_TIME}|{_MASK}){_DIGIT}){{8,}}|(?<![\w.+])\d{{3}}[ .\-]\d{{4}}(?!\w)"
)
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]+")
_BEARER = re.compile(r"(?i)bearer\s+\S+")
# Characters. A column's name or a cell may be millions long.
LONGEST_LINE = 10_000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


class Secret:
    """A token: it can be sent, and it cannot be shown by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret([hidden])"


class Masked(str):
    """Text that `mask` has masked. `mask` returns it unchanged."""

    __slots__ = ()


def mask(text: str) -> Masked:
    """Return the text on one line, without tokens, control characters and whole phone numbers.

    All output of the program passes through here. Nine digits or more may be a phone number, in any grouping and next
    to any character. Times, ids that do not look like a phone number, and addresses of servers stay. Text beyond
    `LONGEST_LINE` is cut off.
    """
    if isinstance(text, Masked):
        return text
    text = text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…"
    line = _CONTROL.sub("", text.encode("utf-8", "replace").decode().replace("\n", " ").replace("\t", " "))
    line = _BEARER.sub("Bearer [hidden]", _JWT.sub("[hidden]", line))
    return Masked(_NUMBER.sub(_masked, line))


def mask_values(answer: Any) -> Any:
    """Mask every text in an answer (dict, list, tuple), names included. Texts under a name in `_OURS` stay."""
    if isinstance(answer, str):
        return mask(answer)
    if isinstance(answer, Mapping):
        return {
            mask(str(name)): value if name in _OURS and isinstance(value, str) else mask_values(value)
            for name, value in answer.items()
        }
    return list(map(mask_values, answer)) if isinstance(answer, list | tuple) else answer


def show_time(text: str) -> Masked:
    """Show a cell of a column of times, and mask what may be a phone number in it."""
    return Masked(mask(f'{_STARTS}{text}"')[len(_STARTS) : -1])


def mask_phone(phone: str) -> str:
    """`+15145550123` as `+1514•••0123`: enough to recognise, not enough to call."""
    return f"{phone[:-7][:5]}•••{phone[-4:]}" if len(phone) > 9 else "•••"


def _masked(found: re.Match[str]) -> str:
    return found["known"] or mask_phone("".join(mark for mark in found.group() if mark == "+" or mark.isdigit()))
