"""Settings are checked before anything happens, and a wrong one is told without showing a key."""

import io
import json
import os
import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from callimport.core import errors, models, privacy
from callimport.core import settings as config

_OPTIONS = {"rate", "timezone", "state-dir", "token-file", "limit"}
_PRODUCTION = "https://api.crm.activix.ca/v2"
_ACCOUNT = models.Account(77, "Garage Tremblay")
_KEY = "t"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of ours and no keyring of the machine that the tests run on."""
    for name in os.environ:
        if name.startswith(config.PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.setitem(sys.modules, "keyring", None)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text("file-key\n", "utf-8")
    path.chmod(0o600)
    return path


def _settings(folder: Path, destination: str | None = None, **changes: Any) -> config.Settings:
    made = config.Settings(files=(), state_dir=folder, destination=destination)
    return replace(made, **changes)


# Rates and zones


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("190/min", models.Rate(190, 60.0)),
        ("3/s", models.Rate(3, 1.0)),
        ("3/sec", models.Rate(3, 1.0)),
        ("2000/h", models.Rate(2000, 3600.0)),
        ("2000/hour", models.Rate(2000, 3600.0)),
        ("50/10s", models.Rate(50, 10.0)),
        ("5/0.5s", models.Rate(5, 0.5)),
        (" 190 / 1 MIN ", models.Rate(190, 60.0)),
        ("30/m", models.Rate(30, 60.0)),
        (config.DEFAULT_RATE, models.Rate(190, 60.0)),
    ],
)
def test_a_rate_is_so_many_in_so_long(text: str, rate: models.Rate) -> None:
    assert config.rate(text) == rate
    assert config.rate(str(rate)) == rate


@pytest.mark.parametrize("text", ["", "190", "0/min", "-1/min", "1.5/s", "190/day", "190/", "/min", "190/0s", "x/s"])
def test_another_rate_is_an_error_that_shows_the_form(text: str) -> None:
    with pytest.raises(errors.ConfigError, match=r"--rate .* is not a rate: write it as 190/min"):
        config.rate(text)


@pytest.mark.parametrize("name", ["America/Toronto", "Europe/Paris", "UTC"])
def test_a_zone_is_one_of_the_iana_database(name: str) -> None:
    assert config.timezone(name) == name
    assert config.timezone(None) is None


@pytest.mark.parametrize("name", ["", "Toronto", "america/toronto", "../../etc/passwd", "/etc/localtime", "UTC+5"])
def test_another_zone_is_an_error(name: str) -> None:
    with pytest.raises(errors.ConfigError, match="is not known"):
        config.timezone(name)


# The address


@pytest.mark.parametrize(
    "address",
    ["https://crm.example/v2", "https://crm.example:8443", "http://127.0.0.1:80", "http://[::1]:9", "http://localhost"],
)
def test_an_address_is_https_or_this_very_machine(address: str) -> None:
    config.check_address(address)


@pytest.mark.parametrize(
    "address",
    ["http://crm.example/v2", "http://10.0.0.1", "http://127.0.0.1.evil.example", "http://localhost.evil.example"],
)
def test_a_key_never_goes_over_plain_http(address: str) -> None:
    with pytest.raises(errors.ConfigError, match="a key is sent over https only"):
        config.check_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "prod",
        "crm.example/v2",
        "ftp://crm.example",
        "file:///etc/passwd",
        "https://",
        "https:///v2",
        "https://crm.example:99999",
        "https://[::1",
        "https://crm.example/v2#x",
        "https://crm.example/v 2",
        "https://crm.exa\nmple/v2",
        "http://localhost\\.evil.example",
    ],
)
def test_junk_is_no_address(address: str) -> None:
    with pytest.raises(errors.ConfigError, match=r"is not an address: name sandbox, dev, production"):
        config.check_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "https://me:s3cr3t@crm.example",
        "https://:s3cr3t@crm.example",
        "https://s3cr3t@crm.example",
        "http://localhost:s3cr3t@evil.example",
        "https://crm.example/v2?token=s3cr3t",
    ],
)
def test_an_address_with_a_key_in_it_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        config.check_address(address)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://crm.example/v2", "crm.example"),
        ("https://CRM.Example:443/v2", "crm.example"),
        ("https://crm.example./v2", "crm.example"),
        ("https://crm.example:8443/v2", "crm.example:8443"),
        ("http://127.0.0.1:80/v2", "127.0.0.1"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_one_crm_has_one_name_however_its_address_is_written(address: str, host: str) -> None:
    """The ledger's file is named after it: two names would be two ledgers, and every call sent twice."""
    assert config.Target(address, privacy.Secret("t")).host == host


@pytest.mark.parametrize(
    ("destination", "is_production"),
    [
        ("production", True),
        ("dev", False),
        (_PRODUCTION, True),
        ("https://API.crm.activix.ca:443/v2", True),
        ("https://api.crm.activix.ca./v2", True),
        ("https://crm.example", False),
    ],
)
def test_production_is_known_by_its_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, destination: str, is_production: bool
) -> None:
    monkeypatch.setenv("CALLIMPORT_TOKEN", "t")
    target = config.target(_settings(tmp_path, destination))
    assert target.is_production is is_production
    assert target.base_url == config.DESTINATIONS.get(destination, destination)


def test_no_destination_is_assumed(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="no destination is assumed"):
        config.target(_settings(tmp_path))


# The key to the CRM


def test_the_key_is_taken_from_the_environment_then_the_keyring_then_the_file(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(tmp_path, "dev", token_file=str(key_file))
    assert config.target(settings).token.reveal() == "file-key"
    asked = []

    def get_password(service: str, name: str) -> str | None:
        asked.append((service, name))
        return "keyring-key"

    keyring = types.SimpleNamespace(get_password=get_password, errors=types.SimpleNamespace(KeyringError=OSError))
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    assert config.target(settings).token.reveal() == "keyring-key"
    assert asked == [("callimport", "api.dev.crm.activix.ca")]
    monkeypatch.setenv("CALLIMPORT_TOKEN", "environment-key")
    assert config.target(settings).token.reveal() == "environment-key"


def test_a_keyring_that_is_locked_is_as_none(tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def get_password(service: str, name: str) -> str | None:
        raise LookupError("locked")

    keyring = types.SimpleNamespace(get_password=get_password, errors=types.SimpleNamespace(KeyringError=LookupError))
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    assert config.target(_settings(tmp_path, "dev", token_file=str(key_file))).token.reveal() == "file-key"
    with pytest.raises(
        errors.ConfigError, match=r"no key to the CRM.*the keyring cannot be used \(LookupError: locked\)"
    ):
        config.target(_settings(tmp_path, "dev"))


def test_without_a_key_the_ways_to_give_it_are_told(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="set CALLIMPORT_TOKEN, or give --token-file PATH"):
        config.target(_settings(tmp_path, "dev"))


_UNFIT = ["", "s3cr3t\n", "s3cr3t\r\nX-Evil: 1", "s3cr3t s3cr3t", "s3cr3t\t", "s3cr3té"]


@pytest.mark.parametrize("value", _UNFIT)
@pytest.mark.parametrize("destination", ["dev", "sandbox"])
def test_an_unfit_key_in_the_environment_is_refused_without_showing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, destination: str
) -> None:
    monkeypatch.setenv("CALLIMPORT_TOKEN", value)
    with pytest.raises(errors.ConfigError, match=r"CALLIMPORT_TOKEN .*copy the key again") as caught:
        config.target(_settings(tmp_path, destination))
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_line_break_that_ends_a_key_file_is_no_part_of_the_key(tmp_path: Path, key_file: Path, end: str) -> None:
    key_file.write_text(f"file-key{end}", "utf-8", newline="")
    assert config.target(_settings(tmp_path, "dev", token_file=str(key_file))).token.reveal() == "file-key"


@pytest.mark.parametrize("value", ["", "\n", "s3cr3t\ns3cr3t\n", " s3cr3t\n", "s3cr3té", "\ufeffs3cr3t"])
def test_an_unfit_key_in_a_file_is_refused_without_showing_it(tmp_path: Path, key_file: Path, value: str) -> None:
    key_file.write_text(value, "utf-8")
    with pytest.raises(errors.ConfigError, match="copy the key again") as caught:
        config.target(_settings(tmp_path, "dev", token_file=str(key_file)))
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    with pytest.raises(errors.ConfigError, match="chmod 600"):
        config.target(_settings(tmp_path, "dev", token_file=str(key_file)))


def test_a_key_file_that_cannot_be_read_is_an_error_that_says_so(tmp_path: Path, key_file: Path) -> None:
    key_file.write_bytes(b"\xff\xfe")
    for name in (str(key_file), str(tmp_path / "nowhere"), str(tmp_path)):
        with pytest.raises(errors.ConfigError, match=r"cannot be read.*check --token-file"):
            config.target(_settings(tmp_path, "dev", token_file=name))


def test_a_key_in_place_of_the_path_of_its_file_is_not_shown(tmp_path: Path) -> None:
    for key in ("s3cr3t.s3cr3t.s3cr3t.s3cr3t", "s3cr3t" * 100):
        with pytest.raises(errors.ConfigError, match=r"may be the key itself.*check --token-file") as caught:
            config.target(_settings(tmp_path, "dev", token_file=key))
        assert "s3cr3t" not in str(caught.value)


def test_a_key_file_that_cannot_be_read_shows_at_the_rehearsal_already(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match=r"cannot be read.*check --token-file"):
        config.target(_settings(tmp_path, "sandbox", token_file=str(tmp_path / "nowhere")))


@pytest.fixture
def stdin() -> Iterator[io.RawIOBase]:
    """The writing end of what the process reads on its file 0."""
    reading, writing = os.pipe()
    kept = os.dup(0)
    os.dup2(reading, 0)
    os.close(reading)
    try:
        with open(writing, "wb", buffering=0) as pipe:  # noqa: PTH123  # a descriptor
            yield pipe
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def test_the_key_can_be_piped_in(tmp_path: Path, stdin: io.RawIOBase) -> None:
    stdin.write(b"piped-key\r\nmore")
    stdin.close()
    assert config.target(_settings(tmp_path, "dev", token_file="-")).token.reveal() == "piped-key"


@pytest.mark.parametrize("piped", [b"", b"\n", b"\xff\xfe\n", b"s3cr3t s3cr3t\n"])
def test_an_unfit_key_on_stdin_is_refused(tmp_path: Path, stdin: io.RawIOBase, piped: bytes) -> None:
    stdin.write(piped)
    stdin.close()
    with pytest.raises(errors.ConfigError, match="the key on stdin") as caught:
        config.target(_settings(tmp_path, "dev", token_file="-"))
    assert "s3cr3t" not in str(caught.value)


# The rehearsal CRM


def test_the_rehearsal_crm_is_found_by_its_address_file(tmp_path: Path) -> None:
    config.address_file(tmp_path).write_text('{"url": "http://127.0.0.1:8000/v2", "token": "t", "pid": 1}', "utf-8")
    target = config.target(_settings(tmp_path, "sandbox"))
    assert (target.base_url, target.token.reveal(), target.is_production) == ("http://127.0.0.1:8000/v2", "t", False)


def test_a_rehearsal_crm_that_does_not_run_is_told_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="start one with callimport sandbox"):
        config.target(_settings(tmp_path, "sandbox"))


def test_a_pipe_in_place_of_a_file_of_ours_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("sandbox.json", "accounts.json"):
        os.mkfifo(tmp_path / name)
    assert config.known_ledgers(tmp_path) == []
    with pytest.raises(errors.ConfigError, match="stop the rehearsal CRM and start it again"):
        config.target(_settings(tmp_path, "sandbox"))


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "{}", '{"url": "http://127.0.0.1"}', "null", '"x"', "[" * 100_000),
        *('{"url": "http://[", "token": "t", "pid": 1}', '{"url": [], "token": "t", "pid": 1}'),
        *('{"url": "http://127.0.0.1/v2", "token": "a b", "pid": 1}', '{"url": "", "token": "t", "pid": 1e400}'),
    ],
)
def test_an_address_file_that_cannot_be_read_is_an_error(tmp_path: Path, content: str) -> None:
    config.address_file(tmp_path).write_text(content, "utf-8")
    with pytest.raises(errors.ConfigError, match="stop the rehearsal CRM and start it again"):
        config.target(_settings(tmp_path, "sandbox"))


# The index of ledgers


def _remember(folder: Path, host: str, account: models.Account, token: str = _KEY) -> Path:
    target = config.Target(f"https://{host}/v2", privacy.Secret(token))
    path = config.ledger_path(folder, target.host, account)
    path.touch()
    config.remember_ledger(folder, target, account, path)
    return path


def test_one_account_has_one_file_whatever_its_host(tmp_path: Path) -> None:
    path = config.ledger_path(tmp_path, "[::1]:8000", _ACCOUNT)
    assert path == tmp_path / "ledgers" / "---1--8000-77.sqlite3"
    assert path.parent.is_dir()


def test_the_only_ledger_is_meant(tmp_path: Path) -> None:
    path = _remember(tmp_path, "crm.example", _ACCOUNT)
    # A new key to the same account is no second ledger.
    assert _remember(tmp_path, "crm.example", _ACCOUNT, token="renewed") == path
    assert config.find_ledger(_settings(tmp_path)) == path
    assert "renewed" not in (tmp_path / "accounts.json").read_text("utf-8")


def test_where_no_ledger_is_known_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="no ledger is known"):
        config.find_ledger(_settings(tmp_path))
    _remember(tmp_path, "crm.example", _ACCOUNT).unlink()
    with pytest.raises(errors.ConfigError, match="no ledger is known"):
        config.find_ledger(_settings(tmp_path))
    _remember(tmp_path, "crm.example", _ACCOUNT)
    told = f"no such ledger is known in .*, but of {_ACCOUNT.name} \\({_ACCOUNT.id}\\) at crm.example: name one"
    with pytest.raises(errors.ConfigError, match=told):
        config.find_ledger(_settings(tmp_path, account="999"))


def test_of_several_ledgers_none_is_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = _remember(tmp_path, "crm.example", _ACCOUNT)
    two = _remember(tmp_path, "crm.example", models.Account(78, "Autos Gagnon"), token="u")
    three = _remember(tmp_path, "api.dev.crm.activix.ca", _ACCOUNT)
    with pytest.raises(errors.ConfigError, match="several ledgers are known") as caught:
        config.find_ledger(_settings(tmp_path))
    assert str(one) in str(caught.value)
    for name in ("78", "Autos Gagnon", "autos gagnon"):
        assert config.find_ledger(_settings(tmp_path, account=name)) == two
    monkeypatch.setenv("CALLIMPORT_TOKEN", "t")
    assert config.find_ledger(_settings(tmp_path, "dev")) == three
    assert config.find_ledger(_settings(tmp_path, ledger=one)) == one


def test_a_ledger_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match=r"there is no ledger .*nowhere.sqlite3: check the path"):
        config.find_ledger(_settings(tmp_path, ledger=tmp_path / "nowhere.sqlite3"))


def test_a_ledger_named_by_a_relative_path_is_found_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person at a terminal names it, cron starts somewhere else."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("mine.sqlite3").touch()
    target = config.Target("https://crm.example", privacy.Secret("t"))
    config.remember_ledger(tmp_path, target, _ACCOUNT, Path("mine.sqlite3"))
    monkeypatch.chdir(tmp_path)
    assert config.find_ledger(_settings(tmp_path)) == tmp_path / "here" / "mine.sqlite3"


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", '{"x": {}}', '{"x": null}', '{"x": {"host": "h", "account_id": 1}}', "[" * 100_000),
        '{"x": {"host": "h", "account_id": "x", "account_name": "n", "ledger": "l"}}',
        '{"x": {"host": "h", "account_id": 1, "account_name": "n", "ledger": 5}}',
    ],
)
def test_an_index_that_cannot_be_read_is_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "accounts.json").write_text(content, "utf-8")
    assert config.known_ledgers(tmp_path) == []
    path = _remember(tmp_path, "crm.example", _ACCOUNT)
    assert config.known_ledgers(tmp_path) == [config.KnownLedger("crm.example", _ACCOUNT, path)]


def test_the_state_folder_is_private_and_not_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platformdirs, "user_state_path", lambda name: tmp_path / "state" / name)
    folder = config.state_dir(config.Settings(files=()))
    assert folder == tmp_path / "state" / "callimport"
    assert folder.stat().st_mode & 0o777 == 0o700


# The settings file and the environment


def test_a_value_without_end_is_refused_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "callimport.toml"
    path.write_text(f'timezone = "{"x" * 10_001}"', "utf-8")
    with pytest.raises(errors.ConfigError, match=r"callimport.toml sets \"timezone\" .*longer than 10,000"):
        config.defaults(str(path), _OPTIONS)
    monkeypatch.setenv("CALLIMPORT_TIMEZONE", "x" * 10_001)
    with pytest.raises(errors.ConfigError, match=r"CALLIMPORT_TIMEZONE is longer than 10,000"):
        config.defaults(None, _OPTIONS)


@pytest.mark.parametrize("text", ["9" * 5000 + "/min", "9" * 400 + "/min", "1/" + "9" * 400 + "s"])
def test_a_rate_of_thousands_of_digits_is_no_rate(text: str) -> None:
    with pytest.raises(errors.ConfigError, match="is not a rate"):
        config.rate(text)


def test_the_environment_wins_over_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "callimport.toml"
    path.write_text('timezone = "UTC"\nstate_dir = "/s"\nrate = ["3/s", "90/min"]\nlimit = 5\n', "utf-8")
    assert config.defaults(None, _OPTIONS) == {}
    from_file = {"timezone": "UTC", "state-dir": "/s", "rate": ["3/s", "90/min"], "limit": "5"}
    assert config.defaults(str(path), _OPTIONS) == from_file
    monkeypatch.setenv("CALLIMPORT_STATE_DIR", "/e")
    monkeypatch.setenv("CALLIMPORT_LIMIT", "7")
    assert config.defaults(str(path), _OPTIONS) == from_file | {"state-dir": "/e", "limit": "7"}
    monkeypatch.setenv("CALLIMPORT_STATE_DIR", "")
    assert config.defaults(None, _OPTIONS) == {"limit": "7"}
    monkeypatch.setenv("CALLIMPORT_CONFIG", str(path))
    assert config.defaults(None, _OPTIONS)["timezone"] == "UTC"


def test_a_token_and_what_is_no_option_are_not_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLIMPORT_TOKEN", "t")
    monkeypatch.setenv("CALLIMPORT_NONSENSE", "x")
    monkeypatch.setenv("LIMIT", "5")
    assert config.defaults(None, _OPTIONS | {"token", "config"}) == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('time_zone = "UTC"', '"time-zone", which is no option'),
        ('token = "s3cr3t"', "holds a token"),
        ('timezone = "UTC', "is not TOML"),
        ("\ufefftimezone = 1", "is not TOML"),
        ('[run]\ntimezone = "UTC"', '"run", which is no option'),
    ],
)
def test_a_wrong_settings_file_is_told_by_its_fault(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "callimport.toml"
    path.write_text(content, "utf-8")
    with pytest.raises(errors.ConfigError) as caught:
        config.defaults(str(path), _OPTIONS | {"token"})
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_a_settings_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"x = '\xe9'")
    for name in ("nowhere.toml", "latin.toml", "."):
        with pytest.raises(errors.ConfigError, match=r"cannot be read.*check --config"):
            config.defaults(str(tmp_path / name), _OPTIONS)


def test_the_index_is_private_and_keeps_no_key(tmp_path: Path) -> None:
    _remember(tmp_path, "crm.example", _ACCOUNT, token="s3cr3t")
    index = tmp_path / "accounts.json"
    assert index.stat().st_mode & 0o777 == 0o600
    assert "s3cr3t" not in index.read_text("utf-8")
    assert len(json.loads(index.read_text("utf-8"))) == 1


@pytest.mark.parametrize(("text", "days"), [("30d", 30), ("7", 7), (" 0D ", 0)])
def test_a_grace_is_a_number_of_days(text: str, days: int) -> None:
    assert config.days(text) == timedelta(days=days)


@pytest.mark.parametrize("text", ["", "d", "-1d", "1w", "999999d"])
def test_another_grace_is_an_error(text: str) -> None:
    with pytest.raises(errors.ConfigError, match="is no number of days: write it as 30d"):
        config.days(text)
