"""What processes wait for and write to: wake-ups, pipes, files that are open, and the ends a process may come to."""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Protocol

from k8s_core.shell.fs import File

if TYPE_CHECKING:
    from k8s_core.shell.process import Process
    from k8s_core.shell.task import Task

PIPE_LIMIT = 1 << 20
"""Bytes a pipe holds before its oldest are refused; keeps a runaway producer from filling memory."""


class Waiters:
    """A condition variable: processes yield it, `notify` wakes them all."""

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: list[Task] = []

    def add(self, task: "Task") -> None:
        self._tasks.append(task)

    def discard(self, task: "Task") -> None:
        if task in self._tasks:
            self._tasks.remove(task)

    def notify(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.wake()


Wait = float | Waiters
Steps = Generator[Wait, None, int]
"""What a program is: it yields waits and returns an exit code."""


class Killed(Exception):
    """Thrown into a process's generator by a deadly signal."""

    def __init__(self, process: "Process", signal: int) -> None:
        super().__init__(signal)
        self.process, self.signal = process, signal


class BrokenPipe(Exception):
    """Nobody reads what is written (SIGPIPE)."""


class Output(Protocol):
    """Where a process writes."""

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class Sink:
    """An Output that calls a function with every piece."""

    def __init__(self, write: Callable[[bytes], None], close: Callable[[], None] | None = None) -> None:
        self.write = write
        self._close = close

    def close(self) -> None:
        if self._close:
            self._close()


class Discard:
    """/dev/null."""

    def write(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass


class FileOutput:
    """An open file; writes go to its end."""

    def __init__(self, file: File) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        self._file.write(data, append=True)

    def close(self) -> None:
        pass


class Pipe:
    """Bytes from a writer to a reader; also any input: a file's content is a pipe already filled and closed."""

    __slots__ = ("_buffer", "_waiters", "closed", "reader_gone")

    def __init__(self, data: bytes = b"", *, closed: bool = False) -> None:
        self._buffer = bytearray(data)
        self._waiters = Waiters()
        self.closed, self.reader_gone = closed, False

    def write(self, data: bytes) -> None:
        if self.reader_gone:
            raise BrokenPipe
        if len(self._buffer) < PIPE_LIMIT:
            self._buffer += data
        self._waiters.notify()

    def close(self) -> None:
        self.closed = True
        self._waiters.notify()

    def interrupt(self) -> None:
        """Drop what was typed but not read (^C)."""
        self._buffer.clear()

    def read(self) -> Generator[Wait, None, bytes]:
        """What is there, at least a byte; b"" at the end."""
        while not self._buffer and not self.closed:
            yield self._waiters
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def read_line(self) -> Generator[Wait, None, bytes]:
        """One line with its newline; the rest at the end; b"" when there is no more."""
        while (end := self._buffer.find(b"\n")) < 0 and not self.closed:
            yield self._waiters
        end = len(self._buffer) if end < 0 else end + 1
        line = bytes(self._buffer[:end])
        del self._buffer[:end]
        return line

    def read_all(self) -> Generator[Wait, None, bytes]:
        """Everything until the end."""
        pieces = []
        while piece := (yield from self.read()):
            pieces.append(piece)
        return b"".join(pieces)
