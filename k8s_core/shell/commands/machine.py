"""Commands about a whole node: nsenter, sysctl, lsmod, swapoff, free; and less, more, watch, diff, cmp.

As much as one types to look at a machine that runs a kubelet. Left out: changing kernel settings.
"""

import difflib

from k8s_core.shell.commands import files
from k8s_core.shell.commands.options import Options, Table
from k8s_core.shell.commands.text import contents, split
from k8s_core.shell.fs import Directory, File
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Machine, Process

COMMANDS = Table(files.PAGERS)

SYSCTL = {
    "fs.inotify.max_user_instances": "128", "kernel.hostname": "", "kernel.panic": "10", "kernel.pid_max": "4194304",
    "net.bridge.bridge-nf-call-ip6tables": "1", "net.bridge.bridge-nf-call-iptables": "1",
    "net.ipv4.conf.all.forwarding": "1", "net.ipv4.ip_forward": "1", "net.ipv4.ip_local_port_range": "32768\t60999",
    "vm.overcommit_memory": "1", "vm.swappiness": "60",
}  # fmt: skip
"""What kubeadm and the kubelet want of a kernel."""
MODULES = (
    ("xt_MASQUERADE", 16384, 3), ("nf_conntrack", 196608, 5), ("br_netfilter", 32768, 0), ("bridge", 425984, 1),
    ("overlay", 212992, 14), ("ip_tables", 32768, 0),
)  # fmt: skip
TOTAL_KIB = 3932160
NAMESPACES = {
    "--target": "-t", "--net": "-n", "--mount": "-m", "--uts": "-u", "--pid": "-p", "--ipc": "-i", "--all": "-a",
}  # fmt: skip


KERNEL = Table()


@KERNEL.plain("sysctl")
def sysctl(process: Process) -> None:
    names = [w for w in process.argv[1:] if not w.startswith("-")]
    if set(process.argv[1:]) & {"--system", "-p"}:
        names = [line for line in _sysctl_files(process) if "=" in line and not line.startswith(("#", ";", "*"))]
    container = getattr(process.machine, "container", None)
    for word in names or sorted(SYSCTL):
        name, equals, wanted = word.replace(" ", "").partition("=")
        if container:
            file = process.fs.lookup(f"/proc/sys/{name.replace('.', '/')}")
            value = file.read().decode().rstrip("\n") if isinstance(file, File) else None
        else:
            value = process.machine.hostname if name == "kernel.hostname" else SYSCTL.get(name)
        if value is None:
            process.fail(f"cannot stat /proc/sys/{name.replace('.', '/')}: No such file or directory", 255)
        elif equals and wanted != value:
            process.fail(f'permission denied on key "{name}": kernel settings are fixed here', 255)
        else:
            process.out(f"{value}\n" if "-n" in process.argv else f"{name} = {value}\n")


def _sysctl_files(process: Process) -> list[str]:
    """The lines of what sysctl --system applies."""
    folder = process.lookup("/etc/sysctl.d")
    paths = [f"/etc/sysctl.d/{name}" for name in folder.names()] if isinstance(folder, Directory) else []
    lines = []
    for path in [*paths, *(["/etc/sysctl.conf"] if process.lookup("/etc/sysctl.conf") else [])]:
        process.print(f"* Applying {path} ...")
        lines += process.read(path).decode(errors="replace").splitlines()
    return lines


COMMANDS |= KERNEL


@COMMANDS.plain("lsmod")
def lsmod(process: Process) -> None:
    process.print("Module                  Size  Used by")
    for name, size, used in MODULES:
        process.print(f"{name:<19} {size:8}  {used}")


@COMMANDS.plain("swapoff")
def swapoff(process: Process) -> None:
    """There is no swap."""


@COMMANDS("free", "bkmgh human=h mebi=m")
def free(process: Process, options: Options, _: list[str]) -> None:
    node = process.machine.extra["node"]
    used = node.runtime.memory() >> 10
    cache = 1081384
    figures = [TOTAL_KIB, used, max(TOTAL_KIB - used - cache, 0), 3120, cache, TOTAL_KIB - used]

    unit = next(iter(options), "k")

    def show(kib: int) -> str:
        bits = {"b": 0, "k": 10, "m": 20, "g": 30}
        if unit == "h":
            shown, name = (kib / (1 << 20), "Gi") if kib >= 1 << 20 else (kib / 1024, "Mi")
            return "0B" if not kib else f"{shown:.1f}{name}" if shown < 10 else f"{shown:.0f}{name}"
        return str((kib << 10) >> bits[unit])

    process.print("               total        used        free      shared  buff/cache   available")
    process.out("Mem:    " + "".join(f"{show(figure):>12}" for figure in figures) + "\n")
    process.out("Swap:   " + "".join(f"{show(0):>12}" for _ in range(3)) + "\n")


@COMMANDS.plain("nsenter")
def nsenter(process: Process) -> Steps:
    """nsenter -t PID [-n] [-m] [-u] COMMAND: the node's programs in the namespaces of a process in a container."""
    words, target, wanted = list(process.argv[1:]), 0, set[str]()
    while words and words[0].startswith("-"):
        flag, equals, value = words.pop(0).partition("=")
        flag = NAMESPACES.get(flag, flag)
        if flag == "--":
            break
        if flag.startswith("-t"):
            value = value if equals else flag[2:] or (words.pop(0) if words else "")
            target = int(value) if value.isdigit() else 0
        else:
            wanted |= set(flag[1:])
    found = process.machine.process(target) if target else None
    if found is None or not hasattr(found, "machine"):
        return process.fail(f"cannot open /proc/{target}/ns/net: No such file or directory")
    inside: Machine = found.machine
    outside = process.machine
    seen = Machine(outside.loop, inside.hostname if wanted & {"u", "a"} else outside.hostname, outside.commands)
    seen.shell, seen.extra = outside.shell, outside.extra
    seen.network = inside.network if wanted & {"n", "a"} else outside.network
    seen._fs = inside.fs if wanted & {"m", "a"} else outside.fs
    if wanted & {"p", "a"}:
        seen.processes = inside.processes
    argv = words or ["bash"]
    if seen.find(argv[0]) is None:
        return process.fail(f"failed to execute {argv[0]}: No such file or directory", 127)
    child = process.start(argv, machine=seen, cwd="/", attended=True)
    process.at_exit.append(lambda: child.signal(9))
    return (yield from child.wait())


@COMMANDS.plain("watch")
def watch(process: Process) -> Steps:
    """watch COMMAND: there is no screen, so it is run once."""
    words = list(process.argv[1:])
    while words and words[0].startswith("-"):
        flag = words.pop(0)
        if flag in ("-n", "--interval") and words:
            words.pop(0)
    if not words:
        return process.fail("usage: watch command")
    process.out(f"Every 2.0s: {' '.join(words)}    {process.machine.hostname}\n\n")
    return (yield from process.run(["sh", "-c", " ".join(words)]))


@COMMANDS("diff", "uqrwBN brief=q unified=u")
def diff(process: Process, options: Options, operands: list[str]) -> Steps:
    """diff [-u] FILE FILE; 1 if they differ."""
    if len(operands) != 2:
        return process.fail("missing operand", 2)
    if len(texts := [split(text) for _, text in (yield from contents(process, operands))]) < 2:
        return 2
    left, right = texts
    if left == right:
        return 0
    if "q" in options:
        process.print(f"Files {operands[0]} and {operands[1]} differ")
    elif "u" in options:
        process.print(*difflib.unified_diff(left, right, operands[0], operands[1], lineterm=""))
    else:
        process.print(*_changes(left, right))
    return 1


def _changes(left: list[str], right: list[str]) -> list[str]:
    """The classic form: 3c3, < old, ---, > new."""
    found = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind == "equal":
            continue

        def span(start: int, end: int) -> str:
            return f"{start + 1},{end}" if end - start > 1 else str(end if start == end else start + 1)

        found.append(f"{span(a, b)}{kind[0] if kind != 'replace' else 'c'}{span(c, d)}".replace("i", "a"))
        found += [f"< {line}" for line in left[a:b]]
        found += ["---"] if kind == "replace" else []
        found += [f"> {line}" for line in right[c:d]]
    return found


@COMMANDS("cmp", "s")
def cmp(process: Process, _: Options, operands: list[str]) -> int:
    if len(operands) != 2:
        return process.fail("missing operand", 2)
    left, right = (process.read(path) for path in operands)
    if left == right:
        return 0
    at = next((i for i, (x, y) in enumerate(zip(left, right, strict=False)) if x != y), min(len(left), len(right)))
    process.print(f"{operands[0]} {operands[1]} differ: byte {at + 1}, line {left[:at].count(10) + 1}")
    return 1
