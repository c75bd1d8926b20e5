"""What is in /usr/bin of a node: a small Ubuntu with containerd, kubeadm's tools and etcdctl."""

import re

from k8s_core.shell.commands import (
    BUSYBOX,
    DEBIAN,
    containerd,
    crictl,
    curl,
    distribution,
    kubeadm,
    kubectl,
    machine,
    names,
    netfilter,
    network,
    openssl,
    processes,
    systemd,
)
from k8s_core.shell.commands.etcdctl import etcdctl
from k8s_core.shell.commands.etcdctl_snapshot import etcdutl
from k8s_core.shell.commands.options import Table
from k8s_core.shell.commands.system import KERNEL
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import SIGNALS, Command, Process, Row

OWN = Table()


@OWN.plain("sudo")
def sudo(process: Process) -> Steps:
    """root may do anything already: the command itself."""
    words = process.argv[1:]
    while (words and words[0].startswith("-")) or (words and re.fullmatch(r"\w+=\S*", words[0])):
        words.pop(0)
    if not words:  # sudo -i, sudo su: root already is who types
        return 0 if process.argv[1:] else process.fail("usage: sudo command")
    if process.machine.find(words[0]) is None:
        return process.fail(f"{words[0]}: command not found")
    return (yield from process.run(words))


def _matching(process: Process) -> tuple[list[Row], list[str]]:
    flags = [w for w in process.argv[1:] if w.startswith("-")]
    words = [w for w in process.argv[1:] if not w.startswith("-")]
    full = any("f" in flag for flag in flags if not flag.lstrip("-").isupper())
    pattern = re.compile(re.escape(words[-1]) if words else "$^")
    rows = [r for r in process.machine.rows() if r.pid != process.pid and r.argv[0] != "-bash"]
    hits = [r for r in rows if pattern.search(" ".join(r.argv) if full else r.argv[0].rsplit("/", 1)[-1])]
    return hits, flags


@OWN.plain("pgrep")
def pgrep(process: Process) -> int:
    hits, flags = _matching(process)
    for row in hits:
        shown = f"{row.pid} {' '.join(row.argv)}" if "-a" in flags or "-af" in flags else str(row.pid)
        shown = f"{row.pid} {row.argv[0].rsplit('/', 1)[-1]}" if "-l" in flags else shown
        process.print(shown)
    return int(not hits)


@OWN.plain("pkill")
def pkill(process: Process) -> int:
    hits, flags = _matching(process)
    named = {f"-{name}": number for name, number in SIGNALS.items()} | {f"-{n}": n for n in SIGNALS.values()}
    number = next((named[flag] for flag in flags if flag in named), SIGNALS["TERM"])
    for row in hits:
        target = process.machine.process(row.pid)
        if target is not None:
            process.machine.loop.call_soon(target.signal, number)
    return int(not hits)


@OWN.plain("su")
def su(process: Process) -> int:
    """root already is who types."""
    return 0


@OWN.plain("hostnamectl")
def hostnamectl(process: Process) -> None:
    process.print(
        f" Static hostname: {process.machine.hostname}\n       Icon name: computer-vm\n         Chassis: vm\n"
        f"  Virtualization: kvm\nOperating System: Ubuntu 24.04.3 LTS\n          Kernel: Linux {KERNEL}\n"
        "    Architecture: x86-64"
    )


@OWN.plain("vi vim nano")
def editor(process: Process) -> int:
    """vi, nano: there is no screen here."""
    return process.fail(
        "there is no terminal to edit in. Open the file in JupyterLab (the node's root is a folder), or use sed -i."
    )


NODE: dict[str, Command] = {
    **BUSYBOX, **DEBIAN, **processes.PROCPS, **network.TOOLS, **curl.TOOLS, **names.BIND, **netfilter.TOOLS,
    **netfilter.NODE, **systemd.COMMANDS, **crictl.TOOLS, **containerd.COMMANDS, **openssl.COMMANDS, **kubeadm.COMMANDS,
    **kubectl.COMMANDS, **machine.COMMANDS, **distribution.COMMANDS, "etcdctl": etcdctl, "etcdutl": etcdutl, **OWN,
}  # fmt: skip
del NODE["ash"], NODE["busybox"]
