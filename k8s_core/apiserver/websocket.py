"""exec and attach over WebSockets: Kubernetes' remote command protocol (apimachinery util/remotecommand).

Every message begins with its channel: 0 stdin, 1 stdout, 2 stderr, 3 the outcome as a Status, 4 the terminal's
size. v5 adds 255, which closes the channel that it names: that is how stdin ends. kubectl speaks v5, the official
Python client v4. Left out: SPDY (kubectl falls back to it only if WebSockets are refused) and base64 variants.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable

import orjson
from aiohttp import WSMsgType, web

from k8s_core.api import Object
from k8s_core.streams import Session

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io")
HEARTBEAT = 30.0


def is_upgrade(wire: web.BaseRequest) -> bool:
    """Whether the client asks for a WebSocket."""
    return wire.headers.get("Upgrade", "").lower() == "websocket"


def outcome(code: int, message: str) -> Object:
    """The Status that ends a session: its exit code, or why there is none."""
    if message:
        text = f"Internal error occurred: {message}"
        cause = {"message": message}
        return {
            "metadata": {},
            "status": "Failure",
            "message": text,
            "reason": "InternalError",
            "details": {"causes": [cause]},
            "code": 500,
        }
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: command terminated with exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


class Channels:
    """One session over one WebSocket. `owe` asks for what stdin set off to be run, `waits` is held while the program
    runs: a client that only has to fetch its outcome waits for nothing, and time must not jump for it."""

    def __init__(
        self,
        wire: web.BaseRequest,
        session: Session,
        lock: threading.RLock,
        owe: Callable[[], None],
        waits: contextlib.AbstractContextManager[None],
    ) -> None:
        self._wire, self._session, self._lock, self._owe, self._waits = wire, session, lock, owe, waits
        self._running = contextlib.ExitStack()
        self._io = asyncio.get_running_loop()
        self._outgoing: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._socket = web.WebSocketResponse(protocols=PROTOCOLS, heartbeat=HEARTBEAT, compress=False, max_msg_size=0)

    async def run(self) -> web.StreamResponse:
        """Carry everything both ways until the program or the client ends."""
        try:
            await self._socket.prepare(self._wire)
            with self._lock:
                self._running.enter_context(self._waits)
                self._session.subscribe(self._on_output, self._on_exit)
                self._owe()
            writer = asyncio.create_task(self._write())
            try:
                await self._read()
            finally:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
        finally:
            with self._lock:
                self._running.close()
                self._session.cancel()
        return self._socket

    def _on_output(self, channel: int, data: bytes) -> None:
        self._send(bytes((channel,)) + data)

    def _on_exit(self, code: int, message: str) -> None:
        self._running.close()
        self._send(bytes((ERROR,)) + orjson.dumps(outcome(code, message)))
        self._send(None)

    def _send(self, data: bytes | None) -> None:
        with contextlib.suppress(RuntimeError):  # the door has closed meanwhile
            self._io.call_soon_threadsafe(self._outgoing.put_nowait, data)

    async def _write(self) -> None:
        while (data := await self._outgoing.get()) is not None:
            await self._socket.send_bytes(data)
        await self._socket.close()

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                continue
            data: bytes = message.data if message.type == WSMsgType.BINARY else message.data.encode()
            with self._lock:
                self._feed(data)
                self._owe()

    def _feed(self, data: bytes) -> None:
        if not data:
            return
        session, channel, rest = self._session, data[0], data[1:]
        if channel == STDIN and session.stdin:
            if rest:
                session.write(rest)
        elif channel == RESIZE:
            with contextlib.suppress(ValueError, TypeError, KeyError):
                size = orjson.loads(rest)
                session.resize(int(size["Width"]), int(size["Height"]))
        elif channel == CLOSE and rest[:1] == bytes((STDIN,)) and session.stdin:
            session.close_stdin()
