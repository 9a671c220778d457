"""What a leads file and an agents file have in common: columns under common names, and rows that cannot be used."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from callimport.core import errors, privacy
from callimport.extract import reader

# One bad row does not stop an import. Many bad rows are a wrong file: half a directory would skip calls in silence.
BAD_SHARE = 0.05
# A share of fewer bad rows says nothing: a file of four rows may have two.
BAD_AT_LEAST = 3
SHOWN = 5
_REPEATED = re.compile(r" \(\d+\)$")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a file say what, by the meaning; `told` says what a header was taken for, "" if no word of it
    was another than the meaning itself."""

    of: Mapping[str, tuple[str, ...]]
    told: str

    def one(self, meaning: str) -> str | None:
        return next(iter(self.of.get(meaning, ())), None)


def columns(path: Path, header: Sequence[str], words: Mapping[str, str], several: Sequence[str] = ()) -> Columns:
    """What each column of the header is, by `words`: a pattern of `plain` names for each meaning. Only the names count,
    never the content; a column with another name is ignored.

    Raises SchemaMismatch where two columns claim one meaning that is not in `several`.
    """
    found: dict[str, list[str]] = {}
    for name in header:
        for meaning, pattern in words.items():
            if re.fullmatch(pattern, plain(name)):
                found.setdefault(meaning, []).append(name)
    for meaning, names in found.items():
        if len(names) > 1 and meaning not in several:
            raise errors.SchemaMismatch(
                f"{path}: the columns {privacy.scrub(' and '.join(names))} all mean {meaning}; keep one of them"
            )
    other = [
        f"{privacy.scrub(name)} as {meaning}" for meaning, names in found.items() for name in names if name != meaning
    ]
    told = f"{path}: read {', '.join(other)}" if other else ""
    return Columns({meaning: tuple(names) for meaning, names in found.items()}, told)


def plain(name: str) -> str:
    """A header as it is compared: letters and digits alone, without case and accents; # is a number."""
    letters = unicodedata.normalize("NFKD", _REPEATED.sub("", name).replace("#", "number").replace("№", "number"))
    return "".join(mark for mark in letters.casefold() if mark.isalnum())


@dataclass(slots=True)
class Rows:
    """Counts the rows of a file, and keeps what is wrong with the first ones of them that are not used.

    A *bad* row holds what cannot be read. A *blank* row lacks what it is looked up by, which is no fault: a lead may
    have no phone. Neither is used.
    """

    path: Path
    blank_means: str = ""
    read: int = 0
    used: int = 0
    bad: dict[int, str] = field(default_factory=dict)
    blank: list[int] = field(default_factory=list)
    # What is left out of rows that are used all the same.
    cells: dict[int, str] = field(default_factory=dict)

    def refuse_swallowed(self, frame: pl.DataFrame) -> None:
        """Raise SourceError for a row that holds others: nobody knows how many leads or people are lost in it."""
        for row, fault in (
            frame.filter(pl.col("_ragged").str.contains(reader.SWALLOWED, literal=True))
            .select("_row", "_ragged")
            .iter_rows()
        ):
            raise errors.SourceError(f"{self.path}, line {row}: the row has {fault}")

    def refuse_too_many(self) -> None:
        """Raise SourceError where no row can be used, or more than 5 % (and at least 3) are bad."""
        if not self.used and (self.bad or self.blank):
            told = "none of its rows can be used"
        elif len(self.bad) >= BAD_AT_LEAST and len(self.bad) > BAD_SHARE * self.read:
            told = f"{len(self.bad):,} of {self.read:,} rows cannot be used, more than 5 %"
        else:
            return
        lines = self.bad or {self.blank[0]: self.blank_means}
        raise errors.SourceError(
            f"{self.path}: {told}: {_listed(lines)}. Mend these rows or remove them, then run again"
        )

    def told(self) -> Iterator[str]:
        """What a person should know of the rows that are not used, a line each kind."""
        if self.bad:
            yield f"{self._not_used(len(self.bad))}: {_listed(self.bad)}"
        if self.blank:
            lines = ", ".join(str(line) for line in self.blank[:SHOWN]) + (", …" if len(self.blank) > SHOWN else "")
            yield f"{self._not_used(len(self.blank))}: {self.blank_means} in line {lines}"
        if self.cells:
            yield f"{self.path}: cells are left out of {len(self.cells):,} rows that are used: {_listed(self.cells)}"

    def _not_used(self, count: int) -> str:
        return f"{self.path}: {count:,} of {self.read:,} rows {'is' if count == 1 else 'are'} not used"


def _listed(lines: Mapping[int, str]) -> str:
    told = [f"line {line}: {privacy.hide_numbers(lines[line])}" for line in sorted(lines)[:SHOWN]]
    more = len(lines) - len(told)
    return "; ".join(told) + (f"; and {more:,} more" if more else "")
