"""The code of a plan covers what would be written over, but no recordings."""

import os

from callimport.core import errors
from tests.unit.load.test_audio_files import wav
from tests.unit.load.test_recording_brake import folder, night, rows, uploads, wired
from tests.unit.resolve.test_find_leads import Nights, night_after_night
from tests.unit.resolve.test_find_leads import _call as call


@night_after_night
async def test_plan_is_the_same_whatever_recordings_lie_there(nights: Nights) -> None:
    wired(nights.crm)
    planned = (await night(nights, *rows(count=2), dry_run=True)).plan
    place = folder(nights) / "0.wav"
    place.write_bytes(wav(5))
    os.utime(place, ns=(10**18, 10**18))
    assert (await night(nights, *rows(count=2), dry_run=True)).plan == planned
    assert (await night(nights, *rows(count=2), plan=planned)).summary.exit_code == 0
    assert uploads(nights) == 2


@night_after_night
async def test_plan_without_overwrite_is_no_leave_to_overwrite(nights: Nights) -> None:
    wired(nights.crm)
    await nights.run(call(1))
    nights.crm.stored[0]["call_duration"] = 77
    changed = call(1).replace(",60,", ",61,")
    planned = (await nights.run(changed, dry_run=True)).plan
    for other in ({"overwrite": True}, {"on_change": "skip"}):
        stopped = await nights.run(changed, plan=planned, **other)
        assert stopped.summary.exit_code == errors.ExitCode.GUARD
        assert "the plan is" in (stopped.error or "")
    assert nights.crm.stored[0]["call_duration"] == 77
