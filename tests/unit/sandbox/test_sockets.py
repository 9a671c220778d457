"""Faults that only a real connection can show: what httpx makes of a rehearsal CRM that hangs up."""

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx
import pytest

from callimport.sandbox import plan, rehearsal, server

TOKEN = "a-key-for-rehearsal"
CALL = {"lead_id": 5001, "method": "phone", "type": "incoming", "description": "é" * 500}
NOW = datetime.datetime(2026, 11, 22, 15, 0, tzinfo=datetime.UTC)

Ask = Callable[[httpx.AsyncClient, rehearsal.Rehearsal], Coroutine[Any, Any, None]]


def on_sockets(given: list[dict[str, Any]], ask: Ask) -> None:
    """`ask` talks to a sandbox with these rules over loopback."""
    stage = rehearsal.Rehearsal(token=TOKEN, now=lambda: NOW, trouble=plan.parsed(given))

    async def talk() -> None:
        async with serving(stage) as url:
            headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json"}
            async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=5) as client:
                await ask(client, stage)

    asyncio.run(talk())


@contextlib.asynccontextmanager
async def serving(stage: rehearsal.Rehearsal) -> AsyncIterator[str]:
    ready = asyncio.Event()
    with server.bound(0, "--port") as listener:
        task = asyncio.create_task(server.serve([(stage.api, listener)], started=ready.set))
        try:
            await asyncio.wait_for(ready.wait(), 5)
            yield server.url(listener) + "/v2"
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.mark.parametrize(
    ("rule", "error", "stored"),
    [
        ({"kind": "drop_before_commit"}, httpx.RemoteProtocolError, 0),
        ({"kind": "drop_before_commit", "reset": True}, httpx.ReadError, 0),
        ({"kind": "commit_then_drop"}, httpx.RemoteProtocolError, 1),
        ({"kind": "commit_then_drop", "reset": True}, httpx.ReadError, 1),
        ({"kind": "truncated"}, httpx.RemoteProtocolError, 1),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_dropped_connection_is_seen_as_one(rule: dict[str, Any], error: type[Exception], stored: int) -> None:
    """And the next request, on a connection of its own, is served as if nothing had been."""

    async def ask(client: httpx.AsyncClient, stage: rehearsal.Rehearsal) -> None:
        with pytest.raises(error):
            await client.post("/communications", json=CALL)
        assert len(stage.world.communications) == stored
        assert (await client.post("/communications", json=CALL)).status_code == 201

    on_sockets([rule | {"nth": 1}], ask)


def test_half_an_answer_has_its_status_and_its_length() -> None:
    """The caller knows that it was stored, but not under which id: it must look, and must not send again."""

    async def ask(client: httpx.AsyncClient, stage: rehearsal.Rehearsal) -> None:
        async with client.stream("POST", "/communications", json=CALL) as answer:
            assert answer.status_code == 201
            with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
                await answer.aread()
        assert answer.num_bytes_downloaded == int(answer.headers["content-length"]) // 2

    on_sockets([{"kind": "truncated"}], ask)


def test_drop_on_a_connection_kept_alive_is_no_other_than_on_a_new_one() -> None:
    async def ask(client: httpx.AsyncClient, stage: rehearsal.Rehearsal) -> None:
        assert (await client.post("/communications", json=CALL)).status_code == 201
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await client.post("/communications", json=CALL)
        assert len(stage.world.communications) == 2

    on_sockets([{"kind": "commit_then_drop", "nth": 2}], ask)


def test_stalled_answer_outlasts_the_callers_patience() -> None:
    async def ask(client: httpx.AsyncClient, stage: rehearsal.Rehearsal) -> None:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/communications", json=CALL, timeout=0.05)
        assert len(stage.world.communications) == 1
        assert (await client.post("/communications", json=CALL)).status_code == 201

    on_sockets([{"kind": "commit_then_stall", "seconds": 0.2, "nth": 1}], ask)


@pytest.mark.parametrize("answer", ["504", "drop"])
def test_late_commit_leaves_the_connection_to_others(answer: str) -> None:
    async def ask(client: httpx.AsyncClient, stage: rehearsal.Rehearsal) -> None:
        with contextlib.suppress(httpx.RemoteProtocolError):
            assert (await client.post("/communications", json=CALL)).status_code == 504
        assert stage.world.communications == {}
        assert (await client.get("/leads/5001")).status_code == 200
        assert stage.world.communications == {}
        await asyncio.sleep(0.2)
        assert len(stage.world.communications) == 1

    on_sockets([{"kind": "late_commit", "seconds": 0.15, "answer": answer, "nth": 1, "method": "POST"}], ask)


def test_callers_who_follow_a_redirect_arrive_under_the_other_name() -> None:
    async def ask(client: httpx.AsyncClient, stage: rehearsal.Rehearsal) -> None:
        await client.get("/account", follow_redirects=True)
        (stranger,) = stage.journal.strangers()
        assert stranger.number == 2

    on_sockets([{"kind": "redirect", "nth": 1}], ask)
