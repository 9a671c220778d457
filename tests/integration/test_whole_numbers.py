"""No whole phone number leaves the program: however it is spelled, wherever it stands, in every kind of output."""

import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callimport.cli.commands import main
from tests import rehearsal, whole_numbers
from tests.rehearsal import Crm

DIGITS = "5145550123"
SPELLINGS = (
    "5145550123", "+15145550123", "15145550123", "0015145550123", "x5145550123", "5145550123x", "_5145550123_",
    "Tel5145550123", "514-555-0123", "514/555/0123", "514.555.0123", "514 555 0123", "514_555_0123", "514,555,0123",
    "514, 555, 0123", "(514) 555-0123", "(514) - 555 - 0123", "+1 (514) 555-0123", "51 45 55 01 23", "51-45-55-01-23",
    "51:45:55:01:23", "5 1 4 5 5 5 0 1 2 3", "514\u00a0555\u00a00123", "514\u2011555\u20110123", "514–555–0123",
    "514\u200b555\u200b0123", "514=555=0123", "tel:+1-514-555-0123", "5145550123@sip.example", "<sip:5145550123@pbx>",
    "514\t555\t0123", "'5145550123", "٥١٤٥٥٥٠١٢٣", "５１４５５５０１２３", "⁵¹⁴⁵⁵⁵⁰¹²³", "1e5145550123", "5145550123.0",
    "20240531 5145550123", "5145550123 2024-05-31 14:05", "rows 514, 555, 0123", "５１４ ٥٥٥ 0123", "514\n555\n0123",
)  # fmt: skip
# One spelling of each kind, for slow tests: glued, grouped, in pairs, in other digits, over lines.
FEW = ("x5145550123", "514/555/0123", "51 45 55 01 23", "٥١٤٥٥٥٠١٢٣", "514\n555\n0123")
_ROW = {
    "call_id": "A-1", "lead_id": "5003", "direction": "incoming", "status": "answered",
    "started_at": "2024-05-31T14:05:09-04:00", "duration_seconds": "95", "customer_phone": "+15145550199",
    "agent_id": "301", "agent_email": "", "agent_name": "", "agent_extension": "", "description": "", "recording": "",
}  # fmt: skip


def _whole(text: str) -> str | None:
    """Return the whole number in the text, if there is one, in the digits of any script."""
    return whole_numbers.shown(DIGITS, whole_numbers.plain(text))


def _write(path: Path, *rows: dict[str, str], names: tuple[str, ...] = tuple(_ROW)) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows([row.values() for row in rows])
    return path


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command, assert that it shows no whole number, and return stdout and stderr."""

    def run(*arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", ["callimport", *map(str, arguments)])
        with pytest.raises(SystemExit):
            main()
        out, err = capfd.readouterr()
        if "--json" in arguments:
            assert isinstance(json.loads(out), dict)
        assert "fault of callimport" not in err
        assert _whole(out + err) is None, f"{arguments}\n{out}{err}"
        return out + err

    return run


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_check_finds_every_spelling(spelling: str) -> None:
    assert _whole(f"row 3: {spelling}, 95 s")


@pytest.mark.parametrize("spelling", FEW)
def test_a_number_in_a_cell_is_never_shown_whole(spelling: str, tmp_path: Path, said: Callable[..., str]) -> None:
    rows = [_ROW | {"call_id": f"A-{row}"} | {name: spelling} for row, name in enumerate(_ROW)]
    # A fault of another kind in the same row: its message may quote the row.
    rows += [_ROW | {"call_id": f"B-{row}", "started_at": "soon"} | {name: spelling} for row, name in enumerate(_ROW)]
    file, page = _write(tmp_path / "calls.csv", *rows), tmp_path / "page.html"
    said("check", file)
    said("check", file, "--json")
    said("check", file, "--html", page, "--quiet")
    assert _whole(page.read_text("utf-8")) is None
    said("profiles", "test", file, "--rows", "40")
    said("profiles", "test", file, "--rows", "40", "--json")
    said("profiles", "new", file)


def test_no_spelling_is_shown_whole_in_any_column(tmp_path: Path, said: Callable[..., str]) -> None:
    rows = [_ROW | {name: spelling} for name in _ROW for spelling in SPELLINGS]
    file = _write(tmp_path / "calls.csv", *rows)
    said("profiles", "test", file, "--rows", f"{len(rows)}")
    said("profiles", "test", file, "--rows", f"{len(rows)}", "--json")


@pytest.mark.parametrize("spelling", FEW)
def test_a_number_in_a_header_is_never_shown_whole(spelling: str, tmp_path: Path, said: Callable[..., str]) -> None:
    names = tuple(_ROW)
    for headers in (
        (spelling, *names[1:]),
        (*names[:4], spelling, *names[5:]),
        (*names[:4], spelling, spelling, *names[6:]),
        (spelling, *names),
        (spelling,),
        tuple(f"{spelling} {name}" for name in names),
    ):
        file = _write(tmp_path / "calls.csv", _ROW, names=headers)
        said("check", file, "--json", "--log-format", "json")
        said("check", file, "--profile", "canonical")
        said("profiles", "test", file, "--json")


@pytest.mark.parametrize("spelling", FEW)
def test_a_number_in_a_leads_or_agents_file_is_never_shown_whole(
    spelling: str, tmp_path: Path, said: Callable[..., str]
) -> None:
    calls = _write(tmp_path / "calls.csv", _ROW | {"agent_id": "", "agent_name": spelling, "lead_id": ""})
    quoted = spelling.replace('"', '""')
    for option, header, row in (
        ("--leads", "phone,lead_id", f'"{quoted}",x'),
        ("--leads", f'phone,"{quoted}"', "1,2"),
        ("--leads", f'phone,lead_id,"{quoted}"', f'"{quoted}","{quoted}",1'),
        ("--agents", "name,agent_id", f'"{quoted}",x'),
        ("--agents", "name,agent_id", f'x,"{quoted}"'),
        ("--agents", f'name,"{quoted}"', "x,1"),
    ):
        listed = tmp_path / "listed.csv"
        listed.write_text(f"{header}\n{row}\n", "utf-8")
        said("check", calls, option, listed)
        said("check", calls, option, listed, "--json")
    numbers = tmp_path / "numbers.txt"
    numbers.write_text(f"{spelling} {spelling}\nnobody {spelling}4\n", "utf-8")
    said("check", calls, "--own-number", numbers, "--json")
    said("check", calls, "--exclude-numbers", numbers)


@pytest.mark.parametrize("spelling", ["x5145550123", "514.555.0123", "514 555 0123"])
def test_a_number_in_the_name_of_a_file_or_an_option_is_never_shown_whole(
    spelling: str, tmp_path: Path, said: Callable[..., str]
) -> None:
    file = _write(tmp_path / f"{spelling}.csv", _ROW, _ROW | {"started_at": "soon"})
    said("check", file)
    said("check", file, "--json")
    said("check", tmp_path / f"no {spelling}.csv", "--json")
    for option in ("--timezone", "--rate", "--since", "--profile", "--region", "--only", "--max-rejects", "--config"):
        said("check", file, option, spelling, "--json")
        said("check", file, option, spelling)
    said("check", file, f"--{spelling}")
    said(spelling)


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crm]:
    with rehearsal.crm(tmp_path_factory.mktemp("crm") / "state", "--any-id", "--limit", "100000") as running:
        yield running


def test_a_number_in_a_run_is_never_shown_whole(
    crm: Crm, tmp_path: Path, said: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLIMPORT_STATE_DIR", str(crm.state))
    monkeypatch.setenv("CALLIMPORT_DESTINATION", "sandbox")
    rows = [
        _ROW
        | {
            "call_id": f"{spelling} {row}",
            "customer_phone": f"514555{row:04}",
            "description": f"call back {spelling}",
            "recording": f"{spelling}.wav".replace("/", "-"),
            "agent_id": "",
            "agent_name": spelling,
        }
        for row, spelling in enumerate(SPELLINGS)
    ]
    file = _write(tmp_path / f"calls of {DIGITS}.csv", *rows)
    (tmp_path / "recordings").mkdir()
    run = ("run", file, "--rate", "60000/min", "--unknown-agent", "omit", "--recordings", tmp_path / "recordings")
    said(*run, "--dry-run", "--json")
    said(*run, "--json")
    changed = _write(
        file, *(row | {"duration_seconds": "96", "started_at": "2024-05-31T14:06:39-04:00"} for row in rows)
    )
    said(*run[:1], changed, *run[2:], "--log-format", "json")
    said("status")
    said("status", "--json")
    for spelling in SPELLINGS:
        said("find", spelling)
        said("find", f"{spelling} 3", "--json")
    said("find", "5003")
    said("find", "5003", "--json")
    said("verify", "--json")
    said("report", "-o", tmp_path / "report.html")
    said("export", "-o", tmp_path / "ledger.csv")
    for name in ("report.html", "ledger.csv"):
        assert _whole((tmp_path / name).read_text("utf-8-sig")) is None, name
