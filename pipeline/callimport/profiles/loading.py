"""TOML text → a checked recipe. What is wrong is said with file, key and what is allowed."""

import dataclasses
import re
import tomllib
import zoneinfo
from collections.abc import Mapping

from callimport.core import errors
from callimport.profiles import forms, grammar
from callimport.profiles.model import (
    Cell,
    Chain,
    FileName,
    First,
    Header,
    Headerless,
    Lack,
    Legs,
    Origin,
    Profile,
    Span,
    Zone,
    columns_of,
)
from callimport.profiles.toml_table import Table, close
from callimport_schemas import call_log

DROPS = ("internal", "fax", "totals", "recording", "other")
MACHINES = ("voicemail", "ivr", "announcement")
WINNERS = ("answered", "earliest", "latest", "longest")
ANY_WORD = "*"
# What a line of a draft begins with that a person has to decide.
QUESTION = "# ?"
_SHOWN = 80
# What a recording's file name may tell; the extension is no proof of anything, but says what the digits are.
_TOLD_BY_NAME = {"number", "id", "epoch", "date", "time", "extension"}
_NEEDED = ("direction", "started_at", "customer_phone")
_VOCABULARY = {"direction": call_log.DIRECTIONS, "status": call_log.STATUS_WORDS}
_KEYS = {"zone_rule": "zone", "lacks": "missing"}


def parsed(text: str, file: str) -> Profile:
    """The recipe that a TOML text is; `file` names it in complaints. Raises ConfigError."""
    _refuse_open(text, file)
    try:
        recipe = Table(tomllib.loads(text), file)
    except tomllib.TOMLDecodeError as error:
        raise errors.ConfigError(f"profile {file} is not TOML: {error}; mend that line") from error
    except (ValueError, RecursionError) as error:
        # A number with thousands of digits, or thousands of nested tables.
        raise errors.ConfigError(f"profile {file} cannot be read as TOML: {error}; shorten that value") from error
    recipe.only(list(dict.fromkeys(_KEYS.get(entry.name, entry.name) for entry in dataclasses.fields(Profile))))
    columns, constants = _columns(recipe.table("columns")), _constants(recipe.table("constants"))
    direction = grammar.rules(recipe, "direction", call_log.DIRECTIONS)
    for name in _NEEDED:
        given = (name in columns) + (name in constants)
        if given > 1 or (given == 0 and not (name == "direction" and direction)):
            raise recipe.wrong(name, "must be given in [columns] or in [constants], in one of them")
    optional = _optional(recipe, columns)
    headerless = tuple(_headerless(table) for table in recipe.tables("headerless"))
    zone, zone_rule = _zone(recipe)
    profile = Profile(
        version=recipe.whole("version"),
        name=recipe.text("name"),
        title=recipe.text("title"),
        system=recipe.text("system"),
        identity=recipe.flag("identity"),
        other_columns="error" if recipe.choice("other_columns", ("error", "ignore"), "error") == "error" else "ignore",
        columns=columns,
        zone=zone,
        zone_rule=zone_rule,
        time_form=recipe.choice("time_form", forms.TIMES, "iso"),
        duration_form=recipe.choice("duration_form", forms.DURATIONS, "seconds"),
        blank_caller="anonymous" if recipe.choice("blank_caller", ("missing", "anonymous"), "missing") == "anonymous"
        else "missing",
        outside_line=_outside_line(recipe),
        unverified=recipe.flag("unverified", False),
        optional=optional,
        headers=_headers(recipe, columns, optional, bool(headerless)),
        headerless=headerless,
        aliases=_aliases(recipe.table("aliases")),
        second_header=recipe.pattern("second_header") if "second_header" in recipe.cells else None,
        values=_values(recipe.table("values")),
        constants=constants,
        direction=direction,
        status=grammar.rules(recipe, "status", call_log.STATUS_WORDS),
        machine=grammar.rules(recipe, "machine", MACHINES),
        drop=grammar.rules(recipe, "drop", DROPS),
        damaged=grammar.rules(recipe, "damaged"),
        no_agent=grammar.condition(recipe.table("no_agent")) if "no_agent" in recipe.cells else None,
        own_numbers=recipe.texts("own_numbers"),
        not_blank=tuple(word.lower() for word in recipe.texts("not_blank")),
        legs=_legs(recipe.table("legs")) if "legs" in recipe.cells else None,
        export=recipe.text("export") if "export" in recipe.cells else "",
        lacks=tuple(_lack(table) for table in recipe.tables("missing")),
        recordings=tuple(_file_name(table) for table in recipe.tables("recordings")),
    )  # fmt: skip
    _refuse_unnamed(recipe, profile)
    return profile


def _refuse_open(text: str, file: str) -> None:
    """A comment is nothing to TOML: whoever imported with a question open would import with whatever is the default."""
    asked = [
        (number, line.strip().removeprefix(QUESTION).strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip().startswith(QUESTION)
    ]
    if asked:
        number, question = asked[0]
        others = ", ".join(str(other) for other, _ in asked[1:])
        raise errors.ConfigError(
            f"profile {file} line {number} is an open question: {question[:_SHOWN]}; make it say what is right and "
            f'take the "{QUESTION}" away' + (f" (open as well: lines {others})" if others else "")
        )


def _outside_line(top: Table) -> str:
    if "outside_line" not in top.cells:
        return ""
    line = top.text("outside_line")
    if not re.fullmatch("[0-9]{1,3}", line):
        raise top.wrong("outside_line", 'must be one to three digits, as in "9"')
    return line


def _zone(recipe: Table) -> tuple[str | None, Zone | None]:
    value = recipe.cells.get("zone")
    if value is None:
        return None, None
    if not isinstance(value, dict):
        return _zone_name(recipe, "zone"), None
    table = recipe.table("zone")
    table.only(("fixed", "column", "epoch"))
    if len(value) != 1:
        raise recipe.wrong("zone", 'must be an IANA name, or a table with one of "fixed", "column", "epoch"')
    if "fixed" in value:
        return None, Zone("fixed", name=_zone_name(table, "fixed"))
    return None, Zone("column" if "column" in value else "epoch", origin=grammar.origin(table, next(iter(value))))


def _zone_name(table: Table, key: str) -> str:
    name = table.text(key)
    if name not in zoneinfo.available_timezones():
        near = close(name, sorted(zoneinfo.available_timezones()))
        raise table.wrong(key, f'"{name}" is no IANA time zone; write one such as {(*near, "America/Toronto")[0]}')
    return name


def _optional(recipe: Table, columns: Mapping[str, Origin]) -> tuple[str, ...]:
    names = recipe.texts("optional")
    if any(name not in columns for name in names):
        raise recipe.wrong("optional", f"must be a list of canonical columns of [columns]: {', '.join(columns)}")
    return names


def _columns(table: Table) -> dict[str, Origin]:
    table.only(call_log.TEXT_COLUMNS, "canonical column")
    found = {name: grammar.origin(table, name) for name in table.cells}
    for name, origin in found.items():
        if isinstance(origin, Span) and name != "duration_seconds":
            raise table.wrong(name, "is no duration: since and until are for duration_seconds")
    return found


def _constants(table: Table) -> dict[str, str]:
    table.only(call_log.TEXT_COLUMNS, "canonical column")
    found = {name: table.text(name) for name in table.cells}
    for name, words in _VOCABULARY.items():
        if name in found:
            table.choice(name, words, "")
    return found


def _values(table: Table) -> dict[str, dict[str, str]]:
    table.only(tuple(_VOCABULARY), "column with words of its own")
    found: dict[str, dict[str, str]] = {}
    for name in table.cells:
        words = table.table(name)
        found[name] = {}
        for word in words.cells:
            key = word.strip().lower()
            if not key or key in found[name]:
                raise words.wrong(f'"{word}"', "is blank, or listed twice; upper and lower case are alike")
            found[name][key] = words.choice(word, (*_VOCABULARY[name], ""), "")
    return found


def _aliases(table: Table) -> dict[str, tuple[str, ...]]:
    return {name: table.texts(name) for name in table.cells}


def _headers(
    recipe: Table, columns: Mapping[str, Origin], optional: tuple[str, ...], has_headerless: bool
) -> tuple[Header, ...]:
    """The versions of the header. Where none is listed there is one: what [columns] names, without what is optional."""
    if "headers" not in recipe.cells:
        if has_headerless:
            return ()
        needed = [column for name, origin in columns.items() if name not in optional for column in _first(origin)]
        others = [column for name, origin in columns.items() for column in columns_of(origin) if column not in needed]
        return (Header("", tuple(dict.fromkeys(needed)), tuple(dict.fromkeys(others))),)
    found: list[Header] = []
    for table in recipe.tables("headers"):
        table.only(("name", "needs", "may"))
        if not (needs := table.texts("needs")):
            raise table.wrong("needs", "must be a list of the columns that tell this header")
        found.append(Header(table.text("name"), needs, table.texts("may")))
    return tuple(found)


def _first(origin: Origin) -> tuple[str, ...]:
    """The columns that an origin cannot do without: of a list, those of its first entry."""
    return _first(origin.of[0]) if isinstance(origin, First) else columns_of(origin)


def _headerless(table: Table) -> Headerless:
    table.only(("name", "columns", "at_least", "recognised_by"))
    columns = table.texts("columns")
    if not columns or len(set(columns)) != len(columns):
        raise table.wrong("columns", "must be the names of the columns in their order, each once")
    at_least = table.whole("at_least") if "at_least" in table.cells else len(columns)
    if at_least > len(columns):
        raise table.wrong("at_least", f"must be at most {len(columns)}, the number of columns")
    tests = tuple(grammar.condition(part) for part in table.tables("recognised_by"))
    if not tests:
        raise table.wrong("recognised_by", "must be a list of conditions that hold in every row")
    for test in tests:
        for column in test.columns:
            if column not in columns:
                raise table.wrong("recognised_by", f"looks at {column}, which is not one of its columns")
    return Headerless(table.text("name"), columns, at_least, tests)


def _legs(table: Table) -> Legs:
    table.only(("join", "leg", "winner", "talk", "chain", "internal", "forwarded"))
    winner = table.texts("winner") or ("answered", "earliest", "longest")
    for word in winner:
        if word not in WINNERS:
            raise table.wrong("winner", f"must be a list of {', '.join(WINNERS)}, the most important first")
    talk = table.choice("talk", ("winner", "sum"), "winner")
    leg = grammar.origin(table, "leg") if "leg" in table.cells else None
    chain = None
    if "chain" in table.cells:
        inner = table.table("chain")
        inner.only(("join", "length", "within"))
        chain = Chain(grammar.origin(inner, "join"), grammar.origin(inner, "length"), inner.whole("within"))
    return Legs(
        grammar.origin(table, "join"),
        winner,
        "sum" if talk == "sum" else "winner",
        leg,
        chain,
        *(grammar.condition(table.table(name)) if name in table.cells else None for name in ("internal", "forwarded")),
    )


def _lack(table: Table) -> Lack:
    table.only(("column", "says"))
    return Lack(table.text("column"), table.text("says"))


def _file_name(table: Table) -> FileName:
    table.only(("file", "is"))
    text = table.text("file")
    try:
        groups = set(re.compile(text).groupindex)
    except re.error as error:
        raise table.wrong("file", f"is not a regular expression ({error})") from error
    tells_when = "id" in groups or "epoch" in groups or {"date", "time"} <= groups
    if "number" not in groups or not tells_when or groups - _TOLD_BY_NAME:
        raise table.wrong("file", "must have the groups (?P<number>…) and (?P<id>…), (?P<epoch>…) or date and time")
    return FileName(text, table.choice("is", call_log.DIRECTIONS, "") if "is" in table.cells else "")


def _refuse_unnamed(recipe: Table, profile: Profile) -> None:
    """A column that only a condition knows is a slip of the pen: it would be blank in every row, and nobody told."""
    asked = [
        column for condition in profile.conditions() for column in ([condition.column] if condition.column else [])
    ]
    named = [
        *asked,
        *profile.own_numbers,
        *profile.aliases,
        *(lack.column for lack in profile.lacks),
    ]
    for column in named:
        if column not in profile.known:
            hint = "".join(f"did you mean {match}? " for match in close(column, profile.known))
            raise recipe.wrong(
                f'column "{column}"', f"is asked for and named nowhere; {hint}List it under may in [[headers]]"
            )
    for rule in profile.direction:
        if any(part.test == "direction" for part in rule.when.walk()):
            raise recipe.wrong("direction", "cannot ask for the direction that it is to tell")
    for origin in [
        profile.columns.get("direction"),
        *(o for o in (profile.zone_rule and profile.zone_rule.origin,) if o),
    ]:
        if origin is not None and not isinstance(origin, Cell | First):
            raise recipe.wrong("direction or zone", "must come from a column, not from both sides")
