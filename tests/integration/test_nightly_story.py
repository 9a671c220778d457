"""Three nights of a dealership: the real command over HTTP, as cron starts it, with everything that happens meanwhile.

Monday's export; Tuesday's, which overlaps it, cuts a call in the middle of its legs, corrects two and comes with three
recordings that were not there before; people who merge a lead, leave, delete a call and edit one; and Wednesday's with
nothing new.
"""

import hashlib
import json
import struct
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests import rehearsal
from tests.rehearsal import Crm, Ended, adds_up

TORONTO = ZoneInfo("America/Toronto")
MONDAY = datetime(2026, 11, 16, 9, 0, tzinfo=TORONTO)
TUESDAY = MONDAY + timedelta(days=1)
COLUMNS = (
    "calldate", "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "duration", "billsec",
    "disposition", "amaflags", "accountcode", "uniqueid", "userfield", "did", "recordingfile", "cnum", "dst_cnam",
    "linkedid", "sequence",
)  # fmt: skip
USERS = {101: "amelie", 102: "bruno", 103: "chloe"}
LEADS = {5001: "0101", 5002: "0102", 5003: "0103", 5004: "0104", 5005: "0105", 5006: "0106"}

Row = dict[str, str]


def incoming(at: datetime, number: str, extension: int, **changes: str) -> Row:
    """One leg: a customer rings a desk; answered for 60 seconds unless said otherwise."""
    first = f"{at.timestamp():.0f}.{at.minute}"
    return _row(at, first) | {
        "src": f"514555{number}", "dst": "600", "dcontext": "ext-group", "channel": "PJSIP/trunk-0000000a",
        "dstchannel": f"PJSIP/{extension}-0000000b", "did": "5145550199", "cnum": f"514555{number}",
    } | changes  # fmt: skip


def outgoing(at: datetime, number: str, extension: int, **changes: str) -> Row:
    first = f"{at.timestamp():.0f}.{at.minute}"
    return _row(at, first) | {
        "src": "5145550199", "dst": f"514555{number}", "dcontext": "from-internal",
        "channel": f"PJSIP/{extension}-0000000b", "dstchannel": "PJSIP/trunk-0000000a", "cnum": str(extension),
    } | changes  # fmt: skip


def _row(at: datetime, first: str) -> Row:
    return dict.fromkeys(COLUMNS, "") | {
        "calldate": f"{at:%Y-%m-%d %H:%M:%S}", "lastapp": "Dial", "duration": "75", "billsec": "60",
        "disposition": "ANSWERED", "amaflags": "3", "uniqueid": first, "linkedid": first, "sequence": first[-2:],
    }  # fmt: skip


def name_of(row: Row, letter: str) -> Row:
    return row | {"recordingfile": f"{letter}.wav"}


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


def monday() -> dict[str, list[Row]]:
    """The rows of each call of Monday, by its letter."""
    first = incoming(MONDAY, "0101", 101, disposition="NO ANSWER", billsec="0", sequence="1")
    legs = [
        first,
        first | {"dstchannel": "PJSIP/102-0000000c", "sequence": "2", "disposition": "ANSWERED", "billsec": "95"},
        first | {"dstchannel": "PJSIP/103-0000000d", "sequence": "3", "uniqueid": f"{MONDAY.timestamp() + 1:.0f}.7"},
    ]
    legs[1] = name_of(legs[1], "A")
    return {
        "A": legs,
        "B": [name_of(outgoing(MONDAY + minutes(10), "0102", 102, billsec="21"), "B")],
        "C": [incoming(MONDAY + minutes(20), "0103", 102, disposition="NO ANSWER", billsec="0")],
        "D": [name_of(incoming(MONDAY + minutes(30), "0104", 101), "D")],
        "E": [name_of(incoming(MONDAY + minutes(40), "0105", 101), "E")],
        "F": [outgoing(MONDAY + minutes(50), "0106", 103)],
        "G": [incoming(MONDAY + minutes(51), "0101", 101)],
        "H": [outgoing(MONDAY + minutes(52), "0102", 101)],
    }


def tuesday() -> dict[str, list[Row]]:
    """Of Monday what the window still shows, two calls put right, and what is new."""
    seen = monday()
    seen["A"] = seen["A"][2:]
    seen["B"][0]["billsec"] = "45"
    seen["C"][0] |= {"disposition": "ANSWERED", "billsec": "33"}
    return seen | {
        "I": [name_of(incoming(TUESDAY, "0103", 101), "I")],
        "J": [outgoing(TUESDAY + minutes(10), "0104", 103)],
        "K": [incoming(TUESDAY + minutes(20), "0105", 101)],
    }


class Night:
    """A dealership with its export, its folder of recordings and its CRM."""

    def __init__(self, crm: Crm, folder: Path) -> None:
        self.crm = crm
        self.folder = folder
        self.audio = folder / "recordings"
        self.audio.mkdir()
        self.agents = folder / "agents.csv"
        named = "".join(f"{extension},{name}@example.com\n" for extension, name in USERS.items())
        self.agents.write_text(f"extension,email\n{named}", "utf-8")
        self._nights = 0

    def export(self, calls: dict[str, list[Row]]) -> Path:
        self._nights += 1
        rows = [row for of_call in calls.values() for row in of_call]
        return rehearsal.write_csv(self.folder / f"cdr-{self._nights}.csv", rows, COLUMNS)

    def record(self, *letters: str) -> None:
        """Recordings, each with a sound of its own."""
        for letter in letters:
            sound = letter.encode() * 1000
            form = struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)
            head = struct.pack("<4sI8sI16s4sI", b"RIFF", 36 + len(sound), b"WAVEfmt ", 16, form, b"data", len(sound))
            (self.audio / f"{letter}.wav").write_bytes(head + sound)

    def run(self, export: Path, *more: str) -> Ended:
        return self.crm.run(
            export, "--agents", self.agents, "--find-leads", "--recordings", self.audio, "--settle", "1",
            "--rate", "60000/min", *more,
        )  # fmt: skip

    def do(self, *acts: dict[str, Any]) -> None:
        """What people do in the CRM."""
        answer = httpx.post(f"{self.crm.address['control_url']}/acts", json=list(acts), trust_env=False)
        assert answer.status_code == 200, answer.text

    def day_passes(self) -> None:
        """In the lead cache, which cannot tell that two nights of this story are seconds apart."""
        for cache in (self.crm.state / "ledgers").glob("*.leads"):
            cache.unlink()

    def stored(self, letter: str) -> dict[str, Any]:
        """What the CRM keeps of the call of that letter."""
        row = {**monday(), **tuesday()}[letter][0]
        at = datetime.strptime(row["calldate"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=TORONTO)
        (found,) = (one for one in self.crm.stored() if datetime.fromisoformat(one["executed_at"]) == at)
        return found

    def heard(self, letter: str) -> bool:
        """Whether the CRM has its recording, byte for byte."""
        kept = self.stored(letter)["recording"]
        content = (self.audio / f"{letter}.wav").read_bytes()
        return kept is not None and kept["sha256"] == hashlib.sha256(content).hexdigest()

    def asked(self) -> dict[str, int]:
        """Requests about communications so far, by kind."""
        kinds = self.crm.ask("counts")["by_kind"]
        return {kind: count for kind, count in kinds.items() if "/communications" in kind}


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    seed = tmp_path / "crm.json"
    users = [
        {"id": extension, "first_name": name.title(), "last_name": "Tremblay", "email": f"{name}@example.com"}
        for extension, name in USERS.items()
    ]
    leads = [{"id": lead, "phones": [f"+1514555{number}"]} for lead, number in LEADS.items()]
    account = {"id": 301, "name": "Garage Tremblay", "users": users, "leads": leads}
    seed.write_text(json.dumps({"accounts": [account]}), "utf-8")
    with rehearsal.crm(tmp_path / "state", "--limit", "100000", "--seed", str(seed)) as crm:
        yield Night(crm, tmp_path)


# B and H, which a person changed, and E, whose lead was merged; G, which a person deleted.
ODD = {"differs": 3, "missing": 1, "extra": 0}


def endings(ended: Ended) -> dict[str, int]:
    calls = ended.summary["calls"]
    return {name: count for name, count in calls.items() if count and name not in ("total", "carried")}


def test_three_nights_of_a_dealership(night: Night) -> None:
    # Monday: all is new. Of four recordings that rows name, one has been written yet.
    night.record("D")
    first = night.run(night.export(monday()))
    assert (first.code, endings(first)) == (0, {"delivered": 8}), first.said
    assert first.summary["rows"] == {"read": 10, "joined": 2, "dropped": 0, "rejected": 0, "calls": 8}
    assert first.summary["recordings"] == {"uploaded": 1, "refused": 0, "failed": 0, "missing": 3, "pending": 0}
    assert (night.stored("A")["call_duration"], night.stored("A")["user_id"]) == (95, 102)
    assert night.stored("E")["lead_id"] == 5005

    night.day_passes()

    # On Tuesday people work in the CRM, the phone system puts two calls right, and the recordings arrive.
    described = night.stored("B")["description"]
    night.do(
        {"act": "merge_lead", "lead": 5005, "into": 5006},
        {"act": "change_phone", "lead": 5006, "from": None, "to": "+15145550105"},
        {"act": "deactivate_user", "user": 103},
        {"act": "delete_communication", "id": night.stored("G")["id"]},
        {"act": "edit_communication", "id": night.stored("H")["id"], "changes": {"call_duration": 600}},
        {"act": "edit_communication", "id": night.stored("B")["id"], "changes": {"description": f"Vu. {described}"}},
    )
    night.record("A", "B", "E", "I")
    second = night.run(night.export(tuesday()))
    assert second.code == 3, second.said
    assert adds_up(second.summary)
    assert endings(second) == {"delivered": 2, "updated": 2, "unchanged": 6}, second.said
    assert second.summary["rows"]["rejected"] == 1
    assert "chloe@example.com" in second.err
    assert second.summary["recordings"] == {"uploaded": 4, "refused": 0, "failed": 0, "missing": 0, "pending": 0}
    assert all(map(night.heard, "ABDEI"))
    # Cut in the middle of its legs, a call stays what it was; where a person wrote, only the rest is changed.
    assert night.stored("A")["call_duration"] == 95
    assert (night.stored("B")["call_duration"], night.stored("B")["description"]) == (45, f"Vu. {described}")
    assert (night.stored("C")["call_duration"], night.stored("C")["call_status"]) == (33, "answered")
    assert night.stored("H")["call_duration"] == 600
    # A new call of the number whose lead was merged goes to the lead that it belongs to now.
    assert night.stored("K")["lead_id"] == 5006
    assert len(night.crm.stored()) == 9

    # On Wednesday nothing is new: nobody is asked about a call, and nothing is told anew.
    asked = night.asked()
    third = night.run(night.export(tuesday()))
    assert adds_up(third.summary)
    assert endings(third) == {"unchanged": 10}, third.said
    assert night.asked() == asked
    assert night.crm.ask("assert") == night.crm.ask("assert") | {"ok": True}

    # What the CRM lacks and keeps otherwise is named.
    found = rehearsal.callimport("verify", "--destination", "sandbox", "--json", state=night.crm.state)
    assert found.code == 3, found.said
    assert {kind: found.summary["calls"][kind] for kind in ODD} == ODD, found.said
