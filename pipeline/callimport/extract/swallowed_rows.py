"""Tell a quote that was left open from a note of several lines.

A quote left open takes the rows below it into one cell, up to the next quote. Two things tell such a cell from a note:

- It ends in the middle of a cell: there is text behind its closing quote.
- One of its lines looks like a row. It has about as many separators as a row. And one of its cells has the form of the
  cell that the record itself has in that column (a time, a number); or there are many separators, without the blanks
  that stand behind the commas of a sentence.

In doubt the cell holds rows: a row that is rejected can be mended, rows that are lost inside a note cannot.
"""

import re
from collections.abc import Sequence

# How the fault begins; what a row with it is rejected for is a rule of its own.
TOLD = "a quoted cell that holds whole rows"
ADVICE = "close it or remove it in the export, then import the export again; this row alone lacks the others"
LINE_END = re.compile(r"\r\n|\r|\n")
_DIGITS, _LETTERS = re.compile(r"\d+"), re.compile(r"[^\W\d_]+")
# So many digits has every time and every number, and hardly a word.
_FEWEST_DIGITS = 4
# From so many separators on, they tell a row without a look at what stands between them.
_MANY = 4


def fault(
    cells: Sequence[str], lines: Sequence[str], names: Sequence[str], delimiter: str, first_line: int
) -> str | None:
    """What is wrong with a record of several physical `lines`, if one of its cells holds whole rows.

    `names` are those of the columns, `first_line` is the physical line that the record starts on.
    """
    line = first_line
    text = "".join(lines)
    for position, cell in enumerate(cells):
        last = line + len(LINE_END.findall(cell))
        # What we wrote into a reject file ourselves is no cell of the export.
        is_ours = position < len(names) and names[position].startswith("_")
        has_lines = last > line and not is_ours
        if has_lines and (not is_closed(cell, text) or _holds_rows(cells, position, len(names), delimiter)):
            return f'{TOLD} ({span(line, last)}): a quote (") opens on line {line}; {ADVICE}'
        line = last
    return None


def span(first: int, last: int) -> str:
    return f"lines {first} to {last}"


def is_closed(cell: str, text: str) -> bool:
    """Whether the closing quote of a quoted `cell` is its end. Text behind it would stand in the cell, without it."""
    return '"' + cell.replace('"', '""') + '"' in text


def is_row_of(piece: str, separators: int, delimiter: str) -> bool:
    """Whether a line has at least about so many separators, few of them with a blank behind."""
    found = piece.count(delimiter)
    return found >= _about(separators) and 4 * piece.count(delimiter + " ") <= found


def _holds_rows(cells: Sequence[str], position: int, width: int, delimiter: str) -> bool:
    before, after = cells[:position], cells[position + 1 : width]
    first, *inner, last = LINE_END.split(cells[position])
    # The first line is the end of a row, the last one the beginning of one.
    return (
        _looks_like(first, ["", *after], width - 1 - position, delimiter)
        or _looks_like(last, before, position, delimiter)
        or any(_looks_like(piece, cells[:width], width - 1, delimiter) for piece in inner)
    )


def _looks_like(piece: str, others: Sequence[str], separators: int, delimiter: str) -> bool:
    """Whether a line reads like that part of a row; `others` are the cells of its columns in a row that is one."""
    if not separators or piece.count(delimiter) < _about(separators):
        return False
    if separators >= _MANY and is_row_of(piece, separators, delimiter):
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
