"""The way between the importer and the CRM, behind the real httpx, httpcore and h11."""

import json
from dataclasses import dataclass
from typing import Any, Protocol

import httpcore
import trio

from tests.simulation.process import Process


class Answering(Protocol):
    """The CRM as a connection sees it."""

    def wire_number(self) -> int: ...
    def connects_in(self) -> float | None: ...
    def receive(self, method: str, target: str, body: bytes, wire: "Wire") -> None: ...
    def note(self, *what: object) -> None: ...


@dataclass(slots=True)
class Network(httpcore.AsyncNetworkBackend):
    """The way to the CRM for one life of the importer."""

    crm: Answering
    process: Process

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the signature is httpcore's
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        self.process.turn()
        seconds = self.crm.connects_in()
        await trio.sleep(seconds or 0.0)
        self.process.turn()
        if seconds is None:
            raise httpcore.ConnectError("[Errno 111] Connection refused")
        return Wire(self.crm, self.process)


class Wire(httpcore.AsyncNetworkStream):
    """One connection. What a dead process writes never arrives, what it reads never comes."""

    def __init__(self, crm: Answering, process: Process) -> None:
        self._crm = crm
        self.process = process
        self._number = crm.wire_number()
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._ended: str | None = None
        self._closes_gate_for: float | None = None
        self._news = trio.Event()
        process.wires.append(self)

    def wake(self) -> None:
        self._news.set()
        self._news = trio.Event()

    def answer(
        self, status: int, body: object, headers: dict[str, str] | None = None, *, cut: float | None = None
    ) -> None:
        self._crm.note("answer", self._number, status)
        if self._ended is not None:
            return
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        whole = "\r\n".join([*lines, "", ""]).encode() + content
        # From within the status line to just before the last byte.
        self._outgoing += whole if cut is None else whole[: int(cut * len(whole))]
        if cut is not None:
            self._ended = "FIN"
        if status == 429:
            self._closes_gate_for = float((headers or {}).get("Retry-After", "1"))
        self.wake()

    def drop(self, *, reset: bool) -> None:
        self._ended = "RST" if reset else "FIN"
        self._crm.note("drop", self._number, self._ended)
        self.wake()

    def cut(self) -> None:
        """What is on its way either way is lost; the other end is not told."""
        self.drop(reset=True)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self.process.turn()
        await trio.lowlevel.checkpoint()
        if not buffer:
            return
        self._incoming += buffer
        head, end, body = bytes(self._incoming).partition(b"\r\n\r\n")
        if end:
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            if len(body) >= int(headers.get("content-length", "0")):
                self._incoming.clear()
                # Whoever dies in here died before its last byte left.
                self.process.live()
                method, target, _ = first.split(" ")
                if self._ended is None:
                    self._crm.receive(method, target, body, self)
        self.process.turn()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        self.process.turn()
        with trio.move_on_after(float("inf") if timeout is None else timeout) as waiting:
            await trio.lowlevel.checkpoint()
            while not self._outgoing and self._ended is None and not self.process.dead:
                await self._news.wait()
        self.process.turn()
        if waiting.cancelled_caught:
            raise httpcore.ReadTimeout("timed out")
        if self._outgoing:
            data = bytes(self._outgoing[:max_bytes])
            del self._outgoing[:max_bytes]
            if self._closes_gate_for is not None:
                self.process.close_gate(self._closes_gate_for)
                self._closes_gate_for = None
            return data
        if self._ended == "RST":
            raise httpcore.ReadError("[Errno 104] Connection reset by peer")
        return b""

    async def aclose(self) -> None:
        if self in self.process.wires:
            self.process.wires.remove(self)

    def get_extra_info(self, info: str) -> Any:
        return (self._ended is not None or bool(self._outgoing)) if info == "is_readable" else None
