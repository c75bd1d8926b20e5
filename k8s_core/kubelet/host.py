"""One node as a machine: its file tree, its services, its processes, and the shell that one types in.

`run` types a line into bash as root and gives what it printed; time passes as the command needs it. Everything is
simulated: a command reaches the node's folder, its runtime, its network and nothing of the real machine (kubectl is
the real one, kept to the node's files, see shell/commands/kubectl.py). Stands for a virtual machine with Ubuntu.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8s_core import limits
from k8s_core.kubelet import config, images, node_files
from k8s_core.kubelet.access import Access
from k8s_core.kubelet.journal import quoted
from k8s_core.kubelet.units import Systemd, Unit, UnitFailure
from k8s_core.shell.commands.node import NODE
from k8s_core.shell.fs import File, FileSystem
from k8s_core.shell.pipes import Output, Pipe, Sink, Steps, Waiters
from k8s_core.shell.process import SIGNALS, Command, Machine, Process, Row
from k8s_core.shell.sh import typed
from k8s_core.shell.sockets import Response

if TYPE_CHECKING:
    from k8s_core.client import Client
    from k8s_core.kubelet.kubelet import Kubelet

ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "LOGNAME": "root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SHELL": "/bin/bash",
    "USER": "root",
}
CONTAINERD_ARGV = ["/usr/bin/containerd"]


@dataclass(frozen=True)
class Outcome:
    """What a command left: `output` is both streams as they came."""

    output: str
    stdout: str
    stderr: str
    code: int

    def __str__(self) -> str:
        return self.output


class ServiceProcess:
    """A service's main process, as far as kill and the network see it."""

    def __init__(self, systemd: Systemd, unit: Unit, machine: Machine) -> None:
        self.systemd, self.unit, self.machine = systemd, unit, machine
        self.pid = self.host_pid = unit.pid
        self.argv = unit.argv()
        self.at_exit: list[Callable[[], None]] = []

    def exit(self) -> None:
        """Its ports are free again."""
        for clean in self.at_exit:
            clean()

    def signal(self, number: int) -> None:
        if number in (SIGNALS["TERM"], SIGNALS["KILL"], SIGNALS["INT"], SIGNALS["QUIT"], SIGNALS["HUP"]):
            self.systemd.killed(self.unit, number)


class NodeMachine(Machine):
    """What processes on the node itself see: all processes, and the node's own files and network."""

    def __init__(self, kubelet: "Kubelet", systemd: Systemd, commands: Mapping[str, Command]) -> None:
        super().__init__(kubelet.client.loop, kubelet.name, commands)
        self.kubelet, self.systemd, self.runtime = kubelet, systemd, kubelet.runtime
        self.shell, self.network, self.bin = "bash", kubelet.network, "/usr/bin"
        self.host_pids = self.runtime.pids
        self.aliases = {"grep": ["grep", "--color=auto"], "ls": ["ls", "--color=auto"], "ll": ["ls", "-alF"]}
        self.started = systemd.booted
        self.jobs: list[tuple[threading.Thread, Waiters]] = []
        """Real processes (kubectl) that a command waits for; `Host.run` waits for them without the lock."""
        self.extra |= {"node": self}

    def build_fs(self) -> FileSystem:
        return self.kubelet.fs

    def next_pid(self) -> int:
        return next(self.runtime.pids)

    def background(self) -> bool:
        return False

    def left(self, what: str) -> tuple[int, int]:
        return self.runtime.left(what)

    def rows(self) -> list[Row]:
        found = self.systemd.rows()
        found.append(Row("root", 2, 0, self.systemd.booted, False, ["[kthreadd]"], 0))
        found += self.runtime.rows()
        own = {p.pid for p in self.processes.values()}
        for process in self.processes.values():
            parent = process.parent.pid if process.parent and process.parent.pid in own else 1
            found.append(
                Row("root", process.pid, parent, process.started, True, process.argv, process.memory, process.cpu)
            )
        return sorted(found, key=lambda row: row.pid)

    def process(self, pid: int) -> Any:
        for unit in self.systemd.units.values():
            if unit.pid == pid:
                return ServiceProcess(self.systemd, unit, self)
        return self.processes.get(pid) or self.runtime.process(pid)


class Host:
    """A node with its services. `lock` guards the cluster; `serve` opens the apiserver's door for kubectl: its URL."""

    def __init__(self, kubelet: "Kubelet", lock: Any, serve: Callable[[], str], admin: "Client") -> None:
        self.kubelet, self.lock, self.serve = kubelet, lock, serve
        self.name, self.root, self.journal = kubelet.name, Path(kubelet.node_dir), kubelet.journal
        self.loop, self.on = kubelet.client.loop, False
        self.systemd = Systemd(self.loop, self.journal, lambda: next(kubelet.runtime.pids))
        self.machine = NodeMachine(kubelet, self.systemd, NODE)
        self.machine.extra |= {"serve": serve, "log_path": node_files.log_path, "admin": admin}
        self._daemon: ServiceProcess | None = None
        kubelet.runtime.node = self.machine
        kubelet.network.hosts_file = self._hosts_file
        kubelet.fs.mount("/usr/bin", node_files.programs(NODE))
        kubelet.fs.mount("/proc", node_files.processes(self.machine))
        pause = images.parse(node_files.PAUSE)
        kubelet.runtime.images.images[pause.name] = pause
        self._add_units()

    def _hosts_file(self) -> str:
        file = self.kubelet.fs.lookup("/etc/hosts")
        return file.read().decode(errors="replace") if isinstance(file, File) else ""

    def _add_units(self) -> None:
        kubelet = self.kubelet
        folder = "/usr/lib/systemd/system"
        self.containerd = Unit(
            "containerd.service", "containerd container runtime", "https://containerd.io",
            f"{folder}/containerd.service", lambda: CONTAINERD_ARGV, self._begin_containerd, self._end_containerd,
            limits.CONTAINERD_RESTART_SECONDS, 52 << 20,
        )  # fmt: skip
        self.kubelet_unit = Unit(
            "kubelet.service", "kubelet: The Kubernetes Node Agent", "https://kubernetes.io/docs/",
            f"{folder}/kubelet.service", lambda: config.command_line(kubelet.fs), self._begin_kubelet,
            self._end_kubelet, limits.KUBELET_RESTART_SECONDS, 44 << 20, drop_ins=("10-kubeadm.conf",),
        )  # fmt: skip
        kubelet.pid = lambda: self.kubelet_unit.pid
        for unit in (self.containerd, self.kubelet_unit):
            self.systemd.units[unit.name] = unit

    def start(self) -> None:
        """Switch the machine on."""
        self.on = True
        self.systemd.boot()

    def power_off(self) -> None:
        """Switch it off, without a word to anybody."""
        self.kubelet.node.boots += 1
        self.on = False
        self.systemd.shut_down()
        self.kubelet.runtime.power_off()
        for process in list(self.machine.processes.values()):
            process.signal(SIGNALS["KILL"])

    # --- services -------------------------------------------------------------------------------------------
    def _begin_containerd(self) -> None:
        self.kubelet.runtime.running = True
        node_files.socket(self.kubelet.fs, present=True)
        stamp = f"{self.loop.micro_timestamp()[:-1]}000Z"
        for text in ("starting containerd", "containerd successfully booted in 0.041512s"):
            self.journal.write(
                "containerd.service", "containerd", self.containerd.pid, f'time="{stamp}" level=info msg="{text}"'
            )
        self.kubelet.runtime_changed()

    def _end_containerd(self) -> None:
        self.kubelet.runtime.running = False
        node_files.socket(self.kubelet.fs, present=False)
        self.kubelet.runtime_changed()

    def _begin_kubelet(self) -> None:
        try:
            self.kubelet.config = config.read(self.kubelet.fs)
        except config.BadConfig as error:
            self.kubelet.log("E", "run.go:72", f'"command failed" err={quoted(error)}')
            raise UnitFailure from None
        self.kubelet.client.dials = self.kubelet.config.server.removeprefix("https://")
        self.kubelet.start()
        self._daemon = daemon = ServiceProcess(self.systemd, self.kubelet_unit, self.machine)
        for port, answer in ((10248, lambda request: Response(200, b"ok")), (10250, Access(self.kubelet).answer)):
            certificate = b"own" if port == 10250 else b""
            self.kubelet.network.listen(port, daemon, answer, http=True, certificate=certificate)  # type: ignore[arg-type]  # all that listen needs of a process

    def _end_kubelet(self) -> None:
        self.kubelet.stop()
        if self._daemon:
            self._daemon.exit()
            self._daemon = None

    # --- the shell ------------------------------------------------------------------------------------------
    def run(self, command: str, *, stdin: bytes = b"", limit: float = limits.COMMAND_LIMIT) -> Outcome:
        """Type a line (or several) into the node's shell. A command that goes on longer than `limit` gets ^C."""
        both, out, err = bytearray(), bytearray(), bytearray()
        ended: list[int] = []

        def collect(one: bytearray) -> Output:
            def write(data: bytes) -> None:
                if len(both) < limits.MAX_COMMAND_OUTPUT:
                    one.extend(data)
                    both.extend(data)

            return Sink(write)

        with self.lock:
            process = self.machine.start(
                ["-bash"],
                env=dict(ENVIRONMENT),
                cwd="/root",
                stdin=Pipe(stdin, closed=True),
                stdout=collect(out),
                stderr=collect(err),
                program=_typist(command),
                on_exit=ended.append,
                attended=True,
            )
            until = self.loop.now + limit
        while not ended:
            with self.lock:
                self._step(process, until)
                jobs, self.machine.jobs = self.machine.jobs, []
            for job, finished in jobs:
                job.join()
                with self.lock:
                    finished.notify()
        with self.lock:
            for left in list(self.machine.processes.values()):  # what was put into the background ends with the shell
                left.signal(SIGNALS["KILL"])
            self.kubelet.static.look()
            self.loop.run_ready()
        return Outcome(
            both.decode(errors="replace"), out.decode(errors="replace"), err.decode(errors="replace"), ended[0]
        )

    def _step(self, process: Process, until: float) -> None:
        """Let the loop run until the command ends, waits for a real process, or has had its time."""
        loop = self.loop
        loop.run_ready()
        while process.code is None and not self.machine.jobs:
            due = loop.next_due()
            if due is None or due > until:
                for each in list(self.machine.processes.values()):
                    each.signal(SIGNALS["INT"])
                loop.run_ready()
                if process.code is None:
                    process.signal(SIGNALS["KILL"])
                    loop.run_ready()
                return
            loop.advance_to(due)


def _typist(command: str) -> Command:
    def program(process: Process) -> Steps:
        return (yield from typed(process, command))

    return program
