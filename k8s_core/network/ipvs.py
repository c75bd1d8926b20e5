"""The virtual servers that kube-proxy makes of Services in IPVS mode: what `ipvsadm -Ln` shows, and packets pass.

Stands for pkg/proxy/ipvs/proxier.go and the kernel's ip_vs. Every address of a Service, and every node port on each
address of the node, is a virtual server of its own; the kernel finds one by a hash and deals connections round robin.
(Upstream calls this mode deprecated and advises nftables.) Left out: the iptables rules and ipsets beside it. What they
decide, who is masqueraded or dropped, is decided here.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8s_core.api import Object
from k8s_core.network.proxy_config import Config
from k8s_core.network.rules import network, number
from k8s_core.network.serviceports import Endpoint, Node, ServicePort, by_service_port, categorize

if TYPE_CHECKING:
    from k8s_core.network.packets import Host, Packet, Step

SCHEDULER = "rr"  # --ipvs-scheduler
HEAD = (
    "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n"
    "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
)
Key = tuple[str, str, int]
"""Protocol, address, port."""


@dataclass(frozen=True, slots=True)
class Server:
    """A virtual server, for which of a Service's addresses (`kind`), and its real servers."""

    port: ServicePort
    kind: str  # cluster, external, balancer or node
    real: tuple[str, ...]

    @property
    def flags(self) -> str:
        return f"{SCHEDULER} persistent {self.port.affinity_seconds}" if self.port.affinity_seconds else SCHEDULER


def servers(
    services: Iterable[Object], slices: Iterable[Object], node: Node, config: Config | None = None
) -> dict[Key, Server]:
    """The virtual servers for these objects."""
    return assemble(by_service_port(services, slices), node, config or Config(mode="ipvs"))


def assemble(known: Iterable[tuple[ServicePort, list[Endpoint]]], node: Node, config: Config) -> dict[Key, Server]:
    """The virtual servers for what kube-proxy knows."""
    found: dict[Key, Server] = {}
    for port, every in known:
        cluster, local, _, anywhere, *_ = categorize(port, every, node)
        # without a Pod here Pods of this node still reach a Local Service under its external addresses
        beyond = local if port.internal_local and anywhere else cluster
        outside = (local or beyond) if port.external_local else cluster
        addresses = [(port.address, port.port, "cluster", local if port.internal_local else cluster)]
        addresses += [(a, port.port, "external", outside) for a in port.external_addresses]
        addresses += [(a, port.port, "balancer", outside) for a in port.balancer_addresses]
        addresses += [(a, port.node_port, "node", outside) for a in _node_addresses(node, config) if port.node_port]
        for address, number_, kind, chosen in addresses:
            found[port.protocol, address, number_] = Server(port, kind, tuple(e.text for e in chosen))
    return found


def _node_addresses(node: Node, config: Config) -> list[str]:
    """All of the node's but the loopback's, whose packets IPVS cannot forward."""
    named = config.node_ports_on(node)
    return [a for a in (named or [node.address, node.bridge]) if a and not a.startswith("127.")]


def listing(found: dict[Key, Server], *, only: str = "") -> str:
    """The text of `ipvsadm -Ln`, in order of addresses; `only` one address's servers."""
    text = HEAD
    for (protocol, address, port), server in sorted(found.items(), key=lambda item: item[0]):
        if only and address != only:
            continue
        text += f"{protocol.upper():<4} {address}:{port} {server.flags}\n"
        text += "".join(f"  -> {each:<28} Masq    1      0          0         \n" for each in server.real)
    return text


class Balancer:
    """The virtual servers as packets meet them; `before` is what they remember of the time before a sync."""

    def __init__(self, found: dict[Key, Server], node: Node, config: Config, before: "Balancer | None" = None) -> None:
        self.servers, self.config, self.cidr = found, config, config.local_cidr(node)
        self.mark = 1 << config.masquerade_bit
        self.addresses = {address for (_, address, _), server in found.items() if server.kind != "node"}
        """What the interface kube-ipvs0 has."""
        self.turn: dict[Key, int] = before.turn if before else {}
        self.stuck: dict[tuple[Key, str], tuple[str, float]] = before.stuck if before else {}
        """Virtual server and client -> real server, until when."""

    def pass_hook(self, hook: str, table: str, packet: "Packet", host: "Host", steps: "list[Step]") -> str:
        """Gives DROP, REJECT, DNAT, MASQUERADE, or "" where nothing was decided."""
        if (hook, table) == ("POSTROUTING", "nat"):
            home = packet.translated and packet.source == packet.destination
            return "MASQUERADE" if packet.mark & self.mark or home else ""
        if (hook, table) not in (("PREROUTING", "nat"), ("OUTPUT", "nat")):
            return ""
        key = (packet.protocol, packet.destination, packet.destination_port)
        server = self.servers.get(key)
        shown = f"{key[0].upper()} {key[1]}:{key[2]}"
        if server is None:
            if packet.destination not in self.addresses or packet.protocol == "icmp":
                return ""
            why, verdict = f"{shown} (no virtual server on this port)", "REJECT"
        elif server.kind == "balancer" and not self._allowed(server.port, packet.source):
            why, verdict = f"{shown} (not from {', '.join(server.port.source_ranges)})", "DROP"
        elif not server.real:
            why, verdict = f"{shown} {server.flags} (no real server)", "REJECT"
        else:
            if self._masquerades(server, packet, host):
                packet.mark |= self.mark
            chosen = self._choose(key, server, packet.source, host.now())
            address, _, port = chosen.rpartition(":")
            packet.destination, packet.destination_port, packet.translated = address, int(port), True
            why, verdict = f"{shown} {server.flags} -> {chosen}", "DNAT"
        steps.append((host.name, hook, "ipvs", why, verdict, str(packet)))
        return verdict

    def _choose(self, key: Key, server: Server, client: str, now: float) -> str:
        chosen, until = self.stuck.get((key, client), ("", 0.0))
        if chosen not in server.real or until < now:
            turn = self.turn[key] = self.turn.get(key, -1) + 1
            chosen = server.real[turn % len(server.real)]
        if server.port.affinity_seconds:
            self.stuck[key, client] = (chosen, now + server.port.affinity_seconds)
        return chosen

    def _allowed(self, port: ServicePort, source: str) -> bool:
        ranges = [ipaddress.IPv4Network(each) for each in port.source_ranges]
        return not ranges or any(ipaddress.IPv4Address(source) in each for each in ranges)

    def _masquerades(self, server: Server, packet: "Packet", host: "Host") -> bool:
        if server.kind != "cluster":
            return not server.port.external_local
        if self.config.masquerade_all:
            return True
        if self.config.local_interface:
            return not host.interface(packet.source).startswith(self.config.local_interface.rstrip("+"))
        base, mask = network(self.cidr or "0.0.0.0/0")
        return number(packet.source) & mask != base
