"""The folder a scene is played in, and everything a life finds around it."""

import contextlib
import io
import os
import ssl
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest import mock

import httpcore
import httpx
import polars as pl
import trio
from rich.console import Console

from callimport import importer, report
from callimport.core import models
from callimport.crm import client
from callimport.ledger import locking
from callimport.transform import validate
from tests.crash import scenes, world
from tests.crash.commands import Desk, Ended, chance
from tests.crash.crm import START, Crm
from tests.crash.life import Death, Life, Mark, Point
from tests.crash.scenes import Act, Scene
from tests.crash.storage import Storage
from tests.crash.wire import Network
from tests.crash.world import World
from tests.simulation import scheduling

LONGEST_LIFE_SECONDS = 6 * 3600.0
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_CONSOLE = Console(file=io.StringIO(), width=200)


@dataclass(frozen=True, slots=True)
class Lived:
    """`ended` is None for who died; `left` then holds what each death leaves, else `world` twice."""

    world: World
    ended: Ended | None
    left: dict[Death, World]
    marks: tuple[Mark, ...]
    steps: tuple[str, ...]
    requests: tuple[str, ...]


class Stage:
    """The files that are imported lie beside the folder that a crash takes back."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.lives = 0
        self._around = contextlib.ExitStack()

    def __enter__(self) -> "Stage":
        folder = Path(
            self._around.enter_context(tempfile.TemporaryDirectory(dir=world.FOLDER, prefix="callimport-crash-"))
        )
        self._around.enter_context(_surroundings())
        self._state, self._sources = folder / "state", folder / "sources"
        self._state.mkdir()
        self._sources.mkdir()
        for name, text in (*self.scene.files.items(), (scenes.QUIET, scenes.csv())):
            (self._sources / name).write_text(text, encoding="utf-8")
            # A file that was touched a moment ago may still be being written.
            os.utime(self._sources / name, (0, 0))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._around.close()

    def live(
        self,
        begins: World,
        act: int | Act,
        noted: tuple[Any, ...],
        *,
        dies_at: Point | None = None,
        shows: bool = False,
    ) -> Lived:
        """One process that plays an act of the scene, or an act of its own, which nothing troubles."""
        self.lives += 1
        world.put(begins.files, self._state)
        life = Life(begins, self._state, dies_at, shows)
        storage = Storage(life)
        life.images = storage
        with storage.watched():
            ended = scheduling.run(partial(self._live, life, act, noted), begins.lives)
        assert life.crm is not None
        return Lived(
            life.left[Death.KILL], ended, life.left, tuple(life.marks), tuple(life.steps), tuple(life.crm.requests)
        )

    async def _live(self, life: Life, act: int | Act, noted: tuple[Any, ...]) -> Ended | None:
        number, played = (act, self.scene.acts[act]) if isinstance(act, int) else (-1, act)
        ended: Ended | None = None
        async with trio.open_nursery() as beside:
            life.crm = Crm(life.began.crm, played.troubles, number, beside, life.now, played.leads)
            life.crm.go_on()
            desk = Desk(self._state, self._sources, self._tools(life), self.scene.reference, self.scene.concurrency)
            with life.scope:
                try:
                    with trio.fail_after(LONGEST_LIFE_SECONDS):
                        ended = await played.command.do(desk, noted)
                except BaseException:
                    # Whatever a dead process still meets, nobody sees.
                    if not life.dead:
                        raise
            if not life.dead:
                life.left = dict.fromkeys(Death, life.leaves(world.taken(self._state)))
            beside.cancel_scope.cancel()
        return ended

    def _tools(self, life: Life) -> importer.Tools:
        assert life.crm is not None
        wall = partial(_wall, life)
        return importer.Tools(
            clock=models.Clock(wall=wall, monotonic=trio.current_time),
            talk=report.Talk(_CONSOLE, wall, quiet=True),
            rng=chance(life.began.lives),
            hears_signals=False,
            connect=partial(_connected, Network(life, life.crm)),
        )


def _wall(life: Life) -> datetime:
    return START + timedelta(seconds=life.now())


@contextlib.asynccontextmanager
async def _connected(
    network: Network, base_url: str, token: Any, *, connections: int
) -> AsyncIterator[client.Destination]:
    """The importer's own way to a CRM, over a network of ours."""
    transport = httpx.AsyncHTTPTransport(verify=_NO_TLS)
    transport._pool = httpcore.AsyncConnectionPool(
        network_backend=network,
        max_connections=connections,
        keepalive_expiry=client.KEEPALIVE_SECONDS,
        ssl_context=_NO_TLS,
    )
    async with client.connected(base_url, token, connections=connections, transport=transport) as crm:
        yield crm


@contextlib.contextmanager
def _surroundings() -> Iterator[None]:
    """What a run finds around it, and what only costs time here."""
    with (
        warnings.catch_warnings(),
        mock.patch.dict(os.environ, {"CALLIMPORT_TOKEN": "canary-7f3a9b-token"}),
        mock.patch.object(client, "_tls", return_value=_NO_TLS),
        # A file a second that nobody here reads.
        mock.patch.object(locking, "write_heartbeat", return_value=None),
        # The same few files, read by every life anew: to the same end, and with most of the time there is.
        mock.patch.object(validate, "validate", _remembered(validate.validate)),
        mock.patch.object(validate, "validate_communications", _remembered(validate.validate_communications)),
    ):
        # Who is killed in the midst of a request leaves it half read.
        warnings.filterwarnings("ignore", "Async generator", ResourceWarning)
        warnings.filterwarnings("ignore", "unclosed", ResourceWarning)
        yield


def _remembered(judge: Callable[..., Any]) -> Callable[..., Any]:
    """Its first answer to each frame."""
    answers: dict[str, Any] = {}

    def remember(frame: pl.DataFrame, *more: Any) -> Any:
        content = repr(frame.rows())
        if content not in answers:
            answers[content] = judge(frame, *more)
        return answers[content]

    return remember
