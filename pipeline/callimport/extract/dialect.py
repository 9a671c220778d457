"""What separates the cells of a text export."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence

# In this order where nothing speaks for one above the other.
DELIMITERS = (",", ";", "\t", "|")
_NAMES = {",": "commas", "\t": "tabs"}


def delimiter(lines: Sequence[str], *, is_whole: bool) -> str:
    """The most likely delimiter of a file that begins with `lines`; a comma where there is none.

    The cells of most records must be as many; the first record, the header more often than not, speaks loudest. Then
    the one wins that explains most of what stands between the cells. `is_whole` says that the file ends there too.
    """
    return max(DELIMITERS, key=lambda mark: _evidence(lines, mark, is_whole=is_whole))


def told(mark: str) -> str:
    return f"separated by {_NAMES.get(mark, mark)}"


def _evidence(lines: Sequence[str], mark: str, *, is_whole: bool) -> tuple[bool, int]:
    widths = _widths(lines, mark)
    if not is_whole and len(widths) > 1:
        widths.pop()  # may have been cut off
    counted = Counter(width for width in widths if width > 1)
    if not counted:
        return False, 0
    width, rows = max(counted.items(), key=lambda item: item[1] * (item[0] - 1))
    return widths[0] == width, rows * (width - 1)


def _widths(lines: Iterable[str], mark: str) -> list[int]:
    widths: list[int] = []
    try:
        for cells in csv.reader(lines, delimiter=mark):
            if any(map(str.strip, cells)):
                widths.append(len(cells))  # noqa: PERF401 (what was counted before an error counts)
    except csv.Error:
        pass
    return widths
