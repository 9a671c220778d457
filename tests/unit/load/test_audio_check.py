"""What a check says of a folder of recordings: a file for each call, and what is wrong with the others."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from callimport import report
from callimport.core import endings, models, phones
from callimport.load.audio_check import AudioCheck
from callimport.load.recording_names import Names
from callimport.profiles import profile
from tests import exporting, making
from tests.rehearsal import SAMPLES
from tests.unit.load.test_audio_files import wav

RATE = (models.Rate(190, 60.0),)
FREEPBX = Names(profile.load("freepbx").recordings, None, phones.Dialling())
EPOCH = int(making.STARTED.timestamp())


def found(root: Path, *calls: models.Call, names: Names = FREEPBX) -> endings.AudioFolder:
    check = AudioCheck(root, 0.001, {0: names})
    check.see(making.frame(calls))
    return check.found(RATE)


def put(root: Path, **files: bytes) -> None:
    for name, content in files.items():
        (root / f"{name}.wav").write_bytes(content)


def recorded(*names: str) -> list[models.Call]:
    return [making.call(f"A-{number}", row=number + 2, recording=f"{name}.wav") for number, name in enumerate(names)]


def test_each_file_is_counted_once(tmp_path: Path) -> None:
    put(tmp_path, good=wav(), other=wav(2), empty=b"", big=wav(20), page=b"<html>", stray=wav())
    one = found(tmp_path, *recorded("good", "other", "good", "gone", "empty", "big", "page"))
    assert (one.matched, one.missing, one.orphan) == (2, 1, 1)
    assert one.bytes == len(wav()) + len(wav(2))
    assert one.unfit == {"empty": 1, "too big": 1, "not audio": 1}
    assert one.seconds == pytest.approx(2 * 60 / 190)


def test_two_files_of_one_name_match_nothing(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    put(tmp_path, a=wav())
    put(tmp_path / "below", a=wav())
    one = found(tmp_path, *recorded("a"))
    assert (one.matched, one.orphan, one.unfit) == (0, 0, {"ambiguous": 1})


def test_a_file_that_no_row_names_is_known_by_its_own_name(tmp_path: Path) -> None:
    put(tmp_path, **{f"in-4505550100-5145550123-20240531-100509-{EPOCH}.7": wav()})
    one = found(tmp_path, making.call(f"{EPOCH}.7"))
    assert (one.matched, one.orphan) == (1, 0)
    assert found(tmp_path, making.call(f"{EPOCH}.7"), names=Names((), None, phones.Dialling())).orphan == 1


def test_a_file_that_fits_two_calls_is_told(tmp_path: Path) -> None:
    put(tmp_path, **{f"in-4505550100-5145550123-20240531-100509-{EPOCH}.7": wav()})
    one = found(tmp_path, making.call("1.1"), making.call("2.2", row=3))
    assert (one.matched, one.orphan, one.unfit) == (0, 0, {"unclear": 1})


def test_a_folder_that_has_none_of_the_recordings_is_asked_about(tmp_path: Path) -> None:
    """No error: they may come nights later. But most likely it is the wrong folder."""
    (tmp_path / "empty").mkdir()
    result = exporting.check(SAMPLES / "calls.csv", recordings=tmp_path / "empty")
    assert (result.summary.recordings.missing, result.summary.recordings.pending) == (2, 0)
    first, second, *_ = report.lists(result)
    assert first.startswith("recordings: 0 matched")
    assert second == "  no call would get one: is this the folder, and does the export name its recordings?"
    there = exporting.check(SAMPLES / "calls.csv", recordings=SAMPLES / "recordings")
    assert (there.summary.recordings.missing, there.summary.recordings.pending) == (0, 2)
    assert len([line for line in report.lists(there) if "recordings" in line]) == 1


def test_no_full_number_of_a_file_name_is_shown(tmp_path: Path) -> None:
    name = "out-5145550123-101"
    one = found(tmp_path, *recorded(name))
    result = endings.Result(endings.Summary(None, "B", 0, 0.0, 0, 0, endings.Rows(), endings.Calls()), audio=one)
    said = io.StringIO()
    report.print_result(Console(file=said, width=200), result, sent=False)
    assert "1 missing" in said.getvalue()
    assert "5145550123" not in said.getvalue()
    report.write_html(tmp_path / "page.html", result, files=("calls.csv",))
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "recordings: 0 matched" in page
    assert "5145550123" not in page
