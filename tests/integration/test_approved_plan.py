"""A plan that a person approved stays approved while it is carried out."""

from collections import Counter
from pathlib import Path

from tests import rehearsal
from tests.exporting import write
from tests.rehearsal import Crm, adds_up, calls, write_csv

_FAST = ("--rate", "60000/min", "--settle", "1")
_CALLS = 24


def _is_once(crm: Crm) -> bool:
    return set(Counter(one["executed_at"] for one in crm.stored()).values()) == {1}


def test_approved_plan_goes_on_after_a_pilot_and_a_kill(tmp_path: Path) -> None:
    export = write_csv(tmp_path / "calls.csv", calls(_CALLS))
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as crm:
        code = crm.run(export, *_FAST, "--dry-run").summary["plan"]
        pilot = crm.run(export, *_FAST, "--plan", code, "--limit", "5")
        killed = crm.start(export, "--rate", "120/min", "--plan", code)
        crm.wait_for_creates(8)
        killed.kill()
        killed.communicate()
        rest = crm.run("--plan", code, *_FAST)
        rejects = tmp_path / "rejects.csv"
        again = crm.run(export, *_FAST, "--plan", code, "--rejects", rejects)
        count, is_once = len(crm.stored()), _is_once(crm)

    assert (pilot.code, pilot.summary["calls"]["delivered"], pilot.summary["calls"]["pending"]) == (7, 5, _CALLS - 5)
    assert (rest.code, rest.summary["calls"]["pending"]) == (0, 0), rest.said
    assert (again.code, again.summary["calls"]["total"]) == (0, 0), again.said
    assert (count, is_once) == (_CALLS, True)
    assert "the files are not read again" in again.said, again.said
    assert (rejects.exists(), "rejects.csv" in again.said) == (False, False)
    assert all(adds_up(one.summary) for one in (pilot, rest, again))


def test_leads_of_an_approved_plan_are_looked_up_once(tmp_path: Path) -> None:
    rows = [f"c{n},incoming,2025-03-10T14:1{n % 10}:07-04:00,60,+15145550{n}" for n in (106, 110)]
    export = write(tmp_path / "calls.csv", "call_id,direction,started_at,duration_seconds,customer_phone", *rows)
    words = (export, *_FAST, "--find-leads", "--unknown-agent", "omit")
    with rehearsal.crm(tmp_path / "state", "--limit", "100000", "--cases") as crm:
        dry = crm.run(*words, "--dry-run")
        asked = crm.ask("counts")["by_kind"]["GET /leads"]
        first = crm.run(*words, "--plan", dry.summary["plan"], "--limit", "1")
        rest = crm.run(*words, "--plan", dry.summary["plan"])
        asked_again = crm.ask("counts")["by_kind"]["GET /leads"] - asked

    assert (first.code, rest.code, asked_again) == (7, 0, 0), rest.said
    assert asked > 0


def test_approved_plan_is_not_carried_out_with_other_files_or_settings(tmp_path: Path) -> None:
    export = write_csv(tmp_path / "calls.csv", calls(6))
    other = write_csv(tmp_path / "more.csv", calls(9)[6:])
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as crm:
        code = crm.run(export, *_FAST, "--dry-run").summary["plan"]
        too_early = crm.run(other, *_FAST, "--plan", code)
        crm.run(export, *_FAST, "--plan", code, "--limit", "2")
        others = crm.run(other, *_FAST, "--plan", code)
        settings = crm.run(export, *_FAST, "--plan", code, "--min-duration", "30")
        unknown = crm.run("--plan", "2222-2222", *_FAST)
        count = len(crm.stored())

    assert [one.code for one in (too_early, others, settings, unknown)] == [8, 8, 8, 2]
    assert f"the plan {code} was approved for other files or other settings" in others.err
    assert count == 2


def test_plan_goes_on_with_its_own_updates_alone_and_as_it_was_approved(tmp_path: Path) -> None:
    """Two known calls change: one before the approval, one in a later run that is not to change the CRM."""
    known, new = calls(4)[:2], calls(4)[2:]
    now = [row | {"duration_seconds": str(90 + place)} for place, row in enumerate(known)]
    export = write_csv(tmp_path / "calls.csv", known)
    changed = write_csv(tmp_path / "changed.csv", [now[0], *new])
    later = write_csv(tmp_path / "later.csv", [now[1]])
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as crm:
        crm.run(export, *_FAST)
        code = crm.run(changed, *_FAST, "--dry-run").summary["plan"]
        crm.run(changed, *_FAST, "--plan", code, "--limit", "1")
        crm.run(later, *_FAST, "--on-change", "report")
        other = crm.run("--plan", code, *_FAST, "--on-change", "report")
        planned = crm.run(changed, *_FAST, "--plan", code, "--dry-run")
        rest = crm.run("--plan", code, *_FAST)
        talks = {one["call_duration"] for one in crm.stored()}

    assert (other.code, "was approved with --on-change update" in other.err) == (8, True), other.said
    assert (planned.code, "plan" in planned.summary) == (0, False)
    assert planned.summary["calls"]["total"] == rest.summary["calls"]["total"]
    assert (rest.code, 90 in talks, 91 in talks) == (0, True, False), rest.said


def test_another_run_leaves_the_items_of_an_approved_plan_alone(tmp_path: Path) -> None:
    export = write_csv(tmp_path / "calls.csv", calls(9)[:6])
    both = write_csv(tmp_path / "all.csv", calls(9))
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as crm:
        code = crm.run(export, *_FAST, "--dry-run").summary["plan"]
        crm.run(export, *_FAST, "--plan", code, "--limit", "2")
        night = crm.run(both, *_FAST)
        rest = crm.run("--plan", code, *_FAST)

    assert (night.summary["calls"]["delivered"], night.summary["calls"]["pending"]) == (3, 4)
    assert f"4 calls belong to the approved plan {code}" in night.said, night.said
    assert (rest.code, rest.summary["calls"]["delivered"]) == (0, 4)


def test_item_whose_payload_changes_leaves_the_plan_by_name(tmp_path: Path) -> None:
    rows = calls(3)
    export = write_csv(tmp_path / "calls.csv", rows)
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as crm:
        code = crm.run(export, *_FAST, "--dry-run").summary["plan"]
        crm.run(export, *_FAST, "--plan", code, "--limit", "1")
        changed = write_csv(tmp_path / "changed.csv", [rows[1] | {"duration_seconds": "7"}])
        night = crm.run(changed, *_FAST)
        rest = crm.run("--plan", code, *_FAST)

    assert night.summary["calls"]["delivered"] == 1
    assert "1 call has left the plan" in rest.said, rest.said
    assert (rest.code, rest.summary["calls"]["delivered"]) == (0, 1)
