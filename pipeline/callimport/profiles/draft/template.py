"""A recipe in the making: guesses with what they rest on, and questions; and how it is written down."""

import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from callimport.core import privacy
from callimport.profiles.loading import QUESTION

_WIDTH = 118


@dataclass(frozen=True, slots=True)
class Entry:
    """`key = value` of TOML below the lines of `because`; `is_asked`: a question, of which it is a proposal."""

    key: str
    value: str
    because: tuple[str, ...] = ()
    is_asked: bool = False
    beside: str = ""


@dataclass(slots=True)
class Page:
    """The parts of a recipe. `rules` are blocks of lines; `needs` are the columns by which the file is known."""

    notes: list[str] = field(default_factory=list)
    top: list[Entry] = field(default_factory=list)
    columns: list[Entry] = field(default_factory=list)
    constants: list[Entry] = field(default_factory=list)
    words: dict[str, list[Entry]] = field(default_factory=dict)
    rules: list[tuple[str, ...]] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)
    may: list[str] = field(default_factory=list)

    def rule(self, kind: str, what: str, when: str, because: str) -> None:
        self.rules.append((*_comment((because,)), f"[[{kind}]]", f"is = {text(what)}", f"when = {when}"))

    @property
    def questions(self) -> int:
        entries = (
            *self.top,
            *self.columns,
            *self.constants,
            *(entry for found in self.words.values() for entry in found),
        )
        return sum(entry.is_asked for entry in entries)


def text(value: str) -> str:
    """A text as TOML writes it."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def column_test(column: str, test: str) -> str:
    return f"{{ column = {text(column)}, {test} }}"


def written(page: Page, head: Sequence[str]) -> str:
    """The recipe as TOML, below the comment `head`."""
    lines = [*_comment(head), "", *_entries(page.top), *_comment(page.notes), ""]
    # Before the tables: what else would stand in the last of them.
    lines += ["[[headers]]", 'name = "drafted"', f"needs = {_names(page.needs)}"]
    may = [name for name in page.may if name not in page.needs]
    lines += [f"may = {_names(may)}"] if may else []
    for title, entries in (("columns", page.columns), ("constants", page.constants)):
        if entries:
            lines += ["", f"[{title}]", *_entries(entries)]
    for name, entries in page.words.items():
        lines += ["", f"[values.{name}]", *_entries(entries)]
    for rule in page.rules:
        lines += ["", *rule]
    return "\n".join(lines) + "\n"


def _names(names: Iterable[str]) -> str:
    return f"[{', '.join(text(name) for name in dict.fromkeys(names))}]"


def _entries(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        yield from _comment(entry.because)
        asked = f"{QUESTION} " if entry.is_asked else ""
        beside = f"   # {_safe(entry.beside)}" if entry.beside else ""
        yield f"{asked}{entry.key} = {entry.value}{beside}"


def _comment(lines: Iterable[str]) -> list[str]:
    return [f"# {_safe(part)}" for line in lines for part in textwrap.wrap(_safe(line), _WIDTH) or [""]]


def _safe(line: str) -> str:
    """On one line, and no question though the file begins with a question mark there."""
    shown = privacy.mask(line)
    return f"… {shown}" if shown.startswith("?") else shown
