"""What is seen in the columns of a file that nobody has described: facts, without a guess of what they mean."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from callimport.core import phones, privacy
from callimport.profiles import durations, timestamps
from callimport.profiles.draft import vocabulary

# Words of a vocabulary; a column with more different texts has none.
WORDS = 40
TOTALS = r"(?i)^(?:grand |sous-)?tot(?:al|aux|als)\b"
_SAMPLE = 5_000
_TAIL = 20
_EXAMPLES = 3
_LONGEST = 40
_ENOUGH = 0.9
_DIALLING = phones.Dialling()
_WHOLE = "^[0-9]+$"
_DECIMAL = "^[0-9]+(?:[.,][0-9]+)?$"
# What the form "iso" takes without being told a zone.
_ISO = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}"
_DATED = (timestamps.Form.YMD, timestamps.Form.NAMED)
_NUMERIC = {timestamps.Order.DMY: timestamps.Form.DMY, timestamps.Order.MDY: timestamps.Form.MDY}
_LOCAL = 7


@dataclass(frozen=True, slots=True)
class Time:
    """`what` is written: an instant, only a date, only a time of day. `form` is one of a recipe's time forms, "open"
    where only the order of day and month is not told."""

    what: Literal["instant", "date", "clock"]
    form: str
    has_offset: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """`filled`: cells that are not blank. `words`: its different texts in small letters and how often each is there,
    None where they are too many. `is_unique`: no two are alike, asked of columns of ids only. `kinds`: which share of
    its filled cells holds which kind of number."""

    name: str
    filled: int
    examples: tuple[str, ...]
    words: Mapping[str, int] | None
    is_unique: bool
    time: Time | None
    order: timestamps.Evidence
    duration: durations.Form | None
    digits: Literal["whole", "decimal"] | None
    kinds: Mapping[str, float]

    @property
    def tokens(self) -> frozenset[str]:
        return frozenset(vocabulary.tokens(self.name))

    @property
    def is_phone(self) -> bool:
        """Whether numbers stand there, or extensions and callers without a number among them."""
        known = sum(self.kinds.get(kind, 0.0) for kind in ("number", "extension", "anonymous", "damaged"))
        return self.kinds.get("number", 0.0) > 0 and known >= _ENOUGH and self.time is None

    def has(self, role: frozenset[str]) -> bool:
        return bool(self.tokens & role)

    @property
    def told(self) -> str:
        """Some of its values, fit to be written down: numbers are masked."""
        if not self.examples:
            return "blank in every row"
        is_number = self.time is None and not self.has(vocabulary.ID)
        return ", ".join(_masked(text, is_number=is_number) for text in self.examples)


@dataclass(frozen=True, slots=True)
class Looked:
    """`rows` of the file, its columns in their order, and a sample of stripped cells (null where blank)."""

    rows: int
    columns: tuple[Column, ...]
    sample: pl.DataFrame


def look(names: Iterable[str], frames: Iterable[pl.DataFrame]) -> Looked:
    """Go through a file once: order of dates, vocabularies and uniqueness are of all rows, forms of the first ones."""
    tallies = [_Tally(name) for name in names]
    sample, tail, rows = None, None, 0
    for frame in frames:
        cells = frame.select(pl.col(tally.name).str.strip_chars().replace("", None) for tally in tallies)
        if sample is None:
            sample = cells.head(_SAMPLE)
        tail = cells.tail(_TAIL) if rows + cells.height > _SAMPLE else None
        rows += cells.height
        for tally in tallies:
            tally.see(cells[tally.name])
    if sample is None:
        sample = pl.DataFrame(schema=dict.fromkeys((tally.name for tally in tallies), pl.String))
    # Sums stand at the end.
    sample = pl.concat([sample, tail]) if tail is not None else sample
    sums = pl.any_horizontal(pl.all().str.contains(TOTALS).fill_null(False))
    calls = sample.filter(~sums) if tallies else sample
    return Looked(rows, tuple(tally.column(calls[tally.name].drop_nulls()) for tally in tallies), sample)


class _Tally:
    """What has been seen of one column so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._filled = 0
        self._words: Counter[str] | None = Counter()
        self._is_id = bool(frozenset(vocabulary.tokens(name)) & vocabulary.ID)
        self._hashes: list[pl.Series] = []
        self._order = timestamps.Evidence()
        self._is_dated: bool | None = None

    def see(self, cells: pl.Series) -> None:
        there = cells.drop_nulls()
        self._filled += len(there)
        if self._words is not None:
            found = there.str.to_lowercase().value_counts()
            if len(found) > WORDS:
                self._words = None
            else:
                self._words.update(dict(found.iter_rows()))
                self._words = self._words if len(self._words) <= WORDS else None
        if self._is_id:
            self._hashes.append(there.hash())
        if self._is_dated is None and len(there):
            self._is_dated = timestamps.evidence(there.head(_SAMPLE)).order is not timestamps.Order.ABSENT
        if self._is_dated:
            self._order |= timestamps.evidence(there)

    def column(self, sample: pl.Series) -> Column:
        kinds = phones.read(sample, _DIALLING)["kind"].value_counts(normalize=True)
        shape = durations.shape(sample)
        return Column(
            name=self.name,
            filled=self._filled,
            examples=tuple(sample.unique(maintain_order=True).head(_EXAMPLES)),
            words=self._sorted_words(),
            is_unique=bool(self._hashes) and pl.concat(self._hashes).n_unique() == self._filled,
            time=_time(sample, self._order.order, frozenset(vocabulary.tokens(self.name))),
            order=self._order,
            duration=shape,
            digits=_digits(sample),
            kinds=dict(kinds.iter_rows()),
        )

    def _sorted_words(self) -> Mapping[str, int] | None:
        if self._words is None:
            return None
        # As recipes compare them, which strip more than Polars does.
        said: Counter[str] = Counter()
        for word, count in self._words.items():
            said[word.strip().lower()] += count
        return dict(
            sorted(((word, count) for word, count in said.items() if word), key=lambda word: (-word[1], word[0]))
        )


def _digits(cells: pl.Series) -> Literal["whole", "decimal"] | None:
    if cells.is_empty() or not cells.str.contains(_DECIMAL).all():
        return None
    return "whole" if cells.str.contains(_WHOLE).all() else "decimal"


# ── times ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _time(cells: pl.Series, order: timestamps.Order, header: frozenset[str]) -> Time | None:
    if cells.is_empty():
        return None
    if form := _dated(cells, order):
        is_iso = form == "ymd" and cells.str.contains(_ISO).all()
        return Time("instant", "iso" if is_iso else form, _has_offset(cells, form))
    if form := _dated(cells + " 00:00", order):
        return Time("date", form)
    if _are_read("2000-01-01 " + cells, timestamps.Form.YMD):
        return Time("clock", "")
    # Ten digits are a phone number where the header does not say otherwise.
    shape = timestamps.shape(cells) if header & vocabulary.TIME and _digits(cells) else None
    return Time("instant", shape.value, has_offset=shape is not timestamps.Form.EXCEL) if shape else None


def _dated(cells: pl.Series, order: timestamps.Order) -> str:
    """The form of dates with their times; "open" where day and month may be either way round; blank for none."""
    for form in _DATED:
        if order in (timestamps.Order.ABSENT, timestamps.Order.YMD) and _are_read(cells, form):
            return form.value
    if order in _NUMERIC and _are_read(cells, _NUMERIC[order]):
        return _NUMERIC[order].value
    if order is timestamps.Order.OPEN and _are_read(cells, timestamps.Form.DMY):
        return "open"
    return ""


def _are_read(cells: pl.Series, form: timestamps.Form) -> bool:
    return timestamps.parse(cells, form).is_not_null().sum() >= _ENOUGH * len(cells)


def _has_offset(cells: pl.Series, form: str) -> bool:
    read = timestamps.parse(cells, timestamps.Form.DMY if form == "open" else timestamps.Form(form)).drop_nulls()
    return bool(read.str.contains("[+-][0-9]{2}:[0-9]{2}$").all())


def _masked(text: str, *, is_number: bool) -> str:
    """Mask phone numbers. `is_number` is False for times and ids, which may have as many digits."""
    shown: str = privacy.mask(text) if is_number else privacy.show_time(text)
    digits = re.sub(r"\D", "", shown)
    # Seven digits are a number without its area code, unless letters stand among them.
    if is_number and len(digits) >= _LOCAL and "•" not in shown and not re.search("[A-Za-z]", shown):
        shown = privacy.mask_phone(digits)
    return f"{shown[: _LONGEST - 1]}…" if len(shown) > _LONGEST else shown
