"""A commented recipe drafted from an unknown file: each guess with the values it rests on, each doubt as a question."""

import json
import re
from collections import Counter

from pipeline import model, privacy
from pipeline.profile.guessing import Column, Guess, guess

_SHOWN = 3
_HEADLIKE = 0.7
# A date has as many digits as a number of a customer, and need not be hidden.
_DATE = r"\d{1,4}([-/.])\d{1,2}\1\d{2,4}(?!\d)"


def draft(peek: model.Peek, name: str, region: str = "CA") -> str:
    """TOML text. It says what is guessed and on what that rests; lines with ? are for a person to decide."""
    position = _header(peek)
    width = Counter(len(cells) for _, cells in peek.records).most_common(1)[0][0]
    names = peek.records[position][1] if position is not None else tuple(f"column {n}" for n in range(1, width + 1))
    rows = [cells for _, cells in peek.records[0 if position is None else position + 1 :] if len(cells) == len(names)]
    columns = [
        Column(title.strip(), tuple(cell.strip() for row in rows if (cell := row[number]).strip()))
        for number, title in enumerate(names)
        if title.strip()
    ]
    found = guess(columns, region)
    return "\n".join(
        [
            *_top(found, name, len(rows)),
            *(_headerless(columns, found) if position is None else _headers(columns, found)),
            *_columns(found),
            *_vocabulary("direction", found.directions, "incoming, outgoing, or \"\" for what is neither"),
            *_vocabulary("status", found.statuses, "answered, unanswered, error, or \"\" to see by the duration"),
            *_without_direction(found),
            *_rest(columns, found),
        ]
    )  # fmt: skip


def _header(peek: model.Peek) -> int | None:
    """Where the header is: the first full record of words under which the columns hold something else."""
    if peek.is_typed:
        return 0
    width = Counter(len(cells) for _, cells in peek.records).most_common(1)[0][0]
    for position, (_, cells) in enumerate(peek.records[:40]):
        texts = [cell.strip() for cell in cells if cell.strip()]
        words = [text for text in texts if not re.search(r"^\W*\d|\d{4,}|@", text)]
        if len(cells) == width and len(words) > _HEADLIKE * width and len(set(texts)) == len(texts):
            return position
    return None


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _because(column: Column) -> str:
    """What the guess rests on; of numbers no more is shown than is needed to know them again."""
    seen = list(dict.fromkeys(column.cells))[:_SHOWN]
    return "  # " + ", ".join((value if re.match(_DATE, value) else privacy.hide_numbers(value))[:40] for value in seen)


def _top(found: Guess, name: str, rows: int) -> list[str]:
    return [
        f"# Drafted by callimport from {rows} rows. Look at every line; the language is in schemas/profiles/README.md.",
        *(f"# ? {privacy.scrub(question)}" for question in found.questions),
        "",
        "version = 1",
        f"name = {_quoted(name)}",
        f"title = {_quoted(name)}",
        f"system = {_quoted(name)}",
        f"identity = {str('call_id' in found.columns).lower()}  # ? is a call_id never used again in an installation?",
        'other_columns = "ignore"',
        f'time_form = "{found.time_form}"',
        f'duration_form = "{found.duration_form}"',
        'blank_caller = "anonymous"',
        "# zone = \"America/Toronto\"  # ? the zone of times without an offset; left out: --timezone must say it",
        "",
    ]  # fmt: skip


def _needs(found: Guess) -> list[str]:
    needed = ("started_at", "date", "time", "direction", "customer", "incoming", "outgoing", "duration_seconds")
    return [found.columns[name].name for name in needed if name in found.columns]


def _headers(columns: list[Column], found: Guess) -> list[str]:
    needs = list(dict.fromkeys(_needs(found)))
    may = [column.name for column in columns if column.name not in needs]
    return [
        "[[headers]]",
        'name = "as drafted"',
        f"needs = {_quoted_list(needs)}",
        f"may = {_quoted_list(may)}",
        "",
    ]


def _headerless(columns: list[Column], found: Guess) -> list[str]:
    names = [column.name for column in columns]
    start = found.columns.get("started_at") or found.columns.get("date")
    test = f'{{ column = {_quoted(start.name if start else names[0])}, is = "instant" }}'
    return [
        "# The file has no header: call its columns as you like, here and below.",
        "[[headerless]]",
        'name = "as drafted"',
        f"columns = {_quoted_list(names)}",
        f"recognised_by = [{test}]",
        "",
    ]


def _quoted_list(names: list[str]) -> str:
    return "[" + ", ".join(_quoted(name) for name in names) + "]"


def _columns(found: Guess) -> list[str]:
    lines = ["[columns]"]
    if "date" in found.columns and "time" in found.columns:
        date, time = found.columns["date"], found.columns["time"]
        lines.append(
            f"started_at = {{ text = {_quoted(f'{{{date.name}}} {{{time.name}}}')} }}{_because(date)}{_because(time)}"
        )
    elif "date" in found.columns:
        lines.append(
            f"started_at = {_quoted(found.columns['date'].name)}{_because(found.columns['date'])}, ? and the time"
        )
    if "customer" in found.columns:
        customer = found.columns["customer"]
        lines.append(f"customer_phone = {_quoted(customer.name)}{_because(customer)}")
    elif "incoming" in found.columns:
        incoming, outgoing = found.columns["incoming"], found.columns["outgoing"]
        sides = f"{{ incoming = {_quoted(incoming.name)}, outgoing = {_quoted(outgoing.name)} }}"
        lines.append(f"customer_phone = {sides}{_because(incoming)}{_because(outgoing)}")
    apart = ("date", "time", "customer", "incoming", "outgoing")
    lines += [
        f"{name} = {_quoted(one.name)}{_because(one)}" for name, one in found.columns.items() if name not in apart
    ]
    return [*lines, ""]


def _vocabulary(name: str, words: dict[str, str | None], allowed: str) -> list[str]:
    if not words:
        return []
    lines = [f"[values.{name}]  # {allowed}"]
    seen: set[str] = set()
    for word, meant in words.items():
        if word.lower() not in seen:
            seen.add(word.lower())
            known = f"{_quoted(word)} = {_quoted(meant or '')}"
            lines.append(known if meant is not None else f"# ? {_quoted(word)} = \"\"")  # fmt: skip
    return [*lines, ""]


def _without_direction(found: Guess) -> list[str]:
    if "direction" in found.columns:
        return []
    if not {"incoming", "outgoing"} <= found.columns.keys():
        return [
            "# ? No column tells the direction. If all calls are of one, say so here.",
            "[constants]",
            'direction = "incoming"',
            "",
        ]
    lines = ["# ? No column tells the direction: a call from an extension went out, one to an extension came in."]
    for way, side in (("outgoing", "incoming"), ("incoming", "outgoing")):
        column = _quoted(found.columns[side].name)
        lines += ["[[direction]]", f'is = "{way}"', f'when = {{ column = {column}, is = "extension" }}', ""]
    return lines


def _rest(columns: list[Column], found: Guess) -> list[str]:
    taken = {column.name for column in found.columns.values()}
    rest = [column for column in columns if column.name not in taken]
    return (
        ["# Not used:", *(f"#   {privacy.scrub(column.name)}{_because(column)}" for column in rest), ""] if rest else []
    )
