"""The file of `--agents`: who made or took the calls, as the phone system says it, and who that is in the CRM."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from callimport.core import errors, models
from callimport.extract import reader
from callimport.profiles import blanks
from callimport.resolve import lookup_file

# By what the phone system names somebody. An email is one, too, beside a user_id.
KNOWN_BY = ("extension", "name", "login", "email")
TARGETS = ("email", "user_id")
_PERIOD = ("from", "until")
# For each meaning the pattern of its header names, see `lookup_file.plain`.
_HEADERS = {
    "extension": (
        "(?:agent|phone)?ext(?:ension)?s?(?:number|no)?|(?:(?:numero|no|number)(?:de|du)?)?poste(?:number|no)?"
    ),
    "name": "(?:full|agent|employee|display)?name|nom(?:complet|(?:de)?l?agent)?|agent",
    "login": "login(?:name|id)?|user(?:name)?|(?:nomd?)?utilisateur",
    "email": "(?:user|agent|crm)?e?mail(?:address)?|(?:adresse)?courriel|adresse(?:e?mail|electronique)",
    "user_id": "(?:(?:crm|activix)?user|crm|activix|agent)(?:id|number)|id(?:du|del)?(?:utilisateur|user|crm|activix)",
    "from": "from|since|depuis|du|start(?:date)?|debut|datededebut",
    "until": "until|to|jusqua|au|end(?:date)?|fin|datedefin",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. What a person is known by is in the form of `known_as`, "" where the line does not say; of `user_id`
    and `email` one says who it is in the CRM, the first before the second. `since` and `until` are both inclusive."""

    line: int
    extension: str
    name: str
    login: str
    email: str
    user_id: int | None
    since: date = date.min
    until: date = date.max

    @property
    def target(self) -> int | str:
        return self.user_id or self.email

    def holds_on(self, day: date) -> bool:
        return self.since <= day <= self.until


@dataclass(frozen=True, slots=True)
class AgentsFile:
    """`sha256` is of the file, part of what a batch covers. `columns_told` says how header names were read. `unused`
    says which lines are not used."""

    sha256: str
    entries: tuple[Entry, ...]
    columns_told: str = ""
    unused: tuple[str, ...] = ()

    @property
    def has_periods(self) -> bool:
        return any((entry.since, entry.until) != (date.min, date.max) for entry in self.entries)

    @property
    def names_emails(self) -> bool:
        """Whether the CRM's users must be known to tell who is meant."""
        return any(entry.user_id is None for entry in self.entries)


def read(path: Path) -> AgentsFile:
    """Read any table with at least one column of KNOWN_BY and one of TARGETS; `_HEADERS` has their other names. from
    and until are days, both may be blank. A line that names nobody in the CRM is ignored, so a draft may be half
    filled in.

    A bad line is not used. If two lines of an agent name two people on one day, no line of that agent is used. The
    calls of these agents are then as without the file. Raises SourceError if no line can be used, or if more than 5 %
    of the lines (and at least 3) are bad.
    """
    opened = reader.open_source(path)
    columns = lookup_file.columns(path, reader.header(opened), _HEADERS)
    named = set(columns.of)
    if not named & set(KNOWN_BY) or not named & set(TARGETS) or named & {*KNOWN_BY, *TARGETS} == {"email"}:
        raise errors.SchemaMismatch(
            f"{path} is no agents file: it needs extension, name or login (as the phone system says it), and email or "
            "user_id (as the CRM does)"
        )
    rows = lookup_file.Rows(path)
    entries = tuple(_entries(rows, opened, columns))
    rows.bad |= _contradictions(entries)
    entries = tuple(entry for entry in entries if entry.line not in rows.bad)
    rows.used = len(entries)
    rows.refuse_too_many()
    return AgentsFile(opened.sha256, entries, columns.told, tuple(rows.told()))


def known_as(text: str | None) -> str:
    """The form in which names are compared: neither case nor the width of blanks makes another person."""
    return " ".join(unicodedata.normalize("NFC", text or "").split()).casefold()


def _entries(rows: lookup_file.Rows, opened: models.Source, columns: lookup_file.Columns) -> Iterator[Entry]:
    """The lines that name an agent and a user. Bad lines are noted in `rows`."""
    for chunk in reader.read(opened):
        rows.refuse_swallowed(chunk.frame)
        for row in blanks.cleaned(chunk.frame).iter_rows(named=True):
            rows.read += 1
            cells = {name: str(row.get(columns.one(name) or "") or "").strip() for name in _HEADERS}
            entry = f"the row has {row['_ragged']}" if row["_ragged"] is not None else _entry(row["_row"], cells)
            if isinstance(entry, str):
                rows.bad[row["_row"]] = entry
            elif entry.target and (entry.extension or entry.name or entry.login or (entry.email and entry.user_id)):
                yield entry


def _entry(line: int, cells: Mapping[str, str]) -> Entry | str:
    """What a line says, or what is wrong with it."""
    text = {name: known_as(cells[name]) for name in KNOWN_BY}
    number = cells["user_id"].removesuffix(".0")
    is_number = number.isascii() and number.isdigit() and 0 < int(number[:20]) < 2**63
    if number and not is_number:
        return f'user_id "{number}" is not a whole number above 0; write the user\'s number in the CRM'
    if text["email"] and "@" not in text["email"]:
        return f'email "{text["email"]}" is not an address; write the user\'s email in the CRM'
    days: list[date | None] = []
    for name in _PERIOD:
        try:
            days.append(date.fromisoformat(cells[name]) if cells[name] else None)
        except ValueError:
            return f'{name} "{cells[name]}" is not a day; write it as 2024-05-31'
    since, until = days[0] or date.min, days[1] or date.max
    if since > until:
        return f"from {since} is after until {until}; put them right"
    extension = text["extension"].removesuffix(".0")
    user_id = int(number) if number else None
    return Entry(line, extension, text["name"], text["login"], text["email"], user_id, since, until)


def _contradictions(entries: tuple[Entry, ...]) -> dict[int, str]:
    """Find agents who are two people on one day. Returns what to say of each of their lines, by line."""
    by_word: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        for kind in KNOWN_BY:
            if (word := getattr(entry, kind)) and not (kind == "email" and entry.user_id is None):
                by_word[kind, word].append(entry)
    found: dict[int, str] = {}
    for (kind, word), same in by_word.items():
        last, *others = sorted(same, key=lambda entry: (entry.since, entry.line))
        for entry in others:
            if last.until >= entry.since and last.target != entry.target:
                lines = " and ".join(str(line) for line in sorted((last.line, entry.line)))
                told = (
                    f"{kind} {word} is of two people on the same day (lines {lines}); give them from and until dates "
                    "that do not overlap"
                )
                found |= {one.line: told for one in same}
                break
            if entry.until > last.until:
                last = entry
    return found
