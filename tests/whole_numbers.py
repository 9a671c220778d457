"""Find whole phone numbers in the output of the program."""

import re
import unicodedata


def plain(text: str) -> str:
    """Return the text without invisible marks, with the digits of any script as 0 to 9."""
    visible = "".join(mark for mark in unicodedata.normalize("NFKC", text) if unicodedata.category(mark) != "Cf")
    return "".join(str(unicodedata.digit(mark, mark)) for mark in visible)


def shown(number: str, text: str) -> str | None:
    """Return how `plain` text shows the digits of the number, glued or grouped. None if it does not."""
    found = re.search(r"(?:[^\w•]|_){0,6}".join(number), text)
    return found.group() if found else None
