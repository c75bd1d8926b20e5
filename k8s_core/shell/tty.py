"""A terminal's line discipline: what is typed is shown, edited, and given to the program line by line.

Stands for the kernel's tty layer (n_tty) in cooked mode. Backspace, ^U, ^W, ^C, ^\\ and ^D work; output gets
carriage returns. Left out: raw mode (full-screen programs), job control.
"""

from collections.abc import Callable

from k8s_core.shell.pipes import Killed, Pipe
from k8s_core.shell.process import SIGNALS, Machine, Process

ESCAPE = 27


class Terminal:
    """Between a session (bytes typed, bytes shown) and a program (lines in, text out)."""

    def __init__(self, stdin: Pipe, show: Callable[[bytes], None]) -> None:
        self.stdin, self._show = stdin, show
        self._line = bytearray()
        self._escape = 0
        self._after_return = False
        self.interrupt: Callable[[int], None] = lambda signal: None

    def output(self, data: bytes) -> None:
        """What the program writes."""
        self._show(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

    def type(self, data: bytes | None) -> None:
        """What is typed; None when the other side has hung up."""
        if data is None:
            self.stdin.close()
            return
        for byte in data:
            self._key(byte)

    def _key(self, byte: int) -> None:
        if self._escape:  # arrow keys and their like: swallowed
            self._escape = 2 if self._escape == 1 and byte in b"[O" else 0 if 64 <= byte <= 126 else self._escape
            return
        if byte == ESCAPE:
            self._escape = 1
        elif byte in b"\r\n":
            if not (byte == 10 and self._after_return):
                self._show(b"\r\n")
                self.stdin.write(bytes(self._line) + b"\n")
                self._line.clear()
        elif byte in (3, 28):
            self._show(b"^C\r\n" if byte == 3 else b"^\\\r\n")
            self._line.clear()
            self.stdin.interrupt()
            self.interrupt(SIGNALS["INT"] if byte == 3 else SIGNALS["QUIT"])
        elif byte == 4:
            if self._line:
                self.stdin.write(bytes(self._line))
                self._line.clear()
            else:
                self.stdin.close()
        elif byte in (8, 127):
            if self._line:
                self._rub(1)
        elif byte == 21:
            self._rub(len(self._line))
        elif byte == 23:
            kept = bytes(self._line).rstrip()
            cut = kept.rfind(b" ") + 1
            self._rub(len(self._line) - cut)
        elif byte >= 32 or byte == 9:
            self._line.append(byte)
            self._show(bytes((byte,)))
        self._after_return = byte == 13

    def _rub(self, count: int) -> None:
        del self._line[len(self._line) - count :]
        self._show(b"\b \b" * count)


def interrupt_foreground(machine: Machine, shell: Process, signal: int) -> None:
    """^C: the newest process below this one gets the signal; a program alone on the terminal gets it itself."""
    below = [p for p in machine.processes.values() if p.tty and p is not shell and _descends(p, shell)]
    if below:
        newest = max(below, key=lambda p: p.pid)
        if newest.own_task:
            newest.signal(signal)
        elif not (newest.on_signal and newest.on_signal(signal)) and newest.task:
            newest.task.throw(Killed(newest, signal))
    elif not (shell.on_signal and shell.on_signal(signal)):
        if shell.argv[0].rsplit("/", 1)[-1].lstrip("-") not in ("sh", "ash", "bash", "dash"):
            shell.signal(signal)
        elif shell.task:
            shell.task.throw(Killed(Process.__new__(Process), signal))


def _descends(process: Process, ancestor: Process) -> bool:
    parent = process.parent
    while parent is not None:
        if parent is ancestor:
            return True
        parent = parent.parent
    return False
