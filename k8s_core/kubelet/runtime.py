"""The container runtime under the kubelet: sandboxes, containers and what can be done with them.

Stands for containerd behind the CRI: it knows nothing of Pods, restarts or the apiserver. A sandbox is a network
namespace with an address; a container is a machine (shell/process.py) whose PID 1 is the image's program. With
`fake=True` it is the runtime that Kubernetes' own scale tests use: every image exists, nothing ever ends by itself.
"""

import hashlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from k8s_core import limits
from k8s_core.kubelet import programs
from k8s_core.kubelet.images import KUBERNETES, Image, ImageStore, parse
from k8s_core.kubelet.logs import ContainerLog
from k8s_core.kubelet.programs import behaviour
from k8s_core.kubelet.usage import Usage, nominal
from k8s_core.shell.fs import Directory, File, FileSystem, Node
from k8s_core.shell.pipes import Output, Pipe, Sink
from k8s_core.shell.process import SIGNALS, Command, Machine, Process, Row, row
from k8s_core.shell.sh import sh
from k8s_core.shell.sockets import Fabric, NetworkNamespace

if TYPE_CHECKING:
    from k8s_core.clock import Loop

FIRST_PID = 640
"""Where a node's process numbers begin, after the kernel's and the distribution's."""
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
    ports: list[int] = field(default_factory=list)
    memory_limit: int = 0
    memory_request: int = 0
    cpu_limit: int = 0
    cpu_request: int = 0
    """Bytes and thousandths of a processor; 0: none."""
    pid_mode: str = "CONTAINER"
    """Whose processes it sees: its own, all of its POD, or the NODE's."""
    reference: str = ""
    """The image as the Pod named it."""
    behaviour: str = ""
    """What the Pod's annotation says that the program shall do (programs/behaviour.py)."""

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

    def disk(self) -> int:
        """Bytes that were written into the container's own tree."""
        return self._fs.quota.used if self._fs is not None else 0

    def cgroup(self) -> dict[str, Node]:
        """The container's own cgroup (version 2), as files."""
        return self.usage.files()

    def build_fs(self) -> FileSystem:
        fs = FileSystem(programs.root(self), lambda: self.loop.now)
        for mount in self.container.config.mounts:
            fs.mount(mount.path, mount.node, read_only=mount.read_only)
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
        data = self.container.config.image.data
        return {a for part in ("entrypoint", "cmd") for a in data.get(part, ())[:1]}


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


class Runtime:
    """The runtime of one node."""

    def __init__(
        self,
        loop: "Loop",
        fabric: Fabric,
        *,
        fake: bool = False,
        extra: Mapping[str, Mapping[str, Command]] | None = None,
    ) -> None:
        self.loop, self.fabric, self.fake = loop, fabric, fake
        self.running = True
        """Whether containerd is; containers go on without it."""
        self.node: Machine | None = None
        """The node itself, for containers that see its processes or change into its root."""
        self.pids = itertools.count(FIRST_PID)
        self.images = ImageStore(loop)
        self.sandboxes: dict[str, Sandbox] = {}
        self.containers: dict[str, Container] = {}
        self.extra: dict[str, Mapping[str, Command]] = dict(extra or {})
        """Image repository -> programs that come from outside (etcdctl in etcd's); they win over the image's own."""

    def takes(self, bounds: tuple[float, float]) -> float:
        """Seconds that something takes whose usual bounds are these; a hollow node takes no time."""
        low, high = (0.0, 0.0) if self.fake else bounds
        return self.loop.random.uniform(low, high) * self.images.slowness

    def power_off(self) -> None:
        """The machine is switched off."""
        for sandbox in list(self.sandboxes.values()):
            self.stop_sandbox(sandbox)
        for container in list(self.containers.values()):
            self.kill(container)

    @property
    def name(self) -> str:
        return "fakeRuntime" if self.fake else "containerd"

    def _id(self, text: str) -> str:
        return hashlib.sha256(f"{text}/{self.loop.random.getrandbits(64)}".encode()).hexdigest()

    # --- processes, as the node sees them -------------------------------------------------------------------
    def rows(self) -> list[Row]:
        """Shims, pause processes and what runs in the containers, with the node's process numbers."""
        alone = (c.sandbox for c in self.containers.values() if not c.sandbox.uid)
        sandboxes = dict.fromkeys([*self.sandboxes.values(), *alone])
        return [each for sandbox in sandboxes if sandbox.ready for each in self.sandbox_rows(sandbox)]

    def sandbox_rows(self, sandbox: Sandbox) -> list[Row]:
        shim = ["/usr/bin/containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", sandbox.id]
        shim += ["-address", "/run/containerd/containerd.sock"]
        found = [Row("root", sandbox.shim, 1, sandbox.created, False, shim, 12 << 20)]
        if sandbox.uid:
            found.append(Row("65535", sandbox.shim + 1, sandbox.shim, sandbox.created, False, ["/pause"], 1 << 19))
        for container in sandbox.containers:
            for process in container.machine.processes.values() if container.machine else ():
                parent = process.parent.host_pid if process.parent else sandbox.shim
                found.append(row(process, process.host_pid, parent))
        return found

    def process(self, pid: int) -> Process | None:
        """The process in a container that has this number on the node."""
        for container in self.containers.values():
            for process in container.machine.processes.values() if container.machine else ():
                if process.host_pid == pid:
                    return process
        return None

    def memory(self) -> int:
        """Bytes of the node's memory that are in use."""
        running = (c.machine for c in self.containers.values() if c.state == RUNNING and c.machine)
        return limits.SYSTEM_MEMORY + sum(machine.usage.memory for machine in running)

    def disk(self) -> int:
        """Bytes that containers have written."""
        return sum(c.machine.disk() for c in self.containers.values() if c.machine)

    def out_of_memory(self) -> None:
        """The kernel's last resort when the node itself has none left: the biggest container goes."""
        running = [c for c in self.containers.values() if c.state == RUNNING and c.machine]
        victim = max(running, key=lambda c: c.machine.usage.memory if c.machine else 0, default=None)
        if victim is not None and victim.machine is not None:
            victim.machine.usage.out_of_memory()

    # --- sandboxes ------------------------------------------------------------------------------------------
    def run_sandbox(
        self, name: str, namespace: str, uid: str, hostname: str, network: NetworkNamespace, **more: Any
    ) -> Sandbox:
        shim, _ = next(self.pids), next(self.pids)
        sandbox = Sandbox(self._id(uid), name, namespace, uid, hostname, network, self.loop.now, shim=shim, **more)
        self.sandboxes[sandbox.id] = sandbox
        return sandbox

    def stop_sandbox(self, sandbox: Sandbox) -> None:
        sandbox.ready = False
        for container in sandbox.containers:
            self.kill(container)

    def remove_sandbox(self, sandbox: Sandbox) -> None:
        self.stop_sandbox(sandbox)
        for container in sandbox.containers:
            self.containers.pop(container.id, None)
        self.sandboxes.pop(sandbox.id, None)

    # --- containers -----------------------------------------------------------------------------------------
    def create(self, sandbox: Sandbox, config: ContainerConfig) -> Container:
        """CreateContainer; raises RuntimeFailure when there is nothing to run."""
        if self.fake:
            id = f"{sandbox.name}_{sandbox.namespace}_{sandbox.uid}_0_{config.name}_{config.attempt}"
        else:
            id = self._id(config.name)
        container = Container(id, sandbox, config, self.loop)
        if not self.fake and not self._argv(config):
            raise RuntimeFailure(
                f'failed to generate container "{id}" spec: failed to generate spec: no command specified'
            )
        sandbox.containers.append(container)
        self.containers[container.id] = container
        return container

    def run_alone(
        self, host: NetworkNamespace, namespace: str, name: str, reference: str, argv: list[str]
    ) -> Container:
        """A container that no kubelet asked for (docker run): in another namespace, on a bridge of its own."""
        image = parse(reference)
        count = sum(c.namespace != KUBERNETES for c in self.containers.values())
        network = NetworkNamespace(f"172.17.0.{count + 2}", self.fabric, node=host.node, pod=namespace, quiet=True)
        sandbox = Sandbox("", name, "", "", "", network, self.loop.now, shim=next(self.pids))
        config = ContainerConfig(name, 0, image, [], argv, dict(image.data.get("env", {})), reference=reference)
        container = self.create(sandbox, config)
        container.namespace = namespace
        sandbox.hostname = network.hostname = container.id[:12]
        config.name = name or f"{container.id[:12]}"
        self.start(container)
        return container

    def _argv(self, config: ContainerConfig) -> list[str]:
        data = config.image.data
        if config.command:
            return config.command + config.args
        entry = list(data.get("entrypoint", ()))
        arguments = config.args or list(data.get("cmd", ()))
        return entry + arguments if entry or arguments else [] if config.image.known else ["/app", *config.args]

    def remove(self, container: Container) -> None:
        """RemoveContainer: its log is gone too."""
        self.containers.pop(container.id, None)
        if container in container.sandbox.containers:
            container.sandbox.containers.remove(container)

    def start(self, container: Container) -> None:
        """StartContainer; raises RuntimeFailure in runc's words."""
        config = container.config
        argv = self._argv(config) or ["/pause"]
        machine = ContainerMachine(
            self.loop, container, programs.commands(config.image, self.extra.get(config.image.repository))
        )
        machine.host_pids, machine.runtime = self.pids, self
        container.machine = machine
        program = programs.idle if self.fake else self._program(machine, argv)
        wanted = behaviour.parse(config.behaviour) if config.behaviour and not self.fake else None
        if wanted:
            program = behaviour.delayed(program, wanted.start_after)
        container.state, container.started = RUNNING, self.loop.now
        machine.started = self.loop.now
        if not config.stdin:
            container.stdin.close()
        container.init = machine.start(
            argv,
            env=config.env,
            cwd=config.working_dir or str(config.image.data.get("workdir", "/")),
            stdin=container.stdin,
            stdout=Sink(lambda data: container.output(1, data)),
            stderr=Sink(lambda data: container.output(2, data)),
            program=program,
            on_exit=container.exited,
            tty=config.tty,
        )
        if not self.fake:
            nominal(container.init, argv[0], config.memory_limit)
        if wanted:
            behaviour.Acting(container, wanted)

    def _program(self, machine: ContainerMachine, argv: list[str]) -> Command:
        found, problem = resolve(machine, argv[0])
        if found is None:
            raise RuntimeFailure(
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc "
                f"create failed: unable to start container process: error during container init: exec: {problem}"
            )
        return found

    def stop(self, container: Container, grace: float) -> None:
        """StopContainer: the image's stop signal, and SIGKILL when the grace period is over."""
        if container.state != RUNNING or container.init is None:
            return
        if self.fake or grace <= 0:
            self.kill(container, code=0 if self.fake else 137)
            return
        container.init.signal(SIGNALS[str(container.config.image.data.get("stop", "TERM"))])
        timer = self.loop.call_later(grace, self.kill, container)
        container.on_exit.append(timer.cancel)

    def kill(self, container: Container, code: int = 137) -> None:
        """SIGKILL."""
        if container.state == RUNNING:
            if container.machine:
                container.machine.kill_all()
            container.exited(code)

    def exec(
        self,
        container: Container,
        argv: list[str],
        *,
        stdin: Pipe,
        stdout: Output,
        stderr: Output,
        tty: bool,
        on_exit: Callable[[int], None],
        attended: bool = False,
    ) -> Process:
        """Run a further process in a container; raises RuntimeFailure in the words of an exec."""
        machine = container.machine
        assert machine is not None
        program, problem = resolve(machine, argv[0])
        if program is None:
            code = 126 if problem.endswith("permission denied") else 127 if "not found" in problem else 128
            raise RuntimeFailure(
                f"OCI runtime exec failed: exec failed: unable to start container process: exec: {problem}: unknown",
                code,
            )
        env = dict(container.config.env)
        if tty:
            env.setdefault("TERM", "xterm")
        return machine.start(
            argv,
            env=env,
            cwd=container.init.cwd if container.init else "/",
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            program=program,
            on_exit=on_exit,
            tty=tty,
            attended=attended,
        )


def resolve(machine: ContainerMachine, name: str) -> tuple[Command | None, str]:
    """The program that a name stands for in a container, or None and what exec says."""
    command = machine.find(name)
    if command is not None:
        return command, ""
    if "/" not in name:
        if not machine.container.config.image.known and machine.container.init is None:
            return programs.generic, ""
        return None, f'"{name}": executable file not found in $PATH'
    node = machine.fs.lookup(name)
    if isinstance(node, File) and node.mode & 0o111:

        def script(process: Process) -> Any:
            process.argv = ["sh", *process.argv]
            return sh(process)

        return script, ""
    if isinstance(node, File | Directory):
        return None, f'"{name}": permission denied' if isinstance(node, File) else f'"{name}": is a directory'
    if not machine.container.config.image.known and machine.container.init is None:
        return programs.generic, ""
    return None, f'"{name}": stat {name}: no such file or directory'
