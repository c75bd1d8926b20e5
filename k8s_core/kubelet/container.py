"""One container as the runtime knows it: how it was asked for, its sandbox, the machine that its processes see.

Stands for the CRI's messages (ContainerConfig, PodSandbox) and for what runc makes of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from k8s_core.api import quantity
from k8s_core.kubelet import programs
from k8s_core.kubelet.images import KUBERNETES, Image
from k8s_core.kubelet.logs import ContainerLog
from k8s_core.kubelet.usage import Usage
from k8s_core.shell.fs import FileSystem, Node, Quota
from k8s_core.shell.pipes import Pipe
from k8s_core.shell.process import Command, Machine, Process, Row
from k8s_core.shell.sockets import NetworkNamespace

if TYPE_CHECKING:
    from k8s_core.clock import Loop
    from k8s_core.kubelet.runtime import Runtime

CREATED, RUNNING, EXITED = "CONTAINER_CREATED", "CONTAINER_RUNNING", "CONTAINER_EXITED"


class RuntimeFailure(Exception):
    """What the CRI answers when a container cannot be started; `code` is the exit code it then has."""

    def __init__(self, message: str, code: int = 128) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Mount:
    """A volume in a container."""

    path: str
    node: Node
    read_only: bool = False
    host: str = ""
    """Where it is on the node."""


@dataclass(slots=True)
class ContainerConfig:
    """What the kubelet asks for (CRI ContainerConfig)."""

    name: str
    attempt: int
    image: Image
    command: list[str]
    args: list[str]
    env: dict[str, str]
    working_dir: str = ""
    mounts: list[Mount] = field(default_factory=list)
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    uid: int | None = None
    gid: int | None = None
    groups: list[int] = field(default_factory=list)
    read_only: bool = False
    """Its own tree: what the image brings cannot be written to."""
    privileged: bool = False
    net_admin: bool = False
    """May change the network's devices and rules."""
    seccomp: bool = False
    no_new_privileges: bool = False
    sysctls: Mapping[str, str] = field(default_factory=dict)
    """The Pod's."""
    ports: list[int] = field(default_factory=list)
    memory_limit: int = 0
    cpu_limit: int = 0
    cpu_request: int = 0
    """Bytes and thousandths of a processor; 0: none."""
    pid_mode: str = "CONTAINER"
    """Whose processes it sees: its own, all of its POD, or the NODE's."""
    resources: Mapping[str, Any] = field(default_factory=dict)
    """The same as the Pod says it: requests and limits."""
    reference: str = ""
    """The image as the Pod named it."""
    stop_signal: str = ""
    """Without its SIG; the image's own if empty."""
    behaviour: str = ""
    """What the Pod's annotation says that the program shall do (programs/behaviour.py)."""

    def resize(self, resources: Mapping[str, Any]) -> None:
        """Have these requests and limits from now on."""
        limit, request = resources.get("limits") or {}, resources.get("requests") or {}
        self.resources = resources
        self.memory_limit = quantity.value(limit.get("memory") or "0")
        self.cpu_limit, self.cpu_request = (quantity.milli(each.get("cpu") or "0") for each in (limit, request))

    def linux_resources(self) -> dict[str, str]:
        """LinuxContainerResources, as the kubelet computes them."""
        shares = max(2, self.cpu_request * 1024 // 1000)
        found = {"cpuPeriod": "100000", "cpuShares": str(shares)}
        if self.cpu_limit:
            found["cpuQuota"] = str(self.cpu_limit * 100)
        if self.memory_limit:
            found["memoryLimitInBytes"] = str(self.memory_limit)
        return found


@dataclass(slots=True, eq=False)
class Sandbox:
    """A Pod's frame: its network, its host name, its containers."""

    id: str
    name: str
    namespace: str
    uid: str
    hostname: str
    network: NetworkNamespace
    created: float
    ready: bool = True
    containers: list["Container"] = field(default_factory=list)
    attempt: int = 0
    qos: str = "BestEffort"
    labels: Mapping[str, str] = field(default_factory=dict)
    shim: int = 0
    """The number of its containerd-shim on the node; the pause process has the next one."""


class ContainerMachine(Machine):
    """What processes in a container see."""

    def __init__(self, loop: "Loop", container: "Container", commands: Mapping[str, Command]) -> None:
        user = str(container.config.image.data.get("user", "root"))
        super().__init__(loop, container.sandbox.hostname, commands, user=user)
        config = container.config
        uid = config.uid if config.uid is not None else int(config.image.data.get("uid", 0))
        self.uid, self.gid = uid, config.gid if config.gid is not None else (0 if config.uid is not None else uid)
        self.groups = [self.gid, *config.groups]
        self.user = "root" if uid == 0 else user if user != "root" else str(uid)
        self.shell = str(config.image.data.get("shell", "dash"))
        self.container = container
        self.usage = Usage(self)
        self.runtime: Runtime | None = None
        self.answer: Callable[[Callable[[Any], Any], Any], Any] | None = None
        """What stands between the container's servers and who asks them (programs/behaviour.py)."""
        self.network = container.sandbox.network
        self.extra["image"] = config.image

    def background(self) -> bool:
        return self.loop.now >= self.container.waited_for_until

    def serving(self, handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda request: self.answer(handler, request) if self.answer else handler(request)

    def account(self) -> None:
        self.usage.settle()

    def left(self, what: str) -> tuple[int, int]:
        return self.runtime.left(what) if self.runtime else super().left(what)

    def grown(self, process: Process) -> None:
        self.usage.grown(process)

    def rows(self) -> list[Row]:
        mode, runtime = self.container.config.pid_mode, self.runtime
        if mode == "NODE" and runtime and runtime.node:
            return runtime.node.rows()
        if mode != "POD" or runtime is None:
            return super().rows()
        shim = self.container.sandbox.shim
        found = [r for r in runtime.sandbox_rows(self.container.sandbox) if r.pid > shim]
        return [replace(r, pid=r.pid - shim, parent=max(r.parent - shim, 0)) for r in found]

    def process(self, pid: int) -> Any:
        mode, runtime = self.container.config.pid_mode, self.runtime
        if mode == "NODE" and runtime and runtime.node:
            return runtime.node.process(pid)
        if mode == "POD" and runtime:
            return runtime.process(pid + self.container.sandbox.shim)
        return super().process(pid)

    @property
    def quota(self) -> Quota | None:
        """What was written into the container's own tree; None if nobody has looked at that yet."""
        return self._fs.quota if self._fs is not None else None

    def cgroup(self) -> dict[str, Node]:
        """The container's own cgroup (version 2), as files."""
        return self.usage.files()

    def build_fs(self) -> FileSystem:
        fs = FileSystem(programs.root(self), lambda: self.loop.now)
        if self.runtime:
            fs.quota.full = self.runtime.full
        for mount in self.container.config.mounts:
            fs.mount(mount.path, mount.node, read_only=mount.read_only)
        if self.container.config.read_only:
            for path in ("/dev", "/proc"):
                fs.mount(path, fs.resolve(path)[0])
            fs.mount("/", fs.root, read_only=True)
        return fs

    def find(self, name: str) -> Command | None:
        command = super().find(name)
        if command is None and name.startswith((".", "/")):
            # a program of the image that is not in a usual folder, or a script that is mounted
            base = name.rsplit("/", 1)[-1]
            if f"{name}" in self.image_paths or base in self.image_paths:
                return self.commands.get(base)
        return command

    @property
    def image_paths(self) -> set[str]:
        """The programs that the image itself names by a path of its own."""
        image = self.container.config.image
        data, own = image.data, programs.PROGRAMS.get(image.repository, {})
        return {f"/{name}" for name in own} | {a for part in ("entrypoint", "cmd") for a in data.get(part, ())[:1]}


class Container:
    """One run of one container."""

    def __init__(self, id: str, sandbox: Sandbox, config: ContainerConfig, loop: "Loop") -> None:
        self.id, self.sandbox, self.config, self.loop = id, sandbox, config, loop
        self.state = CREATED
        self.created = loop.now
        self.started = self.finished = 0.0
        self.exit_code = 0
        self.reason = self.message = ""
        self.log = ContainerLog(loop)
        self.namespace = KUBERNETES
        self.machine: ContainerMachine | None = None
        self.init: Process | None = None
        self.stdin = Pipe()
        self.attached: list[Callable[[int, bytes], None]] = []
        self.on_exit: list[Callable[[], None]] = []
        self.waited_for_until = 0.0
        """Until when its sleeps are foreground timers: while somebody waits for the container to get ready or end."""

    @property
    def name(self) -> str:
        return self.config.name

    def output(self, channel: int, data: bytes) -> None:
        """What PID 1 writes: to the log and to whoever is attached."""
        self.log.write("stdout" if channel == 1 or self.config.tty else "stderr", data)
        for listener in list(self.attached):
            listener(1 if self.config.tty else channel, data)

    def exited(self, code: int) -> None:
        if self.state == EXITED:
            return
        self.state, self.exit_code, self.finished = EXITED, code, self.loop.now
        self.reason = self.reason or ("Completed" if code == 0 else "Error")
        if self.machine:
            self.machine.kill_all()
        self.log.close()
        callbacks, self.on_exit = self.on_exit, []
        for callback in callbacks:
            callback()
