"""Host ports: the rules by which a node's port leads to a Pod that has asked for it.

Stands for the CNI plugin portmap, which the network plugin calls for every new Pod; its chains stand beside
kube-proxy's and are there only where a Pod has a hostPort.
"""

import hashlib
from typing import NamedTuple

from k8s_core.network.packets import Host

NETWORK = "cbr0"  # the name in flannel's configuration
MARK = "0x2000/0x2000"
SHARED = {
    "CNI-HOSTPORT-SETMARK": f'-m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark {MARK}',
    "CNI-HOSTPORT-MASQ": f"-m mark --mark {MARK} -j MASQUERADE",
}
JUMPS = {
    "PREROUTING": "-m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
    "OUTPUT": "-m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
    "POSTROUTING": '-m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ',
}


class HostPort(NamedTuple):
    """A port of the node, on one address or all (""), and the Pod's port that it leads to."""

    protocol: str
    address: str
    port: int
    target: int


def _names(sandbox: str) -> tuple[str, str]:
    """(a Pod's chain, the comment of the rules that lead there)."""
    digest = hashlib.sha512(f"{NETWORK}{sandbox}".encode()).hexdigest()
    return f"CNI-DN-{digest[:21]}", rf'-m comment --comment "dnat name: \"{NETWORK}\" id: \"{sandbox}\""'


def open_ports(host: Host, sandbox: str, address: str, pod_cidr: str, ports: list[HostPort]) -> None:
    """Lead the ports to a Pod's address."""
    close_ports(host, sandbox)
    there = host.tables()["nat"]
    for chain, rule in SHARED.items():
        if rule not in there.get(chain, ()):
            host.edit("nat", chain, "-A", rule)
    for chain, rule in JUMPS.items():
        if rule not in there.get(chain, ()):
            host.edit("nat", chain, "-A", rule)
    chain, comment = _names(sandbox)
    for protocol in sorted({port.protocol for port in ports}):
        numbers = ",".join(str(port.port) for port in ports if port.protocol == protocol)
        where = f"-p {protocol} {comment} -m multiport --dports {numbers} -j {chain}"
        host.edit("nat", "CNI-HOSTPORT-DNAT", "-A", where)
    for port in ports:
        to = f"-d {port.address}/32 " if port.address else ""
        match = f"-p {port.protocol} -m {port.protocol} --dport {port.port}"
        for source in (pod_cidr, "127.0.0.1/32"):
            host.edit("nat", chain, "-A", f"-s {source} {to}{match} -j CNI-HOSTPORT-SETMARK")
        host.edit("nat", chain, "-A", f"{to}{match} -j DNAT --to-destination {address}:{port.target}")


def close_ports(host: Host, sandbox: str) -> None:
    """Take a Pod's rules away."""
    chain, _ = _names(sandbox)
    tables = host.tables()["nat"]
    for rule in [r for r in tables.get("CNI-HOSTPORT-DNAT", ()) if r.endswith(f" -j {chain}")]:
        host.edit("nat", "CNI-HOSTPORT-DNAT", "-D", rule)
    if chain in tables:
        host.edit("nat", chain, "-X")
