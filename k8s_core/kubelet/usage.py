"""What a container uses of the machine: processor time, throttling, memory, and its end when that is too much.

Stands for the kernel's cgroups. A process says what it wants (`Process.load` processors, `Process.memory` bytes);
processor time grows with virtual time, cut at the limit: what is cut is throttling. More memory than the limit ends
the whole container (memory.oom.group, as the kubelet sets it), exit code 137, reason OOMKilled.
"""

from typing import TYPE_CHECKING

from k8s_core.limits import NODE_PIDS
from k8s_core.shell.fs import File, Node

if TYPE_CHECKING:
    from k8s_core.kubelet.container import ContainerMachine
    from k8s_core.shell.process import Process

NOMINAL = {
    "kube-apiserver": (42, 248), "etcd": (18, 62), "kube-controller-manager": (12, 51), "kube-scheduler": (3, 22),
    "coredns": (2, 14), "kube-proxy": (1, 17), "docker-entrypoint.sh": (0, 9), "httpd-foreground": (1, 7),
    "apache2-foreground": (1, 11), "agnhost": (1, 11), "redis-server": (2, 9),
}  # fmt: skip
"""What a program uses when nothing is asked of it: thousandths of a processor, MiB."""
PERIOD = 0.1
"""Seconds: cpu.cfs_period_us."""


def nominal(process: "Process", program: str, limit: int) -> None:
    """Let a program's first process use what such programs do; never so much that its limit would end it."""
    processor, memory = NOMINAL.get(program.rsplit("/", 1)[-1], (0, 0))
    if processor:
        process.work(processor / 1000)
    if memory:
        process.memory = min(memory << 20, limit // 2) if limit else memory << 20


class Usage:
    """One container's."""

    def __init__(self, machine: "ContainerMachine") -> None:
        self.machine = machine
        self.seconds = self.throttled = 0.0
        self._since = machine.loop.now
        self._load = 0.0
        self.held: dict[str, int] = {}
        """What the container takes besides, as it was told to (programs/behaviour.py): "disk", "inodes", "pids"."""

    @property
    def limit(self) -> float:
        """Processors that the container may use; infinite without a limit."""
        limit = self.machine.container.config.cpu_limit
        return limit / 1000 if limit else float("inf")

    @property
    def cores(self) -> float:
        """Processors in use now."""
        return min(self._load, self.limit)

    @property
    def memory(self) -> int:
        return sum(process.memory for process in self.machine.processes.values())

    def of(self, what: str) -> int:
        """How much it uses of the node's "memory" or "disk" (bytes), "inodes" or "pids"."""
        if what == "memory":
            return self.memory
        if what == "pids":
            return len(self.machine.processes) + self.held.get(what, 0)
        quota = self.machine.quota
        return self.held.get(what, 0) + ((quota.used if what == "disk" else quota.files) if quota else 0)

    def settle(self) -> None:
        """Count the time since the last change; call before and read after a change of load."""
        passed = self.machine.loop.now - self._since
        self._since = self.machine.loop.now
        if passed and self._load:
            self.seconds += passed * self.cores
            self.throttled += passed * (self._load - self.cores)
            share = self.cores / self._load
            for process in self.machine.processes.values():
                process.cpu += passed * process.load * share
        self._load = sum(process.load for process in self.machine.processes.values())

    def grown(self, process: "Process") -> None:
        """A process took more memory: the kernel looks at the limit."""
        limit = self.machine.container.config.memory_limit
        runtime = self.machine.runtime
        if limit and self.memory > limit:
            self.out_of_memory()
        elif runtime and runtime.left("memory")[1] < 0:
            runtime.out_of_memory()

    def out_of_memory(self) -> None:
        container = self.machine.container
        if container.state == "CONTAINER_RUNNING":
            container.reason = "OOMKilled"
            container.exited(137)

    def files(self) -> dict[str, Node]:
        """The cgroup's files."""
        config = self.machine.container.config

        def stat() -> bytes:
            self.settle()
            periods = int((self.machine.loop.now - self.machine.started) / PERIOD) if config.cpu_limit else 0
            hit = min(periods, int(self.throttled / PERIOD + 0.999)) if self.throttled else 0
            values = {
                "usage_usec": int(self.seconds * 1e6), "user_usec": int(self.seconds * 8e5),
                "system_usec": int(self.seconds * 2e5), "nr_periods": periods, "nr_throttled": hit,
                "throttled_usec": int(self.throttled * 1e6),
            }  # fmt: skip
            return "".join(f"{name} {value}\n" for name, value in values.items()).encode()

        quota = f"{config.cpu_limit * 100} 100000\n" if config.cpu_limit else "max 100000\n"
        weight = max(1, 1 + ((max(2, config.cpu_request * 1024 // 1000) - 2) * 9999) // 262142)
        ended = "oom_kill 1\n" if self.machine.container.reason == "OOMKilled" else "oom_kill 0\n"
        texts = {
            "cpu.max": quota,
            "cpu.weight": f"{weight}\n",
            "memory.max": f"{config.memory_limit or 'max'}\n",
            "memory.events": f"low 0\nhigh 0\nmax 0\noom 0\n{ended}oom_group_kill 0\n",
            "cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma misc\n",
            "pids.current": f"{self.of('pids')}\n",
            "pids.max": f"{NODE_PIDS * 9 // 10}\n",
            "cgroup.procs": "".join(f"{p.host_pid}\n" for p in self.machine.processes.values()),
        }
        found: dict[str, Node] = {name: File(text.encode(), mode=0o444) for name, text in texts.items()}
        found["cpu.stat"] = File(read=stat, mode=0o444)
        found["memory.current"] = File(f"{self.memory}\n".encode(), mode=0o444)
        return found
