"""What a run finds around it: its way to the CRM, its locks, its signals; and what only costs time here."""

import contextlib
import os
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import filelock
import httpcore
import httpx
import polars as pl

from callimport import importer
from callimport.core import models, signals
from callimport.crm import client
from callimport.ledger import locking
from callimport.load import deliver, heartbeat
from callimport.transform import validate
from tests.fake_crm import _NO_TLS, TOKEN
from tests.simulation.crm import sending
from tests.simulation.network import Network
from tests.simulation.process import Dead, living

_REMEMBERED = 256
_judged: dict[str, Any] = {}


@contextlib.asynccontextmanager
async def connected(
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
def prepared() -> Iterator[None]:
    attempt = deliver.Delivery._attempt

    async def attempt_known_to_the_crm(self: deliver.Delivery, item: models.Item) -> None:
        sending.set(item.key)
        await attempt(self, item)

    with (
        warnings.catch_warnings(),
        mock.patch.dict(os.environ, {"CALLIMPORT_TOKEN": TOKEN}),
        mock.patch.object(client, "_tls", return_value=_NO_TLS),
        mock.patch.object(deliver.Delivery, "_attempt", attempt_known_to_the_crm),
        mock.patch.object(importer, "Interruption", _Listening),
        mock.patch.object(signals, "os", SimpleNamespace(_exit=_exit)),
        # The locks are real; the patience of who waits for one would be real seconds.
        mock.patch.object(locking, "filelock", SimpleNamespace(FileLock=_impatient, Timeout=filelock.Timeout)),
        # Nobody here reads the heartbeat, and a beat a second is a tenth of all turns.
        mock.patch.object(locking, "write_heartbeat", return_value=None),
        mock.patch.object(heartbeat, "HEARTBEAT_SECONDS", 7.0),
        # One file, read by every life anew: to the same end, and with most of the time there is.
        mock.patch.object(validate, "validate", _remembering(validate.validate)),
        mock.patch.object(validate, "validate_communications", _remembering(validate.validate_communications)),
    ):
        # Who is killed in the midst of a request leaves it half read.
        warnings.filterwarnings("ignore", "Async generator", ResourceWarning)
        yield


class _Listening(signals.Interruption):
    """Hears the Ctrl-C that is pressed in this process."""

    def __init__(self) -> None:
        super().__init__()
        process = living.get()
        if process is not None:
            process.interruption = self


def _exit(_code: int) -> None:
    raise Dead


def _impatient(path: Any, *, timeout: float, mode: int) -> filelock.BaseFileLock:
    return filelock.FileLock(path, timeout=0, mode=mode)


def _remembering(judge: Callable[..., Any]) -> Callable[..., Any]:
    """Its first answer to each frame."""

    def remember(frame: pl.DataFrame, *more: Any) -> Any:
        question = f"{judge.__name__} {frame.columns} {frame.rows()!r}"
        if question not in _judged:
            if len(_judged) >= _REMEMBERED:
                _judged.clear()
            _judged[question] = judge(frame, *more)
        return _judged[question]

    return remember
