"""Write the exports of a story: canonical rows, call detail records of an Asterisk, and silent recordings."""

import csv
import gzip
import io
import random
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from tests.blackbox.truth import Facts

ZONE = "America/Toronto"
TORONTO = ZoneInfo(ZONE)
CANONICAL = (
    "call_id", "lead_id", "direction", "status", "started_at", "duration_seconds", "customer_phone", "agent_id",
    "agent_email", "agent_name", "description", "recording",
)  # fmt: skip
ASTERISK = (
    "calldate", "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "duration", "billsec",
    "disposition", "amaflags", "accountcode", "uniqueid", "userfield", "did", "recordingfile", "cnum", "dst_cnam",
    "linkedid", "sequence",
)  # fmt: skip
HOUSE = "5145550199"
# Each writes the same table in another form: a suffix, a separator, an encoding.
FORMS: tuple[tuple[str, str, str], ...] = (
    (".csv", ",", "utf-8"),
    (".csv", ";", "utf-8-sig"),
    (".tsv", "\t", "utf-8"),
    (".csv", ",", "utf-16"),
    (".csv", ";", "cp1252"),
    (".csv.gz", ",", "utf-8"),
)

Row = dict[str, str]


def table(columns: Sequence[str], rows: Sequence[Mapping[str, str]], form: tuple[str, str, str] = FORMS[0]) -> bytes:
    """Return the bytes of a table in one of FORMS."""
    suffix, separator, encoding = form
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, delimiter=separator, lineterminator="\r\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    data = text.getvalue().encode(encoding)
    return gzip.compress(data, mtime=0) if suffix.endswith(".gz") else data


def read_table(data: bytes) -> tuple[list[str], list[Row]]:
    """Read a reject file that the program wrote: its columns and rows."""
    text = data.decode("utf-8-sig")
    separator = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    rows = [dict(row) for row in reader]
    return list(reader.fieldnames or ()), rows


PHONE_FORMS: tuple[Callable[[str], str], ...] = (
    lambda phone: phone,
    lambda phone: phone[2:],
    lambda phone: f"({phone[2:5]}) {phone[5:8]}-{phone[8:]}",
    lambda phone: f"1-{phone[2:5]}-{phone[5:8]}-{phone[8:]}",
    lambda phone: f"+1 {phone[2:5]} {phone[5:8]} {phone[8:]}",
)


def moment(instant: datetime, *, has_offset: bool) -> str:
    """Write an instant as the wall clock of Toronto shows it, with its offset or without."""
    local = instant.astimezone(TORONTO)
    return local.isoformat() if has_offset else local.strftime("%Y-%m-%d %H:%M:%S")


def status_words(facts: Facts, chance: random.Random) -> str:
    """Return the status as an export may write it: the word itself, `unanswered`, or nothing if it can be derived."""
    derived = "answered" if facts.duration_seconds else _unanswered(facts.direction)
    if facts.status != derived:
        return facts.status
    words = [facts.status, ""]
    if facts.status == _unanswered(facts.direction):
        words.append("unanswered")
    return chance.choice(words)


def _unanswered(direction: str) -> str:
    return "interrupted" if direction == "incoming" else "attempted"


def legs(call_id: str, phone: str, extensions: Sequence[int], facts: Facts) -> list[Row]:
    """Return one row for each extension that rang. The last of them answered, if anybody did."""
    local = facts.started_at.astimezone(TORONTO)
    rows = []
    for position, extension in enumerate(extensions):
        is_last = position == len(extensions) - 1
        talk = facts.duration_seconds if is_last else 0
        row = dict.fromkeys(ASTERISK, "") | {
            "calldate": f"{local:%Y-%m-%d %H:%M:%S}", "lastapp": "Dial", "duration": str(talk + 12),
            "billsec": str(talk), "disposition": "ANSWERED" if talk else "NO ANSWER", "amaflags": "3",
            "uniqueid": call_id, "linkedid": call_id, "sequence": str(position + 1),
        }  # fmt: skip
        if facts.direction == "incoming":
            row |= {
                "src": phone[2:], "dst": "600", "dcontext": "ext-group", "channel": "PJSIP/trunk-0000000a",
                "dstchannel": f"PJSIP/{extension}-0000000b", "did": HOUSE, "cnum": phone[2:],
            }  # fmt: skip
        else:
            row |= {
                "src": HOUSE, "dst": phone[2:], "dcontext": "from-internal", "channel": f"PJSIP/{extension}-0000000b",
                "dstchannel": "PJSIP/trunk-0000000a", "cnum": str(extension),
            }  # fmt: skip
        rows.append(row)
    return rows


def internal(call_id: str, instant: datetime) -> Row:
    """Return a call from desk to desk, which is no call of a customer."""
    local = instant.astimezone(TORONTO)
    return dict.fromkeys(ASTERISK, "") | {
        "calldate": f"{local:%Y-%m-%d %H:%M:%S}", "src": "101", "dst": "102", "dcontext": "from-internal",
        "channel": "PJSIP/101-0000000d", "dstchannel": "PJSIP/102-0000000e", "lastapp": "Dial", "duration": "30",
        "billsec": "20", "disposition": "ANSWERED", "uniqueid": call_id, "linkedid": call_id, "cnum": "101",
        "sequence": "1",
    }  # fmt: skip


def silence(name: str) -> bytes:
    """Return a small WAV file that differs from every other name's."""
    sound = name.encode() * 200
    form = struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)
    return struct.pack("<4sI8sI16s4sI", b"RIFF", 36 + len(sound), b"WAVEfmt ", 16, form, b"data", len(sound)) + sound
