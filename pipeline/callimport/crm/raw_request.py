"""One request of a person's own making, and whatever it comes to: for `callimport probe`."""

from dataclasses import dataclass
from typing import Any

from callimport.core import errors

# Elsewhere these mean that the address is wrong; here that there is no such thing, which is an answer.
_TELLING = (404, 405)


@dataclass(frozen=True, slots=True)
class Reply:
    """`status` is None where no answer came; `body` is there where the CRM said yes; `told` is what it said
    otherwise, in one line, fit to be shown, empty where the status says all."""

    status: int | None
    body: Any = None
    told: str = ""

    @property
    def data(self) -> dict[str, Any]:
        """The one object that the body holds, empty where it holds none."""
        found = self.body.get("data", self.body) if isinstance(self.body, dict) else {}
        return found if isinstance(found, dict) else {}


def told(error: errors.Outcome | errors.DestinationUnusable, status: int | None) -> str:
    """What came instead of a yes."""
    if status in _TELLING:
        return ""
    if isinstance(error, errors.Refused) and error.reasons:
        return "; ".join(error.reasons)
    return error.evidence if isinstance(error, errors.Outcome) else str(error)
