"""Who made or took a call: agent of the phone system → user of the CRM. Never a guess, and never the key's own user
unless that was decided."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

import polars as pl

from callimport.core import errors, models, plurals
from callimport.core.settings import Settings
from callimport.resolve import agents_file
from callimport.resolve.agents_file import AgentsFile, known_as

AGENT_COLUMNS = ("agent_email", "agent_name", "agent_extension")
# Those by which the CRM's users can be told.
_OF_THE_CRM = ("agent_email", "agent_name")
_IN_TABLE = (*AGENT_COLUMNS, "_day")
_SHOWN = 10
_HOW = "or decide with --unknown-agent omit or default:ID"


@dataclass(frozen=True, slots=True)
class UnknownAgent:
    """What becomes of an answered call whose agent is not known (`--unknown-agent`)."""

    policy: Literal["reject", "omit", "default"]
    default_id: int | None = None

    @classmethod
    def parse(cls, text: str) -> "UnknownAgent":
        """Of `reject`, `omit` or `default:ID`. Raises ConfigError."""
        policy, _, number = text.partition(":")
        if text == "reject":
            return cls("reject")
        if text == "omit":
            return cls("omit")
        if policy == "default" and number.isascii() and number.isdigit() and int(number) > 0:
            return cls("default", int(number))
        raise errors.ConfigError(
            f'--unknown-agent "{text}" is not known; use reject, omit or default:ID with a user\'s number in the CRM'
        )

    @property
    def complaint(self) -> models.Reason | None:
        """What is wrong with an answered row that names nobody; None if that is no fault."""
        if self.policy != "reject":
            return None
        return models.Reason("agent_unknown", f"agent_id is missing; fill it in, {_HOW}")


class Agent(NamedTuple):
    """As a row names somebody; None is what it does not say."""

    email: str | None
    name: str | None
    extension: str | None

    def __str__(self) -> str:
        return self.name or self.email or f"extension {self.extension}"


@dataclass(frozen=True, slots=True)
class Found:
    """Who an agent is: a user's id, or why that is not known. `is_open`: the CRM's users are still to be asked. `left`
    is the user whom the agents file names, and who is not active."""

    user_id: int | None = None
    reason: models.Reason | None = None
    is_open: bool = False
    left: int | None = None


class Agents:
    """Of one run. `users` are the account's active ones, None as long as nobody has asked the CRM."""

    def __init__(self, unknown: UnknownAgent, file: AgentsFile | None = None, zone: str | None = None) -> None:
        """`zone` is that of the days in the file. Raises ConfigError where days are given and no zone is."""
        if file is not None and file.has_periods and zone is None:
            raise errors.ConfigError(
                "from and until of the agents file are days in a time zone, and none is known: state it, as in "
                "--timezone America/Toronto"
            )
        self.unknown = unknown
        self.file = file
        self._of_days = zone
        self.users: tuple[models.User, ...] | None = None
        self._entries = file.entries if file else ()
        self._names_emails = file is not None and file.names_emails
        self._zone = zone if file is not None and file.has_periods else None
        self._unknown: Counter[str] = Counter()
        self._unanswered = 0
        self._open: Counter[str] = Counter()
        self._ids: Counter[int] = Counter()

    @classmethod
    def of(cls, settings: Settings, zone: str | None) -> "Agents":
        """As asked for. Raises ConfigError and what `agents_file.read` raises."""
        file = agents_file.read(settings.agents) if settings.agents else None
        return cls(UnknownAgent.parse(settings.unknown_agent), file, zone)

    def anew(self) -> "Agents":
        """Return the same without counts and without users."""
        return Agents(self.unknown, self.file, self._of_days)

    @property
    def has_open(self) -> bool:
        """Whether somebody was met whom only the CRM's users can tell."""
        return bool(self._open)

    def may_need_users(self, columns: Iterable[str]) -> bool:
        """Whether rows that say something for these canonical columns may not be resolved without the CRM's users."""
        named = set(columns) & set(AGENT_COLUMNS)
        return bool(named & set(_OF_THE_CRM)) or (bool(named) and self._names_emails)

    def may_check_users(self, columns: Iterable[str]) -> bool:
        """Whether the agents file names users of whom the CRM may say that they are not active."""
        return self.file is not None and bool(set(columns) & set(AGENT_COLUMNS))

    def resolve(self, calls: pl.DataFrame, zone: str | None = None) -> tuple[pl.DataFrame, dict[int, models.Reason]]:
        """`calls` with executed_by, who the CRM is told conducted the call (null: nobody is named); and, by `_row`, why
        the row is a reject. `zone` is the zone of the calls' days, if these files have a zone of their own.

        A call that nobody answered needs no agent, and names an agent only if that agent is known. An agent that only
        the CRM's users can tell is no reject as long as nobody has asked."""
        day = pl.lit(None, pl.Date)
        if self._zone is not None:
            day = pl.col("started_at").dt.convert_time_zone(zone or self._zone).dt.date()
        calls = calls.with_columns(day.alias("_day"))
        found = self._found(calls)
        if found.agents:
            stated = calls.join(found.table, on=_IN_TABLE, how="left", nulls_equal=True, maintain_order="left")
        else:
            nobody = pl.lit(None, pl.Int64)
            stated = calls.with_columns(nobody.alias("_user"), nobody.alias("_finding"))
        stated = stated.with_columns(pl.coalesce("agent_id", "_user").alias("_user"))
        is_answered = pl.col("status") == "answered"
        unknown = stated.filter(pl.col("_user").is_null()).select("_row", "_finding", is_answered.alias("_answered"))
        self._count(found, unknown, stated["_user"])
        default = pl.when(is_answered).then(pl.lit(self.unknown.default_id, dtype=pl.Int64))
        resolved = stated.with_columns(pl.coalesce("_user", default).alias("executed_by"))
        return resolved.drop("_day", "_user", "_finding"), dict(self._complaints(found, unknown))

    def told(self) -> tuple[str, ...]:
        """What a person should know of the agents of this run, a line each."""
        told: list[str] = []
        if self._open:
            told.append(f"{_calls(self._open)} of agents to be looked up among the CRM's users: {_names(self._open)}")
        if self._unknown:
            ending = {
                "reject": "rejected unless they were sent before",
                "omit": "the CRM will name nobody, or the key's own user (--unknown-agent omit)",
                "default": f"credited to user {self.unknown.default_id} (--unknown-agent default)",
            }[self.unknown.policy]
            told.append(f"{_calls(self._unknown)} of agents who are not known, {ending}: {_names(self._unknown)}")
        if self._unanswered:
            told.append(
                f"{plurals.calls(self._unanswered)} that nobody answered, without a known agent: the CRM will name "
                "nobody, or the key's own user"
            )
        active = {user.id for user in self.users or ()}
        gone = Counter({f"user {one}": count for one, count in self._ids.items() if one not in active})
        if self.users is not None and gone:
            told.append(f"{_calls(gone)} of users who are not active in the CRM any more: {_names(gone)}")
        return tuple(told)

    def _found(self, calls: pl.DataFrame) -> "_Findings":
        """Of everybody who is named in `calls` without an agent_id."""
        is_named = pl.any_horizontal(pl.col(AGENT_COLUMNS).is_not_null())
        named = calls.filter(pl.col("agent_id").is_null() & is_named).select(_IN_TABLE).unique(maintain_order=True)
        agents = [Agent(*row[:3]) for row in named.iter_rows()]
        found = [self._find(agent, day or date.min) for agent, day in zip(agents, named["_day"].to_list(), strict=True)]
        users = pl.Series("_user", [one.user_id for one in found], dtype=pl.Int64)
        numbered = pl.Series("_finding", range(len(found)), dtype=pl.Int64)
        return _Findings(agents, found, named.with_columns(users, numbered))

    def _find(self, agent: Agent, day: date) -> Found:
        """By the file first, then among the CRM's users by email, then by a name that only one of them has."""
        email, name, extension = (known_as(text) for text in agent)
        stated = {
            entry.target
            for entry in self._entries
            if entry.holds_on(day)
            and (
                (entry.extension and entry.extension == extension)
                or (entry.name and entry.name == name)
                or (entry.login and entry.login in (email, name))
                or (entry.user_id and entry.email and entry.email == email)
            )
        }
        if len(stated) > 1:
            whom = " and ".join(sorted(map(str, stated)))
            return _ambiguous(f'"{agent}" is {whom} by the agents file; leave one of them there, {_HOW}')
        emails = [email] if email else []
        for target in stated:
            if isinstance(target, int):
                return self._by_id(agent, target)
            emails = [target]
        if self.users is None and (emails or name):
            return Found(is_open=True)
        return self._among_users(agent, emails, "" if stated else name)

    def _by_id(self, agent: Agent, user_id: int) -> Found:
        if self.users is None or any(user.id == user_id for user in self.users):
            return Found(user_id)
        told = f'"{agent}" is user {user_id} by the agents file, who is no active user of the CRM'
        return Found(reason=_unknown(told), left=user_id)

    def _among_users(self, agent: Agent, emails: list[str], name: str) -> Found:
        users = self.users or ()
        for of_email in ([user for user in users if known_as(user.email) == email] for email in emails):
            if of_email:
                return Found(of_email[0].id) if len(of_email) == 1 else _several(agent, of_email)
        of_name = [user for user in users if name and known_as(user.name) == name]
        if len(of_name) == 1:
            return Found(of_name[0].id)
        if of_name:
            return _several(agent, of_name)
        if emails and emails != [known_as(agent.email)]:
            who = f'"{agent}" is {emails[0]} by the agents file, who is no active user of the CRM'
        else:
            who = f'"{agent}" is no active user of the CRM' if emails or name else f'"{agent}" stands in no agents file'
        return Found(reason=_unknown(who))

    def _count(self, found: "_Findings", unknown: pl.DataFrame, users: pl.Series) -> None:
        for number, is_answered, count in unknown.group_by("_finding", "_answered").len().iter_rows():
            if number is not None and found.found[number].is_open:
                self._open[str(found.agents[number])] += count
            elif not is_answered:
                self._unanswered += count
            else:
                self._unknown["nobody named" if number is None else str(found.agents[number])] += count
                if number is not None and (left := found.found[number].left) is not None:
                    self._ids[left] += count
        if self.users is not None:
            self._ids.update(dict(users.drop_nulls().value_counts().iter_rows()))

    def _complaints(self, found: "_Findings", unknown: pl.DataFrame) -> Iterator[tuple[int, models.Reason]]:
        if self.unknown.complaint is None:
            return
        for row, number in unknown.filter("_answered").select("_row", "_finding").iter_rows():
            reason = self.unknown.complaint if number is None else found.found[number].reason
            if reason is not None:
                yield row, reason


@dataclass(frozen=True, slots=True)
class _Findings:
    """`table` has the columns of _IN_TABLE, `_user`, and `_finding`: the position in the two lists."""

    agents: list[Agent]
    found: list[Found]
    table: pl.DataFrame


def _unknown(told: str) -> models.Reason:
    return models.Reason("agent_unknown", f"{told}; name the user in --agents FILE, {_HOW}")


def _several(agent: Agent, users: list[models.User]) -> Found:
    ids = " and ".join(str(user.id) for user in sorted(users, key=lambda user: user.id))
    return _ambiguous(f'"{agent}" may be users {ids} of the CRM; say which in --agents FILE, {_HOW}')


def _ambiguous(told: str) -> Found:
    return Found(reason=models.Reason("agent_ambiguous", told))


def _calls(counts: Counter[str]) -> str:
    return plurals.calls(counts.total())


def _names(counts: Counter[str]) -> str:
    """The most frequent first."""
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return ", ".join(f"{name} ({count:,})" for name, count in ordered[:_SHOWN]) + more
