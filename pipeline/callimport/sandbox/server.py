"""Serves the API and the control port in one event loop, on sockets bound beforehand, until told to stop."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette import types

from callimport.sandbox import connection

LOOPBACK = "127.0.0.1"
_GRACE_SECONDS = 2
_STARTUP_POLL_SECONDS = 0.005


class PortError(Exception):
    """A port is not to be had; the message says what to do."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn would die of the signal again after a clean stop; `serve` listens for both servers instead."""
        yield


def bound(port: int, option: str) -> socket.socket:
    """A loopback socket on that port, 0 for any free one. Raises PortError."""
    # Named as TCP, or asyncio would leave Nagle's algorithm on and each answer would wait 40 ms for an
    # acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PortError(
            f"port {port} cannot be used: {error.strerror}; choose another with {option}, or leave that out"
        ) from error
    return listener


def url(listener: socket.socket) -> str:
    """Where it answers, without a slash at the end."""
    return f"http://{LOOPBACK}:{listener.getsockname()[1]}"


async def serve(apps: list[tuple[types.ASGIApp, socket.socket]], *, started: Callable[[], None]) -> None:
    """Call `started` once all accept, and return after SIGINT or SIGTERM, when answers under way are out."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)
    servers = [_Server(_config(app)) for app, _ in apps]
    tasks = [
        loop.create_task(server.serve(sockets=[listener])) for server, (_, listener) in zip(servers, apps, strict=True)
    ]
    try:
        while not all(server.started for server in servers):
            failed, _ = await asyncio.wait(tasks, timeout=_STARTUP_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            for task in failed:
                task.result()
        started()
        await stop.wait()
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)


def _config(app: types.ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=connection.H11,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="critical",
        server_header=False,
        # The API tells the time of its own clock, which a test may have moved.
        date_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
