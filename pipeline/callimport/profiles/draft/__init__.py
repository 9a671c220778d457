"""A recipe drafted from an export that none is for. Pure: the first records and the rows of a file → text.

Every guess stands below the values it rests on, numbers masked. What could not be decided stands as a line that begins
with "# ?": the recipe is refused until a person has made it say what is right (`profile.load`).

vocabulary     what headers and cells say, in English and French
column_facts   what is seen in the columns: facts
time_columns   when a call began, how long was talked, by what it is known
party_columns  who called whom: direction, status, customer, agent
template       the recipe in the making, and how it is written down
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from callimport.core import errors, models
from callimport.profiles import profile
from callimport.profiles.draft import party_columns, time_columns, vocabulary
from callimport.profiles.draft.column_facts import Column, Looked, look
from callimport.profiles.draft.template import Entry, Page, text, written

__all__ = ["Draft", "draft", "layout"]

_PREAMBLE = 40
_ROLES = (
    vocabulary.TIME | vocabulary.DURATION | vocabulary.DIRECTION | vocabulary.STATUS | vocabulary.CUSTOMER
    | vocabulary.FROM | vocabulary.TO | vocabulary.PHONE | vocabulary.AGENT | vocabulary.EXTENSION
    | vocabulary.ID | vocabulary.CALL | vocabulary.NOTES
)  # fmt: skip
# What stands in a row and in no header: a time, a number.
_DATA = re.compile(r"\d{7}|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d:\d\d")


@dataclass(frozen=True, slots=True)
class Draft:
    """A recipe as text, and how many questions are open in it."""

    text: str
    questions: int


def layout(peek: models.Peek) -> models.Layout:
    """Where the header stands and its names: the first record that says the most of what calls have. SchemaMismatch
    where there is none."""
    best, most = -1, 0
    for position, (_, cells) in enumerate(peek.records[: 1 if peek.is_typed else _PREAMBLE]):
        said = sum(bool(set(vocabulary.tokens(cell)) & _ROLES) for cell in cells)
        if said > most and (peek.is_typed or not any(_DATA.search(cell) for cell in cells)):
            best, most = position, said
    if best < 0 or sum(bool(cell.strip()) for cell in peek.records[best][1]) == 1:
        profile.refuse_no_table(peek)
    if best < 0:
        raise errors.SchemaMismatch(
            "no line looks like a header (names such as Date, From, Duration); write one above the rows and try again"
        )
    return profile.headed(peek, best)


def draft(file: str, peek: models.Peek, frames: Iterable[pl.DataFrame]) -> Draft:
    """A recipe for the file of that name. `frames` hold its rows, read with `layout(peek)`; all of them are gone
    through once."""
    names = layout(peek).names
    looked = look(_usable(names), frames)
    page = Page()
    _guess(page, looked)
    page.needs = page.needs or _usable(names) or list(names)
    page.top = [*_named(file), *sorted(page.top, key=lambda entry: entry.key), _others(page, looked)]
    return Draft(written(page, _head(file, peek, looked, page.questions)), page.questions)


def _usable(names: Sequence[str]) -> list[str]:
    """Without columns of one name, of which nobody knows which is meant, names that are patterns to Polars, and names
    like those of our own columns."""
    twice = {name for name in names if f"{name} (2)" in names}
    twice |= {f"{name} ({count})" for name in twice for count in range(2, len(names) + 1)}
    return [name for name in names if name not in twice and not re.match(r"(?s)\*$|\^.*\$$|_", name)]


def _guess(page: Page, looked: Looked) -> None:
    """One after the other, each from the columns that are left."""
    taken: list[Column] = [*time_columns.start(page, looked)]

    def free() -> list[Column]:
        return [column for column in looked.columns if column not in taken]

    way = party_columns.direction(page, looked, free())
    taken += [way] if way else []
    sides = party_columns.customer(page, looked, free(), way)
    taken += sides or ()
    state = party_columns.status(page, looked, free(), way)
    talk = time_columns.duration(page, looked, free())
    taken += [column for column in (state, talk) if column]
    its_id = time_columns.identity(page, looked, free())
    taken += [its_id] if its_id else []
    party_columns.agent(page, looked, free(), sides)
    time_columns.others(page, looked, free())
    time_columns.totals(page, looked, [column for column in taken[:2] if column.time])


def _named(file: str) -> list[Entry]:
    # A name may hold a number, as exports of one line do.
    stem = re.sub(r"\d{7,}", "", file.split(".")[0])
    name = "-".join(vocabulary.tokens(stem)) or "mine"
    return [
        Entry("version", "1"),
        Entry("name", text(name)),
        Entry("title", text(f"Drafted from {name}")),
        Entry("system", text(name), ("The installation that the calls are of: --system, where it is left out.",)),
    ]


def _others(page: Page, looked: Looked) -> Entry:
    used = {*page.needs, *page.may}
    left = [f"{column.name} ({column.told})" for column in looked.columns if column.name not in used]
    return Entry("other_columns", text("ignore"), (f"Not used: {'; '.join(left) or 'none'}.",))


def _head(file: str, peek: models.Peek, looked: Looked, questions: int) -> list[str]:
    lines = [
        f"Drafted by callimport profiles new from {file} ({looked.rows:,} rows, {peek.told}).",
        "Guesses: each stands below the values it rests on. Look at all of them.",
    ]
    if questions:
        lines.append(
            "A line that begins with a question mark behind the # is open: make it say what is right and take both "
            "away. Until then the recipe is refused."
        )
    lines.append("Then see what becomes of the first rows: callimport profiles test FILE --profile THIS_FILE")
    lines.append("The language of recipes is explained in schemas/callimport_schemas/profiles/README.md of callimport.")
    return lines
