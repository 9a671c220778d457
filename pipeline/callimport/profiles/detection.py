"""Which recipe a file is of, where its rows begin and how its columns are called, with what that rests on."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from callimport.core import errors, models, phones
from callimport.extract import reader
from callimport.profiles import columns, conditions, forms
from callimport.profiles.library import available, load
from callimport.profiles.model import Header, Headerless, Profile
from callimport.profiles.toml_table import close

# A header stands within so many records, behind what a report says of itself.
_PREAMBLE = 40
# Of the rows of a file without a header so many must look as the recipe says: the last may be a sum.
_ENOUGH = 0.9
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Match:
    """A recipe found to fit: where the rows are, what that rests on, and what the user should know of this export."""

    profile: Profile
    layout: models.Layout
    evidence: str
    notes: tuple[str, ...] = ()


def detect(peek: models.Peek) -> Match:
    """The one recipe that the file is of. Raises SchemaMismatch where none or several are; both are named."""
    profiles = [load(name) for name in available()]
    matches = [match for profile in profiles if not profile.unverified and (match := _matched(profile, peek))]
    if len(matches) > 1:
        names = " and ".join(match.profile.name for match in matches)
        raise errors.SchemaMismatch(f"the columns fit the profiles {names}; choose one with --profile")
    if not matches:
        raise _nothing_fits(profiles, peek)
    _refuse_unknown(matches[0])
    return matches[0]


def fit(profile: Profile, peek: models.Peek) -> Match:
    """The recipe that was chosen, on this file. Raises SchemaMismatch: what is missing, and how to export better."""
    match = _matched(profile, peek)
    if match is None:
        refuse_no_table(peek)
        faults, _ = _lacking(profile, peek)
        if profile.other_columns == "error":
            record = _headlike(profile, peek)
            faults += _unknown(profile, columns.resolved(profile, record), record)
        raise _mismatch(profile, faults)
    _refuse_unknown(match)
    return match


# ── does it fit? ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _matched(profile: Profile, peek: models.Peek) -> Match | None:
    for position, (line, cells) in enumerate(peek.records[: 1 if peek.is_typed else _PREAMBLE]):
        found = columns.resolved(profile, cells)
        for header in profile.headers:
            if all(name in found for name in header.needs):
                return _headed(profile, peek, header, position, line)
    if peek.is_typed:
        return None
    recognised = [(_recognised(layout, peek), layout) for layout in profile.headerless]
    rows, layout = max(recognised, key=lambda one: one[0], default=(0, None))
    return _bare(profile, peek, layout, rows) if layout is not None and rows else None


def _headed(profile: Profile, peek: models.Peek, header: Header, position: int, line: int) -> Match:
    layout = headed(peek, position, profile.second_header)
    found = columns.resolved(profile, layout.names)
    _refuse_twice(profile, layout.names, found)
    told = ", ".join(reader.shortened(found[name]) for name in header.needs[:_SHOWN]) + (
        ", …" if len(header.needs) > _SHOWN else ""
    )
    version = f" ({header.name})" if header.name else ""
    where = "it" if peek.is_typed else f"line {line}"
    return Match(
        profile,
        layout,
        f"{profile.name}{version} because {where} has the columns {told}",
        tuple(lack.says for lack in profile.lacks if lack.column not in found),
    )


def headed(peek: models.Peek, position: int, second_header: str | None = None) -> models.Layout:
    """The layout of a file whose header is the record at `position`. A separator behind its last name is ignored."""
    line, cells = peek.records[position]
    header = cells if peek.is_typed else reader.trimmed(cells)
    layout = models.Layout(column_names(header), 0, header, None if peek.is_typed else second_header)
    rest = peek.records[position + 1 :]
    if rest and reader.is_second_header(rest[0][1], layout):
        (line, cells), rest = rest[0], rest[1:]
    return replace(layout, first_row=rest[0][0] if rest else line + reader.count_lines(cells))


def refuse_no_table(peek: models.Peek) -> None:
    """Raise SchemaMismatch if the file seems to be no table of separated cells."""
    if peek.why_no_table:
        raise errors.SchemaMismatch(f"it cannot be read as a table: {peek.why_no_table}")


def column_names(cells: Sequence[str]) -> tuple[str, ...]:
    """Names that are unique and not blank: a column without one gets its number, one met again its count."""
    seen: Counter[str] = Counter()
    found: list[str] = []
    for number, cell in enumerate(cells, start=1):
        name = cell.strip() or f"column {number}"
        seen[name] += 1
        while seen[name] > 1 and f"{name} ({seen[name]})" in cells:
            seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(found)


def _refuse_twice(profile: Profile, names: Sequence[str], found: dict[str, str]) -> None:
    """Two columns of one name, of which the recipe needs one: nobody knows which is meant."""
    for name in profile.used:
        if name in found and f"{found[name]} (2)" in names:
            told = reader.shortened(found[name])
            raise errors.SchemaMismatch(f"several columns are called {told}; rename or remove all but one")


def _recognised(layout: Headerless, peek: models.Peek) -> int:
    """How many rows fit the layout; 0 if too few rows fit."""
    width = len(layout.columns)
    rows = [cells for _, cells in peek.records if layout.at_least <= len(cells) <= width]
    if not rows or len(rows) < _ENOUGH * len(peek.records):
        return 0
    padded = [[*cells, *[""] * (width - len(cells))] for cells in rows]
    frame = pl.DataFrame(padded, schema=dict.fromkeys(layout.columns, pl.String), orient="row")
    frame = frame.with_columns(pl.all().str.strip_chars().replace("", None))
    tests = [part for test in layout.recognised_by for part in test.walk()]
    for name in conditions.asked_kinds(tests):
        frame = frame.with_columns(forms.kinds(frame[name], phones.Dialling()).alias(conditions.kind_column(name)))
    holds = pl.all_horizontal(conditions.holds(test, layout.columns) for test in layout.recognised_by)
    good = int(frame.select(holds.sum()).item())
    return good if good >= _ENOUGH * len(peek.records) else 0


def _bare(profile: Profile, peek: models.Peek, layout: Headerless, rows: int) -> Match:
    names = [name for test in layout.recognised_by if test.test != "not" for name in test.columns]
    told = ", ".join(dict.fromkeys(f"{name} in column {layout.columns.index(name) + 1}" for name in names))
    width = Counter(len(cells) for _, cells in peek.records).most_common(1)[0][0]
    return Match(
        profile,
        models.Layout(layout.columns[:width], peek.records[0][0]),
        f"{profile.name} ({layout.name}) because {rows} of its first {len(peek.records)} records have {told}, "
        "and no header",
        tuple(lack.says for lack in profile.lacks if lack.column not in layout.columns[:width]),
    )


# ── what to say where it does not ────────────────────────────────────────────────────────────────────────────────────


def _mismatch(profile: Profile, faults: Sequence[str]) -> errors.SchemaMismatch:
    told = "; ".join(faults[:_SHOWN]) + ("; …" if len(faults) > _SHOWN else "")
    advice = f"; how to export it: {' '.join(profile.export.split())}" if profile.export else ""
    return errors.SchemaMismatch(
        f"it is not what profile {profile.name} says: {told}; "
        f"mend the header or choose another profile with --profile{advice}"
    )


def _refuse_unknown(match: Match) -> None:
    profile, names = match.profile, match.layout.names
    if profile.other_columns == "error":
        faults = _unknown(profile, columns.resolved(profile, names), names)
        if faults:
            raise _mismatch(profile, faults)


def _unknown(profile: Profile, found: dict[str, str], names: Sequence[str]) -> list[str]:
    """What to say of columns that the recipe does not know, a slip of the pen more likely than a wish."""
    absent = [name for name in profile.known if name not in found]
    unknown = [name for name in names if name.strip() and name not in found.values() and not name.startswith("_")]
    slips = {slip for name in profile.required if name not in found for slip in close(name, unknown)}
    told: list[str] = []
    for name in unknown:
        if name not in slips:
            nameless = re.fullmatch(r"column \d+", name)
            quoted = reader.shortened(name)
            told += [f"{quoted}: did you mean {match}?" for match in close(name, absent)] or [
                f"{quoted} has no name" if nameless else f"column {quoted} is not known"
            ]
    return told


def _lacking(profile: Profile, peek: models.Peek) -> tuple[list[str], float]:
    """What to say of each column missing from the record that is most like a header, and how near it comes (0 to 1)."""
    best: tuple[float, list[str]] = (-1.0, ["the file holds no line with text"])
    for _, cells in peek.records[: 1 if peek.is_typed else _PREAMBLE]:
        found = columns.resolved(profile, cells)
        for header in profile.headers:
            near = sum(1.0 if name in found else 0.5 for name in header.needs if name in found or close(name, cells))
            nearness = near / max(1, len(header.needs))
            if nearness > best[0]:
                best = nearness, _missing(header.needs, found, cells)
    if not profile.headers and peek.records:
        names = ", ".join(layout.name for layout in profile.headerless)
        return [f"its rows are not those of {names}"], 0.0
    return best[1], best[0]


def _headlike(profile: Profile, peek: models.Peek) -> tuple[str, ...]:
    records = [cells for _, cells in peek.records[:_PREAMBLE]]
    return max(records, key=lambda cells: len(columns.resolved(profile, cells)), default=())


def _missing(needs: Sequence[str], found: dict[str, str], cells: Sequence[str]) -> list[str]:
    spare = [cell for cell in cells if cell not in found.values()]
    told: list[str] = []
    for name in needs:
        if name not in found:
            told += [f"{reader.shortened(slip)}: did you mean {name}?" for slip in close(name, spare)] or [
                f"column {name} is missing"
            ]
    return told


def _beside_the_calls(peek: models.Peek) -> str | None:
    """The option of a file that tells something of calls: of leads, or of agents."""
    header = {cell.strip().casefold() for cell in peek.records[0][1]} if peek.records else set[str]()
    if {"phone", "lead_id"} <= header:
        return "--leads"
    return "--agents" if header & {"extension", "name", "login"} and header & {"email", "user_id"} else None


def _nothing_fits(profiles: Sequence[Profile], peek: models.Peek) -> errors.SchemaMismatch:
    for profile in profiles:
        if profile.unverified and _matched(profile, peek):
            return errors.SchemaMismatch(
                f"it looks like {profile.name}, whose recipe was never tried on a real export; "
                f"if it is one, say --profile {profile.name} and look closely at what callimport check makes of it"
            )
    refuse_no_table(peek)
    if option := _beside_the_calls(peek):
        return errors.SchemaMismatch(
            f"it holds no calls, but looks like a file for {option}: name the phone system's export, and this one with "
            f"{option} FILE"
        )
    nearest = max(profiles, key=lambda profile: _lacking(profile, peek)[1])
    missing = "; ".join(_lacking(nearest, peek)[0])
    advice = f". How to export it: {' '.join(nearest.export.split())}" if nearest.export else ""
    return errors.SchemaMismatch(
        f"no profile fits these columns: callimport profiles new drafts one from the file; the nearest there is, "
        f"{nearest.name}, lacks: {missing}{advice}"
    )
