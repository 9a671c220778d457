"""Say why a text may be no table of separated cells. This is a guess, so it is told only if no header is found."""

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
# A line of so many words may have columns with one blank between them.
_MANY_WORDS = 5
# The fewest separators by which a line looks like a row, while the number of columns is not known.
_FEW_SEPARATORS = 2


def reason(lines: Sequence[str], delimiter: str) -> str:
    """Why the first `lines` of a file may be no table; blank if nothing is wrong."""
    filled = [line.strip() for line in lines if line.strip()]
    # The first line may be different: a header that was put above wrapped lines.
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


def open_quote(records: delimited_tolerant.Records) -> str:
    """Where a quote may be left open among the first records; blank if nowhere. The header is not known yet."""
    for position, lines in records.several.items():
        if swallowed_rows.may_hold_rows(records.rows[position], lines, _FEW_SEPARATORS, records.delimiter):
            first = records.starts[position]
            return swallowed_rows.told(first, first + len(lines) - 1)
    return ""
