"""Stories of several nights: what runs decide and send if the ledger is not empty.

Each function is one story. It begins with an empty state folder and goes through the command alone. Its name is the
name of its record.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from tests.baseline import dealership, observation
from tests.baseline.dealership import Dealership, call, calls, without

Story = Callable[[Dealership], None]
CREATES = {"method": "POST", "path": "/communications"}
STORIES: dict[str, Story] = {}
OPTIONS: dict[str, tuple[str, ...]] = {}


def story(*options: str) -> Callable[[Story], Story]:
    """Enter a function as a story; `options` are those of the rehearsal CRM."""

    def enter(function: Story) -> Story:
        STORIES[function.__name__] = function
        OPTIONS[function.__name__] = options
        return function

    return enter


def play(name: str, folder: Path) -> dict[str, Any]:
    """Play a story in an empty folder; its record."""
    with dealership.opened(folder, *OPTIONS[name]) as its:
        STORIES[name](its)
        return its.record()


# Windows that overlap


@story()
def overlapping_windows(its: Dealership) -> None:
    its.run("night 1", its.file("night1.csv", calls(6)))
    its.run("night 2 overlaps", its.file("night2.csv", calls(6, 3)))
    its.run("night 2 again", its.file("night2.csv", calls(6, 3)))
    its.run("both files at once", its.folder / "night1.csv", its.folder / "night2.csv")
    parquet = its.folder / "all.parquet"
    pl.DataFrame(calls(10)).write_parquet(parquet)
    its.run("as Parquet, with one call more", parquet)
    its.command("verify", "verify", "--json")


@story()
def windows_without_call_ids(its: Dealership) -> None:
    rows = without(calls(6), "call_id")
    its.run("night 1", its.file("night1.csv", rows[:4]))
    its.run("night 2 overlaps", its.file("night2.csv", rows[2:]))
    changed = [row | {"duration_seconds": "299", "status": "answered"} for row in rows]
    its.run("other durations under the same keys", its.file("night3.csv", changed))


@story()
def duplicates_and_contradictions_across_files(its: Dealership) -> None:
    first, second = its.file("a.csv", calls(4)), its.file("b.csv", calls(4, 2))
    its.run("two files with equal rows", first, second)
    contradicting = its.file("c.csv", [call(3, duration_seconds="900"), call(8), call(8, duration_seconds="1")])
    its.run("a changed call beside two rows that contradict each other", contradicting)
    its.run("one of the two is gone", its.file("c.csv", [call(3, duration_seconds="900"), call(8)]))


@story()
def since_and_until(its: Dealership) -> None:
    days = [call(n, started_at=(dealership.FIRST + timedelta(days=n)).isoformat()) for n in range(6)]
    source = its.file("calls.csv", days)
    zone = ("--timezone", "America/Toronto")
    its.run("two days", source, *zone, "--since", "2024-05-07", "--until", "2024-05-08")
    its.run("four days", source, *zone, "--since", "2024-05-06", "--until", "2024-05-09")
    its.run("all days", source, *zone)


@story()
def two_systems(its: Dealership) -> None:
    its.run("the sales desk", its.file("sales.csv", calls(3)), "--system", "sales")
    its.run("the same ids at the service desk", its.file("service.csv", calls(3, 10)), "--system", "service")
    renamed = [row | {"call_id": f"call-{number}"} for number, row in enumerate(calls(3, 20))]
    its.run("ids of the sales desk for other calls", its.file("again.csv", renamed), "--system", "service")


# Calls that changed


@story()
def changed_calls(its: Dealership) -> None:
    its.run("night 1", its.file("night1.csv", calls(8)))
    night2 = calls(8)
    night2[0] |= {"duration_seconds": "31"}
    night2[1] |= {"status": "unanswered", "duration_seconds": "0"}
    night2[2] |= {"description": "Rappel demandé"}
    night2[3] |= {"started_at": (dealership.FIRST + timedelta(minutes=21, seconds=30)).isoformat()}
    night2[4] |= {"agent_id": "102"}
    night2[5] |= {"lead_id": "5015"}
    night2[6] |= {"direction": "outgoing"}
    night2[7] |= {"customer_phone": "+15145550117"}
    its.run("each call differs in one cell", its.file("night2.csv", night2))
    its.run("the same again", its.file("night2.csv", night2))
    its.run("as on night 1 again", its.file("night3.csv", calls(8)))
    its.command("verify", "verify", "--json")


@story()
def changed_calls_are_left_or_reported(its: Dealership) -> None:
    its.run("night 1", its.file("night1.csv", calls(4)))
    changed = its.file("night2.csv", calls(4, duration_seconds="299"))
    its.run("reported", changed, "--on-change", "report")
    its.run("skipped", changed, "--on-change", "skip")
    its.run("updated", changed)
    its.run("unchanged", changed)


@story()
def changed_calls_that_a_person_edited(its: Dealership) -> None:
    its.run("night 1", its.file("night1.csv", calls(5)))
    its.in_the_crm(
        {
            "act": "edit_communication",
            "id": its.stored(0)["id"],
            "changes": {"description": f"Vu. {its.stored(0)['description']}"},
        },
        {"act": "edit_communication", "id": its.stored(1)["id"], "changes": {"call_duration": 600}},
        {"act": "delete_communication", "id": its.stored(2)["id"]},
    )
    changed = its.file("night2.csv", calls(4, duration_seconds="299", description="Corrigé") + calls(1, 4))
    its.run("night 2 changes all that people touched", changed)
    its.run("night 2 again", changed)
    its.run("with --overwrite", its.file("night3.csv", calls(5, duration_seconds="300")), "--overwrite")
    its.command("verify", "verify", "--json")


@story()
def updates_that_fail(its: Dealership) -> None:
    its.run("night 1", its.file("night1.csv", calls(6)))
    put = {"method": "PUT", "path": "/communications/:id"}
    its.faults(
        {"kind": "commit_then_drop", **put, "nth": 1},
        {"kind": "drop_before_commit", **put, "nth": 3},
        {"kind": "status_500", **put, "nth": 5},
        {"kind": "forbid_lead", **put, "lead": 5005},
    )
    changed = its.file("night2.csv", calls(6, duration_seconds="299"))
    its.run("updates meet trouble", changed)
    its.faults()
    its.run("the same again", changed)
    its.run("changed back", its.file("night3.csv", calls(6)))


@story()
def many_changes_stop_the_run(its: Dealership) -> None:
    its.run("night 1", its.file("night1.csv", calls(60)))
    changed = its.file("night2.csv", calls(60, duration_seconds="299") + calls(2, 60))
    its.run("all calls changed", changed)
    its.run("allowed", changed, "--allow-updates", "60")


@story()
def changed_settings_change_no_delivered_call(its: Dealership) -> None:
    source = its.file("calls.csv", calls(4))
    its.run("night 1", source)
    its.run("without references", source, "--no-reference")
    agents = its.file("agents.csv", [{"extension": "201", "user_id": "103"}])
    its.run("with an agents file", source, "--agents", agents)
    its.run("with a leads file", source, "--leads", its.leads({"+15145550101": 5012}))


# Legs


def _cdr(minute: int, leg: int, **changes: str) -> dict[str, str]:
    """Return a FreePBX row: a customer rings a group of desks, one after the other. The legs share a linkedid."""
    at = dealership.FIRST + timedelta(minutes=minute, seconds=3 * (leg - 1))
    first = f"17150000{minute:02}.{minute}"
    columns = (
        "calldate", "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "duration",
        "billsec", "disposition", "amaflags", "accountcode", "uniqueid", "userfield", "did", "recordingfile", "cnum",
        "dst_cnam", "linkedid", "sequence",
    )  # fmt: skip
    number = f"51455501{minute % 10 + 1:02}"
    return dict.fromkeys(columns, "") | {
        "calldate": f"{at:%Y-%m-%d %H:%M:%S}", "src": number, "cnum": number, "dst": "600", "dcontext": "ext-group",
        "channel": "PJSIP/trunk-0000000a", "dstchannel": f"PJSIP/{101 + leg}-0000000b", "lastapp": "Dial",
        "duration": "75", "billsec": "0", "disposition": "NO ANSWER", "amaflags": "3", "uniqueid": first,
        "did": "5145550199", "linkedid": first, "sequence": str(leg),
    } | changes  # fmt: skip


FREEPBX = (
    "--timezone", "America/Toronto", "--unknown-agent", "omit", "--profile", "freepbx",
)  # fmt: skip


@story()
def late_legs(its: Dealership) -> None:
    answered = {"disposition": "ANSWERED", "billsec": "60"}
    known = its.leads({f"+151455501{n:02}": 5000 + n for n in range(1, 12)})
    whole = [
        *(_cdr(1, 1), _cdr(1, 2, **answered), _cdr(1, 3)),
        *(_cdr(2, 1), _cdr(2, 2)),
        *(_cdr(3, 1, **answered), _cdr(3, 2, **answered)),
    ]
    its.run("the window ends within calls", its.file("night1.csv", [*whole[:2], whole[3]]), *FREEPBX, "--leads", known)
    its.run("all legs", its.file("night2.csv", whole), *FREEPBX, "--leads", known)
    its.run("all legs again", its.file("night2.csv", whole), *FREEPBX, "--leads", known)
    cut = its.file("night3.csv", [whole[2], whole[4], whole[6]])
    its.run("the window begins within calls", cut, *FREEPBX, "--leads", known)
    later = [*whole[:6], _cdr(3, 2, **answered), _cdr(3, 3, disposition="ANSWERED", billsec="200")]
    its.run("a second answered leg", its.file("night4.csv", later), *FREEPBX, "--leads", known)
    answered_late = [*later, _cdr(2, 3, disposition="ANSWERED", billsec="45")]
    its.run("a missed call has an answered leg", its.file("night5.csv", answered_late), *FREEPBX, "--leads", known)
    its.command("verify", "verify", "--json")


@story()
def legs_of_which_one_is_broken(its: Dealership) -> None:
    known = its.leads({f"+151455501{n:02}": 5000 + n for n in range(1, 12)})
    legs = [_cdr(4, 1), _cdr(4, 2, disposition="ANSWERED", billsec="60")]
    broken = [legs[0], legs[1] | {"calldate": "yesterday"}]
    its.run("one leg is broken", its.file("night1.csv", [*broken, _cdr(5, 1)]), *FREEPBX, "--leads", known)
    its.run("mended by the phone system", its.file("night2.csv", [*legs, _cdr(5, 1)]), *FREEPBX, "--leads", known)


# Leads


@story()
def lead_comes_with_the_leads_file(its: Dealership) -> None:
    rows = without(calls(6), "lead_id")
    known = {f"+15145550{101 + n}": 5001 + n for n in range(3)}
    first = its.file("night1.csv", rows)
    its.run("three numbers have no lead", first, "--leads", its.leads(known))
    its.run("the same again", first, "--leads", its.leads(known))
    more = its.leads(known | {"+15145550104": 5004, "+15145550105": 5005})
    its.run("two leads more, other files", its.file("night2.csv", without(calls(2, 9), "lead_id")), "--leads", more)
    its.run(
        "a lead moved, and all rows", first, "--leads", its.leads(known | {"+15145550101": 5012, "+15145550106": 6})
    )


@story()
def lead_comes_in_the_crm(its: Dealership) -> None:
    rows = without(calls(2), "lead_id") + without([call(2, customer_phone="+15145550141")], "lead_id")
    rows += without([call(3, customer_phone="+15145550142")], "lead_id")
    source = its.file("night1.csv", rows)
    its.run("two numbers have no lead", source, "--find-leads")
    its.in_the_crm({"act": "new_lead", "lead": {"id": 5901, "phones": ["+15145550141"]}})
    its.run("a lead was made; the answer of before still counts", source, "--find-leads")
    its.hours_pass(21)
    its.run("the next night", its.file("night2.csv", without(calls(1, 12), "lead_id")), "--find-leads")
    its.hours_pass(21)
    its.run("two nights later", source, "--find-leads")


@story()
def lead_grace_ends(its: Dealership) -> None:
    rows = without([call(0, customer_phone="+15145550141"), call(1)], "lead_id")
    grace = ("--find-leads", "--lead-grace", "2d")
    source = its.file("night1.csv", rows)
    its.run("a number has no lead", source, *grace)
    its.hours_pass(30)
    its.run("still none", its.file("night2.csv", without(calls(1, 4), "lead_id")), *grace)
    its.hours_pass(30)
    its.run("the grace has ended", its.file("night3.csv", without(calls(1, 5), "lead_id")), *grace)
    its.in_the_crm({"act": "new_lead", "lead": {"id": 5901, "phones": ["+15145550141"]}})
    its.hours_pass(30)
    its.run("the lead comes too late", its.file("night4.csv", without(calls(1, 6), "lead_id")), *grace)
    its.run("unless a file has the row again", source, *grace)


@story()
def waiting_call_is_withdrawn(its: Dealership) -> None:
    rows = without([call(0, customer_phone="+15145550141"), call(1)], "lead_id")
    source = its.file("night1.csv", rows)
    first = its.run("a number has no lead", source, "--find-leads")
    its.command("its batch is given up", "withdraw", first.summary["batch"])
    leads = its.leads({"+15145550141": 5012})
    its.run("the lead comes", source, "--find-leads", "--leads", leads)


@story()
def several_leads_of_a_number(its: Dealership) -> None:
    shared = without([call(0, customer_phone="+15145550150"), call(1)], "lead_id")
    source = its.file("night1.csv", shared)
    its.run("two leads have the number", source, "--find-leads")
    its.run("a leads file decides", source, "--find-leads", "--leads", its.leads({"+15145550150": 5020}))
    its.run("the newest one", its.file("night2.csv", shared), "--find-leads", "--several-leads", "newest")
    other = without([call(9, customer_phone="+15145550150")], "lead_id")
    its.run("at the time of the call", its.file("night3.csv", other), "--find-leads", "--several-leads", "at-call")


@story()
def leads_are_merged_and_deleted(its: Dealership) -> None:
    source = its.file("night1.csv", without(calls(4), "lead_id"))
    its.run("night 1", source, "--find-leads")
    its.in_the_crm(
        {"act": "merge_lead", "lead": 5001, "into": 5012},
        {"act": "delete_lead", "lead": 5002},
        {"act": "change_phone", "lead": 5012, "from": None, "to": "+15145550101"},
    )
    its.hours_pass(21)
    rows = without([*calls(4), call(9), call(10), call(11)], "lead_id")
    rows[0] |= {"duration_seconds": "299"}
    its.run("night 2, with calls of the merged and the deleted lead", its.file("night2.csv", rows), "--find-leads")
    its.run("night 2 again", its.file("night2.csv", rows), "--find-leads")


# Agents


@story()
def agents_file_is_mended(its: Dealership) -> None:
    rows = [row | {"agent_extension": str(201 + n % 3)} for n, row in enumerate(without(calls(6), "agent_id"))]
    source = its.file("night1.csv", rows)
    people = [{"extension": "201", "user_id": "101"}, {"extension": "202", "user_id": "105"}]
    its.run("one extension has left, one is unknown", source, "--agents", its.file("agents.csv", people))
    people = [{"extension": "201", "user_id": "102"}, {"extension": "202", "user_id": "103"}]
    its.run("mended in part, one changed", source, "--agents", its.file("agents.csv", people))
    its.run("unknown agents are left out", source, "--agents", its.folder / "agents.csv", "--unknown-agent", "omit")
    people += [{"extension": "203", "user_id": "104"}]
    its.run("all are known", source, "--agents", its.file("agents.csv", people))


@story()
def pending_calls_take_the_mended_agents_and_leads(its: Dealership) -> None:
    rows = [row | {"agent_extension": "201"} for row in without(calls(4), "agent_id", "lead_id")]
    source = its.file("night1.csv", rows)
    people = its.file("agents.csv", [{"extension": "201", "user_id": "101"}])
    leads = its.leads({f"+15145550{101 + n}": 5001 + n for n in range(9)})
    its.run("one call goes", source, "--agents", people, "--leads", leads, "--limit", "1")
    people = its.file("agents.csv", [{"extension": "201", "user_id": "103"}])
    leads = its.leads({f"+15145550{101 + n}": 5010 + n for n in range(9)})
    its.run("the rest, with other files", source, "--agents", people, "--leads", leads)


@story()
def agent_leaves(its: Dealership) -> None:
    its.run("night 1", its.file("night1.csv", calls(4)))
    its.in_the_crm({"act": "deactivate_user", "user": 102})
    rows = calls(8)
    rows[1] |= {"duration_seconds": "299"}
    its.run("night 2", its.file("night2.csv", rows))


# Answers that are lost


@story()
def lost_answers(its: Dealership) -> None:
    kinds = ("commit_then_drop", "drop_before_commit", "commit_then_500", "status_500", "truncated", "empty_2xx")
    # The first call goes alone. Then every second create meets one fault; each fault occurs once.
    its.faults(*({"kind": kind, **CREATES, "nth": 1 + 2 * n} for n, kind in enumerate(kinds, start=1)))
    source = its.file("night1.csv", calls(20))
    its.run("night 1", source)
    its.faults()
    its.run("night 1 again", source)
    its.run("night 2", its.file("night2.csv", calls(20, 10)))


@story()
def lost_answer_of_the_first_call(its: Dealership) -> None:
    its.faults({"kind": "commit_then_drop", **CREATES, "nth": 1})
    source = its.file("night1.csv", calls(3))
    its.run("night 1", source)
    its.run("night 1 again", source)


@story()
def lost_answers_without_references(its: Dealership) -> None:
    its.faults(
        {"kind": "commit_then_drop", **CREATES, "nth": 2},
        {"kind": "drop_before_commit", **CREATES, "nth": 4},
    )
    source = its.file("night1.csv", calls(6))
    its.run("night 1", source, "--no-reference")
    its.faults()
    its.run("night 1 again", source, "--no-reference")
    its.command("reconcile", "reconcile", "--json", "--settle", "1", "--rate", "60000/min")


@story()
def doubt_that_cannot_be_looked_up(its: Dealership) -> None:
    its.faults(
        {"kind": "commit_then_drop", **CREATES, "nth": 2},
        {"kind": "incomplete_read", "path": "/leads/:id", "lead": 5002, "share": 1.0, "without_key": True},
    )
    source = its.file("night1.csv", calls(4))
    its.run("reads of its lead show no communications", source, "--existing", "send")
    changed = its.file("night2.csv", [call(0), call(1, duration_seconds="299"), call(2), call(3)])
    its.run("the call in doubt changes meanwhile", changed, "--existing", "send")
    its.faults()
    its.command("reconcile", "reconcile", "--json", "--settle", "1", "--rate", "60000/min")
    its.run("the new facts are applied", changed, "--existing", "send")


@story()
def held_calls_are_decided(its: Dealership) -> None:
    # Without references, another call at the same minute leaves open whether ours is stored.
    its.faults({"kind": "drop_before_commit", **CREATES, "every": 2})
    for number in (1, 3, 5):
        _typed_in(its, number, longer=1)
    source = its.file("night1.csv", calls(6))
    its.run("three creates have no answer", source, "--no-reference", "--existing", "send")
    its.faults()
    its.command("looked up again", "reconcile", "--json", "--settle", "1", "--rate", "60000/min")
    keys = {row["row"]: row["key"] for row in _held(its)}
    its.command("one is sent again", "reconcile", "--json", "--resend", keys["3"])
    its.command("one is what was typed in", "reconcile", "--json", "--accept", keys["5"], str(_id_typed_in(its, 3)))
    its.command("one is given up", "withdraw", keys["7"])
    its.run("again", source, "--no-reference", "--existing", "send")
    its.command("the one given up is tried again", "retry", keys["7"])
    its.run("and stays held", source, "--no-reference", "--existing", "send")


def _typed_in(its: Dealership, number: int, *, longer: int) -> None:
    """Let a person type in call `number`, with a longer duration and another text."""
    row = call(number)
    its.in_the_crm({
        "act": "add_communication", "lead": int(row["lead_id"]),
        "communication": {
            "executed_at": row["started_at"], "method": "phone", "type": row["direction"], "call_status": "answered",
            "call_duration": int(row["duration_seconds"]) + longer, "call_phone": row["customer_phone"],
            "description": "Appelé",
        },
    })  # fmt: skip


def _id_typed_in(its: Dealership, number: int) -> int:
    lead = int(call(number)["lead_id"])
    return next(int(one["id"]) for one in its.crm.stored() if one["by_hand"] and one["lead_id"] == lead)


@story()
def look_alikes_are_held(its: Dealership) -> None:
    its.run("night 1", its.file("night1.csv", calls(4)))
    second = timedelta(seconds=1)
    alike = [
        row | {"call_id": f"other-{n}", "started_at": (datetime.fromisoformat(row["started_at"]) + second).isoformat()}
        for n, row in enumerate(calls(3))
    ]
    source = its.file("night2.csv", [*alike, call(7)])
    its.run("three calls under other ids, a second later", source)
    keys = [row["key"] for row in _held(its)]
    its.command("one is the same call", "withdraw", keys[0])
    its.command("one is another call", "reconcile", "--json", "--resend", keys[1])
    its.command(
        "one is said to be what another call has", "reconcile", "--json", "--accept", keys[2], str(its.stored(2)["id"])
    )
    its.run("night 2 again", source)
    its.command("the withdrawn one is taken back", "retry", keys[0])
    its.run("and once more", source)


def _held(its: Dealership) -> list[dict[str, str]]:
    return [row for row in observation.exported(its.crm, its.folder) if row["status"] == "held"]


# Plan, limit, pilot


def _plan(its: Dealership, what: str, *arguments: str | Path) -> str:
    return str(its.run(what, *arguments, "--dry-run").summary["plan"])


@story()
def plan_is_approved(its: Dealership) -> None:
    source = its.file("night1.csv", calls(6))
    code = _plan(its, "the plan", source)
    again = _plan(its, "the plan again", source)
    its.note("both plans have one code", code == again)
    its.run("another plan than the approved one", its.file("other.csv", calls(7)), "--plan", code)
    its.run("the approved plan", source, "--plan", code)
    changed = its.file("night2.csv", [call(0, duration_seconds="299"), *calls(7, 1)])
    code = _plan(its, "a plan with an update", changed)
    its.run("is approved", changed, "--plan", code)
    its.run("nothing is left", changed)


@story()
def plan_is_approved_and_limited(its: Dealership) -> None:
    source = its.file("night1.csv", calls(6))
    code = _plan(its, "the plan", source)
    its.run("two calls of it", source, "--plan", code, "--limit", "2")
    its.resume("the rest, without files")


@story()
def limit_then_the_rest(its: Dealership) -> None:
    source = its.file("night1.csv", calls(7))
    its.run("two calls", source, "--limit", "2")
    its.run("two more, with a second file", source, its.file("night2.csv", calls(3, 7)), "--limit", "2")
    its.resume("one more", "--limit", "1")
    its.resume("the rest")
    its.resume("nothing is left")
    its.run("all files", source, its.folder / "night2.csv")


@story()
def pilot_then_the_rest(its: Dealership) -> None:
    rows = calls(12)
    rows[3] |= {"status": "unanswered", "duration_seconds": "0"}
    source = its.file("night1.csv", rows)
    its.run("a pilot of four", source, "--pilot", "4")
    its.resume("the rest")


@story()
def pending_calls_of_other_settings(its: Dealership) -> None:
    rows = [row | {"started_at": row["started_at"][:19]} for row in calls(5)]
    source = its.file("night1.csv", rows)
    first = its.run("in the wrong zone, one call goes", source, "--timezone", "America/Vancouver", "--limit", "1")
    its.run("in the right zone", source, "--timezone", "America/Toronto")
    its.resume("the first batch goes on", "--resume", first.summary["batch"])
    its.command("and is given up", "withdraw", first.summary["batch"])


# A person gives up, or tries again


@story()
def withdraw_and_retry(its: Dealership) -> None:
    source = its.file("night1.csv", calls(6))
    first = its.run("two calls go", source, "--limit", "2")
    its.command("the rest is given up", "withdraw", first.summary["batch"])
    its.run("the same again", source)
    its.command("one is taken back", "retry", its.reference(4))
    its.run("and sent", source)
    its.run("changed rows of withdrawn calls", its.file("night2.csv", calls(6, duration_seconds="299")))


@story()
def refused_calls(its: Dealership) -> None:
    rows = [call(0), call(1, lead_id="7777"), call(2, lead_id="5010"), call(3, agent_id="105"), call(4)]
    source = its.file("night1.csv", rows)
    its.run("a lead and an agent that are not there", source)
    its.run("the same again", source)
    its.command("all are tried again", "retry", "--refused")
    its.run("and refused again", source)
    its.run("mended", its.file("night2.csv", calls(5)))
    its.run("mended, and another duration", its.file("night3.csv", [*calls(2, 0, duration_seconds="9"), *calls(3, 2)]))


@story()
def calls_that_do_not_reach_the_crm(its: Dealership) -> None:
    its.faults({"kind": "limit_429", **CREATES, "every": 2, "retry_after": 0})
    source = its.file("night1.csv", calls(6))
    its.run("every second create is put off", source)
    its.faults({"kind": "revoke_key", **CREATES, "nth": 2})
    its.run("the key is revoked", its.file("night2.csv", calls(4, 6)))
    its.faults()
    its.run("the key is good again", its.folder / "night2.csv")


# Rejects that are mended


@story()
def mended_rejects(its: Dealership) -> None:
    rows = calls(6)
    rows[1] |= {"started_at": "soon"}
    rows[2] |= {"duration_seconds": "a while"}
    rows[3] |= {"customer_phone": ""}
    source = its.file("night1.csv", rows)
    its.run("three rows are rejected", source)
    mended = its.mend("mended.csv", {
        "call-1": {"started_at": call(1)["started_at"]},
        "call-2": {"duration_seconds": "32"},
    })  # fmt: skip
    its.run("the overlapping night, unmended", its.file("night2.csv", [*rows, call(6)]))
    its.run("two are mended", mended)
    its.run("the mended file again", mended)
    its.run("the broken export again", source)
    its.run("the phone system mends them, too", its.file("night3.csv", calls(7)))


@story()
def rejects_mended_twice(its: Dealership) -> None:
    rows = without(calls(4), "call_id")
    rows = [row | {"call_id": "" if n else "call-0"} for n, row in enumerate(rows)]
    rows[0] |= {"direction": "sideways"}
    source = its.file("night1.csv", rows)
    its.run("a row is rejected", source)
    first = its.mend("mended.csv", {"call-0": {"direction": "incoming"}})
    second = its.mend("mended-otherwise.csv", {"call-0": {"direction": "outgoing", "call_id": "call-99"}})
    its.run("mended", first)
    its.run("mended otherwise", second)
    its.run("the broken export again", source)


@story()
def too_many_rejects(its: Dealership) -> None:
    rows = calls(10)
    rows[0] |= {"status": "daydreaming"}
    rows[1] |= {"status": "daydreaming"}
    source = its.file("night1.csv", rows)
    its.run("two of ten", source, "--max-rejects", "10%")
    its.run("allowed", source, "--max-rejects", "2", "--fail-on", "duplicate")


# What the CRM has already


@story()
def ledger_is_lost(its: Dealership) -> None:
    source = its.file("night1.csv", calls(6))
    its.run("night 1", source)
    its.lose_the_ledger()
    more = its.file("night2.csv", calls(8))
    its.run("the ledger is lost", more)
    its.run("a dry run of adopting", more, "--adopt", "--dry-run")
    its.run("adopted", more, "--adopt")
    its.run("the next night", its.file("night3.csv", calls(9)))
    its.command("verify", "verify", "--json")


@story()
def ledger_is_lost_without_references(its: Dealership) -> None:
    source = its.file("night1.csv", calls(5))
    its.run("night 1", source, "--no-reference")
    its.in_the_crm({"act": "edit_communication", "id": its.stored(1)["id"], "changes": {"call_duration": 600}})
    its.lose_the_ledger()
    its.run("the ledger is lost", source, "--no-reference", "--existing", "send", "--limit", "1")
    its.run("adopted", source, "--no-reference", "--adopt")


@story()
def calls_that_people_typed_in(its: Dealership) -> None:
    for number in (0, 2, 4):
        _typed_in(its, number, longer=number)
    source = its.file("night1.csv", calls(6))
    its.run("reported", source, "--existing", "report", "--limit", "2")
    its.run("skipped", source)
    its.run("and again", source)
    its.run("changed meanwhile", its.file("night2.csv", calls(6, duration_seconds="299")))


# Guards


def _later(rows: list[dict[str, str]], hours: int) -> list[dict[str, str]]:
    away = timedelta(hours=hours)
    return [row | {"started_at": (datetime.fromisoformat(row["started_at"]) + away).isoformat()} for row in rows]


@story()
def wrong_zone_without_ids(its: Dealership) -> None:
    rows = without(calls(24), "call_id")
    its.run("night 1", its.file("night1.csv", rows))
    its.run("the same calls three hours later", its.file("night2.csv", _later(rows, 3)))


@story()
def wrong_zone_with_ids(its: Dealership) -> None:
    its.run("night 1", its.file("night1.csv", calls(24)))
    its.run("the same ids three hours later", its.file("night2.csv", _later(calls(24), 3) + calls(2, 24)))


@story()
def same_calls_under_other_ids(its: Dealership) -> None:
    its.run("night 1", its.file("night1.csv", calls(24)))
    renamed = [row | {"call_id": f"other-{n}"} for n, row in enumerate(calls(24))]
    its.run("other ids", its.file("night2.csv", renamed))
    its.run("ids are left out", its.file("night3.csv", without(calls(24), "call_id")))


@story()
def same_id_far_away(its: Dealership) -> None:
    its.run("night 1", its.file("night1.csv", calls(5)))
    moved = [
        *_later([call(0)], 30),
        call(1, direction="incoming"),
        call(2, customer_phone="+15145550117"),
        *_later([call(3, duration_seconds="299", description="Autre")], 2),
        *_later([call(4)], 1),
    ]
    its.run("ids of before for calls that differ", its.file("night2.csv", moved))


# Recordings


@story()
def recordings_night_after_night(its: Dealership) -> None:
    rows = [call(n, recording=f"call-{n}.wav") for n in range(5)]
    its.recording("call-0.wav", b"zero" * 500)
    its.recording("call-1.wav", b"one" * 500)
    its.recording("call-2.wav", b"")
    audio = ("--recordings", its.folder / "recordings")
    source = its.file("night1.csv", rows)
    its.run("two of five are there", source, *audio)
    its.recording("call-1.wav", b"other" * 500)
    its.recording("call-3.wav", b"three" * 500)
    its.run("one changed, one came", source, *audio)
    its.faults({"kind": "commit_then_drop", "path": "/communications/:id/recording", "nth": 1})
    its.recording("call-4.wav", b"four" * 500)
    its.run("an answer is lost", its.file("night2.csv", [*rows, call(5, recording="call-5.wav")]), *audio)
    its.faults()
    its.recording("call-5.wav", b"five" * 500)
    its.resume("recordings alone", *audio, "--recordings-only")
    renamed = [row | {"recording": f"call-{(n + 1) % 5}.wav"} for n, row in enumerate(rows)]
    its.run("the rows name other files", its.file("night3.csv", renamed), *audio)


# Options that shape what a call is


@story()
def filters_change_between_nights(its: Dealership) -> None:
    rows = calls(8)
    rows[2] |= {"duration_seconds": "3"}
    rows[3] |= {"customer_phone": "anonymous"}
    source = its.file("night1.csv", rows)
    its.run("only incoming calls", source, "--only", "incoming")
    its.run("only long ones", source, "--min-duration", "10")
    excluded = its.folder / "suppliers.txt"
    excluded.write_text("+15145550106\n", "utf-8")
    its.run("without a supplier", source, "--exclude-numbers", excluded, "--own-number", "+15145550107")
    its.run("all", source)
