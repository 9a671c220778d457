"""What may be shown: no token and no full phone number ever reaches a screen, a log or a summary."""

import re

# International with its plus; ten North American digits however they are grouped; any longer run of digits.
_PHONE = re.compile(
    r"(?<![\w.+])(?:\+\d[\d ().\-]{5,18}\d"
    r"|(?:1[ .\-]?)?\(?\d{3}\)?[ .\-]?\d{3}[ .\-]?\d{4}|\d{3}[ .\-]\d{4}"
    r"|\d{10,15})(?!\w)"
)
_OF_MONTH = r"(?:0?[1-9]|[12]\d|3[01])"
_DAY = rf"(?:\d{{4}}-\d\d-\d\d|(?<!\d){_OF_MONTH}(?P<mark>[./-]){_OF_MONTH}(?P=mark)(?:19|20)\d\d)"
_TIME = rf"{_DAY}[T ][0-2]?\d:[0-5]\d(?::[0-5]\d(?:[.,]\d{{1,6}})?)?(?: ?(?:Z|[+-]\d\d:?\d\d))?(?!\d)"
_ANY_NUMBER = re.compile(rf"(?P<time>{_TIME})|\+?\d(?:[\s\W_]{{0,3}}\d){{8,}}")
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
    """Text of others, in which every run of nine digits or more, however it is broken up, may be a phone number."""
    return _ANY_NUMBER.sub(lambda found: found["time"] or mask_phone(re.sub(r"\D", "", found.group())), scrub(text))


def mask_phone(phone: str) -> str:
    """`+15145550123` as `+1514•••0123`: enough to recognise, not enough to call."""
    return f"{phone[:-7][:5]}•••{phone[-4:]}" if len(phone) > 9 else "•••"


def scrub(text: str) -> str:
    """Text from a file, a server or an exception, fit to be shown on one line."""
    line = _CONTROL.sub("", text.encode("utf-8", "replace").decode().replace("\n", " ").replace("\t", " "))
    line = _BEARER.sub("Bearer [hidden]", _JWT.sub("[hidden]", line))
    return _PHONE.sub(lambda found: mask_phone(re.sub(r"[^+\d]", "", found.group())), line)
