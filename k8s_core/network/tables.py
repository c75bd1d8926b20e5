"""The tables of a node's netfilter as iptables-save shows them, and the rules that are there without any Service.

Stands for iptablesJumpChains in pkg/proxy/iptables and for the kubelet's own chains. Rules are text for
rules.py to read.
"""

from collections.abc import Mapping
from functools import lru_cache

Chains = dict[str, list[str]]
Tables = dict[str, Chains]
"""table -> chain -> rules, each what iptables-save prints after `-A CHAIN `."""
MASQUERADE_BIT = 14  # --iptables-masquerade-bit
_FORWARDING = '-m comment --comment "kubernetes {}"'
_NEW = "-m conntrack --ctstate NEW "


@lru_cache(maxsize=32)
def base(masquerade_bit: int = MASQUERADE_BIT, *, tcp_liberal: bool = False) -> dict[str, dict[str, tuple[str, ...]]]:
    """What is there without any Service: the jumps into kube-proxy's chains, masquerading, the kubelet's firewall."""
    mark = f"{1 << masquerade_bit:#x}"
    firewall = f"{_NEW}{_FORWARDING.format('load balancer firewall')} -j KUBE-PROXY-FIREWALL"
    portals = f"{_NEW}{_FORWARDING.format('service portals')} -j KUBE-SERVICES"
    visible = f"{_NEW}{_FORWARDING.format('externally-visible service portals')} -j KUBE-EXTERNAL-SERVICES"
    local = "-j KUBE-FIREWALL"
    invalid = "-m conntrack --ctstate INVALID -m nfacct --nfacct-name  ct_state_invalid_dropped_pkts -j DROP"
    empty: tuple[str, ...] = ()
    return {
        "mangle": dict.fromkeys(
            ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING", "KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY",
             "KUBE-PROXY-CANARY"), empty),
        "filter": {
            "INPUT": (
                firewall,
                f"{_FORWARDING.format('health check service ports')} -j KUBE-NODEPORTS",
                visible,
                local,
            ),
            "FORWARD": (
                firewall,
                f"{_FORWARDING.format('forwarding rules')} -j KUBE-FORWARD",
                portals,
                visible,
            ),
            "OUTPUT": (firewall, portals, local, local),  # the kubelet and kube-proxy both see to the last
            "KUBE-EXTERNAL-SERVICES": empty,
            "KUBE-FIREWALL": (
                '! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" '
                "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
            ),
            "KUBE-FORWARD": (
                *(() if tcp_liberal else (invalid,)),
                f"{_FORWARDING.format('forwarding rules')} -m mark --mark {mark}/{mark} -j ACCEPT",
                f"{_FORWARDING.format('forwarding conntrack rule')} -m conntrack --ctstate RELATED,ESTABLISHED "
                "-j ACCEPT",
            ),
            "KUBE-KUBELET-CANARY": empty,
            "KUBE-NODEPORTS": empty,
            "KUBE-PROXY-CANARY": empty,
            "KUBE-PROXY-FIREWALL": empty,
            "KUBE-SERVICES": empty,
        },
        "nat": {
            "PREROUTING": (f"{_FORWARDING.format('service portals')} -j KUBE-SERVICES",),
            "INPUT": empty,
            "OUTPUT": (f"{_FORWARDING.format('service portals')} -j KUBE-SERVICES",),
            "POSTROUTING": (f"{_FORWARDING.format('postrouting rules')} -j KUBE-POSTROUTING",),
            "KUBE-KUBELET-CANARY": empty,
            "KUBE-MARK-MASQ": (f"-j MARK --set-xmark {mark}/{mark}",),
            "KUBE-NODEPORTS": empty,
            "KUBE-POSTROUTING": (
                f"-m mark ! --mark {mark}/{mark} -j RETURN",
                f"-j MARK --set-xmark {mark}/0x0",
                f"{_FORWARDING.format('service traffic requiring SNAT')} -j MASQUERADE --random-fully",
            ),
            "KUBE-PROXY-CANARY": empty,
            "KUBE-SERVICES": empty,
        },
    }  # fmt: skip


LAST = '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"'


BUILT_IN = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")


def save(tables: Tables, policies: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """The text of iptables-save: built-in chains first, the others and their rules in order of their names."""
    lines = []
    for table, chains in tables.items():
        built_in = [chain for chain in BUILT_IN if chain in chains]
        others = sorted(chain for chain in chains if chain not in BUILT_IN)
        lines.append(f"*{table}")
        given = (policies or {}).get(table, {})
        lines += [f":{chain} {given.get(chain, 'ACCEPT')} [0:0]" for chain in built_in] + [
            f":{chain} - [0:0]" for chain in others
        ]
        lines += [f"-A {chain} {rule}" for chain in built_in + others for rule in chains[chain]]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def without_proxy() -> Tables:
    """What the kubelet alone leaves on a node on which kube-proxy never ran."""
    made: Tables = {}
    for table, chains in base().items():
        keep = {"KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY", "KUBE-FIREWALL"}
        made[table] = {chain: [] for chain in chains if chain in BUILT_IN or chain in keep}
    firewall = made["filter"]
    firewall["KUBE-FIREWALL"] = list(base()["filter"]["KUBE-FIREWALL"])
    firewall["INPUT"] = firewall["OUTPUT"] = ["-j KUBE-FIREWALL"]
    return made
