"""What may be shown: no token and no full phone number ever reaches a screen, a log or a summary."""

import re

# Every time that profiles/timestamps.py reads. A clock has a colon or an h; no phone number has one. Six digits are a
# clock only behind a date with a year of four digits.
_YEAR, _SHORT = r"(?:19|20)\d\d", r"\d\d"
_DAY, _MONTH = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])"
_HOUR, _SIXTY = r"(?:[01]?\d|2[0-3])", r"[0-5]\d"
_LONG_CLOCK = rf"{_HOUR}[:_]{_SIXTY}[:_]{_SIXTY}(?:[.,]\d{{1,9}})?"
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
_TIME = (
    rf"(?<![\d+])(?:(?:{_LONG_DATE}){_JOINT}{_HOUR}{_SIXTY}{_SIXTY}(?!\d)"
    rf"|(?:{_LONG_DATE}|{_SHORT_DATE}){_JOINT}{_CLOCK}{_OFFSET}(?!\d)"
    rf"|{_LONG_CLOCK}{_OFFSET}(?!\d)"
    rf"|(?<!\d[-/.])(?:{'|'.join(_date(_YEAR, mark) for mark in ('-', '/', r'[.]'))})(?![-/.]?\d))"
    rf"|{_NAMED_DATE}{_JOINT}{_CLOCK}{_OFFSET}(?!\d)"
)
# In a cell that is a time: seconds since 1970 (and thousandths, millionths), seconds since 2001 or days since 1900. Ten
# digits that begin with 1 are no number of North America. Seconds after 2033 are masked.
_COUNT = r"(?:1\d{9}(?:\d{3}|\d{6})?|[1-9]\d{8})(?:[.,]\d*)?|(?:32[89]|3[3-9]\d|4\d\d|50\d|51[0-4])\d\d[.,]\d+"
_STARTS = 'started_at: "'
_KNOWN = rf"(?P<time>(?<={_STARTS})(?:{_COUNT})(?=\")|{_TIME})"

# International with its plus; ten North American digits however they are grouped; any longer run of digits.
_PHONE = re.compile(
    rf"{_KNOWN}|(?<![\w.+])(?:\+\d[\d ().\-]{{5,18}}\d"
    r"|(?:1[ .\-]?)?\(?\d{3}\)?[ .\-]?\d{3}[ .\-]?\d{4}|\d{3}[ .\-]\d{4}"
    r"|\d{10,15})(?!\w)"
)
_ANY_NUMBER = re.compile(rf"{_KNOWN}|\+?\d(?:[\s\W_]{{0,3}}(?!{_TIME})\d){{8,}}")
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
_BEARER = re.compile(r"(?i)bearer\s+\S+")
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


def hide_numbers(text: str) -> str:
    """Mask every run of nine digits or more, however it is broken up: it may be a phone number. Times stay."""
    return _ANY_NUMBER.sub(_hidden, scrub(text))


def show_time(text: str) -> str:
    """Show a cell of a column of times, and mask what may be a phone number in it."""
    return hide_numbers(f'{_STARTS}{text}"')[len(_STARTS) : -1]


def _hidden(found: re.Match[str]) -> str:
    return found["time"] or mask_phone(re.sub(r"[^+\d]", "", found.group()))


def mask_phone(phone: str) -> str:
    """`+15145550123` as `+1514•••0123`: enough to recognise, not enough to call."""
    return f"{phone[:-7][:5]}•••{phone[-4:]}" if len(phone) > 9 else "•••"


def scrub(text: str) -> str:
    """Text from a file, a server or an exception, fit to be shown on one line."""
    line = _CONTROL.sub("", text.encode("utf-8", "replace").decode().replace("\n", " ").replace("\t", " "))
    line = _BEARER.sub("Bearer [hidden]", _JWT.sub("[hidden]", line))
    return _PHONE.sub(_hidden, line)
