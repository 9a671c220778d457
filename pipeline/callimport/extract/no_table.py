"""Say why a text may be no table of separated cells. A guess: it is told only where no header is found in the file."""

import csv
import re
from collections.abc import Sequence

from callimport.extract import delimited_tolerant, swallowed_rows
from callimport.extract.dialect import DELIMITERS

_WRAPPED = (
    "every line is wrapped in quotes, so each is one cell; remove the quotes at both ends of each line (and write "
    'inner quotes once, not twice), or export it again as "CSV UTF-8"'
)
_BY_BLANKS = (
    "its columns are set apart by blanks (fixed width), not by a separator; export it as CSV, or open it in a "
    'spreadsheet as text of fixed width and save it as "CSV UTF-8"'
)
# What stands between two columns of fixed width.
_GAP = re.compile(r"\s{2,}|\t")
# So many words without a gap of two blanks may be columns, too.
_MANY_WORDS = 5


def doubt(lines: Sequence[str], delimiter: str) -> str:
    """Why the first `lines` of a file are no table, blank where nothing speaks for that."""
    filled = [line.strip() for line in lines if line.strip()]
    # One line may be otherwise: a header that was put above the others.
    if filled and all(_is_wrapped(line, delimiter) for line in filled[1:] or filled):
        return _WRAPPED
    apart = [line for line in filled if len(_GAP.split(line)) > 1 or len(line.split()) >= _MANY_WORDS]
    separated = [line for line in filled if delimiter in line]
    return _BY_BLANKS if len(apart) > max(len(separated), len(filled) / 2) else ""


def _is_wrapped(line: str, delimiter: str) -> bool:
    """Whether a line is one quoted cell, with separators or without, its inner quotes doubled or not."""
    line = line.rstrip("".join(DELIMITERS))
    if len(line) < len('""') or not (line.startswith('"') and line.endswith('"')):
        return False
    try:
        return len(next(csv.reader([line], delimiter=delimiter, strict=True))) == 1
    except csv.Error:
        return True


def swallowed(records: delimited_tolerant.Records) -> str:
    """Where a quote may be left open among the first records, of which nobody knows yet which one is the header."""
    for position, lines in records.several.items():
        text = "".join(lines)
        for cell in records.rows[position]:
            pieces = swallowed_rows.LINE_END.split(cell)
            has_rows = any(swallowed_rows.is_row_of(piece, 2, records.delimiter) for piece in pieces)
            if len(pieces) > 1 and (has_rows or not swallowed_rows.is_closed(cell, text)):
                first = records.starts[position]
                return of_one_cell(first, first + len(lines) - 1)
    return ""


def of_one_cell(first: int, last: int) -> str:
    return (
        f'{swallowed_rows.span(first, last)} are {swallowed_rows.TOLD}: a quote (") opens on line {first}; '
        f"{swallowed_rows.ADVICE}"
    )
