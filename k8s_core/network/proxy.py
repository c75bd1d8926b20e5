"""kube-proxy's iptables rules, as a pure function of Services, EndpointSlices and the node they are for.

Stands for pkg/proxy/iptables/proxier.go. Rules are the lines that iptables-save prints; packets.py walks those same
lines. Promises: for the same objects the real one's
rules, in its order within every chain. Only one order is free upstream, that of the Services in the chains they
share: Go walks a map from a random slot. Here the slot is drawn from the Services' names, so the same Services
always give the same order. Left out: IPv6.
"""

import base64
import hashlib
import ipaddress
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from k8s_core.api import Object
from k8s_core.limits import LARGE_CLUSTER_ENDPOINTS
from k8s_core.network.proxy_config import Config
from k8s_core.network.serviceports import Endpoint, Node, ServicePort, by_service_port, categorize
from k8s_core.network.tables import LAST, Chains, Tables, base


@dataclass(slots=True)
class Block:
    """What one ServicePort adds: rules in the chains that all share, and chains of its own."""

    filter: Chains = field(default_factory=dict)
    services: list[str] = field(default_factory=list)
    node_ports: list[str] = field(default_factory=list)
    chains: Chains = field(default_factory=dict)


# --- names ----------------------------------------------------------------------------------------------------
def chain_name(prefix: str, *parts: str) -> str:
    """ "KUBE-SVC-" and the first 16 letters of a hash of what the chain is for."""
    digest = hashlib.sha256("".join(parts).encode()).digest()
    return prefix + base64.b32encode(digest[:10]).decode()


def probability(n: int) -> str:
    """One in n as iptables-save shows it: written with ten digits, kept by the kernel in 31 bits."""
    return f"{round(float(f'{1 / n:.10f}') * (1 << 31)) / (1 << 31):.11f}"


# --- rules ----------------------------------------------------------------------------------------------------
def block(port: ServicePort, every: list[Endpoint], node: Node, config: Config, *, comments: bool = True) -> Block:
    """The rules of one Service port on one node."""
    cluster, local, reachable, anywhere, has_internal, has_external = categorize(port, every, node)
    name, proto, made = port.name, port.protocol, Block()
    cidr, interface = config.local_cidr(node), config.local_interface
    local_traffic = f"-s {cidr} " if cidr else f"-i {interface} " if interface else ""
    svc, svl, ext, fw = (
        chain_name(prefix, name, proto) for prefix in ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-")
    )
    internal = svl if port.internal_local else svc
    firewall = anywhere and bool(port.balancer_addresses) and bool(port.source_ranges)
    reject, no_local = "REJECT --reject-with icmp-port-unreachable", f"{name} has no local endpoints"
    nowhere = ("DROP", no_local) if anywhere else (reject, f"{name} has no endpoints")

    def to(address: str, comment: str, number: int, jump: str, *, strangers: bool = False) -> str:
        source = f"! -s {cidr} " if strangers and cidr else ""
        coming_in = f"! -i {interface} " if strangers and interface else ""
        where = f'{coming_in}-p {proto} -m comment --comment "{comment}" -m {proto} --dport {number}'
        return f"{source}-d {address}/32 {where} -j {jump}"

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
            made.node_ports += [counted] if config.takes_localhost else []
            made.node_ports.append(f"{head} -j {ext}")
        if not has_external:
            rule = f'-p {proto} -m comment --comment "{nowhere[1]}" -m addrtype --dst-type LOCAL -m {proto}'
            drop("KUBE-EXTERNAL-SERVICES", f"{rule} --dport {port.node_port} -j {nowhere[0]}")
    if port.health_check_port:
        rule = f'-p tcp -m comment --comment "{name} health check node port" -m tcp'
        drop("KUBE-NODEPORTS", f"{rule} --dport {port.health_check_port} -j ACCEPT")

    if has_internal:
        strangers = not config.masquerade_all
        marked = to(port.address, f"{name} cluster IP", port.port, "KUBE-MARK-MASQ", strangers=strangers)
        made.chains[internal] = [marked] if config.masquerade_all or local_traffic else []
    if anywhere and port.external:
        made.chains[ext] = rules = []
        local_source = "-m addrtype --src-type LOCAL"
        where = f'{name} external destinations"'
        if port.external_local:
            pods = f'{local_traffic}-m comment --comment "pod traffic for {where} -j {svc}'
            rules += [pods] if local_traffic else []
            rules += [
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


def tables(blocks: Mapping[str, Block], node: Node, config: Config) -> Tables:
    """The whole rule set out of the blocks, by service port, in order of their names."""
    common = base(config.masquerade_bit, tcp_liberal=config.tcp_liberal)
    made: Tables = {table: {chain: list(rules) for chain, rules in chains.items()} for table, chains in common.items()}
    for name in order(list(blocks)):
        one = blocks[name]
        for chain, rules in one.filter.items():
            made["filter"][chain].extend(rules)
        made["nat"]["KUBE-SERVICES"].extend(one.services)
        made["nat"]["KUBE-NODEPORTS"].extend(one.node_ports)
        made["nat"].update(one.chains)
    last = [f"-d {address}/32 {LAST} -j KUBE-NODEPORTS" for address in config.node_ports_on(node)]
    if config.matches_all:
        everywhere = f"{LAST} -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"
        last = [everywhere if config.takes_localhost else f"! -d 127.0.0.0/8 {everywhere}"]
    made["nat"]["KUBE-SERVICES"] += last
    return made


def ruleset(services: Iterable[Object], slices: Iterable[Object], node: Node, config: Config | None = None) -> Tables:
    """kube-proxy's rules for these objects; tables.save makes the text of iptables-save."""
    config = config or Config()
    work = by_service_port(services, slices)
    comments = sum(len(every) for _, every in work) <= LARGE_CLUSTER_ENDPOINTS
    blocks = {port.name: block(port, every, node, config, comments=comments) for port, every in work}
    return tables(blocks, node, config)
