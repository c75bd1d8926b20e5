"""The virtual servers that kube-proxy would make of the same Services in IPVS mode: what `ipvsadm -Ln` shows.

Stands for pkg/proxy/ipvs/proxier.go. A view to compare with iptables: simulated packets do not pass it. Every address
of a Service, and every node port on each address of the node, is a virtual server of its own; the kernel finds one by
a hash and deals connections round robin. (Upstream calls this mode deprecated and advises nftables.)
"""

from collections.abc import Iterable

from k8s_core.api import Object
from k8s_core.network.proxy_config import Config
from k8s_core.network.serviceports import Endpoint, Node, ServicePort, by_service_port, categorize

SCHEDULER = "rr"  # --ipvs-scheduler
HEAD = (
    "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n"
    "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
)
Server = tuple[str, str, int]
"""Protocol, address, port."""


def servers(
    services: Iterable[Object], slices: Iterable[Object], node: Node, config: Config | None = None
) -> dict[Server, tuple[int, list[str]]]:
    """Virtual server -> (seconds that a client stays, real servers)."""
    config = config or Config(mode="ipvs")
    found: dict[Server, tuple[int, list[str]]] = {}
    for port, every in by_service_port(services, slices):
        cluster, local, _, _ = categorize(port, every, node)
        inside = local if port.internal_local else cluster
        outside = local if port.external_local else cluster
        found[port.protocol, port.address, port.port] = _real(port, inside)
        for address in (*port.external_addresses, *port.balancer_addresses):
            found[port.protocol, address, port.port] = _real(port, outside)
        for address in _node_addresses(node, config) if port.node_port else ():
            found[port.protocol, address, port.node_port] = _real(port, outside)
    return found


def _real(port: ServicePort, chosen: list[Endpoint]) -> tuple[int, list[str]]:
    return port.affinity_seconds, [endpoint.text for endpoint in chosen]


def _node_addresses(node: Node, config: Config) -> list[str]:
    """All of the node's but the loopback's, whose packets IPVS cannot forward."""
    named = config.node_ports_on(node)
    return [a for a in (named or [node.address, node.bridge]) if a and not a.startswith("127.")]


def listing(found: dict[Server, tuple[int, list[str]]], *, only: str = "") -> str:
    """The text of `ipvsadm -Ln`, in order of addresses; `only` one address's servers."""
    text = HEAD
    for (protocol, address, port), (seconds, real) in sorted(found.items(), key=lambda item: item[0]):
        if only and address != only:
            continue
        flags = f" persistent {seconds}" if seconds else ""
        text += f"{protocol.upper():<4} {address}:{port} {SCHEDULER}{flags}\n"
        text += "".join(f"  -> {each:<28} Masq    1      0          0         \n" for each in real)
    return text
