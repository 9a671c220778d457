"""Calls in doubt in plain words: how many, why, and what will be done about them."""

from collections import Counter
from collections.abc import Mapping

from callimport.core import humanize, plurals

# The first that fits the evidence speaks for it.
_WORDS = (
    ("the run ended before", "under way when a run ended"),
    ("unreadable", "stored, but the answer came damaged"),
    ("without an id", "stored, but the answer came damaged"),
    ("after status 2", "stored, but the answer came damaged"),
    ("Timeout", "no answer in time"),
    ("Error", "the connection broke before the answer"),
    ("status 5", "an error of the CRM's"),
)
_OTHERWISE = "an answer that proves nothing"


def doubts_line(reasons: Mapping[str, int], seconds: float, *, sends: bool) -> str:
    """`reasons` counts the calls in doubt by the evidence; `seconds` is when the first are looked up; `sends` says
    whether the command that looks them up also sends."""
    words = Counter[str]()
    for evidence, count in reasons.items():
        words[_in_words(evidence)] += count
    why = ", ".join(f"{said} ({count:,})" for said, count in words.most_common())
    when = f"in {humanize.told(seconds)}, when the CRM has surely finished with them" if seconds >= 1 else "now"
    again = "sent again" if sends else "left to the next run"
    return (
        f"{plurals.calls(words.total())} may or may not be in the CRM (in doubt): {why}. They are looked up {when}: "
        f"what is there counts as delivered, what is proved absent is {again}, anything between is held for you"
    )


def _in_words(evidence: str) -> str:
    return next((said for part, said in _WORDS if part in evidence), _OTHERWISE)
