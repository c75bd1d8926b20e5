"""Commands that show or change what a node's kernel does with packets: iptables, iptables-save, conntrack; and ss,
traceroute, which show sockets and ways.

They work where the network namespace is a node's (kube-proxy's container, the node itself); in a Pod of its own the
tables are empty, as in life.
"""

from typing import Any

from k8s_core.network.rules import BadRule, Rule
from k8s_core.network.tables import save
from k8s_core.shell.commands.options import checked
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Command, Process
from k8s_core.shell.sockets import NetworkError


def _host(process: Process) -> Any:
    """The node whose kernel this is, or None in a Pod's own namespace."""
    network = process.machine.network
    if network is None or network.pod:
        return None
    return getattr(network.fabric, "hosts", {}).get(network.node)


def iptables_save(process: Process) -> Steps:
    words = process.argv[1:]
    wanted = words[words.index("-t") + 1] if "-t" in words[:-1] else ""
    host = _host(process)
    tables = host.tables() if host else {}
    process.out(save({t: c for t, c in tables.items() if wanted in ("", t)}) if tables else "")
    return 0
    yield 0.0


def iptables(process: Process) -> Steps:
    """-t TABLE and one of -S, -L (-n, --line-numbers), -A, -I, -D, -F."""
    words = process.argv[1:]
    table, action, chain, rest = "filter", "", "", []
    while words:
        word = words.pop(0)
        if word in ("-t", "--table"):
            table = words.pop(0) if words else table
        elif word in ("-S", "-L", "-F", "-A", "-I", "-D", "--list", "--list-rules", "--flush") and not action:
            action = {"--list": "-L", "--list-rules": "-S", "--flush": "-F"}.get(word, word)
            chain = words.pop(0) if words and not words[0].startswith("-") else ""
            if action in ("-A", "-I", "-D"):
                rest = [w for w in words if w not in ("-w",)]
                words = []
    host = _host(process)
    tables = host.tables() if host else {}
    chains = tables.get(table)
    if chains is None and host is not None:
        return process.fail(f"v1.8.9 (nf_tables): table '{table}' does not exist", 3)
    chains = chains or {}
    if chain and chain not in chains:
        return process.fail("No chain/target/match by that name.")
    shown = [chain] if chain else list(chains)
    if action == "-S":
        built_in = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
        process.out("".join(f"-P {c} ACCEPT\n" if c in built_in else f"-N {c}\n" for c in shown))
        process.out("".join(f"-A {c} {rule}\n" for c in shown for rule in chains[c]))
    elif action == "-L":
        for each in shown:
            process.out(f"Chain {each} (policy ACCEPT)\n" if each.isupper() and "-" not in each else f"Chain {each}\n")
            process.out("num  rule\n" if "--line-numbers" in process.argv else "")
            numbered = "--line-numbers" in process.argv
            for index, rule in enumerate(chains[each], 1):
                process.out(f"{index:<4} {rule}\n" if numbered else f"{rule}\n")
            process.out("\n")
    elif action in ("-A", "-I", "-D") and host is not None:
        if rest and rest[0].isdigit():
            rest = rest[1:]
        text = " ".join(f'"{w}"' if " " in w else w for w in rest)
        try:
            Rule(text)
        except BadRule as error:
            return process.fail(f"v1.8.9 (nf_tables): {error}", 2)
        if not host.change(action, table, chain, text):
            return process.fail("Bad rule (does a matching rule exist in that chain?).")
    elif action == "-F" and host is not None:
        host.flush(table, chain)
    elif host is None:
        return process.fail("Permission denied (you must be root)", 4)
    return 0
    yield 0.0


def conntrack(process: Process) -> Steps:
    """conntrack -L: the connections this node remembers."""
    host = _host(process)
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
    return 0
    yield 0.0


def ss(process: Process) -> Steps:
    network = process.machine.network
    process.out("Netid State  Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n")
    for port, listener in sorted(network.listeners.items()) if network else ():
        program = listener.process.argv[0].rsplit("/", 1)[-1].rstrip(":")
        users = f'users:(("{program}",pid={listener.process.pid},fd=6))'
        process.out(f"tcp   LISTEN 0      511    {f'0.0.0.0:{port}':>18} {'0.0.0.0:*':>17} {users}\n")
    return 0
    yield 0.0


def traceroute(process: Process) -> Steps:
    name = next((w for w in process.argv[1:] if not w.startswith("-")), "")
    network = process.machine.network
    try:
        address = yield from network.resolve(name)
    except NetworkError:
        return process.fail(f"bad address '{name}'")
    process.out(f"traceroute to {name} ({address}), 30 hops max, 46 byte packets\n")
    hops = network.fabric.hops(network, address) if hasattr(network.fabric, "hops") else [address]
    for index, hop in enumerate(hops, 1):
        process.out(
            f"{index:2}  {hop} ({hop})  0.0{index}1 ms  0.0{index}0 ms  0.0{index}0 ms\n"
            if hop
            else f"{index:2}  *  *  *\n"
        )
        yield 0.01
    return 0


NODE: dict[str, Command] = {
    name: checked(command)
    for name, command in {
        "iptables-save": iptables_save,
        "iptables": iptables,
        "conntrack": conntrack,
        "ss": ss,
    }.items()
}
TOOLS: dict[str, Command] = {"ss": checked(ss), "traceroute": checked(traceroute)}
