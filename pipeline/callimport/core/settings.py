"""Where settings come from. The only reader of the environment: flag > environment > file > default."""

import contextlib
import hashlib
import ipaddress
import json
import os
import re
import stat
import tomllib
from collections.abc import Set
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, available_timezones

import platformdirs

from callimport.core import errors, limits, models, phones, privacy
from callimport.core import files as private_files

PREFIX = "CALLIMPORT_"
DESTINATIONS = {
    "production": "https://api.crm.activix.ca/v2",
    "dev": "https://api.dev.crm.activix.ca/v2",
}
SANDBOX = "sandbox"
PRODUCTION_HOST = "api.crm.activix.ca"
DEFAULT_RATE = "190/min"
ALLOWED_PER_MINUTE = 200
# The vendor names no limit. What is larger than this, a usual web server turns away, and not always in words.
LARGEST_RECORDING_MB = 16.0
_USUAL_PORT = {"http": 80, "https": 443}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_UNITS = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "hour": 3600.0}
_PROXY_VARIABLE = re.compile(r"(https?|all|no)_proxy", re.IGNORECASE)
_CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
_LONGEST_HOST = 253
_LONGEST_LINE = 64 * 1024
_LONGEST_SHOWN = 100
_LONGEST_VALUE = 10_000
_SHORTEST_KEY = 20
# Variables of ours that are not options.
_RESERVED = {"token", "config"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for, checked and typed. What shapes calls and what only shapes the sending stand together."""

    files: tuple[str, ...]
    profile: str | None = None
    system: str | None = None
    timezone: str | None = None
    ambiguous_hour: Literal["reject", "first", "second"] = "reject"
    since: date | None = None
    until: date | None = None
    leads: Path | None = None
    find_leads: bool = False
    several_leads: str = "reject"
    lead_grace: timedelta = timedelta(days=30)
    agents: Path | None = None
    agent: Literal["first", "last", "longest"] = "last"
    unknown_agent: str = "reject"
    region: str = "CA"
    outside_line: str | None = None
    area_code: str = ""
    own_numbers: tuple[str, ...] = ()
    exclude_numbers: Path | None = None
    only: str | None = None
    min_duration: int = 0
    reference: bool = True
    destination: str | None = None
    account: str | None = None
    ledger: Path | None = None
    state_dir: Path | None = None
    token_file: str | None = None
    rates: tuple[models.Rate, ...] = ()
    concurrency: int = 8
    settle: float = 180.0
    limit: int | None = None
    pilot: int | None = None
    rejects: Path | None = None
    unknown_callers: Path | None = None
    draft_agents: Path | None = None
    force: bool = False
    dry_run: bool = False
    plan: str | None = None
    resume: str | None = None
    first_run: bool = False
    adopt: bool = False
    existing: Literal["skip", "report", "send"] = "skip"
    recordings: Path | None = None
    recordings_only: bool = False
    max_recording: float = LARGEST_RECORDING_MB
    on_change: Literal["update", "skip", "report"] = "update"
    overwrite: bool = False
    allow_updates: int | None = None
    max_rejects: limits.MaxRejects | None = None
    max_duration: timedelta | None = None
    fail_on: frozenset[str] = frozenset()

    @property
    def dialling(self) -> phones.Dialling:
        return phones.Dialling(self.region, self.outside_line, self.area_code)


@dataclass(frozen=True, slots=True)
class Target:
    """A CRM that was named, and the key to it."""

    base_url: str
    token: privacy.Secret
    is_production: bool = False

    @property
    def host(self) -> str:
        """With the port where it is not the usual one: one CRM has one name here, however its address is written."""
        parts = urlsplit(self.base_url)
        host = _hostname(parts)
        host = f"[{host}]" if ":" in host else host
        return host if parts.port in (None, _USUAL_PORT.get(parts.scheme)) else f"{host}:{parts.port}"


@dataclass(frozen=True, slots=True)
class KnownLedger:
    """A line of the index: which account's ledger lies where, known without asking the CRM."""

    host: str
    account: models.Account
    path: Path


def defaults(config_file: str | None, options: Set[str]) -> dict[str, Any]:
    """The values of options, by dashed name, that the environment or else the settings file gives.

    `options` names those of all commands. ConfigError for a file that cannot be read or a key that no command has.
    """
    path = config_file or os.environ.get(f"{PREFIX}CONFIG")
    given = _from_file(Path(path), options) if path else {}
    for variable, value in os.environ.items():
        name = variable.removeprefix(PREFIX).lower().replace("_", "-")
        # An empty variable counts as unset: an empty state folder would be the folder that somebody works in.
        if value and variable.startswith(PREFIX) and name in options and name not in _RESERVED:
            if len(value) > _LONGEST_VALUE:
                raise errors.ConfigError(f"{variable} is longer than {_LONGEST_VALUE:,} characters: shorten it")
            given[name] = value
    return given


def unset_impossible_terminal_size() -> None:
    """Unset COLUMNS and LINES if no terminal has such a size. At a width of 0, nothing would be printed."""
    for name in ("COLUMNS", "LINES"):
        if name in os.environ and not re.fullmatch(r"[1-9][0-9]{0,4}", os.environ[name]):
            del os.environ[name]


def variables() -> tuple[str, ...]:
    """Names in the environment that are meant for us, known or not."""
    return tuple(sorted(name for name in os.environ if name.startswith(PREFIX)))


def proxy_variables() -> str:
    """Return the names of the proxy variables that are set, such as `HTTPS_PROXY, NO_PROXY`.

    The values stay out: they may hold passwords.
    """
    return ", ".join(sorted(name for name, value in os.environ.items() if value and _PROXY_VARIABLE.fullmatch(name)))


def check_proxies() -> None:
    """Raise ConfigError if a proxy variable holds no address that can be used. Its value may hold a password, so it is
    not shown."""
    for name, value in os.environ.items():
        if value and _PROXY_VARIABLE.fullmatch(name) and name.lower() != "no_proxy":
            try:
                parts = urlsplit(value if "://" in value else f"http://{value}")
                is_sound = bool(parts.hostname) and parts.port != 0 and parts.scheme in ("http", "https")
            except ValueError:
                is_sound = False
            if not is_sound:
                raise errors.ConfigError(
                    f"the proxy in {name} cannot be used: write it as http://host:port (SOCKS is not supported), or "
                    f"unset {name}"
                )


def certificate_variables() -> str:
    """Return the variables that change which certificates are trusted, with their values. "" if none is set."""
    return ", ".join(f"{name}={os.environ[name]}" for name in _CERTIFICATE_VARIABLES if os.environ.get(name))


def rate(text: str) -> models.Rate:
    """`190/min`, `3/s`, `2000/h`, `50/10s`. ConfigError otherwise."""
    found = re.fullmatch(r"(\d{1,9})\s*/\s*(\d{1,9}(?:\.\d{1,9})?)?\s*([a-z]+)", text.strip().lower())
    if not found or found[3] not in _UNITS or int(found[1]) < 1 or float(found[2] or 1) <= 0:
        raise errors.ConfigError(f'--rate "{text}" is not a rate: write it as 190/min, 3/s or 2000/h')
    return models.Rate(int(found[1]), float(found[2] or 1) * _UNITS[found[3]])


def days(text: str) -> timedelta:
    """`30d`, or `30`. ConfigError otherwise."""
    found = re.fullmatch(r"(\d{1,5})\s*d?", text.strip().lower())
    if not found:
        raise errors.ConfigError(f'--lead-grace "{text}" is no number of days: write it as 30d, or 0d for none')
    return timedelta(days=int(found[1]))


def timezone(name: str | None) -> str | None:
    """A zone of the IANA database, such as America/Toronto. ConfigError otherwise."""
    # EST and its like have no summer time: half a year of calls would be an hour off.
    if name is None or (name in available_timezones() and ("/" in name or name in ("UTC", "GMT"))):
        return name and ZoneInfo(name).key
    raise errors.ConfigError(f'--timezone "{name}" is not known: write it as America/Toronto, Europe/Paris or UTC')


def state_dir(settings: Settings) -> Path:
    """Where ledgers, locks, the index and the rehearsal CRM's address lie: never the working directory."""
    folder = state_path(settings)
    private_files.make_private(folder)
    return folder


def state_path(settings: Settings) -> Path:
    """The same folder, which may not exist yet."""
    return settings.state_dir or platformdirs.user_state_path("callimport")


def target(settings: Settings) -> Target:
    """The CRM that was named and the key to it. ConfigError where either is unfit; a key file, at a rehearsal too."""
    if settings.destination is None:
        raise errors.ConfigError(
            "no destination is assumed: name one with --destination sandbox, dev, production or an https address"
        )
    from_environment = _token_of_environment()
    if settings.destination == SANDBOX:
        if settings.token_file not in (None, "-"):
            _token_of_file(settings.token_file)
        return _sandbox(state_dir(settings))
    base_url = DESTINATIONS.get(settings.destination, settings.destination)
    check_address(base_url)
    token, why_not = (from_environment, "") if from_environment else _token_of_keyring(base_url)
    token = token or _token_of_file(settings.token_file)
    if token is None:
        raise errors.ConfigError(
            f"no key to the CRM: set CALLIMPORT_TOKEN, or give --token-file PATH (- for stdin){why_not}"
        )
    return Target(base_url, token, is_production=_hostname(urlsplit(base_url)) == PRODUCTION_HOST)


def check_address(base_url: str) -> None:
    """ConfigError unless the address is https, or http on this very machine."""
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    is_plain = re.fullmatch(r"[\x21-\x7e]{1,2000}", base_url) and not any(mark in base_url for mark in "@?#\\")
    if not host or parts.scheme not in ("http", "https") or not is_plain or parts.port == 0 or not _is_host(host):
        # What stands before an @ or after a ? may be a key.
        shown = re.sub(r"//.*@", "//[hidden]@", base_url).partition("?")[0][:_LONGEST_SHOWN]
        raise errors.ConfigError(
            f'the destination "{shown}" is not an address: name sandbox, dev, production or https://host/v2'
        )
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise errors.ConfigError(
            f"the destination {host} is http: a key is sent over https only (http is for this machine's own loopback)"
        )


def _is_host(name: str) -> bool:
    """Whether the name can be a host: an IP address, or labels of letters, digits and hyphens."""
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    try:
        # The standard library refuses empty labels, long labels and encoded names (xn--) that do not decode.
        labels = name.encode("ascii").decode("idna").removesuffix(".").split(".")
    except UnicodeError:
        return False
    is_word = all(re.fullmatch(r"[^\W_](?:[\w-]{,61}[^\W_])?", label) for label in labels)
    return is_word and not labels[-1].isdigit() and len(name) <= _LONGEST_HOST


def remember_ledger(folder: Path, target: Target, account: models.Account, path: Path) -> None:
    """Note in the index where this account's ledger lies, so that it is found offline."""
    index = _read_index(folder)
    index[_index_key(target)] = {
        "host": target.host,
        "account_id": account.id,
        "account_name": account.name,
        "ledger": str(path.absolute()),
    }
    with private_files.opened(folder / "accounts.json") as file:
        json.dump(index, file, indent=1)


def ledger_path(folder: Path, host: str, account: models.Account) -> Path:
    """One file an account: `ledgers/<host>-<account id>.sqlite3`."""
    private_files.make_private(folder / "ledgers")
    return folder / "ledgers" / f"{re.sub(r'[^A-Za-z0-9.-]', '-', host)}-{account.id}.sqlite3"


def find_ledger(settings: Settings) -> Path:
    """The ledger that is meant, without asking the CRM: the one named, or the only one known. ConfigError otherwise."""
    if settings.ledger is not None:
        if not settings.ledger.is_file():
            raise errors.ConfigError(
                f"there is no ledger {settings.ledger}: check the path; run prints it at its start"
            )
        return settings.ledger
    folder = state_dir(settings)
    known = every = [one for one in known_ledgers(folder) if one.path.is_file()]
    if settings.destination is not None:
        host = _host_named(settings.destination, folder)
        known = [one for one in known if one.host == host]
    if settings.account is not None:
        wanted = settings.account.casefold()
        known = [one for one in known if wanted in (str(one.account.id), one.account.name.casefold())]
    paths = sorted({one.path for one in known})
    if not paths:
        others = "; ".join(sorted({f"{one.account.name} ({one.account.id}) at {one.host}" for one in every}))
        which = f"such ledger is known in {folder}, but of {others}" if others else f"ledger is known in {folder}"
        raise errors.ConfigError(f"no {which}: name one with --ledger, or run an import first")
    if len(paths) > 1:
        raise errors.ConfigError(f"several ledgers are known: name one with --ledger: {', '.join(map(str, paths))}")
    return paths[0]


def ledger_of(folder: Path, host: str, account: models.Account) -> Path:
    """The ledger this account had last, wherever that was; else its place by default."""
    for one in known_ledgers(folder):
        if (one.host, one.account.id) == (host, account.id) and one.path.is_file():
            return one.path
    return ledger_path(folder, host, account)


def _host_named(destination: str, folder: Path) -> str:
    """The host of a destination; no key is needed for that."""
    if destination == SANDBOX:
        return _sandbox(folder).host
    base_url = DESTINATIONS.get(destination, destination)
    check_address(base_url)
    return Target(base_url, privacy.Secret("")).host


def known_ledgers(folder: Path) -> list[KnownLedger]:
    """What the index tells; a line of it that cannot be read is as none."""
    known = []
    for one in _read_index(folder).values():
        with contextlib.suppress(KeyError, TypeError, ValueError):
            whose = models.Account(int(one["account_id"]), str(one["account_name"]))
            known.append(KnownLedger(str(one["host"]), whose, Path(one["ledger"])))
    return known


def address_file(folder: Path) -> Path:
    """Where the rehearsal CRM says that it is running."""
    return folder / "sandbox.json"


def _sandbox(folder: Path) -> Target:
    path = address_file(folder)
    try:
        address = private_files.read_json(path)
        process, base_url = int(address["pid"]), str(address["url"])
        token = _fit_token(str(address["token"]), f"the key in {path}")
        check_address(base_url)
    except FileNotFoundError:
        raise errors.ConfigError(
            f"no rehearsal CRM is running (there is no {path}): start one with callimport sandbox"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, errors.ConfigError):
        raise errors.ConfigError(f"{path} cannot be read: stop the rehearsal CRM and start it again") from None
    if not _is_alive(process):
        raise errors.ConfigError("the rehearsal CRM does not run any more: start it again with callimport sandbox")
    return Target(base_url, token)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _token_of_environment() -> privacy.Secret | None:
    value = os.environ.get(f"{PREFIX}TOKEN")
    return None if value is None else _fit_token(value, "CALLIMPORT_TOKEN")


def _token_of_keyring(base_url: str) -> tuple[privacy.Secret | None, str]:
    """Return the key, and why the keyring could not be read. A keyring may be locked, and may raise any error."""
    try:
        import keyring
    except ImportError:
        return None, ""
    try:
        value = keyring.get_password("callimport", urlsplit(base_url).netloc)
    except Exception as error:  # noqa: BLE001 - told if no key is found elsewhere
        return None, f"; the keyring cannot be used ({type(error).__name__}: {error})"
    return (None if value is None else _fit_token(value, "the key in the keyring")), ""


def _token_of_file(name: str | None) -> privacy.Secret | None:
    if name is None:
        return None
    if name == "-":
        return _fit_token(_first_line_of_stdin(), "the key on stdin")
    path = Path(name)
    try:
        mode = path.stat().st_mode
        value = private_files.read_text(path)
    except (OSError, ValueError) as error:
        # Somebody may have given the key in place of a path.
        shown = path if len(path.parts) > 1 or len(name) < _SHORTEST_KEY else "[hidden, as it may be the key itself]"
        raise errors.ConfigError(f"the key file {shown} cannot be read: {_cause(error)}; check --token-file") from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise errors.ConfigError(f"the key file {path} can be read by others: chmod 600 {path}")
    return _fit_token(value.rstrip("\r\n"), f"the key in {path}")


def _first_line_of_stdin() -> str:
    try:
        with open(0, encoding="utf-8", closefd=False) as stdin:
            return stdin.readline(_LONGEST_LINE).rstrip("\r\n")
    except (OSError, ValueError):
        raise errors.ConfigError("the key on stdin cannot be read: check what is piped into --token-file -") from None


def _fit_token(value: str, where: str) -> privacy.Secret:
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        what = "is empty" if not value else "holds a blank, a line break or another character that no key has"
        raise errors.ConfigError(f"{where} {what}: copy the key again, whole and on one line")
    return privacy.Secret(value)


def _from_file(path: Path, known: Set[str]) -> dict[str, Any]:
    try:
        text = private_files.read_text(path)
    except (OSError, ValueError) as error:
        raise errors.ConfigError(f"the settings file {path} cannot be read: {_cause(error)}; check --config") from None
    try:
        given = {name.replace("_", "-"): value for name, value in tomllib.loads(text).items()}
    except tomllib.TOMLDecodeError as error:
        raise errors.ConfigError(f"the settings file {path} is not TOML: {error}; mend that line") from None
    except (ValueError, RecursionError) as error:
        # A number with thousands of digits, or thousands of nested tables.
        raise errors.ConfigError(
            f"the settings file {path} cannot be read as TOML: {error}; shorten that value"
        ) from None
    for name, value in given.items():
        if name == "token":
            raise errors.ConfigError(f"{path} holds a token: keep it out of there; set CALLIMPORT_TOKEN or token-file")
        if name not in known:
            raise errors.ConfigError(
                f'{path} sets "{name[:_LONGEST_SHOWN]}", which is no option: callimport run --help lists them'
            )
        try:
            given[name] = _as_given(value)
        except (ValueError, RecursionError) as error:
            raise errors.ConfigError(
                f'{path} sets "{name}" to a value that no option takes ({error}): remove it'
            ) from None
    return given


def _as_given(value: Any) -> Any:
    """A TOML value as the command line would give it: text, or a list of it; what is on or off stays so."""
    if isinstance(value, list):
        return [_as_given(one) for one in value]
    if isinstance(value, dict):
        raise ValueError("it holds a table")
    if "\0" in str(value):
        raise ValueError("it holds the character NUL")
    if len(str(value)) > _LONGEST_VALUE:
        raise ValueError(f"it is longer than {_LONGEST_VALUE:,} characters")
    return value if isinstance(value, bool) else str(value)


def _read_index(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        index = private_files.read_json(folder / "accounts.json")
    except (OSError, ValueError):
        return {}
    return index if isinstance(index, dict) else {}


def _hostname(parts: SplitResult) -> str:
    return (parts.hostname or "").rstrip(".")


def _index_key(target: Target) -> str:
    fingerprint = hashlib.sha256(target.token.reveal().encode()).hexdigest()[:16]
    return f"{target.host} {fingerprint}"


def _cause(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or "unreadable"
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
