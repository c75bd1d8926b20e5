"""Connections carried into the cluster: port-forward through the apiserver, and real ports bound to simulated ones.

Port-forward is SPDY inside a WebSocket (KEP-4006): for every connection the client opens an error stream and a data
stream with the port in its headers. Who answers is found by a `Connect` (network/bridge.py), under the cluster's lock.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

from aiohttp import WSMsgType, web

from k8s_core.apiserver.spdy import Connection, Event

PROTOCOL = "SPDY/3.1+portforward.k8s.io"


class Tunnel:
    """One port-forward."""

    def __init__(
        self, wire: web.BaseRequest, connect: Callable[..., Any], lock: threading.RLock, owe: Callable[[], None]
    ) -> None:
        self._wire, self._connect, self._lock, self._owe = wire, connect, lock, owe
        self._io = asyncio.get_running_loop()
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        self._spdy = Connection()
        self._errors: dict[str, int] = {}  # request id -> its error stream
        self._conversations: dict[int, Any] = {}
        self._socket = web.WebSocketResponse(protocols=(PROTOCOL,), compress=False, max_msg_size=0)

    async def run(self) -> web.StreamResponse:
        await self._socket.prepare(self._wire)
        writer = asyncio.create_task(self._write())
        try:
            async for message in self._socket:
                if message.type == WSMsgType.BINARY:
                    with self._lock:
                        for event in self._spdy.feed(message.data):
                            self._on(event)
                        self._owe()
        finally:
            writer.cancel()
            with self._lock:
                for conversation in self._conversations.values():
                    conversation.cancel()
        return self._socket

    async def _write(self) -> None:
        while True:
            await self._socket.send_bytes(await self._outgoing.get())

    def _send(self, frame: bytes) -> None:
        with contextlib.suppress(RuntimeError):  # the door has closed meanwhile
            self._io.call_soon_threadsafe(self._outgoing.put_nowait, frame)

    def _on(self, event: Event) -> None:
        stream = event.stream
        if event.kind == "ping":
            self._send(self._spdy.ping(event.data))
        elif event.kind == "open":
            self._send(self._spdy.reply(stream))
            request = event.headers.get("requestid", "")
            if event.headers.get("streamtype") == "error":
                self._errors[request] = stream
            else:
                self._open(stream, self._errors.pop(request, 0), event.headers.get("port", ""))
        elif event.kind == "reset" and stream in self._conversations:
            self._conversations.pop(stream).cancel()
        elif event.kind == "data" and (conversation := self._conversations.get(stream)):
            if event.data:
                conversation.write(event.data)
            if event.fin:
                conversation.close()

    def _open(self, stream: int, errors: int, port: str) -> None:
        def ended(problem: str) -> None:
            self._conversations.pop(stream, None)
            if errors:
                self._send(self._spdy.data(errors, problem.encode(), fin=True))
            self._send(self._spdy.data(stream, b"", fin=True))

        number = int(port) if port.isdigit() else 0
        self._conversations[stream] = self._connect(
            number, lambda data: self._send(self._spdy.data(stream, data)), ended
        )


async def carry(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    connect: Callable[..., Any],
    lock: threading.RLock,
    owe: Callable[[], None],
) -> None:
    """One real TCP connection to one simulated port."""
    io = asyncio.get_running_loop()
    outgoing: asyncio.Queue[bytes | None] = asyncio.Queue()

    def put(data: bytes | None) -> None:
        with contextlib.suppress(RuntimeError):
            io.call_soon_threadsafe(outgoing.put_nowait, data)

    with lock:
        conversation = connect(put, lambda problem: put(None))
        owe()

    async def read() -> None:
        while data := await reader.read(1 << 16):
            with lock:
                conversation.write(data)
                owe()
        with lock:
            conversation.close()
            owe()

    reading = asyncio.create_task(read())
    try:
        while (data := await outgoing.get()) is not None:
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        reading.cancel()
        with lock:
            conversation.cancel()
        writer.close()
