"""Commands that show what a kernel does with packets: conntrack, traceroute, nft, ipvsadm.

Its tables are iptables.py's. nft lists kube-proxy's table and ipvsadm its virtual servers, where it runs in that mode.
"""

from k8s_core.network import ipvs
from k8s_core.network.nftables_walk import Ruleset
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


@NODE.plain("nft")
def nft(process: Process) -> int:
    """nft list ruleset|tables|table ip kube-proxy|chain ip kube-proxy NAME."""
    host = host_of(process)
    words = [w for w in process.argv[1:] if not w.startswith("-")]
    if host is None:
        return process.fail("Operation not permitted (you must be root)")
    host.tables()
    text = host.backend.table.text() if isinstance(host.backend, Ruleset) else ""
    if words[:2] == ["list", "tables"]:
        process.out("table ip kube-proxy\n" if text else "")
    elif words[:2] == ["list", "ruleset"] or (text and words == ["list", "table", "ip", "kube-proxy"]):
        process.out(text)
    elif len(words) == 5 and (start := text.find(f"\t{words[1]} {words[4]} {{\n")) > 0:
        end = text.index("\n\t}\n", start)
        process.out(f"table ip kube-proxy {{\n{text[start:end]}\n\t}}\n}}\n")
    else:
        return process.fail("Error: No such file or directory" if words[:1] == ["list"] else "Error: syntax error")
    return 0


@NODE.plain("ipvsadm")
def ipvsadm(process: Process) -> None:
    """ipvsadm -Ln [-t|-u ADDRESS:PORT]."""
    host = host_of(process)
    if host is not None:
        host.tables()
    found = host.backend.servers if host and isinstance(host.backend, ipvs.Balancer) else {}
    wanted = next((w.partition(":")[0] for w in process.argv[1:] if not w.startswith("-")), "")
    process.out(ipvs.listing(found, only=wanted))


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
