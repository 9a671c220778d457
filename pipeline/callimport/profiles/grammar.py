"""The two small languages in a recipe: where a text comes from (origins), and what is true of a row (conditions)."""

import re

from callimport.profiles.model import Cell, Condition, First, Origin, Rule, Sides, Span, Test, Text
from callimport.profiles.toml_table import Table, listed
from callimport_schemas import call_log

KINDS = ("number", "extension", "anonymous")
_ORIGIN = 'a column as in "From", a list of which the first that is not blank counts, or a table with one of: '
_FORMS = ("column", "text", "incoming", "since")
_NAMED = re.compile(r"\{([^{}]+)\}")
_ON_COLUMN: tuple[Test, ...] = ("equals", "in", "matches", "blank", "positive", "is", "longest")
_ALONE: tuple[Test, ...] = ("has", "direction", "all", "any", "not")


def origin(table: Table, key: str) -> Origin:
    """Where the text of `key` comes from. Raises ConfigError."""
    value = table.cells.get(key)
    if isinstance(value, str) and value.strip():
        return Cell(value.strip())
    if isinstance(value, list) and value:
        entries = Table({str(number): entry for number, entry in enumerate(value, start=1)}, table.file, table.place)
        inner = Table(entries.cells, table.file, f"{table.place}{key} entry ")
        return First(tuple(origin(inner, number) for number in inner.cells))
    if not isinstance(value, dict) or not (forms := [form for form in _FORMS if form in value]):
        raise table.wrong(key, f"must be {_ORIGIN}{', '.join(_FORMS)}")
    return _origin_of(table.table(key), forms[0])


def _origin_of(table: Table, form: str) -> Origin:
    match form:
        case "column":
            table.only(("column", "extract"))
            extract = table.pattern("extract", groups=True) if "extract" in table.cells else None
            return Cell(table.text("column"), extract)
        case "text":
            table.only(("text",))
            template = table.text("text")
            columns = tuple(name.strip() for name in _NAMED.findall(template))
            if not columns or set("{}") & set(_NAMED.sub("", template)):
                raise table.wrong("text", 'must name columns in braces, as in "{Date} {Time}"')
            return Text(template, columns)
        case "incoming":
            table.only(("incoming", "outgoing"))
            return Sides(origin(table, "incoming"), origin(table, "outgoing"))
        case _:
            table.only(("since", "until"))
            return Span(origin(table, "since"), origin(table, "until"))


def condition(table: Table) -> Condition:
    """What the table says of a row: `column` with one test of it, or one test that needs none. Raises ConfigError."""
    allowed = _ON_COLUMN if "column" in table.cells else _ALONE
    table.only(("column", *allowed) if "column" in table.cells else allowed, "test")
    found: list[Test] = [test for test in allowed if test in table.cells]
    if len(found) != 1:
        raise table.wrong("", f"must be one test: column with one of {', '.join(_ON_COLUMN)}; or {', '.join(_ALONE)}")
    test = found[0]
    column = table.text("column") if "column" in table.cells else ""
    match test:
        case "all" | "any":
            parts = tuple(condition(part) for part in table.tables(test))
            if not parts:
                raise table.wrong(test, "must be a list of at least one condition")
            return Condition(test, parts=parts)
        case "not":
            return Condition(test, parts=(condition(table.table(test)),))
        case "has":
            return Condition(test, column=table.text(test))
        case _:
            return Condition(test, column, _words(table, test))


def _words(table: Table, test: Test) -> tuple[str, ...]:
    match test:
        case "equals":
            return (table.text(test).lower(),)
        case "in":
            if not (words := table.texts(test)):
                raise table.wrong(test, "must be a list of at least one word")
            return tuple(word.lower() for word in words)
        case "matches":
            return (table.pattern(test),)
        case "blank" | "positive":
            return ("true" if table.flag(test) else "false",)
        case "longest":
            return (str(table.whole(test)),)
        case "is":
            return (table.choice(test, (*KINDS, "instant"), ""),)
        case _:
            return (table.choice(test, call_log.DIRECTIONS, ""),)


def rules(table: Table, key: str, allowed: tuple[str, ...] | None = None) -> tuple[Rule, ...]:
    """The list of rules under `key`: each says what `is` so (one of `allowed`, or any text) `when` its condition holds.

    Raises ConfigError.
    """
    found: list[Rule] = []
    for entry in table.tables(key):
        entry.only(("is", "when"))
        if allowed is not None and entry.cells.get("is") not in allowed:
            raise entry.wrong("is", f"must be one of {listed(allowed)}")
        if not isinstance(entry.cells.get("when"), dict):
            raise entry.wrong("when", 'must be a condition, as in { column = "Status", equals = "Fax" }')
        found.append(Rule(entry.text("is"), condition(entry.table("when"))))
    return tuple(found)
