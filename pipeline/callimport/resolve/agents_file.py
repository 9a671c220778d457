"""The file of `--agents`: who made or took the calls, as the phone system says it, and who that is in the CRM."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from callimport.core import errors, models, privacy
from callimport.extract import reader

# By what the phone system names somebody. An email is one, too, beside a user_id.
KNOWN_BY = ("extension", "name", "login", "email")
TARGETS = ("email", "user_id")
_PERIOD = ("from", "until")


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
    """`sha256` is of the file, part of what a batch covers."""

    sha256: str
    entries: tuple[Entry, ...]

    @property
    def has_periods(self) -> bool:
        return any((entry.since, entry.until) != (date.min, date.max) for entry in self.entries)

    @property
    def names_emails(self) -> bool:
        """Whether the CRM's users must be known to tell who is meant."""
        return any(entry.user_id is None for entry in self.entries)


def read(path: Path) -> AgentsFile:
    """Any table with at least one column of KNOWN_BY and one of TARGETS; from and until are days, both may be blank. A
    line that names nobody in the CRM says nothing: a draft may be given half done.

    Raises SourceError with the first line that is wrong, and with two that say two things of one day.
    """
    opened = reader.open_source(path)
    columns = set(reader.header(opened))
    if not columns & set(KNOWN_BY) or not columns & set(TARGETS) or columns & {*KNOWN_BY, *TARGETS} == {"email"}:
        raise errors.SchemaMismatch(
            f"{path} is no agents file: it needs extension, name or login (as the phone system says it), and email or "
            "user_id (as the CRM does)"
        )
    entries = tuple(_entries(path, opened))
    _refuse_overlaps(path, entries)
    return AgentsFile(opened.sha256, entries)


def known_as(text: str | None) -> str:
    """The form in which names are compared: neither case nor the width of blanks makes another person."""
    return " ".join(unicodedata.normalize("NFC", text or "").split()).casefold()


def _entries(path: Path, opened: models.Source) -> Iterator[Entry]:
    for chunk in reader.read(opened):
        for cells in chunk.frame.iter_rows(named=True):
            if cells["_ragged"] is not None:
                raise _wrong(path, cells, f"the row has {cells['_ragged']}")
            entry = _entry(path, cells)
            if entry.target and (entry.extension or entry.name or entry.login or (entry.email and entry.user_id)):
                yield entry


def _entry(path: Path, cells: Mapping[str, Any]) -> Entry:
    text = {name: known_as(cells.get(name)) for name in KNOWN_BY}
    number = str(cells.get("user_id") or "").strip().removesuffix(".0")
    is_number = number.isascii() and number.isdigit() and 0 < int(number[:20]) < 2**63
    if number and not is_number:
        raise _wrong(
            path, cells, f'user_id "{number}" is not a whole number above 0; write the user\'s number in the CRM'
        )
    if text["email"] and "@" not in text["email"]:
        raise _wrong(path, cells, f'email "{text["email"]}" is not an address; write the user\'s email in the CRM')
    since, until = (_day(path, cells, name) for name in _PERIOD)
    since, until = since or date.min, until or date.max
    if since > until:
        raise _wrong(path, cells, f"from {since} is after until {until}; put them right")
    extension = text["extension"].removesuffix(".0")
    user_id = int(number) if number else None
    return Entry(cells["_row"], extension, text["name"], text["login"], text["email"], user_id, since, until)


def _day(path: Path, cells: Mapping[str, Any], name: str) -> date | None:
    text = str(cells.get(name) or "").strip()
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise _wrong(path, cells, f'{name} "{text}" is not a day; write it as 2024-05-31') from None


def _refuse_overlaps(path: Path, entries: tuple[Entry, ...]) -> None:
    by_word: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        for kind in KNOWN_BY:
            if (word := getattr(entry, kind)) and not (kind == "email" and entry.user_id is None):
                by_word[kind, word].append(entry)
    for (kind, word), same in by_word.items():
        last, *others = sorted(same, key=lambda entry: (entry.since, entry.line))
        for entry in others:
            if last.until >= entry.since and last.target != entry.target:
                lines = " and ".join(str(line) for line in sorted((last.line, entry.line)))
                raise errors.SourceError(
                    f"{path}, lines {lines}: {kind} {privacy.hide_numbers(word)} is of two people on the same day; "
                    "give them from and until dates that do not overlap"
                )
            if entry.until > last.until:
                last = entry


def _wrong(path: Path, cells: Mapping[str, Any], told: str) -> errors.SourceError:
    return errors.SourceError(f"{path}, line {cells['_row']}: {privacy.scrub(told)}")
