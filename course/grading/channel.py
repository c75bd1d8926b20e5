"""Messages between the processes of a grading run: JSON objects with their length before them, on a stream socket.

One end of the kernel's channel is in a learner's hands, so a message is taken for what it is: bytes from a stranger.
It is JSON (never pickle), it has a size limit, reading has a deadline, and whatever breaks the form closes the channel.
"""

import array
import contextlib
import json
import math
import socket
import struct
import time
from typing import Any

MAX_MESSAGE = 1 << 20
"""Bytes of one message from a learner's kernel."""
MAX_JOB = 1 << 26
"""Bytes of one message between the grader's own processes."""
_HEAD = struct.Struct("!I")
_FD = struct.calcsize("i")


class ChannelClosed(Exception):
    """The other end is gone."""


class ChannelBroken(ChannelClosed):
    """The other end has said what is no message."""


class ChannelTimeout(Exception):
    """Nothing came before the deadline."""


class Channel:
    """One end. Not for two threads at once. `limit` is what it takes in, `most` what it sends."""

    def __init__(self, end: socket.socket, limit: int = MAX_MESSAGE, most: int = MAX_JOB):
        self.socket, self.limit, self.most = end, limit, most
        self._read = bytearray()

    def send(self, message: Any) -> None:
        """ChannelClosed if nobody reads any more; ValueError for what JSON cannot carry or is too long."""
        data = json.dumps(message, allow_nan=False).encode()
        if len(data) > self.most:
            raise ValueError(f"a message of {len(data)} bytes is too long")
        try:
            self.socket.sendall(_HEAD.pack(len(data)) + data)
        except OSError as error:
            raise ChannelClosed(str(error)) from None

    def receive(self, deadline: float | None = None) -> dict[str, Any]:
        """The next message. `deadline` is on time.monotonic's clock."""
        while (message := self.take()) is None:
            if deadline is None:
                self.socket.settimeout(None)
            else:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise ChannelTimeout
                self.socket.settimeout(left)
            try:
                self.fill()
            except TimeoutError:
                raise ChannelTimeout from None
            finally:
                with contextlib.suppress(OSError):
                    self.socket.settimeout(None)
        return message

    def fill(self) -> None:
        """Read what is there. TimeoutError by the socket's own time-out."""
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError:
            raise
        except OSError as error:
            raise ChannelClosed(str(error)) from None
        if not data:
            raise ChannelClosed("closed")
        self._read += data

    def take(self) -> dict[str, Any] | None:
        """A message that has been read whole, if there is one."""
        if len(self._read) < _HEAD.size:
            return None
        (size,) = _HEAD.unpack_from(self._read)
        if size > self.limit:
            raise ChannelBroken(f"a message of {size} bytes was announced")
        if len(self._read) < _HEAD.size + size:
            return None
        data = bytes(self._read[_HEAD.size : _HEAD.size + size])
        del self._read[: _HEAD.size + size]
        try:
            message = json.loads(data, parse_float=_number, parse_constant=_number)
            if rb"\ud" in data.lower():  # half of a surrogate pair, maybe, which nobody could write down
                message = json.loads(json.dumps(message, ensure_ascii=False).encode(errors="replace"))
        except (ValueError, RecursionError):
            raise ChannelBroken("what came is no JSON") from None
        if not isinstance(message, dict):
            raise ChannelBroken("what came is no message")
        return message

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.close()


def _number(text: str) -> float:
    """A number that JSON has: no infinity, however it is written."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def send_files(end: socket.socket, message: Any, files: list[int]) -> None:
    """One small message with open files. Only between the grader's own processes, or from a kernel before any cell."""
    data = json.dumps(message).encode()
    attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
    end.sendmsg([data], attached)


def receive_files(end: socket.socket, most: int = 16) -> tuple[Any, list[int]]:
    """The counterpart of send_files. EOFError when the other end has closed."""
    data, attached, _, _ = end.recvmsg(1 << 14, socket.CMSG_SPACE(most * _FD))
    if not data:
        raise EOFError
    files = array.array("i")
    for level, kind, content in attached:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            files.frombytes(content[: len(content) - len(content) % files.itemsize])
    return json.loads(data), list(files)
