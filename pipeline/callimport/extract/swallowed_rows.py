"""Tell a quote that was left open from a note of several lines.

A quote that is left open takes the rows below it into one cell, up to the next quote. Two signs tell such a cell from
a note:

- There is text behind its closing quote.
- One of its lines looks like a row: it has about as many separators as a row. One of its cells also has the form of
  the record's own cell in that column (a time, a number). Or it has many separators, and few have a blank behind them
  as in a sentence.

If this is not clear, the cell counts as rows: a rejected row can be mended, rows lost inside a note cannot.
"""

import re
from collections.abc import Sequence

# How the fault begins. The reader's callers tell by it that the rule is `swallowed_rows`.
TOLD = "a quoted cell that holds whole rows"
LINE_END = re.compile(r"\r\n|\r|\n")
_DIGITS, _LETTERS = re.compile(r"\d+"), re.compile(r"[^\W\d_]+")
# Every time and every phone number has so many digits; hardly any word has.
_FEWEST_DIGITS = 4
# With so many separators or more, a line is a row whatever its cells look like.
_MANY = 4


def fault(
    cells: Sequence[str], lines: Sequence[str], names: Sequence[str], delimiter: str, first_line: int
) -> str | None:
    """What is wrong with a record of several physical `lines`, if one of its cells holds whole rows.

    `names` are the column names. `first_line` is the physical line that the record starts on.
    """
    line = first_line
    text = "".join(lines)
    for position, cell in enumerate(cells):
        last = line + len(LINE_END.findall(cell))
        # A cell that callimport wrote into a reject file is no cell of the export.
        is_ours = position < len(names) and names[position].startswith("_")
        has_lines = last > line and not is_ours
        if has_lines and (not _is_closed(cell, text) or _holds_rows(cells, position, len(names), delimiter)):
            return f"{TOLD} ({_span(line, last)}): {_advice(line)}; this row alone lacks the others"
        line = last
    return None


def may_hold_rows(cells: Sequence[str], lines: Sequence[str], separators: int, delimiter: str) -> bool:
    """Whether a record of several physical `lines` may hold rows, if no row is known yet to compare it with. A line
    with about so many `separators` counts as a row."""
    text = "".join(lines)
    for cell in cells:
        pieces = LINE_END.split(cell)
        has_rows = any(_has_separators(piece, separators, delimiter) for piece in pieces)
        if len(pieces) > 1 and (has_rows or not _is_closed(cell, text)):
            return True
    return False


def told(first: int, last: int) -> str:
    """What to say of a record on the lines `first` to `last` that may hold rows."""
    return f"{_span(first, last)} are {TOLD}: {_advice(first)}"


def _span(first: int, last: int) -> str:
    return f"lines {first} to {last}"


def _advice(line: int) -> str:
    return f'a quote (") opens on line {line}; close it or remove it in the export, then import the export again'


def _is_closed(cell: str, text: str) -> bool:
    """Whether a quoted `cell` ends at its closing quote. The reader puts text behind that quote into the cell."""
    return '"' + cell.replace('"', '""') + '"' in text


def _has_separators(piece: str, separators: int, delimiter: str) -> bool:
    """Whether a line has about so many separators or more, and few of them have a blank behind them."""
    found = piece.count(delimiter)
    return found >= _about(separators) and 4 * piece.count(delimiter + " ") <= found


def _holds_rows(cells: Sequence[str], position: int, width: int, delimiter: str) -> bool:
    before, after = cells[:position], cells[position + 1 : width]
    first, *inner, last = LINE_END.split(cells[position])
    # The first line may be the end of a row, the last line the beginning of a row.
    return (
        _looks_like(first, ["", *after], width - 1 - position, delimiter)
        or _looks_like(last, before, position, delimiter)
        or any(_looks_like(piece, cells[:width], width - 1, delimiter) for piece in inner)
    )


def _looks_like(piece: str, others: Sequence[str], separators: int, delimiter: str) -> bool:
    """Whether a line looks like that part of a row; `others` are the record's own cells in the same columns."""
    if not separators or piece.count(delimiter) < _about(separators):
        return False
    if separators >= _MANY and _has_separators(piece, separators, delimiter):
        return True
    return any(
        _is_long(cell) and _is_long(other) and _form(cell) == _form(other)
        for cell, other in zip(piece.split(delimiter), others, strict=False)
    )


def _about(separators: int) -> int:
    return separators - separators // 4


def _is_long(cell: str) -> bool:
    return sum(map(len, _DIGITS.findall(cell))) >= _FEWEST_DIGITS


def _form(cell: str) -> str:
    return _LETTERS.sub("a", _DIGITS.sub("9", cell.strip()))
