"""Conditions and origins of a recipe as expressions on a frame of stripped cells.

The frame has a column for each name of the recipe (null where the cell is blank or the column is not in the file),
`_direction`, and for each column whose kind of number is asked a column `kind_column(name)`.
"""

import functools
import operator
from collections.abc import Collection, Iterable, Sequence

import polars as pl

from callimport.profiles.model import Cell, Condition, First, Origin, Rule, Sides, Span, Text

_INSTANT = r"^\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[T ,]+\d{1,2}:\d{2}.*)?$"


def kind_column(column: str) -> str:
    return f"_kind of {column}"


def asked_kinds(conditions: Iterable[Condition]) -> tuple[str, ...]:
    """Columns of which it is asked what kind of number they hold."""
    asked = (part.column for part in conditions if part.test == "is" and part.words[0] != "instant")
    return tuple(dict.fromkeys(asked))


def holds(condition: Condition, present: Collection[str]) -> pl.Expr:
    """True or false for each row, never null. `present` are the columns of the file, by the names of the recipe."""
    match condition.test:
        case "all":
            return functools.reduce(operator.and_, (holds(part, present) for part in condition.parts))
        case "any":
            return functools.reduce(operator.or_, (holds(part, present) for part in condition.parts))
        case "not":
            return ~holds(condition.parts[0], present)
        case "has":
            return pl.lit(condition.column in present)
        case "direction":
            return pl.col("_direction").eq_missing(pl.lit(condition.words[0]))
        case _:
            return _on_cell(condition, pl.col(condition.column)).fill_null(False)


def _on_cell(condition: Condition, cell: pl.Expr) -> pl.Expr:
    word = condition.words[0]
    match condition.test:
        case "equals" | "in":
            return cell.str.to_lowercase().is_in(list(condition.words))
        case "matches":
            return cell.str.contains(word)
        case "blank":
            return cell.is_null() if word == "true" else cell.is_not_null()
        case "positive":
            # Of whatever form it is, as in 12, 0.5, 0:00:09 or PT9S: some digit is not zero.
            is_positive = (cell.str.contains("[1-9]") & ~cell.str.starts_with("-")).fill_null(False)
            return is_positive if word == "true" else ~is_positive
        case "longest":
            return cell.str.len_chars() <= int(word)
        case _:
            return cell.str.contains(_INSTANT) if word == "instant" else pl.col(kind_column(condition.column)) == word


def first_of(rules: Sequence[Rule], present: Collection[str]) -> pl.Expr:
    """What the first rule that holds says; null where none does."""
    said = [pl.when(holds(rule.when, present)).then(pl.lit(rule.then)) for rule in rules]
    return pl.coalesce(said) if said else pl.lit(None, dtype=pl.String)


def text(origin: Origin) -> pl.Expr:
    """The text of an origin, null where it is blank."""
    match origin:
        case Cell():
            cell = pl.col(origin.column)
            if origin.extract is None:
                return cell
            return cell.str.extract(origin.extract, 1).str.strip_chars().replace("", None)
        case Text():
            return _filled(origin)
        case First():
            return pl.coalesce([text(part) for part in origin.of])
        case Sides():
            return by_direction(text(origin.incoming), text(origin.outgoing))
        case Span():
            raise TypeError("a span is a number of seconds, not a text")


def by_direction(incoming: pl.Expr, outgoing: pl.Expr) -> pl.Expr:
    """`incoming` or `outgoing`, by the direction of the row; null if the direction is not known."""
    direction = pl.col("_direction")
    return pl.when(direction == "incoming").then(incoming).when(direction == "outgoing").then(outgoing)


def _filled(origin: Text) -> pl.Expr:
    pieces: list[pl.Expr] = []
    rest = origin.template
    for column in origin.columns:
        before, _, rest = rest.partition("{")
        _, _, rest = rest.partition("}")
        pieces += [pl.lit(before), pl.col(column)]
    return pl.concat_str([*pieces, pl.lit(rest)])


def hangs_on_direction(origin: Origin | None) -> bool:
    match origin:
        case Sides():
            return True
        case First():
            return any(hangs_on_direction(part) for part in origin.of)
        case _:
            return False
