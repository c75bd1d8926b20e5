"""Pod addresses on one node: the CNI plugin host-local, which goes round the node's podCIDR."""

import ipaddress

from k8s_core.api import Object

FALLBACK_POD_CIDR = "10.88.0.0/16"
"""Where Pods get addresses while the node has no podCIDR: containerd's own bridge."""
ASKED = "cni.projectcalico.org/ipAddrs"
"""An annotation such as '["10.32.0.14"]'."""


class Addresses:
    """The addresses taken on a node; .0 is the network, .1 the bridge."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self._last = 1

    def take(self, node: Object | None, pod: Object | None = None) -> str:
        """The next free address of the node's podCIDR, or the one that the Pod asks for as it may with Calico."""
        asked = ((pod or {}).get("metadata", {}).get("annotations") or {}).get(ASKED, "").strip('[]" ')
        if asked and asked not in self.taken:
            self.taken.add(asked)
            return str(asked)
        cidr = ipaddress.ip_network((node or {}).get("spec", {}).get("podCIDR") or FALLBACK_POD_CIDR)
        size = cidr.num_addresses - 2
        address = ""
        for _ in range(size):
            self._last = self._last + 1 if self._last < size else 2
            address = str(cidr[self._last])
            if address not in self.taken:
                break
        self.taken.add(address)
        return address

    def release(self, address: str) -> None:
        self.taken.discard(address)
