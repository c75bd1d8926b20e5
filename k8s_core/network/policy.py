"""NetworkPolicies, as the network plugin enforces them: what a Pod may send, and what may reach it.

Stands for the policy half of a CNI plugin; the rules are the API's (kubernetes.io/docs, network-policies): a Pod that
no policy selects is open; one that is selected gets what some policy allows, and all else is dropped in silence.
Traffic between a node and its own Pods always passes, so that probes work.
"""

import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING

from k8s_core.api import Object
from k8s_core.api.selectors import from_label_selector

if TYPE_CHECKING:
    from k8s_core.client import Client

Verdict = tuple[bool, str]
"""(may pass, the policy or the reason)."""


class Policies:
    """`pod_of(address)` says which Pod ("namespace/name") has an address, or ""."""

    def __init__(self, client: "Client", pod_of: Callable[[str], str]) -> None:
        self._pod_of = pod_of
        self._policies = client.informer("networkpolicies.networking.k8s.io")
        self._pods = client.informer("pods")
        self._namespaces = client.informer("namespaces")

    def verdict(self, direction: str, pod_key: str, peer: str, port: int, protocol: str) -> Verdict:
        """Whether `pod_key` may talk: direction "Ingress" or "Egress"; `peer` is the other side's address."""
        if not self._policies.items:
            return True, ""
        pod = self._pods.get_key(pod_key)
        if pod is None:
            return True, ""
        namespace, labels = pod["metadata"]["namespace"], pod["metadata"].get("labels") or {}
        selecting = [
            policy
            for policy in self._policies.list(namespace)
            if direction in _types(policy["spec"])
            and from_label_selector(policy["spec"].get("podSelector") or {}).matches(labels)
        ]
        if not selecting:
            return True, ""
        target = pod if direction == "Ingress" else self._pods.get_key(self._pod_of(peer))
        for policy in selecting:
            for rule in policy["spec"].get(direction.lower()) or ():
                peers = rule.get("from" if direction == "Ingress" else "to")
                if self._peers(peers, peer, namespace) and _ports(rule.get("ports"), port, protocol, target):
                    return True, f"NetworkPolicy {namespace}/{policy['metadata']['name']} allows it"
        names = ", ".join(p["metadata"]["name"] for p in selecting)
        return False, f"no {direction.lower()} rule of NetworkPolicy {names} in {namespace} allows it"

    def _peers(self, peers: list[Object] | None, address: str, namespace: str) -> bool:
        if not peers:
            return True
        return any(self._peer(peer, address, namespace) for peer in peers)

    def _peer(self, peer: Object, address: str, namespace: str) -> bool:
        if block := peer.get("ipBlock"):
            here = ipaddress.ip_address(address)
            inside = here in ipaddress.ip_network(block["cidr"], strict=False)
            return inside and not any(here in ipaddress.ip_network(e) for e in block.get("except") or ())
        pod = self._pods.get_key(self._pod_of(address))
        if pod is None:
            return False
        where = pod["metadata"]["namespace"]
        if "namespaceSelector" in peer:
            found = self._namespaces.get(where) or {"metadata": {}}
            if not from_label_selector(peer["namespaceSelector"]).matches(found["metadata"].get("labels") or {}):
                return False
        elif where != namespace:
            return False
        selector = from_label_selector(peer.get("podSelector") or {})
        return selector.matches(pod["metadata"].get("labels") or {})


def _types(spec: Object) -> list[str]:
    return spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def _ports(ports: list[Object] | None, number: int, protocol: str, target: Object | None) -> bool:
    if not ports:
        return True
    for port in ports:
        if port.get("protocol", "TCP").lower() != protocol:
            continue
        wanted = port.get("port")
        if isinstance(wanted, str):
            containers = target["spec"]["containers"] if target else ()
            named = {p.get("name"): p["containerPort"] for c in containers for p in c.get("ports") or ()}
            wanted = named.get(wanted, -1)
        if wanted is None:
            return True
        if int(wanted) <= number <= int(port.get("endPort") or wanted):
            return True
    return False
