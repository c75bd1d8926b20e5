"""kube-proxy's configuration: what of KubeProxyConfiguration changes the rules.

Stands for pkg/proxy/apis/config and cmd/kube-proxy/app/options.go. The DaemonSet's Pods read it from the ConfigMap
kube-proxy when they start, so that a change needs a restart, as in life. Left out: IPv6.
"""

import ipaddress
from dataclasses import dataclass
from typing import Any

import yaml

from k8s_core.limits import POD_CIDR
from k8s_core.network.serviceports import Node
from k8s_core.network.tables import MASQUERADE_BIT

MODES = ("iptables", "ipvs", "nftables")
PRIMARY = ("primary",)
INTERFACE_MODES = {"BridgeInterface": "bridgeInterface", "InterfaceNamePrefix": "interfaceNamePrefix"}
"""detectLocalMode -> the field of detectLocal that says which."""
LOOPBACK = ipaddress.IPv4Address("127.0.0.0")


class ConfigError(ValueError):
    """Why kube-proxy does not start, in its words."""


@dataclass(frozen=True, slots=True)
class Config:
    """`cluster_cidr` is where Pods' addresses come from; without it nothing counts as local traffic.

    `interface` is where Pods' packets come in, in those two of the local modes that ask for it.
    """

    mode: str = "iptables"
    cluster_cidr: str = POD_CIDR
    local_mode: str = "ClusterCIDR"
    masquerade_all: bool = False
    masquerade_bit: int = MASQUERADE_BIT
    localhost_node_ports: bool = True
    node_port_addresses: tuple[str, ...] = ()
    interface: str = ""
    tcp_liberal: bool = False

    @property
    def local_interface(self) -> str:
        """The interface, or what it begins with and "+", by which local traffic is known; "" if by its source."""
        if self.local_mode not in INTERFACE_MODES:
            return ""
        return self.interface + ("+" if self.local_mode == "InterfaceNamePrefix" else "")

    def local_cidr(self, node: Node) -> str:
        """Where this node's Pods, or all Pods, have their addresses; "" if nobody said."""
        if self.local_mode in INTERFACE_MODES:
            return ""
        return node.pod_cidr if self.local_mode == "NodeCIDR" else self.cluster_cidr

    @property
    def _ranges(self) -> list[ipaddress.IPv4Network]:
        """What nodePortAddresses says of IPv4."""
        return [ipaddress.IPv4Network(r, strict=False) for r in self.node_port_addresses if "." in r]

    @property
    def matches_all(self) -> bool:
        """Whether every address of a node takes node ports."""
        ranges = self._ranges
        return self.node_port_addresses != PRIMARY and (not ranges or any(r.prefixlen == 0 for r in ranges))

    @property
    def takes_localhost(self) -> bool:
        """Whether node ports answer on 127.0.0.1, too."""
        named = any(LOOPBACK in r or r.is_loopback for r in self._ranges)
        return self.localhost_node_ports and (self.matches_all or named)

    def node_ports_on(self, node: Node) -> list[str]:
        """The addresses of a node that take node ports, where not all do."""
        if self.node_port_addresses == PRIMARY:
            return [node.address]
        own = [a for a in ("127.0.0.1", node.address, node.bridge) if a]
        found = [a for a in own if any(ipaddress.IPv4Address(a) in r for r in self._ranges)]
        return [a for a in found if a != "127.0.0.1" or self.takes_localhost]

    @classmethod
    def parse(cls, text: str) -> "Config":
        """The configuration of a file; raises ConfigError."""
        try:
            given: Any = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"failed to decode: {error}") from None
        if not isinstance(given, dict) or given.get("kind") != "KubeProxyConfiguration":
            kind = given.get("kind") if isinstance(given, dict) else None
            raise ConfigError(f'no kind "{kind or ""}" is registered for the internal version of group "kubeproxy"')
        mode = given.get("mode") or "iptables"
        if mode not in MODES:
            supported = ",".join(MODES)
            raise ConfigError(f"KubeProxyConfiguration.Mode: Invalid value: {mode!r}: must be {supported} or blank")
        rules = given.get("nftables" if mode == "nftables" else "iptables") or {}
        on = (given.get("iptables") or {}).get("localhostNodePorts")
        bit = rules.get("masqueradeBit")
        ranges = [r for r in (given.get("clusterCIDR") or "").split(",") if ":" not in r]
        local_mode = given.get("detectLocalMode") or "ClusterCIDR"
        return cls(
            mode=mode,
            cluster_cidr=ranges[0] if ranges else "",
            local_mode=local_mode,
            masquerade_all=bool(rules.get("masqueradeAll")),
            masquerade_bit=MASQUERADE_BIT if bit is None else int(bit),
            localhost_node_ports=on is None or bool(on),
            node_port_addresses=tuple(given.get("nodePortAddresses") or ()),
            interface=(given.get("detectLocal") or {}).get(INTERFACE_MODES.get(local_mode, ""), ""),
            tcp_liberal=bool((given.get("conntrack") or {}).get("tcpBeLiberal")),
        )
