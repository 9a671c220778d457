"""Leads found in the rehearsal CRM by the real command, those that are hard to get right included."""

from pathlib import Path

import pytest

from tests import rehearsal
from tests.exporting import write

FAST = ("--rate", "60000/min", "--find-leads", "--unknown-agent", "omit")
_HEADER = "call_id,direction,started_at,duration_seconds,customer_phone"


def _rows(*numbers: int) -> list[str]:
    return [
        f"c{number},incoming,2025-03-10T14:{position:02}:{position + 7:02}-04:00,60,+15145550{number}"
        for position, number in enumerate(numbers)
    ]


@pytest.mark.parametrize("profile", ["strict", "sloppy"])
def test_leads_that_are_hard_to_get_right_are_got_right(tmp_path: Path, profile: str) -> None:
    """101: two people. 103: three leads of one customer. 106: a duplicate and its lead. 190: another dealer's. 199:
    nobody's. 110: a number with an extension."""
    export = write(tmp_path / "calls.csv", _HEADER, *_rows(101, 103, 106, 190, 199, 110))
    options = ("--limit", "100000", "--cases", "--profile", profile)
    with rehearsal.crm(tmp_path / "state", *options) as crm:
        planned = crm.run(export, *FAST, "--dry-run")
        assert crm.creates() == 0
        first = crm.run(export, *FAST)
        stored = {
            one["call_phone"][-3:]: one["lead_id"] for one in crm.stored() if "[ref " in (one["description"] or "")
        }
        decided = crm.run(export, *FAST, "--several-leads", "at-call")
        later = {
            one["call_phone"][-3:]: one["lead_id"] for one in crm.stored() if "[ref " in (one["description"] or "")
        }
        again = crm.run(export, *FAST)
        verdict = crm.ask("assert")

    assert (planned.code, planned.summary["calls"]["pending"]) == (3, 2)
    assert (first.code, first.summary["rows"]["rejected"], first.summary["skipped"]) == (3, 2, {"no_lead": 2})
    assert stored == {"106": 6009, "110": 6010}
    assert "leads 6001 and 6002 both have this number" in first.said
    # 6003 and 6004 were there before the call; 6005 was entered after it.
    assert later["103"] == 6004
    assert decided.summary["calls"]["unchanged"] == 2
    assert (again.summary["calls"]["unchanged"], again.summary["calls"]["delivered"]) == (len(later), 0)
    assert verdict["leads_created"] == []
    assert verdict["unknown_fields"] == []
