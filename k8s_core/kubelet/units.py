"""systemd on a node: the units kubelet and containerd, which can be stopped, fail, and are started again.

Stands for systemd as far as one types systemctl on a node: states, main processes, `Restart=always`. What a unit does
is two functions; a start that fails raises UnitFailure, and systemd tries again after `RestartSec`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from k8s_core.shell.process import Row

if TYPE_CHECKING:
    from k8s_core.clock import Loop, Timer
    from k8s_core.kubelet.journal import Journal


class UnitFailure(Exception):
    """The service ended at once; what it said is in the journal. `code` is its exit code."""

    def __init__(self, code: int = 1) -> None:
        super().__init__(f"code=exited, status={code}")
        self.code = code


@dataclass
class Unit:
    """One service. `begin` starts it, `end` stops it; `argv` is its command line now."""

    name: str
    description: str
    docs: str
    path: str
    argv: Callable[[], list[str]]
    begin: Callable[[], None]
    end: Callable[[], None]
    restart_seconds: float
    memory: int
    drop_ins: tuple[str, ...] = ()
    enabled: bool = True
    state: str = "inactive"
    """active, inactive, failed, or activating (it failed and will be started again)."""
    pid: int = 0
    since: float = 0.0
    last_pid: int = 0
    last_code: int = 0
    restarts: int = 0
    timer: "Timer | None" = field(default=None, repr=False)

    @property
    def program(self) -> str:
        return self.name.removesuffix(".service")


class Systemd:
    """The units of one node, by name ("kubelet.service")."""

    def __init__(self, loop: "Loop", journal: "Journal", next_pid: Callable[[], int]) -> None:
        self.loop, self.journal, self.next_pid = loop, journal, next_pid
        self.units: dict[str, Unit] = {}
        self.booted = loop.now

    def find(self, name: str) -> Unit | None:
        return self.units.get(name if "." in name else f"{name}.service")

    def log(self, unit: Unit, text: str) -> None:
        self.journal.write(unit.name, "systemd", 1, text)

    def start(self, unit: Unit) -> bool:
        """Start it; whether it came up."""
        if unit.state == "active":
            return True
        self._cancel(unit)
        unit.pid, unit.since, unit.state = self.next_pid(), self.loop.now, "active"
        self.log(unit, f"Started {unit.name} - {unit.description}.")
        try:
            unit.begin()
        except UnitFailure as failure:
            self._exited(unit, failure.code)
            return False
        return True

    def stop(self, unit: Unit) -> None:
        self._cancel(unit)
        if unit.state == "active":
            self.log(unit, f"Stopping {unit.name} - {unit.description}...")
            unit.end()
            self.log(unit, f"{unit.name}: Deactivated successfully.")
            self.log(unit, f"Stopped {unit.name} - {unit.description}.")
        unit.last_pid, unit.last_code, unit.pid = unit.pid, 0, 0
        unit.state, unit.since = "inactive", self.loop.now

    def restart(self, unit: Unit) -> bool:
        self.stop(unit)
        return self.start(unit)

    def killed(self, unit: Unit, signal: int) -> None:
        """Its main process got a deadly signal."""
        unit.end()
        if signal == 15:
            self.log(unit, f"{unit.name}: Deactivated successfully.")
            self._exited(unit, 0)
        else:
            self._exited(unit, 128 + signal)

    def _exited(self, unit: Unit, code: int) -> None:
        unit.last_pid, unit.last_code, unit.pid = unit.pid, code, 0
        if code:
            name = {137: "KILL", 129: "HUP", 139: "SEGV"}.get(code, "")
            how = f"code=killed, status={code - 128}/{name}" if name else f"code=exited, status={code}/FAILURE"
            self.log(unit, f"{unit.name}: Main process exited, {how}")
            self.log(unit, f"{unit.name}: Failed with result '{'signal' if name else 'exit-code'}'.")
        unit.state, unit.since = "activating", self.loop.now
        unit.timer = self.loop.call_later(unit.restart_seconds, self._again, unit, background=True)

    def _again(self, unit: Unit) -> None:
        unit.restarts += 1
        self.log(unit, f"{unit.name}: Scheduled restart job, restart counter is at {unit.restarts}.")
        self.start(unit)

    def _cancel(self, unit: Unit) -> None:
        if unit.timer:
            unit.timer.cancel()
            unit.timer = None

    def shut_down(self) -> None:
        """The node loses power: nothing says goodbye."""
        for unit in self.units.values():
            self._cancel(unit)
            if unit.state == "active":
                unit.end()
            unit.state, unit.pid = "inactive", 0

    def boot(self) -> None:
        """Start what is enabled."""
        self.booted = self.loop.now
        for unit in self.units.values():
            if unit.enabled:
                self.start(unit)

    def rows(self) -> list[Row]:
        """The services' main processes, and systemd itself."""
        found = [Row("root", 1, 0, self.booted, False, ["/sbin/init"], 13 << 20)]
        for unit in self.units.values():
            if unit.pid:
                found.append(Row("root", unit.pid, 1, unit.since, False, unit.argv(), unit.memory))
        return found


def environment_file(text: str) -> Mapping[str, str]:
    """VARIABLE="value" lines, as EnvironmentFile= reads them."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            found[name] = value.strip().strip("\"'")
    return found
