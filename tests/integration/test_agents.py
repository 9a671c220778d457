"""The agents of a whole import, with the real command against the real rehearsal CRM."""

from pathlib import Path

from tests import rehearsal
from tests.exporting import write

FAST = ("--rate", "60000/min")
_HEADER = "call_id,lead_id,direction,started_at,duration_seconds,customer_phone,agent_name,agent_email,agent_extension"


def test_calls_are_credited_to_whom_the_file_or_the_crm_says(tmp_path: Path) -> None:
    agents = write(tmp_path / "agents.csv", "extension,email,until", "201,user102@example.com,2024-05-31")
    who = ["Sophie Gendron,,", ",USER103@example.com,", ",,201", "Benoît Lafleur,,", ",,202"]
    rows = [f"c{n},5003,incoming,2024-05-31T14:{n}5:00-04:00,9,+15145550103,{one}" for n, one in enumerate(who)]
    export = write(tmp_path / "calls.csv", _HEADER, *rows)
    options = ("--agents", agents, "--timezone", "America/Toronto", *FAST)
    with rehearsal.crm(tmp_path / "state", "--limit", "100000") as crm:
        ended = crm.run(export, *options)
        stored = {one["executed_at"][14:16]: one["user_id"] for one in crm.stored()}
        again = crm.run(export, *options, "--unknown-agent", "default:104")
        later = {one["executed_at"][14:16]: one["user_id"] for one in crm.stored()}

    assert ended.code == 3
    assert stored == {"05": 101, "15": 103, "25": 102}
    assert (
        "of agents who are not known, rejected unless they were sent before: Benoît Lafleur (1), extension 202 (1)"
        in ended.said
    )
    # The first three are known: another setting for agents changes none of them.
    assert (again.code, again.summary["calls"]["unchanged"], again.summary["calls"]["delivered"]) == (0, 3, 2)
    assert later == stored | {"35": 104, "45": 104}
