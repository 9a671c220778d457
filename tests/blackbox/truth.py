"""What the driver knows by itself about the calls of a story, and what must become of them."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """What the phone system says about a call. `started_at` is in UTC."""

    direction: str
    status: str
    started_at: datetime
    duration_seconds: int
    description: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that must be stored once. `versions` are the facts that an export has shown, the final ones last."""

    name: str
    lead_id: int
    phone: str
    user_id: int
    versions: tuple[Facts, ...]
    recording_sha256: str | None = None

    @property
    def facts(self) -> Facts:
        return self.versions[-1]


@dataclass(frozen=True, slots=True)
class Rows:
    """What the files of one night hold. `settled` rows were broken, and a mended row has replaced them.

    `duplicate` is None where a command cannot know it.
    """

    read: int
    rejected: int = 0
    joined: int = 0
    dropped: int = 0
    duplicate: int | None = 0
    skipped: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    changed: int = 0
    settled: int = 0

    @property
    def calls(self) -> int:
        return self.read - self.rejected - self.joined - self.dropped

    @property
    def known(self) -> int:
        """Calls of these files that the CRM holds because of us, once all is delivered."""
        return self.calls - (self.duplicate or 0) - sum(self.skipped.values()) - self.refused


@dataclass(frozen=True, slots=True)
class Truth:
    """What the CRM must hold at the end. `refused` are calls that the CRM must not take."""

    calls: tuple[Call, ...]
    refused: tuple[Call, ...] = ()
    phones: tuple[str, ...] = ()
    has_references: bool = True
