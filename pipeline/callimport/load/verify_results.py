"""What `callimport verify` finds of one call: whether the CRM has it as the ledger says."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How ledger and CRM stand to one another."""

    MATCH = "match"
    DIFFERS = "differs"
    MISSING = "missing"
    EXTRA = "extra"
    UNREAD = "unread"


# As `rclone check --combined` writes them.
SIGNS = {Kind.MATCH: "=", Kind.DIFFERS: "*", Kind.MISSING: "-", Kind.EXTRA: "+", Kind.UNREAD: "!"}


@dataclass(frozen=True, slots=True)
class Proof:
    """One communication. `reference` is the call's, of an extra one that of the call it copies; `fields`
    are those that differ; `told` says in words, fit to be shown, what was found."""

    kind: Kind
    reference: str
    communication_id: int
    lead_id: int
    fields: tuple[str, ...] = ()
    told: str = ""

    @property
    def line(self) -> str:
        """`* 7K3Q-2M9D-XA 42534452 5003 call_duration 95, now 5`: sign, key, communication, lead, what was found."""
        words = (SIGNS[self.kind], self.reference, str(self.communication_id), str(self.lead_id), self.told)
        return " ".join(word for word in words if word)
