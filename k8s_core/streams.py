"""The two shapes of a long answer: a stream of bytes (logs, watches) and a session (exec, attach).

Producer and consumer run on the same loop under the cluster's lock; what a producer sends before anyone
subscribed is kept and replayed. Nothing here knows of HTTP.
"""

from collections.abc import Callable

OnData = Callable[[bytes], None]
OnEnd = Callable[[], None]
OnOutput = Callable[[int, bytes], None]
OnExit = Callable[[int, str], None]


class Stream:
    """Bytes that keep coming. The consumer subscribes once; `cancel` tells the producer to stop."""

    def __init__(self) -> None:
        self.ended = False
        self.on_cancel: list[Callable[[], None]] = []
        self._buffer: list[bytes] = []
        self._consumer: tuple[OnData, OnEnd] | None = None

    def send(self, data: bytes) -> None:
        if self.ended:
            return
        if self._consumer:
            self._consumer[0](data)
        else:
            self._buffer.append(data)

    def end(self) -> None:
        if self.ended:
            return
        self.ended = True
        if self._consumer:
            self._consumer[1]()

    def subscribe(self, on_data: OnData, on_end: OnEnd) -> None:
        self._consumer = (on_data, on_end)
        buffered, self._buffer = self._buffer, []
        for data in buffered:
            on_data(data)
        if self.ended:
            on_end()

    def cancel(self) -> None:
        """The consumer has gone away."""
        self.ended = True
        for callback in self.on_cancel:
            callback()
        self.on_cancel.clear()


class Session:
    """A process somebody is attached to: stdin in, stdout (1) and stderr (2) out, an exit code at the end."""

    def __init__(self, stdin: bool = False, tty: bool = False) -> None:
        self.stdin, self.tty = stdin, tty
        self.exit_code: int | None = None
        self.message = ""
        self.size = (80, 24)
        self.on_stdin: Callable[[bytes | None], None] | None = None
        """Set by the producer: gets bytes, and None at the end of input."""
        self.on_resize: Callable[[int, int], None] | None = None
        self.on_cancel: list[Callable[[], None]] = []
        self._input: list[bytes | None] = []
        self._output: list[tuple[int, bytes]] = []
        self._consumer: tuple[OnOutput, OnExit] | None = None

    # --- consumer ---
    def write(self, data: bytes) -> None:
        self._feed(data)

    def close_stdin(self) -> None:
        self._feed(None)

    def _feed(self, data: bytes | None) -> None:
        if self.on_stdin:
            self.on_stdin(data)
        else:
            self._input.append(data)

    def resize(self, width: int, height: int) -> None:
        self.size = (width, height)
        if self.on_resize:
            self.on_resize(width, height)

    def subscribe(self, on_output: OnOutput, on_exit: OnExit) -> None:
        self._consumer = (on_output, on_exit)
        buffered, self._output = self._output, []
        for channel, data in buffered:
            on_output(channel, data)
        if self.exit_code is not None:
            on_exit(self.exit_code, self.message)

    def cancel(self) -> None:
        """The client has gone away."""
        for callback in self.on_cancel:
            callback()
        self.on_cancel.clear()

    # --- producer ---
    def listen(self, on_stdin: Callable[[bytes | None], None]) -> None:
        """Take stdin from now on; what was written before is replayed."""
        self.on_stdin = on_stdin
        buffered, self._input = self._input, []
        for data in buffered:
            on_stdin(data)

    def output(self, channel: int, data: bytes) -> None:
        if self.exit_code is not None or not data:
            return
        if self._consumer:
            self._consumer[0](channel, data)
        else:
            self._output.append((channel, data))

    def exit(self, code: int, message: str = "") -> None:
        """The process ended; `message` explains an exit that is not the program's own doing."""
        if self.exit_code is not None:
            return
        self.exit_code, self.message = code, message
        if self._consumer:
            self._consumer[1](code, message)
