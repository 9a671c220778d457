"""Changed calls, by chance: nights of corrections, an ailing CRM, and a process that dies in the midst of updates.

The hidden truth is the CRM's own: it must end with every call as its source told it last, and with no call twice.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callimport.core import models
from callimport.core.settings import Settings
from tests import fake_crm, making
from tests.fake_crm import FakeCrm, Reply, Request, in_virtual_time, reply
from tests.nights import Nights, nights, several

SEEDS = 40
LIVES_OF_A_NIGHT = 3


class Dead(BaseException):
    """kill -9, as those meet it who go on: nothing that they do counts any more."""


def _troubled(crm: FakeCrm, rng: random.Random) -> Callable[[Request], Reply]:
    """Every third request meets trouble, half of it after it was stored; every twentieth is the last of its process."""

    def answer(request: Request) -> Reply:
        chance = rng.random()
        if chance > 0.35:
            return crm.keep(request)
        given = crm.keep(request) if rng.random() < 0.5 else fake_crm.CLOSES
        if chance < 0.05:
            raise Dead
        if chance < 0.1:
            return reply(429, None, [("Retry-After", "3")])
        if chance < 0.2:
            return reply(500)
        cut = given.data[: int(len(given.data) * rng.random())]
        return Reply(cut, fake_crm.Ending.RESET if rng.random() < 0.5 else fake_crm.Ending.CLOSE)

    return answer


def _told_otherwise(call: models.Call, rng: random.Random) -> models.Call:
    """Of few stories, so that a change is often taken back."""
    changes: dict[str, Any] = {
        "duration_seconds": rng.choice((7, 95, 120)),
        "status": rng.choice((models.CallStatus.ANSWERED, models.CallStatus.ERROR)),
        "description": rng.choice(("Rappel demandé", "Sans suite", None)),
    }
    return call._replace(**changes)


async def _live(them: Nights, calls: list[models.Call], rng: random.Random) -> bool:
    """One process, to its end or its death; whether it died."""
    settings = Settings(files=(), concurrency=rng.choice((1, 3)), settle=20.0)
    limit = rng.choice((None, None, 2))
    try:
        await them.tells(*calls, settings=settings).make(limit=limit)
    except BaseExceptionGroup as group:
        if group.split(Dead)[1] is not None:
            raise
        return True
    return False


# Who is killed in the midst of a request leaves it half read.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Async generator:ResourceWarning")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_crm_ends_with_what_the_source_told_last(tmp_path: Path, seed: int) -> None:
    @in_virtual_time
    async def story() -> None:
        rng = random.Random(f"changes {seed}")
        calls = [one._replace(lead_id=6000 + number // 2) for number, one in enumerate(several(rng.randint(2, 7)))]
        with nights(tmp_path, *calls) as them:
            before = [one["id"] for one in them.crm.stored]
            for _ in range(rng.randint(2, 5)):
                calls = [_told_otherwise(one, rng) if rng.random() < 0.6 else one for one in calls]
                them.crm.answer = _troubled(them.crm, rng)
                for _ in range(LIVES_OF_A_NIGHT):
                    if not await _live(them, calls, rng):
                        break
            them.crm.answer = them.crm.keep
            result = await them.tells(*calls).make()
            assert result.error is None
            assert result.updates.left == ()
            assert (await them.tells(*calls).make()).summary.calls.unchanged == len(calls)
            assert [one["id"] for one in them.crm.stored] == before
            for call, kept in zip(calls, them.crm.stored, strict=True):
                told = mapping_of(call)
                assert {name: kept[name] for name in told} == told
                assert making.row(them.ledger, making.key(call))["communication_id"] == kept["id"]

    story()


def mapping_of(call: models.Call) -> dict[str, Any]:
    """What the CRM must keep of a call."""
    mark = f"[ref {making.reference(call)}]"
    return {
        "lead_id": call.lead_id,
        "call_duration": call.duration_seconds,
        "call_status": call.status,
        "description": f"{call.description} {mark}" if call.description else mark,
    }
