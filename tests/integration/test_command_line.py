"""The command line's contract: one line of what happened and what to do, the right exit code, never a traceback."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import polars as pl
import pytest

from callimport.cli.commands import commands, main
from tests import rehearsal
from tests.rehearsal import Crm, callimport, calls, write_csv

FAST = ("--rate", "60000/min")
COMMANDS = sorted(commands.commands)


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crm]:
    with rehearsal.crm(tmp_path_factory.mktemp("crm") / "state", "--limit", "100000") as running:
        yield running


def _one_line(ended: rehearsal.Ended) -> str:
    """The message; nothing else may stand on stderr, and it says what to do."""
    lines = ended.err.strip().splitlines()
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("error: ")
    assert "Traceback" not in ended.said
    return lines[0]


def _empty(folder: Path) -> Path:
    return _file(folder / "calls.csv", b"")


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _sound(folder: Path) -> Path:
    return write_csv(folder / "calls.csv", calls(2))


def _without(folder: Path, column: str) -> Path:
    columns = [name for name in rehearsal.COLUMNS if name != column]
    rows = [{name: row[name] for name in columns} for row in calls(2)]
    return write_csv(folder / "calls.csv", rows, columns)


def _misspelt(folder: Path) -> Path:
    path = _sound(folder)
    return _file(path, path.read_bytes().replace(b"description", b"descripton", 1))


def _neither_utf8_nor_windows(folder: Path) -> Path:
    path = _sound(folder)
    return _file(path, path.read_bytes() + b"\x81\n")


def _truncated(folder: Path) -> Path:
    path = folder / "calls.parquet"
    pl.DataFrame(calls(50)).write_parquet(path)
    return _file(path, path.read_bytes()[:-40])


def _folder_without_exports(folder: Path) -> Path:
    (folder / "notes.md").write_text("nothing here")
    return folder


@pytest.mark.parametrize(
    ("make", "code", "says"),
    [
        (_empty, 5, "empty"),
        (lambda folder: _without(folder, "started_at"), 5, "started_at"),
        (_misspelt, 5, "did you mean description"),
        (_neither_utf8_nor_windows, 5, "UTF-8"),
        (_truncated, 5, "Parquet"),
        (_folder_without_exports, 5, ".csv"),
        (lambda folder: folder / "missing.csv", 5, "missing.csv"),
        (lambda folder: folder / "*.csv", 5, "*.csv"),
        (lambda folder: _file(folder / "calls.docx", b"PK"), 5, "calls.docx"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_bad_file_is_one_line_and_nothing_is_sent(
    crm: Crm, tmp_path: Path, command: str, make: "object", code: int, says: str
) -> None:
    before = crm.creates()
    assert callable(make)
    destination = ("--destination", "sandbox") if command == "run" else ()
    ended = callimport(command, make(tmp_path), *destination, "--profile", "canonical", state=crm.state)
    assert ended.code == code, ended.said
    assert says in _one_line(ended)
    assert ended.out == ""
    assert crm.creates() == before


@pytest.mark.parametrize(
    ("options", "environment", "code", "says"),
    [
        (("--profile", "twillio", "--destination", "sandbox"), {}, 2, "twilio"),
        ((), {}, 2, "--destination"),
        (("--destination", "sandbox"), {"CALLIMPORT_TOKEN": "abc\ndef"}, 2, "line break"),
        (("--destination", "https://crm.example.com/v2"), {}, 2, "CALLIMPORT_TOKEN"),
        (("--destination", "http://crm.example.com/v2"), {"CALLIMPORT_TOKEN": "abc"}, 2, "https"),
        (("--destination", "nowhere"), {"CALLIMPORT_TOKEN": "abc"}, 2, "nowhere"),
        (("--destination", "http://127.0.0.1:9/v2"), {"CALLIMPORT_TOKEN": "abc"}, 1, "cannot be reached"),
        (("--destination", "sandbox", "--account", "Somebody Else"), {}, 2, "Somebody Else"),
        (("--destination", "sandbox", "--rate", "fast"), {}, 2, "190/min"),
        (("--destination", "sandbox", "--timezone", "Montreal"), {}, 2, "America/Toronto"),
        (("--destination", "sandbox", "--timezone", "EST"), {}, 2, "America/Toronto"),
        (("--destination", "sandbox", "--ledger", "nowhere/ledger.sqlite3"), {}, 2, "does not exist"),
        (("--destination", "sandbox", "--unknown-agent", "guess"), {}, 2, "omit"),
        (("--destination", "sandbox", "--leads", "missing.csv"), {}, 5, "missing.csv"),
        (("--destination", "sandbox", "--rejects", "sample_data/leads.csv"), {}, 2, "--force"),
        (("--destination", "sandbox", "--since", "yesterday"), {}, 2, "yesterday"),
        (
            ("--destination", "sandbox", "--timezone", "UTC", "--since", "2024-03-01", "--until", "2024-01-01"),
            {},
            2,
            "lies",
        ),
        (("--destination", "sandbox", "--resume", "AAAA-AAAA"), {}, 2, "leave the files out"),
        (("--destination", "sandbox", "--plan", "AAAA-AAAA"), {}, 8, "--dry-run"),
        (("--destination", "sandbox", "--frobnicate"), {}, 2, "--frobnicate"),
        (("--destination", "sandbox", "--config", "missing.toml"), {}, 2, "--config"),
    ],
)
def test_a_bad_setting_is_one_line_and_nothing_is_sent(
    crm: Crm, tmp_path: Path, options: tuple[str, ...], environment: dict[str, Any], code: int, says: str
) -> None:
    before = crm.creates()
    ended = callimport("run", _sound(tmp_path), "--quiet", *options, state=crm.state, **environment)
    assert ended.code == code, ended.said
    assert says in _one_line(ended)
    assert crm.creates() == before


def test_without_any_way_to_find_leads_nothing_is_sent(crm: Crm, tmp_path: Path) -> None:
    """check still says what is wrong with the rows: whoever makes the export need not have the leads."""
    source = _without(tmp_path, "lead_id")
    assert "--leads" in _one_line(callimport("run", source, "--destination", "sandbox", state=crm.state))
    checked = callimport("check", source, "--json", state=crm.state)
    assert (checked.code, checked.summary["skipped"]) == (0, {"no_lead": 2})
    assert "--leads" in checked.err


@pytest.mark.parametrize("option", ["--rejects", "--html"])
def test_an_output_never_overwrites_an_input(tmp_path: Path, option: str) -> None:
    source = _sound(tmp_path)
    before = source.read_bytes()
    ended = callimport("check", source, option, source, "--force", state=tmp_path / "state")
    assert ended.code == 2
    assert "overwrite" in _one_line(ended)
    assert source.read_bytes() == before


def test_a_folder_is_read_without_its_leads_and_reject_files(crm: Crm, tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    write_csv(
        folder / "a.csv", [{**row, "call_id": f"f{row['call_id']}"} for row in calls(3, customer_phone="+15145550198")]
    )
    (folder / "leads.csv").write_text("phone,lead_id\n+15145550100,5001\n")
    (folder / "rejects.csv").write_text("left from yesterday")
    others = ("--leads", folder / "leads.csv", "--rejects", folder / "rejects.csv", "--force")
    ended = crm.run(folder, *others, *FAST)
    assert ended.code == 0
    assert ended.summary["calls"]["delivered"] == 3


def test_all_faults_of_a_row_are_told_at_once(tmp_path: Path) -> None:
    row = {**calls(1)[0], "started_at": "soon", "duration_seconds": "long", "customer_phone": "home", "agent_id": ""}
    rejects = tmp_path / "rejects.csv"
    callimport("check", write_csv(tmp_path / "calls.csv", [row]), "--rejects", rejects, state=tmp_path / "state")
    told = rejects.read_text(encoding="utf-8")
    for rule in ("started_at_unreadable", "duration_number", "customer_phone_e164", "agent_unknown"):
        assert rule in told


def test_the_bare_command_shows_what_there_is(tmp_path: Path) -> None:
    ended = callimport(state=tmp_path / "state")
    assert ended.code == 2
    assert ended.out.startswith("Usage: callimport")
    assert "sandbox" in ended.out


def test_with_json_an_error_is_an_answer_too(tmp_path: Path) -> None:
    ended = callimport("check", _empty(tmp_path), "--json", state=tmp_path / "state")
    assert ended.code == ended.summary["exit_code"] == 5
    assert rehearsal.adds_up(ended.summary)
    assert "empty" in ended.summary["error"]


@pytest.mark.parametrize(
    ("arguments", "says", "is_of_rows"),
    [
        (("check", "x.csv", "--json", "--frobnicate"), "--frobnicate", True),
        (("run", "--json", "--limit", "many"), "'many'", True),
        (("check", "--json"), "FILES", True),
        (("check", "x.csv", "--config", "missing.toml", "--json"), "missing.toml", True),
        (("status", "--json", "--destination", "sandbox"), "sandbox", False),
        (("verify", "--json", "more"), "more", False),
        (("frobnicate", "--json"), "frobnicate", False),
    ],
)
def test_with_json_what_cannot_be_read_as_a_command_is_answered_too(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    says: str,
    is_of_rows: bool,
) -> None:
    monkeypatch.setattr("sys.argv", ["callimport", *arguments])
    monkeypatch.setenv("CALLIMPORT_STATE_DIR", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert ended.value.code == answer["exit_code"] == 2
    assert says in answer["error"]
    assert answer["error"] in err
    assert ("rows" in answer) is is_of_rows


def test_only_a_header_is_a_quiet_day(crm: Crm, tmp_path: Path) -> None:
    ended = crm.run(write_csv(tmp_path / "calls.csv", []), "--quiet")
    assert ended.code == 0
    assert ended.summary["rows"]["read"] == ended.summary["calls"]["total"] == 0
    assert ended.err == ""


def test_a_quiet_night_says_nothing(crm: Crm, tmp_path: Path) -> None:
    ended = crm.run(_sound(tmp_path), "--quiet", *FAST)
    assert (ended.code, ended.err) == (0, "")


def test_production_is_never_written_to_unconfirmed(tmp_path: Path) -> None:
    """Without a key it does not even ask; nothing here can leave this machine."""
    ended = callimport("run", _sound(tmp_path), "--destination", "production", "--quiet", state=tmp_path / "state")
    assert ended.code == 2
    assert "CALLIMPORT_TOKEN" in _one_line(ended)


def test_flag_beats_environment_beats_file(crm: Crm, tmp_path: Path) -> None:
    settings = tmp_path / "callimport.toml"
    settings.write_text('destination = "sandbox"\nlimit = 1\nrate = ["60000/min"]\nno-reference = true\n')
    other = [{**row, "call_id": f"p{row['call_id']}"} for row in calls(9, customer_phone="+15145550199")]
    source = write_csv(tmp_path / "calls.csv", other)

    def sent(*options: str, **environment: Any) -> int:
        ended = callimport("run", source, "--json", "--config", settings, *options, state=crm.state, **environment)
        return int(ended.summary["calls"]["delivered"])

    assert sent() == 1
    assert sent(CALLIMPORT_LIMIT="2") == 2
    assert sent("--limit", "3", CALLIMPORT_LIMIT="2") == 3
    assert all("[ref" not in (one["description"] or "") for one in crm.stored()[-6:])


@pytest.mark.parametrize("text", ["since = 2024-01-01", 'rate = "9/s"', "rate = ['9/s', '500/min']", "limit = 3"])
def test_the_settings_file_speaks_toml(crm: Crm, tmp_path: Path, text: str) -> None:
    settings = tmp_path / "callimport.toml"
    settings.write_text(text)
    ended = crm.run(_sound(tmp_path), "--config", settings, "--timezone", "UTC", "--dry-run")
    assert ended.code == 0, ended.said


def test_the_last_day_there_is_can_be_named(tmp_path: Path) -> None:
    ended = callimport(
        "check", _sound(tmp_path), "--timezone", "UTC", "--until", "9999-12-31", state=tmp_path / "state"
    )
    assert ended.code == 0


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    rows = [{**row, "started_at": "soon"} for row in calls(3)]
    with Path("/dev/full").open("w") as full:
        process = rehearsal.started("check", write_csv(tmp_path / "calls.csv", rows), state=tmp_path, stdout=full)
        _, err = process.communicate(timeout=rehearsal.PATIENCE_SECONDS)
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "number", ["514555012345678901", "5.145550123E+9", "06 12 34 56 78", "tel5145550123x9y", "+5145550123"]
)
def test_a_number_that_cannot_be_read_is_not_shown_whole(tmp_path: Path, number: str) -> None:
    source, page = (
        write_csv(tmp_path / "calls.csv", [{**calls(1)[0], "customer_phone": number}]),
        tmp_path / "page.html",
    )
    ended = callimport("check", source, "--html", page, state=tmp_path / "state")
    assert ended.code == 3
    assert number not in ended.said
    assert number not in page.read_text(encoding="utf-8")


def test_rates_can_be_given_several_in_the_environment(crm: Crm, tmp_path: Path) -> None:
    ended = crm.run(_sound(tmp_path), CALLIMPORT_RATE="60000/min 100000/h")
    assert ended.code == 0


def test_an_unknown_setting_of_the_file_is_named(tmp_path: Path) -> None:
    settings = tmp_path / "callimport.toml"
    settings.write_text('lead = "leads.csv"\n')
    ended = callimport("check", _sound(tmp_path), "--config", settings, state=tmp_path / "state")
    assert ended.code == 2
    assert '"lead"' in _one_line(ended)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_examples(command: str) -> None:
    context = click.Context(commands.commands[command], info_name=command)
    text = commands.commands[command].get_help(context)
    assert "Example" in text
    assert f"callimport {command}" in text


@pytest.mark.parametrize("command", ["export", "find", "report"])
def test_the_help_says_what_waits_for_a_run_to_end(command: str) -> None:
    """SQLite's write-ahead log is kept by one process alone, so nobody reads the ledger beside a run."""
    context = click.Context(commands.commands[command], info_name=command)
    text = " ".join(commands.commands[command].get_help(context).split())
    assert "not while a run goes on (exit 6)" in text


def test_there_is_no_option_for_a_token() -> None:
    for command in commands.commands.values():
        assert all("--token" not in parameter.opts for parameter in command.params)


def test_check_needs_no_network_and_no_ledger(tmp_path: Path) -> None:
    rows = [*calls(3), calls(1)[0], {**calls(5)[4], "started_at": "soon"}]
    page = tmp_path / "report.html"
    ended = callimport(
        "check", write_csv(tmp_path / "calls.csv", rows), "--json", "--html", page, state=tmp_path / "state"
    )
    summary = ended.summary
    assert ended.code == 3
    assert rehearsal.adds_up(summary)
    assert summary["rows"] == {"read": 5, "joined": 0, "dropped": 0, "rejected": 1, "calls": 4}
    assert (summary["calls"]["duplicate"], summary["calls"]["pending"]) == (1, 3)
    assert summary["requests"] == 0
    assert not (tmp_path / "state").exists()
    assert "started_at_unreadable" in page.read_text(encoding="utf-8")


def test_the_summary_has_the_keys_that_machines_rely_on(tmp_path: Path) -> None:
    summary = callimport("check", _sound(tmp_path), "--json", state=tmp_path / "state").summary
    assert set(summary["calls"]) == {
        "total", "carried", "duplicate", "skipped", "unchanged", "delivered", "updated", "adopted", "refused", "failed",
        "in_doubt", "held", "pending",
    }  # fmt: skip
    assert set(summary["recordings"]) == {"uploaded", "refused", "failed", "missing", "pending"}
    assert {"run_id", "batch", "exit_code", "elapsed_seconds", "requests", "rate_limited", "rows", "dropped", "skipped"} <= set(summary)  # fmt: skip  # noqa: E501
    assert json.dumps(summary)
