"""The code of a plan covers what would be uploaded, and what would be written over."""

import os
from typing import Any

import pytest

from callimport.core import errors
from tests.unit.load.test_audio_files import wav
from tests.unit.load.test_recording_brake import folder, night, rows, uploads, wired
from tests.unit.resolve.test_find_leads import Nights, night_after_night
from tests.unit.resolve.test_find_leads import _call as call


async def code(nights: Nights, *its_rows: str, **changes: Any) -> str:
    return (await night(nights, *its_rows, dry_run=True, **changes)).plan or ""


@night_after_night
async def test_a_plan_holds_for_the_recordings_that_were_planned(nights: Nights) -> None:
    wired(nights.crm)
    planned = await code(nights, *rows(count=2))
    assert await code(nights, *rows(count=2)) == planned
    os.utime(place := folder(nights) / "0.wav", ns=(10**18, 10**18))
    other = await code(nights, *rows(count=2))
    place.write_bytes(wav(5))
    with pytest.raises(errors.GuardStopped, match="the plan is"):
        await night(nights, *rows(count=2), plan=other)
    with pytest.raises(errors.GuardStopped, match="the plan is"):
        await night(nights, *rows(count=2), plan=planned)
    assert uploads(nights) == 0
    assert (await night(nights, *rows(count=2), plan=await code(nights, *rows(count=2)))).summary.exit_code == 0
    assert uploads(nights) == 2


@night_after_night
async def test_a_plan_without_overwrite_is_no_leave_to_overwrite(nights: Nights) -> None:
    wired(nights.crm)
    await nights.run(call(1))
    nights.crm.stored[0]["call_duration"] = 77
    changed = call(1).replace(",60,", ",61,")
    planned = (await nights.run(changed, dry_run=True)).plan
    for other in ({"overwrite": True}, {"on_change": "skip"}):
        with pytest.raises(errors.GuardStopped, match="the plan is"):
            await nights.run(changed, plan=planned, **other)
    assert nights.crm.stored[0]["call_duration"] == 77
