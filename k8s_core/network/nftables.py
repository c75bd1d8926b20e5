"""The nftables rules that kube-proxy would make of the same Services: what `nft list table ip kube-proxy` shows.

Stands for pkg/proxy/nftables/proxier.go. Packets walk it where kube-proxy runs in this mode (nftables_walk.py). One
look into a map finds a Service's chain, however many Services there are; one number chooses among all endpoints.
Promises: chains, rules and elements by upstream's names, in its order within every chain; elements, which the kernel
keeps in hash order, in order of their keys.
"""

import base64
import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from k8s_core.api import Object
from k8s_core.limits import SERVICE_CIDR
from k8s_core.network.proxy_config import Config
from k8s_core.network.serviceports import Endpoint, Node, ServicePort, by_service_port, categorize

PER_SERVICE = ("service-ips", "service-nodeports", "no-endpoint-services", "no-endpoint-nodeports", "firewall-ips")
_KEY, _PORT = "ipv4_addr . inet_proto . inet_service", "inet_proto . inet_service"
_HEADS = {
    "cluster-ips": ("ipv4_addr", "Active ClusterIPs"),
    "nodeport-ips": ("ipv4_addr", "IPs that accept NodePort traffic"),
    "no-endpoint-services": (f"{_KEY} : verdict", "vmap to drop or reject packets to services with no endpoints"),
    "no-endpoint-nodeports": (
        f"{_PORT} : verdict",
        "vmap to drop or reject packets to service nodeports with no endpoints",
    ),
    "firewall-ips": (f"{_KEY} : verdict", "destinations that are subject to LoadBalancerSourceRanges"),
    "service-ips": (f"{_KEY} : verdict", "ClusterIP, ExternalIP and LoadBalancer IP traffic"),
    "service-nodeports": (f"{_PORT} : verdict", "NodePort traffic"),
}
_HOOKS = {  # priorities -110, 0, -100 and 100, in nft's words
    "filter-prerouting-pre-dnat": "filter hook prerouting priority dstnat - 10",
    "filter-output-pre-dnat": "filter hook output priority -110",
    "filter-forward": "filter hook forward priority filter",
    "filter-input": "filter hook input priority filter",
    "filter-output": "filter hook output priority filter",
    "nat-output": "nat hook output priority -100",
    "nat-postrouting": "nat hook postrouting priority srcnat",
    "nat-prerouting": "nat hook prerouting priority dstnat",
}
_CHECK = "ip daddr . meta l4proto . th dport vmap @"


@dataclass
class Table:
    """`chains`: name -> rules; `sets`: name -> elements, each a key or "key : verdict"; `affinity`: set -> seconds."""

    chains: dict[str, list[str]] = field(default_factory=dict)
    sets: dict[str, list[str]] = field(default_factory=dict)
    affinity: dict[str, int] = field(default_factory=dict)

    def text(self) -> str:
        """As nft lists it, and as `nft -f` reads it."""
        lines = ["table ip kube-proxy {", '\tcomment "rules for kube-proxy"', ""]
        for name, (kind, comment) in _HEADS.items():
            lines += [f"\t{'map' if ':' in kind else 'set'} {name} {{", f"\t\ttype {kind}", f'\t\tcomment "{comment}"']
            if elements := self.sets[name]:
                joined = ",\n\t\t\t     ".join(sorted(elements))
                lines.append(f"\t\telements = {{ {joined} }}")
            lines += ["\t}", ""]
        for name, seconds in self.affinity.items():
            lines += [f"\tset {name} {{", "\t\ttype ipv4_addr", "\t\tsize 65535", "\t\tflags dynamic,timeout"]
            lines += [f"\t\ttimeout {_duration(seconds)}", "\t}", ""]
        for name, rules in self.chains.items():
            lines.append(f"\tchain {name} {{")
            if name == "reject-chain":
                lines.append('\t\tcomment "helper for @no-endpoint-services / @no-endpoint-nodeports"')
            if name in _HOOKS:
                lines.append(f"\t\ttype {_HOOKS[name]}; policy accept;")
            lines += [f"\t\t{rule}" for rule in rules]
            lines += ["\t}", ""]
        return "\n".join(lines[:-1]) + "\n}\n"


def _duration(seconds: int) -> str:
    """As nft writes it: 3h, 1h30m, 1d."""
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        parts.append(f"{count}{unit}" if count else "")
    return "".join(parts)


def name_of(port: ServicePort, endpoint: Endpoint | None = None) -> str:
    """HASH-namespace/name/protocol/port, and the endpoint's own: what chains of a Service port are called."""
    service, _, port_name = port.name.partition(":")
    base = f"{service}/{port.protocol}/{port_name}"
    if endpoint:
        base += "__" + "/".join(endpoint.text.rsplit(":", 1))
    return f"{base64.b32encode(hashlib.sha256(base.encode()).digest()).decode()[:8]}-{base}"


def table(
    services: Iterable[Object],
    slices: Iterable[Object],
    node: Node,
    config: Config | None = None,
    service_cidrs: Iterable[str] = (SERVICE_CIDR,),
) -> Table:
    """kube-proxy's table for these objects."""
    return assemble(by_service_port(services, slices), node, config or Config(mode="nftables"), service_cidrs)


def assemble(
    known: Iterable[tuple[ServicePort, list[Endpoint]]], node: Node, config: Config, service_cidrs: Iterable[str]
) -> Table:
    """kube-proxy's table for what it knows."""
    made = Table(_base(config, list(service_cidrs)), {name: [] for name in _HEADS})
    made.sets["nodeport-ips"] = config.node_ports_on(node) or [node.address]  # not 127.0.0.1, unlike iptables
    for port, every in known:
        _add(made, port, every, node, config)
    return made


def _base(config: Config, service_cidrs: list[str]) -> dict[str, list[str]]:
    mark = f"0x{1 << config.masquerade_bit:08x}"
    unallocated = service_cidrs[0] if len(service_cidrs) == 1 else f"{{ {', '.join(service_cidrs)} }}"
    new = "ct state new jump"
    rules: dict[str, list[str]] = {
        "cluster-ips-check": [
            'ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"',
            f'ip daddr {unallocated} drop comment "Drop traffic to unallocated ClusterIPs"',
        ],
        "filter-prerouting-pre-dnat": [f"{new} firewall-check"],
        "filter-output-pre-dnat": [f"{new} firewall-check"],
        "filter-forward": [f"{new} service-endpoints-check", f"{new} cluster-ips-check"],
        "filter-input": [f"{new} nodeport-endpoints-check", f"{new} service-endpoints-check"],
        "filter-output": [f"{new} service-endpoints-check", f"{new} cluster-ips-check"],
        "firewall-check": [f"{_CHECK}firewall-ips"],
        "mark-for-masquerade": [f"meta mark set meta mark | {mark}"],
        "masquerading": [
            f"meta mark & {mark} == 0x00000000 return",
            f"meta mark set meta mark ^ {mark}",
            "masquerade fully-random",
        ],
        "nat-output": ["jump services"],
        "nat-postrouting": ["jump masquerading"],
        "nat-prerouting": ["jump services"],
        "nodeport-endpoints-check": [
            "ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports",
        ],
        "reject-chain": ["reject"],
        "services": [
            f"{_CHECK}service-ips",
            "ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports",
        ],
        "service-endpoints-check": [f"{_CHECK}no-endpoint-services"],
    }
    return rules


def _add(made: Table, port: ServicePort, every: list[Endpoint], node: Node, config: Config) -> None:
    cluster, local, reachable, anywhere, has_internal, has_external = categorize(port, every, node)
    name, proto = name_of(port), port.protocol
    cidr, interface = config.local_cidr(node), config.local_interface.replace("+", "*")
    own, strange = (
        (f"ip saddr {cidr}", f"ip saddr != {cidr}")
        if cidr
        else (f'iifname "{interface}"', f'iifname != "{interface}"')
        if interface
        else ("", "")
    )
    service, external, firewall = f"service-{name}", f"external-{name}", f"firewall-{name}"
    local_chain = f"local-{name}"
    internal = local_chain if port.internal_local else service
    refused = f'comment "{port.name}" : {"drop" if anywhere else "goto reject-chain"}'
    outside = [*port.external_addresses, *port.balancer_addresses]

    if port.address not in made.sets["cluster-ips"]:
        made.sets["cluster-ips"].append(port.address)
    if has_internal:
        made.sets["service-ips"].append(f"{port.address} . {proto} . {port.port} : goto {internal}")
    else:
        made.sets["no-endpoint-services"].append(f"{port.address} . {proto} . {port.port} {refused}")
    for address in outside:
        if anywhere:
            made.sets["service-ips"].append(f"{address} . {proto} . {port.port} : goto {external}")
        if not has_external:
            made.sets["no-endpoint-services"].append(f"{address} . {proto} . {port.port} {refused}")
    if anywhere and port.balancer_addresses and port.source_ranges:
        for address in port.balancer_addresses:
            made.sets["firewall-ips"].append(
                f'{address} . {proto} . {port.port} comment "{port.name}" : goto {firewall}'
            )
        ranges = sorted((r.removesuffix("/32") for r in port.source_ranges), key=ipaddress.IPv4Network)
        allowed = ranges[0] if len(ranges) == 1 else f"{{ {', '.join(ranges)} }}"
        made.chains[firewall] = [f"ip saddr != {allowed} drop"]
    if port.node_port:
        if anywhere:
            made.sets["service-nodeports"].append(f"{proto} . {port.node_port} : goto {external}")
        if not has_external:
            made.sets["no-endpoint-nodeports"].append(f"{proto} . {port.node_port} {refused}")

    if has_internal:
        stranger = "" if config.masquerade_all else f" {strange}"
        marked = f"ip daddr {port.address}{stranger} jump mark-for-masquerade"
        made.chains[internal] = [marked] if own or config.masquerade_all else []
    if anywhere and port.external:
        made.chains[external] = rules = []
        if port.external_local:
            rules += [f'{own} goto {service} comment "short-circuit pod traffic"'] if own else []
            rules += [
                'fib saddr type local jump mark-for-masquerade comment "masquerade local traffic"',
                f'fib saddr type local goto {service} comment "short-circuit local traffic"',
            ]
        else:
            rules.append("jump mark-for-masquerade")
        if has_external:
            rules.append(f"goto {local_chain if port.external_local else service}")
    for chain, chosen in ((service, cluster), (local_chain, local)):
        if chosen:
            made.chains.setdefault(chain, []).extend(_choice(port, chosen))
    for endpoint in reachable:
        own = name_of(port, endpoint)
        made.chains[f"endpoint-{own}"] = rules = [f"ip saddr {endpoint.address} jump mark-for-masquerade"]
        if port.affinity_seconds:
            made.affinity[f"affinity-{own}"] = port.affinity_seconds
            rules.append(f"update @affinity-{own} {{ ip saddr }}")
        rules.append(f"meta l4proto {proto} dnat to {endpoint.text}")


def _choice(port: ServicePort, chosen: list[Endpoint]) -> list[str]:
    names = [name_of(port, endpoint) for endpoint in chosen]
    sticky = [f"ip saddr @affinity-{n} goto endpoint-{n}" for n in names] if port.affinity_seconds else []
    places = ", ".join(f"{i} : goto endpoint-{n}" for i, n in enumerate(names))
    return [*sticky, f"numgen random mod {len(names)} vmap {{ {places} }}"]


def concerning(made: Table, service: str) -> Mapping[str, list[str]]:
    """What of a table is one Service's ("namespace/name"): its chains, and its elements by the name of their map."""
    part = f"-{service}/"
    found = {chain: rules for chain, rules in made.chains.items() if part in f"{chain}/"}
    for name in PER_SERVICE:
        mine = [e for e in made.sets[name] if part in f"{e}/" or f'"{service}' in e]
        if mine:
            found[f"@{name}"] = sorted(mine)
    return found
