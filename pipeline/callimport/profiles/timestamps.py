"""When a call took place, from the forms that phone systems write → ISO 8601 text, precise to the second.

What comes out is `2024-06-17T05:59:49`, with `+00:00` behind it where the cell says how far from UTC it is; whose zone
a time without that is of, and which of two hours in autumn, is for validation. Seconds are floored, lost ones are 0.
What cannot be read whole is null: a date without a time of day is no instant, nor is a day that the calendar lacks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import overload

import polars as pl


class Form(StrEnum):
    """How a column writes instants. A date and a time of several columns are joined by a blank before."""

    YMD = "ymd"  # 2024-06-17T05:59:49.123+0000, 2024/06/17 05:59, 24-06-17 5:59 PM
    DMY = "dmy"  # 17/06/2024 05:59:49, 17-06-24 5:59, lun. 17/06/2024 5 h 59
    MDY = "mdy"  # 06/17/2024 5:59 AM, Mon 6/17/2024 05:59
    NAMED = "named"  # Mon, 17 Jun 2024 05:59:49 +0000 (RFC 2822), Jun 17, 2024 at 5:59 AM, 17 juin 2024 à 5 h 59
    EPOCH_SECONDS = "epoch_s"  # 1718603989, since 1970 in UTC
    EPOCH_MILLISECONDS = "epoch_ms"
    EPOCH_MICROSECONDS = "epoch_us"
    EPOCH_2001 = "epoch_2001"  # 740296789, seconds since 2001 in UTC, as Apple counts
    EXCEL = "excel"  # 45460.249872685, days since the end of 1899, the time in the fraction or behind a blank


class Order(StrEnum):
    """What a column of dates in numbers tells about the order of day, month and year."""

    DMY = "dmy"
    MDY = "mdy"
    YMD = "ymd"
    OPEN = "open"  # every date can be read in two ways: a person has to say
    CONTRADICTORY = "contradictory"  # no order fits all dates
    ABSENT = "absent"  # there is no such date


_ORDERS = (Order.DMY, Order.MDY, Order.YMD)
_FIRST = {Order.DMY: "the day", Order.MDY: "the month", Order.YMD: "the year"}


@dataclass(frozen=True, slots=True)
class Witness:
    """A date that speaks against an order. `place` names its row; `fitting` has the orders in which it is a date."""

    place: str
    cell: str
    fitting: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What dates such as `17/06/2024` or `17/06/24` in a column, or a part of it, tell about their order.

    `firsts` and `seconds` are the numbers in first and second place. `against` has the first date that speaks against
    each order. Join the evidence of chunks with `|`: the date that decides may be in the last chunk.
    """

    firsts: frozenset[int] = frozenset()
    seconds: frozenset[int] = frozenset()
    against: Mapping[Order, Witness] = field(default_factory=dict)

    def __or__(self, other: "Evidence") -> "Evidence":
        return Evidence(self.firsts | other.firsts, self.seconds | other.seconds, {**other.against, **self.against})

    @property
    def fitting(self) -> tuple[Order, ...]:
        return tuple(order for order in _ORDERS if order not in self.against)

    @property
    def order(self) -> Order:
        """The order in which every date exists; OPEN if several orders fit, CONTRADICTORY if none fits."""
        if not self.firsts:
            return Order.ABSENT
        if len(self.fitting) == 1:
            return self.fitting[0]
        return Order.OPEN if self.fitting else Order.CONTRADICTORY

    def told(self) -> str:
        """What was seen, for a person who has to decide or wants to know why."""
        return f"the first number goes up to {max(self.firsts)}, the second up to {max(self.seconds)}"

    def contradiction(self) -> str:
        """Name two rows that no order fits together, or the row that is a date in no order."""
        one = self.against[Order.DMY]
        other = self.against[one.fitting[0]] if one.fitting else one
        if alone := next((witness for witness in (one, other) if not witness.fitting), None):
            return f"{alone.place} ({alone.cell}) is no date in any order"
        rows = f"{one.place} ({one.cell}) has {first_of(one.fitting)} first, {other.place} ({other.cell})"
        return f"{rows} {first_of(other.fitting)} first"


def first_of(orders: tuple[Order, ...]) -> str:
    return " or ".join(_FIRST[order] for order in orders)


_BLANKS = ("\u00a0", "\u202f", "\u2009", "\u2007", "\t")
_MINUSES = ("\u2212", "\u2010", "\u2011", "\u2013")
# What stands between a date and a time besides a blank; after a comma there is one.
_JOINTS = (" at ", " à ", " @ ", " - ", " | ", ", ")
_DAY_NAMES = (
    r"^(?:mon|monday|tue|tues|tuesday|wed|wednesday|thu|thur|thurs|thursday|fri|friday|sat|saturday|sun|sunday"
    r"|lun|lundi|mardi|mer|mercredi|jeu|jeudi|ven|vendredi|sam|samedi|dim|dimanche)[.,]* "
)
# In French also a Tuesday, where neither a year nor a time follows the number.
_MAR = r"^mar[.,]* ([0-9]{1,2}(?:er)? \p{L}{3}|[0-9]{1,4}[-/.])"
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january janv janvier", "feb february févr fevr fév fev février fevrier", "mar march mars",
            "apr april avr avril", "may mai", "jun june juin", "jul july juil juillet", "aug august août aout",
            "sep sept september septembre", "oct october octobre", "nov november novembre",
            "dec december déc décembre decembre",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
# Hours from UTC, in minutes: RFC 2822, the east of Canada, and the same in French.
_ZONES = {
    "": 0, "z": 0, "utc": 0, "gmt": 0, "ut": 0, "nst": -210, "ndt": -150, "ast": -240, "adt": -180, "est": -300,
    "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420, "hnt": -210, "hna": -240,
    "haa": -180, "hne": -300, "hae": -240, "hnc": -360, "hac": -300, "hnr": -420, "har": -360, "hnp": -480, "hap": -420,
}  # fmt: skip
_UTC_NAMES = ("", "utc", "gmt", "ut")
_LARGEST_OFFSET = 14 * 60

_YEAR = r"(?<year>[0-9]{2}(?:[0-9]{2})?)"
_MONTH, _DAY = r"(?<month>[0-9]{1,2})", r"(?<day>[0-9]{1,2})"
_BETWEEN = "[-/. ]"
_NAMED_DATE = (
    r"(?:(?<day>[0-9]{1,2})(?:st|nd|rd|th|er?)?[-. ]+(?:de |of )?(?<word>\p{L}+)\.?[- ]"
    rf"|(?<word2>\p{{L}}+)\.?[- ](?<day2>[0-9]{{1,2}})(?:st|nd|rd|th|er?)?[- ]){_YEAR}"
)
_TIME = (
    r"(?<hour>[0-9]{1,2})[:_](?<minute>[0-5][0-9])(?:[:_](?<second>[0-5][0-9])(?:[.,][0-9]+)?)?(?<half>[AP])?"
    r" ?(?<zone>[a-z]{1,4})?(?:(?<sign>[+-])(?<offset_hours>[0-9]{2}):?(?<offset_minutes>[0-5][0-9])?)?"
)
_DATES = {
    Form.YMD: _BETWEEN.join((_YEAR, _MONTH, _DAY)),
    Form.DMY: _BETWEEN.join((_DAY, _MONTH, _YEAR)),
    Form.MDY: _BETWEEN.join((_MONTH, _DAY, _YEAR)),
    Form.NAMED: _NAMED_DATE,
}
_NUMBERS = r"^([0-9]{1,2})[-/. ]([0-9]{1,2})[-/. ]([0-9]{2}(?:[0-9]{2})?)(?:[^0-9]|$)"

_CANONICAL = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])?$"
_CANONICAL_LENGTH = len("2024-06-17T05:59:49")
_WRITTEN = "%Y-%m-%dT%H:%M:%S"
_SHORT_YEARS_FROM = 70  # 70 is 1970, 69 is 2069

_EPOCH = r"^([0-9]{1,17})(?:[.,][0-9]*)?$"
_UNITS_A_SECOND = {Form.EPOCH_MILLISECONDS: 1_000, Form.EPOCH_MICROSECONDS: 1_000_000}
_SECONDS_TO_2001 = 978_307_200
_SECONDS_TO_10000 = 253_402_300_800
_SERIAL = r"^([0-9]{1,6})([.,][0-9]+)?(?: +(.+))?$"
_LAST_SERIAL = 2_958_465
_DAYS_TO_1970 = 25_569
_DAY_SECONDS = 86_400
_DATE_LENGTH = len("2024-06-17")
_EPOCH_DIGITS = {
    r"^[0-9]{10}(?:\.[0-9]*)?$": Form.EPOCH_SECONDS,
    r"^[0-9]{13}(?:\.0*)?$": Form.EPOCH_MILLISECONDS,
    r"^[0-9]{16}(?:\.0*)?$": Form.EPOCH_MICROSECONDS,
    # As seconds since 1970 these would lie before September 2001.
    r"^[0-9]{9}(?:\.[0-9]*)?$": Form.EPOCH_2001,
    r"^[3-5][0-9]{4}\.[0-9]+$": Form.EXCEL,
}


@overload
def parse(cells: pl.Series, form: Form) -> pl.Series: ...
@overload
def parse(cells: pl.Expr, form: Form) -> pl.Expr: ...


def parse(cells: pl.Series | pl.Expr, form: Form) -> pl.Series | pl.Expr:
    """ISO text of cells of text, see above; null where a cell is blank, or not of the form."""
    if isinstance(cells, pl.Expr):
        return cells.map_batches(lambda batch: parse(batch, form), return_dtype=pl.String)
    if form is Form.YMD and _is_canonical(cells):
        return cells.str.replace("Z$", "+00:00")
    texts = _cleaned(cells)
    match form:
        case Form.YMD | Form.DMY | Form.MDY | Form.NAMED:
            return _dated(texts, form).alias(cells.name)
        case Form.EXCEL:
            return _serial(texts).alias(cells.name)
        case _:
            return _epoch(texts, form).alias(cells.name)


def shape(cells: pl.Series) -> Form | None:
    """The one form that every cell is of, blank ones apart; None where there is none, or the order of day and month is
    not decided (see `evidence`)."""
    texts = cells.cast(pl.String).str.strip_chars()
    telling = texts.filter(texts.is_not_null() & (texts != ""))
    if telling.is_empty():
        return None
    for pattern, form in _EPOCH_DIGITS.items():
        if telling.str.contains(pattern).all():
            return form
    order = evidence(telling).order
    for dated in _DATES:
        if order in (Order.ABSENT, dated.value) and parse(telling, dated).is_not_null().all():
            return dated
    return None


def evidence(cells: pl.Series, rows: pl.Series | None = None, source: str = "") -> Evidence:
    """What the dates in numbers of a column tell about their order; cells of other forms tell nothing.

    `rows` has the row numbers of the cells. `source` is the name of the file, if there are several files.
    """
    parts = pl.DataFrame({"cell": _cleaned(cells)}).select(pl.col("cell").str.extract_groups(_NUMBERS).struct.unnest())
    numbers = parts.cast(pl.Int64)
    numbers.columns = ["first", "second", "third"]
    first, second, third = pl.col("first"), pl.col("second"), pl.col("third")
    has_long_year = parts.to_series(2).str.len_bytes() == 4
    fits = numbers.select(
        (first.is_between(1, 31) & second.is_between(1, 12)).alias(Order.DMY),
        (first.is_between(1, 12) & second.is_between(1, 31)).alias(Order.MDY),
        (~has_long_year & second.is_between(1, 12) & third.is_between(1, 31)).alias(Order.YMD),
    )
    against: dict[Order, Witness] = {}
    for order in _ORDERS:
        found = (~fits[order]).arg_true().head(1)
        for index in found:
            place = f"row {rows[index]}" if rows is not None else "a row"
            its = tuple(other for other in _ORDERS if fits[other][index])
            against[order] = Witness(f"{place} of {source}" if source else place, cells[index], its)
    return Evidence(
        frozenset(numbers["first"].drop_nulls().unique()), frozenset(numbers["second"].drop_nulls().unique()), against
    )


# ── one way to write each thing ──────────────────────────────────────────────────────────────────────────────────────


def _is_canonical(cells: pl.Series) -> bool:
    """Whether every cell is what would come out, up to a Z, so that next to nothing is to be done."""
    if not cells.str.contains(_CANONICAL).all(ignore_nulls=False):
        return False
    read = cells.str.head(_CANONICAL_LENGTH).str.to_datetime(_WRITTEN, strict=False, time_unit="us")
    return read.null_count() == 0


def _cleaned(cells: pl.Series) -> pl.Series:
    """Small letters, single blanks, no names of days, 14:05 for 14 h 05, A or P right behind a time of twelve hours."""
    texts = cells.str.to_lowercase().str.replace_many(
        [*_BLANKS, *_MINUSES], [" "] * len(_BLANKS) + ["-"] * len(_MINUSES)
    )
    texts = texts.str.strip_chars()
    if texts.str.contains(r"[^0-9tz:._/+\- ]| [ -]").any():
        joints = texts.str.replace_many(list(_JOINTS), [" "] * len(_JOINTS))
        texts = _without_words(joints.str.replace_all(" {2,}", " "))
    # 075959 or, with its zero lost, 75959.
    return texts.str.replace(" ([0-9]{1,2})([0-9]{2})([0-9]{2})$", " ${1}:${2}:${3}")


def _without_words(texts: pl.Series) -> pl.Series:
    return (
        texts.str.normalize("NFC")
        .str.replace(_DAY_NAMES, "")
        .str.replace(_MAR, "${1}")
        .str.replace("([0-9]) ?h ?([0-9]{2}) ?min ?([0-9]{2})(?: ?s)?", "${1}:${2}:${3}")
        .str.replace("([0-9]) ?h ?([0-9]{2})(?: ?min)?", "${1}:${2}")
        .str.replace(r"([0-9]) ?a\.?(?: ?m\.?)?( |$)", "${1}A${2}")
        .str.replace(r"([0-9]) ?p\.?(?: ?m\.?)?( |$)", "${1}P${2}")
        # A zone that is named behind its offset says nothing new; one in brackets alone does.
        .str.replace(r"([+-][0-9]{2}:?[0-9]{2}) ?[(\[].*[)\]]$", "${1}")
        .str.replace(r"\(([a-z]{1,4})\)$", "${1}")
    )


# ── a date and a time ────────────────────────────────────────────────────────────────────────────────────────────────


def _dated(texts: pl.Series, form: Form) -> pl.Series:
    pattern = f"^{_DATES[form]}[t ]{_TIME}$"
    parts = texts.to_frame("text").select(pl.col("text").str.extract_groups(pattern).struct.unnest())
    if form is Form.NAMED:
        word, day = pl.coalesce("word", "word2"), pl.coalesce("day", "day2")
        month = word.replace_strict(_MONTHS, default=None, return_dtype=pl.Int64).cast(pl.String)
        parts = parts.with_columns(day.alias("day"), month.alias("month"))
    year = pl.col("year")
    century = pl.when(year.cast(pl.Int64) < _SHORT_YEARS_FROM).then(pl.lit("20")).otherwise(pl.lit("19"))
    naive = pl.concat_str(
        pl.when(year.str.len_bytes() == 2).then(century + year).otherwise(year),
        pl.lit("-"),
        pl.col("month").str.zfill(2),
        pl.lit("-"),
        pl.col("day").str.zfill(2),
        pl.lit("T"),
        _hour().str.zfill(2),
        pl.lit(":"),
        pl.col("minute"),
        pl.lit(":"),
        pl.col("second").fill_null("00"),
    )
    frame = parts.select(naive.alias("naive"), _offset().alias("offset"))
    exists = pl.col("naive").str.to_datetime(_WRITTEN, strict=False, time_unit="us").is_not_null()
    return frame.select(pl.when(exists).then(pl.col("naive") + pl.col("offset"))).to_series()


def _hour() -> pl.Expr:
    """Of 24, as text. 12 AM is midnight; 13 PM is as meant; 13 AM and 0 PM are nothing."""
    hour, half = pl.col("hour").cast(pl.Int64), pl.col("half")
    before_noon = pl.when(hour < 12).then(hour).when(hour == 12).then(0)
    after_noon = pl.when(hour.is_between(1, 11)).then(hour + 12).when(hour >= 12).then(hour)
    return pl.when(half == "A").then(before_noon).when(half == "P").then(after_noon).otherwise(hour).cast(pl.String)


def _offset() -> pl.Expr:
    """Such as -04:00, blank where the cell says none, null where it says what cannot be."""
    name, sign, hours = pl.col("zone").fill_null(""), pl.col("sign"), pl.col("offset_hours")
    minutes = hours.cast(pl.Int64) * 60 + pl.col("offset_minutes").cast(pl.Int64).fill_null(0)
    named = name.replace_strict(_ZONES, default=None, return_dtype=pl.Int64)
    stated = pl.when(name.is_in(_UTC_NAMES) & (minutes <= _LARGEST_OFFSET)).then(
        pl.when(sign == "-").then(-minutes).otherwise(minutes)
    )
    offset = pl.when(sign.is_null()).then(named).otherwise(stated)
    size = offset.abs()
    written = pl.concat_str(
        pl.when(offset < 0).then(pl.lit("-")).otherwise(pl.lit("+")),
        (size // 60).cast(pl.String).str.zfill(2),
        pl.lit(":"),
        (size % 60).cast(pl.String).str.zfill(2),
    )
    return pl.when(sign.is_null() & (name == "")).then(pl.lit("")).when(offset.is_not_null()).then(written)


# ── a number ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _epoch(texts: pl.Series, form: Form) -> pl.Series:
    """0 is null: systems write it for what never happened."""
    count = pl.col("text").str.extract(_EPOCH).cast(pl.Int64)
    seconds = count // _UNITS_A_SECOND.get(form, 1) + (_SECONDS_TO_2001 if form is Form.EPOCH_2001 else 0)
    instant = pl.when((count > 0) & (seconds < _SECONDS_TO_10000)).then(seconds)
    return texts.to_frame("text").select(_of_seconds(instant, "+00:00")).to_series()


def _serial(texts: pl.Series) -> pl.Series:
    """Rounded, not floored: 5:59:49 is no fraction of a day that can be written out, and may lie a hair below."""
    names = ("days", "fraction", "time")
    parts = texts.to_frame("text").select(pl.col("text").str.extract_groups(_SERIAL).struct.rename_fields(names))
    days = pl.col("days").cast(pl.Int64)
    date = pl.when(days.is_between(1, _LAST_SERIAL)).then(days - _DAYS_TO_1970)
    day_part = (pl.lit("0") + pl.col("fraction").str.replace(",", ".")).cast(pl.Float64)
    frame = parts.unnest("text").select(
        _of_seconds(date * _DAY_SECONDS + (day_part * _DAY_SECONDS).round().cast(pl.Int64), "").alias("alone"),
        pl.concat_str(_of_seconds(date * _DAY_SECONDS, "").str.head(_DATE_LENGTH), pl.lit(" "), "time").alias("joined"),
    )
    return frame.select(pl.coalesce(_dated(frame["joined"], Form.YMD), "alone")).to_series()


def _of_seconds(seconds: pl.Expr, offset: str) -> pl.Expr:
    return (seconds * 1_000_000).cast(pl.Datetime("us")).dt.to_string(f"{_WRITTEN}{offset}")
