"""Everything that happened, in order."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import trio


@dataclass(slots=True)
class History:
    """Two histories are the same if their hashes are."""

    lines: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)

    def note(self, *what: object) -> None:
        self.lines.append(f"{trio.current_time():.6f} {' '.join(map(str, what))}")

    def fault(self, kind: str, *what: object) -> None:
        self.faults[kind] += 1
        self.note("fault", kind, *what)

    @property
    def hash(self) -> str:
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:16]
