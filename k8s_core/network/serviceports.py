"""What a proxy needs to know of Services and EndpointSlices, whatever its mode: ports with their endpoints.

Stands for pkg/proxy: serviceport.go, endpointslicecache.go and topology.go. iptables (proxy.py), nftables and IPVS
rules are all made of this. Left out: IPv6.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from k8s_core.api import Object

SERVICE_NAME = "kubernetes.io/service-name"
IGNORED = ("service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless")
"""Objects with one of these labels belong to somebody else."""


@dataclass(frozen=True, slots=True)
class Node:
    """The node that rules are made for; `bridge` is its address in its own range of Pod addresses."""

    name: str
    address: str
    zone: str = ""
    pod_cidr: str = ""
    bridge: str = ""


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of one Service, as far as rules need it."""

    name: str  # namespace/service:port
    protocol: str  # tcp, udp, sctp
    address: str
    port: int
    node_port: int = 0
    external_addresses: tuple[str, ...] = ()
    balancer_addresses: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity_seconds: int = 0
    internal_local: bool = False
    external_local: bool = False
    health_check_port: int = 0

    @property
    def external(self) -> bool:
        return bool(self.node_port or self.balancer_addresses or self.external_addresses)

    @property
    def uses_cluster(self) -> bool:
        """Also with a Local policy, Pods and the node itself reach every endpoint under an external address."""
        return not self.internal_local or self.external

    @property
    def uses_local(self) -> bool:
        return self.internal_local or (self.external_local and self.external)


@dataclass(frozen=True, slots=True)
class Endpoint:
    text: str  # address:port
    node: str = ""
    ready: bool = True
    falling_back: bool = False  # serving though terminating: used when nothing is ready
    zones: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()

    @property
    def address(self) -> str:
        return self.text.rpartition(":")[0]


def _foreign(obj: Object) -> bool:
    labels = obj["metadata"].get("labels") or {}
    return any(label in labels for label in IGNORED)


def _ipv4(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(a for a in addresses if a and a != "None" and ":" not in a)


def service_ports(service: Object) -> list[ServicePort]:
    """The ports that get rules; none for headless Services, ExternalNames and other proxies' Services."""
    meta, spec = service["metadata"], service["spec"]
    address = _ipv4(spec.get("clusterIPs") or [spec.get("clusterIP", "")])
    if not address or spec.get("type") == "ExternalName" or _foreign(service):
        return []
    kind = spec.get("type", "ClusterIP")
    external = _ipv4(spec.get("externalIPs") or ())
    reachable = kind in ("NodePort", "LoadBalancer") or bool(spec.get("externalIPs"))
    external_local = reachable and spec.get("externalTrafficPolicy") == "Local"
    affinity = 0
    if spec.get("sessionAffinity") == "ClientIP":
        config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        affinity = config.get("timeoutSeconds", 10800)
    ranges = [ipaddress.ip_network(r.strip(), strict=False) for r in spec.get("loadBalancerSourceRanges") or ()]
    ranges = [r for r in ranges if r.version == 4]
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [
        ServicePort(
            name=f"{meta['namespace']}/{meta['name']}" + (f":{port['name']}" if port.get("name") else ""),
            protocol=port.get("protocol", "TCP").lower(),
            address=address[0],
            port=port["port"],
            node_port=port.get("nodePort", 0),
            external_addresses=external,
            balancer_addresses=_ipv4(i.get("ip", "") for i in ingress if i.get("ipMode", "VIP") == "VIP"),
            source_ranges=() if any(r.prefixlen == 0 for r in ranges) else tuple(map(str, ranges)),
            affinity_seconds=affinity,
            internal_local=spec.get("internalTrafficPolicy") == "Local",
            external_local=external_local,
            health_check_port=spec.get("healthCheckNodePort", 0) if kind == "LoadBalancer" and external_local else 0,
        )
        for port in spec.get("ports") or ()
    ]


def endpoints(slices: Iterable[Object]) -> dict[tuple[str, str], list[Endpoint]]:
    """(port name, protocol) -> endpoints in the order of their text, out of a Service's slices."""
    found: dict[tuple[str, str], dict[str, Endpoint]] = {}
    for piece in slices:
        if piece.get("addressType") != "IPv4" or _foreign(piece):
            continue
        for port in piece.get("ports") or ():
            if not port.get("port"):
                continue
            known = found.setdefault((port.get("name") or "", (port.get("protocol") or "TCP").lower()), {})
            for each in piece.get("endpoints") or ():
                if not each.get("addresses"):
                    continue
                conditions, hints = each.get("conditions") or {}, each.get("hints") or {}
                ending = bool(conditions.get("terminating"))
                endpoint = Endpoint(
                    text=f"{each['addresses'][0]}:{port['port']}",
                    node=each.get("nodeName") or "",
                    ready=conditions.get("ready") is not False,
                    falling_back=ending and conditions.get("serving") is not False,
                    zones=frozenset(z["name"] for z in hints.get("forZones") or ()),
                    nodes=frozenset(n["name"] for n in hints.get("forNodes") or ()),
                )
                if endpoint.text not in known or not ending:
                    known[endpoint.text] = endpoint
    return {key: [known[text] for text in sorted(known)] for key, known in found.items()}


class Reach(NamedTuple):
    """Which endpoints a node uses for a Service port: for policy Cluster, for policy Local, and both together.

    `anywhere` says whether the whole cluster has any, `internal` and `external` whether such traffic has any here.
    """

    cluster: list[Endpoint]
    local: list[Endpoint]
    reachable: list[Endpoint]
    anywhere: bool
    internal: bool
    external: bool


def categorize(port: ServicePort, every: list[Endpoint], node: Node) -> Reach:
    cluster: list[Endpoint] = []
    local: list[Endpoint] = []
    ready = [e for e in every if e.ready]
    hinted = ready
    if port.uses_cluster:
        if ready and all(e.nodes for e in ready) and any(node.name in e.nodes for e in ready):
            hinted = [e for e in ready if node.name in e.nodes]
        elif ready and all(e.zones for e in ready) and any(node.zone in e.zones for e in ready):
            hinted = [e for e in ready if node.zone in e.zones]
        cluster = hinted or [e for e in every if e.falling_back]
    if port.uses_local:
        here = [e for e in every if e.node == node.name]
        local = [e for e in here if e.ready] or [e for e in here if e.falling_back]
    reachable = sorted({e.text: e for e in [*cluster, *local]}.values(), key=lambda e: e.text)
    anywhere = bool(cluster) or (port.uses_local and any(e.ready or e.falling_back for e in every))
    internal, external = (
        bool(local) if only_local else anywhere for only_local in (port.internal_local, port.external_local)
    )
    return Reach(cluster, local, reachable, anywhere, internal, external)


def by_service_port(services: Iterable[Object], slices: Iterable[Object]) -> list[tuple[ServicePort, list[Endpoint]]]:
    """Every port that gets rules with its endpoints, in order of the Services' names."""
    owned: dict[tuple[str, str], list[Object]] = {}
    for piece in slices:
        meta = piece["metadata"]
        owner = (meta.get("labels") or {}).get(SERVICE_NAME, "")
        owned.setdefault((meta["namespace"], owner), []).append(piece)
    found = []
    for service in sorted(services, key=lambda s: (s["metadata"]["namespace"], s["metadata"]["name"])):
        meta = service["metadata"]
        known = endpoints(owned.get((meta["namespace"], meta["name"]), ()))
        found += [
            (port, known.get((port.name.partition(":")[2], port.protocol), [])) for port in service_ports(service)
        ]
    return found
