"""A table of a recipe that knows where it stands, so that its complaints name file, key and what is allowed."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from callimport.core import errors


def close(name: str, names: Sequence[str]) -> list[str]:
    """The one of `names` that is nearly `name`, if there is one."""
    lowered = {candidate.lower(): candidate for candidate in names}
    return [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.7)]


def listed(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


@dataclass(frozen=True, slots=True)
class Table:
    cells: Mapping[str, object]
    file: str
    place: str = ""

    def wrong(self, key: str, allowed: str) -> errors.ConfigError:
        return errors.ConfigError(f"profile {self.file}: {self.place}{key} {allowed}")

    def only(self, keys: Sequence[str], noun: str = "key") -> None:
        for key in self.cells:
            if key not in keys:
                hint = "".join(f"did you mean {match}? " for match in close(key, keys))
                raise self.wrong(key, f"is not a known {noun}; {hint}Allowed: {', '.join(keys)}")

    def text(self, key: str) -> str:
        value = self.cells.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, 'must be text, as in "…"')
        return value.strip()

    def flag(self, key: str, default: bool | None = None) -> bool:
        value = self.cells.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "must be true or false")
        return value

    def whole(self, key: str) -> int:
        value = self.cells.get(key)
        if type(value) is not int or value < 1:
            raise self.wrong(key, "must be a whole number from 1")
        return value

    def choice(self, key: str, allowed: Sequence[str], default: str) -> str:
        value = self.cells.get(key, default)
        if value not in allowed:
            raise self.wrong(key, f"must be one of {listed(allowed)}")
        return str(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts that are not blank; left out means none."""
        value = self.cells.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, str) and entry.strip() for entry in value):
            raise self.wrong(key, 'must be a list of texts, as in ["…", "…"]')
        return tuple(entry.strip() for entry in value)

    def pattern(self, key: str, *, groups: bool = False) -> str:
        """A regular expression that Polars takes; with `groups`, one with a group to take out."""
        text = self.text(key)
        try:
            pl.Series([""]).str.contains(text, strict=True)
        except pl.exceptions.ComputeError as error:
            why = str(error).splitlines()[-1].strip()
            raise self.wrong(key, f"is not a regular expression ({why}); look-ahead is not known here") from error
        if groups and re.search(r"(?<!\\)\((?!\?(?!P?<))", text) is None:
            raise self.wrong(key, "has no group: put what is to be taken in parentheses")
        return text

    def table(self, key: str) -> "Table":
        value = self.cells.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, "must be a table")
        return Table(value, self.file, f"{self.place}{key}.")

    def tables(self, key: str) -> Iterator["Table"]:
        """A list of tables; left out means none."""
        value = self.cells.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise self.wrong(key, f"must be a list of tables, each written [[{self.place}{key}]] or {{ … }}")
        for number, entry in enumerate(value, start=1):
            yield Table(entry, self.file, f"{self.place}{key}[{number}].")
