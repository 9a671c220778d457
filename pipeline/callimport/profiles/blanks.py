"""Read words that mean "nothing", such as NULL and N/A, as blank cells."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import polars as pl

from callimport.profiles import conditions
from callimport.profiles.model import Cell, First, Origin, Profile, Sides, Text

# In every column.
WORDS = (
    "NULL", "\\N", "(null)", "<null>", "[null]", "None", "(none)", "NaN", "NaT", "<NA>", "N/A", "n.a.", "#N/A", "#N/D",
    # Databases write it for a time that never was.
    "0000-00-00", "0000-00-00 00:00:00", "0000-00-00T00:00:00",
)  # fmt: skip
# In names of people also.
NOBODY = (*WORDS, "unknown", "undefined", "nil", "na", "-", "--", "—", "?")
# In ids also: what systems write if a call, a lead or a person has no id.
PLACEHOLDERS = (
    *NOBODY, "0", "00", "000", "0000", "0.0", "-1", "00000000-0000-0000-0000-000000000000", "#REF!", "#VALUE!",
    "#NAME?",
)  # fmt: skip
# Canonical columns that hold an id or the name of a file.
IDS = ("call_id", "lead_id", "agent_id", "recording")

Counts = Counter[tuple[str, str]]


def _spellings(words: Collection[str]) -> list[str]:
    return sorted({spelling for word in words for spelling in (word, word.lower(), word.upper(), word.capitalize())})


_WORDS, _NOBODY, _PLACEHOLDERS = _spellings(WORDS), _spellings(NOBODY), _spellings(PLACEHOLDERS)
_AGENT = ("agent_email", "agent_name", "agent_extension")


def words_of(profile: Profile) -> dict[str, list[str]]:
    """The words that mean nothing, for each column that the profile uses.

    A word of `not_blank` is a value. So is a word that [values] lists for the column, or that a condition compares the
    column with.
    """
    kept: dict[str, set[str]] = {column: set(profile.not_blank) for column in profile.used}
    for name, listed in profile.values.items():
        for column in profile.fed_by(name):
            kept[column] |= listed.keys()
    for condition in profile.conditions():
        if condition.test in ("equals", "in"):
            kept[condition.column] |= set(condition.words)
    words = dict.fromkeys(profile.used, _WORDS)
    customer = set(profile.fed_by("customer_phone"))
    words |= dict.fromkeys(_whole_cells(profile.columns.get(name) for name in _AGENT) - customer, _NOBODY)
    legs = profile.legs
    ids = [*(profile.columns.get(name) for name in IDS), *((legs.join, legs.leg) if legs else ())]
    words |= dict.fromkeys(_whole_cells(ids), _PLACEHOLDERS)
    return {column: [word for word in words[column] if word.lower() not in kept[column]] for column in profile.used}


def _whole_cells(origins: Iterable[Origin | None]) -> set[str]:
    """The columns whose whole cell is the value: not put together with others, and nothing extracted."""
    found: set[str] = set()
    for origin in origins:
        match origin:
            case Cell(column, None):
                found.add(column)
            case First():
                found |= _whole_cells(origin.of)
            case Sides():
                found |= _whole_cells((origin.incoming, origin.outgoing))
    return found


def blanked(cells: pl.DataFrame, words: Mapping[str, list[str]], counts: Counts) -> pl.DataFrame:
    """Replace each of the `words` of a column with null in `cells` (stripped text).

    Adds the replaced cells to `counts`, by column and word.
    """
    found = cells.select(pl.col(column).is_in(those).any() for column, those in words.items()).row(0)
    for column in (column for column, is_there in zip(words, found, strict=True) if is_there):
        is_blank = pl.col(column).is_in(words[column])
        count(cells, column, is_blank, pl.col(column), counts)
        cells = cells.with_columns(pl.when(~is_blank).then(pl.col(column)).alias(column))
    return cells


def cleaned(frame: pl.DataFrame) -> pl.DataFrame:
    """A leads or agents file's chunk, in which words for nothing are blanks."""
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String and name != "_ragged"]
    stripped = pl.col(texts).str.strip_chars()
    return frame.with_columns(pl.when(~stripped.is_in(_WORDS)).then(stripped))


def count(cells: pl.DataFrame, column: str, is_blank: pl.Expr, text: pl.Expr, counts: Counts) -> None:
    """Add the words of `text` to `counts` for `column`, from the rows where `is_blank` is true."""
    words = cells.filter(is_blank).select(text.alias("word")).to_series()
    for word, times in words.value_counts().iter_rows() if len(words) else ():
        counts[column, word] += times


def is_placeholder(text: pl.Expr, profile: Profile) -> pl.Expr:
    """Whether a text stands for a missing id; null if the text is blank."""
    return text.is_in([word for word in _PLACEHOLDERS if word.lower() not in profile.not_blank])


def id_text(origin: Origin, profile: Profile, *, parts_are_ids: bool = False) -> pl.Expr:
    """The text of an origin that is an id, null if it is a placeholder.

    A text of several columns is a placeholder if all its columns are; with `parts_are_ids`, if one of them is.
    """
    match origin:
        case First():
            return pl.coalesce([id_text(part, profile, parts_are_ids=parts_are_ids) for part in origin.of])
        case Sides():
            incoming, outgoing = (
                id_text(part, profile, parts_are_ids=parts_are_ids) for part in (origin.incoming, origin.outgoing)
            )
            return conditions.by_direction(incoming, outgoing)
        case Text():
            parts = [is_placeholder(pl.col(column), profile) for column in origin.columns]
            is_none = pl.any_horizontal(parts) if parts_are_ids else pl.all_horizontal(parts)
            return pl.when(~is_none).then(conditions.text(origin))
        case _:
            text = conditions.text(origin)
            return pl.when(~is_placeholder(text, profile)).then(text)
