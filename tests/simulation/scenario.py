"""What a seed draws before anything happens."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from pipeline import model

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
RATES = (model.Rate(190, 60.0), model.Rate(60, 60.0), model.Rate(3, 1.0), model.Rate(5, 10.0))


@dataclass(frozen=True, slots=True)
class Crash:
    """Where a life ends: before or after the nth ledger statement, at the nth turn on the wire, or after so long."""

    kind: Literal["kill -9", "power loss"]
    at: Literal["statement", "wire", "time"]
    count: int
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    seed: int
    rows: tuple[tuple[str, ...], ...]
    reference: bool
    concurrency: int
    rate: model.Rate
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
    crashes: tuple[Crash | None, ...]

    def csv(self) -> str:
        return "\n".join(",".join(row) for row in (COLUMNS, *self.rows)) + "\n"


def draw(seed: int, *, reference: bool | None = None) -> Scenario:
    rng = random.Random(f"scenario {seed}")
    with_reference = rng.random() < 0.75 if reference is None else reference
    leads = [5001 + index for index in range(rng.randint(1, 6))]
    kinds = rng.sample(CREATE_FAULTS, rng.randint(1, len(CREATE_FAULTS)))
    return Scenario(
        seed=seed,
        rows=tuple(_rows(rng, leads)),
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
        crashes=tuple(_crash(rng) for _ in range(rng.choice((0, 1, 2, 3, 5)))),
    )


def _crash(rng: random.Random) -> Crash | None:
    if rng.random() < 0.15:
        return None
    kind: Literal["kill -9", "power loss"] = "power loss" if rng.random() < 0.4 else "kill -9"
    at = rng.choice(("statement", "statement", "wire", "wire", "time"))
    if at == "statement":
        return Crash(kind, "statement", rng.choice((rng.randint(1, 80), rng.randint(40, 400))))
    if at == "wire":
        return Crash(kind, "wire", rng.choice((rng.randint(1, 12), rng.randint(4, 120))))
    return Crash(kind, "time", 0, rng.choice((rng.uniform(0, 5), rng.uniform(0, 300))))


def _rows(rng: random.Random, leads: list[int]) -> list[tuple[str, ...]]:
    """Few leads, the same minutes, the same phones: payloads collide as a matter of course."""
    rows: list[tuple[str, ...]] = []
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
