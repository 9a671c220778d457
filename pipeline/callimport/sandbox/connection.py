"""The end of a connection where an answer, or the rest of one, should have been."""

import asyncio
import socket
import struct
from typing import Any, Protocol

from starlette import responses, types
from uvicorn.protocols.http import h11_impl

KEY = "connection"
_NO_LINGER = struct.pack("ii", 1, 0)


class Dropped(Exception):
    """Raised instead where a request came without a socket, as from a test that calls the application itself."""


class Cut(Protocol):
    """What stands in the ASGI scope's `state` under KEY; a test with a network of its own may put another there."""

    def cut(self, *, reset: bool) -> None:
        """Let what was written go out, then say goodbye (FIN); with `reset` throw it away and hang up (RST)."""


class H11(h11_impl.H11Protocol):
    """uvicorn's own protocol, with its transport within reach of the application."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """One for each connection; uvicorn copies the state into the scope of each request."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, KEY: _Socket(transport)}


class _Socket:
    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def cut(self, *, reset: bool) -> None:
        if not reset:
            self._transport.close()
            return
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()


class Drop(responses.Response):
    """Not one byte of an answer."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self._reset = reset

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        """Hang up; what is to be done in the background is done all the same."""
        try:
            await _hang_up(scope, receive, reset=self._reset)
        finally:
            if self.background is not None:
                await self.background()


class Truncated(responses.Response):
    """The head of an answer, with the length of the whole, and half of its body."""

    def __init__(self, whole: responses.Response) -> None:
        super().__init__(whole.body, whole.status_code, media_type=whole.headers.get("content-type"))

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        """Begin to answer, then hang up."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await _hang_up(scope, receive, reset=False)


async def _hang_up(scope: types.Scope, receive: types.Receive, *, reset: bool) -> None:
    """Until the server has noticed as well: were we to return earlier, it would answer 500 in our stead."""
    line: Any = scope.get("state", {}).get(KEY)
    if line is None:
        raise Dropped("the connection was dropped on purpose")
    line.cut(reset=reset)
    while (await receive())["type"] != "http.disconnect":
        pass
