"""A phone system's recipe (TOML) and what it makes of a file: the canonical call frame, still as text.

The language of a recipe:

    version        whole number ≥ 1; a change that shapes calls gets a new one
    name, title    what `--profile` takes, and what people read
    system         default of `--system`, the installation that call ids belong to
    zone           IANA name; the zone of times that carry no offset (left out: `--timezone` must say it)
    identity       true where call_id is unique in an installation, false where ids come round again
    duration_form  "seconds", or "hms" for H:MM:SS and M:SS
    other_columns  "error" or "ignore": what to do about columns of the file that [columns] does not name
    optional       canonical columns whose column may be missing from the file; the others must be there
    [columns]      canonical column = "column of the file"; customer_phone may be a table instead,
                   { incoming = "…", outgoing = "…" }, where the customer's side depends on the direction
    [values.direction], [values.status]
                   word in the file = canonical word; upper and lower case are alike; "" means absent, so that a
                   status is derived. A word that is not listed makes its row a reject
    [constants]    canonical column = "text", the same for every row

direction, started_at and customer_phone must be given, in [columns] or in [constants].
"""

import dataclasses
import difflib
import hashlib
import importlib.resources
import json
import tomllib
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from pipeline import errors, privacy
from schemas import call_log

_NEEDED = ("direction", "started_at", "customer_phone")
_VOCABULARY = {"direction": call_log.DIRECTIONS, "status": call_log.STATUS_WORDS}
_HMS = r"^(?:(?<hours>[0-9]{1,4}):(?<minutes>[0-5]?[0-9])|(?<only>[0-9]{1,5})):(?<seconds>[0-5][0-9])$"
_FAULT = pl.Struct({"rule": pl.String, "message": pl.String})
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Sides:
    """The columns of the file that hold the customer, by direction."""

    incoming: str
    outgoing: str


@dataclass(frozen=True, slots=True)
class Profile:
    """One recipe, checked. `columns`, `values` and `constants` are keyed by canonical column, the words of `values` by
    the word in the file, in small letters."""

    name: str
    version: int
    title: str
    system: str
    zone: str | None
    identity: bool
    duration_form: Literal["seconds", "hms"]
    other_columns: Literal["error", "ignore"]
    columns: Mapping[str, str | Sides]
    optional: tuple[str, ...] = ()
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that shapes calls; title, comments and order of the recipe do not."""
        content = dataclasses.asdict(self) | {"optional": sorted(self.optional)}
        del content["title"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that a file must have."""
        needed = (file_column for name, column in self.columns.items() if name not in self.optional
                  for file_column in _file_columns(column))  # fmt: skip
        return tuple(dict.fromkeys(needed))

    @property
    def known(self) -> tuple[str, ...]:
        """Columns that a file may have."""
        return tuple(dict.fromkeys(name for column in self.columns.values() for name in _file_columns(column)))

    def require(self, header: Sequence[str], source_name: str) -> None:
        """Raise SchemaMismatch where columns are missing or, if the recipe is strict, unknown."""
        unknown = [name for name in header if name not in self.known and not name.startswith("_")]
        faults = _missing(self.required, header)
        if self.other_columns == "error":
            absent = [name for name in self.known if name not in header]
            slips = {slip for name in self.required if name not in header for slip in _close(name, unknown)}
            for name in unknown:
                if name not in slips:
                    faults += [f"{name}: did you mean {close}?" for close in _close(name, absent)] or [
                        f"column {name} is not known"
                    ]
        if faults:
            told = privacy.scrub("; ".join(faults[:8]) + ("; …" if len(faults) > 8 else ""))
            raise errors.SchemaMismatch(
                f"{source_name} is not what profile {self.name} says: {told}; "
                "mend the header or choose another profile with --profile"
            )


def _file_columns(column: str | Sides) -> tuple[str, ...]:
    return (column,) if isinstance(column, str) else (column.incoming, column.outgoing)


def _close(name: str, names: Sequence[str]) -> list[str]:
    lowered = {candidate.lower(): candidate for candidate in names}
    return [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.7)]


def _missing(required: Sequence[str], header: Sequence[str]) -> list[str]:
    """What to say of each required column that the file does not have."""
    told: list[str] = []
    for name in required:
        if name not in header:
            spare = [column for column in header if column not in required]
            told += [f"{slip}: did you mean {name}?" for slip in _close(name, spare)] or [f"column {name} is missing"]
    return told


# ── which recipe ─────────────────────────────────────────────────────────────────────────────────────────────────────


def available() -> tuple[str, ...]:
    """Names of the recipes that come with the program, sorted."""
    folder = importlib.resources.files("schemas") / "profiles"
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load(name_or_path: str) -> Profile:
    """The recipe of that name, or of that file (anything with a folder or .toml in it). Raises ConfigError."""
    if name_or_path in available():
        resource = importlib.resources.files("schemas") / "profiles" / f"{name_or_path}.toml"
        return _parsed(resource.read_text("utf-8"), f"{name_or_path}.toml")
    path = Path(name_or_path)
    if path.suffix != ".toml" and len(path.parts) < 2:
        hint = "".join(f" (did you mean {close}?)" for close in _close(name_or_path, available()))
        raise errors.ConfigError(
            f"there is no profile {name_or_path}{hint}; known: {', '.join(available())}, or the path of a .toml file"
        )
    try:
        return _parsed(path.read_text("utf-8"), str(path))
    except OSError as error:
        raise errors.ConfigError(f"profile {path} cannot be read: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise errors.ConfigError(f"profile {path} is not UTF-8; save it as UTF-8") from error


def detect(header: Sequence[str]) -> Profile:
    """The one recipe whose required columns are all in `header`. Raises SchemaMismatch where none or several are."""
    profiles = [load(name) for name in available()]
    fitting = [profile for profile in profiles if set(profile.required) <= set(header)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = " and ".join(profile.name for profile in fitting)
        raise errors.SchemaMismatch(f"the columns fit the profiles {names}; choose one with --profile")
    nearest = max(profiles, key=lambda profile: _nearness(profile, header))
    missing = privacy.scrub("; ".join(_missing(nearest.required, header)))
    raise errors.SchemaMismatch(
        f"no profile fits these columns; the nearest is {nearest.name}: {missing}; "
        "mend the header or choose with --profile"
    )


def _nearness(profile: Profile, header: Sequence[str]) -> float:
    found = sum(1.0 if name in header else 0.5 for name in profile.required if name in header or _close(name, header))
    return found / max(1, len(profile.required))


# ── reading a recipe ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a recipe that knows where it stands, to name file and key in its complaints."""

    cells: Mapping[str, object]
    file: str
    place: str = ""

    def wrong(self, key: str, allowed: str) -> errors.ConfigError:
        return errors.ConfigError(f"profile {self.file}: {self.place}{key} {allowed}")

    def only(self, keys: Sequence[str], noun: str = "key") -> None:
        for key in self.cells:
            if key not in keys:
                hint = "".join(f"did you mean {close}? " for close in _close(key, keys))
                raise self.wrong(key, f"is not a known {noun}; {hint}Allowed: {', '.join(keys)}")

    def text(self, key: str, *, blank: bool = False) -> str:
        value = self.cells.get(key)
        if not isinstance(value, str) or not (blank or value.strip()):
            raise self.wrong(key, 'must be text, as in "…"')
        return value.strip()

    def choice(self, key: str, allowed: Sequence[str], default: str) -> str:
        value = self.cells.get(key, default)
        if value not in allowed:
            raise self.wrong(key, "must be one of " + ", ".join(f'"{word}"' for word in allowed))
        return str(value)

    def table(self, key: str) -> "_Table":
        value = self.cells.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, "must be a table")
        return _Table(value, self.file, f"{self.place}{key}.")


def _parsed(text: str, file: str) -> Profile:
    try:
        recipe = _Table(tomllib.loads(text), file)
    except tomllib.TOMLDecodeError as error:
        raise errors.ConfigError(f"profile {file} is not TOML: {error}; mend that line") from error
    recipe.only([entry.name for entry in dataclasses.fields(Profile)])
    version, identity = recipe.cells.get("version"), recipe.cells.get("identity")
    if type(version) is not int or version < 1:
        raise recipe.wrong("version", "must be a whole number from 1")
    if not isinstance(identity, bool):
        raise recipe.wrong("identity", "must be true or false")
    columns, constants = _columns(recipe.table("columns")), _constants(recipe.table("constants"))
    for name in _NEEDED:
        if (name in columns) == (name in constants):
            raise recipe.wrong(name, "must be given in [columns] or in [constants], in one of them")
    return Profile(
        name=recipe.text("name"),
        version=version,
        title=recipe.text("title"),
        system=recipe.text("system"),
        zone=_zone(recipe),
        identity=identity,
        duration_form="hms" if recipe.choice("duration_form", ("seconds", "hms"), "seconds") == "hms" else "seconds",
        other_columns="error" if recipe.choice("other_columns", ("error", "ignore"), "error") == "error" else "ignore",
        columns=columns,
        optional=_optional(recipe, columns),
        values=_values(recipe.table("values")),
        constants=constants,
    )


def _zone(recipe: _Table) -> str | None:
    if "zone" not in recipe.cells:
        return None
    name = recipe.text("zone")
    if name not in zoneinfo.available_timezones():
        close = _close(name, sorted(zoneinfo.available_timezones()))
        raise recipe.wrong("zone", f'"{name}" is no IANA time zone; write one such as {(*close, "America/Toronto")[0]}')
    return name


def _optional(recipe: _Table, columns: Mapping[str, str | Sides]) -> tuple[str, ...]:
    names = recipe.cells.get("optional", [])
    if not isinstance(names, list) or any(name not in columns for name in names):
        raise recipe.wrong("optional", f"must be a list of canonical columns of [columns]: {', '.join(columns)}")
    return tuple(names)


def _columns(table: _Table) -> dict[str, str | Sides]:
    table.only(call_log.TEXT_COLUMNS, "canonical column")
    found: dict[str, str | Sides] = {}
    for name, value in table.cells.items():
        if name == "customer_phone" and isinstance(value, dict):
            sides = table.table(name)
            sides.only(("incoming", "outgoing"))
            found[name] = Sides(sides.text("incoming"), sides.text("outgoing"))
        else:
            found[name] = table.text(name)
    return found


def _constants(table: _Table) -> dict[str, str]:
    table.only(call_log.TEXT_COLUMNS, "canonical column")
    found = {name: table.text(name) for name in table.cells}
    for name, words in _VOCABULARY.items():
        if name in found:
            table.choice(name, words, "")
    return found


def _values(table: _Table) -> dict[str, dict[str, str]]:
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


# ── applying a recipe ────────────────────────────────────────────────────────────────────────────────────────────────


def canonical(profile: Profile, frame: pl.DataFrame) -> pl.DataFrame:
    """The canonical call frame of a chunk's frame, row by row.

    Columns: `_row`; `call_log.TEXT_COLUMNS` as stripped text, blank is null; `_faults`, a list of {rule, message} of
    what the recipe found wrong (ragged, direction_unknown, status_unknown, duration_number); `_customer_unknown`, true
    where the customer's side hangs on a direction that is not known.
    """
    texts = frame.with_columns(
        *(pl.col(name).str.strip_chars().replace("", None) for name in profile.known if name in frame.columns),
        *(pl.lit(None, dtype=pl.String).alias(name) for name in profile.known if name not in frame.columns),
    )
    faults = [_fault("ragged", pl.col("_ragged").is_not_null(), pl.lit("the row has ") + pl.col("_ragged"))]
    mapped: dict[str, pl.Expr] = {}
    for name in call_log.TEXT_COLUMNS:
        column = profile.columns.get(name)
        if isinstance(column, str):
            mapped[name], fault = _cell(profile, name, column)
            faults += fault
        elif column is None:
            mapped[name] = pl.lit(profile.constants.get(name), dtype=pl.String)
    direction = mapped["direction"].str.to_lowercase()
    customer, unknown = profile.columns.get("customer_phone"), pl.lit(False)
    if isinstance(customer, Sides):
        came_in, went_out = direction.eq_missing(pl.lit("incoming")), direction.eq_missing(pl.lit("outgoing"))
        mapped["customer_phone"] = (
            pl.when(came_in).then(pl.col(customer.incoming)).when(went_out).then(pl.col(customer.outgoing))
        )
        unknown = ~(came_in | went_out)
    return texts.select(
        "_row",
        *(mapped[name].alias(name) for name in call_log.TEXT_COLUMNS),
        pl.concat_list(faults).list.drop_nulls().alias("_faults"),
        unknown.alias("_customer_unknown"),
    )


def _cell(profile: Profile, name: str, column: str) -> tuple[pl.Expr, list[pl.Expr]]:
    """The canonical text of a column, null where the recipe cannot read it, and the fault of such a row."""
    cell = pl.col(column)
    if name in profile.values:
        words = profile.values[name]
        word = cell.str.to_lowercase()
        known = word.is_in(list(words))
        found = word.replace_strict(list(words), list(words.values()), default=None, return_dtype=pl.String)
        right = f"is not a word that profile {profile.name} knows; known: {', '.join(words)}"
        return found.replace("", None), [_fault(f"{name}_unknown", ~known, _complaint(name, cell, right))]
    if name == "duration_seconds" and profile.duration_form == "hms":
        parts = cell.str.extract_groups(_HMS).struct
        hours, minutes, only, rest = (
            parts.field(part).cast(pl.Int64).fill_null(0) for part in ("hours", "minutes", "only", "seconds")
        )
        readable = cell.str.contains(_HMS)
        seconds = pl.when(readable).then(hours * 3600 + (minutes + only) * 60 + rest).cast(pl.String)
        right = "is not a duration; write H:MM:SS or M:SS"
        return seconds, [_fault("duration_number", ~readable, _complaint(name, cell, right))]
    return cell, []


def _complaint(name: str, cell: pl.Expr, right: str) -> pl.Expr:
    shown = pl.when(cell.str.len_chars() > _SHOWN).then(cell.str.slice(0, _SHOWN - 1) + "…").otherwise(cell)
    return pl.concat_str(pl.lit(f'{name}: "'), shown, pl.lit(f'" {right}'))


def _fault(rule: str, broken: pl.Expr, message: pl.Expr) -> pl.Expr:
    return pl.when(broken).then(pl.struct(pl.lit(rule).alias("rule"), message.alias("message"))).cast(_FAULT)
