"""Words that databases, spreadsheets and phone systems write where they have nothing to say."""

from collections import Counter
from collections.abc import Collection, Mapping

import polars as pl

from callimport.profiles import conditions
from callimport.profiles.model import First, Origin, Profile, Sides, Text

# In every column.
WORDS = ("NULL", "\\N", "(null)", "<null>", "[null]", "None", "NaN", "NaT", "<NA>", "N/A", "#N/A", "#N/D")
# In ids, also what systems write where a call, a lead or a person has none.
PLACEHOLDERS = (*WORDS, "unknown", "undefined", "nil", "na", "0", "-", "--", "?")
# Canonical columns that hold an id, or a name that a placeholder can stand for.
IDS = ("call_id", "lead_id", "agent_id", "recording")

Counts = Counter[tuple[str, str]]


def _spellings(words: Collection[str]) -> list[str]:
    return sorted({spelling for word in words for spelling in (word, word.lower(), word.upper(), word.capitalize())})


_WORDS, _PLACEHOLDERS = _spellings(WORDS), _spellings(PLACEHOLDERS)


def values(profile: Profile) -> dict[str, frozenset[str]]:
    """For each column that the profile uses, the words, in small letters, that are values there: those of `not_blank`,
    those that [values] lists for it, and those that a condition compares it with."""
    found: dict[str, set[str]] = {column: set(profile.not_blank) for column in profile.used}
    for name, words in profile.values.items():
        for column in profile.fed_by(name):
            found[column] |= words.keys()
    for condition in profile.conditions():
        if condition.test in ("equals", "in"):
            found[condition.column] |= set(condition.words)
    return {column: frozenset(words) for column, words in found.items()}


def blanked(cells: pl.DataFrame, values: Mapping[str, frozenset[str]], counts: Counts) -> pl.DataFrame:
    """`cells` (stripped text) with null for each of WORDS that is no value, in the columns of `values`.

    `counts` takes how many cells of which column held which word.
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
    """Add to `counts` the words of `text` where `is_blank` holds, as those of `column`."""
    words = cells.filter(is_blank).select(text.alias("word")).to_series()
    for word, times in words.value_counts().iter_rows() if len(words) else ():
        counts[column, word] += times


def is_placeholder(text: pl.Expr, profile: Profile) -> pl.Expr:
    """Whether a text is no id; null where it is blank."""
    return text.is_in([word for word in _PLACEHOLDERS if word.lower() not in profile.not_blank])


def id_text(origin: Origin, profile: Profile, *, parts_are_ids: bool = False) -> pl.Expr:
    """The text of an origin that is an id, null where it is a placeholder.

    A text that is put together from columns is a placeholder if all of them are; with `parts_are_ids`, if one is.
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
