"""Recordings by the real command, over real HTTP, to the real rehearsal CRM."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tests import rehearsal
from tests.benchmarks import recordings
from tests.rehearsal import Crm
from tests.unit.load.test_audio_files import wav

COLUMNS = (*rehearsal.COLUMNS, "recording")


def export(place: Path, count: int, names: dict[int, str]) -> Path:
    rows = rehearsal.calls(count)
    for number, row in enumerate(rows):
        row["recording"] = names.get(number, "")
    return rehearsal.write_csv(place, rows, COLUMNS)


def attached(crm: Crm) -> dict[int, Any]:
    """Recordings by the number of their call."""
    return {
        int(one["description"].split("nº ")[1].split()[0]): one["recording"]
        for one in crm.stored()
        if "Essai routier" in (one["description"] or "") and one["recording"] is not None
    }


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_three_nights_of_recordings(tmp_path: Path) -> None:
    """One is there, one comes late, one is mended, one the CRM does not want; the calls are sent once."""
    folder = tmp_path / "recordings"
    (folder / "2024").mkdir(parents=True)
    (folder / "2024" / "1.wav").write_bytes(wav())
    (folder / "3.wav").write_bytes(wav(5)[:-7])
    (folder / "4.mp3").write_bytes(b"<html>")
    (folder / "stray.wav").write_bytes(wav())
    monday = export(tmp_path / "monday.csv", 6, {1: "1.wav", 2: "2.wav", 3: "3.wav", 4: "4.mp3"})

    with rehearsal.crm(tmp_path / "state", "--limit", "6000") as crm:
        given = ("--recordings", folder, "--rate", "5700/min")
        checked = rehearsal.callimport("check", monday, "--recordings", folder, state=tmp_path / "state")
        assert checked.code == 0
        assert "2 matched" in checked.out
        assert "1 missing, 1 of no call" in checked.out
        assert "1 not audio" in checked.out

        first = crm.run(monday, *given)
        assert first.code == 3, first.said
        assert first.summary["recordings"] == {"uploaded": 2, "refused": 1, "failed": 0, "missing": 1, "pending": 0}
        assert "4.mp3" in first.err
        assert "neither a WAV nor an MP3" in first.err

        # Nothing is new: nothing is sent, and what was told is not told again.
        second = crm.run(monday, *given)
        assert (second.code, second.summary["requests"]) == (0, 1)
        assert second.summary["recordings"]["missing"] == 1

        (folder / "2.wav").write_bytes(wav(2))
        (folder / "3.wav").write_bytes(wav(3))
        third = crm.run(monday, "--recordings-only", *given)
        assert third.code == 0, third.said
        assert third.summary["recordings"] == {"uploaded": 2, "refused": 0, "failed": 0, "missing": 0, "pending": 0}

        found = attached(crm)
        expected = {1: wav(), 2: wav(2), 3: wav(3)}
        assert {number: one["sha256"] for number, one in found.items()} == {
            number: sha256(content) for number, content in expected.items()
        }
        assert {number: one["uploads"] for number, one in found.items()} == {1: 1, 2: 1, 3: 2}
        assert crm.creates() == 6
        assert crm.ask("assert")["ok"], crm.ask("assert")

        told = rehearsal.callimport("status", "--destination", "sandbox", state=tmp_path / "state")
        assert "recordings: 1 refused, 3 uploaded" in told.out
        again = rehearsal.callimport("retry", "--refused-recordings", state=tmp_path / "state")
        assert "1 recordings to upload again" in again.out
        status = rehearsal.callimport("status", "--json", state=tmp_path / "state")
        assert json.loads(status.out)["recordings"] == {"todo": 1, "uploaded": 3}


def test_recordings_only_sends_no_call(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.wav").write_bytes(wav(number + 1))
    names = {number: f"{number}.wav" for number in range(3)}
    with rehearsal.crm(tmp_path / "state", "--limit", "6000") as crm:
        given = ("--recordings", folder, "--rate", "5700/min")
        assert crm.run(export(tmp_path / "two.csv", 2, names), "--rate", "5700/min").code == 0
        three = export(tmp_path / "three.csv", 3, names)
        ended = crm.run(three, "--recordings-only", *given)
        # The third call is known now, and waits for a run that sends calls.
        assert ended.code == 7, ended.said
        assert (crm.creates(), sorted(attached(crm))) == (2, [0, 1])
        assert rehearsal.adds_up(ended.summary)
        assert crm.run(three, *given).code == 0
        assert (crm.creates(), sorted(attached(crm))) == (3, [0, 1, 2])
        without = crm.run("--recordings-only")
        assert without.code == 2
        assert "--recordings DIR" in without.err
        # Known before the first call leaves, not after the last.
        astray = crm.run(three, "--recordings", tmp_path / "nowhere")
        assert (astray.code, crm.creates()) == (2, 3)


def test_a_crm_that_wants_none_says_so_for_each_and_has_its_calls(tmp_path: Path) -> None:
    """Too big for the CRM, once as an error of its own, once as a page of the server before it."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number, size in enumerate((17, 21)):
        with (folder / f"{number}.wav").open("wb") as file:
            file.write(wav())
            file.truncate(size * 2**20)
    names = {number: f"{number}.wav" for number in range(2)}
    with rehearsal.crm(tmp_path / "state", "--limit", "6000") as crm:
        given = ("--recordings", folder, "--rate", "5700/min", "--max-recording", "50")
        ended = crm.run(export(tmp_path / "two.csv", 2, names), *given)
        assert ended.code == 3, ended.said
        assert ended.summary["recordings"]["refused"] == 2
        assert "The recording failed to upload." in ended.err
        assert "413" in ended.err
        assert (ended.summary["calls"]["delivered"], attached(crm)) == (2, {})


def test_killed_in_the_middle_each_recording_ends_at_its_own_call() -> None:
    """`make recordings` does the same with a thousand of 2 MB."""
    assert recordings.main(["--count", "60", "--megabytes", "0.2", "--kills", "1"]) == 0
