"""kube-proxy's iptables rules, as a pure function of Services, EndpointSlices and the node they are for.

Stands for pkg/proxy/iptables/proxier.go with serviceport.go, topology.go and endpointslicecache.go. Rules are the
lines that iptables-save prints; packets.py walks those same lines. Promises: for the same objects the real one's
rules, in its order within every chain. Only one order is free upstream, that of the Services in the chains they
share: Go walks a map from a random slot. Here the slot is drawn from the Services' names, so the same Services
always give the same order. Left out: IPv6, --masquerade-all, --nodeport-addresses (all are upstream's defaults).
"""

import base64
import hashlib
import ipaddress
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from k8s_core.api import Object
from k8s_core.limits import LARGE_CLUSTER_ENDPOINTS
from k8s_core.network.tables import LAST, Chains, Tables, base

SERVICE_NAME = "kubernetes.io/service-name"
IGNORED = ("service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless")
"""Objects with one of these labels belong to somebody else."""


@dataclass(frozen=True, slots=True)
class Node:
    """The node that rules are made for."""

    name: str
    address: str
    zone: str = ""


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


@dataclass(slots=True)
class Block:
    """What one ServicePort adds: rules in the chains that all share, and chains of its own."""

    filter: Chains = field(default_factory=dict)
    services: list[str] = field(default_factory=list)
    node_ports: list[str] = field(default_factory=list)
    chains: Chains = field(default_factory=dict)


# --- what objects say -----------------------------------------------------------------------------------------
def _ipv4(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(a for a in addresses if a and a != "None" and ":" not in a)


def service_ports(service: Object) -> list[ServicePort]:
    """The ports that get rules; none for headless Services, ExternalNames and other proxies' Services."""
    meta, spec = service["metadata"], service["spec"]
    address = _ipv4(spec.get("clusterIPs") or [spec.get("clusterIP", "")])
    if not address or spec.get("type") == "ExternalName" or IGNORED[0] in (meta.get("labels") or {}):
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
        if piece.get("addressType") != "IPv4" or IGNORED[1] in (piece["metadata"].get("labels") or {}):
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


def categorize(
    port: ServicePort, every: list[Endpoint], node: Node
) -> tuple[list[Endpoint], list[Endpoint], list[Endpoint], bool]:
    """(for policy Cluster, for policy Local, all that need a chain, whether there are any in the whole cluster)."""
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
    return cluster, local, reachable, anywhere


# --- names ----------------------------------------------------------------------------------------------------
def chain_name(prefix: str, *parts: str) -> str:
    """ "KUBE-SVC-" and the first 16 letters of a hash of what the chain is for."""
    digest = hashlib.sha256("".join(parts).encode()).digest()
    return prefix + base64.b32encode(digest).decode()[:16]


def probability(n: int) -> str:
    """One in n as iptables-save shows it: written with ten digits, kept by the kernel in 31 bits."""
    return f"{round(float(f'{1 / n:.10f}') * (1 << 31)) / (1 << 31):.11f}"


# --- rules ----------------------------------------------------------------------------------------------------
def block(port: ServicePort, every: list[Endpoint], node: Node, cidr: str, *, comments: bool = True) -> Block:
    """The rules of one Service port on one node. `cidr` is where Pods' addresses come from."""
    cluster, local, reachable, anywhere = categorize(port, every, node)
    name, proto, made = port.name, port.protocol, Block()
    svc, svl, ext, fw = (
        chain_name(prefix, name, proto) for prefix in ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-")
    )
    internal = svl if port.internal_local else svc
    has_internal = bool(local) if port.internal_local else anywhere
    has_external = bool(local) if port.external_local else anywhere
    firewall = anywhere and bool(port.balancer_addresses) and bool(port.source_ranges)
    reject, no_local = "REJECT --reject-with icmp-port-unreachable", f"{name} has no local endpoints"
    nowhere = ("DROP", no_local) if anywhere else (reject, f"{name} has no endpoints")

    def to(address: str, comment: str, number: int, jump: str) -> str:
        return f'-d {address}/32 -p {proto} -m comment --comment "{comment}" -m {proto} --dport {number} -j {jump}'

    def drop(chain: str, rule: str) -> None:
        made.filter.setdefault(chain, []).append(rule)

    if has_internal:
        made.services.append(to(port.address, f"{name} cluster IP", port.port, internal))
    else:
        drop("KUBE-SERVICES", to(port.address, nowhere[1], port.port, nowhere[0]))
    for address in port.external_addresses:
        if anywhere:
            made.services.append(to(address, f"{name} external IP", port.port, ext))
        if not has_external:
            drop("KUBE-EXTERNAL-SERVICES", to(address, nowhere[1], port.port, nowhere[0]))
    for address in port.balancer_addresses:
        if anywhere:
            target = fw if firewall else ext
            made.services.append(to(address, f"{name} loadbalancer IP", port.port, target))
        if firewall:
            drop("KUBE-PROXY-FIREWALL", to(address, f"{name} traffic not accepted by {fw}", port.port, "DROP"))
        if not has_external:
            drop("KUBE-EXTERNAL-SERVICES", to(address, nowhere[1], port.port, nowhere[0]))
    if port.node_port:
        head = f'-p {proto} -m comment --comment "{name}" -m {proto} --dport {port.node_port}'
        if anywhere:
            counted = f"-d 127.0.0.0/8 {head} -m nfacct --nfacct-name  localhost_nps_accepted_pkts -j {ext}"
            made.node_ports += [counted, f"{head} -j {ext}"]
        if not has_external:
            rule = f'-p {proto} -m comment --comment "{nowhere[1]}" -m addrtype --dst-type LOCAL -m {proto}'
            drop("KUBE-EXTERNAL-SERVICES", f"{rule} --dport {port.node_port} -j {nowhere[0]}")
    if port.health_check_port:
        rule = f'-p tcp -m comment --comment "{name} health check node port" -m tcp'
        drop("KUBE-NODEPORTS", f"{rule} --dport {port.health_check_port} -j ACCEPT")

    if has_internal:
        marked = to(port.address, f"{name} cluster IP", port.port, "KUBE-MARK-MASQ")
        made.chains[internal] = [f"! -s {cidr} {marked}"]
    if anywhere and port.external:
        made.chains[ext] = rules = []
        local_source = "-m addrtype --src-type LOCAL"
        where = f'{name} external destinations"'
        if port.external_local:
            rules += [
                f'-s {cidr} -m comment --comment "pod traffic for {where} -j {svc}',
                f'-m comment --comment "masquerade LOCAL traffic for {where} {local_source} -j KUBE-MARK-MASQ',
                f'-m comment --comment "route LOCAL traffic for {where} {local_source} -j {svc}',
            ]
        else:
            rules.append(f'-m comment --comment "masquerade traffic for {where} -j KUBE-MARK-MASQ')
        if has_external:
            rules.append(f"-j {svl if port.external_local else svc}")
    if firewall:
        comment = f'-m comment --comment "{name} loadbalancer IP"'
        made.chains[fw] = rules = [f"-s {r} {comment} -j {ext}" for r in port.source_ranges]
        here = ipaddress.ip_address(node.address)
        if any(here in ipaddress.ip_network(r) for r in port.source_ranges):
            rules += [f"-s {a}/32 {comment} -j {ext}" for a in port.balancer_addresses]
        rules.append(f'-m comment --comment "other traffic to {name} will be dropped by KUBE-PROXY-FIREWALL"')
    if cluster:
        made.chains.setdefault(svc, []).extend(_spread(port, cluster, comments))
    if local:
        made.chains.setdefault(svl, []).extend(_spread(port, local, comments))
    comment = f' -m comment --comment "{name}"' if comments else ""
    for endpoint in reachable:
        chain = chain_name("KUBE-SEP-", name, proto, endpoint.text)
        sticky = f" -m recent --set --name {chain} --mask 255.255.255.255 --rsource" if port.affinity_seconds else ""
        made.chains[chain] = [
            f"-s {endpoint.address}/32{comment} -j KUBE-MARK-MASQ",
            f"-p {proto}{comment}{sticky} -m {proto} -j DNAT --to-destination {endpoint.text}",
        ]
    return made


def _spread(port: ServicePort, chosen: list[Endpoint], comments: bool) -> list[str]:
    """Where a client has been before, then one in n, one in n - 1 ... of the endpoints."""
    seen, spread = [], []
    for index, endpoint in enumerate(chosen):
        chain = chain_name("KUBE-SEP-", port.name, port.protocol, endpoint.text)
        comment = f'-m comment --comment "{port.name} -> {endpoint.text}" ' if comments else ""
        if port.affinity_seconds:
            recent = f"--rcheck --seconds {port.affinity_seconds} --reap --name {chain}"
            seen.append(f"{comment}-m recent {recent} --mask 255.255.255.255 --rsource -j {chain}")
        left = len(chosen) - index
        odds = f"-m statistic --mode random --probability {probability(left)} " if left > 1 else ""
        spread.append(f"{comment}{odds}-j {chain}")
    return seen + spread


def order(names: list[str]) -> list[str]:
    """Service ports in the order in which they come in the chains they share; `names` are sorted already."""
    start = zlib.crc32("".join(names).encode()) % len(names) if names else 0
    return names[start:] + names[:start]


def tables(blocks: Mapping[str, Block]) -> Tables:
    """The whole rule set out of the blocks, by service port, in order of their names."""
    made: Tables = {table: {chain: list(rules) for chain, rules in chains.items()} for table, chains in base().items()}
    for name in order(list(blocks)):
        one = blocks[name]
        for chain, rules in one.filter.items():
            made["filter"][chain].extend(rules)
        made["nat"]["KUBE-SERVICES"].extend(one.services)
        made["nat"]["KUBE-NODEPORTS"].extend(one.node_ports)
        made["nat"].update(one.chains)
    made["nat"]["KUBE-SERVICES"].append(LAST)
    return made


def ruleset(services: Iterable[Object], slices: Iterable[Object], node: Node, cidr: str) -> Tables:
    """kube-proxy's rules for these objects; tables.save makes the text of iptables-save."""
    by_service: dict[tuple[str, str], list[Object]] = {}
    for piece in slices:
        meta = piece["metadata"]
        owner = (meta.get("labels") or {}).get(SERVICE_NAME, "")
        by_service.setdefault((meta["namespace"], owner), []).append(piece)
    work: list[tuple[str, ServicePort, list[Endpoint]]] = []
    for service in sorted(services, key=lambda s: (s["metadata"]["namespace"], s["metadata"]["name"])):
        meta = service["metadata"]
        known = endpoints(by_service.get((meta["namespace"], meta["name"]), ()))
        for port in service_ports(service):
            name = port.name.partition(":")[2]
            work.append((port.name, port, known.get((name, port.protocol), [])))
    comments = sum(len(e) for _, _, e in work) <= LARGE_CLUSTER_ENDPOINTS
    return tables({key: block(port, every, node, cidr, comments=comments) for key, port, every in work})
