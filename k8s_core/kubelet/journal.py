"""A node's journal: what its services have logged, for journalctl.

Stands for systemd-journald; the kubelet's lines are klog's. Kept in memory, the newest lines only.
"""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from k8s_core.limits import JOURNAL_SIZE

if TYPE_CHECKING:
    from k8s_core.clock import Loop


class Entry(NamedTuple):
    """One line. `unit` is "kubelet.service", or "" for the kernel."""

    time: float
    unit: str
    program: str
    pid: int
    text: str


class Journal:
    """The journal of one node."""

    def __init__(self, loop: "Loop") -> None:
        self.loop = loop
        self.entries: deque[Entry] = deque(maxlen=JOURNAL_SIZE)
        self.readers: list[Callable[[Entry], None]] = []
        """Called with every new line (journalctl -f)."""

    def write(self, unit: str, program: str, pid: int, text: str) -> None:
        entry = Entry(self.loop.now, unit, program, pid, text)
        self.entries.append(entry)
        for reader in list(self.readers):
            reader(entry)


def klog(time: float, pid: int, level: str, where: str, text: str) -> str:
    """A line as klog writes it; `level` is I, W or E, `where` the source file and line."""
    stamp = datetime.fromtimestamp(time, UTC).strftime("%m%d %H:%M:%S.%f")
    return f"{level}{stamp} {pid:7} {where}] {text}"


def quoted(text: object) -> str:
    """A value in a klog line, as Go's %q."""
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
