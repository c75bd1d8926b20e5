"""The container runtime under the kubelet: sandboxes, containers and what can be done with them.

Stands for containerd behind the CRI: it knows nothing of Pods, restarts or the apiserver. A sandbox is a network
namespace with an address; a container is a machine (shell/process.py) whose PID 1 is the image's program. With
`fake=True` it is the runtime that Kubernetes' own scale tests use: every image exists, nothing ever ends by itself.
"""

import hashlib
import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from k8s_core import limits
from k8s_core.api import quantity
from k8s_core.kubelet import programs
from k8s_core.kubelet.container import (
    RUNNING,
    Container,
    ContainerConfig,
    ContainerMachine,
    RuntimeFailure,
    Sandbox,
)
from k8s_core.kubelet.images import KUBERNETES, ImageStore, parse
from k8s_core.kubelet.programs import behaviour
from k8s_core.kubelet.usage import nominal
from k8s_core.shell.fs import Directory, File
from k8s_core.shell.pipes import Output, Pipe, Sink
from k8s_core.shell.process import SIGNALS, Command, Machine, Process, Row, row
from k8s_core.shell.sh import sh
from k8s_core.shell.sockets import Fabric, NetworkNamespace

if TYPE_CHECKING:
    from k8s_core.clock import Loop

CAPACITY = {
    "memory": (quantity.value(limits.NODE_CAPACITY["memory"]), limits.SYSTEM_MEMORY),
    "disk": (
        quantity.value(limits.NODE_CAPACITY["ephemeral-storage"]),
        quantity.value(limits.NODE_CAPACITY["ephemeral-storage"]) // 5,
    ),
    "inodes": (limits.NODE_INODES, limits.NODE_INODES // 16),
    "pids": (limits.NODE_PIDS, 120),
}
"""How much a node has of each, and how much of that its distribution needs."""
FIRST_PID = 640
"""Where a node's process numbers begin, after the kernel's and the distribution's."""


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
        self.used_up: set[str] = set()
        """What of "disk", "inodes" and "pids" somebody has used up, but for one in a hundred."""

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

    def left(self, what: str) -> tuple[int, int]:
        """(how much the node has, how much of that is left) of "memory" and "disk" (bytes), "inodes" and "pids".

        What ended containers wrote counts no more: the kubelet removes them before the node runs short.
        """
        whole, system = CAPACITY[what]
        if what in self.used_up:
            return whole, whole // 100
        running = (c.machine for c in self.containers.values() if c.state == RUNNING and c.machine)
        return whole, whole - system - sum(machine.usage.of(what) for machine in running)

    def memory(self) -> int:
        """Bytes of the node's memory that are in use."""
        whole, left = self.left("memory")
        return whole - left

    def full(self, made: bool) -> bool:
        """Whether the disk takes nothing more; or no new file, if one is to be `made`."""
        return bool(self.used_up) and ("disk" in self.used_up or (made and "inodes" in self.used_up))

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
        """StopContainer: the container's stop signal or its image's, and SIGKILL when the grace period is over."""
        if container.state != RUNNING or container.init is None:
            return
        if self.fake or grace <= 0:
            self.kill(container, code=0 if self.fake else 137)
            return
        name = container.config.stop_signal or str(container.config.image.data.get("stop", "TERM"))
        container.init.signal(SIGNALS.get(name, SIGNALS["TERM"]))
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
