"""When a call began, how long was talked, and by what it is known, guessed from what is seen."""

import zoneinfo
from collections.abc import Sequence

import polars as pl

from callimport.profiles import durations
from callimport.profiles.draft import vocabulary
from callimport.profiles.draft.column_facts import TOTALS, Column, Looked, Time
from callimport.profiles.draft.template import Entry, Page, column_test, text

_OTHER = vocabulary.ANSWERING | vocabulary.ENDING | vocabulary.OTHER_TIMES | vocabulary.ELSEWHERE
_BRACES = frozenset("{}")


def start(page: Page, looked: Looked) -> tuple[Column, ...]:
    """When the call began: the columns that tell it, none where that is a question."""
    instants = [column for column in looked.columns if column.time and column.time.what == "instant"]
    found = max(instants, key=_beginning, default=None)
    if found is not None and _beginning(found) > 0:
        _started(page, found, text(found.name), f"{found.name}: {found.told}", looked)
        return (found,)
    if pair := _pair(looked.columns):
        date, clock = pair
        because = f"{date.name}: {date.told}. {clock.name}: {clock.told}."
        _started(page, date, f"{{ text = {text(f'{{{date.name}}} {{{clock.name}}}')} }}", because, looked)
        page.needs.append(clock.name)
        return pair
    named = [column.name for column in instants] or [
        column.name for column in looked.columns if column.has(vocabulary.TIME)
    ]
    told = " ".join(f"{column.name}: {column.told}." for column in looked.columns if column.name in named)
    because = f"No column surely says when the call began. Which one does, and in which time_form? {told}".strip()
    proposed = (named or [column.name for column in looked.columns] or ["?"])[0]
    page.columns.append(Entry("started_at", text(proposed), (because,), is_asked=True))
    return ()


def _beginning(column: Column) -> float:
    if column.has(_OTHER) and not column.has(vocabulary.BEGINNING):
        return -1.0
    is_utc = bool(column.tokens & {"utc", "gmt"}) or (column.time is not None and column.time.has_offset)
    # Whoever knows how far from UTC a time is need not be told the zone.
    return 1.0 + 2 * column.has(vocabulary.BEGINNING) + column.has(vocabulary.TIME) + 4 * is_utc


def _pair(columns: Sequence[Column]) -> tuple[Column, Column] | None:
    """A date and a time of day; where there are several, the first that are not the end of the call."""
    plain = [column for column in columns if not column.has(_OTHER) and not _BRACES & set(column.name)]
    dates = [column for column in plain if column.time and column.time.what == "date"]
    clocks = [
        column
        for column in plain
        if column.time and column.time.what == "clock" and not column.has(vocabulary.DURATION | vocabulary.NO_TALK)
    ]
    clocks.sort(key=lambda column: not column.has(vocabulary.TIME | vocabulary.BEGINNING))
    return (dates[0], clocks[0]) if dates and clocks else None


def _started(page: Page, column: Column, value: str, because: str, looked: Looked) -> None:
    page.columns.append(Entry("started_at", value, (because,)))
    page.needs.append(column.name)
    time = column.time or Time("instant", "date")
    if time.form == "open":
        told = f"{column.name}: {column.told}. No date of the file tells which comes first ({column.order.told()})."
        asked = 'Day and month ("dmy"), or month and day ("mdy")?'
        if "ymd" in column.order.fitting:
            asked = 'Day first ("dmy"), month first ("mdy"), or year first ("ymd")?'
        page.top.append(Entry("time_form", text("dmy"), (told, asked), is_asked=True))
    else:
        numeric = f" ({column.order.told()} in all rows)" if time.form in ("dmy", "mdy") else ""
        page.top.append(Entry("time_form", text(time.form), (f"{column.name}: {column.told}{numeric}",)))
    _zone(page, column, time.has_offset, looked)


def _zone(page: Page, column: Column, has_offset: bool, looked: Looked) -> None:
    if has_offset:
        return
    known = zoneinfo.available_timezones()
    for other in looked.columns:
        cells = looked.sample[other.name].drop_nulls().unique().to_list() if other.words else []
        if cells and all(cell in known for cell in cells):
            page.top.append(Entry("zone", f"{{ column = {text(other.name)} }}", (f"{other.name}: {other.told}",)))
            return
    if column.tokens & {"utc", "gmt"}:
        page.top.append(Entry("zone", '{ fixed = "UTC" }', (f"{column.name} says so.",)))
    else:
        page.notes.append('No time tells its zone: state it with --timezone, or here: zone = "America/Toronto"')


# ── the duration ─────────────────────────────────────────────────────────────────────────────────────────────────────


def duration(page: Page, looked: Looked, free: Sequence[Column]) -> Column | None:
    fitting = [
        column
        for column in free
        if column.has(vocabulary.DURATION) and (column.duration or column.digits) and not _only_waiting(column)
    ]
    if fitting:
        chosen = max(
            fitting, key=lambda column: (column.has(vocabulary.TALK), not column.has(vocabulary.NO_TALK), column.filled)
        )
        page.columns.append(Entry("duration_seconds", text(chosen.name), (f"{chosen.name}: {chosen.told}",)))
        page.needs.append(chosen.name)
        _form(page, chosen, looked.sample[chosen.name])
        return chosen
    if span := _span(free):
        since, until = span
        because = f"No column of durations. {since.name}: {since.told}. {until.name}: {until.told}."
        value = f"{{ since = {text(since.name)}, until = {text(until.name)} }}"
        page.columns.append(Entry("duration_seconds", value, (because,)))
        page.may += [since.name, until.name]
        return None
    because = "No column tells how long was talked. If it is not known: 0, and status below says who answered."
    page.constants.append(Entry("duration_seconds", text("0"), (because,), is_asked=True))
    if not any(entry.key == "status" for entry in page.columns) and not page.rules:
        because = "Without a duration nothing tells who answered: answered, or unanswered?"
        page.constants.append(Entry("status", text("answered"), (because,), is_asked=True))
    return None


def _only_waiting(column: Column) -> bool:
    return column.has(vocabulary.NO_TALK - {"total", "totale"}) and not column.has(vocabulary.TALK)


def _span(free: Sequence[Column]) -> tuple[Column, Column] | None:
    instants = [column for column in free if column.time and column.time.what == "instant"]
    since = next((column for column in instants if column.has(vocabulary.ANSWERING)), None)
    until = next((column for column in instants if column.has(vocabulary.ENDING)), None)
    return (since, until) if since and until else None


def _form(page: Page, column: Column, cells: pl.Series) -> None:
    because, form, is_asked = f"{column.name}: {column.told}", "", False
    unit = durations.unit(column.name)
    if column.duration is not None:
        form = column.duration.value
        if form == durations.Form.HMS and all(example.count(":") == 1 for example in column.examples):
            because += "; minutes and seconds"
    elif durations.may_be_hhmmss(cells):
        form, is_asked = "hhmmss", True
        because += '. Hours, minutes and seconds ("hhmmss"), or in which unit: "seconds" or "ms"?'
    elif unit is not None:
        form = "decimal_seconds" if unit is durations.Form.SECONDS and column.digits == "decimal" else unit.value
    elif column.tokens & {"billsec", "seconds", "secondes"}:
        form = "seconds"
    else:
        # 90 may be seconds as well as minutes, and neither is ever guessed.
        form, is_asked = "minutes" if column.digits == "decimal" else "seconds", True
        because += '. In which unit: "seconds", "decimal_seconds", "minutes" or "ms"? Or "hhmmss" (145 is 1 min 45 s)?'
    page.top.append(Entry("duration_form", text(form), (because,), is_asked=is_asked))


# ── the id, and what else there is ───────────────────────────────────────────────────────────────────────────────────


def identity(page: Page, looked: Looked, free: Sequence[Column]) -> Column | None:
    """The id of the call. One that is met twice may be that of several rows of one call: a question."""
    ids = [c for c in free if c.has(vocabulary.ID) and not c.has(vocabulary.OTHER_ID) and c.filled and c.time is None]
    chosen = max(ids, key=lambda column: (column.has(vocabulary.CALL), column.is_unique, column.filled), default=None)
    if chosen is None:
        page.top.append(Entry("identity", "false", ("No column holds an id of the call.",)))
        return None
    page.columns.append(Entry("call_id", text(chosen.name), (f"{chosen.name}: {chosen.told}",)))
    page.may.append(chosen.name)
    parent = next((c for c in free if c.has(vocabulary.ID) and "parent" in c.tokens and c.filled), None)
    leg = next((c for c in free if c.has(vocabulary.LEG) and c.filled and not c.words), None)
    is_counter = chosen.is_unique and _counts_rows(looked, chosen)
    told = "a different one in each row" if chosen.is_unique else "the same one in several rows"
    if is_counter:
        told += ", but numbered from 1: such ids come round again"
    page.top.append(Entry("identity", "false" if is_counter else "true", (f"{chosen.name}: {chosen.told}; {told}.",)))
    if not chosen.is_unique or parent is not None:
        join = f"[{text(parent.name)}, {text(chosen.name)}]" if parent else text(chosen.name)
        its_leg = f", leg = {text(leg.name)}" if leg else ""
        because = f"Are rows with the same {parent.name if parent else chosen.name} one call? If not, remove the line."
        page.top.append(Entry("legs", f"{{ join = {join}{its_leg} }}", (because,), is_asked=True))
    return chosen


def _counts_rows(looked: Looked, column: Column) -> bool:
    if column.digits != "whole":
        return False
    cells = set(looked.sample[column.name].drop_nulls())
    return {str(number) for number in range(1, len(cells) + 1)} == cells


def others(page: Page, looked: Looked, free: Sequence[Column]) -> None:
    """Notes, and recordings that lie in files."""
    for key, role in (("description", vocabulary.NOTES), ("recording", vocabulary.RECORDING)):
        column = next((c for c in free if c.has(role) and c.filled and not c.digits and not c.time), None)
        if column is None or (key == "recording" and not _are_files(looked, column)):
            continue
        page.columns.append(Entry(key, text(column.name), (f"{column.name}: {column.told}",)))
        page.may.append(column.name)


def _are_files(looked: Looked, column: Column) -> bool:
    cells = looked.sample[column.name].drop_nulls()
    return bool(cells.str.contains(r"(?i)^[^:\\]+\.(?:wav|mp3|ogg|m4a|gsm|flac|webm)$").all())


def totals(page: Page, looked: Looked, started: Sequence[Column]) -> None:
    """A sum at the end is no call: a row without a time, in which a cell says so."""
    for column in looked.columns:
        sums = looked.sample[column.name].str.contains(TOTALS).fill_null(False)
        # Total may begin the name of a customer, whose row has a time.
        is_sum = [
            all(not row[c.name] or c is column for c in started)
            for row in looked.sample.filter(sums).iter_rows(named=True)
        ]
        if is_sum and all(is_sum) and (column.time is not None or looked.columns[0] is column):
            page.may.append(column.name)
            page.rule("drop", "totals", column_test(column.name, f"matches = '{TOTALS}'"), "A sum, not a call.")
            return
