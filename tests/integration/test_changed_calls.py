"""Night after night, the real command against the real rehearsal CRM: calls that change, and people who change them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import rehearsal
from tests.rehearsal import Crm, Ended, adds_up, callimport, calls, write_csv

FAST = ("--rate", "60000/min")


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[Crm]:
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as running:
        yield running


class Export:
    """The rows of a phone system, written anew every night."""

    def __init__(self, folder: Path, count: int) -> None:
        self.rows = calls(count)
        self._folder = folder
        self._night = 0

    def write(self) -> Path:
        self._night += 1
        return write_csv(self._folder / f"night-{self._night}.csv", self.rows)


def _edit(crm: Crm, described: str, **changes: Any) -> None:
    """A person changes a call in the CRM."""
    (one,) = [one for one in crm.stored() if one["description"].startswith(described + " [ref")]
    answer = httpx.put(
        f"{crm.address['url']}/communications/{one['id']}",
        json=changes,
        headers={"Authorization": f"Bearer {crm.address['token']}", "Accept": "application/json"},
        trust_env=False,
    )
    assert answer.status_code == 200


def _counts(crm: Crm) -> tuple[int, int]:
    by_kind = crm.ask("counts")["by_kind"]
    return by_kind.get("POST /communications", 0), by_kind.get("PUT /communications/:id", 0)


def _calls(ended: Ended) -> dict[str, int]:
    assert adds_up(ended.summary), ended.said
    found = ended.summary["calls"]
    return {name: found[name] for name in found if found[name] and name != "total"}


def test_a_story_of_four_nights(crm: Crm, tmp_path: Path) -> None:
    export = Export(tmp_path, 12)
    monday = crm.run(export.write(), *FAST)
    assert (monday.code, _calls(monday)) == (0, {"delivered": 12})
    before = {one["id"]: one for one in crm.stored()}

    export.rows[3] |= {"duration_seconds": "7", "status": "attempted", "lead_id": "5001"}
    export.rows[4] |= {"description": "Rappel demandé"}
    export.rows[5] |= {"duration_seconds": "8"}
    _edit(crm, "Essai routier nº 5", call_duration=900, description="Vu par Luc")
    plan = crm.run(tuesday_file := export.write(), *FAST, "--dry-run")
    assert _calls(plan) == {"unchanged": 9, "pending": 3}
    assert _counts(crm) == (12, 1)
    tuesday = crm.run(tuesday_file, *FAST, "--plan", plan.summary["plan"])
    assert (tuesday.code, _calls(tuesday)) == (0, {"unchanged": 10, "updated": 2}), tuesday.said
    assert "these fields are left as they are" in tuesday.err
    assert "call_duration" in tuesday.err
    assert _counts(crm) == (12, 3)
    after = {one["id"]: one for one in crm.stored()}
    changed = {id_: {name for name in one if one[name] != before[id_][name]} for id_, one in after.items()}
    assert sorted(map(sorted, filter(None, (names - {"updated_at"} for names in changed.values())))) == [
        ["call_duration", "call_status"],
        ["call_duration", "description"],
        ["description"],
    ]
    assert sum("[ref " in one["description"] for one in after.values()) == 11

    told = callimport("find", "call-3", "--destination", "sandbox", state=crm.state)
    assert "the CRM took the change" in told.out, told.said

    wednesday = crm.run(export.write(), *FAST)
    assert (wednesday.code, _calls(wednesday)) == (0, {"unchanged": 12})
    thursday = crm.run(export.write(), *FAST, "--no-reference", "--unknown-agent", "default:102")
    assert (thursday.code, _calls(thursday)) == (0, {"unchanged": 12})
    assert _counts(crm) == (12, 3)
    assert crm.ask("assert")["duplicates"] == []


def test_another_agent_or_lead_for_every_call_changes_nothing(crm: Crm, tmp_path: Path) -> None:
    export = Export(tmp_path, 6)
    crm.run(export.write(), *FAST)
    for row in export.rows:
        row |= {"agent_id": "101", "lead_id": "5001"}
    again = crm.run(export.write(), *FAST)
    assert _calls(again) == {"unchanged": 6}
    assert _counts(crm) == (6, 0)


def test_a_recipe_that_gives_every_status_another_meaning_is_stopped(crm: Crm, tmp_path: Path) -> None:
    export = Export(tmp_path, 60)
    crm.run(export.write(), *FAST)
    for row in export.rows:
        row["status"] = "error"
    changed = export.write()
    other = write_csv(tmp_path / "other.csv", calls(61)[60:])
    for options in ((), ("--dry-run",)):
        stopped = crm.run(changed, *FAST, *options)
        assert (stopped.code, _calls(stopped)) == (8, {"pending": 60}), stopped.said
        assert "call_status of 60" in stopped.said
        assert "--allow-updates 60" in stopped.said
        assert "plan" not in stopped.summary
    assert _counts(crm) == (60, 0)
    # It comes again with its file, and with nothing else: neither without files nor with another one.
    assert crm.run(*FAST).code == 0
    unrelated = crm.run(other, *FAST)
    assert (unrelated.code, _calls(unrelated)) == (0, {"delivered": 1}), unrelated.said
    assert _counts(crm) == (61, 0)
    allowed = crm.run(changed, *FAST, "--allow-updates", "60")
    assert (allowed.code, _calls(allowed)) == (0, {"updated": 60})
    assert sum(one["call_status"] == "error" for one in crm.stored()) == 60
    assert _counts(crm) == (61, 60)


def test_new_calls_and_changes_share_the_limit_and_the_rest_waits(crm: Crm, tmp_path: Path) -> None:
    export = Export(tmp_path, 4)
    crm.run(export.write(), *FAST)
    for row in export.rows:
        row["duration_seconds"] = "7"
    export.rows += calls(6)[4:]
    first = crm.run(export.write(), *FAST, "--limit", "3")
    assert (first.code, _calls(first)) == (7, {"delivered": 2, "updated": 1, "pending": 3})
    status = callimport("status", "--destination", "sandbox", state=crm.state)
    assert "3 delivered calls changed in the source: the next run changes them" in status.out
    rest = crm.run(*FAST)
    assert (rest.code, _calls(rest)) == (0, {"carried": 3, "updated": 3})
    assert "changed in the source" not in callimport("status", "--destination", "sandbox", state=crm.state).out


def test_changes_are_reported_and_left_where_that_is_asked_for(crm: Crm, tmp_path: Path) -> None:
    export = Export(tmp_path, 3)
    crm.run(export.write(), *FAST)
    export.rows[0]["duration_seconds"] = "7"
    reported = crm.run(export.write(), *FAST, "--on-change", "report")
    assert (reported.code, _calls(reported), reported.summary["changed"]) == (0, {"unchanged": 3}, 1)
    assert "call_duration 30 → 7" in reported.err
    assert _counts(crm) == (3, 0)


def test_killed_in_the_midst_of_changes_the_next_run_makes_the_rest(tmp_path: Path) -> None:
    with rehearsal.crm(tmp_path / "state", "--limit", "100000", "--latency-ms", "40") as crm:
        export = Export(tmp_path, 40)
        crm.run(export.write(), *FAST)
        for row in export.rows:
            row |= {"duration_seconds": "7", "description": "Corrigé"}
        changed = export.write()
        running = crm.start(changed, *FAST, "--concurrency", "2")
        rehearsal.wait_until(lambda: _counts(crm)[1] >= 10)
        running.kill()
        running.communicate()
        again = crm.run(changed, *FAST)
        assert again.code == 0, again.said
        # The ten had arrived; of the two under way when it died the answers may not have been written down.
        assert _calls(again)["updated"] <= 40 - 10 + 2
        assert _calls(crm.run(changed, *FAST)) == {"unchanged": 40}
        assert _counts(crm)[0] == 40
        assert {one["call_duration"] for one in crm.stored()} == {7}
        assert all(one["description"].startswith("Corrigé [ref ") for one in crm.stored())


def _reused(rows: list[dict[str, str]], at: int) -> None:
    """The phone system gives the id of a call to another one of the same customer, later that day."""
    later = datetime.fromisoformat(rows[at]["started_at"]) + timedelta(hours=2)
    rows[at] |= {"started_at": later.isoformat(), "duration_seconds": "300", "description": ""}


def test_another_call_under_a_known_id_is_held_until_a_person_decides(crm: Crm, tmp_path: Path) -> None:
    export = Export(tmp_path, 5)
    crm.run(export.write(), *FAST)
    before = crm.stored()
    _reused(export.rows, 1)
    _reused(export.rows, 2)

    plan = crm.run(night := export.write(), *FAST, "--dry-run")
    assert (plan.code, _calls(plan)) == (4, {"unchanged": 3, "held": 2}), plan.said
    held = crm.run(night, *FAST)
    assert (held.code, _calls(held)) == (4, {"unchanged": 3, "held": 2}), held.said
    assert "row 3 of night-2.csv has the id of the call of" in held.err
    assert "begins 2 h 00 min later and lasted 300 s instead of" in held.err
    assert "callimport retry KEY --destination sandbox" in held.err
    assert crm.stored() == before
    assert (again := crm.run(export.write(), *FAST)).code == 4
    assert _calls(again) == {"unchanged": 3, "held": 2}

    def say(*words: str) -> Ended:
        return callimport(*words, "--destination", "sandbox", state=crm.state)

    assert "2 delivered calls with a held update" in say("status").out
    keys = [line.split()[0] for line in say("status").out.splitlines() if "probably another call" in line][-2:]
    assert "the update is held: row 3 of night-2.csv" in say("find", keys[0]).out
    for option in (("--resend", keys[0]), ("--accept", keys[0], "7")):
        refused = say("reconcile", *option)
        assert (refused.code, "its update is held" in refused.said) == (2, True), refused.said
    assert say("report", "-o", str(tmp_path / "report.html")).code == 0
    assert "probably another call" in (tmp_path / "report.html").read_text("utf-8")
    say("export", "-o", str(tmp_path / "ledger.csv"))
    assert (tmp_path / "ledger.csv").read_text("utf-8").count("probably another call") == 2

    assert "1 pending call again" in say("retry", keys[0]).out
    assert "the call stays in the CRM as it is" in say("withdraw", keys[1]).out
    decided = crm.run(export.write(), *FAST)
    assert (decided.code, _calls(decided)) == (0, {"unchanged": 4, "updated": 1}), decided.said
    quiet = crm.run(export.write(), *FAST)
    assert (quiet.code, _calls(quiet)) == (0, {"unchanged": 5})
    changed = [one for one, was in zip(crm.stored(), before, strict=True) if one["executed_at"] != was["executed_at"]]
    assert [one["call_duration"] for one in changed] == [300]
    assert say("status").out.count("held") == 0
