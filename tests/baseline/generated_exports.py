"""Write an export of every phone system, always the same bytes: ordinary calls and every oddity a system is known for.

Nothing here imports the importer. Names are invented; numbers are 514 555-01xx, a block that is kept for fiction.
`write_all(FOLDER)` writes all files; `EXPORTS` maps the name of a file to the function that makes its text.
"""

import csv
import gzip
import io
import random
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import polars as pl

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SEED = "first runs"
TORONTO = ZoneInfo("America/Toronto")
# The number of the dealership. A customer never has it.
HOUSE = "5145550199"
EXCLUDED = "5145550180"
WITHOUT_LEAD = ("5145550190", "5145550191")
SEVERAL_LEADS = ("5145550185", "5145550186")

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Agent:
    name: str
    login: str
    extension: str
    user_id: int

    @property
    def email(self) -> str:
        return f"{self.login}@example.com"


AGENTS = (
    Agent("Ana Tremblay", "ana", "101", 101),
    Agent("Luc Gagnon", "luc", "102", 102),
    Agent("Zoé Côté", "zoe", "103", 103),
    Agent("Noah O'Connor", "noah", "104", 104),
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it really took place. `outcome` is answered, missed, voicemail, busy or failed."""

    number: int
    start: datetime
    is_incoming: bool
    customer: str
    agent: Agent
    outcome: str
    ring: int
    talk: int

    @property
    def is_answered(self) -> bool:
        return self.outcome == "answered"

    @property
    def local(self) -> datetime:
        return self.start.astimezone(TORONTO)

    @property
    def epoch(self) -> int:
        return int(self.start.timestamp())

    @property
    def end(self) -> datetime:
        return self.start + timedelta(seconds=self.ring + self.talk)

    def at(self, form: str) -> str:
        """The start on the dealership's clock."""
        return self.local.strftime(form)

    def utc(self, form: str) -> str:
        return self.start.strftime(form)


_OUTCOMES = ("answered", "answered", "answered", "answered", "missed", "missed", "voicemail", "busy", "failed")


def _calls(chance: random.Random, count: int) -> list[Call]:
    """Calls from January 2024 on, hours or days apart, so that no two resemble each other by accident."""
    start = datetime(2024, 1, 8, 14, 2, 11, tzinfo=UTC)
    made = []
    for number in range(count):
        start += timedelta(seconds=chance.randint(4 * 3600, 200 * 3600))
        is_incoming = chance.random() < 0.55
        outcome = chance.choice(_OUTCOMES)
        customer = f"51455501{chance.randrange(0, 80):02}"
        talk = chance.choice((1, 7, 59, 60, 61, 95, 754, 3725)) if outcome in ("answered", "voicemail") else 0
        made.append(
            Call(number, start, is_incoming, customer, chance.choice(AGENTS), outcome, chance.randint(2, 40), talk)
        )
    return made


_SPELLINGS = (
    "{0}{1}{2}", "1{0}{1}{2}", "+1{0}{1}{2}", "({0}) {1}-{2}", "{0}-{1}-{2}", "1 {0} {1} {2}", "+1 {0}.{1}.{2}",
    "001{0}{1}{2}", "tel:+1{0}{1}{2}", "{0} {1}-{2} ext. 12", "{0}{1}{2}.0", "Client ({0}{1}{2})",
    "sip:+1{0}{1}{2}@pbx.example.com", '"Client" <{0}{1}{2}>',
)  # fmt: skip
_PLAIN_SPELLINGS = _SPELLINGS[:3]
HIDDEN = ("", "Anonymous", "Unknown", "Restricted", "Private", "Inconnu", "0", "-", "NULL")
WRONG_NUMBERS = ("5.14555E+09", "555-0123", "nobody at all", "+", "########", "33145550123", "801", "#N/A")
# The hour that is missing in spring, the one that happens twice in autumn, and midnights.
ODD_HOURS = tuple(
    datetime.fromisoformat(text)
    for text in (
        "2024-03-10 02:30:00",
        "2024-11-03 01:30:00",
        "2024-11-03 00:59:59",
        "2024-11-03 02:00:00",
        "2024-07-01 00:00:00",
        "2024-12-31 23:59:59",
    )
)


def spelled(number: str, form: str) -> str:
    """Ten digits in one of the spellings that phone systems use."""
    return form.format(number[:3], number[3:6], number[6:])


def _any_spelling(chance: random.Random, number: str, forms: Sequence[str] = _SPELLINGS) -> str:
    return spelled(number, chance.choice(forms))


class _QuoteAll(csv.excel):
    quoting = csv.QUOTE_ALL


@dataclass(frozen=True, slots=True)
class Table:
    """Rows in the order of the file. `before` and `after` are raw lines around them."""

    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, str]]
    has_header: bool = True
    before: tuple[str, ...] = ()
    second_header: str = ""
    after: tuple[str, ...] = ()

    def text(self, delimiter: str = ",", end: str = "\n", *, quote_all: bool = False) -> str:
        file = io.StringIO()
        style: type[csv.Dialect] = _QuoteAll if quote_all else csv.excel
        writer = csv.writer(file, style, delimiter=delimiter, lineterminator=end)
        file.writelines(line + end for line in self.before)
        if self.has_header:
            writer.writerow(self.columns)
        if self.second_header:
            file.write(self.second_header + end)
        writer.writerows([row.get(name, "") for name in self.columns] for row in self.rows)
        file.writelines(line + end for line in self.after)
        return file.getvalue()


def _hms(seconds: int, hours: str = "02") -> str:
    return f"{seconds // 3600:{hours}}:{seconds % 3600 // 60:02}:{seconds % 60:02}"


def _chance(name: str) -> random.Random:
    return random.Random(f"{SEED} {name}")


def _shuffled_some(chance: random.Random, rows: list[Row]) -> list[Row]:
    """A few rows out of order, as systems that write a call at its end do."""
    for _ in range(len(rows) // 10):
        at = chance.randrange(1, len(rows))
        rows[at - 1], rows[at] = rows[at], rows[at - 1]
    return rows


def _ragged(row: Row, columns: Sequence[str], named: str) -> tuple[str, ...]:
    """A row with a cell too few, one with a cell too many, one with blank cells too many, and a blank line.

    `named` is the column of ids: each row gets its own.
    """
    one, two, three = ([(row | {named: f"{row[named]}{at}"}).get(name, "") for name in columns] for at in "123")
    return tuple(",".join(cells) for cells in (one[:-1], [*two, "more"], [*three, "", ""], [""]))


# The canonical columns

CANONICAL = (
    "call_id", "lead_id", "direction", "status", "started_at", "duration_seconds", "customer_phone", "agent_id",
    "agent_email", "agent_name", "agent_extension", "description", "recording",
)  # fmt: skip
_FRENCH_MONTHS = ("janv.", "févr.", "mars", "avril", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc.")
_DESCRIPTIONS = (
    "", "", "", "Essai routier samedi à 10 h", 'Said "call me back"', "Two\nlines, and a comma", "  blanks around  ",
    "=1+1", "Déjà vu [ref 7K3Q-2M9D-XA]", "😀 emoji; semicolon | pipe\ttab", "NULL", "n/a", "'quoted", "x" * 1000,
    "<b>bold</b> &amp; \\N",
)  # fmt: skip
_NO_IDS = ("", "0", "-", "unknown", "NULL", "\\N", "N/A")


def _canonical_times() -> tuple[Callable[[Call], str], ...]:
    """Every form in which a start may stand. Those without an offset need a stated zone."""
    return (
        lambda call: call.local.isoformat(),
        lambda call: call.utc("%Y-%m-%dT%H:%M:%SZ"),
        lambda call: call.at("%Y-%m-%d %H:%M:%S"),
        lambda call: call.at("%Y-%m-%d %H:%M"),
        lambda call: call.at("%d/%m/%Y %H:%M:%S"),
        lambda call: call.at("%d/%m/%Y %I:%M %p"),
        lambda call: call.utc("%Y-%m-%dT%H:%M:%S.264+0000"),
        lambda call: call.at("%b %d, %Y at %I:%M %p"),
        lambda call: f"{call.local.day} {_FRENCH_MONTHS[call.local.month - 1]} {call.at('%Y à %H h %M')}",
        lambda call: call.at("%Y/%m/%d %H:%M:%S"),
        lambda call: call.utc("%a, %d %b %Y %H:%M:%S +0000"),
        lambda call: call.at("%d-%m-%Y %H:%M:%S"),
    )


def _canonical_row(call: Call, chance: random.Random) -> Row:
    times = _canonical_times()
    unanswered = {"missed": "unanswered", "voicemail": "unanswered", "busy": "unanswered", "failed": "error"}
    status = "answered" if call.is_answered else unanswered[call.outcome]
    precise = {"unanswered": "interrupted" if call.is_incoming else "attempted"}.get(status, status)
    talk = str(call.talk) if call.is_answered else chance.choice(("", "0", " 0 ", "NULL"))
    if status == "answered" and call.talk:
        status = chance.choice((status, "Answered", " ANSWERED ", ""))
    else:
        status = chance.choice((status, precise))
    agent = {
        0: {"agent_id": str(call.agent.user_id)},
        1: {"agent_email": call.agent.email},
        2: {"agent_name": call.agent.name},
        3: {"agent_extension": call.agent.extension},
        4: {},
    }[chance.randrange(5)]
    return {
        "call_id": f"C-{call.number:04}" if chance.random() < 0.7 else chance.choice(_NO_IDS),
        "lead_id": chance.choice(("", "", "", f"7{call.customer[-3:]}", f"7{call.customer[-3:]}.0")),
        "direction": chance.choice(("incoming", "Incoming") if call.is_incoming else ("outgoing", " OUTGOING")),
        "status": status,
        "started_at": times[call.number % len(times)](call),
        "duration_seconds": talk,
        "customer_phone": _any_spelling(chance, call.customer),
        "description": chance.choice(_DESCRIPTIONS),
        "recording": chance.choice(("", "", "", f"2024/c-{call.number:04}.wav", f"c-{call.number:04}.mp3")),
        **agent,
    }


_CANONICAL_FAULTS: tuple[Row, ...] = (
    {"lead_id": "Pelletier", "customer_phone": "5145550101"},
    {"lead_id": "0"}, {"lead_id": "-5"}, {"lead_id": "5001.5"}, {"lead_id": "99999999999999999999"},
    {"direction": ""}, {"direction": "NULL"}, {"direction": "sideways"},
    {"status": "sort of"}, {"status": "interrupted", "direction": "outgoing"}, {"status": "calling"},
    {"started_at": ""}, {"started_at": "N/A"}, {"started_at": "yesterday"}, {"started_at": "2024-13-45T00:00:00Z"},
    {"started_at": "2024-05-31"}, {"started_at": "14:05:09"}, {"started_at": "45443.587"},
    {"started_at": "31/02/2024 10:00"},
    {"started_at": "2090-01-01T00:00:00Z"}, {"started_at": "1989-12-31T23:59:59Z"},
    {"duration_seconds": "", "status": "answered"}, {"duration_seconds": "", "status": ""},
    {"duration_seconds": "1:12"}, {"duration_seconds": "72.5"}, {"duration_seconds": "PT72S"},
    {"duration_seconds": "95.0"}, {"duration_seconds": "-5"}, {"duration_seconds": "86401"},
    {"duration_seconds": "soon"},
    *({"lead_id": "", "customer_phone": number} for number in WRONG_NUMBERS),
    {"agent_id": "boss"}, {"agent_id": "0"},
    {"description": "y" * 1001},
    {"recording": "../secret.wav"}, {"recording": "/etc/passwd"}, {"recording": "C:\\calls\\1.wav"},
    {"recording": "https://calls.example.com/1.wav"}, {"recording": "a\\b.wav"},
    {"lead_id": "x", "direction": "", "status": "?", "started_at": "", "duration_seconds": "x", "customer_phone": "x"},
)  # fmt: skip


def canonical() -> str:
    """The richest file: every rule is broken, and every form of a cell occurs."""
    return _canonical_table().text()


def _canonical_table() -> Table:
    chance = _chance("canonical")
    calls = _calls(chance, 200)
    rows = _shuffled_some(chance, [_canonical_row(call, chance) for call in calls[:72]])
    sound = {"lead_id": "", "status": "answered", "duration_seconds": "95", "customer_phone": "5145550150"}
    fresh = iter(calls[72:])

    def more(*changes: Row) -> None:
        for change in changes:
            call = next(fresh)
            plain = {
                "call_id": f"X-{call.number:04}",
                "direction": "incoming" if call.is_incoming else "outgoing",
                "started_at": call.utc("%Y-%m-%dT%H:%M:%SZ"),
            }
            rows.append(plain | sound | change)

    more(*_CANONICAL_FAULTS)
    more(*({"started_at": f"{hour:%Y-%m-%d %H:%M:%S}", "direction": "incoming"} for hour in ODD_HOURS))
    more(*({"customer_phone": text, "direction": "incoming"} for text in HIDDEN))
    more({"customer_phone": "Anonymous", "direction": "outgoing"})
    more(*({"customer_phone": number} for number in (*WITHOUT_LEAD, *SEVERAL_LEADS, HOUSE, EXCLUDED)))
    more({"customer_phone": "5145550185", "started_at": "2024-02-01T15:00:00Z"})
    more({"agent_id": "101", "agent_email": "luc@example.com"}, {"agent_name": "Nobody Known"}, {"agent_name": "Sales"})
    more(
        {"duration_seconds": "86400"},
        {"duration_seconds": "0", "status": "answered"},
        {"duration_seconds": "0", "status": ""},
    )
    more({"duration_seconds": "30", "status": "unanswered"}, {"duration_seconds": "30", "status": "error"})
    rows += [
        # The same row twice, with an id and without one.
        rows[2], rows[3], rows[3],
        {**sound, "direction": "incoming", "started_at": "2024-08-01T15:00:00Z"},
        {**sound, "direction": "incoming", "started_at": "2024-08-01T15:00:00Z"},
        # The same call in other words is the same call.
        {**sound, "call_id": "D-1", "direction": "incoming", "started_at": "2024-08-02T15:00:00Z"},
        {**sound, "call_id": "D-1", "direction": "INCOMING", "started_at": "2024-08-02 11:00:00",
        "customer_phone": "1 514 555 0150"},
        # One id, two stories: other talk, other number, other day.
        {**sound, "call_id": "D-2", "direction": "incoming", "started_at": "2024-08-03T15:00:00Z"},
        {**sound, "call_id": "D-2", "direction": "incoming", "started_at": "2024-08-03T15:00:00Z",
        "duration_seconds": "96"},
        {**sound, "call_id": "D-3", "direction": "incoming", "started_at": "2024-08-04T15:00:00Z"},
        {**sound, "call_id": "D-3", "direction": "incoming", "started_at": "2024-08-04T15:00:00Z",
        "customer_phone": "5145550151"},
        {**sound, "call_id": "D-4", "direction": "incoming", "started_at": "2024-08-05T15:00:00Z"},
        {**sound, "call_id": "D-4", "direction": "incoming", "started_at": "2024-08-09T15:00:00Z"},
        # Without an id: the same second and number, other talk; and one second later.
        {**sound, "direction": "outgoing", "started_at": "2024-08-06T15:00:00Z"},
        {**sound, "direction": "outgoing", "started_at": "2024-08-06T15:00:00Z", "duration_seconds": "96"},
        {**sound, "direction": "outgoing", "started_at": "2024-08-07T15:00:00Z"},
        {**sound, "direction": "outgoing", "started_at": "2024-08-07T15:00:01Z"},
        # Two ids for what looks like one call.
        {**sound, "call_id": "D-5", "direction": "outgoing", "started_at": "2024-08-08T15:00:00Z"},
        {**sound, "call_id": "D-6", "direction": "outgoing", "started_at": "2024-08-08T15:00:01Z"},
    ]  # fmt: skip
    plain = {**sound, "call_id": "R-", "direction": "incoming", "started_at": "2024-08-10T15:00:00Z"}
    return Table(CANONICAL, rows, after=_ragged(plain, CANONICAL, "call_id"))


def canonical_small(number: int = 0, count: int = 9) -> Table:
    """Sound rows with accents, quotes and line ends; another `number` gives other calls."""
    chance = _chance("small")
    calls = _calls(chance, 200)[number * count : (number + 1) * count]
    texts = ("Zoé Côté d’ici", 'Said "no"', "a; b | c, d", "line 1\nline 2", "", "fin à 16 h", "=2+3", "ÀÉÎÕÜ", "x")
    return Table(
        ("call_id", "direction", "started_at", "duration_seconds", "customer_phone", "agent_name", "description"),
        [
            {
                "call_id": f"S-{call.number:04}",
                "direction": "incoming" if call.is_incoming else "outgoing",
                "started_at": call.at("%Y-%m-%d %H:%M:%S"),
                "duration_seconds": str(call.talk if call.is_answered else 0),
                "customer_phone": f"+1{call.customer}",
                "agent_name": call.agent.name,
                "description": text,
            }
            for call, text in zip(calls, texts, strict=True)
        ],
    )


def canonical_undecided() -> str:
    """Dates of which nobody can tell whether the day or the month comes first."""
    return _dated(*(f"0{day}/0{day + 1}/2024 10:00:00" for day in range(1, 8)))


def canonical_contradictory() -> str:
    """Dates of which one has the day first and one the month."""
    return _dated("31/05/2024 10:00", "05/31/2024 11:00", "2024-05-31 12:00", "05/06/2024 13:00", "31 May 2024 14:00")


def _dated(*starts: str) -> str:
    lines = (f"incoming,{start},20,514555010{number}" for number, start in enumerate(starts))
    return "\n".join(["direction,started_at,duration_seconds,customer_phone", *lines, ""])


# 3CX


def _3cx_id(number: int) -> str:
    return f"00000{0xA000 + number:X}"


def three_cx_call_log() -> str:
    chance = _chance("3cx call log")
    columns = ("Call Time", "Call ID", "From", "To", "Direction", "Status", "Ringing", "Talking", "Cost")
    rows: list[Row] = []
    for call in _calls(chance, 60):
        agent = f"{call.agent.name} ({call.agent.extension})"
        if call.agent.login == "luc":
            agent = f"Gagnon, Luc ({call.agent.extension})"
        customer = _any_spelling(
            chance, call.customer, (*_PLAIN_SPELLINGS, "Client ({0}{1}{2})", "Client (+1{0}{1}{2})")
        )
        base = {
            "Call Time": call.at("%Y-%m-%dT%H:%M:%S"),
            "Call ID": _3cx_id(call.number),
            "From": customer if call.is_incoming else chance.choice((agent, call.agent.extension,
            f"Ext.{call.agent.extension}")),
            "To": agent if call.is_incoming else customer,
            "Direction": "Inbound" if call.is_incoming else "Outbound",
            "Status": {"answered": "Answered", "voicemail": "Answered", "failed": "Failed"}.get(call.outcome,
            "Unanswered"),
            "Ringing": _hms(call.ring),
            "Talking": _hms(call.talk),
            "Cost": "0.00",
        }  # fmt: skip
        if call.outcome == "voicemail" and call.is_incoming:
            base["To"] = chance.choice(
                (f"Voicemail ({call.agent.extension})", f"Boîte vocale ({call.agent.extension})")
            )
        if call.is_incoming and call.number % 4 == 0:
            menu = {"To": chance.choice(("Main menu (805)", "Sales Queue (804)", "Accueil (806)")), "Ringing": _hms(0)}
            rows.append(base | menu | {"Status": "Answered", "Talking": _hms(call.ring)})
            base["Call Time"] = (call.local + timedelta(seconds=call.ring)).strftime("%Y-%m-%dT%H:%M:%S")
        rows.append(base)
        if call.is_incoming and call.is_answered and call.number % 5 == 0:
            later = (call.local + timedelta(seconds=call.ring + call.talk)).strftime("%Y-%m-%dT%H:%M:%S")
            rows.append(base | {"Call Time": later, "To": "Noah O'Connor (104)", "Talking": _hms(33)})
    sound = {
        "Call Time": "2025-09-01T10:00:00", "From": "5145550140", "To": "Ana Tremblay (101)", "Direction": "Inbound",
        "Status": "Answered", "Ringing": "00:00:05", "Talking": "00:01:12", "Cost": "0.00",
    }  # fmt: skip
    changes: list[Row] = [
        {"Direction": "Internal", "From": "Ana Tremblay (101)", "To": "Luc Gagnon (102)"},
        {"From": "Ana Tremblay (101)", "To": "102"},
        {"From": "Anonymous"}, {"From": ""}, {"To": "Sales Queue (804)"},
        {"To": "Ring Group 2 (809)", "Status": "Redirected"},
        {"Direction": "Conference"}, {"Status": "Perhaps"}, {"Call Time": "soon"}, {"Call Time": ""}, {"Talking": "72"},
        {"Talking": "25:00:00"}, {"Talking": "1:12"}, {"From": "555-0123"}, {"From": "801"}, {"From": HOUSE},
        {"Status": ""},
        {"Direction": "Outbound", "From": "Ana Tremblay (101)", "To": "*97"},
        {"Direction": "Outbound", "From": "Ana Tremblay (101)", "To": "+33 1 45 55 01 23"},
        *({"Call Time": f"{hour:%Y-%m-%dT%H:%M:%S}"} for hour in ODD_HOURS),
        {"Call Time": "Totals", "From": "", "To": "", "Direction": "", "Status": ""},
    ]  # fmt: skip
    late = datetime(2025, 9, 1, 10, 0, tzinfo=TORONTO)
    for at, change in enumerate(changes):
        when = (late + timedelta(hours=at)).strftime("%Y-%m-%dT%H:%M:%S")
        rows.append(sound | {"Call ID": _3cx_id(900 + at), "Call Time": when} | change)
    rows += [
        rows[0],
        rows[1],
        {**sound, "Call ID": _3cx_id(990)},
        {**sound, "Call ID": _3cx_id(990), "Talking": "soon"},
    ]
    # Two calls of different customers under one id.
    rows += [{**sound, "Call ID": _3cx_id(991)}, {**sound, "Call ID": _3cx_id(991), "From": "5145550141"}]
    return Table(columns, rows, after=_ragged(sound | {"Call ID": "00000B"}, columns, "Call ID")).text()


def three_cx_inbound_report() -> str:
    """Without ids: menu, queue and person are rows that follow one another. The last line holds sums."""
    chance = _chance("3cx inbound")
    columns = (
        "Call Time", "Caller ID", "Destination", "Trunk", "Trunk number", "Did", "Status", "Ringing", "Talking",
        "Total Duration", "Call Type", "Sentiment", "Summary", "Transcription",
    )  # fmt: skip
    rows: list[Row] = []

    def leg(start: datetime, caller: str, to: str, status: str, ring: int, talk: int) -> Row:
        return {
            "Call Time": start.strftime("%Y-%m-%dT%H:%M:%S"), "Caller ID": caller, "Destination": to,
            "Trunk": "10001 Trunk", "Trunk number": "10001", "Did": f"1{HOUSE}", "Status": status,
            "Ringing": _hms(ring, ""), "Talking": _hms(talk, ""), "Total Duration": _hms(ring + talk, ""),
        }  # fmt: skip

    for call in _calls(chance, 60):
        caller = _any_spelling(chance, call.customer, _PLAIN_SPELLINGS)
        agent = f"{call.agent.name} ({call.agent.extension})"
        at = call.local
        if call.number % 3 == 0:
            rows.append(leg(at, caller, "Main menu (805)", "Answered", 0, 13))
            at += timedelta(seconds=13)
        if call.number % 4 == 0:
            rows.append(leg(at, caller, "Sales Ring Group (809)", "Redirected", 6, 0))
        if call.number % 7 == 0:
            # The same caller again after a gap: another call.
            rows.append(leg(at + timedelta(seconds=600), caller, agent, "Answered", 4, 20))
        status = "Answered" if call.outcome in ("answered", "voicemail") else "Unanswered"
        to = f"Voicemail ({call.agent.extension})" if call.outcome == "voicemail" else agent
        rows.append(leg(at, caller, to, status, call.ring, call.talk or (call.number % 2) * 5))
    late = datetime(2025, 9, 1, 10, 0, tzinfo=TORONTO)
    hours = [late + timedelta(hours=number) for number in range(40)]
    times = iter(hours)
    ana = "Ana Tremblay (101)"
    rows += [leg(next(times), text, ana, "Answered", 4, 60) for text in HIDDEN]
    rows += [leg(next(times), text, ana, "Answered", 4, 60) for text in WRONG_NUMBERS]
    rows += [leg(next(times), "102", ana, "Answered", 4, 60), leg(next(times), HOUSE, ana, "Answered", 4, 60)]
    rows += [leg(next(times), "5145550140", ana, word, 4, 60) for word in ("Perhaps", "", "Failed", "Redirected")]
    rows += [leg(next(times), "5145550141", to, "Answered", 4, 60) for to in ("", "104", "Service Queue (804)")]
    rows += [leg(hour.replace(tzinfo=TORONTO), "5145550142", ana, "Answered", 4, 60) for hour in ODD_HOURS]
    sound = leg(next(times), "5145550143", ana, "Answered", 4, 60)
    rows += [sound | {"Call Time": "soon"}, sound | {"Talking": "72"}, sound | {"Total Duration": "soon"}, sound, sound]
    # A wrong leg in the middle of a call.
    rows += [leg(hours[-2], "5145550144", "Main menu (805)", "Answered", 0, 10)]
    rows += [leg(hours[-2] + timedelta(seconds=10), "5145550144", ana, "Answered", 4, 60) | {"Talking": "soon"}]
    totals = ("Totals,112,,,,,,0:01:23,0:09:11,0:10:34,,,,",)
    return "\ufeff" + Table(columns, rows, after=(*_ragged(sound, columns, "Did")[:2], *totals)).text(end="\r\n")


def three_cx_outbound_report() -> str:
    """Times as an American spreadsheet shows them."""
    chance = _chance("3cx outbound")
    columns = (
        "Call Time", "Caller ID", "Caller Display name", "Trunk", "Trunk number", "Status", "Ringing", "Talking",
        "Total Duration", "Destination Callee Id", "Call Type", "Cost", "Sentiment", "Summary", "Transcription",
    )  # fmt: skip
    rows: list[Row] = []

    def clock(moment: datetime) -> str:
        return f"{moment.month}/{moment.day}/{moment.year} {moment.strftime('%I:%M:%S %p').lstrip('0')}"

    for call in _calls(chance, 60):
        row = {
            "Call Time": clock(call.local),
            "Caller ID": chance.choice((call.agent.extension, f"Ext.{call.agent.extension}")),
            "Caller Display name": call.agent.name, "Trunk": "10001 Trunk", "Trunk number": "10001",
            "Status": {"answered": "Answered", "voicemail": "Answered", "failed": "Failed"}.get(call.outcome,
            "Unanswered"),
            "Ringing": _hms(call.ring, ""), "Talking": _hms(call.talk, ""),
            "Total Duration": _hms(call.ring + call.talk, ""),
            "Destination Callee Id": _any_spelling(chance, call.customer), "Cost": "0.00",
        }  # fmt: skip
        rows.append(row)
        if call.number % 9 == 0:
            # Sent on: the same second, caller and number twice.
            rows.append(row | {"Talking": _hms(call.talk + 9, ""), "Caller Display name": "Noah O'Connor"})
    sound = {**rows[0], "Destination Callee Id": "5145550140", "Status": "Answered", "Talking": "0:01:12"}
    changes: list[Row] = [
        {"Destination Callee Id": "102"}, *({"Destination Callee Id": text} for text in (*HIDDEN[:4], *WRONG_NUMBERS)),
        {"Status": "Perhaps"}, {"Talking": "72"}, {"Talking": ""}, {"Destination Callee Id": "911"},
        {"Destination Callee Id": HOUSE},
        {"Caller ID": "Noah O'Connor (104)", "Caller Display name": ""},
    ]  # fmt: skip
    moment = datetime(2025, 9, 13, 10, 0, tzinfo=TORONTO)
    rows += [sound | {"Call Time": clock(moment + timedelta(hours=at))} | change for at, change in enumerate(changes)]
    rows += [sound | {"Call Time": clock(hour)} for hour in ODD_HOURS]
    rows += [sound | {"Call Time": "soon"}, sound | {"Call Time": ""}, rows[4], rows[4]]
    return Table(columns, rows, after=("Totals,60,,,,,0:01:23,0:09:11,0:10:34,,,,,,",)).text(end="\r\n")


# Aircall


def _aircall_row(call: Call, chance: random.Random) -> Row:
    customer, house = f"1{call.customer}", f"1{HOUSE}"
    kind = {"answered": "Answered", "voicemail": "Voicemail"}.get(call.outcome, "Missed")
    talks = call.outcome in ("answered", "voicemail")
    is_taken = call.is_answered or not call.is_incoming
    return {
        "line": chance.choice(("Sales", "Service")), "number timezone": "America/Montreal",
        "datetime (tz offset incl.)": call.at("%Y-%m-%d %H:%M:%S"),
        "datetime (utc)": call.utc(chance.choice(("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.083"))),
        "country_code": "CA", "direction": "inbound" if call.is_incoming else "outbound",
        "from": customer if call.is_incoming else house, "to": house if call.is_incoming else customer,
        "answered": "Yes" if talks else "No",
        "missed_call_reason": "" if talks else chance.choice(("no_available_agent", "short_abandoned",
        "abandoned_in_ivr")),
        "user": call.agent.name if is_taken else "[No associated user]",
        "duration (total)": str(call.ring + call.talk), "duration (in call)": str(call.talk) if talks else "",
        "voicemail": "https://assets.aircall.example/voicemail" if call.outcome == "voicemail" else "",
        "recording": "https://assets.aircall.example/recording" if call.is_answered else "",
        "aircall number": f"Sales ({spelled(HOUSE, '+1 {0}-{1}-{2}')})",
        "customer number": spelled(call.customer, "+1 {0}-{1}-{2}"),
        "call id": f"CAx{call.number}", "call type": kind if call.is_incoming else "Outbound",
        "call id (internal)": str(9_000_000_000 + call.number), "disconnected by": "external",
    }  # fmt: skip


def _aircall_changes() -> list[Row]:
    return [
        {"direction": "internal"}, {"direction": ""}, {"answered": "Perhaps"}, {"answered": ""}, {"answered": "Oui"},
        {"datetime (utc)": ""}, {"datetime (utc)": "soon"}, {"datetime (utc)": "2090-01-01 00:00:00"},
        {"duration (in call)": "soon"}, {"duration (in call)": ""}, {"duration (in call)": "00:01:00"},
        {"user": "[Deleted user]"}, {"user": ""}, {"call type": "AI Call"}, {"voicemail": "yes"},
    ]  # fmt: skip


def aircall_v3() -> str:
    chance = _chance("aircall v3")
    columns = (
        "line", "datetime (tz offset incl.)", "number timezone", "datetime (utc)", "country_code", "direction", "from",
        "to",
        "answered", "missed_call_reason", "user", "duration (total)", "duration (in call)", "voicemail", "recording",
        "comments", "tags", "aircall number", "customer number", "call id", "call type", "call id (internal)",
        "disconnected by",
    )  # fmt: skip
    calls = _calls(chance, 110)
    rows = _shuffled_some(chance, [_aircall_row(call, chance) for call in calls[:60]])
    sound = {
        "direction": "inbound",
        "answered": "Yes",
        "duration (in call)": "60",
        "call type": "Answered",
        "voicemail": "",
    }
    changes = [
        *_aircall_changes(),
        *({"customer number": "", "from": text} for text in ("anonymous", "", "Unknown")),
        *({"customer number": text} for text in WRONG_NUMBERS),
        {"customer number": f"+1{HOUSE}"}, {"customer number": "", "from": "15145550144"},
        {"datetime (utc)": "2024-11-03 05:30:00"}, {"datetime (utc)": "2024-11-03 06:30:00"},
        {"datetime (utc)": "2024-03-10 02:30:00"}, {"comments": 'He said "no",\nthen yes'},
    ]  # fmt: skip
    came_in = [replace(call, is_incoming=True) for call in calls[60:]]
    rows += [_aircall_row(call, chance) | sound | change for call, change in zip(came_in, changes, strict=False)]
    rows += [rows[0], rows[1], rows[2] | {"duration (in call)": "9", "answered": "Yes"}]
    last = _aircall_row(calls[-1], chance) | sound
    return Table(columns, rows, after=_ragged(last, columns, "call id (internal)")).text()


def aircall_v1() -> str:
    """The oldest header: no ids, no column that is always the customer, days before months."""
    chance = _chance("aircall v1")
    columns = (
        "line", "date (TZ offset incl.)", "time (TZ offset incl.)", "number timezone", "datetime (UTC)", "country_code",
        "direction", "from", "to", "answered", "missed_call_reason", "user", "duration (total)", "duration (in call)",
        "via", "voicemail", "tags",
    )  # fmt: skip
    calls = _calls(chance, 90)

    def old(call: Call) -> Row:
        row = _aircall_row(call, chance)
        more = {
            "date (TZ offset incl.)": call.at("%d/%m/%Y"), "time (TZ offset incl.)": call.at("%H:%M"),
            "datetime (UTC)": call.utc("%d/%m/%Y %H:%M"), "via": "desktop",
        }  # fmt: skip
        return {name: text for name, text in row.items() if name in columns} | more

    rows = [old(call) for call in calls[:60]]
    changes = [
        {"datetime (UTC)" if name == "datetime (utc)" else name: text for name, text in change.items()}
        for change in _aircall_changes()
    ] + [{"from": text} for text in ("anonymous", "", "Unknown", "33145550123", f"1{HOUSE}", "101", "abc")]
    sound = {"direction": "inbound", "answered": "Yes", "duration (in call)": "60", "voicemail": ""}
    came_in = [replace(call, is_incoming=True) for call in calls[60:]]
    rows += [old(call) | sound | change for call, change in zip(came_in, changes, strict=False)]
    rows += [rows[0], rows[1] | {"duration (in call)": "9", "answered": "Yes"}]
    return Table(columns, rows).text(delimiter=";")


# Avaya


def avaya_smdr() -> str:
    """No header, 35 fields. The segments of a call have one start and one id."""
    chance = _chance("avaya")
    columns = tuple(f"f{at}" for at in range(35))
    rows: list[Row] = []

    def segment(start: str, call_id: int, **named: str) -> Row:
        names = {
            "start": 0, "talk": 1, "ring": 2, "caller": 3, "way": 4, "called": 5, "dialled": 6, "internal": 8, "id": 9,
            "goes_on": 10, "device": 11, "name": 12, "device2": 13, "name2": 14, "hold": 15, "park": 16,
        }  # fmt: skip
        cells = {"start": start, "id": str(call_id), "internal": "0", "goes_on": "0", "hold": "0", "park": "0"} | named
        return {f"f{names[name]}": text for name, text in cells.items()}

    for call in _calls(chance, 60):
        start, call_id = call.at("%Y/%m/%d %H:%M:%S"), 1_000_014_000 + 5 * call.number
        talk = call.talk if call.outcome in ("answered", "voicemail") else 0
        device = "V9502" if call.outcome == "voicemail" and call.is_incoming else f"E{call.agent.extension}"
        sides = {"device": device, "name": call.agent.name, "device2": "T9002", "name2": "LINE 1.2"}
        if call.is_incoming:
            customer = _any_spelling(chance, call.customer, _PLAIN_SPELLINGS)
            numbers = {"caller": customer, "way": "I", "called": "299", "dialled": "299"}
        else:
            customer = _any_spelling(chance, call.customer, _PLAIN_SPELLINGS[:2])
            numbers = {"caller": call.agent.extension, "way": "O", "called": customer, "dialled": customer}
        if call.number % 4 == 0 and talk > 1:
            first = {"talk": _hms(talk // 2), "ring": str(call.ring), "goes_on": "1"}
            rows.append(segment(start, call_id, **numbers, **sides, **first))
            sides |= {"device": "E104", "name": "Noah O'Connor"}
            talk -= talk // 2
        rows.append(segment(start, call_id, **numbers, **sides, talk=_hms(talk), ring=str(call.ring)))
    sound = segment(
        "2025/09/01 10:00:00", 0, talk="00:01:12", ring="4", caller="5145550140", way="I", called="299", dialled="299",
        device="E101", name="Ana Tremblay", device2="T9002", name2="LINE 1.2",
    )  # fmt: skip
    changes: list[Row] = [
        {"f8": "1"}, {"f8": "I"}, *({"f3": text} for text in HIDDEN[:4]), *({"f3": text} for text in WRONG_NUMBERS),
        {"f4": "X"}, {"f4": ""}, {"f0": "2025/13/01 10:00:00"}, {"f1": "soon"}, {"f1": "72"}, {"f1": "25:00:00"},
        {"f11": "T9001"}, {"f11": "V9501"}, {"f3": HOUSE},
        *({"f0": f"{hour:%Y/%m/%d %H:%M:%S}"} for hour in ODD_HOURS),
    ]  # fmt: skip
    late = datetime(2025, 9, 11, 10, 0, tzinfo=TORONTO)
    for at, change in enumerate(changes):
        when = (late + timedelta(hours=at)).strftime("%Y/%m/%d %H:%M:%S")
        rows.append(sound | {"f9": str(2_000_000_000 + at), "f0": when} | change)
    # Equal segments, an id that came round again, and a wrong segment of a call.
    rows += [rows[0], sound | {"f9": "77"}, sound | {"f9": "77"}, sound | {"f9": "77", "f0": "2025/09/02 10:00:00"}]
    rows += [sound | {"f9": "78", "f10": "1"}, sound | {"f9": "78", "f1": "soon"}]
    short = (",".join([sound.get(f"f{at}", "") for at in range(16)]).replace(",0,0,E101", ",79,0,E101"),)
    return Table(columns, rows, has_header=False, after=short).text()


# Cisco


_CUCM = (
    "cdrRecordType", "globalCallID_callManagerId", "globalCallID_callId", "origLegCallIdentifier",
    "dateTimeOrigination",
    "origNodeId", "callingPartyNumber", "callingPartyUnicodeLoginUserID", "origCause_value", "destCause_value",
    "originalCalledPartyNumber", "finalCalledPartyNumber", "finalCalledPartyUnicodeLoginUserID", "dateTimeConnect",
    "dateTimeDisconnect", "lastRedirectDn", "pkid", "duration", "origDeviceName", "destDeviceName", "huntPilotDN",
)  # fmt: skip
_CUCM_TYPES = (
    "INTEGER,INTEGER,INTEGER,INTEGER,INTEGER,INTEGER,VARCHAR(50),VARCHAR(128),INTEGER,INTEGER,VARCHAR(50),VARCHAR(50),"
    "VARCHAR(128),INTEGER,INTEGER,VARCHAR(50),UNIQUEIDENTIFIER,INTEGER,VARCHAR(129),VARCHAR(129),VARCHAR(50)"
)


def _cucm_table(name: str, second_header: str = "") -> Table:
    chance = _chance(name)
    rows: list[Row] = []
    for call in _calls(chance, 60):
        extension, talk = f"4{call.agent.extension}", call.talk if call.outcome in ("answered", "voicemail") else 0
        cause = {"busy": "17", "failed": "28", "missed": "19"}.get(call.outcome, "16")
        customer = _any_spelling(chance, call.customer, _PLAIN_SPELLINGS)
        phone = chance.choice((f"SEPCC7F7505{call.agent.extension}", f"CSF{call.agent.login.upper()}"))
        base = {
            "cdrRecordType": "1", "globalCallID_callManagerId": "2", "globalCallID_callId": str(25_000 + call.number),
            "dateTimeOrigination": str(call.epoch), "dateTimeConnect": str(call.epoch + call.ring) if talk else "0",
            "dateTimeDisconnect": str(call.epoch + call.ring + talk), "duration": str(talk),
            "pkid": f"pk-{call.number}",
            "origCause_value": "0", "destCause_value": cause,
        }  # fmt: skip
        if call.is_incoming:
            device = "CiscoUM1-VI1" if call.outcome == "voicemail" else phone
            sides = {
                "callingPartyNumber": customer, "origDeviceName": "GW-PSTN", "originalCalledPartyNumber": extension,
                "finalCalledPartyNumber": extension, "finalCalledPartyUnicodeLoginUserID": call.agent.login,
                "destDeviceName": device,
            }  # fmt: skip
        else:
            sides = {
                "callingPartyNumber": extension, "callingPartyUnicodeLoginUserID": call.agent.login,
                "origDeviceName": phone, "originalCalledPartyNumber": customer, "finalCalledPartyNumber": customer,
                "destDeviceName": chance.choice(("GW-PSTN", "SIP-TRUNK-1")),
            }  # fmt: skip
        rows.append(base | sides)
        if call.number % 5 == 0 and call.is_incoming and call.is_answered:
            start = call.epoch + call.ring + talk
            moved = {
                "pkid": f"pk-{call.number}b", "dateTimeOrigination": str(start), "dateTimeConnect": str(start + 3),
                "duration": "41", "finalCalledPartyNumber": "4104", "finalCalledPartyUnicodeLoginUserID": "noah",
                "destDeviceName": "CSFNOAH", "lastRedirectDn": extension,
            }  # fmt: skip
            rows.append(base | sides | moved)
    sound = {
        "cdrRecordType": "1", "globalCallID_callManagerId": "2", "callingPartyNumber": "5145550140",
        "origDeviceName": "GW-PSTN", "originalCalledPartyNumber": "4101", "finalCalledPartyNumber": "4101",
        "finalCalledPartyUnicodeLoginUserID": "ana", "destDeviceName": "CSFANA", "duration": "62",
        "origCause_value": "16",
        "destCause_value": "0",
    }  # fmt: skip
    changes: list[Row] = [
        {"callingPartyNumber": "4102", "origDeviceName": "CSFLUC"}, {"callingPartyNumber": "b002179144511001"},
        {"finalCalledPartyNumber": "b002179144511001"}, *({"callingPartyNumber": text} for text in (*HIDDEN[:4],
        *WRONG_NUMBERS)),
        {"duration": "0"}, {"duration": "soon"}, {"duration": ""}, {"dateTimeOrigination": "0"},
        {"dateTimeOrigination": ""},
        {"dateTimeOrigination": "2024-05-31 10:00:00"}, {"dateTimeOrigination": "4102444800"},
        {"dateTimeConnect": "0", "duration": "0"},
        {"dateTimeConnect": "0", "duration": "0", "origCause_value": "38"},
        {"destDeviceName": "ConferenceBridge", "finalCalledPartyNumber": "b00123456789"},
        {"origDeviceName": "", "destDeviceName": ""}, {"callingPartyNumber": HOUSE}, {"globalCallID_callId": ""},
        {"finalCalledPartyUnicodeLoginUserID": "", "finalCalledPartyNumber": "4999", "destDeviceName": "unity-vm"},
        {"finalCalledPartyNumber": "5145550145", "destDeviceName": "GW-PSTN"},
        {"dateTimeOrigination": "1730611800"}, {"dateTimeOrigination": "1730615400"},
    ]  # fmt: skip
    for at, change in enumerate(changes):
        start = 1_756_735_200 + 3600 * at
        ids = {
            "globalCallID_callId": str(29_000 + at), "pkid": f"odd-{at}", "dateTimeOrigination": str(start),
            "dateTimeConnect": str(start + 4),
        }  # fmt: skip
        rows.append(sound | ids | change)
    start = 1_757_000_000
    ids = {
        "globalCallID_callId": "30000",
        "pkid": "a",
        "dateTimeOrigination": str(start),
        "dateTimeConnect": str(start + 4),
    }
    # The same row twice; one wrong leg; two customers under one id; legs half a day apart.
    rows += [rows[0], rows[1], sound | ids, sound | ids | {"pkid": "b", "duration": "soon"}]
    ids["globalCallID_callId"] = "30001"
    rows += [sound | ids, sound | ids | {"pkid": "b", "callingPartyNumber": "5145550141"}]
    ids["globalCallID_callId"] = "30002"
    late = {"pkid": "b", "dateTimeOrigination": str(start + 43_200), "dateTimeConnect": str(start + 43_204)}
    rows += [sound | ids, sound | ids | late]
    return Table(_CUCM, rows, second_header=second_header)


def cucm_one_line() -> str:
    return _cucm_table("cucm one").text(quote_all=True)


def cucm_two_lines() -> str:
    return _cucm_table("cucm two", _CUCM_TYPES).text()


# Dialpad


def dialpad() -> str:
    chance = _chance("dialpad")
    columns = (
        "date_started", "call_id", "operator_id", "operator_name", "operator_email", "disposition", "direction",
        "external_number", "internal_number", "date_rang", "date_queued", "date_connected", "date_ended", "target_id",
        "target_kind", "office_id", "company_id", "recording_url", "note", "timezone",
    )  # fmt: skip
    zones = ("America/Toronto", "America/Toronto", "America/Vancouver", "UTC", "America/Mexico_City")
    stamp = "%Y-%m-%d %H:%M:%S"
    rows: list[Row] = []
    for call in _calls(chance, 60):
        zone = ZoneInfo(chance.choice(zones))
        start, connected = call.start.astimezone(zone), (call.start + timedelta(seconds=call.ring)).astimezone(zone)
        talks = call.outcome in ("answered", "voicemail")
        base = {
            "date_started": f"{start.strftime(stamp)}.{chance.randrange(10**6):06}",
            "call_id": str(6_529_000_000_000_000 + call.number), "operator_id": str(58_000 + call.agent.user_id),
            "operator_name": call.agent.name, "operator_email": call.agent.email,
            "direction": "inbound" if call.is_incoming else "outbound",
            "external_number": _any_spelling(chance, call.customer, _PLAIN_SPELLINGS[2:]),
            "internal_number": f"1{HOUSE}",
            "date_rang": start.strftime(stamp), "date_connected": connected.strftime(stamp) if talks else "",
            "date_ended": call.end.astimezone(zone).strftime(stamp), "target_id": "56990", "target_kind": "UserProfile",
            "timezone": str(zone), "note": chance.choice(("", "", 'Client said "oui", twice')),
        }  # fmt: skip
        if call.is_incoming and call.number % 4 == 0:
            waited = {
                "operator_id": "",
                "operator_name": "",
                "operator_email": "",
                "date_connected": "",
                "target_kind": "Department",
            }
            rows.append(base | waited | {"target_id": "56991", "date_ended": connected.strftime(stamp)})
        rows.append(base)
    sound = {
        "operator_id": "58101", "operator_name": "Ana Tremblay", "operator_email": "ana@example.com",
        "direction": "inbound",
        "external_number": "+15145550140", "internal_number": f"1{HOUSE}", "target_id": "56990",
        "timezone": "America/Toronto",
    }  # fmt: skip
    changes: list[Row] = [
        {"direction": "internal"}, {"direction": ""}, {"direction": "both"}, {"external_number": "102"},
        *({"external_number": text} for text in (*HIDDEN[:4], *WRONG_NUMBERS)), {"external_number": f"+1{HOUSE}"},
        {"timezone": "Mars/Olympus"}, {"timezone": ""}, {"timezone": "America/Montreal"}, {"timezone": "Etc/GMT+5"},
        {"date_ended": ""}, {"date_ended": "soon"}, {"date_connected": "soon"}, {"date_ended": "2025-09-01 09:00:00"},
        {"date_ended": "2025-09-09 09:00:00"}, {"date_started": ""}, {"date_started": "soon"},
        {"date_started": "2024-11-03 01:30:00", "date_connected": "", "date_ended": "2024-11-03 01:30:30"},
        {"date_started": "2024-03-10 02:30:00", "date_connected": "", "date_ended": "2024-03-10 03:30:30"},
        {"operator_email": "", "operator_name": "Sales Department"},
        # Talk over the change of the clock.
        {"date_started": "2024-11-03 00:50:00", "date_connected": "2024-11-03 00:50:10",
        "date_ended": "2024-11-03 01:10:10"},
        {"date_started": "2024-03-10 01:50:00", "date_connected": "2024-03-10 01:50:10",
        "date_ended": "2024-03-10 03:10:10"},
    ]  # fmt: skip
    first = datetime.fromisoformat("2025-09-01 10:00:00")

    def times(hours: int, call_id: int) -> Row:
        moment = first + timedelta(hours=hours)
        return {
            "call_id": str(call_id), "date_started": moment.strftime(stamp),
            "date_connected": (moment + timedelta(seconds=5)).strftime(stamp),
            "date_ended": (moment + timedelta(seconds=77)).strftime(stamp),
        }  # fmt: skip

    rows += [sound | times(at, 6_600_000_000_000_000 + at) | change for at, change in enumerate(changes)]
    one, two, last = (sound | times(100 + at, 6_700_000_000_000_000 + at) for at in range(3))
    # The same row twice; a wrong leg; two customers under one id.
    rows += [rows[0], rows[1], one, one | {"target_id": "2", "date_ended": "soon"}]
    rows += [two, two | {"external_number": "+15145550141", "target_id": "2"}]
    return Table(columns, rows, after=_ragged(last, columns, "call_id")).text()


# Five9


def five9() -> str:
    chance = _chance("five9")
    columns = (
        "CALL ID", "TIMESTAMP", "CAMPAIGN", "CALL TYPE", "AGENT", "DISPOSITION", "ANI", "DNIS", "SESSION ID",
        "TALK TIME",
    )  # fmt: skip
    words = {"missed": "Abandon", "busy": "Busy", "failed": "No Answer", "voicemail": "Left voicemail"}
    calls = _calls(chance, 110)

    def row(call: Call) -> Row:
        customer = _any_spelling(chance, call.customer)
        return {
            "CALL ID": str(300_000 + call.number), "TIMESTAMP": call.at("%Y-%m-%d %H:%M"),
            "CAMPAIGN": "Main, all day", "CALL TYPE": "Inbound" if call.is_incoming else chance.choice(("Manual",
            "Outbound", "Autodial", "Preview")),
            "AGENT": chance.choice((call.agent.email, call.agent.login,
            call.agent.name)) if call.outcome != "missed" else "",
            "DISPOSITION": words.get(call.outcome, chance.choice(("Sale", "Callback", "Vente conclue"))),
            "ANI": customer if call.is_incoming or call.number % 6 == 0 else "",
            "DNIS": HOUSE if call.is_incoming else "" if call.number % 6 == 0 else customer,
            "SESSION ID": f"{call.number:08x}", "TALK TIME": _hms(call.talk),
        }  # fmt: skip

    rows = [row(call) for call in calls[:60]]
    sound = {
        "CALL TYPE": "Inbound",
        "AGENT": "ana@example.com",
        "DISPOSITION": "Sale",
        "ANI": "5145550140",
        "TALK TIME": "00:02:05",
    }
    changes: list[Row] = [
        {"CALL TYPE": "Internal"}, {"CALL TYPE": "3rd party transfer"}, {"CALL TYPE": ""},
        *({"ANI": text} for text in (*HIDDEN[:4], *WRONG_NUMBERS, HOUSE)), {"TALK TIME": ""}, {"TALK TIME": "125"},
        {"TALK TIME": "2:05"},
        {"TIMESTAMP": ""}, {"TIMESTAMP": "soon"}, {"DISPOSITION": ""}, {"AGENT": ""},
        *({"TIMESTAMP": f"{hour:%Y-%m-%d %H:%M}"} for hour in ODD_HOURS),
    ]  # fmt: skip
    rows += [row(call) | sound | change for call, change in zip(calls[60:], changes, strict=False)]
    rows += [rows[0], rows[1] | {"TALK TIME": "00:00:09"}, rows[2] | {"CALL ID": "399999"}]
    return Table(columns, rows, before=("Call Log", "Garage Tremblay,2024")).text()


# Asterisk and FreePBX


_FREEPBX = (
    "calldate", "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "duration", "billsec",
    "disposition", "amaflags", "accountcode", "uniqueid", "userfield", "did", "recordingfile", "cnum", "cnam",
    "outbound_cnum", "outbound_cnam", "dst_cnam", "linkedid", "peeraccount", "sequence",
)  # fmt: skip
_FREEPBX_REPORT = _FREEPBX[:16]
_CDR_CSV = (
    "accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata", "calldate",
    "answer",
    "end", "duration", "billsec", "disposition", "amaflags", "uniqueid", "userfield", "peeraccount", "linkedid",
    "sequence",
)  # fmt: skip
_CDR_CUSTOM = (
    "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "calldate", "answer", "end",
    "duration", "billsec", "disposition", "amaflags", "accountcode", "uniqueid", "userfield", "sequence",
)  # fmt: skip
_FREEPBX_EXCEL = ("calldate", "src", "dst", "duration", "billsec", "disposition")
_DISPOSITIONS = {
    "answered": "ANSWERED",
    "voicemail": "NO ANSWER",
    "missed": "NO ANSWER",
    "busy": "BUSY",
    "failed": "FAILED",
}


def _freepbx_rows(name: str, *, form: str = "%Y-%m-%d %H:%M:%S") -> list[Row]:
    """Rows with all columns that any version has; each layout picks its own."""
    chance = _chance(name)
    rows: list[Row] = []

    def leg(start: datetime, ring: int, talk: int, **named: str) -> Row:
        local = start.astimezone(TORONTO)
        answer = (local + timedelta(seconds=ring)).strftime(form) if named["disposition"] == "ANSWERED" else ""
        return {
            "calldate": local.strftime(form), "answer": answer,
            "end": (local + timedelta(seconds=ring + talk)).strftime(form), "duration": str(ring + talk),
            "billsec": str(talk), "amaflags": "3", "sequence": str(len(rows)), **named,
        }  # fmt: skip

    for call in _calls(chance, 50):
        channel = f"{0x100 + call.number:08x}"
        prefix = chance.choice(("", "", "pbx1-"))
        unique = f"{prefix}{call.epoch}.{call.number}"
        agent, extension = call.agent, call.agent.extension
        base = {"uniqueid": unique, "linkedid": unique, "disposition": _DISPOSITIONS[call.outcome], "lastapp": "Dial"}
        if call.is_incoming:
            customer = _any_spelling(chance, call.customer, _PLAIN_SPELLINGS)
            base |= {
                "clid": f'"Client, M." <{customer}>', "src": customer, "dst": chance.choice((extension, "600")),
                "dcontext": chance.choice(("from-trunk", "ext-group", "ext-local", "from-pstn")),
                "channel": f"PJSIP/trunk-{channel}", "dstchannel": f"PJSIP/{extension}-{channel}",
                "lastdata": f"PJSIP/{extension},20", "did": HOUSE, "cnum": customer, "dst_cnam": agent.name,
            }  # fmt: skip
            if call.is_answered:
                stamp = call.at("%Y%m%d-%H%M%S")
                base["recordingfile"] = f"in-{HOUSE}-{call.customer}-{stamp}-{unique}.wav"
            if call.number % 3 == 0:
                first = base | {"dstchannel": f"PJSIP/104-{channel}", "disposition": "NO ANSWER", "recordingfile": ""}
                rows.append(leg(call.start, 15, 0, **first))
                other = {
                    "uniqueid": f"{prefix}{call.epoch + 1}.{call.number}",
                    "channel": f"Local/{extension}@from-internal-{channel};2",
                }
                rows.append(leg(call.start + timedelta(seconds=1), call.ring, call.talk, **(base | other)))
            else:
                rows.append(leg(call.start, call.ring, call.talk if call.is_answered else 0, **base))
            if call.outcome == "voicemail":
                box = {
                    "lastapp": "VoiceMail",
                    "lastdata": f"{extension}@default,u",
                    "dstchannel": "",
                    "disposition": "ANSWERED",
                }
                rows.append(leg(call.start + timedelta(seconds=call.ring), 0, call.talk, **(base | box)))
            if call.is_answered and call.number % 7 == 0:
                moved = {
                    "dst": "104",
                    "dstchannel": f"PJSIP/104-{channel}",
                    "dst_cnam": "Noah O'Connor",
                    "recordingfile": "",
                }
                rows.append(leg(call.end, 3, 44, **(base | moved)))
        else:
            customer = _any_spelling(chance, call.customer, _PLAIN_SPELLINGS[:2])
            source = chance.choice((extension, extension, HOUSE))
            base |= {
                "clid": f'"{agent.name}" <{extension}>', "src": source, "dst": customer, "dcontext": "from-internal",
                "channel": f"PJSIP/{extension}-{channel}", "dstchannel": f"PJSIP/trunk-{channel}",
                "lastdata": f"PJSIP/{customer}@trunk,300", "cnum": extension, "cnam": agent.name,
                "outbound_cnum": HOUSE,
            }  # fmt: skip
            talk = call.talk if call.is_answered else 0
            rows.append(leg(call.start, call.ring, talk, **base))
    sound = {
        "clid": '"Client" <5145550140>', "src": "5145550140", "dst": "101", "dcontext": "from-trunk",
        "channel": "PJSIP/trunk-0a",
        "dstchannel": "PJSIP/101-0b", "lastapp": "Dial", "lastdata": "PJSIP/101,20", "disposition": "ANSWERED",
        "did": HOUSE,
    }  # fmt: skip
    inside = {"src": "101", "dcontext": "from-internal", "channel": "PJSIP/101-0a", "did": "", "clid": '"Ana" <101>'}
    changes: list[Row] = [
        inside | {"dst": "102"}, inside | {"dst": "*97", "lastapp": "VoiceMailMain"}, inside | {"dst": "s"},
        inside | {"dst": "911"},
        inside | {"dst": "5145550146", "dstchannel": "PJSIP/trunk-0b"}, inside | {"dst": "95145550146"},
        inside | {"dst": "5550146"},
        inside | {"dst": "01133145550123"}, inside | {"src": "ana", "dst": "luc"},
        *({"src": text, "clid": text} for text in (*HIDDEN, *WRONG_NUMBERS, HOUSE)),
        *({"lastapp": app, "dstchannel": ""} for app in ("Playback", "Hangup", "Queue", "BackGround", "WaitExten",
        "MusicOnHold")),
        {"lastapp": "Queue", "dstchannel": "Local/101@from-queue-0b;1"}, {"disposition": "CONGESTION", "billsec": "0"},
        {"disposition": "NO ANSWER", "billsec": "9"}, {"disposition": "ANSWERED", "billsec": "0"},
        {"disposition": "PERHAPS"}, {"disposition": ""}, {"billsec": "soon"}, {"billsec": ""}, {"billsec": "-1"},
        {"billsec": "90000"},
        {"calldate": ""}, {"calldate": "soon"}, {"recordingfile": "../../etc/passwd"},
        {"recordingfile": "2024/05/31/in-1.wav"},
        {"uniqueid": "1717178709,1", "linkedid": "1717178709,1"},
        {"uniqueid": "1,71718E+09", "linkedid": "1,71718E+09"},
        {"uniqueid": "", "linkedid": ""}, {"clid": 'a "quote", and\na line'},
        # Hours of the clock change; the id tells which of the two hours of autumn it was.
        {"uniqueid": "1730611800.1", "linkedid": "1730611800.1"},
        {"uniqueid": "1730615400.2", "linkedid": "1730615400.2"},
    ]  # fmt: skip
    late = datetime(2025, 9, 1, 14, 0, tzinfo=UTC)
    for at, change in enumerate(changes):
        start = late + timedelta(hours=at)
        if change.get("uniqueid", "").startswith("17306"):
            start = datetime.fromtimestamp(int(change["uniqueid"][:10]), UTC)
        unique = f"{int(start.timestamp())}.{900 + at}"
        rows.append(leg(start, 5, 62, **(sound | {"uniqueid": unique, "linkedid": unique})) | change)
    end = late + timedelta(hours=200)
    unique = f"{int(end.timestamp())}.1"
    one = leg(end, 5, 62, **sound, uniqueid=unique, linkedid=unique)
    # The same row twice; a wrong leg; two customers; legs five hours apart.
    rows += [rows[0], rows[1], one, one | {"sequence": "9001", "billsec": "soon"}]
    unique = f"{int(end.timestamp()) + 60}.2"
    one = leg(end + timedelta(seconds=60), 5, 62, **sound, uniqueid=unique, linkedid=unique)
    rows += [one, one | {"sequence": "9002", "src": "5145550141"}]
    unique = f"{int(end.timestamp()) + 120}.3"
    one = leg(end + timedelta(seconds=120), 5, 62, **sound, uniqueid=unique, linkedid=unique)
    far = leg(end + timedelta(hours=5), 5, 62, **sound, uniqueid=unique, linkedid=unique)
    rows += [one, far | {"sequence": "9003"}]
    return rows


def freepbx_linkedid() -> str:
    rows = _freepbx_rows("freepbx linkedid")
    last = rows[0] | {"uniqueid": "", "linkedid": f"{rows[0]['uniqueid']}9", "clid": "x", "lastdata": ""}
    return Table(_FREEPBX, rows, after=_ragged(last, _FREEPBX, "linkedid")).text()


def freepbx_report() -> str:
    return Table(_FREEPBX_REPORT, _freepbx_rows("freepbx report")).text()


def freepbx_cdr_csv() -> str:
    return Table(_CDR_CSV, _freepbx_rows("freepbx cdr_csv"), has_header=False).text()


def freepbx_cdr_custom() -> str:
    return Table(_CDR_CUSTOM, _freepbx_rows("freepbx cdr_custom"), has_header=False).text(quote_all=True)


def freepbx_dump() -> str:
    rows = [row | {"linkedid": "0"} for row in _freepbx_rows("freepbx dump", form="%d/%m/%Y %H:%M:%S")]
    return Table(_FREEPBX, rows, has_header=False).text(quote_all=True)


def freepbx_excel() -> str:
    """Saved by a spreadsheet: two digits for the year, no seconds, a carriage return ends a line."""
    return Table(_FREEPBX_EXCEL, _freepbx_rows("freepbx excel", form="%d/%m/%y %H:%M")).text(end="\r")


# RingCentral


def ringcentral_analytics() -> str:
    chance = _chance("ringcentral")
    columns = (
        "Session Id", "From Name", "From Number", "To Name", "To Number", "Result", "Call Length", "Handle Time",
        "Hold Time", "Time to Answer", "Call Start Time", "Call Direction", "Queue",
    )  # fmt: skip
    words = {
        "answered": ("Answered", "Accepted"), "missed": ("Missed", "Abandoned", "No Answer", "Hang Up"),
        "voicemail": ("Voicemail",), "busy": ("Busy", "Declined", "Rejected"),
        "failed": ("Call Failed", "Wrong Number", "Blocked"),
    }  # fmt: skip
    rows: list[Row] = []
    for call in _calls(chance, 60):
        customer = _any_spelling(chance, call.customer, _SPELLINGS[:8])
        times = (call.utc("%Y-%m-%dT%H:%M:%S+00:00"), call.local.isoformat(), call.at("%Y-%m-%dT%H:%M:%S"))
        result = chance.choice(words[call.outcome])
        base = {
            "Session Id": f"s-{call.number}", "Call Length": _hms(call.ring + call.talk),
            "Handle Time": _hms(call.talk),
            "Hold Time": "00:00:00", "Call Start Time": chance.choice(times), "Queue": "",
        }  # fmt: skip
        if call.is_incoming:
            base |= {
                "From Name": "Client",
                "From Number": customer,
                "To Name": call.agent.name,
                "Call Direction": "Inbound",
            }
            base |= {"To Number": chance.choice((call.agent.extension, HOUSE)), "Result": result}
            if call.number % 4 == 0:
                queue = {
                    "To Name": "Sales",
                    "To Number": HOUSE,
                    "Result": "Missed",
                    "Handle Time": "00:00:00",
                    "Queue": "Sales",
                }
                rows.append(base | queue)
        else:
            base |= {
                "From Name": call.agent.name,
                "From Number": call.agent.extension,
                "To Name": "Client",
                "To Number": customer,
            }
            base |= {"Call Direction": "Outbound", "Result": "Call connected" if call.is_answered else result}
        rows.append(base)
    sound = {
        "From Name": "Client", "From Number": "5145550140", "To Name": "Ana Tremblay", "To Number": "101",
        "Result": "Answered",
        "Call Length": "00:01:30", "Handle Time": "00:01:20", "Call Direction": "Inbound",
    }  # fmt: skip
    changes: list[Row] = [
        *({"Result": text} for text in ("Fax Receipt Error", "Sent", "Reply", "In Progress", "Unknown", "", "Stopped",
        "Suspended account")),
        {"From Number": "102"}, *({"From Number": text} for text in (*HIDDEN[:4], *WRONG_NUMBERS, HOUSE)),
        {"Call Direction": ""}, {"Call Direction": "Internal"}, {"Handle Time": ""},
        {"Handle Time": "", "Call Length": ""},
        {"Handle Time": "80"}, {"Handle Time": "soon"}, {"Call Start Time": ""}, {"Call Start Time": "soon"},
        *({"Call Start Time": f"{hour:%Y-%m-%dT%H:%M:%S}"} for hour in ODD_HOURS),
        {"Call Direction": "Outbound", "From Number": "101", "From Name": "Ana Tremblay", "To Number": "Anonymous"},
    ]  # fmt: skip
    start = datetime(2025, 9, 1, 14, 0, tzinfo=UTC)
    for at, change in enumerate(changes):
        when = f"{start + timedelta(hours=at):%Y-%m-%dT%H:%M:%S+00:00}"
        rows.append(sound | {"Session Id": f"odd-{at}", "Call Start Time": when} | change)
    one = sound | {"Session Id": "t-1", "Call Start Time": "2025-10-01T14:00:00+00:00"}
    rows += [rows[0], rows[1], one, one | {"Handle Time": "soon"}]
    two = one | {"Session Id": "t-2", "Call Start Time": "2025-10-02T14:00:00+00:00"}
    rows += [two, two | {"From Number": "5145550141"}]
    three = one | {"Session Id": "t-3"}
    rows += [three | {"Call Start Time": f"2025-10-{day}T14:00:00+00:00"} for day in ("03", "05")]
    return Table(columns, rows, after=_ragged(one | {"Session Id": "t-4"}, columns, "Session Id")).text()


# Twilio


def twilio() -> str:
    chance = _chance("twilio")
    columns = (
        "sid", "account_sid", "date_created", "date_updated", "parent_call_sid", "to", "from", "phone_number_sid",
        "status",
        "start_time", "end_time", "duration", "price", "price_unit", "direction", "answered_by", "forwarded_from",
        "caller_name", "uri",
    )  # fmt: skip
    words = {
        "answered": "completed",
        "voicemail": "completed",
        "missed": "no-answer",
        "busy": "busy",
        "failed": "failed",
    }
    times = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.264Z", "%a, %d %b %Y %H:%M:%S +0000", "%Y-%m-%d %H:%M:%S+00:00")
    rows: list[Row] = []
    for call in _calls(chance, 60):
        customer, house = f"+1{call.customer}", f"+1{HOUSE}"
        sid = f"CA{call.number:032x}"
        base = {
            "sid": sid, "account_sid": "AC0", "from": customer if call.is_incoming else house,
            "to": house if call.is_incoming else customer, "status": words[call.outcome],
            "start_time": call.utc(chance.choice(times)), "duration": str(call.talk), "price_unit": "USD",
            "direction": "inbound" if call.is_incoming else chance.choice(("outbound-api", "outbound-dial")),
            "answered_by": "" if call.outcome != "voicemail" else chance.choice(("machine_start", "fax")),
            "uri": f"/{sid}.json",
        }  # fmt: skip
        rows.append(base)
        if call.number % 4 == 0:
            start = (call.start + timedelta(seconds=3)).strftime(times[0])
            to = f"client:{call.agent.login}" if call.number % 8 else "+15145550198"
            half = {
                "sid": f"CB{call.number:032x}",
                "parent_call_sid": sid,
                "start_time": start,
                "direction": "outbound-dial",
            }
            rows.append(base | half | {"from": customer, "to": to, "duration": str(max(call.talk - 3, 0))})
    sound = {
        "account_sid": "AC0", "from": "+15145550140", "to": f"+1{HOUSE}", "status": "completed", "duration": "95",
        "direction": "inbound",
    }  # fmt: skip
    changes: list[Row] = [
        *({"status": text} for text in ("queued", "ringing", "in-progress", "canceled", "", "perhaps")),
        {"direction": "trunking-originating"}, {"direction": ""},
        *({"from": text} for text in (*HIDDEN, *WRONG_NUMBERS)),
        {"from": "client:ana", "to": "client:luc", "direction": "outbound-dial"}, {"from": "sip:ana@pbx.example.com"},
        {"from": "client:ana", "to": "+15145550147", "direction": "outbound-dial"}, {"to": "client:ana"},
        {"from": f"+1{HOUSE}"},
        {"duration": ""}, {"duration": "soon"}, {"duration": "0"}, {"duration": "95.0"}, {"duration": "90000"},
        {"start_time": ""}, {"start_time": "soon"}, {"start_time": "2024-05-31"}, {"start_time": "2024-05-31 18:00:00"},
        {"start_time": "2024-11-03 01:30:00"}, {"start_time": "2024-11-03T05:30:00Z"}, {"sid": ""}, {"sid": "0"},
    ]  # fmt: skip
    late = datetime(2025, 9, 1, 14, 0, tzinfo=UTC)
    for at, change in enumerate(changes):
        when = f"{late + timedelta(hours=at):%Y-%m-%dT%H:%M:%SZ}"
        rows.append(sound | {"sid": f"CX{at:032x}", "start_time": when} | change)
    one = sound | {"sid": "CY1", "start_time": "2025-10-01T14:00:00Z"}
    # The same row twice, one id for two stories, an unknown parent, and a child long after its parent.
    rows += [rows[0], rows[0], one, one | {"duration": "96"}]
    rows += [sound | {"sid": "CY2", "parent_call_sid": "CY0", "start_time": "2025-10-02T14:00:00Z"}]
    rows += [sound | {"sid": "CY3", "start_time": "2025-10-03T14:00:00Z"}]
    rows += [
        sound
        | {"sid": "CY4", "parent_call_sid": "CY3", "start_time": "2025-10-03T23:00:00Z", "direction": "outbound-dial"}
    ]
    return Table(columns, rows, after=_ragged(one | {"sid": "CY5"}, columns, "sid")).text()


EXPORTS: dict[str, Callable[[], str]] = {
    "3cx-call-log.csv": three_cx_call_log,
    "3cx-inbound-report.csv": three_cx_inbound_report,
    "3cx-outbound-report.csv": three_cx_outbound_report,
    "aircall-v1.csv": aircall_v1,
    "aircall-v3.csv": aircall_v3,
    "avaya-smdr.csv": avaya_smdr,
    "canonical.csv": canonical,
    "canonical-contradictory.csv": canonical_contradictory,
    "canonical-undecided.csv": canonical_undecided,
    "cucm-one-line.csv": cucm_one_line,
    "cucm-two-lines.csv": cucm_two_lines,
    "dialpad.csv": dialpad,
    "five9.csv": five9,
    "freepbx-cdr_csv.csv": freepbx_cdr_csv,
    "freepbx-cdr_custom.csv": freepbx_cdr_custom,
    "freepbx-dump.csv": freepbx_dump,
    "freepbx-excel.csv": freepbx_excel,
    "freepbx-linkedid.csv": freepbx_linkedid,
    "freepbx-report.csv": freepbx_report,
    "ringcentral-analytics.csv": ringcentral_analytics,
    "twilio.csv": twilio,
}


# Files beside the exports


def leads() -> str:
    """Return a leads file: one lead for most numbers; several for two numbers, one of them a duplicate."""
    lines = ["phone,lead_id,created_at,status"]
    for last in range(100, 190):
        number = f"+15145550{last}"
        lines.append(f"{number},{4900 + last},2023-01-05T10:00:00-05:00,active")
        if number[2:] in SEVERAL_LEADS:
            lines.append(f"{number},{5900 + last},2024-06-15T10:00:00-04:00,active")
    lines += ["+15145550187,6000,2024-06-15T10:00:00-04:00,duplicate", "514 555-0188,6001,,invalid", ""]
    return "\n".join(lines)


def agents() -> str:
    """Two of four agents, one of them with an extension that changed hands."""
    return "\n".join(
        [
            "extension,name,login,user_id,email,from,until",
            "101,Ana Tremblay,ana,101,,,",
            "102,Luc Gagnon,luc,102,,,2024-06-30",
            "102,,,103,,2024-07-01,",
            "4101,,ana,101,,,",
            "",
        ]
    )


def excluded_numbers() -> str:
    return f"{EXCLUDED}\n+1 514 555-0107\n"


def containers() -> dict[str, bytes]:
    """The same kind of file in every form that is read; each holds other calls."""
    small = [canonical_small(number) for number in range(20)]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("inside.csv", (2024, 1, 1, 0, 0, 0)), small[0].text())
    return {
        "comma.csv": small[1].text().encode(),
        "semicolon.csv": small[2].text(";", "\r\n").encode("utf-8-sig"),
        "tab.tsv": small[3].text("\t").encode("utf-16"),
        "pipe.txt": small[4].text("|", "\r", quote_all=True).encode("utf-16-le"),
        "windows.csv": small[5].text(";", "\r\n").encode("cp1252"),
        "quoted.csv": small[6].text(quote_all=True).encode(),
        "no-last-line-end.csv": small[7].text().rstrip("\n").encode(),
        "packed.csv.gz": gzip.compress(small[8].text().encode(), mtime=0),
        "packed.tsv.zst": zstd.compress(small[9].text("\t").encode()),
        "packed.zip": packed.getvalue(),
        "preamble.csv": ("Calls of Garage Tremblay\nFrom 2024 to 2025\n\n" + small[10].text()).encode(),
        "table.parquet": _parquet(small[11]),
        "texts.parquet": _parquet(small[12], typed=False),
        "book.xlsx": _workbook(small[13]),
        "mac.csv": small[14].text(end="\r", quote_all=True).encode(),
    }


def _parquet(table: Table, *, typed: bool = True) -> bytes:
    """`typed`: instants, numbers and missing values as pandas writes them."""
    frame = pl.DataFrame(table.rows, schema=dict.fromkeys(table.columns, pl.String))
    if typed:
        frame = frame.with_columns(
            pl.col("started_at").str.to_datetime("%Y-%m-%d %H:%M:%S").dt.replace_time_zone(str(TORONTO)),
            pl.col("duration_seconds").cast(pl.Float64),
            pl.col("customer_phone").str.strip_prefix("+").cast(pl.Int64),
        )
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


def _workbook(table: Table) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(table.columns)
    for row in table.rows:
        cells = dict(row)
        when = datetime.strptime(cells.pop("started_at"), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 (a sheet knows no zones)
        values = {"started_at": when, "duration_seconds": int(cells.pop("duration_seconds")), **cells}
        sheet.append([values[name] for name in table.columns])
    for cell in sheet["G"]:
        cell.data_type = "s"
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def write_all(folder: Path) -> None:
    """Write all files below `folder`."""
    texts = {name: make().encode() for name, make in EXPORTS.items()}
    besides = {"leads.csv": leads(), "agents.csv": agents(), "excluded.txt": excluded_numbers()}
    texts |= {f"besides/{name}": text.encode() for name, text in besides.items()}
    texts |= {f"containers/{name}": content for name, content in containers().items()}
    mixed = {"mixed/a.csv": canonical_small(15).text(), "mixed/b.csv": twilio()}
    pair = {"pair/first.csv": canonical_small(16).text(), "pair/second.csv": canonical_small(16).text(";")}
    texts |= {name: text.encode() for name, text in (mixed | pair).items()}
    for name, content in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
