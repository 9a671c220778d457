"""The sample files are what their generator makes, and what their README says."""

import collections
import csv
import json
import re
import subprocess
import sys
import wave
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

SAMPLES = Path(__file__).parents[2] / "sample_data"
TEXT_FILES = ("calls.csv", "messy.csv", "leads.csv", "crm.json", "README.md", "generate.py")
GENERATED = (
    "calls.csv",
    "calls.parquet",
    "messy.csv",
    "leads.csv",
    "crm.json",
    "recordings/first-call.wav",
    "recordings/second-call.wav",
)
TORONTO = ZoneInfo("America/Toronto")


def generate(folder: Path) -> Path:
    subprocess.run([sys.executable, SAMPLES / "generate.py", folder], check=True)
    return folder


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("generated"))


def rows(name: str) -> list[dict[str, str]]:
    with (SAMPLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def calls_as_parquet_has_them() -> list[dict[str, object]]:
    numbers = {"lead_id", "duration_seconds", "agent_id"}
    made: list[dict[str, object]] = []
    for row in rows("calls.csv"):
        cells: dict[str, object] = {name: int(cell) if name in numbers else cell or None for name, cell in row.items()}
        cells["started_at"] = datetime.fromisoformat(row["started_at"]).astimezone(UTC)
        made.append(cells)
    return made


def test_generator_is_deterministic(generated: Path, tmp_path: Path) -> None:
    again = generate(tmp_path)
    assert sorted(str(path.relative_to(again)) for path in again.rglob("*.*")) == sorted(GENERATED)
    for name in GENERATED:
        assert (again / name).read_bytes() == (generated / name).read_bytes(), name


@pytest.mark.parametrize("name", [name for name in GENERATED if not name.endswith(".parquet")])
def test_committed_file_is_what_the_generator_makes(generated: Path, name: str) -> None:
    assert (SAMPLES / name).read_bytes() == (generated / name).read_bytes()


def test_committed_parquet_holds_what_the_generator_makes(generated: Path) -> None:
    """Not byte for byte: a Parquet file names the release of polars that wrote it."""
    committed, made = (pl.read_parquet(folder / "calls.parquet") for folder in (SAMPLES, generated))
    assert committed.schema == made.schema
    assert committed.equals(made)


def test_csv_and_parquet_hold_the_same_rows() -> None:
    frame = pl.read_parquet(SAMPLES / "calls.parquet")
    assert frame.schema["started_at"] == pl.Datetime("us", "UTC")
    assert frame.to_dicts() == calls_as_parquet_has_them()


def test_sample_is_large_and_varied() -> None:
    calls = rows("calls.csv")
    assert len(calls) >= 240
    assert len({call["call_id"] for call in calls}) == len(calls)
    assert {call["direction"] for call in calls} == {"outgoing", "incoming"}
    statuses = {"answered", "attempted", "interrupted", "error", "unanswered", ""}
    assert {call["status"] for call in calls} == statuses
    assert any("é" in call["description"] for call in calls)
    assert max(collections.Counter(call["lead_id"] for call in calls).values()) > 5


def test_interrupted_is_only_for_incoming_calls() -> None:
    assert {call["direction"] for call in rows("calls.csv") if call["status"] == "interrupted"} == {"incoming"}


def test_talk_time_agrees_with_the_status() -> None:
    for call in rows("calls.csv"):
        if call["status"]:
            assert (int(call["duration_seconds"]) > 0) == (call["status"] == "answered"), call["call_id"]


def test_offsets_are_those_of_the_garage() -> None:
    for call in rows("calls.csv"):
        started = datetime.fromisoformat(call["started_at"])
        assert started.utcoffset() == started.astimezone(TORONTO).utcoffset(), call["call_id"]
        assert 2023 <= started.year <= 2025


def test_only_fictional_numbers_occur() -> None:
    for name in TEXT_FILES:
        text = (SAMPLES / name).read_text(encoding="utf-8")
        for number in re.findall(r"\+?\d{10,}", text):
            assert re.fullmatch(r"\+1\d{3}55501\d{2}", number), f"{name}: {number}"
        for number in re.findall(r"555[ -]\w{4}", text):
            assert re.fullmatch(r"555[ -]01\w\w", number), f"{name}: {number}"
    for phone in pl.read_parquet(SAMPLES / "calls.parquet")["customer_phone"]:
        assert re.fullmatch(r"\+1\d{3}55501\d{2}", phone)


def test_every_lead_and_agent_is_in_the_rehearsal_crm() -> None:
    (account,) = json.loads((SAMPLES / "crm.json").read_text(encoding="utf-8"))["accounts"]
    phones_of_lead = {str(lead["id"]): lead["phones"] for lead in account["leads"]}
    name_of_agent = {str(user["id"]): f"{user['first_name']} {user['last_name']}" for user in account["users"]}
    valid = rows("calls.csv") + [row for row in rows("messy.csv") if row["call_id"].startswith("messy-valid")]
    for call in valid:
        assert call["customer_phone"] in phones_of_lead[call["lead_id"]]
        assert call["agent_name"] == name_of_agent[call["agent_id"]]
    assert {(row["phone"], row["lead_id"]) for row in rows("leads.csv")} == {
        (phone, lead_id) for lead_id, phones in phones_of_lead.items() for phone in phones
    }


def test_one_number_has_two_leads() -> None:
    owners = collections.Counter(row["phone"] for row in rows("leads.csv"))
    (shared,) = [phone for phone, count in owners.items() if count > 1]
    assert owners[shared] == 2
    (unclear,) = [row for row in rows("messy.csv") if row["call_id"] == "messy-lead_several"]
    assert (unclear["lead_id"], unclear["customer_phone"]) == ("", shared)


def test_every_broken_row_names_its_own_rule() -> None:
    names = collections.Counter(row["call_id"] for row in rows("messy.csv"))
    assert names.pop("messy-twin") == 2
    assert names.pop("messy-valid-first") == names.pop("messy-valid-last") == 1
    assert set(names.values()) == {1}
    assert len(names) == 22
    assert all(name.startswith("messy-") for name in names)


def test_recordings_named_in_calls_are_there_and_short() -> None:
    named = {call["recording"] for call in rows("calls.csv")} - {""}
    assert named == {path.name for path in (SAMPLES / "recordings").iterdir()}
    for name in named:
        with wave.open(str(SAMPLES / "recordings" / name)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (8000, 1, 8000)
