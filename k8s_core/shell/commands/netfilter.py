"""Commands that show what a kernel does with packets: conntrack, traceroute. Its rules are iptables.py's."""

from k8s_core.shell.commands import iptables
from k8s_core.shell.commands.iptables import host_of
from k8s_core.shell.commands.options import Table
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Process
from k8s_core.shell.sockets import NetworkError

NODE, TOOLS = Table(iptables.COMMANDS), Table()


@NODE.plain("conntrack")
def conntrack(process: Process) -> None:
    """conntrack -L: the connections this node remembers."""
    host = host_of(process)
    entries = list(host.tracked.values()) if host else []
    for entry in entries:
        protocol, source, source_port, destination, port = entry.original
        _, seen, seen_port, real, real_port = entry.translated
        left = max(int(entry.expires - host.now()), 0)
        number, state = ("6", " ESTABLISHED") if protocol == "tcp" else ("17", "")
        process.out(
            f"{protocol:<8} {number} {left}{state} src={source} dst={destination} sport={source_port} dport={port} "
            f"src={real} dst={seen} sport={real_port} dport={seen_port} [ASSURED] mark=0 use=1\n"
        )
    process.err(f"conntrack v1.4.7 (conntrack-tools): {len(entries)} flow entries have been shown.\n")


@TOOLS.plain("traceroute")
def traceroute(process: Process) -> Steps:
    name = next((w for w in process.argv[1:] if not w.startswith("-")), "")
    network = process.machine.network
    try:
        address = yield from network.resolve(name)
    except NetworkError:
        return process.fail(f"bad address '{name}'")
    process.print(f"traceroute to {name} ({address}), 30 hops max, 46 byte packets")
    hops = network.fabric.hops(network, address) if hasattr(network.fabric, "hops") else [address]
    for index, hop in enumerate(hops, 1):
        times = f"0.0{index}1 ms  0.0{index}0 ms  0.0{index}0 ms"
        process.print(f"{index:2}  {hop} ({hop})  {times}" if hop else f"{index:2}  *  *  *")
        yield 0.01
    return 0
