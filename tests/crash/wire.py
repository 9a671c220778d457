"""The way to the CRM for one life: each thing that is done to a connection is a step.

What a dead process writes never arrives, what it reads never comes. Head and body of a request are two writes, head and
body of an answer two reads.
"""

import json
from collections import deque
from dataclasses import dataclass
from typing import Any

import httpcore
import trio

from tests.crash.crm import Crm
from tests.crash.life import Life

CONNECTING_SECONDS = 0.01


@dataclass(slots=True)
class Network(httpcore.AsyncNetworkBackend):
    life: Life
    crm: Crm

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the signature is httpcore's
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        with self.life.step("wire connect"):
            await trio.sleep(CONNECTING_SECONDS)
            refused = self.crm.refuses_connection()
        if refused:
            raise httpcore.ConnectError("[Errno 111] Connection refused")
        return Wire(self.life, self.crm)


class Wire(httpcore.AsyncNetworkStream):
    """One connection."""

    def __init__(self, life: Life, crm: Crm) -> None:
        self._life = life
        self._crm = crm
        self._incoming = bytearray()
        self._outgoing = deque[bytes]()
        self._request = ""
        self._writes = self._reads = 0
        self._is_over = False
        self._news = trio.Event()
        life.wires.append(self)

    def wake(self) -> None:
        self._news.set()
        self._news = trio.Event()

    def answer(self, status: int, body: object, headers: dict[str, str] | None = None, *, cut: bool = False) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._outgoing.append("\r\n".join([*lines, "", ""]).encode())
        self._outgoing.append(content[: len(content) // 2] if cut else content)
        self._is_over = self._is_over or cut
        self.wake()

    def drop(self) -> None:
        self._is_over = True
        self.wake()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if not buffer:
            return
        if not self._incoming:
            self._begin(buffer)
        self._writes += 1
        with self._life.step(f"wire {self._request} write {self._writes}"):
            await trio.lowlevel.checkpoint()
            # Whoever died meanwhile died before its last byte left.
            self._life.live()
            self._incoming += buffer
            self._take_in()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        self._reads += 1
        with self._life.step(f"wire {self._request} read {self._reads}"):
            with trio.move_on_after(float("inf") if timeout is None else timeout) as waiting:
                await trio.lowlevel.checkpoint()
                while not self._outgoing and not self._is_over and not self._life.dead:
                    await self._news.wait()
        if waiting.cancelled_caught:
            raise httpcore.ReadTimeout("timed out")
        if not self._outgoing:
            return b""
        data = self._outgoing.popleft()
        if len(data) > max_bytes:
            self._outgoing.appendleft(data[max_bytes:])
        return data[:max_bytes]

    async def aclose(self) -> None:
        if self not in self._life.wires:
            return
        if not self._life.dead:
            with self._life.step("wire close"):
                self._life.wires.remove(self)

    def get_extra_info(self, info: str) -> Any:
        return (self._is_over or bool(self._outgoing)) if info == "is_readable" else None

    def _begin(self, buffer: bytes) -> None:
        method, target, _ = buffer.split(b"\r\n", 1)[0].decode().split(" ")
        what = target.removeprefix("/v2/").partition("?")[0].partition("/")[0]
        self._request = f"{method} {what}"
        self._writes = self._reads = 0

    def _take_in(self) -> None:
        head, end, body = bytes(self._incoming).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if end and len(body) >= int(headers.get("content-length", "0")):
            self._incoming.clear()
            method, target, _ = first.split(" ")
            self._crm.receive(method, target, body, self)
