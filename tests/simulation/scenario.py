"""What a seed draws before anything happens."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from callimport.core import models
from tests.simulation import dialect, lives

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
COLUMNS = (
    "call_id", "lead_id", "direction", "status", "started_at", "duration_seconds", "customer_phone", "agent_id",
    "agent_name", "description", "recording",
)  # fmt: skip
CREATE_FAULTS = (
    "dropped before",
    "committed, then dropped",
    "committed late",
    "504, then committed late",
    "500 before",
    "500 after",
    "502 before",
    "truncated 2xx",
    "empty 2xx",
    "2xx without id",
    "silent",
    "slow",
)
READ_FAULTS = ("dropped", "500", "truncated", "empty", "silent", "slow", "incomplete", "without communications")
RATES = (models.Rate(190, 60.0), models.Rate(60, 60.0), models.Rate(3, 1.0), models.Rate(5, 10.0))
SLOPPY_SHARE = 0.25
# So many seeds in a row share their rows, and nothing else: judging a file costs as much as half a seed.
SEEDS_A_FILE = 8


@dataclass(frozen=True, slots=True)
class Scenario:
    """`reference` is what the first life is asked for; a person may do without later. `forgets_reference` is the share
    of the descriptions of which the CRM keeps only what stands before the reference. With `recorded` every row names a
    recording, and every run is asked to upload them. `existing` is what every run is asked about
    the calls of others; with "skip", the staff type calls in much as they were, not just as they were."""

    seed: int
    rows: tuple[tuple[str, ...], ...]
    reference: bool
    concurrency: int
    rate: models.Rate
    settle: float
    fault_rate: float
    create_faults: tuple[str, ...]
    read_faults: tuple[str, ...]
    refused_connections: float
    read_lag: float
    skew: timedelta
    foreign_share: float
    refused_lead: int | None
    look_alikes_before: int
    look_alikes_meanwhile: float
    forgets_reference: float
    dialect: dialect.Dialect
    lives: tuple[lives.Life, ...]
    recorded: bool = False
    existing: str = "send"

    def typed_in(self, rng: random.Random, lead_id: int | None = None) -> dict[str, Any]:
        """A call of the file, of that lead if it is to be, as a person types it into the CRM."""
        row = rng.choice([row for row in self.rows if lead_id is None or row[1] == str(lead_id)])
        if self.existing == "skip":
            roughly = datetime.fromisoformat(row[4]) + timedelta(seconds=rng.randint(-90, 90))
            row = (*row[:4], roughly.isoformat(), "45", *row[6:])
        return {
            "lead_id": int(row[1]),
            "method": "phone",
            "type": row[2],
            "executed_at": row[4],
            "executed_by": 106,
            "description": row[9] or None,
            "call_status": "answered",
            "call_duration": int(row[5]),
            "call_phone": row[6],
        }

    def csv(self) -> str:
        return "\n".join(",".join(row) for row in (COLUMNS, *self.rows)) + "\n"


def recording(name: str) -> bytes:
    """The content of a file, which is no other's."""
    return f"RIFF----WAVE{name}".encode()


def draw(seed: int) -> Scenario:
    """What a seed draws where no profile says otherwise."""
    rng = random.Random(f"scenario {seed}")
    rows = tuple(_rows(random.Random(f"rows {seed // SEEDS_A_FILE}")))
    leads = sorted({int(row[1]) for row in rows})
    with_reference = rng.random() < 0.75
    kinds = rng.sample(CREATE_FAULTS, rng.randint(1, len(CREATE_FAULTS)))
    return Scenario(
        seed=seed,
        rows=rows,
        reference=with_reference,
        concurrency=rng.choice((1, 2, 4, 8)),
        rate=rng.choice(RATES),
        settle=rng.choice((90.0, 180.0)),
        fault_rate=rng.choice((0.0, 0.05, 0.15, 0.3, 0.5)),
        create_faults=tuple(sorted(kinds)),
        read_faults=tuple(sorted(rng.sample(READ_FAULTS, rng.randint(1, len(READ_FAULTS))))),
        refused_connections=rng.choice((0.0, 0.0, 0.1, 0.3)),
        read_lag=rng.choice((0.0, 0.0, 1.0, 4.0)),
        skew=timedelta(seconds=rng.choice((0, 0, -120, 120))),
        foreign_share=rng.choice((0.0, 0.0, 0.5, 0.9)),
        refused_lead=rng.choice((None, None, None, leads[-1])) if len(leads) > 1 else None,
        look_alikes_before=rng.choice((0, 0, 1, 3)),
        # Without references nobody may type the same call in by hand meanwhile: the documented assumption.
        look_alikes_meanwhile=rng.choice((0.0, 0.0, 0.2)) if with_reference else 0.0,
        forgets_reference=0.0,
        dialect=dialect.sloppy(rng) if rng.random() < SLOPPY_SHARE else dialect.TIDY,
        lives=lives.draw(rng),
    )


def _rows(rng: random.Random) -> list[tuple[str, ...]]:
    """Few leads, the same minutes, the same phones: payloads collide as a matter of course."""
    rows: list[tuple[str, ...]] = []
    leads = [5001 + index for index in range(rng.randint(1, 6))]
    minutes = rng.randint(1, 3)
    for number in range(rng.randint(5, 40)):
        if rows and rng.random() < 0.07:
            rows.append(rng.choice(rows))
            continue
        lead = rng.choice(leads)
        started = START - timedelta(days=2, minutes=rng.randrange(minutes))
        call_id = "" if rng.random() < 0.1 else f"S-{number}"
        status = "nonsense" if rng.random() < 0.04 else "answered"
        duration = rng.choice(("60", "60", "61"))
        phone = f"+1514555{lead - 4900:04d}"
        about = rng.choice(("", "Rappel"))
        direction = rng.choice(("incoming", "incoming", "outgoing"))
        rows.append(
            (call_id, str(lead), direction, status, started.isoformat(), duration, phone, "106", "Jean", about, "")
        )
    return rows
