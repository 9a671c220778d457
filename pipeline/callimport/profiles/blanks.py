"""Read words that mean "nothing", such as NULL and N/A, as blank cells."""

from collections import Counter
from collections.abc import Collection, Mapping

import polars as pl

from callimport.profiles import conditions
from callimport.profiles.model import First, Origin, Profile, Sides, Text

# In every column.
WORDS = ("NULL", "\\N", "(null)", "<null>", "[null]", "None", "NaN", "NaT", "<NA>", "N/A", "#N/A", "#N/D")
# In ids also: what systems write if a call, a lead or a person has no id.
PLACEHOLDERS = (*WORDS, "unknown", "undefined", "nil", "na", "0", "-", "--", "?")
# Canonical columns that hold an id or the name of a file.
IDS = ("call_id", "lead_id", "agent_id", "recording")

Counts = Counter[tuple[str, str]]


def _spellings(words: Collection[str]) -> list[str]:
    return sorted({spelling for word in words for spelling in (word, word.lower(), word.upper(), word.capitalize())})


_WORDS, _PLACEHOLDERS = _spellings(WORDS), _spellings(PLACEHOLDERS)


def values(profile: Profile) -> dict[str, frozenset[str]]:
    """The words, in small letters, that are values and not blanks, for each column that the profile uses: the words of
    `not_blank`, of [values], and of conditions on that column."""
    found: dict[str, set[str]] = {column: set(profile.not_blank) for column in profile.used}
    for name, words in profile.values.items():
        for column in profile.fed_by(name):
            found[column] |= words.keys()
    for condition in profile.conditions():
        if condition.test in ("equals", "in"):
            found[condition.column] |= set(condition.words)
    return {column: frozenset(words) for column, words in found.items()}


def blanked(cells: pl.DataFrame, values: Mapping[str, frozenset[str]], counts: Counts) -> pl.DataFrame:
    """Replace each of WORDS with null in `cells` (stripped text), unless it is a value of its column (see `values`).

    Adds the replaced cells to `counts`, by column and word.
    """
    found = cells.select(pl.col(column).is_in(_WORDS).any() for column in values).row(0)
    for column in (column for column, is_there in zip(values, found, strict=True) if is_there):
        is_blank = pl.col(column).is_in([word for word in _WORDS if word.lower() not in values[column]])
        count(cells, column, is_blank, pl.col(column), counts)
        cells = cells.with_columns(
            pl.when(is_blank.fill_null(False)).then(None).otherwise(pl.col(column)).alias(column)
        )
    return cells


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
