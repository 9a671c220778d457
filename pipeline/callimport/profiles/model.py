"""The values a recipe is made of once it is checked; what each says, with examples:
schemas/callimport_schemas/profiles/README.md."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

# ── where a text comes from ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Cell:
    """A column of the file; with `extract`, the first group of that pattern, blank where it is not found."""

    column: str
    extract: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """Cells put into a text: `template` names them in braces, `columns` are those names. Blank where one is blank."""

    template: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class First:
    """The first of these that is not blank."""

    of: tuple["Origin", ...]


@dataclass(frozen=True, slots=True)
class Sides:
    """One or the other, by the direction of the call."""

    incoming: "Origin"
    outgoing: "Origin"


@dataclass(frozen=True, slots=True)
class Span:
    """The seconds from one time to another."""

    since: "Origin"
    until: "Origin"


Origin: TypeAlias = Cell | Text | First | Sides | Span


def columns_of(origin: Origin) -> tuple[str, ...]:
    """Every column of the file that an origin looks at."""
    match origin:
        case Cell():
            return (origin.column,)
        case Text():
            return origin.columns
        case First():
            return tuple(column for part in origin.of for column in columns_of(part))
        case Sides():
            return columns_of(origin.incoming) + columns_of(origin.outgoing)
        case Span():
            return columns_of(origin.since) + columns_of(origin.until)


# ── what is true of a row ────────────────────────────────────────────────────────────────────────────────────────────

Test: TypeAlias = Literal[
    "equals", "in", "matches", "blank", "positive", "is", "longest", "has", "direction", "all", "any", "not"
]


@dataclass(frozen=True, slots=True)
class Condition:
    """One test. `words` are what it compares with (in small letters for equals and in), `parts` what it combines."""

    test: Test
    column: str = ""
    words: tuple[str, ...] = ()
    parts: tuple["Condition", ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        own = (self.column,) if self.column else ()
        return own + tuple(column for part in self.parts for column in part.columns)

    def walk(self) -> Iterator["Condition"]:
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(frozen=True, slots=True)
class Rule:
    """Where the condition holds, this is so. Of a list of rules the first that holds counts."""

    then: str
    when: Condition


# ── the shapes a file may have ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Header:
    """A version of the header: the columns that must be there, and others that the recipe looks at if they are."""

    name: str
    needs: tuple[str, ...]
    may: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Headerless:
    """A file without a header: its columns in their order, of which the last ones may be missing down to `at_least`,
    and what must hold for its rows to be recognised."""

    name: str
    columns: tuple[str, ...]
    at_least: int
    recognised_by: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Lack:
    """A column whose absence is worth a word to the user."""

    column: str
    says: str


@dataclass(frozen=True, slots=True)
class Zone:
    """How the zone of a time without an offset is known for sure: `fixed`, the same for all; `column`, an IANA name in
    each row; `epoch`, seconds since 1970 in each row, so that the offset is what lies between it and the time."""

    by: Literal["fixed", "column", "epoch"]
    name: str = ""
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """Rows without an id of their call are one call where they have the same text in `join` and each begins at most
    `within` seconds after the last that began before it has ended. `length` is how long a row took, ringing and all."""

    join: Origin
    length: Origin
    within: int


@dataclass(frozen=True, slots=True)
class Legs:
    """Rows with the same text in `join` are one call, and so are the rows of a `chain`. `winner` says which row stands
    for the call, most important first. Its talk is the winner's, or the sum of the answered rows. `leg` is the
    id of a row.

    Two kinds of rows name no customer. A row for which `internal` holds is between our own devices; it joins the
    customer's call with the same text in `join`. A row for which `forwarded` holds has the number that the call was
    sent on to.
    """

    join: Origin
    winner: tuple[str, ...]
    talk: Literal["winner", "sum"]
    leg: Origin | None = None
    chain: Chain | None = None
    internal: Condition | None = None
    forwarded: Condition | None = None


@dataclass(frozen=True, slots=True)
class FileName:
    """What the file name of a recording tells of its call: a pattern (Python's) whose groups are `number`, the
    customer's, and `id`, `epoch` (Unix seconds) or `date` and `time` (digits, in the zone of the export)."""

    pattern: str
    direction: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """One recipe, checked. `columns`, `values` and `constants` are keyed by canonical column, the words of `values` by
    the word in the file, in small letters ("*" is any other word); `aliases` by the name that the profile uses.
    `not_blank` has words, in small letters, that are values in this export and blanks in others."""

    name: str
    version: int
    title: str
    system: str
    identity: bool
    other_columns: Literal["error", "ignore"]
    columns: Mapping[str, Origin]
    zone: str | None = None
    zone_rule: Zone | None = None
    time_form: str = "iso"
    duration_form: str = "seconds"
    blank_caller: Literal["missing", "anonymous"] = "missing"
    outside_line: str = ""
    unverified: bool = False
    optional: tuple[str, ...] = ()
    headers: tuple[Header, ...] = ()
    headerless: tuple[Headerless, ...] = ()
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    second_header: str | None = None
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    direction: tuple[Rule, ...] = ()
    status: tuple[Rule, ...] = ()
    machine: tuple[Rule, ...] = ()
    drop: tuple[Rule, ...] = ()
    damaged: tuple[Rule, ...] = ()
    no_agent: Condition | None = None
    own_numbers: tuple[str, ...] = ()
    not_blank: tuple[str, ...] = ()
    legs: Legs | None = None
    export: str = ""
    lacks: tuple[Lack, ...] = ()
    recordings: tuple[FileName, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that shapes calls; title, advice, names of recordings, comments and order do not."""
        content = dataclasses.asdict(self) | {"optional": sorted(self.optional)}
        for told in ("title", "export", "lacks", "recordings", "unverified"):
            del content[told]
        # A profile without an outside line keeps the fingerprint of batches from before there was this key.
        if not self.outside_line:
            del content["outside_line"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that a file must have whichever version it is of."""
        first, *others = (header.needs for header in self.headers) if self.headers else ((),)
        return tuple(name for name in first if all(name in needs for needs in others))

    @property
    def known(self) -> tuple[str, ...]:
        """Columns that a file may have, by the names that the recipe uses."""
        named: list[str] = [column for origin in self.origins() for column in columns_of(origin)]
        for header in self.headers:
            named += header.needs + header.may
        for layout in self.headerless:
            named += layout.columns
        return tuple(dict.fromkeys(named))

    @property
    def used(self) -> tuple[str, ...]:
        """Columns that calls are made of."""
        named = [column for origin in self.origins() for column in columns_of(origin)]
        named += [column for condition in self.conditions() for column in condition.columns if condition.test != "has"]
        return tuple(dict.fromkeys((*named, *self.own_numbers)))

    @property
    def times(self) -> tuple[str, ...]:
        """Columns that hold times: the start of a call, the ends of its duration, and the seconds since 1970."""
        duration, zone = self.columns.get("duration_seconds"), self.zone_rule
        named = [*self.fed_by("started_at"), *(columns_of(duration) if isinstance(duration, Span) else ())]
        if zone is not None and zone.by == "epoch" and zone.origin is not None:
            named += columns_of(zone.origin)
        return tuple(dict.fromkeys(named))

    def origins(self) -> Iterator[Origin]:
        yield from self.columns.values()
        if self.zone_rule is not None and self.zone_rule.origin is not None:
            yield self.zone_rule.origin
        if self.legs is not None:
            yield self.legs.join
            if self.legs.leg is not None:
                yield self.legs.leg
            if self.legs.chain is not None:
                yield from (self.legs.chain.join, self.legs.chain.length)

    def conditions(self) -> Iterator[Condition]:
        """Every single test in the rules that shape calls."""
        for rule in (*self.direction, *self.status, *self.machine, *self.drop, *self.damaged):
            yield from rule.when.walk()
        if self.no_agent is not None:
            yield from self.no_agent.walk()
        for condition in (self.legs.internal, self.legs.forwarded) if self.legs is not None else ():
            if condition is not None:
                yield from condition.walk()

    @property
    def id_columns(self) -> tuple[str, ...]:
        """Columns with the id of a call. The customer's number is no id, though rows may be joined by it."""
        origins = [self.columns[name] for name in ("call_id",) if name in self.columns]
        origins += [self.legs.join] if self.legs is not None else []
        named = dict.fromkeys(column for origin in origins for column in columns_of(origin))
        return tuple(column for column in named if column not in self.fed_by("customer_phone"))

    def fed_by(self, canonical: str) -> tuple[str, ...]:
        """Columns of the file that a canonical column is made of."""
        return columns_of(self.columns[canonical]) if canonical in self.columns else ()
