"""Commands that show a namespace's own network: ip, ifconfig, route; ss and netstat, which show its sockets.

A Pod has an interface; a node has one, and beside it the Pods' bridge, the overlay to other nodes' Pods and an end of
every Pod's cable. Stands for iproute2, net-tools and busybox's applets, as much as they show here.
"""

from dataclasses import dataclass
from typing import Any

from k8s_core.shell.commands.options import Options, Table
from k8s_core.shell.process import Process
from k8s_core.shell.sockets import Listener

TOOLS, BUSYBOX = Table(), Table()


@dataclass(frozen=True, slots=True)
class Link:
    """One interface; `address` with its prefix length."""

    name: str
    address: str = ""
    kind: str = "BROADCAST,MULTICAST,UP,LOWER_UP"
    mtu: int = 1450
    peer: str = ""
    queue: str = "noqueue"

    @property
    def ip(self) -> str:
        return self.address.partition("/")[0]

    @property
    def mac(self) -> str:
        if self.name == "lo":
            return "00:00:00:00:00:00"
        numbers = [int(part) for part in self.ip.split(".")] if self.ip else [0, *self.name.encode()[-3:]]
        return "0a:58:" + ":".join(f"{number:02x}" for number in numbers)


LOOPBACK = Link("lo", "127.0.0.1/8", "LOOPBACK,UP,LOWER_UP", 65536)


def _bridge(cidr: str) -> str:
    return cidr.rsplit(".", 1)[0] + ".1"


def _ranges(network: Any) -> dict[str, str]:
    """Node -> its range of Pod addresses, as far as the network knows."""
    tracker = getattr(network.fabric, "tracker", None)
    nodes = tracker.nodes.list() if tracker else []
    return {n["metadata"]["name"]: (n.get("spec") or {}).get("podCIDR") or "" for n in nodes}


def links(network: Any) -> list[Link]:
    """The interfaces of a namespace."""
    if network is None:
        return [LOOPBACK]
    if network.pod or not network.node:
        return [LOOPBACK, Link("eth0", f"{network.address}/24", "BROADCAST,MULTICAST,UP,LOWER_UP,M-DOWN", peer="@if7")]
    found = [LOOPBACK, Link("eth0", f"{network.address}/24", mtu=1500, queue="mq")]
    cidr = _ranges(network).get(network.node, "")
    if cidr:
        base = cidr.partition("/")[0]
        found += [Link("flannel.1", f"{base}/32"), Link("cni0", f"{_bridge(cidr)}/24")]
    pods = [n for n in network.fabric.namespaces.values() if n.pod and n.node == network.node]
    found += [Link(f"veth{int(n.address.split('.')[-1]):08x}", peer="@if2") for n in pods]
    return found


def routes(network: Any) -> list[str]:
    """The routing table, as `ip route` prints it."""
    if network is None:
        return []
    gateway = network.address.rsplit(".", 1)[0] + ".1"
    subnet = gateway.rsplit(".", 1)[0] + ".0/24"
    if network.pod or not network.node:
        return [f"default via {gateway} dev eth0 ", f"{subnet} dev eth0 scope link  src {network.address} "]
    found = [
        f"default via {gateway} dev eth0 proto static ",
        f"{subnet} dev eth0 proto kernel scope link src {network.address} ",
    ]
    for node, cidr in sorted(_ranges(network).items()):
        base = cidr.partition("/")[0]
        if cidr and node == network.node:
            found.append(f"{cidr} dev cni0 proto kernel scope link src {_bridge(cidr)} ")
        elif cidr:
            found.append(f"{cidr} via {base} dev flannel.1 onlink ")
    return found


def _change(process: Process) -> int:
    """ip link add ...: done where it is allowed, and seen by nobody; devices are the Pod network's here."""
    config = getattr(getattr(process.machine, "container", None), "config", None)
    if config and not config.net_admin:
        return process.fail("RTNETLINK answers: Operation not permitted", 2)
    return 0


@TOOLS.plain("ip")
def ip(process: Process) -> int | None:
    """ip [-br] address|link|route|neighbour [show] [dev NAME]; ip route get ADDRESS."""
    network = process.machine.network
    words = [w for w in process.argv[1:] if not w.startswith("-")]
    brief = any(w in ("-br", "-brief") for w in process.argv[1:])
    what = words[0] if words else "address"
    only = next((w for w in words[1:] if w not in ("show", "list", "ls", "dev", "get")), "")
    if what and "route".startswith(what):
        if "get" in words and only:
            out = next((r for r in routes(network)[1:] if _inside(only, r.split()[0])), (routes(network) or [""])[0])
            device = out.split("dev ")[-1].split()[0] if out else "lo"
            via = f"via {out.split('via ')[1].split()[0]} " if "via" in out else ""
            process.print(f"{only} {via}dev {device} src {network.address} uid 0 \n    cache ")
            return 0
        process.print(*routes(network))
    elif what and ("address".startswith(what) or "link".startswith(what)):
        if words[1:2] and words[1] in ("add", "del", "delete", "set"):
            return _change(process)
        shown = [(i, link) for i, link in enumerate(links(network), 1) if only in ("", link.name)]
        if not shown:
            return process.fail(f'Device "{only}" does not exist.')
        addresses = "address".startswith(what)
        process.out(
            "".join(
                _brief(link, addresses=addresses) if brief else _full(i, link, addresses=addresses) for i, link in shown
            )
        )
    elif what and "neighbour".startswith(what):
        process.out("")
    else:
        process.err(f'Object "{what}" is unknown, try "ip help".\n')
        return 1
    return None


def _inside(address: str, cidr: str) -> bool:
    base, _, size = cidr.partition("/")
    return bool(size) and address.split(".")[: int(size) // 8] == base.split(".")[: int(size) // 8]


def _brief(link: Link, *, addresses: bool) -> str:
    state = "UNKNOWN" if link.name in ("lo", "flannel.1") else "UP"
    rest = link.address if addresses else f"{link.mac} <{link.kind}>"
    return f"{link.name + link.peer:<16} {state:<14} {rest} \n"


def _full(index: int, link: Link, *, addresses: bool) -> str:
    kind = "loopback" if link.name == "lo" else "ether"
    broadcast = "00:00:00:00:00:00" if link.name == "lo" else "ff:ff:ff:ff:ff:ff"
    text = (
        f"{index}: {link.name}{link.peer}: <{link.kind}> mtu {link.mtu} qdisc {link.queue} qlen 1000\n"
        f"    link/{kind} {link.mac} brd {broadcast}\n"
    )
    if addresses and link.address:
        scope = f"scope {'host' if link.name == 'lo' else 'global'} {link.name}"
        around = f"brd {link.ip.rsplit('.', 1)[0]}.255 " if link.address.endswith("/24") else ""
        text += f"    inet {link.address} {around}{scope}\n       valid_lft forever preferred_lft forever\n"
    return text


@BUSYBOX.plain("ifconfig")
def ifconfig(process: Process) -> None:
    for link in links(process.machine.network):
        if link.address and (len(process.argv) < 2 or process.argv[1] in (link.name, "-a")):
            encap = "Local Loopback" if link.name == "lo" else f"Ethernet  HWaddr {link.mac.upper()}"
            process.out(
                f"{link.name:<10}Link encap:{encap}\n          inet addr:{link.ip}  Mask:255.255.255.0\n"
                f"          UP RUNNING  MTU:{link.mtu}  Metric:1\n\n"
            )


@BUSYBOX.plain("route")
def route(process: Process) -> None:
    process.out(
        "Kernel IP routing table\nDestination     Gateway         Genmask         Flags Metric Ref    Use Iface\n"
    )
    for line in routes(process.machine.network):
        words = line.split()
        gateway = words[words.index("via") + 1] if "via" in words else "0.0.0.0"
        target = "0.0.0.0" if words[0] == "default" else words[0].partition("/")[0]
        mask = "0.0.0.0" if words[0] == "default" else "255.255.255.0"
        device = words[words.index("dev") + 1]
        process.out(
            f"{target:<15} {gateway:<15} {mask:<15} {'UG' if 'via' in words else 'U':<5} 0      0        0 {device}\n"
        )


# --- sockets --------------------------------------------------------------------------------------------------
def _pid(process: Process, listener: Listener) -> int:
    """The number of whoever listens, as this machine sees it."""
    owner = listener.process
    return owner.pid if owner.machine is process.machine else owner.host_pid


def _sockets(process: Process, flags: str) -> list[tuple[str, int, str, int]]:
    """(protocol, port, program, pid) of all that listen, for -t and -u or both."""
    network = process.machine.network
    wanted = [p for p in ("udp", "tcp") if p[0] in flags] or ["udp", "tcp"]
    found = []
    for (protocol, port), listener in network.listeners.items() if network else ():
        program = listener.process.argv[0].rsplit("/", 1)[-1].rstrip(":")
        found += [(protocol, port, program, _pid(process, listener))] if protocol in wanted else []
    return sorted(found, key=lambda each: (each[0] != "udp", each[1]))


@TOOLS("ss", "tulnpa46eHi")
def ss(process: Process, options: Options, _: list[str]) -> None:
    flags = "".join(options)
    several = ("t" in flags) == ("u" in flags)
    users = "p" in flags
    kind = "Netid " if several else ""
    process.print(f"{kind}State  Recv-Q Send-Q Local Address:Port Peer Address:Port{'Process' if users else ''}")
    for protocol, port, program, pid in _sockets(process, flags):
        state, queue = ("UNCONN", 0) if protocol == "udp" else ("LISTEN", 511)
        who = f' users:(("{program}",pid={pid},fd=6))' if users else ""
        name = f"{protocol:<6}" if several else ""
        process.print(f"{name}{state:<6} 0      {queue:<6} {f'0.0.0.0:{port}':>18} {'0.0.0.0:*':>17}{who}")


@TOOLS("netstat", "tulnpar46e")
def netstat(process: Process, options: Options, _: list[str]) -> None:
    users = "p" in options
    process.out(
        "Active Internet connections (only servers)\nProto Recv-Q Send-Q Local Address           "
        f"Foreign Address         State       {'PID/Program name' if users else ''}\n"
    )
    for protocol, port, program, pid in _sockets(process, "".join(options)):
        state = "" if protocol == "udp" else "LISTEN"
        who = f"{pid}/{program}" if users else ""
        process.print(f"{protocol:<6}     0      0 {f'0.0.0.0:{port}':23} {'0.0.0.0:*':23} {state:<11} {who}")
