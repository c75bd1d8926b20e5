"""A node's file tree: a real folder that a learner can open, and in memory what the kernel and the runtime show.

Real: /etc, /var/lib, /root, everything one edits; data/node/ holds what kubeadm, the distribution and containerd's
package leave there. In memory: /proc, /dev, /run, /sys/fs/cgroup, the programs in /usr/bin, the logs below
/var/log. Left out: files of the distribution that nobody looks at in a lesson.
"""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from k8s_core.api import quantity
from k8s_core.limits import NODE_CAPACITY
from k8s_core.shell.commands.system import KERNEL
from k8s_core.shell.fs import Device, Directory, File, FileSystem, Link, Listing, Node, tree
from k8s_core.shell.host_fs import HostDirectory

if TYPE_CHECKING:
    from k8s_core.kubelet.container import Container
    from k8s_core.kubelet.host import NodeMachine
    from k8s_core.kubelet.runtime import Runtime

DATA = Path(__file__).parent / "data" / "node"
FOLDERS = (
    "tmp",
    "root",
    "home",
    "opt/cni/bin",
    "var/log",
    "var/lib/etcd/member/snap",
    "var/lib/etcd/member/wal",
    "var/lib/containerd",
    "var/lib/kubelet/pods",
)
DEVICES = {"null": "null", "zero": "zero", "stdin": "stdin", "stdout": "stdout", "stderr": "stderr", "tty": "tty"}
PAUSE = "registry.k8s.io/pause:3.10.1"
SOCKET = "/run/containerd/containerd.sock"


def write(folder: Path, node: str, addresses: Mapping[str, str], now: float) -> None:
    """Fill the real folder, as a distribution, containerd's package and kubeadm would; all of it made `now`."""
    hosts = "".join(f"{address} {name}\n" for name, address in addresses.items())
    for path in FOLDERS:
        (folder / path).mkdir(parents=True, exist_ok=True)
    for source in DATA.rglob("*"):
        if source.is_file():
            target = folder / source.relative_to(DATA)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                target.write_text(Template(source.read_text()).substitute(node=node, hosts=hosts))
    admin = folder / "etc/kubernetes/admin.conf"
    if admin.exists():
        (folder / "root/.kube").mkdir(parents=True, exist_ok=True)
        (folder / "root/.kube/config").write_bytes(admin.read_bytes())
    for made in folder.rglob("*"):
        os.utime(made, (now, now), follow_symlinks=False)


def build(folder: Path, runtime: "Runtime") -> FileSystem:
    """The tree."""
    root = HostDirectory(folder, full=runtime.full, clock=lambda: runtime.loop.now)
    fs = FileSystem(root, lambda: runtime.loop.now)
    root.entries["dev"] = Directory({name: Device(kind) for name, kind in DEVICES.items()})
    root.entries["run"] = tree({"/lock/": "", "/flannel/": "", "/containerd/": ""})
    root.entries["sys"] = Directory({"fs": Directory({"cgroup": Listing(lambda: _cgroups(runtime))})})
    for name in ("bin", "sbin"):
        root.entries[name] = Link(f"/usr/{name}")
    if not runtime.fake:
        fs.mount("/var/log/pods", Listing(lambda: _pod_logs(runtime)))
        fs.mount("/var/log/containers", Listing(lambda: _container_logs(runtime)))
        fs.place("/var/run", Link("../run"))
    return fs


def socket(fs: FileSystem, present: bool) -> None:
    """containerd's socket is there while containerd runs."""
    folder = fs.lookup("/run/containerd")
    if isinstance(folder, Directory):
        folder.entries = {"containerd.sock": Device("socket")} if present else {}


def programs(names: Mapping[str, object]) -> Directory:
    """/usr/bin."""
    return Directory({name: File(b"\x7fELF", mode=0o755) for name in names})


def processes(machine: "NodeMachine") -> Directory:
    """/proc: the kernel's own files, and a folder for every process on the node."""

    def look() -> dict[str, Node]:
        def uptime() -> bytes:
            seconds = machine.loop.now - machine.systemd.booted
            return f"{seconds:.2f} {seconds:.2f}\n".encode()

        total = quantity.value(NODE_CAPACITY["memory"]) >> 10
        free = total - (machine.runtime.memory() >> 10)
        texts = {
            "cpuinfo": "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: simulated\ncpu cores\t: 1\n",
            "loadavg": "0.08 0.03 0.01 1/164 1\n",
            "meminfo": f"MemTotal:        {total} kB\nMemFree:         {free} kB\nMemAvailable:    {free} kB\n"
            "SwapTotal:       0 kB\n",
            "swaps": "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
            "version": f"Linux version {KERNEL} (buildd@lcy02) #63-Ubuntu SMP PREEMPT_DYNAMIC\n",
        }
        found: dict[str, Node] = {name: File(text.encode(), mode=0o444) for name, text in texts.items()}
        found["uptime"] = File(read=uptime, mode=0o444)
        for row in machine.rows():
            name = row.argv[0].rsplit("/", 1)[-1][:15]
            status = f"Name:\t{name}\nState:\tS (sleeping)\nPid:\t{row.pid}\nPPid:\t{row.parent}\n"
            words = b"" if row.argv[0].startswith("[") else "".join(f"{word}\0" for word in row.argv).encode()
            found[str(row.pid)] = Directory(
                {"cmdline": File(words, mode=0o444), "status": File(status.encode(), mode=0o444)}, mode=0o555
            )
        return found

    return Listing(look)


# --- logs ----------------------------------------------------------------------------------------------------------
def _runs(runtime: "Runtime") -> Iterator["Container"]:
    return (c for c in runtime.containers.values() if c.sandbox.uid)


def log_path(container: "Container") -> str:
    """Where a container's log is, below /var/log/pods."""
    sandbox = container.sandbox
    return f"{sandbox.namespace}_{sandbox.name}_{sandbox.uid}/{container.name}/{container.config.attempt}.log"


def _log_file(container: "Container") -> File:
    def read() -> bytes:
        lines = []
        for time, stream, line in container.log.lines:
            stamp = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
            whole = line.endswith(b"\n")
            lines.append(f"{stamp} {stream} {'F' if whole else 'P'} ".encode() + line + (b"" if whole else b"\n"))
        return b"".join(lines)

    return File(read=read, mode=0o640)


def _pod_logs(runtime: "Runtime") -> dict[str, Node]:
    top = Directory()
    for container in _runs(runtime):
        here = top
        *folders, name = log_path(container).split("/")
        for folder in folders:
            below = here.entries.setdefault(folder, Directory())
            assert isinstance(below, Directory)
            here = below
        here.entries[name] = _log_file(container)
    return top.entries


def _container_logs(runtime: "Runtime") -> dict[str, Node]:
    return {
        f"{c.sandbox.name}_{c.sandbox.namespace}_{c.name}-{c.id}.log": Link(f"/var/log/pods/{log_path(c)}")
        for c in _runs(runtime)
    }


# --- cgroups -------------------------------------------------------------------------------------------------------
def _cgroups(runtime: "Runtime") -> dict[str, Node]:
    """kubepods.slice with a slice for every Pod and a scope for every container, as systemd's driver names them."""
    top = Directory()
    for container in _runs(runtime):
        if container.machine is None or not container.sandbox.ready:
            continue
        quality = container.sandbox.qos.lower()
        slices = ["kubepods.slice"]
        if quality != "guaranteed":
            slices.append(f"kubepods-{quality}.slice")
        slices.append(slices[-1].removesuffix(".slice") + f"-pod{container.sandbox.uid.replace('-', '_')}.slice")
        here = top
        for name in (*slices, f"cri-containerd-{container.id}.scope"):
            below = here.entries.setdefault(name, Directory())
            assert isinstance(below, Directory)
            here = below
        here.entries |= container.machine.cgroup()
    return top.entries
