"""A container's log: lines with their time and stream, read as `kubectl logs` asks.

Stands for containerd's log files and pkg/kubelet/kuberuntime/logs. A line is seen when it is complete (or the
container ends); the oldest lines go when the log is full, as rotation does.
"""

from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from k8s_core.limits import CONTAINER_LOG_MAX_SIZE

if TYPE_CHECKING:
    from k8s_core.clock import Loop

Line = tuple[float, str, bytes]
"""(seconds since the epoch, "stdout" or "stderr", the line with its newline)."""
LONGEST_LINE = 16 * 1024


class ContainerLog:
    """The log of one run of a container."""

    def __init__(self, loop: "Loop") -> None:
        self._loop = loop
        self.lines: deque[Line] = deque()
        self.size = 0
        self.closed = False
        self._partial: dict[str, bytes] = {}
        self._readers: list[Callable[[Line | None], None]] = []

    def write(self, stream: str, data: bytes) -> None:
        if self.closed:
            return
        data = self._partial.pop(stream, b"") + data
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._add((self._loop.now, stream, data[start : end + 1]))
            start = end + 1
        while len(data) - start > LONGEST_LINE:
            self._add((self._loop.now, stream, data[start : start + LONGEST_LINE]))
            start += LONGEST_LINE
        if start < len(data):
            self._partial[stream] = data[start:]

    def _add(self, line: Line) -> None:
        self.lines.append(line)
        self.size += len(line[2])
        while self.size > CONTAINER_LOG_MAX_SIZE:
            self.size -= len(self.lines.popleft()[2])
        for reader in list(self._readers):
            reader(line)

    def close(self) -> None:
        """The container has ended."""
        if self.closed:
            return
        for stream, data in self._partial.items():
            self._add((self._loop.now, stream, data))
        self._partial = {}
        self.closed = True
        readers, self._readers = self._readers, []
        for reader in readers:
            reader(None)

    def follow(self, reader: Callable[[Line | None], None]) -> Callable[[], None]:
        """Call `reader` with every new line, None at the end; gives a function that stops it."""
        if self.closed:
            reader(None)
        else:
            self._readers.append(reader)

        def stop() -> None:
            if reader in self._readers:
                self._readers.remove(reader)

        return stop

    def tail(self, lines: int) -> bytes:
        """The last lines, for a termination message."""
        return b"".join(line for _, _, line in list(self.lines)[-lines:])


def render(line: Line, timestamps: bool) -> bytes:
    """A line as it is sent."""
    if not timestamps:
        return line[2]
    stamp = datetime.fromtimestamp(line[0], UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z "
    return stamp.encode() + line[2]


def select(log: ContainerLog, *, since: float | None, tail: int | None) -> Iterator[Line]:
    """The lines that are asked for, oldest first."""
    lines = list(log.lines)
    if tail is not None and tail >= 0:
        lines = lines[len(lines) - tail :] if tail else []
    for line in lines:
        if since is None or line[0] >= since:
            yield line
