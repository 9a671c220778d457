"""Makes every file of this folder, always the same: `python sample_data/generate.py [FOLDER]`.

All people, firms and numbers are invented. The numbers are of the 555-01xx block, which is kept for fiction.
"""

import csv
import json
import math
import random
import struct
import sys
import wave
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

SEED = 20231107
TORONTO = ZoneInfo("America/Toronto")
FIRST_DAY = date(2023, 1, 9)
LAST_DAY = date(2025, 12, 19)
OPENS, CLOSES = time(8, 30), time(19, 30)

COLUMNS = (
    "call_id",
    "lead_id",
    "direction",
    "status",
    "started_at",
    "duration_seconds",
    "customer_phone",
    "agent_id",
    "agent_name",
    "description",
    "recording",
)

ACCOUNT = (301, "Garage Tremblay & Fils")
AGENTS = (
    (101, "Élise", "Bouchard"),
    (102, "Marc-André", "Lévesque"),
    (103, "Sophie", "Gagné"),
    (104, "James", "O'Connor"),
    (105, "Priya", "Sharma"),
    (106, "Jean-François", "Côté"),
)
FIRST_NAMES = (
    "Amélie", "Benoît", "Chloé", "David", "Emily", "François", "Geneviève", "Hélène", "Isaac", "Joëlle",
    "Kevin", "Léa", "Mathieu", "Noémie", "Olivier", "Patrick", "Rébecca", "Simon", "Thérèse", "William",
)  # fmt: skip
LAST_NAMES = (
    "Bélanger", "Campbell", "Desrochers", "Émond", "Fortin", "Grant", "Hébert", "Johnson", "Lacroix", "MacDonald",
    "Nguyen", "Ouellet", "Pelletier", "Roy", "Singh", "Thériault", "Vaillancourt", "Wilson", "St-Onge", "D'Amours",
)  # fmt: skip
AREA_CODES = ("514", "438", "450", "418", "819", "613", "416", "905")
LEAD_COUNT = 60
# Brothers of one household, each with a lead of his own: the number alone cannot say which one is meant.
SHARED_PHONE_LEADS = (5059, 5060)
SECOND_PHONE_LEADS = (5004, 5017, 5031, 5048)

ANSWERED_TEXTS = (
    "Rendez-vous pris pour un essai routier samedi à 10 h",
    "Veut une évaluation de son véhicule d'échange, rappeler après l'inspection",
    "Question sur le financement : taux, durée, mise de fonds",
    "Vidange et pneus d'hiver, auto prête à 16 h",
    "A reçu l'offre par courriel, en parle à sa conjointe",
    "Booked a test drive for Saturday morning",
    "Asked about the extended warranty, wants it in writing",
    'Said "call me back when the blue one arrives"',
    "Trade-in value discussed; brings the car in on Tuesday",
    "Recall notice: parts ordered, we call when they are in",
    "",
)
UNANSWERED_TEXTS = ("Message vocal laissé", "Left a voicemail", "Occupé, réessayer en fin de journée", "", "", "")
ERROR_TEXTS = ("Numéro hors service", "Call failed: no circuit available")


@dataclass(frozen=True, slots=True)
class Lead:
    id: int
    first_name: str
    last_name: str
    phones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SampleCall:
    call_id: str
    lead_id: int
    direction: str
    status: str | None
    started_at: datetime
    duration_seconds: int
    customer_phone: str
    agent_id: int
    agent_name: str
    description: str | None = None
    recording: str | None = None

    def cells(self) -> dict[str, str]:
        """As a CSV holds it: text, blank for what is not there, the time as the clock on the wall showed it."""
        values = {name: getattr(self, name) for name in COLUMNS}
        values["started_at"] = self.started_at.astimezone(TORONTO).isoformat()
        return {name: "" if value is None else str(value) for name, value in values.items()}


def leads() -> list[Lead]:
    numbers = [f"+1{area}55501{last:02d}" for area in AREA_CODES for last in range(1, 100)]
    chosen = random.Random(SEED).sample(numbers, LEAD_COUNT + len(SECOND_PHONE_LEADS))
    made: list[Lead] = []
    for index in range(LEAD_COUNT):
        lead_id = 5001 + index
        phones = [chosen[index]]
        if lead_id in SECOND_PHONE_LEADS:
            phones.append(chosen[LEAD_COUNT + SECOND_PHONE_LEADS.index(lead_id)])
        if lead_id == SHARED_PHONE_LEADS[1]:
            phones = list(made[-1].phones)
        # Steps of 7 and 3 through lists of 20: no two leads share both names.
        first, last = FIRST_NAMES[index * 7 % 20], LAST_NAMES[(index * 3 + index // 20) % 20]
        if lead_id == SHARED_PHONE_LEADS[1]:
            last = made[-1].last_name
        made.append(Lead(lead_id, first, last, tuple(phones)))
    return made


def calls() -> list[SampleCall]:
    """Three years of a small garage, one call a day at most: no two of them can be taken for one another."""
    dice = random.Random(SEED + 1)
    days = [FIRST_DAY + timedelta(n) for n in range((LAST_DAY - FIRST_DAY).days + 1)]
    opening_days = [day for day in days if day.weekday() < 6]
    known_leads = leads()
    made = []
    for number, day in enumerate(sorted(dice.sample(opening_days, 252)), start=1):
        # Squared, so that some customers call often and most do not.
        lead = known_leads[int(len(known_leads) * dice.random() ** 2)]
        agent_id, first_name, last_name = dice.choice(AGENTS)
        direction = dice.choice(("outgoing", "outgoing", "incoming"))
        status, duration, description = _course(dice, direction)
        made.append(
            SampleCall(
                call_id=f"GT-{number:05d}",
                lead_id=lead.id,
                direction=direction,
                status=status,
                started_at=_moment(dice, day),
                duration_seconds=duration,
                customer_phone=dice.choice(lead.phones),
                agent_id=agent_id,
                agent_name=f"{first_name} {last_name}",
                description=description or None,
                recording=None,
            )
        )
    return _with_recordings(made, ("first-call.wav", "second-call.wav"))


def _moment(dice: random.Random, day: date) -> datetime:
    opens, closes = (datetime.combine(day, hour, TORONTO) for hour in (OPENS, CLOSES))
    return opens + timedelta(seconds=dice.randrange(int((closes - opens).total_seconds())))


def _course(dice: random.Random, direction: str) -> tuple[str | None, int, str]:
    """Status, talk time in seconds and description. None as status leaves it to be told from the talk time."""
    fate = dice.random()
    if fate < 0.62:
        return (
            dice.choice(("answered", "answered", "answered", None)),
            dice.randrange(20, 1500),
            dice.choice(ANSWERED_TEXTS),
        )
    if fate < 0.95:
        missed = "attempted" if direction == "outgoing" else "interrupted"
        return dice.choice((missed, missed, "unanswered", None)), 0, dice.choice(UNANSWERED_TEXTS)
    return "error", 0, dice.choice(ERROR_TEXTS)


def _with_recordings(made: list[SampleCall], names: Iterable[str]) -> list[SampleCall]:
    talked = [index for index, call in enumerate(made) if call.duration_seconds > 0]
    for index, name in zip(talked, names, strict=False):
        cells = {column: getattr(made[index], column) for column in COLUMNS} | {"recording": name}
        made[index] = SampleCall(**cells)
    return made


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """One rule, and the cells that break it and no other. `extra` are cells beyond the last column."""

    rule: str
    cells: dict[str, str]
    extra: tuple[str, ...] = ()


BROKEN_ROWS = (
    BrokenRow("lead_id_number", {"lead_id": "Pelletier"}),
    BrokenRow("direction_missing", {"direction": ""}),
    BrokenRow("direction_unknown", {"direction": "sideways"}),
    BrokenRow("status_unknown", {"status": "daydreaming"}),
    BrokenRow("status_direction", {"direction": "outgoing", "status": "interrupted", "duration_seconds": "0"}),
    BrokenRow("started_at_missing", {"started_at": ""}),
    BrokenRow("started_at_unreadable", {"started_at": "mardi vers 10 h"}),
    # Clocks went back on this night: half past one was there twice.
    BrokenRow("started_at_ambiguous", {"started_at": "2024-11-03 01:30:00"}),
    # Clocks went forward on this night: half past two never was.
    BrokenRow("started_at_nonexistent", {"started_at": "2024-03-10 02:30:00"}),
    BrokenRow("started_at_future", {"started_at": "2099-06-01T10:00:00-04:00"}),
    BrokenRow("started_at_too_old", {"started_at": "1987-06-01T10:00:00-04:00"}),
    BrokenRow("duration_missing", {"duration_seconds": ""}),
    BrokenRow("duration_number", {"duration_seconds": "a while"}),
    BrokenRow("duration_range", {"duration_seconds": "90000"}),
    BrokenRow("customer_phone_missing", {"customer_phone": ""}),
    BrokenRow("customer_phone_e164", {"customer_phone": "555-0123"}),
    BrokenRow("agent_id_number", {"agent_id": "poste 12"}),
    BrokenRow("agent_unknown", {"agent_id": "", "agent_name": ""}),
    BrokenRow("description_length", {"description": "Long récit. " * 100}),
    BrokenRow("recording_path", {"recording": "../secret.wav"}),
    BrokenRow("lead_several", {"lead_id": ""}),
    BrokenRow("ragged", {}, extra=("one cell too many",)),
)


def messy_rows() -> list[list[str]]:
    """A valid row, one row for each broken rule, two twins that contradict each other, and a valid row."""
    known_leads = leads()
    shared = next(lead for lead in known_leads if lead.id == SHARED_PHONE_LEADS[0])
    noon = datetime(2025, 3, 3, 12, 0, 7, tzinfo=TORONTO)
    rows: list[list[str]] = []

    def sound(call_id: str) -> dict[str, str]:
        agent_id, first_name, last_name = AGENTS[len(rows) % len(AGENTS)]
        return SampleCall(
            call_id=call_id,
            lead_id=known_leads[len(rows)].id,
            direction="incoming",
            status="answered",
            started_at=noon + timedelta(days=len(rows)),
            duration_seconds=60 + len(rows),
            customer_phone=known_leads[len(rows)].phones[0],
            agent_id=agent_id,
            agent_name=f"{first_name} {last_name}",
        ).cells()

    rows.append([*sound("messy-valid-first").values()])
    for broken in BROKEN_ROWS:
        cells = sound(f"messy-{broken.rule}")
        if broken.rule == "lead_several":
            cells["customer_phone"] = shared.phones[0]
        rows.append([*(cells | broken.cells).values(), *broken.extra])
    twin = sound("messy-twin")
    rows.append([*twin.values()])
    rows.append([*(twin | {"duration_seconds": "600"}).values()])
    rows.append([*sound("messy-valid-last").values()])
    return rows


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_parquet(path: Path, made: Sequence[SampleCall]) -> None:
    """The same rows with native types: instants in UTC and numbers as numbers, null where the CSV is blank."""
    rows = [{name: getattr(call, name) for name in COLUMNS} for call in made]
    for row in rows:
        row["started_at"] = row["started_at"].astimezone(UTC)
    schema = dict.fromkeys(COLUMNS, pl.String()) | {
        "lead_id": pl.Int64(),
        "started_at": pl.Datetime("us", "UTC"),
        "duration_seconds": pl.Int64(),
        "agent_id": pl.Int64(),
    }
    pl.DataFrame(rows, schema=schema).write_parquet(path, statistics=True)


def write_crm(path: Path, known_leads: Sequence[Lead]) -> None:
    account_id, account_name = ACCOUNT
    account = {
        "id": account_id,
        "name": account_name,
        "users": [
            {
                "id": user_id,
                "first_name": first_name,
                "last_name": last_name,
                "email": f"user{user_id}@example.com",
                "active": True,
            }
            for user_id, first_name, last_name in AGENTS
        ],
        "leads": [
            {"id": lead.id, "first_name": lead.first_name, "last_name": lead.last_name, "phones": list(lead.phones)}
            for lead in known_leads
        ],
    }
    text = json.dumps({"accounts": [account]}, ensure_ascii=False, indent=2)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def write_tone(path: Path, hertz: int) -> None:
    """One second of a soft tone that swells and fades, 8 kHz mono, 16 bit: what a phone line carries."""
    rate = 8000
    samples = [
        round(3000 * math.sin(math.pi * n / rate) * math.sin(2 * math.pi * hertz * n / rate)) for n in range(rate)
    ]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{rate}h", *samples))


def write_all(folder: Path) -> None:
    recordings = folder / "recordings"
    recordings.mkdir(parents=True, exist_ok=True)
    known_leads, made = leads(), calls()
    write_csv(folder / "calls.csv", COLUMNS, [[*call.cells().values()] for call in made])
    write_parquet(folder / "calls.parquet", made)
    write_csv(folder / "messy.csv", COLUMNS, messy_rows())
    numbers = [(phone, str(lead.id)) for lead in known_leads for phone in lead.phones]
    write_csv(folder / "leads.csv", ("phone", "lead_id"), numbers)
    write_crm(folder / "crm.json", known_leads)
    write_tone(recordings / "first-call.wav", hertz=440)
    write_tone(recordings / "second-call.wav", hertz=523)


if __name__ == "__main__":
    write_all(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
