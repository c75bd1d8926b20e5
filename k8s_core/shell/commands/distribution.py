"""Small programs that Ubuntu has beside the coreutils: what a machine and its software are, and what is open where.

lsb_release, lsblk, lscpu, swapon, modprobe, dmesg, who, pstree, tree, file, and the versions of what kubeadm's
packages bring. They tell of a machine that does not change.
"""

from k8s_core.shell.commands.options import Options, Table
from k8s_core.shell.commands.system import KERNEL
from k8s_core.shell.fs import Device, Directory, File, FileError, Link, normalize
from k8s_core.shell.process import Process, Row

COMMANDS = Table()
RELEASE = {"Distributor ID": "Ubuntu", "Description": "Ubuntu 24.04.3 LTS", "Release": "24.04", "Codename": "noble"}
FACTS = {
    "lsblk": "NAME   MAJ:MIN RM  SIZE RO TYPE MOUNTPOINTS\nvda    252:0    0   20G  0 disk \n"
    "└─vda1 252:1    0   20G  0 part /",
    "lscpu": "Architecture:             x86_64\n  CPU op-mode(s):         32-bit, 64-bit\nCPU(s):                   1\n"
    "  On-line CPU(s) list:    0\nVendor ID:                GenuineIntel\nVirtualization features:  \n"
    "  Hypervisor vendor:      KVM\n  Virtualization type:    full",
    "dmesg": f"[    0.000000] Linux version {KERNEL} (buildd@lcy02)\n"
    "[    1.204117] systemd[1]: Detected virtualization kvm.\n"
    "[    4.871020] bridge: filtering via arp/ip/ip6tables is no longer available by default.",
    "swapon": "", "who": "", "users": "", "last": "", "sync": "",
}  # fmt: skip
VERSIONS = {
    "kubelet": "Kubernetes {version}", "containerd": "containerd github.com/containerd/containerd/v2 v2.2.0 1c4457e",
    "runc": "runc version 1.3.4\nspec: 1.2.1\ngo: go1.25.4\nlibseccomp: 2.5.5",
}  # fmt: skip
"""Programs that a service starts, and of which one asks only the version."""


@COMMANDS.plain(" ".join(FACTS))
def fact(process: Process) -> None:
    process.print(*([FACTS[process.name]] if FACTS[process.name] else []))


@COMMANDS.plain(" ".join(VERSIONS))
def version(process: Process) -> int:
    if set(process.argv[1:]) & {"--version", "-v", "version"}:
        process.print(VERSIONS[process.name].format(version=process.machine.extra["node"].kubelet.node.version))
        return 0
    return process.fail("a service starts this. systemctl shows, stops and starts it; --version tells its version.")


@COMMANDS("lsb_release", "aidrcs all=a id=i description=d release=r codename=c short=s")
def lsb_release(process: Process, options: Options, _: list[str]) -> None:
    for letter, (name, value) in zip("idrc", RELEASE.items(), strict=True):
        if letter in options or "a" in options:
            process.print(value if "s" in options else f"{name}:\t{value}")


@COMMANDS.plain("modprobe")
def modprobe(process: Process) -> int | None:
    """What kubeadm wants is loaded already."""
    missing = [word for word in process.argv[1:] if not word.startswith("-") and word not in MODULES]
    for word in missing:
        process.fail(f"FATAL: Module {word} not found in directory /lib/modules/{KERNEL}")
    return None


MODULES = (
    "br_netfilter",
    "overlay",
    "ip_vs",
    "ip_vs_rr",
    "ip_vs_wrr",
    "ip_vs_sh",
    "nf_conntrack",
    "ip_tables",
    "bridge",
)


@COMMANDS.plain("pstree")
def pstree(process: Process) -> None:
    below: dict[int, list[Row]] = {}
    for row in process.machine.rows():
        below.setdefault(row.parent, []).append(row)

    def show(row: Row, before: str, mark: str) -> None:
        pid = f"({row.pid})" if any("p" in word for word in process.argv[1:]) else ""
        process.print(f"{before}{mark}{row.argv[0].rsplit('/', 1)[-1].lstrip('-').rstrip(':')}{pid}")
        children = below.get(row.pid, [])
        inner = before + {"": "", "├─": "│ ", "└─": "  "}[mark]
        for number, child in enumerate(children):
            show(child, inner, "└─" if number == len(children) - 1 else "├─")

    for row in below.get(0, []):
        if row.pid == 1:
            show(row, "", "")


@COMMANDS("tree", "adL:")
def tree(process: Process, options: Options, operands: list[str]) -> None:
    counts = [0, 0]

    def show(folder: Directory, before: str, depth: int) -> None:
        names = [name for name in folder.names() if "a" in options or not name.startswith(".")]
        if "d" in options:
            names = [name for name in names if isinstance(folder.get(name), Directory)]
        for number, name in enumerate(names):
            node, last = folder.get(name), number == len(names) - 1
            arrow = f" -> {node.target}" if isinstance(node, Link) else ""
            process.print(f"{before}{'└── ' if last else '├── '}{name}{arrow}")
            counts[not isinstance(node, Directory)] += 1
            if isinstance(node, Directory) and depth < int(options.get("L", "99")):
                show(node, before + ("    " if last else "│   "), depth + 1)

    for path in operands or ["."]:
        node = process.lookup(path)
        process.print(path if isinstance(node, Directory) else f"{path}  [error opening dir]")
        if isinstance(node, Directory):
            show(node, "", 1)
    said = f"{counts[0]} director{'y' if counts[0] == 1 else 'ies'}"
    process.print("", said if "d" in options else f"{said}, {counts[1]} file{'' if counts[1] == 1 else 's'}")


@COMMANDS.plain("file")
def file(process: Process) -> None:
    for path in process.argv[1:]:
        process.print(f"{path}: {_kind(process, path)}")


def _kind(process: Process, path: str) -> str:
    try:
        node = process.fs.resolve(path, process.cwd, follow=False)[0]
    except FileError as error:
        return f"cannot open `{normalize(path, process.cwd)}' ({error})"
    if isinstance(node, Link):
        return f"symbolic link to {node.target}"
    if not isinstance(node, File):
        return "directory" if isinstance(node, Directory) else "socket" if _socket(node) else "character special"
    data = node.read()
    if data.startswith(b"-----BEGIN CERTIFICATE"):
        return "PEM certificate"
    if data.startswith(b"-----BEGIN") and b"PRIVATE KEY" in data[:40]:
        return (
            "PEM EC private key"
            if b" EC " in data[:40]
            else "OpenSSH private key"
            if b"SSH" in data[:40]
            else "ASCII text"
        )
    if data.startswith(b"\x7fELF"):
        return "ELF 64-bit LSB executable, x86-64"
    if data.startswith(b"\x1f\x8b"):
        return "gzip compressed data"
    return (
        "empty"
        if not data
        else "ASCII text"
        if data.isascii()
        else "Unicode text, UTF-8 text"
        if b"\0" not in data
        else "data"
    )


def _socket(node: object) -> bool:
    return isinstance(node, Device) and node.kind == "socket"
