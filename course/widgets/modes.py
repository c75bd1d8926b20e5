"""One Service as kube-proxy's three modes see it: iptables, nftables, IPVS. Text, to be compared."""

from collections.abc import Iterable
from typing import Any

from k8s_core.network import ipvs, nftables, proxy
from k8s_core.network.serviceports import Node

Objects = Iterable[dict[str, Any]]


def text(services: Objects, slices: Objects, node: Node, service: str) -> str:
    """What each mode has for a Service ("namespace/name") on a node."""
    services, slices = list(services), list(slices)
    tables = proxy.ruleset(services, slices, node)
    marks = [f'"{service}{after}' for after in (" ", ":", '"')]
    rules = [
        f"-A {chain} {rule}"
        for table in ("nat", "filter")
        for chain, found in tables[table].items()
        for rule in found
        if any(mark in rule for mark in marks)
    ]
    tried = len(tables["nat"]["KUBE-SERVICES"])
    parts = [
        f"iptables: {len(rules)} rules. A packet tries those of KUBE-SERVICES one by one, {tried} at most.",
        *rules,
    ]
    concerned = nftables.concerning(nftables.table(services, slices, node), service)
    count = sum(map(len, concerned.values()))
    parts += ["", f"nftables: {count} rules and elements. One look into a map finds the Service's chain."]
    parts += [f"{name}  {line}" for name, lines in concerned.items() for line in lines]
    namespace, _, name = service.partition("/")
    one = [s for s in services if (s["metadata"]["namespace"], s["metadata"]["name"]) == (namespace, name)]
    servers = ipvs.servers(one, slices, node)
    many = "virtual server" if len(servers) == 1 else "virtual servers"
    parts += ["", f"IPVS: {len(servers)} {many}. A hash finds it; connections are dealt round robin."]
    return "\n".join([*parts, ipvs.listing(servers).removeprefix(ipvs.HEAD)])
