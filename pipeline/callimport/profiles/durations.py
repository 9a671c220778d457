"""How long a call lasted, in whole seconds, from the forms that phone systems write.

Talk time is floored: a second that was not spoken out is not claimed, phone systems cut off in the same way, and a call
of 0.9 s in which nobody spoke stays at 0. Decimal minutes alone are rounded to the nearest second: 1.48 is what became
of 89 seconds when two digits were kept, and the floor would make 88 of it.

Zero is zero in any form. What is negative, or not of the form, is null: whoever asks says so.
"""

import re
from enum import StrEnum

import polars as pl


class Form(StrEnum):
    """How a column writes durations."""

    SECONDS = "seconds"  # 72, 72.0, 72.9, 72,5
    MILLISECONDS = "ms"  # 72000
    MINUTES = "minutes"  # 1.2, 1,2
    HMS = "hms"  # 1:12, 0:01:12, 00:01:12.5
    HHMMSS = "hhmmss"  # 000112, or 112 where a spreadsheet took the zeros
    ISO = "iso"  # PT1M12S
    DAYS = "days"  # 0 days 00:01:12 (pandas), 1 day, 0:01:12 (Python), 1.00:01:12 (.NET)
    WORDS = "words"  # 1 min 12 s, 1m12s, 1 h 02, 72 secondes


# A comma before three digits may part thousands as well as decimals, so such a number is not read.
_DECIMAL = r"^\+?([0-9]+(?:\.[0-9]*|,[0-9]{1,2}|,[0-9]{4,})?)$"
_ZERO = r"^0+(?:[.,]0*)?$"
_CLOCK = r"^(?:[0-9]{1,5}:[0-5]?[0-9]|[0-9]{1,6}):[0-5][0-9](?:[.,][0-9]+)?$"
_BARE_CLOCK = r"^[0-9]{2}[0-5][0-9][0-5][0-9]$"
_WHOLE_DAYS = r"^([0-9]{1,5})(?: days?,? \+?|\.)"
_LONG_CLOCK = r"^[0-9]{1,5}:[0-5][0-9]:[0-5][0-9](?:[.,][0-9]+)?$"
_DURATION = (
    r"(?i)^P(?:(?<days>[0-9]+)D)?"
    r"(?:T(?:(?<hours>[0-9]+)H)?(?:(?<minutes>[0-9]+)M)?(?:(?<seconds>[0-9]+)(?:[.,][0-9]+)?S)?)?$"
)
_AND = r"(?:\s*(?:,|and|et)?\s*)"
_SPOKEN = (
    r"(?i)^(?:(?<days>[0-9]+)\s*(?:days?|jours?|d|j)\.?)?"
    rf"{_AND}(?:(?<hours>[0-9]+)\s*(?:hours?|heures?|hrs?|h)\.?)?"
    rf"{_AND}(?:(?<minutes>[0-9]+)\s*(?:minutes?|mins?|mn|m)\.?)?"
    rf"{_AND}(?:(?<seconds>[0-9]+)(?:[.,][0-9]+)?\s*(?:seconds?|secondes?|secs?|s)\.?)?$"
)
# French leaves the minutes unnamed after the hours.
_HOURS_AND_MINUTES = r"(?i)^([0-9]+)\s*h\s*([0-5][0-9])$"

_SECONDS_IN = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
# Digits of one part. Whatever fits is far past any call, and its seconds fit in an Int64.
_LONGEST = 12
_UNITS = {
    Form.MILLISECONDS: r"\b(?:ms|msecs?|milliseconds?|millisecondes?)\b",
    Form.MINUTES: r"\b(?:minutes?|mins?)\b",
    Form.SECONDS: r"\b(?:seconds?|secondes?|secs?|s)\b",
}


def seconds(cells: pl.Expr, form: Form) -> pl.Expr:
    """Whole seconds (Int64) of cells of text; null where a cell is blank, negative, too long or not of the form."""
    text = _trimmed(cells)
    return pl.when(text.str.contains(_ZERO)).then(0).otherwise(_of_form(text, form))


def _of_form(text: pl.Expr, form: Form) -> pl.Expr:
    match form:
        case Form.SECONDS:
            return _whole(text)
        case Form.MILLISECONDS:
            return _whole(text) // 1000
        case Form.MINUTES:
            return (_number(text).cast(pl.Float64, strict=False) * 60).round().cast(pl.Int64, strict=False)
        case Form.HMS:
            return pl.when(text.str.contains(_CLOCK)).then(_clock(text))
        case Form.HHMMSS:
            digits = text.str.extract(r"^([0-9]{1,6})(?:\.0+)?$").str.zfill(6)
            parts = (digits.str.slice(place, 2).cast(pl.Int64) * unit for place, unit in ((0, 3_600), (2, 60), (4, 1)))
            return pl.when(digits.str.contains(_BARE_CLOCK)).then(pl.sum_horizontal(parts))
        case Form.ISO:
            return _summed(text, _DURATION)
        case Form.DAYS:
            days = text.str.extract(_WHOLE_DAYS).cast(pl.Int64, strict=False).fill_null(0)
            clock = text.str.replace(_WHOLE_DAYS, "")
            return pl.when(clock.str.contains(_LONG_CLOCK)).then(days * _SECONDS_IN["days"] + _clock(clock))
        case Form.WORDS:
            # In words of its own "1 h 02" is one hour and two minutes.
            return _summed(text.str.replace(_HOURS_AND_MINUTES, "${1} h ${2} min"), _SPOKEN)


def shape(cells: pl.Series) -> Form | None:
    """The one form that every cell is of, as far as its shape tells; blank cells and zeros tell nothing.

    None where there is none, and for bare numbers, whose unit only the header knows (see `unit`): 90 may be seconds or
    minutes, and 90000 either of them in milliseconds.
    """
    texts = cells.cast(pl.String).to_frame("cell").select(_trimmed(pl.col("cell"))).to_series()
    telling = texts.filter((texts != "") & ~texts.str.contains(_ZERO))
    for form in (Form.HMS, Form.DAYS, Form.ISO, Form.WORDS):
        if len(telling) and telling.to_frame("cell").select(seconds(pl.col("cell"), form).is_not_null().all()).item():
            return form
    return None


def may_be_hhmmss(cells: pl.Series) -> bool:
    """Whether every cell has six digits, as in 000145, and some begin with zeros. Seconds are not written like that."""
    there = cells.drop_nulls()
    return bool(len(there) and there.str.contains(_BARE_CLOCK).all() and there.str.contains("^0+[1-9]").any())


def unit(header: str) -> Form | None:
    """The unit that a column's name states, as in "duration (secs)", "Durée (minutes)", "hs_call_duration_ms"."""
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", re.sub(r"['’]s\b", "", header))
    words = re.sub(r"[\W_]+", " ", apart).lower()
    stated = [form for form, pattern in _UNITS.items() if re.search(pattern, words)]
    return stated[0] if len(stated) == 1 else None


def _trimmed(cells: pl.Expr) -> pl.Expr:
    return cells.str.replace_all(r"[\u00a0\u202f\u2009]", " ").str.strip_chars()


def _number(text: pl.Expr) -> pl.Expr:
    return text.str.extract(_DECIMAL).str.replace(",", ".", literal=True)


def _whole(text: pl.Expr) -> pl.Expr:
    return _number(text).str.extract("^([0-9]+)").cast(pl.Int64, strict=False)


def _clock(text: pl.Expr) -> pl.Expr:
    """H:MM:SS or M:SS, which the text is known to be. Taken apart by its colons: a pattern with two ways to begin is
    ten times slower to take apart than to recognise."""
    parts = text.str.split_exact(":", 2).struct
    first, second, third = (
        parts.field(f"field_{position}").str.head(width).cast(pl.Int64, strict=False)
        for position, width in enumerate((_LONGEST, 2, 2))
    )
    return pl.when(third.is_null()).then(first * 60 + second).otherwise(first * 3_600 + second * 60 + third)


def _summed(text: pl.Expr, pattern: str) -> pl.Expr:
    """The named parts of a text of the form, in seconds; null where it has none of them."""
    parts = text.str.extract_groups(pattern).struct
    names = re.findall(r"\?<(\w+)>", pattern)
    numbers = {name: parts.field(name).cast(pl.Int64, strict=False) for name in names}
    # A number too long for Int64 is no part that is missing.
    lost = pl.any_horizontal(parts.field(name).str.len_chars() > _LONGEST for name in names).fill_null(False)
    total = pl.sum_horizontal(numbers[name].fill_null(0) * _SECONDS_IN[name] for name in names)
    return pl.when(pl.any_horizontal(number.is_not_null() for number in numbers.values()) & ~lost).then(total)
