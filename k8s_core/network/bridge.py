"""From real bytes to simulated programs: one connection that comes from beyond the simulation.

`kubectl port-forward`, a node port bound to a real port and the apiserver's proxy all end here. Programs are asked
whole requests (sockets.py), so HTTP is cut into requests here; other protocols are handed on as the bytes come.
"""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from k8s_core.shell.pipes import Steps, Wait, Waiters
from k8s_core.shell.sockets import HTTP_REASONS, Listener, NetworkError, NetworkNamespace, Request, Response, within
from k8s_core.shell.task import Task

if TYPE_CHECKING:
    from k8s_core.clock import Loop

PATIENCE = 60.0
"""Virtual seconds that a program may take to answer."""
Send = Callable[[bytes], None]
End = Callable[[str], None]
Connect = Callable[[int, Send, End], "Conversation"]
"""Opens a conversation with a port."""


def render(response: Response, *, close: bool = False) -> bytes:
    """A response as HTTP/1.1 writes it."""
    headers = {"Content-Length": str(len(response.body)), **response.headers}
    if close:
        headers["Connection"] = "close"
    head = f"HTTP/1.1 {response.status} {HTTP_REASONS.get(response.status, '')}\r\n"
    return (head + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode() + response.body


class Conversation:
    """Bytes both ways, from `source` to an address and port. `end` gets "" or why the connection failed."""

    def __init__(self, loop: "Loop", source: NetworkNamespace, address: str, port: int, send: Send, end: End) -> None:
        self._source, self._address, self._port, self._send, self._end = source, address, port, send, end
        self._buffer, self._closed, self._waiters = bytearray(), False, Waiters()
        self._task = Task(loop, self._run(), lambda code: None, lambda: False)

    def write(self, data: bytes) -> None:
        self._buffer += data
        self._waiters.notify()

    def close(self) -> None:
        """The other side has said all."""
        self._closed = True
        self._waiters.notify()

    def cancel(self) -> None:
        self._task.cancel()

    def _run(self) -> Steps:
        try:
            listener, seen_from = yield from self._source.reach(self._address, self._port, PATIENCE)
            yield from (self._http if listener.http else self._bytes)(listener, seen_from)
        except NetworkError as error:
            self._end(error.message)
            return 1
        self._end("")
        return 0

    def _bytes(self, listener: Listener, seen_from: str) -> Generator[Wait, None, None]:
        while self._buffer or not self._closed:
            if not self._buffer:
                yield self._waiters
                continue
            data = bytes(self._buffer)
            self._buffer.clear()
            answer = listener.handler(data)
            self._send(answer if isinstance(answer, bytes) else (yield from within(answer, PATIENCE)))

    def _http(self, listener: Listener, seen_from: str) -> Generator[Wait, None, None]:
        while True:
            request = self._request()
            if request is None:
                if self._closed:
                    return
                yield self._waiters
                continue
            request.source = seen_from
            answer = listener.handler(request)
            if not isinstance(answer, Response):
                answer = yield from within(answer, PATIENCE)
            last = request.headers.get("Connection", "").lower() == "close"
            self._send(render(answer if request.method != "HEAD" else Response(answer.status, b"", answer.headers)))
            if last:
                return

    def _request(self) -> Request | None:
        """The next whole request of what has come; None while it is not whole."""
        head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if not found:
            return None
        lines = head.decode(errors="replace").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().title()] = value.strip()
        length = int(headers.get("Content-Length", "0")) if headers.get("Content-Length", "0").isdigit() else 0
        if len(rest) < length:
            return None
        self._buffer = bytearray(rest[length:])
        words = [*lines[0].split(" "), "/", "HTTP/1.1"]
        if words[2] == "HTTP/1.0":
            headers["Connection"] = "close"
        return Request(words[0], words[1], headers, rest[:length])
